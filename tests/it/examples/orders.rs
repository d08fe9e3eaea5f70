//! What the examples about orders need to be there: the orders themselves, and what was asked for, paid and agreed of them.

use kontor::{
    cli::DEMO_CHANNEL,
    connectors, events,
    http::{auth::Audience, openapi::Surface},
    kernel::Scope,
};
use serde_json::{Value, json};

use super::{Demo, Ready, text};
use crate::support::{Business, world::Route};

impl Demo {
    pub(super) async fn for_order(&self, route: &Route) -> Ready {
        let order = match route.path.rsplit('/').next().unwrap() {
            "payments" | "payment-requests" | "split" => self.order("manual").await,
            "refunds" => self.paid().await,
            "refund" => self.overpaid().await,
            "returns" | "claims" | "registrations" | "gift-receipts" => {
                let order = self.paid().await;
                self.shipment(&order).await;
                order
            }
            "release" => {
                let order = self.order("sandbox").await;
                let hold = self.example("POST", "/v1/ops/orders/{ref}/hold");
                self.ops("POST", &format!("/orders/{}/hold", text(&order["number"])), hold).await;
                order
            }
            _ => self.order("sandbox").await,
        };
        // A number is of one thing.
        let filled = route.path.ends_with("/registrations").then(|| json!({"line_no": 1, "serial": "SN-2026-004712"}));
        Ready { ids: [("orders", text(&order["number"]))].into(), filled, ..Ready::default() }
    }

    /// What somebody was asked to pay for an order, which nobody has paid; for staff, somebody is at it.
    pub(super) async fn for_asked(&self, route: &Route) -> Ready {
        let order = text(&self.order("manual").await["number"]);
        let made = self.ops("POST", &format!("/orders/{order}/payment-requests"), json!({})).await;
        if route.surface == Surface::Store {
            let mut new = self.example("POST", &route.path);
            new["token"] = made["token"].clone();
            let headers = vec![("Channel-Key", self.key.clone())];
            return Ready { filled: Some(new), headers, ..Ready::default() };
        }
        let ids = [("payment-requests", text(&made["id"]))].into();
        if route.path.ends_with("/token") {
            return Ready { ids, ..Ready::default() };
        }
        let pay = json!({"token": made["token"], "payment": {"method": "sandbox", "instrument": "redirect"}});
        let headers = [("Channel-Key", self.key.as_str())];
        self.app.send("POST", "/v1/store/payment-requests/pay", &headers, Some(&pay)).await.expect(202);
        Ready { ids, ..Ready::default() }
    }

    /// A registered product of an order of whoever asks.
    pub(super) async fn for_warranty(&self, route: &Route) -> Ready {
        let own = self.for_own_order().await;
        let serial = format!("SN of {} {}", route.method, route.path);
        let new = json!({"line_no": 1, "serial": serial});
        let one = self.ops("POST", &format!("/orders/{}/registrations", own.ids["orders"]), new).await;
        let mut ready = Ready { ids: [("registrations", text(&one["id"]))].into(), ..Ready::default() };
        if route.surface == Surface::Store {
            ready.headers = own.headers;
        }
        if route.path.ends_with("/warranty-claims") {
            ready.filled = Some(json!({"serial": serial, "comment": "it does not start any more"}));
        }
        ready
    }

    /// A guest's own order, which has left.
    pub(super) async fn for_own_order(&self) -> Ready {
        let cart = self.cart().await;
        let order = self.complete(&cart, json!({"method": "sandbox"})).await.expect(201)["order"].clone();
        self.shipment(&order).await;
        let headers = vec![("Channel-Key", self.key.clone()), ("Cart-Token", text(&cart["token"]))];
        Ready { ids: [("orders", text(&order["id"]))].into(), headers, ..Ready::default() }
    }

    /// A guest's order of which something comes back for something else.
    pub(super) async fn for_own_exchange(&self) -> Ready {
        let mut ready = self.for_own_order().await;
        let policy = json!({ "auto_approve": true });
        self.ops("PUT", &format!("/channels/{DEMO_CHANNEL}/return-policy"), policy).await;
        let lines = self.example("POST", "/v1/store/orders/{id}/returns")["lines"].clone();
        let asked = json!({"lines": lines, "wish": "exchange", "approve": true});
        let path = format!("/orders/{}/returns", ready.ids["orders"]);
        ready.ids.insert("returns", text(&self.ops("POST", &path, asked).await["id"]));
        ready
    }

    /// What is printed on the gift receipt of an order that has left.
    pub(super) async fn for_gift(&self, route: &Route) -> Ready {
        let policy = json!({"auto_approve": true, "gifts": {}});
        self.ops("PUT", &format!("/channels/{DEMO_CHANNEL}/return-policy"), policy).await;
        let order = self.order("sandbox").await;
        self.shipment(&order).await;
        let path = format!("/orders/{}/gift-receipts", text(&order["number"]));
        let receipt = self.ops("POST", &path, json!({})).await;
        let mut filled = json!({"order_number": receipt["order_number"], "token": receipt["token"]});
        if !route.path.ends_with("/open") {
            filled["lines"] = self.example("POST", "/v1/store/gift-returns")["lines"].clone();
        }
        Ready { filled: Some(filled), ..Ready::default() }
    }

    /// An order of a customer, which has left.
    pub(super) async fn customers_order(&self, ships: bool) -> Value {
        let mut new = self.example("POST", "/v1/ops/carts");
        new["customer_id"] = self.made["customers"]["id"].clone();
        let cart = self.ops("POST", "/carts", new).await;
        let pay = json!({"payment": {"method": "sandbox"}});
        let order = self.ops("POST", &format!("/carts/{}/complete", text(&cart["id"])), pay).await["order"].clone();
        if ships {
            self.shipment(&order).await;
        }
        order
    }

    /// A return request that takes the command.
    pub(super) async fn for_request(&self, route: &Route) -> Ready {
        let command = route.path.rsplit('/').next().unwrap();
        let decided = !matches!(command, "approve" | "reject");
        let policy = json!({ "auto_approve": decided });
        self.ops("PUT", &format!("/channels/{DEMO_CHANNEL}/return-policy"), policy).await;
        let order = self.customers_order(true).await;
        let asked = self.example("POST", "/v1/store/orders/{id}/returns");
        let asked = json!({"lines": asked["lines"], "wish": "exchange"});
        let asked = self.ops("POST", &format!("/orders/{}/returns", text(&order["id"])), asked).await;
        let path = format!("/return-requests/{}", text(&asked["id"]));
        let goods = json!({"lines": [{"line_no": 1, "quantity": 1}]});
        let seen = json!({"lines": [{"line_no": 1, "quantity": 1, "grade": "a", "disposition": "restock"}]});
        let mut ready = Ready { ids: [("return-requests", text(&asked["id"]))].into(), ..Ready::default() };
        if matches!(command, "inspect" | "settle") {
            self.ops("POST", &format!("{path}/receive"), goods).await;
        }
        if command == "settle" {
            self.ops("POST", &format!("{path}/inspect"), seen).await;
        }
        if command == "exchange" {
            self.ops("POST", &format!("{path}/settle"), json!({"without_goods": true})).await;
            let other = self.customers_order(false).await;
            ready.filled = Some(json!({"order": other["number"]}));
        }
        ready
    }

    pub(super) async fn for_claim(&self) -> Ready {
        let order = self.order("sandbox").await;
        self.shipment(&order).await;
        let claim = self.example("POST", "/v1/ops/orders/{ref}/claims");
        let claim = self.ops("POST", &format!("/orders/{}/claims", text(&order["id"])), claim).await;
        Ready { ids: [("claims", text(&claim["id"]))].into(), ..Ready::default() }
    }

    /// An amendment of an order, with an edit in it.
    pub(super) async fn for_amendment(&self) -> Ready {
        let order = text(&self.order("sandbox").await["number"]);
        let new = self.example("POST", "/v1/ops/orders/{ref}/amendments");
        let amendment = self.ops("POST", &format!("/orders/{order}/amendments"), new).await;
        let id = text(&amendment["id"]);
        let edit = json!({"edits": [{"type": "add_line", "sku": "COFFEE-500", "quantity": 1}]});
        let edited = self.ops("POST", &format!("/orders/{order}/amendments/{id}/edits"), edit).await;
        let filled = Some(json!({"order_version": edited["order_version"]}));
        Ready { ids: [("orders", order), ("amendments", id)].into(), filled, ..Ready::default() }
    }

    /// The token of what a command would be done to.
    pub(super) async fn for_bulk(&self, route: &Route) -> Ready {
        let mut filled = self.example("POST", &route.path);
        let path = route.path.strip_prefix("/v1/ops").unwrap();
        let seen = self.ops("POST", &format!("{path}/preview"), filled.clone()).await;
        filled["token"] = seen["token"].clone();
        Ready { filled: Some(filled), ..Ready::default() }
    }

    /// A guest's order that was placed a moment ago.
    pub(super) async fn for_own_changes(&self) -> Ready {
        let cart = self.cart().await;
        let order = self.complete(&cart, json!({"method": "sandbox", "instrument": "approve"})).await.expect(201);
        let headers = vec![("Channel-Key", self.key.clone()), ("Cart-Token", text(&cart["token"]))];
        Ready { ids: [("orders", text(&order["order"]["id"]))].into(), headers, ..Ready::default() }
    }

    pub(super) async fn for_feed(&self, route: &Route) -> Ready {
        let (mut ready, bearer) = (Ready::default(), self.client());
        let page = self.poll(&bearer).await;
        let (lease, position) = (&page["lease"], &page["items"][0]["position"]);
        ready.ids = [("feeds", "orders".to_owned()), ("consumers", "erp".to_owned())].into();
        let nack = json!({"consumer": "erp", "lease": lease, "items": [position], "reason": "unknown article A-1"});
        match route.path.rsplit('/').next().unwrap() {
            "ack" => ready.filled = Some(json!({"consumer": "erp", "lease": lease, "items": [position]})),
            "nack" => ready.filled = Some(nack),
            "replay" | "skip" => {
                let path = "/v1/integration/feeds/orders/nack";
                self.app.send("POST", path, &[("Authorization", &bearer)], Some(&nack)).await.expect(200);
                ready.ids.insert("parked", position.to_string());
            }
            _ => {}
        }
        ready.headers = vec![("Authorization", bearer)];
        ready
    }

    pub(super) async fn for_connector(&self, connector: &Value) -> Ready {
        let id = text(&connector["id"]);
        self.order("sandbox").await;
        self.app.state.db.write(events::number).await.unwrap();
        connectors::dispatch(&self.app.state).await.unwrap();
        let found = self.ops("GET", &format!("/connectors/{id}/dispatches"), Value::Null).await;
        let dispatch = text(&found["items"][0]["id"]);
        Ready { ids: [("connectors", id), ("dispatches", dispatch)].into(), ..Ready::default() }
    }

    /// A connector of a system that can be searched, and a run over it that has ended.
    pub(super) async fn for_reconciliation(&self, route: &Route) -> Ready {
        let settings = json!({"url": "https://tryton.example.com", "database": "shop", "user": "kontor"});
        let new = json!({"name": format!("ERP for {}", route.path), "adapter": "tryton", "types": ["order."],
            "settings": settings, "secrets": {"password": "tryton-at-the-shop"}});
        let id = text(&self.ops("POST", "/connectors", new).await["id"]);
        let mut ready = Ready { ids: [("connectors", id.clone())].into(), ..Ready::default() };
        // It has been told of an order.
        self.order("sandbox").await;
        self.app.state.db.write(events::number).await.unwrap();
        connectors::dispatch(&self.app.state).await.unwrap();
        if route.path.ends_with("/resync") {
            let (from, to) = (self.app.now().plus_seconds(-60), self.app.now().plus_seconds(60));
            ready.filled = Some(json!({"from": from, "to": to, "mode": "missing"}));
        }
        if route.path.ends_with("/close") {
            let stretch = self.example("POST", "/v1/ops/connectors/{id}/reconcile");
            let run = self.ops("POST", &format!("/connectors/{id}/reconcile"), stretch).await;
            ready.ids.insert("reconciliations", text(&run["id"]));
            let ended = "UPDATE connector_runs SET ended_at = created_at, state = 'done' WHERE ended_at IS NULL";
            self.app.state.db.write(move |tx| kontor::db::sql(ended).execute(tx)).await.unwrap();
        }
        ready
    }

    pub(super) async fn for_consumer(&self) -> Ready {
        let key = || self.ops("POST", "/api-keys", self.example("POST", "/v1/ops/api-keys"));
        let (former, next) = (key().await, key().await);
        self.poll(&format!("Bearer {}", text(&former["key"]))).await;
        let consumers = self.ops("GET", "/consumers", Value::Null).await;
        let mut all = consumers["items"].as_array().unwrap().iter();
        let consumer = text(&all.find(|one| one["client"] == former["id"]).unwrap()["id"]);
        let filled = Some(json!({"api_key": next["id"]}));
        Ready { ids: [("consumer_id", consumer)].into(), filled, ..Ready::default() }
    }

    pub(super) async fn for_customer(&self, route: &Route) -> Ready {
        let customer = text(&self.made["customers"]["id"]);
        let mut ready = Ready { ids: [("customers", customer.clone())].into(), ..Ready::default() };
        if route.path.ends_with("{address_id}") {
            let entry = self.example("POST", "/v1/ops/customers/{id}/addresses");
            let book = self.ops("POST", &format!("/customers/{customer}/addresses"), entry).await;
            ready.ids.insert("addresses", text(&book["addresses"][0]["id"]));
        }
        ready
    }

    /// An address in the signed-in customer's own book.
    pub(super) async fn for_me(&self) -> Ready {
        let bearer = format!("Bearer {}", self.app.token(Audience::Customer, "ada", &[]));
        let headers = [("Channel-Key", self.key.as_str()), ("Authorization", &bearer)];
        let entry = self.example("POST", "/v1/store/me/addresses");
        let book = self.app.send("POST", "/v1/store/me/addresses", &headers, Some(&entry)).await.expect(201);
        Ready { ids: [("addresses", text(&book["addresses"][0]["id"]))].into(), ..Ready::default() }
    }

    pub(super) async fn for_refund(&self) -> Ready {
        let order = format!("/orders/{}", text(&self.paid().await["id"]));
        self.ops("POST", &format!("{order}/refunds"), self.example("POST", "/v1/ops/orders/{ref}/refunds")).await;
        let payments = self.ops("GET", &format!("{order}/payments"), Value::Null).await;
        let operations = payments["payments"][0]["operations"].as_array().unwrap();
        let waits = operations.iter().find(|one| one["state"] == "pending").unwrap();
        Ready { ids: [("payment-operations", text(&waits["id"]))].into(), ..Ready::default() }
    }

    /// A payment that was taken, and a dispute of it.
    pub(super) async fn for_dispute(&self, open: bool) -> Ready {
        let payment = text(&self.paid().await["payments"][0]["id"]);
        let mut ready = Ready { ids: [("payments", payment.clone())].into(), ..Ready::default() };
        if open {
            let new = self.example("POST", "/v1/ops/payments/{id}/disputes");
            let made = self.ops("POST", &format!("/payments/{payment}/disputes"), new).await;
            ready.ids.insert("disputes", text(&made["id"]));
        }
        ready
    }

    /// An order of which more was paid than was owed, where that is kept.
    pub(super) async fn overpaid(&self) -> Value {
        let order = self.order("manual").await;
        let path = format!("/channels/{}", text(&order["channel_id"]));
        let channel = self.ops("GET", &path, Value::Null).await;
        let fields =
            ["currencies", "locales", "countries", "time_zone", "prices_include_tax", "rounding", "payment_methods"];
        let mut settings: Value = fields.iter().map(|field| ((*field).to_owned(), channel[*field].clone())).collect();
        settings["prepayment"] = json!({"overpaid": "keep"});
        settings["second_person"] = channel["second_person"].clone();
        self.ops("PATCH", &path, json!({ "settings": settings })).await;
        let paid = json!({"amount": {"amount": "900.00", "currency": order["currency"]}, "reference": "BANK-9"});
        self.ops("POST", &format!("/orders/{}/payments", text(&order["id"])), paid).await;
        order
    }

    /// A payment whose provider did not answer and which was given up all the same.
    pub(super) async fn for_payment(&self) -> Ready {
        let cart = self.cart().await;
        self.complete(&cart, json!({"method": "sandbox", "instrument": "unreachable"})).await.expect(202);
        let give_up = format!("/carts/{}/give-up-payment", text(&cart["id"]));
        self.ops("POST", &give_up, json!({"force": true})).await;
        let failed = self.ops("GET", "/worklists/failed_payments", Value::Null).await;
        Ready { ids: [("payments", text(&failed["items"][0]["id"]))].into(), ..Ready::default() }
    }

    pub(super) async fn for_list(&self) -> Ready {
        let order = self.order("manual").await;
        self.app.clock.advance_seconds(9 * 86_400);
        Ready {
            ids: [("worklists", "unpaid_orders".to_owned()), ("items", text(&order["id"]))].into(),
            ..Ready::default()
        }
    }

    /// A company with what its people have in hand, a new one for each route.
    pub(super) async fn for_business(&self, route: &Route) -> Ready {
        let name = route.path.replace(['/', '{', '}'], "-").trim_matches('-').to_owned();
        let name = name.get(name.len().saturating_sub(45)..).unwrap_or_default().trim_matches('-').to_owned();
        let business = Business::open(&self.app, (&self.key, DEMO_CHANNEL), "TEE-BLACK-M", &name).await;
        let (mut ready, command) = (Ready::default(), route.path.rsplit('/').next().unwrap());
        let mut who = "boss";
        match route.path.split_once("/v1/").unwrap().1 {
            "store/carts/{id}/approval-requests" => {
                who = "buyer";
                ready.ids.insert("carts", business.cart(who).await);
            }
            "store/carts/{id}/quote-requests" => drop(ready.ids.insert("carts", business.cart(who).await)),
            "store/me/recurring-orders" => {
                let mut new = self.example("POST", &route.path);
                new["cart_id"] = json!(business.cart(who).await);
                ready.filled = Some(new);
            }
            "store/payment-links/open" | "store/payment-links/complete" => {
                let mut new = self.example("POST", &route.path);
                new["token"] = json!(business.link().await);
                ready.filled = Some(new);
                ready.headers = vec![("Channel-Key", self.key.clone())];
                return ready;
            }
            "ops/drafts" => {
                let mut new = self.example("POST", &route.path);
                new["cart_id"] = json!(business.staff_cart().await);
                ready.filled = Some(new);
                return ready;
            }
            "ops/approval-requests/{id}/approve" | "ops/approval-requests/{id}/reject" => {
                ready.ids.insert("approval-requests", business.above_credit().await);
            }
            path if path.contains("countersign-requests") => {
                ready.ids.insert("countersign-requests", self.for_a_second_person(command == "withdraw").await);
            }
            "store/me/order-templates" => {}
            path if path.contains("order-templates") => {
                ready.ids.insert("order-templates", business.template().await);
                if command == "use" {
                    ready.filled = Some(json!({"cart_id": business.cart(who).await}));
                }
            }
            path if path.contains("approval-requests") => {
                ready.ids.insert("approval-requests", business.asked().await);
            }
            path if path.contains("quotes") => {
                let asked = matches!(
                    (route.surface, command),
                    (Surface::Store, "withdraw") | (Surface::Ops, "offer" | "decline")
                );
                ready.ids.insert("quotes", business.quote(!asked).await);
            }
            path if path.contains("drafts") => drop(ready.ids.insert("drafts", business.draft().await)),
            _ => {
                ready.ids.insert("companies", business.company.clone());
                ready.ids.insert("members", business.buyer.clone());
            }
        }
        if route.surface == Surface::Store {
            ready.headers = vec![("Channel-Key", self.key.clone()), ("Authorization", business.bearer(who))];
        }
        ready
    }

    /// A price that is so low that somebody else has to approve it: asked for by whoever sends the examples, or not.
    pub(super) async fn for_a_second_person(&self, own: bool) -> String {
        let name = if own { "examples" } else { "somebody" };
        let other = format!("Bearer {}", self.app.token(Audience::Staff, name, Scope::ALL));
        let bearer = if own { format!("Bearer {}", self.app.staff()) } else { other };
        let send = async |path: String, body: Value| {
            self.app.send("POST", &format!("/v1/ops{path}"), &[("Authorization", &bearer)], Some(&body)).await
        };
        let amendments = format!("/orders/{}/amendments", text(&self.order("sandbox").await["number"]));
        let id = text(&send(amendments.clone(), json!({})).await.expect(201)["id"]);
        let price = json!({"type": "set_price", "line_no": 1, "unit_price": {"amount": "0.01", "currency": "EUR"}, "reason": "x"});
        let edited = send(format!("{amendments}/{id}/edits"), json!({"edits": [price]})).await.expect(200);
        let version = json!({"order_version": edited["order_version"]});
        text(&send(format!("{amendments}/{id}/confirm"), version).await.expect(201)["id"])
    }
}
