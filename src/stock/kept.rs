//! What lies at a location and is not there for everybody: what a channel leaves to others, and what does not keep long enough.

use std::collections::HashMap;

use super::{channel_safety, lots};
use crate::{
    db::Tx,
    error::Result,
    kernel::{
        Instant,
        ids::{ChannelId, LocationId, VariantId},
    },
};

/// For whom it is asked: of which variant, sold in which channel, and for how many days it has to keep where anybody has said so.
pub type Asked = (VariantId, ChannelId, Option<i64>);

/// How many of the pieces that lie at a location are not there for somebody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// What its channel leaves to others.
    pub left: i64,
    /// What does not keep long enough.
    pub ends: i64,
}

/// How many of the pieces at a location are kept back from those who ask. Two statements, none where nobody asks.
///
/// # Errors
/// What the database says.
pub fn kept_back(tx: &mut Tx, now: Instant, location: LocationId, asked: &[Asked]) -> Result<HashMap<Asked, Kept>> {
    let mut variants: Vec<VariantId> = asked.iter().map(|(variant, ..)| *variant).collect();
    variants.sort_unstable();
    variants.dedup();
    if variants.is_empty() {
        return Ok(HashMap::new());
    }
    let left: HashMap<(VariantId, ChannelId), i64> = channel_safety::left_at(tx, location, &variants)?;
    let lots = lots::ending(tx, &variants)?;
    let kept = |one: &Asked| {
        let (variant, channel, days) = *one;
        let until = days.map(|days| now.plus_seconds(86_400 * days));
        let here = lots.iter().filter(|(key, ..)| *key == (variant, location));
        let ends: i64 = here
            .filter(|(_, end, _)| *end <= now || until.is_some_and(|until| *end < until))
            .map(|(.., pieces)| pieces)
            .sum();
        (*one, Kept { left: left.get(&(variant, channel)).copied().unwrap_or_default(), ends })
    };
    Ok(asked.iter().map(kept).collect())
}
