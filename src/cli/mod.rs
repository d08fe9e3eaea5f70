//! The commands of the program. Each is a module with an `Options` type and a `run` function.

// Commands talk to a terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::{
    config::Settings,
    db::{Db, Options},
    error::{Error, Result},
};

mod config;
mod openapi;
mod serve;
mod token;

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
    /// Print the settings in force, secrets masked.
    Config,
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
        if let Some(url) = self.database_url {
            settings.database.url = url;
        }
        match self.command {
            Command::Config => return config::run(&settings),
            Command::Openapi(options) => return openapi::run(&options),
            _ => {}
        }
        start_logging(&settings)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::internal)?;
        runtime.block_on(async move {
            match self.command {
                Command::Serve(options) => serve::serve(settings, &options).await,
                Command::Worker => serve::work(settings).await,
                Command::Migrate => open(&settings, false).map(|_| println!("The database is up to date.")),
                Command::Token(options) => token::run(settings, &options).await,
                Command::Config | Command::Openapi(_) => Ok(()),
            }
        })
    }
}

/// Opens the settings' database.
pub(crate) fn open(settings: &Settings, exclusive: bool) -> Result<Db> {
    let database = &settings.database;
    Db::open(Options { url: database.url.clone(), connections: database.connections, queue: database.queue, exclusive })
}

/// Fills an empty database with the demo shop and tells what one needs to try it.
async fn demo_note(state: &crate::http::State) -> Result<String> {
    let token =
        token::make(state, crate::http::auth::Audience::Staff, "demo", crate::kernel::Scope::ALL, 24 * 30, None)?;
    Ok(format!("Staff token (paste it into the explorer's Authorize): {token}"))
}

fn start_logging(settings: &Settings) -> Result<()> {
    use tracing_subscriber::EnvFilter;
    let filter =
        EnvFilter::try_new(&settings.log.filter).map_err(|error| Error::internal(format!("log.filter: {error}")))?;
    let logging = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log.format.as_str() {
        "json" => logging.json().init(),
        _ => logging.init(),
    }
    Ok(())
}
