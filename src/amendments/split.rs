//! Splitting an order: what of its lines nobody has picked becomes a second order of the same purchase, at the same prices.
//!
//! The shares of the pieces go over as they are, so both orders together owe what the one did, to the minor unit: what the first is credited is
//! what the second is sold. Its share of the money goes over with it ([`fulfilment::to_carry`]): what is promised, taken, set aside or lent is of
//! the one order or of the other, never of both. Shipping stays with the first.

use actix_web::post;
use serde::{Deserialize, Serialize};

use super::confirm::{MOST_WORKS, works};
use crate::{
    carts::{Context, Delivery},
    catalog::{self, BackorderPolicy, StockPolicy, Variant},
    db::{Json, Tx},
    error::{Code, Error, Result},
    events::{self, EventSchema},
    fulfilment::{self, Cancellation, Carried, Fresh, Pieces},
    http::{Body, Call, Mount, RefPath, Reply},
    kernel::{
        Actor, Id, Instant, Money, Quantity, Scope,
        ids::{EventId, FulfilmentOrderId, JobId, OrderId, PaymentId},
        text::Note,
    },
    orders::{self, LineDetails, NewOrder, OrderDetails, OrderDocument, OrderLine, PlacedLine},
    payments::{
        Account, Posting,
        ledger::{self, Part, Sold},
    },
    pricing::{
        engine::{share, share_taxed},
        model::{LineTotals, Step, TaxTotal, Totals},
    },
    stock::{self, Need, sourcing::Sources},
};

/// The type of the event that an order was split.
const SPLIT: &str = "order.split.v1";
/// The type of the event that there is an order.
const PLACED: &str = "order.placed.v1";

/// What `order.split.v1` says: the order as it is now, and which order has the rest.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OrderSplit)]
struct Told<'a> {
    #[serde(flatten)]
    order: &'a OrderDocument,
    /// The order that has what was taken off.
    split_into: OrderId,
    /// Its number.
    split_into_number: &'a str,
    /// Why.
    reason: &'a str,
}

/// What the events of this part carry.
pub(super) fn event_schema() -> EventSchema {
    EventSchema::of::<Told<'_>>(SPLIT)
}

/// Which pieces are another order.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "the rest comes in March"}))]
pub struct SplitOrderRequest {
    /// Pieces that nobody has picked; something is left.
    #[schema(min_items = 1, max_items = 200)]
    pub lines: Vec<Pieces>,
    /// Why.
    #[schema(value_type = String)]
    pub reason: Note<500>,
}

/// Both orders.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SplitOrders {
    /// The order, without what was taken off.
    pub order: OrderDocument,
    /// The order that has it.
    pub split_into: OrderDocument,
}

/// Split an order
///
/// Pieces that nobody has picked become a second order of the same customer, with the same address, at the same prices: both together cost what the
/// one did. Shipping stays with the first. Its share of the money goes over with it: the payments of the second name those of the first (`parent`).
/// Not while it is held (`holds` names for what), while money of it is on its way, or where a provider's promise can not be divided
/// (`payment_indivisible`); nor orders of several deliveries.
#[utoipa::path(tag = "answer a customer", params(("ref" = String, Path)), request_body = SplitOrderRequest,
    security(("token" = ["orders:write"])), responses((status = 201, body = SplitOrders)))]
#[post("/orders/{ref}/split")]
async fn split_order(call: Call, path: RefPath<String>, body: Body<SplitOrderRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    if !(1..=200).contains(&body.lines.len()) {
        return Err(Error::invalid("/lines", "expected 1 to 200 lines"));
    }
    let (id, context) = super::api::knowing(&call, &actor, path.0).await?;
    let number = call.state.db.next_number("orders").await?.to_string();
    let (ids, what) = (Ids::new(number), body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let (order, split_into) = split(tx, &context, &actor, &ids, (id, &what))?;
        let version = order.version;
        Ok(Reply::created(&SplitOrders { order, split_into })?.version(version))
    })
    .await
}

/// So many payments an order that is split off has at most.
const MOST_PAYMENTS: usize = 16;

/// Ids of what splitting makes.
#[derive(Debug, Clone)]
struct Ids {
    number: String,
    order: OrderId,
    payments: Vec<PaymentId>,
    settle: [Fresh; 2],
    cancel: Fresh,
    works: Vec<FulfilmentOrderId>,
    events: Vec<EventId>,
    told: EventId,
    invoice: JobId,
}

impl Ids {
    fn new(number: String) -> Self {
        Self {
            number,
            order: Id::new(),
            payments: (0..MOST_PAYMENTS).map(|_| Id::new()).collect(),
            settle: [Fresh::new(), Fresh::new()],
            cancel: Fresh::new(),
            works: (0..MOST_WORKS).map(|_| Id::new()).collect(),
            events: (0..=MOST_WORKS).map(|_| Id::new()).collect(),
            told: Id::new(),
            invoice: Id::new(),
        }
    }
}

/// That it can be split so.
fn splittable(tx: &mut Tx, now: Instant, order: &OrderDocument, what: &SplitOrderRequest) -> Result<()> {
    if order.state != orders::OrderState::Placed {
        return Err(Error::conflict(format!("the order is {}: it is not split any more", order.state)));
    }
    // The second order would be free of them, or be held for what nobody has looked at: who looks after them decides first.
    let live: Vec<String> =
        order.holds.iter().filter(|hold| hold.block.holds_at(now)).map(|hold| hold.block.name()).collect();
    if !live.is_empty() {
        let detail = format!("the order is held: {}; it is split once that is released", live.join(", "));
        return Err(Error::conflict(detail).with("holds", live));
    }
    if order.deliveries.len() > 1 {
        return Err(Error::conflict(
            "the order has several deliveries: they are shipped by themselves anyway; take pieces off by an amendment and order them anew",
        ));
    }
    let unpicked = fulfilment::begun(tx, order.id)?.unpicked;
    let mut taken = 0;
    for (place, piece) in what.lines.iter().enumerate() {
        let at = |field: &str| format!("/lines/{place}/{field}");
        let line = order.line(piece.line_no).map_err(|error| error.at(at("line_no")))?;
        if what.lines.iter().take(place).any(|before| before.line_no == piece.line_no) {
            return Err(Error::invalid(at("line_no"), "the line is named twice"));
        }
        if line.bundle.is_some() {
            return Err(Error::conflict("a part of a bundle is not split off").at(at("line_no")));
        }
        let left = unpicked.get(&piece.line_no).copied().unwrap_or_else(|| line.quantities.open());
        if !(1..=left).contains(&piece.quantity.get()) {
            let detail = format!("only {left} of line {} are not picked", piece.line_no);
            return Err(Error::problem(Code::QuantityExceeded, detail).at(at("quantity")).with("left", left));
        }
        taken += piece.quantity.get();
    }
    let kept: i64 = order.lines.iter().map(|line| line.quantities.quantity - line.quantities.cancelled).sum();
    match taken < kept {
        true => Ok(()),
        false => Err(Error::problem(Code::QuantityExceeded, "splitting leaves something behind").at("/lines")),
    }
}

/// What pieces of a line cost: its last ones, as they are credited when they are taken off.
fn totals_of(order: &OrderDocument, line: &OrderLine, (line_no, quantity): (i32, i64)) -> Result<LineTotals> {
    let money = |minor: i64| Money::from_minor(minor, order.currency);
    let (whole, to) = (line.quantities.quantity, line.quantities.quantity - line.quantities.cancelled);
    let own = share_taxed(line.gross.minor(), line.tax.minor(), to - quantity, to, whole);
    let charged = if order.prices_include_tax { own.gross } else { own.net };
    // A discount of nothing is none, whatever rounding says.
    let subtotal = share(line.subtotal.minor(), to - quantity, to, whole).max(charged);
    let mut explanation = line.explanation.clone();
    explanation.push(Step::new("split", format!("from order {}, line {}", order.number, line.line_no)));
    Ok(LineTotals {
        line_no,
        unit_price: line.unit_price,
        per: line.per,
        quantity: Quantity::new(quantity).map_err(Error::internal)?,
        subtotal: money(subtotal),
        discount: money(subtotal - charged),
        net: money(own.net),
        tax: money(own.tax),
        gross: money(own.gross),
        tax_rate: line.tax_rate,
        explanation,
    })
}

/// The sums of the second order.
fn summed(order: &OrderDocument, lines: Vec<LineTotals>) -> Totals {
    let money = |minor: i64| Money::from_minor(minor, order.currency);
    let sum = |of: fn(&LineTotals) -> Money| money(lines.iter().map(|line| of(line).minor()).sum());
    let mut taxes: Vec<TaxTotal> = Vec::new();
    for line in &lines {
        let rate = line.tax_rate.normalize();
        let add = |one: Money, more: Money| money(one.minor() + more.minor());
        match taxes.iter_mut().find(|row| row.rate == rate) {
            Some(row) => {
                (row.net, row.tax, row.gross) =
                    (add(row.net, line.net), add(row.tax, line.tax), add(row.gross, line.gross));
            }
            None => taxes.push(TaxTotal { rate, net: line.net, tax: line.tax, gross: line.gross }),
        }
    }
    taxes.sort_by_key(|row| row.rate);
    Totals {
        currency: order.currency,
        prices_include_tax: order.prices_include_tax,
        shipping: None,
        shipping_parts: Vec::new(),
        taxes,
        subtotal: sum(|line| line.subtotal),
        discount: sum(|line| line.discount),
        shipping_total: money(0),
        net: sum(|line| line.net),
        tax: sum(|line| line.tax),
        total: sum(|line| line.gross),
        explanation: vec![Step::new("split", format!("from order {}", order.number))],
        promotions: Vec::new(),
        passed_over: Vec::new(),
        tax_treatment: order.tax_treatment,
        rules_version: order.rules_version,
        lines,
    }
}

/// A line of the second order, with the line that it comes from.
fn placed(line: &OrderLine, totals: &LineTotals, allocated: i64) -> PlacedLine {
    PlacedLine {
        variant_id: line.variant_id,
        sku: line.sku.clone(),
        quantity: totals.quantity,
        allocated,
        line_no: totals.line_no,
        details: LineDetails {
            name: line.name.clone(),
            unit_code: line.unit_code.clone(),
            requires_shipping: line.requires_shipping,
            weight_grams: line.weight_grams,
            tax_class: line.tax_class.clone(),
            tax_rate: line.tax_rate,
            per: line.per,
            subtotal: totals.subtotal,
            discount: totals.discount,
            explanation: totals.explanation.clone(),
            bundle: None,
            metadata: line.metadata.clone(),
        },
    }
}

/// Splits an order.
///
/// # Errors
/// `not_found`; `state_conflict`, `line_unknown`, `quantity_exceeded`, `ceiling_exceeded`, `payment_indivisible`; `out_of_stock` never, for what comes free is taken.
fn split(
    tx: &mut Tx,
    context: &Context,
    actor: &Actor,
    ids: &Ids,
    (id, what): (OrderId, &SplitOrderRequest),
) -> Result<(OrderDocument, OrderDocument)> {
    let now = context.now;
    let before = orders::lock(tx, id)?;
    splittable(tx, now, &before, what)?;
    let mut parts: Vec<(&OrderLine, LineTotals)> = Vec::with_capacity(what.lines.len());
    for (line_no, piece) in (1..).zip(&what.lines) {
        let line = before.line(piece.line_no)?;
        parts.push((line, totals_of(&before, line, (line_no, piece.quantity.get()))?));
    }
    let reason = what.reason.to_string();
    let totals = summed(&before, parts.iter().map(|(_, totals)| totals.clone()).collect());
    // Before anything is taken off: what of the money is whose share is of the order as it was.
    let carried = fulfilment::to_carry(tx, now, &before, (ids.order, totals.total), &ids.payments)?;
    let pieces = Some(what.lines.clone());
    let taken = Cancellation { pieces, reason: reason.clone(), goes_over: true, ..Cancellation::default() };
    let first = fulfilment::cancel(tx, now, actor, &ids.cancel, id, &taken)?;
    let needs = needs(tx, &parts)?;
    let booking = match needs.is_empty() {
        true => stock::Booking::default(),
        false => {
            let facts = fulfilment::facts_of(tx, now, &first, &context.locations)?;
            let sources = Sources::of(&context.locations, &facts);
            stock::allocate(tx, now, actor, &needs, sources, &ids.order.to_string(), now)?
        }
    };
    let second = place(tx, context, actor, ids, (&before, &parts, &booking), (totals, &carried))?;
    fulfilment::carry(tx, (now, actor), (&first, &second), &carried)?;
    let [of_first, of_second] = &ids.settle;
    // Both are locked by now: the second is there since a moment ago, and nobody else knows of it.
    let mut first = fulfilment::settle_split(tx, now, of_first, id)?;
    let second = fulfilment::settle_split(tx, now, of_second, second.id)?;
    orders::save(tx, now, &mut first, &[], 1)?;
    let (split_into, split_into_number, reason) = (second.id, second.number.as_str(), reason.as_str());
    let payload = first.payload(|order| Json::of(&Told { order, split_into, split_into_number, reason }))?;
    events::append(tx, actor, now, vec![orders::event(&first, (1, 1), ids.told, SPLIT, now, payload)])?;
    // The levels come last, for everybody wants them.
    booking.apply(tx, now)?;
    Ok((first, second))
}

/// What the second order needs of stock: what the first has given back a moment ago, wherever that lies.
fn needs(tx: &mut Tx, parts: &[(&OrderLine, LineTotals)]) -> Result<Vec<Need>> {
    let wanted: Vec<_> = parts.iter().map(|(line, _)| line.variant_id).collect();
    let known: Vec<Variant> = catalog::by_ids(tx, &wanted)?;
    let need = |(place, (line, totals)): (usize, &(&OrderLine, LineTotals))| {
        let variant = known.iter().find(|one| one.id == line.variant_id)?;
        Some(Need {
            place,
            line_no: totals.line_no,
            delivery: 0,
            variant: line.variant_id,
            quantity: totals.quantity.get(),
            tracked: variant.stock_policy == StockPolicy::Tracked,
            backorder: variant.backorder_policy == BackorderPolicy::Allow,
            requires: variant.requires.clone(),
        })
    };
    Ok(parts.iter().enumerate().filter(|(_, (line, _))| line.requires_shipping).filter_map(need).collect())
}

/// Places the second order with its payment, its ledger and its work.
fn place(
    tx: &mut Tx,
    context: &Context,
    actor: &Actor,
    ids: &Ids,
    (before, parts, booking): (&OrderDocument, &[(&OrderLine, LineTotals)], &stock::Booking),
    (totals, carried): (Totals, &Carried),
) -> Result<OrderDocument> {
    let now = context.now;
    let allocated = |line_no: i32| -> i64 {
        booking.shares().iter().filter(|share| share.line_no == line_no).map(|share| share.quantity).sum()
    };
    let new = NewOrder {
        id: ids.order,
        number: ids.number.clone(),
        channel: before.channel_id,
        test: before.test,
        customer: before.customer_id,
        cart: None,
        lines: parts.iter().map(|(line, totals)| placed(line, totals, allocated(totals.line_no))).collect(),
        payments: carried.views(now, ids.order),
        placed_at: now,
        events: 1,
        reference: None,
        details: details(before, totals),
    };
    let (_, draft) = orders::prepare(now, new.clone())?;
    let works = works(context, &draft, &ids.works, booking)?;
    let count = i64::try_from(works.len() + 1).map_err(Error::internal)?;
    let (placing, mut second) = orders::prepare(now, NewOrder { events: count, ..new })?;
    orders::place(tx, now, &placing)?;
    post(tx, now, (before.id, &second))?;
    fulfilment::open(tx, &works, booking.sourcing())?;
    fulfilment::wait_for_more(tx, now, second.id, !booking.waits_at().is_empty())?;
    let mut happened = vec![(PLACED, second.payload(Json::of)?)];
    for work in &works {
        happened.push((fulfilment::OPENED, fulfilment::work_payload(&second, work, Vec::new())?));
    }
    let told = (1..)
        .zip(happened)
        .zip(&ids.events)
        .map(|((at, (kind, payload)), event)| orders::event(&second, (at, count), *event, kind, now, payload));
    events::append(tx, actor, now, told.collect())?;
    if orders::is_invoiced_at_once(&second) {
        orders::invoice_later(tx, now, &second, ids.invoice)?;
    }
    Ok(second)
}

/// Everything that was addressed, as it was with the first.
fn details(before: &OrderDocument, totals: Totals) -> OrderDetails {
    let line_nos: Vec<i32> = totals.lines.iter().map(|line| line.line_no).collect();
    let own = |one: &Delivery| Delivery {
        line_nos: line_nos.clone(),
        lines: Vec::new(),
        promise: None,
        current_promise: None,
        shipping: None,
        ..one.clone()
    };
    OrderDetails {
        email: before.email.clone(),
        locale: before.locale.clone(),
        source: before.source.clone(),
        device: before.device,
        billing_address: before.billing_address.clone(),
        vat_id: before.vat_id.clone(),
        deliveries: before.deliveries.iter().map(own).collect(),
        min_shelf_life_days: before.min_shelf_life_days,
        payment_method: before.payment_method.clone(),
        purchase_order: before.purchase_order.clone(),
        contracts: before.contracts.clone(),
        invoicing: before.invoicing,
        totals,
        bundles: Vec::new(),
        metadata: before.metadata.clone(),
    }
}

/// Books what the second order sells, taxed where and as the first was.
fn post(tx: &mut Tx, now: Instant, (of, second): (OrderId, &OrderDocument)) -> Result<()> {
    let posting = Posting {
        order: second.id,
        posting: "placed".to_owned(),
        occurred_at: now,
        currency: second.currency,
        entries: vec![
            (Account::Receivable, second.total.minor()),
            (Account::Revenue, -second.net.minor()),
            (Account::Tax, -second.tax.minor()),
        ],
    };
    let known = ledger::taxed_as(tx, of)?;
    let (country, treatment) = known.unwrap_or_else(|| (second.destination(), second.tax_treatment));
    let part = |row: &TaxTotal| Part { rate: row.rate, net: row.net.minor(), tax: row.tax.minor() };
    let parts = second.taxes.iter().map(part).collect();
    ledger::post_sold(tx, now, &posting, &Sold { channel: second.channel_id, country, treatment, parts })
}

/// The routes of the ops surface.
pub(super) fn ops(config: &mut Mount<'_>) {
    config.service(split_order);
}
