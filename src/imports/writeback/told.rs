//! Reports that connectors bring: what changed at their far end, booked as what other systems report themselves.

use super::{
    model::{Document, Invoice, InvoiceKind, Reported},
    service::{self, Noted, Report, ShipmentReport},
};
use crate::{
    db::Tx,
    error::Result,
    fulfilment::{Fresh, NewShipment},
    kernel::{
        Actor, Id, Instant, Money,
        ids::{InvoiceId, OrderId},
    },
};

/// From how many locations one reported shipment can come.
const PARTS: usize = 16;

/// What has happened to an order at a far end.
#[derive(Debug, Clone)]
pub enum Told {
    /// Goods have left: so many of each SKU.
    Left {
        /// What.
        lines: Vec<(String, i64)>,
        /// Who carries it.
        carrier: Option<String>,
        /// What the carrier calls it.
        tracking_number: Option<String>,
        /// When.
        at: Option<Instant>,
    },
    /// It was invoiced there.
    Invoiced {
        /// The invoice's total, tax included.
        amount: Money,
        /// When.
        at: Option<Instant>,
    },
}

/// A document of a far end, about to be booked. It is booked once, however often it is brought.
#[derive(Debug, Clone)]
pub struct Telling {
    report: Report,
    told: Told,
    fresh: Vec<(Fresh, Fresh)>,
    invoice: InvoiceId,
}

impl Telling {
    /// A document that `system` calls `value`, about an order of ours. Made outside the transaction that books it.
    #[must_use]
    pub fn new(actor: Actor, now: Instant, order: OrderId, (system, value): (&str, &str), told: Told) -> Self {
        let document = Document { system: system.to_owned(), value: value.to_owned() };
        let (ref_id, event, fresh) = (Id::new(), Id::new(), Fresh::new());
        let said = serde_json::Map::new();
        let report = Report { actor, now, order: order.to_string(), document, ref_id, event, fresh, said };
        let fresh = (0..PARTS).map(|_| (Fresh::new(), Fresh::new())).collect();
        Self { report, told, fresh, invoice: Id::new() }
    }

    /// Books it. False when it had been booked before.
    ///
    /// # Errors
    /// Why it does not fit the order as it is.
    pub fn book(&self, tx: &mut Tx) -> Result<bool> {
        match &self.told {
            Told::Left { lines, carrier, tracking_number, at } => {
                let new = self.shipment(lines, (carrier, tracking_number), *at);
                Ok(is_new(&service::shipment(tx, &self.report, &new)?))
            }
            Told::Invoiced { amount, at } => {
                Ok(is_new(&service::invoice(tx, &self.report, &self.invoice(*amount, *at))?))
            }
        }
    }

    fn shipment(
        &self,
        lines: &[(String, i64)],
        (carrier, tracking_number): (&Option<String>, &Option<String>),
        at: Option<Instant>,
    ) -> ShipmentReport {
        let parcel = NewShipment {
            carrier: carrier.clone(),
            tracking_number: tracking_number.clone(),
            tracking_url: None,
            pieces: None,
            packages: None,
            lots: Vec::new(),
            occurred_at: at,
            unasked: true,
            left: Vec::new(),
        };
        ShipmentReport {
            lines: Some(reported(lines)),
            location: None,
            delivery: None,
            parcel,
            delivered_at: None,
            packages: Vec::new(),
            fresh: self.fresh.clone(),
        }
    }

    fn invoice(&self, amount: Money, at: Option<Instant>) -> Invoice {
        Invoice {
            id: self.invoice,
            // The order's, once it is known.
            order_id: OrderId::from_bytes([0; 16]),
            order_number: String::new(),
            kind: InvoiceKind::Invoice,
            system: self.report.document.system.clone(),
            number: self.report.document.value.clone(),
            amount,
            issued_at: at.unwrap_or(self.report.now),
            url: None,
            recorded_at: self.report.now,
        }
    }
}

fn reported(lines: &[(String, i64)]) -> Vec<Reported> {
    let line =
        |(sku, quantity): &(String, i64)| Reported { line_no: None, sku: Some(sku.clone()), quantity: *quantity };
    lines.iter().map(line).collect()
}

const fn is_new<T>(noted: &Noted<T>) -> bool {
    matches!(noted, Noted::New(_))
}
