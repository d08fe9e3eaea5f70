//! Routes of disputes.

use actix_web::{get, post};
use serde::Deserialize;

use super::disputes::{self, Disputed};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{Fresh, api::checked_time},
    http::{Body, Call, List, Mount, Page, RefPath, Reply},
    kernel::{
        Instant, Money, Scope,
        ids::{DisputeId, PaymentId},
        text::{Note, Text, is_web_address},
    },
    orders,
    payments::disputes::{Dispute, DisputeState, find, page},
};

/// A dispute that a bank or a provider has told of.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reference": "dp_1", "reason": "fraudulent", "fee": {"amount": "15.00", "currency": "EUR"}}))]
pub struct DisputeRequest {
    /// What the provider calls it: each is opened once.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    pub reference: Text<200>,
    /// Why, as the provider says it.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    pub reason: Text<200>,
    /// How much; all that was taken and is neither given back nor disputed, when absent.
    pub amount: Option<Money>,
    /// What the provider keeps for it, whatever its end.
    pub fee: Option<Money>,
    /// Until when it can be answered.
    pub respond_by: Option<Instant>,
    /// When it was opened, if that was not now. Needs the scope `history:write`.
    pub occurred_at: Option<Instant>,
}

/// Open a dispute
///
/// A bank has taken money of a payment back, or is about to. So much can not be given back any more until it is won. What providers tell
/// of their own accord is opened by itself.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(PaymentId), Path)), request_body = DisputeRequest,
    security(("token" = ["payments:write"])), responses((status = 201, body = Dispute)))]
#[post("/payments/{id}/disputes")]
async fn open_dispute(call: Call, path: RefPath<PaymentId>, body: Body<DisputeRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::PaymentsWrite)?.clone();
    checked_time(&call, body.occurred_at)?;
    let what = Disputed {
        reference: body.reference.to_string(),
        reason: body.reason.to_string(),
        amount: body.amount,
        fee: body.fee,
        respond_by: body.respond_by,
        occurred_at: body.occurred_at,
    };
    let (id, now, fresh) = (path.0, call.now, Fresh::new());
    call.command(&body.fingerprint, move |tx| {
        let made = disputes::open(tx, now, &actor, &fresh, id, &what)?;
        Ok(Reply::created(&made)?.version(made.version).location(format!("/v1/ops/disputes/{}", made.id)))
    })
    .await
}

/// Which disputes are listed.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DisputeQuery {
    /// Those in a state.
    #[param(inline)]
    pub state: Option<DisputeState>,
    /// Those of an order, by its id, number or reference.
    #[param(value_type = Option<String>)]
    pub order: Option<Text<200>>,
}

/// List disputes
///
/// The newest first. Those that are open stand in the work list `open_disputes` in the order in which they have to be answered.
#[utoipa::path(tag = "answer a customer", params(DisputeQuery), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<Dispute>)))]
#[get("/disputes")]
async fn list_disputes(call: Call, query: List<DisputeQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    let (wanted, reader) = (query.filter.clone(), actor.clone());
    let read = move |tx: &mut Tx, before, limit| {
        let order = wanted.order.as_ref().map(|order| orders::find(tx, &reader, order)).transpose()?;
        page(tx, (wanted.state, order), before, limit)
    };
    query.answer_seen(&call, |one: &Dispute| one.id, move |one| actor.sees_channel(one.channel_id), read).await
}

/// Read a dispute
#[utoipa::path(tag = "answer a customer", params(("id" = inline(DisputeId), Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = Dispute)))]
#[get("/disputes/{id}")]
async fn read_dispute(call: Call, path: RefPath<DisputeId>) -> Result<Reply> {
    let (actor, id) = (call.allow(Scope::OrdersRead)?.clone(), path.0);
    let found = call.read(move |tx| find(tx, id)).await?;
    match actor.sees_channel(found.channel_id) {
        true => Ok(Reply::ok(&found)?.version(found.version)),
        false => Err(Error::not_found("dispute")),
    }
}

/// Something that speaks for the merchant.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"note": "signed proof of delivery", "url": "https://files.example.org/pod-1001.pdf"}))]
pub struct EvidenceRequest {
    /// What it is.
    #[schema(value_type = Option<String>)]
    pub note: Option<Note<1000>>,
    /// Where the document lies.
    #[schema(value_type = Option<String>)]
    pub url: Option<Text<500>>,
}

/// Note evidence
///
/// What was sent to the provider to fight for the money, or is to be.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(DisputeId), Path)), request_body = EvidenceRequest,
    security(("token" = ["payments:write"])), responses((status = 200, body = Dispute)))]
#[post("/disputes/{id}/evidence")]
async fn add_dispute_evidence(call: Call, path: RefPath<DisputeId>, body: Body<EvidenceRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::PaymentsWrite)?.clone();
    let (note, url) = (body.note.as_ref().map(ToString::to_string), body.url.as_ref().map(ToString::to_string));
    if note.is_none() && url.is_none() {
        return Err(Error::problem(Code::MissingField, "send a `note`, a `url` or both").at("/note"));
    }
    if url.as_deref().is_some_and(|url| !is_web_address(url)) {
        return Err(Error::invalid("/url", "expected a web address"));
    }
    let (id, now, fresh) = (path.0, call.now, Fresh::new());
    call.command(&body.fingerprint, move |tx| {
        let changed = disputes::add_evidence(tx, now, &actor, &fresh, id, (note.as_deref(), url.as_deref()))?;
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// How a dispute has ended.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"outcome": "accepted"}))]
pub struct CloseDisputeRequest {
    /// `won`, `lost` or `accepted`.
    pub outcome: DisputeState,
    /// When, if that was not now. Needs the scope `history:write`.
    pub occurred_at: Option<Instant>,
}

/// Say how a dispute has ended
///
/// What is won can be given back again; what is lost, or accepted without a fight, is written off and is never given back a second time.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(DisputeId), Path)), request_body = CloseDisputeRequest,
    security(("token" = ["payments:write"])), responses((status = 200, body = Dispute)))]
#[post("/disputes/{id}/close")]
async fn close_dispute(call: Call, path: RefPath<DisputeId>, body: Body<CloseDisputeRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::PaymentsWrite)?.clone();
    checked_time(&call, body.occurred_at)?;
    if body.outcome.reached_by().is_none() {
        return Err(Error::invalid("/outcome", "expected won, lost or accepted"));
    }
    let (id, now, fresh, how) = (path.0, call.now, Fresh::new(), (body.outcome, body.occurred_at));
    call.command(&body.fingerprint, move |tx| {
        let changed = disputes::close(tx, now, &actor, &fresh, id, how)?;
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// The routes of the ops surface.
pub(super) fn ops(config: &mut Mount<'_>) {
    config.service(open_dispute).service(list_disputes).service(read_dispute);
    config.service(add_dispute_evidence).service(close_dispute);
}
