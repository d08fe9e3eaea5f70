//! Bins: where on its location's shelves a variant lies. The only file that touches `stock_bins`.

use std::collections::HashMap;

use actix_web::{get, post};
use diesel::sql_types::Text as SqlText;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    adjust,
    dto::check_count,
    model::{LevelKey, Locations},
    places::keeps,
    store::{KEY, ids, keys},
};
use crate::{
    catalog,
    db::{Bind, Col, InstantSql, Tx, UidSql, dialect, sql},
    error::{Code, Error, Result},
    http::{Body, Call, List, Mount, Page, Reply},
    kernel::{
        Actor, Instant, Scope,
        ids::{LocationId, VariantId},
        text::{Sku, Text},
    },
};

/// Where a variant lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Bin {
    /// The part of the location.
    pub zone: String,
    /// The place in it.
    pub bin: String,
}

/// Where variants lie at their locations; what has no bin is absent. One statement.
///
/// # Errors
/// What the database says.
pub fn bins_of(tx: &mut Tx, wanted: &[LevelKey]) -> Result<HashMap<LevelKey, Bin>> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let query = format!(
        "SELECT variant_id, location_id, zone, bin FROM {} JOIN stock_bins ON variant_id = variant AND location_id = location",
        dialect::list(tx, KEY)
    );
    let rows = sql(query).bind(keys(wanted.iter().copied()));
    let rows = rows.load::<(UidSql, UidSql, SqlText, SqlText), (VariantId, LocationId, String, String)>(tx)?;
    Ok(rows.into_iter().map(|(variant, location, zone, bin)| ((variant, location), Bin { zone, bin })).collect())
}

/// Sets where variants lie: one statement, rows in key order.
fn set(tx: &mut Tx, now: Instant, wanted: &HashMap<LevelKey, Bin>) -> Result<()> {
    let list = dialect::list(
        tx,
        &[
            ("variant", Col::Uid),
            ("location", Col::Uid),
            ("in_zone", Col::Text),
            ("in_bin", Col::Text),
            ("since", Col::At),
        ],
    );
    // `WHERE true` lets SQLite tell the ON CONFLICT from a join's ON.
    let upsert = format!(
        "INSERT INTO stock_bins (variant_id, location_id, zone, bin, updated_at) \
         SELECT variant, location, in_zone, in_bin, since FROM {list} WHERE true ORDER BY variant, location \
         ON CONFLICT (variant_id, location_id) DO UPDATE SET zone = excluded.zone, bin = excluded.bin, updated_at = excluded.updated_at"
    );
    let row = |((variant, location), bin): (&LevelKey, &Bin)| {
        json!([variant.hex(), location.hex(), bin.zone, bin.bin, now.sortable()])
    };
    sql(upsert).bind(dialect::rows(wanted.iter().map(row).collect())).execute(tx)?;
    Ok(())
}

/// Where a variant lies, as the API tells it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct BinDocument {
    /// The SKU.
    pub sku: String,
    /// The variant's id.
    pub variant_id: VariantId,
    /// The location's code.
    pub location: String,
    /// The location's id.
    pub location_id: LocationId,
    /// The part of the location.
    pub zone: String,
    /// The place in it.
    pub bin: String,
    /// Since when it is known to lie there.
    pub updated_at: Instant,
}

/// Bins of locations, sorted as a picker walks, after one of them.
fn page(
    tx: &mut Tx,
    locations: &Locations,
    (wanted, zone): (&[LocationId], Option<&str>),
    after: Option<(LocationId, String, String, VariantId)>,
    limit: i64,
) -> Result<Vec<BinDocument>> {
    type Row = (VariantId, LocationId, String, String, Instant);
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let mut text = format!(
        "SELECT variant_id, location_id, zone, bin, updated_at FROM stock_bins WHERE location_id IN (SELECT wanted FROM {list})"
    );
    let mut binds: Vec<Bind> = vec![ids(wanted.iter().copied())];
    if let Some(zone) = zone {
        text.push_str(" AND zone = ?");
        binds.push(zone.into());
    }
    if let Some((location, zone, bin, variant)) = after {
        text.push_str(" AND (location_id, zone, bin, variant_id) > (?, ?, ?, ?)");
        binds.extend([location.into(), zone.into(), bin.into(), variant.into()]);
    }
    text.push_str(" ORDER BY location_id, zone, bin, variant_id LIMIT ?");
    binds.push(limit.into());
    let rows = sql(text).bind_all(binds).load::<(UidSql, UidSql, SqlText, SqlText, InstantSql), Row>(tx)?;
    let variants: Vec<VariantId> = rows.iter().map(|row| row.0).collect();
    let skus = catalog::skus_of(tx, &variants)?;
    let document = |(variant_id, location_id, zone, bin, updated_at): Row| BinDocument {
        sku: skus.get(&variant_id).cloned().unwrap_or_default(),
        variant_id,
        location: locations.get(location_id).map(|location| location.code.clone()).unwrap_or_default(),
        location_id,
        zone,
        bin,
        updated_at,
    };
    Ok(rows.into_iter().map(document).collect())
}

/// Which bins.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BinQuery {
    /// Of one location, by id or code.
    pub location: Option<String>,
    /// Of one zone.
    pub zone: Option<String>,
}

/// List the bins
///
/// Where variants lie, by location, zone and bin.
#[utoipa::path(tag = "keep stock", params(BinQuery), security(("token" = ["stock:read"])),
    responses((status = 200, body = Page<BinDocument>)))]
#[get("/stock/bins")]
async fn list_bins(call: Call, query: List<BinQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::StockRead)?.clone();
    let (wanted, locations) = (query.filter.clone(), call.snapshot::<Locations>().await?);
    let mut seen: Vec<LocationId> =
        locations.iter().map(|location| location.id).filter(|id| actor.sees_location(*id)).collect();
    if let Some(reference) = &wanted.location {
        let id = located(&actor, &locations, reference, "location")?;
        seen.retain(|known| *known == id);
    }
    let read = move |tx: &mut Tx, after, limit| page(tx, &locations, (&seen, wanted.zone.as_deref()), after, limit);
    let key = |bin: &BinDocument| (bin.location_id, bin.zone.clone(), bin.bin.clone(), bin.variant_id);
    query.answer(&call, key, read).await
}

/// A location that the actor may see, by id or code.
fn located(actor: &Actor, locations: &Locations, reference: &str, pointer: &str) -> Result<LocationId> {
    let found = locations.by_ref(reference).map(|location| location.id).filter(|id| actor.sees_location(*id));
    found.ok_or_else(|| Error::not_found("location").at(pointer))
}

/// Where a variant lies from now on.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BinRow {
    /// The SKU.
    #[schema(value_type = String)]
    pub sku: Sku,
    /// Where, by id or code.
    #[schema(value_type = String)]
    pub location: Text<60>,
    /// The part of the location; none unless told. Zones are walked one after another.
    #[schema(value_type = Option<String>)]
    pub zone: Option<Text<20>>,
    /// The place in it, as its labels say. Bins are walked in the order of their texts.
    #[schema(value_type = String)]
    pub bin: Text<40>,
}

/// Where variants lie from now on.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"bins": [{"sku": "MUG-KONTOR", "location": "demo-berlin", "zone": "A", "bin": "A-03-2"}]}))]
pub struct BinsRequest {
    /// Up to 1,000; all or none.
    #[schema(min_items = 1, max_items = 1000)]
    pub bins: Vec<BinRow>,
}

/// How many bins were set.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct BinsSet {
    /// How many.
    pub rows: usize,
}

/// Set where variants lie
///
/// The zone and bin of each at a location, for pick lists. Where a variant has one already, it has moved.
#[utoipa::path(tag = "keep stock", request_body = BinsRequest, security(("token" = ["stock:write"])),
    responses((status = 200, body = BinsSet)))]
#[post("/stock/bins")]
async fn set_bins(call: Call, body: Body<BinsRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    check_count(body.bins.len(), 1000, "/bins")?;
    let (now, rows, locations) = (call.now, body.bins.clone(), call.snapshot::<Locations>().await?);
    call.command(&body.fingerprint, move |tx| {
        let variants = adjust::stocked(tx, rows.iter().map(|row| &*row.sku), |place| format!("/bins/{place}/sku"))?;
        let mut wanted = HashMap::with_capacity(rows.len());
        for (place, row) in rows.iter().enumerate() {
            let location = located(&actor, &locations, &row.location, &format!("/bins/{place}/location"))?;
            keeps(&actor, location)?;
            let unknown =
                || Error::problem(Code::SkuUnknown, "there is no such variant").at(format!("/bins/{place}/sku"));
            let variant = variants.get(&*row.sku).ok_or_else(unknown)?;
            let zone = row.zone.as_ref().map(ToString::to_string).unwrap_or_default();
            wanted.insert((*variant, location), Bin { zone, bin: row.bin.to_string() });
        }
        set(tx, now, &wanted)?;
        Reply::ok(&BinsSet { rows: wanted.len() })
    })
    .await
}

/// The routes of the ops surface.
pub(super) fn ops(config: &mut Mount<'_>) {
    config.service(list_bins).service(set_bins);
}
