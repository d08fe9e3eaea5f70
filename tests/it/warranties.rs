//! Products that are registered after delivery, until when their warranty lasts, and claims that find the order by what stands on the thing.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, eventually, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// An order of a guest with the token that opens it.
struct Sold {
    shop: Shop,
    order: String,
    token: String,
}

impl Sold {
    /// Two drills and a mug, delivered.
    async fn open(app: &App) -> Self {
        let shop = Shop::open(app, &[("DRILL", "120.00", 50), ("MUG", "25.00", 50)]).await;
        let found = app.ops("GET", "/variants?sku=DRILL", None).await.expect(200);
        let id = text(&found["items"][0]["id"]);
        let months = json!({"attributes": {"warranty_months": 36}});
        for wrong in [json!(-1), json!(1_201), json!("two years"), json!(1.5), json!(null)] {
            let wrong = json!({"attributes": {"warranty_months": wrong}});
            let refused = app.ops("PATCH", &format!("/variants/{id}"), Some(&wrong)).await;
            assert_eq!(refused.problem(422, "invalid_value")["pointer"], "/attributes/warranty_months");
        }
        app.ops("PATCH", &format!("/variants/{id}"), Some(&months)).await.expect(200);
        let sold = Self::of(&shop).await;
        sold.leave().await;
        sold
    }

    async fn of(shop: &Shop) -> Self {
        let cart = shop.cart(&[("DRILL", 2), ("MUG", 1)]).await;
        let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
        Self { shop: shop.clone(), order: text(&order["id"]), token: cart.token }
    }

    async fn leave(&self) {
        let app = &self.shop.app;
        let work = app.ops("GET", &format!("/orders/{}/fulfilment", self.order), None).await.expect(200);
        let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
        let parcel = text(&app.ops("POST", &ship, Some(&json!({}))).await.expect(201)["id"]);
        app.ops("POST", &format!("/shipments/{parcel}/deliver"), Some(&json!({}))).await.expect(200);
    }

    async fn register(&self, line_no: i64, serial: Option<&str>) -> Answer {
        let mut body = json!({ "line_no": line_no });
        if let Some(serial) = serial {
            body["serial"] = json!(serial);
        }
        let path = format!("/orders/{}/registrations", self.order);
        self.shop.store("POST", &path, Some(&self.token), Some(&body)).await
    }

    async fn claim(&self, body: &Value) -> Answer {
        self.shop.store("POST", "/warranty-claims", Some(&self.token), Some(body)).await
    }

    async fn ops(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.shop.app.ops(method, path, body).await
    }

    async fn end(&self, id: &str) -> Answer {
        self.ops("POST", &format!("/registrations/{id}/end"), Some(&json!({"reason": "sold on"}))).await
    }

    /// Pieces of a line that a desk books as come back.
    async fn comes_back(&self, line_no: i64, quantity: i64) {
        let lines = json!([{"line_no": line_no, "quantity": quantity}]);
        self.ops("POST", "/returns", Some(&json!({"order": self.order, "lines": lines}))).await.expect(201);
    }

    async fn registration(&self, id: &str) -> Value {
        self.ops("GET", &format!("/registrations/{id}"), None).await.expect(200)
    }
}

#[test]
fn a_product_is_registered_once_and_tells_until_when_its_warranty_lasts() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let first = sold.register(1, Some("SN-47 11")).await.expect(201);
        assert_eq!((&first["months"], &first["unit_no"], &first["by"]), (&json!(36), &json!(1), &json!("customer")));
        let years = |value: &Value| text(value)[..4].parse::<i64>().unwrap();
        assert_eq!(years(&first["ends_at"]) - years(&first["arrived_at"]), 3);
        // However it is written, and whosever order it is, the number is registered.
        let refused = sold.register(1, Some("sn4711")).await.problem(409, "duplicate");
        assert_eq!(refused["pointer"], "/serial");
        let other = Sold::of(&sold.shop).await;
        other.register(1, Some("SN4711")).await.problem(409, "state_conflict");
        other.leave().await;
        other.register(1, Some("SN4711")).await.problem(409, "duplicate");
        // Another article may have the same.
        let mug = other.register(2, Some("SN4711")).await.expect(201);
        assert_eq!(mug["months"], 24);
        // Of a line as many as there are, with a number or without.
        sold.register(1, None).await.expect(201);
        sold.register(1, Some("SN-4712")).await.problem(409, "quantity_exceeded");
        sold.register(9, None).await.problem(422, "line_unknown");
        sold.register(2, Some("--")).await.problem(422, "invalid_value");
        let path = format!("/orders/{}/registrations", sold.order);
        let own = sold.shop.store("GET", &path, Some(&sold.token), None).await.expect(200);
        assert_eq!(own["registrations"].as_array().unwrap().len(), 2);
        sold.shop.store("GET", &path, None, None).await.problem(404, "not_found");
        // Staff find it by what stands on it.
        let found = sold.ops("GET", "/registrations?serial=SN%204711&sku=DRILL", None).await.expect(200);
        assert_eq!(found["items"][0]["order_id"], json!(sold.order));
        let id = text(&first["id"]);
        assert_eq!(sold.ops("GET", &format!("/registrations/{id}"), None).await.expect(200)["serial"], "SN-47 11");
    });
}

#[test]
fn a_number_that_several_register_at_once_is_registered_once() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let other = Sold::of(&sold.shop).await;
        other.leave().await;
        let register = async |place: usize| {
            let one = if place.is_multiple_of(2) { &sold } else { &other };
            one.register(1, Some("SN-1")).await
        };
        let answers = join_all((0..6).map(register)).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        assert_eq!(app.count("SELECT count(*) FROM product_registrations WHERE serial_key = 'SN1'").await, 1);
        // And of a line with one piece one.
        let answers = join_all((0..4).map(|_| sold.register(2, None))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    });
}

#[test]
fn a_claim_finds_its_order_and_is_made_once() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        sold.register(1, Some("SN-1")).await.expect(201);
        let by_serial = json!({"serial": "sn1", "comment": "it smokes"});
        // Whoever can not open the order learns nothing.
        sold.shop.store("POST", "/warranty-claims", None, Some(&by_serial)).await.problem(404, "not_found");
        sold.claim(&json!({"serial": "SN-2"})).await.problem(404, "not_found");
        let answers = join_all((0..4).map(|_| sold.claim(&by_serial))).await;
        let made: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 201).collect();
        assert_eq!(made.len(), 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        let request = &made[0].body["request"];
        assert_eq!((&request["origin"], &request["order_id"]), (&json!("warranty"), &json!(sold.order)));
        assert_eq!(request["registration_id"], made[0].body["registration"]["id"]);
        assert_eq!((&request["lines"][0]["kept"], &request["state"]), (&json!(1), &json!("approved")));
        sold.claim(&by_serial).await.problem(409, "state_conflict");
        // One that was taken back can be claimed again, by staff and by its line too.
        let cancel = format!("/return-requests/{}/cancel", text(&request["id"]));
        sold.ops("POST", &cancel, None).await.expect(200);
        let again = sold.ops("POST", "/warranty-claims", Some(&by_serial)).await.expect(201);
        let line = json!({"order": sold.order, "line_no": 1});
        let other = sold.ops("POST", "/warranty-claims", Some(&line)).await.expect(201);
        assert_ne!(again["registration"]["id"], other["registration"]["id"], "the other drill is registered by it");
        sold.ops("POST", "/warranty-claims", Some(&line)).await.problem(409, "quantity_exceeded");
        sold.ops("POST", "/warranty-claims", Some(&json!({"order": sold.order}))).await.problem(422, "missing_field");
        sold.ops("POST", "/warranty-claims", Some(&json!({}))).await.problem(422, "invalid_value");
    });
}

#[test]
fn a_warranty_that_has_ended_is_refused_with_its_end() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let mug = sold.register(2, Some("M-1")).await.expect(201);
        app.clock.advance_seconds(733 * 86_400);
        let refused = sold.ops("POST", "/warranty-claims", Some(&json!({"serial": "M-1"}))).await;
        let refused = refused.problem(409, "warranty_expired");
        assert_eq!(refused["ends_at"], mug["ends_at"]);
        // The drill's is longer.
        sold.ops("POST", "/warranty-claims", Some(&json!({"order": sold.order, "line_no": 1}))).await.expect(201);
        app.clock.advance_seconds(370 * 86_400);
        let late = json!({"order": sold.order, "line_no": 1});
        sold.ops("POST", "/warranty-claims", Some(&late)).await.problem(409, "warranty_expired");
    });
}

#[test]
fn what_is_registered_is_told_to_its_owner_and_forgotten_with_them() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        sold.register(1, Some("SN-SECRET-1")).await.expect(201);
        let ask = json!({"email": "ada@example.org", "limit": 200});
        let told = app.ops("POST", "/guests/export", Some(&ask)).await.expect(200);
        let kinds: Vec<String> = told["items"].as_array().unwrap().iter().map(|one| text(&one["kind"])).collect();
        assert!(kinds.contains(&"product_registration".to_owned()), "{kinds:?}");
        let settled = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
        eventually("the money has moved", async || app.count(settled).await == 0).await;
        app.ops("POST", "/guests/erase", Some(&json!({"email": "ada@example.org"}))).await.expect(200);
        let scan = json!({"words": ["SN-SECRET-1", "SNSECRET1"]});
        eventually("nothing is left", async || {
            let found = app.ops("POST", "/erasure/scan", Some(&scan)).await.expect(200);
            found["hits"].as_array().unwrap().is_empty()
        })
        .await;
        assert_eq!(app.count("SELECT count(*) FROM product_registrations WHERE serial IS NULL").await, 1);
    });
}

#[test]
fn a_registration_is_corrected_by_who_has_seen_it_and_ends() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let made = sold.register(1, Some("SN-1")).await.expect(201);
        sold.register(1, Some("SN-2")).await.expect(201);
        let id = text(&made["id"]);
        let path = format!("/v1/ops/registrations/{id}");
        let token = format!("Bearer {}", app.staff());
        let change = async |tag: &str, body: Value| {
            let headers = [("Authorization", token.as_str()), ("If-Match", tag)];
            app.send("PATCH", &path, &headers, Some(&body)).await
        };
        // A slip of the keys; however it is written, the other number is taken.
        change("\"v1\"", json!({"serial": "sn2"})).await.problem(409, "duplicate");
        let arrived = made["arrived_at"].clone();
        let other = change("\"v1\"", json!({"serial": "SN-3", "arrived_at": arrived})).await.expect(200);
        assert_eq!(
            (&other["serial"], &other["version"], &other["ends_at"]),
            (&json!("SN-3"), &json!(2), &made["ends_at"])
        );
        change("\"v1\"", json!({"serial": "SN-4"})).await.problem(412, "version_stale");
        // What is so already is no change.
        assert_eq!(change("\"v2\"", json!({"serial": "SN-3"})).await.expect(200)["version"], 2);
        let late = json!({"arrived_at": "2999-01-01T00:00:00Z"});
        change("\"v2\"", late).await.problem(422, "invalid_value");
        let early = json!({"arrived_at": "2001-01-01T00:00:00Z"});
        change("\"v2\"", early).await.problem(422, "history_before_order");
        let ada =
            app.ops("POST", "/customers", Some(&json!({"name": "Ada", "email": "a@example.org"}))).await.expect(201);
        let owner = change("\"v2\"", json!({"customer_id": ada["id"]})).await.expect(200);
        assert_eq!(owner["customer_id"], ada["id"]);
        // While something is claimed of it, it does not end.
        let claimed = sold.ops("POST", "/warranty-claims", Some(&json!({"serial": "SN-3"}))).await.expect(201);
        sold.end(&id).await.problem(409, "state_conflict");
        let cancel = format!("/return-requests/{}/cancel", text(&claimed["request"]["id"]));
        sold.ops("POST", &cancel, None).await.expect(200);
        let ended = sold.end(&id).await.expect(200);
        assert_eq!((&ended["end_reason"], ended["ended_at"].is_string()), (&json!("sold on"), true));
        sold.end(&id).await.problem(409, "state_conflict");
        change("*", json!({"serial": "SN-5"})).await.problem(409, "state_conflict");
        sold.claim(&json!({"registration_id": id})).await.problem(409, "state_conflict");
        sold.claim(&json!({"serial": "SN-3"})).await.problem(409, "state_conflict");
        // The piece is out still: it can be registered again, under the number that came free.
        let again = sold.register(1, Some("SN-3")).await.expect(201);
        let live = sold.ops("GET", "/registrations?serial=SN3&live=true", None).await.expect(200);
        assert_eq!((live["items"].as_array().unwrap().len(), &live["items"][0]["id"]), (1, &again["id"]));
        let all = sold.ops("GET", "/registrations?serial=SN3", None).await.expect(200);
        assert_eq!(all["items"].as_array().unwrap().len(), 2);
        // The shopper reads no words of the staff.
        let own =
            sold.shop.store("GET", &format!("/orders/{}/registrations", sold.order), Some(&sold.token), None).await;
        assert!(!own.expect(200).to_string().contains("sold on"));
    });
}

#[test]
fn what_comes_back_ends_its_registration_and_the_next_owner_registers_it() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        let (first, second) =
            (sold.register(1, Some("SN-1")).await.expect(201), sold.register(1, Some("SN-2")).await.expect(201));
        // The piece that was claimed comes back, though it was registered first.
        let claimed = sold.ops("POST", "/warranty-claims", Some(&json!({"serial": "SN-1"}))).await.expect(201);
        let request = format!("/return-requests/{}", text(&claimed["request"]["id"]));
        let came = json!({"lines": [{"line_no": 1, "quantity": 1}]});
        sold.ops("POST", &format!("{request}/receive"), Some(&came)).await.expect(200);
        let seen = json!({"lines": [{"line_no": 1, "quantity": 1, "grade": "a", "disposition": "restock"}]});
        sold.ops("POST", &format!("{request}/inspect"), Some(&seen)).await.expect(200);
        sold.ops("POST", &format!("{request}/settle"), Some(&json!({}))).await.expect(200);
        let (first, second) = (text(&first["id"]), text(&second["id"]));
        eventually("it has ended", async || sold.registration(&first).await["ended_at"].is_string()).await;
        assert!(sold.registration(&second).await["ended_at"].is_null());
        // Of what has come back nothing is registered or claimed any more.
        sold.register(1, Some("SN-9")).await.problem(409, "quantity_exceeded");
        sold.claim(&json!({"registration_id": first})).await.problem(409, "state_conflict");
        // A return that names no piece ends what is registered of more pieces than are out.
        sold.comes_back(1, 1).await;
        eventually("the other has too", async || sold.registration(&second).await["ended_at"].is_string()).await;
        sold.claim(&json!({"order": sold.order, "line_no": 1})).await.problem(409, "quantity_exceeded");
        // Whoever buys the things next: several at once register one of them once.
        let next = Sold::of(&sold.shop).await;
        next.leave().await;
        let other = Sold::of(&sold.shop).await;
        other.leave().await;
        let register = async |place: usize| {
            let one = if place.is_multiple_of(2) { &next } else { &other };
            one.register(1, Some("SN-1")).await
        };
        let answers = join_all((0..6).map(register)).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        let live = "SELECT count(*) FROM product_registrations WHERE serial_key = 'SN1' AND ended_at IS NULL";
        assert_eq!(app.count(live).await, 1);
        let told = sold.ops("GET", &format!("/orders/{}/timeline", sold.order), None).await.expect(200).to_string();
        assert!(told.contains("warranty.ended.v1"), "{told}");
    });
}

#[test]
fn a_number_that_is_freed_and_registered_at_once_is_of_one_live_registration() {
    on_both(|app| async move {
        let sold = Sold::open(&app).await;
        for round in 0..4 {
            let (before, next) = (Sold::of(&sold.shop).await, Sold::of(&sold.shop).await);
            before.leave().await;
            next.leave().await;
            let serial = format!("R-{round}");
            let id = text(&before.register(1, Some(&serial)).await.expect(201)["id"]);
            let ends = join_all((0..2).map(|_| before.end(&id)));
            let again = join_all((0..2).map(|_| next.register(1, Some(&serial))));
            let (ends, again) = futures::future::join(ends, again).await;
            assert_eq!(ends.iter().filter(|answer| answer.status == 200).count(), 1, "it ends once");
            let made = again.iter().filter(|answer| answer.status == 201).count();
            assert!(made <= 1, "round {round}");
            for answer in ends.iter().chain(&again) {
                assert!([200, 201, 409].contains(&answer.status), "{} {}", answer.status, answer.text);
            }
            // Who came too soon registers it now.
            if made == 0 {
                next.register(1, Some(&serial)).await.expect(201);
            }
            before.register(1, Some(&serial)).await.problem(409, "duplicate");
        }
    });
}
