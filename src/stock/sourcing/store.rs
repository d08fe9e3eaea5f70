//! The only file that touches `sourcing_profiles` and `location_loads`.

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Nullable, Text},
};
use serde_json::json;

use super::{
    document::ProfileDocument,
    model::{ProfileState, SourcingProfile},
};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Tx, UidSql, dialect, sql},
    error::{Error, Result},
    kernel::{
        Instant,
        ids::{ChannelId, LocationId, SourcingProfileId},
    },
};

/// A row of `sourcing_profiles`.
#[derive(Queryable)]
struct ProfileRow {
    id: SourcingProfileId,
    code: String,
    version: i64,
    channel_id: Option<ChannelId>,
    state: ProfileState,
    doc: Doc<ProfileDocument>,
    revision: i64,
    activated_at: Option<Instant>,
    created_at: Instant,
}

type ProfileTypes = (UidSql, Text, BigInt, Nullable<UidSql>, Text, DocSql, BigInt, Nullable<InstantSql>, InstantSql);
const PROFILE: &str = "id, code, version, channel_id, state, doc, revision, activated_at, created_at";

fn profile(row: ProfileRow) -> SourcingProfile {
    let ProfileRow { id, code, version, channel_id, state, doc, revision, activated_at, created_at } = row;
    SourcingProfile { id, code, version, channel_id, state, document: doc.0, revision, activated_at, created_at }
}

/// The live versions.
pub(in crate::stock) fn live(tx: &mut Tx) -> Result<Vec<SourcingProfile>> {
    let query = sql(format!("SELECT {PROFILE} FROM sourcing_profiles WHERE state = 'live'"));
    Ok(query.load::<ProfileTypes, ProfileRow>(tx)?.into_iter().map(profile).collect())
}

/// A version.
pub(super) fn find(tx: &mut Tx, id: SourcingProfileId) -> Result<Option<SourcingProfile>> {
    let query = sql(format!("SELECT {PROFILE} FROM sourcing_profiles WHERE id = ?"));
    Ok(query.bind(id).first::<ProfileTypes, ProfileRow>(tx)?.map(profile))
}

/// A version, and what is live for the same orders, locked in the order of their ids; the version itself is given.
pub(super) fn lock(tx: &mut Tx, id: SourcingProfileId) -> Result<Option<SourcingProfile>> {
    let query = format!(
        "SELECT {PROFILE} FROM sourcing_profiles WHERE id = ? OR state = 'live' ORDER BY id{}",
        dialect::for_update(tx)
    );
    let rows = sql(query).bind(id).load::<ProfileTypes, ProfileRow>(tx)?;
    Ok(rows.into_iter().find(|row| row.id == id).map(profile))
}

/// Versions of codes, the newest first, from behind one of them; those of these channels and those of all.
pub(super) fn page(
    tx: &mut Tx,
    (code, state, seen): (Option<&str>, Option<ProfileState>, Option<&[ChannelId]>),
    before: Option<SourcingProfileId>,
    limit: i64,
) -> Result<Vec<SourcingProfile>> {
    let list = dialect::list(tx, &[("seen", Col::Uid)]);
    let channels = seen.map(|ids| dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect()));
    let narrowed: [(String, Option<Bind>); 4] = [
        ("code = ?".into(), code.map(Bind::from)),
        ("state = ?".into(), state.map(|state| state.as_str().into())),
        (format!("(channel_id IS NULL OR channel_id IN (SELECT seen FROM {list}))"), channels),
        ("id < ?".into(), before.map(Bind::from)),
    ];
    let (mut conditions, mut binds) = (String::from("1 = 1"), Vec::new());
    for (condition, bind) in narrowed.into_iter().filter_map(|(condition, bind)| Some((condition, bind?))) {
        conditions.push_str(" AND ");
        conditions.push_str(&condition);
        binds.push(bind);
    }
    let query = sql(format!("SELECT {PROFILE} FROM sourcing_profiles WHERE {conditions} ORDER BY id DESC LIMIT ?"));
    let rows = query.bind_all(binds).bind(limit).load::<ProfileTypes, ProfileRow>(tx)?;
    Ok(rows.into_iter().map(profile).collect())
}

/// The newest version of a code, with the channel that it is of.
pub(super) fn newest(tx: &mut Tx, code: &str) -> Result<Option<(i64, Option<ChannelId>)>> {
    sql("SELECT version, channel_id FROM sourcing_profiles WHERE code = ? ORDER BY version DESC LIMIT 1")
        .bind(code)
        .first::<(BigInt, Nullable<UidSql>), (i64, Option<ChannelId>)>(tx)
}

pub(super) fn insert(tx: &mut Tx, made: &SourcingProfile) -> Result<()> {
    sql("INSERT INTO sourcing_profiles \
         (id, code, version, channel_id, state, doc, revision, activated_at, created_at, updated_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(made.id)
    .bind(made.code.as_str())
    .bind(made.version)
    .bind(made.channel_id)
    .bind(made.state.as_str())
    .bind(Json::of(&made.document)?)
    .bind(made.revision)
    .bind(made.activated_at)
    .bind(made.created_at)
    .bind(made.created_at)
    .execute(tx)?;
    Ok(())
}

/// Replaces what can change of a version that still has the given revision. False when it has not.
pub(super) fn update(tx: &mut Tx, now: Instant, changed: &SourcingProfile, revision: i64) -> Result<bool> {
    let update = sql("UPDATE sourcing_profiles SET state = ?, doc = ?, activated_at = ?, revision = revision + 1, \
         updated_at = ? WHERE id = ? AND revision = ?")
    .bind(changed.state.as_str())
    .bind(Json::of(&changed.document)?)
    .bind(changed.activated_at)
    .bind(now)
    .bind(changed.id)
    .bind(revision);
    Ok(update.execute(tx)? == 1)
}

/// Retires what is live for the orders of a channel, or of all.
pub(super) fn retire_live(tx: &mut Tx, now: Instant, channel: Option<ChannelId>) -> Result<()> {
    const RETIRE: &str = "UPDATE sourcing_profiles SET state = 'retired', revision = revision + 1, updated_at = ? \
                          WHERE state = 'live' AND ";
    match channel {
        Some(channel) => sql(format!("{RETIRE} channel_id = ?")).bind(now).bind(channel).execute(tx)?,
        None => sql(format!("{RETIRE} channel_id IS NULL")).bind(now).execute(tx)?,
    };
    Ok(())
}

type LoadRow = (LocationId, String, i64);

/// How many orders locations have taken, by their local day.
pub(in crate::stock) fn loads(tx: &mut Tx) -> Result<HashMap<(LocationId, NaiveDate), i64>> {
    let rows =
        sql("SELECT location_id, day, orders FROM location_loads").load::<(UidSql, Text, BigInt), LoadRow>(tx)?;
    rows.into_iter()
        .map(|(location, day, orders)| Ok(((location, day.parse().map_err(Error::internal)?), orders)))
        .collect()
}

/// Notes how many orders locations have taken; how many of these figures are new.
pub(super) fn note_loads(tx: &mut Tx, now: Instant, loads: &[(LocationId, NaiveDate, i64)]) -> Result<usize> {
    let list = dialect::list(tx, &[("place", Col::Uid), ("local_day", Col::Text), ("taken", Col::Int)]);
    // `WHERE true` lets SQLite tell the ON CONFLICT from a join's ON.
    let query = format!(
        "INSERT INTO location_loads (location_id, day, orders, updated_at) \
         SELECT place, local_day, taken, ? FROM {list} WHERE true ORDER BY place, local_day \
         ON CONFLICT (location_id, day) DO UPDATE SET orders = excluded.orders, updated_at = excluded.updated_at \
         WHERE location_loads.orders <> excluded.orders"
    );
    let rows = loads.iter().map(|(location, day, orders)| json!([location.hex(), day.to_string(), orders]));
    sql(query).bind(now).bind(dialect::rows(rows.collect())).execute(tx)
}

/// Drops the figures of days before one.
pub(super) fn drop_loads(tx: &mut Tx, before: NaiveDate) -> Result<usize> {
    sql("DELETE FROM location_loads WHERE day < ?").bind(before.to_string()).execute(tx)
}
