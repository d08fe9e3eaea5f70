//! Working an amendment out: begin, edit, look, give up. Each locks the order first, as everything does that is done with it.

use serde::Serialize;

use super::{
    confirm, look,
    making::Making,
    model::{Amendment, AmendmentCommand, AmendmentState, Edit, Kept, MadeEdit, Op, Preview},
    plan::Plan,
    priced, promoted, store,
};
use crate::{
    carts::Context,
    countersign::{self, CountersignRequest},
    db::Tx,
    error::{Error, Result, on_duplicate},
    events::EventSchema,
    fulfilment::{self, requests::RequestLink},
    invoices,
    kernel::{
        Actor, Instant,
        ids::{AmendmentId, EventId, OrderId},
    },
    orders::{self, OrderDocument},
};

/// The type of the event that an order was amended.
pub(super) const AMENDED: &str = "order.amended.v1";

/// The most edits that one amendment has.
const MOST_EDITS: usize = 100;

/// An edit as it was made.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = AmendmentEditMade)]
pub struct EditView {
    /// What is to be different.
    pub edit: Edit,
    /// Who has made it.
    pub by: String,
    /// When: what it adds is priced as of then.
    pub at: Instant,
}

/// An amendment as the API shows it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AmendmentView {
    /// Its id.
    pub id: AmendmentId,
    /// The order that it changes.
    pub order_id: OrderId,
    /// Where it stands.
    pub state: AmendmentState,
    /// The version of the order that it was looked at with: it is confirmed on no other.
    pub order_version: i64,
    /// Rises with every change.
    pub version: i64,
    /// Who has opened it.
    pub opened_by: String,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when.
    pub created_at: Instant,
    /// Until when it can be confirmed.
    pub expires_at: Instant,
    /// Who has approved it, where it gives more away than one person may alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// When it was confirmed or given up, or its time was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Instant>,
    /// What it changes, in the order in which it was said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<EditView>,
    /// What it would do, or what it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
}

/// What `order.amended.v1` says: the order as it is now, whole, and what has made it so, without what is personal in it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OrderAmended)]
pub(super) struct Told<'a> {
    #[serde(flatten)]
    pub order: &'a OrderDocument,
    /// What was changed.
    pub amendment: &'a AmendmentView,
}

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    vec![EventSchema::of::<Told<'_>>(AMENDED), super::split::event_schema()]
}

/// How an amendment is shown.
pub(super) fn view(one: &Amendment, now: Instant, preview: Option<Preview>) -> AmendmentView {
    let edit = |made: &MadeEdit| EditView { edit: made.edit.clone(), by: made.by.clone(), at: made.at };
    AmendmentView {
        id: one.id,
        order_id: one.order_id,
        state: one.state_at(now),
        order_version: one.order_version,
        version: one.version,
        opened_by: one.opened_by.clone(),
        reason: one.kept.reason.clone(),
        created_at: one.created_at,
        expires_at: one.expires_at,
        approved_by: one.kept.approved_by.clone(),
        ended_at: one.ended_at,
        edits: one.kept.edits.iter().map(edit).collect(),
        preview: one.kept.result.clone().or(preview),
    }
}

/// How it is told of in events: its edits may name addresses.
pub(super) fn told(one: &Amendment, now: Instant) -> AmendmentView {
    AmendmentView { edits: Vec::new(), reason: one.told_reason(), ..view(one, now, None) }
}

/// An amendment about to be opened.
#[derive(Debug, Clone)]
pub(super) struct New {
    pub id: AmendmentId,
    pub reason: Option<String>,
    pub minutes: i64,
}

/// Opens an amendment of an order. An order has one at most: of two at once one is refused.
///
/// # Errors
/// `not_found`; `state_conflict` where the order is finished, or has an open amendment.
pub(super) fn begin(tx: &mut Tx, context: &Context, actor: &Actor, id: OrderId, new: &New) -> Result<AmendmentView> {
    let now = context.now;
    let order = orders::lock(tx, id)?;
    if order.state != orders::OrderState::Placed {
        return Err(Error::conflict(format!("the order is {}: nothing of it is changed any more", order.state)));
    }
    store::expire(tx, now, id)?;
    let one = Amendment {
        id: new.id,
        order_id: id,
        state: AmendmentState::Open,
        order_version: order.version,
        version: 1,
        opened_by: actor.label(),
        created_at: now,
        expires_at: now.plus_seconds(60 * new.minutes),
        ended_at: None,
        kept: Kept { reason: new.reason.clone(), ..Kept::default() },
    };
    let taken = || Error::conflict("somebody is changing this order already: confirm that amendment or abandon it");
    on_duplicate(store::insert(tx, &one), taken)?;
    Ok(view(&one, now, Some(look::preview(tx, context, &order, &one)?)))
}

/// An open amendment of a locked order.
pub(super) fn open(
    tx: &mut Tx,
    now: Instant,
    order: OrderId,
    id: AmendmentId,
    command: AmendmentCommand,
) -> Result<Amendment> {
    let found = store::get(tx, order, id)?.ok_or_else(|| Error::not_found("amendment"))?;
    found.state_at(now).apply(command)?;
    Ok(found)
}

/// Writes an open amendment that has changed. What waits for a second person is not what is asked for any more: it is withdrawn.
fn save(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    event: EventId,
    (one, why): (&mut Amendment, &str),
) -> Result<()> {
    let seen = one.version;
    one.version += 1;
    if !store::save(tx, now, one, seen)? {
        return Err(Error::stale("amendment", seen));
    }
    countersign::withdraw_of(tx, (now, actor), event, (one.order_id, one.id, why))
}

/// Adds edits. What they add is priced now; all of it is looked at with the order as it is now.
///
/// # Errors
/// `not_found`; `quantity_invalid`, `invalid_value`, `state_conflict`, `line_unknown`, `quantity_exceeded`, `sku_unknown`, `price_missing`,
/// `shipping_method_unavailable`, `coupon_unknown`, `coupon_mistyped`,
/// `scope_missing`; each with the pointer to the edit.
pub(super) fn edit(
    tx: &mut Tx,
    context: &Context,
    actor: &Actor,
    (order, id, event): (OrderId, AmendmentId, EventId),
    edits: &[Edit],
) -> Result<AmendmentView> {
    let now = context.now;
    let order = orders::lock(tx, order)?;
    let mut one = open(tx, now, order.id, id, AmendmentCommand::Edit)?;
    if one.kept.edits.len() + edits.len() > MOST_EDITS {
        return Err(Error::invalid("/edits", format!("an amendment has at most {MOST_EDITS} edits")));
    }
    let begun = fulfilment::begun(tx, order.id)?;
    let unpicked = &begun.unpicked;
    for (place, edit) in edits.iter().enumerate() {
        let at = |error: Error| pointed(error, &format!("/edits/{place}"));
        edit.check().map_err(at)?;
        let again = quantity_again(&mut one.kept.edits, edit) || promoted::taken_back(&mut one.kept.edits, edit);
        let made = Making { context, actor, order: &order, begun: &begun, made: &one.kept.edits, again };
        let ops = made.ops(tx, edit).map_err(at)?;
        one.kept.edits.push(MadeEdit { edit: edit.clone(), ops, by: actor.label(), at: now });
        Plan::unpromoted(&one.kept.edits).check(&order, unpicked).map_err(at)?;
    }
    let first = one.kept.edits.len() - edits.len();
    ship_anew(tx, context, &order, &mut one.kept.edits)?;
    promoted::anew(tx, context, &order, (&mut one.kept.edits, first))?;
    one.order_version = order.version;
    save(tx, (now, actor), event, (&mut one, "its amendment was edited"))?;
    Ok(view(&one, now, Some(look::preview(tx, context, &order, &one)?)))
}

/// How many pieces a line is to have is said once: what an earlier edit said of it is forgotten when it is said again, or the line is taken
/// off or swapped. True where there was one.
fn quantity_again(made: &mut [MadeEdit], edit: &Edit) -> bool {
    let (Edit::SetQuantity { line_no, .. } | Edit::RemoveLine { line_no } | Edit::SwapLine { line_no, .. }) = edit
    else {
        return false;
    };
    let same = |one: &&mut MadeEdit| matches!(&one.edit, Edit::SetQuantity { line_no: of, .. } if of == line_no);
    let mut found = false;
    for one in made.iter_mut().filter(same) {
        found |= !one.ops.is_empty();
        one.ops.clear();
    }
    found
}

/// Prices the shipping that is charged once, of all that is left and is added, whatever was edited behind the method.
fn ship_anew(tx: &mut Tx, context: &Context, order: &OrderDocument, made: &mut [MadeEdit]) -> Result<()> {
    let plan = Plan::unpromoted(made);
    for op in made.iter_mut().flat_map(|one| &mut one.ops) {
        if let Op::Kept { delivery, method, given } = op {
            *given = priced::kept(tx, context, order, (&plan, *delivery, method))?;
        }
    }
    let method = plan.ways.values().find_map(|(method, _)| method.clone());
    let (Some(_), Some(method)) = (&plan.shipping, method) else { return Ok(()) };
    let priced = priced::shipping(tx, context, order, (&plan, &method)).map_err(|error| error.at("/edits"))?;
    for op in made.iter_mut().flat_map(|one| &mut one.ops) {
        if let Op::Shipping { totals } = op {
            **totals = priced.clone();
        }
    }
    Ok(())
}

/// A refusal with the place of the edit before where it points already.
fn pointed(error: Error, place: &str) -> Error {
    let own = match &error {
        Error::Problem(problem) => problem.pointer.clone().unwrap_or_default(),
        _ => String::new(),
    };
    error.at(format!("{place}{own}"))
}

/// Looks at an amendment on the order as it is now: from then on it is confirmed on this version.
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn preview(
    tx: &mut Tx,
    context: &Context,
    actor: &Actor,
    (order, id, event): (OrderId, AmendmentId, EventId),
) -> Result<AmendmentView> {
    let order = orders::lock(tx, order)?;
    let mut one = open(tx, context.now, order.id, id, AmendmentCommand::Preview)?;
    let seen = (one.order_version, one.kept.clone());
    let all = one.kept.edits.len();
    promoted::anew(tx, context, &order, (&mut one.kept.edits, all))?;
    one.order_version = order.version;
    if seen != (one.order_version, one.kept.clone()) {
        save(tx, (context.now, actor), event, (&mut one, "the order has changed"))?;
    }
    Ok(view(&one, context.now, Some(look::preview(tx, context, &order, &one)?)))
}

/// Makes the change.
///
/// # Errors
/// As [`confirm::confirm`].
pub(super) fn confirm(
    tx: &mut Tx,
    context: &Context,
    actor: &Actor,
    ids: &confirm::Ids,
    (order, id): (OrderId, AmendmentId),
    how: &confirm::How<'_>,
) -> Result<Made> {
    let now = context.now;
    let order = orders::lock(tx, order)?;
    let one = open(tx, now, order.id, id, AmendmentCommand::Confirm)?;
    how.second.is_for(&one)?;
    Ok(match confirm::confirm(tx, context, actor, ids, (order, one), how)? {
        confirm::Confirmed::Done(order, one, link) => Made::Done(order, Box::new(view(&one, now, None)), link),
        confirm::Confirmed::Waits(request) => Made::Waits(request),
    })
}

/// What came of an amendment that was to be made.
#[derive(Debug, Clone)]
pub(super) enum Made {
    /// The order as it is now, the amendment, and the link by which what is due more is paid.
    Done(Box<OrderDocument>, Box<AmendmentView>, Option<Box<RequestLink>>),
    /// Somebody else has to approve it first.
    Waits(Box<CountersignRequest>),
}

/// Gives it up.
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn abandon(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    (order, id, event): (OrderId, AmendmentId, EventId),
) -> Result<AmendmentView> {
    let order = orders::lock(tx, order)?;
    let mut one = open(tx, now, order.id, id, AmendmentCommand::Abandon)?;
    (one.state, one.ended_at) = (one.state.apply(AmendmentCommand::Abandon)?, Some(now));
    save(tx, (now, actor), event, (&mut one, "its amendment was given up"))?;
    Ok(view(&one, now, None))
}

/// One of an order's amendments, with what it would do now.
///
/// # Errors
/// `not_found`.
pub(super) fn read(tx: &mut Tx, context: &Context, order: OrderId, id: AmendmentId) -> Result<AmendmentView> {
    let one = store::get(tx, order, id)?.ok_or_else(|| Error::not_found("amendment"))?;
    let preview = match one.state_at(context.now) {
        AmendmentState::Open => {
            let order = orders::document(tx, order)?.ok_or_else(|| Error::not_found("order"))?;
            Some(look::preview(tx, context, &order, &one)?)
        }
        _ => None,
    };
    Ok(view(&one, context.now, preview))
}

/// An order's amendments, the oldest first: its history of changes.
///
/// # Errors
/// What the database says.
pub(super) fn page(
    tx: &mut Tx,
    now: Instant,
    order: OrderId,
    after: Option<(i64, AmendmentId)>,
    limit: i64,
) -> Result<Vec<AmendmentView>> {
    let after = after.map(|(at, id)| (Instant::from_micros(at), id));
    Ok(store::of_order(tx, order, after, limit)?.iter().map(|one| view(one, now, None)).collect())
}

/// That no price is changed of what is invoiced.
///
/// # Errors
/// `state_conflict`.
pub(super) fn uninvoiced(tx: &mut Tx, order: &OrderDocument, plan: &Plan) -> Result<()> {
    if plan.reprice.is_empty() && plan.shipping.is_none() {
        return Ok(());
    }
    let invoiced = invoices::invoiced(tx, order.id)?;
    if let Some(one) = plan.reprice.iter().find(|one| invoiced.lines.contains(&one.line_no)) {
        return Err(invoiced_already(one.line_no));
    }
    match plan.shipping.is_some() && invoiced.shipping {
        true => Err(Error::conflict("shipping is invoiced by now: say the method again with `keep_price`")),
        false => Ok(()),
    }
}

/// That a line is invoiced, and what can be done.
pub(super) fn invoiced_already(line_no: i32) -> Error {
    let detail = format!(
        "line {line_no} is invoiced: swap it for the same article at the other price, so that a credit note and an invoice tell of it"
    );
    Error::conflict(detail).with("line_no", line_no)
}

/// The amendments of orders behind one of them, in the order of their ids, without who of the staff has made them: for who gets everything that
/// is kept of them.
///
/// # Errors
/// What the database says.
pub fn of_orders(
    tx: &mut Tx,
    now: Instant,
    orders: &[OrderId],
    after: Option<AmendmentId>,
    limit: i64,
) -> Result<Vec<AmendmentView>> {
    let found = store::of_orders_after(tx, orders, after, limit)?;
    let shown = |one: &Amendment| {
        let mut shown = view(one, now, None);
        shown.opened_by.clear();
        shown.approved_by = None;
        shown.edits.iter_mut().for_each(|edit| edit.by.clear());
        shown
    };
    Ok(found.iter().map(shown).collect())
}

/// Takes what is personal out of the amendments of orders: addresses that something was to go to, and what was said.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, orders: &[OrderId]) -> Result<()> {
    for one in store::of_orders(tx, orders)? {
        let mut kept = one.kept.clone();
        kept.edits.retain(|made| !matches!(made.edit, Edit::SetAddress { .. } | Edit::Note { .. }));
        kept.reason = None;
        kept.edits.iter_mut().for_each(|made| made.edit.forget_words());
        if kept != one.kept {
            store::forget(tx, one.id, &kept)?;
        }
    }
    Ok(())
}
