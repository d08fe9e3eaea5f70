//! Migrations: embedded in the program, one set per database with the same names.

use diesel::{
    migration::{Migration, MigrationSource, MigrationVersion},
    pg::Pg,
    sqlite::Sqlite,
};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use super::{conn::Conn, dialect::migrations, sql};
use crate::error::{Error, Result};

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Brings the database to this program's version. Returns how many migrations ran.
///
/// # Errors
/// When a migration fails, or when the database is newer than this program.
pub(super) fn run(conn: &mut Conn) -> Result<usize> {
    migrations::lock(conn)?;
    refuse_newer(conn)?;
    let ran = migrations::run(conn, POSTGRES, SQLITE)?;
    migrations::mend_indexes(conn)?;
    migrations::unlock(conn)?;
    Ok(ran)
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
    migrations::revert(conn, POSTGRES, SQLITE)
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
    if !migrations::has_table(conn, "__diesel_schema_migrations")? {
        return Ok(Vec::new());
    }
    sql("SELECT CAST(version AS TEXT) FROM __diesel_schema_migrations").load::<diesel::sql_types::Text, String>(conn)
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
