//! Setting the file against Kontor: orders, lines, pieces and amounts, per currency, to the minor unit.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use super::{
    plan::{Cancellation, Document, Plan, Sale},
    tally::Tally,
};
use crate::kernel::Currency;

/// Under what something is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Orders as placed.
    Sales,
    /// Credited lines that name an order's line; one document per cancellation and order.
    Referenced,
    /// Credited lines that name none; one document per cancellation.
    Unreferenced,
    /// Rows that are not carried over, by reason; only the file has them.
    LeftOut(String),
}

impl Class {
    /// In words.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Sales => "sales".to_owned(),
            Self::Referenced => "returns of an order".to_owned(),
            Self::Unreferenced => "returns without an order".to_owned(),
            Self::LeftOut(reason) => format!("left out: {reason}"),
        }
    }
}

/// What one side holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    entries: BTreeMap<(Currency, Class), Tally>,
}

impl Ledger {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The file's side.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let mut ledger = Self::default();
        for document in &plan.documents {
            ledger.add_document(document);
        }
        for (reason, left_out) in &plan.left_out {
            for (currency, tally) in &left_out.by_currency {
                ledger.add(*currency, Class::LeftOut(reason.clone()), *tally);
            }
        }
        ledger
    }

    /// Adds to a class. Credits have negative pieces and amounts.
    pub fn add(&mut self, currency: Currency, class: Class, tally: Tally) {
        *self.entries.entry((currency, class)).or_default() += tally;
    }

    /// Adds a document of the plan.
    pub fn add_document(&mut self, document: &Document) {
        match document {
            Document::Sale(sale) => self.add_sale(sale),
            Document::Cancellation(cancellation) => self.add_cancellation(cancellation),
        }
    }

    fn add_sale(&mut self, sale: &Sale) {
        let lines = sale.lines.iter().map(|line| Tally::line(line.quantity.get(), line.amount.minor()));
        let mut tally: Tally = lines.sum();
        tally += Tally::document();
        self.add(sale.head.currency, Class::Sales, tally);
    }

    fn add_cancellation(&mut self, cancellation: &Cancellation) {
        let currency = cancellation.head.currency;
        let credited = |pieces: i64, amount: i64| Tally::line(-pieces, -amount);
        for (_, matches) in cancellation.by_sale() {
            let lines = matches.iter().map(|matched| &matched.credit);
            let mut tally: Tally = lines.map(|line| credited(line.quantity.get(), line.amount.minor())).sum();
            tally += Tally::document();
            self.add(currency, Class::Referenced, tally);
        }
        if !cancellation.unreferenced.is_empty() {
            let lines = cancellation.unreferenced.iter();
            let mut tally: Tally = lines.map(|line| credited(line.quantity.get(), line.amount.minor())).sum();
            tally += Tally::document();
            self.add(currency, Class::Unreferenced, tally);
        }
    }

    /// What is counted under a class.
    #[must_use]
    pub fn get(&self, currency: Currency, class: &Class) -> Tally {
        self.entries.get(&(currency, class.clone())).copied().unwrap_or_default()
    }

    /// The currencies in it.
    #[must_use]
    pub fn currencies(&self) -> BTreeSet<Currency> {
        self.entries.keys().map(|(currency, _)| *currency).collect()
    }

    fn left_out(&self, currency: Currency) -> Vec<(&Class, Tally)> {
        let classes = self.entries.iter().filter(|((own, _), _)| *own == currency);
        classes
            .filter(|((_, class), _)| matches!(class, Class::LeftOut(_)))
            .map(|((_, class), tally)| (class, *tally))
            .collect()
    }
}

/// The classes that both sides have.
const CARRIED: [Class; 3] = [Class::Sales, Class::Referenced, Class::Unreferenced];

/// The two sides, set against each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    file: Ledger,
    kontor: Ledger,
}

/// Sets Kontor's side against the file's.
#[must_use]
pub fn compare(file: Ledger, kontor: Ledger) -> Reconciliation {
    Reconciliation { file, kontor }
}

impl Reconciliation {
    /// Whether every class of every currency agrees in documents, lines, pieces and amount.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.differences().is_empty()
    }

    /// One sentence for each figure that differs.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let mut differences = Vec::new();
        for currency in self.currencies() {
            for class in &CARRIED {
                let (file, kontor) = (self.file.get(currency, class), self.kontor.get(currency, class));
                let shown = [
                    ("documents", count(file.documents), count(kontor.documents)),
                    ("lines", count(file.lines), count(kontor.lines)),
                    ("pieces", count(file.pieces), count(kontor.pieces)),
                    ("amount", money(file.amount, currency), money(kontor.amount, currency)),
                ];
                let differing = shown.into_iter().filter(|(_, file, kontor)| file != kontor);
                differences.extend(differing.map(|(what, file, kontor)| {
                    format!("{currency} {}, {what}: {file} in the file, {kontor} in Kontor", class.label())
                }));
            }
        }
        differences
    }

    fn currencies(&self) -> BTreeSet<Currency> {
        self.file.currencies().union(&self.kontor.currencies()).copied().collect()
    }

    /// The table's rows, without the heading.
    fn rows(&self) -> Vec<[String; 7]> {
        let mut rows = Vec::new();
        for currency in self.currencies() {
            let row = |class: &str, side: &str, tally: Tally| {
                [
                    currency.to_string(),
                    class.to_owned(),
                    side.to_owned(),
                    count(tally.documents),
                    count(tally.lines),
                    count(tally.pieces),
                    money(tally.amount, currency),
                ]
            };
            for class in &CARRIED {
                rows.push(row(&class.label(), "file", self.file.get(currency, class)));
                rows.push(row(&class.label(), "Kontor", self.kontor.get(currency, class)));
            }
            let sum = |ledger: &Ledger| -> Tally { CARRIED.iter().map(|class| ledger.get(currency, class)).sum() };
            rows.push(row("carried", "file", sum(&self.file)));
            rows.push(row("carried", "Kontor", sum(&self.kontor)));
            let left_out = self.file.left_out(currency);
            rows.extend(left_out.iter().map(|(class, tally)| row(&class.label(), "file", *tally)));
            let mut all = sum(&self.file);
            all += left_out.into_iter().map(|(_, tally)| tally).sum();
            rows.push(row("carried and left out", "file", all));
        }
        rows
    }

    /// The verdict: one sentence, or one for each difference.
    #[must_use]
    pub fn verdict(&self) -> Vec<String> {
        let differences = self.differences();
        if !differences.is_empty() {
            return differences;
        }
        let currencies: Vec<String> = self.currencies().iter().map(ToString::to_string).collect();
        let whole = if currencies.is_empty() { "nothing to compare".to_owned() } else { currencies.join(", ") };
        vec![format!("{whole}: the file and Kontor agree to the minor unit.")]
    }

    /// The table as aligned text, and the verdict under it.
    #[must_use]
    pub fn text(&self) -> String {
        let rows = self.rows();
        let heading = HEADING.map(str::to_owned);
        let width = |column: usize| {
            let cells = std::iter::once(&heading).chain(&rows).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..HEADING.len()).map(width).collect();
        let line = |row: &[String; 7]| {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                if column < WORDS { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * (HEADING.len() - 1));
        let lines = [line(&heading), rule.clone()].into_iter().chain(rows.iter().map(line)).chain([rule]);
        lines.chain(self.verdict()).map(|line| line + "\n").collect()
    }

    /// The table in Markdown, and the verdict under it.
    #[must_use]
    pub fn markdown(&self) -> String {
        let line = |row: &[String; 7]| format!("| {} |", row.join(" | "));
        let heading = line(&HEADING.map(str::to_owned));
        let rule = "|---|---|---|--:|--:|--:|--:|".to_owned();
        let rows = self.rows();
        let table = [heading, rule].into_iter().chain(rows.iter().map(line));
        let verdict = self.verdict().into_iter().flat_map(|sentence| [String::new(), sentence]);
        table.chain(verdict).map(|line| line + "\n").collect()
    }
}

const HEADING: [&str; 7] = ["currency", "class", "side", "documents", "lines", "pieces", "amount"];
/// How many columns hold words and not figures.
const WORDS: usize = 3;

/// A whole number with a comma between thousands.
pub(super) fn count(number: impl Into<i128>) -> String {
    let number: i128 = number.into();
    grouped(&number.to_string())
}

/// An amount of minor units in major units, with a comma between thousands.
fn money(minor: i128, currency: Currency) -> String {
    Decimal::try_from_i128_with_scale(minor, currency.exponent())
        .map_or_else(|_| format!("{minor} minor units"), |amount| grouped(&amount.to_string()))
}

fn grouped(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let mut text = sign.to_owned();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if let Some(fraction) = fraction {
        text.push('.');
        text.push_str(fraction);
    }
    text
}
