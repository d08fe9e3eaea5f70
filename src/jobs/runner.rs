//! Workers: take due jobs, run what is registered for them, write down how it ended.

use std::{
    collections::HashMap,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::FutureExt;
use tokio::{sync::watch, task::JoinSet};
use tracing::Instrument;

use super::{
    places::{Place, Places},
    queue::{self, Due, Job, Kinds, retry_delay},
};
use crate::{
    db::{Db, Lane, Tx},
    error::{Code, Error, Result},
    http::Trace,
    kernel::{Clock, Instant},
};

/// How a job's run ended.
#[derive(Debug)]
pub enum Verdict {
    /// The handler has called [`Job::finish`] (or [`Job::retry`] and the like) in a transaction of its own.
    Settled,
    /// It is done and nothing had to be written.
    Done,
    /// It failed and is worth another try; after so many seconds, or as the schedule of retries says.
    Retry {
        /// What went wrong.
        error: String,
        /// What the far end asked for (`Retry-After`).
        after_seconds: Option<i64>,
    },
    /// It failed and no other try would help.
    Dead {
        /// What went wrong and what to mend.
        error: String,
    },
}

type Running = Pin<Box<dyn Future<Output = Result<Verdict>> + Send>>;
type Handler = Arc<dyn Fn(Job) -> Running + Send + Sync>;
/// What a slice does when a job of its own is dead without its handler having said so: why, in the same transaction.
pub type OnBurial = fn(&mut Tx, Instant, &Job, &str) -> Result<()>;
type Turn = Arc<dyn Fn(Instant) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// What is done again and again.
struct Schedule {
    name: &'static str,
    seconds: i64,
    turn: Turn,
    /// Whether this process is at it: a turn that lasts longer than its interval is not begun twice.
    busy: Arc<AtomicBool>,
}

/// What a process works on beside its requests.
pub struct Runner {
    db: Db,
    clock: Clock,
    workers: usize,
    shared: usize,
    lease_seconds: i64,
    patience: Duration,
    handlers: HashMap<&'static str, Known>,
    schedules: Vec<Schedule>,
}

/// What is known of a kind of jobs.
#[derive(Clone)]
struct Known {
    run: Handler,
    buried: Option<OnBurial>,
}

impl Runner {
    /// A runner with nothing registered yet. All lanes share as many workers as the empty one has for itself.
    #[must_use]
    pub fn new(db: Db, clock: Clock, workers: usize, lease_seconds: i64) -> Self {
        let (handlers, schedules) = (HashMap::new(), Vec::new());
        Self { db, clock, workers, shared: workers, lease_seconds, patience: PATIENCE, handlers, schedules }
    }

    /// The same with so many workers for all lanes together.
    #[must_use]
    pub const fn sharing(mut self, shared: usize) -> Self {
        self.shared = shared;
        self
    }

    /// The same that waits so long for the work in hand when it is told to stop. What lasts longer is broken off: a job is
    /// taken over when its lease runs out, a schedule's work at its next turn.
    #[must_use]
    pub const fn patient_for(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Registers what to do with jobs of a kind.
    pub fn handle<F>(&mut self, kind: &'static str, run: impl Fn(Job) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<Verdict>> + Send + 'static,
    {
        let run: Handler = Arc::new(move |job| Box::pin(run(job)));
        self.handlers.insert(kind, Known { run, buried: None });
    }

    /// Registers what else to do when a job of a kind that is [handled](Runner::handle) dies: of a panic, of an error that its
    /// handler returned, or because none of its workers came to an end. A handler that buries a job itself sees to that itself.
    pub fn on_burial(&mut self, kind: &'static str, buried: OnBurial) {
        if let Some(known) = self.handlers.get_mut(kind) {
            known.buried = Some(buried);
        }
    }

    /// Registers what to do again and again; of all processes, one does it each time.
    pub fn every<F>(&mut self, name: &'static str, seconds: i64, run: impl Fn(Instant) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let turn: Turn = Arc::new(move |now| Box::pin(run(now)));
        self.schedules.push(Schedule { name, seconds, turn, busy: Arc::default() });
    }

    /// Works until told to stop, then waits for the jobs and turns in hand, as long as its patience lasts. Each is a task
    /// of its own: none waits for another, and none's defect ends the runner.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let places = Places::new(self.workers, self.shared);
        let mut in_hand = JoinSet::new();
        let mut looked_at_schedules = None::<std::time::Instant>;
        while !*stop.borrow() {
            while in_hand.try_join_next().is_some() {}
            let took = self.fill(&places, &mut in_hand).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "jobs could not be claimed");
                0
            });
            if looked_at_schedules.is_none_or(|at| at.elapsed() >= PAUSE) {
                self.take_turns(&mut in_hand).await;
                looked_at_schedules = Some(std::time::Instant::now());
            }
            if took == 0 {
                // On a busy shop something is written all the time: a breath keeps looking from being all that is done.
                tokio::time::sleep(BREATH).await;
                tokio::select! {
                    () = self.db.written(PAUSE) => {}
                    _ = stop.changed() => {}
                }
            }
        }
        let all = async { while in_hand.join_next().await.is_some() {} };
        if tokio::time::timeout(self.patience, all).await.is_err() {
            tracing::warn!(left = in_hand.len(), "work in hand is broken off; it is taken up again later");
            in_hand.shutdown().await;
        }
    }

    /// Runs everything that is due now, in this task, until nothing is: what tests wait for.
    ///
    /// # Errors
    /// What the database says.
    pub async fn drain(&self) -> Result<usize> {
        let mut ran = 0;
        loop {
            let before = ran;
            for due in self.due().await? {
                for job in self.claim(due, 16).await? {
                    ran += 1;
                    let handler = self.handlers.get(job.kind.as_str()).cloned();
                    run_job(self.db.clone(), self.clock.clone(), handler, job).await;
                }
            }
            if ran == before {
                return Ok(ran);
            }
        }
    }

    /// Runs every schedule's work now, due or not.
    ///
    /// # Errors
    /// The first failure.
    pub async fn run_all_turns(&self) -> Result<()> {
        for schedule in &self.schedules {
            (schedule.turn)(self.clock.now()).await?;
        }
        Ok(())
    }

    /// What could be taken now. Looking is cheap and happens on a reader; the writer is asked only when there is something
    /// to take.
    async fn due(&self) -> Result<Vec<Due>> {
        let (now, kinds) = (self.clock.now(), self.kinds());
        let mut due = self.db.read(move |tx| queue::due(tx, &kinds, now)).await?;
        due.retain(|due| due.at <= now);
        Ok(due)
    }

    async fn claim(&self, due: Due, room: usize) -> Result<Vec<Job>> {
        let (now, lease, room) = (self.clock.now(), self.lease_seconds, i64::try_from(room).unwrap_or(1));
        let kinds = self.kinds();
        self.db.write_quietly(Lane::Bulk, move |tx| queue::claim(tx, &kinds, now, lease, &due, room)).await
    }

    /// What this program knows how to do, always in the same order.
    fn kinds(&self) -> Kinds {
        let mut kinds: Vec<&'static str> = self.handlers.keys().copied().collect();
        kinds.sort_unstable();
        Kinds(kinds)
    }

    /// Takes what is due, as far as there are places for it, and begins it. Returns how many.
    async fn fill(&self, places: &Arc<Places>, in_hand: &mut JoinSet<()>) -> Result<usize> {
        let mut took = 0;
        for due in self.due().await? {
            let (lane, room) = (due.lane.clone(), places.room(&due.lane));
            if room == 0 {
                continue;
            }
            for job in self.claim(due, room).await? {
                took += 1;
                self.start(job, places.take(&lane), in_hand);
            }
        }
        Ok(took)
    }

    fn start(&self, job: Job, place: Place, in_hand: &mut JoinSet<()>) {
        let handler = self.handlers.get(job.kind.as_str()).cloned();
        let (db, clock) = (self.db.clone(), self.clock.clone());
        in_hand.spawn(async move {
            let _place = place;
            run_job(db, clock, handler, job).await;
        });
    }

    async fn take_turns(&self, in_hand: &mut JoinSet<()>) {
        let now = self.clock.now();
        let to_come = match self.db.read(move |tx| queue::turns_to_come(tx, now)).await {
            Ok(names) => names,
            Err(error) => return tracing::warn!(%error, "the schedules could not be read"),
        };
        for schedule in &self.schedules {
            let (name, seconds) = (schedule.name, schedule.seconds);
            if to_come.iter().any(|other| other == name) || schedule.busy.load(SeqCst) {
                continue;
            }
            match self.db.write_quietly(Lane::Bulk, move |tx| queue::take_turn(tx, name, now, seconds)).await {
                Ok(true) => schedule.begin(now, in_hand),
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, name, "a turn could not be taken"),
            }
        }
    }
}

impl Schedule {
    /// Begins the turn that was taken, in a task of its own.
    fn begin(&self, now: Instant, in_hand: &mut JoinSet<()>) {
        let (name, turn) = (self.name, self.turn.clone());
        let busy = Busy::begin(&self.busy);
        in_hand.spawn(async move {
            let _busy = busy;
            match AssertUnwindSafe(async { turn(now).await }).catch_unwind().await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, name, "a scheduled task failed; its next turn tries again"),
                Err(_) => tracing::error!(name, "a scheduled task panicked; its next turn tries again"),
            }
        });
    }
}

/// Says that a turn is in hand, until it is dropped, however the turn ends.
struct Busy(Arc<AtomicBool>);

impl Busy {
    fn begin(flag: &Arc<AtomicBool>) -> Self {
        flag.store(true, SeqCst);
        Self(flag.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, SeqCst);
    }
}

/// How long a stopping runner waits unless it is told otherwise.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to wait at most before looking again.
const PAUSE: Duration = Duration::from_millis(200);
/// How long to wait at least.
const BREATH: Duration = Duration::from_millis(5);

/// Runs a job's handler. A panic is a failure like another: the job is tried again, and is dead in the end.
async fn verdict(known: Option<&Known>, job: &Job) -> Verdict {
    let Some(known) = known else {
        return Verdict::Dead { error: format!("this program knows no job of kind {}", job.kind) };
    };
    if job.attempt > job.max_attempts {
        // Its worker has died every time, perhaps of it.
        return Verdict::Dead { error: "every try ended without an answer from its worker".to_owned() };
    }
    let trace = Trace::of(job.id);
    let span = tracing::info_span!("job", id = %job.id, kind = job.kind, attempt = job.attempt, %trace);
    let ran =
        AssertUnwindSafe(trace.run(async { (known.run)(job.clone()).await })).catch_unwind().instrument(span).await;
    match ran {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(error)) if error.code() == Code::LeaseLost => Verdict::Settled,
        Ok(Err(error)) => Verdict::from(error),
        Err(_) => Verdict::Retry { error: "the job's handler panicked".to_owned(), after_seconds: None },
    }
}

/// Makes a job a dead letter, with all that this means.
fn bury(tx: &mut Tx, now: Instant, known: Option<&Known>, job: &Job, error: &str) -> Result<()> {
    job.bury(tx, now, error)?;
    known.and_then(|known| known.buried).map_or(Ok(()), |buried| buried(tx, now, job, error))
}

/// Runs one job and writes down how it ended, unless the handler has done so.
async fn run_job(db: Db, clock: Clock, known: Option<Known>, job: Job) {
    let verdict = verdict(known.as_ref(), &job).await;
    if matches!(verdict, Verdict::Settled) {
        return;
    }
    let now = clock.now();
    let dice = i64::from(rand::random_range(0..1000u32));
    let settled = db.write_in(Lane::Bulk, {
        let job = job.clone();
        move |tx| match &verdict {
            Verdict::Settled => Ok(()),
            Verdict::Done => job.finish(tx),
            Verdict::Dead { error } => bury(tx, now, known.as_ref(), &job, error),
            Verdict::Retry { error, .. } if job.attempt >= job.max_attempts => {
                bury(tx, now, known.as_ref(), &job, error)
            }
            Verdict::Retry { error, after_seconds } => {
                let wait = retry_delay(queue::try_of_round(&job, queue::TRIES), dice);
                let wait = after_seconds.map_or(wait, |asked| asked.clamp(1, 6 * 3600).max(wait / 2));
                job.retry(tx, now, now.plus_seconds(wait), error)
            }
        }
    });
    match settled.await {
        Ok(()) => {}
        Err(error) if error.code() == Code::LeaseLost => {
            tracing::info!(job = %job.id, kind = job.kind, "a late result was refused: the job was taken over");
        }
        // The lease runs out and the job is taken again.
        Err(error) => tracing::warn!(job = %job.id, kind = job.kind, %error, "a job's end could not be written"),
    }
}

impl From<Error> for Verdict {
    fn from(error: Error) -> Self {
        Self::Retry { error: error.to_string(), after_seconds: None }
    }
}
