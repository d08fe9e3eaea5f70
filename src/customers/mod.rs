//! Customers: who they are, where they live, what they have consented to, and which sign-in is theirs.
//!
//! It owns the tables `customers` and, in [`companies`], `companies`. Orders keep their own copy of a name and an address: nothing here changes them.

pub mod api;
mod book;
pub mod companies;
mod model;
mod phones;
mod service;
mod store;
mod told;

pub use book::{Address, BookChange, BookEntry, NewBookEntry};
pub use companies::{ApprovalNeed, CompanyRole};
pub(crate) use model::segments_of;
pub use model::{
    Consent, ConsentFlag, Customer, CustomerChange, CustomerRow, Login, NewCustomer, Profile, ProfileChange, Standing,
};
pub use phones::{note_phones, work};
pub use service::{
    By, ImportRow, SIGNED_IN, SignedIn, add_address, by_id, change_address, create, erase, find, find_and_hold,
    find_or_link, hold, import, lock, looked_for, named, number, remove_address, require, standing, update, with_phone,
};
pub use store::{after, by_ids, with_email};
pub use told::event_schemas;
