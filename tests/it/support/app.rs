//! A server of Kontor under test, and requests to it.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use kontor::{
    config::Settings,
    db::{Db, Options, Variant},
    http::auth::{Audience, Claims},
    kernel::{Clock, Instant, Scope},
    process::{Process, Roles},
};
use serde_json::Value;
use tokio::sync::Mutex;

use super::{Folder, postgres};

/// A running server with a database of its own and a clock that the test turns.
#[derive(Clone)]
pub struct App {
    pub url: String,
    pub clock: Clock,
    pub state: kontor::http::State,
    pub database_url: String,
    pub client: reqwest::Client,
    process: Arc<Mutex<Option<Process>>>,
    leaves_work: Arc<AtomicBool>,
    makes_things_up: Arc<AtomicBool>,
    _folder: Arc<Folder>,
}

/// An answer: status, headers, document.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Answer {
    /// Fails unless the status is the expected one; gives the document.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.body
    }

    /// Fails unless it is a problem with this status and code; gives the document.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        self.body
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The time at which every test begins.
pub const START: &str = "2026-03-02T09:00:00Z";

/// The secret of programs that are started for a test.
pub const SECRET: &str = "a secret that the tests and their programs share";

impl App {
    pub async fn on_sqlite(work: bool) -> Self {
        Self::on_sqlite_with(work, settings()).await
    }

    pub async fn on_postgres(work: bool) -> Self {
        Self::on_postgres_with(work, settings()).await
    }

    pub async fn on_sqlite_with(work: bool, settings: Settings) -> Self {
        let folder = Folder::new();
        let path = folder.path().join("kontor.db");
        std::fs::copy(sqlite_template(), &path).unwrap();
        Self::start(path.display().to_string(), folder, work, settings).await
    }

    pub async fn on_postgres_with(work: bool, settings: Settings) -> Self {
        let (url, folder) = Folder::with_database(postgres::cluster().unwrap());
        Self::start(url, folder, work, settings).await
    }

    async fn start(database_url: String, folder: Folder, work: bool, settings: Settings) -> Self {
        let clock = Clock::controlled(START.parse().unwrap());
        let options = Options { connections: 5, exclusive: true, ..Options::new(database_url.clone()) };
        let db = Db::open(options).unwrap();
        let process = Process::start(db, clock.clone(), settings, Roles { serve: true, work }).await.unwrap();
        let url = format!("http://{}", process.address.unwrap());
        Self {
            url,
            clock,
            state: process.state.clone(),
            database_url,
            client: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            process: Arc::new(Mutex::new(Some(process))),
            leaves_work: Arc::default(),
            makes_things_up: Arc::default(),
            _folder: Arc::new(folder),
        }
    }

    /// A program at an address, seen from outside. Its state is that of another, empty shop with the same secret: good for
    /// tokens, and for nothing else.
    pub async fn beside(url: &str, database_url: &str, folder: Arc<Folder>) -> Self {
        let scratch = folder.path().join("scratch.db");
        std::fs::copy(sqlite_template(), &scratch).unwrap();
        let db = Db::open(Options { connections: 1, ..Options::new(scratch.display().to_string()) }).unwrap();
        let (clock, mut settings) = (Clock::system(), settings());
        SECRET.clone_into(&mut settings.auth.secret);
        Self {
            url: url.to_owned(),
            clock: clock.clone(),
            state: kontor::http::State::new(db, clock, settings).await.unwrap(),
            database_url: database_url.to_owned(),
            client: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            process: Arc::default(),
            leaves_work: Arc::default(),
            makes_things_up: Arc::default(),
            _folder: folder,
        }
    }

    /// The same shop through another server of it.
    pub fn through(&self, process: &Process) -> Self {
        Self { url: format!("http://{}", process.address.unwrap()), state: process.state.clone(), ..self.clone() }
    }

    pub fn is_postgres(&self) -> bool {
        Variant::of(&self.database_url) == Variant::Postgres
    }

    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// A staff token with every scope.
    pub fn staff(&self) -> String {
        self.token(Audience::Staff, "ada", Scope::ALL)
    }

    pub fn token(&self, usage: Audience, subject: &str, scopes: &[Scope]) -> String {
        let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        self.state.verifier.issue(self.claims(usage, subject, &scopes.join(" "))).unwrap()
    }

    pub fn claims(&self, usage: Audience, subject: &str, scope: &str) -> Claims {
        Claims {
            iss: String::new(),
            sub: subject.to_owned(),
            aud: Value::Null,
            exp: self.now().plus_seconds(86_400 * 365).micros() / 1_000_000,
            nbf: None,
            usage: Some(usage),
            scope: scope.to_owned(),
            channels: None,
            locations: None,
            money_ceiling: None,
            email: None,
            email_verified: None,
        }
    }

    /// Sends a request; `headers` are added, a body goes as JSON.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        self.try_send(method, path, headers, body).await.unwrap()
    }

    /// The same to a server that may be killed meanwhile.
    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> reqwest::Result<Answer> {
        let body = body.map(|body| ("application/json", body.to_string()));
        self.try_send_text(method, path, headers, body).await
    }

    /// Sends a body of any media type.
    pub async fn send_text(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<(&str, String)>,
    ) -> Answer {
        self.try_send_text(method, path, headers, body).await.unwrap()
    }

    async fn try_send_text(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<(&str, String)>,
    ) -> reqwest::Result<Answer> {
        let mut request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some((kind, body)) = body {
            request = request.header("Content-Type", kind).body(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        Ok(Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null), text })
    }

    /// A request of the operations staff with every scope.
    pub async fn ops(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let token = format!("Bearer {}", self.staff());
        self.send(method, &format!("/v1/ops{path}"), &[("Authorization", &token)], body).await
    }

    /// Looks into the database.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut kontor::db::Tx) -> kontor::error::Result<T> + Send + 'static,
    ) -> T {
        self.state.db.read(work).await.unwrap()
    }

    /// Stops the server.
    pub async fn stop(&self) {
        if let Some(process) = self.process.lock().await.take() {
            process.stop().await;
        }
    }

    /// Says that this test leaves due or dead jobs, or dead dispatches, on purpose.
    pub fn leaves_work(&self) {
        self.leaves_work.store(true, SeqCst);
    }

    /// Says that this test makes up rows that no shop would have, so that the doctor is not asked about them.
    pub fn makes_things_up(&self) {
        self.makes_things_up.store(true, SeqCst);
    }

    /// What must hold after every test: nothing is left to do and nothing is wrong.
    pub async fn tear_down(self) {
        let leaves_work = self.leaves_work.load(SeqCst);
        if !leaves_work && self.process.lock().await.is_some() {
            let begun = std::time::Instant::now();
            while !(self.idle().await && self.is_still().await) {
                assert!(begun.elapsed().as_secs() < 20, "jobs are left undone: {:#?}", self.undone().await);
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
        self.stop().await;
        self.state.db.write(kontor::events::number).await.unwrap();
        let findings = kontor::doctor::examine(&self.state.db, |_| {}).await.unwrap();
        let made_up = self.makes_things_up.load(SeqCst);
        assert!(made_up || findings.is_empty(), "the doctor finds: {findings:#?}");
        if !leaves_work {
            let dead = self.read(|tx| kontor::jobs::dead(tx, None, 10)).await;
            assert!(dead.is_empty(), "dead jobs: {dead:#?}");
            let due = self.due().await;
            assert_eq!(due, 0, "jobs that are due are left");
            let dispatches = self.count("SELECT count(*) FROM dispatches WHERE state = 'dead'").await;
            assert_eq!(dispatches, 0, "dead dispatches are left");
        }
    }

    pub async fn count(&self, query: &'static str) -> i64 {
        self.read(move |tx| kontor::db::sql(query).first::<diesel::sql_types::BigInt, i64>(tx))
            .await
            .unwrap_or_default()
    }

    /// Jobs in hand, that could run now, or that failed and wait for another try. Those planned for later are no work left
    /// undone.
    pub async fn due(&self) -> i64 {
        let now = self.now();
        let due = "SELECT count(*) FROM jobs \
                   WHERE state = 'leased' OR state = 'ready' AND (run_at <= ? OR last_error IS NOT NULL)";
        let due = self.read(move |tx| kontor::db::sql(due).bind(now).first::<diesel::sql_types::BigInt, i64>(tx));
        due.await.unwrap_or_default()
    }

    /// The kinds of the jobs that are left, with what went wrong.
    async fn undone(&self) -> Vec<(String, String)> {
        use diesel::sql_types::Text;
        let query = "SELECT kind, state || ': ' || coalesce(last_error, 'no error') FROM jobs WHERE state <> 'dead'";
        self.read(move |tx| kontor::db::sql(query).load::<(Text, Text), (String, String)>(tx)).await
    }

    async fn idle(&self) -> bool {
        self.due().await == 0
    }

    /// Whether it stays so for a moment: what the schedules find to do comes a little later.
    async fn is_still(&self) -> bool {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        self.idle().await
    }
}

pub fn settings() -> Settings {
    let mut settings = Settings::defaults().unwrap();
    "127.0.0.1:0".clone_into(&mut settings.http.listen);
    settings.http.workers = 2;
    settings.http.store_requests_per_minute = 0;
    settings.http.ops_requests_per_minute = 0;
    settings.http.integration_requests_per_minute = 0;
    settings.http.coupon_requests_per_minute = 0;
    settings.http.vat_id_requests_per_minute = 0;
    settings.http.back_in_stock_requests_per_minute = 0;
    settings.http.shutdown_seconds = 2;
    settings.webhooks.allow_private = true;
    settings
}

/// A migrated SQLite file to copy.
fn sqlite_template() -> &'static std::path::Path {
    static TEMPLATE: OnceLock<tempfile::TempDir> = OnceLock::new();
    static PATH: OnceLock<std::path::PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let folder = TEMPLATE.get_or_init(|| tempfile::tempdir().unwrap());
        let path = folder.path().join("template.db");
        drop(Db::open(Options { connections: 1, ..Options::new(path.display().to_string()) }).unwrap());
        // The log is moved into the file, so that the file alone is the database.
        use diesel::{Connection, SqliteConnection, connection::SimpleConnection};
        #[allow(clippy::disallowed_methods, reason = "the variant is named")]
        let mut conn = SqliteConnection::establish(&path.display().to_string()).unwrap();
        conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        path
    })
}
