//! How many of those who wait are told. Pure.

use crate::kernel::{
    Instant,
    ids::{BackInStockId, ChannelId, CustomerId, VariantId},
};

crate::words! {
    /// Where somebody stands who waits for goods.
    pub enum WaitingState {
        /// They wait.
        Waiting = "waiting",
        /// They were told.
        Told = "told",
    }
}

/// Somebody who waits for goods to come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its id.
    pub id: BackInStockId,
    /// Where they asked for it.
    pub channel: ChannelId,
    /// What they wait for.
    pub variant: VariantId,
    /// Who they are, where they were signed in.
    pub customer: Option<CustomerId>,
    /// Where they are told.
    pub email: String,
    /// The language of what they are told.
    pub locale: Option<String>,
    /// What they were shown when they agreed to be told.
    pub consent_text: Option<String>,
    /// Where they stand.
    pub state: WaitingState,
    /// Since when they wait.
    pub created_at: Instant,
    /// Until when.
    pub expires_at: Instant,
    /// When they were told.
    pub told_at: Option<Instant>,
}

/// For how many pieces of an article somebody has been told in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wave {
    pub told_for: i64,
    /// When it last changed.
    pub told_at: Instant,
}

/// A channel that sells an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stall {
    pub channel: ChannelId,
    /// Whether somebody waits for it there.
    pub waits: bool,
    pub wave: Option<Wave>,
    /// How many pieces can be had there: without what the channel leaves to others, and what does not keep long enough for it.
    pub there: i64,
}

/// How many more may be told in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub channel: ChannelId,
    pub wave: Option<Wave>,
    /// For how many pieces they were told that are there still.
    pub told_for: i64,
    /// How many more may be told: none where nobody waits.
    pub more: i64,
}

impl Room {
    /// Whether it is to be noted how many were told for what is there.
    pub(super) fn differs(self) -> bool {
        self.told_for != self.wave.map_or(0, |wave| wave.told_for)
    }
}

/// How many are told for what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// For each hundred pieces.
    pub percent: i64,
    /// After so many hours what is still there counts as if it had just come back.
    pub wave_hours: i64,
}

impl Measure {
    /// For how many pieces they were told that are there still, and how many more may be told. `there` are the pieces that can be had.
    ///
    /// Pieces that are gone were bought by some of those who were told, or by others: no more is promised of them. What is still there
    /// after a while was wanted by none of them.
    pub(super) fn room(self, wave: Option<Wave>, there: i64, now: Instant) -> (i64, i64) {
        let there = i128::from(there.max(0));
        // Rounded up: for a single piece somebody is told, whatever the measure.
        let most = i64::try_from((there * i128::from(self.percent) + 99) / 100).unwrap_or(i64::MAX);
        let told = wave.filter(|wave| now < wave.told_at.plus_seconds(3_600 * self.wave_hours));
        let told_for = told.map_or(0, |wave| wave.told_for.min(most));
        (told_for, most - told_for)
    }

    /// The same of the channels that sell an article, of which `there` are pieces for all of them together: how many more may be told in
    /// each, and in all. What lies there is sold once, whoever of them sells it.
    pub(super) fn rooms(self, there: i64, stalls: &[Stall], now: Instant) -> (Vec<Room>, i64) {
        let (_, mut left) = self.room(None, there, now);
        let mut rooms = Vec::with_capacity(stalls.len());
        for stall in stalls {
            let (told_for, room) = self.room(stall.wave, stall.there, now);
            let most = told_for.saturating_add(room);
            let told_for = told_for.min(left);
            left -= told_for;
            let more = if stall.waits { most - told_for } else { 0 };
            rooms.push(Room { channel: stall.channel, wave: stall.wave, told_for, more });
        }
        for room in &mut rooms {
            room.more = room.more.min(left);
        }
        (rooms, left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EACH: Measure = Measure { percent: 100, wave_hours: 24 };

    fn at(hours: i64) -> Instant {
        Instant::from_micros(0).plus_seconds(3_600 * hours)
    }

    fn wave(told_for: i64) -> Option<Wave> {
        Some(Wave { told_for, told_at: at(0) })
    }

    #[test]
    fn no_more_are_told_than_there_are_pieces_that_nobody_was_told_of() {
        // Five come back, five are told; two of these buy, three come: three more are told.
        assert_eq!(EACH.room(None, 5, at(0)), (0, 5));
        assert_eq!(EACH.room(wave(5), 5, at(1)), (5, 0));
        assert_eq!(EACH.room(wave(5), 3, at(1)), (3, 0));
        assert_eq!(EACH.room(wave(3), 6, at(1)), (3, 3));
        assert_eq!(EACH.room(wave(3), 0, at(1)), (0, 0));
        assert_eq!(EACH.room(None, -2, at(0)), (0, 0));
    }

    #[test]
    fn what_nobody_took_for_a_day_is_told_to_the_next() {
        assert_eq!(EACH.room(wave(5), 5, at(23)), (5, 0));
        assert_eq!(EACH.room(wave(5), 5, at(24)), (0, 5));
    }

    #[test]
    fn a_piece_is_told_once_whichever_channel_sells_it() {
        let (shop, market) = (ChannelId::new(), ChannelId::new());
        let stall = |channel, wave, there| Stall { channel, waits: true, wave, there };
        let of = |there: i64, stalls: &[Stall]| {
            let (rooms, left) = EACH.rooms(there, stalls, at(1));
            (rooms.iter().map(|room| (room.told_for, room.more)).collect::<Vec<_>>(), left)
        };
        // Ten are there, of which the market leaves six to others.
        assert_eq!(of(10, &[stall(shop, None, 10), stall(market, None, 4)]), (vec![(0, 10), (0, 4)], 10));
        assert_eq!(of(10, &[stall(shop, wave(7), 10), stall(market, None, 4)]), (vec![(7, 3), (0, 3)], 3));
        assert_eq!(of(10, &[stall(shop, wave(6), 10), stall(market, wave(4), 4)]), (vec![(6, 0), (4, 0)], 0));
        // Five are bought: five were told of those that are left. Three come, and three more are told.
        assert_eq!(of(5, &[stall(shop, wave(6), 5), stall(market, wave(4), 0)]), (vec![(5, 0), (0, 0)], 0));
        assert_eq!(of(8, &[stall(shop, wave(5), 8), stall(market, wave(0), 2)]), (vec![(5, 3), (0, 2)], 3));
        // The market sells nothing; where nobody waits nobody is told.
        assert_eq!(of(4, &[stall(market, None, 0)]), (vec![(0, 0)], 4));
        assert_eq!(of(4, &[Stall { waits: false, ..stall(shop, None, 4) }]), (vec![(0, 0)], 4));
    }

    #[test]
    fn more_or_fewer_may_be_told_for_a_piece_and_never_none() {
        let of = |percent: i64, there: i64| Measure { percent, ..EACH }.room(None, there, at(0)).1;
        assert_eq!([of(300, 2), of(50, 10), of(50, 1), of(1, 1), of(10, 11)], [6, 5, 1, 1, 2]);
    }
}
