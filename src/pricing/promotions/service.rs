//! Commands and queries of promotions.

use super::{
    compiled::Compiled,
    forms::{Activation, Checks, NewPromotion, PromotionPatch, Taken, Warning},
    look::checked,
    model::{Promotion, PromotionCommand, PromotionState, Rule},
    runs, store, versions,
};
use crate::{
    channels::PAYMENT_METHODS,
    customers::companies,
    db::{Tx, bump},
    error::{Code, Error, Result, on_duplicate},
    kernel::{Actor, Instant, ids::PromotionId},
    pricing::{history::By, quote::Rules, service::may_change},
};

/// The promotions that are not over, in the order in which they go.
pub(in crate::pricing) fn current(tx: &mut Tx) -> Result<Vec<Compiled>> {
    Ok(Compiled::in_order(store::current(tx)?))
}

/// A promotion that an actor may see: of their channels, or for all.
///
/// # Errors
/// `not_found`.
pub(super) fn find(tx: &mut Tx, actor: &Actor, id: PromotionId) -> Result<Promotion> {
    let found = store::find(tx, id)?;
    let seen = found.filter(|promotion| promotion.channel.is_none_or(|channel| actor.sees_channel(channel)));
    seen.ok_or_else(|| Error::not_found("promotion"))
}

/// A promotion that an actor may change.
///
/// # Errors
/// `not_found`; `scope_missing` when it is for all channels and the actor is limited to some.
pub(super) fn changeable(tx: &mut Tx, actor: &Actor, id: PromotionId) -> Result<Promotion> {
    let promotion = find(tx, actor, id)?;
    may_change(actor, promotion.channel)?;
    Ok(promotion)
}

/// A page of promotions that an actor may see, the newest first.
pub(super) fn page(
    tx: &mut Tx,
    actor: &Actor,
    state: Option<PromotionState>,
    mut before: Option<PromotionId>,
    limit: i64,
) -> Result<Vec<Promotion>> {
    let wanted = usize::try_from(limit).map_err(Error::internal)?;
    let mut found = Vec::new();
    loop {
        let read = store::page(tx, state, before, limit)?;
        let last = read.len() < wanted;
        before = read.last().map(|promotion| promotion.id);
        found.extend(read.into_iter().filter(|one| one.channel.is_none_or(|channel| actor.sees_channel(channel))));
        if last || found.len() >= wanted {
            found.truncate(wanted);
            return Ok(found);
        }
    }
}

/// How much of a promotion is taken.
pub(super) fn taken(tx: &mut Tx, id: PromotionId) -> Result<Taken> {
    let (uses, units, amount_minor, reserved) = store::taken(tx, id)?;
    Ok(Taken { uses, units, amount_minor, reserved })
}

/// Makes a promotion: a draft.
///
/// # Errors
/// `duplicate` when the code is taken, `not_found` when the channel is not there, `invalid_value`.
pub(super) fn create(tx: &mut Tx, by: By<'_>, id: PromotionId, new: &NewPromotion) -> Result<Promotion> {
    let By { now, actor, .. } = by;
    may_change(actor, new.channel_id)?;
    let promotion = new.build(id, now)?;
    check_named(tx, actor, &promotion)?;
    let taken = || {
        let detail = format!("there is a promotion with the code `{}` already", promotion.code);
        Error::problem(Code::Duplicate, detail).at("/code")
    };
    crate::pricing::service::channel_exists(on_duplicate(store::insert(tx, &promotion), taken))?;
    versions::keep(tx, by, id)?;
    bump::<Rules>(tx)?;
    Ok(promotion)
}

/// That there are the companies and the payment methods that a promotion is for. None is ever removed, so that they are there when it
/// is written.
fn check_named(tx: &mut Tx, actor: &Actor, promotion: &Promotion) -> Result<()> {
    let conditions = &promotion.rule.conditions;
    if let Some(place) = conditions.payment_methods.iter().position(|code| !PAYMENT_METHODS.contains(&&**code)) {
        let detail = format!("expected some of {}", PAYMENT_METHODS.join(", "));
        let unknown = Error::problem(Code::ProviderUnknown, detail);
        return Err(unknown.at(format!("/conditions/payment_methods/{place}")));
    }
    let named = companies::all_named(tx, actor, &conditions.companies);
    named.map_err(|(place, error)| error.at(format!("/conditions/companies/{place}")))
}

/// Looks at a change of a promotion that carts get already, outside of the transaction that makes it: what was known before it was
/// activated may not be so any more. `expected` is the version that the caller has seen: whoever has seen another is told so before
/// anything else. The version that was looked at, where the change has to be looked at.
///
/// # Errors
/// `not_found`, `scope_missing`; `version_stale`; `invalid_value`; `promotion_warnings` with the warnings when these are not accepted.
pub(super) fn check_change(
    tx: &mut Tx,
    now: Instant,
    (actor, rules): (&Actor, &Rules),
    (id, expected): (PromotionId, Option<i64>),
    patch: &PromotionPatch,
) -> Result<Option<i64>> {
    let promotion = changeable(tx, actor, id)?;
    if expected.is_some_and(|expected| expected != promotion.version) {
        return Err(Error::stale("promotion", promotion.version));
    }
    let mut changed = promotion.clone();
    patch.apply(&mut changed, now)?;
    let limits = promotion.rule.limits.clone();
    let (was, is) = (&promotion.rule, Rule { limits, ..changed.rule.clone() });
    let window = |promotion: &Promotion| (promotion.valid_from, promotion.valid_until);
    if *was == is && window(&promotion) == window(&changed) {
        // Neither its name nor how much of it there is makes anything cheaper.
        return Ok(None);
    }
    if promotion.state == PromotionState::Active && !patch.despite_warnings {
        check_named(tx, actor, &changed)?;
        refuse_warnings(&checked(tx, now, (actor, rules), &changed)?.warnings)?;
    }
    Ok(Some(promotion.version))
}

/// Changes a promotion. `expected` is the version that the caller has seen, `checked` the one that was looked at before
/// ([`check_change`]).
///
/// # Errors
/// `not_found`; `version_stale`; `state_conflict` when it is over; `limit_below_use`; `invalid_value`.
pub(super) fn update(
    tx: &mut Tx,
    by: By<'_>,
    id: PromotionId,
    (expected, checked): (Option<i64>, Option<i64>),
    patch: &PromotionPatch,
) -> Result<Promotion> {
    let By { now, actor, .. } = by;
    let mut promotion = changeable(tx, actor, id)?;
    if expected.is_some_and(|expected| expected != promotion.version) {
        return Err(Error::stale("promotion", promotion.version));
    }
    if checked.is_some_and(|checked| checked != promotion.version) {
        return Err(Error::conflict(
            "the promotion was changed while this change was checked: read it and change it again",
        ));
    }
    if promotion.state == PromotionState::Ended {
        return Err(Error::conflict("a promotion that is over is not changed any more: make another one"));
    }
    let (budget, was) = (promotion.rule.limits.budget, promotion.clone());
    patch.apply(&mut promotion, now)?;
    if patch.conditions.is_some() {
        check_named(tx, actor, &promotion)?;
    }
    write(tx, by, (&was, &mut promotion))?;
    let currencies = budget.zip(promotion.rule.limits.budget);
    let another_currency = currencies.is_some_and(|(was, is)| was.currency() != is.currency());
    if patch.limits.is_some() && !store::set_limits(tx, &promotion, another_currency)? {
        let taken = taken(tx, id)?;
        let detail = format!(
            "{} uses, {} pieces and {} minor units are taken already: limit it to as much or more, in the same currency, or pause it",
            taken.uses, taken.units, taken.amount_minor
        );
        return Err(Error::problem(Code::LimitBelowUse, detail).at("/limits"));
    }
    Ok(promotion)
}

/// Writes what a promotion `was` as it is now, and keeps both its version and, where it went on for everybody, its run.
fn write(tx: &mut Tx, by: By<'_>, (was, promotion): (&Promotion, &mut Promotion)) -> Result<()> {
    versions::keep_before(tx, promotion.id)?;
    if !store::update(tx, promotion, promotion.version)? {
        return Err(Error::overtaken("the promotion"));
    }
    promotion.version += 1;
    versions::keep(tx, by, promotion.id)?;
    runs::note(tx, (by.now, by.actor), was, promotion)?;
    bump::<Rules>(tx)
}

/// Activates, pauses or ends a promotion. What was asked for already is answered again and changes nothing. `checked` is the
/// version that was looked at before ([`check_first`]).
///
/// # Errors
/// `not_found`, `state_conflict`.
pub(super) fn command(
    tx: &mut Tx,
    by: By<'_>,
    id: PromotionId,
    command: PromotionCommand,
    checked: Option<i64>,
) -> Result<Promotion> {
    let By { now, actor, .. } = by;
    let mut promotion = changeable(tx, actor, id)?;
    let state = promotion.state.apply(command)?;
    if state == promotion.state {
        return Ok(promotion);
    }
    if command == PromotionCommand::Activate && promotion.valid_until.is_some_and(|until| until <= now) {
        return Err(Error::conflict("it is over by its valid_until: change that first"));
    }
    if checked.is_some_and(|checked| checked != promotion.version) {
        return Err(Error::conflict("the promotion was changed while it was checked: read it and activate it again"));
    }
    let was = promotion.clone();
    promotion.state = state;
    promotion.updated_at = now;
    write(tx, by, (&was, &mut promotion))?;
    Ok(promotion)
}

/// Looks at a promotion before it is activated, outside of the transaction that does so; the version that was looked at.
///
/// # Errors
/// `not_found`; `promotion_warnings` with the warnings when these are not accepted.
pub(super) fn check_first(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    rules: &Rules,
    id: PromotionId,
    activation: &Activation,
) -> Result<i64> {
    let promotion = find(tx, actor, id)?;
    let begins = promotion.state != PromotionState::Active && promotion.state.apply(PromotionCommand::Activate).is_ok();
    if begins && !activation.despite_warnings {
        refuse_warnings(&checked(tx, now, (actor, rules), &promotion)?.warnings)?;
    }
    Ok(promotion.version)
}

fn refuse_warnings(warnings: &[Warning]) -> Result<()> {
    let Some(first) = warnings.first() else { return Ok(()) };
    let error = Error::problem(Code::PromotionWarnings, first.detail.clone()).at("/despite_warnings");
    Err(error.with("warnings", serde_json::to_value(warnings)?))
}

/// What is to be known before a promotion is activated.
///
/// # Errors
/// `not_found`.
pub(super) fn checks(tx: &mut Tx, now: Instant, actor: &Actor, rules: &Rules, id: PromotionId) -> Result<Checks> {
    let promotion = find(tx, actor, id)?;
    checked(tx, now, (actor, rules), &promotion)
}
