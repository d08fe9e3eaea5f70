//! Payments: guarded money, leases, the ledger, the sandbox and notifications.

use std::collections::HashSet;

use diesel::sql_types::BigInt;
use futures::future::join_all;
use kontor::{
    db::{Tx, sql},
    error::{Code, Error, Result},
    http::auth::Audience,
    kernel::{
        Id, Instant, Money, Scope,
        ids::{OrderId, PaymentId, PaymentOperationId},
    },
    payments::{
        self, Account, Action, Decline, NOT_FOUND, NewOperation, NewPayment, Operation, OperationKind, Outcome,
        Payment, PaymentDetails, PaymentState, Posting, ProviderError, ledger,
    },
};
use serde_json::json;

use crate::support::{App, eventually, on_both, on_both_idle};

fn euro(minor: i64) -> Money {
    Money::from_minor(minor, "EUR".parse().unwrap())
}

/// Runs a transaction.
async fn write<T: Send + 'static>(
    app: &App,
    work: impl Fn(&mut Tx, Instant) -> Result<T> + Send + 'static,
) -> Result<T> {
    let now = app.now();
    app.state.db.write(move |tx| work(tx, now)).await
}

fn new_payment(provider: &str, amount: i64, state: PaymentState, instrument: Option<&str>) -> NewPayment {
    let id = PaymentId::new();
    NewPayment {
        id,
        cart: Id::new(),
        order: (state == PaymentState::Authorised).then(Id::new),
        provider: provider.to_owned(),
        our_key: id.to_string(),
        amount: euro(amount),
        state,
        provider_ref: None,
        lease_until: None,
        idempotency_id: None,
        expires_at: None,
        due_at: None,
        details: PaymentDetails {
            instrument: instrument.map(str::to_owned),
            checkout: json!({"kept": [1, 2]}),
            ..PaymentDetails::default()
        },
    }
}

/// A payment in the database.
async fn a_payment(app: &App, new: NewPayment) -> Payment {
    let id = new.id;
    write(app, move |tx, now| payments::open(tx, now, &new)).await.unwrap();
    read(app, id).await
}

/// A promise of an immediate provider.
async fn a_promise(app: &App, amount: i64) -> Payment {
    a_payment(app, new_payment("manual", amount, PaymentState::Authorised, None)).await
}

/// An attempt whose lease runs out after so many seconds.
async fn an_attempt(app: &App, lease: i64) -> Payment {
    let lease_until = Some(app.now().plus_seconds(lease));
    a_payment(app, NewPayment { lease_until, ..new_payment("sandbox", 1000, PaymentState::Pending, None) }).await
}

async fn read(app: &App, id: PaymentId) -> Payment {
    app.read(move |tx| payments::get(tx, id)).await.unwrap()
}

fn operation(payment: &Payment, kind: OperationKind, amount: i64) -> NewOperation {
    let id = PaymentOperationId::new();
    let our_key = format!("{kind}:{id}");
    NewOperation { id, payment: payment.id, kind, our_key, amount, reason: None, idempotency_id: None }
}

/// Begins operations all at once; gives those that were let through.
async fn begin_all(app: &App, all: Vec<NewOperation>, refused: &[Code]) -> Vec<NewOperation> {
    let begun = join_all(all.into_iter().map(|new| async move {
        let asked = new.clone();
        (new, write(app, move |tx, now| payments::begin_operation(tx, now, &asked)).await)
    }))
    .await;
    begun
        .into_iter()
        .filter_map(|(new, result)| match result {
            Ok(()) => Some(new),
            Err(error) => {
                assert!(refused.contains(&error.code()), "{error}");
                None
            }
        })
        .collect()
}

#[test]
fn however_many_refunds_begin_at_once_no_more_than_was_captured_is_asked_for() {
    on_both(|app| async move {
        let payment = a_promise(&app, 1000).await;
        let capture = operation(&payment, OperationKind::Capture, 700);
        write(&app, move |tx, now| payments::record_operation(tx, now, &capture)).await.unwrap();
        let refunds = (0..30).map(|_| operation(&payment, OperationKind::Refund, 50)).collect();
        let begun = begin_all(&app, refunds, &[Code::RefundExceeded]).await;
        assert_eq!(begun.len(), 14);
        let found = read(&app, payment.id).await;
        assert_eq!(
            (found.refund_pending, found.refundable(), found.state),
            (euro(700), euro(0), PaymentState::Authorised)
        );

        // Each ends twice at once, once as done and once as failed: it counts once.
        let ended = join_all(begun.iter().map(|new| {
            let id = new.id;
            let done = write(&app, move |tx, now| payments::finish_operation(tx, now, id));
            let failed = write(&app, move |tx, now| payments::fail_operation(tx, now, id, "refused"));
            async { (done.await.unwrap(), failed.await.unwrap()) }
        }))
        .await;
        assert!(ended.iter().all(|(done, failed)| done.is_some() != failed.is_some()));
        let done = ended.iter().filter(|(done, _)| done.is_some()).count();
        let found = read(&app, payment.id).await;
        assert_eq!((found.refund_pending, found.refunded), (euro(0), euro(50 * i64::try_from(done).unwrap())));
        let operations = app.read(move |tx| payments::operations(tx, &[payment.id])).await;
        assert!(operations.iter().all(|operation| operation.state != payments::OperationState::Pending));
    });
}

#[test]
fn captures_and_voids_at_once_share_the_promise_and_never_exceed_it() {
    on_both(|app| async move {
        app.makes_things_up();
        let payment = a_promise(&app, 1000).await;
        let kinds = [OperationKind::Capture, OperationKind::Void];
        let all = (0..40).map(|turn| operation(&payment, kinds[turn % 2], 50)).collect();
        let begun = begin_all(&app, all, &[Code::PaymentNotCapturable, Code::StateConflict]).await;
        assert_eq!(begun.len(), 20);
        let found = read(&app, payment.id).await;
        assert_eq!((found.capturable(), found.state), (euro(0), PaymentState::Authorised));
        join_all(begun.iter().map(|new| {
            let id = new.id;
            write(&app, move |tx, now| payments::finish_operation(tx, now, id))
        }))
        .await
        .into_iter()
        .for_each(|ended| assert!(ended.unwrap().is_some()));
        let found = read(&app, payment.id).await;
        let captured =
            50 * i64::try_from(begun.iter().filter(|new| new.kind == OperationKind::Capture).count()).unwrap();
        assert_eq!((found.captured, found.voided), (euro(captured), euro(1000 - captured)));
        let state = if captured > 0 { PaymentState::Captured } else { PaymentState::Voided };
        assert_eq!(found.state, state);
    });
}

#[test]
fn the_states_after_operations_are_those_of_the_table() {
    use OperationKind::{Capture, Refund, Void};
    type Story = (&'static [(OperationKind, i64)], PaymentState);
    const STORIES: &[Story] = &[
        (&[(Capture, 400)], PaymentState::Authorised),
        (&[(Capture, 400), (Capture, 600)], PaymentState::Captured),
        (&[(Void, 400)], PaymentState::Authorised),
        (&[(Void, 400), (Void, 600)], PaymentState::Voided),
        (&[(Capture, 400), (Void, 600)], PaymentState::Captured),
        (&[(Void, 400), (Capture, 600)], PaymentState::Captured),
        (&[(Capture, 400), (Refund, 400)], PaymentState::Authorised),
        (&[(Capture, 1000), (Refund, 1000)], PaymentState::Captured),
    ];
    on_both(|app| async move {
        app.makes_things_up();
        for (story, state) in STORIES {
            for at_once in [true, false] {
                let payment = a_promise(&app, 1000).await;
                for (kind, amount) in *story {
                    let new = operation(&payment, *kind, *amount);
                    let id = new.id;
                    write(&app, move |tx, now| {
                        if at_once {
                            return payments::record_operation(tx, now, &new);
                        }
                        payments::begin_operation(tx, now, &new)?;
                        payments::finish_operation(tx, now, id).map(drop)
                    })
                    .await
                    .unwrap();
                }
                assert_eq!(read(&app, payment.id).await.state, *state, "{story:?}");
            }
        }
        // What the state does not allow is refused, and says why.
        let payment = a_promise(&app, 1000).await;
        let refused = |kind, amount| {
            let new = operation(&payment, kind, amount);
            let app = app.clone();
            async move { write(&app, move |tx, now| payments::begin_operation(tx, now, &new)).await.unwrap_err().code() }
        };
        assert_eq!(refused(Capture, 1001).await, Code::PaymentNotCapturable);
        assert_eq!(refused(Void, 1001).await, Code::StateConflict);
        assert_eq!(refused(Refund, 1).await, Code::RefundExceeded);
        assert_eq!(refused(Refund, 0).await, Code::InvalidValue);
        assert_eq!(refused(Capture, -5).await, Code::InvalidValue);
        assert_eq!(refused(Capture, i64::MAX).await, Code::PaymentNotCapturable);
        let foreign = NewOperation { payment: Id::new(), ..operation(&payment, Capture, 1) };
        let missing = write(&app, move |tx, now| payments::begin_operation(tx, now, &foreign)).await;
        assert_eq!(missing.unwrap_err().code(), Code::NotFound);
    });
}

#[test]
fn a_key_of_an_operation_is_taken_once() {
    on_both(|app| async move {
        let payment = a_promise(&app, 1000).await;
        let twins = (0..8)
            .map(|_| NewOperation { our_key: "capture:1".into(), ..operation(&payment, OperationKind::Capture, 100) });
        assert_eq!(begin_all(&app, twins.collect(), &[Code::Duplicate]).await.len(), 1);
        assert_eq!(read(&app, payment.id).await.capture_pending, euro(100));
    });
}

#[test]
fn sweepers_at_once_take_each_overdue_attempt_once_and_late_answers_are_refused() {
    on_both_idle(|app| async move {
        let attempts = join_all((0..40).map(|_| an_attempt(&app, 30))).await;
        let in_time = an_attempt(&app, 3600).await;
        assert!(
            !app.read({
                let now = app.now();
                move |tx| payments::any_due(tx, now)
            })
            .await
        );
        app.clock.advance_seconds(31);
        assert!(
            app.read({
                let now = app.now();
                move |tx| payments::any_due(tx, now)
            })
            .await
        );
        let mut taken = Vec::new();
        // What one sweeper is taking at this moment another leaves; so they come again until nothing is due.
        loop {
            let sweeps = (0..4).map(|_| write(&app, |tx, now| payments::claim_due(tx, now, 60, 7)));
            let swept: Vec<Payment> = join_all(sweeps).await.into_iter().flat_map(Result::unwrap).collect();
            if swept.is_empty() {
                break;
            }
            taken.extend(swept);
        }
        let ids: HashSet<_> = taken.iter().map(|payment| payment.id).collect();
        assert_eq!((taken.len(), ids.len()), (40, 40));
        assert!(!ids.contains(&in_time.id) && taken.iter().all(|payment| payment.attempt == 2));
        assert_eq!(taken[0].details.checkout, json!({"kept": [1, 2]}));

        // The first attempt's answer is too late; of many answers at once to the second, one counts.
        let (id, order) = (attempts[0].id, OrderId::new());
        assert!(!write(&app, move |tx, now| payments::authorised(tx, now, id, 1, (None, None), order)).await.unwrap());
        let answers = (0..16).map(|turn| {
            write(&app, move |tx, now| match turn % 4 {
                0 => payments::authorised(tx, now, id, 2, (Some("ref"), None), order),
                1 => payments::declined(tx, now, id, 2, &Decline { code: "no".into(), retryable: true }),
                2 => payments::voided(tx, now, id, 2),
                _ => payments::failed(tx, now, id, 2, &Decline { code: "odd".into(), retryable: false }),
            })
        });
        assert_eq!(join_all(answers).await.into_iter().filter(|answer| *answer.as_ref().unwrap()).count(), 1);
        let found = read(&app, id).await;
        assert!(found.lease_until.is_none() && !found.state.is_open());
        assert_eq!(found.order_id.is_some(), found.state == PaymentState::Authorised);
    });
}

#[test]
fn an_action_is_kept_until_it_is_done_and_a_notification_takes_over() {
    on_both(|app| async move {
        let payment = an_attempt(&app, 30).await;
        let (id, until) = (payment.id, app.now().plus_seconds(900));
        let action =
            Action { r#type: "redirect".into(), url: "https://bank.example/3ds?a=1&b='".into(), client_secret: None };
        let asked = action.clone();
        let wrote = write(&app, move |tx, now| payments::action_required(tx, now, id, 1, &asked, Some("ref"), until));
        assert!(wrote.await.unwrap());
        let found = read(&app, id).await;
        assert_eq!((found.state, found.details.action.as_ref()), (PaymentState::ActionRequired, Some(&action)));
        assert_eq!((found.lease_until, found.details.checkout), (Some(until), json!({"kept": [1, 2]})));
        // The lease has not run out, and the provider's word counts nevertheless.
        let key = payment.our_key.clone();
        let claimed = write(&app, move |tx, now| payments::claim(tx, now, &key, 60)).await.unwrap().unwrap();
        assert_eq!((claimed.attempt, claimed.provider_ref.as_deref()), (2, Some("ref")));
        let decline = Decline { code: "insufficient_funds".into(), retryable: true };
        let said = decline.clone();
        assert!(write(&app, move |tx, now| payments::declined(tx, now, id, 2, &said)).await.unwrap());
        let view = payments::PaymentView::from(&read(&app, id).await);
        assert_eq!((view.state, view.decline, view.action), (PaymentState::Declined, Some(decline), None));
        let key = payment.our_key.clone();
        assert!(write(&app, move |tx, now| payments::claim(tx, now, &key, 60)).await.unwrap().is_none());
    });
}

#[test]
fn a_promise_without_an_order_is_given_up_once() {
    on_both(|app| async move {
        // The provider approves what we had given up waiting for.
        let payment = an_attempt(&app, 30).await;
        let (id, key) = (payment.id, payment.our_key.clone());
        write(&app, move |tx, now| {
            payments::declined(tx, now, id, 1, &Decline { code: NOT_FOUND.into(), retryable: true })
        })
        .await
        .unwrap();
        let told = (0..4).map(|_| {
            let key = key.clone();
            write(&app, move |tx, now| payments::late_promise(tx, now, &key))
        });
        assert!(join_all(told).await.into_iter().all(|found| found.unwrap().is_some()));
        assert_eq!(read(&app, id).await.state, PaymentState::Authorised);
        let given = join_all((0..4).map(|_| write(&app, move |tx, now| payments::given_up(tx, now, id)))).await;
        assert_eq!(given.into_iter().filter(|given| *given.as_ref().unwrap()).count(), 1);
        let found = read(&app, id).await;
        assert_eq!((found.state, found.voided, found.order_id), (PaymentState::Voided, euro(1000), None));

        // The order could not be made after all.
        let payment = an_attempt(&app, 30).await;
        let (id, key) = (payment.id, payment.our_key.clone());
        write(&app, move |tx, now| {
            assert!(payments::authorised(tx, now, id, 1, (None, None), OrderId::new())?);
            payments::orphaned(tx, now, id)
        })
        .await
        .unwrap();
        let found = read(&app, id).await;
        assert_eq!((found.state, found.order_id), (PaymentState::Authorised, None));
        assert!(write(&app, move |tx, now| payments::given_up(tx, now, id)).await.unwrap());

        // A promise that has its order is left alone.
        let kept = a_promise(&app, 1000).await;
        let (id, own) = (kept.id, kept.our_key.clone());
        assert!(write(&app, move |tx, now| payments::late_promise(tx, now, &own)).await.unwrap().is_none());
        assert!(!write(&app, move |tx, now| payments::given_up(tx, now, id)).await.unwrap());
        assert!(write(&app, move |tx, now| payments::late_promise(tx, now, &key)).await.unwrap().is_some());
    });
}

#[test]
fn payments_of_carts_and_orders_are_found_with_one_statement() {
    on_both_idle(|app| async move {
        let all = join_all((0..5).map(|amount| a_promise(&app, 100 + amount))).await;
        let orders: Vec<OrderId> = all.iter().filter_map(|payment| payment.order_id).collect();
        // What runs beside (numbering events, looking for changed reference data) is counted too: the least of a few counts.
        let mut least = u64::MAX;
        for _ in 0..20 {
            let (before, orders) = (app.state.db.stats().statements, orders.clone());
            let found = app.read(move |tx| payments::of_orders(tx, &orders)).await;
            least = least.min(app.state.db.stats().statements - before);
            assert_eq!(found.len(), 5);
        }
        assert_eq!(least, 1);
        let (cart, order) = (all[0].cart_id, all[0].order_id.unwrap());
        assert_eq!(app.read(move |tx| payments::of_cart(tx, cart)).await, [all[0].clone()]);
        assert_eq!(app.read(move |tx| payments::of_order(tx, order)).await, [all[0].clone()]);
        assert!(app.read(|tx| payments::of_orders(tx, &[])).await.is_empty());
    });
}

#[test]
fn the_ledger_takes_what_is_balanced_and_takes_it_once() {
    on_both(|app| async move {
        let (order, other, at) = (OrderId::new(), OrderId::new(), app.now());
        let posting = move |order, name: &str, entries: Vec<(Account, i64)>| Posting {
            order,
            posting: name.to_owned(),
            occurred_at: at,
            currency: "EUR".parse().unwrap(),
            entries,
        };
        let placed = vec![(Account::Receivable, 11_900), (Account::Revenue, -10_000), (Account::Tax, -1_900)];
        let all = vec![
            posting(order, "placed", placed.clone()),
            posting(order, "capture:1", vec![(Account::Captured, 11_900), (Account::Receivable, -11_900)]),
            posting(other, "placed", placed.clone()),
        ];
        write(&app, move |tx, now| ledger::post(tx, now, all.clone())).await.unwrap();
        let balance = app.read(move |tx| ledger::balance(tx, order)).await;
        let wanted = [
            (Account::Captured, 11_900),
            (Account::Receivable, 0),
            (Account::Revenue, -10_000),
            (Account::Tax, -1_900),
        ];
        assert_eq!(balance, wanted);
        // The same posting again is refused, however many come at once.
        let refund = posting(order, "refund:1", vec![(Account::Refunded, -500), (Account::Revenue, 500)]);
        let twins = (0..8).map(|_| {
            let refund = refund.clone();
            write(&app, move |tx, now| ledger::post(tx, now, vec![refund.clone()]))
        });
        let booked = join_all(twins).await;
        assert_eq!(booked.iter().filter(|booked| booked.is_ok()).count(), 1);
        assert!(booked.iter().filter_map(|booked| booked.as_ref().err()).all(Error::is_unique_violation));
        let off = posting(order, "odd", vec![(Account::Fee, 1)]);
        let refused = write(&app, move |tx, now| ledger::post(tx, now, vec![off.clone()])).await;
        assert_eq!(refused.unwrap_err().code(), Code::Internal);
        let total =
            app.read(|tx| sql("SELECT CAST(sum(amount) AS bigint) FROM ledger_entries").load::<BigInt, i64>(tx));
        assert_eq!(total.await, [0]);
    });
}

/// What a sandbox instrument answers when it is asked.
async fn ask(app: &App, instrument: &str) -> (Payment, Result<Outcome, ProviderError>) {
    let payment = a_payment(app, new_payment("sandbox", 1000, PaymentState::Pending, Some(instrument))).await;
    let provider = payments::providers(&app.state).of(&payment).unwrap();
    let answer = provider.authorise(&payment).await;
    (payment, answer)
}

async fn lookup(app: &App, payment: &Payment) -> Outcome {
    payments::providers(&app.state).of(payment).unwrap().lookup(payment).await.unwrap()
}

fn no(code: &str, retryable: bool) -> Outcome {
    Outcome::Declined(Decline { code: code.to_owned(), retryable })
}

/// How many jobs of a kind are in the queue, in whatever state.
async fn jobs(app: &App, kind: &'static str) -> i64 {
    app.read(move |tx| sql("SELECT count(*) FROM jobs WHERE kind = ?").bind(kind).load::<BigInt, i64>(tx)).await[0]
}

#[test]
fn the_sandbox_does_as_its_instrument_says() {
    on_both(|app| async move {
        // These payments are of no cart: what follows from their news is tried again and again.
        app.leaves_work();
        for instrument in ["approve", "approve_recorded", "late:0", "twice"] {
            let (payment, answer) = ask(&app, instrument).await;
            assert!(matches!(answer, Ok(Outcome::Authorised { .. })), "{instrument}");
            assert_eq!(answer.unwrap(), lookup(&app, &payment).await, "{instrument}");
        }
        for (instrument, wanted) in [
            ("decline", no("insufficient_funds", true)),
            ("decline_final", no("do_not_honour", false)),
            ("gold", no("instrument_unknown", true)),
            ("late:99999999", no("instrument_unknown", true)),
        ] {
            let (payment, answer) = ask(&app, instrument).await;
            assert_eq!((answer.unwrap(), lookup(&app, &payment).await), (wanted.clone(), wanted), "{instrument}");
        }
        // The connection breaks off after the money was promised.
        let (payment, answer) = ask(&app, "error").await;
        assert!(matches!(answer, Err(ProviderError::NoAnswer(_))));
        assert!(matches!(lookup(&app, &payment).await, Outcome::Authorised { .. }));
        // Never answers, and never heard of it.
        let silent = tokio::time::timeout(std::time::Duration::from_millis(50), ask(&app, "hang")).await;
        assert!(silent.is_err());
        let unheard =
            a_payment(&app, new_payment("sandbox", 1000, PaymentState::Pending, Some("approve_recorded"))).await;
        assert_eq!(lookup(&app, &unheard).await, no(NOT_FOUND, true));
        // Two notifications more of the same news.
        eventually("the notifications are delivered", || async { jobs(&app, "sandbox.webhook").await == 0 }).await;
    });
}

#[test]
fn the_sandbox_does_each_key_once_and_refuses_what_was_given_up_before() {
    on_both(|app| async move {
        let (payment, _) = ask(&app, "approve_recorded").await;
        let providers = payments::providers(&app.state);
        let path = format!("/sandbox/payments/{}", payment.our_key);
        let op = |kind, amount, key: &str| {
            let void = Operation::void_all(&payment);
            Operation { kind, amount, our_key: format!("{}:{key}", payment.our_key), ..void }
        };
        let capture = op(OperationKind::Capture, 600, "c1");
        let captured = join_all((0..8).map(|_| providers.perform(&payment, &capture))).await;
        assert!(captured.iter().all(Result::is_ok), "{captured:?}");
        let refunds: Vec<_> = (0..8).map(|turn| op(OperationKind::Refund, 200, &format!("r{turn}"))).collect();
        let refunded = join_all(refunds.iter().map(|refund| providers.perform(&payment, refund))).await;
        assert_eq!(refunded.iter().filter(|refunded| refunded.is_ok()).count(), 3);
        assert!(refunded.into_iter().filter_map(Result::err).all(|error| matches!(error, ProviderError::Refused(_))));
        providers.perform(&payment, &op(OperationKind::Void, 400, "v1")).await.unwrap();
        assert!(providers.perform(&payment, &op(OperationKind::Capture, 1, "c2")).await.is_err());
        let found = app.ops("GET", &path, None).await.expect(200);
        let amounts = ["captured", "voided", "refunded", "authorised"].map(|field| found[field]["amount"].clone());
        assert_eq!(amounts, ["6.00", "4.00", "6.00", "6.00"].map(serde_json::Value::from));

        // Given up before the question arrived: the question is refused.
        for instrument in ["approve_recorded", "redirect", "error"] {
            let late = a_payment(&app, new_payment("sandbox", 1000, PaymentState::Pending, Some(instrument))).await;
            for _ in 0..2 {
                providers.perform(&late, &Operation::void_all(&late)).await.unwrap();
            }
            let answer = providers.of(&late).unwrap().authorise(&late).await;
            assert!(matches!(answer, Ok(Outcome::Declined(_)) | Err(_)), "{answer:?}");
            assert_eq!(lookup(&app, &late).await, no("voided", true));
        }
    });
}

#[test]
fn a_redirect_is_decided_through_the_api_and_told_by_a_notification() {
    on_both(|app| async move {
        // These payments are of no cart: what follows from their news is tried again and again.
        app.leaves_work();
        let (payment, answer) = ask(&app, "redirect").await;
        let Ok(Outcome::ActionRequired(action, Some(_))) = answer else { panic!("{answer:?}") };
        assert!(action.r#type == "redirect" && action.url.ends_with(&payment.our_key));
        assert!(matches!(lookup(&app, &payment).await, Outcome::ActionRequired(..)));
        let path = format!("/sandbox/payments/{}", payment.our_key);
        assert_eq!(app.ops("GET", &path, None).await.expect(200)["state"], "pending");

        // Many press both buttons at once: one of the two is what happened.
        let pressed = join_all((0..12).map(|turn| {
            let path = format!("{path}/{}", if turn % 2 == 0 { "approve" } else { "decline" });
            let app = app.clone();
            async move { app.ops("POST", &path, None).await }
        }))
        .await;
        let accepted: HashSet<String> = pressed
            .iter()
            .filter(|answer| answer.status == 202)
            .map(|answer| answer.body["state"].to_string())
            .collect();
        assert_eq!(accepted.len(), 1, "{accepted:?}");
        assert!(pressed.iter().all(|answer| answer.status == 202 || answer.body["code"] == "state_conflict"));
        eventually("the notifications are delivered", || async { jobs(&app, "sandbox.webhook").await == 0 }).await;

        app.ops("POST", "/sandbox/payments/nobody/approve", None).await.problem(404, "not_found");
        let ask_as = |token: String| {
            let (app, path) = (app.clone(), format!("/v1/ops{path}"));
            async move { app.send("GET", &path, &[("Authorization", &format!("Bearer {token}"))], None).await }
        };
        ask_as(app.token(Audience::Staff, "eve", &[Scope::OrdersRead])).await.problem(403, "scope_missing");
        let mut limited = app.claims(Audience::Staff, "eve", "payments:write");
        limited.channels = Some(vec![Id::new()]);
        ask_as(app.state.verifier.issue(limited).unwrap()).await.problem(404, "not_found");
    });
}

#[test]
fn forged_changed_old_and_huge_notifications_are_refused() {
    on_both(|app| async move {
        let body = json!({"id": "x", "our_key": "pay_none", "outcome": {"result": "authorised", "detail": {"provider_ref": null}}});
        let body = body.to_string();
        let post = |provider: &str, headers: Vec<(&'static str, String)>, body: String| {
            let mut request = app.client.post(format!("{}/v1/webhooks/payments/{provider}", app.url)).body(body);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            async move {
                let answer = request.send().await.unwrap();
                (answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap()["code"].clone())
            }
        };
        let signed = |at, body: &str| payments::sign(&app.state.secret, "msg_1", at, body.as_bytes()).to_vec();
        let refused = |answer: (u16, serde_json::Value)| assert_eq!(answer, (401, json!("webhook_signature_invalid")));
        refused(post("sandbox", vec![], body.clone()).await);
        refused(post("sandbox", signed(app.now(), &body), body.replace("none", "mine")).await);
        refused(post("sandbox", signed(app.now().plus_seconds(-301), &body), body.clone()).await);
        refused(post("sandbox", signed(app.now().plus_seconds(301), &body), body.clone()).await);
        let mut stolen = signed(app.now(), &body);
        stolen[0].1 = "msg_2".into();
        refused(post("sandbox", stolen, body.clone()).await);
        let foreign = kontor::http::seal::Secret::new(b"another shop");
        refused(
            post("sandbox", payments::sign(&foreign, "msg_1", app.now(), body.as_bytes()).to_vec(), body.clone()).await,
        );
        for (provider, body) in [("manual", &body), ("nobody", &body)] {
            assert_eq!(post(provider, signed(app.now(), body), body.clone()).await, (404, json!("not_found")));
        }
        let huge = " ".repeat((64 << 10) + 1);
        assert_eq!(post("sandbox", signed(app.now(), &huge), huge.clone()).await, (413, json!("body_too_large")));
        for odd in ["", "{}", "null", "{\"id\":1}", "\u{0}"] {
            assert_eq!(post("sandbox", signed(app.now(), odd), odd.to_owned()).await, (400, json!("body_malformed")));
        }
        assert_eq!(jobs(&app, payments::NOTIFIED).await, 0);

        // The right one is taken, and as often as it comes it waits once.
        let twins = (0..8).map(|_| post("sandbox", signed(app.now(), &body), body.clone()));
        assert!(join_all(twins).await.into_iter().all(|(status, _)| status == 202));
        assert!(jobs(&app, payments::NOTIFIED).await <= 1);
    });
}
