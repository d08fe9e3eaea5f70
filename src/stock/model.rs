//! What a location, a level, a need and a share are, and how changes of levels add up.

use std::collections::{BTreeMap, HashMap};

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};

use super::{
    calendar::Calendar,
    site::{LocationKind, Position, Site},
    sourcing::SourcingProfile,
};
use crate::{
    channels::{Channel, TimeZone},
    customers::Address,
    error::{Error, Result},
    kernel::{
        Capabilities, Country, Instant, LocalTime,
        ids::{ChannelId, LocationId, VariantId},
        local,
        patch::present,
        text::Text,
    },
};

/// Where goods lie: a warehouse, a shop, a supplier who ships.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Location {
    /// Its id.
    pub id: LocationId,
    /// A short unique name.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub country: Country,
    /// The zone of its cut-off and its working days.
    pub time_zone: TimeZone,
    /// The lowest is asked first when an order is placed.
    pub priority: i64,
    /// Whether orders are placed on it.
    pub active: bool,
    /// Rises with every change.
    pub version: i64,
    /// What it is beside that.
    #[serde(flatten)]
    pub site: Site,
    /// Since when.
    pub created_at: Instant,
}

/// For so many days what is ready is kept for its customer, where nobody has said.
const COLLECT_DAYS: i64 = 7;

impl Location {
    /// The day, by its clock, on which it ships what was ordered at an instant.
    #[must_use]
    pub fn leaves_on(&self, placed_at: Instant) -> NaiveDate {
        self.site.leaves_on(self.time_zone.0, placed_at)
    }

    /// When it should have shipped what was ordered at an instant: at the end of a working day of its own.
    #[must_use]
    pub fn due_at(&self, placed_at: Instant) -> Instant {
        self.site.due_at(self.time_zone.0, placed_at)
    }

    /// Until when what is ready now is kept for its customer: the end of a day by its clock.
    #[must_use]
    pub fn collect_by(&self, now: Instant) -> Instant {
        let zone = self.time_zone.0;
        let days = u64::try_from(self.site.collect_days.unwrap_or(COLLECT_DAYS)).unwrap_or_default();
        let last = local::day_of(zone, now).checked_add_days(Days::new(days.saturating_add(1)));
        last.map_or(now, |day| local::start_of_day(zone, day))
    }

    /// Until when it has to accept what it is given to ship now; `None` where it has not to say anything.
    #[must_use]
    pub fn accept_by(&self, now: Instant) -> Option<Instant> {
        self.site.accept_minutes.map(|minutes| now.plus_seconds(60 * minutes))
    }
}

/// A location about to be made.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"code": "bremen", "name": "Warehouse Bremen", "country": "DE", "time_zone": "Europe/Berlin", "priority": 10}))]
pub struct NewLocation {
    /// A short unique name.
    pub code: Text<50>,
    /// Its name.
    pub name: Text<200>,
    /// Where it is.
    pub country: Country,
    /// The zone of its cut-off and its working days.
    pub time_zone: TimeZone,
    /// What is ordered before this time on the location's clock is begun the same working day (Monday to Friday), what comes
    /// later or on another day on the next one. `due_at` of a fulfilment order is the end of the working day, at the
    /// location, on which it is done.
    #[serde(default = "default_cut_off")]
    pub cut_off: LocalTime,
    /// How many working days it takes beside the one on which it is begun: 0 is the same day.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 90)]
    pub handling_days: i64,
    /// The lowest is asked first when an order is placed.
    #[serde(default = "default_priority")]
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub priority: i64,
    /// Whether orders are placed on it.
    #[serde(default = "default_active")]
    pub active: bool,
    /// What kind of place it is.
    #[serde(default = "default_kind")]
    #[schema(default = "warehouse")]
    pub kind: LocationKind,
    /// Its address, for labels and for people who collect.
    pub address: Option<Address>,
    /// Where on earth it is.
    pub position: Option<Position>,
    /// On which days it works; Monday to Friday where it is left out.
    #[serde(default)]
    pub calendar: Calendar,
    /// How many orders it can take in a day.
    #[schema(minimum = 0, maximum = 10_000_000)]
    pub orders_per_day: Option<i64>,
    /// How many pieces can go over its dock in a day.
    #[schema(minimum = 0, maximum = 10_000_000)]
    pub dock_units_per_day: Option<i64>,
    /// The channels whose orders it ships; all where none is named.
    #[serde(default)]
    #[schema(max_items = 300)]
    pub channels: Vec<ChannelId>,
    /// The countries it ships to; all where none is named.
    #[serde(default)]
    #[schema(max_items = 300)]
    pub countries: Vec<Country>,
    /// What it can do beside what every location can, such as `cold_chain` or `hazmat`: words that articles name in `requires`.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// The GS1 company prefix under which it numbers its parcels.
    #[schema(value_type = Option<String>, pattern = "^[0-9]{6,12}$")]
    pub gs1_prefix: Option<Text<12>>,
    /// Within so many minutes it has to accept what it is to ship, or that is planned anew without it; it has not to say anything where
    /// this is left out.
    #[schema(minimum = 1, maximum = 43_200)]
    pub accept_minutes: Option<i64>,
    /// For so many days what is ready is kept for its customer; a week where this is left out.
    #[schema(minimum = 1, maximum = 90)]
    pub collect_days: Option<i64>,
}

const fn default_kind() -> LocationKind {
    LocationKind::Warehouse
}
const fn default_cut_off() -> LocalTime {
    LocalTime::TWO_PM
}
const fn default_priority() -> i64 {
    100
}
const fn default_active() -> bool {
    true
}

/// What can be changed about a location.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"priority": 5}))]
pub struct LocationPatch {
    /// Its name.
    pub name: Option<Text<200>>,
    /// Where it is.
    pub country: Option<Country>,
    /// The zone of its cut-off and its working days.
    pub time_zone: Option<TimeZone>,
    /// What is ordered before this time on the location's clock is begun the same working day. Orders that are there already
    /// keep their due times.
    pub cut_off: Option<LocalTime>,
    /// How many working days it takes beside the one on which it is begun.
    #[schema(minimum = 0, maximum = 90)]
    pub handling_days: Option<i64>,
    /// The lowest is asked first when an order is placed.
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub priority: Option<i64>,
    /// Whether orders are placed on it. What is allocated there stays there.
    pub active: Option<bool>,
    /// What kind of place it is.
    pub kind: Option<LocationKind>,
    /// Its address; null where it is to have none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Address>)]
    pub address: Option<Option<Address>>,
    /// Where on earth it is; null where that is not known.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Position>)]
    pub position: Option<Option<Position>>,
    /// On which days it works, whole.
    pub calendar: Option<Calendar>,
    /// How many orders it can take in a day; null where nobody says.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 10_000_000)]
    pub orders_per_day: Option<Option<i64>>,
    /// How many pieces can go over its dock in a day; null where nobody says.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 10_000_000)]
    pub dock_units_per_day: Option<Option<i64>>,
    /// The channels whose orders it ships, all of them; every channel where none is named.
    #[schema(max_items = 300)]
    pub channels: Option<Vec<ChannelId>>,
    /// The countries it ships to, all of them; every country where none is named.
    #[schema(max_items = 300)]
    pub countries: Option<Vec<Country>>,
    /// What it can do beside what every location can, all of it. What is placed here already stays here.
    pub capabilities: Option<Capabilities>,
    /// The GS1 company prefix under which it numbers its parcels; null where it has none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, pattern = "^[0-9]{6,12}$")]
    pub gs1_prefix: Option<Option<Text<12>>>,
    /// Within so many minutes it has to accept what it is to ship; null where it has not to say anything. What waits already goes on
    /// waiting as long as it was told.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 43_200)]
    pub accept_minutes: Option<Option<i64>>,
    /// For so many days what is ready is kept for its customer; null for a week.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 90)]
    pub collect_days: Option<Option<i64>>,
}

impl NewLocation {
    /// What it says of the place, not checked yet.
    pub(super) fn site(&self) -> Site {
        Site {
            cut_off: self.cut_off,
            handling_days: self.handling_days,
            kind: self.kind,
            address: self.address.clone(),
            position: self.position,
            calendar: self.calendar.clone(),
            orders_per_day: self.orders_per_day,
            dock_units_per_day: self.dock_units_per_day,
            channels: self.channels.clone(),
            countries: self.countries.clone(),
            capabilities: self.capabilities.clone(),
            gs1_prefix: self.gs1_prefix.as_ref().map(ToString::to_string),
            accept_minutes: self.accept_minutes,
            collect_days: self.collect_days,
        }
    }
}

impl LocationPatch {
    /// Lays it over a site; the result is not checked yet.
    pub(super) fn site(&self, before: &Site) -> Site {
        Site {
            cut_off: self.cut_off.unwrap_or(before.cut_off),
            handling_days: self.handling_days.unwrap_or(before.handling_days),
            kind: self.kind.unwrap_or(before.kind),
            address: self.address.as_ref().unwrap_or(&before.address).clone(),
            position: self.position.unwrap_or(before.position),
            calendar: self.calendar.as_ref().unwrap_or(&before.calendar).clone(),
            orders_per_day: self.orders_per_day.unwrap_or(before.orders_per_day),
            dock_units_per_day: self.dock_units_per_day.unwrap_or(before.dock_units_per_day),
            channels: self.channels.as_ref().unwrap_or(&before.channels).clone(),
            countries: self.countries.as_ref().unwrap_or(&before.countries).clone(),
            capabilities: self.capabilities.as_ref().unwrap_or(&before.capabilities).clone(),
            gs1_prefix: match &self.gs1_prefix {
                Some(prefix) => prefix.as_ref().map(ToString::to_string),
                None => before.gs1_prefix.clone(),
            },
            accept_minutes: self.accept_minutes.unwrap_or(before.accept_minutes),
            collect_days: self.collect_days.unwrap_or(before.collect_days),
        }
    }
}

/// Checks a location's priority.
///
/// # Errors
/// `invalid_value` outside 0 to 1,000,000.
pub(super) fn check_priority(priority: i64) -> Result<()> {
    match (0..=1_000_000).contains(&priority) {
        true => Ok(()),
        false => Err(Error::invalid("/priority", "expected a number from 0 to 1000000")),
    }
}

/// All locations, in memory, in the order in which they are asked: by priority, then code.
#[derive(Debug, Default)]
pub struct Locations {
    sorted: Vec<Location>,
    /// The live sourcing profiles.
    profiles: Vec<SourcingProfile>,
    /// How many orders locations have taken, by their local day.
    taken: HashMap<(LocationId, NaiveDate), i64>,
}

impl Locations {
    /// The locations, sorted.
    #[must_use]
    pub fn new(mut all: Vec<Location>) -> Self {
        all.sort_by(|a, b| (a.priority, &a.code).cmp(&(b.priority, &b.code)));
        Self { sorted: all, ..Self::default() }
    }

    /// With the live sourcing profiles, and with how many orders locations have taken on which days.
    #[must_use]
    pub fn with(self, profiles: Vec<SourcingProfile>, taken: HashMap<(LocationId, NaiveDate), i64>) -> Self {
        Self { profiles, taken, ..self }
    }

    /// The sourcing profile by which orders of a channel are placed: its own, else that of all channels.
    #[must_use]
    pub fn profile_of(&self, channel: ChannelId) -> Option<&SourcingProfile> {
        let own = self.profiles.iter().find(|profile| profile.channel_id == Some(channel));
        own.or_else(|| self.profiles.iter().find(|profile| profile.channel_id.is_none()))
    }

    /// How many orders a location has taken on a local day, as it was counted last.
    #[must_use]
    pub fn taken(&self, id: LocationId, day: NaiveDate) -> i64 {
        self.taken.get(&(id, day)).copied().unwrap_or_default()
    }

    /// A location.
    ///
    /// # Errors
    /// Not found.
    pub fn get(&self, id: LocationId) -> Result<&Location> {
        self.sorted.iter().find(|location| location.id == id).ok_or_else(|| Error::not_found("location"))
    }

    /// When a location should have shipped what was ordered at an instant. One that is not known here yet goes by the usual
    /// cut-off, in this zone.
    #[must_use]
    pub fn due_at(&self, id: LocationId, placed_at: Instant, zone: TimeZone) -> Instant {
        match self.get(id) {
            Ok(location) => location.due_at(placed_at),
            Err(_) => Site::default().due_at(zone.0, placed_at),
        }
    }

    /// A location by its code or its id as text.
    #[must_use]
    pub fn by_ref(&self, reference: &str) -> Option<&Location> {
        let id = reference.parse::<LocationId>().ok();
        self.sorted.iter().find(|location| location.code == reference || Some(location.id) == id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Location> {
        self.sorted.iter()
    }

    /// Those on which orders are placed.
    pub fn active(&self) -> impl Iterator<Item = &Location> {
        self.sorted.iter().filter(|location| location.active)
    }
}

/// Which level: a variant at a location. Its order is the order in which rows are locked.
pub type LevelKey = (VariantId, LocationId);

/// What a level is called: of a SKU at the location of a code.
#[must_use]
pub fn level_name(sku: &str, code: &str) -> String {
    format!("{sku}@{code}")
}

/// The stream of a level's events. It is the level's own, for that is what a command on stock locks: of one SKU at two places
/// each is changed without waiting for the other, and which comes first says nothing.
#[must_use]
pub fn level_stream(sku: &str, code: &str) -> String {
    format!("stock:{}", level_name(sku, code))
}

/// How many of a variant there are at a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Which variant.
    pub variant: VariantId,
    /// Where.
    pub location: LocationId,
    /// Pieces that lie there.
    pub on_hand: i64,
    /// Pieces of those that belong to orders.
    pub allocated: i64,
    /// Pieces of those that carts hold for a while.
    pub reserved: i64,
    /// Pieces of those that are never sold.
    pub safety: i64,
    /// Pieces of those that can not be sold: of lots that are blocked, recalled or expired.
    pub withheld: i64,
    /// Pieces that may be sold beyond what is there.
    pub beyond: i64,
    /// Rises with every change.
    pub version: i64,
    /// When it changed last.
    pub updated_at: Instant,
}

impl Level {
    /// Which level it is.
    #[must_use]
    pub const fn key(&self) -> LevelKey {
        (self.variant, self.location)
    }

    /// What is there to sell; below zero only by backorders and losses.
    #[must_use]
    pub const fn available(&self) -> i64 {
        self.on_hand - self.allocated - self.reserved - self.safety - self.withheld
    }
}

/// For whom stock is asked. What is kept back from them is not there for them: a channel's own safety stock, and what does not keep long
/// enough.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Selling {
    /// The channel that sells it; nothing is kept back from nobody.
    pub channel: Option<ChannelId>,
    /// Pieces of lots that end before this are not sold.
    pub keeps_until: Option<Instant>,
    /// When it is asked: pieces of lots that have ended by then are not sold, whether anybody has noted that or not.
    pub at: Option<Instant>,
}

impl Selling {
    /// Asked for nobody: nothing is kept back.
    pub const NOBODY: Self = Self { channel: None, keeps_until: None, at: None };

    /// The same for goods that keep until an instant at least.
    #[must_use]
    pub fn keeping(self, until: Option<Instant>) -> Self {
        Self { keeps_until: self.keeps_until.max(until), ..self }
    }

    /// What is sold in a channel to a customer of a group.
    #[must_use]
    pub fn of(channel: &Channel, group: Option<&str>, now: Instant) -> Self {
        let days = channel.settings.min_shelf_life.as_ref().map_or(0, |life| life.days_for(group));
        let keeps_until = (days > 0).then(|| now.plus_seconds(86_400 * days));
        Self { channel: Some(channel.id), keeps_until, at: Some(now) }
    }
}

/// What a line of a cart or order needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Where the line stands among the cart's, from 0: a refusal points there.
    pub place: usize,
    /// The line.
    pub line_no: i32,
    /// Which of the deliveries it is for, from 0: each is planned by itself.
    pub delivery: i32,
    /// The variant.
    pub variant: VariantId,
    /// How many.
    pub quantity: i64,
    /// Whether the variant's stock is counted at all.
    pub tracked: bool,
    /// Whether it may be sold beyond what is available.
    pub backorder: bool,
    /// What a location has to be able to do to give it.
    pub requires: Capabilities,
}

/// What a location gives to a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The line.
    pub line_no: i32,
    /// Which of the deliveries it is for, from 0.
    #[serde(default)]
    pub delivery: i32,
    /// The variant.
    pub variant: VariantId,
    /// Where from.
    pub location: LocationId,
    /// How many.
    pub quantity: i64,
    /// Whether it moves counters.
    pub tracked: bool,
}

/// What one command does to one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelChange {
    /// Which variant.
    pub variant: VariantId,
    /// Where.
    pub location: LocationId,
    /// Added to `on_hand`.
    pub on_hand: i64,
    /// Added to `allocated`.
    pub allocated: i64,
    /// Added to `reserved`.
    pub reserved: i64,
    /// The level must have at least this to sell before the change.
    pub guard: Option<i64>,
    /// Whether what may be sold beyond what is there does not count for the guard.
    pub shelf_only: bool,
    /// For whom it is taken under the guard: what is kept back from them does not count.
    pub selling: Selling,
}

impl LevelChange {
    /// A change of nothing yet.
    #[must_use]
    pub const fn of((variant, location): LevelKey) -> Self {
        Self {
            variant,
            location,
            on_hand: 0,
            allocated: 0,
            reserved: 0,
            guard: None,
            shelf_only: false,
            selling: Selling::NOBODY,
        }
    }

    /// Which level it changes.
    #[must_use]
    pub const fn key(&self) -> LevelKey {
        (self.variant, self.location)
    }
}

/// The changes of one command, one per level, in key order. What it takes under a guard is summed, and what it gives
/// back to a level counts as available to what it takes there.
#[must_use]
pub fn sum_changes(changes: impl IntoIterator<Item = LevelChange>) -> Vec<LevelChange> {
    let mut levels: BTreeMap<LevelKey, (LevelChange, i64)> = BTreeMap::new();
    for change in changes {
        let (sum, given_back) = levels.entry(change.key()).or_insert_with(|| (LevelChange::of(change.key()), 0));
        sum.on_hand += change.on_hand;
        sum.allocated += change.allocated;
        sum.reserved += change.reserved;
        sum.shelf_only |= change.shelf_only;
        if change.guard.is_some() {
            // A command takes for one; of what it takes of a level the strictest rule counts.
            sum.selling = change.selling.keeping(sum.selling.keeps_until);
        }
        match change.guard {
            Some(needed) => sum.guard = Some(sum.guard.unwrap_or_default() + needed),
            None => *given_back += (change.on_hand - change.allocated - change.reserved).max(0),
        }
    }
    let summed = levels.into_values();
    summed.map(|(sum, given_back)| LevelChange { guard: sum.guard.map(|needed| needed - given_back), ..sum }).collect()
}

crate::words! {
    /// Why a level moved.
    pub enum MovementKind {
        /// Somebody counted, received or wrote off.
        Adjustment = "adjustment",
        /// An order took it.
        Allocation = "allocation",
        /// An order gave it back before it was shipped.
        Deallocation = "deallocation",
        /// It left.
        Shipment = "shipment",
        /// A customer sent it back.
        Return = "return",
        /// Goods of an inbound shipment came.
        Receipt = "receipt",
        /// They left for another location.
        TransferOut = "transfer_out",
        /// They came from another location.
        TransferIn = "transfer_in",
        /// The shelf was counted.
        Count = "count",
        /// They were thrown away.
        Scrap = "scrap",
        /// Something booked before was wrong, and is taken back.
        Correction = "correction",
        /// The level was set to what its movements say.
        Repair = "repair",
        /// Another system said how many there were.
        Snapshot = "snapshot",
        /// Pieces that lie there were said to be of a lot, or not to be; neither number changes. `reason` names the lot and how many.
        LotChange = "lot_change",
        /// They were taken from the shelf for an order, or put back; neither number changes. `pieces` says how many.
        Pick = "pick",
    }
}

/// A movement about to be written.
#[derive(Debug, Clone)]
pub(super) struct NewMovement {
    pub key: LevelKey,
    pub kind: MovementKind,
    pub on_hand: i64,
    pub allocated: i64,
    pub reason: Option<String>,
    /// How many it is about, where neither number changes.
    pub pieces: Option<i64>,
    /// Which document moved it, where that is another than that of the command.
    pub reference: Option<String>,
}

/// What stands in every movement of one command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occasion<'a> {
    pub actor: &'a crate::kernel::Actor,
    pub reference: Option<&'a str>,
    pub occurred_at: Instant,
}
