//! `kontor stock`: looking after stock.

use clap::Subcommand;

use crate::{
    config::Settings,
    db::{Db, Upkeep},
    error::{Error, Result},
    kernel::{Actor, Clock, Id, ids::EventId},
    stock::{
        LevelKey,
        repair::{self, Difference, Trust},
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum Stock {
    /// Show the levels that are not the sums of their movements and live reservations; with --yes, repair them. The shop may go on
    /// meanwhile. Each repair is a movement that tells what was found.
    Repair(Repair),
}

#[derive(Debug, clap::Args)]
pub(super) struct Repair {
    /// Repair what is found. Without it nothing is changed.
    #[arg(long)]
    yes: bool,
    /// Take the levels for right, and make up for the difference with movements; otherwise levels are set to what their movements
    /// and live reservations say.
    #[arg(long)]
    keep_levels: bool,
    /// Print what is found as JSON, one per line.
    #[arg(long)]
    json: bool,
}

/// So many variants are looked at in one snapshot.
const CHUNK: i64 = 1000;
/// So many levels are repaired, and so locked, at once.
const BITE: usize = 100;

pub(super) async fn run(settings: Settings, stock: &Stock) -> Result<()> {
    let Stock::Repair(options) = stock;
    let db = super::open(&settings, false, Upkeep::Nothing)?;
    let found = look(&db).await?;
    if !options.yes {
        found.iter().try_for_each(|one| print(one, "differs", options.json))?;
        return match found.len() {
            0 if options.json => Ok(()),
            0 => {
                println!("Nothing is to be repaired.");
                Ok(())
            }
            count => Err(Error::internal(format!("{count} levels differ; --yes repairs them"))),
        };
    }
    let mut repaired = 0;
    for some in found.chunks(BITE) {
        let done = mend(&db, some, options.keep_levels).await?;
        done.iter().try_for_each(|one| print(one, "repaired", options.json))?;
        repaired += done.len();
    }
    if !options.json {
        println!("{repaired} levels repaired.");
    }
    Ok(())
}

async fn look(db: &Db) -> Result<Vec<Difference>> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (some, next) = db.read(move |tx| repair::differences(tx, after, CHUNK)).await?;
        found.extend(some);
        match next {
            Some(next) => after = Some(next),
            None => return Ok(found),
        }
    }
}

async fn mend(db: &Db, found: &[Difference], keep_levels: bool) -> Result<Vec<Difference>> {
    let now = Clock::system().now();
    let trust = if keep_levels { Trust::Level } else { Trust::Ledger };
    let keys: Vec<LevelKey> = found.iter().map(|one| (one.variant_id, one.location_id)).collect();
    let fresh: Vec<EventId> = keys.iter().map(|_| Id::new()).collect();
    db.write(move |tx| repair::repair(tx, now, &Actor::System("repair"), &keys, trust, &fresh)).await
}

fn print(one: &Difference, what: &str, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(one)?);
        return Ok(());
    }
    let Difference { variant_id, location_id, on_hand, allocated, reserved } = one;
    println!(
        "{what}: {variant_id} at {location_id}: on hand {} and by its movements {}, allocated {} and {}, reserved {} and by its \
         reservations {}",
        on_hand.0, on_hand.1, allocated.0, allocated.1, reserved.0, reserved.1
    );
    Ok(())
}
