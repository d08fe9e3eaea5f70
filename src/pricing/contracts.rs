//! What a contract says beside its prices, and what of that is noted on what is ordered under it. Pure.

use std::{borrow::Borrow, collections::BTreeMap};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rates::{Audience, ListKind, PriceList};
use crate::{
    error::{Error, Result},
    kernel::{Currency, Money, ids::PriceListId, text::Text},
};

/// What is agreed in a contract beside its prices. It holds for as long as its price list is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"number": "RV-2026-017", "net_days": 45,
    "min_order": {"amount": "250.00", "currency": "EUR"}, "freight": "DAP Hamburg (Incoterms 2020)"}))]
pub struct ContractTerms {
    /// Its number, by which both sides know it.
    #[schema(value_type = String, min_length = 1, max_length = 50)]
    pub number: Text<50>,
    /// Until when what is ordered under it on account is paid: so many days from the day of the order, 0 to 365. It goes before what is
    /// agreed with the company.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 365)]
    pub net_days: Option<i64>,
    /// What the goods of an order under it cost at least, after discount, with or without tax as the channel has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_order: Option<Money>,
    /// Who bears the freight, to where: an Incoterm, or words. It is noted, and changes no price of shipping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub freight: Option<Text<200>>,
}

impl ContractTerms {
    /// That a list of prices can have them.
    ///
    /// # Errors
    /// `invalid_value`, with the place.
    pub(super) fn check(&self, (kind, audience): (ListKind, &Audience), currency: Currency) -> Result<()> {
        if kind != ListKind::Contract || *audience == Audience::All {
            let detail = "only a list of the kind `contract` for a company, a group or a customer has terms";
            return Err(Error::invalid("/terms", detail));
        }
        if self.net_days.is_some_and(|days| !(0..=365).contains(&days)) {
            return Err(Error::invalid("/terms/net_days", "expected a number from 0 to 365"));
        }
        match self.min_order {
            Some(least) if least.currency() != currency => {
                let detail = format!("expected an amount in {currency}, the currency of the list");
                Err(Error::invalid("/terms/min_order/currency", detail))
            }
            Some(least) if least.minor() < 1 => {
                Err(Error::invalid("/terms/min_order/amount", "expected an amount above zero"))
            }
            _ => Ok(()),
        }
    }
}

/// A contract under which something is ordered: what it said when the prices were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = OrderContract)]
pub struct Contract {
    /// The list that its prices are in. Not told to shoppers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_list_id: Option<PriceListId>,
    /// Its number, by which both sides know it.
    pub number: String,
    /// Until when what is ordered under it on account is paid: so many days from the day of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net_days: Option<i64>,
    /// What the goods of an order under it cost at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_order: Option<Money>,
    /// Who bears the freight, to where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freight: Option<String>,
    /// The lines that have its prices; of a bundle the bundle's.
    pub lines: Vec<i32>,
}

impl Contract {
    /// Leaves of contracts what a shopper may know: which price lists there are is the merchant's own affair.
    pub fn keep_public(all: &mut [Self]) {
        for one in all {
            one.price_list_id = None;
        }
    }
}

/// The contracts by which lines are priced, the one with the first of them first. `by_list` tells of lines from which contract list their
/// prices are.
#[must_use]
pub fn noted<L: Borrow<PriceList>>(lists: &[L], by_list: &[(i32, PriceListId)]) -> Vec<Contract> {
    let mut lines: BTreeMap<PriceListId, Vec<i32>> = BTreeMap::new();
    for (line_no, list) in by_list {
        lines.entry(*list).or_default().push(*line_no);
    }
    if lines.is_empty() {
        return Vec::new();
    }
    let contract = |list: &PriceList| {
        let (terms, lines) = (list.terms.as_ref()?, lines.remove(&list.id)?);
        Some(Contract {
            price_list_id: Some(list.id),
            number: terms.number.to_string(),
            net_days: terms.net_days,
            min_order: terms.min_order,
            freight: terms.freight.as_ref().map(ToString::to_string),
            lines,
        })
    };
    let mut found: Vec<Contract> = lists.iter().map(Borrow::borrow).filter_map(contract).collect();
    found.sort_by_key(|one| one.lines.iter().min().copied());
    found
}

/// The payment term that follows: the shortest of those that contracts say; `None` where none says any.
#[must_use]
pub fn net_days(contracts: &[Contract]) -> Option<i64> {
    contracts.iter().filter_map(|one| one.net_days).min()
}

/// The contract of which an order asks for more goods than these cost, that with the highest minimum.
#[must_use]
pub fn below_minimum(contracts: &[Contract], value: Money) -> Option<(&Contract, Money)> {
    let asked = contracts.iter().filter_map(|one| Some((one, one.min_order?)));
    let missed = asked.filter(|(_, least)| least.currency() != value.currency() || value.minor() < least.minor());
    missed.max_by_key(|(_, least)| least.minor())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Id;

    fn eur(minor: i64) -> Money {
        Money::from_minor(minor, "EUR".parse().unwrap())
    }

    fn contract(net_days: Option<i64>, least: Option<i64>) -> Contract {
        let (number, min_order) = ("C-1".to_owned(), least.map(eur));
        Contract { price_list_id: None, number, net_days, min_order, freight: None, lines: vec![1] }
    }

    #[test]
    fn the_shortest_term_follows_and_the_highest_minimum_is_asked() {
        let all = [contract(Some(45), Some(5_000)), contract(Some(14), None), contract(None, Some(9_000))];
        assert_eq!(net_days(&all), Some(14));
        assert_eq!(net_days(&[contract(None, None)]), None);
        assert_eq!(below_minimum(&all, eur(9_000)), None);
        assert_eq!(below_minimum(&all, eur(4_999)).map(|(_, least)| least), Some(eur(9_000)));
        assert_eq!(below_minimum(&all, eur(8_999)).map(|(_, least)| least), Some(eur(9_000)));
    }

    #[test]
    fn only_contracts_for_somebody_have_terms_in_their_own_currency() {
        let number = Text::new("C-1").unwrap();
        let terms = ContractTerms { number, net_days: Some(30), min_order: Some(eur(100)), freight: None };
        let (own, euro) = (Audience::Company(Id::new()), "EUR".parse().unwrap());
        terms.check((ListKind::Contract, &own), euro).unwrap();
        assert!(terms.check((ListKind::Contract, &Audience::All), euro).is_err());
        assert!(terms.check((ListKind::Base, &own), euro).is_err());
        assert!(terms.check((ListKind::Contract, &own), "USD".parse().unwrap()).is_err());
        let long = ContractTerms { net_days: Some(366), ..terms };
        assert!(long.check((ListKind::Contract, &own), euro).is_err());
    }
}
