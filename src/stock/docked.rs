//! Goods that stand at a dock for orders: whoever writes off or counts at a location leaves them there. Stock does not know docks: it asks
//! whoever does.

use std::collections::HashMap;

use actix_web::web;

use super::model::{Level, LevelKey};
use crate::{
    db::Tx,
    error::{Code, Error, Result},
    http::Call,
};

/// How many pieces of levels stand at docks for orders: asked of whoever knows docks. Levels of which none do are absent.
#[derive(Clone, Copy)]
pub struct AtDocks(pub fn(&mut Tx, &[LevelKey]) -> Result<HashMap<LevelKey, i64>>);

impl AtDocks {
    /// Who knows docks.
    pub(super) fn of(call: &Call) -> Result<Self> {
        let known = call.request().app_data::<web::Data<Self>>().map(|known| ***known);
        known.ok_or_else(|| Error::internal("nobody knows the docks"))
    }

    /// Refuses what has taken of levels what stands at docks: they were just moved, and are locked. What is free goes first. One
    /// statement, none where there are no levels.
    ///
    /// # Errors
    /// `stock_negative`, with how many are free (`available`) and how many stand `at_dock`; at the pointer of the level.
    pub(super) fn leave(self, tx: &mut Tx, lowered: &[(Level, i64, String)]) -> Result<()> {
        let keys: Vec<LevelKey> = lowered.iter().map(|(level, ..)| level.key()).collect();
        let standing = if keys.is_empty() { HashMap::new() } else { (self.0)(tx, &keys)? };
        for (level, less, pointer) in lowered {
            let at_dock = standing.get(&level.key()).copied().unwrap_or_default();
            if at_dock == 0 || level.on_hand >= at_dock {
                continue;
            }
            let free = (level.on_hand + less - at_dock).max(0);
            let detail = format!(
                "only {free} of these may go: {at_dock} stand at the dock for orders; correct their receipt, or what was received for them"
            );
            let error = Error::problem(Code::StockNegative, detail).with("available", free).with("at_dock", at_dock);
            let error = error.with("variant_id", level.variant.to_string());
            let error = error.with("location_id", level.location.to_string());
            return Err(if pointer.is_empty() { error } else { error.at(pointer.clone()) });
        }
        Ok(())
    }
}
