//! Routes of write-back.

use actix_web::post;
use serde::{Deserialize, Serialize};

use super::{
    held::{self, HeldReport},
    model::{Document, Invoice, InvoiceKind, Reported, ReportedRef, ReportedShipments},
    packages::{self, ReportedPackage},
    service::{self, Back, Noted, Report, ReturnReport, ShipmentReport},
};
use crate::{
    error::{Code, Error, Result},
    fulfilment::{Cancellation, Fresh, NewShipment, Pieces, returns::Return},
    http::{Body, Call, Mount, RefPath, Reply},
    kernel::{
        Actor, Id, Instant, Money, Quantity, Scope,
        ids::{LocationId, OrderId},
        text::{Note, Sku, Text, WebAddress},
    },
    orders::OrderDocument,
    stock::Locations,
};

/// The most lines of a report.
const LINES: usize = 1000;
/// From how many locations one reported shipment can come.
const PARTS: usize = 16;

/// The report of a request, with ids made outside the transaction.
fn report(call: &Call, order: &str, system: &Text<50>, value: &Text<200>) -> Result<Report> {
    let actor = call.allow(Scope::WritebackWrite)?.clone();
    let document = Document { system: system.to_string(), value: value.to_string() };
    let (ref_id, event, fresh) = (Id::new(), Id::new(), Fresh::new());
    let said = serde_json::Map::new();
    Ok(Report { actor, now: call.now, order: order.to_owned(), document, ref_id, event, fresh, said })
}

/// The fields of a document that can not change when it comes again, as far as they are there.
fn said<const N: usize>(fields: [(&str, Option<serde_json::Value>); N]) -> serde_json::Map<String, serde_json::Value> {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Lines as they are compared.
fn said_lines(lines: Option<&[ReportedLine]>) -> Option<serde_json::Value> {
    let line = |line: &ReportedLine| serde_json::json!([line.line_no, line.sku, line.quantity]);
    lines.map(|lines| lines.iter().map(line).collect())
}

/// Lines and bundles as they are compared: both where either is named, or one that is named the next time would go unseen.
fn said_pieces(
    lines: Option<&[ReportedLine]>,
    bundles: Option<&[Pieces]>,
) -> [(&'static str, Option<serde_json::Value>); 2] {
    let named = lines.is_some() || bundles.is_some();
    let bundles: Vec<_> =
        bundles.unwrap_or_default().iter().map(|one| serde_json::json!([one.line_no, one.quantity])).collect();
    let lines = said_lines(lines).or_else(|| named.then(|| serde_json::json!([])));
    [("lines", lines), ("bundles", named.then(|| bundles.into()))]
}

/// That as many bundles are named as may be.
fn checked_bundles(bundles: Option<&[Pieces]>) -> Result<()> {
    match bundles {
        Some(bundles) if !(1..=LINES).contains(&bundles.len()) => {
            Err(Error::invalid("/bundles", "expected 1 to 1000 bundles, or leave it out"))
        }
        _ => Ok(()),
    }
}

/// What other systems report has happened before.
fn past(call: &Call, at: Option<Instant>, field: &str) -> Result<()> {
    match at {
        Some(at) if at > call.now => {
            Err(Error::problem(Code::HistoryInFuture, format!("{field} lies in the future")).at(format!("/{field}")))
        }
        _ => Ok(()),
    }
}

fn reply<T: Serialize>(noted: &Noted<T>) -> Result<Reply> {
    match noted {
        Noted::New(made) => Reply::created(made),
        Noted::Known(known) => Reply::ok(known),
    }
}

/// A line of a report: named by `line_no` or by `sku`.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportedLine {
    /// The order's line.
    pub line_no: Option<i32>,
    /// Or the SKU; where several lines have it, they are filled in their order.
    #[schema(value_type = Option<String>)]
    pub sku: Option<Sku>,
    /// How many.
    pub quantity: Quantity,
}

fn reported(lines: &[ReportedLine]) -> Result<Vec<Reported>> {
    if !(1..=LINES).contains(&lines.len()) {
        return Err(Error::invalid("/lines", "expected 1 to 1000 lines"));
    }
    let line = |(place, line): (usize, &ReportedLine)| {
        if line.quantity.is_zero() {
            let error = Error::problem(Code::QuantityInvalid, "expected at least one piece");
            return Err(error.at(format!("/lines/{place}/quantity")));
        }
        let sku = line.sku.as_ref().map(ToString::to_string);
        Ok(Reported { line_no: line.line_no, sku, quantity: line.quantity.get() })
    };
    lines.iter().enumerate().map(line).collect()
}

fn location(reference: Option<&Text<60>>, actor: &Actor, locations: &Locations) -> Result<Option<LocationId>> {
    let Some(reference) = reference else { return Ok(None) };
    let found = locations.by_ref(reference).map(|location| location.id).filter(|id| actor.sees_location(*id));
    found.map(Some).ok_or_else(|| Error::not_found("location").at("/location"))
}

/// What a foreign system calls an order.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"system": "sap", "kind": "order", "value": "4500017"}))]
pub struct ExternalRefRequest {
    /// The foreign system.
    #[schema(value_type = String)]
    pub system: Text<50>,
    /// What it names; `order` unless told.
    #[schema(value_type = Option<String>)]
    pub kind: Option<Text<50>>,
    /// Its value there.
    #[schema(value_type = String)]
    pub value: Text<200>,
}

/// Report a reference
///
/// What your system calls the order: from then on `{ref}` may be that, and people find the order by it.
///
/// Where it is the number of another order of ours, commands on that number are refused with `reference_ambiguous` from then
/// on: they name the order by its id, or yours as `system:value`.
#[utoipa::path(tag = "write back", params(("ref" = String, Path)), request_body = ExternalRefRequest,
    security(("token" = ["writeback:write"])),
    responses((status = 201, body = ReportedRef), (status = 200, description = "Known already", body = ReportedRef)))]
#[post("/orders/{ref}/external-refs")]
async fn report_external_ref(call: Call, path: RefPath<String>, body: Body<ExternalRefRequest>) -> Result<Reply> {
    let report = report(&call, &path.0, &body.system, &body.value.value)?;
    let kind = body.kind.as_ref().map_or_else(|| "order".to_owned(), ToString::to_string);
    call.command(&body.fingerprint, move |tx| reply(&service::external_ref(tx, &report, &kind)?)).await
}

/// An invoice or credit note.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"system": "sap", "number": "RE-2026-00017", "amount": {"amount": "24.80", "currency": "EUR"}}))]
pub struct InvoiceRequest {
    /// The foreign system.
    #[schema(value_type = String)]
    pub system: Text<50>,
    /// What it is; `invoice` unless told.
    pub kind: Option<InvoiceKind>,
    /// Its number there: it is recorded once.
    #[schema(value_type = String)]
    pub number: Text<200>,
    /// Its total, tax included, in the order's currency.
    pub amount: Money,
    /// When it was written; now unless told.
    pub issued_at: Option<Instant>,
    /// Where it can be fetched.
    pub url: Option<WebAddress>,
}

/// Report an invoice
///
/// An invoice or credit note that your system has written for the order.
#[utoipa::path(tag = "write back", params(("ref" = String, Path)), request_body = InvoiceRequest,
    security(("token" = ["writeback:write"])),
    responses((status = 201, body = Invoice), (status = 200, description = "Recorded before", body = Invoice)))]
#[post("/orders/{ref}/invoices")]
async fn report_invoice(call: Call, path: RefPath<String>, body: Body<InvoiceRequest>) -> Result<Reply> {
    let report = report(&call, &path.0, &body.system, &body.number)?;
    past(&call, body.issued_at, "issued_at")?;
    if body.amount.minor() < 0 {
        return Err(Error::invalid("/amount/amount", "expected an amount not below zero"));
    }
    let new = Invoice {
        id: Id::new(),
        // The order's, once it is known.
        order_id: OrderId::from_bytes([0; 16]),
        order_number: String::new(),
        kind: body.kind.unwrap_or(InvoiceKind::Invoice),
        system: body.system.to_string(),
        number: body.number.to_string(),
        amount: body.amount,
        issued_at: body.issued_at.unwrap_or(call.now),
        url: body.url.as_ref().map(ToString::to_string),
        recorded_at: call.now,
    };
    call.command(&body.fingerprint, move |tx| reply(&service::invoice(tx, &report, &new)?)).await
}

/// What has left, as a delivery note tells it.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"system": "wms", "document": "LS-10017", "carrier": "DHL", "tracking_number": "00340434161094042557"}))]
pub struct ShipmentReportRequest {
    /// The foreign system.
    #[schema(value_type = String)]
    pub system: Text<50>,
    /// What it calls the delivery note: it is booked once.
    #[schema(value_type = String)]
    pub document: Text<200>,
    /// What has left; all that is left to ship when absent.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Option<Vec<ReportedLine>>,
    /// The packages that have left, with their SSCCs, lots and serial numbers. They tell what has left where `lines` is absent; else
    /// they hold no more than that.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub packages: Vec<ReportedPackage>,
    /// Where it left from, by id or code; wherever it is to be shipped from, unless told.
    #[schema(value_type = Option<String>)]
    pub location: Option<Text<60>>,
    /// Which of the order's several deliveries has left, by its key. Needed where what could be meant is of more than one.
    #[schema(value_type = Option<String>)]
    pub delivery: Option<Text<50>>,
    /// Who carries it.
    #[schema(value_type = Option<String>)]
    pub carrier: Option<Text<50>>,
    /// What the carrier calls it.
    #[schema(value_type = Option<String>)]
    pub tracking_number: Option<Text<100>>,
    /// Where its way can be followed.
    pub tracking_url: Option<WebAddress>,
    /// When it left; now unless told. Not before the order.
    pub occurred_at: Option<Instant>,
    /// When it arrived, if it has. The same document may be sent again to tell.
    pub delivered_at: Option<Instant>,
}

/// Report a shipment
///
/// Partial ones too. Sent again, it is answered with the shipments it made; with `delivered_at` it tells that they have
/// arrived.
#[utoipa::path(tag = "write back", params(("ref" = String, Path)), request_body = ShipmentReportRequest,
    security(("token" = ["writeback:write"])),
    responses((status = 201, body = ReportedShipments), (status = 200, description = "Booked before", body = ReportedShipments)))]
#[post("/orders/{ref}/shipments")]
async fn report_shipment(call: Call, path: RefPath<String>, body: Body<ShipmentReportRequest>) -> Result<Reply> {
    let delivery = body.delivery.as_ref().map(ToString::to_string);
    let said = said([
        ("lines", said_lines(body.lines.as_deref())),
        ("delivery", delivery.as_ref().map(|key| serde_json::json!(key))),
        ("packages", packages::said(&body.packages)),
    ]);
    let report = Report { said, ..report(&call, &path.0, &body.system, &body.document)? };
    past(&call, body.occurred_at, "occurred_at")?;
    past(&call, body.delivered_at, "delivered_at")?;
    let locations = call.snapshot::<Locations>().await?;
    let new = ShipmentReport {
        lines: body.lines.as_deref().map(reported).transpose()?,
        location: location(body.location.as_ref(), &report.actor, &locations)?,
        delivery,
        parcel: NewShipment {
            carrier: body.carrier.as_ref().map(ToString::to_string),
            tracking_number: body.tracking_number.as_ref().map(ToString::to_string),
            tracking_url: body.tracking_url.as_ref().map(ToString::to_string),
            pieces: None,
            packages: None,
            lots: Vec::new(),
            occurred_at: body.occurred_at,
            unasked: true,
            left: Vec::new(),
        },
        delivered_at: body.delivered_at,
        packages: packages::reported(&body.packages)?,
        fresh: (0..PARTS).map(|_| (Fresh::new(), Fresh::new())).collect(),
    };
    call.command(&body.fingerprint, move |tx| reply(&service::shipment(tx, &report, &new)?)).await
}

/// Money that came in.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"system": "sap", "document": "ZE-2026-0042"}))]
pub struct PaymentReportRequest {
    /// The foreign system.
    #[schema(value_type = String)]
    pub system: Text<50>,
    /// What it calls the incoming payment: it is booked once.
    #[schema(value_type = String)]
    pub document: Text<200>,
    /// How much; all that is owed when absent.
    pub amount: Option<Money>,
    /// When it came; now unless told.
    pub occurred_at: Option<Instant>,
}

/// Report a payment
///
/// Money received for an order that is paid by prepayment or invoice. In parts too.
#[utoipa::path(tag = "write back", params(("ref" = String, Path)), request_body = PaymentReportRequest,
    security(("token" = ["writeback:write"])),
    responses((status = 201, body = OrderDocument), (status = 200, description = "Booked before", body = OrderDocument)))]
#[post("/orders/{ref}/payments")]
async fn report_payment(call: Call, path: RefPath<String>, body: Body<PaymentReportRequest>) -> Result<Reply> {
    let amount = said([("amount", body.amount.map(|amount| serde_json::json!(amount)))]);
    let report = Report { said: amount, ..report(&call, &path.0, &body.system, &body.document)? };
    past(&call, body.occurred_at, "occurred_at")?;
    let (amount, at) = (body.amount, body.occurred_at);
    call.command(&body.fingerprint, move |tx| reply(&service::payment(tx, &report, amount, at)?)).await
}

/// What was cancelled.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"system": "sap", "document": "ST-2026-0007", "lines": [{"line_no": 1, "quantity": 1}], "reason": "not in stock"}))]
pub struct CancellationReportRequest {
    /// The foreign system.
    #[schema(value_type = String)]
    pub system: Text<50>,
    /// What it calls the cancellation: it is booked once.
    #[schema(value_type = String)]
    pub document: Text<200>,
    /// What is cancelled; all that has not left when absent, unless `bundles` are named.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Option<Vec<ReportedLine>>,
    /// Which of the order's `bundles`, whole, by their `line_no`. Parts of one are named by their lines.
    #[schema(min_items = 1, max_items = 1000)]
    pub bundles: Option<Vec<Pieces>>,
    /// Why.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
    /// Whether what goes back by hand has been paid out already.
    #[serde(default)]
    pub paid_out: bool,
    /// When; now unless told. Not before the order.
    pub occurred_at: Option<Instant>,
}

/// Report a cancellation
///
/// Of what has not left, in parts too. The stock is free again, and what was paid too much is given back. Who is limited to
/// locations cancels what is to leave from these.
#[utoipa::path(tag = "write back", params(("ref" = String, Path)), request_body = CancellationReportRequest,
    security(("token" = ["writeback:write"])),
    responses((status = 201, body = OrderDocument), (status = 200, description = "Booked before", body = OrderDocument)))]
#[post("/orders/{ref}/cancellations")]
async fn report_cancellation(
    call: Call,
    path: RefPath<String>,
    body: Body<CancellationReportRequest>,
) -> Result<Reply> {
    checked_bundles(body.bundles.as_deref())?;
    let lines = said(said_pieces(body.lines.as_deref(), body.bundles.as_deref()));
    let report = Report { said: lines, ..report(&call, &path.0, &body.system, &body.document)? };
    past(&call, body.occurred_at, "occurred_at")?;
    let lines = body.lines.as_deref().map(reported).transpose()?;
    let reason = body.reason.as_ref().map_or_else(|| format!("cancelled in {}", body.system), ToString::to_string);
    let (paid_out, occurred_at) = (body.paid_out, body.occurred_at);
    let bundles = body.bundles.clone().unwrap_or_default();
    let what = Cancellation { bundles, reason, paid_out, occurred_at, ..Cancellation::default() };
    call.command(&body.fingerprint, move |tx| reply(&service::cancellation(tx, &report, lines.as_deref(), &what)?))
        .await
}

/// What came back.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"system": "wms", "document": "RT-0815", "lines": [{"line_no": 1, "quantity": 1}], "restock": true, "refund": true}))]
pub struct ReturnReportRequest {
    /// The foreign system.
    #[schema(value_type = String)]
    pub system: Text<50>,
    /// What it calls the return: it is booked once.
    #[schema(value_type = String)]
    pub document: Text<200>,
    /// What came back: at least one, unless `bundles` are named.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub lines: Vec<ReportedLine>,
    /// Which of the order's `bundles` came back whole, by their `line_no`. Parts of one are named by their lines.
    #[schema(min_items = 1, max_items = 1000)]
    pub bundles: Option<Vec<Pieces>>,
    /// Whether it can be sold again and goes back into stock.
    #[schema(default = false)]
    pub restock: Option<bool>,
    /// Where it was received, by id or code; where it had left from, unless told; of several places, to each as many as it sent.
    #[schema(value_type = Option<String>)]
    pub location: Option<Text<60>>,
    /// Whether what was paid for it is given back, or taken off what is owed.
    #[schema(default = false)]
    pub refund: Option<bool>,
    /// Whether it has been paid out already, where it goes back by hand.
    #[serde(default)]
    pub paid_out: bool,
    /// Why it came back.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
    /// When it came back; now unless told. Not before the order.
    pub occurred_at: Option<Instant>,
}

/// Report a return
///
/// Goods that came back, in parts too; never more than have left. What comes back before its shipment was reported is held
/// and booked when that is; what would be given back counts against the credential's ceiling at once.
#[utoipa::path(tag = "write back", params(("ref" = String, Path)), request_body = ReturnReportRequest,
    security(("token" = ["writeback:write"])),
    responses((status = 201, body = Return), (status = 200, description = "Booked before", body = Return),
        (status = 202, description = "Held until it has left", body = HeldReport)))]
#[post("/orders/{ref}/returns")]
async fn report_return(call: Call, path: RefPath<String>, body: Body<ReturnReportRequest>) -> Result<Reply> {
    let report = report(&call, &path.0, &body.system, &body.document)?;
    past(&call, body.occurred_at, "occurred_at")?;
    let locations = call.snapshot::<Locations>().await?;
    let location = location(body.location.as_ref(), &report.actor, &locations)?;
    checked_bundles(body.bundles.as_deref())?;
    let lines = match &body.bundles {
        Some(_) if body.lines.is_empty() => Vec::new(),
        _ => reported(&body.lines)?,
    };
    let [named, bundles] = said_pieces(Some(&body.lines), body.bundles.as_deref());
    // As long as it is held; what is booked knows itself what it was.
    let whole = said([
        named,
        bundles,
        ("restock", body.restock.map(Into::into)),
        ("refund", body.refund.map(Into::into)),
        ("location", location.map(|location| location.to_string().into())),
    ]);
    let report = Report { said: whole, ..report };
    let new = ReturnReport {
        id: Id::new(),
        lines,
        bundles: body.bundles.clone().unwrap_or_default(),
        restock: body.restock.unwrap_or_default(),
        location,
        refund: body.refund.unwrap_or_default(),
        paid_out: body.paid_out,
        reason: body.reason.as_ref().map(ToString::to_string),
        occurred_at: body.occurred_at,
        number: format!("R{}", call.state.db.next_number("returns").await?),
    };
    let job = Id::new();
    call.command(&body.fingerprint, move |tx| match service::goods_back(tx, &report, &locations, &new)? {
        Back::Booked(noted) => reply(noted.as_ref()),
        Back::Early(order, worth) => {
            held::hold(tx, &report, (&order, worth), job, &new)?;
            Reply::accepted(&HeldReport::new(&order))
        }
    })
    .await
}

/// The routes of the integration surface.
pub fn integration(config: &mut Mount<'_>) {
    config.service(report_external_ref).service(report_invoice).service(report_shipment);
    config.service(report_payment).service(report_cancellation).service(report_return);
}
