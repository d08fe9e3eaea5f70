//! A running process: the state, the server, the work beside it. `kontor serve`, `kontor worker` and tests start it.

use std::{net::SocketAddr, net::TcpListener, time::Duration};

use actix_web::dev::ServerHandle;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    api,
    config::Settings,
    connectors,
    db::{Db, Lane},
    error::{Error, Result},
    events,
    http::{State, idempotency, server},
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
        let (stop, stopped) = watch::channel(false);
        let mut work = vec![
            tokio::spawn(keep_fresh(state.clone(), stopped.clone())),
            tokio::spawn(number(state.clone(), stopped.clone())),
        ];
        if roles.work {
            work.push(tokio::spawn(connectors::keep_dispatching(state.clone(), stopped.clone())));
            work.push(tokio::spawn(runner(&state).run(stopped)));
        }
        Ok(Self { address, state, server, stop, work })
    }

    /// Stops taking requests, lets those in flight end, then the jobs in hand.
    pub async fn stop(self) {
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
    let mut runner = Runner::new(state.db.clone(), state.clock.clone(), jobs.workers, jobs.lease_seconds);
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
    if retention.events_days > 0 {
        let events_before = now.plus_seconds(-86_400 * retention.events_days);
        while state.db.write_in(Lane::Bulk, move |tx| events::purge(tx, events_before, BITE)).await? > 0 {}
    }
    Ok(())
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
    if state.db.variant() == crate::db::Variant::Sqlite {
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
