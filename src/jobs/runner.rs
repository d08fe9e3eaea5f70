//! Workers: take due jobs, run what is registered for them, write down how it ended.

use std::{collections::HashMap, future::Future, panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::sync::{Semaphore, watch};

use super::queue::{self, Job, retry_delay};
use crate::{
    db::{Db, Lane},
    error::{Code, Error, Result},
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
type Turn = Arc<dyn Fn(Instant) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// What a process works on beside its requests.
pub struct Runner {
    db: Db,
    clock: Clock,
    workers: usize,
    lease_seconds: i64,
    handlers: HashMap<&'static str, Handler>,
    turns: Vec<(&'static str, i64, Turn)>,
}

impl Runner {
    /// A runner with nothing registered yet.
    #[must_use]
    pub fn new(db: Db, clock: Clock, workers: usize, lease_seconds: i64) -> Self {
        Self { db, clock, workers, lease_seconds, handlers: HashMap::new(), turns: Vec::new() }
    }

    /// Registers what to do with jobs of a kind.
    pub fn handle<F>(&mut self, kind: &'static str, run: impl Fn(Job) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<Verdict>> + Send + 'static,
    {
        self.handlers.insert(kind, Arc::new(move |job| Box::pin(run(job))));
    }

    /// Registers what to do again and again; of all processes, one does it each time.
    pub fn every<F>(&mut self, name: &'static str, seconds: i64, run: impl Fn(Instant) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        self.turns.push((name, seconds, Arc::new(move |now| Box::pin(run(now)))));
    }

    /// Works until told to stop, then waits for the jobs in hand.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let permits = Arc::new(Semaphore::new(self.workers));
        let mut looked_at_turns = None::<std::time::Instant>;
        while !*stop.borrow() {
            let took = match self.take(permits.available_permits()).await {
                Ok(jobs) => self.start(jobs, &permits),
                Err(error) => {
                    tracing::warn!(%error, "jobs could not be claimed");
                    0
                }
            };
            if looked_at_turns.is_none_or(|at| at.elapsed() >= PAUSE) {
                self.take_turns().await;
                looked_at_turns = Some(std::time::Instant::now());
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
        // All permits back means that no job is in hand any more.
        let _all = permits.acquire_many(u32::try_from(self.workers).unwrap_or(1)).await;
    }

    /// Runs everything that is due now, in this task, until nothing is: what tests wait for.
    ///
    /// # Errors
    /// What the database says.
    pub async fn drain(&self) -> Result<usize> {
        let mut ran = 0;
        loop {
            let jobs = self.take(16).await?;
            if jobs.is_empty() {
                return Ok(ran);
            }
            for job in jobs {
                ran += 1;
                run_job(self.db.clone(), self.clock.clone(), self.handlers.get(job.kind.as_str()).cloned(), job).await;
            }
        }
    }

    /// Runs every schedule's work now, due or not.
    ///
    /// # Errors
    /// The first failure.
    pub async fn run_all_turns(&self) -> Result<()> {
        for (_, _, turn) in &self.turns {
            turn(self.clock.now()).await?;
        }
        Ok(())
    }

    async fn take(&self, room: usize) -> Result<Vec<Job>> {
        let (now, lease, room) = (self.clock.now(), self.lease_seconds, i64::try_from(room).unwrap_or(1));
        if room == 0 {
            return Ok(Vec::new());
        }
        // Looking is cheap and happens on a reader; the writer is asked only when there is something to take.
        let due = self.db.read(queue::next_due).await?;
        if due.is_none_or(|due| due > now) {
            return Ok(Vec::new());
        }
        self.db.write_quietly(Lane::Bulk, move |tx| queue::claim(tx, now, lease, room)).await
    }

    fn start(&self, jobs: Vec<Job>, permits: &Arc<Semaphore>) -> usize {
        let count = jobs.len();
        for job in jobs {
            let handler = self.handlers.get(job.kind.as_str()).cloned();
            let (db, clock) = (self.db.clone(), self.clock.clone());
            // Taken here and not in the task, so that the next look does not count the same room twice. There is room:
            // nobody else takes permits, and no more jobs were claimed than there were.
            let permit = permits.clone().try_acquire_owned();
            tokio::spawn(async move {
                let _permit = permit;
                run_job(db, clock, handler, job).await;
            });
        }
        count
    }

    async fn take_turns(&self) {
        let now = self.clock.now();
        let to_come = match self.db.read(move |tx| queue::turns_to_come(tx, now)).await {
            Ok(names) => names,
            Err(error) => return tracing::warn!(%error, "the schedules could not be read"),
        };
        for (name, seconds, turn) in &self.turns {
            let (name, seconds) = (*name, *seconds);
            if to_come.iter().any(|other| other == name) {
                continue;
            }
            let taken = self.db.write_quietly(Lane::Bulk, move |tx| queue::take_turn(tx, name, now, seconds)).await;
            let result = match taken {
                Ok(true) => turn(now).await,
                Ok(false) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                tracing::warn!(%error, name, "a scheduled task failed; its next turn tries again");
            }
        }
    }
}

/// How long to wait at most before looking again.
const PAUSE: Duration = Duration::from_millis(200);
/// How long to wait at least.
const BREATH: Duration = Duration::from_millis(5);

/// Runs a job's handler. A panic is a failure like another: the job is tried again, and is dead in the end.
async fn verdict(handler: Option<Handler>, job: &Job) -> Verdict {
    let Some(handler) = handler else {
        return Verdict::Dead { error: format!("this program knows no job of kind {}", job.kind) };
    };
    if job.attempt > job.max_attempts {
        // Its worker has died every time, perhaps of it.
        return Verdict::Dead { error: "every try ended without an answer from its worker".to_owned() };
    }
    let ran = AssertUnwindSafe(async { handler(job.clone()).await }).catch_unwind().await;
    match ran {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(error)) if error.code() == Code::LeaseLost => Verdict::Settled,
        Ok(Err(error)) => Verdict::from(error),
        Err(_) => Verdict::Retry { error: "the job's handler panicked".to_owned(), after_seconds: None },
    }
}

/// Runs one job and writes down how it ended, unless the handler has done so.
async fn run_job(db: Db, clock: Clock, handler: Option<Handler>, job: Job) {
    let verdict = verdict(handler, &job).await;
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
            Verdict::Dead { error } => job.bury(tx, now, error),
            Verdict::Retry { error, .. } if job.attempt >= job.max_attempts => job.bury(tx, now, error),
            Verdict::Retry { error, after_seconds } => {
                let wait = retry_delay(queue::try_of_round(&job), dice);
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
