//! Routes that tell of people, and find what they quote.

use actix_web::{get, post};
use serde::Deserialize;

use super::{
    export::{self, GuestExportRequest, PersonRecord, Whose},
    overview::{self, PersonOverview},
    search::{self, SearchHits},
};
use crate::{
    db::Tx,
    error::Result,
    http::{All, Body, Call, Cursor, List, Mount, Page, Params, RefPath, Reply, paging},
    kernel::{Scope, ids::CustomerId, text::Email},
};

/// See all that is known of a customer
///
/// Contacts, addresses and consent; what they have ordered and kept, in figures by currency and the last ten orders; what is to come back and
/// what has, with what was given back for it; open carts; store credit and gift cards; the company that they buy for with its credit; and how
/// the rules of risk have decided. What a scope is missing for is left out: `orders:read`, `risk:read`.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CustomerId), Path)), security(("token" = ["customers:read"])),
    responses((status = 200, body = PersonOverview)))]
#[get("/customers/{id}/overview")]
async fn customer_overview(call: Call, path: RefPath<CustomerId>) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::CustomersRead)?.clone();
    let (id, now, secret) = (path.0, call.now, call.state.secret.clone());
    Reply::ok(&call.read(move |tx| overview::of_customer(tx, (now, &actor), secret, id)).await?)
}

/// Whose overview is asked for.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ada@example.org"}))]
struct GuestRequest {
    /// The e-mail address that guests have ordered with; case does not matter.
    email: Email,
}

/// See all that is known of a guest
///
/// As for a customer, of what guests have done with an e-mail address; `customers` names those who have it. The address stands in the body:
/// what is in a URL is in logs too.
#[utoipa::path(tag = "answer a customer", request_body = GuestRequest, security(("token" = ["customers:read"])),
    responses((status = 200, body = PersonOverview)))]
#[post("/guests/overview")]
async fn guest_overview(call: Call, body: Body<GuestRequest>) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::CustomersRead)?.clone();
    let (email, secret) = (body.email.clone(), call.state.secret.clone());
    Reply::ok(&call.read(move |tx| overview::of_guest(tx, &actor, secret, &email)).await?)
}

/// Get everything that is kept of a customer
///
/// What a person may ask for (GDPR, Articles 15 and 20): their record, orders with notes and returns, invoices, carts, what rules of risk have
/// found, store credit, quotes, requests for approval and what they decided about others', recurring orders, order templates, withdrawals,
/// claims, changes of orders, what was asked to be paid by links, drafts, what they wait for, and what has happened to their record. Record by record: go on with `next_cursor` until there is none.
/// What a scope is missing for is left out: `orders:read`, `risk:read`.
/// What guests have done with the same e-mail address is not among it: an address is no proof of who somebody is.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CustomerId), Path)), security(("token" = ["customers:read"])),
    responses((status = 200, body = Page<PersonRecord>)))]
#[get("/customers/{id}/export")]
async fn export_customer(call: Call, path: RefPath<CustomerId>, query: List<All>) -> Result<Reply> {
    let (actor, whose) = (call.allow_everywhere(Scope::CustomersRead)?.clone(), Whose::Customer(path.0));
    let now = call.now;
    let read = move |tx: &mut Tx, after, limit| export::page(tx, (now, &actor, &whose), after, limit);
    query.answer(&call, PersonRecord::place, read).await
}

/// Get everything that is kept of a guest
///
/// As for a customer, of what guests have done with an e-mail address.
#[utoipa::path(tag = "answer a customer", request_body = GuestExportRequest, security(("token" = ["customers:read"])),
    responses((status = 200, body = Page<PersonRecord>)))]
#[post("/guests/export")]
async fn export_guest(call: Call, body: Body<GuestExportRequest>) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::CustomersRead)?.clone();
    let (limit, whose) = (paging::limit(body.limit)?, Whose::Guest(body.email.clone()));
    let after = Cursor::decode_optional(body.cursor.as_deref())?;
    let now = call.now;
    let read = move |tx: &mut Tx| export::page(tx, (now, &actor, &whose), after, limit + 1);
    let items = call.read(read).await?;
    Reply::ok(&Page::cut(items, limit, PersonRecord::place)?)
}

/// What is looked for.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SearchQuery {
    /// A number (of an order, invoice, quote, return, withdrawal, claim, customer, company), an id, an e-mail address, a phone number, a reference
    /// of another system, the customer's own number of an order, a tracking or serial number, a payment's reference, a VAT number, the beginning
    /// of a name, a coupon code, or the last four characters of a gift card.
    #[param(min_length = 1, max_length = 200)]
    q: String,
}

/// Find whatever somebody quotes
///
/// Orders, carts, invoices, what is to come back and has, withdrawals, claims, quotes, drafts, payments, registered products, packages,
/// customers, companies, coupons and gift cards, ten of a kind at most; each with the order and the customer that it leads to. What your scopes
/// do not let you read is not looked for.
#[utoipa::path(tag = "answer a customer", params(SearchQuery), security(("token" = ["orders:read"])),
    responses((status = 200, body = SearchHits)))]
#[get("/search")]
async fn search_everywhere(call: Call, query: Params<SearchQuery>) -> Result<Reply> {
    let (actor, now, q) = (call.allow(Scope::OrdersRead)?.clone(), call.now, query.0.q);
    Reply::ok(&call.read(move |tx| search::everywhere(tx, &actor, now, &q)).await?)
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(customer_overview).service(guest_overview).service(search_everywhere);
    config.service(export_customer).service(export_guest);
}
