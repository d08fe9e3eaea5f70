//! Orders: what was sold, to whom, at what price, and how far it has come.
//!
//! It owns orders, their lines, by what they are found and what foreign systems call them. It never picks stock and never talks to a payment
//! provider; the slices that do change an order through [`lock`] and [`save`].

mod access;
mod amended;
pub mod api;
mod bundle;
mod came_back;
mod contact_store;
mod copies;
mod document;
mod erase;
mod found;
pub mod holds;
mod invoicing;
mod model;
pub mod notes;
mod search;
mod service;
pub mod standing;
mod store;

pub use access::{OrderLink, OrderLinks, opened};
pub use amended::{AddedLine, Amended, Differences, RateChange, amend, differences};
pub use bundle::{BundlePart, OrderBundle, whole_bundles};
pub use came_back::{CAME_BACK, came_back_later};
pub use copies::{OrderHead, by_ids, heads, page_after, shelf_lives};
pub use document::{Action, ExternalRef, LineDetails, OrderDetails, OrderDocument, OrderLine, PlacedLine};
pub use erase::{Owned, Person, erase, event_schemas, of_person};
pub use found::{note_contacts, work};
pub use holds::{Block, OrderHold};
pub use invoicing::{INVOICE, invoice_later, is_invoiced_at_once, set_invoicing};
pub use model::{
    Command, FulfilmentStatus, LineMove, MoneyCounts, OrderState, PaymentStatus, Quantities, Statuses, derive, mermaid,
};
pub use search::{OrderQuery, OrderSummary, found};
pub use service::{
    FOREIGN_ORDER, NewOrder, Placing, add_ref, after, credit_shipping, document, drop_held_ref, event, find,
    give_shipping, keep_ref, known_already, known_ref, lock, of_cart, place, prepare, redirected, resolve, save,
    save_deliveries, sold,
};
pub use store::waiting_unpaid;
