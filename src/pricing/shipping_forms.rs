//! What the API takes and gives of shipping methods.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    forms::{ShippingRateForm, check_rates},
    quote::DeliveryDays,
    rates::{ShippingMethod, Transit},
};
use crate::{
    error::{Error, Result},
    kernel::{
        Country,
        ids::{ChannelId, LocationId, ShippingMethodId},
        patch::present,
        text::Text,
    },
};

fn check_days(days: Option<DeliveryDays>) -> Result<Option<(i32, i32)>> {
    let Some(DeliveryDays { min, max }) = days else { return Ok(None) };
    if !(0..=365).contains(&min) {
        return Err(Error::invalid("/delivery_days/min", "expected a number from 0 to 365"));
    }
    if !(min..=365).contains(&max) {
        return Err(Error::invalid("/delivery_days/max", "expected a number from min to 365"));
    }
    Ok(Some((min, max)))
}

/// The days until delivery in some countries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"countries": ["AT"], "min": 3, "max": 5}))]
pub struct TransitDays {
    /// Which countries.
    #[schema(min_items = 1, max_items = 300)]
    pub countries: Vec<Country>,
    /// The fewest days.
    #[schema(minimum = 0, maximum = 365)]
    pub min: i32,
    /// The most days.
    #[schema(minimum = 0, maximum = 365)]
    pub max: i32,
}

fn check_transit(transit: &[TransitDays]) -> Result<Vec<Transit>> {
    if transit.len() > 300 {
        return Err(Error::invalid("/transit_days", "expected at most 300"));
    }
    let mut named: std::collections::HashSet<Country> = std::collections::HashSet::new();
    let checked = transit.iter().enumerate().map(|(place, one)| {
        let wrong = |field: &str, detail: &str| Error::invalid(format!("/transit_days/{place}/{field}"), detail);
        if one.countries.is_empty() {
            return Err(wrong("countries", "expected at least one"));
        }
        if let Some(at) = one.countries.iter().position(|country| !named.insert(*country)) {
            return Err(wrong(&format!("countries/{at}"), "it is there twice"));
        }
        if !(0..=365).contains(&one.min) {
            return Err(wrong("min", "expected a number from 0 to 365"));
        }
        if !(one.min..=365).contains(&one.max) {
            return Err(wrong("max", "expected a number from min to 365"));
        }
        Ok(Transit { countries: one.countries.clone(), days: (one.min, one.max) })
    });
    checked.collect()
}

impl From<Transit> for TransitDays {
    fn from(Transit { countries, days: (min, max) }: Transit) -> Self {
        Self { countries, min, max }
    }
}

const fn yes() -> bool {
    true
}

/// A shipping method about to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"channel_id": "chan_01h455vb4pex5vsknk084sn02q", "code": "economy", "name": "Parcel, 5 days", "tax_class": "standard",
    "rates": [{"countries": ["DE"], "max_weight_grams": 30000, "price": {"amount": "4.90", "currency": "EUR"}}],
    "delivery_days": {"min": 2, "max": 3}}))]
pub struct NewShippingMethod {
    /// The channel that offers it.
    pub channel_id: ChannelId,
    /// A short name, unique within the channel.
    pub code: Text<50>,
    /// Its name for people.
    pub name: Text<200>,
    /// Whether it is offered now.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub active: bool,
    /// The tax class of its price.
    pub tax_class: Text<50>,
    /// What it costs, where and for what.
    #[schema(max_items = 200)]
    pub rates: Vec<ShippingRateForm>,
    /// The fewest and the most days until delivery, when they are known: working days, Monday to Friday, after it has left.
    pub delivery_days: Option<DeliveryDays>,
    /// The same of countries where it takes another time.
    #[serde(default)]
    #[schema(max_items = 300)]
    pub transit_days: Vec<TransitDays>,
    /// The location where the customer picks it up: its goods come from there alone, its address is where they go, and its country
    /// that of the rates and the tax. Leave it out where it is shipped to an address.
    #[schema(value_type = Option<String>)]
    pub pickup_location_id: Option<LocationId>,
}

impl NewShippingMethod {
    pub(super) fn check(&self, id: ShippingMethodId) -> Result<ShippingMethod> {
        Ok(ShippingMethod {
            id,
            code: self.code.to_string(),
            name: self.name.to_string(),
            channel: self.channel_id,
            active: self.active,
            tax_class: self.tax_class.to_string(),
            rates: check_rates(&self.rates)?,
            delivery_days: check_days(self.delivery_days)?,
            transit: check_transit(&self.transit_days)?,
            pickup: self.pickup_location_id,
        })
    }
}

/// What can be changed about a shipping method.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"active": false}))]
pub struct ShippingMethodPatch {
    /// Its name for people.
    pub name: Option<Text<200>>,
    /// Whether it is offered now.
    pub active: Option<bool>,
    /// The tax class of its price.
    pub tax_class: Option<Text<50>>,
    /// What it costs, whole.
    #[schema(max_items = 200)]
    pub rates: Option<Vec<ShippingRateForm>>,
    /// The fewest and the most days until delivery; null when they are not known.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<DeliveryDays>)]
    pub delivery_days: Option<Option<DeliveryDays>>,
    /// The same of countries where it takes another time, all of them.
    #[schema(max_items = 300)]
    pub transit_days: Option<Vec<TransitDays>>,
    /// The location where the customer picks it up; null where it is shipped to an address.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub pickup_location_id: Option<Option<LocationId>>,
}

impl ShippingMethodPatch {
    pub(super) fn apply(&self, method: &mut ShippingMethod) -> Result<()> {
        if let Some(name) = &self.name {
            method.name = name.to_string();
        }
        method.active = self.active.unwrap_or(method.active);
        if let Some(class) = &self.tax_class {
            method.tax_class = class.to_string();
        }
        if let Some(rates) = &self.rates {
            method.rates = check_rates(rates)?;
        }
        if let Some(days) = self.delivery_days {
            method.delivery_days = check_days(days)?;
        }
        if let Some(transit) = &self.transit_days {
            method.transit = check_transit(transit)?;
        }
        method.pickup = self.pickup_location_id.unwrap_or(method.pickup);
        Ok(())
    }
}

/// A way of shipping that a channel offers.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ShippingMethod)]
pub struct ShippingMethodView {
    /// Its id.
    pub id: ShippingMethodId,
    /// The channel that offers it.
    pub channel_id: ChannelId,
    /// A short name, unique within the channel.
    pub code: String,
    /// Its name for people.
    pub name: String,
    /// Whether it is offered now.
    pub active: bool,
    /// The tax class of its price.
    pub tax_class: String,
    /// What it costs, where and for what.
    pub rates: Vec<ShippingRateForm>,
    /// The fewest and the most days until delivery, when they are known.
    pub delivery_days: Option<DeliveryDays>,
    /// The same of countries where it takes another time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transit_days: Vec<TransitDays>,
    /// The location where the customer picks it up; absent where it is shipped to an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pickup_location_id: Option<LocationId>,
    /// Rises with every change.
    pub version: i64,
}

impl From<(ShippingMethod, i64)> for ShippingMethodView {
    fn from((method, version): (ShippingMethod, i64)) -> Self {
        let ShippingMethod { id, code, name, channel, active, tax_class, rates, delivery_days, transit, pickup } =
            method;
        let rates = rates.into_iter().map(ShippingRateForm::from).collect();
        let delivery_days = delivery_days.map(DeliveryDays::from);
        let transit_days = transit.into_iter().map(TransitDays::from).collect();
        Self {
            id,
            channel_id: channel,
            code,
            name,
            active,
            tax_class,
            rates,
            delivery_days,
            transit_days,
            pickup_location_id: pickup,
            version,
        }
    }
}
