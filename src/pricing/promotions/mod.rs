//! Promotions: what takes something off a cart's goods or its shipping, for whom, until when, and how often.
//!
//! The slice decides which promotions apply to a cart and why others do not ([`Evaluation`], pure), and keeps count of what is
//! limited ([`reserve`], [`consume`], [`release`]), exactly and however many check out at once. It never touches carts, orders or
//! stock: they hand in what they have and keep what they get back.

mod announced;
pub(super) mod api;
mod check;
mod checks;
mod compiled;
mod conditions;
mod coupons;
mod evaluate;
mod forms;
mod gifts;
mod goods;
mod limits;
mod look;
mod model;
pub(super) mod runs;
pub(super) mod service;
mod store;
mod versions;

pub use announced::{Described, Listed, began, reduced_by};
pub use compiled::{Compiled, Line, Set};
pub use conditions::{Basket, GiftLine, Giveable, Left, Redeemed};
pub use coupons::{Coupon, Redeeming, code, find as find_coupon, redeemed, unknown as unknown_coupon};
pub use evaluate::{Before, Detail, Evaluation};
pub use goods::{give_goods, goods_in_question};
pub use limits::{
    Person, Use, consume, exhausted, expire_due, extend, give_back_of, give_back_one, left, lost, promotions_of,
    release, reserve, retain, uses_of, uses_of_applied,
};
pub use model::{
    Conditions, Gift, Goods, Limits, Off, Origin, Percent, Promotion, PromotionState, Rule, Selection, Stacking,
    Target, mermaid,
};

use crate::{http::State, jobs::Runner};

/// Registers what goes on behind requests.
pub fn work(state: &State, runner: &mut Runner) {
    let expiring = state.clone();
    runner.every("pricing.expire-promotion-uses", 15, move |now| {
        let state = expiring.clone();
        async move {
            while state.db.write_in(crate::db::Lane::Bulk, move |tx| expire_due(tx, now, 200)).await? == 200 {}
            Ok(())
        }
    });
    let keeping = state.clone();
    runner.every("pricing.keep-promotion-versions", 3_600, move |_| {
        let state = keeping.clone();
        async move { state.db.write_in(crate::db::Lane::Bulk, versions::keep_all).await }
    });
    coupons::work(state, runner);
}
