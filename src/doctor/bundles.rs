//! What must hold of the bundles of orders.

use std::collections::HashMap;

use super::{Rule, by_id};
use crate::{kernel::ids, orders::OrderBundle};

/// A bundle is the sum of the lines that it is made of.
pub(super) const SUMMED: Rule = Rule {
    promise: 4,
    name: "a bundle's amounts are the sums of its lines",
    scan: ("orders", "id"),
    key: by_id::<ids::Order>(),
    wrong: "SELECT o.id, CAST(o.doc->'bundles' AS TEXT) || '\n' || coalesce((SELECT string_agg(l.line_no || ' ' || l.net || ' ' || \
              l.tax || ' ' || l.gross, ',') FROM order_lines AS l WHERE l.order_id = o.id), '') \
            FROM orders AS o WHERE o.id BETWEEN ? AND ? AND o.doc->'bundles' IS NOT NULL",
    judge: sums_disagree,
};

/// Net, tax and gross of an order's lines by their numbers, in minor units.
fn amounts(lines: &str) -> HashMap<i32, [i64; 3]> {
    let line = |text: &str| {
        let mut parts = text.split(' ').map(str::parse::<i64>);
        let mut next = || parts.next()?.ok();
        let (line_no, net, tax, gross) = (next()?, next()?, next()?, next()?);
        Some((i32::try_from(line_no).ok()?, [net, tax, gross]))
    };
    lines.split(',').filter_map(line).collect()
}

/// The bundles as JSON, then the lines; SQL does not sum what JSON names.
fn sums_disagree(found: String) -> Option<String> {
    let (bundles, lines) = found.split_once('\n')?;
    let Ok(bundles) = serde_json::from_str::<Vec<OrderBundle>>(bundles) else {
        return Some(format!("its bundles can not be read: {bundles}"));
    };
    let amounts = amounts(lines);
    bundles.iter().find_map(|bundle| {
        let mut sums = [0; 3];
        for line in &bundle.line_nos {
            let Some(own) = amounts.get(line) else {
                return Some(format!("bundle {} has line {line}, which is not there", bundle.line_no));
            };
            for (sum, own) in sums.iter_mut().zip(own) {
                *sum += own;
            }
        }
        let told = [bundle.net.minor(), bundle.tax.minor(), bundle.gross.minor()];
        let told_and_sums = || format!("bundle {}: net, tax and gross {told:?}, its lines {sums:?}", bundle.line_no);
        (told != sums).then(told_and_sums)
    })
}
