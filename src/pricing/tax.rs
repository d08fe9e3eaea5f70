//! How a sale is taxed: at home, at a distance, to a business in another member state, as an export, or not at all. Pure.
//!
//! The articles are those of Directive 2006/112/EC. Special territories are not told apart from their countries.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::Step;
use crate::kernel::{
    Country, TaxPolicy, VatId,
    tax::{DistanceSales, Exports},
};

#[cfg(test)]
mod tests;

crate::words! {
    /// How a sale is taxed. More may come.
    pub enum TaxTreatment {
        /// By the rates of the seller's country.
        Domestic = "domestic",
        /// By the rates of the country of destination: a distance sale (Article 33 (a)), or one that the seller is registered for.
        Destination = "destination",
        /// By the rates of the seller's country, below the threshold of Article 59c.
        Origin = "origin",
        /// Not taxed: goods to a business in another member state, which owes the tax there (Articles 138 and 196).
        IntraCommunity = "intra_community",
        /// Not taxed: goods that leave the European Union (Article 146).
        Export = "export",
        /// Not taxed: the customer is exempt.
        Exempt = "exempt",
    }
}

/// Who sells to whom, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// The country of the legal entity that sells.
    pub seller: Country,
    /// Where it goes.
    pub destination: Country,
    /// The customer's VAT number, where it has been checked and counts.
    pub vat_id: Option<VatId>,
    /// Whether the customer is exempt.
    pub exempt: bool,
    /// How the channel taxes across borders.
    pub policy: TaxPolicy,
}

/// How a sale is taxed, and whose rates apply; `None` where none do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Taxation {
    /// How.
    pub treatment: TaxTreatment,
    /// The country whose rates apply; null where nothing is taxed.
    pub country: Option<Country>,
}

impl Sale {
    /// How it is taxed.
    #[must_use]
    pub fn taxation(&self) -> Taxation {
        let (seller, destination) = (self.seller, self.destination);
        let (treatment, country) = if self.exempt {
            (TaxTreatment::Exempt, None)
        } else if seller == destination {
            (TaxTreatment::Domestic, Some(seller))
        } else if seller.is_eu() && destination.is_eu() {
            // The number must be of another member state than the one that the goods leave (Article 138 (1)).
            let business = self.vat_id.as_ref().is_some_and(|id| id.is_eu() && id.country() != seller);
            match self.policy.distance_sales {
                _ if business => (TaxTreatment::IntraCommunity, None),
                DistanceSales::Destination => (TaxTreatment::Destination, Some(destination)),
                DistanceSales::Origin => (TaxTreatment::Origin, Some(seller)),
            }
        } else if self.policy.exports == Exports::Untaxed {
            (TaxTreatment::Export, None)
        } else {
            (TaxTreatment::Destination, Some(destination))
        };
        Taxation { treatment, country }
    }
}

impl Taxation {
    /// Why nothing is taxed; `None` where something is.
    #[must_use]
    pub fn untaxed(&self, sale: &Sale) -> Option<Step> {
        if self.country.is_some() {
            return None;
        }
        let text = match (self.treatment, &sale.vat_id) {
            (TaxTreatment::IntraCommunity, Some(id)) => {
                format!(
                    "to a business in {}, {id}: it owes the tax (Articles 138, 196 of Directive 2006/112/EC)",
                    sale.destination
                )
            }
            (TaxTreatment::Export, _) => {
                format!("leaves the European Union for {} (Article 146 of Directive 2006/112/EC)", sale.destination)
            }
            _ => "the customer is exempt".to_owned(),
        };
        Some(Step::new("untaxed", text))
    }
}
