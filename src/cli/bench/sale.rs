//! What a sale costs a checkout: the same checkouts in turns, without and with live promotions, or without and with one limited code.

use serde_json::json;

use super::{Checkout, Run, http_run};
use crate::{cli::seed, error::Result, process::Process};

/// What is compared with checkouts without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Sale {
    /// A hundred live promotions, of which one applies.
    Promotions,
    /// One code with a limit that every cart brings.
    Code,
}

/// How often each is measured: a machine is never quite the same a minute later.
const TURNS: usize = 3;

pub(super) async fn compare(process: &Process, shop: &seed::BenchShop, options: &Checkout, what: Sale) -> Result<()> {
    let (promotions, with) = match what {
        Sale::Promotions => (seed::bench_promotions(&process.state, 100).await?, shop.clone()),
        Sale::Code => {
            let (promotion, code) = seed::bench_code(&process.state).await?;
            (vec![promotion], shop.with_code(code))
        }
    };
    let (mut plain, mut sale) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        plain.push(http_run(process, shop, options).await?);
        switch(process, &promotions, "activate").await?;
        sale.push(http_run(process, &with, options).await?);
        switch(process, &promotions, "pause").await?;
    }
    let (before, after) = (median(&plain), median(&sale));
    for (name, runs) in [("without", &plain), ("with", &sale)] {
        runs.iter().for_each(|run| run.print(name));
    }
    let percent = after * 100 / before.max(1);
    println!("{what:?}: {after} of {before} checkouts/s, {percent} % (medians of {TURNS} runs in turns)");
    Ok(())
}

pub(super) fn median(runs: &[Run]) -> u64 {
    let mut all: Vec<u64> = runs.iter().map(Run::per_second).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

pub(super) async fn switch(process: &Process, promotions: &[String], command: &str) -> Result<()> {
    let api = seed::Api::new(&process.state)?;
    for promotion in promotions {
        let body = if command == "activate" { json!({"despite_warnings": true}) } else { json!({}) };
        api.post(&format!("/v1/ops/promotions/{promotion}/{command}"), &body).await?;
    }
    process.state.db.refresh_snapshots().await
}
