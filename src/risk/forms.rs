//! What is sent and answered about risk.

use serde::{Deserialize, Serialize};

use super::model::{Assessment, Decision, Facts, Listing, Mark, ProfileDocument, RiskOutcome, TraceStep};
use crate::kernel::{
    Instant,
    ids::{CartId, ChannelId, OrderId, RiskAssessmentId, RiskEntryId},
    patch::present,
    text::{Note, Text},
};

/// A version of a channel's rules.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RiskProfile {
    /// The channel.
    pub channel_id: ChannelId,
    /// The version; the newest is live.
    pub version: i64,
    /// The rules.
    #[serde(flatten)]
    pub document: ProfileDocument,
    /// Who has made it.
    pub made_by: String,
    /// When.
    pub created_at: Instant,
}

/// What was found when somebody was about to order.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RiskAssessment {
    /// Its id.
    pub id: RiskAssessmentId,
    /// The channel.
    pub channel_id: ChannelId,
    /// The cart.
    pub cart_id: CartId,
    /// The order that came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The version of the channel's rules that it was judged by.
    pub profile_version: i64,
    /// What it came to.
    #[serde(flatten)]
    pub found: Assessment,
    /// What was known.
    pub facts: Facts,
    /// What became of it; absent as long as nobody has said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<RiskOutcome>,
    /// When that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged_at: Option<Instant>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged_by: Option<String>,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When.
    pub assessed_at: Instant,
}

/// What is kept of an assessment beside its columns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Stored {
    pub by: String,
    pub trace: Vec<TraceStep>,
    pub facts: Facts,
}

/// What became of an order.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"outcome": "legitimate", "note": "the customer has called back"}))]
pub struct OutcomeRequest {
    /// What became of it. By `fraud` and `loss`, what the shopper was known by is known for losses.
    pub outcome: RiskOutcome,
    /// Why, in words.
    #[schema(value_type = Option<String>)]
    pub note: Option<Note<500>>,
}

/// Somebody to allow or to block.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"list": "block", "kind": "network", "value": "203.0.113.0/24", "reason": "cards were tried from there"}))]
pub struct NewRiskEntry {
    /// The list.
    pub list: Listing,
    /// By what they are met.
    pub kind: Mark,
    /// An e-mail address, a domain, a network (`203.0.113.0/24`), a device or card as the storefront or the provider names it, an address
    /// as `street, postcode, country`, a customer's id. It is kept as a hash.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    pub value: Option<Text<500>>,
    /// In the place of `value`: whatever the shopper of this assessment is known by of that kind.
    pub assessment_id: Option<RiskAssessmentId>,
    /// Why, in words.
    #[schema(value_type = String)]
    pub reason: Note<500>,
    /// Until when; for good where it is left out.
    pub until: Option<Instant>,
}

/// A row of an import: somebody to allow or to block.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"list": "block", "kind": "domain", "value": "example.net", "reason": "cards were tried from there"}))]
pub struct RiskEntryRow {
    /// The list.
    pub list: Listing,
    /// By what they are met.
    pub kind: Mark,
    /// As for one entry.
    #[schema(value_type = String, min_length = 1, max_length = 500)]
    pub value: Text<500>,
    /// Why, in words.
    #[schema(value_type = String)]
    pub reason: Note<500>,
    /// Until when; for good where it is left out.
    pub until: Option<Instant>,
}

/// What can be changed of an entry; what is absent stays.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"list": "allow", "reason": "was a mistake"}))]
pub struct RiskEntryPatch {
    /// The list.
    pub list: Option<Listing>,
    /// Why, in words.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
    /// Until when; null for good.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Instant>)]
    pub until: Option<Option<Instant>>,
}

/// An entry of a list.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RiskEntry {
    /// Its id.
    pub id: RiskEntryId,
    /// The list.
    pub list: Listing,
    /// By what they are met.
    pub kind: Mark,
    /// As much of it as is kept in the open.
    pub hint: String,
    /// Why.
    pub reason: String,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    /// Who has made it.
    pub made_by: String,
    /// Since when.
    pub created_at: Instant,
    /// Rises with every change.
    pub version: i64,
}

/// A row of an import that was not taken.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RiskRowRefused {
    /// The row, counted from 1, without the heading.
    pub row: i64,
    /// A stable code.
    pub code: String,
    /// What is wrong with it.
    pub detail: String,
}

/// What came of an import.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RiskImport {
    /// How many entries stand as the rows say.
    pub taken: usize,
    /// The rows that were not taken.
    pub refused: Vec<RiskRowRefused>,
}

/// A draft of rules to try out on what was found before.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"channel_id": "chan_01h455vb4pex5vsknk084sn02q", "document": {"hold_at": 50, "rules": [
    {"name": "dear", "kind": "value", "amount": {"amount": "300.00", "currency": "EUR"}, "weight": 50}]}}))]
pub struct SimulateRisk {
    /// The channel.
    pub channel_id: ChannelId,
    /// The rules.
    pub document: ProfileDocument,
    /// Of checkouts from this time on; the last 30 days where it is left out.
    pub from: Option<Instant>,
    /// Of checkouts before this time.
    pub to: Option<Instant>,
}

/// How many checkouts were, or would be, decided upon so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RiskDecisions {
    /// The decision.
    pub decision: Decision,
    /// How many checkouts.
    pub checkouts: i64,
    /// Of how many nothing was wrong.
    pub legitimate: i64,
    /// How many were frauds that were stopped.
    pub fraud: i64,
    /// By how many something was lost.
    pub loss: i64,
    /// Of how many nobody has said what became of them.
    pub unknown: i64,
}

/// What a rule was worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RiskRuleReport {
    /// The rule.
    pub rule: String,
    /// At how many checkouts it has fired.
    pub fired: i64,
    /// Of these, how many were a fraud or a loss.
    pub bad: i64,
    /// Of these, at how many nothing was wrong.
    pub good: i64,
    /// Of these, of how many nobody has said.
    pub unknown: i64,
    /// Of the judged ones at which it has fired, the share that was bad: a decimal from 0 to 1. Absent where none is judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "0.8000")]
    pub precision: Option<String>,
    /// Of all bad ones, the share at which it has fired. Absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "0.2500")]
    pub recall: Option<String>,
}

/// A checkout that would be decided upon otherwise.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RiskChange {
    /// What was found then.
    pub assessment_id: RiskAssessmentId,
    /// The order that came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// What was done.
    pub before: Decision,
    /// What would be.
    pub after: Decision,
    /// With so many points.
    pub score: i64,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<RiskOutcome>,
}

/// What a draft of rules would have come to.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RiskSimulation {
    /// How many checkouts were looked at, the newest first.
    pub checkouts: usize,
    /// Whether there are more in that time than are looked at.
    pub more: bool,
    /// What was decided.
    pub before: Vec<RiskDecisions>,
    /// What would be.
    pub after: Vec<RiskDecisions>,
    /// What each rule of the draft would have been worth.
    pub rules: Vec<RiskRuleReport>,
    /// The first hundred that would be decided upon otherwise.
    pub changed: Vec<RiskChange>,
}
