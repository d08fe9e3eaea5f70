//! The only file that touches `drafts`.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::model::{Contact, Details, Draft, DraftState};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Instant,
        ids::{CartId, ChannelId, DraftId},
    },
};

type Types = (UidSql, UidSql, UidSql, Text, Text, Nullable<InstantSql>, DocSql, BigInt, InstantSql, InstantSql);
type Row = (DraftId, ChannelId, CartId, Contact, DraftState, Option<Instant>, Doc<Details>, i64, Instant, Instant);
const READ: &str = "id, channel_id, cart_id, contact, state, link_expires_at, doc, version, created_at, updated_at";

fn draft(row: Row) -> Draft {
    let (id, channel_id, cart_id, contact, state, link_expires_at, Doc(doc), version, created_at, updated_at) = row;
    let steps = doc.steps;
    Draft {
        id,
        channel_id,
        cart_id,
        contact,
        state,
        link_expires_at,
        order_id: None,
        steps,
        version,
        created_at,
        updated_at,
    }
}

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<Draft>> {
    Ok(query.load::<Types, Row>(tx)?.into_iter().map(draft).collect())
}

fn doc(draft: &Draft) -> Result<Json> {
    Json::of(&Details { steps: draft.steps.clone() })
}

pub(super) fn insert(tx: &mut Tx, new: &Draft) -> Result<()> {
    sql(format!("INSERT INTO drafts ({READ}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        .bind(new.id)
        .bind(new.channel_id)
        .bind(new.cart_id)
        .bind(new.contact.as_str())
        .bind(new.state.as_str())
        .bind(new.link_expires_at)
        .bind(doc(new)?)
        .bind(new.version)
        .bind(new.created_at)
        .bind(new.updated_at)
        .execute(tx)?;
    Ok(())
}

pub(super) fn read(tx: &mut Tx, id: DraftId) -> Result<Option<Draft>> {
    Ok(load(tx, sql(format!("SELECT {READ} FROM drafts WHERE id = ?")).bind(id))?.pop())
}

/// Writes a draft over the version that was read. False when it has changed since.
pub(super) fn update(tx: &mut Tx, draft: &Draft) -> Result<bool> {
    let update =
        sql("UPDATE drafts SET state = ?, link_expires_at = ?, doc = ?, version = version + 1, updated_at = ? \
                      WHERE id = ? AND version = ?")
        .bind(draft.state.as_str())
        .bind(draft.link_expires_at)
        .bind(doc(draft)?)
        .bind(draft.updated_at)
        .bind(draft.id)
        .bind(draft.version);
    Ok(update.execute(tx)? == 1)
}

/// Those of carts, locked in the order of their ids.
pub(super) fn of_carts(tx: &mut Tx, carts: &[CartId]) -> Result<Vec<Draft>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let lock = dialect::for_update(tx);
    let query = format!("SELECT {READ} FROM drafts WHERE cart_id IN (SELECT wanted FROM {list}) ORDER BY id{lock}");
    load(tx, sql(query).bind(dialect::rows(carts.iter().map(|id| json!([id.hex()])).collect())))
}

/// Those of carts behind one of them, in the order of their ids.
pub(super) fn of_carts_after(tx: &mut Tx, carts: &[CartId], after: Option<DraftId>, limit: i64) -> Result<Vec<Draft>> {
    let after = after.unwrap_or(DraftId::from_bytes([0; 16]));
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT {READ} FROM drafts WHERE cart_id IN (SELECT wanted FROM {list}) AND id > ? ORDER BY id LIMIT ?"
    );
    let wanted = dialect::rows(carts.iter().map(|id| json!([id.hex()])).collect());
    load(tx, sql(query).bind(wanted).bind(after).bind(limit))
}

/// A page of those of some channels, or of all; the newest first.
pub(super) fn page(
    tx: &mut Tx,
    (state, channels): (Option<DraftState>, Option<&[ChannelId]>),
    before: Option<DraftId>,
    limit: i64,
) -> Result<Vec<Draft>> {
    let (mut text, mut binds) = (String::from("WHERE true"), Vec::<Bind>::new());
    if let Some(state) = state {
        text.push_str(" AND state = ?");
        binds.push(state.as_str().into());
    }
    if let Some(channels) = channels {
        let list = dialect::list(tx, &[("wanted", Col::Uid)]);
        text.push_str(&format!(" AND channel_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect()));
    }
    if let Some(before) = before {
        text.push_str(" AND id < ?");
        binds.push(before.into());
    }
    let query = format!("SELECT {READ} FROM drafts {text} ORDER BY id DESC LIMIT ?");
    load(tx, sql(query).bind_all(binds).bind(limit))
}
