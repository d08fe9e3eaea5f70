//! What stock is taken from: the locations, and what is known of the order.

use std::sync::Arc;

use super::{
    super::{
        model::{Available, Locations, Need},
        plan::{self, NoPlan, Plan},
    },
    model::Facts,
    planner::{self, Order},
};
use crate::kernel::ids::LocationId;

/// What stock is taken from. Where nothing is known of the order, the usual plan is made, whatever profile is live.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// All locations, with the live profiles.
    pub locations: &'a Locations,
    /// What is known of the order.
    pub facts: Option<&'a Facts>,
    /// Locations that are not to ship it.
    pub except: &'a [LocationId],
}

impl<'a> Sources<'a> {
    /// The locations, for an order of which this is known.
    #[must_use]
    pub const fn of(locations: &'a Locations, facts: &'a Facts) -> Self {
        Self { locations, facts: Some(facts), except: &[] }
    }

    /// Without some locations.
    #[must_use]
    pub const fn without(self, except: &'a [LocationId]) -> Self {
        Self { except, ..self }
    }
}

impl<'a> From<&'a Locations> for Sources<'a> {
    fn from(locations: &'a Locations) -> Self {
        Self { locations, facts: None, except: &[] }
    }
}

impl<'a> From<&'a Arc<Locations>> for Sources<'a> {
    fn from(locations: &'a Arc<Locations>) -> Self {
        Self::from(locations.as_ref())
    }
}

/// Which location gives what: by the live profile of the order's channel, else the usual plan.
pub(in crate::stock) fn planned(needs: &[Need], sources: Sources<'_>, available: &Available) -> Result<Plan, NoPlan> {
    let Sources { locations, facts, except } = sources;
    let Some(facts) = facts else {
        return match except {
            [] => plan::plan(needs, locations, available),
            _ => {
                let open = locations.active().map(|location| location.id).filter(|id| !except.contains(id));
                plan::among(needs, &open.collect::<Vec<_>>(), available)
            }
        };
    };
    let order = Order { needs, facts, except };
    match locations.profile_of(facts.channel) {
        Some(live) => planner::plan_by((&live.code, live.version), &live.document, order, locations, available),
        None => plan::among(needs, &planner::open(order, locations), available),
    }
}
