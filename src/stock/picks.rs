//! Pieces that are taken from their shelf, or put back: movements that change neither number of a level, so that it is known
//! who has taken what when. What is shipped without a pick, or cancelled after one, is told by that alone.

use super::{
    model::{LevelKey, MovementKind, NewMovement, Occasion},
    store,
};
use crate::{
    db::Tx,
    error::Result,
    kernel::{
        Actor, Instant,
        ids::{FulfilmentOrderId, OrderId},
    },
};

/// Pieces of a level that are taken for an order, or (negative) put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picked {
    /// Of what, where.
    pub key: LevelKey,
    /// How many.
    pub pieces: i64,
    /// The order: the movement's reference, as of all else that is done with its pieces.
    pub order: OrderId,
    /// For which of its fulfilment orders.
    pub work: FulfilmentOrderId,
    /// What else is to be known: the wave, why they are put back.
    pub note: Option<String>,
}

/// Writes picks into the ledger. Levels are neither moved nor locked. One statement, none where there is nothing.
///
/// # Errors
/// What the database says.
pub fn note_picked(tx: &mut Tx, now: Instant, actor: &Actor, picked: &[Picked]) -> Result<()> {
    if picked.is_empty() {
        return Ok(());
    }
    let movement = |one: &Picked| NewMovement {
        key: one.key,
        kind: MovementKind::Pick,
        on_hand: 0,
        allocated: 0,
        reason: Some(match &one.note {
            Some(note) => format!("{}: {note}", one.work),
            None => one.work.to_string(),
        }),
        pieces: Some(one.pieces),
        reference: Some(one.order.to_string()),
    };
    let occasion = Occasion { actor, reference: None, occurred_at: now };
    store::append(tx, now, occasion, &picked.iter().map(movement).collect::<Vec<_>>())
}
