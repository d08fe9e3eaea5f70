//! Every slice's routes, mounted on the three surfaces, and the OpenAPI documents assembled from them.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use actix_web::{HttpResponse, dev::ResourceDef, get, web};
use utoipa::openapi::{OpenApi, path::Operation, path::PathItem};

use crate::{
    abandonment, amendments, approvals, back_in_stock, bulk, carts, catalog, channels, checkout, connectors,
    countersign, credit, customers,
    db::Snapshot,
    drafts, erasure,
    error::Result,
    events::EventSchema,
    exports, fulfilment,
    http::{
        self, Mount, State, Told,
        auth::Needs,
        cors,
        credentials::Credentials,
        openapi::Surface,
        server::{RouteTable, Routes},
    },
    imports, invoices, jobs, journal,
    kernel::Scope,
    offers, orders, payments, people, pricing, processes, quotes, recurring, repricing, returns, risk, stock,
    stored_value, templates, warranties, whereabouts, worklists,
};

fn store(config: &mut Mount<'_>) {
    channels::api::store(config);
    carts::api::store_routes::mount(config);
    carts::deliveries_api::store_routes::mount(config);
    carts::stored_api::store_routes::mount(config);
    carts::quick::store_routes::mount(config);
    checkout::api::store_routes::mount(config);
    checkout::requests_api::store(config);
    orders::api::store(config);
    amendments::customer::store(config);
    orders::notes::api::store(config);
    customers::api::store(config);
    offers::store(config);
    stock::api::store(config);
    stored_value::api::store(config);
    credit::api::store(config);
    abandonment::api::store(config);
    approvals::api::store(config);
    quotes::api::store(config);
    drafts::api::store(config);
    recurring::api::store(config);
    templates::api::store(config);
    back_in_stock::api::store(config);
    invoices::api::store(config);
    returns::api::store(config);
    returns::withdrawals::api::store(config);
    returns::claims::api::store(config);
    returns::gifts::api::store(config);
    warranties::api::store(config);
}

/// What giving up a dead job means, by its kind.
const DISCARDS: jobs::Discards = jobs::Discards(&[
    (fulfilment::CAPTURE, fulfilment::discarded),
    (fulfilment::VOID, fulfilment::discarded),
    (fulfilment::REFUND, fulfilment::discarded),
    (fulfilment::RENEW, fulfilment::renewal_discarded),
    (fulfilment::carriers::BUY, fulfilment::carriers::discarded),
    (fulfilment::carriers::VOID, fulfilment::carriers::discarded),
    (fulfilment::carriers::TRACK, fulfilment::carriers::discarded),
    (connectors::DISPATCH, connectors::discarded),
    (imports::HELD, imports::discarded),
]);

/// What replaying a dead job means, by its kind.
const REPLAYS: jobs::Replays = jobs::Replays(&[(connectors::DISPATCH, connectors::replayed)]);

/// Where API keys can be limited to.
const PLACES: http::credentials::Places = http::credentials::Places(|tx| {
    let channels = <channels::Directory as Snapshot>::load(tx)?.iter().map(|channel| channel.id).collect();
    let locations = <stock::Locations as Snapshot>::load(tx)?.iter().map(|location| location.id).collect();
    Ok((channels, locations))
});

/// What channels sell in, and where.
const MARKETS: pricing::Markets = pricing::Markets(|tx, channel| {
    let directory = <channels::Directory as Snapshot>::load(tx)?;
    let settings = directory.get(channel).ok().map(|channel| channel.settings.clone());
    Ok(settings
        .map(|channels::ChannelSettings { currencies, countries, .. }| pricing::Market { currencies, countries }))
});

/// Who has ordered before.
const ORDERED: pricing::Ordered = pricing::Ordered(carts::has_ordered);

/// The orders that are there, as a simulation of where they come from plans them anew.
const PLACED: stock::sourcing::PlacedOrders = stock::sourcing::PlacedOrders(fulfilment::tried_out);

/// What stands at docks for orders, as whoever writes off or counts has to leave it.
const DOCKED: stock::AtDocks = stock::AtDocks(fulfilment::standing_at_docks);

fn ops(config: &mut Mount<'_>) {
    channels::api::ops(config);
    catalog::api::ops(config);
    customers::api::ops(config);
    config.app_data(web::Data::new(MARKETS));
    config.app_data(web::Data::new(ORDERED));
    pricing::api::ops(config);
    config.app_data(web::Data::new(PLACED));
    config.app_data(web::Data::new(DOCKED));
    stock::api::ops(config);
    carts::api::ops_routes::mount(config);
    carts::deliveries_api::ops_routes::mount(config);
    carts::stored_api::ops_routes::mount(config);
    carts::quick::ops_routes::mount(config);
    checkout::api::ops_routes::mount(config);
    checkout::judged_api::ops(config);
    checkout::requests_api::ops(config);
    risk::api::ops(config);
    orders::api::ops(config);
    orders::holds::api::ops(config);
    amendments::api::ops(config);
    orders::notes::api::ops(config);
    bulk::api::ops(config);
    countersign::api::ops(config);
    invoices::api::ops(config);
    payments::api::ops(config);
    stored_value::api::ops(config);
    credit::api::ops(config);
    returns::api::ops(config);
    returns::withdrawals::api::ops(config);
    returns::claims::api::ops(config);
    returns::gifts::api::ops(config);
    warranties::api::ops(config);
    fulfilment::api::ops(config);
    connectors::api::ops(config);
    config.app_data(web::Data::new(PLACES));
    http::credentials::ops(config);
    exports::api::ops(config);
    config.app_data(web::Data::new(DISCARDS));
    config.app_data(web::Data::new(REPLAYS));
    jobs::api::ops(config);
    abandonment::api::ops(config);
    approvals::api::ops(config);
    quotes::api::ops(config);
    drafts::api::ops(config);
    recurring::api::ops(config);
    back_in_stock::api::ops(config);
    repricing::api::ops(config);
    erasure::api::ops(config);
    people::ops(config);
    whereabouts::ops(config);
    worklists::api::ops(config);
    processes::api::ops(config);
    journal::api::ops(config);
}

fn integration(config: &mut Mount<'_>) {
    exports::api::integration(config);
    imports::api::integration(config);
    journal::api::integration(config);
    imports::orders::integration(config);
    fulfilment::api::integration(config);
    stock::api::integration(config);
}

fn routes_of(surface: Surface) -> fn(&mut Mount<'_>) {
    match surface {
        Surface::Store => store,
        Surface::Ops => ops,
        Surface::Integration => integration,
    }
}

/// What the slices do beside requests.
pub fn work(state: &State, runner: &mut jobs::Runner) {
    pricing::work(state, runner);
    stock::api::work(state, runner);
    checkout::work(state, runner);
    customers::work(state, runner);
    orders::work(state, runner);
    fulfilment::work(state, runner);
    orders::holds::work(state, runner);
    payments::work(state, runner);
    stored_value::work(state, runner);
    connectors::work(state, runner);
    abandonment::work(state, runner);
    amendments::work(state, runner);
    approvals::work(state, runner);
    quotes::work(state, runner);
    drafts::work(state, runner);
    recurring::work(state, runner);
    back_in_stock::work(state, runner);
    bulk::work(state, runner);
    erasure::work(state, runner);
    imports::work(state, runner);
    invoices::work(state, runner);
    journal::work(state, runner);
    repricing::work(state, runner);
    returns::work(state, runner);
    risk::work(state, runner);
    warranties::work(state, runner);
    worklists::work(state, runner);
}

/// Mounts everything.
pub fn mount(config: &mut web::ServiceConfig) {
    config.app_data(web::Data::new(NEEDS));
    for surface in Surface::ALL {
        let mount = routes_of(surface);
        config.service(web::scope(surface.prefix()).configure(|config| mount(&mut Mount::Served(config))));
    }
    payments::api::webhooks(config);
    fulfilment::carriers::api::webhooks(config);
    config.service(live).service(ready).service(metrics).service(document).configure(http::docs::routes);
}

/// Whether a browser's page may read what the store surface answers it. With a key of nobody it may when any channel lists its
/// origin: it is told then that the key is not valid.
#[must_use]
pub fn allows_origin(state: State, visitor: cors::Visitor) -> std::pin::Pin<Box<dyn Future<Output = Result<bool>>>> {
    Box::pin(async move {
        let credentials = state.db.snapshot::<Credentials>().await?;
        let channel = visitor.channel_key.and_then(|key| credentials.channel_of(&key));
        Ok(state.db.snapshot::<channels::Directory>().await?.allows_origin(&visitor.origin, channel))
    })
}

/// The document of a surface.
#[must_use]
pub fn openapi(surface: Surface) -> OpenApi {
    let mut told = Told::default();
    routes_of(surface)(&mut Mount::Told(&mut told));
    http::openapi::complete(surface, told.under(surface.prefix()))
}

/// A surface's document as the text that is committed and served.
///
/// # Errors
/// When it can not be written as JSON, which would be a defect.
pub fn openapi_text(surface: Surface) -> Result<String> {
    Ok(serde_json::to_string_pretty(&openapi(surface))? + "\n")
}

/// What events carry, by their types.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    [
        abandonment::event_schemas(),
        approvals::event_schemas(),
        countersign::event_schemas(),
        amendments::event_schemas(),
        back_in_stock::event_schemas(),
        checkout::event_schemas(),
        credit::event_schemas(),
        customers::event_schemas(),
        fulfilment::event_schemas(),
        imports::event_schemas(),
        invoices::event_schemas(),
        orders::event_schemas(),
        orders::holds::event_schemas(),
        quotes::event_schemas(),
        recurring::event_schemas(),
        returns::event_schemas(),
        warranties::event_schemas(),
        orders::notes::event_schemas(),
        stock::event_schemas(),
        stored_value::event_schemas(),
    ]
    .concat()
}

/// Which methods each path takes, for 405 answers.
#[must_use]
pub fn routes() -> Routes {
    Arc::new(LazyLock::new(route_table))
}

/// The operations of a path with the names of their methods.
fn operations(item: PathItem) -> impl Iterator<Item = (&'static str, Operation)> {
    let slots =
        [("GET", item.get), ("POST", item.post), ("PUT", item.put), ("PATCH", item.patch), ("DELETE", item.delete)];
    slots.into_iter().filter_map(|(name, slot)| slot.map(|operation| (name, operation)))
}

/// The scopes that operations need, by method and path, as the documents name them.
static NEEDED: LazyLock<HashMap<(&'static str, String), Scope>> = LazyLock::new(|| {
    let mut needed = HashMap::new();
    for surface in [Surface::Ops, Surface::Integration] {
        for (path, item) in openapi(surface).paths.paths {
            for (method, operation) in operations(item) {
                let security = serde_json::to_value(&operation.security).unwrap_or_default();
                let scope = security.pointer("/0/token/0").and_then(|scope| scope.as_str()?.parse().ok());
                needed.extend(scope.map(|scope| ((method, path.clone()), scope)));
            }
        }
    }
    needed
});

const NEEDS: Needs = Needs(|method, path| {
    let method = ["GET", "POST", "PUT", "PATCH", "DELETE"].into_iter().find(|name| *name == method)?;
    NEEDED.get(&(method, path.to_owned())).copied()
});

fn route_table() -> RouteTable {
    let mut routes = Vec::new();
    for surface in Surface::ALL {
        for (path, item) in openapi(surface).paths.paths {
            let methods = operations(item).map(|(name, _)| name.to_owned());
            routes.push((ResourceDef::new(path.as_str()), with_head(methods)));
        }
    }
    let to_read = ["/health/live", "/health/ready", "/metrics", "/openapi/{name}.json", "/docs", "/docs/{file:.*}"];
    routes.extend(to_read.map(|path| (ResourceDef::new(path), with_head(["GET".to_owned()]))));
    for path in [payments::api::WEBHOOKS, fulfilment::carriers::WEBHOOKS] {
        routes.push((ResourceDef::new(path), vec!["POST".to_owned()]));
    }
    routes
}

/// What answers GET answers HEAD.
fn with_head(methods: impl IntoIterator<Item = String>) -> Vec<String> {
    methods
        .into_iter()
        .flat_map(|name| if name == "GET" { vec![name, "HEAD".to_owned()] } else { vec![name] })
        .collect()
}

/// The documents' texts, made once.
static DOCUMENTS: std::sync::OnceLock<Vec<(&'static str, String)>> = std::sync::OnceLock::new();

#[get("/openapi/{name}.json")]
async fn document(name: web::Path<String>) -> Result<HttpResponse> {
    let documents = DOCUMENTS.get_or_init(|| {
        let text = |surface: Surface| (surface.name(), openapi_text(surface).unwrap_or_default());
        Surface::ALL.into_iter().map(text).collect()
    });
    let found = documents.iter().find(|(known, _)| *known == name.as_str());
    let missing = || crate::error::Error::problem(crate::error::Code::RouteNotFound, "there is no such document");
    let (_, text) = found.ok_or_else(missing)?;
    Ok(HttpResponse::Ok().content_type("application/json").body(text.as_str()))
}

/// Whether the process runs.
#[get("/health/live")]
async fn live() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "live"}))
}

/// Whether it can serve: the database answers and is migrated, and no job has been due for long.
#[get("/health/ready")]
async fn ready(state: web::Data<State>) -> HttpResponse {
    let now = state.clock.now();
    let pending = state.db.pending_migrations().await;
    let lag = state.db.read(move |tx| jobs::lag_seconds(tx, now)).await;
    let (migrated, lag) = (matches!(pending, Ok(0)), lag.ok());
    let workers = lag.is_some_and(|lag| lag < 600);
    let report = serde_json::json!({
        "status": if migrated && lag.is_some() { "ready" } else { "unready" },
        "database": lag.is_some(),
        "migrations": migrated,
        "workers": workers,
        "jobs_lag_seconds": lag,
    });
    if migrated && lag.is_some() {
        HttpResponse::Ok().json(report)
    } else {
        HttpResponse::ServiceUnavailable().json(report)
    }
}

/// Figures in the Prometheus text format.
#[get("/metrics")]
async fn metrics(state: web::Data<State>) -> Result<HttpResponse> {
    let now = state.clock.now();
    let (counts, far_ends) = state.db.read(move |tx| Ok((jobs::counts(tx)?, connectors::figures(tx, now)?))).await?;
    let text = state.metrics.render(&state.db, counts, &far_ends)?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text))
}
