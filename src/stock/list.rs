//! Reading levels and movements page by page, and the sums that the doctor compares. Part of the store.

use diesel::{
    prelude::Queryable,
    sql_types::{BigInt, Nullable, Text},
};

use super::{
    model::{Level, LevelKey},
    store::{KEY, LEVEL, LevelColumns, LevelRow, ids, keys, level},
};
use crate::{
    db::{Bind, Col, InstantSql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Id, Instant,
        ids::{LocationId, Movement, VariantId},
    },
};

/// Conditions joined by AND with their binds. Which of them there are depends on the request, so the number of texts
/// is small.
#[derive(Default)]
struct Where {
    text: String,
    binds: Vec<Bind>,
}

impl Where {
    fn and(&mut self, condition: &str, binds: impl IntoIterator<Item = Bind>) {
        self.text.push_str(if self.text.is_empty() { " WHERE " } else { " AND " });
        self.text.push_str(condition);
        self.binds.extend(binds);
    }

    fn one_of(&mut self, tx: &Tx, column: &str, list_of: Bind) {
        let list = dialect::list(tx, &[("wanted", Col::Uid)]);
        self.and(&format!("{column} IN (SELECT wanted FROM {list})"), [list_of]);
    }

    fn statement(self, select: &str, rest: &str, last: Option<i64>) -> crate::db::Sql {
        let statement = sql(format!("{select}{}{rest}", self.text));
        let statement = self.binds.into_iter().fold(statement, |statement, bind| statement.bind(bind));
        match last {
            Some(limit) => statement.bind(limit),
            None => statement,
        }
    }
}

/// Which levels or movements are asked for; `None` is all.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub variants: Option<Vec<VariantId>>,
    pub locations: Option<Vec<LocationId>>,
    /// The document by which levels moved.
    pub reference: Option<String>,
    /// Why they moved.
    pub kinds: Option<Vec<super::model::MovementKind>>,
}

impl Filter {
    fn conditions(&self, tx: &Tx) -> Where {
        let mut conditions = Where::default();
        if let Some(variants) = &self.variants {
            conditions.one_of(tx, "variant_id", ids(variants.iter().copied()));
        }
        if let Some(locations) = &self.locations {
            conditions.one_of(tx, "location_id", ids(locations.iter().copied()));
        }
        conditions
    }
}

/// Levels in the order of their keys, after one of them.
pub(super) fn levels(tx: &mut Tx, filter: &Filter, after: Option<LevelKey>, limit: i64) -> Result<Vec<Level>> {
    let mut conditions = filter.conditions(tx);
    if let Some((variant, location)) = after {
        conditions.and("(variant_id, location_id) > (?, ?)", [variant.into(), location.into()]);
    }
    let select = format!("SELECT {LEVEL} FROM stock_levels");
    let statement = conditions.statement(&select, " ORDER BY variant_id, location_id LIMIT ?", Some(limit));
    Ok(statement.load::<LevelColumns, LevelRow>(tx)?.into_iter().map(level).collect())
}

/// The levels of these keys, in their order.
pub(super) fn levels_of(tx: &mut Tx, wanted: &[LevelKey]) -> Result<Vec<Level>> {
    let list = dialect::list(tx, KEY);
    let query = format!(
        "SELECT {LEVEL} FROM {list} JOIN stock_levels ON variant_id = variant AND location_id = location \
         ORDER BY variant_id, location_id"
    );
    let rows = sql(query).bind(keys(wanted.iter().copied())).load::<LevelColumns, LevelRow>(tx)?;
    Ok(rows.into_iter().map(level).collect())
}

/// A movement as it is kept.
#[derive(Debug, Clone)]
pub(super) struct MovementRow {
    pub seq: i64,
    pub id: Id<Movement>,
    pub key: LevelKey,
    pub kind: super::model::MovementKind,
    pub on_hand: i64,
    pub allocated: i64,
    pub reason: Option<String>,
    pub reference: Option<String>,
    pub actor: String,
    pub occurred_at: Instant,
    pub recorded_at: Instant,
    pub idempotency_key: Option<String>,
    pub pieces: Option<i64>,
}

/// A row of `stock_movements`.
#[derive(Queryable)]
struct MovementRecord {
    seq: i64,
    id: Id<Movement>,
    variant: VariantId,
    location: LocationId,
    kind: super::model::MovementKind,
    on_hand: i64,
    allocated: i64,
    reason: Option<String>,
    reference: Option<String>,
    actor: String,
    occurred_at: Instant,
    recorded_at: Instant,
    key: Option<String>,
    pieces: Option<i64>,
}

impl From<MovementRecord> for MovementRow {
    fn from(row: MovementRecord) -> Self {
        let MovementRecord { seq, id, variant, location, kind, on_hand, allocated, reason, reference, actor, .. } = row;
        let (key, occurred_at, recorded_at) = ((variant, location), row.occurred_at, row.recorded_at);
        let (idempotency_key, pieces) = (row.key, row.pieces);
        Self {
            seq,
            id,
            key,
            kind,
            on_hand,
            allocated,
            reason,
            reference,
            actor,
            occurred_at,
            recorded_at,
            idempotency_key,
            pieces,
        }
    }
}

/// Movements, the newest first, before one of them.
pub(super) fn movements(tx: &mut Tx, filter: &Filter, before: Option<i64>, limit: i64) -> Result<Vec<MovementRow>> {
    #[rustfmt::skip]
    type Columns = (BigInt, UidSql, UidSql, UidSql, Text, BigInt, BigInt, Nullable<Text>, Nullable<Text>, Text, InstantSql, InstantSql, Nullable<Text>, Nullable<BigInt>);
    let mut conditions = filter.conditions(tx);
    if let Some(reference) = &filter.reference {
        conditions.and("reference = ?", [reference.as_str().into()]);
    }
    if let Some(kinds) = &filter.kinds {
        let list = dialect::list(tx, &[("wanted", Col::Text)]);
        let wanted = dialect::rows(kinds.iter().map(|kind| serde_json::json!([kind.as_str()])).collect());
        conditions.and(&format!("kind IN (SELECT wanted FROM {list})"), [wanted]);
    }
    if let Some(before) = before {
        conditions.and("seq < ?", [before.into()]);
    }
    let select = "SELECT seq, id, variant_id, location_id, kind, on_hand, allocated, reason, reference, actor, \
                  occurred_at, recorded_at, idempotency_key, pieces FROM stock_movements";
    let statement = conditions.statement(select, " ORDER BY seq DESC LIMIT ?", Some(limit));
    Ok(statement.load::<Columns, MovementRecord>(tx)?.into_iter().map(MovementRow::from).collect())
}

/// The variants after one and up to another; open ends are everything on that side.
fn between(after: Option<VariantId>, last: Option<VariantId>) -> Where {
    let mut conditions = Where::default();
    if let Some(after) = after {
        conditions.and("variant_id > ?", [after.into()]);
    }
    if let Some(last) = last {
        conditions.and("variant_id <= ?", [last.into()]);
    }
    conditions
}

/// The last of the next `limit` variants that have levels; `None` when there are no more than that.
pub(super) fn last_of_chunk(tx: &mut Tx, after: Option<VariantId>, limit: i64) -> Result<Option<VariantId>> {
    let select = "SELECT variant_id FROM (SELECT DISTINCT variant_id FROM stock_levels";
    let statement = between(after, None).statement(
        select,
        " ORDER BY variant_id LIMIT ?) AS chunk ORDER BY variant_id",
        Some(limit + 1),
    );
    let chunk = statement.load::<UidSql, VariantId>(tx)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    Ok(match chunk.len() > limit {
        true => limit.checked_sub(1).and_then(|place| chunk.get(place)).copied(),
        false => None,
    })
}

/// `on_hand`, `allocated`, `reserved`.
pub(super) type Counters = (i64, i64, i64);
type SumColumns = (UidSql, UidSql, BigInt, BigInt, BigInt);
type SumRow = (VariantId, LocationId, i64, i64, i64);

fn sums(tx: &mut Tx, range: Where, select: &str, rest: &str) -> Result<Vec<(LevelKey, Counters)>> {
    let rows = range.statement(select, rest, None).load::<SumColumns, SumRow>(tx)?;
    Ok(rows.into_iter().map(|(variant, location, a, b, c)| ((variant, location), (a, b, c))).collect())
}

/// What the levels of a chunk say: `on_hand`, `allocated`, `reserved`.
pub(super) fn counters(
    tx: &mut Tx,
    after: Option<VariantId>,
    last: Option<VariantId>,
) -> Result<Vec<(LevelKey, Counters)>> {
    let select = "SELECT variant_id, location_id, on_hand, allocated, reserved FROM stock_levels";
    sums(tx, between(after, last), select, "")
}

/// What movements and live reservations of these keys add up to: `on_hand`, `allocated`, `reserved`. One statement.
pub(super) fn sums_of(tx: &mut Tx, wanted: &[LevelKey]) -> Result<Vec<(LevelKey, Counters)>> {
    let list = dialect::list(tx, KEY);
    // The movements of a variant lead, and not those of a whole location.
    let place = dialect::unindexed(tx)("m.location_id");
    let moved = |column: &str| {
        format!(
            "CAST(coalesce((SELECT sum(m.{column}) FROM stock_movements AS m WHERE m.variant_id = list.variant \
             AND {place} = list.location), 0) AS BIGINT)"
        )
    };
    let query = format!(
        "SELECT variant, location, {}, {}, CAST(coalesce((SELECT sum(r.quantity) FROM reservations AS r \
           WHERE r.variant_id = list.variant AND r.location_id = list.location AND r.state = 'live' AND r.tracked), 0) AS BIGINT) \
         FROM {list} ORDER BY variant, location",
        moved("on_hand"),
        moved("allocated"),
    );
    let rows = sql(query).bind(keys(wanted.iter().copied())).load::<SumColumns, SumRow>(tx)?;
    Ok(rows.into_iter().map(|(variant, location, a, b, c)| ((variant, location), (a, b, c))).collect())
}

/// What the movements of a chunk add up to: `on_hand`, `allocated`, nothing.
pub(super) fn movement_sums(
    tx: &mut Tx,
    after: Option<VariantId>,
    last: Option<VariantId>,
) -> Result<Vec<(LevelKey, Counters)>> {
    let select = "SELECT variant_id, location_id, CAST(sum(on_hand) AS BIGINT), CAST(sum(allocated) AS BIGINT), \
                  CAST(0 AS BIGINT) FROM stock_movements";
    sums(tx, between(after, last), select, " GROUP BY variant_id, location_id")
}

/// What the live reservations of a chunk add up to: nothing, nothing, `reserved`.
pub(super) fn live_sums(
    tx: &mut Tx,
    after: Option<VariantId>,
    last: Option<VariantId>,
) -> Result<Vec<(LevelKey, Counters)>> {
    let mut range = between(after, last);
    range.and("state = 'live' AND tracked", []);
    let select = "SELECT variant_id, location_id, CAST(0 AS BIGINT), CAST(0 AS BIGINT), CAST(sum(quantity) AS BIGINT) \
                  FROM reservations";
    sums(tx, range, select, " GROUP BY variant_id, location_id")
}
