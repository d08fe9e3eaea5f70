//! The documents' examples on the demo shop: whoever opens the explorer there can send them as they stand.

use std::{cell::Cell, collections::BTreeMap};

use kontor::{
    abandonment,
    cli::{DEMO_CHANNEL, DEMO_LEGAL_ENTITY},
    connectors, events,
    http::{auth::Audience, openapi::Surface},
    jobs::Runner,
    kernel::Scope,
};
use serde_json::{Value, json};

use crate::support::{Answer, App, Business, on_both_idle, world::Route};

type Ids = BTreeMap<&'static str, String>;

/// The examples that can not work as they stand, what they are answered, and why. Each is sent as it stands and must be answered
/// that; it is sent again with what is only known then, and must work.
const ONLY_KNOWN_THEN: [(&str, &[u16], &str); 25] = [
    ("POST /v1/store/me/recurring-orders", &[404], "`cart_id` is a cart of one's own"),
    ("POST /v1/store/me/order-templates/{id}/use", &[404], "likewise"),
    ("POST /v1/store/payment-links/open", &[404], "staff have given the token a moment ago"),
    ("POST /v1/store/payment-links/complete", &[404], "likewise"),
    ("POST /v1/ops/drafts", &[404], "`cart_id` is a cart that was made a moment ago"),
    ("POST /v1/store/carts/{id}/merge", &[404], "`from` is another cart of one's own"),
    ("POST /v1/store/carts/{id}/recover", &[404], "the token is in the message that the customer got"),
    ("POST /v1/ops/consumers/{consumer_id}/hand-over", &[404], "the new key was made a moment ago"),
    (
        "POST /v1/integration/feeds/{feed}/ack",
        &[409, 200],
        "each poll gives a lease and items; what has been passed over is done",
    ),
    ("POST /v1/integration/feeds/{feed}/nack", &[409, 200], "likewise"),
    (
        "POST /v1/ops/price-proposals/approve",
        &[200],
        "the rule has proposed it a moment ago; of the example is told that it is not there",
    ),
    ("POST /v1/ops/price-proposals/reject", &[200], "likewise"),
    ("POST /v1/ops/fulfilment-orders/{id}/merge", &[404], "`with` are others of the same order"),
    ("POST /v1/ops/processes/{ref}/retry", &[409], "nobody places an order again: `subject` is what the process names"),
    ("POST /v1/ops/processes/{ref}/skip", &[409], "likewise"),
    ("POST /v1/ops/return-requests/{id}/exchange", &[404, 409], "the same customer has placed the order a moment ago"),
    ("POST /v1/store/warranty-claims", &[404], "the number is of one's own product"),
    ("POST /v1/ops/warranty-claims", &[404], "the number was registered a moment ago"),
    ("POST /v1/ops/orders/{ref}/registrations", &[409], "a number is of one product, and it is registered already"),
    ("POST /v1/ops/orders/{ref}/amendments/{id}/confirm", &[412], "the order's version was read a moment ago"),
    ("POST /v1/ops/bulk/release", &[422], "the token is that of the preview"),
    ("POST /v1/ops/bulk/cancel", &[422], "likewise"),
    ("POST /v1/ops/bulk/resource", &[422], "likewise"),
    ("POST /v1/ops/bulk/tag", &[422], "likewise"),
    ("POST /v1/ops/bulk/resend", &[422], "likewise"),
];

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

/// What a route is tried with: ids for its path, who asks, and what belongs into the example that is only known now.
#[derive(Default)]
struct Ready {
    ids: Ids,
    headers: Vec<(&'static str, String)>,
    filled: Option<Value>,
}

struct Demo {
    app: App,
    key: String,
    routes: Vec<Route>,
    /// What the examples have made, by the last step of the path.
    made: BTreeMap<String, Value>,
    clients: Cell<u32>,
}

/// Whether a route is about what businesses have in hand.
fn is_business(tail: &str) -> bool {
    ["approval-requests", "quote", "/drafts/", "/members/", "order-templates", "countersign-requests"]
        .iter()
        .any(|word| tail.contains(word))
}

impl Demo {
    /// The demo shop and its first order, which has been shipped and paid.
    async fn open(app: App) -> Self {
        let key = kontor::cli::demo_shop(&app.state).await.unwrap();
        let routes: Vec<Route> = Route::all().into_iter().filter(|route| route.body.is_some()).collect();
        let demo = Self { app, key, routes, made: BTreeMap::new(), clients: Cell::new(0) };
        let order = demo.order("sandbox").await;
        assert_eq!(order["number"], "1001", "the examples name the first order");
        demo.shipment(&order).await;
        let mut runner = Runner::new(demo.app.state.db.clone(), demo.app.clock.clone(), 1, 60);
        kontor::api::work(&demo.app.state, &mut runner);
        runner.drain().await.unwrap();
        demo
    }

    /// The example of a route.
    fn example(&self, method: &str, path: &str) -> Value {
        let is_it = |route: &&Route| route.method == method && route.path == path;
        let (_, text) = self.routes.iter().find(is_it).unwrap_or_else(|| panic!("{path}")).body.clone().unwrap();
        serde_json::from_str(&text).unwrap()
    }

    async fn ops(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.app.ops(method, path, (!body.is_null()).then_some(&body)).await;
        assert!(answer.status < 300, "{method} {path}: {}", answer.text);
        answer.body
    }

    /// A guest's cart, as the example makes it.
    async fn cart(&self) -> Value {
        let headers = [("Channel-Key", self.key.as_str())];
        let body = self.example("POST", "/v1/store/carts");
        self.app.send("POST", "/v1/store/carts", &headers, Some(&body)).await.expect(201)
    }

    async fn complete(&self, cart: &Value, payment: Value) -> Answer {
        let token = text(&cart["token"]);
        let headers = [("Channel-Key", self.key.as_str()), ("Cart-Token", &token)];
        let path = format!("/v1/store/carts/{}/complete", text(&cart["id"]));
        self.app.send("POST", &path, &headers, Some(&json!({ "payment": payment }))).await
    }

    async fn order(&self, method: &str) -> Value {
        let cart = self.cart().await;
        self.complete(&cart, json!({ "method": method })).await.expect(201)["order"].clone()
    }

    async fn paid(&self) -> Value {
        let order = self.order("manual").await;
        self.ops("POST", &format!("/orders/{}/payments", text(&order["id"])), json!({"reference": "BANK-1"})).await;
        order
    }

    async fn fulfilment(&self, order: &Value) -> String {
        let found = self.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), Value::Null).await;
        text(&found["fulfilment_orders"][0]["id"])
    }

    async fn shipment(&self, order: &Value) -> String {
        let path = format!("/fulfilment-orders/{}/ship", self.fulfilment(order).await);
        text(&self.ops("POST", &path, json!({})).await["id"])
    }

    /// A package, which has left with a serial number or waits.
    async fn package(&self, leaves: bool) -> String {
        let work = format!("/fulfilment-orders/{}", self.fulfilment(&self.order("sandbox").await).await);
        let serials = if leaves { json!(["SN-4711"]) } else { json!([]) };
        let lines = json!([{"line_no": 1, "quantity": 2, "serials": serials}]);
        let package = text(&self.ops("POST", &format!("{work}/packages"), json!({ "lines": lines })).await["id"]);
        if leaves {
            self.ops("POST", &format!("{work}/ship"), json!({})).await;
        }
        package
    }

    /// A client that nobody has been yet: consumers are each client's own.
    fn client(&self) -> String {
        self.clients.set(self.clients.get() + 1);
        let name = format!("client-{}", self.clients.get());
        format!("Bearer {}", self.app.token(Audience::Client, &name, Scope::ALL))
    }

    async fn poll(&self, bearer: &str) -> Value {
        let path = "/v1/integration/feeds/orders?consumer=erp";
        self.app.send("GET", path, &[("Authorization", bearer)], None).await.expect(200)
    }

    async fn for_cart(&self, route: &Route) -> Ready {
        let (mut ready, cart) = (Ready::default(), self.cart().await);
        ready.headers = vec![("Channel-Key", self.key.clone()), ("Cart-Token", text(&cart["token"]))];
        ready.ids.insert("lines", text(&cart["lines"][0]["id"]));
        ready.ids.insert("carts", text(&cart["id"]));
        if route.path.ends_with("/merge") {
            let other = self.cart().await;
            ready.filled = Some(json!({"from": other["id"], "from_token": other["token"]}));
        }
        if route.path.ends_with("/recover") {
            self.app.clock.advance_seconds(3_600);
            abandonment::detect(&self.app.state, self.app.now()).await.unwrap();
            self.app.state.db.write(events::number).await.unwrap();
            let kinds = ["cart.abandoned.v1".to_owned()];
            let told = self.app.read(move |tx| events::read_after(tx, 0, &kinds, 10_000)).await.0;
            let own = told.into_iter().find(|event| event.data["cart_id"] == cart["id"]).unwrap();
            ready.filled = Some(json!({"token": own.data["recovery_token"]}));
        }
        ready
    }

    async fn for_staff_cart(&self, route: &Route) -> Ready {
        let cart = if route.path.ends_with("/give-up-payment") {
            let cart = self.cart().await;
            self.complete(&cart, json!({"method": "sandbox", "instrument": "redirect"})).await.expect(202);
            cart
        } else {
            self.ops("POST", "/carts", self.example("POST", "/v1/ops/carts")).await
        };
        Ready { ids: [("carts", text(&cart["id"]))].into(), ..Ready::default() }
    }

    async fn for_order(&self, route: &Route) -> Ready {
        let order = match route.path.rsplit('/').next().unwrap() {
            "payments" | "split" => self.order("manual").await,
            "refunds" => self.paid().await,
            "refund" => self.overpaid().await,
            "returns" | "claims" | "registrations" => {
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

    /// A registered product of an order of whoever asks.
    async fn for_warranty(&self, route: &Route) -> Ready {
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
    async fn for_own_order(&self) -> Ready {
        let cart = self.cart().await;
        let order = self.complete(&cart, json!({"method": "sandbox"})).await.expect(201)["order"].clone();
        self.shipment(&order).await;
        let headers = vec![("Channel-Key", self.key.clone()), ("Cart-Token", text(&cart["token"]))];
        Ready { ids: [("orders", text(&order["id"]))].into(), headers, ..Ready::default() }
    }

    /// An order of a customer, which has left.
    async fn customers_order(&self, ships: bool) -> Value {
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
    async fn for_request(&self, route: &Route) -> Ready {
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

    async fn for_claim(&self) -> Ready {
        let order = self.order("sandbox").await;
        self.shipment(&order).await;
        let claim = self.example("POST", "/v1/ops/orders/{ref}/claims");
        let claim = self.ops("POST", &format!("/orders/{}/claims", text(&order["id"])), claim).await;
        Ready { ids: [("claims", text(&claim["id"]))].into(), ..Ready::default() }
    }

    /// An amendment of an order, with an edit in it.
    async fn for_amendment(&self) -> Ready {
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
    async fn for_bulk(&self, route: &Route) -> Ready {
        let mut filled = self.example("POST", &route.path);
        let path = route.path.strip_prefix("/v1/ops").unwrap();
        let seen = self.ops("POST", &format!("{path}/preview"), filled.clone()).await;
        filled["token"] = seen["token"].clone();
        Ready { filled: Some(filled), ..Ready::default() }
    }

    /// A guest's order that was placed a moment ago.
    async fn for_own_changes(&self) -> Ready {
        let cart = self.cart().await;
        let order = self.complete(&cart, json!({"method": "sandbox", "instrument": "approve"})).await.expect(201);
        let headers = vec![("Channel-Key", self.key.clone()), ("Cart-Token", text(&cart["token"]))];
        Ready { ids: [("orders", text(&order["order"]["id"]))].into(), headers, ..Ready::default() }
    }

    async fn for_feed(&self, route: &Route) -> Ready {
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

    async fn for_connector(&self, connector: &Value) -> Ready {
        let id = text(&connector["id"]);
        self.order("sandbox").await;
        self.app.state.db.write(events::number).await.unwrap();
        connectors::dispatch(&self.app.state).await.unwrap();
        let found = self.ops("GET", &format!("/connectors/{id}/dispatches"), Value::Null).await;
        let dispatch = text(&found["items"][0]["id"]);
        Ready { ids: [("connectors", id), ("dispatches", dispatch)].into(), ..Ready::default() }
    }

    async fn for_consumer(&self) -> Ready {
        let key = || self.ops("POST", "/api-keys", self.example("POST", "/v1/ops/api-keys"));
        let (former, next) = (key().await, key().await);
        self.poll(&format!("Bearer {}", text(&former["key"]))).await;
        let consumers = self.ops("GET", "/consumers", Value::Null).await;
        let mut all = consumers["items"].as_array().unwrap().iter();
        let consumer = text(&all.find(|one| one["client"] == former["id"]).unwrap()["id"]);
        let filled = Some(json!({"api_key": next["id"]}));
        Ready { ids: [("consumer_id", consumer)].into(), filled, ..Ready::default() }
    }

    async fn for_customer(&self, route: &Route) -> Ready {
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
    async fn for_me(&self) -> Ready {
        let bearer = format!("Bearer {}", self.app.token(Audience::Customer, "ada", &[]));
        let headers = [("Channel-Key", self.key.as_str()), ("Authorization", &bearer)];
        let entry = self.example("POST", "/v1/store/me/addresses");
        let book = self.app.send("POST", "/v1/store/me/addresses", &headers, Some(&entry)).await.expect(201);
        Ready { ids: [("addresses", text(&book["addresses"][0]["id"]))].into(), ..Ready::default() }
    }

    async fn for_refund(&self) -> Ready {
        let order = format!("/orders/{}", text(&self.paid().await["id"]));
        self.ops("POST", &format!("{order}/refunds"), self.example("POST", "/v1/ops/orders/{ref}/refunds")).await;
        let payments = self.ops("GET", &format!("{order}/payments"), Value::Null).await;
        let operations = payments["payments"][0]["operations"].as_array().unwrap();
        let waits = operations.iter().find(|one| one["state"] == "pending").unwrap();
        Ready { ids: [("payment-operations", text(&waits["id"]))].into(), ..Ready::default() }
    }

    /// A payment that was taken, and a dispute of it.
    async fn for_dispute(&self, open: bool) -> Ready {
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
    async fn overpaid(&self) -> Value {
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
    async fn for_payment(&self) -> Ready {
        let cart = self.cart().await;
        self.complete(&cart, json!({"method": "sandbox", "instrument": "unreachable"})).await.expect(202);
        let give_up = format!("/carts/{}/give-up-payment", text(&cart["id"]));
        self.ops("POST", &give_up, json!({"force": true})).await;
        let failed = self.ops("GET", "/worklists/failed_payments", Value::Null).await;
        Ready { ids: [("payments", text(&failed["items"][0]["id"]))].into(), ..Ready::default() }
    }

    async fn for_list(&self) -> Ready {
        let order = self.order("manual").await;
        self.app.clock.advance_seconds(9 * 86_400);
        Ready {
            ids: [("worklists", "unpaid_orders".to_owned()), ("items", text(&order["id"]))].into(),
            ..Ready::default()
        }
    }

    /// A company with what its people have in hand, a new one for each route.
    async fn for_business(&self, route: &Route) -> Ready {
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
    async fn for_a_second_person(&self, own: bool) -> String {
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

    /// An order that a supplier is to ship.
    async fn for_supplier(&self) -> Ready {
        let known = self.ops("GET", "/locations", Value::Null).await;
        if !known["items"].as_array().unwrap().iter().any(|place| place["code"] == "mill") {
            let place = json!({"code": "mill", "name": "Mill", "country": "DE", "time_zone": "Europe/Berlin", "priority": 900,
                "kind": "supplier"});
            self.ops("POST", "/locations", place).await;
        }
        let order = self.order("sandbox").await;
        let lines = order["lines"].as_array().unwrap().iter();
        let lines =
            lines.map(|line| json!({"sku": line["sku"], "location": "mill", "change": 9, "reason": "their list"}));
        self.ops("POST", "/stock/adjustments", json!({ "lines": lines.collect::<Vec<_>>() })).await;
        let path = format!("/fulfilment-orders/{}/move", self.fulfilment(&order).await);
        let moved = self.ops("POST", &path, json!({"location": "mill"})).await;
        Ready { ids: [("supplier-orders", text(&moved["moved_to"][0]["id"]))].into(), ..Ready::default() }
    }

    async fn for_work(&self, route: &Route) -> Ready {
        let command = route.path.rsplit('/').next().unwrap();
        let asked = matches!(command, "accept" | "decline");
        let places = self.ops("GET", "/locations", Value::Null).await;
        let places: Vec<String> = places["items"].as_array().unwrap().iter().map(|one| text(&one["id"])).collect();
        let minutes = async |minutes: Value| {
            for id in places.iter().filter(|_| asked) {
                self.ops("PATCH", &format!("/locations/{id}"), json!({ "accept_minutes": minutes.clone() })).await;
            }
        };
        minutes(json!(60)).await;
        let order = self.order("sandbox").await;
        minutes(Value::Null).await;
        let fulfilment = self.fulfilment(&order).await;
        let before = |command: &str, body: Value| {
            let path = format!("/fulfilment-orders/{fulfilment}/{command}");
            async move { self.ops("POST", &path, body).await }
        };
        let mut ready = Ready { ids: [("fulfilment-orders", fulfilment.clone())].into(), ..Ready::default() };
        match command {
            "release" => drop(before("hold", self.example("POST", "/v1/ops/fulfilment-orders/{id}/hold")).await),
            "answer-cancel" => drop(before("request-cancel", json!({"reason": "ordered twice"})).await),
            "unpick" | "unpack" => drop(before("pack", json!({})).await),
            "collect" => {
                let comes = self.example("POST", "/v1/ops/orders/{ref}/redirect");
                drop(self.ops("POST", &format!("/orders/{}/redirect", text(&order["id"])), comes).await);
            }
            "merge" => {
                let split = self.example("POST", "/v1/ops/fulfilment-orders/{id}/split");
                let part = before("split", split).await["moved_to"][0]["id"].clone();
                ready.filled = Some(json!({ "with": [part] }));
            }
            "move" => {
                let place = self.example("POST", "/v1/ops/fulfilment-orders/{id}/move")["location"].clone();
                let goods = order["lines"].as_array().unwrap().iter();
                let goods: Vec<Value> = goods
                    .map(|line| json!({"sku": line["sku"], "location": place, "change": 9, "reason": "for it"}))
                    .collect();
                self.ops("POST", "/stock/adjustments", json!({ "lines": goods })).await;
            }
            _ => {}
        }
        ready
    }

    /// An order whose process has a step that takes the decision.
    async fn for_process(&self, route: &Route) -> Ready {
        let order = self.order("sandbox").await;
        let fulfilment = self.fulfilment(&order).await;
        let hold = |kind: &str| {
            let (path, body) = (format!("/fulfilment-orders/{fulfilment}/hold"), json!({"kind": kind, "reason": "x"}));
            async move { drop(self.ops("POST", &path, body).await) }
        };
        let filled = match route.path.rsplit('/').next().unwrap() {
            "retry" => {
                hold("stock").await;
                Some(json!({"step": "source", "subject": fulfilment.clone(), "reason": "they have come"}))
            }
            "skip" => {
                hold("fraud").await;
                Some(json!({"step": "hold", "subject": fulfilment.clone(), "reason": "it is none"}))
            }
            _ => None,
        };
        Ready { ids: [("processes", text(&order["id"]))].into(), filled, ..Ready::default() }
    }

    /// A promotion of its own.
    async fn for_promotion(&self, route: &Route) -> Ready {
        let mut new = self.example("POST", "/v1/ops/promotions");
        new["code"] = json!(format!("for {}", route.path));
        let id = text(&self.ops("POST", "/promotions", new).await["id"]);
        Ready { ids: [("promotions", id)].into(), ..Ready::default() }
    }

    /// A price rule of its own, which is active.
    async fn price_rule(&self, name: &str) -> String {
        let mut new = self.example("POST", "/v1/ops/price-rules");
        new["code"] = json!(name);
        let id = text(&self.ops("POST", "/price-rules", new).await["id"]);
        self.ops("POST", &format!("/price-rules/{id}/activate"), Value::Null).await;
        id
    }

    /// What a price rule proposes for what is a month old.
    async fn for_proposal(&self, route: &Route) -> Ready {
        let id = self.price_rule(&format!("for {}", route.path)).await;
        let old = json!({"signal": {"type": "age"}, "tiers": [{"change": "-10"}]});
        self.ops("PATCH", &format!("/price-rules/{id}"), old).await;
        self.ops("POST", &format!("/price-rules/{id}/run"), Value::Null).await;
        let mut runner = Runner::new(self.app.state.db.clone(), self.app.clock.clone(), 1, 60);
        kontor::repricing::work(&self.app.state, &mut runner);
        runner.drain().await.unwrap();
        let waits = self.ops("GET", &format!("/price-proposals?rule_id={id}&state=open"), Value::Null).await;
        Ready { filled: Some(json!({"ids": [waits["items"][0]["id"]]})), ..Ready::default() }
    }

    /// An order to a supplier, who has it.
    async fn for_purchase(&self, route: &Route) -> Ready {
        let mut new = self.example("POST", "/v1/ops/purchase-orders");
        new["number"] = json!(route.path);
        let id = text(&self.ops("POST", "/purchase-orders", new).await["id"]);
        self.ops("POST", &format!("/purchase-orders/{id}/order"), Value::Null).await;
        Ready { ids: [("purchase-orders", id)].into(), ..Ready::default() }
    }

    /// A shipment of loose goods that is expected.
    async fn inbound(&self) -> String {
        let mut new = self.example("POST", "/v1/ops/inbound-shipments");
        for line in new["lines"].as_array_mut().unwrap() {
            line.as_object_mut().unwrap().remove("sscc");
        }
        text(&self.ops("POST", "/inbound-shipments", new).await["id"])
    }

    /// Goods that wait at a dock to be put away.
    async fn for_task(&self) -> Ready {
        let locations = self.ops("GET", "/locations", Value::Null).await;
        let mut all = locations["items"].as_array().unwrap().iter();
        let dock = text(&all.find(|one| one["code"] == "demo-berlin").unwrap()["id"]);
        self.ops("PATCH", &format!("/docks/{dock}"), self.example("PATCH", "/v1/ops/docks/{id}")).await;
        self.ops("POST", &format!("/inbound-shipments/{}/receive", self.inbound().await), json!({})).await;
        let tasks = self.ops("GET", &format!("/docks/{dock}/tasks"), Value::Null).await;
        let task = tasks["items"].as_array().unwrap().iter().find(|one| one["kind"] == "put_away").unwrap();
        Ready { ids: [("dock-tasks", text(&task["id"]))].into(), ..Ready::default() }
    }

    /// A transfer: a draft where it is to be shipped or cancelled, under way otherwise.
    async fn for_transfer(&self, route: &Route) -> Ready {
        let new = self.example("POST", "/v1/ops/transfers");
        let id = text(&self.ops("POST", "/transfers", new).await["id"]);
        if !route.path.ends_with("/ship") && !route.path.ends_with("/cancel") {
            self.ops("POST", &format!("/transfers/{id}/ship"), json!({})).await;
        }
        if route.path.ends_with("/correct") {
            self.ops("POST", &format!("/transfers/{id}/receive"), json!({})).await;
        }
        Ready { ids: [("transfers", id)].into(), ..Ready::default() }
    }

    /// Everything that a route needs to be there.
    async fn ready(&self, route: &Route) -> Ready {
        let tail = route.path.strip_prefix(route.surface.prefix()).unwrap();
        let Some(variable) = tail.find("/{") else {
            match tail {
                _ if tail.starts_with("/price-proposals/") => return self.for_proposal(route).await,
                "/me/recurring-orders" | "/payment-links/open" | "/payment-links/complete" | "/drafts" => {
                    return self.for_business(route).await;
                }
                _ if tail.starts_with("/bulk/") && !tail.ends_with("/preview") => return self.for_bulk(route).await,
                "/warranty-claims" => return self.for_warranty(route).await,
                "/waves" => drop(self.order("sandbox").await),
                "/serials/release" => drop(self.package(true).await),
                _ => {}
            }
            return Ready::default();
        };
        match (route.surface, &tail[1..variable]) {
            _ if is_business(tail) => self.for_business(route).await,
            (Surface::Store, "carts") => self.for_cart(route).await,
            (Surface::Store, "orders") if tail.contains("/changes") => self.for_own_changes().await,
            (Surface::Store, "orders") => self.for_own_order().await,
            (Surface::Store, _) => self.for_me().await,
            (_, "carts") => self.for_staff_cart(route).await,
            (_, "orders") if tail.contains("/amendments/") => self.for_amendment().await,
            (_, "orders") => self.for_order(route).await,
            (_, "return-requests") => self.for_request(route).await,
            (_, "claims") => self.for_claim().await,
            (_, "registrations") => self.for_warranty(route).await,
            (_, "feeds") => self.for_feed(route).await,
            (_, "connectors") => self.for_connector(&self.made["connectors"]).await,
            (_, "consumers") => self.for_consumer().await,
            (_, "customers") => self.for_customer(route).await,
            (_, "payment-operations") => self.for_refund().await,
            (_, "payments") if route.path.ends_with("/disputes") => self.for_dispute(false).await,
            (_, "payments") => self.for_payment().await,
            (_, "disputes") => self.for_dispute(true).await,
            (_, "sandbox/payments") => {
                let pay = json!({"method": "sandbox", "instrument": "approve_recorded"});
                let order = self.complete(&self.cart().await, pay).await.expect(201)["order"].clone();
                Ready { ids: [("payments", text(&order["payments"][0]["id"]))].into(), ..Ready::default() }
            }
            (_, "worklists") => self.for_list().await,
            (_, "fulfilment-orders") => self.for_work(route).await,
            (_, "processes") => self.for_process(route).await,
            (_, "supplier-orders") => self.for_supplier().await,
            (_, "waves") => {
                let work = self.fulfilment(&self.order("sandbox").await).await;
                let body = json!({"location": "demo-berlin", "fulfilment_orders": [work]});
                let wave = text(&self.ops("POST", "/waves", body).await["id"]);
                Ready { ids: [("waves", wave)].into(), ..Ready::default() }
            }
            (_, "packages") => Ready { ids: [("packages", self.package(false).await)].into(), ..Ready::default() },
            (_, "shipments") => {
                let shipment = self.shipment(&self.order("sandbox").await).await;
                if route.path.ends_with("/settle") {
                    let lost = json!({"text": "nobody knows where it is", "mark": "lost"});
                    self.ops("POST", &format!("/shipments/{shipment}/scans"), lost).await;
                }
                Ready { ids: [("shipments", shipment)].into(), ..Ready::default() }
            }
            (_, "promotions") => self.for_promotion(route).await,
            (_, "purchase-orders") => self.for_purchase(route).await,
            (_, "inbound-shipments") => {
                let id = self.inbound().await;
                if route.path.ends_with("/correct") {
                    self.ops("POST", &format!("/inbound-shipments/{id}/receive"), json!({})).await;
                }
                Ready { ids: [("inbound-shipments", id)].into(), ..Ready::default() }
            }
            (_, "dock-tasks") => self.for_task().await,
            (_, "docks") => {
                let dock = text(&self.made["locations"]["id"]);
                Ready { ids: [("docks", dock)].into(), ..Ready::default() }
            }
            (_, "transfers") => self.for_transfer(route).await,
            (_, "stock-counts") => {
                let count = text(&self.made["stock-counts"]["id"]);
                Ready { ids: [("stock-counts", count)].into(), ..Ready::default() }
            }
            (_, "price-rules") => {
                let id = self.price_rule(&format!("for {} {}", route.method, route.path)).await;
                Ready { ids: [("price-rules", id)].into(), ..Ready::default() }
            }
            (_, "sourcing/profiles") => {
                let mut new = self.example("POST", "/v1/ops/sourcing/profiles");
                new["code"] = json!(format!("for {} {}", route.method, &route.path[16..]));
                let id = text(&self.ops("POST", "/sourcing/profiles", new).await["id"]);
                if route.path.ends_with("/retire") {
                    self.ops("POST", &format!("/sourcing/profiles/{id}/activate"), Value::Null).await;
                }
                Ready { ids: [("profiles", id)].into(), ..Ready::default() }
            }
            (_, "risk/profiles") => Ready { ids: [("channel_id", DEMO_CHANNEL.to_owned())].into(), ..Ready::default() },
            (_, "risk/lists") => {
                let mut new = self.example("POST", "/v1/ops/risk/lists");
                new["value"] = json!("198.51.100.0/24");
                let id = text(&self.ops("POST", "/risk/lists", new).await["id"]);
                Ready { ids: [("lists", id)].into(), ..Ready::default() }
            }
            (_, "coupons") => Ready { ids: [("coupons", "WELCOME10".to_owned())].into(), ..Ready::default() },
            (_, "invoices") => {
                let order = text(&self.order("sandbox").await["id"]);
                let made = self.ops("POST", &format!("/orders/{order}/invoices"), json!({"kind": "invoice"})).await;
                Ready { ids: [("invoices", text(&made["id"]))].into(), ..Ready::default() }
            }
            (_, "lots") => {
                let lots = self.ops("GET", "/lots?sku=COFFEE-500", Value::Null).await;
                Ready { ids: [("lots", text(&lots["items"][0]["id"]))].into(), ..Ready::default() }
            }
            (_, "stored-values") => {
                let card = text(&self.made["gift-cards"]["id"]);
                Ready { ids: [("stored-values", card)].into(), ..Ready::default() }
            }
            (_, kind) => {
                let own = [("channels", DEMO_CHANNEL), ("legal-entities", DEMO_LEGAL_ENTITY)];
                let mut ids: Ids = own.map(|(kind, id)| (kind, id.to_owned())).into();
                for known in
                    ["carrier-accounts", "companies", "price-lists", "variants", "locations", "shipping-methods"]
                {
                    ids.extend((known == kind).then(|| (known, text(&self.made[known]["id"]))));
                }
                Ready { ids, ..Ready::default() }
            }
        }
    }

    async fn send(&self, route: &Route, ready: &Ready, body: &(String, String)) -> Answer {
        let bearer = match route.surface {
            Surface::Store if route.path.contains("/me") => {
                format!("Bearer {}", self.app.token(Audience::Customer, "ada", &[]))
            }
            Surface::Store => String::new(),
            Surface::Ops => format!("Bearer {}", self.app.staff()),
            Surface::Integration => format!("Bearer {}", self.app.token(Audience::Client, "erp", Scope::ALL)),
        };
        let mut headers = ready.headers.clone();
        if headers.is_empty() && route.surface == Surface::Store {
            headers.push(("Channel-Key", self.key.clone()));
        }
        if headers.iter().all(|(name, _)| *name != "Authorization") && !bearer.is_empty() {
            headers.push(("Authorization", bearer));
        }
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = Some((body.0.as_str(), body.1.clone()));
        self.app.send_text(&route.method, &route.fill(&ready.ids), &headers, body).await
    }
}

/// What is wrong with an answer to an example, if anything: it must be one of the documented 2xx, and rows of an import must have
/// been taken.
fn wrong(documents: &[Value; 3], route: &Route, answer: &Answer) -> Option<String> {
    let document = &documents[Surface::ALL.iter().position(|surface| *surface == route.surface).unwrap()];
    let responses = &document["paths"][&route.path][route.method.to_lowercase()]["responses"];
    let documented = responses[answer.status.to_string()].is_object();
    let taken =
        answer.body["failed"].as_i64().unwrap_or(0) == 0 && answer.body["errors"].as_array().is_none_or(Vec::is_empty);
    let right = (200..300).contains(&answer.status) && documented && taken;
    (!right).then(|| format!("{} {}: {} {}", route.method, route.path, answer.status, answer.text))
}

#[test]
fn every_example_works_on_the_demo_shop() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let mut demo = Demo::open(app).await;
        let documents = Surface::ALL.map(|surface| serde_json::to_value(kontor::api::openapi(surface)).unwrap());
        // What makes things comes first.
        let mut routes = demo.routes.clone();
        routes.sort_by_key(|route| route.path.contains('{'));
        let (mut found, mut excused) = (Vec::new(), 0);
        for route in &routes {
            let (ready, example) = (demo.ready(route).await, route.body.clone().unwrap());
            let answer = demo.send(route, &ready, &example).await;
            let name = format!("{} {}", route.method, route.path);
            match ONLY_KNOWN_THEN.iter().find(|(known, ..)| *known == name) {
                None => found.extend(wrong(&documents, route, &answer)),
                Some((_, statuses, why)) => {
                    excused += 1;
                    assert!(statuses.contains(&answer.status), "{name}: {why}: {} {}", answer.status, answer.text);
                    let (filled, sent) = (ready.filled.clone().unwrap(), demo.example(&route.method, &route.path));
                    for member in sent.as_object().unwrap().keys() {
                        assert!(filled.get(member).is_some(), "{name}: {member} of the example is left out");
                    }
                    let body = (example.0, filled.to_string());
                    found.extend(wrong(&documents, route, &demo.send(route, &ready, &body).await));
                }
            }
            if !route.path.contains('{') && answer.status == 201 {
                demo.made.insert(route.path.rsplit('/').next().unwrap().to_owned(), answer.body);
            }
        }
        assert!(found.is_empty(), "{}:\n{}", found.len(), found.join("\n"));
        assert_eq!(excused, ONLY_KNOWN_THEN.len(), "an excuse is not needed any more");
        assert!(routes.len() > 60, "there were more examples than {}", routes.len());
    });
}

#[test]
fn what_a_path_is_filled_with_has_an_example_where_it_is_no_id() {
    for surface in Surface::ALL {
        let document = serde_json::to_value(kontor::api::openapi(surface)).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for operation in item.as_object().unwrap().values() {
                for one in operation["parameters"].as_array().into_iter().flatten() {
                    if one["in"] == "path" && one["name"] == "ref" {
                        assert_eq!(one["example"], "1001", "{path}");
                    }
                }
            }
        }
    }
}
