//! Locations, levels, adjustments, movements, safety stocks; and the rules of reserving, told one by one.

use std::{collections::HashMap, sync::Arc};

use kontor::{
    catalog,
    db::{Db, Options, sql},
    error::{Code, Error, Result},
    http::auth::Audience,
    kernel::{
        Actor, Id, Instant, Scope,
        ids::{CartId, LocationId, VariantId},
    },
    stock::{self, Locations, Need, Share},
};
use serde_json::{Value, json};

use crate::support::{Answer, App, eventually, on_both, on_both_idle};

pub const ACTOR: Actor = Actor::System("test");

/// A variant as the catalogue keeps it.
pub async fn variant(app: &App, sku: &str) -> VariantId {
    let (id, sku, now) = (VariantId::new(), sku.to_owned(), app.now());
    let insert = "INSERT INTO variants (id, sku, name, name_folded, tax_class, weight_grams, unit_code, \
                  requires_shipping, stock_policy, backorder_policy, status, doc, version, created_at, updated_at) \
                  VALUES (?, ?, 'x', 'x', 'standard', 1, 'C62', ?, 'tracked', 'deny', 'active', ?, 1, ?, ?)";
    let write = app.state.db.write(move |tx| {
        let doc = kontor::db::Doc(json!({}));
        sql(insert).bind(id).bind(sku.as_str()).bind(true).bind(doc).bind(now).bind(now).execute(tx)
    });
    write.await.unwrap();
    id
}

/// A location through the API.
pub async fn location(app: &App, code: &str, priority: i64) -> LocationId {
    let new = json!({"code": code, "name": code, "country": "DE", "time_zone": "Europe/Berlin", "priority": priority});
    let made = app.ops("POST", "/locations", Some(&new)).await.expect(201);
    made["id"].as_str().unwrap().parse().unwrap()
}

async fn adjust(app: &App, lines: Value) -> Answer {
    app.ops("POST", "/stock/adjustments", Some(&json!({"lines": lines}))).await
}

/// Puts goods on a location.
pub async fn put(app: &App, sku: &str, location: &str, pieces: i64) {
    adjust(app, json!([{"sku": sku, "location": location, "change": pieces, "reason": "delivery"}])).await.expect(200);
}

pub async fn locations(app: &App) -> Arc<Locations> {
    app.state.db.snapshot::<Locations>().await.unwrap()
}

pub fn need(line_no: i32, variant: VariantId, quantity: i64) -> Need {
    let place = usize::try_from(line_no - 1).unwrap();
    let requires = kontor::kernel::Capabilities::NONE;
    Need { place, line_no, delivery: 0, variant, quantity, tracked: true, backorder: false, requires }
}

pub async fn reserve(app: &App, cart: CartId, needs: &[Need], expires_at: Instant) -> Result<Vec<Share>> {
    let (now, needs, locations) = (app.now(), needs.to_vec(), locations(app).await);
    app.state.db.write(move |tx| stock::reserve(tx, now, cart, &needs, &locations, expires_at)).await
}

/// Consumes and moves the counters, as placing an order does at the end of its transaction.
fn consumed(tx: &mut kontor::db::Tx, now: Instant, cart: CartId) -> Result<Option<Vec<Share>>> {
    let Some(booking) = stock::consume(tx, now, &ACTOR, cart, "order-1", now)? else { return Ok(None) };
    let shares = booking.shares().to_vec();
    booking.apply(tx, now)?;
    Ok(Some(shares))
}

pub async fn consume(app: &App, cart: CartId) -> Option<Vec<Share>> {
    let now = app.now();
    app.state.db.write(move |tx| consumed(tx, now, cart)).await.unwrap()
}

pub async fn release(app: &App, cart: CartId) {
    let now = app.now();
    app.state.db.write(move |tx| stock::release(tx, now, cart)).await.unwrap();
}

/// Fails when a level is not the sum of its movements and reservations.
pub async fn sums_agree(app: &App) {
    let mut after = None;
    loop {
        let (findings, next) = app.read(move |tx| stock::check(tx, after, 2)).await;
        assert!(findings.is_empty(), "{findings:?}");
        if next.is_none() {
            return;
        }
        after = next;
    }
}

/// `on_hand`, `allocated`, `reserved`, `safety`, `available` of a SKU's levels, by location code.
pub async fn levels(app: &App, sku: &str) -> Vec<(String, [i64; 5])> {
    let page = app.ops("GET", &format!("/stock/levels?sku={sku}"), None).await.expect(200);
    let mut levels: Vec<_> = page["items"].as_array().unwrap().iter().map(level).collect();
    levels.sort();
    levels
}

fn level(item: &Value) -> (String, [i64; 5]) {
    let figure = |name: &str| item[name].as_i64().unwrap();
    let figures = ["on_hand", "allocated", "reserved", "safety", "available"].map(figure);
    (item["location"].as_str().unwrap().to_owned(), figures)
}

fn code(result: Result<Vec<Share>>) -> Code {
    result.unwrap_err().code()
}

#[test]
fn goods_are_counted_received_and_written_off_and_every_movement_is_kept() {
    on_both_idle(|app| async move {
        let (_, main) = (variant(&app, "MUG").await, location(&app, "main", 1).await);
        let lines = json!([
            {"sku": "MUG", "location": "main", "change": 10, "reason": "delivery"},
            {"sku": "MUG", "location": main.to_string(), "set_to": 8, "expected_on_hand": 10, "reason": "count"},
            {"sku": "MUG", "location": "main", "set_to": 8, "reason": "count"},
        ]);
        let after = adjust(&app, lines).await.expect(200);
        assert_eq!(level(&after["items"][0]).1, [8, 0, 0, 0, 8]);
        let page = app.ops("GET", "/stock/movements?sku=MUG&limit=1", None).await;
        assert!(page.header("Link").unwrap().contains("rel=\"next\""));
        let page = page.expect(200);
        assert_eq!((&page["items"][0]["on_hand"], &page["items"][0]["reason"]), (&json!(-2), &json!("count")));
        let next = format!("/stock/movements?location=main&cursor={}", page["next_cursor"].as_str().unwrap());
        let rest = app.ops("GET", &next, None).await.expect(200);
        assert_eq!((rest["items"].as_array().unwrap().len(), &rest["items"][0]["on_hand"]), (1, &json!(10)));
        eventually("the events have positions", || async {
            app.read(|tx| kontor::events::stream(tx, "stock:MUG@main", 0, 10)).await.len() == 2
        })
        .await;
        let told = app.read(|tx| kontor::events::stream(tx, "stock:MUG@main", 0, 10)).await;
        let on_hand: Vec<_> = told.iter().map(|event| event.data["on_hand"].as_i64().unwrap()).collect();
        assert_eq!((told[0].kind.as_str(), on_hand), ("stock.adjusted.v1", vec![10, 8]));
        sums_agree(&app).await;
    });
}

#[test]
fn an_adjustment_that_can_not_be_done_whole_is_not_done_at_all() {
    on_both_idle(|app| async move {
        let (_, _) = (variant(&app, "MUG").await, location(&app, "main", 1).await);
        put(&app, "MUG", "main", 5).await;
        let good = json!({"sku": "MUG", "location": "main", "change": 1, "reason": "x"});
        let with = |extra: Value| {
            let mut line = good.clone();
            line.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            json!([good, line])
        };
        let negative = adjust(&app, with(json!({"change": -7}))).await.problem(409, "stock_negative");
        assert_eq!((&negative["pointer"], &negative["on_hand"]), (&json!("/lines/1/change"), &json!(6)));
        let compared = adjust(&app, with(json!({"expected_on_hand": 5}))).await.problem(409, "compare_failed");
        assert_eq!((&compared["pointer"], &compared["on_hand"]), (&json!("/lines/1/expected_on_hand"), &json!(6)));
        let unknown = adjust(&app, with(json!({"sku": "CUP"}))).await.problem(422, "sku_unknown");
        assert_eq!(unknown["pointer"], "/lines/1/sku");
        let nowhere = adjust(&app, with(json!({"location": "moon"}))).await.problem(404, "not_found");
        assert_eq!(nowhere["pointer"], "/lines/1/location");
        adjust(&app, with(json!({"set_to": 3}))).await.problem(422, "invalid_value");
        adjust(&app, with(json!({"change": 1_000_000_001}))).await.problem(422, "invalid_value");
        adjust(&app, json!([])).await.problem(422, "invalid_value");
        app.ops("GET", "/stock/levels?cursor=nonsense", None).await.problem(400, "invalid_cursor");
        app.ops("GET", "/stock/levels?location=moon", None).await.problem(404, "not_found");
        assert_eq!(levels(&app, "MUG").await[0].1, [5, 0, 0, 0, 5]);
        assert!(levels(&app, "CUP").await.is_empty());
        sums_agree(&app).await;
    });
}

#[test]
fn another_system_sets_levels_in_bulk_and_what_is_equal_leaves_no_trace() {
    on_both_idle(|app| async move {
        for sku in ["A", "B"] {
            variant(&app, sku).await;
        }
        location(&app, "main", 1).await;
        put(&app, "A", "main", 4).await;
        let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::StockWrite]));
        let rows = json!([
            {"sku": "A", "location": "main", "on_hand": 4}, {"sku": "B", "location": "main", "on_hand": 7}
        ]);
        let send = |rows: Value| {
            let (app, token) = (app.clone(), token.clone());
            async move {
                let headers = [("Authorization", token.as_str())];
                app.send("POST", "/v1/integration/stock-levels", &headers, Some(&rows)).await
            }
        };
        assert_eq!(send(rows).await.expect(200), json!({"rows": 2, "changed": 1}));
        let unknown = send(json!([{"sku": "C", "location": "main", "on_hand": 4}])).await;
        assert_eq!(unknown.problem(422, "sku_unknown")["pointer"], "/0/sku");
        assert_eq!(levels(&app, "B").await[0].1, [7, 0, 0, 0, 7]);
        sums_agree(&app).await;
    });
}

#[test]
fn a_location_is_changed_on_its_version_and_foreign_ones_are_not_there() {
    on_both_idle(|app| async move {
        variant(&app, "MUG").await;
        let (main, other) = (location(&app, "main", 1).await, location(&app, "other", 2).await);
        put(&app, "MUG", "main", 1).await;
        put(&app, "MUG", "other", 2).await;
        let mut claims = app.claims(Audience::Staff, "bob", "stock:read stock:write");
        claims.locations = Some(vec![other]);
        let token = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let send = |method: &'static str, path: String, body: Option<Value>| {
            let (app, token) = (app.clone(), token.clone());
            async move { app.send(method, &format!("/v1/ops{path}"), &[("Authorization", &token)], body.as_ref()).await }
        };
        send("GET", format!("/locations/{main}"), None).await.problem(404, "not_found");
        send("PATCH", format!("/locations/{main}"), Some(json!({"name": "x"}))).await.problem(404, "not_found");
        send("GET", "/stock/levels?location=main".into(), None).await.problem(404, "not_found");
        let lines = json!({"lines": [{"sku": "MUG", "location": "main", "change": 1, "reason": "x"}]});
        send("POST", "/stock/adjustments".into(), Some(lines)).await.problem(404, "not_found");
        let seen = send("GET", "/stock/levels".into(), None).await.expect(200);
        assert_eq!(seen["items"].as_array().unwrap().iter().map(level).collect::<Vec<_>>().len(), 1);
        assert_eq!(send("GET", "/locations".into(), None).await.expect(200)["items"].as_array().unwrap().len(), 1);
        let moved = send("GET", "/stock/movements".into(), None).await.expect(200);
        assert_eq!(moved["items"].as_array().unwrap().len(), 1);
        let path = format!("/locations/{other}");
        send("PATCH", path.clone(), Some(json!({"name": "Other", "active": false}))).await.expect(200);
        let stale = [("Authorization", token.as_str()), ("If-Match", "\"v1\"")];
        let late = app.send("PATCH", &format!("/v1/ops{path}"), &stale, Some(&json!({"name": "Late"}))).await;
        late.problem(412, "version_stale");
        let new = json!({"code": "main", "name": "x", "country": "DE", "time_zone": "Europe/Berlin"});
        app.ops("POST", "/locations", Some(&new)).await.problem(409, "duplicate");
        send("POST", "/locations".into(), Some(new)).await.problem(403, "scope_missing");
    });
}

/// What anybody could be sold of an article.
async fn available(app: &App, id: VariantId) -> HashMap<VariantId, i64> {
    let nobody = (stock::Selling::default(), stock::Market::EVERYWHERE);
    app.read(move |tx| {
        let known = catalog::by_ids(tx, &[id])?;
        stock::availability(tx, known.iter(), nobody)
    })
    .await
}

#[test]
fn safety_stock_is_not_sold_and_an_inactive_location_sells_nothing() {
    on_both_idle(|app| async move {
        let (mug, main) = (variant(&app, "MUG").await, location(&app, "main", 1).await);
        put(&app, "MUG", "main", 5).await;
        let safety = json!({"lines": [{"sku": "MUG", "location": "main", "safety": 2}]});
        let after = app.ops("PATCH", "/stock/levels", Some(&safety)).await.expect(200);
        assert_eq!(level(&after["items"][0]).1, [5, 0, 0, 2, 3]);
        let later = app.now().plus_seconds(900);
        assert_eq!(code(reserve(&app, Id::new(), &[need(1, mug, 4)], later).await), Code::OutOfStock);
        assert_eq!(available(&app, mug).await[&mug], 3);
        let path = format!("/locations/{main}");
        app.ops("PATCH", &path, Some(&json!({"active": false}))).await.expect(200);
        assert_eq!(code(reserve(&app, Id::new(), &[need(1, mug, 1)], later).await), Code::LocationInactive);
        assert!(available(&app, mug).await.is_empty());
    });
}

#[test]
fn a_reservation_becomes_an_allocation_a_shipment_and_a_return() {
    on_both_idle(|app| async move {
        let (mug, cup) = (variant(&app, "MUG").await, variant(&app, "CUP").await);
        let main = location(&app, "main", 1).await;
        put(&app, "MUG", "main", 5).await;
        let cart = CartId::new();
        let needs = [need(1, mug, 2), Need { tracked: false, ..need(2, cup, 9) }, need(3, mug, 1)];
        let shares = reserve(&app, cart, &needs, app.now().plus_seconds(900)).await.unwrap();
        assert_eq!(shares.iter().map(|share| share.quantity).collect::<Vec<_>>(), [2, 9, 1]);
        assert_eq!((shares[1].location, shares[1].tracked), (main, false));
        assert_eq!(levels(&app, "MUG").await[0].1, [5, 0, 3, 0, 2]);
        let again = reserve(&app, cart, &needs[..1], app.now()).await;
        assert_eq!(code(again), Code::StateConflict);
        assert_eq!(consume(&app, cart).await.unwrap(), shares);
        assert_eq!(consume(&app, cart).await, None);
        assert_eq!(levels(&app, "MUG").await[0].1, [5, 3, 0, 0, 2]);
        let now = app.now();
        let (gone, cancelled) = (shares[..2].to_vec(), shares[2..].to_vec());
        let write = app.state.db.write(move |tx| {
            stock::ship(tx, now, &ACTOR, (&gone, &[], &stock::lots::Keep::new()), "order-1", now, &[])?;
            stock::deallocate(tx, now, &ACTOR, &cancelled, "order-1", now)?;
            stock::receive_return(tx, now, &ACTOR, &gone, "ret-1", now, &[])
        });
        write.await.unwrap();
        assert_eq!(levels(&app, "MUG").await[0].1, [5, 0, 0, 0, 5]);
        assert!(levels(&app, "CUP").await.is_empty());
        sums_agree(&app).await;
    });
}

#[test]
fn what_has_expired_is_sold_to_the_next_and_is_not_consumed_any_more() {
    on_both_idle(|app| async move {
        // What is allocated is allocated for no order.
        app.makes_things_up();
        let (mug, cup) = (variant(&app, "MUG").await, variant(&app, "CUP").await);
        location(&app, "main", 1).await;
        put(&app, "MUG", "main", 2).await;
        put(&app, "CUP", "main", 2).await;
        let (early, late, extended) = (CartId::new(), CartId::new(), CartId::new());
        let due = app.now().plus_seconds(20);
        reserve(&app, early, &[need(1, cup, 1), need(2, mug, 1)], due).await.unwrap();
        reserve(&app, extended, &[need(1, mug, 1)], due).await.unwrap();
        let longer = app.now().plus_seconds(3600);
        assert!(app.state.db.write(move |tx| stock::extend(tx, extended, longer)).await.unwrap());
        let refused = reserve(&app, late, &[need(4, mug, 1)], due).await.unwrap_err();
        let Error::Problem(problem) = &refused else { panic!("{refused}") };
        assert_eq!((problem.code, problem.pointer.as_deref()), (Code::OutOfStock, Some("/lines/3")));
        assert_eq!((&problem.extra["available"], &problem.extra["line_no"]), (&json!(0), &json!(4)));
        // The clock stands still between the turns of the schedule, so it is the next buyer who expires it.
        app.clock.advance_seconds(21);
        reserve(&app, late, &[need(4, mug, 1)], app.now().plus_seconds(900)).await.unwrap();
        assert_eq!(consume(&app, early).await, None);
        assert_eq!(consume(&app, extended).await.unwrap().len(), 1);
        assert_eq!(levels(&app, "CUP").await[0].1, [2, 0, 0, 0, 2]);
        release(&app, late).await;
        release(&app, late).await;
        assert_eq!(levels(&app, "MUG").await[0].1, [2, 1, 0, 0, 1]);
        sums_agree(&app).await;
    });
}

#[test]
fn the_schedule_expires_what_nobody_asks_for_and_drops_what_is_old() {
    on_both(|app| async move {
        let mug = variant(&app, "MUG").await;
        location(&app, "main", 1).await;
        put(&app, "MUG", "main", 2).await;
        reserve(&app, CartId::new(), &[need(1, mug, 2)], app.now().plus_seconds(60)).await.unwrap();
        app.clock.advance_seconds(120);
        eventually("it has expired", || async { levels(&app, "MUG").await[0].1 == [2, 0, 0, 0, 2] }).await;
        sums_agree(&app).await;
        let future = Instant::from_micros(4_102_444_800_000_000);
        assert_eq!(app.state.db.write(move |tx| stock::purge_ended(tx, future, 10)).await.unwrap(), 1);
    });
}

#[test]
fn a_cart_reserves_again_with_what_it_already_holds() {
    on_both_idle(|app| async move {
        let mug = variant(&app, "MUG").await;
        location(&app, "main", 1).await;
        put(&app, "MUG", "main", 3).await;
        let (cart, until) = (CartId::new(), app.now().plus_seconds(900));
        reserve(&app, cart, &[need(1, mug, 2)], until).await.unwrap();
        let again = |quantity: i64| {
            let app = app.clone();
            async move {
                let (now, locations) = (app.now(), locations(&app).await);
                let needs = [need(1, mug, quantity)];
                let write =
                    app.state.db.write(move |tx| stock::reserve_again(tx, now, cart, &needs, &locations, until));
                write.await
            }
        };
        assert_eq!(again(3).await.unwrap()[0].quantity, 3);
        assert_eq!(code(again(4).await), Code::OutOfStock);
        assert_eq!(levels(&app, "MUG").await[0].1, [3, 0, 3, 0, 0]);
        sums_agree(&app).await;
    });
}

#[test]
fn backorders_go_below_zero_and_are_shipped_once_the_goods_are_there() {
    on_both_idle(|app| async move {
        // That goods have come is told to nobody here.
        app.leaves_work();
        let mug = variant(&app, "MUG").await;
        location(&app, "main", 1).await;
        let (now, locations) = (app.now(), locations(&app).await);
        let needs = [Need { backorder: true, ..need(1, mug, 3) }];
        let write = app.state.db.write(move |tx| {
            let booking = stock::allocate(tx, now, &ACTOR, &needs, &locations, "o", now)?;
            let shares = booking.shares().to_vec();
            booking.apply(tx, now)?;
            Ok(shares)
        });
        let shares = write.await.unwrap();
        assert_eq!(levels(&app, "MUG").await[0].1, [0, 3, 0, 0, -3]);
        let ship = || {
            let (app, shares) = (app.clone(), shares.clone());
            async move {
                app.state
                    .db
                    .write(move |tx| {
                        stock::ship(tx, now, &ACTOR, (&shares, &[], &stock::lots::Keep::new()), "o", now, &[])
                    })
                    .await
            }
        };
        assert_eq!(ship().await.unwrap_err().code(), Code::StockNegative);
        put(&app, "MUG", "main", 4).await;
        ship().await.unwrap();
        assert_eq!(levels(&app, "MUG").await[0].1, [1, 0, 0, 0, 1]);
        sums_agree(&app).await;
    });
}

#[test]
fn the_number_of_statements_does_not_grow_with_the_lines() {
    on_both_idle(|app| async move {
        let mut variants = Vec::new();
        for number in 0..30 {
            let sku = format!("S{number}");
            variants.push(variant(&app, &sku).await);
        }
        location(&app, "main", 1).await;
        let rows: Vec<_> =
            (0..30).map(|n| json!({"sku": format!("S{n}"), "location": "main", "change": 9, "reason": "x"})).collect();
        adjust(&app, json!(rows)).await.expect(200);
        let locations = locations(&app).await;
        // A connection of its own, so that nobody else's statements are counted.
        let own = Db::open_unmigrated(Options { connections: 1, ..Options::new(app.database_url.clone()) }).unwrap();
        let now = app.now();
        for lines in [1, 30] {
            let needs: Vec<Need> = (0..lines).map(|n| need(n as i32 + 1, variants[n], 1)).collect();
            let (cart, until, locations) = (CartId::new(), now.plus_seconds(900), locations.clone());
            let before = own.stats().statements;
            own.write(move |tx| stock::reserve(tx, now, cart, &needs, &locations, until)).await.unwrap();
            assert_eq!(own.stats().statements - before, 3, "reserve {lines}");
            let before = own.stats().statements;
            let consumed = own.write(move |tx| consumed(tx, now, cart)).await.unwrap().unwrap();
            assert_eq!((own.stats().statements - before, consumed.len()), (3, lines), "consume {lines}");
            let before = own.stats().statements;
            own.write(move |tx| {
                stock::ship(tx, now, &ACTOR, (&consumed, &[], &stock::lots::Keep::new()), "o", now, &[])
            })
            .await
            .unwrap();
            // The movements, the names of articles and places, the levels, a look for lots, what is told of them.
            assert_eq!(own.stats().statements - before, 6, "ship {lines}");
        }
    });
}
