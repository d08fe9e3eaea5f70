//! From which amounts on one person does not decide alone. Pure.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::Money,
};

/// Above which amounts a second person approves what staff and clients do: each list has one amount for each currency; of a currency that is
/// not there nobody has to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"refund": [{"amount": "200.00", "currency": "EUR"}], "price_override": [{"amount": "50.00", "currency": "EUR"}],
    "bulk": [{"amount": "5000.00", "currency": "EUR"}]}))]
pub struct SecondPerson {
    /// What is given back of an order beside any return, all that one person has given back of it together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    pub refund: Vec<Money>,
    /// What is given away by agreed prices in the amendments of an order, all that one person has confirmed together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    pub price_override: Vec<Money>,
    /// What the channel's orders cost that are cancelled at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    pub bulk: Vec<Money>,
}

impl SecondPerson {
    /// What the schema can not say.
    ///
    /// # Errors
    /// `invalid_value`, with the pointer to the field in a body that has them under `settings`.
    pub fn check(&self) -> Result<()> {
        let all = [("refund", &self.refund), ("price_override", &self.price_override), ("bulk", &self.bulk)];
        for (field, amounts) in all {
            let wrong = |place: usize, detail: &str| {
                Err(Error::invalid(format!("/settings/second_person/{field}/{place}"), detail))
            };
            if amounts.len() > 20 {
                return wrong(20, "expected at most 20 amounts");
            }
            for (place, one) in amounts.iter().enumerate() {
                if one.minor() < 0 {
                    return wrong(place, "expected an amount of 0 or more");
                }
                if amounts.iter().take(place).any(|other| other.currency() == one.currency()) {
                    return wrong(place, "the currency is there twice");
                }
            }
        }
        Ok(())
    }
}
