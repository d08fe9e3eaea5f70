//! What the examples about goods need to be there: work in the warehouse, what is on its way to it, prices and promotions.

use kontor::jobs::Runner;
use serde_json::{Value, json};

use super::{Demo, Ready, text};
use crate::support::world::Route;

impl Demo {
    /// An order that a supplier is to ship.
    pub(super) async fn for_supplier(&self) -> Ready {
        let known = self.ops("GET", "/locations", Value::Null).await;
        if !known["items"].as_array().unwrap().iter().any(|place| place["code"] == "mill") {
            let place = json!({"code": "mill", "name": "Mill", "country": "DE", "time_zone": "Europe/Berlin", "priority": 900,
                "kind": "supplier"});
            self.ops("POST", "/locations", place).await;
        }
        let order = self.order("sandbox").await;
        let lines = order["lines"].as_array().unwrap().iter();
        let lines =
            lines.map(|line| json!({"sku": line["sku"], "location": "mill", "change": 9, "reason": "their list"}));
        self.ops("POST", "/stock/adjustments", json!({ "lines": lines.collect::<Vec<_>>() })).await;
        let path = format!("/fulfilment-orders/{}/move", self.fulfilment(&order).await);
        let moved = self.ops("POST", &path, json!({"location": "mill"})).await;
        Ready { ids: [("supplier-orders", text(&moved["moved_to"][0]["id"]))].into(), ..Ready::default() }
    }

    pub(super) async fn for_work(&self, route: &Route) -> Ready {
        let command = route.path.rsplit('/').next().unwrap();
        let asked = matches!(command, "accept" | "decline");
        let places = self.ops("GET", "/locations", Value::Null).await;
        let places: Vec<String> = places["items"].as_array().unwrap().iter().map(|one| text(&one["id"])).collect();
        let minutes = async |minutes: Value| {
            for id in places.iter().filter(|_| asked) {
                self.ops("PATCH", &format!("/locations/{id}"), json!({ "accept_minutes": minutes.clone() })).await;
            }
        };
        minutes(json!(60)).await;
        let order = self.order("sandbox").await;
        minutes(Value::Null).await;
        let fulfilment = self.fulfilment(&order).await;
        let before = |command: &str, body: Value| {
            let path = format!("/fulfilment-orders/{fulfilment}/{command}");
            async move { self.ops("POST", &path, body).await }
        };
        let mut ready = Ready { ids: [("fulfilment-orders", fulfilment.clone())].into(), ..Ready::default() };
        match command {
            "release" => drop(before("hold", self.example("POST", "/v1/ops/fulfilment-orders/{id}/hold")).await),
            "answer-cancel" => drop(before("request-cancel", json!({"reason": "ordered twice"})).await),
            "unpick" | "unpack" => drop(before("pack", json!({})).await),
            "collect" => {
                let comes = self.example("POST", "/v1/ops/orders/{ref}/redirect");
                drop(self.ops("POST", &format!("/orders/{}/redirect", text(&order["id"])), comes).await);
            }
            "merge" => {
                let split = self.example("POST", "/v1/ops/fulfilment-orders/{id}/split");
                let part = before("split", split).await["moved_to"][0]["id"].clone();
                ready.filled = Some(json!({ "with": [part] }));
            }
            "move" => {
                let place = self.example("POST", "/v1/ops/fulfilment-orders/{id}/move")["location"].clone();
                let goods = order["lines"].as_array().unwrap().iter();
                let goods: Vec<Value> = goods
                    .map(|line| json!({"sku": line["sku"], "location": place, "change": 9, "reason": "for it"}))
                    .collect();
                self.ops("POST", "/stock/adjustments", json!({ "lines": goods })).await;
            }
            _ => {}
        }
        ready
    }

    /// An order whose process has a step that takes the decision.
    pub(super) async fn for_process(&self, route: &Route) -> Ready {
        let order = self.order("sandbox").await;
        let fulfilment = self.fulfilment(&order).await;
        let hold = |kind: &str| {
            let (path, body) = (format!("/fulfilment-orders/{fulfilment}/hold"), json!({"kind": kind, "reason": "x"}));
            async move { drop(self.ops("POST", &path, body).await) }
        };
        let filled = match route.path.rsplit('/').next().unwrap() {
            "retry" => {
                hold("stock").await;
                Some(json!({"step": "source", "subject": fulfilment.clone(), "reason": "they have come"}))
            }
            "skip" => {
                hold("fraud").await;
                Some(json!({"step": "hold", "subject": fulfilment.clone(), "reason": "it is none"}))
            }
            _ => None,
        };
        Ready { ids: [("processes", text(&order["id"]))].into(), filled, ..Ready::default() }
    }

    /// A promotion of its own.
    pub(super) async fn for_promotion(&self, route: &Route) -> Ready {
        let mut new = self.example("POST", "/v1/ops/promotions");
        new["code"] = json!(format!("for {}", route.path));
        let id = text(&self.ops("POST", "/promotions", new).await["id"]);
        Ready { ids: [("promotions", id)].into(), ..Ready::default() }
    }

    /// A price rule of its own, which is active.
    pub(super) async fn price_rule(&self, name: &str) -> String {
        let mut new = self.example("POST", "/v1/ops/price-rules");
        new["code"] = json!(name);
        let id = text(&self.ops("POST", "/price-rules", new).await["id"]);
        self.ops("POST", &format!("/price-rules/{id}/activate"), Value::Null).await;
        id
    }

    /// What a price rule proposes for what is a month old.
    pub(super) async fn for_proposal(&self, route: &Route) -> Ready {
        let id = self.price_rule(&format!("for {}", route.path)).await;
        let old = json!({"signal": {"type": "age"}, "tiers": [{"change": "-10"}]});
        self.ops("PATCH", &format!("/price-rules/{id}"), old).await;
        self.ops("POST", &format!("/price-rules/{id}/run"), Value::Null).await;
        let mut runner = Runner::new(self.app.state.db.clone(), self.app.clock.clone(), 1, 60);
        kontor::repricing::work(&self.app.state, &mut runner);
        runner.drain().await.unwrap();
        let waits = self.ops("GET", &format!("/price-proposals?rule_id={id}&state=open"), Value::Null).await;
        Ready { filled: Some(json!({"ids": [waits["items"][0]["id"]]})), ..Ready::default() }
    }

    /// An order to a supplier, who has it.
    pub(super) async fn for_purchase(&self, route: &Route) -> Ready {
        let mut new = self.example("POST", "/v1/ops/purchase-orders");
        new["number"] = json!(route.path);
        let id = text(&self.ops("POST", "/purchase-orders", new).await["id"]);
        self.ops("POST", &format!("/purchase-orders/{id}/order"), Value::Null).await;
        Ready { ids: [("purchase-orders", id)].into(), ..Ready::default() }
    }

    /// A shipment of loose goods that is expected.
    pub(super) async fn inbound(&self) -> String {
        let mut new = self.example("POST", "/v1/ops/inbound-shipments");
        for line in new["lines"].as_array_mut().unwrap() {
            line.as_object_mut().unwrap().remove("sscc");
        }
        text(&self.ops("POST", "/inbound-shipments", new).await["id"])
    }

    /// Goods that wait at a dock to be put away.
    pub(super) async fn for_task(&self) -> Ready {
        let locations = self.ops("GET", "/locations", Value::Null).await;
        let mut all = locations["items"].as_array().unwrap().iter();
        let dock = text(&all.find(|one| one["code"] == "demo-berlin").unwrap()["id"]);
        self.ops("PATCH", &format!("/docks/{dock}"), self.example("PATCH", "/v1/ops/docks/{id}")).await;
        self.ops("POST", &format!("/inbound-shipments/{}/receive", self.inbound().await), json!({})).await;
        let tasks = self.ops("GET", &format!("/docks/{dock}/tasks"), Value::Null).await;
        let task = tasks["items"].as_array().unwrap().iter().find(|one| one["kind"] == "put_away").unwrap();
        Ready { ids: [("dock-tasks", text(&task["id"]))].into(), ..Ready::default() }
    }

    /// A transfer: a draft where it is to be shipped or cancelled, under way otherwise.
    pub(super) async fn for_transfer(&self, route: &Route) -> Ready {
        let new = self.example("POST", "/v1/ops/transfers");
        let id = text(&self.ops("POST", "/transfers", new).await["id"]);
        if !route.path.ends_with("/ship") && !route.path.ends_with("/cancel") {
            self.ops("POST", &format!("/transfers/{id}/ship"), json!({})).await;
        }
        if route.path.ends_with("/correct") {
            self.ops("POST", &format!("/transfers/{id}/receive"), json!({})).await;
        }
        Ready { ids: [("transfers", id)].into(), ..Ready::default() }
    }
}
