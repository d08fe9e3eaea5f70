//! A small shop to buy from: one channel, one warehouse, a few SKUs. Made through the API, as an operator would.

use serde_json::{Value, json};

use super::{Answer, App};

/// A shop with its publishable key.
#[derive(Clone)]
pub struct Shop {
    pub app: App,
    pub channel: String,
    pub key: String,
    pub price_list: String,
}

/// A guest's cart.
#[derive(Clone, Debug)]
pub struct Cart {
    pub id: String,
    pub token: String,
    pub body: Value,
}

impl Shop {
    /// A shop in Germany with 19 % included in its prices, shipping for 4.90, and these SKUs: price and stock.
    pub async fn open(app: &App, goods: &[(&str, &str, i64)]) -> Self {
        let entity = json!({"code": "acme", "name": "Acme GmbH", "country": "DE", "time_zone": "Europe/Berlin"});
        let entity = app.ops("POST", "/legal-entities", Some(&entity)).await.expect(201);
        let channel = json!({
            "code": "de", "name": "Acme", "legal_entity_id": entity["id"],
            "settings": {
                "currencies": ["EUR"], "locales": ["de-DE", "en"], "countries": ["DE", "AT"], "time_zone": "Europe/Berlin",
                "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"},
                "payment_methods": ["manual", "sandbox"]
            }
        });
        let channel = app.ops("POST", "/channels", Some(&channel)).await.expect(201);
        for country in ["DE", "AT"] {
            let rate = json!({"country": country, "tax_class": "standard", "rate": "0.19"});
            app.ops("POST", "/tax-rates", Some(&rate)).await.expect(201);
        }
        let method = json!({
            "channel_id": channel["id"], "code": "standard", "name": "Parcel", "tax_class": "standard",
            "rates": [{"countries": ["DE", "AT"], "price": {"amount": "4.90", "currency": "EUR"}}]
        });
        app.ops("POST", "/shipping-methods", Some(&method)).await.expect(201);
        let list = json!({"code": "base", "name": "Base", "currency": "EUR"});
        let list = app.ops("POST", "/price-lists", Some(&list)).await.expect(201);
        let location = json!({"code": "berlin", "name": "Berlin", "country": "DE", "time_zone": "Europe/Berlin"});
        app.ops("POST", "/locations", Some(&location)).await.expect(201);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let shop = Self {
            app: app.clone(),
            channel: text(&channel["id"]),
            key: text(&channel["publishable_keys"][0]),
            price_list: text(&list["id"]),
        };
        for (sku, price, stock) in goods {
            shop.add(sku, price, *stock).await;
        }
        shop
    }

    /// Adds a SKU with its price and stock.
    pub async fn add(&self, sku: &str, price: &str, stock: i64) {
        let variant = json!({"sku": sku, "name": format!("The {sku}"), "tax_class": "standard", "weight_grams": 100});
        self.app.ops("POST", "/variants", Some(&variant)).await.expect(201);
        self.set_price(sku, price).await;
        if stock > 0 {
            self.stock_up(sku, stock).await;
        }
    }

    pub async fn set_price(&self, sku: &str, price: &str) {
        let row = json!({"sku": sku, "min_quantity": 1, "unit_price": {"amount": price, "currency": "EUR"}});
        let path = format!("/price-lists/{}/prices", self.price_list);
        self.app.ops("PUT", &path, Some(&json!({"rows": [row]}))).await.expect(200);
    }

    pub async fn stock_up(&self, sku: &str, change: i64) {
        let line = json!({"sku": sku, "location": "berlin", "change": change, "reason": "test"});
        let answer = self.app.ops("POST", "/stock/adjustments", Some(&json!({"lines": [line]}))).await;
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
    }

    /// Says where the storefront's pages are that links lead to.
    pub async fn set_pages(&self, cart: &str, order: &str) {
        self.set(json!({"cart_page": cart, "order_page": order})).await;
    }

    /// Changes settings of the channel, whose others stay as they are.
    pub async fn set(&self, mut settings: Value) {
        let path = format!("/channels/{}", self.channel);
        let channel = self.app.ops("GET", &path, None).await.expect(200);
        for field in
            ["currencies", "locales", "countries", "time_zone", "prices_include_tax", "rounding", "payment_methods"]
        {
            let given = settings.as_object_mut().unwrap();
            given.entry(field).or_insert_with(|| channel[field].clone());
        }
        self.app.ops("PATCH", &path, Some(&json!({ "settings": settings }))).await.expect(200);
    }

    /// A request of a guest.
    pub async fn store(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Answer {
        let mut headers = vec![("Channel-Key", self.key.as_str())];
        headers.extend(token.map(|token| ("Cart-Token", token)));
        self.app.send(method, &format!("/v1/store{path}"), &headers, body).await
    }

    /// A cart with everything that ordering needs.
    pub async fn cart(&self, lines: &[(&str, i64)]) -> Cart {
        let lines: Vec<Value> = lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
        let body = json!({
            "lines": lines, "email": "ada@example.org", "shipping_method": "standard", "shipping_address": address(),
        });
        let body = self.store("POST", "/carts", None, Some(&body)).await.expect(201);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Cart { id: text(&body["id"]), token: text(&body["token"]), body }
    }

    /// Completes a cart with a sandbox instrument.
    pub async fn complete(&self, cart: &Cart, instrument: &str) -> Answer {
        let body = json!({"payment": {"method": "sandbox", "instrument": instrument}});
        self.store("POST", &format!("/carts/{}/complete", cart.id), Some(&cart.token), Some(&body)).await
    }

    /// Orders at once: the order's document.
    pub async fn order(&self, lines: &[(&str, i64)]) -> Value {
        let cart = self.cart(lines).await;
        self.complete(&cart, "approve").await.expect(201)["order"].clone()
    }

    /// What is available of a SKU, as a storefront is told.
    pub async fn available(&self, sku: &'static str) -> i64 {
        let found = self.app.read(move |tx| {
            kontor::db::sql(
                "SELECT CAST(coalesce(sum(on_hand - allocated - reserved - safety), 0) AS BIGINT) FROM stock_levels \
                 JOIN variants ON variants.id = variant_id WHERE sku = ?",
            )
            .bind(sku)
            .first::<diesel::sql_types::BigInt, i64>(tx)
        });
        found.await.unwrap()
    }

    /// How many rows a table has.
    pub async fn count(&self, table: &'static str) -> i64 {
        let query = format!("SELECT count(*) FROM {table}");
        let found = self.app.read(move |tx| kontor::db::sql(query).first::<diesel::sql_types::BigInt, i64>(tx));
        found.await.unwrap()
    }
}

pub fn address() -> Value {
    json!({"name": "Ada Lovelace", "street1": "Invalidenstr. 117", "postcode": "10115", "city": "Berlin", "country": "DE",
        "phone": "+49 30 1234567"})
}
