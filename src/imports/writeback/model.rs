//! What other systems report, and what comes of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Error, Result},
    fulfilment::{FulfilmentOrder, Pieces, Shipment},
    kernel::{
        Actor, Instant, Money, Quantity,
        ids::{FulfilmentOrderId, InvoiceId, LocationId, OrderId},
    },
    orders::{ExternalRef, OrderDocument, OrderLine},
};

crate::words! {
    /// What kind of document an invoice is.
    pub enum InvoiceKind {
        /// Money is asked for.
        Invoice = "invoice",
        /// Money is given back.
        CreditNote = "credit_note",
    }
}

/// An invoice or credit note that another system has written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Invoice {
    /// Its id.
    pub id: InvoiceId,
    /// The order.
    pub order_id: OrderId,
    /// The order's number.
    pub order_number: String,
    /// What it is.
    pub kind: InvoiceKind,
    /// Who wrote it.
    pub system: String,
    /// Its number there.
    pub number: String,
    /// Its total, tax included.
    pub amount: Money,
    /// When it was written.
    pub issued_at: Instant,
    /// Where it can be fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When it was recorded here.
    pub recorded_at: Instant,
}

/// What is kept of an invoice beside its columns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct InvoiceDetails {
    pub order_number: String,
    pub url: Option<String>,
}

/// What a foreign system calls an order.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ReportedRef {
    /// The order.
    pub order_id: OrderId,
    /// The order's number.
    pub order_number: String,
    /// The reference.
    pub external_ref: ExternalRef,
}

/// What a reported shipment made: one shipment per location.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ReportedShipments {
    /// The order.
    pub order_id: OrderId,
    /// The order's number.
    pub order_number: String,
    /// The shipments.
    pub shipments: Vec<Shipment>,
}

/// The kinds of references that stand for reported documents: nobody may give them away otherwise.
pub(super) const DOCUMENTS: &[&str] =
    &["shipment", "payment", "cancellation", "return", "invoice", "credit_note", "tracking"];

/// The document that a report comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Document {
    pub system: String,
    pub value: String,
}

impl Document {
    pub(super) fn as_ref(&self, kind: &str) -> ExternalRef {
        ExternalRef { system: self.system.clone(), kind: kind.to_owned(), value: self.value.clone() }
    }
}

/// A reported line: the order's line, or the SKU.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Reported {
    pub line_no: Option<i32>,
    pub sku: Option<String>,
    pub quantity: i64,
}

/// Which lines of the order are meant. A SKU that is on several lines fills them in their order, each as far as `room`
/// goes; what is more than that stays on the last one, where it is refused.
pub(super) fn lines(order: &OrderDocument, all: &[Reported], room: fn(&OrderLine) -> i64) -> Result<Vec<(i32, i64)>> {
    Ok(lines_each(order, all, room, |place| format!("/lines/{place}"))?.concat())
}

/// The same for each reported line by itself; `at` tells where the one at a place stands in the request.
pub(super) fn lines_each(
    order: &OrderDocument,
    all: &[Reported],
    room: fn(&OrderLine) -> i64,
    at: impl Fn(usize) -> String,
) -> Result<Vec<Vec<(i32, i64)>>> {
    let mut meant: Vec<(i32, i64)> = Vec::with_capacity(all.len());
    let mut each = Vec::with_capacity(all.len());
    for (place, reported) in all.iter().enumerate() {
        let before = meant.len();
        match (reported.line_no, &reported.sku) {
            (Some(line_no), None) => {
                order.line(line_no).map_err(|error| error.at(format!("{}/line_no", at(place))))?;
                meant.push((line_no, reported.quantity));
            }
            (None, Some(sku)) => spread(order, sku, reported.quantity, room, &mut meant)
                .map_err(|error| error.at(format!("{}/sku", at(place))))?,
            _ => {
                let detail = "name the line by either its `line_no` or its `sku`";
                return Err(Error::problem(Code::MissingField, detail).at(format!("{}/line_no", at(place))));
            }
        }
        each.push(meant.get(before..).unwrap_or_default().to_vec());
    }
    Ok(each)
}

/// An error that names one of the order's lines (`line_no`), pointed at the reported line that it is about: the last one, with
/// which there are too many. Lines that are named by their SKU may have been booked as several.
pub(super) fn at_reported(error: Error, order: &OrderDocument, reported: &[Reported]) -> Error {
    let Error::Problem(problem) = &error else { return error };
    let Some(line_no) = problem.extra.get("line_no").and_then(serde_json::Value::as_i64) else { return error };
    let Some(line) = order.lines.iter().find(|line| i64::from(line.line_no) == line_no) else { return error };
    let is_it = |one: &Reported| one.line_no == Some(line.line_no) || one.sku.as_ref() == Some(&line.sku);
    match reported.iter().rposition(is_it) {
        Some(place) => error.at(format!("/lines/{place}/quantity")),
        None => error,
    }
}

/// An error about a reference, which is what a document is called where it is booked.
pub(super) fn at_document(error: Error) -> Error {
    match &error {
        Error::Problem(problem) if problem.pointer.as_deref() == Some("/reference") => error.at("/document"),
        _ => error,
    }
}

/// Whether there is room on the order's lines for all that is meant.
pub(super) fn fit(order: &OrderDocument, meant: &[(i32, i64)], room: fn(&OrderLine) -> i64) -> Result<bool> {
    for (line_no, sum) in by_line(meant) {
        if sum > room(order.line(line_no)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn by_line(meant: &[(i32, i64)]) -> BTreeMap<i32, i64> {
    let mut sums: BTreeMap<i32, i64> = BTreeMap::new();
    for (line_no, quantity) in meant {
        *sums.entry(*line_no).or_default() += quantity;
    }
    sums
}

/// What is to be given back once all that is meant has come back, in minor units.
pub(super) fn worth(order: &OrderDocument, meant: &[(i32, i64)]) -> Result<i64> {
    let worth = |(line_no, quantity): (i32, i64)| {
        let line = order.line(line_no)?;
        let before = line.quantities.returned;
        Ok(line.gross_of(before + quantity) - line.gross_of(before))
    };
    by_line(meant).into_iter().map(worth).sum()
}

fn spread(
    order: &OrderDocument,
    sku: &str,
    quantity: i64,
    room: fn(&OrderLine) -> i64,
    meant: &mut Vec<(i32, i64)>,
) -> Result<()> {
    let unknown = || Error::problem(Code::LineUnknown, format!("the order has no line with the SKU `{sku}`"));
    let last = order.lines.iter().rfind(|line| line.sku == sku).ok_or_else(unknown)?;
    let mut left = quantity;
    for line in order.lines.iter().filter(|line| line.sku == sku) {
        let taken: i64 = meant.iter().filter(|(line_no, _)| *line_no == line.line_no).map(|(_, taken)| taken).sum();
        let free = (room(line) - taken).max(0);
        let part = if line.line_no == last.line_no { left } else { left.min(free) };
        if part > 0 {
            meant.push((line.line_no, part));
            left -= part;
        }
    }
    Ok(())
}

/// Pieces as the fulfilment slice takes them.
pub(super) fn pieces(meant: &[(i32, i64)]) -> Result<Vec<Pieces>> {
    let piece = |(line_no, quantity): &(i32, i64)| {
        let quantity = Quantity::new(*quantity).map_err(Error::internal)?;
        Ok(Pieces { line_no: *line_no, quantity })
    };
    meant.iter().map(piece).collect()
}

/// What of a shipment leaves with which fulfilment order.
pub(super) type Parts = Vec<(FulfilmentOrderId, Option<Vec<Pieces>>)>;

/// Where a reported shipment has left from.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeftFrom<'a> {
    /// The location; any, where none is told.
    pub location: Option<LocationId>,
    /// The key of the delivery; that of the only one which can be meant, where none is told.
    pub delivery: Option<&'a str>,
}

impl LeftFrom<'_> {
    fn has(&self, one: &FulfilmentOrder) -> bool {
        self.location.is_none_or(|location| location == one.location_id)
            && self.delivery.is_none_or(|key| one.delivery_key() == Some(key))
    }

    /// That it is clear which delivery is meant: one parcel is of one, and who hands over a pick-up has not sent a parcel.
    ///
    /// # Errors
    /// `not_found` for a delivery that the order has not, `missing_field` where several can be meant.
    fn check<'f>(
        &self,
        all: &[FulfilmentOrder],
        mine: impl Iterator<Item = &'f FulfilmentOrder>,
        meant: Option<&[(i32, i64)]>,
    ) -> Result<()> {
        if let Some(key) = self.delivery
            && !all.iter().any(|one| one.delivery_key() == Some(key))
        {
            return Err(Error::not_found("delivery").at("/delivery"));
        }
        let wanted = |one: &FulfilmentOrder| {
            meant.is_none_or(|meant| {
                let open =
                    |line_no: i32| one.lines.iter().any(|line| line.line_no == line_no && line.counts.open() > 0);
                meant.iter().any(|(line_no, _)| open(*line_no))
            })
        };
        let keys: BTreeSet<&str> = mine.filter(|one| wanted(one)).filter_map(FulfilmentOrder::delivery_key).collect();
        if self.delivery.is_some() || keys.len() < 2 {
            return Ok(());
        }
        let keys: Vec<&str> = keys.into_iter().collect();
        let detail = format!("the order has several deliveries ({}): say which of them has left", keys.join(", "));
        Err(Error::problem(Code::MissingField, detail).at("/delivery"))
    }
}

/// Spreads what has left over the fulfilment orders that still have it to ship, the oldest first: those of one location
/// where it is told, and only those that the actor may see.
pub(super) fn split(
    fulfilments: &[FulfilmentOrder],
    actor: &Actor,
    from: LeftFrom<'_>,
    meant: Option<&[(i32, i64)]>,
) -> Result<Parts> {
    let open = |one: &&FulfilmentOrder| one.state.is_open() && actor.sees_location(one.location_id);
    let mine = |one: &&FulfilmentOrder| open(one) && from.has(one);
    from.check(fulfilments, fulfilments.iter().filter(mine), meant)?;
    let Some(meant) = meant else {
        let all: Parts = fulfilments.iter().filter(mine).map(|one| (one.id, None)).collect();
        return if all.is_empty() { Err(exceeded("nothing is left to ship")) } else { Ok(all) };
    };
    let mut left = meant.to_vec();
    let mut parts: Parts = Vec::new();
    for one in fulfilments.iter().filter(mine) {
        let mut part: Vec<(i32, i64)> = Vec::new();
        for line in &one.lines {
            let mut room = line.counts.open();
            for (_, quantity) in left.iter_mut().filter(|(line_no, _)| *line_no == line.line_no) {
                let taken = room.min(*quantity);
                (room, *quantity) = (room - taken, *quantity - taken);
                if taken > 0 {
                    part.push((line.line_no, taken));
                }
            }
        }
        if !part.is_empty() {
            parts.push((one.id, Some(pieces(&part)?)));
        }
    }
    match left.iter().find(|(_, quantity)| *quantity > 0) {
        Some((line_no, quantity)) => {
            let detail = format!("{quantity} more of line {line_no} are reported than are left to ship");
            Err(exceeded(&detail).with("line_no", *line_no))
        }
        None => Ok(parts),
    }
}

fn exceeded(detail: &str) -> Error {
    Error::problem(Code::QuantityExceeded, detail)
}
