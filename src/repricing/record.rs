//! Writing down what a look came to, and applying prices. Locks are taken in one order: the rule, its list, its proposals, the
//! counters of the day; so no two of these wait for each other in a circle.

use std::collections::{BTreeSet, HashMap};

use super::{
    decide::When,
    look::{ACTOR, Article, Lists, Looked, is_as_made},
    model::{PriceRule, PriceRuleMode, PriceRuleState, Proposal, ProposalState, Proposed, RunSummary},
    store::{self, Counted, NewProposal},
};
use crate::{
    db::Tx,
    error::{Error, Result},
    kernel::{
        Actor, Id, Instant, Per, Quantity, UnitPrice,
        ids::{PriceChangeId, PriceProposalId, VariantId},
        text::Sku,
    },
    pricing::{self, By, PriceChange, PriceEntry, rates::PriceRow},
};

/// Ids for what is written, made outside of the transaction.
#[derive(Debug, Clone)]
pub(super) struct Fresh {
    pub proposals: Vec<PriceProposalId>,
    pub changes: Vec<PriceChangeId>,
}

impl Fresh {
    /// Enough for so many articles.
    pub fn of(articles: usize) -> Self {
        let proposals = std::iter::repeat_with(Id::new).take(articles).collect();
        Self { proposals, changes: std::iter::repeat_with(Id::new).take(articles).collect() }
    }
}

/// A price of a list that is to become another. `row` is what it is.
pub(super) struct Change<'a> {
    pub sku: &'a str,
    pub row: Option<&'a PriceRow>,
    pub to: UnitPrice,
}

/// Has pricing change prices of a rule's list, with their history, which names the rule.
pub(super) fn apply(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    rule: &PriceRule,
    changes: &[Change<'_>],
    ids: &[PriceChangeId],
) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let entry = |change: &Change<'_>| PriceEntry {
        sku: Sku::kept(change.sku.to_owned()),
        min_quantity: Quantity::ONE,
        unit_price: change.to,
        per: Per::ONE,
        valid_from: change.row.and_then(|row| row.valid_from),
        valid_until: change.row.and_then(|row| row.valid_until),
    };
    let change = PriceChange { rows: changes.iter().map(entry).collect(), remove: Vec::new() };
    let reference = format!("price-rule:{}", rule.code);
    let by = By { now, actor, reference: Some(&reference) };
    pricing::change_prices(tx, by, rule.list, &change, ids).map(|_| ())
}

/// What becomes of the articles of a look.
#[derive(Default)]
struct Outcome<'a> {
    summary: RunSummary,
    /// Open proposals that are decided by it.
    decided: Vec<(PriceProposalId, ProposalState, Option<String>)>,
    /// What is proposed anew.
    fresh: Vec<(&'a Article, &'a Proposed)>,
}

/// How things stand with an article when its look is written down.
struct Standing<'a> {
    /// The rule's open proposal for it.
    open: Option<&'a Proposal>,
    /// Whether the prices are not those any more that the rule has seen.
    moved: bool,
    /// Whether somebody has rejected just this.
    rejected: bool,
}

impl<'a> Outcome<'a> {
    fn pass_over(&mut self, code: &str) {
        *self.summary.passed_over.entry(code.to_owned()).or_default() += 1;
    }

    fn end(&mut self, open: Option<&Proposal>, state: ProposalState) {
        self.decided.extend(open.map(|open| (open.id, state, None)));
    }

    fn take(&mut self, article: &'a Article, mode: PriceRuleMode, Standing { open, moved, rejected }: Standing<'_>) {
        self.summary.looked_at += i64::from(article.decided.is_some());
        match &article.decided {
            None => self.end(open, ProposalState::Stale),
            Some(Err(step)) => {
                self.pass_over(&step.code);
                self.end(open, ProposalState::Stale);
            }
            // The next run sees them.
            Some(Ok(_)) if moved => self.pass_over("moved"),
            Some(Ok(_)) if rejected && mode == PriceRuleMode::Propose => {
                self.pass_over("rejected");
                self.end(open, ProposalState::Stale);
            }
            Some(Ok(proposed)) => {
                let same = |open: &Proposal| (open.proposed.from, open.proposed.to) == (proposed.from, proposed.to);
                let reference = |open: &Proposal| open.proposed.explanation.reference == proposed.explanation.reference;
                if mode == PriceRuleMode::Propose && open.is_some_and(|open| same(open) && reference(open)) {
                    self.summary.kept += 1;
                } else {
                    self.end(open, ProposalState::Superseded);
                    self.fresh.push((article, proposed));
                }
            }
        }
    }
}

/// Writes down what a look came to: its proposals, or in the mode `apply` its prices. `None` when the rule has changed since it was
/// looked at, or proposes nothing any more: nothing is written then.
pub(super) fn record(tx: &mut Tx, looked: &Looked, when: When, fresh: &Fresh) -> Result<Option<RunSummary>> {
    let rule = store::lock(tx, looked.rule.id)?;
    let same = |rule: &PriceRule| rule.version == looked.rule.version && rule.state == PriceRuleState::Active;
    let Some(rule) = rule.filter(same) else { return Ok(None) };
    pricing::hold_lists(tx, &BTreeSet::from([rule.list]))?;
    let all: Vec<VariantId> = looked.articles.iter().map(|article| article.variant).collect();
    let open: HashMap<VariantId, Proposal> =
        store::open_of(tx, rule.id, &all)?.into_iter().map(|open| (open.variant, open)).collect();
    let proposing = looked.articles.iter().filter(|article| matches!(article.decided, Some(Ok(_))));
    let proposing: Vec<VariantId> = proposing.map(|article| article.variant).collect();
    let (lists, prices) = (Lists::read(tx)?, pricing::prices(tx, &proposing)?);
    let rejected = store::rejected(tx, (rule.id, rule.version), &proposing)?;
    let mut outcome = Outcome::default();
    for article in &looked.articles {
        let rows = prices.get(&article.variant).map(Vec::as_slice).unwrap_or_default();
        let (row, reference) = lists.seen((rule.list, rule.reference), rows, when.now)?;
        let mut standing = Standing { open: open.get(&article.variant), moved: false, rejected: false };
        if let Some(Ok(proposed)) = &article.decided {
            standing.moved = !is_as_made(row, reference, proposed);
            standing.rejected = rejected.contains(&amounts(article.variant, proposed));
        }
        outcome.take(article, rule.terms.mode, standing);
    }
    let Outcome { mut summary, decided, fresh: new } = outcome;
    if store::decide(tx, (when.now, &ACTOR.label()), &decided)? != decided.len() {
        return Err(Error::overtaken("a proposal"));
    }
    match rule.terms.mode {
        PriceRuleMode::Propose => {
            summary.proposed = i64::try_from(new.len()).map_err(Error::internal)?;
            insert(tx, &rule, (ProposalState::Open, when), &new, fresh)?;
        }
        PriceRuleMode::Apply => {
            let (granted, refused) = count(tx, &rule, when, new)?;
            if refused > 0 {
                summary.passed_over.insert("changes_per_day".to_owned(), refused);
            }
            summary.applied = i64::try_from(granted.len()).map_err(Error::internal)?;
            insert(tx, &rule, (ProposalState::Applied, when), &granted, fresh)?;
            let mut changes = Vec::with_capacity(granted.len());
            for (article, proposed) in &granted {
                let rows = prices.get(&article.variant).map(Vec::as_slice).unwrap_or_default();
                let (row, _) = lists.seen((rule.list, rule.reference), rows, when.now)?;
                changes.push(Change { sku: &article.sku, row, to: proposed.to });
            }
            apply(tx, (when.now, &ACTOR), &rule, &changes, &fresh.changes)?;
        }
    }
    Ok(Some(summary))
}

fn amounts(variant: VariantId, proposed: &Proposed) -> (VariantId, Option<i64>, i64, i64) {
    let Proposed { from, to, explanation } = proposed;
    (variant, from.map(UnitPrice::scaled), to.scaled(), explanation.reference.scaled())
}

type New<'a> = (&'a Article, &'a Proposed);

/// Counts the changes of the day; gives those that there may be, and how many there may not be.
fn count<'a>(tx: &mut Tx, rule: &PriceRule, when: When, new: Vec<New<'a>>) -> Result<(Vec<New<'a>>, i64)> {
    let counted = |(article, _): &New<'a>| Counted {
        list: rule.list,
        variant: article.variant,
        day: when.today().to_string(),
        most: rule.terms.guard_rails.changes_per_day,
    };
    let granted = store::count(tx, new.iter().map(counted).collect())?;
    let (granted, refused): (Vec<_>, Vec<_>) =
        new.into_iter().partition(|(article, _)| granted.contains(&(rule.list, article.variant)));
    Ok((granted, i64::try_from(refused.len()).map_err(Error::internal)?))
}

fn insert(
    tx: &mut Tx,
    rule: &PriceRule,
    (state, when): (ProposalState, When),
    new: &[New<'_>],
    fresh: &Fresh,
) -> Result<()> {
    let applied = state == ProposalState::Applied;
    let proposal = |(id, (article, proposed)): (&PriceProposalId, &New<'_>)| Proposal {
        id: *id,
        rule: rule.id,
        rule_version: rule.version,
        list: rule.list,
        variant: article.variant,
        sku: article.sku.clone(),
        state,
        proposed: (*proposed).clone(),
        decided_by: applied.then(|| ACTOR.label()),
        decided_at: applied.then_some(when.now),
        created_at: when.now,
    };
    if fresh.proposals.len() < new.len() {
        return Err(Error::internal("a proposal has no id"));
    }
    let made: Vec<Proposal> = fresh.proposals.iter().zip(new).map(proposal).collect();
    let day = applied.then(|| when.today().to_string());
    let rows: Vec<NewProposal<'_>> = made.iter().map(|proposal| NewProposal { proposal, day: day.clone() }).collect();
    store::insert_proposals(tx, &rows)
}
