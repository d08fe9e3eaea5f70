//! Rules filed under what they are for: whoever looks for those of one channel, or of one country, walks past no others'. Pure.

use std::{collections::HashMap, fmt::Debug, hash::Hash, ops::Deref, sync::Arc};

use super::{
    promotions::Compiled,
    rates::{PriceList, ShippingMethod, TaxRate},
};
use crate::kernel::{Country, ids::ChannelId};

/// What is filed.
pub trait Filing {
    /// What it is filed under.
    type Key: Copy + Eq + Hash + Debug;

    /// The one that it is for; `None` where it is for all.
    fn key(&self) -> Option<Self::Key>;
}

impl Filing for PriceList {
    type Key = ChannelId;

    fn key(&self) -> Option<ChannelId> {
        self.channel
    }
}

impl Filing for Compiled {
    type Key = ChannelId;

    fn key(&self) -> Option<ChannelId> {
        self.promotion.channel
    }
}

impl Filing for ShippingMethod {
    type Key = ChannelId;

    fn key(&self) -> Option<ChannelId> {
        Some(self.channel)
    }
}

impl Filing for TaxRate {
    type Key = Country;

    fn key(&self) -> Option<Country> {
        Some(self.country)
    }
}

/// Rules of a kind: all of them, as which it can be read, and those that are for each key ([`Filed::of`]). Always in the order in which
/// they came. What is for all keys is not copied for each, but pointed to.
#[derive(Debug, Clone)]
pub struct Filed<T: Filing> {
    all: Vec<Arc<T>>,
    common: Vec<Arc<T>>,
    own: HashMap<T::Key, Vec<Arc<T>>>,
}

impl<T: Filing> Filed<T> {
    /// Those that are for a key: its own and those for all.
    #[must_use]
    pub fn of(&self, key: T::Key) -> &[Arc<T>] {
        self.own.get(&key).unwrap_or(&self.common)
    }
}

impl<T: Filing> From<Vec<T>> for Filed<T> {
    fn from(rules: Vec<T>) -> Self {
        let mut filed = Self { all: Vec::with_capacity(rules.len()), ..Self::default() };
        for rule in rules.into_iter().map(Arc::new) {
            match rule.key() {
                // Whoever comes first of a key finds those for all that came before.
                Some(key) => filed.own.entry(key).or_insert_with(|| filed.common.clone()).push(rule.clone()),
                None => {
                    filed.own.values_mut().for_each(|own| own.push(rule.clone()));
                    filed.common.push(rule.clone());
                }
            }
            filed.all.push(rule);
        }
        filed
    }
}

impl<T: Filing> Default for Filed<T> {
    fn default() -> Self {
        Self { all: Vec::new(), common: Vec::new(), own: HashMap::new() }
    }
}

impl<T: Filing> Deref for Filed<T> {
    type Target = [Arc<T>];

    fn deref(&self) -> &[Arc<T>] {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A rule with a number, for one of a few, or for all.
    #[derive(Debug, Clone, PartialEq)]
    struct Rule(Option<u8>, usize);

    impl Filing for Rule {
        type Key = u8;

        fn key(&self) -> Option<u8> {
            self.0
        }
    }

    proptest! {
        #[test]
        fn what_is_filed_under_a_key_is_what_is_for_it_in_order(keys in prop::collection::vec(prop::option::of(0u8..4), 0..20)) {
            let rules: Vec<Rule> = keys.into_iter().enumerate().map(|(number, key)| Rule(key, number)).collect();
            let filed = Filed::from(rules.clone());
            let told = |found: &[Arc<Rule>]| found.iter().map(|rule| rule.as_ref().clone()).collect::<Vec<_>>();
            prop_assert_eq!(told(&filed), rules.clone());
            // The last is a key that no rule names.
            for key in 0u8..5 {
                let expected: Vec<Rule> =
                    rules.iter().filter(|rule| rule.0.is_none_or(|own| own == key)).cloned().collect();
                prop_assert_eq!(told(filed.of(key)), expected);
            }
        }
    }
}
