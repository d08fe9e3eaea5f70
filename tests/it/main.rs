//! Kontor through its HTTP API, on a real server, on both databases. One file per slice.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]

mod abandonment;
mod arrows;
mod authorisation;
mod backup;
mod catalog;
mod channels;
mod checkout;
mod connectors;
mod crash;
mod customers;
mod database;
mod events;
mod exports;
mod foreign;
mod fulfilment;
mod imports;
mod jobs;
mod limits;
mod payments;
mod pricing;
mod processes;
mod readme;
mod replay;
mod schema;
mod secrets;
mod stock;
mod stock_races;
mod support;
mod tokens;
mod worklists;
mod writeback;
