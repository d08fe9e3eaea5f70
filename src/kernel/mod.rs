//! The vocabulary every room shares: ids, money, quantities, instants, countries, actors.
//!
//! The kernel knows nothing of databases, HTTP or any slice. Everything in it is pure.

pub mod action;
pub mod actor;
pub mod capability;
pub mod clock;
pub mod country;
pub mod device;
pub mod gs1;
pub mod ids;
pub mod local;
pub mod money;
pub mod patch;
pub mod per;
pub mod quantity;
pub mod rounding;
pub mod stored;
pub mod tax;
pub mod text;
pub mod vat_id;
pub mod waiting;
pub mod warranty;
pub mod words;

pub use action::Action;
pub use actor::{Actor, Scope};
pub use capability::{Capabilities, Capability};
pub use clock::{Clock, Instant};
pub use country::Country;
pub use device::Device;
pub use ids::Id;
pub use local::{LocalTime, Moment};
pub use money::{Currency, Money, Rounding, UnitPrice};
pub use per::{Per, PricePer};
pub use quantity::{Quantity, take_up_to};
pub use rounding::{RoundingPoint, RoundingRule};
pub use tax::TaxPolicy;
pub use vat_id::VatId;
pub use waiting::Waiting;
