//! What is HubSpot's own: whose contact somebody is, who is erased, and what has to be made there first.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    conformance::{Double, caught_up},
    dispatches,
    hubspot_double::HubSpot,
    path, reaches,
};
use crate::support::{App, Deed, Receiver, Shop, eventually, on_both, shop::address};

/// A double that answers.
fn far() -> (Arc<HubSpot>, Receiver) {
    let double = Arc::new(HubSpot::new());
    let behind = double.clone();
    let receiver = Receiver::start(move |request, _| {
        let (status, body) = behind.answer(request);
        Deed::Say(status, body)
    });
    (double, receiver)
}

async fn connect(app: &App, double: &HubSpot, receiver: &Receiver, settings: Value) -> Value {
    let mut whole = double.settings(receiver.url.trim_end_matches("/hook"));
    whole.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let body = json!({"name": "CRM", "adapter": "hubspot", "settings": whole, "secrets": double.secrets(), "types": ["order.", "customer."]});
    app.ops("POST", "/connectors", Some(&body)).await.expect(201)
}

async fn arrived(app: &App, made: &Value) {
    caught_up(app, made).await;
    eventually("all has arrived", || async { dispatches(app, made, "pending").await.is_empty() }).await;
    let dead = dispatches(app, made, "dead").await;
    assert!(dead.is_empty(), "{dead:?}");
}

#[test]
fn who_buys_twice_is_one_contact_and_is_erased_with_their_orders() {
    on_both(|app| async move {
        let (double, receiver) = far();
        let shop = Shop::open(&app, &[("MUG", "10.00", 100)]).await;
        let made = connect(&app, &double, &receiver, json!({})).await;
        let first = shop.order(&[("MUG", 1)]).await;
        let second = shop.order(&[("MUG", 2)]).await;
        reaches(&app, &made, "delivered", 2).await;
        let contacts = double.contacts();
        assert_eq!(contacts.len(), 1, "{contacts:?}");
        assert_eq!(
            (json!(contacts[0]["email"]), contacts[0].get("kontor_customer_id")),
            (first["email"].clone(), None)
        );
        assert_eq!(double.holds().len(), 2);
        for order in [&first, &second] {
            let cancel = format!("/orders/{}/cancel", order["id"].as_str().unwrap());
            app.ops("POST", &cancel, Some(&json!({"reason": "not wanted"}))).await.expect(200);
        }
        arrived(&app, &made).await;
        let erased = app.ops("POST", "/guests/erase", Some(&json!({"email": first["email"]}))).await.expect(200);
        assert_eq!(erased["orders"], 2);
        eventually("the contact is erased", || async { double.erased() == 1 }).await;
        arrived(&app, &made).await;
        assert!(double.contacts().is_empty() && double.holds().iter().all(|held| held.cancelled));
        let street = |order: &std::collections::BTreeMap<String, String>| order["hs_shipping_address_street"].clone();
        assert!(double.orders().iter().all(|order| street(order).is_empty()), "{:?}", double.orders());
        assert_eq!(double.wrong(), Vec::<String>::new());
    });
}

#[test]
fn guests_are_no_contacts_where_nobody_wants_that() {
    on_both(|app| async move {
        let (double, receiver) = far();
        let shop = Shop::open(&app, &[("MUG", "10.00", 100)]).await;
        let made = connect(&app, &double, &receiver, json!({"guests": "none"})).await;
        let tested = app.ops("POST", &path(&made, "/test"), None).await.expect(200);
        assert_eq!(tested["ok"], true, "{tested}");
        shop.order(&[("MUG", 1)]).await;
        reaches(&app, &made, "delivered", 1).await;
        assert!(double.contacts().is_empty());
        assert_eq!((double.holds().len(), double.erased()), (1, 0));
        assert_eq!(double.wrong(), Vec::<String>::new());
    });
}

#[test]
fn an_old_order_changes_nothing_of_who_its_customer_is_by_now() {
    on_both(|app| async move {
        let (double, receiver) = far();
        let shop = Shop::open(&app, &[("MUG", "10.00", 100)]).await;
        let made = connect(&app, &double, &receiver, json!({})).await;
        let new = json!({"name": "Grace", "email": "grace@example.org"});
        let customer = app.ops("POST", "/customers", Some(&new)).await.expect(201);
        let id = customer["id"].as_str().unwrap();
        let body = json!({"channel_id": shop.channel, "customer_id": id, "lines": [{"sku": "MUG", "quantity": 1}],
            "email": "grace@example.org", "shipping_address": address(), "shipping_method": "standard"});
        let cart = app.ops("POST", "/carts", Some(&body)).await.expect(201);
        let pay = json!({"payment": {"method": "manual"}});
        let path = format!("/carts/{}/complete", cart["id"].as_str().unwrap());
        let order = app.ops("POST", &path, Some(&pay)).await.expect(201)["order"].clone();
        arrived(&app, &made).await;
        let etag = format!("/customers/{id}");
        app.ops("PATCH", &etag, Some(&json!({"email": "hopper@example.org"}))).await.expect(200);
        arrived(&app, &made).await;
        // A guest is somebody else.
        shop.order(&[("MUG", 1)]).await;
        let cancel = format!("/orders/{}/cancel", order["id"].as_str().unwrap());
        app.ops("POST", &cancel, Some(&json!({"reason": "not wanted"}))).await.expect(200);
        arrived(&app, &made).await;
        let contacts = double.contacts();
        let own: Vec<_> =
            contacts.iter().filter(|one| one.get("kontor_customer_id").is_some_and(|own| own == id)).collect();
        assert_eq!((own.len(), contacts.len()), (1, 2), "{contacts:?}");
        assert_eq!(own[0]["email"], "hopper@example.org");
        assert_eq!(double.wrong(), Vec::<String>::new());
    });
}
