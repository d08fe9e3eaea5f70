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
    let mut documents = Vec::new();
    for surface in Surface::ALL {
        documents.push((options.folder.join(format!("{}.json", surface.name())), api::openapi_text(surface)?));
    }
    for schema in api::event_schemas() {
        documents.push((options.folder.join("events").join(format!("{}.json", schema.kind)), schema.text()?));
    }
    for (path, text) in documents {
        let file = path.display();
        let cannot = |error| Error::internal(format!("{}: {error}", path.display()));
        if !options.check {
            path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(cannot)?;
            std::fs::write(&path, &text).map_err(cannot)?;
            println!("wrote {file}");
        } else if std::fs::read_to_string(&path).ok().as_deref() != Some(text.as_str()) {
            return Err(Error::internal(format!("{file} is not what the program says: run `kontor openapi`")));
        }
    }
    Ok(())
}
