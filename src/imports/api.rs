//! Routes of bulk imports.

use std::collections::BTreeMap;

use actix_web::post;

use super::{
    rows::{Cell, Row},
    run::{Import, ImportQuery, Report, run},
};
use crate::{
    catalog::{self, Variant, VariantRow},
    customers::{self, Customer, CustomerRow},
    db::{Tx, merge::Merged},
    error::Result,
    http::{Call, Mount, Params, RawBody, Reply},
    kernel::{
        Actor, Instant, Scope,
        ids::{AddressId, CustomerId, PriceChangeId, VariantId},
    },
    pricing::{self, By, ImportedPrice, PriceRowImport},
};

impl Row for VariantRow {
    const COLUMNS: &'static [(&'static str, Cell)] = &[
        ("sku", Cell::Text),
        ("name", Cell::Text),
        ("gtin", Cell::Text),
        ("tax_class", Cell::Text),
        ("weight_grams", Cell::Int),
        ("unit_code", Cell::Text),
        ("requires_shipping", Cell::Bool),
        ("stock_policy", Cell::Text),
        ("backorder_policy", Cell::Text),
        ("tracking", Cell::Text),
        ("status", Cell::Text),
        ("components", Cell::Json),
        ("attributes", Cell::Json),
    ];
}

struct Variants;

impl Import for Variants {
    type Row = VariantRow;
    type Fresh = VariantId;
    type Record = Variant;

    fn apply(
        tx: &mut Tx,
        now: Instant,
        _: (&Actor, Option<&str>),
        rows: &[catalog::ImportRow],
        rehearsed: Option<&BTreeMap<String, Variant>>,
    ) -> Result<Merged<Variant>> {
        catalog::import(tx, now, rows, rehearsed)
    }
}

/// Import variants
///
/// One row is one variant by its SKU: made where the SKU is new (then `name` and `tax_class` are needed), else changed in
/// the fields that the row has. Rows are applied in their order, so of two rows of one SKU the later wins, and a bundle comes
/// behind its components. A row that is not valid is reported and stops no others. Up to 64 MiB of NDJSON (an object per line) or CSV (a header, then rows).
#[utoipa::path(tag = "import", params(ImportQuery), security(("token" = ["catalog:write"])),
    request_body(content((VariantRow = "application/x-ndjson"), (String = "text/csv"))),
    responses((status = 200, body = Report)))]
#[post("/variants")]
async fn import_variants(call: Call, query: Params<ImportQuery>, body: RawBody) -> Result<Reply> {
    call.allow_everywhere(Scope::CatalogWrite)?;
    run::<Variants>(&call, body, query.0.dry_run).await
}

impl Row for CustomerRow {
    const COLUMNS: &'static [(&'static str, Cell)] = &[
        ("number", Cell::Text),
        ("email", Cell::Text),
        ("name", Cell::Text),
        ("phone", Cell::Text),
        ("group", Cell::Text),
        ("company_number", Cell::Text),
        ("segments", Cell::List),
        ("marketing_email", Cell::Bool),
        ("marketing_email_at", Cell::Text),
        ("address.name", Cell::Text),
        ("address.company", Cell::Text),
        ("address.street1", Cell::Text),
        ("address.street2", Cell::Text),
        ("address.postcode", Cell::Text),
        ("address.city", Cell::Text),
        ("address.region", Cell::Text),
        ("address.country", Cell::Text),
        ("address.phone", Cell::Text),
    ];
}

struct Customers;

impl Import for Customers {
    type Row = CustomerRow;
    type Fresh = (CustomerId, AddressId);
    type Record = Customer;

    fn apply(
        tx: &mut Tx,
        now: Instant,
        (actor, _): (&Actor, Option<&str>),
        rows: &[customers::ImportRow],
        rehearsed: Option<&BTreeMap<String, Customer>>,
    ) -> Result<Merged<Customer>> {
        customers::import(tx, (now, actor), rows, rehearsed)
    }
}

/// Import customers
///
/// One row is one customer by their number: made where the number is new, else changed in the fields that the row has. Of two
/// rows of one number the later wins. A row that is not valid is reported and stops no others. Up to 64 MiB of NDJSON (an
/// object per line) or CSV (a header, then rows; the address in columns such as `address.city`).
#[utoipa::path(tag = "import", params(ImportQuery), security(("token" = ["customers:write"])),
    request_body(content((CustomerRow = "application/x-ndjson"), (String = "text/csv"))),
    responses((status = 200, body = Report)))]
#[post("/customers")]
async fn import_customers(call: Call, query: Params<ImportQuery>, body: RawBody) -> Result<Reply> {
    call.allow_everywhere(Scope::CustomersWrite)?;
    run::<Customers>(&call, body, query.0.dry_run).await
}

impl Row for PriceRowImport {
    const COLUMNS: &'static [(&'static str, Cell)] = &[
        ("price_list", Cell::Text),
        ("sku", Cell::Text),
        ("min_quantity", Cell::Int),
        ("unit_price.amount", Cell::Text),
        ("unit_price.currency", Cell::Text),
        ("per", Cell::Int),
        ("valid_from", Cell::Text),
        ("valid_until", Cell::Text),
    ];
}

struct Prices;

impl Import for Prices {
    type Row = PriceRowImport;
    type Fresh = PriceChangeId;
    type Record = ImportedPrice;

    fn apply(
        tx: &mut Tx,
        now: Instant,
        (actor, reference): (&Actor, Option<&str>),
        rows: &[(PriceChangeId, PriceRowImport)],
        rehearsed: Option<&BTreeMap<String, ImportedPrice>>,
    ) -> Result<Merged<ImportedPrice>> {
        pricing::import(tx, By { now, actor, reference }, rows, rehearsed)
    }
}

/// Import prices
///
/// One row is one price: replaced where list, SKU, `min_quantity` and `valid_from` are the same, else made. Of two rows of
/// one price the later wins. What changes is recorded under the request's id (`GET /v1/ops/price-changes`). A row that is not valid is reported and stops no others. Up to 64 MiB of NDJSON (an object
/// per line) or CSV (a header, then rows; the price in the columns `unit_price.amount` and `unit_price.currency`). Broken off, it goes on
/// where it was when it is sent again with its `Idempotency-Key`.
#[utoipa::path(tag = "import", params(ImportQuery), security(("token" = ["prices:write"])),
    request_body(content((PriceRowImport = "application/x-ndjson"), (String = "text/csv"))),
    responses((status = 200, body = Report)))]
#[post("/prices")]
async fn import_prices(call: Call, query: Params<ImportQuery>, body: RawBody) -> Result<Reply> {
    call.allow(Scope::PricesWrite)?;
    run::<Prices>(&call, body, query.0.dry_run).await
}

/// The routes of the integration surface.
pub fn integration(config: &mut Mount<'_>) {
    config.service(import_variants).service(import_customers).service(import_prices);
    super::writeback::api::integration(config);
}
