//! The price before a reduction, which whoever announces one has to show beside it: Directive 98/6/EC, Article 6a (put in by
//! Directive (EU) 2019/2161). Pure: the history of prices goes in.
//!
//! - A reduction is a price of a list of the kind `sale`. It begins with the first of its prices that is lower than what applied
//!   before, however many followed it without a day at another price, as long as each was as low or lower: of a reduction that
//!   progresses, the price before it is that before its first step (Article 6a (5)). A price that rises within a sale begins another
//!   reduction.
//! - The price before it is the lowest that applied, to everybody and for a single piece, in the 30 days before it begins to apply
//!   (Article 6a (2)); where it was announced before it begins, from 30 days before that on; where goods have been sold for less
//!   long, in that time (Article 6a (4)).
//! - Of goods that perish soon it is the price that applied last before it (Article 6a (3) leaves that to member states).
//! - What a promotion that everybody gets made of a price, for a single piece, is a price that applied in that time, and a reduction
//!   that was announced: a sale that goes on falling from it goes on from it.
//! - What comes into a sale after that was announced is measured from when it applies.
//! - What has not been sold before has none, and is not shown as reduced.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{
    history::{
        lists::ListChange,
        model::{Difference, Key, Price},
    },
    model::Buyer,
    promotions::{self, Compiled, Described, Listed},
    rates::{self, Asking, ListKind, PriceList, PriceRow},
};
use crate::kernel::{
    Currency, Instant, PricePer, Quantity, Rounding,
    ids::{ChannelId, PriceListId, VariantId},
};

#[cfg(test)]
mod tests;

const DAY: i64 = 86_400;
/// How far back the lowest price is looked for.
const LOOK_BACK_SECONDS: i64 = 30 * DAY;
/// How far back the beginning of a reduction is looked for.
pub const HORIZON_SECONDS: i64 = 730 * DAY;

/// A change of a price that was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// What changed.
    pub(super) change: Difference,
    /// When.
    pub(super) at: Instant,
}

/// What is known of the prices of one article in one channel and currency.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The price lists of the channel as they are.
    pub lists: &'a [Arc<PriceList>],
    /// The article's prices as they are.
    pub rows: &'a [PriceRow],
    /// Its changes since an instant, the newest first.
    pub changes: &'a [Recorded],
    /// The changes of the lists themselves since then, the newest first.
    pub list_changes: &'a [ListChange],
    /// When promotions went on that everybody got and that may be for it, in the order in which they go.
    pub runs: &'a [&'a Compiled],
    /// What promotions know of it.
    pub described: Described<'a>,
    /// How a fraction of a minor unit is decided about there.
    pub rounding: Rounding,
    /// Since when: what was before is not looked at.
    pub since: Instant,
    /// The channel.
    pub channel: ChannelId,
    /// The currency.
    pub currency: Currency,
    /// The article.
    pub variant: VariantId,
}

/// A price that applied from an instant on, until the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Applied {
    from: Instant,
    /// What a single piece cost, reduced by the promotions that everybody got; `None` where it was not sold.
    price: Option<PricePer>,
    /// What its list said.
    listed: Option<PricePer>,
    /// Whether it was a price of a sale, or reduced for everybody; with the announcement of what began with its list.
    sale: Option<Option<Instant>>,
}

/// A price that was raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raise {
    /// When.
    pub at: Instant,
    /// What it was.
    pub from: PricePer,
    /// What it became.
    pub to: PricePer,
}

/// A reduction, as it may be announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reduction {
    /// The price now.
    pub price: PricePer,
    /// The price to be shown beside it; `None` where it was not sold before.
    pub prior: Option<PricePer>,
    /// What applied right before it.
    pub last: Option<PricePer>,
    /// Since when it applies.
    pub since: Instant,
    /// When the price was last raised in the time that is looked at, if it was.
    pub raised: Option<Raise>,
    /// From when on prices were looked at, or would have to be to know where it begins: where that is before what is known, there
    /// may have been others.
    pub looked_at_from: Instant,
}

impl Reduction {
    /// The price that is shown beside it; `None` where it is not lower than that.
    #[must_use]
    pub fn shown(&self) -> Option<PricePer> {
        let prior = self.prior.filter(|prior| prior.by_piece(self.price).is_gt())?;
        // For as many pieces as the price is, where that is exact: then the two can be looked at side by side.
        Some(prior.for_pieces(self.price.per).unwrap_or(prior))
    }

    /// By how many whole per cent the price is lower than the one before it, cut off and never rounded up; `None` where that is
    /// less than one, or there is nothing to compare it with.
    #[must_use]
    pub fn percent(&self) -> Option<i64> {
        whole_percent(self.prior?, self.price)
    }
}

/// By how many whole per cent a price is lower than another, cut off; `None` where that is less than one.
pub(super) fn whole_percent(from: PricePer, to: PricePer) -> Option<i64> {
    to.percent_below(from).filter(|percent| *percent >= 1)
}

impl Known<'_> {
    /// The reduction that a single piece is sold at; `None` where its price is not one of a sale.
    #[must_use]
    pub fn reduction(&self, at: Instant, perishable: bool) -> Option<Reduction> {
        let applied = self.applied(self.since, at);
        let now = applied.last()?;
        // What is shown beside is the price of the list, whatever else is taken off it now.
        let (price, _) = (now.listed?, now.sale?);
        let (chain, begins) = begin(&applied);
        let first = applied.get(begins)?;
        let announced = first.sale.flatten().map_or(first.from, |announced| announced.min(first.from));
        let before: Vec<&Applied> = applied.iter().take(begins).collect();
        let last = before.last().and_then(|one| one.price);
        let from = announced.plus_seconds(-LOOK_BACK_SECONDS);
        let prior = if perishable { last } else { lowest(&before, from) };
        let raised = last_raise(&before, from);
        // Where its steps go back to the beginning of what is known, an earlier one may have been lower than what was before it.
        let looked_at_from = if chain == 0 { from.min(self.since) } else { from };
        Some(Reduction { price, prior, last, since: first.from, raised, looked_at_from })
    }

    /// What a single piece cost before something else than a list took something off it at an instant, so that it costs `price`: a
    /// promotion that is announced to everybody.
    #[must_use]
    pub fn reduced_at(&self, began: Instant, price: PricePer, perishable: bool) -> Reduction {
        let applied = self.applied(self.since, began);
        // What begins together with it was no price before it.
        let before: Vec<&Applied> = applied.iter().filter(|one| one.from < began).collect();
        let last = before.last().and_then(|one| one.price);
        let from = began.plus_seconds(-LOOK_BACK_SECONDS);
        let prior = if perishable { last } else { lowest(&before, from) };
        Reduction { price, prior, last, since: began, raised: last_raise(&before, from), looked_at_from: from }
    }

    /// What a single piece cost from one instant to another, the oldest first.
    fn applied(&self, from: Instant, to: Instant) -> Vec<Applied> {
        let mut there: HashMap<Key, Price> = self.rows.iter().map(|row| (self.key(row), price_of(row))).collect();
        let mut undone = self.changes.iter().peekable();
        let (mut lists, mut lists_undone) = (Cow::Borrowed(self.lists), self.list_changes.iter().peekable());
        let mut applied = Vec::new();
        for at in self.turns(from, to).into_iter().rev() {
            while let Some(recorded) = undone.next_if(|recorded| recorded.at > at) {
                match recorded.change.from {
                    Some(price) => there.insert(recorded.change.key, price),
                    None => there.remove(&recorded.change.key),
                };
            }
            while let Some(change) = lists_undone.next_if(|change| change.at > at) {
                undo(lists.to_mut(), change);
            }
            applied.push(self.at(&lists, &there, at));
        }
        applied.reverse();
        // 12.50 per 100 and 0.125 a piece are the same price.
        applied.dedup_by(|later, earlier| {
            let same = same_price(later.price, earlier.price) && same_price(later.listed, earlier.listed);
            same && later.sale == earlier.sale
        });
        applied
    }

    /// Where another price may begin to apply: at a change, and at the beginnings and ends of what is or was there.
    fn turns(&self, from: Instant, to: Instant) -> BTreeSet<Instant> {
        let of_lists = self.lists.iter().flat_map(|list| [list.valid_from, list.valid_until]).flatten();
        let of_former = self.list_changes.iter().flat_map(|change| {
            let was = change.was.as_ref();
            [Some(change.at), was.and_then(|was| was.valid_from), was.and_then(|was| was.valid_until)]
                .into_iter()
                .flatten()
        });
        let of_rows = self.rows.iter().flat_map(|row| [row.valid_from, row.valid_until]).flatten();
        let of_changes = self.changes.iter().flat_map(|Recorded { change, at }| {
            let ends = [change.from, change.to].map(|price| price.and_then(|price| price.valid_until));
            [Some(*at), change.key.valid_from, ends[0], ends[1]].into_iter().flatten()
        });
        let of_runs = self.runs.iter().flat_map(|run| [run.promotion.valid_from, run.promotion.valid_until]).flatten();
        let all = of_lists.chain(of_former).chain(of_rows).chain(of_changes).chain(of_runs);
        all.filter(|at| (from..=to).contains(at)).chain([from]).collect()
    }

    fn at(&self, lists: &[Arc<PriceList>], there: &HashMap<Key, Price>, at: Instant) -> Applied {
        let row = |(key, price): (&Key, &Price)| PriceRow {
            list: key.list,
            min_quantity: key.min_quantity,
            price: price.in_currency(self.currency),
            valid_from: key.valid_from,
            valid_until: price.valid_until,
        };
        // Customer-public lists only: the price that everybody could buy it at.
        let asking = Asking { channel: self.channel, currency: self.currency, buyer: Buyer::ANYBODY, at };
        // Of this currency only: what a list of another one holds is no price here.
        let own = |key: &Key| self.lists.iter().any(|list| list.id == key.list && list.currency == self.currency);
        let rows: Vec<PriceRow> = there.iter().filter(|(key, _)| own(key)).map(row).collect();
        let won = rates::winner(lists, &rows, asking, Quantity::ONE);
        // What was announced is what the list held then: what came into it later was not.
        let announced = |list: &PriceList| {
            list.announced_at.filter(|announced| list.valid_from == Some(at) && self.held(list.id, *announced))
        };
        let sale = won.and_then(|(list, _)| (list.kind == ListKind::Sale).then(|| announced(list)));
        let listed = won.map(|(_, row)| row.price);
        let reduced = listed.and_then(|price| {
            let cost = rates::cost(lists, &rows, asking);
            self.reduced(Listed { price, cost, reduced: sale.is_some() }, at)
        });
        // What a promotion takes off is announced as such, and began with it.
        Applied { from: at, price: reduced.or(listed), listed, sale: sale.or(reduced.map(|_| None)) }
    }

    /// What the promotions that everybody got have made of a price.
    fn reduced(&self, listed: Listed, at: Instant) -> Option<PricePer> {
        if self.runs.is_empty() {
            return None;
        }
        promotions::reduced_by(self.runs, self.described, listed, (self.channel, at, self.rounding))
    }

    /// Whether a list held a price for a single piece at an instant.
    fn held(&self, list: PriceListId, at: Instant) -> bool {
        let own = |key: &Key| key.list == list && key.min_quantity == Quantity::ONE;
        let rows = self.rows.iter().map(|row| self.key(row));
        let mut there: HashSet<Key> = rows.filter(own).collect();
        let later = self.changes.iter().filter(|recorded| recorded.at > at && own(&recorded.change.key));
        for Recorded { change, .. } in later {
            match change.from {
                Some(_) => there.insert(change.key),
                None => there.remove(&change.key),
            };
        }
        !there.is_empty()
    }

    fn key(&self, row: &PriceRow) -> Key {
        Key { variant: self.variant, list: row.list, min_quantity: row.min_quantity, valid_from: row.valid_from }
    }
}

/// Makes a list be what it was before a change of it. One that was made by it was not there.
fn undo(lists: &mut Vec<Arc<PriceList>>, change: &ListChange) {
    match &change.was {
        Some(was) => {
            lists.iter_mut().filter(|list| list.id == change.list).for_each(|list| was.restore(Arc::make_mut(list)))
        }
        None => lists.retain(|list| list.id != change.list),
    }
}

fn price_of(row: &PriceRow) -> Price {
    Price { amount: row.price.price.scaled(), per: row.price.per, valid_until: row.valid_until }
}

fn same_price(one: Option<PricePer>, other: Option<PricePer>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.by_piece(other).is_eq(),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Where in what applied the steps begin that lead to its end, each as low as the one before it or lower; and where the reduction
/// does: at the first of them that is lower than what applied before it. Where none is, it is the first.
fn begin(applied: &[Applied]) -> (usize, usize) {
    let goes_on = |pair: &[Applied]| match pair {
        [earlier, later] => {
            let (Some(was), Some(becomes)) = (earlier.price, later.price) else { return false };
            earlier.sale.is_some() && was.by_piece(becomes).is_ge()
        }
        _ => false,
    };
    let steps = applied.windows(2).rev().take_while(|pair| goes_on(pair)).count();
    let chain = applied.len().saturating_sub(1 + steps);
    let lower = |pair: &[Applied]| match pair {
        [earlier, later] => earlier.price.zip(later.price).is_some_and(|(was, becomes)| becomes.by_piece(was).is_lt()),
        _ => false,
    };
    // The pair at a place is of that one and the one behind it.
    let first = applied.windows(2).skip(chain.saturating_sub(1)).position(lower);
    (chain, first.map_or(chain, |place| place + chain.saturating_sub(1) + 1))
}

/// The last time that the price rose after an instant.
fn last_raise(before: &[&Applied], after: Instant) -> Option<Raise> {
    let raise = |pair: &[&Applied]| match pair {
        [earlier, later] => {
            let (from, to) = (earlier.price?, later.price?);
            (to.by_piece(from).is_gt() && later.from > after).then_some(Raise { at: later.from, from, to })
        }
        _ => None,
    };
    before.windows(2).rev().find_map(raise)
}

/// The lowest price of those that applied at some time after an instant.
fn lowest(before: &[&Applied], after: Instant) -> Option<PricePer> {
    // The last that began before it applied at it.
    let first = before.iter().rposition(|one| one.from <= after).unwrap_or_default();
    before.iter().skip(first).filter_map(|one| one.price).min_by(|a, b| a.by_piece(*b))
}
