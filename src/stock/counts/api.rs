//! Routes of counts.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};

use super::{
    model::{CountCommand, CountState, StockCount, Tolerance},
    service,
};
use crate::{
    db::Tx,
    error::{Error, Result},
    http::{Body, Call, List, Mount, NoBody, Page, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Action, Id, Quantity, Scope,
        ids::{EventId, StockCountId},
        text::{Sku, Text},
    },
    stock::{AtDocks, Locations},
};

/// A count about to be asked for.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewStockCount)]
#[schema(example = json!({"location": "demo-berlin", "name": "Shelf A", "skus": ["MUG-KONTOR"], "tolerance": {"pieces": 1, "percent": 2}}))]
pub struct NewCount {
    /// Where: a location's code or id.
    #[schema(value_type = String, min_length = 1, max_length = 60)]
    pub location: Text<60>,
    /// What it is called: a shelf, a zone.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    pub name: Option<Text<100>>,
    /// What is counted.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 500)]
    pub skus: Vec<Sku>,
    /// How far a first count may be off without being repeated; not at all, unless told.
    #[serde(default)]
    pub tolerance: Tolerance,
}

/// How many lie there.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CountedPieces)]
pub struct Counted {
    /// Of what.
    #[schema(value_type = String)]
    pub sku: Sku,
    /// How many were counted.
    pub counted: Quantity,
}

/// What was counted: some of what is to be counted, or all.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"lines": [{"sku": "MUG-KONTOR", "counted": 48}]}))]
pub struct CountResults {
    /// By SKU, each once.
    #[schema(min_items = 1, max_items = 500)]
    pub lines: Vec<Counted>,
}

/// A count, and what can be done with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct StockCountDetail {
    /// It.
    #[serde(flatten)]
    count: StockCount,
    /// What can be done now.
    actions: Vec<Action>,
}

fn detail(count: StockCount, reply: fn(&StockCountDetail) -> Result<Reply>) -> Result<Reply> {
    let action = |command: &CountCommand| Action::of(command.as_str(), count.state.takes(*command));
    let actions = CountCommand::ALL.iter().map(action).collect();
    let version = count.version;
    Ok(reply(&StockCountDetail { count: count.blind(), actions })?.version(version))
}

fn few(count: usize, pointer: &'static str) -> Result<()> {
    if (1..=500).contains(&count) { Ok(()) } else { Err(Error::invalid(pointer, "expected 1 to 500")) }
}

/// Ask for a count
///
/// People count blind: what is expected is told when all is counted.
#[utoipa::path(tag = "keep stock", request_body = NewCount, security(("token" = ["stock:write"])),
    responses((status = 201, body = StockCountDetail)))]
#[post("/stock-counts")]
async fn create_stock_count(call: Call, body: Body<NewCount>) -> Result<Reply> {
    let actor = call.allow(Scope::StockWrite)?.clone();
    few(body.skus.len(), "/skus")?;
    let Tolerance { pieces, percent } = body.tolerance;
    if !(0..=1_000_000).contains(&pieces) || !(0..=100).contains(&percent) {
        return Err(Error::invalid("/tolerance", "expected 0 to 1000000 pieces and 0 to 100 per cent"));
    }
    let (id, now, new, locations) = (Id::new(), call.now, body.value.clone(), call.snapshot::<Locations>().await?);
    call.command(&body.fingerprint, move |tx| {
        let made = service::create(tx, (now, &actor), &locations, id, &new)?;
        Ok(detail(made, Reply::created)?.location(format!("/v1/ops/stock-counts/{id}")))
    })
    .await
}

/// What the list of counts is narrowed to.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CountQuery {
    /// Where they stand.
    #[param(inline)]
    state: Option<CountState>,
}

/// List the counts
///
/// The newest first.
#[utoipa::path(tag = "keep stock", params(CountQuery), security(("token" = ["stock:read"])),
    responses((status = 200, body = Page<StockCount>)))]
#[get("/stock-counts")]
async fn list_stock_counts(call: Call, query: List<CountQuery>) -> Result<Reply> {
    let (actor, state) = (call.allow(Scope::StockRead)?.clone(), query.filter.state);
    let read = move |tx: &mut Tx, before, limit| {
        let found = service::page(tx, (state, actor.locations()), before, limit)?;
        Ok(found.into_iter().map(StockCount::blind).collect())
    };
    query.answer(&call, |one: &StockCount| one.id, read).await
}

/// Read a count
#[utoipa::path(tag = "keep stock", params(("id" = inline(StockCountId), Path)), security(("token" = ["stock:read"])),
    responses((status = 200, body = StockCountDetail)))]
#[get("/stock-counts/{id}")]
async fn read_stock_count(call: Call, path: RefPath<StockCountId>) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow(Scope::StockRead)?.clone());
    detail(call.read(move |tx| service::find(tx, &actor, id)).await?, Reply::ok)
}

/// Say what was counted
///
/// Against what the level says at this moment: what moves afterwards is no difference. A first count that is off by more than the
/// tolerance is to be repeated (`recount`), and the second one counts.
#[utoipa::path(tag = "keep stock", params(("id" = inline(StockCountId), Path)), request_body = CountResults,
    security(("token" = ["stock:write"])), responses((status = 200, body = StockCountDetail)))]
#[post("/stock-counts/{id}/results")]
async fn record_stock_count(call: Call, path: RefPath<StockCountId>, body: Body<CountResults>) -> Result<Reply> {
    let (id, actor, now) = (path.0, call.allow(Scope::StockWrite)?.clone(), call.now);
    few(body.lines.len(), "/lines")?;
    let lines = body.lines.clone();
    call.command(&body.fingerprint, move |tx| detail(service::record(tx, (now, &actor), id, &lines)?, Reply::ok)).await
}

/// Approve a count
///
/// Books the differences as movements of the kind `count`. Where another count, a snapshot, an adjustment or a repair has said otherwise
/// since a line was counted, nothing is booked: the count is `counting`, and such lines are to be counted again. What stands at a dock for
/// orders is known to be there: a count that has missed it is refused.
#[utoipa::path(tag = "keep stock", params(("id" = inline(StockCountId), Path)), security(("token" = ["stock:write"])),
    responses((status = 200, body = StockCountDetail)))]
#[post("/stock-counts/{id}/approve")]
async fn approve_stock_count(call: Call, path: RefPath<StockCountId>, _body: NoBody) -> Result<Reply> {
    let (id, actor, now) = (path.0, call.allow(Scope::StockWrite)?.clone(), call.now);
    // Further ids are made where there are not enough.
    let fresh: Vec<EventId> = (0..64).map(|_| Id::new()).collect();
    let docks = AtDocks::of(&call)?;
    call.command(&Fingerprint::none(), move |tx| {
        detail(service::approve(tx, (now, &actor), &fresh, (id, docks))?, Reply::ok)
    })
    .await
}

/// Give a count up
#[utoipa::path(tag = "keep stock", params(("id" = inline(StockCountId), Path)), security(("token" = ["stock:write"])),
    responses((status = 200, body = StockCountDetail)))]
#[post("/stock-counts/{id}/cancel")]
async fn cancel_stock_count(call: Call, path: RefPath<StockCountId>, _body: NoBody) -> Result<Reply> {
    let (id, actor, now) = (path.0, call.allow(Scope::StockWrite)?.clone(), call.now);
    call.command(&Fingerprint::none(), move |tx| detail(service::cancel(tx, (now, &actor), id)?, Reply::ok)).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_stock_count).service(list_stock_counts).service(read_stock_count);
    config.service(record_stock_count).service(approve_stock_count).service(cancel_stock_count);
}
