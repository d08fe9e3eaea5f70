//! From the log to dispatches: what each connector's cursor has not passed yet becomes dispatches and jobs.

use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use super::{
    model::Kept,
    ports::CUSTOMERS,
    registry, replay,
    store::{self, NewDispatch},
};
use crate::{
    channels::Directory,
    db::{Lane, Tx},
    error::Result,
    events::{self, Event, Filter},
    http::State,
    jobs::{self, NewJob},
    kernel::{Instant, ids::ConnectorId},
};

/// How many events of the log are looked at in one step.
const BITE: i64 = 500;

/// Dispatches until told to stop: soon after something was written here, and several times a second for what other
/// processes write.
pub async fn keep_dispatching(state: State, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        if let Err(error) = dispatch(&state).await {
            tracing::warn!(%error, "events could not be dispatched; the next turn tries again");
        }
        tokio::select! {
            () = state.db.written(Duration::from_millis(250)) => {}
            _ = stop.changed() => {}
        }
        // A short pause lets a few commits gather, so that looking costs little under load.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Makes dispatches of everything in the log that active connectors have not been given. Returns how many.
///
/// Any number of processes may do so at once: a bite counts for the one that moves the cursor.
///
/// # Errors
/// What the database says.
pub async fn dispatch(state: &State) -> Result<usize> {
    let behind = state.db.read(|tx| {
        let log = events::state(tx)?;
        Ok((store::behind(tx, log.last)?, log.dropped))
    });
    let (behind, dropped) = behind.await?;
    let mut made = 0;
    for mut connector in behind {
        if connector.position < dropped {
            // Paused for long, or made while old events were being dropped: what it has missed must not go unsaid.
            let (now, name) = (state.clock.now(), connector.name.clone());
            if state.db.write_in(Lane::Bulk, move |tx| store::lose(tx, now, &connector, dropped)).await? {
                tracing::error!(connector = name, dropped, "a connector is paused: events it had not read are gone");
            }
            continue;
        }
        while let Some((position, count)) = bite(state, &connector).await? {
            made += count;
            connector.position = position;
        }
    }
    Ok(made)
}

/// One bite for one connector: the new cursor and the number of dispatches; `None` when there is nothing more, or when
/// somebody else has moved the cursor.
async fn bite(state: &State, connector: &Kept) -> Result<Option<(i64, usize)>> {
    let (types, after) =
        (connector.setup.types.iter().map(ToString::to_string).collect::<Vec<_>>(), connector.position);
    let (found, seen) = state.db.read(move |tx| events::read_after(tx, after, &types, BITE)).await?;
    if seen == after {
        return Ok(None);
    }
    let wanted = wanted(state, connector, found).await?;
    let (connector, count, now) = (connector.clone(), wanted.len(), state.clock.now());
    let moved = state.db.write_in(Lane::Bulk, move |tx| {
        // While a stretch is being sent again, what follows it waits: it would come before what it follows.
        let key = replay::key(connector.id);
        if !store::is_as_seen_locked(tx, &connector)? || jobs::is_queued(tx, &key)? {
            return Ok(false);
        }
        store::advance(tx, connector.id, seen)?;
        write(tx, now, &connector, &wanted)?;
        Ok(true)
    });
    Ok(moved.await?.then_some((seen, count)))
}

/// Those events that the connector is to get, each as a dispatch about to be written.
pub(super) async fn wanted(state: &State, connector: &Kept, found: Vec<Event>) -> Result<Vec<NewDispatch>> {
    let filter = filter(state, connector, &found).await?;
    // What a connector only reads from is told nothing.
    let sends = connector.setup.direction.sends();
    Ok(found.iter().filter(|event| sends && filter.wants(event)).map(NewDispatch::of).collect())
}

/// What a connector is to get, as far as these events are concerned.
pub(super) async fn filter(state: &State, connector: &Kept, found: &[Event]) -> Result<Filter> {
    let mut directory = state.db.snapshot::<Directory>().await?;
    if found.iter().filter_map(|event| event.channel_id).any(|channel| !directory.knows(channel)) {
        // The channel is younger than what is in memory: whether it is a test channel must be known.
        state.db.refresh_snapshots().await?;
        directory = state.db.snapshot::<Directory>().await?;
    }
    let setup = &connector.setup;
    // A connector whose adapter is gone is told of everything: its deliveries say what is wrong.
    let takes_customers = registry::find(&connector.adapter).map_or(true, |adapter| adapter.customer_sink.is_some());
    Ok(Filter {
        types: setup.types.iter().map(ToString::to_string).collect(),
        without: if takes_customers { Vec::new() } else { CUSTOMERS.to_vec() },
        channels: setup.channels.clone(),
        left_out: if setup.include_test { Default::default() } else { directory.test_channels() },
        locations: None,
        // What it has brought itself it knows.
        not_by: Some(super::pull::reporter(connector).label()),
    })
}

/// Writes dispatches and the jobs that deliver them: two statements for any number.
pub(super) fn write(tx: &mut Tx, now: Instant, connector: &Kept, new: &[NewDispatch]) -> Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    let written = store::insert_dispatches(tx, now, connector.id, new)?;
    let jobs = new.iter().filter_map(|new| {
        let dispatch = written.get(&new.job)?;
        let job = NewJob::now(super::delivery::KIND, now, json!({"dispatch": dispatch}));
        let job = NewJob { id: new.job, max_attempts: connector.setup.max_attempts, ..job };
        Some(job.in_order(ordering_key(connector.id, &new.stream)).in_lane(lane(connector.id)))
    });
    jobs::enqueue(tx, now, jobs.collect())
}

/// Jobs of one connector and stream run one after another.
pub(super) fn ordering_key(connector: ConnectorId, stream: &str) -> String {
    format!("{}{stream}", key_prefix(connector))
}

/// Deliveries of one connector share the workers with those of the others.
pub(super) fn lane(connector: ConnectorId) -> String {
    connector.to_string()
}

/// What the ordering keys of a connector's jobs begin with.
pub(super) fn key_prefix(connector: ConnectorId) -> String {
    format!("{connector}:")
}
