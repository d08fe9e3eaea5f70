//! Writing what is kept beside an order. Each command locks the order first: its version counts the event that tells of it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    model::{Attachment, BETWEEN, Beside, MOST, MOST_TAGS, NoteVisibility, OrderNote},
    store,
};
use crate::{
    db::{Json, Tx},
    error::{Code, Error, Result},
    events::{self, EventSchema},
    kernel::{
        Actor, Instant,
        ids::{EventId, OrderId, OrderNoteId},
    },
    orders::{OrderDocument, service},
};

const NOTED: &str = "order.noted.v1";
const TAGGED: &str = "order.tagged.v1";
const ASKED: &str = "order.confirmation_requested.v1";

/// What `order.noted.v1` says: which note it is. Its text is read where it stands: a note may name people, and is erased there.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct OrderNoted<'a> {
    #[serde(flatten)]
    order: &'a OrderDocument,
    /// The note's id.
    note_id: OrderNoteId,
    /// Who may read it.
    visibility: NoteVisibility,
}

/// What `order.tagged.v1` says.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct OrderTagged<'a> {
    #[serde(flatten)]
    order: &'a OrderDocument,
    /// All its tags now.
    tags: &'a [String],
}

/// What the events of this part carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    vec![
        EventSchema::of::<OrderNoted<'_>>(NOTED),
        EventSchema::of::<OrderTagged<'_>>(TAGGED),
        EventSchema::of::<OrderDocument>(ASKED),
    ]
}

/// Everything that is kept beside an order: three statements.
///
/// # Errors
/// What the database says.
pub(super) fn beside(tx: &mut Tx, order: OrderId) -> Result<Beside> {
    Ok(Beside {
        notes: store::notes(tx, order)?,
        tags: store::tags(tx, order)?,
        attachments: store::attachments(tx, order)?,
    })
}

/// What of it the order's customer may read.
///
/// # Errors
/// What the database says.
pub(super) fn for_customer(tx: &mut Tx, order: OrderId) -> Result<Vec<OrderNote>> {
    let mut notes = store::notes(tx, order)?;
    notes.retain(|note| note.visibility == NoteVisibility::Customer);
    notes.iter_mut().for_each(|note| note.author.clear());
    Ok(notes)
}

/// The notes on orders behind one of them, in the order of their ids; who wrote them is not told.
///
/// # Errors
/// What the database says.
pub fn of_orders(tx: &mut Tx, orders: &[OrderId], after: Option<OrderNoteId>, limit: i64) -> Result<Vec<OrderNote>> {
    let mut notes = store::of_orders(tx, orders, after, limit)?;
    notes.iter_mut().for_each(|note| note.author.clear());
    Ok(notes)
}

fn tell(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    (event, kind): (EventId, &'static str),
    order: &mut OrderDocument,
    document: impl FnOnce(&OrderDocument) -> Result<Json>,
) -> Result<()> {
    service::save(tx, now, order, &[], 1)?;
    let payload = order.payload(document)?;
    let told = service::event(order, (1, 1), event, kind, now, payload);
    events::append(tx, actor, now, vec![told])
}

fn room(have: usize) -> Result<()> {
    match i64::try_from(have).unwrap_or(i64::MAX) < MOST {
        true => Ok(()),
        false => Err(Error::conflict(format!("an order has at most {MOST} of them"))),
    }
}

/// Writes a note on an order.
///
/// # Errors
/// `not_found`; `state_conflict` where it has too many.
pub(super) fn note(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    (event, id): (EventId, OrderId),
    note: &OrderNote,
) -> Result<Beside> {
    let mut order = service::lock(tx, id)?;
    room(store::notes(tx, id)?.len())?;
    store::insert_note(tx, id, note)?;
    let (note_id, visibility) = (note.id, note.visibility);
    tell(tx, now, actor, (event, NOTED), &mut order, |order| Json::of(&OrderNoted { order, note_id, visibility }))?;
    beside(tx, id)
}

/// Notes that a document belongs to an order.
///
/// # Errors
/// `not_found`; `state_conflict` where it has too many.
pub(super) fn attach(tx: &mut Tx, id: OrderId, one: &Attachment) -> Result<Beside> {
    service::lock(tx, id)?;
    room(store::attachments(tx, id)?.len())?;
    store::insert_attachment(tx, id, one)?;
    beside(tx, id)
}

/// Gives an order tags and takes others off. Nothing happens where it has them and has not the others. Gives all its tags.
///
/// # Errors
/// `not_found`; `invalid_value` where it would have too many.
pub fn tag(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    (event, id): (EventId, OrderId),
    (add, remove): (&[String], &[String]),
) -> Result<Vec<String>> {
    let mut order = service::lock(tx, id)?;
    let before: BTreeSet<String> = store::tags(tx, id)?.into_iter().collect();
    let mut after: BTreeSet<String> = before.iter().filter(|tag| !remove.contains(tag)).cloned().collect();
    after.extend(add.iter().cloned());
    if after.len() > MOST_TAGS {
        return Err(Error::invalid("/add", format!("an order has at most {MOST_TAGS} tags")));
    }
    let tags: Vec<String> = after.iter().cloned().collect();
    if after == before {
        return Ok(tags);
    }
    let gone: Vec<String> = before.difference(&after).cloned().collect();
    let new: Vec<String> = after.difference(&before).cloned().collect();
    store::remove_tags(tx, id, &gone)?;
    store::add_tags(tx, id, &new)?;
    tell(tx, now, actor, (event, TAGGED), &mut order, |order| Json::of(&OrderTagged { order, tags: &tags }))?;
    Ok(tags)
}

/// Asks that the confirmation of an order be sent again, by whoever sends it: an event tells of it. Not twice within five minutes.
///
/// # Errors
/// `not_found`; `rate_limited` with when it can be asked again.
pub fn resend(tx: &mut Tx, now: Instant, actor: &Actor, event: EventId, id: OrderId) -> Result<OrderDocument> {
    let mut order = service::lock(tx, id)?;
    if !store::ask(tx, now, id, now.plus_seconds(-BETWEEN))? {
        let detail = "its confirmation was asked for a moment ago";
        let seconds = u32::try_from(BETWEEN).unwrap_or(u32::MAX);
        return Err(Error::problem(Code::RateLimited, detail).retry_after(seconds));
    }
    tell(tx, now, actor, (event, ASKED), &mut order, Json::of)?;
    Ok(order)
}

/// Forgets what people have written about orders whose customers are erased.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, orders: &[OrderId]) -> Result<()> {
    if orders.is_empty() { Ok(()) } else { store::forget(tx, orders) }
}
