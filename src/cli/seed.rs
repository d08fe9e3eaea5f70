//! `kontor seed` and `kontor serve --demo`: a small shop to try things on, made through the public API but for the ids that the
//! documents' examples name.

use serde_json::{Value, json};

use super::token;
use crate::{
    channels,
    error::{Error, Result},
    http::{State, auth::Audience},
    kernel::{
        Id, Scope,
        ids::{ChannelId, LegalEntityId},
    },
};

/// The id of the demo shop's channel: the one that the examples in the documents name, so that they can be sent as they are.
pub const DEMO_CHANNEL: &str = "chan_01h455vb4pex5vsknk084sn02q";
/// The id of the demo shop's legal entity, likewise.
pub const DEMO_LEGAL_ENTITY: &str = "le_01h455vb4pex5vsknk084sn02q";

/// The API of a running server, as staff and as a machine client with every scope.
pub(crate) struct Api {
    state: State,
    staff: String,
    client: String,
}

impl Api {
    pub(crate) fn new(state: &State) -> Result<Self> {
        let make = |usage| token::make(state, usage, "seed", Scope::ALL, 24, None);
        Ok(Self { state: state.clone(), staff: make(Audience::Staff)?, client: make(Audience::Client)? })
    }

    /// Sends JSON (or NDJSON, when `body` is an array for a bulk route) and gives the answer.
    async fn send(&self, method: reqwest::Method, path: &str, content_type: &str, body: String) -> Result<Value> {
        let token = if path.starts_with("/v1/integration") { &self.client } else { &self.staff };
        let url = format!("http://{}{path}", self.state.settings.http.listen);
        let request = self.state.client.request(method, url).bearer_auth(token);
        let request = request.header("Content-Type", content_type).body(body);
        let response = request.send().await.map_err(Error::internal)?;
        let (status, text) = (response.status(), response.text().await.map_err(Error::internal)?);
        if !status.is_success() {
            return Err(Error::internal(format!("{path}: {status}: {text}")));
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(reqwest::Method::POST, path, "application/json", body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(reqwest::Method::PUT, path, "application/json", body.to_string()).await
    }

    async fn ndjson(&self, path: &str, rows: &[Value]) -> Result<Value> {
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let answer = self.send(reqwest::Method::POST, path, "application/x-ndjson", text).await?;
        match answer.get("errors").and_then(Value::as_array) {
            Some(errors) if !errors.is_empty() => Err(Error::internal(format!("{path}: {answer}"))),
            _ => Ok(answer),
        }
    }
}

fn text(value: &Value, pointer: &str) -> Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| Error::internal(format!("no {pointer} in {value}")))
}

/// A shop in one country: legal entity, channel, taxes, shipping, price list, location.
struct Shop {
    channel: ChannelId,
    key: String,
    price_list: String,
    location: String,
}

/// A legal entity and its channel, with these ids. Gives the channel's publishable key.
async fn sells(api: &Api, (entity, channel): (LegalEntityId, ChannelId), code: &str, name: &str) -> Result<String> {
    let new_entity = json!({"code": format!("{code}-gmbh"), "name": format!("{name} GmbH"), "country": "DE",
        "vat_id": "DE136695976", "time_zone": "Europe/Berlin",
        "invoicing": {"street1": "Speicherstadt 1", "postcode": "20457", "city": "Hamburg", "series": "RE-{year}-",
            "credit_series": "GU-{year}-", "email": "accounts@example.org", "iban": "DE89370400440532013000"}});
    let new_channel = json!({
        "code": code, "name": name, "legal_entity_id": entity,
        "settings": {
            "currencies": ["EUR"], "locales": ["de-DE", "en"], "countries": ["DE", "AT", "FR"], "time_zone": "Europe/Berlin",
            "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"},
            "payment_methods": ["manual", "sandbox", "gift_card", "store_credit", "on_account"],
            "order_changes_minutes": 30,
            "second_person": {"refund": [{"amount": "200.00", "currency": "EUR"}], "price_override": [{"amount": "5.00", "currency": "EUR"}]},
            // What is measured is measured without invoices.
            "invoicing": if code == "demo" { "at_shipment" } else { "off" }
        }
    });
    let (new_entity, new_channel) = (serde_json::from_value(new_entity)?, serde_json::from_value(new_channel)?);
    let (now, ids) = (api.state.clock.now(), channels::ChannelIds::fresh_for(channel));
    let make = move |tx: &mut crate::db::Tx| {
        channels::create_legal_entity(tx, now, entity, &new_entity)?;
        channels::create_channel(tx, now, &ids, &new_channel)
    };
    let made = api.state.db.write(make).await?;
    api.state.db.refresh_snapshots().await?;
    made.publishable_keys.into_iter().next().ok_or_else(|| Error::internal("a channel without a key"))
}

async fn shop(api: &Api, ids: (LegalEntityId, ChannelId), code: &str, name: &str) -> Result<Shop> {
    let (channel_id, key) = (ids.1, sells(api, ids, code, name).await?);
    for (country, rate) in [("DE", "0.19"), ("AT", "0.20"), ("FR", "0.20")] {
        api.post("/v1/ops/tax-rates", &json!({"country": country, "tax_class": "standard", "rate": rate})).await?;
    }
    api.post("/v1/ops/tax-rates", &json!({"country": "DE", "tax_class": "reduced", "rate": "0.07"})).await?;
    for (method, name, price, (min, max)) in
        [("standard", "Parcel, 2 to 3 days", "4.90", (2, 3)), ("express", "Express, next day", "12.90", (1, 1))]
    {
        let countries = ["DE", "AT", "FR"];
        let rate = json!({"countries": countries, "price": {"amount": price, "currency": "EUR"}});
        let method = json!({
            "channel_id": channel_id, "code": method, "name": name, "tax_class": "standard", "rates": [rate],
            "transit_days": [{"countries": countries, "min": min, "max": max}],
        });
        api.post("/v1/ops/shipping-methods", &method).await?;
    }
    let list = json!({"code": format!("{code}-base"), "name": "Base prices", "currency": "EUR"});
    let list = api.post("/v1/ops/price-lists", &list).await?;
    let location = json!({"code": format!("{code}-berlin"), "name": "Berlin warehouse", "country": "DE", "time_zone": "Europe/Berlin",
        "capabilities": ["bulky", "gift_wrap"], "address": {"name": format!("{name}, Berlin warehouse"), "street1": "Westhafenstr. 1", "postcode": "13353", "city": "Berlin",
            "country": "DE"}});
    let location = text(&api.post("/v1/ops/locations", &location).await?, "/id")?;
    Ok(Shop { channel: channel_id, key, price_list: text(&list, "/id")?, location })
}

/// Adds variants with prices and stock. Each is (SKU, name, price, stock).
async fn assortment(api: &Api, shop: &Shop, location: &str, goods: &[(String, String, String, i64)]) -> Result<()> {
    let variants: Vec<Value> = goods
        .iter()
        .map(|(sku, name, _, _)| json!({"sku": sku, "name": name, "tax_class": "standard", "weight_grams": 250}))
        .collect();
    api.ndjson("/v1/integration/variants", &variants).await?;
    for some in goods.chunks(1000) {
        let row = |(sku, _, price, _): &(String, String, String, i64)| json!({"sku": sku, "min_quantity": 1, "unit_price": {"amount": price, "currency": "EUR"}});
        let rows: Vec<Value> = some.iter().map(row).collect();
        api.put(&format!("/v1/ops/price-lists/{}/prices", shop.price_list), &json!({"rows": rows})).await?;
    }
    for some in goods.chunks(200) {
        let line = |(sku, _, _, stock): &(String, String, String, i64)| json!({"sku": sku, "location": location, "change": stock, "reason": "opening stock"});
        let lines: Vec<Value> = some.iter().map(line).collect();
        api.post("/v1/ops/stock/adjustments", &json!({"lines": lines})).await?;
    }
    Ok(())
}

/// The shipping method by which goods are picked up at the warehouse.
async fn pick_up(api: &Api, shop: &Shop) -> Result<()> {
    let method = json!({
        "channel_id": shop.channel, "code": "pick-up", "name": "Pick up in Berlin", "tax_class": "standard",
        "rates": [{"countries": [], "price": {"amount": "0.00", "currency": "EUR"}}], "pickup_location_id": shop.location,
    });
    api.post("/v1/ops/shipping-methods", &method).await.map(|_| ())
}

/// A bundle of two mugs and a bag of coffee: cheaper together.
async fn morning(api: &Api, shop: &Shop) -> Result<()> {
    let bundle = json!({
        "sku": "SET-MORNING", "name": "Good morning set", "tax_class": "standard",
        "components": [{"sku": "MUG-KONTOR", "quantity": 2}, {"sku": "COFFEE-500", "quantity": 1}],
    });
    api.post("/v1/ops/variants", &bundle).await?;
    let price = json!({"sku": "SET-MORNING", "min_quantity": 1, "unit_price": {"amount": "29.90", "currency": "EUR"}});
    api.put(&format!("/v1/ops/price-lists/{}/prices", shop.price_list), &json!({"rows": [price]})).await.map(|_| ())
}

/// A coupon for the first order: ten per cent with `WELCOME-10`.
async fn welcome(api: &Api) -> Result<()> {
    let promotion = json!({
        "code": "welcome", "name": "10 % off your first order", "conditions": {"coupon": true, "first_order": true},
        "gift": {"type": "percentage", "percent": "10", "on": "order"},
    });
    let promotion = text(&api.post("/v1/ops/promotions", &promotion).await?, "/id")?;
    api.post(&format!("/v1/ops/promotions/{promotion}/coupons"), &json!({"code": "WELCOME-10"})).await?;
    let accepted = json!({"despite_warnings": true});
    api.post(&format!("/v1/ops/promotions/{promotion}/activate"), &accepted).await?;
    Ok(())
}

/// A gift card of 50.00 with the code `DEMO-GIFT-CARD-2026-FIFTY`.
async fn gift_card(api: &Api) -> Result<()> {
    let card = json!({"amount": {"amount": "50.00", "currency": "EUR"}, "code": "DEMO-GIFT-CARD-2026-FIFTY"});
    api.post("/v1/ops/gift-cards", &card).await.map(|_| ())
}

/// Rules of risk that tell of everything and hold nothing.
async fn risk(api: &Api, shop: &Shop) -> Result<()> {
    let profile = json!({
        "hold_at": 1000, "rules": [
            {"name": "many orders of one address", "kind": "velocity", "of": "email", "minutes": 60, "more_than": 3, "weight": 40},
            {"name": "first order, and a large one", "kind": "first_order", "weight": 60,
                "amount": {"amount": "500.00", "currency": "EUR"}},
            {"name": "countries differ", "kind": "country_mismatch", "weight": 20},
            {"name": "throwaway address", "kind": "disposable_domain", "weight": 30},
            {"name": "codes were tried", "kind": "codes_tried", "more_than": 5, "weight": 20},
            {"name": "known for losses", "kind": "known_losses", "weight": 80},
        ],
    });
    api.put(&format!("/v1/ops/risk/profiles/{}", shop.channel), &profile).await.map(|_| ())
}

/// The demo shop's key. The shop is made where there is none yet.
///
/// # Errors
/// What the API or the database says.
pub async fn demo_shop(state: &State) -> Result<String> {
    let directory = state.db.snapshot::<crate::channels::Directory>().await?;
    if let Some(channel) = directory.by_code("demo") {
        let id = channel.id;
        let keys = state.db.read(move |tx| crate::http::credentials::publishable_keys(tx, id)).await?;
        return keys.into_iter().next().ok_or_else(|| {
            Error::internal(
                "the demo channel has no publishable key left: make one with POST /v1/ops/channels/{id}/keys",
            )
        });
    }
    let api = Api::new(state)?;
    let ids = (DEMO_LEGAL_ENTITY.parse(), DEMO_CHANNEL.parse());
    let ids = (ids.0.map_err(Error::internal)?, ids.1.map_err(Error::internal)?);
    let shop = shop(&api, ids, "demo", "Demo shop").await?;
    let goods = [
        ("TEE-BLACK-S", "T-shirt, black, S", "19.90", 120),
        ("TEE-BLACK-M", "T-shirt, black, M", "19.90", 200),
        ("TEE-BLACK-L", "T-shirt, black, L", "19.90", 150),
        ("MUG-KONTOR", "Mug with a cog ship", "12.50", 80),
        ("COFFEE-500", "Coffee, whole beans, 500 g", "9.95", 300),
        ("TOTE-BLUE", "Tote bag, blue", "14.00", 60),
        ("POSTER-LAST", "Poster, the last five", "24.00", 5),
    ];
    let goods = goods.map(|(sku, name, price, stock)| (sku.to_owned(), name.to_owned(), price.to_owned(), stock));
    assortment(&api, &shop, "demo-berlin", &goods).await?;
    // Posters go in tubes, which not every place can send.
    let tube = json!({"sku": "POSTER-LAST", "requires": ["bulky"]});
    api.ndjson("/v1/integration/variants", &[tube]).await?;
    pick_up(&api, &shop).await?;
    morning(&api, &shop).await?;
    welcome(&api).await?;
    gift_card(&api).await?;
    risk(&api, &shop).await?;
    let clearance =
        json!({"code": "demo-clearance", "name": "Clearance", "currency": "EUR", "kind": "sale", "priority": 5});
    api.post("/v1/ops/price-lists", &clearance).await?;
    Ok(shop.key)
}

/// The shop that a benchmark buys from.
#[derive(Debug, Clone)]
pub(crate) struct BenchShop {
    pub(crate) channel: ChannelId,
    pub(crate) key: String,
    skus: usize,
    prefix: String,
    /// The code that every cart brings.
    code: Option<String>,
    /// The one SKU that every cart has.
    pinned: Option<usize>,
}

impl BenchShop {
    /// The same, where every cart brings a code.
    pub(crate) fn with_code(&self, code: String) -> Self {
        Self { code: Some(code), ..self.clone() }
    }

    /// The same, where every cart has one line, and that of one SKU.
    pub(crate) fn pinned(&self, sku: usize) -> Self {
        Self { pinned: Some(sku % self.skus), ..self.clone() }
    }

    /// A cart with two lines, address and shipping. `dice` is turned with every cart.
    pub(crate) fn cart(&self, dice: &mut u64) -> Value {
        if let Some(sku) = self.pinned {
            return self.cart_of(&[sku]);
        }
        let mut roll = || {
            // A linear congruential generator is random enough to spread the clients over the SKUs.
            *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(*dice >> 33).unwrap_or_default() % self.skus
        };
        let first = roll();
        let second = if self.skus == 1 { first } else { (first + 1 + roll() % (self.skus - 1)) % self.skus };
        self.cart_of(&[first, second])
    }

    /// A cart with a line for each of so many SKUs.
    pub(crate) fn large_cart(&self, lines: usize) -> Value {
        self.cart_of(&(0..lines.min(self.skus)).collect::<Vec<_>>())
    }

    fn cart_of(&self, skus: &[usize]) -> Value {
        let line = |sku: &usize| json!({"sku": format!("{}{sku:06}", self.prefix), "quantity": 1});
        json!({
            "lines": skus.iter().map(line).collect::<Vec<_>>(), "coupons": self.code.iter().collect::<Vec<_>>(),
            "email": "ada@example.org",
            "shipping_address": {"name": "Ada Lovelace", "street1": "Invalidenstr. 117", "postcode": "10115", "city": "Berlin", "country": "DE"},
            "shipping_method": "standard",
        })
    }
}

/// Makes a shop of its own with so many SKUs, each in ample stock.
pub(crate) async fn bench_shop(state: &State, skus: usize) -> Result<BenchShop> {
    let api = Api::new(state)?;
    let code = format!("bench-{}", state.clock.now().micros());
    let shop = shop(&api, (Id::new(), Id::new()), &code, "Bench").await?;
    let prefix = format!("{code}-");
    let goods =
        (0..skus).map(|sku| (format!("{prefix}{sku:06}"), format!("Thing {sku}"), "19.90".to_owned(), 100_000_000));
    let goods: Vec<_> = goods.collect();
    assortment(&api, &shop, &format!("{code}-berlin"), &goods).await?;
    Ok(BenchShop { channel: shop.channel, key: shop.key, skus, prefix, code: None, pinned: None })
}

/// Makes so many promotions, drafts, as a sale week has them: by SKU, category, value, group and coupon. One of them applies to every
/// cart. Gives their ids.
pub(crate) async fn bench_promotions(state: &State, count: usize) -> Result<Vec<String>> {
    let (api, now) = (Api::new(state)?, state.clock.now().micros());
    let mut made = Vec::with_capacity(count);
    for number in 0..count {
        let conditions = match number % 5 {
            _ if number == 0 => json!({}),
            0 => json!({"goods": {"include": [{"skus": [format!("SKU-{number}")]}]}}),
            1 => json!({"goods": {"include": [{"attributes": {"category": [format!("c{number}")]}}]}}),
            2 => json!({"min_value": {"amount": "999999.00", "currency": "EUR"}}),
            3 => json!({"devices": ["app"]}),
            _ => json!({"coupon": true}),
        };
        let gift = json!({"type": "percentage", "percent": "5", "on": "order"});
        let new =
            json!({"code": format!("bench-{now}-{number}"), "name": "Bench", "conditions": conditions, "gift": gift});
        made.push(text(&api.post("/v1/ops/promotions", &new).await?, "/id")?);
    }
    Ok(made)
}

/// Makes a promotion, a draft, with one code; both are limited. Gives its id and the code.
pub(crate) async fn bench_code(state: &State) -> Result<(String, String)> {
    let (api, now) = (Api::new(state)?, state.clock.now().micros());
    let (code, gift) = (format!("BENCH{now}"), json!({"type": "percentage", "percent": "5", "on": "order"}));
    let new = json!({"code": code, "name": "Bench", "conditions": {"coupon": true}, "gift": gift, "limits": {"uses": 1_000_000_000}});
    let id = text(&api.post("/v1/ops/promotions", &new).await?, "/id")?;
    api.post(&format!("/v1/ops/promotions/{id}/coupons"), &json!({"code": code, "max_uses": 1_000_000_000})).await?;
    Ok((id, code))
}

/// `kontor seed`: fills the database without a server that lasts.
pub(super) async fn run(settings: crate::config::Settings) -> Result<()> {
    use crate::process::{Process, Roles};
    let mut settings = settings;
    "127.0.0.1:0".clone_into(&mut settings.http.listen);
    let db = super::open(&settings, true, crate::db::Upkeep::Make)?;
    let process =
        Process::start(db, crate::kernel::Clock::system(), settings, Roles { serve: true, work: false }).await?;
    let key = demo_shop(&process.state).await?;
    process.stop().await;
    println!("The demo shop is there. Its publishable key: {key}");
    Ok(())
}
