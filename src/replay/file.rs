//! The file: CSV, plain or gzip, row by row. Every row comes out, either read or with what is wrong with it.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use csv::ByteRecord;
use flate2::bufread::MultiGzDecoder;
use rust_decimal::Decimal;

use super::{
    Unusable,
    fields::{Dates, decimal, decode, one_line},
    mapping::Mapping,
    newlines::Newlines,
    reason::Defect,
};
use crate::kernel::{
    Currency, Instant, Money, Quantity, UnitPrice,
    text::{Email, Sku, Text},
};

/// A document's number: an order's, an invoice's, a credit note's.
pub type Number = Text<100>;
/// A customer's number or name in the other shop.
pub type CustomerNumber = Text<100>;

/// The longest description that is kept.
const DESCRIPTION: usize = 200;

/// One row, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The line of the file on which it begins; the heading is line 1.
    pub line: u64,
    /// The document.
    pub number: Number,
    /// The document's kind or status.
    pub kind: Option<String>,
    /// The SKU, in the case the mapping says.
    pub sku: Sku,
    /// The article's name.
    pub description: Option<String>,
    /// The tax class, as the file has it.
    pub tax_class: Option<String>,
    /// Pieces, with the file's sign.
    pub quantity: i64,
    /// The price of one piece, with the file's sign.
    pub price: UnitPrice,
    /// Price × quantity in minor units, rounded as the mapping says, with the sign of the product.
    pub amount: i64,
    /// The same, not rounded; the file's own figure, where it states the amount.
    pub exact: Decimal,
    /// The currency.
    pub currency: Currency,
    /// When.
    pub at: Instant,
    /// The clock showed that time never or twice on that day.
    pub odd_time: bool,
    /// The customer; none is a guest.
    pub customer: Option<CustomerNumber>,
    /// The country, as the file has it.
    pub country: Option<String>,
    /// The customer's e-mail address.
    pub email: Option<Email>,
    /// There is something in the e-mail column, but no address.
    pub bad_email: bool,
}

/// A row that can not be carried over, with as much as could be read of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// The line of the file on which it begins.
    pub line: u64,
    /// What is wrong.
    pub defect: Defect,
    /// The value that is wrong, as an example for the report.
    pub example: String,
    /// The document, when its number can be read.
    pub number: Option<Number>,
    /// The currency: the mapping's, when the row's can not be read.
    pub currency: Currency,
    /// Pieces; 0 when they can not be read.
    pub quantity: i64,
    /// The amount in minor units; 0 when it can not be read.
    pub amount: i64,
}

/// A row of the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// Read.
    Row(Box<Row>),
    /// Not carried over.
    Rejected(Rejected),
}

/// Where each value stands in a record.
#[derive(Debug)]
struct Layout {
    width: usize,
    number: usize,
    sku: usize,
    description: Option<usize>,
    quantity: Option<usize>,
    date: usize,
    time: Option<usize>,
    unit_price: Option<usize>,
    line_amount: Option<usize>,
    customer: Option<usize>,
    country: Option<usize>,
    currency: Option<usize>,
    email: Option<usize>,
    tax_class: Option<usize>,
    kind: Option<usize>,
}

/// The rows of a file, in its order.
pub struct Rows<'m, R: BufRead> {
    reader: csv::Reader<Newlines<R>>,
    record: ByteRecord,
    layout: Layout,
    mapping: &'m Mapping,
    dates: Dates,
    ended: bool,
}

/// Opens a file; gzip is recognised by its first bytes, not by its name.
///
/// # Errors
/// When the file can not be read, or a column that the mapping names is not in its heading.
pub fn open<'m>(path: &Path, mapping: &'m Mapping) -> Result<Rows<'m, Box<dyn BufRead + Send>>, Unusable> {
    let failed = |error: std::io::Error| Unusable(format!("{} can not be read: {error}", path.display()));
    let mut plain = BufReader::with_capacity(1 << 16, File::open(path).map_err(failed)?);
    let gzip = plain.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
    let source: Box<dyn BufRead + Send> =
        if gzip { Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(plain))) } else { Box::new(plain) };
    Rows::new(source, mapping).map_err(|error| Unusable(format!("{}: {error}", path.display())))
}

impl<'m, R: BufRead> Rows<'m, R> {
    /// The rows of plain CSV from anywhere.
    ///
    /// # Errors
    /// When the heading can not be read, or lacks a column that the mapping names.
    pub fn new(source: R, mapping: &'m Mapping) -> Result<Self, Unusable> {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(mapping.file.delimiter)
            .quote(mapping.file.quote.unwrap_or(b'"'))
            .quoting(mapping.file.quote.is_some())
            .flexible(true)
            .from_reader(Newlines::new(source));
        let heading = reader.byte_headers().map_err(|error| Unusable(format!("line 1: {error}")))?;
        if heading.get(0).is_some_and(|first| first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff])) {
            return Err(Unusable("the file is in UTF-16: save it as UTF-8".to_owned()));
        }
        let layout = Layout::find(heading, mapping)?;
        let dates = Dates::new(&mapping.date);
        Ok(Self { reader, record: ByteRecord::new(), layout, mapping, dates, ended: false })
    }

    fn entry(&self, line: u64, lines: u64) -> Entry {
        let mut rejected = Rejected {
            line,
            defect: Defect::EmptyRow,
            example: String::new(),
            number: None,
            currency: self.mapping.currency,
            quantity: 0,
            amount: 0,
        };
        if self.record.iter().all(|field| field.trim_ascii().is_empty()) {
            return Entry::Rejected(rejected);
        }
        if self.record.len() != self.layout.width {
            rejected.defect = if lines > 1 { Defect::UnclosedQuote } else { Defect::WrongColumns };
            rejected.example = if lines > 1 {
                format!("lines {line} to {}", line + lines - 1)
            } else {
                format!("{} columns, not {}", self.record.len(), self.layout.width)
            };
            return Entry::Rejected(rejected);
        }
        match self.read(line, &mut rejected) {
            Ok(row) => Entry::Row(Box::new(row)),
            Err((defect, example)) => {
                rejected.defect = defect;
                rejected.example = one_line(example, 80).unwrap_or_default();
                Entry::Rejected(rejected)
            }
        }
    }

    /// The row, or its defect with the value that shows it. What can be read is noted in `partial` on the way.
    fn read(&self, line: u64, partial: &mut Rejected) -> Result<Row, (Defect, &str)> {
        let layout = &self.layout;
        let mapping = self.mapping;
        let encoding = mapping.file.encoding;
        let value = |place: usize| {
            let bytes = self.record.get(place).unwrap_or_default();
            decode(bytes, encoding).ok_or((Defect::BadEncoding, ""))
        };
        let optional = |place: Option<usize>| match place {
            Some(place) => value(place).map(|text| one_line(&text, DESCRIPTION)),
            None => Ok(None),
        };
        // The value as it stands in the file, for the report; an encoding defect has been told apart by then.
        let raw = |place: Option<usize>| {
            place
                .and_then(|place| self.record.get(place))
                .and_then(|bytes| std::str::from_utf8(bytes).ok())
                .unwrap_or("")
        };

        let number = Number::new(&value(layout.number)?).map_err(|_| (Defect::BadNumber, raw(Some(layout.number))))?;
        partial.number = Some(number.clone());
        let currency = match optional(layout.currency)? {
            Some(code) => code.to_uppercase().parse().map_err(|_| (Defect::BadCurrency, raw(layout.currency)))?,
            None => mapping.currency,
        };
        partial.currency = currency;

        let comma = mapping.file.decimal_comma;
        let quantity = match layout.quantity {
            Some(place) => whole(&value(place)?, comma).ok_or((Defect::BadQuantity, raw(layout.quantity)))?,
            None => 1,
        };
        partial.quantity = quantity;
        let price_place = layout.unit_price.or(layout.line_amount);
        let stated = match price_place {
            Some(place) => decimal(&value(place)?, comma).ok_or((Defect::BadPrice, raw(price_place)))?,
            None => return Err((Defect::BadPrice, "")),
        };
        let by_piece = layout.unit_price.is_some();
        if !by_piece {
            partial.amount = currency.round(stated, mapping.rounding).unwrap_or_default();
        }
        if quantity == 0 {
            return Err((Defect::ZeroQuantity, raw(layout.quantity)));
        }
        let one = if by_piece {
            stated
        } else {
            unit_price_of(stated, quantity, mapping, currency).ok_or((Defect::InexactPrice, raw(price_place)))?
        };
        let (product, amount) = amount(one, quantity, mapping, currency).ok_or((Defect::TooLarge, raw(price_place)))?;
        partial.amount = amount;
        let price = scaled(one, currency).ok_or((Defect::BadPrice, raw(price_place)))?;

        let sku = Sku::new(&mapping.sku(&value(layout.sku)?)).map_err(|_| (Defect::BadSku, raw(Some(layout.sku))))?;
        let (at, odd_time) = self.date()?.ok_or((Defect::BadDate, raw(Some(layout.date))))?;
        let customer = match layout.customer {
            Some(place) => self.customer(&value(place)?).map_err(|()| (Defect::BadCustomer, raw(layout.customer)))?,
            None => None,
        };
        let email = optional(layout.email)?;
        let address = email.as_deref().and_then(|text| Email::new(text).ok());
        Ok(Row {
            line,
            number,
            kind: optional(layout.kind)?,
            sku,
            description: optional(layout.description)?,
            tax_class: optional(layout.tax_class)?,
            quantity,
            price,
            amount,
            exact: if by_piece { product } else { stated },
            currency,
            at,
            odd_time,
            customer,
            country: optional(layout.country)?,
            bad_email: email.is_some() && address.is_none(),
            email: address,
        })
    }

    fn date(&self) -> Result<Option<(Instant, bool)>, (Defect, &'static str)> {
        let text = |place: usize| {
            decode(self.record.get(place).unwrap_or_default(), self.mapping.file.encoding)
                .ok_or((Defect::BadEncoding, ""))
        };
        let date = text(self.layout.date)?;
        match self.layout.time {
            Some(place) => Ok(self.dates.read(&format!("{} {}", date.trim(), text(place)?.trim()))),
            None => Ok(self.dates.read(&date)),
        }
    }

    fn customer(&self, text: &str) -> Result<Option<CustomerNumber>, ()> {
        let trimmed = text.trim();
        let suffix = &self.mapping.customer.strip_suffix;
        let bare = trimmed.strip_suffix(suffix.as_str()).unwrap_or(trimmed).trim();
        if bare.is_empty() || self.mapping.customer.missing.iter().any(|none| none.eq_ignore_ascii_case(bare)) {
            return Ok(None);
        }
        CustomerNumber::new(bare).map(Some).map_err(|_| ())
    }
}

impl<R: BufRead> Iterator for Rows<'_, R> {
    type Item = Result<Entry, Unusable>;

    /// The next row; an error, such as a gzip file that breaks off, ends the rows.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.reader.read_byte_record(&mut self.record) {
            Ok(true) => {
                // The reader counts empty lines that it has skipped to the row, so the row's own are counted back from
                // its end. Where an open quote has taken the file's end in, there is no end to count from.
                let inside = self.record.iter().flatten().filter(|byte| **byte == b'\n').count() as u64;
                let end = self.reader.position().line();
                let start = self.record.position().map_or(0, csv::Position::line);
                Some(Ok(self.entry(start.max(end.saturating_sub(inside + 1)), inside + 1)))
            }
            Ok(false) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(Unusable(format!("after line {}: {error}", self.reader.position().line()))))
            }
        }
    }
}

/// A whole number within what Kontor takes.
fn whole(text: &str, comma: bool) -> Option<i64> {
    let number = decimal(text, comma)?;
    if !number.is_integer() {
        return None;
    }
    i64::try_from(number.normalize()).ok().filter(|count| count.abs() <= Quantity::MAX)
}

/// Price × quantity, exact and in minor units; `None` when too large.
fn amount(price: Decimal, quantity: i64, mapping: &Mapping, currency: Currency) -> Option<(Decimal, i64)> {
    let scale = Decimal::from(10i64.checked_pow(currency.exponent() + UnitPrice::EXTRA_DIGITS)?);
    if price.abs() > Decimal::from(Money::MAX_INPUT).checked_div(scale)? {
        return None;
    }
    let exact = price.checked_mul(Decimal::from(quantity))?;
    let minor = currency.round(exact, mapping.rounding)?;
    (minor.abs() <= Money::MAX_INPUT).then_some((exact, minor))
}

/// A price in the form Kontor keeps; `None` when it has more digits than that.
fn scaled(price: Decimal, currency: Currency) -> Option<UnitPrice> {
    let digits = currency.exponent() + UnitPrice::EXTRA_DIGITS;
    let whole = price.checked_mul(Decimal::from(10i64.checked_pow(digits)?))?.normalize();
    let scaled = whole.is_integer().then(|| i64::try_from(whole).ok())??;
    Some(UnitPrice::from_scaled(scaled, currency))
}

/// The price of one piece that gives an amount; `None` when none does, to the minor unit.
fn unit_price_of(stated: Decimal, quantity: i64, mapping: &Mapping, currency: Currency) -> Option<Decimal> {
    let digits = currency.exponent() + UnitPrice::EXTRA_DIGITS;
    let price = stated.checked_div(Decimal::from(quantity))?.round_dp(digits);
    let wanted = currency.round(stated, mapping.rounding)?;
    (currency.round(price.checked_mul(Decimal::from(quantity))?, mapping.rounding)? == wanted).then_some(price)
}

impl Layout {
    fn find(heading: &ByteRecord, mapping: &Mapping) -> Result<Self, Unusable> {
        let names: Vec<String> = heading
            .iter()
            .map(|bytes| decode(bytes, mapping.file.encoding).unwrap_or_else(|| String::from_utf8_lossy(bytes)))
            .map(|name| name.trim_start_matches('\u{feff}').trim().to_owned())
            .collect();
        let place = |key: &str, wanted: &str| {
            let matching = |exact: bool| -> Vec<usize> {
                let same = |name: &str| if exact { name == wanted } else { name.eq_ignore_ascii_case(wanted) };
                names.iter().enumerate().filter(|(_, name)| same(name)).map(|(place, _)| place).collect()
            };
            let exact = matching(true);
            let found = if exact.is_empty() { matching(false) } else { exact };
            match found.as_slice() {
                [one] => Ok(*one),
                [] => Err(Unusable(format!(
                    "the file has no column `{wanted}` (mapping key `columns.{key}`); its columns are: {}",
                    names.join(" | ")
                ))),
                _ => {
                    Err(Unusable(format!("the file has more than one column `{wanted}` (mapping key `columns.{key}`)")))
                }
            }
        };
        let maybe =
            |key: &str, wanted: &Option<String>| wanted.as_deref().map(|wanted| place(key, wanted.trim())).transpose();
        let columns = &mapping.columns;
        Ok(Self {
            width: names.len(),
            number: place("number", columns.number.trim())?,
            sku: place("sku", columns.sku.trim())?,
            description: maybe("description", &columns.description)?,
            quantity: maybe("quantity", &columns.quantity)?,
            date: place("date", columns.date.trim())?,
            time: maybe("time", &columns.time)?,
            unit_price: maybe("unit_price", &columns.unit_price)?,
            line_amount: maybe("line_amount", &columns.line_amount)?,
            customer: maybe("customer", &columns.customer)?,
            country: maybe("country", &columns.country)?,
            currency: maybe("currency", &columns.currency)?,
            email: maybe("email", &columns.email)?,
            tax_class: maybe("tax_class", &columns.tax_class)?,
            kind: maybe("kind", &columns.kind)?,
        })
    }
}
