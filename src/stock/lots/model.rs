//! What a lot is, what can become of it, and from which lots goods leave. Pure.

use serde::Serialize;

use crate::{
    error::{Code, Error, Result},
    kernel::{
        Instant,
        ids::{LotId, VariantId},
        take_up_to,
    },
    stock::LevelKey,
};

crate::words! {
    /// Whether the pieces of a lot may be sold.
    pub enum LotState {
        /// They may.
        Available = "available",
        /// Not for now: they are looked at.
        Blocked = "blocked",
        /// Never again, and those who have some are to be told.
        Recalled = "recalled",
        /// They have kept as long as they keep.
        Expired = "expired",
    }
}

/// From which state a lot gets into which, and by what. Into `expired` it gets by itself.
pub const TRANSITIONS: &[(LotState, &str, LotState)] = &[
    (LotState::Available, "block", LotState::Blocked),
    (LotState::Available, "recall", LotState::Recalled),
    (LotState::Available, "by its date", LotState::Expired),
    (LotState::Blocked, "free", LotState::Available),
    (LotState::Blocked, "recall", LotState::Recalled),
    (LotState::Expired, "recall", LotState::Recalled),
    (LotState::Recalled, "block", LotState::Blocked),
];

/// The transition table as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let begin = "stateDiagram-v2\n    [*] --> available\n    [*] --> expired: when it comes too late\n";
    let transition = |(from, by, to): &(LotState, &str, LotState)| format!("    {from} --> {to}: {by}\n");
    TRANSITIONS.iter().fold(begin.to_owned(), |text, one| text + &transition(one))
}

/// A lot.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Lot {
    /// Its id.
    pub id: LotId,
    /// Of which variant.
    pub variant_id: VariantId,
    /// Its number: unique for the variant.
    pub number: String,
    /// Until when it keeps, where that is known: from then on it is not sold.
    pub expires_at: Option<Instant>,
    /// Whether its pieces may be sold.
    pub state: LotState,
    /// Why it is in that state, as it was given.
    pub reason: Option<String>,
    /// Rises with every change.
    pub version: i64,
    /// Since when it is known.
    pub created_at: Instant,
}

impl Lot {
    /// Why pieces of it may not be sold at an instant, if they may not: its state, that it has kept as long as it keeps, or that it
    /// does not keep until `keeps_until`.
    #[must_use]
    pub fn refused(&self, now: Instant, keeps_until: Option<Instant>) -> Option<String> {
        let number = &self.number;
        match self.state {
            LotState::Available if self.expires_at.is_some_and(|at| at <= now) => {
                Some(format!("lot `{number}` is {}", LotState::Expired))
            }
            LotState::Available if ends_before(self.expires_at, keeps_until) => {
                Some(format!("lot `{number}` does not keep as long as the order asks for"))
            }
            LotState::Available => None,
            state => Some(format!("lot `{number}` is {state}")),
        }
    }

    /// The lot in another state.
    ///
    /// # Errors
    /// `state_conflict` where its own does not lead there, or it has kept as long as it keeps.
    pub(super) fn put(&self, state: LotState, reason: Option<String>, now: Instant) -> Result<Self> {
        let over = state == LotState::Available && self.expires_at.is_some_and(|at| at <= now);
        if over
            || state == LotState::Expired
            || !TRANSITIONS.iter().any(|(from, _, to)| (*from, *to) == (self.state, state))
        {
            let detail = format!("a lot that is {} can not be {state}", self.state);
            return Err(Error::problem(Code::StateConflict, detail).at("/state"));
        }
        Ok(Self { state, reason, version: self.version + 1, ..self.clone() })
    }
}

/// What of a lot lies at a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub lot: LotId,
    pub state: LotState,
    pub expires_at: Option<Instant>,
    pub quantity: i64,
}

/// How goods leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// To a customer, or to where they can be sold: what expires first leaves first, then what is in no lot; what may not be sold never, nor what ends
    /// before an instant.
    Sold {
        /// Until when it has to keep.
        keeps_until: Option<Instant>,
    },
    /// Otherwise: what is in no lot first, then what may not be sold, then what expires first.
    Otherwise,
}

/// Pieces in a package, and the lots that they are of as it was noted when they were packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// Of which variant, where.
    pub key: LevelKey,
    /// The lots' numbers: what is no lot's is nothing but a note.
    pub numbers: Vec<String>,
    /// How many pieces.
    pub quantity: i64,
    /// That they are of these lots and of no other, as whoever ships them has said; where that stands in the request. Else what is not
    /// there of the lots is made up for by others.
    pub said_at: Option<String>,
    /// That they have left already, as another system says: of whichever lot they are.
    pub left: bool,
}

/// The same with the lots that they stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub lots: Vec<LotId>,
    pub quantity: i64,
    pub said_at: Option<String>,
    pub left: bool,
}

/// How many pieces of lots that were said to leave are not there, with where that stands in the request and how many are.
pub(super) fn not_there<'n>(lots: &[Held], said: impl Iterator<Item = &'n Named>) -> Option<(&'n str, i64)> {
    let mut left: Vec<Held> = lots.to_vec();
    for one in said {
        let Some(at) = &one.said_at else { continue };
        let mut missing = one.quantity;
        draw(left.iter_mut().filter(|held| one.lots.contains(&held.lot)), &mut missing, &mut Vec::new());
        if missing > 0 {
            return Some((at, one.quantity - missing));
        }
    }
    None
}

/// Takes up to `missing` pieces of lots, in their order.
fn draw<'a>(from: impl Iterator<Item = &'a mut Held>, missing: &mut i64, taken: &mut Vec<(LotId, i64)>) {
    for one in from {
        let part = take_up_to(&mut one.quantity, missing);
        if part > 0 {
            match taken.iter_mut().find(|(lot, _)| *lot == one.lot) {
                Some((_, sum)) => *sum += part,
                None => taken.push((one.lot, part)),
            }
        }
    }
}

/// Whether what ends at an instant, if ever, ends before it has to keep until.
pub(super) fn ends_before(expires_at: Option<Instant>, keeps_until: Option<Instant>) -> bool {
    expires_at.zip(keeps_until).is_some_and(|(ends, until)| ends < until)
}

/// What may be sold, and what may not, each in the order in which it leaves.
fn in_order(lots: &[Held], keeps_until: Option<Instant>) -> (Vec<Held>, Vec<Held>) {
    let mut order: Vec<Held> = lots.iter().filter(|held| held.quantity > 0).copied().collect();
    // What keeps for ever leaves last; of equals the older lot, for ids rise.
    order.sort_by_key(|held| (held.expires_at.is_none(), held.expires_at, held.lot));
    let may = |held: &Held| held.state == LotState::Available && !ends_before(held.expires_at, keeps_until);
    order.into_iter().partition(may)
}

/// From which lots so many pieces leave that now lie there no more; `left` is what lies there afterwards. What was packed of lots
/// leaves of these.
///
/// # Errors
/// How many could be sold at most.
pub(super) fn take(
    lots: &[Held],
    (left, pieces): (i64, i64),
    leaving: Leaving,
    packed: &[Named],
) -> Result<Vec<(LotId, i64)>, i64> {
    let in_lots: i64 = lots.iter().map(|held| held.quantity).sum();
    let in_none = (left + pieces - in_lots).max(0);
    let keeps_until = match leaving {
        Leaving::Sold { keeps_until } => keeps_until,
        Leaving::Otherwise => None,
    };
    let (mut good, mut bad) = in_order(lots, keeps_until);
    let (mut missing, mut taken) = (pieces, Vec::new());
    for one in packed {
        let wanted = one.quantity.min(missing);
        let mut short = wanted;
        draw(good.iter_mut().filter(|held| one.lots.contains(&held.lot)), &mut short, &mut taken);
        if one.left {
            draw(bad.iter_mut().filter(|held| one.lots.contains(&held.lot)), &mut short, &mut taken);
        }
        missing -= wanted - short;
    }
    match leaving {
        Leaving::Sold { .. } => {
            draw(good.iter_mut(), &mut missing, &mut taken);
            if missing > in_none {
                return Err(pieces - missing + in_none);
            }
        }
        Leaving::Otherwise => {
            missing = (missing - in_none).max(0);
            draw(bad.iter_mut(), &mut missing, &mut taken);
            draw(good.iter_mut(), &mut missing, &mut taken);
        }
    }
    Ok(taken)
}

/// Of which lots pieces are that come: of those that left by the same document and have not come. What may not be sold is taken to
/// come first, for nobody looks at each piece.
pub(super) fn give(under_way: &[Held], pieces: i64) -> Vec<(LotId, i64)> {
    let (mut good, mut bad) = in_order(under_way, None);
    let (mut missing, mut given) = (pieces, Vec::new());
    draw(bad.iter_mut().chain(good.iter_mut()), &mut missing, &mut given);
    given
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Id;

    fn held(place: u8, state: LotState, expires: Option<i64>, quantity: i64) -> Held {
        let expires_at = expires.map(|days| Instant::from_micros(0).plus_seconds(86_400 * days));
        Held { lot: Id::from_bytes([place; 16]), state, expires_at, quantity }
    }

    fn taken(lots: &[Held], left: i64, pieces: i64, leaving: Leaving) -> Result<Vec<(u8, i64)>, i64> {
        let place = |(lot, pieces): (LotId, i64)| (lot.bytes()[0], pieces);
        take(lots, (left, pieces), leaving, &[]).map(|taken| taken.into_iter().map(place).collect())
    }

    #[test]
    fn what_expires_first_leaves_first_and_what_is_blocked_never() {
        use LotState::{Available, Blocked, Recalled};
        let lots = [
            held(1, Available, None, 2),
            held(2, Available, Some(9), 2),
            held(3, Available, Some(5), 2),
            held(4, Blocked, Some(1), 2),
            held(5, Recalled, None, 2),
        ];
        // Twelve lie there: ten in lots, two in none.
        assert_eq!(taken(&lots, 9, 3, Leaving::Sold { keeps_until: None }), Ok(vec![(3, 2), (2, 1)]));
        assert_eq!(taken(&lots, 4, 8, Leaving::Sold { keeps_until: None }), Ok(vec![(3, 2), (2, 2), (1, 2)]));
        assert_eq!(taken(&lots, 3, 9, Leaving::Sold { keeps_until: None }), Err(8));
        assert_eq!(taken(&lots, 10, 2, Leaving::Otherwise), Ok(vec![]));
        assert_eq!(taken(&lots, 5, 7, Leaving::Otherwise), Ok(vec![(4, 2), (5, 2), (3, 1)]));
        assert_eq!(taken(&lots, 0, 12, Leaving::Otherwise).unwrap().len(), 5);
    }

    #[test]
    fn what_was_packed_of_a_lot_leaves_of_it_and_what_comes_is_of_the_worst() {
        use LotState::{Available, Recalled};
        let lots = [held(1, Available, Some(9), 2), held(2, Available, Some(5), 4), held(3, Recalled, None, 2)];
        let packed = |place: u8, quantity| Named {
            lots: vec![lots[usize::from(place) - 1].lot],
            quantity,
            said_at: None,
            left: false,
        };
        let taken = |pieces, packed: &[Named]| {
            let taken = take(&lots, (8 - pieces, pieces), Leaving::Sold { keeps_until: None }, packed)?;
            Ok::<_, i64>(taken.into_iter().map(|(lot, pieces)| (lot.bytes()[0], pieces)).collect::<Vec<_>>())
        };
        assert_eq!(taken(2, &[packed(1, 1)]), Ok(vec![(1, 1), (2, 1)]));
        // The lot holds fewer than were noted, and each of a lot is taken once.
        assert_eq!(taken(4, &[packed(1, 3)]), Ok(vec![(1, 2), (2, 2)]));
        assert_eq!(taken(6, &[packed(2, 1), packed(1, 2)]), Ok(vec![(2, 4), (1, 2)]));
        assert_eq!(taken(7, &[packed(3, 2)]), Err(6));
        // What was said to be of a lot is of no other.
        let said = |place: u8, quantity| Named { said_at: Some("/lots/0".to_owned()), ..packed(place, quantity) };
        assert_eq!(not_there(&lots, [said(1, 2), said(2, 4)].iter()), None);
        assert_eq!(not_there(&lots, [said(1, 1), said(1, 2)].iter()), Some(("/lots/0", 1)));
        assert_eq!(not_there(&lots, [packed(1, 3)].iter()), None);
        let given: Vec<_> = give(&lots, 4).into_iter().map(|(lot, pieces)| (lot.bytes()[0], pieces)).collect();
        assert_eq!(given, [(3, 2), (2, 2)]);
    }
}
