//! What changes at far ends: read every so often, and booked as what other systems report themselves.
//!
//! A pull notes in one transaction how far it has read and what is to be booked; each change is a job of its own, in the order of
//! what it is about. So nothing is lost between, what can not be booked is a dead letter that somebody sees, and it stops nothing
//! else. A change that is read twice is booked once: the far end's own name of it is its key.

use std::collections::HashMap;

use diesel::sql_types::{Nullable, Text};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    breakers,
    delivery::Line,
    dispatcher,
    erp::Place,
    links,
    mapping::Mapping,
    mappings,
    model::{ConnectorState, Kept},
    network::Network,
    ports::{Change, ChangeSource, Pulled, What},
    sending::BreakerState,
    store,
    wire::Stop,
};
use crate::{
    db::{Doc, DocSql, InstantSql, Lane, Tx, UidSql, sql},
    error::{Error, Result},
    http::State,
    imports::{Telling, Told},
    jobs::{self, Job, NewJob, Runner, Verdict},
    kernel::{
        Actor, Instant, Scope,
        actor::Principal,
        ids::{ConnectorId, OrderId},
    },
};

/// The kind of the jobs that book a change.
pub const KIND: &str = "connector.apply";
/// How often far ends are asked.
const EVERY_SECONDS: i64 = 15;

/// What a job books.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Payload {
    connector: ConnectorId,
    change: Change,
}

/// What is known of a connector's pulls.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PullView {
    /// When the far end was last asked.
    pub pulled_at: Instant,
    /// What went wrong then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Registers what connectors read.
pub(super) fn register(state: &State, runner: &mut Runner) {
    let shared = state.clone();
    runner.every("connectors.pull", EVERY_SECONDS, move |_| {
        let state = shared.clone();
        async move { pull_all(&state).await }
    });
    let shared = state.clone();
    runner.handle(KIND, move |job| {
        let state = shared.clone();
        async move { apply(&state, job).await }
    });
}

/// Asks the far ends of all active connectors that read from theirs. One that fails stops none of the others.
///
/// # Errors
/// What the database says.
pub async fn pull_all(state: &State) -> Result<()> {
    let read = |tx: &mut Tx| Ok((store::list(tx, None, i64::MAX)?, breakers::all(tx)?));
    let (all, breakers) = state.db.read(read).await?;
    let now = state.clock.now();
    let in_peace = |id| breakers.get(&id).is_some_and(|breaker| breaker.state(now) == BreakerState::Open);
    let due = all.into_iter().filter(|one| one.state == ConnectorState::Active && !in_peace(one.id));
    for connector in due {
        let source = super::registry::find(&connector.adapter).ok().and_then(|adapter| adapter.change_source);
        if let Some(source) = source.filter(|_| connector.setup.direction.reads()) {
            pull(state, &connector, source).await?;
        }
    }
    Ok(())
}

/// How far a connector has read.
fn cursor(tx: &mut Tx, id: ConnectorId) -> Result<Option<Value>> {
    let query = sql("SELECT cursor FROM connector_pulls WHERE connector_id = ?").bind(id);
    Ok(query.first::<DocSql, Doc<Value>>(tx)?.map(|Doc(cursor)| cursor))
}

/// Has a connector whose far end may have gone back to a backup read again what has changed since an instant: what it has read before
/// may have been given numbers anew. The connector's row is locked.
pub(super) fn look_again(tx: &mut Tx, id: ConnectorId, since: Instant) -> Result<()> {
    let Some(mut known) = cursor(tx, id)? else { return Ok(()) };
    for place in
        known.get_mut("places").and_then(Value::as_object_mut).into_iter().flat_map(|places| places.values_mut())
    {
        let Ok(before) = serde_json::from_value::<Place>(place.clone()) else { continue };
        *place = serde_json::to_value(Place { at: before.at.map(|at| at.min(since)), seen: Vec::new() })?;
    }
    let update = "UPDATE connector_pulls SET cursor = ? WHERE connector_id = ?";
    sql(update).bind(Doc(known)).bind(id).execute(tx).map(|_| ())
}

/// When each connector has last read, and what went wrong.
pub(super) fn views(tx: &mut Tx) -> Result<HashMap<ConnectorId, PullView>> {
    type Row = (ConnectorId, Instant, Option<String>);
    let query = sql("SELECT connector_id, pulled_at, error FROM connector_pulls");
    let rows = query.load::<(UidSql, InstantSql, Nullable<Text>), Row>(tx)?;
    Ok(rows.into_iter().map(|(id, pulled_at, error)| (id, PullView { pulled_at, error })).collect())
}

/// Asks one far end until it has told all that it has.
async fn pull(state: &State, connector: &Kept, source: &'static dyn ChangeSource) -> Result<()> {
    loop {
        let of = connector.clone();
        let (before, own) = state.db.read(move |tx| Ok((cursor(tx, of.id)?, mappings::current(tx, &of)?))).await?;
        let from = before.clone().unwrap_or(Value::Null);
        let pulled = ask(state, connector, own.as_ref(), source, &from).await;
        let (now, id) = (state.clock.now(), connector.id);
        match pulled {
            Ok(pulled) => {
                let more = pulled.more;
                let noted =
                    state.db.write_in(Lane::Bulk, move |tx| note(tx, now, id, before.as_ref(), &pulled)).await?;
                if !noted || !more {
                    return Ok(());
                }
            }
            Err(stop) => {
                tracing::warn!(connector = connector.name, error = stop.error, "a far end could not be read");
                return state.db.write_in(Lane::Bulk, move |tx| failed(tx, now, id, &stop.error)).await;
            }
        }
    }
}

async fn ask(
    state: &State,
    connector: &Kept,
    own: Option<&Mapping>,
    source: &'static dyn ChangeSource,
    from: &Value,
) -> Result<Pulled, Stop> {
    let line = Line::to(state, connector, own)?;
    let network = Network::new(state)?;
    source.pull(line.target(connector, &network, state.clock.now()), from).await
}

/// Notes how far a connector has read, and what is to be booked. False when somebody else has read on meanwhile.
fn note(tx: &mut Tx, now: Instant, id: ConnectorId, before: Option<&Value>, pulled: &Pulled) -> Result<bool> {
    // The connector's row is everybody's lock: of two who have read from the same place, one notes it.
    if store::position_locked(tx, id)?.is_none() || cursor(tx, id)?.as_ref() != before {
        return Ok(false);
    }
    let upsert = "INSERT INTO connector_pulls (connector_id, cursor, pulled_at) VALUES (?, ?, ?) \
                  ON CONFLICT (connector_id) DO UPDATE SET cursor = excluded.cursor, pulled_at = excluded.pulled_at, error = NULL";
    sql(upsert).bind(id).bind(Doc(pulled.cursor.clone())).bind(now).execute(tx)?;
    let job = |change: &Change| {
        let payload = serde_json::to_value(Payload { connector: id, change: change.clone() })?;
        let key = format!("{}in:{}", dispatcher::key_prefix(id), change.about.value);
        Ok(NewJob::now(KIND, now, payload).in_order(key))
    };
    jobs::enqueue(tx, now, pulled.changes.iter().map(job).collect::<Result<_>>()?)?;
    Ok(true)
}

fn failed(tx: &mut Tx, now: Instant, id: ConnectorId, error: &str) -> Result<()> {
    let upsert = "INSERT INTO connector_pulls (connector_id, cursor, pulled_at, error) VALUES (?, ?, ?, ?) \
                  ON CONFLICT (connector_id) DO UPDATE SET pulled_at = excluded.pulled_at, error = excluded.error";
    let error: String = error.chars().take(1000).collect();
    // Where the first try fails the next begins where it would have.
    let begin = serde_json::json!({"begin": now});
    sql(upsert).bind(id).bind(Doc(begin)).bind(now).bind(error).execute(tx).map(|_| ())
}

/// Who books what a connector brings: a machine that may write back and nothing else, in the connector's channels.
pub(super) fn reporter(of: &Kept) -> Actor {
    Actor::Client(Principal {
        subject: of.id.to_string(),
        credential: None,
        scopes: vec![Scope::WritebackWrite],
        channels: of.setup.channels.clone(),
        locations: None,
        money_ceiling: None,
        countersigned: false,
        key: None,
    })
}

/// Books one change.
async fn apply(state: &State, job: Job) -> Result<Verdict> {
    let Payload { connector, change }: Payload = serde_json::from_value(job.payload.clone())?;
    let found = state.db.read({
        let about = change.about.clone();
        move |tx| {
            let Some(kept) = store::find(tx, connector)? else { return Ok(None) };
            Ok(Some((kept, links::behind(tx, connector, &about.kind, &about.value)?)))
        }
    });
    // Without its connector nobody waits for it.
    let Some((kept, link)) = found.await? else { return Ok(Verdict::Done) };
    let Some(order) =
        link.filter(|link| link.object == "order").and_then(|link| link.object_id.parse::<OrderId>().ok())
    else {
        // It is not about an order of ours: the far end has others too. Or what we have made there is not noted yet.
        return Ok(match job.attempt {
            1 => Verdict::Retry { error: "it is linked to no order of ours".to_owned(), after_seconds: Some(60) },
            _ => Verdict::Done,
        });
    };
    if let What::Unclear { reason } = change.what {
        return Ok(Verdict::Dead { error: reason });
    }
    let now = state.clock.now();
    let telling = Telling::new(reporter(&kept), now, order, (&connector.to_string(), &change.name), told(change.what)?);
    let booked = state.db.write_in(Lane::Bulk, move |tx| {
        job.finish(tx)?;
        telling.book(tx).map(|_| ())
    });
    match booked.await {
        Ok(()) => Ok(Verdict::Settled),
        // What does not fit the order as it is, somebody has to look at; no other try would help.
        Err(Error::Problem(problem))
            if (400..500).contains(&problem.code.status()) && problem.code != crate::error::Code::LeaseLost =>
        {
            Ok(Verdict::Dead { error: format!("{}: {}", problem.code.as_str(), problem.detail) })
        }
        Err(error) => Err(error),
    }
}

fn told(what: What) -> Result<Told> {
    match what {
        What::Left { lines, carrier, tracking_number, at } => Ok(Told::Left { lines, carrier, tracking_number, at }),
        What::Invoiced { amount, at } => Ok(Told::Invoiced { amount, at }),
        What::Unclear { reason } => Err(Error::internal(reason)),
    }
}
