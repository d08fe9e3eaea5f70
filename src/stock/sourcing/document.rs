//! The rules of a sourcing profile, as they are sent and kept. Pure.

use serde::{Deserialize, Serialize};

use super::{
    super::{
        calendar::doubled,
        site::{LocationKind, Position},
    },
    model::Facts,
};
use crate::{
    error::{Error, Result},
    kernel::{Capabilities, Country, Money, ids::ChannelId, text::Text},
};

/// Which orders a strategy is for. Everything that is said must hold; what is not said holds for every order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Conditions {
    /// Orders of one of these channels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub channels: Vec<ChannelId>,
    /// Orders that go to one of these countries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 300)]
    pub countries: Vec<Country>,
    /// The goods cost at least this, in this currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_value: Option<Money>,
    /// The goods cost at most this, in this currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_value: Option<Money>,
    /// The goods weigh at least so many grams.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub min_weight_grams: Option<i64>,
    /// The goods weigh at most so many grams.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub max_weight_grams: Option<i64>,
    /// The cart carries one of these tags: texts in the list `tags` of its metadata.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, max_items = 100)]
    pub tags: Vec<Text<100>>,
    /// The customer is of one of these groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, max_items = 100)]
    pub customer_groups: Vec<Text<100>>,
}

/// Which locations a strategy looks at. Those that do not serve the channel or the country of the order are never looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filters {
    /// Locations of these kinds; of every kind where none is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<LocationKind>,
    /// These locations by their codes; all where none is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, max_items = 500)]
    pub locations: Vec<Text<50>>,
    /// All but these locations, by their codes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, max_items = 500)]
    pub except: Vec<Text<50>>,
    /// Only locations that can do all of this, whatever the goods require: words of their `capabilities`.
    #[serde(skip_serializing_if = "Capabilities::is_none")]
    pub capabilities: Capabilities,
    /// Only locations that still begin today with what is ordered now.
    pub before_cut_off: bool,
    /// Only locations that have not taken their `orders_per_day` yet. Counted every half minute, so a rush may go a little
    /// beyond it.
    pub capacity_left: bool,
    /// Only locations that are so many kilometres away at most. Where a position is not known, the distance is not either, and
    /// the location is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 20_100)]
    pub max_distance_km: Option<i64>,
    /// Only goods that keep for so many days from the end of the day on which their location ships them: what lies of lots that end
    /// sooner is not counted, and a location that would have nothing but that is not looked at. What is in no lot, or in one without an
    /// end, keeps for ever. Of the channel's `min_shelf_life` and this the stricter one counts, until the goods have left.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 3_650)]
    pub shelf_life_days: Option<i64>,
}

/// What counts how much: the plan with the fewest points is taken. 0 is not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// Points for each parcel: for each location that ships something.
    #[schema(minimum = 0, maximum = 10_000)]
    pub parcels: i64,
    /// Points for each kilometre between a location that ships and the destination.
    #[schema(minimum = 0, maximum = 10_000)]
    pub distance: i64,
    /// Points for each minor unit (cent) that the profile's rates say a parcel costs. Locations without a rate are not looked at.
    #[schema(minimum = 0, maximum = 10_000)]
    pub cost: i64,
    /// Points for each piece that comes from where little of its stock lies: all of them where (next to) nothing lies there,
    /// none where all of it does.
    #[schema(minimum = 0, maximum = 10_000)]
    pub balance: i64,
    /// Points for each step of a location's `priority`.
    #[schema(minimum = 0, maximum = 10_000)]
    pub priority: i64,
    /// Points for each day until a location ships.
    #[schema(minimum = 0, maximum = 10_000)]
    pub date: i64,
    /// Points for each piece that is still to come.
    #[schema(minimum = 0, maximum = 10_000)]
    pub backorder: i64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { parcels: 1000, distance: 0, cost: 0, balance: 0, priority: 1, date: 0, backorder: 1000 }
    }
}

impl Weights {
    const fn all(&self) -> [(&'static str, i64); 7] {
        let Self { parcels, distance, cost, balance, priority, date, backorder } = *self;
        [
            ("parcels", parcels),
            ("distance", distance),
            ("cost", cost),
            ("balance", balance),
            ("priority", priority),
            ("date", date),
            ("backorder", backorder),
        ]
    }
}

/// How far an order may be taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// From so many locations at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 50)]
    pub most_parcels: Option<i64>,
    /// Everything from one location that has all of it, nothing later.
    pub ship_complete: bool,
    /// Whether a line that no location has whole may be divided among several.
    pub divide_lines: bool,
    /// Whether what may be sold beyond the stock may be still to come.
    pub backorders: bool,
    /// Lines whose metadata have the same text under this name come from one location. Lines of the same goods go with them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    pub together: Option<Text<100>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { most_parcels: None, ship_complete: false, divide_lines: true, backorders: true, together: None }
    }
}

impl Limits {
    /// From so many locations at most.
    pub(super) fn parcels(&self) -> usize {
        if self.ship_complete {
            1
        } else {
            self.most_parcels.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX)
        }
    }

    /// Whether anything may be still to come.
    pub(super) const fn may_wait(&self) -> bool {
        self.backorders && !self.ship_complete
    }
}

/// A way to place an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Strategy {
    /// Its name: the trace tells it.
    pub name: Text<100>,
    /// Which orders it is for.
    #[serde(default)]
    pub when: Conditions,
    /// Which locations it looks at.
    #[serde(default)]
    pub filters: Filters,
    /// What counts how much.
    #[serde(default)]
    pub weights: Weights,
    /// How far the order may be taken apart.
    #[serde(default)]
    pub limits: Limits,
}

crate::words! {
    /// What is done where no strategy that is for an order finds a plan.
    pub enum FallbackKind {
        /// The plan that is made without a profile: one location for all, else each line where it is whole, else divided.
        Usual = "usual",
        /// As `usual`, and what may be sold beyond the stock waits at the location that is named.
        Backorder = "backorder",
        /// As `usual`, and what nobody has and may be sold beyond the stock is shipped by the supplier that is named.
        DropShip = "drop_ship",
        /// As `backorder`, and what waits is held at the location that is named until somebody releases it: then it is planned anew.
        Hold = "hold",
        /// The order is refused.
        Refuse = "refuse",
    }
}

/// What is done where no strategy that is for an order finds a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// What.
    pub then: FallbackKind,
    /// The location's code, of `backorder`, `drop_ship` and `hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    pub location: Option<Text<50>>,
}

impl Default for Fallback {
    fn default() -> Self {
        Self { then: FallbackKind::Usual, location: None }
    }
}

/// Where addresses are, for distances: those of a country whose postcode begins so. The longest beginning counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// In this country.
    pub country: Country,
    /// How the postcode begins; left out for the whole country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 20)]
    pub postcode: Option<Text<20>>,
    /// Where that is.
    pub position: Position,
}

/// What a parcel costs. The first rate that fits counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// From this location, by its code; left out from every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    pub location: Option<Text<50>>,
    /// To these countries; to every one where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 300)]
    pub countries: Vec<Country>,
    /// For each parcel.
    pub price: Money,
    /// And for each kilogram in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_kg: Option<Money>,
}

/// The rules of a sourcing profile. The strategies are tried in their order: the first that is for the order and finds a plan
/// places it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "strategies": [
        {"name": "nearby", "when": {"countries": ["DE"]}, "filters": {"kinds": ["warehouse", "store"], "max_distance_km": 400},
         "weights": {"parcels": 500, "distance": 2}, "limits": {"most_parcels": 2}},
        {"name": "anywhere"}
    ],
    "fallback": {"then": "usual"},
    "destinations": [{"country": "DE", "postcode": "28", "position": {"latitude": "53.0793", "longitude": "8.8017"}}]
}))]
pub struct ProfileDocument {
    /// In the order in which they are tried.
    #[schema(min_items = 1, max_items = 20)]
    pub strategies: Vec<Strategy>,
    /// What is done where none of them finds a plan.
    #[serde(default)]
    pub fallback: Fallback,
    /// Where addresses are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 2_000)]
    pub destinations: Vec<Destination>,
    /// What parcels cost, all in one currency.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 2_000)]
    pub rates: Vec<Rate>,
}

impl ProfileDocument {
    /// Checks what the schema says of it. `pointer` is where it stands.
    ///
    /// # Errors
    /// `invalid_value` with the pointer to the field.
    pub fn check(&self, pointer: &str) -> Result<()> {
        let at = |rest: String| format!("{pointer}{rest}");
        if !(1..=20).contains(&self.strategies.len()) {
            return Err(Error::invalid(at("/strategies".into()), "expected 1 to 20 strategies"));
        }
        if self.destinations.len() > 2_000 {
            return Err(Error::invalid(at("/destinations".into()), "expected at most 2000"));
        }
        if self.rates.len() > 2_000 {
            return Err(Error::invalid(at("/rates".into()), "expected at most 2000"));
        }
        let names: Vec<&Text<100>> = self.strategies.iter().map(|one| &one.name).collect();
        if let Some(place) = doubled(&names) {
            return Err(Error::invalid(at(format!("/strategies/{place}/name")), "it is there twice"));
        }
        for (place, strategy) in self.strategies.iter().enumerate() {
            strategy.check(&at(format!("/strategies/{place}")))?;
        }
        for (place, destination) in self.destinations.iter().enumerate() {
            destination.position.check(&at(format!("/destinations/{place}/position")))?;
        }
        self.check_rates(pointer)?;
        let needs_location =
            matches!(self.fallback.then, FallbackKind::Backorder | FallbackKind::DropShip | FallbackKind::Hold);
        if needs_location != self.fallback.location.is_some() {
            let detail =
                if needs_location { "say which location" } else { "only backorder, drop_ship and hold name one" };
            return Err(Error::invalid(at("/fallback/location".into()), detail));
        }
        Ok(())
    }

    fn check_rates(&self, pointer: &str) -> Result<()> {
        let currency = self.rates.first().map(|rate| rate.price.currency());
        for (place, rate) in self.rates.iter().enumerate() {
            let prices = [("price", Some(rate.price)), ("per_kg", rate.per_kg)];
            for (name, price) in prices.into_iter().filter_map(|(name, price)| Some((name, price?))) {
                let wrong = |detail: &str| Err(Error::invalid(format!("{pointer}/rates/{place}/{name}"), detail));
                if Some(price.currency()) != currency {
                    return wrong("expected the currency of the first rate: others can not be compared");
                }
                if !(0..=100_000_000).contains(&price.minor()) {
                    return wrong("expected an amount from 0 to 100000000 minor units");
                }
            }
        }
        let weighs_cost = self.strategies.iter().position(|one| one.weights.cost > 0);
        match weighs_cost.filter(|_| self.rates.is_empty()) {
            Some(place) => {
                let pointer = format!("{pointer}/strategies/{place}/weights/cost");
                Err(Error::invalid(pointer, "the profile has no rates: nothing is known of what parcels cost"))
            }
            None => Ok(()),
        }
    }

    /// Whether one of its strategies asks for how long goods keep.
    #[must_use]
    pub fn asks_for_shelf_life(&self) -> bool {
        self.strategies.iter().any(|one| one.filters.shelf_life_days.is_some())
    }

    /// The codes of locations that it names, each with where.
    pub fn locations(&self) -> impl Iterator<Item = (String, &str)> {
        let filters = self.strategies.iter().enumerate().flat_map(|(place, one)| {
            let only = one.filters.locations.iter().enumerate();
            let only = only.map(move |(at, code)| (format!("/strategies/{place}/filters/locations/{at}"), &**code));
            let except = one.filters.except.iter().enumerate();
            only.chain(except.map(move |(at, code)| (format!("/strategies/{place}/filters/except/{at}"), &**code)))
        });
        let rates = self.rates.iter().enumerate();
        let rates = rates.filter_map(|(at, rate)| Some((format!("/rates/{at}/location"), &**rate.location.as_ref()?)));
        let fallback = self.fallback.location.iter().map(|code| ("/fallback/location".to_owned(), &**code));
        filters.chain(rates).chain(fallback)
    }

    /// Whether it asks which group a customer is of.
    #[must_use]
    pub fn asks_for_groups(&self) -> bool {
        self.strategies.iter().any(|one| !one.when.customer_groups.is_empty())
    }
}

impl Strategy {
    fn check(&self, pointer: &str) -> Result<()> {
        let within = |value: Option<i64>, range: std::ops::RangeInclusive<i64>, field: &str| match value {
            Some(value) if !range.contains(&value) => {
                let detail = format!("expected a number from {} to {}", range.start(), range.end());
                Err(Error::invalid(format!("{pointer}/{field}"), detail))
            }
            _ => Ok(()),
        };
        for (name, weight) in self.weights.all() {
            within(Some(weight), 0..=10_000, &format!("weights/{name}"))?;
        }
        within(self.limits.most_parcels, 1..=50, "limits/most_parcels")?;
        within(self.filters.max_distance_km, 0..=20_100, "filters/max_distance_km")?;
        within(self.filters.shelf_life_days, 1..=3_650, "filters/shelf_life_days")?;
        within(self.when.min_weight_grams, 0..=i64::MAX, "when/min_weight_grams")?;
        within(self.when.max_weight_grams, 0..=i64::MAX, "when/max_weight_grams")?;
        self.when.check(pointer)?;
        let lists = [
            ("when/channels", self.when.channels.len(), 100),
            ("when/countries", self.when.countries.len(), 300),
            ("when/tags", self.when.tags.len(), 100),
            ("when/customer_groups", self.when.customer_groups.len(), 100),
            ("filters/kinds", self.filters.kinds.len(), LocationKind::ALL.len()),
            ("filters/locations", self.filters.locations.len(), 500),
            ("filters/except", self.filters.except.len(), 500),
        ];
        match lists.into_iter().find(|(_, has, most)| has > most) {
            Some((list, _, most)) => {
                Err(Error::invalid(format!("{pointer}/{list}"), format!("expected at most {most}")))
            }
            None => Ok(()),
        }
    }
}

impl Conditions {
    /// That what is said at least is not more than what is said at most: no order would be such a one.
    fn check(&self, pointer: &str) -> Result<()> {
        let wrong = |field: &str, detail: &str| Err(Error::invalid(format!("{pointer}/when/{field}"), detail));
        if let (Some(min), Some(max)) = (self.min_value, self.max_value) {
            if min.currency() != max.currency() {
                return wrong("max_value", "expected the currency of min_value");
            }
            if min.minor() > max.minor() {
                return wrong("max_value", "less than min_value: there is no such order");
            }
        }
        match self.min_weight_grams.zip(self.max_weight_grams) {
            Some((min, max)) if min > max => {
                wrong("max_weight_grams", "less than min_weight_grams: there is no such order")
            }
            _ => Ok(()),
        }
    }

    /// Whether an order is such a one.
    #[must_use]
    pub fn hold(&self, facts: &Facts) -> bool {
        let value = |bound: Option<Money>, fits: fn(i64, i64) -> bool| match (bound, facts.value) {
            (None, _) => true,
            (Some(bound), Some(value)) => bound.currency() == value.currency() && fits(value.minor(), bound.minor()),
            (Some(_), None) => false,
        };
        let among = |words: &[Text<100>], has: &[String]| {
            words.is_empty() || has.iter().any(|one| words.iter().any(|word| **word == **one))
        };
        (self.channels.is_empty() || self.channels.contains(&facts.channel))
            && (self.countries.is_empty() || self.countries.contains(&facts.country))
            && value(self.min_value, |value, bound| value >= bound)
            && value(self.max_value, |value, bound| value <= bound)
            && self.min_weight_grams.is_none_or(|bound| facts.weight_grams >= bound)
            && self.max_weight_grams.is_none_or(|bound| facts.weight_grams <= bound)
            && among(&self.tags, &facts.tags)
            && among(&self.customer_groups, facts.customer_group.as_slice())
    }
}
