//! Routes of customers: staff see all of them, customers themselves. A customer is the merchant's, not a channel's: who is
//! limited to channels has no business here, and sees of customers what stands on the orders of these.

use actix_web::{delete, get, patch, post};
use serde::Deserialize;

use super::{
    book::{BookChange, NewBookEntry},
    companies,
    model::{Customer, CustomerChange, NewCustomer, Profile, ProfileChange},
    service::{self, By, Filter},
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    http::{Body, Call, IfMatch, List, Mount, Page, RefPath, Reply, idempotency::Fingerprint, paging},
    kernel::{
        Actor, Id, Scope,
        actor::Identity,
        ids::{AddressId, CompanyId, CustomerId},
        text::{Email, fold},
    },
};

/// Make a customer
#[utoipa::path(tag = "answer a customer", request_body = NewCustomer, security(("token" = ["customers:write"])),
    responses((status = 201, body = Customer)))]
#[post("/customers")]
async fn create_customer(call: Call, body: Body<NewCustomer>) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::CustomersWrite)?.clone();
    // Taken outside the transaction, so that the range is not held up by it.
    let number = match &body.number {
        Some(_) => String::new(),
        None => service::number(call.state.db.next_number(service::NUMBERS).await?),
    };
    let (ids, now, new) = ((Id::new(), Id::new()), call.now, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let made = service::create(tx, (now, &actor), ids, &number, &new)?;
        Ok(Reply::created(&made)?.version(made.version).location(format!("/v1/ops/customers/{}", made.id)))
    })
    .await
}

/// What a list of customers is narrowed by.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CustomerQuery {
    /// Exactly this number.
    number: Option<String>,
    /// This e-mail address; case does not matter.
    email: Option<String>,
    /// Exactly this group.
    group: Option<String>,
    /// Those who buy for this company.
    #[param(value_type = Option<String>)]
    company_id: Option<CompanyId>,
    /// The beginning of the name; umlauts and accents do not matter.
    name: Option<String>,
}

impl CustomerQuery {
    fn filter(&self) -> Result<Filter> {
        let odd = |detail: &str, name: &str| Error::problem(Code::InvalidQuery, detail.to_owned()).at(name);
        let email = self.email.as_deref().map(Email::new).transpose().map_err(|error| odd(&error.0, "email"))?;
        let name = self.name.as_deref().map(fold);
        if name.as_ref().is_some_and(String::is_empty) {
            return Err(odd("name needs letters or digits", "name"));
        }
        for (value, name) in [(&self.number, "number"), (&self.group, "group")] {
            if value.as_ref().is_some_and(|value| value.contains('\0')) {
                return Err(odd("a NUL character is not allowed", name));
            }
        }
        let trimmed = |text: &Option<String>| text.as_deref().map(|text| text.trim().to_owned());
        let company = self.company_id;
        Ok(Filter { number: trimmed(&self.number), email, group: trimmed(&self.group), company, phone: None, name })
    }
}

/// List customers
///
/// In the order in which they were made; with `name` in the order of their names.
#[utoipa::path(tag = "answer a customer", params(CustomerQuery), security(("token" = ["customers:read"])),
    responses((status = 200, body = Page<Customer>)))]
#[get("/customers")]
async fn list_customers(call: Call, query: List<CustomerQuery>) -> Result<Reply> {
    call.allow_everywhere(Scope::CustomersRead)?;
    let filter = query.filter.filter()?;
    let (named, counted) = (filter.name.is_some(), filter.clone());
    let key = move |last: &Customer| (named.then(|| fold(last.name.as_deref().unwrap_or_default())), last.id);
    let count = move |tx: &mut Tx| service::count(tx, &counted, paging::COUNT_CAP);
    let read = move |tx: &mut Tx, after, limit| service::page(tx, &filter, paging::named_place(after, named)?, limit);
    query.answer_counted(&call, key, count, read).await
}

/// Read a customer
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CustomerId), Path)),
    security(("token" = ["customers:read"])),
    responses((status = 200, body = Customer)))]
#[get("/customers/{id}")]
async fn read_customer(call: Call, path: RefPath<CustomerId>) -> Result<Reply> {
    call.allow_everywhere(Scope::CustomersRead)?;
    let id = path.0;
    let customer = call.read(move |tx| service::read(tx, id)).await?.ok_or_else(|| Error::not_found("customer"))?;
    Ok(Reply::ok(&customer)?.version(customer.version))
}

/// Change a customer
///
/// Send the `ETag` you have seen as `If-Match`.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CustomerId), Path), IfMatch), request_body = CustomerChange,
    security(("token" = ["customers:write"])), responses((status = 200, body = Customer)))]
#[patch("/customers/{id}")]
async fn update_customer(call: Call, path: RefPath<CustomerId>, body: Body<CustomerChange>) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::CustomersWrite)?.clone();
    let (id, now, expected, change) = (path.0, call.now, call.if_match()?, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let changed = service::update(tx, (now, &actor), id, expected, &change)?;
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// Add an address to a customer
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CustomerId), Path), IfMatch), request_body = NewBookEntry,
    security(("token" = ["customers:write"])), responses((status = 201, body = Customer)))]
#[post("/customers/{id}/addresses")]
async fn add_customer_address(call: Call, path: RefPath<CustomerId>, body: Body<NewBookEntry>) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::CustomersWrite)?.clone();
    let (id, now, expected, fresh, new) = (path.0, call.now, call.if_match()?, Id::new(), body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let changed = service::add_address(tx, (now, &actor), id, expected, fresh, &new)?;
        Ok(Reply::created(&changed)?.version(changed.version))
    })
    .await
}

/// Change an address of a customer
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CustomerId), Path),
    ("address_id" = inline(AddressId), Path), IfMatch),
    request_body = BookChange, security(("token" = ["customers:write"])), responses((status = 200, body = Customer)))]
#[patch("/customers/{id}/addresses/{address_id}")]
async fn change_customer_address(
    call: Call,
    path: RefPath<(CustomerId, AddressId)>,
    body: Body<BookChange>,
) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::CustomersWrite)?.clone();
    let ((id, address), now, expected, change) = (path.0, call.now, call.if_match()?, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let changed = service::change_address(tx, (now, &actor), id, expected, address, &change)?;
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// Remove an address of a customer
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CustomerId), Path),
    ("address_id" = inline(AddressId), Path), IfMatch),
    security(("token" = ["customers:write"])), responses((status = 200, body = Customer)))]
#[delete("/customers/{id}/addresses/{address_id}")]
async fn remove_customer_address(call: Call, path: RefPath<(CustomerId, AddressId)>) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::CustomersWrite)?.clone();
    let ((id, address), now, expected) = (path.0, call.now, call.if_match()?);
    call.command(&Fingerprint::none(), move |tx| {
        let changed = service::remove_address(tx, (now, &actor), id, expected, address)?;
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// Who is signed in at the storefront.
fn signed_in(call: &Call) -> Result<Identity> {
    match &call.actor {
        Actor::Shopper(shopper) => shopper.identity.clone(),
        _ => None,
    }
    .ok_or_else(|| Error::problem(Code::Unauthenticated, "sign in: send the customer's token as Authorization: Bearer"))
}

/// Who is signed in at the storefront, as a customer: at the first use of a sign-in they are made, or found by the verified e-mail address.
///
/// # Errors
/// `unauthenticated`; what the database says.
pub async fn known(call: &Call) -> Result<Identity> {
    let identity = signed_in(call)?;
    let asked = identity.clone();
    if call.read(move |tx| service::find(tx, &asked)).await?.is_none() {
        let (actor, now, fresh, who) = (call.actor.clone(), call.now, Id::new(), identity.clone());
        call.state.db.write(move |tx| service::find_or_link(tx, (now, &actor), fresh, &who)).await?;
    }
    Ok(identity)
}

fn profile(customer: Customer) -> Result<Reply> {
    let version = customer.version;
    Ok(Reply::ok(&Profile::from(customer))?.version(version))
}

/// Read my profile
///
/// At the first use of a sign-in its customer is made, or found by the verified e-mail address.
#[utoipa::path(tag = "my account", security(("channel_key" = [], "token" = [])), responses((status = 200, body = Profile)))]
#[get("/me")]
async fn read_me(call: Call) -> Result<Reply> {
    let (identity, now, fresh) = (signed_in(&call)?, call.now, Id::new());
    let asked = identity.clone();
    let known = call.read(move |tx| service::by_login(tx, &asked)).await?;
    match known {
        Some(customer) => profile(customer),
        None => {
            let actor = call.actor.clone();
            let link = move |tx: &mut Tx| service::find_or_link(tx, (now, &actor), fresh, &identity);
            profile(call.state.db.write(link).await?)
        }
    }
}

/// Change my profile
///
/// Send the `ETag` you have seen as `If-Match`.
#[utoipa::path(tag = "my account", params(IfMatch), request_body = ProfileChange, security(("channel_key" = [], "token" = [])),
    responses((status = 200, body = Profile)))]
#[patch("/me")]
async fn change_me(call: Call, body: Body<ProfileChange>) -> Result<Reply> {
    let change = CustomerChange::from(body.value.clone());
    mine(&call, &body.fingerprint, move |tx, by, me, expected| profile(service::update(tx, by, me, expected, &change)?))
        .await
}

/// Add an address to my book
#[utoipa::path(tag = "my account", params(IfMatch), request_body = NewBookEntry, security(("channel_key" = [], "token" = [])),
    responses((status = 201, body = Profile)))]
#[post("/me/addresses")]
async fn add_my_address(call: Call, body: Body<NewBookEntry>) -> Result<Reply> {
    let (new, fresh) = (body.value.clone(), Id::new());
    mine(&call, &body.fingerprint, move |tx, by, me, expected| {
        let changed = service::add_address(tx, by, me, expected, fresh, &new)?;
        let version = changed.version;
        Ok(Reply::created(&Profile::from(changed))?.version(version))
    })
    .await
}

/// Change an address in my book
#[utoipa::path(tag = "my account", params(("id" = inline(AddressId), Path), IfMatch), request_body = BookChange,
    security(("channel_key" = [], "token" = [])), responses((status = 200, body = Profile)))]
#[patch("/me/addresses/{id}")]
async fn change_my_address(call: Call, path: RefPath<AddressId>, body: Body<BookChange>) -> Result<Reply> {
    let (address, change) = (path.0, body.value.clone());
    mine(&call, &body.fingerprint, move |tx, by, me, expected| {
        profile(service::change_address(tx, by, me, expected, address, &change)?)
    })
    .await
}

/// Remove an address from my book
#[utoipa::path(tag = "my account", params(("id" = inline(AddressId), Path), IfMatch),
    security(("channel_key" = [], "token" = [])),
    responses((status = 200, body = Profile)))]
#[delete("/me/addresses/{id}")]
async fn remove_my_address(call: Call, path: RefPath<AddressId>) -> Result<Reply> {
    let address = path.0;
    mine(&call, &Fingerprint::none(), move |tx, by, me, expected| {
        profile(service::remove_address(tx, by, me, expected, address)?)
    })
    .await
}

/// Runs a command of the signed-in customer on their own record.
async fn mine(
    call: &Call,
    fingerprint: &Fingerprint,
    work: impl Fn(&mut Tx, By<'_>, CustomerId, Option<i64>) -> Result<Reply> + Send + 'static,
) -> Result<Reply> {
    let actor = call.actor.clone();
    let (identity, now, fresh, expected) = (signed_in(call)?, call.now, Id::new(), call.if_match()?);
    call.command(fingerprint, move |tx| {
        let me = service::find_or_link(tx, (now, &actor), fresh, &identity)?;
        work(tx, (now, &actor), me.id, expected)
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_customer).service(list_customers).service(read_customer).service(update_customer);
    config.service(add_customer_address).service(change_customer_address).service(remove_customer_address);
    companies::api::ops(config);
    companies::members_api::ops(config);
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(read_me).service(change_me);
    companies::members_api::store(config);
    config.service(add_my_address).service(change_my_address).service(remove_my_address);
}
