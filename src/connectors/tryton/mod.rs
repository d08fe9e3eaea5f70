//! The adapter for Tryton, an ERP: orders become sales, which it ships and invoices.
//!
//! Tryton has no key by which a document is made once. A sale is looked for by our id, in its comment, before it is made, and again
//! after: of two that were made for one order, the later one is removed while it is a draft.

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
use client::Tryton;
use map::Task;

/// The adapter.
pub static ADAPTER: Adapter = Adapter {
    name: "tryton",
    title: "Tryton",
    description: "Makes a sale of each order over Tryton's JSON-RPC (version 6 and later, module `sale`), quotes and confirms it, so \
                  that Tryton ships and invoices it, and cancels it with the order. Products are found by their code, taxes by their \
                  rate; the mapping says otherwise where a shop calls them otherwise.",
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

/// Which Tryton, and how far orders go there.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The address of the server, without the database.
    #[schema(format = "uri", max_length = 2000, example = "https://tryton.example.com")]
    pub url: String,
    /// The database.
    #[schema(max_length = 100, example = "shop")]
    pub database: String,
    /// The user that Kontor signs in as. It works for one company, in whose warehouse orders are shipped.
    #[schema(max_length = 100, example = "kontor")]
    pub user: String,
    /// How far a sale is taken: `draft`, `quotation`, or `processing`, in which Tryton ships and invoices it.
    #[serde(default)]
    pub until: Until,
    /// The name of the payment term of sales; Tryton's own for the party unless told.
    #[schema(max_length = 200, example = "Net 30 days")]
    pub payment_term: Option<String>,
    /// The code of the product that shipping is sold as; `SHIPPING` unless told.
    #[schema(max_length = 100, example = "SHIPPING")]
    pub shipping_product: Option<String>,
    /// The code of the product that takes up differences of rounding. Without one no difference is taken.
    #[schema(max_length = 100)]
    pub rounding_product: Option<String>,
    /// By how much the sums may differ, in the order's currency: `0.05` unless told.
    #[schema(example = "0.05")]
    pub tolerance: Option<String>,
    /// Whether suppliers ship to customers themselves (module `sale_supply_drop_shipment`): their deliveries are read back too.
    #[serde(default)]
    pub drop_shipments: bool,
    /// The code of the party that guests' orders are booked on; without it each guest becomes a party.
    #[schema(max_length = 100)]
    pub guest_party: Option<String>,
}

/// How far a sale is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// It stays a draft.
    Draft,
    /// It is quoted.
    Quotation,
    /// It is confirmed, and so shipped and invoiced. Orders that are held wait as quotations until they are released.
    #[default]
    Processing,
}

/// How Kontor signs in.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// The user's password.
    #[schema(max_length = 500)]
    pub password: String,
}

/// Where calls go.
fn rpc_url(of: &Settings) -> Result<Url> {
    let base = settings::http_url(&of.url, "url")?;
    let odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if of.database.is_empty() || of.database.contains(odd) {
        return Err(settings::wrong("database", "expected the name of a database: letters, digits, `_`, `-`, `.`"));
    }
    let text = format!("{}/{}/rpc/", base.as_str().trim_end_matches('/'), of.database);
    Url::parse(&text).map_err(|error| settings::wrong("url", &error.to_string()))
}

fn check(given: &Value, allow_private: bool) -> Result<()> {
    let given: Settings = settings::read("/settings", given)?;
    settings::is_allowed(&rpc_url(&given)?, allow_private)?;
    let tolerance = given.tolerance.as_deref().unwrap_or("0");
    match tolerance.parse::<rust_decimal::Decimal>() {
        Ok(number) if !number.is_sign_negative() => Ok(()),
        _ => Err(settings::wrong("tolerance", "expected an amount such as `0.05`")),
    }
}

fn complete_secrets(given: Option<&Value>) -> Result<Value> {
    let given = given.ok_or_else(|| {
        Error::problem(Code::SettingsInvalid, "the password of Tryton's user is needed").at("/secrets/password")
    })?;
    let given: Secrets = settings::read("/secrets", given)?;
    Ok(serde_json::to_value(given)?)
}

/// Signs in and counts the products that can be sold.
fn test<'a>(to: Target<'a>, _: &'a Event) -> Testing<'a> {
    Box::pin(async move {
        let mut tryton = match Tryton::new(to) {
            Ok(tryton) => tryton,
            Err(stop) => return Outcome { ending: stop.ending, ..Outcome::failed(stop.error) },
        };
        let params = vec![json!([["salable", "=", true]])];
        let counted = tryton.call("model.product.product.search_count", params).await;
        tryton.wire.ended(counted.map(|_| ()))
    })
}

/// Brings orders and customers to Tryton.
struct Sink;

async fn push(delivery: Delivery<'_>) -> Outcome {
    let mut tryton = match Tryton::new(delivery.to) {
        Ok(tryton) => tryton,
        Err(stop) => return Outcome { ending: stop.ending, ..Outcome::failed(stop.error) },
    };
    let how = tell(&mut tryton, delivery).await;
    tryton.wire.ended(how)
}

async fn tell(tryton: &mut Tryton<'_>, delivery: Delivery<'_>) -> Result<(), Stop> {
    match map::task(delivery.event) {
        Task::Nothing => Ok(()),
        Task::Sale => sale::bring(tryton, delivery, false).await,
        Task::Changed => sale::bring(tryton, delivery, true).await,
        Task::Cancelled => sale::cancel(tryton, delivery).await,
        Task::Party => party::bring(tryton, delivery).await,
        Task::Erased => party::erase(tryton, delivery).await,
    }
}

/// What would be called, with `{braces}` for what Tryton says first.
fn plan(delivery: Delivery<'_>) -> Result<Vec<Planned>> {
    let (event, to) = (delivery.event, delivery.to);
    let target = settings::read::<Settings>("/settings", to.settings).and_then(|given| rpc_url(&given))?.to_string();
    let planned = |purpose: &str, method: &str, body: Value| Planned {
        purpose: purpose.to_owned(),
        method: method.to_owned(),
        target: target.clone(),
        body,
    };
    let written = |name: &str, known: &Value| -> Result<Value> {
        Ok(json!([map::written(&to.mapping.write(name, known)?, &|_| None)]))
    };
    Ok(match map::task(event) {
        Task::Nothing => Vec::new(),
        Task::Sale | Task::Changed => {
            let known = map::of_order(&event.data, to.settings);
            vec![
                planned("make the party, unless it is linked", "model.party.party.create", written("party", &known)?),
                planned(
                    "make the address, unless the party has it",
                    "model.party.address.create",
                    written("address", &map::with_address(known.clone(), map::member(&known, "ship")))?,
                ),
                planned("make the sale, or write its lines anew", "model.sale.sale.create", written("sale", &known)?),
                planned("quote it", "model.sale.sale.quote", json!([["{sale}"]])),
                planned("confirm it, unless it is held", "model.sale.sale.confirm", json!([["{sale}"]])),
            ]
        }
        Task::Cancelled => {
            vec![planned("cancel it, its shipments first", "model.sale.sale.cancel", json!([["{sale}"]]))]
        }
        Task::Party => {
            let known = map::of_customer(&event.data, to.settings);
            vec![planned("make or change the party", "model.party.party.create", written("party", &known)?)]
        }
        Task::Erased => vec![planned("take the name off the party", "model.party.party.write", json!([["{party}"]]))],
    })
}

/// Reads what Tryton has shipped and invoiced.
struct Source;

impl ChangeSource for Source {
    fn pull<'a>(&'a self, to: Target<'a>, cursor: &'a Value) -> Pulling<'a> {
        Box::pin(async move {
            let mut tryton = Tryton::new(to)?;
            pull::read(&mut tryton, cursor).await
        })
    }
}

/// Looks for the sales of orders.
struct Search;

impl OrderSearch for Search {
    fn find<'a>(&'a self, to: Target<'a>, orders: &'a [Sought]) -> Finding<'a> {
        Box::pin(async move { search::find(&mut Tryton::new(to)?, orders).await })
    }

    fn list<'a>(&'a self, to: Target<'a>, made: (Instant, Instant), cursor: &'a Value) -> Listing<'a> {
        Box::pin(async move { search::list(&mut Tryton::new(to)?, made, cursor).await })
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
