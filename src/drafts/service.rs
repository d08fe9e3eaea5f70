//! Commands and queries on drafts.

use super::{
    model::{Discount, Draft, DraftState, DraftStep, NewDraft},
    store,
};
use crate::{
    carts::{self, Cart, CartState, Context, quoted},
    db::Tx,
    error::{Error, Result, on_duplicate},
    http::seal::Secret,
    kernel::{
        Actor, Instant,
        ids::{CartId, ChannelId, CustomerId, DraftId},
    },
};

/// What links are derived with.
const LINK: &str = "payment-link";

/// Who does something, and when.
pub type By<'a> = (Instant, &'a Actor);

pub(super) fn unknown() -> Error {
    Error::not_found("draft")
}

/// Makes a draft of a cart.
///
/// # Errors
/// `not_found`; `state_conflict` for a cart that is not open; `duplicate` where it is a draft's.
pub(super) fn create(tx: &mut Tx, by: By<'_>, secret: &Secret, id: DraftId, new: &NewDraft) -> Result<Draft> {
    let cart = carts::find(tx, by.1, secret, new.cart_id).map_err(|error| error.at("/cart_id"))?;
    if !matches!(cart.state, CartState::Open | CartState::Frozen) {
        return Err(Error::conflict(format!("the cart is {}", cart.state)).at("/cart_id"));
    }
    let draft = Draft {
        id,
        channel_id: cart.channel,
        cart_id: cart.id,
        contact: new.contact,
        state: DraftState::Open,
        link_expires_at: None,
        order_id: None,
        steps: Vec::new(),
        version: 1,
        created_at: by.0,
        updated_at: by.0,
    };
    let draft = draft.after("made", (by.1.label(), by.0), new.note.as_ref().map(ToString::to_string));
    on_duplicate(store::insert(tx, &draft), || {
        Error::problem(crate::error::Code::Duplicate, "the cart is a draft's already").at("/cart_id")
    })?;
    Ok(draft)
}

/// A draft that the actor sees, with its order.
///
/// # Errors
/// `not_found`.
pub(super) fn read(tx: &mut Tx, actor: &Actor, id: DraftId) -> Result<Draft> {
    let draft = store::read(tx, id)?.filter(|draft| actor.sees_channel(draft.channel_id)).ok_or_else(unknown)?;
    let order_id = carts::load(tx, draft.cart_id)?.order;
    Ok(draft.with_order(order_id))
}

/// So many drafts are looked at at once for those that stand where it is asked.
const LOOKED_AT: i64 = 500;

/// A page of those of some channels, or of all; the newest first. Which of them are ordered is their carts' to say.
///
/// # Errors
/// What the database says.
pub(super) fn page(
    tx: &mut Tx,
    (state, channels): (Option<DraftState>, Option<&[ChannelId]>),
    mut before: Option<DraftId>,
    limit: i64,
) -> Result<Vec<Draft>> {
    // An ordered one stands as open in its row.
    let kept = state.map(|state| if state == DraftState::Ordered { DraftState::Open } else { state });
    let some = if kept == Some(DraftState::Open) { limit.max(LOOKED_AT) } else { limit };
    let wanted = usize::try_from(limit).map_err(Error::internal)?;
    let mut found: Vec<Draft> = Vec::new();
    loop {
        let rows = store::page(tx, (kept, channels), before, some)?;
        let is_last = i64::try_from(rows.len()).map_err(Error::internal)? < some;
        before = rows.last().map(|draft| draft.id);
        let orders = carts::orders_of(tx, &rows.iter().map(|draft| draft.cart_id).collect::<Vec<_>>())?;
        let told = rows.into_iter().map(|draft| {
            let order = orders.get(&draft.cart_id).copied();
            draft.with_order(order)
        });
        found.extend(told.filter(|draft| state.is_none_or(|state| draft.state == state)));
        if is_last || found.len() >= wanted || kept != Some(DraftState::Open) {
            found.truncate(wanted);
            return Ok(found);
        }
    }
}

/// The same while it is worked on.
fn open(tx: &mut Tx, actor: &Actor, id: DraftId) -> Result<Draft> {
    let draft = read(tx, actor, id)?;
    match (draft.state, draft.order_id) {
        (_, Some(order)) => Err(Error::conflict(format!("it is ordered: {order}"))),
        (DraftState::Open, None) => Ok(draft),
        (state, None) => Err(Error::conflict(format!("the draft is {state}"))),
    }
}

fn save(tx: &mut Tx, draft: Draft) -> Result<Draft> {
    match store::update(tx, &draft)? {
        true => Ok(Draft { version: draft.version + 1, ..draft }),
        false => Err(Error::overtaken("the draft")),
    }
}

/// Reduces all of a draft, as far as the actor may.
///
/// # Errors
/// `not_found`, `state_conflict`, `invalid_value`, `ceiling_exceeded`.
pub(super) fn discount(
    tx: &mut Tx,
    context: &Context,
    (actor, secret, fresh): (&Actor, &Secret, CustomerId),
    id: DraftId,
    what: &Discount,
) -> Result<Draft> {
    let draft = open(tx, actor, id)?;
    carts::discount(tx, context, (actor, secret, fresh), draft.cart_id, what.percent)?;
    let note = Some(format!("{} %: {}", what.percent, what.reason));
    save(tx, draft.after("discounted", (actor.label(), context.now), note))
}

/// Makes a link by which a draft can be paid; one that was made before is good no more. The link itself is not kept.
///
/// # Errors
/// `not_found`, `state_conflict`, `invalid_value`.
pub(super) fn link(tx: &mut Tx, by: By<'_>, secret: &Secret, id: DraftId, hours: i64) -> Result<(Draft, String)> {
    if !(1..=720).contains(&hours) {
        return Err(Error::invalid("/hours", "expected a number from 1 to 720"));
    }
    let mut draft = open(tx, by.1, id)?;
    let until = by.0.plus_seconds(3600 * hours);
    // Of two links of one draft that are made at once only the last is good; at the same instant they would be one.
    draft.link_expires_at = Some(until);
    let draft = save(tx, draft.after("link_made", (by.1.label(), by.0), None))?;
    let token = format!("{id}.{}", secret.token(LINK, &subject(id, until)));
    Ok((draft, token))
}

fn subject(id: DraftId, until: Instant) -> String {
    format!("{id}:{}", until.micros())
}

/// The draft that a link is of, and its cart, as long as it is good.
///
/// # Errors
/// `not_found`.
pub(super) fn linked(tx: &mut Tx, now: Instant, secret: &Secret, token: &str) -> Result<(Draft, Cart)> {
    let gone = || Error::not_found("payment link, or it is not good any more");
    let (id, given) = token.split_once('.').ok_or_else(gone)?;
    let id: DraftId = id.parse().map_err(|_| gone())?;
    let draft = store::read(tx, id)?.ok_or_else(gone)?;
    let until = draft.link_expires_at.filter(|until| *until > now).ok_or_else(gone)?;
    if !secret.is_token(LINK, &subject(id, until), given) {
        return Err(gone());
    }
    let cart = carts::load(tx, draft.cart_id)?;
    Ok((draft.with_order(cart.order), cart))
}

/// Cancels a draft: its cart ends with it.
///
/// # Errors
/// `not_found`; `state_conflict` when it is being paid or is ordered.
pub(super) fn cancel(tx: &mut Tx, by: By<'_>, id: DraftId) -> Result<Draft> {
    let mut draft = open(tx, by.1, id)?;
    if !quoted::end(tx, by.0, draft.cart_id)? {
        return Err(Error::conflict("it is being paid, or is ordered"));
    }
    (draft.state, draft.link_expires_at) = (DraftState::Cancelled, None);
    save(tx, draft.after("cancelled", (by.1.label(), by.0), None))
}

/// The drafts of carts behind one of them, in the order of their ids, without who of the staff has done what: for who gets everything that is
/// kept of them.
///
/// # Errors
/// What the database says.
pub fn of_carts(tx: &mut Tx, carts: &[CartId], after: Option<DraftId>, limit: i64) -> Result<Vec<Draft>> {
    let found = store::of_carts_after(tx, carts, after, limit)?;
    let orders = carts::orders_of(tx, &found.iter().map(|draft| draft.cart_id).collect::<Vec<_>>())?;
    let shown = |draft: Draft| {
        let order = orders.get(&draft.cart_id).copied();
        let mut shown = draft.with_order(order);
        shown.steps.iter_mut().for_each(|step| step.by.clear());
        shown
    };
    Ok(found.into_iter().map(shown).collect())
}

/// The draft that somebody means with its id, where the actor sees it.
///
/// # Errors
/// What the database says.
pub fn named(tx: &mut Tx, actor: &Actor, text: &str) -> Result<Option<Draft>> {
    let Ok(id) = text.parse() else { return Ok(None) };
    match read(tx, actor, id) {
        Ok(draft) => Ok(Some(draft)),
        Err(error) if error.code() == crate::error::Code::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Erases what was noted on the drafts of carts.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, carts: &[CartId]) -> Result<()> {
    if carts.is_empty() {
        return Ok(());
    }
    for draft in store::of_carts(tx, carts)? {
        let silent = |step: DraftStep| DraftStep { note: None, ..step };
        let steps = draft.steps.clone().into_iter().map(silent).collect();
        save(tx, Draft { steps, ..draft })?;
    }
    Ok(())
}
