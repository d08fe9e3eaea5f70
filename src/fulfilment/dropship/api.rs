//! Routes of suppliers who ship for us: the same on both surfaces, for a supplier's system and for people who do it for them.

use actix_web::{get, post};
use serde::Deserialize;

use super::{
    model::{SupplierAnswer, SupplierInvoice, SupplierOrder},
    service,
};
use crate::{
    channels::Directory,
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{Fresh, FulfilmentState, Shipment, api::ShipRequest, service::Filter},
    http::{Body, Call, List, Mount, Page, RefPath, Reply},
    kernel::{
        Instant, Money, Scope,
        ids::FulfilmentOrderId,
        text::{Note, Text},
    },
    stock::Locations,
};

/// What the list of orders to suppliers is narrowed to.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SupplierOrderQuery {
    /// Of one supplier: a location's code or id.
    pub location: Option<String>,
    /// In one state; those that are not finished, unless told.
    #[param(inline)]
    pub state: Option<FulfilmentState>,
    /// Only those that should have left by now.
    pub overdue: Option<bool>,
}

/// List the orders to suppliers
///
/// The fulfilment orders at locations of kind `supplier`, due first, with what the suppliers have said of them. Finished ones only when
/// a state is asked for. Limit a supplier's API key to their location, and they see theirs alone.
#[utoipa::path(tag = "drop-ship", params(SupplierOrderQuery), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = Page<SupplierOrder>)))]
#[get("/supplier-orders")]
async fn list_supplier_orders(call: Call, query: List<SupplierOrderQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentRead)?.clone();
    let (wanted, locations) = (&query.filter, call.snapshot::<Locations>().await?);
    let suppliers = service::suppliers(&actor, &locations);
    let location = match &wanted.location {
        None => None,
        Some(reference) => {
            let found = locations.by_ref(reference).map(|location| location.id).filter(|id| suppliers.contains(id));
            Some(found.ok_or_else(|| Error::not_found("supplier").at("location"))?)
        }
    };
    let filter = Filter {
        state: wanted.state,
        overdue_at: wanted.overdue.unwrap_or(false).then_some(call.now),
        location,
        locations: Some(suppliers),
        channels: actor.channels().map(<[_]>::to_vec),
        ..Filter::default()
    };
    let read = move |tx: &mut Tx, after: Option<(i64, FulfilmentOrderId)>, limit| {
        service::page(tx, &filter, after.map(|(due, id)| (Instant::from_micros(due), id)), limit)
    };
    let key = |one: &SupplierOrder| (one.fulfilment_order.due_at.micros(), one.fulfilment_order.id);
    query.answer(&call, key, read).await
}

/// Read an order to a supplier
///
/// With the address that it is shipped to. Its id is that of the fulfilment order.
#[utoipa::path(tag = "drop-ship", params(("id" = inline(FulfilmentOrderId), Path)),
    security(("token" = ["fulfilment:read"])), responses((status = 200, body = SupplierOrder)))]
#[get("/supplier-orders/{id}")]
async fn read_supplier_order(call: Call, path: RefPath<FulfilmentOrderId>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentRead)?.clone();
    let (id, locations) = (path.0, call.snapshot::<Locations>().await?);
    Reply::ok(&call.read(move |tx| service::get(tx, &actor, &locations, id)).await?)
}

/// What a supplier answers.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reference": "SO-7781", "ships_at": "2026-03-05T15:00:00Z"}))]
pub struct AcknowledgeRequest {
    /// What the supplier calls the order.
    #[schema(value_type = Option<String>)]
    pub reference: Option<Text<100>>,
    /// When they will ship it.
    pub ships_at: Option<Instant>,
    /// What they say about it.
    #[schema(value_type = Option<String>)]
    pub note: Option<Note<500>>,
}

/// Acknowledge an order to a supplier
///
/// They will ship it, and by when. Said again, it moves the day. Where that is later than it was due, it is due then (unless somebody has
/// rescheduled it), and what the customer was promised is moved with it.
#[utoipa::path(tag = "drop-ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = AcknowledgeRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = SupplierOrder)))]
#[post("/supplier-orders/{id}/acknowledge")]
async fn acknowledge(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<AcknowledgeRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let answer = SupplierAnswer {
        reference: body.reference.as_ref().map(ToString::to_string),
        ships_at: body.ships_at,
        note: body.note.as_ref().map(ToString::to_string),
    };
    let (id, now, fresh, locations) = (path.0, call.now, Fresh::new(), call.snapshot::<Locations>().await?);
    let directory = call.snapshot::<Directory>().await?;
    call.command(&body.fingerprint, move |tx| {
        Reply::ok(&service::acknowledge(tx, now, &actor, &fresh, (&locations, &directory, id), &answer)?)
    })
    .await
}

/// Why a supplier does not ship.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "discontinued"}))]
pub struct RefuseRequest {
    /// Why.
    #[schema(value_type = String)]
    pub reason: Note<500>,
}

/// Refuse an order to a supplier
///
/// They will not ship what has not left: it is planned anew without them. What nobody else has stays where it is, held for `stock`.
#[utoipa::path(tag = "drop-ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = RefuseRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = SupplierOrder)))]
#[post("/supplier-orders/{id}/refuse")]
async fn refuse(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<RefuseRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let (id, now, fresh, why) = (path.0, call.now, Fresh::new(), body.reason.to_string());
    let locations = call.snapshot::<Locations>().await?;
    call.command(&body.fingerprint, move |tx| {
        Reply::ok(&service::refuse(tx, now, &actor, &fresh, (&locations, id), &why)?)
    })
    .await
}

/// Ship for a supplier
///
/// As `ship` of a fulfilment order.
#[utoipa::path(tag = "drop-ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = ShipRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 201, body = Shipment)))]
#[post("/supplier-orders/{id}/ship")]
async fn ship(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<ShipRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let new = body.value.read(&call)?;
    let (id, now, fresh, locations) = (path.0, call.now, Fresh::new(), call.snapshot::<Locations>().await?);
    call.command(&body.fingerprint, move |tx| {
        Reply::created(&service::ship(tx, now, &actor, &fresh, (&locations, id), &new)?)
    })
    .await
}

/// What a supplier charges.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"number": "2026-00417", "net": {"amount": "12.50", "currency": "EUR"}, "tax": {"amount": "2.38", "currency": "EUR"}}))]
pub struct SupplierInvoiceRequest {
    /// The invoice's number, as the supplier gave it.
    #[schema(value_type = String)]
    pub number: Text<100>,
    /// Without tax.
    pub net: Money,
    /// The tax.
    pub tax: Money,
    /// When it was issued; now unless told.
    pub issued_at: Option<Instant>,
}

impl SupplierInvoiceRequest {
    fn read(&self, now: Instant) -> Result<SupplierInvoice> {
        for (amount, pointer) in [(self.net, "/net"), (self.tax, "/tax")] {
            if amount.minor() < 0 {
                return Err(Error::invalid(pointer, "expected an amount that is not negative"));
            }
        }
        if self.net.currency() != self.tax.currency() {
            return Err(Error::invalid("/tax/currency", format!("expected {}, as `net` has", self.net.currency())));
        }
        let issued_at = self.issued_at.unwrap_or(now);
        if issued_at > now {
            return Err(Error::problem(Code::HistoryInFuture, "issued_at lies in the future").at("/issued_at"));
        }
        let (number, net, tax) = (self.number.to_string(), self.net, self.tax);
        Ok(SupplierInvoice { number, net, tax, issued_at, recorded_at: now })
    }
}

/// Record a supplier's invoice
///
/// What they charge for the order. The same number again with the same amounts is answered with what is known.
#[utoipa::path(tag = "drop-ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = SupplierInvoiceRequest,
    security(("token" = ["fulfilment:write"])),
    responses((status = 201, body = SupplierOrder), (status = 200, description = "Recorded before", body = SupplierOrder)))]
#[post("/supplier-orders/{id}/invoices")]
async fn invoice(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<SupplierInvoiceRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let invoice = body.read(call.now)?;
    let (id, now, fresh, locations) = (path.0, call.now, Fresh::new(), call.snapshot::<Locations>().await?);
    call.command(&body.fingerprint, move |tx| {
        match service::invoice(tx, now, &actor, &fresh, (&locations, id), &invoice)? {
            (made, true) => Reply::created(&made),
            (known, false) => Reply::ok(&known),
        }
    })
    .await
}

/// The routes, on the ops and on the integration surface.
pub fn mount(config: &mut Mount<'_>) {
    config.service(list_supplier_orders).service(read_supplier_order);
    config.service(acknowledge).service(refuse).service(ship).service(invoice);
}
