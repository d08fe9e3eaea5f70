//! What stock is taken from: the locations, and what is known of the order.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    super::{
        available::Available,
        model::{LevelKey, Locations, Need, Selling},
        plan::{self, NoPlan, Plan},
        trace,
    },
    document::ProfileDocument,
    model::Facts,
    planner::{self, Order},
};
use crate::kernel::{Instant, ids::LocationId};

/// What stock is taken from. Where nothing is known of the order, the usual plan is made, whatever profile is live.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// All locations, with the live profiles.
    pub locations: &'a Locations,
    /// What is known of the order.
    pub facts: Option<&'a Facts>,
    /// Locations that are not to ship it.
    pub except: &'a [LocationId],
    /// Levels of which nothing is to be taken, though the books say that there is something.
    pub barred: &'a [LevelKey],
    /// By which rules it is placed, where that are not those of the live profile: their code, their version, and they.
    by: Option<(&'a str, i64, &'a ProfileDocument)>,
}

impl<'a> Sources<'a> {
    /// The locations, for an order of which this is known.
    #[must_use]
    pub const fn of(locations: &'a Locations, facts: &'a Facts) -> Self {
        Self { locations, facts: Some(facts), except: &[], barred: &[], by: None }
    }

    /// For whom it is taken, when.
    #[must_use]
    pub fn selling(&self, now: Instant) -> Selling {
        let nobody = Selling { at: Some(now), ..Selling::NOBODY };
        self.facts.map_or(nobody, |facts| Selling {
            channel: Some(facts.channel),
            keeps_until: facts.keeps_until,
            ..nobody
        })
    }

    /// Whether it has to be known when lots end: the live profile asks for it.
    pub(in crate::stock) fn asks_for_lots(&self) -> bool {
        self.rules().is_some_and(|(.., document)| document.asks_for_shelf_life())
    }

    /// By which rules it is placed: a code, a version, a document. None where there are none, or nothing is known of the order.
    fn rules(&self) -> Option<(&'a str, i64, &'a ProfileDocument)> {
        let facts = self.facts?;
        let live = || self.locations.profile_of(facts.channel);
        self.by.or_else(|| live().map(|live| (live.code.as_str(), live.version, &live.document)))
    }

    /// By other rules than those of the live profile: a code, a version, a document.
    #[must_use]
    pub(super) const fn by(self, rules: (&'a str, i64, &'a ProfileDocument)) -> Self {
        Self { by: Some(rules), ..self }
    }

    /// Without some locations.
    #[must_use]
    pub const fn without(self, except: &'a [LocationId]) -> Self {
        Self { except, ..self }
    }

    /// Without some levels: nothing of these articles comes from there.
    #[must_use]
    pub const fn barring(self, barred: &'a [LevelKey]) -> Self {
        Self { barred, ..self }
    }
}

impl<'a> From<&'a Locations> for Sources<'a> {
    fn from(locations: &'a Locations) -> Self {
        Self { locations, facts: None, except: &[], barred: &[], by: None }
    }
}

impl<'a> From<&'a Arc<Locations>> for Sources<'a> {
    fn from(locations: &'a Arc<Locations>) -> Self {
        Self::from(locations.as_ref())
    }
}

/// Which location gives what: each delivery is planned by itself, and none is given what another has got. Those that have one
/// location only choose first.
pub(in crate::stock) fn planned(needs: &[Need], sources: Sources<'_>, available: &Available) -> Result<Plan, NoPlan> {
    let first = needs.first().map_or(0, |need| need.delivery);
    let several = sources.facts.filter(|_| needs.iter().any(|need| need.delivery != first));
    let Some(facts) = several else {
        let of_first = sources.facts.map(|facts| facts.of_delivery(first));
        let mut plan = of_one(needs, Sources { facts: of_first, ..sources }, available)?;
        tell(&mut plan, first);
        return Ok(plan);
    };
    let numbers: BTreeSet<i32> = needs.iter().map(|need| need.delivery).collect();
    let mut numbers: Vec<i32> = numbers.into_iter().collect();
    numbers.sort_by_key(|number| (facts.of_delivery(*number).only.is_none(), *number));
    let (mut left, mut all) = (available.clone(), Plan::default());
    for number in numbers {
        let own = needs.iter().enumerate().filter(|(_, need)| need.delivery == number);
        let (places, own): (Vec<usize>, Vec<Need>) = own.map(|(place, need)| (place, need.clone())).unzip();
        let sources = Sources { facts: Some(facts.of_delivery(number)), ..sources };
        // A refusal names the line by its place among all of them.
        let mut plan = of_one(&own, sources, &left).map_err(|why| why.among(&places))?;
        tell(&mut plan, number);
        for planned in plan.planned.iter().filter(|planned| planned.share.tracked) {
            left.take((planned.share.variant, planned.share.location), planned.share.quantity);
        }
        all.planned.append(&mut plan.planned);
        all.sourcing.append(&mut plan.sourcing);
    }
    all.planned.sort_by_key(|planned| (planned.share.line_no, planned.share.delivery));
    all.sourcing.sort_by_key(|trace| (trace.line_no, trace.delivery));
    Ok(all)
}

/// Notes with the traces of a plan which delivery it is of.
fn tell(plan: &mut Plan, number: i32) {
    for trace in &mut plan.sourcing {
        trace.delivery = number;
    }
}

/// The plan of one delivery: by the live profile of the order's channel, else the usual plan.
fn of_one(needs: &[Need], sources: Sources<'_>, available: &Available) -> Result<Plan, NoPlan> {
    // Nothing is there where it can not be handled as it has to be.
    let capable = available.capable(needs, sources.locations, sources.barred);
    let available = capable.as_ref();
    let mut plan = placed(needs, sources, available)?;
    // What does not keep as long as the rule asks that has placed it is not there for it.
    let rule = plan.shelf_life_days.zip(sources.facts);
    let lasting = rule.map(|(days, facts)| planner::lasting(days, facts, sources.locations, available));
    let available = lasting.as_ref().unwrap_or(available);
    trace::note_waiting(&mut plan, needs, available);
    trace::note_kept_back(&mut plan, needs, available);
    trace::note_incapable(&mut plan, needs, sources.locations);
    trace::note_missed(&mut plan, needs, sources.barred);
    Ok(plan)
}

fn placed(needs: &[Need], sources: Sources<'_>, available: &Available) -> Result<Plan, NoPlan> {
    let Sources { locations, facts, except, .. } = sources;
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
    match sources.rules() {
        Some((code, version, document)) => planner::plan_by((code, version), document, order, locations, available),
        None => plan::among(needs, &planner::open(order, locations), available),
    }
}
