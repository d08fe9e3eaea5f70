//! Orders that are tried out: made up, with several deliveries, or such as are there already. Nothing is taken and nothing is written.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use actix_web::{post, web};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    super::{
        model::{LevelKey, Locations, Need, Selling, Share},
        plan::NoPlan,
        trace::{Sourcing, shown},
    },
    document::ProfileDocument,
    model::{Facts, LineFacts, unknown_location},
    service::{self, Replanned, Rules},
};
use crate::{
    catalog::{self, BackorderPolicy, Component, StockPolicy, Variant},
    channels::{Channel, Directory},
    db::Tx,
    error::{Code, Error, Result},
    http::{Body, Call, Mount, Reply},
    kernel::{
        Actor, Capabilities, Country, Instant, Money, Quantity, Scope,
        ids::{ChannelId, LocationId, SourcingProfileId, VariantId},
        text::{Sku, Text},
    },
};

/// What is tried out: what is to be planned, for whom, and how it is called in the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// What is to be planned.
    pub needs: Vec<Need>,
    /// What is known of it and of its further deliveries.
    pub facts: Facts,
    /// What is allocated to it already of what is to be planned.
    pub own: Vec<(LevelKey, i64)>,
    /// The lines by which those of the needs are told, where these are other ones.
    pub lines: HashMap<i32, i32>,
    /// The SKUs of what is to be planned and of what stays.
    pub skus: HashMap<VariantId, String>,
    /// The keys of its deliveries, in their order; of one that has none nothing.
    pub keys: Vec<Option<String>>,
    /// What stays where it is, for it is begun there.
    pub stays: Vec<Share>,
}

impl Trial {
    fn line(&self, line_no: i32) -> i32 {
        self.lines.get(&line_no).copied().unwrap_or(line_no)
    }

    fn share(&self, share: &Share, locations: &Locations) -> Result<SimulatedShare> {
        let key = usize::try_from(share.delivery).ok().and_then(|number| self.keys.get(number));
        Ok(SimulatedShare {
            line_no: self.line(share.line_no),
            sku: self.skus.get(&share.variant).cloned().unwrap_or_default(),
            delivery: key.cloned().flatten(),
            location: locations.get(share.location)?.code.clone(),
            location_id: share.location,
            quantity: share.quantity,
        })
    }
}

/// An order that is there, by its id, number or foreign reference, as it is tried out at an instant: asked of whoever knows orders.
#[derive(Clone, Copy)]
pub struct PlacedOrders(pub fn(&mut Tx, &Actor, Instant, &str, &Locations) -> Result<Trial>);

/// A line of an order to try out.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SimulatedLine {
    /// The SKU.
    sku: Sku,
    /// How many.
    quantity: Quantity,
    /// What others have noted of the line: a strategy may keep lines together by it.
    #[serde(default)]
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

/// What a delivery has of a line.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeliveredLine {
    /// The line, counted from 1.
    #[schema(minimum = 1)]
    line_no: i32,
    /// How many pieces of it; all of them where it is left out.
    #[schema(value_type = Option<i64>, minimum = 1)]
    quantity: Option<Quantity>,
}

/// One of several deliveries of an order to try out.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SimulatedDelivery {
    /// What it is called.
    #[schema(value_type = String, min_length = 1, max_length = 50)]
    key: Text<50>,
    /// Where it goes; the order's `country` where it is left out.
    country: Option<Country>,
    /// The postcode there; the order's where it is left out.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 20)]
    postcode: Option<Text<20>>,
    /// The code of the location at which it is picked up, if it is.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    pickup: Option<Text<50>>,
    /// What it has of the lines. The first delivery names none: it has whatever the others do not.
    #[serde(default)]
    #[schema(max_items = 1_000)]
    lines: Vec<DeliveredLine>,
}

/// An order to try out, and by which rules: one that is there (`order`), or one that is made up (`channel_id`, `country`, `lines`).
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"channel_id": "chan_01h455vb4pex5vsknk084sn02q", "country": "DE", "postcode": "28195",
    "lines": [{"sku": "TEE-BLACK-M", "quantity": 2}], "document": {"strategies": [{"name": "fewest parcels"}]}}))]
struct SimulateSourcing {
    /// An order that is there, by its id, its number or a foreign reference: what is not begun of it is planned as if it had just been
    /// placed. Nothing else is said of it then but by which rules and without which locations. Needs the scope `orders:read` too.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    order: Option<Text<200>>,
    /// The order's channel.
    channel_id: Option<ChannelId>,
    /// Where it goes.
    country: Option<Country>,
    /// The postcode there.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 20)]
    postcode: Option<Text<20>>,
    /// What it asks for.
    #[serde(default)]
    #[schema(max_items = 1_000)]
    lines: Vec<SimulatedLine>,
    /// Its deliveries, where it has several: each is planned by itself, those that are picked up first, and no piece twice. The `value` is
    /// that of the whole for each.
    #[serde(default)]
    #[schema(max_items = 10)]
    deliveries: Vec<SimulatedDelivery>,
    /// What the goods cost.
    value: Option<Money>,
    /// The customer's group.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    customer_group: Option<Text<100>>,
    /// The cart's tags.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 100)]
    tags: Vec<Text<100>>,
    /// When it is placed; now where it is left out.
    at: Option<Instant>,
    /// Locations that are not to ship it, by their codes.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 500)]
    without: Vec<Text<50>>,
    /// By this version, live or not.
    profile_id: Option<SourcingProfileId>,
    /// By these rules, which are no version yet. Without either, by what is live.
    document: Option<ProfileDocument>,
}

/// Which pieces of a line come from where.
#[derive(Debug, Serialize, ToSchema)]
struct SimulatedShare {
    /// The line, counted from 1.
    line_no: i32,
    /// The SKU: of a bundle's line that of a component.
    sku: String,
    /// The key of the delivery that they are for; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<String>,
    /// The location's code.
    location: String,
    /// The location's id.
    location_id: LocationId,
    /// How many pieces.
    quantity: i64,
}

/// Why an order would be refused.
#[derive(Debug, Serialize, ToSchema)]
struct SimulatedRefusal {
    /// The code of the problem that a checkout would answer with.
    code: &'static str,
    /// The line that is short; absent where no location ships the order at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    line_no: Option<i32>,
    /// How many of it there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<i64>,
    /// What its goods require, where nobody who ships it can do that (`not_capable`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<String>,
}

/// What an order that was tried out comes to.
#[derive(Debug, Serialize, ToSchema)]
struct SimulatedSourcing {
    /// Whether it would be placed.
    planned: bool,
    /// From how many locations.
    parcels: usize,
    /// Which pieces come from where.
    shares: Vec<SimulatedShare>,
    /// Of an order that is there: what stays where it is, for it is begun there or was said to be shipped from there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stays: Vec<SimulatedShare>,
    /// Why it would be refused; absent where it would be placed.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<SimulatedRefusal>,
    /// Why its pieces come from where they do: of the lines of which there is something to tell.
    sourcing: Vec<Sourcing>,
}

/// How many pieces of which delivery.
type Portion = (i32, i64);

impl SimulateSourcing {
    /// What its deliveries have of each line, by the places of both.
    fn portions(&self) -> Result<Vec<Vec<Portion>>> {
        let mut left: Vec<i64> = self.lines.iter().map(|line| line.quantity.get()).collect();
        let mut portions: Vec<Vec<Portion>> = vec![Vec::new(); left.len()];
        for (number, delivery) in (1_i32..).zip(self.deliveries.iter().skip(1)) {
            for (at, line) in delivery.lines.iter().enumerate() {
                let pointer = format!("/deliveries/{number}/lines/{at}");
                let place = usize::try_from(line.line_no).ok().and_then(|line_no| line_no.checked_sub(1));
                let found = place.and_then(|place| Some((left.get_mut(place)?, portions.get_mut(place)?)));
                let Some((left, portions)) = found else {
                    let error = Error::problem(Code::LineUnknown, "there is no such line");
                    return Err(error.at(format!("{pointer}/line_no")));
                };
                let pieces = line.quantity.map_or(*left, Quantity::get);
                if pieces < 1 || pieces > *left {
                    let detail = format!("only {left} of line {} are left for it", line.line_no);
                    let error = Error::problem(Code::QuantityExceeded, detail).with("left", *left);
                    return Err(error.at(format!("{pointer}/quantity")));
                }
                *left -= pieces;
                portions.push((number, pieces));
            }
        }
        for (left, portions) in left.into_iter().zip(&mut portions) {
            if left > 0 {
                portions.insert(0, (0, left));
            }
        }
        Ok(portions)
    }

    /// What its lines need, and what is known of it.
    fn read(
        &self,
        variants: &HashMap<String, Variant>,
        (channel, locations): (&Channel, &Locations),
        now: Instant,
    ) -> Result<Trial> {
        let (mut needs, mut lines) = (Vec::with_capacity(self.lines.len()), HashMap::new());
        let mut weights: Vec<i64> = vec![0; self.deliveries.len().max(1)];
        let mut told: HashMap<i32, i32> = HashMap::new();
        let mut last = i32::try_from(self.lines.len()).map_err(Error::internal)?;
        for (place, (line, portions)) in self.lines.iter().zip(self.portions()?).enumerate() {
            let unknown = || {
                let error = Error::problem(Code::SkuUnknown, format!("there is no variant `{}`", &*line.sku));
                error.at(format!("/lines/{place}/sku"))
            };
            let variant = variants.get(&*line.sku).ok_or_else(unknown)?;
            let own = i32::try_from(place + 1).map_err(Error::internal)?;
            for (delivery, pieces) in &portions {
                let weight = usize::try_from(*delivery).ok().and_then(|number| weights.get_mut(number));
                let more = variant.weight_grams.saturating_mul(*pieces);
                weight.into_iter().for_each(|weight| *weight = weight.saturating_add(more));
            }
            for (part, in_one) in parts(variant, variants) {
                // A line keeps its number; what a bundle is made of is numbered behind all of them.
                last += i32::from(variant.is_bundle());
                let line_no = if variant.is_bundle() { last } else { own };
                told.insert(line_no, own);
                lines.insert(line_no, LineFacts { grams: part.weight_grams, metadata: line.metadata.clone() });
                let tracked = part.stock_policy == StockPolicy::Tracked;
                if !part.requires_shipping && !tracked {
                    continue;
                }
                needs.extend(portions.iter().map(|(delivery, pieces)| Need {
                    place,
                    line_no,
                    delivery: *delivery,
                    variant: part.id,
                    quantity: pieces.saturating_mul(in_one),
                    tracked,
                    backorder: part.backorder_policy == BackorderPolicy::Allow,
                    requires: part.requires.clone(),
                }));
            }
        }
        let whole = self.facts((channel, now), Arc::new(lines))?;
        let mut all = Vec::with_capacity(weights.len());
        for (at, weight_grams) in weights.into_iter().enumerate() {
            let of = self.deliveries.get(at);
            let pickup = of.and_then(|one| one.pickup.as_ref());
            let pickup = pickup.map(|code| located(locations, code, format!("/deliveries/{at}/pickup"))).transpose()?;
            let only = pickup.and_then(|id| locations.get(id).ok());
            let country = only.map(|place| place.country).or_else(|| of.and_then(|one| one.country));
            all.push(Facts {
                country: country.unwrap_or(whole.country),
                postcode: of
                    .and_then(|one| one.postcode.as_ref())
                    .map(ToString::to_string)
                    .or_else(|| whole.postcode.clone()),
                only: only.map(|place| place.id),
                weight_grams,
                ..whole.clone()
            });
        }
        let mut all = all.into_iter();
        let first = all.next().unwrap_or(whole);
        Ok(Trial {
            needs,
            facts: Facts { further: all.collect(), ..first },
            own: Vec::new(),
            lines: told,
            skus: variants.values().map(|variant| (variant.id, variant.sku.clone())).collect(),
            keys: self.deliveries.iter().map(|one| Some(one.key.to_string())).collect(),
            stays: Vec::new(),
        })
    }

    /// What is known of it apart from its deliveries.
    fn facts(&self, (channel, now): (&Channel, Instant), lines: Arc<HashMap<i32, LineFacts>>) -> Result<Facts> {
        let at = self.at.unwrap_or(now);
        let missing = || Error::problem(Code::MissingField, "say where it goes").at("/country");
        Ok(Facts {
            channel: channel.id,
            country: self.country.ok_or_else(missing)?,
            postcode: self.postcode.as_ref().map(ToString::to_string),
            value: self.value,
            customer_group: self.customer_group.as_ref().map(ToString::to_string),
            tags: self.tags.iter().map(ToString::to_string).collect(),
            at,
            keeps_until: Selling::of(channel, self.customer_group.as_deref(), at).keeps_until,
            lines,
            weight_grams: 0,
            only: None,
            further: Vec::new(),
        })
    }

    /// That nothing is made up of an order that is there.
    fn says_nothing(&self) -> Result<()> {
        let said = [
            ("channel_id", self.channel_id.is_some()),
            ("country", self.country.is_some()),
            ("postcode", self.postcode.is_some()),
            ("lines", !self.lines.is_empty()),
            ("deliveries", !self.deliveries.is_empty()),
            ("value", self.value.is_some()),
            ("customer_group", self.customer_group.is_some()),
            ("tags", !self.tags.is_empty()),
            ("at", self.at.is_some()),
        ];
        match said.into_iter().find(|(_, is_said)| *is_said) {
            Some((field, _)) => Err(Error::invalid(format!("/{field}"), "the order says that itself: leave it out")),
            None => Ok(()),
        }
    }

    /// That its deliveries are called differently, and name what is in them.
    fn check_deliveries(&self) -> Result<()> {
        let mut keys: BTreeSet<&str> = BTreeSet::new();
        for (place, one) in self.deliveries.iter().enumerate() {
            let wrong = |field: &str, detail: &str| Err(Error::invalid(format!("/deliveries/{place}/{field}"), detail));
            if !keys.insert(&one.key) {
                return wrong("key", "it is there twice");
            }
            if (place == 0) != one.lines.is_empty() {
                return wrong(
                    "lines",
                    "the first delivery has whatever the others do not name; each other names its own",
                );
            }
        }
        Ok(())
    }

    /// The locations that are not to ship it.
    fn without(&self, locations: &Locations) -> Result<Vec<LocationId>> {
        let all = self.without.iter().enumerate();
        all.map(|(place, code)| located(locations, code, format!("/without/{place}"))).collect()
    }

    fn check(&self, locations: &Locations) -> Result<()> {
        for (list, has, most) in [
            ("/lines", self.lines.len(), 1_000),
            ("/tags", self.tags.len(), 100),
            ("/without", self.without.len(), 500),
            ("/deliveries", self.deliveries.len(), 10),
        ] {
            if has > most {
                return Err(Error::invalid(list, format!("expected at most {most}")));
            }
        }
        if self.order.is_some() {
            self.says_nothing()?;
        } else if self.lines.is_empty() {
            return Err(Error::invalid("/lines", "expected at least one"));
        } else if let Some(place) = self.lines.iter().position(|line| line.quantity.is_zero()) {
            let error = Error::problem(Code::QuantityInvalid, "expected at least one piece");
            return Err(error.at(format!("/lines/{place}/quantity")));
        }
        self.check_deliveries()?;
        if self.profile_id.is_some() && self.document.is_some() {
            return Err(Error::invalid("/document", "send a profile_id or a document, not both"));
        }
        self.document.as_ref().map_or(Ok(()), |document| service::check(document, locations))
    }

    fn rules(&self, tx: &mut Tx, actor: &Actor) -> Result<Rules> {
        match (&self.profile_id, &self.document) {
            (Some(id), _) => {
                let found = service::visible(tx, actor, *id).map_err(|error| error.at("/profile_id"))?;
                Ok(Rules::Of(found.code, found.version, Box::new(found.document)))
            }
            // What is no version yet has no name and no number.
            (None, Some(document)) => Ok(Rules::Of(String::new(), 0, Box::new(document.clone()))),
            (None, None) => Ok(Rules::Live),
        }
    }
}

/// What a line takes from stock for each of its pieces: of a bundle its components, else the article itself.
fn parts<'v>(variant: &'v Variant, variants: &'v HashMap<String, Variant>) -> Vec<(&'v Variant, i64)> {
    if !variant.is_bundle() {
        return vec![(variant, 1)];
    }
    let part = |one: &Component| Some((variants.get(&*one.sku)?, one.quantity.get()));
    variant.components.iter().filter_map(part).collect()
}

/// The location of a code. `pointer` is where that stands.
fn located(locations: &Locations, code: &str, pointer: String) -> Result<LocationId> {
    let found = locations.iter().find(|location| location.code == code);
    found.map(|location| location.id).ok_or_else(|| unknown_location(&pointer, code))
}

fn refusal(why: NoPlan, trial: &Trial) -> SimulatedRefusal {
    let line_no = |place: usize| trial.needs.get(place).map(|need| trial.line(need.line_no));
    let (code, line_no, available) = match why {
        NoPlan::NoLocation => (Code::LocationInactive, None, None),
        NoPlan::Incapable { place } => (Code::NotCapable, line_no(place), None),
        NoPlan::Short { place, available } => (Code::OutOfStock, line_no(place), Some(available)),
    };
    let missing = match why {
        NoPlan::Incapable { place } => trial.needs.get(place).map(|need| need.requires.missing_at(&Capabilities::NONE)),
        _ => None,
    };
    SimulatedRefusal { code: code.as_str(), line_no, available, missing: missing.unwrap_or_default() }
}

fn told(
    trial: &Trial,
    (actor, locations): (&Actor, &Locations),
    plan: std::result::Result<Replanned, NoPlan>,
) -> Result<SimulatedSourcing> {
    let seen = |shares: &[Share]| -> Result<Vec<SimulatedShare>> {
        let seen = shares.iter().filter(|share| actor.sees_location(share.location));
        seen.map(|share| trial.share(share, locations)).collect()
    };
    let stays = seen(&trial.stays)?;
    let plan = match plan {
        Ok(plan) => plan,
        Err(why) => {
            let refusal = Some(refusal(why, trial));
            let (shares, sourcing) = (Vec::new(), Vec::new());
            return Ok(SimulatedSourcing { planned: false, parcels: 0, shares, stays, refusal, sourcing });
        }
    };
    // What goes with different deliveries never leaves in one parcel.
    let from: BTreeSet<(i32, LocationId)> = plan.shares.iter().map(|share| (share.delivery, share.location)).collect();
    let shares = seen(&plan.shares)?;
    let mut sourcing = shown(plan.sourcing, actor, locations);
    for trace in &mut sourcing {
        trace.line_no = trial.line(trace.line_no);
    }
    Ok(SimulatedSourcing { planned: true, parcels: from.len(), shares, stays, refusal: None, sourcing })
}

/// Simulate where an order comes from
///
/// Any order, made up or there already, by what is live, by any version of a profile or by rules that are no version yet, on the stock
/// of now. Of an order that is there, what is begun stays, and what it has allocated is its own. Nothing is taken and nothing is written.
#[utoipa::path(tag = "keep stock", request_body = SimulateSourcing, security(("token" = ["stock:read"])),
    responses((status = 200, body = SimulatedSourcing)))]
#[post("/sourcing/simulate")]
async fn simulate_sourcing(call: Call, body: Body<SimulateSourcing>) -> Result<Reply> {
    let (actor, now, request) = (call.allow(Scope::StockRead)?.clone(), call.now, body.value.clone());
    let locations = call.snapshot::<Locations>().await?;
    request.check(&locations)?;
    let without = request.without(&locations)?;
    let trial = trial(&call, &actor, &request, locations.clone()).await?;
    let simulated = call.read(move |tx| {
        let (rules, trial) = (request.rules(tx, &actor)?, trial(tx)?);
        let asks = (trial.needs.as_slice(), trial.own.as_slice());
        let plan = service::simulate(tx, now, asks, (&trial.facts, &without), &locations, &rules)?;
        told(&trial, (&actor, &locations), plan)
    });
    Reply::ok(&simulated.await?)
}

/// Reads what is to be planned.
type Reading = Box<dyn FnOnce(&mut Tx) -> Result<Trial> + Send>;

/// How what is asked for is read: an order that is there, or one that is made up.
async fn trial(call: &Call, actor: &Actor, request: &SimulateSourcing, locations: Arc<Locations>) -> Result<Reading> {
    let (actor, now, request) = (actor.clone(), call.now, request.clone());
    if let Some(order) = request.order.clone() {
        if !actor.holds(Scope::OrdersRead) {
            let detail = format!("an order needs the scope `{}`", Scope::OrdersRead);
            return Err(Error::problem(Code::ScopeMissing, detail).at("/order"));
        }
        let placed = call.request().app_data::<web::Data<PlacedOrders>>().map(|placed| ***placed);
        let placed = placed.ok_or_else(|| Error::internal("nobody knows the orders"))?;
        return Ok(Box::new(move |tx: &mut Tx| {
            (placed.0)(tx, &actor, now, &order, &locations).map_err(|error| match error.code() {
                Code::NotFound => error.at("/order"),
                _ => error,
            })
        }));
    }
    let missing = || Error::problem(Code::MissingField, "say of which channel it is").at("/channel_id");
    let channel = request.channel_id.ok_or_else(missing)?;
    let directory = call.snapshot::<Directory>().await?;
    if !directory.knows(channel) || !actor.sees_channel(channel) {
        return Err(Error::not_found("channel").at("/channel_id"));
    }
    Ok(Box::new(move |tx: &mut Tx| {
        let skus: Vec<String> = request.lines.iter().map(|line| line.sku.to_string()).collect();
        let mut variants = catalog::by_skus(tx, &skus)?;
        let parts = catalog::with_components(tx, &mut variants)?;
        let variants: HashMap<String, Variant> =
            variants.into_iter().chain(parts).map(|variant| (variant.sku.clone(), variant)).collect();
        request.read(&variants, (directory.get(channel)?, &locations), now)
    }))
}

/// The route of the ops surface.
pub(super) fn ops(config: &mut Mount<'_>) {
    config.service(simulate_sourcing);
}
