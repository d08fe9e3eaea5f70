//! What rules do beside requests: their runs, a part of the goods at a time, and forgetting what came to nothing.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    decide::When,
    look::{Looked, Which, look, zone},
    model::{PriceRuleState, RunSummary},
    record::{Fresh, record},
    service, store,
};
use crate::{
    channels::Directory,
    db::Lane,
    error::Result,
    http::State,
    jobs::{self, Job, NewJob, Runner, Verdict},
    kernel::{
        Id, Instant,
        ids::{JobId, PriceRuleId, VariantId},
    },
};

/// A rule looks at some of its goods.
const RUN: &str = "repricing.run";
/// So many rules are begun at once.
const RULES: usize = 100;
/// What came to nothing is kept for so many days.
const KEPT_DAYS: i64 = 90;
/// Counters of days are kept for so many days.
const COUNTED_DAYS: i64 = 30;
const BITE: i64 = 1_000;

/// What a run knows: where it is, and what it has come to.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Run {
    rule: PriceRuleId,
    #[serde(default)]
    after: Option<VariantId>,
    #[serde(default)]
    summary: RunSummary,
}

/// Runs of a rule are one after the other.
pub(super) fn key(rule: PriceRuleId) -> String {
    format!("price-rule:{rule}")
}

/// The beginning of a run.
pub(super) fn running(job: JobId, now: Instant, rule: PriceRuleId) -> NewJob {
    NewJob { id: job, ..NewJob::now(RUN, now, json!({ "rule": rule })) }.in_order(key(rule))
}

impl Run {
    fn job(&self, id: JobId, now: Instant) -> Result<NewJob> {
        let job = NewJob { id, ..NewJob::now(RUN, now, serde_json::to_value(self)?) };
        Ok(job.in_order(key(self.rule)))
    }

    /// The run behind the articles that were looked at.
    fn go_on(&self, part: RunSummary, after: Option<VariantId>) -> Self {
        let mut summary = self.summary.clone();
        summary.looked_at += part.looked_at;
        summary.proposed += part.proposed;
        summary.kept += part.kept;
        summary.applied += part.applied;
        for (reason, count) in part.passed_over {
            *summary.passed_over.entry(reason).or_default() += count;
        }
        Self { rule: self.rule, after, summary }
    }
}

/// Looks at the next articles of a rule, writes down what that comes to, and leaves the rest to the next job. What is read is read
/// beside other writes; what is written is looked at again under locks.
async fn run(state: State, job: Job) -> Result<Verdict> {
    let run: Run = serde_json::from_value(job.payload.clone())?;
    let directory = state.db.snapshot::<Directory>().await?;
    let (now, id, after) = (state.clock.now(), run.rule, run.after);
    let read = move |tx: &mut crate::db::Tx| -> Result<Option<(Looked, When)>> {
        let rule = store::find(tx, id)?.filter(|rule| rule.state == PriceRuleState::Active);
        let Some(rule) = rule else { return Ok(None) };
        let when = When { now, zone: zone(&directory, &rule) };
        Ok(Some((look(tx, rule, Which::After(after), when)?, when)))
    };
    let Some((looked, when)) = state.db.read(read).await? else { return Ok(Verdict::Done) };
    let (fresh, next) = (Fresh::of(looked.articles.len()), Id::new());
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        let Some(part) = record(tx, &looked, when, &fresh)? else {
            // The rule was changed: these articles are looked at anew.
            return jobs::enqueue(tx, now, vec![run.job(next, now)?]);
        };
        let run = run.go_on(part, looked.last);
        match looked.last {
            Some(_) => jobs::enqueue(tx, now, vec![run.job(next, now)?]),
            None => store::note_run(tx, id, &RunSummary { at: Some(now), ..run.summary }),
        }
    });
    written.await?;
    Ok(Verdict::Settled)
}

/// Begins the runs of the rules whose time has come.
async fn begin(state: &State, now: Instant) -> Result<()> {
    loop {
        let ids: Vec<JobId> = std::iter::repeat_with(Id::new).take(RULES).collect();
        let due = state.db.read(move |tx| store::due(tx, now, 1)).await?;
        if due.is_empty() {
            return Ok(());
        }
        if state.db.write_in(Lane::Bulk, move |tx| service::begin_due(tx, now, &ids)).await? < RULES {
            return Ok(());
        }
    }
}

/// Forgets what came to nothing, and counters of days that are over.
async fn tidy(state: &State, now: Instant) -> Result<()> {
    let before = now.plus_seconds(-86_400 * KEPT_DAYS);
    while state.db.write_in(Lane::Bulk, move |tx| store::purge_proposals(tx, before, BITE)).await? == 1_000 {}
    let day = now.plus_seconds(-86_400 * COUNTED_DAYS).utc().date_naive().to_string();
    loop {
        let day = day.clone();
        if state.db.write_in(Lane::Bulk, move |tx| store::purge_days(tx, &day, BITE)).await? < 1_000 {
            return Ok(());
        }
    }
}

/// Registers what goes on behind requests.
pub fn work(state: &State, runner: &mut Runner) {
    let running = state.clone();
    runner.handle(RUN, move |job| run(running.clone(), job));
    let beginning = state.clone();
    runner.every("repricing.begin", 30, move |now| {
        let state = beginning.clone();
        async move { begin(&state, now).await }
    });
    let tidying = state.clone();
    runner.every("repricing.tidy", 3_600, move |now| {
        let state = tidying.clone();
        async move { tidy(&state, now).await }
    });
}
