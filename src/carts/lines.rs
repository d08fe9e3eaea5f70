//! The lines of a cart: which of those that are asked for are there already, which are summed, which are new.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::model::{Cart, CartLine};
use crate::{
    catalog::Variant,
    error::{Code, Error, Result},
    kernel::{Per, PricePer, Quantity, Scope, ids::CartLineId, text::Sku},
};

/// The most lines a cart may have.
pub(super) const MAX_LINES: usize = 1000;

/// A line that is asked for. `id` is that of a line which stays, or the one to give when it becomes a line of its own.
#[derive(Debug, Clone)]
pub(super) struct WantedLine {
    pub id: CartLineId,
    pub sku: Sku,
    pub quantity: Quantity,
    pub agreed: Option<PricePer>,
    pub metadata: Map<String, Value>,
    /// JSON pointer to it in what was sent, or in the cart where it stays as it is.
    pub pointer: String,
}

/// Puts the wanted lines in the place of the cart's. A line that stays the same keeps its id and number.
pub(super) fn replace(cart: &mut Cart, wanted: &[WantedLine], variants: &[Variant]) -> Result<()> {
    // A cart may have a thousand lines: they are not each compared with a thousand articles.
    let variants: HashMap<&str, &Variant> = variants.iter().map(|variant| (variant.sku.as_str(), variant)).collect();
    // What promotions give is nobody's to ask for; it stands behind the rest until it is priced.
    let (gifts, before): (Vec<CartLine>, Vec<CartLine>) =
        std::mem::take(&mut cart.details.lines).into_iter().partition(|line| line.gift_of.is_some());
    // Those named by their ids first: of two lines that are alike the one must not be taken for the other.
    let places: HashMap<CartLineId, usize> = before.iter().enumerate().map(|(place, line)| (line.id, place)).collect();
    let mut before: Vec<Option<CartLine>> = before.into_iter().map(Some).collect();
    let mut named: Vec<Option<CartLine>> = Vec::with_capacity(wanted.len());
    for line in wanted {
        named.push(places.get(&line.id).and_then(|place| before.get_mut(*place)?.take()));
    }
    for (line, named) in wanted.iter().zip(named) {
        let variant = known(&variants, line)?;
        let like = |old: &CartLine| old.is_like(variant.id, line.agreed, &line.metadata);
        let old = named.or_else(|| before.iter_mut().find(|old| old.as_ref().is_some_and(like))?.take());
        let line = match old {
            Some(old) => CartLine { quantity: line.quantity, ..old },
            None => fresh(cart, line, variant),
        };
        cart.details.lines.push(line);
    }
    match cart.details.lines.len() {
        ..=MAX_LINES => {
            cart.details.lines.extend(gifts);
            Ok(())
        }
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
        agreed_price: line.agreed.map(|agreed| agreed.price),
        agreed_per: line.agreed.map_or(Per::ONE, |agreed| agreed.per),
        prior_price: None,
        prior_per: Per::ONE,
        reduction_percent: None,
        gift_of: None,
        components: Vec::new(),
        metadata: line.metadata.clone(),
    }
}

/// The cart's lines as wanted lines, for changes that keep most of them; without what promotions give, which is last.
pub(super) fn as_wanted(cart: &Cart) -> Vec<WantedLine> {
    let wanted = |(place, line): (usize, &CartLine)| WantedLine {
        id: line.id,
        sku: Sku::kept(line.sku.clone()),
        quantity: line.quantity,
        agreed: line.agreed(),
        metadata: line.metadata.clone(),
        pointer: format!("/lines/{place}"),
    };
    let own = cart.details.lines.iter().enumerate().filter(|(_, line)| line.gift_of.is_none());
    own.map(wanted).collect()
}

/// Adds a line to lines: summed with one that is the same but for its quantity.
pub(super) fn add(lines: &mut Vec<WantedLine>, new: &WantedLine) -> Result<()> {
    let same =
        |line: &&mut WantedLine| line.sku == new.sku && line.agreed == new.agreed && line.metadata == new.metadata;
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
    if line.agreed.is_some() && line.quantity != quantity && !agrees_prices {
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
