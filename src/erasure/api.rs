//! Routes that erase customers and guests.

use actix_web::post;
use serde::{Deserialize, Serialize};

use super::sweep::Trail;
use crate::{
    amendments, approvals, back_in_stock, carts, countersign, customers,
    db::{Lane, Tx},
    drafts,
    error::{Error, Result},
    events, fulfilment,
    http::{
        Body, Call, Mount, NoBody, RefPath, Reply,
        idempotency::{Begun, Fingerprint, Key},
    },
    kernel::{
        Actor, Id, Instant, Scope,
        ids::{CartId, CustomerId, EventId, JobId, OrderId},
        text::Email,
    },
    orders::{self, Owned, Person},
    payments, quotes, recurring, returns, risk, stored_value, templates, warranties,
};

/// How many carts are written at once.
const BITE: i64 = 500;
/// How many orders have what is kept beside them erased in one transaction.
const AROUND: usize = 100;

/// A customer who was erased.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ErasedCustomer {
    /// Their id, which stays.
    pub customer_id: CustomerId,
    /// Their number, which stays.
    pub number: String,
    /// When they were erased, the first time.
    pub erased_at: Option<Instant>,
    /// How many orders are theirs; none of them tells any more whose.
    pub orders: usize,
    /// How many orders guests have placed with the address that was theirs: they may be theirs too, or not. Absent when they
    /// had no address any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guest_orders: Option<usize>,
}

/// Erase a customer
///
/// For good. Takes names, addresses, e-mail, telephone numbers, consent and sign-in from the customer, their orders, carts and
/// payments, what they wait for, from the events that tell of them, and from stored answers. The customer's number, the orders' numbers, goods
/// and sums stay. Refused with `state_conflict` while an order of theirs is open or money of it is under way; `orders` names
/// which. It can be sent again: what was erased stays so, what broke off goes on.
///
/// What guests have ordered with the same e-mail address is not touched: `guest_orders` counts it, `POST /v1/ops/guests/erase`
/// erases it. Other systems learn of it by `customer.erased.v1` and `order.erased.v1`.
#[utoipa::path(tag = "answer a customer", params(("id" = inline(CustomerId), Path)),
    security(("token" = ["customers:erase"])),
    responses((status = 200, body = ErasedCustomer)))]
#[post("/customers/{id}/erase")]
async fn erase_customer(call: Call, path: RefPath<CustomerId>, _: NoBody) -> Result<Reply> {
    let (id, actor) = (path.0, call.allow_everywhere(Scope::CustomersErase)?.clone());
    let key = call.idempotency_key(&Fingerprint::none())?;
    if let Some(reply) = answered(&call, key.as_ref()).await? {
        return Ok(reply);
    }
    let (customer, owned, guest_orders) = call.read(move |tx| look_at(tx, id)).await?;
    refuse_open(&owned)?;
    let trail = Trail::of(customer.email.as_ref().map(Email::as_str));
    let mut trail = trail.sparing(key.as_ref().map(|key| key.id));
    trail.add(id.to_string());
    owned.iter().for_each(|order| trail.add(order.id.to_string()));
    let (bare, telling): (Vec<_>, Vec<_>) = owned.iter().cloned().partition(|order| order.is_bare);
    for order in &telling {
        trail.add_carts(&erase_order(&call, &actor, order, None).await?);
    }
    // These tell nothing themselves, as after an earlier request; what is around them may have been left undone.
    for bite in bare.chunks(AROUND) {
        let (now, bite) = (call.now, bite.to_vec());
        trail.add_carts(&write(&call, move |tx| erase_around(tx, now, &bite)).await?);
    }
    let (now, job, done): (_, JobId, _) = (call.now, Id::new(), owned.clone());
    let rest = move |tx: &mut Tx| {
        let (erased, carts, waiting) = erase_rest(tx, (now, &actor), id, &done)?;
        let mut trail = trail.clone();
        trail.add_carts(&carts);
        waiting.into_iter().for_each(|stream| trail.add(stream));
        trail.sweep_later(tx, now, job)?;
        Ok(erased)
    };
    let erased = write(&call, rest).await?;
    let customer_id = erased.id;
    let orders = owned.len();
    let reply =
        ErasedCustomer { customer_id, number: erased.number, erased_at: erased.erased_at, orders, guest_orders };
    keep(&call, key, Reply::ok(&reply)?).await
}

fn look_at(tx: &mut Tx, id: CustomerId) -> Result<(customers::Customer, Vec<Owned>, Option<usize>)> {
    let customer = customers::by_id(tx, id)?.ok_or_else(|| Error::not_found("customer"))?;
    let owned = orders::of_person(tx, &Person::Customer(id))?;
    let guests = customer.email.as_ref().map(|email| orders::of_person(tx, &Person::Guest(email.folded())));
    let guests = guests.transpose()?.map(|orders| orders.len());
    Ok((customer, owned, guests))
}

/// The last transaction of a customer: the carts that became no order, and the customer. With the customer held, no cart
/// becomes theirs that is not seen here; with their carts locked nothing can be ordered by them, so an order that was placed
/// meanwhile is seen.
fn erase_rest(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    id: CustomerId,
    done: &[Owned],
) -> Result<(customers::Customer, Vec<CartId>, Vec<String>)> {
    customers::lock(tx, id)?;
    let carts = carts::of_customer(tx, id)?;
    carts::erase(tx, now, &carts)?;
    let orders = orders::of_person(tx, &Person::Customer(id))?;
    if let Some(new) = orders.iter().find(|order| done.iter().all(|known| known.id != order.id)) {
        return Err(open([new]));
    }
    payments::erase(tx, &carts)?;
    risk::erase(tx, &carts)?;
    drafts::erase(tx, &carts)?;
    stored_value::erase(tx, id)?;
    approvals::erase(tx, id)?;
    quotes::erase(tx, id)?;
    recurring::erase(tx, now, id)?;
    templates::erase(tx, id)?;
    let waiting = back_in_stock::erase_of_customer(tx, id)?;
    let mut streams = names(&carts);
    streams.push(id.to_string());
    streams.extend(waiting.iter().cloned());
    events::erase(tx, &streams)?;
    Ok((customers::erase(tx, (now, actor), id)?, carts, waiting))
}

/// Whom to erase of those who have no account.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "nobody@example.org"}))]
pub struct EraseGuest {
    /// The e-mail address they ordered with; case does not matter.
    pub email: Email,
}

/// A guest who was erased.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ErasedGuest {
    /// How many orders of guests had this address.
    pub orders: usize,
    /// How many carts of guests that became no order had it.
    pub carts: usize,
    /// The customers who have this address: they are not touched, and are erased each by themselves.
    pub customers: Vec<CustomerId>,
}

/// Erase a guest
///
/// For good: as for a customer, of all orders and carts that guests have made with an e-mail address. Customers with this
/// address are named in the answer, and not touched. Refused with `state_conflict` while one of the orders is open.
#[utoipa::path(tag = "answer a customer", request_body = EraseGuest, security(("token" = ["customers:erase"])),
    responses((status = 200, body = ErasedGuest)))]
#[post("/guests/erase")]
async fn erase_guest(call: Call, body: Body<EraseGuest>) -> Result<Reply> {
    let actor = call.allow_everywhere(Scope::CustomersErase)?.clone();
    let (email, key) = (body.email.clone(), call.idempotency_key(&body.fingerprint)?);
    if let Some(reply) = answered(&call, key.as_ref()).await? {
        return Ok(reply);
    }
    let guest = email.clone();
    let look = move |tx: &mut Tx| {
        let owned = orders::of_person(tx, &Person::Guest(guest.folded()))?;
        Ok((owned, customers::with_email(tx, &guest)?))
    };
    let (owned, customers) = call.read(look).await?;
    refuse_open(&owned)?;
    // Once an order is erased nothing leads from the address to it any more, so each has its own sweep.
    let trail = Trail::of(Some(email.as_str()));
    for order in &owned {
        erase_order(&call, &actor, order, Some(&trail)).await?;
    }
    let carts = erase_guest_carts(&call, &email, &owned, &trail).await?;
    forget_waiting(&call, &email, &trail).await?;
    keep(&call, key, Reply::ok(&ErasedGuest { orders: owned.len(), carts, customers })?).await
}

/// Erases the carts of guests with an address, some at a time. With them locked nothing can be ordered by them, so an order
/// that was placed meanwhile is seen, and nothing of that bite is erased then.
async fn erase_guest_carts(call: &Call, email: &Email, done: &[Owned], trail: &Trail) -> Result<usize> {
    let (mut after, mut count) = (None, 0);
    loop {
        let wanted = email.clone();
        let carts = call.read(move |tx| carts::of_guest_after(tx, &wanted, after, BITE)).await?;
        let Some(last) = carts.last().copied() else { return Ok(count) };
        let (now, job, trail) = (call.now, Id::new(), trail.clone());
        let (email, done) = (email.clone(), done.to_vec());
        count += write(call, move |tx| {
            let (own, count) = carts::erase_of_guest(tx, now, &email, &carts)?;
            let orders = orders::of_person(tx, &Person::Guest(email.folded()))?;
            if let Some(new) = orders.iter().find(|order| done.iter().all(|known| known.id != order.id)) {
                return Err(open([new]));
            }
            payments::erase(tx, &own)?;
            risk::erase(tx, &own)?;
            drafts::erase(tx, &own)?;
            events::erase(tx, &names(&own))?;
            let mut trail = trail.clone();
            trail.add_carts(&own);
            trail.sweep_later(tx, now, job)?;
            Ok(count)
        })
        .await?;
        after = Some(last);
    }
}

/// Forgets what guests with an address wait for.
async fn forget_waiting(call: &Call, email: &Email, trail: &Trail) -> Result<()> {
    let (now, job, email, trail) = (call.now, Id::new(), email.clone(), trail.clone());
    write(call, move |tx| {
        let waiting = back_in_stock::erase_of_guest(tx, &email)?;
        if waiting.is_empty() {
            return Ok(());
        }
        events::erase(tx, &waiting)?;
        let mut trail = trail.clone();
        waiting.into_iter().for_each(|stream| trail.add(stream));
        trail.sweep_later(tx, now, job)
    })
    .await
}

fn names(carts: &[CartId]) -> Vec<String> {
    carts.iter().map(ToString::to_string).collect()
}

fn open<'o>(orders: impl IntoIterator<Item = &'o Owned>) -> Error {
    let numbers: Vec<&str> = orders.into_iter().map(|order| order.number.as_str()).collect();
    let detail = format!("not settled yet: {}", numbers.join(", "));
    Error::conflict(detail).with("orders", numbers)
}

fn refuse_open(owned: &[Owned]) -> Result<()> {
    let mut waiting = owned.iter().filter(|order| order.is_open).peekable();
    if waiting.peek().is_none() { Ok(()) } else { Err(open(waiting)) }
}

async fn write<T: Send + 'static>(call: &Call, work: impl Fn(&mut Tx) -> Result<T> + Send + 'static) -> Result<T> {
    call.state.db.write_in(Lane::Bulk, work).await
}

/// Erases an order, its carts, their payments and the events of all of them in one transaction; with a trail, copies of
/// them are swept after it. Gives the carts.
async fn erase_order(call: &Call, actor: &Actor, order: &Owned, trail: Option<&Trail>) -> Result<Vec<CartId>> {
    let (now, by, order, trail) = (call.now, actor.clone(), order.clone(), trail.cloned());
    let (event, job): (EventId, JobId) = (Id::new(), Id::new());
    let erase = move |tx: &mut Tx| {
        orders::erase(tx, (now, &by), order.id, event)?;
        let carts = erase_around(tx, now, std::slice::from_ref(&order))?;
        if let Some(mut trail) = trail.clone() {
            trail.add(order.id.to_string());
            trail.add_carts(&carts);
            trail.sweep_later(tx, now, job)?;
        }
        Ok(carts)
    };
    write(call, erase).await
}

/// Erases what is kept beside orders: their carts, the payments, the events of all of them. Gives the carts.
fn erase_around(tx: &mut Tx, now: Instant, orders: &[Owned]) -> Result<Vec<CartId>> {
    let carts = carts::with_merged(tx, orders.iter().filter_map(|order| order.cart_id).collect())?;
    carts::erase(tx, now, &carts)?;
    // Payments of orders that came of no cart are kept under one that their order names.
    let none = orders.iter().filter(|order| order.cart_id.is_none());
    let paid = carts.iter().copied().chain(none.map(|order| CartId::from_bytes(*order.id.bytes())));
    payments::erase(tx, &paid.collect::<Vec<_>>())?;
    risk::erase(tx, &carts)?;
    drafts::erase(tx, &carts)?;
    let ids: Vec<OrderId> = orders.iter().map(|order| order.id).collect();
    fulfilment::erase(tx, &ids)?;
    payments::requests::erase(tx, &ids)?;
    amendments::erase(tx, &ids)?;
    countersign::erase(tx, &ids)?;
    orders::notes::erase(tx, &ids)?;
    returns::erase(tx, &ids)?;
    returns::withdrawals::erase(tx, &ids)?;
    returns::claims::erase(tx, &ids)?;
    warranties::erase(tx, &ids)?;
    let mut streams = names(&carts);
    streams.extend(orders.iter().map(|order| order.id.to_string()));
    events::erase(tx, &streams)?;
    Ok(carts)
}

/// The answer to a request that came before under the same key.
async fn answered(call: &Call, key: Option<&Key>) -> Result<Option<Reply>> {
    let Some(key) = key.cloned() else { return Ok(None) };
    let secret = call.state.secret.clone();
    call.read(move |tx| key.answered(tx, &secret)).await
}

/// Keeps the answer under the request's key, when it has one.
async fn keep(call: &Call, key: Option<Key>, reply: Reply) -> Result<Reply> {
    let Some(key) = key else { return Ok(reply) };
    let secret = call.state.secret.clone();
    write(call, move |tx| {
        if let Begun::Replay(first) = key.begin(tx, &secret)? {
            return Ok(*first);
        }
        key.finish(tx, &secret, &reply)?;
        Ok(reply.clone())
    })
    .await
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(erase_customer).service(erase_guest);
    super::scan::ops(config);
}
