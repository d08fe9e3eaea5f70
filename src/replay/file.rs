//! The file: CSV, plain or gzip, row by row. Every row comes out, either read or with what is wrong with it.

use std::{
    borrow::Cow,
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use csv::ByteRecord;
use flate2::bufread::MultiGzDecoder;
use rust_decimal::Decimal;

use super::{
    Unusable,
    amounts::{Stated, whole},
    fields::{Dates, decimal, decode, one_line},
    layout::Layout,
    mapping::Mapping,
    newlines::Newlines,
    reason::Defect,
    row::{CustomerNumber, Entry, Number, Person, Rejected, Row},
};
use crate::kernel::{
    Currency, Instant,
    text::{Email, Sku},
};

/// The longest description that is kept.
const DESCRIPTION: usize = 200;
/// How long the texts of an address may be: name, company, street, postcode, city, region, phone.
const PERSON: [usize; 7] = [200, 200, 200, 20, 100, 100, 40];

/// The rows of a file, in its order.
pub struct Rows<'m, R: BufRead> {
    reader: csv::Reader<Newlines<R>>,
    record: ByteRecord,
    layout: Layout,
    mapping: &'m Mapping,
    dates: Dates,
    /// Date and currency of each number's last row that had them: they may stand on a document's first row only.
    seen: HashMap<Number, (Instant, bool, Currency)>,
    /// The number of the row above.
    above: Option<Number>,
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

/// What is wrong with a row, and the value that shows it.
type Wrong<'r> = (Defect, Cow<'r, str>);

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
        let (record, seen, above, ended) = (ByteRecord::new(), HashMap::new(), None, false);
        Ok(Self { reader, record, layout, mapping, dates, seen, above, ended })
    }

    fn entry(&mut self, line: u64, lines: u64) -> Entry {
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
        let shown = |(defect, example): Wrong<'_>| (defect, one_line(&example, 80).unwrap_or_default());
        let number = match self.number().map_err(shown) {
            Ok(number) => number,
            Err((defect, example)) => return Entry::Rejected(Rejected { defect, example, ..rejected }),
        };
        if self.mapping.file.fill_down {
            self.above = Some(number.clone());
        }
        rejected.number = Some(number.clone());
        match self.read(line, number.clone(), &mut rejected).map_err(shown) {
            Ok(row) => {
                let seen = (row.at, row.odd_time, row.currency);
                match self.seen.get_mut(&number) {
                    Some(before) => *before = seen,
                    None => drop(self.seen.insert(number, seen)),
                }
                Entry::Row(Box::new(row))
            }
            Err((defect, example)) => Entry::Rejected(Rejected { defect, example, ..rejected }),
        }
    }

    fn value(&self, place: usize) -> Result<Cow<'_, str>, Wrong<'_>> {
        let bytes = self.record.get(place).unwrap_or_default();
        decode(bytes, self.mapping.file.encoding).ok_or((Defect::BadEncoding, Cow::Borrowed("")))
    }

    /// The value as one line; `None` when the column is empty or not there.
    fn optional(&self, place: Option<usize>, longest: usize) -> Result<Option<String>, Wrong<'_>> {
        place.map_or(Ok(None), |place| self.value(place).map(|text| one_line(&text, longest)))
    }

    /// A defect with the value of a column.
    fn wrong(&self, defect: Defect, place: Option<usize>) -> Wrong<'_> {
        let value = place.and_then(|place| self.value(place).ok());
        (defect, value.unwrap_or_default())
    }

    /// A decimal number; zero when the column is empty or not there.
    fn number_at(&self, place: Option<usize>, defect: Defect) -> Result<Decimal, Wrong<'_>> {
        let Some(text) = self.optional(place, DESCRIPTION)? else { return Ok(Decimal::ZERO) };
        // A percentage may be written with its sign.
        let bare = text.strip_suffix('%').unwrap_or(&text);
        decimal(bare, self.mapping.file.decimal_comma).ok_or_else(|| self.wrong(defect, place))
    }

    /// The document's number; where the mapping says so, the one above stands for an empty one.
    fn number(&self) -> Result<Number, Wrong<'_>> {
        let text = self.value(self.layout.number)?;
        match &self.above {
            Some(above) if self.mapping.file.fill_down && text.trim().is_empty() => Ok(above.clone()),
            _ => Number::new(&text).map_err(|_| (Defect::BadNumber, text)),
        }
    }

    /// The row, or its defect with the value that shows it. What can be read is noted in `partial` on the way.
    fn read(&self, line: u64, number: Number, partial: &mut Rejected) -> Result<Row, Wrong<'_>> {
        let (layout, mapping) = (&self.layout, self.mapping);
        let seen = self.seen.get(&number);
        let currency = match self.optional(layout.currency, DESCRIPTION)? {
            Some(code) => code.to_uppercase().parse().map_err(|_| self.wrong(Defect::BadCurrency, layout.currency))?,
            None => seen.map_or(mapping.currency, |(_, _, currency)| *currency),
        };
        partial.currency = currency;
        let quantity = match layout.quantity {
            Some(place) => whole(&self.value(place)?, mapping.file.decimal_comma)
                .ok_or_else(|| self.wrong(Defect::BadQuantity, layout.quantity))?,
            None => 1,
        };
        partial.quantity = quantity;
        let stated = self.stated()?;
        if !stated.by_piece {
            partial.amount = currency.round(stated.value, mapping.rounding).unwrap_or_default();
        }
        let price_place = layout.unit_price.or(layout.line_amount);
        if quantity == 0 {
            return Err(self.wrong(Defect::ZeroQuantity, layout.quantity));
        }
        let worth = stated.worth(quantity, mapping, currency).map_err(|defect| self.wrong(defect, price_place))?;
        partial.amount = worth.minor;

        let date = self.date()?.or_else(|| self.date_above(seen));
        let (at, odd_time) = date.ok_or_else(|| self.wrong(Defect::BadDate, Some(layout.date)))?;
        let number = self.in_period(number, at);
        partial.number = Some(number.clone());
        let sku = Sku::new(&mapping.sku(&self.value(layout.sku)?));
        let sku = sku.map_err(|_| self.wrong(Defect::BadSku, Some(layout.sku)))?;
        let customer = self.customer()?;
        let email = self.optional(layout.email, DESCRIPTION)?;
        let address = email.as_deref().and_then(|text| Email::new(text).ok());
        let minor = |amount: Decimal| currency.round(amount, mapping.rounding);
        let shipping = self.number_at(layout.order_shipping, Defect::BadShipping)?;
        let discount = self.number_at(layout.order_discount, Defect::BadDiscount)?.abs();
        Ok(Row {
            line,
            number,
            kind: self.optional(layout.kind, DESCRIPTION)?,
            status: self.optional(layout.status, DESCRIPTION)?,
            original: self.original()?,
            sku,
            description: self.optional(layout.description, DESCRIPTION)?,
            tax_class: self.optional(layout.tax_class, DESCRIPTION)?,
            quantity,
            price: worth.price,
            amount: worth.minor,
            exact: worth.exact,
            order_shipping: minor(shipping).ok_or_else(|| self.wrong(Defect::BadShipping, layout.order_shipping))?,
            order_discount: minor(discount).ok_or_else(|| self.wrong(Defect::BadDiscount, layout.order_discount))?,
            currency,
            at,
            odd_time,
            customer,
            country: self.optional(layout.country, DESCRIPTION)?,
            bad_email: email.is_some() && address.is_none(),
            email: address,
            person: self.person()?,
        })
    }

    /// What the row says of its money.
    fn stated(&self) -> Result<Stated, Wrong<'_>> {
        let layout = &self.layout;
        let place = layout.unit_price.or(layout.line_amount);
        let bad = || self.wrong(Defect::BadPrice, place);
        let value = decimal(&self.value(place.ok_or_else(bad)?)?, self.mapping.file.decimal_comma).ok_or_else(bad)?;
        Ok(Stated {
            value,
            by_piece: layout.unit_price.is_some(),
            off: self.number_at(layout.line_discount, Defect::BadDiscount)?,
            off_percent: self.number_at(layout.line_discount_percent, Defect::BadDiscount)?,
        })
    }

    fn date(&self) -> Result<Option<(Instant, bool)>, Wrong<'_>> {
        let date = self.value(self.layout.date)?;
        match self.layout.time {
            Some(place) => Ok(self.dates.read(&format!("{} {}", date.trim(), self.value(place)?.trim()))),
            None => Ok(self.dates.read(&date)),
        }
    }

    /// The date of the document's rows before, where this one has none.
    fn date_above(&self, seen: Option<&(Instant, bool, Currency)>) -> Option<(Instant, bool)> {
        let empty = |place: usize| self.record.get(place).unwrap_or_default().trim_ascii().is_empty();
        seen.filter(|_| empty(self.layout.date)).map(|(at, odd_time, _)| (*at, *odd_time))
    }

    /// The number with its year, month or day, where numbers begin anew.
    fn in_period(&self, number: Number, at: Instant) -> Number {
        match self.dates.period(at, self.mapping.numbers_restart) {
            Some(period) => Number::new(&format!("{number}/{period}")).unwrap_or(number),
            None => number,
        }
    }

    fn customer(&self) -> Result<Option<CustomerNumber>, Wrong<'_>> {
        let Some(place) = self.layout.customer else { return Ok(None) };
        let text = self.value(place)?;
        let trimmed = text.trim();
        let suffix = &self.mapping.customer.strip_suffix;
        let bare = trimmed.strip_suffix(suffix.as_str()).unwrap_or(trimmed).trim();
        if bare.is_empty() || self.mapping.customer.missing.iter().any(|none| none.eq_ignore_ascii_case(bare)) {
            return Ok(None);
        }
        CustomerNumber::new(bare).map(Some).map_err(|_| self.wrong(Defect::BadCustomer, Some(place)))
    }

    fn original(&self) -> Result<Option<Number>, Wrong<'_>> {
        let Some(place) = self.layout.original else { return Ok(None) };
        let text = self.value(place)?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        Number::new(&text).map(Some).map_err(|_| self.wrong(Defect::BadOriginal, Some(place)))
    }

    fn person(&self) -> Result<Option<Box<Person>>, Wrong<'_>> {
        let mut texts: [Option<String>; 7] = Default::default();
        for ((text, place), longest) in texts.iter_mut().zip(self.layout.person).zip(PERSON) {
            *text = self.optional(place, longest)?;
        }
        let [name, company, street, postcode, city, region, phone] = texts;
        let person = Person { name, company, street, postcode, city, region, phone };
        Ok((person != Person::default()).then(|| Box::new(person)))
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
