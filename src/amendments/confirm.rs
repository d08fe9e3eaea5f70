//! Making an amendment: lines, work, money and stock in one transaction, on the version of the order that was looked at.

use super::{
    account, look,
    model::{Amendment, AmendmentCommand, MoneyChange, Preview},
    plan::Plan,
    promoted,
    second::{self, Second},
    service::{self, Told},
    store,
};
use crate::{
    carts::{self, Context, Origin},
    countersign::{self, CountersignRequest},
    credit::{self, ON_ACCOUNT},
    customers::Address,
    db::{Json, Tx},
    error::{Error, Result},
    events::{self, Payload},
    fulfilment::{
        self, Cancellation, Fresh, FulfilmentOrder, OtherWay, Pieces,
        requests::{Asked, RequestLink},
    },
    http::seal::Secret,
    kernel::{
        Actor, Id, Instant, Quantity,
        ids::{CreditEntryId, EventId, FulfilmentOrderId, JobId, PaymentId},
    },
    orders::{self, AddedLine, Amended, LineDetails, LineMove, OrderDocument, PlacedLine},
    payments::{
        Account, Posting,
        ledger::{self, Part, Sold},
    },
    stock::{self, Need, sourcing::Sources},
};

/// Ids of what confirming makes: the same however often the transaction is run again.
#[derive(Debug, Clone)]
pub(super) struct Ids {
    pub way: Vec<Fresh>,
    pub cancel: Fresh,
    pub settle: Fresh,
    pub works: Vec<FulfilmentOrderId>,
    pub opened: Vec<EventId>,
    pub told: EventId,
    pub held: EventId,
    pub credit: EventId,
    pub released: EventId,
    pub invoice: JobId,
    pub ended: EventId,
    pub account: (PaymentId, CreditEntryId, EventId),
    pub asked: Fresh,
}

/// So many fulfilment orders at most are opened for what one amendment adds, or for what is split off.
pub(super) const MOST_WORKS: usize = 16;

impl Ids {
    pub fn new() -> Self {
        let fresh = |_| Fresh::new();
        Self {
            way: (0..10).map(fresh).collect(),
            cancel: Fresh::new(),
            settle: Fresh::new(),
            works: (0..MOST_WORKS).map(|_| Id::new()).collect(),
            opened: (0..MOST_WORKS).map(|_| Id::new()).collect(),
            told: Id::new(),
            held: Id::new(),
            credit: Id::new(),
            released: Id::new(),
            invoice: Id::new(),
            ended: Id::new(),
            account: (Id::new(), Id::new(), Id::new()),
            asked: Fresh::new(),
        }
    }
}

/// What the lines that are added need of stock.
pub(super) fn needs(plan: &Plan) -> Vec<Need> {
    let need = |(place, line): (usize, &super::model::PricedLine)| Need {
        place,
        line_no: line.line_no,
        delivery: i32::try_from(line.delivery).unwrap_or_default(),
        variant: line.variant_id,
        quantity: line.totals.quantity.get(),
        tracked: line.tracked,
        backorder: line.backorder,
        requires: line.requires.clone(),
    };
    plan.add.iter().enumerate().filter(|(_, line)| line.leaves).map(need).collect()
}

/// What is written into the order's rows.
pub(super) fn amended(plan: &Plan) -> Amended {
    let added = |line: &super::model::PricedLine| AddedLine {
        line: PlacedLine {
            variant_id: line.variant_id,
            sku: line.sku.clone(),
            quantity: line.totals.quantity,
            allocated: 0,
            line_no: line.line_no,
            details: LineDetails {
                name: line.name.clone(),
                unit_code: line.unit_code.clone(),
                requires_shipping: line.leaves,
                weight_grams: line.weight_grams,
                tax_class: line.tax_class.clone(),
                tax_rate: line.totals.tax_rate,
                per: line.totals.per,
                subtotal: line.totals.subtotal,
                discount: line.totals.discount,
                explanation: line.totals.explanation.clone(),
                bundle: None,
                metadata: serde_json::Map::new(),
            },
        },
        totals: line.totals.clone(),
        delivery: line.delivery,
    };
    Amended {
        added: plan.add.iter().map(added).collect(),
        repriced: plan.reprice.clone(),
        shipping: plan.shipping.clone(),
        granted: plan.promoted.iter().filter_map(|one| one.granted().cloned()).collect(),
        revoked: plan.promoted.iter().filter_map(|one| one.revoked().map(|applied| applied.promotion_id)).collect(),
    }
}

/// How an amendment is confirmed.
pub(super) struct How<'a> {
    /// The version of the order that was looked at.
    pub expected: i64,
    /// Who else has to approve it.
    pub second: &'a Second,
    /// What is asked for by a link of what is to be paid then, and what the link is made with.
    pub ask: Option<(&'a Asked, &'a Secret)>,
}

/// Changes the order as an amendment says. It has to be at the version that was looked at.
///
/// # Errors
/// `not_found`; `version_stale` where the order has changed since; `state_conflict`, `quantity_exceeded`, `out_of_stock`,
/// `credit_exceeded`, `ceiling_exceeded`, `coupon_refused`, `promotion_exhausted` where it does not allow it.
pub(super) fn confirm(
    tx: &mut Tx,
    context: &Context,
    actor: &Actor,
    ids: &Ids,
    (order, mut one): (OrderDocument, Amendment),
    how: &How<'_>,
) -> Result<Confirmed> {
    let (now, expected, second) = (context.now, how.expected, how.second);
    if order.version != expected || one.order_version != expected {
        return Err(Error::stale("order", order.version));
    }
    let after = one.state_at(now).apply(AmendmentCommand::Confirm)?;
    let plan = Plan::of(&one.kept.edits);
    if plan.is_empty() {
        return Err(Error::conflict("nothing would be changed"));
    }
    allowed(tx, now, actor, &order, &plan)?;
    let preview = look::preview(tx, context, &order, &one)?;
    if let Some(lines) = preview.blocked.as_ref().filter(|_| plan.add.is_empty()) {
        return Err(Error::conflict(lines.clone()));
    }
    if let Some(detail) = shipped_unpaid(&order, now, &preview.money) {
        return Err(Error::conflict(detail).with("holds", vec!["payment"]));
    }
    let added = preview.money.due.difference.minor().max(0);
    let (given, back, again) = (plan.given(&order), preview.money.to_refund.minor(), ids.ended);
    if let Second::Ask(ids) = second
        && let Some(request) = second::ask(
            tx,
            (now, actor),
            (*ids, again),
            (&order, &one, (given, back)),
            how.ask.map(|(asked, _)| asked),
        )?
    {
        return Ok(Confirmed::Waits(Box::new(request)));
    }
    (one.kept.given, one.kept.approved_by) = (given, second.by());
    // Nobody else confirms it, gives it up or edits it from here on.
    let seen = one.version;
    (one.state, one.version, one.ended_at) = (after, seen + 1, Some(now));
    one.kept.result = Some(Preview { blocked: None, ..preview });
    if !store::save(tx, now, &one, seen)? {
        return Err(Error::stale("amendment", seen));
    }
    if let Second::Ask(_) = second {
        // Nobody has to approve any more what was asked for before.
        countersign::withdraw_of(tx, (now, actor), ids.ended, (order.id, one.id, "its amendment was confirmed"))?;
    }
    let owed = on_account(tx, now, &order)?;
    let mut order = other_ways(tx, context, actor, ids, (order, &plan))?;
    // What is added is there before anything is taken off, so that the order is never without any line; its goods are looked for afterwards,
    // so that what comes free can be taken.
    let has_more = write(tx, now, (&mut order, &one, &plan))?;
    // Before any level of stock, as checkouts do.
    promoted::settle(tx, context, (&order, &plan))?;
    let reason = one.told_reason().unwrap_or_else(|| "amended".to_owned());
    if !plan.cancel.is_empty() {
        let mut pieces = Vec::with_capacity(plan.cancel.len());
        for (line_no, quantity) in &plan.cancel {
            pieces.push(Pieces { line_no: *line_no, quantity: Quantity::new(*quantity).map_err(Error::internal)? });
        }
        let what = Cancellation { pieces: Some(pieces), reason, let_through: true, ..Cancellation::default() };
        order = fulfilment::cancel(tx, now, actor, &ids.cancel, order.id, &what)?;
    }
    let booking = match has_more {
        true => source(tx, context, actor, ids, (&mut order, &plan))?,
        false => stock::Booking::default(),
    };
    if plan.cancel.is_empty() {
        fulfilment::capture_due(tx, now, &order, &ids.settle)?;
        orders::invoice_later(tx, now, &order, ids.invoice)?;
    }
    let order = hold_above_credit(tx, now, ids, (order, &owed))?;
    let order = account::more(tx, (now, actor), ids, (order, one.id, added))?;
    let order = hold_unpaid(tx, now, actor, ids, (order, added))?;
    let order = tell(tx, now, actor, ids, (order, &one))?;
    let link = ask(tx, (now, actor), ids, &order, how)?;
    // The levels come last, for everybody wants them.
    booking.apply(tx, now)?;
    Ok(Confirmed::Done(Box::new(order), Box::new(one), link.map(Box::new)))
}

/// Asks for what is to be paid, by a link, where that is wanted and anything is.
fn ask(
    tx: &mut Tx,
    by: (Instant, &Actor),
    ids: &Ids,
    order: &OrderDocument,
    how: &How<'_>,
) -> Result<Option<RequestLink>> {
    let Some((asked, secret)) = how.ask else { return Ok(None) };
    if fulfilment::uncovered(tx, by.0, order)? <= 0 {
        return Ok(None);
    }
    let made = fulfilment::requests::ask(tx, by, &ids.asked, secret, (order.id, asked));
    made.map(Some).map_err(|error| error.at("/payment_request"))
}

/// What came of it.
pub(super) enum Confirmed {
    /// The order as it is now, the amendment, and the link by which what is due more is paid.
    Done(Box<OrderDocument>, Box<Amendment>, Option<Box<RequestLink>>),
    /// Somebody else has to approve it first: nothing is changed.
    Waits(Box<CountersignRequest>),
}

/// That the order takes it, and whoever asks may.
fn allowed(tx: &mut Tx, now: Instant, actor: &Actor, order: &OrderDocument, plan: &Plan) -> Result<()> {
    if order.state != orders::OrderState::Placed {
        return Err(Error::conflict(format!("the order is {}: nothing of it is changed any more", order.state)));
    }
    let lines: Vec<i32> = plan.cancel.keys().copied().collect();
    if !lines.is_empty() {
        order.free_for(orders::Command::Cancel, &lines, Some(now))?;
    }
    let begun = fulfilment::begun(tx, order.id)?;
    plan.check(order, &begun.unpicked)?;
    promoted::applies(plan)?;
    service::uninvoiced(tx, order, plan)?;
    let less = look::money((order, now), plan, None)?.due.difference.minor();
    fulfilment::within_ceiling(actor, plan.given(order).max(-less))
}

/// Another way for a delivery, as it is asked for.
pub(super) fn other_way(delivery: usize, method: Option<&String>, address: Option<&Address>) -> OtherWay {
    OtherWay { delivery, method: method.cloned(), address: address.cloned(), reason: "amended".to_owned() }
}

/// Gives deliveries their other ways.
fn other_ways(
    tx: &mut Tx,
    context: &Context,
    actor: &Actor,
    ids: &Ids,
    (mut order, plan): (OrderDocument, &Plan),
) -> Result<OrderDocument> {
    for ((delivery, (method, address)), fresh) in plan.ways.iter().zip(&ids.way) {
        let way = other_way(*delivery, method.as_ref(), address.as_ref());
        let knowing = (&*context.locations, &*context.rules);
        order = fulfilment::change_way(tx, (context.now, actor), fresh, (&order, &way), knowing)?;
    }
    Ok(order)
}

/// Writes what is added and repriced, and what is owed for it. False where there is nothing of that.
fn write(tx: &mut Tx, now: Instant, (order, one, plan): (&mut OrderDocument, &Amendment, &Plan)) -> Result<bool> {
    let what = amended(plan);
    if what.added.is_empty() && what.repriced.is_empty() && what.shipping.is_none() {
        return Ok(false);
    }
    let differences = orders::differences(order, &what)?;
    *order = orders::amend(tx, order, &what)?;
    post(tx, now, order, &format!("amend:{}", one.id), differences)?;
    Ok(true)
}

/// Finds the goods of what is added, and opens the work with them. Its levels are left to the booking.
fn source(
    tx: &mut Tx,
    context: &Context,
    actor: &Actor,
    ids: &Ids,
    (order, plan): (&mut OrderDocument, &Plan),
) -> Result<stock::Booking> {
    let now = context.now;
    let needs = needs(plan);
    let booking = if needs.is_empty() {
        stock::Booking::default()
    } else {
        let facts = fulfilment::facts_of(tx, now, order, &context.locations)?;
        let sources = Sources::of(&context.locations, &facts);
        stock::allocate(tx, now, actor, &needs, sources, &order.id.to_string(), now)?
    };
    let works = works(context, order, &ids.works, &booking)?;
    let moves: Vec<LineMove> = booking
        .shares()
        .iter()
        .filter(|share| share.quantity > 0)
        .map(|share| LineMove { line_no: share.line_no, allocated: share.quantity, ..LineMove::default() })
        .collect();
    let count = i64::try_from(works.len()).map_err(Error::internal)?;
    orders::save(tx, now, order, &merged(moves), count)?;
    fulfilment::open(tx, &works, booking.sourcing())?;
    let mut told = Vec::with_capacity(works.len());
    for (place, (work, event)) in (1..).zip(works.iter().zip(&ids.opened)) {
        let payload = fulfilment::work_payload(order, work, Vec::new())?;
        told.push(orders::event(order, (place, count), *event, fulfilment::OPENED, now, payload));
    }
    if !told.is_empty() {
        events::append(tx, actor, now, told)?;
    }
    fulfilment::wait_for_more(tx, now, order.id, !booking.waits_at().is_empty())?;
    Ok(booking)
}

/// Each line once.
fn merged(moves: Vec<LineMove>) -> Vec<LineMove> {
    let mut all: Vec<LineMove> = Vec::with_capacity(moves.len());
    for step in moves {
        match all.iter_mut().find(|one| one.line_no == step.line_no) {
            Some(one) => one.allocated += step.allocated,
            None => all.push(step),
        }
    }
    all
}

/// The work that goods make that are added, or split off.
pub(super) fn works(
    context: &Context,
    order: &OrderDocument,
    ids: &[FulfilmentOrderId],
    booking: &stock::Booking,
) -> Result<Vec<FulfilmentOrder>> {
    let now = context.now;
    let due_at =
        |location| carts::due_at(&context.channel, (&context.locations, Origin { location, comes: None }), now);
    let shares = (booking.shares(), &booking.held(), &booking.shelf_lives());
    let mut works = fulfilment::work_of(now, order, shares, due_at, ids)?;
    if works.len() > MOST_WORKS {
        return Err(Error::conflict("it would come from too many locations: take less at once"));
    }
    for work in &mut works {
        let place = context.locations.get(work.location_id).ok();
        work.accept_by = place.and_then(|place| place.accept_by(now));
    }
    Ok(works)
}

/// Books what is owed more or less, with the tax of it.
fn post(tx: &mut Tx, now: Instant, order: &OrderDocument, name: &str, differences: orders::Differences) -> Result<()> {
    let parts: Vec<Part> =
        differences.into_iter().map(|(rate, change)| Part { rate, net: change.net, tax: change.tax }).collect();
    let (net, tax) = parts.iter().fold((0, 0), |sum, part| (sum.0 + part.net, sum.1 + part.tax));
    if parts.iter().all(|part| (part.net, part.tax) == (0, 0)) {
        return Ok(());
    }
    let posting = Posting {
        order: order.id,
        posting: name.to_owned(),
        occurred_at: now,
        currency: order.currency,
        entries: vec![(Account::Receivable, net + tax), (Account::Revenue, -net), (Account::Tax, -tax)],
    };
    let known = ledger::taxed_as(tx, order.id)?;
    let (country, treatment) = known.unwrap_or_else(|| (order.destination(), order.tax_treatment));
    ledger::post_sold(tx, now, &posting, &Sold { channel: order.channel_id, country, treatment, parts })
}

/// What all of an order is held for payment by: it has one hold of a kind at most.
fn payment_hold(order: &OrderDocument, now: Instant) -> Option<&orders::Block> {
    let mut all = order.holds.iter().map(|hold| &hold.block);
    all.find(|one| one.kind == orders::holds::OrderHoldKind::Payment && one.line_no.is_none() && one.holds_at(now))
}

/// Why an order can not be made dearer by what its customer has to pay first: it is held for payment already, by a hold that lets it be
/// shipped before that.
pub(super) fn shipped_unpaid(order: &OrderDocument, now: Instant, money: &MoneyChange) -> Option<&'static str> {
    if money.to_pay.minor() <= 0 || money.due.difference.minor() <= 0 || look::is_by_hand(order) {
        return None;
    }
    let held = payment_hold(order, now)?;
    let waits = held.blocks.contains(&orders::Command::Ship) && held.expires_at.is_none();
    (!waits).then_some(
        "more is to be paid, and the order's hold for `payment` lets it be shipped before that: release that hold, then confirm",
    )
}

/// Holds an order until what is due beside what is promised has been paid, as far as it is `added` now, in minor units: a goodwill is not
/// asked for again. One that was held for that, and is not short any more, is released. One that was held for payment already stays held by that: see [`shipped_unpaid`].
fn hold_unpaid(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    ids: &Ids,
    (mut order, added): (OrderDocument, i64),
) -> Result<OrderDocument> {
    orders::holds::when_paid(tx, now, ids.released, &mut order)?;
    let uncovered = match look::on_account(&order) {
        true => fulfilment::uncovered(tx, now, &order)?,
        false => order.money().due - look::covered(&order, now),
    };
    let short = uncovered.min(added);
    if short <= 0 || look::is_by_hand(&order) {
        return Ok(order);
    }
    if payment_hold(&order, now).is_some() {
        return Ok(order);
    }
    let owed = crate::kernel::Money::from_minor(short, order.currency);
    let new = orders::holds::NewOrderHold {
        kind: orders::holds::OrderHoldKind::Payment,
        line_no: None,
        blocks: None,
        reason: format!("it was amended, and {owed} more are to be paid"),
        owner: Some(orders::holds::AMENDED.to_owned()),
        expires_at: None,
    };
    orders::holds::hold(tx, now, actor, ids.held, order.id, &new)
}

/// What an order owes on account, by payment.
fn on_account(tx: &mut Tx, now: Instant, order: &OrderDocument) -> Result<Vec<(PaymentId, i64)>> {
    let own = order.payments.iter().filter(|payment| payment.provider == ON_ACCOUNT);
    own.map(|payment| Ok((payment.id, credit::open_debt(tx, now, payment.id)?))).collect()
}

/// Where more is owed on account than before, that is within what the company may owe, or the order is held, as one that is placed.
fn hold_above_credit(
    tx: &mut Tx,
    now: Instant,
    ids: &Ids,
    (mut order, before): (OrderDocument, &[(PaymentId, i64)]),
) -> Result<OrderDocument> {
    for (payment, owed) in before {
        if credit::open_debt(tx, now, *payment)? <= *owed {
            continue;
        }
        let credit::Taken::Above(over) = credit::allow_raise(tx, now, *payment)? else { continue };
        order = account::hold(tx, now, ids.credit, (order, over))?;
    }
    Ok(order)
}

/// Tells of it: the order as it is now, whole, and what has made it so.
fn tell(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    ids: &Ids,
    (mut order, one): (OrderDocument, &Amendment),
) -> Result<OrderDocument> {
    orders::save(tx, now, &mut order, &[], 1)?;
    let view = service::told(one, now);
    let payload: Payload = order.payload(|order| Json::of(&Told { order, amendment: &view }))?;
    let event = orders::event(&order, (1, 1), ids.told, service::AMENDED, now, payload);
    events::append(tx, actor, now, vec![event])?;
    Ok(order)
}
