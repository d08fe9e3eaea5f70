//! What was copied from what is erased: what receivers of events have answered, and answers that are kept to be given again.
//! A job looks through them: nothing tells where they are, and there may be many.

use std::{
    collections::HashSet,
    time::{Duration, Instant as Moment},
};

use serde::{Deserialize, Serialize};

use crate::{
    connectors,
    db::{Lane, Tx},
    error::Result,
    http::{State, idempotency, seal},
    jobs::{self, Job, NewJob, Runner, Verdict},
    kernel::{
        Id, Instant,
        ids::{CartId, IdempotencyKeyId, JobId},
    },
};

/// The kind of the job.
const KIND: &str = "erasure.sweep";
/// How many answers are looked at in one read.
const BITE: i64 = 500;
/// For so long a job looks; then another goes on where it was.
const TURN: Duration = Duration::from_secs(5);

/// What was erased: the streams of events, and the words by which answers tell of it. These are kept as hashes: the job
/// itself is not to tell what it removes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Trail {
    streams: Vec<String>,
    words: HashSet<String>,
    /// The answer to the request itself, which tells of nothing but ids and numbers.
    but: Option<IdempotencyKeyId>,
    after: Option<IdempotencyKeyId>,
}

impl Trail {
    /// What begins with a word that is no stream: an e-mail address.
    pub(super) fn of(email: Option<&str>) -> Self {
        Self { words: email.map(hashed).into_iter().collect(), ..Self::default() }
    }

    /// With an answer that stays.
    pub(super) fn sparing(mut self, answer: Option<IdempotencyKeyId>) -> Self {
        self.but = answer;
        self
    }

    /// With a stream that was erased.
    pub(super) fn add(&mut self, stream: String) {
        self.words.insert(hashed(&stream));
        self.streams.push(stream);
    }

    /// With the streams of carts that were erased.
    pub(super) fn add_carts(&mut self, carts: &[CartId]) {
        carts.iter().for_each(|cart| self.add(cart.to_string()));
    }

    /// Has a job sweep after this transaction.
    ///
    /// # Errors
    /// What the database says.
    pub(super) fn sweep_later(&self, tx: &mut Tx, now: Instant, job: JobId) -> Result<()> {
        jobs::enqueue(tx, now, vec![NewJob { id: job, ..NewJob::now(KIND, now, serde_json::to_value(self)?) }])
    }

    /// Whether a text of an answer is one of the words.
    fn tells(&self, text: &str) -> bool {
        let may = text.contains('@') || ["order_", "cart_", "cust_"].iter().any(|kind| text.starts_with(kind));
        may && self.words.contains(&hashed(text))
    }
}

/// Half of a SHA-256 is enough to tell words apart. Addresses are the same in any case.
fn hashed(word: &str) -> String {
    let mut hash = seal::sha256_hex(word.to_lowercase().as_bytes());
    hash.truncate(32);
    hash
}

/// Registers what goes on behind requests.
pub fn work(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.handle(KIND, move |job| sweep(state.clone(), job));
}

async fn sweep(state: State, job: Job) -> Result<Verdict> {
    let mut trail: Trail = match serde_json::from_value(job.payload.clone()) {
        Ok(trail) => trail,
        Err(error) => return Ok(Verdict::Dead { error: error.to_string() }),
    };
    let begun = Moment::now();
    if trail.after.is_none() {
        let streams = trail.streams.clone();
        state.db.write_in(Lane::Bulk, move |tx| connectors::forget_answers_of(tx, &streams)).await?;
    }
    loop {
        let (known, secret) = (trail.clone(), state.secret.clone());
        let look = move |tx: &mut Tx| idempotency::telling_of(tx, &secret, known.after, BITE, |text| known.tells(text));
        let mut found = state.db.read(look).await?;
        found.telling.retain(|answer| Some(*answer) != trail.but);
        let Some(last) = found.last else { return Ok(Verdict::Done) };
        trail.after = Some(last);
        if !found.telling.is_empty() {
            state.db.write_in(Lane::Bulk, move |tx| idempotency::forget(tx, &found.telling)).await?;
        }
        if begun.elapsed() > TURN {
            let (now, id) = (state.clock.now(), Id::new());
            let go_on = move |tx: &mut Tx| {
                job.finish(tx)?;
                trail.sweep_later(tx, now, id)
            };
            state.db.write_in(Lane::Bulk, go_on).await?;
            return Ok(Verdict::Settled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_knows_what_tells_of_it_and_does_not_tell_itself() {
        let mut trail = Trail::of(Some("Grace@example.org"));
        trail.add("order_01h455vb4pex5vsknk084sn02q".to_owned());
        for tells in ["grace@EXAMPLE.org", "order_01h455vb4pex5vsknk084sn02q"] {
            assert!(trail.tells(tells), "{tells}");
        }
        for other in ["ada@example.org", "order_01h455vb4pex5vsknk084sn02r", "grace", ""] {
            assert!(!trail.tells(other), "{other}");
        }
        assert!(!serde_json::to_string(&trail).unwrap().to_lowercase().contains("grace"));
    }
}
