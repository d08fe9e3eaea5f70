//! Opens connections to either database, with the session that each needs.

use std::{path::PathBuf, sync::Arc, time::Duration};

use diesel::{Connection, PgConnection, SqliteConnection, connection::SimpleConnection, sql_types::Text};

use super::{Variant, sqlite_path};
use crate::{
    db::{
        conn::Conn,
        sql,
        stats::{Counter, Stats},
    },
    error::{Error, Result},
};

/// The file of a SQLite database; `None` for PostgreSQL.
#[must_use]
pub(in crate::db) fn file(url: &str) -> Option<PathBuf> {
    match Variant::of(url) {
        Variant::Postgres => None,
        Variant::Sqlite => Some(PathBuf::from(sqlite_path(url))),
    }
}

/// SQLite makes a file that is missing: whoever only looks would look at an empty shop and find that all is well.
pub(in crate::db) fn refuse_missing(url: &str) -> Result<()> {
    match file(url) {
        Some(path) if !path.is_file() => Err(Error::internal(format!(
            "there is no database at {}",
            std::path::absolute(&path).unwrap_or(path).display()
        ))),
        _ => Ok(()),
    }
}

/// What a role or a database may have set otherwise. A transaction that writes takes a new snapshot with each statement: what
/// waits for a lock has to see what the one before has done.
pub(in crate::db) const POSTGRES_SESSION: &str = "SET TimeZone = 'UTC'; SET default_transaction_isolation = 'read committed'; \
     SET default_transaction_read_only = off; SET statement_timeout = '15s'; SET lock_timeout = '5s'; \
     SET idle_in_transaction_session_timeout = '30s'";
const SQLITE_SESSION: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000; PRAGMA wal_autocheckpoint = 0; \
     PRAGMA journal_size_limit = 67108864";

/// Opens a connection, prepares its session and refuses settings under which an acknowledged write could be lost.
pub(in crate::db) fn open(url: &str, stats: &Arc<Stats>) -> Result<Conn> {
    let cannot =
        |error: diesel::ConnectionError| Error::Unreachable(format!("the database can not be opened: {error}"));
    #[allow(clippy::disallowed_methods, reason = "each variant is named here, which is what the ban is about")]
    let mut conn = match Variant::of(url) {
        Variant::Postgres => {
            refuse_plain_text_network(url)?;
            Conn::Postgres(PgConnection::establish(url).map_err(cannot)?)
        }
        Variant::Sqlite => Conn::Sqlite(SqliteConnection::establish(sqlite_path(url)).map_err(cannot)?),
    };
    match &mut conn {
        Conn::Postgres(pg) => pg.batch_execute(POSTGRES_SESSION)?,
        Conn::Sqlite(lite) => begin_session(lite)?,
    }
    speak_english(&mut conn)?;
    refuse_lossy(&mut conn)?;
    Connection::set_instrumentation(&mut conn, Counter::new(stats.clone()));
    Ok(conn)
}

/// How often a new file is asked again for its log, and how long after each time.
const ASK_AGAIN: (u32, Duration) = (50, Duration::from_millis(100));

/// Prepares a session on a SQLite file. Of two programs that open a new file at once and turn its log on, one may be refused at once,
/// whatever its patience: each would wait for the other.
fn begin_session(lite: &mut SqliteConnection) -> Result<()> {
    let (times, pause) = ASK_AGAIN;
    for _ in 0..times {
        match lite.batch_execute(SQLITE_SESSION) {
            Err(error) if error.to_string().contains("database is locked") => {
                #[allow(clippy::disallowed_methods, reason = "nobody tells when another program is through")]
                std::thread::sleep(pause);
            }
            done => return Ok(done?),
        }
    }
    Ok(lite.batch_execute(SQLITE_SESSION)?)
}

/// Has a PostgreSQL server tell its errors in English: a deadlock, a timeout and a full disk are known by their messages, for
/// Diesel keeps no error codes. A server that speaks another language, to a role that may not change that, is refused.
fn speak_english(conn: &mut Conn) -> Result<()> {
    if !matches!(conn, Conn::Postgres(_)) {
        return Ok(());
    }
    let language = sql("SELECT current_setting('lc_messages')").first::<Text, String>(conn)?.unwrap_or_default();
    if is_english(&language) {
        return Ok(());
    }
    match conn.batch_execute("SET lc_messages = 'C'") {
        Ok(()) => Ok(()),
        Err(error @ diesel::result::Error::DatabaseError(diesel::result::DatabaseErrorKind::ClosedConnection, _)) => {
            Err(error.into())
        }
        // Its environment's language, which no setting tells: an error does.
        Err(_) if language.is_empty() && says_so_in_english(conn) => Ok(()),
        Err(error) => {
            let role = sql("SELECT quote_ident(current_user)").first::<Text, String>(conn)?.unwrap_or_default();
            Err(Error::internal(format!(
                "the server tells its errors in another language (lc_messages is `{language}`), and this role may not \
                 change that ({error}): have a superuser run ALTER ROLE {role} SET lc_messages = 'C'"
            )))
        }
    }
}

/// Whether an error that is provoked is told in English.
fn says_so_in_english(conn: &mut Conn) -> bool {
    conn.batch_execute("SELECT 1 / 0").is_err_and(|error| error.to_string().contains("division by zero"))
}

/// Whether messages of this locale are the untranslated ones.
fn is_english(lc_messages: &str) -> bool {
    let language = lc_messages.split(['_', '-', '.', '@']).next().unwrap_or_default();
    ["C", "POSIX", "en", "English"].iter().any(|known| language.eq_ignore_ascii_case(known))
}

/// The bundled libpq has no TLS: a password must not cross a network in plain text unasked.
fn refuse_plain_text_network(url: &str) -> Result<()> {
    if cfg!(feature = "system-libpq") || stays_here(url, |name| std::env::var(name).ok())? {
        return Ok(());
    }
    Err(Error::internal(
        "this build has no TLS to PostgreSQL: use the container image or the feature `system-libpq`, or accept plain \
         text with ?sslmode=disable in DATABASE_URL",
    ))
}

/// Whether a connection stays on this machine, or plain text is accepted. Looks where libpq looks: in the URL, its
/// parameters, and what the environment fills in for them.
fn stays_here(url: &str, environment: impl Fn(&str) -> Option<String>) -> Result<bool> {
    let parsed = url::Url::parse(url).map_err(|error| Error::internal(format!("DATABASE_URL: {error}")))?;
    let query: Vec<_> = parsed.query_pairs().collect();
    let given = |name: &str| query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.to_string());
    if given("sslmode").as_deref() == Some("disable") {
        return Ok(true);
    }
    // A service is a file with settings of its own, which may name any host.
    let service = given("service").or_else(|| environment("PGSERVICE"));
    let host = given("host").or_else(|| parsed.host_str().map(str::to_owned)).filter(|host| !host.is_empty());
    let hosts = [host.or_else(|| environment("PGHOST")), given("hostaddr").or_else(|| environment("PGHOSTADDR"))];
    let mut hosts = hosts.iter().flatten().flat_map(|list| list.split(','));
    Ok(service.is_none() && hosts.all(is_here))
}

fn is_here(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let socket = host.is_empty() || host.starts_with(['/', '@']) || host.to_ascii_uppercase().starts_with("%2F");
    socket || host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Reads back what makes a COMMIT durable.
fn refuse_lossy(conn: &mut Conn) -> Result<()> {
    let (query, wanted): (&'static str, &[&str]) = match conn {
        Conn::Postgres(_) => (
            "SELECT current_setting('fsync') || ' ' || current_setting('synchronous_commit')",
            &["on on", "on remote_apply", "on remote_write"],
        ),
        Conn::Sqlite(_) => ("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", &["2", "3"]),
    };
    let found: Option<String> = sql(query).first::<Text, _>(conn)?;
    match found {
        Some(found) if wanted.contains(&found.as_str()) => Ok(()),
        found => Err(Error::internal(format!(
            "the database would lose acknowledged writes on power loss (fsync/synchronous is {found:?})"
        ))),
    }
}

/// Lets a SQLite file grow to so many pages on this connection.
pub(in crate::db) fn limit_pages(conn: &mut Conn, pages: u32) -> Result<()> {
    if let Conn::Sqlite(lite) = conn {
        lite.batch_execute(&format!("PRAGMA max_page_count = {pages}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{is_english, stays_here};

    #[test]
    fn untranslated_messages_are_known_by_their_locale() {
        for english in
            ["C", "POSIX", "C.UTF-8", "C.utf8", "en", "en_US.UTF-8", "en_GB", "en-US", "English_United States.1252"]
        {
            assert!(is_english(english), "{english}");
        }
        for other in ["", "de_DE.UTF-8", "de", "German_Germany.1252", "eo", "fr_FR@euro", "ca_ES", "cs_CZ"] {
            assert!(!is_english(other), "{other}");
        }
    }

    #[test]
    fn plain_text_stays_on_this_machine_wherever_the_host_is_named() {
        let here = |url: &str, variables: &[(&str, &str)]| {
            let variable =
                |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            stays_here(url, variable).unwrap()
        };
        for url in [
            "postgres://me@localhost/kontor",
            "postgres://me@127.0.0.1:5433/kontor",
            "postgres://me@[::1]/kontor",
            "postgres:///kontor",
            "postgres:///kontor?host=/run/postgresql",
            "postgres://%2Frun%2Fpostgresql/kontor",
            "postgres://me@db.example.com/kontor?sslmode=disable",
        ] {
            assert!(here(url, &[]), "{url}");
        }
        for url in [
            "postgres://me@db.example.com/kontor",
            "postgres://me@localhost/kontor?hostaddr=192.0.2.1",
            "postgres:///kontor?host=/run/postgresql,db.example.com",
            "postgres://me@localhost/kontor?host=db.example.com",
            "postgres:///kontor?service=shop",
            "postgres://me@db.example.com/kontor?sslmode=disable&sslmode=prefer",
        ] {
            assert!(!here(url, &[]), "{url}");
        }
        assert!(!here("postgres:///kontor", &[("PGHOST", "db.example.com")]));
        assert!(!here("postgres://localhost/kontor", &[("PGHOSTADDR", "192.0.2.1")]));
        assert!(!here("postgres://localhost/kontor", &[("PGSERVICE", "shop")]));
        assert!(here("postgres://localhost/kontor", &[("PGHOST", "db.example.com")]));
    }
}
