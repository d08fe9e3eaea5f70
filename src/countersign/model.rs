//! What a request for a second person is. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    error::{Error, Result},
    kernel::{
        Actor, Instant, Money, Scope,
        actor::Principal,
        ids::{
            AmendmentId, BulkJobId, ChannelId, CountersignRequestId, CustomerId, DraftId, LocationId, OrderClaimId,
            OrderId, QuoteId, ReturnRequestId, StoredValueId,
        },
        text::Note,
    },
};

crate::words! {
    /// What a second person has to approve.
    pub enum Ceilinged {
        /// Money that staff give back beside any return.
        Refund = "refund",
        /// Prices that are agreed in an amendment.
        Override = "override",
        /// The cancelling of many orders at once.
        Bulk = "bulk",
        /// Money that goes back since pieces of an order are cancelled.
        Cancel = "cancel",
        /// Money that goes back with a return, or for a claim.
        Return = "return",
        /// Money that was paid too much and kept.
        Overpayment = "overpayment",
        /// A discount on a draft.
        Discount = "discount",
        /// An offer for a quote.
        Quote = "quote",
        /// Gift cards and store credit that are issued.
        StoredValue = "stored_value",
    }
}

impl Ceilinged {
    /// The scope that whoever decides needs too.
    #[must_use]
    pub const fn scope(self) -> Scope {
        match self {
            Self::Refund | Self::Overpayment | Self::StoredValue => Scope::PaymentsWrite,
            Self::Override | Self::Discount | Self::Quote => Scope::PriceOverride,
            Self::Bulk | Self::Cancel | Self::Return => Scope::OrdersWrite,
        }
    }

    /// The job that does what was approved; the slice whose command it is takes it.
    #[must_use]
    pub const fn job(self) -> &'static str {
        match self {
            Self::Refund => "countersign.refund",
            Self::Override => "countersign.override",
            Self::Bulk => "countersign.bulk",
            Self::Cancel => "countersign.cancel",
            Self::Return => "countersign.return",
            Self::Overpayment => "countersign.overpayment",
            Self::Discount => "countersign.discount",
            Self::Quote => "countersign.quote",
            Self::StoredValue => "countersign.stored_value",
        }
    }
}

/// Jobs of commands whose kind is another's too.
pub const OWN_JOBS: [&str; 2] = [CLAIM, RETURN_REQUEST];
/// The job that settles a claim.
pub const CLAIM: &str = "countersign.claim";
/// The job that settles a return with its customer.
pub const RETURN_REQUEST: &str = "countersign.return_request";

crate::words! {
    /// Where a request for a second person stands.
    pub enum CountersignState {
        /// Somebody else has to decide.
        Waiting = "waiting",
        /// Somebody else has approved it: it is being done.
        Approved = "approved",
        /// Somebody else has said no.
        Declined = "declined",
        /// Whoever has asked does not want it any more.
        Withdrawn = "withdrawn",
        /// Nobody has decided in time.
        Expired = "expired",
        /// It was done.
        Done = "done",
        /// It was approved, and could not be done: `code` and `detail` tell why.
        Refused = "refused",
    }
}

crate::words! {
    /// What happens to a request for a second person.
    pub enum CountersignCommand {
        /// Somebody else says yes.
        Approve = "approve",
        /// Somebody else says no.
        Decline = "decline",
        /// Whoever has asked takes it back.
        Withdraw = "withdraw",
        /// Its time is over.
        Expire = "expire",
        /// It is done.
        Do = "do",
        /// It can not be done.
        Refuse = "refuse",
    }
}

use CountersignCommand as C;
use CountersignState as S;

/// Every transition there is: from, command, to. What is not here is refused.
pub const TRANSITIONS: &[(CountersignState, CountersignCommand, CountersignState)] = &[
    (S::Waiting, C::Approve, S::Approved),
    (S::Waiting, C::Decline, S::Declined),
    (S::Waiting, C::Withdraw, S::Withdrawn),
    (S::Waiting, C::Expire, S::Expired),
    (S::Approved, C::Do, S::Done),
    (S::Approved, C::Refuse, S::Refused),
];

/// The transition table as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> waiting\n");
    for (from, command, to) in TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

/// What a request is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct CountersignSubject {
    /// The order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Its version when it was asked for: it is done on no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_version: Option<i64>,
    /// The amendment that agrees prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amendment_id: Option<AmendmentId>,
    /// The work on many orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bulk_id: Option<BulkJobId>,
    /// The claim that is settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_id: Option<OrderClaimId>,
    /// The return that is settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_request_id: Option<ReturnRequestId>,
    /// The draft that is reduced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft_id: Option<DraftId>,
    /// The quote that is offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote_id: Option<QuoteId>,
    /// The gift card or store credit that is changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_value_id: Option<StoredValueId>,
    /// The customer who is given store credit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
}

/// For whom something is done later: what they may is what they might when they asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnBehalf {
    /// Who.
    pub subject: String,
    /// Whether it is a machine client.
    pub client: bool,
    /// What they might do.
    pub scopes: Vec<Scope>,
    /// The channels they were limited to.
    #[serde(default)]
    pub channels: Option<Vec<ChannelId>>,
    /// The locations they were limited to.
    #[serde(default)]
    pub locations: Option<Vec<LocationId>>,
    /// The most they might move at once.
    #[serde(default)]
    pub money_ceiling: Option<i64>,
}

impl OnBehalf {
    /// Of whoever asks; `None` for those who are neither staff nor a client.
    #[must_use]
    pub fn of(actor: &Actor) -> Option<Self> {
        let (principal, client) = match actor {
            Actor::Staff(principal) => (principal, false),
            Actor::Client(principal) => (principal, true),
            Actor::System(_) | Actor::Shopper(_) => return None,
        };
        Some(Self {
            subject: principal.subject.clone(),
            client,
            scopes: principal.scopes.clone(),
            channels: principal.channels.clone(),
            locations: principal.locations.clone(),
            money_ceiling: principal.money_ceiling,
        })
    }

    /// The actor again.
    #[must_use]
    pub fn actor(&self) -> Actor {
        let principal = Principal {
            subject: self.subject.clone(),
            credential: None,
            scopes: self.scopes.clone(),
            channels: self.channels.clone(),
            locations: self.locations.clone(),
            money_ceiling: self.money_ceiling,
            countersigned: false,
            key: None,
        };
        if self.client { Actor::Client(principal) } else { Actor::Staff(principal) }
    }

    /// The same where a second person has approved it.
    #[must_use]
    pub fn countersigned(&self) -> Actor {
        match self.actor() {
            Actor::Staff(principal) => Actor::Staff(Principal { countersigned: true, ..principal }),
            Actor::Client(principal) => Actor::Client(Principal { countersigned: true, ..principal }),
            other => other,
        }
    }
}

/// What is kept of a request beside its columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Details {
    pub subject: CountersignSubject,
    pub amounts: Vec<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub by: OnBehalf,
    /// What is to be done, as the slice whose command it is writes it.
    pub what: Value,
    /// The job that does it, where that is not the one of its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<String>,
}

/// A request for a second person.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CountersignRequest {
    /// Its id.
    pub id: CountersignRequestId,
    /// What has to be approved.
    pub kind: Ceilinged,
    /// Where it stands.
    pub state: CountersignState,
    /// The channel; absent where it is about orders of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<ChannelId>,
    /// What it is about.
    pub subject: CountersignSubject,
    /// How much is given back, given away or cancelled, by currency.
    pub amounts: Vec<Money>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who has asked for it.
    pub asked_by: String,
    /// Who has decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// What they have said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why it could not be done: a code of the error table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Until when somebody else can decide.
    pub expires_at: Instant,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// Who else has had a hand in it, and decides no more than who asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<String>,
    /// For whom it is done.
    #[serde(skip)]
    pub by: OnBehalf,
    /// What is to be done.
    #[serde(skip)]
    pub what: Value,
    /// The job that does it, where that is not the one of its kind.
    #[serde(skip)]
    pub job: Option<String>,
}

impl CountersignRequest {
    /// Where it stands at a time, whether or not anybody has written down that its own is over.
    #[must_use]
    pub fn at(mut self, now: Instant) -> Self {
        if self.state == CountersignState::Waiting && self.expires_at <= now {
            self.state = CountersignState::Expired;
        }
        self
    }

    /// What is kept beside its columns.
    pub(super) fn details(&self) -> Details {
        Details {
            subject: self.subject.clone(),
            amounts: self.amounts.clone(),
            reason: self.reason.clone(),
            by: self.by.clone(),
            what: self.what.clone(),
            note: self.note.clone(),
            code: self.code.clone(),
            detail: self.detail.clone(),
            authors: self.authors.clone(),
            job: self.job.clone(),
        }
    }

    /// The job that does it.
    #[must_use]
    pub fn done_by(&self) -> &'static str {
        let own = OWN_JOBS.iter().find(|job| self.job.as_deref() == Some(**job));
        own.copied().unwrap_or_else(|| self.kind.job())
    }

    /// What is to be done, as the slice whose command it is has written it.
    ///
    /// # Errors
    /// What that is not, which would be a defect.
    pub fn wanted<W: serde::de::DeserializeOwned>(&self) -> serde_json::Result<W> {
        serde_json::from_value(self.what.clone())
    }

    /// That it is done on what it was asked for, by the version of that.
    ///
    /// # Errors
    /// `version_stale`.
    pub fn is_for(&self, what: &str, seen: i64, version: i64) -> Result<()> {
        if seen == version { Ok(()) } else { Err(Error::stale(what, version)) }
    }

    /// All its amounts together, in minor units of whatever currency: what the ceiling of a credential is compared with, as that of whoever
    /// asked was.
    #[must_use]
    pub fn whole(&self) -> i64 {
        self.amounts.iter().map(|amount| amount.minor()).fold(0, i64::saturating_add)
    }
}

/// What somebody says about a request.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"note": "as agreed with the customer"}))]
pub struct CountersignNote {
    /// Why.
    #[schema(value_type = Option<String>)]
    pub note: Option<Note<500>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_an_end() {
        let ends = [S::Declined, S::Withdrawn, S::Expired, S::Done, S::Refused];
        assert!(TRANSITIONS.iter().all(|(from, ..)| !ends.contains(from)));
    }
}
