//! What of a cart gift cards and store credit pay: which are on it, and how far they reach.

use super::{
    model::{Cart, Problem},
    pricing::{Context, note},
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    kernel::ids::StoredValueId,
    stored_value::{self, GIFT_CARD, MOST_CARDS, Refusal, STORE_CREDIT, ValueUse, Wanted},
};

/// A change of what pays a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StoredChange {
    /// The gift card with this code pays.
    Card(String),
    /// This gift card does not any more.
    NoCard(StoredValueId),
    /// Whether the customer's store credit pays.
    Credit(bool),
}

/// Makes the change on the cart in memory.
///
/// # Errors
/// `payment_method_unavailable`, `gift_card_unknown`, `gift_card_refused`, `invalid_value`, `not_found`.
pub(super) fn change(tx: &mut Tx, context: &Context, cart: &mut Cart, change: &StoredChange) -> Result<()> {
    match change {
        StoredChange::Card(code) => add(tx, context, cart, code),
        StoredChange::NoCard(id) => {
            let before = cart.details.gift_cards.len();
            cart.details.gift_cards.retain(|card| card != id);
            if cart.details.gift_cards.len() < before { Ok(()) } else { Err(Error::not_found("gift card")) }
        }
        StoredChange::Credit(true) => {
            offered(context, STORE_CREDIT, "/store_credit")?;
            if cart.customer.is_none() {
                let detail = "store credit is a customer's: they have to sign in";
                return Err(Error::problem(Code::GiftCardRefused, detail).at("/store_credit").with("reason", "guest"));
            }
            cart.details.store_credit = true;
            Ok(())
        }
        StoredChange::Credit(false) => {
            cart.details.store_credit = false;
            Ok(())
        }
    }
}

fn add(tx: &mut Tx, context: &Context, cart: &mut Cart, code: &str) -> Result<()> {
    offered(context, GIFT_CARD, "/code")?;
    let id = stored_value::named(tx, code)?.id;
    if cart.details.gift_cards.contains(&id) {
        return Ok(());
    }
    // What others have set aside and is due counts as free.
    let wanted = Wanted { cards: &[id], credit_of: None };
    let found = stored_value::usable(tx, context.now, wanted, cart.currency)?;
    if let Some(Err(why)) = found.first().map(|card| card.payable(context.now, cart.currency)) {
        return Err(refused(why));
    }
    if cart.details.gift_cards.len() >= MOST_CARDS {
        return Err(Error::invalid("/code", format!("a cart takes at most {MOST_CARDS} gift cards")));
    }
    cart.details.gift_cards.push(id);
    Ok(())
}

fn refused(why: Refusal) -> Error {
    let detail = format!("nothing can be paid with this gift card: {}", why.text());
    Error::problem(Code::GiftCardRefused, detail).at("/code").with("reason", why.as_str())
}

fn offered(context: &Context, method: &str, pointer: &str) -> Result<()> {
    if offers(context, method) {
        return Ok(());
    }
    let detail = format!("this channel does not offer `{method}`");
    Err(Error::problem(Code::PaymentMethodUnavailable, detail).at(pointer))
}

fn offers(context: &Context, method: &str) -> bool {
    // Real money pays nothing that is only tried out.
    !context.channel.test && context.channel.settings.payment_methods.iter().any(|known| **known == *method)
}

/// What gift cards and store credit pay of a cart at this moment: one statement, none for a cart that has none.
///
/// # Errors
/// What the database says.
pub fn paid_with(tx: &mut Tx, context: &Context, cart: &Cart) -> Result<Vec<ValueUse>> {
    // Who took it off the methods of the channel wants no more of it.
    let cards = if offers(context, GIFT_CARD) { cart.details.gift_cards.as_slice() } else { &[] };
    let wants_credit = cart.details.store_credit && offers(context, STORE_CREDIT);
    let wanted = Wanted { cards, credit_of: cart.customer.filter(|_| wants_credit) };
    let values = stored_value::usable(tx, context.now, wanted, cart.currency)?;
    Ok(stored_value::split(cart.total(), cart.currency, &values, context.now))
}

/// Why gift cards of the cart pay nothing.
pub(super) fn problems(uses: &[ValueUse]) -> Vec<Problem> {
    let idle = |(place, one): (usize, &ValueUse)| {
        let why = one.refused?;
        let what =
            one.code_end.as_ref().map_or_else(|| "the store credit".to_owned(), |end| format!("the gift card …{end}"));
        Some(note(
            "gift_card_not_applied",
            format!("{what} pays nothing: {}", why.text()),
            &format!("/paid_with/{place}"),
        ))
    };
    uses.iter().enumerate().filter_map(idle).collect()
}
