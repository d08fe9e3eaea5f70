//! What a rule is that proposes prices, what a proposal is, and where they stand. Pure. What is in [`Terms`] is stored as it came.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    error::{Code, Error, Result},
    kernel::{
        Currency, Instant, Money, UnitPrice,
        ids::{ChannelId, PriceListId, PriceProposalId, PriceRuleId, VariantId},
        text::Text,
    },
    pricing::{Change, Goods, Percent, model::Step},
};

crate::words! {
    /// Where a rule stands.
    pub enum PriceRuleState {
        /// It is being planned: it can be simulated, and proposes nothing.
        Draft = "draft",
        /// It looks at its goods every so often.
        Active = "active",
        /// It proposes nothing until it is activated again; what it has proposed can still be approved.
        Paused = "paused",
        /// It is over for good, and what it has proposed with it.
        Ended = "ended",
    }
}

crate::words! {
    /// What happens to a rule.
    pub enum PriceRuleCommand {
        /// It looks at its goods from now on.
        Activate = "activate",
        /// It proposes nothing for a while.
        Pause = "pause",
        /// It is over.
        End = "end",
    }
}

impl PriceRuleState {
    /// The transition table.
    ///
    /// | | activate | pause | end |
    /// |---|---|---|---|
    /// | draft | active | – | ended |
    /// | active | active | paused | ended |
    /// | paused | active | paused | ended |
    /// | ended | – | – | ended |
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn apply(self, command: PriceRuleCommand) -> Result<Self> {
        use PriceRuleCommand as C;
        match (self, command) {
            (Self::Draft | Self::Active | Self::Paused, C::Activate) => Ok(Self::Active),
            (Self::Active | Self::Paused, C::Pause) => Ok(Self::Paused),
            (_, C::End) => Ok(Self::Ended),
            _ => Err(Error::conflict(format!("a price rule that is {self} takes no {command}"))),
        }
    }
}

/// The transition table of rules as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> draft\n");
    for from in PriceRuleState::ALL {
        for command in PriceRuleCommand::ALL {
            if let Ok(to) = from.apply(*command)
                && to != *from
            {
                text.push_str(&format!("    {from} --> {to}: {command}\n"));
            }
        }
    }
    text
}

crate::words! {
    /// Where a proposal stands.
    pub enum ProposalState {
        /// It waits for somebody.
        Open = "open",
        /// It is the price, or was until the next change.
        Applied = "applied",
        /// Somebody did not want it.
        Rejected = "rejected",
        /// A newer one of the same rule took its place.
        Superseded = "superseded",
        /// What it was made from is not so any more: the price has changed, or the rule would not propose it now.
        Stale = "stale",
    }
}

crate::words! {
    /// What happens to a proposal.
    pub enum ProposalCommand {
        /// It becomes the price.
        Approve = "approve",
        /// It does not.
        Reject = "reject",
        /// A newer one takes its place.
        Supersede = "supersede",
        /// What it was made from is not so any more.
        Outdate = "outdate",
    }
}

impl ProposalState {
    /// The transition table: what is open becomes what the command says, and what was done already is done.
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn apply(self, command: ProposalCommand) -> Result<Self> {
        let to = match command {
            ProposalCommand::Approve => Self::Applied,
            ProposalCommand::Reject => Self::Rejected,
            ProposalCommand::Supersede => Self::Superseded,
            ProposalCommand::Outdate => Self::Stale,
        };
        match self {
            Self::Open => Ok(to),
            done if done == to => Ok(to),
            other => Err(Error::conflict(format!("a proposal that is {other} takes no {command}"))),
        }
    }
}

/// The transition table of proposals as a Mermaid diagram.
#[must_use]
pub fn proposals_mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> open\n    [*] --> applied: at once\n");
    for command in ProposalCommand::ALL {
        if let Ok(to) = ProposalState::Open.apply(*command) {
            text.push_str(&format!("    open --> {to}: {command}\n"));
        }
    }
    text
}

crate::words! {
    /// What becomes of what a rule proposes.
    pub enum PriceRuleMode {
        /// It waits until somebody approves it.
        Propose = "propose",
        /// It is applied at once.
        Apply = "apply",
    }
}

/// What a rule goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = PriceSignal)]
#[schema(example = json!({"type": "stock_cover", "days": 28}))]
pub enum Signal {
    /// For how many days the stock lasts: what is available at all active locations, by the pieces sold per day.
    StockCover {
        /// Over so many days the sold pieces are counted.
        #[schema(minimum = 1, maximum = 365)]
        days: i64,
    },
    /// How many per cent of what there was have been sold: sold pieces, by these and what is available.
    SellThrough {
        /// Over so many days the sold pieces are counted.
        #[schema(minimum = 1, maximum = 365)]
        days: i64,
    },
    /// For how many days goods have been there: since the first pieces came; where stock is not counted, since the variant was made.
    Age {},
    /// In how many days goods are best before: 0 is the last day.
    Expiry {
        /// The attribute of the variant that holds the date, such as `2026-12-31`; left out, `best_before`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>, max_length = 50)]
        attribute: Option<Text<50>>,
    },
}

impl Signal {
    /// Its word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::StockCover { .. } => "stock_cover",
            Self::SellThrough { .. } => "sell_through",
            Self::Age {} => "age",
            Self::Expiry { .. } => "expiry",
        }
    }

    /// Over how many days it counts sold pieces.
    #[must_use]
    pub const fn window(&self) -> Option<i64> {
        match self {
            Self::StockCover { days } | Self::SellThrough { days } => Some(*days),
            Self::Age {} | Self::Expiry { .. } => None,
        }
    }
}

/// What is done where the signal has certain figures. The first tier that fits counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PriceSignalTier)]
#[schema(example = json!({"from": 90, "change": "-20"}))]
pub struct Tier {
    /// From this figure on; left out, from the lowest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// Below this figure; left out, up to the highest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<i64>,
    /// By how many per cent the reference is changed; `0` is the reference itself.
    pub change: Change,
}

/// What a proposed price keeps within.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PriceGuardRails)]
pub struct GuardRails {
    /// The price is at least so many per cent over what goods have cost by the lists of the kind `cost`. Goods without a known cost
    /// are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor_margin: Option<Change>,
    /// The price is at least so much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Money>,
    /// The price is at most so much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Money>,
    /// The price differs by at most so many per cent from what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_step: Option<Percent>,
    /// Rules change a price at most so often on one day: the day of the rule's channel, or UTC where it has none.
    #[serde(default = "once")]
    #[schema(default = 1, minimum = 1, maximum = 1000)]
    pub changes_per_day: i64,
    /// What the price ends with: `0.99` makes 17.32 be 16.99, the nearest at most that which the others allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Money>,
}

const fn once() -> i64 {
    1
}

impl Default for GuardRails {
    fn default() -> Self {
        Self { floor_margin: None, floor: None, ceiling: None, largest_step: None, changes_per_day: 1, ending: None }
    }
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The code of the list that it works on.
    pub price_list: String,
    /// The code of the list that it reckons from.
    pub reference_list: String,
    /// The currency of both.
    pub currency: Currency,
    /// Whether it may reckon from what it has made of prices itself.
    pub compounding: bool,
    /// The goods that it is for; none named are all.
    pub include: Vec<Goods>,
    /// The goods that it is not for.
    pub exclude: Vec<Goods>,
    /// What it goes by.
    pub signal: Signal,
    /// What it does.
    pub tiers: Vec<Tier>,
    /// What it keeps within.
    pub guard_rails: GuardRails,
    /// What becomes of its proposals.
    pub mode: PriceRuleMode,
    /// How often it looks.
    pub every_minutes: i64,
}

/// What a run of a rule came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PriceRuleRun)]
pub struct RunSummary {
    /// When it ended.
    pub at: Option<Instant>,
    /// How many articles it looked at.
    pub looked_at: i64,
    /// How many new proposals it made.
    pub proposed: i64,
    /// How many open proposals it left as they were.
    pub kept: i64,
    /// How many prices it changed.
    pub applied: i64,
    /// How many articles it passed over, by the reason.
    pub passed_over: std::collections::BTreeMap<String, i64>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceRule {
    /// Its id.
    pub id: PriceRuleId,
    /// A short unique name.
    pub code: String,
    /// Its name for people.
    pub name: String,
    /// Where it stands.
    pub state: PriceRuleState,
    /// The list that it works on.
    pub list: PriceListId,
    /// The list that it reckons from.
    pub reference: PriceListId,
    /// The channel of the list that it works on; `None` is all.
    pub list_channel: Option<ChannelId>,
    /// The channel whose days, time zone and costs it goes by.
    pub channel: Option<ChannelId>,
    /// What it says.
    pub terms: Terms,
    /// When it looks next.
    pub next_run_at: Option<Instant>,
    /// What its last run came to.
    pub last_run: Option<RunSummary>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// What somebody who is limited to channels may see of rules and of what these propose: for that tells the prices of the list that a
/// rule reckons from, and what goods have cost in the channel that it goes by.
#[derive(Debug, Clone)]
pub struct Sight {
    /// The lists of their channels, and those for all.
    pub lists: HashSet<PriceListId>,
    /// Their channels.
    pub channels: Vec<ChannelId>,
}

impl Sight {
    /// Whether a rule is seen: both its lists, and its channel.
    #[must_use]
    pub fn sees(&self, rule: &PriceRule) -> bool {
        let channel = rule.channel.is_none_or(|channel| self.channels.contains(&channel));
        channel && self.lists.contains(&rule.list) && self.lists.contains(&rule.reference)
    }
}

/// How a price was reckoned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PriceExplanation)]
pub struct Explanation {
    /// What the rule goes by.
    #[schema(example = "stock_cover")]
    pub signal: String,
    /// The signal's figure, in days or per cent; null where it is without end, as the cover of what is not sold.
    pub figure: Option<String>,
    /// The tier that fits.
    pub tier: Tier,
    /// What was reckoned from.
    pub reference: UnitPrice,
    /// What the tier makes of it, before any guard rail.
    pub wanted: UnitPrice,
    /// How it came to that: the signal, the tier, and each guard rail that bent the price.
    pub because: Vec<Step>,
}

/// A price that a rule proposes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposed {
    /// What the list has now; `None` where it has no price.
    pub from: Option<UnitPrice>,
    /// What it should be.
    pub to: UnitPrice,
    /// Why.
    pub explanation: Explanation,
}

/// A proposal as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Its id.
    pub id: PriceProposalId,
    /// The rule.
    pub rule: PriceRuleId,
    /// The rule's version by which it was made.
    pub rule_version: i64,
    /// The list.
    pub list: PriceListId,
    /// The article.
    pub variant: VariantId,
    /// Its SKU.
    pub sku: String,
    /// Where it stands.
    pub state: ProposalState,
    /// What, from what, and why.
    pub proposed: Proposed,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Instant>,
    /// When it was made.
    pub created_at: Instant,
}

const MOST_TIERS: usize = 20;
const MOST_GOODS: usize = 50;

impl Terms {
    /// What the types can not say.
    ///
    /// # Errors
    /// `invalid_value` or `missing_field` with the pointer.
    pub fn check(&self) -> Result<()> {
        if self.signal.window().is_some_and(|days| !(1..=365).contains(&days)) {
            return Err(Error::invalid("/signal/days", "expected a number from 1 to 365"));
        }
        if !(5..=10_080).contains(&self.every_minutes) {
            return Err(Error::invalid("/every_minutes", "expected a number from 5 to 10080, which is a week"));
        }
        self.check_tiers()?;
        self.check_guard_rails()?;
        for (name, goods) in [("include", &self.include), ("exclude", &self.exclude)] {
            if goods.len() > MOST_GOODS {
                return Err(Error::invalid(format!("/goods/{name}"), format!("expected at most {MOST_GOODS} entries")));
            }
            for (place, goods) in goods.iter().enumerate() {
                goods.check(&format!("/goods/{name}/{place}"))?;
            }
        }
        Ok(())
    }

    fn check_tiers(&self) -> Result<()> {
        match self.tiers.len() {
            0 => return Err(Error::problem(Code::MissingField, "expected at least one entry").at("/tiers")),
            count if count > MOST_TIERS => {
                return Err(Error::invalid("/tiers", format!("expected at most {MOST_TIERS} entries")));
            }
            _ => {}
        }
        let empty = |tier: &Tier| matches!((tier.from, tier.below), (Some(from), Some(below)) if below <= from);
        match self.tiers.iter().position(empty) {
            Some(place) => Err(Error::invalid(format!("/tiers/{place}/below"), "expected more than `from`")),
            None => Ok(()),
        }
    }

    fn check_guard_rails(&self) -> Result<()> {
        let GuardRails { floor, ceiling, ending, changes_per_day, .. } = &self.guard_rails;
        for (name, money) in [("floor", floor), ("ceiling", ceiling), ("ending", ending)] {
            let Some(money) = money else { continue };
            if money.currency() != self.currency {
                let detail = format!("expected an amount in {}, the currency of the list", self.currency);
                return Err(Error::invalid(format!("/guard_rails/{name}/currency"), detail));
            }
            if money.minor() < 0 {
                return Err(Error::invalid(format!("/guard_rails/{name}/amount"), "expected an amount from 0 on"));
            }
        }
        let one = 10i64.pow(self.currency.exponent());
        if ending.is_some_and(|ending| ending.minor() >= one) {
            let detail = "expected what stands behind the point, such as 0.99";
            return Err(Error::invalid("/guard_rails/ending/amount", detail));
        }
        if floor.zip(*ceiling).is_some_and(|(floor, ceiling)| floor.minor() > ceiling.minor()) {
            return Err(Error::invalid("/guard_rails/ceiling/amount", "expected no less than the floor"));
        }
        if !(1..=1000).contains(changes_per_day) {
            return Err(Error::invalid("/guard_rails/changes_per_day", "expected a number from 1 to 1000"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proposal_is_decided_once() {
        for done in ProposalState::ALL.iter().filter(|state| **state != ProposalState::Open) {
            for command in ProposalCommand::ALL {
                let same = ProposalState::Open.apply(*command).unwrap() == *done;
                assert_eq!(done.apply(*command).is_ok(), same, "{done} {command}");
            }
        }
    }

    #[test]
    fn what_is_over_stays_over() {
        for command in [PriceRuleCommand::Activate, PriceRuleCommand::Pause] {
            assert!(PriceRuleState::Ended.apply(command).is_err());
        }
        assert!(PriceRuleState::Draft.apply(PriceRuleCommand::Pause).is_err());
        for state in PriceRuleState::ALL {
            assert_eq!(state.apply(PriceRuleCommand::End).unwrap(), PriceRuleState::Ended);
        }
    }
}
