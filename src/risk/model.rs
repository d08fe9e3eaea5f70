//! The rules of a channel, what is known of a checkout, and what that comes to. Pure: no clock, no tables.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::{Country, Money, ids::RiskEntryId, text::Text},
};

crate::words! {
    /// What a shopper is known by. More words may come.
    pub enum Mark {
        /// Their e-mail address.
        Email = "email",
        /// What stands behind its `@`.
        Domain = "domain",
        /// The network that they come from: an IPv4 address, or the /64 of an IPv6 one.
        Network = "network",
        /// What the storefront knows their device by.
        Device = "device",
        /// What the payment provider knows their card by.
        Card = "card",
        /// Where the goods go.
        Address = "address",
        /// Their account.
        Customer = "customer",
    }
}

crate::words! {
    /// What a rule looks at. More words may come.
    pub enum RuleKind {
        /// `of` has tried to order more than `more_than` times within `minutes`, this time not counted.
        Velocity = "velocity",
        /// Nobody has ordered with this account or e-mail address before; with `amount`, and it costs that much or more.
        FirstOrder = "first_order",
        /// It costs `amount` or more.
        Value = "value",
        /// Two of the countries that are known differ: where it goes, where the invoice goes, where the connection comes from.
        CountryMismatch = "country_mismatch",
        /// The e-mail address is of a domain that gives addresses away for minutes: a built-in list, and `domains`.
        DisposableDomain = "disposable_domain",
        /// More than `more_than` coupon codes were refused at the cart.
        CodesTried = "codes_tried",
        /// Something was lost by `of` before (by the address where it is left out).
        KnownLosses = "known_losses",
    }
}

crate::words! {
    /// What is done about a checkout.
    pub enum Decision {
        /// It goes on.
        Accept = "accept",
        /// The order is placed and held until somebody has looked at it.
        Hold = "hold",
        /// It is refused; the cart stays open.
        Decline = "decline",
    }
}

crate::words! {
    /// What became of an order.
    pub enum RiskOutcome {
        /// Nothing was wrong with it.
        Legitimate = "legitimate",
        /// It was a fraud, and was stopped.
        Fraud = "fraud",
        /// Goods or money were lost.
        Loss = "loss",
    }
}

impl RiskOutcome {
    /// Whether it should not have been let through.
    #[must_use]
    pub const fn is_bad(self) -> bool {
        matches!(self, Self::Fraud | Self::Loss)
    }
}

crate::words! {
    /// What a list is for.
    pub enum Listing {
        /// Who is on it is let through, whatever the rules say.
        Allow = "allow",
        /// Who is on it is refused, unless something else about them is on the other list.
        Block = "block",
    }
}

crate::words! {
    /// What came of a rule.
    pub enum Fired {
        /// What it looks for is so.
        Yes = "fired",
        /// It is not.
        Quiet = "quiet",
        /// What it looks at is not known here.
        Unknown = "unknown",
    }
}

/// The most rules of a profile.
const MOST_RULES: usize = 50;
/// The longest time that tries are counted in: 30 days.
const MOST_MINUTES: i64 = 30 * 24 * 60;
const MOST_POINTS: i64 = 1_000;

/// A rule: what it looks at, and how many points it gives where that is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "many orders of one address", "kind": "velocity", "of": "email", "minutes": 60, "more_than": 3, "weight": 40}))]
pub struct Rule {
    /// What it is called: in traces, reasons and reports. Keep it over versions, so that reports go on.
    #[schema(value_type = String, min_length = 1, max_length = 60)]
    pub name: Text<60>,
    /// What it looks at.
    pub kind: RuleKind,
    /// How many points it gives, 1 to 1,000.
    #[schema(minimum = 1, maximum = 1_000)]
    pub weight: i64,
    /// Whether it counts.
    #[serde(default = "yes")]
    pub active: bool,
    /// Of `velocity` and `known_losses`: what is looked at. Not `domain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Mark>,
    /// Of `velocity`: within how many minutes, up to 43,200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<i64>,
    /// Of `velocity` and `codes_tried`: how many are nothing unusual, up to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_than: Option<i64>,
    /// Of `value` and `first_order`: from how much on. A cart of another currency is not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Of `disposable_domain`: more such domains, up to 500.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, max_items = 500)]
    pub domains: Vec<Text<253>>,
}

const fn yes() -> bool {
    true
}

const fn half_a_year() -> i64 {
    180
}

/// The rules of a channel, and from how many points on what is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RiskProfileDocument, example = json!({"active": true, "hold_at": 60, "decline_at": 200, "rules": [
    {"name": "many orders of one address", "kind": "velocity", "of": "email", "minutes": 60, "more_than": 3, "weight": 40},
    {"name": "first order, and a large one", "kind": "first_order", "amount": {"amount": "500.00", "currency": "EUR"}, "weight": 60},
]}))]
pub struct ProfileDocument {
    /// Whether checkouts of the channel are judged. Switched off, nothing is looked at and nothing kept.
    #[serde(default = "yes")]
    pub active: bool,
    /// The rules, each with a name of its own.
    #[schema(max_items = 50)]
    pub rules: Vec<Rule>,
    /// From how many points on an order is held.
    #[schema(minimum = 1)]
    pub hold_at: i64,
    /// From how many points on a checkout is refused; never by points where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_at: Option<i64>,
    /// For how many days what was found is kept, 1 to 3,650.
    #[serde(default = "half_a_year")]
    #[schema(minimum = 1, maximum = 3_650)]
    pub keep_days: i64,
}

impl ProfileDocument {
    /// That it can be judged by.
    ///
    /// # Errors
    /// `invalid_value`, with the pointer below `at`.
    pub fn check(&self, at: &str) -> Result<()> {
        let wrong = |field: &str, detail: &str| Err(Error::invalid(format!("{at}/{field}"), detail));
        if self.rules.len() > MOST_RULES {
            return wrong("rules", &format!("expected at most {MOST_RULES} rules"));
        }
        if self.hold_at < 1 {
            return wrong("hold_at", "expected 1 or more");
        }
        if self.decline_at.is_some_and(|decline| decline < self.hold_at) {
            return wrong("decline_at", "expected at least as many points as hold_at");
        }
        if !(1..=3_650).contains(&self.keep_days) {
            return wrong("keep_days", "expected 1 to 3650");
        }
        let mut names = BTreeSet::new();
        for (place, rule) in self.rules.iter().enumerate() {
            if !names.insert(rule.name.to_string()) {
                return wrong(&format!("rules/{place}/name"), "another rule has this name");
            }
            rule.check(&format!("{at}/rules/{place}"))?;
        }
        Ok(())
    }

    /// The rules that count.
    pub fn live(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| rule.active)
    }

    /// Which tries its rules count: of what, within how many minutes; each once.
    #[must_use]
    pub fn counted(&self) -> BTreeSet<(Mark, i64)> {
        let velocity = self.live().filter(|rule| rule.kind == RuleKind::Velocity);
        velocity.filter_map(|rule| Some((rule.of?, rule.minutes?))).collect()
    }

    /// By what its rules look for losses.
    #[must_use]
    pub fn lost_by(&self) -> BTreeSet<Mark> {
        self.live().filter(|rule| rule.kind == RuleKind::KnownLosses).map(Rule::lost_by).collect()
    }

    /// Whether a rule asks if somebody has ordered before.
    #[must_use]
    pub fn asks_for_first_orders(&self) -> bool {
        self.live().any(|rule| rule.kind == RuleKind::FirstOrder)
    }

    /// Whether a rule asks how many codes were refused.
    #[must_use]
    pub fn asks_for_codes(&self) -> bool {
        self.live().any(|rule| rule.kind == RuleKind::CodesTried)
    }
}

impl Rule {
    fn lost_by(&self) -> Mark {
        self.of.unwrap_or(Mark::Address)
    }

    /// That it has what its kind needs, and nothing else.
    fn check(&self, at: &str) -> Result<()> {
        use RuleKind as K;
        let wrong = |field: &str, detail: &str| Err(Error::invalid(format!("{at}/{field}"), detail));
        if !(1..=MOST_POINTS).contains(&self.weight) {
            return wrong("weight", &format!("expected 1 to {MOST_POINTS}"));
        }
        let kind = self.kind;
        // The field, whether it is there, whether it may be, whether it must be.
        let fields = [
            ("of", self.of.is_some(), matches!(kind, K::Velocity | K::KnownLosses), kind == K::Velocity),
            ("minutes", self.minutes.is_some(), kind == K::Velocity, kind == K::Velocity),
            ("more_than", self.more_than.is_some(), matches!(kind, K::Velocity | K::CodesTried), {
                matches!(kind, K::Velocity | K::CodesTried)
            }),
            ("amount", self.amount.is_some(), matches!(kind, K::Value | K::FirstOrder), kind == K::Value),
            ("domains", !self.domains.is_empty(), kind == K::DisposableDomain, false),
        ];
        for (field, given, may, must) in fields {
            if given && !may {
                return wrong(field, &format!("a rule of the kind {kind} has none: leave it out"));
            }
            if must && !given {
                return wrong(field, &format!("a rule of the kind {kind} needs it"));
            }
        }
        if self.of == Some(Mark::Domain) {
            return wrong("of", "expected something that is one person's, not a domain");
        }
        if self.minutes.is_some_and(|minutes| !(1..=MOST_MINUTES).contains(&minutes)) {
            return wrong("minutes", &format!("expected 1 to {MOST_MINUTES}"));
        }
        if self.more_than.is_some_and(|most| !(0..=1_000).contains(&most)) {
            return wrong("more_than", "expected 0 to 1000");
        }
        if self.amount.is_some_and(|amount| amount.minor() < 1) {
            return wrong("amount", "expected more than nothing");
        }
        if self.domains.len() > 500 {
            return wrong("domains", "expected at most 500");
        }
        match self.domains.iter().position(|domain| domain.contains('@') || !domain.contains('.')) {
            Some(place) => wrong(&format!("domains/{place}"), "expected a domain such as example.org"),
            None => Ok(()),
        }
    }
}

/// How often something has tried to order lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Tries {
    /// What.
    pub of: Mark,
    /// Within how many minutes.
    pub minutes: i64,
    /// How often, this time not counted.
    pub tries: i64,
}

/// An entry of a list that somebody is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Listed {
    /// The list.
    pub list: Listing,
    /// By what.
    pub kind: Mark,
    /// The entry.
    pub entry: RiskEntryId,
}

/// What is known of a checkout, without anything that tells whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = RiskFacts)]
pub struct Facts {
    /// What the cart costs.
    pub total: Money,
    /// Whether nobody has ordered with this account or address before; absent where no rule has asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_order: Option<bool>,
    /// Where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_country: Option<Country>,
    /// Where the invoice goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_country: Option<Country>,
    /// Where the connection comes from, as the storefront was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_country: Option<Country>,
    /// Whether the e-mail address is of a domain that gives addresses away, as the rules of that time knew them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disposable: Option<bool>,
    /// How many coupon codes were refused at the cart; absent where no rule has asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codes_tried: Option<i64>,
    /// What the shopper is known by.
    #[serde(default)]
    pub known: Vec<Mark>,
    /// How often that has tried to order lately, as far as rules have asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<Tries>,
    /// By what something was lost before, as far as rules have asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Mark>,
    /// The lists that they are on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listed: Vec<Listed>,
}

/// What a rule came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = RiskTraceStep)]
pub struct TraceStep {
    /// The rule.
    pub rule: String,
    /// What it looks at.
    pub kind: RuleKind,
    /// What came of it.
    pub result: Fired,
    /// The points that it gives: its weight where it has fired, else 0.
    pub points: i64,
    /// What it has seen, in words.
    pub detail: String,
}

/// What facts come to by rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = RiskResult)]
pub struct Assessment {
    /// What is done.
    pub decision: Decision,
    /// The sum of the points.
    pub score: i64,
    /// What has decided: `allow_list`, `block_list`, or `score`.
    pub by: String,
    /// Each rule that counts, in the order of the profile.
    pub trace: Vec<TraceStep>,
}

impl Assessment {
    /// The rules that have fired.
    #[must_use]
    pub fn fired(&self) -> Vec<String> {
        self.trace.iter().filter(|step| step.result == Fired::Yes).map(|step| step.rule.clone()).collect()
    }

    /// Why an order is held, for staff.
    #[must_use]
    pub fn reason(&self) -> String {
        let mut reason = format!("risk score {}: {}", self.score, self.fired().join(", "));
        if reason.len() > 480 {
            let end = reason.char_indices().map(|(at, _)| at).take_while(|at| *at <= 480).last().unwrap_or_default();
            reason.truncate(end);
        }
        reason
    }
}

/// What facts come to. Who is on a list of those to allow is let through, whatever else is so; who is blocked is refused; else the
/// points decide.
#[must_use]
pub fn assess(profile: &ProfileDocument, facts: &Facts) -> Assessment {
    let trace: Vec<TraceStep> = profile.live().map(|rule| step(rule, facts)).collect();
    let score: i64 = trace.iter().map(|step| step.points).sum();
    let on = |list: Listing| facts.listed.iter().any(|listed| listed.list == list);
    let (decision, by) = if on(Listing::Allow) {
        (Decision::Accept, "allow_list")
    } else if on(Listing::Block) {
        (Decision::Decline, "block_list")
    } else if profile.decline_at.is_some_and(|decline| score >= decline) {
        (Decision::Decline, "score")
    } else if score >= profile.hold_at {
        (Decision::Hold, "score")
    } else {
        (Decision::Accept, "score")
    };
    Assessment { decision, score, by: by.to_owned(), trace }
}

fn step(rule: &Rule, facts: &Facts) -> TraceStep {
    let (fired, detail) = match seen(rule, facts) {
        Some((true, detail)) => (Fired::Yes, detail),
        Some((false, detail)) => (Fired::Quiet, detail),
        None => (Fired::Unknown, "not known here".to_owned()),
    };
    let points = if fired == Fired::Yes { rule.weight } else { 0 };
    TraceStep { rule: rule.name.to_string(), kind: rule.kind, result: fired, points, detail }
}

/// Whether what a rule looks for is so, and what it has seen; `None` where that is not known.
fn seen(rule: &Rule, facts: &Facts) -> Option<(bool, String)> {
    match rule.kind {
        RuleKind::Velocity => {
            let (of, minutes, most) = (rule.of?, rule.minutes?, rule.more_than?);
            let found = facts.tries.iter().find(|tries| (tries.of, tries.minutes) == (of, minutes))?;
            Some((found.tries > most, format!("{} tries by {of} within {minutes} minutes", found.tries)))
        }
        RuleKind::FirstOrder => {
            let first = facts.first_order?;
            let dear = match rule.amount {
                Some(amount) => costs(facts.total, amount)?,
                None => true,
            };
            let what = if first { "the first order" } else { "not the first order" };
            Some((first && dear, format!("{what}, {}", facts.total)))
        }
        RuleKind::Value => Some((costs(facts.total, rule.amount?)?, facts.total.to_string())),
        RuleKind::CountryMismatch => {
            let all = [facts.shipping_country, facts.billing_country, facts.ip_country];
            let known: Vec<Country> = all.into_iter().flatten().collect();
            let different: BTreeSet<&str> = known.iter().map(Country::as_str).collect();
            let names: Vec<&str> = different.iter().copied().collect();
            (known.len() > 1).then(|| (names.len() > 1, names.join(", ")))
        }
        RuleKind::DisposableDomain => {
            let disposable = facts.disposable?;
            let what = if disposable { "gives addresses away" } else { "a domain like others" };
            Some((disposable, what.to_owned()))
        }
        RuleKind::CodesTried => {
            let tried = facts.codes_tried?;
            Some((tried > rule.more_than?, format!("{tried} codes refused")))
        }
        RuleKind::KnownLosses => {
            let of = rule.lost_by();
            let lost = facts.losses.contains(&of);
            let what = if lost { "something was lost by its" } else { "nothing was lost by its" };
            facts.known.contains(&of).then(|| (lost, format!("{what} {of}")))
        }
    }
}

/// Whether a total is an amount or more; `None` where the currencies differ.
fn costs(total: Money, amount: Money) -> Option<bool> {
    (total.currency() == amount.currency()).then(|| total.minor() >= amount.minor())
}

/// Domains that give addresses away for minutes. A short list of those that are met most: `domains` of a rule adds to it.
const DISPOSABLE: &[&str] = &[
    "10minutemail.com",
    "discard.email",
    "dispostable.com",
    "fakeinbox.com",
    "getnada.com",
    "guerrillamail.com",
    "guerrillamail.info",
    "mailcatch.com",
    "maildrop.cc",
    "mailinator.com",
    "mailnesia.com",
    "mintemail.com",
    "mohmal.com",
    "sharklasers.com",
    "spam4.me",
    "temp-mail.org",
    "tempail.com",
    "tempmail.com",
    "throwawaymail.com",
    "trash-mail.com",
    "trashmail.com",
    "trashmail.de",
    "wegwerfmail.de",
    "yopmail.com",
];

/// Whether a domain, in lower case, gives addresses away: it, or one that it is below, is on the list or named by a rule.
#[must_use]
pub fn is_disposable(profile: &ProfileDocument, domain: &str) -> bool {
    let named = profile.live().flat_map(|rule| rule.domains.iter());
    let same = |known: &str| {
        let known = known.to_lowercase();
        domain.strip_suffix(known.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    DISPOSABLE.iter().any(|known| same(known)) || named.into_iter().any(|known| same(known))
}

#[cfg(test)]
mod tests;
