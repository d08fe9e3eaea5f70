//! Snapshots: with the feed from their cursor on they are everything, whoever writes meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use diesel::sql_types::{BigInt, Text};
use futures::future::{join, join_all};
use kontor::{
    db::{Tx, UidSql, sql},
    events,
    http::auth::Audience,
    kernel::{
        Instant, Scope,
        ids::{ChannelId, OrderId, ShipmentId},
    },
};
use serde_json::{Value, json};

use crate::{
    exports::{call, poll},
    support::{Answer, App, Shop, eventually, on_both},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// A whole snapshot: its rows, and where the feed goes on.
struct Copied {
    rows: Vec<Value>,
    cursor: String,
}

async fn copy(app: &App, query: &str) -> Copied {
    let (mut rows, mut cursor, mut next) = (Vec::new(), None, String::new());
    loop {
        let page = call(app, "GET", &format!("/snapshots/{query}{next}"), None).await.expect(200);
        rows.extend(page["items"].as_array().unwrap().clone());
        let noted = text(&page["feed_cursor"]).to_owned();
        assert_eq!(cursor.get_or_insert(noted.clone()), &noted, "it is the same on every page");
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return Copied { rows, cursor: cursor.unwrap() },
        }
    }
}

/// All events of a feed after a cursor.
async fn rest(app: &App, feed: &str, cursor: &str) -> Vec<Value> {
    let (mut events, mut cursor) = (Vec::new(), cursor.to_owned());
    loop {
        let page = poll(app, &format!("{feed}?limit=200&after={cursor}")).await;
        events.extend(page["items"].as_array().unwrap().clone());
        text(&page["next_cursor"]).clone_into(&mut cursor);
        if page["has_more"] == false {
            return events;
        }
    }
}

/// The versions that a reader knows of each aggregate after the snapshot and the feed behind it. Fails when a version
/// between the two is missing.
fn versions(copied: &Copied, kind: &str, events: &[Value], prefixes: &[&str]) -> BTreeMap<String, i64> {
    let version = |value: &Value| value["aggregate_version"].as_i64().unwrap();
    let id = |value: &Value| text(&value["aggregate_id"]).to_owned();
    let mut known = BTreeMap::new();
    for row in copied.rows.iter().filter(|row| row["kind"] == kind) {
        assert_eq!(row["data"]["version"].as_i64(), Some(version(row)));
        assert_eq!(known.insert(id(row), version(row)), None, "twice in a snapshot");
    }
    for event in events.iter().filter(|event| prefixes.iter().any(|prefix| text(&event["type"]).starts_with(prefix))) {
        let known = known.entry(id(event)).or_insert(0);
        if version(event) > *known {
            assert_eq!(version(event), *known + 1, "an event is missing before {event}");
            *known = version(event);
        }
    }
    known
}

async fn ship(app: &App, order: &Value) {
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    let found = app.ops("GET", &path, None).await.expect(200);
    let path = format!("/fulfilment-orders/{}/ship", text(&found["fulfilment_orders"][0]["id"]));
    app.ops("POST", &path, Some(&json!({}))).await.expect(201);
}

#[test]
fn a_snapshot_and_the_feed_after_it_miss_nothing_whoever_writes_meanwhile() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 1000), ("NUT", "0.10", 1)]).await;
        for _ in 0..4 {
            shop.order(&[("TEE", 1)]).await;
        }
        let done = AtomicBool::new(false);
        let buyers = (0..4).map(|_| {
            let shop = shop.clone();
            async move {
                for turn in 0..5 {
                    let order = shop.order(&[("TEE", 1)]).await;
                    if turn % 2 == 0 {
                        ship(&shop.app, &order).await;
                    }
                }
            }
        });
        let counter = async {
            for _ in 0..25 {
                shop.stock_up("NUT", 1).await;
            }
        };
        let writers = async {
            join(join_all(buyers), counter).await;
            done.store(true, SeqCst);
        };
        // Copies are begun at many moments, and made in small pages so that much happens between two of them.
        let copies = async {
            let mut copies = Vec::new();
            while !done.load(SeqCst) {
                copies.push((copy(&app, "orders?limit=3").await, copy(&app, "stock?limit=1").await));
            }
            copies
        };
        let (_, copies) = join(writers, copies).await;
        // What shipping has begun is done: nothing is written between the number of the last event and the look at the orders.
        eventually("nothing is to be done any more", async || app.due().await == 0).await;
        app.state.db.write(events::number).await.unwrap();
        let orders =
            app.read(|tx| sql("SELECT id, version FROM orders").load::<(UidSql, BigInt), (OrderId, i64)>(tx)).await;
        let orders: BTreeMap<String, i64> = orders.into_iter().map(|(id, version)| (id.to_string(), version)).collect();
        let shipments = app.read(|tx| sql("SELECT id FROM shipments").load::<UidSql, ShipmentId>(tx)).await;
        let shipments: BTreeSet<String> = shipments.into_iter().map(|id| id.to_string()).collect();
        let nuts =
            "SELECT stock_levels.version FROM stock_levels JOIN variants ON variants.id = variant_id WHERE sku = 'NUT'";
        let nuts = app.read(move |tx| sql(nuts).first::<BigInt, i64>(tx)).await.unwrap();
        assert_eq!((orders.len(), shipments.len()), (24, 12));
        let mut begun_at = BTreeSet::new();
        for (copied, levels) in &copies {
            let events = rest(&app, "orders", &copied.cursor).await;
            begun_at.insert(events.len());
            let of_orders = ["order.", "payment.", "fulfilment_order.", "shipment."];
            assert_eq!(versions(copied, "order", &events, &of_orders), orders);
            let of = |kind: &str, from: &[Value], field: &str| -> BTreeSet<String> {
                let of = from.iter().filter(|row| text(&row[field]).starts_with(kind));
                of.map(|row| text(&row["data"]["id"]).to_owned()).collect()
            };
            let mut seen = of("shipment", &copied.rows, "kind");
            seen.extend(of("shipment.shipped", &events, "type"));
            assert_eq!(seen, shipments);
            // Of the other SKU the carts and orders move the level too, which is no event.
            let mut events = rest(&app, "stock", &levels.cursor).await;
            events.retain(|event| event["aggregate_id"] == "NUT@berlin");
            assert_eq!(versions(levels, "stock_level", &events, &["stock."])["NUT@berlin"], nuts);
        }
        println!("{} copies, begun at {} places in the log", copies.len(), begun_at.len());
        assert!(begun_at.last() > Some(&0), "nothing was written meanwhile");
    });
}

async fn as_key(app: &App, token: &str, path: &str, accept: &str) -> Answer {
    let headers = [("Authorization", token), ("Accept", accept)];
    app.send("GET", &format!("/v1/integration{path}"), &headers, None).await
}

#[test]
fn a_key_copies_its_channels_only_and_test_channels_are_left_out() {
    on_both(|app| async move {
        // It moves orders to other channels by hand.
        app.makes_things_up();
        let (ours, theirs, test) = crate::exports::three_channels(&app).await;
        let shop = {
            let entity = json!({"code": "shop", "name": "Shop GmbH", "country": "DE", "time_zone": "Europe/Berlin"});
            app.ops("POST", "/legal-entities", Some(&entity)).await.expect(201);
            open_beside(&app).await
        };
        let mut ids = Vec::new();
        for channel in [ours, theirs, test, ours] {
            let order: OrderId = text(&shop.order(&[("TEE", 1)]).await["id"]).parse().unwrap();
            move_to(&app, order, channel).await;
            ids.push(order.to_string());
        }
        let orders = |copied: &Copied| -> Vec<String> {
            let orders = copied.rows.iter().filter(|row| row["kind"] == "order");
            orders.map(|row| text(&row["id"]).to_owned()).collect()
        };
        assert_eq!(orders(&copy(&app, "orders?limit=1").await), [&ids[0], &ids[1], &ids[3]].map(Clone::clone));
        assert_eq!(orders(&copy(&app, "orders?include_test=true").await), ids);
        let key = json!({"name": "ERP", "scopes": ["feeds:read", "customers:read"], "channels": [ours]});
        let key = app.ops("POST", "/api-keys", Some(&key)).await.expect(201);
        let token = format!("Bearer {}", text(&key["key"]));
        let mine = as_key(&app, &token, "/snapshots/all?limit=200", "application/json").await.expect(200);
        let kinds: BTreeSet<&str> = mine["items"].as_array().unwrap().iter().map(|row| text(&row["kind"])).collect();
        assert_eq!(kinds, BTreeSet::from(["fulfilment_order", "order"]), "what belongs to no channel is not theirs");
        let mine = Copied { rows: mine["items"].as_array().unwrap().clone(), cursor: String::new() };
        assert_eq!(orders(&mine), [&ids[0], &ids[3]].map(Clone::clone));
        for nothing in ["stock", "customers"] {
            let page = as_key(&app, &token, &format!("/snapshots/{nothing}"), "application/json").await.expect(200);
            assert_eq!((&page["items"], &page["next_cursor"]), (&json!([]), &Value::Null), "{nothing}");
        }
        // Customers are for those who may read customers.
        app.ops("POST", "/customers", Some(&json!({"name": "Ada"}))).await.expect(201);
        call(&app, "GET", "/snapshots/customers", None).await.problem(403, "scope_missing");
        let all = copy(&app, "all?limit=200").await;
        assert!(all.rows.iter().all(|row| row["kind"] != "customer"));
        let token = app.token(Audience::Client, "crm", &[Scope::FeedsRead, Scope::CustomersRead]);
        let seen =
            as_key(&app, &format!("Bearer {token}"), "/snapshots/customers", "application/json").await.expect(200);
        assert_eq!(seen["items"][0]["data"]["name"], "Ada");
        let none = format!("Bearer {}", app.token(Audience::Client, "erp", &[]));
        as_key(&app, &none, "/snapshots/orders", "application/json").await.problem(403, "scope_missing");
    });
}

/// A shop beside channels that are there already.
async fn open_beside(app: &App) -> Shop {
    sql_write(app, "UPDATE legal_entities SET code = 'before' WHERE code = 'acme'").await;
    sql_write(app, "UPDATE channels SET code = 'before' WHERE code = 'de'").await;
    Shop::open(app, &[("TEE", "19.90", 50)]).await
}

async fn sql_write(app: &App, statement: &'static str) {
    app.state.db.write(move |tx| sql(statement).execute(tx)).await.unwrap();
}

async fn move_to(app: &App, order: OrderId, channel: ChannelId) {
    let write = move |tx: &mut kontor::db::Tx| {
        sql("UPDATE orders SET channel_id = ? WHERE id = ?").bind(channel).bind(order).execute(tx)?;
        sql("UPDATE fulfilment_orders SET channel_id = ? WHERE order_id = ?").bind(channel).bind(order).execute(tx)
    };
    app.state.db.write(write).await.unwrap();
}

#[test]
fn whose_cursor_has_expired_loads_the_snapshot_that_the_answer_names_and_goes_on() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        shop.order(&[("TEE", 1)]).await;
        app.state.db.write(events::number).await.unwrap();
        let page = poll(&app, "orders?consumer=erp&limit=1").await;
        assert_eq!(page["items"][0]["type"], "order.placed.v1");
        app.clock.advance_seconds(100);
        let later = app.now();
        purge_before(&app, later).await;
        let order = shop.order(&[("TEE", 2)]).await;
        app.state.db.write(events::number).await.unwrap();
        for (code, status) in [("cursor_expired", 410), ("log_epoch_changed", 409)] {
            if status == 409 {
                sql_write(&app, "UPDATE log_state SET epoch = 'restored'").await;
            }
            let told = call(&app, "GET", "/feeds/orders?consumer=erp", None).await.problem(status, code);
            let path = text(&told["snapshot"]).strip_prefix("/v1/integration").unwrap().to_owned();
            let loaded = call(&app, "GET", &format!("{path}?limit=200"), None).await.expect(200);
            assert_eq!((text(&loaded["items"][1]["id"]), &loaded["next_cursor"]), (text(&order["id"]), &Value::Null));
            let to = json!({"to": loaded["feed_cursor"]});
            let seek = call(&app, "POST", "/feeds/orders/consumers/erp/seek", Some(&to)).await.expect(200);
            assert_eq!(seek["behind"], 0);
            assert_eq!(poll(&app, "orders?consumer=erp").await["items"], json!([]));
            let fresh = format!("orders?consumer={code}&start={}", text(&loaded["feed_cursor"]));
            assert_eq!(poll(&app, &fresh).await["items"], json!([]));
        }
        // A snapshot that takes longer than events are kept is of no use any more.
        let begun = call(&app, "GET", "/snapshots/orders?limit=1", None).await.expect(200);
        shop.order(&[("TEE", 1)]).await;
        app.state.db.write(events::number).await.unwrap();
        app.clock.advance_seconds(100);
        let later = app.now();
        purge_before(&app, later).await;
        let path = format!("/snapshots/orders?limit=1&cursor={}", text(&begun["next_cursor"]));
        call(&app, "GET", &path, None).await.problem(410, "cursor_expired");
    });
}

#[test]
fn a_snapshot_comes_as_json_lines_or_table_and_its_cursors_are_its_own() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50), ("MUG", "5.00", 5)]).await;
        for _ in 0..3 {
            shop.order(&[("TEE", 1)]).await;
        }
        let wanted = copy(&app, "all?limit=2").await.rows;
        let kinds: Vec<&str> = wanted.iter().map(|row| text(&row["kind"])).collect();
        assert_eq!(
            kinds,
            [
                "order",
                "order",
                "order",
                "fulfilment_order",
                "fulfilment_order",
                "fulfilment_order",
                "stock_level",
                "stock_level"
            ]
        );
        let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::FeedsRead]));
        let (mut lines, mut path) = (Vec::new(), "/v1/integration/snapshots/all?limit=3".to_owned());
        loop {
            let headers = [("Authorization", token.as_str()), ("Accept", "application/x-ndjson")];
            let page = app.send("GET", &path, &headers, None).await;
            assert_eq!(page.status, 200, "{}", page.text);
            assert!(page.header("content-type").unwrap().starts_with("application/x-ndjson"));
            assert!(page.header("kontor-feed-cursor").is_some());
            lines.extend(page.text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
            let Some(link) = page.header("link") else { break };
            link.strip_prefix('<').unwrap().split_once('>').unwrap().0.clone_into(&mut path);
        }
        assert_eq!(lines, wanted);
        let table = as_key(&app, &token, "/snapshots/all?limit=200", "text/csv").await;
        let mut reader = csv::Reader::from_reader(table.text.as_bytes());
        assert_eq!(
            reader.headers().unwrap(),
            vec!["kind", "id", "stream", "aggregate_id", "aggregate_version", "channel", "data"]
        );
        let rows: Vec<Value> = reader.records().map(|row| serde_json::from_str(&row.unwrap()[6]).unwrap()).collect();
        assert_eq!(rows, wanted.iter().map(|row| row["data"].clone()).collect::<Vec<_>>());
        let stock = call(&app, "GET", "/snapshots/stock?limit=1", None).await.expect(200);
        let of_stock = text(&stock["next_cursor"]);
        for wrong in [of_stock, text(&stock["feed_cursor"]), "x"] {
            let path = format!("/snapshots/orders?cursor={wrong}");
            call(&app, "GET", &path, None).await.problem(400, "invalid_cursor");
        }
        call(&app, "GET", "/snapshots/nothing", None).await.problem(404, "not_found");
        call(&app, "GET", "/snapshots/orders?limit=201", None).await.problem(400, "invalid_query");
        call(&app, "GET", "/snapshots/orders?types=order.", None).await.problem(400, "invalid_query");
        let skus = app.read(|tx| sql("SELECT sku FROM variants").load::<Text, String>(tx)).await;
        assert_eq!(skus.len(), 2);
    });
}

/// Drops the events that were recorded before an instant.
async fn purge_before(app: &App, before: Instant) {
    let purge = move |tx: &mut Tx| {
        let end = events::position_at(tx, before)? - 1;
        events::purge(tx, end, 1000)
    };
    app.state.db.write(purge).await.unwrap();
}
