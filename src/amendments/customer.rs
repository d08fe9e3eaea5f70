//! What customers change about their orders themselves: for some time after they have ordered, as long as nothing is picked.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};

use super::{
    confirm::{How, Ids},
    model::{AmendmentCommand, BY_CUSTOMER, CUSTOMER, Edit},
    second::Second,
    service::{self, Made, New},
    store,
};
use crate::{
    carts::Context,
    channels::{Channel, Directory},
    customers::Address,
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{self, Cancellation, Pieces},
    http::{Body, Call, Mount, Params, RefPath, Reply},
    kernel::{
        Id, Instant,
        ids::{AmendmentId, OrderId},
        text::Note,
    },
    orders::{self, OrderDocument, OrderLinks, holds::OrderHoldKind},
};

/// Whether an order can be changed by its customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OrderChanges {
    /// Whether it can now: some of its lines taken off, another address.
    pub allowed: bool,
    /// Until when; absent where the shop lets nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    /// Why not: `not_offered`, `too_late`, `in_progress`, `finished`; `not_now` where the shop is busy with it: it may be possible again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "too_late")]
    pub reason: Option<&'static str>,
}

/// Whether it can be changed: the shop has a time for it that is not over, nobody has begun to pick, it still moves, and the shop has
/// neither held it nor is changing it. Which of these is not told.
fn standing(tx: &mut Tx, now: Instant, channel: &Channel, order: &OrderDocument) -> Result<OrderChanges> {
    let begun = fulfilment::begun(tx, order.id)?.anything;
    let busy = order.free_for(orders::Command::Cancel, &[], Some(now)).is_err() || store::is_open(tx, now, order.id)?;
    let minutes = channel.settings.order_changes_minutes;
    let until = minutes.map(|minutes| order.placed_at.plus_seconds(60 * minutes));
    let reason = match until {
        None => Some("not_offered"),
        Some(_) if order.state != orders::OrderState::Placed => Some("finished"),
        Some(until) if until <= now => Some("too_late"),
        Some(_) if begun => Some("in_progress"),
        Some(_) if busy => Some("not_now"),
        Some(_) => None,
    };
    Ok(OrderChanges { allowed: reason.is_none(), until: until.filter(|_| reason.is_none()), reason })
}

/// See whether one can change an order oneself
///
/// For the time that the shop gives (`order_changes_minutes` of the channel), until somebody begins to pick it.
#[utoipa::path(tag = "my orders", params(("id" = inline(OrderId), Path), orders::api::OwnOrderQuery),
    responses((status = 200, body = OrderChanges)))]
#[get("/orders/{id}/changes")]
async fn read_own_changes(
    call: Call,
    path: RefPath<OrderId>,
    query: Params<orders::api::OwnOrderQuery>,
) -> Result<Reply> {
    let order = orders::api::visible(&call, path.0, query.0.token).await?;
    let channel = call.snapshot::<Directory>().await?.get(order.channel_id)?.clone();
    let now = call.now;
    // What a shopper sees of it is without its holds.
    let found = call.read(move |tx| {
        let whole = orders::document(tx, order.id)?.ok_or_else(|| Error::not_found("order"))?;
        standing(tx, now, &channel, &whole)
    });
    Reply::ok(&found.await?)
}

/// What a customer wants to be different.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"cancel": [{"line_no": 1, "quantity": 1}], "reason": "one is enough"}))]
pub struct OrderChangeRequest {
    /// Which pieces they do not want; all of the order where these are all.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub cancel: Vec<Pieces>,
    /// Where to, in the same country.
    pub address: Option<Address>,
    /// Why.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
}

/// Change one's order
///
/// Takes pieces off or sends it elsewhere, in one go. What was paid for what is taken off goes back. Refused (`state_conflict`) when the shop's
/// time for it is over or somebody has begun to pick; another address also while somebody looks at the order.
#[utoipa::path(tag = "my orders", params(("id" = inline(OrderId), Path), orders::api::OwnOrderQuery), request_body = OrderChangeRequest,
    responses((status = 200, body = OrderDocument)))]
#[post("/orders/{id}/changes")]
async fn change_own_order(
    call: Call,
    path: RefPath<OrderId>,
    query: Params<orders::api::OwnOrderQuery>,
    body: Body<OrderChangeRequest>,
) -> Result<Reply> {
    if body.cancel.is_empty() && body.address.is_none() {
        return Err(Error::invalid("/cancel", "say what is to be different"));
    }
    if body.cancel.len() > 50 {
        return Err(Error::invalid("/cancel", "expected at most 50 lines"));
    }
    // Before anything is looked at: a key that is none is refused, whatever it is sent with.
    call.idempotency_key(&body.fingerprint)?;
    let seen = orders::api::visible(&call, path.0, query.0.token).await?;
    let context = Context::of(&call.state, seen.channel_id, call.now).await?;
    let links = OrderLinks::of(&context.channel, &call.state.secret);
    let (id, wanted, ids, new) = (seen.id, body.value.clone(), Ids::new(), AmendmentId::new());
    call.command(&body.fingerprint, move |tx| {
        let order = change(tx, &context, (id, new), &ids, &wanted).map_err(orders::holds::untold)?;
        let version = order.version;
        Ok(Reply::ok(&order.for_shopper(&links, context.now))?.version(version))
    })
    .await
}

/// Makes the change: by the same machinery as staff do, on the order as it is under its lock.
fn change(
    tx: &mut Tx,
    context: &Context,
    (id, new): (OrderId, AmendmentId),
    ids: &Ids,
    wanted: &OrderChangeRequest,
) -> Result<OrderDocument> {
    let order = orders::lock(tx, id)?;
    let standing = standing(tx, context.now, &context.channel, &order)?;
    if let Some(reason) = standing.reason {
        return Err(Error::conflict("the order is not changed by its customer now").with("reason", reason));
    }
    if wanted.address.is_some() {
        address_is_free(context.now, &order)?;
    }
    within_open(&order, &wanted.cancel)?;
    // What they have written stays in the amendment, which is erased with them; events and refunds tell it of nobody.
    let words = wanted.reason.as_ref().map(ToString::to_string);
    let new = New { id: new, reason: words.or_else(|| Some(BY_CUSTOMER.to_owned())), minutes: 1 };
    if all_gone(&order, &wanted.cancel) {
        return all_off(tx, context, ids, (id, &new));
    }
    let begun = service::begin(tx, context, &CUSTOMER, id, &new)?;
    let edits = edits(&order, wanted)?;
    let edited = service::edit(tx, context, &CUSTOMER, (id, begun.id, ids.ended), &edits)?;
    // Nobody has to approve what customers may.
    let second = Second::Ask((Id::new(), Id::new()));
    let how = How { expected: edited.order_version, second: &second, ask: None };
    match service::confirm(tx, context, &CUSTOMER, ids, (id, begun.id), &how)? {
        Made::Done(order, ..) => Ok(*order),
        Made::Waits(_) => Err(Error::internal("what a customer changes waits for a second person")),
    }
}

/// Cancels all of it; the amendment keeps why.
fn all_off(tx: &mut Tx, context: &Context, ids: &Ids, (id, new): (OrderId, &New)) -> Result<OrderDocument> {
    let now = context.now;
    service::begin(tx, context, &CUSTOMER, id, new)?;
    let mut one = service::open(tx, now, id, new.id, AmendmentCommand::Confirm)?;
    let seen = one.version;
    (one.state, one.version, one.ended_at) = (one.state.apply(AmendmentCommand::Confirm)?, seen + 1, Some(now));
    if !store::save(tx, now, &one, seen)? {
        return Err(Error::stale("amendment", seen));
    }
    let what = Cancellation { reason: BY_CUSTOMER.to_owned(), ..Cancellation::default() };
    fulfilment::cancel(tx, now, &CUSTOMER, &ids.cancel, id, &what)
}

/// That nobody is looking at where it goes: what was found of the address would be of another then.
fn address_is_free(now: Instant, order: &OrderDocument) -> Result<()> {
    let about = [OrderHoldKind::Risk, OrderHoldKind::Address];
    let live = order.holds.iter().filter(|hold| about.contains(&hold.block.kind) && hold.block.holds_at(now));
    match live.count() {
        0 => Ok(()),
        // Not for what: that is staff's.
        _ => Err(Error::conflict("the order is being looked at: its address stays for now")
            .at("/address")
            .with("reason", "held")),
    }
}

/// That no more is taken off a line than is left of it, however often it is named.
fn within_open(order: &OrderDocument, cancel: &[Pieces]) -> Result<()> {
    for (place, piece) in cancel.iter().enumerate() {
        let line = order.line(piece.line_no).map_err(|error| error.at(format!("/cancel/{place}/line_no")))?;
        let left = line.quantities.open();
        let so_far = cancel.iter().take(place + 1).filter(|one| one.line_no == piece.line_no);
        if so_far.fold(0i64, |sum, one| sum.saturating_add(one.quantity.get())) > left {
            let error =
                Error::problem(Code::QuantityExceeded, format!("only {left} of line {} are left", piece.line_no));
            return Err(error.at(format!("/cancel/{place}/quantity")).with("left", left));
        }
    }
    Ok(())
}

/// Whether nothing would be left of it.
fn all_gone(order: &OrderDocument, cancel: &[Pieces]) -> bool {
    let taken = |line_no: i32| -> i64 {
        cancel.iter().filter(|piece| piece.line_no == line_no).map(|piece| piece.quantity.get()).sum()
    };
    order.lines.iter().all(|line| line.quantities.open() <= taken(line.line_no))
}

/// The same as edits of an amendment.
fn edits(order: &OrderDocument, wanted: &OrderChangeRequest) -> Result<Vec<Edit>> {
    let mut edits = Vec::with_capacity(wanted.cancel.len() + 1);
    for (place, piece) in wanted.cancel.iter().enumerate() {
        let line = order.line(piece.line_no)?;
        let left = line.quantities.open() - piece.quantity.get();
        let too_many = || Error::problem(Code::QuantityExceeded, "the line has fewer pieces");
        match crate::kernel::Quantity::new(left) {
            Ok(_) if left == 0 => edits.push(Edit::RemoveLine { line_no: piece.line_no }),
            Ok(quantity) => edits.push(Edit::SetQuantity { line_no: piece.line_no, quantity }),
            Err(_) => {
                return Err(too_many().at(format!("/cancel/{place}/quantity")).with("left", line.quantities.open()));
            }
        }
    }
    if let Some(address) = &wanted.address {
        edits.push(Edit::SetAddress { delivery: None, address: address.clone() });
    }
    Ok(edits)
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(read_own_changes).service(change_own_order);
}
