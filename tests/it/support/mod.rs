//! What tests share: a server per test on a database of its own, on each of the two databases.

// Not every helper has a user at every time.
#![allow(dead_code, unused_imports)]

pub mod app;
pub mod business;
pub mod folder;
pub mod json_schema;
pub mod postgres;
pub mod program;
pub mod receiver;
pub mod shop;
pub mod world;

pub use app::{Answer, App};
pub use business::Business;
pub use folder::Folder;
pub use program::{Program, Site, on_both_sites, on_postgres_site};
pub use receiver::{Deed, Gate, Received, Receiver};
pub use shop::{Cart, Shop};

use std::future::Future;

use kontor::db::{Db, Options};

/// Runs a test's story on SQLite, then on PostgreSQL where a server can be had.
pub fn on_both<F: Future<Output = ()>>(story: impl Fn(App) -> F) {
    each(true, &story);
}

/// The same with a server that works on no jobs and schedules: the test does that itself where it wants it.
pub fn on_both_idle<F: Future<Output = ()>>(story: impl Fn(App) -> F) {
    each(false, &story);
}

/// Runs a test's story on servers whose settings are changed first.
pub fn on_both_set<F: Future<Output = ()>>(change: impl Fn(&mut kontor::config::Settings), story: impl Fn(App) -> F) {
    let settings = || {
        let mut settings = app::settings();
        change(&mut settings);
        settings
    };
    run(|| App::on_sqlite_with(true, settings()), &story);
    if postgres::cluster().is_some() {
        run(|| App::on_postgres_with(true, settings()), &story);
    }
}

fn each<F: Future<Output = ()>>(work: bool, story: &impl Fn(App) -> F) {
    run(|| App::on_sqlite(work), story);
    if postgres::cluster().is_some() {
        run(|| App::on_postgres(work), story);
    }
}

fn run<A: Future<Output = App>, F: Future<Output = ()>>(start: impl Fn() -> A, story: &impl Fn(App) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let app = start().await;
        story(app.clone()).await;
        app.tear_down().await;
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
}

/// Waits until a condition holds; fails after twenty seconds. The alternative to sleeping for long enough.
pub async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    within(20, what, condition).await;
}

/// The same after so many seconds.
pub async fn within<F: Future<Output = bool>>(seconds: u64, what: &str, condition: impl Fn() -> F) {
    let start = std::time::Instant::now();
    while !condition().await {
        assert!(start.elapsed() < std::time::Duration::from_secs(seconds), "still not: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// A database without a server, migrated, and where it is.
#[derive(Clone)]
pub struct Bare {
    pub db: Db,
    pub url: String,
    _folder: std::sync::Arc<Folder>,
}

impl Bare {
    pub fn sqlite(options: impl FnOnce(Options) -> Options) -> Self {
        let folder = Folder::new();
        let url = folder.path().join("kontor.db").display().to_string();
        Self::open(url, folder, options)
    }

    /// `None` where there is no PostgreSQL.
    pub fn postgres(options: impl FnOnce(Options) -> Options) -> Option<Self> {
        let (url, folder) = Folder::with_database(postgres::cluster()?);
        Some(Self::open(url, folder, options))
    }

    fn open(url: String, folder: Folder, options: impl FnOnce(Options) -> Options) -> Self {
        let db = Db::open(options(Options { connections: 6, ..Options::new(url.clone()) })).unwrap();
        Self { db, url, _folder: std::sync::Arc::new(folder) }
    }

    pub fn is_postgres(&self) -> bool {
        self.db.variant() == kontor::db::Variant::Postgres
    }
}

/// Runs a test's story on a bare SQLite database, then on a PostgreSQL one where a server can be had.
pub fn on_both_bare<F: Future<Output = ()>>(story: impl Fn(Bare) -> F) {
    // A clone is kept, and with it the folder: a story may take the database out of what it is given.
    let bare = Bare::sqlite(|options| options);
    block_on(story(bare.clone()));
    if let Some(bare) = Bare::postgres(|options| options) {
        block_on(story(bare.clone()));
    }
}

/// Runs a story without a database of its own.
pub fn block_on(story: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(story);
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
}
