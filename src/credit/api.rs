//! Routes of companies' credits. They are the merchant's, not a channel's: who is limited to channels has no business here.

use actix_web::{get, put};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    model::{Credit, CreditEntry, CreditRequest, Debt},
    service::{self, Filter},
};
use crate::{
    customers::{self, companies},
    db::Tx,
    error::{Error, Result},
    http::{All, Body, Call, List, Mount, Page, RefPath, Reply},
    kernel::{Id, Money, Scope, ids::CompanyId},
};

/// The credits of a company.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct CompanyCredits {
    /// One for each currency.
    items: Vec<Credit>,
}

/// Set how much a company may owe
///
/// Customers who buy for it can order on account (`on_account`) then, in this currency, up to the limit. What it owes already stays, also
/// above a lower limit.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CompanyId), Path)), request_body = CreditRequest,
    security(("token" = ["payments:write"])), responses((status = 200, body = Credit)))]
#[put("/companies/{id}/credit")]
async fn set_company_credit(call: Call, path: RefPath<CompanyId>, body: Body<CreditRequest>) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::PaymentsWrite)?.clone();
    let (id, now, entry, wanted) = (path.0, call.now, Id::new(), body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let credit = service::set(tx, (now, &actor), entry, id, &wanted)?;
        Ok(Reply::ok(&credit)?.version(credit.version))
    })
    .await
}

/// Read how much a company owes, and may
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CompanyId), Path)), security(("token" = ["customers:read"])),
    responses((status = 200, body = CompanyCredits)))]
#[get("/companies/{id}/credit")]
async fn read_company_credit(call: Call, path: RefPath<CompanyId>) -> Result<Reply> {
    call.allow_everywhere(Scope::CustomersRead)?;
    let id = path.0;
    let items = call.read(move |tx| {
        companies::require(tx, id)?;
        service::of_company(tx, id)
    });
    Reply::ok(&CompanyCredits { items: items.await? })
}

/// List the changes of what a company owes
///
/// Its ledger, by currency, the newest first: they sum to what is owed.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CompanyId), Path)), security(("token" = ["customers:read"])),
    responses((status = 200, body = Page<CreditEntry>)))]
#[get("/companies/{id}/credit-entries")]
async fn list_company_credit_entries(call: Call, path: RefPath<CompanyId>, query: List<All>) -> Result<Reply> {
    call.allow_everywhere(Scope::CustomersRead)?;
    let id = path.0;
    let read = move |tx: &mut Tx, after, limit| {
        companies::require(tx, id)?;
        service::entries(tx, id, after, limit)
    };
    let key = |entry: &CreditEntry| (entry.amount.currency().to_string(), entry.version);
    query.answer(&call, key, read).await
}

/// What a list of debts is narrowed by.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DebtQuery {
    /// Those of a company.
    #[param(value_type = Option<String>)]
    company_id: Option<CompanyId>,
    /// Those that are owed still, or not any more.
    open: Option<bool>,
    /// Those that should have been paid by now.
    #[serde(default)]
    overdue: bool,
}

/// List what companies owe
///
/// One for each order on account, those due first first. `overdue=true` are those to be reminded of.
#[utoipa::path(tag = "answer a customer", params(DebtQuery), security(("token" = ["customers:read"])),
    responses((status = 200, body = Page<Debt>)))]
#[get("/company-debts")]
async fn list_company_debts(call: Call, query: List<DebtQuery>) -> Result<Reply> {
    call.allow_everywhere(Scope::CustomersRead)?;
    let (now, DebtQuery { company_id, open, overdue }) = (call.now, query.filter.clone());
    let open = if overdue { Some(true) } else { open };
    let filter = Filter { company: company_id, due_before: overdue.then_some(now), open };
    let read = move |tx: &mut Tx, after, limit| service::page(tx, now, filter, after, limit);
    query.answer(&call, |debt: &Debt| (debt.due_at, debt.payment_id), read).await
}

/// A company's credit as those see it who buy for it.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct MyCompanyCredit {
    /// How much it may owe.
    limit: Money,
    /// How much it owes.
    used: Money,
    /// How much more it can buy.
    available: Money,
}

/// The credits of the company that a customer buys for.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct MyCompanyCredits {
    /// One for each currency.
    items: Vec<MyCompanyCredit>,
}

/// Read what my company may buy on account
#[utoipa::path(tag = "my account", security(("channel_key" = [], "token" = [])), responses((status = 200, body = MyCompanyCredits)))]
#[get("/me/company/credit")]
async fn read_my_company_credit(call: Call) -> Result<Reply> {
    let identity = customers::api::known(&call).await?;
    let found = call.read(move |tx| {
        let unknown = || Error::not_found("company of yours");
        let me = customers::find(tx, &identity)?.ok_or_else(unknown)?;
        let company = customers::standing(tx, me)?.company.ok_or_else(unknown)?;
        service::of_company(tx, company)
    });
    let mine = |credit: Credit| MyCompanyCredit { limit: credit.limit, used: credit.used, available: credit.available };
    Reply::ok(&MyCompanyCredits { items: found.await?.into_iter().map(mine).collect() })
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(set_company_credit).service(read_company_credit).service(list_company_credit_entries);
    config.service(list_company_debts);
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(read_my_company_credit);
}
