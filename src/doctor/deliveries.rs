//! What must hold of orders with several deliveries.

use serde_json::Value;

use super::{Rule, by_id};
use crate::kernel::{Money, ids};

/// What each delivery's shipping costs sums to what shipping costs the order.
pub(super) const SHIPPING: Rule = Rule {
    promise: 4,
    name: "the shipping of an order is the sum of its deliveries'",
    scan: ("orders", "id"),
    key: by_id::<ids::Order>(),
    wrong: "SELECT o.id, CAST(o.doc->'totals'->'shipping' AS TEXT) || '\n' || CAST(o.doc->'deliveries' AS TEXT) FROM orders AS o \
            WHERE o.id BETWEEN ? AND ? AND o.doc->'deliveries'->1->>'key' IS NOT NULL \
            AND o.doc->'totals'->'shipping'->>'code' IS NOT NULL",
    judge: disagree,
};

/// The sums are in a document: they are added up here. Nothing of the addresses beside them is told.
fn disagree(found: String) -> Option<String> {
    let read = || {
        let (shipping, deliveries) = found.split_once('\n')?;
        let shipping: Value = serde_json::from_str(shipping).ok()?;
        let deliveries: Vec<Value> = serde_json::from_str(deliveries).ok()?;
        let amount = |of: &Value, field: &str| {
            let money: Option<Money> = serde_json::from_value(of.get(field)?.clone()).ok();
            money.map(Money::minor)
        };
        let sum = |field: &str| {
            let own = deliveries.iter().filter_map(|delivery| delivery.get("shipping"));
            own.map(|shipping| amount(shipping, field)).sum::<Option<i64>>()
        };
        let field = |field: &str| Some((amount(&shipping, field)?, sum(field)?));
        Some([field("net")?, field("tax")?, field("gross")?])
    };
    match read() {
        None => Some("its deliveries can not be read".to_owned()),
        Some(both) if both.iter().all(|(whole, sum)| whole == sum) => None,
        Some([net, tax, gross]) => Some(format!(
            "shipping net {}, tax {}, gross {}; its deliveries {}, {} and {}",
            net.0, tax.0, gross.0, net.1, tax.1, gross.1
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::disagree;

    #[test]
    fn the_shipping_of_deliveries_is_added_up() {
        let money = |amount: &str| format!("{{\"amount\": \"{amount}\", \"currency\": \"EUR\"}}");
        let sums = |net: &str, tax: &str, gross: &str| {
            format!("{{\"net\": {}, \"tax\": {}, \"gross\": {}}}", money(net), money(tax), money(gross))
        };
        let found = |whole: String, part: &str| {
            let one = format!("{{\"shipping\": {part}}}");
            format!("{whole}\n[{one}, {one}, {{}}]")
        };
        let part = sums("4.12", "0.78", "4.90");
        assert_eq!(disagree(found(sums("8.24", "1.56", "9.80"), &part)), None);
        assert!(disagree(found(sums("8.24", "1.56", "9.81"), &part)).is_some_and(|told| told.contains("gross 981")));
        assert!(disagree("nothing".to_owned()).is_some());
    }
}
