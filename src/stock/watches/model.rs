//! What is watched, and what a crossing is. Pure.

use serde::Serialize;

use crate::{kernel::Instant, stock::model::LevelKey};

crate::words! {
    /// What has become of a watched level.
    pub enum Crossing {
        /// No more than `low_at` are available.
        Low = "stock.low.v1",
        /// With what is to come no more than `reorder_at` will be available.
        Reorder = "stock.reorder.v1",
        /// Some are available again, after there were none.
        Back = "stock.back.v1",
    }
}

/// How far things stand with a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Standing {
    /// Whether it is low.
    pub low: bool,
    /// Whether it is to be reordered.
    pub reorder: bool,
    /// Whether none are available.
    pub out: bool,
}

/// What is watched of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// Which level.
    pub key: LevelKey,
    /// From how many available pieces on it is low.
    pub low_at: Option<i64>,
    /// From how many pieces on, available and to come, it is to be reordered.
    pub reorder_at: Option<i64>,
    /// How many are to be ordered then.
    pub reorder_quantity: Option<i64>,
    /// What was told of it last.
    pub standing: Standing,
    /// Rises with every change.
    pub version: i64,
    /// When it changed last.
    pub updated_at: Instant,
}

/// A watch with the figures that it is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub watch: Watch,
    pub on_hand: i64,
    pub available: i64,
    pub expected: i64,
}

impl Seen {
    /// How far things stand by the figures.
    pub(super) fn standing(&self) -> Standing {
        let below = |least: Option<i64>, pieces: i64| least.is_some_and(|least| pieces <= least);
        Standing {
            low: below(self.watch.low_at, self.available),
            reorder: below(self.watch.reorder_at, self.available + self.expected),
            out: self.available <= 0,
        }
    }

    /// What has happened since it was told of last.
    pub(super) fn crossings(&self) -> Vec<Crossing> {
        let (was, is) = (self.watch.standing, self.standing());
        let all = [
            (Crossing::Low, is.low && !was.low),
            (Crossing::Reorder, is.reorder && !was.reorder),
            (Crossing::Back, was.out && !is.out),
        ];
        all.into_iter().filter_map(|(crossing, happened)| happened.then_some(crossing)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Id;

    #[test]
    fn each_crossing_is_told_once_and_only_in_its_direction() {
        let mut watch = Watch {
            key: (Id::new(), Id::new()),
            low_at: Some(3),
            reorder_at: Some(5),
            reorder_quantity: None,
            standing: Standing { low: false, reorder: false, out: false },
            version: 1,
            updated_at: Instant::from_micros(0),
        };
        let mut at = |available: i64, expected: i64| {
            let seen = Seen { watch, on_hand: available, available, expected };
            watch.standing = seen.standing();
            seen.crossings()
        };
        assert_eq!(at(9, 0), []);
        assert_eq!(at(5, 1), []);
        assert_eq!(at(4, 1), [Crossing::Reorder]);
        assert_eq!(at(3, 0), [Crossing::Low]);
        assert_eq!(at(0, 0), []);
        assert_eq!(at(2, 9), [Crossing::Back]);
        assert_eq!(at(2, 0), [Crossing::Reorder]);
        assert_eq!(at(4, 0), []);
        assert_eq!(at(1, 0), [Crossing::Low]);
    }
}
