//! What a cart tells of itself to whoever decides where its goods come from.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    bundles,
    deliveries::{self, Parcel},
    dto::{DeliveryOptions, ShippingChoice, ShippingOptions},
    model::{Cart, CartDetails, CartState},
    pricing::{self, Context, Priced},
    promise::{self, Origin},
};
use crate::{
    customers,
    db::Tx,
    error::{Code, Result},
    kernel::{Country, Instant, Money, ids::LocationId},
    pricing::{
        ShippingOption,
        model::{LineTotals, Step},
        sort_options,
    },
    stock::{
        self, Available, LevelKey, Locations, Need, Selling, Share, Spot,
        sourcing::{self, Facts, LineFacts, Sources},
    },
};

/// What is known of a cart that is to be placed. No statement, unless the live profile asks for the customer's group and the cart
/// was not priced in this transaction.
///
/// # Errors
/// What the database says.
pub(crate) fn facts(tx: &mut Tx, context: &Context, cart: &Cart, priced: &Priced) -> Result<Facts> {
    let live = context.locations.profile_of(cart.channel);
    let settings = &context.channel.settings;
    let asks = live.is_some_and(|profile| profile.document.asks_for_groups())
        || settings.min_shelf_life.as_ref().is_some_and(|life| !life.groups.is_empty());
    let customer_group = match (&priced.group, cart.customer) {
        (Some(group), _) => group.clone(),
        (None, Some(customer)) if asks => customers::standing(tx, customer)?.group,
        _ => None,
    };
    let details = &cart.details;
    let line = |one: bundles::Taken<'_>| {
        let grams = priced.variants.get(&one.variant).map_or(0, |variant| variant.weight_grams);
        (one.line_no, LineFacts { grams, metadata: one.line.metadata.clone() })
    };
    // Without a profile nobody looks at the lines.
    let lines = if live.is_some() { bundles::taken(details).into_iter().map(line).collect() } else { HashMap::new() };
    let lines = Arc::new(lines);
    let amounts = cost_of_lines(details);
    let whole = Facts {
        channel: cart.channel,
        country: pricing::destination(context, cart, true),
        postcode: None,
        value: amounts.as_ref().map(|amounts| Money::from_minor(sum(amounts), cart.currency)),
        keeps_until: Selling::of(&context.channel, customer_group.as_deref(), context.now).keeps_until,
        customer_group,
        tags: sourcing::tags(&details.metadata),
        at: details.occurred_at.unwrap_or(context.now),
        lines,
        weight_grams: 0,
        only: None,
        further: Vec::new(),
    };
    let bill = details.billing_address.as_ref();
    let several = deliveries::several(cart);
    let of = |parcel: &Parcel<'_>| Facts {
        country: parcel.country().unwrap_or(whole.country),
        postcode: parcel.address().or(bill).map(|address| address.postcode.to_string()),
        value: match &amounts {
            Some(amounts) if several => Some(Money::from_minor(parcel.value(amounts), cart.currency)),
            _ => whole.value,
        },
        weight_grams: parcel.weight(cart, &priced.variants),
        only: parcel.pickup.map(|pickup| pickup.location_id),
        ..whole.clone()
    };
    let mut all = deliveries::parcels(details).iter().map(of).collect::<Vec<_>>().into_iter();
    let first = all.next().unwrap_or(whole);
    Ok(Facts { further: all.collect(), ..first })
}

/// What each line costs after discount, by its number; nothing while the cart has no price.
fn cost_of_lines(details: &CartDetails) -> Option<HashMap<i32, i64>> {
    let totals = details.totals.as_ref()?;
    let cost = |line: &LineTotals| (line.line_no, line.subtotal.minor() - line.discount.minor());
    Some(totals.lines.iter().map(cost).collect())
}

fn sum(amounts: &HashMap<i32, i64>) -> i64 {
    amounts.values().copied().fold(0, i64::saturating_add)
}

/// The shipping methods that a cart is offered, at what they cost it and with by when its goods arrive; of several deliveries each's.
/// Those to pick it up cost what they do in the country of their location. Which are chosen is taken off it.
///
/// # Errors
/// What the database says.
pub(super) fn offered(tx: &mut Tx, context: &Context, cart: &mut Cart) -> Result<ShippingOptions> {
    cart.details.shipping_method = None;
    cart.details.deliveries.iter_mut().for_each(|one| one.method = None);
    let priced = pricing::reprice(tx, context, cart, false)?;
    let sources = ships_from(tx, context, (cart, &priced))?;
    let abroad = abroad(tx, context, cart, &priced)?;
    let parcels = deliveries::parcels(&cart.details);
    let mut all = Vec::with_capacity(parcels.len());
    for ((number, parcel), at) in (0..).zip(&parcels).zip(0..) {
        let mut offered = at_their_price(context, cart, &priced, at);
        for (country, there, priced) in &abroad {
            let other = at_their_price(context, there, priced, at);
            let is_there = |option: &ShippingOption| picked_up_in(context, option.pickup_location_id) == Some(*country);
            offered.retain(|option| !is_there(option));
            offered.extend(other.into_iter().filter(is_there));
        }
        sort_options(&mut offered);
        all.push((parcel.key, choices((context, cart), offered, &sources, number)));
    }
    let items = all.first().map(|(_, items)| items.clone()).unwrap_or_default();
    let option =
        |(key, items): (Option<&str>, Vec<ShippingChoice>)| Some(DeliveryOptions { key: key?.to_owned(), items });
    Ok(ShippingOptions { items, deliveries: all.into_iter().filter_map(option).collect() })
}

/// The country of the location where goods are picked up.
fn picked_up_in(context: &Context, location: Option<LocationId>) -> Option<Country> {
    context.locations.get(location?).ok().map(|location| location.country)
}

/// The cart as it is priced where its goods are picked up in another country than it goes to, once for each such country: that is where
/// all of it is taxed when such a method is chosen. No statement where there is none.
fn abroad(tx: &mut Tx, context: &Context, cart: &Cart, priced: &Priced) -> Result<Vec<(Country, Cart, Priced)>> {
    let home = priced.sale.as_ref().map(|sale| sale.destination);
    let mut methods: BTreeMap<Country, &str> = BTreeMap::new();
    let offered = context.rules.shipping_methods.of(cart.channel).iter().filter(|one| one.active);
    for method in offered {
        if let Some(country) = picked_up_in(context, method.pickup).filter(|country| Some(*country) != home) {
            methods.entry(country).or_insert(method.code.as_str());
        }
    }
    let mut all = Vec::with_capacity(methods.len());
    for (country, method) in methods {
        let mut there = cart.clone();
        there.details.shipping_method = Some(method.to_owned());
        there.details.deliveries.iter_mut().for_each(|one| one.method = Some(method.to_owned()));
        let known = priced.variants.values().cloned().collect();
        let priced = pricing::reprice_with(tx, context, &mut there, known, false)?;
        all.push((country, there, priced));
    }
    Ok(all)
}

/// The methods of the delivery at a place at what they cost a cart that was priced.
fn at_their_price(context: &Context, cart: &Cart, priced: &Priced, at: usize) -> Vec<ShippingOption> {
    let (parcels, amounts) = (deliveries::parcels(&cart.details), cost_of_lines(&cart.details).unwrap_or_default());
    let own = parcels.get(at).filter(|_| deliveries::several(cart));
    // As the quote has it: what is offered here is what is charged then.
    let value = own.map_or_else(|| sum(&amounts), |parcel| parcel.value(&amounts));
    pricing::shipping_options(context, (cart, own), priced, Money::from_minor(value, cart.currency))
}

/// What is still to come.
struct Coming {
    /// When it comes to the levels that it is waited for at: none where nobody knows.
    at: HashMap<LevelKey, Option<Instant>>,
    /// The shares that wait for it.
    awaited: BTreeSet<Spot>,
}

/// Where the goods of a cart would come from, or where they are held for it.
struct ComesFrom {
    shares: Vec<Share>,
    coming: Coming,
    /// What it needs and where that is available: of a cart that holds its goods only where something can be picked up.
    wanted: Option<Box<Wanted>>,
}

/// What a cart needs, and what is available where.
struct Wanted {
    needs: Vec<Need>,
    facts: Facts,
    available: Available,
}

/// Where a delivery's goods would come from.
enum Comes {
    /// From these locations, and from when on; none where something of it is nowhere, or nobody knows when it comes.
    From(Vec<Origin>),
    /// Not by this method: they do not lie where they are to be picked up, and do not come there.
    Not(Step),
}

impl ComesFrom {
    fn of(&self, cart: &Cart, locations: &Locations, number: i32, pickup: Option<LocationId>) -> Comes {
        let own: Vec<Share> = self.shares.iter().filter(|share| share.delivery == number).cloned().collect();
        let origins = promise::origins(&own, (&self.coming.at, &self.coming.awaited)).unwrap_or_default();
        let Some(pickup) = pickup else { return Comes::From(origins) };
        let there = !own.is_empty() && own.iter().all(|share| share.location == pickup);
        match &self.wanted {
            Some(wanted) if !there => wanted.picked_up(cart, locations, number, pickup),
            _ => Comes::From(if there { origins } else { Vec::new() }),
        }
    }
}

impl Wanted {
    /// The same where all of it is to be picked up at a location.
    fn picked_up(&self, cart: &Cart, locations: &Locations, number: i32, pickup: LocationId) -> Comes {
        let own: Vec<Need> = self.needs.iter().filter(|need| need.delivery == number).cloned().collect();
        if own.is_empty() {
            return Comes::From(Vec::new());
        }
        let facts = Facts { only: Some(pickup), further: Vec::new(), ..self.facts.of_delivery(number).clone() };
        match sourcing::try_plan(&own, Sources::of(locations, &facts), &self.available) {
            // When it comes there nobody has looked up.
            Ok(plan) if !plan.waits_at().is_empty() => Comes::From(Vec::new()),
            Ok(_) => Comes::From(vec![Origin { location: pickup, comes: None }]),
            Err(error) => {
                let place = locations.get(pickup).map(|location| location.code.as_str()).unwrap_or_default();
                let text = bundles::not_there(cart, &error, place);
                Comes::Not(Step::new(error.code().as_str(), text))
            }
        }
    }
}

/// Where a cart's goods would come from, or are held already. One statement or two, and three more where something is still to come.
fn ships_from(tx: &mut Tx, context: &Context, (cart, priced): (&Cart, &Priced)) -> Result<ComesFrom> {
    let (now, locations) = (context.now, &context.locations);
    let holds = cart.state == CartState::Frozen && cart.details.frozen_until.is_some_and(|until| until > context.now);
    if holds {
        let (shares, sourcing) = stock::held_at(tx, cart.id)?;
        let awaited = stock::awaited(&shares, &sourcing);
        let at = stock::outlook::coming(tx, now, locations, &stock::waits_at(&shares, &sourcing))?;
        let mut offered = context.rules.shipping_methods.iter().filter(|one| one.channel == cart.channel && one.active);
        let wanted = match offered.any(|one| one.pickup.is_some()) {
            true => Some(Box::new(wanted(tx, context, (cart, priced), &shares)?)),
            false => None,
        };
        return Ok(ComesFrom { shares, coming: Coming { at, awaited }, wanted });
    }
    let wanted = wanted(tx, context, (cart, priced), &[])?;
    let plan = match sourcing::try_plan(&wanted.needs, Sources::of(locations, &wanted.facts), &wanted.available) {
        Ok(plan) => plan,
        Err(error) if matches!(error.code(), Code::OutOfStock | Code::LocationInactive | Code::NotCapable) => {
            sourcing::Replanned::default()
        }
        Err(error) => return Err(error),
    };
    let at = stock::outlook::coming(tx, now, locations, &plan.waits_at())?;
    let coming = Coming { at, awaited: plan.awaited() };
    Ok(ComesFrom { shares: plan.shares, coming, wanted: Some(Box::new(wanted)) })
}

/// What a cart needs and where it is available to it: what it holds counts. One statement.
fn wanted(tx: &mut Tx, context: &Context, (cart, priced): (&Cart, &Priced), held: &[Share]) -> Result<Wanted> {
    let (needs, facts) = (bundles::needs(cart, &priced.variants), facts(tx, context, cart, priced)?);
    let mut available = stock::look(tx, context.now, &needs, Sources::of(&context.locations, &facts))?;
    for share in held.iter().filter(|share| share.tracked) {
        *available.entry((share.variant, share.location)).or_default() += share.quantity;
    }
    Ok(Wanted { needs, facts, available })
}

/// A method by which goods are picked up, unavailable while its location is switched off.
fn open_only(option: ShippingOption, locations: &Locations) -> ShippingOption {
    let open = |id: LocationId| locations.get(id).is_ok_and(|location| location.active);
    if option.pickup_location_id.is_none_or(open) {
        return option;
    }
    let reason = option.reason.or_else(|| Some(Step::new("location_inactive", "nothing can be picked up there now")));
    ShippingOption { available: false, price: None, reason, ..option }
}

/// The shipping methods of a delivery with by when its goods arrive.
fn choices(
    (context, cart): (&Context, &Cart),
    offered: Vec<ShippingOption>,
    sources: &ComesFrom,
    number: i32,
) -> Vec<ShippingChoice> {
    let locations = &context.locations;
    let (country, at) = (pricing::destination(context, cart, true), cart.details.occurred_at.unwrap_or(context.now));
    let choice = |option: ShippingOption| {
        let option = open_only(option, locations);
        let (option, from) = match option.available {
            true => match sources.of(cart, locations, number, option.pickup_location_id) {
                Comes::From(from) => (option, from),
                Comes::Not(why) => {
                    (ShippingOption { available: false, price: None, reason: Some(why), ..option }, Vec::new())
                }
            },
            false => (option, Vec::new()),
        };
        let to = (option.code.as_str(), picked_up_in(context, option.pickup_location_id).unwrap_or(country));
        let promised = || promise::promise((&context.rules, &context.channel), to, (locations, &from), at);
        ShippingChoice { delivery: if from.is_empty() { None } else { promised() }, option }
    };
    offered.into_iter().map(choice).collect()
}
