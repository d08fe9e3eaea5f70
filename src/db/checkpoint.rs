//! SQLite's log is copied into the file by a thread of its own, beside the writer.
//!
//! A checkpoint hinders nobody, but the log begins anew only when all of it is copied and nobody reads from it, which
//! never happens while writes go on. So once the log is long, the writer copies the little that came in last between two
//! of its groups, and its next group begins the log anew. No commit waits for a long copy.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
};

use super::{Lane, conn::Conn, dialect};
use crate::error::{Error, Result};

/// So many groups are copied at once.
const GROUPS: u32 = 64;
/// A bulk write touches as many pages as so many groups of others.
const BULK: u32 = 16;
/// From so many pages (of 4 KiB) on the log is to begin anew.
const LONG_LOG: i64 = 4096;

/// The handle of the thread. Dropping it ends the thread.
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    work: Mutex<Work>,
    ready: Condvar,
    long: AtomicBool,
}

#[derive(Default)]
struct Work {
    groups: u32,
    closed: bool,
}

impl Checkpointer {
    /// Starts the thread with a connection of its own.
    pub(super) fn start(conn: Conn) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        let thread = std::thread::Builder::new()
            .name("kontor-log".into())
            .spawn(move || own.copy(conn))
            .map_err(|error| Error::internal(format!("the checkpoint thread can not be started: {error}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Notes that the writer has committed a group, or one bulk write. True when the log is long and the writer should copy
    /// its end.
    pub(super) fn committed(&self, lane: Lane) -> bool {
        let weight = if lane == Lane::Bulk { BULK } else { 1 };
        let due = {
            let mut work = self.shared.work.lock().unwrap_or_else(PoisonError::into_inner);
            work.groups = work.groups.saturating_add(weight);
            work.groups >= GROUPS
        };
        if due {
            self.shared.ready.notify_one();
        }
        self.shared.long.swap(false, Relaxed)
    }
}

impl Shared {
    fn copy(&self, mut conn: Conn) {
        while self.wait() {
            match dialect::checkpoint(&mut conn) {
                Ok(pages) => self.long.store(pages >= LONG_LOG, Relaxed),
                Err(error) => tracing::warn!(%error, "the log could not be checkpointed"),
            }
        }
    }

    /// Waits until there is something to copy. False when the thread is to end.
    fn wait(&self) -> bool {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        while work.groups < GROUPS && !work.closed {
            work = self.ready.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
        work.groups = 0;
        !work.closed
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.shared.work.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.shared.ready.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the checkpoint thread ended in a panic");
        }
    }
}
