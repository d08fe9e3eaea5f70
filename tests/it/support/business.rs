//! A company with somebody who buys and somebody who approves, and what they can have in hand: for tests that go through all routes.

use kontor::http::auth::Audience;
use serde_json::{Value, json};

use super::{App, shop::address};

/// Who buys for a company, on a channel.
pub struct Business {
    app: App,
    key: String,
    channel: String,
    sku: String,
    name: String,
    pub company: String,
    pub buyer: String,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

impl Business {
    /// `name` is the beginning of the names of its people: `-buyer`, who asks for everything, and `-boss`, its admin.
    pub async fn open(app: &App, (key, channel): (&str, &str), sku: &str, name: &str) -> Self {
        let new = json!({"number": name, "name": name});
        let company = text(&app.ops("POST", "/companies", Some(&new)).await.expect(201)["id"]);
        let limit = json!({"limit": {"amount": "1000.00", "currency": "EUR"}});
        app.ops("PUT", &format!("/companies/{company}/credit"), Some(&limit)).await.expect(200);
        let mut people = Vec::new();
        let cent = json!({"amount": "0.01", "currency": "EUR"});
        for (who, role, limit) in [("buyer", "buyer", cent), ("boss", "admin", Value::Null)] {
            let email = format!("{name}-{who}@example.org");
            let new = json!({"name": format!("{name} {who}"), "email": email, "company_id": company});
            let id = text(&app.ops("POST", "/customers", Some(&new)).await.expect(201)["id"]);
            let path = format!("/companies/{company}/members/{id}");
            app.ops("PUT", &path, Some(&json!({"role": role, "order_limit": limit}))).await.expect(200);
            people.push(id);
        }
        let (key, channel, sku, name) = (key.to_owned(), channel.to_owned(), sku.to_owned(), name.to_owned());
        Self { app: app.clone(), key, channel, sku, name, company, buyer: people.remove(0) }
    }

    /// What `buyer` or `boss` signs in with.
    pub fn bearer(&self, who: &str) -> String {
        let name = format!("{}-{who}", self.name);
        let mut claims = self.app.claims(Audience::Customer, &name, "");
        (claims.email, claims.email_verified) = (Some(format!("{name}@example.org")), Some(true));
        format!("Bearer {}", self.app.state.verifier.issue(claims).unwrap())
    }

    async fn post(&self, who: &str, path: &str, body: Value) -> Value {
        let token = self.bearer(who);
        let headers = [("Channel-Key", self.key.as_str()), ("Authorization", token.as_str())];
        let answer = self.app.send("POST", &format!("/v1/store{path}"), &headers, Some(&body)).await;
        assert!(answer.status < 300, "{path}: {}", answer.text);
        answer.body
    }

    /// A cart of one of them.
    pub async fn cart(&self, who: &str) -> String {
        let body = json!({"lines": [{"sku": self.sku, "quantity": 1}], "email": format!("{}-{who}@example.org", self.name),
            "shipping_address": address(), "shipping_method": "standard"});
        text(&self.post(who, "/carts", body).await["id"])
    }

    /// A request for approval that waits.
    pub async fn asked(&self) -> String {
        let cart = self.cart("buyer").await;
        text(&self.post("buyer", &format!("/carts/{cart}/approval-requests"), json!({})).await["id"])
    }

    /// A request that is above the company's credit and waits for the shop.
    pub async fn above_credit(&self) -> String {
        let limit = json!({"limit": {"amount": "0.01", "currency": "EUR"}, "above": "approval"});
        self.app.ops("PUT", &format!("/companies/{}/credit", self.company), Some(&limit)).await.expect(200);
        let cart = self.cart("boss").await;
        let wish = json!({"payment_method": "on_account"});
        text(&self.post("boss", &format!("/carts/{cart}/approval-requests"), wish).await["id"])
    }

    /// A quote of the boss, asked for or offered.
    pub async fn quote(&self, offered: bool) -> String {
        let cart = self.cart("boss").await;
        let id = text(&self.post("boss", &format!("/carts/{cart}/quote-requests"), json!({})).await["id"]);
        if offered {
            let offer = json!({"lines": [{"line_no": 1, "unit_price": {"amount": "5.00", "currency": "EUR"}}],
                "valid_until": self.app.now().plus_seconds(864_000)});
            self.app.ops("POST", &format!("/quotes/{id}/offer"), Some(&offer)).await.expect(200);
        }
        id
    }

    /// A cart of staff.
    pub async fn staff_cart(&self) -> String {
        let cart = json!({"channel_id": self.channel, "lines": [{"sku": self.sku, "quantity": 1}], "email": "x@example.org",
            "shipping_address": address(), "shipping_method": "standard"});
        text(&self.app.ops("POST", "/carts", Some(&cart)).await.expect(201)["id"])
    }

    /// A draft of staff.
    pub async fn draft(&self) -> String {
        let new = json!({"cart_id": self.staff_cart().await, "contact": "phone"});
        text(&self.app.ops("POST", "/drafts", Some(&new)).await.expect(201)["id"])
    }

    /// A link to pay a draft.
    pub async fn link(&self) -> String {
        let path = format!("/drafts/{}/payment-link", self.draft().await);
        text(&self.app.ops("POST", &path, Some(&json!({}))).await.expect(201)["token"])
    }

    /// A list of what is ordered again, shared by the boss.
    pub async fn template(&self) -> String {
        let new = json!({"name": self.name, "shared": true, "lines": [{"sku": self.sku, "quantity": 2}]});
        text(&self.post("boss", "/me/order-templates", new).await["id"])
    }

    /// What is wanted at a date that is far away.
    pub async fn recurring(&self) -> String {
        let new = json!({"cart_id": self.cart("boss").await, "every": {"count": 1, "unit": "month"},
            "first_at": "2036-01-31T09:00:00Z", "payment_method": "manual"});
        text(&self.post("boss", "/me/recurring-orders", new).await["id"])
    }
}
