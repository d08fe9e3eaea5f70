//! What goes into the engine and what comes out. Totals are kept as JSON with carts and orders, and the API shows them.
//!
//! Rates are fractions (`0.19`) and travel as decimal strings; amounts are [`Money`] in the one currency of the input.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use super::tax::TaxTreatment;
use crate::kernel::{
    Currency, Money, Per, PricePer, Quantity, UnitPrice,
    ids::{CompanyId, CustomerId, PromotionId},
    tax::ShippingTax,
};
pub use crate::kernel::{RoundingPoint, RoundingRule};

/// Who buys, as far as prices and promotions ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Buyer {
    /// The customer, when they are known.
    pub customer: Option<CustomerId>,
    /// The company that they buy for.
    pub company: Option<CompanyId>,
    /// The group they belong to.
    pub group: Option<String>,
    /// The segments that they are in.
    pub segments: Vec<String>,
    /// Whether they have not ordered before, by their account or their e-mail address.
    pub first_order: bool,
}

impl Buyer {
    /// Somebody of whom nothing is known.
    pub const ANYBODY: &Self =
        &Self { customer: None, company: None, group: None, segments: Vec::new(), first_order: false };
}

/// One step of an explanation: why an amount is what it is, or why something did not apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ExplanationStep)]
pub struct Step {
    /// A stable word such as `price_list`, `tax_rate`, `shipping_rate`, `adjustment`, `passed_over` or `rounding`.
    #[schema(example = "price_list")]
    pub code: String,
    /// The same for people; its wording may change.
    #[schema(example = "list retail, from 1: 12.50 EUR")]
    pub text: String,
}

impl Step {
    /// A step.
    pub fn new(code: &str, text: impl Into<String>) -> Self {
        Self { code: code.to_owned(), text: text.into() }
    }

    /// Leaves of an explanation what a shopper may know, on carts and orders alike: which price lists there are, and why
    /// others were passed over, is the merchant's own affair. `price` is that of the line it explains.
    pub fn keep_public(steps: &mut Vec<Self>, price: Option<PricePer>) {
        steps.retain(|step| step.code != "passed_over");
        for step in steps.iter_mut().filter(|step| step.code == "price_list") {
            let price = price.map(|price| format!("{price} ")).unwrap_or_default();
            step.text = format!("{price}by the price list");
        }
    }
}

/// A line to be priced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LineInput {
    /// The line's immutable number, unique within the input.
    pub line_no: i32,
    /// The price of one unit, or of as many as `per` says, with or without tax as the channel has it.
    pub unit_price: UnitPrice,
    /// How many units the price is for; absent where it is one.
    #[serde(default, skip_serializing_if = "Per::is_one")]
    pub per: Per,
    /// How many units.
    pub quantity: Quantity,
    /// The tax rate as a fraction.
    #[schema(value_type = String, example = "0.19")]
    pub tax_rate: Decimal,
    /// Whether it is shipped, so that shipping may bear its tax.
    #[serde(default = "shipped")]
    pub shipped: bool,
    /// How the unit price and the tax rate were chosen.
    pub because: Vec<Step>,
}

const fn shipped() -> bool {
    true
}

impl LineInput {
    /// The price with the units that it is for.
    #[must_use]
    pub const fn price(&self) -> PricePer {
        PricePer { price: self.unit_price, per: self.per }
    }
}

impl LineTotals {
    /// The price with the units that it is for.
    #[must_use]
    pub const fn price(&self) -> PricePer {
        PricePer { price: self.unit_price, per: self.per }
    }
}

/// The shipping to be priced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShippingInput {
    /// The shipping method's code.
    pub code: String,
    /// Its name.
    pub name: String,
    /// The price, with or without tax as the channel has it.
    pub price: Money,
    /// The tax rate of its own class as a fraction.
    #[schema(value_type = String, example = "0.19")]
    pub tax_rate: Decimal,
    /// Whether it bears that, or the tax of the goods that are shipped. Where these cost nothing, it bears its own.
    #[serde(default = "own_class")]
    pub tax: ShippingTax,
    /// The key of the delivery that it is for, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// The pieces that it carries, whose taxes it may bear; all that are shipped where it names none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carries: Vec<Carried>,
    /// How the price and the tax rate were chosen.
    pub because: Vec<Step>,
}

/// Pieces of a line that one of several deliveries carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Carried {
    /// The line's number.
    pub line_no: i32,
    /// From this piece on, counted from 0.
    pub from: i64,
    /// Up to this piece, which is not among them.
    pub to: i64,
    /// How many pieces the line has.
    pub of: i64,
}

impl Carried {
    /// Its share in an amount of the whole line: the shares of all deliveries sum to it.
    #[must_use]
    pub fn share(&self, amount: i64) -> i64 {
        super::engine::share(amount, self.from, self.to, self.of)
    }
}

const fn own_class() -> ShippingTax {
    ShippingTax::OwnClass
}

/// A discount. Discounts apply in the order given, each to what the earlier ones left, and never below zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Adjustment {
    /// What is reduced.
    pub target: AdjustmentTarget,
    /// By how much.
    pub value: AdjustmentValue,
    /// What grants it, as a stable reference.
    #[schema(example = "promotion:summer")]
    pub source: String,
    /// Its name for people.
    #[schema(example = "Summer sale")]
    pub label: String,
}

/// What a discount reduces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AdjustmentTarget {
    /// One line.
    Line {
        /// The line's number.
        line_no: i32,
    },
    /// Shipping; passed over when there is none. Of several deliveries it is that of all together, spread over them by largest
    /// remainder.
    Shipping,
    /// All lines together, spread over them by largest remainder on their amounts. Shipping is left alone.
    Order,
}

/// How much a discount takes: a positive number that reduces.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustmentValue {
    /// So much, in the channel's tax mode.
    Amount(Money),
    /// So many per cent of what is left: `10` is a tenth, and more than `100` is all.
    Percentage(Decimal),
}

// The JSON shape of `AdjustmentValue`, where a decimal is a text.
/// How much a discount takes: a positive number that reduces.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
enum AdjustmentValueJson {
    /// So much, in the channel's tax mode.
    Amount(Money),
    /// So many per cent of what is left: `10` is a tenth, and more than `100` is all.
    #[schema(example = json!({"percentage": "10"}))]
    Percentage(String),
}

impl PartialSchema for AdjustmentValue {
    fn schema() -> RefOr<Schema> {
        AdjustmentValueJson::schema()
    }
}

impl ToSchema for AdjustmentValue {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        AdjustmentValueJson::schemas(schemas);
    }
}

/// All that is to be priced together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PricingInput)]
pub struct Input {
    /// The one currency of every amount.
    pub currency: Currency,
    /// Whether prices and discounts include tax.
    pub prices_include_tax: bool,
    /// The channel's rounding rule.
    pub rounding: RoundingRule,
    /// The lines, in the order in which the totals list them.
    pub lines: Vec<LineInput>,
    /// The chosen shipping, if any yet.
    pub shipping: Option<ShippingInput>,
    /// That of further deliveries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<ShippingInput>,
    /// The discounts, in the order in which they apply.
    pub adjustments: Vec<Adjustment>,
}

impl Input {
    /// The shipping of all deliveries.
    pub fn shippings(&self) -> impl Iterator<Item = &ShippingInput> {
        self.shipping.iter().chain(&self.further)
    }
}

/// A priced line. `net + tax = gross`, always, and all three are after discount.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LineTotals {
    /// The line's number.
    pub line_no: i32,
    /// The price of one unit, or of as many as `per` says, in the channel's tax mode.
    pub unit_price: UnitPrice,
    /// How many units the price is for; absent where it is one.
    #[serde(default, skip_serializing_if = "Per::is_one")]
    pub per: Per,
    /// How many units.
    pub quantity: Quantity,
    /// Unit price × quantity ÷ `per`, rounded once, in the channel's tax mode, before discount.
    pub subtotal: Money,
    /// What discounts took off the subtotal.
    pub discount: Money,
    /// Without tax.
    pub net: Money,
    /// The tax.
    pub tax: Money,
    /// With tax.
    pub gross: Money,
    /// The tax rate as a fraction.
    #[schema(value_type = String, example = "0.19")]
    pub tax_rate: Decimal,
    /// Why.
    pub explanation: Vec<Step>,
}

/// Priced shipping. `net + tax = gross`, always, and all three are after discount.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShippingTotals {
    /// The key of the delivery that it is for; absent where there is one, and in the sum of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// The shipping method's code; in the sum of several deliveries that of the first.
    pub code: String,
    /// Its name at that time.
    #[serde(default)]
    pub name: String,
    /// The price in the channel's tax mode, before discount.
    pub subtotal: Money,
    /// What discounts took off the subtotal.
    pub discount: Money,
    /// Without tax.
    pub net: Money,
    /// The tax.
    pub tax: Money,
    /// With tax.
    pub gross: Money,
    /// The tax rate as a fraction; where it bears several, that of the main good.
    #[schema(value_type = String, example = "0.19")]
    pub tax_rate: Decimal,
    /// What of it bears which tax rate, lowest rate first, where it bears several: they sum to it. Absent where it bears one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<TaxTotal>,
    /// Why.
    pub explanation: Vec<Step>,
}

/// What bears one tax rate: of lines and shipping together, or of shipping alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaxTotal {
    /// The rate as a fraction; zero has its row too.
    #[schema(value_type = String, example = "0.19")]
    pub rate: Decimal,
    /// Without tax.
    pub net: Money,
    /// The tax.
    pub tax: Money,
    /// With tax.
    pub gross: Money,
}

/// The result of pricing.
///
/// `net`, `tax` and `total` are the sums over lines and shipping, and the sums over `taxes`. Where prices include tax,
/// `subtotal − discount + shipping_total = total`; elsewhere `subtotal − discount + shipping.net + tax = total`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Totals {
    /// The one currency of every amount.
    pub currency: Currency,
    /// Whether `subtotal`, `discount` and unit prices include tax.
    pub prices_include_tax: bool,
    /// The lines, in the order of the input.
    pub lines: Vec<LineTotals>,
    /// The shipping, when there is some; of several deliveries all of it.
    pub shipping: Option<ShippingTotals>,
    /// The shipping of each delivery, where there are several: they sum to `shipping` in every amount.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shipping_parts: Vec<ShippingTotals>,
    /// One row per tax rate, lowest rate first.
    pub taxes: Vec<TaxTotal>,
    /// The sum of the lines' subtotals.
    pub subtotal: Money,
    /// The sum of the lines' discounts; a discount on shipping shows at `shipping` alone.
    pub discount: Money,
    /// Shipping with tax, after discount; zero when there is none.
    pub shipping_total: Money,
    /// Everything without tax.
    pub net: Money,
    /// All tax.
    pub tax: Money,
    /// What the customer pays.
    pub total: Money,
    /// Why, as far as it concerns the whole.
    pub explanation: Vec<Step>,
    /// The promotions that apply, in the order in which they do; each amount is in `discount` of what it reduces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promotions: Vec<AppliedPromotion>,
    /// The promotions that were in question and do not apply, each with the first condition that did not hold. A storefront is
    /// told of those whose coupon is on the cart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
    /// How it is taxed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_treatment: Option<TaxTreatment>,
    /// The version of the rules (price lists, promotions, tax and shipping rates) that this was reckoned by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules_version: Option<i64>,
}

impl Totals {
    /// Leaves of the promotions what a shopper may know: those that apply, and those whose coupon they have. Which others there are,
    /// and the state of the rules, is the merchant's own affair.
    pub fn keep_public(&mut self) {
        self.passed_over.retain(|passed| passed.coupon.is_some());
        self.rules_version = None;
    }
}

/// A promotion that applies to a cart or an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AppliedPromotion {
    /// The promotion.
    pub promotion_id: PromotionId,
    /// Its code.
    #[schema(example = "summer-20")]
    pub code: String,
    /// Its name for people.
    #[schema(example = "Summer sale")]
    pub name: String,
    /// The version of its rule; staff find the rule as it was with it (`GET /v1/ops/promotions/{id}/versions/{version}`).
    pub version: i64,
    /// The coupon that it applies by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon: Option<String>,
    /// The payment methods that earn it, where it is not for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payment_methods: Vec<String>,
    /// What it takes off altogether.
    pub amount: Money,
    /// How many pieces are reduced; 0 where it is about shipping.
    pub units: i64,
    /// What it takes off which line; empty where it is about shipping.
    pub lines: Vec<LineShare>,
}

/// What a promotion takes off a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineShare {
    /// The line's number.
    pub line_no: i32,
    /// How much.
    pub amount: Money,
}

/// A promotion that does not apply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PassedOver {
    /// The promotion.
    pub promotion_id: PromotionId,
    /// Its code.
    pub code: String,
    /// Its name for people.
    pub name: String,
    /// The coupon that is on the cart for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coupon: Option<String>,
    /// The first condition that did not hold.
    pub reason: Step,
}

/// What can not be priced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// A price or a discount is in another currency than the input.
    #[error("an amount is in {found} where {expected} is expected")]
    CurrencyMismatch {
        /// The input's currency.
        expected: Currency,
        /// The other one.
        found: Currency,
    },
    /// An amount is above [`Money::MAX_INPUT`], or a price, rate or discount is below zero.
    #[error("an amount is too large, or below zero")]
    Overflow,
    /// A discount names a line that is not in the input.
    #[error("there is no line {0} to reduce")]
    UnknownLine(i32),
}
