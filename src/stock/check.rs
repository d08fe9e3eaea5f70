//! What `kontor doctor` asks of stock: each level equals the sum of its movements and of its live reservations.

use std::collections::BTreeMap;

use super::{
    list::{self, Counters},
    model::LevelKey,
};
use crate::{db::Tx, error::Result, kernel::ids::VariantId};

/// Something that ought not to be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The rule that does not hold.
    pub rule: &'static str,
    /// The row it is about.
    pub what: String,
    /// What was found and what was expected.
    pub detail: String,
}

/// Checks the levels of up to `limit` variants after `after`, in one snapshot when the transaction is one. The second
/// value is where to go on; `None` at the end.
///
/// # Errors
/// What the database says.
pub fn check(tx: &mut Tx, after: Option<VariantId>, limit: i64) -> Result<(Vec<Finding>, Option<VariantId>)> {
    let (compared, last) = compared(tx, after, limit)?;
    let findings = compared.into_iter().flat_map(|(key, (level, sums))| findings(key, level, sums));
    Ok((findings.collect(), last))
}

/// What levels say, where there is one, and what their movements and live reservations add up to.
pub(super) type Compared = BTreeMap<LevelKey, (Option<Counters>, Counters)>;

/// The same of the levels of up to `limit` variants after `after`, and where to go on.
pub(super) fn compared(tx: &mut Tx, after: Option<VariantId>, limit: i64) -> Result<(Compared, Option<VariantId>)> {
    let last = list::last_of_chunk(tx, after, limit)?;
    let mut compared = Compared::new();
    for (key, counters) in list::counters(tx, after, last)? {
        compared.entry(key).or_default().0 = Some(counters);
    }
    let sums = list::movement_sums(tx, after, last)?.into_iter().chain(list::live_sums(tx, after, last)?);
    for (key, (on_hand, allocated, reserved)) in sums {
        let sum = &mut compared.entry(key).or_default().1;
        *sum = (sum.0 + on_hand, sum.1 + allocated, sum.2 + reserved);
    }
    Ok((compared, last))
}

fn findings(key: LevelKey, level: Option<Counters>, sums: Counters) -> Vec<Finding> {
    let what = format!("{} at {}", key.0, key.1);
    let Some(level) = level else {
        if sums == (0, 0, 0) {
            return Vec::new();
        }
        let detail = "there are movements or reservations, but no level".to_owned();
        return vec![Finding { rule: "stock.level_missing", what, detail }];
    };
    let rules = [
        ("stock.on_hand_is_the_sum_of_movements", level.0, sums.0),
        ("stock.allocated_is_the_sum_of_movements", level.1, sums.1),
        ("stock.reserved_is_the_sum_of_live_reservations", level.2, sums.2),
    ];
    let broken = rules.into_iter().filter(|(_, level, sum)| level != sum);
    let finding = |(rule, level, sum)| Finding {
        rule,
        what: what.clone(),
        detail: format!("the level says {level}, the sum is {sum}"),
    };
    broken.map(finding).collect()
}
