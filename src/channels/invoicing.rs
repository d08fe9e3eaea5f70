//! Who invoices what is sold, when, and what an invoice says of its seller.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Error, Result},
    kernel::text::{Email, Text},
};

crate::words! {
    /// When invoices of what a channel sells are written, and by whom.
    pub enum Invoicing {
        /// Nobody writes any here.
        Off = "off",
        /// One for the whole order, when it is placed.
        AtOrder = "at_order",
        /// One for each shipment.
        AtShipment = "at_shipment",
        /// Another system does, and reports them.
        External = "external",
    }
}

impl Invoicing {
    /// What a channel does of which nothing else is said.
    #[must_use]
    pub const fn off() -> Self {
        Self::Off
    }

    /// Whether nobody writes any here.
    #[must_use]
    pub const fn is_off(self) -> bool {
        matches!(self, Self::Off)
    }

    /// Whether Kontor writes them.
    #[must_use]
    pub const fn is_own(self) -> bool {
        matches!(self, Self::AtOrder | Self::AtShipment)
    }
}

/// What a legal entity's invoices say of it beside its name, country and VAT number, and how their numbers look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "street1": "Speicherstadt 1", "postcode": "20457", "city": "Hamburg", "registration": "HRB 12345, Amtsgericht Hamburg",
    "email": "accounts@example.org", "series": "RE-{year}-", "credit_series": "GU-{year}-", "due_days": 14,
    "iban": "DE89370400440532013000"
}))]
pub struct InvoiceSettings {
    /// Street and number.
    #[schema(value_type = String, max_length = 200)]
    pub street1: Text<200>,
    /// What else is needed to find it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 200)]
    pub street2: Option<Text<200>>,
    /// Postcode.
    #[schema(value_type = String, max_length = 20)]
    pub postcode: Text<20>,
    /// Town or city.
    #[schema(value_type = String, max_length = 100)]
    pub city: Text<100>,
    /// Where it is registered, and under which number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 100)]
    pub registration: Option<Text<100>>,
    /// Its number with the tax office. It or a VAT number has to be on every invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 50)]
    pub tax_number: Option<Text<50>>,
    /// Where questions go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Where questions go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 40)]
    pub phone: Option<Text<40>>,
    /// What the numbers of invoices begin with: letters, digits, `-`, `_` and `.`, the last of them no digit. With `{year}` they begin with 1 each
    /// year.
    #[schema(value_type = String, max_length = 30, example = "RE-{year}-")]
    pub series: Text<30>,
    /// What those of credit notes begin with; that of invoices, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 30, example = "GU-{year}-")]
    pub credit_series: Option<Text<30>>,
    /// After how many days an invoice is due.
    #[serde(default = "fourteen")]
    #[schema(minimum = 0, maximum = 365, default = 14)]
    pub due_days: i64,
    /// How it is to be paid, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 300)]
    pub terms: Option<Text<300>>,
    /// The account to pay to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 34)]
    pub iban: Option<Text<34>>,
    /// What else stands on every invoice, such as who manages the company.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 500)]
    pub note: Option<Text<500>>,
    /// For how many years after that of its issue a document is kept.
    #[serde(default = "ten")]
    #[schema(minimum = 1, maximum = 30, default = 10)]
    pub retention_years: i64,
}

const fn fourteen() -> i64 {
    14
}
const fn ten() -> i64 {
    10
}

/// What stands for the year in a series.
const YEAR: &str = "{year}";

impl InvoiceSettings {
    /// What the schema can not say. `has_vat_id` tells whether the legal entity has a VAT number.
    ///
    /// # Errors
    /// `invalid_value`, `missing_field`, with the pointer to the field in a body that has them under `invoicing`.
    pub fn check(&self, has_vat_id: bool) -> Result<()> {
        if !has_vat_id && self.tax_number.is_none() {
            let detail = "an invoice names a VAT number (`vat_id` of the legal entity) or a tax number";
            return Err(Error::problem(Code::MissingField, detail).at("/invoicing/tax_number"));
        }
        let all = [("series", Some(&self.series)), ("credit_series", self.credit_series.as_ref())];
        for (field, series) in all {
            if series.is_some_and(|series| !is_series(series)) {
                let detail =
                    "expected letters, digits, `-`, `_`, `.` and `{year}`, and no digit at the end, such as RE-{year}-";
                return Err(Error::invalid(format!("/invoicing/{field}"), detail));
            }
        }
        let within = |value: i64, (least, most): (i64, i64), field: &str| match (least..=most).contains(&value) {
            true => Ok(()),
            false => {
                Err(Error::invalid(format!("/invoicing/{field}"), format!("expected a number from {least} to {most}")))
            }
        };
        within(self.due_days, (0, 365), "due_days")?;
        within(self.retention_years, (1, 30), "retention_years")?;
        match self.iban.as_ref().filter(|iban| !is_iban(iban)) {
            Some(_) => Err(Error::invalid("/invoicing/iban", "expected an IBAN without blanks")),
            None => Ok(()),
        }
    }

    /// What the numbers of a year's invoices, or credit notes, begin with.
    #[must_use]
    pub fn series_of(&self, credit_notes: bool, year: i32) -> String {
        let own = if credit_notes { self.credit_series.as_ref() } else { None };
        in_year(own.unwrap_or(&self.series), year)
    }
}

/// A series as it stands in the numbers of a year.
pub(super) fn in_year(series: &str, year: i32) -> String {
    series.replace(YEAR, &year.to_string())
}

/// No digit ends it: a number is its series and digits, and of two series none makes another's number.
fn is_series(text: &str) -> bool {
    let plain = text.replace(YEAR, "");
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let ends = text.chars().last().is_some_and(|c| !c.is_ascii_digit() && c != '}');
    ends && plain.chars().all(fits)
}

/// Whether its form and its check digits are those of an IBAN (ISO 13616, ISO 7064 modulo 97).
fn is_iban(text: &str) -> bool {
    let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    if !(15..=34).contains(&text.len()) || !text.chars().all(upper) {
        return false;
    }
    let (head, rest) = text.split_at(4);
    let rest = rest.chars().chain(head.chars()).try_fold(0u32, |rest, c| {
        let digit = c.to_digit(36)?;
        Some((rest * if digit > 9 { 100 } else { 10 } + digit) % 97)
    });
    rest == Some(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_digit_ends_a_series() {
        for right in ["RE-{year}-", "RE.", "{year}_", "A"] {
            assert!(is_series(right), "{right}");
        }
        for wrong in ["RE1", "RE-{year}", "", "R E-", "RE/", "RE{jahr}-"] {
            assert!(!is_series(wrong), "{wrong}");
        }
    }

    #[test]
    fn an_iban_has_check_digits() {
        assert!(is_iban("DE89370400440532013000") && is_iban("GB82WEST12345698765432"));
        assert!(!is_iban("DE88370400440532013000") && !is_iban("DE89 3704 0044 0532 0130 00") && !is_iban("äöü"));
    }
}
