//! What a change of a price is: the price before and the price after, where the two differ. Pure.

use std::collections::{BTreeMap, HashMap};

use crate::kernel::{
    Currency, Instant, Per, PricePer, Quantity,
    ids::{PriceListId, VariantId},
};

/// What identifies a price; ordered as the table's key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::pricing) struct Key {
    pub variant: VariantId,
    pub list: PriceListId,
    pub min_quantity: Quantity,
    pub valid_from: Option<Instant>,
}

/// What a price is, beside its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pricing) struct Price {
    pub amount: i64,
    pub per: Per,
    pub valid_until: Option<Instant>,
}

impl Price {
    /// A price of a list in a currency.
    pub const fn in_currency(self, currency: Currency) -> PricePer {
        PricePer::from_scaled(self.amount, currency, self.per)
    }
}

/// A price that is not what it was; `None` where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pricing) struct Difference {
    pub key: Key,
    pub from: Option<Price>,
    pub to: Option<Price>,
}

/// The place of a change among the others: when it was recorded, in microseconds, and its number.
pub(in crate::pricing) type Place = (i64, i64);

/// Where the prices that are wanted are not those that are there, in the order of their keys. A price that is wanted as it is,
/// or wanted gone and not there, is no change.
pub(in crate::pricing) fn differences(
    there: &HashMap<Key, Price>,
    wanted: &BTreeMap<Key, Option<Price>>,
) -> Vec<Difference> {
    let each = wanted.iter().map(|(key, to)| Difference { key: *key, from: there.get(key).copied(), to: *to });
    each.filter(|change| change.from != change.to).collect()
}

/// The time that a change of a list is recorded with: the request's, but never before that of the list's last change. Of two
/// requests at once the later may be served first, and what it left is what the earlier one finds.
pub(in crate::pricing) fn recorded_at(now: Instant, last: Option<Instant>) -> Instant {
    last.map_or(now, |last| last.max(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Id;
    use proptest::prelude::*;

    fn key(variant: VariantId, list: PriceListId, least: i64) -> Key {
        Key { variant, list, min_quantity: Quantity::new(least).unwrap(), valid_from: None }
    }

    fn price(amount: i64) -> Option<Price> {
        Some(Price { amount, per: Per::ONE, valid_until: None })
    }

    #[test]
    fn only_what_becomes_another_price_is_a_change() {
        let (variant, list) = (Id::new(), Id::new());
        let [same, dearer, gone, new, never] = [1, 2, 3, 4, 5].map(|least| key(variant, list, least));
        let there: HashMap<Key, Price> =
            [(same, 10), (dearer, 10), (gone, 10)].map(|(key, amount)| (key, price(amount).unwrap())).into();
        let wanted = [(new, price(7)), (same, price(10)), (dearer, price(11)), (gone, None), (never, None)]
            .into_iter()
            .collect();
        let change = |key, from, to| Difference { key, from, to };
        let expected =
            [change(dearer, price(10), price(11)), change(gone, price(10), None), change(new, None, price(7))];
        assert_eq!(differences(&there, &wanted), expected);
    }

    #[test]
    fn another_end_is_another_price() {
        let key = key(Id::new(), Id::new(), 1);
        let ends = |micros: Option<i64>| Price { valid_until: micros.map(Instant::from_micros), ..price(10).unwrap() };
        let changes = |from, to| differences(&[(key, ends(from))].into(), &[(key, Some(ends(to)))].into()).len();
        assert_eq!([changes(None, Some(1)), changes(Some(1), None), changes(Some(1), Some(2))], [1, 1, 1]);
        assert_eq!([changes(None, None), changes(Some(2), Some(2))], [0, 0]);
    }

    #[test]
    fn the_times_of_a_lists_changes_never_go_back() {
        let [early, late] = [1, 2].map(Instant::from_micros);
        assert_eq!(
            [recorded_at(late, None), recorded_at(late, Some(early)), recorded_at(early, Some(late))],
            [late; 3]
        );
    }

    proptest! {
        /// Whatever is written one after the other, each change begins where the one before it ended, the first at what was
        /// there before there was a history, and the last ends at what is there.
        #[test]
        fn changes_are_a_chain(first: Option<u8>, writes in prop::collection::vec((0i64..3, prop::option::of(0i64..3)), 0..40)) {
            let (variant, list) = (Id::new(), Id::new());
            let mut there = HashMap::new();
            there.extend(first.map(|amount| (key(variant, list, 1), price(i64::from(amount)).unwrap())));
            let mut last: HashMap<Key, Option<Price>> = there.iter().map(|(key, price)| (*key, Some(*price))).collect();
            for (least, amount) in writes {
                let key = key(variant, list, least + 1);
                let changes = differences(&there, &[(key, amount.and_then(price))].into());
                for change in changes {
                    prop_assert_eq!(last.insert(key, change.to).flatten(), change.from);
                    prop_assert_ne!(change.from, change.to);
                }
                match amount.and_then(price) {
                    Some(price) => there.insert(key, price),
                    None => there.remove(&key),
                };
                prop_assert_eq!(last.get(&key).copied().flatten(), there.get(&key).copied());
            }
        }
    }
}
