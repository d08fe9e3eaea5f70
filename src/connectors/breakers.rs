//! What is known of far ends that fail. Part of the store, the only file that touches `connector_breakers`.

use std::collections::HashMap;

use diesel::sql_types::{BigInt, Nullable, Text};

use super::sending::Breaker;
use crate::{
    db::{InstantSql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{Instant, ids::ConnectorId},
};

const SELECTED: &str = "connector_id, failures, opens, opened_at, retry_at, reason";
type Columns = (UidSql, BigInt, BigInt, Nullable<InstantSql>, Nullable<InstantSql>, Nullable<Text>);
type Row = (ConnectorId, i64, i64, Option<Instant>, Option<Instant>, Option<String>);

fn breaker((id, failures, opens, opened_at, retry_at, reason): Row) -> (ConnectorId, Breaker) {
    (id, Breaker { failures, opens, opened_at, retry_at, reason })
}

/// What is known of all far ends that have failed since they last answered.
pub(super) fn all(tx: &mut Tx) -> Result<HashMap<ConnectorId, Breaker>> {
    let query = sql(format!("SELECT {SELECTED} FROM connector_breakers"));
    Ok(query.load::<Columns, Row>(tx)?.into_iter().map(breaker).collect())
}

/// What is known of a connector's far end.
pub(super) fn find(tx: &mut Tx, id: ConnectorId) -> Result<Breaker> {
    let query = sql(format!("SELECT {SELECTED} FROM connector_breakers WHERE connector_id = ?")).bind(id);
    Ok(query.first::<Columns, Row>(tx)?.map(|row| breaker(row).1).unwrap_or_default())
}

/// The same, for nobody else to change until the end of the transaction.
pub(super) fn locked(tx: &mut Tx, now: Instant, id: ConnectorId) -> Result<Breaker> {
    let insert = "INSERT INTO connector_breakers (connector_id, failures, opens, updated_at) VALUES (?, 0, 0, ?) \
                  ON CONFLICT (connector_id) DO NOTHING";
    sql(insert).bind(id).bind(now).execute(tx)?;
    let lock = dialect::for_update(tx);
    let query = sql(format!("SELECT {SELECTED} FROM connector_breakers WHERE connector_id = ?{lock}")).bind(id);
    Ok(query.first::<Columns, Row>(tx)?.map(|row| breaker(row).1).unwrap_or_default())
}

/// Writes down what is known of a far end whose row the transaction has locked.
pub(super) fn save(tx: &mut Tx, now: Instant, id: ConnectorId, breaker: &Breaker) -> Result<()> {
    let update =
        sql("UPDATE connector_breakers SET failures = ?, opens = ?, opened_at = ?, retry_at = ?, reason = ?, \
         updated_at = ? WHERE connector_id = ?");
    let update = update.bind(breaker.failures).bind(breaker.opens).bind(breaker.opened_at).bind(breaker.retry_at);
    update.bind(breaker.reason.clone()).bind(now).bind(id).execute(tx).map(|_| ())
}

/// Forgets the failures of a far end. False when there were none.
pub(super) fn clear(tx: &mut Tx, now: Instant, id: ConnectorId) -> Result<bool> {
    let update = "UPDATE connector_breakers SET failures = 0, opens = 0, opened_at = NULL, retry_at = NULL, reason = NULL, \
                  updated_at = ? WHERE connector_id = ? AND (failures > 0 OR retry_at IS NOT NULL)";
    Ok(sql(update).bind(now).bind(id).execute(tx)? == 1)
}
