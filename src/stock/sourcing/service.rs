//! Commands on sourcing profiles, and plans that are made without taking anything.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};

use super::{
    super::{
        available::Available,
        model::{LevelKey, Locations, Need, Share},
        plan::{NoPlan, Plan},
        service as stock,
        site::LocationKind,
        trace::{self, Sourcing, Spot},
    },
    document::FallbackKind,
    model::{
        Facts, NewSourcingProfile, ProfileCommand, ProfileState, SourcingProfile, SourcingProfilePatch,
        unknown_location,
    },
    sources::{Sources, planned},
    store,
};
use crate::{
    channels,
    db::{Tx, bump},
    error::{Code, Error, Result, on_duplicate},
    kernel::{
        Actor, Instant,
        ids::{ChannelId, LocationId, SourcingProfileId},
    },
};

/// Whether an actor may change the profiles of a channel, or of all: a profile sends orders to any location.
fn may_change(actor: &Actor, channel: Option<ChannelId>) -> Result<()> {
    let refused = |detail: &str| Err(Error::problem(Code::ScopeMissing, detail));
    if actor.locations().is_some() {
        return refused("a sourcing profile is about all locations, and the credential is limited to some");
    }
    match channel {
        None if actor.channels().is_some() => {
            refused("this is for all channels, and the credential is limited to some: name one of them")
        }
        _ => Ok(()),
    }
}

/// That every location which a document names is there.
fn check_locations(document: &super::ProfileDocument, locations: &Locations, pointer: &str) -> Result<()> {
    let known = |code: &str| locations.iter().any(|location| location.code == code);
    if let Some((rest, code)) = document.locations().find(|(_, code)| !known(code)) {
        return Err(unknown_location(&format!("{pointer}{rest}"), code));
    }
    let ships = document.fallback.location.as_deref().filter(|_| document.fallback.then == FallbackKind::DropShip);
    let supplies = |code: &str| {
        let mut named = locations.iter().filter(|location| location.code == code);
        named.any(|location| location.site.kind == LocationKind::Supplier)
    };
    match ships.is_none_or(supplies) {
        true => Ok(()),
        false => {
            Err(Error::invalid(format!("{pointer}/fallback/location"), "expected a location of the kind supplier"))
        }
    }
}

/// That a document can be planned by.
pub(super) fn check(document: &super::ProfileDocument, locations: &Locations) -> Result<()> {
    document.check("/document")?;
    check_locations(document, locations, "/document")
}

/// Makes the next version of a code, as a draft.
///
/// # Errors
/// `invalid_value` and `not_found` with the pointer to what is wrong in the document; `not_found` for a channel that is not
/// there; `duplicate` where the code is another channel's; `scope_missing` for those who are limited to some locations, or to
/// some channels where it is for all.
pub(super) fn create(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    locations: &Locations,
    id: SourcingProfileId,
    new: &NewSourcingProfile,
) -> Result<SourcingProfile> {
    may_change(actor, new.channel_id)?;
    if let Some(channel) = new.channel_id {
        channels::check_named(tx, actor, &[channel], |_| "/channel_id".to_owned())?;
    }
    check(&new.document, locations)?;
    let newest = store::newest(tx, &new.code)?;
    if newest.is_some_and(|(_, channel)| channel != new.channel_id) {
        let detail = format!("the code `{}` is that of a profile for other orders", new.code);
        return Err(Error::problem(Code::Duplicate, detail).at("/code"));
    }
    let made = SourcingProfile {
        id,
        code: new.code.to_string(),
        version: newest.map_or(1, |(version, _)| version + 1),
        channel_id: new.channel_id,
        state: ProfileState::Draft,
        document: new.document.clone(),
        revision: 1,
        activated_at: None,
        created_at: now,
    };
    // Somebody else has made that version at the same time: this one is made the next.
    on_duplicate(store::insert(tx, &made), || Error::overtaken("the sourcing profile"))?;
    Ok(made)
}

/// A version that the actor may see.
///
/// # Errors
/// Not found.
pub(super) fn visible(tx: &mut Tx, actor: &Actor, id: SourcingProfileId) -> Result<SourcingProfile> {
    let found = store::find(tx, id)?.filter(|profile| profile.is_seen_by(actor));
    found.ok_or_else(|| Error::not_found("sourcing profile"))
}

/// Versions that the actor may see, the newest first.
///
/// # Errors
/// What the database says.
pub(super) fn page(
    tx: &mut Tx,
    actor: &Actor,
    (code, state): (Option<&str>, Option<ProfileState>),
    before: Option<SourcingProfileId>,
    limit: i64,
) -> Result<Vec<SourcingProfile>> {
    store::page(tx, (code, state, actor.channels()), before, limit)
}

/// Locks a version for a command.
fn claimed(tx: &mut Tx, actor: &Actor, id: SourcingProfileId) -> Result<SourcingProfile> {
    let found = store::lock(tx, id)?.filter(|profile| profile.is_seen_by(actor));
    let found = found.ok_or_else(|| Error::not_found("sourcing profile"))?;
    may_change(actor, found.channel_id)?;
    Ok(found)
}

fn saved(tx: &mut Tx, now: Instant, mut changed: SourcingProfile) -> Result<SourcingProfile> {
    let written = store::update(tx, now, &changed, changed.revision);
    if !on_duplicate(written, || Error::overtaken("the live sourcing profile"))? {
        return Err(Error::overtaken("the sourcing profile"));
    }
    changed.revision += 1;
    Ok(changed)
}

/// Replaces the document of a draft. `expected` is the revision that the caller has seen.
///
/// # Errors
/// As [`create`]; `version_stale` when it has changed since; `state_conflict` when it is no draft any more.
pub(super) fn update(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    locations: &Locations,
    (id, expected): (SourcingProfileId, Option<i64>),
    patch: &SourcingProfilePatch,
) -> Result<SourcingProfile> {
    let mut found = claimed(tx, actor, id)?;
    if expected.is_some_and(|expected| expected != found.revision) {
        return Err(Error::stale("sourcing profile", found.revision));
    }
    found.state = found.state.apply(ProfileCommand::Edit)?;
    check(&patch.document, locations)?;
    found.document = patch.document.clone();
    saved(tx, now, found)
}

/// Puts a version into force, in place of the one that is, or takes it out of force.
///
/// # Errors
/// `state_conflict`; `not_found` where its document names a location that is not there any more.
pub(super) fn command(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    locations: &Locations,
    id: SourcingProfileId,
    command: ProfileCommand,
) -> Result<SourcingProfile> {
    let mut found = claimed(tx, actor, id)?;
    found.state = found.state.apply(command)?;
    if command == ProfileCommand::Activate {
        check(&found.document, locations)?;
        store::retire_live(tx, now, found.channel_id)?;
        found.activated_at = Some(now);
    }
    let changed = saved(tx, now, found)?;
    bump::<Locations>(tx)?;
    Ok(changed)
}

/// Where lines would come from now, and why: nothing is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replanned {
    /// Which location would give what.
    pub shares: Vec<Share>,
    /// Why.
    pub sourcing: Vec<Sourcing>,
}

impl Replanned {
    /// The levels at which something of it is still to come, with how many pieces of each.
    #[must_use]
    pub fn waits_at(&self) -> Vec<(LevelKey, i64)> {
        trace::waits_at(&self.shares, &self.sourcing)
    }

    /// Which of its shares wait for that.
    #[must_use]
    pub fn awaited(&self) -> BTreeSet<Spot> {
        trace::awaited(&self.shares, &self.sourcing)
    }
}

impl From<Plan> for Replanned {
    fn from(plan: Plan) -> Self {
        let shares = plan.planned.into_iter().map(|planned| planned.share).collect();
        Self { shares, sourcing: plan.sourcing }
    }
}

/// Where lines would come from now, by the live profile: what the needs ask for is looked for beside what is allocated already, on what
/// [`stock::look`] has seen. Nothing is taken, so the stock may have moved when it is. Pure.
///
/// # Errors
/// `out_of_stock` with `line_no` and `available`; `location_inactive` where no location is left.
pub fn try_plan(needs: &[Need], sources: Sources<'_>, available: &Available) -> Result<Replanned> {
    planned(needs, sources, available).map(Replanned::from).map_err(|why| stock::refusal(why, needs))
}

/// Whose rules a simulation goes by.
pub(super) enum Rules {
    /// Those that are live.
    Live,
    /// A version's, or a document's that is no version yet.
    Of(String, i64, Box<super::ProfileDocument>),
}

/// A plan made for a simulation; why there is none, where there is none. What is `own` is allocated to whom it is planned for already, and
/// counts as available to them.
pub(super) fn simulate(
    tx: &mut Tx,
    now: Instant,
    (needs, own): (&[Need], &[(LevelKey, i64)]),
    (facts, except): (&Facts, &[LocationId]),
    locations: &Locations,
    rules: &Rules,
) -> Result<std::result::Result<Replanned, NoPlan>> {
    let sources = Sources::of(locations, facts).without(except);
    let sources = match rules {
        Rules::Live => sources,
        Rules::Of(code, version, document) => sources.by((code, *version, document)),
    };
    // What has ended by when it would be ordered is not there then.
    let selling = sources.selling(now.max(facts.at));
    let mut available = stock::look_with(tx, needs, selling, sources.asks_for_lots())?;
    available.give_back(own);
    Ok(planned(needs, sources, &available).map(Replanned::from))
}

/// Notes how many orders locations have taken on local days, for the filter `capacity_left`.
///
/// # Errors
/// What the database says.
pub fn count_loads(tx: &mut Tx, now: Instant, loads: &[(LocationId, NaiveDate, i64)]) -> Result<()> {
    if loads.is_empty() {
        return Ok(());
    }
    let changed = store::note_loads(tx, now, loads)?;
    let oldest = loads.iter().map(|(_, day, _)| *day).min().and_then(|day| day.checked_sub_days(Days::new(2)));
    let dropped = oldest.map_or(Ok(0), |day| store::drop_loads(tx, day))?;
    if changed + dropped > 0 {
        bump::<Locations>(tx)?;
    }
    Ok(())
}
