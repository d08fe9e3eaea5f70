//! Counters in the Prometheus text format at `/metrics`.

use actix_web::http::Method;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

use crate::{
    db::Db,
    error::{Error, Result},
};

/// A method as a label. Anybody may make one up: those that no route takes are counted together.
fn label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// The counters of a process.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
    statements: IntGauge,
    commits: IntGauge,
    groups: IntGauge,
    retries: IntGauge,
    slow_reads: IntGauge,
    writes_waiting: IntGauge,
    jobs_waiting: IntGauge,
    jobs_dead: IntGauge,
}

impl Metrics {
    pub(super) fn new() -> Result<Self> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new("kontor_http_requests_total", "Answers by route and status"),
            &["method", "route", "status"],
        );
        let options = HistogramOpts::new("kontor_http_request_seconds", "Time to answer by route");
        let options = options.buckets(vec![0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0]);
        let seconds = HistogramVec::new(options, &["method", "route"]);
        let gauge = |name: &str, help: &str| -> Result<IntGauge> {
            let gauge = IntGauge::new(name, help).map_err(Error::internal)?;
            registry.register(Box::new(gauge.clone())).map_err(Error::internal)?;
            Ok(gauge)
        };
        let metrics = Self {
            statements: gauge("kontor_db_statements", "SQL statements since the start")?,
            commits: gauge("kontor_db_commits", "Transactions committed since the start")?,
            groups: gauge("kontor_db_groups", "Group commits since the start (SQLite)")?,
            retries: gauge("kontor_db_retries", "Transactions run again after a deadlock")?,
            slow_reads: gauge("kontor_db_slow_reads", "Reads that lasted over a second since the start (SQLite)")?,
            writes_waiting: gauge("kontor_db_writes_waiting", "Writes that wait for the writer (SQLite)")?,
            jobs_waiting: gauge("kontor_jobs_waiting", "Jobs ready or under lease")?,
            jobs_dead: gauge("kontor_jobs_dead", "Dead letters")?,
            requests: requests.map_err(Error::internal)?,
            seconds: seconds.map_err(Error::internal)?,
            registry: registry.clone(),
        };
        registry.register(Box::new(metrics.requests.clone())).map_err(Error::internal)?;
        registry.register(Box::new(metrics.seconds.clone())).map_err(Error::internal)?;
        Ok(metrics)
    }

    pub(super) fn answered(&self, method: &Method, route: &str, status: u16, elapsed: std::time::Duration) {
        let method = label(method);
        self.requests.with_label_values(&[method, route, &status.to_string()]).inc();
        self.seconds.with_label_values(&[method, route]).observe(elapsed.as_secs_f64());
    }

    /// The text of `/metrics`. `jobs` are those waiting and those dead.
    ///
    /// # Errors
    /// When the counters can not be written as text.
    pub fn render(&self, db: &Db, jobs: (i64, i64)) -> Result<String> {
        let reading = db.stats();
        let set = |gauge: &IntGauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.statements, reading.statements);
        set(&self.commits, reading.commits);
        set(&self.groups, reading.groups);
        set(&self.retries, reading.retries);
        set(&self.slow_reads, reading.slow_reads);
        self.writes_waiting.set(i64::try_from(db.writes_waiting()).unwrap_or(i64::MAX));
        self.jobs_waiting.set(jobs.0);
        self.jobs_dead.set(jobs.1);
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(Error::internal)
    }
}
