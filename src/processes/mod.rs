//! Processes: how far an order has come, step by step, what each step waits for, and what somebody decided about one.
//!
//! It owns the table `process_decisions`: that a step was tried again, done without, or taken back, and why. The steps themselves
//! are what the slices and their jobs have written down anyway; nothing is kept twice. It moves nothing itself: it asks the slice
//! whose step it is.

pub mod api;
mod model;
mod service;
mod steps;
mod store;

pub use model::{Decision, Process, ProcessState, Step, StepKind, StepState, StuckStep, Verb};
