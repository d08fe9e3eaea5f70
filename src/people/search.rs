//! Whatever somebody may quote, found by one question.

use serde::Serialize;

use super::quoted;
use crate::{
    carts,
    customers::{self, companies},
    db::Tx,
    error::{Code, Error, Result},
    invoices,
    kernel::{
        Actor, Instant, Scope,
        ids::{CartId, ChannelId, CustomerId, OrderId},
        text,
    },
    orders::{OrderQuery, OrderSummary, standing},
    pricing::promotions,
    stored_value,
};

crate::words! {
    /// What was found. More words may come.
    pub enum HitKind {
        /// An order.
        Order = "order",
        /// A cart.
        Cart = "cart",
        /// A customer.
        Customer = "customer",
        /// An invoice or credit note.
        Invoice = "invoice",
        /// A coupon.
        Coupon = "coupon",
        /// A gift card.
        GiftCard = "gift_card",
        /// What somebody has asked to send back.
        ReturnRequest = "return_request",
        /// What has come back.
        Return = "return",
        /// A declaration that somebody withdraws from an order.
        Withdrawal = "withdrawal",
        /// What somebody has claimed of an order.
        Claim = "claim",
        /// A quote.
        Quote = "quote",
        /// An order that staff prepare.
        Draft = "draft",
        /// A payment.
        Payment = "payment",
        /// What somebody is asked to pay for an order, by a link.
        PaymentRequest = "payment_request",
        /// A product that was registered.
        Registration = "registration",
        /// A package with a serial number in it.
        Package = "package",
        /// A company.
        Company = "company",
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SearchHit {
    /// What it is.
    pub kind: HitKind,
    /// Its id; of a coupon the code.
    pub id: String,
    /// What it is called.
    pub label: String,
    /// Where it is read.
    pub link: String,
    /// Where it was sold, where it is of a channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<ChannelId>,
    /// The order that it is, or is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The customer who it is, or whose it is, where they are known and may be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
}

impl SearchHit {
    pub(super) fn new(kind: HitKind, id: impl ToString, label: String, place: &str) -> Self {
        let id = id.to_string();
        let link = format!("/v1/ops/{place}/{id}");
        Self { kind, link, id, label, channel_id: None, order_id: None, customer_id: None }
    }

    pub(super) fn of(self, channel: ChannelId) -> Self {
        Self { channel_id: Some(channel), ..self }
    }

    pub(super) fn with_order(self, order: impl Into<Option<OrderId>>) -> Self {
        Self { order_id: order.into(), ..self }
    }

    pub(super) fn with_customer(self, customer: impl Into<Option<CustomerId>>) -> Self {
        Self { customer_id: customer.into(), ..self }
    }
}

/// What was found.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SearchHits {
    /// What fits, ten of a kind at most: orders first, the newest of them first. The same thing is told once.
    pub items: Vec<SearchHit>,
}

/// So many of a kind are told.
pub(super) const MOST: i64 = 10;
/// A phone number that is looked for has so many digits at least.
const PHONE_DIGITS: usize = 6;

/// Everything that an actor may see and that a text names. What their scopes do not let them read is not looked for.
///
/// # Errors
/// `invalid_query` where nothing is left to look for.
pub(super) fn everywhere(tx: &mut Tx, actor: &Actor, now: Instant, q: &str) -> Result<SearchHits> {
    let q = q.trim();
    if q.is_empty() || q.chars().count() > 200 || q.contains('\0') {
        return Err(Error::problem(Code::InvalidQuery, "expected 1 to 200 characters").at("q"));
    }
    let mut items = Vec::new();
    let may = |scope| actor.holds(scope);
    if may(Scope::OrdersRead) {
        items.extend(orders(tx, actor, q)?);
        items.extend(cart(tx, actor, q)?);
        items.extend(invoices_of(tx, actor, q)?);
        items.extend(quoted::beside_orders(tx, actor, q)?);
    }
    if may(Scope::FulfilmentRead) {
        items.extend(quoted::packages(tx, actor, q)?);
    }
    // Customers, companies and their money are the merchant's, not a channel's.
    let everywhere = actor.channels().is_none();
    if everywhere && may(Scope::CustomersRead) {
        items.extend(customers(tx, q)?);
        items.extend(companies_of(tx, q)?);
    }
    if everywhere && may(Scope::OrdersRead) && q.chars().count() == 4 {
        items.extend(gift_cards(tx, q)?);
    }
    if may(Scope::PricesRead) {
        items.extend(coupon(tx, actor, now, q)?);
    }
    Ok(SearchHits { items: told_once(items, everywhere && may(Scope::CustomersRead)) })
}

/// Each thing once, and no more of a kind than are told; whose it is only to who may read customers.
fn told_once(found: Vec<SearchHit>, sees_customers: bool) -> Vec<SearchHit> {
    let most = usize::try_from(MOST).unwrap_or_default();
    let mut items: Vec<SearchHit> = Vec::new();
    for mut hit in found {
        let of_kind = items.iter().filter(|one| one.kind == hit.kind);
        if items.iter().any(|one| one.kind == hit.kind && one.id == hit.id) || of_kind.count() >= most {
            continue;
        }
        hit.customer_id = hit.customer_id.filter(|_| sees_customers);
        items.push(hit);
    }
    items
}

/// Whether it looks like a phone number.
fn is_phone(q: &str) -> bool {
    !q.chars().any(char::is_alphabetic) && text::phone_digits(q).len() >= PHONE_DIGITS
}

fn orders(tx: &mut Tx, actor: &Actor, q: &str) -> Result<Vec<SearchHit>> {
    let boxed = OrderQuery { q: Some(q.to_owned()), ..OrderQuery::default() };
    let mut found: Vec<OrderSummary> = match crate::orders::find(tx, actor, q) {
        Ok(id) => standing::of_id(tx, id)?,
        Err(error) if matches!(error.code(), Code::NotFound | Code::ReferenceAmbiguous) => Vec::new(),
        Err(error) => return Err(error),
    };
    found.extend(standing::named_by(tx, actor, &boxed, MOST)?);
    found.extend(standing::with_purchase_order(tx, actor, q, MOST)?);
    if is_phone(q) {
        let phone = OrderQuery { phone: Some(q.to_owned()), ..OrderQuery::default() };
        found.extend(standing::named_by(tx, actor, &phone, MOST)?);
    }
    let hit = |order: OrderSummary| {
        let label = format!("order {} over {}: {}", order.number, order.total, order.state);
        let hit = SearchHit::new(HitKind::Order, order.id, label, "orders").of(order.channel_id);
        hit.with_order(order.id).with_customer(order.customer_id)
    };
    Ok(found.into_iter().map(hit).collect())
}

fn invoices_of(tx: &mut Tx, actor: &Actor, q: &str) -> Result<Vec<SearchHit>> {
    let found = invoices::numbered(tx, actor, q)?.into_iter();
    let hit = |one: invoices::Invoice| {
        let label = format!("{} {q}", one.kind);
        SearchHit::new(HitKind::Invoice, one.id, label, "invoices").of(one.channel_id).with_order(one.order_id)
    };
    Ok(found.map(hit).collect())
}

fn gift_cards(tx: &mut Tx, q: &str) -> Result<Vec<SearchHit>> {
    let cards = stored_value::ending_in(tx, &q.to_uppercase(), MOST)?.into_iter();
    let hit = |card: stored_value::StoredValue| {
        let label = format!("{} with {}", card.kind, card.balance);
        SearchHit::new(HitKind::GiftCard, card.id, label, "stored-values").with_customer(card.customer_id)
    };
    Ok(cards.map(hit).collect())
}

fn cart(tx: &mut Tx, actor: &Actor, q: &str) -> Result<Option<SearchHit>> {
    let Ok(id) = q.parse::<CartId>() else { return Ok(None) };
    match carts::load(tx, id) {
        Ok(cart) if actor.sees_channel(cart.channel) => {
            let label = format!("cart, {}", cart.state);
            let hit = SearchHit::new(HitKind::Cart, id, label, "carts").of(cart.channel);
            Ok(Some(hit.with_order(cart.order).with_customer(cart.customer)))
        }
        Ok(_) => Ok(None),
        Err(error) if error.code() == Code::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn customers(tx: &mut Tx, q: &str) -> Result<Vec<SearchHit>> {
    let found = match q.parse::<CustomerId>() {
        Ok(id) => customers::by_id(tx, id)?.into_iter().collect(),
        Err(_) if is_phone(q) => {
            let mut found = customers::with_phone(tx, q, MOST)?;
            found.extend(customers::looked_for(tx, q, MOST)?);
            found
        }
        Err(_) => customers::looked_for(tx, q, MOST)?,
    };
    let hit = |one: customers::Customer| {
        let label = format!("customer {}, {}", one.number, one.name.as_deref().unwrap_or("without a name"));
        SearchHit::new(HitKind::Customer, one.id, label, "customers").with_customer(one.id)
    };
    Ok(found.into_iter().map(hit).collect())
}

fn companies_of(tx: &mut Tx, q: &str) -> Result<Vec<SearchHit>> {
    let hit = |one: companies::Company| {
        let label = format!("company {}, {}", one.number, one.name);
        SearchHit::new(HitKind::Company, one.id, label, "companies")
    };
    Ok(companies::looked_for(tx, q, MOST)?.into_iter().map(hit).collect())
}

fn coupon(tx: &mut Tx, actor: &Actor, now: Instant, q: &str) -> Result<Option<SearchHit>> {
    match promotions::find_coupon(tx, now, actor, q) {
        Ok(coupon) => {
            let label = format!("coupon, used {} times", coupon.uses);
            Ok(Some(SearchHit::new(HitKind::Coupon, coupon.code, label, "coupons")))
        }
        Err(error) if matches!(error.code(), Code::NotFound | Code::CouponUnknown | Code::CouponMistyped) => Ok(None),
        Err(error) => Err(error),
    }
}
