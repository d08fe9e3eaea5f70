//! From what is to be invoiced to the document that says it. Pure.

use chrono::{Datelike, Days, NaiveDate};
use rust_decimal::Decimal;

use super::{
    model::{BillKind, Category, Charge, Invoice, InvoiceContract, InvoiceLine, Party},
    plan::{CORRECTED, Draft, Piece, Standing},
};
use crate::{
    channels::{InvoiceSettings, LegalEntity},
    customers::Address,
    error::{Code, Error, Result},
    kernel::{Money, Rounding, ids::BillId, local},
    orders::{OrderDocument, OrderLine},
    payments::{Payment, is_by_hand},
    pricing::{
        engine::{TaxedShare, share},
        model::ShippingTotals,
    },
};

/// The settings of a legal entity that is to issue something.
///
/// # Errors
/// `invoicing_missing`.
pub(super) fn settings(seller: &LegalEntity) -> Result<&InvoiceSettings> {
    let missing = || Error::problem(Code::InvoicingMissing, format!("`{}` has no `invoicing` settings", seller.code));
    seller.invoicing.as_ref().ok_or_else(missing)
}

/// The document of a draft, without its number, as if it were issued on a day. `covered` is what [`covered`] says of the order's money.
///
/// # Errors
/// `invoicing_missing`; a defect where the draft names lines that the order does not have.
pub(super) fn document(
    standing: &Standing<'_>,
    seller: &LegalEntity,
    (id, day): (BillId, NaiveDate),
    draft: &Draft,
    buyer: Option<Party>,
    covered: i64,
) -> Result<Invoice> {
    let Standing { order, issued, .. } = *standing;
    let settings = settings(seller)?;
    let lines: Vec<InvoiceLine> = draft.pieces.iter().map(|piece| line(order, piece)).collect::<Result<_>>()?;
    let charges = match &order.shipping {
        Some(shipping) if draft.shipping => charges(order, shipping),
        _ => Vec::new(),
    };
    let zero = Money::from_minor(0, order.currency);
    let made = Invoice {
        id,
        kind: draft.kind,
        number: None,
        legal_entity_id: seller.id,
        channel_id: order.channel_id,
        order_id: order.id,
        order_number: order.number.clone(),
        ordered_on: local::day_of(seller.time_zone.0, order.placed_at),
        contracts: contracts(order),
        cause: draft.cause.clone(),
        issued_on: day,
        delivered_on: draft.delivered_on,
        due_on: day,
        retain_until: day,
        currency: order.currency,
        locale: order.locale.clone(),
        seller: seller_party(seller, settings),
        // Where the order does not know any more, for it was erased, earlier documents do.
        buyer: buyer.or_else(|| buyer_of(order)).or_else(|| issued.iter().rev().find_map(|one| one.buyer.clone())),
        deliver_to: deliver_to(order, draft, issued),
        tax_treatment: order.tax_treatment,
        lines,
        charges,
        taxes: Vec::new(),
        lines_net: zero,
        charges_net: zero,
        net: zero,
        tax: zero,
        total: zero,
        prepaid: prepaid(standing, draft, covered),
        payable: zero,
        iban: settings.iban.as_ref().map(ToString::to_string),
        terms: settings.terms.as_ref().map(ToString::to_string),
        note: settings.note.as_ref().map(ToString::to_string),
        reason: draft.reason.clone(),
        refers_to: draft.refers_to.clone(),
        redacted_at: None,
        left_of_buyer: None,
    };
    Ok(dated(asked(made), settings, day))
}

/// The contracts under which an order was placed, each number once.
fn contracts(order: &OrderDocument) -> Vec<InvoiceContract> {
    let mut named: Vec<InvoiceContract> = Vec::with_capacity(order.contracts.len());
    for one in &order.contracts {
        let contract = InvoiceContract { number: one.number.clone(), freight: one.freight.clone() };
        if !named.contains(&contract) {
            named.push(contract);
        }
    }
    named
}

/// A document with its sums. It names no account and no terms where nothing is left to pay.
fn asked(made: Invoice) -> Invoice {
    let mut made = made.summed();
    if made.payable.minor() == 0 {
        (made.iban, made.terms) = (None, None);
    }
    made
}

/// The last of the invoices that a draft is about.
pub(super) fn about<'a>(draft: &Draft, issued: &'a [Invoice]) -> Option<&'a Invoice> {
    let last = draft.refers_to.last()?;
    issued.iter().find(|one| one.id == last.id)
}

/// Where goods go: of a parcel, where its delivery does; what is about an invoice says what that says. Where the order does not know any
/// more, for it was erased, earlier documents do.
fn deliver_to(order: &OrderDocument, draft: &Draft, issued: &[Invoice]) -> Option<Party> {
    if let Some(about) = about(draft, issued) {
        return about.deliver_to.clone();
    }
    let delivery = match draft.delivery {
        Some(place) => order.deliveries.get(place).or_else(|| order.deliveries.first()),
        None => order.deliveries.iter().find(|one| one.pickup.is_none()),
    };
    let delivery = delivery.filter(|one| one.pickup.is_none())?;
    let earlier = || issued.iter().rev().find_map(|one| one.deliver_to.clone());
    delivery.address.as_ref().map(party).or_else(earlier)
}

/// A document as it is issued on a day.
#[must_use]
pub(super) fn dated(mut made: Invoice, settings: &InvoiceSettings, day: NaiveDate) -> Invoice {
    let due = u64::try_from(settings.due_days).unwrap_or_default();
    made.issued_on = day;
    made.due_on = day.checked_add_days(Days::new(due)).unwrap_or(day);
    let years = i32::try_from(settings.retention_years).unwrap_or_default();
    made.retain_until = NaiveDate::from_ymd_opt(day.year().saturating_add(years), 12, 31).unwrap_or(day);
    made
}

/// What is paid for an order, or will be without the customer doing anything, in minor units: what has come less what goes back, and what
/// providers have promised. Who pays by hand (`manual`) has promised nothing that is not to be asked for. `written_off` is what
/// was given away as goodwill, and what banks have taken back: that it is gone leaves nothing to be paid.
#[must_use]
pub(super) fn covered(payments: &[Payment], written_off: i64) -> i64 {
    let of = |one: &Payment| {
        let gone = [one.refunded, one.refund_pending, one.disputed].iter().map(|part| part.minor()).sum::<i64>();
        let stays = one.captured.minor() - gone;
        let comes = if is_by_hand(&one.provider) { 0 } else { one.capturable().minor() + one.capture_pending.minor() };
        stays.saturating_add(comes)
    };
    payments.iter().map(of).fold(written_off, i64::saturating_add)
}

/// What is paid of what is invoiced now: all that is covered less what earlier invoices, without what was credited of them, take of it. So what
/// has come meanwhile for those is not counted again, nor is what has gone back with a credit note. What is above the document's total
/// is for [`Invoice::summed`] to cut.
fn prepaid(standing: &Standing<'_>, draft: &Draft, covered: i64) -> Money {
    let currency = standing.order.currency;
    if draft.kind == BillKind::CreditNote {
        return Money::from_minor(0, currency);
    }
    let signed = |one: &Invoice| match one.kind {
        BillKind::Invoice => one.total.minor(),
        BillKind::CreditNote => -one.total.minor(),
        BillKind::ProForma => 0,
    };
    let invoiced = standing.issued.iter().map(signed).fold(0, i64::saturating_add);
    // What is written anew takes the place of an invoice that is credited with it.
    let anew = Some(draft).filter(|draft| draft.cause.starts_with(CORRECTED));
    let taken_back = anew.and_then(|draft| about(draft, standing.issued)).map_or(0, |wrong| wrong.total.minor());
    let earlier = invoiced.saturating_sub(standing.uncredited()).saturating_sub(taken_back);
    Money::from_minor(covered.saturating_sub(earlier).max(0), currency)
}

/// How an address stands on an invoice.
#[must_use]
pub(super) fn party(address: &Address) -> Party {
    let name = address.name.to_string();
    let company = address.company.as_ref().map(ToString::to_string);
    Party {
        contact: company.is_some().then(|| name.clone()),
        name: company.unwrap_or(name),
        street1: address.street1.to_string(),
        street2: address.street2.as_ref().map(ToString::to_string),
        postcode: address.postcode.to_string(),
        city: address.city.to_string(),
        region: address.region.as_ref().map(ToString::to_string),
        country: address.country,
        vat_id: None,
        tax_number: None,
        registration: None,
        email: None,
        phone: None,
    }
}

/// Who has bought.
#[must_use]
pub(super) fn buyer_of(order: &OrderDocument) -> Option<Party> {
    let first = || order.deliveries.iter().find_map(|one| one.address.as_ref());
    let address = order.billing_address.as_ref().or_else(first)?;
    Some(Party { vat_id: vat_id_of(order), ..party(address) })
}

/// The buyer's VAT number, where it counts.
#[must_use]
pub(super) fn vat_id_of(order: &OrderDocument) -> Option<String> {
    order.vat_id.as_ref().and_then(|checked| checked.counting()).map(ToString::to_string)
}

fn seller_party(seller: &LegalEntity, settings: &InvoiceSettings) -> Party {
    Party {
        name: seller.name.clone(),
        contact: None,
        street1: settings.street1.to_string(),
        street2: settings.street2.as_ref().map(ToString::to_string),
        postcode: settings.postcode.to_string(),
        city: settings.city.to_string(),
        region: None,
        country: seller.country,
        vat_id: seller.vat_id.clone(),
        tax_number: settings.tax_number.as_ref().map(ToString::to_string),
        registration: settings.registration.as_ref().map(ToString::to_string),
        email: settings.email.as_ref().map(|email| email.as_str().to_owned()),
        phone: settings.phone.as_ref().map(ToString::to_string),
    }
}

/// Decimals of a price for one piece that is told as such.
const PRICE_DIGITS: u32 = 4;

fn line(order: &OrderDocument, piece: &Piece) -> Result<InvoiceLine> {
    let line = order.line(piece.line_no)?;
    let money = |minor: i64| Money::from_minor(minor, order.currency);
    let TaxedShare { net, tax, gross } = piece.share;
    let quantity = piece.quantity;
    // What discounts took off these pieces: their part of what they took off the line, without tax.
    let full = share(before_discount(order, line), 0, quantity, line.quantities.quantity);
    let allowance = if line.discount.minor() > 0 && !piece.lower { full.saturating_sub(net).max(0) } else { 0 };
    let base = money(net.saturating_add(allowance)).decimal();
    // A price of one piece, where so many of it are exactly the amount; else the amount is the price of all.
    let each = (base / Decimal::from(quantity.max(1))).round_dp(PRICE_DIGITS);
    let exact = each * Decimal::from(quantity) == base;
    let (price, price_quantity) = if exact { (each, 1) } else { (base, quantity) };
    Ok(InvoiceLine {
        line_no: piece.line_no,
        sku: line.sku.clone(),
        name: line.name.clone(),
        quantity,
        unit_code: line.unit_code.clone(),
        price,
        price_quantity,
        allowance: money(allowance),
        net: money(net),
        tax: money(tax),
        gross: money(gross),
        rate: line.tax_rate.normalize(),
        category: Category::of(order.tax_treatment, line.tax_rate, line.requires_shipping),
    })
}

/// The price of a line before discounts, without tax, in minor units.
fn before_discount(order: &OrderDocument, line: &OrderLine) -> i64 {
    if !order.prices_include_tax {
        return line.subtotal.minor();
    }
    let net = line.subtotal.decimal() / (Decimal::ONE + line.tax_rate);
    order.currency.round(net, Rounding::HalfUp).unwrap_or(line.net.minor())
}

fn charges(order: &OrderDocument, shipping: &ShippingTotals) -> Vec<Charge> {
    let name = if shipping.name.is_empty() { shipping.code.clone() } else { shipping.name.clone() };
    let ships = order.lines.iter().any(|line| line.requires_shipping);
    let charge = |rate: Decimal, net: Money, tax: Money, gross: Money| Charge {
        name: name.clone(),
        net,
        tax,
        gross,
        rate: rate.normalize(),
        category: Category::of(order.tax_treatment, rate, ships),
    };
    let mut charges: Vec<Charge> =
        shipping.parts.iter().map(|part| charge(part.rate, part.net, part.tax, part.gross)).collect();
    if charges.is_empty() {
        charges.push(charge(shipping.tax_rate, shipping.net, shipping.tax, shipping.gross));
    }
    charges.retain(|one| one.gross.minor() != 0);
    charges
}
