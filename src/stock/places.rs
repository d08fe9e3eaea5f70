//! Commands on locations.

use super::{
    model::{Location, LocationPatch, Locations, NewLocation, check_priority},
    store::{self, LocationRow},
};
use crate::{
    channels,
    db::{Doc, Tx, bump},
    error::{Code, Error, Result, on_duplicate},
    kernel::{Actor, Instant, ids::LocationId},
};

/// Makes a location.
///
/// # Errors
/// `duplicate` when the code is taken; `not_found` for a channel that is named and not there; `scope_missing` for those who are limited to some locations.
pub fn create_location(
    tx: &mut Tx,
    actor: &Actor,
    now: Instant,
    id: LocationId,
    new: &NewLocation,
) -> Result<Location> {
    check_priority(new.priority)?;
    let site = new.site().checked()?;
    if !actor.sees_location(id) {
        let detail = "this credential is limited to some locations and can not make another";
        return Err(Error::problem(Code::ScopeMissing, detail));
    }
    keeps(actor, id)?;
    channels::check_named(tx, actor, &site.channels, |place| format!("/channels/{place}"))?;
    let row = LocationRow {
        id,
        code: new.code.to_string(),
        name: new.name.to_string(),
        country: new.country,
        time_zone: new.time_zone.to_string(),
        priority: new.priority,
        active: new.active,
        doc: Doc(site),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let taken = || {
        let detail = format!("there is a location with the code `{}` already", new.code);
        Error::problem(Code::Duplicate, detail).at("/code")
    };
    on_duplicate(store::insert_location(tx, &row), taken)?;
    bump::<Locations>(tx)?;
    Location::try_from(row)
}

/// Refuses those who are limited to channels alone: stock serves them all.
///
/// # Errors
/// `scope_missing`.
pub fn keeps(actor: &Actor, id: LocationId) -> Result<()> {
    if actor.keeps_stock_at(id) {
        return Ok(());
    }
    let detail = "stock serves all channels, and the credential is limited to some: limit it to locations too";
    Err(Error::problem(Code::ScopeMissing, detail))
}

/// A location that the actor may see.
///
/// # Errors
/// Not found.
pub(super) fn visible(tx: &mut Tx, actor: &Actor, id: LocationId) -> Result<Location> {
    let location = store::location(tx, id)?.filter(|location| actor.sees_location(location.id));
    location.ok_or_else(|| Error::not_found("location"))
}

/// A location as it is kept now.
///
/// # Errors
/// Not found.
pub fn location(tx: &mut Tx, id: LocationId) -> Result<Location> {
    store::location(tx, id)?.ok_or_else(|| Error::not_found("location"))
}

/// Changes a location. `expected` is the version that the caller has seen.
///
/// # Errors
/// `not_found`; `scope_missing` for those who are limited to channels alone; `version_stale` when it has changed since.
pub fn update_location(
    tx: &mut Tx,
    actor: &Actor,
    now: Instant,
    id: LocationId,
    expected: Option<i64>,
    patch: &LocationPatch,
) -> Result<Location> {
    let mut location = visible(tx, actor, id)?;
    keeps(actor, id)?;
    let seen = expected.unwrap_or(location.version);
    if seen != location.version {
        return Err(Error::stale("location", location.version));
    }
    if let Some(name) = &patch.name {
        location.name = name.to_string();
    }
    location.country = patch.country.unwrap_or(location.country);
    location.time_zone = patch.time_zone.unwrap_or(location.time_zone);
    let named = patch.channels.as_deref().unwrap_or_default();
    channels::check_named(tx, actor, named, |place| format!("/channels/{place}"))?;
    location.site = patch.site(&location.site).checked()?;
    location.priority = patch.priority.unwrap_or(location.priority);
    location.active = patch.active.unwrap_or(location.active);
    check_priority(location.priority)?;
    if !store::update_location(tx, now, &location, seen)? {
        return Err(Error::overtaken("the location"));
    }
    location.version += 1;
    bump::<Locations>(tx)?;
    Ok(location)
}
