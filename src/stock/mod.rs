//! Stock: where goods lie, how many there are, who has them reserved or allocated, and every movement that led there.
//!
//! The counters of a level are authoritative: whoever takes from it does so with one guarded statement over all the
//! levels of the command, as the last statement before the commit. `on_hand` and `allocated` are the sums of the
//! movements, `reserved` is the sum of the live reservations; [`check`] proves it. It owns locations, levels, movements
//! and reservations; it never prices, ships or talks to anybody.

mod adjust;
pub mod api;
mod available;
mod bins;
mod book;
mod calendar;
pub mod channel_safety;
mod check;
mod copies;
pub mod counts;
mod docked;
mod dto;
mod handling;
mod kept;
mod list;
pub mod lots;
mod market;
mod model;
pub mod outlook;
mod picks;
mod places;
mod plan;
pub mod repair;
mod replan;
mod seen;
mod service;
mod shortage;
mod site;
pub mod snapshots;
pub mod sourcing;
mod store;
mod told;
mod trace;
pub mod transfers;
pub mod watches;

pub use adjust::{Adjusted, AdjustedLot, Adjustment, Change, SafetyChange, adjust, event_schemas, place, set_safety};
pub use available::Available;
pub use bins::{Bin, bins_of};
pub use book::{Entry, book};
pub use calendar::{Calendar, DayCutOff, Weekday};
pub use check::{Finding, check};
pub use copies::{levels_after, levels_at, levels_of, lock_levels};
pub use docked::AtDocks;
pub use dto::LevelDocument;
pub use kept::{Kept, kept_back};
pub use lots::{Lot, Packed};
pub use market::Market;
pub use model::{
    Level, LevelChange, LevelKey, Location, LocationPatch, Locations, MovementKind, Need, NewLocation, Selling, Share,
    level_name, level_stream,
};
pub use outlook::Supply;
pub use picks::{Picked, note_picked};
pub use places::{create_location, keeps, location, update_location};
pub use replan::{Replaced, Replanned, reallocations, replan, replan_on_shelf};
pub use seen::last_seen;
pub use service::{
    Booking, allocate, availability, consume, deallocate, expire_due, extend, first_received, held, held_at, look,
    look_for, not_capable, purge_ended, receive_return, release, reserve, reserve_again, reserve_seen, ship,
};
pub use shortage::{SHORT, ShortLevel};
pub use site::{Degrees, LocationKind, Position, Site};
pub use trace::{LookedAt, Points, Sourcing, Spot, Why, awaited, held_lines, shelf_lives, shown, waits_at};
