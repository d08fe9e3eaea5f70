//! Kontor through its HTTP API, on a real server, on both databases. One file per slice.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]

mod abandonment;
mod arrows;
mod authorisation;
mod backup;
mod carts;
mod catalog;
mod channels;
mod checkout;
mod checkout_ends;
mod commands;
mod connectors;
mod container;
mod crash;
mod crash_delivery;
mod customers;
mod database;
mod events;
mod exports;
mod exports_current;
mod exports_items;
mod fair;
mod foreign;
mod fulfilment;
mod imports;
mod jobs;
mod limits;
mod order_search;
mod orders;
mod payments;
mod pricing;
mod processes;
mod readme;
mod replay;
mod requests;
mod retention;
mod schema;
mod secrets;
mod snapshots;
mod stock;
mod stock_races;
mod support;
mod tokens;
mod worklists;
mod writeback;
