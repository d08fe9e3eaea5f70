//! What the migrations make on the two databases, what `src/db/schema.rs` says, and the way back.

use std::collections::BTreeSet;

use kontor::db::{Db, Options, dialect, sql, tables};

use crate::support::{Bare, block_on, on_both_bare};

type Columns = BTreeSet<(String, String, bool)>;

async fn live(db: &Db) -> Columns {
    db.read(dialect::live_columns).await.unwrap().into_iter().collect()
}

fn described() -> Columns {
    let columns = |table: &tables::Table| {
        let name = table.name;
        table.columns.iter().map(move |c| (name.to_owned(), c.name.to_owned(), c.nullable)).collect::<Vec<_>>()
    };
    tables::all().iter().flat_map(columns).collect()
}

#[track_caller]
fn assert_same(what: &str, left: &Columns, right: &Columns) {
    let differ: Vec<_> = left.symmetric_difference(right).collect();
    assert!(differ.is_empty(), "{what} differ in {differ:?}");
}

#[test]
fn both_databases_have_the_schema_that_the_program_knows() {
    on_both_bare(|bare| async move {
        assert_same("migrations and src/db/schema.rs", &live(&bare.db).await, &described());
    });
}

#[test]
fn parents_come_before_children() {
    let texts = [
        include_str!("../../migrations/sqlite/2026-11-22-000001_foundation/up.sql"),
        include_str!("../../migrations/postgres/2026-11-22-000001_foundation/up.sql"),
    ];
    let order: Vec<&str> = tables::all().iter().map(|table| table.name).collect();
    for text in texts {
        let mut table = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
                table = rest.split([' ', '(']).next().unwrap();
            }
            if let Some((_, rest)) = line.split_once(" REFERENCES ") {
                let parent = rest.split([' ', '(']).next().unwrap();
                let place = |name: &str| order.iter().position(|other| *other == name).unwrap();
                assert!(place(parent) < place(table), "{table} comes before {parent} in src/db/schema.rs");
            }
        }
    }
}

#[test]
fn the_way_back_and_forth_again() {
    on_both_bare(|bare| async move {
        assert!(bare.db.revert_all_migrations().await.unwrap() >= 1);
        assert!(live(&bare.db).await.is_empty());
        assert!(bare.db.pending_migrations().await.unwrap() >= 1);
        assert!(bare.db.migrate().await.unwrap() >= 1);
        assert_same("the schemas before and after", &live(&bare.db).await, &described());
        assert_eq!(bare.db.migrate().await.unwrap(), 0);
    });
}

#[test]
fn a_database_newer_than_the_program_is_refused() {
    on_both_bare(|bare| async move {
        let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')";
        bare.db.write(move |tx| sql(newer).execute(tx)).await.unwrap();
        let refused = Db::open(Options::new(bare.url.clone())).err().unwrap().to_string();
        assert!(refused.contains("newer than this program") && refused.contains("29990101000000"), "{refused}");
        assert!(bare.db.pending_migrations().await.is_err());
    });
}

#[test]
fn two_programs_started_at_once_migrate_once() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let mut urls = vec![folder.path().join("kontor.db").display().to_string()];
        if let Some(cluster) = crate::support::postgres::cluster() {
            let name = format!("kontor_unmigrated_{}", std::process::id());
            crate::support::postgres::psql(cluster, &format!("CREATE DATABASE {name}"));
            urls.push(format!("{}/{name}", cluster.base));
        }
        for url in urls {
            let open = |_| {
                let url = url.clone();
                tokio::task::spawn_blocking(move || Db::open(Options { connections: 1, ..Options::new(url) }).map(drop))
            };
            for opened in futures::future::join_all((0..4).map(open)).await {
                opened.unwrap().unwrap();
            }
        }
    });
}

#[test]
fn a_second_server_on_the_same_file_is_refused() {
    let bare = Bare::sqlite(|options| Options { exclusive: true, ..options });
    let second = Db::open(Options { exclusive: true, ..Options::new(bare.url.clone()) });
    assert!(second.err().unwrap().to_string().contains("already being served"));
    // Other commands may read and write.
    drop(Db::open(Options::new(bare.url.clone())).unwrap());
}
