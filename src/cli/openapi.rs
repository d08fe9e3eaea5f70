//! `kontor openapi`.

use std::path::{Path, PathBuf};

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
    let known: Vec<PathBuf> = documents.iter().map(|(path, _)| path.clone()).collect();
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
    for left in leftovers(&options.folder, &known)? {
        if options.check {
            return Err(Error::internal(format!(
                "{} is of no surface and no event: run `kontor openapi`",
                left.display()
            )));
        }
        std::fs::remove_file(&left).map_err(|error| Error::internal(format!("{}: {error}", left.display())))?;
        println!("removed {}", left.display());
    }
    Ok(())
}

/// Documents that lie in the folder and that the program does not know: of an event that is gone, a surface renamed.
fn leftovers(folder: &Path, known: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut left = Vec::new();
    for folder in [folder.to_owned(), folder.join("events")] {
        let cannot = |error| Error::internal(format!("{}: {error}", folder.display()));
        for entry in std::fs::read_dir(&folder).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            let is_document = path.extension().is_some_and(|extension| extension == "json");
            if is_document && !known.contains(&path) {
                left.push(path);
            }
        }
    }
    left.sort();
    Ok(left)
}
