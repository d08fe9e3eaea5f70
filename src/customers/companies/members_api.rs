//! Routes of companies' members: for staff, and for those who look after their own company.

use actix_web::{delete, get, put};
use serde::Serialize;

use super::{
    members::{self, Member, MemberRequest},
    model::Company,
    service,
    terms::{CompanyRole, PaymentTerms, PurchaseOrderRule},
};
use crate::{
    customers::{self, Address},
    db::Tx,
    error::{Error, Result},
    http::{All, Body, Call, List, Mount, Page, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Money, Scope,
        actor::Identity,
        ids::{CompanyId, CustomerId},
    },
};

/// Say what a customer is to their company
///
/// A customer who buys for a company is a buyer without a limit until something else is said. What they order above their
/// `order_limit` is approved by an approver or an admin of the company first.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CompanyId), Path), ("customer_id" = inline(CustomerId), Path)),
    request_body = MemberRequest, security(("token" = ["customers:write"])), responses((status = 200, body = Member)))]
#[put("/companies/{id}/members/{customer_id}")]
async fn put_company_member(
    call: Call,
    path: RefPath<(CompanyId, CustomerId)>,
    body: Body<MemberRequest>,
) -> Result<Reply> {
    call.allow_everywhere(Scope::CustomersWrite)?;
    let (ids, now, wanted) = (path.0, call.now, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        service::require(tx, ids.0)?;
        Reply::ok(&members::put(tx, now, ids, &wanted)?)
    })
    .await
}

/// Make a member a buyer without a limit again
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CompanyId), Path), ("customer_id" = inline(CustomerId), Path)),
    security(("token" = ["customers:write"])), responses((status = 204)))]
#[delete("/companies/{id}/members/{customer_id}")]
async fn remove_company_member(call: Call, path: RefPath<(CompanyId, CustomerId)>) -> Result<Reply> {
    call.allow_everywhere(Scope::CustomersWrite)?;
    let (company, customer) = path.0;
    call.command(&Fingerprint::none(), move |tx| {
        members::remove(tx, company, customer)?;
        Ok(Reply::no_content())
    })
    .await
}

/// List the members of a company
///
/// Those of whom it was said what they are to it; all who buy for it are at `/v1/ops/customers?company_id=`.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CompanyId), Path)), security(("token" = ["customers:read"])),
    responses((status = 200, body = Page<Member>)))]
#[get("/companies/{id}/members")]
async fn list_company_members(call: Call, path: RefPath<CompanyId>, query: List<All>) -> Result<Reply> {
    call.allow_everywhere(Scope::CustomersRead)?;
    let id = path.0;
    let read = move |tx: &mut Tx, after, limit| {
        service::require(tx, id)?;
        members::members(tx, id, after, limit)
    };
    query.answer(&call, |last: &Member| last.customer_id, read).await
}

/// A company as those see it who buy for it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct MyCompany {
    /// Its id.
    id: CompanyId,
    /// Its number.
    number: String,
    /// Its name.
    name: String,
    /// Until when it pays what it buys on account.
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<PaymentTerms>,
    /// What its own number of an order has to be like.
    #[serde(skip_serializing_if = "Option::is_none")]
    purchase_order: Option<PurchaseOrderRule>,
    /// Where it is.
    addresses: Vec<Address>,
    /// What whoever asks is to it.
    role: CompanyRole,
    /// What an order of theirs may cost without being approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_limit: Option<Money>,
}

/// The company that whoever is signed in looks after.
fn admins(tx: &mut Tx, identity: &Identity) -> Result<CompanyId> {
    let me = customers::find(tx, identity)?.ok_or_else(|| Error::not_found("company of yours"))?;
    let (company, member) = members::of_customer(tx, me)?;
    match member.role {
        CompanyRole::Admin => Ok(company),
        _ => Err(Error::not_found("company that you look after")),
    }
}

/// Read my company
///
/// The one that I buy for, and what I am to it.
#[utoipa::path(tag = "my account", security(("channel_key" = [], "token" = [])), responses((status = 200, body = MyCompany)))]
#[get("/me/company")]
async fn read_my_company(call: Call) -> Result<Reply> {
    let identity = customers::api::known(&call).await?;
    let found = call.read(move |tx| {
        let unknown = || Error::not_found("company of yours");
        let me = customers::find(tx, &identity)?.ok_or_else(unknown)?;
        let (id, member) = members::of_customer(tx, me)?;
        let Company { number, name, terms, purchase_order, addresses, .. } =
            service::get(tx, id)?.ok_or_else(unknown)?;
        let (role, order_limit) = (member.role, member.order_limit);
        Ok(MyCompany { id, number, name, terms, purchase_order, addresses, role, order_limit })
    });
    Reply::ok(&found.await?)
}

/// List the members of my company
///
/// For its admins.
#[utoipa::path(tag = "my account", security(("channel_key" = [], "token" = [])), responses((status = 200, body = Page<Member>)))]
#[get("/me/company/members")]
async fn list_my_company_members(call: Call, query: List<All>) -> Result<Reply> {
    let identity = customers::api::known(&call).await?;
    let read = move |tx: &mut Tx, after, limit| {
        let company = admins(tx, &identity)?;
        members::members(tx, company, after, limit)
    };
    query.answer(&call, |last: &Member| last.customer_id, read).await
}

/// Say what somebody is to my company
///
/// For its admins, of those who buy for it.
#[utoipa::path(tag = "my account", params(("customer_id" = inline(CustomerId), Path)), request_body = MemberRequest,
    security(("channel_key" = [], "token" = [])), responses((status = 200, body = Member)))]
#[put("/me/company/members/{customer_id}")]
async fn put_my_company_member(call: Call, path: RefPath<CustomerId>, body: Body<MemberRequest>) -> Result<Reply> {
    let (identity, customer, now, wanted) = (customers::api::known(&call).await?, path.0, call.now, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let company = admins(tx, &identity)?;
        Reply::ok(&members::put(tx, now, (company, customer), &wanted)?)
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(put_company_member).service(remove_company_member).service(list_company_members);
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(read_my_company).service(list_my_company_members).service(put_my_company_member);
}
