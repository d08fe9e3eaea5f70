//! Codes that were mistyped are told so, and nobody learns from that which codes there are.

use serde_json::json;

use crate::{
    promotions::{percent, promote},
    support::{Answer, Shop, eventually, on_both, on_both_set},
};

async fn bring(shop: &Shop, cart: &crate::support::Cart, code: &str) -> Answer {
    let path = format!("/carts/{}/coupons", cart.id);
    shop.store("POST", &path, Some(&cart.token), Some(&json!({ "code": code }))).await
}

/// With two neighbours exchanged, the first that differ from a place on.
fn swapped(code: &str, from: usize) -> String {
    let mut bytes = code.as_bytes().to_vec();
    let at = (from..bytes.len() - 1).find(|at| bytes[*at] != bytes[at + 1]).unwrap();
    bytes.swap(at, at + 1);
    String::from_utf8(bytes).unwrap()
}

/// With another character at a place.
fn wrong(code: &str, at: usize) -> String {
    let mut bytes = code.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'7' { b'8' } else { b'7' };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_generated_code_that_was_mistyped_is_told_so() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let id = promote(&app, "post", json!({"conditions": {"coupon": true}, "gift": percent("10", "order")})).await;
        let new = json!({"size": 3, "prefix": "BF"});
        let batch = app.ops("POST", &format!("/promotions/{id}/coupon-batches"), Some(&new)).await.expect(202);
        let path = format!("/coupon-batches/{}", batch["id"].as_str().unwrap());
        eventually("the codes are made", async || app.ops("GET", &path, None).await.expect(200)["made"] == 3).await;
        let page = app.ops("GET", &format!("{path}/coupons"), None).await.expect(200);
        let code = page["items"][0]["code"].as_str().unwrap().to_owned();
        let cart = shop.cart(&[("MUG", 1)]).await;
        let typed = format!("{}-{}", code[..6].to_lowercase(), &code[6..]);
        for mistyped in [wrong(&code, 2), wrong(&code, 9), wrong(&code, 13), swapped(&code, 2), swapped(&typed, 7)] {
            let told = bring(&shop, &cart, &mistyped).await.problem(422, "coupon_mistyped");
            assert_eq!(told["pointer"], "/code");
        }
        // In whatever way codes come.
        let whole = json!({"coupons": ["nothing", wrong(&code, 5)]});
        let path = format!("/carts/{}", cart.id);
        shop.store("PATCH", &path, Some(&cart.token), Some(&whole)).await.problem(422, "coupon_unknown");
        let whole = json!({"coupons": [code, wrong(&code, 5)]});
        let told = shop.store("PATCH", &path, Some(&cart.token), Some(&whole)).await.problem(422, "coupon_mistyped");
        assert_eq!(told["pointer"], "/coupons/1");
        let asked = json!({"channel_id": shop.channel, "lines": [{"sku": "MUG"}], "coupons": [wrong(&code, 7)]});
        app.ops("POST", "/pricing/simulate", Some(&asked)).await.problem(422, "coupon_mistyped");
        // What can not be told from another code is not there: one that checks out, and one without the shape.
        for unknown in ["BF222222222222", "BF2345", "BLACKFRIDAY"] {
            bring(&shop, &cart, unknown).await.problem(422, "coupon_unknown");
        }
        assert_eq!(bring(&shop, &cart, &typed).await.expect(200)["coupons"], json!([code]));
        // A name is a name, whatever it looks like.
        bring(&shop, &cart, "GREEN-HATS-2345").await.problem(422, "coupon_mistyped");
        let named = json!({"code": "green-hats-2345"});
        app.ops("POST", &format!("/promotions/{id}/coupons"), Some(&named)).await.expect(201);
        let seen = bring(&shop, &cart, "GREEN-HATS-2345").await.expect(200);
        assert_eq!(seen["coupons"], json!([code, "GREENHATS2345"]));
    });
}

#[test]
fn a_mistyped_code_counts_like_any_other() {
    let few = |settings: &mut kontor::config::Settings| settings.http.coupon_requests_per_minute = 4;
    on_both_set(few, |app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let cart = shop.cart(&[("MUG", 1)]).await;
        let mut through = 0;
        for _ in 0..12 {
            let answer = bring(&shop, &cart, "BF322222222224").await;
            match answer.status {
                429 => assert_eq!(answer.body["code"], "rate_limited"),
                _ => {
                    answer.problem(422, "coupon_mistyped");
                    through += 1;
                }
            }
        }
        assert!((4..=6).contains(&through), "{through} of 12");
    });
}
