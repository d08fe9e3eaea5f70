//! Promotions that give goods: which are in question for a cart, and how many pieces it has earned. Pure.

use std::sync::Arc;

use super::{
    compiled::Compiled,
    conditions::{self, Basket, OUT_OF_STOCK, Refusal},
    model::{Gift, PromotionState},
};
use crate::kernel::ids::PromotionId;

/// Whether any promotion gives goods to carts, or would where drafts are looked at too.
#[must_use]
pub fn give_goods(promotions: &[Arc<Compiled>], with_drafts: bool) -> bool {
    let live = |ready: &&Arc<Compiled>| with_drafts || ready.promotion.state == PromotionState::Active;
    promotions.iter().filter(live).any(|ready| ready.promotion.rule.gift.goods().is_some())
}

/// The promotions that may give goods to a cart, whatever is in it, with the SKUs of these.
#[must_use]
pub fn goods_in_question(promotions: &[Arc<Compiled>], basket: &Basket<'_>) -> Vec<(PromotionId, String)> {
    let in_question = |ready: &&Arc<Compiled>| conditions::in_question(ready, basket).is_ok();
    let goods = |ready: &Arc<Compiled>| Some((ready.promotion.id, ready.promotion.rule.gift.goods()?.to_owned()));
    promotions
        .iter()
        .filter(|ready| ready.promotion.rule.gift.goods().is_some())
        .filter(in_question)
        .filter_map(goods)
        .collect()
}

/// How many pieces a promotion gives to a cart. Of what is limited, or of which so many are `available`, only whole gifts are given.
///
/// # Errors
/// Why it gives none.
pub(super) fn earned(ready: &Compiled, basket: &Basket<'_>, available: i64) -> Result<i64, Refusal> {
    let Gift::Goods { quantity, every, times, .. } = &ready.promotion.rule.gift else {
        return Err(Refusal::plain("no_goods", "it gives no goods"));
    };
    conditions::in_question(ready, basket)?;
    conditions::suited(ready, basket, basket.value())?;
    let (_, pieces) = conditions::goods_for(ready, basket)?;
    let earned = every.map_or(1, |every| pieces / every.max(1)).min(times.unwrap_or(i64::MAX));
    if earned == 0 {
        return Err(Refusal::plain("too_few", "there are too few pieces for it"));
    }
    let of = |pieces: i64| pieces.max(0) / quantity.max(&1);
    if of(basket.left_of(&ready.promotion).units) == 0 {
        return Err(Refusal::plain("units_used_up", "too few of its pieces are left"));
    }
    if of(available) == 0 {
        return Err(Refusal::plain(OUT_OF_STOCK, "what it gives can not be had now"));
    }
    let given = earned.min(of(available)).min(of(basket.left_of(&ready.promotion).units));
    Ok(given.saturating_mul(*quantity))
}
