//! What a hold is. Pure.

use serde::{Deserialize, Serialize};

use crate::kernel::Instant;

crate::words! {
    /// What a fulfilment order is held for. More words may come.
    pub enum HoldKind {
        /// The goods are nowhere to be had.
        Stock = "stock",
        /// No rule of its sourcing profile has found goods for it: somebody decides, and it is planned anew then.
        Sourcing = "sourcing",
        /// Its payment is looked into.
        Payment = "payment",
        /// It may be a fraud.
        Fraud = "fraud",
        /// Something is wrong with its address.
        Address = "address",
        /// Its customer has asked to wait.
        Customer = "customer",
        /// Its location can not do it now.
        Location = "location",
        /// Something else.
        Other = "other",
    }
}

/// Why nothing is picked, packed and shipped of a fulfilment order. It has one of a kind at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Hold {
    /// What for.
    pub kind: HoldKind,
    /// Why, in words.
    pub reason: String,
    /// Who looks after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Who has placed it.
    pub placed_by: String,
    /// Since when.
    pub placed_at: Instant,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
}

/// What is kept of a hold beside its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HoldDetails {
    pub reason: String,
    #[serde(default)]
    pub owner: Option<String>,
    pub placed_by: String,
}

impl Hold {
    /// Whether it holds at an instant: one whose time is over does not, though nobody has written that down yet.
    #[must_use]
    pub fn holds_at(&self, now: Instant) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }
}

/// A hold about to be placed.
#[derive(Debug, Clone)]
pub struct NewHold {
    /// What for.
    pub kind: HoldKind,
    /// Why, in words.
    pub reason: String,
    /// Who looks after it.
    pub owner: Option<String>,
    /// When it ends by itself.
    pub expires_at: Option<Instant>,
}

impl NewHold {
    /// The hold that an actor places now.
    pub(in crate::fulfilment) fn placed(&self, by: String, now: Instant) -> Hold {
        let Self { kind, reason, owner, expires_at } = self.clone();
        Hold { kind, reason, owner, placed_by: by, placed_at: now, expires_at }
    }
}
