//! `Idempotency-Key`: the second request with a key gets the first one's answer.
//!
//! A command of one transaction writes its key in it, first or last: a concurrent duplicate waits for the commit and then
//! finds the stored answer. A command in two transactions commits the key as `in_progress` with the first; until the second,
//! duplicates are told to come again. What is rolled back leaves no key. The scope of a key is principal and route.

use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{call::Reply, seal::Secret};
use crate::{
    db::{Col, Tx, UidSql, dialect, sql},
    error::{Code, Error, Result},
    kernel::{Id, Instant, ids},
};

/// The hash of a request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(pub(super) String);

impl Fingerprint {
    /// The fingerprint of a request without a body.
    #[must_use]
    pub fn none() -> Self {
        Self(String::new())
    }
}

/// A key as it was sent, tied to who sent it and where.
#[derive(Debug, Clone)]
pub struct Key {
    /// Derived from principal, route and key.
    pub id: Id<ids::IdempotencyKey>,
    fingerprint: Fingerprint,
    now: Instant,
}

/// What a key's look-up found.
pub enum Begun {
    /// It is new: run the command.
    Fresh,
    /// It has been answered: send this again.
    Replay(Box<Reply>),
}

impl Key {
    /// The key of a request.
    #[must_use]
    pub fn new(principal: &str, route: &str, key: &str, fingerprint: Fingerprint, now: Instant) -> Self {
        let mut hash = Sha256::new();
        for part in [principal, route, key] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut id = [0; 16];
        id.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        Self { id: Id::from_bytes(id), fingerprint, now }
    }

    /// Takes the key. Call it first in the transaction.
    ///
    /// # Errors
    /// The key was used for another body, or its first request is still running.
    pub fn begin(&self, tx: &mut Tx, secret: &Secret) -> Result<Begun> {
        let inserted = sql("INSERT INTO idempotency_keys (id, state, body_hash, status, body, sealed, created_at) \
             VALUES (?, 'in_progress', ?, 0, NULL, ?, ?) ON CONFLICT (id) DO NOTHING");
        if inserted.bind(self.id).bind(self.fingerprint.0.as_str()).bind(false).bind(self.now).execute(tx)? == 1 {
            return Ok(Begun::Fresh);
        }
        self.answered(tx, secret)?.map(|reply| Begun::Replay(Box::new(reply))).ok_or_else(in_progress)
    }

    /// The stored answer, when there is one, without taking the key: for commands of many transactions that can each be
    /// repeated. They look first, and take the key with their last transaction.
    ///
    /// # Errors
    /// The key was used for another body, or its first request is still running.
    pub fn answered(&self, tx: &mut Tx, secret: &Secret) -> Result<Option<Reply>> {
        let query = "SELECT state, body_hash, status, body, sealed FROM idempotency_keys WHERE id = ?";
        type Row = (String, String, i64, Option<String>, bool);
        let found = sql(query).bind(self.id).first::<(Text, Text, BigInt, Nullable<Text>, Bool), Row>(tx)?;
        let Some((state, body_hash, status, body, sealed)) = found else { return Ok(None) };
        self.check_body(&body_hash)?;
        if state != "done" {
            return Err(in_progress());
        }
        let stored = match body {
            Some(body) if sealed => Some(secret.unseal(&body)?),
            body => body,
        };
        Reply::stored(status, stored).map(Some)
    }

    /// The hash of the body that it was sent with.
    #[must_use]
    pub fn body_hash(&self) -> &str {
        &self.fingerprint.0
    }

    /// That what was kept under the key was sent with the same body.
    ///
    /// # Errors
    /// `idempotency_key_reused`.
    pub fn check_body(&self, kept: &str) -> Result<()> {
        if kept == self.fingerprint.0 {
            return Ok(());
        }
        let detail = "this Idempotency-Key was sent with another body before";
        Err(Error::problem(Code::IdempotencyKeyReused, detail).at("Idempotency-Key"))
    }

    /// Takes the key and stores the answer with it, last in the one transaction of a command.
    ///
    /// # Errors
    /// [`Code::IdempotencyInProgress`] when another request has taken the key: what this one did is taken back then, and
    /// [`Key::answered`] tells the other's answer.
    pub fn record(&self, tx: &mut Tx, kept: &Kept) -> Result<()> {
        let inserted = sql("INSERT INTO idempotency_keys (id, state, body_hash, status, body, sealed, created_at) \
             VALUES (?, 'done', ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING");
        let query = inserted.bind(self.id).bind(self.fingerprint.0.as_str()).bind(kept.status);
        match query.bind(kept.body.clone()).bind(kept.sealed).bind(self.now).execute(tx)? {
            1 => Ok(()),
            _ => Err(in_progress()),
        }
    }

    /// Stores the answer. Call it in the transaction that makes it true.
    ///
    /// # Errors
    /// What the database says.
    pub fn finish(&self, tx: &mut Tx, secret: &Secret, reply: &Reply) -> Result<()> {
        finish(tx, secret, self.id, reply)
    }
}

fn in_progress() -> Error {
    Error::problem(Code::IdempotencyInProgress, "the first request with this key is running").retry_after(1)
}

/// An answer as it is kept under a key: sealed, where it holds a secret.
#[derive(Debug, Clone)]
pub struct Kept {
    status: i64,
    body: Option<String>,
    sealed: bool,
}

impl Kept {
    /// An answer as it will be kept.
    ///
    /// # Errors
    /// When it can not be sealed.
    pub fn of(secret: &Secret, reply: &Reply) -> Result<Self> {
        Ok(Self { status: i64::from(reply.status()), body: body_of(secret, reply)?, sealed: reply.is_secret() })
    }
}

/// An answer's body as it is kept: sealed, where it holds a secret.
fn body_of(secret: &Secret, reply: &Reply) -> Result<Option<String>> {
    match reply.to_store() {
        Some(body) if reply.is_secret() => secret.seal_packed(&body).map(Some),
        body => Ok(body),
    }
}

/// Stores the answer under a key's id: for the job that ends what a request has begun.
///
/// # Errors
/// What the database says.
pub fn finish(tx: &mut Tx, secret: &Secret, id: Id<ids::IdempotencyKey>, reply: &Reply) -> Result<()> {
    keep(tx, id, &Kept::of(secret, reply)?)
}

/// The same with an answer that was made ready before.
///
/// # Errors
/// What the database says.
pub fn keep(tx: &mut Tx, id: Id<ids::IdempotencyKey>, kept: &Kept) -> Result<()> {
    sql("UPDATE idempotency_keys SET state = 'done', status = ?, body = ?, sealed = ? WHERE id = ?")
        .bind(kept.status)
        .bind(kept.body.clone())
        .bind(kept.sealed)
        .bind(id)
        .execute(tx)?;
    Ok(())
}

/// Gives a key up, so that it can be used again: its command came to nothing.
///
/// # Errors
/// What the database says.
pub fn release(tx: &mut Tx, id: Id<ids::IdempotencyKey>) -> Result<()> {
    sql("DELETE FROM idempotency_keys WHERE id = ? AND state = 'in_progress'").bind(id).execute(tx)?;
    Ok(())
}

/// Drops answers stored before an instant.
///
/// # Errors
/// What the database says.
pub fn purge(tx: &mut Tx, before: Instant, limit: i64) -> Result<usize> {
    sql("DELETE FROM idempotency_keys WHERE id IN (SELECT id FROM idempotency_keys WHERE created_at < ? ORDER BY created_at LIMIT ?)")
        .bind(before)
        .bind(limit)
        .execute(tx)
}

/// Stored answers that tell of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// The last one looked at; `None` when there was none.
    pub last: Option<Id<ids::IdempotencyKey>>,
    /// Those that do.
    pub telling: Vec<Id<ids::IdempotencyKey>>,
}

/// Looks through the next `limit` stored answers after one for those that hold a text of which `tells` is true: an id, an
/// e-mail address. What no secret opens tells nobody anything.
///
/// # Errors
/// What the database says.
pub fn telling_of(
    tx: &mut Tx,
    secret: &Secret,
    after: Option<Id<ids::IdempotencyKey>>,
    limit: i64,
    tells: impl Fn(&str) -> bool,
) -> Result<Telling> {
    type Row = (Id<ids::IdempotencyKey>, Option<String>, bool);
    let query = sql("SELECT id, body, sealed FROM idempotency_keys WHERE id > ? ORDER BY id LIMIT ?");
    let query = query.bind(after.unwrap_or(Id::from_bytes([0; 16]))).bind(limit);
    let rows = query.load::<(UidSql, Nullable<Text>, Bool), Row>(tx)?;
    let last = rows.last().map(|(id, ..)| *id);
    let telling = rows.into_iter().filter_map(|(id, body, sealed)| {
        let body = if sealed { secret.unseal(&body?).ok()? } else { body? };
        // A document within a document has its quotes escaped.
        body.split('"').any(|text| tells(text.trim_end_matches('\\'))).then_some(id)
    });
    Ok(Telling { last, telling: telling.collect() })
}

/// Drops stored answers: their keys are as if they had never been sent.
///
/// # Errors
/// What the database says.
pub fn forget(tx: &mut Tx, answers: &[Id<ids::IdempotencyKey>]) -> Result<()> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let delete = format!("DELETE FROM idempotency_keys WHERE state = 'done' AND id IN (SELECT wanted FROM {list})");
    sql(delete).bind(dialect::rows(answers.iter().map(|id| json!([id.hex()])).collect())).execute(tx)?;
    Ok(())
}

/// What came of sealing stored answers again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedAgain {
    /// The last one looked at; `None` when there was none.
    pub last: Option<Id<ids::IdempotencyKey>>,
    /// How many are sealed under the current secret now that were not.
    pub sealed: usize,
    /// How many no secret opens.
    pub lost: usize,
}

/// Seals the next `limit` stored answers after one again, where they are sealed under a former secret. What no secret
/// opens stays as it is.
///
/// # Errors
/// What the database says.
pub fn seal_again(
    tx: &mut Tx,
    secret: &Secret,
    after: Option<Id<ids::IdempotencyKey>>,
    limit: i64,
) -> Result<SealedAgain> {
    type Row = (Id<ids::IdempotencyKey>, String);
    let query =
        "SELECT id, body FROM idempotency_keys WHERE sealed AND body IS NOT NULL AND id > ? ORDER BY id LIMIT ?";
    let query = sql(query).bind(after.unwrap_or(Id::from_bytes([0; 16]))).bind(limit);
    let rows = query.load::<(UidSql, Text), Row>(tx)?;
    let mut done = SealedAgain { last: rows.last().map(|(id, _)| *id), sealed: 0, lost: 0 };
    let mut fresh = Vec::new();
    for (id, body) in rows {
        match secret.reseal(&body) {
            Ok(Some(sealed)) => fresh.push(json!([id.hex(), sealed])),
            Ok(None) => {}
            Err(_) => done.lost += 1,
        }
    }
    if !fresh.is_empty() {
        let list = dialect::list(tx, &[("wanted", Col::Uid), ("fresh", Col::Text)]);
        let update = format!("UPDATE idempotency_keys SET body = list.fresh FROM {list} WHERE id = list.wanted");
        done.sealed = sql(update).bind(dialect::rows(fresh)).execute(tx)?;
    }
    Ok(done)
}
