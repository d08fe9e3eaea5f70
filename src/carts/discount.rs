//! A discount by hand: prices that staff agree for all of a cart, so many per cent below what it shows.

use std::{cell::Cell, collections::HashMap};

use super::{
    model::{Cart, CartLine, Problem},
    pricing::Context,
    service::{self, Change, Who},
};
use crate::{
    countersign::{self, Ceilinged, Giving},
    db::Tx,
    error::{Code, Error, Result},
    kernel::{Money, PricePer, Rounding, UnitPrice, ids::CartId},
    pricing::model::LineTotals,
};

/// Agrees prices for the lines of a cart that have none agreed: so many per cent below what they cost, promotions included, for these reduce no
/// price that is agreed. A line whose price can not be lower by a minor unit stays. What is given away has to be within the ceiling of who
/// agrees.
///
/// # Errors
/// `not_found`, `cart_not_open`; `invalid_value`, also where the cart would not cost less; `ceiling_exceeded`, `second_person_needed`.
pub fn discount(
    tx: &mut Tx,
    context: &Context,
    who: Who<'_>,
    id: CartId,
    percent: i64,
) -> Result<(Cart, Vec<Problem>)> {
    if !(1..=100).contains(&percent) {
        return Err(Error::invalid("/percent", "expected a whole number from 1 to 100"));
    }
    let (before, gives) = (Cell::new(0), Cell::new(0));
    let done = service::update(tx, context, who, id, None, |cart| {
        if cart.details.quote.is_some() {
            return Err(Error::conflict("the prices are those of a quote"));
        }
        before.set(cart.total());
        let mut given = 0i64;
        let totals = cart.details.totals.as_ref().map(|totals| totals.lines.as_slice()).unwrap_or_default();
        let priced: HashMap<i32, &LineTotals> = totals.iter().map(|line| (line.line_no, line)).collect();
        let own = |line: &&mut CartLine| line.gift_of.is_none() && line.agreed_price.is_none();
        for line in cart.details.lines.iter_mut().filter(own) {
            let Some(totals) = priced.get(&line.line_no) else { continue };
            let Some((is, less)) = lower(totals, percent) else { continue };
            given = given.saturating_add(less);
            (line.agreed_price, line.agreed_per) = (Some(is.price), is.per);
        }
        if given == 0 {
            return Err(nothing_less());
        }
        if !who.0.within_ceiling(given) {
            let detail = "more is given away than this credential may";
            return Err(Error::problem(Code::CeilingExceeded, detail).at("/percent"));
        }
        gives.set(given);
        Ok(Change::default())
    })?;
    let giving = Giving {
        kind: Ceilinged::Discount,
        channel: Some(done.0.channel),
        of: Some(id.to_string()),
        amount: Money::from_minor(gives.get(), done.0.currency),
    };
    countersign::pass(tx, (context.now, who.0), &giving)?;
    // A promotion may have asked for prices that are not agreed, or for a sum that is not reached any more.
    match done.0.total() < before.get() {
        true => Ok(done),
        false => Err(nothing_less()),
    }
}

fn nothing_less() -> Error {
    Error::invalid(
        "/percent",
        "the cart would not cost less: its promotions give as much, or its prices are agreed already",
    )
}

/// A price so many per cent below what a line costs after its promotions, and by how much the line is lower then, in minor units. `None` where
/// it would not be.
fn lower(line: &LineTotals, percent: i64) -> Option<(PricePer, i64)> {
    let charged = line.subtotal.minor() - line.discount.minor();
    let is = reduced(charged_price(line, charged), percent);
    let less = charged - is.amount(line.quantity, Rounding::HalfUp)?;
    (less > 0).then_some((is, less))
}

/// What a unit of a line costs after its promotions, or as many as its price is for.
fn charged_price(line: &LineTotals, charged: i64) -> PricePer {
    let was = line.price();
    let quantity = i128::from(line.quantity.get());
    if line.discount.minor() == 0 || quantity == 0 {
        return was;
    }
    let scaled = i128::from(charged) * SCALE * i128::from(was.per.get());
    let scaled = i64::try_from((scaled + quantity / 2) / quantity).unwrap_or(was.price.scaled());
    PricePer { price: UnitPrice::from_scaled(scaled, was.price.currency()), per: was.per }
}

/// A unit price has so many parts of a minor unit.
const SCALE: i128 = 10_000;

/// A price so many per cent lower, rounded half up to the last of its digits.
fn reduced(price: PricePer, percent: i64) -> PricePer {
    let left = i128::from(price.price.scaled()) * i128::from(100 - percent);
    let scaled = i64::try_from((left + 50) / 100).unwrap_or(price.price.scaled());
    PricePer { price: UnitPrice::from_scaled(scaled, price.price.currency()), per: price.per }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;
    use crate::kernel::{Per, Quantity};

    #[test]
    fn prices_are_reduced_to_the_last_digit() {
        let price = |text: &str| PricePer::from(UnitPrice::parse(text, "EUR".parse().unwrap()).unwrap());
        assert_eq!(reduced(price("19.90"), 10), price("17.91"));
        // The last of six digits: 0.0000045 is rounded up.
        assert_eq!(reduced(price("0.000005"), 10), price("0.000005"));
        assert_eq!(reduced(price("0.0005"), 10), price("0.00045"));
        assert_eq!(reduced(price("9.99"), 100), price("0"));
    }

    fn line(unit: &str, quantity: i64, discount: i64) -> LineTotals {
        let currency = "EUR".parse().unwrap();
        let money = |minor| Money::from_minor(minor, currency);
        let (price, quantity) = (UnitPrice::parse(unit, currency).unwrap(), Quantity::new(quantity).unwrap());
        let subtotal = PricePer::from(price).amount(quantity, Rounding::HalfUp).unwrap();
        LineTotals {
            line_no: 1,
            unit_price: price,
            per: Per::ONE,
            quantity,
            subtotal: money(subtotal),
            discount: money(discount),
            net: money(subtotal - discount),
            tax: money(0),
            gross: money(subtotal - discount),
            tax_rate: Decimal::ZERO,
            explanation: Vec::new(),
        }
    }

    #[test]
    fn a_discount_comes_on_top_of_promotions_and_raises_nothing() {
        let (price, less) = lower(&line("10.00", 3, 1500), 10).unwrap();
        assert_eq!((price, less), (PricePer::from(UnitPrice::parse("4.50", "EUR".parse().unwrap()).unwrap()), 150));
        assert_eq!(lower(&line("0.01", 1, 0), 1), None);
        assert_eq!(lower(&line("10.00", 1, 1000), 50), None);
    }
}
