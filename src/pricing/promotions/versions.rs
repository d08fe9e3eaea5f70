//! Every version of a promotion, as it was: what an order names (`promotions[].version`) is found here whatever has become of it since.
//! A version is kept in the transaction that makes it; the clock makes none, since a promotion's times are part of it. When one went
//! on for everybody is told by its runs ([`super::runs`]), which many versions may have in common, and which some have no part in.

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    model::{Conditions, Gift, Limits, PromotionState, Rule, Stacking},
    service, store,
};
use crate::{
    db::{Doc, Tx},
    error::{Error, Result},
    kernel::{
        Actor, Instant,
        ids::{ChannelId, PromotionId},
    },
    pricing::history::By,
};

/// A promotion as it was from one change to the next.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PromotionVersion {
    /// The promotion.
    pub promotion_id: PromotionId,
    /// Its number, from 1 on for each promotion; orders name it with the promotion.
    pub version: i64,
    /// A short unique name.
    pub code: String,
    /// Its name for people.
    pub name: String,
    /// Where it stood.
    pub state: PromotionState,
    /// The one channel that it was for; null is all of them.
    pub channel_id: Option<ChannelId>,
    /// The higher one applied first.
    pub priority: i64,
    /// From when on it was valid.
    pub valid_from: Option<Instant>,
    /// Until when it was valid, exclusive.
    pub valid_until: Option<Instant>,
    /// What had to be so.
    pub conditions: Conditions,
    /// What it gave.
    pub gift: Gift,
    /// How it stood with others.
    pub stacking: Stacking,
    /// How much of it there was.
    pub limits: Limits,
    /// Since when it was so, until the next version.
    pub changed_at: Instant,
    /// Who made it so; null where that was before versions were kept.
    pub changed_by: Option<String>,
    /// The `X-Request-Id` of the request that did.
    pub reference: Option<String>,
}

impl From<store::Version> for PromotionVersion {
    fn from(kept: store::Version) -> Self {
        let store::Version { promotion, version, code, name, state, channel, priority, .. } = kept;
        let store::Version { valid_from, valid_until, rule, changed_at, changed_by, reference, .. } = kept;
        let Doc(Rule { conditions, gift, stacking, limits }) = rule;
        Self {
            promotion_id: promotion,
            version,
            code,
            name,
            state,
            channel_id: channel,
            priority,
            valid_from,
            valid_until,
            conditions,
            gift,
            stacking,
            limits,
            changed_at,
            changed_by,
            reference,
        }
    }
}

/// Keeps the version that a promotion has become. Whoever calls it has written the promotion in the same transaction.
///
/// # Errors
/// What the database says.
pub(super) fn keep(tx: &mut Tx, by: By<'_>, id: PromotionId) -> Result<()> {
    store::keep_version(tx, id, &by.actor.label(), by.reference)
}

/// Keeps what a process that knew of no versions has left, before it is written over.
///
/// # Errors
/// What the database says.
pub(super) fn keep_before(tx: &mut Tx, id: PromotionId) -> Result<()> {
    store::keep_unkept(tx, Some(id))
}

/// The same of all promotions: while processes of two versions run at once, one may change a promotion that nobody changes again.
///
/// # Errors
/// What the database says.
pub(super) fn keep_all(tx: &mut Tx) -> Result<()> {
    store::keep_unkept(tx, None)
}

/// The versions of a promotion that an actor may see, the newest first, before one.
///
/// # Errors
/// `not_found`.
pub(super) fn page(
    tx: &mut Tx,
    actor: &Actor,
    id: PromotionId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<PromotionVersion>> {
    service::find(tx, actor, id)?;
    Ok(store::versions(tx, id, before, limit)?.into_iter().map(PromotionVersion::from).collect())
}

/// A version of a promotion that an actor may see.
///
/// # Errors
/// `not_found`.
pub(super) fn one(tx: &mut Tx, actor: &Actor, id: PromotionId, version: i64) -> Result<PromotionVersion> {
    service::find(tx, actor, id)?;
    let kept = store::version(tx, id, version)?;
    kept.map(PromotionVersion::from).ok_or_else(|| Error::not_found("version of the promotion"))
}
