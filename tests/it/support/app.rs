//! A server of Kontor under test, and requests to it.

use std::{sync::Arc, sync::OnceLock};

use kontor::{
    config::Settings,
    db::{Db, Options, Variant},
    http::auth::{Audience, Claims},
    kernel::{Clock, Instant, Scope},
    process::{Process, Roles},
};
use serde_json::Value;
use tokio::sync::Mutex;

use super::postgres;

/// A running server with a database of its own and a clock that the test turns.
#[derive(Clone)]
pub struct App {
    pub url: String,
    pub clock: Clock,
    pub state: kontor::http::State,
    pub database_url: String,
    pub client: reqwest::Client,
    process: Arc<Mutex<Option<Process>>>,
    _folder: Arc<tempfile::TempDir>,
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

impl App {
    pub async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kontor.db");
        std::fs::copy(sqlite_template(), &path).unwrap();
        Self::start(path.display().to_string(), folder, true).await
    }

    pub async fn on_postgres() -> Self {
        let url = postgres::fresh_database(postgres::cluster().unwrap());
        Self::start(url, tempfile::tempdir().unwrap(), true).await
    }

    async fn start(database_url: String, folder: tempfile::TempDir, work: bool) -> Self {
        let clock = Clock::controlled(START.parse().unwrap());
        let options = Options { connections: 5, exclusive: true, ..Options::new(database_url.clone()) };
        let db = Db::open(options).unwrap();
        let process = Process::start(db, clock.clone(), settings(), Roles { serve: true, work }).await.unwrap();
        let url = format!("http://{}", process.address.unwrap());
        Self {
            url,
            clock,
            state: process.state.clone(),
            database_url,
            client: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            process: Arc::new(Mutex::new(Some(process))),
            _folder: Arc::new(folder),
        }
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
        let mut request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::Null), text }
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

    /// What must hold after every test: nothing is left to do and nothing is wrong.
    pub async fn tear_down(self) {
        self.stop().await;
    }
}

pub fn settings() -> Settings {
    let mut settings = Settings::defaults().unwrap();
    "127.0.0.1:0".clone_into(&mut settings.http.listen);
    settings.http.workers = 2;
    settings.http.store_requests_per_minute = 0;
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
