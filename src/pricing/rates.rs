//! Which price, which tax rate and which shipping rate apply, and why. Everything valid is valid from `valid_from`
//! (inclusive) until `valid_until` (exclusive); an end that is missing is open.

use std::{borrow::Borrow, cmp::Reverse};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    contracts::ContractTerms,
    model::{Buyer, Step},
};
use crate::kernel::{Country, Currency, Id, Instant, Money, Per, PricePer, Quantity, UnitPrice, ids};

#[cfg(test)]
mod tests;

crate::words! {
    /// What a price list is for. In the order in which they go, where nothing else tells lists apart.
    pub enum ListKind {
        /// What was agreed with somebody.
        Contract = "contract",
        /// A reduction that is announced as one: its prices are shown with the price before it.
        Sale = "sale",
        /// Everyday prices.
        Base = "base",
        /// What goods have cost the merchant: never a price, but a floor for promotions.
        Cost = "cost",
    }
}

/// Whom a price list is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Audience {
    /// One customer.
    Customer(Id<ids::Customer>),
    /// The customers who buy for a company.
    Company(Id<ids::Company>),
    /// The customers of a group.
    Group(String),
    /// Everybody.
    #[default]
    All,
}

impl Audience {
    /// Whether somebody belongs to it.
    fn has(&self, buyer: &Buyer) -> bool {
        match self {
            Self::Customer(customer) => buyer.customer == Some(*customer),
            Self::Company(company) => buyer.company == Some(*company),
            Self::Group(group) => buyer.group.as_ref() == Some(group),
            Self::All => true,
        }
    }

    /// The one customer that it is for.
    #[must_use]
    pub const fn customer(&self) -> Option<Id<ids::Customer>> {
        match self {
            Self::Customer(customer) => Some(*customer),
            Self::Company(_) | Self::Group(_) | Self::All => None,
        }
    }

    /// The company that it is for.
    #[must_use]
    pub const fn company(&self) -> Option<Id<ids::Company>> {
        match self {
            Self::Company(company) => Some(*company),
            Self::Customer(_) | Self::Group(_) | Self::All => None,
        }
    }

    /// The group that it is for.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::Group(group) => Some(group),
            Self::Customer(_) | Self::Company(_) | Self::All => None,
        }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Customer(_) => 0,
            Self::Company(_) => 1,
            Self::Group(_) => 2,
            Self::All => 3,
        }
    }
}

/// Who asks for a price, where and when.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// Where.
    pub channel: Id<ids::Channel>,
    /// In which currency.
    pub currency: Currency,
    /// Who.
    pub buyer: &'a Buyer,
    /// When.
    pub at: Instant,
}

/// A list of prices in one currency, for one channel or for all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PriceList {
    /// Its id.
    pub id: Id<ids::PriceList>,
    /// Its code, unique.
    pub code: String,
    /// Its name for people.
    pub name: String,
    /// The currency of all its prices.
    pub currency: Currency,
    /// The one channel it is for; `None` is all of them.
    pub channel: Option<Id<ids::Channel>>,
    /// Whom it is for.
    pub audience: Audience,
    /// What it is for.
    pub kind: ListKind,
    /// From when on a sale was announced, where that was before it began.
    pub announced_at: Option<Instant>,
    /// Among lists that apply, the higher one wins.
    pub priority: i32,
    /// From when on it is valid.
    pub valid_from: Option<Instant>,
    /// Until when it is valid, exclusive.
    pub valid_until: Option<Instant>,
    /// What is agreed beside its prices, where it is a contract's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<ContractTerms>,
    /// Counts its changes.
    pub version: i64,
}

/// The price of one variant in a list, from a quantity on.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceRow {
    /// The list.
    pub list: Id<ids::PriceList>,
    /// The quantity of a line from which on it is valid.
    pub min_quantity: Quantity,
    /// The price, with the pieces that it is for.
    pub price: PricePer,
    /// From when on it is valid.
    pub valid_from: Option<Instant>,
    /// Until when it is valid, exclusive.
    pub valid_until: Option<Instant>,
}

/// The price that won.
#[derive(Debug, Clone, PartialEq)]
pub struct ChosenPrice {
    /// The price, with the pieces that it is for.
    pub price: PricePer,
    /// The list it is from.
    pub list: Id<ids::PriceList>,
    /// The code of that list.
    pub list_code: String,
    /// The quantity from which on it is valid.
    pub min_quantity: Quantity,
    /// What that list is for.
    pub kind: ListKind,
    /// Which list and tier won, and which were passed over and why.
    pub because: Vec<Step>,
}

/// A step of the ladder of prices that a shopper is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceTier {
    /// The quantity of a line from which on the price is valid.
    pub min_quantity: Quantity,
    /// The price of one unit, or of as many as `per` says.
    pub unit_price: UnitPrice,
    /// How many units the price is for; absent where it is one.
    #[serde(default, skip_serializing_if = "Per::is_one")]
    pub per: Per,
}

/// Chooses the price of a variant, given its rows in whichever lists.
///
/// 1. A list applies when it is in the currency, for the channel or for all, for the buyer or for everybody, and valid at the time.
/// 2. A customer's own list goes before one of their company, that before one of their group, and that before one for everybody;
///    then a channel's own list before one for all, then the higher priority, then `contract` before `sale` before `base`, then the code in order of the alphabet.
/// 3. The first list in this order wins that has a row valid at the time whose `min_quantity` is reached.
/// 4. Of those rows the highest `min_quantity` wins, then the later `valid_from`, then the lower price of a piece.
///
/// The explanation of a price names, of the lists it passed over, those of the channel and currency that hold the
/// variant at all: others were never in question.
///
/// # Errors
/// When there is none: why each list does not give a price.
pub fn choose_price<L: Borrow<PriceList>>(
    lists: &[L],
    rows: &[PriceRow],
    asking: Asking<'_>,
    quantity: Quantity,
) -> Result<ChosenPrice, Vec<Step>> {
    let Some((winner, row)) = winner(lists, rows, asking, quantity) else {
        return Err(no_price(lists, asking, quantity));
    };
    let text = format!("list {}, from {}: {}", winner.code, row.min_quantity.get(), row.price);
    let mut because = vec![Step::new("price_list", text)];
    let others = lists.iter().map(Borrow::borrow).filter(|list| list.id != winner.id && list.serves(asking).is_none());
    for list in others.filter(|list| rows.iter().any(|row| row.list == list.id)) {
        let reason = list.refusal(asking);
        because.push(if reason.is_none() && list.rank() > winner.rank() {
            Step::new("passed_over", format!("list {}: {} goes first", list.code, winner.code))
        } else {
            passed_over(list, reason, quantity)
        });
    }
    let (price, kind, min_quantity) = (row.price, winner.kind, row.min_quantity);
    Ok(ChosenPrice { price, list: winner.id, list_code: winner.code.clone(), min_quantity, kind, because })
}

/// So many tiers of a list are told on each side of the one that won, and so many of all lists together.
const TIERS_TOLD: (usize, usize) = (3, 12);

/// The tiers that [`choose_price`] passed over, each with why: of the list that wins those that need more pieces and those that a
/// higher one goes before, the nearest first; of lists that go before it, or of all that apply where none wins, those that need more
/// pieces. A few of them, with how many there are beside. For whoever asks for all that explains a price: other quotes do without.
#[must_use]
pub fn passed_over_tiers<L: Borrow<PriceList>>(
    lists: &[L],
    rows: &[PriceRow],
    asking: Asking<'_>,
    quantity: Quantity,
) -> Vec<Step> {
    let won = winner(lists, rows, asking, quantity);
    let ahead = |list: &&PriceList| won.is_none_or(|(winner, _)| list.rank() <= winner.rank());
    let applying = lists.iter().map(Borrow::borrow).filter(|list| list.refusal(asking).is_none());
    let mut ahead: Vec<&PriceList> = applying.filter(ahead).collect();
    // That which wins is last of them, and told of first.
    ahead.sort_unstable_by_key(|list| (won.is_none_or(|(winner, _)| winner.id != list.id), list.rank()));
    let mut told = Vec::new();
    for list in ahead {
        let own = rows.iter().filter(|row| {
            row.list == list.id
                && row.price.currency() == list.currency
                && valid(row.valid_from, row.valid_until, asking.at)
        });
        let (mut above, mut below): (Vec<&PriceRow>, Vec<&PriceRow>) = own.partition(|row| row.min_quantity > quantity);
        above.sort_unstable_by_key(|row| (row.min_quantity, Reverse(row.valid_from)));
        below.sort_unstable_by_key(|row| Reverse((row.min_quantity, row.valid_from)));
        let step = |row: &PriceRow, why: String| {
            let text = format!("list {}, from {}: {}: {why}", list.code, row.min_quantity.get(), row.price);
            Step::new("passed_over", text)
        };
        let missing = |row: &PriceRow| row.min_quantity.get() - quantity.get();
        told.extend(above.iter().take(TIERS_TOLD.0).map(|row| step(row, format!("it needs {} more", missing(row)))));
        // Below another list's price there is none, and below its own the one that won goes first.
        below.retain(|row| won.is_some_and(|(_, won)| !std::ptr::eq(*row, won)));
        let why = |row: &PriceRow| match won {
            Some((_, won)) if won.min_quantity > row.min_quantity => {
                format!("that from {} goes first", won.min_quantity.get())
            }
            _ => "a later or a lower one from as many goes first".to_owned(),
        };
        told.extend(below.iter().take(TIERS_TOLD.0).map(|row| step(row, why(row))));
        let beside = above.len().saturating_sub(TIERS_TOLD.0) + below.len().saturating_sub(TIERS_TOLD.0);
        if beside > 0 {
            told.push(Step::new(
                "passed_over",
                format!("list {}: {beside} more tiers, further from {}", list.code, quantity.get()),
            ));
        }
        if told.len() >= TIERS_TOLD.1 {
            break;
        }
    }
    told.truncate(TIERS_TOLD.1);
    told
}

/// The lists that may give somebody a price, or tell what it has cost: of many customers' own lists a few. What is chosen of these is
/// what is chosen of all.
#[must_use]
pub fn in_question<'l, L: Borrow<PriceList>>(lists: &'l [L], asking: Asking<'_>) -> Vec<&'l PriceList> {
    let serves = |list: &&PriceList| {
        let cost = list.kind == ListKind::Cost && list.currency == asking.currency;
        cost || list.serves(asking).is_none()
    };
    lists.iter().map(Borrow::borrow).filter(serves).collect()
}

/// Whether a list among these announces a sale to everybody.
#[must_use]
pub fn announce_sales<L: Borrow<PriceList>>(lists: &[L]) -> bool {
    lists.iter().map(Borrow::borrow).any(|list| list.kind == ListKind::Sale && list.audience == Audience::All)
}

/// The list and the row that [`choose_price`] chooses.
pub(crate) fn winner<'a, L: Borrow<PriceList>>(
    lists: &'a [L],
    rows: &'a [PriceRow],
    asking: Asking<'_>,
    quantity: Quantity,
) -> Option<(&'a PriceList, &'a PriceRow)> {
    let mut best: Option<(&PriceList, &PriceRow)> = None;
    for list in lists.iter().map(Borrow::borrow).filter(|list| list.refusal(asking).is_none()) {
        if best.is_none_or(|(ahead, _)| list.rank() < ahead.rank())
            && let Some(row) = best_row(rows, list, quantity, asking.at)
        {
            best = Some((list, row));
        }
    }
    best
}

/// The ladder of prices that [`choose_price`] gives as the quantity grows, lowest quantity first.
///
/// These are the tiers of the winning list; where it starts only at some quantity, the next list fills in below. So a
/// tier that is shown is the price that will be charged.
#[must_use]
pub fn tiers<L: Borrow<PriceList>>(lists: &[L], rows: &[PriceRow], asking: Asking<'_>) -> Vec<PriceTier> {
    let mut applicable: Vec<&PriceList> =
        lists.iter().map(Borrow::borrow).filter(|list| list.refusal(asking).is_none()).collect();
    applicable.sort_unstable_by_key(|list| list.rank());
    let mut ladder: Vec<PriceTier> = Vec::new();
    for list in applicable {
        // Downwards from the lowest rung so far; `best_row` settles which of several rows of one quantity counts.
        let mut below = ladder.last().map_or(Quantity::MAX, |tier| tier.min_quantity.get() - 1);
        while let Some(row) = Quantity::new(below).ok().and_then(|quantity| best_row(rows, list, quantity, asking.at)) {
            let PricePer { price, per } = row.price;
            ladder.push(PriceTier { min_quantity: row.min_quantity, unit_price: price, per });
            below = row.min_quantity.get() - 1;
        }
    }
    ladder.reverse();
    ladder
}

impl PriceList {
    /// The order in which lists are asked, first the smallest.
    fn rank(&self) -> (u8, bool, Reverse<i32>, ListKind, &str, Id<ids::PriceList>) {
        (self.audience.rank(), self.channel.is_none(), Reverse(self.priority), self.kind, &self.code, self.id)
    }

    /// Why the list is not for this channel, currency and buyer.
    fn serves(&self, asking: Asking<'_>) -> Option<&'static str> {
        if self.kind == ListKind::Cost {
            Some("costs are no prices")
        } else if self.currency != asking.currency {
            Some("another currency")
        } else if self.channel.is_some_and(|own| own != asking.channel) {
            Some("another channel")
        } else {
            (!self.audience.has(asking.buyer)).then_some("other customers")
        }
    }

    /// Why the list does not apply.
    fn refusal(&self, asking: Asking<'_>) -> Option<&'static str> {
        self.serves(asking).or_else(|| {
            if valid(self.valid_from, self.valid_until, asking.at) {
                None
            } else if self.valid_from.is_some_and(|from| asking.at < from) {
                Some("not valid yet")
            } else {
                Some("no longer valid")
            }
        })
    }
}

/// What a piece of a variant has cost the merchant: by the lists of the kind `cost`, a channel's own before those for all, then the
/// higher priority.
#[must_use]
pub fn cost<L: Borrow<PriceList>>(lists: &[L], rows: &[PriceRow], asking: Asking<'_>) -> Option<PricePer> {
    let of_costs = |list: &&PriceList| {
        let here = list.channel.is_none_or(|own| own == asking.channel) && list.currency == asking.currency;
        list.kind == ListKind::Cost && here && valid(list.valid_from, list.valid_until, asking.at)
    };
    let costs = lists.iter().map(Borrow::borrow).filter(of_costs);
    let found = costs.filter_map(|list| Some((list, best_row(rows, list, Quantity::ONE, asking.at)?)));
    found.min_by(|(a, _), (b, _)| a.rank().cmp(&b.rank())).map(|(_, row)| row.price)
}

/// The price of a list for a quantity at a time, whoever may have it.
#[must_use]
pub fn in_list<'a>(list: &PriceList, rows: &'a [PriceRow], quantity: Quantity, at: Instant) -> Option<&'a PriceRow> {
    best_row(rows, list, quantity, at)
}

fn best_row<'a>(rows: &'a [PriceRow], list: &PriceList, quantity: Quantity, at: Instant) -> Option<&'a PriceRow> {
    rows.iter()
        .filter(|row| row.list == list.id && row.min_quantity <= quantity && row.price.currency() == list.currency)
        .filter(|row| valid(row.valid_from, row.valid_until, at))
        .max_by(|a, b| {
            let order = |row: &PriceRow| (row.min_quantity, row.valid_from);
            order(a).cmp(&order(b)).then_with(|| b.price.by_piece(a.price))
        })
}

/// Why no list gives a price.
pub(super) fn no_price<L: Borrow<PriceList>>(lists: &[L], asking: Asking<'_>, quantity: Quantity) -> Vec<Step> {
    if lists.is_empty() {
        return vec![Step::new("passed_over", "there is no price list")];
    }
    lists.iter().map(Borrow::borrow).map(|list| passed_over(list, list.refusal(asking), quantity)).collect()
}

fn passed_over(list: &PriceList, reason: Option<&str>, quantity: Quantity) -> Step {
    let text = match reason {
        Some(reason) => format!("list {}: {reason}", list.code),
        None => format!("list {}: no price valid for {}", list.code, quantity.get()),
    };
    Step::new("passed_over", text)
}

fn valid(from: Option<Instant>, until: Option<Instant>, at: Instant) -> bool {
    from.is_none_or(|from| from <= at) && until.is_none_or(|until| at < until)
}

/// A country's tax rate for a class of goods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaxRate {
    /// Its id.
    pub id: Id<ids::TaxRate>,
    /// The country that levies it.
    pub country: Country,
    /// The class of goods, such as `standard` or `reduced`.
    pub tax_class: String,
    /// The rate as a fraction.
    pub rate: Decimal,
    /// From when on it is valid.
    pub valid_from: Option<Instant>,
    /// Until when it is valid, exclusive.
    pub valid_until: Option<Instant>,
}

/// The rate of a country for a class at a time. Where several are valid the later `valid_from` wins, then the higher
/// rate. `None` when there is none: whether that means no tax or no sale is not decided here.
#[must_use]
pub fn tax_rate<R: Borrow<TaxRate>>(
    rates: &[R],
    country: Country,
    class: &str,
    at: Instant,
) -> Option<(Decimal, Step)> {
    let found = rates
        .iter()
        .map(Borrow::borrow)
        .filter(|rate| rate.country == country && rate.tax_class == class)
        .filter(|rate| valid(rate.valid_from, rate.valid_until, at))
        .max_by_key(|rate| (rate.valid_from, rate.rate))?;
    let percent = found.rate.checked_mul(Decimal::ONE_HUNDRED)?.normalize();
    Some((found.rate, Step::new("tax_rate", format!("{country} {class}: {percent} %"))))
}

/// A way of shipping that a channel offers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShippingMethod {
    /// Its id.
    pub id: Id<ids::ShippingMethod>,
    /// Its code, unique within the channel.
    pub code: String,
    /// Its name for people.
    pub name: String,
    /// The channel that offers it.
    pub channel: Id<ids::Channel>,
    /// Whether it is offered now.
    pub active: bool,
    /// The tax class of its price.
    pub tax_class: String,
    /// What it costs, where and for what.
    pub rates: Vec<ShippingRate>,
    /// The fewest and the most days until delivery, when they are known.
    pub delivery_days: Option<(i32, i32)>,
    /// The same of some countries.
    pub transit: Vec<Transit>,
    /// The location where the customer picks it up, and which alone gives its goods; nothing where it is shipped to an address.
    pub pickup: Option<Id<ids::Location>>,
}

/// The days until delivery in some countries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transit {
    /// Which countries.
    pub countries: Vec<Country>,
    /// The fewest and the most.
    pub days: (i32, i32),
}

impl ShippingMethod {
    /// The fewest and the most days until delivery in a country, when they are known.
    #[must_use]
    pub fn days_to(&self, country: Country) -> Option<(i32, i32)> {
        let own = self.transit.iter().find(|transit| transit.countries.contains(&country));
        own.map(|transit| transit.days).or(self.delivery_days)
    }
}

/// The price of a shipping method for some countries, weights and values. All bounds are inclusive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShippingRate {
    /// The countries it serves; none named is every country of the channel.
    pub countries: Vec<Country>,
    /// The currency of the cart, of the price and of the value's bounds.
    pub currency: Currency,
    /// The least weight in grams.
    pub min_weight_grams: i64,
    /// The greatest weight in grams.
    pub max_weight_grams: Option<i64>,
    /// The least value of the goods in minor units.
    pub min_value: Option<i64>,
    /// The greatest value of the goods in minor units.
    pub max_value: Option<i64>,
    /// The price, with or without tax as the channel has it.
    pub price: Money,
}

/// How far a rate comes; the greatest tells best why a method is unavailable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    OtherCountry,
    OtherCurrency,
    TooLight,
    TooHeavy,
    OtherValue,
    Fits,
}

impl ShippingRate {
    fn fit(&self, country: Country, currency: Currency, weight_grams: i64, value_minor: i64) -> Fit {
        if !self.countries.is_empty() && !self.countries.contains(&country) {
            Fit::OtherCountry
        } else if self.currency != currency || self.price.currency() != currency {
            Fit::OtherCurrency
        } else if weight_grams < self.min_weight_grams {
            Fit::TooLight
        } else if self.max_weight_grams.is_some_and(|most| weight_grams > most) {
            Fit::TooHeavy
        } else if self.min_value.is_some_and(|least| value_minor < least)
            || self.max_value.is_some_and(|most| value_minor > most)
        {
            Fit::OtherValue
        } else {
            Fit::Fits
        }
    }
}

/// What a method costs for a country, a weight in grams and a value of goods in minor units: the cheapest rate that
/// fits, the earlier one of two that cost the same.
///
/// # Errors
/// Why the method is unavailable, with the code `inactive`, `country_not_served`, `currency`, `too_light`, `too_heavy`
/// or `value_out_of_range`: the reason of the rate that came closest.
pub fn shipping_rate(
    method: &ShippingMethod,
    country: Country,
    currency: Currency,
    weight_grams: i64,
    value_minor: i64,
) -> Result<(Money, Step), Step> {
    let code = &method.code;
    if !method.active {
        return Err(Step::new("inactive", format!("{code} is switched off")));
    }
    let fit = |rate: &ShippingRate| rate.fit(country, currency, weight_grams, value_minor);
    let fitting = method.rates.iter().filter(|rate| fit(rate) == Fit::Fits);
    if let Some(price) = fitting.map(|rate| rate.price).min_by_key(|price| price.minor()) {
        return Ok((price, Step::new("shipping_rate", format!("{code} to {country}, {weight_grams} g: {price}"))));
    }
    Err(match method.rates.iter().map(fit).max().unwrap_or(Fit::OtherCountry) {
        Fit::OtherCountry => Step::new("country_not_served", format!("{code} does not serve {country}")),
        Fit::OtherCurrency => Step::new("currency", format!("{code} has no price in {currency}")),
        Fit::TooLight => Step::new("too_light", format!("{code} does not take {weight_grams} g: too light")),
        Fit::TooHeavy => Step::new("too_heavy", format!("{code} does not take {weight_grams} g: too heavy")),
        Fit::OtherValue | Fit::Fits => {
            let value = Money::from_minor(value_minor, currency);
            Step::new("value_out_of_range", format!("{code} does not take goods of {value}"))
        }
    })
}
