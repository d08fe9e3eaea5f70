use proptest::prelude::*;

use super::*;

fn now() -> Instant {
    Instant::from_micros(0)
}

fn payment(provider: &str, [amount, captured, refunded, disputed]: [i64; 4]) -> Payment {
    let money = |minor| Money::from_minor(minor, "EUR".parse().unwrap());
    let state = if captured < amount { PaymentState::Authorised } else { PaymentState::Captured };
    let nothing = money(0);
    Payment {
        id: PaymentId::new(),
        cart_id: Id::new(),
        order_id: Some(OrderId::new()),
        provider: provider.to_owned(),
        our_key: "k".to_owned(),
        provider_ref: None,
        state,
        amount: money(amount),
        captured: money(captured),
        refunded: money(refunded),
        voided: nothing,
        capture_pending: nothing,
        refund_pending: nothing,
        void_pending: nothing,
        attempt: 1,
        lease_until: None,
        idempotency_id: None,
        details: PaymentDetails::default(),
        version: 1,
        created_at: now(),
        updated_at: now(),
        ending: None,
        disputed: money(disputed),
        expires_at: None,
        due_at: None,
        parent: None,
        root: None,
    }
}

fn given(payments: &[Payment], sums: Sums) -> (Vec<(String, i64, i64)>, i64) {
    let (shares, rest) = plan(payments, sums, now());
    (shares.into_iter().map(|one| (one.of.provider, one.promised, one.captured)).collect(), rest)
}

#[test]
fn promises_go_over_before_what_was_taken_and_what_has_left_stays_paid() {
    let card = |promised, taken| ("sandbox".to_owned(), promised, taken);
    let sums = |cost, due, earned, owed| Sums { cost, due, earned, owed };
    // 40 of 100 have left and are taken; the second order's 30 come of the promise.
    assert_eq!(given(&[payment("sandbox", [100, 40, 0, 0])], sums(30, 100, 40, 60)), (vec![card(30, 0)], 0));
    // All is taken.
    assert_eq!(given(&[payment("sandbox", [100, 100, 0, 0])], sums(30, 100, 0, 0)), (vec![card(0, 30)], 0));
    // Some has come by transfer: each order has its share of it, and the rest is to come.
    let by_hand = |promised, taken| ("manual".to_owned(), promised, taken);
    assert_eq!(given(&[payment("manual", [100, 40, 0, 0])], sums(30, 100, 0, 60)), (vec![by_hand(18, 12)], 0));
    // A euro of goodwill was given back: nobody pays it again.
    assert_eq!(given(&[payment("sandbox", [100, 100, 1, 0])], sums(30, 100, 0, 0)), (vec![card(0, 30)], 0));
    // What is disputed stays with the first.
    assert_eq!(given(&[payment("sandbox", [100, 100, 0, 100])], sums(30, 100, 0, 0)), (vec![], 30));
    // Money before gift cards.
    let both = [payment("gift_card", [50, 0, 0, 0]), payment("sandbox", [50, 0, 0, 0])];
    let wanted = vec![card(50, 0), ("gift_card".to_owned(), 10, 0)];
    assert_eq!(given(&both, sums(60, 100, 0, 100)), (wanted, 0));
}

proptest! {
    #[test]
    fn no_more_goes_over_than_there_is_and_all_of_the_cost_is_somewhere(
        rows in prop::collection::vec((0..4usize, 0..1000i64, 0..1000i64, 0..1000i64, 0..1000i64), 0..4),
        cost in 0..2000i64, due in 0..4000i64, earned in 0..2000i64, owed in -1000..4000i64
    ) {
        let codes = ["manual", "sandbox", "gift_card", "on_account"];
        let rows: Vec<Payment> = rows.into_iter().map(|(code, amount, captured, refunded, disputed)| {
            let captured = captured.min(amount);
            let refunded = refunded.min(captured);
            payment(codes[code], [amount, captured, refunded, disputed.min(captured - refunded)])
        }).collect();
        let (shares, rest) = plan(&rows, Sums { cost, due, earned, owed }, now());
        prop_assert_eq!(shares.iter().map(|one| one.promised + one.captured).sum::<i64>() + rest, cost);
        prop_assert!(rest >= 0);
        for one in &shares {
            prop_assert!((0..=one.of.capturable().minor()).contains(&one.promised));
            prop_assert!((0..=one.of.refundable().minor()).contains(&one.captured));
        }
    }
}
