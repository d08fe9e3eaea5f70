//! The journal: each posting once, in an order that never changes, balanced, with the numbers of the merchant's accounts.

use std::collections::HashSet;

use futures::future::join_all;
use kontor::{
    http::auth::Audience,
    kernel::Scope,
    payments::{Account, Posting, ledger},
};
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, eventually, on_both};

async fn journal(app: &App, query: &str) -> Answer {
    let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::FeedsRead]));
    app.send("GET", &format!("/v1/integration/journal{query}"), &[("Authorization", &token)], None).await
}

fn minor(money: &Value) -> i64 {
    money["amount"].as_str().map_or(0, |text| text.replace('.', "").parse().unwrap())
}

async fn complete(app: &App) {
    // Postings get their places every few seconds.
    app.clock.advance_seconds(10);
    let missing = "SELECT count(*) FROM (SELECT DISTINCT order_id, posting FROM ledger_entries \
                   WHERE account NOT IN ('authorised', 'promised')) AS all_of_them";
    eventually("all postings have their places", async || {
        app.count(missing).await == app.count("SELECT count(*) FROM journal_postings").await
    })
    .await;
}

#[test]
fn every_posting_is_told_once_however_many_are_booked_at_once() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "25.00", 500)]).await;
        let found = app.ops("GET", "/legal-entities", None).await.expect(200);
        let entity = found["items"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("/legal-entities/{entity}/journal-accounts");
        let numbers = json!({"accounts": [{"account": "receivable", "number": "1400"},
            {"account": "revenue", "country": "DE", "rate": "0.19", "number": "4400"}, {"account": "tax", "number": "3806"}]});
        assert_eq!(app.ops("PUT", &path, Some(&numbers)).await.expect(200), numbers);
        assert_eq!(app.ops("GET", &path, None).await.expect(200), numbers);
        let twice = json!({"accounts": [{"account": "tax", "number": "1"}, {"account": "tax", "number": "2"}]});
        app.ops("PUT", &path, Some(&twice)).await.problem(422, "invalid_value");

        let orders = join_all((0..12).map(|_| shop.order(&[("MUG", 1)]))).await;
        for order in orders.iter().take(4) {
            let cancel = format!("/orders/{}/cancel", order["id"].as_str().unwrap());
            app.ops("POST", &cancel, Some(&json!({"reason": "x"}))).await.expect(200);
        }
        complete(&app).await;
        let (mut cursor, mut seen, mut last) = (String::new(), HashSet::new(), 0);
        loop {
            let page = journal(&app, &format!("?limit=5{cursor}")).await.expect(200);
            for entry in page["items"].as_array().unwrap() {
                assert!(seen.insert(entry["id"].as_str().unwrap().to_owned()), "{entry}");
                let position = entry["position"].as_i64().unwrap();
                assert!(position > last);
                last = position;
                let lines = entry["lines"].as_array().unwrap();
                let sum: i64 = lines.iter().map(|line| minor(&line["debit"]) - minor(&line["credit"])).sum();
                assert_eq!(sum, 0, "{entry}");
                if entry["posting"] == "placed" {
                    let of = |account: &str| lines.iter().find(|line| line["account"] == account).unwrap();
                    assert_eq!(
                        (&of("receivable")["number"], &of("revenue")["number"]),
                        (&json!("1400"), &json!("4400"))
                    );
                    assert_eq!((&of("tax")["rate"], &of("tax")["number"]), (&json!("0.19"), &json!("3806")));
                    assert_eq!(entry["legal_entity_id"], json!(entity));
                }
            }
            cursor = format!("&after={}", page["next_cursor"].as_str().unwrap());
            if page["has_more"] == false {
                break;
            }
        }
        assert_eq!(seen.len(), 16, "{seen:?}");
        // What comes later comes behind.
        let page = journal(&app, &format!("?limit=5{cursor}")).await.expect(200);
        assert!(page["items"].as_array().unwrap().is_empty());
        shop.order(&[("MUG", 1)]).await;
        complete(&app).await;
        let page = journal(&app, &format!("?limit=5{cursor}")).await.expect(200);
        assert_eq!(page["items"].as_array().unwrap().len(), 1);

        // What a clock that is hours behind has recorded comes behind too, and what it took back.
        let cursor = format!("&after={}", page["next_cursor"].as_str().unwrap());
        let (order, late) = (orders[0]["id"].as_str().unwrap().parse().unwrap(), app.now().plus_seconds(-7_200));
        for (name, amount) in [("late", 100), ("late_back", -100)] {
            let entries = vec![(Account::Receivable, amount), (Account::WriteOff, -amount)];
            let currency = "EUR".parse().unwrap();
            let posting = Posting { order, posting: name.to_owned(), occurred_at: late, currency, entries };
            let book = move |tx: &mut kontor::db::Tx| ledger::post(tx, late, vec![posting.clone()]);
            app.state.db.write(book).await.unwrap();
        }
        complete(&app).await;
        let page = journal(&app, &format!("?limit=5{cursor}")).await.expect(200);
        assert_eq!(page["items"].as_array().unwrap().len(), 2, "{page}");
        assert_eq!(app.count("SELECT count(*) FROM ledger_entries WHERE journal_position IS NULL").await, 0);

        let csv = journal(&app, "?format=csv&limit=1").await;
        assert!(csv.text.starts_with("position,id,date,posting,order_number"), "{}", csv.text);
        assert!(csv.header("Kontor-Next-Cursor").is_some());
        let lines = journal(&app, "?format=ndjson&limit=2").await;
        assert_eq!(lines.text.lines().count(), 2);
        journal(&app, "?after=nonsense").await.problem(400, "invalid_cursor");
        let sums = app.ops("GET", "/journal/summary?from=2020-01-01&to=2100-01-01", None).await.expect(200);
        let all = sums["items"].as_array().unwrap();
        let balance: i64 = all.iter().map(|one| minor(&one["debit"]) - minor(&one["credit"])).sum();
        assert!(balance == 0 && !all.is_empty(), "{sums}");
    });
}
