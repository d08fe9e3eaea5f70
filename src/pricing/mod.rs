//! What things cost: price lists with their tiers, tax rates, shipping rates, and the totals of a cart or an order.
//!
//! The slice chooses which price and which rate apply, adds everything up to the minor unit and says why. It never
//! touches stock, carts or orders: they hand in what is to be priced and keep the [`model::Totals`] they get back. Nor
//! do its prices know channels: whoever asks hands in what the channel says ([`QuoteRequest`]); only a list of what was done on
//! a day asks them which day that is.

mod adjust;
pub mod api;
pub mod change;
pub mod contracts;
pub mod engine;
pub mod filed;
mod forms;
mod history;
mod import;
pub mod model;
pub mod prior;
pub mod promotions;
mod quote;
pub mod rates;
mod reductions;
mod sale_prices;
mod service;
mod shipped_rates;
mod shipping_forms;
mod simulate;
mod store;
pub mod tax;
mod taxed;
pub mod vat;

pub use change::Change;
pub use contracts::{Contract, ContractTerms};
pub use forms::{
    Fraction, NewPriceList, NewTaxRate, PriceChange, PriceEntry, PriceKey, PriceListPatch, PricesChanged,
    ShippingRateForm,
};
pub use history::By;
pub use import::{ImportedPrice, PriceRowImport, import};
pub use promotions::{Described, Goods, Percent, Set, work};
pub use quote::{
    Consider, DeliveryDays, GiftGoods, GiftRequest, Given, LineRequest, PartRequest, Quote, QuoteProblem, QuoteRequest,
    Repriced, Rules, Shipped, ShippingOption, ShippingRequest, Sold, SoldLine, grant, quote, revoke, shipping_options,
    sort_options,
};
pub use reductions::{Article, reductions};
pub use service::{
    Market, Markets, change_prices, create_price_list, create_shipping_method, create_tax_rate, delete_shipping_method,
    delete_tax_rate, hold_lists, may_change, price_lists, priced_in, prices, update_price_list, update_shipping_method,
};
pub use shipping_forms::{NewShippingMethod, ShippingMethodPatch, TransitDays};
pub use simulate::{Ordered, left};
pub use tax::TaxTreatment;
pub use taxed::Taxed;
pub use vat::CheckedVatId;
