//! The walk-through of `docs/black-friday.md`: its requests as they stand there, and the storm that it tells of.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{App, Shop, on_both_idle};

/// A request of the page, and what it says of the answer.
struct Block {
    method: String,
    path: String,
    body: Option<String>,
    outcome: String,
}

fn blocks() -> Vec<Block> {
    let path = format!("{}/docs/black-friday.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(path).unwrap();
    let parts = page.split("```http\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    parts.map(|text| block(&text)).collect()
}

fn block(text: &str) -> Block {
    let (request, outcome) = text.split_once("=> ").unwrap_or_else(|| panic!("no outcome in {text}"));
    let (head, body) = request.split_once('\n').unwrap();
    let (method, path) = head.split_once(' ').unwrap();
    let body = Some(body.trim()).filter(|body| !body.is_empty()).map(str::to_owned);
    Block { method: method.to_owned(), path: path.to_owned(), body, outcome: outcome.trim().to_owned() }
}

impl Block {
    /// Sends it, and holds the answer against what the page says. Names for ids are remembered.
    async fn run(&self, app: &App, names: &mut BTreeMap<String, String>) -> Value {
        let fill = |text: &str| {
            names.iter().fold(text.to_owned(), |text, (name, id)| text.replace(&format!("{{{name}}}"), id))
        };
        let path = fill(self.path.strip_prefix("/v1/ops").unwrap());
        let body: Option<Value> = self.body.as_ref().map(|body| serde_json::from_str(&fill(body)).unwrap());
        let answer = app.ops(&self.method, &path, body.as_ref()).await;
        let (status, more) = self.outcome.split_once(' ').unwrap_or((&self.outcome, ""));
        assert_eq!(answer.status.to_string(), status, "{} {}: {}", self.method, self.path, answer.text);
        match more.split_once(' ') {
            _ if more.starts_with('{') => {
                let id = answer.body["id"].as_str().unwrap().to_owned();
                names.insert(more.trim_matches(['{', '}']).to_owned(), id);
            }
            Some(("total", total)) => {
                assert_eq!(answer.body["totals"]["total"]["amount"], json!(total), "{}", answer.text)
            }
            Some(("items", count)) => {
                assert_eq!(answer.body["items"].as_array().unwrap().len().to_string(), count, "{}", answer.text);
            }
            _ if more.is_empty() => {}
            _ => assert_eq!(answer.body["code"], json!(more)),
        }
        answer.body
    }
}

fn cents(money: &Value) -> i64 {
    money["amount"].as_str().unwrap().replace('.', "").parse().unwrap()
}

fn at(app: &App, instant: &str) {
    let then: kontor::kernel::Instant = instant.parse().unwrap();
    app.clock.advance_seconds((then.micros() - app.now().micros()) / 1_000_000);
}

/// One client: orders until the headset is at its full price again. Its orders.
async fn client(shop: &Shop, number: i64) -> Vec<Value> {
    let mut orders = Vec::new();
    for round in 0.. {
        assert!(round < 200, "the storm does not end");
        let cart = shop.cart(&[("HEADSET", 3 + (number + round) % 3)]).await;
        let path = format!("/carts/{}", cart.id);
        let code = json!({"code": "bf five"});
        let coupon = shop.store("POST", &format!("{path}/coupons"), Some(&cart.token), Some(&code)).await;
        assert!(coupon.status == 200 || coupon.body["code"] == "coupon_refused", "{}", coupon.text);
        let order = loop {
            let ended = shop.complete(&cart, "approve").await;
            match ended.status {
                201 => break ended.body["order"].clone(),
                // Somebody was faster: the shopper is shown the new price, and takes it.
                409 if ended.body["code"] == "promotion_exhausted" => {
                    shop.store("POST", &format!("{path}/checkout"), Some(&cart.token), None).await.expect(200);
                }
                503 if ended.body["code"] == "overloaded" => {}
                _ => panic!("{}", ended.text),
            }
        };
        let reduced = order["promotions"].as_array().into_iter().flatten().any(|one| one["code"] == "headset-40");
        orders.push(order);
        if !reduced {
            return orders;
        }
    }
    orders
}

/// What a promotion is worth in an order: pieces and cents.
fn worth(order: &Value, code: &str) -> (i64, i64) {
    let found = order["promotions"].as_array().into_iter().flatten().find(|one| one["code"] == code);
    found.map_or((0, 0), |one| (one["units"].as_i64().unwrap(), cents(&one["amount"])))
}

#[test]
fn the_walk_through_holds_from_the_plan_to_the_storm() {
    on_both_idle(|app| async move {
        at(&app, "2026-04-01T09:00:00Z");
        let shop =
            Shop::open(&app, &[("TEE", "60.00", 100), ("CAP", "20.00", 100), ("HEADSET", "100.00", 2_000)]).await;
        at(&app, "2026-11-12T09:00:00Z");
        shop.set_price("CAP", "30.00").await;
        at(&app, "2026-11-20T09:00:00Z");
        let mut names = BTreeMap::from([("channel".to_owned(), shop.channel.clone())]);
        let mut requests = blocks();
        let report = requests.pop().unwrap();
        for request in requests {
            request.run(&app, &mut names).await;
        }
        at(&app, "2026-11-26T23:00:00Z");
        let orders: Vec<Value> = join_all((0..8).map(|number| client(&shop, number))).await.concat();
        let sum = |code: &str| {
            orders.iter().map(|order| worth(order, code)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
        };
        assert_eq!(sum("headset-40"), (500, 500 * 4_000));
        // The same carts have stormed the code: sixty orders have it, five euros each, and the headset reduced as well.
        let with_code: Vec<i64> =
            orders.iter().map(|order| worth(order, "five-off").1).filter(|off| *off > 0).collect();
        assert_eq!(with_code, [500; 60]);
        assert!(
            orders.iter().filter(|order| worth(order, "five-off").1 > 0).all(|order| worth(order, "headset-40").0 > 0)
        );
        let coupon = app.ops("GET", "/coupons/bf-five", None).await.expect(200);
        assert_eq!(coupon["uses"], 60);
        let taken = async |name: &str| {
            let seen = app.ops("GET", &format!("/promotions/{}", names[name]), None).await.expect(200);
            seen["taken"].clone()
        };
        assert_eq!((&taken("headset").await["units"], &taken("code").await["uses"]), (&json!(500), &json!(60)));
        for order in &orders {
            let lines: i64 = order["lines"].as_array().unwrap().iter().map(|line| cents(&line["gross"])).sum();
            assert_eq!(lines + cents(&order["shipping"]["gross"]), cents(&order["total"]));
            assert_eq!(worth(order, "headset-40").1 + worth(order, "five-off").1, cents(&order["discount"]));
        }
        what_the_law_asks(&app, &shop, &report, &mut names).await;
    });
}

async fn what_the_law_asks(app: &App, shop: &Shop, report: &Block, names: &mut BTreeMap<String, String>) {
    let offers = shop.store("POST", "/offers", None, Some(&json!({"skus": ["TEE", "CAP"]}))).await.expect(200);
    let shown = |at: usize| {
        let item = &offers["items"][at];
        (item["prior_price"]["amount"].as_str().unwrap(), item["reduction_percent"].as_i64().unwrap())
    };
    assert_eq!((shown(0), shown(1)), (("60.00", 25), ("20.00", 10)));
    let found = report.run(app, names).await;
    let cap = &found["items"][0];
    let findings: Vec<&str> =
        cap["findings"].as_array().unwrap().iter().map(|step| step["code"].as_str().unwrap()).collect();
    assert_eq!((cap["sku"].as_str().unwrap(), findings), ("CAP", vec!["claim_too_high", "raised_before"]));
    assert_eq!((&cap["claimed_percent"], &cap["honest_percent"]), (&json!(40), &json!(10)));
    assert_eq!(cap["raised_at"], "2026-11-12T09:00:00Z");
    let all = app.ops("GET", "/sale-prices?count=capped", None).await.expect(200);
    assert_eq!((all["count"].as_i64(), all["items"].as_array().unwrap().len()), (Some(3), 3));
    let honest = app.ops("GET", "/sale-prices?borne_out=true", None).await.expect(200);
    assert_eq!((&honest["items"][0]["sku"], &honest["items"][0]["honest_percent"]), (&json!("TEE"), &json!(25)));
}
