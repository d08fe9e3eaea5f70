//! The only file that touches `journal_accounts`.

use serde_json::Value;

use super::model::JournalAccounts;
use crate::{
    db::{Doc, DocSql, Json, Tx, UidSql, sql},
    error::Result,
    kernel::{Instant, ids::LegalEntityId},
};

pub(super) fn accounts(tx: &mut Tx, entity: LegalEntityId) -> Result<Option<JournalAccounts>> {
    let query = sql("SELECT doc FROM journal_accounts WHERE legal_entity_id = ?").bind(entity);
    Ok(query.first::<DocSql, Doc<JournalAccounts>>(tx)?.map(|Doc(accounts)| accounts))
}

pub(super) fn all(tx: &mut Tx) -> Result<Vec<(LegalEntityId, JournalAccounts)>> {
    let query = sql("SELECT legal_entity_id, doc FROM journal_accounts");
    let rows = query.load::<(UidSql, DocSql), (LegalEntityId, Doc<JournalAccounts>)>(tx)?;
    Ok(rows.into_iter().map(|(id, Doc(accounts))| (id, accounts)).collect())
}

pub(super) fn set(tx: &mut Tx, now: Instant, entity: LegalEntityId, accounts: &JournalAccounts) -> Result<()> {
    let upsert = "INSERT INTO journal_accounts (legal_entity_id, doc, version, updated_at) VALUES (?, ?, 1, ?) \
                  ON CONFLICT (legal_entity_id) DO UPDATE SET doc = excluded.doc, version = journal_accounts.version + 1, \
                  updated_at = excluded.updated_at";
    let doc: Value = serde_json::to_value(accounts)?;
    sql(upsert).bind(entity).bind(Json::of(&doc)?).bind(now).execute(tx)?;
    Ok(())
}
