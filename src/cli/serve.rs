//! `kontor serve` and `kontor worker`.

use crate::{
    config::Settings,
    db::Upkeep,
    error::{Error, Result},
    kernel::Clock,
    process::{Process, Roles},
};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Fill an empty database with a demo shop, and print ready-made tokens.
    #[arg(long)]
    demo: bool,
}

pub(super) async fn serve(settings: Settings, options: &Options) -> Result<()> {
    settings.needs_public_url(true)?;
    settings.needs_key_set()?;
    if settings.auth.development_tokens && settings.auth.jwks_url.is_empty() {
        tracing::warn!("auth.development_tokens is on: whoever has the secret makes tokens that open everything");
    }
    let roles = Roles { serve: true, work: settings.jobs.in_serve };
    let db = super::open(&settings, true, Upkeep::Migrate)?;
    if !roles.work && !db.is_shared() {
        tracing::warn!("jobs.in_serve is off, and beside this process a SQLite file has none: nobody works on jobs");
    }
    let mut process = Process::start(db, Clock::system(), settings, roles).await?;
    let url = process.state.public_url();
    tracing::info!(url, "serving");
    say(&format!("Kontor serves {url}\nExplorer: {url}/docs/\n"));
    if options.demo {
        say(&crate::cli::demo_note(&process.state).await?);
    }
    tokio::select! {
        () = process.ended() => return Err(Error::internal("the server ended")),
        () = told_to_stop() => {}
    }
    tracing::info!("stopping: requests and jobs in hand are finished first");
    process.stop().await;
    Ok(())
}

/// Tells whoever reads; that nobody does any more (`kontor serve | head`) is no reason to stop serving.
fn say(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        tracing::debug!(%error, "standard output is closed");
    }
}

pub(super) async fn work(settings: Settings) -> Result<()> {
    settings.needs_public_url(false)?;
    // A file has one process: beside it there is nothing to be a worker of.
    let db = super::open(&settings, true, Upkeep::Migrate)?;
    let process = Process::start(db, Clock::system(), settings, Roles { serve: false, work: true }).await?;
    tracing::info!("working on jobs");
    told_to_stop().await;
    process.stop().await;
    Ok(())
}

/// Ctrl-C, or SIGTERM as an init system sends it.
async fn told_to_stop() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate => {}
    }
}
