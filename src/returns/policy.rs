//! On what terms a channel takes goods back, and what that says of a line. Pure.

use serde::{Deserialize, Serialize};

use super::model::ReturnReason;
use crate::{
    catalog::Variant,
    error::{Error, Result},
    kernel::{
        Country, Instant, Money,
        ids::ChannelId,
        text::{Sku, Text},
    },
};

/// The longest period, in days: ten years.
const MOST_DAYS: i64 = 3_650;
/// So many rules a policy has at most.
const MOST_RULES: usize = 200;
const DAY: i64 = 86_400;

crate::words! {
    /// Who bears the cost of the way back.
    pub enum ShippingPayer {
        /// The customer.
        Customer = "customer",
        /// The shop.
        Shop = "shop",
    }
}

/// An attribute of variants and the value that is meant: `{"name": "category", "value": "underwear"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReturnAttribute)]
pub struct Attribute {
    /// The attribute of the variant.
    #[schema(value_type = String)]
    pub name: Text<100>,
    /// Its value, as text.
    #[schema(value_type = String)]
    pub value: Text<200>,
}

/// Other terms for some goods, or some countries. What it leaves out stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReturnRule)]
pub struct Rule {
    /// What it is called where it is told why.
    #[schema(value_type = String)]
    pub name: Text<100>,
    /// For orders that went to these countries; all when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 300)]
    pub countries: Vec<Country>,
    /// For variants with this attribute: a category, for instance; all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<Attribute>,
    /// For these SKUs; all when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, max_items = 1000)]
    pub skus: Vec<Sku>,
    /// For so many days from delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_days: Option<i64>,
    /// So much of the price is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restocking_fee_percent: Option<i64>,
    /// Who bears the cost of the way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_paid_by: Option<ShippingPayer>,
    /// Whether they are sold for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_sale: Option<bool>,
}

/// On what terms presents are taken back from who was given them. They are never worse than the buyer's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GiftReturnTerms, example = json!({"window_days": 60, "seasons": [{"name": "christmas", "ordered_from": "2026-11-01T00:00:00Z",
    "ordered_until": "2026-12-25T00:00:00Z", "until": "2027-01-31T23:00:00Z"}]}))]
pub struct GiftTerms {
    /// For so many days from delivery, where these are more than the buyer has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 3650)]
    pub window_days: Option<i64>,
    /// Seasons of which presents may come back later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    pub seasons: Vec<GiftSeason>,
}

/// Presents that are ordered in a span may come back until an instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GiftReturnSeason)]
pub struct GiftSeason {
    /// What it is called where it is told why.
    #[schema(value_type = String)]
    pub name: Text<100>,
    /// From when on they are ordered.
    pub ordered_from: Instant,
    /// Until when.
    pub ordered_until: Instant,
    /// Until when they may come back.
    pub until: Instant,
}

impl GiftTerms {
    /// Until when a present may come back, and why where that is later than for its buyer.
    fn extend(&self, until: Option<Instant>, placed: Instant, delivered: Option<Instant>) -> Option<(Instant, String)> {
        // What nobody knows to have come may come back anyhow.
        let (mut best, delivered) = (until?, delivered?);
        let mut why = None;
        if let Some(days) = self.window_days {
            let later = delivered.plus_seconds(days.saturating_mul(DAY));
            if later > best {
                (best, why) = (later, Some(format!("{days} days from delivery for presents")));
            }
        }
        for season in self.seasons.iter().filter(|one| one.ordered_from <= placed && placed < one.ordered_until) {
            if season.until > best {
                (best, why) = (season.until, Some(format!("{}: presents until {}", &*season.name, season.until)));
            }
        }
        why.map(|why| (best, why))
    }

    fn check(&self) -> Result<()> {
        if !(0..=MOST_DAYS).contains(&self.window_days.unwrap_or_default()) {
            let detail = format!("expected a number from 0 to {MOST_DAYS}");
            return Err(Error::invalid("/gifts/window_days", detail));
        }
        if self.seasons.len() > 50 {
            return Err(Error::invalid("/gifts/seasons", "expected at most 50 seasons"));
        }
        match self.seasons.iter().position(|one| one.ordered_from >= one.ordered_until) {
            Some(place) => {
                let pointer = format!("/gifts/seasons/{place}/ordered_until");
                Err(Error::invalid(pointer, "expected an instant after `ordered_from`"))
            }
            None => Ok(()),
        }
    }
}

/// On what terms a channel takes goods back. The law's withdrawal, and goods that are not what was sold, stand beside it: it never keeps
/// from these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReturnPolicy, example = json!({"window_days": 30, "auto_approve": true, "rules": [{"name": "outlet", "attribute": {"name": "category", "value": "outlet"}, "final_sale": true}]}))]
pub struct Policy {
    /// For so many days from delivery goods are taken back.
    #[serde(default = "month")]
    #[schema(minimum = 0, maximum = 3650, default = 30)]
    pub window_days: i64,
    /// So much of the price is kept, in percent.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 100)]
    pub restocking_fee_percent: i64,
    /// Who bears the cost of the way back.
    #[serde(default = "customer")]
    pub shipping_paid_by: ShippingPayer,
    /// What is kept for a label of the shop's where the customer bears the way back; nothing when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_fee: Option<Money>,
    /// Whether what the policy allows is approved at once. Else staff decide on everything.
    #[serde(default = "yes")]
    pub auto_approve: bool,
    /// After so many days in which nothing comes, what was approved is over.
    #[serde(default = "month")]
    #[schema(minimum = 1, maximum = 365, default = 30)]
    pub expires_days: i64,
    /// For how many months from delivery the warranty of goods lasts that do not say it themselves (attribute `warranty_months`).
    #[serde(default = "two_years")]
    #[schema(minimum = 0, maximum = 1200, default = 24)]
    pub warranty_months: i64,
    /// On what terms presents are taken back from who was given them; they are not when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gifts: Option<GiftTerms>,
    /// Other terms, in their order: each that fits lays its own over those before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 200)]
    pub rules: Vec<Rule>,
}

/// Directive (EU) 2019/771, Article 10: the seller answers for what shows within two years.
const fn two_years() -> i64 {
    24
}
const fn month() -> i64 {
    30
}
const fn customer() -> ShippingPayer {
    ShippingPayer::Customer
}
const fn yes() -> bool {
    true
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            window_days: month(),
            restocking_fee_percent: 0,
            shipping_paid_by: customer(),
            label_fee: None,
            auto_approve: yes(),
            expires_days: month(),
            warranty_months: two_years(),
            gifts: None,
            rules: Vec::new(),
        }
    }
}

/// A channel's policy, with its version; 0 where it has none of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ChannelReturnPolicy {
    /// The channel.
    pub channel_id: ChannelId,
    /// Its terms.
    pub policy: Policy,
    /// Rises with every change.
    pub version: i64,
}

impl Policy {
    /// What the types can not say.
    ///
    /// # Errors
    /// `invalid_value`.
    pub fn check(&self) -> Result<()> {
        let within = |pointer: String, value: i64, from: i64, to: i64| match (from..=to).contains(&value) {
            true => Ok(()),
            false => Err(Error::invalid(pointer, format!("expected a number from {from} to {to}"))),
        };
        within("/window_days".into(), self.window_days, 0, MOST_DAYS)?;
        within("/restocking_fee_percent".into(), self.restocking_fee_percent, 0, 100)?;
        within("/expires_days".into(), self.expires_days, 1, 365)?;
        within("/warranty_months".into(), self.warranty_months, 0, 1_200)?;
        if self.label_fee.is_some_and(|fee| fee.minor() < 0) {
            return Err(Error::invalid("/label_fee", "expected an amount, not below zero"));
        }
        self.gifts.as_ref().map_or(Ok(()), GiftTerms::check)?;
        if self.rules.len() > MOST_RULES {
            return Err(Error::invalid("/rules", format!("expected at most {MOST_RULES} rules")));
        }
        for (place, rule) in self.rules.iter().enumerate() {
            let at = |field: &str| format!("/rules/{place}/{field}");
            within(at("window_days"), rule.window_days.unwrap_or_default(), 0, MOST_DAYS)?;
            within(at("restocking_fee_percent"), rule.restocking_fee_percent.unwrap_or_default(), 0, 100)?;
            if rule.skus.len() > 1000 {
                return Err(Error::invalid(at("skus"), "expected at most 1000 SKUs"));
            }
        }
        Ok(())
    }
}

/// A step of the way to a verdict: the rule, and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ReturnVerdictStep)]
pub struct VerdictStep {
    /// `policy`, the name of a rule, or what else counts.
    pub rule: String,
    /// What it says.
    pub says: String,
}

/// What the policy says of a line, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ReturnVerdict)]
pub struct LineVerdict {
    /// Whether it may come back without anybody deciding on it.
    pub allowed: bool,
    /// Until when; open while it has not been delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    /// So much of the price is kept, in percent.
    pub restocking_fee_percent: i64,
    /// Who bears the cost of the way back.
    pub shipping_paid_by: ShippingPayer,
    /// How that came about, in its order.
    pub explanation: Vec<VerdictStep>,
}

/// What is known of a line that is to come back.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What it is; unknown where the catalogue has it no more.
    pub variant: Option<&'a Variant>,
    /// Its SKU when it was sold.
    pub sku: &'a str,
    /// Where the order went.
    pub country: Option<Country>,
    /// When the last of it was delivered, as far as is known.
    pub delivered_at: Option<Instant>,
    /// Why it comes back.
    pub reason: ReturnReason,
    /// When its order was placed, where it is sent back by who was given it.
    pub given: Option<Instant>,
}

impl Rule {
    fn fits(&self, facts: &Facts<'_>) -> bool {
        let value = |attribute: &Attribute| {
            let value = facts.variant.and_then(|variant| variant.attributes.get(&*attribute.name));
            let text = value.map(|value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned));
            text.as_deref() == Some(&*attribute.value)
        };
        let goes = |country: &Country| facts.country == Some(*country);
        (self.countries.is_empty() || self.countries.iter().any(goes))
            && self.attribute.as_ref().is_none_or(value)
            && (self.skus.is_empty() || self.skus.iter().any(|sku| **sku == *facts.sku))
    }
}

/// What a policy says of a line at an instant.
#[must_use]
pub fn judge(policy: &Policy, facts: &Facts<'_>, now: Instant) -> LineVerdict {
    let step = |rule: &str, says: String| VerdictStep { rule: rule.to_owned(), says };
    let (mut days, mut fee) = (policy.window_days, policy.restocking_fee_percent);
    let (mut payer, mut sold_for_good) = (policy.shipping_paid_by, false);
    let mut explanation =
        vec![step("policy", format!("{days} days from delivery, {fee} % kept, {payer} pays the way back"))];
    for rule in policy.rules.iter().filter(|rule| rule.fits(facts)) {
        days = rule.window_days.unwrap_or(days);
        fee = rule.restocking_fee_percent.unwrap_or(fee);
        payer = rule.shipping_paid_by.unwrap_or(payer);
        sold_for_good = rule.final_sale.unwrap_or(sold_for_good);
        let good = if sold_for_good { ", sold for good" } else { "" };
        let says = format!("{days} days from delivery, {fee} % kept, {payer} pays the way back{good}");
        explanation.push(step(&rule.name, says));
    }
    let mut until = facts.delivered_at.map(|at| at.plus_seconds(days.saturating_mul(DAY)));
    if let (Some(terms), Some(placed)) = (&policy.gifts, facts.given)
        && let Some((later, why)) = terms.extend(until, placed, facts.delivered_at)
    {
        until = Some(later);
        explanation.push(step("gifts", why));
    }
    let in_time = until.is_none_or(|until| now <= until);
    explanation.push(match until {
        None => step("delivery", "nothing tells that it has been delivered: the period has not begun".to_owned()),
        Some(until) if in_time => step("delivery", format!("it may come back until {until}")),
        Some(until) => step("delivery", format!("it could come back until {until}")),
    });
    let ours = facts.reason.is_ours();
    if ours {
        (fee, payer) = (0, ShippingPayer::Shop);
        let says = "the shop answers for it: nothing is kept, and the shop pays the way back".to_owned();
        explanation.push(step("reason", says));
    }
    // What is out of time or sold for good, and not what was sold, is for somebody to look at.
    LineVerdict {
        allowed: in_time && !sold_for_good,
        until,
        restocking_fee_percent: fee,
        shipping_paid_by: payer,
        explanation,
    }
}

/// So many percent of an amount in minor units, rounded half up.
#[must_use]
pub const fn percent_of(minor: i64, percent: i64) -> i64 {
    ((minor as i128 * percent as i128 + 50) / 100) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(sku: &str, delivered_at: Option<Instant>, reason: ReturnReason) -> Facts<'_> {
        Facts { variant: None, sku, country: "AT".parse().ok(), delivered_at, reason, given: None }
    }

    #[test]
    fn later_rules_lay_themselves_over_earlier_ones_and_it_is_told_which() {
        let rule = |name: &str, rest: serde_json::Value| {
            let mut rule = serde_json::json!({ "name": name });
            rule.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            serde_json::from_value::<Rule>(rule).unwrap()
        };
        let rules = vec![
            rule("austria", serde_json::json!({"countries": ["AT"], "window_days": 60})),
            rule("germany", serde_json::json!({"countries": ["DE"], "final_sale": true})),
            rule("mugs", serde_json::json!({"skus": ["MUG"], "restocking_fee_percent": 10})),
        ];
        let policy = Policy { rules, ..Policy::default() };
        policy.check().unwrap();
        let (day, at) = (|days: i64| Instant::from_micros(0).plus_seconds(days * DAY), Instant::from_micros(0));
        let mug = judge(&policy, &facts("MUG", Some(at), ReturnReason::TooSmall), day(60));
        assert_eq!((mug.allowed, mug.restocking_fee_percent), (true, 10));
        let rules: Vec<&str> = mug.explanation.iter().map(|step| step.rule.as_str()).collect();
        assert_eq!(rules, ["policy", "austria", "mugs", "delivery"]);
        assert!(!judge(&policy, &facts("MUG", Some(at), ReturnReason::TooSmall), day(61)).allowed);
        let broken = judge(&policy, &facts("MUG", Some(at), ReturnReason::Defective), day(1));
        assert_eq!((broken.restocking_fee_percent, broken.shipping_paid_by), (0, ShippingPayer::Shop));
        assert!(judge(&policy, &facts("CUP", None, ReturnReason::Other), day(9_000)).allowed);
    }

    #[test]
    fn presents_may_come_back_as_long_as_their_season_says() {
        let day = |days: i64| Instant::from_micros(0).plus_seconds(days * DAY);
        let name = Text::new("christmas").unwrap();
        let season = GiftSeason { name, ordered_from: day(0), ordered_until: day(10), until: day(90) };
        let gifts = Some(GiftTerms { window_days: Some(40), seasons: vec![season] });
        let policy = Policy { gifts, ..Policy::default() };
        policy.check().unwrap();
        let until = |given: Option<Instant>| {
            judge(&policy, &Facts { given, ..facts("MUG", Some(day(20)), ReturnReason::Gift) }, day(21)).until
        };
        assert_eq!(until(None), Some(day(50)), "the buyer has what the policy says");
        assert_eq!((until(Some(day(9))), until(Some(day(10)))), (Some(day(90)), Some(day(60))));
    }

    #[test]
    fn percents_are_rounded_half_up() {
        assert_eq!([percent_of(99, 50), percent_of(101, 10), percent_of(0, 15)], [50, 10, 0]);
    }
}
