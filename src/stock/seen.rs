//! When somebody has last looked at a shelf: goods came to it, or it was said how many lie there.

use std::collections::HashMap;

use super::{counts, model::LevelKey, store};
use crate::{db::Tx, error::Result, kernel::Instant};

/// When goods came last to levels, or somebody said how many lie there: a count says so too that finds no difference. Those of which that
/// never happened are absent. Two statements, none where nothing is asked.
///
/// # Errors
/// What the database says.
pub fn last_seen(tx: &mut Tx, levels: &[LevelKey]) -> Result<HashMap<LevelKey, Instant>> {
    if levels.is_empty() {
        return Ok(HashMap::new());
    }
    let mut seen: HashMap<LevelKey, Instant> = store::last_said(tx, levels)?.into_iter().collect();
    for (key, at) in counts::last_counted(tx, levels)? {
        seen.entry(key).and_modify(|known| *known = at.max(*known)).or_insert(at);
    }
    Ok(seen)
}
