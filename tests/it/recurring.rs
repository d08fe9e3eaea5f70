//! What is ordered again and again: each date once, whoever asks for it and whatever fails.

use futures::future::join_all;
use kontor::jobs::Runner;
use serde_json::{Value, json};

use crate::{
    credit::{Trade, eur},
    support::{App, eventually, on_both, on_both_idle, shop::address},
};

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Ada orders a desk on the last day of each month.
async fn open(app: &App) -> (Trade, String) {
    let trade = Trade::open(app, &[("DESK", "95.10", 10)]).await;
    trade.limit("250.00", "decline").await;
    let body = json!({"lines": [{"sku": "DESK", "quantity": 1}], "email": "ada@example.org",
        "shipping_address": address(), "shipping_method": "standard"});
    let cart = text(&trade.as_("ada", "POST", "/carts", Some(&body)).await.expect(201)["id"]);
    let new = json!({"cart_id": cart, "every": {"count": 1, "unit": "month"}, "first_at": "2026-03-31T08:00:00Z",
        "payment_method": "on_account"});
    let made = trade.as_("ada", "POST", "/me/recurring-orders", Some(&new)).await.expect(201);
    (trade, text(&made["id"]))
}

async fn runs(app: &App, id: &str) -> Vec<(String, String)> {
    let seen = app.ops("GET", &format!("/recurring-orders/{id}"), None).await.expect(200);
    let run = |run: &Value| (text(&run["due_at"]), text(&run["state"]));
    seen["runs"].as_array().unwrap().iter().rev().map(run).collect()
}

fn run(due: &str, state: &str) -> (String, String) {
    (format!("{due}T08:00:00Z"), state.to_owned())
}

#[test]
fn each_date_is_ordered_once_skipped_or_told_to_have_failed() {
    on_both(|app| async move {
        let (trade, id) = open(&app).await;
        let command = async |what: &str| {
            trade.as_("ada", "POST", &format!("/me/recurring-orders/{id}/{what}"), None).await.expect(200)
        };
        app.clock.advance_seconds(30 * 86_400);
        eventually("it is ordered", || async { runs(&app, &id).await == [run("2026-03-31", "ordered")] }).await;
        assert_eq!(trade.used().await, "100.00");
        assert_eq!(command("skip").await["next_at"], "2026-05-31T08:00:00Z");
        command("pause").await;
        // What passes meanwhile is not made up for.
        app.clock.advance_seconds(70 * 86_400);
        assert_eq!(command("resume").await["next_at"], "2026-06-30T08:00:00Z");
        app.clock.advance_seconds(22 * 86_400);
        eventually("it is ordered again", || async {
            runs(&app, &id).await.len() == 3 && trade.used().await == "200.00"
        })
        .await;
        // The third is above the credit: that is told, and the next date comes.
        app.clock.advance_seconds(31 * 86_400);
        let four = [
            run("2026-03-31", "ordered"),
            run("2026-04-30", "skipped"),
            run("2026-06-30", "ordered"),
            run("2026-07-31", "failed"),
        ];
        eventually("it has failed", || async { runs(&app, &id).await == four }).await;
        let told = app.count("SELECT count(*) FROM events WHERE type = 'recurring_order.failed.v1'").await;
        assert_eq!((told, app.count("SELECT count(*) FROM orders").await), (1, 2));
        // Of the cart of the date that has failed nothing is left, and nobody is asked to come back to any.
        let carts = "SELECT count(*) FROM carts JOIN recurring_runs ON recurring_runs.cart_id = carts.id WHERE";
        let (left, waits) = (format!("{carts} carts.state = 'open'"), format!("{carts} abandon_at IS NOT NULL"));
        assert_eq!((app.count(left.leak()).await, app.count(waits.leak()).await), (0, 0));
        let seen = app.ops("GET", &format!("/recurring-orders/{id}"), None).await.expect(200);
        assert!(text(&seen["runs"][0]["failure"]).starts_with("credit_exceeded"));
        assert_eq!(seen["next_at"], "2026-08-31T08:00:00Z");
        command("cancel").await;
        let again = trade.as_("ada", "POST", &format!("/me/recurring-orders/{id}/resume"), None).await;
        again.problem(409, "state_conflict");
        trade.as_("bob", "GET", &format!("/me/recurring-orders/{id}"), None).await.problem(404, "not_found");
        let debts = app.ops("GET", "/company-debts?open=true", None).await.expect(200);
        assert_eq!(debts["items"][1]["open"], eur("100.00"));
    });
}

#[test]
fn skipped_by_several_at_once_each_leaves_a_date_of_its_own_out() {
    on_both(|app| async move {
        let (trade, id) = open(&app).await;
        let path = format!("/me/recurring-orders/{id}/skip");
        let answers = join_all((0..8).map(|_| trade.as_("ada", "POST", &path, None))).await;
        for answer in answers {
            answer.expect(200);
        }
        let left_out = runs(&app, &id).await;
        assert_eq!(left_out.len(), 8);
        assert!(left_out.iter().all(|(_, state)| state == "skipped"));
    });
}

/// Several processes take the date that has come at once.
#[test]
fn whoever_takes_a_date_at_once_it_is_one_order() {
    on_both_idle(|app| async move {
        let (trade, id) = open(&app).await;
        app.clock.advance_seconds(30 * 86_400);
        let work = || async {
            let mut runner = Runner::new(app.state.db.clone(), app.clock.clone(), 2, 60);
            kontor::recurring::work(&app.state, &mut runner);
            runner.run_all_turns().await.unwrap();
            runner.drain().await.unwrap();
        };
        futures::join!(work(), work(), work());
        work().await;
        assert_eq!(runs(&app, &id).await, [run("2026-03-31", "ordered")]);
        assert_eq!((app.count("SELECT count(*) FROM orders").await, trade.used().await), (1, "100.00".to_owned()));
        app.leaves_work();
    });
}

#[test]
fn a_date_that_was_taken_is_left_out_where_it_is_paused_before_it_is_ordered() {
    on_both_idle(|app| async move {
        let (trade, id) = open(&app).await;
        app.clock.advance_seconds(30 * 86_400);
        let mut runner = Runner::new(app.state.db.clone(), app.clock.clone(), 2, 60);
        kontor::recurring::work(&app.state, &mut runner);
        runner.run_all_turns().await.unwrap();
        trade.as_("ada", "POST", &format!("/me/recurring-orders/{id}/pause"), None).await.expect(200);
        runner.drain().await.unwrap();
        assert_eq!(runs(&app, &id).await, [run("2026-03-31", "skipped")]);
        assert_eq!(app.count("SELECT count(*) FROM orders").await, 0);
        app.leaves_work();
    });
}
