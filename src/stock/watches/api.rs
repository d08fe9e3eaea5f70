//! Routes of watched levels; and the look at them beside requests.

use std::sync::Arc;

use actix_web::{get, put};
use serde::{Deserialize, Serialize};

use super::{
    model::{Seen, Standing, Watch},
    service,
};
use crate::{
    db::{Lane, Tx},
    error::{Error, Result},
    http::{All, Body, Call, List, Mount, Page, Reply, State},
    jobs::Runner,
    kernel::{
        Actor, Instant, Quantity, Scope,
        ids::{LocationId, VariantId},
        text::{Sku, Text},
    },
    stock::{
        Locations,
        api::names,
        dto::{Names, check_count},
        model::LevelKey,
        outlook,
    },
};

/// Which levels are watched: all lines or none.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "lines": [{"sku": "MUG-KONTOR", "location": "demo-berlin", "low_at": 10, "reorder_at": 25, "reorder_quantity": 100}]
}))]
pub struct WatchesRequest {
    /// What is watched. Of lines for the same level the last counts.
    #[schema(min_items = 1, max_items = 200)]
    pub lines: Vec<WatchLine>,
}

/// What is watched of a level; a line without any of the numbers tells of its coming back only, and `off` ends it.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchLine {
    /// The SKU.
    #[schema(value_type = String, max_length = 100)]
    pub sku: Sku,
    /// A location's code or id.
    #[schema(value_type = String, max_length = 50)]
    pub location: Text<50>,
    /// From how many available pieces on it is low.
    pub low_at: Option<Quantity>,
    /// From how many pieces on, available and to come, it is to be reordered.
    pub reorder_at: Option<Quantity>,
    /// How many are to be ordered then: at least one.
    pub reorder_quantity: Option<Quantity>,
    /// Whether it is watched no more.
    #[serde(default)]
    pub off: bool,
}

impl WatchLine {
    fn read(&self, place: usize, key: LevelKey, now: Instant) -> Result<Watch> {
        if self.reorder_quantity.is_some_and(Quantity::is_zero) {
            return Err(Error::invalid(format!("/lines/{place}/reorder_quantity"), "expected at least one piece"));
        }
        let pieces = |quantity: Option<Quantity>| quantity.map(Quantity::get);
        Ok(Watch {
            key,
            low_at: pieces(self.low_at),
            reorder_at: pieces(self.reorder_at),
            reorder_quantity: pieces(self.reorder_quantity),
            standing: Standing { low: false, reorder: false, out: false },
            version: 1,
            updated_at: now,
        })
    }
}

/// A watched level.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct WatchDocument {
    /// The SKU.
    pub sku: String,
    /// The variant's id.
    pub variant_id: VariantId,
    /// The location's code.
    pub location: String,
    /// The location's id.
    pub location_id: LocationId,
    /// From how many available pieces on it is low.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_at: Option<i64>,
    /// From how many pieces on, available and to come, it is to be reordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reorder_at: Option<i64>,
    /// How many are to be ordered then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reorder_quantity: Option<i64>,
    /// What is there to sell.
    pub available: i64,
    /// What is to come.
    pub expected: i64,
    /// How far things stood when they were last looked at.
    pub told: Standing,
}

impl WatchDocument {
    fn of(seen: &Seen, names: &Names<'_>) -> Self {
        let (variant_id, location_id) = seen.watch.key;
        Self {
            sku: names.skus.get(&variant_id).cloned().unwrap_or_default(),
            variant_id,
            location: names.locations.get(location_id).map(|place| place.code.clone()).unwrap_or_default(),
            location_id,
            low_at: seen.watch.low_at,
            reorder_at: seen.watch.reorder_at,
            reorder_quantity: seen.watch.reorder_quantity,
            available: seen.available,
            expected: seen.expected,
            told: seen.watch.standing,
        }
    }
}

/// Watched levels.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Watches {
    /// Those of the request that are watched now, in the order of their keys.
    pub items: Vec<WatchDocument>,
}

/// Watch levels
///
/// All lines or none. Events tell once when one runs low (`stock.low.v1`), is to be reordered (`stock.reorder.v1`), or is there again
/// after there was none (`stock.back.v1`); within a minute, and nothing of what came and went meanwhile.
#[utoipa::path(tag = "keep stock", request_body = WatchesRequest, security(("token" = ["stock:write"])),
    responses((status = 200, body = Watches)))]
#[put("/stock/watches")]
async fn set_watches(call: Call, body: Body<WatchesRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    check_count(body.lines.len(), 200, "/lines")?;
    let (now, lines, locations) = (call.now, body.value.lines.clone(), call.snapshot::<Locations>().await?);
    call.command(&body.fingerprint, move |tx| {
        let keys = outlook::api::keys(tx, &actor, lines.iter().map(|line| (&line.sku, &line.location)), &locations)?;
        let mut wanted = std::collections::BTreeMap::new();
        for (place, (line, key)) in lines.iter().zip(&keys).enumerate() {
            wanted.insert(*key, (line.read(place, *key, now)?, line.off));
        }
        let (off, on): (Vec<_>, Vec<_>) = wanted.into_values().partition(|(_, off)| *off);
        service::drop_watches(tx, &off.iter().map(|(watch, _)| watch.key).collect::<Vec<_>>())?;
        service::keep(tx, now, &on.into_iter().map(|(watch, _)| watch).collect::<Vec<_>>())?;
        let seen = service::of(tx, &keys)?;
        let names = names(tx, seen.iter().map(|one| one.watch.key.0), &locations)?;
        Reply::ok(&Watches { items: seen.iter().map(|one| WatchDocument::of(one, &names)).collect() })
    })
    .await
}

/// List the watched levels
///
/// By variant, then location.
#[utoipa::path(tag = "keep stock", security(("token" = ["stock:read"])),
    responses((status = 200, body = Page<WatchDocument>)))]
#[get("/stock/watches")]
async fn list_watches(call: Call, query: List<All>) -> Result<Reply> {
    let actor = call.allow(Scope::StockRead)?.clone();
    let locations = call.snapshot::<Locations>().await?;
    let read = move |tx: &mut Tx, after, limit| {
        let seen = service::after(tx, after, limit)?;
        let names = names(tx, seen.iter().map(|one| one.watch.key.0), &locations)?;
        Ok(seen.iter().map(|one| WatchDocument::of(one, &names)).collect())
    };
    let key = |one: &WatchDocument| (one.variant_id, one.location_id);
    query.answer_seen(&call, key, move |one| actor.sees_location(one.location_id), read).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(set_watches).service(list_watches);
}

/// What is done beside requests: watched levels are looked at.
pub fn work(state: &State, runner: &mut Runner) {
    const BITE: i64 = 1000;
    let db = Arc::new(state.db.clone());
    runner.every("stock.look-at-watches", 30, move |now| {
        let db = db.clone();
        async move {
            let mut after = None;
            loop {
                let looked =
                    db.write_in(Lane::Bulk, move |tx| service::look(tx, now, &Actor::System("stock"), after, BITE));
                match looked.await?.next {
                    Some(next) => after = Some(next),
                    None => return Ok(()),
                }
            }
        }
    });
}
