//! Finding orders: by everything that a caller on the phone may know, page by page, as fast among millions.

use std::fmt::Write;

use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use serde::{Deserialize, Serialize};

use super::model::{FulfilmentStatus, OrderState, PaymentStatus};
use crate::{
    db::{Bind, InstantSql, Tx, UidSql, sql},
    error::{Error, Result},
    http::paging,
    kernel::{
        Actor, Currency, Instant, Money,
        ids::{ChannelId, CustomerId, OrderId},
        text,
    },
};

/// What orders are looked for by. Several are all required.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrderQuery {
    /// Anything: a number, an e-mail address, a foreign reference, a tracking number, or the beginning of a name.
    pub q: Option<String>,
    /// The order's number.
    pub number: Option<String>,
    /// The customer's e-mail address.
    pub email: Option<String>,
    /// The beginning of the name at the address, umlauts folded; with `postcode`, any part of it.
    pub name: Option<String>,
    /// The postcode of the address.
    pub postcode: Option<String>,
    /// The phone number at the address.
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
    /// A channel's id.
    #[param(value_type = Option<String>)]
    pub channel_id: Option<ChannelId>,
    /// A customer's id.
    #[param(value_type = Option<String>)]
    pub customer_id: Option<CustomerId>,
    /// Ordered at this time or later.
    #[param(value_type = Option<String>)]
    pub placed_from: Option<Instant>,
    /// Ordered before this time.
    #[param(value_type = Option<String>)]
    pub placed_to: Option<Instant>,
    /// How many at most, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<i64>,
    /// Where to go on: `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// `capped`: say how many there are, counted up to 10,000.
    pub count: Option<String>,
    /// `csv` for a table instead of JSON.
    pub format: Option<String>,
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
}

/// The place in the list: newest first.
pub(super) type Place = (i64, OrderId);

/// The conditions of a query with their binds, in order.
struct Conditions {
    text: String,
    binds: Vec<Bind>,
}

impl Conditions {
    fn and(&mut self, condition: &str, bind: impl Into<Bind>) {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
        self.binds.push(bind.into());
    }

    /// `column` begins with `prefix`: a range, which every index on the column serves.
    fn begins(&mut self, column: &str, prefix: &str) {
        self.and(&format!("{column} >= ?"), prefix);
        self.and(&format!("{column} < ?"), format!("{prefix}\u{10ffff}"));
    }
}

/// The conditions of what is asked, and of what the actor may see.
fn conditions(actor: &Actor, query: &OrderQuery) -> Result<Conditions> {
    let mut all = Conditions { text: "1 = 1".into(), binds: Vec::new() };
    if let Some(channels) = actor.channels() {
        // Few staff are limited to channels, and those to few: the text has as many forms.
        let places = vec!["?"; channels.len().max(1)].join(", ");
        let _ = write!(all.text, " AND channel_id IN ({places})");
        all.binds.extend(channels.iter().map(|channel| Bind::from(*channel)));
        if channels.is_empty() {
            all.binds.push(Bind::Uid(None));
        }
    }
    if let Some(q) = query.q.as_deref().map(str::trim).filter(|q| !q.is_empty()) {
        anything(&mut all, q);
    }
    let trimmed =
        |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    if let Some(number) = trimmed(&query.number) {
        all.and("number = ?", number);
    }
    if let Some(email) = trimmed(&query.email) {
        all.and("email_folded = ?", email.to_lowercase());
    }
    match (trimmed(&query.name).map(|name| text::fold(&name)), trimmed(&query.postcode)) {
        (Some(name), Some(postcode)) => {
            all.and("postcode_folded = ?", text::squeeze(&postcode));
            all.and("name_folded LIKE ?", format!("%{name}%"));
        }
        (Some(name), None) => all.begins("name_folded", &name),
        (None, Some(postcode)) => all.and("postcode_folded = ?", text::squeeze(&postcode)),
        (None, None) => {}
    }
    if let Some(phone) = trimmed(&query.phone) {
        all.and("phone_digits = ?", text::phone_digits(&phone));
    }
    for (value, kind) in [(trimmed(&query.tracking), "AND kind = 'tracking'"), (trimmed(&query.external_ref), "")] {
        if let Some(value) = value {
            all.and(
                &format!("id IN (SELECT owner FROM external_refs WHERE value_folded = ? {kind})"),
                text::squeeze(&value),
            );
        }
    }
    if let Some(sku) = trimmed(&query.sku) {
        all.and("id IN (SELECT order_id FROM order_lines WHERE sku = ?)", sku);
    }
    for (column, word) in [
        ("state = ?", query.state.map(OrderState::as_str)),
        ("payment_state = ?", query.payment_state.map(PaymentStatus::as_str)),
        ("fulfilment_state = ?", query.fulfilment_state.map(FulfilmentStatus::as_str)),
    ] {
        if let Some(word) = word {
            all.and(column, word);
        }
    }
    if let Some(channel) = query.channel_id {
        all.and("channel_id = ?", channel);
    }
    if let Some(customer) = query.customer_id {
        all.and("customer_id = ?", customer);
    }
    if let Some(from) = query.placed_from {
        all.and("placed_at >= ?", from);
    }
    if let Some(to) = query.placed_to {
        all.and("placed_at < ?", to);
    }
    Ok(all)
}

/// One box for everything: what it looks like decides where it is looked for.
fn anything(all: &mut Conditions, q: &str) {
    if q.contains('@') {
        return all.and("email_folded = ?", q.to_lowercase());
    }
    let has_digit = q.chars().any(|c| c.is_ascii_digit());
    if has_digit {
        all.and("id IN (SELECT id FROM orders WHERE number = ?", q);
        all.text.push_str(" UNION SELECT owner FROM external_refs WHERE value_folded = ?");
        all.binds.push(text::squeeze(q).into());
        all.text.push_str(" UNION SELECT id FROM orders WHERE phone_digits = ?)");
        all.binds.push(text::phone_digits(q).into());
    } else {
        all.begins("name_folded", &text::fold(q));
    }
}

#[rustfmt::skip]
type Columns = (UidSql, Text, UidSql, Nullable<UidSql>, Text, Text, Text, Text, BigInt, Nullable<Text>, InstantSql, Bool);
#[rustfmt::skip]
type Row = (OrderId, String, ChannelId, Option<CustomerId>, OrderState, PaymentStatus, FulfilmentStatus, Currency, i64, Option<String>, Instant, bool);

/// Up to `limit + 1` orders, newest first, after a place: one statement.
pub(super) fn search(
    tx: &mut Tx,
    actor: &Actor,
    query: &OrderQuery,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<OrderSummary>> {
    let mut all = conditions(actor, query)?;
    if let Some((micros, id)) = after {
        all.text.push_str(" AND (placed_at, id) < (?, ?)");
        all.binds.push(Instant::from_micros(micros).into());
        all.binds.push(id.into());
    }
    let mut statement = sql(format!(
        "SELECT id, number, channel_id, customer_id, state, payment_state, fulfilment_state, currency, total, email_folded, \
         placed_at, test FROM orders WHERE {} ORDER BY placed_at DESC, id DESC LIMIT ?",
        all.text
    ));
    for bind in all.binds {
        statement = statement.bind(bind);
    }
    let rows = statement.bind(limit + 1).load::<Columns, Row>(tx)?;
    Ok(rows.into_iter().map(summary).collect())
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
    }
}

/// How many there are, counted up to 10,000.
pub(super) fn count(tx: &mut Tx, actor: &Actor, query: &OrderQuery) -> Result<i64> {
    let all = conditions(actor, query)?;
    let mut statement =
        sql(format!("SELECT count(*) FROM (SELECT 1 FROM orders WHERE {} LIMIT 10000) AS found", all.text));
    for bind in all.binds {
        statement = statement.bind(bind);
    }
    Ok(statement.first::<BigInt, i64>(tx)?.unwrap_or_default())
}

/// The page's size, and whether a count is asked for.
pub(super) fn shape(query: &OrderQuery) -> Result<(i64, bool)> {
    let counts = match query.count.as_deref() {
        None => false,
        Some("capped") => true,
        Some(_) => return Err(Error::problem(crate::error::Code::InvalidQuery, "count must be `capped`").at("count")),
    };
    if query.format.as_deref().is_some_and(|format| !matches!(format, "csv" | "json")) {
        return Err(Error::problem(crate::error::Code::InvalidQuery, "format must be `json` or `csv`").at("format"));
    }
    Ok((paging::limit(query.limit)?, counts))
}
