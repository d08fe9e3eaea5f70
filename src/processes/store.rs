//! The only file that touches `process_decisions`.

use diesel::sql_types::{Nullable, Text};

use super::model::{Decision, StepKind, Verb};
use crate::{
    db::{InstantSql, Tx, sql},
    error::Result,
    kernel::{
        Instant,
        ids::{OrderId, ProcessDecisionId},
    },
};

pub(super) fn insert(tx: &mut Tx, id: ProcessDecisionId, order: OrderId, decision: &Decision) -> Result<()> {
    sql("INSERT INTO process_decisions (id, order_id, step, subject, decision, reason, actor, decided_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
    .bind(id)
    .bind(order)
    .bind(decision.step.as_str())
    .bind(decision.subject.clone())
    .bind(decision.decision.as_str())
    .bind(decision.reason.clone())
    .bind(decision.by.as_str())
    .bind(decision.at)
    .execute(tx)?;
    Ok(())
}

type Columns = (Text, Nullable<Text>, Text, Nullable<Text>, Text, InstantSql);
type Row = (StepKind, Option<String>, Verb, Option<String>, String, Instant);

/// What was decided about an order's steps, the oldest first.
pub(super) fn of_order(tx: &mut Tx, order: OrderId) -> Result<Vec<Decision>> {
    let query = "SELECT step, subject, decision, reason, actor, decided_at FROM process_decisions WHERE order_id = ? \
                 ORDER BY decided_at, id LIMIT 500";
    let rows = sql(query).bind(order).load::<Columns, Row>(tx)?;
    let decision =
        |(step, subject, decision, reason, by, at): Row| Decision { step, subject, decision, reason, by, at };
    Ok(rows.into_iter().map(decision).collect())
}
