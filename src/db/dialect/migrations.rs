//! What migrations need of either database.

use std::time::Duration;

use diesel::{
    connection::SimpleConnection,
    sql_types::{Bool, Text},
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

use super::{Variant, opening::POSTGRES_SESSION, variant};
use crate::{
    db::{conn::Conn, sql},
    error::{Error, Result},
};

/// Runs the migrations that are missing: how many there were.
pub(in crate::db) fn run(conn: &mut Conn, postgres: EmbeddedMigrations, sqlite: EmbeddedMigrations) -> Result<usize> {
    let failed = |error| told("a migration failed", error);
    match conn {
        Conn::Postgres(pg) => Ok(pg.run_pending_migrations(postgres).map_err(failed)?.len()),
        // The file's write lock from the first statement on: of two programs started at once, one waits.
        Conn::Sqlite(lite) => {
            lite.immediate_transaction(|lite| Ok(lite.run_pending_migrations(sqlite).map_err(failed)?.len()))
        }
    }
}

/// Takes all migrations back: how many there were.
pub(in crate::db) fn revert(
    conn: &mut Conn,
    postgres: EmbeddedMigrations,
    sqlite: EmbeddedMigrations,
) -> Result<usize> {
    let failed = |error| told("a migration could not be taken back", error);
    Ok(match conn {
        Conn::Postgres(pg) => pg.revert_all_migrations(postgres).map_err(failed)?.len(),
        Conn::Sqlite(lite) => lite.revert_all_migrations(sqlite).map_err(failed)?.len(),
    })
}

fn told(what: &str, error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::internal(format!("{what}: {error}"))
}

/// Whether there is a table of this name.
pub(in crate::db) fn has_table(conn: &mut Conn, name: &str) -> Result<bool> {
    let query = match variant(conn) {
        Variant::Postgres => {
            "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename = ?"
        }
        Variant::Sqlite => "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?",
    };
    Ok(sql(query).bind(name).first::<diesel::sql_types::BigInt, i64>(conn)? > Some(0))
}

/// How often a program asks whether another one is through with its migrations.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Takes the lock under which migrations run, until the connection ends or [`unlock`]. Who waits asks again and again: a
/// statement that waits would hold a snapshot, and an index that is built concurrently waits for all snapshots to end.
pub(in crate::db) fn lock(conn: &mut Conn) -> Result<()> {
    let Conn::Postgres(pg) = conn else { return Ok(()) };
    pg.batch_execute("SET lock_timeout = '0'; SET statement_timeout = '0'")?;
    while sql("SELECT pg_try_advisory_lock(5284710)").first::<Bool, bool>(conn)? != Some(true) {
        #[allow(
            clippy::disallowed_methods,
            reason = "nobody tells when another program is through, and nothing else runs yet"
        )]
        std::thread::sleep(ASK_AGAIN);
    }
    Ok(())
}

/// Gives the lock of [`lock`] back.
pub(in crate::db) fn unlock(conn: &mut Conn) -> Result<()> {
    if let Conn::Postgres(pg) = conn {
        pg.batch_execute("SELECT pg_advisory_unlock(5284710)")?;
        pg.batch_execute(POSTGRES_SESSION)?;
    }
    Ok(())
}

/// Builds PostgreSQL's indexes anew whose concurrent building broke off: such an index is there by its name, costs every
/// write and leads no reader. What a rebuilding of an operator's has left beside its index is dropped. What is being built
/// just now is left alone. How many there were. Where one can not be mended, the log says how, and the rest goes on: it is
/// slow and not wrong.
///
/// # Errors
/// What the database says when it is asked which there are.
pub(in crate::db) fn mend_indexes(conn: &mut Conn) -> Result<usize> {
    if variant(conn) == Variant::Sqlite {
        return Ok(0);
    }
    let query = "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relname ~ '_cc(new|old)[0-9]*$' \
                 FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid \
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
                 WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname = current_schema() \
                 AND i.indrelid NOT IN (SELECT relid FROM pg_catalog.pg_stat_progress_create_index) ORDER BY c.relname";
    let broken = sql(query).load::<(Text, Bool), (String, bool)>(conn)?;
    // Somebody who has begun to build one this very moment is not waited for, and does not wait for us.
    conn.batch_execute("SET lock_timeout = '5s'")?;
    for (index, left_over) in &broken {
        let statement = match left_over {
            true => format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"),
            false => format!("REINDEX INDEX CONCURRENTLY {index}"),
        };
        match conn.batch_execute(&statement) {
            Ok(()) => tracing::warn!(index, "the building of an index had broken off; it has been built anew"),
            Err(error) => {
                tracing::error!(index, %error, "an index is not whole and could not be mended; run: {statement}");
            }
        }
    }
    Ok(broken.len())
}
