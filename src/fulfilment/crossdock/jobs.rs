//! Docks are planned beside requests: what was ordered or announced meanwhile is matched within a minute.

use std::sync::Arc;

use super::service::{self, Doing};
use crate::{
    db::{Lane, Snapshot},
    fulfilment::Fresh,
    http::State,
    jobs::Runner,
    kernel::Actor,
    stock::Locations,
};

const PLANNER: Actor = Actor::System("docks");

/// Registers it.
pub fn work(state: &State, runner: &mut Runner) {
    let db = Arc::new(state.db.clone());
    runner.every("crossdock.plan", 60, move |now| {
        let db = db.clone();
        async move {
            // One transaction per dock: a dock that is busy holds up no other.
            for dock in db.read(service::hubs).await? {
                let fresh = Fresh::new();
                db.write_in(Lane::Bulk, move |tx| {
                    let locations = Locations::load(tx)?;
                    let doing = Doing { now, actor: &PLANNER, locations: &locations };
                    service::plan(tx, doing, &mut fresh.draw(), dock).map(|_| ())
                })
                .await?;
            }
            Ok(())
        }
    });
}
