//! The only file that touches `locations`, `stock_levels`, `stock_movements` and `reservations`.

use std::collections::HashMap;

use diesel::{
    prelude::*,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use serde_json::{Value, json};

use super::{
    available::Available,
    model::{Level, LevelChange, LevelKey, Location, Locations, NewMovement, Occasion, Selling, Share},
    site::Site,
    sourcing,
    trace::Sourcing,
};
use crate::{
    db::{Col, Doc, DocSql, InstantSql, Json, Snapshot, Tx, UidSql, dialect, insert_many, schema::locations, sql},
    error::{Error, Result},
    kernel::{
        Country, Id, Instant,
        ids::{CartId, LocationId, VariantId},
        stored,
    },
};

/// A row of `locations`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = locations, treat_none_as_default_value = false)]
pub(super) struct LocationRow {
    pub id: LocationId,
    pub code: String,
    pub name: String,
    pub country: Country,
    pub time_zone: String,
    pub priority: i64,
    pub active: bool,
    pub doc: Doc<Site>,
    pub version: i64,
    pub created_at: Instant,
    pub updated_at: Instant,
}

impl TryFrom<LocationRow> for Location {
    type Error = Error;

    fn try_from(row: LocationRow) -> Result<Self> {
        let LocationRow { id, code, name, country, time_zone, priority, active, doc, version, created_at, .. } = row;
        let (Doc(site), time_zone) = (doc, time_zone.parse()?);
        Ok(Self { id, code, name, country, time_zone, priority, active, version, site, created_at })
    }
}

impl Snapshot for Locations {
    const NAME: &'static str = "locations";

    fn load(tx: &mut Tx) -> Result<Self> {
        let rows = locations::table.select(LocationRow::as_select()).load(tx)?;
        let all = Self::new(rows.into_iter().map(Location::try_from).collect::<Result<_>>()?);
        Ok(all.with(sourcing::live(tx)?, sourcing::loads(tx)?))
    }
}

pub(super) fn insert_location(tx: &mut Tx, row: &LocationRow) -> Result<()> {
    diesel::insert_into(locations::table).values(row).execute(tx)?;
    Ok(())
}

pub(super) fn location(tx: &mut Tx, id: LocationId) -> Result<Option<Location>> {
    let row = locations::table.find(id).select(LocationRow::as_select()).first(tx).optional()?;
    row.map(Location::try_from).transpose()
}

/// Replaces a location when it still has the given version. False when it has not.
pub(super) fn update_location(tx: &mut Tx, now: Instant, changed: &Location, version: i64) -> Result<bool> {
    // What a newer version beside this one has written stays.
    let before = sql("SELECT doc FROM locations WHERE id = ?").bind(changed.id);
    let Some(Doc(before)) = before.first::<DocSql, Doc<Value>>(tx)? else { return Ok(false) };
    let update = sql("UPDATE locations SET name = ?, country = ?, time_zone = ?, doc = ?, priority = ?, active = ?, \
         version = version + 1, updated_at = ? WHERE id = ? AND version = ?")
    .bind(changed.name.as_str())
    .bind(changed.country)
    .bind(changed.time_zone.to_string())
    .bind(Doc(stored::carried_over::<Site>(before, serde_json::to_value(&changed.site)?)))
    .bind(changed.priority)
    .bind(changed.active)
    .bind(now)
    .bind(changed.id)
    .bind(version);
    Ok(update.execute(tx)? == 1)
}

pub(super) const KEY: &[(&str, Col)] = &[("variant", Col::Uid), ("location", Col::Uid)];

pub(super) fn keys(keys: impl IntoIterator<Item = LevelKey>) -> crate::db::Bind {
    let rows = keys.into_iter().map(|(variant, location)| json!([variant.hex(), location.hex()]));
    dialect::rows(rows.collect())
}

pub(super) fn ids<K>(ids: impl IntoIterator<Item = Id<K>>) -> crate::db::Bind {
    dialect::rows(ids.into_iter().map(|id| json!([id.hex()])).collect())
}

#[rustfmt::skip]
pub(super) type LevelColumns = (UidSql, UidSql, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, InstantSql);
pub(super) type LevelRow = (VariantId, LocationId, i64, i64, i64, i64, i64, i64, i64, Instant);
pub(super) const LEVEL: &str =
    "variant_id, location_id, on_hand, allocated, reserved, safety, withheld, beyond, version, updated_at";

/// What of a level is there to sell.
pub(super) const THERE: &str = "(on_hand - allocated - reserved - safety - withheld)";
/// What of a level can be sold: with what may be sold beyond what is there.
pub(super) const SELLABLE: &str = "(on_hand - allocated - reserved - safety - withheld + beyond)";

/// What of a level a channel leaves to others, for a text of SQL: `channel` says where it reads that. A channel's safety stock of the
/// level itself counts before that of the variant anywhere.
fn left_to_others(level: &str, channel: &str) -> String {
    format!(
        "coalesce((SELECT k.pieces FROM stock_channel_safety AS k WHERE k.channel_id = {channel} \
           AND k.variant_id = {level}.variant_id AND (k.location_id = {level}.location_id OR k.location_id IS NULL) \
           ORDER BY CASE WHEN k.location_id IS NULL THEN 1 ELSE 0 END LIMIT 1), 0)"
    )
}

/// What of a level does not keep long enough, for a text of SQL: what ends before `keeps_until`, and what has ended at `seen_at` and
/// was not put into `expired` yet. Goods that are in no lot have nothing to look up but that they are in none.
fn ends_too_soon(level: &str, (keeps_until, seen_at): (&str, &str)) -> String {
    format!(
        "coalesce((SELECT CAST(sum(h.quantity) AS BIGINT) FROM stock_lot_levels AS h JOIN stock_lots AS o ON o.id = h.lot_id \
           WHERE h.variant_id = {level}.variant_id AND h.location_id = {level}.location_id AND o.state = 'available' \
           AND (o.expires_at <= {seen_at} OR o.expires_at < {keeps_until})), 0)"
    )
}

/// What of a level is kept back from whom it is sold for, for a text of SQL: the columns of [`WHO`] are those of the table `who`.
fn kept_back(level: &str, who: &str) -> String {
    let ends = ends_too_soon(level, (&format!("{who}.keeps_until"), &format!("{who}.seen_at")));
    format!("({} + {ends})", left_to_others(level, &format!("{who}.channel")))
}

/// The same of a selling that stands in a row of its own, `who`, before the levels: its columns are bound with [`who`].
pub(super) fn kept_back_from_who(level: &str) -> String {
    kept_back(level, "who")
}

/// The columns of a selling.
pub(super) const WHO: &[(&str, Col)] = &[("channel", Col::Uid), ("keeps_until", Col::At), ("seen_at", Col::At)];

/// A selling as one row of [`WHO`].
pub(super) fn who(selling: Selling) -> crate::db::Bind {
    let (channel, at) = (selling.channel.map(|id| id.hex()), |at: Option<Instant>| at.map(Instant::sortable));
    dialect::rows(vec![json!([channel, at(selling.keeps_until), at(selling.at)])])
}

pub(super) fn level(row: LevelRow) -> Level {
    let (variant, location, on_hand, allocated, reserved, safety, withheld, beyond, version, updated_at) = row;
    Level { variant, location, on_hand, allocated, reserved, safety, withheld, beyond, version, updated_at }
}

/// What can be sold of variants at each location that has a level, inactive ones included.
pub(super) fn available(tx: &mut Tx, variants: &[VariantId], selling: Selling) -> Result<Available> {
    let (list, one) = (dialect::list(tx, &[("wanted", Col::Uid)]), dialect::list(tx, WHO));
    let (left, ends) = (left_to_others("s", "who.channel"), ends_too_soon("s", ("who.keeps_until", "who.seen_at")));
    let query = format!(
        "WITH who AS (SELECT * FROM {one}), wanted AS (SELECT wanted FROM {list}) \
         SELECT variant_id, location_id, {SELLABLE}, beyond, {left}, {ends} \
         FROM who CROSS JOIN wanted JOIN stock_levels AS s ON variant_id = wanted"
    );
    let rows = sql(query).bind(who(selling)).bind(ids(variants.iter().copied()));
    type Row = (VariantId, LocationId, i64, i64, i64, i64);
    let rows = rows.load::<(UidSql, UidSql, BigInt, BigInt, BigInt, BigInt), Row>(tx)?;
    let mut found = Available::default();
    for (variant, location, sellable, beyond, left, ends) in rows {
        found.note((variant, location), sellable, beyond, (left, ends));
    }
    Ok(found)
}

/// What can be sold of variants at each active location; those without a level are absent.
pub(super) fn availability(tx: &mut Tx, variants: &[VariantId], selling: Selling) -> Result<Vec<(LevelKey, i64)>> {
    let (list, one) = (dialect::list(tx, &[("wanted", Col::Uid)]), dialect::list(tx, WHO));
    let kept = kept_back_from_who("s");
    let query = format!(
        "WITH who AS (SELECT * FROM {one}), wanted AS (SELECT wanted FROM {list}) \
         SELECT s.variant_id, s.location_id, {SELLABLE} - {kept} FROM who CROSS JOIN wanted \
         JOIN stock_levels AS s ON s.variant_id = wanted JOIN locations ON locations.id = s.location_id WHERE locations.active"
    );
    let query = sql(query).bind(who(selling)).bind(ids(variants.iter().copied()));
    let rows = query.load::<(UidSql, UidSql, BigInt), (VariantId, LocationId, i64)>(tx)?;
    Ok(rows.into_iter().map(|(variant, location, sellable)| ((variant, location), sellable)).collect())
}

/// When the first pieces of these variants came.
pub(super) fn first_received(tx: &mut Tx, variants: &[VariantId]) -> Result<Vec<(VariantId, Instant)>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT wanted, received FROM (SELECT wanted, (SELECT m.occurred_at FROM stock_movements AS m \
           WHERE m.variant_id = list.wanted AND m.on_hand > 0 ORDER BY m.seq LIMIT 1) AS received FROM {list}) AS found \
         WHERE received IS NOT NULL"
    );
    sql(query).bind(ids(variants.iter().copied())).load::<(UidSql, InstantSql), (VariantId, Instant)>(tx)
}

/// The levels of these keys; locked until the end of the transaction, in key order, where rows are locked.
pub(super) fn lock_levels(tx: &mut Tx, wanted: &[LevelKey]) -> Result<Vec<Level>> {
    let (list, lock) = (dialect::list(tx, KEY), dialect::for_update(tx));
    // The list is a subquery of its own: a lock clause reaches into joined subqueries, which must not have any.
    let query = format!(
        "WITH wanted AS (SELECT variant, location FROM {list}) SELECT {LEVEL} FROM wanted \
         JOIN stock_levels ON variant_id = variant AND location_id = location ORDER BY variant_id, location_id{lock}"
    );
    let rows = sql(query).bind(keys(wanted.iter().copied())).load::<LevelColumns, LevelRow>(tx)?;
    Ok(rows.into_iter().map(level).collect())
}

/// The last movement of levels by which somebody said how many lie there; those without one are absent.
pub(super) fn settled(tx: &mut Tx, wanted: &[LevelKey]) -> Result<HashMap<LevelKey, i64>> {
    let list = dialect::list(tx, KEY);
    // The movements of a variant lead, and not those of a whole location.
    let place = dialect::unindexed(tx)("m.location_id");
    let query = format!(
        "SELECT variant, location, coalesce((SELECT m.seq FROM stock_movements AS m WHERE m.variant_id = list.variant \
           AND {place} = list.location AND m.kind IN ('adjustment', 'count', 'snapshot', 'repair') \
           ORDER BY m.seq DESC LIMIT 1), 0) FROM {list}"
    );
    type Row = (VariantId, LocationId, i64);
    let rows = sql(query).bind(keys(wanted.iter().copied())).load::<(UidSql, UidSql, BigInt), Row>(tx)?;
    Ok(rows.into_iter().map(|(variant, location, seq)| ((variant, location), seq)).collect())
}

/// When goods came last to levels, or somebody said how many lie there; those of which that never happened are absent. What has not left
/// after all was never on the shelf again, nobody has looked for a repair of the books, and counts are asked for when they were made.
pub(super) fn last_said(tx: &mut Tx, wanted: &[LevelKey]) -> Result<Vec<(LevelKey, Instant)>> {
    let list = dialect::list(tx, KEY);
    let place = dialect::unindexed(tx)("m.location_id");
    let query = format!(
        "SELECT variant, location, seen FROM (SELECT variant, location, (SELECT m.recorded_at FROM stock_movements AS m \
           WHERE m.variant_id = list.variant AND {place} = list.location AND m.kind NOT IN ('correction', 'count', 'repair') \
           AND (m.on_hand > 0 OR m.kind IN ('adjustment', 'snapshot')) \
           ORDER BY m.seq DESC LIMIT 1) AS seen FROM {list}) AS found WHERE seen IS NOT NULL"
    );
    type Row = (VariantId, LocationId, Instant);
    let rows = sql(query).bind(keys(wanted.iter().copied())).load::<(UidSql, UidSql, InstantSql), Row>(tx)?;
    Ok(rows.into_iter().map(|(variant, location, at)| ((variant, location), at)).collect())
}

/// Makes empty levels where there are none yet.
pub(super) fn make_levels(tx: &mut Tx, now: Instant, wanted: &[LevelKey]) -> Result<()> {
    let list = dialect::list(tx, KEY);
    // `WHERE true` lets SQLite tell the ON CONFLICT from a join's ON.
    let query = format!(
        "INSERT INTO stock_levels ({LEVEL}) SELECT variant, location, 0, 0, 0, 0, 0, 0, 1, ? FROM {list} \
         WHERE true ORDER BY variant, location ON CONFLICT (variant_id, location_id) DO NOTHING"
    );
    sql(query).bind(now).bind(keys(wanted.iter().copied())).execute(tx)?;
    Ok(())
}

/// Moves any number of levels with one statement: all of them, or none when one of them is missing, fails its guard or
/// would fall below zero. The levels as they are afterwards; empty when refused.
///
/// The changes hold each level once ([`super::model::sum_changes`]).
pub(super) fn move_levels(tx: &mut Tx, now: Instant, changes: &[LevelChange]) -> Result<Vec<Level>> {
    const COLUMNS: &[(&str, Col)] = &[
        ("variant", Col::Uid),
        ("location", Col::Uid),
        ("more_on_hand", Col::Int),
        ("more_allocated", Col::Int),
        ("more_reserved", Col::Int),
        ("needed", Col::Int),
        ("shelf_only", Col::Bool),
        ("channel", Col::Uid),
        ("keeps_until", Col::At),
        ("seen_at", Col::At),
    ];
    // What does not keep long enough stands in other rows than those that are locked here: a statement that waits for these would
    // still read the others as they were before. So the levels are locked first where it is asked for.
    //
    // For all others it is not, for it would be a statement more of every sale: what has ended and was not put into `expired` yet is then
    // read as it was when the statement began. That matters only within the half minute in which a lot has ended and nobody has noted it,
    // and only where pieces come to that very lot (named, transferred) while a sale of the level waits for its lock. They can not leave all
    // the same: what ships is asked again under the lock ([`lots::settle`]), and once the lot has expired the level that owes too much is
    // told of as any other (`shortage::watch_withheld`). What leaves such a lot meanwhile makes a sale at most be refused.
    if changes.iter().any(|change| change.guard.is_some() && change.selling.keeps_until.is_some()) {
        let mut all: Vec<LevelKey> = changes.iter().map(|change| (change.variant, change.location)).collect();
        all.sort_unstable();
        lock_levels(tx, &all)?;
    }
    let kept = kept_back("stock_levels", "wanted");
    let (list, lock) = (dialect::list(tx, COLUMNS), dialect::for_update(tx));
    // The new figures come from the locked rows. Reckoned in the UPDATE itself, they would first be those of the rows as they
    // were when the statement began, and PostgreSQL looks whether these are below zero before it sees that they are outdated.
    let query = format!(
        "WITH wanted AS (SELECT * FROM {list}), \
         held AS MATERIALIZED (SELECT variant, location, on_hand + more_on_hand AS then_on_hand, \
             allocated + more_allocated AS then_allocated, reserved + more_reserved AS then_reserved, \
             (needed IS NULL OR {THERE} + CASE WHEN shelf_only THEN 0 ELSE beyond END - {kept} >= needed) AND on_hand + more_on_hand >= 0 \
             AND allocated + more_allocated >= 0 AND reserved + more_reserved >= 0 AS fits \
           FROM wanted JOIN stock_levels ON variant_id = variant AND location_id = location \
           ORDER BY variant_id, location_id{lock}) \
         UPDATE stock_levels SET on_hand = then_on_hand, allocated = then_allocated, reserved = then_reserved, \
           version = version + 1, updated_at = ? \
         FROM held WHERE variant_id = held.variant AND location_id = held.location \
           AND (SELECT count(*) FROM held WHERE fits) = ? RETURNING {LEVEL}"
    );
    let rows = changes.iter().map(|change| {
        let LevelChange { variant, location, on_hand, allocated, reserved, guard, shelf_only, selling } = change;
        let (channel, keeps_until) = (selling.channel.map(|id| id.hex()), selling.keeps_until.map(Instant::sortable));
        // What has ended by now is not taken, for whomever.
        let seen_at = guard.map(|_| now.sortable());
        json!([
            variant.hex(),
            location.hex(),
            on_hand,
            allocated,
            reserved,
            guard,
            shelf_only,
            channel,
            keeps_until,
            seen_at
        ])
    });
    let count = i64::try_from(changes.len()).map_err(Error::internal)?;
    let moved = sql(query).bind(dialect::rows(rows.collect())).bind(now).bind(count);
    Ok(moved.load::<LevelColumns, LevelRow>(tx)?.into_iter().map(level).collect())
}

/// Sets the safety stock of levels that exist, each once.
pub(super) fn set_safety(tx: &mut Tx, now: Instant, wanted: &[(LevelKey, i64)]) -> Result<Vec<Level>> {
    let columns = [KEY, &[("pieces", Col::Int)]].concat();
    let (list, lock) = (dialect::list(tx, &columns), dialect::for_update(tx));
    let query = format!(
        "WITH wanted AS (SELECT * FROM {list}), \
         held AS MATERIALIZED (SELECT wanted.* FROM wanted JOIN stock_levels \
           ON variant_id = variant AND location_id = location ORDER BY variant_id, location_id{lock}) \
         UPDATE stock_levels SET safety = pieces, version = version + 1, updated_at = ? \
         FROM held WHERE variant_id = held.variant AND location_id = held.location RETURNING {LEVEL}"
    );
    let rows = wanted.iter().map(|((variant, location), pieces)| json!([variant.hex(), location.hex(), pieces]));
    let rows = sql(query).bind(dialect::rows(rows.collect())).bind(now).load::<LevelColumns, LevelRow>(tx)?;
    Ok(rows.into_iter().map(level).collect())
}

/// Appends movements with one statement, in the order given.
pub(super) fn append(tx: &mut Tx, now: Instant, occasion: Occasion<'_>, movements: &[NewMovement]) -> Result<()> {
    const COLUMNS: &[(&str, Col)] = &[
        ("id", Col::Uid),
        ("variant_id", Col::Uid),
        ("location_id", Col::Uid),
        ("kind", Col::Text),
        ("on_hand", Col::Int),
        ("allocated", Col::Int),
        ("reason", Col::Text),
        ("reference", Col::Text),
        ("actor", Col::Text),
        ("occurred_at", Col::At),
        ("recorded_at", Col::At),
        ("idempotency_key", Col::Text),
        ("pieces", Col::Int),
    ];
    let actor = occasion.actor.label();
    let rows = movements.iter().map(|movement| {
        let NewMovement { key: (variant, location), kind, on_hand, allocated, reason, pieces, reference } = movement;
        vec![
            // Nobody is told a movement's id before the commit, so a second run may give another.
            Id::<crate::kernel::ids::Movement>::new().into(),
            (*variant).into(),
            (*location).into(),
            kind.as_str().into(),
            (*on_hand).into(),
            (*allocated).into(),
            reason.clone().into(),
            reference.as_deref().or(occasion.reference).into(),
            actor.as_str().into(),
            occasion.occurred_at.into(),
            now.into(),
            occasion.actor.request_key().into(),
            (*pieces).into(),
        ]
    });
    insert_many(tx, "stock_movements", COLUMNS, rows.collect()).map(|_| ())
}

/// Writes a cart's live reservations with one statement.
pub(super) fn insert_reservations(
    tx: &mut Tx,
    now: Instant,
    (cart, expires_at): (CartId, Instant),
    shares: &[Share],
    sourcing: &[Sourcing],
) -> Result<()> {
    const COLUMNS: &[(&str, Col)] = &[
        ("id", Col::Uid),
        ("cart_id", Col::Uid),
        ("line_no", Col::Int),
        ("variant_id", Col::Uid),
        ("location_id", Col::Uid),
        ("quantity", Col::Int),
        ("tracked", Col::Bool),
        ("state", Col::Text),
        ("expires_at", Col::At),
        ("created_at", Col::At),
        ("sourcing", Col::Doc),
        ("delivery", Col::Int),
    ];
    // A line's trace stands with its first share.
    let key = |share: &Share| (share.line_no, share.delivery);
    let firsts = shares.iter().scan(None, |line, share| Some(line.replace(key(share)) != Some(key(share))));
    let trace = |share: &Share, first: bool| -> Result<Option<Json>> {
        let found = sourcing.iter().filter(|_| first).find(|trace| (trace.line_no, trace.delivery) == key(share));
        found.map(Json::of).transpose()
    };
    let rows = shares.iter().zip(firsts).map(|(share, first)| {
        Ok(vec![
            Id::<crate::kernel::ids::Reservation>::new().into(),
            cart.into(),
            share.line_no.into(),
            share.variant.into(),
            share.location.into(),
            share.quantity.into(),
            share.tracked.into(),
            "live".into(),
            expires_at.into(),
            now.into(),
            trace(share, first)?.into(),
            share.delivery.into(),
        ])
    });
    let rows: Result<Vec<_>> = rows.collect();
    insert_many(tx, "reservations", COLUMNS, rows?).map(|_| ())
}

type ShareColumns = (BigInt, UidSql, UidSql, BigInt, Bool, BigInt);
type ShareRow = (i64, VariantId, LocationId, i64, bool, i64);
const SHARE: &str = "line_no, variant_id, location_id, quantity, tracked, delivery";

fn shares(rows: Vec<ShareRow>) -> Result<Vec<Share>> {
    let share = |(line_no, variant, location, quantity, tracked, delivery): ShareRow| {
        let line_no = i32::try_from(line_no).map_err(Error::internal)?;
        let delivery = i32::try_from(delivery).map_err(Error::internal)?;
        Ok(Share { line_no, delivery, variant, location, quantity, tracked })
    };
    let mut shares: Vec<Share> = rows.into_iter().map(share).collect::<Result<_>>()?;
    shares.sort_by_key(|share| (share.line_no, share.delivery, share.location));
    Ok(shares)
}

/// What a cart's live reservations hold of variants whose stock is counted.
pub(super) fn held(tx: &mut Tx, cart: CartId) -> Result<Vec<(VariantId, i64)>> {
    sql("SELECT variant_id, CAST(sum(quantity) AS BIGINT) FROM reservations \
         WHERE cart_id = ? AND state = 'live' AND tracked GROUP BY variant_id")
    .bind(cart)
    .load::<(UidSql, BigInt), (VariantId, i64)>(tx)
}

/// What a cart's live reservations hold, with the traces that led to them.
pub(super) fn held_at(tx: &mut Tx, cart: CartId) -> Result<(Vec<Share>, Vec<Sourcing>)> {
    let query = format!("SELECT {SHARE}, sourcing FROM reservations WHERE cart_id = ? AND state = 'live'");
    traced(sql(query).bind(cart).load::<TracedColumns, TracedRow>(tx)?)
}

type TracedColumns = (BigInt, UidSql, UidSql, BigInt, Bool, BigInt, Nullable<DocSql>);
type TracedRow = (i64, VariantId, LocationId, i64, bool, i64, Option<Doc<Sourcing>>);

fn traced(rows: Vec<TracedRow>) -> Result<(Vec<Share>, Vec<Sourcing>)> {
    let split = |(line, variant, location, quantity, tracked, number, trace)| {
        ((line, variant, location, quantity, tracked, number), trace)
    };
    let (held, traces): (Vec<ShareRow>, Vec<Option<Doc<Sourcing>>>) = rows.into_iter().map(split).unzip();
    let mut sourcing: Vec<Sourcing> = traces.into_iter().flatten().map(|Doc(trace)| trace).collect();
    sourcing.sort_by_key(|trace| (trace.line_no, trace.delivery));
    Ok((shares(held)?, sourcing))
}

/// Ends the live reservations of a cart as `state` and gives them, sorted by line, with the traces that led to them. They live and end together: whoever
/// locks the first of them, in the order of their ids, decides about all.
pub(super) fn end_reservations(tx: &mut Tx, cart: CartId, state: &'static str) -> Result<(Vec<Share>, Vec<Sourcing>)> {
    let lock = dialect::for_update(tx);
    let query = format!(
        "UPDATE reservations SET state = ? WHERE state = 'live' AND id IN (SELECT id FROM reservations \
           WHERE cart_id = ? AND state = 'live' ORDER BY id{lock}) RETURNING {SHARE}, sourcing"
    );
    traced(sql(query).bind(state).bind(cart).load::<TracedColumns, TracedRow>(tx)?)
}

/// When the reservations of a cart were made that have become an order's.
pub(super) fn reserved_at(tx: &mut Tx, cart: CartId) -> Result<Option<Instant>> {
    let query =
        sql("SELECT created_at FROM reservations WHERE cart_id = ? AND state = 'consumed' ORDER BY id DESC LIMIT 1");
    query.bind(cart).first::<InstantSql, Instant>(tx)
}

/// Moves the end of a cart's live reservations; how many there were.
pub(super) fn extend_reservations(tx: &mut Tx, cart: CartId, expires_at: Instant) -> Result<usize> {
    let lock = dialect::for_update(tx);
    let query = format!(
        "UPDATE reservations SET expires_at = ? WHERE state = 'live' AND id IN (SELECT id FROM reservations \
           WHERE cart_id = ? AND state = 'live' ORDER BY id{lock})"
    );
    sql(query).bind(expires_at).bind(cart).execute(tx)
}

/// Expires all the reservations of those carts that hold due ones of the variants.
pub(super) fn expire_of(tx: &mut Tx, now: Instant, variants: &[VariantId]) -> Result<Vec<Share>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    expire_carts(tx, now, &format!("variant_id IN (SELECT wanted FROM {list})"), ids(variants.iter().copied()))
}

/// Expires all the reservations of up to `carts` carts that hold due ones, the longest due first.
pub(super) fn expire_oldest(tx: &mut Tx, now: Instant, carts: i64) -> Result<Vec<Share>> {
    expire_carts(tx, now, "true ORDER BY expires_at LIMIT ?", carts.into())
}

fn expire_carts(tx: &mut Tx, now: Instant, which: &str, bind: crate::db::Bind) -> Result<Vec<Share>> {
    let lock = dialect::for_update(tx);
    // The outer conditions are looked at again once a row is locked: it may have been consumed or extended meanwhile.
    let query = format!(
        "UPDATE reservations SET state = 'expired' WHERE state = 'live' AND expires_at <= ? AND id IN ( \
           SELECT id FROM reservations WHERE state = 'live' AND expires_at <= ? AND cart_id IN ( \
             SELECT cart_id FROM reservations WHERE state = 'live' AND expires_at <= ? AND {which}) \
           ORDER BY id{lock}) RETURNING {SHARE}"
    );
    shares(sql(query).bind(now).bind(now).bind(now).bind(bind).load::<ShareColumns, ShareRow>(tx)?)
}

/// Drops ended reservations made before an instant, up to `limit` of them.
pub(super) fn purge_reservations(tx: &mut Tx, before: Instant, limit: i64) -> Result<usize> {
    // Ids begin with the time at which they were made, so the oldest lie at the beginning of the table.
    let bound = Id::<crate::kernel::ids::Reservation>::first_at(before);
    let query = "DELETE FROM reservations WHERE id IN (SELECT id FROM reservations WHERE id < ? AND state <> 'live' \
                 ORDER BY id LIMIT ?)";
    sql(query).bind(bound).bind(limit).execute(tx)
}

/// The codes of locations.
pub(super) fn codes(tx: &mut Tx, wanted: impl Iterator<Item = LocationId>) -> Result<Vec<(LocationId, String)>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!("SELECT id, code FROM locations WHERE id IN (SELECT wanted FROM {list})");
    sql(query).bind(ids(wanted)).load::<(UidSql, Text), (LocationId, String)>(tx)
}
