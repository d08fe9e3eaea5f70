//! Migrations: embedded in the program, one set per database with the same names.

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::pg::Pg;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{conn::Conn, dialect, sql};
use crate::error::{Error, Result};

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Brings the database to this program's version. Returns how many migrations ran.
///
/// # Errors
/// When a migration fails, or when the database is newer than this program.
pub(super) fn run(conn: &mut Conn) -> Result<usize> {
    dialect::lock_migrations(conn)?;
    refuse_newer(conn)?;
    let failed =
        |error: Box<dyn std::error::Error + Send + Sync>| Error::internal(format!("migration failed: {error}"));
    let ran = match conn {
        Conn::Postgres(pg) => pg.run_pending_migrations(POSTGRES).map_err(failed)?.len(),
        // The file's write lock from the first statement on: of two programs started at once, one waits.
        Conn::Sqlite(lite) => lite
            .immediate_transaction(|lite| Ok::<_, Error>(lite.run_pending_migrations(SQLITE).map_err(failed)?.len()))?,
    };
    dialect::unlock_migrations(conn)?;
    Ok(ran)
}

/// Takes every migration back, the newest first: the database is empty then.
///
/// # Errors
/// When one fails.
pub(super) fn revert_all(conn: &mut Conn) -> Result<usize> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| Error::internal(format!("reverting: {error}"));
    Ok(match conn {
        Conn::Postgres(pg) => pg.revert_all_migrations(POSTGRES).map_err(failed)?.len(),
        Conn::Sqlite(lite) => lite.revert_all_migrations(SQLITE).map_err(failed)?.len(),
    })
}

/// How many migrations of this program the database has not seen yet.
///
/// # Errors
/// When the database is newer than this program.
pub(super) fn pending(conn: &mut Conn) -> Result<usize> {
    refuse_newer(conn)?;
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| Error::internal(format!("migrations: {error}"));
    Ok(match conn {
        Conn::Postgres(pg) => pg.pending_migrations(POSTGRES).map_err(failed)?.len(),
        Conn::Sqlite(lite) => lite.pending_migrations(SQLITE).map_err(failed)?.len(),
    })
}

/// A program older than its database would misread it.
fn refuse_newer(conn: &mut Conn) -> Result<()> {
    conn.batch_execute(
        "CREATE TABLE IF NOT EXISTS __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on \
         TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    )?;
    let applied = sql("SELECT CAST(version AS TEXT) FROM __diesel_schema_migrations")
        .load::<diesel::sql_types::Text, String>(conn)?;
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
