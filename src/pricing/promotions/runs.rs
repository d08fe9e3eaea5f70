//! When promotions went on that everybody gets, and what they said then: what they made of prices are prices that applied. Written
//! with the change of the promotion, in its transaction; no statement for promotions that are not for everybody.

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    compiled::Compiled,
    model::{Conditions, Gift, Promotion, PromotionState, Stacking},
    service, store,
};
use crate::{
    db::{Doc, Tx},
    error::{Error, Result},
    kernel::{
        Actor, Instant,
        ids::{ChannelId, PromotionId},
    },
    pricing::prior::HORIZON_SECONDS,
};

/// So much longer than a reduction's beginning is looked for: the thirty days before it, and one.
const BEFORE_IT_SECONDS: i64 = 31 * 86_400;

/// A time in which a promotion went on for everybody.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PromotionRun {
    /// Its number, from 1 on for each promotion.
    pub run_no: i64,
    /// The one channel that it was for; null is all of them.
    pub channel_id: Option<ChannelId>,
    /// The higher one applied first.
    pub priority: i64,
    /// From when on it was valid, where that is later than `began_at`.
    pub valid_from: Option<Instant>,
    /// Until when it was valid, where that is earlier than `ended_at`.
    pub valid_until: Option<Instant>,
    /// What had to be so.
    pub conditions: Conditions,
    /// What it gave.
    pub gift: Gift,
    /// How it stood with others.
    pub stacking: Stacking,
    /// When it was activated, or became what it was.
    pub began_at: Instant,
    /// When it was paused or ended, or became something else; null while it goes on.
    pub ended_at: Option<Instant>,
    /// Who did that which began it.
    pub began_by: String,
    /// Who did that which ended it.
    pub ended_by: Option<String>,
}

/// Whether what everybody gets is another thing than before.
fn differs(was: &Promotion, is: &Promotion) -> bool {
    let kept = |one: &Promotion| {
        let rule = &one.rule;
        (
            one.priority,
            one.valid_from,
            one.valid_until,
            rule.conditions.clone(),
            rule.gift.clone(),
            rule.stacking.clone(),
        )
    };
    was.state != is.state || kept(was) != kept(is)
}

/// Records what a change of a promotion, which is written already, means to everybody: its run ends, or another begins.
///
/// # Errors
/// What the database says.
pub(super) fn note(tx: &mut Tx, (now, actor): (Instant, &Actor), was: &Promotion, is: &Promotion) -> Result<()> {
    let goes_on = |one: &Promotion| one.state == PromotionState::Active;
    let told = |one: &Promotion| goes_on(one) && one.rule.is_for_everybody();
    if !differs(was, is) {
        return Ok(());
    }
    let by = actor.label();
    // What went on before there were runs has one, whomever it is for; and a process that knows nothing of runs leaves them open.
    store::end_run(tx, now, &by, is.id)?;
    if told(is) { store::begin_run(tx, now, &by, is) } else { Ok(()) }
}

/// The runs that matter to prices before reductions, in the order in which promotions go. One statement where there is none.
///
/// # Errors
/// What the database says.
pub(in crate::pricing) fn known(tx: &mut Tx) -> Result<Vec<Compiled>> {
    // No run begins in the future: what had ended this long before the newest began matters to nobody any more.
    let Some(newest) = store::newest_run(tx)? else { return Ok(Vec::new()) };
    let runs = store::runs_since(tx, newest.plus_seconds(-HORIZON_SECONDS - BEFORE_IT_SECONDS))?;
    let compiled = |run: store::Run| -> Result<Option<Compiled>> {
        let (began, ended) = (run.began_at, run.ended_at);
        Ok(Compiled::as_run(promotion(run)?, began, ended))
    };
    let compiled = runs.into_iter().filter_map(|run| compiled(run).transpose()).collect::<Result<Vec<_>>>()?;
    Ok(Compiled::ranked(compiled))
}

fn promotion(run: store::Run) -> Result<Promotion> {
    Ok(Promotion {
        id: run.promotion,
        code: run.code,
        name: run.name,
        state: PromotionState::Active,
        channel: run.channel,
        priority: i32::try_from(run.priority).map_err(Error::internal)?,
        valid_from: run.valid_from,
        valid_until: run.valid_until,
        rule: run.rule.0,
        version: run.run_no,
        created_at: run.began_at,
        updated_at: run.began_at,
    })
}

/// The runs of a promotion, the newest first, before one.
///
/// # Errors
/// `not_found`.
pub(super) fn page(
    tx: &mut Tx,
    actor: &Actor,
    id: PromotionId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<PromotionRun>> {
    service::find(tx, actor, id)?;
    let run = |run: store::Run| {
        let Doc(rule) = run.rule;
        PromotionRun {
            run_no: run.run_no,
            channel_id: run.channel,
            priority: run.priority,
            valid_from: run.valid_from,
            valid_until: run.valid_until,
            conditions: rule.conditions,
            gift: rule.gift,
            stacking: rule.stacking,
            began_at: run.began_at,
            ended_at: run.ended_at,
            began_by: run.began_by,
            ended_by: run.ended_by,
        }
    };
    Ok(store::runs_of(tx, id, before, limit)?.into_iter().map(run).collect())
}
