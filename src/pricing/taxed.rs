//! What the tax that is due makes of prices: the rate of each class, and what prices that include tax become where another one is due
//! than at home. Pure; carts, their shipping options and offers all ask here, so that they say the same.

use std::cell::RefCell;

use rust_decimal::Decimal;

use super::{
    model::Step,
    prior::Reduction,
    quote::Rules,
    tax::{Sale, Taxation},
};
use crate::kernel::{Instant, PricePer, Rounding, UnitPrice, tax::InclusivePrices};

/// How what is sold together is taxed.
pub struct Taxed<'a> {
    pub(super) rules: &'a Rules,
    pub(super) sale: &'a Sale,
    pub(super) at: Instant,
    pub(super) prices_include_tax: bool,
    rounding: Rounding,
    pub(super) taxation: Taxation,
    /// Why nothing is taxed.
    untaxed: Option<Step>,
    /// The rates that were asked for already: a cart has hundreds of lines and a few classes.
    known: RefCell<Vec<(String, Rate)>>,
}

/// The rate of a class with its step, or the step that says that there is none.
type Rate = Result<(Decimal, Step), Step>;

impl<'a> Taxed<'a> {
    /// How a sale is taxed at an instant, in a channel whose prices include tax or not, and that rounds so.
    #[must_use]
    pub fn new(
        rules: &'a Rules,
        sale: &'a Sale,
        at: Instant,
        (prices_include_tax, rounding): (bool, Rounding),
    ) -> Self {
        let taxation = sale.taxation();
        let (untaxed, known) = (taxation.untaxed(sale), RefCell::default());
        Self { rules, sale, at, prices_include_tax, rounding, untaxed, taxation, known }
    }

    /// The tax rate for a class, with its step; 0 where nothing is taxed.
    ///
    /// # Errors
    /// The step that says that there is none.
    pub fn rate(&self, class: &str) -> Result<(Decimal, Step), Step> {
        if let (Some(step), None) = (&self.untaxed, self.taxation.country) {
            return Ok((Decimal::ZERO, step.clone()));
        }
        if let Some((_, rate)) = self.known.borrow().iter().find(|(known, _)| known == class) {
            return rate.clone();
        }
        let rate = self.rules.tax(self.taxation.country.unwrap_or(self.sale.destination), class, self.at);
        self.known.borrow_mut().push((class.to_owned(), rate.clone()));
        rate
    }

    /// A price of a list as it is charged: one that includes tax has the tax that is due in it, in the digits of the currency unless
    /// the list's own price has more. `None` when it becomes too large.
    #[must_use]
    pub fn unit_price(&self, class: &str, price: PricePer, rate: Decimal) -> Option<PricePer> {
        let own = price.price.decimal();
        let Some(recomputed) = self.recomputed(class, own, rate) else { return Some(price) };
        let currency = price.currency();
        let whole = own.normalize().scale() <= currency.exponent();
        let digits = currency.exponent() + if whole { 0 } else { UnitPrice::EXTRA_DIGITS };
        let rounded = recomputed.round_dp_with_strategy(digits, self.rounding.strategy());
        UnitPrice::rounded(rounded, currency).map(|one| PricePer { price: one, ..price })
    }

    /// What goods have cost, to be compared with prices that have the tax that is due in them: without the tax at home and with
    /// that one, whatever becomes of the prices themselves. `None` when it becomes too large.
    #[must_use]
    pub fn cost(&self, class: &str, cost: PricePer, rate: Decimal) -> Option<PricePer> {
        match self.with_other_tax(class, cost.price.decimal(), rate) {
            Some(other) => UnitPrice::rounded(other, cost.currency()).map(|price| PricePer { price, ..cost }),
            None => Some(cost),
        }
    }

    /// What is shown beside a reduced price: the price before it, taxed as the price itself is, and the per cent. `None` where
    /// nothing is.
    #[must_use]
    pub fn reduction(&self, class: &str, reduction: &Reduction) -> Option<(PricePer, Option<i64>)> {
        let rate = self.rate(class).map_or(Decimal::ZERO, |(rate, _)| rate);
        let prior = self.unit_price(class, reduction.shown()?, rate)?;
        let price = self.unit_price(class, reduction.price, rate)?;
        prior.by_piece(price).is_gt().then(|| (prior, reduction.percent()))
    }

    /// Why a price is not the one that it was.
    pub(super) fn recomputed_step(&self, from: &str, to: &str) -> Step {
        let seller = self.sale.seller;
        Step::new("recomputed", format!("{from} with the tax of {seller} is {to} with the tax that is due"))
    }

    /// A price that includes the tax at home with the tax that is due instead; `None` where it stays as it is.
    pub(super) fn recomputed(&self, class: &str, price: Decimal, rate: Decimal) -> Option<Decimal> {
        let fixed = self.sale.policy.inclusive_prices == InclusivePrices::Fixed;
        if fixed { None } else { self.with_other_tax(class, price, rate) }
    }

    /// An amount that includes the tax at home with another one in its place; `None` where that is the same, or none is included.
    fn with_other_tax(&self, class: &str, amount: Decimal, rate: Decimal) -> Option<Decimal> {
        if !self.prices_include_tax {
            return None;
        }
        let home = self.rules.tax(self.sale.seller.for_vat(), class, self.at).ok();
        let (home, _) = home.filter(|(home, _)| *home != rate)?;
        // Multiplied first: the amount without tax may have no end, and half a cent must be just that to be rounded as such.
        amount.checked_mul(Decimal::ONE.checked_add(rate)?)?.checked_div(Decimal::ONE.checked_add(home)?)
    }
}
