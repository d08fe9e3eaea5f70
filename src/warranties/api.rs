//! Routes of registrations and claims on warranties: for customers and guests, for staff.

use actix_web::{get, patch, post};
use serde::{Deserialize, Serialize};

use super::{
    ending,
    model::{Correction, Registration},
    service::{self, ClaimIds, Filter, NewClaim, Of},
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    http::{Body, Call, IfMatch, List, Mount, Page, Params, RefPath, Reply},
    kernel::{
        Id, Instant, Scope,
        ids::{CustomerId, EventId, OrderId, RegistrationId},
        patch::present,
        text::{Note, Sku, Text},
    },
    orders,
    returns::{ReturnRequestDocument, ReturnWish},
};

/// What opens an order.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WarrantyQuery {
    /// The token of a link to the order, as completing the cart and looking the order up give it.
    pub token: Option<String>,
}

/// A product about to be registered.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProductRegistrationRequest, example = json!({"line_no": 1, "serial": "SN-2026-004711"}))]
pub struct RegisterRequest {
    /// The order's line.
    pub line_no: i32,
    /// What stands on it, where that is known: letters and digits count.
    #[schema(value_type = Option<String>)]
    pub serial: Option<Text<100>>,
}

impl RegisterRequest {
    fn serial(&self) -> Result<Option<String>> {
        self.serial.as_ref().map(checked).transpose()
    }
}

/// A serial number has letters or digits, else every other one would be the same.
fn checked(serial: &Text<100>) -> Result<String> {
    match serial.chars().any(char::is_alphanumeric) {
        true => Ok(serial.to_string()),
        false => Err(Error::invalid("/serial", "expected letters or digits")),
    }
}

/// Register a product
///
/// One piece of a line that has left, with its serial number where that is known: as the customer, as a guest with the `Cart-Token` of the cart it
/// was, or as anybody with the `token` of a link to the order. The answer tells until when its warranty lasts.
#[utoipa::path(tag = "my orders", params(("id" = inline(OrderId), Path), WarrantyQuery), request_body = RegisterRequest,
    responses((status = 201, body = Registration)))]
#[post("/orders/{id}/registrations")]
async fn register_own(
    call: Call,
    path: RefPath<OrderId>,
    query: Params<WarrantyQuery>,
    body: Body<RegisterRequest>,
) -> Result<Reply> {
    call.shopper()?;
    let (id, now, fresh, token) = (path.0, call.now, (Id::new(), Id::new()), query.0.token);
    let (line_no, serial) = (body.line_no, body.serial()?);
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    call.command(&body.fingerprint, move |tx| {
        orders::opened(tx, &actor, (&secret, now), id, token.as_deref())?;
        let made = service::register(tx, (now, &actor), fresh, id, (line_no, serial.as_deref()))?;
        let version = made.version;
        let path = format!("/v1/store/orders/{id}/registrations");
        Ok(Reply::created(&made.for_shopper())?.version(version).location(path))
    })
    .await
}

/// The products of an order that were registered.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OrderRegistrations {
    /// By line and piece.
    pub registrations: Vec<Registration>,
}

/// See which products of one's order are registered
#[utoipa::path(tag = "my orders", params(("id" = inline(OrderId), Path), WarrantyQuery),
    responses((status = 200, body = OrderRegistrations)))]
#[get("/orders/{id}/registrations")]
async fn own_registrations(call: Call, path: RefPath<OrderId>, query: Params<WarrantyQuery>) -> Result<Reply> {
    call.shopper()?;
    let (id, now, token) = (path.0, call.now, query.0.token);
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    let found = call.read(move |tx| {
        orders::opened(tx, &actor, (&secret, now), id, token.as_deref())?;
        service::of_order(tx, id)
    });
    let registrations = found.await?.into_iter().map(Registration::for_shopper).collect();
    Reply::ok(&OrderRegistrations { registrations })
}

/// Register a product for a customer
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = RegisterRequest,
    security(("token" = ["orders:write"])), responses((status = 201, body = Registration)))]
#[post("/orders/{ref}/registrations")]
async fn register_product(call: Call, path: RefPath<String>, body: Body<RegisterRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (of, now, fresh) = (path.0, call.now, (Id::new(), Id::new()));
    let (line_no, serial) = (body.line_no, body.serial()?);
    call.command(&body.fingerprint, move |tx| {
        let id = orders::resolve(tx, &actor, &of)?;
        let made = service::register(tx, (now, &actor), fresh, id, (line_no, serial.as_deref()))?;
        let path = format!("/v1/ops/registrations/{}", made.id);
        Ok(Reply::created(&made)?.version(made.version).location(path))
    })
    .await
}

/// What a list of registrations is narrowed by.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RegistrationQuery {
    /// What stands on it: letters and digits count.
    #[param(value_type = Option<String>)]
    pub serial: Option<Text<100>>,
    /// Those of an order: its id, its number, or what a foreign system calls it.
    #[param(value_type = Option<String>)]
    pub order: Option<Text<200>>,
    /// Those of an article.
    #[param(value_type = Option<String>)]
    pub sku: Option<Sku>,
    /// `true`: those that are live; `false`: those that have ended.
    pub live: Option<bool>,
}

/// List registered products
///
/// Newest first. By `serial` the order is found of whoever has nothing else at hand.
#[utoipa::path(tag = "answer a customer", params(RegistrationQuery), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<Registration>)))]
#[get("/registrations")]
async fn list_registrations(call: Call, query: List<RegistrationQuery>) -> Result<Reply> {
    let (actor, wanted) = (call.allow(Scope::OrdersRead)?.clone(), query.filter.clone());
    let read = move |tx: &mut Tx, before: Option<RegistrationId>, limit| {
        let order = wanted.order.as_deref().map(|order| orders::find(tx, &actor, order)).transpose()?;
        let text = |text: Option<&str>| text.map(str::to_owned);
        let filter = Filter {
            live: wanted.live,
            order,
            serial: text(wanted.serial.as_deref()),
            sku: text(wanted.sku.as_deref()),
        };
        service::page(tx, &actor, &filter, before, limit)
    };
    query.answer(&call, |one: &Registration| one.id, read).await
}

/// Read a registration
#[utoipa::path(tag = "answer a customer", params(("id" = inline(RegistrationId), Path)),
    security(("token" = ["orders:read"])), responses((status = 200, body = Registration)))]
#[get("/registrations/{id}")]
async fn read_registration(call: Call, path: RefPath<RegistrationId>) -> Result<Reply> {
    let (actor, id) = (call.allow(Scope::OrdersRead)?.clone(), path.0);
    let found = call.read(move |tx| service::get(tx, id)).await?;
    let found = found.filter(|one| actor.sees_channel(one.channel_id));
    let found = found.ok_or_else(|| Error::not_found("registration"))?;
    Ok(Reply::ok(&found)?.version(found.version))
}

/// What is put right about a registration; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProductRegistrationChange, example = json!({"serial": "SN-2026-004713"}))]
pub struct RegistrationChange {
    /// What stands on it: letters and digits count; null where nothing does.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub serial: Option<Option<Text<100>>>,
    /// When it arrived: its warranty is counted anew from then.
    pub arrived_at: Option<Instant>,
    /// Whose it is; null where nobody knows. It opens no order: who claims opens the order as before.
    #[serde(default, deserialize_with = "present")]
    pub customer_id: Option<Option<CustomerId>>,
}

/// Correct a registration
///
/// While it is live. A serial number is of one live registration of its article (`duplicate`).
#[utoipa::path(tag = "answer a customer", params(("id" = inline(RegistrationId), Path), IfMatch), request_body = RegistrationChange,
    security(("token" = ["orders:write"])), responses((status = 200, body = Registration)))]
#[patch("/registrations/{id}")]
async fn correct_registration(
    call: Call,
    path: RefPath<RegistrationId>,
    body: Body<RegistrationChange>,
) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (now, event, which) = (call.now, Id::new(), (path.0, call.if_match()?));
    let serial = body.serial.as_ref().map(|serial| serial.as_ref().map(checked).transpose()).transpose()?;
    let what = Correction { serial, arrived_at: body.arrived_at, customer: body.customer_id };
    call.command(&body.fingerprint, move |tx| {
        let one = ending::correct(tx, (now, &actor), event, which, &what)?;
        Ok(Reply::ok(&one)?.version(one.version))
    })
    .await
}

/// Why a registration ends.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProductRegistrationEnd, example = json!({"reason": "sold on, the next owner registers it"}))]
pub struct RegistrationEnd {
    /// Why.
    #[schema(value_type = String)]
    pub reason: Note<500>,
}

/// End a registration
///
/// The thing is with somebody else, was destroyed, or was registered by mistake. Its serial number is free for whoever has it next. What comes back
/// as a return ends by itself.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(RegistrationId), Path), IfMatch), request_body = RegistrationEnd,
    security(("token" = ["orders:write"])), responses((status = 200, body = Registration)))]
#[post("/registrations/{id}/end")]
async fn end_registration(call: Call, path: RefPath<RegistrationId>, body: Body<RegistrationEnd>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (now, event, which) = (call.now, Id::new(), (path.0, call.if_match()?));
    let reason = body.reason.to_string();
    call.command(&body.fingerprint, move |tx| {
        let one = ending::end(tx, (now, &actor), event, which, &reason)?;
        Ok(Reply::ok(&one)?.version(one.version))
    })
    .await
}

/// A claim on a warranty: by what stands on the thing, by its registration, or by the order's line.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WarrantyClaimRequest, example = json!({"serial": "SN-2026-004711", "comment": "it does not start any more"}))]
pub struct ClaimRequest {
    /// What stands on it; or `registration_id`; or `order` and `line_no`.
    #[schema(value_type = Option<String>)]
    pub serial: Option<Text<100>>,
    /// Its article, where several have the same serial number.
    #[schema(value_type = Option<String>)]
    pub sku: Option<Sku>,
    /// Its registration.
    pub registration_id: Option<RegistrationId>,
    /// The order: on the store surface its id; for staff also its number, or what a foreign system calls it.
    #[schema(value_type = Option<String>)]
    pub order: Option<Text<200>>,
    /// The order's line.
    pub line_no: Option<i32>,
    /// What is wanted for it; `refund` unless told. An `exchange` sends another.
    pub wish: Option<ReturnWish>,
    /// What is wrong with it.
    #[schema(value_type = Option<String>)]
    pub comment: Option<Note<2000>>,
}

impl ClaimRequest {
    fn new_claim(&self, by_staff: bool, find: impl FnOnce(&str) -> Result<OrderId>) -> Result<NewClaim> {
        let of = match (&self.serial, self.registration_id, &self.order, self.line_no) {
            (Some(serial), None, None, None) => Of::Serial(checked(serial)?, self.sku.as_deref().map(str::to_owned)),
            (None, Some(id), None, None) => Of::Registration(id),
            (None, None, Some(order), Some(line_no)) => Of::Line(find(order)?, line_no),
            (None, None, Some(_), None) => {
                return Err(Error::problem(Code::MissingField, "say which of its lines it is").at("/line_no"));
            }
            _ => {
                let detail = "expected a `serial`, a `registration_id`, or an `order` and its `line_no`: one of them";
                return Err(Error::invalid("/serial", detail));
            }
        };
        let wish = self.wish.unwrap_or(ReturnWish::Refund);
        Ok(NewClaim { of, wish, comment: self.comment.as_ref().map(ToString::to_string), by_staff })
    }
}

/// What came of a claim on a warranty.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WarrantyClaimed {
    /// What is claimed.
    pub registration: Registration,
    /// The return request that it is: it goes on as any.
    pub request: ReturnRequestDocument,
}

async fn fresh(call: &Call) -> Result<ClaimIds> {
    let number = format!("RMA{}", call.state.db.next_number("return_requests").await?);
    let of_request: Vec<EventId> = vec![Id::new(), Id::new()];
    Ok(ClaimIds { registration: Id::new(), request: Id::new(), number, events: [Id::new(), Id::new()], of_request })
}

/// Claim on the warranty of a product
///
/// By its serial number, its registration, or the order's line, of an order that is one's own or that a `token` opens. It is a return request of
/// that order; what is wrong with the warranty, as that it has ended, is told.
#[utoipa::path(tag = "my orders", params(WarrantyQuery), request_body = ClaimRequest,
    responses((status = 201, body = WarrantyClaimed)))]
#[post("/warranty-claims")]
async fn claim_own(call: Call, query: Params<WarrantyQuery>, body: Body<ClaimRequest>) -> Result<Reply> {
    call.shopper()?;
    let (now, ids, token) = (call.now, fresh(&call).await?, query.0.token);
    let new = body.new_claim(false, |order| order.parse().map_err(|_| Error::not_found("order").at("/order")))?;
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    call.command(&body.fingerprint, move |tx| {
        let opens = |tx: &mut Tx, one: &Registration| match orders::opened(
            tx,
            &actor,
            (&secret, now),
            one.order_id,
            token.as_deref(),
        ) {
            Err(error) if error.code() == Code::NotFound => Ok(false),
            opened => opened.map(|_| true),
        };
        let order = service::order_of(tx, &new.of, opens)?;
        // What is somebody else's is not there.
        orders::opened(tx, &actor, (&secret, now), order, token.as_deref()).map_err(|error| match error.code() {
            Code::NotFound => Error::not_found("registration"),
            _ => error,
        })?;
        let (registration, request) =
            service::claim(tx, (now, &actor), &ids, order, &new).map_err(orders::holds::untold)?;
        let (registration, request) = (registration.for_shopper(), request.for_shopper());
        let path = format!("/v1/store/orders/{order}/returns");
        Ok(Reply::created(&WarrantyClaimed { registration, request })?.location(path))
    })
    .await
}

/// Claim on the warranty of a customer's product
///
/// By its serial number the order is found. It is a return request of that order, approved at once.
#[utoipa::path(tag = "answer a customer", request_body = ClaimRequest, security(("token" = ["orders:write"])),
    responses((status = 201, body = WarrantyClaimed)))]
#[post("/warranty-claims")]
async fn claim_warranty(call: Call, body: Body<ClaimRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (now, ids, body) = (call.now, fresh(&call).await?, body);
    let wanted = body.value.clone();
    call.command(&body.fingerprint, move |tx| {
        let mut at = None;
        if let Some(order) = &wanted.order {
            at = Some(orders::resolve(tx, &actor, order).map_err(|error| error.at("/order"))?);
        }
        let new = wanted.new_claim(true, |_| at.ok_or_else(|| Error::not_found("order")))?;
        let order = service::order_of(tx, &new.of, |_, one| Ok(actor.sees_channel(one.channel_id)))?;
        let seen = orders::document(tx, order)?.filter(|order| actor.sees_channel(order.channel_id));
        seen.ok_or_else(|| Error::not_found("registration"))?;
        let (registration, request) = service::claim(tx, (now, &actor), &ids, order, &new)?;
        let path = format!("/v1/ops/return-requests/{}", request.id);
        Ok(Reply::created(&WarrantyClaimed { registration, request })?.location(path))
    })
    .await
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(register_own).service(own_registrations).service(claim_own);
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(register_product).service(list_registrations).service(read_registration);
    config.service(correct_registration).service(end_registration).service(claim_warranty);
}
