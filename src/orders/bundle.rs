//! Bundles of an order: sold as one line, and made of order lines that are shipped, cancelled and taken back like any others.

use serde::{Deserialize, Serialize};

use super::document::OrderLine;
use crate::{
    catalog::Component,
    error::{Code, Error, Result},
    kernel::{Money, Per, UnitPrice, ids::VariantId},
    pricing::model::Step,
};

/// The bundle that an order line is a part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OrderLineBundle)]
pub struct BundlePart {
    /// The number of the bundle among the order's `bundles`.
    pub line_no: i32,
    /// The bundle's SKU at that time.
    pub sku: String,
    /// The bundle's name at that time.
    pub name: String,
    /// How many bundles were ordered.
    pub quantity: i64,
    /// How many pieces of this line are in one bundle.
    pub per_bundle: i64,
}

/// A bundle as it was sold. Its amounts are the sums of those of its lines, to the minor unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OrderBundle {
    /// Its number: that of the cart's line. No line of the order has it.
    pub line_no: i32,
    /// What was sold.
    pub variant_id: VariantId,
    /// Its SKU at that time.
    pub sku: String,
    /// Its name at that time.
    pub name: String,
    /// How many.
    pub quantity: i64,
    /// The price of one bundle, or of as many as `per` says.
    pub unit_price: UnitPrice,
    /// How many bundles the price is for; absent where it is one.
    #[serde(default, skip_serializing_if = "Per::is_one")]
    pub per: Per,
    /// Unit price times quantity, before discount.
    pub subtotal: Money,
    /// What was taken off.
    pub discount: Money,
    /// Without tax, after discount.
    pub net: Money,
    /// The tax.
    pub tax: Money,
    /// With tax.
    pub gross: Money,
    /// The rate it was taxed at, by its own tax class.
    #[schema(value_type = String, example = "0.19")]
    pub tax_rate: rust_decimal::Decimal,
    /// The numbers of the order lines that it is made of.
    pub line_nos: Vec<i32>,
    /// How its price came about.
    pub explanation: Vec<Step>,
}

/// So many pieces of each order line that whole bundles are made of. `left` tells of how many pieces of a line that can be. What of
/// lines is named beside them (`taken`) is not there for them.
///
/// # Errors
/// `line_unknown`, `quantity_invalid`; `quantity_exceeded` with how many whole bundles are `left`; each with the pointer into
/// `/bundles`.
pub fn whole_bundles(
    (bundles, lines): (&[OrderBundle], &[OrderLine]),
    wanted: impl IntoIterator<Item = (i32, i64)>,
    left: impl Fn(&OrderLine) -> i64,
    taken: impl Fn(i32) -> i64,
) -> Result<Vec<(i32, i64)>> {
    let mut pieces: Vec<(i32, i64)> = Vec::new();
    for (place, (line_no, quantity)) in wanted.into_iter().enumerate() {
        let at = |field: &str| format!("/bundles/{place}/{field}");
        let bundle = bundles.iter().find(|bundle| bundle.line_no == line_no);
        let unknown = || Error::problem(Code::LineUnknown, format!("the order has no bundle {line_no}"));
        let bundle = bundle.ok_or_else(|| unknown().at(at("line_no")).with("line_no", line_no))?;
        if quantity < 1 {
            return Err(Error::problem(Code::QuantityInvalid, "expected at least one bundle").at(at("quantity")));
        }
        let parts = lines.iter().filter_map(|line| {
            let of = line.bundle.as_ref().filter(|of| of.line_no == bundle.line_no)?;
            let before = pieces.iter().filter(|(no, _)| *no == line.line_no).map(|(_, pieces)| *pieces);
            let there = left(line) - taken(line.line_no) - before.sum::<i64>();
            Some((line.line_no, of.per_bundle, there))
        });
        let parts: Vec<(i32, i64, i64)> = parts.collect();
        let whole = Component::suffice(parts.iter().map(|(_, in_one, there)| (*there, *in_one))).unwrap_or_default();
        if whole < quantity {
            let whole = whole.max(0);
            let detail =
                format!("only {whole} of bundle {line_no} are whole: name the lines of what is left of others");
            let error = Error::problem(Code::QuantityExceeded, detail).at(at("quantity"));
            return Err(error.with("line_no", line_no).with("left", whole));
        }
        pieces.extend(parts.iter().map(|(no, in_one, _)| (*no, in_one.saturating_mul(quantity))));
    }
    Ok(pieces)
}
