//! What the migrations make on the two databases, what `src/db/schema.rs` says, and the way back.

use std::collections::BTreeSet;

use kontor::db::{Col, Db, Options, Upkeep, dialect, sql, tables};

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
        // It goes on beside the newer one where it runs already.
        assert_eq!(bare.db.pending_migrations().await.unwrap(), 0);
        let look = Options { upkeep: Upkeep::Nothing, ..Options::new(bare.url.clone()) };
        assert!(Db::open(look).err().unwrap().to_string().contains("newer than this program"));
    });
}

#[test]
fn a_server_stays_ready_when_a_newer_one_has_migrated() {
    crate::support::on_both(|app| async move {
        let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')";
        app.state.db.write(move |tx| sql(newer).execute(tx)).await.unwrap();
        let ready = app.send("GET", "/health/ready", &[], None).await.expect(200);
        assert_eq!(ready["migrations"], true);
        let missing = "DELETE FROM __diesel_schema_migrations WHERE version <> '29990101000000'";
        app.state.db.write(move |tx| sql(missing).execute(tx)).await.unwrap();
        app.send("GET", "/health/ready", &[], None).await.expect(503);
    });
}

#[test]
fn who_only_looks_changes_no_schema_and_makes_no_database() {
    on_both_bare(|bare| async move {
        let open = |upkeep: Upkeep, url: &str| Db::open(Options { upkeep, connections: 1, ..Options::new(url) });
        assert!(open(Upkeep::Nothing, &bare.url).is_ok() && open(Upkeep::Make, &bare.url).is_ok());
        // An empty one.
        bare.db.write(|tx| sql("DELETE FROM __diesel_schema_migrations").execute(tx)).await.unwrap();
        let refused = open(Upkeep::Nothing, &bare.url).err().unwrap().to_string();
        assert!(refused.contains("no shop"), "{refused}");
    });
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("kontor.db");
    let look = Options { upkeep: Upkeep::Nothing, ..Options::new(nowhere.display().to_string()) };
    assert!(Db::open(look).err().unwrap().to_string().contains("there is no database at"));
    assert!(!nowhere.exists());
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
    // By whatever way it is named.
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("other.db");
    std::os::unix::fs::symlink(&bare.url, &link).unwrap();
    let linked = Db::open(Options { exclusive: true, ..Options::new(link.display().to_string()) });
    assert!(linked.err().unwrap().to_string().contains("already being served"));
    // Other commands may read and write.
    drop(Db::open(Options::new(bare.url.clone())).unwrap());
}

/// The statements of all migrations of a database, without comments, in one notation: what only the databases' own words
/// for the same thing tell apart is made equal.
fn statements(texts: &[&str]) -> BTreeSet<String> {
    let words = [
        ("bigserial primary key", "integer primary key autoincrement"),
        (" collate \"c\"", ""),
        ("timestamptz", "text"),
        ("bigint", "integer"),
        ("boolean", "integer"),
        ("jsonb", "text"),
        ("uuid", "blob"),
        (") strict, without rowid", ")"),
        (") strict", ")"),
        // Others write on while PostgreSQL builds an index of a large table.
        ("create index concurrently if not exists", "create index"),
        // How full pages are written is a matter of speed.
        (") with (fillfactor = 70)", ")"),
    ];
    let plain = |text: &str| {
        let lines = text.lines().map(|line| line.split("--").next().unwrap());
        lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ").to_lowercase()
    };
    let same =
        |statement: &str| words.iter().fold(statement.trim().to_owned(), |text, (from, to)| text.replace(from, to));
    let all = texts.iter().flat_map(|text| plain(text).split(';').map(same).collect::<Vec<_>>());
    all.filter(|statement| !statement.is_empty()).collect()
}

/// The `up.sql` of every migration of a database, in order.
fn migrations(database: &str) -> Vec<(String, String)> {
    let folder = format!("{}/migrations/{database}", env!("CARGO_MANIFEST_DIR"));
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    let text = |name: &String| std::fs::read_to_string(format!("{folder}/{name}/up.sql")).unwrap();
    names.iter().map(|name| (name.clone(), text(name))).collect()
}

#[test]
fn both_databases_have_the_same_types_constraints_and_indexes() {
    let (sqlite, postgres) = (migrations("sqlite"), migrations("postgres"));
    let names = |of: &[(String, String)]| of.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&sqlite), names(&postgres));
    let texts = |of: &[(String, String)]| statements(&of.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>());
    // On SQLite the rowid is an event's position; on PostgreSQL it is given by a step of its own.
    let virtual_position = "position integer generated always as (seq) virtual";
    let mut sqlite: BTreeSet<String> =
        texts(&sqlite).into_iter().map(|text| text.replace(virtual_position, "position integer")).collect();
    let mut postgres = texts(&postgres);
    // On PostgreSQL others write while a table is copied.
    let locked = "lock table ledger_entries in access exclusive mode";
    let credits = "lock table company_credits in access exclusive mode";
    let requests = "lock table countersign_requests in access exclusive mode";
    // How documents are compressed is a matter of speed; a server may be without it.
    let compressed =
        ["do $$ begin alter table carts", "alter table orders alter column doc set", "exception when", "end $$"];
    sqlite.retain(|statement| statement != "select 1");
    let own =
        ["create unique index events_position on", "create index events_unnumbered on", locked, credits, requests];
    for own in own.into_iter().chain(compressed) {
        let before = postgres.len();
        postgres.retain(|statement| !statement.starts_with(own));
        assert_eq!(postgres.len() + 1, before, "{own}");
    }
    // A document is changed by words of their own; `dock_lots` looks at what comes of it.
    for of in [&mut sqlite, &mut postgres] {
        let before = of.len();
        of.retain(|statement| !statement.starts_with("update locations set version = version + 1, doc ="));
        assert_eq!(of.len() + 1, before);
    }
    // What was claimed of parcels before is read out of documents in their own words too.
    for of in [&mut sqlite, &mut postgres] {
        let before = of.len();
        of.retain(|statement| !statement.starts_with("insert into parcel_claims"));
        assert_eq!(of.len() + 2, before);
    }
    let differ: Vec<_> = sqlite.symmetric_difference(&postgres).collect();
    assert!(differ.is_empty(), "one database says what the other does not: {differ:#?}");
    assert!(
        sqlite.iter().filter(|statement| statement.contains("check (")).count() > 20,
        "the texts were not understood"
    );
}

#[test]
fn columns_have_the_types_that_the_program_reads_them_as() {
    use diesel::sql_types::Text;
    on_both_bare(|bare| async move {
        let postgres = bare.is_postgres();
        let query = match postgres {
            true => {
                "SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns \
                     WHERE table_schema = 'public'"
            }
            false => {
                "SELECT t.name, c.name, lower(c.type) FROM pragma_table_list AS t \
                      JOIN pragma_table_xinfo(t.name) AS c WHERE t.schema = 'main' AND t.type = 'table'"
            }
        };
        let found = bare.db.read(move |tx| sql(query).load::<(Text, Text, Text), (String, String, String)>(tx));
        let found = found.await.unwrap();
        for table in tables::all() {
            for column in &table.columns {
                let (in_sqlite, in_postgres) = match column.kind {
                    Col::Uid => ("blob", "uuid"),
                    Col::Text => ("text", "text"),
                    Col::Int => ("integer", "bigint"),
                    Col::At => ("text", "timestamp with time zone"),
                    Col::Doc => ("text", "jsonb"),
                    Col::Bool => ("integer", "boolean"),
                };
                let wanted = if postgres { in_postgres } else { in_sqlite };
                let live = found.iter().find(|(of, name, _)| of == table.name && name == column.name);
                assert_eq!(live.map(|(_, _, kind)| kind.as_str()), Some(wanted), "{}.{}", table.name, column.name);
            }
        }
    });
}
