//! Two channels of one merchant, each with something of everything in it: what one's people must not see of the other.

use std::{collections::BTreeMap, io::Read};

use kontor::{
    abandonment, connectors,
    db::{dump, sql},
    http::{auth::Audience, openapi::Surface},
    jobs::{self, NewJob},
    kernel::{Id, Scope, ids::ConnectorRunId},
};
use serde_json::{Value, json};

use super::{Answer, App, Business, Shop};

/// One channel. `ids` are by the word that stands before them in a path.
pub struct Side {
    pub shop: Shop,
    pub ids: BTreeMap<&'static str, String>,
    /// The order's number, and other words that must not be told.
    pub words: Vec<String>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

/// The two sides. Nothing runs beside requests; it is nine days after the orders.
pub async fn two_sides(app: &App) -> (Side, Side) {
    app.leaves_work();
    let goods = [("TEE", "19.90", 100), ("MUG", "9.90", 100)];
    let ours = Shop::open(app, &goods).await;
    let theirs = beside(&ours).await;
    let mut sides = (fill(ours, "alpha").await, fill(theirs, "bravo").await);
    app.clock.advance_seconds(9 * 86_400);
    app.state.db.write(kontor::events::number).await.unwrap();
    connectors::dispatch(&app.state).await.unwrap();
    abandonment::detect(&app.state, app.now()).await.unwrap();
    let job = a_dead_job(app).await;
    for side in [&mut sides.0, &mut sides.1] {
        let path = format!("/connectors/{}/dispatches", side.ids["connectors"]);
        let dispatches = app.ops("GET", &path, None).await.expect(200);
        side.ids.insert("dispatches", text(&dispatches["items"][0]["id"]));
        side.ids.insert("jobs", job.clone());
    }
    sides
}

/// A second channel beside a shop's, of another legal entity, with a warehouse that it shares.
async fn beside(ours: &Shop) -> Shop {
    let app = &ours.app;
    let entity = json!({"code": "bravo", "name": "Bravo GmbH", "country": "AT", "time_zone": "Europe/Vienna"});
    let entity = app.ops("POST", "/legal-entities", Some(&entity)).await.expect(201);
    let channel = json!({
        "code": "at", "name": "Bravo", "legal_entity_id": entity["id"],
        "settings": {
            "currencies": ["EUR"], "locales": ["de-AT"], "countries": ["DE", "AT"], "time_zone": "Europe/Vienna",
            "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"},
            "payment_methods": ["manual", "sandbox"]
        }
    });
    let channel = app.ops("POST", "/channels", Some(&channel)).await.expect(201);
    let method = json!({
        "channel_id": channel["id"], "code": "standard", "name": "Parcel", "tax_class": "standard",
        "rates": [{"countries": ["DE", "AT"], "price": {"amount": "4.90", "currency": "EUR"}}]
    });
    app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
    Shop { channel: text(&channel["id"]), key: text(&channel["publishable_keys"][0]), ..ours.clone() }
}

async fn fill(shop: Shop, name: &str) -> Side {
    let (app, channel) = (shop.app.clone(), shop.channel.clone());
    let make = async |path: &str, body: Value| app.ops("POST", path, Some(&body)).await.expect(201);
    let mut ids: BTreeMap<&'static str, String> = [
        ("channels", channel.clone()),
        ("feeds", "orders".to_owned()),
        ("snapshots", "orders".to_owned()),
        ("consumers", "erp".to_owned()),
        ("parked", "1".to_owned()),
        ("worklists", "unpaid_orders".to_owned()),
    ]
    .into();
    // First, so that it is told of all that follows.
    let connector = json!({"name": name, "adapter": "webhook", "settings": {"url": "http://127.0.0.1:9/"},
        "channels": [channel]});
    ids.insert("connectors", text(&make("/connectors", connector).await["id"]));
    let rules = json!({"rules": [], "hold_at": 1000});
    app.ops("PUT", &format!("/risk/profiles/{channel}"), Some(&rules)).await.expect(200);
    ids.insert("channel_id", channel.clone());
    ids.insert("countersign-requests", for_a_second_person(&shop).await);
    let order = shop.order(&[("TEE", 3)]).await;
    let id = text(&order["id"]);
    let judged = app.ops("GET", &format!("/orders/{id}/risk"), None).await.expect(200);
    ids.insert("assessments", text(&judged["id"]));
    let fulfilment = app.ops("GET", &format!("/orders/{id}/fulfilment"), None).await.expect(200);
    let fulfilment = text(&fulfilment["fulfilment_orders"][0]["id"]);
    let parcel = json!({"lines": [{"line_no": 1, "quantity": 1}]});
    let shipment = make(&format!("/fulfilment-orders/{fulfilment}/ship"), parcel.clone()).await;
    let lost = json!({"text": "gone", "mark": "lost"});
    app.ops("POST", &format!("/shipments/{}/scans", text(&shipment["id"])), Some(&lost)).await.expect(200);
    let amendment = make(&format!("/orders/{id}/amendments"), json!({"reason": name, "minutes": 10_080})).await;
    ids.insert("amendments", text(&amendment["id"]));
    ids.insert("bulk", a_bulk_job(&app, &text(&order["number"])).await);
    ids.insert("supplier-orders", a_supplier_order(&shop, name).await);
    let wave = make("/waves", json!({"location": "berlin", "fulfilment_orders": [fulfilment]})).await;
    ids.insert("waves", text(&wave["id"]));
    let box_of = json!({"lines": [{"line_no": 1, "quantity": 1, "serials": [name]}]});
    let package = text(&make(&format!("/fulfilment-orders/{fulfilment}/packages"), box_of).await["id"]);
    let carrier = json!({"code": name, "adapter": "manual", "settings": {"carrier": name}});
    ids.insert("carrier-accounts", text(&make("/carrier-accounts", carrier).await["id"]));
    let label = make(&format!("/packages/{package}/carrier-labels"), json!({"account": name})).await;
    ids.insert("carrier-labels", text(&label["id"]));
    ids.insert("packages", package);
    let manifest = make("/manifests", json!({"location": "berlin", "carrier": name})).await;
    ids.insert("manifests", text(&manifest["id"]));
    let back = make("/returns", json!({"order": id, "lines": parcel["lines"], "restock": true})).await;
    let words = vec![text(&order["number"]), text(&back["number"])];
    for (word, id) in [
        ("processes", id.clone()),
        ("orders", id),
        ("fulfilment-orders", fulfilment),
        ("shipments", text(&shipment["id"])),
        ("returns", text(&back["id"])),
        ("payments", a_sandbox_payment(&shop).await),
    ] {
        ids.insert(word, id);
    }
    sent_back(&shop, &mut ids).await;
    let invoice = an_invoice(&app, &channel, &ids["orders"]).await;
    ids.insert("invoices", invoice);
    let unpaid = shop.cart(&[("TEE", 1)]).await;
    let pay = json!({"payment": {"method": "manual"}});
    let path = format!("/carts/{}/complete", unpaid.id);
    let unpaid = shop.store("POST", &path, Some(&unpaid.token), Some(&pay)).await.expect(201);
    ids.insert("items", text(&unpaid["order"]["id"]));
    let asked = make(&format!("/orders/{}/payment-requests", ids["items"]), json!({})).await;
    ids.insert("payment-requests", text(&asked["id"]));
    ids.insert("payment-operations", a_refund_by_hand(&shop).await);
    ids.insert("disputes", a_dispute(&shop).await);
    let cart = shop.cart(&[("MUG", 1)]).await;
    ids.insert("lines", text(&cart.body["lines"][0]["id"]));
    ids.insert("carts", cart.id);
    let list = json!({"code": format!("{name}-list"), "name": name, "currency": "EUR", "channel_id": channel});
    ids.insert("price-lists", text(&make("/price-lists", list).await["id"]));
    let rule = json!({"code": format!("{name}-rule"), "name": name, "price_list": format!("{name}-list"), "reference_list": "base",
        "signal": {"type": "age"}, "tiers": [{"change": "-10"}]});
    let rule = text(&make("/price-rules", rule).await["id"]);
    app.ops("POST", &format!("/price-rules/{rule}/activate"), None).await.expect(200);
    app.ops("POST", &format!("/price-rules/{rule}/run"), None).await.expect(202);
    let mut runner = jobs::Runner::new(app.state.db.clone(), app.clock.clone(), 1, 60);
    kontor::repricing::work(&app.state, &mut runner);
    runner.drain().await.unwrap();
    // A server that works may have taken the job.
    let path = format!("/price-proposals?rule_id={rule}&state=open");
    let open = || app.ops("GET", &path, None);
    super::eventually("the rule proposes", || async { open().await.expect(200)["items"][0].is_object() }).await;
    let proposed = open().await.expect(200);
    ids.insert("price-proposals", text(&proposed["items"][0]["id"]));
    ids.insert("price-rules", rule);
    let method = json!({"channel_id": channel, "code": name, "name": name, "tax_class": "standard",
        "rates": [{"countries": ["DE"], "price": {"amount": "9.90", "currency": "EUR"}}]});
    let profile = json!({"code": format!("{name}-sourcing"), "channel_id": channel,
        "document": {"strategies": [{"name": "fewest parcels"}]}});
    ids.insert("profiles", text(&make("/sourcing/profiles", profile).await["id"]));
    ids.insert("shipping-methods", text(&make("/shipping-methods", method).await["id"]));
    let promotion = json!({"code": format!("{name}-sale"), "name": name, "channel_id": channel, "conditions": {"coupon": true},
        "gift": {"type": "percentage", "percent": "10", "on": "lines"}});
    let promotion = text(&make("/promotions", promotion).await["id"]);
    let code = make(&format!("/promotions/{promotion}/coupons"), json!({"code": format!("{name}-code")})).await;
    ids.insert("coupons", text(&code["code"]));
    let batch = json!({"size": 1});
    let batch = app.ops("POST", &format!("/promotions/{promotion}/coupon-batches"), Some(&batch)).await.expect(202);
    ids.insert("coupon-batches", text(&batch["id"]));
    ids.insert("promotions", promotion);
    ids.insert("versions", "1".to_owned());
    let whole = app.ops("GET", &format!("/channels/{channel}"), None).await.expect(200);
    ids.insert("legal-entities", text(&whole["legal_entity_id"]));
    let another = app.ops("POST", &format!("/channels/{channel}/keys"), None).await.expect(201);
    ids.insert("keys", text(&another["key"]));
    let key = json!({"name": name, "scopes": ["feeds:read"], "channels": [channel]});
    let key = make("/api-keys", key).await;
    ids.insert("api-keys", text(&key["id"]));
    ids.insert("consumer_id", a_consumer(&app, &key).await);
    let wish = json!({"sku": "TEE", "email": format!("{name}@example.org"), "consent": true});
    shop.store("POST", "/back-in-stock", None, Some(&wish)).await.expect(202);
    let waits = app.ops("GET", &format!("/back-in-stock?channel_id={channel}"), None).await.expect(200);
    ids.insert("back-in-stock", text(&waits["items"][0]["id"]));
    runs(&app, &mut ids).await;
    business(&shop, name, &mut ids).await;
    shared(&app, name, &mut ids).await;
    Side { shop, ids, words }
}

/// Runs over what far ends have: one of each kind. Nobody works on them.
async fn runs(app: &App, ids: &mut BTreeMap<&'static str, String>) {
    let run = json!({"from": super::app::START, "mode": "force"});
    let place = format!("/connectors/{}", ids["connectors"]);
    app.state.db.write(kontor::events::number).await.unwrap();
    connectors::dispatch(&app.state).await.unwrap();
    let run = app.ops("POST", &format!("{place}/resync"), Some(&run)).await.expect(202);
    ids.insert("resyncs", text(&run["id"]));
    // Its far end can not be searched: what a comparison leaves is written down as it stands.
    let (own, of): (ConnectorRunId, ConnectorRunId) = (Id::new(), text(&run["id"]).parse().unwrap());
    let compared = "INSERT INTO connector_runs (id, connector_id, kind, state, position, until, doc, created_at, ended_at) \
                    SELECT ?, connector_id, 'reconciliation', 'done', position, until, doc, created_at, created_at \
                    FROM connector_runs WHERE id = ?";
    let write = move |tx: &mut kontor::db::Tx| kontor::db::sql(compared).bind(own).bind(of).execute(tx);
    assert_eq!(app.state.db.write(write).await.unwrap(), 1);
    ids.insert("reconciliations", own.to_string());
}

/// What businesses have in hand.
async fn business(shop: &Shop, name: &str, ids: &mut BTreeMap<&'static str, String>) {
    let sign_in = (shop.key.as_str(), shop.channel.as_str());
    let business = Business::open(&shop.app, sign_in, "TEE", &format!("{name}-trade")).await;
    ids.insert("approval-requests", business.asked().await);
    ids.insert("quotes", business.quote(true).await);
    ids.insert("drafts", business.draft().await);
    ids.insert("recurring-orders", business.recurring().await);
    ids.insert("order-templates", business.template().await);
    ids.insert("members", business.buyer.clone());
}

/// An order of which something is to come back, is claimed, and is withdrawn from.
async fn sent_back(shop: &Shop, ids: &mut BTreeMap<&'static str, String>) {
    let cart = shop.cart(&[("TEE", 3)]).await;
    let order = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
    let path = format!("/orders/{}", text(&order["id"]));
    let work = shop.app.ops("GET", &format!("{path}/fulfilment"), None).await.expect(200);
    let ship = format!("/fulfilment-orders/{}/ship", text(&work["fulfilment_orders"][0]["id"]));
    shop.app.ops("POST", &ship, Some(&json!({}))).await.expect(201);
    let line = json!([{"line_no": 1, "quantity": 1, "reason": "other"}]);
    let asked = shop.app.ops("POST", &format!("{path}/returns"), Some(&json!({ "lines": line }))).await.expect(201);
    let claim = json!({"kind": "damaged", "lines": [{"line_no": 1, "quantity": 1}]});
    let claim = shop.app.ops("POST", &format!("{path}/claims"), Some(&claim)).await.expect(201);
    let who = json!({"name": "Ada", "email": "ada@example.org"});
    let declared = shop.store("POST", &format!("{path}/withdrawals"), Some(&cart.token), Some(&who)).await.expect(201);
    let registered = json!({"line_no": 1});
    let registered = shop.app.ops("POST", &format!("{path}/registrations"), Some(&registered)).await.expect(201);
    ids.insert("registrations", text(&registered["id"]));
    ids.insert("claims", text(&claim["id"]));
    ids.insert("withdrawal", text(&declared["id"]));
    ids.insert("request", text(&asked["id"]));
    ids.insert("return-requests", text(&asked["id"]));
}

/// A price that is so low that somebody else has to approve it.
async fn for_a_second_person(shop: &Shop) -> String {
    let (app, nothing) = (&shop.app, json!({"amount": "0.00", "currency": "EUR"}));
    shop.set(json!({"second_person": {"bulk": [nothing]}})).await;
    let number = text(&shop.order(&[("TEE", 1)]).await["number"]);
    let mut cancel = json!({"filter": {"number": number}, "reason": "x"});
    let seen = app.ops("POST", "/bulk/cancel/preview", Some(&cancel)).await.expect(200);
    cancel["token"] = seen["token"].clone();
    let waits = app.ops("POST", "/bulk/cancel", Some(&cancel)).await.expect(202);
    // The others of a shop's orders are cancelled by one.
    shop.set(json!({"second_person": {}})).await;
    text(&waits["countersign_request_id"])
}

/// Work on all orders with a number, which is one.
async fn a_bulk_job(app: &App, number: &str) -> String {
    let mut tag = json!({"filter": {"number": number}, "add": ["seen"]});
    let seen = app.ops("POST", "/bulk/tag/preview", Some(&tag)).await.expect(200);
    tag["token"] = seen["token"].clone();
    text(&app.ops("POST", "/bulk/tag", Some(&tag)).await.expect(202)["id"])
}

/// The invoice of an order.
async fn an_invoice(app: &App, channel: &str, order: &str) -> String {
    let channel = app.ops("GET", &format!("/channels/{channel}"), None).await.expect(200);
    let invoicing =
        json!({"invoicing": {"street1": "S 1", "postcode": "1", "city": "C", "series": "RE-", "tax_number": "1"}});
    let path = format!("/legal-entities/{}", text(&channel["legal_entity_id"]));
    app.ops("PATCH", &path, Some(&invoicing)).await.expect(200);
    let invoice = json!({"kind": "invoice"});
    let made = app.ops("POST", &format!("/orders/{order}/invoices"), Some(&invoice)).await.expect(201);
    text(&made["id"])
}

/// The consumer that a key's first poll has made.
async fn a_consumer(app: &App, key: &Value) -> String {
    let bearer = format!("Bearer {}", text(&key["key"]));
    let poll = "/v1/integration/feeds/orders?consumer=erp&start=latest";
    app.send("GET", poll, &[("Authorization", &bearer)], None).await.expect(200);
    let consumers = app.ops("GET", "/consumers", None).await.expect(200);
    let mut consumers = consumers["items"].as_array().unwrap().iter();
    text(&consumers.find(|one| one["client"] == key["id"]).unwrap()["id"])
}

/// What belongs to the merchant and to no channel. Made for each side, so that each finds its own changed.
async fn shared(app: &App, name: &str, ids: &mut BTreeMap<&'static str, String>) {
    let make = async |path: &str, body: Value| app.ops("POST", path, Some(&body)).await.expect(201);
    let customer = json!({"name": name, "address": super::shop::address()});
    let customer = make("/customers", customer).await;
    ids.insert("customers", text(&customer["id"]));
    ids.insert("addresses", text(&customer["addresses"][0]["id"]));
    let entry = json!({"list": "block", "kind": "device", "value": format!("device of {name}"), "reason": name});
    ids.insert("lists", text(&make("/risk/lists", entry).await["id"]));
    let card = make("/gift-cards", json!({"amount": {"amount": "5.00", "currency": "EUR"}, "note": name})).await;
    ids.insert("stored-values", text(&card["id"]));
    ids.insert("gift-cards", text(&card["id"]));
    let company = json!({"number": name, "name": name});
    ids.insert("companies", text(&make("/companies", company).await["id"]));
    let variant = json!({"sku": name, "name": name, "tax_class": "standard"});
    ids.insert("variants", text(&make("/variants", variant).await["id"]));
    let rate = json!({"country": "DE", "tax_class": name, "rate": "0.07"});
    ids.insert("tax-rates", text(&make("/tax-rates", rate).await["id"]));
    let lot = json!({"lines": [{"sku": "TEE", "location": "berlin", "lot": name, "quantity": 1}]});
    let lot = app.ops("POST", "/lots", Some(&lot)).await.expect(200);
    ids.insert("lots", text(&lot["items"][0]["id"]));
    let locations = app.ops("GET", "/locations", None).await.expect(200);
    let dock = text(&locations["items"][0]["id"]);
    ids.insert("locations", dock.clone());
    goods_in(app, name, &dock, ids).await;
}

/// Goods that come in, cross a dock, are moved and counted: all of it serves every channel.
async fn goods_in(app: &App, name: &str, dock: &str, ids: &mut BTreeMap<&'static str, String>) {
    let make = async |path: &str, body: Value| text(&app.ops("POST", path, Some(&body)).await.expect(201)["id"]);
    let lines = json!([{"sku": name, "quantity": 3}]);
    let order = json!({"number": name, "supplier": name, "location": dock, "lines": lines});
    ids.insert("purchase-orders", make("/purchase-orders", order).await);
    app.ops("PATCH", &format!("/docks/{dock}"), Some(&json!({}))).await.expect(200);
    let inbound = json!({"location": dock, "expected_at": app.now(), "lines": lines});
    let inbound = make("/inbound-shipments", inbound).await;
    app.ops("POST", &format!("/inbound-shipments/{inbound}/arrive"), None).await.expect(200);
    let tasks = app.ops("GET", &format!("/docks/{dock}/tasks"), None).await.expect(200);
    let mut tasks = tasks["items"].as_array().unwrap().iter();
    let task = tasks.find(|task| task["inbound_shipment_id"] == json!(inbound)).unwrap();
    ids.insert("dock-tasks", text(&task["id"]));
    ids.insert("docks", dock.to_owned());
    ids.insert("inbound-shipments", inbound);
    let annex = json!({"code": format!("{name}-annex"), "name": name, "country": "DE", "time_zone": "Europe/Berlin", "active": false});
    let annex = make("/locations", annex).await;
    ids.insert("transfers", make("/transfers", json!({"from": dock, "to": annex, "lines": lines})).await);
    ids.insert("stock-counts", make("/stock-counts", json!({"location": dock, "skus": [name]})).await);
}

/// What a supplier is to ship of an order: it was moved to them.
async fn a_supplier_order(shop: &Shop, name: &str) -> String {
    let code = format!("{name}-mill");
    let place = json!({"code": code, "name": code, "country": "DE", "time_zone": "Europe/Berlin", "priority": 900, "kind": "supplier"});
    shop.app.ops("POST", "/locations", Some(&place)).await.expect(201);
    let line = json!({"sku": "MUG", "location": code, "change": 1, "reason": "their list"});
    shop.app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await.expect(200);
    let order = shop.order(&[("MUG", 1)]).await;
    let found = shop.app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
    let path = format!("/fulfilment-orders/{}/move", text(&found["fulfilment_orders"][0]["id"]));
    let moved = shop.app.ops("POST", &path, Some(&json!({ "location": code }))).await.expect(200);
    text(&moved["moved_to"][0]["id"])
}

/// Money that somebody has to transfer back: it came after its order had been cancelled.
async fn a_refund_by_hand(shop: &Shop) -> String {
    let cart = shop.cart(&[("MUG", 1)]).await;
    let (pay, path) = (json!({"payment": {"method": "manual"}}), format!("/carts/{}/complete", cart.id));
    let order = shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201)["order"].clone();
    let path = format!("/orders/{}", text(&order["id"]));
    shop.app.ops("POST", &format!("{path}/cancel"), Some(&json!({"reason": "late"}))).await.expect(200);
    let paid = json!({"amount": order["total"], "reference": "BANK-1"});
    shop.app.ops("POST", &format!("{path}/payments"), Some(&paid)).await.expect(200);
    let payments = shop.app.ops("GET", &format!("{path}/payments"), None).await.expect(200);
    let mut operations =
        payments["payments"].as_array().unwrap().iter().flat_map(|one| one["operations"].as_array().unwrap());
    text(&operations.find(|one| one["state"] == "pending").unwrap()["id"])
}

/// Money that a bank takes back.
async fn a_dispute(shop: &Shop) -> String {
    let cart = shop.cart(&[("MUG", 1)]).await;
    let (pay, path) = (json!({"payment": {"method": "manual"}}), format!("/carts/{}/complete", cart.id));
    let order = shop.store("POST", &path, Some(&cart.token), Some(&pay)).await.expect(201)["order"].clone();
    let path = format!("/orders/{}/payments", text(&order["id"]));
    shop.app.ops("POST", &path, Some(&json!({"reference": "BANK-7"}))).await.expect(200);
    let path = format!("/payments/{}/disputes", text(&order["payments"][0]["id"]));
    let dispute = json!({"reference": "dp_1", "reason": "fraudulent"});
    text(&shop.app.ops("POST", &path, Some(&dispute)).await.expect(201)["id"])
}

/// A payment that the sandbox has been asked for and that waits for its customer, by its key.
async fn a_sandbox_payment(shop: &Shop) -> String {
    let waits = shop.complete(&shop.cart(&[("MUG", 1)]).await, "redirect").await.expect(202);
    text(&waits["action"]["url"]).rsplit('/').next().unwrap().to_owned()
}

async fn a_dead_job(app: &App) -> String {
    let (job, now) = (NewJob::now("nobody-knows-this", app.now(), json!({})), app.now());
    let id = job.id;
    let work = move |tx: &mut kontor::db::Tx| {
        jobs::enqueue(tx, now, vec![job.clone()])?;
        sql("UPDATE jobs SET state = 'dead' WHERE id = ?").bind(id).execute(tx)
    };
    app.state.db.write(work).await.unwrap();
    id.to_string()
}

/// A route as its document tells of it.
#[derive(Debug, Clone)]
pub struct Route {
    pub surface: Surface,
    pub method: String,
    /// With its variables in braces.
    pub path: String,
    /// What stands under `security`.
    pub security: Value,
    /// The media type and an example.
    pub body: Option<(String, String)>,
    /// The query parameters that must be there.
    pub query: Vec<String>,
    /// The headers that it heeds, beside credentials.
    pub headers: Vec<String>,
}

impl Route {
    /// All routes of all documents.
    pub fn all() -> Vec<Self> {
        Surface::ALL.into_iter().flat_map(of_surface).collect()
    }

    pub fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path.strip_prefix(self.surface.prefix()) == Some(path)
    }

    /// Whether its document names a header.
    pub fn heeds(&self, header: &str) -> bool {
        self.headers.iter().any(|name| name == header)
    }

    /// Puts what a side has into the example, in place of what only the demo shop has.
    pub fn at(&mut self, side: &Side) {
        let own = |text: String| {
            let text = text.replace(kontor::cli::DEMO_CHANNEL, &side.shop.channel);
            text.replace(kontor::cli::DEMO_LEGAL_ENTITY, &side.ids["legal-entities"])
        };
        self.body = self.body.take().map(|(kind, text)| (kind, own(text)));
    }

    /// The path with what `ids` has for its variables.
    pub fn fill(&self, ids: &BTreeMap<&'static str, String>) -> String {
        let (mut filled, mut before) = (Vec::new(), "");
        for step in self.path.split('/') {
            let own = || ids.get(step.trim_matches(['{', '}']));
            let known =
                || own().or_else(|| ids.get(before)).unwrap_or_else(|| panic!("nothing for {step} of {}", self.path));
            filled.push(if step.starts_with('{') { known().as_str() } else { step });
            before = if step.starts_with('{') { before } else { step };
        }
        let value = |name: &str| match name {
            "country" => "DE",
            "weight_grams" => "500",
            _ => "erp",
        };
        let query: Vec<String> = self.query.iter().map(|name| format!("{name}={}", value(name))).collect();
        format!("{}{}{}", filled.join("/"), if query.is_empty() { "" } else { "?" }, query.join("&"))
    }

    /// Sends it with its example.
    pub async fn send(&self, app: &App, path: &str, headers: &[(&str, &str)]) -> Answer {
        let body = self.body.as_ref().map(|(kind, text)| (kind.as_str(), text.clone()));
        app.send_text(&self.method, path, headers, body).await
    }
}

fn of_surface(surface: Surface) -> Vec<Route> {
    let document = serde_json::to_value(kontor::api::openapi(surface)).unwrap();
    let operations = |(path, item): (&String, &Value)| {
        let all = item.as_object().unwrap().iter().filter(|(_, operation)| operation["responses"].is_object());
        let route = |(method, operation): (&String, &Value)| Route {
            surface,
            method: method.to_uppercase(),
            path: path.clone(),
            security: operation["security"].clone(),
            body: example(&document, operation),
            query: required(operation),
            headers: headers(operation),
        };
        all.map(route).collect::<Vec<_>>()
    };
    document["paths"].as_object().unwrap().iter().flat_map(operations).collect()
}

fn headers(operation: &Value) -> Vec<String> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    all.filter(|parameter| parameter["in"] == "header").map(|parameter| text(&parameter["name"])).collect()
}

fn required(operation: &Value) -> Vec<String> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    let needed = all.filter(|parameter| parameter["in"] == "query" && parameter["required"] == true);
    needed.map(|parameter| text(&parameter["name"])).collect()
}

/// The example of a body: every route has one, so that whoever reads the documents can try it.
fn example(document: &Value, operation: &Value) -> Option<(String, String)> {
    let content = operation["requestBody"]["content"].as_object()?;
    let kind =
        ["application/json", "application/x-ndjson"].into_iter().find(|kind| content.contains_key(*kind)).unwrap();
    let (schema, own) = (&content[kind]["schema"], &content[kind]["example"]);
    if !own.is_null() {
        return Some((kind.to_owned(), own.to_string()));
    }
    let of = |schema: &Value| {
        let name = schema["$ref"].as_str().unwrap_or_default().rsplit('/').next().unwrap();
        let found = document["components"]["schemas"][name]["example"].clone();
        assert!(!found.is_null(), "the body {name} has no example");
        found
    };
    let body = if schema["items"].is_object() { json!([of(&schema["items"])]) } else { of(schema) };
    Some((kind.to_owned(), body.to_string()))
}

/// Everything in the database, table by table.
pub async fn dump(app: &App) -> BTreeMap<String, Vec<String>> {
    app.state.db.write(kontor::events::number).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.gz");
    let header = dump::backup(&app.state.db, app.now(), &file, |_, _| {}).await.unwrap();
    let mut all = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(&file).unwrap()).read_to_string(&mut all).unwrap();
    let mut lines = all.lines().skip(1).map(str::to_owned);
    let rows = |count: u64| usize::try_from(count).unwrap();
    header.tables.iter().map(|table| (table.name.clone(), lines.by_ref().take(rows(table.rows)).collect())).collect()
}

/// A token of somebody who may do everything, to a side's channel only.
pub fn limited_to(app: &App, usage: Audience, side: &Side) -> String {
    let scopes: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    let mut claims = app.claims(usage, "eve", &scopes.join(" "));
    claims.channels = Some(vec![side.shop.channel.parse().unwrap()]);
    format!("Bearer {}", app.state.verifier.issue(claims).unwrap())
}
