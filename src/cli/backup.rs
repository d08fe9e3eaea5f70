//! `kontor backup` and `kontor restore`.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    config::Settings,
    db::dump,
    error::{Error, Result},
    kernel::Clock,
};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The file: gzipped NDJSON, such as `kontor-2026-03-01.ndjson.gz`.
    file: PathBuf,
}

pub(super) async fn backup(settings: Settings, options: &Options) -> Result<()> {
    let db = super::open(&settings, false)?;
    let bar = bar()?;
    let shown = bar.clone();
    let header =
        dump::backup(&db, Clock::system().now(), &options.file, move |done, all| show(&shown, done, all)).await?;
    bar.finish_and_clear();
    println!("{} rows in {}", header.rows(), options.file.display());
    Ok(())
}

pub(super) async fn restore(settings: Settings, options: &Options) -> Result<()> {
    // Nobody serves from the file while it is filled.
    let db = super::open(&settings, true)?;
    let bar = bar()?;
    let epoch = dump::restore(&db, &options.file, |done, all| show(&bar, done, all)).await?;
    bar.finish_and_clear();
    println!("restored from {}; the log goes on in epoch {epoch}", options.file.display());
    println!("Cursors given out before get 409 log_epoch_changed. Run `kontor doctor` now.");
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
