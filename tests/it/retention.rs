//! Old events are dropped when nobody inside needs them any more, and nobody loses one without being told.

use diesel::sql_types::BigInt;
use kontor::{connectors, db::sql, events, http::State, http::auth::Audience, kernel::Scope, process};
use serde_json::json;

use crate::{
    connectors::{append, event},
    exports::numbered,
    support::{Answer, App, on_both_idle},
};

/// The shop's state under a retention of one day.
fn forgetful(app: &App) -> State {
    let mut settings = (*app.state.settings).clone();
    settings.retention.events_days = 1;
    State { settings: std::sync::Arc::new(settings), ..app.state.clone() }
}

/// Each schedule's turn twice: what one reads, another may drop in the next.
async fn turns(state: &State) {
    for _ in 0..2 {
        process::runner(state).run_all_turns().await.unwrap();
    }
}

async fn dropped(app: &App) -> i64 {
    app.read(|tx| Ok(events::state(tx)?.dropped)).await
}

async fn connector(app: &App, name: &str) -> String {
    let body = json!({"name": name, "adapter": "webhook", "settings": {"url": "http://127.0.0.1:9/hook"}});
    app.ops("POST", "/connectors", Some(&body)).await.expect(201)["id"].as_str().unwrap().to_owned()
}

async fn set(app: &App, connector: &str, state: &str) {
    let path = format!("/connectors/{connector}");
    app.ops("PATCH", &path, Some(&json!({"state": state}))).await.expect(200);
}

async fn poll(app: &App) -> Answer {
    let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::FeedsRead]));
    app.send("GET", "/v1/integration/feeds/orders?consumer=erp", &[("Authorization", &token)], None).await
}

#[test]
fn what_somebody_still_needs_is_kept_and_what_was_lost_is_told() {
    on_both_idle(|app| async move {
        let state = forgetful(&app);
        let (erp, crm) = (connector(&app, "ERP").await, connector(&app, "CRM").await);
        set(&app, &crm, "paused").await;
        let now = app.now();
        append(&app, ["a", "b", "c"].map(|stream| event(stream, 1, "order.placed.v1", None, now)).to_vec()).await;
        numbered(&app, 3).await;
        let handed = poll(&app).await.expect(200);
        assert_eq!(handed["items"].as_array().unwrap().len(), 3);

        app.clock.advance_seconds(2 * 86_400);
        turns(&state).await;
        assert_eq!(dropped(&app).await, 0, "the ERP has not been given them");
        assert_eq!(connectors::dispatch(&state).await.unwrap(), 3);
        turns(&state).await;
        assert_eq!(dropped(&app).await, 0, "they have not arrived there");
        set(&app, &erp, "paused").await;
        turns(&state).await;
        assert_eq!(dropped(&app).await, 3, "a connector that is paused holds nothing back");
        let left = app.read(|tx| sql("SELECT count(*) FROM events").first::<BigInt, i64>(tx)).await;
        assert_eq!(left, Some(0));

        // Who polls: what was handed out and never acknowledged is gone, and is not forgotten in silence.
        let told = poll(&app).await.problem(410, "cursor_expired");
        assert!(told["snapshot"].as_str().unwrap().starts_with("/v1/integration/"));
        // Whom events were on their way to: they are given up at once, and somebody is told why and where it stands.
        set(&app, &erp, "active").await;
        process::runner(&state).drain().await.unwrap();
        assert_eq!(app.count("SELECT count(*) FROM jobs").await, 0);
        let seen = app.ops("GET", &format!("/connectors/{erp}"), None).await.expect(200);
        assert_eq!((&seen["state"], &seen["backlog"]["pending"]), (&json!("paused"), &json!(0)));
        assert!(seen["pause_reason"].as_str().unwrap().contains("up to position 3"), "{seen}");
        let given_up = app.ops("GET", &format!("/connectors/{erp}/dispatches?state=skipped"), None).await.expect(200);
        assert_eq!(given_up["items"].as_array().unwrap().len(), 3, "{given_up}");
        set(&app, &erp, "active").await;
        // Who had not read them: paused, with the reason; let go on, it begins where the log does now.
        set(&app, &crm, "active").await;
        assert_eq!(connectors::dispatch(&state).await.unwrap(), 0);
        let seen = app.ops("GET", &format!("/connectors/{crm}"), None).await.expect(200);
        assert_eq!(seen["state"], "paused");
        assert!(seen["pause_reason"].as_str().unwrap().contains("up to position 3"), "{seen}");
        set(&app, &crm, "active").await;
        append(&app, vec![event("d", 1, "order.placed.v1", None, app.now())]).await;
        numbered(&app, 4).await;
        assert_eq!(connectors::dispatch(&state).await.unwrap(), 2, "one for each");
        app.leaves_work();
    });
}
