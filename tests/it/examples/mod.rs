//! The documents' examples on the demo shop: whoever opens the explorer there can send them as they stand.

use std::{cell::Cell, collections::BTreeMap};

use kontor::{
    abandonment,
    cli::{DEMO_CHANNEL, DEMO_LEGAL_ENTITY},
    events,
    http::{auth::Audience, openapi::Surface},
    jobs::Runner,
    kernel::Scope,
};
use serde_json::{Value, json};

mod goods;
mod orders;

use crate::support::{Answer, App, on_both_idle, world::Route};

type Ids = BTreeMap<&'static str, String>;

/// The examples that can not work as they stand, what they are answered, and why. Each is sent as it stands and must be answered
/// that; it is sent again with what is only known then, and must work.
const ONLY_KNOWN_THEN: [(&str, &[u16], &str); 30] = [
    ("POST /v1/store/me/recurring-orders", &[404], "`cart_id` is a cart of one's own"),
    ("POST /v1/store/me/order-templates/{id}/use", &[404], "likewise"),
    ("POST /v1/store/payment-links/open", &[404], "staff have given the token a moment ago"),
    ("POST /v1/store/payment-links/complete", &[404], "likewise"),
    ("POST /v1/store/payment-requests/open", &[404], "likewise"),
    ("POST /v1/store/payment-requests/pay", &[404], "likewise"),
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
    ("POST /v1/store/gift-returns/open", &[404], "the token is of one's own receipt"),
    ("POST /v1/store/gift-returns", &[404], "the token is of one's own receipt"),
    ("POST /v1/store/warranty-claims", &[404], "the number is of one's own product"),
    ("POST /v1/ops/warranty-claims", &[404], "the number was registered a moment ago"),
    ("POST /v1/ops/orders/{ref}/registrations", &[409], "a number is of one product, and it is registered already"),
    ("POST /v1/ops/orders/{ref}/amendments/{id}/confirm", &[412], "the order's version was read a moment ago"),
    ("POST /v1/ops/connectors/{id}/resync", &[422], "the stretch is that of a night of one's own"),
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
        // There is enough where orders leave from, so that what they are moved to is another place.
        let work = demo.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), Value::Null).await;
        let lines: Vec<Value> = order["lines"].as_array().unwrap().iter().map(|line| {
            json!({"sku": line["sku"], "location": work["fulfilment_orders"][0]["location_id"], "change": 500, "reason": "enough"})
        }).collect();
        demo.ops("POST", "/stock/adjustments", json!({ "lines": lines })).await;
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

    /// Everything that a route needs to be there.
    async fn ready(&self, route: &Route) -> Ready {
        let tail = route.path.strip_prefix(route.surface.prefix()).unwrap();
        let Some(variable) = tail.find("/{") else {
            match tail {
                _ if tail.starts_with("/price-proposals/") => return self.for_proposal(route).await,
                "/me/recurring-orders" | "/payment-links/open" | "/payment-links/complete" | "/drafts" => {
                    return self.for_business(route).await;
                }
                "/payment-requests/open" | "/payment-requests/pay" => return self.for_asked(route).await,
                _ if tail.starts_with("/bulk/") && !tail.ends_with("/preview") => return self.for_bulk(route).await,
                "/warranty-claims" => return self.for_warranty(route).await,
                "/gift-returns" | "/gift-returns/open" => return self.for_gift(route).await,
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
            (Surface::Store, "orders") if tail.ends_with("/exchange") => self.for_own_exchange().await,
            (Surface::Store, "orders") => self.for_own_order().await,
            (Surface::Store, _) => self.for_me().await,
            (_, "carts") => self.for_staff_cart(route).await,
            (_, "orders") if tail.contains("/amendments/") => self.for_amendment().await,
            (_, "orders") => self.for_order(route).await,
            (_, "return-requests") => self.for_request(route).await,
            (_, "claims") => self.for_claim().await,
            (_, "registrations") => self.for_warranty(route).await,
            (_, "feeds") => self.for_feed(route).await,
            (_, "connectors") if tail.contains("/reconcil") || tail.ends_with("/resync") => {
                self.for_reconciliation(route).await
            }
            (_, "connectors") => self.for_connector(&self.made["connectors"]).await,
            (_, "consumers") => self.for_consumer().await,
            (_, "customers") => self.for_customer(route).await,
            (_, "payment-requests") => self.for_asked(route).await,
            (_, "payment-operations") => self.for_refund().await,
            (_, "payments") if route.path.ends_with("/disputes") || route.path.ends_with("/fees") => {
                self.for_dispute(false).await
            }
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
