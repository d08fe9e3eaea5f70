//! Proposals that people decide.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use super::{
    decide::When,
    forms::{Decided, NotDecided, ProposalQuery},
    look::{Lists, is_as_made, keeps, zone},
    model::{PriceRule, Proposal, ProposalCommand, ProposalState},
    record::{Change, Fresh, apply},
    service::{self, sight},
    store::{self, Counted, Filter},
};
use crate::{
    catalog,
    channels::Directory,
    db::Tx,
    error::{Code, Error, Result},
    kernel::{
        Actor, Instant,
        ids::{PriceListId, PriceProposalId, PriceRuleId, VariantId},
    },
    pricing::{self, rates::PriceRow},
};

/// A page of the proposals that an actor may see, the newest first.
///
/// # Errors
/// `sku_unknown`.
pub(super) fn page(
    tx: &mut Tx,
    actor: &Actor,
    query: &ProposalQuery,
    before: Option<PriceProposalId>,
    limit: i64,
) -> Result<Vec<Proposal>> {
    let variant = match &query.sku {
        None => None,
        Some(sku) => {
            let unknown = || Error::problem(Code::SkuUnknown, format!("there is no SKU `{sku}`")).at("sku");
            let known = catalog::ids_of(tx, std::slice::from_ref(sku))?;
            Some(known.get(sku).copied().ok_or_else(unknown)?)
        }
    };
    let sight = sight(tx, actor)?;
    store::proposals_page(tx, &Filter { state: query.state, rule: query.rule_id, variant, sight }, before, limit)
}

/// A proposal that an actor may see.
///
/// # Errors
/// `not_found`.
pub(super) fn find(tx: &mut Tx, actor: &Actor, id: PriceProposalId) -> Result<Proposal> {
    let missing = || Error::not_found("price proposal");
    let proposal = store::proposals_by_ids(tx, &[id], false)?.pop().ok_or_else(missing)?;
    service::find(tx, actor, proposal.rule).map(|_| proposal).map_err(|error| match error.code() {
        Code::NotFound => missing(),
        _ => error,
    })
}

/// What is decided: the proposals that are open, locked with their rules and lists, and what is told of the others.
struct Deciding {
    open: Vec<Proposal>,
    rules: HashMap<PriceRuleId, PriceRule>,
    told: Decided,
}

impl Deciding {
    fn begin(tx: &mut Tx, actor: &Actor, ids: &[PriceProposalId], command: ProposalCommand) -> Result<Self> {
        let wanted: BTreeSet<PriceProposalId> = ids.iter().copied().collect();
        let wanted: Vec<PriceProposalId> = wanted.into_iter().collect();
        let found = store::proposals_by_ids(tx, &wanted, false)?;
        let rules: BTreeSet<PriceRuleId> = found.iter().map(|proposal| proposal.rule).collect();
        // Nobody changes what a rule keeps within while it is being kept to. Rules before lists, and lists before proposals, as a run does.
        let rules = store::lock_all(tx, &rules.into_iter().collect::<Vec<_>>())?;
        let rules: HashMap<PriceRuleId, PriceRule> = rules.into_iter().map(|rule| (rule.id, rule)).collect();
        let mut deciding = Self { open: Vec::new(), rules, told: Decided::default() };
        let sight = sight(tx, actor)?;
        let seen = |rule: &PriceRule| sight.as_ref().is_none_or(|sight| sight.sees(rule));
        let seen = |proposal: &&Proposal| deciding.rules.get(&proposal.rule).is_some_and(seen);
        let known: HashSet<PriceProposalId> = found.iter().filter(seen).map(|one| one.id).collect();
        for id in wanted.iter().filter(|id| !known.contains(id)) {
            deciding.fail(*id, &Error::not_found("price proposal"));
        }
        let mine = deciding.mine(actor, found.iter().filter(|one| known.contains(&one.id)));
        let lists: BTreeSet<PriceListId> =
            found.iter().filter(|one| mine.contains(&one.id)).map(|one| one.list).collect();
        pricing::hold_lists(tx, &lists)?;
        for proposal in store::proposals_by_ids(tx, &mine, true)? {
            match proposal.state.apply(command) {
                Err(error) => deciding.fail(proposal.id, &error),
                Ok(_) if proposal.state == ProposalState::Open => deciding.open.push(proposal),
                Ok(_) => deciding.told.done += 1,
            }
        }
        Ok(deciding)
    }

    /// Those that the actor may decide; of the others is told why not.
    fn mine<'p>(&mut self, actor: &Actor, found: impl Iterator<Item = &'p Proposal>) -> Vec<PriceProposalId> {
        let mut mine = Vec::new();
        for proposal in found {
            let channel = self.rules.get(&proposal.rule).and_then(|rule| rule.list_channel);
            match pricing::may_change(actor, channel) {
                Ok(()) => mine.push(proposal.id),
                Err(error) => self.fail(proposal.id, &error),
            }
        }
        mine
    }

    fn fail(&mut self, id: PriceProposalId, error: &Error) {
        self.fail_as(id, error.code().as_str(), error.to_string());
    }

    fn fail_as(&mut self, id: PriceProposalId, code: &str, detail: String) {
        self.told.failed += 1;
        self.told.errors.push(NotDecided { id, code: code.to_owned(), detail });
    }
}

/// Rejects open proposals.
///
/// # Errors
/// What the database says: what is wrong with a proposal is told with it.
pub(super) fn reject(tx: &mut Tx, now: Instant, actor: &Actor, ids: &[PriceProposalId]) -> Result<Decided> {
    let Deciding { open, mut told, .. } = Deciding::begin(tx, actor, ids, ProposalCommand::Reject)?;
    let decided: Vec<_> = open.iter().map(|one| (one.id, ProposalState::Rejected, None)).collect();
    write(tx, (now, actor), &decided)?;
    told.done += i64::try_from(decided.len()).map_err(Error::internal)?;
    Ok(told)
}

type Decisions = [(PriceProposalId, ProposalState, Option<String>)];

/// They are locked, so that all of them are open still.
fn write(tx: &mut Tx, (now, actor): (Instant, &Actor), decided: &Decisions) -> Result<()> {
    match store::decide(tx, (now, &actor.label()), decided)? == decided.len() {
        true => Ok(()),
        false => Err(Error::overtaken("a proposal")),
    }
}

/// Approves open proposals: those become prices whose price and reference are what they were made from. The others are stale; what
/// was changed as often as it may be today stays open. Of several for one price one becomes it.
///
/// # Errors
/// What the database says: what is wrong with a proposal is told with it.
pub(super) fn approve(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    directory: &Directory,
    ids: &[PriceProposalId],
    fresh: &Fresh,
) -> Result<Decided> {
    let mut deciding = Deciding::begin(tx, actor, ids, ProposalCommand::Approve)?;
    let mut open = std::mem::take(&mut deciding.open);
    // Of several for one price that whose rule allows the most changes goes first: where it may not, none of them may.
    open.sort_by_key(|one| Reverse(deciding.rules.get(&one.rule).map(|rule| rule.terms.guard_rails.changes_per_day)));
    let (sound, mut stale) = sound(tx, now, directory, (&open, &deciding.rules))?;
    let mut taken: HashSet<(PriceListId, VariantId)> = HashSet::new();
    let (sound, behind): (Vec<_>, Vec<_>) = sound.into_iter().partition(|one| taken.insert(one.price()));
    let counted = store::count(tx, sound.iter().map(Sound::counted).collect())?;
    let is_counted = |one: &Sound<'_>| counted.contains(&one.price());
    let (granted, mut refused): (Vec<_>, Vec<_>) = sound.into_iter().partition(is_counted);
    // The one that becomes the price makes the others stale; where none does, the price is what it was.
    let (late, refused_too): (Vec<_>, Vec<_>) = behind.into_iter().partition(is_counted);
    stale.extend(late.iter().map(|one| one.proposal.id));
    refused.extend(refused_too);
    for Sound { proposal, rule, day, .. } in refused {
        let most = rule.terms.guard_rails.changes_per_day;
        let detail =
            format!("the price was changed {most} times on {day}, as often as the rule allows: approve it tomorrow");
        deciding.fail_as(proposal.id, "changes_per_day", detail);
    }
    let mut decided = Vec::new();
    for id in stale {
        decided.push((id, ProposalState::Stale, None));
        let detail = "the price, what it was reckoned from or what it must keep to is not what it was: see what the rule proposes now";
        deciding.fail_as(id, "stale", detail.to_owned());
    }
    decided.extend(granted.iter().map(|one| (one.proposal.id, ProposalState::Applied, Some(one.day.clone()))));
    write(tx, (now, actor), &decided)?;
    deciding.told.done += i64::try_from(granted.len()).map_err(Error::internal)?;
    apply_all(tx, (now, actor), &granted, fresh)?;
    Ok(deciding.told)
}

/// The proposals whose price and reference are what they were made from, and the ids of the others.
fn sound<'a>(
    tx: &mut Tx,
    now: Instant,
    directory: &Directory,
    (open, rules): (&'a [Proposal], &HashMap<PriceRuleId, PriceRule>),
) -> Result<(Vec<Sound<'a>>, Vec<PriceProposalId>)> {
    let variants: Vec<VariantId> = open.iter().map(|proposal| proposal.variant).collect();
    let (lists, prices) = (Lists::read(tx)?, pricing::prices(tx, &variants)?);
    let (mut sound, mut stale) = (Vec::new(), Vec::new());
    for proposal in open {
        let Some(rule) = rules.get(&proposal.rule) else { continue };
        let rows = prices.get(&proposal.variant).map(Vec::as_slice).unwrap_or_default();
        let (row, reference) = lists.seen((rule.list, rule.reference), rows, now)?;
        if is_as_made(row, reference, &proposal.proposed) && keeps(rule, &lists, rows, &proposal.proposed, now)? {
            let day = When { now, zone: zone(directory, rule) }.today().to_string();
            sound.push(Sound { proposal, rule: rule.clone(), row: row.cloned(), day });
        } else {
            stale.push(proposal.id);
        }
    }
    Ok((sound, stale))
}

/// A proposal whose price is what it was made from.
struct Sound<'a> {
    proposal: &'a Proposal,
    rule: PriceRule,
    row: Option<PriceRow>,
    day: String,
}

impl Sound<'_> {
    const fn price(&self) -> (PriceListId, VariantId) {
        (self.proposal.list, self.proposal.variant)
    }

    fn counted(&self) -> Counted {
        let most = self.rule.terms.guard_rails.changes_per_day;
        Counted { list: self.proposal.list, variant: self.proposal.variant, day: self.day.clone(), most }
    }

    fn change(&self) -> Change<'_> {
        Change { sku: &self.proposal.sku, row: self.row.as_ref(), to: self.proposal.proposed.to }
    }
}

/// Applies what was approved, rule by rule: the history names each price's rule.
fn apply_all(tx: &mut Tx, by: (Instant, &Actor), granted: &[Sound<'_>], fresh: &Fresh) -> Result<()> {
    let mut by_rule: BTreeMap<PriceRuleId, Vec<&Sound<'_>>> = BTreeMap::new();
    for one in granted {
        by_rule.entry(one.rule.id).or_default().push(one);
    }
    let mut ids = fresh.changes.as_slice();
    for of_rule in by_rule.into_values() {
        let Some(first) = of_rule.first() else { continue };
        let changes: Vec<Change<'_>> = of_rule.iter().map(|one| one.change()).collect();
        let (own, rest) = ids.split_at_checked(changes.len()).ok_or_else(|| Error::internal("a change has no id"))?;
        ids = rest;
        apply(tx, by, &first.rule, &changes, own)?;
    }
    Ok(())
}
