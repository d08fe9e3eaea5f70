//! Routes of the warehouse and of what is done with placed orders.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};

use super::{
    cancel::{self, Cancellation},
    carriers, corrections, crossdock, desk, dropship,
    ids::Fresh,
    inbound,
    model::{Command, FulfilmentOrder, FulfilmentState, Pieces, Scan, Shipment, ShipmentCommand},
    parcels, picking, pickups, returns, scanning, scans, second,
    service::{self, Filter, NewShipment},
    shipped_lots::ShippedLot,
    till,
    tracking::{self, Tracking},
};
use crate::{
    countersign::{self, CountersignRequest, Passed},
    db::Tx,
    error::{Code, Error, Result},
    http::{Body, Call, List, Mount, Page, RefPath, Reply},
    kernel::{
        Action, Id, Instant, Quantity, Scope,
        ids::{FulfilmentOrderId, PackageId, ShipmentId},
        text::{Note, Text, WebAddress},
    },
    orders,
    stock::{self, Locations, Sourcing},
};

/// Checks a time that a caller states for what they report.
///
/// # Errors
/// `scope_missing` without `history:write`; `history_in_future`.
pub(super) fn checked_time(call: &Call, occurred_at: Option<Instant>) -> Result<()> {
    let Some(at) = occurred_at else { return Ok(()) };
    call.allow(Scope::HistoryWrite)?;
    if at > call.now {
        return Err(Error::problem(Code::HistoryInFuture, "occurred_at lies in the future").at("/occurred_at"));
    }
    Ok(())
}

/// How many lines a command names at most.
const LINES: usize = 1000;

pub(super) fn checked_lines(lines: Option<&Vec<Pieces>>) -> Result<()> {
    match lines {
        Some(lines) if !(1..=LINES).contains(&lines.len()) => {
            Err(Error::invalid("/lines", "expected 1 to 1000 lines, or none at all for everything"))
        }
        _ => Ok(()),
    }
}

pub(super) fn checked_bundles(bundles: Option<&[Pieces]>) -> Result<()> {
    match bundles {
        Some(bundles) if !(1..=LINES).contains(&bundles.len()) => {
            Err(Error::invalid("/bundles", "expected 1 to 1000 bundles, or leave it out"))
        }
        _ => Ok(()),
    }
}

/// What the list of fulfilment orders is narrowed to.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FulfilmentQuery {
    /// Of one location, by id or code.
    pub location: Option<String>,
    /// In one state; those that are not finished, unless told.
    #[param(inline)]
    pub state: Option<FulfilmentState>,
    /// Only those that should have left by now.
    pub overdue: Option<bool>,
    /// Only those that are held, or only those that are not.
    pub held: Option<bool>,
    /// Only those of which somebody has asked to cancel pieces, or only the others.
    pub cancel_requested: Option<bool>,
    /// Only those that their location has to accept first, or only the others.
    pub to_accept: Option<bool>,
    /// Only those of at least this priority.
    pub min_priority: Option<i64>,
}

/// List the fulfilment orders
///
/// What the warehouses have to ship, due first. Finished ones only when a state is asked for.
#[utoipa::path(tag = "ship", params(FulfilmentQuery), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = Page<FulfilmentOrder>)))]
#[get("/fulfilment-orders")]
async fn list_fulfilment_orders(call: Call, query: List<FulfilmentQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentRead)?.clone();
    let (wanted, locations) = (&query.filter, call.snapshot::<Locations>().await?);
    let location = match &wanted.location {
        None => None,
        Some(reference) => {
            let found = locations.by_ref(reference).map(|location| location.id);
            let seen = found.filter(|id| actor.sees_location(*id));
            Some(seen.ok_or_else(|| Error::not_found("location").at("location"))?)
        }
    };
    let filter = Filter {
        state: wanted.state,
        overdue_at: wanted.overdue.unwrap_or(false).then_some(call.now),
        location,
        locations: actor.locations().map(<[_]>::to_vec),
        channels: actor.channels().map(<[_]>::to_vec),
        held: wanted.held,
        cancel_requested: wanted.cancel_requested,
        to_accept: wanted.to_accept,
        min_priority: wanted.min_priority,
    };
    let read = move |tx: &mut Tx, after: Option<(i64, FulfilmentOrderId)>, limit| {
        service::page(tx, &filter, after.map(|(due, id)| (Instant::from_micros(due), id)), limit)
    };
    query.answer(&call, |one: &FulfilmentOrder| (one.due_at.micros(), one.id), read).await
}

/// A fulfilment order, and what can be done with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FulfilmentDetail {
    /// It.
    #[serde(flatten)]
    pub fulfilment_order: FulfilmentOrder,
    /// Why its lines come from this location: which locations were looked at, in which order, what each had when the stock was
    /// reserved or allocated, and why it was chosen or passed over. Lines for which the first location asked had the whole order
    /// are left out. Only of locations that the caller may see; only in answers to reading.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sourcing: Vec<Sourcing>,
    /// What can be done now.
    pub actions: Vec<Action>,
}

impl From<FulfilmentOrder> for FulfilmentDetail {
    fn from(fulfilment_order: FulfilmentOrder) -> Self {
        let possible = |command: Command| {
            fulfilment_order.state.takes(command)?;
            // Holds that are written down count: whose time is over is released within a minute.
            fulfilment_order.free_for(command, fulfilment_order.updated_at)?;
            let left = fulfilment_order.counts().any(|counts| counts.left_for(command) > 0);
            let nothing = || Error::conflict(format!("nothing is left to {command}"));
            let or = |there: bool, why: &str| if there { Ok(()) } else { Err(Error::conflict(why)) };
            let unasked = or(fulfilment_order.cancel_request.is_none(), "somebody has asked to cancel it");
            match command {
                Command::Release => or(!fulfilment_order.holds.is_empty(), "it is not held"),
                Command::Accept | Command::Decline => {
                    or(fulfilment_order.accept_by.is_some(), "it does not wait for that")
                }
                Command::Hold | Command::Reschedule => Ok(()),
                Command::RequestCancel => unasked,
                _ if !left => Err(nothing()),
                Command::Move | Command::Split | Command::Merge => unasked,
                _ => Ok(()),
            }
        };
        // Delivering is a shipment's, cancelling the order's.
        let own = Command::ALL.iter().filter(|command| !OTHERS.contains(command));
        let mut actions: Vec<Action> = own.map(|command| Action::of(command.as_str(), possible(*command))).collect();
        actions.push(Action::of("replan", possible(Command::Move)));
        actions.push(Action::of("answer_cancel", fulfilment_order.asked_to_cancel()));
        Self { fulfilment_order, sourcing: Vec::new(), actions }
    }
}

/// What is not done with a fulfilment order, but with its shipments or with its order.
const OTHERS: &[Command] = &[Command::Deliver, Command::Cancel, Command::Unship, Command::Undeliver, Command::Reship];

/// Read a fulfilment order
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)),
    security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = FulfilmentDetail)))]
#[get("/fulfilment-orders/{id}")]
async fn read_fulfilment_order(call: Call, path: RefPath<FulfilmentOrderId>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentRead)?.clone();
    let id = path.0;
    let locations = call.snapshot::<Locations>().await?;
    let found = call.read(move |tx| {
        let found = service::get(tx, &actor, id)?;
        let mut sourcing = service::sourcing(tx, found.order_id)?;
        sourcing.retain(|trace| found.lines.iter().any(|line| line.line_no == trace.line_no));
        let sourcing = stock::shown(sourcing, &actor, &locations);
        Ok(FulfilmentDetail { sourcing, ..FulfilmentDetail::from(found) })
    });
    let found = found.await?;
    Ok(Reply::ok(&found)?.version(found.fulfilment_order.version))
}

/// Which pieces.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"lines": [{"line_no": 1, "quantity": 1}]}))]
pub struct PiecesRequest {
    /// Which pieces; all that is left when absent.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Option<Vec<Pieces>>,
}

/// Pick
///
/// Notes that pieces have been taken from the shelf.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = PiecesRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = FulfilmentDetail)))]
#[post("/fulfilment-orders/{id}/pick")]
async fn pick(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<PiecesRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    checked_lines(body.lines.as_ref())?;
    let (id, now, fresh, lines) = (path.0, call.now, Fresh::new(), body.lines.clone());
    call.command(&body.fingerprint, move |tx| {
        let changed = service::pick(tx, now, &actor, &fresh, id, lines.as_deref())?;
        let version = changed.version;
        Ok(Reply::ok(&FulfilmentDetail::from(changed))?.version(version))
    })
    .await
}

/// Pack
///
/// Notes that pieces have been put into a parcel; what was not picked is picked with it.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = PiecesRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = FulfilmentDetail)))]
#[post("/fulfilment-orders/{id}/pack")]
async fn pack(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<PiecesRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    checked_lines(body.lines.as_ref())?;
    let (id, now, fresh, lines) = (path.0, call.now, Fresh::new(), body.lines.clone());
    call.command(&body.fingerprint, move |tx| {
        let changed = service::pack(tx, now, &actor, &fresh, id, lines.as_deref())?;
        let version = changed.version;
        Ok(Reply::ok(&FulfilmentDetail::from(changed))?.version(version))
    })
    .await
}

/// That no more is said of lots than is read.
pub(super) fn checked_lots(lots: &[ShippedLot]) -> Result<()> {
    match lots.len() > LINES {
        true => Err(Error::invalid("/lots", "expected at most 1000")),
        false => Ok(()),
    }
}

/// What leaves.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"carrier": "DHL", "tracking_number": "00340434161094042557"}))]
pub struct ShipRequest {
    /// Who carries it.
    #[schema(value_type = Option<String>)]
    pub carrier: Option<Text<50>>,
    /// What the carrier calls it.
    #[schema(value_type = Option<String>)]
    pub tracking_number: Option<Text<100>>,
    /// Where its way can be followed (https); made from carrier and number where the carrier is a known one.
    pub tracking_url: Option<WebAddress>,
    /// Which pieces; all that is left when absent.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Option<Vec<Pieces>>,
    /// Which packages, instead of lines. Without either, all packages that wait leave with all the rest.
    #[schema(min_items = 1, max_items = 1000)]
    pub packages: Option<Vec<PackageId>>,
    /// Of which lots pieces are that leave. What is not said of any is taken as it should be: what ends first leaves first.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub lots: Vec<ShippedLot>,
    /// When it left, if that was not now. Needs the scope `history:write`.
    pub occurred_at: Option<Instant>,
}

impl ShipRequest {
    /// What leaves, as far as the caller may say so.
    ///
    /// # Errors
    /// `invalid_value`; `scope_missing` and `history_in_future` for a time that is stated.
    pub(super) fn read(&self, call: &Call) -> Result<NewShipment> {
        checked_lines(self.lines.as_ref())?;
        if self.packages.as_ref().is_some_and(|packages| !(1..=LINES).contains(&packages.len())) {
            return Err(Error::invalid("/packages", "expected 1 to 1000 packages, or none at all"));
        }
        checked_lots(&self.lots)?;
        checked_time(call, self.occurred_at)?;
        Ok(NewShipment {
            carrier: self.carrier.as_ref().map(ToString::to_string),
            tracking_number: self.tracking_number.as_ref().map(ToString::to_string),
            tracking_url: self.tracking_url.as_ref().map(ToString::to_string),
            pieces: self.lines.clone(),
            packages: self.packages.clone(),
            lots: self.lots.clone(),
            occurred_at: self.occurred_at,
            unasked: false,
            left: Vec::new(),
        })
    }
}

/// Ship
///
/// Notes that pieces have left; what was not picked and packed is so with it, so a warehouse that only reports parcels
/// needs nothing else. The money of what leaves is captured.
#[utoipa::path(tag = "ship", params(("id" = inline(FulfilmentOrderId), Path)), request_body = ShipRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 201, body = Shipment)))]
#[post("/fulfilment-orders/{id}/ship")]
async fn ship(call: Call, path: RefPath<FulfilmentOrderId>, body: Body<ShipRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let new = body.value.read(&call)?;
    let (id, now, fresh) = (path.0, call.now, Fresh::new());
    call.command(&body.fingerprint, move |tx| Reply::created(&service::ship(tx, now, &actor, &fresh, id, &new)?)).await
}

/// A shipment, and what can be done with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ShipmentDetail {
    /// It.
    #[serde(flatten)]
    pub shipment: Shipment,
    /// What can be done now.
    pub actions: Vec<Action>,
}

/// Read a shipment
#[utoipa::path(tag = "ship", params(("id" = inline(ShipmentId), Path)), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = ShipmentDetail)))]
#[get("/shipments/{id}")]
async fn read_shipment(call: Call, path: RefPath<ShipmentId>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentRead)?.clone();
    let id = path.0;
    let shipment = call.read(move |tx| service::shipment_of(tx, &actor, id)).await?;
    let action = |command: &ShipmentCommand| Action::of(command.as_str(), shipment.state.apply(*command).map(|_| ()));
    let actions = ShipmentCommand::ALL.iter().map(action).collect();
    Reply::ok(&ShipmentDetail { shipment, actions })
}

/// When something happened.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({}))]
pub struct WhenRequest {
    /// When, if that was not now; not before the order. Needs the scope `history:write`.
    pub occurred_at: Option<Instant>,
}

/// Deliver
///
/// Notes that a shipment has arrived.
#[utoipa::path(tag = "ship", params(("id" = inline(ShipmentId), Path)), request_body = WhenRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = Shipment)))]
#[post("/shipments/{id}/deliver")]
async fn deliver(call: Call, path: RefPath<ShipmentId>, body: Body<WhenRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    checked_time(&call, body.occurred_at)?;
    let (id, now, fresh, at) = (path.0, call.now, Fresh::new(), body.occurred_at);
    call.command(&body.fingerprint, move |tx| Reply::ok(&service::deliver(tx, now, &actor, &fresh, id, at)?)).await
}

/// What a carrier said.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"text": "Handed over in Bremen"}))]
pub struct ScanRequest {
    /// What, in the carrier's words.
    #[schema(value_type = String)]
    pub text: Note<300>,
    /// Where.
    #[schema(value_type = Option<String>)]
    pub place: Option<Text<200>>,
    /// When; now unless told. Not before the order.
    pub at: Option<Instant>,
    /// What it means. Where the parcel is follows from all scans that say so, in the order of their times: they may come late, doubled
    /// and in any order. `delivered` is as if it was told with `/deliver`.
    #[schema(inline)]
    pub mark: Option<Tracking>,
}

/// Note a scan
///
/// What a carrier said about a shipment on its way. The same scan twice is one.
#[utoipa::path(tag = "ship", params(("id" = inline(ShipmentId), Path)), request_body = ScanRequest,
    security(("token" = ["fulfilment:write"])), responses((status = 200, body = Shipment)))]
#[post("/shipments/{id}/scans")]
async fn scan(call: Call, path: RefPath<ShipmentId>, body: Body<ScanRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentWrite)?.clone();
    let at = body.at.unwrap_or(call.now);
    if at > call.now {
        return Err(Error::problem(Code::HistoryInFuture, "at lies in the future").at("/at"));
    }
    let scan =
        Scan { at, text: body.text.to_string(), place: body.place.as_ref().map(ToString::to_string), mark: body.mark };
    let (id, now, fresh) = (path.0, call.now, Fresh::new());
    call.command(&body.fingerprint, move |tx| Reply::ok(&scans::scan(tx, now, &actor, &fresh, id, &scan)?)).await
}

/// What an order's locations do for it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OrderFulfilment {
    /// One per location.
    pub fulfilment_orders: Vec<FulfilmentOrder>,
    /// What has left.
    pub shipments: Vec<Shipment>,
    /// Why its lines come from where they do: for each line of which there is something to tell, which locations were looked
    /// at, in which order, what each had when the stock was reserved or allocated, and why it was chosen or passed over. Lines
    /// for which the first location asked had the whole order are left out.
    pub sourcing: Vec<Sourcing>,
}

/// Read an order's fulfilment
///
/// Its fulfilment orders and shipments, at the locations that the caller may see, and why these ship it.
#[utoipa::path(tag = "ship", params(("ref" = String, Path)), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = OrderFulfilment)))]
#[get("/orders/{ref}/fulfilment")]
async fn order_fulfilment(call: Call, path: RefPath<String>) -> Result<Reply> {
    let actor = call.allow(Scope::FulfilmentRead)?.clone();
    let locations = call.snapshot::<Locations>().await?;
    let found = call.read(move |tx| {
        let id = orders::find(tx, &actor, &path.0)?;
        let (mut fulfilment_orders, mut shipments) = service::of_order(tx, id)?;
        fulfilment_orders.retain(|one| actor.sees_location(one.location_id));
        shipments.retain(|one| actor.sees_location(one.location_id));
        let sourcing = stock::shown(service::sourcing(tx, id)?, &actor, &locations);
        Ok(OrderFulfilment { fulfilment_orders, shipments, sourcing })
    });
    Reply::ok(&found.await?)
}

/// So many pieces of a line of the order that are cancelled.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelLine {
    /// The order's line.
    pub line_no: i32,
    /// How many.
    pub quantity: Quantity,
    /// Of which of the order's several deliveries, by its `key`; where it is left out, those that have come least far are taken, of
    /// whichever delivery.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    pub delivery: Option<Text<50>>,
}

/// What is cancelled, and why.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "customer changed their mind"}))]
pub struct CancelRequest {
    /// Which pieces; all that has not left when absent, unless `bundles` are named.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Option<Vec<CancelLine>>,
    /// Which of the order's `bundles`, whole, by their `line_no`. Parts of one are named by their lines.
    #[schema(min_items = 1, max_items = 1000)]
    pub bundles: Option<Vec<Pieces>>,
    /// Why.
    #[schema(value_type = String)]
    pub reason: Note<500>,
    /// Whether what goes back by hand has been paid out already; else it waits in the work list `refunds_to_pay`.
    #[serde(default)]
    pub paid_out: bool,
    /// Where what was paid too much goes; the way it came, unless told. Of a new gift card the answer has `gift_card` with its code.
    pub refund_to: Option<till::RefundTo>,
    /// When, if that was not now; not before the order. Needs the scope `history:write`.
    pub occurred_at: Option<Instant>,
}

impl CancelRequest {
    /// What is to be cancelled, and where what was paid too much goes.
    ///
    /// # Errors
    /// `invalid_value`, `missing_field`.
    pub(super) fn cancellation(&self) -> Result<(Cancellation, till::GiveTo)> {
        let piece = |line: &CancelLine| Pieces { line_no: line.line_no, quantity: line.quantity };
        let pieces: Option<Vec<Pieces>> = self.lines.as_ref().map(|lines| lines.iter().map(piece).collect());
        checked_lines(pieces.as_ref())?;
        checked_bundles(self.bundles.as_deref())?;
        let of = |(place, line): (usize, &CancelLine)| Some((place, line.delivery.as_ref()?.to_string()));
        let to = till::GiveTo::of(self.refund_to, "/refund_to")?;
        let what = Cancellation {
            pieces,
            deliveries: self.lines.iter().flatten().enumerate().filter_map(of).collect(),
            bundles: self.bundles.clone().unwrap_or_default(),
            reason: self.reason.to_string(),
            paid_out: self.paid_out,
            give_to: Some(to.clone()),
            occurred_at: self.occurred_at,
            ..Cancellation::default()
        };
        Ok((what, to))
    }
}

/// Cancel
///
/// Cancels pieces that have not left, picked ones too. They go back into stock, the customer owes so much less, and
/// what was paid too much is given back. Who is limited to locations cancels what is to leave from these. Where more goes back than one person
/// gives back alone (`second_person` of the channel) nothing is cancelled yet: the answer is 202 with the request that somebody else approves.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = CancelRequest,
    security(("token" = ["orders:write"])), responses((status = 200, body = till::api::RefundAnswer), (status = 202, body = CountersignRequest)))]
#[post("/orders/{ref}/cancel")]
async fn cancel_order(call: Call, path: RefPath<String>, body: Body<CancelRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    checked_time(&call, body.occurred_at)?;
    let (what, to) = body.cancellation()?;
    let (now, fresh, reference, asked) = (call.now, Fresh::new(), path.0, body.value.clone());
    let ids = (Id::new(), Id::new());
    call.command(&body.fingerprint, move |tx| {
        let id = orders::resolve(tx, &actor, &reference)?;
        let done = countersign::or_ask(
            tx,
            (now, &actor),
            ids,
            |tx| cancel::cancel(tx, now, &actor, &fresh, id, &what),
            |tx| second::wanted(tx, id, (&asked, &to)),
        )?;
        let order = match done {
            Passed::Done(order) => order,
            Passed::Waits(request) => return request.accepted(),
        };
        let (version, gift_card) = (order.version, to.issued_in(tx)?);
        let secret = gift_card.is_some();
        let reply = Reply::ok(&till::api::RefundAnswer { order, gift_card })?.version(version);
        Ok(if secret { reply.secret() } else { reply })
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(list_fulfilment_orders).service(read_fulfilment_order);
    config.service(pick).service(pack).service(ship).service(deliver).service(scan);
    config.service(order_fulfilment).service(read_shipment);
    config.service(cancel_order);
    desk::api::ops(config);
    corrections::api::ops(config);
    super::on_time::ops(config);
    till::api::ops(config);
    returns::api::ops(config);
    tracking::api::ops(config);
    picking::api::ops(config);
    pickups::api::ops(config);
    parcels::api::ops(config);
    carriers::api::ops(config);
    dropship::api::mount(config);
    inbound::api::ops(config);
    crossdock::api::ops(config);
    scanning::ops(config);
}

/// The routes of the integration surface.
pub fn integration(config: &mut Mount<'_>) {
    dropship::api::mount(config);
    inbound::api::integration(config);
}
