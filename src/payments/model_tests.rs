use proptest::prelude::*;

use super::*;

#[test]
fn the_table_says_each_thing_once_and_ends_where_nothing_is_left() {
    let mut seen: Vec<_> = TRANSITIONS.iter().map(|(from, command, _)| (*from, *command)).collect();
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(count, seen.len());
    assert!(Command::ALL.iter().all(|command| PaymentState::Voided.apply(*command).is_err()));
    let late = |end: PaymentState| Command::ALL.iter().filter(move |command| end.apply(**command).is_ok());
    assert!(late(PaymentState::Declined).eq([&Command::Authorise]));
    assert!(late(PaymentState::Failed).eq([&Command::Authorise, &Command::Decline, &Command::Resolve]));
    assert!(mermaid().contains("authorised --> captured: capture_rest"));
}

/// Whether money was promised or taken.
const fn holds_money(state: PaymentState) -> bool {
    matches!(state, PaymentState::Authorised | PaymentState::Captured)
}

proptest! {
    /// However commands follow each other: no money is taken that was not promised, an end is an end, and a payment
    /// is open or promised or ended, never two of them.
    #[test]
    fn no_sequence_of_commands_takes_money_without_a_promise(
        picks in prop::collection::vec(0..Command::ALL.len(), 0..30)
    ) {
        let (mut state, mut promised) = (PaymentState::Pending, false);
        for pick in picks {
            let command = Command::ALL[pick];
            let Ok(next) = state.apply(command) else { continue };
            promised |= command == Command::Authorise;
            prop_assert!(promised || !holds_money(next));
            prop_assert!(!(next.is_open() && holds_money(next)));
            // What is promised never becomes open again.
            prop_assert!(state.is_open() || !next.is_open());
            state = next;
        }
    }

    #[test]
    fn what_is_left_is_never_negative_and_never_more_than_there_is(
        amount in 0i64..1000, captured in 0i64..1000, voided in 0i64..1000, refunded in 0i64..1000, pending in 0i64..1000
    ) {
        let euro = "EUR".parse().unwrap();
        let money = |minor| Money::from_minor(minor, euro);
        let at = Instant::from_micros(0);
        let payment = Payment {
            id: PaymentId::new(), cart_id: CartId::new(), order_id: None, provider: "manual".into(), our_key: "k".into(),
            provider_ref: None, state: PaymentState::Authorised, amount: money(amount), captured: money(captured),
            refunded: money(refunded), voided: money(voided), capture_pending: money(pending), refund_pending: money(0),
            void_pending: money(0), attempt: 1, lease_until: None, idempotency_id: None, ending: None,
            details: PaymentDetails::default(), version: 1, created_at: at, updated_at: at, disputed: money(0), expires_at: None,
            due_at: None, parent: None, root: None,
        };
        prop_assert!((0..=amount).contains(&payment.capturable().minor()));
        prop_assert!((0..=captured).contains(&payment.refundable().minor()));
    }
}
