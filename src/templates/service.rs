//! Commands and queries on order templates.

use super::{
    model::{self, NewOrderTemplate, OrderTemplate, OrderTemplatePatch, TemplateLine, Who},
    store,
};
use crate::{
    carts,
    customers::{self, companies},
    db::Tx,
    error::{Code, Error, Result, on_duplicate},
    kernel::{
        Instant, Quantity,
        actor::Identity,
        ids::{CustomerId, OrderId, OrderTemplateId},
        text::Text,
    },
    orders,
};

fn unknown() -> Error {
    Error::not_found("order template")
}

fn taken() -> Error {
    Error::problem(Code::Duplicate, "there is a template of this name: change that one, or take another name")
        .at("/name")
}

/// Who is signed in, with their company.
fn who(tx: &mut Tx, identity: &Identity) -> Result<Who> {
    let me = customers::find(tx, identity)?.ok_or_else(unknown)?;
    let company = customers::standing(tx, me)?.company;
    let company = match company {
        Some(company) => Some((company, companies::member_of(tx, company, me)?.role)),
        None => None,
    };
    Ok(Who { me, company })
}

/// Makes a template, of lines or of an order of whoever is signed in.
///
/// # Errors
/// `invalid_value`, `too_many_lines`, `quantity_invalid`; `not_found` for an order that is not theirs; `duplicate`; `company_role_missing`
/// where a buyer shares it.
pub(super) fn create(
    tx: &mut Tx,
    now: Instant,
    identity: &Identity,
    id: OrderTemplateId,
    new: &NewOrderTemplate,
) -> Result<OrderTemplate> {
    let who = who(tx, identity)?;
    let lines = match new.order_id {
        Some(_) if !new.lines.is_empty() => {
            return Err(Error::invalid("/order_id", "expected `lines` or an `order_id`, one of both"));
        }
        Some(order) => of_order(tx, who.me, order).map_err(|error| error.at("/order_id"))?,
        None => new.lines.clone(),
    };
    model::check(&lines)?;
    let company_id = if new.shared { Some(who.shares().map_err(|error| error.at("/shared"))?) } else { None };
    // Whoever erases them meanwhile finds it, or it is not made.
    customers::hold(tx, who.me)?;
    let one = OrderTemplate {
        id,
        name: new.name.to_string(),
        shared: new.shared,
        customer_id: Some(who.me),
        company_id,
        lines,
        note: new.note.as_ref().map(ToString::to_string),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    on_duplicate(store::insert(tx, &one), taken)?;
    Ok(one)
}

/// What was ordered by an order of a customer, each SKU once: bundles whole, what was cancelled too, and no gifts, which come by themselves.
/// Which lines promotions have given is known of its cart, for what costs nothing else was ordered.
fn of_order(tx: &mut Tx, me: CustomerId, order: OrderId) -> Result<Vec<TemplateLine>> {
    let order = orders::document(tx, order)?.filter(|order| order.customer_id == Some(me));
    let order = order.ok_or_else(|| Error::not_found("order"))?;
    let cart = match order.cart_id {
        Some(cart) => carts::load(tx, cart)?.details.lines,
        None => Vec::new(),
    };
    let gifts: Vec<i32> = cart.iter().filter(|line| line.gift_of.is_some()).map(|line| line.line_no).collect();
    let bundles = order.bundles.iter().map(|one| (one.line_no, &one.sku, one.quantity));
    let alone = order.lines.iter().filter(|line| line.bundle.is_none());
    let alone = alone.map(|line| (line.line_no, &line.sku, line.quantities.quantity));
    let mut lines: Vec<(String, i64)> = Vec::new();
    for (_, sku, ordered) in bundles.chain(alone).filter(|(line_no, ..)| !gifts.contains(line_no)) {
        match lines.iter_mut().find(|(known, _)| known == sku) {
            Some((_, quantity)) => *quantity = quantity.saturating_add(ordered),
            None => lines.push((sku.clone(), ordered)),
        }
    }
    if lines.is_empty() {
        return Err(Error::invalid("/order_id", "nothing was ordered by it: name another order, or `lines`"));
    }
    let line = |(sku, quantity): (String, i64)| {
        let sku = Text::new(&sku).map_err(|error| Error::internal(format!("{error:?}")))?;
        Ok(TemplateLine { sku, quantity: Quantity::new(quantity).map_err(Error::internal)? })
    };
    lines.into_iter().map(line).collect()
}

/// A template that whoever is signed in sees: their own, or one of their company's.
///
/// # Errors
/// `not_found`.
pub(super) fn mine(tx: &mut Tx, identity: &Identity, id: OrderTemplateId) -> Result<OrderTemplate> {
    let who = who(tx, identity)?;
    store::read(tx, id)?.filter(|one| who.sees(one)).ok_or_else(unknown)
}

/// A page of those that whoever is signed in sees, the newest first.
///
/// # Errors
/// What the database says.
pub(super) fn page(
    tx: &mut Tx,
    identity: &Identity,
    before: Option<OrderTemplateId>,
    limit: i64,
) -> Result<Vec<OrderTemplate>> {
    if customers::find(tx, identity)?.is_none() {
        return Ok(Vec::new());
    }
    let who = who(tx, identity)?;
    store::page(tx, (who.me, who.company.map(|(company, _)| company)), before, limit)
}

/// One that whoever is signed in may change, locked.
fn theirs(tx: &mut Tx, identity: &Identity, id: OrderTemplateId) -> Result<(Who, OrderTemplate)> {
    let who = who(tx, identity)?;
    // Before the template, as erasing them does.
    customers::hold(tx, who.me)?;
    let one = store::lock(tx, id)?.filter(|one| who.sees(one)).ok_or_else(unknown)?;
    who.changes(&one)?;
    Ok((who, one))
}

/// Changes a template.
///
/// # Errors
/// `not_found`, `company_role_missing`; `version_stale`; `invalid_value`, `duplicate` and the others of [`create`].
pub(super) fn change(
    tx: &mut Tx,
    now: Instant,
    identity: &Identity,
    (id, expected): (OrderTemplateId, Option<i64>),
    patch: &OrderTemplatePatch,
) -> Result<OrderTemplate> {
    let (who, mut one) = theirs(tx, identity, id)?;
    if expected.is_some_and(|expected| expected != one.version) {
        return Err(Error::stale("order template", one.version));
    }
    if let Some(name) = &patch.name {
        one.name = name.to_string();
    }
    if let Some(lines) = &patch.lines {
        model::check(lines)?;
        one.lines.clone_from(lines);
    }
    if let Some(note) = &patch.note {
        one.note = Some(note.to_string());
    }
    match patch.shared {
        Some(true) if one.company_id.is_none() => {
            one.company_id = Some(who.shares().map_err(|error| error.at("/shared"))?);
        }
        // It is its maker's alone then, whoever takes it back; theirs who do where the maker is erased.
        Some(false) if one.company_id.is_some() => {
            (one.company_id, one.customer_id) = (None, one.customer_id.or(Some(who.me)));
        }
        _ => {}
    }
    one.shared = one.company_id.is_some();
    match on_duplicate(store::update(tx, now, &one), taken)? {
        true => Ok(OrderTemplate { version: one.version + 1, updated_at: now, ..one }),
        false => Err(Error::overtaken("the order template")),
    }
}

/// Removes a template.
///
/// # Errors
/// `not_found`, `company_role_missing`.
pub(super) fn remove(tx: &mut Tx, identity: &Identity, id: OrderTemplateId) -> Result<()> {
    theirs(tx, identity, id)?;
    if store::delete(tx, id)? { Ok(()) } else { Err(unknown()) }
}

/// The templates that a customer has made, behind one of them, in the order of their ids: for who gets everything that is kept of them.
///
/// # Errors
/// What the database says.
pub fn of_customer(
    tx: &mut Tx,
    customer: CustomerId,
    after: Option<OrderTemplateId>,
    limit: i64,
) -> Result<Vec<OrderTemplate>> {
    store::of_customer_after(tx, customer, after, limit)
}

/// Removes a customer's own templates. Those that are shared stay their company's, and tell nobody who has made them.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, customer: CustomerId) -> Result<()> {
    store::erase(tx, customer)
}
