//! Tells the two databases apart.
//!
//! What both say alike (`ON CONFLICT`, `RETURNING`, `UPDATE … FROM`) is written once, in the slices' stores, through
//! [`super::sql()`]. Here is the rest: beginning, locking, telling errors apart, and lists that travel as one JSON bind. How
//! each is opened stands in `opening.rs`, what its migrations need in `migrations.rs`.

pub(super) mod migrations;
pub(super) mod opening;

use std::time::Duration;

use diesel::{
    Connection, PgConnection, RunQueryDsl, SqliteConnection,
    connection::{AnsiTransactionManager, SimpleConnection, TransactionManager},
    query_dsl::methods::{ExecuteDsl, LoadQuery},
    sql_types::Text,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Tx,
    conn::Conn,
    sql,
    sql::Sql,
    types::{Bind, Doc, Json},
};
use crate::error::{Error, Result};

/// Which database a URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// PostgreSQL 15 or newer.
    Postgres,
    /// SQLite, in this process.
    Sqlite,
}

impl Variant {
    /// The variant that the URL's scheme names; whatever is no PostgreSQL URL is the path of a SQLite file.
    #[must_use]
    pub fn of(url: &str) -> Self {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") { Self::Postgres } else { Self::Sqlite }
    }
}

/// Runs a statement of our own on the connection itself; returns how many rows it changed.
pub(super) fn execute(tx: &mut Tx, statement: Sql) -> Result<usize> {
    Ok(match tx {
        Conn::Postgres(conn) => ExecuteDsl::execute(statement, conn),
        Conn::Sqlite(conn) => ExecuteDsl::execute(statement, conn),
    }?)
}

/// The same for one that gives rows.
pub(super) fn load<ST, Row>(tx: &mut Tx, statement: Sql<ST>) -> Result<Vec<Row>>
where
    Sql<ST>: for<'q> LoadQuery<'q, SqliteConnection, Row> + for<'q> LoadQuery<'q, PgConnection, Row>,
{
    Ok(match tx {
        Conn::Postgres(conn) => RunQueryDsl::load(statement, conn),
        Conn::Sqlite(conn) => RunQueryDsl::load(statement, conn),
    }?)
}

/// Which database a transaction runs on.
#[must_use]
pub fn variant(tx: &Tx) -> Variant {
    match tx {
        Conn::Postgres(_) => Variant::Postgres,
        Conn::Sqlite(_) => Variant::Sqlite,
    }
}

/// The path of a SQLite database's file: the URL without `sqlite://` or `file:`.
#[must_use]
pub fn sqlite_path(url: &str) -> &str {
    url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url)
}

/// Begins nothing, for what brings its own transactions.
#[allow(clippy::unnecessary_wraps, reason = "it stands where the beginnings stand")]
pub(super) const fn no_transaction(_: &mut Conn) -> Result<()> {
    Ok(())
}

/// Begins a transaction that only reads, on one snapshot.
pub(super) fn begin_read(conn: &mut Conn) -> Result<()> {
    match conn {
        Conn::Postgres(pg) => {
            AnsiTransactionManager::begin_transaction_sql(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        }
        Conn::Sqlite(lite) => AnsiTransactionManager::begin_transaction_sql(lite, "BEGIN")?,
    }
    Ok(())
}

/// Begins a transaction that writes: READ COMMITTED on PostgreSQL, the write lock at once on SQLite.
pub(super) fn begin_write(conn: &mut Conn) -> Result<()> {
    match conn {
        Conn::Postgres(pg) => AnsiTransactionManager::begin_transaction(pg)?,
        Conn::Sqlite(lite) => AnsiTransactionManager::begin_transaction_sql(lite, "BEGIN IMMEDIATE")?,
    }
    Ok(())
}

/// How many transactions and savepoints are open; `None` when the connection has lost count.
pub(super) fn depth(conn: &mut Conn) -> Option<u32> {
    let manager = <Conn as Connection>::TransactionManager::transaction_manager_status_mut(conn);
    manager.transaction_depth().ok().map(|depth| depth.map_or(0, std::num::NonZero::get))
}

/// Whether the connection still answers and no transaction is open on it.
pub(super) fn ping(conn: &mut Conn) -> bool {
    depth(conn) == Some(0) && conn.batch_execute("SELECT 1").is_ok()
}

/// Whether running the same transaction again can succeed: deadlock, serialisation failure, a busy SQLite file. Messages are
/// in English, since each session sees to that when it is opened.
pub(super) fn is_retryable(error: &Error) -> bool {
    use diesel::result::Error::DatabaseError;
    match error {
        error if error.is_overtaken() => true,
        Error::Database(DatabaseError(_, info)) => {
            let message = info.message();
            message.contains("deadlock detected") || message == "database is locked"
        }
        _ => false,
    }
}

/// Whether the error is a refused constraint, after which the surrounding transaction is still sound.
pub(super) fn is_constraint(error: &Error) -> bool {
    use diesel::result::{DatabaseErrorKind as Kind, Error as E};
    matches!(
        error,
        Error::Database(E::DatabaseError(
            Kind::UniqueViolation | Kind::ForeignKeyViolation | Kind::NotNullViolation | Kind::CheckViolation,
            _
        )) | Error::Database(E::NotFound | E::DeserializationError(_) | E::SerializationError(_))
    )
}

/// What the database may be suffering from when it refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Locks or statements took too long: too much is going on.
    Slow,
    /// There is no room on its disk.
    Full,
    /// Its connection was lost before anything was saved.
    Gone,
}

/// What an error tells of the database's state; `None` when it tells of the statement.
pub(super) fn trouble(error: &Error) -> Option<Trouble> {
    use diesel::result::{DatabaseErrorKind, Error as E};
    if matches!(error, Error::Unreachable(_)) {
        return Some(Trouble::Gone);
    }
    let Error::Database(error) = error else { return None };
    let E::DatabaseError(kind, info) = error else {
        return matches!(error, E::BrokenTransactionManager).then_some(Trouble::Gone);
    };
    let says = |texts: &[&str]| texts.iter().any(|text| info.message().contains(text));
    if says(&["lock timeout", "statement timeout", "database is locked"]) {
        Some(Trouble::Slow)
    } else if says(&["database or disk is full", "No space left on device"]) {
        Some(Trouble::Full)
    } else if matches!(kind, DatabaseErrorKind::ClosedConnection)
        || says(&["terminating connection", "server closed the connection", "connection to server", "no connection to"])
    {
        Some(Trouble::Gone)
    } else {
        None
    }
}

/// Copies the pages of SQLite's log into the file and tells how long the log is, in pages; on PostgreSQL the server does
/// so itself.
pub(super) fn checkpoint(conn: &mut Conn) -> Result<i64> {
    use diesel::sql_types::BigInt;
    match conn {
        Conn::Postgres(_) => Ok(0),
        Conn::Sqlite(_) => {
            let copied = sql("PRAGMA wal_checkpoint(PASSIVE)");
            Ok(copied.first::<(BigInt, BigInt, BigInt), (i64, i64, i64)>(conn)?.map_or(0, |(_, pages, _)| pages))
        }
    }
}

/// Has PostgreSQL look at how its tables are filled, as it does by itself after a while. SQLite's plans do without.
///
/// # Errors
/// What the database says.
pub fn analyse(tx: &mut Tx) -> Result<()> {
    match tx {
        Conn::Postgres(_) => sql("ANALYZE").execute(tx).map(|_| ()),
        Conn::Sqlite(_) => Ok(()),
    }
}

/// Serialises transactions that take the same key until their end; SQLite's writers are one at a time anyway.
///
/// # Errors
/// What the database says, a lock timeout included.
pub fn lock_key(tx: &mut Tx, key: i64) -> Result<()> {
    if let Conn::Postgres(_) = tx {
        sql("SELECT 1::bigint FROM (SELECT pg_advisory_xact_lock(?)) AS locked")
            .bind(key)
            .load::<diesel::sql_types::BigInt, i64>(tx)?;
    }
    Ok(())
}

/// The same with a key that is a text.
///
/// # Errors
/// As [`lock_key`].
pub fn lock_named(tx: &mut Tx, name: &str) -> Result<()> {
    let hash = Sha256::digest(name);
    lock_key(tx, hash.iter().take(8).fold(0, |key, byte| (key << 8) | i64::from(*byte)))
}

/// ` FOR UPDATE` where rows are locked, nothing where the whole file is.
#[must_use]
pub fn for_update(tx: &Tx) -> &'static str {
    match variant(tx) {
        Variant::Postgres => " FOR UPDATE",
        Variant::Sqlite => "",
    }
}

/// ` FOR KEY SHARE` where rows are locked, nothing where the whole file is: beside others who do, against [`for_update`].
#[must_use]
pub fn for_key_share(tx: &Tx) -> &'static str {
    match variant(tx) {
        Variant::Postgres => " FOR KEY SHARE",
        Variant::Sqlite => "",
    }
}

/// ` FOR UPDATE SKIP LOCKED` where rows are locked, nothing where the whole file is: for claiming from a queue.
#[must_use]
pub fn skip_locked(tx: &Tx) -> &'static str {
    match variant(tx) {
        Variant::Postgres => " FOR UPDATE SKIP LOCKED",
        Variant::Sqlite => "",
    }
}

/// The column that holds an event's position: on SQLite the rowid itself.
#[must_use]
pub fn position_column(tx: &Tx) -> &'static str {
    match variant(tx) {
        Variant::Postgres => "position",
        Variant::Sqlite => "seq",
    }
}

/// How a column is written so that no index on it leads a query. PostgreSQL's planner knows figures of its tables and is let
/// choose; SQLite's knows none.
#[must_use]
pub fn unindexed(tx: &Tx) -> fn(&str) -> String {
    match variant(tx) {
        Variant::Postgres => str::to_owned,
        Variant::Sqlite => |column| format!("+{column}"),
    }
}

/// Whether events get their positions in a step of their own, after they were committed.
#[must_use]
pub fn numbers_events(tx: &Tx) -> bool {
    variant(tx) == Variant::Postgres
}

/// The newest position of the log, as an expression beside the row of `log_state`.
#[must_use]
pub fn last_position(tx: &Tx) -> &'static str {
    match variant(tx) {
        Variant::Postgres => "last_position",
        Variant::Sqlite => "(SELECT coalesce(max(seq), 0) FROM events)",
    }
}

/// The kind of a column of a [`list`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Col {
    /// An id, as [`crate::kernel::Id::hex`] writes it.
    Uid,
    /// A text.
    Text,
    /// A whole number.
    Int,
    /// A point in time, as [`crate::kernel::Instant::sortable`] writes it.
    At,
    /// A JSON document.
    Doc,
    /// Yes or no.
    Bool,
}

/// A table source named `list` whose rows come from one JSON bind: an array of arrays in the order of `columns`.
/// Besides those it has `ord`, the place in the list. Any number of rows is one statement with one cached text.
#[must_use]
pub fn list(tx: &Tx, columns: &[(&str, Col)]) -> String {
    let mut text = String::from("(SELECT ");
    for (place, (name, kind)) in columns.iter().enumerate() {
        let expression = match (variant(tx), kind) {
            (Variant::Postgres, Col::Uid) => format!("(r->>{place})::uuid"),
            (Variant::Postgres, Col::Text) => format!("r->>{place}"),
            (Variant::Postgres, Col::Int) => format!("(r->>{place})::bigint"),
            (Variant::Postgres, Col::At) => format!("(r->>{place})::timestamptz"),
            (Variant::Postgres, Col::Doc) => format!("nullif(r->{place}, 'null'::jsonb)"),
            (Variant::Postgres, Col::Bool) => format!("(r->>{place})::boolean"),
            (Variant::Sqlite, Col::Uid) => format!("unhex(value->>{place})"),
            (Variant::Sqlite, Col::Doc) => format!("nullif(value->{place}, 'null')"),
            (Variant::Sqlite, Col::Text | Col::Int | Col::At | Col::Bool) => format!("value->>{place}"),
        };
        text.push_str(&expression);
        text.push_str(" AS ");
        text.push_str(name);
        text.push_str(", ");
    }
    text.push_str(match variant(tx) {
        // PostgreSQL takes a hundred rows for granted, and would rather read a whole table than look that many up. The
        // condition, which every row fits, makes it reckon with one: then an index leads to each.
        Variant::Postgres => {
            "ord FROM jsonb_array_elements(?) WITH ORDINALITY AS e(r, ord) WHERE jsonb_typeof(r) = 'array') AS list"
        }
        Variant::Sqlite => "key AS ord FROM json_each(?)) AS list",
    });
    text
}

/// A row as the text of one JSON array in the order of `columns`, in the same form on both databases and as [`list`]
/// takes it: an expression for a SELECT. Columns are written `table.name`.
#[must_use]
pub fn row_as_json(tx: &Tx, table: &str, columns: &[(&str, Col)]) -> String {
    let whole = |(name, kind): &(&str, Col)| {
        let column = format!("{table}.{name}");
        match (variant(tx), kind) {
            (Variant::Postgres, Col::Uid) => format!("replace({column}::text, '-', '')"),
            (Variant::Postgres, Col::At) => {
                format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
            }
            (Variant::Sqlite, Col::Uid) => format!("CASE WHEN {column} IS NOT NULL THEN lower(hex({column})) END"),
            (Variant::Sqlite, Col::Doc) => format!("json({column})"),
            (Variant::Sqlite, Col::Bool) => format!("json(CASE {column} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)"),
            _ => column,
        }
    };
    let values: Vec<String> = columns.iter().map(whole).collect();
    match variant(tx) {
        Variant::Postgres => format!("json_build_array({})::text", values.join(", ")),
        Variant::Sqlite => format!("json_array({})", values.join(", ")),
    }
}

/// Whether the database computes a column itself, so that it can not be inserted.
#[must_use]
pub fn is_generated(tx: &Tx, table: &str, column: &str) -> bool {
    variant(tx) == Variant::Sqlite && (table, column) == ("events", "position")
}

/// Lets a transaction that copies whole tables take as long as it needs.
///
/// # Errors
/// What the database says.
pub fn without_time_limits(tx: &mut Tx) -> Result<()> {
    if let Conn::Postgres(pg) = tx {
        pg.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")?;
    }
    Ok(())
}

/// Lets the numbers of a table's `seq` column go on after `last`.
///
/// # Errors
/// What the database says.
pub fn go_on_after(tx: &mut Tx, table: &str, last: i64) -> Result<()> {
    match variant(tx) {
        Variant::Postgres => {
            let set = "SELECT setval(pg_get_serial_sequence(?, 'seq'), ?)";
            sql(set).bind(table).bind(last.max(1)).load::<diesel::sql_types::BigInt, i64>(tx)?;
        }
        Variant::Sqlite => {
            sql("DELETE FROM sqlite_sequence WHERE name = ?").bind(table).execute(tx)?;
            sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)").bind(table).bind(last).execute(tx)?;
        }
    }
    Ok(())
}

/// The tables and columns that the database really has, with whether a column may be empty; without what belongs to
/// the database itself and the list of migrations.
///
/// # Errors
/// What the database says.
pub fn live_columns(tx: &mut Tx) -> Result<Vec<(String, String, bool)>> {
    let query = match variant(tx) {
        Variant::Postgres => {
            "SELECT table_name::text, column_name::text, is_nullable = 'YES' FROM information_schema.columns \
             WHERE table_schema = 'public' AND table_name <> '__diesel_schema_migrations' \
             ORDER BY table_name, ordinal_position"
        }
        // The key of a table WITHOUT ROWID, and the rowid's own column, are never empty.
        Variant::Sqlite => {
            "SELECT t.name, c.name, c.\"notnull\" = 0 AND c.pk = 0 FROM pragma_table_list AS t \
             JOIN pragma_table_xinfo(t.name) AS c WHERE t.schema = 'main' AND t.type = 'table' \
             AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND t.name <> '__diesel_schema_migrations' ORDER BY t.name, c.cid"
        }
    };
    use diesel::sql_types::Bool;
    sql(query).load::<(Text, Text, Bool), (String, String, bool)>(tx)
}

/// The rows of a [`list`] as the one bind they travel in.
#[must_use]
pub fn rows(rows: Vec<Value>) -> Bind {
    debug_assert!(rows.iter().all(Value::is_array), "a list passes over what is no row");
    Doc(Value::Array(rows)).into()
}

/// Up to so many rows are inserted with a place for each value; more travel as one JSON list, whose text the database has
/// to take apart. Each number of rows is a statement of its own in the cache, so there must not be many.
const FEW: usize = 8;

/// Inserts any number of rows with one statement, in the order given. Each row has its values in the order of `columns`.
///
/// # Errors
/// What the database says.
pub fn insert_many(tx: &mut Tx, table: &str, columns: &[(&str, Col)], rows: Vec<Vec<Bind>>) -> Result<usize> {
    if rows.is_empty() {
        return Ok(0);
    }
    let names = names(columns);
    if rows.len() > FEW {
        return insert_list(tx, table, columns, Json::of(&rows)?);
    }
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    let places = vec![row; rows.len()].join(", ");
    sql(format!("INSERT INTO {table} ({names}) VALUES {places}")).bind_all(rows.into_iter().flatten()).execute(tx)
}

/// Inserts the rows of a [`list`] with one statement, in its order.
///
/// # Errors
/// What the database says.
pub fn insert_list(tx: &mut Tx, table: &str, columns: &[(&str, Col)], rows: Json) -> Result<usize> {
    let (names, source) = (names(columns), list(tx, columns));
    sql(format!("INSERT INTO {table} ({names}) SELECT {names} FROM {source} ORDER BY ord")).bind(rows).execute(tx)
}

/// A document column of a [`list`], with the document `null` where the list has none.
#[must_use]
pub fn or_null_document(tx: &Tx, column: &str) -> String {
    match variant(tx) {
        Variant::Postgres => format!("coalesce({column}, CAST('null' AS jsonb))"),
        Variant::Sqlite => format!("coalesce({column}, 'null')"),
    }
}

/// The names of columns, as a statement lists them.
#[must_use]
pub fn names(columns: &[(&str, Col)]) -> String {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// The JSON document of a column with one member set to the document of the next bind.
#[must_use]
pub fn with_member(tx: &Tx, column: &str, member: &str) -> String {
    match variant(tx) {
        Variant::Postgres => format!("jsonb_set({column}, '{{{member}}}', ?)"),
        Variant::Sqlite => format!("json_set({column}, '$.{member}', json(?))"),
    }
}

/// How long a transaction that lost a deadlock waits before its next try: short, and longer each time.
pub(super) fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(u64::from(rand::random_range(1..=4u32) * attempt.min(16)))
}
