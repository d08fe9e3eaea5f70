//! Commands and queries on disputes. All of them are part of the caller's transaction, which has locked the order.

pub use super::store::{known, of_order, page, waiting};
use super::{
    model::{Dispute, DisputeCommand, DisputeState, Evidence, NewDispute},
    store,
};
use crate::{
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    kernel::{Instant, ids::DisputeId},
    payments::service,
};

/// Opens a dispute: counts its amount on the payment, of which so much must have been taken and neither given back nor disputed, but for
/// what is said to be in excess of that.
///
/// # Errors
/// `dispute_exceeded`; `duplicate` for a reference that the payment has a dispute of already.
pub fn open(tx: &mut Tx, now: Instant, new: &NewDispute) -> Result<Dispute> {
    let counted = new.amount.minor().saturating_sub(new.excess.minor());
    if !store::count(tx, now, new.payment, counted)? {
        let left = service::get(tx, new.payment)?.ok_or_else(|| Error::not_found("payment"))?.refundable();
        let detail = format!("{left} of the payment were taken and are neither given back nor disputed");
        let left = serde_json::to_value(left)?;
        return Err(Error::problem(Code::DisputeExceeded, detail).at("/amount").with("left", left));
    }
    let taken = || Error::problem(Code::Duplicate, "there is a dispute with this reference already").at("/reference");
    on_duplicate(store::insert(tx, now, new), taken)?;
    find(tx, new.id)
}

/// A dispute.
///
/// # Errors
/// `not_found`.
pub fn find(tx: &mut Tx, id: DisputeId) -> Result<Dispute> {
    store::get(tx, id, false)?.ok_or_else(|| Error::not_found("dispute"))
}

/// The same, locked until the transaction ends.
///
/// # Errors
/// `not_found`.
pub fn lock(tx: &mut Tx, id: DisputeId) -> Result<Dispute> {
    store::get(tx, id, true)?.ok_or_else(|| Error::not_found("dispute"))
}

/// Ends an open dispute. What is won counts as taken again; what is lost or accepted never does.
///
/// # Errors
/// `state_conflict` where it has ended.
pub fn close(tx: &mut Tx, now: Instant, seen: &Dispute, to: DisputeState, by: &str, at: Instant) -> Result<Dispute> {
    let command = to.reached_by().ok_or_else(|| Error::internal("an open dispute is opened, not closed"))?;
    seen.state.apply(command)?;
    if !store::close(tx, now, seen, to, by, at)? {
        return Err(Error::conflict("the dispute has ended meanwhile"));
    }
    if to == DisputeState::Won && !store::count(tx, now, seen.payment_id, -seen.counted())? {
        return Err(Error::internal(format!("dispute {} is not counted on its payment", seen.id)));
    }
    find(tx, seen.id)
}

/// Notes evidence.
///
/// # Errors
/// `state_conflict` where it has ended.
pub fn note(tx: &mut Tx, now: Instant, seen: &Dispute, evidence: Evidence) -> Result<Dispute> {
    seen.state.apply(DisputeCommand::AddEvidence)?;
    if !store::note(tx, now, seen, evidence)? {
        return Err(Error::conflict("the dispute has ended meanwhile"));
    }
    find(tx, seen.id)
}
