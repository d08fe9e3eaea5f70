//! Counts of what reaches the database: statements, prepares, transactions. Tests pin them and `/metrics` shows them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use diesel::connection::{Instrumentation, InstrumentationEvent};

/// Counters since the start, over all connections of one [`super::Db`].
#[derive(Debug, Default)]
pub struct Stats {
    sent: AtomicU64,
    prepared: AtomicU64,
    commits: AtomicU64,
    groups: AtomicU64,
    grouped: AtomicU64,
    retries: AtomicU64,
    slow_reads: AtomicU64,
}

/// A reading of [`Stats`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// SQL statements, without the ones that begin and end transactions and savepoints.
    pub statements: u64,
    /// Statements that were prepared and kept for the next time. Diesel tells of these only: what it prepares anew each
    /// time (its UPDATEs, `eq_any` on SQLite) is kept out of the sources by `tests/it/arrows.rs`.
    pub prepared: u64,
    /// Transactions committed (on SQLite: writes, of which several share one COMMIT).
    pub commits: u64,
    /// Group commits on SQLite.
    pub groups: u64,
    /// Writes in those groups.
    pub grouped: u64,
    /// Transactions run again after a deadlock or a serialisation failure.
    pub retries: u64,
    /// Reads on SQLite that lasted over a second.
    pub slow_reads: u64,
}

impl Stats {
    /// The counters now.
    #[must_use]
    pub fn read(&self) -> Reading {
        Reading {
            statements: self.sent.load(Relaxed),
            prepared: self.prepared.load(Relaxed),
            commits: self.commits.load(Relaxed),
            groups: self.groups.load(Relaxed),
            grouped: self.grouped.load(Relaxed),
            retries: self.retries.load(Relaxed),
            slow_reads: self.slow_reads.load(Relaxed),
        }
    }

    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Relaxed);
    }

    pub(super) fn group(&self, members: u64) {
        self.groups.fetch_add(1, Relaxed);
        self.grouped.fetch_add(members, Relaxed);
        self.commits.fetch_add(members, Relaxed);
    }

    pub(super) fn slow_read(&self) {
        self.slow_reads.fetch_add(1, Relaxed);
    }

    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }
}

/// Hangs on a connection and counts.
pub(super) struct Counter {
    stats: Arc<Stats>,
    /// Whether the next statement is one that begins or ends a transaction or a savepoint.
    is_boundary: bool,
}

impl Counter {
    pub(super) const fn new(stats: Arc<Stats>) -> Self {
        Self { stats, is_boundary: false }
    }
}

impl Instrumentation for Counter {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartQuery { .. } if !std::mem::take(&mut self.is_boundary) => {
                self.stats.sent.fetch_add(1, Relaxed);
            }
            // Each of these is followed by a StartQuery of its own SQL, which is not one of ours.
            InstrumentationEvent::BeginTransaction { .. }
            | InstrumentationEvent::CommitTransaction { .. }
            | InstrumentationEvent::RollbackTransaction { .. } => self.is_boundary = true,
            InstrumentationEvent::CacheQuery { .. } => {
                self.stats.prepared.fetch_add(1, Relaxed);
            }
            _ => {}
        }
    }
}
