//! What a connector and a dispatch are.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pull::PullView;
use super::runs::Reconciling;
use super::sending::{Breaker, BreakerState, Sending};
use crate::{
    error::{Error, Result},
    kernel::{
        Action, Actor, Instant,
        ids::{ChannelId, ConnectorId, DispatchId, EventId, JobId},
        patch::present,
        text::Text,
    },
};

crate::words! {
    /// Whether a connector gets events.
    pub enum ConnectorState {
        /// It does.
        Active = "active",
        /// It does not; what happens meanwhile waits for it.
        Paused = "paused",
    }
}

crate::words! {
    /// What somebody can do with a connector.
    pub enum ConnectorCommand {
        /// Halt it, with `{"state": "paused"}`.
        Pause = "pause",
        /// Let it go on where it stood, with `{"state": "active"}`.
        Resume = "resume",
        /// Send it a ping.
        Test = "test",
        /// Send it a stretch of the log again.
        Replay = "replay",
        /// Renew its secrets.
        RenewSecrets = "renew_secrets",
    }
}

impl ConnectorState {
    /// The transition table.
    ///
    /// | | pause | resume | test, replay, renew_secrets |
    /// |---|---|---|---|
    /// | active | paused | – | active |
    /// | paused | – | active | paused |
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn apply(self, command: ConnectorCommand) -> Result<Self> {
        use ConnectorCommand as C;
        match (self, command) {
            (Self::Active, C::Pause) => Ok(Self::Paused),
            (Self::Paused, C::Resume) => Ok(Self::Active),
            (Self::Paused, C::Pause) | (Self::Active, C::Resume) => {
                Err(Error::conflict(format!("the connector is {self} already")))
            }
            (_, C::Test | C::Replay | C::RenewSecrets) => Ok(self),
        }
    }
}

crate::words! {
    /// Where a dispatch stands.
    pub enum DispatchState {
        /// It is on its way, or waits for its next try or for an earlier event of its stream.
        Pending = "pending",
        /// It has arrived.
        Delivered = "delivered",
        /// It failed for good; later events of its stream wait until it is replayed or skipped.
        Dead = "dead",
        /// Somebody decided that it need not arrive.
        Skipped = "skipped",
    }
}

crate::words! {
    /// What somebody can do with a dispatch.
    pub enum DispatchCommand {
        /// Send it again.
        Replay = "replay",
        /// Decide that it need not arrive.
        Skip = "skip",
    }
}

impl DispatchState {
    /// The transition table of what is decided by hand.
    ///
    /// | | replay | skip |
    /// |---|---|---|
    /// | pending | – | skipped |
    /// | dead | pending | skipped |
    /// | delivered, skipped | pending | – |
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn apply(self, command: DispatchCommand) -> Result<Self> {
        use DispatchCommand as C;
        match (self, command) {
            (Self::Pending, C::Replay) => Err(Error::conflict("the dispatch is on its way already")),
            (Self::Delivered | Self::Dead | Self::Skipped, C::Replay) => Ok(Self::Pending),
            (Self::Pending | Self::Dead, C::Skip) => Ok(Self::Skipped),
            (Self::Delivered | Self::Skipped, C::Skip) => Err(Error::conflict(format!("the dispatch is {self}"))),
        }
    }

    /// What can be done with it now, or why not.
    #[must_use]
    pub fn actions(self) -> Vec<Action> {
        let action = |command: &DispatchCommand| Action::of(command.as_str(), self.apply(*command).map(|_| ()));
        DispatchCommand::ALL.iter().map(action).collect()
    }
}

crate::words! {
    /// Which way a connector goes.
    #[derive(Default)]
    pub enum Direction {
        /// It brings events to the far end, and reads what changes there where its adapter can.
        #[default]
        Both = "both",
        /// It brings events to the far end only.
        Out = "out",
        /// It reads what changes at the far end only; what happens meanwhile here is passed over.
        In = "in",
    }
}

impl Direction {
    /// Whether it brings events to the far end.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::Both | Self::Out)
    }

    /// Whether it reads what changes there.
    #[must_use]
    pub const fn reads(self) -> bool {
        matches!(self, Self::Both | Self::In)
    }
}

/// What a connector is told to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Setup {
    /// What the adapter needs to know; its schema is at `/v1/ops/adapters`.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// The beginnings of the event types it gets, such as `order.` or `order.placed.v1`; empty is all, those of customers
    /// among them.
    #[schema(value_type = Vec<String>)]
    pub types: Vec<Text<100>>,
    /// The channels whose events it gets; absent is all. With it, events of no channel (stock) are left out.
    #[schema(value_type = Option<Vec<String>>)]
    pub channels: Option<Vec<ChannelId>>,
    /// Whether it gets the events of test channels.
    pub include_test: bool,
    /// Whether it may reach private addresses.
    pub allow_private: bool,
    /// How often an event is tried before it is a dead letter.
    pub max_attempts: i64,
    /// How much is sent at once, when again, and when not.
    #[serde(default)]
    pub sending: Sending,
    /// Whether it brings events there, reads what changes there, or both.
    #[serde(default)]
    pub direction: Direction,
    /// Whether, and when, both sides are compared by themselves.
    #[serde(default)]
    pub reconcile: Reconciling,
    /// Which of its mappings it writes by; absent is the adapter's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping_version: Option<i64>,
}

impl Setup {
    /// What holds for every adapter.
    ///
    /// # Errors
    /// Names the field.
    pub fn check(&self) -> Result<()> {
        let odd = |c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_'));
        if let Some(place) = self.types.iter().position(|prefix| prefix.contains(odd)) {
            return Err(Error::invalid(format!("/types/{place}"), "expected the beginning of a type such as `order.`"));
        }
        if self.types.len() > 100 {
            return Err(Error::invalid("/types", "expected at most 100 types"));
        }
        if self.channels.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::invalid("/channels", "expected at least one channel; leave it out for all"));
        }
        if !(1..=50).contains(&self.max_attempts) {
            return Err(Error::invalid("/max_attempts", "expected 1 to 50"));
        }
        self.sending.check()
    }

    /// Whether somebody may see and change it: who is limited to channels, only what stays within them. Who is limited to
    /// locations sees none, for a connector is told of all of them.
    #[must_use]
    pub fn is_visible_to(&self, actor: &Actor) -> bool {
        if actor.locations().is_some() {
            return false;
        }
        match (actor.channels(), &self.channels) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(theirs), Some(channels)) => channels.iter().all(|channel| theirs.contains(channel)),
        }
    }
}

/// A connector as it is kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its id.
    pub id: ConnectorId,
    /// Its unique name.
    pub name: String,
    /// The adapter.
    pub adapter: String,
    /// Whether it gets events.
    pub state: ConnectorState,
    /// Why it does not.
    pub pause_reason: Option<String>,
    /// What it is told to do.
    pub setup: Setup,
    /// Its secrets, sealed.
    pub sealed: Option<String>,
    /// How far of the log has been made into dispatches.
    pub position: i64,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// The last change.
    pub updated_at: Instant,
}

/// How much waits for a connector.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Backlog {
    /// The newest position of the log.
    pub log_position: i64,
    /// Positions of the log that have not been looked at for it.
    pub behind: i64,
    /// Dispatches that have not arrived.
    pub pending: i64,
    /// Dispatches that failed for good.
    pub dead: i64,
    /// Since when the oldest dispatch has been on its way.
    pub oldest_pending_at: Option<Instant>,
    /// For how many seconds the oldest event has been waiting, on its way or not looked at yet.
    pub lag_seconds: i64,
}

/// A configured adapter.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Connector {
    /// Its id.
    pub id: ConnectorId,
    /// Its unique name.
    pub name: String,
    /// The adapter.
    pub adapter: String,
    /// Whether it gets events.
    pub state: ConnectorState,
    /// Why it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_reason: Option<String>,
    /// What it is told to do.
    #[serde(flatten)]
    pub setup: Setup,
    /// Its secrets, only in the answer that made them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub secrets: Option<Value>,
    /// How far of the log has been made into dispatches.
    pub position: i64,
    /// How much waits for it.
    pub backlog: Backlog,
    /// Whether its far end is spoken to: `closed` when it is, `open` while it is left in peace, `half_open` while one event at
    /// a time finds out. More words may come.
    #[schema(value_type = String, example = "closed")]
    pub breaker_state: BreakerState,
    /// What is known of its far end's failures; absent while there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
    /// When what changes at the far end was last read, and what went wrong then; absent while it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull: Option<PullView>,
    /// What can be done with it now, or why not: `pause`, `resume`, `test`, `replay`, `renew_secrets`.
    pub actions: Vec<Action>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// The last change.
    pub updated_at: Instant,
}

impl Connector {
    /// The view of a kept connector; `renewable` is whether its adapter can renew secrets.
    #[must_use]
    pub fn new(kept: Kept, (backlog, breaker): (Backlog, Breaker), renewable: bool, now: Instant) -> Self {
        let action = |command: &ConnectorCommand| {
            let fixed = *command == ConnectorCommand::RenewSecrets && !renewable;
            let taken = if fixed { Err(no_renewal()) } else { kept.state.apply(*command).map(|_| ()) };
            Action::of(command.as_str(), taken)
        };
        let actions = ConnectorCommand::ALL.iter().map(action).collect();
        Self {
            id: kept.id,
            name: kept.name,
            adapter: kept.adapter,
            state: kept.state,
            pause_reason: kept.pause_reason,
            setup: kept.setup,
            secrets: None,
            position: kept.position,
            backlog,
            breaker_state: breaker.state(now),
            breaker: Some(breaker).filter(|breaker| !breaker.is_clean()),
            pull: None,
            actions,
            version: kept.version,
            created_at: kept.created_at,
            updated_at: kept.updated_at,
        }
    }
}

/// An adapter whose secrets are somebody else's.
pub(super) fn no_renewal() -> Error {
    Error::conflict("this adapter has no secrets to renew")
}

const fn twelve() -> i64 {
    12
}

/// A connector about to be made.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "ERP", "adapter": "webhook", "settings": {"url": "https://erp.example.com/hooks/kontor"}, "types": ["order.", "payment."]
}))]
pub struct NewConnector {
    /// A unique name.
    pub name: Text<100>,
    /// An adapter that `/v1/ops/adapters` lists.
    pub adapter: Text<50>,
    /// What the adapter needs to know.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// Its secrets; what is left out is made and shown once.
    #[schema(value_type = Option<Object>)]
    pub secrets: Option<Value>,
    /// The beginnings of the event types it gets; empty is all. Those of customers among them need the scope
    /// `customers:read` too, unless `channels` are named: customers belong to none.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub types: Vec<Text<100>>,
    /// The channels whose events it gets; absent is all.
    #[schema(value_type = Option<Vec<String>>)]
    pub channels: Option<Vec<ChannelId>>,
    /// Whether it gets the events of test channels.
    #[serde(default)]
    pub include_test: bool,
    /// Whether it may reach private addresses.
    #[serde(default)]
    pub allow_private: bool,
    /// How often an event is tried before it is a dead letter.
    #[serde(default = "twelve")]
    #[schema(minimum = 1, maximum = 50, default = 12)]
    pub max_attempts: i64,
    /// How much is sent at once, when again, and when not.
    #[serde(default)]
    pub sending: Sending,
    /// Whether it brings events there, reads what changes there, or both.
    #[serde(default)]
    pub direction: Direction,
    /// Whether, and when, both sides are compared by themselves.
    #[serde(default)]
    pub reconcile: Reconciling,
}

/// What can be changed about a connector.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"state": "active"}))]
pub struct ConnectorPatch {
    /// A unique name.
    pub name: Option<Text<100>>,
    /// `active` lets it go on where it stood, `paused` halts it.
    pub state: Option<ConnectorState>,
    /// What the adapter needs to know, whole.
    #[schema(value_type = Option<Object>)]
    pub settings: Option<Value>,
    /// The beginnings of the event types it gets from now on; empty is all. Those of customers need `customers:read` too.
    #[schema(value_type = Option<Vec<String>>)]
    pub types: Option<Vec<Text<100>>>,
    /// The channels whose events it gets; `null` is all.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    pub channels: Option<Option<Vec<ChannelId>>>,
    /// Whether it gets the events of test channels.
    pub include_test: Option<bool>,
    /// Whether it may reach private addresses.
    pub allow_private: Option<bool>,
    /// How often an event is tried before it is a dead letter.
    #[schema(minimum = 1, maximum = 50)]
    pub max_attempts: Option<i64>,
    /// How much is sent at once, when again, and when not, whole.
    pub sending: Option<Sending>,
    /// Whether it brings events there, reads what changes there, or both.
    pub direction: Option<Direction>,
    /// Whether, and when, both sides are compared by themselves, whole.
    pub reconcile: Option<Reconciling>,
    /// Its secrets, whole, where they have changed at the far end.
    #[schema(value_type = Option<Object>)]
    pub secrets: Option<Value>,
}

impl ConnectorPatch {
    /// Lays it over a connector.
    pub fn apply(&self, kept: &mut Kept) {
        if let Some(name) = &self.name {
            kept.name = name.to_string();
        }
        if let Some(state) = self.state {
            kept.state = state;
            kept.pause_reason = None;
        }
        let setup = &mut kept.setup;
        if let Some(settings) = &self.settings {
            setup.settings = settings.clone();
        }
        if let Some(types) = &self.types {
            setup.types.clone_from(types);
        }
        if let Some(channels) = &self.channels {
            setup.channels.clone_from(channels);
        }
        setup.include_test = self.include_test.unwrap_or(setup.include_test);
        setup.allow_private = self.allow_private.unwrap_or(setup.allow_private);
        setup.max_attempts = self.max_attempts.unwrap_or(setup.max_attempts);
        setup.sending = self.sending.unwrap_or(setup.sending);
        setup.direction = self.direction.unwrap_or(setup.direction);
        setup.reconcile = self.reconcile.unwrap_or(setup.reconcile);
    }
}

/// What is remembered of a dispatch's last try, and of what somebody decided about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Trace {
    /// How long the last try took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// The SHA-256 of the body that was sent last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_sha256: Option<String>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why it was skipped or replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who decided so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
}

/// One event to one connector.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Dispatch {
    /// Its id.
    pub id: DispatchId,
    /// To whom.
    pub connector_id: ConnectorId,
    /// The event: the `webhook-id` that the receiver sees.
    pub event_id: EventId,
    /// The event's position.
    pub position: i64,
    /// The event's stream.
    pub stream: String,
    /// The event's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it stands.
    pub state: DispatchState,
    /// How often it was tried.
    pub attempts: i64,
    /// The receiver's last status.
    pub last_status: Option<i64>,
    /// What is remembered of the last try.
    #[serde(flatten)]
    pub trace: Trace,
    /// The beginning of the receiver's answer: of failures and of the connector's last success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    /// The job that delivers it.
    pub job_id: JobId,
    /// Since when.
    pub created_at: Instant,
    /// The last change.
    pub updated_at: Instant,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_done_with_a_dispatch_is_what_its_table_takes() {
        let allowed = |state: DispatchState| -> Vec<&str> {
            state.actions().into_iter().filter(|action| action.allowed).map(|action| action.command).collect()
        };
        assert_eq!(allowed(DispatchState::Pending), ["skip"]);
        assert_eq!(allowed(DispatchState::Dead), ["replay", "skip"]);
        assert_eq!(allowed(DispatchState::Delivered), ["replay"]);
        assert_eq!(allowed(DispatchState::Skipped), ["replay"]);
        let refused = DispatchState::Delivered.actions().into_iter().filter_map(|action| action.reason);
        assert_eq!(refused.collect::<Vec<_>>(), ["state_conflict: the dispatch is delivered"]);
    }

    #[test]
    fn a_connector_is_paused_or_goes_on_and_takes_the_rest_in_both_states() {
        for state in ConnectorState::ALL {
            let taken = |command: &&ConnectorCommand| state.apply(**command).is_ok_and(|to| to != *state);
            let moves: Vec<_> = ConnectorCommand::ALL.iter().filter(taken).collect();
            let other =
                if *state == ConnectorState::Active { ConnectorCommand::Pause } else { ConnectorCommand::Resume };
            assert_eq!(moves, [&other], "{state}");
            let refused = ConnectorCommand::ALL.iter().filter(|command| state.apply(**command).is_err());
            assert_eq!(refused.count(), 1, "{state}");
        }
    }
}
