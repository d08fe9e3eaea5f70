//! `kontor backup` and `kontor restore`.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    config::Settings,
    connectors,
    db::{Tx, Upkeep, dump},
    doctor,
    error::{Error, Result},
    kernel::Clock,
};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The file: gzipped NDJSON, such as `kontor-2026-03-01.ndjson.gz`.
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct RestoreOptions {
    /// The file: gzipped NDJSON, such as `kontor-2026-03-01.ndjson.gz`.
    file: PathBuf,
    /// Let the connectors that were active go on as soon as the shop is served, as after a loss. Without it they are paused:
    /// a copy must not send to the systems of the original.
    #[arg(long)]
    keep_connectors: bool,
}

pub(super) async fn backup(settings: Settings, options: &Options) -> Result<()> {
    let db = super::open(&settings, false, Upkeep::Nothing)?;
    let bar = bar()?;
    let shown = bar.clone();
    let progress = move |done, all| show(&shown, done, all);
    let now = Clock::system().now();
    let (header, findings) = dump::backup_and(&db, now, &options.file, doctor::examine_snapshot, progress).await?;
    bar.finish_and_clear();
    // Read back from the disk: what can not be read is no backup.
    dump::verify(&options.file)?;
    println!("{} rows in {}, read back", header.rows(), options.file.display());
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("The doctor finds nothing wrong with it.");
            Ok(())
        }
        count => Err(Error::internal(format!("the backup is whole, but what it holds is not: {count} findings"))),
    }
}

pub(super) async fn restore(settings: Settings, options: &RestoreOptions) -> Result<()> {
    // Before there is a database: an empty one would be served as a new shop.
    dump::verify(&options.file)?;
    // Nobody serves from the file while it is filled.
    let db = super::open(&settings, true, Upkeep::Make)?;
    let bar = bar()?;
    let (now, keep) = (Clock::system().now(), options.keep_connectors);
    let last = move |tx: &mut Tx| if keep { Ok(0) } else { connectors::pause_all(tx, now, "restored from a backup") };
    let (epoch, paused) = dump::restore_and(&db, &options.file, last, |done, all| show(&bar, done, all)).await?;
    bar.finish_and_clear();
    println!("restored from {}; the log goes on in epoch {epoch}", options.file.display());
    println!("Cursors given out before get 409 log_epoch_changed. Run `kontor doctor` now.");
    println!(
        "A legal entity that writes invoices issues none before it is given another `series`, and another `credit_series`."
    );
    if paused > 0 {
        println!(
            "{paused} connectors are paused, so that a copy does not send to the original's systems: let each go on with"
        );
        println!("PATCH /v1/ops/connectors/{{id}} {{\"state\": \"active\"}}, or restore with --keep-connectors.");
    }
    Ok(())
}

fn bar() -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} rows, {eta} left");
    Ok(ProgressBar::new(0).with_style(style.map_err(Error::internal)?))
}

fn show(bar: &ProgressBar, done: u64, all: u64) {
    bar.set_length(all);
    bar.set_position(done);
}
