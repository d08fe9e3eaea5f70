//! Working an amendment out: begin, edit, look, give up. Each locks the order first, as everything does that is done with it.

use serde::Serialize;

use super::{
    confirm, look,
    model::{Amendment, AmendmentCommand, AmendmentState, Edit, Kept, MadeEdit, Op, Plan, Preview},
    priced::{self, Wanted},
    second::Second,
    store,
};
use crate::{
    carts::Context,
    countersign::CountersignRequest,
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    events::EventSchema,
    fulfilment, invoices,
    kernel::{
        Actor, Instant, PricePer, Quantity, Scope, UnitPrice,
        ids::{AmendmentId, OrderId},
    },
    orders::{self, OrderDocument, OrderLine},
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

/// Writes an open amendment that has changed.
fn save(tx: &mut Tx, now: Instant, one: &mut Amendment) -> Result<()> {
    let seen = one.version;
    one.version += 1;
    match store::save(tx, now, one, seen)? {
        true => Ok(()),
        false => Err(Error::stale("amendment", seen)),
    }
}

/// Adds edits. What they add is priced now; all of it is looked at with the order as it is now.
///
/// # Errors
/// `not_found`; `quantity_invalid`, `invalid_value`, `state_conflict`, `line_unknown`, `quantity_exceeded`, `sku_unknown`, `price_missing`,
/// `shipping_method_unavailable`,
/// `scope_missing`; each with the pointer to the edit.
pub(super) fn edit(
    tx: &mut Tx,
    context: &Context,
    actor: &Actor,
    (order, id): (OrderId, AmendmentId),
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
        let again = quantity_again(&mut one.kept.edits, edit);
        let made = Making { context, actor, order: &order, begun: &begun, made: &one.kept.edits, again };
        let ops = made.ops(tx, edit).map_err(at)?;
        one.kept.edits.push(MadeEdit { edit: edit.clone(), ops, by: actor.label(), at: now });
        Plan::of(&one.kept.edits).check(&order, unpicked).map_err(at)?;
    }
    ship_anew(tx, context, &order, &mut one.kept.edits)?;
    one.order_version = order.version;
    save(tx, now, &mut one)?;
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
    let plan = Plan::of(made);
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
pub(super) fn preview(tx: &mut Tx, context: &Context, order: OrderId, id: AmendmentId) -> Result<AmendmentView> {
    let order = orders::lock(tx, order)?;
    let mut one = open(tx, context.now, order.id, id, AmendmentCommand::Preview)?;
    if one.order_version != order.version {
        one.order_version = order.version;
        save(tx, context.now, &mut one)?;
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
    (order, id, expected): (OrderId, AmendmentId, i64),
    second: &Second,
) -> Result<Made> {
    let now = context.now;
    let order = orders::lock(tx, order)?;
    let one = open(tx, now, order.id, id, AmendmentCommand::Confirm)?;
    second.is_for(&one)?;
    Ok(match confirm::confirm(tx, context, actor, ids, (order, one), (expected, second))? {
        confirm::Confirmed::Done(order, one) => Made::Done(order, Box::new(view(&one, now, None))),
        confirm::Confirmed::Waits(request) => Made::Waits(request),
    })
}

/// What came of an amendment that was to be made.
#[derive(Debug, Clone)]
pub(super) enum Made {
    /// The order as it is now, and the amendment.
    Done(Box<OrderDocument>, Box<AmendmentView>),
    /// Somebody else has to approve it first.
    Waits(Box<CountersignRequest>),
}

/// Gives it up.
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn abandon(tx: &mut Tx, now: Instant, order: OrderId, id: AmendmentId) -> Result<AmendmentView> {
    let order = orders::lock(tx, order)?;
    let mut one = open(tx, now, order.id, id, AmendmentCommand::Abandon)?;
    (one.state, one.ended_at) = (one.state.apply(AmendmentCommand::Abandon)?, Some(now));
    save(tx, now, &mut one)?;
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

fn invoiced_already(line_no: i32) -> Error {
    let detail = format!(
        "line {line_no} is invoiced: swap it for the same article at the other price, so that a credit note and an invoice tell of it"
    );
    Error::conflict(detail).with("line_no", line_no)
}

/// What an edit does, of an order on which others have been made before it.
struct Making<'a> {
    context: &'a Context,
    actor: &'a Actor,
    order: &'a OrderDocument,
    begun: &'a fulfilment::Begun,
    made: &'a [MadeEdit],
    /// Whether the edit takes the place of an earlier one.
    again: bool,
}

impl Making<'_> {
    fn ops(&self, tx: &mut Tx, edit: &Edit) -> Result<Vec<Op>> {
        match edit {
            Edit::AddLine { sku, quantity, delivery, unit_price, reason } => {
                let delivery = self.delivery(delivery.as_deref())?;
                let agreed = self.agreed(*unit_price, reason.as_deref())?;
                let wanted = Wanted { sku, quantity: *quantity, agreed, why: reason.as_deref() };
                Ok(vec![self.add(tx, delivery, &wanted)?])
            }
            Edit::RemoveLine { line_no } => match self.is_added(*line_no) {
                true => Ok(vec![Op::Drop { line_no: *line_no }]),
                false => Ok(vec![self.cancel_all(*line_no)?]),
            },
            Edit::SetQuantity { line_no, quantity } => self.set_quantity(tx, *line_no, *quantity),
            Edit::SwapLine { line_no, sku, quantity, unit_price, reason } => {
                let agreed = self.agreed(*unit_price, reason.as_deref())?;
                let wanted =
                    Wanted { sku, quantity: quantity.unwrap_or(Quantity::ZERO), agreed, why: reason.as_deref() };
                self.swap(tx, *line_no, &wanted, quantity.is_some())
            }
            Edit::SetPrice { line_no, unit_price, reason } => self.set_price(tx, *line_no, *unit_price, reason),
            Edit::SetAddress { delivery, address } => {
                let delivery = self.delivery(delivery.as_deref())?;
                Ok(vec![Op::Way { delivery, method: None, address: Some(Box::new(address.clone())) }])
            }
            Edit::SetShippingMethod { delivery, method, keep_price } => {
                let delivery = self.delivery(delivery.as_deref())?;
                self.set_method(tx, delivery, method, *keep_price)
            }
            Edit::Note { .. } => Ok(Vec::new()),
        }
    }

    fn plan(&self) -> Plan {
        Plan::of(self.made)
    }

    fn is_added(&self, line_no: i32) -> bool {
        self.plan().add.iter().any(|line| line.line_no == line_no)
    }

    /// A line of the order that can be edited.
    fn line(&self, line_no: i32) -> Result<&OrderLine> {
        if self.is_added(line_no) {
            let detail = format!("line {line_no} is added by this amendment: remove it and add it anew");
            return Err(Error::conflict(detail).at("/line_no"));
        }
        let line = self.order.line(line_no).map_err(|error| error.at("/line_no"))?;
        match &line.bundle {
            None => Ok(line),
            Some(bundle) => {
                let detail = format!("line {line_no} is a part of the bundle {}: cancel bundles whole", bundle.line_no);
                Err(Error::conflict(detail).at("/line_no"))
            }
        }
    }

    /// How many of a line's pieces are neither cancelled nor would be.
    fn kept(&self, line: &OrderLine) -> i64 {
        let taken = self.plan().cancel.get(&line.line_no).copied().unwrap_or_default();
        line.quantities.quantity - line.quantities.cancelled - taken
    }

    /// The place of a delivery by its key.
    fn delivery(&self, key: Option<&str>) -> Result<usize> {
        let Some(key) = key else { return Ok(0) };
        let found = self.order.deliveries.iter().position(|one| one.key.as_deref() == Some(key));
        found.ok_or_else(|| Error::not_found("delivery of the order").at("/delivery"))
    }

    /// Another article in the place of what of a line nobody has picked: in each delivery as much as is taken off there.
    fn swap(&self, tx: &mut Tx, line_no: i32, wanted: &Wanted<'_>, said: bool) -> Result<Vec<Op>> {
        let cancel = self.cancel_all(line_no)?;
        let Op::Cancel { quantity: taken, .. } = &cancel else { return Ok(Vec::new()) };
        let own = self.begun.by_delivery.iter().filter(|((of, _), left)| *of == line_no && **left > 0);
        let parts: Vec<(usize, i64)> = own.map(|((_, delivery), left)| (*delivery, *left)).collect();
        if parts.len() < 2 {
            let delivery = parts.first().map_or_else(|| self.delivery_of(line_no), |(delivery, _)| *delivery);
            let quantity = if said { wanted.quantity } else { Quantity::new(*taken).map_err(Error::internal)? };
            let add = self.add(tx, delivery, &Wanted { quantity, ..*wanted })?;
            return Ok(vec![cancel, add]);
        }
        if said {
            let detail =
                "the line is of several deliveries: leave it out, and as many are added to each as are taken off";
            return Err(Error::invalid("/quantity", detail));
        }
        if parts.iter().map(|(_, left)| left).sum::<i64>() != *taken {
            let detail = format!(
                "some of line {line_no} is taken off already, and it is of several deliveries: swap it by itself"
            );
            return Err(Error::conflict(detail).at("/line_no"));
        }
        let mut ops = vec![cancel];
        for (further, (delivery, left)) in (0..).zip(parts) {
            let wanted = Wanted { quantity: Quantity::new(left).map_err(Error::internal)?, ..*wanted };
            let line_no = self.next_line_no().saturating_add(further);
            let line = priced::line(tx, self.context, self.order, (line_no, delivery), &wanted)?;
            ops.push(Op::Add { line: Box::new(line) });
        }
        Ok(ops)
    }

    /// The place of the delivery that a line is of.
    fn delivery_of(&self, line_no: i32) -> usize {
        self.order.deliveries.iter().position(|one| one.line_nos.contains(&line_no)).unwrap_or_default()
    }

    /// The number of the next line that is added. A number is not given twice.
    fn next_line_no(&self) -> i32 {
        let lines = self.order.lines.iter().map(|line| line.line_no);
        let bundles = self.order.bundles.iter().map(|bundle| bundle.line_no);
        let added = self.made.iter().flat_map(|made| &made.ops).filter_map(|op| match op {
            Op::Add { line } => Some(line.line_no),
            _ => None,
        });
        lines.chain(bundles).chain(added).max().unwrap_or_default().saturating_add(1)
    }

    /// A price that was agreed.
    fn agreed(&self, price: Option<UnitPrice>, why: Option<&str>) -> Result<Option<PricePer>> {
        let Some(price) = price else { return Ok(None) };
        if !self.actor.holds(Scope::PriceOverride) {
            let detail = format!("the scope {} is needed for another price", Scope::PriceOverride.as_str());
            return Err(Error::problem(Code::ScopeMissing, detail).at("/unit_price"));
        }
        if price.currency() != self.order.currency {
            let detail = format!("the order is in {}", self.order.currency);
            return Err(Error::invalid("/unit_price/currency", detail));
        }
        match why {
            Some(_) => Ok(Some(PricePer { price, per: crate::kernel::Per::ONE })),
            None => Err(Error::problem(Code::MissingField, "say why that price").at("/reason")),
        }
    }

    fn add(&self, tx: &mut Tx, delivery: usize, wanted: &Wanted<'_>) -> Result<Op> {
        let line = priced::line(tx, self.context, self.order, (self.next_line_no(), delivery), wanted)?;
        Ok(Op::Add { line: Box::new(line) })
    }

    /// All of a line that nobody has picked.
    fn cancel_all(&self, line_no: i32) -> Result<Op> {
        let line = self.line(line_no)?;
        let taken = self.plan().cancel.get(&line_no).copied().unwrap_or_default();
        let open = self.begun.unpicked.get(&line_no).copied().unwrap_or_else(|| line.quantities.open());
        match open - taken {
            quantity @ 1.. => Ok(Op::Cancel { line_no, quantity }),
            _ => {
                let detail = format!("nothing of line {line_no} is left that is not picked");
                Err(Error::problem(Code::QuantityExceeded, detail).at("/line_no").with("left", 0))
            }
        }
    }

    fn set_quantity(&self, tx: &mut Tx, line_no: i32, quantity: Quantity) -> Result<Vec<Op>> {
        let line = self.line(line_no)?;
        match quantity.get() - self.kept(line) {
            // As it was: what was said before is taken back.
            0 if self.again => Ok(Vec::new()),
            0 => Err(Error::conflict(format!("line {line_no} has so many pieces already")).at("/quantity")),
            less @ ..0 => Ok(vec![Op::Cancel { line_no, quantity: -less }]),
            more => {
                let quantity = Quantity::new(more).map_err(Error::internal)?;
                let wanted = Wanted { sku: &line.sku, quantity, agreed: None, why: None };
                Ok(vec![self.add(tx, self.delivery_of(line_no), &wanted)?])
            }
        }
    }

    fn set_price(&self, tx: &mut Tx, line_no: i32, price: UnitPrice, why: &str) -> Result<Vec<Op>> {
        let line = self.line(line_no)?;
        let agreed = self.agreed(Some(price), Some(why))?;
        let price = PricePer { price: agreed.map_or(price, |agreed| agreed.price), per: line.per };
        let moved = line.quantities;
        if (moved.shipped, moved.cancelled, moved.returned, line.refunded.minor()) != (0, 0, 0, 0) {
            let detail = format!("something of line {line_no} has moved: its price stays");
            return Err(Error::conflict(detail).at("/line_no"));
        }
        if invoices::invoiced(tx, self.order.id)?.lines.contains(&line_no) {
            return Err(invoiced_already(line_no).at("/line_no"));
        }
        let totals = priced::reprice(tx, self.context, self.order, line, (price, why))?;
        Ok(vec![Op::Reprice { totals: Box::new(totals) }])
    }

    fn set_method(&self, tx: &mut Tx, delivery: usize, method: &str, keep_price: bool) -> Result<Vec<Op>> {
        let way = Op::Way { delivery, method: Some(method.to_owned()), address: None };
        let whole =
            self.order.deliveries.len() == 1 && self.order.lines.iter().all(|line| line.quantities.shipped == 0);
        if keep_price || !whole || invoices::invoiced(tx, self.order.id)?.shipping {
            return Ok(vec![way]);
        }
        let totals = priced::shipping(tx, self.context, self.order, (&self.plan(), method))?;
        Ok(vec![way, Op::Shipping { totals: Box::new(totals) }])
    }
}

/// Takes what is personal out of the amendments of orders: addresses that something was to go to.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, orders: &[OrderId]) -> Result<()> {
    for one in store::of_orders(tx, orders)? {
        let mut kept = one.kept.clone();
        kept.edits.retain(|made| !matches!(made.edit, Edit::SetAddress { .. } | Edit::Note { .. }));
        kept.reason = None;
        if kept != one.kept {
            store::forget(tx, one.id, &kept)?;
        }
    }
    Ok(())
}
