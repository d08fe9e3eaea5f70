//! Appending, numbering and reading. The only file that touches `events` and `log_state`.

use std::collections::HashMap;

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::{Value, json};

use super::model::{Event, Head, NewEvent, lay_over};
use crate::{
    db::{Col, Doc, DocSql, InstantSql, Tx, UidSql, dialect, insert_many, sql},
    error::{Error, Result},
    kernel::{Actor, Id, Instant, ids},
};

const COLUMNS: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("stream", Col::Text),
    ("aggregate", Col::Text),
    ("aggregate_id", Col::Text),
    ("aggregate_version", Col::Int),
    ("channel_id", Col::Uid),
    ("type", Col::Text),
    ("occurred_at", Col::At),
    ("recorded_at", Col::At),
    ("actor", Col::Text),
    ("data", Col::Doc),
    ("subject_id", Col::Uid),
    ("personal", Col::Doc),
];

/// Appends events in the order given, all with one statement. Call it after the aggregate's guarded update.
///
/// # Errors
/// What the database says.
pub fn append(tx: &mut Tx, actor: &Actor, now: Instant, events: Vec<NewEvent>) -> Result<()> {
    let actor = actor.label();
    let rows = events.into_iter().map(|event| {
        vec![
            event.id.into(),
            event.stream.into(),
            event.aggregate.into(),
            event.aggregate_id.into(),
            event.aggregate_version.into(),
            event.channel.into(),
            event.kind.into(),
            event.occurred_at.into(),
            now.into(),
            actor.as_str().into(),
            event.payload.data.into(),
            event.subject.into(),
            event.payload.personal.into(),
        ]
    });
    insert_many(tx, "events", COLUMNS, rows.collect()).map(|_| ())
}

/// The key of the advisory lock under which events are numbered.
const NUMBERING: i64 = 5_284_711;

/// Gives positions to the committed events that have none, in the order of `seq`. Returns how many.
///
/// Any process may do it at any time: the lock lets one at a time in, and the statement after it sees all that was
/// committed before. On SQLite there is nothing to do.
///
/// # Errors
/// What the database says.
pub fn number(tx: &mut Tx) -> Result<usize> {
    if !dialect::numbers_events(tx) {
        return Ok(0);
    }
    dialect::lock_key(tx, NUMBERING)?;
    let numbered = sql("WITH fresh AS (SELECT seq, row_number() OVER (ORDER BY seq) AS place FROM events \
           WHERE position IS NULL) \
         UPDATE events SET position = (SELECT last_position FROM log_state) + fresh.place \
         FROM fresh WHERE events.seq = fresh.seq")
    .execute(tx)?;
    if numbered > 0 {
        let count = i64::try_from(numbered).map_err(Error::internal)?;
        sql("UPDATE log_state SET last_position = last_position + ?").bind(count).execute(tx)?;
    }
    Ok(numbered)
}

/// Where the log stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogState {
    /// Changes when the log is restored from a backup: cursors of another epoch are void.
    pub epoch: String,
    /// The newest position; 0 for an empty log.
    pub last: i64,
    /// Everything up to here has been dropped; a cursor before it is too old.
    pub dropped: i64,
}

/// Where the log stands now.
///
/// # Errors
/// What the database says.
pub fn state(tx: &mut Tx) -> Result<LogState> {
    let last = dialect::last_position(tx);
    let state = sql(format!("SELECT epoch, {last}, oldest_position FROM log_state"))
        .first::<(Text, BigInt, BigInt), (String, i64, i64)>(tx)?;
    let (epoch, last, dropped) = state.ok_or_else(|| Error::internal("the log has no state"))?;
    Ok(LogState { epoch, last: last.max(dropped), dropped })
}

#[rustfmt::skip]
type Columns = (BigInt, UidSql, Text, Text, Text, BigInt, Nullable<UidSql>, Text, InstantSql, InstantSql, Text, DocSql, Nullable<DocSql>);
#[rustfmt::skip]
type Row = (i64, Id<ids::Event>, String, String, String, i64, Option<Id<ids::Channel>>, String, Instant, Instant, String, Doc<Value>, Option<Doc<Value>>);

fn columns(tx: &Tx) -> String {
    format!(
        "{}, id, stream, aggregate, aggregate_id, aggregate_version, channel_id, type, occurred_at, recorded_at, actor, \
         data, personal",
        dialect::position_column(tx)
    )
}

/// A row as an event, its personal part laid over the document.
fn event(row: Row) -> Event {
    let (
        position,
        id,
        stream,
        aggregate,
        aggregate_id,
        aggregate_version,
        channel_id,
        kind,
        at,
        noted,
        actor,
        doc,
        own,
    ) = row;
    let (occurred_at, recorded_at, Doc(mut data)) = (at, noted, doc);
    if let Some(Doc(personal)) = own {
        lay_over(&mut data, personal);
    }
    Event {
        position,
        id,
        stream,
        aggregate,
        aggregate_id,
        aggregate_version,
        channel_id,
        kind,
        occurred_at,
        recorded_at,
        actor,
        data,
    }
}

/// The events after a position, in order, whose type starts with one of `kinds` (all types when that is empty).
/// Reads at most `scan` rows of the log, so that a narrow filter can not make a read long; the second value is the
/// position up to which it has looked.
///
/// # Errors
/// What the database says.
pub fn read_after(tx: &mut Tx, after: i64, kinds: &[String], scan: i64) -> Result<(Vec<Event>, i64)> {
    let position = dialect::position_column(tx);
    let columns = columns(tx);
    let query = format!("SELECT {columns} FROM events WHERE {position} > ? ORDER BY {position} LIMIT ?");
    let rows = sql(query).bind(after).bind(scan).load::<Columns, Row>(tx)?;
    let seen = rows.last().map_or(after, |row| row.0);
    let wanted = |kind: &str| kinds.is_empty() || kinds.iter().any(|prefix| kind.starts_with(prefix.as_str()));
    Ok((rows.into_iter().filter(|row| wanted(&row.7)).map(event).collect(), seen))
}

/// The events of one type after a position, in order. Looks at no more than `scan` rows of the log; the second value is
/// the position up to which it has looked. Events of other types are not even read.
///
/// # Errors
/// What the database says.
pub fn of_type_after(tx: &mut Tx, after: i64, kind: &str, scan: i64) -> Result<(Vec<Event>, i64)> {
    let position = dialect::position_column(tx);
    let columns = columns(tx);
    let end = format!(
        "SELECT max(place) FROM (SELECT {position} AS place FROM events WHERE {position} > ? ORDER BY {position} LIMIT ?) AS bite"
    );
    let end = sql(end).bind(after).bind(scan).first::<Nullable<BigInt>, Option<i64>>(tx)?.flatten();
    let Some(end) = end else { return Ok((Vec::new(), after)) };
    let query = format!(
        "SELECT {columns} FROM events WHERE {position} > ? AND {position} <= ? AND type = ? ORDER BY {position}"
    );
    let rows = sql(query).bind(after).bind(end).bind(kind).load::<Columns, Row>(tx)?;
    Ok((rows.into_iter().map(event).collect(), end))
}

/// The events at these positions, in order.
///
/// # Errors
/// What the database says.
pub fn by_positions(tx: &mut Tx, positions: &[i64]) -> Result<Vec<Event>> {
    let position = dialect::position_column(tx);
    let columns = columns(tx);
    let list = dialect::list(tx, &[("wanted", Col::Int)]);
    let query =
        format!("SELECT {columns} FROM events WHERE {position} IN (SELECT wanted FROM {list}) ORDER BY {position}");
    let wanted = dialect::rows(positions.iter().map(|position| json!([position])).collect());
    Ok(sql(query).bind(wanted).load::<Columns, Row>(tx)?.into_iter().map(event).collect())
}

/// The last event of a stream that tells of its object whole: of a type that begins so.
///
/// # Errors
/// What the database says.
pub fn last_whole(tx: &mut Tx, stream: &str, begins: &str) -> Result<Option<Event>> {
    let (position, columns) = (dialect::position_column(tx), columns(tx));
    let query = format!(
        "SELECT {columns} FROM events WHERE stream = ? AND aggregate_id = ? AND type LIKE ? AND {position} IS NOT NULL \
         ORDER BY stream DESC, seq DESC LIMIT 1"
    );
    let query = sql(query).bind(stream).bind(stream).bind(format!("{begins}%"));
    Ok(query.first::<Columns, Row>(tx)?.map(event))
}

/// The event at a position, and every text of its personal part: what must not be repeated where it is not asked for.
///
/// # Errors
/// What the database says.
pub fn with_personal_texts(tx: &mut Tx, position: i64) -> Result<Option<(Event, Vec<String>)>> {
    let (place, columns) = (dialect::position_column(tx), columns(tx));
    let row =
        sql(format!("SELECT {columns} FROM events WHERE {place} = ?")).bind(position).first::<Columns, Row>(tx)?;
    Ok(row.map(|row| {
        let mut texts = Vec::new();
        if let Some(Doc(personal)) = &row.12 {
            texts_of(personal, &mut texts);
        }
        (event(row), texts)
    }))
}

fn texts_of(document: &Value, found: &mut Vec<String>) {
    match document {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts_of(item, found)),
        Value::Object(members) => members.values().for_each(|member| texts_of(member, found)),
        _ => {}
    }
}

/// The events of a stream after a position, in order: an order's timeline.
///
/// # Errors
/// What the database says.
pub fn stream(tx: &mut Tx, stream: &str, after: i64, limit: i64) -> Result<Vec<Event>> {
    let position = dialect::position_column(tx);
    let columns = columns(tx);
    let query =
        format!("SELECT {columns} FROM events WHERE stream = ? AND {position} > ? ORDER BY stream, seq LIMIT ?");
    let rows = sql(query).bind(stream).bind(after).bind(limit).load::<Columns, Row>(tx)?;
    Ok(rows.into_iter().map(event).collect())
}

/// The latest thousand events of a stream without what they say, the newest first.
///
/// # Errors
/// What the database says.
pub fn heads(tx: &mut Tx, stream: &str) -> Result<Vec<Head>> {
    let position = dialect::position_column(tx);
    let query = format!(
        "SELECT {position}, type, recorded_at FROM events WHERE stream = ? ORDER BY stream DESC, seq DESC LIMIT 1000"
    );
    let rows =
        sql(query).bind(stream).load::<(Nullable<BigInt>, Text, InstantSql), (Option<i64>, String, Instant)>(tx)?;
    let head = |(position, kind, recorded_at): (Option<i64>, String, Instant)| Head {
        position: position.unwrap_or(i64::MAX),
        kind,
        recorded_at,
    };
    Ok(rows.into_iter().map(head).collect())
}

/// Drops the events up to a position, at most `limit` positions at once, and remembers how far the log is gone. Returns how
/// many positions were passed: 0 when there is nothing left to drop.
///
/// # Errors
/// What the database says.
pub fn purge(tx: &mut Tx, up_to: i64, limit: i64) -> Result<i64> {
    let position = dialect::position_column(tx);
    let log = state(tx)?;
    let end = up_to.min(log.last).min(log.dropped.saturating_add(limit));
    if end <= log.dropped {
        return Ok(0);
    }
    sql("UPDATE log_state SET oldest_position = ? WHERE oldest_position < ?").bind(end).bind(end).execute(tx)?;
    sql(format!("DELETE FROM events WHERE {position} <= ?")).bind(end).execute(tx)?;
    Ok(end - log.dropped)
}

/// Erases the personal part of all events of streams, and the sign-in of customers who did them. The events stay at their
/// places and tell the rest. What is personal about somebody stands in the streams of their orders and carts and in their
/// own, whether or not the event names them, as those of guests do not.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, streams: &[String]) -> Result<usize> {
    let list = dialect::list(tx, &[("wanted", Col::Text)]);
    let update = format!(
        "UPDATE events SET personal = NULL, actor = CASE WHEN actor LIKE 'customer:%' THEN 'customer' ELSE actor END \
         WHERE stream IN (SELECT wanted FROM {list}) AND (personal IS NOT NULL OR actor LIKE 'customer:%')"
    );
    sql(update).bind(dialect::rows(streams.iter().map(|stream| json!([stream])).collect())).execute(tx)
}

/// When the first event after a position was recorded.
///
/// # Errors
/// What the database says.
pub fn recorded_after(tx: &mut Tx, after: i64) -> Result<Option<Instant>> {
    let position = dialect::position_column(tx);
    let query = format!("SELECT recorded_at FROM events WHERE {position} > ? ORDER BY {position} LIMIT 1");
    sql(query).bind(after).first::<InstantSql, Instant>(tx)
}

/// When the first of the events beyond a position was recorded, those without a position among them.
///
/// # Errors
/// What the database says.
pub fn recorded_beyond(tx: &mut Tx, after: i64) -> Result<Option<Instant>> {
    let numbered = recorded_after(tx, after)?;
    if !dialect::numbers_events(tx) {
        return Ok(numbered);
    }
    let query = "SELECT recorded_at FROM events WHERE position IS NULL ORDER BY seq LIMIT 1";
    let without = sql(query).first::<InstantSql, Instant>(tx)?;
    Ok(numbered.into_iter().chain(without).min())
}

/// How much of what was recorded in a stream at an instant lies up to a position of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// All of it.
    All,
    /// Some, and some behind it.
    Some,
    /// Nothing: all of it lies behind.
    None,
}

/// How much of what was recorded in streams at instants lies up to a position. Of moments at which nothing was recorded, or of
/// which the log has been dropped, there is nothing told. One statement.
///
/// # Errors
/// What the database says.
pub fn known_at<'a>(
    tx: &mut Tx,
    position: i64,
    moments: impl Iterator<Item = (&'a str, Instant)>,
) -> Result<HashMap<(String, Instant), Known>> {
    let wanted: Vec<Value> = moments.map(|(stream, at)| json!([stream, at.sortable()])).collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let list = dialect::list(tx, &[("wanted", Col::Text), ("moment", Col::At)]);
    let place = dialect::position_column(tx);
    // An event that has no position yet will get one behind all others.
    let query = format!(
        "SELECT wanted, moment, CAST(min(CASE WHEN {place} <= ? THEN 0 ELSE 1 END) AS BIGINT), \
           CAST(max(CASE WHEN {place} <= ? THEN 0 ELSE 1 END) AS BIGINT) \
         FROM {list} JOIN events ON stream = wanted AND recorded_at = moment GROUP BY wanted, moment"
    );
    let rows = sql(query).bind(position).bind(position).bind(dialect::rows(wanted));
    let rows = rows.load::<(Text, InstantSql, BigInt, BigInt), (String, Instant, i64, i64)>(tx)?;
    let known = |(stream, at, first, last): (String, Instant, i64, i64)| {
        let known = match (first, last) {
            (0, 0) => Known::All,
            (0, _) => Known::Some,
            _ => Known::None,
        };
        ((stream, at), known)
    };
    Ok(rows.into_iter().map(known).collect())
}

/// The position of the first event recorded at or after an instant; one past the newest when there is none.
///
/// Positions are given in the order of commits, so times rise with them but for moments: the place is found by halving,
/// with a few look-ups on the index of positions however long the log is.
///
/// # Errors
/// What the database says.
pub fn position_at(tx: &mut Tx, at: Instant) -> Result<i64> {
    let position = dialect::position_column(tx);
    let log = state(tx)?;
    let (mut low, mut high) = (log.dropped + 1, log.last + 1);
    let query = format!("SELECT recorded_at FROM events WHERE {position} >= ? ORDER BY {position} LIMIT 1");
    while low < high {
        let middle = low + (high - low) / 2;
        let found = sql(query.clone()).bind(middle).first::<InstantSql, Instant>(tx)?;
        if found.is_none_or(|recorded| recorded >= at) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(low)
}

/// The positions of events by their ids; those that are not in the log are left out.
///
/// # Errors
/// What the database says.
pub fn positions_of(tx: &mut Tx, ids: &[Id<ids::Event>]) -> Result<std::collections::HashMap<Id<ids::Event>, i64>> {
    if ids.is_empty() {
        return Ok(std::collections::HashMap::new());
    }
    let position = dialect::position_column(tx);
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query =
        format!("SELECT id, {position} FROM events WHERE {position} IS NOT NULL AND id IN (SELECT wanted FROM {list})");
    let wanted = dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect());
    let rows = sql(query).bind(wanted).load::<(UidSql, BigInt), (Id<ids::Event>, i64)>(tx)?;
    Ok(rows.into_iter().collect())
}
