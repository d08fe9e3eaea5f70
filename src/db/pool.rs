//! A small pool of connections, used from async code, run off the async threads.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Semaphore;

use super::{conn::Conn, dialect};
use crate::error::{Code, Error, Result};

type Open = dyn Fn() -> Result<Conn> + Send + Sync;

/// Up to `size` connections, opened when first needed, dropped when they break.
#[derive(Clone)]
pub(super) struct Pool {
    open: Arc<Open>,
    idle: Arc<Mutex<Vec<Conn>>>,
    permits: Arc<Semaphore>,
}

/// How long a request waits for a free connection before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(5);

impl Pool {
    pub(super) fn new(size: usize, open: impl Fn() -> Result<Conn> + Send + Sync + 'static) -> Self {
        Self { open: Arc::new(open), idle: Arc::default(), permits: Arc::new(Semaphore::new(size)) }
    }

    /// Runs `work` with a connection on a thread where blocking is allowed, after `begin`.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        begin: fn(&mut Conn) -> Result<()>,
        work: impl FnOnce(&mut Conn) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let busy = || Error::problem(Code::Overloaded, "no database connection came free in time").retry_after(1);
        let permit = tokio::time::timeout(PATIENCE, self.permits.clone().acquire_owned())
            .await
            .map_err(|_| busy())?
            .map_err(|_| busy())?;
        let pool = self.clone();
        let ran = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            pool.run_here(begin, work)
        });
        ran.await.map_err(|panic| Error::internal(format!("a database task ended early: {panic}")))?
    }

    /// Runs `work` on this thread, which may block, after `begin`.
    pub(super) fn run_here<T>(
        &self,
        begin: fn(&mut Conn) -> Result<()>,
        work: impl FnOnce(&mut Conn) -> Result<T>,
    ) -> Result<T> {
        let mut conn = self.begun(begin)?;
        // A panic in `work` drops the connection on its way out: nobody meets its half-done transaction.
        let result = work(&mut conn);
        let healthy = match &result {
            Ok(_) | Err(Error::Problem(_)) => dialect::depth(&mut conn) == Some(0),
            Err(_) => dialect::ping(&mut conn),
        };
        if healthy {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        }
        result
    }

    /// A connection on which `begin` went well. Those that broke while they lay idle (the server was started anew) are
    /// dropped and replaced without anybody hearing of it: nothing has been done on them yet.
    fn begun(&self, begin: fn(&mut Conn) -> Result<()>) -> Result<Conn> {
        loop {
            let pooled = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut conn) = pooled else { break };
            if begin(&mut conn).is_ok() {
                return Ok(conn);
            }
        }
        let mut conn = (self.open)()?;
        begin(&mut conn)?;
        Ok(conn)
    }
}
