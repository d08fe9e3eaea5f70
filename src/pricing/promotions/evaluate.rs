//! Which promotions apply to a cart, and what they take off which line: pure.
//!
//! They go one after the other, the higher priority first, then by their codes; each takes off what the earlier ones have left.
//! Of a group only the one applies that takes the most off at its turn, which is the turn of the first of the group. Those on
//! shipping go after those on goods, once it is known what shipping costs.

use std::{borrow::Borrow, collections::HashMap};

use super::{
    compiled::{Compiled, Line},
    conditions::{self, Basket, EXHAUSTED, GiftLine, OUT_OF_QUESTION, Refusal},
    gifts::{Offer, Reckoning, Standing, at_least, part},
    goods,
    model::{Gift, Stacking},
};
use crate::{
    kernel::{
        Money,
        ids::{PromotionId, VariantId},
    },
    pricing::model::{Adjustment, AdjustmentTarget, AdjustmentValue, AppliedPromotion, LineShare, PassedOver},
};

#[cfg(test)]
mod tests;

/// So many promotions that did not apply are kept with a cart.
const MOST_PASSED_OVER: usize = 20;

/// How much is told of promotions that did not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Those that were in question, a score of them.
    InQuestion,
    /// All of them.
    All,
}

/// Promotions while they are applied to a cart.
pub struct Evaluation<'a, P> {
    promotions: &'a [P],
    basket: &'a Basket<'a>,
    detail: Detail,
    standing: Vec<Standing>,
    /// What all goods cost before promotions.
    value: i64,
    /// What shipping costs before promotions.
    shipping: i64,
    /// Groups of which one has applied.
    groups: Vec<&'a str>,
    /// How many pieces of an article are given.
    given: HashMap<VariantId, i64>,
    /// The discounts, in the order in which they apply.
    pub adjustments: Vec<Adjustment>,
    /// The lines that are given, and by which promotion.
    pub gifts: Vec<(PromotionId, GiftLine)>,
    /// The promotions that apply.
    pub applied: Vec<AppliedPromotion>,
    /// Those that do not, with the first reason.
    pub passed_over: Vec<PassedOver>,
}

/// What was taken off before, by promotions that stay as they are.
#[derive(Clone, Copy)]
pub struct Before<'a> {
    /// Off each line of the basket, in their order, in minor units.
    pub off: &'a [i64],
    /// Off shipping, in minor units.
    pub off_shipping: i64,
    /// The promotions that have, as far as anybody knows them still.
    pub by: &'a [(&'a Compiled, &'a AppliedPromotion)],
}

/// A promotion that may apply, at its turn.
struct Candidate<'a> {
    ready: &'a Compiled,
    offer: Offer,
}

impl<'a, P: Borrow<Compiled>> Evaluation<'a, P> {
    /// Nothing applied yet. `promotions` are in their order.
    #[must_use]
    pub fn new(promotions: &'a [P], basket: &'a Basket<'a>, detail: Detail) -> Self {
        let standing = |line: &Line<'_>| Standing { left: line.subtotal, floor: 0, touched: false, closed: false };
        Self {
            promotions,
            basket,
            detail,
            standing: basket.lines.iter().map(standing).collect(),
            value: basket.value(),
            shipping: 0,
            groups: Vec::new(),
            given: HashMap::new(),
            gifts: Vec::new(),
            adjustments: Vec::new(),
            applied: Vec::new(),
            passed_over: Vec::new(),
        }
    }

    /// Beside what was taken off before: what comes now has its turn behind that, whatever its priority, and keeps to what earlier promotions
    /// want to be left, and to whether they go together with others.
    #[must_use]
    pub fn beside(promotions: &'a [P], basket: &'a Basket<'a>, before: Before<'a>) -> Self {
        let mut all = Self::new(promotions, basket, Detail::All);
        for (standing, off) in all.standing.iter_mut().zip(before.off) {
            standing.left -= off;
            standing.touched = *off > 0;
        }
        for (ready, applied) in before.by {
            let stacking = &ready.promotion.rule.stacking;
            all.groups.extend(stacking.group.as_deref());
            for (at, line) in basket.lines.iter().enumerate() {
                if !applied.lines.iter().any(|share| share.line_no == line.line_no) {
                    continue;
                }
                let floor = all.floor_of(stacking, line);
                if let Some(standing) = all.standing.get_mut(at) {
                    standing.closed |= !stacking.combinable;
                    standing.floor = standing.floor.max(floor);
                }
            }
        }
        all
    }

    /// Applies the promotions on goods.
    pub fn goods(&mut self) {
        self.run(false, Self::offer_of, Self::take);
    }

    /// Applies the promotions on shipping, which costs so much in minor units.
    pub fn shipping(&mut self, price: i64) {
        self.on_shipping(price, Standing { left: price, floor: 0, touched: false, closed: false });
    }

    /// The same of shipping of which something was taken off before.
    pub fn shipping_beside(&mut self, price: i64, before: Before<'_>) {
        let mut standing =
            Standing { left: price - before.off_shipping, floor: 0, touched: before.off_shipping > 0, closed: false };
        for (ready, _) in before.by.iter().filter(|(ready, _)| ready.on_shipping) {
            let stacking = &ready.promotion.rule.stacking;
            standing.closed |= !stacking.combinable;
            standing.floor = standing.floor.max(stacking.floor.map_or(0, |floor| at_least(price, floor)));
        }
        self.on_shipping(price, standing);
    }

    fn on_shipping(&mut self, price: i64, standing: Standing) {
        self.shipping = price;
        self.standing.push(standing);
        self.run(true, Self::shipping_offer, Self::take_shipping);
        self.standing.pop();
    }

    /// Tells of the promotions on shipping, where none is chosen.
    pub fn no_shipping(&mut self) {
        for ready in self.in_turn(true) {
            let reason = conditions::in_question(ready, self.basket).err();
            let reason = reason.unwrap_or(Refusal::plain("no_shipping", "no shipping is chosen"));
            self.pass_over(ready, reason);
        }
    }

    /// What of each line is left after what has been taken off, in minor units.
    pub fn left(&self) -> impl Iterator<Item = i64> {
        self.standing.iter().take(self.basket.lines.len()).map(|standing| standing.left)
    }

    /// What the goods cost after what has been taken off, in minor units.
    #[must_use]
    pub fn goods_value(&self) -> i64 {
        self.left().fold(0, i64::saturating_add)
    }

    /// The promotions on goods, or on shipping, in their order.
    fn in_turn(&self, on_shipping: bool) -> impl Iterator<Item = &'a Compiled> + use<'a, P> {
        let all: &'a [P] = self.promotions;
        all.iter().map(Borrow::borrow).filter(move |ready| ready.on_shipping == on_shipping)
    }

    fn run(
        &mut self,
        on_shipping: bool,
        offer_of: fn(&Self, &'a Compiled) -> Result<Offer, Refusal>,
        take: fn(&mut Self, &Candidate<'a>),
    ) {
        // Of so many groups one has applied to the goods.
        let (taken, mut turns) = (self.groups.len(), Vec::new());
        for ready in self.in_turn(on_shipping) {
            let group = ready.promotion.rule.stacking.group.as_deref();
            let Some(group) = group else {
                match offer_of(self, ready) {
                    Ok(offer) => take(self, &Candidate { ready, offer }),
                    Err(reason) => self.pass_over(ready, reason),
                }
                continue;
            };
            if self.groups.iter().take(taken).any(|known| *known == group) {
                self.pass_over(ready, Refusal::plain("group", "a promotion of its group reduces the goods"));
                continue;
            }
            // All of a group are told of when it has its turn, which is that of the first.
            if turns.contains(&group) {
                continue;
            }
            turns.push(group);
            let own = |other: &&Compiled| other.promotion.rule.stacking.group.as_deref() == Some(group);
            self.best_of(group, self.in_turn(on_shipping).filter(own), (offer_of, take));
        }
    }

    /// Applies the best of a group, and passes the others over.
    fn best_of(
        &mut self,
        group: &'a str,
        own: impl Iterator<Item = &'a Compiled>,
        (offer_of, take): (fn(&Self, &'a Compiled) -> Result<Offer, Refusal>, fn(&mut Self, &Candidate<'a>)),
    ) {
        let (mut best, mut rest): (Option<Candidate<'a>>, Vec<&'a Compiled>) = (None, Vec::new());
        self.groups.push(group);
        for ready in own {
            match offer_of(self, ready) {
                Err(reason) => self.pass_over(ready, reason),
                Ok(offer) => {
                    let better = best.as_ref().is_none_or(|best| offer.total() > best.offer.total());
                    let worse = if better {
                        best.replace(Candidate { ready, offer })
                    } else {
                        Some(Candidate { ready, offer })
                    };
                    rest.extend(worse.map(|worse| worse.ready));
                }
            }
        }
        if let Some(best) = &best {
            take(self, best);
            for ready in rest {
                self.pass_over(ready, Refusal::plain("group", "another promotion of its group takes more off"));
            }
        } else {
            // None of it applied: those on shipping may.
            self.groups.retain(|known| *known != group);
        }
    }

    /// What a promotion would take off the goods now.
    fn offer_of(&self, ready: &'a Compiled) -> Result<Offer, Refusal> {
        let (promotion, basket) = (&ready.promotion, self.basket);
        conditions::in_question(ready, basket)?;
        conditions::suited(ready, basket, self.value)?;
        let (mut open, _) = conditions::goods_for(ready, basket)?;
        if promotion.rule.gift.goods().is_some() {
            return self.gift_offer(ready);
        }
        let stacking = &promotion.rule.stacking;
        open.retain(|at| {
            self.standing.get(*at).is_some_and(|line| !line.closed && (stacking.combinable || !line.touched))
        });
        if open.is_empty() {
            return Err(Refusal::plain(
                "not_combinable",
                "other promotions have reduced its goods, and they do not go together",
            ));
        }
        let left = basket.left_of(promotion);
        let floored;
        let standing = if stacking.floor.is_none() && !stacking.not_below_cost {
            &self.standing
        } else {
            floored = self.floored(stacking);
            &floored
        };
        let offer = Reckoning { ready, basket, standing, goods: &open, units: left.units }.offer()?;
        self.worth(&offer, left.budget)?;
        Ok(offer)
    }

    /// The line that a promotion gives.
    fn gift_offer(&self, ready: &'a Compiled) -> Result<Offer, Refusal> {
        let (id, left) = (ready.promotion.id, self.basket.left_of(&ready.promotion));
        let giveable = match self.basket.gifts.get(&id) {
            Some(Ok(giveable)) => giveable,
            Some(Err(reason)) => return Err(reason.clone().into()),
            None => return Err(Refusal::plain("gift_not_offered", "gifts were not asked for")),
        };
        // What another promotion might have given and does not is there.
        let given = self.given.get(&giveable.variant).copied().unwrap_or_default();
        let pieces = goods::earned(ready, self.basket, giveable.available.saturating_sub(given))?;
        let line = giveable.line(pieces, self.basket.rounding)?;
        if line.value > left.budget {
            return Err(Refusal::plain("budget_used_up", "too little of its budget is left"));
        }
        Ok(Offer { taken: Vec::new(), given: Some(line), units: line.pieces })
    }

    fn worth(&self, offer: &Offer, budget: i64) -> Result<(), Refusal> {
        match offer.total() {
            0 => Err(Refusal::plain("nothing", "it takes nothing off")),
            off if off > budget => Err(Refusal::plain("budget_used_up", "too little of its budget is left")),
            _ => Ok(()),
        }
    }

    /// The lines with what a promotion wants to be left of each.
    fn floored(&self, stacking: &Stacking) -> Vec<Standing> {
        let of = |(standing, line): (&Standing, &Line<'_>)| Standing {
            floor: standing.floor.max(self.floor_of(stacking, line)),
            ..*standing
        };
        self.standing.iter().zip(&self.basket.lines).map(of).collect()
    }

    /// What a promotion wants to be left of a line.
    fn floor_of(&self, stacking: &Stacking, line: &Line<'_>) -> i64 {
        let share = stacking.floor.map_or(0, |floor| at_least(line.subtotal, floor));
        let cost = line.cost.filter(|_| stacking.not_below_cost).unwrap_or_default();
        share.max(cost)
    }

    fn take(&mut self, candidate: &Candidate<'a>) {
        let Candidate { ready, offer } = candidate;
        let stacking = &ready.promotion.rule.stacking;
        let mut lines = Vec::with_capacity(offer.taken.len());
        for taken in &offer.taken {
            let Some(line) = self.basket.lines.get(taken.at) else { continue };
            let floor = self.floor_of(stacking, line);
            if let Some(standing) = self.standing.get_mut(taken.at) {
                standing.left -= taken.off;
                standing.touched = true;
                standing.closed |= !stacking.combinable;
                standing.floor = standing.floor.max(floor);
            }
            let amount = Money::from_minor(taken.off, self.basket.currency);
            lines.push(LineShare { line_no: line.line_no, amount });
            let target = AdjustmentTarget::Line { line_no: line.line_no };
            self.adjustments.push(adjustment(ready, target, amount));
        }
        if let Some(line @ GiftLine { line_no, variant, pieces, value }) = offer.given {
            *self.given.entry(variant).or_default() += pieces;
            self.gifts.push((ready.promotion.id, line));
            let amount = Money::from_minor(value, self.basket.currency);
            lines.push(LineShare { line_no, amount });
            self.adjustments.push(adjustment(ready, AdjustmentTarget::Line { line_no }, amount));
        }
        self.note(ready, offer, lines);
    }

    fn shipping_offer(&self, ready: &'a Compiled) -> Result<Offer, Refusal> {
        let (promotion, basket) = (&ready.promotion, self.basket);
        conditions::in_question(ready, basket)?;
        conditions::suited(ready, basket, self.value)?;
        conditions::goods_for(ready, basket)?;
        let at = basket.lines.len();
        let Some(standing) = self.standing.get(at) else { return Ok(Offer::default()) };
        if standing.closed || (standing.touched && !promotion.rule.stacking.combinable) {
            return Err(Refusal::plain(
                "not_combinable",
                "another promotion has reduced shipping, and they do not go together",
            ));
        }
        let wanted = match &promotion.rule.gift {
            Gift::Percentage { percent, .. } => part(basket, standing.left, *percent),
            Gift::Amount { amount, .. } => amount.minor(),
            Gift::FixedShipping { price } => standing.left - price.minor(),
            _ => 0,
        };
        let floor = standing.floor.max(self.floor_of_shipping(ready));
        let off = wanted.clamp(0, (standing.left - floor).max(0));
        let offer = Offer { taken: vec![super::gifts::Taken { at, off }], given: None, units: 0 };
        self.worth(&offer, basket.left_of(promotion).budget)?;
        Ok(offer)
    }

    /// What a promotion wants to be left of shipping.
    fn floor_of_shipping(&self, ready: &Compiled) -> i64 {
        ready.promotion.rule.stacking.floor.map_or(0, |floor| at_least(self.shipping, floor))
    }

    fn take_shipping(&mut self, candidate: &Candidate<'a>) {
        let Candidate { ready, offer } = candidate;
        let floor = self.floor_of_shipping(ready);
        if let Some(standing) = self.standing.last_mut() {
            standing.floor = standing.floor.max(floor);
            standing.left -= offer.total();
            standing.touched = true;
            standing.closed |= !ready.promotion.rule.stacking.combinable;
        }
        let amount = Money::from_minor(offer.total(), self.basket.currency);
        self.adjustments.push(adjustment(ready, AdjustmentTarget::Shipping, amount));
        self.note(ready, offer, Vec::new());
    }

    fn note(&mut self, ready: &Compiled, offer: &Offer, lines: Vec<LineShare>) {
        let promotion = &ready.promotion;
        let coupon = self.basket.coupon_of(promotion.id).ok().flatten();
        self.applied.push(AppliedPromotion {
            promotion_id: promotion.id,
            code: promotion.code.clone(),
            name: promotion.name.clone(),
            version: promotion.version,
            coupon: coupon.filter(|_| promotion.rule.conditions.coupon).map(|coupon| coupon.code.clone()),
            payment_methods: promotion.rule.conditions.payment_methods.iter().map(ToString::to_string).collect(),
            amount: Money::from_minor(offer.total(), self.basket.currency),
            units: offer.units,
            lines,
        });
    }

    fn pass_over(&mut self, ready: &Compiled, reason: Refusal) {
        let promotion = &ready.promotion;
        let coupon = self.basket.coupons.iter().find(|coupon| coupon.promotion == promotion.id);
        // Who has a coupon is told why it does not count, and nobody is charged more without a word since something is used up.
        let owed = || coupon.is_some() || EXHAUSTED.contains(&reason.code());
        let in_question = || !OUT_OF_QUESTION.contains(&reason.code());
        let told = match self.detail {
            Detail::All => true,
            Detail::InQuestion => self.passed_over.len() < MOST_PASSED_OVER && in_question() || owed(),
        };
        if told {
            self.passed_over.push(PassedOver {
                promotion_id: promotion.id,
                code: promotion.code.clone(),
                name: promotion.name.clone(),
                coupon: coupon.map(|coupon| coupon.code.clone()),
                reason: reason.told(),
            });
        }
    }
}

fn adjustment(ready: &Compiled, target: AdjustmentTarget, amount: Money) -> Adjustment {
    let promotion = &ready.promotion;
    Adjustment {
        target,
        value: AdjustmentValue::Amount(amount),
        source: format!("promotion:{}", promotion.code),
        label: promotion.name.clone(),
    }
}
