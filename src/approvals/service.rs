//! Commands and queries on requests for approval. Whoever decides locks the cart first, then the request: of those who decide at once the
//! request's row lets one through.

// What is asked for as it stands in the tables.
pub(super) use super::store::{Filter, decisions, due, erase as erase_words, page};
use super::{
    model::{ApprovalRequest, ApprovalState, CreditApproval, Decision, Verdict, Wish},
    store, told,
};
use crate::{
    carts::{self, Approved, CartState, Context, approving},
    credit::{self, ON_ACCOUNT},
    customers::{self, companies},
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    jobs::{self, NewJob},
    kernel::{
        Actor, Instant, Money,
        actor::Identity,
        ids::{ApprovalRequestId, CartId, CompanyId, CustomerId, EventId, JobId, OrderId},
        text::Text,
    },
    payments::MANUAL,
};

/// The job that orders what was approved. Its payload is the request.
pub(super) const ORDER: &str = "approvals.order";

/// Who does something, and when.
pub type By<'a> = (Instant, &'a Actor);

/// Ids of what asking makes: the request, the event of it, that of the request in whose place it comes.
pub(super) type Ids = (ApprovalRequestId, EventId, EventId);

pub(super) fn unknown() -> Error {
    Error::not_found("request for approval")
}

/// Asks for a cart to be approved: it is frozen, and its stock reserved, until somebody has decided or the time is over. A request that was
/// made before for the cart is withdrawn.
///
/// # Errors
/// `state_conflict` where nobody has to approve it; `payment_method_unavailable`; what freezing a cart says.
pub(super) fn ask(
    tx: &mut Tx,
    context: &Context,
    who: approving::Who<'_>,
    ids: Ids,
    (cart, expected, wish): (CartId, Option<i64>, &Wish),
) -> Result<ApprovalRequest> {
    let (now, actor) = (context.now, who.0);
    if !(1..=14).contains(&wish.days) {
        return Err(Error::invalid("/days", "expected a number from 1 to 14"));
    }
    let until = now.plus_seconds(86_400 * wish.days);
    let (cart, _) = approving::freeze_until(tx, context, who, (cart, expected), until)?;
    // Behind the cart's own checks: nothing of it stays where this refuses.
    check_method(context, wish.payment_method.as_ref())?;
    let nobody = || Error::conflict("nobody has to approve this cart: complete it");
    let need = cart.details.needs_approval.clone();
    let customer = cart.customer.ok_or_else(nobody)?;
    let company = customers::standing(tx, customer)?.company.ok_or_else(nobody)?;
    let total = Money::from_minor(cart.total(), cart.currency);
    let on_account = wish.payment_method.as_ref().is_some_and(|method| &**method == ON_ACCOUNT);
    let excess =
        if on_account { credit::over(tx, company, Money::from_minor(cart.due(), cart.currency))? } else { None };
    let above = excess.as_ref().map(|excess| format!("the company would owe {} more than it may", excess.over));
    let credit = excess.map(|excess| CreditApproval { excess, approved_by: None, note: None });
    if need.is_none() && credit.is_none() {
        return Err(nobody());
    }
    let (approvers, role) =
        need.as_ref().map_or((0, companies::CompanyRole::Approver), |need| (need.approvers, need.role));
    let reason = [need.map(|need| need.reason), above].into_iter().flatten().collect::<Vec<_>>().join("; ");
    if let Some(before) = store::open_of(tx, cart.id)? {
        withdraw_locked(tx, (now, actor), ids.2, &before)?;
    }
    let request = ApprovalRequest {
        id: ids.0,
        channel_id: cart.channel,
        company_id: company,
        cart_id: cart.id,
        customer_id: customer,
        state: ApprovalState::Awaiting,
        total,
        approvers: approvers + i64::from(credit.is_some()),
        approvals: 0,
        role,
        reason,
        payment_method: wish.payment_method.as_ref().map(ToString::to_string),
        message: wish.message.as_ref().map(ToString::to_string),
        expires_at: until,
        order_id: None,
        failure: None,
        credit,
        cart_version: cart.version,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    store::insert(tx, &request)?;
    told::tell(tx, (now, actor), ids.1, told::REQUESTED, &request)?;
    Ok(request)
}

/// Only what nobody has to act for can be paid by itself.
fn check_method(context: &Context, method: Option<&Text<50>>) -> Result<()> {
    let Some(method) = method else { return Ok(()) };
    context.channel.offers_payment(method).map_err(|error| error.at("/payment_method"))?;
    match [ON_ACCOUNT, MANUAL].contains(&&**method) {
        true => Ok(()),
        false => {
            let detail = "somebody has to pay by this method: leave it out, and complete the cart once it is approved";
            Err(Error::problem(Code::PaymentMethodUnavailable, detail).at("/payment_method"))
        }
    }
}

/// The customer who is signed in, with the company that they buy for and what they are to it.
fn me(tx: &mut Tx, identity: &Identity) -> Result<(CustomerId, CompanyId, companies::Membership)> {
    let me = customers::find(tx, identity)?.ok_or_else(unknown)?;
    let (company, member) = companies::of_customer(tx, me)?;
    Ok((me, company, member))
}

/// A request that whoever is signed in may see: their own, or where they approve for its company.
///
/// # Errors
/// `not_found`.
pub(super) fn visible(tx: &mut Tx, identity: &Identity, id: ApprovalRequestId) -> Result<ApprovalRequest> {
    let me = customers::find(tx, identity)?.ok_or_else(unknown)?;
    let request = store::read(tx, id)?.ok_or_else(unknown)?;
    if request.customer_id == me {
        return Ok(request);
    }
    let (company, member) = companies::of_customer(tx, me).map_err(|_| unknown())?;
    let approves = company == request.company_id && member.role.approves(companies::CompanyRole::Approver);
    if approves { Ok(request) } else { Err(unknown()) }
}

/// What whoever is signed in sees of requests: all of the company where they approve for it, else their own.
///
/// # Errors
/// What the database says.
pub(super) fn seen(tx: &mut Tx, identity: &Identity, state: Option<ApprovalState>) -> Result<Filter> {
    let Some(me) = customers::find(tx, identity)? else {
        return Ok(Filter { channels: Some(Vec::new()), ..Filter::default() });
    };
    let own = Filter { customer: Some(me), state, ..Filter::default() };
    Ok(match companies::of_customer(tx, me) {
        Ok((company, member)) if member.role.approves(companies::CompanyRole::Approver) => {
            Filter { company: Some(company), state, ..Filter::default() }
        }
        _ => own,
    })
}

/// A request, for staff who see its channel.
///
/// # Errors
/// `not_found`.
pub(super) fn of_staff(tx: &mut Tx, actor: &Actor, id: ApprovalRequestId) -> Result<ApprovalRequest> {
    let request = store::read(tx, id)?.ok_or_else(unknown)?;
    if actor.sees_channel(request.channel_id) { Ok(request) } else { Err(unknown()) }
}

/// Says yes or no to a request. The last yes that it needs has its order placed, where it was said how it is paid; one no ends it.
///
/// # Errors
/// `not_found`; `approval_not_yours` for one's own, and where somebody of a higher role is asked for; `state_conflict` when it was decided or
/// its time is over, when one has said so already, and when the cart has changed since.
pub(super) fn decide(
    tx: &mut Tx,
    by: By<'_>,
    identity: &Identity,
    (id, event, job): (ApprovalRequestId, EventId, JobId),
    (verdict, note): (Verdict, Option<&str>),
) -> Result<ApprovalRequest> {
    let (me, company, member) = me(tx, identity)?;
    let seen = store::read(tx, id)?.filter(|request| request.company_id == company).ok_or_else(unknown)?;
    if seen.customer_id == me {
        return Err(Error::problem(Code::ApprovalNotYours, "nobody approves what they have asked for themselves"));
    }
    if !member.role.approves(seen.role) {
        return Err(Error::problem(Code::ApprovalNotYours, format!("an {} of the company decides", seen.role)));
    }
    let cart = approving::lock(tx, seen.cart_id)?;
    let decision = Decision { customer_id: me, verdict, note: note.map(str::to_owned), at: by.0 };
    let request = match verdict {
        Verdict::Approve => {
            if cart.version != seen.cart_version && seen.state == ApprovalState::Awaiting {
                return Err(Error::conflict("the cart has changed since: its buyer has to ask anew"));
            }
            store::approve(tx, by.0, (id, seen.of_company()))?
        }
        Verdict::Reject => store::transit(tx, by.0, id, (ApprovalState::Awaiting, ApprovalState::Rejected))?,
    };
    let request = request.ok_or_else(|| decided(seen.state))?;
    on_duplicate(store::insert_decision(tx, id, &decision), || Error::conflict("you have said so already"))?;
    told::tell(tx, by, event, told::UPDATED, &request)?;
    follow(tx, by, (&seen, &request), cart, job)?;
    Ok(request)
}

/// Says yes or no for the shop to a request that is above the company's credit: the last of all.
///
/// # Errors
/// `not_found`; `scope_missing` for who is limited to channels; `ceiling_exceeded` where so much more credit is more than the actor may give; `state_conflict` where the shop is not asked,
/// others of the company have to approve first, it was decided or its time is over, and when the cart has changed since.
pub(super) fn decide_credit(
    tx: &mut Tx,
    by: By<'_>,
    (id, event, job): (ApprovalRequestId, EventId, JobId),
    (verdict, note): (Verdict, Option<&str>),
) -> Result<ApprovalRequest> {
    let seen = of_staff(tx, by.1, id)?;
    if by.1.channels().is_some() {
        let detail = "a company's credit is of all channels, and the credential is limited to some";
        return Err(Error::problem(Code::ScopeMissing, detail));
    }
    let asked = seen.credit.clone();
    let asked = asked.ok_or_else(|| Error::conflict("it is within the company's credit: its own people decide"))?;
    if verdict == Verdict::Approve && !by.1.within_ceiling(asked.excess.over.minor()) {
        return Err(Error::problem(Code::CeilingExceeded, "it is more credit than this credential may give"));
    }
    let cart = approving::lock(tx, seen.cart_id)?;
    let request = match verdict {
        Verdict::Approve => {
            if cart.version != seen.cart_version && seen.state == ApprovalState::Awaiting {
                return Err(Error::conflict("the cart has changed since: its buyer has to ask anew"));
            }
            if seen.state == ApprovalState::Awaiting && seen.approvals < seen.of_company() {
                return Err(Error::conflict("others of the company have to approve it first"));
            }
            let (approved_by, note) = (Some(by.1.label()), note.map(str::to_owned));
            store::approve_credit(tx, by.0, (id, &CreditApproval { approved_by, note, ..asked }))?
        }
        Verdict::Reject => store::transit(tx, by.0, id, (ApprovalState::Awaiting, ApprovalState::Rejected))?,
    };
    let request = request.ok_or_else(|| decided(seen.state))?;
    told::tell(tx, by, event, told::UPDATED, &request)?;
    follow(tx, by, (&seen, &request), cart, job)?;
    Ok(request)
}

/// What follows for the cart: it is approved as it stands, and ordered where it was said how it is paid, or its buyer's again.
fn follow(
    tx: &mut Tx,
    by: By<'_>,
    (seen, request): (&ApprovalRequest, &ApprovalRequest),
    cart: carts::Cart,
    job: JobId,
) -> Result<()> {
    let id = request.id;
    match request.state {
        ApprovalState::Approved => {
            let credit_up_to = request.credit.as_ref().map(|credit| credit.excess.up_to);
            let approved = Approved { request_id: id, total: request.total, at: by.0, credit_up_to };
            approving::approve(tx, by.0, cart, approved)?;
            if request.payment_method.is_some() {
                let payload = serde_json::json!({ "request": id });
                let order = NewJob { id: job, ..NewJob::now(ORDER, by.0, payload) };
                jobs::enqueue(tx, by.0, vec![order.in_order(request.cart_id.to_string())])?;
            }
        }
        ApprovalState::Rejected if cart.version == seen.cart_version => approving::let_go(tx, by.0, cart)?,
        _ => {}
    }
    Ok(())
}

fn decided(state: ApprovalState) -> Error {
    let detail = match state {
        ApprovalState::Awaiting => "somebody has decided, or its time is over".to_owned(),
        state => format!("the request is {state}"),
    };
    Error::conflict(detail)
}

/// Takes a request back: by who has made it.
///
/// # Errors
/// `not_found`; `state_conflict` when it was decided, is being ordered, or is ordered.
pub(super) fn withdraw(
    tx: &mut Tx,
    by: By<'_>,
    identity: &Identity,
    (id, event): (ApprovalRequestId, EventId),
) -> Result<ApprovalRequest> {
    let me = customers::find(tx, identity)?.ok_or_else(unknown)?;
    let seen = store::read(tx, id)?.filter(|request| request.customer_id == me).ok_or_else(unknown)?;
    let cart = approving::lock(tx, seen.cart_id)?;
    match cart.state {
        CartState::Completing => return Err(Error::conflict("its cart is being ordered at this moment")),
        CartState::Completed => return Err(Error::conflict("its cart is ordered: cancel the order")),
        _ => {}
    }
    let Some(request) = withdraw_locked(tx, by, event, &seen)? else { return Err(decided(seen.state)) };
    approving::let_go(tx, by.0, cart)?;
    Ok(request)
}

fn withdraw_locked(tx: &mut Tx, by: By<'_>, event: EventId, seen: &ApprovalRequest) -> Result<Option<ApprovalRequest>> {
    for from in [ApprovalState::Awaiting, ApprovalState::Approved] {
        if let Some(request) = store::transit(tx, by.0, seen.id, (from, ApprovalState::Withdrawn))? {
            told::tell(tx, by, event, told::UPDATED, &request)?;
            return Ok(Some(request));
        }
    }
    Ok(None)
}

/// Ends a request whose time is over. Nothing happens where somebody has decided meanwhile.
///
/// # Errors
/// What the database says.
pub(super) fn expire(tx: &mut Tx, now: Instant, (id, event): (ApprovalRequestId, EventId)) -> Result<()> {
    let Some(seen) = store::read(tx, id)? else { return Ok(()) };
    let cart = approving::lock(tx, seen.cart_id)?;
    let ended = store::transit(tx, now, id, (ApprovalState::Awaiting, ApprovalState::Expired))?;
    let Some(request) = ended else { return Ok(()) };
    told::tell(tx, (now, &Actor::System("approvals")), event, told::UPDATED, &request)?;
    if cart.version == seen.cart_version { approving::let_go(tx, now, cart) } else { Ok(()) }
}

/// Requests that wait and whose cart has changed since they were made, of so many after one: nobody can approve them any more. The last that
/// was looked at is told where there may be more.
///
/// # Errors
/// What the database says.
pub(super) fn overtaken(
    tx: &mut Tx,
    after: Option<ApprovalRequestId>,
    limit: i64,
) -> Result<(Vec<ApprovalRequestId>, Option<ApprovalRequestId>)> {
    let waiting = store::awaiting(tx, after, limit)?;
    let last = waiting.last().map(|request| request.id);
    let carts: Vec<CartId> = waiting.iter().map(|request| request.cart_id).collect();
    let versions = carts::versions(tx, &carts)?;
    let changed = waiting.iter().filter(|request| versions.get(&request.cart_id) != Some(&request.cart_version));
    Ok((changed.map(|request| request.id).collect(), last))
}

/// Withdraws a request whose cart has changed. Nothing happens where somebody has decided meanwhile.
///
/// # Errors
/// What the database says.
pub(super) fn end_overtaken(tx: &mut Tx, now: Instant, (id, event): (ApprovalRequestId, EventId)) -> Result<()> {
    let Some(seen) = store::read(tx, id)? else { return Ok(()) };
    match approving::lock(tx, seen.cart_id) {
        Ok(cart) if cart.version == seen.cart_version => return Ok(()),
        // It has changed, or there is none any more.
        Ok(_) | Err(Error::Problem(_)) => {}
        Err(error) => return Err(error),
    }
    let ended = store::transit(tx, now, id, (ApprovalState::Awaiting, ApprovalState::Withdrawn))?;
    match ended {
        Some(request) => told::tell(tx, (now, &Actor::System("approvals")), event, told::UPDATED, &request),
        None => Ok(()),
    }
}

/// A request that is to be ordered; `None` where it is not any more.
///
/// # Errors
/// What the database says.
pub(super) fn approved(tx: &mut Tx, id: ApprovalRequestId) -> Result<Option<ApprovalRequest>> {
    Ok(store::read(tx, id)?.filter(|request| request.state == ApprovalState::Approved))
}

/// Approved requests whose cart has become an order, so many of them after one: their buyers have ordered themselves.
///
/// # Errors
/// What the database says.
pub(super) fn bought(
    tx: &mut Tx,
    after: Option<ApprovalRequestId>,
    limit: i64,
) -> Result<(Vec<(ApprovalRequest, OrderId)>, Option<ApprovalRequestId>)> {
    let approved = store::approved(tx, after, limit)?;
    let last = approved.last().map(|request| request.id);
    let mut bought = Vec::new();
    for request in approved {
        if let Some(order) = carts::load(tx, request.cart_id)?.order {
            bought.push((request, order));
        }
    }
    Ok((bought, last))
}

/// Notes what came of an approved request: its order, or why there is none. Where there is none its cart is its buyer's again, and keeps no
/// stock.
///
/// # Errors
/// What the database says.
pub(super) fn end(
    tx: &mut Tx,
    now: Instant,
    (request, event): (&ApprovalRequest, EventId),
    outcome: Result<OrderId, String>,
) -> Result<()> {
    let (to, order, failure) = match outcome {
        Ok(order) => (ApprovalState::Ordered, Some(order), None),
        Err(why) => (ApprovalState::Failed, None, Some(why)),
    };
    let noted = ApprovalRequest { failure, ..request.clone() };
    let cart = approving::lock(tx, request.cart_id)?;
    let Some(ended) = store::end(tx, now, &noted, (to, order))? else { return Ok(()) };
    told::tell(tx, (now, &Actor::System("approvals")), event, told::UPDATED, &ended)?;
    // Not where it was changed, and asked for anew, meanwhile.
    let is_own = cart.details.approved.as_ref().is_some_and(|approved| approved.request_id == request.id);
    match to {
        ApprovalState::Failed if is_own => approving::let_go(tx, now, cart),
        _ => Ok(()),
    }
}

/// The cart of a request.
///
/// # Errors
/// What the database says.
pub(super) fn cart_of(tx: &mut Tx, request: &ApprovalRequest) -> Result<carts::Cart> {
    carts::load(tx, request.cart_id)
}

/// The requests of a customer behind one of them, in the order of their ids: for who gets everything that is kept of them.
///
/// # Errors
/// What the database says.
pub fn of_customer(
    tx: &mut Tx,
    customer: CustomerId,
    after: Option<ApprovalRequestId>,
    limit: i64,
) -> Result<Vec<ApprovalRequest>> {
    store::of_customer_after(tx, customer, after, limit)
}

/// What a customer has decided about requests behind one of them, in the order of the requests' ids.
///
/// # Errors
/// What the database says.
pub fn decisions_by(
    tx: &mut Tx,
    customer: CustomerId,
    after: Option<ApprovalRequestId>,
    limit: i64,
) -> Result<Vec<(ApprovalRequestId, Decision)>> {
    store::decisions_by(tx, customer, after, limit)
}

/// Erases what a customer has written in requests and about them.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, customer: CustomerId) -> Result<()> {
    erase_words(tx, customer)
}
