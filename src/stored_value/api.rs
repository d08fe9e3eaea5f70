//! Routes of gift cards and store credit. They are the merchant's, not a channel's: who is limited to channels has no business here.

use actix_web::{get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    model::{Adjustment, Credit, Entry, NewGiftCard, StoredValue, ValueChange, ValueKind, ValueState},
    second::{self, What},
    service::{self, Filter},
};
use crate::{
    countersign::{self, CountersignRequest, Passed},
    customers,
    db::Tx,
    error::{Code, Error, Result},
    http::{All, Body, Call, IfMatch, List, Mount, Page, RefPath, Reply},
    kernel::{
        Actor, Id, Instant, Money, Scope,
        ids::{CustomerId, StoredValueId},
        text::Text,
    },
};

/// A gift card that was issued, with its code.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct IssuedGiftCard {
    /// The code: whoever has it can pay. It is told this once and not kept.
    #[schema(example = "7KQX-2MPR-94TW-HBNC-VY3F")]
    code: String,
    #[serde(flatten)]
    value: StoredValue,
}

/// Issue a gift card
///
/// The answer holds its code, this once. Carts pay with it as far as it reaches.
#[utoipa::path(tag = "answer a customer", request_body = NewGiftCard, security(("token" = ["payments:write"])),
    responses((status = 201, body = IssuedGiftCard)))]
#[post("/gift-cards")]
async fn issue_gift_card(call: Call, body: Body<NewGiftCard>) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::PaymentsWrite)?.clone();
    let (ids, now, new, fresh) = ((Id::new(), Id::new()), call.now, body.value.clone(), service::fresh_code());
    call.command(&body.fingerprint, move |tx| {
        let value = service::issue(tx, (now, &actor), ids, &new, &fresh)?;
        let code = new.code.as_ref().map_or_else(|| fresh.clone(), ToString::to_string);
        let location = format!("/v1/ops/stored-values/{}", value.id);
        let version = value.version;
        Ok(Reply::created(&IssuedGiftCard { code, value })?.version(version).location(location).secret())
    })
    .await
}

/// A code to be looked up.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"code": "DEMO-GIFT-CARD-2026-FIFTY"}))]
struct CodeRequest {
    /// The code, in any case, with or without dashes.
    #[schema(value_type = String, min_length = 1, max_length = 60)]
    code: Text<60>,
}

/// Look a gift card up by its code
#[utoipa::path(tag = "answer a customer", request_body = CodeRequest, security(("token" = ["orders:read"])),
    responses((status = 200, body = StoredValue)))]
#[post("/gift-cards/lookup")]
async fn look_gift_card_up(call: Call, body: Body<CodeRequest>) -> Result<Reply> {
    call.allow_everywhere(Scope::OrdersRead)?;
    let code = body.value.code.clone();
    let found = call.read(move |tx| service::named(tx, &code)).await?;
    Ok(Reply::ok(&found)?.version(found.version))
}

/// What a list of stored values is narrowed by.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ValueQuery {
    /// Gift cards or store credit.
    #[param(inline)]
    kind: Option<ValueKind>,
    /// Those of a customer.
    #[param(value_type = Option<String>)]
    customer_id: Option<CustomerId>,
}

/// List gift cards and store credit
///
/// The newest first.
#[utoipa::path(tag = "answer a customer", params(ValueQuery), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<StoredValue>)))]
#[get("/stored-values")]
async fn list_stored_values(call: Call, query: List<ValueQuery>) -> Result<Reply> {
    call.allow_everywhere(Scope::OrdersRead)?;
    let filter = Filter { kind: query.filter.kind, customer: query.filter.customer_id };
    let read = move |tx: &mut Tx, before, limit| service::page(tx, &filter, before, limit);
    query.answer(&call, |value: &StoredValue| value.id, read).await
}

/// Read a gift card or a store credit
#[utoipa::path(tag = "answer a customer", params(("id" = inline(StoredValueId), Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = StoredValue)))]
#[get("/stored-values/{id}")]
async fn read_stored_value(call: Call, path: RefPath<StoredValueId>) -> Result<Reply> {
    call.allow_everywhere(Scope::OrdersRead)?;
    let id = path.0;
    let value = call.read(move |tx| service::read(tx, id)).await?;
    Ok(Reply::ok(&value)?.version(value.version))
}

/// Change a gift card or a store credit
///
/// Block it or let it go, change until when it is good, note something. What carts and orders have set aside stays theirs.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(StoredValueId), Path), IfMatch), request_body = ValueChange,
    security(("token" = ["payments:write"])), responses((status = 200, body = StoredValue)))]
#[patch("/stored-values/{id}")]
async fn change_stored_value(call: Call, path: RefPath<StoredValueId>, body: Body<ValueChange>) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::PaymentsWrite)?.clone();
    let (id, now, expected, fresh, change) = (path.0, call.now, call.if_match()?, Id::new(), body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let changed = service::change(tx, (now, &actor), fresh, id, expected, &change)?;
        Ok(Reply::ok(&changed)?.version(changed.version))
    })
    .await
}

/// The answer where staff give something: what it is worth now, or what waits for a second person.
fn given(done: Passed<StoredValue>) -> Result<Reply> {
    match done {
        Passed::Done(value) => Ok(Reply::ok(&value)?.version(value.version)),
        Passed::Waits(request) => request.accepted(),
    }
}

/// Correct a gift card or a store credit
///
/// Puts an amount on it, or takes one off, at most what is not set aside. Above what one person gives in a day alone (`second_person` of any
/// channel) nothing is put on yet: the answer is 202 with the request that somebody else approves.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(StoredValueId), Path)), request_body = Adjustment,
    security(("token" = ["payments:write"])), responses((status = 200, body = StoredValue), (status = 202, body = CountersignRequest)))]
#[post("/stored-values/{id}/adjust")]
async fn adjust_stored_value(call: Call, path: RefPath<StoredValueId>, body: Body<Adjustment>) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::PaymentsWrite)?.clone();
    let (id, now, entry, what) = (path.0, call.now, Id::new(), body.value.clone());
    let asked = (Id::new(), Id::new());
    call.command(&body.fingerprint, move |tx| {
        let done = countersign::or_ask(
            tx,
            (now, &actor),
            asked,
            |tx| service::adjust(tx, (now, &actor), entry, id, &what),
            |_| Ok(second::wanted(What::Adjust { value: id, body: what.clone() })),
        )?;
        given(done)
    })
    .await
}

/// List the changes of a gift card or a store credit
///
/// Its ledger, the newest first: they sum to its balance, and to what is set aside.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(StoredValueId), Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<Entry>)))]
#[get("/stored-values/{id}/entries")]
async fn list_stored_value_entries(call: Call, path: RefPath<StoredValueId>, query: List<All>) -> Result<Reply> {
    call.allow_everywhere(Scope::OrdersRead)?;
    let id = path.0;
    let read = move |tx: &mut Tx, before, limit| {
        service::read(tx, id)?;
        service::entries(tx, id, before, limit)
    };
    query.answer(&call, |entry: &Entry| (entry.version, entry.id), read).await
}

/// Give a customer store credit
///
/// To what they have in the currency. They pay with it in their carts when they are signed in. Above what one person gives in a day alone
/// (`second_person` of any channel) nothing is given yet: the answer is 202 with the request that somebody else approves.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CustomerId), Path)), request_body = Credit,
    security(("token" = ["payments:write"])), responses((status = 200, body = StoredValue), (status = 202, body = CountersignRequest)))]
#[post("/customers/{id}/store-credit")]
async fn give_store_credit(call: Call, path: RefPath<CustomerId>, body: Body<Credit>) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::PaymentsWrite)?.clone();
    let (id, now, fresh, credit) = (path.0, call.now, (Id::new(), Id::new()), body.value.clone());
    let asked = (Id::new(), Id::new());
    call.command(&body.fingerprint, move |tx| {
        let done = countersign::or_ask(
            tx,
            (now, &actor),
            asked,
            |tx| service::credit(tx, (now, &actor), fresh, id, &credit),
            |_| Ok(second::wanted(What::Credit { customer: id, body: credit.clone() })),
        )?;
        given(done)
    })
    .await
}

/// What whoever has a gift card's code may know of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct GiftCardBalance {
    /// The last four characters of its code.
    #[schema(example = "K7QX")]
    code_end: Option<String>,
    /// Whether it can be paid with.
    state: ValueState,
    /// What can be paid with it now: nothing where it is blocked or has expired.
    available: Money,
    /// Until when it can be paid with, exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Instant>,
}

/// Look at a gift card
///
/// What can be paid with it. So that codes can not be found by trying, an address may ask so often only.
#[utoipa::path(tag = "cart", request_body = CodeRequest, responses((status = 200, body = GiftCardBalance)))]
#[post("/gift-cards/balance")]
async fn look_at_gift_card(call: Call, body: Body<CodeRequest>) -> Result<Reply> {
    call.state.limits.check_coupon(call.request())?;
    let (code, now) = (body.value.code.clone(), call.now);
    let (card, available) = call.read(move |tx| service::payable(tx, now, &code)).await?;
    let StoredValue { code_end, state, expires_at, .. } = card;
    Ok(Reply::ok(&GiftCardBalance { code_end, state, available, expires_at })?.secret())
}

/// A customer's store credit.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct StoreCredit {
    /// What they can pay with now, of each currency: nothing of what is blocked.
    items: Vec<Money>,
}

/// Read my store credit
#[utoipa::path(tag = "my account", security(("channel_key" = [], "token" = [])), responses((status = 200, body = StoreCredit)))]
#[get("/me/store-credit")]
async fn read_my_store_credit(call: Call) -> Result<Reply> {
    let identity = match &call.actor {
        Actor::Shopper(shopper) => shopper.identity.clone(),
        _ => None,
    };
    let detail = "sign in: send the customer's token as Authorization: Bearer";
    let identity = identity.ok_or_else(|| Error::problem(Code::Unauthenticated, detail))?;
    let now = call.now;
    let credits = call.read(move |tx| match customers::find(tx, &identity)? {
        Some(customer) => service::payable_credits(tx, now, customer),
        None => Ok(Vec::new()),
    });
    Reply::ok(&StoreCredit { items: credits.await? })
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(issue_gift_card).service(look_gift_card_up).service(give_store_credit);
    config.service(list_stored_values).service(read_stored_value).service(change_stored_value);
    config.service(adjust_stored_value).service(list_stored_value_entries);
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(look_at_gift_card).service(read_my_store_credit);
}
