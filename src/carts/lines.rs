//! The lines of a cart: which of those that are asked for are there already, which are summed, which are new.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::model::{Cart, CartLine};
use crate::{
    catalog::Variant,
    error::{Code, Error, Result},
    kernel::{Quantity, Scope, UnitPrice, ids::CartLineId, text::Sku},
};

/// The most lines a cart may have.
pub(super) const MAX_LINES: usize = 1000;

/// A line that is asked for. `id` is that of a line which stays, or the one to give when it becomes a line of its own.
#[derive(Debug, Clone)]
pub(super) struct WantedLine {
    pub id: CartLineId,
    pub sku: Sku,
    pub quantity: Quantity,
    pub agreed_price: Option<UnitPrice>,
    pub metadata: Map<String, Value>,
    /// JSON pointer to it in what was sent, or in the cart where it stays as it is.
    pub pointer: String,
}

/// Puts the wanted lines in the place of the cart's. A line that stays the same keeps its id and number.
pub(super) fn replace(cart: &mut Cart, wanted: &[WantedLine], variants: &[Variant]) -> Result<()> {
    // A cart may have a thousand lines: they are not each compared with a thousand articles.
    let variants: HashMap<&str, &Variant> = variants.iter().map(|variant| (variant.sku.as_str(), variant)).collect();
    let mut before = std::mem::take(&mut cart.details.lines);
    let mut take = |same: &dyn Fn(&CartLine) -> bool| before.iter().position(same).map(|place| before.remove(place));
    // Those named by their ids first: of two lines that are alike the one must not be taken for the other.
    let named: Vec<Option<CartLine>> = wanted.iter().map(|line| take(&|old| old.id == line.id)).collect();
    for (line, named) in wanted.iter().zip(named) {
        let variant = known(&variants, line)?;
        let old = named.or_else(|| take(&|old| old.is_like(variant.id, line.agreed_price, &line.metadata)));
        let line = match old {
            Some(old) => CartLine { quantity: line.quantity, ..old },
            None => fresh(cart, line, variant),
        };
        cart.details.lines.push(line);
    }
    match cart.details.lines.len() {
        ..=MAX_LINES => Ok(()),
        _ => Err(Error::problem(Code::TooManyLines, format!("a cart holds at most {MAX_LINES} lines")).at("/lines")),
    }
}

fn known<'v>(variants: &HashMap<&str, &'v Variant>, line: &WantedLine) -> Result<&'v Variant> {
    let found = variants.get(&*line.sku).copied();
    let unknown = || Error::problem(Code::SkuUnknown, format!("there is no SKU `{}`", line.sku));
    found.ok_or_else(|| unknown().at(format!("{}/sku", line.pointer)))
}

fn fresh(cart: &mut Cart, line: &WantedLine, variant: &Variant) -> CartLine {
    let line_no = cart.details.next_line_no;
    cart.details.next_line_no += 1;
    CartLine {
        id: line.id,
        line_no,
        variant_id: variant.id,
        sku: variant.sku.clone(),
        name: variant.name.clone(),
        quantity: line.quantity,
        agreed_price: line.agreed_price,
        prior_price: None,
        reduction_percent: None,
        metadata: line.metadata.clone(),
    }
}

/// The cart's lines as wanted lines, for changes that keep most of them.
pub(super) fn as_wanted(cart: &Cart) -> Vec<WantedLine> {
    let wanted = |(place, line): (usize, &CartLine)| WantedLine {
        id: line.id,
        sku: Sku::kept(line.sku.clone()),
        quantity: line.quantity,
        agreed_price: line.agreed_price,
        metadata: line.metadata.clone(),
        pointer: format!("/lines/{place}"),
    };
    cart.details.lines.iter().enumerate().map(wanted).collect()
}

/// Adds a line to lines: summed with one that is the same but for its quantity.
pub(super) fn add(lines: &mut Vec<WantedLine>, new: &WantedLine) -> Result<()> {
    let same = |line: &&mut WantedLine| {
        line.sku == new.sku && line.agreed_price == new.agreed_price && line.metadata == new.metadata
    };
    match lines.iter_mut().find(same) {
        Some(line) => {
            let sum = line.quantity.get() + new.quantity.get();
            let too_many = |_| Error::problem(Code::QuantityInvalid, "the quantities add up to too many");
            line.quantity =
                Quantity::new(sum).map_err(|error| too_many(error).at(format!("{}/quantity", new.pointer)))?;
        }
        None => lines.push(new.clone()),
    }
    Ok(())
}

/// Gives a line another quantity; none removes it. A price may have been agreed because of the quantity, so the quantity
/// of such a line is for those to change who agree prices.
pub(super) fn set_quantity(
    lines: &mut Vec<WantedLine>,
    place: usize,
    quantity: Quantity,
    agrees_prices: bool,
) -> Result<()> {
    if quantity.is_zero() {
        lines.remove(place);
        return Ok(());
    }
    let Some(line) = lines.get_mut(place) else { return Err(Error::not_found("cart line")) };
    if line.agreed_price.is_some() && line.quantity != quantity && !agrees_prices {
        let detail = format!(
            "the price was agreed for {}: another quantity needs the scope `{}`; removing the line does not",
            line.quantity.get(),
            Scope::PriceOverride
        );
        return Err(Error::problem(Code::ScopeMissing, detail).at("/quantity"));
    }
    line.quantity = quantity;
    Ok(())
}
