//! The transactions of abandonment: a cart is abandoned once, come back to, recovered once.

use std::collections::HashSet;

use serde::Serialize;

// What is asked for as it stands in the tables.
pub(super) use super::store::{Filter, page};
use super::{
    model::{self, Abandonment, AbandonmentFigures},
    store,
};
use crate::{
    carts::{self, Cart, CartState, Source},
    channels::Directory,
    db::Tx,
    error::{Code, Error, Result},
    events::{self, Event, EventSchema, NewEvent, Payload},
    http::seal::Secret,
    kernel::{
        Actor, Instant, Money,
        ids::{AbandonmentId, CartId, ChannelId, CustomerId, EventId, OrderId},
    },
};

const ABANDONED: &str = "cart.abandoned.v1";
const RECOVERED: &str = "cart.recovered.v1";

/// Who finds abandoned carts.
fn detector() -> Actor {
    Actor::System("abandonment")
}

/// What finding abandoned carts needs from outside the transaction.
#[derive(Clone)]
pub(super) struct Finder {
    pub secret: std::sync::Arc<Secret>,
    pub public_url: String,
    pub directory: std::sync::Arc<Directory>,
    /// An abandonment and an event per cart; as many as are taken at once.
    pub fresh: Vec<(AbandonmentId, EventId)>,
}

/// The token that opens an abandoned cart. It is derived, not kept.
pub(super) fn recovery_token(secret: &Secret, cart: CartId) -> String {
    secret.token("recover", &cart.to_string())
}

/// A line of an abandoned cart, without what a storefront may have noted on it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AbandonedLine)]
struct Line<'a> {
    line_no: i32,
    sku: &'a str,
    name: &'a str,
    quantity: i64,
    gross: Option<Money>,
}

/// What `cart.abandoned.v1` says.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Abandoned<'a> {
    #[serde(flatten)]
    abandonment: &'a Abandonment,
    lines: Vec<Line<'a>>,
    customer_id: Option<CustomerId>,
    locale: Option<&'a str>,
    source: Option<&'a Source>,
    /// Whether the shopper has agreed to messages.
    marketing_consent: bool,
    /// The address to send to; only of shoppers who have agreed.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    /// The link that opens the cart: the channel's `cart_page`, else the address of the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_url: Option<String>,
    /// The token in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_token: Option<String>,
}

/// What is personal in it. The link opens the cart with the addresses in it, so it is as personal as they are.
#[derive(Debug, Serialize)]
struct Personal<'a> {
    recovery_url: String,
    recovery_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
}

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    vec![EventSchema::of::<Abandoned<'_>>(ABANDONED), EventSchema::of::<Abandonment>(RECOVERED)]
}

/// Notes which carts have been left alone for too long, each once. Returns how many carts were looked at.
pub(super) fn detect(tx: &mut Tx, now: Instant, finder: &Finder) -> Result<usize> {
    let limit = i64::try_from(finder.fresh.len()).unwrap_or(i64::MAX);
    let taken = carts::take_abandoned(tx, now, limit)?;
    let mut found: Vec<(Abandonment, NewEvent)> = Vec::with_capacity(taken.len());
    for ((cart, at), (id, event)) in taken.iter().zip(&finder.fresh) {
        if counts(cart, &finder.directory) {
            let abandonment = abandonment(*id, cart, *at);
            let event = announcement(*event, &abandonment, cart, finder)?;
            found.push((abandonment, event));
        }
    }
    if !found.is_empty() {
        let all: Vec<Abandonment> = found.iter().map(|(abandonment, _)| abandonment.clone()).collect();
        let fresh: HashSet<CartId> = store::insert(tx, &all)?.into_iter().collect();
        let mine = found.into_iter().filter(|(abandonment, _)| fresh.contains(&abandonment.cart_id));
        events::append(tx, &detector(), now, mine.map(|(_, event)| event).collect())?;
    }
    Ok(taken.len())
}

/// Whether a cart's inactivity means something: not in a test channel, not in a history that is taken over.
fn counts(cart: &Cart, directory: &Directory) -> bool {
    let of_test = directory.get(cart.channel).is_ok_and(|channel| channel.test);
    let waits = matches!(cart.state, CartState::Open | CartState::Frozen) && !cart.details.lines.is_empty();
    waits && !of_test && cart.details.occurred_at.is_none()
}

fn abandonment(id: AbandonmentId, cart: &Cart, at: Instant) -> Abandonment {
    Abandonment {
        id,
        cart_id: cart.id,
        channel_id: cart.channel,
        stage: cart.stage,
        device: cart.device,
        value: Money::from_minor(cart.total(), cart.currency),
        line_count: i64::try_from(cart.details.lines.len()).unwrap_or(i64::MAX),
        cart_created_at: cart.created_at,
        abandoned_at: at,
        returned_at: None,
        recovered_at: None,
        order_id: None,
    }
}

/// The event: the cart without anything personal, and apart from that the link that opens it and, where the shopper has
/// agreed to messages, the address to send it to.
fn announcement<'a>(id: EventId, abandonment: &'a Abandonment, cart: &'a Cart, finder: &Finder) -> Result<NewEvent> {
    let totals = cart.details.totals.as_ref();
    let gross = |line_no: i32| totals?.lines.iter().find(|line| line.line_no == line_no).map(|line| line.gross);
    let line = |line: &'a carts::CartLine| {
        let (line_no, quantity) = (line.line_no, line.quantity.get());
        Line { line_no, sku: &line.sku, name: &line.name, quantity, gross: gross(line_no) }
    };
    let details = &cart.details;
    let data = Abandoned {
        abandonment,
        lines: details.lines.iter().map(line).collect(),
        customer_id: cart.customer,
        locale: details.locale.as_deref(),
        source: details.source.as_ref(),
        marketing_consent: details.marketing_consent,
        email: None,
        recovery_url: None,
        recovery_token: None,
    };
    let token = recovery_token(&finder.secret, cart.id);
    let page = finder.directory.get(cart.channel).ok().and_then(|channel| channel.settings.cart_page.as_ref());
    let api = || format!("{}/v1/store/carts/{}/recover?token={token}", finder.public_url, cart.id);
    let personal = Personal {
        recovery_url: page.map_or_else(api, |page| page.of_cart(cart.id, &token)),
        recovery_token: token,
        email: details.email.as_ref().filter(|_| details.marketing_consent).map(|email| email.as_str()),
    };
    Ok(NewEvent {
        id,
        stream: cart.id.to_string(),
        aggregate: "cart",
        aggregate_id: cart.id.to_string(),
        aggregate_version: cart.version,
        channel: Some(cart.channel),
        kind: ABANDONED,
        occurred_at: abandonment.abandoned_at,
        payload: Payload::with_personal(&data, &personal)?,
        subject: cart.customer,
    })
}

/// Opens a cart by the token of its link and notes that somebody came back to it.
///
/// # Errors
/// `not_found` when the token is not the cart's; `unauthenticated` when it is, but the cart is a customer's who is not
/// the one signed in.
pub(super) fn come_back(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    secret: &Secret,
    id: CartId,
    token: &str,
) -> Result<Cart> {
    if !secret.is_token("recover", &id.to_string(), token) {
        return Err(Error::not_found("cart"));
    }
    let cart = carts::load(tx, id)?;
    if !actor.sees_channel(cart.channel) {
        return Err(Error::not_found("cart"));
    }
    if cart.customer.is_some() && !carts::can_open(tx, actor, secret, &cart)? {
        return Err(Error::problem(Code::Unauthenticated, "sign in as the customer whose cart it is"));
    }
    store::returned(tx, now, id)?;
    Ok(cart)
}

/// The name under which the log is read.
pub(super) const READER: &str = "abandonment";
/// How many events of the log are looked at in one step.
const BITE: i64 = 1000;

/// What has been ordered since a place in the log.
#[derive(Debug, Clone)]
pub(super) struct Ordered {
    /// The place that was seen.
    pub from: i64,
    /// The place up to which the log was read.
    pub to: i64,
    /// Which carts became which orders, when, themselves or in a cart that they were merged into; with an id for the event.
    pub orders: Vec<(CartId, OrderId, Instant, EventId)>,
}

/// Up to where the log has been read here.
///
/// # Errors
/// What the database says.
pub fn read_up_to(tx: &mut Tx) -> Result<i64> {
    events::read_up_to(tx, READER)
}

/// Reads what has been ordered. `None` when there is nothing new in the log.
pub(super) fn ordered(tx: &mut Tx) -> Result<Option<Ordered>> {
    let from = events::read_up_to(tx, READER)?;
    let (placed, to) = events::of_type_after(tx, from, "order.placed.v1", BITE)?;
    let order = |event: &Event| {
        let cart: CartId = event.data.get("cart_id")?.as_str()?.parse().ok()?;
        Some((cart, event.aggregate_id.parse().ok()?, event.occurred_at, EventId::new()))
    };
    let mut orders: Vec<_> = placed.iter().filter_map(order).collect();
    let carts: Vec<CartId> = orders.iter().map(|(cart, ..)| *cart).collect();
    let merged = if carts.is_empty() { Vec::new() } else { carts::merged(tx, &carts)? };
    // A cart goes into one other at most, so nothing is recovered by two orders.
    for (from, into) in merged {
        let order = orders.iter().find(|(cart, ..)| *cart == into).map(|(_, order, at, _)| (*order, *at));
        orders.extend(order.map(|(order, at)| (from, order, at, EventId::new())));
    }
    Ok((to > from).then_some(Ordered { from, to, orders }))
}

/// Notes which of the ordered carts had been abandoned, each once. Returns how many, or `None` when somebody else has
/// read this far meanwhile.
pub(super) fn recover(tx: &mut Tx, now: Instant, ordered: &Ordered) -> Result<Option<usize>> {
    if !events::advance(tx, READER, ordered.from, ordered.to)? {
        return Ok(None);
    }
    if ordered.orders.is_empty() {
        return Ok(Some(0));
    }
    let orders: Vec<_> = ordered.orders.iter().map(|(cart, order, at, _)| (*cart, *order, *at)).collect();
    let recovered = store::recovered(tx, &orders)?;
    if recovered.is_empty() {
        return Ok(Some(0));
    }
    let ids: Vec<CartId> = recovered.iter().map(|abandonment| abandonment.cart_id).collect();
    let versions = carts::versions(tx, &ids)?;
    // In the order of the log.
    let of = |(cart, _, at, id): &(CartId, OrderId, Instant, EventId)| {
        let abandonment = recovered.iter().find(|abandonment| abandonment.cart_id == *cart)?;
        let version = versions.get(cart).copied().unwrap_or_default();
        Some(recovery_event(*id, abandonment, version, *at))
    };
    let happened: Result<Vec<NewEvent>> = ordered.orders.iter().filter_map(of).collect();
    events::append(tx, &detector(), now, happened?)?;
    Ok(Some(recovered.len()))
}

fn recovery_event(id: EventId, abandonment: &Abandonment, version: i64, occurred_at: Instant) -> Result<NewEvent> {
    Ok(NewEvent {
        id,
        stream: abandonment.cart_id.to_string(),
        aggregate: "cart",
        aggregate_id: abandonment.cart_id.to_string(),
        aggregate_version: version,
        channel: Some(abandonment.channel_id),
        kind: RECOVERED,
        occurred_at,
        payload: Payload::of(abandonment)?,
        subject: None,
    })
}

/// The figures of carts made in a span of time, of the channels that the actor sees and that are no test channels: two
/// statements.
pub(super) fn figures(
    tx: &mut Tx,
    actor: &Actor,
    directory: &Directory,
    (from, to): (Instant, Instant),
    channel: Option<ChannelId>,
) -> Result<AbandonmentFigures> {
    let left_out = directory.test_channels();
    let wanted = |id: ChannelId| {
        actor.sees_channel(id) && !left_out.contains(&id) && channel.is_none_or(|channel| channel == id)
    };
    let (mut made, mut abandoned) = (carts::figures(tx, from, to)?, store::counted(tx, from, to)?);
    made.retain(|counted| wanted(counted.channel));
    abandoned.retain(|counted| wanted(counted.channel));
    Ok(model::figures((from, to), &made, &abandoned))
}
