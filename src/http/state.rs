//! What every request handler of a process shares.

use std::sync::Arc;

use super::{auth::Verifier, limits::Limits, metrics::Metrics, seal::Secret};
use crate::{
    config::Settings,
    db::{Db, sql},
    error::{Error, Result},
    kernel::Clock,
};

/// The shared state of a process. Cheap to clone.
#[derive(Clone)]
pub struct State {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// The settings in force.
    pub settings: Arc<Settings>,
    /// The secret behind tokens, links and seals.
    pub secret: Arc<Secret>,
    /// Checks tokens.
    pub verifier: Arc<Verifier>,
    /// Request limits.
    pub limits: Arc<Limits>,
    /// Counters for `/metrics`.
    pub metrics: Arc<Metrics>,
    /// The client for everything outside.
    pub client: reqwest::Client,
}

impl State {
    /// Builds the state over an open database.
    ///
    /// # Errors
    /// When the secret can not be read or the settings do not fit.
    pub async fn new(db: Db, clock: Clock, settings: Settings) -> Result<Self> {
        // Only the first call of a process installs it; the error of later calls says just that.
        drop(rustls::crypto::ring::default_provider().install_default());
        let secret = Arc::new(Self::secret(&db, &clock, &settings).await?);
        let client = reqwest::Client::builder()
            .timeout(std::time::Duration::from_secs(settings.webhooks.timeout_seconds))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("kontor/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::internal)?;
        Ok(Self {
            verifier: Arc::new(Verifier::new(&settings.auth, &secret)?),
            limits: Arc::new(Limits::new(&settings.http)),
            metrics: Arc::new(Metrics::new()?),
            settings: Arc::new(settings),
            db,
            clock,
            secret,
            client,
        })
    }

    /// The configured secret, or the one that this database's first process made.
    async fn secret(db: &Db, clock: &Clock, settings: &Settings) -> Result<Secret> {
        if !settings.auth.secret.is_empty() {
            return Ok(Secret::new(settings.auth.secret.as_bytes()));
        }
        let (fresh, now) = (super::seal::random_text(32), clock.now());
        let kept = db
            .write(move |tx| {
                sql("INSERT INTO secrets (name, value, created_at) VALUES ('signing', ?, ?) ON CONFLICT (name) DO NOTHING")
                    .bind(fresh.as_str())
                    .bind(now)
                    .execute(tx)?;
                sql("SELECT value FROM secrets WHERE name = 'signing'").first::<diesel::sql_types::Text, String>(tx)
            })
            .await?;
        kept.map(|text| Secret::new(text.as_bytes())).ok_or_else(|| Error::internal("no signing secret"))
    }

    /// The address that links begin with.
    #[must_use]
    pub fn public_url(&self) -> String {
        match self.settings.http.public_url.trim_end_matches('/') {
            "" => format!("http://{}", self.settings.http.listen),
            url => url.to_owned(),
        }
    }
}
