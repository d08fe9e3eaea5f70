//! The only file that touches `worklist_claims`.

use std::collections::HashMap;

use diesel::sql_types::{Nullable, Text};
use serde_json::json;

use super::model::{Claim, WorkList};
use crate::{
    db::{Col, InstantSql, Tx, dialect, sql},
    error::Result,
    kernel::Instant,
};

/// Who looks after these items, with one statement.
pub(super) fn claims(tx: &mut Tx, items: &[(WorkList, String)]) -> Result<HashMap<(WorkList, String), Claim>> {
    if items.is_empty() {
        return Ok(HashMap::new());
    }
    type Found = (WorkList, String, Option<String>, Option<Instant>, Option<String>);
    let wanted = dialect::list(tx, &[("of_list", Col::Text), ("wanted", Col::Text)]);
    let query = format!(
        "SELECT claims.list, item, assignee, snoozed_until, note FROM worklist_claims AS claims \
         JOIN {wanted} ON claims.list = of_list AND item = wanted"
    );
    let rows = dialect::rows(items.iter().map(|(list, item)| json!([list, item])).collect());
    let found = sql(query).bind(rows);
    let found = found.load::<(Text, Text, Nullable<Text>, Nullable<InstantSql>, Nullable<Text>), Found>(tx)?;
    let claim = |(list, item, assignee, snoozed_until, note)| ((list, item), Claim { assignee, snoozed_until, note });
    Ok(found.into_iter().map(claim).collect())
}

/// Writes who looks after an item, unless somebody other than `by` does; `force` takes it from them. False when it is
/// refused.
pub(super) fn claim(
    tx: &mut Tx,
    now: Instant,
    (list, item): (WorkList, &str),
    claim: &Claim,
    by: &str,
    force: bool,
) -> Result<bool> {
    let insert = "INSERT INTO worklist_claims (list, item, assignee, snoozed_until, note, updated_at) \
                  VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (list, item) DO UPDATE SET assignee = excluded.assignee, \
                  snoozed_until = excluded.snoozed_until, note = coalesce(excluded.note, worklist_claims.note), \
                  updated_at = excluded.updated_at \
                  WHERE worklist_claims.assignee IS NULL OR worklist_claims.assignee = ? OR ?";
    let insert = sql(insert).bind(list.as_str()).bind(item).bind(claim.assignee.clone()).bind(claim.snoozed_until);
    Ok(insert.bind(claim.note.clone()).bind(now).bind(by).bind(force).execute(tx)? == 1)
}

/// Lets go of an item, unless somebody other than `by` looks after it. False when nothing was let go.
pub(super) fn release(tx: &mut Tx, (list, item): (WorkList, &str), by: &str, force: bool) -> Result<bool> {
    let delete = "DELETE FROM worklist_claims WHERE list = ? AND item = ? AND (assignee IS NULL OR assignee = ? OR ?)";
    Ok(sql(delete).bind(list.as_str()).bind(item).bind(by).bind(force).execute(tx)? == 1)
}

/// Forgets claims that nobody has touched since an instant and that do not sleep: what they were on is long gone, or
/// waits for somebody new.
pub(super) fn tidy(tx: &mut Tx, now: Instant, before: Instant) -> Result<usize> {
    let delete = "DELETE FROM worklist_claims WHERE updated_at < ? AND (snoozed_until IS NULL OR snoozed_until < ?)";
    sql(delete).bind(before).bind(now).execute(tx)
}
