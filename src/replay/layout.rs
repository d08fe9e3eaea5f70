//! Which column holds what: the mapping's headings looked up in the file's.

use csv::ByteRecord;

use super::{Unusable, fields::decode, mapping::Mapping};
use crate::kernel::text;

/// Where each value stands in a record.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) width: usize,
    pub(super) number: usize,
    pub(super) sku: usize,
    pub(super) description: Option<usize>,
    pub(super) quantity: Option<usize>,
    pub(super) date: usize,
    pub(super) time: Option<usize>,
    pub(super) unit_price: Option<usize>,
    pub(super) line_amount: Option<usize>,
    pub(super) line_discount: Option<usize>,
    pub(super) line_discount_percent: Option<usize>,
    pub(super) order_shipping: Option<usize>,
    pub(super) order_discount: Option<usize>,
    pub(super) customer: Option<usize>,
    pub(super) country: Option<usize>,
    pub(super) currency: Option<usize>,
    pub(super) email: Option<usize>,
    pub(super) tax_class: Option<usize>,
    pub(super) kind: Option<usize>,
    pub(super) status: Option<usize>,
    pub(super) original: Option<usize>,
    /// Name, company, street, postcode, city, region, phone.
    pub(super) person: [Option<usize>; 7],
}

impl Layout {
    pub(super) fn find(heading: &ByteRecord, mapping: &Mapping) -> Result<Self, Unusable> {
        let names: Vec<String> = heading
            .iter()
            .map(|bytes| decode(bytes, mapping.file.encoding).unwrap_or_else(|| String::from_utf8_lossy(bytes)))
            .map(|name| name.trim().to_owned())
            .collect();
        let place = |key: &str, wanted: &str| found(&names, key, wanted.trim(), mapping.file.delimiter);
        let maybe = |key: &str, wanted: &Option<String>| wanted.as_deref().map(|wanted| place(key, wanted)).transpose();
        let columns = &mapping.columns;
        Ok(Self {
            width: names.len(),
            number: place("number", &columns.number)?,
            sku: place("sku", &columns.sku)?,
            description: maybe("description", &columns.description)?,
            quantity: maybe("quantity", &columns.quantity)?,
            date: place("date", &columns.date)?,
            time: maybe("time", &columns.time)?,
            unit_price: maybe("unit_price", &columns.unit_price)?,
            line_amount: maybe("line_amount", &columns.line_amount)?,
            line_discount: maybe("line_discount", &columns.line_discount)?,
            line_discount_percent: maybe("line_discount_percent", &columns.line_discount_percent)?,
            order_shipping: maybe("order_shipping", &columns.order_shipping)?,
            order_discount: maybe("order_discount", &columns.order_discount)?,
            customer: maybe("customer", &columns.customer)?,
            country: maybe("country", &columns.country)?,
            currency: maybe("currency", &columns.currency)?,
            email: maybe("email", &columns.email)?,
            tax_class: maybe("tax_class", &columns.tax_class)?,
            kind: maybe("kind", &columns.kind)?,
            status: maybe("status", &columns.status)?,
            original: maybe("original", &columns.original)?,
            person: [
                maybe("name", &columns.name)?,
                maybe("company", &columns.company)?,
                maybe("street", &columns.street)?,
                maybe("postcode", &columns.postcode)?,
                maybe("city", &columns.city)?,
                maybe("region", &columns.region)?,
                maybe("phone", &columns.phone)?,
            ],
        })
    }
}

/// The place of a heading: written exactly so, else in another case, else with other accents and punctuation (the same
/// letter with an umlaut can be written as one character or as two).
fn found(names: &[String], key: &str, wanted: &str, delimiter: u8) -> Result<usize, Unusable> {
    let matching = |same: &dyn Fn(&str) -> bool| -> Vec<usize> {
        names.iter().enumerate().filter(|(_, name)| same(name)).map(|(place, _)| place).collect()
    };
    let mut places = matching(&|name| name == wanted);
    if places.is_empty() {
        places = matching(&|name| name.to_lowercase() == wanted.to_lowercase());
    }
    if places.is_empty() && !text::fold(wanted).is_empty() {
        places = matching(&|name| text::fold(name) == text::fold(wanted));
    }
    match places.as_slice() {
        [one] => Ok(*one),
        [] => Err(Unusable(format!(
            "the file has no column `{wanted}` (mapping key `columns.{key}`); its columns are: {}{}",
            names.join(" | "),
            other_delimiter(names, delimiter)
        ))),
        _ => Err(Unusable(format!("the file has more than one column `{wanted}` (mapping key `columns.{key}`)"))),
    }
}

/// A hint where the whole heading was read as one column.
fn other_delimiter(names: &[String], delimiter: u8) -> String {
    let [heading] = names else { return String::new() };
    let count = |mark: &char| heading.matches(*mark).count();
    let likely = [';', ',', '\t', '|'].into_iter().filter(|mark| *mark != char::from(delimiter) && count(mark) > 0);
    likely.max_by_key(count).map_or_else(String::new, |mark| {
        format!(": that is one column; is the mapping key `file.delimiter` to be {mark:?}?")
    })
}
