//! Routes of sourcing profiles and of simulated orders.

use std::{collections::HashMap, sync::Arc};

use actix_web::{get, patch, post};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{
    super::{
        model::{Locations, Need, Selling},
        plan::NoPlan,
        trace::{Sourcing, shown},
    },
    document::ProfileDocument,
    model::{
        Facts, LineFacts, NewSourcingProfile, ProfileCommand, ProfileState, SourcingProfile, SourcingProfilePatch,
        unknown_location,
    },
    service::{self, Replanned, Rules},
};
use crate::{
    catalog::{self, BackorderPolicy, Component, StockPolicy, Variant},
    channels::{Channel, Directory},
    db::Tx,
    error::{Code, Error, Result},
    http::{Body, Call, IfMatch, List, Mount, NoBody, Page, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Actor, Country, Id, Instant, Money, Quantity, Scope,
        ids::{ChannelId, LocationId, SourcingProfileId, VariantId},
        text::{Sku, Text},
    },
};

fn answer(profile: &SourcingProfile) -> Result<Reply> {
    Ok(Reply::ok(profile)?.version(profile.revision))
}

/// Make a version of a sourcing profile
///
/// It is a draft: no order is placed by it until it is activated. `POST /v1/ops/sourcing/simulate` tries it out.
#[utoipa::path(tag = "keep stock", request_body = NewSourcingProfile, security(("token" = ["stock:write"])),
    responses((status = 201, body = SourcingProfile)))]
#[post("/sourcing/profiles")]
async fn create_sourcing_profile(call: Call, body: Body<NewSourcingProfile>) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    let (id, now, new, locations) = (Id::new(), call.now, body.value.clone(), call.snapshot::<Locations>().await?);
    call.command(&body.fingerprint, move |tx| {
        let made = service::create(tx, (now, &actor), &locations, id, &new)?;
        Ok(Reply::created(&made)?.version(1).location(format!("/v1/ops/sourcing/profiles/{}", made.id)))
    })
    .await
}

/// What the list of sourcing profiles can be narrowed to.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ProfileQuery {
    /// Versions of this code.
    #[param(value_type = Option<String>, min_length = 1, max_length = 50)]
    code: Option<Text<50>>,
    /// Where they stand.
    state: Option<ProfileState>,
}

/// List the sourcing profiles
///
/// Every version of every code, the newest first.
#[utoipa::path(tag = "keep stock", params(ProfileQuery), security(("token" = ["stock:read"])),
    responses((status = 200, body = Page<SourcingProfile>)))]
#[get("/sourcing/profiles")]
async fn list_sourcing_profiles(call: Call, query: List<ProfileQuery>) -> Result<Reply> {
    let (actor, wanted) = (call.allow(Scope::StockRead)?.clone(), query.filter.clone());
    let read = move |tx: &mut Tx, before, limit| {
        service::page(tx, &actor, (wanted.code.as_deref(), wanted.state), before, limit)
    };
    query.answer(&call, |profile: &SourcingProfile| profile.id, read).await
}

/// Read a version of a sourcing profile
#[utoipa::path(tag = "keep stock", params(("id" = inline(SourcingProfileId), Path)), security(("token" = ["stock:read"])),
    responses((status = 200, body = SourcingProfile)))]
#[get("/sourcing/profiles/{id}")]
async fn read_sourcing_profile(call: Call, path: RefPath<SourcingProfileId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::StockRead)?.clone());
    answer(&call.read(move |tx| service::visible(tx, &actor, id)).await?)
}

/// Change a draft of a sourcing profile
///
/// Send the `ETag` you have seen as `If-Match`. A version that is or was live stays as it is: make a new one of its code.
#[utoipa::path(tag = "keep stock", params(("id" = inline(SourcingProfileId), Path), IfMatch),
    request_body = SourcingProfilePatch, security(("token" = ["stock:write"])),
    responses((status = 200, body = SourcingProfile)))]
#[patch("/sourcing/profiles/{id}")]
async fn update_sourcing_profile(
    call: Call,
    path: RefPath<SourcingProfileId>,
    body: Body<SourcingProfilePatch>,
) -> Result<Reply> {
    let (actor, expected) = (call.allow(Scope::StockWrite)?.clone(), call.if_match()?);
    let (id, now, patch, locations) = (path.0, call.now, body.value.clone(), call.snapshot::<Locations>().await?);
    call.command(&body.fingerprint, move |tx| {
        answer(&service::update(tx, (now, &actor), &locations, (id, expected), &patch)?)
    })
    .await
}

async fn command(call: Call, id: SourcingProfileId, command: ProfileCommand) -> Result<Reply> {
    let (actor, now) = (call.allow(Scope::StockWrite)?.clone(), call.now);
    let locations = call.snapshot::<Locations>().await?;
    call.reference_command(&Fingerprint::none(), move |tx| {
        answer(&service::command(tx, (now, &actor), &locations, id, command)?)
    })
    .await
}

/// Activate a version of a sourcing profile
///
/// Orders are placed by it from now on, everywhere within a second. The version that was live for the same orders is retired; it can
/// be activated again.
#[utoipa::path(tag = "keep stock", params(("id" = inline(SourcingProfileId), Path)), security(("token" = ["stock:write"])),
    responses((status = 200, body = SourcingProfile)))]
#[post("/sourcing/profiles/{id}/activate")]
async fn activate_sourcing_profile(call: Call, path: RefPath<SourcingProfileId>, _body: NoBody) -> Result<Reply> {
    command(call, path.0, ProfileCommand::Activate).await
}

/// Retire a version of a sourcing profile
///
/// Orders are placed by it no more: by the profile of all channels where there is one, else the usual way.
#[utoipa::path(tag = "keep stock", params(("id" = inline(SourcingProfileId), Path)), security(("token" = ["stock:write"])),
    responses((status = 200, body = SourcingProfile)))]
#[post("/sourcing/profiles/{id}/retire")]
async fn retire_sourcing_profile(call: Call, path: RefPath<SourcingProfileId>, _body: NoBody) -> Result<Reply> {
    command(call, path.0, ProfileCommand::Retire).await
}

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

/// An order to try out, and by which rules.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"channel_id": "chan_01h455vb4pex5vsknk084sn02q", "country": "DE", "postcode": "28195",
    "lines": [{"sku": "TEE-BLACK-M", "quantity": 2}], "document": {"strategies": [{"name": "fewest parcels"}]}}))]
struct SimulateSourcing {
    /// The order's channel.
    channel_id: ChannelId,
    /// Where it goes.
    country: Country,
    /// The postcode there.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 20)]
    postcode: Option<Text<20>>,
    /// What it asks for.
    #[schema(min_items = 1, max_items = 1_000)]
    lines: Vec<SimulatedLine>,
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
    /// Why it would be refused; absent where it would be placed.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<SimulatedRefusal>,
    /// Why its pieces come from where they do: of the lines of which there is something to tell.
    sourcing: Vec<Sourcing>,
}

impl SimulateSourcing {
    /// What the lines need, and what is known of the order.
    fn read(&self, variants: &HashMap<String, Variant>, channel: &Channel, now: Instant) -> Result<(Vec<Need>, Facts)> {
        let (mut needs, mut lines, mut weight_grams) = (Vec::with_capacity(self.lines.len()), HashMap::new(), 0_i64);
        let mut last = i32::try_from(self.lines.len()).map_err(Error::internal)?;
        for (place, line) in self.lines.iter().enumerate() {
            let unknown = || {
                let error = Error::problem(Code::SkuUnknown, format!("there is no variant `{}`", &*line.sku));
                error.at(format!("/lines/{place}/sku"))
            };
            let variant = variants.get(&*line.sku).ok_or_else(unknown)?;
            if line.quantity.is_zero() {
                let error = Error::problem(Code::QuantityInvalid, "expected at least one piece");
                return Err(error.at(format!("/lines/{place}/quantity")));
            }
            let quantity = line.quantity.get();
            weight_grams = weight_grams.saturating_add(variant.weight_grams.saturating_mul(quantity));
            for (part, in_one) in parts(variant, variants) {
                // A line keeps its number; what a bundle is made of is numbered behind all of them.
                if variant.is_bundle() {
                    last += 1;
                }
                let line_no =
                    if variant.is_bundle() { last } else { i32::try_from(place + 1).map_err(Error::internal)? };
                lines.insert(line_no, LineFacts { grams: part.weight_grams, metadata: line.metadata.clone() });
                let tracked = part.stock_policy == StockPolicy::Tracked;
                if part.requires_shipping || tracked {
                    let backorder = part.backorder_policy == BackorderPolicy::Allow;
                    let quantity = quantity.saturating_mul(in_one);
                    needs.push(Need { place, line_no, delivery: 0, variant: part.id, quantity, tracked, backorder });
                }
            }
        }
        let at = self.at.unwrap_or(now);
        let facts = Facts {
            channel: channel.id,
            country: self.country,
            postcode: self.postcode.as_ref().map(ToString::to_string),
            value: self.value,
            customer_group: self.customer_group.as_ref().map(ToString::to_string),
            tags: self.tags.iter().map(ToString::to_string).collect(),
            at,
            keeps_until: Selling::of(channel, self.customer_group.as_deref(), at).keeps_until,
            lines: Arc::new(lines),
            weight_grams,
            only: None,
            further: Vec::new(),
        };
        Ok((needs, facts))
    }

    /// The locations that are not to ship it.
    fn without(&self, locations: &Locations) -> Result<Vec<LocationId>> {
        let find = |(place, code): (usize, &Text<50>)| {
            let found = locations.iter().find(|location| location.code == **code);
            found.map(|location| location.id).ok_or_else(|| unknown_location(&format!("/without/{place}"), code))
        };
        self.without.iter().enumerate().map(find).collect()
    }

    fn check(&self, locations: &Locations) -> Result<()> {
        for (list, has, most) in [
            ("/lines", self.lines.len(), 1_000),
            ("/tags", self.tags.len(), 100),
            ("/without", self.without.len(), 500),
        ] {
            if has > most {
                return Err(Error::invalid(list, format!("expected at most {most}")));
            }
        }
        if self.lines.is_empty() {
            return Err(Error::invalid("/lines", "expected at least one"));
        }
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

/// The number of the line that is asked about.
fn line_no(need: &Need) -> i32 {
    i32::try_from(need.place + 1).unwrap_or(i32::MAX)
}

fn refusal(why: NoPlan, needs: &[Need]) -> SimulatedRefusal {
    match why {
        NoPlan::NoLocation => {
            SimulatedRefusal { code: Code::LocationInactive.as_str(), line_no: None, available: None }
        }
        NoPlan::Short { place, available } => SimulatedRefusal {
            code: Code::OutOfStock.as_str(),
            line_no: needs.get(place).map(line_no),
            available: Some(available),
        },
    }
}

fn told(
    variants: &HashMap<String, Variant>,
    (actor, locations): (&Actor, &Locations),
    needs: &[Need],
    plan: std::result::Result<Replanned, NoPlan>,
) -> Result<SimulatedSourcing> {
    let plan = match plan {
        Ok(plan) => plan,
        Err(why) => {
            let refusal = Some(refusal(why, needs));
            let (shares, sourcing) = (Vec::new(), Vec::new());
            return Ok(SimulatedSourcing { planned: false, parcels: 0, shares, refusal, sourcing });
        }
    };
    let by_line: HashMap<i32, i32> = needs.iter().map(|need| (need.line_no, line_no(need))).collect();
    let skus: HashMap<VariantId, &String> = variants.values().map(|variant| (variant.id, &variant.sku)).collect();
    let from: std::collections::BTreeSet<LocationId> = plan.shares.iter().map(|share| share.location).collect();
    let mut shares = Vec::with_capacity(plan.shares.len());
    for share in plan.shares.iter().filter(|share| actor.sees_location(share.location)) {
        shares.push(SimulatedShare {
            line_no: by_line.get(&share.line_no).copied().unwrap_or(share.line_no),
            sku: skus.get(&share.variant).map(|sku| (*sku).clone()).unwrap_or_default(),
            location: locations.get(share.location)?.code.clone(),
            location_id: share.location,
            quantity: share.quantity,
        });
    }
    let mut sourcing = shown(plan.sourcing, actor, locations);
    for trace in &mut sourcing {
        trace.line_no = by_line.get(&trace.line_no).copied().unwrap_or(trace.line_no);
    }
    Ok(SimulatedSourcing { planned: true, parcels: from.len(), shares, refusal: None, sourcing })
}

/// Simulate where an order comes from
///
/// Any order, by what is live, by any version of a profile or by rules that are no version yet, on the stock of now. Nothing is
/// taken and nothing is written.
#[utoipa::path(tag = "keep stock", request_body = SimulateSourcing, security(("token" = ["stock:read"])),
    responses((status = 200, body = SimulatedSourcing)))]
#[post("/sourcing/simulate")]
async fn simulate_sourcing(call: Call, body: Body<SimulateSourcing>) -> Result<Reply> {
    let (actor, now, request) = (call.allow(Scope::StockRead)?.clone(), call.now, body.value.clone());
    let locations = call.snapshot::<Locations>().await?;
    let directory = call.snapshot::<Directory>().await?;
    if !directory.knows(request.channel_id) || !actor.sees_channel(request.channel_id) {
        return Err(Error::not_found("channel").at("/channel_id"));
    }
    request.check(&locations)?;
    let without = request.without(&locations)?;
    let simulated = call.read(move |tx| {
        let rules = request.rules(tx, &actor)?;
        let skus: Vec<String> = request.lines.iter().map(|line| line.sku.to_string()).collect();
        let mut variants = catalog::by_skus(tx, &skus)?;
        let parts = catalog::with_components(tx, &mut variants)?;
        let variants: HashMap<String, Variant> =
            variants.into_iter().chain(parts).map(|variant| (variant.sku.clone(), variant)).collect();
        let (needs, facts) = request.read(&variants, directory.get(request.channel_id)?, now)?;
        let plan = service::simulate(tx, now, &needs, (&facts, &without), &locations, &rules)?;
        told(&variants, (&actor, &locations), &needs, plan)
    });
    Reply::ok(&simulated.await?)
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_sourcing_profile).service(list_sourcing_profiles).service(read_sourcing_profile);
    config.service(update_sourcing_profile).service(activate_sourcing_profile).service(retire_sourcing_profile);
    config.service(simulate_sourcing);
}
