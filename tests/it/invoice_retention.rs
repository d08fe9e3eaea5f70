//! Invoices that do not have to be kept any more: what is personal leaves them, once, and what proves numbers and tax stays.

use serde_json::{Value, json};

use crate::{
    invoices::{cents, entity, have, invoiced, settings, text, whole},
    support::{App, Shop, eventually, on_both},
};

const DAY: i64 = 86_400;
const REDACTED: &str = "SELECT count(*) FROM invoice_documents WHERE redacted_at IS NOT NULL";

/// Goes to noon of a day of which one knows that all turns of the day have been taken.
async fn at_noon_of(app: &App, date: &str) {
    let noon: kontor::kernel::Instant = format!("{date}T13:00:00Z").parse().unwrap();
    app.clock.advance_seconds((noon.micros() - app.now().micros()) / 1_000_000);
    let now = app.now();
    eventually("the turn of the day is taken", async || {
        let query = "SELECT count(*) FROM schedules WHERE name = 'invoices.redact' AND next_at > ?";
        app.read(move |tx| kontor::db::sql(query).bind(now).first::<diesel::sql_types::BigInt, i64>(tx)).await
            == Some(1)
    })
    .await;
}

/// A shop whose documents are kept until the end of the year after that of their issue, and two orders: of a person and of a company.
async fn sold(app: &App) -> (Shop, Vec<Value>, String) {
    let shop = Shop::open(app, &[("TEE", "19.99", 100)]).await;
    invoiced(&shop, "at_order").await;
    let mut short = settings();
    short["retention_years"] = json!(1);
    short["note"] = json!("Thank you, and come again");
    let path = format!("/legal-entities/{}", text(&entity(app).await["id"]));
    app.ops("PATCH", &path, Some(&json!({ "invoicing": short }))).await.expect(200);
    let cart = shop.cart(&[("TEE", 1)]).await;
    let one = shop.complete(&cart, "approve").await.expect(201)["order"].clone();
    let two = shop.order(&[("TEE", 2)]).await;
    have(app, &one, 1).await;
    have(app, &two, 1).await;
    (shop, vec![one, two], cart.token)
}

fn figures(document: &Value) -> Vec<Value> {
    let names =
        ["id", "number", "kind", "issued_on", "retain_until", "net", "tax", "total", "lines", "charges", "taxes"];
    names.map(|name| document[name].clone()).to_vec()
}

#[test]
fn what_is_personal_leaves_a_document_after_it_had_to_be_kept_and_not_before() {
    on_both(|app| async move {
        let (shop, orders, token) = sold(&app).await;
        let summary = have(&app, &orders[0], 1).await[0].clone();
        let before = whole(&app, &summary).await;
        assert_eq!((&before["buyer"]["name"], before["redacted_at"].is_null()), (&json!("Ada Lovelace"), true));
        let last = text(&before["retain_until"]);
        let year: i32 = last[..4].parse().unwrap();
        // The last day is kept, wherever it ends last.
        at_noon_of(&app, &last).await;
        assert_eq!(app.count(REDACTED).await, 0);
        let id = text(&summary["id"]);
        for form in ["xml", "html", "pdf"] {
            app.ops("GET", &format!("/invoices/{id}/{form}"), None).await.expect(200);
        }
        at_noon_of(&app, &format!("{}-01-02", year + 1)).await;
        eventually("what is personal is gone", async || app.count(REDACTED).await == 2).await;
        let after = whole(&app, &summary).await;
        assert_eq!(figures(&after), figures(&before));
        assert!(after["redacted_at"].is_string(), "{after}");
        assert_eq!(after["left_of_buyer"]["country"], before["buyer"]["country"]);
        for gone in ["buyer", "deliver_to", "note", "reason", "terms"] {
            assert!(after[gone].is_null(), "{gone}: {after}");
        }
        let kept = app.count("SELECT count(*) FROM invoice_documents WHERE document LIKE '%Lovelace%'").await;
        assert_eq!(kept, 0);
        for form in ["xml", "html", "pdf"] {
            let answer = app.ops("GET", &format!("/invoices/{id}/{form}"), None).await;
            assert_eq!(answer.problem(410, "invoice_redacted")["redacted_at"], after["redacted_at"]);
        }
        let body = json!({"reason": "too late"});
        app.ops("POST", &format!("/invoices/{id}/correct"), Some(&body)).await.problem(410, "invoice_redacted");
        let list = app.ops("GET", "/invoices", None).await.expect(200);
        assert!(
            list["items"].as_array().unwrap().iter().all(|one| one["redacted_at"] == after["redacted_at"]),
            "{list}"
        );
        for form in ["html", "pdf"] {
            let own = format!("/orders/{}/invoices/{id}/{form}", text(&orders[0]["id"]));
            shop.store("GET", &own, Some(&token), None).await.problem(410, "invoice_redacted");
        }
        // What was taken out before its day is found out.
        let damage = async |statement: &'static str| {
            app.state.db.write(move |tx| kontor::db::sql(statement).execute(tx)).await.unwrap();
            kontor::doctor::examine(&app.state.db, |_| {}).await.unwrap()
        };
        let found = damage("UPDATE invoice_documents SET retain_until = '2999' || substr(retain_until, 5)").await;
        assert!(
            found.len() == 2 && found.iter().all(|one| one.rule.starts_with("what is personal leaves")),
            "{found:#?}"
        );
        let mended = match app.is_postgres() {
            true => "UPDATE invoice_documents SET retain_until = CAST(document AS jsonb)->>'retain_until'",
            false => "UPDATE invoice_documents SET retain_until = document->>'retain_until'",
        };
        assert_eq!(damage(mended).await, []);
    });
}

#[test]
fn it_is_done_once_and_later_documents_go_on() {
    on_both(|app| async move {
        let (shop, orders, _) = sold(&app).await;
        let first = whole(&app, &have(&app, &orders[0], 1).await[0]).await;
        let year: i32 = text(&first["retain_until"])[..4].parse().unwrap();
        at_noon_of(&app, &format!("{}-01-02", year + 1)).await;
        eventually("what is personal is gone", async || app.count(REDACTED).await == 2).await;
        let once = whole(&app, &have(&app, &orders[0], 1).await[0]).await;
        // What is taken back later is credited, of whom the order still knows.
        let cancel = format!("/orders/{}/cancel", text(&orders[0]["id"]));
        app.ops("POST", &cancel, Some(&json!({"reason": "never came"}))).await.expect(200);
        let both = have(&app, &orders[0], 2).await;
        let credit = both.iter().find(|one| one["kind"] == "credit_note").unwrap();
        assert_eq!(cents(&credit["total"]), cents(&first["total"]));
        assert!(credit["redacted_at"].is_null());
        let third = shop.order(&[("TEE", 1)]).await;
        have(&app, &third, 1).await;
        app.clock.advance_seconds(2 * DAY);
        at_noon_of(&app, &format!("{}-01-05", year + 1)).await;
        assert_eq!(app.count(REDACTED).await, 2);
        assert_eq!(whole(&app, &json!({"id": first["id"]})).await, once);
        // Numbers have no gaps, and what was invoiced is what was sold: `doctor` sees to that at the end.
        at_noon_of(&app, &format!("{}-01-02", year + 3)).await;
        eventually("the others follow", async || app.count(REDACTED).await == 4).await;
    });
}
