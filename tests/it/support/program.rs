//! The program itself, run as a shop runs it: started, killed, told to stop, with a database that outlives it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, mpsc},
    time::Duration,
};

use diesel::sql_types::BigInt;
use kontor::db::{Db, Options, Tx, sql};

use super::{App, Folder, app::SECRET, block_on, eventually, postgres};

/// A database for programs to be started on.
#[derive(Clone)]
pub struct Site {
    pub database_url: String,
    pub folder: Arc<Folder>,
}

/// Runs a story on a SQLite file, then on a PostgreSQL database where a server can be had.
pub fn on_both_sites<F: Future<Output = ()>>(story: impl Fn(Site) -> F) {
    let folder = Folder::new();
    let database_url = folder.path().join("kontor.db").display().to_string();
    block_on(story(Site { database_url, folder: Arc::new(folder) }));
    on_postgres_site(story);
}

/// Runs a story on PostgreSQL alone, where it can be had.
pub fn on_postgres_site<F: Future<Output = ()>>(story: impl Fn(Site) -> F) {
    if let Some(cluster) = postgres::cluster() {
        let (database_url, folder) = Folder::with_database(cluster);
        block_on(story(Site { database_url, folder: Arc::new(folder) }));
    }
}

impl Site {
    /// Starts `kontor serve`, with these settings too, and waits until it serves.
    pub fn serve(&self, settings: &[(&str, &str)]) -> Program {
        let mut child = self.command("serve", settings).stdout(Stdio::piped()).spawn().unwrap();
        let (say, said) = mpsc::channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(say.send(line))));
        let mut program = Program { child, url: String::new(), log: self.folder.path().join("log") };
        while program.url.is_empty() {
            let line = said.recv_timeout(Duration::from_secs(30)).expect("the program does not serve");
            program.url = line.strip_prefix("Kontor serves ").unwrap_or_default().to_owned();
        }
        program
    }

    /// Starts `kontor worker`.
    pub fn work(&self, settings: &[(&str, &str)]) -> Program {
        let child = self.command("worker", settings).stdout(Stdio::null()).spawn().unwrap();
        Program { child, url: String::new(), log: self.folder.path().join("log") }
    }

    /// Runs a command to its end, with this database unless the arguments name another.
    pub fn run(&self, arguments: &[&str]) -> std::process::Output {
        self.run_with(arguments, &[])
    }

    /// The same with these settings too.
    pub fn run_with(&self, arguments: &[&str], settings: &[(&str, &str)]) -> std::process::Output {
        let (command, rest) = arguments.split_first().unwrap();
        let mut program = self.command(command, settings);
        program.args(rest).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
    }

    fn command(&self, command: &str, settings: &[(&str, &str)]) -> Command {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut program = Command::new(env!("CARGO_BIN_EXE_kontor"));
        program.args([command, "--database-url", &self.database_url]).current_dir(self.folder.path());
        program.env_remove("DATABASE_URL").env("KONTOR_HTTP_LISTEN", "127.0.0.1:0").env("KONTOR_AUTH_SECRET", SECRET);
        program.env("KONTOR_HTTP_WORKERS", "2").env("KONTOR_HTTP_STORE_REQUESTS_PER_MINUTE", "0");
        program.env("KONTOR_HTTP_OPS_REQUESTS_PER_MINUTE", "0").env("KONTOR_HTTP_INTEGRATION_REQUESTS_PER_MINUTE", "0");
        // What a dead process had begun is taken over soon.
        program
            .env("KONTOR_CHECKOUT_LEASE_SECONDS", "1")
            .env("KONTOR_JOBS_LEASE_SECONDS", "2")
            .env("KONTOR_WEBHOOKS_TIMEOUT_SECONDS", "1")
            .env("KONTOR_LOG_FILTER", "info");
        if command == "worker" {
            // Nobody is there, where a test does not say otherwise.
            program.env("KONTOR_HTTP_PUBLIC_URL", "http://127.0.0.1:9");
        }
        program.envs(settings.iter().copied()).stdin(Stdio::null()).stderr(log);
        program
    }

    /// The program seen from outside. What its database holds is asked of the site.
    pub async fn app(&self, program: &Program) -> App {
        App::beside(&program.url, &self.database_url, self.folder.clone()).await
    }

    /// Looks into the database. It is not kept open, so that a killed program's successor finds it as that had left it.
    pub async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx) -> kontor::error::Result<T> + Send + 'static,
    ) -> T {
        self.open().read(work).await.unwrap()
    }

    /// A number from the database.
    pub async fn number(&self, query: &str) -> i64 {
        let query = query.to_owned();
        self.look(move |tx| Ok(sql(query).first::<BigInt, i64>(tx)?.unwrap())).await
    }

    /// Waits until a query gives a number.
    pub async fn until(&self, query: &str, wanted: i64) {
        let db = self.open();
        let number = || {
            let query = query.to_owned();
            let number = db.read(move |tx| Ok(sql(query).first::<BigInt, i64>(tx)?.unwrap()));
            async move { number.await.unwrap() == wanted }
        };
        eventually(&format!("{wanted} from {query}"), number).await;
    }

    /// Changes the database behind the program's back.
    pub async fn tamper(&self, statement: &'static str) -> usize {
        self.open().write(move |tx| sql(statement).execute(tx)).await.unwrap()
    }

    /// Fails when the doctor finds anything.
    pub async fn doctor(&self) {
        let findings = kontor::doctor::examine(&self.open(), |_| {}).await.unwrap();
        assert!(findings.is_empty(), "the doctor finds: {findings:#?}");
    }

    fn open(&self) -> Db {
        Db::open_unmigrated(Options { connections: 2, ..Options::new(self.database_url.clone()) }).unwrap()
    }
}

/// A running program; it is killed when it is dropped.
pub struct Program {
    child: Child,
    /// Where it serves.
    pub url: String,
    log: std::path::PathBuf,
}

impl Program {
    /// Kills it as a power cut does, and waits until it is gone.
    pub fn kill(mut self) {
        self.end();
    }

    /// Asks it to end, as an init system does.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").arg("-c").arg(kill).status().unwrap().success());
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let begun = std::time::Instant::now();
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "the program does not end");
        }
    }

    fn end(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            println!("the end of the programs' log:\n{}", tail(&self.log));
        }
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
