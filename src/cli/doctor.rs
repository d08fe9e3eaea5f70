//! `kontor doctor`.

use crate::{
    config::Settings,
    db::{Db, Upkeep},
    doctor,
    error::{Error, Result},
};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Print the findings as JSON, one per line.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(settings: Settings, options: &Options) -> Result<()> {
    let db = super::open(&settings, false, Upkeep::Nothing)?;
    let findings = doctor::examine(&db, |rule| {
        if !options.json {
            println!("promise {}: {}", rule.promise, rule.name);
        }
    });
    let findings = findings.await?;
    for finding in &findings {
        if options.json {
            println!("{}", serde_json::to_string(finding)?);
        } else {
            println!("{finding}");
        }
    }
    match findings.len() {
        0 => {
            if !options.json {
                println!("Nothing is wrong.");
            }
            Ok(())
        }
        count => Err(Error::internal(format!("{count} findings"))),
    }
}

/// Examines a database after much has been done to it, and says in one line that nothing is wrong.
///
/// # Errors
/// What is wrong, or what the database says.
pub(super) async fn assure(db: &Db) -> Result<()> {
    let findings = doctor::examine(db, |_| {}).await?;
    findings.iter().for_each(|finding| println!("{finding}"));
    match findings.len() {
        0 => println!("doctor        nothing is wrong"),
        count => return Err(Error::internal(format!("the doctor has {count} findings"))),
    }
    Ok(())
}
