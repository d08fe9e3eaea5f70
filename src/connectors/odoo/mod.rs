//! The adapter for Odoo, an ERP: orders become sales orders, which it ships and invoices.
//!
//! A sale is found by our id of the order, which stands in its source document (`origin`), before it is made. It is made by Odoo's import,
//! under an external id of which Odoo keeps one record: of two who make it at once each gets the same.

mod client;
mod map;
mod party;
mod pull;
mod sale;
mod search;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::{
    erp,
    mapping::Mapping,
    ports::{
        Adapter, ChangeSource, CustomerSink, Delivery, Finding, Listing, OrderSearch, OrderSink, Outcome, Planned,
        Pulling, Pushing, Sought, Target, Testing,
    },
    settings,
    wire::Stop,
};
use crate::{
    error::{Code, Error, Result},
    events::Event,
    kernel::Instant,
};
use client::{Call, Odoo};
use map::Task;

/// The adapter.
pub static ADAPTER: Adapter = Adapter {
    name: "odoo",
    title: "Odoo",
    description: "Makes a sales order of each order over Odoo's JSON-RPC (versions 17 to 19) or JSON-2 (version 19 and later, app \
                  Sales) and confirms it, so that Odoo ships and invoices it, and cancels it with the order. Products are found by \
                  their internal reference, taxes by their rate; the mapping says otherwise where a shop calls them otherwise.",
    settings_schema: || settings::schema::<Settings>(),
    secrets_schema: || settings::schema::<Secrets>(),
    check,
    complete_secrets,
    renew_secrets: None,
    keeps_links: true,
    mapping: || Mapping::built_in(include_str!("mapping.json")),
    test,
    order_sink: Some(&Sink),
    customer_sink: Some(&Sink),
    change_source: Some(&Source),
    order_search: Some(&Search),
};

/// Which Odoo, how it is spoken to, and how far orders go there.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OdooSettings)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The address of the server.
    #[schema(format = "uri", max_length = 2000, example = "https://shop.odoo.com")]
    pub url: String,
    /// The database.
    #[schema(max_length = 100, example = "shop")]
    pub database: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// The login of the user that Kontor signs in as: needed for JSON-RPC. For JSON-2 the key tells whose it is.
    #[schema(max_length = 200, example = "kontor@example.com")]
    pub user: Option<String>,
    /// The id of the company that orders are of, for a user that works for several.
    #[schema(minimum = 1, example = 1)]
    pub company: Option<i64>,
    /// The language in which taxes, price lists and payment terms are named, such as `de_DE`; English unless told.
    #[schema(max_length = 20, example = "de_DE")]
    pub language: Option<String>,
    /// How far a sale is taken: `quotation`, or `order`, in which Odoo ships and invoices it.
    #[serde(default)]
    pub until: Until,
    /// Whose the orders of guests are.
    #[serde(default)]
    pub guests: Guests,
    /// The reference of the partner that guests' orders are booked on: needed where `guests` is `collective`.
    #[schema(max_length = 100, example = "WEB-GUESTS")]
    pub guest_partner: Option<String>,
    /// The name of the payment terms of sales; Odoo's own for the partner unless told.
    #[schema(max_length = 200, example = "30 Days")]
    pub payment_term: Option<String>,
    /// The internal reference of the product that shipping is sold as; `SHIPPING` unless told.
    #[schema(max_length = 100, example = "SHIPPING")]
    pub shipping_product: Option<String>,
    /// The internal reference of the product that discounts are lines of; `DISCOUNT` unless told.
    #[schema(max_length = 100, example = "DISCOUNT")]
    pub discount_product: Option<String>,
    /// The internal reference of the product that takes up differences of rounding. Without one no difference is taken.
    #[schema(max_length = 100)]
    pub rounding_product: Option<String>,
    /// By how much the sums may differ, in the order's currency: `0.05` unless told.
    #[schema(example = "0.05")]
    pub tolerance: Option<String>,
    /// Whether suppliers ship to customers themselves (dropshipping): their deliveries are read back too.
    #[serde(default)]
    pub drop_shipments: bool,
}

/// How Odoo is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OdooProtocol)]
pub enum Protocol {
    /// `/jsonrpc`, which versions up to 19 have.
    #[serde(rename = "json_rpc")]
    JsonRpc,
    /// `/json/2`, which versions from 19 on have.
    #[serde(rename = "json_2")]
    Json2,
}

/// How far a sale is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OdooUntil)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// It stays a quotation.
    Quotation,
    /// It is confirmed, and so shipped and invoiced. Orders that are held wait as quotations until they are released.
    #[default]
    Order,
}

/// Whose the orders of guests are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OdooGuests)]
#[serde(rename_all = "snake_case")]
pub enum Guests {
    /// Each order makes a partner of its own.
    #[default]
    New,
    /// Of the partner with the order's e-mail address, if there is one; else a new one.
    ByEmail,
    /// Of one partner for all guests.
    Collective,
}

/// How Kontor signs in.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OdooSecrets)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// An API key of the user's.
    #[schema(min_length = 6, max_length = 500)]
    pub api_key: String,
}

/// The server's address.
fn base_url(of: &Settings) -> Result<Url> {
    settings::http_url(&of.url, "url")
}

/// Where something is at the server.
fn endpoint(base: &Url, path: &str) -> Result<Url> {
    let text = format!("{}/{path}", base.as_str().trim_end_matches('/'));
    Url::parse(&text).map_err(|error| settings::wrong("url", &error.to_string()))
}

fn check(given: &Value, allow_private: bool) -> Result<()> {
    let given: Settings = settings::read("/settings", given)?;
    settings::is_allowed(&base_url(&given)?, allow_private)?;
    let odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if given.database.is_empty() || given.database.contains(odd) {
        return Err(settings::wrong("database", "expected the name of a database: letters, digits, `_`, `-`, `.`"));
    }
    let is_blank = |text: &Option<String>| text.as_deref().is_none_or(|text| text.trim().is_empty());
    if given.protocol == Protocol::JsonRpc && is_blank(&given.user) {
        return Err(settings::wrong("user", "JSON-RPC needs the login of the user whose key it is"));
    }
    if given.guests == Guests::Collective && is_blank(&given.guest_partner) {
        return Err(settings::wrong("guest_partner", "`collective` needs the reference of the partner for all guests"));
    }
    if given.company.is_some_and(|company| company < 1) {
        return Err(settings::wrong("company", "expected the id of a company in Odoo"));
    }
    match given.tolerance.as_deref().unwrap_or("0").parse::<rust_decimal::Decimal>() {
        Ok(number) if !number.is_sign_negative() => Ok(()),
        _ => Err(settings::wrong("tolerance", "expected an amount such as `0.05`")),
    }
}

fn complete_secrets(given: Option<&Value>) -> Result<Value> {
    let wrong = |detail: &str| Error::problem(Code::SettingsInvalid, detail.to_owned()).at("/secrets/api_key");
    let given = given.ok_or_else(|| wrong("an API key of Odoo's user is needed"))?;
    let given: Secrets = settings::read("/secrets", given)?;
    // Shorter ones could not be found again in what is kept, to be taken out of it; line breaks end a header.
    if given.api_key.chars().count() < 6 || given.api_key.contains(|c: char| c.is_control() || !c.is_ascii()) {
        return Err(wrong("expected an API key as Odoo makes it"));
    }
    Ok(serde_json::to_value(given)?)
}

/// Signs in and looks whether what is needed can be read: sales, products, deliveries, invoices.
fn test<'a>(to: Target<'a>, _: &'a Event) -> Testing<'a> {
    Box::pin(async move {
        let mut odoo = match Odoo::new(to) {
            Ok(odoo) => odoo,
            Err(stop) => return Outcome { ending: stop.ending, ..Outcome::failed(stop.error) },
        };
        let how = look_around(&mut odoo).await;
        odoo.wire.ended(how)
    })
}

async fn look_around(odoo: &mut Odoo<'_>) -> Result<(), Stop> {
    odoo.call(Call::of_model("res.users", "context_get", Vec::new())).await?;
    let mut models = vec!["sale.order", "product.product", "res.partner", "account.tax", "account.move"];
    if odoo.has("sale.order", "picking_ids").await? {
        models.extend(["stock.picking", "stock.move"]);
    }
    for model in models {
        let args = vec![("domain", json!([["id", "=", 0]]))];
        let looked = odoo.call(Call::of_model(model, "search_count", args)).await;
        looked.map_err(|stop| Stop { error: format!("`{model}` can not be read: {}", stop.error), ..stop })?;
    }
    for (product, setting) in [
        (odoo.settings().shipping_product.clone().or_else(|| Some("SHIPPING".into())), "shipping_product"),
        (odoo.settings().rounding_product.clone(), "rounding_product"),
    ] {
        let Some(code) = product else { continue };
        let found = odoo.read("product.product", json!([["default_code", "=", code]]), &["id"]).await?;
        if found.len() != 1 {
            return Err(Stop::refused(format!(
                "Odoo has {} products with the internal reference `{code}`: make one, or say in `{setting}` what it is called",
                found.len()
            )));
        }
    }
    Ok(())
}

/// Brings orders and customers to Odoo.
struct Sink;

async fn push(delivery: Delivery<'_>) -> Outcome {
    let mut odoo = match Odoo::new(delivery.to) {
        Ok(odoo) => odoo,
        Err(stop) => return Outcome { ending: stop.ending, ..Outcome::failed(stop.error) },
    };
    let how = tell(&mut odoo, delivery).await;
    odoo.wire.ended(how)
}

async fn tell(odoo: &mut Odoo<'_>, delivery: Delivery<'_>) -> Result<(), Stop> {
    match map::task(delivery.event) {
        Task::Nothing => Ok(()),
        Task::Sale => sale::bring(odoo, delivery, false).await,
        Task::Changed => sale::bring(odoo, delivery, true).await,
        Task::Cancelled => sale::cancel(odoo, delivery).await,
        Task::Party => party::bring(odoo, delivery).await,
        Task::Erased => party::erase(odoo, delivery).await,
    }
}

/// What would be called, with `{braces}` for what Odoo says first.
fn plan(delivery: Delivery<'_>) -> Result<Vec<Planned>> {
    let (event, to) = (delivery.event, delivery.to);
    let given: Settings = settings::read("/settings", to.settings)?;
    let base = base_url(&given)?;
    let planned = |purpose: &str, (model, method): (&str, &str), body: Value| -> Result<Planned> {
        let (target, method) = match given.protocol {
            Protocol::JsonRpc => (endpoint(&base, "jsonrpc")?, format!("{model}.{method}")),
            Protocol::Json2 => (endpoint(&base, &format!("json/2/{model}/{method}"))?, "POST".to_owned()),
        };
        Ok(Planned { purpose: purpose.to_owned(), method, target: target.to_string(), body })
    };
    let written =
        |name: &str, known: &Value| -> Result<Value> { Ok(map::written(&to.mapping.write(name, known)?, &|_| None)) };
    match map::task(event) {
        Task::Nothing => Ok(Vec::new()),
        Task::Sale | Task::Changed => {
            let known = map::of_order(&event.data, to.settings);
            let address = map::with_address(known.clone(), map::member(&known, "ship"));
            let sale = written("sale", &known)?;
            let reference = sale.get("client_order_ref").and_then(Value::as_str);
            let header = sale::header(&event.data, "{partner}", given.company, reference);
            let (fields, values): (Vec<String>, Vec<String>) = header.into_iter().unzip();
            [
                planned("make the partner, unless it is there", ("res.partner", "load"), written("partner", &known)?),
                planned(
                    "make the address, unless the partner has it",
                    ("res.partner", "create"),
                    written("address", &address)?,
                ),
                planned(
                    "make the sale, unless it is there",
                    ("sale.order", "load"),
                    json!({"fields": fields, "data": [values]}),
                ),
                planned("write the sale", ("sale.order", "write"), json!({"ids": ["{sale}"], "vals": sale})),
                planned("confirm it, unless it is held", ("sale.order", "action_confirm"), json!({"ids": ["{sale}"]})),
            ]
            .into_iter()
            .collect()
        }
        Task::Cancelled => {
            let cancelled = planned("cancel it", ("sale.order", "action_cancel"), json!({"ids": ["{sale}"]}));
            cancelled.map(|one| vec![one])
        }
        Task::Party => {
            let known = map::of_customer(&event.data, to.settings);
            let made = planned("make or change the partner", ("res.partner", "load"), written("partner", &known)?);
            made.map(|one| vec![one])
        }
        Task::Erased => {
            let taken = planned("take the name off the partner", ("res.partner", "write"), party::erased());
            taken.map(|one| vec![one])
        }
    }
}

/// Reads what Odoo has shipped and invoiced.
struct Source;

impl ChangeSource for Source {
    fn pull<'a>(&'a self, to: Target<'a>, cursor: &'a Value) -> Pulling<'a> {
        Box::pin(async move {
            let mut odoo = Odoo::new(to)?;
            pull::read(&mut odoo, cursor).await
        })
    }
}

/// Looks for the sales of orders.
struct Search;

impl OrderSearch for Search {
    fn find<'a>(&'a self, to: Target<'a>, orders: &'a [Sought]) -> Finding<'a> {
        Box::pin(async move { search::find(&mut Odoo::new(to)?, orders).await })
    }

    fn list<'a>(&'a self, to: Target<'a>, made: (Instant, Instant), cursor: &'a Value) -> Listing<'a> {
        Box::pin(async move { search::list(&mut Odoo::new(to)?, made, cursor).await })
    }

    fn needed(&self, events: &[Event]) -> Vec<i64> {
        erp::needed(events)
    }
}

impl OrderSink for Sink {
    fn push<'a>(&'a self, delivery: Delivery<'a>) -> Pushing<'a> {
        Box::pin(push(delivery))
    }

    fn plan(&self, delivery: Delivery<'_>) -> Result<Vec<Planned>> {
        plan(delivery)
    }
}

impl CustomerSink for Sink {
    fn push_customer<'a>(&'a self, delivery: Delivery<'a>) -> Pushing<'a> {
        Box::pin(push(delivery))
    }

    fn plan_customer(&self, delivery: Delivery<'_>) -> Result<Vec<Planned>> {
        plan(delivery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_refused_where_something_is_missing() {
        let pointer = |settings: Value| match check(&settings, true) {
            Err(Error::Problem(problem)) => problem.pointer.unwrap_or_default(),
            other => format!("{other:?}"),
        };
        let with = |more: Value| {
            let mut all = json!({"url": "https://odoo.example.com", "database": "shop", "protocol": "json_2"});
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        assert_eq!(pointer(with(json!({}))), "Ok(())");
        for (more, wanted) in [
            (json!({"protocol": "json_rpc"}), "/settings/user"),
            (json!({"protocol": "soap"}), "/settings/protocol"),
            (json!({"guests": "collective"}), "/settings/guest_partner"),
            (json!({"database": "a b"}), "/settings/database"),
            (json!({"tolerance": "-1"}), "/settings/tolerance"),
            (json!({"company": 0}), "/settings/company"),
            (json!({"url": "ftp://x"}), "/settings/url"),
            (json!({"odd": 1}), "/settings/odd"),
        ] {
            assert_eq!(pointer(with(more)), wanted);
        }
        assert!(complete_secrets(None).is_err() && complete_secrets(Some(&json!({"api_key": "abc"}))).is_err());
        assert!(complete_secrets(Some(&json!({"api_key": "0123456789abcdef"}))).is_ok());
    }
}
