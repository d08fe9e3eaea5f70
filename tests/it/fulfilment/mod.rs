//! From the placed order to the customer's door: partial shipments, cancellations, whose parcels are whose.

mod money;

use futures::future::join_all;
use kontor::{
    db::sql,
    doctor,
    http::auth::Audience,
    jobs::{self, NewJob},
    kernel::{Scope, ids::OrderId},
    payments::{Account, ledger},
};
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, eventually, on_both, on_both_idle, on_both_set};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn minor(money: &Value) -> i64 {
    text(&money["amount"]).replace('.', "").parse().unwrap()
}

/// An order and its only fulfilment order.
struct Placed {
    app: App,
    id: String,
    fulfilment: String,
    total: i64,
}

impl Placed {
    async fn new(shop: &Shop, lines: &[(&str, i64)]) -> Self {
        Self::of(shop, &shop.order(lines).await).await
    }

    /// Paid by hand later.
    async fn by_invoice(shop: &Shop, lines: &[(&str, i64)]) -> Self {
        let cart = shop.cart(lines).await;
        let body = json!({"payment": {"method": "manual"}});
        let path = format!("/carts/{}/complete", cart.id);
        let done = shop.store("POST", &path, Some(&cart.token), Some(&body)).await.expect(201);
        Self::of(shop, &done["order"]).await
    }

    async fn of(shop: &Shop, order: &Value) -> Self {
        let (app, id) = (shop.app.clone(), text(&order["id"]).to_owned());
        let found = app.ops("GET", &format!("/orders/{id}/fulfilment"), None).await.expect(200);
        let fulfilment = text(&found["fulfilment_orders"][0]["id"]).to_owned();
        Self { app, id, fulfilment, total: minor(&order["total"]) }
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.app.ops("POST", &format!("/fulfilment-orders/{}/{path}", self.fulfilment), Some(&body)).await
    }

    async fn on_order(&self, path: &str, body: Value) -> Answer {
        self.app.ops("POST", &format!("/orders/{}/{path}", self.id), Some(&body)).await
    }

    async fn take_back(&self, mut body: Value) -> Answer {
        body["order"] = json!(self.id);
        self.app.ops("POST", "/returns", Some(&body)).await
    }

    async fn order(&self) -> Value {
        self.app.ops("GET", &format!("/orders/{}", self.id), None).await.expect(200)
    }

    /// The order when no job has anything left to do; the ledger and everything else is sound then.
    async fn settled(&self) -> Value {
        settled(&self.app).await;
        let order = self.order().await;
        let balance = self.balance().await;
        assert_eq!(balance.iter().map(|(_, sum)| sum).sum::<i64>(), 0, "{balance:?}");
        order
    }

    async fn balance(&self) -> Vec<(Account, i64)> {
        let id: OrderId = self.id.parse().unwrap();
        self.app.read(move |tx| ledger::balance(tx, id)).await
    }

    /// Its captures, voids and refunds.
    async fn operations(&self) -> Vec<Value> {
        let found = self.app.ops("GET", &format!("/orders/{}/payments", self.id), None).await.expect(200);
        let payments = found["payments"].as_array().unwrap().iter();
        payments.flat_map(|payment| payment["operations"].as_array().unwrap().clone()).collect()
    }

    async fn confirm(&self, operation: &Value) -> Answer {
        let path = format!("/payment-operations/{}/confirm", text(&operation["id"]));
        self.app.ops("POST", &path, Some(&json!({"reference": "BANK-9"}))).await
    }

    /// Pays out by hand what waits for it; how much that was.
    async fn pay_out(&self) -> i64 {
        let mut paid = 0;
        for waiting in self.operations().await.iter().filter(|one| one["state"] == "pending") {
            self.confirm(waiting).await.expect(200);
            paid += minor(&waiting["amount"]);
        }
        paid
    }

    /// All that was captured of its payments, and all that was given back.
    async fn money(&self) -> (i64, i64) {
        let order = self.settled().await;
        let sum = |field: &str| order["payments"].as_array().unwrap().iter().map(|one| minor(&one[field])).sum();
        (sum("captured"), sum("refunded"))
    }

    async fn owed(&self) -> i64 {
        let balance = self.balance().await;
        balance.iter().find(|(account, _)| *account == Account::Receivable).map_or(0, |(_, sum)| *sum)
    }

    /// The types of its events, and the amounts of those that have one.
    async fn events(&self) -> Vec<(String, i64)> {
        let path = format!("/orders/{}/timeline?limit=200", self.id);
        let found = self.app.ops("GET", &path, None).await.expect(200);
        let events = found["items"].as_array().unwrap().iter();
        let amount =
            |event: &Value| if event["data"]["amount"].is_null() { 0 } else { minor(&event["data"]["amount"]) };
        events.map(|event| (text(&event["type"]).to_owned(), amount(event))).collect()
    }

    async fn amounts(&self, kind: &str) -> Vec<i64> {
        self.events().await.into_iter().filter(|(of, _)| of == kind).map(|(_, amount)| amount).collect()
    }
}

async fn settled(app: &App) {
    let left = || async {
        let query = "SELECT count(*) FROM jobs";
        app.read(move |tx| sql(query).first::<diesel::sql_types::BigInt, i64>(tx)).await == Some(0)
    };
    eventually("no job is left", left).await;
    eventually("all events have their positions", || async {
        let column = if app.is_postgres() { "position" } else { "seq" };
        let query = format!("SELECT count(*) FROM events WHERE {column} IS NULL");
        app.read(move |tx| sql(query).first::<diesel::sql_types::BigInt, i64>(tx)).await == Some(0)
    })
    .await;
    let findings = doctor::examine(&app.state.db, |_| {}).await.unwrap();
    assert!(findings.is_empty(), "{findings:?}");
}

fn captured(order: &Value) -> (i64, i64) {
    let payment = &order["payments"][0];
    (minor(&payment["captured"]), minor(&payment["refunded"]))
}

fn states(order: &Value) -> (&str, &str, &str) {
    (text(&order["state"]), text(&order["payment_state"]), text(&order["fulfilment_state"]))
}

#[test]
fn an_order_leaves_in_parts_and_its_captures_sum_to_the_total() {
    on_both(|app| async move {
        // Prices whose thirds do not come out even.
        let shop = Shop::open(&app, &[("TEE", "3.3333", 10), ("MUG", "9.99", 10)]).await;
        let placed = Placed::new(&shop, &[("TEE", 3), ("MUG", 2)]).await;
        let picked = placed.post("pick", json!({"lines": [{"line_no": 1, "quantity": 2}]})).await.expect(200);
        assert_eq!((text(&picked["state"]), &picked["lines"][0]["picked"]), ("picking", &json!(2)));
        assert_eq!(text(&placed.post("pick", json!({})).await.expect(200)["state"]), "picked");
        placed.post("pick", json!({})).await.problem(409, "state_conflict");
        let packed = placed.post("pack", json!({"lines": [{"line_no": 1, "quantity": 1}]})).await.expect(200);
        assert_eq!(text(&packed["state"]), "picked");
        let parts = [
            json!({"lines": [{"line_no": 1, "quantity": 1}], "carrier": "DHL", "tracking_number": "0034 0434"}),
            json!({"lines": [{"line_no": 1, "quantity": 1}, {"line_no": 2, "quantity": 1}]}),
            json!({"carrier": "Pigeon"}),
        ];
        let mut parcels = Vec::new();
        for part in parts {
            parcels.push(placed.post("ship", part).await.expect(201));
            placed.settled().await;
        }
        assert!(text(&parcels[0]["tracking_url"]).contains("tracking-id=00340434"));
        assert_eq!(parcels[2]["lines"].as_array().unwrap().len(), 2);
        placed.post("ship", json!({})).await.problem(409, "state_conflict");
        let order = placed.settled().await;
        assert_eq!(states(&order), ("placed", "captured", "shipped"));
        let captures = placed.amounts("payment.captured.v1").await;
        assert_eq!((captures.len(), captures.iter().sum::<i64>()), (3, placed.total), "{captures:?}");
        assert_eq!((captured(&order), placed.owed().await), ((placed.total, 0), 0));
        assert_eq!((shop.available("TEE").await, shop.available("MUG").await), (7, 8));
        for parcel in &parcels {
            let path = format!("/shipments/{}/deliver", text(&parcel["id"]));
            app.ops("POST", &path, Some(&json!({}))).await.expect(200);
            app.ops("POST", &path, Some(&json!({}))).await.problem(409, "state_conflict");
        }
        assert_eq!(states(&placed.settled().await), ("completed", "captured", "delivered"));
        let kinds: Vec<String> = placed.events().await.into_iter().map(|(kind, _)| kind).collect();
        let shipped = kinds.iter().filter(|kind| *kind == "shipment.shipped.v1").count();
        let packed = kinds.iter().filter(|kind| *kind == "fulfilment_order.packed.v1").count();
        assert_eq!((shipped, packed), (3, 3), "{kinds:?}");
        let found = app.ops("GET", "/fulfilment-orders?state=delivered", None).await.expect(200);
        assert_eq!(found["items"][0]["id"], placed.fulfilment);
        assert_eq!(app.ops("GET", "/orders/00340434/fulfilment", None).await.status, 404);
        assert_eq!(app.ops("GET", "/orders/0034%200434", None).await.expect(200)["id"], placed.id);
    });
}

#[test]
fn of_cancelling_and_shipping_exactly_one_wins_each_piece() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 12)]).await;
        let placed = Placed::new(&shop, &[("TEE", 6)]).await;
        let piece = || json!([{"line_no": 1, "quantity": 1}]);
        let all = (0..16).map(|n| {
            let (placed, lines) = (&placed, piece());
            async move {
                match n % 2 {
                    0 => placed.post("ship", json!({"lines": lines})).await,
                    _ => placed.on_order("cancel", json!({"lines": lines, "reason": "race"})).await,
                }
            }
        });
        let answers = join_all(all).await;
        let won =
            |place: usize| answers.iter().skip(place).step_by(2).filter(|answer| answer.status < 300).count() as i64;
        let (shipped, cancelled) = (won(0), won(1));
        assert_eq!(shipped + cancelled, 6, "{answers:?}");
        for refused in answers.iter().filter(|answer| answer.status >= 300) {
            assert_eq!(refused.status, 409, "{}", refused.text);
        }
        let order = placed.settled().await;
        let line = &order["lines"][0];
        assert_eq!((line["shipped"].as_i64(), line["cancelled"].as_i64()), (Some(shipped), Some(cancelled)));
        assert_eq!(line["allocated"], 0);
        // What left is paid for and nothing else; the rest of the promise is let go.
        let due = placed.total - if shipped == 0 { placed.total } else { 333 * cancelled };
        assert_eq!((captured(&order), placed.owed().await), ((due, 0), 0));
        assert_eq!(shop.available("TEE").await, 12 - shipped);
        assert_eq!(minor(&order["payments"][0]["capturable"]), 0);
    });
}

#[test]
fn cancelling_an_order_gives_stock_and_promise_back() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let placed = Placed::new(&shop, &[("TEE", 2)]).await;
        placed.post("pick", json!({"lines": [{"line_no": 1, "quantity": 1}]})).await.expect(200);
        // The piece that is one too many is pointed at, the line that is not there too; on the order as in the warehouse.
        let piece = |line_no: i32, quantity: i64| json!({"line_no": line_no, "quantity": quantity});
        for (lines, code, pointer) in [
            (json!([piece(1, 3)]), "quantity_exceeded", "/lines/0/quantity"),
            (json!([piece(1, 1), piece(1, 2)]), "quantity_exceeded", "/lines/1/quantity"),
            (json!([piece(1, 1), piece(9, 1)]), "line_unknown", "/lines/1/line_no"),
        ] {
            let status = if code == "line_unknown" { 422 } else { 409 };
            let cancel = placed.on_order("cancel", json!({"lines": lines, "reason": "x"})).await;
            assert_eq!(cancel.problem(status, code)["pointer"], pointer, "{lines}");
            for step in ["pack", "ship"] {
                let told = placed.post(step, json!({ "lines": lines })).await.problem(status, code);
                assert_eq!(told["pointer"], pointer, "{step} {lines}");
            }
        }
        let nothing = json!({"lines": [{"line_no": 1, "quantity": 0}], "reason": "x"});
        placed.on_order("cancel", nothing).await.problem(422, "quantity_invalid");
        let one = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "one too many"});
        assert_eq!(text(&placed.on_order("cancel", one).await.expect(200)["state"]), "placed");
        let order = placed.on_order("cancel", json!({"reason": "changed their mind"})).await.expect(200);
        assert_eq!(states(&order).0, "cancelled");
        let order = placed.settled().await;
        assert_eq!(states(&order), ("cancelled", "voided", "cancelled"));
        assert_eq!((captured(&order), placed.owed().await), ((0, 0), 0));
        assert_eq!(shop.available("TEE").await, 5);
        placed.on_order("cancel", json!({"reason": "again"})).await.problem(409, "state_conflict");
        placed.post("ship", json!({})).await.problem(409, "state_conflict");
        let kinds: Vec<String> = placed.events().await.into_iter().map(|(kind, _)| kind).collect();
        for kind in ["order.line_cancelled.v1", "order.cancelled.v1", "payment.voided.v1"] {
            assert!(kinds.iter().any(|known| known == kind), "{kind} in {kinds:?}");
        }
    });
}

#[test]
fn everybody_sees_their_own_location_and_moves_their_own_amounts() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 2)]).await;
        let place = json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin"});
        let bremen = app.ops("POST", "/locations", Some(&place)).await.expect(201);
        let line = json!({"sku": "TEE", "location": "bremen", "change": 3, "reason": "test"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await;
        // Five pieces lie at neither place alone.
        let placed = Placed::new(&shop, &[("TEE", 5)]).await;
        let path = format!("/orders/{}/fulfilment", placed.id);
        let both = app.ops("GET", &path, None).await.expect(200);
        let both = both["fulfilment_orders"].as_array().unwrap();
        assert_eq!(both.len(), 2);
        let of = |id: &Value| both.iter().find(|one| &one["location_id"] == id).unwrap();
        let own = text(&of(&bremen["id"])["id"]).to_owned();
        let foreign = both.iter().find(|one| one["location_id"] != bremen["id"]).unwrap();
        let foreign = text(&foreign["id"]).to_owned();

        let mut claims = app.claims(Audience::Staff, "picker", "fulfilment:read fulfilment:write orders:write");
        claims.locations = Some(vec![text(&bremen["id"]).parse().unwrap()]);
        claims.money_ceiling = Some(1000);
        let picker = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let headers = [("Authorization", picker.as_str())];
        let send = async |method: &str, path: &str, body: Option<Value>| {
            app.send(method, &format!("/v1/ops{path}"), &headers, body.as_ref()).await
        };
        let list = send("GET", "/fulfilment-orders", None).await.expect(200);
        assert_eq!((list["items"].as_array().unwrap().len(), text(&list["items"][0]["id"])), (1, own.as_str()));
        assert_eq!(send("GET", &path, None).await.expect(200)["fulfilment_orders"].as_array().unwrap().len(), 1);
        send("GET", &format!("/fulfilment-orders/{foreign}"), None).await.problem(404, "not_found");
        send("POST", &format!("/fulfilment-orders/{foreign}/ship"), Some(json!({}))).await.problem(404, "not_found");
        send("POST", &format!("/fulfilment-orders/{foreign}/pick"), Some(json!({}))).await.problem(404, "not_found");
        send("GET", "/fulfilment-orders?location=berlin", None).await.problem(404, "not_found");
        let past = json!({"occurred_at": "2026-03-01T00:00:00Z"});
        send("POST", &format!("/fulfilment-orders/{own}/ship"), Some(past)).await.problem(403, "scope_missing");
        let cancel = format!("/orders/{}/cancel", placed.id);
        let own_pieces = json!({"reason": "x", "lines": [{"line_no": 1, "quantity": 3}]});
        let dear = send("POST", &cancel, Some(own_pieces)).await.problem(403, "ceiling_exceeded");
        assert_eq!(dear["pointer"], "/lines");
        let most = json!({"reason": "x", "lines": [{"line_no": 1, "quantity": 3}, {"line_no": 1, "quantity": 1}]});
        let elsewhere = send("POST", &cancel, Some(most)).await.problem(409, "quantity_exceeded");
        assert_eq!(elsewhere["pointer"], "/lines/1/quantity");
        let all = send("POST", &cancel, Some(json!({"reason": "x"}))).await.problem(409, "quantity_exceeded");
        assert_eq!(all["pointer"], Value::Null);
        let money = json!({"amount": {"amount": "1.00", "currency": "EUR"}, "reason": "x"});
        let refunds = format!("/orders/{}/refunds", placed.id);
        send("POST", &refunds, Some(money.clone())).await.problem(403, "scope_missing");
        let mut claims = app.claims(Audience::Staff, "till", "payments:write");
        claims.money_ceiling = Some(99);
        let till = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let headers = [("Authorization", till.as_str())];
        let dear = app.send("POST", &format!("/v1/ops{refunds}"), &headers, Some(&money)).await;
        assert_eq!(dear.problem(403, "ceiling_exceeded")["pointer"], "/amount");
        let shipped = send("POST", &format!("/fulfilment-orders/{own}/ship"), Some(json!({}))).await.expect(201);
        let future = json!({"occurred_at": "2030-01-01T00:00:00Z"});
        let deliver = format!("/shipments/{}/deliver", text(&shipped["id"]));
        app.ops("POST", &deliver, Some(&future)).await.problem(422, "history_in_future");
        // Both warehouses ship at once.
        app.ops("POST", &format!("/fulfilment-orders/{foreign}/ship"), Some(&json!({}))).await.expect(201);
        let order = placed.settled().await;
        assert_eq!((captured(&order), states(&order).2), ((placed.total, 0), "shipped"));
        assert_eq!(shop.available("TEE").await, 0);
        let limited = app.token(Audience::Staff, "eve", &[Scope::OrdersRead]);
        let headers = format!("Bearer {limited}");
        let refused = app.send("GET", "/v1/ops/fulfilment-orders", &[("Authorization", &headers)], None).await;
        refused.problem(403, "scope_missing");
    });
}

#[test]
fn who_is_limited_to_a_location_cancels_and_is_told_what_leaves_from_there() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 2), ("MUG", "5.00", 9)]).await;
        let place = json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin"});
        let bremen = app.ops("POST", "/locations", Some(&place)).await.expect(201);
        let line = json!({"sku": "TEE", "location": "bremen", "change": 3, "reason": "test"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
        // Two tees and the mug leave from Berlin, three tees from Bremen.
        let order = shop.order(&[("TEE", 5), ("MUG", 1)]).await;
        let id = text(&order["id"]);
        let token = |usage, scopes| {
            let mut claims = app.claims(usage, "bremen", scopes);
            claims.locations = Some(vec![text(&bremen["id"]).parse().unwrap()]);
            format!("Bearer {}", app.state.verifier.issue(claims).unwrap())
        };
        let staff = token(Audience::Staff, "orders:read orders:write fulfilment:read fulfilment:write");
        let client = token(Audience::Client, "writeback:write");
        let cancel = async |line_no: i64, quantity: i64, of_staff: bool| {
            let lines = json!([{"line_no": line_no, "quantity": quantity}]);
            let (path, token, body) = match of_staff {
                true => (format!("/v1/ops/orders/{id}/cancel"), &staff, json!({"reason": "x", "lines": lines})),
                false => {
                    let body = json!({"system": "wms", "document": format!("ST-{line_no}-{quantity}"), "lines": lines});
                    (format!("/v1/integration/orders/{id}/cancellations"), &client, body)
                }
            };
            app.send("POST", &path, &[("Authorization", token)], Some(&body)).await
        };
        for of_staff in [true, false] {
            for (line_no, quantity, left) in [(2, 1, 0), (1, 4, 3)] {
                let told = cancel(line_no, quantity, of_staff).await.problem(409, "quantity_exceeded");
                assert_eq!((&told["line_no"], &told["left"]), (&json!(line_no), &json!(left)));
            }
        }
        cancel(1, 1, true).await.expect(200);
        let now = cancel(1, 1, false).await.expect(201);
        assert_eq!((&now["lines"][0]["cancelled"], &now["lines"][1]["cancelled"]), (&json!(2), &json!(0)));
        let whole = app.ops("GET", &format!("/orders/{id}/fulfilment"), None).await.expect(200);
        let whole = whole["fulfilment_orders"].as_array().unwrap();
        let open =
            |one: &Value| one["lines"].as_array().unwrap().iter().map(|l| l["cancelled"].as_i64().unwrap()).sum();
        for one in whole {
            let cancelled: i64 = open(one);
            assert_eq!(cancelled, if one["location_id"] == bremen["id"] { 2 } else { 0 }, "{one}");
        }
        // The status tells of what is theirs, before it has left and afterwards.
        let status = async |staff: &str| {
            let path = format!("/v1/ops/orders/{id}/status");
            app.send("GET", &path, &[("Authorization", staff)], None).await.expect(200)
        };
        let waits = |status: &Value| status["waiting"].as_array().unwrap().len();
        let everybody = format!("Bearer {}", app.staff());
        assert_eq!((waits(&status(&staff).await), waits(&status(&everybody).await)), (1, 2));
        for one in whole {
            app.ops("POST", &format!("/fulfilment-orders/{}/ship", text(&one["id"])), Some(&json!({})))
                .await
                .expect(201);
        }
        let parcels = |status: &Value| status["parcels"].as_array().unwrap().len();
        let theirs = status(&staff).await;
        assert_eq!((parcels(&theirs), parcels(&status(&everybody).await)), (1, 2));
        let own = text(&theirs["parcels"][0]["id"]);
        app.send("GET", &format!("/v1/ops/shipments/{own}"), &[("Authorization", &staff)], None).await.expect(200);
    });
}

#[test]
fn the_status_says_what_an_order_waits_for() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let placed = Placed::new(&shop, &[("TEE", 3)]).await;
        let status = async || app.ops("GET", &format!("/orders/{}/status", placed.id), None).await.expect(200);
        let waits = |status: &Value| -> Vec<String> {
            status["waiting"].as_array().unwrap().iter().map(|one| text(&one["for"]).to_owned()).collect()
        };
        let first = status().await;
        assert_eq!((waits(&first), first["blockers"].as_array().unwrap().len()), (vec!["picking".to_owned()], 0));
        assert!(text(&first["sentence"]).contains("3 wait to be picked at Berlin"), "{}", first["sentence"]);
        let first_parcel =
            json!({"lines": [{"line_no": 1, "quantity": 1}], "carrier": "UPS", "tracking_number": "1Z9"});
        let parcel = placed.post("ship", first_parcel).await.expect(201);
        let path = format!("/shipments/{}/scans", text(&parcel["id"]));
        for text in ["Collected", "Arrived in Berlin", "Arrived in Berlin"] {
            app.ops("POST", &path, Some(&json!({"text": text, "at": "2026-03-02T09:00:00Z"}))).await.expect(200);
        }
        placed.post("pick", json!({"lines": [{"line_no": 1, "quantity": 1}]})).await.expect(200);
        app.clock.advance_seconds(86_400 * 30);
        let later = status().await;
        let line = &later["lines"][0];
        assert_eq!((&line["quantity"], &line["allocated"], &line["shipped"]), (&json!(3), &json!(2), &json!(1)));
        assert_eq!((&line["picked"], &line["packed"], &line["line_no"]), (&json!(2), &json!(1), &json!(1)));
        assert_eq!(waits(&later), ["picking", "delivery"]);
        assert_eq!(later["parcels"][0]["last_scan"]["text"], "Arrived in Berlin");
        assert!(text(&later["parcels"][0]["tracking_url"]).starts_with("https://www.ups.com/"));
        assert_eq!(later["blockers"][0]["code"], "overdue");
        assert_eq!(
            app.ops("GET", "/fulfilment-orders?overdue=true", None).await.expect(200)["items"][0]["id"],
            placed.fulfilment
        );
        placed.post("ship", json!({})).await.expect(201);
        let order = placed.settled().await;
        assert_eq!(captured(&order).0, placed.total);
        for parcel in status().await["parcels"].as_array().unwrap() {
            let path = format!("/shipments/{}/deliver", text(&parcel["id"]));
            app.ops("POST", &path, Some(&json!({}))).await.expect(200);
        }
        let done = status().await;
        assert!(waits(&done).is_empty());
        assert!(text(&done["sentence"]).ends_with("all 3 pieces have arrived; it is paid."), "{}", done["sentence"]);
        settled(&app).await;
        app.ops("GET", "/orders/none/status", None).await.problem(404, "not_found");
        // Cancelled, and the money waits to be paid out by hand.
        let cancelled = Placed::by_invoice(&shop, &[("TEE", 1)]).await;
        cancelled.on_order("payments", json!({"reference": "BANK-1"})).await.expect(200);
        cancelled.on_order("cancel", json!({"reason": "x"})).await.expect(200);
        let status = app.ops("GET", &format!("/orders/{}/status", cancelled.id), None).await.expect(200);
        let sentence = text(&status["sentence"]);
        assert!(sentence.contains("24.80 EUR are being given back"), "{sentence}");
        assert!(sentence.ends_with("; it had been paid."), "{sentence}");
    });
}

#[test]
fn the_status_tells_of_goods_that_are_not_there() {
    // Where jobs are worked on, what is broken is planned anew a moment later.
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 5), ("SOON", "9.90", 0)]).await;
        let soon = app.ops("GET", "/variants?sku=SOON", None).await.expect(200)["items"][0].clone();
        let path = format!("/variants/{}", text(&soon["id"]));
        app.ops("PATCH", &path, Some(&json!({"backorder_policy": "allow"}))).await.expect(200);
        // What is there is not told to be missing, and what others have sold of it elsewhere is not either.
        let there = Placed::new(&shop, &[("TEE", 5)]).await;
        let placed = Placed::new(&shop, &[("SOON", 3)]).await;
        let status = async |of: &Placed| app.ops("GET", &format!("/orders/{}/status", of.id), None).await.expect(200);
        let waits = |status: &Value| -> Vec<(String, Value)> {
            let all = status["waiting"].as_array().unwrap().iter();
            all.map(|one| (text(&one["for"]).to_owned(), one["pieces"].clone())).collect()
        };
        let blocked = |status: &Value| -> Vec<(String, Value)> {
            let all = status["blockers"].as_array().unwrap().iter();
            all.map(|one| (text(&one["code"]).to_owned(), one["line_no"].clone())).collect()
        };
        let first = status(&placed).await;
        assert_eq!(waits(&first), [("goods".to_owned(), json!(3))]);
        assert_eq!(blocked(&first), [("out_of_stock".to_owned(), json!(1))]);
        let sentence = text(&first["sentence"]);
        assert!(sentence.contains("; 3 wait for goods at Berlin since 2026-03-02; "), "{sentence}");
        let other = status(&there).await;
        assert_eq!((waits(&other), blocked(&other)), (vec![("picking".to_owned(), json!(5))], vec![]));
        // Nor is what lies there for an earlier order, when more of it is sold than lies there.
        let tee = app.ops("GET", "/variants?sku=TEE", None).await.expect(200)["items"][0].clone();
        let allow = json!({"backorder_policy": "allow"});
        app.ops("PATCH", &format!("/variants/{}", text(&tee["id"])), Some(&allow)).await.expect(200);
        app.clock.advance_seconds(1);
        let later = Placed::new(&shop, &[("TEE", 2)]).await;
        assert_eq!(waits(&status(&there).await), [("picking".to_owned(), json!(5))]);
        assert_eq!(waits(&status(&later).await), [("goods".to_owned(), json!(2))]);
        // Once the later one has its pieces in hand, it is the earlier one that lacks them.
        later.post("pick", json!({})).await.expect(200);
        assert_eq!(waits(&status(&there).await), [("goods".to_owned(), json!(5))]);
        assert_eq!(waits(&status(&later).await), [("packing".to_owned(), json!(2))]);
        // They come in and one leaves; then one of the others turns out to be broken.
        shop.stock_up("SOON", 3).await;
        let come = status(&placed).await;
        assert_eq!((waits(&come), blocked(&come)), (vec![("picking".to_owned(), json!(3))], vec![]));
        placed.post("ship", json!({"lines": [{"line_no": 1, "quantity": 1}]})).await.expect(201);
        shop.stock_up("SOON", -1).await;
        let rest = status(&placed).await;
        assert!(waits(&rest).contains(&("goods".to_owned(), json!(2))), "{rest}");
        assert_eq!(blocked(&rest), [("out_of_stock".to_owned(), json!(1))]);
    });
}

#[test]
fn a_service_is_paid_with_the_last_parcel() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let gift = json!({"sku": "WRAP", "name": "Gift wrap", "tax_class": "standard", "requires_shipping": false,
            "stock_policy": "untracked"});
        app.ops("POST", "/variants", Some(&gift)).await.expect(201);
        shop.set_price("WRAP", "2.50").await;
        let placed = Placed::new(&shop, &[("TEE", 2), ("WRAP", 2)]).await;
        placed.post("ship", json!({"lines": [{"line_no": 1, "quantity": 1}]})).await.expect(201);
        assert_eq!(captured(&placed.settled().await), (1990 + 490, 0));
        let one = json!({"lines": [{"line_no": 2, "quantity": 1}], "reason": "one is enough"});
        placed.on_order("cancel", one).await.expect(200);
        placed.post("ship", json!({})).await.expect(201);
        let order = placed.settled().await;
        assert_eq!((captured(&order), placed.owed().await), ((placed.total - 250, 0), 0));
        assert_eq!(states(&order), ("placed", "captured", "shipped"));
        // What arrives completes the order; a service is nothing to wait for.
        let all = app.ops("GET", &format!("/orders/{}/fulfilment", placed.id), None).await.expect(200);
        for parcel in all["shipments"].as_array().unwrap() {
            let path = format!("/shipments/{}/deliver", text(&parcel["id"]));
            app.ops("POST", &path, Some(&json!({}))).await.expect(200);
        }
        assert_eq!(states(&placed.settled().await).0, "completed");
    });
}

#[test]
fn a_system_that_knows_only_the_order_ships_from_everywhere_at_its_own_date() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 2)]).await;
        let place = json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin"});
        app.ops("POST", "/locations", Some(&place)).await.expect(201);
        let line = json!({"sku": "TEE", "location": "bremen", "change": 3, "reason": "test"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await;
        let placed = Placed::new(&shop, &[("TEE", 5)]).await;
        let token = format!("Bearer {}", app.token(Audience::Client, "wms", Scope::ALL));
        let path = format!("/v1/integration/orders/{}/shipments", placed.id);
        let ship = async |document: &str, lines: Value| {
            let report = json!({"system": "wms", "document": document, "lines": lines, "tracking_number": "T1",
                "occurred_at": app.now().plus_seconds(-3600)});
            app.send("POST", &path, &[("Authorization", &token)], Some(&report)).await
        };
        let pieces = |quantity: i64| json!([{"line_no": 1, "quantity": quantity}]);
        app.clock.advance_seconds(2 * 3600);
        ship("LS-1", pieces(6)).await.problem(409, "quantity_exceeded");
        let left = ship("LS-1", pieces(4)).await.expect(201);
        assert_eq!(left["shipments"].as_array().unwrap().len(), 2);
        // Eight systems report the last piece at once: it leaves once.
        let documents: Vec<String> = (2..10).map(|document| format!("LS-{document}")).collect();
        let answers = join_all(documents.iter().map(|document| ship(document, Value::Null))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "{answers:?}");
        let order = placed.settled().await;
        assert_eq!((captured(&order), states(&order).2), ((placed.total, 0), "shipped"));
        let path = format!("/orders/{}/timeline?limit=200", placed.id);
        let found = app.ops("GET", &path, None).await.expect(200);
        let captures = found["items"].as_array().unwrap().iter().filter(|event| event["type"] == "payment.captured.v1");
        for capture in captures {
            assert_eq!(capture["occurred_at"], "2026-03-02T10:00:00Z");
        }
    });
}
