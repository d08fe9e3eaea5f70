//! `kontor reseal`: after a new secret, what is kept is sealed again under it, so that the former one can go.

use crate::{
    config::Settings,
    connectors,
    db::{Lane, Tx, Upkeep},
    error::{Code, Error, Result},
    fulfilment,
    http::{State, idempotency},
    kernel::Clock,
};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Then forget the secret that is kept in the database, now that one is configured. What was only signed with it (carts of
    /// guests, recovery links) is not taken any more.
    #[arg(long)]
    forget_own: bool,
}

pub(super) async fn run(settings: Settings, options: &Options) -> Result<()> {
    let db = super::open(&settings, false, Upkeep::Nothing)?;
    let state = State::new(db, Clock::system(), settings).await?;
    println!("{}", reseal(&state, options.forget_own).await?);
    Ok(())
}

/// Seals again what is sealed under a former secret; says what it did.
///
/// # Errors
/// When something is sealed under a secret that is not known any more: it names what, and forgets nothing.
async fn reseal(state: &State, forget_own: bool) -> Result<String> {
    if forget_own && state.settings.auth.secret.is_empty() {
        return Err(Error::internal("--forget-own: set auth.secret first, or nothing would be left"));
    }
    let (connectors, lost) = connectors(state).await?;
    let (answers, unreadable) = answers(state).await?;
    if !lost.is_empty() {
        let names = lost.join(", ");
        return Err(Error::internal(format!("the secrets of these connectors can not be opened: {names}. {MISSING}")));
    }
    let mut said = format!("Sealed under the current secret: {connectors} connectors, {answers} stored answers.");
    if unreadable > 0 {
        said.push_str(&format!(
            "\n{unreadable} stored answers can not be opened; they are dropped in some days. {MISSING}"
        ));
    }
    if forget_own {
        let forgotten = state.forget_own_secret().await?;
        said.push_str(if forgotten {
            "\nThe database's own secret is forgotten."
        } else {
            "\nThere was no other secret."
        });
    }
    Ok(said)
}

const MISSING: &str = "Is auth.previous_secrets complete?";

/// Those of connectors and of accounts with carriers, in one transaction; anew when somebody changes one meanwhile.
async fn connectors(state: &State) -> Result<(usize, Vec<String>)> {
    for _ in 0..5 {
        let (now, secret) = (state.clock.now(), state.secret.clone());
        let seal = move |tx: &mut Tx| {
            let (connectors, mut lost) = connectors::seal_again(tx, now, &secret)?;
            let (carriers, others) = fulfilment::carriers::seal_again(tx, now, &secret)?;
            lost.extend(others);
            Ok((connectors + carriers, lost))
        };
        match state.db.write(seal).await {
            Err(error) if error.code() == Code::VersionStale => {}
            other => return other,
        }
    }
    Err(Error::internal("connectors are being changed all the time: try again"))
}

/// In bites, so that the shop goes on meanwhile.
async fn answers(state: &State) -> Result<(usize, usize)> {
    const BITE: i64 = 500;
    let (mut after, mut sealed, mut lost) = (None, 0, 0);
    loop {
        let secret = state.secret.clone();
        let done = state.db.write_in(Lane::Bulk, move |tx| idempotency::seal_again(tx, &secret, after, BITE)).await?;
        (sealed, lost) = (sealed + done.sealed, lost + done.lost);
        match done.last {
            None => return Ok((sealed, lost)),
            last => after = last,
        }
    }
}
