//! The only file that writes `stock_channel_safety`.

use std::collections::HashMap;

use diesel::sql_types::BigInt;
use serde_json::json;

use crate::{
    db::{Bind, Col, InstantSql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Instant,
        ids::{ChannelId, ChannelSafetyId, LocationId, VariantId},
    },
    stock::LevelKey,
};

/// What a channel leaves to others of a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChannelSafety {
    pub id: ChannelSafetyId,
    pub variant: VariantId,
    pub channel: ChannelId,
    /// Where; at each location that has none of its own where it is left out.
    pub location: Option<LocationId>,
    pub pieces: i64,
    pub updated_at: Instant,
}

type Columns = (UidSql, UidSql, UidSql, diesel::sql_types::Nullable<UidSql>, BigInt, InstantSql);
type Row = (ChannelSafetyId, VariantId, ChannelId, Option<LocationId>, i64, Instant);
const SELECTED: &str = "id, variant_id, channel_id, location_id, pieces, updated_at";

fn safety((id, variant, channel, location, pieces, updated_at): Row) -> ChannelSafety {
    ChannelSafety { id, variant, channel, location, pieces, updated_at }
}

const KEY: &[(&str, Col)] = &[("variant", Col::Uid), ("channel", Col::Uid), ("location", Col::Uid)];

fn keys(rows: &[ChannelSafety]) -> Bind {
    let key = |one: &ChannelSafety| json!([one.variant.hex(), one.channel.hex(), one.location.map(|id| id.hex())]);
    dialect::rows(rows.iter().map(key).collect())
}

/// Sets what channels leave to others, each once; none where it is no piece. Those that are set now.
pub(super) fn keep(tx: &mut Tx, now: Instant, rows: &[ChannelSafety]) -> Result<()> {
    const COLUMNS: &[(&str, Col)] = &[
        ("fresh", Col::Uid),
        ("variant", Col::Uid),
        ("channel", Col::Uid),
        ("location", Col::Uid),
        ("most", Col::Int),
    ];
    let (gone, kept): (Vec<ChannelSafety>, Vec<ChannelSafety>) = rows.iter().cloned().partition(|one| one.pieces == 0);
    if !gone.is_empty() {
        let list = dialect::list(tx, KEY);
        let query = format!(
            "DELETE FROM stock_channel_safety WHERE id IN (SELECT s.id FROM {list} JOIN stock_channel_safety AS s \
             ON s.variant_id = variant AND s.channel_id = channel \
             AND (s.location_id = location OR (s.location_id IS NULL AND location IS NULL)))"
        );
        sql(query).bind(keys(&gone)).execute(tx)?;
    }
    // Of rows without a location, and of those with one, the index that makes each unique is another.
    for of_place in [true, false] {
        let rows: Vec<&ChannelSafety> = kept.iter().filter(|one| one.location.is_some() == of_place).collect();
        if rows.is_empty() {
            continue;
        }
        let list = dialect::list(tx, COLUMNS);
        let unique = if of_place {
            "(variant_id, channel_id, location_id) WHERE location_id IS NOT NULL"
        } else {
            "(variant_id, channel_id) WHERE location_id IS NULL"
        };
        let query = format!(
            "INSERT INTO stock_channel_safety (id, variant_id, channel_id, location_id, pieces, updated_at) \
             SELECT fresh, variant, channel, location, most, ? FROM {list} WHERE true ORDER BY variant, channel, location \
             ON CONFLICT {unique} DO UPDATE SET pieces = excluded.pieces, updated_at = excluded.updated_at"
        );
        let row = |one: &&ChannelSafety| {
            let place = one.location.map(|id| id.hex());
            json!([one.id.hex(), one.variant.hex(), one.channel.hex(), place, one.pieces])
        };
        sql(query).bind(now).bind(dialect::rows(rows.iter().map(row).collect())).execute(tx)?;
    }
    Ok(())
}

/// What is set of these variants and channels at these places.
pub(super) fn of(tx: &mut Tx, rows: &[ChannelSafety]) -> Result<Vec<ChannelSafety>> {
    let list = dialect::list(tx, KEY);
    let query = format!(
        "SELECT {SELECTED} FROM {list} JOIN stock_channel_safety AS s ON s.variant_id = variant AND s.channel_id = channel \
         AND (s.location_id = location OR (s.location_id IS NULL AND location IS NULL)) ORDER BY id"
    );
    Ok(sql(query).bind(keys(rows)).load::<Columns, Row>(tx)?.into_iter().map(safety).collect())
}

/// How many pieces of levels which channel leaves to others: what is said of a location counts before what is said of each.
pub(in crate::stock) fn left_at(tx: &mut Tx, levels: &[LevelKey]) -> Result<HashMap<(LevelKey, ChannelId), i64>> {
    let list = dialect::list(tx, &[("variant", Col::Uid), ("location", Col::Uid)]);
    let query = format!(
        "SELECT variant, location, channel_id, pieces FROM {list} JOIN stock_channel_safety ON variant_id = variant \
         WHERE location_id = location OR location_id IS NULL ORDER BY CASE WHEN location_id IS NULL THEN 0 ELSE 1 END"
    );
    let wanted = dialect::rows(levels.iter().map(|(variant, place)| json!([variant.hex(), place.hex()])).collect());
    type Row = (VariantId, LocationId, ChannelId, i64);
    let rows = sql(query).bind(wanted).load::<(UidSql, UidSql, UidSql, BigInt), Row>(tx)?;
    // Of two the later one counts.
    Ok(rows.into_iter().map(|(variant, place, channel, pieces)| (((variant, place), channel), pieces)).collect())
}

/// A page of what is set, of one variant or channel where that is asked, behind one of them.
pub(super) fn page(
    tx: &mut Tx,
    (variant, channel): (Option<VariantId>, Option<ChannelId>),
    after: Option<ChannelSafetyId>,
    limit: i64,
) -> Result<Vec<ChannelSafety>> {
    let (mut conditions, mut binds) = (String::from("1 = 1"), Vec::<Bind>::new());
    let narrowed: [(&str, Option<Bind>); 3] = [
        (" AND variant_id = ?", variant.map(Bind::from)),
        (" AND channel_id = ?", channel.map(Bind::from)),
        (" AND id > ?", after.map(Bind::from)),
    ];
    for (condition, bind) in narrowed.into_iter().filter_map(|(condition, bind)| Some((condition, bind?))) {
        conditions.push_str(condition);
        binds.push(bind);
    }
    let query = sql(format!("SELECT {SELECTED} FROM stock_channel_safety WHERE {conditions} ORDER BY id LIMIT ?"));
    let rows = query.bind_all(binds).bind(limit).load::<Columns, Row>(tx)?;
    Ok(rows.into_iter().map(safety).collect())
}
