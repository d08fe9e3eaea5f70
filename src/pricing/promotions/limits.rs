//! How much of a promotion is left, exactly, however many check out at once.
//!
//! What a checkout takes is noted as a use of its cart, and counted. A reservation that ends gives it back; an order consumes it,
//! which moves no counter; a cancelled order gives it back. So the row that everybody wants is moved once per order, at the end of
//! its transaction, with only stock behind it, and locked for a short time.
//!
//! Every command first writes uses, then moves the counters in the order of their keys; stock comes after it. Who finds too little
//! and gives back what is due holds counters while it locks others: two of those may wait for each other, and one runs again.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    compiled::Compiled,
    conditions::{Basket, EXHAUSTED, Left, in_question},
    coupons,
    model::Promotion,
    store::{self, Holder, Move},
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    http::seal::Secret,
    kernel::{
        Instant, Money,
        ids::{CartId, CustomerId, OrderId, PromotionId},
        text::Email,
    },
    pricing::model::{AppliedPromotion, Totals},
};
use diesel::prelude::Queryable;

/// What a cart takes of a promotion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    pub(super) promotion: PromotionId,
    pub(super) coupon: Option<String>,
    pub(super) customer_key: Option<String>,
    pub(super) email_key: Option<String>,
    pub(super) units: i64,
    pub(super) amount: i64,
    /// Whether all of the promotion is limited.
    pub(super) totalled: bool,
    /// Whether the coupon is counted.
    pub(super) coupon_counted: bool,
    per_customer: Option<i64>,
}

/// A use that counters have moved for, as it is stored.
#[derive(Debug, Clone, Queryable)]
pub(super) struct Counted {
    promotion: PromotionId,
    coupon: Option<String>,
    customer_key: Option<String>,
    email_key: Option<String>,
    units: i64,
    amount: i64,
    totalled: bool,
    coupon_counted: bool,
}

/// Whose uses are counted together: an account, and an e-mail address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    account: Option<String>,
    email: Option<String>,
}

impl Person {
    /// Somebody by their account and their e-mail address. Of that a keyed hash is kept, which nobody without the key can try
    /// addresses against.
    #[must_use]
    pub fn new(customer: Option<CustomerId>, email: Option<&Email>, secret: &Secret) -> Self {
        let hash = |email: &Email| format!("e:{}", secret.token("who uses a promotion", &email.folded()));
        Self { account: customer.map(|id| format!("c:{}", id.hex())), email: email.map(hash) }
    }

    fn keys(&self) -> impl Iterator<Item = &String> {
        self.account.iter().chain(&self.email)
    }
}

/// The promotions that these uses are of.
#[must_use]
pub fn promotions_of(uses: &[Use]) -> Vec<PromotionId> {
    uses.iter().map(|one| one.promotion).collect()
}

/// Leaves of uses those of these promotions.
pub fn retain(uses: &mut Vec<Use>, of: &[PromotionId]) {
    uses.retain(|one| of.contains(&one.promotion));
}

/// A promotion that a customer was shown and that is used up now, or in part.
#[must_use]
pub fn lost<'t>(shown: Option<&'t Totals>, now: Option<&Totals>) -> Option<&'t AppliedPromotion> {
    let mut before = shown.into_iter().flat_map(|totals| &totals.promotions);
    before.find(|was| {
        let is = now.and_then(|now| now.promotions.iter().find(|is| is.promotion_id == was.promotion_id));
        let passed = now.and_then(|now| now.passed_over.iter().find(|passed| passed.promotion_id == was.promotion_id));
        is.is_some_and(|is| is.units < was.units && is.amount.minor() < was.amount.minor())
            || passed.is_some_and(|passed| EXHAUSTED.contains(&passed.reason.code.as_str()))
    })
}

/// What a cart with these totals takes of promotions that are counted; nothing of others.
#[must_use]
pub fn uses_of(promotions: &[Arc<Compiled>], totals: Option<&Totals>, person: &Person) -> Vec<Use> {
    totals.map_or_else(Vec::new, |totals| uses_of_applied(promotions, &totals.promotions, person))
}

/// What is taken of these promotions as far as they are counted.
#[must_use]
pub fn uses_of_applied(promotions: &[Arc<Compiled>], applied: &[AppliedPromotion], person: &Person) -> Vec<Use> {
    let counted = applied.iter().filter_map(|applied| {
        let ready = promotions.iter().find(|ready| ready.promotion.id == applied.promotion_id)?;
        let promotion = &ready.promotion;
        if !promotion.is_counted() {
            return None;
        }
        let (limits, per_customer) = (&promotion.rule.limits, promotion.uses_per_customer());
        let key = |key: &Option<String>| key.clone().filter(|_| per_customer.is_some());
        Some(Use {
            promotion: promotion.id,
            coupon: applied.coupon.clone(),
            customer_key: key(&person.account),
            email_key: key(&person.email),
            units: applied.units,
            // Without a budget it may be for several currencies, which have no sum.
            amount: limits.budget.map_or(0, |_| applied.amount.minor()),
            totalled: limits.uses.is_some() || limits.units.is_some() || limits.budget.is_some(),
            coupon_counted: applied.coupon.is_some(),
            per_customer,
        })
    });
    counted.collect()
}

/// What is left of the limited promotions that are in question for a cart, what it holds itself included: one statement, none where
/// no such promotion is.
///
/// # Errors
/// What the database says.
pub fn left(
    tx: &mut Tx,
    (now, cart): (Instant, Option<CartId>),
    promotions: &[Arc<Compiled>],
    basket: &Basket<'_>,
    person: &Person,
) -> Result<HashMap<PromotionId, Left>> {
    let limited = promotions.iter().filter(|ready| ready.promotion.is_limited() && in_question(ready, basket).is_ok());
    let asked: Vec<&Promotion> = limited.map(|ready| &ready.promotion).collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let mut wanted = Vec::new();
    for promotion in &asked {
        wanted.push((promotion.id, String::new()));
        if promotion.uses_per_customer().is_some() {
            wanted.extend(person.keys().map(|key| (promotion.id, key.clone())));
        }
    }
    let mut left = HashMap::with_capacity(asked.len());
    let counters = store::counters(tx, (now, cart), wanted)?;
    for promotion in asked {
        let (limits, per_customer) = (&promotion.rule.limits, promotion.uses_per_customer());
        let own = || counters.iter().filter(|counter| counter.promotion == promotion.id);
        let total = own().find(|counter| counter.subject.is_empty());
        let of_customer = own().filter(|counter| !counter.subject.is_empty()).map(|counter| counter.uses).max();
        let of = |most: Option<i64>, taken: Option<i64>| most.map_or(i64::MAX, |most| most - taken.unwrap_or_default());
        left.insert(
            promotion.id,
            Left {
                uses: of(limits.uses, total.map(|total| total.uses)),
                of_customer: of(per_customer, of_customer),
                units: of(limits.units, total.map(|total| total.units)),
                budget: of(limits.budget.map(Money::minor), total.map(|total| total.amount)),
            },
        );
    }
    Ok(left)
}

/// Reserves for a cart what it takes, until then. Where it `holds` some of that, as it was priced last, that is kept until then;
/// what it holds of another price has to be [released](release) before.
///
/// # Errors
/// `promotion_exhausted` when there is too little left.
pub fn reserve(tx: &mut Tx, now: Instant, cart: CartId, (uses, holds): (&[Use], bool), until: Instant) -> Result<()> {
    let held = if holds { store::extend(tx, cart, until)? } else { Vec::new() };
    take(tx, now, cart, Holder::Cart(until), uses, &held)
}

/// Lets what a cart holds be held until then.
///
/// # Errors
/// What the database says.
pub fn extend(tx: &mut Tx, cart: CartId, until: Instant) -> Result<()> {
    store::extend(tx, cart, until).map(|_| ())
}

/// Makes what a cart takes its order's: what it has reserved, whatever has become of the promotions since, and what it has not as
/// well. Where it `holds` nothing that is not looked for.
///
/// # Errors
/// `promotion_exhausted` when what it has not reserved is not there any more.
pub fn consume(tx: &mut Tx, now: Instant, cart: CartId, order: OrderId, (uses, holds): (&[Use], bool)) -> Result<()> {
    let held = if holds { store::consume(tx, cart, order)? } else { Vec::new() };
    take(tx, now, cart, Holder::Order(order), uses, &held)
}

/// Takes what is not held yet.
fn take(tx: &mut Tx, now: Instant, cart: CartId, holder: Holder, uses: &[Use], held: &[PromotionId]) -> Result<()> {
    let missing: Vec<&Use> = uses.iter().filter(|one| !held.contains(&one.promotion)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    store::insert_uses(tx, now, cart, holder, &missing)?;
    let counted = |one: &&Use| (Counted::from(*one), one.per_customer);
    let wanted: Vec<(Counted, Option<i64>)> = missing.iter().map(counted).collect();
    if count(tx, &wanted)? {
        return Ok(());
    }
    // Nothing is withheld by what has expired.
    let promotions: Vec<PromotionId> = missing.iter().map(|one| one.promotion).collect();
    let due = store::drop_due(tx, now, Some(&promotions), i64::MAX)?;
    if !due.is_empty() {
        give_back(tx, &due)?;
        if count(tx, &wanted)? {
            return Ok(());
        }
    }
    store::forget(tx, cart, &promotions)?;
    Err(exhausted())
}

/// There is not enough of a promotion left.
#[must_use]
pub fn exhausted() -> Error {
    let detail =
        "a promotion of the cart is used up: begin the checkout again, or change the cart, to see the new price";
    Error::problem(Code::PromotionExhausted, detail)
}

impl From<&Use> for Counted {
    fn from(one: &Use) -> Self {
        let Use { promotion, coupon, customer_key, email_key, units, amount, totalled, coupon_counted, .. } =
            one.clone();
        Self { promotion, coupon, customer_key, email_key, units, amount, totalled, coupon_counted }
    }
}

/// Moves the counters of uses up, all or none. False when there is too little left.
fn count(tx: &mut Tx, uses: &[(Counted, Option<i64>)]) -> Result<bool> {
    let coupons = coupons_of(uses.iter().map(|(one, _)| one));
    let moves = moves(uses.iter().map(|(one, most)| (one, *most)), 1);
    if moves.iter().any(|one| !one.subject.is_empty()) {
        store::make_counters(tx, &moves)?;
    }
    if !coupons::count(tx, &coupons, 1)? {
        return Ok(false);
    }
    let moved = moves.is_empty() || store::move_counters(tx, &moves)?;
    if !moved {
        coupons::count(tx, &coupons, -1)?;
    }
    Ok(moved)
}

/// Moves the counters of uses down.
fn give_back(tx: &mut Tx, uses: &[Counted]) -> Result<()> {
    let coupons = coupons_of(uses.iter());
    let moves = moves(uses.iter().map(|one| (one, None)), -1);
    if !coupons::count(tx, &coupons, -1)? || !(moves.is_empty() || store::move_counters(tx, &moves)?) {
        return Err(Error::internal("a counter of a promotion holds less than its uses say"));
    }
    Ok(())
}

/// The coupons that are counted, each with how often.
fn coupons_of<'a>(uses: impl Iterator<Item = &'a Counted>) -> BTreeMap<String, i64> {
    let mut coupons = BTreeMap::new();
    for one in uses.filter(|one| one.coupon_counted) {
        if let Some(code) = &one.coupon {
            *coupons.entry(code.clone()).or_default() += 1;
        }
    }
    coupons
}

/// What counters move by, each once, in the order of their keys.
fn moves<'a>(uses: impl Iterator<Item = (&'a Counted, Option<i64>)>, sign: i64) -> Vec<Move> {
    let mut sums: BTreeMap<(PromotionId, String), Move> = BTreeMap::new();
    for (one, most) in uses {
        let keys = one.customer_key.iter().chain(&one.email_key).cloned().map(|key| (key, most));
        let total = one.totalled.then(|| (String::new(), None));
        for (subject, most) in keys.chain(total) {
            let promotion = one.promotion;
            let sum = sums.entry((promotion, subject.clone())).or_insert(Move {
                promotion,
                subject,
                uses: 0,
                units: 0,
                amount: 0,
                most,
            });
            sum.uses += sign;
            sum.units += sign * one.units;
            sum.amount += sign * one.amount;
        }
    }
    sums.into_values().collect()
}

/// Gives back all that a cart has taken. Nothing happens when it has taken nothing.
///
/// # Errors
/// What the database says.
pub fn release(tx: &mut Tx, cart: CartId) -> Result<()> {
    let dropped = store::drop_of_cart(tx, cart)?;
    if dropped.is_empty() { Ok(()) } else { give_back(tx, &dropped) }
}

/// Gives back what a cancelled order had consumed.
///
/// # Errors
/// What the database says.
pub fn give_back_of(tx: &mut Tx, order: OrderId) -> Result<()> {
    let returned = store::return_of_order(tx, order)?;
    if returned.is_empty() { Ok(()) } else { give_back(tx, &returned) }
}

/// Gives back what an order had consumed of one promotion, which is taken off it. Nothing happens where that is not counted.
///
/// # Errors
/// What the database says.
pub fn give_back_one(tx: &mut Tx, order: OrderId, promotion: PromotionId) -> Result<()> {
    let dropped = store::drop_of_order(tx, order, promotion)?;
    if dropped.is_empty() { Ok(()) } else { give_back(tx, &dropped) }
}

/// Ends reservations that are due, up to `limit` of them; how many there were.
///
/// # Errors
/// What the database says.
pub fn expire_due(tx: &mut Tx, now: Instant, limit: i64) -> Result<usize> {
    let due = store::drop_due(tx, now, None, limit)?;
    if !due.is_empty() {
        give_back(tx, &due)?;
    }
    Ok(due.len())
}
