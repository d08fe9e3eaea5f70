//! Places a plan's documents through the public API of a running Kontor, and reads back what it then holds.
//!
//! - **Every order and every return has the document's number as its foreign name** (system: the channel's code), which
//!   Kontor gives away once. A second run, today or in a year, finds what is there and does only what is missing, so a
//!   run that was broken off is begun again as it was.
//! - **The file's customers are Kontor's**, made before their orders, which are theirs.
//! - **A customer's documents stay in their order**, and a cancellation after the order that it takes back; else they go side
//!   by side.
//! - A document that is refused is told and does not stop the others.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant as Moment},
};

use futures::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Deserialize;
use serde_json::{Value, json};

pub use super::remote::Remote;
use super::{
    Cancellation, Document, Head, Ledger, Mapping, Match, Plan, PlanLine, Progress, Reconciliation, Sale, people,
    readback,
    reconcile::compare,
    remote::{escaped, text},
    setup::{self, SHIPPING, Shop},
};
use crate::{
    error::{Error, Result},
    kernel::{
        Instant, Money,
        ids::{CartId, CustomerId, OrderId},
    },
};

/// After so many refused documents something general is wrong.
const MOST_FAILURES: usize = 100;

/// How a plan is placed.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many customers at once.
    pub parallel: usize,
    /// Only the first documents.
    pub limit: Option<usize>,
    /// Whether a progress bar is drawn.
    pub progress: bool,
}

/// What became of a plan.
#[derive(Debug)]
pub struct Outcome {
    /// Orders placed and returns booked now.
    pub made: u64,
    /// Orders and returns that were there already.
    pub found: u64,
    /// The documents that were refused, and why.
    pub failures: Vec<String>,
    /// How long it took to place them, without making the shop and reading back.
    pub took: Duration,
    /// What Kontor holds, read from Kontor.
    pub held: readback::Held,
    /// The file against Kontor.
    pub reconciliation: Reconciliation,
}

/// Places a plan and reads back.
///
/// # Errors
/// When Kontor can not be reached, the shop can not be made, or very many documents are refused.
pub async fn run(remote: &Remote, plan: &Plan, mapping: &Mapping, options: Options) -> Result<Outcome> {
    let shop = setup::shop(remote, plan, mapping).await?;
    let documents = plan.documents.get(..options.limit.unwrap_or(usize::MAX)).unwrap_or(&plan.documents);
    let begun = Moment::now();
    let customers = people::customers(remote, plan, documents, &shop, options.parallel).await?;
    let driver = Driver {
        remote,
        plan,
        shop: &shop,
        customers,
        made: AtomicU64::new(0),
        found: AtomicU64::new(0),
        failures: Mutex::new(Vec::new()),
        bar: bar(documents.len(), options.progress),
    };
    let chains = chains(documents);
    stream::iter(chains).for_each_concurrent(options.parallel.max(1), |chain| driver.chain(chain)).await;
    driver.bar.finish();
    let took = begun.elapsed();
    let failures = driver.failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    if failures.len() >= MOST_FAILURES {
        let first = failures.iter().take(10).map(String::as_str).collect::<Vec<_>>().join("\n");
        return Err(Error::internal(format!("{} documents were refused, the first of them:\n{first}", failures.len())));
    }
    let held = readback::held(remote, &shop, options.parallel).await?;
    let file = match options.limit {
        None => Ledger::of(plan),
        Some(_) => {
            let mut file = Ledger::new();
            documents.iter().for_each(|document| file.add_document(document));
            file
        }
    };
    Ok(Outcome {
        made: driver.made.into_inner(),
        found: driver.found.into_inner(),
        failures,
        took,
        reconciliation: compare(file, held.ledger.clone()),
        held,
    })
}

fn bar(documents: usize, shown: bool) -> ProgressBar {
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(documents as u64), target);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} documents, {per_sec}, {eta} left{msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// The documents that must stay in their order: a customer's, a guest's number's, and those that take back from one
/// another. The chain whose first document is earliest comes first.
fn chains(documents: &[Document]) -> Vec<Vec<&Document>> {
    let mut chains: Vec<Vec<usize>> = Vec::new();
    // Of each document, its chain; a chain that has gone into another is empty.
    let mut chain_of: Vec<usize> = Vec::with_capacity(documents.len());
    let mut places: HashMap<(bool, &str), usize> = HashMap::new();
    for (place, document) in documents.iter().enumerate() {
        // A guest's sale and credit of one number belong together.
        let head = document.head();
        let whose = head.customer.as_ref().map_or((false, &*head.number), |customer| (true, &**customer));
        let last = places.insert(whose, place);
        let matched = match document {
            Document::Sale(_) => &[][..],
            Document::Cancellation(cancellation) => &cancellation.matched,
        };
        let before = last.into_iter().chain(matched.iter().map(|matched| matched.document));
        let mut joined: Vec<usize> = before.filter_map(|place| chain_of.get(place).copied()).collect();
        joined.sort_unstable();
        joined.dedup();
        let Some((first, others)) = joined.split_first() else {
            chain_of.push(chains.len());
            chains.push(vec![place]);
            continue;
        };
        let mut gone: Vec<usize> = Vec::new();
        for other in others {
            gone.append(&mut chains.get_mut(*other).map(std::mem::take).unwrap_or_default());
        }
        for moved in &gone {
            if let Some(chain) = chain_of.get_mut(*moved) {
                *chain = *first;
            }
        }
        chain_of.push(*first);
        if let Some(chain) = chains.get_mut(*first) {
            if !gone.is_empty() {
                chain.append(&mut gone);
                chain.sort_unstable();
            }
            chain.push(place);
        }
    }
    let whole = |chain: Vec<usize>| chain.into_iter().filter_map(|place| documents.get(place)).collect::<Vec<_>>();
    chains.into_iter().map(whole).filter(|chain| !chain.is_empty()).collect()
}

/// What is read of an order.
#[derive(Debug, Deserialize)]
struct Known {
    id: OrderId,
    state: String,
    fulfilment_state: String,
    payment_state: String,
    total: Money,
}

/// What is read of what came of a cart.
#[derive(Debug, Deserialize)]
struct Completed {
    order: Option<Known>,
}

/// What is read of a cart.
#[derive(Debug, Deserialize)]
struct Made {
    id: CartId,
    total: Money,
}

struct Driver<'a> {
    remote: &'a Remote,
    plan: &'a Plan,
    shop: &'a Shop,
    customers: people::Ids,
    made: AtomicU64,
    found: AtomicU64,
    failures: Mutex<Vec<String>>,
    bar: ProgressBar,
}

impl Driver<'_> {
    async fn chain(&self, documents: Vec<&Document>) {
        for document in documents {
            if self.failed() >= MOST_FAILURES {
                return;
            }
            let done = match document {
                Document::Sale(sale) => self.sale(sale).await,
                Document::Cancellation(cancellation) => self.cancellation(cancellation).await,
            };
            if let Err(error) = done {
                let failure = format!("{} (line {}): {error}", document.key(), document.head().row);
                let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
                failures.push(failure);
                self.bar.set_message(format!(", {} refused", failures.len()));
            }
            self.bar.inc(1);
        }
    }

    fn failed(&self) -> usize {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn count(&self, is_new: bool) {
        let counter = if is_new { &self.made } else { &self.found };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// What Kontor knows an order of the file by.
    fn reference(&self, number: &str) -> String {
        format!("{}:{number}", self.shop.code)
    }

    async fn known(&self, number: &str) -> Result<Option<Known>> {
        let path = format!("/v1/ops/orders/{}", escaped(&self.reference(number)));
        let answer = self.remote.get(&path).await?;
        if answer.is("not_found") { Ok(None) } else { answer.read().map(Some) }
    }

    /// Cart, checkout, shipment, delivery, money: as much of it as is not done yet.
    async fn sale(&self, sale: &Sale) -> Result<()> {
        let known = if self.shop.used { self.known(&sale.head.number).await? } else { None };
        let is_new = known.is_none();
        let order = match known {
            Some(order) => order,
            None => self.place(sale).await?,
        };
        self.carry_out(sale, &order).await?;
        self.count(is_new);
        Ok(())
    }

    async fn place(&self, sale: &Sale) -> Result<Known> {
        let cart: Made = self.remote.again("/v1/ops/carts", &self.cart(sale)).await?.read()?;
        // Where tax comes on top, the file does not know the total.
        let total = if self.shop.taxed_on_top { cart.total } else { file_total(sale)? };
        let complete = json!({"payment": {"method": "manual"}, "expected_total": total});
        let answer = self.remote.again(&format!("/v1/ops/carts/{}/complete", cart.id), &complete).await?;
        if answer.is("duplicate") {
            let gone = || Error::internal("the order is there, and is not found");
            return self.known(&sale.head.number).await?.ok_or_else(gone);
        }
        let nothing = || Error::internal("no order came of it");
        answer.read::<Completed>()?.order.ok_or_else(nothing)
    }

    fn cart(&self, sale: &Sale) -> Value {
        let head = &sale.head;
        let line = |line: &PlanLine| json!({"sku": line.sku, "quantity": line.quantity, "unit_price": line.unit_price});
        let lines: Vec<Value> = sale.lines.iter().map(line).collect();
        let (name, email) = self.who(head);
        let customer: Option<CustomerId> =
            head.customer.as_ref().and_then(|number| self.customers.get(number)).copied();
        json!({
            "channel_id": self.shop.channel, "customer_id": customer, "currency": head.currency, "lines": lines, "email": email,
            "shipping_address": people::address(head.person.as_deref(), &name, head.country),
            "shipping_method": SHIPPING, "occurred_at": head.at,
            "reference": {"system": self.shop.code, "value": head.number},
        })
    }

    /// Name and e-mail address: the file's, or ones that can not belong to anybody.
    fn who(&self, head: &Head) -> (String, String) {
        let (name, word, number) = match &head.customer {
            Some(number) => (format!("Customer {number}"), "customer", &**number),
            None => ("Guest".to_owned(), "guest", &*head.number),
        };
        let known = head.customer.as_ref().and_then(|number| self.plan.customers.get(number));
        let email = head.email.as_ref().or_else(|| known.and_then(|customer| customer.email.as_ref()));
        let made = || {
            let plain =
                |c: char| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("-{:x}-", u32::from(c)) };
            let number: String = number.chars().map(plain).take(100).collect::<String>().to_lowercase();
            format!("{word}-{}@replay.invalid", number.chars().take(200).collect::<String>())
        };
        (name, email.map_or_else(made, |email| email.as_str().to_owned()))
    }

    /// Brings an order as far as the file says it has come, at the date of the document: the file knows no other.
    async fn carry_out(&self, sale: &Sale, order: &Known) -> Result<()> {
        let (at, number) = (sale.head.at, &sale.head.number);
        let report = |what: &str| format!("/v1/integration/orders/{}/{what}", order.id);
        let document = json!({"system": self.shop.code, "document": number, "occurred_at": at});
        if sale.progress == Progress::Cancelled {
            return match order.state.as_str() {
                "cancelled" => Ok(()),
                _ => self.remote.again(&report("cancellations"), &document).await?.succeeded(),
            };
        }
        let on_its_way = !matches!(order.fulfilment_state.as_str(), "not_required" | "delivered" | "cancelled");
        if sale.progress.is_shipped() && on_its_way {
            let mut arrived = document.clone();
            if let Value::Object(arrived) = &mut arrived {
                arrived.insert("delivered_at".to_owned(), json!(at));
            }
            let answer = self.remote.again(&report("shipments"), &arrived).await?;
            // Somebody has shipped it by hand meanwhile.
            if answer.is("quantity_exceeded") { self.deliver(order.id, at).await? } else { answer.succeeded()? }
        }
        let unpaid = matches!(order.payment_state.as_str(), "pending" | "authorised" | "partially_captured");
        if sale.progress.is_paid() && unpaid && order.total.minor() > 0 {
            self.remote.again(&report("payments"), &document).await?.succeeded()?;
        }
        Ok(())
    }

    /// Delivers what is on its way.
    async fn deliver(&self, order: OrderId, at: Instant) -> Result<()> {
        let found = self.remote.get(&format!("/v1/ops/orders/{order}/fulfilment")).await?.done()?;
        for shipment in found.get("shipments").and_then(Value::as_array).into_iter().flatten() {
            if text(shipment, "/state")? != "delivered" {
                let path = format!("/v1/ops/shipments/{}/deliver", text(shipment, "/id")?);
                let answer = self.remote.again(&path, &json!({"occurred_at": at})).await?;
                // Sent twice, it has been delivered by the first.
                if !answer.is("state_conflict") {
                    answer.succeeded()?;
                }
            }
        }
        Ok(())
    }

    /// One return for each order that it takes something of, and one for what belongs to none.
    async fn cancellation(&self, cancellation: &Cancellation) -> Result<()> {
        let mut place = 0;
        for (number, matches) in cancellation.by_sale() {
            place += 1;
            let line = |matched: &&Match| json!({"line_no": matched.line + 1, "quantity": matched.credit.quantity, "amount": matched.credit.amount});
            let lines: Vec<Value> = matches.iter().map(line).collect();
            let goods = matches.iter().any(|matched| !matched.credit.kind.is_service());
            let rest = json!({"order": self.reference(number), "lines": lines});
            self.take_back(&cancellation.head, place, goods, rest).await?;
        }
        if !cancellation.unreferenced.is_empty() {
            let line = |line: &PlanLine| json!({"sku": line.sku, "quantity": line.quantity, "unit_price": line.unit_price, "amount": line.amount});
            let lines: Vec<Value> = cancellation.unreferenced.iter().map(line).collect();
            let goods = cancellation.unreferenced.iter().any(|line| !line.kind.is_service());
            let (channel, head) = (&self.shop.channel, &cancellation.head);
            let customer = head.customer.as_ref().and_then(|number| self.customers.get(number));
            let rest =
                json!({"channel_id": channel, "currency": head.currency, "customer_id": customer, "lines": lines});
            self.take_back(&cancellation.head, place + 1, goods, rest).await?;
        }
        Ok(())
    }

    async fn take_back(&self, head: &Head, place: usize, goods: bool, mut body: Value) -> Result<()> {
        // The first return of a document has its number, so that it is found by it.
        let reference = if place == 1 { head.number.to_string() } else { format!("{}#{place}", head.number) };
        let common = json!({
            "system": self.shop.code, "reference": reference, "restock": goods, "refund": true, "paid_out": true,
            "reason": "taken over from the old shop", "occurred_at": head.at,
        });
        if let (Some(body), Some(common)) = (body.as_object_mut(), common.as_object()) {
            body.extend(common.clone());
            if goods {
                body.insert("location".to_owned(), json!(self.shop.returns_to));
            }
        }
        let answer = self.remote.again("/v1/ops/returns", &body).await?;
        let is_new = answer.status == 201;
        answer.succeeded()?;
        self.count(is_new);
        Ok(())
    }
}

/// What the file says that an order costs.
fn file_total(sale: &Sale) -> Result<Money> {
    let minor = i64::try_from(sale.amount()).map_err(Error::internal)?;
    Ok(Money::from_minor(minor, sale.head.currency))
}
