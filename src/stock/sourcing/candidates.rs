//! Which locations a strategy looks at for an order, and what each would cost: pure.

use super::{
    super::{
        model::{Location, Locations},
        site::Position,
        trace::{Points, Why},
    },
    distance,
    document::{Filters, ProfileDocument, Rate, Strategy, Weights},
    model::Facts,
};
use crate::kernel::{Country, ids::LocationId, local};

/// A location that a strategy looks at.
#[derive(Debug, Clone)]
pub(super) struct Candidate<'a> {
    pub location: &'a Location,
    /// How far it is to the destination, where that is known.
    pub metres: Option<i64>,
    /// What a parcel and each kilogram in it cost in minor units, where a rate says so.
    pub rate: Option<(i64, i64)>,
    /// In how many days it ships.
    pub days: i64,
}

/// Thousandths of a point.
pub(super) const SCALE: i128 = 1_000;

impl Candidate<'_> {
    /// The points for shipping anything from here, in thousandths, by what they are for. `far` is the distance where it is not known.
    pub fn fixed(&self, weights: &Weights, far: i64) -> Scaled {
        let times = |weight: i64, by: i64| i128::from(weight) * i128::from(by) * SCALE;
        Scaled {
            parcels: times(weights.parcels, 1),
            // A metre is a thousandth of a kilometre.
            distance: i128::from(weights.distance) * i128::from(self.metres.unwrap_or(far)),
            cost: times(weights.cost, self.rate.map_or(0, |(parcel, _)| parcel)),
            priority: times(weights.priority, self.location.priority),
            date: times(weights.date, self.days),
            ..Scaled::default()
        }
    }

    /// The points for each piece from here, in thousandths. `share` is how much of all the stock lies here, in thousandths.
    pub fn piece(&self, weights: &Weights, grams: i64, share: i64) -> Scaled {
        let per_kg = self.rate.map_or(0, |(_, per_kg)| per_kg);
        Scaled {
            // A gram is a thousandth of a kilogram.
            cost: i128::from(weights.cost) * i128::from(per_kg) * i128::from(grams),
            balance: i128::from(weights.balance) * i128::from(1_000 - share.clamp(0, 1_000)),
            ..Scaled::default()
        }
    }
}

/// Points in thousandths, by what they are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Scaled {
    pub parcels: i128,
    pub distance: i128,
    pub cost: i128,
    pub balance: i128,
    pub priority: i128,
    pub date: i128,
    pub backorder: i128,
}

impl Scaled {
    /// All of them.
    pub const fn total(&self) -> i128 {
        self.parcels + self.distance + self.cost + self.balance + self.priority + self.date + self.backorder
    }

    /// With others.
    pub const fn plus(self, other: &Self, times: i64) -> Self {
        let times = times as i128;
        Self {
            parcels: self.parcels + other.parcels * times,
            distance: self.distance + other.distance * times,
            cost: self.cost + other.cost * times,
            balance: self.balance + other.balance * times,
            priority: self.priority + other.priority * times,
            date: self.date + other.date * times,
            backorder: self.backorder + other.backorder * times,
        }
    }

    /// As a trace tells them: whole points.
    pub fn told(&self) -> Points {
        let whole = |scaled: i128| i64::try_from(scaled / SCALE).unwrap_or(i64::MAX);
        Points {
            total: whole(self.total()),
            parcels: whole(self.parcels),
            distance: whole(self.distance),
            cost: whole(self.cost),
            balance: whole(self.balance),
            priority: whole(self.priority),
            date: whole(self.date),
            backorder: whole(self.backorder),
        }
    }
}

/// The active locations as a strategy sees them: those that it looks at, in the order in which they are asked, and those that it
/// does not with the reason.
pub(super) fn candidates<'a>(
    (document, strategy): (&ProfileDocument, &Strategy),
    facts: &Facts,
    locations: &'a Locations,
    except: &[LocationId],
) -> (Vec<Candidate<'a>>, Vec<(&'a Location, Why)>) {
    let destination = destination(document, facts);
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    for location in locations.active() {
        let metres = location.site.position.zip(destination).map(|(from, to)| distance::metres(from, to));
        let rate = rate(&document.rates, &location.code, facts.country);
        let why = refusal(&strategy.filters, location, facts, (locations, except), metres);
        let why = why.or_else(|| (strategy.weights.cost > 0 && rate.is_none()).then_some(Why::NoRate));
        match why {
            Some(why) => dropped.push((location, why)),
            None => kept.push(Candidate { location, metres, rate, days: days_until_shipped(location, facts) }),
        }
    }
    (kept, dropped)
}

/// Why a strategy does not look at a location.
fn refusal(
    filters: &Filters,
    location: &Location,
    facts: &Facts,
    (locations, except): (&Locations, &[LocationId]),
    metres: Option<i64>,
) -> Option<Why> {
    let names = |list: &[crate::kernel::text::Text<50>]| list.iter().any(|code| **code == *location.code);
    let site = &location.site;
    let zone = location.time_zone.0;
    let today = local::day_of(zone, facts.at);
    let most_metres = filters.max_distance_km.map(|km| km * 1_000);
    if except.contains(&location.id) {
        Some(Why::Excluded)
    } else if !serves(location, facts) {
        Some(Why::NotServed)
    } else if !filters.kinds.is_empty() && !filters.kinds.contains(&site.kind) {
        Some(Why::WrongKind)
    } else if names(&filters.except) || (!filters.locations.is_empty() && !names(&filters.locations)) {
        Some(Why::NotNamed)
    } else if !filters.capabilities.are_had_by(&site.capabilities) {
        Some(Why::NotCapable)
    } else if filters.before_cut_off && site.begins_on(zone, facts.at) != today {
        Some(Why::PastCutOff)
    } else if filters.capacity_left
        && site.orders_per_day.is_some_and(|most| locations.taken(location.id, today) >= most)
    {
        Some(Why::NoCapacity)
    } else if most_metres.zip(metres).is_some_and(|(most, metres)| metres > most) {
        Some(Why::TooFar)
    } else {
        None
    }
}

/// Whether a location ships such orders at all.
pub(super) fn serves(location: &Location, facts: &Facts) -> bool {
    match facts.only {
        // Nobody ships it: whoever picks it up comes to this one.
        Some(only) => only == location.id && location.site.serves(facts.channel, None),
        None => location.site.serves(facts.channel, Some(facts.country)),
    }
}

/// In how many days a location ships what is ordered now: 0 is today, by its clock.
fn days_until_shipped(location: &Location, facts: &Facts) -> i64 {
    let zone = location.time_zone.0;
    let today = local::day_of(zone, facts.at);
    location.site.leaves_on(zone, facts.at).signed_duration_since(today).num_days().max(0)
}

/// Where an order goes, as far as the profile knows: the longest beginning of the postcode counts.
fn destination(document: &ProfileDocument, facts: &Facts) -> Option<Position> {
    let fits = |prefix: &str| facts.postcode.as_ref().is_some_and(|postcode| postcode.starts_with(prefix));
    let of_country = document.destinations.iter().filter(|one| one.country == facts.country);
    let fitting = of_country.filter(|one| one.postcode.as_deref().is_none_or(fits));
    fitting.max_by_key(|one| one.postcode.as_deref().map_or(0, str::len)).map(|one| one.position)
}

/// What a parcel from a location costs, and each kilogram in it.
fn rate(rates: &[Rate], code: &str, country: Country) -> Option<(i64, i64)> {
    let fits = |rate: &&Rate| {
        rate.location.as_deref().is_none_or(|from| from == code)
            && (rate.countries.is_empty() || rate.countries.contains(&country))
    };
    let found = rates.iter().find(fits)?;
    Some((found.price.minor(), found.per_kg.map_or(0, |price| price.minor())))
}
