//! A real Tryton server: orders become sales there, and what it ships and invoices comes back.
//!
//! `tests/it/connectors/tryton/prepare.sh FOLDER` installs one; `KONTOR_TEST_TRYTON=FOLDER` tells where. Without it these tests
//! are left out, which they say; with `KONTOR_REQUIRE_TRYTON=1` they fail instead.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use kontor::connectors::pull_all;
use serde_json::{Value, json};

use super::{
    conformance::caught_up,
    dispatches, path, reaches,
    resync::{begin, ended, items},
};
use crate::support::{App, Folder, Shop, eventually, on_both, within};

const PASSWORD: &str = "a-password-for-tests";

/// Where Tryton is installed, if it is.
fn installed() -> Option<PathBuf> {
    let folder =
        std::env::var_os("KONTOR_TEST_TRYTON").map(PathBuf::from).filter(|folder| folder.join("ready").exists());
    if folder.is_none() {
        assert!(
            std::env::var_os("KONTOR_REQUIRE_TRYTON").is_none(),
            "KONTOR_TEST_TRYTON names no Tryton that is ready"
        );
        println!("left out: KONTOR_TEST_TRYTON names no Tryton (tests/it/connectors/tryton/prepare.sh installs one)");
    }
    folder
}

/// A running server with a database of its own.
struct Server {
    installed: PathBuf,
    folder: Folder,
    port: u16,
    child: Child,
    client: reqwest::Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Server {
    async fn start(installed: &Path) -> Self {
        let folder = Folder::new();
        std::fs::copy(installed.join("shop.sqlite"), folder.path().join("shop.sqlite")).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let conf = format!(
            "[database]\nuri = sqlite://\npath = {}\n[web]\nlisten = 127.0.0.1:{port}\n",
            folder.path().display()
        );
        std::fs::write(folder.path().join("trytond.conf"), conf).unwrap();
        let child = Self::spawn(installed, folder.path());
        let server = Self { installed: installed.into(), folder, port, child, client: reqwest::Client::new() };
        server.wait().await;
        server
    }

    fn spawn(installed: &Path, folder: &Path) -> Child {
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let mut command = Command::new(installed.join("venv/bin/trytond"));
        command.arg("-c").arg(folder.join("trytond.conf")).args(["-d", "shop"]).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    async fn wait(&self) {
        within(90, "Tryton answers", || async { self.session().await.is_some() }).await;
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends the server at once.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn revive(&mut self) {
        self.child = Self::spawn(&self.installed, self.folder.path());
        self.wait().await;
    }

    /// What the files of its database hold, of a server that does not run.
    fn database(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let own = files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("shop.sqlite"));
        own.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }

    /// Puts the files of a database in the place of those there are.
    fn restore(&self, backup: &[(PathBuf, Vec<u8>)]) {
        self.database().iter().for_each(|(path, _)| std::fs::remove_file(path).unwrap());
        backup.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    }

    async fn post(&self, method: &str, params: Value, session: Option<&str>) -> Option<Value> {
        let mut request = self.client.post(format!("{}/shop/rpc/", self.url()));
        if let Some(session) = session {
            request = request.header("authorization", format!("Session {session}"));
        }
        let body = json!({"id": 1, "method": method, "params": params}).to_string();
        let answer = request.header("content-type", "application/json").body(body).send().await.ok()?;
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }

    async fn session(&self) -> Option<String> {
        let opened = self.post("common.db.login", json!(["admin", {"password": PASSWORD}, "en"]), None).await?;
        let (id, word) = (opened["result"][0].as_i64()?, opened["result"][1].as_str()?);
        Some(STANDARD.encode(format!("admin:{id}:{word}")))
    }

    /// What somebody at the ERP does.
    async fn call(&self, method: &str, mut params: Value) -> Value {
        let session = self.session().await.unwrap();
        params.as_array_mut().unwrap().push(json!({"company": 1, "_skip_warnings": true}));
        let answer = self.post(method, params, Some(&session)).await.unwrap();
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    async fn find(&self, model: &str, domain: Value, fields: Value) -> Vec<Value> {
        let found = self.call(&format!("model.{model}.search_read"), json!([domain, 0, null, null, fields])).await;
        found.as_array().unwrap().clone()
    }

    async fn sales(&self, order: &Value) -> Vec<Value> {
        let fields =
            json!(["number", "state", "total_amount", "shipments", "invoices", "shipment_state", "lines", "party"]);
        self.find("sale.sale", json!([["reference", "=", order["number"]]]), fields).await
    }

    /// The warehouse picks, packs and sends what is to be sent of a sale.
    async fn ship(&self, sale: &Value) {
        for step in ["assign_try", "pick", "pack", "do"] {
            self.call(&format!("model.stock.shipment.out.{step}"), json!([sale["shipments"]])).await;
        }
    }
}

async fn connect(app: &App, server: &Server) -> Value {
    let body = json!({
        "name": "Tryton", "adapter": "tryton", "types": ["order.", "shipment.", "customer."], "max_attempts": 50,
        "settings": {"url": server.url(), "database": "shop", "user": "admin", "payment_term": "At once"},
        "secrets": {"password": PASSWORD},
        // A Tryton on SQLite gives two parties that are made at once the same number.
        "sending": {"max_parallel": 1, "breaker": {"failures": 2, "first_seconds": 30, "longest_seconds": 30}}
    });
    app.ops("POST", "/connectors", Some(&body)).await.expect(201)
}

async fn settled(app: &App, made: &Value) {
    caught_up(app, made).await;
    eventually("all has arrived", || async {
        let dead = dispatches(app, made, "dead").await;
        assert!(dead.is_empty(), "{dead:?}");
        dispatches(app, made, "pending").await.is_empty() && app.count("SELECT count(*) FROM jobs").await == 0
    })
    .await;
}

/// A story with a Tryton, on both databases; left out where none is installed.
fn with_tryton<F: Future<Output = ()>>(story: impl Fn(App, Shop, Server) -> F) {
    let Some(installed) = installed() else { return };
    on_both(|app| {
        let (installed, story) = (&installed, &story);
        async move {
            let shop = Shop::open(&app, &[("TEE-M", "19.99", 100), ("MUG", "7.77", 100)]).await;
            let server = Server::start(installed).await;
            story(app, shop, server).await;
        }
    });
}

#[test]
fn an_order_is_sold_shipped_and_invoiced_in_tryton_and_what_happens_there_comes_back() {
    with_tryton(|app, shop, server| async move {
        let made = connect(&app, &server).await;
        let tested = app.ops("POST", &path(&made, "/test"), None).await.expect(200);
        assert_eq!(tested["ok"], true, "{tested}");
        let order = shop.order(&[("TEE-M", 3), ("MUG", 1)]).await;
        settled(&app, &made).await;
        let sales = server.sales(&order).await;
        assert_eq!((sales.len(), sales[0]["state"].as_str()), (1, Some("processing")), "{sales:?}");
        assert_eq!(sales[0]["total_amount"]["decimal"], order["total"]["amount"]);
        assert_eq!(sales[0]["lines"].as_array().unwrap().len(), 3);
        let links = app
            .ops("GET", &path(&made, &format!("/links?kind=sale&object_id={}", order["id"].as_str().unwrap())), None)
            .await;
        let links = links.expect(200);
        assert_eq!(
            (&links["items"][0]["kind"], &links["items"][0]["number"]),
            (&json!("sale"), &sales[0]["number"]),
            "{links}"
        );

        // The warehouse sends it, and the books invoice it.
        server.ship(&sales[0]).await;
        server.call("model.sale.sale.process", json!([[sales[0]["id"]]])).await;
        let invoices = server.sales(&order).await[0]["invoices"].clone();
        server.call("model.account.invoice.post", json!([invoices])).await;
        for _ in 0..2 {
            pull_all(&app.state).await.unwrap();
        }
        settled(&app, &made).await;
        let number = order["number"].as_str().unwrap();
        let now = app.ops("GET", &format!("/orders/{number}"), None).await.expect(200);
        assert_eq!(now["fulfilment_state"], "shipped", "{now}");
        let posted =
            server.find("account.invoice", json!([["id", "in", invoices]]), json!(["number", "total_amount"])).await;
        let refs = now["external_refs"].as_array().unwrap();
        assert!(refs.iter().any(|known| known["value"] == posted[0]["number"]), "{refs:?}");
        // What Tryton has told is not told to it again, and each document is booked once.
        assert_eq!(app.count("SELECT count(*) FROM shipments").await, 1);
        let kinds: Vec<_> = dispatches(&app, &made, "delivered").await.iter().map(|one| one["type"].clone()).collect();
        assert!(!kinds.contains(&json!("shipment.shipped.v1")), "{kinds:?}");
    });
}

#[test]
fn an_order_that_is_cancelled_is_not_shipped_by_tryton() {
    with_tryton(|app, shop, server| async move {
        let made = connect(&app, &server).await;
        let order = shop.order(&[("TEE-M", 1)]).await;
        settled(&app, &made).await;
        let number = order["number"].as_str().unwrap();
        app.ops("POST", &format!("/orders/{number}/cancel"), Some(&json!({"reason": "a mistake"}))).await.expect(200);
        settled(&app, &made).await;
        let sale = server.sales(&order).await.remove(0);
        let shipments =
            server.find("stock.shipment.out", json!([["id", "in", sale["shipments"]]]), json!(["state"])).await;
        assert!(shipments.iter().all(|shipment| shipment["state"] == "cancelled"), "{shipments:?}");
        assert_eq!((&sale["state"], &sale["shipment_state"]), (&json!("done"), &json!("none")));
    });
}

#[test]
fn a_tryton_that_is_killed_and_one_that_went_back_to_a_backup_have_each_order_once() {
    with_tryton(|app, shop, mut server| async move {
        let made = connect(&app, &server).await;
        let early = shop.order(&[("TEE-M", 1)]).await;
        settled(&app, &made).await;
        server.kill();
        let backup = server.database();
        let late = [shop.order(&[("MUG", 1)]).await, shop.order(&[("MUG", 2)]).await];
        eventually("the breaker is open", || async {
            app.ops("GET", &path(&made, ""), None).await.expect(200)["breaker_state"] == "open"
        })
        .await;
        server.revive().await;
        app.clock.advance_seconds(31);
        reaches(&app, &made, "delivered", 3).await;
        for order in late.iter().chain([&early]) {
            assert_eq!(server.sales(order).await.len(), 1);
        }

        // A bad night: what came after the backup is gone, and is sent again. What is there still is not made twice.
        server.kill();
        server.restore(&backup);
        server.revive().await;
        assert_eq!(server.sales(&late[0]).await.len(), 0);
        app.ops("POST", &path(&made, "/replay"), Some(&json!({"from": 1}))).await.expect(202);
        settled(&app, &made).await;
        for order in late.iter().chain([&early]) {
            let sales = server.sales(order).await;
            assert_eq!((sales.len(), &sales[0]["state"]), (1, &json!("processing")), "{sales:?}");
        }
    });
}

#[test]
fn what_a_tryton_has_lost_in_three_hours_is_found_missing_and_sent_again_once() {
    with_tryton(|app, shop, mut server| async move {
        let made = connect(&app, &server).await;
        // Two at once: a Tryton on SQLite gives two parties that are made at once the same number.
        let parallel = json!({"sending": {"max_parallel": 4, "breaker": {"failures": 2, "first_seconds": 30, "longest_seconds": 30}}});
        app.ops("PATCH", &path(&made, ""), Some(&parallel)).await.expect(200);
        let early = shop.order(&[("TEE-M", 1)]).await;
        settled(&app, &made).await;
        server.kill();
        let backup = server.database();
        server.revive().await;
        app.clock.advance_seconds(3600);
        let late =
            [shop.order(&[("MUG", 1)]).await, shop.order(&[("MUG", 2)]).await, shop.order(&[("TEE-M", 1)]).await];
        within(120, "all has arrived", || async {
            caught_up(&app, &made).await;
            if super::conformance::nothing_moves(&app).await {
                app.clock.advance_seconds(31);
            }
            dispatches(&app, &made, "delivered").await.len() == 4
        })
        .await;
        for order in &late {
            assert_eq!(server.sales(order).await.len(), 1);
        }
        app.clock.advance_seconds(7200);

        server.kill();
        server.restore(&backup);
        server.revive().await;
        // One that is placed now gets the numbers of what was lost.
        let new = shop.order(&[("TEE-M", 1)]).await;
        within(60, "the new one has arrived", || async {
            if super::conformance::nothing_moves(&app).await {
                app.clock.advance_seconds(31);
            }
            dispatches(&app, &made, "delivered").await.len() == 5
        })
        .await;
        let run = begin(&app, &made, "verify").await;
        let told = ended(&app, &made, &run).await;
        assert_eq!(told["counts"], json!({"present": 2, "missing": 3}), "{told}");
        let body = json!({"from": crate::support::app::START});
        let compared = app.ops("POST", &path(&made, "/reconcile"), Some(&body)).await.expect(202);
        let told = ended(&app, &made, &compared).await;
        assert_eq!(
            told["counts"],
            json!({"same": 2, "missing_there": 3}),
            "{told} {:?}",
            items(&app, &made, &compared).await
        );

        let run = begin(&app, &made, "missing").await;
        within(180, "the run ends", || async {
            if super::conformance::nothing_moves(&app).await {
                app.clock.advance_seconds(31);
            }
            super::resync::shown(&app, &made, &run).await["state"] != "running"
        })
        .await;
        let told = super::resync::shown(&app, &made, &run).await;
        assert_eq!(told["counts"], json!({"present": 2, "sent": 3}), "{told} {:?}", items(&app, &made, &run).await);
        for order in late.iter().chain([&early, &new]) {
            let sales = server.sales(order).await;
            assert_eq!((sales.len(), &sales[0]["state"]), (1, &json!("processing")), "{sales:?}");
            assert_eq!(sales[0]["total_amount"]["decimal"], order["total"]["amount"]);
        }
        assert!(dispatches(&app, &made, "dead").await.is_empty());
        let compared = app.ops("POST", &path(&made, "/reconcile"), Some(&body)).await.expect(202);
        let told = ended(&app, &made, &compared).await;
        assert_eq!(told["counts"], json!({"same": 5}), "{told} {:?}", items(&app, &made, &compared).await);
    });
}
