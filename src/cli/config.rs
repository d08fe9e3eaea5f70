//! `kontor config`.

use crate::{config::Settings, error::Result};

pub(super) fn run(settings: &Settings) -> Result<()> {
    print!("{}", settings.masked()?);
    Ok(())
}
