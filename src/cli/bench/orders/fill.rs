//! Filling the tables: many orders with each transaction, in the bulk lane, with a progress bar.

use std::ops::Range;

use futures::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{super::super::seed, analyse, made::World};
use crate::{
    db::{Col, Json, Lane, Tx, dialect::insert_list, sql},
    error::{Error, Result},
    http::State,
    kernel::ids::ChannelId,
    process::Process,
};

/// How many orders a transaction takes.
const CHUNK: u64 = 1_000;
/// How many transactions are prepared side by side.
const SIDE_BY_SIDE: usize = 4;

const ORDERS: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("number", Col::Text),
    ("channel_id", Col::Uid),
    ("customer_id", Col::Uid),
    ("cart_id", Col::Uid),
    ("state", Col::Text),
    ("payment_state", Col::Text),
    ("fulfilment_state", Col::Text),
    ("test", Col::Bool),
    ("version", Col::Int),
    ("currency", Col::Text),
    ("total", Col::Int),
    ("email_folded", Col::Text),
    ("name_folded", Col::Text),
    ("postcode_folded", Col::Text),
    ("phone_digits", Col::Text),
    ("placed_at", Col::At),
    ("recorded_at", Col::At),
    ("updated_at", Col::At),
    ("doc", Col::Doc),
];
const LINES: &[(&str, Col)] = &[
    ("order_id", Col::Uid),
    ("line_no", Col::Int),
    ("variant_id", Col::Uid),
    ("sku", Col::Text),
    ("quantity", Col::Int),
    ("allocated", Col::Int),
    ("shipped", Col::Int),
    ("delivered", Col::Int),
    ("returned", Col::Int),
    ("cancelled", Col::Int),
    ("unit_price", Col::Int),
    ("net", Col::Int),
    ("tax", Col::Int),
    ("gross", Col::Int),
    ("refunded", Col::Int),
    ("placed_at", Col::At),
    ("doc", Col::Doc),
];
const REFS: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("owner", Col::Uid),
    ("system", Col::Text),
    ("kind", Col::Text),
    ("value", Col::Text),
    ("value_folded", Col::Text),
    ("doc", Col::Doc),
    ("created_at", Col::At),
];

/// The shop of the orders: two channels, in an empty database.
pub(super) async fn world(process: &Process, orders: u64) -> Result<World> {
    let state = &process.state;
    let any =
        state.db.read(|tx| sql("SELECT id FROM orders LIMIT 1").first::<crate::db::UidSql, crate::kernel::Id<()>>(tx));
    if any.await?.is_some() {
        return Err(Error::internal("there are orders in this database: name an empty one to be filled"));
    }
    let channels = [seed::bench_shop(state, 1).await?.channel, another_channel(state).await?];
    let currency = "EUR".parse().map_err(Error::internal)?;
    Ok(World { orders, first: state.clock.now().plus_seconds(-3 * 365 * 86_400), channels, currency })
}

async fn another_channel(state: &State) -> Result<ChannelId> {
    let api = seed::Api::new(state)?;
    let entity = json!({"code": "bench-other", "name": "Other GmbH", "country": "DE", "time_zone": "Europe/Berlin"});
    let entity = api.post("/v1/ops/legal-entities", &entity).await?;
    let channel = json!({
        "code": "bench-other", "name": "Other", "legal_entity_id": entity.get("id"),
        "settings": {
            "currencies": ["EUR"], "locales": ["de-DE"], "countries": ["DE"], "time_zone": "Europe/Berlin",
            "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"}, "payment_methods": ["manual"]
        }
    });
    let channel = api.post("/v1/ops/channels", &channel).await?;
    let id = channel.get("id").and_then(Value::as_str).ok_or_else(|| Error::internal("a channel without an id"))?;
    id.parse().map_err(Error::internal)
}

/// Places the orders of a span.
pub(super) async fn fill(process: &Process, world: &World, span: Range<u64>) -> Result<()> {
    let bar = ProgressBar::new(span.end.saturating_sub(span.start));
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} orders, {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let chunks = (span.start..span.end).step_by(usize::try_from(CHUNK).unwrap_or(usize::MAX));
    let written = chunks.map(|from| {
        let (world, to, bar) = (world.clone(), (from + CHUNK).min(span.end), bar.clone());
        async move {
            process.state.db.write_in(Lane::Bulk, move |tx| insert(tx, &world, from..to)).await?;
            bar.inc(to - from);
            Ok::<_, Error>(())
        }
    });
    stream::iter(written).buffer_unordered(SIDE_BY_SIDE).try_collect::<Vec<()>>().await?;
    bar.finish_and_clear();
    analyse(process).await
}

fn insert(tx: &mut Tx, world: &World, span: Range<u64>) -> Result<()> {
    let made: Vec<_> = span.map(|place| world.order(place)).collect();
    let rows: Vec<Value> = made.iter().map(|order| order.row(world)).collect();
    insert_list(tx, "orders", ORDERS, Json::of(&rows)?)?;
    let rows: Vec<Value> = made.iter().flat_map(|order| order.line_rows(world)).collect();
    insert_list(tx, "order_lines", LINES, Json::of(&rows)?)?;
    let rows: Vec<Value> = made.iter().flat_map(|order| order.ref_rows()).collect();
    insert_list(tx, "external_refs", REFS, Json::of(&rows)?)?;
    Ok(())
}
