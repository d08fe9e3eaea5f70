//! Whatever is booked in whichever order: a level is the running sum of its movements, and its lots the sum of theirs.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::model::{Held, Leaving, LotState, give, take};
use crate::{
    kernel::{Id, Instant, ids::LotId},
    stock::{LevelChange, LevelKey, model::sum_changes},
};

/// What is booked.
#[derive(Debug, Clone)]
enum Booking {
    /// Goods come, of a lot or of none.
    Receive(i64, Option<u8>),
    /// An order takes some.
    Allocate(i64),
    /// It gives some back.
    Deallocate(i64),
    /// Some of its goods leave.
    Ship(i64),
    /// The last ones that left come back.
    Return(i64),
    /// Some are thrown away.
    Scrap(i64),
    /// What lies there in no lot is of one.
    Name(i64, u8),
    /// A lot is recalled, or may be sold again.
    Judge(u8, bool),
}

fn bookings() -> impl Strategy<Value = Vec<Booking>> {
    let pieces = 1i64..9;
    let booking = prop_oneof![
        (pieces.clone(), prop::option::of(0u8..4)).prop_map(|(pieces, lot)| Booking::Receive(pieces, lot)),
        pieces.clone().prop_map(Booking::Allocate),
        pieces.clone().prop_map(Booking::Deallocate),
        pieces.clone().prop_map(Booking::Ship),
        pieces.clone().prop_map(Booking::Return),
        pieces.clone().prop_map(Booking::Scrap),
        (pieces, 0u8..4).prop_map(|(pieces, lot)| Booking::Name(pieces, lot)),
        (0u8..4, any::<bool>()).prop_map(|(lot, good)| Booking::Judge(lot, good)),
    ];
    prop::collection::vec(booking, 1..60)
}

fn lot(place: u8) -> LotId {
    Id::from_bytes([place + 1; 16])
}

/// A level with its lots, as the tables hold them, and all that was written of them.
struct Books {
    key: LevelKey,
    on_hand: i64,
    allocated: i64,
    lots: BTreeMap<LotId, i64>,
    recalled: Vec<LotId>,
    movements: Vec<(i64, i64)>,
    of_lots: Vec<(LotId, i64)>,
    /// What of lots has left with the order and not come back.
    away: BTreeMap<LotId, i64>,
    /// How many pieces have.
    sent: i64,
}

impl Books {
    fn new() -> Self {
        let key = (Id::from_bytes([8; 16]), Id::from_bytes([9; 16]));
        let (lots, recalled, movements, of_lots, away) = Default::default();
        Self { key, on_hand: 0, allocated: 0, lots, recalled, movements, of_lots, away, sent: 0 }
    }

    fn held(&self, of: &BTreeMap<LotId, i64>) -> Vec<Held> {
        let held = |(lot, quantity): (&LotId, &i64)| Held {
            lot: *lot,
            state: if self.recalled.contains(lot) { LotState::Recalled } else { LotState::Available },
            expires_at: (lot.bytes()[0] % 2 == 0).then(|| Instant::from_micros(i64::from(lot.bytes()[0]))),
            quantity: *quantity,
        };
        of.iter().map(held).collect()
    }

    fn loose(&self) -> i64 {
        self.on_hand - self.lots.values().sum::<i64>()
    }

    /// Moves the level as one command, split into entries as callers do. False where the guards of the tables refuse it.
    fn book(&mut self, entries: &[(i64, i64)]) -> bool {
        let change = |(on_hand, allocated): &(i64, i64)| LevelChange {
            on_hand: *on_hand,
            allocated: *allocated,
            ..LevelChange::of(self.key)
        };
        let [sum] = sum_changes(entries.iter().map(change)).try_into().unwrap();
        if self.on_hand + sum.on_hand < 0 || self.allocated + sum.allocated < 0 {
            return false;
        }
        (self.on_hand, self.allocated) = (self.on_hand + sum.on_hand, self.allocated + sum.allocated);
        self.movements.extend(entries);
        true
    }

    fn shift(&mut self, lot: LotId, pieces: i64) {
        *self.lots.entry(lot).or_default() += pieces;
        self.of_lots.push((lot, pieces));
    }

    fn leave(&mut self, pieces: i64, leaving: Leaving, allocated: i64) {
        if pieces > self.on_hand {
            return;
        }
        // What may not be sold is asked before anything is written: the transaction is taken back.
        let Ok(taken) = take(&self.held(&self.lots), (self.on_hand - pieces, pieces), leaving, &[]) else { return };
        if !self.book(&[(-pieces, allocated)]) {
            return;
        }
        let sold = matches!(leaving, Leaving::Sold { .. });
        self.sent += if sold { pieces } else { 0 };
        for (lot, pieces) in taken {
            self.shift(lot, -pieces);
            *self.away.entry(lot).or_default() += if sold { pieces } else { 0 };
        }
    }

    fn apply(&mut self, booking: &Booking) {
        match *booking {
            Booking::Receive(pieces, of) => {
                // A document's lines are entries of their own.
                self.book(&[(pieces - pieces / 2, 0), (pieces / 2, 0)]);
                if let Some(place) = of {
                    self.shift(lot(place), pieces);
                }
            }
            Booking::Allocate(pieces) => {
                self.book(&[(0, pieces)]);
            }
            Booking::Deallocate(pieces) => {
                self.book(&[(0, -pieces)]);
            }
            Booking::Ship(pieces) => {
                let pieces = pieces.min(self.allocated);
                if pieces > 0 {
                    self.leave(pieces, Leaving::Sold { keeps_until: None }, -pieces);
                }
            }
            Booking::Scrap(pieces) => self.leave(pieces, Leaving::Otherwise, 0),
            Booking::Return(pieces) => {
                let pieces = pieces.min(self.sent);
                if pieces > 0 && self.book(&[(pieces, 0)]) {
                    self.sent -= pieces;
                    for (lot, pieces) in give(&self.held(&self.away), pieces) {
                        self.shift(lot, pieces);
                        *self.away.entry(lot).or_default() -= pieces;
                    }
                }
            }
            Booking::Name(pieces, place) => {
                let pieces = pieces.min(self.loose());
                if pieces > 0 {
                    self.shift(lot(place), pieces);
                }
            }
            Booking::Judge(place, good) => {
                self.recalled.retain(|known| *known != lot(place));
                if !good {
                    self.recalled.push(lot(place));
                }
            }
        }
    }

    fn check(&self) {
        let sums = self.movements.iter().fold((0, 0), |sum, moved| (sum.0 + moved.0, sum.1 + moved.1));
        assert_eq!(sums, (self.on_hand, self.allocated));
        assert!(self.on_hand >= 0 && self.allocated >= 0 && self.loose() >= 0);
        for (lot, pieces) in &self.lots {
            let moved: i64 = self.of_lots.iter().filter(|(id, _)| id == lot).map(|(_, pieces)| pieces).sum();
            assert_eq!(moved, *pieces);
            assert!(*pieces >= 0);
        }
        // What is away in lots is no more than what was sent.
        assert!(self.away.values().all(|pieces| *pieces >= 0) && self.away.values().sum::<i64>() <= self.sent);
    }
}

proptest! {
    #[test]
    fn a_level_is_the_running_sum_of_its_movements_and_its_lots_of_theirs(bookings in bookings()) {
        let mut books = Books::new();
        for booking in &bookings {
            books.apply(booking);
            books.check();
        }
    }

    #[test]
    fn changes_of_a_command_add_up_to_one_for_each_level(parts in prop::collection::vec((0u8..3, -5i64..6, -5i64..6), 1..20)) {
        let key = |place: u8| (Id::from_bytes([place; 16]), Id::from_bytes([1; 16]));
        let change = |(place, on_hand, allocated): &(u8, i64, i64)| LevelChange {
            on_hand: *on_hand, allocated: *allocated, ..LevelChange::of(key(*place))
        };
        let summed = sum_changes(parts.iter().map(change));
        prop_assert!(summed.windows(2).all(|two| two[0].key() < two[1].key()));
        for one in &summed {
            let own = parts.iter().filter(|(place, ..)| key(*place) == one.key());
            let sum = own.fold((0, 0), |sum, (_, on_hand, allocated)| (sum.0 + on_hand, sum.1 + allocated));
            prop_assert_eq!(sum, (one.on_hand, one.allocated));
        }
    }
}
