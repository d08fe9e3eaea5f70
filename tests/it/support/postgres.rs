//! A PostgreSQL to test on: the one that `KONTOR_TEST_POSTGRES_URL` names, or a throwaway cluster where `initdb` is found.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use kontor::db::{Db, Options};

/// A running server.
pub struct Cluster {
    /// Without a database's name: `postgres://user@127.0.0.1:port`.
    pub base: String,
}

static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);
const TEMPLATE: &str = "kontor_template";

/// The server, started at the first call. `None` when there is none, which the last line of the run then says.
pub fn cluster() -> Option<&'static Cluster> {
    CLUSTER
        .get_or_init(|| {
            let cluster = match std::env::var("KONTOR_TEST_POSTGRES_URL") {
                Ok(url) => Some(Cluster { base: url.trim_end_matches('/').to_owned() }),
                Err(_) => start(),
            };
            match &cluster {
                Some(cluster) => make_template(cluster),
                None => {
                    assert!(
                        std::env::var_os("KONTOR_REQUIRE_POSTGRES").is_none(),
                        "KONTOR_REQUIRE_POSTGRES is set and there is neither KONTOR_TEST_POSTGRES_URL nor initdb"
                    );
                    say_at_the_end();
                }
            }
            cluster
        })
        .as_ref()
}

/// Makes an empty, migrated database and gives its name.
pub fn fresh_database(cluster: &Cluster) -> String {
    let name = format!("kontor_test_{}_{}", std::process::id(), DATABASES.fetch_add(1, Ordering::SeqCst));
    psql(cluster, &format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}"));
    name
}

fn make_template(cluster: &Cluster) {
    psql(cluster, &format!("DROP DATABASE IF EXISTS {TEMPLATE}"));
    psql(cluster, &format!("CREATE DATABASE {TEMPLATE}"));
    drop(Db::open(Options { connections: 1, ..Options::new(format!("{}/{TEMPLATE}", cluster.base)) }).unwrap());
}

/// Runs one statement outside a transaction, as CREATE DATABASE needs it.
pub fn psql(cluster: &Cluster, statement: &str) {
    use diesel::{Connection, PgConnection, connection::SimpleConnection};
    #[allow(clippy::disallowed_methods, reason = "the variant is named")]
    let mut conn = PgConnection::establish(&format!("{}/postgres", cluster.base)).unwrap();
    conn.batch_execute(statement).unwrap();
}

/// A locale other than English in which the server can be told to speak; `None` where it has none.
pub fn foreign_language(cluster: &Cluster) -> Option<String> {
    use diesel::{Connection, PgConnection, connection::SimpleConnection};
    #[allow(clippy::disallowed_methods, reason = "the variant is named")]
    let mut conn = PgConnection::establish(&format!("{}/postgres", cluster.base)).unwrap();
    let mut known = ["de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "es_ES.UTF-8", "nl_NL.UTF-8", "pl_PL.UTF-8"].into_iter();
    let found = known.find(|locale| conn.batch_execute(&format!("SET lc_messages = '{locale}'")).is_ok());
    if found.is_none() {
        println!("this server speaks English only: what it does in other languages was left out");
    }
    found.map(str::to_owned)
}

fn start() -> Option<Cluster> {
    let bin = bin_folder()?;
    let dir = tempfile::Builder::new().prefix("kontor-pg-").tempdir().ok()?.keep();
    // initdb refuses root: run it, and the server, as another user.
    let is_root = Command::new("id").arg("-u").output().ok()?.stdout == b"0\n";
    let runner = if is_root { "runuser -u nobody -- " } else { "" };
    if is_root {
        Command::new("chown").arg("nobody").arg(&dir).status().ok()?;
    }
    let (bin, data) = (bin.display().to_string(), dir.join("data").display().to_string());
    let init = format!("{runner}{bin}/initdb -D {data} -U kontor -A trust -E UTF8 --locale=C -N >/dev/null 2>&1");
    if !Command::new("sh").arg("-c").arg(init).status().ok()?.success() {
        return None;
    }
    // A port that was free a moment ago may be another test's by now, and its server would answer.
    (0..5).find_map(|_| serve(&bin, &dir, &data, runner))
}

/// Starts the server on a port that is free.
fn serve(bin: &str, dir: &Path, data: &str, runner: &str) -> Option<Cluster> {
    let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
    // The server lives as long as the pipe to this process: it ends with the test run, however that ends. It is told
    // through `pg_ctl`: a shell's background process ignores SIGINT, and `runuser` would not hand it on. Descriptors
    // that the test run has inherited (a lock that a script holds on one, say) are not kept open by the server.
    //
    // It is given a German locale, the C library's plain one under another name: that chooses the language of messages.
    let serve = format!(
        "for fd in 3 4 5 6 7 8 9; do eval \"exec $fd>&-\"; done; \
         mkdir {dir}/locales && cp -rL /usr/lib/locale/C.utf8 {dir}/locales/de_DE.utf8 2>/dev/null; \
         {runner}env LOCPATH={dir}/locales {bin}/postgres -D {data} -h 127.0.0.1 -p {port} -k {dir} -c max_connections=400 -c shared_buffers=64MB \
         -c max_wal_size=128MB -c log_min_messages=fatal >/dev/null 2>&1 </dev/null & server=$!; cat >/dev/null; \
         {runner}{bin}/pg_ctl -D {data} -m immediate -s stop; wait $server; rm -rf {dir}",
        dir = dir.display()
    );
    let mut guard = Command::new("sh").arg("-c").arg(serve).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().ok()?;
    std::mem::forget(guard.stdin.take());
    let cluster = Cluster { base: format!("postgres://kontor@127.0.0.1:{port}") };
    let begun = Instant::now();
    loop {
        match data_of(&cluster) {
            Some(found) => return (found == data).then_some(cluster),
            None if begun.elapsed() > Duration::from_secs(30) => return None,
            #[allow(clippy::disallowed_methods, reason = "waits for the server")]
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The folder of the server that answers there.
fn data_of(cluster: &Cluster) -> Option<String> {
    use diesel::{Connection, PgConnection, RunQueryDsl};
    #[derive(diesel::QueryableByName)]
    struct Setting {
        #[diesel(sql_type = diesel::sql_types::Text)]
        data_directory: String,
    }
    #[allow(clippy::disallowed_methods, reason = "the variant is named")]
    let mut conn = PgConnection::establish(&format!("{}/postgres", cluster.base)).ok()?;
    let found: Setting = diesel::sql_query("SHOW data_directory").get_result(&mut conn).ok()?;
    Some(found.data_directory)
}

/// Where `initdb` is: on the PATH, or where Debian keeps it.
fn bin_folder() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    folders.sort();
    folders.reverse();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    folders.into_iter().find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

#[allow(unsafe_code)]
fn say_at_the_end() {
    extern "C" fn say() {
        println!("PostgreSQL tests were left out: set KONTOR_TEST_POSTGRES_URL or install PostgreSQL's initdb.");
    }
    // SAFETY: `say` is a plain function that lives as long as the program.
    unsafe {
        libc::atexit(say);
    }
}
