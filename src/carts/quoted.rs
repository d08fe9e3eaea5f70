//! Carts that are made of something else: of a quote, whose lines and prices are nobody's to change, or of what is ordered again.

use std::collections::BTreeMap;

use serde_json::Map;

use super::{
    lines::WantedLine,
    model::{Cart, CartCommand, CartState},
    pricing::Context,
    service::{self, Change, NewCart},
    store,
    stored::StoredChange,
};
use crate::{
    customers::Address,
    db::{Json, Tx},
    error::{Error, Result},
    kernel::{
        Actor, Currency, Device, Instant, PricePer, Quantity,
        ids::{CartId, CartLineId, CustomerId, QuoteId},
        text::{Email, Sku, Text},
    },
    pricing::promotions,
    stock,
};

/// A cart that is made of a quote, or of what is ordered again.
#[derive(Debug, Clone)]
pub struct Quoted {
    /// The cart's id, which what it is made of knows.
    pub id: CartId,
    /// The quote, where it is of one.
    pub quote: Option<QuoteId>,
    /// Until when it can be ordered.
    pub until: Instant,
    /// Whose it is; a guest's where that is nobody.
    pub customer: Option<CustomerId>,
    /// The currency.
    pub currency: Currency,
    /// What is ordered, and at which price where one was agreed.
    pub lines: Vec<QuotedLine>,
    /// Who orders.
    pub email: Option<Email>,
    /// Where it goes.
    pub shipping_address: Option<Address>,
    /// Who pays.
    pub billing_address: Option<Address>,
    /// How it is shipped.
    pub shipping_method: Option<String>,
    /// The company's own number of it.
    pub purchase_order: Option<String>,
    /// Whether the customer's store credit pays as far as it reaches.
    pub store_credit: bool,
    /// Whether the shop bears its shipping.
    pub free_shipping: bool,
    /// Whether the order that it becomes is paid only once it is known what has come back for it.
    pub awaits_return: bool,
}

/// A line of such a cart: its id, SKU, quantity, and the price that was agreed.
pub type QuotedLine = (CartLineId, String, Quantity, Option<PricePer>);

/// Makes such a cart. Nothing happens where it is there.
///
/// # Errors
/// `sku_unknown` for what is not known any more; `not_found` for a customer who is not there.
pub fn make(tx: &mut Tx, context: &Context, quoted: &Quoted) -> Result<()> {
    if store::lock(tx, quoted.id)?.is_some() {
        return Ok(());
    }
    let line = |(place, (id, sku, quantity, price)): (usize, &QuotedLine)| WantedLine {
        id: *id,
        sku: Sku::kept(sku.clone()),
        quantity: *quantity,
        agreed: *price,
        metadata: Map::new(),
        pointer: format!("/lines/{place}"),
    };
    let kept = |text: &Option<String>| text.as_deref().and_then(|text| Text::new(text).ok());
    let change = Change {
        lines: Some(quoted.lines.iter().enumerate().map(line).collect()),
        email: Some(quoted.email.clone()),
        shipping_address: Some(quoted.shipping_address.clone()),
        billing_address: Some(quoted.billing_address.clone()),
        shipping_method: Some(kept(&quoted.shipping_method)),
        purchase_order: Some(quoted.purchase_order.as_deref().and_then(|text| Text::new(text).ok())),
        device: Some(Device::CallCentre),
        customer: quoted.customer.map(Some),
        stored: quoted.store_credit.then_some(StoredChange::Credit(true)).into_iter().collect(),
        ..Change::default()
    };
    let actor = Actor::System("quotes");
    let currency = Some(quoted.currency);
    // Nobody is made by it: who acts is the house.
    let fresh = quoted.customer.unwrap_or_else(|| CustomerId::from_bytes(*quoted.id.bytes()));
    let (id, customer, quote) = (quoted.id, fresh, quoted.quote);
    let (free_shipping, awaits_return) = (quoted.free_shipping, quoted.awaits_return);
    let new = NewCart { id, customer, currency, change, quote, unattended: true, free_shipping, awaits_return };
    let (mut cart, _) = service::draft(tx, context, &actor, &new)?;
    cart.expires_at = quoted.until;
    let doc = Json::of(&cart.details)?;
    service::create(tx, context, &actor, fresh, (&cart, &doc)).map(|_| ())
}

/// Ends such a cart that nobody has ordered in time. False when it is being paid, or is ordered.
///
/// # Errors
/// What the database says.
pub fn end(tx: &mut Tx, now: Instant, id: CartId) -> Result<bool> {
    let Some(cart) = store::lock(tx, id)? else { return Ok(true) };
    let Ok(to) = cart.state.apply(CartCommand::Expire) else { return Ok(cart.state == CartState::Expired) };
    if !store::transit(tx, now, id, (cart.state, to), None, None)? {
        return Err(Error::overtaken("the cart"));
    }
    if cart.state == CartState::Frozen {
        promotions::release(tx, id)?;
        stock::release(tx, now, id)?;
    }
    Ok(true)
}

/// What is in the cart of a quote, and whose it is, stays; of an exchange also where it goes, and how.
pub(super) fn refuse_change(cart: &Cart, change: &Change) -> Result<()> {
    let touches = change.lines.is_some() || change.coupons.is_some() || change.customer.is_some();
    let sends = change.shipping_address.is_some() || change.shipping_method.is_some() || change.deliveries.is_some();
    if cart.details.awaits_return && (touches || sends) {
        return Err(Error::conflict(
            "the cart is of an exchange: ask the shop for another, or make a cart of your own",
        ));
    }
    match cart.details.quote {
        Some(_) if touches => {
            Err(Error::conflict("the cart is of a quote: ask for another quote, or make a cart of your own"))
        }
        _ => Ok(()),
    }
}

/// Nor is it summed with another.
pub(super) fn refuse_merge(both: [&Cart; 2]) -> Result<()> {
    match both.iter().any(|cart| cart.details.quote.is_some() || cart.details.awaits_return) {
        true => Err(Error::conflict("one of the carts is of a quote, or of an exchange")),
        false => Ok(()),
    }
}

/// Says of the prices of a quote that they are.
pub(super) fn explain(cart: &mut Cart) {
    if cart.details.quote.is_none() {
        return;
    }
    let prices: BTreeMap<i32, PricePer> =
        cart.details.lines.iter().filter_map(|line| Some((line.line_no, line.agreed()?))).collect();
    let lines = cart.details.totals.iter_mut().flat_map(|totals| &mut totals.lines);
    for line in lines {
        let Some(price) = prices.get(&line.line_no) else { continue };
        for step in line.explanation.iter_mut().filter(|step| step.code == "price_override") {
            "quote".clone_into(&mut step.code);
            step.text = format!("as quoted: {price}");
        }
    }
}
