//! Stories of an Odoo beside what every far end has to go through: what comes back from it, whose its sales are, and what people are told.
//! Each is told over both protocols.

use std::sync::Arc;

use kontor::connectors::pull_all;
use serde_json::{Value, json};

use super::{
    conformance::{Double, caught_up},
    dispatches,
    odoo_double::{Odoo, Server},
    path, reaches,
};
use crate::support::{App, Deed, Receiver, Shop, eventually, on_both};

/// An Odoo that can be reached.
struct Place {
    odoo: Arc<Odoo>,
    receiver: Receiver,
}

impl Place {
    fn new(modern: bool) -> Self {
        let odoo = Arc::new(Odoo::new(modern));
        let behind = odoo.clone();
        let receiver = Receiver::start(move |request, _| {
            let (status, body) = behind.answer(request);
            Deed::Say(status, body)
        });
        Self { odoo, receiver }
    }

    fn settings(&self, more: Value) -> Value {
        let mut settings = self.odoo.settings(self.receiver.url.trim_end_matches("/hook"));
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings
    }

    async fn connect(&self, app: &App, types: &[&str], settings: Value) -> Value {
        let body = json!({"name": "Odoo", "adapter": "odoo", "types": types, "settings": self.settings(settings),
            "secrets": self.odoo.secrets(), "max_attempts": 50});
        app.ops("POST", "/connectors", Some(&body)).await.expect(201)
    }

    fn at<T>(&self, doing: impl FnOnce(&mut Server) -> T) -> T {
        doing(&mut self.odoo.server.lock().unwrap())
    }
}

/// A story with an Odoo of each kind, on both databases.
fn over_both<F: Future<Output = ()>>(story: impl Fn(App, Shop, Place) -> F) {
    for modern in [false, true] {
        let story = &story;
        on_both(move |app| async move {
            let shop = Shop::open(&app, &[("TEE-M", "19.99", 100), ("MUG", "7.77", 100)]).await;
            story(app, shop, Place::new(modern)).await;
        });
    }
}

/// What Odoo calls now.
fn now(app: &App) -> String {
    app.now().to_string()[..19].replace('T', " ")
}

async fn settled(app: &App, made: &Value) {
    caught_up(app, made).await;
    eventually("all has arrived", || async {
        dispatches(app, made, "pending").await.is_empty() && app.count("SELECT count(*) FROM jobs").await == 0
    })
    .await;
}

/// Somebody has looked after what was refused.
async fn skip_dead(app: &App, made: &Value) {
    for dead in dispatches(app, made, "dead").await {
        let place = path(made, &format!("/dispatches/{}/skip", dead["id"].as_str().unwrap()));
        app.ops("POST", &place, Some(&json!({"reason": "looked after"}))).await.expect(200);
    }
}

async fn links(app: &App, made: &Value, query: &str) -> Vec<Value> {
    let found = app.ops("GET", &path(made, &format!("/links?{query}")), None).await.expect(200);
    found["items"].as_array().unwrap().clone()
}

#[test]
fn what_odoo_ships_and_invoices_comes_back_once() {
    over_both(|app, shop, place| async move {
        let made = place.connect(&app, &["order.", "shipment."], json!({})).await;
        pull_all(&app.state).await.unwrap();
        let order = shop.order(&[("TEE-M", 2), ("MUG", 1)]).await;
        let other = shop.order(&[("MUG", 1)]).await;
        reaches(&app, &made, "delivered", 2).await;
        let sale = place.at(|server| server.sale(&order));
        assert_eq!(
            (&sale["state"], sale["amount_total"].to_string()),
            (&json!("sale"), "52.65".to_owned()),
            "{sale:?}"
        );
        assert_eq!(order["total"]["amount"], "52.65");
        let linked = links(&app, &made, &format!("kind=sale&object_id={}", order["id"].as_str().unwrap())).await;
        assert_eq!((linked.len(), &linked[0]["number"]), (1, &sale["name"]), "{linked:?}");

        let carrier = Some(("DHL", "00340434161094000001"));
        let invoice = place.at(|server| {
            server.now = now(&app);
            server.ship(&order, carrier);
            server.invoice(&order)
        });
        for _ in 0..2 {
            pull_all(&app.state).await.unwrap();
        }
        settled(&app, &made).await;
        let number = order["number"].as_str().unwrap();
        let seen = app.ops("GET", &format!("/orders/{number}"), None).await.expect(200);
        assert_eq!(seen["fulfilment_state"], "shipped", "{seen}");
        let refs = seen["external_refs"].as_array().unwrap();
        assert!(refs.iter().any(|known| known["value"] == *invoice), "{refs:?}");
        assert_eq!(app.count("SELECT count(*) FROM shipments").await, 1);
        let untouched = format!("/orders/{}", other["number"].as_str().unwrap());
        assert_eq!(app.ops("GET", &untouched, None).await.expect(200)["fulfilment_state"], "unfulfilled");
    });
}

#[test]
fn an_order_that_odoo_has_shipped_or_invoiced_is_not_cancelled_there_and_somebody_is_told() {
    over_both(|app, shop, place| async move {
        let made = place.connect(&app, &["order."], json!({})).await;
        app.ops("PATCH", &path(&made, ""), Some(&json!({"direction": "out"}))).await.expect(200);
        let (shipped, invoiced) = (shop.order(&[("MUG", 1)]).await, shop.order(&[("MUG", 1)]).await);
        reaches(&app, &made, "delivered", 2).await;
        place.at(|server| {
            server.ship(&shipped, None);
            server.invoice(&invoiced);
        });
        for order in [&shipped, &invoiced] {
            let cancel = format!("/orders/{}/cancel", order["number"].as_str().unwrap());
            app.ops("POST", &cancel, Some(&json!({"reason": "too late"}))).await.expect(200);
        }
        reaches(&app, &made, "dead", 2).await;
        let errors: Vec<String> = dispatches(&app, &made, "dead")
            .await
            .iter()
            .map(|dead| dead["error"].as_str().unwrap().to_owned())
            .collect();
        assert!(errors.iter().any(|error| error.contains("has left")), "{errors:?}");
        assert!(errors.iter().any(|error| error.contains("has posted the invoice INV/2026/")), "{errors:?}");
        for order in [&shipped, &invoiced] {
            assert_eq!(place.at(|server| server.sale(order))["state"], "sale");
        }
        skip_dead(&app, &made).await;
    });
}

#[test]
fn a_sale_that_comes_to_something_else_is_written_anew_once_the_mapping_is_mended() {
    over_both(|app, shop, place| async move {
        let made = place.connect(&app, &["order."], json!({"rounding_product": "ROUNDING"})).await;
        let taxes = async |name: &str| {
            let mapping = json!({"tables": {"taxes": {"0.19 included": name}}});
            app.ops("PUT", &path(&made, "/mapping"), Some(&mapping)).await.expect(200);
        };
        taxes("19% false").await;
        let order = shop.order(&[("MUG", 1)]).await;
        reaches(&app, &made, "dead", 1).await;
        let dead = dispatches(&app, &made, "dead").await.remove(0);
        assert!(dead["error"].as_str().unwrap().starts_with("total_mismatch: the order costs 12.67"), "{dead}");
        assert_eq!(place.at(|server| server.sale(&order))["state"], "draft");
        taxes("19% true").await;
        let replay = path(&made, &format!("/dispatches/{}/replay", dead["id"].as_str().unwrap()));
        app.ops("POST", &replay, None).await.expect(200);
        reaches(&app, &made, "delivered", 1).await;
        let sale = place.at(|server| server.sale(&order));
        assert_eq!((&sale["state"], &sale["amount_total"]), (&json!("sale"), &json!(12.67)));
        assert_eq!(place.at(|server| server.records("sale.order.line").len()), 2);
    });
}

#[test]
fn sales_that_are_there_already_are_linked_and_several_are_doubtful() {
    over_both(|app, shop, place| async move {
        let made = place.connect(&app, &["order."], json!({})).await;
        app.ops("PATCH", &path(&made, ""), Some(&json!({"state": "paused"}))).await.expect(200);
        let (one, two) = (shop.order(&[("MUG", 1)]).await, shop.order(&[("MUG", 1)]).await);
        place.at(|server| {
            let sale = |order: &Value, state: &str| {
                json!({"name": "S1", "state": state, "origin": order["id"], "client_order_ref": order["number"], "currency_id": 103,
                    "order_line": [], "invoice_ids": [], "locked": false, "amount_total": 0.0})
            };
            server.put("sale.order", sale(&one, "cancel"));
            server.put("sale.order", sale(&one, "sale"));
            server.put("sale.order", sale(&two, "sale"));
            server.put("sale.order", sale(&two, "sale"));
        });
        app.ops("PATCH", &path(&made, ""), Some(&json!({"state": "active"}))).await.expect(200);
        reaches(&app, &made, "delivered", 2).await;
        assert_eq!(place.at(|server| server.records("sale.order").len()), 4);
        assert_eq!(place.at(|server| server.effects.clone()), Default::default());
        let of = |order: &Value| format!("kind=sale&object_id={}", order["id"].as_str().unwrap());
        let first = links(&app, &made, &of(&one)).await;
        assert!(first.len() == 1 && first[0]["doubtful"] != true, "{first:?}");
        let doubtful = links(&app, &made, "doubtful=true").await;
        assert!(!doubtful.is_empty() && doubtful.iter().all(|link| link["object_id"] == two["id"]), "{doubtful:?}");
    });
}

#[test]
fn guests_are_partners_of_their_own_known_by_their_address_or_all_one() {
    for (guests, wanted) in [("new", "new"), ("by_email", "old"), ("collective", "all")] {
        over_both(|app, shop, place| async move {
            let (old, all) = place.at(|server| {
                let mut partner = |name: &str, reference: Value, email: Value| {
                    server.put(
                        "res.partner",
                        json!({"name": name, "ref": reference, "email": email, "email_normalized": email, "active": true}),
                    )
                };
                let old = partner("Ada at work", json!(false), json!("ada@example.org"));
                partner("Of another order", json!("order_1"), json!("ada@example.org"));
                (old, partner("Guests", json!("WEB-GUESTS"), json!(false)))
            });
            let settings = json!({"guests": guests, "guest_partner": "WEB-GUESTS"});
            let made = place.connect(&app, &["order."], settings).await;
            let order = shop.order(&[("MUG", 1)]).await;
            let again = shop.order(&[("MUG", 1)]).await;
            reaches(&app, &made, "delivered", 2).await;
            let (first, second) = place.at(|server| (server.sale(&order), server.sale(&again)));
            let partners = place.at(|server| server.records("res.partner"));
            let of = |sale: &serde_json::Map<String, Value>, field: &str| {
                let id = sale[field].as_i64().unwrap();
                partners.iter().find(|partner| partner["id"] == id).unwrap().clone()
            };
            match wanted {
                "new" => {
                    let own = of(&first, "partner_id");
                    assert_eq!((&own["ref"], &own["name"]), (&order["id"], &json!("Ada Lovelace")));
                    assert_ne!(first["partner_id"], second["partner_id"]);
                }
                "old" => assert_eq!((&first["partner_id"], &second["partner_id"]), (&json!(old), &json!(old))),
                _ => assert_eq!((&first["partner_id"], &second["partner_id"]), (&json!(all), &json!(all))),
            }
            // Goods and invoices go where they were ordered to, and each guest's address is found again by what it belongs to.
            for field in ["partner_shipping_id", "partner_invoice_id"] {
                let address = of(&first, field);
                assert_eq!((&address["street"], &address["ref"]), (&json!("Invalidenstr. 117"), &order["id"]));
            }
        });
    }
}

#[test]
fn customers_are_partners_and_those_of_before_are_not_touched() {
    over_both(|app, _, place| async move {
        let before = place.at(|server| {
            server.put("res.partner", json!({"name": "Grace", "email": "grace@example.org", "email_normalized": "grace@example.org", "active": true}))
        });
        let made = place.connect(&app, &["customer."], json!({})).await;
        let customer = async |name: &str, email: &str| {
            let made = app.ops("POST", "/customers", Some(&json!({"name": name, "email": email}))).await.expect(201);
            made["id"].as_str().unwrap().to_owned()
        };
        let (ada, grace) = (customer("Ada", "Ada@example.org").await, customer("Grace H.", "grace@example.org").await);
        reaches(&app, &made, "delivered", 2).await;
        let with = |reference: &str| {
            let all = place.at(|server| server.records("res.partner"));
            all.into_iter().find(|partner| partner.get("ref") == Some(&json!(reference)))
        };
        assert_eq!(with(&ada).unwrap()["name"], "Ada");
        assert_eq!(with(&grace), None);
        let linked = links(&app, &made, &format!("object_id={grace}")).await;
        assert_eq!(linked[0]["value"], before.to_string());

        for id in [&ada, &grace] {
            let path = format!("/customers/{id}");
            app.ops("PATCH", &path, Some(&json!({"name": "Somebody else"}))).await.expect(200);
        }
        reaches(&app, &made, "delivered", 4).await;
        assert_eq!(with(&ada).unwrap()["name"], "Somebody else");
        let of_before = |server: &mut Server| server.records("res.partner").into_iter().find(|one| one["id"] == before);
        assert_eq!(place.at(of_before).unwrap()["name"], "Grace");

        for id in [&ada, &grace] {
            app.ops("POST", &format!("/customers/{id}/erase"), None).await.expect(200);
        }
        reaches(&app, &made, "dead", 1).await;
        reaches(&app, &made, "delivered", 5).await;
        let erased = with(&ada).unwrap();
        assert_eq!(
            (&erased["name"], &erased["email"], &erased["active"]),
            (&json!("Erased"), &json!(false), &json!(false))
        );
        let dead = dispatches(&app, &made, "dead").await.remove(0);
        assert!(dead["error"].as_str().unwrap().contains("was in Odoo before"), "{dead}");
        skip_dead(&app, &made).await;
    });
}

#[test]
fn what_is_set_up_wrongly_is_told_with_what_to_do() {
    over_both(|app, shop, place| async move {
        let made = place.connect(&app, &["order."], json!({})).await;
        let tested = async || app.ops("POST", &path(&made, "/test"), None).await.expect(200);
        let told = tested().await;
        assert_eq!(told["ok"], true, "{told}");
        place.at(|server| server.forbidden = Some("account.move"));
        let told = tested().await;
        assert!(
            told["error"].as_str().unwrap().starts_with("`account.move` can not be read: Odoo's user may not do this"),
            "{told}"
        );
        place.at(|server| server.forbidden = None);

        let changed = async |change: Value| {
            app.ops("PATCH", &path(&made, ""), Some(&change)).await.expect(200);
            tested().await["error"].as_str().unwrap().to_owned()
        };
        let wrong = changed(json!({"settings": place.settings(json!({"shipping_product": "POST"}))})).await;
        assert!(wrong.contains("Odoo has 0 products with the internal reference `POST`"), "{wrong}");
        let wrong = changed(json!({"settings": place.settings(json!({"database": "nobodys"}))})).await;
        assert!(wrong.contains("`database`"), "{wrong}");
        let other = match place.settings(json!({}))["protocol"] == "json_2" {
            true => json!({"protocol": "json_rpc", "user": "kontor@example.com"}),
            false => json!({"protocol": "json_2"}),
        };
        let wrong = changed(json!({"settings": place.settings(other)})).await;
        assert!(wrong.contains("set `protocol` to"), "{wrong}");
        let secrets = json!({"api_key": "11111111111111111111"});
        let wrong = changed(json!({"settings": place.settings(json!({})), "secrets": secrets})).await;
        assert!(wrong.contains("make a new API key"), "{wrong}");
        let right = json!({"secrets": place.odoo.secrets()});
        app.ops("PATCH", &path(&made, ""), Some(&right)).await.expect(200);
        assert_eq!(tested().await["ok"], true);

        // What is not there is a dead letter that names it, and nothing is made of the rest.
        shop.add("NEW", "1.00", 5).await;
        shop.order(&[("NEW", 1), ("MUG", 1)]).await;
        reaches(&app, &made, "dead", 1).await;
        let dead = dispatches(&app, &made, "dead").await.remove(0);
        let error = dead["error"].as_str().unwrap();
        assert!(error.contains("Odoo has no `product.product` with [[\"default_code\",\"=\",\"NEW\"]]"), "{error}");
        assert!(place.at(|server| server.records("sale.order")).is_empty());
        skip_dead(&app, &made).await;
    });
}
