//! Pages of what happens at locations, which many rooms list in the same way.

use serde_json::json;

use super::{Bind, Col, Sql, Tx, dialect, sql};
use crate::kernel::{Id, ids::LocationId};

/// The rows of a table with the columns `id`, `location_id` and `state`, the newest first, from behind one of them: of these
/// locations and in one state, where they are named. `select` is the statement up to its conditions.
#[must_use]
pub fn newest_at<K>(
    tx: &Tx,
    select: &str,
    (locations, state): (Option<&[LocationId]>, Option<&str>),
    before: Option<Id<K>>,
    limit: i64,
) -> Sql {
    let (mut text, mut binds) = (format!("{select} WHERE 1 = 1"), Vec::<Bind>::new());
    if let Some(state) = state {
        text.push_str(" AND state = ?");
        binds.push(state.into());
    }
    if let Some(locations) = locations {
        text.push_str(&format!(
            " AND location_id IN (SELECT wanted FROM {})",
            dialect::list(tx, &[("wanted", Col::Uid)])
        ));
        binds.push(dialect::rows(locations.iter().map(|id| json!([id.hex()])).collect()));
    }
    if let Some(before) = before {
        text.push_str(" AND id < ?");
        binds.push(before.into());
    }
    text.push_str(" ORDER BY id DESC LIMIT ?");
    sql(text).bind_all(binds).bind(limit)
}
