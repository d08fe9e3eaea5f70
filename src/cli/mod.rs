//! The commands of the program. Each is a module with an `Options` type and a `run` function.

// Commands talk to a terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::{
    config::Settings,
    db::{Db, Options, Upkeep},
    error::{Error, Result},
};

mod backup;
mod bench;
mod config;
mod doctor;
mod openapi;
mod replay;
mod reseal;
mod seed;
mod serve;
mod simulate;
mod stock;
mod token;

pub use seed::{DEMO_CHANNEL, DEMO_LEGAL_ENTITY, demo_shop};

/// A headless e-commerce order-management backend.
#[derive(Debug, Parser)]
#[command(name = "kontor", version, about)]
pub struct Cli {
    /// The file with settings; it may be missing.
    #[arg(long, global = true, default_value = "kontor.toml")]
    config: PathBuf,
    /// The database, before the settings: `postgres://…` or the path of a SQLite file.
    #[arg(long, global = true)]
    database_url: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API, and work on jobs beside it.
    Serve(serve::Options),
    /// Work on jobs only, beside `serve` processes on the same PostgreSQL database.
    Worker,
    /// Bring the database to this program's version.
    Migrate,
    /// Make a development token.
    Token(token::Options),
    /// Seal again, under the current secret, what is sealed under a former one.
    Reseal(reseal::Options),
    /// Print the settings in force, secrets masked.
    Config,
    /// Write the whole database into a file, from one snapshot while the shop goes on.
    Backup(backup::Options),
    /// Fill an empty database of either kind from a backup.
    Restore(backup::RestoreOptions),
    /// Check on the live database what Kontor promises; fails and prints the rows when something is wrong.
    Doctor(doctor::Options),
    /// Look after stock.
    #[command(subcommand)]
    Stock(stock::Stock),
    /// Fill the database with a demo shop.
    Seed,
    /// Place another shop's order history through the public API, and set the file against what Kontor then holds.
    Replay(replay::Options),
    /// Measure.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Try a way of working on made-up goods and orders.
    #[command(subcommand)]
    Simulate(simulate::Simulate),
    /// Write the OpenAPI documents, or check the committed ones.
    Openapi(openapi::Options),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// What the command says.
    pub fn run(self) -> Result<()> {
        let mut settings = Settings::load(&self.config)?;
        let database_given = self.database_url.is_some();
        if let Some(url) = self.database_url {
            settings.database.url = url;
        }
        match self.command {
            Command::Config => return config::run(&settings),
            Command::Openapi(options) => return openapi::run(&options),
            Command::Simulate(simulate) => return simulate::run(&simulate),
            _ => {}
        }
        if matches!(self.command, Command::Bench(_) | Command::Replay(_))
            && settings.log.filter == Settings::defaults()?.log.filter
        {
            // A line for each of many thousand requests would be measured too, and tear the progress bar apart.
            "warn".clone_into(&mut settings.log.filter);
        }
        start_logging(&settings)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::internal)?;
        runtime.block_on(async move {
            match self.command {
                Command::Serve(options) => serve::serve(settings, &options).await,
                Command::Worker => serve::work(settings).await,
                Command::Migrate => {
                    open(&settings, false, Upkeep::Migrate).map(|_| println!("The database is up to date."))
                }
                Command::Token(options) => token::run(settings, &options).await,
                Command::Reseal(options) => reseal::run(settings, &options).await,
                Command::Backup(options) => backup::backup(settings, &options).await,
                Command::Restore(options) => backup::restore(settings, &options).await,
                Command::Doctor(options) => doctor::run(settings, &options).await,
                Command::Stock(stock) => stock::run(settings, &stock).await,
                Command::Seed => seed::run(settings).await,
                Command::Replay(options) => replay::run(settings, &options).await,
                Command::Bench(bench) => bench::run(settings, &bench, database_given).await,
                Command::Config | Command::Openapi(_) | Command::Simulate(_) => Ok(()),
            }
        })
    }
}

/// Opens the settings' database.
pub(crate) fn open(settings: &Settings, exclusive: bool, upkeep: Upkeep) -> Result<Db> {
    let database = &settings.database;
    Db::open(Options {
        connections: database.connections,
        queue: database.queue,
        exclusive,
        upkeep,
        ..Options::new(database.url.clone())
    })
}

/// Fills an empty database with the demo shop and tells what one needs to try it.
async fn demo_note(state: &crate::http::State) -> Result<String> {
    use crate::{http::auth::Audience, kernel::Scope};
    let key = seed::demo_shop(state).await?;
    let make = |usage, subject, email| token::make(state, usage, subject, Scope::ALL, 24 * 30, email);
    let (staff, client) = (make(Audience::Staff, "demo", None)?, make(Audience::Client, "demo", None)?);
    let customer = make(Audience::Customer, "ada", Some("ada@example.org".to_owned()))?;
    Ok(format!(
        "\nReady-made credentials for the demo shop, good for 30 days (paste them into the explorer's Authorize):\n\n\
         export CHANNEL_KEY={key}\nexport STAFF={staff}\nexport CLIENT={client}\nexport CUSTOMER={customer}\n"
    ))
}

fn start_logging(settings: &Settings) -> Result<()> {
    use tracing_subscriber::EnvFilter;
    let filter =
        EnvFilter::try_new(&settings.log.filter).map_err(|error| Error::internal(format!("log.filter: {error}")))?;
    let logging = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Colours are for people: a file or a collector gets plain text.
    let logging = logging.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    match settings.log.format.as_str() {
        "json" => logging.json().init(),
        _ => logging.init(),
    }
    Ok(())
}
