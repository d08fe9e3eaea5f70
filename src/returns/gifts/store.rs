//! The only file that touches `gift_receipts`.

use super::model::{GiftReceipt, ReceiptDetails};
use crate::{
    db::{Doc, DocSql, InstantSql, Json, Tx, UidSql, sql},
    error::Result,
    kernel::{
        Instant,
        ids::{GiftReceiptId, OrderId},
    },
};

pub(super) fn insert(tx: &mut Tx, new: &GiftReceipt) -> Result<()> {
    sql("INSERT INTO gift_receipts (id, order_id, doc, created_at) VALUES (?, ?, ?, ?)")
        .bind(new.id)
        .bind(new.order_id)
        .bind(Json::of(&ReceiptDetails { lines: new.lines.clone() })?)
        .bind(new.created_at)
        .execute(tx)
        .map(|_| ())
}

pub(super) fn get(tx: &mut Tx, id: GiftReceiptId) -> Result<Option<GiftReceipt>> {
    type Columns = (UidSql, UidSql, DocSql, InstantSql);
    type Row = (GiftReceiptId, OrderId, Doc<ReceiptDetails>, Instant);
    let query = sql("SELECT id, order_id, doc, created_at FROM gift_receipts WHERE id = ?").bind(id);
    let receipt =
        |(id, order_id, Doc(doc), created_at): Row| GiftReceipt { id, order_id, lines: doc.lines, created_at };
    Ok(query.load::<Columns, Row>(tx)?.into_iter().map(receipt).next())
}
