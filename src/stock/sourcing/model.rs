//! What a sourcing profile is: the rules by which an order finds the locations that ship it. Pure.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::document::{FallbackKind, ProfileDocument};
use crate::{
    error::{Code, Error, Result},
    kernel::{
        Actor, Country, Instant, Money,
        ids::{ChannelId, LocationId, SourcingProfileId},
        text::Text,
    },
};

crate::words! {
    /// Where a version of a sourcing profile stands.
    pub enum ProfileState {
        /// It is being written, and can be simulated.
        Draft = "draft",
        /// Orders are placed by it.
        Live = "live",
        /// Orders were placed by it, or it was given up.
        Retired = "retired",
    }
}

crate::words! {
    /// What happens to a version of a sourcing profile.
    pub enum ProfileCommand {
        /// Its document is replaced.
        Edit = "edit",
        /// Orders are placed by it from now on.
        Activate = "activate",
        /// Orders are placed by it no more.
        Retire = "retire",
    }
}

/// The transitions there are; whatever is not among them is refused.
pub const TRANSITIONS: &[(ProfileState, ProfileCommand, ProfileState)] = {
    use ProfileCommand as C;
    use ProfileState as S;
    &[
        (S::Draft, C::Edit, S::Draft),
        (S::Draft, C::Activate, S::Live),
        (S::Draft, C::Retire, S::Retired),
        (S::Live, C::Retire, S::Retired),
        (S::Retired, C::Activate, S::Live),
    ]
};

impl ProfileState {
    /// Where a command leads from here.
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn apply(self, command: ProfileCommand) -> Result<Self> {
        let found = TRANSITIONS.iter().find(|(from, by, _)| (*from, *by) == (self, command));
        let refused = || {
            let detail = match (self, command) {
                (Self::Live | Self::Retired, ProfileCommand::Edit) => {
                    format!("the version is {self} and stays as it is: make a new version of the code")
                }
                _ => format!("the version is {self}, {command} is not possible"),
            };
            Error::conflict(detail).with("state", self.as_str())
        };
        found.map(|(_, _, to)| *to).ok_or_else(refused)
    }
}

/// The transition table as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> draft\n");
    for (from, command, to) in TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

/// A version of a sourcing profile.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SourcingProfile {
    /// The version's id.
    pub id: SourcingProfileId,
    /// The profile's code, which its versions share.
    pub code: String,
    /// Which version of the code it is, from 1.
    pub version: i64,
    /// The channel whose orders it is for; all that have none of their own where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<ChannelId>,
    /// Where it stands. Of a channel, and of all, one is live at most.
    pub state: ProfileState,
    /// Its rules.
    pub document: ProfileDocument,
    /// Rises with every change of this version: its `ETag`.
    pub revision: i64,
    /// Since when it is live, or was the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activated_at: Option<Instant>,
    /// Since when.
    pub created_at: Instant,
}

impl SourcingProfile {
    /// Whether an actor may see it: it is of all channels, or of one of theirs.
    #[must_use]
    pub fn is_seen_by(&self, actor: &Actor) -> bool {
        self.channel_id.is_none_or(|channel| actor.sees_channel(channel))
    }
}

/// A version of a sourcing profile about to be made.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"code": "standard", "document": {"strategies": [{"name": "fewest parcels"}]}}))]
pub struct NewSourcingProfile {
    /// The profile's code. One that there is gets its next version.
    pub code: Text<50>,
    /// The channel whose orders it is for; all that have none of their own where it is left out.
    pub channel_id: Option<ChannelId>,
    /// Its rules.
    pub document: ProfileDocument,
}

/// What can be changed about a draft.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"document": {"strategies": [{"name": "fewest parcels"}]}}))]
pub struct SourcingProfilePatch {
    /// Its rules, whole.
    pub document: ProfileDocument,
}

/// Which version of which profile has placed a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ProfileRef {
    /// The profile's code.
    pub code: String,
    /// Which version.
    pub version: i64,
    /// The strategy that found the plan; absent where it was the fallback, or none was for the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// What was done instead, where no strategy found a plan.
    #[serde(default, deserialize_with = "known", skip_serializing_if = "Option::is_none")]
    pub fallback: Option<FallbackKind>,
    /// For so many days goods have to keep when they leave, as the strategy's filter asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shelf_life_days: Option<i64>,
}

/// Reads a word that was kept; none where a newer version has written one that is not known here.
fn known<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<FallbackKind>, D::Error> {
    let word = <Option<String>>::deserialize(deserializer)?;
    Ok(word.and_then(|word| word.parse().ok()))
}

/// What is known of a line beside what it needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineFacts {
    /// What a piece weighs.
    pub grams: i64,
    /// What others have noted of it.
    pub metadata: Map<String, Value>,
}

/// What is known of an order that is to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its channel.
    pub channel: ChannelId,
    /// Where it goes.
    pub country: Country,
    /// The postcode there.
    pub postcode: Option<String>,
    /// What the goods cost.
    pub value: Option<Money>,
    /// The group of the customer.
    pub customer_group: Option<String>,
    /// The tags of the cart.
    pub tags: Vec<String>,
    /// When it is placed.
    pub at: Instant,
    /// Pieces of lots that end before this are not sold to them.
    pub keeps_until: Option<Instant>,
    /// Its lines; those of all its deliveries are the same.
    pub lines: Arc<HashMap<i32, LineFacts>>,
    /// What the goods weigh together.
    pub weight_grams: i64,
    /// The one location that may give them: where they are picked up.
    pub only: Option<LocationId>,
    /// The same of its further deliveries, in their order: the first of them is the delivery 1. This is the delivery 0.
    pub further: Vec<Facts>,
}

impl Facts {
    /// What is known of one of its deliveries.
    #[must_use]
    pub fn of_delivery(&self, number: i32) -> &Self {
        let at = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        at.and_then(|at| self.further.get(at)).unwrap_or(self)
    }
}

/// The texts in the list `tags` of the metadata of a cart or an order.
#[must_use]
pub fn tags(metadata: &Map<String, Value>) -> Vec<String> {
    let tags = metadata.get("tags").and_then(Value::as_array).into_iter().flatten();
    tags.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// No such code: a location is named that is not there.
pub(super) fn unknown_location(pointer: &str, code: &str) -> Error {
    Error::problem(Code::NotFound, format!("there is no location with the code `{code}`")).at(pointer)
}
