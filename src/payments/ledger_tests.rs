use proptest::prelude::*;

use super::*;

fn posting(entries: Vec<(Account, i64)>) -> Posting {
    let at = Instant::from_micros(0);
    Posting {
        order: OrderId::from_bytes([7; 16]),
        posting: "placed".into(),
        occurred_at: at,
        currency: "EUR".parse().unwrap(),
        entries,
    }
}

fn amounts() -> impl Strategy<Value = Vec<(Account, i64)>> {
    let account = prop::sample::select(Account::ALL);
    prop::collection::vec((account, -Money::MAX_INPUT..Money::MAX_INPUT), 0..12)
}

use crate::kernel::Money;

fn written(bind: &Bind) -> serde_json::Value {
    serde_json::to_value(bind).unwrap()
}

proptest! {
    #[test]
    fn what_is_booked_sums_to_zero_and_what_does_not_is_refused(mut entries in amounts(), off in 1i64..1000) {
        let sum: i64 = entries.iter().map(|(_, amount)| amount).sum();
        entries.push((Account::Receivable, -sum));
        let at = Instant::from_micros(0);
        let mut rows = Vec::new();
        super::entries(at, &posting(entries.clone()), &mut rows).unwrap();
        prop_assert_eq!(rows.iter().map(|row| written(&row[5]).as_i64().unwrap()).sum::<i64>(), 0);
        let mut ids: Vec<_> = rows.iter().map(|row| written(&row[0]).to_string()).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), rows.len());
        entries.push((Account::Fee, off));
        prop_assert!(super::entries(at, &posting(entries), &mut Vec::new()).is_err());
    }
}
