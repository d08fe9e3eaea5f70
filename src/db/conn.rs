//! The one connection type: PostgreSQL or SQLite behind Diesel's multi-connection.

// The derive macro generates public items without documentation.
#![allow(missing_docs)]

use diesel::{PgConnection, SqliteConnection};

/// A connection to either database. Slices see it as [`super::Tx`], inside a transaction.
#[derive(diesel::MultiConnection)]
pub enum Conn {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}
