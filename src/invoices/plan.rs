//! What is to be invoiced of an order now, or to be taken off an invoice. Pure.
//!
//! Everything follows from where the order stands and from what was issued before, so whoever asks again is told nothing that is issued
//! already. Of each line the first pieces are invoiced first, as they leave, and the last are cancelled first, as in the ledger: so
//! shares meet to the minor unit, and what is invoiced in parts sums to the whole.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::model::{BillKind, Invoice, InvoiceReference};
use crate::{
    channels::Invoicing,
    fulfilment::{RefundView, Shipment, returns::Return},
    kernel::{Instant, ids::FulfilmentOrderId, local},
    orders::{OrderDocument, OrderLine},
    pricing::engine::{TaxedShare, share_taxed},
};

/// A line of a document to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// The order's line.
    pub line_no: i32,
    /// How many pieces.
    pub quantity: i64,
    /// Their price, or what is taken off it.
    pub share: TaxedShare,
    /// Whether their price is lower: they stay invoiced, and no discount is told of again.
    pub lower: bool,
}

/// A document to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub kind: BillKind,
    /// What it follows from.
    pub cause: String,
    pub pieces: Vec<Piece>,
    /// Whether it charges, or takes back, shipping.
    pub shipping: bool,
    /// The day on which its goods left.
    pub delivered_on: Option<NaiveDate>,
    /// The place among the order's deliveries of the one that its goods left for, from 0; `None` where it is of no parcel.
    pub delivery: Option<usize>,
    pub reason: Option<String>,
    pub refers_to: Vec<InvoiceReference>,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'a> {
    pub order: &'a OrderDocument,
    pub shipments: &'a [Shipment],
    /// Its fulfilment orders that are of one of several deliveries, with the place of that, from 0.
    pub places: &'a [(FulfilmentOrderId, usize)],
    /// Those that were taken off what is owed.
    pub returns: &'a [Return],
    /// The prices that were lowered since.
    pub reductions: &'a [RefundView],
    /// What was issued, in the order in which it was.
    pub issued: &'a [Invoice],
    /// The zone of the issuer's books.
    pub zone: Tz,
}

/// The causes of documents, as they begin.
pub(super) const SHIPMENT: &str = "shipment:";
const UNSHIPPED: &str = "unshipped:";
const CANCELLED: &str = "cancelled:";
const RETURN: &str = "return:";
/// A price is lower; what it is of stays invoiced.
pub(super) const REDUCTION: &str = "reduction:";
/// The cause of the invoice of a whole order.
const ORDER: &str = "order";
/// The causes of the invoices of what an order was given after it was invoiced whole.
const AMENDED: &str = "amended:";
/// The cause of the invoice of what is not shipped, where nothing else is left.
const REST: &str = "rest";
/// An invoice is taken back, to be written anew.
pub(super) const CORRECTION: &str = "correction:";
/// It is written anew.
pub(super) const CORRECTED: &str = "corrected:";

impl Standing<'_> {
    /// The next document that follows from how things stand; `None` where all are issued.
    pub fn next(&self) -> Option<Draft> {
        let mode = self.order.invoicing.filter(|mode| mode.is_own())?;
        let taken_back = || self.unshipped().or_else(|| self.cancelled());
        let sold = || match mode {
            Invoicing::AtOrder => self.whole(if self.has(ORDER) { self.amended() } else { ORDER.to_owned() }),
            _ => self.shipped().or_else(|| self.rest()),
        };
        taken_back().or_else(sold).or_else(|| self.returned()).or_else(|| self.reduced())
    }

    /// An invoice of everything that is not invoiced yet.
    pub fn whole(&self, cause: String) -> Option<Draft> {
        let all = self.order.lines.iter().map(|line| (line, kept(line)));
        self.invoice(cause, all, (None, None))
    }

    /// The cause of the next invoice of what an order that was invoiced whole was given since.
    fn amended(&self) -> String {
        let before = self.issued.iter().filter(|one| one.cause.starts_with(AMENDED)).count();
        format!("{AMENDED}{}", before + 1)
    }

    fn has(&self, cause: &str) -> bool {
        self.issued.iter().any(|one| one.cause == cause)
    }

    /// What was taken off what is owed with returns and lower prices that no credit note tells of yet, in minor units: the next ones do.
    pub fn uncredited(&self) -> i64 {
        let open = self.returns.iter().filter(|one| !self.has(&format!("{RETURN}{}", one.id)));
        let of = |one: &Return| -> i64 {
            let lines = one.lines.iter().filter(|line| line.line_no.is_some());
            lines.map(|line| line.gross.minor()).sum::<i64>()
                + one.shipping.as_ref().map_or(0, |back| back.gross.minor())
        };
        let lower = self.reductions.iter().filter(|one| !self.has(&format!("{REDUCTION}{}", one.id)));
        open.map(of).sum::<i64>() + lower.map(|one| one.amount.minor()).sum::<i64>()
    }

    /// How many of a line's first pieces are invoiced, but for those that have come back: these were sold all the same.
    fn invoiced(&self, line_no: i32) -> i64 {
        let pieces = |one: &Invoice| -> i64 {
            one.lines.iter().filter(|line| line.line_no == line_no).map(|line| line.quantity).sum()
        };
        self.issued.iter().map(|one| sign(one) * pieces(one)).sum()
    }

    fn shipping_is_invoiced(&self) -> bool {
        self.issued.iter().filter(|one| !one.charges.is_empty()).map(sign).sum::<i64>() > 0
    }

    /// The invoices, of those that stand, which have some of these lines.
    fn invoices_of(&self, lines: &[i32]) -> Vec<InvoiceReference> {
        let taken_back = |one: &Invoice| self.has(&format!("{CORRECTION}{}", one.id));
        let has = |one: &&Invoice| one.lines.iter().any(|line| lines.contains(&line.line_no));
        let invoices = self.issued.iter().filter(|one| one.kind == BillKind::Invoice && !taken_back(one));
        invoices.filter(has).map(Invoice::reference).collect()
    }

    /// An invoice of lines up to so many of their pieces, and of shipping where that was not charged yet.
    fn invoice<'a>(
        &self,
        cause: String,
        lines: impl Iterator<Item = (&'a OrderLine, i64)>,
        (delivered_on, delivery): (Option<NaiveDate>, Option<usize>),
    ) -> Option<Draft> {
        let pieces: Vec<Piece> =
            lines.filter_map(|(line, to)| piece(line, self.invoiced(line.line_no), to.min(kept(line)))).collect();
        let shipping = self.order.shipping.is_some() && !self.shipping_is_invoiced() && !is_cancelled(self.order);
        let (kind, reason, refers_to) = (BillKind::Invoice, None, Vec::new());
        let draft = Draft { kind, cause, pieces, shipping, delivered_on, delivery, reason, refers_to };
        (!draft.pieces.is_empty()).then_some(draft)
    }

    /// Of the oldest shipment that has something that is not invoiced. What is never shipped goes with the first.
    fn shipped(&self) -> Option<Draft> {
        let mut left: Vec<&Shipment> = self.shipments.iter().filter(|one| one.corrected_at.is_none()).collect();
        left.sort_by_key(|one| (one.shipped_at, one.id));
        let first = !self.shipping_is_invoiced() && !self.issued.iter().any(|one| one.kind == BillKind::Invoice);
        left.into_iter().find_map(|shipment| {
            let cause = format!("{SHIPMENT}{}", shipment.id);
            if self.has(&cause) {
                return None;
            }
            let mut own: BTreeMap<i32, i64> = BTreeMap::new();
            for line in &shipment.lines {
                *own.entry(line.line_no).or_default() += line.quantity;
            }
            let lines = self.order.lines.iter().filter_map(|line| match own.get(&line.line_no) {
                // What is sent again of a parcel was invoiced with its first.
                Some(quantity) => {
                    let to = self.invoiced(line.line_no).saturating_add(*quantity);
                    Some((line, to.min(line.quantities.shipped)))
                }
                None if first && !line.requires_shipping => Some((line, kept(line))),
                None => None,
            });
            let of = self.places.iter().find(|(work, _)| *work == shipment.fulfilment_order_id);
            let delivery = of.map_or(0, |(_, place)| *place);
            self.invoice(cause, lines, (Some(self.day(shipment.shipped_at)), Some(delivery)))
        })
    }

    /// What is never shipped, once nothing else is left to go with.
    fn rest(&self) -> Option<Draft> {
        let open = self.order.lines.iter().any(|line| line.requires_shipping && line.quantities.open() > 0);
        if open || self.has(REST) {
            return None;
        }
        let services = self.order.lines.iter().filter(|line| !line.requires_shipping);
        self.invoice(REST.to_owned(), services.map(|line| (line, kept(line))), (None, None))
    }

    /// What was invoiced for a shipment that has not left after all.
    fn unshipped(&self) -> Option<Draft> {
        self.shipments.iter().filter(|one| one.corrected_at.is_some()).find_map(|shipment| {
            let of_shipment = format!("{SHIPMENT}{}", shipment.id);
            let invoice = self.issued.iter().find(|one| one.cause == of_shipment)?;
            let cause = format!("{UNSHIPPED}{}", shipment.id);
            if self.has(&cause) {
                return None;
            }
            let goods = |line_no: i32| self.order.line(line_no).ok().filter(|line| line.requires_shipping);
            let pieces = invoice.lines.iter().filter_map(|own| {
                // The last pieces, so that what is invoiced stays the first ones.
                let (line, to) = (goods(own.line_no)?, self.invoiced(own.line_no));
                piece(line, (to - own.quantity).max(0), to)
            });
            let pieces: Vec<Piece> = pieces.collect();
            let taken = |line_no: i32| -> i64 {
                pieces.iter().filter(|piece| piece.line_no == line_no).map(|piece| piece.quantity).sum()
            };
            // Where nothing else stands, the next invoice is the first again.
            let bare = self.order.lines.iter().all(|line| self.invoiced(line.line_no) == taken(line.line_no));
            let shipping = bare && !pieces.is_empty() && self.shipping_is_invoiced();
            let why = shipment.corrections.last().map_or("It has not left", |last| &last.reason);
            self.credit(cause, pieces, shipping, why)
        })
    }

    /// What was invoiced and is cancelled.
    fn cancelled(&self) -> Option<Draft> {
        let pieces: Vec<Piece> =
            self.order.lines.iter().filter_map(|line| piece(line, kept(line), self.invoiced(line.line_no))).collect();
        let shipping = self.order.shipping.is_some() && is_cancelled(self.order) && self.shipping_is_invoiced();
        let all: i64 = self.order.lines.iter().map(|line| line.quantities.cancelled).sum();
        self.credit(format!("{CANCELLED}{all}"), pieces, shipping, "Cancelled")
    }

    /// What was invoiced and has come back, return by return.
    fn returned(&self) -> Option<Draft> {
        self.returns.iter().find_map(|one| {
            let cause = format!("{RETURN}{}", one.id);
            if self.has(&cause) {
                return None;
            }
            let pieces = one.lines.iter().filter_map(|line| {
                let (line_no, gross) = (line.line_no?, line.gross.minor());
                let (net, tax) = (line.net?.minor(), line.tax?.minor());
                let is_something = gross > 0 && self.invoiced(line_no) > 0;
                let share = TaxedShare { net, tax, gross };
                is_something.then_some(Piece { line_no, quantity: line.quantity, share, lower: false })
            });
            // Shipping that was never invoiced is not taken back.
            let shipping = one.shipping.is_some() && self.shipping_is_invoiced();
            self.credit(cause, pieces.collect(), shipping, one.reason.as_deref().unwrap_or("Returned"))
        })
    }

    /// What was invoiced and costs less by now, each time that a price was lowered.
    fn reduced(&self) -> Option<Draft> {
        self.reductions.iter().find_map(|one| {
            let cause = format!("{REDUCTION}{}", one.id);
            if self.has(&cause) {
                return None;
            }
            let pieces = one.lines.iter().filter(|line| self.invoiced(line.line_no) > 0).map(|line| {
                let (gross, tax) = (line.amount.minor(), line.tax.map_or(0, |tax| tax.minor()));
                let share = TaxedShare { net: gross - tax, tax, gross };
                Piece { line_no: line.line_no, quantity: line.pieces.unwrap_or(1), share, lower: true }
            });
            self.credit(cause, pieces.collect(), false, &one.reason)
        })
    }

    fn credit(&self, cause: String, pieces: Vec<Piece>, shipping: bool, reason: &str) -> Option<Draft> {
        // What was free is taken back with what was not.
        if pieces.iter().all(|piece| piece.share.gross == 0) && !shipping {
            return None;
        }
        let lines: Vec<i32> = match pieces.is_empty() {
            true => self.order.lines.iter().map(|line| line.line_no).collect(),
            false => pieces.iter().map(|piece| piece.line_no).collect(),
        };
        let (kind, refers_to, reason) = (BillKind::CreditNote, self.invoices_of(&lines), Some(reason.to_owned()));
        Some(Draft { kind, cause, pieces, shipping, delivered_on: None, delivery: None, reason, refers_to })
    }

    fn day(&self, at: Instant) -> NaiveDate {
        local::day_of(self.zone, at)
    }
}

/// Whether a document adds to what is invoiced of a line's pieces, or takes off. What comes back, or costs less, was sold.
fn sign(one: &Invoice) -> i64 {
    match one.kind {
        BillKind::Invoice => 1,
        BillKind::CreditNote if ![RETURN, REDUCTION].iter().any(|cause| one.cause.starts_with(cause)) => -1,
        BillKind::CreditNote | BillKind::ProForma => 0,
    }
}

/// How many pieces of a line were not cancelled.
const fn kept(line: &OrderLine) -> i64 {
    line.quantities.quantity - line.quantities.cancelled
}

fn is_cancelled(order: &OrderDocument) -> bool {
    order.lines.iter().all(|line| kept(line) == 0)
}

/// The pieces of a line from one to another; `None` where these are none.
fn piece(line: &OrderLine, from: i64, to: i64) -> Option<Piece> {
    let share = || share_taxed(line.gross.minor(), line.tax.minor(), from, to, line.quantities.quantity);
    (from < to).then(|| Piece { line_no: line.line_no, quantity: to - from, share: share(), lower: false })
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
