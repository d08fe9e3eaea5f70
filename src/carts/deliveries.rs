//! Several deliveries of a cart: which pieces go where, by which method.
//!
//! The first is the one that the cart's own address and method are of: it has whatever no other one names, and stands in every cart.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    bundles,
    delivery::{Delivery, DeliveryLine, DeliveryShipping, FurtherDelivery, PickUp, Portion, rename_in},
    dto::{DeliveryLineRequest, DeliveryRequest},
    model::{Cart, CartDetails, CartLine, Problem},
    pricing::{Context, blocking, note},
};
use crate::{
    catalog::Variant,
    customers::Address,
    db::Tx,
    error::{Code, Error, Result},
    kernel::{
        Country, Quantity,
        ids::{LocationId, VariantId},
        text::{Text, neutral_key},
    },
    pricing::{ShippingRequest, model::Carried},
    stock,
};

/// The most deliveries that a cart may have, the first among them.
pub(super) const MOST: usize = 10;
/// The key of the first delivery, where nobody has given it another.
const MAIN: &str = "main";

/// A delivery with its pieces.
#[derive(Debug, Clone)]
pub(crate) struct Parcel<'c> {
    /// Its place among the cart's deliveries.
    pub at: usize,
    /// Its key; `None` where the cart has one delivery.
    pub key: Option<&'c str>,
    /// Where to, unless it is picked up.
    address: Option<&'c Address>,
    /// Where it is picked up.
    pub pickup: Option<&'c PickUp>,
    /// The code of its shipping method.
    pub method: Option<&'c str>,
    /// Its pieces.
    pub pieces: Vec<Carried>,
}

impl<'c> Parcel<'c> {
    /// Where it goes: to whom, or to where it is picked up.
    pub(super) fn address(&self) -> Option<&'c Address> {
        match self.pickup {
            Some(pickup) => pickup.address.as_ref(),
            None => self.address,
        }
    }

    /// The country that it goes to, or is picked up in.
    pub(super) fn country(&self) -> Option<Country> {
        match self.pickup {
            Some(pickup) => Some(pickup.country),
            None => self.address.map(|address| address.country),
        }
    }

    /// Where something of it stands in the cart: where there is one delivery, as the cart has it.
    fn pointer(&self, field: &str) -> String {
        match self.key {
            Some(_) => format!("/deliveries/{}/{field}", self.at),
            None => format!("/shipping_{field}"),
        }
    }

    /// Whether anything in it is shipped.
    fn ships(&self, of: &HashMap<i32, &CartLine>, variants: &HashMap<VariantId, Variant>) -> bool {
        let mut variants = self.pieces.iter().filter_map(|piece| variants.get(&of.get(&piece.line_no)?.variant_id));
        variants.any(|variant| variant.requires_shipping)
    }

    /// What it weighs.
    pub(super) fn weight(&self, cart: &Cart, variants: &HashMap<VariantId, Variant>) -> i64 {
        let of = by_number(&cart.details);
        let weigh = |piece: &Carried| {
            let variant = of.get(&piece.line_no).and_then(|line| variants.get(&line.variant_id));
            variant.map_or(0, |variant| variant.weight_grams.saturating_mul(piece.to - piece.from))
        };
        self.pieces.iter().map(weigh).fold(0, i64::saturating_add)
    }

    /// What its goods cost of amounts of whole lines.
    pub(super) fn value(&self, amounts: &HashMap<i32, i64>) -> i64 {
        let own = self.pieces.iter().filter_map(|piece| Some(piece.share(*amounts.get(&piece.line_no)?)));
        own.fold(0, i64::saturating_add)
    }
}

fn by_number(details: &CartDetails) -> HashMap<i32, &CartLine> {
    details.lines.iter().map(|line| (line.line_no, line)).collect()
}

fn main_key(details: &CartDetails) -> &str {
    details.delivery_key.as_deref().unwrap_or(MAIN)
}

/// All deliveries of a cart, the first in front though it may have nothing.
fn all(details: &CartDetails) -> Vec<Parcel<'_>> {
    let several = !details.deliveries.is_empty();
    let mut main = Parcel {
        at: 0,
        key: several.then(|| main_key(details)),
        address: details.shipping_address.as_ref(),
        pickup: details.pickup.as_ref(),
        method: details.shipping_method.as_deref(),
        pieces: Vec::new(),
    };
    let named = named(details);
    for line in &details.lines {
        let of = line.quantity.get();
        let rest = of - named.iter().filter_map(|own| own.get(&line.line_no)).sum::<i64>();
        if rest > 0 && line.gift_of.is_none() {
            main.pieces.push(Carried { line_no: line.line_no, from: 0, to: rest, of });
        }
    }
    let of = by_number(details);
    let mut before: HashMap<i32, i64> =
        main.pieces.iter().map(|piece| (piece.line_no, piece.to)).collect::<HashMap<_, _>>();
    let further = details.deliveries.iter().zip(named).zip(1..).map(|((one, named), at)| {
        let piece = |(line_no, quantity): (i32, i64)| {
            let from = before.entry(line_no).or_default();
            *from += quantity;
            let of = of.get(&line_no).map_or(0, |line| line.quantity.get());
            Carried { line_no, from: *from - quantity, to: *from, of }
        };
        Parcel {
            at,
            key: Some(one.key.as_str()),
            address: one.address.as_ref(),
            pickup: one.pickup.as_ref(),
            method: one.method.as_deref(),
            pieces: named.into_iter().map(piece).collect(),
        }
    });
    let mut parcels: Vec<Parcel<'_>> = further.collect();
    parcels.insert(0, main);
    // What promotions give goes with the first that has anything.
    let gifts = details.lines.iter().filter(|line| line.gift_of.is_some());
    let gifts = gifts.map(|line| (line.line_no, line.quantity.get()));
    let gifts: Vec<Carried> = gifts.map(|(line_no, of)| Carried { line_no, from: 0, to: of, of }).collect();
    let place = parcels.iter().position(|parcel| !parcel.pieces.is_empty()).unwrap_or_default();
    if let Some(first) = parcels.get_mut(place) {
        first.pieces.extend(gifts);
    }
    parcels
}

/// How many of which lines each further delivery has, by the number of the line: together never more than there are.
fn named(details: &CartDetails) -> Vec<BTreeMap<i32, i64>> {
    let mut left: HashMap<i32, i64> = details
        .lines
        .iter()
        .filter(|line| line.gift_of.is_none())
        .map(|line| (line.line_no, line.quantity.get()))
        .collect();
    let mut take = |portion: &Portion| {
        let left = left.get_mut(&portion.line_no)?;
        let own = portion.quantity.map_or(*left, Quantity::get).min(*left);
        *left -= own;
        (own > 0).then_some((portion.line_no, own))
    };
    details.deliveries.iter().map(|one| one.lines.iter().filter_map(&mut take).collect()).collect()
}

/// The deliveries of a cart that have anything; its first one where none has. An order has them in this order, and each is known by
/// its place.
pub(crate) fn parcels(details: &CartDetails) -> Vec<Parcel<'_>> {
    let mut parcels = all(details);
    if parcels.iter().any(|parcel| !parcel.pieces.is_empty()) {
        parcels.retain(|parcel| !parcel.pieces.is_empty());
    } else {
        parcels.truncate(1);
    }
    parcels
}

/// Calls the deliveries of a cart by their places, as the order has them: their keys may tell who has chosen them. Whether any was called
/// otherwise.
pub(super) fn forget_keys(details: &mut CartDetails) -> bool {
    if details.deliveries.is_empty() {
        return false;
    }
    let mut keys: Vec<String> = Vec::with_capacity(details.deliveries.len() + 1);
    // Those that have anything first: an order has no others.
    for parcel in parcels(details).iter().chain(&all(details)) {
        keys.extend(parcel.key.map(str::to_owned).filter(|key| !keys.contains(key)));
    }
    let names: Vec<(String, String)> = keys.into_iter().zip((0..).map(neutral_key)).collect();
    if names.iter().all(|(was, name)| was == name) {
        return false;
    }
    let called = |was: &str| names.iter().find(|(key, _)| key == was).map(|(_, name)| name.clone());
    details.delivery_key = called(main_key(details));
    for one in &mut details.deliveries {
        one.key = called(&one.key).unwrap_or_default();
    }
    details.totals.iter_mut().for_each(|totals| rename_in(totals, &names));
    true
}

/// Whether a cart has several deliveries.
pub(crate) fn several(cart: &Cart) -> bool {
    !cart.details.deliveries.is_empty()
}

/// The first address of a cart's that somebody lives at.
pub(crate) fn first_address(details: &CartDetails) -> Option<&Address> {
    let mut further = details.deliveries.iter().filter(|delivery| delivery.pickup.is_none());
    details.shipping_address.as_ref().or_else(|| further.find_map(|delivery| delivery.address.as_ref()))
}

/// The country that a cart goes to, by the first of its deliveries of which it is known.
pub(super) fn country(details: &CartDetails) -> Option<Country> {
    if details.deliveries.is_empty() {
        let pickup = details.pickup.as_ref().map(|pickup| pickup.country);
        return pickup.or_else(|| details.shipping_address.as_ref().map(|address| address.country));
    }
    parcels(details).iter().find_map(Parcel::country)
}

/// A cart's deliveries as they are shown; `placed` are those that an order has of them.
pub(super) fn shown(details: &CartDetails, placed: bool) -> Vec<Delivery> {
    // An order has the components of a bundle in the place of its line.
    let mut of_order: HashMap<i32, Vec<(i32, i64)>> = HashMap::new();
    for one in bundles::taken(details).into_iter().filter(|_| placed) {
        let in_one = one.component.map_or(1, |component| component.quantity);
        of_order.entry(one.line.line_no).or_default().push((one.line_no, in_one));
    }
    let lines_of = |line_no: i32, quantity: i64| match of_order.get(&line_no) {
        Some(own) => own
            .iter()
            .map(|(line_no, in_one)| DeliveryLine { line_no: *line_no, quantity: quantity.saturating_mul(*in_one) })
            .collect(),
        None => vec![DeliveryLine { line_no, quantity }],
    };
    if details.deliveries.is_empty() {
        let pickup = details.pickup.as_ref();
        let all = details.lines.iter().flat_map(|line| lines_of(line.line_no, line.quantity.get()));
        return vec![Delivery {
            address: pickup.map_or_else(|| details.shipping_address.clone(), |pickup| pickup.address.clone()),
            method: details.shipping_method.clone(),
            line_nos: sorted(all).iter().map(|line| line.line_no).collect(),
            pickup: pickup.map(|pickup| PickUp { address: None, ..pickup.clone() }),
            ..Delivery::default()
        }];
    }
    let totals = details.totals.as_ref();
    let charged = |key: Option<&str>| {
        let mut parts = totals.into_iter().flat_map(|totals| totals.shipping_parts.iter().chain(&totals.shipping));
        let own = parts.find(|part| part.delivery.is_some() && part.delivery.as_deref() == key)?;
        let (subtotal, discount, net, tax, gross) = (own.subtotal, own.discount, own.net, own.tax, own.gross);
        Some(DeliveryShipping { subtotal, discount, net, tax, gross })
    };
    let all = if placed { parcels(details) } else { all(details) };
    let one = |parcel: Parcel<'_>| {
        let lines = sorted(parcel.pieces.iter().flat_map(|piece| lines_of(piece.line_no, piece.to - piece.from)));
        Delivery {
            key: parcel.key.map(str::to_owned),
            address: parcel.address().cloned(),
            method: parcel.method.map(str::to_owned),
            pickup: parcel.pickup.map(|pickup| PickUp { address: None, ..pickup.clone() }),
            line_nos: lines.iter().map(|line| line.line_no).collect(),
            lines,
            promise: None,
            current_promise: None,
            redirected_at: None,
            shipping: charged(parcel.key),
        }
    };
    all.into_iter().map(one).collect()
}

/// By their numbers.
fn sorted(lines: impl Iterator<Item = DeliveryLine>) -> Vec<DeliveryLine> {
    let mut lines: Vec<DeliveryLine> = lines.collect();
    lines.sort_by_key(|line| line.line_no);
    lines
}

/// Notes where the methods of a cart let its goods be picked up.
pub(super) fn resolve(context: &Context, cart: &mut Cart) {
    let details = &mut cart.details;
    details.pickup = details.shipping_method.as_deref().and_then(|method| pickup(context, method));
    for one in &mut details.deliveries {
        one.pickup = one.method.as_deref().and_then(|method| pickup(context, method));
    }
}

fn pickup(context: &Context, method: &str) -> Option<PickUp> {
    let place = context.rules.shipping_method(context.channel.id, method)?.pickup?;
    let location = context.locations.get(place).ok()?;
    Some(PickUp {
        location_id: location.id,
        location: location.code.clone(),
        name: location.name.clone(),
        country: location.country,
        address: location.site.address.clone(),
    })
}

/// Puts the wanted deliveries in the place of the cart's: the first sets its address and method, none goes back to one.
///
/// # Errors
/// `too_many_deliveries`; `invalid_value` for a key that is there twice, a delivery without lines, or an address where it is picked
/// up; `shipping_method_unavailable`; `line_unknown`, `quantity_invalid`, `quantity_exceeded`.
pub(super) fn replace(context: &Context, cart: &mut Cart, wanted: &[DeliveryRequest]) -> Result<()> {
    if wanted.len() > MOST {
        let detail = format!("a cart has at most {MOST} deliveries");
        return Err(Error::problem(Code::TooManyDeliveries, detail).at("/deliveries"));
    }
    let mut keys: HashSet<&str> = HashSet::new();
    if let Some(place) = wanted.iter().position(|one| !keys.insert(&one.key)) {
        return Err(Error::invalid(format!("/deliveries/{place}/key"), "it is there twice"));
    }
    for (place, one) in wanted.iter().enumerate() {
        check_method(context, one).map_err(|(field, error)| error.at(format!("/deliveries/{place}/{field}")))?;
        if place > 0 && one.lines.is_empty() {
            return Err(Error::invalid(format!("/deliveries/{place}/lines"), "name what is in it"));
        }
    }
    let portions = portions(cart, wanted)?;
    let details = &mut cart.details;
    (details.deliveries, details.delivery_key) = (Vec::new(), None);
    for (place, (one, lines)) in wanted.iter().zip(portions).enumerate() {
        let (address, method) = (one.address.clone(), one.method.clone().map(|code| code.map(Text::into_string)));
        if place == 0 {
            details.shipping_address = address.unwrap_or_else(|| details.shipping_address.take());
            details.shipping_method = method.unwrap_or_else(|| details.shipping_method.take());
            continue;
        }
        details.deliveries.push(FurtherDelivery {
            key: one.key.to_string(),
            address: address.flatten(),
            method: method.flatten(),
            pickup: None,
            lines,
        });
    }
    if !details.deliveries.is_empty() {
        details.delivery_key = wanted.first().map(|one| one.key.to_string());
    }
    Ok(())
}

/// That a delivery's method is one of the channel's, and that nobody says where to ship what is picked up.
fn check_method(context: &Context, wanted: &DeliveryRequest) -> std::result::Result<(), (&'static str, Error)> {
    let Some(Some(code)) = &wanted.method else { return Ok(()) };
    let found = context.rules.shipping_method(context.channel.id, code).filter(|method| method.active);
    let Some(method) = found else {
        let detail = format!("the channel has no shipping method `{code}`");
        return Err(("method", Error::problem(Code::ShippingMethodUnavailable, detail)));
    };
    if method.pickup.is_some() && matches!(wanted.address, Some(Some(_))) {
        let detail = "it is picked up: where that is, its method says";
        return Err(("address", Error::problem(Code::InvalidValue, detail)));
    }
    Ok(())
}

/// What each delivery has of the cart's lines.
fn portions(cart: &Cart, wanted: &[DeliveryRequest]) -> Result<Vec<Vec<Portion>>> {
    let mut left: HashMap<i32, i64> =
        cart.details.lines.iter().map(|line| (line.line_no, line.quantity.get())).collect();
    let mut portions = Vec::with_capacity(wanted.len());
    for (place, one) in wanted.iter().enumerate() {
        let mut own: Vec<Portion> = Vec::with_capacity(one.lines.len());
        for (at, asked) in one.lines.iter().enumerate() {
            let pointer = format!("/deliveries/{place}/lines/{at}");
            let line = line_of(cart, asked).map_err(|(field, error)| error.at(format!("{pointer}/{field}")))?;
            if own.iter().any(|portion| portion.line_no == line.line_no) {
                return Err(Error::invalid(pointer, "the line is there twice"));
            }
            if asked.quantity.is_some_and(Quantity::is_zero) {
                let error = Error::problem(Code::QuantityInvalid, "expected at least one piece");
                return Err(error.at(format!("{pointer}/quantity")));
            }
            let left = left.entry(line.line_no).or_default();
            let pieces = asked.quantity.map_or_else(|| line.quantity.get(), Quantity::get);
            if pieces > *left {
                let detail = format!("only {left} of line {} are left for it", line.line_no);
                let error = Error::problem(Code::QuantityExceeded, detail).with("left", *left);
                return Err(error.with("line_no", line.line_no).at(format!("{pointer}/quantity")));
            }
            *left -= pieces;
            own.push(Portion { line_no: line.line_no, quantity: asked.quantity });
        }
        portions.push(own);
    }
    Ok(portions)
}

/// The line that is meant, by its id or its number.
fn line_of<'c>(
    cart: &'c Cart,
    asked: &DeliveryLineRequest,
) -> std::result::Result<&'c CartLine, (&'static str, Error)> {
    let lines = &cart.details.lines;
    let (field, found) = match (asked.line_id, asked.line_no) {
        (Some(id), None) => ("line_id", lines.iter().find(|line| line.id == id)),
        (None, Some(number)) => ("line_no", lines.iter().find(|line| line.line_no == number)),
        (None, None) => return Err(("line_id", Error::problem(Code::MissingField, "name the line"))),
        (Some(_), Some(_)) => {
            return Err(("line_no", Error::problem(Code::InvalidValue, "name the line by its id or by its number")));
        }
    };
    let line = found.ok_or_else(|| (field, Error::problem(Code::LineUnknown, "the cart has no such line")))?;
    match line.gift_of {
        None => Ok(line),
        Some(_) => {
            let detail = "a promotion gives this line: it goes with the first delivery";
            Err((field, Error::problem(Code::InvalidValue, detail)))
        }
    }
}

/// Takes the further deliveries of another cart over, whose lines are about to become those of a cart that has none: each (`apart`) one of
/// its own, in their order. Where they do not, the other's deliveries are gone, and it is told which.
pub(super) fn take_over(cart: &mut Cart, other: &Cart, apart: bool) -> Vec<Problem> {
    let theirs = &other.details;
    if !apart {
        let gone = |one: &FurtherDelivery| {
            let detail = format!("delivery {} went with the other cart: what was in it goes with the first", one.key);
            note("delivery_gone", detail, "/deliveries")
        };
        return theirs.deliveries.iter().map(gone).collect();
    }
    let own = theirs.lines.iter().filter(|line| line.gift_of.is_none()).map(|line| line.line_no);
    let numbers: HashMap<i32, i32> = own.zip(cart.details.next_line_no..).collect();
    let further = |one: &FurtherDelivery| {
        let portion =
            |portion: &Portion| Some(Portion { line_no: *numbers.get(&portion.line_no)?, quantity: portion.quantity });
        FurtherDelivery { lines: one.lines.iter().filter_map(portion).collect(), ..one.clone() }
    };
    cart.details.deliveries = theirs.deliveries.iter().map(further).collect();
    cart.details.delivery_key.clone_from(&theirs.delivery_key);
    Vec::new()
}

/// Takes from the further deliveries what the cart has no more, and tells of it. One that has nothing left goes.
pub(super) fn fit(cart: &mut Cart) -> Vec<Problem> {
    if !several(cart) {
        return Vec::new();
    }
    let named = named(&cart.details);
    let mut changes = Vec::new();
    let mut kept = Vec::with_capacity(named.len());
    for (mut one, named) in std::mem::take(&mut cart.details.deliveries).into_iter().zip(named) {
        one.lines.retain_mut(|portion| {
            let has = named.get(&portion.line_no).copied().unwrap_or_default();
            if portion.quantity.is_some_and(|asked| asked.get() > has) {
                let detail = format!("delivery {} has {has} of line {} from now on", one.key, portion.line_no);
                changes.push(note("delivery_changed", detail, "/deliveries"));
            }
            portion.quantity = portion.quantity.map(|asked| Quantity::new(has).unwrap_or(asked));
            has > 0
        });
        match one.lines.is_empty() {
            true => {
                let detail = format!("nothing is left of delivery {}", one.key);
                changes.push(note("delivery_gone", detail, "/deliveries"));
            }
            false => kept.push(one),
        }
    }
    cart.details.deliveries = kept;
    if !several(cart) {
        cart.details.delivery_key = None;
    }
    changes
}

/// What is wrong with where a cart goes.
pub(super) fn misplaced(context: &Context, cart: &Cart, variants: &HashMap<VariantId, Variant>) -> Vec<Problem> {
    let (of, mut problems) = (by_number(&cart.details), Vec::new());
    let mut first: Option<Country> = None;
    for parcel in parcels(&cart.details) {
        let (ships, country) = (parcel.ships(&of, variants), parcel.country());
        let field = if parcel.pickup.is_some() { "method" } else { "address" };
        match country {
            None if ships && parcel.pickup.is_none() => {
                let detail = "it is not known where it goes";
                problems.push(blocking("address_missing", detail, parcel.pointer("address")));
            }
            Some(country) if !context.channel.settings.countries.contains(&country) => {
                let detail = format!("this channel does not deliver to {country}");
                let pointer = parcel.pointer(field);
                let pointer = if parcel.pickup.is_some() { pointer } else { format!("{pointer}/country") };
                problems.push(blocking(Code::CountryNotServed.as_str(), detail, pointer));
            }
            Some(country) if first.is_some_and(|first| first != country) => {
                let detail = "one order is taxed in one country: make two carts of it";
                problems.push(blocking("deliveries_in_several_countries", detail, parcel.pointer(field)));
            }
            _ => {}
        }
        first = first.or(country);
    }
    problems
}

/// Which deliveries have no method, or one that lets nobody pick anything up now.
pub(super) fn unmoved(context: &Context, cart: &Cart, variants: &HashMap<VariantId, Variant>) -> Vec<Problem> {
    let (of, mut problems) = (by_number(&cart.details), Vec::new());
    for parcel in parcels(&cart.details) {
        let Some(method) = parcel.method else {
            if parcel.ships(&of, variants) {
                let detail = "choose one of the shipping-options";
                problems.push(blocking("shipping_method_missing", detail, parcel.pointer("method")));
            }
            continue;
        };
        let place = context.rules.shipping_method(context.channel.id, method).and_then(|method| method.pickup);
        let closed = place.is_some_and(|id| !context.locations.get(id).is_ok_and(|location| location.active));
        if closed {
            let detail = format!("nothing can be picked up by {method} now");
            problems.push(blocking(Code::LocationInactive.as_str(), detail, parcel.pointer("method")));
        }
    }
    problems
}

/// The place of a delivery among the cart's, as problems point at it.
pub(super) fn pointer_of(cart: &Cart, key: Option<&str>) -> String {
    let found = all(&cart.details).into_iter().find(|parcel| parcel.key == key);
    found.map_or_else(|| "/shipping_method".to_owned(), |parcel| parcel.pointer("method"))
}

/// Where more is to be picked up than lies there. One statement where anything is picked up, else none; what the cart holds itself is
/// not told apart, so of one that holds anything nothing is told.
pub(super) fn short(
    tx: &mut Tx,
    (context, cart): (&Context, &Cart),
    variants: &HashMap<VariantId, Variant>,
    selling: stock::Selling,
) -> Result<Vec<Problem>> {
    let details = &cart.details;
    let any = details.pickup.is_some() || details.deliveries.iter().any(|one| one.pickup.is_some());
    if !any || details.frozen_until.is_some() {
        return Ok(Vec::new());
    }
    let needs = bundles::needs(cart, variants);
    let (available, parcels) = (stock::look_for(tx, &needs, selling)?, parcels(details));
    let mut left = available;
    let mut problems = Vec::new();
    for need in &needs {
        let parcel = usize::try_from(need.delivery).ok().and_then(|number| parcels.get(number));
        let Some(pickup) = parcel.and_then(|parcel| parcel.pickup) else { continue };
        let place = context.locations.get(pickup.location_id).map(|place| &place.site.capabilities);
        let missing = place.map(|has| need.requires.missing_at(has)).unwrap_or_default();
        if !missing.is_empty() {
            let detail = format!(
                "it can not be picked up at {}: {} is not to be had there",
                pickup.location,
                missing.join(", ")
            );
            problems.push(blocking(Code::NotCapable.as_str(), detail, format!("/lines/{}", need.place)));
            continue;
        }
        if !need.tracked || need.backorder {
            continue;
        }
        let left = left.entry((need.variant, pickup.location_id)).or_default();
        let gift = details.lines.get(need.place).is_some_and(|line| line.gift_of.is_some());
        if *left < need.quantity && !gift {
            let sku = variants.get(&need.variant).map(|variant| variant.sku.as_str()).unwrap_or_default();
            let detail = format!("{} of {sku} are at {}, where it is picked up", (*left).max(0), pickup.location);
            let pointer = format!("/lines/{}/quantity", need.place);
            problems.push(blocking(Code::OutOfStock.as_str(), detail, pointer));
        }
        *left -= need.quantity;
    }
    Ok(problems)
}

/// The locations at which something of a cart is picked up.
pub(super) fn pickups(details: &CartDetails) -> Vec<LocationId> {
    let all = details.pickup.iter().chain(details.deliveries.iter().filter_map(|one| one.pickup.as_ref()));
    all.map(|pickup| pickup.location_id).collect()
}

/// How many pieces of each line go with which deliveries, by the number of the line; `None` where there is one delivery.
pub(super) fn portions_of(details: &CartDetails) -> Option<HashMap<i32, Vec<(i32, i64)>>> {
    if details.deliveries.is_empty() {
        return None;
    }
    let mut portions: HashMap<i32, Vec<(i32, i64)>> = HashMap::with_capacity(details.lines.len());
    for (delivery, parcel) in (0..).zip(parcels(details)) {
        for piece in &parcel.pieces {
            portions.entry(piece.line_no).or_default().push((delivery, piece.to - piece.from));
        }
    }
    Some(portions)
}

/// The shipping that is asked for, by delivery: of those that have a method.
pub(super) fn requests(cart: &Cart, variants: &HashMap<VariantId, Variant>) -> Vec<ShippingRequest> {
    let request = |parcel: Parcel<'_>| {
        let (code, weight_grams) = (parcel.method?.to_owned(), parcel.weight(cart, variants));
        let (delivery, free) = (parcel.key.map(str::to_owned), cart.details.free_shipping);
        Some(ShippingRequest { code, weight_grams, delivery, carries: parcel.pieces, free })
    };
    parcels(&cart.details).into_iter().filter_map(request).collect()
}
