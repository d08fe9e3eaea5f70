//! `kontor bench orders`: is an order found among a million as fast as among a thousand?
//!
//! A scratch database is filled with made-up orders, straight into the tables, for it is reading that is measured; what
//! is searched for is made up by the same rules. First a thousand of them, then all.

use std::{net::SocketAddr, time::Instant as Moment};

use super::{super::token, grouped, wire::Wire};
use crate::{
    error::{Error, Result},
    http::auth::Audience,
    kernel::Scope,
    process::Process,
};

mod cases;
mod fill;
mod made;

use cases::Case;

/// How many orders the small shop has.
const FEW: u64 = 1_000;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Orders {
    /// How many orders the large shop has.
    #[arg(long, default_value_t = 1_000_000)]
    orders: u64,
    /// How often each search is asked, each time for something else.
    #[arg(long, default_value_t = 200)]
    rounds: usize,
}

/// What a search took, in microseconds, and how many statements.
struct Figures {
    p50: u64,
    p95: u64,
    p99: u64,
    statements: u64,
}

pub(super) async fn run(process: &Process, options: &Orders) -> Result<()> {
    let address = process.address.ok_or_else(|| Error::internal("no address"))?;
    let token = token::make(&process.state, Audience::Staff, "bench", Scope::ALL, 24, None)?;
    let world = fill::world(process, options.orders.max(FEW)).await?;
    let mut columns = Vec::new();
    let mut filled = 0;
    for count in [FEW, world.orders] {
        let begun = Moment::now();
        fill::fill(process, &world, filled..count).await?;
        let seconds = begun.elapsed().as_secs();
        println!("{} orders are there, {seconds} s after the last figures", grouped(count));
        filled = count;
        let cases = cases::all(&world, count, options.rounds)?;
        let mut column = Vec::with_capacity(cases.len());
        for case in &cases {
            column.push(measure(process, address, &token, case).await?);
        }
        columns.push((count, cases, column));
    }
    print(&columns);
    Ok(())
}

/// Asks a search again and again, one after another.
async fn measure(process: &Process, address: SocketAddr, token: &str, case: &Case) -> Result<Figures> {
    let mut wire = Wire::open(address).await?;
    let (mut latencies, mut statements) = (Vec::new(), Vec::new());
    // Once for nothing: statements are prepared, pages are read.
    for path in case.paths.iter().take(1).chain(&case.paths) {
        let head = format!("GET {path} HTTP/1.1\r\nHost: kontor\r\nAuthorization: Bearer {token}\r\n");
        let before = process.state.db.stats().statements;
        let begun = Moment::now();
        let (status, answer) = wire.send(&head, "").await?;
        latencies.push(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
        if status != 200 {
            return Err(Error::internal(format!("{path}: {status}: {}", String::from_utf8_lossy(answer))));
        }
        statements.push(process.state.db.stats().statements - before);
    }
    let mut latencies = latencies.split_off(1);
    latencies.sort_unstable();
    statements.sort_unstable();
    let of = |percent: usize| {
        let place = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
        latencies.get(place).copied().unwrap_or_default()
    };
    // The process looks after itself beside: the middle is the search's own.
    let statements = statements.get(statements.len() / 2).copied().unwrap_or_default();
    Ok(Figures { p50: of(50), p95: of(95), p99: of(99), statements })
}

fn print(columns: &[(u64, Vec<Case>, Vec<Figures>)]) {
    let mut heading = String::from("| search |");
    let mut rule = String::from("|---|");
    for (count, ..) in columns {
        heading.push_str(&format!(" {} orders: p50 | p95 | p99 ms | statements |", grouped(*count)));
        rule.push_str("--:|--:|--:|--:|");
    }
    println!("\n{heading}\n{rule}");
    let Some((_, cases, _)) = columns.first() else { return };
    for (place, case) in cases.iter().enumerate() {
        let mut row = format!("| {} |", case.name);
        for figures in columns.iter().filter_map(|(_, _, column)| column.get(place)) {
            let [p50, p95, p99] = [figures.p50, figures.p95, figures.p99].map(millis);
            row.push_str(&format!(" {p50} | {p95} | {p99} | {} |", figures.statements));
        }
        println!("{row}");
    }
}

/// Microseconds as milliseconds with two digits.
fn millis(micros: u64) -> String {
    format!("{}.{:02}", micros / 1000, micros % 1000 / 10)
}

/// Makes PostgreSQL look at its tables, as it does by itself after a while.
async fn analyse(process: &Process) -> Result<()> {
    process.state.db.write(crate::db::analyse).await
}
