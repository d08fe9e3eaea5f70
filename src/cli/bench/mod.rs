//! `kontor bench`: figures of whole checkouts over HTTP, and of the same through the database alone; and of finding orders.
//!
//! It measures and prints; it asserts nothing about time.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant as Moment},
};

use clap::Subcommand;

use super::seed;
use crate::{
    config::Settings,
    db::{Db, Options, Upkeep, Variant, stats::Reading},
    error::{Error, Result},
    kernel::Clock,
    process::{Process, Roles},
};

mod cart;
mod floor;
mod hot;
mod levels;
mod orders;
mod sale;
mod wire;

#[derive(Debug, Subcommand)]
pub(super) enum Bench {
    /// Complete checkouts: make a cart with two lines, address and shipping, then complete it with a payment.
    Checkout(Checkout),
    /// Change a cart of many lines over HTTP, one request after another, with live promotions.
    Cart(cart::Cart),
    /// Fill an empty scratch database with orders, and measure the list and each search among a thousand and among all.
    Orders(orders::Orders),
}

#[derive(Debug, clap::Args)]
pub(super) struct Checkout {
    /// How many clients at once, each with one connection that it keeps.
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// For how long each measurement runs.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// How many SKUs the clients choose from; 2 is a hot pair.
    #[arg(long, default_value_t = 1000)]
    skus: usize,
    /// How it is paid: `sandbox` asks a provider between two transactions, `manual` asks nobody.
    #[arg(long, default_value = "sandbox")]
    method: String,
    /// What a sale costs: in turns without and with it, instead of comparing with the floor.
    #[arg(long)]
    sale: Option<sale::Sale>,
    /// Whether a hot SKU becomes a queue: in turns, each client buying a SKU of its own and all the same one, instead of comparing
    /// with the floor.
    #[arg(long, conflicts_with = "sale")]
    hot: bool,
    /// How many levels of other SKUs there are beside.
    #[arg(long, default_value_t = 0)]
    levels: u64,
    /// How many of those are reserved by carts.
    #[arg(long, default_value_t = 0)]
    reservations: u64,
}

/// Latencies of one run, in microseconds, sorted.
struct Run {
    latencies: Vec<u64>,
    elapsed: Duration,
    reading: Reading,
    failures: usize,
}

impl Run {
    fn per_second(&self) -> u64 {
        let millis = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        self.latencies.len() as u64 * 1000 / millis
    }

    /// A percentile in tenths of a millisecond, as text.
    fn percentile(&self, percent: usize) -> String {
        let place = (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        let micros = self.latencies.get(place).copied().unwrap_or_default();
        format!("{}.{} ms", micros / 1000, micros % 1000 / 100)
    }

    fn per_checkout(&self, count: u64) -> String {
        let tenths = count * 10 / (self.latencies.len() as u64).max(1);
        format!("{}.{}", tenths / 10, tenths % 10)
    }

    fn print(&self, name: &str) {
        println!(
            "{name:<6} {:>6} checkouts/s   p50 {:>8}  p95 {:>8}  p99 {:>8}   {} statements, {} transactions each",
            self.per_second(),
            self.percentile(50),
            self.percentile(95),
            self.percentile(99),
            self.per_checkout(self.reading.statements),
            self.per_checkout(self.reading.commits),
        );
        if self.failures > 0 {
            println!("       {} requests failed", self.failures);
        }
    }
}

/// What has happened between two readings.
fn between(before: Reading, after: Reading) -> Reading {
    Reading {
        statements: after.statements - before.statements,
        prepared: after.prepared - before.prepared,
        commits: after.commits - before.commits,
        groups: after.groups - before.groups,
        grouped: after.grouped - before.grouped,
        retries: after.retries - before.retries,
        slow_reads: after.slow_reads - before.slow_reads,
    }
}

pub(super) async fn run(mut settings: Settings, bench: &Bench, database_given: bool) -> Result<()> {
    let scratch = scratch_folder()?;
    if !database_given {
        settings.database.url = scratch.join("bench.db").display().to_string();
    }
    "127.0.0.1:0".clone_into(&mut settings.http.listen);
    settings.http.store_requests_per_minute = 0;
    settings.http.ops_requests_per_minute = 0;
    settings.http.integration_requests_per_minute = 0;
    settings.http.coupon_requests_per_minute = 0;
    let ran = match bench {
        Bench::Checkout(options) => {
            settings.database.connections = settings.database.connections.max(options.clients + 2);
            let process = start(settings.clone(), true, &scratch).await?;
            let ran = match checkout(&process, options).await {
                Ok(shop) => super::doctor::assure(&process.state.db).await.map(|()| shop),
                failed => failed,
            };
            process.stop().await;
            match ran {
                Ok(shop) => with_commit_delay(settings, options, &shop).await,
                Err(error) => Err(error),
            }
        }
        Bench::Cart(options) => {
            let process = start(settings, true, &scratch).await?;
            let ran = cart::run(&process, options).await;
            process.stop().await;
            ran
        }
        Bench::Orders(options) => {
            // Nothing is worked on beside, so that the statements are the searches' own.
            let process = start(settings, false, &scratch).await?;
            let ran = orders::run(&process, options).await;
            process.stop().await;
            ran
        }
    };
    drop(std::fs::remove_dir_all(&scratch));
    ran
}

/// What `commit_delay` is raised to, in microseconds.
const COMMIT_DELAY: u32 = 3000;

/// The same once more on PostgreSQL with `commit_delay` raised: a fast disk hides that commits queue, and where it is slow the
/// delay lets several of them share one flush.
async fn with_commit_delay(mut settings: Settings, options: &Checkout, shop: &seed::BenchShop) -> Result<()> {
    let url = &mut settings.database.url;
    if Variant::of(url) != Variant::Postgres {
        return Ok(());
    }
    let joint = if url.contains('?') { '&' } else { '?' };
    url.push_str(&format!("{joint}options=-c%20commit_delay%3D{COMMIT_DELAY}"));
    let db = match Db::open(Options { connections: settings.database.connections, ..Options::new(url.clone()) }) {
        Ok(db) => db,
        Err(error) => {
            println!("commit_delay  left as it is: raising it takes a superuser ({error})");
            return Ok(());
        }
    };
    let process = Process::start(db, Clock::system(), settings, Roles { serve: true, work: true }).await?;
    println!("commit_delay  raised to {COMMIT_DELAY} µs for this server's connections");
    let ran = match options.hot {
        true => hot::compare(&process, shop, options).await,
        false => http_run(&process, shop, options).await.map(|http| http.print("HTTP")),
    };
    process.stop().await;
    ran
}

/// Starts a server, and tells what it runs on.
async fn start(settings: Settings, work: bool, scratch: &Path) -> Result<Process> {
    let started = Moment::now();
    let database = &settings.database;
    let db = Db::open(Options {
        connections: database.connections,
        exclusive: true,
        upkeep: Upkeep::Make,
        ..Options::new(database.url.clone())
    })?;
    let process = Process::start(db, Clock::system(), settings.clone(), Roles { serve: true, work }).await?;
    let address = process.address.ok_or_else(|| Error::internal("no address"))?;
    wire::get(address, "/health/live").await?;
    println!("database      {}", if process.state.db.variant() == Variant::Postgres { "PostgreSQL" } else { "SQLite" });
    println!("first answer  {} ms after the start, migrations included", started.elapsed().as_millis());
    println!("idle memory   {} MB", resident_megabytes());
    println!("fsync         {} µs (median of 200 writes of 4 KiB)", fsync_micros(scratch)?);
    Ok(process)
}

async fn checkout(process: &Process, options: &Checkout) -> Result<seed::BenchShop> {
    let skus = if options.hot { options.clients.max(1) } else { options.skus };
    let shop = seed::bench_shop(&process.state, skus).await?;
    levels::fill(process, options.levels, options.reservations).await?;
    println!(
        "clients       {} for {} s each, {} SKUs, payment `{}`",
        options.clients, options.seconds, skus, options.method
    );
    if options.hot {
        return hot::compare(process, &shop, options).await.map(|()| shop);
    }
    if let Some(what) = options.sale {
        return sale::compare(process, &shop, options, what).await.map(|()| shop);
    }
    let http = http_run(process, &shop, options).await?;
    http.print("HTTP");
    let floor = floor::run(&process.state, &shop, options).await?;
    floor.print("floor");
    let percent = http.per_second() * 100 / floor.per_second().max(1);
    println!("HTTP reaches {percent} % of the floor (the same loop through Db::write, without HTTP)");
    if let Some(writes) = http.reading.grouped.checked_div(http.reading.groups) {
        println!("group commit  {writes} writes per fsync");
    }
    Ok(shop)
}

/// A whole number with a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

async fn http_run(process: &Process, shop: &seed::BenchShop, options: &Checkout) -> Result<Run> {
    http_runs(process, options, |_| shop.clone()).await
}

/// The same where each client has a shop of its own.
async fn http_runs(process: &Process, options: &Checkout, shop_of: impl Fn(usize) -> seed::BenchShop) -> Result<Run> {
    let address = process.address.ok_or_else(|| Error::internal("no address"))?;
    let before = process.state.db.stats();
    let stop = Arc::new(AtomicBool::new(false));
    let begun = Moment::now();
    let clients = (0..options.clients).map(|client| {
        let (shop, stop, method) = (shop_of(client), stop.clone(), options.method.clone());
        tokio::spawn(async move { wire::client(address, &shop, &method, client as u64, &stop).await })
    });
    let clients: Vec<_> = clients.collect();
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    stop.store(true, Ordering::SeqCst);
    let (mut latencies, mut failures) = (Vec::new(), 0);
    for client in clients {
        let (own, failed) = client.await.map_err(Error::internal)??;
        latencies.extend(own);
        failures += failed;
    }
    latencies.sort_unstable();
    Ok(Run { latencies, elapsed: begun.elapsed(), reading: between(before, process.state.db.stats()), failures })
}

fn scratch_folder() -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("kontor-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(Error::internal)?;
    Ok(folder)
}

/// What the disk takes to make 4 KiB durable: the median of 200 tries.
fn fsync_micros(folder: &Path) -> Result<u128> {
    use std::io::Write;
    let mut file = std::fs::File::create(folder.join("fsync")).map_err(Error::internal)?;
    let mut times = Vec::with_capacity(200);
    for _ in 0..200 {
        let begun = Moment::now();
        file.write_all(&[0; 4096]).and_then(|()| file.sync_data()).map_err(Error::internal)?;
        times.push(begun.elapsed().as_micros());
    }
    times.sort_unstable();
    Ok(times.get(100).copied().unwrap_or_default())
}

/// The resident memory of this process.
fn resident_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes =
        line.and_then(|line| line.split_whitespace().next()).and_then(|kilobytes| kilobytes.parse::<u64>().ok());
    kilobytes.unwrap_or_default() / 1024
}
