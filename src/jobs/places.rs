//! Who may work on how much at once in one process. The empty lane has its places for itself; all others share theirs, and
//! a lane takes another place only while more are free than it holds. So however slow the systems of some lanes are, they
//! never have all places, and a lane that is alone still has half of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The places of a process.
pub(super) struct Places {
    own: usize,
    shared: usize,
    held: Mutex<HashMap<String, usize>>,
}

/// A place that is held until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    lane: String,
}

/// How many more places a lane may take that holds `held` while `free` are free.
const fn room(held: usize, free: usize) -> usize {
    if free > held { (free - held).div_ceil(2) } else { 0 }
}

impl Places {
    /// So many for the empty lane, and so many for all others together.
    pub(super) fn new(own: usize, shared: usize) -> Arc<Self> {
        Arc::new(Self { own, shared, held: Mutex::default() })
    }

    /// How many more jobs of a lane may be taken.
    pub(super) fn room(&self, lane: &str) -> usize {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = held.get(lane).copied().unwrap_or_default();
        if lane.is_empty() {
            return self.own.saturating_sub(mine);
        }
        let taken: usize = held.iter().filter(|(lane, _)| !lane.is_empty()).map(|(_, count)| count).sum();
        room(mine, self.shared.saturating_sub(taken))
    }

    /// Takes a place. It is taken before the next look, so that no room is counted twice.
    pub(super) fn take(self: &Arc<Self>, lane: &str) -> Place {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held.entry(lane.to_owned()).or_default() += 1;
        Place { places: self.clone(), lane: lane.to_owned() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.places.held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.get_mut(&self.lane) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(held.remove(&self.lane)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_lanes_leave_room_for_the_others_and_none_takes_from_the_empty_one() {
        let places = Places::new(2, 8);
        assert_eq!((places.room(""), places.room("slow")), (2, 4));
        let slow: Vec<Place> = (0..4).map(|_| places.take("slow")).collect();
        assert_eq!((places.room(""), places.room("slow"), places.room("other")), (2, 0, 2));
        let _others: Vec<Place> = ["b", "b", "c"].map(|lane| places.take(lane)).into();
        assert_eq!((places.room("b"), places.room("c"), places.room("new")), (0, 0, 1));
        let _own: Vec<Place> = (0..2).map(|_| places.take("")).collect();
        assert_eq!((places.room(""), places.room("new")), (0, 1));
        drop(slow);
        assert_eq!((places.room("slow"), places.room("b")), (3, 2));
    }

    #[test]
    fn however_many_lanes_are_greedy_the_total_is_bounded_and_places_come_round() {
        for shared in 1..=20 {
            let places = Places::new(1, shared);
            let mut held = Vec::new();
            for lane in 0..30 {
                let lane = format!("lane{lane}");
                held.extend((0..places.room(&lane)).map(|_| places.take(&lane)));
            }
            assert_eq!(held.len(), shared);
            // The first place that is left goes to a lane that has none.
            held.pop();
            assert_eq!((places.room("lane0"), places.room("another")), (usize::from(shared == 1), 1), "{shared}");
        }
    }
}
