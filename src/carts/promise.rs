//! By when a cart's goods arrive: from the calendars of the locations that ship them and the days of the way. Pure.

use chrono::{Datelike, NaiveDate, Weekday};
use serde::{Deserialize, Serialize};

use super::pricing::Context;
use crate::{
    kernel::{Country, Instant, ids::LocationId, local},
    stock::Locations,
};

/// By when goods leave and arrive. Days are those of the channel's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = DeliveryPromise, example = json!({"ships_by": "2026-01-13", "earliest": "2026-01-15", "latest": "2026-01-16"}))]
pub struct Promise {
    /// The day on which the last parcel has left.
    pub ships_by: NaiveDate,
    /// The first day on which all of it may have arrived.
    pub earliest: NaiveDate,
    /// The day on which all of it has arrived.
    pub latest: NaiveDate,
}

impl Promise {
    /// The end of the last day, by the clock of a zone.
    #[must_use]
    pub fn until(&self, zone: chrono_tz::Tz) -> Instant {
        local::start_of_day(zone, self.latest.succ_opt().unwrap_or(self.latest))
    }
}

/// What is promised of goods that these locations ship by a method to a country; nothing where nobody knows how long the method
/// takes.
#[must_use]
pub(crate) fn promise(
    context: &Context,
    (method, country): (&str, Country),
    (locations, from): (&Locations, &[LocationId]),
    placed_at: Instant,
) -> Option<Promise> {
    let (channel, settings) = (context.channel.id, &context.channel.settings);
    let method = context.rules.shipping_methods.iter().find(|one| one.channel == channel && one.code == method)?;
    let (min, max) = method.days_to(country)?;
    // A channel that promises hours has them counted, wherever it ships from.
    let ships_by = match settings.due_hours {
        Some(hours) => local::day_of(settings.time_zone.0, placed_at.plus_seconds(3600 * hours)),
        None => from.iter().filter_map(|id| locations.get(*id).ok()).map(|one| one.leaves_on(placed_at)).max()?,
    };
    Some(Promise { ships_by, earliest: after(ships_by, min), latest: after(ships_by, max) })
}

/// The day so many working days, Monday to Friday, after another.
fn after(mut day: NaiveDate, days: i32) -> NaiveDate {
    for _ in 0..days {
        loop {
            let Some(next) = day.succ_opt() else { return day };
            day = next;
            if !matches!(day.weekday(), Weekday::Sat | Weekday::Sun) {
                break;
            }
        }
    }
    day
}

#[cfg(test)]
mod tests {
    use super::after;

    #[test]
    fn days_of_the_way_are_working_days() {
        let day = |text: &str| text.parse().unwrap();
        // A Friday, and a Saturday on which a location works.
        assert_eq!(after(day("2026-01-16"), 0), day("2026-01-16"));
        assert_eq!(after(day("2026-01-16"), 1), day("2026-01-19"));
        assert_eq!(after(day("2026-01-17"), 1), day("2026-01-19"));
        assert_eq!(after(day("2026-01-16"), 6), day("2026-01-26"));
    }
}
