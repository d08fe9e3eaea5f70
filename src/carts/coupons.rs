//! The coupons of a cart: which codes are asked for, and whether they can be used.

use super::{
    model::{Cart, Problem},
    pricing::{Context, note, redeeming},
};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    http::State,
    kernel::{
        ids::{CartId, ChannelId},
        text::Text,
    },
    pricing::{
        model::Totals,
        promotions::{self, Redeemed, code},
    },
    risk::{self, Profiles},
};

/// The most coupons a cart may have.
const MOST: usize = 10;

/// A coupon that is asked for.
#[derive(Debug, Clone)]
pub(super) struct WantedCoupon {
    pub code: String,
    /// JSON pointer to it in what was sent.
    pub pointer: String,
}

/// The coupon of a code as it was typed.
///
/// # Errors
/// `coupon_unknown` where it can not be a code.
pub(super) fn named(text: &str, pointer: String) -> Result<WantedCoupon> {
    let code = code::normalised(text).ok_or_else(|| promotions::unknown_coupon(text).at(pointer.as_str()))?;
    Ok(WantedCoupon { code, pointer })
}

/// The coupons of the codes that were sent.
///
/// # Errors
/// `coupon_unknown`, `invalid_value`.
pub(super) fn wanted(codes: &[Text<60>]) -> Result<Vec<WantedCoupon>> {
    let mut wanted: Vec<WantedCoupon> = Vec::new();
    for (place, text) in codes.iter().enumerate() {
        let coupon = named(text, format!("/coupons/{place}"))?;
        if !wanted.iter().any(|known| known.code == coupon.code) {
            wanted.push(coupon);
        }
    }
    Ok(wanted)
}

/// The cart's coupons, for changes that keep most of them.
pub(super) fn as_wanted(cart: &Cart) -> Vec<WantedCoupon> {
    let wanted =
        |(place, code): (usize, &String)| WantedCoupon { code: code.clone(), pointer: format!("/coupons/{place}") };
    cart.details.coupons.iter().enumerate().map(wanted).collect()
}

/// Puts the wanted coupons in the place of the cart's. New ones must be there, and must not be refused. One statement where there
/// are new ones.
///
/// # Errors
/// `coupon_unknown`, `coupon_mistyped`, `coupon_refused`, `invalid_value`.
pub(super) fn replace(tx: &mut Tx, context: &Context, cart: &mut Cart, wanted: &[WantedCoupon]) -> Result<()> {
    if wanted.len() > MOST.max(cart.details.coupons.len()) {
        return Err(Error::invalid("/coupons", format!("a cart takes at most {MOST} coupons")));
    }
    let new: Vec<&WantedCoupon> = wanted.iter().filter(|one| !cart.details.coupons.contains(&one.code)).collect();
    let codes: Vec<String> = new.iter().map(|one| one.code.clone()).collect();
    let found = promotions::redeemed(tx, redeeming(context, cart), &codes)?;
    for coupon in new {
        let known = found.iter().find(|known| known.code == coupon.code);
        match known.filter(|known| context.rules.offers_promotion(context.channel.id, known.promotion)) {
            None => return Err(promotions::unknown_coupon(&coupon.code).at(coupon.pointer.as_str())),
            Some(Redeemed { refused: Some(why), .. }) => {
                let error = Error::problem(Code::CouponRefused, why.text.clone()).at(coupon.pointer.clone());
                return Err(error.with("reason", why.code.clone()));
            }
            Some(_) => {}
        }
    }
    cart.details.coupons = wanted.iter().map(|one| one.code.clone()).collect();
    Ok(())
}

/// Counts a code that was refused at a cart, where the channel's rules of risk ask for that: in a transaction of its own, for the one that
/// refused it is undone. Gives the refusal.
pub(super) async fn note_refused(state: &State, (channel, cart): (ChannelId, CartId), error: Error) -> Error {
    let of_code = [Code::CouponUnknown, Code::CouponMistyped, Code::CouponRefused, Code::GiftCardUnknown];
    if !of_code.contains(&error.code()) {
        return error;
    }
    let asked = state.db.snapshot::<Profiles>().await.ok().and_then(|profiles| profiles.of(channel));
    if asked.is_some_and(|profile| profile.document.asks_for_codes()) {
        let now = state.clock.now();
        if let Err(trouble) = state.db.write(move |tx| risk::refused_code(tx, now, cart)).await {
            tracing::warn!(%cart, error = %trouble, "a refused code could not be counted");
        }
    }
    error
}

/// Whether its promotion applies by another coupon.
fn counts_by_another(totals: &Totals, coupon: &Redeemed) -> bool {
    totals.promotions.iter().any(|applied| applied.promotion_id == coupon.promotion)
}

/// Why coupons of the cart take nothing off.
pub(super) fn problems(cart: &Cart, redeemed: &[Redeemed], totals: Option<&Totals>) -> Vec<Problem> {
    let Some(totals) = totals else { return Vec::new() };
    let idle = |(place, code): (usize, &String)| {
        if totals.promotions.iter().any(|applied| applied.coupon.as_ref() == Some(code)) {
            return None;
        }
        let known = redeemed.iter().find(|known| known.code == *code);
        let passed = totals.passed_over.iter().find(|passed| passed.coupon.as_ref() == Some(code));
        let detail = match (known.and_then(|known| known.refused.as_ref()), passed) {
            (Some(why), _) => why.text.clone(),
            (None, Some(passed)) => format!("{}: {}", passed.name, passed.reason.text),
            (None, None) if known.is_some_and(|known| counts_by_another(totals, known)) => {
                "another coupon of the same promotion counts".to_owned()
            }
            (None, None) if known.is_none() => format!("there is no coupon {code} any more"),
            (None, None) => format!("the coupon {code} is not for this cart, or not now"),
        };
        Some(note("coupon_not_applied", detail, &format!("/coupons/{place}")))
    };
    cart.details.coupons.iter().enumerate().filter_map(idle).collect()
}
