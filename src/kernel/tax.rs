//! How a channel taxes what it sells, across borders and with its shipping.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

crate::words! {
    /// Whose tax consumers in other member states pay.
    pub enum DistanceSales {
        /// That of the country of destination, declared through the one-stop shop (Directive 2006/112/EC, Article 33 (a)).
        Destination = "destination",
        /// That of the seller's country: as long as what is sold so stays below the threshold of Article 59c.
        Origin = "origin",
    }
}

crate::words! {
    /// How what leaves the European Union is taxed.
    pub enum Exports {
        /// By the tax rates of the country of destination; where there is none, it is not sold.
        Taxed = "taxed",
        /// Not at all (Article 146).
        Untaxed = "untaxed",
    }
}

crate::words! {
    /// What becomes of prices that include tax where another tax, or none, is due than at home.
    pub enum InclusivePrices {
        /// They stay as they are: what is paid is the same everywhere.
        Fixed = "fixed",
        /// The tax at home is taken out of them, and the one that is due put in.
        Recomputed = "recomputed",
    }
}

crate::words! {
    /// Which tax shipping bears.
    pub enum ShippingTax {
        /// That of the tax class of the shipping method.
        OwnClass = "own_class",
        /// That of the main good: of the rate whose shipped goods have the largest net value; of several the highest.
        MainGood = "main_good",
        /// Those of the shipped goods: spread over their rates by value.
        Split = "split",
    }
}

/// How a channel taxes what it sells, across borders and with its shipping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaxPolicy {
    /// Whose tax consumers in other member states pay.
    #[serde(default = "destination")]
    #[schema(default = "destination")]
    pub distance_sales: DistanceSales,
    /// How what leaves the European Union is taxed.
    #[serde(default = "taxed")]
    #[schema(default = "taxed")]
    pub exports: Exports,
    /// What becomes of prices that include tax where another tax is due than at home.
    #[serde(default = "fixed")]
    #[schema(default = "fixed")]
    pub inclusive_prices: InclusivePrices,
    /// Which tax shipping bears. Absent where it is that of its own class.
    // What is not set is not written, so that processes that do not know of it yet read the channel.
    #[serde(default = "own_class", skip_serializing_if = "is_own_class")]
    #[schema(default = "own_class")]
    pub shipping: ShippingTax,
}

const fn destination() -> DistanceSales {
    DistanceSales::Destination
}
const fn taxed() -> Exports {
    Exports::Taxed
}
const fn fixed() -> InclusivePrices {
    InclusivePrices::Fixed
}
const fn own_class() -> ShippingTax {
    ShippingTax::OwnClass
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
const fn is_own_class(shipping: &ShippingTax) -> bool {
    matches!(shipping, ShippingTax::OwnClass)
}

impl Default for TaxPolicy {
    fn default() -> Self {
        Self { distance_sales: destination(), exports: taxed(), inclusive_prices: fixed(), shipping: own_class() }
    }
}
