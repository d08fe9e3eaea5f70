//! `kontor openapi`.

use std::path::PathBuf;

use crate::{
    api,
    error::{Error, Result},
    http::openapi::Surface,
};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Compare instead of writing; fails when a committed document differs.
    #[arg(long)]
    check: bool,
    /// The folder of the documents.
    #[arg(long, default_value = "openapi")]
    folder: PathBuf,
}

pub(super) fn run(options: &Options) -> Result<()> {
    if !options.check {
        let cannot = |error| Error::internal(format!("{}: {error}", options.folder.display()));
        std::fs::create_dir_all(&options.folder).map_err(cannot)?;
    }
    for surface in Surface::ALL {
        let path = options.folder.join(format!("{}.json", surface.name()));
        let text = api::openapi_text(surface)?;
        if !options.check {
            std::fs::write(&path, &text).map_err(|error| Error::internal(format!("{}: {error}", path.display())))?;
            println!("wrote {}", path.display());
        } else if std::fs::read_to_string(&path).ok().as_deref() != Some(text.as_str()) {
            let file = path.display();
            return Err(Error::internal(format!("{file} is not what the program serves: run `kontor openapi`")));
        }
    }
    Ok(())
}
