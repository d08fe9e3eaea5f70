//! What is agreed with a company, and what its members may do: pure.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::{Instant, Money, text::Text},
};

crate::words! {
    /// What a member may do for their company.
    pub enum CompanyRole {
        /// Buys, up to their limit without asking.
        Buyer = "buyer",
        /// Buys, and approves what others want to buy.
        Approver = "approver",
        /// Approves, and says who is what.
        Admin = "admin",
    }
}

impl CompanyRole {
    /// Whether they approve where somebody of a role is asked for.
    #[must_use]
    pub fn approves(self, asked: Self) -> bool {
        self != Self::Buyer && self >= asked
    }
}

/// Until when a company pays what it buys on account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CompanyTerms, example = json!({"net_days": 30, "discount_days": 10, "discount_percent": 2}))]
pub struct PaymentTerms {
    /// So many days from the day of the order, 0 to 365.
    pub net_days: i64,
    /// Who pays within so many days may take off `discount_percent`; told with the terms, not taken off by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount_days: Option<i64>,
    /// Whole per cent, 1 to 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount_percent: Option<i64>,
}

impl PaymentTerms {
    /// When what is bought at an instant is due.
    #[must_use]
    pub fn due_at(self, placed: Instant) -> Instant {
        placed.plus_seconds(86_400 * self.net_days)
    }

    fn check(self) -> Result<()> {
        let within = |value: i64, (least, most): (i64, i64), field: &str| match (least..=most).contains(&value) {
            true => Ok(()),
            false => {
                Err(Error::invalid(format!("/terms/{field}"), format!("expected a number from {least} to {most}")))
            }
        };
        within(self.net_days, (0, 365), "net_days")?;
        match (self.discount_days, self.discount_percent) {
            (None, None) => Ok(()),
            (Some(days), Some(percent)) => {
                within(days, (0, self.net_days), "discount_days")?;
                within(percent, (1, 50), "discount_percent")
            }
            (Some(_), None) => Err(Error::invalid("/terms/discount_percent", "say how much comes off as well")),
            (None, Some(_)) => Err(Error::invalid("/terms/discount_days", "say until when as well")),
        }
    }
}

/// What the company's own number of an order has to be like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"required": true, "pattern": "PO-####"}))]
pub struct PurchaseOrderRule {
    /// Whether each order needs one.
    #[serde(default)]
    pub required: bool,
    /// What it looks like: `#` stands for a digit, `@` for a letter, `*` for any characters or none, all else for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    pub pattern: Option<Text<50>>,
}

impl PurchaseOrderRule {
    /// What is wrong with a number, or with none.
    ///
    /// # Errors
    /// That, in words.
    pub fn check(&self, number: Option<&str>) -> Result<(), String> {
        match (number, self.pattern.as_deref()) {
            (None, _) if self.required => Err("the company asks for its own number of each order".to_owned()),
            (Some(number), Some(pattern)) if !fits(pattern, number) => {
                Err(format!("the company's numbers look like `{pattern}`"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a text is as a pattern says. Both are short: no step looks at more than they hold together.
fn fits(pattern: &str, text: &str) -> bool {
    // Which beginnings of the text fit what was read of the pattern.
    let letters: Vec<char> = text.chars().collect();
    let mut fit: Vec<bool> = std::iter::once(true).chain(letters.iter().map(|_| false)).collect();
    for sign in pattern.chars() {
        let mut next = vec![false; fit.len()];
        let mut any = false;
        for (place, to) in next.iter_mut().enumerate() {
            any |= fit.get(place).copied().unwrap_or_default();
            let before = place.checked_sub(1).and_then(|place| Some((*fit.get(place)?, *letters.get(place)?)));
            *to = match sign {
                '*' => any,
                '#' => before.is_some_and(|(fits, letter)| fits && letter.is_ascii_digit()),
                '@' => before.is_some_and(|(fits, letter)| fits && letter.is_alphabetic()),
                other => before.is_some_and(|(fits, letter)| fits && letter == other),
            };
        }
        fit = next;
    }
    fit.last().copied().unwrap_or_default()
}

/// From an amount on, orders of the company's members are approved by others of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from": {"amount": "1000.00", "currency": "EUR"}, "approvers": 2, "role": "approver"}))]
pub struct ApprovalRule {
    /// Orders that cost so much or more.
    pub from: Money,
    /// How many have to approve, 1 to 5; never who orders.
    pub approvers: i64,
    /// Who may: `approver` (admins too), or `admin`.
    pub role: CompanyRole,
}

/// Why an order has to be approved, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ApprovalNeed {
    /// How many have to approve.
    pub approvers: i64,
    /// Who may: `approver` (admins too), or `admin`.
    pub role: CompanyRole,
    /// Why, in words.
    pub reason: String,
}

/// What a company's members are to it who have no limit of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Their role.
    pub role: CompanyRole,
    /// What an order of theirs may cost without being approved.
    pub order_limit: Option<Money>,
}

impl Default for Membership {
    fn default() -> Self {
        Self { role: CompanyRole::Buyer, order_limit: None }
    }
}

/// Who has to approve an order of a member that costs so much; nobody where `None`. Of several rules the one with the highest amount
/// counts; a limit without a rule asks for one approver. An amount in another currency than a limit's is above it.
#[must_use]
pub fn approval_needed(rules: &[ApprovalRule], member: &Membership, total: Money) -> Option<ApprovalNeed> {
    let meant =
        rules.iter().filter(|rule| rule.from.currency() == total.currency() && rule.from.minor() <= total.minor());
    let rule = meant.max_by_key(|rule| rule.from.minor());
    if let Some(rule) = rule {
        let reason = format!("orders of the company from {} on are approved", rule.from);
        return Some(ApprovalNeed { approvers: rule.approvers, role: rule.role, reason });
    }
    let limit = member.order_limit?;
    let within = limit.currency() == total.currency() && total.minor() <= limit.minor();
    let reason = format!("it costs more than the buyer's limit of {limit}");
    (!within).then_some(ApprovalNeed { approvers: 1, role: CompanyRole::Approver, reason })
}

/// What a company asks of the orders of those who buy for it, as it stands in its document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct OrderRules {
    /// What its own number of an order has to be like.
    #[serde(default)]
    pub purchase_order: Option<PurchaseOrderRule>,
    /// From which amounts on orders are approved.
    #[serde(default)]
    pub approval_rules: Vec<ApprovalRule>,
}

/// The most rules of one company, and the most that one asks to approve.
const MOST: usize = 20;

/// That terms and rules can be meant.
///
/// # Errors
/// `invalid_value`, with the place.
pub(super) fn check(terms: Option<&PaymentTerms>, rules: &[ApprovalRule]) -> Result<()> {
    terms.map_or(Ok(()), |terms| terms.check())?;
    if rules.len() > MOST {
        return Err(Error::invalid("/approval_rules", format!("expected at most {MOST} rules")));
    }
    for (place, rule) in rules.iter().enumerate() {
        let odd = |field: &str, detail: &str| Err(Error::invalid(format!("/approval_rules/{place}/{field}"), detail));
        if rule.role == CompanyRole::Buyer {
            return odd("role", "expected `approver` or `admin`");
        }
        if !(1..=5).contains(&rule.approvers) {
            return odd("approvers", "expected a number from 1 to 5");
        }
        if rule.from.minor() < 0 {
            return odd("from", "expected an amount of 0 or more");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_held_against_patterns() {
        for (pattern, number, fit) in [
            ("PO-####", "PO-1234", true),
            ("PO-####", "PO-123", false),
            ("PO-####", "PO-12345", false),
            ("@@*", "ab", true),
            ("@@*", "äb-77/9", true),
            ("@@*", "a1", false),
            ("*-#", "a-b-7", true),
            ("*-#", "a-b-", false),
            ("*", "x", true),
        ] {
            assert_eq!(fits(pattern, number), fit, "{pattern} {number}");
        }
    }

    #[test]
    fn the_highest_rule_that_is_reached_counts_then_the_buyers_limit() {
        let eur = |minor| Money::from_minor(minor, "EUR".parse().unwrap());
        let rule = |from, approvers, role| ApprovalRule { from: eur(from), approvers, role };
        let rules = [rule(10_000, 1, CompanyRole::Approver), rule(50_000, 2, CompanyRole::Admin)];
        let member = Membership { role: CompanyRole::Buyer, order_limit: Some(eur(5_000)) };
        let needed = |total| approval_needed(&rules, &member, eur(total)).map(|need| (need.approvers, need.role));
        assert_eq!(needed(5_000), None);
        assert_eq!(needed(5_001), Some((1, CompanyRole::Approver)));
        assert_eq!(needed(50_000), Some((2, CompanyRole::Admin)));
        let dollars = Money::from_minor(1, "USD".parse().unwrap());
        assert!(approval_needed(&rules, &member, dollars).is_some());
        assert!(
            CompanyRole::Admin.approves(CompanyRole::Approver) && !CompanyRole::Approver.approves(CompanyRole::Admin)
        );
        assert!(!CompanyRole::Buyer.approves(CompanyRole::Buyer));
    }
}
