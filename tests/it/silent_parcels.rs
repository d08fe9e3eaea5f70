//! The look at parcels of which nothing is heard: as many statements for many as for few.

use kontor::{db::Lane, fulfilment::carriers::ask_silent};
use serde_json::json;

use crate::{
    inbound::text,
    support::{App, Shop, on_both_idle},
};

/// Parcels that have left with labels which were bought of a carrier that can be asked.
async fn sent(app: &App, shop: &Shop, parcels: usize) {
    for _ in 0..parcels {
        let order = shop.order(&[("TEE", 1)]).await;
        let path = format!("/orders/{}/fulfilment", text(&order["id"]));
        let work = text(&app.ops("GET", &path, None).await.expect(200)["fulfilment_orders"][0]["id"]);
        let path = format!("/fulfilment-orders/{work}/packages");
        let body = json!({"weight_grams": 800, "dimensions": {"length_mm": 300, "width_mm": 200, "height_mm": 100}});
        let package = text(&app.ops("POST", &path, Some(&body)).await.expect(201)["id"]);
        let label = json!({"account": "ep"});
        app.ops("POST", &format!("/packages/{package}/carrier-labels"), Some(&label)).await.expect(201);
        // Nobody is asked here: it is as if the carrier had answered.
        let now = app.now();
        let bought = app.state.db.write_in(Lane::Bulk, move |tx| {
            let update = "UPDATE carrier_labels SET state = 'bought', ask_at = ? WHERE state = 'requested'";
            kontor::db::sql(update).bind(now).execute(tx)
        });
        assert_eq!(bought.await.unwrap(), 1);
        app.ops("POST", &format!("/fulfilment-orders/{work}/ship"), Some(&json!({}))).await.expect(201);
    }
}

/// How many statements one look costs, and how many carriers are asked by it.
async fn look(app: &App) -> (u64, i64) {
    let asked = async || app.count("SELECT count(*) FROM jobs WHERE kind = 'carriers.track'").await;
    let before = (asked().await, app.state.db.stats().statements);
    ask_silent(&app.state.db, app.now(), 3).await.unwrap();
    let cost = app.state.db.stats().statements - before.1;
    (cost, asked().await - before.0)
}

/// The least of a few looks, so many days apart, for the server does other things beside them; and how many carriers each asks.
async fn least(app: &App, days: i64) -> (u64, i64) {
    let mut least = (u64::MAX, 0);
    for _ in 0..4 {
        app.clock.advance_seconds(days * 86_400);
        let (cost, asked) = look(app).await;
        least = (least.0.min(cost), asked);
    }
    least
}

#[test]
fn many_silent_parcels_cost_as_many_statements_as_one() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "19.90", 50)]).await;
        let account = json!({"code": "ep", "adapter": "easypost", "settings": {"base_url": "http://127.0.0.1:9"},
            "secrets": {"api_key": "EZTK"}});
        app.ops("POST", "/carrier-accounts", Some(&account)).await.expect(201);
        // Where nothing is due, it is one statement.
        assert_eq!(least(&app, 0).await, (1, 0));
        sent(&app, &shop, 1).await;
        let one = least(&app, 4).await;
        sent(&app, &shop, 12).await;
        // The first is due again with the others.
        let many = least(&app, 4).await;
        assert_eq!((one.1, many.1), (1, 13));
        assert_eq!(one.0, many.0, "one parcel takes {} statements, thirteen take {}", one.0, many.0);
        assert!(one.0 <= 6, "{}", one.0);
        // Asked already, they are left alone until their time has come again.
        assert_eq!(least(&app, 0).await, (1, 0));
    });
}
