//! Who waits for goods, and when these come for them. Pure.

use std::collections::HashMap;

use crate::{
    fulfilment::crossdock::Demand,
    kernel::{
        Instant,
        ids::{FulfilmentOrderId, VariantId},
    },
    stock::Supply,
};

/// A line of a fulfilment order.
pub(super) type Line = (FulfilmentOrderId, i32);

/// When what lines of a location wait for comes, line by line: none where nobody knows. What comes first goes to who is served first, as
/// at a dock: by priority, then by when it is due, then by how long it has waited.
pub(super) fn served(
    mut waiting: Vec<Demand>,
    supplies: &HashMap<VariantId, Supply>,
) -> HashMap<Line, Option<Instant>> {
    waiting.sort_by_key(|one| {
        (std::cmp::Reverse(one.priority), one.due_at, one.created_at, one.fulfilment_order, one.line_no)
    });
    let mut ahead: HashMap<VariantId, i64> = HashMap::new();
    let serve = |one: Demand| {
        let lacks = ahead.entry(one.variant).or_default();
        *lacks += one.quantity;
        let comes = supplies.get(&one.variant).and_then(|supply| supply.comes(*lacks));
        ((one.fulfilment_order, one.line_no), comes)
    };
    waiting.into_iter().map(serve).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Id;

    #[test]
    fn what_comes_first_goes_to_who_is_served_first() {
        let at = |day: i64| Instant::from_micros(86_400_000_000 * day);
        let (variant, work): (VariantId, FulfilmentOrderId) = (Id::new(), Id::new());
        let demand = |line_no: i32, quantity: i64, priority: i64, due: i64| Demand {
            fulfilment_order: work,
            line_no,
            variant,
            quantity,
            priority,
            due_at: at(due),
            created_at: at(0),
            keeps_days: 0,
        };
        let supply = Supply { expected: vec![(at(3), 4), (at(5), 2)], available_from: None };
        let supplies = HashMap::from([(variant, supply.clone())]);
        let waiting = vec![demand(1, 2, 0, 9), demand(2, 3, 0, 8), demand(3, 1, 1, 9), demand(4, 1, 0, 10)];
        let found = served(waiting.clone(), &supplies);
        let of = |found: &HashMap<Line, Option<Instant>>, line: i32| found.get(&(work, line)).copied().unwrap();
        assert_eq!([3, 2, 1, 4].map(|line| of(&found, line)), [Some(at(3)), Some(at(3)), Some(at(5)), None]);
        // Where somebody has said from when on it is to be had, that counts for who gets nothing of what is to come.
        let supplies = HashMap::from([(variant, Supply { available_from: Some(at(20)), ..supply })]);
        assert_eq!(of(&served(waiting, &supplies), 4), Some(at(20)));
    }
}
