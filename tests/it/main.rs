//! Kontor through its HTTP API, on a real server, on both databases. One file per slice.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]

mod channels;
mod support;
