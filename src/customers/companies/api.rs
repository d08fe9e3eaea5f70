//! Routes of companies: for staff. As customers are, they are the merchant's and not a channel's.

use actix_web::{get, patch, post};
use serde::Deserialize;

use super::{
    model::{Company, CompanyChange, NewCompany},
    service::{self, Filter},
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    http::{Body, Call, IfMatch, List, Mount, Page, RefPath, Reply, paging},
    kernel::{Id, Scope, ids::CompanyId, text::fold},
};

/// Make a company
///
/// Customers buy for it once they are given its `company_id`; price lists and promotions can be for it.
#[utoipa::path(tag = "answer a customer", request_body = NewCompany, security(("token" = ["customers:write"])),
    responses((status = 201, body = Company)))]
#[post("/companies")]
async fn create_company(call: Call, body: Body<NewCompany>) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::CustomersWrite)?.clone();
    let (ids, now, new) = ((Id::new(), Id::new()), call.now, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let made = service::create(tx, (now, &actor), ids, &new)?;
        Ok(Reply::created(&made)?.version(made.version).location(format!("/v1/ops/companies/{}", made.id)))
    })
    .await
}

/// What a list of companies is narrowed by.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CompanyQuery {
    /// Exactly this number.
    number: Option<String>,
    /// The beginning of the name; umlauts and accents do not matter.
    name: Option<String>,
    /// Whether they are active.
    active: Option<bool>,
}

impl CompanyQuery {
    fn filter(&self) -> Result<Filter> {
        let odd = |detail: &str, name: &str| Error::problem(Code::InvalidQuery, detail.to_owned()).at(name);
        let name = self.name.as_deref().map(fold);
        if name.as_ref().is_some_and(String::is_empty) {
            return Err(odd("name needs letters or digits", "name"));
        }
        if self.number.as_ref().is_some_and(|number| number.contains('\0')) {
            return Err(odd("a NUL character is not allowed", "number"));
        }
        let number = self.number.as_deref().map(|number| number.trim().to_owned());
        Ok(Filter { number, name, active: self.active })
    }
}

/// List the companies
///
/// In the order in which they were made; with `name` in the order of their names.
#[utoipa::path(tag = "answer a customer", params(CompanyQuery), security(("token" = ["customers:read"])),
    responses((status = 200, body = Page<Company>)))]
#[get("/companies")]
async fn list_companies(call: Call, query: List<CompanyQuery>) -> Result<Reply> {
    call.allow_everywhere(Scope::CustomersRead)?;
    let filter = query.filter.filter()?;
    let named = filter.name.is_some();
    let key = move |last: &Company| (named.then(|| fold(&last.name)), last.id);
    let read = move |tx: &mut Tx, after, limit| service::page(tx, &filter, paging::named_place(after, named)?, limit);
    query.answer(&call, key, read).await
}

/// Read a company
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CompanyId), Path)),
    security(("token" = ["customers:read"])), responses((status = 200, body = Company)))]
#[get("/companies/{id}")]
async fn read_company(call: Call, path: RefPath<CompanyId>) -> Result<Reply> {
    call.allow_everywhere(Scope::CustomersRead)?;
    let id = path.0;
    let company = call.read(move |tx| service::read(tx, id)).await?.ok_or_else(service::unknown)?;
    Ok(Reply::ok(&company)?.version(company.version))
}

/// Change a company
///
/// Send the `ETag` you have seen as `If-Match`. Of one that is not active, price lists and promotions are for nobody: carts are
/// priced so from their next change on. None is ever removed.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CompanyId), Path), IfMatch), request_body = CompanyChange,
    security(("token" = ["customers:write"])), responses((status = 200, body = Company)))]
#[patch("/companies/{id}")]
async fn update_company(call: Call, path: RefPath<CompanyId>, body: Body<CompanyChange>) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::CustomersWrite)?.clone();
    let (ids, now, expected, change) = ((path.0, Id::new()), call.now, call.if_match()?, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let changed = service::update(tx, (now, &actor), ids, expected, &change)?;
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_company).service(list_companies).service(read_company).service(update_company);
}
