//! Packing slips to print, and packages that are scanned.

use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{Shop, on_both};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

#[test]
fn a_slip_is_printed_in_the_customers_language_and_tells_prices_only_when_asked() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[]).await;
        let mug = json!({"sku": "MUG<1>", "name": "<script>alert(1)</script> & \"Tasse\"", "tax_class": "standard", "weight_grams": 300});
        app.ops("POST", "/variants", Some(&mug)).await.expect(201);
        shop.set_price("MUG<1>", "9.90").await;
        shop.stock_up("MUG<1>", 9).await;
        let location =
            format!("/locations/{}", text(&app.ops("GET", "/locations", None).await.expect(200)["items"][0]["id"]));
        app.ops("PATCH", &location, Some(&json!({"gs1_prefix": "4006381"}))).await.expect(200);
        let body = json!({
            "lines": [{"sku": "MUG<1>", "quantity": 2}], "email": "ada@example.org", "shipping_method": "standard", "locale": "de-DE",
            "shipping_address": {"name": "O'Hara <b>", "street1": "Weg 1", "postcode": "10117", "city": "Berlin", "country": "DE"},
        });
        let cart = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
        let pay = json!({"payment": {"method": "sandbox"}});
        let path = format!("/carts/{}/complete", text(&cart["id"]));
        let order =
            shop.store("POST", &path, Some(&text(&cart["token"])), Some(&pay)).await.expect(201)["order"].clone();
        let work = app.ops("GET", &format!("/orders/{}/fulfilment", text(&order["id"])), None).await.expect(200);
        let work = format!("/fulfilment-orders/{}", text(&work["fulfilment_orders"][0]["id"]));
        let serial = json!({"lines": [{"line_no": 1, "quantity": 2, "serials": ["S<1>"]}]});
        let package = app.ops("POST", &format!("{work}/packages"), Some(&serial)).await.expect(201);
        let slip = format!("/packages/{}/packing-slip", text(&package["id"]));
        // A document as ever.
        let document = app.ops("GET", &slip, None).await.expect(200);
        assert_eq!((&document["locale"], &document["lines"][0]["quantity"]), (&json!("de-DE"), &json!(2)));
        // A page: its headings are German, and what somebody wrote is text.
        let page = app.ops("GET", &format!("{slip}?format=html&paper=a5"), None).await;
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
        for told in [
            "<html lang=\"de\">",
            "Lieferschein",
            "Empfänger",
            "size:A5",
            "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;Tasse&quot;",
            "MUG&lt;1&gt;",
            "O&#39;Hara &lt;b&gt;",
            "S&lt;1&gt;",
            &format!("(00){}", text(&package["sscc"])),
            &text(&order["number"]),
        ] {
            assert!(page.text.contains(told), "{told}: {}", page.text);
        }
        for untold in ["<script", "<b>", "9.90", "Einzelpreis"] {
            assert!(!page.text.contains(untold), "{untold}: {}", page.text);
        }
        let priced = app.ops("GET", &format!("{slip}?format=html&prices=true"), None).await;
        assert!(priced.text.contains("Einzelpreis") && priced.text.contains("9.90 EUR"), "{}", priced.text);
        assert!(priced.text.contains("size:A4"), "{}", priced.text);
        // By what is accepted; what is asked for by name goes before.
        let token = format!("Bearer {}", app.staff());
        let headers = [("Authorization", token.as_str()), ("Accept", "text/html,application/xhtml+xml")];
        let accepted = app.send("GET", &format!("/v1/ops{slip}"), &headers, None).await;
        assert!(accepted.text.starts_with("<!doctype html>"), "{}", accepted.text);
        let named = app.send("GET", &format!("/v1/ops{slip}?format=json"), &headers, None).await;
        assert_eq!(named.expect(200)["order_number"], order["number"]);
        app.ops("GET", &format!("{slip}?format=pdf"), None).await.problem(400, "invalid_query");

        // Its SSCC is scanned: where it was packed it can be shipped and unpacked, and nowhere else.
        let sscc = text(&package["sscc"]);
        let scan = |code: String, location: Option<&'static str>, token: String| {
            let app = app.clone();
            async move {
                let body = json!({"code": code, "location": location});
                let headers = [("Authorization", token.as_str())];
                app.send("POST", "/v1/ops/scan", &headers, Some(&body)).await.expect(200)
            }
        };
        let told = |answer: &Value| -> Vec<(String, bool)> {
            let own = answer["actions"].as_array().unwrap().iter();
            own.map(|action| (text(&action["command"]), action["allowed"] == true)).collect()
        };
        let both = |allowed: bool| vec![("ship".to_owned(), allowed), ("unpack".to_owned(), allowed)];
        let seen = scan(format!("(00){sscc}"), Some("berlin"), token.clone()).await;
        assert_eq!((&seen["package"]["id"], told(&seen)), (&package["id"], both(true)));
        assert_eq!(text(&seen["actions"][0]["link"]), format!("/v1/ops{work}/ship"));
        assert_eq!(told(&scan(format!("(00){sscc}"), None, token.clone()).await), []);
        let other = json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin"});
        app.ops("POST", "/locations", Some(&other)).await.expect(201);
        let elsewhere = scan(format!("(00){sscc}"), Some("bremen"), token.clone()).await;
        assert_eq!(told(&elsewhere), both(false));
        // Whoever reads stock alone is not told of packages.
        let stock = format!("Bearer {}", app.token(Audience::Staff, "stock", &[Scope::StockRead]));
        let unseen = scan(format!("(00){sscc}"), Some("berlin"), stock).await;
        assert_eq!((&unseen["package"], told(&unseen)), (&Value::Null, vec![]));
        // Once it has left nothing is to be done with it.
        app.ops("POST", &format!("{work}/ship"), Some(&json!({}))).await.expect(201);
        let gone = scan(format!("(00){sscc}"), Some("berlin"), token).await;
        assert_eq!((&gone["package"]["state"], told(&gone)), (&json!("shipped"), both(false)));
    });
}
