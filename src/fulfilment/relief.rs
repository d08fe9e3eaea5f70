//! Work that its location can not do: it is switched off, or has more due today than it can take. What is not picked is planned anew; what is
//! picked stays.
//!
//! Each fulfilment order is a transaction of its own, which looks again under the lock of its order: what is picked, moved or cancelled
//! meanwhile is left alone. What is too much and goes nowhere else stays, and is looked at again after a while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    dropship,
    ids::Fresh,
    loads,
    model::{Command, Counts},
    moves::{Moved, OnShelf, Replan, replan_locked},
    service::start,
};
use crate::{
    channels::Directory,
    db::{Lane, Tx},
    error::{Code, Error, Result},
    http::State,
    jobs::Runner,
    kernel::{
        Actor, Instant,
        ids::{FulfilmentOrderId, LocationId},
    },
    orders::OrderState,
    stock::Locations,
};

/// Who plans anew.
const ACTOR: Actor = Actor::System("relief");
/// So often it is looked.
const EVERY_SECONDS: i64 = 60;
/// So many are planned anew in one turn of each sort; the next comes soon.
const MOST: i64 = 200;

/// What goes nowhere else is left alone for so long: others have their turn.
const AGAIN_SECONDS: i64 = 1_800;

/// What went nowhere else, and when that was seen. It is kept by the process: another that does not know looks once more.
type Tried = Arc<Mutex<HashMap<FulfilmentOrderId, Instant>>>;

/// Registers the schedule.
pub(super) fn register(state: &State, runner: &mut Runner) {
    let (state, tried) = (Arc::new(state.clone()), Tried::default());
    runner.every("fulfilment.relieve", EVERY_SECONDS, move |now| {
        let (state, tried) = (state.clone(), tried.clone());
        async move {
            let locations = state.db.snapshot::<Locations>().await?;
            switched_off(&state, now, &locations).await?;
            overloaded(&state, now, &locations, &tried).await
        }
    });
}

/// Plans anew what locations have to do that are switched off; nothing where all are.
async fn switched_off(state: &State, now: Instant, locations: &Arc<Locations>) -> Result<()> {
    let off: Vec<LocationId> = locations.iter().filter(|one| !one.active).map(|one| one.id).collect();
    if off.is_empty() || locations.active().next().is_none() {
        return Ok(());
    }
    for id in state.db.read(move |tx| loads::unpicked_at(tx, &off, MOST)).await? {
        let what = Replan { reason: Some("its location is switched off".to_owned()), ..Replan::default() };
        relieve(state, now, locations, id, what).await?;
    }
    Ok(())
}

/// Plans anew what locations have due today beyond what they can take in a day, where it lies at others that can: what is least urgent
/// first.
async fn overloaded(state: &State, now: Instant, locations: &Arc<Locations>, tried: &Tried) -> Result<()> {
    let today = loads::counted(locations, now);
    if today.is_empty() || locations.active().count() < 2 {
        return Ok(());
    }
    let wanted: Vec<(LocationId, Instant, Instant)> =
        today.iter().map(|one| (one.location, one.begins, one.ends)).collect();
    let due = state.db.read(move |tx| loads::due_within(tx, &wanted)).await?;
    // How many each can take yet; of others nobody knows a limit.
    let room =
        |one: &loads::Today| Some((one.location, one.most? - due.get(&one.location).copied().unwrap_or_default()));
    let mut room: HashMap<LocationId, i64> = today.iter().filter_map(room).collect();
    for one in &today {
        let over = room.get(&one.location).copied().unwrap_or_default().saturating_neg().min(MOST);
        if over <= 0 {
            continue;
        }
        let (location, ends) = (one.location, one.ends);
        let known = untried(tried, now, &[]).1;
        let found =
            state.db.read(move |tx| loads::least_urgent(tx, location, ends, over.saturating_add(known))).await?;
        let (mut untried, _) = untried(tried, now, &found);
        untried.truncate(usize::try_from(over).unwrap_or_default());
        for id in untried {
            let mut exclude: Vec<LocationId> = room.iter().filter(|(_, room)| **room <= 0).map(|(id, _)| *id).collect();
            exclude.sort_unstable();
            let what = Replan {
                exclude,
                reason: Some("its location can take no more today".to_owned()),
                on_shelf: Some(OnShelf { before: None, partly: false }),
                ..Replan::default()
            };
            let Some(moved) = relieve(state, now, locations, id, what).await? else { continue };
            if moved.moved_to.is_empty() {
                tried.lock().unwrap_or_else(PoisonError::into_inner).insert(id, now);
            }
            for new in moved.moved_to.iter().filter(|new| new.location_id != location) {
                room.entry(new.location_id).and_modify(|room| *room -= 1);
            }
        }
    }
    Ok(())
}

/// Those of them that were not tried lately, and how many were.
fn untried(tried: &Tried, now: Instant, found: &[FulfilmentOrderId]) -> (Vec<FulfilmentOrderId>, i64) {
    let mut tried = tried.lock().unwrap_or_else(PoisonError::into_inner);
    tried.retain(|_, at| now.seconds_since(*at) < AGAIN_SECONDS);
    let untried = found.iter().copied().filter(|id| !tried.contains_key(id)).collect();
    (untried, i64::try_from(tried.len()).unwrap_or(i64::MAX))
}

/// Plans one of them anew; nothing where it is not to be done any more.
async fn relieve(
    state: &State,
    now: Instant,
    locations: &Arc<Locations>,
    id: FulfilmentOrderId,
    what: Replan,
) -> Result<Option<Moved>> {
    let (directory, fresh) = (state.db.snapshot::<Directory>().await?, Fresh::new());
    let locations = locations.clone();
    let done = state.db.write_in(Lane::Bulk, move |tx| plan(tx, now, &fresh, id, (&what, &locations, &directory)));
    match done.await {
        Ok(moved) => Ok(moved),
        // It was picked, cancelled or moved meanwhile.
        Err(Error::Problem(problem))
            if matches!(problem.code, Code::QuantityExceeded | Code::StateConflict | Code::NotFound) =>
        {
            Ok(None)
        }
        // One that fails keeps none of the others waiting; its next turn tries it again.
        Err(error) => {
            tracing::warn!(fulfilment_order = %id, %error, "work that its location can not do could not be planned anew");
            Ok(None)
        }
    }
}

fn plan(
    tx: &mut Tx,
    now: Instant,
    fresh: &Fresh,
    id: FulfilmentOrderId,
    (what, locations, directory): (&Replan, &Locations, &Directory),
) -> Result<Option<Moved>> {
    let (mut order, mut work) = start(tx, &ACTOR, id)?;
    let unpicked = work.state.is_open() && work.counts().any(|counts: &Counts| counts.left_for(Command::Move) > 0);
    if order.state != OrderState::Placed || !unpicked || !work.holds.is_empty() || work.cancel_request.is_some() {
        return Ok(None);
    }
    // What a supplier has said of it stays said.
    dropship::unanswered(tx, &[id])?;
    let what =
        Replan { later: directory.get(order.channel_id)?.settings.due_hours.is_none(), review: true, ..what.clone() };
    let both = (&mut order, &mut work);
    replan_locked(tx, now, (&ACTOR, Command::Move), &mut fresh.draw(), both, (&what, locations)).map(Some)
}
