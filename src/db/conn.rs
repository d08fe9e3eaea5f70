//! The one connection type: PostgreSQL or SQLite behind Diesel's multi-connection.

// The derive macro generates public items without documentation, and an `establish` of its own, which nobody calls.
#![allow(missing_docs, clippy::disallowed_methods)]

use diesel::{PgConnection, SqliteConnection};

/// A connection to either database. Slices see it as [`super::Tx`], inside a transaction.
#[derive(diesel::MultiConnection)]
pub enum Conn {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}
