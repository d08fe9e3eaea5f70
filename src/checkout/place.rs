//! Placing an order: the part of the last transaction that turns a paid cart into it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{bundles, judging, paying, service::Checkout};
use crate::{
    carts::{self, Cart, Context, Promise, Taken},
    catalog::Variant,
    channels::{Channel, Invoicing},
    credit::{self, ON_ACCOUNT},
    db::{Json, Tx},
    error::{Code, Error, Result},
    events::{self, EventSchema, NewEvent, Payload},
    fulfilment::{self, FulfilmentOrder},
    kernel::{
        Actor, Country, Id, Instant, Money,
        ids::{
            CartId, CreditEntryId, CustomerId, EventId, ExternalRefId, FulfilmentOrderId, JobId, LocationId, OrderId,
            PaymentId, RiskAssessmentId, VariantId,
        },
    },
    orders::{self, ExternalRef, LineDetails, NewOrder, OrderDetails, OrderDocument, PlacedLine},
    payments::{
        self, AUTHORISED, Account, Authorised, Payment, PaymentView, Posting,
        ledger::{self, Part as TaxedPart, Sold},
    },
    pricing::{
        model::{LineTotals, TaxTotal, Totals},
        promotions::{self, Use},
    },
    risk::Recorded,
    stock::{
        self, LevelKey, Need, Share, Spot,
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
    /// The job that invoices it.
    pub invoice: JobId,
    /// What it takes of a company's credit, and the event that it is held where that is above the limit.
    pub credit: (CreditEntryId, EventId),
    /// Who a shopper becomes that has signed in and is not known yet.
    pub customer: CustomerId,
    /// What is found of its risk.
    pub assessment: RiskAssessmentId,
    /// The event that it is held.
    pub hold: EventId,
    /// The event that its money waits for a return.
    pub exchange: EventId,
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
            invoice: Id::new(),
            credit: (Id::new(), Id::new()),
            customer: Id::new(),
            assessment: Id::new(),
            hold: Id::new(),
            exchange: Id::new(),
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
    /// What was found of its risk, where the channel has rules.
    pub risk: Option<Recorded>,
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

/// What of an order is still to come. Nothing is made ready for what waits.
#[derive(Debug, Default)]
pub(super) struct StillToCome {
    /// When it comes to its levels: none where nobody knows.
    coming: HashMap<LevelKey, Option<Instant>>,
    /// The shares that wait for it.
    awaited: BTreeSet<Spot>,
    /// Those of them that are held by a sourcing profile's fallback.
    held: BTreeSet<Spot>,
    /// For how many days strategies ask pieces of lines and deliveries to keep, those that are there too.
    keep: BTreeMap<(i32, i32), i64>,
}

impl StillToCome {
    fn of(tx: &mut Tx, context: &Context, booking: &stock::Booking) -> Result<Self> {
        let coming = stock::outlook::coming(tx, context.now, &context.locations, &booking.waits_at())?;
        let keep = booking.shelf_lives();
        Ok(Self { coming, awaited: booking.awaited(), held: booking.held(), keep })
    }

    /// When the last of a fulfilment order's goods comes that is still to come, as far as it is known.
    fn comes(&self, work: &FulfilmentOrder, shares: &[Share]) -> Option<Instant> {
        let own = shares.iter().filter(|share| {
            share.location == work.location_id
                && usize::try_from(share.delivery) == Ok(work.number())
                && self.held.contains(&share.spot()) != work.holds.is_empty()
                && self.awaited.contains(&share.spot())
        });
        own.filter_map(|share| *self.coming.get(&(share.variant, share.location))?).max()
    }
}

/// An order with all that is written with it, made ready without the database. It holds for the shares that it was made for.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    shares: Vec<Share>,
    /// Whether something of it is still to come.
    waits: bool,
    /// By when each of its deliveries arrives.
    promises: Vec<Option<Promise>>,
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
    (shares, still): (Vec<Share>, &StillToCome),
) -> Result<Draft> {
    let context = &checkout.context;
    let parts = paying::of_parts(&checkout.tickets, prepared);
    let mut payments: Vec<PaymentView> =
        parts.iter().map(|part| PaymentView::from(&paying::opened(part, context.now))).collect();
    payments.extend(payment.map(PaymentView::from));
    let placed_at = prepared.cart.details.occurred_at.unwrap_or(context.now);
    let (held, waits) = (&still.held, !still.coming.is_empty());
    let promises = promised(checkout, prepared, (&shares, still), placed_at);
    let new = new_order(checkout, &payments, prepared, (&shares, &promises, held), placed_at)?;
    let (placing, mut order) = orders::prepare(context.now, new)?;
    let due_at = |location, comes| {
        carts::due_at(&context.channel, (&context.locations, carts::Origin { location, comes }), placed_at)
    };
    let until = |promise: Promise| promise.until(context.channel.settings.time_zone.0);
    let ids = &checkout.tickets.fulfilment;
    let usual = |place| due_at(place, None);
    let mut work = fulfilment::work_of(context.now, &order, (&shares, held, &still.keep), usual, ids)?;
    for one in &mut work {
        // What is to come leaves when it has come.
        if let Some(comes) = still.comes(one, &shares) {
            (one.turn_at, one.due_at) = (Some(one.due_at), due_at(one.location_id, Some(comes)));
        }
        one.accept_by = context.locations.get(one.location_id).ok().and_then(|place| place.accept_by(context.now));
        one.promised_until =
            promises.get(one.number()).copied().flatten().filter(|_| one.delivery.is_some()).map(until);
    }
    let events = told(checkout, &mut order, payments, &work, placed_at)?;
    Ok(Draft { shares, waits, promises, placing, work, events, order: Arc::new(order) })
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
    let still = StillToCome::of(tx, context, &booking)?;
    // What was made ready knew of nothing that is still to come, nor of what a strategy asks for.
    let known = still.coming.is_empty() && still.keep.is_empty();
    let drafted = drafted.filter(|draft| draft.shares == booking.shares() && !draft.waits && known);
    let draft = match drafted {
        Some(draft) => draft,
        None => {
            anew = draft(checkout, payment, prepared, (booking.shares().to_vec(), &still))?;
            &anew
        }
    };
    stored_value::consume(tx, cart.id, &prepared.parts)?;
    payments::open_all(tx, context.now, &paying::of_parts(tickets, prepared))?;
    orders::place(tx, context.now, &draft.placing)?;
    let country = carts::taxed_in(context, cart, &prepared.variants);
    ledger::post_sold(tx, context.now, &posting(&draft.order, placed_at), &sold(&draft.order, country))?;
    fulfilment::open(tx, &draft.work, booking.sourcing())?;
    // Of several deliveries each one's fulfilment orders keep its own.
    let until = |promise: Promise| promise.until(checkout.context.channel.settings.time_zone.0);
    let promised = if let [one] = draft.promises.as_slice() { one.map(until) } else { None };
    let arrived = draft.waits && stock::outlook::came_elsewhere(tx, cart.id, &booking.waits_at())?;
    fulfilment::keep_promise(tx, context.now, draft.order.id, (promised, draft.waits, arrived))?;
    events::append(tx, &checkout.actor, context.now, draft.events.clone())?;
    let order = take_credit(tx, checkout, payment, (cart, &draft.order))?;
    let order = await_return(tx, checkout, cart, order)?;
    if draft.order.fulfilment_state == orders::FulfilmentStatus::NotRequired {
        fulfilment::capture_due(tx, context.now, &order, &tickets.capture)?;
    }
    if orders::is_invoiced_at_once(&draft.order) {
        orders::invoice_later(tx, context.now, &draft.order, tickets.invoice)?;
    }
    let order = judging::settle(tx, checkout, &order, prepared.risk.as_ref())?;
    // The counters that everybody wants come last, so that a hot coupon or SKU is locked for the shortest time.
    if before != Before::Promised {
        let holds = before == Before::Reserved && prepared.is_promoted();
        promotions::consume(tx, context.now, cart.id, tickets.order, (&prepared.uses, holds))?;
    }
    booking.apply(tx, context.now)?;
    Ok(Ok(order))
}

/// Keeps the money of what is sent in exchange from being taken until it is known what has come back for it, from the beginning.
fn await_return(
    tx: &mut Tx,
    checkout: &Checkout,
    cart: &Cart,
    order: Arc<OrderDocument>,
) -> Result<Arc<OrderDocument>> {
    if !cart.details.awaits_return {
        return Ok(order);
    }
    let (by, event) = ((checkout.context.now, &Actor::System("returns")), checkout.tickets.exchange);
    fulfilment::await_return(tx, by, event, order.id, "its goods leave before those of their return are back")
        .map(Arc::new)
}

/// Takes an order's part of its company's credit, where it is paid on account. Above the limit, as far as the company is let, the order
/// is held.
fn take_credit(
    tx: &mut Tx,
    checkout: &Checkout,
    payment: Option<&Payment>,
    (cart, order): (&Cart, &Arc<OrderDocument>),
) -> Result<Arc<OrderDocument>> {
    let Some(payment) = payment.filter(|payment| payment.provider == ON_ACCOUNT) else { return Ok(order.clone()) };
    let (now, (entry, event)) = (checkout.context.now, checkout.tickets.credit);
    let claim = credit::Claim {
        standing: credit::Standing::of(tx, (order.placed_at, order.net_days), cart.customer)?,
        payment: payment.id,
        order: order.id,
        number: order.number.clone(),
        amount: payment.amount,
        up_to: cart.details.approved.as_ref().and_then(|approved| approved.credit_up_to),
        askable: true,
    };
    let over = match credit::take(tx, (now, &checkout.actor), entry, &claim)? {
        credit::Taken::Within => return Ok(order.clone()),
        credit::Taken::Above(over) => over,
    };
    let hold = orders::holds::NewOrderHold {
        kind: orders::holds::OrderHoldKind::Credit,
        line_no: None,
        blocks: None,
        reason: format!("its company owes {over} more than it may"),
        owner: Some(orders::holds::CREDIT.to_owned()),
        expires_at: None,
    };
    orders::holds::hold(tx, now, &Actor::System("credit"), event, order.id, &hold).map(Arc::new)
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

/// By when the goods of each of an order's deliveries arrive; nothing where nobody knows when some of them come.
fn promised(
    checkout: &Checkout,
    prepared: &Prepared,
    (shares, still): (&[Share], &StillToCome),
    placed_at: Instant,
) -> Vec<Option<Promise>> {
    let context = &checkout.context;
    let of = |(number, parcel): (i32, &carts::Parcel<'_>)| {
        let own: Vec<Share> = shares.iter().filter(|share| share.delivery == number).cloned().collect();
        let from = carts::origins(&own, (&still.coming, &still.awaited)).filter(|from| !from.is_empty())?;
        let to = (parcel.method?, prepared.facts.of_delivery(number).country);
        carts::promise((&context.rules, &context.channel), to, (&context.locations, &from), placed_at)
    };
    (0..).zip(&carts::parcels(&prepared.cart.details)).map(of).collect()
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
    let sources = Sources::of(&checkout.context.locations, &prepared.facts);
    match stock::allocate(tx, now, actor, &prepared.needs, sources, &reference, placed_at) {
        Ok(booking) => Ok(Some(booking)),
        // Paid, and meanwhile sold out or every location switched off: it would be so the next time too.
        Err(error)
            if before == Before::Promised
                && matches!(error.code(), Code::OutOfStock | Code::LocationInactive | Code::NotCapable) =>
        {
            tracing::warn!(cart = %prepared.cart.id, %error, "a paid cart found no stock");
            Ok(None)
        }
        Err(error) => {
            let error = carts::by_line(&prepared.cart, error);
            Err(if before == Before::Nothing { carts::without_gift(&prepared.cart, error) } else { error })
        }
    }
}

fn new_order(
    checkout: &Checkout,
    payments: &[PaymentView],
    prepared: &Prepared,
    (shares, promises, held): (&[Share], &[Option<Promise>], &BTreeSet<Spot>),
    placed_at: Instant,
) -> Result<NewOrder> {
    let (cart, channel) = (&prepared.cart, &checkout.context.channel);
    let details = &cart.details;
    let totals = details.totals.clone().ok_or_else(|| Error::internal("a cart without a price was paid"))?;
    let bundles::Sold { totals, bundles } = bundles::sold(cart, totals)?;
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
        events: SOLD + count(payments)? + opened(prepared, shares, held)?,
        reference: details.reference.as_ref().map(|reference| {
            let (system, value) = (reference.system.to_string(), reference.value.to_string());
            (checkout.tickets.reference, ExternalRef { system, kind: orders::FOREIGN_ORDER.to_owned(), value })
        }),
        details: OrderDetails {
            email: details.email.as_ref().map(|email| email.as_str().to_owned()),
            locale: details.locale.clone(),
            source: details.source.clone(),
            device: cart.device,
            billing_address: details.billing_address.clone().or_else(|| carts::first_address(details).cloned()),
            vat_id: details.vat_id.clone(),
            deliveries: promised_deliveries(cart, promises),
            min_shelf_life_days: min_shelf_life_days(channel, prepared),
            // The chosen method comes last; without one, what pays all of it.
            purchase_order: details.purchase_order.clone(),
            contracts: details.contracts.clone(),
            payment_method: payments.last().map(|payment| payment.provider.clone()).unwrap_or_default(),
            invoicing: invoicing(channel, details),
            totals,
            bundles,
            metadata: details.metadata.clone(),
        },
    })
}

/// How the order is invoiced. What was ordered elsewhere, before, was invoiced there.
fn invoicing(channel: &Channel, details: &carts::CartDetails) -> Option<Invoicing> {
    let said = channel.settings.invoicing;
    let own = !said.is_off() && !(said.is_own() && (channel.test || details.occurred_at.is_some()));
    own.then_some(said)
}

/// A cart's deliveries as its order has them.
fn promised_deliveries(cart: &Cart, promises: &[Option<Promise>]) -> Vec<carts::Delivery> {
    let promises = promises.iter().copied().chain(std::iter::repeat(None));
    let deliveries = cart.placed_deliveries().into_iter().zip(promises);
    deliveries.map(|(one, promise)| carts::Delivery { promise, ..one }).collect()
}

/// For how many days goods must still keep when they leave.
fn min_shelf_life_days(channel: &Channel, prepared: &Prepared) -> Option<i64> {
    let life = channel.settings.min_shelf_life.as_ref()?;
    Some(life.days_for(prepared.facts.customer_group.as_deref())).filter(|days| *days > 0)
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
    let (articles, parts): (Vec<Taken<'_>>, Vec<Taken<'_>>) =
        carts::taken(details).into_iter().partition(|one| one.component.is_none());
    let line = |one: Taken<'_>| {
        let own = own.get(&one.line_no).map(Vec::as_slice).unwrap_or_default();
        placed_line(&one, prepared, priced.get(&one.line_no).copied(), own)
    };
    // As their numbers are: components behind all else.
    articles.into_iter().chain(parts).map(line).collect()
}

fn placed_line(
    one: &Taken<'_>,
    prepared: &Prepared,
    priced: Option<&LineTotals>,
    own: &[&Share],
) -> Result<PlacedLine> {
    let variant = prepared.variants.get(&one.variant).ok_or_else(|| Error::internal("a line without a variant"))?;
    let priced = priced.ok_or_else(|| Error::internal("a line without a price"))?;
    Ok(PlacedLine {
        variant_id: variant.id,
        sku: variant.sku.clone(),
        quantity: priced.quantity,
        allocated: own.iter().map(|share| share.quantity).sum(),
        line_no: one.line_no,
        details: LineDetails {
            name: variant.name.clone(),
            unit_code: variant.unit_code.clone(),
            // What is counted leaves through a fulfilment order, even where it is only handed over.
            requires_shipping: variant.requires_shipping || own.iter().any(|share| share.tracked),
            weight_grams: variant.weight_grams,
            tax_class: bundles::tax_class(prepared, one).unwrap_or_else(|| variant.tax_class.clone()),
            tax_rate: priced.tax_rate,
            per: priced.per,
            subtotal: priced.subtotal,
            discount: priced.discount,
            explanation: priced.explanation.clone(),
            bundle: bundles::part_of(one),
            metadata: one.line.metadata.clone(),
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

/// Where and how what was sold is taxed.
fn sold(order: &OrderDocument, country: Country) -> Sold {
    let part = |row: &TaxTotal| TaxedPart { rate: row.rate, net: row.net.minor(), tax: row.tax.minor() };
    let (country, treatment) = (Some(country), order.tax_treatment);
    Sold { channel: order.channel_id, country, treatment, parts: order.taxes.iter().map(part).collect() }
}

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    vec![EventSchema::of::<OrderDocument>(PLACED), EventSchema::of::<Authorised<'_>>(AUTHORISED)]
}

const PLACED: &str = "order.placed.v1";
/// How many events tell that an order was sold; one for each payment, and for each location that has work with it, follows.
const SOLD: i64 = 1;

fn count<T>(of: &[T]) -> Result<i64> {
    i64::try_from(of.len()).map_err(Error::internal)
}

/// How many fulfilment orders will be opened.
fn opened(prepared: &Prepared, shares: &[Share], held: &BTreeSet<Spot>) -> Result<i64> {
    let ships = |share: &Share| {
        prepared.variants.get(&share.variant).is_some_and(|variant| variant.requires_shipping || share.tracked)
    };
    let place = |share: &Share| (share.delivery, share.location, held.contains(&share.spot()));
    let mut places: Vec<(i32, LocationId, bool)> =
        shares.iter().filter(|share| share.quantity > 0 && ships(share)).map(place).collect();
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
