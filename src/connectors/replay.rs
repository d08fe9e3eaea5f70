//! Sending a stretch of the log again: a job that works in bites, each of which ends it and writes the next.

use serde::{Deserialize, Serialize};

use super::{dispatcher, store};
use crate::{
    db::Lane,
    error::Result,
    events,
    http::State,
    jobs::{self, Job, NewJob, Verdict},
    kernel::{Id, Instant, ids::ConnectorId, ids::JobId},
};

/// The kind of the jobs.
pub(super) const KIND: &str = "connector.replay";

const BITE: i64 = 500;

/// What is to be sent again.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Stretch {
    pub connector: ConnectorId,
    /// The first position.
    pub from: i64,
    /// The last position.
    pub to: i64,
}

/// Stretches of one connector are sent again one after another, and nothing new is sent meanwhile.
pub(super) fn key(connector: ConnectorId) -> String {
    dispatcher::ordering_key(connector, "")
}

/// The job for a stretch.
pub(super) fn job(id: JobId, now: Instant, stretch: &Stretch) -> Result<NewJob> {
    let job = NewJob::now(KIND, now, serde_json::to_value(stretch)?);
    Ok(NewJob { id, ..job }.in_order(key(stretch.connector)))
}

/// One bite.
pub(super) async fn bite(state: &State, job: Job) -> Result<Verdict> {
    let stretch: Stretch = serde_json::from_value(job.payload.clone())?;
    let (id, after) = (stretch.connector, stretch.from - 1);
    let read = move |tx: &mut crate::db::Tx| Ok((store::find(tx, id)?, events::read_after(tx, after, &[], BITE)?));
    let (connector, (mut found, seen)) = state.db.read(read).await?;
    let Some(connector) = connector else { return Ok(Verdict::Done) };
    found.retain(|event| event.position <= stretch.to);
    let wanted = dispatcher::wanted(state, &connector, found).await?;
    let (now, next) = (state.clock.now(), Id::new());
    let written = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        // What the dispatcher has still to write must not be written before what comes before it.
        let Some(given) = store::position_locked(tx, id)? else { return Ok(()) };
        let to = stretch.to.min(given);
        let until = seen.min(to);
        let rest = (seen > after && seen < to).then_some(Stretch { from: seen + 1, to, ..stretch });
        let wanted = wanted.get(..wanted.partition_point(|new| new.position <= until)).unwrap_or_default();
        // Dead letters go on in their old place, before the later events of their stream.
        let dead = store::dead_jobs(tx, id, stretch.from, until)?;
        let queued = jobs::replay_many(tx, now, &dead)?;
        store::revive(tx, now, &queued)?;
        dispatcher::write(tx, now, &connector, wanted)?;
        match &rest {
            Some(rest) => jobs::enqueue(tx, now, vec![self::job(next, now, rest)?]),
            None => Ok(()),
        }
    });
    written.await?;
    Ok(Verdict::Settled)
}
