//! Which locations sell to somebody: the one rule by which orders are planned and by which is told what can be had. Pure.

use std::collections::HashMap;

use super::{
    model::{Location, Locations},
    site::Site,
};
use crate::kernel::{
    Capabilities, Country,
    ids::{ChannelId, LocationId},
};

impl Site {
    /// Whether it gives goods to orders of a channel that go to a country; to any country where that is not known, or where they are
    /// picked up and nobody ships them.
    #[must_use]
    pub fn serves(&self, channel: ChannelId, country: Option<Country>) -> bool {
        self.serves_channel(channel) && country.is_none_or(|country| self.serves_country(country))
    }
}

/// To whom goods are sold, as far as it decides which locations can give them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Market<'a> {
    of: Option<(&'a Locations, ChannelId)>,
    country: Option<Country>,
    pickups: &'a [LocationId],
}

impl<'a> Market<'a> {
    /// Nobody in particular: every active location counts, whatever it can do.
    pub const EVERYWHERE: Market<'static> = Market { of: None, country: None, pickups: &[] };

    /// Orders of a channel, wherever they go.
    #[must_use]
    pub const fn of(locations: &'a Locations, channel: ChannelId) -> Self {
        Self { of: Some((locations, channel)), country: None, pickups: &[] }
    }

    /// Those of them that go to a country.
    #[must_use]
    pub const fn to(self, country: Country) -> Self {
        Self { country: Some(country), ..self }
    }

    /// Those that are picked up at some locations too, which need not ship to the country.
    #[must_use]
    pub const fn or_at(self, pickups: &'a [LocationId]) -> Self {
        Self { pickups, ..self }
    }

    /// The locations that give goods to such orders. One that is not known here yet is not among them.
    pub(super) fn served(&self) -> Served<'a> {
        let Some((locations, channel)) = self.of else { return Served(None) };
        let gives = |place: &&Location| {
            let country = self.country.filter(|_| !self.pickups.contains(&place.id));
            place.site.serves(channel, country)
        };
        let all = locations.active().filter(gives);
        Served(Some(all.map(|place| (place.id, &place.site.capabilities)).collect()))
    }
}

/// Which locations give goods, and what each can do; all give all where nothing is known of whom they are for.
pub(super) struct Served<'a>(Option<HashMap<LocationId, &'a Capabilities>>);

impl Served<'_> {
    /// Whether a location gives goods that require so much.
    pub(super) fn by(&self, location: LocationId, requires: &Capabilities) -> bool {
        let Some(places) = &self.0 else { return true };
        places.get(&location).is_some_and(|has| requires.are_had_by(has))
    }
}
