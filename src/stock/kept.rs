//! What lies at a location and is not there for everybody: what a channel leaves to others, and what does not keep long enough.

use std::collections::{BTreeSet, HashMap};

use super::{channel_safety, lots, model::LevelKey};
use crate::{
    db::Tx,
    error::Result,
    kernel::{
        Instant,
        ids::{ChannelId, VariantId},
    },
};

/// For whom it is asked: of which level, sold in which channel, and for how many days it has to keep where anybody has said so.
pub type Asked = (LevelKey, ChannelId, Option<i64>);

/// How many of the pieces that lie at a location are not there for somebody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// What its channel leaves to others.
    pub left: i64,
    /// What does not keep long enough.
    pub ends: i64,
}

/// How many of the pieces of levels are kept back from those who ask. Two statements, none where nobody asks.
///
/// # Errors
/// What the database says.
pub fn kept_back(tx: &mut Tx, now: Instant, asked: &[Asked]) -> Result<HashMap<Asked, Kept>> {
    let levels: BTreeSet<LevelKey> = asked.iter().map(|(level, ..)| *level).collect();
    let levels: Vec<LevelKey> = levels.into_iter().collect();
    if levels.is_empty() {
        return Ok(HashMap::new());
    }
    let left = channel_safety::left_at(tx, &levels)?;
    let variants: BTreeSet<VariantId> = levels.iter().map(|(variant, _)| *variant).collect();
    let lots = lots::ending(tx, &variants.into_iter().collect::<Vec<_>>())?;
    let kept = |one: &Asked| {
        let (level, channel, days) = *one;
        let until = days.map(|days| now.plus_seconds(86_400 * days));
        let here = lots.iter().filter(|(key, ..)| *key == level);
        let ends: i64 = here
            .filter(|(_, end, _)| *end <= now || until.is_some_and(|until| *end < until))
            .map(|(.., pieces)| pieces)
            .sum();
        (*one, Kept { left: left.get(&(level, channel)).copied().unwrap_or_default(), ends })
    };
    Ok(asked.iter().map(kept).collect())
}
