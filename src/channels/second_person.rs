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
    /// What goes back of an order since pieces of it are cancelled, also by an amendment, all that went back so without a second person together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    pub cancellation: Vec<Money>,
    /// What goes back of an order with returns and claims that staff settle, in the same way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    pub return_refund: Vec<Money>,
    /// What goes back of what was paid too much for an order and kept, in the same way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    pub overpayment: Vec<Money>,
    /// What discounts on a draft take off, in the same way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    pub discount: Vec<Money>,
    /// What an offer for a quote takes off the prices that the customer was shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    pub quote: Vec<Money>,
    /// What one person issues as gift cards and store credit in a day (UTC). They are the merchant's, not a channel's: the lowest that any
    /// channel says counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    pub stored_value: Vec<Money>,
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
        let all = [
            ("refund", &self.refund),
            ("price_override", &self.price_override),
            ("cancellation", &self.cancellation),
            ("return_refund", &self.return_refund),
            ("overpayment", &self.overpayment),
            ("discount", &self.discount),
            ("quote", &self.quote),
            ("stored_value", &self.stored_value),
            ("bulk", &self.bulk),
        ];
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
