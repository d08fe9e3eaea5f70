//! Reading the journal, and giving postings their places in it.

use std::collections::{BTreeMap, HashMap};

use super::{
    model::{JournalAccounts, JournalEntry, JournalLine, JournalPage, JournalSum},
    store,
};
use crate::{
    channels::{self, Directory},
    db::{Lane, Tx},
    error::{Code, Error, Result},
    events,
    http::{Cursor, State},
    jobs::Runner,
    kernel::{
        Actor, Country, Currency, Instant, Money,
        ids::{LegalEntityId, OrderId},
        local,
    },
    orders,
    payments::{
        Account,
        journal::{self, Line, Numbered, Sum},
        promises,
    },
};

/// So many postings are given their places, or promises booked, at once.
const BITE: i64 = 1000;

/// Registers what is done again and again: what providers promise is booked soon after, and postings get their places.
pub fn work(state: &State, runner: &mut Runner) {
    let (state, own) = (state.clone(), state.clone());
    runner.every("ledger.promises", 5, move |now| {
        let state = own.clone();
        async move {
            if !state.db.read(promises::any_unbooked).await? {
                return Ok(());
            }
            let full = usize::try_from(BITE).map_err(Error::internal)?;
            while state.db.write_quietly(Lane::Bulk, move |tx| promises::book(tx, now, BITE)).await? == full {}
            Ok(())
        }
    });
    runner.every("journal.number", 5, move |_| {
        let state = state.clone();
        async move {
            // A look first, on a reader: there is often nothing to do.
            if !state.db.read(journal::any_new).await? {
                return Ok(());
            }
            let full = usize::try_from(BITE).map_err(Error::internal)?;
            while state.db.write_quietly(Lane::Bulk, move |tx| journal::number(tx, BITE)).await? == full {}
            Ok(())
        }
    });
}

/// What a page of the journal needs beside the database.
#[derive(Clone)]
pub(super) struct Asked {
    pub actor: Actor,
    pub directory: std::sync::Arc<Directory>,
    pub include_test: bool,
}

/// A page of the journal from behind a cursor.
pub(super) fn page(tx: &mut Tx, asked: &Asked, after: Option<&str>, limit: i64) -> Result<JournalPage> {
    let epoch = events::state(tx)?.epoch;
    let from = match Cursor::<(String, i64)>::decode_optional(after)? {
        None => 0,
        Some((of, position)) if of == epoch && position <= journal::last(tx)? => position,
        Some(_) => {
            let detail = "the journal was restored from a backup since this cursor was given";
            return Err(Error::problem(Code::LogEpochChanged, detail).at("after"));
        }
    };
    let mut numbered = journal::after(tx, from, limit.saturating_add(1))?;
    let has_more = i64::try_from(numbered.len()).is_ok_and(|count| count > limit);
    numbered.truncate(usize::try_from(limit).map_err(Error::internal)?);
    let last = numbered.last().map_or(from, |one| one.position);
    let lines = journal::lines(tx, (from, last))?;
    let items = entries(tx, asked, &numbered, &lines)?;
    Ok(JournalPage { items, next_cursor: Cursor((epoch, last)).encode()?, has_more })
}

fn entries(tx: &mut Tx, asked: &Asked, numbered: &[Numbered], lines: &[Line]) -> Result<Vec<JournalEntry>> {
    let mut ids: Vec<OrderId> = numbered.iter().map(|one| one.order).collect();
    ids.sort_unstable();
    ids.dedup();
    let heads = orders::heads(tx, &ids)?;
    let accounts: HashMap<LegalEntityId, JournalAccounts> = store::all(tx)?.into_iter().collect();
    let mut zones = HashMap::new();
    let mut entries = Vec::with_capacity(numbered.len());
    for one in numbered {
        // What has no order stands for nothing that anybody sold.
        let Some(head) = heads.get(&one.order) else { continue };
        let Ok(channel) = asked.directory.get(head.channel_id) else { continue };
        if !asked.actor.sees_channel(channel.id) || (channel.test && !asked.include_test) {
            continue;
        }
        let entity = channel.legal_entity_id;
        let zone = match zones.get(&entity) {
            Some(zone) => *zone,
            None => {
                let known = channels::entity(tx, entity)?.ok_or_else(|| Error::internal("a channel of nobody"))?;
                zones.insert(entity, known.time_zone.0);
                known.time_zone.0
            }
        };
        let own: Vec<&Line> = lines.iter().filter(|line| line.position == one.position).collect();
        let Some(currency) = own.first().map(|line| line.currency) else { continue };
        let none = JournalAccounts::default();
        entries.push(JournalEntry {
            position: one.position,
            id: format!("{}/{}", one.order, one.posting),
            posting: one.posting.clone(),
            order_id: one.order,
            order_number: head.number.clone(),
            channel_id: channel.id,
            legal_entity_id: entity,
            date: local::day_of(zone, one.occurred_at),
            occurred_at: one.occurred_at,
            currency,
            lines: rows(&own, accounts.get(&entity).unwrap_or(&none)),
        });
    }
    Ok(entries)
}

/// The rows of an entry. The tax of what is sold is told rate by rate, where the ledger knows it so.
fn rows(lines: &[&Line], accounts: &JournalAccounts) -> Vec<JournalLine> {
    let booked: i64 = lines.iter().filter(|line| line.account == Account::Tax).map(|line| line.amount).sum();
    let by_rate: i64 = lines.iter().filter_map(|line| line.tax).sum();
    let split = booked == -by_rate;
    let mut rows = Vec::with_capacity(lines.len());
    for line in lines {
        if line.account == Account::Tax && split {
            continue;
        }
        rows.push(row(line, line.account, line.amount, accounts));
        if let Some(tax) = line.tax.filter(|tax| split && *tax != 0) {
            rows.push(row(line, Account::Tax, -tax, accounts));
        }
    }
    rows
}

fn row(line: &Line, account: Account, amount: i64, accounts: &JournalAccounts) -> JournalLine {
    let money = Money::from_minor(amount.saturating_abs(), line.currency);
    JournalLine {
        account,
        number: accounts.number_of(account, line.country, line.rate.as_deref()),
        debit: (amount >= 0).then_some(money),
        credit: (amount < 0).then_some(money),
        rate: line.rate.clone(),
        country: line.country,
        treatment: line.treatment,
    }
}

/// The sums of a span of time, by legal entity, account, country, rate and currency.
pub(super) fn summary(
    tx: &mut Tx,
    asked: &Asked,
    span: (Instant, Instant),
    entity: Option<LegalEntityId>,
) -> Result<Vec<JournalSum>> {
    let accounts: HashMap<LegalEntityId, JournalAccounts> = store::all(tx)?.into_iter().collect();
    type Key = (LegalEntityId, Account, Option<String>, Option<String>, &'static str);
    type Both = (Currency, Option<Country>, i64, i64);
    let mut sums: BTreeMap<Key, Both> = BTreeMap::new();
    let found = journal::sums(tx, span)?;
    // What the ledger does not say, the order does, as it does on the pages of the journal.
    let mut unsaid: Vec<OrderId> = found.iter().filter_map(|sum| sum.order).collect();
    unsaid.sort_unstable();
    unsaid.dedup();
    let heads = orders::heads(tx, &unsaid)?;
    for sum in found {
        let of_order = || sum.order.and_then(|id| heads.get(&id)).map(|head| head.channel_id);
        let channel = sum.channel.or_else(of_order);
        let Some(channel) = channel.and_then(|id| asked.directory.get(id).ok()) else { continue };
        let of = channel.legal_entity_id;
        let seen = asked.actor.sees_channel(channel.id) && (!channel.test || asked.include_test);
        if !seen || entity.is_some_and(|wanted| wanted != of) {
            continue;
        }
        let Sum { account, currency, country, rate, debit, credit, .. } = sum;
        let place = country.map(|country| country.as_str().to_owned());
        let entry = sums.entry((of, account, place, rate, currency.code())).or_insert((currency, country, 0, 0));
        let overflow = || Error::internal("a sum of the journal overflows");
        entry.2 = entry.2.checked_add(debit).ok_or_else(overflow)?;
        entry.3 = entry.3.checked_add(credit).ok_or_else(overflow)?;
    }
    let none = JournalAccounts::default();
    let sum = |((legal_entity_id, account, _, rate, _), (currency, country, debit, credit)): (Key, Both)| {
        let numbers = accounts.get(&legal_entity_id).unwrap_or(&none);
        let money = |minor: i64| Money::from_minor(minor, currency);
        JournalSum {
            legal_entity_id,
            account,
            number: numbers.number_of(account, country, rate.as_deref()),
            country,
            rate,
            debit: money(debit),
            credit: money(credit),
            balance: money(debit.saturating_sub(credit)),
        }
    };
    Ok(sums.into_iter().map(sum).collect())
}

/// The numbers of a legal entity; none where nobody has set any.
///
/// # Errors
/// `not_found`.
pub(super) fn accounts(tx: &mut Tx, entity: LegalEntityId) -> Result<JournalAccounts> {
    channels::entity(tx, entity)?.ok_or_else(|| Error::not_found("legal entity"))?;
    Ok(store::accounts(tx, entity)?.unwrap_or_default())
}

/// Sets the numbers of a legal entity, all of them.
///
/// # Errors
/// `not_found`, `invalid_value`.
pub(super) fn set_accounts(tx: &mut Tx, now: Instant, entity: LegalEntityId, new: &JournalAccounts) -> Result<()> {
    new.check()?;
    channels::entity(tx, entity)?.ok_or_else(|| Error::not_found("legal entity"))?;
    store::set(tx, now, entity, new)
}
