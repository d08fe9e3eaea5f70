//! The plan: what is to be placed, and in which order, so that Kontor ends where the file does.
//!
//! A plan is a pure function of the file and the mapping: a second run has the same documents in the same order with
//! the same matches, which is what makes a run resumable.
//!
//! - **A document is a number.** Its date is its first row's; several rows of one SKU stay several lines.
//! - **The sign of price × quantity decides the side** (of the quantity, where the price is zero). What is charged is a
//!   line of a [`Sale`], what is credited is a line of a [`Cancellation`]. A document with both, such as an exchange, a
//!   sale with a discount line, or a credit note with a charge on it, becomes one of each under the same number, the
//!   sale first. So every row keeps its own quantity, price and amount, and nothing is spread over other lines.
//! - **What is no goods** (postage, fees, manual lines, vouchers, discounts that were charged back) is a line of its own
//!   with its own SKU, of a variant that is neither stocked nor shipped.
//! - **Returned goods are looked up** in the order that the file names, or in the same customer's earlier sales; see
//!   [`Match`]. A credited line of a document that is no cancellation is a discount: it is credited without reference to a
//!   sale's line.
//! - **Amounts beside an order**, its shipping and its discount, become a line each.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use super::{
    Unusable,
    draft::Planner,
    mapping::{Kind, Mapping, Progress},
    row::{CustomerNumber, Entry, Number, Person},
    tally::Tally,
};
use crate::kernel::{
    Country, Currency, Instant, Money, Quantity, UnitPrice,
    text::{Email, Sku},
};

/// A whole file, ready to be placed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Sales and cancellations in the order of time; of one instant, in the order of the file.
    pub documents: Vec<Document>,
    /// What is sold or credited, by SKU.
    pub variants: BTreeMap<Sku, Variant>,
    /// Who bought, by number.
    pub customers: BTreeMap<CustomerNumber, Customer>,
    /// How many documents each country has.
    pub countries: BTreeMap<Country, u64>,
    /// The currencies that documents have.
    pub currencies: BTreeSet<Currency>,
    /// When the first document was made.
    pub first: Option<Instant>,
    /// When the last was.
    pub last: Option<Instant>,
    /// Rows that are in no document, by reason.
    pub left_out: BTreeMap<String, LeftOut>,
    /// The file as counted while it was read, before anything was decided.
    pub file: FileTotals,
    /// What was noticed on the way.
    pub notes: Notes,
}

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// An order.
    Sale(Sale),
    /// A cancellation, return or credit.
    Cancellation(Cancellation),
}

/// What every document has.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Its number in the file.
    pub number: Number,
    /// The line of the file on which it begins.
    pub row: u64,
    /// When it was made.
    pub at: Instant,
    /// Whose it is; none is a guest's.
    pub customer: Option<CustomerNumber>,
    /// Their e-mail address.
    pub email: Option<Email>,
    /// Where to.
    pub country: Country,
    /// Who lives there.
    pub person: Option<Box<Person>>,
    /// The currency of all its lines.
    pub currency: Currency,
}

/// An order as it was placed.
#[derive(Debug, Clone, PartialEq)]
pub struct Sale {
    /// Number, time, customer.
    pub head: Head,
    /// How far it has come.
    pub progress: Progress,
    /// Its lines in the order of the file, at least one.
    pub lines: Vec<PlanLine>,
}

/// What was taken back or credited. At least one of the two lists has something in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Cancellation {
    /// Number, time, customer.
    pub head: Head,
    /// What was found in earlier sales.
    pub matched: Vec<Match>,
    /// What was not, or is no return of goods sold.
    pub unreferenced: Vec<PlanLine>,
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanLine {
    /// The line of the file.
    pub row: u64,
    /// What.
    pub sku: Sku,
    /// Whether it is goods, postage, …
    pub kind: Kind,
    /// How many; never zero.
    pub quantity: Quantity,
    /// The price of one, never negative, tax included or not as the mapping says.
    pub unit_price: UnitPrice,
    /// Price × quantity, rounded; never negative.
    pub amount: Money,
}

/// A cancelled line, or a part of one, and the sale's line that it takes back.
///
/// Where the file names the order that is taken back, it is a line of that, whoever bought it, and what is not found there
/// is found nowhere. Else, of the same customer's earlier sales of the SKU, this is the most recent that still has the whole quantity at the same
/// price; else the most recent that has it at a higher price; else the quantity is split over several, most recent
/// first, same price first. A sale at a lower price is never taken, so that no more is credited for a line than was
/// charged for it. What is no goods is matched at its own price only, since a manual line of another price is another matter.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The sale's number.
    pub sale: Number,
    /// The sale's place in [`Plan::documents`].
    pub document: usize,
    /// The line's place in [`Sale::lines`].
    pub line: usize,
    /// The price of one when it was sold.
    pub sold_at: UnitPrice,
    /// What is credited: `quantity` pieces at `unit_price`, `amount` in all. The amounts of a split line add up to its own.
    pub credit: PlanLine,
}

/// What is sold.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Its SKU.
    pub sku: Sku,
    /// Goods, or which service.
    pub kind: Kind,
    /// The description it has most often; the SKU, when it has none.
    pub name: String,
    /// The tax class: its first row's, or the mapping's.
    pub tax_class: String,
    /// The first price by currency that is not zero.
    pub prices: BTreeMap<Currency, UnitPrice>,
    /// Pieces in sales.
    pub sold: i64,
    /// Pieces in cancellations.
    pub returned: i64,
}

/// Who bought.
#[derive(Debug, Clone, PartialEq)]
pub struct Customer {
    /// Their number in the file.
    pub number: CustomerNumber,
    /// Their first e-mail address.
    pub email: Option<Email>,
    /// The country of their first document.
    pub country: Country,
    /// Who they are by their first document that says so.
    pub person: Option<Box<Person>>,
    /// How many documents they have.
    pub documents: u64,
}

/// Rows that are in no document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// How many, by currency. A document counts here when none of its rows is carried and this is its first row's reason.
    pub by_currency: BTreeMap<Currency, Tally>,
    /// The first few: line and what is there.
    pub examples: Vec<(u64, String)>,
}

/// The file as counted while it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileTotals {
    /// Rows, without the heading.
    pub rows: u64,
    /// Different document numbers.
    pub documents: u64,
    /// Lines, pieces and amounts by currency; `documents` stays 0.
    pub by_currency: BTreeMap<Currency, Tally>,
}

/// What was noticed on the way, and is no reason to leave anything out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Notes {
    /// Rows by country name that the mapping does not know, for which its default was taken.
    pub unknown_countries: BTreeMap<String, u64>,
    /// Documents whose rows differ in date.
    pub mixed_dates: u64,
    /// Documents whose rows lie more than a month apart, and the first of them.
    pub far_apart: (u64, Option<Number>),
    /// Documents whose rows differ in customer or country; the first is taken.
    pub mixed_heads: u64,
    /// Documents that became a sale and a cancellation.
    pub two_sided: u64,
    /// Lines that splitting cancelled rows over several sales, or over a sale and no sale, has added.
    pub added_lines: u64,
    /// Lines that amounts beside orders, shipping and discounts, have become.
    pub order_level: u64,
    /// Cancelled lines that name an order which is not in the file, or was not shipped.
    pub unknown_originals: u64,
    /// Rows whose e-mail address is none.
    pub bad_emails: u64,
    /// Documents whose time the clock showed never or twice on that day.
    pub odd_times: u64,
    /// By currency, what rounding the rows' amounts to minor units has added: rounded less exact, in major units.
    pub rounding: BTreeMap<Currency, Decimal>,
}

impl Plan {
    /// The plan for the rows of a file.
    ///
    /// # Errors
    /// When the file breaks off.
    pub fn of(rows: impl Iterator<Item = Result<Entry, Unusable>>, mapping: &Mapping) -> Result<Self, Unusable> {
        let mut planner = Planner::new(mapping);
        for entry in rows {
            planner.add(entry?);
        }
        Ok(planner.finish())
    }

    /// The documents that come after the one with a key, or all of them without a key; `None` when there is no such
    /// document, as when the key was noted for another file.
    #[must_use]
    pub fn after(&self, key: Option<&str>) -> Option<&[Document]> {
        let Some(key) = key else { return Some(&self.documents) };
        let place = self.documents.iter().position(|document| document.key() == key)?;
        self.documents.get(place + 1..)
    }

    /// Whether every row of the file is either in a document or left out, with its pieces and its amount.
    ///
    /// # Errors
    /// Says what does not add up. It would be a defect of ours, not of the file.
    pub fn check(&self) -> Result<(), Unusable> {
        let mut sums: BTreeMap<Currency, Tally> = BTreeMap::new();
        for document in &self.documents {
            let sum = sums.entry(document.head().currency).or_default();
            let (lines, sign) = match document {
                Document::Sale(sale) => (sale.lines.iter().collect::<Vec<_>>(), 1),
                Document::Cancellation(cancellation) => (cancellation.lines().collect(), -1),
            };
            *sum += lines.iter().map(|line| Tally::line(sign * line.quantity.get(), sign * line.amount.minor())).sum();
        }
        for (currency, tally) in self.left_out.values().flat_map(|left_out| &left_out.by_currency) {
            *sums.entry(*currency).or_default() += Tally { documents: 0, ..*tally };
        }
        let lines: u64 = sums.values().map(|tally| tally.lines).sum();
        let without_lines = |tallies: &BTreeMap<Currency, Tally>| -> BTreeMap<Currency, Tally> {
            tallies.iter().map(|(currency, tally)| (*currency, Tally { lines: 0, ..*tally })).collect()
        };
        let (added, order_level) = (self.notes.added_lines, self.notes.order_level);
        if lines != self.file.rows + added + order_level {
            return Err(Unusable(format!(
                "{} rows were read, {added} added by splitting and {order_level} for whole orders, but {lines} are \
                 accounted for",
                self.file.rows
            )));
        }
        let (counted, read) = (without_lines(&sums), without_lines(&self.file.by_currency));
        if counted != read {
            return Err(Unusable(format!("pieces or amounts read {read:?}, but accounted for {counted:?}")));
        }
        Ok(())
    }
}

impl Document {
    /// What every document has.
    #[must_use]
    pub const fn head(&self) -> &Head {
        match self {
            Self::Sale(sale) => &sale.head,
            Self::Cancellation(cancellation) => &cancellation.head,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> &Number {
        &self.head().number
    }

    /// When it was made.
    #[must_use]
    pub const fn at(&self) -> Instant {
        self.head().at
    }

    /// What names it among all documents, since a sale and a cancellation may have one number: `sale:489434`. Fit for an
    /// `Idempotency-Key` and for resuming.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Sale(sale) => format!("sale:{}", sale.head.number),
            Self::Cancellation(cancellation) => format!("credit:{}", cancellation.head.number),
        }
    }
}

impl PlanLine {
    /// The line in two: so many pieces with so much of its amount, and the rest. `None` when it has less.
    pub(super) fn split(&self, pieces: i64, amount: i64) -> Option<(Self, Self)> {
        let rest = Quantity::new(self.quantity.get().checked_sub(pieces)?).ok()?;
        let rest_amount = Money::from_minor(self.amount.minor().checked_sub(amount)?, self.amount.currency());
        let taken = Self {
            quantity: Quantity::new(pieces).ok()?,
            amount: Money::from_minor(amount, self.amount.currency()),
            ..self.clone()
        };
        Some((taken, Self { quantity: rest, amount: rest_amount, ..self.clone() }))
    }
}

impl Sale {
    /// The sum of its lines, in minor units.
    #[must_use]
    pub fn amount(&self) -> i128 {
        self.lines.iter().map(|line| i128::from(line.amount.minor())).sum()
    }

    /// Whether anything in it is shipped.
    #[must_use]
    pub fn ships(&self) -> bool {
        self.lines.iter().any(|line| !line.kind.is_service())
    }
}

impl Cancellation {
    /// What was matched, sale by sale in the order of the file.
    #[must_use]
    pub fn by_sale(&self) -> Vec<(&Number, Vec<&Match>)> {
        let mut sales: Vec<(&Number, Vec<&Match>)> = Vec::new();
        for matched in &self.matched {
            match sales.iter_mut().find(|(number, _)| *number == &matched.sale) {
                Some((_, matches)) => matches.push(matched),
                None => sales.push((&matched.sale, vec![matched])),
            }
        }
        sales
    }

    /// All that is credited, matched or not.
    pub fn lines(&self) -> impl Iterator<Item = &PlanLine> {
        self.matched.iter().map(|matched| &matched.credit).chain(&self.unreferenced)
    }
}
