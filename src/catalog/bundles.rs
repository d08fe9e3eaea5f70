//! Bundles: variants that are sold as one and are made of others. Pure.
//!
//! A variant is a bundle from the beginning or never: what has stock, or is a component, does not become one, and what was sold as a
//! bundle does not become an article. So nobody has to lock a component while a bundle is made of it.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::model::{BackorderPolicy, StockPolicy, Variant, VariantStatus};
use crate::{
    error::{Code, Error, Result},
    kernel::{Quantity, text::Sku},
};

/// The most components of a bundle.
pub const MOST_COMPONENTS: usize = 50;
/// The most pieces of a component in one bundle.
const MOST_PIECES: i64 = 10_000;

/// What a bundle is made of: so many pieces of another variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BundleComponent, example = json!({"sku": "MUG-KONTOR", "quantity": 2}))]
pub struct Component {
    /// Its SKU: a variant that is sold and is no bundle itself.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    pub sku: Sku,
    /// How many pieces of it are in one bundle.
    #[schema(value_type = i64, minimum = 1, maximum = 10_000)]
    pub quantity: Quantity,
}

fn wrong(pointer: String, detail: impl Into<String>) -> Error {
    Error::problem(Code::BundleInvalid, detail).at(pointer)
}

/// That a bundle can be made of these, as far as they tell themselves; `own` is its SKU.
///
/// # Errors
/// `bundle_invalid` with the pointer to the component.
pub(super) fn check(own: &str, components: &[Component]) -> Result<()> {
    if !(1..=MOST_COMPONENTS).contains(&components.len()) {
        let detail =
            format!("a bundle has 1 to {MOST_COMPONENTS} components; leave `components` out of what is no bundle");
        return Err(wrong("/components".to_owned(), detail));
    }
    let mut seen: HashSet<&str> = HashSet::with_capacity(components.len());
    for (place, component) in components.iter().enumerate() {
        let at = |field: &str| format!("/components/{place}/{field}");
        if !(1..=MOST_PIECES).contains(&component.quantity.get()) {
            return Err(wrong(at("quantity"), format!("expected a whole number from 1 to {MOST_PIECES}")));
        }
        if *component.sku == *own {
            return Err(wrong(at("sku"), "a bundle is no component of itself"));
        }
        if !seen.insert(&component.sku) {
            return Err(wrong(at("sku"), "the component is there already: raise its quantity"));
        }
    }
    Ok(())
}

/// What is known of a SKU that is to be a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is sold and is no bundle.
    Sold,
    /// It is not sold any more.
    Archived,
    /// It is a bundle itself.
    Bundle,
}

impl Standing {
    pub(super) fn of(variant: &Variant) -> Self {
        match (variant.is_bundle(), variant.status) {
            (true, _) => Self::Bundle,
            (false, VariantStatus::Archived) => Self::Archived,
            (false, VariantStatus::Active) => Self::Sold,
        }
    }
}

/// That a bundle can be made of these, by what is known of them.
///
/// # Errors
/// `sku_unknown`, `bundle_invalid`, with the pointer to the component.
pub(super) fn check_known(components: &[Component], known: &BTreeMap<String, Standing>) -> Result<()> {
    for (place, Component { sku, .. }) in components.iter().enumerate() {
        let at = || format!("/components/{place}/sku");
        match known.get(&**sku) {
            Some(Standing::Sold) => {}
            Some(Standing::Archived) => return Err(wrong(at(), format!("`{sku}` is not sold any more"))),
            Some(Standing::Bundle) => {
                return Err(wrong(at(), format!("`{sku}` is a bundle itself: name its components")));
            }
            None => return Err(Error::problem(Code::SkuUnknown, format!("there is no SKU `{sku}`")).at(at())),
        }
    }
    Ok(())
}

/// The components of a changed variant. `now` are those that are asked for, where any are.
///
/// # Errors
/// `bundle_invalid`.
pub(super) fn changed(own: &str, before: &[Component], now: &[Component]) -> Result<Vec<Component>> {
    if before.is_empty() || now.is_empty() {
        let detail = match before.is_empty() {
            true if now.is_empty() => "it is no bundle and has no components: leave `components` out",
            true => "an article that was made without components does not become a bundle: make another SKU",
            false => "a bundle keeps at least one component: archive it where it is not sold any more",
        };
        return Err(wrong("/components".to_owned(), detail));
    }
    check(own, now)?;
    Ok(now.to_vec())
}

impl Variant {
    /// Whether it is made of others. A bundle has no stock of its own.
    #[must_use]
    pub const fn is_bundle(&self) -> bool {
        !self.components.is_empty()
    }

    /// Makes of a bundle what its components make of it, for whoever sells it: it is shipped where one of them is, weighs what they
    /// weigh together where it has no weight of its own, is counted where one of them is, may be sold beyond the stock where each that
    /// is counted may, and is not sold where one of them is not. Nothing happens to what is no bundle.
    pub fn be_as_made_of<'v>(&mut self, known: impl Fn(&str) -> Option<&'v Variant>) {
        if !self.is_bundle() {
            return;
        }
        let parts: Vec<(&Variant, i64)> = self
            .components
            .iter()
            .filter_map(|component| Some((known(&component.sku)?, component.quantity.get())))
            .collect();
        let sold = |variant: &Variant| variant.status == VariantStatus::Active && !variant.is_bundle();
        if parts.len() < self.components.len() || !parts.iter().all(|(variant, _)| sold(variant)) {
            self.status = VariantStatus::Archived;
        }
        if self.weight_grams == 0 {
            let weights = parts.iter().map(|(variant, pieces)| variant.weight_grams.saturating_mul(*pieces));
            self.weight_grams = weights.fold(0, i64::saturating_add);
        }
        let counted = |variant: &Variant| variant.stock_policy == StockPolicy::Tracked;
        self.requires_shipping = parts.iter().any(|(variant, _)| variant.requires_shipping);
        let (tracked, limited) =
            (parts.iter().any(|(variant, _)| counted(variant)), parts.iter().any(|(variant, _)| variant.is_limited()));
        self.stock_policy = if tracked { StockPolicy::Tracked } else { StockPolicy::Untracked };
        self.backorder_policy = if tracked && !limited { BackorderPolicy::Allow } else { BackorderPolicy::Deny };
    }
}

impl Component {
    /// How many bundles pieces suffice for: of each component so many are there, and so many are in a bundle. `None` where there is
    /// nothing to go by; less than nothing where a component owes.
    #[must_use]
    pub fn suffice(parts: impl IntoIterator<Item = (i64, i64)>) -> Option<i64> {
        parts.into_iter().map(|(there, in_one)| there.div_euclid(in_one.max(1))).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalog::NewVariant,
        kernel::{Id, Instant},
    };
    use serde_json::json;

    fn component(sku: &str, quantity: i64) -> Component {
        serde_json::from_value(json!({"sku": sku, "quantity": quantity})).unwrap()
    }

    fn variant(fields: serde_json::Value) -> Variant {
        let mut new = json!({"sku": "X", "name": "X", "tax_class": "standard"});
        new.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let new: NewVariant = serde_json::from_value(new).unwrap();
        new.build(Id::new(), Instant::from_micros(0)).unwrap()
    }

    fn pointer(error: Error) -> (Code, String) {
        let Error::Problem(problem) = error else { panic!("{error}") };
        (problem.code, problem.pointer.unwrap_or_default())
    }

    #[test]
    fn a_bundle_is_made_of_others_each_named_once() {
        assert!(check("SET", &[component("A", 1), component("B", 10_000)]).is_ok());
        let refused = |components: &[Component]| pointer(check("SET", components).unwrap_err());
        let at = |pointer: &str| (Code::BundleInvalid, pointer.to_owned());
        assert_eq!(refused(&[component("A", 1), component("SET", 1)]), at("/components/1/sku"));
        assert_eq!(refused(&[component("A", 1), component("A", 2)]), at("/components/1/sku"));
        assert_eq!(refused(&[component("A", 0)]), at("/components/0/quantity"));
        assert_eq!(refused(&[component("A", 10_001)]), at("/components/0/quantity"));
        let many: Vec<Component> = (0..51).map(|n| component(&format!("S{n}"), 1)).collect();
        assert_eq!((refused(&many), refused(&[])), (at("/components"), at("/components")));
        // What it is it stays.
        assert_eq!(pointer(changed("SET", &[], &many[..1]).unwrap_err()), at("/components"));
        assert_eq!(pointer(changed("SET", &many[..1], &[]).unwrap_err()), at("/components"));
        assert_eq!(pointer(changed("MUG", &[], &[]).unwrap_err()), at("/components"));
        assert_eq!(changed("SET", &many[..1], &many[1..3]).unwrap(), many[1..3]);
    }

    #[test]
    fn a_bundle_is_what_its_components_make_of_it() {
        let mug = variant(json!({"sku": "MUG", "weight_grams": 300}));
        let late = variant(json!({"sku": "LATE", "weight_grams": 50, "backorder_policy": "allow"}));
        let file = variant(json!({"sku": "FILE", "requires_shipping": false, "stock_policy": "untracked"}));
        let known = [mug, late, file];
        let made = |fields: serde_json::Value| {
            let mut bundle = variant(fields);
            bundle.be_as_made_of(|sku| known.iter().find(|variant| variant.sku == sku));
            bundle
        };
        let set = |skus: &[&str]| {
            let components: Vec<_> = skus.iter().map(|sku| json!({"sku": sku, "quantity": 2})).collect();
            made(json!({"sku": "SET", "components": components}))
        };
        let all = set(&["MUG", "LATE", "FILE"]);
        assert_eq!((all.weight_grams, all.requires_shipping, all.is_limited()), (700, true, true));
        let late = set(&["LATE", "FILE"]);
        assert_eq!((late.stock_policy, late.backorder_policy), (StockPolicy::Tracked, BackorderPolicy::Allow));
        let file = set(&["FILE"]);
        assert_eq!((file.stock_policy, file.requires_shipping), (StockPolicy::Untracked, false));
        assert_eq!((file.status, set(&["MUG", "GONE"]).status), (VariantStatus::Active, VariantStatus::Archived));
        let heavy = made(json!({"sku": "SET", "weight_grams": 1, "components": [{"sku": "MUG", "quantity": 1}]}));
        assert_eq!(heavy.weight_grams, 1);
    }

    #[test]
    fn the_scarcest_component_tells_how_many_there_are() {
        assert_eq!(Component::suffice([(7, 2), (9, 3), (100, 1)]), Some(3));
        assert_eq!(Component::suffice([(-1, 2), (9, 3)]), Some(-1));
        assert_eq!(Component::suffice([]), None);
    }
}
