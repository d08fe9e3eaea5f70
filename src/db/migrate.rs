//! Migrations: embedded in the program, one set per database with the same names.

use diesel::{
    connection::SimpleConnection,
    migration::{Migration, MigrationSource, MigrationVersion},
    pg::Pg,
    sqlite::Sqlite,
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{
    conn::Conn,
    dialect::{self, Variant},
    opening, sql,
};
use crate::error::{Error, Result};

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Brings the database to this program's version. Returns how many migrations ran.
///
/// # Errors
/// When a migration fails, or when the database is newer than this program.
pub(super) fn run(conn: &mut Conn) -> Result<usize> {
    lock(conn)?;
    refuse_newer(conn)?;
    let ran = match conn {
        Conn::Postgres(pg) => pg.run_pending_migrations(POSTGRES).map_err(failed)?.len(),
        // The file's write lock from the first statement on: of two programs started at once, one waits.
        Conn::Sqlite(lite) => lite
            .immediate_transaction(|lite| Ok::<_, Error>(lite.run_pending_migrations(SQLITE).map_err(failed)?.len()))?,
    };
    unlock(conn)?;
    Ok(ran)
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::internal(format!("a migration failed: {error}"))
}

/// Takes the lock under which migrations run, until the connection ends or [`unlock`].
fn lock(conn: &mut Conn) -> Result<()> {
    if let Conn::Postgres(pg) = conn {
        pg.batch_execute("SET lock_timeout = '0'; SET statement_timeout = '0'; SELECT pg_advisory_lock(5284710)")?;
    }
    Ok(())
}

/// Gives the lock back.
fn unlock(conn: &mut Conn) -> Result<()> {
    if let Conn::Postgres(pg) = conn {
        pg.batch_execute("SELECT pg_advisory_unlock(5284710)")?;
        pg.batch_execute(opening::POSTGRES_SESSION)?;
    }
    Ok(())
}

/// Makes the tables in an empty database; leaves one of this program's version as it is.
///
/// # Errors
/// When it holds another version, or as [`run`].
pub(super) fn run_on_empty(conn: &mut Conn) -> Result<usize> {
    if applied(conn)?.is_empty() { run(conn) } else { expect_current(conn) }
}

/// Refuses a database that is not of this program's version. Changes nothing; the number is that of migrations run, 0.
///
/// # Errors
/// When it is empty, older or newer.
pub(super) fn expect_current(conn: &mut Conn) -> Result<usize> {
    let applied = applied(conn)?;
    if applied.is_empty() {
        return Err(Error::internal("there is no shop in this database: look at --database-url and DATABASE_URL"));
    }
    newer(&applied)?;
    match pending(conn)? {
        0 => Ok(0),
        count => Err(Error::internal(format!(
            "the database is older than this program ({count} migrations are missing): use the kontor that serves it, or \
             bring it up to date with `kontor migrate` first"
        ))),
    }
}

/// Takes every migration back, the newest first: the database is empty then.
///
/// # Errors
/// When one fails.
pub(super) fn revert_all(conn: &mut Conn) -> Result<usize> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::internal(format!("a migration could not be taken back: {error}"))
    };
    Ok(match conn {
        Conn::Postgres(pg) => pg.revert_all_migrations(POSTGRES).map_err(failed)?.len(),
        Conn::Sqlite(lite) => lite.revert_all_migrations(SQLITE).map_err(failed)?.len(),
    })
}

/// How many migrations of this program the database has not seen yet.
///
/// # Errors
/// What the database says.
pub(super) fn pending(conn: &mut Conn) -> Result<usize> {
    let applied = applied(conn)?;
    Ok(versions()?.iter().filter(|version| !applied.contains(version)).count())
}

/// The versions of the migrations that the database has seen. Only looks.
fn applied(conn: &mut Conn) -> Result<Vec<String>> {
    if !has_table(conn, "__diesel_schema_migrations")? {
        return Ok(Vec::new());
    }
    sql("SELECT CAST(version AS TEXT) FROM __diesel_schema_migrations").load::<diesel::sql_types::Text, String>(conn)
}

/// Whether there is a table of this name.
fn has_table(conn: &mut Conn, name: &str) -> Result<bool> {
    let query = match dialect::variant(conn) {
        Variant::Postgres => {
            "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename = ?"
        }
        Variant::Sqlite => "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?",
    };
    Ok(sql(query).bind(name).first::<diesel::sql_types::BigInt, i64>(conn)? > Some(0))
}

/// A program older than its database would misread it.
fn refuse_newer(conn: &mut Conn) -> Result<()> {
    newer(&applied(conn)?)
}

fn newer(applied: &[String]) -> Result<()> {
    let known = versions()?;
    match applied.iter().find(|version| !known.contains(version)) {
        None => Ok(()),
        Some(version) => Err(Error::internal(format!(
            "the database is newer than this program (it has migration {version}): use a newer kontor"
        ))),
    }
}

/// The versions this program knows, the same for both databases.
pub(super) fn versions() -> Result<Vec<String>> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| Error::internal(error);
    let postgres: Vec<Box<dyn Migration<Pg>>> = POSTGRES.migrations().map_err(failed)?;
    let sqlite: Vec<Box<dyn Migration<Sqlite>>> = SQLITE.migrations().map_err(failed)?;
    let name = |version: MigrationVersion<'_>| version.to_string();
    let known: Vec<String> = postgres.iter().map(|migration| name(migration.name().version())).collect();
    let other: Vec<String> = sqlite.iter().map(|migration| name(migration.name().version())).collect();
    if known == other { Ok(known) } else { Err(Error::internal("the two sets of migrations differ")) }
}
