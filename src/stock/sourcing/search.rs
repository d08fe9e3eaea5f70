//! Which locations together ship an order for the fewest points: pure, and about numbers alone.
//!
//! What a set of locations costs is what each that ships something costs once, and for each demand the cheapest of the set that
//! has it whole; a demand that none of them has whole is divided among them, from the cheapest. So the best plan is found by
//! looking at sets: at all of them where the locations are few, else at those that several ways of choosing lead to, improved
//! by leaving out, adding and exchanging locations as long as that helps.

/// What one location can do for a demand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Offer {
    /// The points of all of it from here; `None` where it has not all of it.
    pub whole: Option<i128>,
    /// So many pieces of it can come from here, where it may be divided.
    pub has: i64,
    /// The points of each of these.
    pub each: i128,
}

/// Something that is needed: the pieces of a variant, or lines that stay together.
#[derive(Debug, Clone)]
pub(super) struct Demand {
    /// How many pieces.
    pub quantity: i64,
    /// What each location can do for it.
    pub offers: Vec<Offer>,
}

/// What is to be decided.
#[derive(Debug, Clone)]
pub(super) struct Puzzle {
    /// The points of each location that ships something, in the order in which locations are asked.
    pub fixed: Vec<i128>,
    /// What is needed.
    pub demands: Vec<Demand>,
    /// From so many locations at most.
    pub most: usize,
    /// Orders of the locations, each by one thing alone: what each of them leads to is looked at.
    pub orders: Vec<Vec<usize>>,
}

/// Who gives how many pieces to each demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Solution {
    /// The points of it all.
    pub points: i128,
    /// For each demand the locations that give, with how many pieces.
    pub given: Vec<Vec<(usize, i64)>>,
    /// Whether there is none with fewer points.
    pub exact: bool,
}

/// So many locations are few enough to look at all their sets.
const FEW: usize = 10;
/// So much is looked at where they are many: a demand at a location is one.
const EFFORT: usize = 12_000_000;

/// What a set of locations comes to.
struct Reckoned {
    points: i128,
    used: Vec<usize>,
}

impl Puzzle {
    /// The location of a set that gives all of a demand for the fewest points.
    fn whole(demand: &Demand, set: &[usize]) -> Option<(i128, usize)> {
        set.iter().filter_map(|place| Some((demand.offers.get(*place)?.whole?, *place))).min()
    }

    /// What the locations of a set give to a demand; `None` where they have not enough of it.
    fn give(&self, demand: &Demand, set: &[usize]) -> Option<(i128, Vec<(usize, i64)>)> {
        if let Some((points, place)) = Self::whole(demand, set) {
            return Some((points, vec![(place, demand.quantity)]));
        }
        let offers = || set.iter().filter_map(|place| Some((*place, demand.offers.get(*place)?)));
        let mut parts: Vec<(i128, usize, i64)> =
            offers().filter(|(_, offer)| offer.has > 0).map(|(place, offer)| (offer.each, place, offer.has)).collect();
        parts.sort_unstable();
        let (mut missing, mut points, mut given) = (demand.quantity, 0, Vec::new());
        for (each, place, has) in parts {
            let part = has.min(missing);
            if part > 0 {
                missing -= part;
                points += each * i128::from(part);
                given.push((place, part));
            }
        }
        (missing == 0).then_some((points, given))
    }

    /// What a set comes to; `None` where it has not everything, or ships from too many, or reaches `bound`.
    fn reckon(&self, set: &[usize], bound: i128) -> Option<Reckoned> {
        let mut points = 0;
        let mut used = Vec::new();
        let mut uses = |place: usize| {
            let new = !used.contains(&place);
            if new {
                used.push(place);
            }
            if new { self.fixed.get(place).copied().unwrap_or_default() } else { 0 }
        };
        for demand in &self.demands {
            points += match Self::whole(demand, set) {
                Some((more, place)) => more + uses(place),
                None => {
                    let (more, given) = self.give(demand, set)?;
                    more + given.into_iter().map(|(place, _)| uses(place)).sum::<i128>()
                }
            };
            if points >= bound {
                return None;
            }
        }
        if used.len() > self.most {
            return None;
        }
        used.sort_unstable();
        Some(Reckoned { points, used })
    }

    /// The locations that can do anything at all.
    fn useful(&self) -> Vec<usize> {
        let does = |place: &usize| {
            let mut offers = self.demands.iter().filter_map(|demand| demand.offers.get(*place));
            offers.any(|offer| offer.whole.is_some() || offer.has > 0)
        };
        (0..self.fixed.len()).filter(does).collect()
    }

    /// The plan with the fewest points that is found; `None` where no plan is. Of plans with the same points the one that was
    /// found first, which asks the locations in their order.
    pub fn solve(&self) -> Option<Solution> {
        let useful = self.useful();
        let exact = useful.len() <= FEW;
        let best = if exact { self.all_sets(&useful) } else { Search::new(self, useful).run() }?;
        Some(self.solution(&best, exact))
    }

    fn solution(&self, best: &Reckoned, exact: bool) -> Solution {
        let given = self.demands.iter().map(|demand| self.give(demand, &best.used).map(|it| it.1).unwrap_or_default());
        Solution { points: best.points, given: given.collect(), exact }
    }

    /// The best of all sets.
    fn all_sets(&self, useful: &[usize]) -> Option<Reckoned> {
        let mut sets: Vec<u32> = (1..1_u32 << useful.len()).collect();
        // The small ones first, and of these the first locations.
        sets.sort_by_key(|set| set.count_ones());
        let mut best: Option<Reckoned> = None;
        for set in sets {
            let members = useful.iter().enumerate().filter(|(bit, _)| set & (1 << bit) != 0);
            let members: Vec<usize> = members.map(|(_, place)| *place).collect();
            let bound = best.as_ref().map_or(i128::MAX, |best| best.points);
            best = self.reckon(&members, bound).or(best);
        }
        best
    }

    /// What asking the locations in an order leads to: each that has something still missing gives it. This is what a strategy
    /// that knows one thing alone would do.
    pub fn in_order(&self, order: &[usize]) -> Option<Vec<usize>> {
        let mut missing: Vec<i64> = self.demands.iter().map(|demand| demand.quantity).collect();
        let mut set = Vec::new();
        for place in order {
            let mut helps = false;
            for (demand, missing) in self.demands.iter().zip(&mut missing).filter(|(_, missing)| **missing > 0) {
                let Some(offer) = demand.offers.get(*place) else { continue };
                let given = if offer.whole.is_some() { *missing } else { offer.has.min(*missing) };
                helps |= given > 0;
                *missing -= given;
            }
            if helps {
                set.push(*place);
            }
            if missing.iter().all(|missing| *missing <= 0) {
                return Some(set);
            }
        }
        None
    }
}

/// The search among many locations.
struct Search<'a> {
    puzzle: &'a Puzzle,
    useful: Vec<usize>,
    best: Option<Reckoned>,
    /// What may still be looked at.
    effort: usize,
}

impl<'a> Search<'a> {
    const fn new(puzzle: &'a Puzzle, useful: Vec<usize>) -> Self {
        Self { puzzle, useful, best: None, effort: EFFORT }
    }

    /// Looks at a set; whether it is the best so far.
    fn look(&mut self, set: &[usize]) -> bool {
        let cost = self.puzzle.demands.len() * set.len();
        self.effort = self.effort.saturating_sub(cost.max(1));
        let bound = self.best.as_ref().map_or(i128::MAX, |best| best.points);
        match self.puzzle.reckon(set, bound) {
            Some(found) => {
                self.best = Some(found);
                true
            }
            None => false,
        }
    }

    fn run(mut self) -> Option<Reckoned> {
        // What each single order leads to is looked at whatever it costs: nothing worse than the best of them comes out.
        for order in &self.puzzle.orders {
            if let Some(set) = self.puzzle.in_order(order) {
                self.look(&set);
            }
        }
        for place in self.useful.clone() {
            self.look(&[place]);
        }
        if let Some(set) = self.by_worth() {
            self.look(&set);
        }
        self.pairs();
        if self.best.is_none() {
            // The limit of parcels keeps the sets that were found from counting: take what has most of it.
            self.look(&self.useful.clone());
        }
        while self.effort > 0 && self.improve() {}
        self.best
    }

    /// Two locations: most orders that no single one has whole are shipped by two.
    fn pairs(&mut self) {
        let cost = self.useful.len() * self.useful.len() * self.puzzle.demands.len();
        if self.puzzle.most < 2 || cost > EFFORT / 2 {
            return;
        }
        let useful = self.useful.clone();
        let puzzle = self.puzzle;
        let fixed = |place: &usize| puzzle.fixed.get(*place).copied().unwrap_or_default();
        for (at, one) in useful.iter().enumerate() {
            for other in useful.iter().skip(at + 1) {
                // Where but one of them ships, it was looked at alone.
                let least = fixed(one) + fixed(other);
                if self.best.as_ref().is_none_or(|best| least < best.points) {
                    self.look(&[*one, *other]);
                }
            }
        }
    }

    /// Each time the location that does most for its points.
    fn by_worth(&mut self) -> Option<Vec<usize>> {
        let demands = &self.puzzle.demands;
        let mut missing: Vec<i64> = demands.iter().map(|demand| demand.quantity).collect();
        let (mut set, mut left): (Vec<usize>, Vec<usize>) = (Vec::new(), self.useful.clone());
        while missing.iter().any(|missing| *missing > 0) {
            let gain = |place: usize| -> i128 {
                let gains = demands.iter().zip(&missing).filter(|(_, missing)| **missing > 0);
                let each = gains.filter_map(|(demand, missing)| {
                    let offer = demand.offers.get(place)?;
                    let given = if offer.whole.is_some() { *missing } else { offer.has.min(*missing) };
                    // A demand counts the same however many pieces it has.
                    Some(i128::from(given) * 1_000 / i128::from(demand.quantity.max(1)))
                });
                each.sum()
            };
            self.effort = self.effort.saturating_sub(left.len() * demands.len());
            let worth = |place: &usize| {
                let fixed = self.puzzle.fixed.get(*place).copied().unwrap_or_default();
                (gain(*place) * 1_000_000) / (fixed + 1)
            };
            let at = (0..left.len()).rev().max_by_key(|at| left.get(*at).map(worth))?;
            let place = left.remove(at);
            if gain(place) == 0 {
                return None;
            }
            for (demand, missing) in demands.iter().zip(&mut missing) {
                let Some(offer) = demand.offers.get(place) else { continue };
                *missing -= if offer.whole.is_some() { *missing } else { offer.has.min(*missing) };
            }
            set.push(place);
        }
        Some(set)
    }

    /// Leaves out, adds or exchanges a location where that is better. False where nothing is.
    fn improve(&mut self) -> bool {
        let Some(used) = self.best.as_ref().map(|best| best.used.clone()) else { return false };
        for place in &used {
            let without: Vec<usize> = used.iter().copied().filter(|one| one != place).collect();
            if self.effort > 0 && self.look(&without) {
                return true;
            }
        }
        let others: Vec<usize> = self.useful.iter().copied().filter(|place| !used.contains(place)).collect();
        for other in &others {
            let with: Vec<usize> = used.iter().copied().chain([*other]).collect();
            if self.effort > 0 && self.look(&with) {
                return true;
            }
            for place in &used {
                let exchanged: Vec<usize> = with.iter().copied().filter(|one| one != place).collect();
                if self.effort > 0 && self.look(&exchanged) {
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
