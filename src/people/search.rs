//! Whatever somebody may quote, found by one question.

use serde::Serialize;

use crate::{
    carts, customers,
    db::Tx,
    error::{Code, Error, Result},
    invoices,
    kernel::{
        Actor, Instant, Scope,
        ids::{CartId, ChannelId, CustomerId},
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
}

impl SearchHit {
    fn new(kind: HitKind, id: impl ToString, label: String, place: &str) -> Self {
        let id = id.to_string();
        Self { kind, link: format!("/v1/ops/{place}/{id}"), id, label, channel_id: None }
    }

    fn of(self, channel: ChannelId) -> Self {
        Self { channel_id: Some(channel), ..self }
    }
}

/// What was found.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SearchHits {
    /// What fits, ten of a kind at most: orders first, the newest of them first.
    pub items: Vec<SearchHit>,
}

/// So many of a kind are told.
const MOST: i64 = 10;
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
        let invoices = invoices::numbered(tx, actor, q)?.into_iter();
        items.extend(invoices.map(|one| {
            SearchHit::new(HitKind::Invoice, one.id, format!("{} {q}", one.kind), "invoices").of(one.channel_id)
        }));
    }
    // Customers and their money are the merchant's, not a channel's.
    let everywhere = actor.channels().is_none();
    if everywhere && may(Scope::CustomersRead) {
        items.extend(customers(tx, q)?);
    }
    if everywhere && may(Scope::OrdersRead) && q.chars().count() == 4 {
        let cards = stored_value::ending_in(tx, &q.to_uppercase(), MOST)?.into_iter();
        items.extend(cards.map(|card| {
            SearchHit::new(HitKind::GiftCard, card.id, format!("{} with {}", card.kind, card.balance), "stored-values")
        }));
    }
    if may(Scope::PricesRead) {
        items.extend(coupon(tx, actor, now, q)?);
    }
    Ok(SearchHits { items })
}

fn orders(tx: &mut Tx, actor: &Actor, q: &str) -> Result<Vec<SearchHit>> {
    let boxed = OrderQuery { q: Some(q.to_owned()), ..OrderQuery::default() };
    let mut found: Vec<OrderSummary> = match crate::orders::find(tx, actor, q) {
        Ok(id) => standing::of_id(tx, id)?,
        Err(error) if matches!(error.code(), Code::NotFound | Code::ReferenceAmbiguous) => Vec::new(),
        Err(error) => return Err(error),
    };
    found.extend(standing::named_by(tx, actor, &boxed, MOST)?);
    let looks_like_a_phone = !q.chars().any(char::is_alphabetic) && text::phone_digits(q).len() >= PHONE_DIGITS;
    if looks_like_a_phone {
        let phone = OrderQuery { phone: Some(q.to_owned()), ..OrderQuery::default() };
        found.extend(standing::named_by(tx, actor, &phone, MOST)?);
    }
    let mut hits: Vec<SearchHit> = Vec::new();
    for order in found {
        let label = format!("order {} over {}: {}", order.number, order.total, order.state);
        let hit = SearchHit::new(HitKind::Order, order.id, label, "orders").of(order.channel_id);
        if !hits.contains(&hit) {
            hits.push(hit);
        }
    }
    hits.truncate(usize::try_from(MOST).unwrap_or_default());
    Ok(hits)
}

fn cart(tx: &mut Tx, actor: &Actor, q: &str) -> Result<Option<SearchHit>> {
    let Ok(id) = q.parse::<CartId>() else { return Ok(None) };
    match carts::load(tx, id) {
        Ok(cart) if actor.sees_channel(cart.channel) => {
            let label = format!("cart, {}", cart.state);
            Ok(Some(SearchHit::new(HitKind::Cart, id, label, "carts").of(cart.channel)))
        }
        Ok(_) => Ok(None),
        Err(error) if error.code() == Code::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn customers(tx: &mut Tx, q: &str) -> Result<Vec<SearchHit>> {
    let found = match q.parse::<CustomerId>() {
        Ok(id) => customers::by_id(tx, id)?.into_iter().collect(),
        Err(_) => customers::looked_for(tx, q, MOST)?,
    };
    let hit = |one: customers::Customer| {
        let label = format!("customer {}, {}", one.number, one.name.as_deref().unwrap_or("without a name"));
        SearchHit::new(HitKind::Customer, one.id, label, "customers")
    };
    Ok(found.into_iter().map(hit).collect())
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
