//! The shapes in which promotions come in and go out.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::model::{Conditions, Gift, Limits, Promotion, PromotionCommand, PromotionState, Rule, Stacking};
use crate::{
    error::{Error, Result},
    kernel::{
        Action, Instant, Money,
        ids::{ChannelId, PromotionId},
        patch::present,
        text::Text,
    },
    pricing::forms::check_window,
};

/// A promotion about to be made: it is a draft until it is activated.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "code": "mugs-20", "name": "20 % off mugs", "valid_until": "2030-12-01T00:00:00Z",
    "conditions": {"min_value": {"amount": "20.00", "currency": "EUR"}, "goods": {"include": [{"skus": ["MUG-KONTOR"]}]}},
    "gift": {"type": "percentage", "percent": "20", "on": "lines"}
}))]
pub struct NewPromotion {
    /// A short unique name.
    #[schema(value_type = String, min_length = 1, max_length = 50)]
    pub code: Text<50>,
    /// Its name for people; customers see it.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    pub name: Text<200>,
    /// The one channel it is for; left out, it is for all.
    pub channel_id: Option<ChannelId>,
    /// The higher one applies first.
    #[serde(default)]
    pub priority: i32,
    /// From when on it is valid; left out, from its activation on.
    pub valid_from: Option<Instant>,
    /// Until when it is valid, exclusive; left out, it has no end.
    pub valid_until: Option<Instant>,
    /// What must be so.
    #[serde(default)]
    pub conditions: Conditions,
    /// What it gives.
    pub gift: Gift,
    /// How it stands with others.
    #[serde(default)]
    pub stacking: Stacking,
    /// How much of it there is.
    #[serde(default)]
    pub limits: Limits,
}

impl NewPromotion {
    /// The promotion as it is made, checked.
    pub(super) fn build(&self, id: PromotionId, now: Instant) -> Result<Promotion> {
        let promotion = Promotion {
            id,
            code: self.code.to_string(),
            name: self.name.to_string(),
            state: PromotionState::Draft,
            channel: self.channel_id,
            priority: self.priority,
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            rule: Rule {
                conditions: self.conditions.clone(),
                gift: self.gift.clone(),
                stacking: self.stacking.clone(),
                limits: self.limits.clone(),
            },
            version: 1,
            created_at: now,
            updated_at: now,
        };
        check(&promotion)?;
        Ok(promotion)
    }
}

fn check(promotion: &Promotion) -> Result<()> {
    check_window(promotion.valid_from, promotion.valid_until, "")?;
    if promotion.rule.conditions.first_hours.is_some() && promotion.valid_from.is_none() {
        let detail = "its first hours are counted from `valid_from`, which is missing";
        return Err(Error::invalid("/conditions/first_hours", detail));
    }
    promotion.rule.check()
}

/// What can be changed about a promotion, whole parts at a time: what is absent stays.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"limits": {"units": 600}}))]
pub struct PromotionPatch {
    /// Its name for people.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub name: Option<Text<200>>,
    /// The higher one applies first.
    pub priority: Option<i32>,
    /// From when on it is valid; null opens it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Instant>)]
    pub valid_from: Option<Option<Instant>>,
    /// Until when it is valid, exclusive; null opens it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Instant>)]
    pub valid_until: Option<Option<Instant>>,
    /// What must be so.
    pub conditions: Option<Conditions>,
    /// What it gives.
    pub gift: Option<Gift>,
    /// How it stands with others.
    pub stacking: Option<Stacking>,
    /// How much of it there is; not less than is taken already.
    pub limits: Option<Limits>,
    /// Whether the warnings of its `checks` are known and accepted, where carts get it already.
    #[serde(default)]
    pub despite_warnings: bool,
}

impl PromotionPatch {
    /// The promotion with the changes in it.
    pub(super) fn apply(&self, promotion: &mut Promotion, now: Instant) -> Result<()> {
        if let Some(name) = &self.name {
            promotion.name = name.to_string();
        }
        promotion.priority = self.priority.unwrap_or(promotion.priority);
        promotion.valid_from = self.valid_from.unwrap_or(promotion.valid_from);
        promotion.valid_until = self.valid_until.unwrap_or(promotion.valid_until);
        let rule = &mut promotion.rule;
        if let Some(conditions) = &self.conditions {
            rule.conditions.clone_from(conditions);
        }
        if let Some(gift) = &self.gift {
            rule.gift.clone_from(gift);
        }
        if let Some(stacking) = &self.stacking {
            rule.stacking.clone_from(stacking);
        }
        if let Some(limits) = &self.limits {
            rule.limits.clone_from(limits);
        }
        promotion.updated_at = now;
        check(promotion)
    }
}

/// How a promotion is activated.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"despite_warnings": true}))]
pub struct Activation {
    /// Whether the warnings of its `checks` are known and accepted.
    #[serde(default)]
    pub despite_warnings: bool,
}

/// How much of a promotion is taken, as far as that is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Taken {
    /// Orders.
    pub uses: i64,
    /// Reduced pieces.
    pub units: i64,
    /// What was taken off, in minor units of the budget's currency; counted where there is a budget.
    pub amount_minor: i64,
    /// How many carts hold some of it while they are being paid: these are counted in the others.
    pub reserved: i64,
}

/// A promotion.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Promotion)]
pub struct PromotionView {
    /// Its id.
    pub id: PromotionId,
    /// A short unique name.
    pub code: String,
    /// Its name for people; customers see it.
    pub name: String,
    /// Where it stands.
    pub state: PromotionState,
    /// The one channel it is for; null is all of them.
    pub channel_id: Option<ChannelId>,
    /// The higher one applies first.
    pub priority: i32,
    /// From when on it is valid.
    pub valid_from: Option<Instant>,
    /// Until when it is valid, exclusive.
    pub valid_until: Option<Instant>,
    /// What must be so.
    pub conditions: Conditions,
    /// What it gives.
    pub gift: Gift,
    /// How it stands with others.
    pub stacking: Stacking,
    /// How much of it there is.
    pub limits: Limits,
    /// How much of it is taken; only where one promotion is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<Taken>,
    /// What can be done with it now, or why not.
    pub actions: Vec<Action>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl From<Promotion> for PromotionView {
    fn from(promotion: Promotion) -> Self {
        let Promotion { id, code, name, state, channel, priority, valid_from, valid_until, rule, .. } = promotion;
        let Promotion { version, created_at, updated_at, .. } = promotion;
        let Rule { conditions, gift, stacking, limits } = rule;
        let action = |command: &PromotionCommand| Action::of(command.as_str(), state.apply(*command).map(|_| ()));
        Self {
            id,
            code,
            name,
            state,
            channel_id: channel,
            priority,
            valid_from,
            valid_until,
            conditions,
            gift,
            stacking,
            limits,
            taken: None,
            actions: PromotionCommand::ALL.iter().map(action).collect(),
            version,
            created_at,
            updated_at,
        }
    }
}

/// Something that whoever activates a promotion should know.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Warning {
    /// A stable word: `overlap`, `below_cost`, `below_half`, `free`, `no_goods`, `incomplete` where not all was looked at; of goods
    /// that are given `gift_not_sold`, `gift_no_stock`, `gift_no_price`. More may come.
    #[schema(example = "below_cost")]
    pub code: String,
    /// The same for people.
    pub detail: String,
    /// The promotion that it overlaps with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion_id: Option<PromotionId>,
    /// How many articles it is about, those of each channel and currency.
    pub articles: i64,
    /// Some of these, the worst first.
    pub examples: Vec<Example>,
}

/// An article that a warning is about.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Example {
    /// Its SKU.
    pub sku: String,
    /// What a piece costs: at its lowest, now or by prices that begin while it goes on.
    pub price: Money,
    /// What it may cost at the least, with all promotions that go together.
    pub lowest: Money,
    /// What it has cost the merchant, where a list of the kind `cost` says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
}

/// What is to be known before a promotion is activated.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Checks {
    /// What was found.
    pub warnings: Vec<Warning>,
    /// How many articles were looked at.
    pub looked_at: i64,
    /// Whether that is all of them, at all their prices while it goes on; else there is a warning.
    pub complete: bool,
}
