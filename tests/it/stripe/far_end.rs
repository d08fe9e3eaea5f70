//! A far end that does as Stripe's: it knows what may be asked (`contract.json`), keeps idempotency keys, and loses answers on demand.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{Deed, Received, Receiver};

/// What notifications are signed with.
pub const HUSH: &str = "whsec_hush";

#[derive(Default)]
pub struct Memory {
    /// PaymentIntents by their ids.
    pub intents: BTreeMap<String, Value>,
    pub refunds: Vec<Value>,
    /// What has changed the merchant's balance.
    pub movements: Vec<Value>,
    /// How many of the latest of these it does not tell yet.
    pub untold: usize,
    /// What was answered under a key: what was asked, the status, the answer.
    keys: BTreeMap<String, (String, u16, Value)>,
    /// What was asked that Stripe does not know.
    pub wrong: Vec<String>,
    /// How many answers are lost, after what was asked is done.
    pub lost: usize,
    /// Whether cards take more than one capture.
    pub one_capture: bool,
    /// Whether keys are forgotten.
    pub forgets_keys: bool,
}

#[derive(Clone)]
pub struct FarEnd {
    pub receiver: Receiver,
    pub memory: Arc<Mutex<Memory>>,
}

type Form = BTreeMap<String, String>;

impl FarEnd {
    pub fn start() -> Self {
        let memory: Arc<Mutex<Memory>> = Arc::default();
        let kept = memory.clone();
        let receiver = Receiver::start(move |request, _| {
            let mut memory = kept.lock().unwrap();
            let (status, answer) = memory.answer(request);
            if memory.lost > 0 && request.head.starts_with("POST") {
                memory.lost -= 1;
                return Deed::HangUp;
            }
            Deed::Say(status, answer.to_string())
        });
        Self { receiver, memory }
    }

    /// The one PaymentIntent that there is.
    pub fn intent(&self) -> Value {
        let memory = self.memory.lock().unwrap();
        assert_eq!(memory.intents.len(), 1, "{:?}", memory.intents);
        memory.intents.values().next().unwrap().clone()
    }

    /// The customer fills the form in, or comes back from the bank.
    pub fn customer_pays(&self) {
        let mut memory = self.memory.lock().unwrap();
        let intent = memory.intents.values_mut().next().unwrap();
        intent["status"] = json!("requires_capture");
        intent["amount_capturable"] = intent["amount"].clone();
    }

    /// Nothing was asked that Stripe does not know.
    pub fn was_asked_rightly(&self) {
        assert_eq!(self.memory.lock().unwrap().wrong, Vec::<String>::new());
    }
}

/// The header of a notification.
pub fn signature(seconds: i64, body: &str, secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{seconds}.{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

/// An event.
pub fn event(id: &str, kind: &str, object: &Value) -> Value {
    json!({"id": id, "object": "event", "type": kind, "api_version": "2026-10-28.endive", "livemode": false, "data": {"object": object}})
}

fn problem(kind: &str, code: &str) -> Value {
    json!({"error": {"type": kind, "code": code, "message": code}})
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap()
}

impl Memory {
    fn answer(&mut self, request: &Received) -> (u16, Value) {
        let mut head = request.head.split(' ');
        let (method, target) = (head.next().unwrap().to_owned(), head.next().unwrap().to_owned());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let path = path.trim_start_matches("/hook").to_owned();
        let text = if method == "GET" { query } else { &request.body };
        let form: Form = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        self.check(&method, &path, &form, request);
        if method == "GET" {
            return self.told(&path, &form);
        }
        let key = request.header("idempotency-key").to_owned();
        let asked = format!("{path} {form:?}");
        if let Some((before, status, answer)) = self.keys.get(&key).filter(|_| !self.forgets_keys) {
            return match *before == asked {
                true => (*status, answer.clone()),
                false => (400, problem("idempotency_error", "idempotency_key_in_use")),
            };
        }
        let (status, answer) = self.done(&path, &form);
        self.keys.insert(key, (asked, status, answer.clone()));
        (status, answer)
    }

    /// Notes what Stripe would not have understood.
    fn check(&mut self, method: &str, path: &str, form: &Form, request: &Received) {
        let contract: Value = serde_json::from_str(include_str!("contract.json")).unwrap();
        let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        let name = match parts.as_slice() {
            [things, "search"] => format!("{method} /v1/{things}/search"),
            [things, _] => format!("{method} /v1/{things}/{{id}}"),
            [things, _, deed] => format!("{method} /v1/{things}/{{id}}/{deed}"),
            _ => format!("{method} {path}"),
        };
        let Some(known) = contract["requests"][&name].as_array() else {
            return self.wrong.push(format!("nobody answers {name}"));
        };
        for (field, value) in form {
            let plain = match field.strip_prefix("metadata[") {
                Some(_) => "metadata[]",
                None => field.as_str(),
            };
            if !known.iter().any(|one| one == plain) {
                self.wrong.push(format!("{name} takes no {field}"));
            }
            let words = contract["values"][field].as_array();
            if words.is_some_and(|words| !words.iter().any(|word| word == value)) {
                self.wrong.push(format!("{field} is never {value}"));
            }
            let inner = field.strip_prefix("metadata[").map(|rest| rest.trim_end_matches(']'));
            if inner.is_some_and(|inner| inner.len() > 40 || value.len() > 500) {
                self.wrong.push(format!("{field} is too long"));
            }
        }
        if request.header("stripe-version") != contract["version"]
            || request.header("authorization") != "Bearer sk_test_1"
        {
            self.wrong.push(format!("{name}: version or key"));
        }
        let key = request.header("idempotency-key").len();
        if method == "POST" && (key == 0 || key > 255) {
            self.wrong.push(format!("{name}: a key of {key} characters"));
        }
    }

    fn told(&self, path: &str, form: &Form) -> (u16, Value) {
        if path == "/v1/refunds" {
            let of = |refund: &&Value| refund["payment_intent"] == form["payment_intent"];
            return (200, json!({"object": "list", "data": self.refunds.iter().filter(of).collect::<Vec<_>>()}));
        }
        if path == "/v1/balance_transactions" {
            let of = |one: &&Value| one["source"] == form["source"];
            let told = self.movements.len().saturating_sub(self.untold);
            let data: Vec<&Value> = self.movements.iter().take(told).filter(of).collect();
            return (200, json!({"object": "list", "data": data}));
        }
        if path == "/v1/payment_intents/search" {
            let of = |intent: &&Value| {
                let key = intent["metadata"]["kontor_key"].as_str().unwrap();
                form["query"] == format!("metadata['kontor_key']:'{key}'")
            };
            return (
                200,
                json!({"object": "search_result", "data": self.intents.values().filter(of).collect::<Vec<_>>()}),
            );
        }
        match self.intents.get(path.rsplit('/').next().unwrap()) {
            Some(intent) => (200, self.with_charge(intent)),
            None => (404, problem("invalid_request_error", "resource_missing")),
        }
    }

    fn with_charge(&self, intent: &Value) -> Value {
        let mut intent = intent.clone();
        let multicapture = if self.one_capture { "unavailable" } else { "available" };
        let card = json!({"capture_before": 4_000_000_000_i64, "multicapture": {"status": multicapture}});
        let charge = format!("ch_{}", intent["id"].as_str().unwrap());
        intent["latest_charge"] = json!({"id": charge, "payment_method_details": {"type": "card", "card": card}});
        intent
    }

    fn done(&mut self, path: &str, form: &Form) -> (u16, Value) {
        let parts: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        match parts.as_slice() {
            ["payment_intents"] => self.made(form),
            ["refunds"] => self.refunded(form),
            ["payment_intents", id, "confirm"] => self.confirmed(id),
            ["payment_intents", id, "capture"] => self.captured(id, form),
            ["payment_intents", id, "cancel"] => self.cancelled(id),
            _ => (404, problem("invalid_request_error", "resource_missing")),
        }
    }

    fn made(&mut self, form: &Form) -> (u16, Value) {
        let id = format!("pi_{}", self.intents.len() + 1);
        let status =
            if form.contains_key("payment_method") { "requires_confirmation" } else { "requires_payment_method" };
        let metadata: BTreeMap<&str, &str> = form
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("metadata[")?.strip_suffix(']')?, value.as_str())))
            .collect();
        let intent = json!({
            "id": id, "object": "payment_intent", "status": status, "client_secret": format!("{id}_secret"),
            "amount": form["amount"].parse::<i64>().unwrap(), "amount_capturable": 0, "amount_received": 0, "currency": form["currency"],
            "metadata": metadata, "payment_method": form.get("payment_method"), "next_action": null, "latest_charge": null,
        });
        self.intents.insert(id, intent.clone());
        (200, intent)
    }

    fn confirmed(&mut self, id: &str) -> (u16, Value) {
        let Some(intent) = self.intents.get_mut(id) else {
            return (404, problem("invalid_request_error", "resource_missing"));
        };
        if intent["status"] != "requires_confirmation" {
            return (400, problem("invalid_request_error", "payment_intent_unexpected_state"));
        }
        match intent["payment_method"].as_str().unwrap() {
            "pm_card_chargeDeclined" => {
                let trouble = json!({"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds", "message": "no"});
                intent["status"] = json!("requires_payment_method");
                intent["last_payment_error"] = trouble.clone();
                (402, json!({"error": trouble}))
            }
            "pm_card_authenticationRequired" => {
                intent["status"] = json!("requires_action");
                intent["next_action"] = json!({"type": "redirect_to_url", "redirect_to_url": {"url": "https://bank.example/3ds", "return_url": null}});
                (200, intent.clone())
            }
            _ => {
                intent["status"] = json!("requires_capture");
                intent["amount_capturable"] = intent["amount"].clone();
                (200, intent.clone())
            }
        }
    }

    fn captured(&mut self, id: &str, form: &Form) -> (u16, Value) {
        let one_capture = self.one_capture;
        let intent = self.intents.get_mut(id).unwrap();
        let amount: i64 = form["amount_to_capture"].parse().unwrap();
        if intent["status"] != "requires_capture" || amount > number(&intent["amount_capturable"]) {
            return (400, problem("invalid_request_error", "payment_intent_unexpected_state"));
        }
        if one_capture && form.contains_key("final_capture") {
            return (400, problem("invalid_request_error", "parameter_unknown"));
        }
        let received = number(&intent["amount_received"]) + amount;
        intent["amount_received"] = json!(received);
        let ends = one_capture || form.get("final_capture").is_none_or(|ends| ends == "true");
        let left = if ends { 0 } else { number(&intent["amount"]) - received };
        intent["amount_capturable"] = json!(left);
        intent["status"] = json!(if left == 0 { "succeeded" } else { "requires_capture" });
        for (name, value) in form {
            if let Some(name) = name.strip_prefix("metadata[") {
                intent["metadata"][name.trim_end_matches(']')] = json!(value);
            }
        }
        self.movements.push(json!({
            "id": format!("txn_{}", self.movements.len() + 1), "object": "balance_transaction", "type": "charge", "amount": amount,
            "fee": amount * 15 / 1_000 + 25, "currency": intent["currency"], "source": format!("ch_{id}"), "created": 1_800_000_000,
        }));
        (200, intent.clone())
    }

    fn cancelled(&mut self, id: &str) -> (u16, Value) {
        let intent = self.intents.get_mut(id).unwrap();
        if matches!(intent["status"].as_str().unwrap(), "succeeded" | "canceled") {
            return (400, problem("invalid_request_error", "payment_intent_unexpected_state"));
        }
        let taken = number(&intent["amount_received"]) > 0;
        intent["status"] = json!(if taken { "succeeded" } else { "canceled" });
        intent["amount_capturable"] = json!(0);
        (200, intent.clone())
    }

    fn refunded(&mut self, form: &Form) -> (u16, Value) {
        let amount: i64 = form["amount"].parse().unwrap();
        let of = |refund: &&Value| refund["payment_intent"] == form["payment_intent"];
        let before: i64 = self.refunds.iter().filter(of).map(|refund| number(&refund["amount"])).sum();
        if before + amount > number(&self.intents[&form["payment_intent"]]["amount_received"]) {
            return (400, problem("invalid_request_error", "charge_already_refunded"));
        }
        let refund = json!({
            "id": format!("re_{}", self.refunds.len() + 1), "object": "refund", "status": "succeeded", "amount": amount,
            "payment_intent": form["payment_intent"], "metadata": {"kontor_key": form["metadata[kontor_key]"]},
        });
        self.refunds.push(refund.clone());
        (200, refund)
    }
}
