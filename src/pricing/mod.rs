//! What things cost: price lists with their tiers, tax rates, shipping rates, and the totals of a cart or an order.
//!
//! The slice chooses which price and which rate apply, adds everything up to the minor unit and says why. It never
//! touches stock, carts or orders: they hand in what is to be priced and keep the [`model::Totals`] they get back.

pub mod engine;
pub mod model;
pub mod rates;
