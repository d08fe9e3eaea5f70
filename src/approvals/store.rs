//! The only file that touches `approval_requests` and `approval_decisions`.

use diesel::sql_types::{BigInt, Nullable, Text};

use super::model::{ApprovalRequest, ApprovalState, CreditApproval, Decision, Details, Verdict};
use crate::{
    customers::companies::CompanyRole,
    db::{Bind, Doc, DocSql, InstantSql, Json, Sql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Currency, Instant, Money,
        ids::{ApprovalRequestId, CartId, ChannelId, CompanyId, CustomerId, OrderId},
    },
};

#[rustfmt::skip]
type Types = (
    UidSql, UidSql, UidSql, UidSql, UidSql, Text, Text, BigInt, BigInt, BigInt, Text, InstantSql, Nullable<UidSql>, DocSql, BigInt,
    InstantSql, InstantSql,
);
#[rustfmt::skip]
type Row = (
    ApprovalRequestId, ChannelId, CompanyId, CartId, CustomerId, ApprovalState, Currency, i64, i64, i64, CompanyRole, Instant,
    Option<OrderId>, Doc<Details>, i64, Instant, Instant,
);
const READ: &str = "id, channel_id, company_id, cart_id, customer_id, state, currency, amount, needed, given, role, expires_at, \
                    order_id, doc, version, created_at, updated_at";

fn request(row: Row) -> ApprovalRequest {
    let (id, channel_id, company_id, cart_id, customer_id, state, currency, amount, approvers, approvals, role, ..) =
        row;
    let (expires_at, order_id, doc, version, created_at, updated_at) = (row.11, row.12, row.13, row.14, row.15, row.16);
    let Details { cart_version, payment_method, message, reason, failure, credit } = doc.0;
    ApprovalRequest {
        id,
        channel_id,
        company_id,
        cart_id,
        customer_id,
        state,
        total: Money::from_minor(amount, currency),
        approvers,
        approvals,
        role,
        reason,
        payment_method,
        message,
        expires_at,
        order_id,
        failure,
        credit,
        cart_version,
        version,
        created_at,
        updated_at,
    }
}

fn load(tx: &mut Tx, query: Sql) -> Result<Vec<ApprovalRequest>> {
    Ok(query.load::<Types, Row>(tx)?.into_iter().map(request).collect())
}

pub(super) fn insert(tx: &mut Tx, new: &ApprovalRequest) -> Result<()> {
    sql(format!("INSERT INTO approval_requests ({READ}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        .bind(new.id)
        .bind(new.channel_id)
        .bind(new.company_id)
        .bind(new.cart_id)
        .bind(new.customer_id)
        .bind(new.state.as_str())
        .bind(new.total.currency())
        .bind(new.total.minor())
        .bind(new.approvers)
        .bind(new.approvals)
        .bind(new.role.as_str())
        .bind(new.expires_at)
        .bind(new.order_id)
        .bind(Json::of(&new.details())?)
        .bind(new.version)
        .bind(new.created_at)
        .bind(new.updated_at)
        .execute(tx)?;
    Ok(())
}

pub(super) fn read(tx: &mut Tx, id: ApprovalRequestId) -> Result<Option<ApprovalRequest>> {
    Ok(load(tx, sql(format!("SELECT {READ} FROM approval_requests WHERE id = ?")).bind(id))?.pop())
}

/// Counts an approval of the company, of which so many are needed, as long as somebody has to decide and their time is not over; the last one
/// of all approves. `None` when it is too late, or the shop has to decide.
pub(super) fn approve(
    tx: &mut Tx,
    now: Instant,
    (id, most): (ApprovalRequestId, i64),
) -> Result<Option<ApprovalRequest>> {
    let update = format!(
        "UPDATE approval_requests SET given = given + 1, state = CASE WHEN given + 1 >= needed THEN 'approved' ELSE state END, \
         version = version + 1, updated_at = ? WHERE id = ? AND state = 'awaiting' AND expires_at > ? AND given < ? RETURNING {READ}"
    );
    Ok(load(tx, sql(update).bind(now).bind(id).bind(now).bind(most))?.pop())
}

/// Counts the approval of the shop, which is the last of all. `None` when it is too late, or others of the company have to decide first.
pub(super) fn approve_credit(
    tx: &mut Tx,
    now: Instant,
    (id, credit): (ApprovalRequestId, &CreditApproval),
) -> Result<Option<ApprovalRequest>> {
    let doc = dialect::with_member(tx, "doc", "credit");
    let update = format!(
        "UPDATE approval_requests SET given = given + 1, state = 'approved', doc = {doc}, version = version + 1, updated_at = ? \
         WHERE id = ? AND state = 'awaiting' AND expires_at > ? AND given = needed - 1 RETURNING {READ}"
    );
    Ok(load(tx, sql(update).bind(Json::of(credit)?).bind(now).bind(id).bind(now))?.pop())
}

/// Takes a request from one state to another; `None` when it is not in the first any more. While it awaits a decision that counts only until
/// its time is over, but for its expiry, which counts from then on.
pub(super) fn transit(
    tx: &mut Tx,
    now: Instant,
    id: ApprovalRequestId,
    (from, to): (ApprovalState, ApprovalState),
) -> Result<Option<ApprovalRequest>> {
    let when = match to {
        ApprovalState::Expired => " AND expires_at <= ?",
        ApprovalState::Rejected => " AND expires_at > ?",
        _ => "",
    };
    let update = format!(
        "UPDATE approval_requests SET state = ?, version = version + 1, updated_at = ? WHERE id = ? AND state = ?{when} RETURNING {READ}"
    );
    let at = (!when.is_empty()).then_some(Bind::from(now));
    let update = sql(update).bind(to.as_str()).bind(now).bind(id).bind(from.as_str()).bind_all(at);
    Ok(load(tx, update)?.pop())
}

/// Notes what came of an approved request. `None` when somebody else has.
pub(super) fn end(
    tx: &mut Tx,
    now: Instant,
    request: &ApprovalRequest,
    (to, order): (ApprovalState, Option<OrderId>),
) -> Result<Option<ApprovalRequest>> {
    let update = format!(
        "UPDATE approval_requests SET state = ?, order_id = ?, doc = ?, version = version + 1, updated_at = ? \
         WHERE id = ? AND state = 'approved' RETURNING {READ}"
    );
    let update = sql(update).bind(to.as_str()).bind(order).bind(Json::of(&request.details())?).bind(now);
    Ok(load(tx, update.bind(request.id))?.pop())
}

/// The request of a cart that waits or is approved.
pub(super) fn open_of(tx: &mut Tx, cart: CartId) -> Result<Option<ApprovalRequest>> {
    let query = format!("SELECT {READ} FROM approval_requests WHERE cart_id = ? AND state IN ('awaiting', 'approved')");
    Ok(load(tx, sql(query).bind(cart))?.pop())
}

/// Those that are approved and of which nothing has come yet, after one of them.
pub(super) fn approved(tx: &mut Tx, after: Option<ApprovalRequestId>, limit: i64) -> Result<Vec<ApprovalRequest>> {
    let after = after.unwrap_or(ApprovalRequestId::from_bytes([0; 16]));
    let query = format!("SELECT {READ} FROM approval_requests WHERE state = 'approved' AND id > ? ORDER BY id LIMIT ?");
    load(tx, sql(query).bind(after).bind(limit))
}

/// Those that wait, after one of them.
pub(super) fn awaiting(tx: &mut Tx, after: Option<ApprovalRequestId>, limit: i64) -> Result<Vec<ApprovalRequest>> {
    let after = after.unwrap_or(ApprovalRequestId::from_bytes([0; 16]));
    let query = format!("SELECT {READ} FROM approval_requests WHERE state = 'awaiting' AND id > ? ORDER BY id LIMIT ?");
    load(tx, sql(query).bind(after).bind(limit))
}

/// Those whose time is over, the longest first.
pub(super) fn due(tx: &mut Tx, now: Instant, limit: i64) -> Result<Vec<ApprovalRequestId>> {
    sql("SELECT id FROM approval_requests WHERE state = 'awaiting' AND expires_at <= ? ORDER BY expires_at LIMIT ?")
        .bind(now)
        .bind(limit)
        .load::<UidSql, ApprovalRequestId>(tx)
}

/// Notes what somebody says; a UNIQUE violation where they have said something.
pub(super) fn insert_decision(tx: &mut Tx, request: ApprovalRequestId, decision: &Decision) -> Result<()> {
    sql("INSERT INTO approval_decisions (request_id, customer_id, verdict, note, created_at) VALUES (?, ?, ?, ?, ?)")
        .bind(request)
        .bind(decision.customer_id)
        .bind(decision.verdict.as_str())
        .bind(decision.note.clone())
        .bind(decision.at)
        .execute(tx)?;
    Ok(())
}

/// What was said about a request, oldest first.
pub(super) fn decisions(tx: &mut Tx, request: ApprovalRequestId) -> Result<Vec<Decision>> {
    type Types = (UidSql, Text, Nullable<Text>, InstantSql);
    type Row = (CustomerId, Verdict, Option<String>, Instant);
    let query = "SELECT customer_id, verdict, note, created_at FROM approval_decisions WHERE request_id = ? \
                 ORDER BY created_at, customer_id";
    let decision = |(customer_id, verdict, note, at): Row| Decision { customer_id, verdict, note, at };
    Ok(sql(query).bind(request).load::<Types, Row>(tx)?.into_iter().map(decision).collect())
}

/// What a list is narrowed to.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub company: Option<CompanyId>,
    pub customer: Option<CustomerId>,
    pub state: Option<ApprovalState>,
    /// The channels that are seen; all where `None`.
    pub channels: Option<Vec<ChannelId>>,
}

/// A page, the newest first.
pub(super) fn page(
    tx: &mut Tx,
    filter: &Filter,
    before: Option<ApprovalRequestId>,
    limit: i64,
) -> Result<Vec<ApprovalRequest>> {
    let (mut text, mut binds) = (String::from("WHERE true"), Vec::<Bind>::new());
    if let Some(company) = filter.company {
        text.push_str(" AND company_id = ?");
        binds.push(company.into());
    }
    if let Some(customer) = filter.customer {
        text.push_str(" AND customer_id = ?");
        binds.push(customer.into());
    }
    if let Some(state) = filter.state {
        text.push_str(" AND state = ?");
        binds.push(state.as_str().into());
    }
    if let Some(channels) = &filter.channels {
        let list = dialect::list(tx, &[("wanted", crate::db::Col::Uid)]);
        text.push_str(&format!(" AND channel_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(channels.iter().map(|id| serde_json::json!([id.hex()])).collect()));
    }
    if let Some(before) = before {
        text.push_str(" AND id < ?");
        binds.push(before.into());
    }
    let query = format!("SELECT {READ} FROM approval_requests {text} ORDER BY id DESC LIMIT ?");
    load(tx, sql(query).bind_all(binds).bind(limit))
}

/// The requests of a customer behind one of them, in the order of their ids.
pub(super) fn of_customer_after(
    tx: &mut Tx,
    customer: CustomerId,
    after: Option<ApprovalRequestId>,
    limit: i64,
) -> Result<Vec<ApprovalRequest>> {
    let after = after.unwrap_or(ApprovalRequestId::from_bytes([0; 16]));
    let query = format!("SELECT {READ} FROM approval_requests WHERE customer_id = ? AND id > ? ORDER BY id LIMIT ?");
    load(tx, sql(query).bind(customer).bind(after).bind(limit))
}

/// What a customer has decided about requests behind one of them, in the order of the requests' ids.
pub(super) fn decisions_by(
    tx: &mut Tx,
    customer: CustomerId,
    after: Option<ApprovalRequestId>,
    limit: i64,
) -> Result<Vec<(ApprovalRequestId, Decision)>> {
    type Types = (UidSql, UidSql, Text, Nullable<Text>, InstantSql);
    type Row = (ApprovalRequestId, CustomerId, Verdict, Option<String>, Instant);
    let after = after.unwrap_or(ApprovalRequestId::from_bytes([0; 16]));
    let query = "SELECT request_id, customer_id, verdict, note, created_at FROM approval_decisions \
                 WHERE customer_id = ? AND request_id > ? ORDER BY request_id LIMIT ?";
    let rows = sql(query).bind(customer).bind(after).bind(limit).load::<Types, Row>(tx)?;
    let decision =
        |(request, customer_id, verdict, note, at): Row| (request, Decision { customer_id, verdict, note, at });
    Ok(rows.into_iter().map(decision).collect())
}

/// Erases what a customer has written, and what was said to them.
pub(super) fn erase(tx: &mut Tx, customer: CustomerId) -> Result<()> {
    let doc = dialect::with_member(tx, "doc", "message");
    let none = Json::of(&None::<String>)?;
    let update = format!("UPDATE approval_requests SET doc = {doc} WHERE customer_id = ?");
    sql(update).bind(none).bind(customer).execute(tx)?;
    // What the shop has said of the company's credit, too.
    let lock = dialect::for_update(tx);
    let query = format!("SELECT {READ} FROM approval_requests WHERE customer_id = ? ORDER BY id{lock}");
    let bare = format!("UPDATE approval_requests SET doc = {} WHERE id = ?", dialect::with_member(tx, "doc", "credit"));
    for one in load(tx, sql(query).bind(customer))? {
        let Some(credit) = one.credit.filter(|credit| credit.note.is_some()) else { continue };
        let credit = CreditApproval { note: None, ..credit };
        sql(bare.clone()).bind(Json::of(&credit)?).bind(one.id).execute(tx)?;
    }
    sql("UPDATE approval_decisions SET note = NULL WHERE customer_id = ? AND note IS NOT NULL")
        .bind(customer)
        .execute(tx)?;
    Ok(())
}
