//! Finding orders: by everything that a caller on the phone may know, page by page, as fast among millions.

use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use serde::{Deserialize, Serialize};
use serde_json::json;

use std::collections::BTreeSet;

use super::{
    holds::{OrderHold, OrderHoldKind},
    model::{FulfilmentStatus, OrderState, PaymentStatus},
};
use crate::{
    channels::Span,
    db::{Bind, Col, Doc, DocSql, InstantSql, Tx, UidSql, dialect, sql},
    error::{Code, Error, Result},
    http::paging,
    kernel::{
        Actor, Currency, Instant, Moment, Money,
        ids::{ChannelId, CustomerId, OrderId},
        text,
    },
};

mod plan;

use plan::Plan;

/// What orders are looked for by. Several are all required.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrderQuery {
    /// Anything: a number, an e-mail address, a foreign reference, a tracking number, or the beginning of a name.
    pub q: Option<String>,
    /// The order's number.
    pub number: Option<String>,
    /// The customer's e-mail address.
    pub email: Option<String>,
    /// The beginning of the name at one of its addresses, umlauts folded; with `postcode`, any part of it.
    pub name: Option<String>,
    /// The postcode of one of its addresses: of any delivery that is shipped.
    pub postcode: Option<String>,
    /// The phone number at one of its addresses. Name, postcode and phone are those of one and the same.
    pub phone: Option<String>,
    /// A tracking number.
    pub tracking: Option<String>,
    /// A SKU among its lines.
    pub sku: Option<String>,
    /// What a foreign system calls it or a document of it.
    pub external_ref: Option<String>,
    /// `placed`, `completed`, `cancelled`.
    #[param(value_type = Option<OrderState>)]
    pub state: Option<OrderState>,
    /// Where the money stands.
    #[param(value_type = Option<PaymentStatus>)]
    pub payment_state: Option<PaymentStatus>,
    /// Where the goods stand.
    #[param(value_type = Option<FulfilmentStatus>)]
    pub fulfilment_state: Option<FulfilmentStatus>,
    /// A tag that staff have given it.
    pub tag: Option<String>,
    /// `true`: only orders that are held, or of which a line is; `false`: only others.
    pub held: Option<bool>,
    /// A channel's id.
    #[param(value_type = Option<String>)]
    pub channel_id: Option<ChannelId>,
    /// A customer's id.
    #[param(value_type = Option<String>)]
    pub customer_id: Option<CustomerId>,
    /// Ordered at this time or later; a day such as `2026-03-29` is meant from its beginning. Days are those of the time zone of
    /// the channel in `channel_id`, else of the one that all channels have which you see; where they have several, a day
    /// without a channel is refused.
    #[param(value_type = Option<String>)]
    #[schema(value_type = Option<String>)]
    pub placed_from: Option<Moment>,
    /// Ordered before this time; a day is meant to its end, so that the same day in both is that day.
    #[param(value_type = Option<String>)]
    #[schema(value_type = Option<String>)]
    pub placed_to: Option<Moment>,
}

impl OrderQuery {
    /// Refuses what would be looked for with nothing left of it: that finds all orders, or none for a reason that nobody sees.
    pub(super) fn asks_for_something(&self) -> Result<()> {
        type Left = fn(&str) -> String;
        let as_given: Left = |text| text.trim().to_owned();
        // A name in the box is looked for by its letters, anything else as it is.
        let in_box: Left = |q| if q.contains('@') { q.trim().to_owned() } else { text::fold(q) };
        let asked: [(&str, &Option<String>, Left); 10] = [
            ("q", &self.q, in_box),
            ("number", &self.number, as_given),
            ("email", &self.email, as_given),
            ("name", &self.name, text::fold),
            ("postcode", &self.postcode, text::squeeze),
            ("phone", &self.phone, text::phone_digits),
            ("tracking", &self.tracking, text::squeeze),
            ("sku", &self.sku, as_given),
            ("tag", &self.tag, as_given),
            ("external_ref", &self.external_ref, text::squeeze),
        ];
        let empty =
            |(_, value, left): &&(&str, &Option<String>, Left)| value.as_deref().is_some_and(|v| left(v).is_empty());
        match asked.iter().find(empty) {
            Some((name, ..)) => {
                let detail = format!("{name} holds nothing that could be looked for; leave it out for all");
                Err(Error::problem(Code::InvalidQuery, detail).at(*name))
            }
            None => Ok(()),
        }
    }
}

/// An order in a list.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct OrderSummary {
    /// Its id.
    pub id: OrderId,
    /// The number that people use.
    pub number: String,
    /// Where it was sold.
    pub channel_id: ChannelId,
    /// Whose it is.
    pub customer_id: Option<CustomerId>,
    /// Whether it still moves.
    pub state: OrderState,
    /// Where the money stands.
    pub payment_state: PaymentStatus,
    /// Where the goods stand.
    pub fulfilment_state: FulfilmentStatus,
    /// What it costs.
    pub total: Money,
    /// The customer's e-mail address.
    pub email: Option<String>,
    /// When it was ordered.
    pub placed_at: Instant,
    /// Whether it is of a test channel.
    pub test: bool,
    /// What it, or a line of it, is held for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<OrderHoldKind>,
}

/// The place in the list: newest first.
pub(super) type Place = (i64, OrderId);

#[rustfmt::skip]
type Columns = (UidSql, Text, UidSql, Nullable<UidSql>, Text, Text, Text, Text, BigInt, Nullable<Text>, InstantSql, Bool, Nullable<DocSql>);
#[rustfmt::skip]
type Row = (OrderId, String, ChannelId, Option<CustomerId>, OrderState, PaymentStatus, FulfilmentStatus, Currency, i64, Option<String>, Instant, bool, Option<Doc<Vec<OrderHold>>>);

/// Up to `limit` orders, newest first, after a place: one statement, and one more that looks how many have a name, or an
/// article, where that decides what leads.
pub(super) fn search(
    tx: &mut Tx,
    actor: &Actor,
    (query, span): (&OrderQuery, Span),
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<OrderSummary>> {
    let plan = Plan::of(tx, actor, (query, span), after)?;
    let (ids, binds) = plan.newest(limit);
    let statement = format!(
        "SELECT id, number, channel_id, customer_id, state, payment_state, fulfilment_state, currency, total, email_folded, \
         placed_at, test, holds FROM orders WHERE id IN ({ids}) ORDER BY placed_at DESC, id DESC"
    );
    let statement = binds.into_iter().fold(sql(statement), |statement, bind| statement.bind(bind));
    let rows = statement.load::<Columns, Row>(tx)?;
    Ok(rows.into_iter().map(summary).collect())
}

/// Up to `limit` of all orders that fit, newest first: for whoever does something to them.
///
/// # Errors
/// `invalid_query` where nothing is asked for; what the database says.
pub fn found(tx: &mut Tx, actor: &Actor, asked: (&OrderQuery, Span), limit: i64) -> Result<Vec<OrderSummary>> {
    asked.0.asks_for_something()?;
    search(tx, actor, asked, None, limit)
}

/// Up to so many orders of which a condition is so, newest first.
pub(super) fn latest_of(tx: &mut Tx, (condition, bind): (&str, Bind), limit: i64) -> Result<Vec<OrderSummary>> {
    latest_where(tx, condition, vec![bind], limit)
}

fn latest_where(tx: &mut Tx, condition: &str, binds: Vec<Bind>, limit: i64) -> Result<Vec<OrderSummary>> {
    let statement = format!(
        "SELECT id, number, channel_id, customer_id, state, payment_state, fulfilment_state, currency, total, email_folded, \
         placed_at, test, holds FROM orders WHERE {condition} ORDER BY placed_at DESC, id DESC LIMIT ?"
    );
    let rows = sql(statement).bind_all(binds).bind(limit).load::<Columns, Row>(tx)?;
    Ok(rows.into_iter().map(summary).collect())
}

/// Up to so many orders with a customer's own number, of the channels that the actor sees, newest first; capitals do not matter.
pub(super) fn with_purchase_order(tx: &mut Tx, actor: &Actor, number: &str, limit: i64) -> Result<Vec<OrderSummary>> {
    // As the index `orders_purchase_order` has it.
    let mut condition = "lower(doc->>'purchase_order') = lower(?) AND doc->>'purchase_order' IS NOT NULL".to_owned();
    let mut binds = vec![Bind::from(number)];
    if let Some(channels) = actor.channels() {
        let list = dialect::list(tx, &[("wanted", Col::Uid)]);
        condition.push_str(&format!(" AND channel_id IN (SELECT wanted FROM {list})"));
        binds.push(dialect::rows(channels.iter().map(|id| json!([id.hex()])).collect()));
    }
    latest_where(tx, &condition, binds, limit)
}

fn summary(row: Row) -> OrderSummary {
    let (
        id,
        number,
        channel_id,
        customer_id,
        state,
        payment_state,
        fulfilment_state,
        currency,
        total,
        email,
        placed_at,
        test,
        holds,
    ) = row;
    let total = Money::from_minor(total, currency);
    OrderSummary {
        id,
        number,
        channel_id,
        customer_id,
        state,
        payment_state,
        fulfilment_state,
        total,
        email,
        placed_at,
        test,
        holds: kinds(holds.map(|Doc(holds)| holds).unwrap_or_default()),
    }
}

/// What for, each once.
fn kinds(holds: Vec<OrderHold>) -> Vec<OrderHoldKind> {
    let kinds: BTreeSet<OrderHoldKind> = holds.into_iter().map(|hold| hold.block.kind).collect();
    kinds.into_iter().collect()
}

/// How many there are, counted up to 10,000.
pub(super) fn count(tx: &mut Tx, actor: &Actor, query: &OrderQuery, span: Span) -> Result<i64> {
    let plan = Plan::of(tx, actor, (query, span), None)?;
    let (found, binds) = plan.some(paging::COUNT_CAP);
    let statement = sql(format!("SELECT count(*) FROM ({found}) AS found"));
    let statement = binds.into_iter().fold(statement, |statement, bind| statement.bind(bind));
    Ok(statement.first::<BigInt, i64>(tx)?.unwrap_or_default())
}
