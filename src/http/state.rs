//! What every request handler of a process shares.

use std::sync::Arc;

use super::{auth::Verifier, limits::Limits, metrics::Metrics, seal::Secret};
use crate::{
    config::Settings,
    db::{Db, Tx, sql},
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
            verifier: Arc::new(Verifier::new(&settings.auth, &secret)),
            limits: Arc::new(Limits::new(&settings.http)),
            metrics: Arc::new(Metrics::new()?),
            settings: Arc::new(settings),
            db,
            clock,
            secret,
            client,
        })
    }

    /// The configured secret, or the one that this database's first process made. Behind it those that were used before:
    /// the listed ones, and the database's own where one is configured, so that configuring one loses nothing.
    async fn secret(db: &Db, clock: &Clock, settings: &Settings) -> Result<Secret> {
        let auth = &settings.auth;
        let own = match auth.secret.is_empty() {
            true => Some(Self::own_secret(db, clock).await?),
            false => db.read(kept_secret).await?,
        };
        let configured = Some(auth.secret.as_str()).filter(|secret| !secret.is_empty());
        let current = configured.or(own.as_deref()).ok_or_else(|| Error::internal("no signing secret"))?;
        Ok(Secret::new(current.as_bytes()).with_previous(auth.previous_secrets()).with_previous(&own))
    }

    /// The secret that is kept in the database; made when there is none.
    async fn own_secret(db: &Db, clock: &Clock) -> Result<String> {
        let (fresh, now) = (super::seal::random_text(32), clock.now());
        let kept = db
            .write(move |tx| {
                sql("INSERT INTO secrets (name, value, created_at) VALUES ('signing', ?, ?) ON CONFLICT (name) DO NOTHING")
                    .bind(fresh.as_str())
                    .bind(now)
                    .execute(tx)?;
                kept_secret(tx)
            })
            .await?;
        kept.ok_or_else(|| Error::internal("no signing secret"))
    }

    /// Forgets the secret that is kept in the database, once another is configured. False when there is none.
    ///
    /// # Errors
    /// When none is configured, or what the database says.
    pub async fn forget_own_secret(&self) -> Result<bool> {
        if self.settings.auth.secret.is_empty() {
            return Err(Error::internal("auth.secret is not set: the database's own secret is the only one"));
        }
        self.db.write(|tx| Ok(sql("DELETE FROM secrets WHERE name = 'signing'").execute(tx)? == 1)).await
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

/// The secret that is kept in the database.
fn kept_secret(tx: &mut Tx) -> Result<Option<String>> {
    sql("SELECT value FROM secrets WHERE name = 'signing'").first::<diesel::sql_types::Text, String>(tx)
}
