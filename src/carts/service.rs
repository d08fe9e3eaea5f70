//! Commands on carts.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{
    access, bundles,
    coupons::{self, WantedCoupon},
    deliveries,
    dto::DeliveryRequest,
    gifts,
    lines::{self, WantedLine},
    model::{
        Cart, CartCommand, CartDetails, CartFigures, CartState, ForeignOrder, LastDecline, Problem, Source, Stage,
        refuse_incomplete,
    },
    pricing::{self, Context, Priced},
    quoted, store,
    stored::{self, StoredChange},
};
use crate::{
    catalog,
    customers::{self, Address},
    db::{Json, Tx},
    error::{Code, Error, Result},
    http::seal::Secret,
    kernel::{
        Actor, Currency, Device, Instant,
        actor::Shopper,
        ids::{CartId, ChannelId, CustomerId, OrderId, QuoteId},
        text::{Email, Text},
    },
    pricing::{promotions, vat::CheckedVatId},
    stock,
    stored_value::{GIFT_CARD, STORE_CREDIT},
};

/// A change of a cart. `None` leaves a part alone; `Some(None)` clears it.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    pub lines: Option<Vec<WantedLine>>,
    pub email: Option<Option<Email>>,
    pub marketing_consent: Option<bool>,
    pub billing_address: Option<Option<Address>>,
    pub vat_id: Option<Option<CheckedVatId>>,
    pub shipping_address: Option<Option<Address>>,
    pub shipping_method: Option<Option<Text<50>>>,
    pub deliveries: Option<Vec<DeliveryRequest>>,
    pub payment_method: Option<Option<Text<50>>>,
    pub purchase_order: Option<Option<Text<50>>>,
    pub coupons: Option<Vec<WantedCoupon>>,
    pub stored: Vec<StoredChange>,
    pub locale: Option<Option<Text<35>>>,
    pub source: Option<Option<Source>>,
    pub device: Option<Device>,
    pub metadata: Option<Map<String, Value>>,
    /// Only staff name the customer; a shopper is one, or none.
    pub customer: Option<Option<CustomerId>>,
    pub occurred_at: Option<Instant>,
    pub reference: Option<ForeignOrder>,
}

/// A cart about to be made.
#[derive(Debug, Clone)]
pub(super) struct NewCart {
    pub id: CartId,
    /// Used when the shopper is signed in and not known yet.
    pub customer: CustomerId,
    pub currency: Option<Currency>,
    pub change: Change,
    /// The quote that it is of.
    pub quote: Option<QuoteId>,
    /// Whether it is made of something else, so that nobody shops in it.
    pub unattended: bool,
    /// Whether the shop bears its shipping.
    pub free_shipping: bool,
    /// Whether the order that it becomes is paid only once it is known what has come back for it.
    pub awaits_return: bool,
}

/// Prices a cart that is to be made. Nothing is written.
pub(super) fn draft(tx: &mut Tx, context: &Context, actor: &Actor, new: &NewCart) -> Result<(Cart, Vec<Problem>)> {
    let now = context.now;
    let mut cart = Cart {
        id: new.id,
        channel: context.channel.id,
        customer: None,
        state: CartState::Open,
        version: 1,
        currency: context.channel.currency(new.currency)?,
        device: Device::Desktop,
        stage: Stage::Cart,
        order: None,
        active_at: now,
        expires_at: expiry(context),
        created_at: now,
        details: CartDetails {
            next_line_no: 1,
            quote: new.quote,
            unattended: new.unattended,
            free_shipping: new.free_shipping,
            awaits_return: new.awaits_return,
            ..CartDetails::default()
        },
    };
    cart.customer = signed_in(tx, actor)?;
    name_customer(tx, actor, &mut cart, &new.change)?;
    let priced = edit(tx, context, &mut cart, &new.change)?;
    Ok((cart, priced.changes))
}

/// Makes a cart of a draft. `fresh` is the customer that a signed-in shopper becomes who is not known yet.
///
/// `None` when the cart is as it was drafted.
pub(super) fn create(
    tx: &mut Tx,
    context: &Context,
    actor: &Actor,
    fresh: CustomerId,
    (draft, doc): (&Cart, &Json),
) -> Result<Option<Cart>> {
    let known = customer_of(tx, context.now, actor, fresh)?;
    let other = known.filter(|customer| draft.customer != Some(*customer));
    let named = other.map(|customer| Cart { customer: Some(customer), ..draft.clone() });
    let cart = named.as_ref().unwrap_or(draft);
    if let (None, Some(customer)) = (known, cart.customer) {
        customers::hold(tx, customer)?;
    }
    store::insert(tx, cart, doc.clone(), abandon_at(context, cart))?;
    Ok(named)
}

/// The customer that a signed-in shopper is, when they are known.
///
/// # Errors
/// What the database says.
pub fn signed_in(tx: &mut Tx, actor: &Actor) -> Result<Option<CustomerId>> {
    match actor {
        Actor::Shopper(Shopper { identity: Some(identity), .. }) => customers::find(tx, identity),
        _ => Ok(None),
    }
}

/// The customer a signed-in shopper is, made when they are new; held, since a cart is about to become theirs.
fn customer_of(tx: &mut Tx, now: Instant, actor: &Actor, fresh: CustomerId) -> Result<Option<CustomerId>> {
    match actor {
        Actor::Shopper(shopper) => match &shopper.identity {
            Some(identity) => customers::find_and_hold(tx, (now, actor), fresh, identity).map(Some),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// A guest's cart that a signed-in customer writes to becomes theirs, so that its order is. True when it did: its old token
/// opens it no more. `fresh` is the customer that they become who are not known yet.
///
/// # Errors
/// What the database says.
pub fn adopt(tx: &mut Tx, now: Instant, actor: &Actor, fresh: CustomerId, cart: &mut Cart) -> Result<bool> {
    if cart.customer.is_some() {
        return Ok(false);
    }
    cart.customer = customer_of(tx, now, actor, fresh)?;
    Ok(cart.customer.is_some())
}

/// Gives a cart to the customer that staff have named, or takes it from them.
fn name_customer(tx: &mut Tx, actor: &Actor, cart: &mut Cart, change: &Change) -> Result<()> {
    match change.customer {
        None => return Ok(()),
        Some(None) => cart.customer = None,
        Some(Some(id)) if cart.customer == Some(id) => return Ok(()),
        Some(Some(id)) => {
            cart.customer = Some(customers::named(tx, actor, id).map_err(|error| error.at("/customer_id"))?);
        }
    }
    // That their credit pays was another customer's word.
    cart.details.store_credit = false;
    Ok(())
}

/// A cart that the actor may open.
///
/// # Errors
/// `not_found`, for foreign carts too.
pub fn find(tx: &mut Tx, actor: &Actor, secret: &Secret, id: CartId) -> Result<Cart> {
    let cart = store::find(tx, id)?.ok_or_else(|| Error::not_found("cart"))?;
    if access::can_open(tx, actor, secret, &cart)? { Ok(cart) } else { Err(Error::not_found("cart")) }
}

/// A cart that the actor may see, for answers that change nothing.
///
/// # Errors
/// `not_found`, for foreign carts too.
pub(super) fn look_at(tx: &mut Tx, actor: &Actor, secret: &Secret, id: CartId) -> Result<Cart> {
    let cart = store::find(tx, id)?.ok_or_else(|| Error::not_found("cart"))?;
    if access::can_see(tx, actor, secret, &cart)? { Ok(cart) } else { Err(Error::not_found("cart")) }
}

/// A cart that the actor may open, locked for a change.
fn open(tx: &mut Tx, actor: &Actor, secret: &Secret, id: CartId) -> Result<Cart> {
    let cart = store::lock(tx, id)?.ok_or_else(|| Error::not_found("cart"))?;
    if access::can_open(tx, actor, secret, &cart)? { Ok(cart) } else { Err(Error::not_found("cart")) }
}

/// Who changes a cart, and the customer that they become who have signed in and are not known yet.
pub type Who<'a> = (&'a Actor, &'a Secret, CustomerId);

/// Changes a cart by `change`, prices it anew and saves it. A frozen cart thaws: its reservation is released.
pub(super) fn update(
    tx: &mut Tx,
    context: &Context,
    who: Who<'_>,
    id: CartId,
    expected: Option<i64>,
    change: impl Fn(&mut Cart) -> Result<Change>,
) -> Result<(Cart, Vec<Problem>)> {
    let mut cart = open(tx, who.0, who.1, id)?;
    check_version(&cart, expected)?;
    let was_frozen = cart.state == CartState::Frozen;
    cart.state = cart.state.apply(CartCommand::Edit)?;
    let change = change(&mut cart)?;
    quoted::refuse_change(&cart, &change)?;
    adopt(tx, context.now, who.0, who.2, &mut cart)?;
    let was_of = cart.customer;
    name_customer(tx, who.0, &mut cart, &change)?;
    if let Some(customer) = cart.customer.filter(|customer| was_of != Some(*customer)) {
        customers::hold(tx, customer)?;
    }
    let priced = edit(tx, context, &mut cart, &change)?;
    let mut changes = priced.changes;
    if was_frozen {
        changes.push(thaw(&mut cart));
    }
    save(tx, context, &mut cart)?;
    if was_frozen {
        promotions::release(tx, cart.id)?;
        stock::release(tx, context.now, cart.id)?;
    }
    Ok((cart, changes))
}

/// Refuses a change of another version than the one that the caller has seen.
///
/// # Errors
/// `version_stale`.
pub(crate) fn check_version(cart: &Cart, expected: Option<i64>) -> Result<()> {
    if expected.is_none_or(|version| version == cart.version) {
        return Ok(());
    }
    let detail = format!("the cart is at version {}", cart.version);
    Err(Error::problem(Code::VersionStale, detail).with("version", cart.version))
}

/// Notes that a frozen cart's prices and stock are not kept any more. Its reservations are released by the caller, last.
pub(super) fn thaw(cart: &mut Cart) -> Problem {
    cart.details.frozen_until = None;
    let detail = "the cart was changed: its prices and stock are not kept any more".to_owned();
    Problem { code: "thawed".into(), detail, pointer: "/frozen_until".into(), blocking: false }
}

/// Saves a cart as active now.
pub(super) fn save(tx: &mut Tx, context: &Context, cart: &mut Cart) -> Result<()> {
    cart.active_at = context.now;
    if cart.details.quote.is_none() {
        cart.expires_at = expiry(context);
    }
    store::update(tx, context.now, cart, abandon_at(context, cart))
}

fn expiry(context: &Context) -> Instant {
    context.now.plus_seconds(86_400 * context.channel.settings.cart_days)
}

fn abandon_at(context: &Context, cart: &Cart) -> Option<Instant> {
    let waits = is_somebodys_turn(cart) && !context.channel.test;
    waits.then(|| context.now.plus_seconds(60 * context.channel.settings.abandonment_minutes))
}

/// Whether somebody shops in it who may leave it: not in one that is made of a quote, of a date of a recurring order or of an order from
/// elsewhere, nor in one that waits for others of the company.
fn is_somebodys_turn(cart: &Cart) -> bool {
    let details = &cart.details;
    let is_made = details.unattended || details.quote.is_some() || details.reference.is_some();
    let waits_for_others = cart.state == CartState::Frozen && details.needs_approval.is_some();
    !details.lines.is_empty() && details.occurred_at.is_none() && !is_made && !waits_for_others
}

/// Makes a change on the cart in memory and prices it.
pub(super) fn edit(tx: &mut Tx, context: &Context, cart: &mut Cart, change: &Change) -> Result<Priced> {
    check(context, change)?;
    // What was approved was it as it stood.
    cart.details.approved = None;
    let mut skus: Vec<String> = bundles::skus(cart);
    skus.extend(change.lines.iter().flatten().map(|line| line.sku.to_string()));
    skus.sort_unstable();
    skus.dedup();
    let variants = if skus.is_empty() { Vec::new() } else { catalog::by_skus(tx, &skus)? };
    if let Some(wanted) = &change.lines {
        lines::replace(cart, wanted, &variants)?;
    }
    set(&mut cart.details.email, &change.email);
    set(&mut cart.details.billing_address, &change.billing_address);
    set(&mut cart.details.vat_id, &change.vat_id);
    set(&mut cart.details.shipping_address, &change.shipping_address);
    set(&mut cart.details.shipping_method, &change.shipping_method.clone().map(|code| code.map(Text::into_string)));
    if let Some(wanted) = &change.deliveries {
        deliveries::replace(context, cart, wanted)?;
    }
    let fitted = deliveries::fit(cart);
    set(&mut cart.details.payment_method, &change.payment_method.clone().map(|code| code.map(Text::into_string)));
    set(&mut cart.details.purchase_order, &change.purchase_order.clone().map(|number| number.map(Text::into_string)));
    set(&mut cart.details.locale, &change.locale.clone().map(|locale| locale.map(Text::into_string)));
    set(&mut cart.details.source, &change.source);
    cart.details.marketing_consent = change.marketing_consent.unwrap_or(cart.details.marketing_consent);
    cart.device = change.device.unwrap_or(cart.device);
    if let Some(metadata) = &change.metadata {
        cart.details.metadata.clone_from(metadata);
    }
    cart.details.occurred_at = change.occurred_at.or(cart.details.occurred_at);
    cart.details.reference = change.reference.clone().or(cart.details.reference.take());
    cart.stage = cart.stage.max(cart.stage_by_content());
    if let Some(wanted) = &change.coupons {
        coupons::replace(tx, context, cart, wanted)?;
    }
    for wanted in &change.stored {
        stored::change(tx, context, cart, wanted)?;
    }
    // A change thaws; looking at stock tells the shopper before the checkout does.
    let mut priced = pricing::reprice_with(tx, context, cart, variants, cart.details.occurred_at.is_none())?;
    priced.changes.extend(fitted);
    Ok(priced)
}

fn set<T: Clone>(slot: &mut Option<T>, change: &Option<Option<T>>) {
    if let Some(value) = change {
        slot.clone_from(value);
    }
}

/// What the channel does not do is refused at once.
fn check(context: &Context, change: &Change) -> Result<()> {
    if let Some(Some(locale)) = &change.locale
        && !context.channel.settings.locales.iter().any(|known| **known == **locale)
    {
        let detail = format!("this channel does not speak {locale}");
        return Err(Error::problem(Code::LocaleNotServed, detail).at("/locale"));
    }
    if let Some(Some(method)) = &change.payment_method {
        context.channel.offers_payment(method).map_err(|error| error.at("/payment_method"))?;
        if [GIFT_CARD, STORE_CREDIT].contains(&&**method) {
            let detail = "gift cards and store credit pay before the payment method: choose how the rest is paid";
            return Err(Error::problem(Code::PaymentMethodUnavailable, detail).at("/payment_method"));
        }
    }
    let size = |map: &Map<String, Value>| serde_json::to_string(map).map_or(usize::MAX, |text| text.len());
    if change.metadata.as_ref().is_some_and(|metadata| size(metadata) > 8192) {
        return Err(Error::invalid("/metadata", "expected at most 8192 bytes"));
    }
    for line in change.lines.iter().flatten() {
        if line.quantity.is_zero() {
            return Err(Error::problem(Code::QuantityInvalid, "a line needs a quantity of at least 1")
                .at(format!("{}/quantity", line.pointer)));
        }
        if size(&line.metadata) > 2048 {
            return Err(Error::invalid(format!("{}/metadata", line.pointer), "expected at most 2048 bytes"));
        }
    }
    Ok(())
}

/// Freezes a cart: its prices hold and its stock is reserved until `frozen_until`.
pub(super) fn freeze(
    tx: &mut Tx,
    context: &Context,
    who: Who<'_>,
    id: CartId,
    expected: Option<i64>,
) -> Result<(Cart, Vec<Problem>)> {
    let until = context.now.plus_seconds(60 * context.channel.settings.reservation_minutes);
    freeze_until(tx, context, who, (id, expected), until)
}

/// The same until then.
///
/// # Errors
/// `not_found`, `version_stale`, `cart_not_open`, `cart_incomplete`, `out_of_stock`.
pub fn freeze_until(
    tx: &mut Tx,
    context: &Context,
    who: Who<'_>,
    (id, expected): (CartId, Option<i64>),
    until: Instant,
) -> Result<(Cart, Vec<Problem>)> {
    let mut cart = open(tx, who.0, who.1, id)?;
    check_version(&cart, expected)?;
    let was_frozen = cart.state == CartState::Frozen;
    cart.state = cart.state.apply(CartCommand::Freeze)?;
    adopt(tx, context.now, who.0, who.2, &mut cart)?;
    let priced = pricing::reprice(tx, context, &mut cart, false)?;
    refuse_incomplete(&cart)?;
    cart.details.frozen_until = Some(until);
    cart.details.approved = None;
    cart.stage = cart.stage.max(Stage::Checkout);
    save(tx, context, &mut cart)?;
    if was_frozen {
        promotions::release(tx, cart.id)?;
    }
    // Somebody else has taken the last of it since it was priced: it is priced anew.
    let uses = pricing::uses(context, &cart);
    let reserved = promotions::reserve(tx, context.now, cart.id, (&uses, false), until);
    reserved.map_err(|error| match error.code() {
        Code::PromotionExhausted => Error::overtaken("a promotion"),
        _ => error,
    })?;
    if was_frozen {
        stock::release(tx, context.now, cart.id)?;
    }
    let facts = super::sourcing::facts(tx, context, &cart, &priced)?;
    let sources = stock::sourcing::Sources::of(&context.locations, &facts);
    let needs = bundles::needs(&cart, &priced.variants);
    let reserved = stock::reserve(tx, context.now, cart.id, &needs, sources, until);
    reserved.map_err(|error| gifts::without_gift(&cart, bundles::by_line(&cart, error)))?;
    Ok((cart, priced.changes))
}

/// Locks a cart that the actor may open, whatever its state, to begin paying.
///
/// # Errors
/// `not_found`.
pub fn claim(tx: &mut Tx, actor: &Actor, secret: &Secret, id: CartId) -> Result<Cart> {
    open(tx, actor, secret, id)
}

/// Notes that a cart is being paid: it can not be changed until that has ended. Its header alone is written, unless the
/// cart has `changed` since it was saved.
///
/// # Errors
/// `cart_not_open`; [`Error::overtaken`] when the cart is not as it was read any more.
pub fn begin_payment(tx: &mut Tx, context: &Context, cart: &Cart, changed: bool) -> Result<()> {
    let (state, stage) = (cart.state.apply(CartCommand::Claim)?, Stage::Payment);
    let claimed = if changed || cart.details.last_decline.is_some() {
        let mut cart = Cart { state, stage, active_at: context.now, ..cart.clone() };
        cart.details.last_decline = None;
        store::update(tx, context.now, &mut cart, None)
    } else {
        store::claim(tx, context.now, cart, (state, stage))
    };
    match claimed {
        Err(error) if error.code() == Code::VersionStale => Err(Error::overtaken("the cart")),
        done => done,
    }
}

/// Ends a cart as an order. False when it is not being paid (any more).
///
/// # Errors
/// What the database says.
pub fn complete(tx: &mut Tx, now: Instant, id: CartId, order: OrderId) -> Result<bool> {
    store::transit(tx, now, id, (CartState::Completing, CartState::Completed), Some(order), None)
}

/// Gives a cart back to its shopper after paying came to nothing: it tells why, and nothing is kept for it any more. From
/// now on it can be abandoned again, where somebody shops in it. False when it is not being paid (any more).
///
/// # Errors
/// What the database says.
pub fn reopen(tx: &mut Tx, now: Instant, id: CartId, abandon_minutes: i64, why: LastDecline) -> Result<bool> {
    let paying = store::lock(tx, id)?.filter(|cart| cart.state == CartState::Completing);
    let Some(mut cart) = paying else { return Ok(false) };
    cart.state = cart.state.apply(CartCommand::Reopen)?;
    cart.details.frozen_until = None;
    cart.details.last_decline = Some(why);
    let abandon_at = is_somebodys_turn(&cart).then(|| now.plus_seconds(60 * abandon_minutes));
    store::update(tx, now, &mut cart, abandon_at)?;
    Ok(true)
}

/// A cart, whoever asks: for jobs.
///
/// # Errors
/// `not_found`.
pub fn load(tx: &mut Tx, id: CartId) -> Result<Cart> {
    store::find(tx, id)?.ok_or_else(|| Error::not_found("cart"))
}

/// The orders that carts have become; those that have not are absent. One statement.
///
/// # Errors
/// What the database says.
pub fn orders_of(tx: &mut Tx, carts: &[CartId]) -> Result<HashMap<CartId, OrderId>> {
    if carts.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(store::orders_of(tx, carts)?.into_iter().collect())
}

/// Ends carts that were left alone for too long; their reservations are released. Returns how many.
///
/// # Errors
/// What the database says.
pub fn expire(tx: &mut Tx, now: Instant, limit: i64) -> Result<usize> {
    let due = store::expired(tx, now, limit)?;
    let mut ended = 0;
    for id in &due {
        let Some(cart) = store::lock(tx, *id)? else { continue };
        let Ok(to) = cart.state.apply(CartCommand::Expire) else { continue };
        if cart.expires_at <= now && store::transit(tx, now, *id, (cart.state, to), None, None)? {
            ended += 1;
            if cart.state == CartState::Frozen {
                promotions::release(tx, *id)?;
                stock::release(tx, now, *id)?;
            }
        }
    }
    Ok(ended)
}

/// Whether a cart's time without activity has run out: a cheap look before [`take_abandoned`].
///
/// # Errors
/// What the database says.
pub fn any_abandoned(tx: &mut Tx, now: Instant) -> Result<bool> {
    store::any_abandoned(tx, now)
}

/// Takes up to `limit` carts whose time without activity has run out, each with when it did. Whoever takes a cart is
/// the only one, until it is active again; the cart itself stays as it is, and can be changed by its shopper.
///
/// # Errors
/// What the database says.
pub fn take_abandoned(tx: &mut Tx, now: Instant, limit: i64) -> Result<Vec<(Cart, Instant)>> {
    let taken = store::abandoned(tx, now, limit)?;
    if taken.is_empty() {
        return Ok(taken);
    }
    let ids: Vec<CartId> = taken.iter().map(|(cart, _)| cart.id).collect();
    if store::forget_abandonment(tx, now, &ids)? != ids.len() {
        return Err(Error::internal("a locked cart was active"));
    }
    Ok(taken)
}

/// The carts that went into these, and those that had gone into them: each with the one it ended in. One statement.
///
/// # Errors
/// What the database says.
pub fn merged(tx: &mut Tx, carts: &[CartId]) -> Result<Vec<(CartId, CartId)>> {
    let found = store::merged(tx, carts)?;
    Ok(found.into_iter().flat_map(|(into, from)| from.into_iter().map(move |from| (from, into))).collect())
}

/// The versions of carts, with one statement.
///
/// # Errors
/// What the database says.
pub fn versions(tx: &mut Tx, carts: &[CartId]) -> Result<HashMap<CartId, i64>> {
    Ok(store::versions(tx, carts)?.into_iter().collect())
}

/// How many carts with lines were made from one instant to before another, and how many of them became orders, by
/// channel, device and stage: one statement. Taken-over history is left out.
///
/// # Errors
/// What the database says.
pub fn figures(tx: &mut Tx, from: Instant, to: Instant) -> Result<Vec<CartFigures>> {
    store::figures(tx, from, to)
}

/// The channels of carts, with one statement.
///
/// # Errors
/// What the database says.
pub fn channels(tx: &mut Tx, carts: &[CartId]) -> Result<HashMap<CartId, ChannelId>> {
    Ok(store::channels(tx, carts)?.into_iter().collect())
}
