//! The shapes in which rules and proposals come in and go out.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::model::{
    Explanation, GuardRails, PriceRule, PriceRuleCommand, PriceRuleMode, PriceRuleState, Proposal, ProposalCommand,
    ProposalState, Proposed, RunSummary, Signal, Terms, Tier,
};
use crate::{
    error::Result,
    kernel::{
        Action, Instant, UnitPrice,
        ids::{ChannelId, PriceListId, PriceProposalId, PriceRuleId, VariantId},
        text::{Sku, Text},
    },
    pricing::{Goods, model::Step, rates::PriceList},
};

const fn hourly() -> i64 {
    60
}

const fn propose() -> PriceRuleMode {
    PriceRuleMode::Propose
}

/// A rule about to be made: it is a draft until it is activated.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "code": "slow-movers", "name": "What lies too long gets cheaper", "price_list": "demo-clearance", "reference_list": "demo-base",
    "channel_id": "chan_01h455vb4pex5vsknk084sn02q",
    "goods": {"exclude": [{"skus": ["POSTER-LAST"]}]}, "signal": {"type": "stock_cover", "days": 28},
    "tiers": [{"from": 90, "below": 180, "change": "-10"}, {"from": 180, "change": "-25"}],
    "guard_rails": {"largest_step": "15", "changes_per_day": 1, "floor": {"amount": "4.99", "currency": "EUR"},
        "ending": {"amount": "0.99", "currency": "EUR"}}
}))]
pub struct NewPriceRule {
    /// A short unique name.
    #[schema(value_type = String, min_length = 1, max_length = 50)]
    pub code: Text<50>,
    /// Its name for people.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    pub name: Text<200>,
    /// The code of the list whose prices it changes, of the kind `sale` or `base`.
    #[schema(value_type = String, min_length = 1, max_length = 50)]
    pub price_list: Text<50>,
    /// The code of the list whose prices it reckons from, in the same currency. The rule is for goods that have a price in it.
    #[schema(value_type = String, min_length = 1, max_length = 50)]
    pub reference_list: Text<50>,
    /// Whether both lists may be the same, so that each change begins where the last one ended.
    #[serde(default)]
    #[schema(default = false)]
    pub compounding: bool,
    /// The channel whose time zone and costs it goes by; left out, that of `price_list`. Where that is for all channels, days are UTC,
    /// and costs those of the lists for all.
    pub channel_id: Option<ChannelId>,
    /// Which goods of the reference list; left out, all of them.
    #[serde(default)]
    pub goods: RuleGoods,
    /// What it goes by.
    pub signal: Signal,
    /// What it does: the first that fits counts; where none does, nothing is proposed.
    #[schema(min_items = 1, max_items = 20)]
    pub tiers: Vec<Tier>,
    /// What its prices keep within.
    #[serde(default)]
    pub guard_rails: GuardRails,
    /// Whether what it proposes waits for somebody, or is applied at once.
    #[serde(default = "propose")]
    #[schema(default = "propose")]
    pub mode: PriceRuleMode,
    /// How often it looks at its goods.
    #[serde(default = "hourly")]
    #[schema(default = 60, minimum = 5, maximum = 10_080)]
    pub every_minutes: i64,
}

/// Which goods a rule is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleGoods {
    /// Goods that it is for: those that fit one of the entries; none named are all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    pub include: Vec<Goods>,
    /// Goods that it is not for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    pub exclude: Vec<Goods>,
}

impl NewPriceRule {
    /// The rule as it is made, checked as far as it tells by itself.
    pub(super) fn build(
        &self,
        id: PriceRuleId,
        now: Instant,
        (list, reference): (&PriceList, &PriceList),
    ) -> Result<PriceRule> {
        let terms = Terms {
            price_list: list.code.clone(),
            reference_list: reference.code.clone(),
            currency: list.currency,
            compounding: self.compounding,
            include: self.goods.include.clone(),
            exclude: self.goods.exclude.clone(),
            signal: self.signal.clone(),
            tiers: self.tiers.clone(),
            guard_rails: self.guard_rails.clone(),
            mode: self.mode,
            every_minutes: self.every_minutes,
        };
        terms.check()?;
        Ok(PriceRule {
            id,
            code: self.code.to_string(),
            name: self.name.to_string(),
            state: PriceRuleState::Draft,
            list: list.id,
            reference: reference.id,
            list_channel: list.channel,
            channel: self.channel_id.or(list.channel),
            terms,
            next_run_at: None,
            last_run: None,
            version: 1,
            created_at: now,
            updated_at: now,
        })
    }
}

/// What can be changed about a rule, whole parts at a time: what is absent stays. For other lists make another rule.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"every_minutes": 120}))]
pub struct PriceRulePatch {
    /// Its name for people.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub name: Option<Text<200>>,
    /// Which goods of the reference list.
    pub goods: Option<RuleGoods>,
    /// What it goes by.
    pub signal: Option<Signal>,
    /// What it does.
    #[schema(min_items = 1, max_items = 20)]
    pub tiers: Option<Vec<Tier>>,
    /// What its prices keep within.
    pub guard_rails: Option<GuardRails>,
    /// Whether what it proposes waits for somebody, or is applied at once.
    pub mode: Option<PriceRuleMode>,
    /// How often it looks at its goods.
    #[schema(minimum = 5, maximum = 10_080)]
    pub every_minutes: Option<i64>,
}

impl PriceRulePatch {
    /// The rule with the changes in it.
    pub(super) fn apply(&self, rule: &mut PriceRule, now: Instant) -> Result<()> {
        if let Some(name) = &self.name {
            rule.name = name.to_string();
        }
        let terms = &mut rule.terms;
        if let Some(goods) = &self.goods {
            terms.include.clone_from(&goods.include);
            terms.exclude.clone_from(&goods.exclude);
        }
        if let Some(signal) = &self.signal {
            terms.signal.clone_from(signal);
        }
        if let Some(tiers) = &self.tiers {
            terms.tiers.clone_from(tiers);
        }
        if let Some(rails) = &self.guard_rails {
            terms.guard_rails.clone_from(rails);
        }
        terms.mode = self.mode.unwrap_or(terms.mode);
        terms.every_minutes = self.every_minutes.unwrap_or(terms.every_minutes);
        rule.updated_at = now;
        terms.check()
    }
}

/// A rule that proposes prices.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PriceRule)]
pub struct PriceRuleView {
    /// Its id.
    pub id: PriceRuleId,
    /// A short unique name.
    pub code: String,
    /// Its name for people.
    pub name: String,
    /// Where it stands.
    pub state: PriceRuleState,
    /// The list whose prices it changes.
    pub price_list_id: PriceListId,
    /// That list's code.
    pub price_list: String,
    /// The list whose prices it reckons from.
    pub reference_list_id: PriceListId,
    /// That list's code.
    pub reference_list: String,
    /// Whether both may be the same.
    pub compounding: bool,
    /// The channel whose time zone and costs it goes by.
    pub channel_id: Option<ChannelId>,
    /// Which goods.
    pub goods: RuleGoods,
    /// What it goes by.
    pub signal: Signal,
    /// What it does.
    pub tiers: Vec<Tier>,
    /// What its prices keep within.
    pub guard_rails: GuardRails,
    /// What becomes of what it proposes.
    pub mode: PriceRuleMode,
    /// How often it looks at its goods.
    pub every_minutes: i64,
    /// When it looks next.
    pub next_run_at: Option<Instant>,
    /// What its last run came to.
    pub last_run: Option<RunSummary>,
    /// What can be done with it now, or why not.
    pub actions: Vec<Action>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl From<PriceRule> for PriceRuleView {
    fn from(rule: PriceRule) -> Self {
        let PriceRule { id, code, name, state, list, reference, channel, terms, next_run_at, last_run, .. } = rule;
        let action = |command: &PriceRuleCommand| Action::of(command.as_str(), state.apply(*command).map(|_| ()));
        Self {
            id,
            code,
            name,
            state,
            price_list_id: list,
            price_list: terms.price_list,
            reference_list_id: reference,
            reference_list: terms.reference_list,
            compounding: terms.compounding,
            channel_id: channel,
            goods: RuleGoods { include: terms.include, exclude: terms.exclude },
            signal: terms.signal,
            tiers: terms.tiers,
            guard_rails: terms.guard_rails,
            mode: terms.mode,
            every_minutes: terms.every_minutes,
            next_run_at,
            last_run,
            actions: PriceRuleCommand::ALL.iter().map(action).collect(),
            version: rule.version,
            created_at: rule.created_at,
            updated_at: rule.updated_at,
        }
    }
}

/// Which articles a rule is tried on.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PriceRuleSimulation)]
#[schema(example = json!({"skus": ["MUG-KONTOR", "TOTE-BLUE"]}))]
pub struct Simulation {
    /// These, at most 200; left out, the first 5,000 of its reference list.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 200)]
    pub skus: Vec<Sku>,
}

/// A price that a rule would propose.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WouldPropose {
    /// The article.
    pub sku: String,
    /// What the list has now; null where it has no price.
    pub from: Option<UnitPrice>,
    /// What it should be.
    pub to: UnitPrice,
    /// Why.
    pub explanation: Explanation,
}

/// An article that a rule passes over.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ArticlePassedOver)]
pub struct PassedOver {
    /// The article.
    pub sku: String,
    /// Why: `no_tier`, `unchanged`, `guard_rails`, `cost_unknown`, `no_reference`, `quantity_prices`, `too_new`, `nothing_there`,
    /// `never_received`, `not_counted`, `no_date`, `past_date`, `not_sold`, `not_selected`, `list_over`,
    /// `price_per_many`, `too_large`. More may come.
    pub reason: Step,
}

/// What a rule would do now.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = PriceRuleSimulated)]
pub struct Simulated {
    /// How many articles were looked at.
    pub looked_at: i64,
    /// Whether that is all of them.
    pub complete: bool,
    /// How many prices it would propose.
    pub proposes: i64,
    /// The first 200 of these.
    pub proposals: Vec<WouldPropose>,
    /// How many articles it would pass over, by the reason.
    pub passes_over: std::collections::BTreeMap<String, i64>,
    /// The first 200 of these.
    pub passed_over: Vec<PassedOver>,
}

/// A price that a rule has proposed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PriceProposal)]
pub struct ProposalView {
    /// Its id.
    pub id: PriceProposalId,
    /// The rule.
    pub rule_id: PriceRuleId,
    /// The rule's version by which it was made.
    pub rule_version: i64,
    /// The list.
    pub price_list_id: PriceListId,
    /// The article.
    pub sku: String,
    /// The variant's id.
    pub variant_id: VariantId,
    /// Where it stands.
    pub state: ProposalState,
    /// What the list had when it was made; null where it had no price.
    pub from: Option<UnitPrice>,
    /// What it should be.
    pub to: UnitPrice,
    /// How it came to that.
    pub explanation: Explanation,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Instant>,
    /// When it was made.
    pub created_at: Instant,
    /// What can be done with it now, or why not.
    pub actions: Vec<Action>,
}

impl From<Proposal> for ProposalView {
    fn from(proposal: Proposal) -> Self {
        let Proposal { id, rule, rule_version, list, variant, sku, state, proposed, .. } = proposal;
        let Proposed { from, to, explanation } = proposed;
        let of_people = [ProposalCommand::Approve, ProposalCommand::Reject];
        let action = |command: &ProposalCommand| Action::of(command.as_str(), state.apply(*command).map(|_| ()));
        Self {
            id,
            rule_id: rule,
            rule_version,
            price_list_id: list,
            sku,
            variant_id: variant,
            state,
            from,
            to,
            explanation,
            decided_by: proposal.decided_by,
            decided_at: proposal.decided_at,
            created_at: proposal.created_at,
            actions: of_people.iter().map(action).collect(),
        }
    }
}

/// What the list of proposals can be narrowed to.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProposalQuery {
    /// Where they stand.
    pub state: Option<ProposalState>,
    /// Those of this rule.
    #[param(value_type = Option<String>)]
    pub rule_id: Option<PriceRuleId>,
    /// Those of this SKU.
    #[param(example = "MUG-KONTOR")]
    pub sku: Option<String>,
}

/// Proposals that are decided.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PriceProposalDecision)]
#[schema(example = json!({"ids": ["pprop_01h455vb4pex5vsknk084sn02q"]}))]
pub struct Decision {
    /// Which: from 1 to 500.
    #[schema(min_items = 1, max_items = 500)]
    pub ids: Vec<PriceProposalId>,
}

/// A proposal that could not be decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PriceProposalNotDecided)]
pub struct NotDecided {
    /// Which.
    pub id: PriceProposalId,
    /// A stable word: `not_found`; `scope_missing`; `state_conflict`, it was decided otherwise before; `stale`, what it was made from
    /// is not so any more; `changes_per_day`, the price was changed as often as it may be today, and the proposal stays open.
    #[schema(example = "stale")]
    pub code: String,
    /// The same for people.
    pub detail: String,
}

/// What became of proposals.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = PriceProposalsDecided)]
pub struct Decided {
    /// How many are as they should be, those included that were so before.
    pub done: i64,
    /// How many are not.
    pub failed: i64,
    /// Which these are, and why.
    pub errors: Vec<NotDecided>,
}
