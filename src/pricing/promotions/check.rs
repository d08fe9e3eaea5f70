//! What must hold of a promotion beyond what its types say, and the currency of its amounts. Pure.

use super::model::{Gift, Goods, Off, Origin, Rule};
use crate::{
    error::{Code, Error, Result},
    kernel::{Currency, Money},
};

impl Rule {
    /// Every amount in it, with the pointer to it.
    fn amounts(&self) -> Vec<(String, Money)> {
        let mut found: Vec<(String, Money)> = Vec::new();
        let conditions = &self.conditions;
        let named = [
            ("/conditions/min_value", conditions.min_value),
            ("/conditions/max_value", conditions.max_value),
            ("/conditions/goods/min_unit_price", conditions.goods.min_unit_price),
            ("/conditions/goods/max_unit_price", conditions.goods.max_unit_price),
            ("/limits/budget", self.limits.budget),
        ];
        found.extend(named.into_iter().filter_map(|(pointer, money)| Some((pointer.to_owned(), money?))));
        let off = |pointer: String, off: Off| match off {
            Off::Amount(money) => Some((pointer + "/off/amount", money)),
            Off::Percent(_) => None,
        };
        match &self.gift {
            Gift::Amount { amount, .. } | Gift::AmountEach { amount } => found.push(("/gift/amount".into(), *amount)),
            Gift::FixedPrice { price } | Gift::FixedShipping { price } | Gift::Bundle { price, .. } => {
                found.push(("/gift/price".into(), *price));
            }
            Gift::SpendTiers { tiers } => {
                for (place, tier) in tiers.iter().enumerate() {
                    found.push((format!("/gift/tiers/{place}/from"), tier.from));
                    found.extend(off(format!("/gift/tiers/{place}"), tier.off));
                }
            }
            Gift::QuantityTiers { tiers } => {
                let offs = tiers.iter().enumerate();
                found.extend(offs.filter_map(|(place, tier)| off(format!("/gift/tiers/{place}"), tier.off)));
            }
            Gift::Percentage { .. } | Gift::BuyGet { .. } | Gift::Goods { .. } => {}
        }
        found
    }

    /// The one currency of its amounts; `None` when it names none, and is for carts in every currency.
    #[must_use]
    pub fn currency(&self) -> Option<Currency> {
        self.amounts().first().map(|(_, money)| money.currency())
    }

    /// What the types can not say.
    ///
    /// # Errors
    /// `invalid_value` with the pointer to the field.
    pub(super) fn check(&self) -> Result<()> {
        let amounts = self.amounts();
        let currency = self.currency();
        for (pointer, money) in &amounts {
            if Some(money.currency()) != currency {
                let detail = "the amounts of a promotion are in one currency: make another promotion for the other";
                return Err(Error::invalid(format!("{pointer}/currency"), detail));
            }
            let free = pointer == "/gift/price" || pointer.starts_with("/conditions");
            if money.minor() < 0 || (money.minor() == 0 && !free) {
                return Err(Error::invalid(format!("{pointer}/amount"), "expected an amount above 0"));
            }
        }
        self.check_numbers()?;
        self.check_goods()
    }

    fn check_numbers(&self) -> Result<()> {
        let within = |pointer: &str, number: Option<i64>, most: i64| match number {
            Some(number) if !(1..=most).contains(&number) => {
                Err(Error::invalid(pointer, format!("expected a whole number from 1 to {most}")))
            }
            _ => Ok(()),
        };
        let (limits, conditions) = (&self.limits, &self.conditions);
        let goods = &conditions.goods;
        for (pointer, least, most) in [
            ("/conditions/max_value", conditions.min_value, conditions.max_value),
            ("/conditions/goods/max_unit_price", goods.min_unit_price, goods.max_unit_price),
        ] {
            if least.zip(most).is_some_and(|(least, most)| least.minor() > most.minor()) {
                return Err(Error::invalid(pointer, "expected no less than the least"));
            }
        }
        within("/limits/uses", limits.uses, 1_000_000_000)?;
        within("/limits/uses_per_customer", limits.uses_per_customer, 1_000_000_000)?;
        within("/limits/units", limits.units, 1_000_000_000)?;
        within("/conditions/min_quantity", conditions.min_quantity, 1_000_000_000)?;
        within("/conditions/first_hours", conditions.first_hours.map(i64::from), 8784)?;
        match &self.gift {
            Gift::BuyGet { buy, get, times, .. } => {
                within("/gift/buy", Some(*buy), 1000)?;
                within("/gift/get", Some(*get), 1000)?;
                within("/gift/times", *times, 1_000_000)
            }
            Gift::Bundle { items, times, .. } => {
                within("/gift/times", *times, 1_000_000)?;
                for (place, item) in items.iter().enumerate() {
                    within(&format!("/gift/items/{place}/quantity"), Some(item.quantity), 1000)?;
                }
                filled("/gift/items", items.len(), 20)
            }
            Gift::Goods { quantity, every, times, .. } => {
                within("/gift/quantity", Some(*quantity), 1000)?;
                within("/gift/every", *every, 1_000_000_000)?;
                within("/gift/times", *times, 1_000_000)?;
                self.check_given(times.is_some() && every.is_none())
            }
            Gift::SpendTiers { tiers } => {
                filled("/gift/tiers", tiers.len(), 20)?;
                rising(tiers.iter().map(|tier| tier.from.minor()))
            }
            Gift::QuantityTiers { tiers } => {
                filled("/gift/tiers", tiers.len(), 20)?;
                for (place, tier) in tiers.iter().enumerate() {
                    within(&format!("/gift/tiers/{place}/from"), Some(tier.from), 1_000_000_000)?;
                }
                rising(tiers.iter().map(|tier| tier.from))
            }
            gift if gift.is_on_shipping() && limits.units.is_some() => {
                Err(Error::invalid("/limits/units", "shipping has no pieces: limit `uses` or the budget"))
            }
            _ => Ok(()),
        }
    }

    /// What makes no sense where goods are given.
    fn check_given(&self, times_alone: bool) -> Result<()> {
        if times_alone {
            return Err(Error::invalid("/gift/times", "goods are given once for the cart where `every` is left out"));
        }
        match &self.stacking {
            stacking if stacking.floor.is_some() => {
                Err(Error::invalid("/stacking/floor", "of a gift nothing is left to pay"))
            }
            stacking if stacking.not_below_cost => {
                Err(Error::invalid("/stacking/not_below_cost", "a gift is below what it has cost"))
            }
            _ => Ok(()),
        }
    }

    fn check_goods(&self) -> Result<()> {
        let selection = &self.conditions.goods;
        let lists = [("include", &selection.include), ("exclude", &selection.exclude)];
        for (name, goods) in lists {
            let pointer = format!("/conditions/goods/{name}");
            if goods.len() > 50 {
                return Err(Error::invalid(pointer, "expected at most 50 entries"));
            }
            for (place, goods) in goods.iter().enumerate() {
                goods.check(&format!("{pointer}/{place}"))?;
            }
        }
        let skus: usize = selection.include.iter().chain(&selection.exclude).map(|goods| goods.skus.len()).sum();
        if skus > MOST_SKUS {
            let detail = format!("expected at most {MOST_SKUS} SKUs altogether: use an attribute for more");
            return Err(Error::invalid("/conditions/goods", detail));
        }
        for (pointer, named) in [
            ("/conditions/countries", self.conditions.countries.len() / 6),
            ("/conditions/devices", self.conditions.devices.len()),
            ("/conditions/customer_groups", self.conditions.customer_groups.len()),
            ("/conditions/segments", self.conditions.segments.len()),
            ("/conditions/companies", self.conditions.companies.len()),
            ("/conditions/payment_methods", self.conditions.payment_methods.len()),
            ("/conditions/origins", self.conditions.origins.len()),
        ] {
            if named > 50 {
                return Err(Error::invalid(pointer, "expected fewer entries"));
            }
        }
        if let Some(place) = self.conditions.origins.iter().position(|origin| *origin == Origin::default()) {
            return Err(Error::invalid(format!("/conditions/origins/{place}"), "expected at least one member"));
        }
        match &self.gift {
            Gift::BuyGet { of: Some(of), .. } => of.check("/gift/of"),
            Gift::Bundle { items, .. } => {
                items.iter().enumerate().try_for_each(|(at, item)| item.goods.check(&format!("/gift/items/{at}/goods")))
            }
            _ => Ok(()),
        }
    }
}

impl Goods {
    /// Whether anything is named, and not too much.
    ///
    /// # Errors
    /// `invalid_value`.
    pub fn check(&self, pointer: &str) -> Result<()> {
        let values: usize = self.attributes.values().map(Vec::len).sum();
        if self.skus.is_empty() && values == 0 {
            return Err(Error::invalid(pointer, "expected SKUs or attributes with their values"));
        }
        if self.skus.len() > 1000 || values > 200 {
            return Err(Error::invalid(pointer, "expected at most 1000 SKUs and 200 values of attributes"));
        }
        Ok(())
    }
}

/// The most SKUs that one promotion names.
const MOST_SKUS: usize = 5_000;

fn filled(pointer: &str, count: usize, most: usize) -> Result<()> {
    match count {
        0 => Err(Error::problem(Code::MissingField, "expected at least one entry").at(pointer)),
        count if count > most => Err(Error::invalid(pointer, format!("expected at most {most} entries"))),
        _ => Ok(()),
    }
}

fn rising(starts: impl Iterator<Item = i64>) -> Result<()> {
    let mut before = None;
    for (place, start) in starts.enumerate() {
        if before.is_some_and(|before| start <= before) {
            return Err(Error::invalid(format!("/gift/tiers/{place}/from"), "expected more than the tier before"));
        }
        before = Some(start);
    }
    Ok(())
}
