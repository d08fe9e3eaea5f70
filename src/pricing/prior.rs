//! The price before a reduction, which whoever announces one has to show beside it: Directive 98/6/EC, Article 6a (put in by
//! Directive (EU) 2019/2161). Pure: the history of prices goes in.
//!
//! - A reduction is a price of a list of the kind `sale`. It begins when the first of its prices applied, however many followed
//!   it without a day at another price, as long as each was as low or lower: of a reduction that progresses, the price before it
//!   is that before its first step (Article 6a (5)). A price that rises within a sale begins another reduction.
//! - The price before it is the lowest that applied, to everybody and for a single piece, in the 30 days before it was announced
//!   (Article 6a (2)); where goods have been sold for less long, in that time (Article 6a (4)).
//! - Of goods that perish soon it is the price that applied last before it (Article 6a (3) leaves that to member states).
//! - What comes into a sale after it has begun was announced when it came.
//! - What has not been sold before has none, and is not shown as reduced.

use std::collections::{BTreeSet, HashMap};

use super::{
    history::model::{Difference, Key, Price},
    model::Buyer,
    rates::{self, Asking, ListKind, PriceList, PriceRow},
};
use crate::kernel::{
    Currency, Instant, Quantity, UnitPrice,
    ids::{ChannelId, VariantId},
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
    /// All price lists as they are.
    pub lists: &'a [PriceList],
    /// The article's prices as they are.
    pub rows: &'a [PriceRow],
    /// Its changes since an instant, the newest first.
    pub changes: &'a [Recorded],
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
    /// `None` where it was not sold.
    price: Option<UnitPrice>,
    /// Whether it was a price of a sale; with the announcement of what began with its list.
    sale: Option<Option<Instant>>,
}

/// A price that was raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raise {
    /// When.
    pub at: Instant,
    /// What it was.
    pub from: UnitPrice,
    /// What it became.
    pub to: UnitPrice,
}

/// A reduction, as it may be announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reduction {
    /// The price now.
    pub price: UnitPrice,
    /// The price to be shown beside it; `None` where it was not sold before.
    pub prior: Option<UnitPrice>,
    /// What applied right before it was announced.
    pub last: Option<UnitPrice>,
    /// Since when it applies.
    pub since: Instant,
    /// When the price was last raised in the 30 days before it was announced, if it was.
    pub raised: Option<Raise>,
    /// From when on prices were looked at: where that is before what is known, there may have been others.
    pub looked_at_from: Instant,
}

impl Reduction {
    /// The price that is shown beside it; `None` where it is not lower than that.
    #[must_use]
    pub fn shown(&self) -> Option<UnitPrice> {
        self.prior.filter(|_| self.percent().is_some())
    }

    /// By how many whole per cent the price is lower than the one before it, cut off and never rounded up; `None` where it is not
    /// lower, or there is nothing to compare it with.
    #[must_use]
    pub fn percent(&self) -> Option<i64> {
        let (prior, price) = (i128::from(self.prior?.scaled()), i128::from(self.price.scaled()));
        let lower = prior > price && prior > 0;
        lower.then(|| i64::try_from((prior - price) * 100 / prior).unwrap_or_default())
    }
}

impl Known<'_> {
    /// The reduction that a single piece is sold at; `None` where its price is not one of a sale.
    #[must_use]
    pub fn reduction(&self, at: Instant, perishable: bool) -> Option<Reduction> {
        let applied = self.applied(self.since, at);
        let now = applied.last()?;
        let (price, _) = (now.price?, now.sale?);
        let first = applied.get(begin(&applied))?;
        let announced = first.sale.flatten().map_or(first.from, |announced| announced.min(first.from));
        let before: Vec<&Applied> = applied.iter().filter(|one| one.from < announced).collect();
        let last = before.last().and_then(|one| one.price);
        let prior = if perishable { last } else { lowest(&before, announced.plus_seconds(-LOOK_BACK_SECONDS)) };
        let looked_at_from = announced.plus_seconds(-LOOK_BACK_SECONDS);
        let raised = last_raise(&before, looked_at_from);
        Some(Reduction { price, prior, last, since: first.from, raised, looked_at_from })
    }

    /// What a single piece cost from one instant to another, the oldest first.
    fn applied(&self, from: Instant, to: Instant) -> Vec<Applied> {
        let mut there: HashMap<Key, Price> = self.rows.iter().map(|row| (self.key(row), price_of(row))).collect();
        let mut undone = self.changes.iter().peekable();
        let mut applied = Vec::new();
        for at in self.turns(from, to).into_iter().rev() {
            while let Some(recorded) = undone.next_if(|recorded| recorded.at > at) {
                match recorded.change.from {
                    Some(price) => there.insert(recorded.change.key, price),
                    None => there.remove(&recorded.change.key),
                };
            }
            applied.push(self.at(&there, at));
        }
        applied.reverse();
        applied.dedup_by(|later, earlier| (later.price, later.sale) == (earlier.price, earlier.sale));
        applied
    }

    /// Where another price may begin to apply: at a change, and at the beginnings and ends of what is or was there.
    fn turns(&self, from: Instant, to: Instant) -> BTreeSet<Instant> {
        let of_lists = self.lists.iter().flat_map(|list| [list.valid_from, list.valid_until]).flatten();
        let of_rows = self.rows.iter().flat_map(|row| [row.valid_from, row.valid_until]).flatten();
        let of_changes = self.changes.iter().flat_map(|Recorded { change, at }| {
            let ends = [change.from, change.to].map(|price| price.and_then(|price| price.valid_until));
            [Some(*at), change.key.valid_from, ends[0], ends[1]].into_iter().flatten()
        });
        let all = of_lists.chain(of_rows).chain(of_changes).filter(|at| (from..=to).contains(at));
        all.chain([from]).collect()
    }

    fn at(&self, there: &HashMap<Key, Price>, at: Instant) -> Applied {
        let row = |(key, price): (&Key, &Price)| PriceRow {
            list: key.list,
            min_quantity: key.min_quantity,
            price: UnitPrice::from_scaled(price.amount, self.currency),
            valid_from: key.valid_from,
            valid_until: price.valid_until,
        };
        // Customer-public lists only: the price that everybody could buy it at.
        let asking = Asking { channel: self.channel, currency: self.currency, buyer: Buyer::ANYBODY, at };
        // Of this currency only: what a list of another one holds is no price here.
        let own = |key: &Key| self.lists.iter().any(|list| list.id == key.list && list.currency == self.currency);
        let rows: Vec<PriceRow> = there.iter().filter(|(key, _)| own(key)).map(row).collect();
        let won = rates::winner(self.lists, &rows, asking, Quantity::ONE);
        // What was announced is what the list held when it began: what came into it later was not.
        let announced = |list: &PriceList| list.announced_at.filter(|_| list.valid_from == Some(at));
        let sale = won.and_then(|(list, _)| (list.kind == ListKind::Sale).then(|| announced(list)));
        Applied { from: at, price: won.map(|(_, row)| row.price), sale }
    }

    fn key(&self, row: &PriceRow) -> Key {
        Key { variant: self.variant, list: row.list, min_quantity: row.min_quantity, valid_from: row.valid_from }
    }
}

fn price_of(row: &PriceRow) -> Price {
    Price { amount: row.price.scaled(), valid_until: row.valid_until }
}

/// Where in what applied the reduction begins that applies at its end.
fn begin(applied: &[Applied]) -> usize {
    let goes_on = |pair: &[Applied]| match pair {
        [earlier, later] => {
            let (Some(was), Some(becomes)) = (earlier.price, later.price) else { return false };
            earlier.sale.is_some() && was.scaled() >= becomes.scaled()
        }
        _ => false,
    };
    let steps = applied.windows(2).rev().take_while(|pair| goes_on(pair)).count();
    applied.len().saturating_sub(1 + steps)
}

/// The last time that the price rose after an instant.
fn last_raise(before: &[&Applied], after: Instant) -> Option<Raise> {
    let raise = |pair: &[&Applied]| match pair {
        [earlier, later] => {
            let (from, to) = (earlier.price?, later.price?);
            (to.scaled() > from.scaled() && later.from > after).then_some(Raise { at: later.from, from, to })
        }
        _ => None,
    };
    before.windows(2).rev().find_map(raise)
}

/// The lowest price of those that applied at some time after an instant.
fn lowest(before: &[&Applied], after: Instant) -> Option<UnitPrice> {
    // The last that began before it applied at it.
    let first = before.iter().rposition(|one| one.from <= after).unwrap_or_default();
    before.iter().skip(first).filter_map(|one| one.price).min_by_key(|price| price.scaled())
}
