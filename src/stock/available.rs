//! What can be sold of levels, as it was seen: pure.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap, HashSet},
};

use super::model::{LevelKey, Locations, Need};
use crate::kernel::{
    Instant,
    ids::{LocationId, VariantId},
};

/// How much of each level can be sold, and how much of that is more than lies there. It reads as the map of the former.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Available {
    sellable: HashMap<LevelKey, i64>,
    /// What may be sold beyond what is there, of the levels of which anything may.
    beyond: HashMap<LevelKey, i64>,
    /// What is left to other channels, of the levels of which anything is.
    left: HashMap<LevelKey, i64>,
    /// What does not keep long enough, of the levels of which anything does not.
    ends: HashMap<LevelKey, i64>,
    /// When lots end that keep long enough, with how many pieces of each lie there; only where a sourcing profile asks for it.
    lots: HashMap<LevelKey, Vec<(Instant, i64)>>,
    /// The levels whose location can not do what the goods require: nothing is given from there, whatever lies there.
    unable: HashSet<LevelKey>,
}

impl Available {
    /// Notes how many of a level can be sold, how many of these only beyond what is there, and how many of them are kept back: left to
    /// other channels, and ending too soon.
    pub fn note(&mut self, key: LevelKey, sellable: i64, beyond: i64, (left, ends): (i64, i64)) {
        self.sellable.insert(key, sellable - left - ends);
        for (map, pieces) in [(&mut self.beyond, beyond), (&mut self.left, left), (&mut self.ends, ends)] {
            if pieces != 0 {
                map.insert(key, pieces);
            }
        }
    }

    /// Notes that so many pieces of a level end at an instant, which are not among those that end too soon.
    pub(super) fn note_lot(&mut self, key: LevelKey, ends: Instant, pieces: i64) {
        self.lots.entry(key).or_default().push((ends, pieces));
    }

    /// The same levels without what ends before it has to keep until, which `until` says of each location.
    #[must_use]
    pub(super) fn lasting(&self, until: impl Fn(LocationId) -> Option<Instant>) -> Self {
        let mut lasting = self.clone();
        for (key, lots) in &self.lots {
            let Some(until) = until(key.1) else { continue };
            let ends: i64 = lots.iter().filter(|(end, _)| *end < until).map(|(_, pieces)| pieces).sum();
            if ends > 0 {
                lasting.take(*key, ends);
                *lasting.ends.entry(*key).or_default() += ends;
            }
        }
        lasting
    }

    /// The same levels without those whose locations can not do what the goods require, and those that are barred: nothing is there of
    /// these.
    #[must_use]
    pub(super) fn capable(&self, needs: &[Need], locations: &Locations, barred: &[LevelKey]) -> Cow<'_, Self> {
        let asking = needs.iter().filter(|need| !need.requires.is_none());
        let unable = asking.flat_map(|need| {
            let lacks = locations.iter().filter(|place| !need.requires.are_had_by(&place.site.capabilities));
            lacks.map(|place| (need.variant, place.id))
        });
        let unable: HashSet<LevelKey> = unable.chain(barred.iter().copied()).collect();
        if unable.is_empty() {
            return Cow::Borrowed(self);
        }
        let mut capable = self.clone();
        for key in &unable {
            for map in [&mut capable.beyond, &mut capable.left, &mut capable.ends] {
                map.remove(key);
            }
            capable.lots.remove(key);
            if let Some(sellable) = capable.sellable.get_mut(key) {
                *sellable = (*sellable).min(0);
            }
        }
        capable.unable = unable;
        Cow::Owned(capable)
    }

    /// Whether a location can do what goods require.
    #[must_use]
    pub(super) fn gives(&self, variant: VariantId, location: LocationId) -> bool {
        !self.unable.contains(&(variant, location))
    }

    /// The place of the first need which none of these locations can give, whatever lies there.
    pub(super) fn incapable(&self, needs: &[Need], locations: &[LocationId]) -> Option<usize> {
        let none = |need: &Need| !locations.iter().any(|place| self.gives(need.variant, *place));
        if self.unable.is_empty() || locations.is_empty() { None } else { needs.iter().position(none) }
    }

    /// How many more of a level could be sold for others.
    #[must_use]
    pub fn kept_back(&self, key: LevelKey) -> i64 {
        self.left_to_others(key) + self.ends.get(&key).copied().unwrap_or_default()
    }

    /// How many of these because they are left to other channels.
    #[must_use]
    pub fn left_to_others(&self, key: LevelKey) -> i64 {
        self.left.get(&key).copied().unwrap_or_default()
    }

    /// What of a level is there to sell.
    #[must_use]
    pub fn there(&self, key: LevelKey) -> i64 {
        let of = |map: &HashMap<LevelKey, i64>| map.get(&key).copied().unwrap_or_default();
        of(&self.sellable) - of(&self.beyond)
    }

    /// Notes that pieces of a level are given to somebody.
    pub fn take(&mut self, key: LevelKey, pieces: i64) {
        *self.sellable.entry(key).or_default() -= pieces;
    }

    /// Notes that pieces of levels are allocated to whom it is asked for already: they are theirs, and of what is left to other channels
    /// since, what was sold stays sold.
    pub(super) fn give_back(&mut self, own: &[(LevelKey, i64)]) {
        // Several needs of an article stand at one level.
        let levels: BTreeSet<LevelKey> = own.iter().map(|(key, _)| *key).collect();
        for key in levels {
            let left = self.left_to_others(key);
            *self.sellable.entry(key).or_default() += left;
        }
        for (key, pieces) in own {
            *self.sellable.entry(*key).or_default() += pieces;
        }
    }

    /// The same levels, of which nothing is sold beyond what is there.
    #[must_use]
    pub fn on_the_shelf(&self) -> Self {
        let sellable = self.sellable.keys().map(|key| (*key, self.there(*key))).collect();
        Self { sellable, beyond: HashMap::new(), ..self.clone() }
    }
}

impl std::ops::Deref for Available {
    type Target = HashMap<LevelKey, i64>;

    fn deref(&self) -> &Self::Target {
        &self.sellable
    }
}

impl std::ops::DerefMut for Available {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.sellable
    }
}

impl FromIterator<(LevelKey, i64)> for Available {
    fn from_iter<I: IntoIterator<Item = (LevelKey, i64)>>(levels: I) -> Self {
        Self { sellable: levels.into_iter().collect(), ..Self::default() }
    }
}
