use proptest::prelude::*;

use super::*;

fn eur() -> Currency {
    "EUR".parse().unwrap()
}

fn value(balance: i64, held: i64) -> StoredValue {
    let (now, money) = (Instant::from_micros(1_000), |minor| Money::from_minor(minor, eur()));
    StoredValue {
        id: StoredValueId::new(),
        kind: ValueKind::GiftCard,
        state: ValueState::Active,
        balance: money(balance),
        held: money(held),
        available: money(balance - held),
        code_end: None,
        customer_id: None,
        expires_at: None,
        note: None,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

/// 80.00 are to be paid: a card of 50.00 of which 20.00 are set aside gives 30.00, one that is blocked nothing, one of 45.00 gives
/// 45.00, and of one of 10.00 the last 5.00 are taken.
#[test]
fn one_pays_after_the_other_as_far_as_it_reaches() {
    let mut blocked = value(9_900, 0);
    blocked.state = ValueState::Blocked;
    let values = [value(5_000, 2_000), blocked, value(4_500, 0), value(1_000, 0)];
    let uses = split(8_000, eur(), &values, Instant::from_micros(5));
    let amounts: Vec<i64> = uses.iter().map(|one| one.amount.minor()).collect();
    assert_eq!(amounts, [3_000, 0, 4_500, 500]);
    assert_eq!(uses[1].refused, Some(Refusal::Blocked));
    assert_eq!(uses[3].available.minor(), 1_000);
}

#[test]
fn what_has_expired_is_empty_or_in_another_currency_pays_nothing() {
    let now = Instant::from_micros(100);
    let until = |at| StoredValue { expires_at: Some(Instant::from_micros(at)), ..value(100, 0) };
    assert_eq!(until(100).payable(now, eur()), Err(Refusal::Expired));
    assert_eq!(until(101).payable(now, eur()), Ok(100));
    assert_eq!(value(100, 100).payable(now, eur()), Err(Refusal::Empty));
    assert_eq!(value(100, 0).payable(now, "CHF".parse().unwrap()), Err(Refusal::Currency));
}

proptest! {
    #[test]
    fn no_more_is_paid_than_there_is_nor_than_is_due(
        total in 0i64..100_000, values in proptest::collection::vec((0i64..50_000, 0i64..50_000), 0..6),
    ) {
        let values: Vec<StoredValue> = values.into_iter().map(|(a, b)| value(a.max(b), a.min(b))).collect();
        let uses = split(total, eur(), &values, Instant::from_micros(5));
        let paid: i64 = uses.iter().map(|one| one.amount.minor()).sum();
        let there: i64 = values.iter().map(|one| one.available.minor()).sum();
        prop_assert_eq!(paid, total.min(there));
        for (one, value) in uses.iter().zip(&values) {
            prop_assert!(one.amount.minor() <= value.available.minor());
        }
    }
}
