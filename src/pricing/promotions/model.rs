//! What a promotion is: whom it is for, what it is for, what it gives, how it stands with others, and how much of it there is.
//! Pure. The shapes are those of the API, and are stored as they came.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    error::{Error, Result},
    kernel::{
        Country, Device, Instant, Money,
        ids::{ChannelId, CompanyId, PromotionId},
        text::{Sku, Text},
    },
};

crate::words! {
    /// Where a promotion stands.
    pub enum PromotionState {
        /// It is being planned: it can be simulated, and no cart gets it.
        Draft = "draft",
        /// Carts get it while it is valid.
        Active = "active",
        /// No cart gets it until it is activated again.
        Paused = "paused",
        /// It is over for good.
        Ended = "ended",
    }
}

crate::words! {
    /// What happens to a promotion.
    pub enum PromotionCommand {
        /// Carts get it from now on, or from its beginning.
        Activate = "activate",
        /// No cart gets it for a while.
        Pause = "pause",
        /// It is over.
        End = "end",
    }
}

impl PromotionState {
    /// The transition table.
    ///
    /// | | activate | pause | end |
    /// |---|---|---|---|
    /// | draft | active | – | ended |
    /// | active | active | paused | ended |
    /// | paused | active | paused | ended |
    /// | ended | – | – | ended |
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn apply(self, command: PromotionCommand) -> Result<Self> {
        use PromotionCommand as C;
        match (self, command) {
            (Self::Draft | Self::Active | Self::Paused, C::Activate) => Ok(Self::Active),
            (Self::Active | Self::Paused, C::Pause) => Ok(Self::Paused),
            (_, C::End) => Ok(Self::Ended),
            _ => Err(Error::conflict(format!("a promotion that is {self} takes no {command}"))),
        }
    }
}

/// The transition table as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> draft\n");
    for from in PromotionState::ALL {
        for command in PromotionCommand::ALL {
            if let Ok(to) = from.apply(*command)
                && to != *from
            {
                text.push_str(&format!("    {from} --> {to}: {command}\n"));
            }
        }
    }
    text
}

/// So many per cent: more than 0, at most 100, with at most four digits behind the point; travels as a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(Decimal);

impl Percent {
    /// All of it.
    pub const ALL: Self = Self(Decimal::ONE_HUNDRED);

    /// The figure, such as 12.5.
    #[must_use]
    pub const fn value(self) -> Decimal {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let plain = text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let whole = plain && !text.starts_with('.') && !text.ends_with('.');
        let value = Decimal::from_str_exact(Some(text).filter(|_| whole)?).ok()?.normalize();
        (value > Decimal::ZERO && value <= Decimal::ONE_HUNDRED && value.scale() <= 4).then_some(Self(value))
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let expected = "expected per cent such as \"12.5\": more than 0, at most 100, with at most four digits";
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(expected))
    }
}

impl utoipa::PartialSchema for Percent {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some(r"^[0-9]{1,3}(\.[0-9]{1,4})?$"))
            .examples([Value::from("20")])
            .into()
    }
}
impl ToSchema for Percent {}

/// Goods by their SKUs and by what is noted about them. Where both are named, both must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"attributes": {"category": ["mugs", "cups"]}}))]
pub struct Goods {
    /// One of these SKUs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, max_items = 1000)]
    pub skus: Vec<Sku>,
    /// For each attribute one of these values: it is the variant's own, or among them where that is a list. A category is an
    /// attribute: `{"category": ["mugs"]}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, Vec<String>>)]
    pub attributes: BTreeMap<String, Vec<Text<100>>>,
}

/// Which lines a promotion is for. Nothing named is all of them. Lines whose price was agreed with somebody are never reduced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Goods that it is for: those that fit one of the entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    pub include: Vec<Goods>,
    /// Goods that it is not for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    pub exclude: Vec<Goods>,
    /// Only goods whose piece costs at least so much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_unit_price: Option<Money>,
    /// Only goods whose piece costs at most so much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unit_price: Option<Money>,
    /// Leaves out goods whose price is that of a `sale` list.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full_price_only: bool,
}

/// Where visitors come from: what is named must be the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"utm_campaign": "black-friday"}))]
pub struct Origin {
    /// `utm_source`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utm_source: Option<Text<200>>,
    /// `utm_medium`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utm_medium: Option<Text<200>>,
    /// `utm_campaign`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utm_campaign: Option<Text<200>>,
    /// The affiliate's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affiliate: Option<Text<100>>,
}

/// What must be so for a promotion to apply. Nothing named is no condition; all that is named must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// A coupon of it must be on the cart.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub coupon: bool,
    /// Only within so many hours of its beginning (`valid_from`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 8784)]
    pub first_hours: Option<u32>,
    /// One of these devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// It is delivered to one of these countries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub countries: Vec<Country>,
    /// The customer belongs to one of these groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, max_items = 50)]
    pub customer_groups: Vec<Text<50>>,
    /// The customer is in one of these segments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, max_items = 50)]
    pub segments: Vec<Text<50>>,
    /// The customer buys for one of these companies, which is active.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    pub companies: Vec<CompanyId>,
    /// It is the customer's first order, by their account or their e-mail address. They get it once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_order: bool,
    /// All goods cost at least so much, before promotions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_value: Option<Money>,
    /// All goods cost at most so much, before promotions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_value: Option<Money>,
    /// At least so many pieces of the goods that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub min_quantity: Option<i64>,
    /// One of these payment methods is chosen for the cart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, max_items = 50)]
    pub payment_methods: Vec<Text<50>>,
    /// They come from one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    pub origins: Vec<Origin>,
    /// Which lines it is for.
    #[serde(default)]
    pub goods: Selection,
}

crate::words! {
    /// What a reduction is taken off.
    pub enum Target {
        /// Each line of the goods.
        Lines = "lines",
        /// The goods together: spread over their lines.
        Order = "order",
        /// Shipping.
        Shipping = "shipping",
    }
}

/// So much off: an amount or per cent, one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Off {
    /// So many per cent.
    Percent(Percent),
    /// So much.
    Amount(Money),
}

/// A step of a promotion that gives more the more is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpendTier {
    /// From this value of the goods on.
    pub from: Money,
    /// What is taken off the goods together.
    pub off: Off,
}

/// A step of a promotion that gives more the more pieces are bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuantityTier {
    /// From so many pieces of the goods on.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub from: i64,
    /// What is taken off the goods together.
    pub off: Off,
}

/// What must be in a bundle, so many pieces of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BundleItem {
    /// Which goods.
    pub goods: Goods,
    /// How many pieces.
    #[schema(minimum = 1, maximum = 1000)]
    pub quantity: i64,
}

/// What a promotion gives. Amounts are with or without tax as the channel has its prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Gift {
    /// Per cent off. 100 on `shipping` is free shipping.
    Percentage {
        /// How many.
        percent: Percent,
        /// Off what.
        on: Target,
    },
    /// An amount off: off each line (at most what it costs), off the goods together, or off shipping.
    Amount {
        /// How much.
        amount: Money,
        /// Off what.
        on: Target,
    },
    /// An amount off each piece.
    AmountEach {
        /// How much.
        amount: Money,
    },
    /// Each piece costs so much, where it costs more.
    FixedPrice {
        /// What a piece costs.
        price: Money,
    },
    /// Shipping costs so much, where it costs more.
    FixedShipping {
        /// What shipping costs.
        price: Money,
    },
    /// More off the more is spent: the highest tier that is reached.
    SpendTiers {
        /// The tiers, each from more on than the one before.
        #[schema(min_items = 1, max_items = 20)]
        tiers: Vec<SpendTier>,
    },
    /// More off the more pieces: the highest tier that is reached.
    QuantityTiers {
        /// The tiers, each from more on than the one before.
        #[schema(min_items = 1, max_items = 20)]
        tiers: Vec<QuantityTier>,
    },
    /// Of every `buy` + `get` pieces, dearest first, the `get` cheapest are reduced. Where `of` is named, for every `buy` pieces
    /// of the goods the `get` cheapest pieces of those are reduced; what is among those does not count as bought.
    BuyGet {
        /// How many are paid.
        #[schema(minimum = 1, maximum = 1000)]
        buy: i64,
        /// How many are reduced.
        #[schema(minimum = 1, maximum = 1000)]
        get: i64,
        /// By how much: 100 is free.
        percent: Percent,
        /// Which goods are reduced, where these are others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<Goods>,
        /// So many times at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(minimum = 1, maximum = 1_000_000)]
        times: Option<i64>,
    },
    /// These together cost so much: as many times as they are there.
    Bundle {
        /// What must be there.
        #[schema(min_items = 1, max_items = 20)]
        items: Vec<BundleItem>,
        /// What they cost together.
        price: Money,
        /// So many times at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(minimum = 1, maximum = 1_000_000)]
        times: Option<i64>,
    },
    /// Goods for nothing. They are a line of their own on the cart, at their price with all of it taken off, put there and taken away by
    /// pricing alone; as long as they can be had.
    Goods {
        /// What.
        #[schema(value_type = String, example = "MUG-KONTOR")]
        sku: Sku,
        /// How many pieces.
        #[schema(minimum = 1, maximum = 1000)]
        quantity: i64,
        /// So many for every so many pieces of the goods that it is for; left out, once for the cart.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(minimum = 1, maximum = 1_000_000_000)]
        every: Option<i64>,
        /// So many times at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(minimum = 1, maximum = 1_000_000)]
        times: Option<i64>,
    },
}

impl Gift {
    /// The SKU of the goods that it gives, if it gives any.
    #[must_use]
    pub fn goods(&self) -> Option<&str> {
        match self {
            Self::Goods { sku, .. } => Some(sku),
            _ => None,
        }
    }

    /// Whether it is about shipping.
    #[must_use]
    pub const fn is_on_shipping(&self) -> bool {
        matches!(
            self,
            Self::Percentage { on: Target::Shipping, .. }
                | Self::Amount { on: Target::Shipping, .. }
                | Self::FixedShipping { .. }
        )
    }
}

/// How a promotion stands with others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Stacking {
    /// Of the promotions of a group only the one applies that takes the most off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    pub group: Option<Text<50>>,
    /// Whether it goes with others on the same line. One that does not reduces only lines (or the shipping) that no other has
    /// reduced, and none reduces them after it.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub combinable: bool,
    /// All promotions together leave at least so many per cent of the price of a line it reduces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Percent>,
    /// All promotions together leave at least what a line that it reduces has cost the merchant, by the price lists of the kind
    /// `cost`, which are with or without tax as the channel's prices. Goods whose cost is not known are not reduced by it. A bundle has
    /// cost what its components have together, unless a list says what it has itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_below_cost: bool,
}

const fn yes() -> bool {
    true
}

impl Default for Stacking {
    fn default() -> Self {
        Self { group: None, combinable: true, floor: None, not_below_cost: false }
    }
}

/// How much of a promotion there is. They are exact however many order at once: what a checkout reserves is taken, what an order
/// consumes stays taken, and comes back when the reservation ends or the whole order is cancelled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// So many orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub uses: Option<i64>,
    /// So many orders of one customer: of their account, and of their e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub uses_per_customer: Option<i64>,
    /// So many reduced pieces: while stocks last. The last order gets what is left of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub units: Option<i64>,
    /// So much taken off altogether.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Money>,
}

impl Limits {
    /// Whether any of it is counted.
    #[must_use]
    pub const fn any(&self) -> bool {
        self.uses.is_some() || self.uses_per_customer.is_some() || self.units.is_some() || self.budget.is_some()
    }
}

/// What a promotion says, beside its name and validity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rule {
    /// What must be so.
    #[serde(default)]
    pub conditions: Conditions,
    /// What it gives.
    pub gift: Gift,
    /// How it stands with others.
    #[serde(default)]
    pub stacking: Stacking,
    /// How much of it there is.
    #[serde(default)]
    pub limits: Limits,
}

/// A promotion.
#[derive(Debug, Clone, PartialEq)]
pub struct Promotion {
    /// Its id.
    pub id: PromotionId,
    /// A short unique name.
    pub code: String,
    /// Its name for people; customers see it.
    pub name: String,
    /// Where it stands.
    pub state: PromotionState,
    /// The one channel it is for; `None` is all of them.
    pub channel: Option<ChannelId>,
    /// The higher one applies first.
    pub priority: i32,
    /// From when on it is valid.
    pub valid_from: Option<Instant>,
    /// Until when it is valid, exclusive.
    pub valid_until: Option<Instant>,
    /// What it says.
    pub rule: Rule,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl Promotion {
    /// How many orders of one customer get it.
    #[must_use]
    pub fn uses_per_customer(&self) -> Option<i64> {
        let first_order = self.rule.conditions.first_order.then_some(1);
        self.rule.limits.uses_per_customer.map(|most| first_order.unwrap_or(most).min(most)).or(first_order)
    }

    /// Whether its uses are counted.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.rule.limits.any() || self.rule.conditions.first_order
    }

    /// Whether it is kept for a cart's checkout: its limits are, and the uses of coupons.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.is_limited() || self.rule.conditions.coupon
    }
}
