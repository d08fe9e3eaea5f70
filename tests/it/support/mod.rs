//! What tests share: a server per test on a database of its own, on each of the two databases.

pub mod app;
pub mod postgres;

pub use app::{Answer, App};

use std::future::Future;

/// Runs a test's story on SQLite, then on PostgreSQL where a server can be had.
pub fn on_both<F: Future<Output = ()>>(story: impl Fn(App) -> F) {
    run(App::on_sqlite, &story);
    if postgres::cluster().is_some() {
        run(App::on_postgres, &story);
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
    let start = std::time::Instant::now();
    while !condition().await {
        assert!(start.elapsed() < std::time::Duration::from_secs(20), "still not: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
