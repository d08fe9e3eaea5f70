//! Runs over what a connector's far end has: a **resync** distrusts what was marked delivered, looks for the orders of a stretch of the
//! log and sends again what is missing; a **reconciliation** compares both sides and changes nothing.
//!
//! It owns `connector_runs` and `connector_run_items`. A run is a job that works in steps, each of which is one transaction with how far
//! it is: it finds the orders of the stretch, looks for them by the batch, and has those sent that are to be sent. Each of these is a job
//! under the ordering key that the order's dispatches have, too: nothing newer of the order goes out before it is through, and nothing
//! that was written before it comes after. It never makes dispatches, and leaves no dead letters: what could not be sent is told in the
//! run.

pub(super) mod api;
mod model;
mod nightly;
mod resend;
mod service;
mod store;
mod work;

pub use model::{ItemState, Mend, ResyncMode, Run, RunItem, RunKind, RunState, Told};
pub use nightly::{Reconciling, begin_due};
pub(super) use service::is_resync_running;
pub use service::waiting;
pub(super) use work::register;
