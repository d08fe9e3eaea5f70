//! Commands and queries of price rules.

use super::{
    decide::When,
    forms::{NewPriceRule, PassedOver, PriceRulePatch, Simulated, WouldPropose},
    jobs::running,
    look::{ACTOR, Looked, Which, look, zone},
    model::{PriceRule, PriceRuleCommand, PriceRuleState, Sight},
    store,
};
use crate::{
    channels::Directory,
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    jobs,
    kernel::{
        Actor, Instant,
        ids::{JobId, PriceRuleId},
    },
    pricing::{
        self,
        rates::{ListKind, PriceList},
    },
};

/// What an actor may see of rules; `None` is all.
///
/// # Errors
/// What the database says.
pub(super) fn sight(tx: &mut Tx, actor: &Actor) -> Result<Option<Sight>> {
    let Some(channels) = actor.channels() else { return Ok(None) };
    let lists = pricing::price_lists(tx, actor)?.into_iter().map(|list| list.id).collect();
    Ok(Some(Sight { lists, channels: channels.to_vec() }))
}

/// A rule that an actor may see.
///
/// # Errors
/// `not_found`.
pub(super) fn find(tx: &mut Tx, actor: &Actor, id: PriceRuleId) -> Result<PriceRule> {
    let sight = sight(tx, actor)?;
    let seen = |rule: &PriceRule| sight.as_ref().is_none_or(|sight| sight.sees(rule));
    store::find(tx, id)?.filter(seen).ok_or_else(|| Error::not_found("price rule"))
}

fn changeable(tx: &mut Tx, actor: &Actor, id: PriceRuleId) -> Result<PriceRule> {
    let rule = find(tx, actor, id)?;
    pricing::may_change(actor, rule.list_channel)?;
    Ok(rule)
}

/// A page of the rules that an actor may see, the newest first.
pub(super) fn page(
    tx: &mut Tx,
    actor: &Actor,
    state: Option<PriceRuleState>,
    before: Option<PriceRuleId>,
    limit: i64,
) -> Result<Vec<PriceRule>> {
    let sight = sight(tx, actor)?;
    store::page(tx, (state, sight.as_ref()), before, limit)
}

/// Makes a rule: a draft.
///
/// # Errors
/// `duplicate` when the code is taken; `not_found` for a list or a channel; `invalid_value`; `scope_missing`.
pub(super) fn create(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    directory: &Directory,
    id: PriceRuleId,
    new: &NewPriceRule,
) -> Result<PriceRule> {
    let lists = pricing::price_lists(tx, actor)?;
    let named = |code: &str, pointer: &str| {
        let missing = || Error::not_found("price list").at(pointer);
        lists.iter().find(|list| list.code == code).ok_or_else(missing)
    };
    let (list, reference) = (named(&new.price_list, "/price_list")?, named(&new.reference_list, "/reference_list")?);
    pricing::may_change(actor, list.channel)?;
    fit(new, list, reference)?;
    if let Some(channel) = new.channel_id {
        let seen = directory.knows(channel) && actor.sees_channel(channel);
        if !seen {
            return Err(Error::not_found("channel").at("/channel_id"));
        }
    }
    let rule = new.build(id, now, (list, reference))?;
    on_duplicate(store::insert(tx, &rule), || {
        let detail = format!("there is a price rule with the code `{}` already", rule.code);
        Error::problem(Code::Duplicate, detail).at("/code")
    })?;
    Ok(rule)
}

/// Whether a rule can work on a list and reckon from another.
fn fit(new: &NewPriceRule, list: &PriceList, reference: &PriceList) -> Result<()> {
    if !matches!(list.kind, ListKind::Sale | ListKind::Base) {
        return Err(Error::invalid("/price_list", "expected a list of the kind `sale` or `base`"));
    }
    if reference.kind == ListKind::Cost {
        return Err(Error::invalid(
            "/reference_list",
            "what goods have cost is no price: use `guard_rails.floor_margin`",
        ));
    }
    if reference.currency != list.currency {
        let detail = format!("expected a list in {}, the currency of `price_list`", list.currency);
        return Err(Error::invalid("/reference_list", detail));
    }
    if list.channel.is_some() && new.channel_id.is_some_and(|channel| Some(channel) != list.channel) {
        return Err(Error::invalid("/channel_id", "expected the channel of `price_list`, or none"));
    }
    match (list.id == reference.id, new.compounding) {
        (true, false) => {
            let detail = "a rule that reckons from what it makes itself changes prices again and again: name another list, or say \
                          that this is meant";
            Err(Error::invalid("/compounding", detail))
        }
        (false, true) => Err(Error::invalid("/compounding", "expected the same list twice")),
        _ => Ok(()),
    }
}

/// Changes a rule. `expected` is the version that the caller has seen. One that is active looks at its goods again soon.
///
/// # Errors
/// `not_found`; `version_stale`; `state_conflict` when it is over; `invalid_value`.
pub(super) fn update(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    id: PriceRuleId,
    expected: Option<i64>,
    patch: &PriceRulePatch,
) -> Result<PriceRule> {
    let mut rule = changeable(tx, actor, id)?;
    if expected.is_some_and(|expected| expected != rule.version) {
        return Err(Error::stale("price rule", rule.version));
    }
    if rule.state == PriceRuleState::Ended {
        return Err(Error::conflict("a price rule that is over is not changed any more: make another one"));
    }
    patch.apply(&mut rule, now)?;
    rule.next_run_at = rule.next_run_at.map(|_| now);
    write(tx, &mut rule)?;
    Ok(rule)
}

fn write(tx: &mut Tx, rule: &mut PriceRule) -> Result<()> {
    if !store::update(tx, rule, rule.version)? {
        return Err(Error::overtaken("the price rule"));
    }
    rule.version += 1;
    Ok(())
}

/// Activates, pauses or ends a rule. What was asked for already is answered again and changes nothing.
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn command(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    id: PriceRuleId,
    command: PriceRuleCommand,
) -> Result<PriceRule> {
    let mut rule = changeable(tx, actor, id)?;
    let state = rule.state.apply(command)?;
    if state == rule.state {
        return Ok(rule);
    }
    (rule.state, rule.updated_at) = (state, now);
    rule.next_run_at = (state == PriceRuleState::Active).then_some(now);
    write(tx, &mut rule)?;
    if state == PriceRuleState::Ended {
        store::outdate_all(tx, (now, &actor.label()), id)?;
    }
    Ok(rule)
}

/// Has a rule look at all its goods now. `job` is a fresh id. Where it is about to already, that will do.
///
/// # Errors
/// `not_found`; `state_conflict` when it is not active.
pub(super) fn request_run(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    id: PriceRuleId,
    job: JobId,
) -> Result<PriceRule> {
    let rule = changeable(tx, actor, id)?;
    if rule.state != PriceRuleState::Active {
        return Err(Error::conflict("only an active price rule is run: activate it, or simulate it"));
    }
    if !jobs::is_queued(tx, &super::jobs::key(id))? {
        jobs::enqueue(tx, now, vec![running(job, now, id)])?;
    }
    Ok(rule)
}

/// Looks at some articles of a rule in whatever state, and writes nothing.
///
/// # Errors
/// `not_found`.
pub(super) fn try_out(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    directory: &Directory,
    id: PriceRuleId,
    which: Which,
) -> Result<Looked> {
    let rule = find(tx, actor, id)?;
    let when = When { now, zone: zone(directory, &rule) };
    look(tx, rule, which, when)
}

/// So many of each kind are shown of a simulation.
const SHOWN: usize = 200;

impl Simulated {
    /// Adds what a look came to. `named` tells whether its articles were asked for by name.
    pub(super) fn add(&mut self, looked: Looked, named: bool) {
        for article in looked.articles {
            let sku = article.sku;
            let decided = match article.decided {
                None if !named => continue,
                None => Err(pricing::model::Step::new("not_selected", "it is not among the rule's goods")),
                Some(decided) => decided,
            };
            self.looked_at += 1;
            match decided {
                Ok(proposed) => {
                    self.proposes += 1;
                    let super::model::Proposed { from, to, explanation } = proposed;
                    if self.proposals.len() < SHOWN {
                        self.proposals.push(WouldPropose { sku, from, to, explanation });
                    }
                }
                Err(reason) => {
                    *self.passes_over.entry(reason.code.clone()).or_default() += 1;
                    if self.passed_over.len() < SHOWN {
                        self.passed_over.push(PassedOver { sku, reason });
                    }
                }
            }
        }
    }
}

/// The rules whose time has come are given their next, and a job each. `ids` are fresh ones.
///
/// # Errors
/// What the database says.
pub(super) fn begin_due(tx: &mut Tx, now: Instant, ids: &[JobId]) -> Result<usize> {
    let most = i64::try_from(ids.len()).map_err(Error::internal)?;
    let due = store::due(tx, now, most)?;
    if due.is_empty() {
        return Ok(0);
    }
    let next = |rule: &PriceRule| now.plus_seconds(60 * rule.terms.every_minutes);
    let turns: Vec<_> = due.iter().map(|rule| (rule, next(rule))).collect();
    let taken = store::take_turns(tx, &turns)?;
    let begun = taken.iter().zip(ids).map(|(rule, job)| running(*job, now, *rule)).collect();
    jobs::enqueue(tx, now, begun)?;
    tracing::debug!(rules = taken.len(), actor = ACTOR.label(), "price rules look at their goods");
    Ok(taken.len())
}
