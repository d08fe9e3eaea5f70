//! What is done to many orders. Pure.

use serde::{Deserialize, Serialize};

use crate::{
    countersign::{CountersignState, OnBehalf},
    kernel::{
        Instant, Money,
        ids::{BulkJobId, ChannelId, CountersignRequestId, OrderId},
    },
};

crate::words! {
    /// What is done to each order.
    pub enum BulkCommand {
        /// End its holds.
        Release = "release",
        /// Cancel what has not left of it.
        Cancel = "cancel",
        /// Plan anew where its goods come from.
        Resource = "resource",
        /// Give it tags and take others off.
        Tag = "tag",
        /// Ask that its confirmation be sent again.
        Resend = "resend",
    }
}

crate::words! {
    /// Where the work stands.
    pub enum BulkState {
        /// A second person has to approve it: nothing is done.
        Awaiting = "awaiting",
        /// A second person has not approved it: nothing is done.
        Declined = "declined",
        /// Orders wait for it.
        Running = "running",
        /// Each order was taken.
        Done = "done",
    }
}

crate::words! {
    /// What has become of one order.
    pub enum ItemState {
        /// It waits for its turn.
        Waiting = "waiting",
        /// It was done.
        Done = "done",
        /// It was refused: `code` and `detail` tell why.
        Refused = "refused",
    }
}

/// What is asked beside the filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Arguments {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// What is kept of the work beside its columns. The filter is not: it may name people, and has done its part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub arguments: Arguments,
    pub by: OnBehalf,
    /// The channels of its orders.
    pub channels: Vec<ChannelId>,
    /// The request that a second person has to approve before it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<CountersignRequestId>,
}

impl BulkState {
    /// Where work stands that a second person has to approve.
    pub(super) const fn asked(self, request: CountersignState) -> Self {
        match request {
            CountersignState::Waiting | CountersignState::Approved => Self::Awaiting,
            CountersignState::Done => self,
            CountersignState::Declined
            | CountersignState::Withdrawn
            | CountersignState::Expired
            | CountersignState::Refused => Self::Declined,
        }
    }
}

/// Work on many orders.
#[derive(Debug, Clone)]
pub(super) struct Bulk {
    pub id: BulkJobId,
    pub command: BulkCommand,
    pub state: BulkState,
    pub started_by: String,
    pub created_at: Instant,
    pub ended_at: Option<Instant>,
    pub kept: Kept,
    /// What names the token that started it: one starts one.
    pub token_hash: Option<String>,
}

/// The orders that a filter finds, before anything is done to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BulkPreview {
    /// What would be done.
    pub command: BulkCommand,
    /// To how many orders.
    pub count: i64,
    /// What they cost, by currency.
    pub totals: Vec<Money>,
    /// The numbers of the newest of them.
    pub numbers: Vec<String>,
    /// Send it to start exactly this; good for ten minutes, for you, and as long as the filter finds the same orders.
    pub token: String,
    /// Until when.
    pub expires_at: Instant,
}

/// How far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BulkProgress {
    /// Its id.
    pub id: BulkJobId,
    /// What is done to each order.
    pub command: BulkCommand,
    /// Where it stands.
    pub state: BulkState,
    /// Who has started it.
    pub started_by: String,
    /// When.
    pub created_at: Instant,
    /// When the last order was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Instant>,
    /// What a second person has to approve before it begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub countersign_request_id: Option<CountersignRequestId>,
    /// How many orders there are.
    pub total: i64,
    /// How many wait for their turn.
    pub waiting: i64,
    /// To how many it was done.
    pub done: i64,
    /// How many have refused it.
    pub refused: i64,
}

/// What has become of one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BulkItem {
    /// The order.
    pub order_id: OrderId,
    /// Its number.
    pub number: String,
    /// What has become of it.
    pub state: ItemState,
    /// Why it was refused: a code of the error table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
