//! Quick order: many SKUs at once into a cart, from a list or a table. What can not be ordered is told row by row, the rest is added with
//! one repricing.

use std::collections::HashMap;

use actix_web::post;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use utoipa::ToSchema;

use super::{
    api::{context_of, shown, staff_or_shopper},
    lines::{self, MAX_LINES, WantedLine},
    model::{Cart, CartView, Problem},
    service::{self, Change},
};
use crate::{
    catalog::{self, Variant, VariantStatus},
    db::Tx,
    error::{Code, Error, Result},
    http::{Body, Call, IfMatch, RefPath, Reply},
    kernel::{
        Id, Quantity,
        ids::{CartId, CartLineId},
        text::Sku,
    },
};

/// A row of a quick order.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"sku": "TEE-BLACK-M", "quantity": 2}))]
pub struct QuickLine {
    /// What.
    #[schema(max_length = 200)]
    pub sku: String,
    /// How many.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub quantity: i64,
}

/// Many SKUs at once: as `lines`, or as `csv`.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"csv": "sku,quantity\nTEE-BLACK-M,2\nMUG-KONTOR,1\n"}))]
pub struct QuickOrder {
    /// The rows, at most 1,000.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub lines: Vec<QuickLine>,
    /// The same as a table of two columns, SKU and quantity, divided by commas, semicolons or tabs; a heading `sku` is passed over. At most
    /// 1,000 rows.
    #[schema(max_length = 200_000)]
    pub csv: Option<String>,
}

/// Why a row was not added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct QuickError {
    /// Which, from 1.
    pub row: usize,
    /// What it says.
    pub sku: String,
    /// A stable word: `sku_unknown`, `quantity_invalid`, `not_sold`.
    pub code: String,
    /// What is wrong.
    pub detail: String,
}

/// What came of a quick order.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuickOrdered {
    /// How many rows were added.
    pub added: usize,
    /// The rows that were not.
    pub errors: Vec<QuickError>,
    /// The cart.
    pub cart: CartView,
}

/// Rows as they were sent: SKU and quantity, which need not be one.
fn rows(order: &QuickOrder) -> Result<Vec<(String, Option<i64>)>> {
    let mut rows: Vec<(String, Option<i64>)> =
        order.lines.iter().map(|line| (line.sku.trim().to_owned(), Some(line.quantity))).collect();
    if let Some(table) = &order.csv {
        if table.len() > 200_000 {
            return Err(Error::invalid("/csv", "expected at most 200000 bytes"));
        }
        rows.extend(table_rows(table)?);
    }
    match rows.len() {
        0 => Err(Error::invalid("/lines", "expected at least one row, here or in `csv`")),
        1..=MAX_LINES => Ok(rows),
        _ => Err(Error::problem(Code::TooManyLines, "a quick order has at most 1000 rows").at("/lines")),
    }
}

fn table_rows(table: &str) -> Result<Vec<(String, Option<i64>)>> {
    let first = table.lines().next().unwrap_or_default();
    let divider = [b';', b'\t'].into_iter().find(|divider| first.as_bytes().contains(divider)).unwrap_or(b',');
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(divider).from_reader(table.as_bytes());
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| Error::invalid("/csv", error.to_string()))?;
        let cell = |place: usize| record.get(place).unwrap_or_default().trim();
        let is_heading = rows.is_empty() && cell(0).eq_ignore_ascii_case("sku");
        let is_empty = cell(0).is_empty() && cell(1).is_empty();
        if !is_heading && !is_empty {
            rows.push((cell(0).to_owned(), cell(1).parse().ok()));
        }
    }
    Ok(rows)
}

/// A row as a wanted line, or what is wrong with it.
fn wanted(
    (row, id): (usize, CartLineId),
    (sku, quantity): &(String, Option<i64>),
    known: &HashMap<&str, &Variant>,
) -> Result<WantedLine, QuickError> {
    let wrong =
        |code: &str, detail: String| QuickError { row: row + 1, sku: sku.clone(), code: code.to_owned(), detail };
    let found =
        known.get(sku.as_str()).ok_or_else(|| wrong(Code::SkuUnknown.as_str(), format!("there is no SKU `{sku}`")))?;
    if found.status != VariantStatus::Active {
        return Err(wrong("not_sold", format!("{sku} is not sold any more")));
    }
    let number = quantity.and_then(|number| Quantity::new(number).ok()).filter(|number| !number.is_zero());
    let odd = || wrong(Code::QuantityInvalid.as_str(), "expected a whole number from 1 on".to_owned());
    Ok(WantedLine {
        id,
        sku: Sku::kept(sku.clone()),
        quantity: number.ok_or_else(odd)?,
        agreed: None,
        metadata: Map::new(),
        pointer: format!("/lines/{row}"),
    })
}

/// Adds the rows that can be ordered.
fn add(
    tx: &mut Tx,
    (context, who): (&super::Context, service::Who<'_>),
    (id, expected): (CartId, Option<i64>),
    (rows, ids): (&[(String, Option<i64>)], &[CartLineId]),
) -> Result<(Cart, Vec<Problem>, usize, Vec<QuickError>)> {
    let skus: Vec<String> = rows.iter().map(|(sku, _)| sku.clone()).collect();
    let variants = catalog::by_skus(tx, &skus)?;
    let known: HashMap<&str, &Variant> = variants.iter().map(|variant| (variant.sku.as_str(), variant)).collect();
    let (mut new, mut errors) = (Vec::new(), Vec::new());
    for ((row, id), line) in ids.iter().enumerate().zip(rows) {
        match wanted((row, *id), line, &known) {
            Ok(line) => new.push(line),
            Err(error) => errors.push(error),
        }
    }
    if new.is_empty() {
        let cart = service::find(tx, who.0, who.1, id)?;
        service::check_version(&cart, expected)?;
        return Ok((cart, Vec::new(), 0, errors));
    }
    let (cart, changes) = service::update(tx, context, who, id, expected, |cart| {
        let mut wanted = lines::as_wanted(cart);
        for line in &new {
            lines::add(&mut wanted, line)?;
        }
        Ok(Change { lines: Some(wanted), ..Change::default() })
    })?;
    Ok((cart, changes, new.len(), errors))
}

/// Puts rows of SKU and quantity into a cart of whoever asks, as a quick order does: what can not be ordered is told, the rest is added and
/// priced once. An id for each row at least.
///
/// # Errors
/// `not_found`, `version_stale`, and what changing a cart says.
pub fn put(
    tx: &mut Tx,
    (context, who): (&super::Context, service::Who<'_>),
    cart: (CartId, Option<i64>),
    rows: (&[(String, Option<i64>)], &[CartLineId]),
) -> Result<QuickOrdered> {
    let (cart, changes, added, errors) = add(tx, (context, who), cart, rows)?;
    Ok(QuickOrdered { added, errors, cart: shown(who.0, cart, changes) })
}

async fn order(call: Call, id: CartId, body: Body<QuickOrder>) -> Result<Reply> {
    staff_or_shopper(&call)?;
    let rows = rows(&body.value)?;
    let context = context_of(&call, id).await?;
    let (actor, secret, expected, fresh) = (call.actor.clone(), call.state.secret.clone(), call.if_match()?, Id::new());
    let ids: Vec<CartLineId> = rows.iter().map(|_| Id::new()).collect();
    call.command(&body.fingerprint, move |tx| {
        let who = (&actor, &*secret, fresh);
        let ordered = put(tx, (&context, who), (id, expected), (&rows, &ids))?;
        let version = ordered.cart.version;
        Ok(Reply::ok(&ordered)?.version(version))
    })
    .await
}

/// The route of the store surface.
pub mod store_routes {
    use super::*;
    use crate::http::Mount;

    /// Add many lines by their SKUs
    ///
    /// From a list or a table. Rows that can not be ordered are told in `errors`, the others are added; the cart is priced once.
    #[utoipa::path(tag = "cart", params(("id" = inline(CartId), Path), IfMatch), request_body = QuickOrder,
        responses((status = 200, body = QuickOrdered)))]
    #[post("/carts/{id}/quick-order")]
    async fn quick_order(call: Call, path: RefPath<CartId>, body: Body<QuickOrder>) -> Result<Reply> {
        order(call, path.0, body).await
    }

    /// Mounts it.
    pub fn mount(config: &mut Mount<'_>) {
        config.service(quick_order);
    }
}

/// The route of the ops surface.
pub mod ops_routes {
    use super::*;
    use crate::{http::Mount, kernel::Scope};

    /// Add many lines by their SKUs for a customer
    #[utoipa::path(tag = "answer a customer", params(("id" = inline(CartId), Path), IfMatch), request_body = QuickOrder,
        security(("token" = ["orders:write"])), responses((status = 200, body = QuickOrdered)))]
    #[post("/carts/{id}/quick-order")]
    async fn quick_order(call: Call, path: RefPath<CartId>, body: Body<QuickOrder>) -> Result<Reply> {
        call.allow(Scope::OrdersWrite)?;
        order(call, path.0, body).await
    }

    /// Mounts it.
    pub fn mount(config: &mut Mount<'_>) {
        config.service(quick_order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_however_they_are_divided() {
        let read = |table: &str| table_rows(table).unwrap();
        let two = [("A".to_owned(), Some(2)), ("B".to_owned(), None)];
        assert_eq!(read("sku,quantity\nA,2\n\nB,x\n"), two);
        assert_eq!(read("A;2\r\nB;x"), two);
        assert_eq!(read("SKU\tqty\nA\t2\nB\t"), two);
    }
}
