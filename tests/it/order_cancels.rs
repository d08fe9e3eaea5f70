//! Cancelling an order, or a part of a line, at every stage that allows it: before anything is done, picked, packed, in packages, and where the
//! warehouse is asked first.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    fulfilment_moves::{Of, counts, level, pieces},
    support::{Answer, App, Shop, eventually, on_both},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

async fn cancel(app: &App, order: &Of<'_>, quantity: i64) -> Answer {
    let body = json!({"lines": pieces(quantity), "reason": "not wanted"});
    app.ops("POST", &format!("/orders/{}/cancel", order.order), Some(&body)).await
}

#[test]
fn a_part_of_a_line_is_cancelled_open_picked_and_packed() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 20)]).await;
        let placed = Of::new(&shop, &[("TEE", 6)]).await;
        let one = placed.open().await;
        // Open: the stock is there again at once.
        let order = cancel(&app, &placed, 1).await.expect(200);
        assert_eq!((&order["lines"][0]["cancelled"], level(&app, "TEE", "berlin").await), (&json!(1), (5, 20)));
        // Picked: what was not touched goes first.
        placed.post(&one, "pick", json!({"lines": pieces(4)})).await.expect(200);
        cancel(&app, &placed, 2).await.expect(200);
        let now = placed.open().await;
        assert_eq!(counts(&now), [(1, 6, 3, 0, 3, 0)]);
        assert_eq!(text(&now["state"]), "picked");
        // Packed, in no package.
        placed.post(&one, "pack", json!({})).await.expect(200);
        cancel(&app, &placed, 1).await.expect(200);
        assert_eq!(
            (counts(&placed.open().await), level(&app, "TEE", "berlin").await),
            (vec![(1, 6, 2, 0, 4, 0)], (2, 20))
        );
        // More than is left is refused, and changes nothing.
        cancel(&app, &placed, 3).await.problem(409, "quantity_exceeded");
        // Left: nothing of that is cancelled any more, the rest is.
        placed.post(&one, "ship", json!({"lines": pieces(1)})).await.expect(201);
        cancel(&app, &placed, 2).await.problem(409, "quantity_exceeded");
        let order = cancel(&app, &placed, 1).await.expect(200);
        assert_eq!((&order["fulfilment_state"], &order["lines"][0]["cancelled"]), (&json!("shipped"), &json!(5)));
        cancel(&app, &placed, 1).await.problem(409, "quantity_exceeded");
        eventually("only what left is paid", || async {
            placed.document().await["payments"][0]["captured"]["amount"] == "8.23"
        })
        .await;
    });
}

#[test]
fn what_is_in_a_package_is_taken_out_before_it_is_cancelled() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 20)]).await;
        let placed = Of::new(&shop, &[("TEE", 2)]).await;
        let one = placed.open().await;
        let package = placed.post(&one, "packages", json!({"lines": pieces(2)})).await.expect(201);
        cancel(&app, &placed, 1).await.problem(409, "quantity_exceeded");
        assert_eq!(level(&app, "TEE", "berlin").await, (2, 20));
        let path = format!("/packages/{}/unpack", text(&package["id"]));
        app.ops("POST", &path, None).await.expect(200);
        cancel(&app, &placed, 1).await.expect(200);
        assert_eq!(level(&app, "TEE", "berlin").await, (1, 20));
        placed.ship_all().await;
    });
}

#[test]
fn of_many_who_cancel_at_once_no_piece_is_cancelled_twice() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.33", 20)]).await;
        let placed = Of::new(&shop, &[("TEE", 5)]).await;
        let one = placed.open().await;
        let asked = json!({"lines": pieces(2), "reason": "ordered twice"});
        placed.post(&one, "request-cancel", asked).await.expect(200);
        let yes = json!({"accept": true});
        let (answers, cancels) = futures::future::join(
            join_all((0..3).map(|_| placed.post(&one, "answer-cancel", yes.clone()))),
            join_all((0..4).map(|_| cancel(&app, &placed, 1))),
        )
        .await;
        assert!(answers.iter().chain(&cancels).all(|answer| matches!(answer.status, 200 | 409)));
        let order = placed.document().await;
        let count = |name: &str| order["lines"][0][name].as_i64().unwrap();
        assert_eq!(count("allocated") + count("cancelled"), 5, "{order}");
        let done = cancels.iter().filter(|answer| answer.status == 200).count();
        assert!(i64::try_from(done).unwrap() <= count("cancelled"));
        if order["state"] == "placed" {
            placed.ship_all().await;
        }
    });
}
