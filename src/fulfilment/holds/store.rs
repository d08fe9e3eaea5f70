//! The only file that touches `fulfilment_holds`.

use std::collections::HashMap;

use diesel::sql_types::{Nullable, Text};
use serde_json::json;

use super::model::{Hold, HoldDetails, HoldKind};
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Json, Tx, UidSql, dialect, insert_many, sql},
    error::{Error, Result, on_duplicate},
    kernel::{
        Id, Instant,
        ids::{FulfilmentOrderId, HoldId},
    },
};

const COLUMNS: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("fulfilment_order_id", Col::Uid),
    ("kind", Col::Text),
    ("doc", Col::Doc),
    ("placed_at", Col::At),
    ("expires_at", Col::At),
];

/// Places holds, all with one statement.
///
/// # Errors
/// `state_conflict` when a fulfilment order is held for that already.
pub(in crate::fulfilment) fn insert(tx: &mut Tx, holds: &[(HoldId, FulfilmentOrderId, &Hold)]) -> Result<()> {
    let row = |(id, of, hold): &(HoldId, FulfilmentOrderId, &Hold)| -> Result<Vec<Bind>> {
        let Hold { reason, owner, placed_by, .. } = (*hold).clone();
        let doc = Json::of(&HoldDetails { reason, owner, placed_by })?;
        Ok(vec![
            (*id).into(),
            (*of).into(),
            hold.kind.as_str().into(),
            doc.into(),
            hold.placed_at.into(),
            hold.expires_at.into(),
        ])
    };
    let rows: Result<Vec<Vec<Bind>>> = holds.iter().map(row).collect();
    let inserted = insert_many(tx, "fulfilment_holds", COLUMNS, rows?).map(|_| ());
    on_duplicate(inserted, || Error::conflict("the fulfilment order is held for that already"))
}

/// Ends live holds of a fulfilment order. How many that were: whoever comes second ends none.
pub(in crate::fulfilment) fn release(
    tx: &mut Tx,
    now: Instant,
    of: FulfilmentOrderId,
    kinds: &[HoldKind],
    by: &str,
) -> Result<usize> {
    let list = dialect::list(tx, &[("wanted", Col::Text)]);
    let update = format!(
        "UPDATE fulfilment_holds SET released_at = ?, released_by = ? WHERE fulfilment_order_id = ? \
         AND released_at IS NULL AND kind IN (SELECT wanted FROM {list})"
    );
    let kinds = dialect::rows(kinds.iter().map(|kind| json!([kind])).collect());
    sql(update).bind(now).bind(by).bind(of).bind(kinds).execute(tx)
}

type Columns = (UidSql, Text, DocSql, InstantSql, Nullable<InstantSql>);
type Row = (FulfilmentOrderId, HoldKind, Doc<HoldDetails>, Instant, Option<Instant>);

/// The live holds of fulfilment orders, the oldest first.
pub(in crate::fulfilment) fn live(
    tx: &mut Tx,
    of: &[FulfilmentOrderId],
) -> Result<HashMap<FulfilmentOrderId, Vec<Hold>>> {
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT fulfilment_order_id, kind, doc, placed_at, expires_at FROM {list} \
         JOIN fulfilment_holds ON fulfilment_order_id = wanted AND released_at IS NULL ORDER BY placed_at, kind"
    );
    let wanted = dialect::rows(of.iter().map(|id| json!([id.hex()])).collect());
    let mut found: HashMap<FulfilmentOrderId, Vec<Hold>> = HashMap::new();
    for (of, kind, Doc(details), placed_at, expires_at) in sql(query).bind(wanted).load::<Columns, Row>(tx)? {
        let HoldDetails { reason, owner, placed_by } = details;
        found.entry(of).or_default().push(Hold { kind, reason, owner, placed_by, placed_at, expires_at });
    }
    Ok(found)
}

/// Up to so many fulfilment orders with holds whose time is over, the longest over first.
pub(super) fn over(tx: &mut Tx, now: Instant, limit: i64) -> Result<Vec<FulfilmentOrderId>> {
    let query = "SELECT fulfilment_order_id FROM fulfilment_holds WHERE released_at IS NULL AND expires_at <= ? \
                 ORDER BY expires_at, id LIMIT ?";
    let mut found = sql(query).bind(now).bind(limit).load::<UidSql, Id<crate::kernel::ids::FulfilmentOrder>>(tx)?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}
