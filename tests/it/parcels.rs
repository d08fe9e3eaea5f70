//! Packages: what is in them, what they are called, what leaves with them, and the manifest on which a carrier takes them over.

use futures::future::join_all;
use kontor::{http::auth::Audience, kernel::Scope};
use serde_json::{Value, json};

use crate::support::{Answer, App, Shop, on_both};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// A shop that numbers its packages, and the fulfilment order of an order.
async fn placed(app: &App, lines: &[(&str, i64)]) -> (Shop, Value) {
    let shop = Shop::open(app, &[("TEE", "19.90", 50), ("MUG", "9.90", 50)]).await;
    let found = app.ops("GET", "/locations", None).await.expect(200);
    let path = format!("/locations/{}", text(&found["items"][0]["id"]));
    app.ops("PATCH", &path, Some(&json!({"gs1_prefix": "4006381"}))).await.expect(200);
    let work = work(app, &shop, lines).await;
    (shop, work)
}

async fn work(app: &App, shop: &Shop, lines: &[(&str, i64)]) -> Value {
    let order = shop.order(lines).await;
    let path = format!("/orders/{}/fulfilment", text(&order["id"]));
    app.ops("GET", &path, None).await.expect(200)["fulfilment_orders"][0].clone()
}

async fn post(app: &App, work: &Value, what: &str, body: Value) -> Answer {
    app.ops("POST", &format!("/fulfilment-orders/{}/{what}", text(&work["id"])), Some(&body)).await
}

async fn read(app: &App, what: &str, of: &Value) -> Value {
    app.ops("GET", &format!("/{what}/{}", text(of)), None).await.expect(200)
}

fn line(line_no: i64, quantity: i64) -> Value {
    json!({"line_no": line_no, "quantity": quantity})
}

#[test]
fn what_is_in_packages_is_numbered_labelled_and_leaves_with_them() {
    on_both(|app| async move {
        let (_shop, work) = placed(&app, &[("TEE", 3), ("MUG", 2)]).await;
        let with_serial = json!({"line_no": 1, "quantity": 2, "serials": ["S-1", "S-2"], "lots": ["L7"]});
        let first = post(&app, &work, "packages", json!({"lines": [with_serial, line(2, 1)]})).await.expect(201);
        let sscc = text(&first["sscc"]).to_owned();
        assert!(sscc.len() == 18 && sscc.starts_with("04006381"), "{sscc}");
        assert_eq!(first["weight_grams"], 300);
        let counts = read(&app, "fulfilment-orders", &work["id"]).await["lines"][0].clone();
        assert_eq!((&counts["picked"], &counts["packed"]), (&json!(2), &json!(2)));
        // No more than there is; no serial number twice.
        let many = post(&app, &work, "packages", json!({"lines": [line(1, 1), line(1, 1)]})).await;
        assert_eq!(many.problem(409, "quantity_exceeded")["pointer"], "/lines/1/quantity");
        let unknown = post(&app, &work, "packages", json!({"lines": [line(7, 1)]})).await;
        assert_eq!(unknown.problem(422, "line_unknown")["pointer"], "/lines/0/line_no");
        let twice = json!({"line_no": 1, "quantity": 1, "serials": ["S-1"]});
        post(&app, &work, "packages", json!({"lines": [twice.clone()]})).await.problem(409, "duplicate");
        let rest = post(&app, &work, "packages", json!({"weight_grams": 150})).await.expect(201);
        assert_eq!((rest["lines"].as_array().unwrap().len(), &rest["weight_grams"]), (2, &json!(150)));
        assert_ne!(text(&rest["sscc"]), sscc);
        let label = read(&app, "packages", &json!(format!("{}/label", text(&first["id"])))).await;
        assert_eq!(
            (text(&label["gs1_128"]), &label["number"], &label["of"]),
            (format!("00{sscc}").as_str(), &json!(1), &json!(2))
        );
        assert_eq!(text(&label["to"]["city"]), "Berlin");
        let slip = read(&app, "packages", &json!(format!("{}/packing-slip", text(&first["id"])))).await;
        assert_eq!((text(&slip["lines"][0]["name"]), &slip["lines"][0]["quantity"]), ("The TEE", &json!(2)));
        let found = app.ops("GET", &format!("/packages?sscc={sscc}"), None).await.expect(200);
        assert_eq!(found["items"][0]["id"], first["id"]);
        // What is in a package is not cancelled, and does not leave without it.
        let cancel = json!({"lines": [line(1, 1)], "reason": "too late"});
        let path = format!("/orders/{}/cancel", text(&work["order_id"]));
        app.ops("POST", &path, Some(&cancel)).await.problem(409, "quantity_exceeded");
        post(&app, &work, "ship", json!({"lines": [line(1, 1), line(2, 1)], "packages": [first["id"]]}))
            .await
            .problem(422, "invalid_value");
        let part = post(&app, &work, "ship", json!({"lines": [line(2, 2)]})).await;
        part.problem(409, "quantity_exceeded");
        let shipped = post(&app, &work, "ship", json!({"packages": [first["id"]], "carrier": "DHL"})).await.expect(201);
        assert_eq!(
            (&shipped["packages"][0]["id"], text(&shipped["packages"][0]["sscc"])),
            (&first["id"], sscc.as_str())
        );
        assert_eq!(
            shipped["lines"],
            json!([{"line_no": 1, "sku": "TEE", "quantity": 2}, {"line_no": 2, "sku": "MUG", "quantity": 1}])
        );
        let left = read(&app, "packages", &first["id"]).await;
        assert_eq!((text(&left["state"]), &left["shipment_id"]), ("shipped", &shipped["id"]));
        app.ops("POST", &format!("/packages/{}/unpack", text(&first["id"])), Some(&json!({})))
            .await
            .problem(409, "state_conflict");
        post(&app, &work, "ship", json!({"packages": [first["id"]]})).await.problem(404, "not_found");
        // The other is opened again; then all the rest leaves at once.
        let opened =
            app.ops("POST", &format!("/packages/{}/unpack", text(&rest["id"])), Some(&json!({}))).await.expect(200);
        assert_eq!(text(&opened["state"]), "unpacked");
        let again = post(&app, &work, "packages", json!({"lines": [line(1, 1)]})).await.expect(201);
        let last = post(&app, &work, "ship", json!({})).await.expect(201);
        assert_eq!((last["packages"].as_array().unwrap().len(), &last["packages"][0]["id"]), (1, &again["id"]));
        assert_eq!(text(&read(&app, "fulfilment-orders", &work["id"]).await["state"]), "shipped");
        // Who got it: one look; and when it is back, it may go out again.
        let who = app.ops("GET", "/serials?serial=S-2&sku=TEE", None).await.expect(200);
        assert_eq!((&who["items"][0]["package"]["id"], &who["items"][0]["held"]), (&first["id"], &json!(true)));
        let back = json!({"sku": "TEE", "serial": "S-1"});
        app.ops("POST", "/serials/release", Some(&back)).await.expect(200);
        app.ops("POST", "/serials/release", Some(&back)).await.problem(404, "not_found");
    });
}

#[test]
fn a_shipment_that_is_taken_back_gives_its_packages_back() {
    on_both(|app| async move {
        let (_shop, work) = placed(&app, &[("TEE", 2)]).await;
        let package = post(&app, &work, "packages", json!({})).await.expect(201);
        let shipment = post(&app, &work, "ship", json!({"carrier": "DHL"})).await.expect(201);
        let path = format!("/shipments/{}/scans", text(&shipment["id"]));
        let lost = json!({"text": "gone", "mark": "lost"});
        app.ops("POST", &path, Some(&lost)).await.expect(200);
        let path = format!("/shipments/{}/correct", text(&shipment["id"]));
        let back = json!({"kind": "not_shipped", "reason": "still on the dock"});
        app.ops("POST", &path, Some(&back)).await.expect(200);
        assert_eq!(text(&read(&app, "packages", &package["id"]).await["state"]), "packed");
        let found = app.ops("GET", "/worklists/undelivered_parcels", None).await.expect(200);
        assert_eq!(found["items"].as_array().unwrap().len(), 0);
        let manifest = json!({"location": "berlin", "carrier": "dhl"});
        let manifest = app.ops("POST", "/manifests", Some(&manifest)).await.expect(201);
        assert_eq!(manifest["totals"]["shipments"], 0);
        post(&app, &work, "ship", json!({"packages": [package["id"]]})).await.expect(201);
        assert_eq!(text(&read(&app, "packages", &package["id"]).await["state"]), "shipped");
    });
}

#[test]
fn packing_cancelling_and_shipping_at_once_lose_and_double_nothing() {
    on_both(|app| async move {
        let (_shop, work) = placed(&app, &[("TEE", 6)]).await;
        let answers = join_all((0..12).map(|n| {
            let (app, work) = (&app, &work);
            async move {
                match n % 3 {
                    0 => post(app, work, "packages", json!({"lines": [line(1, 1)]})).await,
                    1 => post(app, work, "ship", json!({"lines": [line(1, 1)]})).await,
                    _ => {
                        let cancel = json!({"lines": [line(1, 1)], "reason": "race"});
                        app.ops("POST", &format!("/orders/{}/cancel", text(&work["order_id"])), Some(&cancel)).await
                    }
                }
            }
        }))
        .await;
        let won = |kind: usize| answers.iter().skip(kind).step_by(3).filter(|answer| answer.status < 300).count();
        for refused in answers.iter().filter(|answer| answer.status >= 300) {
            assert_eq!(refused.status, 409, "{}", refused.text);
        }
        let now = read(&app, "fulfilment-orders", &work["id"]).await["lines"][0].clone();
        let count = |field: &str| usize::try_from(now[field].as_i64().unwrap()).unwrap();
        assert_eq!((count("shipped"), count("cancelled")), (won(1), won(2)));
        let path = format!("/fulfilment-orders/{}/packages", text(&work["id"]));
        let packages = app.ops("GET", &path, None).await.expect(200);
        let packages = packages["items"].as_array().unwrap();
        assert_eq!(packages.len(), won(0));
        let waiting = packages.iter().filter(|package| package["state"] == "packed").count();
        // What is in a package stands against everything else.
        assert!(count("shipped") + count("cancelled") + waiting <= 6, "{now} {waiting}");
    });
}

#[test]
fn a_closed_manifest_is_never_changed_and_what_leaves_meanwhile_is_on_the_next() {
    on_both(|app| async move {
        let (shop, first) = placed(&app, &[("TEE", 1)]).await;
        post(&app, &first, "packages", json!({"weight_grams": 500})).await.expect(201);
        let shipped = post(&app, &first, "ship", json!({"carrier": "DHL", "tracking_number": "A1"})).await.expect(201);
        let other = work(&app, &shop, &[("MUG", 1)]).await;
        post(&app, &other, "ship", json!({"carrier": "UPS"})).await.expect(201);
        let wanted = json!({"location": "berlin", "carrier": "d h l"});
        let manifest = app.ops("POST", "/manifests", Some(&wanted)).await.expect(201);
        assert_eq!(manifest["totals"], json!({"shipments": 1, "packages": 1, "pieces": 1, "weight_grams": 500}));
        app.ops("POST", "/manifests", Some(&wanted)).await.problem(409, "duplicate");
        let path = format!("/manifests/{}", text(&manifest["id"]));
        let rows = app.ops("GET", &format!("{path}/shipments"), None).await.expect(200);
        assert_eq!((rows["items"].as_array().unwrap().len(), text(&rows["items"][0]["tracking_number"])), (1, "A1"));
        let table = app.ops("GET", &format!("{path}/shipments?format=csv"), None).await;
        assert!(table.text.contains("order_number") && table.text.contains("A1"), "{}", table.text);
        // Shipping, collecting and closing at once: nothing is lost, nothing is on two.
        let mut more = Vec::new();
        for _ in 0..4 {
            more.push(work(&app, &shop, &[("TEE", 1)]).await);
        }
        let answers = join_all((0..8).map(|n| {
            let (app, path, more) = (&app, &path, &more);
            async move {
                match n {
                    0..4 => post(app, &more[n], "ship", json!({"carrier": "DHL"})).await,
                    4 | 5 => app.ops("POST", &format!("{path}/collect"), Some(&json!({}))).await,
                    _ => app.ops("POST", &format!("{path}/close"), Some(&json!({}))).await,
                }
            }
        }))
        .await;
        assert_eq!(answers.iter().skip(6).filter(|answer| answer.status == 200).count(), 1, "{answers:?}");
        assert!(answers.iter().take(4).all(|answer| answer.status == 201), "{answers:?}");
        let closed = app.ops("GET", &path, None).await.expect(200);
        assert_eq!(text(&closed["state"]), "closed");
        app.ops("POST", &format!("{path}/collect"), Some(&json!({}))).await.problem(409, "state_conflict");
        let next = app.ops("POST", "/manifests", Some(&wanted)).await.expect(201);
        let on = |manifest: &Value| manifest["totals"]["shipments"].as_i64().unwrap();
        assert_eq!(on(&closed) + on(&next), 5);
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["totals"], closed["totals"]);
        if on(&next) == 0 {
            let path = format!("/manifests/{}/close", text(&next["id"]));
            app.ops("POST", &path, Some(&json!({}))).await.problem(409, "state_conflict");
        }
        // After the manifest, a supervisor takes it back; the list stays as it was signed.
        let correct = format!("/shipments/{}/correct", text(&shipped["id"]));
        let back = json!({"kind": "not_shipped", "reason": "fell off"});
        app.ops("POST", &correct, Some(&back)).await.expect(200);
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["totals"], closed["totals"]);
    });
}

#[test]
fn the_warehouse_of_another_location_is_not_there() {
    on_both(|app| async move {
        let (_shop, work) = placed(&app, &[("TEE", 2)]).await;
        let wave = json!({"location": "berlin"});
        let wave = app.ops("POST", "/waves", Some(&wave)).await.expect(201);
        let package =
            post(&app, &work, "packages", json!({"lines": [{"line_no": 1, "quantity": 1, "serials": ["S-9"]}]})).await;
        let package = package.expect(201);
        let hand = json!({"code": "hand", "adapter": "manual", "settings": {"carrier": "UPS"}});
        app.ops("POST", "/carrier-accounts", Some(&hand)).await.expect(201);
        let label = format!("/packages/{}/carrier-labels", text(&package["id"]));
        let label =
            app.ops("POST", &label, Some(&json!({"account": "hand", "tracking_number": "1Z"}))).await.expect(201);
        let shipment = post(&app, &work, "ship", json!({"packages": [package["id"]]})).await.expect(201);
        let lost = json!({"text": "gone", "mark": "lost"});
        app.ops("POST", &format!("/shipments/{}/scans", text(&shipment["id"])), Some(&lost)).await.expect(200);
        let manifest = json!({"location": "berlin", "carrier": "UPS"});
        let manifest = app.ops("POST", "/manifests", Some(&manifest)).await.expect(201);
        let bremen = json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin"});
        let bremen = app.ops("POST", "/locations", Some(&bremen)).await.expect(201);
        let scopes: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        let mut claims = app.claims(Audience::Staff, "picker", &scopes.join(" "));
        claims.locations = Some(vec![text(&bremen["id"]).parse().unwrap()]);
        let bearer = format!("Bearer {}", app.state.verifier.issue(claims).unwrap());
        let ask = async |method: &str, path: &str, body: Option<Value>| {
            app.send(method, &format!("/v1/ops{path}"), &[("Authorization", &bearer)], body.as_ref()).await
        };
        let (wave, package, manifest) = (text(&wave["id"]), text(&package["id"]), text(&manifest["id"]));
        let (work, shipment, label) = (text(&work["id"]), text(&shipment["id"]), text(&label["id"]));
        let piece = json!({"scanned": "TEE", "reason": "x"});
        let row = json!({"bins": [{"sku": "TEE", "location": "berlin", "bin": "x"}]});
        for (method, path, body) in [
            ("GET", format!("/waves/{wave}"), None),
            ("GET", "/waves?location=berlin".to_owned(), None),
            ("POST", "/waves".to_owned(), Some(json!({"location": "berlin"}))),
            ("POST", format!("/waves/{wave}/pick"), Some(json!({"scanned": "TEE"}))),
            ("POST", format!("/waves/{wave}/short"), Some(piece)),
            ("POST", format!("/waves/{wave}/finish"), Some(json!({}))),
            ("POST", format!("/waves/{wave}/cancel"), Some(json!({}))),
            ("POST", "/stock/bins".to_owned(), Some(row)),
            ("GET", format!("/fulfilment-orders/{work}/packages"), None),
            ("POST", format!("/fulfilment-orders/{work}/packages"), Some(json!({}))),
            ("GET", format!("/packages/{package}"), None),
            ("POST", format!("/packages/{package}/unpack"), Some(json!({}))),
            ("GET", format!("/packages/{package}/label"), None),
            ("GET", format!("/packages/{package}/packing-slip"), None),
            ("GET", format!("/packages/{package}/carrier-labels"), None),
            ("POST", format!("/packages/{package}/carrier-labels"), Some(json!({"account": "hand"}))),
            ("GET", format!("/carrier-labels/{label}"), None),
            ("POST", format!("/carrier-labels/{label}/void"), Some(json!({}))),
            ("POST", "/serials/release".to_owned(), Some(json!({"sku": "TEE", "serial": "S-9"}))),
            ("GET", format!("/shipments/{shipment}/claim"), None),
            ("POST", format!("/shipments/{shipment}/claim/settle"), Some(json!({"resolution": "refunded"}))),
            ("GET", format!("/manifests/{manifest}"), None),
            ("GET", format!("/manifests/{manifest}/shipments"), None),
            ("POST", format!("/manifests/{manifest}/collect"), Some(json!({}))),
            ("POST", format!("/manifests/{manifest}/close"), Some(json!({}))),
            ("POST", "/manifests".to_owned(), Some(json!({"location": "berlin", "carrier": "UPS"}))),
        ] {
            ask(method, &path, body).await.problem(404, "not_found");
        }
        for path in [
            "/waves",
            "/manifests",
            "/shipment-claims",
            "/serials?serial=S-9",
            "/stock/bins",
            "/worklists/undelivered_parcels",
        ] {
            let found = ask("GET", path, None).await.expect(200);
            assert_eq!(found["items"], json!([]), "{path}");
        }
        let account = json!({"code": "more", "adapter": "manual", "settings": {"carrier": "UPS"}});
        ask("POST", "/carrier-accounts", Some(account)).await.problem(403, "scope_missing");
    });
}

#[test]
fn what_is_in_a_package_is_cancelled_last() {
    on_both(|app| async move {
        let (_shop, boxed) = placed(&app, &[("TEE", 2)]).await;
        let free = post(&app, &boxed, "split", json!({"lines": [line(1, 1)]})).await.expect(200)["moved_to"][0].clone();
        let package = post(&app, &boxed, "packages", json!({})).await.expect(201);
        post(&app, &free, "pack", json!({})).await.expect(200);
        let cancel = json!({"lines": [line(1, 1)], "reason": "one less"});
        let path = format!("/orders/{}/cancel", text(&boxed["order_id"]));
        app.ops("POST", &path, Some(&cancel)).await.expect(200);
        assert_eq!(text(&read(&app, "fulfilment-orders", &free["id"]).await["state"]), "cancelled");
        app.ops("POST", &path, Some(&cancel)).await.problem(409, "quantity_exceeded");
        app.ops("POST", &format!("/packages/{}/unpack", text(&package["id"])), Some(&json!({}))).await.expect(200);
        app.ops("POST", &path, Some(&cancel)).await.expect(200);
    });
}

#[test]
fn what_is_handed_over_and_what_is_taken_back_are_never_the_same_parcel() {
    on_both(|app| async move {
        let (shop, mut next) = placed(&app, &[("TEE", 1)]).await;
        for _ in 0..5 {
            let clerk = app.token(Audience::Staff, "clerk", &[Scope::FulfilmentRead, Scope::FulfilmentWrite]);
            let clerk = format!("Bearer {clerk}");
            let shipment = post(&app, &next, "ship", json!({"carrier": "DHL"})).await.expect(201);
            let manifest = json!({"location": "berlin", "carrier": "DHL"});
            let manifest = app.ops("POST", "/manifests", Some(&manifest)).await.expect(201);
            assert_eq!(manifest["totals"]["shipments"], 1);
            let path = format!("/manifests/{}/close", text(&manifest["id"]));
            let correct = format!("/v1/ops/shipments/{}/correct", text(&shipment["id"]));
            let (nothing, back) = (json!({}), json!({"kind": "not_shipped", "reason": "still here"}));
            let signed_in = [("Authorization", clerk.as_str())];
            let (closed, taken) = futures::join!(
                app.ops("POST", &path, Some(&nothing)),
                app.send("POST", &correct, &signed_in, Some(&back))
            );
            let both = (closed.status, taken.status);
            assert!(matches!(both, (200, 403) | (409, 200)), "{} {}", closed.text, taken.text);
            if both.0 == 409 {
                app.clock.advance_seconds(86_400);
            }
            next = work(&app, &shop, &[("TEE", 1)]).await;
        }
    });
}
