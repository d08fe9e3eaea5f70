//! Routes of price rules and of what they propose.

use std::sync::Arc;

use actix_web::{get, patch, post};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    forms::{
        Decided, Decision, NewPriceRule, PriceRulePatch, PriceRuleView, ProposalQuery, ProposalView, Simulated,
        Simulation,
    },
    look::Which,
    model::{PriceRuleCommand, PriceRuleState},
    proposals,
    record::Fresh,
    service,
};
use crate::{
    channels::Directory,
    db::Tx,
    error::{Error, Result},
    http::{Body, Call, IfMatch, List, Mount, NoBody, Page, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Id, Scope,
        ids::{PriceProposalId, PriceRuleId},
    },
};

/// Make a price rule
///
/// It is a draft: it proposes nothing until it is activated. `POST /v1/ops/price-rules/{id}/simulate` shows what it would do.
#[utoipa::path(tag = "plan a sale", request_body = NewPriceRule, security(("token" = ["prices:write"])),
    responses((status = 201, body = PriceRuleView)))]
#[post("/price-rules")]
async fn create_price_rule(call: Call, body: Body<NewPriceRule>) -> Result<Reply> {
    let actor = call.allow(Scope::PricesWrite)?.clone();
    let (id, now, new, directory) = (Id::new(), call.now, body.value.clone(), call.snapshot::<Directory>().await?);
    call.command(&body.fingerprint, move |tx| {
        let made = PriceRuleView::from(service::create(tx, (now, &actor), &directory, id, &new)?);
        Ok(Reply::created(&made)?.version(made.version).location(format!("/v1/ops/price-rules/{}", made.id)))
    })
    .await
}

/// What the list of price rules can be narrowed to.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PriceRuleQuery {
    /// Where they stand.
    state: Option<PriceRuleState>,
}

/// List the price rules
///
/// The newest first.
#[utoipa::path(tag = "plan a sale", params(PriceRuleQuery), security(("token" = ["prices:read"])),
    responses((status = 200, body = Page<PriceRuleView>)))]
#[get("/price-rules")]
async fn list_price_rules(call: Call, query: List<PriceRuleQuery>) -> Result<Reply> {
    let (actor, state) = (call.allow(Scope::PricesRead)?.clone(), query.filter.state);
    let read = move |tx: &mut Tx, before, limit| {
        let found = service::page(tx, &actor, state, before, limit)?;
        Ok(found.into_iter().map(PriceRuleView::from).collect())
    };
    query.answer(&call, |rule: &PriceRuleView| rule.id, read).await
}

/// Read a price rule
///
/// With what its last run came to.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PriceRuleId), Path)), security(("token" = ["prices:read"])),
    responses((status = 200, body = PriceRuleView)))]
#[get("/price-rules/{id}")]
async fn read_price_rule(call: Call, path: RefPath<PriceRuleId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::PricesRead)?.clone());
    let view = PriceRuleView::from(call.read(move |tx| service::find(tx, &actor, id)).await?);
    Ok(Reply::ok(&view)?.version(view.version))
}

/// Change a price rule
///
/// Send the `ETag` you have seen as `If-Match`. One that is active looks at its goods again within a minute.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PriceRuleId), Path), IfMatch), request_body = PriceRulePatch,
    security(("token" = ["prices:write"])), responses((status = 200, body = PriceRuleView)))]
#[patch("/price-rules/{id}")]
async fn update_price_rule(call: Call, path: RefPath<PriceRuleId>, body: Body<PriceRulePatch>) -> Result<Reply> {
    let actor = call.allow(Scope::PricesWrite)?.clone();
    let (id, now, expected, patch) = (path.0, call.now, call.if_match()?, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let changed = PriceRuleView::from(service::update(tx, (now, &actor), id, expected, &patch)?);
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

async fn order(call: Call, id: PriceRuleId, command: PriceRuleCommand) -> Result<Reply> {
    let (actor, now) = (call.allow(Scope::PricesWrite)?.clone(), call.now);
    call.command(&Fingerprint::none(), move |tx| {
        let view = PriceRuleView::from(service::command(tx, (now, &actor), id, command)?);
        Ok(Reply::ok(&view)?.version(view.version))
    })
    .await
}

/// Activate a price rule
///
/// It looks at its goods within a minute, and every `every_minutes` from then on.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PriceRuleId), Path)), security(("token" = ["prices:write"])),
    responses((status = 200, body = PriceRuleView)))]
#[post("/price-rules/{id}/activate")]
async fn activate_price_rule(call: Call, path: RefPath<PriceRuleId>, _body: NoBody) -> Result<Reply> {
    order(call, path.0, PriceRuleCommand::Activate).await
}

/// Pause a price rule
///
/// It proposes nothing until it is activated again; what it has proposed can still be approved.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PriceRuleId), Path)), security(("token" = ["prices:write"])),
    responses((status = 200, body = PriceRuleView)))]
#[post("/price-rules/{id}/pause")]
async fn pause_price_rule(call: Call, path: RefPath<PriceRuleId>, _body: NoBody) -> Result<Reply> {
    order(call, path.0, PriceRuleCommand::Pause).await
}

/// End a price rule
///
/// For good, and its open proposals with it. Prices stay as it has made them.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PriceRuleId), Path)), security(("token" = ["prices:write"])),
    responses((status = 200, body = PriceRuleView)))]
#[post("/price-rules/{id}/end")]
async fn end_price_rule(call: Call, path: RefPath<PriceRuleId>, _body: NoBody) -> Result<Reply> {
    order(call, path.0, PriceRuleCommand::End).await
}

/// Run a price rule now
///
/// Looks at all its goods in the background: `last_run` tells when it is done and what it came to.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PriceRuleId), Path)), security(("token" = ["prices:write"])),
    responses((status = 202, body = PriceRuleView)))]
#[post("/price-rules/{id}/run")]
async fn run_price_rule(call: Call, path: RefPath<PriceRuleId>, _body: NoBody) -> Result<Reply> {
    let (id, actor, now, job) = (path.0, call.allow(Scope::PricesWrite)?.clone(), call.now, Id::new());
    call.command(&Fingerprint::none(), move |tx| {
        let view = PriceRuleView::from(service::request_run(tx, (now, &actor), id, job)?);
        Ok(Reply::accepted(&view)?.location(format!("/v1/ops/price-rules/{id}")))
    })
    .await
}

/// So many articles are simulated, if none are named.
const MOST: i64 = 5_000;

/// Simulate a price rule
///
/// Tells what it would propose now and why, and what it would pass over and why. Nothing is written, whatever state it is in.
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PriceRuleId), Path)), request_body = Simulation,
    security(("token" = ["prices:read"])), responses((status = 200, body = Simulated)))]
#[post("/price-rules/{id}/simulate")]
async fn simulate_price_rule(call: Call, path: RefPath<PriceRuleId>, body: Body<Simulation>) -> Result<Reply> {
    let (id, actor, now) = (path.0, call.allow(Scope::PricesRead)?.clone(), call.now);
    let skus: Vec<String> = body.value.skus.iter().map(ToString::to_string).collect();
    if skus.len() > 200 {
        return Err(Error::invalid("/skus", "expected at most 200"));
    }
    let (directory, named): (Arc<Directory>, bool) = (call.snapshot::<Directory>().await?, !skus.is_empty());
    let (mut told, mut seen) = (Simulated::default(), 0);
    let mut which = if named { Which::These(skus) } else { Which::After(None) };
    loop {
        let (actor, directory) = (actor.clone(), directory.clone());
        let looked = call.read(move |tx| service::try_out(tx, (now, &actor), &directory, id, which)).await?;
        let last = looked.last;
        seen += i64::try_from(looked.articles.len()).map_err(Error::internal)?;
        told.add(looked, named);
        match last {
            Some(last) if seen < MOST => which = Which::After(Some(last)),
            last => {
                told.complete = last.is_none();
                return Reply::ok(&told);
            }
        }
    }
}

/// List what price rules have proposed
///
/// The newest first. `state=open` is what waits for somebody.
#[utoipa::path(tag = "plan a sale", params(ProposalQuery), security(("token" = ["prices:read"])),
    responses((status = 200, body = Page<ProposalView>)))]
#[get("/price-proposals")]
async fn list_price_proposals(call: Call, query: List<ProposalQuery>) -> Result<Reply> {
    let (actor, wanted) = (call.allow(Scope::PricesRead)?.clone(), query.filter.clone());
    let read = move |tx: &mut Tx, before, limit| {
        let found = proposals::page(tx, &actor, &wanted, before, limit)?;
        Ok(found.into_iter().map(ProposalView::from).collect())
    };
    query.answer(&call, |proposal: &ProposalView| proposal.id, read).await
}

/// Read what a price rule has proposed
#[utoipa::path(tag = "plan a sale", params(("id" = inline(PriceProposalId), Path)),
    security(("token" = ["prices:read"])), responses((status = 200, body = ProposalView)))]
#[get("/price-proposals/{id}")]
async fn read_price_proposal(call: Call, path: RefPath<PriceProposalId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::PricesRead)?.clone());
    Reply::ok(&ProposalView::from(call.read(move |tx| proposals::find(tx, &actor, id)).await?))
}

fn few(ids: &[PriceProposalId]) -> Result<()> {
    match (1..=500).contains(&ids.len()) {
        true => Ok(()),
        false => Err(Error::invalid("/ids", "expected from 1 to 500 ids")),
    }
}

/// Approve proposed prices
///
/// Each becomes the price, as long as that is still the one which the proposal was made from; else the proposal is `stale`, and the
/// rule makes another one. `errors` tells of those that did not become the price. However many approve at once, each is applied once.
#[utoipa::path(tag = "plan a sale", request_body = Decision, security(("token" = ["prices:write"])),
    responses((status = 200, body = Decided)))]
#[post("/price-proposals/approve")]
async fn approve_price_proposals(call: Call, body: Body<Decision>) -> Result<Reply> {
    let (actor, now, ids) = (call.allow(Scope::PricesWrite)?.clone(), call.now, body.value.ids.clone());
    few(&ids)?;
    let (directory, fresh) = (call.snapshot::<Directory>().await?, Fresh::of(ids.len()));
    call.command(&body.fingerprint, move |tx| {
        Reply::ok(&proposals::approve(tx, (now, &actor), &directory, &ids, &fresh)?)
    })
    .await
}

/// Reject proposed prices
///
/// The rule does not propose the same price again, until what it is reckoned from or the rule itself has changed.
#[utoipa::path(tag = "plan a sale", request_body = Decision, security(("token" = ["prices:write"])),
    responses((status = 200, body = Decided)))]
#[post("/price-proposals/reject")]
async fn reject_price_proposals(call: Call, body: Body<Decision>) -> Result<Reply> {
    let (actor, now, ids) = (call.allow(Scope::PricesWrite)?.clone(), call.now, body.value.ids.clone());
    few(&ids)?;
    call.command(&body.fingerprint, move |tx| Reply::ok(&proposals::reject(tx, now, &actor, &ids)?)).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_price_rule).service(list_price_rules).service(read_price_rule).service(update_price_rule);
    config.service(activate_price_rule).service(pause_price_rule).service(end_price_rule);
    config.service(run_price_rule).service(simulate_price_rule);
    config.service(approve_price_proposals).service(reject_price_proposals);
    config.service(list_price_proposals).service(read_price_proposal);
}
