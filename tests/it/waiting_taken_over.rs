//! What somebody waits for as a guest becomes theirs when they sign in with the address, shown to be theirs.

use kontor::http::auth::Audience;
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, eventually, on_both};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

async fn ask(shop: &Shop, sku: &str, email: &str) {
    let body = json!({"sku": sku, "email": email, "consent": true});
    shop.store("POST", "/back-in-stock", None, Some(&body)).await.expect(202);
}

/// Somebody who is signed in; their address is verified or not.
struct Visitor<'a> {
    shop: &'a Shop,
    token: String,
}

impl<'a> Visitor<'a> {
    fn of(shop: &'a Shop, subject: &str, email: &str, verified: bool) -> Self {
        let mut claims = shop.app.claims(Audience::Customer, subject, "");
        (claims.email, claims.email_verified) = (Some(email.to_owned()), Some(verified));
        Self { shop, token: format!("Bearer {}", shop.app.state.verifier.issue(claims).unwrap()) }
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let headers = [("Channel-Key", self.shop.key.as_str()), ("Authorization", self.token.as_str())];
        self.shop.app.send(method, &format!("/v1/store{path}"), &headers, body).await
    }

    /// Ids and SKUs of what they wait for.
    async fn own(&self) -> Vec<(String, String)> {
        let page = self.send("GET", "/me/back-in-stock", None).await.expect(200);
        let one = |one: &Value| (text(&one["id"]).to_owned(), text(&one["sku"]).to_owned());
        page["items"].as_array().unwrap().iter().map(one).collect()
    }

    async fn skus(&self) -> Vec<String> {
        self.own().await.into_iter().map(|(_, sku)| sku).collect()
    }
}

/// How many wait who are nobody's.
async fn guests(app: &App) -> i64 {
    app.count("SELECT count(*) FROM back_in_stock WHERE customer_id IS NULL").await
}

#[test]
fn a_guests_waiting_is_taken_over_by_whoever_signs_in_with_the_address() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 0), ("MUG", "10.00", 0), ("CUP", "5.00", 0)]).await;
        ask(&shop, "TEE", "grace@example.org").await;
        ask(&shop, "MUG", "Grace@Example.org").await;
        ask(&shop, "TEE", "ada@example.org").await;
        // An address that nobody has verified proves nothing.
        let mallory = Visitor::of(&shop, "mallory", "grace@example.org", false);
        mallory.send("GET", "/me", None).await.expect(200);
        assert_eq!(mallory.skus().await, Vec::<String>::new());
        // At the first use of the sign-in.
        let grace = Visitor::of(&shop, "grace", "GRACE@example.org", true);
        let me = grace.send("GET", "/me", None).await.expect(200);
        assert_eq!(guests(&app).await, 3, "whoever has just signed in is served first");
        app.clock.advance_seconds(5);
        eventually("it is theirs", || async { guests(&app).await == 1 }).await;
        assert_eq!(grace.skus().await, ["TEE", "MUG"]);
        let seen = app.ops("GET", "/back-in-stock?sku=MUG", None).await.expect(200);
        assert_eq!(
            (&seen["items"][0]["customer_id"], &seen["items"][0]["email"]),
            (&me["id"], &json!("Grace@Example.org"))
        );
        // What they ask for as a guest afterwards, when they look.
        ask(&shop, "CUP", "grace@example.org").await;
        assert_eq!(guests(&app).await, 2);
        assert_eq!(grace.skus().await, ["TEE", "MUG", "CUP"]);
        assert_eq!(guests(&app).await, 1);
        // They are told as customers, and end what is theirs.
        let cup = grace.own().await.into_iter().find(|(_, sku)| sku == "CUP").unwrap().0;
        mallory.send("DELETE", &format!("/back-in-stock/{cup}"), None).await.problem(404, "not_found");
        assert_eq!(grace.send("DELETE", &format!("/back-in-stock/{cup}"), None).await.status, 204);
        shop.stock_up("MUG", 1).await;
        app.clock.advance_seconds(30);
        let told = "SELECT count(*) FROM events WHERE type = 'back_in_stock.told.v1' AND subject_id IS NOT NULL";
        eventually("told", || async { app.count(told).await == 1 }).await;
        // And are erased with it.
        app.ops("POST", &format!("/customers/{}/erase", text(&me["id"])), None).await.expect(200);
        let left = app.ops("GET", "/back-in-stock", None).await.expect(200);
        let left: Vec<&str> = left["items"].as_array().unwrap().iter().map(|one| text(&one["email"])).collect();
        assert_eq!(left, ["ada@example.org"]);
        let personal = "SELECT count(*) FROM events WHERE type LIKE 'back_in_stock.%' AND personal IS NOT NULL";
        assert_eq!(app.count(personal).await, 1, "ada's");
    });
}

#[test]
fn nothing_is_taken_over_that_may_be_somebody_elses() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "20.00", 0), ("MUG", "10.00", 0)]).await;
        // A letter that folds to an ASCII one is another mailbox.
        let odd = json!({"sku": "TEE", "email": "\u{212a}ay@example.org", "consent": true});
        let odd = shop.store("POST", "/back-in-stock", None, Some(&odd)).await.status;
        ask(&shop, "MUG", "kay@example.org").await;
        let kay = Visitor::of(&shop, "kay", "kay@example.org", true);
        // Before anybody has looked: ended by whoever the address is, theirs or not yet.
        let found = app.ops("GET", "/back-in-stock?sku=MUG", None).await.expect(200);
        let mug = text(&found["items"][0]["id"]).to_owned();
        let other = Visitor::of(&shop, "other", "other@example.org", true);
        other.send("DELETE", &format!("/back-in-stock/{mug}"), None).await.problem(404, "not_found");
        assert_eq!(kay.send("DELETE", &format!("/back-in-stock/{mug}"), None).await.status, 204);
        ask(&shop, "MUG", "kay@example.org").await;
        // Asked for again when signed in it is theirs, once.
        let wish = json!({"sku": "MUG", "consent": true});
        kay.send("POST", "/back-in-stock", Some(&wish)).await.expect(202);
        assert_eq!(kay.skus().await, ["MUG"]);
        assert_eq!(guests(&app).await, i64::from(odd == 202));
        assert_eq!(other.skus().await, Vec::<String>::new());
        // Who was erased before the job has looked takes nothing.
        ask(&shop, "TEE", "dora@example.org").await;
        let dora = Visitor::of(&shop, "dora", "dora@example.org", true);
        let me = dora.send("GET", "/me", None).await.expect(200);
        app.ops("POST", &format!("/customers/{}/erase", text(&me["id"])), None).await.expect(200);
        app.clock.advance_seconds(5);
        eventually("looked at", || async {
            app.count("SELECT count(*) FROM jobs WHERE kind = 'customers.signed_in'").await == 0
        })
        .await;
        assert_eq!(guests(&app).await, 1 + i64::from(odd == 202));
    });
}
