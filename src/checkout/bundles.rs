//! A cart's bundles as an order has them: the line that was priced is spread over the components that are shipped. Pure.

use super::place::Prepared;
use crate::{
    carts::{Cart, CartLine, Taken, taken},
    error::{Error, Result},
    kernel::{Currency, Money, Per, PricePer, Quantity, UnitPrice, ids::VariantId},
    orders::{BundlePart, OrderBundle},
    pricing::{
        engine::spread,
        model::{LineTotals, Step, Totals},
    },
};

/// What a line is in minor units, in the order of [`LineTotals`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Amounts {
    subtotal: i64,
    discount: i64,
    net: i64,
    tax: i64,
    gross: i64,
}

impl From<&LineTotals> for Amounts {
    fn from(line: &LineTotals) -> Self {
        let LineTotals { subtotal, discount, net, tax, gross, .. } = line;
        let minor = |money: &Money| money.minor();
        Self {
            subtotal: minor(subtotal),
            discount: minor(discount),
            net: minor(net),
            tax: minor(tax),
            gross: minor(gross),
        }
    }
}

/// Spreads a line over shares so that each of its amounts is the sum of theirs, none of them is below zero, each has `net + tax =
/// gross`, and what is taken off a part is no more than its subtotal. Shares that are all zero count as equal.
fn spread_over(whole: Amounts, shares: &[i64]) -> Vec<Amounts> {
    let subtotals = spread(whole.subtotal, shares);
    // Parts of what is left never exceed the subtotals, for their sum does not.
    let charged = spread(whole.subtotal - whole.discount, if whole.subtotal > 0 { &subtotals } else { shares });
    // What is charged has the tax in it, or the tax comes on top.
    let included = whole.gross == whole.subtotal - whole.discount;
    let bases = if included || whole.net == whole.subtotal - whole.discount {
        charged.clone()
    } else {
        spread(whole.gross, &charged)
    };
    let taxes = spread(whole.tax, &bases);
    let part = |(((subtotal, charged), base), tax): (((i64, i64), i64), i64)| {
        let on_top = !included && whole.net == whole.subtotal - whole.discount;
        let (net, gross) = if on_top { (base, base + tax) } else { (base - tax, base) };
        Amounts { subtotal, discount: subtotal - charged, net, tax, gross }
    };
    subtotals.into_iter().zip(charged).zip(bases).zip(taxes).map(part).collect()
}

/// The price of so many pieces that cost so much together: of one piece where that is exact, else of all of them.
fn price_of(minor: i64, quantity: Quantity, currency: Currency) -> PricePer {
    let scaled = i128::from(minor) * 10_000;
    let exact = |per: Per| {
        let own = scaled * i128::from(per.get());
        let whole = i128::from(quantity.get());
        let fits = i64::try_from(own / whole).ok().filter(|_| own % whole == 0);
        fits.map(|scaled| PricePer::from_scaled(scaled, currency, per))
    };
    let all = || Per::new(quantity.get()).ok().and_then(exact);
    let about = || i64::try_from(scaled / i128::from(quantity.get().max(1))).unwrap_or(i64::MAX);
    if quantity.is_zero() {
        return PricePer::from(UnitPrice::from_scaled(0, currency));
    }
    exact(Per::ONE).or_else(all).unwrap_or_else(|| PricePer::from_scaled(about(), currency, Per::ONE))
}

/// A cart's lines as its order has them.
pub(super) struct Sold {
    /// The totals, with the components of bundles in the place of these.
    pub totals: Totals,
    /// The bundles.
    pub bundles: Vec<OrderBundle>,
}

/// What a cart becomes in its order. The amounts of the whole stay as they are.
///
/// # Errors
/// A line without a price, which would be a defect.
pub(super) fn sold(cart: &Cart, mut totals: Totals) -> Result<Sold> {
    if cart.details.lines.iter().all(|line| line.components.is_empty()) {
        return Ok(Sold { totals, bundles: Vec::new() });
    }
    let taken = taken(&cart.details);
    let mut bundles = Vec::new();
    for (place, line) in cart.details.lines.iter().enumerate().filter(|(_, line)| !line.components.is_empty()) {
        let at = totals.lines.iter().position(|totals| totals.line_no == line.line_no);
        let whole = totals.lines.remove(at.ok_or_else(|| Error::internal("a bundle without a price"))?);
        let parts: Vec<&Taken<'_>> = taken.iter().filter(|one| one.place == place).collect();
        totals.lines.extend(parts_of(line, &whole, &parts, totals.currency)?);
        bundles.push(OrderBundle {
            line_no: line.line_no,
            variant_id: line.variant_id,
            sku: line.sku.clone(),
            name: line.name.clone(),
            quantity: line.quantity.get(),
            unit_price: whole.unit_price,
            per: whole.per,
            subtotal: whole.subtotal,
            discount: whole.discount,
            net: whole.net,
            tax: whole.tax,
            gross: whole.gross,
            tax_rate: whole.tax_rate,
            line_nos: parts.iter().map(|part| part.line_no).collect(),
            explanation: whole.explanation,
        });
    }
    Ok(Sold { totals, bundles })
}

/// The lines of a bundle's components.
fn parts_of(line: &CartLine, whole: &LineTotals, parts: &[&Taken<'_>], currency: Currency) -> Result<Vec<LineTotals>> {
    let shares: Vec<i64> = parts.iter().filter_map(|part| Some(part.component?.share)).collect();
    let because = format!("its part of {}, which is line {} for {}", line.sku, line.line_no, whole.subtotal);
    let part = |(part, own): (&&Taken<'_>, Amounts)| {
        let quantity = Quantity::new(part.quantity).map_err(Error::internal)?;
        let money = |minor| Money::from_minor(minor, currency);
        let price = price_of(own.subtotal, quantity, currency);
        Ok(LineTotals {
            line_no: part.line_no,
            unit_price: price.price,
            per: price.per,
            quantity,
            subtotal: money(own.subtotal),
            discount: money(own.discount),
            net: money(own.net),
            tax: money(own.tax),
            gross: money(own.gross),
            tax_rate: whole.tax_rate,
            explanation: vec![Step::new("bundle", because.clone())],
        })
    };
    parts.iter().zip(spread_over(Amounts::from(whole), &shares)).map(part).collect()
}

/// The bundle that what is taken is a part of.
pub(super) fn part_of(one: &Taken<'_>) -> Option<BundlePart> {
    let component = one.component?;
    Some(BundlePart {
        line_no: one.line.line_no,
        sku: one.line.sku.clone(),
        name: one.line.name.clone(),
        quantity: one.line.quantity.get(),
        per_bundle: component.quantity,
    })
}

/// The tax class that a part is taxed under: of a component its bundle's.
pub(super) fn tax_class(prepared: &Prepared, one: &Taken<'_>) -> Option<String> {
    let of = |id: &VariantId| prepared.variants.get(id).map(|variant| variant.tax_class.clone());
    of(&one.line.variant_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(parts: &[Amounts], of: fn(&Amounts) -> i64) -> i64 {
        parts.iter().map(of).sum()
    }

    #[test]
    fn a_cent_more_goes_to_the_largest_remainder() {
        let whole = Amounts { subtotal: 1000, discount: 1, net: 840, tax: 159, gross: 999 };
        let parts = spread_over(whole, &[1, 1, 1]);
        assert_eq!(parts.iter().map(|part| part.gross).collect::<Vec<_>>(), [333, 333, 333]);
        assert_eq!(parts.iter().map(|part| part.tax).collect::<Vec<_>>(), [53, 53, 53]);
        assert_eq!(parts.iter().map(|part| part.discount).collect::<Vec<_>>(), [1, 0, 0]);
        // What costs nothing is nothing in all its parts.
        let nothing = Amounts { subtotal: 0, discount: 0, net: 0, tax: 0, gross: 0 };
        assert_eq!(spread_over(nothing, &[0, 5]), [nothing, nothing]);
    }

    #[test]
    fn a_price_is_that_of_one_piece_where_it_is_exact() {
        let eur: Currency = "EUR".parse().unwrap();
        let of = |minor, quantity| price_of(minor, Quantity::new(quantity).unwrap(), eur);
        assert_eq!((of(1000, 4).price.scaled(), of(1000, 4).per), (2_500_000, Per::ONE));
        assert_eq!((of(1000, 3).price.scaled(), of(1000, 3).per.get()), (10_000_000, 3));
        assert_eq!(of(0, 7).price.scaled(), 0);
    }

    proptest! {
        /// Whatever is charged, discounted and taxed, and however the components weigh: the parts sum to the whole in each amount.
        #[test]
        fn parts_sum_to_the_whole(
            subtotal in 0i64..10_000_000, off in 0u8..=100, percent in 0i64..40, included: bool, odd: bool,
            shares in prop::collection::vec(0i64..1_000_000_000_000, 1..50),
        ) {
            let discount = subtotal * i64::from(off) / 100;
            let charged = subtotal - discount;
            let (net, tax) = match included {
                true => { let net = charged * 100 / (100 + percent); (net, charged - net) }
                false => (charged, charged * percent / 100),
            };
            // A line whose amounts were reckoned otherwise is spread all the same.
            let net = if odd { net + 1 } else { net };
            let whole = Amounts { subtotal, discount, net, tax, gross: net + tax };
            let parts = spread_over(whole, &shares);
            prop_assert_eq!(parts.len(), shares.len());
            prop_assert_eq!(sum(&parts, |part| part.subtotal), whole.subtotal);
            prop_assert_eq!(sum(&parts, |part| part.discount), whole.discount);
            prop_assert_eq!(sum(&parts, |part| part.net), whole.net);
            prop_assert_eq!(sum(&parts, |part| part.tax), whole.tax);
            prop_assert_eq!(sum(&parts, |part| part.gross), whole.gross);
            for part in &parts {
                prop_assert_eq!(part.net + part.tax, part.gross);
                prop_assert!(part.net >= 0 && part.tax >= 0 && part.subtotal >= 0);
                prop_assert!((0..=part.subtotal).contains(&part.discount));
            }
        }

        /// The price that is told comes to the amount again.
        #[test]
        fn prices_come_to_their_amounts(minor in 0i64..100_000_000, quantity in 1i64..1_000_000) {
            let quantity = Quantity::new(quantity).unwrap();
            let price = price_of(minor, quantity, "EUR".parse().unwrap());
            prop_assert_eq!(price.amount(quantity, crate::kernel::Rounding::HalfUp), Some(minor));
        }
    }
}
