//! What happens is told as its schema says: the files in `openapi/events/` and the events of a shop's life.

use std::collections::{BTreeMap, BTreeSet};

use kontor::{abandonment, db::sql, events, http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{App, Business, Shop, eventually, json_schema, on_both, shop::address};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn schemas() -> BTreeMap<String, Value> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/events");
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let kind = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (kind, serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    };
    std::fs::read_dir(folder).unwrap().map(file).collect()
}

/// A shop's life: each of these makes events that none of the others makes.
struct Tour {
    app: App,
    shop: Shop,
}

impl Tour {
    async fn ops(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.app.ops(method, path, (!body.is_null()).then_some(&body)).await;
        assert!(answer.status < 300, "{method} {path}: {}", answer.text);
        answer.body
    }

    async fn told(&self, order: &str, what: &str, body: Value) {
        let bearer = format!("Bearer {}", self.app.token(Audience::Client, "erp", Scope::ALL));
        let path = format!("/v1/integration/orders/{order}/{what}");
        let answer = self.app.send("POST", &path, &[("Authorization", &bearer)], Some(&body)).await;
        assert!(answer.status < 300, "{path}: {}", answer.text);
    }

    async fn fulfilment(&self, order: &str) -> String {
        let found = self.ops("GET", &format!("/orders/{order}/fulfilment"), Value::Null).await;
        format!("/fulfilment-orders/{}", text(&found["fulfilment_orders"][0]["id"]))
    }

    async fn pays(&self, order: &str, state: &str) {
        let path = format!("/orders/{order}");
        eventually(&format!("the payment is {state}"), || async {
            self.app.ops("GET", &path, None).await.body["payment_state"] == state
        })
        .await;
    }

    /// A provider that has forgotten its promise, and remembers it.
    async fn refused_money(&self) {
        let cart = self.shop.cart(&[("TEE", 2)]).await;
        let order = self.shop.complete(&cart, "approve_recorded").await.expect(201)["order"]["id"].clone();
        let believe = async |change: &'static str| {
            let update = format!("UPDATE sandbox_payments SET {change}");
            self.app.state.db.write(move |tx| sql(update.clone()).execute(tx)).await.unwrap();
        };
        believe("state = 'voided', voided = amount").await;
        let (order, fulfilment) = (text(&order), self.fulfilment(text(&order)).await);
        self.ops("POST", &format!("{fulfilment}/ship"), json!({"lines": [{"line_no": 1, "quantity": 1}]})).await;
        eventually("the capture has failed", || async {
            self.seen().await.iter().any(|event| event["type"] == "payment.operation_failed.v1")
        })
        .await;
        believe("state = 'authorised', voided = 0").await;
        self.ops("POST", &format!("{fulfilment}/ship"), json!({})).await;
        self.pays(order, "captured").await;
    }

    /// Picked, packed, shipped, scanned, delivered; partly taken back; then the customer is forgotten.
    async fn customer(&self) {
        let mut claims = self.app.claims(Audience::Customer, "ada", "");
        (claims.email, claims.email_verified) = (Some("grace@example.org".to_owned()), Some(true));
        let token = format!("Bearer {}", self.app.state.verifier.issue(claims).unwrap());
        let new = json!({"name": "Grace", "email": "grace@example.org", "address": address(), "marketing_email": true});
        let customer = self.ops("POST", "/customers", new).await;
        let path = format!("/customers/{}", text(&customer["id"]));
        let company =
            self.ops("POST", "/companies", json!({"number": "1", "name": "Navy", "vat_id": "DE136695976"})).await;
        self.ops("PATCH", &format!("/companies/{}", text(&company["id"])), json!({"vat_id": null})).await;
        let change = json!({"group": "trade", "company_id": company["id"], "segments": ["vip"]});
        self.ops("PATCH", &path, change).await;
        let headers = [("Channel-Key", self.shop.key.as_str()), ("Authorization", &token)];
        self.app.send("GET", "/v1/store/me", &headers, None).await.expect(200);
        let cart = json!({"channel_id": self.shop.channel, "customer_id": customer["id"], "email": "grace@example.org",
            "lines": [{"sku": "TEE", "quantity": 3, "metadata": {"engraving": "G"}}], "shipping_method": "standard",
            "shipping_address": address(), "billing_address": address(), "locale": "de-DE",
            "source": {"utm_source": "news", "referrer": "https://example.org/"}, "metadata": {"gift": true}});
        let cart = self.ops("POST", "/carts", cart).await;
        let pay = json!({"payment": {"method": "sandbox"}});
        let order = self.ops("POST", &format!("/carts/{}/complete", text(&cart["id"])), pay).await;
        let order = text(&order["order"]["id"]);
        self.ops("POST", &format!("/orders/{order}/hold"), json!({"kind": "risk", "reason": "a question"})).await;
        self.ops("POST", &format!("/orders/{order}/release"), json!({"kind": "risk", "reason": "answered"})).await;
        self.ops("POST", &format!("/orders/{order}/notes"), json!({"text": "a word"})).await;
        self.ops("POST", &format!("/orders/{order}/tags"), json!({"add": ["seen"]})).await;
        self.ops("POST", &format!("/orders/{order}/resend-confirmation"), Value::Null).await;
        let fulfilment = self.fulfilment(order).await;
        for step in ["pick", "pack"] {
            self.ops("POST", &format!("{fulfilment}/{step}"), json!({"lines": [{"line_no": 1, "quantity": 1}]})).await;
        }
        let parcel = json!({"carrier": "DHL", "tracking_number": "00340434161094042557"});
        let shipment = self.ops("POST", &format!("{fulfilment}/ship"), parcel).await;
        let shipment = format!("/shipments/{}", text(&shipment["id"]));
        self.ops("POST", &format!("{shipment}/scans"), json!({"text": "in Bremen", "place": "Bremen"})).await;
        self.ops("POST", &format!("{shipment}/deliver"), json!({})).await;
        self.pays(order, "captured").await;
        let back = json!({"order": order, "lines": [{"line_no": 1, "quantity": 1}], "restock": true, "refund": true,
            "reason": "too small"});
        self.ops("POST", "/returns", back).await;
        self.pays(order, "partially_refunded").await;
        let goodwill = json!({"amount": {"amount": "1.00", "currency": "EUR"}, "reason": "scratched"});
        self.ops("POST", &format!("/orders/{order}/refunds"), goodwill).await;
        self.told(order, "external-refs", json!({"system": "sap", "value": "4500017"})).await;
        let invoice = json!({"system": "sap", "number": "RE-1", "amount": {"amount": "64.60", "currency": "EUR"},
            "url": "https://example.org/RE-1.pdf"});
        self.told(order, "invoices", invoice).await;
        eventually("all is given back", || async {
            self.seen().await.iter().filter(|event| event["type"] == "payment.refunded.v1").count() == 2
        })
        .await;
        self.ops("POST", &format!("{path}/erase"), Value::Null).await;
    }

    /// Disputed, and not paid in time; and a promise that ends.
    async fn disputed(&self) {
        let order = self.shop.order(&[("TEE", 2)]).await;
        let (order, payment) = (text(&order["id"]), text(&order["payments"][0]["id"]));
        self.ops("POST", &format!("{}/ship", self.fulfilment(order).await), json!({})).await;
        self.pays(order, "captured").await;
        for (place, outcome) in ["won", "lost", "accepted"].into_iter().enumerate() {
            let new = json!({"reference": format!("dp_{place}"), "reason": "fraudulent",
                "amount": {"amount": "1.00", "currency": "EUR"}, "respond_by": "2030-01-01T00:00:00Z"});
            let made = self.ops("POST", &format!("/payments/{payment}/disputes"), new).await;
            let dispute = format!("/disputes/{}", text(&made["id"]));
            self.ops("POST", &format!("{dispute}/evidence"), json!({"note": "a proof"})).await;
            self.ops("POST", &format!("{dispute}/close"), json!({"outcome": outcome})).await;
        }
        self.shop.set(json!({"prepayment": {"remind_after_days": [1]}})).await;
        let cart = self.shop.cart(&[("TEE", 1)]).await;
        let (pay, path) = (json!({"payment": {"method": "manual"}}), format!("/carts/{}/complete", cart.id));
        self.shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201);
        for instrument in ["expires:86400", "expires_once:86400"] {
            let cart = self.shop.cart(&[("TEE", 1)]).await;
            self.shop.complete(&cart, instrument).await.expect(201);
        }
        self.app.clock.advance_seconds(86_300);
        eventually("promises are asked for anew", || async {
            self.seen_kind("payment.renewed.v1").await && self.seen_kind("payment.renewal_refused.v1").await
        })
        .await;
        self.app.clock.advance_seconds(200);
        eventually("somebody is reminded", || async { self.seen_kind("payment.reminder_due.v1").await }).await;
    }

    async fn seen_kind(&self, kind: &str) -> bool {
        self.seen().await.iter().any(|event| event["type"] == kind)
    }

    /// Cancelled in part, then whole.
    async fn cancelled(&self) {
        let order = self.shop.order(&[("TEE", 2), ("MUG", 1)]).await;
        let order = text(&order["id"]);
        let one = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "one too many"});
        self.ops("POST", &format!("/orders/{order}/cancel"), one).await;
        self.ops("POST", &format!("/orders/{order}/cancel"), json!({"reason": "changed their mind"})).await;
        self.pays(order, "voided").await;
    }

    /// Invoiced, and taken back.
    async fn invoiced(&self) {
        let entities = self.ops("GET", "/legal-entities", Value::Null).await;
        let path = format!("/legal-entities/{}", text(&entities["items"][0]["id"]));
        let settings = json!({"street1": "S 1", "postcode": "1", "city": "C", "series": "RE-", "tax_number": "1"});
        self.ops("PATCH", &path, json!({ "invoicing": settings })).await;
        let order = self.shop.order(&[("TEE", 2)]).await;
        let path = format!("/orders/{}", text(&order["id"]));
        self.ops("POST", &format!("{path}/invoices"), json!({"kind": "invoice"})).await;
        self.ops("POST", &format!("{path}/cancel"), json!({"reason": "changed their mind"})).await;
        let kind = "credit_note.issued.v1";
        eventually(kind, || async { self.seen().await.iter().any(|event| event["type"] == kind) }).await;
    }

    /// All that others write back.
    async fn written_back(&self) {
        let order = self.shop.order(&[("TEE", 3)]).await;
        let (order, line) = (text(&order["id"]), json!([{"sku": "TEE", "quantity": 1}]));
        self.told(
            order,
            "cancellations",
            json!({"system": "wms", "document": "ST-1", "lines": line, "reason": "gone"}),
        )
        .await;
        let parcel =
            json!({"system": "wms", "document": "LS-1", "tracking_number": "1Z999", "delivered_at": self.app.now()});
        self.told(order, "shipments", parcel).await;
        self.pays(order, "captured").await;
        self.told(order, "returns", json!({"system": "wms", "document": "RT-1", "lines": line, "restock": true})).await;
        let cart = self.shop.cart(&[("MUG", 1)]).await;
        let (pay, path) = (json!({"payment": {"method": "manual"}}), format!("/carts/{}/complete", cart.id));
        let order = self.shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201);
        self.told(text(&order["order"]["id"]), "payments", json!({"system": "sap", "document": "ZE-1"})).await;
    }

    /// A gift card that is issued, and blocked.
    async fn gift_card(&self) {
        let new = json!({"amount": {"amount": "5.00", "currency": "EUR"}, "note": "lottery"});
        let card = self.app.ops("POST", "/gift-cards", Some(&new)).await.expect(201);
        let path = format!("/stored-values/{}", text(&card["id"]));
        self.app.ops("PATCH", &path, Some(&json!({"blocked": true}))).await.expect(200);
    }

    /// A company whose order is approved, a quote, and what is ordered again and cannot be.
    async fn business(&self) {
        let sign_in = (self.shop.key.as_str(), self.shop.channel.as_str());
        let business = Business::open(&self.app, sign_in, "TEE", "trade").await;
        let asked = business.asked().await;
        let token = business.bearer("boss");
        let headers = [("Channel-Key", self.shop.key.as_str()), ("Authorization", token.as_str())];
        let path = format!("/v1/store/me/approval-requests/{asked}/approve");
        self.app.send("POST", &path, &headers, Some(&json!({}))).await.expect(200);
        business.quote(true).await;
        for (method, quantity) in [("manual", 1), ("manual", 1_000_000)] {
            let cart = json!({"lines": [{"sku": "TEE", "quantity": quantity}], "email": "boss@example.org",
                "shipping_address": address(), "shipping_method": "standard"});
            let cart = self.app.send("POST", "/v1/store/carts", &headers, Some(&cart)).await.expect(201)["id"].clone();
            let again = json!({"cart_id": cart, "every": {"count": 1, "unit": "day"}, "payment_method": method,
                "first_at": self.app.now().plus_seconds(10)});
            let made = self.app.send("POST", "/v1/store/me/recurring-orders", &headers, Some(&again)).await.expect(201);
            let id = text(&made["id"]).to_owned();
            self.app.clock.advance_seconds(120);
            let kind = if quantity == 1 { "recurring_order.ordered.v1" } else { "recurring_order.failed.v1" };
            eventually(kind, || async { self.seen().await.iter().any(|event| event["type"] == kind) }).await;
            let path = format!("/v1/store/me/recurring-orders/{id}/cancel");
            self.app.send("POST", &path, &headers, None).await.expect(200);
        }
    }

    /// A level that runs out, and comes back.
    async fn watched(&self) {
        self.shop.add("CUP", "5.00", 3).await;
        let line = json!({"sku": "CUP", "location": "berlin", "low_at": 1, "reorder_at": 1, "reorder_quantity": 20});
        self.ops("PUT", "/stock/watches", json!({"lines": [line]})).await;
        for (pieces, kind) in [(-3, "stock.low.v1"), (2, "stock.back.v1")] {
            self.shop.stock_up("CUP", pieces).await;
            let (now, actor) = (self.app.now(), kontor::kernel::Actor::System("test"));
            let look = move |tx: &mut kontor::db::Tx| kontor::stock::watches::look(tx, now, &actor, None, 100);
            self.app.state.db.write(look).await.unwrap();
            eventually(kind, || async { self.seen().await.iter().any(|event| event["type"] == kind) }).await;
        }
    }

    /// Left alone, and ordered after all.
    async fn abandoned(&self) {
        let cart = self.shop.cart(&[("TEE", 1)]).await;
        let path = format!("/carts/{}", cart.id);
        let agrees = json!({"marketing_consent": true, "device": "mobile"});
        self.shop.store("PATCH", &path, Some(&cart.token), Some(&agrees)).await.expect(200);
        self.app.clock.advance_seconds(3_600);
        abandonment::detect(&self.app.state, self.app.now()).await.unwrap();
        self.shop.complete(&cart, "approve").await.expect(201);
        self.app.state.db.write(events::number).await.unwrap();
        abandonment::recover(&self.app.state, self.app.now()).await.unwrap();
    }

    /// Announces pieces of a SKU, of a purchase order or of none; the path of the shipment.
    async fn announced(&self, sku: &str, quantity: i64, of: &Value) -> String {
        let new = json!({"location": "berlin", "purchase_order_id": of, "expected_at": self.app.now().plus_seconds(600),
            "lines": [{"sku": sku, "quantity": quantity}]});
        format!("/inbound-shipments/{}", text(&self.ops("POST", "/inbound-shipments", new).await["id"]))
    }

    /// Ordered from a supplier, received in part and given up; called off.
    async fn goods_in(&self) {
        let why = json!({"reason": "no more of it"});
        for (number, end) in [("PO-1", "close"), ("PO-2", "cancel")] {
            let new = json!({"number": number, "supplier": "Mill", "location": "berlin", "lines": [{"sku": "MUG", "quantity": 2}]});
            let order = self.ops("POST", "/purchase-orders", new).await;
            let path = format!("/purchase-orders/{}", text(&order["id"]));
            self.ops("POST", &format!("{path}/order"), Value::Null).await;
            let shipment = self.announced("MUG", 2, &order["id"]).await;
            if end == "close" {
                let part = json!({"lines": [{"line_no": 1, "quantity": 1}]});
                self.ops("POST", &format!("{shipment}/receive"), part.clone()).await;
                let wrong = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "another's"});
                self.ops("POST", &format!("{shipment}/correct"), wrong).await;
                self.ops("POST", &format!("{shipment}/receive"), part).await;
            }
            self.ops("POST", &format!("{shipment}/close"), why.clone()).await;
            self.ops("POST", &format!("{path}/{end}"), why.clone()).await;
        }
    }

    /// Goods that cross a dock, and others that do not come.
    async fn across_a_dock(&self) {
        self.shop.add("HAT", "5.00", 0).await;
        let found = self.ops("GET", "/variants?sku=HAT", Value::Null).await;
        let path = format!("/variants/{}", text(&found["items"][0]["id"]));
        self.ops("PATCH", &path, json!({"backorder_policy": "allow"})).await;
        let locations = self.ops("GET", "/locations", Value::Null).await;
        let dock = format!("/docks/{}", text(&locations["items"][0]["id"]));
        self.ops("PATCH", &dock, json!({})).await;
        self.shop.order(&[("HAT", 2)]).await;
        let comes = self.announced("HAT", 2, &Value::Null).await;
        self.ops("POST", &format!("{dock}/plan"), Value::Null).await;
        self.ops("POST", &format!("{comes}/arrive"), Value::Null).await;
        self.ops("POST", &format!("{comes}/receive"), json!({})).await;
        for kind in ["sort", "load"] {
            let tasks = self.ops("GET", &format!("{dock}/tasks"), Value::Null).await;
            let task = tasks["items"].as_array().unwrap().iter().find(|task| task["kind"] == kind).unwrap();
            self.ops("POST", &format!("/dock-tasks/{}/done", text(&task["id"])), json!({"scan": "HAT"})).await;
        }
        self.shop.order(&[("HAT", 1)]).await;
        let lost = self.announced("HAT", 1, &Value::Null).await;
        self.ops("POST", &format!("{dock}/plan"), Value::Null).await;
        let later = json!({"expected_at": self.app.now().plus_seconds(1_200)});
        self.ops("POST", &format!("{lost}/reschedule"), later).await;
        self.ops("POST", &format!("{lost}/cancel"), json!({"reason": "lost"})).await;
    }

    /// Goods that were promised with what was to come, and do not come.
    async fn promised(&self) {
        let methods = self.ops("GET", "/shipping-methods", Value::Null).await;
        let path = format!("/shipping-methods/{}", text(&methods["items"][0]["id"]));
        self.ops("PATCH", &path, json!({"delivery_days": {"min": 1, "max": 2}})).await;
        eventually("the days are known", || async {
            let cart = self.shop.cart(&[("TEE", 1)]).await;
            let path = format!("/carts/{}/shipping-options", cart.id);
            let options = self.shop.store("GET", &path, Some(&cart.token), None).await.expect(200);
            options["items"][0]["delivery"].is_object()
        })
        .await;
        // Somebody waits for one of them already.
        let comes = self.announced("HAT", 2, &Value::Null).await;
        self.shop.order(&[("HAT", 1)]).await;
        self.ops("POST", &format!("{comes}/cancel"), json!({"reason": "lost too"})).await;
        let kind = "order.promise_changed.v1";
        eventually(kind, || async { self.seen().await.iter().any(|event| event["type"] == kind) }).await;
    }

    /// Goods between locations: some arrive, some are lost, some never leave.
    async fn moved(&self) {
        let place =
            json!({"code": "annex", "name": "Annex", "country": "DE", "time_zone": "Europe/Berlin", "priority": 900});
        self.ops("POST", "/locations", place).await;
        for ends in [&["ship", "receive", "correct", "close"][..], &["cancel"][..]] {
            let new = json!({"from": "berlin", "to": "annex", "lines": [{"sku": "TEE", "quantity": 2}]});
            let path = format!("/transfers/{}", text(&self.ops("POST", "/transfers", new).await["id"]));
            for what in ends {
                let body = match *what {
                    "ship" => json!({}),
                    "receive" => json!({"lines": [{"line_no": 1, "quantity": 1}]}),
                    "correct" => json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "another's"}),
                    _ => json!({"reason": "lost"}),
                };
                self.ops("POST", &format!("{path}/{what}"), body).await;
            }
        }
    }

    /// An order that is changed.
    async fn amended(&self) {
        let order = self.shop.order(&[("TEE", 2)]).await;
        let path = format!("/orders/{}/amendments", text(&order["id"]));
        let begun = self.ops("POST", &path, json!({"reason": "called"})).await;
        let path = format!("{path}/{}", text(&begun["id"]));
        let edits = json!([{"type": "set_quantity", "line_no": 1, "quantity": 1}, {"type": "add_line", "sku": "MUG", "quantity": 1}]);
        let edited = self.ops("POST", &format!("{path}/edits"), json!({ "edits": edits })).await;
        self.ops("POST", &format!("{path}/confirm"), json!({"order_version": edited["order_version"]})).await;
        let cart = self.shop.cart(&[("TEE", 2)]).await;
        let (pay, path) = (json!({"payment": {"method": "manual"}}), format!("/carts/{}/complete", cart.id));
        let bought = self.shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201);
        let some = json!({"lines": [{"line_no": 1, "quantity": 1}], "reason": "later"});
        self.ops("POST", &format!("/orders/{}/split", text(&bought["order"]["id"])), some).await;
    }

    /// A price that somebody else is to approve, and nobody does.
    async fn countersigned(&self) {
        let nothing = json!({"amount": "0.00", "currency": "EUR"});
        self.shop.set(json!({"second_person": {"price_override": [nothing]}})).await;
        let path = format!("/orders/{}/amendments", text(&self.shop.order(&[("TEE", 1)]).await["id"]));
        let path = format!("{path}/{}", text(&self.ops("POST", &path, json!({})).await["id"]));
        let price = json!({"type": "set_price", "line_no": 1, "unit_price": {"amount": "1.00", "currency": "EUR"}, "reason": "x"});
        let edited = self.ops("POST", &format!("{path}/edits"), json!({ "edits": [price] })).await;
        let version = json!({"order_version": edited["order_version"]});
        let waits = self.ops("POST", &format!("{path}/confirm"), version).await;
        self.ops("POST", &format!("/countersign-requests/{}/withdraw", text(&waits["id"])), json!({})).await;
    }

    /// Work that is held, put off, wanted back, moved, and done wrongly.
    async fn asked_for(&self) {
        let cart = self.shop.cart(&[("MUG", 1)]).await;
        let pay = json!({"payment": {"method": "manual"}});
        let path = format!("/carts/{}/complete", cart.id);
        let made = self.shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201);
        let asked = format!("/orders/{}/payment-requests", text(&made["order"]["id"]));
        let asked = self.ops("POST", &asked, json!({"message": "as discussed"})).await;
        self.ops("POST", &format!("/payment-requests/{}/withdraw", text(&asked["id"])), Value::Null).await;
    }

    async fn worked_over(&self) {
        let lines = json!([{"sku": "TEE", "location": "annex", "change": 5, "reason": "for it"}]);
        self.ops("POST", "/stock/adjustments", json!({ "lines": lines })).await;
        let order = self.shop.order(&[("TEE", 2)]).await;
        let work = self.fulfilment(text(&order["id"])).await;
        self.ops("POST", &format!("{work}/hold"), json!({"kind": "other", "reason": "a question"})).await;
        self.ops("POST", &format!("{work}/release"), json!({"kind": "other", "reason": "answered"})).await;
        self.ops("POST", &format!("{work}/reschedule"), json!({"priority": 7})).await;
        self.ops("POST", &format!("{work}/request-cancel"), json!({"reason": "ordered twice"})).await;
        self.ops("POST", &format!("{work}/answer-cancel"), json!({"accept": false, "reason": "too late"})).await;
        self.ops("POST", &format!("{work}/pick"), json!({"lines": [{"line_no": 1, "quantity": 1}]})).await;
        self.ops("POST", &format!("{work}/unpick"), json!({"reason": "another's"})).await;
        self.ops("POST", &format!("{work}/move"), json!({"location": "annex"})).await;
        let locations = self.ops("GET", "/locations", Value::Null).await;
        let places = locations["items"].as_array().unwrap().iter();
        let berlin = places.clone().find(|place| place["code"] == "berlin").unwrap();
        let berlin = format!("/locations/{}", text(&berlin["id"]));
        self.ops("PATCH", &berlin, json!({"accept_minutes": 60})).await;
        for answer in ["accept", "decline"] {
            let order = self.shop.order(&[("MUG", 1)]).await;
            let work = self.fulfilment(text(&order["id"])).await;
            let body = if answer == "decline" { json!({"reason": "no hands"}) } else { json!({}) };
            self.ops("POST", &format!("{work}/{answer}"), body).await;
        }
        self.ops("PATCH", &berlin, json!({"accept_minutes": null})).await;
    }

    /// Picked up instead of being shipped.
    async fn collected(&self) {
        let locations = self.ops("GET", "/locations", Value::Null).await;
        let places = locations["items"].as_array().unwrap().iter();
        let berlin = places.clone().find(|place| place["code"] == "berlin").unwrap();
        let method = json!({"channel_id": self.shop.channel, "code": "click", "name": "Click", "tax_class": "standard",
            "rates": [{"countries": [], "price": {"amount": "0.00", "currency": "EUR"}}], "pickup_location_id": berlin["id"]});
        self.ops("POST", "/shipping-methods", method).await;
        let order = self.shop.order(&[("TEE", 1)]).await;
        let redirect = format!("/orders/{}/redirect", text(&order["id"]));
        self.ops("POST", &redirect, json!({"method": "click", "reason": "they come by"})).await;
        let work = self.fulfilment(text(&order["id"])).await;
        self.ops("POST", &format!("{work}/pack"), json!({})).await;
        self.ops("POST", &format!("{work}/collect"), json!({})).await;
    }

    /// Parcels as their carrier tells of them, and one that had not left.
    async fn on_the_way(&self) {
        for marks in
            [&["in_transit", "out_for_delivery", "failed_attempt", "returned_to_sender"][..], &["lost"][..], &[]]
        {
            let order = self.shop.order(&[("TEE", 1)]).await;
            let work = self.fulfilment(text(&order["id"])).await;
            let parcel = self.ops("POST", &format!("{work}/ship"), json!({})).await;
            let path = format!("/shipments/{}", text(&parcel["id"]));
            for (mark, after) in marks.iter().zip(1..) {
                let at = self.app.now().plus_seconds(after - 10);
                let at = at.max(text(&parcel["shipped_at"]).parse().unwrap());
                self.ops("POST", &format!("{path}/scans"), json!({"text": mark, "mark": mark, "at": at})).await;
                self.app.clock.advance_seconds(1);
            }
            if marks.is_empty() {
                self.ops("POST", &format!("{path}/correct"), json!({"kind": "not_shipped", "reason": "found it"}))
                    .await;
            }
        }
    }

    /// A supplier ships one order and not another.
    async fn by_a_supplier(&self) {
        let place = json!({"code": "mill", "name": "Mill", "country": "DE", "time_zone": "Europe/Berlin", "priority": 950,
            "kind": "supplier"});
        self.ops("POST", "/locations", place).await;
        let lines = json!([{"sku": "MUG", "location": "mill", "change": 5, "reason": "their list"}]);
        self.ops("POST", "/stock/adjustments", json!({ "lines": lines })).await;
        let money = |amount: &str| json!({"amount": amount, "currency": "EUR"});
        for answer in ["acknowledge", "refuse"] {
            let order = self.shop.order(&[("MUG", 1)]).await;
            let work = self.fulfilment(text(&order["id"])).await;
            let moved = self.ops("POST", &format!("{work}/move"), json!({"location": "mill"})).await;
            let path = format!("/supplier-orders/{}", text(&moved["moved_to"][0]["id"]));
            let body = if answer == "refuse" { json!({"reason": "sold out"}) } else { json!({"reference": "SO-1"}) };
            self.ops("POST", &format!("{path}/{answer}"), body).await;
            let bill = json!({"number": "1", "net": money("5.00"), "tax": money("0.95")});
            self.ops("POST", &format!("{path}/invoices"), bill).await;
        }
    }

    /// Somebody waits for goods, and they are back.
    async fn waited_for(&self) {
        self.shop.add("JUG", "5.00", 0).await;
        let body = json!({"sku": "JUG", "email": "ada@example.org", "consent": true});
        self.shop.store("POST", "/back-in-stock", None, Some(&body)).await.expect(202);
        self.shop.stock_up("JUG", 1).await;
        kontor::process::runner(&self.app.state).run_all_turns().await.unwrap();
        eventually("it is told", || async {
            self.app.count("SELECT count(*) FROM events WHERE type = 'back_in_stock.told.v1'").await == 1
        })
        .await;
    }

    /// An order of a guest that has left, with the token that opens it.
    async fn left(&self) -> (String, String) {
        let cart = self.shop.cart(&[("TEE", 4)]).await;
        let order = self.shop.complete(&cart, "approve").await.expect(201)["order"]["id"].clone();
        let work = self.fulfilment(text(&order)).await;
        self.ops("POST", &format!("{work}/ship"), json!({})).await;
        (format!("/orders/{}", text(&order)), cart.token)
    }

    /// Goods that customers ask to send back, and what they claim.
    async fn sent_back(&self) {
        let (order, _) = self.left().await;
        let policy = format!("/channels/{}/return-policy", self.shop.channel);
        let ask = async |allowed: bool| {
            self.ops("PUT", &policy, json!({ "auto_approve": allowed })).await;
            let lines = json!([{"line_no": 1, "quantity": 1, "reason": "too_small"}]);
            let asked =
                self.ops("POST", &format!("{order}/returns"), json!({"lines": lines, "comment": "sorry"})).await;
            format!("/return-requests/{}", text(&asked["id"]))
        };
        self.ops("POST", &format!("{}/reject", ask(false).await), json!({"reason": "worn"})).await;
        self.ops("POST", &format!("{}/cancel", ask(true).await), Value::Null).await;
        let (request, goods) = (ask(true).await, json!([{"line_no": 1, "quantity": 1}]));
        self.ops("POST", &format!("{request}/track"), json!({"tracking_number": "1"})).await;
        self.ops("POST", &format!("{request}/receive"), json!({ "lines": goods })).await;
        let seen = json!([{"line_no": 1, "quantity": 1, "grade": "b", "disposition": "restock"}]);
        self.ops("POST", &format!("{request}/inspect"), json!({ "lines": seen })).await;
        self.ops("POST", &format!("{request}/settle"), json!({})).await;
        for (step, body) in [("settle", json!({"resolution": "refund"})), ("reject", json!({"reason": "no"}))] {
            let claim = json!({"kind": "damaged", "lines": goods, "comment": "broken"});
            let claim = self.ops("POST", &format!("{order}/claims"), claim).await;
            self.ops("POST", &format!("/claims/{}/{step}", text(&claim["id"])), body).await;
        }
        let two = json!([{"line_no": 1, "quantity": 2}]);
        let claim = self.ops("POST", &format!("{order}/claims"), json!({"kind": "short", "lines": two})).await;
        let claim = format!("/claims/{}", text(&claim["id"]));
        self.ops("POST", &format!("{claim}/settle"), json!({"resolution": "refund", "lines": goods})).await;
        self.ops("POST", &format!("{claim}/reject"), json!({"reason": "one was there"})).await;
        let (other, _) = self.left().await;
        let known = self.ops("POST", &format!("{other}/registrations"), json!({"line_no": 1, "serial": "SN-0"})).await;
        let known = format!("/registrations/{}", text(&known["id"]));
        self.ops("PATCH", &known, json!({"serial": "SN-2"})).await;
        self.ops("POST", &format!("{known}/end"), json!({"reason": "sold on"})).await;
        self.ops("POST", &format!("{other}/registrations"), json!({"line_no": 1, "serial": "SN-1"})).await;
        self.ops("POST", "/warranty-claims", json!({"serial": "SN-1"})).await;
        self.exchanged(&goods).await;
        ask(true).await;
        self.app.clock.advance_seconds(32 * 86_400);
        kontor::process::runner(&self.app.state).run_all_turns().await.unwrap();
    }

    /// A customer takes something else.
    async fn exchanged(&self, goods: &Value) {
        let customer = self.ops("POST", "/customers", json!({"name": "Joan", "email": "joan@example.org"})).await;
        let order = async || {
            let cart = json!({"channel_id": self.shop.channel, "customer_id": customer["id"], "email": "joan@example.org",
                "lines": [{"sku": "TEE", "quantity": 1}], "shipping_method": "standard", "shipping_address": address()});
            let cart = self.ops("POST", "/carts", cart).await;
            let pay = json!({"payment": {"method": "sandbox"}});
            text(&self.ops("POST", &format!("/carts/{}/complete", text(&cart["id"])), pay).await["order"]["id"])
                .to_owned()
        };
        let first = order().await;
        self.ops("POST", &format!("{}/ship", self.fulfilment(&first).await), json!({})).await;
        let mut lines = goods.clone();
        lines[0]["reason"] = json!("too_large");
        let ask = json!({"lines": lines, "wish": "exchange", "approve": true});
        let asked = self.ops("POST", &format!("/orders/{first}/returns"), ask).await;
        let request = format!("/return-requests/{}", text(&asked["id"]));
        self.ops("POST", &format!("{request}/settle"), json!({"without_goods": true})).await;
        self.ops("POST", &format!("{request}/exchange"), json!({"order": order().await})).await;
    }

    /// A guest withdraws, and the shop is late.
    async fn withdrawn_from(&self) {
        let (order, token) = self.left().await;
        let who = json!({"name": "Ada", "email": "ada@example.org"});
        let path = format!("{order}/withdrawals");
        let declared = self.shop.store("POST", &path, Some(&token), Some(&who)).await.expect(201);
        let confirm = format!("{path}/{}/confirm", text(&declared["id"]));
        self.shop.store("POST", &confirm, Some(&token), None).await.expect(200);
        eventually("it is carried out", || async {
            self.app.count("SELECT count(*) FROM withdrawals WHERE state = 'carried_out'").await == 1
        })
        .await;
        for days in [12, 3] {
            self.app.clock.advance_seconds(days * 86_400);
            kontor::process::runner(&self.app.state).run_all_turns().await.unwrap();
        }
    }

    /// All events, as whoever polls gets them.
    async fn seen(&self) -> Vec<Value> {
        self.app.state.db.write(events::number).await.unwrap();
        let bearer = format!("Bearer {}", self.app.token(Audience::Client, "erp", Scope::ALL));
        let (mut all, mut after) = (Vec::new(), "oldest".to_owned());
        loop {
            let path = format!("/v1/integration/feeds/all?limit=200&after={after}");
            let page = self.app.send("GET", &path, &[("Authorization", &bearer)], None).await.expect(200);
            let items = page["items"].as_array().unwrap();
            if items.is_empty() {
                return all;
            }
            text(&page["next_cursor"]).clone_into(&mut after);
            all.extend(items.iter().cloned());
        }
    }
}

#[test]
fn every_event_is_told_as_its_schema_says() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 50), ("MUG", "9.90", 50)]).await;
        let tour = Tour { app, shop };
        tour.refused_money().await;
        tour.cancelled().await;
        tour.invoiced().await;
        tour.written_back().await;
        tour.abandoned().await;
        tour.gift_card().await;
        tour.business().await;
        tour.watched().await;
        tour.goods_in().await;
        tour.across_a_dock().await;
        tour.promised().await;
        tour.moved().await;
        tour.amended().await;
        tour.asked_for().await;
        tour.worked_over().await;
        tour.collected().await;
        tour.on_the_way().await;
        tour.by_a_supplier().await;
        tour.waited_for().await;
        tour.disputed().await;
        let before = tour.seen().await;
        // Once more after somebody is forgotten: what is left of their events fits still.
        tour.customer().await;
        tour.sent_back().await;
        tour.withdrawn_from().await;
        tour.countersigned().await;
        let (schemas, after) = (schemas(), tour.seen().await);
        let (mut kinds, mut found) = (BTreeSet::new(), Vec::new());
        for event in before.iter().chain(&after) {
            let kind = text(&event["type"]);
            let schema = schemas.get(kind).unwrap_or_else(|| panic!("{kind} has no schema in openapi/events"));
            kinds.insert(kind.to_owned());
            found.extend(json_schema::wrong(schema, &event["data"]).into_iter().map(|why| format!("{kind}: {why}")));
        }
        found.sort();
        found.dedup();
        assert!(found.is_empty(), "{}:\n{}", found.len(), found.join("\n"));
        let never: Vec<&String> = schemas.keys().filter(|kind| !kinds.contains(*kind)).collect();
        assert!(never.is_empty(), "these have never happened: {never:?}");
    });
}

#[test]
fn what_does_not_fit_a_schema_is_found() {
    let schema = json!({"type": "object", "required": ["id"], "$defs": {"id": {"type": "string", "pattern": "^a_[0-9]+$"}},
        "properties": {"id": {"$ref": "#/$defs/id"}, "n": {"type": ["integer", "null"], "format": "int32"},
            "all": {"type": "array", "items": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/id"}]}},
            "free": {"type": "object", "additionalProperties": {"type": "boolean"}}}});
    let right = json!({"id": "a_1", "n": null, "all": [null, "a_2"], "free": {"x": true}});
    assert_eq!(json_schema::wrong(&schema, &right), Vec::<String>::new());
    for (change, place) in [
        (json!({"id": "b_1"}), "/id"),
        (json!({"id": "a_1", "n": 3_000_000_000_u32}), "/n"),
        (json!({"id": "a_1", "all": [null, 1]}), "/all/1"),
        (json!({"id": "a_1", "free": {"x": 1}}), "/free/x"),
        (json!({"id": "a_1", "more": 1}), "/more"),
        (json!({}), " lacks"),
        (json!([]), " is not type"),
    ] {
        let found = json_schema::wrong(&schema, &change);
        assert!(found.iter().any(|why| why.starts_with(place)), "{change}: {found:?}");
    }
}
