//! Counting: documents, lines, pieces and amounts, with their signs.

use std::ops::AddAssign;

/// How many, how much. What is credited has negative pieces and amounts, so that sums are what remains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Orders or returns; in a file, document numbers.
    pub documents: u64,
    /// Lines.
    pub lines: u64,
    /// Pieces.
    pub pieces: i128,
    /// Minor units of the currency under which it is counted.
    pub amount: i128,
}

impl Tally {
    /// One line.
    #[must_use]
    pub fn line(pieces: i64, amount: i64) -> Self {
        Self { documents: 0, lines: 1, pieces: pieces.into(), amount: amount.into() }
    }

    /// One document, without its lines.
    #[must_use]
    pub const fn document() -> Self {
        Self { documents: 1, lines: 0, pieces: 0, amount: 0 }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.documents += other.documents;
        self.lines += other.lines;
        self.pieces += other.pieces;
        self.amount += other.amount;
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |mut sum, tally| {
            sum += tally;
            sum
        })
    }
}
