//! What an invoice says. Pure.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    kernel::{
        Country, Currency, Instant, Money,
        ids::{BillId, ChannelId, LegalEntityId, OrderId},
    },
    pricing::TaxTreatment,
};

crate::words! {
    /// What kind of document it is.
    pub enum BillKind {
        /// What is to be paid.
        Invoice = "invoice",
        /// What is taken off that again.
        CreditNote = "credit_note",
        /// What an invoice would say now: it has no number, is not kept, and asks for no tax.
        ProForma = "pro_forma",
    }
}

crate::words! {
    /// How an amount is taxed: the codes of EN 16931 (UNCL 5305), by their names.
    pub enum Category {
        /// By a rate above zero (S).
        Standard = "standard",
        /// By a rate of zero (Z).
        Zero = "zero",
        /// Not at all, for the customer is exempt (E).
        Exempt = "exempt",
        /// Not by the seller: the customer owes the tax on a service (AE; Article 196 of Directive 2006/112/EC).
        ReverseCharge = "reverse_charge",
        /// Not by the seller: goods to a business in another member state (K; Article 138).
        IntraCommunity = "intra_community",
        /// Not at all: goods that leave the European Union (G; Article 146).
        Export = "export",
    }
}

impl Category {
    /// That of what is sold in a way at a rate. `ships` tells goods from services.
    #[must_use]
    pub fn of(treatment: Option<TaxTreatment>, rate: Decimal, ships: bool) -> Self {
        match treatment {
            Some(TaxTreatment::Exempt) => Self::Exempt,
            Some(TaxTreatment::Export) => Self::Export,
            Some(TaxTreatment::IntraCommunity) if ships => Self::IntraCommunity,
            Some(TaxTreatment::IntraCommunity) => Self::ReverseCharge,
            Some(TaxTreatment::Domestic | TaxTreatment::Destination | TaxTreatment::Origin) | None
                if rate.is_zero() =>
            {
                Self::Zero
            }
            Some(TaxTreatment::Domestic | TaxTreatment::Destination | TaxTreatment::Origin) | None => Self::Standard,
        }
    }

    /// The letters of UNCL 5305.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Standard => "S",
            Self::Zero => "Z",
            Self::Exempt => "E",
            Self::ReverseCharge => "AE",
            Self::IntraCommunity => "K",
            Self::Export => "G",
        }
    }

    /// Why nothing is taxed: the code of the VATEX list, where it has one, and words.
    #[must_use]
    pub const fn exemption(self) -> Option<(Option<&'static str>, &'static str)> {
        match self {
            Self::Standard | Self::Zero => None,
            Self::Exempt => Some((None, "The customer is exempt from tax")),
            Self::ReverseCharge => Some((Some("VATEX-EU-AE"), "Reverse charge")),
            Self::IntraCommunity => Some((Some("VATEX-EU-IC"), "Intra-community supply")),
            Self::Export => Some((Some("VATEX-EU-G"), "Export outside the EU")),
        }
    }
}

/// Somebody as a document names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = InvoiceParty)]
pub struct Party {
    /// The company, or the person where there is none.
    pub name: String,
    /// The person at a company.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Street and number.
    pub street1: String,
    /// What else is needed to find it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub street2: Option<String>,
    /// Postcode.
    pub postcode: String,
    /// Town or city.
    pub city: String,
    /// State, province or county.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Country.
    pub country: Country,
    /// VAT number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<String>,
    /// Number with the tax office.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_number: Option<String>,
    /// Where it is registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<String>,
    /// Where questions go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Where questions go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// A line of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InvoiceLine {
    /// The order's line.
    pub line_no: i32,
    /// What was sold.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// How many.
    pub quantity: i64,
    /// Their unit (UN/ECE Rec 20).
    pub unit_code: String,
    /// The price of so many as `price_quantity` says, without tax, before allowance.
    #[schema(value_type = String, example = "10.00")]
    pub price: Decimal,
    /// How many pieces the price is for.
    pub price_quantity: i64,
    /// What was taken off, without tax.
    pub allowance: Money,
    /// Without tax: price times quantity less the allowance.
    pub net: Money,
    /// The tax.
    pub tax: Money,
    /// With tax.
    pub gross: Money,
    /// The rate as a fraction.
    #[schema(value_type = String, example = "0.19")]
    pub rate: Decimal,
    /// How it is taxed.
    pub category: Category,
}

/// What is charged for a document as a whole: shipping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = InvoiceCharge)]
pub struct Charge {
    /// What for.
    pub name: String,
    /// Without tax.
    pub net: Money,
    /// The tax.
    pub tax: Money,
    /// With tax.
    pub gross: Money,
    /// The rate as a fraction.
    #[schema(value_type = String, example = "0.19")]
    pub rate: Decimal,
    /// How it is taxed.
    pub category: Category,
}

/// What is taxed in one way at one rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InvoiceTax {
    /// How it is taxed.
    pub category: Category,
    /// The rate as a fraction.
    #[schema(value_type = String, example = "0.19")]
    pub rate: Decimal,
    /// What is taxed.
    pub net: Money,
    /// The tax: the sum of what lines and charges bear, as they were rounded when they were sold.
    pub tax: Money,
    /// Why it is not taxed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exemption: Option<String>,
}

/// An invoice that a document is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InvoiceReference {
    /// Its id.
    pub id: BillId,
    /// Its number.
    pub number: String,
    /// Its day.
    pub issued_on: NaiveDate,
}

/// What is left of who has bought once what is personal was taken out of a document: what its tax follows from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = InvoiceLeftOfBuyer)]
pub struct LeftOfBuyer {
    /// The buyer's country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// The VAT number, where a company was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_id: Option<String>,
    /// The country that the goods went to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_country: Option<Country>,
}

/// A contract under which an order was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InvoiceContract {
    /// Its number, by which both sides know it.
    pub number: String,
    /// Who bears the freight, to where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freight: Option<String>,
}

/// An invoice, a credit note, or what one would say. Amounts of a credit note are above zero: they are taken off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
// Invoices that other systems have written have the shorter name.
#[schema(as = IssuedInvoice)]
pub struct Invoice {
    /// Its id.
    pub id: BillId,
    /// What kind of document it is.
    pub kind: BillKind,
    /// Its number; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Who issues it.
    pub legal_entity_id: LegalEntityId,
    /// Where it was sold.
    pub channel_id: ChannelId,
    /// The order.
    pub order_id: OrderId,
    /// Its number.
    pub order_number: String,
    /// The day on which it was placed.
    pub ordered_on: NaiveDate,
    /// The contracts under which it was placed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contracts: Vec<InvoiceContract>,
    /// What it follows from: an order has one document for each. `order`, `shipment:…`, `return:…`.
    pub cause: String,
    /// The day of its issue, in the zone of the issuer's books.
    pub issued_on: NaiveDate,
    /// The day on which the goods left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_on: Option<NaiveDate>,
    /// Until when it is to be paid.
    pub due_on: NaiveDate,
    /// Until when it is kept.
    pub retain_until: NaiveDate,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The customer's language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Who sells.
    pub seller: Party,
    /// Who buys. Absent in events of which it was erased, and in documents since `redacted_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer: Option<Party>,
    /// Where the goods go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliver_to: Option<Party>,
    /// How it is taxed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_treatment: Option<TaxTreatment>,
    /// What it is for.
    pub lines: Vec<InvoiceLine>,
    /// What is charged beside: shipping.
    pub charges: Vec<Charge>,
    /// What is taxed how, at which rate.
    pub taxes: Vec<InvoiceTax>,
    /// The lines without tax.
    pub lines_net: Money,
    /// The charges without tax.
    pub charges_net: Money,
    /// Without tax.
    pub net: Money,
    /// The tax.
    pub tax: Money,
    /// With tax.
    pub total: Money,
    /// What had been paid of it before it was issued, or was promised by a payment provider and came without being asked for.
    pub prepaid: Money,
    /// What was left to pay then.
    pub payable: Money,
    /// The account to pay to; absent where nothing was left to pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iban: Option<String>,
    /// How it is to be paid; absent where nothing was left to pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<String>,
    /// What else the seller says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why a credit note, or an invoice that stands for another, was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The invoices that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refers_to: Vec<InvoiceReference>,
    /// When what is personal was taken out of it, after `retain_until`: who has bought, where it went, and free texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redacted_at: Option<Instant>,
    /// What is left of who has bought since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_of_buyer: Option<LeftOfBuyer>,
}

impl Invoice {
    /// How others name it.
    #[must_use]
    pub fn reference(&self) -> InvoiceReference {
        let number = self.number.clone().unwrap_or_default();
        InvoiceReference { id: self.id, number, issued_on: self.issued_on }
    }

    /// What stays of it once it does not have to be kept any more: what its number, day, sums and tax are, and nothing of who has bought. Of the
    /// numbers for tax that of a company stays; who has named none is a person. One that is redacted stays as it is.
    #[must_use]
    pub fn redacted(self, at: Instant) -> Self {
        if self.redacted_at.is_some() {
            return self;
        }
        // Who buys for a company is named beside it.
        let company = self.buyer.as_ref().filter(|buyer| buyer.contact.is_some());
        let left = LeftOfBuyer {
            country: self.buyer.as_ref().map(|buyer| buyer.country),
            vat_id: company.and_then(|buyer| buyer.vat_id.clone()),
            delivery_country: self.deliver_to.as_ref().map(|place| place.country),
        };
        let (buyer, deliver_to, terms, note, reason) = (None, None, None, None, None);
        let contracts = Vec::new();
        Self {
            buyer,
            deliver_to,
            terms,
            note,
            reason,
            contracts,
            redacted_at: Some(at),
            left_of_buyer: Some(left),
            ..self
        }
    }

    /// Sums its lines and charges up. Whatever stood in its sums is replaced.
    #[must_use]
    pub fn summed(mut self) -> Self {
        let money = |minor: i64| Money::from_minor(minor, self.currency);
        let parts = self.lines.iter().map(|line| (line.category, line.rate, line.net, line.tax));
        let parts = parts.chain(self.charges.iter().map(|one| (one.category, one.rate, one.net, one.tax)));
        let mut rows: Vec<InvoiceTax> = Vec::new();
        for (category, rate, net, tax) in parts {
            match rows.iter_mut().find(|row| row.category == category && row.rate == rate) {
                Some(row) => {
                    row.net = money(row.net.minor().saturating_add(net.minor()));
                    row.tax = money(row.tax.minor().saturating_add(tax.minor()));
                }
                None => {
                    let exemption = category.exemption().map(|(_, words)| words.to_owned());
                    rows.push(InvoiceTax { category, rate, net, tax, exemption });
                }
            }
        }
        rows.sort_by_key(|row| (row.category, row.rate));
        let sum = |amounts: &mut dyn Iterator<Item = Money>| amounts.map(Money::minor).fold(0, i64::saturating_add);
        let lines = sum(&mut self.lines.iter().map(|line| line.net));
        let charges = sum(&mut self.charges.iter().map(|one| one.net));
        let tax = sum(&mut rows.iter().map(|row| row.tax));
        let net = lines.saturating_add(charges);
        let total = net.saturating_add(tax);
        let prepaid = self.prepaid.minor().clamp(0, total);
        (self.lines_net, self.charges_net, self.net, self.tax) = (money(lines), money(charges), money(net), money(tax));
        (self.total, self.prepaid, self.payable) = (money(total), money(prepaid), money(total - prepaid));
        self.taxes = rows;
        self
    }
}

/// An invoice in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct InvoiceSummary {
    /// Its id.
    pub id: BillId,
    /// What kind of document it is.
    pub kind: BillKind,
    /// Its number.
    pub number: String,
    /// Who has issued it.
    pub legal_entity_id: LegalEntityId,
    /// Where it was sold.
    pub channel_id: ChannelId,
    /// The order.
    pub order_id: OrderId,
    /// Its number.
    pub order_number: String,
    /// What it follows from.
    pub cause: String,
    /// The day of its issue.
    pub issued_on: NaiveDate,
    /// Until when it is to be paid.
    pub due_on: NaiveDate,
    /// Without tax.
    pub net: Money,
    /// The tax.
    pub tax: Money,
    /// With tax.
    pub total: Money,
    /// When what is personal was taken out of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacted_at: Option<Instant>,
}

/// A number as it is written: what the series begins with, and at least six digits.
#[must_use]
pub(super) fn number_of(series: &str, sequence: i64) -> String {
    format!("{series}{sequence:06}")
}

/// The hash of a document's text, as hexadecimal digits.
#[must_use]
pub fn fingerprint(document: &str) -> String {
    Sha256::digest(document.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_have_to_be() {
        assert_eq!(number_of("RE-2026-", 1), "RE-2026-000001");
        assert_eq!(number_of("RE-2026-", 12_345_678), "RE-2026-12345678");
    }

    #[test]
    fn every_treatment_has_its_category() {
        let (none, some) = (Decimal::ZERO, Decimal::new(19, 2));
        let of = |treatment, rate, ships| Category::of(Some(treatment), rate, ships).code();
        assert_eq!(of(TaxTreatment::Domestic, some, true), "S");
        assert_eq!(of(TaxTreatment::Domestic, none, true), "Z");
        assert_eq!(of(TaxTreatment::Destination, some, false), "S");
        assert_eq!(of(TaxTreatment::IntraCommunity, none, true), "K");
        assert_eq!(of(TaxTreatment::IntraCommunity, none, false), "AE");
        assert_eq!(of(TaxTreatment::Export, none, true), "G");
        assert_eq!(of(TaxTreatment::Exempt, none, true), "E");
        assert_eq!(Category::of(None, some, true).code(), "S");
    }
}
