//! Which pieces of each parcel somebody has claimed, and for which of these somebody has got something.
//!
//! It owns the table `parcel_claims`: a row for each line of a parcel of which anything was ever claimed. An order's line knows that so many
//! of its pieces are claimed, but not which: where it left in several parcels, the pieces of one would be made good again at the expense of
//! another. Here each piece of each parcel is made good once, which a CHECK of the row holds. What is sent again is another parcel.

mod model;
mod service;
mod store;

pub use model::{ClaimedPieces, Parcels};
pub use service::{count, honour, parcels, release};
pub(super) use service::{is_done, keep_still, seize};
