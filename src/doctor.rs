//! What Kontor promises, checked on a live database.
//!
//! Each rule is one statement that finds the rows which break a promise among a range of keys. Ranges are small, each is
//! looked at in one snapshot of its own, and what is found is looked at once more before it is reported: a shop goes on
//! while it is examined, and what is being mended by the next transaction is no finding.
//!
//! Rules state what must hold over the tables whatever the slices do, so they read the tables themselves, and never
//! write. A slice that keeps a new invariant adds a rule here.

use std::{
    fmt,
    time::{Duration, Instant as Moment},
};

use diesel::sql_types::{BigInt, Text};
use serde::Serialize;

use crate::{
    db::{Db, Tx, UidSql, sql},
    error::Result,
    events,
    kernel::{Currency, Id, Money, ids::Kind},
};

mod amendments;
mod bundles;
mod credit;
mod deliveries;
mod docks;
mod invoices;
mod money;
mod prices;
mod returns;
mod risk;
mod rules;
mod works;

pub use rules::RULES;

/// A row that breaks a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which promise of the design (1 to 8).
    pub promise: u8,
    /// Which rule found it.
    pub rule: &'static str,
    /// The row: an id as the API writes it, a stream, a name.
    pub subject: String,
    /// What is wrong with it.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BROKEN promise {}: {}: {}: {}", self.promise, self.rule, self.subject, self.detail)
    }
}

/// A rule.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Which promise it belongs to.
    pub promise: u8,
    /// Its name.
    pub name: &'static str,
    /// The table and the column whose values are gone through.
    scan: (&'static str, &'static str),
    /// What the column holds.
    key: KeyKind,
    /// Gives key and detail of what is wrong among the keys from the first `?` to the second.
    wrong: &'static str,
    /// What SQL alone can not say: the detail of what is wrong after all, from the detail that the statement gave.
    judge: fn(String) -> Option<String>,
}

#[derive(Clone, Copy)]
enum KeyKind {
    /// An id, and how it is shown.
    Uid(fn(Id<()>) -> String),
    Text,
}

/// Keys gone through in one snapshot, at most: fewer where they have much behind them, so that no look lasts long.
const CHUNK: i64 = 1000;
/// How long a look may last before the next one is a shorter one.
const LONG: Duration = Duration::from_millis(300);

const fn by_id<K: Kind>() -> KeyKind {
    KeyKind::Uid(|id| Id::<K>::from_bytes(*id.bytes()).to_string())
}

/// `total lines currency shipping`, the shipping as a decimal: whole minor units have no common factor in SQL.
fn sums_disagree(found: String) -> Option<String> {
    let told = |found: &str| Some(format!("total, lines, currency and shipping are {found}"));
    let mut parts = found.split(' ');
    let (Some(total), Some(lines), Some(currency), Some(shipping)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return told(&found);
    };
    let sum = currency
        .parse::<Currency>()
        .ok()
        .and_then(|currency| Money::parse(shipping, currency).ok())
        .and_then(|shipping| lines.parse::<i64>().ok()?.checked_add(shipping.minor()));
    if sum.is_some() && sum == total.parse().ok() { None } else { told(&found) }
}

/// Examines the database. `heard` is told of each rule before it is gone through.
///
/// # Errors
/// What the database says; findings are no error.
pub async fn examine(db: &Db, mut heard: impl FnMut(&Rule)) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for rule in RULES {
        heard(rule);
        findings.extend(go_through(db, *rule).await?);
    }
    findings.extend(db.read(cursors).await?);
    Ok(findings)
}

/// Examines what one transaction sees: a snapshot, in which nothing is being mended meanwhile.
///
/// # Errors
/// What the database says; findings are no error.
pub fn examine_snapshot(tx: &mut Tx) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for rule in RULES {
        let mut after = None;
        loop {
            let (wrong, last) = chunk(tx, rule, after.take(), CHUNK)?;
            findings.extend(wrong.into_iter().map(|(key, detail)| rule.finding(&key, detail)));
            match last {
                Some(last) => after = Some(last),
                None => break,
            }
        }
    }
    findings.extend(cursors(tx)?);
    Ok(findings)
}

async fn go_through(db: &Db, rule: Rule) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let (mut after, mut size) = (None, CHUNK);
    loop {
        let (from, begun) = (after.take(), Moment::now());
        let (wrong, last) = db.read(move |tx| chunk(tx, &rule, from, size)).await?;
        size = if begun.elapsed() > LONG { (size / 4).max(1) } else { (size * 2).min(CHUNK) };
        let mut keys: Vec<Key> = Vec::new();
        for (key, _) in wrong {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        for key in keys {
            let again = db.read(move |tx| rule.find(tx, &key.clone(), &key)).await?;
            findings.extend(again.into_iter().map(|(key, detail)| rule.finding(&key, detail)));
        }
        match last {
            Some(last) => after = Some(last),
            None => break,
        }
    }
    Ok(findings)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Uid(Id<()>),
    Text(String),
}

type Wrong = Vec<(Key, String)>;

/// What is wrong among the next keys, and the last of them; `None` when there are no more.
fn chunk(tx: &mut Tx, rule: &Rule, after: Option<Key>, size: i64) -> Result<(Wrong, Option<Key>)> {
    let keys = rule.keys(tx, after, size)?;
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok((Vec::new(), None)) };
    let wrong = rule.find(tx, first, last)?;
    let more = i64::try_from(keys.len()).is_ok_and(|count| count == size);
    Ok((wrong, more.then(|| last.clone())))
}

impl Rule {
    fn finding(&self, key: &Key, detail: String) -> Finding {
        Finding { promise: self.promise, rule: self.name, subject: self.show(key), detail }
    }

    fn keys(&self, tx: &mut Tx, after: Option<Key>, size: i64) -> Result<Vec<Key>> {
        let (table, column) = self.scan;
        let from = if after.is_some() { format!("WHERE {column} > ?") } else { String::new() };
        let mut query = sql(format!("SELECT {column} FROM {table} {from} GROUP BY {column} ORDER BY {column} LIMIT ?"));
        query = match after {
            Some(Key::Uid(id)) => query.bind(id),
            Some(Key::Text(text)) => query.bind(text),
            None => query,
        };
        let query = query.bind(size);
        Ok(match self.key {
            KeyKind::Uid(_) => query.load::<UidSql, Id<()>>(tx)?.into_iter().map(Key::Uid).collect(),
            KeyKind::Text => query.load::<Text, String>(tx)?.into_iter().map(Key::Text).collect(),
        })
    }

    fn find(&self, tx: &mut Tx, low: &Key, high: &Key) -> Result<Wrong> {
        let mut query = sql(self.wrong);
        for key in [low, high] {
            query = match key {
                Key::Uid(id) => query.bind(*id),
                Key::Text(text) => query.bind(text.as_str()),
            };
        }
        let found: Wrong = match self.key {
            KeyKind::Uid(_) => {
                let found = query.load::<(UidSql, Text), (Id<()>, String)>(tx)?;
                found.into_iter().map(|(key, detail)| (Key::Uid(key), detail)).collect()
            }
            KeyKind::Text => {
                let found = query.load::<(Text, Text), (String, String)>(tx)?;
                found.into_iter().map(|(key, detail)| (Key::Text(key), detail)).collect()
            }
        };
        Ok(found.into_iter().filter_map(|(key, detail)| Some((key, (self.judge)(detail)?))).collect())
    }

    fn show(&self, key: &Key) -> String {
        match (self.key, key) {
            (KeyKind::Uid(show), Key::Uid(id)) => show(*id),
            (_, Key::Uid(id)) => id.hex(),
            (_, Key::Text(text)) => text.clone(),
        }
    }
}

/// No cursor stands beyond the end of the log, and the log's end is not before its last event.
fn cursors(tx: &mut Tx) -> Result<Vec<Finding>> {
    let log = events::state(tx)?;
    let query = "SELECT 'the log', coalesce(max(position), 0) FROM events \
                 UNION ALL SELECT 'connector ' || name, position FROM connectors \
                 UNION ALL SELECT 'consumer ' || name, position FROM consumers WHERE epoch = ?";
    let cursors = sql(query).bind(log.epoch.as_str()).load::<(Text, BigInt), (String, i64)>(tx)?;
    let beyond = cursors.into_iter().filter(|(_, position)| *position > log.last);
    Ok(beyond
        .map(|(subject, position)| Finding {
            promise: 6,
            rule: "no cursor is beyond the end of the log",
            subject,
            detail: format!("at position {position}, the log ends at {}", log.last),
        })
        .collect())
}
