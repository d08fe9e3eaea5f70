//! What a process, a step and a decision are. Pure.

use serde::Serialize;

use crate::kernel::{Action, Instant, ids::OrderId};

crate::words! {
    /// A step of an order's process. More words may come.
    pub enum StepKind {
        /// The order was placed.
        Place = "place",
        /// A location was found that has the goods.
        Source = "source",
        /// Nothing holds it.
        Hold = "hold",
        /// The location takes it on.
        Accept = "accept",
        /// The location says whether it can still be cancelled.
        AnswerCancel = "answer_cancel",
        /// It is taken from the shelf.
        Pick = "pick",
        /// It is packed.
        Pack = "pack",
        /// Its label is bought.
        Label = "label",
        /// It leaves.
        Ship = "ship",
        /// It arrives.
        Deliver = "deliver",
        /// By when it arrives is looked at again.
        Promise = "promise",
        /// Money is captured.
        Capture = "capture",
        /// A promise is let go.
        Void = "void",
        /// Money is given back.
        Refund = "refund",
        /// Another system is told.
        Notify = "notify",
    }
}

crate::words! {
    /// Where a step stands. More words may come.
    pub enum StepState {
        /// It is done.
        Done = "done",
        /// Somebody is at it.
        Running = "running",
        /// It waits for its turn, for somebody, or for another try.
        Waiting = "waiting",
        /// It does not go on by itself, or should have been done by now.
        Stuck = "stuck",
        /// It need not be done any more.
        Cancelled = "cancelled",
    }
}

crate::words! {
    /// Where a process stands.
    pub enum ProcessState {
        /// Something is left to do.
        Running = "running",
        /// A step is stuck.
        Stuck = "stuck",
        /// Nothing is left to do.
        Done = "done",
    }
}

crate::words! {
    /// What somebody decides about a step.
    pub enum Verb {
        /// It is tried again, now.
        Retry = "retry",
        /// It is done without.
        Skip = "skip",
        /// What was done is taken back.
        Compensate = "compensate",
    }
}

/// A step of an order's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ProcessStep)]
pub struct Step {
    /// Which.
    pub step: StepKind,
    /// What it is a step of: the id of a fulfilment order, a shipment or a job; absent where it is the order's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Where it stands.
    pub state: StepState,
    /// What it waits for, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Since when it stands there.
    pub since: Instant,
    /// When it should be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Instant>,
    /// How often it was tried, where it is tried by a job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i64>,
    /// When it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try: Option<Instant>,
    /// What went wrong last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What can be decided about it.
    pub actions: Vec<Action>,
}

/// What somebody decided about a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ProcessDecision)]
pub struct Decision {
    /// Which step.
    pub step: StepKind,
    /// What it is a step of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What was decided.
    pub decision: Verb,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who decided it.
    pub by: String,
    /// When.
    pub at: Instant,
}

/// How far an order has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Process {
    /// The order.
    pub order_id: OrderId,
    /// Its number.
    pub number: String,
    /// Where it stands.
    pub state: ProcessState,
    /// Its steps, at the locations that the caller may see, in the order in which they are done.
    pub steps: Vec<Step>,
    /// What was decided about them, the oldest first.
    pub decisions: Vec<Decision>,
}

/// A step that is stuck, and whose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct StuckStep {
    /// The order.
    pub order_id: OrderId,
    /// Its number.
    pub number: String,
    /// The step.
    #[serde(flatten)]
    pub step: Step,
    /// The whole process: a path of the API.
    pub link: String,
}
