//! `kontor token`.

use std::str::FromStr;

use crate::{
    config::Settings,
    error::{Error, Result},
    http::{
        State,
        auth::{Audience, Claims},
    },
    kernel::{Clock, Scope},
};

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Whose token: `staff`, `client` or `customer`.
    #[arg(long, default_value = "staff")]
    r#use: String,
    /// The subject: a name.
    #[arg(long, default_value = "developer")]
    subject: String,
    /// Scopes, separated by spaces or commas; `all` is every one.
    #[arg(long, default_value = "all")]
    scopes: String,
    /// For so many hours.
    #[arg(long, default_value_t = 24)]
    hours: i64,
    /// An e-mail address, marked as verified (customers).
    #[arg(long)]
    email: Option<String>,
}

pub(super) async fn run(settings: Settings, options: &Options) -> Result<()> {
    let db = super::open(&settings, false)?;
    let state = State::new(db, Clock::system(), settings).await?;
    println!("{}", issue(&state, options)?);
    Ok(())
}

fn issue(state: &State, options: &Options) -> Result<String> {
    let usage = Audience::from_str(&options.r#use).map_err(|error| Error::internal(format!("--use: {error}")))?;
    let names = options.scopes.split([' ', ',']).filter(|name| !name.is_empty());
    let scopes = match options.scopes.as_str() {
        "all" => Scope::ALL.to_vec(),
        _ => {
            let parsed: Result<Vec<Scope>, _> = names.map(Scope::from_str).collect();
            parsed.map_err(|error| Error::internal(format!("--scopes: {error}")))?
        }
    };
    make(state, usage, &options.subject, &scopes, options.hours, options.email.clone())
}

/// Makes a development token.
pub(crate) fn make(
    state: &State,
    usage: Audience,
    subject: &str,
    scopes: &[Scope],
    hours: i64,
    email: Option<String>,
) -> Result<String> {
    let scope: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    state.verifier.issue(Claims {
        iss: String::new(),
        sub: subject.to_owned(),
        aud: serde_json::Value::Null,
        exp: state.clock.now().plus_seconds(hours * 3600).micros() / 1_000_000,
        nbf: None,
        usage: Some(usage),
        scope: if usage == Audience::Customer { String::new() } else { scope.join(" ") },
        channels: None,
        locations: None,
        money_ceiling: None,
        email_verified: email.as_ref().map(|_| true),
        email,
    })
}
