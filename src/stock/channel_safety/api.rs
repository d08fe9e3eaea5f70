//! Routes of what channels leave to others.

use std::collections::BTreeMap;

use actix_web::{get, put};
use serde::{Deserialize, Serialize};

use super::service::{self, ChannelSafety};
use crate::{
    catalog, channels,
    db::Tx,
    error::{Code, Error, Result},
    http::{Body, Call, List, Mount, Page, Reply},
    kernel::{
        Actor, Id, Instant, Quantity, Scope,
        ids::{ChannelId, ChannelSafetyId, LocationId, VariantId},
        text::{Sku, Text},
    },
    stock::{
        Locations, adjust,
        api::names,
        dto::{Names, check_count},
    },
};

/// What channels leave to others: all lines or none.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "lines": [{"sku": "MUG-KONTOR", "channel_id": "chan_01h455vb4pex5vsknk084sn02q", "location": "demo-berlin", "pieces": 5}]
}))]
pub struct ChannelSafetyRequest {
    /// What is set. Of lines for the same the last counts.
    #[schema(min_items = 1, max_items = 200)]
    pub lines: Vec<ChannelSafetyLine>,
}

/// What a channel leaves to others of a variant.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelSafetyLine {
    /// The SKU.
    #[schema(value_type = String, max_length = 100)]
    pub sku: Sku,
    /// The channel that does not sell them.
    pub channel_id: ChannelId,
    /// A location's code or id; left out for each location of which nothing else is said.
    #[schema(value_type = Option<String>, max_length = 50)]
    pub location: Option<Text<50>>,
    /// How many pieces; 0 where it is nothing any more, or (at a location) as little as is said for each.
    pub pieces: Quantity,
}

/// What a channel leaves to others of a variant.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ChannelSafetyDocument {
    /// Its id.
    pub id: ChannelSafetyId,
    /// The SKU.
    pub sku: String,
    /// The variant's id.
    pub variant_id: VariantId,
    /// The channel that does not sell them.
    pub channel_id: ChannelId,
    /// The location's code; absent where it holds for each of which nothing else is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The location's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_id: Option<LocationId>,
    /// How many pieces.
    pub pieces: i64,
    /// Since when.
    pub updated_at: Instant,
}

impl ChannelSafetyDocument {
    fn of(one: &ChannelSafety, names: &Names<'_>) -> Self {
        let place = one.location.and_then(|id| names.locations.get(id).ok());
        Self {
            id: one.id,
            sku: names.skus.get(&one.variant).cloned().unwrap_or_default(),
            variant_id: one.variant,
            channel_id: one.channel,
            location: place.map(|place| place.code.clone()),
            location_id: one.location,
            pieces: one.pieces,
            updated_at: one.updated_at,
        }
    }
}

/// What channels leave to others.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ChannelSafeties {
    /// Those of the request that are set now.
    pub items: Vec<ChannelSafetyDocument>,
}

/// What the lines of a request set.
fn read(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    lines: &[ChannelSafetyLine],
    locations: &Locations,
    fresh: &[ChannelSafetyId],
) -> Result<Vec<ChannelSafety>> {
    let skus = lines.iter().map(|line| &*line.sku);
    let variants = adjust::stocked(tx, skus, |place| format!("/lines/{place}/sku"))?;
    let mut found = BTreeMap::new();
    for (place, (line, id)) in lines.iter().zip(fresh).enumerate() {
        let pointer = format!("/lines/{place}");
        let location = match &line.location {
            Some(reference) => {
                let found = locations.by_ref(reference).filter(|location| actor.sees_location(location.id));
                Some(found.ok_or_else(|| Error::not_found("location").at(format!("{pointer}/location")))?.id)
            }
            None if actor.locations().is_some() => {
                let detail = "this is for all locations, and the credential is limited to some: name one of them";
                return Err(Error::problem(Code::ScopeMissing, detail).at(format!("{pointer}/location")));
            }
            None => None,
        };
        let variant = adjust::known(&variants, &line.sku, &pointer)?;
        let one = ChannelSafety {
            id: *id,
            variant,
            channel: line.channel_id,
            location,
            pieces: line.pieces.get(),
            updated_at: now,
        };
        found.insert((variant, line.channel_id, location), one);
    }
    let named: Vec<ChannelId> = lines.iter().map(|line| line.channel_id).collect();
    channels::check_named(tx, actor, &named, |place| format!("/lines/{place}/channel_id"))?;
    Ok(found.into_values().collect())
}

/// Set what channels leave to others
///
/// All lines or none: pieces of a SKU, at a location or at each, that a channel does not sell though they are available. What it has
/// sold, and what its carts hold, stays so. However many buy at once, the channel sells no more than that leaves.
#[utoipa::path(tag = "keep stock", request_body = ChannelSafetyRequest, security(("token" = ["stock:write"])),
    responses((status = 200, body = ChannelSafeties)))]
#[put("/stock/channel-safety")]
async fn set_channel_safety(call: Call, body: Body<ChannelSafetyRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    check_count(body.lines.len(), 200, "/lines")?;
    let (now, lines, locations) = (call.now, body.value.lines.clone(), call.snapshot::<Locations>().await?);
    let fresh: Vec<ChannelSafetyId> = lines.iter().map(|_| Id::new()).collect();
    call.command(&body.fingerprint, move |tx| {
        let rows = read(tx, (now, &actor), &lines, &locations, &fresh)?;
        let set = service::set(tx, now, &rows)?;
        let names = names(tx, set.iter().map(|one| one.variant), &locations)?;
        Reply::ok(&ChannelSafeties { items: set.iter().map(|one| ChannelSafetyDocument::of(one, &names)).collect() })
    })
    .await
}

/// Which of what channels leave to others is asked for.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ChannelSafetyQuery {
    /// Of this SKU.
    sku: Option<String>,
    /// Of this channel.
    channel: Option<ChannelId>,
}

/// List what channels leave to others
///
/// In the order in which it was set first.
#[utoipa::path(tag = "keep stock", params(ChannelSafetyQuery), security(("token" = ["stock:read"])),
    responses((status = 200, body = Page<ChannelSafetyDocument>)))]
#[get("/stock/channel-safety")]
async fn list_channel_safety(call: Call, query: List<ChannelSafetyQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::StockRead)?.clone();
    let (wanted, locations) = (query.filter.clone(), call.snapshot::<Locations>().await?);
    let read = move |tx: &mut Tx, after, limit| {
        let variant = match &wanted.sku {
            None => None,
            Some(sku) => match catalog::ids_of(tx, std::slice::from_ref(sku))?.get(sku) {
                Some(id) => Some(*id),
                None => return Ok(Vec::new()),
            },
        };
        let set = service::page(tx, (variant, wanted.channel), after, limit)?;
        let names = names(tx, set.iter().map(|one| one.variant), &locations)?;
        Ok(set.iter().map(|one| ChannelSafetyDocument::of(one, &names)).collect())
    };
    let seen = move |one: &ChannelSafetyDocument| {
        actor.sees_channel(one.channel_id) && one.location_id.is_none_or(|id| actor.sees_location(id))
    };
    query.answer_seen(&call, |one: &ChannelSafetyDocument| one.id, seen, read).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(set_channel_safety).service(list_channel_safety);
}
