//! Merging: two carts become one, as when a guest signs in.

use super::{
    access, deliveries, lines,
    model::{Cart, CartCommand, CartState, Problem},
    pricing::Context,
    quoted,
    service::{self, Change, Who},
    store,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    http::seal::{self, Secret},
    kernel::{Actor, ids::CartId},
    pricing::promotions,
    stock,
    stored_value::MOST_CARDS,
};

/// Puts another cart's lines into this one and ends the other. Nothing is lost: equal lines are summed, and what this
/// cart does not know (address, e-mail; several deliveries where it was empty) is taken over.
pub(super) fn merge(
    tx: &mut Tx,
    context: &Context,
    who: Who<'_>,
    (into, from): (CartId, CartId),
    from_token: Option<&str>,
    expected: Option<i64>,
) -> Result<(Cart, Vec<Problem>)> {
    if into == from {
        return Err(Error::problem(Code::CartMergeForeign, "a cart can not be merged into itself").at("/from"));
    }
    let (mut cart, other) = lock_both(tx, into, from)?;
    // Both as they are: a cart must not be given to somebody before it is known that they may open it.
    if !access::can_open(tx, who.0, who.1, &cart)? || !opens_other(tx, (who.0, who.1), &other, from_token)? {
        return Err(Error::not_found("cart"));
    }
    service::check_version(&cart, expected)?;
    if cart.channel != other.channel || cart.currency != other.currency {
        return Err(Error::problem(Code::CartMergeForeign, "the carts are of another channel or currency").at("/from"));
    }
    quoted::refuse_merge([&cart, &other])?;
    service::adopt(tx, context.now, who.0, who.2, &mut cart)?;
    let was_frozen = [&cart, &other].map(|cart| cart.state == CartState::Frozen);
    cart.state = cart.state.apply(CartCommand::Edit)?;
    let (mut wanted, theirs) = (lines::as_wanted(&cart), lines::as_wanted(&other));
    // Each of the other's lines becomes one of its own: its deliveries can stay as they are.
    let alone = wanted.is_empty();
    for line in &theirs {
        lines::add(&mut wanted, line)?;
    }
    let gone = deliveries::take_over(&mut cart, &other, alone && wanted.len() == theirs.len());
    take_over(&mut cart, &other);
    if let [_, true] = was_frozen {
        // Before it is priced: what the other cart held is there for this one.
        promotions::release(tx, other.id)?;
    }
    let change = Change { lines: Some(wanted), ..Change::default() };
    let mut changes = service::edit(tx, context, &mut cart, &change)?.changes;
    changes.extend(gone);
    if let [true, _] = was_frozen {
        changes.push(service::thaw(&mut cart));
    }
    service::save(tx, context, &mut cart)?;
    let merged = other.state.apply(CartCommand::Merge)?;
    if !store::transit(tx, context.now, other.id, (other.state, merged), None, None)? {
        return Err(Error::problem(Code::CartNotOpen, "the other cart changed meanwhile"));
    }
    if let [true, _] = was_frozen {
        promotions::release(tx, cart.id)?;
    }
    for (frozen, id) in was_frozen.into_iter().zip([cart.id, other.id]) {
        if frozen {
            stock::release(tx, context.now, id)?;
        }
    }
    Ok((cart, changes))
}

/// Both carts, locked in the order of their ids, so that two merges of the same pair can not wait for each other.
fn lock_both(tx: &mut Tx, into: CartId, from: CartId) -> Result<(Cart, Cart)> {
    let missing = || Error::not_found("cart");
    let first = store::lock(tx, into.min(from))?.ok_or_else(missing)?;
    let second = store::lock(tx, into.max(from))?.ok_or_else(missing)?;
    Ok(if first.id == into { (first, second) } else { (second, first) })
}

/// Whether the cart that ends may be opened: by the token in the request, or as any other cart.
fn opens_other(tx: &mut Tx, (actor, secret): (&Actor, &Secret), other: &Cart, token: Option<&str>) -> Result<bool> {
    let by_token = token.is_some_and(|token| secret.is_token(seal::CART, &other.id.to_string(), token));
    let guests = other.customer.is_none() && actor.sees_channel(other.channel);
    Ok(guests && by_token || access::can_open(tx, actor, secret, other)?)
}

fn take_over(cart: &mut Cart, other: &Cart) {
    let (mine, theirs) = (&mut cart.details, &other.details);
    mine.email = mine.email.take().or_else(|| theirs.email.clone());
    mine.billing_address = mine.billing_address.take().or_else(|| theirs.billing_address.clone());
    mine.vat_id = mine.vat_id.take().or_else(|| theirs.vat_id.clone());
    mine.shipping_address = mine.shipping_address.take().or_else(|| theirs.shipping_address.clone());
    mine.shipping_method = mine.shipping_method.take().or_else(|| theirs.shipping_method.clone());
    mine.payment_method = mine.payment_method.take().or_else(|| theirs.payment_method.clone());
    mine.locale = mine.locale.take().or_else(|| theirs.locale.clone());
    mine.source = mine.source.take().or_else(|| theirs.source.clone());
    mine.marketing_consent |= theirs.marketing_consent;
    let theirs_too: Vec<String> = theirs.coupons.iter().filter(|code| !mine.coupons.contains(code)).cloned().collect();
    mine.coupons.extend(theirs_too);
    let cards: Vec<_> = theirs.gift_cards.iter().filter(|card| !mine.gift_cards.contains(card)).copied().collect();
    mine.gift_cards.extend(cards.into_iter().take(MOST_CARDS.saturating_sub(mine.gift_cards.len())));
    mine.declined_gifts.extend_from_slice(&theirs.declined_gifts);
    mine.merged.push(other.id);
    mine.merged.extend_from_slice(&theirs.merged);
    for (key, value) in &theirs.metadata {
        mine.metadata.entry(key.clone()).or_insert_with(|| value.clone());
    }
}
