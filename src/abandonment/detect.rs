//! What is done again and again: finding carts that were left alone, and those of them that were ordered after all.

use super::service::{self, Finder};
use crate::{
    carts,
    channels::Directory,
    db::Lane,
    error::Result,
    http::State,
    jobs::Runner,
    kernel::{Id, Instant},
};

/// How many carts are looked at in one transaction.
const BITE: usize = 100;

/// Registers the schedule.
pub fn work(state: &State, runner: &mut Runner) {
    let state = state.clone();
    runner.every("abandonment.detect", 30, move |now| {
        let state = state.clone();
        async move {
            detect(&state, now).await?;
            recover(&state, now).await
        }
    });
}

/// Notes which carts have been left alone for too long.
///
/// # Errors
/// What the database says.
pub async fn detect(state: &State, now: Instant) -> Result<()> {
    if !state.db.read(move |tx| carts::any_abandoned(tx, now)).await? {
        return Ok(());
    }
    let directory = state.db.snapshot::<Directory>().await?;
    loop {
        let finder = Finder {
            secret: state.secret.clone(),
            public_url: state.public_url(),
            directory: directory.clone(),
            fresh: (0..BITE).map(|_| (Id::new(), Id::new())).collect(),
        };
        if state.db.write_in(Lane::Bulk, move |tx| service::detect(tx, now, &finder)).await? < BITE {
            return Ok(());
        }
    }
}

/// Notes which abandoned carts have been ordered since.
///
/// # Errors
/// What the database says.
pub async fn recover(state: &State, now: Instant) -> Result<()> {
    while let Some(ordered) = state.db.read(service::ordered).await? {
        // Only when there is something to tell are those woken who wait for news.
        let noted = state.db.write_quietly(Lane::Bulk, move |tx| service::recover(tx, now, &ordered)).await?;
        match noted {
            None => return Ok(()),
            Some(0) => {}
            Some(_) => state.db.announce(),
        }
    }
    Ok(())
}
