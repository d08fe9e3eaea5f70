//! Which goods go to which orders. Pure, and the same for the same goods and orders.
//!
//! Orders are served one after another: by priority, then by when they are due, then by how long they have waited. Each takes what
//! is ready in time before what is late; of both whole handling units first, where all that is in one is needed by it, then
//! pieces, loose ones before those of a unit that would have to be opened, and of these what has to be used first. Goods that
//! are not good for long enough go to nobody, or not to those who ask for more, and no more cross the dock on a day than it can take.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{Days, NaiveDate};
use chrono_tz::Tz;

use super::model::{Demand, DockRules, Way};
use crate::{
    fulfilment::inbound::Supply,
    kernel::{
        Instant,
        ids::{FulfilmentOrderId, InboundShipmentId, VariantId},
        local::day_of,
    },
};

/// Goods that go to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// Which of the supplies, by its place in the list.
    pub supply: usize,
    /// Which of the demands.
    pub demand: usize,
    /// How many.
    pub quantity: i64,
    /// How.
    pub way: Way,
    /// The handling unit that passes unopened.
    pub sscc: Option<String>,
    /// Whether they are ready only after the order is due.
    pub late: bool,
    /// When they can leave.
    pub ready_at: Instant,
}

type Unit = (InboundShipmentId, String);

/// How much a dock can take.
#[derive(Debug, Clone)]
pub struct Room {
    /// How many pieces cross it on a day at most; any number where nobody has said.
    pub a_day: Option<i64>,
    /// How many cross it on a day already.
    pub used: BTreeMap<NaiveDate, i64>,
    /// By whose clock its days are.
    pub zone: Tz,
}

/// What is left of goods and of the dock while orders are served.
struct Dock<'a> {
    supplies: &'a [Supply],
    rules: &'a DockRules,
    most: &'a Room,
    left: Vec<i64>,
    room: BTreeMap<NaiveDate, i64>,
    by_variant: HashMap<VariantId, Vec<usize>>,
    units: BTreeMap<Unit, Vec<usize>>,
    opened: BTreeSet<Unit>,
    matched: Vec<Matched>,
}

/// Matches goods with orders.
#[must_use]
pub fn match_goods(supplies: &[Supply], demands: &[Demand], rules: &DockRules, most: &Room) -> Vec<Matched> {
    let mut dock = Dock::new(supplies, rules, most);
    let mut orders: BTreeMap<FulfilmentOrderId, Vec<usize>> = BTreeMap::new();
    for (place, demand) in demands.iter().enumerate() {
        orders.entry(demand.fulfilment_order).or_default().push(place);
    }
    let mut orders: Vec<(FulfilmentOrderId, Vec<usize>)> = orders.into_iter().collect();
    orders.sort_by_key(|(id, lines)| {
        let first = lines.iter().filter_map(|place| demands.get(*place));
        first.map(|demand| (-demand.priority, demand.due_at, demand.created_at, *id)).min()
    });
    let mut open: Vec<i64> = demands.iter().map(|demand| demand.quantity).collect();
    for (_, lines) in &orders {
        for late in [false, true] {
            dock.units_for(demands, lines, &mut open, late);
            dock.pieces_for(demands, lines, &mut open, late);
        }
    }
    dock.matched
}

impl<'a> Dock<'a> {
    fn new(supplies: &'a [Supply], rules: &'a DockRules, most: &'a Room) -> Self {
        let mut dock = Self {
            supplies,
            rules,
            most,
            left: supplies.iter().map(|supply| supply.quantity).collect(),
            room: BTreeMap::new(),
            by_variant: HashMap::new(),
            units: BTreeMap::new(),
            opened: BTreeSet::new(),
            matched: Vec::new(),
        };
        for (place, supply) in supplies.iter().enumerate() {
            let day = day_of(most.zone, dock.ready(supply));
            if let Some(a_day) = most.a_day {
                dock.room.entry(day).or_insert_with(|| a_day - most.used.get(&day).copied().unwrap_or_default());
            }
            dock.by_variant.entry(supply.variant).or_default().push(place);
            if let Some(sscc) = &supply.sscc {
                let unit = (supply.inbound, sscc.clone());
                if !supply.untouched {
                    dock.opened.insert(unit.clone());
                }
                dock.units.entry(unit).or_default().push(place);
            }
        }
        dock
    }

    fn ready(&self, supply: &Supply) -> Instant {
        supply.at.plus_seconds(60 * self.rules.lead_minutes)
    }

    /// Whether goods are good for long enough once they are ready: for the dock's rule, and for what the order asks for.
    fn keeps(&self, supply: &Supply, demand: &Demand) -> bool {
        let ready = self.ready(supply);
        let needed = ready.plus_seconds(86_400 * demand.keeps_days);
        if supply.ends_at.is_some_and(|ends| ends < needed) {
            return false;
        }
        let Some(best_before) = supply.best_before else { return true };
        let days = Days::new(u64::try_from(self.rules.min_shelf_life_days).unwrap_or_default());
        day_of(self.most.zone, ready).checked_add_days(days).is_some_and(|needed| best_before >= needed)
    }

    fn room_for(&self, supply: &Supply) -> i64 {
        match self.most.a_day {
            None => i64::MAX,
            Some(_) => self.room.get(&day_of(self.most.zone, self.ready(supply))).copied().unwrap_or_default().max(0),
        }
    }

    /// Whole handling units, the first to come in front, all of which the order needs.
    fn units_for(&mut self, demands: &[Demand], lines: &[usize], open: &mut [i64], late: bool) {
        let wanted = lines.iter().filter_map(|place| demands.get(*place));
        let of_variant = wanted.filter_map(|demand| self.by_variant.get(&demand.variant)).flatten();
        let of_variant = of_variant.filter_map(|place| self.supplies.get(*place));
        let units: BTreeSet<(Instant, Unit)> = of_variant
            .filter_map(|supply| Some((supply.at, (supply.inbound, supply.sscc.clone()?))))
            .filter(|(_, unit)| !self.opened.contains(unit))
            .collect();
        for (_, unit) in units {
            let Some(places) = self.units.get(&unit).cloned() else { continue };
            let Some(parts) = self.whole(&places, demands, (lines, open), late) else { continue };
            for (supply, demand, quantity) in parts {
                self.take(supply, (demand, demands), open, quantity, (Way::Direct, Some(unit.1.clone()), late));
            }
            self.opened.insert(unit);
        }
    }

    /// How a handling unit is divided among an order's lines, when all of it can be.
    fn whole(
        &self,
        places: &[usize],
        demands: &[Demand],
        (lines, open): (&[usize], &[i64]),
        late: bool,
    ) -> Option<Vec<(usize, usize, i64)>> {
        let mut open = open.to_vec();
        let (mut parts, mut pieces, mut room) = (Vec::new(), 0, i64::MAX);
        for place in places {
            let supply = self.supplies.get(*place)?;
            let mut left = *self.left.get(*place)?;
            (pieces, room) = (pieces + left, room.min(self.room_for(supply)));
            if left != supply.quantity {
                return None;
            }
            for line in lines {
                let demand = demands.get(*line).filter(|demand| demand.variant == supply.variant);
                let fits =
                    |demand: &&Demand| self.keeps(supply, demand) && (self.ready(supply) > demand.due_at) == late;
                let Some(demand) = demand.filter(fits) else { continue };
                debug_assert!(demand.quantity >= 0);
                let wanted = open.get_mut(*line)?;
                let quantity = left.min(*wanted);
                if quantity > 0 {
                    (left, *wanted) = (left - quantity, *wanted - quantity);
                    parts.push((*place, *line, quantity));
                }
            }
            if left > 0 {
                return None;
            }
        }
        (pieces > 0 && pieces <= room).then_some(parts)
    }

    /// Pieces for the order's lines.
    fn pieces_for(&mut self, demands: &[Demand], lines: &[usize], open: &mut [i64], late: bool) {
        for line in lines {
            let Some(demand) = demands.get(*line) else { continue };
            let of_variant = self.by_variant.get(&demand.variant).cloned().unwrap_or_default();
            let mut places: Vec<usize> =
                of_variant.into_iter().filter(|place| self.fits(*place, demand, late)).collect();
            places.sort_by_key(|place| {
                self.supplies.get(*place).map(|supply| {
                    let unit = supply.sscc.clone().map(|sscc| (supply.inbound, sscc));
                    let closed = unit.is_some_and(|unit| !self.opened.contains(&unit));
                    (closed, supply.best_before.unwrap_or(NaiveDate::MAX), supply.at, *place)
                })
            });
            for place in places {
                let wanted = open.get(*line).copied().unwrap_or_default();
                let Some(supply) = self.supplies.get(place) else { continue };
                let left = self.left.get(place).copied().unwrap_or_default();
                let quantity = wanted.min(left).min(self.room_for(supply));
                if quantity > 0 {
                    if let Some(sscc) = &supply.sscc {
                        self.opened.insert((supply.inbound, sscc.clone()));
                    }
                    self.take(place, (*line, demands), open, quantity, (Way::Indirect, None, late));
                }
            }
        }
    }

    fn fits(&self, place: usize, demand: &Demand, late: bool) -> bool {
        let left = self.left.get(place).is_some_and(|left| *left > 0);
        let supply = self.supplies.get(place).filter(|_| left);
        supply.is_some_and(|supply| self.keeps(supply, demand) && (self.ready(supply) > demand.due_at) == late)
    }

    fn take(
        &mut self,
        supply: usize,
        (demand, demands): (usize, &[Demand]),
        open: &mut [i64],
        quantity: i64,
        (way, sscc, late): (Way, Option<String>, bool),
    ) {
        let Some(goods) = self.supplies.get(supply) else { return };
        let ready_at = self.ready(goods);
        debug_assert!(demands.get(demand).is_some_and(|demand| demand.variant == goods.variant));
        if let Some(room) = self.room.get_mut(&day_of(self.most.zone, ready_at)) {
            *room -= quantity;
        }
        if let Some(left) = self.left.get_mut(supply) {
            *left -= quantity;
        }
        if let Some(open) = open.get_mut(demand) {
            *open -= quantity;
        }
        self.matched.push(Matched { supply, demand, quantity, way, sscc, late, ready_at });
    }
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
