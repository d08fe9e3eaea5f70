//! Somebody of whom there is one of everything: seen in one answer, found by whatever they quote, given out, erased, and looked for.

use std::collections::BTreeMap;

use diesel::sql_types::Text;
use kontor::http::auth::Audience;
use serde_json::{Value, json};

use crate::{
    amendments::Draft,
    credit::Trade,
    support::{App, eventually, on_both, shop::address},
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A customer who buys for a company, with one of everything.
struct Everything {
    app: App,
    trade: Trade,
    /// What somebody may quote, with the kind and the id that it stands for.
    quoted: Vec<(String, &'static str, String)>,
}

impl Everything {
    async fn make(app: &App) -> Self {
        let trade = Trade::open(app, &[("MUG", "25.00", 50), ("CUP", "9.99", 0)]).await;
        trade.limit("5000.00", "decline").await;
        let mut all = Self { app: app.clone(), trade, quoted: Vec::new() };
        let named = json!({"name": "Ada Lovelace", "phone": "+49 40 765432-1"});
        app.ops("PATCH", &format!("/customers/{}", all.trade.customer), Some(&named)).await.expect(200);
        let company = json!({"vat_id": "DE136695976"});
        app.ops("PATCH", &format!("/companies/{}", all.trade.company), Some(&company)).await.expect(200);
        for q in ["D-1", "Acme", "DE 136 695 976"] {
            all.quoted.push((q.to_owned(), "company", all.trade.company.clone()));
        }
        let ada = all.trade.customer.clone();
        let card = app.ops("GET", &format!("/customers/{ada}"), None).await.expect(200);
        for q in [text(&card["number"]), "ADA@example.org".into(), "040 7654321".into(), "Ada Love".into()] {
            all.quoted.push((q, "customer", ada.clone()));
        }
        let order = all.kept().await;
        all.comes_back(&order).await;
        all.withdrawn().await;
        all.asked_to_pay().await;
        all.not_ordered().await;
        all.moved().await;
        all
    }

    async fn ops(&self, path: &str, body: Value) -> Value {
        let answer = self.app.ops("POST", path, Some(&body)).await;
        assert!((200..300).contains(&answer.status), "{path}: {}", answer.text);
        answer.body
    }

    async fn as_ada(&self, path: &str, body: Value) -> Value {
        let answer = self.trade.as_("ada", "POST", path, Some(&body)).await;
        assert!((200..300).contains(&answer.status), "{path}: {}", answer.text);
        answer.body
    }

    fn quote(&mut self, q: &Value, kind: &'static str, id: &Value) {
        self.quoted.push((text(q), kind, text(id)));
    }

    async fn moved(&self) {
        let pending = "SELECT count(*) FROM payment_operations WHERE state = 'pending'";
        eventually("the money has moved", async || self.app.count(pending).await == 0).await;
    }

    async fn cart(&self, mugs: i64) -> String {
        let cart = json!({"lines": [{"sku": "MUG", "quantity": mugs}], "email": "ada@example.org",
            "shipping_address": address(), "shipping_method": "standard"});
        text(&self.as_ada("/carts", cart).await["id"])
    }

    async fn order(&self, cart: &str, payment: Value) -> Value {
        self.as_ada(&format!("/carts/{cart}/complete"), json!({ "payment": payment })).await["order"].clone()
    }

    /// Five mugs with a serial number on one, delivered; somebody had begun to change the order.
    async fn kept(&mut self) -> String {
        let cart = self.cart(5).await;
        let named = json!({"purchase_order": "PO-4711/a"});
        self.app.ops("PATCH", &format!("/carts/{cart}"), Some(&named)).await.expect(200);
        let found = self.order(&cart, json!({"method": "sandbox", "instrument": "approve"})).await;
        let (order, id) = (text(&found["id"]), found["id"].clone());
        self.quote(&found["number"], "order", &id);
        self.quote(&json!("po-4711/A"), "order", &id);
        let mut draft = Draft::begin(&self.app, &order).await;
        draft.edit(json!([{"type": "note", "text": "Mrs Lovelace has called"}])).await;
        draft.send("abandon", None).await.expect(200);
        let work = self.app.ops("GET", &format!("/orders/{order}/fulfilment"), None).await.expect(200);
        let work = text(&work["fulfilment_orders"][0]["id"]);
        let lines = json!([{"line_no": 1, "quantity": 5, "serials": ["S-900"]}]);
        let package = self.ops(&format!("/fulfilment-orders/{work}/packages"), json!({ "lines": lines })).await;
        self.quote(&json!("S-900"), "package", &package["id"]);
        let tracked = json!({"carrier": "dhl", "tracking_number": "0034 0434 1"});
        let parcel = self.ops(&format!("/fulfilment-orders/{work}/ship"), tracked).await;
        self.quote(&json!("003404341"), "order", &id);
        self.ops(&format!("/shipments/{}/deliver", text(&parcel["id"])), json!({})).await;
        self.moved().await;
        let read = self.app.ops("GET", &format!("/orders/{order}/payments"), None).await.expect(200);
        let payment = &read["payments"][0];
        let ours = |tx: &mut kontor::db::Tx| kontor::db::sql("SELECT our_key FROM payments").first::<Text, String>(tx);
        let ours = json!(self.app.read(ours).await.unwrap());
        for name in [&payment["id"], &payment["provider_ref"], &ours] {
            self.quote(name, "payment", &payment["id"]);
        }
        order
    }

    /// One mug is back and paid for, one is to come back, one was claimed in vain, and one is registered.
    async fn comes_back(&mut self, order: &str) {
        let found = self.app.ops("GET", "/variants?sku=MUG", None).await.expect(200);
        let months = json!({"attributes": {"warranty_months": 36}});
        let variant = format!("/variants/{}", text(&found["items"][0]["id"]));
        self.app.ops("PATCH", &variant, Some(&months)).await.expect(200);
        let piece = json!({"line_no": 1, "serial": "SN 47-11"});
        let registered = self.ops(&format!("/orders/{order}/registrations"), piece).await;
        self.quote(&json!("sn4711"), "registration", &registered["id"]);
        let one = json!([{"line_no": 1, "quantity": 1}]);
        let claim = json!({"kind": "damaged", "lines": one, "comment": "broken, says Lovelace"});
        let claim = self.ops(&format!("/orders/{order}/claims"), claim).await;
        self.quote(&claim["number"], "claim", &claim["id"]);
        self.quote(&claim["id"], "claim", &claim["id"]);
        let why = json!({"reason": "not so, Mrs Lovelace"});
        self.ops(&format!("/claims/{}/reject", text(&claim["id"])), why).await;
        let back = self.ops("/returns", json!({"order": order, "lines": one, "refund": true})).await;
        let back = if back["return"].is_object() { back["return"].clone() } else { back };
        self.quote(&back["number"], "return", &back["id"]);
        let asked = json!({"lines": [{"line_no": 1, "quantity": 1, "reason": "changed_mind"}], "approve": true,
            "comment": "too blue for Lovelace"});
        let asked = self.ops(&format!("/orders/{order}/returns"), asked).await;
        self.quote(&asked["number"], "return_request", &asked["id"]);
        let parcel = json!({"tracking_number": "rt-0034", "by_shop": true});
        self.ops(&format!("/return-requests/{}/track", text(&asked["id"])), parcel).await;
        self.quote(&json!("RT-0034"), "return_request", &asked["id"]);
    }

    /// An order that was withdrawn from before anything has left.
    async fn withdrawn(&mut self) {
        let cart = self.cart(1).await;
        let order = self.order(&cart, json!({"method": "sandbox", "instrument": "approve"})).await;
        let path = format!("/orders/{}/withdrawals", text(&order["id"]));
        let made = self.as_ada(&path, json!({"name": "Ada Lovelace", "email": "ada@example.org"})).await;
        self.quote(&made["number"], "withdrawal", &made["id"]);
        self.quote(&made["id"], "withdrawal", &made["id"]);
        let confirm = format!("{path}/{}/confirm", text(&made["id"]));
        let confirmed = self.trade.as_("ada", "POST", &confirm, None).await;
        assert!((200..300).contains(&confirmed.status), "{}", confirmed.text);
        let done = "SELECT count(*) FROM withdrawals WHERE state IN ('carried_out', 'settled')";
        eventually("it is carried out", async || self.app.count(done).await == 1).await;
    }

    /// An order that somebody was asked to pay by a link, and that was cancelled then.
    async fn asked_to_pay(&mut self) {
        let cart = self.cart(2).await;
        let order = text(&self.order(&cart, json!({"method": "manual"})).await["id"]);
        let message = json!({"message": "Dear Mrs Lovelace, as discussed"});
        let asked = self.ops(&format!("/orders/{order}/payment-requests"), message).await;
        self.quote(&asked["id"], "payment_request", &asked["id"]);
        self.ops(&format!("/orders/{order}/cancel"), json!({"reason": "changed their mind"})).await;
    }

    /// A quote, a draft, an article that is waited for, store credit, and a gift card.
    async fn not_ordered(&mut self) {
        let cart = self.cart(10).await;
        let said = json!({"message": "for the office of Lovelace"});
        let quote = self.as_ada(&format!("/carts/{cart}/quote-requests"), said).await;
        self.quote(&quote["number"], "quote", &quote["id"]);
        let customer = self.trade.customer.clone();
        let cart = self.trade.cart(&[("MUG", 1)]).await;
        let draft = json!({"cart_id": cart, "contact": "phone", "note": "Lovelace calls back"});
        let draft = self.ops("/drafts", draft).await;
        self.quote(&draft["id"], "draft", &draft["id"]);
        self.as_ada("/back-in-stock", json!({"sku": "CUP", "consent": true, "consent_text": "Tell Lovelace"})).await;
        let amount = json!({"amount": "7.00", "currency": "EUR"});
        self.ops(&format!("/customers/{customer}/store-credit"), json!({"amount": amount, "reason": "goodwill"})).await;
        self.ops("/gift-cards", json!({"amount": {"amount": "5.00", "currency": "EUR"}, "customer_id": customer}))
            .await;
    }

    async fn search(&self, token: Option<&str>, q: &str) -> Vec<Value> {
        let q: String = url::form_urlencoded::byte_serialize(q.as_bytes()).collect();
        let path = format!("/search?q={q}");
        let found = match token {
            None => self.app.ops("GET", &path, None).await,
            Some(token) => self.app.send("GET", &format!("/v1/ops{path}"), &[("Authorization", token)], None).await,
        };
        found.expect(200)["items"].as_array().unwrap().clone()
    }

    /// All records of the customer, by kind.
    async fn export(&self) -> BTreeMap<String, Vec<Value>> {
        let (mut kinds, mut cursor) = (BTreeMap::<String, Vec<Value>>::new(), String::new());
        loop {
            let path = format!("/customers/{}/export?limit=3{cursor}", self.trade.customer);
            let page = self.app.ops("GET", &path, None).await.expect(200);
            for record in page["items"].as_array().unwrap() {
                kinds.entry(text(&record["kind"])).or_default().push(record["document"].clone());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return kinds,
            }
        }
    }

    /// Where the words that tell who somebody is stand.
    async fn scan(&self) -> Vec<Value> {
        let (mut hits, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let mut asked = json!({"words": ["ada@example.org", "Lovelace", "Invalidenstr", "47-11"]});
            if !cursor.is_null() {
                asked["cursor"] = cursor;
            }
            let told = self.app.ops("POST", "/erasure/scan", Some(&asked)).await.expect(200);
            hits.extend(told["hits"].as_array().unwrap().clone());
            cursor = told["next_cursor"].clone();
            if cursor.is_null() {
                return hits;
            }
        }
    }
}

#[test]
fn one_answer_tells_what_somebody_has_kept_sent_back_and_may_spend() {
    on_both(|app| async move {
        let all = Everything::make(&app).await;
        let path = format!("/customers/{}/overview", all.trade.customer);
        let seen = app.ops("GET", &path, None).await.expect(200);
        let value = &seen["orders"]["lifetime_value"][0];
        let amount = |name: &str| text(&value[name]["amount"]);
        assert_eq!((&value["orders"], &value["cancelled"]), (&json!(1), &json!(2)), "{seen}");
        // Five mugs for 25.00 with shipping for 4.90, of which one is back; 19 % of tax are in it.
        assert_eq!((amount("kept"), amount("kept_without_tax")), ("104.90".to_owned(), "88.15".to_owned()), "{value}");
        assert_eq!((amount("refunded"), amount("returned_unrefunded")), ("25.00".to_owned(), "0.00".to_owned()));
        assert!(value["first_at"].is_string() && value["first_at"] == value["last_at"], "{value}");
        let returns = &seen["returns"];
        assert_eq!((&returns["returns"], returns["latest"].as_array().unwrap().len()), (&json!(1), 1), "{returns}");
        let latest = &returns["latest"][0];
        assert_eq!(
            (&latest["state"], &latest["refunded"]["amount"], &latest["order_id"]),
            (&json!("refunded"), &json!("25.00"), &returns["open"][0]["order_id"])
        );
        assert_eq!(
            (&returns["open"][0]["state"], &returns["open"][0]["pieces"], returns["open"].as_array().unwrap().len()),
            (&json!("in_transit"), &json!(1), 1),
            "{returns}"
        );
        let balances: Vec<_> = seen["balances"].as_array().unwrap().iter().collect();
        let told = |at: usize| (text(&balances[at]["kind"]), text(&balances[at]["available"]["amount"]));
        assert_eq!((told(0), told(1)), (("gift_card".into(), "5.00".into()), ("store_credit".into(), "7.00".into())));
        let company = &seen["company"];
        assert_eq!((&company["number"], &company["credit"][0]["limit"]["amount"]), (&json!("D-1"), &json!("5000.00")));
        // Goods that come back without money are told beside, and not taken off.
        let order = text(&returns["open"][0]["order_id"]);
        let lines = json!([{"line_no": 1, "quantity": 1}]);
        all.ops("/returns", json!({"order": order, "lines": lines})).await;
        let after = app.ops("GET", &path, None).await.expect(200);
        let value = &after["orders"]["lifetime_value"][0];
        assert_eq!(
            (&value["kept"]["amount"], &value["returned_unrefunded"]["amount"]),
            (&json!("104.90"), &json!("25.00"))
        );
    });
}

#[test]
fn whatever_number_somebody_quotes_leads_to_them() {
    on_both(|app| async move {
        let all = Everything::make(&app).await;
        let kinds: std::collections::BTreeSet<&str> = all.quoted.iter().map(|(_, kind, _)| *kind).collect();
        assert_eq!(kinds.len(), 13, "{kinds:?}");
        for (q, kind, id) in &all.quoted {
            let found = all.search(None, q).await;
            let hits: Vec<&Value> = found.iter().filter(|hit| hit["kind"] == *kind && hit["id"] == *id).collect();
            let [hit] = hits[..] else { panic!("{q} is no {kind} {id}, or is several times: {found:?}") };
            let leads = ["order_id", "customer_id"].iter().any(|name| hit[*name].is_string());
            let leads = leads || ["company", "draft"].contains(kind);
            assert!(leads, "{hit}");
            let link = text(&hit["link"]);
            app.ops("GET", link.trim_start_matches("/v1/ops"), None).await.expect(200);
        }
        // What is of another channel is not found, and nothing is without the scope.
        let mut claims = app.claims(Audience::Staff, "eve", "orders:read fulfilment:read customers:read risk:read");
        claims.channels = Some(vec![kontor::kernel::ids::ChannelId::new()]);
        let foreign = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let claims = app.claims(Audience::Staff, "bob", "orders:read fulfilment:read");
        let bob = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        for (q, kind, _) in &all.quoted {
            assert_eq!(all.search(Some(&foreign), q).await, Vec::<Value>::new(), "{q}");
            let found = all.search(Some(&bob), q).await;
            let theirs = ["company", "customer"];
            assert!(!found.is_empty() || theirs.contains(kind), "{q}");
            let told =
                |hit: &&Value| theirs.contains(&hit["kind"].as_str().unwrap()) || hit.get("customer_id").is_some();
            assert_eq!(found.iter().find(told), None, "{q}");
        }
    });
}

#[test]
fn one_of_everything_is_given_out_erased_and_looked_for_in_vain() {
    on_both(|app| async move {
        let all = Everything::make(&app).await;
        let kinds = all.export().await;
        let names = ["withdrawal", "claim", "amendment", "payment_request", "draft", "back_in_stock", "quote"];
        for name in names.into_iter().chain(["return_request", "return", "product_registration"]) {
            let records = kinds.get(name).cloned().unwrap_or_default();
            assert_eq!(records.len(), 1, "{name}: {:?}", kinds.keys());
        }
        let words = |name: &str| serde_json::to_string(&kinds[name]).unwrap();
        for (name, word) in names.into_iter().zip(["Lovelace"; 7]) {
            assert!(words(name).contains(word), "{name}: {}", words(name));
        }
        assert!(words("back_in_stock").contains("ada@example.org"), "{}", words("back_in_stock"));
        // Who of the staff has done it is not told.
        for name in ["amendment", "payment_request", "draft", "claim"] {
            assert!(!words(name).contains("staff:"), "{name}: {}", words(name));
        }
        let before = all.scan().await;
        for table in
            ["withdrawals", "order_claims", "amendments", "payment_requests", "drafts", "back_in_stock", "quotes"]
        {
            assert!(before.iter().any(|hit| hit["table"] == table), "{table}: {before:?}");
        }
        eventually("they are erased", async || {
            app.ops("POST", &format!("/customers/{}/erase", all.trade.customer), None).await.status == 200
        })
        .await;
        eventually("nothing is left", async || all.scan().await.is_empty()).await;
        assert_eq!(all.export().await.get("back_in_stock"), None);
    });
}
