//! The money that follows parcels: captures, what is given back, returns.

use super::*;

#[test]
fn a_capture_that_is_asked_for_twice_is_made_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let placed = Placed::new(&shop, &[("TEE", 1)]).await;
        placed.post("ship", json!({})).await.expect(201);
        let query = "SELECT our_key FROM payment_operations WHERE kind = 'capture'";
        let operation = app.read(move |tx| sql(query).first::<diesel::sql_types::Text, String>(tx)).await.unwrap();
        let payload = json!({"operation": operation, "order": placed.id});
        let now = app.now();
        let doubles = app.state.db.write(move |tx| {
            let again = (0..5).map(|_| NewJob::now("payment.capture", now, payload.clone())).collect();
            jobs::enqueue(tx, now, again)
        });
        doubles.await.unwrap();
        let order = placed.settled().await;
        assert_eq!(captured(&order), (placed.total, 0));
        assert_eq!(placed.amounts("payment.captured.v1").await, [placed.total]);
    });
}

#[test]
fn a_provider_that_hangs_keeps_no_worker_and_its_late_answer_counts_once() {
    // Half of the lease is waited for: a second.
    on_both_set(
        |settings| settings.jobs.lease_seconds = 2,
        |app| async move {
            let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
            let cart = shop.cart(&[("TEE", 1)]).await;
            let order = shop.complete(&cart, "slow_capture:3600").await.expect(201)["order"].clone();
            let placed = Placed::of(&shop, &order).await;
            placed.post("ship", json!({})).await.expect(201);
            let in_vain = "SELECT count(*) FROM jobs WHERE kind = 'payment.capture' AND state = 'ready' \
                           AND last_error LIKE '%gave no answer: nothing within 1s%'";
            eventually("the capture was waited for in vain", || async { app.count(in_vain).await == 1 }).await;
            // The provider has done it all the same, and nobody here knows.
            assert_eq!(app.count("SELECT captured FROM sandbox_payments").await, placed.total);
            assert_eq!(captured(&placed.order().await), (0, 0));
            app.clock.advance_seconds(3600);
            let order = placed.settled().await;
            assert_eq!(captured(&order), (placed.total, 0));
            assert_eq!(app.count("SELECT captured FROM sandbox_payments").await, placed.total);
            assert_eq!(app.count("SELECT count(*) FROM sandbox_operations").await, 1);
            assert_eq!(placed.amounts("payment.captured.v1").await, [placed.total]);
        },
    );
}

#[test]
fn no_more_comes_back_than_has_left_and_the_refunds_sum_to_the_price() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "3.3333", 5)]).await;
        let placed = Placed::new(&shop, &[("TEE", 3)]).await;
        let one =
            json!({"lines": [{"line_no": 1, "quantity": 1}], "restock": true, "refund": true, "reason": "too small"});
        placed.take_back(one.clone()).await.problem(409, "quantity_exceeded");
        placed.post("ship", json!({})).await.expect(201);
        // Some are booked before the money was captured: they are given back all the same.
        let answers = join_all((0..8).map(|_| placed.take_back(one.clone()))).await;
        let made: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 201).collect();
        assert_eq!(made.len(), 3, "{answers:?}");
        let worth: i64 = made.iter().map(|answer| minor(&answer.body["amount"])).sum();
        assert_eq!(worth, 1000);
        let order = placed.settled().await;
        assert_eq!((captured(&order), placed.owed().await), ((placed.total, worth), 0));
        assert_eq!((&order["lines"][0]["returned"], minor(&order["lines"][0]["refunded"])), (&json!(3), worth));
        assert_eq!(shop.available("TEE").await, 5);
        let found = app.ops("GET", &format!("/returns?order={}&limit=2", placed.id), None).await.expect(200);
        assert_eq!(found["items"].as_array().unwrap().len(), 2);
        let path = format!("/returns?order={}&limit=2&cursor={}", placed.id, text(&found["next_cursor"]));
        let rest = app.ops("GET", &path, None).await.expect(200);
        assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));
        assert_eq!(text(&rest["items"][0]["state"]), "refunded");
    });
}

#[test]
fn a_foreign_return_is_booked_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let placed = Placed::new(&shop, &[("TEE", 3)]).await;
        placed.post("ship", json!({})).await.expect(201);
        let one =
            json!({"lines": [{"line_no": 1, "quantity": 1}], "refund": true, "reference": "RMA-7", "system": "sap"});
        let answers = join_all((0..6).map(|_| placed.take_back(one.clone()))).await;
        let ids: std::collections::HashSet<&str> = answers.iter().map(|answer| text(&answer.body["id"])).collect();
        assert_eq!(ids.len(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
        assert_eq!(placed.settled().await["lines"][0]["returned"], 1);
        // Without an order: what it had cost is told.
        let lines = json!([{"sku": "TEE", "quantity": 2, "unit_price": {"amount": "1.2345", "currency": "EUR"}}]);
        let mut loose = json!({"channel_id": shop.channel, "currency": "EUR", "lines": lines, "restock": true});
        loose["reference"] = json!("RMA-8");
        let answers = join_all((0..4).map(|_| app.ops("POST", "/returns", Some(&loose)))).await;
        let made = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!((made, minor(&answers[0].body["amount"])), (1, 247), "{answers:?}");
        assert_eq!(shop.available("TEE").await, 4);
        let id = text(&answers[0].body["id"]);
        assert_eq!(app.ops("GET", &format!("/returns/{id}"), None).await.expect(200)["system"], "ops");
        settled(&app).await;
        loose["currency"] = json!("CHF");
        app.ops("POST", "/returns", Some(&loose)).await.problem(422, "currency_not_sold");
        loose["currency"] = Value::Null;
        app.ops("POST", "/returns", Some(&loose)).await.problem(422, "missing_field");
        let wrong = json!({"lines": [{"sku": "TEE", "quantity": 1}]});
        placed.take_back(wrong).await.problem(422, "missing_field");
    });
}

#[test]
fn money_received_is_booked_once_and_given_back_at_most_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let placed = Placed::by_invoice(&shop, &[("TEE", 2)]).await;
        placed.post("ship", json!({"lines": [{"line_no": 1, "quantity": 1}]})).await.expect(201);
        assert_eq!(captured(&placed.settled().await), (0, 0));
        let part = json!({"amount": {"amount": "10.00", "currency": "EUR"}, "reference": "BANK-1"});
        let answers = join_all((0..4).map(|_| placed.on_order("payments", part.clone()))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
        for again in answers.into_iter().filter(|answer| answer.status != 200) {
            again.problem(409, "duplicate");
        }
        let chf = json!({"amount": {"amount": "10.00", "currency": "CHF"}, "reference": "BANK-2"});
        placed.on_order("payments", chf).await.problem(422, "invalid_value");
        placed.on_order("payments", json!({"reference": "BANK-3"})).await.expect(200);
        placed.on_order("payments", json!({"reference": "BANK-4"})).await.problem(409, "state_conflict");
        // Nothing is owed any more, and what was told is told again.
        let again = placed.on_order("payments", json!({"reference": "BANK-3"})).await.problem(409, "duplicate");
        assert_eq!(again["pointer"], "/reference");
        assert_eq!((captured(&placed.settled().await), placed.owed().await), ((placed.total, 0), 0));
        let goodwill = json!({"amount": {"amount": "30.00", "currency": "EUR"}, "reason": "scratched"});
        let answers = join_all((0..4).map(|_| placed.on_order("refunds", goodwill.clone()))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 202).count(), 1, "{answers:?}");
        for again in answers.into_iter().filter(|answer| answer.status != 202) {
            again.problem(409, "refund_exceeded");
        }
        // The second piece is cancelled: its price goes back as far as the goodwill has not given it back already.
        placed.on_order("cancel", json!({"reason": "late"})).await.expect(200);
        assert_eq!(placed.pay_out().await, placed.total);
        assert_eq!((captured(&placed.settled().await), placed.owed().await), ((placed.total, placed.total), 0));
    });
}

#[test]
fn prepaid_pieces_that_are_cancelled_are_given_back() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let placed = Placed::by_invoice(&shop, &[("TEE", 3)]).await;
        placed.on_order("payments", json!({"reference": "BANK-1"})).await.expect(200);
        let two = json!({"lines": [{"line_no": 1, "quantity": 2}], "reason": "too many"});
        placed.on_order("cancel", two).await.expect(200);
        // Nobody has paid it out yet: somebody has to.
        assert_eq!((captured(&placed.settled().await), placed.owed().await), ((placed.total, 0), -3980));
        let waiting = app.ops("GET", "/worklists/refunds_to_pay", None).await.expect(200)["items"][0].clone();
        assert!(text(&waiting["subject"]).contains("39.80 EUR"), "{waiting}");
        let waiting = placed.operations().await.into_iter().find(|one| one["state"] == "pending").unwrap();
        let answers = join_all((0..4).map(|_| placed.confirm(&waiting))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
        for again in answers.into_iter().filter(|answer| answer.status != 200) {
            again.problem(409, "state_conflict");
        }
        assert_eq!((captured(&placed.settled().await), placed.owed().await), ((placed.total, 3980), 0));
        assert_eq!(placed.amounts("payment.refunded.v1").await, [3980]);
        // What has been paid out already needs nobody.
        placed.on_order("cancel", json!({"reason": "all of it", "paid_out": true})).await.expect(200);
        let order = placed.settled().await;
        assert_eq!((captured(&order), placed.owed().await), ((placed.total, placed.total), 0));
        assert_eq!(states(&order), ("cancelled", "refunded", "cancelled"));
    });
}

#[test]
fn a_capture_that_the_provider_refuses_is_part_of_the_next() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let cart = shop.cart(&[("TEE", 2)]).await;
        let done = shop.complete(&cart, "approve_recorded").await.expect(201);
        let placed = Placed::of(&shop, &done["order"]).await;
        // The provider has forgotten its promise, and remembers it later.
        let believe = async |state: &'static str, voided: &'static str| {
            let update = format!("UPDATE sandbox_payments SET state = '{state}', voided = {voided}");
            app.state.db.write(move |tx| sql(update.clone()).execute(tx)).await.unwrap();
        };
        believe("voided", "amount").await;
        placed.post("ship", json!({"lines": [{"line_no": 1, "quantity": 1}]})).await.expect(201);
        let order = placed.settled().await;
        assert_eq!((captured(&order), placed.owed().await), ((0, 0), placed.total));
        assert_eq!(placed.amounts("payment.operation_failed.v1").await, [1990 + 490]);
        believe("authorised", "0").await;
        placed.post("ship", json!({})).await.expect(201);
        assert_eq!((captured(&placed.settled().await), placed.owed().await), ((placed.total, 0), 0));
        assert_eq!(placed.amounts("payment.captured.v1").await, [placed.total]);
    });
}

/// An order over two pieces whose provider has forgotten its promise: nothing can be captured of it.
async fn refused(shop: &Shop) -> Placed {
    let cart = shop.cart(&[("TEE", 2)]).await;
    let done = shop.complete(&cart, "approve_recorded").await.expect(201);
    let placed = Placed::of(shop, &done["order"]).await;
    believe(&shop.app, "voided", "amount").await;
    placed
}

/// What the provider believes from now on about its payments.
async fn believe(app: &App, state: &'static str, voided: &'static str) {
    let update = format!("UPDATE sandbox_payments SET state = '{state}', voided = {voided}");
    app.state.db.write(move |tx| sql(update.clone()).execute(tx)).await.unwrap();
}

async fn failures(app: &App) -> Vec<Value> {
    let found = app.ops("GET", "/worklists/failed_payments", None).await.expect(200);
    found["items"].as_array().unwrap().clone()
}

#[test]
fn what_a_provider_refused_is_seen_and_asked_again() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let placed = refused(&shop).await;
        placed.post("ship", json!({})).await.expect(201);
        placed.settled().await;
        let waiting = failures(&app).await;
        assert_eq!(waiting.len(), 1, "{waiting:?}");
        let link = text(&waiting[0]["link"]).strip_prefix("/v1/ops").unwrap().to_owned();
        let shown = app.ops("GET", &link, None).await.expect(200);
        let operation = shown["payments"][0]["operations"][0].clone();
        assert_eq!((&operation["state"], &operation["actions"][0]["allowed"]), (&json!("failed"), &json!(true)));
        let status = app.ops("GET", &format!("/orders/{}/status", placed.id), None).await.expect(200);
        assert_eq!(status["blockers"][0]["code"], "payment_failed", "{status}");
        // Asked again, it refuses again: one thing waits, not two.
        app.clock.advance_seconds(60);
        placed.on_order("settle", json!({})).await.expect(202);
        placed.settled().await;
        assert_eq!(failures(&app).await.len(), 1);
        placed.confirm(&operation).await.problem(409, "state_conflict");
        // It remembers, and many ask at once: it is taken once.
        believe(&app, "authorised", "0").await;
        join_all((0..6).map(|_| placed.on_order("settle", json!({})))).await;
        assert_eq!((placed.money().await, placed.owed().await), ((placed.total, 0), 0));
        assert!(failures(&app).await.is_empty());
        let before = placed.order().await["version"].clone();
        placed.on_order("settle", json!({})).await.expect(202);
        assert_eq!(placed.settled().await["version"], before);
    });
}

#[test]
fn what_a_provider_refused_is_paid_another_way() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        // By transfer: the promise is let go.
        let placed = refused(&shop).await;
        placed.post("ship", json!({})).await.expect(201);
        placed.settled().await;
        believe(&app, "authorised", "0").await;
        placed.on_order("payments", json!({"reference": "BANK-1"})).await.expect(200);
        assert_eq!((placed.money().await, placed.owed().await), ((placed.total, 0), 0));
        assert!(failures(&app).await.is_empty());
        assert_eq!(minor(&placed.order().await["payments"][0]["voided"]), placed.total);
        // In the provider's own office, as somebody says.
        let other = refused(&shop).await;
        other.post("ship", json!({})).await.expect(201);
        other.settled().await;
        let failed = other.operations().await.remove(0);
        let answers = join_all((0..4).map(|_| other.confirm(&failed))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
        assert_eq!((other.money().await, other.owed().await), ((other.total, 0), 0));
    });
}

#[test]
fn a_return_whose_capture_is_refused_is_done_with() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let placed = refused(&shop).await;
        placed.post("ship", json!({})).await.expect(201);
        let both = json!({"lines": [{"line_no": 1, "quantity": 2}], "refund": true});
        let back = placed.take_back(both).await.expect(201);
        placed.settled().await;
        let path = format!("/returns/{}", text(&back["id"]));
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["state"], "refunded");
        // Shipping is still owed.
        assert_eq!((placed.money().await, placed.owed().await), ((0, 0), 490));
    });
}

#[test]
fn an_order_returned_before_it_was_paid_is_completed() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let placed = Placed::by_invoice(&shop, &[("TEE", 2)]).await;
        let parcel = placed.post("ship", json!({})).await.expect(201);
        let path = format!("/shipments/{}/deliver", text(&parcel["id"]));
        app.ops("POST", &path, Some(&json!({}))).await.expect(200);
        let one = json!({"lines": [{"line_no": 1, "quantity": 1}], "refund": true});
        placed.take_back(one.clone()).await.expect(201);
        let status = app.ops("GET", &format!("/orders/{}/status", placed.id), None).await.expect(200);
        assert_eq!(minor(&status["money"]["due"]), placed.total - 1990);
        placed.take_back(one).await.expect(201);
        // The parcel is still to be paid; then nothing is.
        assert_eq!(states(&placed.settled().await).0, "placed");
        placed.on_order("payments", json!({"reference": "BANK-1"})).await.expect(200);
        let order = placed.settled().await;
        assert_eq!((states(&order), placed.owed().await), (("completed", "captured", "delivered"), 0));
        assert_eq!(captured(&order), (490, 0));
        app.clock.advance_seconds(30 * 86_400);
        let unpaid = app.ops("GET", "/worklists/unpaid_orders", None).await.expect(200);
        assert!(unpaid["items"].as_array().unwrap().is_empty(), "{unpaid}");
    });
}

#[test]
fn money_that_comes_too_late_or_too_much_is_booked_and_given_back() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let placed = Placed::by_invoice(&shop, &[("TEE", 1)]).await;
        placed.on_order("cancel", json!({"reason": "not paid"})).await.expect(200);
        placed.settled().await;
        let action = |order: &Value, command: &str| {
            order["actions"].as_array().unwrap().iter().find(|one| one["command"] == command).unwrap()["allowed"]
                .clone()
        };
        assert_eq!(action(&placed.order().await, "record_payment"), json!(true));
        let late = json!({"amount": {"amount": "24.80", "currency": "EUR"}, "reference": "BANK-1"});
        let answers = join_all((0..4).map(|_| placed.on_order("payments", late.clone()))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
        assert_eq!((placed.money().await, placed.owed().await), ((2480, 0), -2480));
        assert_eq!(action(&placed.order().await, "refund"), json!(false), "all of it is on its way back");
        assert_eq!(placed.pay_out().await, 2480);
        assert_eq!((placed.money().await, placed.owed().await), ((2480, 2480), 0));
        assert_eq!(states(&placed.order().await), ("cancelled", "refunded", "cancelled"));
        // Twice: the second is too much.
        let twice = Placed::by_invoice(&shop, &[("TEE", 1)]).await;
        for reference in ["BANK-2", "BANK-3"] {
            let paid = json!({"amount": {"amount": "24.80", "currency": "EUR"}, "reference": reference});
            twice.on_order("payments", paid).await.expect(200);
        }
        assert_eq!(twice.pay_out().await, 2480);
        assert_eq!((twice.money().await, twice.owed().await), ((4960, 2480), 0));
    });
}

#[test]
fn a_capture_that_is_given_up_does_not_count_as_under_way() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 5)]).await;
        let placed = Placed::new(&shop, &[("TEE", 1)]).await;
        // As if nobody had answered until the job was dead.
        placed.post("ship", json!({})).await.expect(201);
        placed.settled().await;
        let query = "SELECT id FROM payment_operations WHERE kind = 'capture'";
        let operation: kontor::kernel::ids::PaymentOperationId =
            app.read(move |tx| sql(query).first::<kontor::db::UidSql, _>(tx)).await.unwrap();
        let undo = [
            "UPDATE payment_operations SET state = 'pending'",
            "UPDATE payments SET state = 'authorised', capture_pending = captured, captured = 0",
            "DELETE FROM ledger_entries WHERE posting LIKE 'capture:%'",
            "DELETE FROM sandbox_operations",
            "UPDATE sandbox_payments SET captured = 0",
        ];
        for statement in undo {
            app.state.db.write(move |tx| sql(statement).execute(tx)).await.unwrap();
        }
        let (now, job) = (app.now(), kontor::kernel::ids::JobId::new());
        let payload = json!({"operation": operation, "order": placed.id});
        let dead = NewJob { id: job, run_at: now.plus_seconds(3600), ..NewJob::now("payment.capture", now, payload) };
        app.state.db.write(move |tx| jobs::enqueue(tx, now, vec![dead.clone()])).await.unwrap();
        let bury = "UPDATE jobs SET state = 'dead', last_error = 'no answer' WHERE id = ?";
        app.state.db.write(move |tx| sql(bury).bind(job).execute(tx)).await.unwrap();
        let discard = format!("/jobs/{job}/discard");
        let answers = join_all((0..4).map(|_| app.ops("POST", &discard, None))).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 204).count(), 1, "{answers:?}");
        let order = placed.settled().await;
        assert_eq!(minor(&order["payments"][0]["capturable"]), placed.total, "it is free again");
        assert!(text(&failures(&app).await[0]["subject"]).contains("given up: no answer"));
        placed.on_order("settle", json!({})).await.expect(202);
        assert_eq!(placed.settled().await["payment_state"], "captured");
    });
}

#[test]
fn a_refund_without_an_order_is_paid_out_before_it_is_told() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 9)]).await;
        let mut back = json!({"channel_id": shop.channel, "currency": "EUR", "refund": true,
            "lines": [{"sku": "TEE", "quantity": 1, "unit_price": {"amount": "19.90", "currency": "EUR"}}]});
        let told = app.ops("POST", "/returns", Some(&back)).await.problem(422, "invalid_value");
        assert_eq!(told["pointer"], "/paid_out");
        back["paid_out"] = json!(true);
        assert_eq!(app.ops("POST", "/returns", Some(&back)).await.expect(201)["state"], "refunded");
    });
}
