//! Several processes on one PostgreSQL database: servers without jobs, and workers that come and go.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use futures::future::join_all;
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::Value;

use crate::support::{App, Program, Shop, Site, eventually, on_postgres_site};

/// Two servers and what is seen through each.
struct Two {
    site: Site,
    servers: [Program; 2],
    shops: [Shop; 2],
}

impl Two {
    async fn start(site: Site, goods: &[(&str, &str, i64)]) -> Self {
        // With the usual lease: a loaded machine may take longer than a second over one transaction.
        let start = || site.serve(&[("KONTOR_JOBS_IN_SERVE", "false"), ("KONTOR_CHECKOUT_LEASE_SECONDS", "30")]);
        let servers = [start(), start()];
        let first = Shop::open(&site.app(&servers[0]).await, goods).await;
        let second = Shop { app: site.app(&servers[1]).await, ..first.clone() };
        // The second hears of the channel a moment later.
        eventually("the second server knows the channel", || async {
            second.store("GET", "/config", None, None).await.status == 200
        })
        .await;
        eventually("and its prices", || async {
            second.cart(&[("TEE", 1)]).await.body["problems"].as_array().unwrap().is_empty()
        })
        .await;
        Self { site, servers, shops: [first, second] }
    }

    async fn end(self, orders: i64) {
        self.site.until("SELECT count(*) FROM carts WHERE state = 'completing'", 0).await;
        self.site.until("SELECT count(*) FROM jobs WHERE state <> 'ready' OR attempt > 0", 0).await;
        assert_eq!(self.site.number("SELECT count(*) FROM orders").await, orders);
        for server in self.servers {
            server.kill();
        }
        self.site.doctor().await;
    }
}

/// Reads the orders' feed through both servers by turns until it is told that all is written, then to its end.
async fn poller(shops: [Shop; 2], done: Arc<AtomicBool>) -> Vec<Value> {
    let (mut seen, mut after) = (Vec::new(), "oldest".to_owned());
    for turn in 0.. {
        let app: &App = &shops[turn % 2].app;
        let last = done.load(SeqCst);
        let token = format!("Bearer {}", app.token(Audience::Client, "erp", &[Scope::FeedsRead]));
        let path = format!("/v1/integration/feeds/orders?limit=7&after={after}");
        let page = app.send("GET", &path, &[("Authorization", &token)], None).await.expect(200);
        let items = page["items"].as_array().unwrap();
        if last && items.is_empty() {
            break;
        }
        page["next_cursor"].as_str().unwrap().clone_into(&mut after);
        seen.extend(items.iter().cloned());
    }
    seen
}

#[test]
fn two_servers_sell_each_piece_and_each_cart_once_and_a_reader_misses_nothing() {
    on_postgres_site(|site| async move {
        let two = Two::start(site, &[("TEE", "19.90", 1000), ("LAST", "9.00", 10)]).await;
        let worker = two.site.work(&[]);
        let done = Arc::new(AtomicBool::new(false));
        let reader = tokio::spawn(poller(two.shops.clone(), done.clone()));
        // Each cart is completed through both at once, some of them three times.
        let each = (0..40).map(|n| {
            let shops = two.shops.clone();
            async move {
                let cart = shops[n % 2].cart(&[("TEE", 1)]).await;
                let instrument = if n % 3 == 0 { "approve_recorded" } else { "approve" };
                let calls = (0..2 + n % 2).map(|call| shops[call % 2].complete(&cart, instrument));
                let answers = join_all(calls).await;
                let ids = answers.into_iter().map(|answer| answer.expect(201)["order"]["id"].to_string());
                ids.collect::<HashSet<String>>()
            }
        });
        let scarce = (0..24).map(|n| {
            let shop = two.shops[n % 2].clone();
            async move {
                let cart = shop.cart(&[("LAST", 1)]).await;
                let answer = shop.complete(&cart, "approve").await;
                assert!(matches!(answer.status, 201 | 409 | 422), "{}", answer.text);
                answer.status == 201
            }
        });
        let (each, sold) = tokio::join!(join_all(each), join_all(scarce));
        assert!(each.iter().all(|ids| ids.len() == 1), "a cart became several orders: {each:?}");
        let sold = sold.into_iter().filter(|sold| *sold).count();
        assert_eq!(sold, 10, "24 wanted the ten");
        let orders = 40 + i64::try_from(sold).unwrap();
        assert_eq!(two.site.number("SELECT count(DISTINCT number) FROM orders").await, orders);
        two.site.until("SELECT count(*) FROM events WHERE position IS NULL", 0).await;
        done.store(true, SeqCst);
        let seen = reader.await.unwrap();
        let ids: HashSet<&str> = seen.iter().map(|event| event["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), seen.len(), "an event came twice");
        assert!(seen.is_sorted_by(|a, b| a["position"].as_i64() < b["position"].as_i64()));
        let mut streams: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for event in &seen {
            streams.entry(event["stream"].as_str().unwrap()).or_default().push(event["type"].as_str().unwrap());
        }
        assert_eq!(i64::try_from(streams.len()).unwrap(), orders, "each order is told of");
        for (stream, types) in streams {
            assert_eq!(types, ["order.placed.v1", "payment.authorised.v1", "fulfilment_order.opened.v1"], "{stream}");
        }
        worker.kill();
        two.end(orders).await;
    });
}

#[test]
fn a_killed_workers_job_is_taken_over() {
    on_postgres_site(|site| async move {
        let two = Two::start(site, &[("TEE", "19.90", 3)]).await;
        let cart = two.shops[0].cart(&[("TEE", 1)]).await;
        let away = two.shops[0].complete(&cart, "redirect").await.expect(202);
        let key = away["action"]["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        two.shops[1].app.ops("POST", &format!("/sandbox/payments/{key}/approve"), None).await.expect(202);
        // The first worker sends the notification to somebody who never answers.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let nowhere = format!("http://{}", silent.local_addr().unwrap());
        let lease = ("KONTOR_JOBS_LEASE_SECONDS", "2");
        let worker = two.site.work(&[("KONTOR_HTTP_PUBLIC_URL", &nowhere), lease]);
        two.site.until("SELECT count(*) FROM jobs WHERE kind = 'sandbox.webhook' AND state = 'leased'", 1).await;
        worker.kill();
        let second = two.site.work(&[("KONTOR_HTTP_PUBLIC_URL", &two.servers[0].url), lease]);
        two.site.until("SELECT count(*) FROM orders", 1).await;
        let order = two.shops[1].complete(&cart, "redirect").await.expect(201);
        assert_eq!(order["order"]["payment_state"], "authorised");
        second.terminate();
        let mut second = second;
        assert!(second.ended().await.success());
        two.end(1).await;
    });
}

#[test]
fn a_channels_key_that_is_revoked_through_one_server_is_refused_by_the_other() {
    on_postgres_site(|site| async move {
        let two = Two::start(site, &[("TEE", "19.90", 10)]).await;
        let [first, second] = &two.shops;
        let keys = format!("/channels/{}/keys", first.channel);
        let another = first.app.ops("POST", &keys, None).await.expect(201)["key"].as_str().unwrap().to_owned();
        let through = |key: &str| Shop { key: key.to_owned(), ..second.clone() };
        let (old, new) = (through(&first.key), through(&another));
        eventually("the second server takes the new key", || async {
            new.store("GET", "/config", None, None).await.status == 200
        })
        .await;
        first.app.ops("DELETE", &format!("{keys}/{}", first.key), None).await.expect(204);
        first.store("GET", "/config", None, None).await.problem(401, "channel_key_invalid");
        eventually("the second server refuses the old key", || async {
            old.store("GET", "/config", None, None).await.status == 401
        })
        .await;
        new.store("GET", "/config", None, None).await.expect(200);
        two.end(0).await;
    });
}
