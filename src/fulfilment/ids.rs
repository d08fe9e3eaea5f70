//! Ids that a command needs, made before its transaction.

use sha2::{Digest, Sha256};

use crate::kernel::{Id, ids::JobId};

/// Ids for what a command makes. They are made outside the transaction, so that a second run of it gives the same.
#[derive(Debug, Clone)]
pub struct Fresh(Vec<[u8; 16]>);

impl Fresh {
    /// Enough for any command of this slice.
    #[must_use]
    pub fn new() -> Self {
        Self((0..16).map(|_| *Id::<()>::new().bytes()).collect())
    }

    /// The same for a command that a job stands for: they follow from its id.
    #[must_use]
    pub fn of(job: JobId) -> Self {
        let id = |place: u8| {
            let mut id = *job.bytes();
            let hash = Sha256::new().chain_update(job.bytes()).chain_update([place]).finalize();
            // New rows lie together: the beginning is the time, as in the job's own.
            id.iter_mut().skip(8).zip(hash).for_each(|(to, from)| *to = from);
            id
        };
        Self((0..16).map(id).collect())
    }

    /// The id of what the command makes first: of a shipment, when it ships.
    #[must_use]
    pub fn first<K>(&self) -> Id<K> {
        self.draw().next()
    }

    /// Begins to hand them out, in the same order every time.
    pub(super) fn draw(&self) -> Draw<'_> {
        Draw(self.0.iter())
    }
}

impl Default for Fresh {
    fn default() -> Self {
        Self::new()
    }
}

/// Hands ids out.
pub(super) struct Draw<'a>(std::slice::Iter<'a, [u8; 16]>);

impl Draw<'_> {
    /// So many of them.
    pub(super) fn many<K>(&mut self, count: usize) -> Vec<Id<K>> {
        (0..count).map(|_| self.next()).collect()
    }

    /// The next id, of whatever kind is needed.
    pub(super) fn next<K>(&mut self) -> Id<K> {
        self.0.next().map_or_else(Id::new, |bytes| Id::from_bytes(*bytes))
    }
}
