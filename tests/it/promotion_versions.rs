//! Every version of a promotion is kept, and the version that an order names leads to the rule as it was.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    promotions::{percent, plan, promote},
    support::{App, Shop, on_both},
};

async fn versions(app: &App, id: &str) -> Vec<Value> {
    let page = app.ops("GET", &format!("/promotions/{id}/versions"), None).await.expect(200);
    page["items"].as_array().unwrap().clone()
}

async fn one(app: &App, id: &str, version: &Value) -> Value {
    app.ops("GET", &format!("/promotions/{id}/versions/{version}"), None).await.expect(200)
}

#[test]
fn the_version_that_an_order_names_leads_to_the_rule_as_it_was() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "10.00", 50)]).await;
        let id = promote(&app, "mugs", json!({"gift": percent("20", "lines"), "limits": {"uses": 9}})).await;
        let order = shop.order(&[("MUG", 2)]).await;
        let used = order["promotions"][0]["version"].clone();
        assert_eq!(used, 2, "made, and activated: {order}");
        app.clock.advance_seconds(60);
        let change = json!({"name": "Half", "gift": percent("50", "lines"), "priority": 3, "despite_warnings": true});
        let changed = app.ops("PATCH", &format!("/promotions/{id}"), Some(&change)).await.expect(200);
        assert_eq!(changed["version"], 3);
        app.ops("POST", &format!("/promotions/{id}/pause"), None).await.expect(200);
        app.ops("POST", &format!("/promotions/{id}/end"), None).await.expect(200);
        // What the order was given, whatever has become of it.
        let then = one(&app, &id, &used).await;
        assert_eq!((&then["gift"], &then["name"]), (&percent("20", "lines"), &json!("The mugs")));
        assert_eq!((&then["state"], &then["limits"]["uses"]), (&json!("active"), &json!(9)));
        assert_eq!((&then["changed_by"], &then["promotion_id"]), (&json!("staff:ada"), &json!(id)));
        let kept = versions(&app, &id).await;
        let told: Vec<(i64, &str, &str)> = kept
            .iter()
            .map(|one| {
                let text = |name: &str| one[name].as_str().unwrap();
                (one["version"].as_i64().unwrap(), text("state"), one["gift"]["percent"].as_str().unwrap())
            })
            .collect();
        let expected =
            [(5, "ended", "50"), (4, "paused", "50"), (3, "active", "50"), (2, "active", "20"), (1, "draft", "20")];
        assert_eq!(told, expected);
        assert!(kept.iter().all(|one| one["reference"].is_string()), "each names its request: {kept:?}");
        assert!(kept[2]["changed_at"].as_str().unwrap() > kept[3]["changed_at"].as_str().unwrap());
        assert_eq!(kept[2], one(&app, &id, &json!(3)).await);
        // In pages, and as a table.
        let path = format!("/promotions/{id}/versions");
        let page = app.ops("GET", &format!("{path}?limit=2"), None).await.expect(200);
        let next = app.ops("GET", &format!("{path}?cursor={}", page["next_cursor"].as_str().unwrap()), None).await;
        assert_eq!(next.expect(200)["items"], json!(kept[2..]));
        let table = app.ops("GET", &format!("{path}?format=csv"), None).await;
        assert_eq!((table.status, table.text.lines().count()), (200, 6), "{}", table.text);
        // What is not there is not there; nor is one of another promotion.
        app.ops("GET", &format!("{path}/6"), None).await.problem(404, "not_found");
        app.ops("GET", &format!("{path}/0"), None).await.problem(404, "not_found");
        app.ops("GET", &format!("{path}/first"), None).await.problem(404, "invalid_path");
        let other = plan(&app, "other", json!({"gift": percent("1", "lines")})).await;
        app.ops("GET", &format!("/promotions/{other}/versions/2"), None).await.problem(404, "not_found");
    });
}

#[test]
fn changes_at_once_leave_one_row_for_each_version_and_no_gap() {
    on_both(|app| async move {
        Shop::open(&app, &[("TEE", "100.00", 9)]).await;
        let id = promote(&app, "busy", json!({"gift": percent("10", "lines")})).await;
        let sent = |n: usize| {
            let (app, id) = (app.clone(), id.clone());
            async move {
                let path = format!("/promotions/{id}");
                let change = json!({"gift": percent(&(n + 11).to_string(), "lines"), "despite_warnings": true});
                let answer = match n % 4 {
                    0 => app.ops("POST", &format!("{path}/pause"), None).await,
                    1 => app.ops("POST", &format!("{path}/activate"), Some(&json!({"despite_warnings": true}))).await,
                    _ => app.ops("PATCH", &path, Some(&change)).await,
                };
                // Done, or overtaken by another.
                assert!([200, 409].contains(&answer.status), "{answer:?}");
                (answer.status == 200).then_some(answer.body)
            }
        };
        let answered: Vec<Value> = join_all((0..24).map(sent)).await.into_iter().flatten().collect();
        let now = app.ops("GET", &format!("/promotions/{id}"), None).await.expect(200);
        let kept = versions(&app, &id).await;
        let numbers: Vec<i64> = kept.iter().map(|one| one["version"].as_i64().unwrap()).collect();
        let newest = now["version"].as_i64().unwrap();
        assert_eq!(numbers, (1..=newest).rev().collect::<Vec<_>>());
        // Each says what whoever made it was answered.
        for answer in answered {
            let kept = kept.iter().find(|one| one["version"] == answer["version"]).unwrap();
            assert_eq!((&kept["gift"], &kept["state"]), (&answer["gift"], &answer["state"]));
        }
    });
}

#[test]
fn what_an_older_process_has_changed_is_kept_before_it_is_written_over() {
    on_both(|app| async move {
        Shop::open(&app, &[("TEE", "100.00", 9)]).await;
        let id = promote(&app, "mixed", json!({"gift": percent("10", "lines")})).await;
        // As a process of before does it, which knows of no versions.
        let older = |tx: &mut kontor::db::Tx| {
            kontor::db::sql("UPDATE promotions SET name = 'By an older one', version = version + 1").execute(tx)
        };
        app.state.db.write(older).await.unwrap();
        let findings = kontor::doctor::examine(&app.state.db, |_| {}).await.unwrap();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].subject == id && findings[0].detail.contains("version 3 is not kept"), "{findings:?}");
        let named = json!({"name": "By a newer one"});
        app.ops("PATCH", &format!("/promotions/{id}"), Some(&named)).await.expect(200);
        let kept = versions(&app, &id).await;
        let told: Vec<(&Value, &Value)> = kept.iter().map(|one| (&one["name"], &one["changed_by"])).collect();
        let (ada, nobody) = (json!("staff:ada"), Value::Null);
        let (newer, older, first) = (json!("By a newer one"), json!("By an older one"), json!("The mixed"));
        assert_eq!(told, [(&newer, &ada), (&older, &nobody), (&first, &ada), (&first, &ada)]);
        // One that nobody changes again is kept by a schedule.
        app.state
            .db
            .write(|tx| kontor::db::sql("UPDATE promotions SET name = 'Once more', version = version + 1").execute(tx))
            .await
            .unwrap();
        app.clock.advance_seconds(3_600);
        crate::support::eventually("it is kept", async || versions(&app, &id).await.len() == 5).await;
        let kept = versions(&app, &id).await;
        assert_eq!((&kept[0]["name"], &kept[0]["changed_by"]), (&json!("Once more"), &Value::Null));
    });
}
