//! Every list of the ops surface: pages, counts and tables are the same thing everywhere.

use kontor::{
    db::sql,
    http::{auth::Audience, openapi::Surface},
    jobs::{self, NewJob},
    kernel::Scope,
};
use serde_json::{Value, json};

use crate::support::{
    Answer, App, on_both_idle,
    world::{self, Route},
};

/// The lists that the document of the ops surface tells of: whatever answers with a page.
fn lists() -> Vec<Route> {
    let document = serde_json::to_value(kontor::api::openapi(Surface::Ops)).unwrap();
    let answer = |path: &str| document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"].clone();
    let is_page = |route: &Route| {
        let schema = answer(&route.path)["schema"]["$ref"].as_str().unwrap_or_default().to_owned();
        let pages = document["components"]["schemas"][schema.rsplit('/').next().unwrap()]["properties"].clone();
        pages.get("next_cursor").is_some() && pages.get("items").is_some()
    };
    let all = Route::all().into_iter().filter(|route| route.surface == Surface::Ops && route.method == "GET");
    let lists: Vec<Route> = all.filter(is_page).collect();
    assert!(lists.len() >= 24, "{}", lists.len());
    lists
}

/// A list as one credential sees it.
struct Seen<'a> {
    app: &'a App,
    path: String,
    token: &'a str,
}

impl Seen<'_> {
    async fn ask(&self, query: &str) -> Answer {
        // Some ask for something themselves.
        let mark = if self.path.contains('?') { '&' } else { '?' };
        let path = format!("{}{mark}{query}", self.path);
        self.app.send("GET", &path, &[("Authorization", self.token)], None).await
    }

    /// All its items, so many at a time. A page that is not full is the last.
    async fn walk(&self, limit: usize) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.ask(&format!("limit={limit}{cursor}")).await.expect(200);
            let found = page["items"].as_array().unwrap().clone();
            let full = found.len() == limit;
            items.extend(found);
            match page["next_cursor"].as_str() {
                Some(next) => {
                    assert!(full, "{}: a page is short and there is more", self.path);
                    cursor = format!("&cursor={next}");
                }
                None => return items,
            }
        }
    }
}

fn records(table: &Answer) -> (Vec<String>, Vec<csv::StringRecord>) {
    let mut reader = csv::Reader::from_reader(table.text.as_bytes());
    let heading = reader.headers().unwrap().iter().map(str::to_owned).collect();
    (heading, reader.records().map(Result::unwrap).collect())
}

async fn assert_counted(list: &Seen<'_>) {
    let all = list.walk(200).await;
    assert_eq!(list.walk(1).await.len(), all.len(), "{}", list.path);
    let counted = list.ask("count=capped&limit=1").await.expect(200);
    assert_eq!(counted["count"], all.len(), "{}", list.path);
    assert!(list.ask("limit=1").await.expect(200).get("count").is_none());
    assert_eq!(list.ask("count=all").await.problem(400, "invalid_query")["pointer"], "count");
}

async fn assert_table(list: &Seen<'_>) {
    let page = list.ask("limit=200").await.expect(200);
    let items = page["items"].as_array().unwrap();
    let table = list.ask("format=csv&limit=200&count=capped").await;
    assert_eq!(table.status, 200, "{}", table.text);
    assert!(table.header("Content-Type").unwrap().starts_with("text/csv"), "{}", list.path);
    assert_eq!(table.header("Count").unwrap().parse::<usize>().unwrap(), items.len());
    let (heading, rows) = records(&table);
    assert_eq!(rows.len(), items.len(), "{}", list.path);
    // What an item holds stands in its row, in the column that its field names.
    for (item, row) in items.iter().zip(&rows) {
        for (field, value) in item.as_object().unwrap() {
            let own = |name: &String| *name == *field || name.starts_with(&format!("{field}."));
            assert!(heading.iter().any(own), "{}: {field} is missing in {heading:?}", list.path);
            let Some(place) = heading.iter().position(|name| name == field) else { continue };
            let cell = row.get(place).unwrap().trim_start_matches('\'').to_owned();
            match value {
                Value::Null => assert_eq!(cell, ""),
                Value::String(text) => assert_eq!(cell, text.trim_start_matches('\'')),
                other => assert_eq!(&serde_json::from_str::<Value>(&cell).unwrap(), other, "{field}"),
            }
        }
    }
    // The columns are the same whatever the page holds, and the way on is told.
    let first = list.ask("format=csv&limit=1").await;
    assert_eq!(records(&first).0, heading, "{}", list.path);
    assert_eq!(first.header("Next-Cursor").is_some(), items.len() > 1, "{}", list.path);
    assert_eq!(list.ask("format=xml").await.problem(400, "invalid_query")["pointer"], "format");
    assert_eq!(list.ask("limit=0").await.problem(400, "invalid_query")["pointer"], "limit");
    assert_eq!(list.ask("odd=1").await.problem(400, "invalid_query")["pointer"], "odd");
}

#[test]
fn every_list_is_paged_counted_and_a_table() {
    on_both_idle(|app| async move {
        let (ours, theirs) = world::two_sides(&app).await;
        let all = format!("Bearer {}", app.staff());
        let mut filled = 0;
        for route in lists() {
            let list = Seen { app: &app, path: route.fill(&ours.ids), token: &all };
            assert_counted(&list).await;
            assert_table(&list).await;
            filled += usize::from(!list.walk(200).await.is_empty());
        }
        assert!(filled >= 22, "{filled} lists held something");
        // Who sees a part of it only is told of that part as if it were all.
        for side in [&ours, &theirs] {
            let token = world::limited_to(&app, Audience::Staff, side);
            for route in lists() {
                let list = Seen { app: &app, path: route.fill(&side.ids), token: &token };
                if list.ask("").await.status == 200 {
                    assert_counted(&list).await;
                    assert_table(&list).await;
                }
            }
        }
    });
}

#[test]
fn a_full_page_is_given_to_whoever_sees_little_of_a_long_list() {
    on_both_idle(|app| async move {
        let (ours, _) = world::two_sides(&app).await;
        // Four hundred others stand before ours.
        let fill = "INSERT INTO legal_entities (id, code, name, country, time_zone, version, created_at, updated_at) \
                    SELECT ?, ?, name, country, time_zone, version, created_at, updated_at FROM legal_entities LIMIT 1";
        let write = move |tx: &mut kontor::db::Tx| {
            for number in 0..400_u16 {
                let mut id = [0; 16];
                id[14..].copy_from_slice(&number.to_be_bytes());
                let id = kontor::kernel::Id::<()>::from_bytes(id);
                sql(fill).bind(id).bind(format!("other-{number}")).execute(tx)?;
            }
            Ok(())
        };
        app.state.db.write(write).await.unwrap();
        let token = world::limited_to(&app, Audience::Staff, &ours);
        let list = Seen { app: &app, path: "/v1/ops/legal-entities".to_owned(), token: &token };
        let page = list.ask("limit=2&count=capped").await.expect(200);
        assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
        assert_eq!((&page["items"][0]["id"], &page["count"]), (&json!(ours.ids["legal-entities"]), &json!(1)));
        assert!(page.get("next_cursor").is_none());
    });
}

#[test]
fn a_work_list_goes_on_behind_what_sleeps_and_behind_the_first_thousand() {
    on_both_idle(|app| async move {
        app.leaves_work();
        let now = app.now();
        let made: Vec<NewJob> = (0..1300).map(|_| NewJob::now("nobody-knows-this", now, json!({}))).collect();
        let write = move |tx: &mut kontor::db::Tx| {
            jobs::enqueue(tx, now, made.clone())?;
            sql("UPDATE jobs SET state = 'dead'").execute(tx)
        };
        app.state.db.write(write).await.unwrap();
        let token = format!("Bearer {}", app.staff());
        let list = Seen { app: &app, path: "/v1/ops/worklists/dead_jobs".to_owned(), token: &token };
        let all = list.walk(200).await;
        assert_eq!(all.len(), 1300);
        assert_eq!(list.ask("count=capped").await.expect(200)["count"], 1300);
        // All but the last two sleep.
        let sleeping: Vec<String> = all[..1298].iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
        let until = now.plus_seconds(3600);
        let snooze = move |tx: &mut kontor::db::Tx| {
            for id in &sleeping {
                sql("INSERT INTO worklist_claims (list, item, assignee, snoozed_until, updated_at) VALUES ('dead_jobs', ?, 'ada', ?, ?)")
                    .bind(id.as_str())
                    .bind(until)
                    .bind(now)
                    .execute(tx)?;
            }
            Ok(())
        };
        app.state.db.write(snooze).await.unwrap();
        let page = list.ask("limit=2&count=capped").await.expect(200);
        assert_eq!((page["items"].as_array().unwrap().as_slice(), &page["count"]), (&all[1298..], &json!(2)));
        assert_eq!(list.ask("count=capped&snoozed=true").await.expect(200)["count"], 1300);
    });
}

#[test]
fn a_feeds_consumers_are_found_behind_those_of_other_feeds() {
    on_both_idle(|app| async move {
        let token = format!("Bearer {}", app.token(Audience::Client, "erp", Scope::ALL));
        let ask = async |path: &str| app.send("GET", path, &[("Authorization", &token)], None).await.expect(200);
        for name in ["a", "b", "c"] {
            ask(&format!("/v1/integration/feeds/orders?consumer={name}")).await;
        }
        for name in ["x", "y"] {
            ask(&format!("/v1/integration/feeds/stock?consumer={name}")).await;
        }
        let page = ask("/v1/integration/feeds/stock/consumers?limit=1").await;
        assert_eq!((page["items"].as_array().unwrap().len(), &page["items"][0]["name"]), (1, &json!("x")));
        let next = page["next_cursor"].as_str().unwrap();
        let last = ask(&format!("/v1/integration/feeds/stock/consumers?limit=1&cursor={next}")).await;
        assert_eq!((&last["items"][0]["name"], last.get("next_cursor")), (&json!("y"), None));
    });
}
