//! How a plan is made: rows are gathered to drafts of documents while they are read; at the end each draft's rows are
//! decided about, the documents put in order of time, and cancellations matched.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use rust_decimal::Decimal;

use super::{
    file::{CustomerNumber, Entry, Number, Rejected, Row},
    mapping::{Kind, LeaveOut, Mapping, Presence, Sign},
    matching::{Open, Part, Sold, Wanted},
    plan::{Cancellation, Customer, Document, Head, Match, Plan, PlanLine, Sale, Variant},
    reason::Defect,
    tally::Tally,
};
use crate::kernel::{
    Country, Currency, Instant, Money, Quantity, UnitPrice,
    text::{Email, Sku},
};

/// The most lines of one cart.
const MOST_LINES: usize = 1_000;
/// How many examples of each reason are kept.
const EXAMPLES: usize = 3;

/// Gathers rows.
pub(super) struct Planner<'m> {
    mapping: &'m Mapping,
    plan: Plan,
    drafts: Vec<Draft>,
    by_number: HashMap<Number, usize>,
    articles: HashMap<Sku, Article>,
    names: HashSet<Arc<str>>,
    countries: HashMap<Option<String>, Option<Country>>,
}

/// A document in the making.
struct Draft {
    number: Number,
    /// `None` while no row of it could be read.
    head: Option<DraftHead>,
    /// All rows, the ones that could not be read as well.
    total: usize,
    rows: Vec<DraftRow>,
    /// The first row that is left out, and why.
    first_left_out: Option<(u64, String, Currency)>,
}

struct DraftHead {
    row: u64,
    at: Instant,
    odd_time: bool,
    mixed_dates: bool,
    mixed: bool,
    kind: Option<String>,
    customer: Option<CustomerNumber>,
    country: Option<String>,
    email: Option<Email>,
    currency: Currency,
}

/// A row without what its document has.
struct DraftRow {
    line: u64,
    sku: Sku,
    name: Option<Arc<str>>,
    tax_class: Option<Arc<str>>,
    customer: bool,
    quantity: i64,
    price: UnitPrice,
    /// Pieces and amount with the sign of their side.
    pieces: i64,
    amount: i64,
    currency: Currency,
}

/// What is known of an article before it is known whether it is carried.
struct Article {
    kind: Kind,
    /// How often it has each description, and where first.
    names: HashMap<Arc<str>, (u64, u64)>,
}

/// One side of a document, before it has its place among the others.
enum Side {
    Sale(Vec<PlanLine>),
    /// The lines, and whether sales are to be looked up for them.
    Credit(Vec<(PlanLine, bool)>),
}

impl<'m> Planner<'m> {
    pub(super) fn new(mapping: &'m Mapping) -> Self {
        Self {
            mapping,
            plan: Plan::default(),
            drafts: Vec::new(),
            by_number: HashMap::new(),
            articles: HashMap::new(),
            names: HashSet::new(),
            countries: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, entry: Entry) {
        self.plan.file.rows += 1;
        match entry {
            Entry::Row(row) => self.add_row(*row),
            Entry::Rejected(rejected) => self.add_rejected(rejected),
        }
    }

    fn draft(&mut self, number: &Number) -> Option<&mut Draft> {
        let place = match self.by_number.get(number) {
            Some(place) => *place,
            None => {
                let place = self.drafts.len();
                self.by_number.insert(number.clone(), place);
                let number = number.clone();
                self.drafts.push(Draft { number, head: None, total: 0, rows: Vec::new(), first_left_out: None });
                self.plan.file.documents += 1;
                place
            }
        };
        self.drafts.get_mut(place)
    }

    fn add_rejected(&mut self, rejected: Rejected) {
        let Rejected { line, defect, example, number, currency, quantity, amount } = rejected;
        let tally = Tally::line(quantity, amount);
        *self.plan.file.by_currency.entry(currency).or_default() += tally;
        self.leave_out(defect.as_str(), currency, tally, line, example);
        if let Some(draft) = number.and_then(|number| self.draft(&number)) {
            draft.total += 1;
            draft.left_out(line, defect.as_str(), currency);
        }
    }

    fn leave_out(&mut self, reason: &str, currency: Currency, tally: Tally, line: u64, example: String) {
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
        let unsigned =
            self.mapping.cancellation.unsigned && self.mapping.is_cancellation(&row.number, row.kind.as_deref());
        let credit = unsigned || row.exact < Decimal::ZERO || (row.exact.is_zero() && row.quantity < 0);
        let side = if credit { -1 } else { 1 };
        let (pieces, amount) = (side * row.quantity.abs(), side * row.amount.abs());
        *self.plan.file.by_currency.entry(row.currency).or_default() += Tally::line(pieces, amount);
        let rounded = Decimal::new(row.amount, row.currency.exponent());
        let rounding = self.plan.notes.rounding.entry(row.currency).or_default();
        *rounding = rounding.saturating_add(rounded.saturating_sub(row.exact));
        self.plan.notes.bad_emails += u64::from(row.bad_email);

        let name = row.description.map(|name| self.interned(name));
        let tax_class = row.tax_class.map(|class| self.interned(class));
        let head = DraftHead {
            row: row.line,
            at: row.at,
            odd_time: row.odd_time,
            mixed_dates: false,
            mixed: false,
            kind: row.kind,
            customer: row.customer,
            country: row.country,
            email: row.email,
            currency: row.currency,
        };
        let line = DraftRow {
            line: row.line,
            sku: row.sku,
            name,
            tax_class,
            customer: head.customer.is_some(),
            quantity: row.quantity,
            price: row.price,
            pieces,
            amount,
            currency: row.currency,
        };
        if let Some(draft) = self.draft(&row.number) {
            draft.total += 1;
            draft.rows.push(line);
            match &mut draft.head {
                Some(first) => first.meet(head),
                None => draft.head = Some(head),
            }
        }
    }

    pub(super) fn finish(mut self) -> Plan {
        let mut sides = Vec::new();
        for mut draft in std::mem::take(&mut self.drafts) {
            let found = self.decide(&mut draft);
            // A document none of whose rows is carried counts under its first row's reason.
            if let Some((_, reason, currency)) = draft.first_left_out.filter(|_| found.is_empty())
                && let Some(left_out) = self.plan.left_out.get_mut(&reason)
            {
                *left_out.by_currency.entry(currency).or_default() += Tally::document();
            }
            sides.extend(found);
        }
        sides.sort_by_key(|(head, side)| (head.at, head.row, matches!(side, Side::Credit(_))));
        self.plan.first = sides.first().map(|(head, _)| head.at);
        self.plan.last = sides.last().map(|(head, _)| head.at);
        let mut sold = Sold::default();
        for (head, side) in sides {
            self.count(&head);
            let document = self.place(head, side, &mut sold);
            self.plan.documents.push(document);
        }
        self.name_variants();
        self.plan
    }

    /// A draft's sides; none when no row of it is carried.
    fn decide(&mut self, draft: &mut Draft) -> Vec<(Head, Side)> {
        let rows = std::mem::take(&mut draft.rows);
        let Some(found) = draft.head.take() else { return Vec::new() };
        let cancelled = self.mapping.is_cancellation(&draft.number, found.kind.as_deref());
        let country = self.country(found.country.as_deref(), rows.len());
        let (mut sale, mut credit) = (Vec::new(), Vec::new());
        for row in rows {
            let line = match self.reason(&row, draft, &found, country, sale.len(), cancelled) {
                Some(reason) => Err(reason),
                None => row.line().ok_or_else(|| Defect::TooLarge.to_string()),
            };
            match line {
                Ok(line) => {
                    let line = self.known(line, &row);
                    if row.is_credit() {
                        let returned = cancelled || (self.mapping.cancellation.negative_quantity && row.quantity < 0);
                        credit.push((line, returned));
                    } else {
                        sale.push(line);
                    }
                }
                Err(reason) => {
                    draft.left_out(row.line, &reason, row.currency);
                    let example = format!("{}: {} × {} at {}", draft.number, row.quantity, row.sku, row.price);
                    self.leave_out(&reason, row.currency, Tally::line(row.pieces, row.amount), row.line, example);
                }
            }
        }
        // Without a country, every row has been left out.
        let Some(country) = country.filter(|_| !(sale.is_empty() && credit.is_empty())) else { return Vec::new() };
        let notes = &mut self.plan.notes;
        notes.mixed_dates += u64::from(found.mixed_dates);
        notes.mixed_heads += u64::from(found.mixed);
        notes.odd_times += u64::from(found.odd_time);
        notes.two_sided += u64::from(!sale.is_empty() && !credit.is_empty());
        let head = Head {
            number: draft.number.clone(),
            row: found.row,
            at: found.at,
            customer: found.customer,
            email: found.email,
            country,
            currency: found.currency,
        };
        let mut sides = Vec::new();
        if !sale.is_empty() {
            sides.push((head.clone(), Side::Sale(sale)));
        }
        if !credit.is_empty() {
            sides.push((head, Side::Credit(credit)));
        }
        sides
    }

    /// The country of a name, looked up once.
    fn country(&mut self, name: Option<&str>, rows: usize) -> Option<Country> {
        let key = name.map(str::to_owned);
        let known = match self.countries.get(&key) {
            Some(known) => *known,
            None => {
                let found = name.and_then(|name| self.mapping.country(name));
                self.countries.insert(key, found);
                found
            }
        };
        known.or_else(|| {
            let default = self.mapping.countries.default?;
            if let Some(name) = name {
                *self.plan.notes.unknown_countries.entry(name.to_owned()).or_default() += rows as u64;
            }
            Some(default)
        })
    }

    /// Why a row is left out; `None` when it is carried.
    fn reason(
        &self,
        row: &DraftRow,
        draft: &Draft,
        head: &DraftHead,
        country: Option<Country>,
        sale_lines: usize,
        cancelled: bool,
    ) -> Option<String> {
        if let Some(rule) = self.mapping.leave_out.iter().find(|rule| self.fits(rule, row, draft, head)) {
            return Some(rule.reason.clone());
        }
        let returned = cancelled || self.mapping.cancellation.negative_quantity;
        let defect = if row.currency != head.currency {
            Defect::MixedCurrency
        } else if country.is_none() {
            Defect::UnknownCountry
        } else if row.is_credit() && row.price.scaled() == 0 && !returned {
            Defect::NegativeQuantity
        } else if !row.is_credit() && sale_lines >= MOST_LINES {
            Defect::TooManyLines
        } else {
            return None;
        };
        Some(defect.to_string())
    }

    fn fits(&self, rule: &LeaveOut, row: &DraftRow, draft: &Draft, head: &DraftHead) -> bool {
        let prefix = |prefix: &String| draft.number.starts_with(prefix.as_str());
        let kind = |kind: &String| head.kind.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(kind));
        (rule.number_prefixes.is_empty() || rule.number_prefixes.iter().any(prefix))
            && (rule.kinds.is_empty() || rule.kinds.iter().any(kind))
            && (rule.codes.is_empty()
                || rule.codes.iter().any(|pattern| pattern.matches(&row.sku, self.mapping.sku_case)))
            && rule.price.is_none_or(|sign| sign == sign_of(row.price.scaled()))
            && rule.quantity.is_none_or(|sign| sign == sign_of(row.quantity))
            && rule.customer.is_none_or(|presence| presence == presence_of(row.customer))
            && rule.description.is_none_or(|presence| presence == presence_of(row.name.is_some()))
            && rule.alone.is_none_or(|alone| alone == (draft.total == 1))
    }

    /// The line with its kind, after its article has been noted.
    fn known(&mut self, mut line: PlanLine, row: &DraftRow) -> PlanLine {
        let article = self
            .articles
            .entry(row.sku.clone())
            .or_insert_with(|| Article { kind: self.mapping.kind_of(&row.sku), names: HashMap::new() });
        line.kind = article.kind;
        if let Some(name) = &row.name {
            let (count, first) = article.names.entry(Arc::clone(name)).or_insert((0, row.line));
            *count += 1;
            *first = row.line.min(*first);
        }
        let class = self.mapping.tax_class(row.tax_class.as_deref());
        self.plan.variants.entry(row.sku.clone()).or_insert_with(|| Variant {
            sku: row.sku.clone(),
            kind: line.kind,
            name: row.sku.to_string(),
            tax_class: class,
            prices: BTreeMap::new(),
            sold: 0,
            returned: 0,
        });
        line
    }

    fn count(&mut self, head: &Head) {
        *self.plan.countries.entry(head.country).or_default() += 1;
        self.plan.currencies.insert(head.currency);
        if let Some(number) = &head.customer {
            let customer = self.plan.customers.entry(number.clone()).or_insert_with(|| Customer {
                number: number.clone(),
                email: None,
                country: head.country,
                documents: 0,
            });
            customer.documents += 1;
            if customer.email.is_none() {
                customer.email.clone_from(&head.email);
            }
        }
    }

    /// The document of a side; a sale's lines are noted as sold, a credit's looked up.
    fn place(&mut self, head: Head, side: Side, sold: &mut Sold) -> Document {
        let document = self.plan.documents.len();
        match side {
            Side::Sale(lines) => {
                for (place, line) in lines.iter().enumerate() {
                    self.priced(line, line.quantity.get(), 0);
                    if let Some(customer) = &head.customer {
                        let (pieces, amount) = (line.quantity.get(), line.amount.minor());
                        let open = Open { document, line: place, price: line.unit_price, pieces, amount };
                        sold.add(customer, &line.sku, open);
                    }
                }
                Document::Sale(Sale { head, lines })
            }
            Side::Credit(lines) => {
                let mut cancellation = Cancellation { head, matched: Vec::new(), unreferenced: Vec::new() };
                for (line, returned) in lines {
                    self.priced(&line, 0, line.quantity.get());
                    self.take_back(line, returned, &mut cancellation, sold);
                }
                Document::Cancellation(cancellation)
            }
        }
    }

    fn take_back(&mut self, line: PlanLine, returned: bool, cancellation: &mut Cancellation, sold: &mut Sold) {
        let customer = cancellation.head.customer.as_ref().filter(|_| returned);
        let rounding = self.mapping.rounding;
        let wanted = Wanted {
            price: line.unit_price,
            pieces: line.quantity.get(),
            amount: line.amount.minor(),
            any_price: !line.kind.is_service(),
            rounding,
        };
        let mut rest = line;
        let mut entries = 0;
        for part in customer.map(|customer| sold.take(customer, &rest.sku, wanted)).unwrap_or_default() {
            let sale = match self.plan.documents.get(part.document) {
                Some(Document::Sale(sale)) => sale.head.number.clone(),
                _ => continue,
            };
            let Some((credit, remainder)) = rest.split(part.pieces, part.amount) else { continue };
            rest = remainder;
            entries += 1;
            let Part { document, line, sold_at, .. } = part;
            cancellation.matched.push(Match { sale, document, line, sold_at, credit });
        }
        if !rest.quantity.is_zero() {
            entries += 1;
            cancellation.unreferenced.push(rest);
        }
        self.plan.notes.added_lines += entries - 1;
    }

    fn priced(&mut self, line: &PlanLine, sold: i64, returned: i64) {
        if let Some(variant) = self.plan.variants.get_mut(&line.sku) {
            variant.sold += sold;
            variant.returned += returned;
            if line.unit_price.scaled() > 0 {
                variant.prices.entry(line.unit_price.currency()).or_insert(line.unit_price);
            }
        }
    }

    /// Each variant's most frequent description, the first of equals.
    fn name_variants(&mut self) {
        for (sku, article) in &self.articles {
            let best = article.names.iter().max_by_key(|(_, (count, first))| (*count, std::cmp::Reverse(*first)));
            if let Some((variant, (name, _))) = self.plan.variants.get_mut(sku).zip(best) {
                variant.name = name.to_string();
            }
        }
    }
}

impl Draft {
    fn left_out(&mut self, line: u64, reason: &str, currency: Currency) {
        if self.first_left_out.as_ref().is_none_or(|(first, _, _)| line < *first) {
            self.first_left_out = Some((line, reason.to_owned(), currency));
        }
    }
}

impl DraftHead {
    /// Another row of the same document: what the first lacks is taken from it.
    fn meet(&mut self, other: Self) {
        self.mixed_dates |= self.at != other.at;
        self.mixed |= self.customer.as_ref().zip(other.customer.as_ref()).is_some_and(|(own, other)| own != other)
            || self.country.as_ref().zip(other.country.as_ref()).is_some_and(|(own, other)| own != other);
        self.kind = self.kind.take().or(other.kind);
        self.customer = self.customer.take().or(other.customer);
        self.country = self.country.take().or(other.country);
        self.email = self.email.take().or(other.email);
    }
}

impl DraftRow {
    const fn is_credit(&self) -> bool {
        self.pieces < 0
    }

    /// The line, of which the kind is not yet known; `None` when it is too large.
    fn line(&self) -> Option<PlanLine> {
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

const fn sign_of(number: i64) -> Sign {
    match number {
        ..0 => Sign::Negative,
        0 => Sign::Zero,
        1.. => Sign::Positive,
    }
}

const fn presence_of(there: bool) -> Presence {
    if there { Presence::Present } else { Presence::Missing }
}
