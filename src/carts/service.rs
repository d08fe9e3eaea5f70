//! Commands on carts.

use serde_json::{Map, Value};

use super::{
    access,
    model::{
        Cart, CartCommand, CartDetails, CartFigures, CartLine, CartState, Device, ForeignOrder, Problem, Source, Stage,
    },
    pricing::{self, Context, Priced},
    store,
};
use crate::{
    catalog::{self, Variant},
    customers::{self, Address},
    db::Tx,
    error::{Code, Error, Result},
    http::seal::{self, Secret},
    kernel::{
        Actor, Currency, Instant, Quantity, UnitPrice,
        ids::{CartId, CartLineId, ChannelId, CustomerId, OrderId},
        text::{Email, Sku, Text},
    },
    stock,
};

/// The most lines a cart may have.
pub(super) const MAX_LINES: usize = 1000;

/// A line that is asked for. `id` is used when it becomes a line of its own.
#[derive(Debug, Clone)]
pub(super) struct WantedLine {
    pub id: CartLineId,
    pub sku: Sku,
    pub quantity: Quantity,
    pub agreed_price: Option<UnitPrice>,
    pub metadata: Map<String, Value>,
}

/// A change of a cart. `None` leaves a part alone; `Some(None)` clears it.
#[derive(Debug, Clone, Default)]
pub(super) struct Change {
    pub lines: Option<Vec<WantedLine>>,
    pub email: Option<Option<Email>>,
    pub marketing_consent: Option<bool>,
    pub billing_address: Option<Option<Address>>,
    pub shipping_address: Option<Option<Address>>,
    pub shipping_method: Option<Option<Text<50>>>,
    pub locale: Option<Option<Text<35>>>,
    pub source: Option<Option<Source>>,
    pub device: Option<Device>,
    pub metadata: Option<Map<String, Value>>,
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
}

/// Makes a cart.
pub(super) fn create(tx: &mut Tx, context: &Context, actor: &Actor, new: &NewCart) -> Result<(Cart, Vec<Problem>)> {
    let now = context.now;
    let mut cart = Cart {
        id: new.id,
        channel: context.channel.id,
        customer: customer_of(tx, now, actor, new.customer)?,
        state: CartState::Open,
        version: 1,
        currency: context.channel.currency(new.currency)?,
        device: Device::Desktop,
        stage: Stage::Cart,
        order: None,
        active_at: now,
        expires_at: expiry(context),
        created_at: now,
        details: CartDetails { next_line_no: 1, ..CartDetails::default() },
    };
    let priced = edit(tx, context, &mut cart, &new.change)?;
    store::insert(tx, &cart, abandon_at(context, &cart))?;
    Ok((cart, priced.changes))
}

/// The customer a signed-in shopper is, made when they are new.
fn customer_of(tx: &mut Tx, now: Instant, actor: &Actor, fresh: CustomerId) -> Result<Option<CustomerId>> {
    match actor {
        Actor::Shopper(shopper) => match &shopper.identity {
            Some(identity) => Ok(Some(customers::find_or_link(tx, now, fresh, identity)?.id)),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// A cart that the actor may open.
///
/// # Errors
/// `not_found`, for foreign carts too.
pub fn find(tx: &mut Tx, actor: &Actor, secret: &Secret, id: CartId) -> Result<Cart> {
    let cart = store::find(tx, id)?.ok_or_else(|| Error::not_found("cart"))?;
    if access::can_open(tx, actor, secret, &cart)? { Ok(cart) } else { Err(Error::not_found("cart")) }
}

/// The same, locked for a change.
fn open(tx: &mut Tx, actor: &Actor, secret: &Secret, id: CartId) -> Result<Cart> {
    let cart = store::lock(tx, id)?.ok_or_else(|| Error::not_found("cart"))?;
    if access::can_open(tx, actor, secret, &cart)? { Ok(cart) } else { Err(Error::not_found("cart")) }
}

/// Changes a cart by `change`, prices it anew and saves it. A frozen cart thaws: its reservation is released.
pub(super) fn update(
    tx: &mut Tx,
    context: &Context,
    who: (&Actor, &Secret),
    id: CartId,
    expected: Option<i64>,
    change: impl Fn(&mut Cart) -> Result<Change>,
) -> Result<(Cart, Vec<Problem>)> {
    let mut cart = open(tx, who.0, who.1, id)?;
    if expected.is_some_and(|version| version != cart.version) {
        let detail = format!("the cart is at version {}", cart.version);
        return Err(Error::problem(Code::VersionStale, detail).with("version", cart.version));
    }
    let was_frozen = cart.state == CartState::Frozen;
    cart.state = cart.state.apply(CartCommand::Edit)?;
    let change = change(&mut cart)?;
    let priced = edit(tx, context, &mut cart, &change)?;
    let mut changes = priced.changes;
    if was_frozen {
        cart.details.frozen_until = None;
        let detail = "the cart was changed: its prices and stock are not kept any more".to_owned();
        changes.push(Problem { code: "thawed".into(), detail, pointer: "/frozen_until".into(), blocking: false });
    }
    save(tx, context, &mut cart)?;
    if was_frozen {
        stock::release(tx, context.now, cart.id)?;
    }
    Ok((cart, changes))
}

/// Saves a cart as active now.
fn save(tx: &mut Tx, context: &Context, cart: &mut Cart) -> Result<()> {
    cart.active_at = context.now;
    cart.expires_at = expiry(context);
    store::update(tx, context.now, cart, abandon_at(context, cart))
}

fn expiry(context: &Context) -> Instant {
    context.now.plus_seconds(86_400 * context.channel.settings.cart_days)
}

fn abandon_at(context: &Context, cart: &Cart) -> Option<Instant> {
    let waits = !cart.details.lines.is_empty() && cart.details.occurred_at.is_none() && !context.channel.test;
    waits.then(|| context.now.plus_seconds(60 * context.channel.settings.abandonment_minutes))
}

/// Makes a change on the cart in memory and prices it.
fn edit(tx: &mut Tx, context: &Context, cart: &mut Cart, change: &Change) -> Result<Priced> {
    check(context, change)?;
    let mut skus: Vec<String> = cart.details.lines.iter().map(|line| line.sku.clone()).collect();
    skus.extend(change.lines.iter().flatten().map(|line| line.sku.to_string()));
    skus.sort_unstable();
    skus.dedup();
    let variants = if skus.is_empty() { Vec::new() } else { catalog::by_skus(tx, &skus)? };
    if let Some(lines) = &change.lines {
        replace_lines(cart, lines, &variants)?;
    }
    set(&mut cart.details.email, &change.email);
    set(&mut cart.details.billing_address, &change.billing_address);
    set(&mut cart.details.shipping_address, &change.shipping_address);
    set(&mut cart.details.shipping_method, &change.shipping_method.clone().map(|code| code.map(Text::into_string)));
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
    // A change thaws; looking at stock tells the shopper before the checkout does.
    pricing::reprice_with(tx, context, cart, variants, cart.details.occurred_at.is_none())
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
    let size = |map: &Map<String, Value>| serde_json::to_string(map).map_or(usize::MAX, |text| text.len());
    if change.metadata.as_ref().is_some_and(|metadata| size(metadata) > 8192) {
        return Err(Error::invalid("/metadata", "expected at most 8192 bytes"));
    }
    for (index, line) in change.lines.iter().flatten().enumerate() {
        if line.quantity.is_zero() {
            return Err(Error::problem(Code::QuantityInvalid, "a line needs a quantity of at least 1")
                .at(format!("/lines/{index}/quantity")));
        }
        if size(&line.metadata) > 2048 {
            return Err(Error::invalid(format!("/lines/{index}/metadata"), "expected at most 2048 bytes"));
        }
    }
    Ok(())
}

/// Puts the wanted lines in the place of the cart's. A line that stays the same keeps its id and number.
fn replace_lines(cart: &mut Cart, wanted: &[WantedLine], variants: &[Variant]) -> Result<()> {
    let mut before = std::mem::take(&mut cart.details.lines);
    for (index, line) in wanted.iter().enumerate() {
        let variant = known(variants, line, &format!("/lines/{index}/sku"))?;
        let same = before.iter().position(|old| old.is_like(variant.id, line.agreed_price, &line.metadata));
        let line = match same {
            Some(place) => CartLine { quantity: line.quantity, ..before.remove(place) },
            None => fresh(cart, line, variant),
        };
        cart.details.lines.push(line);
    }
    limit(cart)
}

fn known<'v>(variants: &'v [Variant], line: &WantedLine, pointer: &str) -> Result<&'v Variant> {
    let found = variants.iter().find(|variant| variant.sku == *line.sku);
    found.ok_or_else(|| Error::problem(Code::SkuUnknown, format!("there is no SKU `{}`", line.sku)).at(pointer))
}

fn fresh(cart: &mut Cart, line: &WantedLine, variant: &Variant) -> CartLine {
    let line_no = cart.details.next_line_no;
    cart.details.next_line_no += 1;
    CartLine {
        id: line.id,
        line_no,
        variant_id: variant.id,
        sku: variant.sku.clone(),
        name: variant.name.clone(),
        quantity: line.quantity,
        agreed_price: line.agreed_price,
        metadata: line.metadata.clone(),
    }
}

fn limit(cart: &Cart) -> Result<()> {
    if cart.details.lines.len() > MAX_LINES {
        return Err(Error::problem(Code::TooManyLines, format!("a cart holds at most {MAX_LINES} lines")).at("/lines"));
    }
    Ok(())
}

/// The cart's lines as wanted lines, for changes that keep most of them.
pub(super) fn as_wanted(cart: &Cart) -> Result<Vec<WantedLine>> {
    let wanted = |line: &CartLine| {
        Ok(WantedLine {
            id: line.id,
            sku: Sku::new(&line.sku).map_err(Error::internal)?,
            quantity: line.quantity,
            agreed_price: line.agreed_price,
            metadata: line.metadata.clone(),
        })
    };
    cart.details.lines.iter().map(wanted).collect()
}

/// Adds a line to lines: summed with one that is the same but for its quantity.
pub(super) fn add(lines: &mut Vec<WantedLine>, new: &WantedLine) -> Result<()> {
    let same = |line: &&mut WantedLine| {
        line.sku == new.sku && line.agreed_price == new.agreed_price && line.metadata == new.metadata
    };
    match lines.iter_mut().find(same) {
        Some(line) => {
            let sum = line.quantity.get() + new.quantity.get();
            let too_many =
                |_| Error::problem(Code::QuantityInvalid, "the quantities add up to too many").at("/quantity");
            line.quantity = Quantity::new(sum).map_err(too_many)?;
        }
        None => lines.push(new.clone()),
    }
    Ok(())
}

/// Puts another cart's lines into this one and ends the other. Nothing is lost: equal lines are summed, and what this
/// cart does not know (address, e-mail) is taken over.
pub(super) fn merge(
    tx: &mut Tx,
    context: &Context,
    who: (&Actor, &Secret),
    (into, from): (CartId, CartId),
    from_token: Option<&str>,
    fresh_customer: CustomerId,
) -> Result<(Cart, Vec<Problem>)> {
    let (actor, secret) = who;
    if into == from {
        return Err(Error::problem(Code::CartMergeForeign, "a cart can not be merged into itself").at("/from"));
    }
    // Locked in key order, so that two merges of the same pair can not wait for each other.
    let (first, second) = (into.min(from), into.max(from));
    let locked = [store::lock(tx, first)?, store::lock(tx, second)?];
    let mut carts = locked.into_iter().flatten();
    let (Some(first), Some(second)) = (carts.next(), carts.next()) else { return Err(Error::not_found("cart")) };
    let (mut cart, other) = if first.id == into { (first, second) } else { (second, first) };
    let opens_other = match from_token {
        Some(token) => other.customer.is_none() && secret.is_token(seal::CART, &other.id.to_string(), token),
        None => access::can_open(tx, actor, secret, &other)?,
    };
    // Both as they are: a cart must not be given to somebody before it is known that they may open it.
    if !opens_other || !access::can_open(tx, actor, secret, &cart)? {
        return Err(Error::not_found("cart"));
    }
    if cart.customer.is_none() {
        // A guest's cart that is opened by a signed-in customer becomes theirs.
        cart.customer = customer_of(tx, context.now, actor, fresh_customer)?;
    }
    if cart.channel != other.channel || cart.currency != other.currency {
        return Err(Error::problem(Code::CartMergeForeign, "the carts are of another channel or currency").at("/from"));
    }
    let thaws = [&cart, &other].map(|cart| (cart.state == CartState::Frozen).then_some(cart.id));
    cart.state = cart.state.apply(CartCommand::Edit)?;
    let mut lines = as_wanted(&cart)?;
    for line in as_wanted(&other)? {
        add(&mut lines, &line)?;
    }
    take_over(&mut cart, &other);
    let change = Change { lines: Some(lines), ..Change::default() };
    let priced = edit(tx, context, &mut cart, &change)?;
    cart.details.frozen_until = None;
    save(tx, context, &mut cart)?;
    let merged = other.state.apply(CartCommand::Merge)?;
    if !store::transit(tx, context.now, other.id, (other.state, merged), None, None)? {
        return Err(Error::problem(Code::CartNotOpen, "the other cart changed meanwhile"));
    }
    for frozen in thaws.into_iter().flatten() {
        stock::release(tx, context.now, frozen)?;
    }
    Ok((cart, priced.changes))
}

fn take_over(cart: &mut Cart, other: &Cart) {
    let (mine, theirs) = (&mut cart.details, &other.details);
    mine.email = mine.email.take().or_else(|| theirs.email.clone());
    mine.billing_address = mine.billing_address.take().or_else(|| theirs.billing_address.clone());
    mine.shipping_address = mine.shipping_address.take().or_else(|| theirs.shipping_address.clone());
    mine.shipping_method = mine.shipping_method.take().or_else(|| theirs.shipping_method.clone());
    mine.locale = mine.locale.take().or_else(|| theirs.locale.clone());
    mine.source = mine.source.take().or_else(|| theirs.source.clone());
    mine.marketing_consent |= theirs.marketing_consent;
    for (key, value) in &theirs.metadata {
        mine.metadata.entry(key.clone()).or_insert_with(|| value.clone());
    }
}

/// Freezes a cart: its prices hold and its stock is reserved until `frozen_until`.
pub(super) fn freeze(
    tx: &mut Tx,
    context: &Context,
    who: (&Actor, &Secret),
    id: CartId,
    locations: &stock::Locations,
) -> Result<(Cart, Vec<Problem>)> {
    let mut cart = open(tx, who.0, who.1, id)?;
    let was_frozen = cart.state == CartState::Frozen;
    cart.state = cart.state.apply(CartCommand::Freeze)?;
    let priced = pricing::reprice(tx, context, &mut cart, false)?;
    refuse_incomplete(&cart)?;
    let until = context.now.plus_seconds(60 * context.channel.settings.reservation_minutes);
    cart.details.frozen_until = Some(until);
    cart.stage = cart.stage.max(Stage::Checkout);
    save(tx, context, &mut cart)?;
    if was_frozen {
        stock::release(tx, context.now, cart.id)?;
    }
    stock::reserve(tx, context.now, cart.id, &needs(&cart, &priced), locations, until)?;
    Ok((cart, priced.changes))
}

/// What a cart's lines need of stock.
pub(crate) fn needs(cart: &Cart, priced: &Priced) -> Vec<stock::Need> {
    let need = |line: &CartLine| {
        let variant = priced.variants.get(&line.variant_id)?;
        variant.requires_shipping.then(|| stock::Need {
            line_no: line.line_no,
            variant: line.variant_id,
            quantity: line.quantity.get(),
            tracked: variant.stock_policy == catalog::StockPolicy::Tracked,
            backorder: variant.backorder_policy == catalog::BackorderPolicy::Allow,
        })
    };
    cart.details.lines.iter().filter_map(need).collect()
}

/// A cart with blocking problems can not be ordered.
pub(crate) fn refuse_incomplete(cart: &Cart) -> Result<()> {
    let blocking: Vec<&Problem> = cart.details.problems.iter().filter(|problem| problem.blocking).collect();
    match blocking.first() {
        None => Ok(()),
        Some(first) => {
            let problems = serde_json::to_value(&blocking)?;
            Err(Error::problem(Code::CartIncomplete, first.detail.clone())
                .at(first.pointer.clone())
                .with("problems", problems))
        }
    }
}

/// Locks a cart that the actor may open, whatever its state, to begin paying.
///
/// # Errors
/// `not_found`.
pub fn claim(tx: &mut Tx, actor: &Actor, secret: &Secret, id: CartId) -> Result<Cart> {
    open(tx, actor, secret, id)
}

/// Notes that a claimed cart is being paid: it can not be changed until that has ended.
///
/// # Errors
/// `cart_not_open`.
pub fn begin_payment(tx: &mut Tx, context: &Context, cart: &mut Cart) -> Result<()> {
    cart.state = cart.state.apply(CartCommand::Claim)?;
    cart.stage = Stage::Payment;
    cart.active_at = context.now;
    store::update(tx, context.now, cart, None)
}

/// Ends a cart as an order. False when it is not being paid (any more).
///
/// # Errors
/// What the database says.
pub fn complete(tx: &mut Tx, now: Instant, id: CartId, order: OrderId) -> Result<bool> {
    store::transit(tx, now, id, (CartState::Completing, CartState::Completed), Some(order), None)
}

/// Gives a cart back to its shopper after paying came to nothing; from now on it can be abandoned again. False when it
/// is not being paid (any more).
///
/// # Errors
/// What the database says.
pub fn reopen(tx: &mut Tx, now: Instant, id: CartId, abandon_minutes: i64) -> Result<bool> {
    let abandon_at = now.plus_seconds(60 * abandon_minutes);
    store::transit(tx, now, id, (CartState::Completing, CartState::Open), None, Some(abandon_at))
}

/// A cart, whoever asks: for jobs.
///
/// # Errors
/// `not_found`.
pub fn load(tx: &mut Tx, id: CartId) -> Result<Cart> {
    store::find(tx, id)?.ok_or_else(|| Error::not_found("cart"))
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

/// The versions of carts, with one statement.
///
/// # Errors
/// What the database says.
pub fn versions(tx: &mut Tx, carts: &[CartId]) -> Result<std::collections::HashMap<CartId, i64>> {
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
pub fn channels(tx: &mut Tx, carts: &[CartId]) -> Result<std::collections::HashMap<CartId, ChannelId>> {
    Ok(store::channels(tx, carts)?.into_iter().collect())
}
