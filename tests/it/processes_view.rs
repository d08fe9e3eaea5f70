//! How far an order has come, step by step: what is stuck shows with what it waits for, and is tried again, skipped or taken back.

use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::{
    fulfilment_moves::{Of, level, pieces, place},
    support::{Answer, App, Shop, eventually, on_both},
};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

async fn process(app: &App, order: &str) -> Value {
    app.ops("GET", &format!("/processes/{order}"), None).await.expect(200)
}

async fn decide(app: &App, order: &str, verb: &str, body: Value) -> Answer {
    app.ops("POST", &format!("/processes/{order}/{verb}"), Some(&body)).await
}

/// Its steps and where they stand.
fn steps(process: &Value) -> Vec<(&str, &str)> {
    process["steps"].as_array().unwrap().iter().map(|step| (text(&step["step"]), text(&step["state"]))).collect()
}

fn step<'a>(process: &'a Value, kind: &str) -> &'a Value {
    process["steps"].as_array().unwrap().iter().find(|step| step["step"] == kind).unwrap()
}

async fn stuck(app: &App, query: &str) -> Vec<(String, String)> {
    let found = app.ops("GET", &format!("/processes{query}"), None).await.expect(200);
    let items = found["items"].as_array().unwrap().iter();
    items.map(|one| (text(&one["order_id"]).to_owned(), text(&one["step"]).to_owned())).collect()
}

#[test]
fn an_order_is_followed_from_its_placing_to_its_arrival() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 2)]).await;
        let seen = process(&app, &placed.order).await;
        let begun = [
            ("place", "done"),
            ("source", "done"),
            ("pick", "waiting"),
            ("pack", "waiting"),
            ("ship", "waiting"),
            ("capture", "waiting"),
        ];
        assert_eq!((steps(&seen), text(&seen["state"])), (begun.to_vec(), "running"));
        assert_eq!(step(&seen, "capture")["waits_for"], "what is to leave");
        let one = placed.open().await;
        placed.post(&one, "pack", json!({"lines": pieces(1)})).await.expect(200);
        let seen = process(&app, &placed.order).await;
        assert_eq!(step(&seen, "pack")["actions"][0]["command"], "compensate");
        let subject = step(&seen, "pack")["subject"].clone();
        assert_eq!(subject, one["id"]);
        let back = json!({"step": "pack", "subject": subject, "reason": "the wrong box"});
        let seen = decide(&app, &placed.order, "compensate", back.clone()).await.expect(200);
        assert_eq!(
            (text(&seen["decisions"][0]["decision"]), text(&seen["decisions"][0]["by"])),
            ("compensate", "staff:ada")
        );
        assert_eq!(placed.open().await["lines"][0]["packed"], 0);
        decide(&app, &placed.order, "compensate", back).await.problem(409, "state_conflict");
        let other = json!({"step": "pick", "subject": "fo_01h455vb4pex5vsknk084sn02q", "reason": "x"});
        decide(&app, &placed.order, "compensate", other).await.problem(404, "not_found");
        let silent = json!({"step": "place"});
        assert_eq!(
            decide(&app, &placed.order, "compensate", silent).await.problem(422, "invalid_value")["pointer"],
            "/reason"
        );
        let parcel = placed.post(&one, "ship", json!({})).await.expect(201);
        eventually("its money has come", || async {
            steps(&process(&app, &placed.order).await).contains(&("capture", "done"))
        })
        .await;
        let path = format!("/shipments/{}/deliver", text(&parcel["id"]));
        app.ops("POST", &path, Some(&json!({}))).await.expect(200);
        let seen = process(&app, &placed.order).await;
        assert_eq!((text(&seen["state"]), text(&step(&seen, "deliver")["state"])), ("done", "done"));
        let back = json!({"step": "deliver", "subject": parcel["id"], "reason": "the neighbour has none"});
        let seen = decide(&app, &placed.order, "compensate", back).await.expect(200);
        assert_eq!(text(&step(&seen, "deliver")["state"]), "waiting");
        assert!(stuck(&app, "").await.is_empty());
    });
}

#[test]
fn what_is_stuck_says_what_it_waits_for_and_goes_on_by_a_decision() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        place(&app, "bremen", json!({}), &[]).await;
        let held = Of::new(&shop, &[("TEE", 1)]).await;
        let one = held.open().await;
        held.post(&one, "hold", json!({"kind": "fraud", "reason": "looks odd"})).await.expect(200);
        let short = Of::new(&shop, &[("TEE", 1)]).await;
        let gone = json!({"exclude_locations": ["berlin"]});
        let waiting = short.open().await;
        short.post(&waiting, "replan", gone).await.expect(200);
        let asked = Of::new(&shop, &[("TEE", 1)]).await;
        asked.post(&asked.open().await, "request-cancel", json!({"reason": "twice"})).await.expect(200);
        let found = stuck(&app, "").await;
        let of = |order: &Of<'_>, step: &str| (order.order.clone(), step.to_owned());
        let mut expected = vec![of(&held, "hold"), of(&short, "source"), of(&asked, "answer_cancel")];
        let (mut sorted, _) = (found.clone(), expected.sort());
        sorted.sort();
        assert_eq!(sorted, expected);
        assert_eq!(stuck(&app, "?step=source").await, [of(&short, "source")]);
        // Page by page it is the same.
        let first = app.ops("GET", "/processes?limit=2", None).await.expect(200);
        let cursor = text(&first["next_cursor"]);
        let second = app.ops("GET", &format!("/processes?limit=2&cursor={cursor}"), None).await.expect(200);
        assert_eq!((first["items"].as_array().unwrap().len(), second["items"].as_array().unwrap().len()), (2, 1));
        let seen = process(&app, &held.order).await;
        assert_eq!((text(&step(&seen, "hold")["waits_for"]), text(&seen["state"])), ("fraud: looks odd", "stuck"));
        let skip = json!({"step": "hold", "subject": one["id"], "reason": "the bank says yes"});
        let seen = decide(&app, &held.order, "skip", skip).await.expect(200);
        assert_eq!(text(&seen["state"]), "running");
        held.ship_all().await;
        // The goods are there after all.
        let again = json!({"step": "source", "subject": waiting["id"]});
        let seen = decide(&app, &short.order, "retry", again).await.expect(200);
        assert_eq!(text(&step(&seen, "source")["state"]), "done");
        short.ship_all().await;
        // Taking the placing back cancels what has not left.
        let back = json!({"step": "place", "reason": "gone"});
        let seen = decide(&app, &asked.order, "compensate", back).await.expect(200);
        assert_eq!(
            (text(&step(&seen, "ship")["state"]), text(&asked.document().await["state"])),
            ("cancelled", "cancelled")
        );
        eventually("its promise is let go", || async { process(&app, &asked.order).await["state"] == "done" }).await;
        assert_eq!(level(&app, "TEE", "berlin").await, (0, 8));
        // What should have left by now.
        let late = Of::new(&shop, &[("TEE", 1)]).await;
        app.clock.advance_seconds(4 * 86_400);
        assert_eq!(stuck(&app, "?step=ship").await, [of(&late, "ship")]);
        late.ship_all().await;
    });
}

#[test]
fn a_job_that_has_failed_for_good_is_tried_again_or_given_up() {
    on_both(|app| async move {
        app.leaves_work();
        let shop = Shop::open(&app, &[("TEE", "10.00", 10)]).await;
        let placed = Of::new(&shop, &[("TEE", 1)]).await;
        // It can not be known what the provider would say: its job is broken.
        placed.ship_all().await;
        eventually("it is paid", || async { placed.document().await["payment_state"] == "captured" }).await;
        let order = placed.order.clone();
        let broken = kontor::jobs::NewJob::now(kontor::fulfilment::CAPTURE, app.now(), json!({"operation": "none"}));
        let broken = broken.in_order(order.clone());
        let now = app.now();
        app.state.db.write(move |tx| kontor::jobs::enqueue(tx, now, vec![broken.clone()])).await.unwrap();
        eventually("it is dead", || async { stuck(&app, "?step=capture").await.len() == 1 }).await;
        let seen = process(&app, &order).await;
        let found = step(&seen, "capture").clone();
        assert_eq!((text(&found["state"]), &found["attempts"]), ("stuck", &json!(1)));
        assert!(found["error"].is_string() && found["waits_for"].is_string(), "{found}");
        let again = json!({"step": "capture", "subject": found["subject"]});
        // A job is decided about by who may decide about jobs.
        let clerk =
            format!("Bearer {}", app.token(Audience::Staff, "eve", &[Scope::OrdersRead, Scope::FulfilmentWrite]));
        let path = format!("/v1/ops/processes/{order}/retry");
        let refused = app.send("POST", &path, &[("Authorization", &clerk)], Some(&again)).await;
        refused.problem(403, "scope_missing");
        decide(&app, &order, "retry", again).await.expect(200);
        eventually("it is dead again", || async {
            step(&process(&app, &order).await, "capture")["attempts"] == 2
                && stuck(&app, "?step=capture").await.len() == 1
        })
        .await;
        let skip = json!({"step": "capture", "subject": found["subject"], "reason": "it was paid before"});
        // Only who may do without a step does.
        let scopes = [Scope::OrdersRead, Scope::OrdersWrite, Scope::FulfilmentWrite];
        let clerk = format!("Bearer {}", app.token(Audience::Staff, "eve", &scopes));
        let path = format!("/v1/ops/processes/{order}/skip");
        let refused = app.send("POST", &path, &[("Authorization", &clerk)], Some(&skip)).await;
        refused.problem(403, "scope_missing");
        let seen = decide(&app, &order, "skip", skip).await.expect(200);
        assert_eq!(text(&step(&seen, "capture")["state"]), "done");
        let decided: Vec<&str> =
            seen["decisions"].as_array().unwrap().iter().map(|one| text(&one["decision"])).collect();
        assert_eq!(decided, ["retry", "skip"]);
        assert!(stuck(&app, "").await.is_empty());
    });
}
