//! The history of price lists themselves: what a list was before each change of it, and what it became.
//!
//! It is written with the change, in one transaction, and read where a price of long ago is reckoned: a sale that ran until
//! yesterday did so whatever its list says today.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::{
        contracts::ContractTerms,
        rates::{Audience, ListKind, PriceList},
    },
    service::By,
    store,
};
use crate::{
    db::{Json, Tx},
    error::Result,
    kernel::{
        Currency, Instant,
        ids::{ChannelId, CompanyId, CustomerId, PriceListId},
    },
};

/// What a price list is, apart from its prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceListState {
    /// Its name for people.
    pub name: String,
    /// The currency of all its prices.
    pub currency: Currency,
    /// The one channel it is for; null is all of them.
    pub channel_id: Option<ChannelId>,
    /// The one customer it is for.
    pub customer_id: Option<CustomerId>,
    /// The company it is for.
    #[serde(default)]
    pub company_id: Option<CompanyId>,
    /// The group of customers it is for.
    pub customer_group: Option<String>,
    /// What it is for.
    pub kind: ListKind,
    /// From when on a sale was announced, where that was before it began.
    pub announced_at: Option<Instant>,
    /// Among lists that apply, the higher one wins.
    pub priority: i32,
    /// From when on it is valid.
    pub valid_from: Option<Instant>,
    /// Until when it is valid, exclusive.
    pub valid_until: Option<Instant>,
    /// What is agreed beside its prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<ContractTerms>,
}

impl From<&PriceList> for PriceListState {
    fn from(list: &PriceList) -> Self {
        Self {
            name: list.name.clone(),
            currency: list.currency,
            channel_id: list.channel,
            customer_id: list.audience.customer(),
            company_id: list.audience.company(),
            customer_group: list.audience.group().map(str::to_owned),
            kind: list.kind,
            announced_at: list.announced_at,
            priority: list.priority,
            valid_from: list.valid_from,
            valid_until: list.valid_until,
            terms: list.terms.clone(),
        }
    }
}

impl PriceListState {
    /// Makes a list be what it was, as far as it decides which price applies. When a sale was announced is not undone: that is
    /// said of the past, and what is said of it now counts.
    pub(in crate::pricing) fn restore(&self, list: &mut PriceList) {
        list.channel = self.channel_id;
        list.audience = match (self.customer_id, self.company_id, &self.customer_group) {
            (Some(customer), ..) => Audience::Customer(customer),
            (None, Some(company), _) => Audience::Company(company),
            (None, None, Some(group)) => Audience::Group(group.clone()),
            (None, None, None) => Audience::All,
        };
        list.kind = self.kind;
        list.priority = self.priority;
        list.valid_from = self.valid_from;
        list.valid_until = self.valid_until;
    }
}

/// A change of a price list. The changes of a list are a chain, in which each `from` is the `to` of the change before it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RecordedListChange {
    /// The version that the list has since.
    pub version: i64,
    /// What it was; null where it was made.
    pub from: Option<PriceListState>,
    /// What it became.
    pub to: PriceListState,
    /// Who changed it.
    pub actor: String,
    /// The `X-Request-Id` of the request that did.
    pub reference: Option<String>,
    /// When.
    pub changed_at: Instant,
}

/// A change of a list, as far as it is undone where a price of long ago is reckoned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListChange {
    /// Which list.
    pub(in crate::pricing) list: PriceListId,
    /// When.
    pub(in crate::pricing) at: Instant,
    /// What it was; `None` where it was made.
    pub(in crate::pricing) was: Option<PriceListState>,
}

/// Records that a list was made, or is not what it was. Whoever calls it has written the list in the same transaction, and by
/// its version nobody else has since.
pub(in crate::pricing) fn record(tx: &mut Tx, by: By<'_>, was: Option<&PriceList>, is: &PriceList) -> Result<()> {
    let (from, to) = (was.map(PriceListState::from), PriceListState::from(is));
    if from.as_ref() == Some(&to) {
        return Ok(());
    }
    let at = super::model::recorded_at(by.now, store::last_time_of_list(tx, is.id)?);
    let from = from.as_ref().map(Json::of).transpose()?;
    store::append_list_change(tx, by, (is.id, is.version), (from, Json::of(&to)?), at)
}

/// The changes of a list, the newest first, before a version.
///
/// # Errors
/// `not_found`.
pub(super) fn page(
    tx: &mut Tx,
    actor: &crate::kernel::Actor,
    id: PriceListId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<RecordedListChange>> {
    super::super::service::price_list(tx, actor, id)?;
    store::list_changes(tx, id, before, limit)
}
