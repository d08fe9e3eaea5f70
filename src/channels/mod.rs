//! Legal entities and channels: which brand sells where, in which currencies, under whose name and tax rules.
//!
//! It owns the two tables and the publishable keys' issue; it never prices, taxes or sells anything.

pub mod api;
mod invoicing;
mod links;
mod model;
mod prepayment;
mod second_person;
mod service;
mod store;

pub use invoicing::{InvoiceSettings, Invoicing};
pub use links::PageAddress;
pub use model::{
    Channel, ChannelSettings, Directory, LegalEntity, LegalEntityPatch, NewChannel, NewLegalEntity, PAYMENT_METHODS,
    PublishableKey, Span, TimeZone,
};
pub use prepayment::{Overpaid, Prepayment, TermStep};
pub use second_person::SecondPerson;
pub use service::{
    ChannelIds, all_settings, check_named, create_channel, create_legal_entity, entity, settings, update_channel,
    update_legal_entity,
};
