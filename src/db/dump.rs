//! Whole databases as one file, from either kind into either kind.
//!
//! A backup is gzipped NDJSON: a header (what it is, which migrations, how many rows of each table), the rows as JSON
//! arrays, table after table with parents before children, and a last line with the checksum of all before it. It is
//! taken from one snapshot while the shop goes on. Restoring fills an empty, migrated database in bites, then begins a
//! new log epoch: cursors given out before are told so instead of silently missing or repeating events.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use diesel::sql_types::{BigInt, Nullable, Text};
use flate2::{Compression, bufread::MultiGzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Db, Lane, Tx, dialect, migrate, sql,
    tables::{self, Table},
    types::{Bind, Doc, DocSql, Json, UidSql},
};
use crate::{
    error::{Error, Result},
    kernel::{Id, Instant, ids::LegalEntityId},
};

/// The first line of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format.
    pub kontor_backup: u32,
    /// The program that made it.
    pub program: String,
    /// The migrations of the database it was made from.
    pub schema: Vec<String>,
    /// The log epoch of that database.
    pub epoch: String,
    /// When it was made.
    pub made_at: Instant,
    /// Tables, columns and how many rows follow, in the order of the file.
    pub tables: Vec<Contents>,
}

/// One table of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// The table.
    pub name: String,
    /// The columns of its rows.
    pub columns: Vec<String>,
    /// How many rows.
    pub rows: u64,
}

impl Header {
    /// How many rows the backup holds.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

/// The last line of a backup.
#[derive(Serialize, Deserialize)]
struct Trailer {
    sha256: String,
}

const FORMAT: u32 = 1;
/// Rows read, and written, at once.
const BITE: usize = 500;
/// The epoch of a log that is being restored: such a database is not served.
pub const RESTORING: &str = "restoring";
/// How far numbers jump, so that those given out after the backup was made are not given out again.
const JUMP: i64 = 10_000;

/// Writes a backup from one snapshot. `progress` hears of each bite: how many rows of how many are done.
///
/// # Errors
/// When the file exists or can not be written, or what the database says.
pub async fn backup(
    db: &Db,
    now: Instant,
    file: &Path,
    progress: impl FnMut(u64, u64) + Send + 'static,
) -> Result<Header> {
    Ok(backup_and(db, now, file, |_| Ok(()), progress).await?.0)
}

/// The same, and what `look` finds on the very snapshot that is written.
///
/// # Errors
/// As [`backup`], or what `look` says.
pub async fn backup_and<T: Send + 'static>(
    db: &Db,
    now: Instant,
    file: &Path,
    look: impl FnOnce(&mut Tx) -> Result<T> + Send + 'static,
    mut progress: impl FnMut(u64, u64) + Send + 'static,
) -> Result<(Header, T)> {
    if file.exists() {
        return Err(Error::internal(format!("{} exists already", file.display())));
    }
    // Under another name until it is whole: nobody takes half a backup for one.
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let output = File::create(&part).map_err(|error| trouble(file, error))?;
    let written = db
        .read_at_length(move |tx| {
            dialect::without_time_limits(tx)?;
            let header = header(tx, now)?;
            let mut out = Out::new(output);
            out.line(&serde_json::to_string(&header)?)?;
            let (all, mut done) = (header.rows(), 0);
            for table in tables::all() {
                write_table(tx, table, &mut out, &mut |rows| {
                    done += rows;
                    progress(done, all);
                })?;
            }
            out.finish()?;
            Ok((header, look(tx)?))
        })
        .await;
    let renamed = written.and_then(|written| std::fs::rename(&part, file).map(|()| written).map_err(Error::internal));
    if renamed.is_err() {
        drop(std::fs::remove_file(&part));
    }
    renamed
}

fn header(tx: &mut Tx, now: Instant) -> Result<Header> {
    let epoch = sql("SELECT epoch FROM log_state").first::<Text, String>(tx)?;
    let mut contents = Vec::new();
    for table in tables::all() {
        let rows = sql(format!("SELECT count(*) FROM {}", table.name)).first::<BigInt, i64>(tx)?.unwrap_or_default();
        contents.push(Contents {
            name: table.name.to_owned(),
            columns: table.columns.iter().map(|column| column.name.to_owned()).collect(),
            rows: u64::try_from(rows).unwrap_or_default(),
        });
    }
    Ok(Header {
        kontor_backup: FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        schema: migrate::versions()?,
        epoch: epoch.unwrap_or_default(),
        made_at: now,
        tables: contents,
    })
}

/// Up to a bite of a table's rows, each as a JSON array, in the order of its key and behind one; and the key of the last of them, where
/// there are any.
///
/// # Errors
/// What the database says, or a key that is none of the table.
pub fn rows_behind(tx: &mut Tx, table: &Table, last: Option<&[Value]>) -> Result<(Vec<String>, Option<Vec<Value>>)> {
    let row = dialect::row_as_json(tx, table.name, &table.list_columns());
    let key = table.key.join(", ");
    let places = vec!["?"; table.key.len()].join(", ");
    let from = if last.is_some() { format!("WHERE ({key}) > ({places})") } else { String::new() };
    let mut query = sql(format!("SELECT {row} FROM {} {from} ORDER BY {key} LIMIT {BITE}", table.name));
    for (name, value) in table.key.iter().zip(last.into_iter().flatten()) {
        query = query.bind(key_bind(table, name, value)?);
    }
    let rows = query.load::<Text, String>(tx)?;
    let Some(end) = rows.last() else { return Ok((rows, None)) };
    let end: Vec<Value> = serde_json::from_str(end)?;
    let key_value = |name: &&str| table.place(name).and_then(|place| end.get(place)).cloned().unwrap_or_default();
    let last = table.key.iter().map(key_value).collect();
    Ok((rows, Some(last)))
}

/// The rows of a table, in the order of its key, a bite at a time.
fn write_table(tx: &mut Tx, table: &Table, out: &mut Out, wrote: &mut dyn FnMut(u64)) -> Result<()> {
    let mut last: Option<Vec<Value>> = None;
    loop {
        let (rows, end) = rows_behind(tx, table, last.as_deref())?;
        if end.is_none() {
            return Ok(());
        }
        last = end;
        let count = rows.len();
        for line in rows {
            out.line(&placed(tx, table, line)?)?;
        }
        wrote(count as u64);
        if count < BITE {
            return Ok(());
        }
    }
}

/// A row of the log carries its position as `seq` too, whichever database it comes from; one that has no position yet
/// gets the one that numbering would give it.
fn placed(tx: &mut Tx, table: &Table, line: String) -> Result<String> {
    let (Some(seq), Some(position)) = (table.place("seq"), table.place("position")) else { return Ok(line) };
    let mut row: Vec<Value> = serde_json::from_str(&line)?;
    if row.get(seq) == row.get(position) {
        return Ok(line);
    }
    let place = match row.get(position).and_then(Value::as_i64) {
        Some(place) => place,
        None => {
            let query = "SELECT last_position + (SELECT count(*) FROM events WHERE position IS NULL AND seq <= ?) \
                         FROM log_state";
            let seq = row.get(seq).and_then(Value::as_i64);
            sql(query).bind(seq).first::<BigInt, i64>(tx)?.unwrap_or_default()
        }
    };
    for at in [seq, position] {
        if let Some(slot) = row.get_mut(at) {
            *slot = place.into();
        }
    }
    Ok(serde_json::to_string(&row)?)
}

/// Whether values can be the key of a row of a table.
#[must_use]
pub fn is_key(table: &Table, key: &[Value]) -> bool {
    let fits = |(name, value): (&&str, &Value)| key_bind(table, name, value).is_ok();
    key.len() == table.key.len() && table.key.iter().zip(key).all(fits)
}

fn key_bind(table: &Table, name: &str, value: &Value) -> Result<Bind> {
    use dialect::Col;
    let column = table.columns.iter().find(|column| column.name == name);
    let bind = match (column.map(|column| column.kind), value) {
        (Some(Col::Uid), Value::String(hex)) => Id::<()>::from_hex(hex).map(Bind::from),
        (Some(Col::Text), Value::String(text)) => Some(Bind::from(text.as_str())),
        (Some(Col::At), Value::String(text)) => text.parse::<Instant>().ok().map(Bind::from),
        (Some(Col::Int), value) => value.as_i64().map(Bind::from),
        _ => None,
    };
    bind.ok_or_else(|| Error::internal(format!("{}.{name} holds an unexpected key", table.name)))
}

/// Lines into a gzipped file, hashed on their way.
struct Out {
    file: GzEncoder<BufWriter<File>>,
    hash: Sha256,
}

impl Out {
    fn new(file: File) -> Self {
        Self { file: GzEncoder::new(BufWriter::new(file), Compression::fast()), hash: Sha256::new() }
    }

    fn line(&mut self, text: &str) -> Result<()> {
        for bytes in [text.as_bytes(), b"\n"] {
            self.hash.update(bytes);
            self.file.write_all(bytes).map_err(Error::internal)?;
        }
        Ok(())
    }

    /// Writes the last line and waits until all is on the disk.
    fn finish(mut self) -> Result<()> {
        let trailer = Trailer { sha256: hex(self.hash.finalize().as_ref()) };
        let line = serde_json::to_string(&trailer)? + "\n";
        self.file.write_all(line.as_bytes()).map_err(Error::internal)?;
        let buffer = self.file.finish().map_err(Error::internal)?;
        let file = buffer.into_inner().map_err(Error::internal)?;
        file.sync_all().map_err(Error::internal)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn trouble(file: &Path, error: impl std::fmt::Display) -> Error {
    Error::internal(format!("{}: {error}", file.display()))
}

/// Reads a backup from end to end and gives its header.
///
/// # Errors
/// When it is none, is of another schema, is cut short or has been changed.
pub fn verify(file: &Path) -> Result<Header> {
    let broken = |what: &str| trouble(file, what);
    let (header, lines) = open(file)?;
    refuse_other_schema(&header.value)?;
    let mut hash = Sha256::new();
    let (mut rows, mut found) = (0, None);
    hash.update(&header.text);
    for line in lines {
        let line = line.map_err(|error| trouble(file, error))?;
        if found.is_some() {
            return Err(broken("there is something after the backup's end"));
        }
        if line.starts_with('{') {
            found = Some(serde_json::from_str::<Trailer>(&line)?.sha256);
        } else {
            hash.update(line.as_bytes());
            hash.update(b"\n");
            // As it is read by a restore: what that can not read is no backup.
            serde_json::from_str::<Vec<Value>>(&line).map_err(|error| trouble(file, error))?;
            rows += 1;
        }
    }
    let found = found.ok_or_else(|| broken("the backup is cut short"))?;
    if found != hex(hash.finalize().as_ref()) || rows != header.value.rows() {
        return Err(broken("the backup has been changed: its checksum is another"));
    }
    Ok(header.value)
}

struct Opened {
    value: Header,
    text: Vec<u8>,
}

type Lines = std::io::Lines<BufReader<MultiGzDecoder<BufReader<File>>>>;

fn open(file: &Path) -> Result<(Opened, Lines)> {
    let source = File::open(file).map_err(|error| trouble(file, error))?;
    let mut lines = BufReader::new(MultiGzDecoder::new(BufReader::new(source))).lines();
    let none = || trouble(file, "this is no backup of Kontor");
    let first = lines.next().ok_or_else(none)?.map_err(|_| none())?;
    let value: Header = serde_json::from_str(&first).map_err(|_| none())?;
    if value.kontor_backup != FORMAT {
        return Err(trouble(file, "the backup has a format that this program does not know"));
    }
    Ok((Opened { value, text: (first + "\n").into_bytes() }, lines))
}

/// Fills an empty, migrated database from a backup, and begins a new log epoch. Returns the new epoch.
///
/// # Errors
/// When the backup is broken or of another schema, the database is not empty, or what the database says. A restore that
/// broke off leaves a database that is not served: begin again with a new one.
pub async fn restore(db: &Db, file: &Path, progress: impl FnMut(u64, u64)) -> Result<String> {
    Ok(restore_and(db, file, |_| Ok(()), progress).await?.0)
}

/// The same, and what `last` does before anybody can serve from it: part of the transaction that opens the new epoch.
///
/// # Errors
/// As [`restore`], or what `last` says.
pub async fn restore_and<T: Send + 'static>(
    db: &Db,
    file: &Path,
    last: impl Fn(&mut Tx) -> Result<T> + Send + 'static,
    mut progress: impl FnMut(u64, u64),
) -> Result<(String, T)> {
    let header = verify(file)?;
    refuse_filled(db).await?;
    db.write(|tx| sql("UPDATE log_state SET epoch = ?").bind(RESTORING).execute(tx)).await?;
    let (_, mut lines) = open(file)?;
    let (all, mut done) = (header.rows(), 0);
    let mut ends = Vec::new();
    let mut log = Log::default();
    for (table, contents) in tables::all().iter().zip(&header.tables) {
        let (mut left, mut end) = (contents.rows, 0);
        while left > 0 {
            let mut bite: Vec<Vec<Value>> = Vec::new();
            for _ in 0..left.min(BITE as u64) {
                let line = lines.next().ok_or_else(|| trouble(file, "cut short"))?.map_err(Error::internal)?;
                bite.push(serde_json::from_str(&line)?);
            }
            let count = bite.len() as u64;
            left -= count;
            let seq = |row: &Vec<Value>| table.place("seq").and_then(|place| row.get(place)).and_then(Value::as_i64);
            end = bite.iter().filter_map(seq).fold(end, i64::max);
            if table.name == "log_state" {
                log = bite.first().map(|row| Log::of(table, row)).unwrap_or_default();
            } else {
                db.write_in(Lane::Bulk, move |tx| insert(tx, table, bite.clone())).await?;
            }
            done += count;
            progress(done, all);
        }
        if table.key == ["seq"] {
            ends.push((table.name, end));
        }
    }
    finish(db, ends, log, last).await
}

/// Where the log of the backup stood.
#[derive(Debug, Clone, Copy, Default)]
struct Log {
    last: i64,
    oldest: i64,
}

impl Log {
    fn of(table: &Table, row: &[Value]) -> Self {
        let value = |name: &str| table.place(name).and_then(|place| row.get(place)).and_then(Value::as_i64);
        Self { last: value("last_position").unwrap_or_default(), oldest: value("oldest_position").unwrap_or_default() }
    }
}

fn refuse_other_schema(header: &Header) -> Result<()> {
    let known = migrate::versions()?;
    let columns = |table: &Table| table.columns.iter().map(|column| column.name.to_owned()).collect::<Vec<_>>();
    let same = tables::all().len() == header.tables.len()
        && tables::all()
            .iter()
            .zip(&header.tables)
            .all(|(ours, theirs)| ours.name == theirs.name && columns(ours) == theirs.columns);
    if header.schema == known && same {
        return Ok(());
    }
    let theirs = header.schema.last().cloned().unwrap_or_default();
    Err(Error::internal(format!(
        "the backup was made by kontor {} at schema {theirs}: restore it with that version, then migrate",
        header.program
    )))
}

async fn refuse_filled(db: &Db) -> Result<()> {
    let filled = db.read(|tx| {
        for table in tables::all().iter().filter(|table| table.name != "log_state") {
            let one = format!("SELECT count(*) FROM (SELECT 1 FROM {} LIMIT 1) AS found", table.name);
            if sql(one).first::<BigInt, i64>(tx)? != Some(0) {
                return Ok(Some(table.name));
            }
        }
        Ok(None)
    });
    match filled.await? {
        None => Ok(()),
        Some(table) => Err(Error::internal(format!("the database is not empty: there are rows in {table}"))),
    }
}

/// Inserts rows, without the columns that this database computes itself.
fn insert(tx: &mut Tx, table: &Table, mut rows: Vec<Vec<Value>>) -> Result<()> {
    let mut columns = table.list_columns();
    if let Some(place) = columns.iter().position(|(name, _)| dialect::is_generated(tx, table.name, name)) {
        columns.remove(place);
        for row in &mut rows {
            if place < row.len() {
                row.remove(place);
            }
        }
    }
    // A list takes a document that is `null` for none at all, which is not what stood in a column that must have one.
    let must = |name: &str| table.columns.iter().any(|column| column.name == name && !column.nullable);
    let whole = |(name, kind): &(&str, dialect::Col)| match kind {
        dialect::Col::Doc if must(name) => dialect::or_null_document(tx, name),
        _ => (*name).to_owned(),
    };
    let picked: Vec<String> = columns.iter().map(whole).collect();
    let (names, list) = (dialect::names(&columns), dialect::list(tx, &columns));
    let insert = format!("INSERT INTO {} ({names}) SELECT {} FROM {list} ORDER BY ord", table.name, picked.join(", "));
    sql(insert).bind(Json::of(&rows)?).execute(tx).map(|_| ())
}

/// Numbers of invoices can not jump, for none may be missing, and which were given out after the backup was made is not known. So
/// no series that there was is gone on with: nothing is issued before the legal entity is given another.
fn spend_series(tx: &mut Tx) -> Result<()> {
    type Entity = (LegalEntityId, Option<Doc<Value>>, Option<Doc<Vec<String>>>);
    let entities = sql("SELECT id, invoicing, spent_series FROM legal_entities ORDER BY id");
    let entities = entities.load::<(UidSql, Nullable<DocSql>, Nullable<DocSql>), Entity>(tx)?;
    let used = sql("SELECT legal_entity_id, series FROM invoice_series");
    let used = used.load::<(UidSql, Text), (LegalEntityId, String)>(tx)?;
    for (id, settings, spent) in entities {
        let mut all: BTreeSet<String> = spent.map(|Doc(spent)| spent).unwrap_or_default().into_iter().collect();
        let set = |field: &str| settings.as_ref()?.0.get(field)?.as_str().map(str::to_owned);
        all.extend(set("series").into_iter().chain(set("credit_series")));
        all.extend(used.iter().filter(|(entity, _)| *entity == id).map(|(_, series)| series.clone()));
        if !all.is_empty() {
            let update = sql("UPDATE legal_entities SET spent_series = ?, version = version + 1 WHERE id = ?");
            update.bind(Json::of(&all)?).bind(id).execute(tx)?;
        }
    }
    Ok(())
}

/// Lets all numbers go on above the old ones and opens the new epoch.
async fn finish<T: Send + 'static>(
    db: &Db,
    ends: Vec<(&'static str, i64)>,
    log: Log,
    then: impl Fn(&mut Tx) -> Result<T> + Send + 'static,
) -> Result<(String, T)> {
    let epoch = Id::<()>::new().hex();
    let given = epoch.clone();
    let done = db.write(move |tx| {
        let events = ends.iter().find(|(table, _)| *table == "events").map_or(0, |(_, end)| *end);
        let last = events.max(log.last).max(log.oldest) + JUMP;
        for (table, end) in &ends {
            let end = if *table == "events" { last } else { *end };
            dialect::go_on_after(tx, table, end)?;
        }
        sql("UPDATE number_ranges SET next = next + ?").bind(JUMP).execute(tx)?;
        spend_series(tx)?;
        sql("UPDATE log_state SET epoch = ?, last_position = ?, oldest_position = ?")
            .bind(epoch.as_str())
            .bind(last)
            .bind(log.oldest)
            .execute(tx)?;
        then(tx)
    });
    Ok((given, done.await?))
}
