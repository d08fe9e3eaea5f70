//! Which earlier sale a cancelled line takes back. The rule stands with [`super::plan::Match`].

use std::collections::HashMap;

use super::row::CustomerNumber;
use crate::kernel::{Currency, Rounding, UnitPrice, text::Sku};

/// What was sold and not yet taken back.
#[derive(Debug, Default)]
pub(super) struct Sold {
    open: Vec<Open>,
    of_customer: HashMap<(CustomerNumber, Sku), Vec<usize>>,
    of_sale: HashMap<(usize, Sku), Vec<usize>>,
}

/// Where a cancelled line is looked up.
#[derive(Debug, Clone, Copy)]
pub(super) enum Among<'a> {
    /// In all that this customer has bought.
    Customer(&'a CustomerNumber),
    /// In one sale, by its place among the documents.
    Sale(usize),
}

/// A sale's line of which something is left.
#[derive(Debug)]
pub(super) struct Open {
    /// The sale's place among the documents.
    pub(super) document: usize,
    /// The line's place in the sale.
    pub(super) line: usize,
    /// At which price it was sold.
    pub(super) price: UnitPrice,
    /// Pieces that are not yet taken back.
    pub(super) pieces: i64,
    /// Minor units that are not yet credited.
    pub(super) amount: i64,
}

/// What is cancelled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) price: UnitPrice,
    pub(super) pieces: i64,
    /// Price × pieces, rounded.
    pub(super) amount: i64,
    /// Whether a sale at a higher price will do.
    pub(super) any_price: bool,
    pub(super) rounding: Rounding,
}

/// A part of what is cancelled, and the sale's line it was taken from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) document: usize,
    pub(super) line: usize,
    pub(super) sold_at: UnitPrice,
    pub(super) pieces: i64,
    pub(super) amount: i64,
}

impl Sold {
    /// Notes a sale's line. Sales come in the order of time.
    pub(super) fn add(&mut self, customer: Option<&CustomerNumber>, sku: &Sku, open: Open) {
        let place = self.open.len();
        if let Some(customer) = customer {
            self.of_customer.entry((customer.clone(), sku.clone())).or_default().push(place);
        }
        self.of_sale.entry((open.document, sku.clone())).or_default().push(place);
        self.open.push(open);
    }

    /// Takes as much as can be found, and gives the parts; what is missing in them was not found.
    pub(super) fn take(&mut self, among: Among<'_>, sku: &Sku, wanted: Wanted) -> Vec<Part> {
        let places = match among {
            Among::Customer(customer) => self.of_customer.get_mut(&(customer.clone(), sku.clone())),
            Among::Sale(document) => self.of_sale.get_mut(&(document, sku.clone())),
        };
        let Some(places) = places else { return Vec::new() };
        let mut parts = Vec::new();
        let mut left = wanted;
        let whole = [Fit::Same, Fit::Higher].into_iter().filter(|fit| *fit == Fit::Same || wanted.any_price);
        for fit in whole.clone() {
            let enough = |open: &Open| {
                fit.fits(open.price, wanted.price) && open.pieces >= wanted.pieces && open.amount >= wanted.amount
            };
            let found = places.iter().rev().copied().find(|place| self.open.get(*place).is_some_and(enough));
            if let Some(open) = found.and_then(|place| self.open.get_mut(place)) {
                parts.push(open.give(wanted.pieces, wanted.amount));
                left.pieces = 0;
                break;
            }
        }
        for fit in whole {
            for place in places.iter().rev() {
                let Some(open) = self.open.get_mut(*place).filter(|open| fit.fits(open.price, wanted.price)) else {
                    continue;
                };
                if left.pieces == 0 {
                    break;
                }
                let pieces = left.pieces.min(open.pieces);
                // The amount of what then remains is rounded, so that the parts add up to the whole.
                let Some(rest) = amount(wanted.price, left.pieces - pieces, wanted.rounding) else { continue };
                let share = left.amount - rest;
                if pieces > 0 && (0..=open.amount).contains(&share) {
                    parts.push(open.give(pieces, share));
                    left.pieces -= pieces;
                    left.amount = rest;
                }
            }
        }
        places.retain(|place| self.open.get(*place).is_some_and(|open| open.pieces > 0));
        parts
    }
}

/// Price × pieces in minor units.
pub(super) fn amount(price: UnitPrice, pieces: i64, rounding: Rounding) -> Option<i64> {
    let currency: Currency = price.currency();
    currency.round(price.decimal().checked_mul(pieces.into())?, rounding)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    Same,
    Higher,
}

impl Fit {
    fn fits(self, sold_at: UnitPrice, wanted: UnitPrice) -> bool {
        sold_at.currency() == wanted.currency()
            && match self {
                Self::Same => sold_at.scaled() == wanted.scaled(),
                Self::Higher => sold_at.scaled() > wanted.scaled(),
            }
    }
}

impl Open {
    fn give(&mut self, pieces: i64, amount: i64) -> Part {
        self.pieces -= pieces;
        self.amount -= amount;
        Part { document: self.document, line: self.line, sold_at: self.price, pieces, amount }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(text: &str) -> UnitPrice {
        UnitPrice::parse(text, "EUR".parse().unwrap()).unwrap()
    }

    /// The customer's sales (price, pieces), what they cancel (price, pieces), and what is taken: (sale, pieces, amount).
    fn taken(sales: &[(&str, i64)], wanted: (&str, i64), any_price: bool) -> Vec<(usize, i64, i64)> {
        let (customer, sku) = (CustomerNumber::new("1").unwrap(), Sku::new("A").unwrap());
        let mut sold = Sold::default();
        for (document, (text, pieces)) in sales.iter().enumerate() {
            let price = price(text);
            let amount = amount(price, *pieces, Rounding::HalfUp).unwrap();
            sold.add(Some(&customer), &sku, Open { document, line: 0, price, pieces: *pieces, amount });
        }
        let (text, pieces) = wanted;
        let price = price(text);
        let amount = amount(price, pieces, Rounding::HalfUp).unwrap();
        let wanted = Wanted { price, pieces, amount, any_price, rounding: Rounding::HalfUp };
        sold.take(Among::Customer(&customer), &sku, wanted)
            .into_iter()
            .map(|part| (part.document, part.pieces, part.amount))
            .collect()
    }

    #[test]
    fn the_most_recent_sale_with_the_whole_quantity_at_the_same_price_comes_first() {
        assert_eq!(taken(&[("1", 5), ("1", 5), ("2", 5), ("1", 2)], ("1", 3), true), [(1, 3, 300)]);
    }

    #[test]
    fn then_any_sale_at_a_higher_price_but_never_at_a_lower() {
        assert_eq!(taken(&[("2", 5), ("1", 2)], ("1", 3), true), [(0, 3, 300)]);
        assert_eq!(taken(&[("2", 5), ("1", 2)], ("1", 3), false), [(1, 2, 200)]);
        assert_eq!(taken(&[("0.50", 5)], ("1", 3), true), []);
    }

    #[test]
    fn then_it_is_split_and_what_is_missing_is_not_found() {
        assert_eq!(taken(&[("1", 2), ("2", 2), ("1", 2)], ("1", 5), true), [(2, 2, 200), (0, 2, 200), (1, 1, 100)]);
        assert_eq!(taken(&[("1", 2)], ("1", 5), true), [(0, 2, 200)]);
    }

    #[test]
    fn the_amounts_of_the_parts_add_up() {
        // Three at a third of a cent and a half are five cents; each alone would be two.
        let parts = taken(&[("0.015", 1), ("0.015", 1), ("0.015", 1)], ("0.015", 3), true);
        assert_eq!(parts.iter().map(|part| part.2).sum::<i64>(), 5);
        assert_eq!(parts.iter().map(|part| part.1).sum::<i64>(), 3);
    }

    #[test]
    fn nothing_is_taken_back_twice() {
        let (customer, sku) = (CustomerNumber::new("1").unwrap(), Sku::new("A").unwrap());
        let mut sold = Sold::default();
        sold.add(Some(&customer), &sku, Open { document: 0, line: 0, price: price("1"), pieces: 3, amount: 300 });
        let wanted = Wanted { price: price("1"), pieces: 2, amount: 200, any_price: true, rounding: Rounding::HalfUp };
        assert_eq!(sold.take(Among::Customer(&customer), &sku, wanted).len(), 1);
        assert_eq!(sold.take(Among::Customer(&customer), &sku, wanted).iter().map(|part| part.pieces).sum::<i64>(), 1);
        assert!(sold.take(Among::Customer(&customer), &sku, wanted).is_empty());
        assert!(sold.take(Among::Customer(&CustomerNumber::new("2").unwrap()), &sku, wanted).is_empty());
    }

    #[test]
    fn where_the_order_is_named_only_that_is_taken_back_whoever_bought_it() {
        let sku = Sku::new("A").unwrap();
        let mut sold = Sold::default();
        for document in 0..2 {
            sold.add(None, &sku, Open { document, line: 0, price: price("2"), pieces: 2, amount: 400 });
        }
        let wanted = Wanted { price: price("1"), pieces: 3, amount: 300, any_price: true, rounding: Rounding::HalfUp };
        let parts = sold.take(Among::Sale(0), &sku, wanted);
        assert_eq!(parts.iter().map(|part| (part.document, part.pieces)).collect::<Vec<_>>(), [(0, 2)]);
    }
}
