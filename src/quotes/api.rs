//! Routes of quotes: for customers who ask and accept, for staff who offer.

use actix_web::{get, post};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    model::{Message, Offer, Quote, QuoteCommand, QuoteState},
    second,
    service::{self, Filter, Whose},
};
use crate::{
    carts::Context,
    checkout::{self, CheckoutResult, CompleteRequest},
    countersign::{self, CountersignRequest, Passed},
    customers,
    db::Tx,
    error::Result,
    http::{Body, Call, IfMatch, List, Mount, Page, RefPath, Reply},
    kernel::{
        Id, Scope,
        ids::{CartId, CompanyId, QuoteId},
    },
};

fn shown(quote: &Quote) -> Result<Reply> {
    Ok(Reply::ok(quote)?.version(quote.version))
}

/// Who is signed in, and where: quotes are told and accepted in their own channel only.
async fn whose(call: &Call) -> Result<Whose> {
    Ok((customers::api::known(call).await?, call.shopper()?.channel))
}

/// Ask for a quote
///
/// For the prices of what is in a cart of mine. The cart stays as it is; staff offer, and what I accept becomes a cart of the quote's own.
#[utoipa::path(tag = "check out", params(("id" = inline(CartId), Path)), request_body = Message,
    security(("channel_key" = [], "token" = [])), responses((status = 201, body = Quote)))]
#[post("/carts/{id}/quote-requests")]
async fn ask_for_quote(call: Call, path: RefPath<CartId>, body: Body<Message>) -> Result<Reply> {
    customers::api::known(&call).await?;
    let number = format!("Q-{}", call.state.db.next_number("quotes").await?);
    let (actor, secret, now) = (call.actor.clone(), call.state.secret.clone(), call.now);
    let (ids, cart, said) = ((Id::new(), Id::new(), Id::new()), path.0, body.value.clone());
    call.command(&body.fingerprint, move |tx| {
        let quote = service::ask(tx, (now, &actor, &secret), (ids, &number), (cart, &said))?;
        Ok(Reply::created(&quote)?.version(quote.version).location(format!("/v1/store/me/quotes/{}", quote.id)))
    })
    .await
}

/// What a list of quotes is narrowed by.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MyQuoteQuery {
    /// Those that stand there.
    #[param(inline)]
    state: Option<QuoteState>,
}

/// List my quotes
///
/// The newest first.
#[utoipa::path(tag = "my account", params(MyQuoteQuery), security(("channel_key" = [], "token" = [])),
    responses((status = 200, body = Page<Quote>)))]
#[get("/me/quotes")]
async fn list_my_quotes(call: Call, query: List<MyQuoteQuery>) -> Result<Reply> {
    let (whose, state) = (whose(&call).await?, query.filter.state);
    let read = move |tx: &mut Tx, before, limit| {
        let filter = service::own(tx, &whose, state)?;
        service::page(tx, &filter, before, limit)
    };
    query.answer(&call, |quote: &Quote| quote.id, read).await
}

/// Read a quote of mine
#[utoipa::path(tag = "my account", params(("id" = inline(QuoteId), Path)), security(("channel_key" = [], "token" = [])),
    responses((status = 200, body = Quote)))]
#[get("/me/quotes/{id}")]
async fn read_my_quote(call: Call, path: RefPath<QuoteId>) -> Result<Reply> {
    let (whose, id) = (whose(&call).await?, path.0);
    shown(&call.read(move |tx| service::mine(tx, &whose, id)).await?)
}

async fn mine(call: Call, id: QuoteId, body: Body<Message>, command: QuoteCommand) -> Result<Reply> {
    let (whose, actor, now, ids) = (whose(&call).await?, call.actor.clone(), call.now, (id, Id::new()));
    let said = body.value.clone();
    call.command(&body.fingerprint, move |tx| {
        shown(&service::by_customer(tx, (now, &actor), &whose, ids, (command, &said))?)
    })
    .await
}

/// Ask for another offer
#[utoipa::path(tag = "my account", params(("id" = inline(QuoteId), Path)), request_body = Message,
    security(("channel_key" = [], "token" = [])), responses((status = 200, body = Quote)))]
#[post("/me/quotes/{id}/counter")]
async fn counter_quote(call: Call, path: RefPath<QuoteId>, body: Body<Message>) -> Result<Reply> {
    mine(call, path.0, body, QuoteCommand::Counter).await
}

/// Decline an offer
#[utoipa::path(tag = "my account", params(("id" = inline(QuoteId), Path)), request_body = Message,
    security(("channel_key" = [], "token" = [])), responses((status = 200, body = Quote)))]
#[post("/me/quotes/{id}/decline")]
async fn decline_my_quote(call: Call, path: RefPath<QuoteId>, body: Body<Message>) -> Result<Reply> {
    mine(call, path.0, body, QuoteCommand::Decline).await
}

/// Take a request back
#[utoipa::path(tag = "my account", params(("id" = inline(QuoteId), Path)), request_body = Message,
    security(("channel_key" = [], "token" = [])), responses((status = 200, body = Quote)))]
#[post("/me/quotes/{id}/withdraw")]
async fn withdraw_my_quote(call: Call, path: RefPath<QuoteId>, body: Body<Message>) -> Result<Reply> {
    mine(call, path.0, body, QuoteCommand::Withdraw).await
}

/// Accept an offer and order it
///
/// Takes the payment and places the order at the prices that were offered, as completing a cart does, and answers as that does. However often
/// and however concurrently it is sent, one quote becomes one order. A payment that fails leaves the quote accepted: send it again while
/// it is valid, or mend the cart that it names (`cart_id`). With `If-Match` exactly the offer of that version is accepted, whatever staff
/// offer meanwhile; sent again, the same header goes on being right.
#[utoipa::path(tag = "my account", params(("id" = inline(QuoteId), Path), IfMatch), request_body = CompleteRequest,
    security(("channel_key" = [], "token" = [])), responses(
    (status = 201, description = "The order.", body = CheckoutResult),
    (status = 200, description = "The payment failed; the cart is open again.", body = CheckoutResult),
    (status = 202, description = "The customer has to act, or the provider has not answered yet.", body = CheckoutResult)))]
#[post("/me/quotes/{id}/accept")]
async fn accept_quote(call: Call, path: RefPath<QuoteId>, body: Body<CompleteRequest>) -> Result<Reply> {
    let (whose, id) = (whose(&call).await?, path.0);
    let (channel, client) = (whose.1, checkout::client_of(&call));
    let key = call.idempotency_key(&body.fingerprint)?;
    let context = Context::of(&call.state, channel, call.now).await?;
    let (actor, event, expected) = (call.actor.clone(), Id::new(), call.if_match()?);
    // Under no key: done again, it is done once, and then the checkout answers by the key.
    let accepted =
        call.state.db.write(move |tx| service::accept(tx, &context, (&actor, &whose), (id, event, expected)));
    let cart = accepted.await?.cart_id;
    let reply =
        checkout::complete_for(&call.state, (call.actor.clone(), client), channel, cart, body.value, key).await?;
    let (now, event) = (call.now, Id::new());
    call.state.db.write(move |tx| service::note_order(tx, now, (id, event))).await?;
    Ok(reply)
}

/// What a list of quotes is narrowed by.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct QuoteQuery {
    /// Those of a company.
    #[param(value_type = Option<String>)]
    company_id: Option<CompanyId>,
    /// Those that stand there.
    #[param(inline)]
    state: Option<QuoteState>,
}

/// List quotes
///
/// The newest first; `state=requested` are those that wait for an offer.
#[utoipa::path(tag = "answer a customer", params(QuoteQuery), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<Quote>)))]
#[get("/quotes")]
async fn list_quotes(call: Call, query: List<QuoteQuery>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?;
    let QuoteQuery { company_id, state } = query.filter.clone();
    let channels = actor.channels().map(<[_]>::to_vec);
    let filter = Filter { customer: None, company: company_id, state, channels };
    let read = move |tx: &mut Tx, before, limit| service::page(tx, &filter, before, limit);
    query.answer(&call, |quote: &Quote| quote.id, read).await
}

/// Read a quote
#[utoipa::path(tag = "answer a customer", params(("id" = inline(QuoteId), Path)), security(("token" = ["orders:read"])),
    responses((status = 200, body = Quote)))]
#[get("/quotes/{id}")]
async fn read_quote(call: Call, path: RefPath<QuoteId>) -> Result<Reply> {
    let (actor, id) = (call.allow(Scope::OrdersRead)?.clone(), path.0);
    shown(&call.read(move |tx| service::of_staff(tx, &actor, id)).await?)
}

/// Offer prices
///
/// For what a customer has asked for, or in place of an offer that they have not accepted. The order has these prices, explained as `quote`. Of
/// what is given away below the prices that the customer was shown no more than the credential's ceiling.
/// Above what one person gives alone (`second_person` of the channel) nothing is offered yet: the answer is 202 with the request that somebody
/// else approves.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(QuoteId), Path)), request_body = Offer,
    security(("token" = ["prices:override"])), responses((status = 200, body = Quote), (status = 202, body = CountersignRequest)))]
#[post("/quotes/{id}/offer")]
async fn offer_quote(call: Call, path: RefPath<QuoteId>, body: Body<Offer>) -> Result<Reply> {
    let actor = call.allow(Scope::PriceOverride)?.clone();
    let (now, ids, offer) = (call.now, (path.0, Id::new()), body.value.clone());
    let asked = (Id::new(), Id::new());
    call.command(&body.fingerprint, move |tx| {
        let done = countersign::or_ask(
            tx,
            (now, &actor),
            asked,
            |tx| service::offer(tx, (now, &actor), ids, &offer),
            |tx| second::wanted(tx, &actor, (ids.0, &offer)),
        )?;
        match done {
            Passed::Done(quote) => shown(&quote),
            Passed::Waits(request) => request.accepted(),
        }
    })
    .await
}

async fn theirs(call: Call, id: QuoteId, body: Body<Message>, command: QuoteCommand) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let (now, ids, said) = (call.now, (id, Id::new()), body.value.clone());
    call.command(&body.fingerprint, move |tx| shown(&service::by_staff(tx, (now, &actor), ids, (command, &said))?))
        .await
}

/// Make no offer
#[utoipa::path(tag = "answer a customer", params(("id" = inline(QuoteId), Path)), request_body = Message,
    security(("token" = ["orders:write"])), responses((status = 200, body = Quote)))]
#[post("/quotes/{id}/decline")]
async fn decline_quote(call: Call, path: RefPath<QuoteId>, body: Body<Message>) -> Result<Reply> {
    theirs(call, path.0, body, QuoteCommand::Decline).await
}

/// Take an offer back
///
/// As long as it is not accepted.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(QuoteId), Path)), request_body = Message,
    security(("token" = ["orders:write"])), responses((status = 200, body = Quote)))]
#[post("/quotes/{id}/withdraw")]
async fn withdraw_quote(call: Call, path: RefPath<QuoteId>, body: Body<Message>) -> Result<Reply> {
    theirs(call, path.0, body, QuoteCommand::Withdraw).await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(list_quotes).service(read_quote).service(offer_quote).service(decline_quote).service(withdraw_quote);
}

/// The routes of the store surface.
pub fn store(config: &mut Mount<'_>) {
    config.service(ask_for_quote).service(list_my_quotes).service(read_my_quote).service(counter_quote);
    config.service(decline_my_quote).service(withdraw_my_quote).service(accept_quote);
}
