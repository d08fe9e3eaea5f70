//! Asking for a return, and deciding on it. Each command locks the order first, as everything does that is done with it.

use std::collections::BTreeMap;

// What is asked for as it stands in the tables.
pub(super) use super::store::{Filter, get, page};
use super::{
    advances,
    model::{
        Decision, RequestCommand, RequestLine, RequestOrigin, RequestState, ReturnParcel, ReturnReason,
        ReturnRequestDocument, ReturnWish,
    },
    policy::{self, ChannelReturnPolicy, Facts, LineVerdict, Policy, ShippingPayer},
    store,
};
use crate::{
    catalog::{self, Variant},
    db::{Json, Tx},
    error::{Code, Error, Result},
    events::{self, EventSchema, NewEvent, Payload},
    fulfilment::{self, Pieces, Shipment, returns::whole_bundles},
    kernel::{
        Actor, Instant, Money, Waiting,
        ids::{ChannelId, CustomerId, EventId, OrderId, RegistrationId, ReturnRequestId, ShipmentId, WithdrawalId},
    },
    orders::{self, LineMove, OrderDocument},
};

/// Who does something, and when.
pub type By<'a> = (Instant, &'a Actor);

pub(super) const REQUESTED: &str = "return.requested.v1";
pub(super) const APPROVED: &str = "return.approved.v1";
pub(super) const REJECTED: &str = "return.rejected.v1";
pub(super) const IN_TRANSIT: &str = "return.in_transit.v1";
pub(super) const ARRIVED: &str = "return.arrived.v1";
pub(super) const INSPECTED: &str = "return.inspected.v1";
pub(super) const SETTLED: &str = "return.settled.v1";
pub(super) const CANCELLED: &str = "return.cancelled.v1";
pub(super) const EXCHANGED: &str = "return.exchanged.v1";
pub(super) const EXPIRED: &str = "return.expired.v1";

/// What the events of requests carry: the request as it is then.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    let kinds = [REQUESTED, APPROVED, REJECTED, IN_TRANSIT, ARRIVED, INSPECTED, SETTLED, EXCHANGED, CANCELLED, EXPIRED];
    kinds.iter().map(|kind| EventSchema::of::<ReturnRequestDocument>(kind)).collect()
}

/// A line that is to come back.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The order's line.
    pub line_no: i32,
    /// How many.
    pub quantity: i64,
    /// Why.
    pub reason: ReturnReason,
}

/// A request about to be made.
#[derive(Debug, Clone)]
pub struct NewRequest {
    /// Its id.
    pub id: ReturnRequestId,
    /// Its number.
    pub number: String,
    /// Where it comes from.
    pub origin: RequestOrigin,
    /// What the customer wants.
    pub wish: ReturnWish,
    /// What comes back.
    pub lines: Vec<Wanted>,
    /// Which of the order's bundles come back whole, and why.
    pub bundles: Vec<Pieces>,
    /// Why the bundles do.
    pub bundles_because: ReturnReason,
    /// What the customer says.
    pub comment: Option<String>,
    /// Whether it is approved whatever the policy says, and why: staff have looked, or the law has.
    pub approved: Option<String>,
    /// The parcel that its carrier brings back.
    pub shipment: Option<ShipmentId>,
    /// The withdrawal that it carries out, and whether that is from all of the order.
    pub withdrawal: Option<(WithdrawalId, bool)>,
    /// The registered product on whose warranty it is a claim.
    pub registration: Option<RegistrationId>,
}

/// A channel's policy: its own, or the one that is meant where it has none.
///
/// # Errors
/// What the database says.
pub fn policy_of(tx: &mut Tx, channel: ChannelId) -> Result<ChannelReturnPolicy> {
    let none = || ChannelReturnPolicy { channel_id: channel, policy: Policy::default(), version: 0 };
    Ok(store::policy(tx, channel)?.unwrap_or_else(none))
}

/// Sets a channel's policy. `expected` is the version that the caller has seen.
///
/// # Errors
/// `invalid_value`, `version_stale`.
pub(super) fn set_policy(
    tx: &mut Tx,
    now: Instant,
    channel: ChannelId,
    expected: Option<i64>,
    policy: &Policy,
) -> Result<ChannelReturnPolicy> {
    policy.check()?;
    let known = policy_of(tx, channel)?;
    if expected.is_some_and(|seen| seen != known.version) {
        return Err(Error::stale("return policy", known.version));
    }
    let new = ChannelReturnPolicy { channel_id: channel, policy: policy.clone(), version: known.version + 1 };
    match store::save_policy(tx, now, &new)? {
        true => Ok(new),
        false => Err(Error::overtaken("the return policy")),
    }
}

/// What is known of an order where its goods are judged.
struct Known {
    policy: Policy,
    variants: Vec<Variant>,
    shipments: Vec<Shipment>,
}

impl Known {
    fn of(tx: &mut Tx, order: &OrderDocument) -> Result<Self> {
        let ids: Vec<_> = order.lines.iter().map(|line| line.variant_id).collect();
        Ok(Self {
            policy: policy_of(tx, order.channel_id)?.policy,
            variants: catalog::by_ids(tx, &ids)?,
            shipments: fulfilment::shipments(tx, order.id)?,
        })
    }

    fn judge(
        &self,
        order: &OrderDocument,
        line_no: i32,
        (reason, given): (ReturnReason, bool),
        now: Instant,
    ) -> Result<LineVerdict> {
        let line = order.line(line_no)?;
        let facts = Facts {
            variant: self.variants.iter().find(|variant| variant.id == line.variant_id),
            sku: &line.sku,
            country: order.destination(),
            delivered_at: delivered_at(&self.shipments, line_no),
            reason,
            given: given.then_some(order.placed_at),
        };
        Ok(policy::judge(&self.policy, &facts, now))
    }
}

/// When the last parcel with pieces of a line was delivered; `None` while one is on its way.
#[must_use]
pub(super) fn delivered_at(shipments: &[Shipment], line_no: i32) -> Option<Instant> {
    let has = |one: &&Shipment| one.corrected_at.is_none() && one.lines.iter().any(|line| line.line_no == line_no);
    let mut latest = None;
    for shipment in shipments.iter().filter(has) {
        latest = latest.max(Some(shipment.delivered_at?));
    }
    latest
}

/// What the policy says of every line of an order that could come back for a reason now.
///
/// # Errors
/// What the database says.
pub(super) fn judge_order(
    tx: &mut Tx,
    now: Instant,
    order: &OrderDocument,
    reason: ReturnReason,
) -> Result<Vec<(i32, i64, LineVerdict)>> {
    judge_lines(now, order, &Known::of(tx, order)?, (reason, false))
}

/// The same for who was given it.
///
/// # Errors
/// `gift_return_refused` where the channel takes no presents back.
pub(super) fn judge_gifts(
    tx: &mut Tx,
    now: Instant,
    order: &OrderDocument,
    reason: ReturnReason,
) -> Result<Vec<(i32, i64, LineVerdict)>> {
    let known = Known::of(tx, order)?;
    takes_gifts(&known.policy)?;
    judge_lines(now, order, &known, (reason, true))
}

fn takes_gifts(policy: &Policy) -> Result<()> {
    let refused = || Error::problem(Code::GiftReturnRefused, "the channel's return policy says nothing of presents");
    policy.gifts.as_ref().map(|_| ()).ok_or_else(refused)
}

fn judge_lines(
    now: Instant,
    order: &OrderDocument,
    known: &Known,
    why: (ReturnReason, bool),
) -> Result<Vec<(i32, i64, LineVerdict)>> {
    let lines = order.lines.iter().filter(|line| line.requires_shipping && line.returnable() > 0);
    lines.map(|line| Ok((line.line_no, line.returnable(), known.judge(order, line.line_no, why, now)?))).collect()
}

/// Asks for a return of pieces that have left: these are kept for it, so that nobody else takes them back or claims them. It is approved at
/// once where the policy says yes, or the caller may.
///
/// # Errors
/// `not_found`, `state_conflict`, `line_unknown`; `quantity_exceeded` where fewer can come back.
pub fn open(
    tx: &mut Tx,
    by: By<'_>,
    fresh: &[EventId],
    id: OrderId,
    new: &NewRequest,
) -> Result<ReturnRequestDocument> {
    let mut order = orders::lock(tx, id)?;
    open_of(tx, by, fresh, &mut order, new)
}

/// The same for an order that is locked and was read under the lock.
///
/// # Errors
/// As [`open`]; `invalid_value` where a guest wishes for store credit.
pub(super) fn open_of(
    tx: &mut Tx,
    (now, actor): By<'_>,
    fresh: &[EventId],
    order: &mut OrderDocument,
    new: &NewRequest,
) -> Result<ReturnRequestDocument> {
    order.state.apply(orders::Command::Return)?;
    if new.wish == ReturnWish::StoreCredit && order.customer_id.is_none() {
        let detail = "store credit is a customer's, and the order is a guest's: wish for a refund, or a gift card";
        return Err(Error::invalid("/wish", detail));
    }
    let wanted = with_bundles(order, new)?;
    let named: Vec<i32> = wanted.iter().map(|one| one.line_no).collect();
    order.free_for(orders::Command::Return, &named, Some(now))?;
    let known = Known::of(tx, order)?;
    let given = new.origin == RequestOrigin::Gift;
    if given && new.approved.is_none() {
        takes_gifts(&known.policy)?;
    }
    let lines = lines(order, &known, &wanted, (given, now))?;
    let says_yes = known.policy.auto_approve
        && lines.iter().all(|line| line.verdict.as_ref().is_some_and(|verdict| verdict.allowed));
    let decided = |by: String, reason| Decision { by, at: now, reason };
    let decision = match &new.approved {
        Some(why) => Some(decided(actor.label(), Some(why.clone()))),
        None => says_yes.then(|| decided("policy".to_owned(), None)),
    };
    let state = if decision.is_some() { RequestState::Approved } else { RequestState::Requested };
    let pays = |line: &RequestLine| {
        line.verdict.as_ref().is_some_and(|verdict| verdict.shipping_paid_by == ShippingPayer::Customer)
    };
    let shipping_fee = known.policy.label_fee.filter(|fee| fee.currency() == order.currency && lines.iter().all(pays));
    let expires = now.plus_seconds(known.policy.expires_days * 86_400);
    // A withdrawal is not over because its goods are slow, nor is a parcel that its carrier brings.
    let ends = !matches!(new.origin, RequestOrigin::Withdrawal | RequestOrigin::Carrier) && decision.is_some();
    let moves =
        lines.iter().map(|line| LineMove { line_no: line.line_no, coming_back: line.kept, ..LineMove::default() });
    let moves: Vec<LineMove> = moves.collect();
    let made = ReturnRequestDocument {
        id: new.id,
        number: new.number.clone(),
        order_id: order.id,
        order_number: order.number.clone(),
        channel_id: order.channel_id,
        // Who has bought a present is not told that it comes back.
        customer_id: order.customer_id.filter(|_| !given),
        origin: new.origin,
        state,
        state_since: now,
        wish: new.wish,
        lines,
        foreign: Vec::new(),
        comment: new.comment.clone(),
        decision,
        parcel: None,
        location_id: None,
        settlement: None,
        shipping_fee,
        advance: None,
        registration_id: new.registration,
        whole_order: new.withdrawal.is_some_and(|(_, whole)| whole),
        shipment_id: new.shipment,
        withdrawal_id: new.withdrawal.map(|(id, _)| id),
        version: 1,
        requested_at: now,
        expires_at: ends.then_some(expires),
        updated_at: now,
    };
    let kinds: &[&'static str] = if made.decision.is_some() { &[REQUESTED, APPROVED] } else { &[REQUESTED] };
    orders::save(tx, now, order, &moves, count(kinds.len()))?;
    if !store::insert(tx, &made)? {
        return Err(Error::problem(Code::Duplicate, "the parcel has its return request already").at("/shipment"));
    }
    tell(tx, (now, actor), fresh, order, &made, kinds)?;
    Ok(made)
}

/// What is wanted, each line of the order once, the parts of bundles that come back whole among it.
fn with_bundles(order: &OrderDocument, new: &NewRequest) -> Result<Vec<Wanted>> {
    let quantity = |one: &Wanted| crate::kernel::Quantity::new(one.quantity).map_err(Error::internal);
    let named: Result<Vec<Pieces>> =
        new.lines.iter().map(|one| Ok(Pieces { line_no: one.line_no, quantity: quantity(one)? })).collect();
    let whole = whole_bundles(order, &new.bundles, &named?)?;
    let parts = whole.iter().map(|piece| Wanted {
        line_no: piece.line_no,
        quantity: piece.quantity.get(),
        reason: new.bundles_because,
    });
    let mut merged: BTreeMap<i32, Wanted> = BTreeMap::new();
    for one in new.lines.iter().cloned().chain(parts) {
        merged.entry(one.line_no).and_modify(|known| known.quantity += one.quantity).or_insert(one);
    }
    Ok(merged.into_values().collect())
}

fn lines(
    order: &OrderDocument,
    known: &Known,
    wanted: &[Wanted],
    (given, now): (bool, Instant),
) -> Result<Vec<RequestLine>> {
    let line = |(place, one): (usize, &Wanted)| {
        let at = |field: &str| format!("/lines/{place}/{field}");
        let line = order.line(one.line_no).map_err(|error| error.at(at("line_no")))?;
        if !line.requires_shipping {
            let detail = format!("line {} is never shipped, so it can not be sent back: cancel it", one.line_no);
            return Err(Error::conflict(detail).at(at("line_no")));
        }
        let left = line.returnable();
        if one.quantity > left {
            let detail =
                format!("only {left} of line {} have left and are neither coming back nor claimed", one.line_no);
            let error = Error::problem(Code::QuantityExceeded, detail).at(at("quantity"));
            return Err(error.with("line_no", one.line_no).with("left", left));
        }
        Ok(RequestLine {
            line_no: one.line_no,
            variant_id: line.variant_id,
            sku: line.sku.clone(),
            quantity: one.quantity,
            kept: one.quantity,
            reason: one.reason,
            received: 0,
            surplus: 0,
            settled: None,
            inspected: Vec::new(),
            verdict: Some(known.judge(order, one.line_no, (one.reason, given), now)?),
        })
    };
    wanted.iter().enumerate().map(line).collect()
}

/// A number of events as it is counted.
pub(super) fn count(events: usize) -> i64 {
    i64::try_from(events).unwrap_or(i64::MAX)
}

/// What is personal in a request's events: what the customer has written.
#[derive(Debug, serde::Serialize)]
struct Words<'a> {
    comment: Option<&'a str>,
}

/// Appends events that tell of a request as it is now. The order was saved with as many.
pub(super) fn tell(
    tx: &mut Tx,
    (now, actor): By<'_>,
    fresh: &[EventId],
    order: &OrderDocument,
    request: &ReturnRequestDocument,
    kinds: &[&'static str],
) -> Result<()> {
    let bare = ReturnRequestDocument { comment: None, ..request.clone() };
    let personal = match request.comment.as_deref() {
        None => None,
        comment => Some(Json::of(&Words { comment })?),
    };
    let of = count(kinds.len());
    let event = |((place, kind), id): ((i64, &&'static str), &EventId)| -> Result<NewEvent> {
        let payload = Payload { data: Json::of(&bare)?, personal: personal.clone() };
        Ok(orders::event(order, (place, of), *id, kind, now, payload))
    };
    let all: Result<Vec<NewEvent>> = (1..).zip(kinds).zip(fresh).map(event).collect();
    let all = all?;
    if all.len() != kinds.len() {
        return Err(Error::internal("too few ids for the events of a return request"));
    }
    events::append(tx, actor, now, all)
}

/// What tells once more of a request that is open, and stands where it stood.
pub(super) const fn told(state: RequestState) -> &'static str {
    match state {
        RequestState::Approved => APPROVED,
        RequestState::InTransit => IN_TRANSIT,
        RequestState::Received => ARRIVED,
        RequestState::Inspected => INSPECTED,
        _ => REQUESTED,
    }
}

/// Locks the order of a request that the actor may see, and reads both.
pub(super) fn start(tx: &mut Tx, actor: &Actor, id: ReturnRequestId) -> Result<(OrderDocument, ReturnRequestDocument)> {
    let missing = || Error::not_found("return request");
    let known = get(tx, id)?.filter(|one| one.is_visible_to(actor)).ok_or_else(missing)?;
    let order = orders::lock(tx, known.order_id)?;
    // Read under the lock: what is decided on it stays true.
    Ok((order, get(tx, id)?.ok_or_else(missing)?))
}

/// Writes a request that has gone on, with what that moves on the order, and tells of it.
pub(super) fn save(
    tx: &mut Tx,
    by: By<'_>,
    fresh: &[EventId],
    (order, request): (&mut OrderDocument, &ReturnRequestDocument),
    (moves, kind): (&[LineMove], &'static str),
) -> Result<()> {
    orders::save(tx, by.0, order, moves, 1)?;
    if !store::update(tx, request)? {
        return Err(Error::overtaken("the return request"));
    }
    tell(tx, by, fresh, order, request, &[kind])
}

/// What lets go of the pieces that a request keeps.
pub(super) fn let_go(request: &mut ReturnRequestDocument) -> Vec<LineMove> {
    let lines = request.lines.iter_mut().filter(|line| line.kept > 0);
    let moves = lines.map(|line| LineMove {
        line_no: line.line_no,
        coming_back: -std::mem::take(&mut line.kept),
        ..LineMove::default()
    });
    moves.collect()
}

/// Approves or rejects a request.
///
/// # Errors
/// `not_found`; `state_conflict`, also where goods of the order have come, and for what carries out a withdrawal.
pub(super) fn decide(
    tx: &mut Tx,
    by: By<'_>,
    fresh: &[EventId],
    id: ReturnRequestId,
    (approve, reason): (bool, Option<&str>),
) -> Result<ReturnRequestDocument> {
    let known = start(tx, by.1, id)?;
    let (mut order, mut request) = advances::caught_up(tx, by, fresh, known)?;
    let command = if approve { RequestCommand::Approve } else { RequestCommand::Reject };
    if !approve {
        stands(&request)?;
    }
    request.advance(command, by.0)?;
    request.expires_at = None;
    request.decision = Some(Decision { by: by.1.label(), at: by.0, reason: reason.map(ToOwned::to_owned) });
    let moves = if approve { Vec::new() } else { let_go(&mut request) };
    if !approve {
        advances::withdrawn(tx, by, fresh, &mut request)?;
    }
    if approve {
        let days = policy_of(tx, request.channel_id)?.policy.expires_days;
        request.expires_at = Some(by.0.plus_seconds(days * 86_400));
    }
    let kind = if approve { APPROVED } else { REJECTED };
    save(tx, by, fresh, (&mut order, &request), (&moves, kind))?;
    Ok(request)
}

/// Nothing ends what carries out a withdrawal but that it is settled.
fn stands(request: &ReturnRequestDocument) -> Result<()> {
    match request.withdrawal_id {
        Some(_) => Err(Error::conflict("it carries out a withdrawal, which stands once it is confirmed")),
        None => Ok(()),
    }
}

/// Takes a request back before anything of it came; where only other goods have, these are another's.
///
/// # Errors
/// `not_found`; `state_conflict`, also for what carries out a withdrawal, which can not be taken back.
pub(super) fn cancel(tx: &mut Tx, by: By<'_>, fresh: &[EventId], id: ReturnRequestId) -> Result<ReturnRequestDocument> {
    let known = start(tx, by.1, id)?;
    let (mut order, mut request) = advances::caught_up(tx, by, fresh, known)?;
    stands(&request)?;
    end(tx, by, fresh, (&mut order, &mut request), RequestCommand::Cancel)?;
    Ok(request)
}

/// Ends a request of a locked order by which pieces were kept.
pub(super) fn end(
    tx: &mut Tx,
    by: By<'_>,
    fresh: &[EventId],
    (order, request): (&mut OrderDocument, &mut ReturnRequestDocument),
    command: RequestCommand,
) -> Result<()> {
    request.advance(command, by.0)?;
    request.expires_at = None;
    let moves = let_go(request);
    advances::withdrawn(tx, by, fresh, request)?;
    let kind = if command == RequestCommand::Expire { EXPIRED } else { CANCELLED };
    save(tx, by, fresh, (order, request), (&moves, kind))
}

/// Ends a request in which nothing came in time. Nothing happens where it has gone on meanwhile.
pub(super) fn expire(tx: &mut Tx, now: Instant, fresh: &[EventId], id: ReturnRequestId) -> Result<()> {
    let actor = Actor::System("returns");
    let known = start(tx, &actor, id)?;
    let (mut order, mut request) = advances::caught_up(tx, (now, &actor), fresh, known)?;
    if request.expires_at.is_none_or(|at| at > now) || request.state.apply(RequestCommand::Expire).is_err() {
        return Ok(());
    }
    end(tx, (now, &actor), fresh, (&mut order, &mut request), RequestCommand::Expire)
}

/// Up to so many requests that are over.
pub(super) fn over(tx: &mut Tx, now: Instant, limit: i64) -> Result<Vec<ReturnRequestId>> {
    store::over(tx, now, limit)
}

/// Notes the parcel that brings the goods. It is not over before the policy's period has passed once more.
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn track(
    tx: &mut Tx,
    by: By<'_>,
    fresh: &[EventId],
    id: ReturnRequestId,
    parcel: &ReturnParcel,
) -> Result<ReturnRequestDocument> {
    let (mut order, mut request) = start(tx, by.1, id)?;
    request.advance(RequestCommand::Track, by.0)?;
    request.parcel = Some(parcel.clone());
    if request.expires_at.is_some() {
        let days = policy_of(tx, request.channel_id)?.policy.expires_days;
        request.expires_at = Some(by.0.plus_seconds(days * 86_400));
    }
    save(tx, by, fresh, (&mut order, &request), (&[], IN_TRANSIT))?;
    Ok(request)
}

/// Notes the order that was placed in exchange for a request that was settled so: the same customer's, of the same channel, not placed
/// before the request. Its price, and what of it the credit does not pay, is what its checkout has made.
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn exchanged(
    tx: &mut Tx,
    by: By<'_>,
    fresh: &[EventId],
    id: ReturnRequestId,
    placed: &str,
) -> Result<ReturnRequestDocument> {
    let new = orders::resolve(tx, by.1, placed).map_err(|error| error.at("/order"))?;
    let new = orders::document(tx, new)?.ok_or_else(|| Error::not_found("order").at("/order"))?;
    let (mut order, mut request) = start(tx, by.1, id)?;
    let by_guest = order.customer_id.is_none();
    let fits = (new.channel_id, new.customer_id) == (order.channel_id, order.customer_id)
        && (!by_guest || (new.email.is_some() && new.email == order.email))
        && new.id != order.id
        && new.placed_at >= request.requested_at;
    if !fits {
        let detail =
            "expected an order of the same customer and channel that was placed since the return was asked for";
        return Err(Error::conflict(detail).at("/order"));
    }
    let open =
        request.settlement.as_mut().filter(|one| one.wish == ReturnWish::Exchange && one.exchange_order_id.is_none());
    let Some(settlement) = open else {
        return Err(Error::conflict("only a return that was settled as an exchange takes its order, once"));
    };
    settlement.exchange_order_id = Some(new.id);
    (request.version, request.updated_at) = (request.version + 1, by.0);
    save(tx, by, fresh, (&mut order, &request), (&[], EXCHANGED))?;
    Ok(request)
}

/// A request that the actor may see.
///
/// # Errors
/// `not_found`.
pub(super) fn read(tx: &mut Tx, actor: &Actor, id: ReturnRequestId) -> Result<ReturnRequestDocument> {
    get(tx, id)?.filter(|one| one.is_visible_to(actor)).ok_or_else(|| Error::not_found("return request"))
}

/// The requests of an order, the oldest first.
///
/// # Errors
/// What the database says.
pub fn of_order(tx: &mut Tx, order: OrderId) -> Result<Vec<ReturnRequestDocument>> {
    store::of_order(tx, order)
}

/// The requests of orders behind one of them, in the order of their ids.
///
/// # Errors
/// What the database says.
pub fn of_orders(
    tx: &mut Tx,
    orders: &[OrderId],
    after: Option<ReturnRequestId>,
    limit: i64,
) -> Result<Vec<ReturnRequestDocument>> {
    store::of_orders(tx, orders, after, limit)
}

/// Up to so many requests that somebody may mean with a number, an id, or the tracking number of their parcel, of those that the actor sees.
///
/// # Errors
/// What the database says.
pub fn quoted(tx: &mut Tx, actor: &Actor, text: &str, limit: i64) -> Result<Vec<ReturnRequestDocument>> {
    let mut found = store::quoted(tx, actor, text, limit)?;
    if let Ok(id) = text.parse() {
        found.extend(store::get(tx, id)?);
    }
    found.retain(|one| one.is_visible_to(actor));
    Ok(found)
}

/// Up to so many requests of orders that are not over, the newest first: one statement.
///
/// # Errors
/// What the database says.
pub fn underway_of(tx: &mut Tx, orders: &[OrderId], limit: i64) -> Result<Vec<ReturnRequestDocument>> {
    store::underway_of(tx, orders, limit)
}

/// The requests that wait for somebody: to be decided on, to be looked at, to be settled; the oldest first.
///
/// # Errors
/// What the database says.
pub fn waiting(tx: &mut Tx, actor: &Actor, limit: i64) -> Result<Vec<Waiting>> {
    let mut found = Vec::new();
    for (state, what) in [
        (RequestState::Requested, "approve or reject it"),
        (RequestState::Received, "look at what has come"),
        (RequestState::Inspected, "settle it with the customer"),
    ] {
        let own = store::oldest(tx, actor, state, limit)?.into_iter().filter(|one| one.is_visible_to(actor));
        found.extend(own.map(|one| Waiting {
            id: one.id.to_string(),
            since: one.state_since,
            subject: format!("return {} of order {}: {what}", one.number, one.order_number),
            link: format!("/v1/ops/return-requests/{}", one.id),
        }));
    }
    Ok(found)
}

/// Takes what customers have written out of the requests of orders. What their events say of it is the caller's to erase.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, orders: &[OrderId]) -> Result<()> {
    store::forget_words(tx, orders)
}

/// The customer whose store credit what is given back goes to.
///
/// # Errors
/// `state_conflict` where the order is a guest's.
pub(super) fn creditor(order: &OrderDocument) -> Result<CustomerId> {
    let guest = || Error::conflict("store credit is a customer's, and the order is a guest's: refund it");
    order.customer_id.ok_or_else(guest)
}

/// Nothing, in the currency of an order.
pub(super) const fn nothing(order: &OrderDocument) -> Money {
    Money::zero(order.currency)
}
