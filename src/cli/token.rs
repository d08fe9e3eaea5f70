//! `kontor token`.

use std::str::FromStr;

use crate::{
    config::Settings,
    db::Upkeep,
    error::{Error, Result},
    http::{
        State,
        auth::{Audience, Claims},
    },
    kernel::{
        Clock, Scope,
        ids::{ChannelId, LocationId},
    },
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
    /// The channels it is limited to, as ids separated by commas; all when left out (staff and clients).
    #[arg(long, value_delimiter = ',')]
    channels: Option<Vec<ChannelId>>,
    /// The locations it is limited to, as ids separated by commas; all when left out (staff and clients).
    #[arg(long, value_delimiter = ',')]
    locations: Option<Vec<LocationId>>,
    /// The most it may refund or cancel at once, in minor units such as cents (staff and clients).
    #[arg(long)]
    ceiling: Option<i64>,
    /// An e-mail address, marked as verified (customers).
    #[arg(long)]
    email: Option<String>,
}

pub(super) async fn run(settings: Settings, options: &Options) -> Result<()> {
    let db = super::open(&settings, false, Upkeep::Nothing)?;
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
    let mut claims = claims(state, usage, &options.subject, &scopes, options.hours, options.email.clone());
    claims.channels.clone_from(&options.channels);
    claims.locations.clone_from(&options.locations);
    claims.money_ceiling = options.ceiling;
    state.verifier.issue(claims)
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
    state.verifier.issue(claims(state, usage, subject, scopes, hours, email))
}

fn claims(
    state: &State,
    usage: Audience,
    subject: &str,
    scopes: &[Scope],
    hours: i64,
    email: Option<String>,
) -> Claims {
    let scope: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    Claims {
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
    }
}
