//! Judging checkouts, and what is kept of that.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

// What is asked for as it stands in the tables.
pub(super) use super::store::{Filter, Place, entries, judged, newest, page, versions};
use super::{
    forms::{
        NewRiskEntry, RiskAssessment, RiskChange, RiskDecisions, RiskEntry, RiskEntryPatch, RiskEntryRow, RiskProfile,
        RiskSimulation, SimulateRisk, Stored,
    },
    known_by::{self, KnownBy, Named},
    model::{Assessment, Decision, Facts, Listed, Mark, ProfileDocument, RiskOutcome, Tries, assess, is_disposable},
    report::Tally,
    store::{self, Asked, ImportedEntry},
};
use crate::{
    channels,
    db::{Lane, Snapshot, Tx, bump},
    error::{Code, Error, Result, on_duplicate},
    http::{State, seal::Secret},
    jobs::Runner,
    kernel::{
        Actor, Instant,
        ids::{CartId, ChannelId, OrderId, RiskAssessmentId, RiskEntryId},
    },
};

/// The rules of all channels, in memory.
pub struct Profiles(HashMap<ChannelId, Arc<RiskProfile>>);

impl Profiles {
    /// The rules that a channel's checkouts are judged by; `None` where they are not.
    #[must_use]
    pub fn of(&self, channel: ChannelId) -> Option<Arc<RiskProfile>> {
        self.0.get(&channel).filter(|profile| profile.document.active).cloned()
    }

    /// The rules of a channel, whether or not they are switched on.
    fn all(&self) -> impl Iterator<Item = &Arc<RiskProfile>> {
        self.0.values()
    }
}

impl Snapshot for Profiles {
    const NAME: &'static str = "risk_profiles";

    fn load(tx: &mut Tx) -> Result<Self> {
        let live = store::newest(tx, None)?.into_iter();
        Ok(Self(live.map(|profile| (profile.channel_id, Arc::new(profile))).collect()))
    }
}

/// What was found at a checkout, before it is written down.
#[derive(Clone)]
pub struct Found {
    version: i64,
    /// What it came to.
    pub assessment: Assessment,
    facts: Facts,
    marks: Vec<(Mark, String)>,
}

/// What an attempt to order remembers of what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// What was found.
    pub assessment: RiskAssessmentId,
    /// Why the order is held, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
}

impl Found {
    /// What an attempt remembers of it.
    #[must_use]
    pub fn recorded(&self, assessment: RiskAssessmentId) -> Recorded {
        let hold = (self.assessment.decision == Decision::Hold).then(|| self.assessment.reason());
        Recorded { assessment, hold }
    }
}

/// Judges a checkout of which `facts` are known: one statement, for how often what the shopper is known by has tried, by what something
/// was lost, the lists, and the codes that were refused. How often is a soft measure: those who come at the same time do not see each
/// other.
///
/// # Errors
/// What the database says.
pub fn look(
    tx: &mut Tx,
    (now, cart): (Instant, CartId),
    profile: &RiskProfile,
    who: &KnownBy,
    mut facts: Facts,
) -> Result<Found> {
    let rules = &profile.document;
    facts.known = who.kinds();
    facts.disposable = who.domain().map(|domain| is_disposable(rules, domain));
    let counted: Vec<(Mark, i64)> =
        rules.counted().into_iter().filter(|(mark, _)| facts.known.contains(mark)).collect();
    let lost: Vec<Mark> = rules.lost_by().into_iter().filter(|mark| facts.known.contains(mark)).collect();
    let tries = (0_i64..).zip(&counted).flat_map(|(place, (mark, minutes))| {
        let since = now.plus_seconds(-60 * minutes);
        who.former(*mark).into_iter().map(move |hash| (place, *mark, hash, since))
    });
    let losses = (0_i64..)
        .zip(&lost)
        .flat_map(|(place, mark)| who.former(*mark).into_iter().map(move |hash| (place, *mark, hash)));
    let cart = rules.asks_for_codes().then_some(cart);
    let asked = Asked { tries: tries.collect(), losses: losses.collect(), lists: who.listed(), cart };
    let answered = store::known(tx, now, &asked)?;
    let tried: BTreeMap<i64, i64> = answered.tries.into_iter().collect();
    facts.tries = (0_i64..)
        .zip(counted)
        .map(|(place, (of, minutes))| Tries { of, minutes, tries: tried.get(&place).copied().unwrap_or_default() })
        .collect();
    let places: BTreeSet<i64> = answered.losses.into_iter().collect();
    facts.losses = (0_i64..).zip(lost).filter(|(place, _)| places.contains(place)).map(|(_, mark)| mark).collect();
    facts.listed = answered.lists.into_iter().map(|(list, kind, entry)| Listed { list, kind, entry }).collect();
    facts.listed.sort_by_key(|listed| (listed.list, listed.kind, listed.entry));
    facts.codes_tried = cart.map(|_| answered.codes);
    Ok(Found { version: profile.version, assessment: assess(rules, &facts), facts, marks: who.marks() })
}

/// Writes down what was found: two statements.
///
/// # Errors
/// What the database says.
pub fn record(
    tx: &mut Tx,
    now: Instant,
    (id, channel, cart): (RiskAssessmentId, ChannelId, CartId),
    found: &Found,
) -> Result<()> {
    let Assessment { by, trace, .. } = &found.assessment;
    let stored = Stored { by: by.clone(), trace: trace.clone(), facts: found.facts.clone() };
    store::insert(tx, now, (id, channel, cart), (&found.assessment, found.version, &stored), &found.marks)
}

/// Notes which order came of it.
///
/// # Errors
/// What the database says.
pub fn placed(tx: &mut Tx, id: RiskAssessmentId, order: OrderId) -> Result<()> {
    // Who has waited for a provider longer than it is kept finds nothing any more.
    store::link(tx, id, order).map(|_| ())
}

/// What was found of an order.
///
/// # Errors
/// `not_found` where it was not judged.
pub fn of_order(tx: &mut Tx, order: OrderId) -> Result<RiskAssessment> {
    store::of_order(tx, order)?.ok_or_else(|| Error::not_found("assessment of this order"))
}

/// What was found at carts, behind one of them, in the order of their ids: one statement.
///
/// # Errors
/// What the database says.
pub fn of_carts(
    tx: &mut Tx,
    carts: &[CartId],
    after: Option<RiskAssessmentId>,
    limit: i64,
) -> Result<Vec<RiskAssessment>> {
    store::of_carts(tx, carts, after, limit)
}

/// What was found, among the channels that an actor sees.
pub(super) fn visible(tx: &mut Tx, actor: &Actor, id: RiskAssessmentId) -> Result<RiskAssessment> {
    let found = store::find(tx, id)?.filter(|found| actor.sees_channel(found.channel_id));
    found.ok_or_else(|| Error::not_found("assessment"))
}

/// How checkouts of somebody were decided upon, and what became of them: one statement.
///
/// # Errors
/// What the database says.
pub fn figures(tx: &mut Tx, who: &KnownBy) -> Result<Vec<RiskDecisions>> {
    let mut tally = Tally::default();
    for (decision, outcome, count) in store::figures(tx, &who.listed())? {
        tally.add_many(decision, outcome, count);
    }
    Ok(tally.decisions())
}

/// Says what became of an order; what was said before is replaced.
///
/// # Errors
/// `not_found` where it was not judged.
pub fn judge(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    order: OrderId,
    outcome: RiskOutcome,
    note: Option<&str>,
) -> Result<RiskAssessment> {
    if let Some(id) = store::judge(tx, now, order, (outcome, &actor.label(), note), false)? {
        store::set_lost(tx, id, outcome.is_bad().then_some(now))?;
    }
    of_order(tx, order)
}

/// A hold for risk was released by somebody: nothing was wrong with the order, unless something else was said.
///
/// # Errors
/// What the database says.
pub fn judged_by_release(tx: &mut Tx, (now, actor): (Instant, &Actor), order: OrderId) -> Result<()> {
    store::judge(tx, now, order, (RiskOutcome::Legitimate, &actor.label(), None), true).map(|_| ())
}

/// What has become of an order by itself: its money was lost or kept in a dispute, or it was cancelled while it was held for risk. What is
/// bad goes before what was thought to be well; what somebody has said is bad, and what is known already, stays. One statement where it is
/// known, or was not judged; told again, nothing happens.
///
/// # Errors
/// What the database says.
pub fn learned(
    tx: &mut Tx,
    (now, part): (Instant, &'static str),
    order: OrderId,
    outcome: RiskOutcome,
    note: &str,
) -> Result<()> {
    let by = Actor::System(part).label();
    let Some(id) = store::learn(tx, now, order, (outcome, &by, note))? else { return Ok(()) };
    if outcome.is_bad() { store::set_lost(tx, id, Some(now)) } else { Ok(()) }
}

/// Counts a coupon code that was refused at a cart.
///
/// # Errors
/// What the database says.
pub fn refused_code(tx: &mut Tx, now: Instant, cart: CartId) -> Result<()> {
    store::count_code(tx, now, cart)
}

/// Forgets what the shoppers of carts were known by. What was decided, for how much and why, stays: it tells nobody whose it was.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, carts: &[CartId]) -> Result<()> {
    if carts.is_empty() { Ok(()) } else { store::erase(tx, carts) }
}

/// Makes the next version of a channel's rules.
///
/// # Errors
/// `invalid_value`, `not_found`; `version_stale` where another is live than the one that was seen.
pub(super) fn set_profile(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    channel: ChannelId,
    expected: Option<i64>,
    document: &ProfileDocument,
) -> Result<RiskProfile> {
    document.check("")?;
    channels::check_named(tx, actor, &[channel], |_| "channel_id".to_owned())?;
    let live = store::newest(tx, Some(channel))?.pop().map_or(0, |profile| profile.version);
    if expected.is_some_and(|expected| expected != live) {
        return Err(Error::stale("risk profile", live));
    }
    let made = RiskProfile {
        channel_id: channel,
        version: live + 1,
        document: document.clone(),
        made_by: actor.label(),
        created_at: now,
    };
    // Somebody else has made that version at the same time: this one is made the next.
    on_duplicate(store::insert_profile(tx, &made), || Error::overtaken("the risk profile"))?;
    bump::<Profiles>(tx)?;
    Ok(made)
}

/// The live rules of a channel that an actor sees.
///
/// # Errors
/// `not_found`.
pub(super) fn profile(tx: &mut Tx, actor: &Actor, channel: ChannelId) -> Result<RiskProfile> {
    let missing = || Error::not_found("risk profile");
    if !actor.sees_channel(channel) {
        return Err(missing());
    }
    store::newest(tx, Some(channel))?.pop().ok_or_else(missing)
}

/// Puts somebody on a list.
///
/// # Errors
/// `invalid_value`; `not_found` for an assessment that is not there; `duplicate` where they are on one already.
pub(super) fn add_entry(
    tx: &mut Tx,
    (now, actor, secret): (Instant, &Actor, &Secret),
    id: RiskEntryId,
    new: &NewRiskEntry,
) -> Result<RiskEntry> {
    let named = match (&new.value, new.assessment_id) {
        (Some(value), None) => known_by::named(secret, new.kind, value)?,
        (None, Some(assessment)) => {
            visible(tx, actor, assessment).map_err(|error| error.at("/assessment_id"))?;
            let hash = store::mark_of(tx, assessment, new.kind)?;
            let unknown = || Error::invalid("/kind", "the shopper of this assessment is not known by that");
            Named { hash: hash.ok_or_else(unknown)?, hint: format!("of {assessment}") }
        }
        _ => return Err(Error::invalid("/value", "send either a value or an assessment_id")),
    };
    check_until(now, new.until, "/until")?;
    let made = RiskEntry {
        id,
        list: new.list,
        kind: new.kind,
        hint: named.hint,
        reason: new.reason.to_string(),
        until: new.until,
        made_by: actor.label(),
        created_at: now,
        version: 1,
    };
    let taken = || Error::problem(Code::Duplicate, "it is on a list already: change that entry").at("/value");
    on_duplicate(store::insert_entry(tx, &made, &named.hash), taken)?;
    Ok(made)
}

fn check_until(now: Instant, until: Option<Instant>, at: &str) -> Result<()> {
    match until.is_some_and(|until| until <= now) {
        true => Err(Error::invalid(at, "expected a time that is to come")),
        false => Ok(()),
    }
}

/// An entry.
///
/// # Errors
/// `not_found`.
pub(super) fn entry(tx: &mut Tx, id: RiskEntryId) -> Result<RiskEntry> {
    store::find_entry(tx, id)?.ok_or_else(|| Error::not_found("entry"))
}

/// Changes an entry.
///
/// # Errors
/// `not_found`, `invalid_value`; `version_stale` where it has changed since it was seen.
pub(super) fn change_entry(
    tx: &mut Tx,
    now: Instant,
    (id, expected): (RiskEntryId, Option<i64>),
    patch: &RiskEntryPatch,
) -> Result<RiskEntry> {
    let mut changed = entry(tx, id)?;
    let seen = changed.version;
    if expected.is_some_and(|expected| expected != seen) {
        return Err(Error::stale("entry", seen));
    }
    changed.list = patch.list.unwrap_or(changed.list);
    if let Some(reason) = &patch.reason {
        changed.reason = reason.to_string();
    }
    if let Some(until) = patch.until {
        check_until(now, until, "/until")?;
        changed.until = until;
    }
    if !store::update_entry(tx, &changed, seen)? {
        return Err(Error::overtaken("the entry"));
    }
    changed.version += 1;
    Ok(changed)
}

/// Takes an entry off its list.
///
/// # Errors
/// `not_found`.
pub(super) fn remove_entry(tx: &mut Tx, id: RiskEntryId) -> Result<()> {
    if store::delete_entry(tx, id)? { Ok(()) } else { Err(Error::not_found("entry")) }
}

/// Rows of a file, each by the place in it; of several for the same the last counts. How many entries stand as they say.
///
/// # Errors
/// What the database says.
pub(super) fn import(tx: &mut Tx, now: Instant, actor: &Actor, rows: &[ImportedEntry]) -> Result<usize> {
    let last: BTreeMap<(Mark, &str), &ImportedEntry> =
        rows.iter().map(|row| ((row.kind, row.named.hash.as_str()), row)).collect();
    let rows: Vec<ImportedEntry> = last.into_values().cloned().collect();
    if !rows.is_empty() {
        store::import(tx, now, &actor.label(), &rows)?;
    }
    Ok(rows.len())
}

/// A row of a file that can be taken.
///
/// # Errors
/// `invalid_value`.
pub(super) fn importable(secret: &Secret, now: Instant, id: RiskEntryId, row: &RiskEntryRow) -> Result<ImportedEntry> {
    check_until(now, row.until, "/until")?;
    Ok(ImportedEntry {
        id,
        list: row.list,
        kind: row.kind,
        named: known_by::named(secret, row.kind, &row.value)?,
        reason: row.reason.to_string(),
        until: row.until,
    })
}

/// So many checkouts are looked at by a simulation.
const SIMULATED: usize = 2_000;
/// So many changes are told.
const TOLD: usize = 100;

/// What is to be tried out, with its time.
pub(super) fn filter_of(now: Instant, wanted: &SimulateRisk) -> Filter {
    let from = wanted.from.unwrap_or_else(|| now.plus_seconds(-30 * 86_400));
    Filter { channel: Some(wanted.channel_id), from: Some(from), to: wanted.to, ..Filter::default() }
}

/// What a draft of rules would have come to at past checkouts. What no rule had asked for then is looked up as it was, or is not known.
///
/// # Errors
/// `invalid_value`, `not_found`.
pub(super) fn simulate(tx: &mut Tx, actor: &Actor, now: Instant, wanted: &SimulateRisk) -> Result<RiskSimulation> {
    wanted.document.check("/document")?;
    channels::check_named(tx, actor, &[wanted.channel_id], |_| "/channel_id".to_owned())?;
    let limit = i64::try_from(SIMULATED).unwrap_or(i64::MAX).saturating_add(1);
    let mut found = store::page(tx, &filter_of(now, wanted), None, limit)?;
    let more = found.len() > SIMULATED;
    found.truncate(SIMULATED);
    look_back(tx, &wanted.document, &mut found)?;
    let names = || wanted.document.live().map(|rule| rule.name.to_string());
    let (mut before, mut after, mut changed) = (Tally::default(), Tally::of_rules(names()), Vec::new());
    for one in &found {
        let new = assess(&wanted.document, &one.facts);
        before.add(one.found.decision, Vec::new(), one.outcome);
        after.add(new.decision, new.fired(), one.outcome);
        if new.decision != one.found.decision && changed.len() < TOLD {
            changed.push(RiskChange {
                assessment_id: one.id,
                order_id: one.order_id,
                before: one.found.decision,
                after: new.decision,
                score: new.score,
                outcome: one.outcome,
            });
        }
    }
    Ok(RiskSimulation {
        checkouts: found.len(),
        more,
        before: before.decisions(),
        after: after.decisions(),
        rules: after.rules(),
        changed,
    })
}

/// Looks up what the rules ask and had not been asked then: how often something had tried, and by what something had been lost.
fn look_back(tx: &mut Tx, rules: &ProfileDocument, found: &mut [RiskAssessment]) -> Result<()> {
    let (counted, lost) = (rules.counted(), rules.lost_by());
    let mut asked: Vec<(usize, Mark, Option<i64>)> = Vec::new();
    for (place, one) in found.iter().enumerate() {
        let missing = |(of, minutes): &&(Mark, i64)| {
            one.facts.known.contains(of) && !one.facts.tries.iter().any(|t| (t.of, t.minutes) == (*of, *minutes))
        };
        asked.extend(counted.iter().filter(missing).map(|(of, minutes)| (place, *of, Some(*minutes))));
        let known = |of: &&Mark| one.facts.known.contains(of) && !one.facts.losses.contains(of);
        asked.extend(lost.iter().filter(known).map(|of| (place, *of, None)));
    }
    let rows: Vec<(i64, RiskAssessmentId, Mark, Option<Instant>, Instant)> = (0_i64..)
        .zip(&asked)
        .filter_map(|(row, (place, of, minutes))| {
            let one = found.get(*place)?;
            let since = minutes.map(|minutes| one.assessed_at.plus_seconds(-60 * minutes));
            Some((row, one.id, *of, since, one.assessed_at))
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let counts: BTreeMap<i64, i64> = store::tries_then(tx, &rows)?.into_iter().collect();
    for (row, (place, of, minutes)) in (0_i64..).zip(asked) {
        let (Some(one), count) = (found.get_mut(place), counts.get(&row).copied().unwrap_or_default()) else {
            continue;
        };
        match minutes {
            Some(minutes) => one.facts.tries.push(Tries { of, minutes, tries: count }),
            None if count > 0 => one.facts.losses.push(of),
            None => {}
        }
    }
    Ok(())
}

/// So many are dropped in one transaction.
const BITE: i64 = 500;
/// The counts of refused codes are kept for so many days.
const CODE_DAYS: i64 = 30;

/// Registers the dropping of what is older than a channel keeps it.
pub fn work(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.every("risk.retention", 3_600, move |now| {
        let state = state.clone();
        async move { purge(&state, now).await }
    });
}

async fn purge(state: &State, now: Instant) -> Result<()> {
    let profiles = state.db.snapshot::<Profiles>().await?;
    for profile in profiles.all() {
        let (channel, before) = (profile.channel_id, now.plus_seconds(-86_400 * profile.document.keep_days));
        let work = move |tx: &mut Tx| store::purge(tx, channel, before, BITE);
        while i64::try_from(state.db.write_quietly(Lane::Bulk, work).await?).is_ok_and(|gone| gone == BITE) {}
    }
    let before = now.plus_seconds(-86_400 * CODE_DAYS);
    state.db.write_quietly(Lane::Bulk, move |tx| store::purge_codes(tx, before)).await.map(|_| ())
}
