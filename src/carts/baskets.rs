//! What somebody has in open carts: for those who look at a person.

use diesel::sql_types::{BigInt, Text};
use serde::Serialize;
use serde_json::{Value, json};

use super::model::CartState;
use crate::{
    db::{Bind, Col, Doc, DocSql, InstantSql, Tx, UidSql, dialect, sql},
    error::Result,
    kernel::{
        Currency, Instant, Money,
        ids::{CartId, ChannelId, CustomerId},
        text::Email,
    },
};

/// A cart that is not ordered yet, in short.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Basket {
    /// Its id.
    pub id: CartId,
    /// Where.
    pub channel_id: ChannelId,
    /// Where it stands.
    pub state: CartState,
    /// What it costs, as it was priced last.
    pub total: Money,
    /// When somebody has last done something with it.
    pub active_at: Instant,
}

/// Up to so many open carts of a customer, or of guests with an e-mail address, the last touched first: one statement.
///
/// # Errors
/// What the database says.
pub fn open_of(tx: &mut Tx, customer: Option<CustomerId>, email: Option<&Email>, limit: i64) -> Result<Vec<Basket>> {
    type Row = (CartId, ChannelId, CartState, Currency, i64, Instant);
    let (condition, bind): (&str, Bind) = match (customer, email) {
        (Some(id), _) => ("customer_id = ?", id.into()),
        (None, Some(email)) => {
            ("lower(doc->>'email') = ? AND customer_id IS NULL AND doc->>'email' IS NOT NULL", email.folded().into())
        }
        (None, None) => return Ok(Vec::new()),
    };
    let query = format!(
        "SELECT id, channel_id, state, currency, total, active_at FROM carts WHERE {condition} \
         AND state IN ('open', 'frozen', 'completing') ORDER BY active_at DESC, id DESC LIMIT ?"
    );
    let rows = sql(query).bind_all([bind]).bind(limit);
    let rows = rows.load::<(UidSql, UidSql, Text, Text, BigInt, InstantSql), Row>(tx)?;
    let basket = |(id, channel_id, state, currency, total, active_at)| Basket {
        id,
        channel_id,
        state,
        total: Money::from_minor(total, currency),
        active_at,
    };
    Ok(rows.into_iter().map(basket).collect())
}

/// Carts as they are kept, by their ids and in the order of these: one statement.
///
/// # Errors
/// What the database says.
pub fn documents(tx: &mut Tx, ids: &[CartId]) -> Result<Vec<(CartId, Value)>> {
    type Row = (CartId, ChannelId, CartState, Instant, Doc<Value>);
    let list = dialect::list(tx, &[("wanted", Col::Uid)]);
    let query = format!(
        "SELECT id, channel_id, state, created_at, doc FROM carts WHERE id IN (SELECT wanted FROM {list}) ORDER BY id"
    );
    let wanted = dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect());
    let rows = sql(query).bind(wanted).load::<(UidSql, UidSql, Text, InstantSql, DocSql), Row>(tx)?;
    let document = |(id, channel, state, created_at, Doc(details)): Row| {
        (id, json!({"id": id, "channel_id": channel, "state": state, "created_at": created_at, "details": details}))
    };
    Ok(rows.into_iter().map(document).collect())
}
