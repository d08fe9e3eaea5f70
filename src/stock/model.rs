//! What a location, a level, a need and a share are, and how changes of levels add up.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::handling::Handling;
use crate::{
    channels::TimeZone,
    error::{Error, Result},
    kernel::{
        Country, Instant, LocalTime,
        ids::{LocationId, VariantId},
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
    /// What is ordered before this time on the location's clock is begun the same working day (Monday to Friday), what comes
    /// later or on another day on the next one. `due_at` of a fulfilment order is the end of the working day, at the
    /// location, on which it is done.
    pub cut_off: LocalTime,
    /// How many working days it takes beside the one on which it is begun: 0 is the same day.
    pub handling_days: i64,
    /// The lowest is asked first when an order is placed.
    pub priority: i64,
    /// Whether orders are placed on it.
    pub active: bool,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
}

impl Location {
    pub(super) const fn handling(&self) -> Handling {
        Handling { cut_off: self.cut_off, handling_days: self.handling_days }
    }

    /// When it should have shipped what was ordered at an instant: at the end of a working day of its own.
    #[must_use]
    pub fn due_at(&self, placed_at: Instant) -> Instant {
        self.handling().due_at(self.time_zone.0, placed_at)
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
}

impl Locations {
    /// The locations, sorted.
    #[must_use]
    pub fn new(mut all: Vec<Location>) -> Self {
        all.sort_by(|a, b| (a.priority, &a.code).cmp(&(b.priority, &b.code)));
        Self { sorted: all }
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
            Err(_) => Handling::default().due_at(zone.0, placed_at),
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

    /// What can be sold; below zero only by backorders and losses.
    #[must_use]
    pub const fn available(&self) -> i64 {
        self.on_hand - self.allocated - self.reserved - self.safety
    }
}

/// What a line of a cart or order needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Where the line stands among the cart's, from 0: a refusal points there.
    pub place: usize,
    /// The line.
    pub line_no: i32,
    /// The variant.
    pub variant: VariantId,
    /// How many.
    pub quantity: i64,
    /// Whether the variant's stock is counted at all.
    pub tracked: bool,
    /// Whether it may be sold beyond what is available.
    pub backorder: bool,
}

/// What a location gives to a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The line.
    pub line_no: i32,
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
    /// The level must have at least this available before the change.
    pub guard: Option<i64>,
}

impl LevelChange {
    /// A change of nothing yet.
    #[must_use]
    pub const fn of((variant, location): LevelKey) -> Self {
        Self { variant, location, on_hand: 0, allocated: 0, reserved: 0, guard: None }
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
}

/// What stands in every movement of one command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occasion<'a> {
    pub actor: &'a crate::kernel::Actor,
    pub reference: Option<&'a str>,
    pub occurred_at: Instant,
}

/// How much of each level can be sold.
pub type Available = HashMap<LevelKey, i64>;
