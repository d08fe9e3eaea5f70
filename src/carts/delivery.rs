//! What a delivery is, of a cart and of an order.

use serde::{Deserialize, Serialize};

use super::promise::{MovedPromise, Promise};
use crate::{
    customers::Address,
    kernel::{Country, Instant, Money, Quantity, ids::LocationId},
    pricing::model::Totals,
};

/// Calls deliveries otherwise in what is reckoned for them: each by the key it has, and the one that it gets.
pub fn rename_in(totals: &mut Totals, names: &[(String, String)]) {
    for part in totals.shipping.iter_mut().chain(&mut totals.shipping_parts) {
        if let Some(key) = &mut part.delivery
            && let Some((_, name)) = names.iter().find(|(was, _)| was == key)
        {
            key.clone_from(name);
        }
        for step in part.explanation.iter_mut().filter(|step| step.code == "shipping_part") {
            // As it was told before: `home: 4.90 EUR by dhl`.
            let told =
                names.iter().find_map(|(was, name)| Some((name, step.text.strip_prefix(was)?.strip_prefix(": ")?)));
            if let Some((name, rest)) = told {
                step.text = format!("{name}: {rest}");
            }
        }
    }
}

/// A part of a cart or an order that goes to one address by one method.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Delivery {
    /// Its name within the cart or the order; absent where there is one delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Where to; where it is picked up, the address of that location.
    pub address: Option<Address>,
    /// The code of the shipping method.
    pub method: Option<String>,
    /// Its lines.
    pub line_nos: Vec<i32>,
    /// How many of each line it has, where there are several deliveries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<DeliveryLine>,
    /// Where it is picked up; absent where it is shipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pickup: Option<PickUp>,
    /// By when it arrives, as it was promised when the order was placed; absent where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<Promise>,
    /// By when it arrives as it is known now, where that was moved: goods come later, earlier or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_promise: Option<MovedPromise>,
    /// When it was given another method, address or pick-up place after the order was placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirected_at: Option<Instant>,
    /// What its shipping costs, where there are several deliveries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping: Option<DeliveryShipping>,
}

impl Delivery {
    /// The country that it goes to, or is picked up in.
    #[must_use]
    pub fn country(&self) -> Option<Country> {
        let address = || self.address.as_ref().map(|address| address.country);
        self.pickup.as_ref().map(|pickup| pickup.country).or_else(address)
    }

    /// By when it arrives as it is known now.
    #[must_use]
    pub fn promised_now(&self) -> Option<Promise> {
        self.current_promise.map_or(self.promise, |moved| moved.promise)
    }
}

/// What a delivery has of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeliveryLine {
    /// The line's number.
    pub line_no: i32,
    /// How many.
    pub quantity: i64,
}

/// What the shipping of one of several deliveries costs. `net + tax = gross`; those of all sum to the cart's or the order's
/// `shipping`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeliveryShipping {
    /// The price in the channel's tax mode, before discount.
    pub subtotal: Money,
    /// What discounts took off.
    pub discount: Money,
    /// Without tax.
    pub net: Money,
    /// The tax.
    pub tax: Money,
    /// With tax.
    pub gross: Money,
}

/// Where goods are picked up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PickUp {
    /// The location, which alone gives the goods.
    pub location_id: LocationId,
    /// Its code.
    pub location: String,
    /// Its name.
    pub name: String,
    /// Where it is: its taxes and shipping rates apply.
    pub country: Country,
    /// Its address, where it stands nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
}

/// A delivery beside the first, as a cart keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FurtherDelivery {
    /// Its name within the cart.
    pub key: String,
    /// Where to, unless it is picked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The code of the shipping method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Where it is picked up, by its method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pickup: Option<PickUp>,
    /// What is in it.
    pub lines: Vec<Portion>,
}

/// What a delivery has of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portion {
    /// The line's number.
    pub line_no: i32,
    /// How many; the whole line, however many it comes to, where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
}
