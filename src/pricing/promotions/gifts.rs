//! What a promotion takes off: how much of which line. Pure sums over what earlier promotions have left.

use std::{cmp::Ordering, collections::HashMap};

use rust_decimal::{Decimal, RoundingStrategy};

use super::{
    compiled::{Compiled, Line, Set},
    conditions::{Basket, GiftLine},
    model::{BundleItem, Gift, Off, Percent, Target},
};
use crate::{
    kernel::Money,
    pricing::{
        engine::{share, spread},
        model::Step,
    },
};

/// A line while promotions are taken off it; minor units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// What is left of its price.
    pub left: i64,
    /// What must be left of it.
    pub floor: i64,
    /// Whether a promotion has reduced it.
    pub touched: bool,
    /// Whether none may reduce it any more.
    pub closed: bool,
}

impl Standing {
    const fn free(self) -> i64 {
        if self.left > self.floor { self.left - self.floor } else { 0 }
    }
}

/// What is taken off a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// The place of the line.
    pub at: usize,
    /// How much, in minor units.
    pub off: i64,
}

/// What a promotion would take off.
#[derive(Debug, Clone, Default)]
pub(super) struct Offer {
    pub taken: Vec<Taken>,
    /// The line that is given.
    pub given: Option<GiftLine>,
    /// How many pieces are reduced.
    pub units: i64,
}

impl Offer {
    pub(super) fn total(&self) -> i64 {
        let given = self.given.map_or(0, |line| line.value);
        self.taken.iter().map(|taken| taken.off).fold(given, i64::saturating_add)
    }
}

/// The lines that a gift is reckoned over.
pub(super) struct Reckoning<'a> {
    pub ready: &'a Compiled,
    pub basket: &'a Basket<'a>,
    /// How the lines of the basket stand, floors of this promotion included.
    pub standing: &'a [Standing],
    /// The places of the lines that it is for and may reduce.
    pub goods: &'a [usize],
    /// How many pieces may be reduced.
    pub units: i64,
}

/// So many pieces of the line at a place.
#[derive(Clone, Copy)]
struct Pieces {
    at: usize,
    count: i64,
}

impl Reckoning<'_> {
    /// What the gift takes off.
    ///
    /// # Errors
    /// Why it takes nothing.
    pub(super) fn offer(&self) -> Result<Offer, Step> {
        let offer = match &self.ready.promotion.rule.gift {
            Gift::Percentage { percent, on: Target::Lines } => self.each(|base, _| self.part(base, *percent)),
            Gift::AmountEach { amount } => self.each(|base, count| base.min(amount.minor().saturating_mul(count))),
            Gift::FixedPrice { price } => self.each(|base, count| base - price.minor().saturating_mul(count)),
            Gift::Amount { amount, on: Target::Lines } => self.lines(*amount),
            Gift::Percentage { percent, .. } => self.together(Off::Percent(*percent)),
            Gift::Amount { amount, .. } => self.together(Off::Amount(*amount)),
            Gift::SpendTiers { tiers } => {
                let spent = self.left();
                match tiers.iter().rev().find(|tier| tier.from.minor() <= spent) {
                    Some(tier) => self.together(tier.off),
                    None => {
                        let from = tiers.first().map(|tier| tier.from.to_string()).unwrap_or_default();
                        return Err(Step::new("tier", format!("it is for goods of {from} or more")));
                    }
                }
            }
            Gift::QuantityTiers { tiers } => {
                let pieces = self.pieces();
                match tiers.iter().rev().find(|tier| tier.from <= pieces) {
                    Some(tier) => self.together(tier.off),
                    None => {
                        let from = tiers.first().map_or(0, |tier| tier.from);
                        return Err(Step::new("tier", format!("it is for {from} pieces or more")));
                    }
                }
            }
            Gift::BuyGet { buy, get, percent, times, .. } => {
                let sets = Sets { buy: *buy, get: *get, times: times.unwrap_or(i64::MAX) };
                let reduced = match &self.ready.of {
                    None => self.cheapest_of_each(sets),
                    Some(of) => self.cheapest_of_others(sets, of),
                };
                if reduced.is_empty() {
                    return Err(Step::new("too_few", "there are too few pieces for it"));
                }
                self.reduced(&reduced, |base| self.part(base, *percent))
            }
            Gift::Bundle { items, price, times } => self.bundles(items, *price, times.unwrap_or(i64::MAX))?,
            // Goods are given beside the lines.
            Gift::FixedShipping { .. } | Gift::Goods { .. } => Offer::default(),
        };
        if offer.units > self.units {
            return Err(Step::new("units_used_up", "too few of its pieces are left"));
        }
        Ok(offer)
    }

    fn line(&self, at: usize) -> Option<(&Line<'_>, Standing)> {
        Some((self.basket.lines.get(at)?, *self.standing.get(at)?))
    }

    fn left(&self) -> i64 {
        self.goods.iter().filter_map(|at| self.line(*at)).map(|(_, standing)| standing.left).sum()
    }

    fn pieces(&self) -> i64 {
        self.goods.iter().filter_map(|at| self.line(*at)).map(|(line, _)| line.quantity).sum()
    }

    /// Per cent of an amount, rounded as the channel rounds.
    fn part(&self, base: i64, percent: Percent) -> i64 {
        part(self.basket, base, percent)
    }

    /// Something off each line by what so many of its pieces cost, as far as there are pieces to reduce.
    fn each(&self, off: impl Fn(i64, i64) -> i64) -> Offer {
        let mut offer = Offer::default();
        let mut units = self.units;
        for at in self.goods {
            let Some((line, standing)) = self.line(*at) else { continue };
            let count = line.quantity.min(units);
            if count <= 0 {
                break;
            }
            let base = share(standing.left, 0, count, line.quantity);
            let off = off(base, count).clamp(0, standing.free());
            if off > 0 {
                offer.taken.push(Taken { at: *at, off });
                offer.units += count;
                units -= count;
            }
        }
        offer
    }

    fn lines(&self, amount: Money) -> Offer {
        let taken = self.goods.iter().filter_map(|at| {
            let off = self.line(*at)?.1.free().min(amount.minor());
            (off > 0).then_some(Taken { at: *at, off })
        });
        let taken: Vec<Taken> = taken.collect();
        let units = taken.iter().filter_map(|taken| self.line(taken.at)).map(|(line, _)| line.quantity).sum();
        Offer { taken, units, given: None }
    }

    /// Something off the goods together, spread over their lines.
    fn together(&self, off: Off) -> Offer {
        let wanted = match off {
            Off::Percent(percent) => self.part(self.left(), percent),
            Off::Amount(amount) => amount.minor(),
        };
        let all: Vec<Pieces> = self
            .goods
            .iter()
            .filter_map(|at| Some((*at, self.line(*at)?.0.quantity)))
            .map(|(at, count)| Pieces { at, count })
            .collect();
        self.spread_over(&all, wanted)
    }

    /// An amount spread over lines by what is left of them; none is reduced below its floor.
    fn spread_over(&self, pieces: &[Pieces], wanted: i64) -> Offer {
        let free = |piece: &Pieces| self.line(piece.at).map_or(0, |(_, standing)| standing.free());
        let weights: Vec<i64> = pieces.iter().map(free).collect();
        let wanted = wanted.clamp(0, weights.iter().sum());
        let parts = spread(wanted, &weights);
        let taken =
            pieces.iter().zip(parts).filter(|(_, off)| *off > 0).map(|(piece, off)| Taken { at: piece.at, off });
        let taken: Vec<Taken> = taken.collect();
        let units = if taken.is_empty() { 0 } else { pieces.iter().map(|piece| piece.count).sum() };
        Offer { taken, units, given: None }
    }

    /// Places of lines, the dearest pieces first; those that cost the same in the order of the cart.
    fn dearest_first(&self, places: impl Iterator<Item = usize>) -> Vec<usize> {
        let mut places: Vec<usize> = places.collect();
        let price = |at: &usize| self.line(*at).map(|(line, _)| line.price);
        places.sort_by(|a, b| price(b).zip(price(a)).map_or(Ordering::Equal, |(b, a)| b.by_piece(a)));
        places
    }

    /// Of every so many pieces, dearest first, the cheapest.
    fn cheapest_of_each(&self, sets: Sets) -> Vec<Pieces> {
        let mut reduced = Vec::new();
        let count = (self.pieces() / sets.size()).min(sets.times);
        let mut from = 0;
        for at in self.dearest_first(self.goods.iter().copied()) {
            let Some((line, _)) = self.line(at) else { continue };
            let to = from + line.quantity;
            let own = sets.reduced_before(to, count) - sets.reduced_before(from, count);
            if own > 0 {
                reduced.push(Pieces { at, count: own });
            }
            from = to;
        }
        reduced
    }

    /// The cheapest pieces of other goods, so many for every so many of these.
    fn cheapest_of_others(&self, sets: Sets, of: &Set) -> Vec<Pieces> {
        // What is among these is reduced, and does not count as bought.
        let bought = self.goods.iter().filter_map(|at| self.line(*at)).filter(|(line, _)| !of.has(line));
        let bought: i64 = bought.map(|(line, _)| line.quantity).sum();
        let mut left = (bought / sets.buy).min(sets.times).saturating_mul(sets.get);
        let others = self.basket.lines.iter().enumerate().filter(|(at, line)| {
            !line.agreed
                && (line.cost.is_some() || !self.ready.promotion.rule.stacking.not_below_cost)
                && of.has(line)
                && self.standing.get(*at).is_some_and(|standing| self.may_reduce(*standing))
        });
        let mut places = self.dearest_first(others.map(|(at, _)| at));
        places.reverse();
        let mut reduced = Vec::new();
        for at in places {
            let count = self.line(at).map_or(0, |(line, _)| line.quantity).min(left);
            if count > 0 {
                reduced.push(Pieces { at, count });
                left -= count;
            }
        }
        reduced
    }

    const fn may_reduce(&self, standing: Standing) -> bool {
        !standing.closed && (self.ready.promotion.rule.stacking.combinable || !standing.touched)
    }

    /// Something off so many pieces of lines.
    fn reduced(&self, pieces: &[Pieces], off: impl Fn(i64) -> i64) -> Offer {
        let mut offer = Offer::default();
        for piece in pieces {
            let Some((line, standing)) = self.line(piece.at) else { continue };
            let base = share(standing.left, 0, piece.count, line.quantity);
            let off = off(base).clamp(0, standing.free());
            if off > 0 {
                offer.taken.push(Taken { at: piece.at, off });
                offer.units += piece.count;
            }
        }
        offer
    }

    /// As many bundles as the pieces are there for. Items that fewer lines fit are served first, each with the pieces that fit
    /// fewest other items, the dearest of these first.
    fn bundles(&self, items: &[BundleItem], price: Money, times: i64) -> Result<Offer, Step> {
        let shelves = self.shelves(items);
        let most = shelves.iter().map(|shelf| self.count(&shelf.places) / shelf.quantity).min().unwrap_or(0);
        let (mut none, mut some) = (most.min(times).saturating_add(1), 0);
        let mut chosen = Vec::new();
        // So many are possible, so many are not: halved until they meet.
        while none - some > 1 {
            let half = some + (none - some) / 2;
            match self.bundle_pieces(&shelves, half) {
                Some(pieces) => (some, chosen) = (half, pieces),
                None => none = half,
            }
        }
        if some == 0 {
            return Err(Step::new("bundle", "not all that belongs together is in the cart"));
        }
        let cost = |piece: &Pieces| {
            self.line(piece.at).map_or(0, |(line, standing)| share(standing.left, 0, piece.count, line.quantity))
        };
        let wanted = chosen.iter().map(cost).sum::<i64>() - price.minor().saturating_mul(some);
        Ok(self.spread_over(&chosen, wanted))
    }

    fn count(&self, places: &[usize]) -> i64 {
        places.iter().filter_map(|at| self.line(*at)).map(|(line, _)| line.quantity).sum()
    }

    /// The lines that fit each item, in the order in which they are taken; the items in the order in which they are served.
    fn shelves(&self, items: &[BundleItem]) -> Vec<Shelf> {
        let dearest = self.dearest_first(self.goods.iter().copied());
        let fits = |set: &Set| -> Vec<usize> {
            dearest.iter().copied().filter(|at| self.line(*at).is_some_and(|(line, _)| set.has(line))).collect()
        };
        let mut shelves: Vec<Shelf> = items
            .iter()
            .zip(&self.ready.items)
            .map(|(item, set)| Shelf { quantity: item.quantity, places: fits(set) })
            .collect();
        let mut sought: HashMap<usize, usize> = HashMap::new();
        for at in shelves.iter().flat_map(|shelf| &shelf.places) {
            *sought.entry(*at).or_default() += 1;
        }
        for shelf in &mut shelves {
            shelf.places.sort_by_key(|at| sought.get(at).copied().unwrap_or_default());
        }
        shelves.sort_by_key(|shelf| shelf.places.len());
        shelves
    }

    /// The pieces of so many bundles, each line once.
    fn bundle_pieces(&self, shelves: &[Shelf], bundles: i64) -> Option<Vec<Pieces>> {
        let mut used: Vec<i64> = vec![0; self.basket.lines.len()];
        for shelf in shelves {
            let mut needed = shelf.quantity.checked_mul(bundles)?;
            for at in &shelf.places {
                if needed == 0 {
                    break;
                }
                let (line, _) = self.line(*at)?;
                let Some(used) = used.get_mut(*at) else { continue };
                let count = (line.quantity - *used).min(needed);
                *used += count;
                needed -= count;
            }
            if needed > 0 {
                return None;
            }
        }
        let pieces = used.into_iter().enumerate().map(|(at, count)| Pieces { at, count });
        Some(pieces.filter(|piece| piece.count > 0).collect())
    }
}

/// The lines that fit an item of a bundle.
struct Shelf {
    quantity: i64,
    places: Vec<usize>,
}

/// Per cent of an amount in minor units, rounded as the channel rounds.
pub(super) fn part(basket: &Basket<'_>, base: i64, percent: Percent) -> i64 {
    let money = Money::from_minor(base, basket.currency).decimal();
    let exact = percent.value().checked_mul(Decimal::new(1, 2)).and_then(|fraction| fraction.checked_mul(money));
    exact.and_then(|exact| basket.currency.round(exact, basket.rounding)).unwrap_or(0).min(base)
}

/// The same, never less than so many per cent: what must be left.
pub(super) fn at_least(base: i64, percent: Percent) -> i64 {
    let exact = percent.value().checked_mul(Decimal::new(1, 2)).and_then(|part| part.checked_mul(Decimal::from(base)));
    let whole = exact.map(|exact| exact.round_dp_with_strategy(0, RoundingStrategy::AwayFromZero));
    whole.and_then(|whole| i64::try_from(whole).ok()).unwrap_or(base).min(base)
}

/// So many paid, so many reduced, so many times.
#[derive(Clone, Copy)]
struct Sets {
    buy: i64,
    get: i64,
    times: i64,
}

impl Sets {
    const fn size(self) -> i64 {
        self.buy + self.get
    }

    /// How many of the first `pieces` are reduced, where there are `count` full sets.
    fn reduced_before(self, pieces: i64, count: i64) -> i64 {
        let (full, rest) = (pieces / self.size(), pieces % self.size());
        if full >= count { count * self.get } else { full * self.get + (rest - self.buy).max(0) }
    }
}
