//! How a plan is made, first part: rows are gathered to drafts of documents while they are read. [`super::decide`] decides
//! about them in the end, and [`super::place`] puts them in order.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use rust_decimal::Decimal;

use super::{
    mapping::{Kind, Mapping},
    plan::{Plan, PlanLine},
    row::{CustomerNumber, Entry, Number, Person, Rejected, Row},
    tally::Tally,
};
use crate::kernel::{
    Country, Currency, Instant, Money, Quantity, UnitPrice,
    text::{Email, Sku},
};

/// How many examples of each reason are kept.
const EXAMPLES: usize = 3;
/// Rows of one document that lie further apart than this were hardly written on one occasion.
const MONTH_MICROS: i64 = 31 * 86_400 * 1_000_000;

/// Gathers rows.
pub(super) struct Planner<'m> {
    pub(super) mapping: &'m Mapping,
    pub(super) plan: Plan,
    pub(super) drafts: Vec<Draft>,
    /// By number, and whether it is a cancellation: a shop may count both from one.
    pub(super) by_number: HashMap<(Number, bool), usize>,
    pub(super) articles: HashMap<Sku, Article>,
    pub(super) countries: HashMap<Option<String>, Option<Country>>,
    /// The last sale of each number as the file writes it, by its place among the documents.
    pub(super) sales: HashMap<Number, usize>,
    names: HashSet<Arc<str>>,
}

/// A document in the making.
pub(super) struct Draft {
    pub(super) number: Number,
    pub(super) cancelled: bool,
    /// `None` while no row of it could be read.
    pub(super) head: Option<DraftHead>,
    /// All rows, the ones that could not be read as well.
    pub(super) total: usize,
    pub(super) rows: Vec<DraftRow>,
    /// The first row that is left out, and why.
    pub(super) first_left_out: Option<(u64, String, Currency)>,
}

pub(super) struct DraftHead {
    pub(super) row: u64,
    pub(super) at: Instant,
    pub(super) odd_time: bool,
    pub(super) mixed_dates: bool,
    pub(super) far_apart: bool,
    pub(super) mixed: bool,
    pub(super) kind: Option<String>,
    pub(super) status: Option<String>,
    pub(super) original: Option<Number>,
    pub(super) customer: Option<CustomerNumber>,
    pub(super) country: Option<String>,
    pub(super) email: Option<Email>,
    pub(super) person: Option<Box<Person>>,
    pub(super) currency: Currency,
    /// Shipping and discount of the whole: the line that says so, and minor units with the sign of their side.
    pub(super) shipping: Option<(u64, i64)>,
    pub(super) discount: Option<(u64, i64)>,
}

/// A row without what its document has.
pub(super) struct DraftRow {
    pub(super) line: u64,
    pub(super) sku: Sku,
    pub(super) name: Option<Arc<str>>,
    pub(super) tax_class: Option<Arc<str>>,
    pub(super) original: Option<Number>,
    pub(super) customer: bool,
    pub(super) quantity: i64,
    pub(super) price: UnitPrice,
    /// Pieces and amount with the sign of their side.
    pub(super) pieces: i64,
    pub(super) amount: i64,
    pub(super) currency: Currency,
}

/// What is known of an article before it is known whether it is carried.
pub(super) struct Article {
    pub(super) kind: Kind,
    /// How often it has each description, and where first.
    pub(super) names: HashMap<Arc<str>, (u64, u64)>,
}

impl<'m> Planner<'m> {
    pub(super) fn new(mapping: &'m Mapping) -> Self {
        Self {
            mapping,
            plan: Plan::default(),
            drafts: Vec::new(),
            by_number: HashMap::new(),
            articles: HashMap::new(),
            countries: HashMap::new(),
            sales: HashMap::new(),
            names: HashSet::new(),
        }
    }

    pub(super) fn add(&mut self, entry: Entry) {
        self.plan.file.rows += 1;
        match entry {
            Entry::Row(row) => self.add_row(*row),
            Entry::Rejected(rejected) => self.add_rejected(rejected),
        }
    }

    /// The place of a number's draft. A row that does not say its kind belongs to whichever there is.
    fn draft(&mut self, number: &Number, kind: Option<&str>) -> usize {
        let cancelled = self.mapping.is_cancellation(number, kind);
        let mut key = (number.clone(), cancelled);
        if let Some(place) = self.by_number.get(&key) {
            return *place;
        }
        if kind.is_none() {
            key.1 = !cancelled;
            if let Some(place) = self.by_number.get(&key) {
                return *place;
            }
            key.1 = cancelled;
        }
        let (place, number) = (self.drafts.len(), number.clone());
        self.by_number.insert(key, place);
        let (head, rows, first_left_out) = (None, Vec::new(), None);
        self.drafts.push(Draft { number, cancelled, head, total: 0, rows, first_left_out });
        self.plan.file.documents += 1;
        place
    }

    fn add_rejected(&mut self, rejected: Rejected) {
        let Rejected { line, defect, example, number, currency, quantity, amount } = rejected;
        let tally = Tally::line(quantity, amount);
        *self.plan.file.by_currency.entry(currency).or_default() += tally;
        self.leave_out(defect.as_str(), currency, tally, line, example);
        let place = number.map(|number| self.draft(&number, None));
        if let Some(draft) = place.and_then(|place| self.drafts.get_mut(place)) {
            draft.total += 1;
            draft.left_out(line, defect.as_str(), currency);
        }
    }

    pub(super) fn leave_out(&mut self, reason: &str, currency: Currency, tally: Tally, line: u64, example: String) {
        let left_out = self.plan.left_out.entry(reason.to_owned()).or_default();
        *left_out.by_currency.entry(currency).or_default() += tally;
        if left_out.examples.len() < EXAMPLES {
            left_out.examples.push((line, example));
        }
    }

    fn interned(&mut self, text: String) -> Arc<str> {
        if let Some(known) = self.names.get(text.as_str()) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.names.insert(Arc::clone(&new));
        new
    }

    fn add_row(&mut self, row: Row) {
        // What a row does not say of its kind, its document has said before.
        let place = self.draft(&row.number, row.kind.as_deref());
        let cancelled = self.drafts.get(place).is_some_and(|draft| draft.cancelled);
        let unsigned = self.mapping.cancellation.unsigned && cancelled;
        let credit = unsigned || row.exact < Decimal::ZERO || (row.exact.is_zero() && row.quantity < 0);
        let side = if credit { -1 } else { 1 };
        let (pieces, amount) = (side * row.quantity.abs(), side * row.amount.abs());
        self.count_row(&row, (pieces, amount));
        let shipping = if unsigned { -row.order_shipping.abs() } else { row.order_shipping };
        // A discount makes a sale smaller, and what is given back as well.
        let discount = if cancelled { row.order_discount } else { -row.order_discount };

        let name = row.description.map(|name| self.interned(name));
        let tax_class = row.tax_class.map(|class| self.interned(class));
        let beside = |amount: i64| (amount != 0).then_some((row.line, amount));
        let head = DraftHead {
            row: row.line,
            at: row.at,
            odd_time: row.odd_time,
            mixed_dates: false,
            far_apart: false,
            mixed: false,
            kind: row.kind,
            status: row.status,
            original: row.original.clone(),
            customer: row.customer,
            country: row.country,
            email: row.email,
            person: row.person,
            currency: row.currency,
            shipping: beside(shipping),
            discount: beside(discount),
        };
        let line = DraftRow {
            line: row.line,
            sku: row.sku,
            name,
            tax_class,
            original: row.original,
            customer: head.customer.is_some(),
            quantity: row.quantity,
            price: row.price,
            pieces,
            amount,
            currency: row.currency,
        };
        if let Some(draft) = self.drafts.get_mut(place) {
            draft.total += 1;
            draft.rows.push(line);
            match &mut draft.head {
                Some(first) => first.meet(head),
                None => draft.head = Some(head),
            }
        }
    }

    /// The file's own count of a row, before anything is decided.
    fn count_row(&mut self, row: &Row, (pieces, amount): (i64, i64)) {
        *self.plan.file.by_currency.entry(row.currency).or_default() += Tally::line(pieces, amount);
        let rounded = Decimal::new(row.amount, row.currency.exponent());
        let rounding = self.plan.notes.rounding.entry(row.currency).or_default();
        *rounding = rounding.saturating_add(rounded.saturating_sub(row.exact));
        self.plan.notes.bad_emails += u64::from(row.bad_email);
    }
}

impl Draft {
    pub(super) fn left_out(&mut self, line: u64, reason: &str, currency: Currency) {
        if self.first_left_out.as_ref().is_none_or(|(first, _, _)| line < *first) {
            self.first_left_out = Some((line, reason.to_owned(), currency));
        }
    }
}

impl DraftHead {
    /// Another row of the same document: what the first lacks is taken from it.
    fn meet(&mut self, other: Self) {
        self.mixed_dates |= self.at != other.at;
        self.far_apart |= self.at.micros().abs_diff(other.at.micros()) > MONTH_MICROS.unsigned_abs();
        self.mixed |= self.customer.as_ref().zip(other.customer.as_ref()).is_some_and(|(own, other)| own != other)
            || self.country.as_ref().zip(other.country.as_ref()).is_some_and(|(own, other)| own != other);
        self.kind = self.kind.take().or(other.kind);
        self.status = self.status.take().or(other.status);
        self.original = self.original.take().or(other.original);
        self.customer = self.customer.take().or(other.customer);
        self.country = self.country.take().or(other.country);
        self.email = self.email.take().or(other.email);
        self.person = self.person.take().or(other.person);
        if self.currency == other.currency {
            self.shipping = self.shipping.or(other.shipping);
            self.discount = self.discount.or(other.discount);
        }
    }
}

impl DraftRow {
    /// A line for an amount beside the order: one piece at that amount.
    pub(super) fn beside(line: u64, sku: Sku, amount: i64, head: &DraftHead) -> Option<Self> {
        let side = amount.signum();
        let scale = 10i64.checked_pow(UnitPrice::EXTRA_DIGITS)?;
        Some(Self {
            line,
            sku,
            name: None,
            tax_class: None,
            original: None,
            customer: head.customer.is_some(),
            quantity: 1,
            price: UnitPrice::from_scaled(amount.abs().checked_mul(scale)?, head.currency),
            pieces: side,
            amount,
            currency: head.currency,
        })
    }

    pub(super) const fn is_credit(&self) -> bool {
        self.pieces < 0
    }

    /// The line, of which the kind is not yet known; `None` when it is too large.
    pub(super) fn line(&self) -> Option<PlanLine> {
        Some(PlanLine {
            row: self.line,
            sku: self.sku.clone(),
            kind: Kind::Goods,
            quantity: Quantity::new(self.pieces.abs()).ok()?,
            unit_price: UnitPrice::from_scaled(self.price.scaled().checked_abs()?, self.currency),
            amount: Money::from_minor(self.amount.abs(), self.currency),
        })
    }
}
