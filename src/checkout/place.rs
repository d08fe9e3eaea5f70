//! Placing an order: the part of the last transaction that turns a paid cart into it.

use std::{collections::HashMap, sync::Arc};

use serde::Serialize;

use super::{paying, service::Checkout};
use crate::{
    carts::{self, Cart, Promise},
    catalog::Variant,
    db::{Json, Tx},
    error::{Code, Error, Result},
    events::{self, EventSchema, NewEvent, Payload},
    fulfilment::{self, FulfilmentOrder},
    kernel::{
        Id, Instant, Money,
        ids::{
            CartId, CustomerId, EventId, ExternalRefId, FulfilmentOrderId, JobId, LocationId, OrderId, PaymentId,
            VariantId,
        },
    },
    orders::{self, ExternalRef, LineDetails, NewOrder, OrderDetails, OrderDocument, PlacedLine},
    payments::{self, Account, Payment, PaymentView, Posting, ledger},
    pricing::{
        model::{LineTotals, Totals},
        promotions::{self, Use},
    },
    stock::{
        self, Need, Share,
        sourcing::{Facts, Sources},
    },
    stored_value::{self, MOST_CARDS, Part},
};

/// Ids and the number of what completing a cart makes: the same however often a transaction is run again.
#[derive(Debug, Clone)]
pub(super) struct Tickets {
    pub cart: CartId,
    pub order: OrderId,
    pub number: String,
    pub payment: PaymentId,
    /// The payments of what gift cards and store credit pay.
    pub parts: [PaymentId; MOST_CARDS + 1],
    pub job: JobId,
    pub events: [EventId; 6 + MOST_CARDS + 1],
    pub fulfilment: [FulfilmentOrderId; 4],
    pub capture: Arc<fulfilment::Fresh>,
    pub reference: ExternalRefId,
    /// Who a shopper becomes that has signed in and is not known yet.
    pub customer: CustomerId,
}

impl Tickets {
    pub(super) fn new(cart: CartId, number: i64) -> Self {
        Self {
            cart,
            order: Id::new(),
            number: number.to_string(),
            payment: Id::new(),
            parts: std::array::from_fn(|_| Id::new()),
            job: Id::new(),
            events: std::array::from_fn(|_| Id::new()),
            fulfilment: [Id::new(), Id::new(), Id::new(), Id::new()],
            capture: Arc::new(fulfilment::Fresh::new()),
            reference: Id::new(),
            customer: Id::new(),
        }
    }
}

/// A cart as it was claimed, with what is known of its lines.
#[derive(Clone)]
pub(super) struct Prepared {
    pub cart: Cart,
    pub variants: HashMap<VariantId, Variant>,
    pub needs: Vec<Need>,
    /// What is known of it where it is decided which locations ship it.
    pub facts: Facts,
    /// What it takes of promotions that are limited.
    pub uses: Vec<Use>,
    /// What gift cards and store credit pay of it.
    pub parts: Vec<Part>,
}

impl Prepared {
    /// Whether promotions reduce it: then it may hold some of theirs, whatever the rules say of them now.
    fn is_promoted(&self) -> bool {
        self.cart.details.totals.as_ref().is_some_and(|totals| !totals.promotions.is_empty())
    }
}

/// What was done for an order before it is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing.
    Nothing,
    /// Its stock was reserved by the checkout.
    Reserved,
    /// Its stock was reserved, and the provider has promised the money.
    Promised,
}

/// An order with all that is written with it, made ready without the database. It holds for the shares that it was made for.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    shares: Vec<Share>,
    /// Whether something of it is still to come.
    waits: bool,
    promise: Option<Promise>,
    placing: orders::Placing,
    work: Vec<FulfilmentOrder>,
    events: Vec<NewEvent>,
    /// The order as it will be.
    pub order: Arc<OrderDocument>,
}

/// Makes an order ready whose pieces come from these shares.
///
/// # Errors
/// A cart without prices, which would be a defect.
pub(super) fn draft(
    checkout: &Checkout,
    payment: Option<&Payment>,
    prepared: &Prepared,
    (shares, waits): (Vec<Share>, bool),
) -> Result<Draft> {
    let context = &checkout.context;
    let parts = paying::of_parts(&checkout.tickets, prepared);
    let mut payments: Vec<PaymentView> =
        parts.iter().map(|part| PaymentView::from(&paying::opened(part, context.now))).collect();
    payments.extend(payment.map(PaymentView::from));
    let placed_at = prepared.cart.details.occurred_at.unwrap_or(context.now);
    let promise = promised(checkout, prepared, (&shares, waits), placed_at);
    let new = new_order(checkout, &payments, prepared, (&shares, promise), placed_at)?;
    let (placing, mut order) = orders::prepare(context.now, new)?;
    let due_at = due_at(checkout, placed_at);
    let mut work = fulfilment::work_of(context.now, &order, &shares, due_at, &checkout.tickets.fulfilment)?;
    for one in &mut work {
        one.accept_by = checkout.locations.get(one.location_id).ok().and_then(|place| place.accept_by(context.now));
    }
    let events = told(checkout, &mut order, payments, &work, placed_at)?;
    Ok(Draft { shares, waits, promise, placing, work, events, order: Arc::new(order) })
}

/// Makes the order of a paid cart. What was reserved and has expired since is taken again where it can be. Where it can
/// not, an order that nobody has promised money for is refused; for one that is paid it is the reason, and nothing is kept for it:
/// the promise has to be given up.
///
/// `payment` is that of the chosen method, where gift cards and store credit leave anything to pay.
///
/// `drafted` is the order as it was made ready for the shares that the checkout has reserved; when it gets others, it is
/// made anew.
pub(super) fn place(
    tx: &mut Tx,
    checkout: &Checkout,
    payment: Option<&Payment>,
    prepared: &Prepared,
    before: Before,
    drafted: Option<&Draft>,
) -> Result<Result<Arc<OrderDocument>, Code>> {
    let (tickets, context) = (&checkout.tickets, &checkout.context);
    let cart = &prepared.cart;
    let placed_at = cart.details.occurred_at.unwrap_or(context.now);
    if before == Before::Promised && is_known(tx, cart)? {
        return Ok(Err(Code::Duplicate));
    }
    if before == Before::Promised && !keep_parts(tx, checkout, prepared)? {
        return Ok(Err(Code::StoredValueShort));
    }
    if before == Before::Promised && !take_promised(tx, checkout, prepared)? {
        return Ok(Err(Code::PromotionExhausted));
    }
    let Some(booking) = take_stock(tx, checkout, prepared, before, placed_at)? else {
        if prepared.is_promoted() {
            promotions::release(tx, cart.id)?;
        }
        return Ok(Err(Code::OutOfStock));
    };
    if !carts::complete(tx, context.now, cart.id, tickets.order)? {
        // A cart is being paid as long as its payment is open, and this one's was a moment ago in this transaction.
        return Err(Error::internal("a payment was open whose cart was not being paid"));
    }
    let anew;
    let draft = match drafted.filter(|draft| draft.shares == booking.shares() && draft.waits == booking.waits()) {
        Some(draft) => draft,
        None => {
            anew = draft(checkout, payment, prepared, (booking.shares().to_vec(), booking.waits()))?;
            &anew
        }
    };
    stored_value::consume(tx, cart.id, &prepared.parts)?;
    payments::open_all(tx, context.now, &paying::of_parts(tickets, prepared))?;
    orders::place(tx, context.now, &draft.placing)?;
    ledger::post(tx, context.now, vec![posting(&draft.order, placed_at)])?;
    fulfilment::open(tx, &draft.work, booking.sourcing())?;
    if let Some(promise) = draft.promise {
        fulfilment::keep_promise(tx, draft.order.id, promise.until(checkout.context.channel.settings.time_zone.0))?;
    }
    events::append(tx, &checkout.actor, context.now, draft.events.clone())?;
    if draft.order.fulfilment_state == orders::FulfilmentStatus::NotRequired {
        fulfilment::capture_due(tx, context.now, &draft.order, &tickets.capture)?;
    }
    // The counters that everybody wants come last, so that a hot coupon or SKU is locked for the shortest time.
    if before != Before::Promised {
        let holds = before == Before::Reserved && prepared.is_promoted();
        promotions::consume(tx, context.now, cart.id, tickets.order, (&prepared.uses, holds))?;
    }
    booking.apply(tx, context.now)?;
    Ok(Ok(draft.order.clone()))
}

/// Sees to it that a cart whose money is promised still has set aside what gift cards and store credit pay of it. False when that
/// has ended and others have spent it.
fn keep_parts(tx: &mut Tx, checkout: &Checkout, prepared: &Prepared) -> Result<bool> {
    let (cart, now) = (prepared.cart.id, checkout.context.now);
    let until = now.plus_seconds(checkout.lease_seconds);
    match stored_value::confirm(tx, (now, &checkout.actor), cart, &prepared.parts, until) {
        Ok(()) => Ok(true),
        Err(error) if error.code() == Code::StoredValueShort => {
            tracing::warn!(%cart, "a paid cart found its gift card or store credit spent");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Makes the promotions of a cart its order's, whose money is promised. False when they ended and are used up by others: it holds
/// nothing then.
fn take_promised(tx: &mut Tx, checkout: &Checkout, prepared: &Prepared) -> Result<bool> {
    let (cart, now) = (prepared.cart.id, checkout.context.now);
    match promotions::consume(tx, now, cart, checkout.tickets.order, (&prepared.uses, prepared.is_promoted())) {
        Ok(()) => Ok(true),
        Err(error) if error.code() == Code::PromotionExhausted => {
            tracing::warn!(%cart, "a paid cart found its promotion used up");
            promotions::release(tx, cart)?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// When each location should have shipped its part of what was ordered at an instant.
fn due_at(checkout: &Checkout, placed_at: Instant) -> impl Fn(LocationId) -> Instant {
    let settings = &checkout.context.channel.settings;
    let promised = settings.due_hours.map(|hours| placed_at.plus_seconds(3600 * hours));
    move |location| promised.unwrap_or_else(|| checkout.locations.due_at(location, placed_at, settings.time_zone))
}

/// By when the goods of an order arrive; nothing where some of them are still to come.
fn promised(
    checkout: &Checkout,
    prepared: &Prepared,
    (shares, waits): (&[Share], bool),
    placed_at: Instant,
) -> Option<Promise> {
    let method = prepared.cart.details.shipping_method.as_deref().filter(|_| !waits && !shares.is_empty())?;
    let from: Vec<LocationId> = shares.iter().map(|share| share.location).collect();
    let to = (method, prepared.facts.country);
    carts::promise(&checkout.context, to, (&checkout.locations, &from), placed_at)
}

/// Whether there is an order already that has the foreign name which this cart is to get.
pub(super) fn is_known(tx: &mut Tx, cart: &Cart) -> Result<bool> {
    let Some(reference) = &cart.details.reference else { return Ok(false) };
    Ok(orders::known_ref(tx, &reference.system, orders::FOREIGN_ORDER, &reference.value)?.is_some())
}

/// Allocates the stock, from the reservation where there is one.
fn take_stock(
    tx: &mut Tx,
    checkout: &Checkout,
    prepared: &Prepared,
    before: Before,
    placed_at: Instant,
) -> Result<Option<stock::Booking>> {
    let (actor, now) = (&checkout.actor, checkout.context.now);
    let reference = checkout.tickets.order.to_string();
    if prepared.needs.is_empty() {
        return Ok(Some(stock::Booking::default()));
    }
    if before != Before::Nothing
        && let Some(booking) = stock::consume(tx, now, actor, prepared.cart.id, &reference, placed_at)?
    {
        return Ok(Some(booking));
    }
    let sources = Sources::of(&checkout.locations, &prepared.facts);
    match stock::allocate(tx, now, actor, &prepared.needs, sources, &reference, placed_at) {
        Ok(booking) => Ok(Some(booking)),
        // Paid, and meanwhile sold out or every location switched off: it would be so the next time too.
        Err(error)
            if before == Before::Promised && matches!(error.code(), Code::OutOfStock | Code::LocationInactive) =>
        {
            tracing::warn!(cart = %prepared.cart.id, %error, "a paid cart found no stock");
            Ok(None)
        }
        Err(error) if before == Before::Nothing => Err(carts::without_gift(&prepared.cart, error)),
        Err(error) => Err(error),
    }
}

fn new_order(
    checkout: &Checkout,
    payments: &[PaymentView],
    prepared: &Prepared,
    (shares, promise): (&[Share], Option<Promise>),
    placed_at: Instant,
) -> Result<NewOrder> {
    let (cart, channel) = (&prepared.cart, &checkout.context.channel);
    let details = &cart.details;
    let totals = details.totals.clone().ok_or_else(|| Error::internal("a cart without a price was paid"))?;
    let lines = placed_lines(details, prepared, &totals, shares)?;
    Ok(NewOrder {
        id: checkout.tickets.order,
        number: checkout.tickets.number.clone(),
        channel: channel.id,
        test: channel.test,
        customer: cart.customer,
        cart: Some(cart.id),
        lines,
        payments: payments.to_vec(),
        placed_at,
        events: SOLD + count(payments)? + opened(prepared, shares)?,
        reference: details.reference.as_ref().map(|reference| {
            let (system, value) = (reference.system.to_string(), reference.value.to_string());
            (checkout.tickets.reference, ExternalRef { system, kind: orders::FOREIGN_ORDER.to_owned(), value })
        }),
        details: OrderDetails {
            email: details.email.as_ref().map(|email| email.as_str().to_owned()),
            locale: details.locale.clone(),
            source: details.source.clone(),
            device: cart.device,
            billing_address: details.billing_address.clone().or_else(|| details.shipping_address.clone()),
            vat_id: details.vat_id.clone(),
            deliveries: cart.deliveries().into_iter().map(|one| carts::Delivery { promise, ..one }).collect(),
            // The chosen method comes last; without one, what pays all of it.
            payment_method: payments.last().map(|payment| payment.provider.clone()).unwrap_or_default(),
            totals,
            metadata: details.metadata.clone(),
        },
    })
}

fn placed_lines(
    details: &carts::CartDetails,
    prepared: &Prepared,
    totals: &Totals,
    shares: &[Share],
) -> Result<Vec<PlacedLine>> {
    // A cart may have a thousand lines: they are not each looked for among a thousand.
    let priced: HashMap<i32, &LineTotals> = totals.lines.iter().map(|line| (line.line_no, line)).collect();
    let mut own: HashMap<i32, Vec<&Share>> = HashMap::with_capacity(priced.len());
    for share in shares {
        own.entry(share.line_no).or_default().push(share);
    }
    let line = |line: &carts::CartLine| {
        let own = own.get(&line.line_no).map(Vec::as_slice).unwrap_or_default();
        placed_line(line, prepared, priced.get(&line.line_no).copied(), own)
    };
    details.lines.iter().map(line).collect()
}

fn placed_line(
    line: &carts::CartLine,
    prepared: &Prepared,
    priced: Option<&LineTotals>,
    own: &[&Share],
) -> Result<PlacedLine> {
    let variant = prepared.variants.get(&line.variant_id).ok_or_else(|| Error::internal("a line without a variant"))?;
    let priced = priced.ok_or_else(|| Error::internal("a line without a price"))?;
    Ok(PlacedLine {
        variant_id: line.variant_id,
        sku: line.sku.clone(),
        quantity: line.quantity,
        allocated: own.iter().map(|share| share.quantity).sum(),
        line_no: line.line_no,
        details: LineDetails {
            name: variant.name.clone(),
            unit_code: variant.unit_code.clone(),
            // What is counted leaves through a fulfilment order, even where it is only handed over.
            requires_shipping: variant.requires_shipping || own.iter().any(|share| share.tracked),
            weight_grams: variant.weight_grams,
            tax_class: variant.tax_class.clone(),
            tax_rate: priced.tax_rate,
            per: priced.per,
            subtotal: priced.subtotal,
            discount: priced.discount,
            explanation: priced.explanation.clone(),
            metadata: line.metadata.clone(),
        },
    })
}

/// What the customer owes, against what was sold and the tax on it.
fn posting(order: &OrderDocument, occurred_at: Instant) -> Posting {
    let minor = Money::minor;
    Posting {
        order: order.id,
        posting: "placed".to_owned(),
        occurred_at,
        currency: order.currency,
        entries: vec![
            (Account::Receivable, minor(order.total)),
            (Account::Revenue, -minor(order.net)),
            (Account::Tax, -minor(order.tax)),
        ],
    }
}

/// What `payment.authorised.v1` says.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Authorised<'a> {
    /// The order.
    order_id: OrderId,
    /// Its number.
    order_number: &'a str,
    /// The payment that promises its money.
    payment: PaymentView,
}

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    vec![EventSchema::of::<OrderDocument>(PLACED), EventSchema::of::<Authorised<'_>>(AUTHORISED)]
}

const PLACED: &str = "order.placed.v1";
const AUTHORISED: &str = "payment.authorised.v1";
/// How many events tell that an order was sold; one for each payment, and for each location that has work with it, follows.
const SOLD: i64 = 1;

fn count<T>(of: &[T]) -> Result<i64> {
    i64::try_from(of.len()).map_err(Error::internal)
}

/// How many fulfilment orders will be opened.
fn opened(prepared: &Prepared, shares: &[Share]) -> Result<i64> {
    let ships = |share: &Share| {
        prepared.variants.get(&share.variant).is_some_and(|variant| variant.requires_shipping || share.tracked)
    };
    let mut places: Vec<LocationId> =
        shares.iter().filter(|share| share.quantity > 0 && ships(share)).map(|share| share.location).collect();
    places.sort_unstable();
    places.dedup();
    i64::try_from(places.len()).map_err(Error::internal)
}

/// The events that tell of a placed order.
fn told(
    checkout: &Checkout,
    order: &mut OrderDocument,
    payments: Vec<PaymentView>,
    work: &[FulfilmentOrder],
    placed_at: Instant,
) -> Result<Vec<NewEvent>> {
    let mut fresh = checkout.tickets.events.iter().copied();
    let whole = order.payload(Json::of)?;
    let (order_id, order_number) = (order.id, order.number.as_str());
    let mut told = vec![(PLACED, whole)];
    for payment in payments {
        told.push((AUTHORISED, Payload::of(&Authorised { order_id, order_number, payment })?));
    }
    for opened in work {
        told.push((fulfilment::OPENED, fulfilment::work_payload(order, opened, Vec::new())?));
    }
    let count = count(&told)?;
    if count != order.version {
        return Err(Error::internal("an order was placed for another number of events than it has"));
    }
    let all = (1..).zip(told).map(|(place, (kind, payload))| {
        orders::event(order, (place, count), fresh.next().unwrap_or_default(), kind, placed_at, payload)
    });
    Ok(all.collect())
}
