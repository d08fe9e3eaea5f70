//! An invoice or credit note as UBL 2.1, in the meaning of EN 16931. Pure.
//!
//! The elements stand in the order of the UBL schemas; what business terms (BT) they are, the comments say.

use rust_decimal::Decimal;

use super::{
    model::{BillKind, Category, Charge, Invoice, InvoiceLine, InvoiceTax, Party},
    text::{digits, escaped, percent},
};
use crate::kernel::Money;

/// What the document follows: the European norm, without more (BT-24).
const CUSTOMIZATION: &str = "urn:cen.eu:en16931:2017";
const SCHEMA: &str = "urn:oasis:names:specification:ubl:schema:xsd";

/// Text of XML that is being written.
struct Writer {
    text: String,
    /// The currency of the amounts.
    currency: &'static str,
}

impl Writer {
    fn open(&mut self, name: &str) {
        self.text.push_str(&format!("<{name}>"));
    }

    fn close(&mut self, name: &str) {
        self.text.push_str(&format!("</{name}>\n"));
    }

    /// An element that holds others.
    fn within(&mut self, name: &str, inner: impl FnOnce(&mut Self)) {
        self.open(name);
        self.text.push('\n');
        inner(self);
        self.close(name);
    }

    /// An element that holds a text.
    fn put(&mut self, name: &str, text: impl AsRef<str>) {
        self.open(name);
        self.text.push_str(&escaped(text.as_ref()));
        self.close(name);
    }

    /// The same, where there is one.
    fn put_some(&mut self, name: &str, text: Option<&String>) {
        if let Some(text) = text {
            self.put(name, text);
        }
    }

    fn amount(&mut self, name: &str, amount: Money) {
        self.text.push_str(&format!("<{name} currencyID=\"{}\">{}</{name}>\n", self.currency, digits(amount)));
    }

    fn quantity(&mut self, name: &str, quantity: i64, unit: &str) {
        self.text.push_str(&format!("<{name} unitCode=\"{}\">{quantity}</{name}>\n", escaped(unit)));
    }
}

/// A document as UBL 2.1. What is no credit note is an `Invoice`; a pro forma has the type 325 and `PRO-FORMA` for its number.
#[must_use]
pub fn ubl(invoice: &Invoice) -> String {
    let credit = invoice.kind == BillKind::CreditNote;
    let root = if credit { "CreditNote" } else { "Invoice" };
    let mut xml = Writer {
        text: format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{SCHEMA}:{root}-2\" \
             xmlns:cac=\"{SCHEMA}:CommonAggregateComponents-2\" xmlns:cbc=\"{SCHEMA}:CommonBasicComponents-2\">\n"
        ),
        currency: invoice.currency.code(),
    };
    head(&mut xml, invoice, credit);
    references(&mut xml, invoice);
    party(&mut xml, "cac:AccountingSupplierParty", &invoice.seller);
    if let Some(buyer) = &invoice.buyer {
        party(&mut xml, "cac:AccountingCustomerParty", buyer);
    }
    delivery(&mut xml, invoice);
    payment(&mut xml, invoice);
    for one in &invoice.charges {
        charge(&mut xml, one);
    }
    taxes(&mut xml, invoice);
    totals(&mut xml, invoice);
    for (place, one) in (1..).zip(&invoice.lines) {
        line(&mut xml, place, one, credit);
    }
    xml.text.push_str(&format!("</{root}>\n"));
    xml.text
}

fn head(xml: &mut Writer, invoice: &Invoice, credit: bool) {
    xml.put("cbc:CustomizationID", CUSTOMIZATION);
    // BT-1, BT-2, BT-9, BT-3.
    xml.put("cbc:ID", invoice.number.as_deref().unwrap_or("PRO-FORMA"));
    xml.put("cbc:IssueDate", invoice.issued_on.to_string());
    if !credit {
        xml.put("cbc:DueDate", invoice.due_on.to_string());
    }
    let anew = !invoice.refers_to.is_empty();
    let (element, code) = match (invoice.kind, anew) {
        (BillKind::CreditNote, _) => ("cbc:CreditNoteTypeCode", "381"),
        (BillKind::ProForma, _) => ("cbc:InvoiceTypeCode", "325"),
        (BillKind::Invoice, true) => ("cbc:InvoiceTypeCode", "384"),
        (BillKind::Invoice, false) => ("cbc:InvoiceTypeCode", "380"),
    };
    xml.put(element, code);
    // BT-22.
    for note in [&invoice.reason, &invoice.note] {
        xml.put_some("cbc:Note", note.as_ref());
    }
    for contract in invoice.contracts.iter().filter(|_| !credit) {
        let note = contract.freight.as_ref().map(|freight| format!("{}: {freight}", contract.number));
        xml.put_some("cbc:Note", note.as_ref());
    }
    xml.put("cbc:DocumentCurrencyCode", invoice.currency.code());
}

fn references(xml: &mut Writer, invoice: &Invoice) {
    // BT-13: the number that both sides know the order by.
    xml.within("cac:OrderReference", |xml| xml.put("cbc:ID", &invoice.order_number));
    for about in &invoice.refers_to {
        xml.within("cac:BillingReference", |xml| {
            xml.within("cac:InvoiceDocumentReference", |xml| {
                xml.put("cbc:ID", &about.number);
                xml.put("cbc:IssueDate", about.issued_on.to_string());
            });
        });
    }
    // BT-12: there is room for one.
    if let Some(contract) = invoice.contracts.first() {
        xml.within("cac:ContractDocumentReference", |xml| xml.put("cbc:ID", &contract.number));
    }
}

fn address(xml: &mut Writer, element: &str, party: &Party) {
    xml.within(element, |xml| {
        xml.put("cbc:StreetName", &party.street1);
        xml.put_some("cbc:AdditionalStreetName", party.street2.as_ref());
        xml.put("cbc:CityName", &party.city);
        xml.put("cbc:PostalZone", &party.postcode);
        xml.put_some("cbc:CountrySubentity", party.region.as_ref());
        xml.within("cac:Country", |xml| xml.put("cbc:IdentificationCode", party.country.as_str()));
    });
}

fn scheme(xml: &mut Writer, element: &str, number: &str, scheme: &str) {
    xml.within(element, |xml| {
        xml.put("cbc:CompanyID", number);
        xml.within("cac:TaxScheme", |xml| xml.put("cbc:ID", scheme));
    });
}

fn party(xml: &mut Writer, element: &str, party: &Party) {
    xml.within(element, |xml| {
        xml.within("cac:Party", |xml| {
            address(xml, "cac:PostalAddress", party);
            if let Some(vat_id) = &party.vat_id {
                scheme(xml, "cac:PartyTaxScheme", vat_id, "VAT");
            }
            if let Some(number) = &party.tax_number {
                scheme(xml, "cac:PartyTaxScheme", number, "FC");
            }
            xml.within("cac:PartyLegalEntity", |xml| {
                xml.put("cbc:RegistrationName", &party.name);
                xml.put_some("cbc:CompanyID", party.registration.as_ref());
            });
            if party.contact.is_some() || party.phone.is_some() || party.email.is_some() {
                xml.within("cac:Contact", |xml| {
                    xml.put_some("cbc:Name", party.contact.as_ref());
                    xml.put_some("cbc:Telephone", party.phone.as_ref());
                    xml.put_some("cbc:ElectronicMail", party.email.as_ref());
                });
            }
        });
    });
}

/// Goods to another member state name the day on which, and the country to which, they go (BR-IC-11, BR-IC-12).
fn delivery(xml: &mut Writer, invoice: &Invoice) {
    let within_eu = invoice.taxes.iter().any(|row| row.category == Category::IntraCommunity);
    let day = invoice.delivered_on.or(within_eu.then_some(invoice.issued_on));
    if day.is_none() && invoice.deliver_to.is_none() {
        return;
    }
    xml.within("cac:Delivery", |xml| {
        if let Some(day) = day {
            xml.put("cbc:ActualDeliveryDate", day.to_string());
        }
        if let Some(to) = invoice.deliver_to.as_ref() {
            xml.within("cac:DeliveryLocation", |xml| address(xml, "cac:Address", to));
            xml.within("cac:DeliveryParty", |xml| {
                xml.within("cac:PartyName", |xml| xml.put("cbc:Name", &to.name));
            });
        }
    });
}

fn payment(xml: &mut Writer, invoice: &Invoice) {
    if let Some(iban) = &invoice.iban {
        xml.within("cac:PaymentMeans", |xml| {
            // A credit transfer (SEPA where that reaches).
            xml.put("cbc:PaymentMeansCode", "30");
            xml.within("cac:PayeeFinancialAccount", |xml| xml.put("cbc:ID", iban));
        });
    }
    if let Some(terms) = &invoice.terms {
        xml.within("cac:PaymentTerms", |xml| xml.put("cbc:Note", terms));
    }
}

fn category(xml: &mut Writer, element: &str, (category, rate): (Category, Decimal), reason: bool) {
    xml.within(element, |xml| {
        xml.put("cbc:ID", category.code());
        xml.put("cbc:Percent", percent(rate));
        if let Some((code, words)) = category.exemption().filter(|_| reason) {
            if let Some(code) = code {
                xml.put("cbc:TaxExemptionReasonCode", code);
            }
            xml.put("cbc:TaxExemptionReason", words);
        }
        xml.within("cac:TaxScheme", |xml| xml.put("cbc:ID", "VAT"));
    });
}

fn charge(xml: &mut Writer, one: &Charge) {
    xml.within("cac:AllowanceCharge", |xml| {
        xml.put("cbc:ChargeIndicator", "true");
        // Freight service (UNCL 7161).
        xml.put("cbc:AllowanceChargeReasonCode", "FC");
        xml.put("cbc:AllowanceChargeReason", &one.name);
        xml.amount("cbc:Amount", one.net);
        category(xml, "cac:TaxCategory", (one.category, one.rate), false);
    });
}

fn taxes(xml: &mut Writer, invoice: &Invoice) {
    xml.within("cac:TaxTotal", |xml| {
        xml.amount("cbc:TaxAmount", invoice.tax);
        for InvoiceTax { category: how, rate, net, tax, .. } in &invoice.taxes {
            xml.within("cac:TaxSubtotal", |xml| {
                xml.amount("cbc:TaxableAmount", *net);
                xml.amount("cbc:TaxAmount", *tax);
                category(xml, "cac:TaxCategory", (*how, *rate), true);
            });
        }
    });
}

fn totals(xml: &mut Writer, invoice: &Invoice) {
    xml.within("cac:LegalMonetaryTotal", |xml| {
        xml.amount("cbc:LineExtensionAmount", invoice.lines_net);
        xml.amount("cbc:TaxExclusiveAmount", invoice.net);
        xml.amount("cbc:TaxInclusiveAmount", invoice.total);
        if !invoice.charges.is_empty() {
            xml.amount("cbc:ChargeTotalAmount", invoice.charges_net);
        }
        if invoice.prepaid.minor() != 0 {
            xml.amount("cbc:PrepaidAmount", invoice.prepaid);
        }
        xml.amount("cbc:PayableAmount", invoice.payable);
    });
}

fn line(xml: &mut Writer, place: usize, one: &InvoiceLine, credit: bool) {
    let (element, quantity) = match credit {
        true => ("cac:CreditNoteLine", "cbc:CreditedQuantity"),
        false => ("cac:InvoiceLine", "cbc:InvoicedQuantity"),
    };
    xml.within(element, |xml| {
        xml.put("cbc:ID", place.to_string());
        xml.quantity(quantity, one.quantity, &one.unit_code);
        xml.amount("cbc:LineExtensionAmount", one.net);
        xml.within("cac:OrderLineReference", |xml| xml.put("cbc:LineID", one.line_no.to_string()));
        if one.allowance.minor() != 0 {
            xml.within("cac:AllowanceCharge", |xml| {
                xml.put("cbc:ChargeIndicator", "false");
                // A discount (UNCL 5189).
                xml.put("cbc:AllowanceChargeReasonCode", "95");
                xml.put("cbc:AllowanceChargeReason", "Discount");
                xml.amount("cbc:Amount", one.allowance);
            });
        }
        xml.within("cac:Item", |xml| {
            xml.put("cbc:Name", &one.name);
            xml.within("cac:SellersItemIdentification", |xml| xml.put("cbc:ID", &one.sku));
            category(xml, "cac:ClassifiedTaxCategory", (one.category, one.rate), false);
        });
        xml.within("cac:Price", |xml| {
            let price = one.price.normalize();
            xml.text.push_str(&format!("<cbc:PriceAmount currencyID=\"{}\">{price}</cbc:PriceAmount>\n", xml.currency));
            xml.quantity("cbc:BaseQuantity", one.price_quantity, &one.unit_code);
        });
    });
}
