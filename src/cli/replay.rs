//! `kontor replay`: another shop's order history, placed through the public API.

use std::path::PathBuf;

use super::token;
use crate::{
    config::Settings,
    error::{Error, Result},
    http::auth::Audience,
    kernel::{Clock, Scope},
    process::{Process, Roles},
    replay::{
        Mapping, Plan,
        driver::{self, Outcome, Remote},
        open, summary,
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The order history: CSV, plain or gzip.
    file: PathBuf,
    /// The mapping that says how the file is to be read.
    #[arg(long)]
    map: PathBuf,
    /// The address of a running Kontor; without it a server is started beside, on the settings' database.
    #[arg(long, requires_all = ["staff", "client"])]
    url: Option<String>,
    /// A staff token with all scopes, for `--url`.
    #[arg(long)]
    staff: Option<String>,
    /// A client token with all scopes, for `--url`.
    #[arg(long)]
    client: Option<String>,
    /// How many customers at once.
    #[arg(long, default_value_t = 16)]
    parallel: usize,
    /// Only the first documents, in the order of time.
    #[arg(long)]
    limit: Option<usize>,
    /// Print the reconciliation as Markdown.
    #[arg(long)]
    markdown: bool,
    /// Read the file and say what would be placed, without placing it.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(settings: Settings, options: &Options) -> Result<()> {
    let mapping = Mapping::read(&options.map).map_err(Error::internal)?;
    let rows = open(&options.file, &mapping).map_err(Error::internal)?;
    let plan = Plan::of(rows, &mapping).map_err(Error::internal)?;
    plan.check().map_err(Error::internal)?;
    for sentence in summary(&plan) {
        println!("{sentence}");
    }
    if plan.documents.is_empty() {
        return Err(Error::internal(
            "nothing in the file can be placed: the reasons above name the mapping's keys to look at",
        ));
    }
    if options.dry_run {
        return Ok(());
    }
    let how = driver::Options { parallel: options.parallel, limit: options.limit, progress: true };
    let outcome = match (&options.url, &options.staff, &options.client) {
        (Some(url), Some(staff), Some(client)) => {
            let remote = Remote::new(url, staff.clone(), client.clone())?;
            driver::run(&remote, &plan, &mapping, how).await?
        }
        _ => beside(settings, &plan, &mapping, how).await?,
    };
    report(&outcome, options.markdown)
}

/// Starts a server on a free port of the loopback and drives that.
async fn beside(mut settings: Settings, plan: &Plan, mapping: &Mapping, how: driver::Options) -> Result<Outcome> {
    "127.0.0.1:0".clone_into(&mut settings.http.listen);
    settings.http.store_requests_per_minute = 0;
    settings.http.ops_requests_per_minute = 0;
    settings.http.integration_requests_per_minute = 0;
    settings.database.connections = settings.database.connections.max(how.parallel + 4);
    let db = super::open(&settings, true, crate::db::Upkeep::Make)?;
    let process = Process::start(db, Clock::system(), settings, Roles { serve: true, work: true }).await?;
    let address = process.address.ok_or_else(|| Error::internal("no address"))?;
    let make = |usage| token::make(&process.state, usage, "replay", Scope::ALL, 24 * 7, None);
    let remote = Remote::new(&format!("http://{address}"), make(Audience::Staff)?, make(Audience::Client)?)?;
    let outcome = driver::run(&remote, plan, mapping, how).await;
    let sound = super::doctor::assure(&process.state.db).await;
    process.stop().await;
    outcome.and_then(|outcome| sound.map(|()| outcome))
}

fn report(outcome: &Outcome, markdown: bool) -> Result<()> {
    let millis = u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX).max(1);
    let all = outcome.made + outcome.found;
    println!(
        "\n{} orders and returns made, {} found, in {}.{} s: {} a second.",
        outcome.made,
        outcome.found,
        millis / 1000,
        millis % 1000 / 100,
        all * 1000 / millis
    );
    for (state, orders) in &outcome.held.states {
        println!("{orders} orders are {state}.");
    }
    if outcome.held.pending > 0 {
        println!("{} refunds are still under way.", outcome.held.pending);
    }
    let table = if markdown { outcome.reconciliation.markdown() } else { outcome.reconciliation.text() };
    println!("\n{table}");
    for failure in &outcome.failures {
        println!("refused: {failure}");
    }
    match outcome.failures.is_empty() && outcome.reconciliation.agrees() {
        true => Ok(()),
        false => Err(Error::internal("the file and Kontor do not agree")),
    }
}
