//! Kontor.

pub mod api;
pub mod channels;
pub mod cli;
pub mod config;
pub mod db;
pub mod error;
pub mod events;
pub mod http;
pub mod jobs;
pub mod kernel;
pub mod pricing;
pub mod process;
pub mod replay;
