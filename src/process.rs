//! A running process: the state, the server, the work beside it. `kontor serve`, `kontor worker` and tests start it.

use std::{future::Future, net::SocketAddr, net::TcpListener, time::Duration};

use actix_web::dev::ServerHandle;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::{
    abandonment, api, back_in_stock,
    config::Settings,
    connectors,
    db::{Db, Lane, Tx},
    error::{Error, Result},
    events, fulfilment,
    http::{State, idempotency, server},
    imports,
    jobs::Runner,
    kernel::Clock,
};

/// A process that serves, works on jobs, or both.
pub struct Process {
    /// Where it serves; `None` when it does not.
    pub address: Option<SocketAddr>,
    /// What its handlers share.
    pub state: State,
    server: Option<(ServerHandle, JoinHandle<std::io::Result<()>>)>,
    stop_jobs: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    work: Vec<JoinHandle<()>>,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Serve HTTP.
    pub serve: bool,
    /// Work on jobs and schedules.
    pub work: bool,
}

impl Process {
    /// Starts a process over an open database. The listener is bound first, so a taken port is told at once.
    ///
    /// # Errors
    /// When the address is taken or the settings do not fit.
    pub async fn start(db: Db, clock: Clock, mut settings: Settings, roles: Roles) -> Result<Self> {
        let listener = match roles.serve {
            true => Some(bind(&settings.http.listen)?),
            false => None,
        };
        let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        if let Some(address) = address {
            settings.http.listen = address.to_string();
        }
        refuse_half_restored(&db).await?;
        let state = State::new(db, clock, settings).await?;
        let server = match listener {
            Some(listener) => {
                let server = server::serve(listener, state.clone(), api::routes(), api::allows_origin, api::mount)?;
                Some((server.handle(), tokio::spawn(server)))
            }
            None => None,
        };
        let ((stop_jobs, no_jobs), (stop, stopped)) = (watch::channel(false), watch::channel(false));
        let mut work = vec![
            keep_going("reference data", &state, &stopped, keep_fresh),
            keep_going("numbering", &state, &stopped, number),
        ];
        if roles.work {
            work.push(keep_going("dispatching", &state, &stopped, connectors::keep_dispatching));
            work.push(keep_going(
                "jobs",
                &state,
                &no_jobs,
                |state, stop| async move { runner(&state).run(stop).await },
            ));
        }
        Ok(Self { address, state, server, stop_jobs, stop, work })
    }

    /// Stops taking requests and jobs, and lets those in flight and in hand end; both at once, each for as long as
    /// `http.shutdown_seconds` says.
    pub async fn stop(self) {
        self.stop_jobs.send_replace(true);
        if let Some((handle, server)) = self.server {
            handle.stop(true).await;
            if let Ok(Err(error)) = server.await {
                tracing::warn!(%error, "the server ended with an error");
            }
        }
        self.stop.send_replace(true);
        for task in self.work {
            if let Err(error) = task.await {
                tracing::warn!(%error, "a background task ended early");
            }
        }
    }

    /// Waits until the server ends by itself, which it does only when something is wrong.
    pub async fn ended(&mut self) {
        match &mut self.server {
            Some((_, server)) => {
                if let Err(error) = server.await {
                    tracing::error!(%error, "the server ended");
                }
            }
            None => std::future::pending().await,
        }
    }
}

/// Runs something until the process stops. What ends before that (a panic, a defect) is told loudly and begun again: a
/// process that serves and does nothing beside it would look well and let everything wait.
fn keep_going<F: Future<Output = ()> + Send + 'static>(
    name: &'static str,
    state: &State,
    stop: &watch::Receiver<bool>,
    begin: impl Fn(State, watch::Receiver<bool>) -> F + Send + 'static,
) -> JoinHandle<()> {
    let (state, mut stop) = (state.clone(), stop.clone());
    tokio::spawn(async move {
        loop {
            // A task of its own, so that its panic ends there. Dropped with this one, it ends too.
            let mut task = JoinSet::new();
            task.spawn(begin(state.clone(), stop.clone()));
            let ended = task.join_next().await;
            if *stop.borrow() {
                return;
            }
            let why = ended.and_then(Result::err).map_or_else(|| "it returned".to_owned(), |error| error.to_string());
            tracing::error!(name, why, "a background task ended before its time and is begun again");
            tokio::select! {
                () = tokio::time::sleep(RESTART_PAUSE) => {}
                _ = stop.changed() => {}
            }
        }
    })
}

/// How long a background task that broke rests before it is begun again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// A restore that broke off has left a part of a shop, which must not take orders.
async fn refuse_half_restored(db: &Db) -> Result<()> {
    match db.read(events::state).await?.epoch.as_str() {
        crate::db::dump::RESTORING => {
            Err(Error::internal("the database is being restored, or a restore broke off: restore into a new one"))
        }
        _ => Ok(()),
    }
}

fn bind(listen: &str) -> Result<TcpListener> {
    let cannot = |error: std::io::Error| Error::internal(format!("can not listen on {listen}: {error}"));
    let listener = TcpListener::bind(listen).map_err(cannot)?;
    listener.set_nonblocking(true).map_err(cannot)?;
    Ok(listener)
}

/// Everything that is done beside requests, registered in one place.
#[must_use]
pub fn runner(state: &State) -> Runner {
    let jobs = &state.settings.jobs;
    let runner = Runner::new(state.db.clone(), state.clock.clone(), jobs.workers, jobs.lease_seconds);
    let runner = runner.sharing(state.settings.webhooks.workers);
    let mut runner = runner.patient_for(Duration::from_secs(state.settings.http.shutdown_seconds));
    let purger = state.clone();
    runner.every("retention", 600, move |now| {
        let state = purger.clone();
        async move { purge(&state, now).await }
    });
    api::work(state, &mut runner);
    runner
}

/// Drops what is older than the settings say, in small bites.
async fn purge(state: &State, now: crate::kernel::Instant) -> Result<()> {
    const BITE: i64 = 1000;
    let retention = &state.settings.retention;
    let answers = now.plus_seconds(-86_400 * retention.idempotency_days.max(1));
    while state.db.write_in(Lane::Bulk, move |tx| idempotency::purge(tx, answers, BITE)).await? == 1000 {}
    while state.db.write_in(Lane::Bulk, move |tx| imports::purge(tx, answers, BITE)).await? == 1000 {}
    let told = now.plus_seconds(-86_400 * retention.back_in_stock_days.max(1));
    while state.db.write_in(Lane::Bulk, move |tx| back_in_stock::purge(tx, now, told, BITE)).await? == 1000 {}
    if retention.warehouse_days > 0 {
        let ended = now.plus_seconds(-86_400 * retention.warehouse_days);
        while state.db.write_in(Lane::Bulk, move |tx| fulfilment::purge(tx, ended, BITE)).await? == 1000 {}
    }
    if retention.events_days > 0 {
        let before = now.plus_seconds(-86_400 * retention.events_days);
        let end = state.db.read(move |tx| droppable(tx, before)).await?;
        while state.db.write_in(Lane::Bulk, move |tx| events::purge(tx, end, BITE)).await? > 0 {}
    }
    Ok(())
}

/// Up to where events may be dropped: those recorded before an instant, but none that somebody inside has not read yet, or
/// has to bring to another system still. Who polls from outside is told with 410.
fn droppable(tx: &mut Tx, before: crate::kernel::Instant) -> Result<i64> {
    let old = events::position_at(tx, before)? - 1;
    let read = abandonment::read_up_to(tx)?;
    let needed = connectors::read_up_to(tx)?.map_or(read, |delivered| delivered.min(read));
    if needed < old {
        tracing::warn!(old, needed, "events are kept beyond retention.events_days: not all of them have been read");
    }
    Ok(old.min(needed))
}

/// How often the limits forget who has not come for a while.
const TIDY: Duration = Duration::from_secs(60);

/// Looks several times a second whether reference data has changed in another process; and forgets, in each process for
/// itself, who has asked for something a while ago.
async fn keep_fresh(state: State, mut stop: watch::Receiver<bool>) {
    let mut tidied = tokio::time::Instant::now();
    while !*stop.borrow() {
        if tidied.elapsed() > TIDY {
            state.limits.tidy();
            tidied = tokio::time::Instant::now();
        }
        if let Err(error) = state.db.refresh_snapshots().await {
            tracing::warn!(%error, "reference data could not be checked");
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(400)) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Gives events their positions soon after they were committed. Nothing to do on SQLite.
async fn number(state: State, mut stop: watch::Receiver<bool>) {
    if !state.db.numbers_events() {
        // Nothing to do, and no reason to be begun again.
        drop(stop.wait_for(|stopped| *stopped).await);
        return;
    }
    while !*stop.borrow() {
        match state.db.write_quietly(Lane::Interactive, events::number).await {
            // A short pause lets a few commits gather, so that numbering costs little under load.
            Ok(1..) => {
                state.db.announce();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(0) => tokio::select! {
                () = state.db.written(Duration::from_millis(100)) => {}
                _ = stop.changed() => {}
            },
            Err(error) => {
                tracing::warn!(%error, "events could not be numbered");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}
