//! What a PostgreSQL's roles and databases have set otherwise must not change what a transaction sees and what its errors
//! mean. And what a broken-off migration has left.

use kontor::db::{Db, Options, sql};

use crate::{
    database::a_deadlock,
    support::{Bare, block_on, postgres},
};
use diesel::sql_types::{BigInt, Text};

/// A database whose sessions begin with these settings, and its name.
fn set(settings: &[&str]) -> Option<(Bare, String)> {
    let bare = Bare::postgres(|options| options)?;
    let name = bare.url.rsplit('/').next().unwrap().to_owned();
    for setting in settings {
        postgres::psql(postgres::cluster()?, &format!("ALTER DATABASE {name} SET {setting}"));
    }
    Some((bare, name))
}

fn open(url: &str) -> kontor::error::Result<Db> {
    Db::open_unmigrated(Options { connections: 6, ..Options::new(url) })
}

async fn setting(db: &Db, name: &'static str) -> String {
    let query = format!("SELECT current_setting('{name}')");
    db.write(move |tx| sql(query.clone()).first::<Text, String>(tx)).await.unwrap().unwrap()
}

#[test]
fn a_transaction_sees_what_was_committed_whatever_a_database_has_set() {
    block_on(async {
        let settings = ["default_transaction_isolation = 'repeatable read'", "default_transaction_read_only = on"];
        let Some((bare, _)) = set(&settings) else { return };
        let db = open(&bare.url).unwrap();
        assert_eq!(setting(&db, "transaction_isolation").await, "read committed");
        assert_eq!(setting(&db, "transaction_read_only").await, "off");
        // Two rows are written beside each other, each by a statement that has waited for the other's lock.
        db.write(|tx| sql("CREATE TABLE counted (id BIGINT PRIMARY KEY, n BIGINT)").execute(tx)).await.unwrap();
        db.write(|tx| sql("INSERT INTO counted VALUES (1, 0)").execute(tx)).await.unwrap();
        let count = |_| db.write(|tx| sql("UPDATE counted SET n = n + 1 WHERE id = 1").execute(tx));
        for counted in futures::future::join_all((0..12).map(count)).await {
            counted.unwrap();
        }
        assert_eq!(db.stats().retries, 0);
        assert_eq!(db.read(|tx| sql("SELECT n FROM counted").first::<BigInt, i64>(tx)).await.unwrap(), Some(12));
    });
}

#[test]
fn a_deadlock_is_run_again_whatever_language_the_server_speaks() {
    block_on(async {
        let Some(language) = postgres::cluster().and_then(postgres::foreign_language) else { return };
        let Some((bare, _)) = set(&[&format!("lc_messages = '{language}'")]) else { return };
        let db = open(&bare.url).unwrap();
        assert_eq!(setting(&db, "lc_messages").await, "C");
        a_deadlock(&db).await;
    });
}

#[test]
fn a_role_that_may_not_choose_the_language_is_told_how_to_mend_it() {
    block_on(async {
        let Some(cluster) = postgres::cluster() else { return };
        let Some(language) = postgres::foreign_language(cluster) else { return };
        let Some((bare, _)) = set(&[&format!("lc_messages = '{language}'")]) else { return };
        let role = format!("clerk_{}", std::process::id());
        postgres::psql(cluster, &format!("CREATE ROLE {role} LOGIN"));
        let url = {
            let mut url: url::Url = bare.url.parse().unwrap();
            url.set_username(&role).unwrap();
            url.to_string()
        };
        let look = |url: String| async move {
            let db = open(&url)?;
            db.read(|tx| sql("SELECT current_setting('lc_messages')").first::<Text, String>(tx)).await
        };
        let refused = look(url.clone()).await.unwrap_err().to_string();
        let advice = format!("ALTER ROLE {role} SET lc_messages = 'C'");
        assert!(refused.contains(&advice) && refused.contains(&language), "{refused}");
        postgres::psql(cluster, &advice);
        assert_eq!(look(url).await.unwrap().as_deref(), Some("C"));
        postgres::psql(cluster, &format!("DROP ROLE {role}"));
    });
}

#[test]
fn an_index_whose_building_broke_off_is_built_anew() {
    block_on(async {
        let Some(bare) = Bare::postgres(|options| options) else { return };
        let db = &bare.db;
        let whole = || async {
            let query = "SELECT count(*) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid \
                         WHERE c.relname IN ('returns_location', 'carts_guest_email') AND i.indisvalid AND i.indisready";
            db.read(move |tx| sql(query).first::<BigInt, i64>(tx)).await.unwrap()
        };
        assert_eq!(whole().await, Some(2));
        let broken = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'returns_location'::regclass";
        db.write(move |tx| sql(broken).execute(tx)).await.unwrap();
        // What rebuilding by hand leaves behind where it breaks off.
        let beside = "CREATE INDEX returns_location_ccnew ON returns (occurred_at)";
        db.write(move |tx| sql(beside).execute(tx)).await.unwrap();
        let broken = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'returns_location_ccnew'::regclass";
        db.write(move |tx| sql(broken).execute(tx)).await.unwrap();
        assert_eq!(whole().await, Some(1));
        assert_eq!(db.migrate().await.unwrap(), 0);
        assert_eq!(whole().await, Some(2));
        let left = "SELECT count(*) FROM pg_class WHERE relname LIKE 'returns_location%'";
        assert_eq!(db.read(move |tx| sql(left).first::<BigInt, i64>(tx)).await.unwrap(), Some(1));
    });
}
