//! What carts take from stock: articles, and of bundles the components that they are made of. Pure.
//!
//! A line keeps the components that it was priced with, so that what is reserved for it is what is placed, whatever becomes of the
//! bundle meanwhile.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    deliveries,
    model::{Cart, CartDetails, CartLine, Problem},
    pricing::blocking,
};
use crate::{
    catalog::{BackorderPolicy, Component, StockPolicy, Variant},
    error::{Code, Error},
    kernel::{Quantity, ids::VariantId},
    pricing::rates::{Asking, PriceList, PriceRow, winner},
    stock,
};

/// What a bundle in a cart is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CartComponent {
    /// What.
    pub variant_id: VariantId,
    /// Its SKU.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// How many pieces of it are in one bundle.
    pub quantity: i64,
    /// In proportion to what it bears of the bundle's price: its own list price times its pieces, or its pieces alone where not all
    /// components have a price.
    pub share: i64,
}

/// What a line takes from stock: its article, or a component of its bundle.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken<'c> {
    /// Where the line stands among the cart's, from 0.
    pub place: usize,
    /// The line.
    pub line: &'c CartLine,
    /// The number of the order line that it becomes. Components are numbered behind all lines of the cart.
    pub line_no: i32,
    /// What.
    pub variant: VariantId,
    /// How many.
    pub quantity: i64,
    /// The component, where the line is a bundle's.
    pub component: Option<&'c CartComponent>,
}

/// What a cart takes from stock, in the order of its lines and of their components. The numbers follow from the cart as it is kept.
pub(crate) fn taken(details: &CartDetails) -> Vec<Taken<'_>> {
    let highest = details.lines.iter().map(|line| line.line_no).max().unwrap_or_default();
    let mut next = details.next_line_no.max(highest.saturating_add(1));
    let mut all = Vec::with_capacity(details.lines.len());
    for (place, line) in details.lines.iter().enumerate() {
        let quantity = line.quantity.get();
        if line.components.is_empty() {
            let (line_no, variant) = (line.line_no, line.variant_id);
            all.push(Taken { place, line, line_no, variant, quantity, component: None });
        }
        for component in &line.components {
            let (variant, quantity) = (component.variant_id, quantity.saturating_mul(component.quantity));
            all.push(Taken { place, line, line_no: next, variant, quantity, component: Some(component) });
            next = next.saturating_add(1);
        }
    }
    all
}

/// Notes with the lines of bundles what these are made of now. A share that is known stays until it is reckoned anew.
pub(super) fn explode(cart: &mut Cart, variants: &HashMap<VariantId, Variant>) {
    let bundled = |line: &&mut CartLine| {
        variants.get(&line.variant_id).is_some_and(Variant::is_bundle) || !line.components.is_empty()
    };
    let mut bundles = cart.details.lines.iter_mut().filter(bundled).peekable();
    if bundles.peek().is_none() {
        return;
    }
    let by_sku: HashMap<&str, &Variant> = variants.values().map(|variant| (variant.sku.as_str(), variant)).collect();
    for line in bundles {
        // One that is not known has nothing new to tell.
        let Some(bundle) = variants.get(&line.variant_id) else { continue };
        let component = |of: &Component| {
            let variant = by_sku.get(&*of.sku)?;
            let quantity = of.quantity.get();
            let before = line.components.iter().find(|one| one.variant_id == variant.id && one.quantity == quantity);
            Some(CartComponent {
                variant_id: variant.id,
                sku: variant.sku.clone(),
                name: variant.name.clone(),
                quantity,
                share: before.map_or(quantity, |one| one.share),
            })
        };
        line.components = bundle.components.iter().filter_map(component).collect();
    }
}

/// Reckons what each component bears of its bundle's price: in proportion to its own price times its pieces, where each has one and
/// not all are free, else to its pieces.
pub(super) fn weigh(
    cart: &mut Cart,
    lists: &[Arc<PriceList>],
    prices: &HashMap<VariantId, Vec<PriceRow>>,
    asking: Asking<'_>,
) {
    for line in cart.details.lines.iter_mut().filter(|line| !line.components.is_empty()) {
        let quantity = line.quantity.get();
        let worth = |component: &CartComponent| {
            let rows = prices.get(&component.variant_id).map(Vec::as_slice).unwrap_or_default();
            let pieces = Quantity::new(quantity.saturating_mul(component.quantity)).ok()?;
            let price = winner(lists, rows, asking, pieces)?.1.price;
            let worth = i128::from(price.price.scaled()) * i128::from(component.quantity) / i128::from(price.per.get());
            i64::try_from(worth).ok()
        };
        let worth: Option<Vec<i64>> = line.components.iter().map(worth).collect();
        let worth = worth.filter(|worth| worth.iter().any(|one| *one > 0));
        for (place, component) in line.components.iter_mut().enumerate() {
            let own = worth.as_ref().and_then(|worth| worth.get(place).copied());
            component.share = own.unwrap_or(component.quantity);
        }
    }
}

/// The articles whose prices and stock a cart is about: those of its lines and their components.
pub(super) fn articles(cart: &Cart) -> impl Iterator<Item = VariantId> {
    let lines = cart.details.lines.iter();
    lines.flat_map(|line| std::iter::once(line.variant_id).chain(line.components.iter().map(|part| part.variant_id)))
}

/// The SKUs of a cart's lines and of what these are made of.
pub(super) fn skus(cart: &Cart) -> Vec<String> {
    let lines = cart.details.lines.iter();
    let skus = lines.flat_map(|line| std::iter::once(&line.sku).chain(line.components.iter().map(|part| &part.sku)));
    skus.cloned().collect()
}

/// What a line takes of each article, for each of its pieces.
fn each(line: &CartLine) -> Vec<(VariantId, i64)> {
    match line.components.is_empty() {
        true => vec![(line.variant_id, 1)],
        false => line.components.iter().map(|component| (component.variant_id, component.quantity)).collect(),
    }
}

/// How many pieces of an article are there beside what the cart's lines take of what is `available`; of what is sold beyond that, no
/// end. Of a bundle, how many its components suffice for.
pub(super) fn beside(
    cart: &Cart,
    variant: &Variant,
    (variants, available): (&HashMap<&str, &Variant>, &HashMap<VariantId, i64>),
) -> i64 {
    let left = |id: VariantId| {
        let own = cart.details.lines.iter().flat_map(|line| {
            let pieces = line.quantity.get();
            each(line).into_iter().map(move |(variant, in_one)| (variant, pieces.saturating_mul(in_one)))
        });
        let taken = own.filter(|(variant, _)| *variant == id).map(|(_, pieces)| pieces).fold(0, i64::saturating_add);
        available.get(&id).copied().unwrap_or_default() - taken
    };
    let part = |of: &Component| {
        let part = variants.get(&*of.sku).filter(|part| part.is_limited())?;
        Some((left(part.id), of.quantity.get()))
    };
    match variant.is_bundle() {
        true => Component::suffice(variant.components.iter().filter_map(part)).unwrap_or(i64::MAX),
        false if variant.is_limited() => left(variant.id),
        false => i64::MAX,
    }
}

/// Lines of which there is too little. Lines share what there is of an article, in their order, whether they are of it or of a bundle
/// with it.
pub(super) fn short(
    cart: &Cart,
    variants: &HashMap<VariantId, Variant>,
    available: &HashMap<VariantId, i64>,
) -> Vec<Problem> {
    let mut left: HashMap<VariantId, i64> = available.clone();
    let mut problems = Vec::new();
    for (index, line) in cart.details.lines.iter().enumerate() {
        // What is given was there a moment ago.
        if line.gift_of.is_some() {
            continue;
        }
        let limited = |(id, _): &(VariantId, i64)| variants.get(id).is_some_and(Variant::is_limited);
        let parts: Vec<(VariantId, i64)> = each(line).into_iter().filter(limited).collect();
        let there = |(id, in_one): &(VariantId, i64)| (left.get(id).copied().unwrap_or_default(), *in_one);
        let Some(most) = Component::suffice(parts.iter().map(there)) else { continue };
        let wanted = line.quantity.get();
        if most < wanted {
            let detail = format!("{} of {} are available", most.max(0), line.sku);
            problems.push(blocking(Code::OutOfStock.as_str(), detail, format!("/lines/{index}/quantity")));
        }
        for (id, in_one) in parts {
            *left.entry(id).or_default() -= wanted.saturating_mul(in_one);
        }
    }
    problems
}

/// What can not be ordered because it would be too much in pieces.
pub(super) fn too_many(cart: &Cart, most_lines: usize) -> Vec<Problem> {
    let mut problems = Vec::new();
    let taken = taken(&cart.details);
    if taken.len() > most_lines {
        let detail = format!("its bundles are made of so much that it has {} lines: at most {most_lines}", taken.len());
        problems.push(blocking(Code::TooManyLines.as_str(), detail, "/lines"));
    }
    let too_many = |one: &&Taken<'_>| one.component.is_some() && one.quantity > Quantity::MAX;
    for one in taken.iter().filter(too_many) {
        let detail = format!("{} of {} are more than {}", one.quantity, one.line.sku, Quantity::MAX);
        problems.push(blocking(Code::QuantityInvalid.as_str(), detail, format!("/lines/{}/quantity", one.place)));
    }
    problems
}

/// What a cart's lines need of stock: what is shipped, and whatever is counted; of bundles their components. What is counted but not
/// shipped, such as a seat or what the customer picks up, is held and allocated as goods are, or two buyers could have the last one. It
/// leaves the stock when it is handed over: the order has a fulfilment order for it, which is picked, packed and shipped
/// (without a carrier) like any other, and its money is taken then. To book it out when the order is placed would lose it
/// when that is cancelled a moment later. A service that nobody counts needs nothing.
pub(crate) fn needs(cart: &Cart, variants: &HashMap<VariantId, Variant>) -> Vec<stock::Need> {
    let portions = deliveries::portions_of(&cart.details);
    let need = |one: Taken<'_>| -> Vec<stock::Need> {
        let Some(variant) = variants.get(&one.variant) else { return Vec::new() };
        let tracked = variant.stock_policy == StockPolicy::Tracked;
        if !variant.requires_shipping && !tracked {
            return Vec::new();
        }
        let part = |(delivery, quantity): (i32, i64)| stock::Need {
            place: one.place,
            line_no: one.line_no,
            delivery,
            variant: one.variant,
            quantity,
            tracked,
            backorder: variant.backorder_policy == BackorderPolicy::Allow,
            requires: variant.requires.clone(),
        };
        let Some(portions) = &portions else { return vec![part((0, one.quantity))] };
        let in_one = one.component.map_or(1, |component| component.quantity);
        let own = portions.get(&one.line.line_no).into_iter().flatten();
        own.map(|(delivery, pieces)| part((*delivery, pieces.saturating_mul(in_one)))).collect()
    };
    let mut needs: Vec<stock::Need> = taken(&cart.details).into_iter().flat_map(need).collect();
    needs.sort_by_key(|need| (need.place, need.delivery));
    needs
}

/// A refusal for want of stock by the line of the cart: of one of a component nobody has seen the number. Where what lacks is to be picked
/// up it says where, for other places may have it.
pub(crate) fn by_line(cart: &Cart, error: Error) -> Error {
    let extra = |name: &str| {
        let Error::Problem(problem) = &error else { return None };
        problem.extra.get(name).and_then(serde_json::Value::as_i64)
    };
    let number = extra("line_no");
    let of = taken(&cart.details).into_iter().find(|one| Some(i64::from(one.line_no)) == number);
    let Some(one) = of.filter(|_| error.code() == Code::OutOfStock) else { return error };
    let delivery = usize::try_from(extra("delivery_number").unwrap_or_default()).unwrap_or_default();
    let parcel = deliveries::parcels(&cart.details).into_iter().nth(delivery);
    let pickup = parcel.and_then(|parcel| Some((parcel.pickup?, parcel.key)));
    if pickup.is_none() && one.component.is_none() {
        return error;
    }
    let pieces = extra("available").unwrap_or_default();
    let in_one = one.component.map_or(1, |component| component.quantity);
    let available = Component::suffice([(pieces, in_one)]).unwrap_or_default().max(0);
    let lacks = one.component.map_or_else(String::new, |component| format!(": `{}` of it lacks", component.sku));
    let at = format!("/lines/{}", one.place);
    let error = match &pickup {
        Some((pickup, _)) => {
            Error::problem(Code::OutOfStock, lies_elsewhere(&one, available, &pickup.location) + &lacks)
                .with("location", pickup.location.clone())
                .with("sku", one.component.map_or_else(|| one.line.sku.clone(), |component| component.sku.to_string()))
        }
        None => {
            let line = one.line.line_no;
            let detail = format!("line {line} asks for more than the {available} that are available{lacks}");
            Error::problem(Code::OutOfStock, detail)
        }
    };
    let error = match pickup.and_then(|(_, key)| key) {
        Some(key) => error.with("delivery", key),
        None => error,
    };
    error.at(at).with("available", available).with("line_no", one.line.line_no)
}

/// That a line can not be picked up where it is to be, and what can be done.
fn lies_elsewhere(one: &Taken<'_>, available: i64, place: &str) -> String {
    let (line, sku) = (one.line.line_no, &one.line.sku);
    format!(
        "line {line} asks for more than the {available} of `{sku}` that can be picked up at `{place}`; choose another of the \
         shipping-options, or lower its quantity"
    )
}

/// Why a cart's delivery can not be picked up at a place, from the refusal of a plan: which article lacks there.
pub(super) fn not_there(cart: &Cart, error: &Error, place: &str) -> String {
    let extra = |name: &str| {
        let Error::Problem(problem) = error else { return None };
        problem.extra.get(name).and_then(serde_json::Value::as_i64)
    };
    let (number, pieces) = (extra("line_no"), extra("available").unwrap_or_default().max(0));
    let of = taken(&cart.details).into_iter().find(|one| Some(i64::from(one.line_no)) == number);
    if error.code() == Code::NotCapable {
        let line = of.map_or_else(String::new, |one| format!(" of `{}`", one.line.sku));
        return format!("`{place}` can not handle all{line}: it requires what is not to be had there");
    }
    match of {
        Some(Taken { line, component: Some(component), .. }) => {
            format!("{pieces} of `{}`, which `{}` is made of, are at `{place}`", component.sku, line.sku)
        }
        Some(Taken { line, .. }) => format!("{pieces} of `{}` are at `{place}`", line.sku),
        None => format!("not all of it is at `{place}`"),
    }
}

/// Gives lines what they were made of before: their stock is held, and is not held anew.
pub(crate) fn keep_components(cart: &mut Cart, before: &CartDetails) {
    for line in &mut cart.details.lines {
        if let Some(was) = before.lines.iter().find(|was| was.line_no == line.line_no) {
            line.components.clone_from(&was.components);
        }
    }
}
