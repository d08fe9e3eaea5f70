//! What is stuck costs as many statements to list however much of it there is, and wherever.

use serde_json::{Value, json};

use crate::support::{App, Shop, on_both_idle};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

/// An article that one location alone can ship, of which nothing lies anywhere.
async fn far_away(app: &App, shop: &Shop, name: &str) {
    let sku = format!("ART-{name}");
    shop.add(&sku, "9.90", 0).await;
    let new = json!({"code": name, "name": name, "country": "DE", "time_zone": "Europe/Berlin", "priority": 200,
        "capabilities": [name]});
    app.ops("POST", "/locations", Some(&new)).await.expect(201);
    let found = app.ops("GET", &format!("/variants?sku={sku}"), None).await.expect(200);
    let path = format!("/variants/{}", text(&found["items"][0]["id"]));
    let change = json!({"requires": [name], "backorder_policy": "allow"});
    app.ops("PATCH", &path, Some(&change)).await.expect(200);
}

async fn stuck(app: &App) -> Vec<Value> {
    let found = app.ops("GET", "/processes?limit=200", None).await.expect(200);
    found["items"].as_array().unwrap().clone()
}

#[test]
fn the_statements_of_the_list_do_not_grow_with_what_is_stuck_or_with_the_locations_where_it_is() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 0)]).await;
        far_away(&app, &shop, "a").await;
        // What is kept in memory is looked at now and then: the least of some is its own.
        let least = async || {
            let mut least = u64::MAX;
            for _ in 0..6 {
                let before = app.state.db.stats().statements;
                stuck(&app).await;
                least = least.min(app.state.db.stats().statements - before);
            }
            least
        };
        crate::support::eventually("the location is known", || async {
            let cart = shop.cart(&[("ART-a", 1)]).await;
            shop.complete(&cart, "approve").await.status == 201
        })
        .await;
        app.clock.advance_seconds(10 * 86_400);
        let (few, one) = (stuck(&app).await.len(), least().await);
        assert!(few > 0);
        for name in ["b", "c", "d", "e"] {
            far_away(&app, &shop, name).await;
        }
        for name in ["b", "c", "d", "e"] {
            let sku = format!("ART-{name}");
            crate::support::eventually("the location is known", || async {
                let cart = shop.cart(&[(&sku, 1)]).await;
                shop.complete(&cart, "approve").await.status == 201
            })
            .await;
            for _ in 0..3 {
                shop.order(&[(&sku, 1), ("ART-a", 1)]).await;
            }
        }
        app.clock.advance_seconds(10 * 86_400);
        let many = stuck(&app).await;
        let goods = many.iter().filter(|step| step["waits_for"].as_str().is_some_and(|why| why.starts_with("goods")));
        assert!(goods.count() > 10 && many.len() > 5 * few, "{} of {few}", many.len());
        let all = least().await;
        assert!(all <= one, "of {few} steps {one} statements, of {} {all}", many.len());
    });
}
