//! A day in a warehouse, from the first lorry to the last count. Read it to see how the parts go together.

use serde_json::{Value, json};

use crate::support::{App, Shop, eventually, on_both};

/// The handling unit on the morning's lorry: one box of tea for one customer.
const BOX: &str = "106141412345678915";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// Berlin with its shelves and its dock, and Bremen, which helps out.
struct Day {
    app: App,
    shop: Shop,
    dock: String,
}

impl Day {
    async fn begin(app: App) -> Self {
        let shop = Shop::open(&app, &[("TEE", "19.90", 0), ("MUG", "9.90", 5), ("HAT", "29.90", 3)]).await;
        let found = app.ops("GET", "/variants?sku=TEE", None).await.expect(200);
        let tea = format!("/variants/{}", text(&found["items"][0]["id"]));
        app.ops("PATCH", &tea, Some(&json!({"backorder_policy": "allow"}))).await.expect(200);
        let dock = text(&app.ops("GET", "/locations", None).await.expect(200)["items"][0]["id"]);
        let prefix = json!({"gs1_prefix": "4012345"});
        app.ops("PATCH", &format!("/locations/{dock}"), Some(&prefix)).await.expect(200);
        app.ops("PATCH", &format!("/docks/{dock}"), Some(&json!({"lead_minutes": 30}))).await.expect(200);
        let day = Self { app, shop, dock };
        let bremen =
            json!({"code": "bremen", "name": "Bremen", "country": "DE", "time_zone": "Europe/Berlin", "priority": 200});
        day.post("/locations", bremen, 201).await;
        day.post(
            "/stock/adjustments",
            json!({"lines": [{"sku": "MUG", "location": "bremen", "change": 4, "reason": "opening"}]}),
            200,
        )
        .await;
        let bin = |sku: &str, bin: &str| json!({"sku": sku, "location": "berlin", "zone": "A", "bin": bin});
        day.post("/stock/bins", json!({"bins": [bin("MUG", "A-02"), bin("HAT", "A-01"), bin("TEE", "A-03")]}), 200)
            .await;
        day
    }

    async fn post(&self, path: &str, body: Value, status: u16) -> Value {
        self.app.ops("POST", path, Some(&body)).await.expect(status)
    }

    async fn get(&self, path: &str) -> Value {
        self.app.ops("GET", path, None).await.expect(200)
    }

    /// What is to be shipped of an order, place by place.
    async fn work(&self, order: &Value) -> Vec<Value> {
        let found = self.get(&format!("/orders/{}/fulfilment", text(&order["id"]))).await;
        found["fulfilment_orders"].as_array().unwrap().clone()
    }

    async fn level(&self, sku: &str, location: &str) -> (i64, i64) {
        let levels = self.get(&format!("/stock/levels?sku={sku}&location={location}")).await;
        let figure = |name: &str| levels["items"][0][name].as_i64().unwrap_or_default();
        (figure("on_hand"), figure("allocated"))
    }

    /// Does what the dock has to do, each by the scan that it asks for.
    async fn work_off_the_dock(&self) -> usize {
        let mut done = 0;
        // What can only be done after something else is done in a later round.
        for _ in 0..4 {
            let tasks = self.get(&format!("/docks/{}/tasks", self.dock)).await;
            for task in tasks["items"].as_array().unwrap() {
                let scan =
                    if task["sscc"].is_string() && task["kind"] != "put_away" { &task["sscc"] } else { &task["sku"] };
                let path = format!("/dock-tasks/{}/done", text(&task["id"]));
                let answer = self.app.ops("POST", &path, Some(&json!({"scan": scan}))).await;
                done += usize::from(answer.status == 200);
                assert!(matches!(answer.status, 200 | 409), "{}", answer.text);
            }
        }
        done
    }
}

#[test]
fn a_day_in_a_warehouse() {
    on_both(|app| async move {
        let day = Day::begin(app).await;
        let (app, shop) = (&day.app, &day.shop);

        // Overnight three customers have ordered. The tea of the first is still on the road.
        let tea = shop.order(&[("TEE", 2)]).await;
        let hats = shop.order(&[("HAT", 1), ("MUG", 2)]).await;
        let mugs = shop.order(&[("MUG", 3)]).await;
        assert_eq!(day.level("TEE", "berlin").await, (0, 2));

        // 7:00. The lorry is announced: one box for the customer who waits, three loose pieces for the shelf.
        let lorry = json!({"location": "berlin", "expected_at": app.now().plus_seconds(3600), "reference": "DN-7", "lines": [
            {"sku": "TEE", "quantity": 2, "sscc": BOX}, {"sku": "TEE", "quantity": 3}]});
        let lorry = text(&day.post("/inbound-shipments", lorry, 201).await["id"]);
        app.ops("POST", &format!("/docks/{}/plan", day.dock), None).await.expect(200);
        let planned = day.get(&format!("/docks/{}/matches", day.dock)).await;
        assert_eq!((&planned["items"][0]["way"], &planned["items"][0]["quantity"]), (&json!("direct"), &json!(2)));

        // 8:00. It is there. The box goes over the dock unopened, the rest is put away.
        app.clock.advance_seconds(3600);
        app.ops("POST", &format!("/inbound-shipments/{lorry}/arrive"), None).await.expect(200);
        day.post(&format!("/inbound-shipments/{lorry}/receive"), json!({}), 200).await;
        assert!(day.work_off_the_dock().await >= 2);
        assert_eq!(day.level("TEE", "berlin").await, (5, 2));
        assert_eq!(day.work(&tea).await[0]["state"], "packed");
        // It is a package of the order from now on, and keeps its number; nobody has to put it into another.
        let box_of_tea = day.get(&format!("/packages?sscc={BOX}")).await["items"][0].clone();
        assert_eq!((&box_of_tea["order_id"], &box_of_tea["lines"][0]["quantity"]), (&tea["id"], &json!(2)));
        let label = day.get(&format!("/packages/{}/label", text(&box_of_tea["id"]))).await;
        assert_eq!(label["gs1_128"], format!("00{BOX}"));

        // 9:00. A wave for what lies on the shelves, sorted by the way that people walk.
        let others: Vec<Value> =
            [day.work(&hats).await, day.work(&mugs).await].concat().iter().map(|one| one["id"].clone()).collect();
        let wave = day.post("/waves", json!({"location": "berlin", "fulfilment_orders": others}), 201).await;
        let walk: Vec<_> = wave["pick_list"]["lines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|stop| (text(&stop["bin"]), stop["quantity"].as_i64().unwrap()))
            .collect();
        assert_eq!(walk, [("A-01".to_owned(), 1), ("A-02".to_owned(), 5)]);
        let wave = format!("/waves/{}", text(&wave["id"]));
        day.post(&format!("{wave}/pick"), json!({"scanned": "HAT"}), 200).await;
        day.post(&format!("{wave}/pick"), json!({"scanned": "MUG", "quantity": 4}), 200).await;
        // The fifth mug is in pieces: the shelf's figure follows, and Bremen ships one instead.
        let short = json!({"scanned": "MUG", "quantity": 1, "reason": "broken", "adjust_level": true, "replan": true});
        let short = day.post(&format!("{wave}/short"), short, 200).await;
        assert_eq!(short["wave"]["state"], "done");
        eventually("Bremen has work", || async { day.level("MUG", "bremen").await == (4, 1) }).await;
        let parts = day.work(&mugs).await;
        let (berlin, bremen): (Vec<_>, Vec<_>) = parts
            .iter()
            .filter(|one| one["state"] != "cancelled")
            .partition(|one| one["location_id"] == day.dock.as_str());
        assert_eq!((berlin.len(), bremen.len()), (1, 1), "{parts:?}");
        assert_eq!((day.level("MUG", "berlin").await, day.level("MUG", "bremen").await), ((4, 4), (4, 1)));

        // 11:00. Packed into packages with a serial shipping container code each, handed over, and on the carrier's list.
        let mut parcels = Vec::new();
        for work in [&day.work(&hats).await[0], berlin[0]] {
            let path = format!("/fulfilment-orders/{}", text(&work["id"]));
            let package = day.post(&format!("{path}/packages"), json!({"weight_grams": 800}), 201).await;
            assert_eq!(text(&package["sscc"]).len(), 18, "{package}");
            parcels.push(
                day.post(&format!("{path}/ship"), json!({"carrier": "DHL", "tracking_number": package["sscc"]}), 201)
                    .await,
            );
        }
        let rest =
            [&day.work(&tea).await[0], bremen[0]].map(|work| format!("/fulfilment-orders/{}/ship", text(&work["id"])));
        for path in &rest {
            parcels.push(day.post(path, json!({"carrier": "DHL"}), 201).await);
        }
        assert_eq!(parcels[2]["packages"], json!([{"id": box_of_tea["id"], "sscc": BOX, "weight_grams": 200}]));
        let list = day.post("/manifests", json!({"location": "berlin", "carrier": "DHL"}), 201).await;
        let list = format!("/manifests/{}", text(&list["id"]));
        let closed = app.ops("POST", &format!("{list}/close"), None).await.expect(200);
        assert_eq!(closed["state"], "closed");
        assert_eq!(day.get(&format!("{list}/shipments")).await["items"].as_array().unwrap().len(), 3);

        // In the evening the carrier tells of them, in an order of its own, and of one thing twice.
        let left = app.now();
        app.clock.advance_seconds(7200);
        for parcel in &parcels {
            let path = format!("/shipments/{}", text(&parcel["id"]));
            for (mark, after) in
                [("delivered", 7200), ("in_transit", 60), ("out_for_delivery", 3600), ("in_transit", 60)]
            {
                let scan = json!({"text": mark, "at": left.plus_seconds(after), "mark": mark});
                day.post(&format!("{path}/scans"), scan, 200).await;
            }
            assert_eq!(day.get(&path).await["state"], "delivered");
        }
        eventually("the money is taken", || async {
            let mut states = Vec::new();
            for order in [&tea, &hats, &mugs] {
                states.push(day.get(&format!("/orders/{}", text(&order["id"]))).await["payment_state"].clone());
            }
            states.iter().all(|state| state == "captured")
        })
        .await;
        for order in [&tea, &hats, &mugs] {
            let order = day.get(&format!("/orders/{}", text(&order["id"]))).await;
            assert_eq!((&order["fulfilment_state"], &order["state"]), (&json!("delivered"), &json!("completed")));
        }

        // Before they go home they count the mugs. Nothing is there, and nothing should be.
        let count = json!({"location": "berlin", "skus": ["MUG", "HAT", "TEE"]});
        let count = format!("/stock-counts/{}", text(&day.post("/stock-counts", count, 201).await["id"]));
        let lines = json!({"lines": [{"sku": "MUG", "counted": 0}, {"sku": "HAT", "counted": 2}, {"sku": "TEE", "counted": 3}]});
        assert_eq!(day.post(&format!("{count}/results"), lines, 200).await["state"], "counted");
        app.ops("POST", &format!("{count}/approve"), None).await.expect(200);
        let at_night = [("MUG", "berlin"), ("HAT", "berlin"), ("TEE", "berlin"), ("MUG", "bremen")];
        for ((sku, place), left) in at_night.into_iter().zip([0, 2, 3, 3]) {
            assert_eq!(day.level(sku, place).await, (left, 0), "{sku} at {place}");
        }
    });
}
