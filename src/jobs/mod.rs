//! The one durable queue: everything that happens outside a request or after it.
//!
//! A job is written in the transaction of what it follows from. A worker takes it under a lease; a lease can not stop a
//! worker that stalls, so a job's result is accepted only for its current attempt: [`Job::finish`] is part of the
//! transaction that writes the result, and refuses a late one. Jobs with the same ordering key run one after another in
//! the order in which they were written. A job that keeps failing ends as a dead letter that operators see and replay.
//! Jobs that wait for others' systems run in lanes, which share the workers fairly: a slow system holds up itself only.
//!
//! It knows the database only; what a job does is registered by the slices.

pub mod api;
mod lanes;
mod list;
mod places;
mod queue;
mod runner;

pub use api::{Discards, OnDecision, Replays};
pub use lanes::{Steering, close_lane, forget_lane, steer};
pub use list::{QueuedJob, Standing, of_keys, standing};
pub use queue::{
    Job, NewJob, cancel, cancel_keys, cancel_many, counts, dead, delay, discard, enqueue, forget_dead, hasten_keys,
    is_queued, lag_seconds, queued_among, replay, replay_many, retry_delay, try_of_round, waiting_dead, waiting_stuck,
};
pub use runner::{OnBurial, Runner, Verdict};
