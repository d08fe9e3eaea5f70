//! What completing a cart goes by, read before its first transaction: the cart as it is priced now, and what the customer was shown.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;

use super::{judging, model::CompleteRequest, paying, place::Prepared, service::Checkout};
use crate::{
    carts::{self, CartDetails, CartState},
    db::Tx,
    error::{Code, Error, Result},
    kernel::{Actor, Money, ids::CustomerId},
    pricing::{model::Totals, promotions},
    risk::Found,
    stock::{self, sourcing::Sources},
};

/// What transaction A goes by, read before it: the guard on the cart's version tells whether it still holds.
pub(super) enum Seen {
    /// An open cart, priced and found to be complete.
    Ready(Box<Ready>),
    /// Somebody has begun to pay it, or has paid it.
    Taken,
    /// A guest's open cart, and whoever pays it has signed in for the first time: whose prices and rules are theirs is known once they are.
    Stranger,
}

/// A cart that can be paid.
pub(super) struct Ready {
    pub prepared: Arc<Prepared>,
    /// Whether pricing has changed it.
    pub changed: bool,
    pub total: Money,
    /// Whether the prices and promotions that were promised are kept.
    pub kept: bool,
    /// Whom it was priced for.
    pub customer: Option<CustomerId>,
    /// Whether it holds its stock.
    pub held: bool,
    pub available: stock::Available,
    /// What the rules of risk say, where the channel has any.
    pub judged: Option<Found>,
}

/// Reads a cart that is to be paid, prices it and checks that it is complete and costs what the customer has seen.
pub(super) fn look(tx: &mut Tx, checkout: &Checkout, request: &CompleteRequest) -> Result<Seen> {
    let context = &checkout.context;
    let mut cart = carts::find(tx, &checkout.actor, &checkout.secret, checkout.tickets.cart)?;
    if matches!(cart.state, CartState::Completed | CartState::Completing) {
        return Ok(Seen::Taken);
    }
    // Only here: who completes a cart again, after it was paid, is to get its order, and its version has moved since.
    carts::check_version(&cart, checkout.expected)?;
    let held = cart.state == CartState::Frozen && cart.details.frozen_until.is_some_and(|until| until > context.now);
    let before = cart.details.clone();
    // What was promised was promised for the payment method that is chosen.
    let method = request.payment.as_ref().map(|chosen| &*chosen.method);
    let otherwise = method.filter(|method| carts::pays_otherwise(context, &cart, method));
    if let Some(method) = otherwise {
        cart.details.payment_method = Some(method.to_owned());
    }
    // A guest's cart that is being paid by somebody who has signed in is priced as theirs: what was promised to the guest was promised to
    // nobody who has prices, limits or approvers of their own.
    let guests = cart.customer;
    let signs_in = guests.is_none() && matches!(&checkout.actor, Actor::Shopper(shopper) if shopper.identity.is_some());
    let kept = held && otherwise.is_none() && !signs_in;
    if guests.is_none() {
        cart.customer = carts::signed_in(tx, &checkout.actor)?;
    }
    let priced = match kept {
        // The checkout has promised these prices, and found nothing missing; no change of the cart has thawed it.
        true => carts::known(tx, &cart)?,
        false => carts::reprice(tx, context, &mut cart, false)?,
    };
    // What its bundles were made of when they were shown is what is ordered, and what is held for it, whatever becomes of them meanwhile.
    carts::keep_components(&mut cart, &before);
    carts::refuse_incomplete(&cart)?;
    carts::refuse_unapproved(&cart)?;
    let total = Money::from_minor(cart.total(), cart.currency);
    check_total(request, total)?;
    if let Some(method) = otherwise {
        check_method(request, method, before.totals.as_ref(), total)?;
        check_gifts(method, &before, &cart.details)?;
    }
    // A customer must not find out from their invoice that a limited promotion, whose price they were shown, was gone when they
    // paid. Who says what they expect to pay has been told otherwise.
    if request.expected_total.is_none()
        && let Some(lost) = promotions::lost(before.totals.as_ref(), cart.details.totals.as_ref())
    {
        return Err(promotions::exhausted().with("promotion", lost.code.clone()));
    }
    // That a gift is gone, for whatever reason, no total tells.
    if let Some(lost) = carts::lost_gift(&before, &cart.details) {
        return Err(promotions::exhausted().with("promotion", lost));
    }
    let parts = paying::parts(tx, checkout, request, (&cart, &before.paid_with))?;
    let (needs, uses) = (carts::needs(&cart, &priced.variants), carts::uses(context, &cart));
    let facts = carts::facts(tx, context, &cart, &priced)?;
    let judged = judging::look(tx, checkout, request, &cart)?;
    let customer = cart.customer;
    if signs_in && customer.is_none() {
        return Ok(Seen::Stranger);
    }
    cart.customer = guests;
    let available = if held {
        stock::Available::default()
    } else {
        stock::look(tx, context.now, &needs, Sources::of(&context.locations, &facts))?
    };
    let changed = cart.details != before;
    let risk = judged.as_ref().map(|found| found.recorded(checkout.tickets.assessment));
    let prepared = Arc::new(Prepared { needs, facts, uses, parts, risk, variants: priced.variants, cart });
    Ok(Seen::Ready(Box::new(Ready { prepared, changed, total, kept, customer, held, available, judged })))
}

/// Nor does anybody get, or lose, a gift by their payment method without a word: no total tells of it.
fn check_gifts(method: &str, before: &CartDetails, now: &CartDetails) -> Result<()> {
    let gifts = |details: &CartDetails| -> BTreeMap<String, i64> {
        let given = details.lines.iter().filter(|line| line.gift_of.is_some());
        given.map(|line| (line.sku.clone(), line.quantity.get())).collect()
    };
    if gifts(before) == gifts(now) {
        return Ok(());
    }
    let detail =
        format!("paid by `{method}` the cart has other gifts than it showed: choose it as the cart's payment_method");
    Err(Error::problem(Code::TotalChanged, detail).at("/payment/method"))
}

fn check_total(request: &CompleteRequest, total: Money) -> Result<()> {
    match request.expected_total {
        Some(expected) if expected != total => {
            let detail = format!("the total is {total}, not {expected}");
            Err(Error::problem(Code::TotalChanged, detail).at("/expected_total").with("total", json!(total)))
        }
        _ => Ok(()),
    }
}

/// A customer is charged no discount that their payment method does not earn, and nothing else than they were shown without a word.
/// Who says what they expect to pay has been told.
fn check_method(request: &CompleteRequest, method: &str, shown: Option<&Totals>, total: Money) -> Result<()> {
    let shown = shown.map(|totals| totals.total);
    if request.expected_total.is_some() || shown == Some(total) {
        return Ok(());
    }
    let shown = shown.map_or_else(|| "nothing".to_owned(), |shown| shown.to_string());
    let detail = format!(
        "paid by `{method}` the cart costs {total}, and it showed {shown}: choose it as the cart's payment_method, or send expected_total"
    );
    Err(Error::problem(Code::TotalChanged, detail).at("/payment/method").with("total", json!(total)))
}
