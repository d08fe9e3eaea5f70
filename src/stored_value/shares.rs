//! What of a stored value pays an order goes over, in part, to the order that is split off.

use super::{
    model::EntryKind,
    service::{Booking, By, entry_id, too_little, write_down},
    store::{self, Move},
};
use crate::{
    db::Tx,
    error::Result,
    kernel::ids::{PaymentId, StoredValueId},
};

/// Has another payment stand for a part of what one has set aside and has taken of a value. The value has as much as before, and may be blocked
/// or have expired: nothing new is paid with it.
///
/// # Errors
/// `stored_value_short` where there is no such value, which would be a defect.
pub fn share(
    tx: &mut Tx,
    by: By<'_>,
    value: StoredValueId,
    (from, to): (PaymentId, PaymentId),
    (aside, taken): (i64, i64),
) -> Result<()> {
    let step = |amount, held| Move { value, amount, held };
    let steps = [
        (aside, EntryKind::Release, from, step(0, -aside)),
        (aside, EntryKind::Hold, to, step(0, aside)),
        (taken, EntryKind::Redeem, from, step(taken, 0)),
        (taken, EntryKind::Redeem, to, step(-taken, 0)),
    ];
    for (_, kind, payment, step) in steps.into_iter().filter(|(amount, ..)| *amount > 0) {
        let after = store::apply(tx, by.0, &[step], false)?;
        if after.is_empty() {
            return Err(too_little());
        }
        let our_key = format!("split:{kind}:{payment}:{to}");
        let booking = Booking::of(kind, our_key.clone(), Some("split".to_owned()));
        write_down(tx, by, &after, vec![(entry_id(by.0, &our_key), step, Some(payment), booking)])?;
    }
    Ok(())
}
