//! The database: one code path over SQLite and PostgreSQL.
//!
//! [`Db::read`] and [`Db::write`] are the only ways in, and both run off the async threads. `read` is one snapshot.
//! `write` is a transaction that may be run more than once, so its closure takes ids and the time from outside and
//! touches nothing but the transaction. On SQLite all writes go through one thread that commits in groups
//! (`writer`); on PostgreSQL they run on pooled connections and are tried again after a deadlock.
//!
//! It knows nothing of slices, HTTP or jobs.

use std::{fs::File, panic::Location, path::PathBuf, sync::Arc, time::Duration};

use diesel::Connection;
use diesel::connection::TransactionManager;

mod checkpoint;
mod conn;
pub mod dialect;
pub mod dump;
pub mod merge;
mod migrate;
mod numbers;
mod pages;
mod pool;
pub mod schema;
pub mod snapshot;
mod sql;
pub mod stats;
pub mod tables;
pub mod types;
mod writer;

pub use conn::{Conn, MultiBackend};
pub use dialect::{Col, Variant, analyse, insert_many};
pub use numbers::number_in;
pub use pages::newest_at;
pub use snapshot::{Snapshot, bump, version as snapshot_version};
pub use sql::{Sql, sql};
pub use types::{Bind, Doc, DocSql, InstantSql, Json, UidSql};
pub use writer::Lane;

use crate::error::{Code, Error, Result};
use pool::Pool;
use snapshot::Snapshots;
use stats::Stats;
use writer::Writer;

/// What a closure of [`Db::read`] or [`Db::write`] works on: a connection inside a transaction.
pub type Tx = Conn;

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// `postgres://…`, or the path of a SQLite file.
    pub url: String,
    /// Connections for reading on SQLite, for everything on PostgreSQL.
    pub connections: usize,
    /// How many writes may wait in each lane on SQLite.
    pub queue: usize,
    /// Whether this process serves from the file and so must be the only one (SQLite).
    pub exclusive: bool,
    /// What is done about a database that is missing or of another version.
    pub upkeep: Upkeep,
    /// The most pages (of 4 KiB) that SQLite's file may have; a write beyond is refused like one on a full disk.
    pub max_pages: Option<u32>,
}

impl Options {
    /// The defaults for a URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connections: 8,
            queue: 1024,
            exclusive: false,
            upkeep: Upkeep::Migrate,
            max_pages: None,
        }
    }
}

/// What opening does about a database that is missing or of another version. Migrating is for the programs that serve: a
/// newer program that only looks must not change a running shop under the older one's hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upkeep {
    /// It is made, or brought to this program's version.
    Migrate,
    /// It is made; one of another version is refused.
    Make,
    /// It must be there and of this program's version.
    Nothing,
}

/// A database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    pool: Pool,
    writer: Option<Writer>,
    stats: Arc<Stats>,
    snapshots: Snapshots,
    numbers: numbers::Numbers,
    written: tokio::sync::Notify,
    /// Held, and with it the lock, as long as the database is open.
    _lock: Option<File>,
}

impl Db {
    /// Opens a database, and makes it or brings it to this program's version as far as [`Options::upkeep`] allows.
    ///
    /// # Errors
    /// When it can not be opened, is newer than this program, is not as it must be, would lose acknowledged writes, or is
    /// already served.
    pub fn open(options: Options) -> Result<Self> {
        let upkeep = options.upkeep;
        if upkeep == Upkeep::Nothing {
            dialect::opening::refuse_missing(&options.url)?;
        }
        let db = Self::open_unmigrated(options)?;
        let prepare = match upkeep {
            Upkeep::Migrate => migrate::run,
            Upkeep::Make => migrate::run_on_empty,
            Upkeep::Nothing => migrate::expect_current,
        };
        let ran = db.inner.pool.run_here(dialect::no_transaction, prepare)?;
        if ran > 0 {
            tracing::info!(migrations = ran, "database migrated");
        }
        Ok(db)
    }

    /// Opens a database as it is.
    ///
    /// # Errors
    /// When it can not be opened, would lose acknowledged writes, or is already served.
    pub fn open_unmigrated(options: Options) -> Result<Self> {
        let stats = Arc::new(Stats::default());
        let (url, counters) = (options.url.clone(), stats.clone());
        let pool = Pool::new(options.connections, move || dialect::opening::open(&url, &counters));
        let (writer, lock) = match dialect::opening::file(&options.url) {
            None => (None, None),
            Some(path) => {
                let lock = if options.exclusive { Some(lock_file(&path)?) } else { None };
                let writer = Writer::start(&options, stats.clone())?;
                (Some(writer), lock)
            }
        };
        let inner = Inner {
            options,
            pool,
            writer,
            stats,
            snapshots: Snapshots::default(),
            numbers: numbers::Numbers::default(),
            written: tokio::sync::Notify::new(),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Brings the database to this program's version; how many migrations that took.
    ///
    /// # Errors
    /// When one fails, or the database is newer than this program.
    pub async fn migrate(&self) -> Result<usize> {
        self.inner.pool.run(dialect::no_transaction, migrate::run).await
    }

    /// Takes every migration back: the tables and all that is in them are gone.
    ///
    /// # Errors
    /// When one fails.
    pub async fn revert_all_migrations(&self) -> Result<usize> {
        self.inner.pool.run(dialect::no_transaction, migrate::revert_all).await
    }

    /// How many migrations of this program the database has not seen yet. That it has seen others is no matter: they expand
    /// before they contract, so that this program goes on beside a newer one.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn pending_migrations(&self) -> Result<usize> {
        self.inner.pool.run(dialect::no_transaction, migrate::pending).await
    }

    /// Whether other processes may serve and work on the database beside this one.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.inner.writer.is_none()
    }

    /// Which database it is.
    #[must_use]
    pub fn variant(&self) -> Variant {
        Variant::of(&self.inner.options.url)
    }

    /// Whether events get their positions in a step of their own, after they were committed.
    #[must_use]
    pub fn numbers_events(&self) -> bool {
        self.inner.writer.is_none()
    }

    /// What has reached the database so far.
    #[must_use]
    pub fn stats(&self) -> stats::Reading {
        self.inner.stats.read()
    }

    /// Reads, on one snapshot. On SQLite a read must not last over a second, for it keeps the log from being emptied. Diesel
    /// has no way to interrupt one: one that lasts longer is counted, and told of in the log with its place, to be mended.
    ///
    /// # Errors
    /// What `work` or the database says.
    #[track_caller]
    pub fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx) -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + '_ {
        let place = Location::caller();
        async move {
            let (stats, shared) = (self.inner.stats.clone(), self.inner.writer.is_none());
            let (value, took) = self
                .read_at_length(move |tx| {
                    let begun = std::time::Instant::now();
                    work(tx).map(|value| (value, begun.elapsed()))
                })
                .await?;
            if !shared && took > LONGEST_READ {
                stats.slow_read();
                tracing::warn!(ms = took.as_millis(), %place, "a read lasted over a second");
            }
            Ok(value)
        }
    }

    /// The same for what has to see the whole database on one snapshot, as a backup does, and takes its time.
    ///
    /// # Errors
    /// What `work` or the database says.
    pub async fn read_at_length<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let ran = self.inner.pool.run(dialect::begin_read, move |conn| {
            let result = work(conn);
            // Nothing was written: rolling back is the cheapest end.
            let ended = <Conn as Connection>::TransactionManager::rollback_transaction(conn);
            // What went wrong first is what is told.
            result.and_then(|value| ended.map(|()| value).map_err(Error::from))
        });
        ran.await.map_err(as_told)
    }

    /// Writes: all of it or nothing. `work` may be run more than once.
    ///
    /// # Errors
    /// What `work` or the database says; nothing has changed then, unless it is [`Error::CommitUnknown`].
    pub async fn write<T: Send + 'static>(&self, work: impl Fn(&mut Tx) -> Result<T> + Send + 'static) -> Result<T> {
        self.write_in(Lane::Interactive, work).await
    }

    /// Writes in a lane of choice: imports and jobs use [`Lane::Bulk`] so that nobody waits behind them.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub async fn write_in<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl Fn(&mut Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let result = self.write_raw(lane, work).await;
        self.told(result)
    }

    /// Writes without telling those who wait in [`Db::written`]: what waits there and writes itself would else wake
    /// others of its kind, and they it, without end. Call [`Db::announce`] when there is something to tell.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub async fn write_quietly<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl Fn(&mut Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.write_raw(lane, work).await.map_err(as_told)
    }

    async fn write_raw<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl Fn(&mut Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match &self.inner.writer {
            Some(writer) => {
                let answer = writer.submit(lane, work)?;
                answer.await.map_or_else(|_| Err(Error::internal("the writer gave no answer")), |(outcome, _)| outcome)
            }
            None => {
                let stats = self.inner.stats.clone();
                self.inner.pool.run(dialect::begin_write, move |conn| write_with_retries(conn, &stats, &work)).await
            }
        }
    }

    /// Reads, then writes on what was read. On SQLite a reader does the reading, beside other writes, so that the one
    /// writer is kept for writing; on PostgreSQL both are parts of one transaction. Either way what was read may have
    /// changed by then: `write` guards what it relies on, says [`Error::overtaken`] when a guard refuses, and both run
    /// again.
    ///
    /// # Errors
    /// What `read`, `write` or the database says.
    pub async fn read_then_write<P: Send + 'static, T: Send + 'static>(
        &self,
        read: impl Fn(&mut Tx) -> Result<P> + Send + Sync + 'static,
        write: impl Fn(&mut Tx, &P) -> Result<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let (read, write) = (Arc::new(read), Arc::new(write));
        for _ in 0..self.looks_ahead() {
            let (read, write) = (read.clone(), write.clone());
            let seen = self.read(move |tx| read(tx)).await?;
            match self.write_raw(Lane::Interactive, move |tx| write(tx, &seen)).await {
                Err(error) if error.is_overtaken() => self.inner.stats.retried(),
                result => return self.told(result),
            }
        }
        // In one transaction nothing comes between, as far as locks and guards reach.
        let both = self.write_raw(Lane::Interactive, move |tx| {
            let seen = read(tx)?;
            write(tx, &seen)
        });
        let result = both.await;
        self.told(result)
    }

    /// How often a reader looks before a write is tried in one transaction with its reading.
    fn looks_ahead(&self) -> u32 {
        match self.variant() {
            Variant::Sqlite => 3,
            Variant::Postgres => 0,
        }
    }

    /// Wakes those who wait in [`Db::written`] when something was written, and gives the outcome as callers are told it.
    fn told<T>(&self, result: Result<T>) -> Result<T> {
        if result.is_ok() {
            self.announce();
        }
        result.map_err(as_told)
    }

    /// How many writes wait for SQLite's writer; 0 on PostgreSQL, where nothing waits here.
    #[must_use]
    pub fn writes_waiting(&self) -> usize {
        self.inner.writer.as_ref().map_or(0, Writer::waiting)
    }

    /// Wakes those who wait in [`Db::written`].
    pub fn announce(&self) {
        self.inner.written.notify_waiters();
    }

    /// Waits until this process has written something, or until `at_most` has passed.
    pub async fn written(&self, at_most: std::time::Duration) {
        // Nothing has to be done about the time running out: other processes write unheard.
        let _elapsed = tokio::time::timeout(at_most, self.inner.written.notified()).await;
    }
}

/// How long a read may last on SQLite.
const LONGEST_READ: Duration = Duration::from_secs(1);

/// How often a transaction is run again after a deadlock before its caller hears of it.
const ATTEMPTS: u32 = 12;

/// Runs a transaction that has already begun, and begins it anew where that helps.
fn write_with_retries<T>(conn: &mut Conn, stats: &Stats, work: &impl Fn(&mut Tx) -> Result<T>) -> Result<T> {
    let mut attempt = 1;
    loop {
        match write_once(conn, work) {
            Err(error) if attempt < ATTEMPTS && dialect::is_retryable(&error) => {
                stats.retried();
                #[allow(clippy::disallowed_methods, reason = "a pause before the next try, on a blocking thread")]
                std::thread::sleep(dialect::backoff(attempt));
                attempt += 1;
                dialect::begin_write(conn)?;
            }
            Err(error) => return Err(error),
            Ok(value) => {
                stats.committed();
                return Ok(value);
            }
        }
    }
}

fn write_once<T>(conn: &mut Conn, work: &impl Fn(&mut Tx) -> Result<T>) -> Result<T> {
    type Manager = <Conn as Connection>::TransactionManager;
    match work(conn) {
        Ok(value) => match Manager::commit_transaction(conn) {
            Ok(()) => Ok(value),
            Err(error) => {
                let error = Error::Database(error);
                if dialect::is_retryable(&error) || dialect::is_constraint(&error) {
                    return Err(error);
                }
                // The server may or may not have seen the COMMIT. Only the caller can find out, by asking again.
                Err(Error::CommitUnknown(error.to_string()))
            }
        },
        Err(error) => {
            if let Err(rollback) = Manager::rollback_transaction(conn) {
                tracing::warn!(error = %rollback, "a transaction could not be rolled back; its connection is dropped");
            }
            Err(error)
        }
    }
}

/// What callers can do something about is told as a problem: too much going on, no room on the disk, no connection. What
/// ails the database inside is for the log only.
fn as_told(error: Error) -> Error {
    if dialect::is_retryable(&error) {
        return Error::problem(Code::Overloaded, "too many writes want the same rows").retry_after(1);
    }
    match dialect::trouble(&error) {
        None => error,
        Some(trouble) => {
            tracing::error!(%error, "the database is in trouble");
            match trouble {
                dialect::Trouble::Slow => Error::problem(Code::Overloaded, "too much is going on").retry_after(1),
                dialect::Trouble::Full => {
                    Error::problem(Code::Unavailable, "nothing can be saved at the moment").retry_after(30)
                }
                dialect::Trouble::Gone => {
                    Error::problem(Code::Unavailable, "the database can not be reached; nothing was changed")
                        .retry_after(1)
                }
            }
        }
    }
}

/// One `serve` or `worker` per SQLite file: two group committers would wait for each other, and each would believe its caches.
fn lock_file(database: &std::path::Path) -> Result<File> {
    // By whatever way it is named, it is one file.
    let whole = database.canonicalize().unwrap_or_else(|_| database.to_owned());
    let mut path = whole.as_os_str().to_owned();
    path.push(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| Error::internal(format!("{}: {error}", PathBuf::from(&path).display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Error::internal(format!("{} is already being served by another process", database.display()))),
    }
}
