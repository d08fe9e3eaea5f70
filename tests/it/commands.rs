//! The commands of the program, as somebody at a terminal meets them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kontor::{
    db::{Db, Options, sql},
    kernel::{Clock, Id, ids},
};
use serde_json::{Value, json};

use crate::support::{Folder, Site, block_on, on_both_sites};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command that must do; gives what it says.
#[track_caller]
fn done(site: &Site, arguments: &[&str]) -> String {
    let output = site.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Runs a command that must fail; gives what it says.
#[track_caller]
fn refused(site: &Site, arguments: &[&str]) -> String {
    let output = site.run(arguments);
    assert!(!output.status.success(), "{arguments:?} went well: {}", text(&output.stdout));
    text(&output.stderr) + &text(&output.stdout)
}

#[test]
fn in_the_wrong_folder_nothing_is_made_and_nothing_is_well() {
    let site = Site { database_url: "kontor.db".into(), folder: Folder::new().into() };
    for arguments in [&["doctor"][..], &["backup", "b.gz"], &["token"]] {
        let said = refused(&site, arguments);
        assert!(said.contains("there is no database at"), "{said}");
    }
    let left: Vec<_> = std::fs::read_dir(site.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["log"], "only what the test itself writes");
}

#[test]
fn who_only_looks_does_not_migrate() {
    on_both_sites(|site| async move {
        // What a newer program has done to it.
        done(&site, &["migrate"]);
        done(&site, &["doctor"]);
        let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')";
        site.tamper(newer).await;
        for arguments in [&["doctor"][..], &["token"], &["backup", "b.gz"], &["seed"]] {
            assert!(refused(&site, arguments).contains("newer than this program"), "{arguments:?}");
        }
    });
}

/// Makes an active connector, with an event and a ledger that does not balance where that is wanted.
async fn with_connector(site: &Site) {
    let db = Db::open(Options { connections: 1, ..Options::new(site.database_url.clone()) }).unwrap();
    let (id, now) = (Id::<ids::Connector>::new(), Clock::system().now());
    let insert = "INSERT INTO connectors (id, name, adapter, state, doc, position, version, created_at, updated_at) \
                  VALUES (?, 'ERP', 'webhook', 'active', ?, 0, 1, ?, ?)";
    let setup = kontor::db::Doc(json!({}));
    let write = db.write(move |tx| sql(insert).bind(id).bind(setup.clone()).bind(now).bind(now).execute(tx));
    write.await.unwrap();
}

async fn break_the_ledger(site: &Site) {
    let db = Db::open(Options { connections: 1, ..Options::new(site.database_url.clone()) }).unwrap();
    let (entry, order, now) = (Id::<ids::LedgerEntry>::new(), Id::<ids::Order>::new(), Clock::system().now());
    let insert = "INSERT INTO ledger_entries (id, order_id, posting, account, currency, amount, occurred_at, recorded_at) \
                  VALUES (?, ?, 'p', 'sales', 'EUR', 5, ?, ?)";
    let write = db.write(move |tx| sql(insert).bind(entry).bind(order).bind(now).bind(now).execute(tx));
    write.await.unwrap();
}

#[test]
fn a_backup_is_examined_and_a_copy_sends_nothing() {
    on_both_sites(|site| async move {
        done(&site, &["migrate"]);
        with_connector(&site).await;
        assert!(done(&site, &["backup", "sound.gz"]).contains("doctor finds nothing wrong"));
        let copy = |name: &str| Site { database_url: name.to_owned(), folder: site.folder.clone() };
        let active =
            |site: Site| async move { site.number("SELECT count(*) FROM connectors WHERE state = 'active'").await };
        let at = |name: &str| site.folder.path().join(name).display().to_string();
        let (quiet, same) = (copy(&at("quiet.db")), copy(&at("same.db")));
        assert!(done(&quiet, &["restore", "sound.gz"]).contains("1 connectors are paused"));
        assert_eq!(active(quiet).await, 0);
        done(&same, &["restore", "sound.gz", "--keep-connectors"]);
        assert_eq!(active(same).await, 1);
        // A backup of something broken is whole, and says what is broken.
        break_the_ledger(&site).await;
        let said = refused(&site, &["backup", "broken.gz"]);
        assert!(said.contains("ledger balances") && said.contains("findings"), "{said}");
        assert!(site.folder.path().join("broken.gz").is_file());
    });
}

#[test]
fn a_broken_backup_makes_no_database_that_could_be_served() {
    on_both_sites(|site| async move {
        done(&site, &["migrate"]);
        done(&site, &["backup", "whole.gz"]);
        let at = |name: &str| site.folder.path().join(name);
        let whole = std::fs::read(at("whole.gz")).unwrap();
        std::fs::write(at("short.gz"), &whole[..whole.len() / 2]).unwrap();
        std::fs::write(at("other.gz"), "no backup").unwrap();
        let target = Site { database_url: at("target.db").display().to_string(), folder: site.folder.clone() };
        for broken in ["short.gz", "other.gz", "none.gz"] {
            let said = refused(&target, &["restore", broken]);
            assert!(said.contains(broken), "{said}");
            assert!(!at("target.db").exists(), "{broken} has left a database");
        }
        done(&target, &["restore", "whole.gz"]);
    });
}

#[test]
fn a_token_can_be_limited() {
    block_on(async {
        let site = Site { database_url: "kontor.db".into(), folder: Folder::new().into() };
        done(&site, &["migrate"]);
        let (channel, location) = (Id::<ids::Channel>::new().to_string(), Id::<ids::Location>::new().to_string());
        let token = done(
            &site,
            &[
                "token",
                "--channels",
                &channel,
                "--locations",
                &location,
                "--ceiling",
                "5000",
                "--scopes",
                "orders:read",
            ],
        );
        let claims = URL_SAFE_NO_PAD.decode(token.trim().split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["channels"], json!([channel]));
        assert_eq!(claims["locations"], json!([location]));
        assert_eq!((&claims["money_ceiling"], &claims["scope"]), (&json!(5000), &json!("orders:read")));
        assert!(refused(&site, &["token", "--channels", "nonsense"]).contains("--channels"));
    });
}

#[test]
fn documents_that_nothing_stands_for_are_noticed() {
    let folder = std::sync::Arc::new(Folder::new());
    let site = Site { database_url: "kontor.db".into(), folder: folder.clone() };
    done(&site, &["openapi"]);
    done(&site, &["openapi", "--check"]);
    let left = folder.path().join("openapi/events/order.forgotten.v1.json");
    std::fs::write(&left, "{}").unwrap();
    assert!(refused(&site, &["openapi", "--check"]).contains("order.forgotten.v1"));
    done(&site, &["openapi"]);
    assert!(!left.exists());
    done(&site, &["openapi", "--check"]);
}

#[test]
fn a_worker_must_be_told_the_public_address() {
    let site = Site { database_url: "kontor.db".into(), folder: Folder::new().into() };
    let said = site.run_with(&["worker"], &[("KONTOR_HTTP_PUBLIC_URL", "")]);
    assert!(!said.status.success() && text(&said.stderr).contains("http.public_url must be set"));
    let open = site.run_with(&["serve"], &[("KONTOR_HTTP_LISTEN", "0.0.0.0:0")]);
    assert!(!open.status.success() && text(&open.stderr).contains("KONTOR_HTTP_PUBLIC_URL="));
}
