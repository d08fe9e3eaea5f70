//! SQLite's one writer: a thread that drains a bounded queue and commits in groups.
//!
//! A group is `BEGIN IMMEDIATE`, each write in a savepoint of its own, one COMMIT with `synchronous = FULL`; then all
//! callers are answered. So one fsync serves up to 64 writes, and no caller hears *done* before it is on disk. When
//! anything goes wrong that a savepoint does not contain (a panic, a full disk, a COMMIT that fails), the connection is
//! dropped and every member of the group is run again alone: nobody pays for a neighbour, nobody is told a falsehood.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use diesel::Connection;
use diesel::connection::TransactionManager;
use tokio::sync::oneshot;

use super::{
    Options, Tx,
    checkpoint::Checkpointer,
    conn::Conn,
    dialect::{self, opening},
    stats::Stats,
};
use crate::error::{Code, Error, Result};

/// Which queue a write waits in. Interactive writes go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Somebody waits for it.
    Interactive,
    /// Imports and jobs: at most one of them between two looks at the interactive queue.
    Bulk,
}

/// One write in the queue.
trait Write: Send {
    /// Runs it inside a savepoint and remembers the outcome; the error comes back for the group's sake.
    fn run(&mut self, tx: &mut Tx) -> Result<(), Disturbance>;
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
    /// Sends the outcome; `instead` replaces it.
    fn answer(self: Box<Self>, instead: Option<Error>);
}

/// An error after which the group's transaction is not to be trusted.
struct Disturbance;

/// The outcome of a write, and the write itself: what it holds is dropped by whoever takes the answer, not by the one writer.
pub(super) type Answer<T, F> = (Result<T>, F);

struct Pending<T, F> {
    work: F,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Answer<T, F>>,
}

impl<T: Send, F: FnMut(&mut Tx) -> Result<T> + Send> Write for Pending<T, F> {
    fn run(&mut self, tx: &mut Tx) -> Result<(), Disturbance> {
        // A full disk ends the whole transaction, so that the savepoint's own end fails too: what failed first is told.
        let mut cause = None;
        let ended = tx.transaction(|tx| {
            (self.work)(tx).map_err(|error| {
                cause = Some(error);
                Error::internal("rolled back")
            })
        });
        let outcome = cause.map_or(ended, Err);
        let contained = match &outcome {
            Err(error @ Error::Database(_)) => dialect::is_constraint(error) || error.is_overtaken(),
            _ => true,
        };
        self.outcome = Some(outcome);
        if contained { Ok(()) } else { Err(Disturbance) }
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn answer(self: Box<Self>, instead: Option<Error>) {
        let outcome = match instead {
            Some(error) => Err(error),
            None => self.outcome.unwrap_or_else(|| Err(Error::internal("a write was answered before it ran"))),
        };
        // A caller that has gone away meanwhile is no error: the write stands.
        drop(self.reply.send((outcome, self.work)));
    }
}

struct Lanes {
    interactive: VecDeque<Box<dyn Write>>,
    bulk: VecDeque<Box<dyn Write>>,
    closed: bool,
}

struct Queue {
    lanes: Mutex<Lanes>,
    ready: Condvar,
    capacity: usize,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next write to begin a group with; `None` when the queue is closed and drained. `passed` is how many
    /// interactive groups have gone before a waiting bulk write: after a few it is its turn, or it would wait for ever
    /// on a busy shop, and with it every job.
    fn wait(&self, passed: u32) -> Option<(Box<dyn Write>, Lane)> {
        let mut lanes = self.lock();
        loop {
            if passed >= PATIENT_GROUPS
                && let Some(write) = lanes.bulk.pop_front()
            {
                return Some((write, Lane::Bulk));
            }
            if let Some(write) = lanes.interactive.pop_front() {
                return Some((write, Lane::Interactive));
            }
            if let Some(write) = lanes.bulk.pop_front() {
                return Some((write, Lane::Bulk));
            }
            if lanes.closed {
                return None;
            }
            lanes = self.ready.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// How many interactive groups may pass a waiting bulk write.
const PATIENT_GROUPS: u32 = 4;
const GROUP_WRITES: usize = 64;
const GROUP_TIME: Duration = Duration::from_millis(5);

/// The handle of the writer thread. Dropping it drains the queue and ends the thread.
pub(super) struct Writer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread with its own connection, and the one that copies the log.
    pub(super) fn start(options: &Options, stats: Arc<Stats>) -> Result<Self> {
        let (url, capacity, max_pages) = (options.url.clone(), options.queue, options.max_pages);
        let conn = open(&url, max_pages, &stats)?;
        let lanes = Lanes { interactive: VecDeque::new(), bulk: VecDeque::new(), closed: false };
        let queue = Arc::new(Queue { lanes: Mutex::new(lanes), ready: Condvar::new(), capacity });
        let log = Checkpointer::start(open(&url, max_pages, &stats)?)?;
        let mut scribe = Scribe { queue: queue.clone(), conn: Some(conn), url, max_pages, log, stats };
        let thread = std::thread::Builder::new()
            .name("kontor-writer".into())
            .spawn(move || scribe.work())
            .map_err(|error| Error::internal(format!("the writer thread can not be started: {error}")))?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// How many writes wait in both lanes.
    pub(super) fn waiting(&self) -> usize {
        let lanes = self.queue.lock();
        lanes.interactive.len() + lanes.bulk.len()
    }

    /// Queues a write and gives the place where its answer will come.
    pub(super) fn submit<T: Send + 'static, F: FnMut(&mut Tx) -> Result<T> + Send + 'static>(
        &self,
        lane: Lane,
        work: F,
    ) -> Result<oneshot::Receiver<Answer<T, F>>> {
        let (reply, answer) = oneshot::channel();
        let pending = Box::new(Pending { work, outcome: None, reply });
        let mut lanes = self.queue.lock();
        if lanes.closed {
            return Err(Error::problem(Code::Unavailable, "the server is shutting down").retry_after(5));
        }
        let waiting = match lane {
            Lane::Interactive => &mut lanes.interactive,
            Lane::Bulk => &mut lanes.bulk,
        };
        if waiting.len() >= self.queue.capacity {
            return Err(Error::problem(Code::Overloaded, "too many writes are waiting").retry_after(1));
        }
        waiting.push_back(pending);
        drop(lanes);
        self.queue.ready.notify_one();
        Ok(answer)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.ready.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer thread ended in a panic");
        }
    }
}

/// The writer's connection, with the limit that [`Options::max_pages`] puts on the file.
fn open(url: &str, max_pages: Option<u32>, stats: &Arc<Stats>) -> Result<Conn> {
    let mut conn = opening::open(url, stats)?;
    if let Some(pages) = max_pages {
        opening::limit_pages(&mut conn, pages)?;
    }
    Ok(conn)
}

/// The thread's own state.
struct Scribe {
    queue: Arc<Queue>,
    conn: Option<Conn>,
    url: String,
    max_pages: Option<u32>,
    log: Checkpointer,
    stats: Arc<Stats>,
}

impl Scribe {
    fn work(&mut self) {
        let mut passed = 0;
        while let Some((first, lane)) = self.queue.wait(passed) {
            passed = if lane == Lane::Bulk { 0 } else { passed.saturating_add(1) };
            let members = self.run_group(first, lane);
            if members > 0 && self.log.committed(lane) {
                self.checkpoint();
            }
        }
    }

    fn checkpoint(&mut self) {
        if let Some(conn) = &mut self.conn
            && let Err(error) = dialect::checkpoint(conn)
        {
            tracing::warn!(%error, "the log could not be checkpointed");
        }
    }

    fn connection(&mut self) -> Result<&mut Conn> {
        if self.conn.is_none() {
            self.conn = Some(open(&self.url, self.max_pages, &self.stats)?);
        }
        self.conn.as_mut().ok_or_else(|| Error::internal("no connection"))
    }

    /// Runs one group; returns how many writes were in it.
    fn run_group(&mut self, first: Box<dyn Write>, lane: Lane) -> usize {
        let queue = self.queue.clone();
        let began = self.connection().and_then(dialect::begin_write);
        if let Err(error) = began {
            self.conn = None;
            tracing::error!(%error, "a group could not begin");
            first.answer(Some(Error::problem(Code::Overloaded, "too much is going on").retry_after(1)));
            return 0;
        }
        let start = Instant::now();
        let mut members: Vec<Box<dyn Write>> = Vec::new();
        let mut next = Some(first);
        let mut sound = true;
        while let Some(mut write) = next.take() {
            if write.is_abandoned() {
                // Its request has timed out: what nobody waits for must not change anything.
            } else {
                sound = self.run_member(write.as_mut());
                members.push(write);
            }
            let room = members.len() < GROUP_WRITES && start.elapsed() < GROUP_TIME && lane == Lane::Interactive;
            if sound && room {
                next = queue.lock().interactive.pop_front();
            }
        }
        let count = members.len();
        let saved =
            sound && self.commit().inspect_err(|error| tracing::error!(%error, "a group's commit failed")).is_ok();
        if saved {
            self.stats.group(count as u64);
            members.into_iter().for_each(|write| write.answer(None));
        } else {
            // Dropping the connection rolls everything back.
            self.conn = None;
            members.into_iter().for_each(|write| self.run_alone(write));
        }
        count
    }

    /// Runs a write in its savepoint. False when the group's transaction can not be trusted any more.
    fn run_member(&mut self, write: &mut dyn Write) -> bool {
        let Some(conn) = &mut self.conn else { return false };
        let ran = catch_unwind(AssertUnwindSafe(|| write.run(conn).is_ok()));
        ran.unwrap_or(false) && dialect::depth(conn) == Some(1)
    }

    fn commit(&mut self) -> Result<()> {
        let conn = self.conn.as_mut().ok_or_else(|| Error::internal("no connection"))?;
        Ok(<Conn as Connection>::TransactionManager::commit_transaction(conn)?)
    }

    /// Runs a write in a transaction of its own and answers it.
    fn run_alone(&mut self, mut write: Box<dyn Write>) {
        if write.is_abandoned() {
            return;
        }
        let began = self.connection().and_then(dialect::begin_write);
        if let Err(error) = began {
            self.conn = None;
            write.answer(Some(error));
            return;
        }
        let Some(conn) = &mut self.conn else { return };
        let Ok(ran) = catch_unwind(AssertUnwindSafe(|| write.run(conn))) else {
            self.conn = None;
            write.answer(Some(Error::internal("a write panicked")));
            return;
        };
        if ran.is_err() || dialect::depth(conn) != Some(1) {
            self.conn = None;
            write.answer(None);
            return;
        }
        match self.commit() {
            Ok(()) => {
                self.stats.group(1);
                write.answer(None);
            }
            Err(error) => {
                tracing::error!(%error, "a write could not be committed");
                self.conn = None;
                // A constraint that is only looked at when the transaction ends is the write's own doing.
                let unsaved = || Error::problem(Code::Unavailable, "nothing can be saved at the moment").retry_after(5);
                write.answer(Some(if dialect::is_constraint(&error) { error } else { unsaved() }));
            }
        }
    }
}
