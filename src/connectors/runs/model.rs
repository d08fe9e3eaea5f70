//! What a run over a far end is, and what it finds. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    connectors::{erp, ports::Found},
    kernel::{
        Instant, Money,
        ids::{ChannelId, ConnectorId, ConnectorRunId, JobId},
    },
};

crate::words! {
    /// What a run is for.
    pub enum RunKind {
        /// What was lost at the far end is looked for, and sent again.
        Resync = "resync",
        /// Both sides are compared.
        Reconciliation = "reconciliation",
    }
}

crate::words! {
    /// What a resync does.
    pub enum ResyncMode {
        /// It looks for every order and tells what is missing. Nothing is changed, here or there.
        Verify = "verify",
        /// It links again what is there, and sends what is missing.
        Missing = "missing",
        /// It sends everything again, without looking.
        Force = "force",
    }
}

crate::words! {
    /// Where a run stands.
    pub enum RunState {
        /// It is at work, or waits: for a connector that is paused, for a far end that does not answer.
        Running = "running",
        /// It has gone through all of its orders. What could not be done is told with each.
        Done = "done",
        /// It was given up: `error` tells why.
        Failed = "failed",
    }
}

crate::words! {
    /// What came of an order.
    pub enum ItemState {
        /// Nobody has looked yet.
        Waiting = "waiting",
        /// It is there, and linked.
        Present = "present",
        /// It is there, and was linked anew: to something else than before, or for the first time.
        Relinked = "relinked",
        /// It is not there.
        Missing = "missing",
        /// It is being sent.
        Sending = "sending",
        /// It was not there, or nobody looked, and it was sent.
        Sent = "sent",
        /// It is not there, and need not be: it is cancelled.
        NotNeeded = "not_needed",
        /// It is not there yet: events of it are on their way.
        OnItsWay = "on_its_way",
        /// It could not be looked for, or not be sent: `why` tells more.
        Failed = "failed",
        /// Both sides are the same.
        Same = "same",
        /// It is not there, and should be.
        MissingThere = "missing_there",
        /// It costs something else there.
        TotalDiffers = "total_differs",
        /// It is cancelled on one side only.
        StateDiffers = "state_differs",
        /// It is there with a key of ours, and not here.
        UnknownThere = "unknown_there",
    }
}

impl ItemState {
    /// Whether it is a difference between both sides.
    #[must_use]
    pub const fn is_difference(self) -> bool {
        matches!(self, Self::MissingThere | Self::TotalDiffers | Self::StateDiffers | Self::UnknownThere)
    }
}

crate::words! {
    /// What would mend a difference.
    pub enum Mend {
        /// A resync of the same stretch with `mode` `missing`.
        ResyncMissing = "resync_missing",
        /// The document there has to be corrected by hand.
        CorrectThere = "correct_there",
        /// The document there has to be cancelled: a resync with `mode` `missing` does it, or somebody by hand.
        CancelThere = "cancel_there",
        /// Somebody has to look why it is cancelled there and not here.
        DecideHere = "decide_here",
        /// Somebody has to look whose it is.
        LookThere = "look_there",
    }
}

/// What is kept of a run beside its columns.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Details {
    /// The stretch, as it was asked for.
    pub from: Option<Instant>,
    pub to: Option<Instant>,
    pub mode: Option<ResyncMode>,
    pub begun_by: String,
    /// How often in a row the far end did not answer.
    #[serde(default)]
    pub tries: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether what is left of it is given up.
    #[serde(default)]
    pub given_up: bool,
    /// How far what the far end has was listed; null before the first page.
    #[serde(default)]
    pub listed: Value,
    #[serde(default)]
    pub all_listed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A run as it is kept.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub id: ConnectorRunId,
    pub connector: ConnectorId,
    pub kind: RunKind,
    pub state: RunState,
    /// How far the stretch has been looked through for orders.
    pub position: i64,
    /// Where it ends.
    pub until: i64,
    /// How many of its orders are being sent.
    pub sending: i64,
    pub night: Option<String>,
    pub differences: i64,
    pub closed_at: Option<Instant>,
    pub details: Details,
    pub created_at: Instant,
    pub ended_at: Option<Instant>,
}

/// A run over what a connector's far end has.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Run {
    /// Its id.
    pub id: ConnectorRunId,
    /// Over whose far end.
    pub connector_id: ConnectorId,
    /// What for.
    pub kind: RunKind,
    /// What a resync does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<ResyncMode>,
    /// Where it stands. More words may come.
    pub state: RunState,
    /// From when on: the orders of which something happened then or later …
    pub from: Option<Instant>,
    /// … and before this.
    pub to: Option<Instant>,
    /// How far the stretch of the log has been looked through for orders: all of them are known once it reaches `until`.
    pub position: i64,
    /// Where the stretch ends.
    pub until: i64,
    /// How many orders there are in it, as far as it has been looked through.
    pub orders: i64,
    /// How many orders of each state there are; those of which there is none are left out.
    #[schema(value_type = Object, example = json!({"present": 118, "sent": 2, "failed": 1}))]
    pub counts: BTreeMap<String, i64>,
    /// How many differences a reconciliation has found.
    pub differences: i64,
    /// Why it was given up, or why it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Who began it.
    pub begun_by: String,
    /// Since when its differences need nobody any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Instant>,
    /// Who said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<String>,
    /// And why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was begun.
    pub created_at: Instant,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Instant>,
}

impl Kept {
    /// Its view.
    pub(super) fn view(self, counts: BTreeMap<String, i64>) -> Run {
        let Details { from, to, mode, begun_by, error, closed_by, reason, .. } = self.details;
        Run {
            id: self.id,
            connector_id: self.connector,
            kind: self.kind,
            mode,
            state: self.state,
            from,
            to,
            position: self.position,
            until: self.until,
            orders: counts.values().sum(),
            differences: self.differences,
            counts,
            error,
            begun_by,
            closed_at: self.closed_at,
            closed_by,
            reason,
            created_at: self.created_at,
            ended_at: self.ended_at,
        }
    }
}

/// What is told of an order beside its state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Told {
    /// The order's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// What the far end calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What it costs here, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_here: Option<Money>,
    /// And there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_there: Option<Money>,
    /// Its state here, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_here: Option<String>,
    /// And there, in the far end's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_there: Option<String>,
    /// What would mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<Mend>,
    /// How often in a row sending it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries: Option<i64>,
    /// Whether sending it has begun, so that something of it may be there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begun: bool,
}

/// An order of a run.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RunItem {
    /// The order's id; of what is unknown here, the key that it has there.
    pub order_id: String,
    /// What came of it. More words may come.
    pub state: ItemState,
    /// What else is told of it.
    #[serde(flatten)]
    pub told: Told,
    /// The last change.
    pub updated_at: Instant,
    /// Its channel.
    #[serde(skip)]
    pub channel: Option<ChannelId>,
    /// The event that was sent last.
    #[serde(skip)]
    pub sent_to: i64,
    /// The job that sends it.
    #[serde(skip)]
    pub job: Option<JobId>,
}

/// An order as it is here.
#[derive(Debug, Clone, Default)]
pub(super) struct Ours {
    pub number: Option<String>,
    pub cancelled: bool,
    /// Whether nobody knows any more whose it was.
    pub erased: bool,
    /// What it costs, where nothing of it is cancelled: then the far end has to come to the same.
    pub total: Option<Money>,
    /// Whether events of it are on their way.
    pub on_its_way: bool,
    /// Whether an event of it is a dead letter.
    pub dead: bool,
}

impl Ours {
    /// What the last document of an order tells.
    pub(super) fn of(document: &Value) -> Self {
        let total =
            erp::total(document).and_then(|_| serde_json::from_value(erp::member(document, "total").clone()).ok());
        Self {
            number: erp::member(document, "number").as_str().map(str::to_owned),
            cancelled: erp::word(document, "state") == "cancelled",
            total,
            ..Self::default()
        }
    }
}

/// What a comparison of both sides comes to.
pub(super) fn compare(ours: &Ours, theirs: Option<&Found>) -> (ItemState, Told) {
    let number = ours.number.clone();
    let Some(theirs) = theirs else {
        let told = Told { number, ..Told::default() };
        return match (ours.cancelled, ours.on_its_way) {
            (true, _) => (ItemState::Same, told),
            (_, true) => (ItemState::OnItsWay, told),
            _ => (ItemState::MissingThere, Told { mend: Some(Mend::ResyncMissing), ..told }),
        };
    };
    let told = Told { number, reference: Some(theirs.reference().to_owned()), ..Told::default() };
    if ours.on_its_way {
        return (ItemState::OnItsWay, told);
    }
    if ours.cancelled != theirs.cancelled {
        let mend = if ours.cancelled { Mend::CancelThere } else { Mend::DecideHere };
        let state_here = Some(if ours.cancelled { "cancelled" } else { "open" }.to_owned());
        let told = Told { state_here, state_there: Some(theirs.state.clone()), mend: Some(mend), ..told };
        return (ItemState::StateDiffers, told);
    }
    match (ours.total, theirs.total) {
        (Some(here), Some(there)) if !ours.cancelled && here != there => {
            let told =
                Told { total_here: Some(here), total_there: Some(there), mend: Some(Mend::CorrectThere), ..told };
            (ItemState::TotalDiffers, told)
        }
        _ => (ItemState::Same, told),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::connectors::ports::Link;

    fn order(amount: &str, state: &str, cancelled: i64) -> Ours {
        Ours::of(&json!({
            "number": "1001", "state": state, "total": {"amount": amount, "currency": "EUR"},
            "lines": [{"quantity": 2, "cancelled": cancelled}]
        }))
    }

    fn there(amount: &str, cancelled: bool) -> Found {
        let link = Link {
            object: "order".into(),
            object_id: "order_1".into(),
            kind: "sale".into(),
            value: "7".into(),
            number: Some("S7".into()),
            doubtful: false,
        };
        let total = serde_json::from_value(json!({"amount": amount, "currency": "EUR"})).ok();
        Found { order: "order_1".into(), links: vec![link], total, cancelled, state: "processing".into() }
    }

    #[test]
    fn both_sides_are_compared_by_what_has_to_be_the_same() {
        let words = |ours: &Ours, theirs: Option<&Found>| {
            let (state, told) = compare(ours, theirs);
            (state, told.mend)
        };
        let (placed, cancelled) = (order("19.99", "placed", 0), order("19.99", "cancelled", 0));
        assert_eq!(words(&placed, Some(&there("19.99", false))), (ItemState::Same, None));
        assert_eq!(words(&placed, None), (ItemState::MissingThere, Some(Mend::ResyncMissing)));
        assert_eq!(words(&cancelled, None), (ItemState::Same, None));
        assert_eq!(words(&cancelled, Some(&there("19.99", false))), (ItemState::StateDiffers, Some(Mend::CancelThere)));
        assert_eq!(words(&placed, Some(&there("19.99", true))), (ItemState::StateDiffers, Some(Mend::DecideHere)));
        let (state, told) = compare(&placed, Some(&there("19.98", false)));
        assert_eq!(
            (state, told.mend, told.reference.as_deref()),
            (ItemState::TotalDiffers, Some(Mend::CorrectThere), Some("S7"))
        );
        assert!(told.total_here.is_some() && told.total_there.is_some());
        // Where something is cancelled nobody can say what the rest should come to.
        assert_eq!(words(&order("19.99", "placed", 1), Some(&there("9.99", false))), (ItemState::Same, None));
        let waiting = Ours { on_its_way: true, ..placed };
        assert_eq!(words(&waiting, None), (ItemState::OnItsWay, None));
        assert_eq!(words(&waiting, Some(&there("1.00", true))), (ItemState::OnItsWay, None));
    }
}
