//! Suppliers who ship to our customers: they see their own orders, say by when they ship, ship, and send their bill; or refuse.

use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, eventually, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

/// A supplier as a location, asked after the shop's own; what they said they have is their level.
async fn supplier(app: &App, code: &str, goods: &[(&str, i64)]) -> String {
    let place = json!({"code": code, "name": code, "country": "DE", "time_zone": "Europe/Berlin", "priority": 300,
        "kind": "supplier"});
    let place = app.ops("POST", "/locations", Some(&place)).await.expect(201);
    for (sku, change) in goods {
        let line = json!({"sku": sku, "location": code, "change": change, "reason": "their list"});
        app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
    }
    text(&place["id"])
}

/// The supplier's own system.
struct System {
    app: App,
    bearer: String,
}

impl System {
    async fn of(app: &App, location: &str) -> Self {
        let key =
            json!({"name": "supplier", "scopes": ["fulfilment:read", "fulfilment:write"], "locations": [location]});
        let key = app.ops("POST", "/api-keys", Some(&key)).await.expect(201);
        Self { app: app.clone(), bearer: format!("Bearer {}", text(&key["key"])) }
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let path = format!("/v1/integration/supplier-orders{path}");
        self.app.send(method, &path, &[("Authorization", &self.bearer)], body).await
    }
}

#[test]
fn a_supplier_acknowledges_ships_and_charges() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0), ("MUG", "9.90", 5)]).await;
        let acme = supplier(&app, "acme", &[("TEE", 10)]).await;
        let other = supplier(&app, "other", &[]).await;
        let (acme, other) = (System::of(&app, &acme).await, System::of(&app, &other).await);
        let order = shop.order(&[("TEE", 2), ("MUG", 1)]).await;
        // They see their part of the order and nothing else; the other supplier sees nothing at all.
        let page = acme.send("GET", "", None).await.expect(200);
        let [own] = page["items"].as_array().unwrap().as_slice() else { panic!("{page}") };
        assert_eq!((own["supplier_state"].as_str(), own["lines"].as_array().unwrap().len()), (Some("pending"), 1));
        assert_eq!(own["ship_to"], Value::Null);
        let id = text(&own["id"]);
        let read = acme.send("GET", &format!("/{id}"), None).await.expect(200);
        assert_eq!(
            (read["ship_to"]["country"].as_str(), read["shipping_method"].as_str()),
            (Some("DE"), Some("standard"))
        );
        assert_eq!(other.send("GET", "", None).await.expect(200)["items"], json!([]));
        other.send("GET", &format!("/{id}"), None).await.expect(404);
        other.send("POST", &format!("/{id}/acknowledge"), Some(&json!({}))).await.expect(404);
        // The shop's own part is no order to a supplier, whoever asks.
        let path = format!("/orders/{}/fulfilment", text(&order["id"]));
        let parts = app.ops("GET", &path, None).await.expect(200);
        let ours = parts["fulfilment_orders"].as_array().unwrap().iter().find(|one| one["id"] != id.as_str()).unwrap();
        app.ops("GET", &format!("/supplier-orders/{}", text(&ours["id"])), None).await.expect(404);

        let said = json!({"reference": "SO-7781", "ships_at": "2099-03-05T15:00:00Z"});
        for _ in 0..2 {
            let said = acme.send("POST", &format!("/{id}/acknowledge"), Some(&said)).await.expect(200);
            assert_eq!(
                (&said["supplier_state"], &said["answer"]["reference"]),
                (&json!("acknowledged"), &json!("SO-7781"))
            );
        }
        let parcel = json!({"carrier": "DHL", "tracking_number": "00340434161094042557"});
        acme.send("POST", &format!("/{id}/ship"), Some(&parcel)).await.expect(201);
        assert_eq!(
            acme.send("POST", &format!("/{id}/ship"), Some(&parcel)).await.expect(409)["code"],
            "state_conflict"
        );
        let again = acme.send("POST", &format!("/{id}/acknowledge"), Some(&json!({"reference": "SO-1"}))).await;
        assert_eq!(again.expect(409)["code"], "state_conflict");

        // The same bill twice is one; another under its number is refused and names the field.
        let money = |amount: &str| json!({"amount": amount, "currency": "EUR"});
        let bill = json!({"number": "2026-00417", "net": money("12.50"), "tax": money("2.38"), "issued_at": "2026-01-05T00:00:00Z"});
        acme.send("POST", &format!("/{id}/invoices"), Some(&bill)).await.expect(201);
        let known = acme.send("POST", &format!("/{id}/invoices"), Some(&bill)).await.expect(200);
        assert_eq!(known["invoices"].as_array().unwrap().len(), 1);
        let wrong = json!({"number": "2026-00417", "net": money("13.50"), "tax": money("2.38")});
        let refused = acme.send("POST", &format!("/{id}/invoices"), Some(&wrong)).await.expect(409);
        assert_eq!((&refused["code"], &refused["pointer"]), (&json!("duplicate"), &json!("/number")));
        let mixed = json!({"number": "2", "net": money("1.00"), "tax": {"amount": "1.00", "currency": "USD"}});
        let refused = acme.send("POST", &format!("/{id}/invoices"), Some(&mixed)).await.expect(422);
        assert_eq!(refused["pointer"], "/tax/currency");
        let below = json!({"number": "2", "net": money("-1.00"), "tax": money("0.00")});
        acme.send("POST", &format!("/{id}/invoices"), Some(&below)).await.expect(422);

        // Each is told once, in the order's own stream.
        let token = format!("Bearer {}", app.token(Audience::Client, "erp", Scope::ALL));
        let feed = async || {
            let path = "/v1/integration/feeds/fulfilments?types=supplier_order.";
            let feed = app.send("GET", path, &[("Authorization", &token)], None).await.expect(200);
            feed["items"].as_array().unwrap().iter().map(|one| text(&one["type"])).collect::<Vec<_>>()
        };
        eventually("they have their place in the log", async || feed().await.len() == 2).await;
        assert_eq!(feed().await, ["supplier_order.acknowledged.v1", "supplier_order.invoiced.v1"]);
    });
}

#[test]
fn what_a_supplier_refuses_comes_from_elsewhere_or_is_held() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        let acme = supplier(&app, "acme", &[("TEE", 4)]).await;
        let system = System::of(&app, &acme).await;
        let (first, second) = (shop.order(&[("TEE", 2)]).await, shop.order(&[("TEE", 1)]).await);
        let mut ids = Vec::new();
        for order in [&first, &second] {
            let parts = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
            ids.push(text(&parts["fulfilment_orders"][0]["id"]));
        }
        // There are two elsewhere meanwhile: enough for the first.
        shop.stock_up("TEE", 2).await;
        let why = json!({"reason": "discontinued"});
        for id in &ids {
            let said = system.send("POST", &format!("/{id}/refuse"), Some(&why)).await.expect(200);
            assert_eq!(said["supplier_state"], "refused");
            assert_eq!(
                system.send("POST", &format!("/{id}/refuse"), Some(&why)).await.expect(409)["code"],
                "state_conflict"
            );
        }
        let parts = app.ops("GET", &format!("/orders/{}/fulfilment", text(&first["id"])), None).await.expect(200);
        let open: Vec<_> =
            parts["fulfilment_orders"].as_array().unwrap().iter().filter(|one| one["state"] == "open").collect();
        assert_eq!(open.len(), 1, "{parts}");
        assert_ne!(open[0]["location_id"], acme.as_str());
        // Nobody has the second: it waits where it is, and says so.
        let parts = app.ops("GET", &format!("/orders/{}/fulfilment", text(&second["id"])), None).await.expect(200);
        let open: Vec<_> =
            parts["fulfilment_orders"].as_array().unwrap().iter().filter(|one| one["state"] == "open").collect();
        assert_eq!(open.len(), 1, "{parts}");
        assert_eq!((&open[0]["location_id"], &open[0]["holds"][0]["kind"]), (&json!(acme), &json!("stock")), "{parts}");
        // They have it by their own list, and have said that they do not ship it.
        let path = format!("/fulfilment-orders/{}/replan", text(&open[0]["id"]));
        let again = app.ops("POST", &path, Some(&json!({}))).await.expect(200);
        assert_eq!((&again["declined"], &again["holds"][0]["kind"]), (&json!(true), &json!("stock")), "{again}");
    });
}

#[test]
fn what_a_supplier_has_said_goes_along_with_its_parts() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        let acme = supplier(&app, "acme", &[("TEE", 4)]).await;
        let system = System::of(&app, &acme).await;
        let order = shop.order(&[("TEE", 3)]).await;
        let parts = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
        let id = text(&parts["fulfilment_orders"][0]["id"]);
        let path = |what: &str| format!("/fulfilment-orders/{id}/{what}");
        let one = json!({"lines": [{"line_no": 1, "quantity": 1}]});
        let silent = app.ops("POST", &path("split"), Some(&one)).await.expect(200);
        let with = json!({"with": [silent["moved_to"][0]["id"]]});
        let joint = text(&app.ops("POST", &path("merge"), Some(&with)).await.expect(201)["id"]);
        let path = |what: &str| format!("/fulfilment-orders/{joint}/{what}");
        let said = json!({"reference": "SO-7"});
        system.send("POST", &format!("/{joint}/acknowledge"), Some(&said)).await.expect(200);
        let part = app.ops("POST", &path("split"), Some(&one)).await.expect(200)["moved_to"][0].clone();
        let seen = system.send("GET", &format!("/{}", text(&part["id"])), None).await.expect(200);
        assert_eq!((&seen["supplier_state"], &seen["answer"]["reference"]), (&json!("acknowledged"), &json!("SO-7")));
        let with = json!({"with": [part["id"]]});
        app.ops("POST", &path("merge"), Some(&with)).await.problem(409, "state_conflict");
        system
            .send("POST", &format!("/{}/refuse", text(&part["id"])), Some(&json!({"reason": "gone"})))
            .await
            .expect(200);
        let seen = system.send("GET", &format!("/{joint}"), None).await.expect(200);
        assert_eq!(seen["supplier_state"], "acknowledged");
    });
}
