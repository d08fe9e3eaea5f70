//! Backup and restore in every direction between the two databases, and what the doctor says afterwards.

use std::{io::Read, path::Path};

use diesel::sql_types::BigInt;
use kontor::{
    db::{Col, Db, dialect, dump, sql},
    doctor,
    events::{self, NewEvent, Payload},
    jobs::{self, NewJob},
    kernel::{Actor, Clock, Id, Instant, ids::Kind},
};
use serde_json::{Value, json};

use crate::support::{Bare, app::START, block_on, eventually};

fn now() -> Instant {
    Clock::controlled(START.parse().unwrap()).now()
}

fn hex<K: Kind>() -> String {
    Id::<K>::new().hex()
}

/// A shop in miniature: every kind of column, umlauts, large numbers, empty values, more rows than one bite.
async fn fill(db: &Db) {
    use kontor::kernel::ids;
    let (entity, channel, now) = (hex::<ids::LegalEntity>(), hex::<ids::Channel>(), now());
    let at = now.sortable();
    let variants: Vec<Value> = (0..1200)
        .map(|n| {
            let doc =
                json!({"größe": n, "note": "a \"quoted\" text\nin two lines", "none": null, "deep": [1, {"x": []}]});
            let sku = format!("SKU-{n}");
            json!([
                hex::<ids::Variant>(),
                sku,
                null,
                "Käse ✓",
                "kase",
                "standard",
                9_007_199_254_740_993i64,
                "H87",
                n % 2 == 0,
                "tracked",
                "deny",
                "active",
                doc,
                1,
                at,
                at
            ])
        })
        .collect();
    let order: Vec<NewEvent> = (1..=1100)
        .map(|version| NewEvent {
            id: Id::new(),
            stream: "order_1".into(),
            aggregate: "order",
            aggregate_id: "order_1".into(),
            aggregate_version: version,
            channel: None,
            kind: "order.changed.v1",
            occurred_at: now,
            payload: Payload {
                data: json!({"total": {"amount": "12.30", "currency": "EUR"}}).into(),
                personal: (version % 2 == 0).then(|| json!({"email": "ada@example.com"}).into()),
            },
            subject: (version % 2 == 0).then(Id::new),
        })
        .collect();
    let jobs: Vec<NewJob> = (0..3).map(|n| NewJob::now("note", now, json!({"n": n})).in_order("key")).collect();
    db.write(move |tx| {
        let text = |names: &[&'static str]| names.iter().map(|name| (*name, Col::Text)).collect::<Vec<_>>();
        let mut columns = vec![("id", Col::Uid)];
        columns.extend(text(&["code", "name", "country", "vat_id", "time_zone"]));
        columns.extend([("version", Col::Int), ("created_at", Col::At), ("updated_at", Col::At)]);
        let row = json!([entity, "acme", "Acme GmbH", "DE", null, "Europe/Berlin", 1, at, at]);
        dialect::insert_list(tx, "legal_entities", &columns, json!([row]).into())?;
        let columns = [
            ("id", Col::Uid),
            ("code", Col::Text),
            ("name", Col::Text),
            ("legal_entity_id", Col::Uid),
            ("test", Col::Bool),
            ("doc", Col::Doc),
            ("version", Col::Int),
            ("created_at", Col::At),
            ("updated_at", Col::At),
        ];
        let row = json!([channel, "de", "Deutschland", entity, true, {"a": 1}, 3, at, at]);
        dialect::insert_list(tx, "channels", &columns, json!([row]).into())?;
        let mut columns = vec![("id", Col::Uid)];
        columns.extend(text(&["sku", "gtin", "name", "name_folded", "tax_class"]));
        columns.push(("weight_grams", Col::Int));
        columns.push(("unit_code", Col::Text));
        columns.push(("requires_shipping", Col::Bool));
        columns.extend(text(&["stock_policy", "backorder_policy", "status"]));
        columns.extend([("doc", Col::Doc), ("version", Col::Int), ("created_at", Col::At), ("updated_at", Col::At)]);
        dialect::insert_list(tx, "variants", &columns, json!(variants).into())?;
        sql("INSERT INTO secrets (name, value, created_at) VALUES ('signing', 'very secret', ?)")
            .bind(now)
            .execute(tx)?;
        // The reference of an order has a document, and that is `null`.
        let reference = "INSERT INTO external_refs (id, owner, system, kind, value, value_folded, doc, created_at) \
                         VALUES (?, ?, 'erp', 'order', 'A-1', 'a-1', ?, ?)";
        let reference = sql(reference).bind(Id::<ids::Order>::new()).bind(Id::<ids::Order>::new());
        reference.bind(kontor::db::Doc(Value::Null)).bind(now).execute(tx)?;
        events::append(tx, &Actor::System("test"), now, order.clone())?;
        jobs::enqueue(tx, now, jobs.clone())
    })
    .await
    .unwrap();
    db.write(events::number).await.unwrap();
    // Committed, and not numbered yet where numbering is a step of its own.
    db.write(move |tx| {
        let late = NewEvent {
            id: Id::new(),
            stream: "order_2".into(),
            aggregate: "order",
            aggregate_id: "order_2".into(),
            aggregate_version: 1,
            channel: None,
            kind: "order.placed.v1",
            occurred_at: now,
            payload: Payload::of(&json!({})).unwrap(),
            subject: None,
        };
        events::append(tx, &Actor::System("test"), now, vec![late])
    })
    .await
    .unwrap();
    db.next_number("orders").await.unwrap();
}

async fn backup(db: &Db, folder: &Path, name: &str) -> std::path::PathBuf {
    let file = folder.join(name);
    dump::backup(db, now(), &file, |_, _| {}).await.unwrap();
    file
}

/// The rows of a backup, without those that a restore changes.
fn rows(file: &Path) -> Vec<String> {
    let mut text = String::new();
    let compressed = std::fs::File::open(file).unwrap();
    flate2::read::MultiGzDecoder::new(compressed).read_to_string(&mut text).unwrap();
    let mut lines = text.lines();
    let header: dump::Header = serde_json::from_str(lines.next().unwrap()).unwrap();
    let mut rows = Vec::new();
    for table in header.tables {
        for line in lines.by_ref().take(table.rows as usize) {
            if !matches!(table.name.as_str(), "log_state" | "number_ranges") {
                // jsonb keeps its members in an order of its own.
                let row: Value = serde_json::from_str(line).unwrap();
                rows.push(format!("{} {row}", table.name));
            }
        }
    }
    rows
}

async fn moves(from: &Bare, to: &Bare) {
    let folder = tempfile::tempdir().unwrap();
    fill(&from.db).await;
    let first = backup(&from.db, folder.path(), "first.gz").await;
    let epoch = dump::restore(&to.db, &first, |_, _| {}).await.unwrap();
    let second = backup(&to.db, folder.path(), "second.gz").await;
    let (before, after) = (rows(&first), rows(&second));
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
    // Another epoch, and all numbers above the old ones.
    let (old, new) = (from.db.read(events::state).await.unwrap(), to.db.read(events::state).await.unwrap());
    assert_eq!(new.epoch, epoch);
    assert_ne!(new.epoch, old.epoch);
    assert!(new.last >= 1101, "{new:?}");
    assert!(to.db.next_number("orders").await.unwrap() > from.db.next_number("orders").await.unwrap() + 9_000);
    fresh_rows_go_on_above(&to.db, new.last).await;
    assert_eq!(doctor::examine(&to.db, |_| {}).await.unwrap(), []);
    // A database that is not empty is refused.
    let again = dump::restore(&to.db, &first, |_, _| {}).await.unwrap_err().to_string();
    assert!(again.contains("not empty"), "{again}");
}

async fn fresh_rows_go_on_above(db: &Db, last: i64) {
    let write = db.write(move |tx| {
        let event = NewEvent {
            id: Id::new(),
            stream: "order_2".into(),
            aggregate: "order",
            aggregate_id: "order_2".into(),
            aggregate_version: 2,
            channel: None,
            kind: "order.changed.v1",
            occurred_at: now(),
            payload: Payload::of(&json!({})).unwrap(),
            subject: None,
        };
        events::append(tx, &Actor::System("test"), now(), vec![event])?;
        jobs::enqueue(tx, now(), vec![NewJob::now("note", now(), json!({}))])
    });
    write.await.unwrap();
    db.write(events::number).await.unwrap();
    let (events, _) = db.read(move |tx| events::read_after(tx, last, &[], 10)).await.unwrap();
    assert_eq!(events.len(), 1);
    assert!(events[0].position > last.max(1101 + 9_000), "{}", events[0].position);
    let (whole, _) = db.read(|tx| events::read_after(tx, 0, &[], 5000)).await.unwrap();
    assert_eq!(whole.len(), 1102);
}

#[test]
fn sqlite_to_sqlite() {
    block_on(async { moves(&Bare::sqlite(|options| options), &Bare::sqlite(|options| options)).await });
}

#[test]
fn sqlite_to_postgres_and_back() {
    block_on(async {
        let Some(postgres) = Bare::postgres(|options| options) else { return };
        moves(&Bare::sqlite(|options| options), &postgres).await;
    });
    block_on(async {
        let Some(postgres) = Bare::postgres(|options| options) else { return };
        moves(&postgres, &Bare::sqlite(|options| options)).await;
    });
}

#[test]
fn what_is_accepted_at_its_deepest_is_in_the_backup_and_comes_back() {
    crate::support::on_both(|app| async move {
        let shop = crate::support::Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        let nested = |depth: usize| -> Value {
            serde_json::from_str(&format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth))).unwrap()
        };
        let cart = shop.cart(&[("TEE", 1)]).await;
        let patch = async |metadata: Value| {
            let body = json!({ "metadata": metadata });
            shop.store("PATCH", &format!("/carts/{}", cart.id), Some(&cart.token), Some(&body)).await
        };
        patch(nested(64)).await.problem(400, "body_malformed");
        patch(nested(63)).await.expect(200);
        shop.complete(&cart, "approve").await.expect(201);
        let rows = [json!({"sku": "DEEP", "name": "Deep", "tax_class": "standard", "attributes": nested(63)})];
        let imported = crate::imports::ndjson(&app, "/variants", &rows).await.expect(200);
        assert_eq!(imported["created"], 1, "{imported}");
        // The last of the carts is another.
        shop.cart(&[("TEE", 1)]).await;
        app.state.db.write(events::number).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = backup(&app.state.db, folder.path(), "deep.gz").await;
        let copy = Bare::sqlite(|options| options);
        dump::restore(&copy.db, &file, |_, _| {}).await.unwrap();
        // What is there can be cleared.
        let cart = shop.cart(&[("TEE", 1)]).await;
        let path = format!("/carts/{}", cart.id);
        let note = json!({"metadata": {"a": 1}});
        shop.store("PATCH", &path, Some(&cart.token), Some(&note)).await.expect(200);
        let none = json!({"metadata": null});
        let bare = shop.store("PATCH", &path, Some(&cart.token), Some(&none)).await.expect(200);
        assert_eq!(bare["metadata"].as_object().map_or(0, |metadata| metadata.len()), 0, "{bare}");
    });
}

#[test]
fn broken_backups_are_refused_before_anything_is_touched() {
    block_on(async {
        let (from, to) = (Bare::sqlite(|options| options), Bare::sqlite(|options| options));
        let folder = tempfile::tempdir().unwrap();
        fill(&from.db).await;
        let file = backup(&from.db, folder.path(), "whole.gz").await;
        assert!(dump::backup(&from.db, now(), &file, |_, _| {}).await.is_err(), "a backup overwrites nothing");
        let mut text = String::new();
        let source = std::fs::File::open(&file).unwrap();
        flate2::read::MultiGzDecoder::new(source).read_to_string(&mut text).unwrap();
        let cut = text.lines().take(500).collect::<Vec<_>>().join("\n");
        let changed = text.replacen("12.30", "99.30", 1);
        let foreign = text.replacen("\"schema\":[\"", "\"schema\":[\"1999", 1);
        for broken in [cut, changed, foreign, "no backup".to_owned()] {
            let file = folder.path().join("broken.gz");
            let mut gz =
                flate2::write::GzEncoder::new(std::fs::File::create(&file).unwrap(), flate2::Compression::fast());
            std::io::Write::write_all(&mut gz, broken.as_bytes()).unwrap();
            gz.finish().unwrap();
            assert!(dump::restore(&to.db, &file, |_, _| {}).await.is_err());
        }
        dump::restore(&to.db, &file, |_, _| {}).await.unwrap();
    });
}

#[test]
fn the_doctor_finds_what_was_broken_by_hand() {
    crate::support::on_both_bare(|bare| async move {
        let db = &bare.db;
        fill(db).await;
        db.write(events::number).await.unwrap();
        assert_eq!(doctor::examine(db, |_| {}).await.unwrap(), []);
        let (order, summed) = (Id::<kontor::kernel::ids::Order>::new(), Id::<kontor::kernel::ids::Order>::new());
        let entry = Id::<kontor::kernel::ids::LedgerEntry>::new();
        db.write(move |tx| {
            sql("DELETE FROM events WHERE aggregate_version = 7").execute(tx)?;
            sql("INSERT INTO ledger_entries (id, order_id, posting, account, currency, amount, occurred_at, recorded_at) \
                 VALUES (?, ?, 'p', 'sales', 'EUR', 5, ?, ?)")
            .bind(entry)
            .bind(order)
            .bind(now())
            .bind(now())
            .execute(tx)?;
            // Two orders without lines: 4.90 of shipping is the total of the one and not of the other.
            let doc = json!({"totals": {"shipping_total": {"amount": "4.90", "currency": "EUR"}}});
            for (id, number, total) in [(Id::new(), "1", 490), (summed, "2", 500)] {
                let insert = "INSERT INTO orders (id, number, channel_id, state, payment_state, fulfilment_state, test, version, \
                    currency, total, name_folded, placed_at, recorded_at, updated_at, doc) \
                    SELECT ?, ?, id, 'placed', 'open', 'open', test, 1, 'EUR', ?, '', ?, ?, ?, ? FROM channels";
                sql(insert)
                    .bind(id)
                    .bind(number)
                    .bind(total)
                    .bind(now())
                    .bind(now())
                    .bind(now())
                    .bind(kontor::db::Doc(doc.clone()))
                    .execute(tx)?;
            }
            Ok(())
        })
        .await
        .unwrap();
        let found = doctor::examine(db, |_| {}).await.unwrap();
        let found: Vec<(u8, String)> = found.into_iter().map(|finding| (finding.promise, finding.subject)).collect();
        assert_eq!(found, [(4, order.to_string()), (4, summed.to_string()), (6, "order_1".to_owned())]);
    });
}

#[test]
fn the_doctor_knows_each_damage_by_its_name() {
    crate::support::on_both(|app| async move {
        let shop = crate::support::Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        shop.order(&[("TEE", 2)]).await;
        // What is broken, and how it is mended again.
        let damages = [
            (
                "no more is promised than there is, where backorders are denied",
                "UPDATE stock_levels SET reserved = reserved + 9",
                "UPDATE stock_levels SET reserved = reserved - 9",
            ),
            (
                "allocated is what open fulfilment orders wait for",
                "UPDATE stock_levels SET allocated = allocated + 1",
                "UPDATE stock_levels SET allocated = allocated - 1",
            ),
            (
                "an order line waits for what its fulfilment orders wait for",
                "UPDATE order_lines SET allocated = allocated - 1",
                "UPDATE order_lines SET allocated = allocated + 1",
            ),
            (
                "the pieces of an order line are those of its fulfilment orders",
                "UPDATE fulfilment_lines SET cancelled = cancelled + 1, moved = moved + 1",
                "UPDATE fulfilment_lines SET cancelled = cancelled - 1, moved = moved - 1",
            ),
            (
                "what a fulfilment order has shipped is not more than its parcels",
                "UPDATE fulfilment_lines SET picked = 1, packed = 1, shipped = 1",
                "UPDATE fulfilment_lines SET picked = 0, packed = 0, shipped = 0",
            ),
            (
                "the ledger books what payments captured and refunded",
                "UPDATE payments SET captured = captured + 1",
                "UPDATE payments SET captured = captured - 1",
            ),
            (
                "money without an order is in a work list",
                "UPDATE payments SET order_id = NULL, captured = 1, state = 'failed'",
                "UPDATE payments SET order_id = (SELECT id FROM orders), captured = 0, state = 'authorised'",
            ),
        ];
        let db = &app.state.db;
        eventually("the jobs are done", || async {
            app.read(|tx| sql("SELECT count(*) FROM jobs WHERE state = 'leased'").first::<BigInt, i64>(tx)).await
                == Some(0)
        })
        .await;
        for (rule, broken, mended) in damages {
            db.write(move |tx| sql(broken).execute(tx)).await.unwrap();
            let found = doctor::examine(db, |_| {}).await.unwrap();
            assert!(found.iter().any(|finding| finding.rule == rule), "{rule}: {found:#?}");
            let on_snapshot = db.read(doctor::examine_snapshot).await.unwrap();
            assert_eq!(found, on_snapshot);
            db.write(move |tx| sql(mended).execute(tx)).await.unwrap();
            assert_eq!(doctor::examine(db, |_| {}).await.unwrap(), [], "{rule}");
        }
        // What was promised while it was there, and is found broken on the shelf, was not oversold.
        shop.stock_up("TEE", -9).await;
        assert_eq!(doctor::examine(db, |_| {}).await.unwrap(), []);
    });
}

#[test]
fn what_was_allowed_or_lost_is_not_oversold_and_what_was_lost_before_hides_nothing() {
    crate::support::on_both(|app| async move {
        let rule = "no more is promised than there is, where backorders are denied";
        let shop = crate::support::Shop::open(&app, &[("TEE", "19.90", 10), ("SOON", "9.90", 1)]).await;
        let db = &app.state.db;
        let policy = async |sku: &str, policy: &str| {
            let found = app.ops("GET", &format!("/variants?sku={sku}"), None).await.expect(200);
            let path = format!("/variants/{}", found["items"][0]["id"].as_str().unwrap());
            app.ops("PATCH", &path, Some(&json!({"backorder_policy": policy}))).await.expect(200);
            app.clock.advance_seconds(1000);
        };
        let found = async || -> Vec<String> {
            let found = doctor::examine(db, |_| {}).await.unwrap();
            found.into_iter().filter(|finding| finding.rule == rule).map(|finding| finding.detail).collect()
        };
        // Promised while it was allowed, and what has come in since is promised by the rule.
        policy("SOON", "allow").await;
        shop.order(&[("SOON", 4)]).await;
        policy("SOON", "deny").await;
        assert_eq!(found().await, [""; 0]);
        shop.stock_up("SOON", 5).await;
        shop.order(&[("SOON", 2)]).await;
        assert_eq!(found().await, [""; 0]);
        // What was allowed counts once, and hides nothing that came after it.
        let gone = |sku: &'static str, pieces: i64| {
            db.write(move |tx| {
                let level = "UPDATE stock_levels SET on_hand = on_hand - ? WHERE variant_id IN (SELECT id FROM variants \
                             WHERE sku = ?)";
                sql(level).bind(pieces).bind(sku).execute(tx)
            })
        };
        gone("SOON", 1).await.unwrap();
        assert_eq!(found().await.len(), 1);
        gone("SOON", -1).await.unwrap();
        // Half of them are found broken; later all that is left is sold.
        shop.stock_up("TEE", -5).await;
        app.clock.advance_seconds(60);
        shop.order(&[("TEE", 5)]).await;
        assert_eq!(found().await, [""; 0]);
        // Goods that nobody had counted out are gone: two more are promised than there are.
        gone("TEE", 2).await.unwrap();
        let told = found().await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("on hand 3, allocated 5, reserved 0, corrected away since 0"), "{}", told[0]);
        gone("TEE", -2).await.unwrap();
        // The same as a correction is told by whoever corrects it.
        shop.stock_up("TEE", -2).await;
        assert_eq!(found().await, [""; 0]);
    });
}
