//! Promotions that are announced to everybody as a reduction of goods that they name: whoever sees the shop sees the goods reduced, as
//! with a price list of the kind `sale`. Pure.

use rust_decimal::Decimal;

use super::{
    compiled::{Compiled, Line},
    model::{Conditions, Gift, Promotion, Target},
};
use crate::kernel::{Currency, Instant, PricePer, Quantity, UnitPrice, ids::ChannelId};

impl Compiled {
    /// Whether it is such a one in a channel and a currency at an instant: it asks for nothing but the goods, which it names, and takes
    /// per cent, an amount or all above a fixed price off each.
    #[must_use]
    pub fn is_announced(&self, (channel, currency): (ChannelId, Currency), at: Instant) -> bool {
        // Its first hours, where it goes, and what its goods are, are known to whoever looks.
        let Conditions {
            coupon,
            first_hours: _,
            devices,
            countries: _,
            customer_groups,
            segments,
            companies,
            first_order,
            min_value,
            max_value,
            min_quantity,
            payment_methods,
            origins,
            goods,
        } = &self.promotion.rule.conditions;
        let of_some = *coupon || *first_order || !companies.is_empty();
        let of_some = of_some || !customer_groups.is_empty() || !segments.is_empty();
        let at_some = !devices.is_empty() || !payment_methods.is_empty() || !origins.is_empty();
        let for_much = min_value.is_some() || max_value.is_some() || min_quantity.is_some_and(|least| least > 1);
        !(of_some || at_some || for_much || goods.include.is_empty())
            && self.takes_off(Decimal::ONE).is_some()
            && self.currency.is_none_or(|own| own == currency)
            && self.is_going_on(channel, at)
            && super::checks::ends(&self.promotion).is_none_or(|until| at < until)
    }

    /// Since when it goes on. When it was activated is not kept: what names no beginning is taken to have begun when it was made.
    #[must_use]
    pub fn began(&self) -> Instant {
        let Promotion { valid_from, created_at, .. } = &self.promotion;
        valid_from.map_or(*created_at, |from| from.max(*created_at))
    }

    /// What a piece of an article costs by it; `None` where it is not for the article, or takes nothing off.
    #[must_use]
    pub fn announces(&self, line: &Line<'_>) -> Option<PricePer> {
        if !self.is_for(line) {
            return None;
        }
        let piece = line.price.about(Quantity::ONE);
        let reduced = (piece - self.takes_off(piece)?).max(Decimal::ZERO);
        let price: PricePer = UnitPrice::rounded(reduced, line.price.currency())?.into();
        price.by_piece(line.price).is_lt().then_some(price)
    }

    /// What it takes off a piece of this price; `None` where what it gives is not told of a piece.
    fn takes_off(&self, piece: Decimal) -> Option<Decimal> {
        match &self.promotion.rule.gift {
            Gift::Percentage { percent, on: Target::Lines | Target::Order } => {
                percent.value().checked_mul(Decimal::new(1, 2))?.checked_mul(piece)
            }
            Gift::AmountEach { amount } | Gift::Amount { amount, on: Target::Lines } => Some(amount.decimal()),
            Gift::FixedPrice { price } => Some((piece - price.decimal()).max(Decimal::ZERO)),
            _ => None,
        }
    }
}
