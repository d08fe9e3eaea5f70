//! The only file that touches `order_notes`, `order_tags`, `order_attachments` and `order_confirmations`.

use diesel::sql_types::{BigInt, Nullable, Text};
use serde_json::json;

use super::model::{Attachment, MOST, NoteVisibility, OrderNote};
use crate::{
    db::{Bind, Col, InstantSql, Tx, UidSql, dialect, insert_many, sql},
    error::Result,
    kernel::{
        Instant,
        ids::{OrderAttachmentId, OrderId, OrderNoteId},
    },
};

pub(super) fn insert_note(tx: &mut Tx, order: OrderId, note: &OrderNote) -> Result<()> {
    sql("INSERT INTO order_notes (id, order_id, visibility, body, author, created_at) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(note.id)
        .bind(order)
        .bind(note.visibility.as_str())
        .bind(note.text.as_str())
        .bind(note.author.as_str())
        .bind(note.created_at)
        .execute(tx)
        .map(|_| ())
}

/// An order's notes, the oldest first.
pub(super) fn notes(tx: &mut Tx, order: OrderId) -> Result<Vec<OrderNote>> {
    type Row = (OrderNoteId, NoteVisibility, String, String, Instant);
    let query = "SELECT id, visibility, body, author, created_at FROM order_notes WHERE order_id = ? \
                 ORDER BY created_at, id LIMIT ?";
    let rows = sql(query).bind(order).bind(MOST).load::<(UidSql, Text, Text, Text, InstantSql), Row>(tx)?;
    let note = |(id, visibility, text, author, created_at): Row| OrderNote { id, visibility, text, author, created_at };
    Ok(rows.into_iter().map(note).collect())
}

/// The notes of orders behind one of them, in the order of their ids: one statement.
pub(super) fn of_orders(
    tx: &mut Tx,
    orders: &[OrderId],
    after: Option<OrderNoteId>,
    limit: i64,
) -> Result<Vec<OrderNote>> {
    type Row = (OrderNoteId, NoteVisibility, String, String, Instant);
    let after = after.unwrap_or(OrderNoteId::from_bytes([0; 16]));
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT id, visibility, body, author, created_at FROM order_notes \
         WHERE order_id IN (SELECT wanted FROM {list}) AND id > ? ORDER BY id LIMIT ?"
    );
    let wanted = dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    let rows = sql(query).bind(wanted).bind(after).bind(limit);
    let rows = rows.load::<(UidSql, Text, Text, Text, InstantSql), Row>(tx)?;
    let note = |(id, visibility, text, author, created_at): Row| OrderNote { id, visibility, text, author, created_at };
    Ok(rows.into_iter().map(note).collect())
}

pub(super) fn insert_attachment(tx: &mut Tx, order: OrderId, one: &Attachment) -> Result<()> {
    sql("INSERT INTO order_attachments (id, order_id, name, media_type, size, url, sha256, author, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(one.id)
    .bind(order)
    .bind(one.name.as_str())
    .bind(one.media_type.as_str())
    .bind(one.size)
    .bind(one.url.as_str())
    .bind(one.sha256.clone())
    .bind(one.author.as_str())
    .bind(one.created_at)
    .execute(tx)
    .map(|_| ())
}

/// An order's documents, the oldest first.
pub(super) fn attachments(tx: &mut Tx, order: OrderId) -> Result<Vec<Attachment>> {
    type Types = (UidSql, Text, Text, BigInt, Text, Nullable<Text>, Text, InstantSql);
    type Row = (OrderAttachmentId, String, String, i64, String, Option<String>, String, Instant);
    let query = "SELECT id, name, media_type, size, url, sha256, author, created_at FROM order_attachments \
                 WHERE order_id = ? ORDER BY created_at, id LIMIT ?";
    let rows = sql(query).bind(order).bind(MOST).load::<Types, Row>(tx)?;
    let one = |(id, name, media_type, size, url, sha256, author, created_at): Row| Attachment {
        id,
        name,
        media_type,
        size,
        url,
        sha256,
        author,
        created_at,
    };
    Ok(rows.into_iter().map(one).collect())
}

/// An order's tags, in their order.
pub(super) fn tags(tx: &mut Tx, order: OrderId) -> Result<Vec<String>> {
    sql("SELECT tag FROM order_tags WHERE order_id = ? ORDER BY tag").bind(order).load::<Text, String>(tx)
}

/// Gives an order tags that it does not have.
pub(super) fn add_tags(tx: &mut Tx, order: OrderId, tags: &[String]) -> Result<()> {
    if tags.is_empty() {
        return Ok(());
    }
    let row = |tag: &String| -> Vec<Bind> { vec![order.into(), tag.as_str().into()] };
    let columns = [("order_id", Col::Uid), ("tag", Col::Text)];
    insert_many(tx, "order_tags", &columns, tags.iter().map(row).collect()).map(|_| ())
}

/// Takes tags off an order.
pub(super) fn remove_tags(tx: &mut Tx, order: OrderId, tags: &[String]) -> Result<()> {
    if tags.is_empty() {
        return Ok(());
    }
    let list = dialect::list(tx, &[("wanted", Col::Text)]);
    let delete = format!("DELETE FROM order_tags WHERE order_id = ? AND tag IN (SELECT wanted FROM {list})");
    let wanted = dialect::rows(tags.iter().map(|tag| json!([tag])).collect());
    sql(delete).bind(order).bind(wanted).execute(tx).map(|_| ())
}

/// Notes that an order's confirmation was asked for. False when it was since an instant.
pub(super) fn ask(tx: &mut Tx, now: Instant, order: OrderId, since: Instant) -> Result<bool> {
    let insert = "INSERT INTO order_confirmations (order_id, asked_at) VALUES (?, ?) \
                  ON CONFLICT (order_id) DO UPDATE SET asked_at = excluded.asked_at WHERE order_confirmations.asked_at <= ?";
    Ok(sql(insert).bind(order).bind(now).bind(since).execute(tx)? == 1)
}

/// Forgets what people have written about orders.
pub(super) fn forget(tx: &mut Tx, orders: &[OrderId]) -> Result<()> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let wanted = || dialect::rows(orders.iter().map(|id| json!([id.hex()])).collect());
    sql(format!("DELETE FROM order_notes WHERE order_id IN (SELECT wanted FROM {list})")).bind(wanted()).execute(tx)?;
    sql(format!("DELETE FROM order_attachments WHERE order_id IN (SELECT wanted FROM {list})"))
        .bind(wanted())
        .execute(tx)
        .map(|_| ())
}
