//! The gate that every command passes which gives money away: up to a ceiling one person does it alone, and it is written down that they did.
//! Above that nothing is done, and a second person is asked.

use diesel::Connection;
use serde::Serialize;
use serde_json::json;

use super::{
    model::{Ceilinged, CountersignRequest, CountersignSubject},
    service::{self, Asking},
    store,
};
use crate::{
    channels,
    db::Tx,
    error::{Code, Error, Result},
    kernel::{
        Actor, Instant, Money,
        ids::{ChannelId, CountersignRequestId, EventId},
    },
};

/// Money that is about to be given away.
#[derive(Debug, Clone)]
pub struct Giving {
    /// What as.
    pub kind: Ceilinged,
    /// In which channel; `None` for what is the merchant's, where the lowest ceiling of any channel counts.
    pub channel: Option<ChannelId>,
    /// Of what: all that is given away of it without a second person counts together. `None` where each time counts by itself.
    pub of: Option<String>,
    /// How much.
    pub amount: Money,
}

/// Lets staff give money away, as far as one person does so alone. Kontor itself, shoppers and other systems, which report what they have
/// done, are not asked. One statement where there is no ceiling; else one row decides, however many give at once.
///
/// # Errors
/// `second_person_needed`: whoever calls undoes what was done before it ([`or_ask`] does).
pub fn pass(tx: &mut Tx, (now, actor): (Instant, &Actor), giving: &Giving) -> Result<()> {
    let Actor::Staff(principal) = actor else { return Ok(()) };
    if principal.countersigned || giving.amount.minor() <= 0 {
        return Ok(());
    }
    let ceiling = match giving.channel {
        Some(channel) => service::ceiling(tx, giving.kind, channel, giving.amount.currency())?,
        None => {
            let all = channels::all_settings(tx)?;
            let own = all.iter().filter_map(|one| service::ceiling_in(one, giving.kind, giving.amount.currency()));
            own.min_by_key(|ceiling| ceiling.minor())
        }
    };
    let Some(ceiling) = ceiling else { return Ok(()) };
    let alone = giving.amount.minor() <= ceiling.minor()
        && match &giving.of {
            Some(of) => store::give_alone(tx, now, (of, giving.kind), giving.amount, ceiling)?,
            None => true,
        };
    if alone {
        return Ok(());
    }
    let detail = format!("{} are more than the {ceiling} that one person gives away alone", giving.amount);
    let error = Error::problem(Code::SecondPersonNeeded, detail).with("kind", giving.kind.as_str());
    Err(error.with("amount", serde_json::to_value(giving.amount)?))
}

/// What came of a command that may need a second person.
#[derive(Debug)]
pub enum Passed<T> {
    /// It is done.
    Done(T),
    /// Somebody else has to approve it first: nothing of it is done.
    Waits(Box<CountersignRequest>),
}

/// What is asked for where a command needs a second person.
#[derive(Debug, Clone)]
pub struct Wanted<W> {
    /// Where.
    pub channel: Option<ChannelId>,
    /// What it is about.
    pub subject: CountersignSubject,
    /// Why.
    pub reason: Option<String>,
    /// Who else has had a hand in it.
    pub authors: Vec<String>,
    /// The job that does it, where that is not the one of its kind.
    pub job: Option<&'static str>,
    /// What is to be done, for that job.
    pub what: W,
}

/// Does something that passes the gate. Where it does not, all of it is undone, and a second person is asked for what `wanted` says then.
///
/// # Errors
/// What the command says, and `wanted`.
pub fn or_ask<T, W: Serialize>(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    ids: (CountersignRequestId, EventId),
    command: impl FnOnce(&mut Tx) -> Result<T>,
    wanted: impl FnOnce(&mut Tx) -> Result<Wanted<W>>,
) -> Result<Passed<T>> {
    let refused = match tx.transaction(command) {
        Ok(done) => return Ok(Passed::Done(done)),
        Err(Error::Problem(problem)) if problem.code == Code::SecondPersonNeeded => problem,
        Err(error) => return Err(error),
    };
    let told = |member: &str| refused.extra.get(member).cloned().unwrap_or_default();
    let (kind, amount): (Ceilinged, Money) =
        (serde_json::from_value(told("kind"))?, serde_json::from_value(told("amount"))?);
    let wanted = wanted(tx)?;
    let asking = Asking {
        ids,
        kind,
        channel: wanted.channel,
        subject: wanted.subject,
        amounts: vec![amount],
        reason: wanted.reason,
        authors: wanted.authors,
        job: wanted.job,
        what: json!(wanted.what),
    };
    service::ask(tx, now, actor, &asking).map(|request| Passed::Waits(Box::new(request)))
}

/// What one person gives away in a day, whatever of: by that ceilings of the merchant's own are counted.
#[must_use]
pub fn day_of(now: Instant, actor: &Actor) -> String {
    let day: String = now.to_string().chars().take(10).collect();
    format!("{}:{day}", actor.label())
}
