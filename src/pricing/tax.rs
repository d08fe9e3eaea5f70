//! How a sale is taxed: at home, at a distance, to a business in another member state, as an export, or not at all. Pure.
//!
//! The articles are those of Directive 2006/112/EC. Monaco counts as France and the Isle of Man as the United Kingdom (Article 7); other
//! special territories are not told apart from their countries.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::{Step, Totals};
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

/// A channel's policy for what is sold together. Where nothing of it is shipped nothing leaves the European Union, whatever address
/// stands on the bill: it is no export, and needs a rate of the country that it goes to.
#[must_use]
pub fn policy_for(policy: TaxPolicy, shipped: bool) -> TaxPolicy {
    if shipped { policy } else { TaxPolicy { exports: Exports::Taxed, ..policy } }
}

impl Sale {
    /// How it is taxed.
    #[must_use]
    pub fn taxation(&self) -> Taxation {
        let (seller, destination) = (self.seller.for_vat(), self.destination.for_vat());
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
        let destination = sale.destination;
        let text = match self.treatment {
            // Without the number: it is personal, stands beside the totals as evidence, and is erased there.
            TaxTreatment::IntraCommunity => {
                format!("to a business in {destination}: it owes the tax (Articles 138, 196 of Directive 2006/112/EC)")
            }
            TaxTreatment::Export if sale.seller.for_vat().is_eu() => {
                format!("leaves the European Union for {destination} (Article 146 of Directive 2006/112/EC)")
            }
            TaxTreatment::Export => format!("leaves {} for {destination}", sale.seller),
            _ => "the customer is exempt".to_owned(),
        };
        Some(Step::new("untaxed", text))
    }
}

/// Takes VAT numbers out of the explanations of totals. True where one stood there: earlier versions wrote it into them.
pub fn forget_numbers(totals: &mut Totals) -> bool {
    let lines = totals.lines.iter_mut().map(|line| &mut line.explanation);
    let shipping = totals.shipping.iter_mut().chain(&mut totals.shipping_parts);
    let shipping = shipping.map(|shipping| &mut shipping.explanation);
    let mut told = false;
    for steps in lines.chain(shipping).chain([&mut totals.explanation]) {
        told |= forget_number(steps);
    }
    told
}

/// The same for one explanation.
pub fn forget_number(steps: &mut [Step]) -> bool {
    let mut told = false;
    for step in steps.iter_mut().filter(|step| step.code == "untaxed") {
        // `to a business in FR, FR40303265045: it owes …`
        let Some((whom, rest)) = step.text.split_once(": ") else { continue };
        let Some((place, _)) = whom.split_once(", ").filter(|(place, _)| place.starts_with("to a business in ")) else {
            continue;
        };
        (step.text, told) = (format!("{place}: {rest}"), true);
    }
    told
}
