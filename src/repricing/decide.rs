//! What an article should cost by a rule, and why; or why the rule has nothing to say of it. Pure.

use chrono::NaiveDate;
use chrono_tz::Tz;
use rust_decimal::{Decimal, RoundingStrategy};

use super::model::{Explanation, GuardRails, Proposed, Signal, Terms, Tier};
use crate::{
    catalog::{StockPolicy, Variant, VariantStatus},
    kernel::{Currency, Instant, UnitPrice, local},
    pricing::{
        change::{ended, whole},
        model::Step,
    },
};

#[cfg(test)]
mod tests;

const DAY: i64 = 86_400;
const BEST_BEFORE: &str = "best_before";

/// What is known of an article.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The article.
    pub variant: &'a Variant,
    /// Its price in the list that the rule reckons from.
    pub reference: Option<UnitPrice>,
    /// Its price in the list that the rule works on.
    pub current: Option<UnitPrice>,
    /// Whether that list has prices for larger quantities of it.
    pub by_quantity: bool,
    /// What a piece has cost.
    pub cost: Option<UnitPrice>,
    /// How many pieces were sold in the signal's window.
    pub sold: i64,
    /// How many are available.
    pub available: i64,
    /// When the first pieces came.
    pub received: Option<Instant>,
}

/// When it is, and where.
#[derive(Debug, Clone, Copy)]
pub struct When {
    /// The instant.
    pub now: Instant,
    /// The zone of days.
    pub zone: Tz,
}

impl When {
    /// The day that it is.
    #[must_use]
    pub fn today(self) -> NaiveDate {
        local::day_of(self.zone, self.now)
    }
}

/// A signal's figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Figure {
    Of(Decimal),
    /// Above every other.
    Endless,
}

impl Figure {
    fn is_in(self, tier: &Tier) -> bool {
        match self {
            Self::Of(figure) => {
                tier.from.is_none_or(|from| figure >= Decimal::from(from))
                    && tier.below.is_none_or(|below| figure < Decimal::from(below))
            }
            Self::Endless => tier.below.is_none(),
        }
    }

    /// As it is shown: one digit behind the point, cut off, so that it is never in another tier than what it stands for.
    fn text(self) -> Option<String> {
        match self {
            Self::Of(figure) => {
                Some(figure.round_dp_with_strategy(1, RoundingStrategy::ToNegativeInfinity).normalize().to_string())
            }
            Self::Endless => None,
        }
    }
}

/// What a rule makes of an article.
///
/// # Errors
/// Why it proposes nothing.
pub fn decide(terms: &Terms, facts: Facts<'_>, when: When) -> Result<Proposed, Step> {
    if facts.variant.status != VariantStatus::Active {
        return Err(Step::new("not_sold", "the article is archived"));
    }
    let Some(reference) = facts.reference else {
        let text = format!("the list {} has no price of it now", terms.reference_list);
        return Err(Step::new("no_reference", text));
    };
    if facts.by_quantity {
        let text =
            format!("the list {} has prices of it for larger quantities, which would not follow", terms.price_list);
        return Err(Step::new("quantity_prices", text));
    }
    let (figure, seen) = measure(&terms.signal, facts, when)?;
    let Some(tier) = terms.tiers.iter().copied().find(|tier| figure.is_in(tier)) else {
        return Err(Step::new("no_tier", format!("{}: no tier is for that", seen.text)));
    };
    let bounds = Bounds::of(&terms.guard_rails, terms.currency, (facts.current, facts.cost), reference)?;
    let large = || Step::new("too_large", "the price becomes too large");
    let exact = tier.change.of(reference.decimal()).ok_or_else(large)?;
    let changed = format!("{} % of {reference} by the list {}", signed(tier.change.value()), terms.reference_list);
    let mut because = vec![seen, Step::new("tier", changed)];
    let price = bounds.keep(whole(exact, terms.currency), &mut because);
    let price = bounds.end(price, &terms.guard_rails, terms.currency, &mut because);
    let to = UnitPrice::rounded(price, terms.currency).ok_or_else(large)?;
    let before = facts.current.unwrap_or(reference);
    if to == before {
        return Err(Step::new("unchanged", format!("it costs {before} already")));
    }
    let wanted = UnitPrice::rounded(exact, terms.currency).ok_or_else(large)?;
    let signal = terms.signal.word().to_owned();
    let explanation = Explanation { signal, figure: figure.text(), tier, reference, wanted, because };
    Ok(Proposed { from: facts.current, to, explanation })
}

/// Whether a price keeps within a rule's guard rails as they are, where the article costs `current` and has cost `cost`.
#[must_use]
pub fn within(
    terms: &Terms,
    (current, cost): (Option<UnitPrice>, Option<UnitPrice>),
    reference: UnitPrice,
    to: UnitPrice,
) -> bool {
    let bounds = Bounds::of(&terms.guard_rails, terms.currency, (current, cost), reference);
    bounds.is_ok_and(|bounds| bounds.holds(to.decimal()))
}

fn signed(percent: Decimal) -> String {
    if percent < Decimal::ZERO { percent.to_string() } else { format!("+{percent}") }
}

fn measure(signal: &Signal, facts: Facts<'_>, when: When) -> Result<(Figure, Step), Step> {
    match signal {
        Signal::StockCover { days } => {
            settled(facts, *days, when)?;
            let Facts { sold, available, .. } = facts;
            if sold == 0 {
                let text = format!("none sold in {days} days, {available} available: that lasts without end");
                return Ok((Figure::Endless, Step::new("stock_cover", text)));
            }
            let cover = quotient(available, *days, sold);
            let text = format!("{sold} sold in {days} days, {available} available: that lasts {} days", shown(cover));
            Ok((Figure::Of(cover), Step::new("stock_cover", text)))
        }
        Signal::SellThrough { days } => {
            settled(facts, *days, when)?;
            let Facts { sold, available, .. } = facts;
            let share = quotient(sold, 100, sold.saturating_add(available));
            let text = format!("{sold} sold in {days} days, {available} available: {} % are sold", shown(share));
            Ok((Figure::Of(share), Step::new("sell_through", text)))
        }
        Signal::Age {} => {
            let since = match facts.variant.stock_policy {
                StockPolicy::Tracked => facts.received,
                StockPolicy::Untracked => Some(facts.variant.created_at),
            };
            let since = since.ok_or_else(|| Step::new("never_received", "none has ever come"))?;
            let days = when.now.seconds_since(since).div_euclid(DAY);
            Ok((Figure::Of(days.into()), Step::new("age", format!("there for {days} days"))))
        }
        Signal::Expiry { attribute } => {
            let name = attribute.as_ref().map_or(BEST_BEFORE, |name| name);
            let noted = facts.variant.attributes.get(name).and_then(serde_json::Value::as_str);
            let noted =
                noted.ok_or_else(|| Step::new("no_date", format!("it has no date in the attribute `{name}`")))?;
            let wrong =
                || Step::new("no_date", format!("`{noted}` in the attribute `{name}` is no date such as 2026-12-31"));
            // As it is documented: what merely looks like a date is none.
            let date = Some(noted).filter(|noted| noted.len() == 10).and_then(|noted| noted.parse::<NaiveDate>().ok());
            let date = date.ok_or_else(wrong)?;
            let days = date.signed_duration_since(when.today()).num_days();
            if days < 0 {
                return Err(Step::new("past_date", format!("it was best before {date}: it is not to be sold")));
            }
            Ok((Figure::Of(days.into()), Step::new("expiry", format!("best before {date}, in {days} days"))))
        }
    }
}

/// `a × b ÷ c`, of which `c` is not zero.
fn quotient(a: i64, b: i64, c: i64) -> Decimal {
    let product = Decimal::from(a).checked_mul(Decimal::from(b));
    product.and_then(|product| product.checked_div(Decimal::from(c))).unwrap_or_default()
}

fn shown(figure: Decimal) -> String {
    Figure::Of(figure).text().unwrap_or_default()
}

/// Whether figures of sales say anything: of what is counted, is or was there, and has been for the whole window.
fn settled(facts: Facts<'_>, days: i64, when: When) -> Result<(), Step> {
    if facts.variant.stock_policy != StockPolicy::Tracked {
        return Err(Step::new("not_counted", "its stock is not counted"));
    }
    if facts.available <= 0 && facts.sold == 0 {
        return Err(Step::new("nothing_there", format!("none is available, and none was sold in {days} days")));
    }
    let received = facts.received.ok_or_else(|| Step::new("never_received", "none has ever come"))?;
    if when.now.seconds_since(received) < days.saturating_mul(DAY) {
        let text = format!("the first came at {received}: {days} days are not over");
        return Err(Step::new("too_new", text));
    }
    Ok(())
}

/// What a price keeps within, in whole minor units, each bound with what it says.
#[derive(Debug)]
struct Bounds {
    least: (Decimal, Step),
    most: Option<(Decimal, Step)>,
}

impl Bounds {
    fn of(
        rails: &GuardRails,
        currency: Currency,
        (current, cost): (Option<UnitPrice>, Option<UnitPrice>),
        reference: UnitPrice,
    ) -> Result<Self, Step> {
        let up =
            |price: Decimal| price.round_dp_with_strategy(currency.exponent(), RoundingStrategy::ToPositiveInfinity);
        let down =
            |price: Decimal| price.round_dp_with_strategy(currency.exponent(), RoundingStrategy::ToNegativeInfinity);
        let unit = Decimal::new(1, currency.exponent());
        let mut lows = vec![(unit, Step::new("floor", format!("nothing costs less than {unit} {currency}")))];
        let mut highs = Vec::new();
        let large = || Step::new("too_large", "a guard rail becomes too large");
        if let Some(floor) = rails.floor {
            lows.push((floor.decimal(), Step::new("floor", format!("at least {floor}"))));
        }
        if let Some(margin) = rails.floor_margin {
            let cost = cost.ok_or_else(|| Step::new("cost_unknown", "no list of the kind cost has it"))?;
            let least = up(margin.of(cost.decimal()).ok_or_else(large)?);
            let text =
                format!("at least {least} {currency}: {} % over the {cost} that it has cost", signed(margin.value()));
            lows.push((least, Step::new("floor_margin", text)));
        }
        if let Some(ceiling) = rails.ceiling {
            highs.push((ceiling.decimal(), Step::new("ceiling", format!("at most {ceiling}"))));
        }
        if let Some(step) = rails.largest_step {
            let now = current.unwrap_or(reference);
            let reach = now.decimal().checked_mul(step.value()).and_then(|reach| reach.checked_mul(Decimal::new(1, 2)));
            let reach = reach.ok_or_else(large)?;
            let (least, most) = (up(now.decimal() - reach), down(now.decimal() + reach));
            let text = |bound: Decimal| format!("no further than {bound} {currency}: {} % from {now}", step.value());
            lows.push((least, Step::new("largest_step", text(least))));
            highs.push((most, Step::new("largest_step", text(most))));
        }
        let least = lows.into_iter().max_by(|(a, _), (b, _)| a.cmp(b)).ok_or_else(large)?;
        let most = highs.into_iter().min_by(|(a, _), (b, _)| a.cmp(b));
        match most {
            Some((bound, step)) if bound < least.0 => {
                let text = format!("no price is both {}, and {}", least.1.text, step.text);
                Err(Step::new("guard_rails", text))
            }
            most => Ok(Self { least, most }),
        }
    }

    /// Whether a price is within.
    fn holds(&self, price: Decimal) -> bool {
        price >= self.least.0 && self.most.as_ref().is_none_or(|(most, _)| price <= *most)
    }

    /// The nearest price within.
    fn keep(&self, price: Decimal, because: &mut Vec<Step>) -> Decimal {
        let (least, why) = &self.least;
        if price < *least {
            because.push(why.clone());
            return *least;
        }
        match &self.most {
            Some((most, why)) if price > *most => {
                because.push(why.clone());
                *most
            }
            _ => price,
        }
    }

    /// The nearest price within that ends as it should: at most the given one, or else the next above; or else the given one.
    fn end(&self, price: Decimal, rails: &GuardRails, currency: Currency, because: &mut Vec<Step>) -> Decimal {
        let Some(ending) = rails.ending else { return price };
        let below = ended(price, ending.decimal()).unwrap_or(price);
        let within =
            |price: &Decimal| *price >= self.least.0 && self.most.as_ref().is_none_or(|(most, _)| price <= most);
        let found = [Some(below), below.checked_add(Decimal::ONE)].into_iter().flatten().find(within);
        match found {
            Some(found) if found == price => price,
            Some(found) => {
                because.push(Step::new(
                    "ending",
                    format!("{found} {currency} instead of {price}, for the ending {ending}"),
                ));
                found
            }
            None => {
                let text = format!("no price with the ending {ending} is within the other guard rails");
                because.push(Step::new("ending_left_out", text));
                price
            }
        }
    }
}
