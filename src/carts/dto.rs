//! What carts are asked with and answered by, beside [`super::CartView`].

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    model::{ForeignOrder, Source},
    promise::Promise,
};
use crate::{
    customers::Address,
    kernel::{
        Currency, Device, Instant, Per, Quantity, UnitPrice, VatId,
        ids::{CartId, CartLineId, ChannelId, CustomerId},
        patch::present,
        text::{Email, Sku, Text},
    },
    pricing::ShippingOption,
};

/// A line that is asked for.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"sku": "TEE-BLACK-M", "quantity": 2}))]
pub struct LineRequest {
    /// What.
    #[schema(value_type = String)]
    pub sku: Sku,
    /// How many.
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000)]
    pub quantity: Quantity,
    /// A price that was agreed instead of the list's; needs the scope `prices:override`.
    pub unit_price: Option<UnitPrice>,
    /// How many units that price is for.
    #[serde(default)]
    pub per: Per,
    /// Free data of the storefront, at most 2048 bytes. Lines with other data stay apart.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
}

/// A cart about to be made: empty, or with everything at once.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "lines": [{"sku": "TEE-BLACK-M", "quantity": 2}], "email": "ada@example.org", "device": "mobile",
    "shipping_address": {"name": "Ada Lovelace", "street1": "Invalidenstr. 117", "postcode": "10115", "city": "Berlin", "country": "DE"},
    "shipping_method": "standard"
}))]
pub struct CartRequest {
    /// The channel; only for staff, a storefront's key names it.
    #[schema(value_type = Option<String>)]
    pub channel_id: Option<ChannelId>,
    /// The customer who orders; only for staff who may read customers. The order is theirs then.
    #[schema(value_type = Option<String>)]
    pub customer_id: Option<CustomerId>,
    /// One of the channel's currencies; its first when absent.
    pub currency: Option<Currency>,
    /// What is in it, at most 1,000 lines.
    #[serde(default)]
    pub lines: Vec<LineRequest>,
    /// Who orders.
    pub email: Option<Email>,
    /// Whether they agree to messages about their cart.
    #[serde(default)]
    pub marketing_consent: bool,
    /// Who pays.
    pub billing_address: Option<Address>,
    /// The VAT number of a business, with its country's prefix. Its check digits must be right.
    #[schema(value_type = Option<VatId>)]
    pub vat_id: Option<VatId>,
    /// Where it goes.
    pub shipping_address: Option<Address>,
    /// The code of one of the cart's shipping-options.
    #[schema(value_type = Option<String>)]
    pub shipping_method: Option<Text<50>>,
    /// One of the cart's payment-options, for promotions that ask how it is paid.
    #[schema(value_type = Option<String>)]
    pub payment_method: Option<Text<50>>,
    /// The company's own number of the order; where the company asks for one, the cart is not ordered without.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    pub purchase_order: Option<Text<50>>,
    /// The codes of coupons, at most 10, in any case, with or without dashes.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 10)]
    pub coupons: Vec<Text<60>>,
    /// One of the channel's locales.
    #[schema(value_type = Option<String>)]
    pub locale: Option<Text<35>>,
    /// Where the visitor came from.
    pub source: Option<Source>,
    /// What the storefront runs on; `desktop` when absent.
    pub device: Option<Device>,
    /// Free data of the storefront, at most 8192 bytes.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// When it was ordered, in the past; needs the scope `history:write`.
    pub occurred_at: Option<Instant>,
    /// What a foreign system calls the order: only one order ever gets the same name (`duplicate`). It is found by the
    /// name then, alone or as `system:value`. Needs the scope `history:write`.
    pub reference: Option<ForeignOrder>,
}

/// A change of a cart: what is absent stays, `null` clears.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ada@example.org", "shipping_method": "standard"}))]
pub struct CartPatch {
    /// The customer who orders; only for staff who may read customers.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub customer_id: Option<Option<CustomerId>>,
    /// The lines, whole: what is not named goes. Lines that stay keep their ids.
    pub lines: Option<Vec<LineRequest>>,
    /// Who orders.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Email>)]
    pub email: Option<Option<Email>>,
    /// Whether they agree to messages about their cart.
    pub marketing_consent: Option<bool>,
    /// Who pays.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Address>)]
    pub billing_address: Option<Option<Address>>,
    /// The VAT number of a business, with its country's prefix. Its check digits must be right.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<VatId>)]
    pub vat_id: Option<Option<VatId>>,
    /// Where it goes.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Address>)]
    pub shipping_address: Option<Option<Address>>,
    /// The code of one of the cart's shipping-options.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub shipping_method: Option<Option<Text<50>>>,
    /// One of the cart's payment-options, for promotions that ask how it is paid. Where completing names another and that changes
    /// the total, it is refused with `total_changed`.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub payment_method: Option<Option<Text<50>>>,
    /// The company's own number of the order.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    pub purchase_order: Option<Option<Text<50>>>,
    /// The codes of coupons, whole: what is not named goes.
    #[schema(value_type = Option<Vec<String>>, max_items = 10)]
    pub coupons: Option<Vec<Text<60>>>,
    /// Whether the customer's store credit pays what gift cards leave. Staff need `payments:write` for all channels to say so.
    pub store_credit: Option<bool>,
    /// One of the channel's locales.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub locale: Option<Option<Text<35>>>,
    /// Where the visitor came from.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Source>)]
    pub source: Option<Option<Source>>,
    /// What the storefront runs on.
    pub device: Option<Device>,
    /// Free data of the storefront, at most 8192 bytes, whole.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Option<Map<String, Value>>>,
}

/// The new quantity of a line; 0 removes it.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"quantity": 3}))]
pub struct LinePatch {
    /// How many. Where the price was agreed by staff, another quantity than 0 needs `prices:override`. A line that a
    /// promotion gives takes 0 only: the buyer does without it.
    #[schema(value_type = i64, minimum = 0, maximum = 1_000_000_000)]
    pub quantity: Quantity,
}

/// A coupon for a cart.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"code": "welcome-10"}))]
pub struct CouponRequest {
    /// Its code, in any case, with or without dashes.
    #[schema(value_type = String, min_length = 1, max_length = 60)]
    pub code: Text<60>,
}

/// What a delivery is to have of a line, which is named by `line_id` or by `line_no`.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CartDeliveryLine, example = json!({"line_no": 1, "quantity": 1}))]
pub struct DeliveryLineRequest {
    /// The line's id.
    #[schema(value_type = Option<String>)]
    pub line_id: Option<CartLineId>,
    /// The line's number.
    pub line_no: Option<i32>,
    /// How many of it; the whole line, however many it comes to, where this is left out.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1_000_000_000)]
    pub quantity: Option<Quantity>,
}

/// A delivery that a cart is to have.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CartDelivery, example = json!({"key": "home"}))]
pub struct DeliveryRequest {
    /// Its name within the cart.
    #[schema(value_type = String, min_length = 1, max_length = 50)]
    pub key: Text<50>,
    /// Where to. Leave it out where it is picked up: the method says where. The first delivery keeps the cart's where it is left out.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Address>)]
    pub address: Option<Option<Address>>,
    /// The code of one of the channel's shipping methods. The first delivery keeps the cart's where it is left out.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub method: Option<Option<Text<50>>>,
    /// What is in it. The first delivery has whatever the others do not name, so it needs not name anything.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub lines: Vec<DeliveryLineRequest>,
}

/// The deliveries of a cart, all of them.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CartDeliveries, example = json!({"deliveries": [
    {"key": "home", "method": "standard"}, {"key": "counter", "method": "pick-up", "lines": [{"line_no": 1, "quantity": 1}]},
]}))]
pub struct DeliveriesRequest {
    /// At most 10, the main one first; none goes back to one delivery.
    #[schema(max_items = 10)]
    pub deliveries: Vec<DeliveryRequest>,
}

/// Which cart goes into this one.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from": "cart_01h455vb4pex5vsknk084sn02q", "from_token": "Zm9yLWV4YW1wbGUtb25seS0zMi1jaGFy"}))]
pub struct MergeRequest {
    /// The cart that ends, by the `id` that making it has answered.
    #[schema(value_type = String)]
    pub from: CartId,
    /// Its token, when it is a guest's: `token` of that answer.
    #[schema(value_type = Option<String>)]
    pub from_token: Option<Text<100>>,
}

/// The shipping methods of a cart.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ShippingOptions {
    /// Each with its price, or the reason why it is not available; of several deliveries, those of the first that has anything.
    pub items: Vec<ShippingChoice>,
    /// The same of each delivery that has anything, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<DeliveryOptions>,
}

/// The shipping methods of one of a cart's deliveries.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DeliveryOptions {
    /// The delivery's key.
    pub key: String,
    /// Each with its price, or the reason why it is not available.
    pub items: Vec<ShippingChoice>,
}

/// A shipping method of a cart, and by when its goods arrive by it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ShippingChoice {
    /// The method.
    #[serde(flatten)]
    pub option: ShippingOption,
    /// By when the goods arrive, ordered now; absent where nobody knows how long the method takes, or when the goods come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Promise>,
}

/// A payment method, or the reason why it is not available.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PaymentOption {
    /// Its code, for `payment.method`.
    pub code: String,
    /// Whether it can be used now.
    pub available: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The payment methods of a cart.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PaymentOptions {
    /// Each with whether it can be used.
    pub items: Vec<PaymentOption>,
}
