//! Counters in the Prometheus text format at `/metrics`.

use actix_web::http::Method;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

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

/// What is told of one connector. There are as many labels as connectors, and no more.
#[derive(Debug, Clone)]
pub struct FarEnd {
    /// The connector's id.
    pub connector: String,
    /// Its adapter.
    pub adapter: String,
    /// For how many seconds the oldest event has been waiting.
    pub lag_seconds: i64,
    /// How many events have not arrived, those that are dead left out.
    pub backlog: i64,
    /// How many events failed for good.
    pub dead: i64,
    /// Whether the far end is spoken to: 0 when it is, 1 while one event at a time finds out, 2 while it is left in peace.
    pub breaker: i64,
    /// Whether it is paused.
    pub paused: bool,
}

/// The figures of connectors.
struct FarEnds {
    lag: IntGaugeVec,
    backlog: IntGaugeVec,
    dead: IntGaugeVec,
    breaker: IntGaugeVec,
    paused: IntGaugeVec,
}

impl FarEnds {
    fn new(registry: &Registry) -> Result<Self> {
        let gauge = |name: &str, help: &str| -> Result<IntGaugeVec> {
            let gauge = IntGaugeVec::new(Opts::new(name, help), &["connector", "adapter"]).map_err(Error::internal)?;
            registry.register(Box::new(gauge.clone())).map_err(Error::internal)?;
            Ok(gauge)
        };
        Ok(Self {
            lag: gauge(
                "kontor_connector_lag_seconds",
                "For how long the oldest event has been waiting for a connector",
            )?,
            backlog: gauge("kontor_connector_backlog", "Events that have not arrived yet, dead letters left out")?,
            dead: gauge("kontor_connector_dead", "Events that failed for good: dead letters")?,
            breaker: gauge("kontor_connector_breaker", "0 closed, 1 half open, 2 open")?,
            paused: gauge("kontor_connector_paused", "1 while the connector is paused")?,
        })
    }

    /// What is not among these any more is told no more.
    fn set(&self, all: &[FarEnd]) {
        for gauge in [&self.lag, &self.backlog, &self.dead, &self.breaker, &self.paused] {
            gauge.reset();
        }
        for one in all {
            let labels = [one.connector.as_str(), one.adapter.as_str()];
            self.lag.with_label_values(&labels).set(one.lag_seconds);
            self.backlog.with_label_values(&labels).set(one.backlog);
            self.dead.with_label_values(&labels).set(one.dead);
            self.breaker.with_label_values(&labels).set(one.breaker);
            self.paused.with_label_values(&labels).set(i64::from(one.paused));
        }
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
    far_ends: FarEnds,
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
            far_ends: FarEnds::new(&registry)?,
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

    /// The text of `/metrics`. `jobs` are those waiting and those dead, `far_ends` what is told of each connector.
    ///
    /// # Errors
    /// When the counters can not be written as text.
    pub fn render(&self, db: &Db, jobs: (i64, i64), far_ends: &[FarEnd]) -> Result<String> {
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
        self.far_ends.set(far_ends);
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(Error::internal)
    }
}
