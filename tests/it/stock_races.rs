//! Many buyers at once: nothing is sold twice, the sums agree, and no deadlock reaches a caller.

use futures::future::join_all;
use kontor::{
    error::{Code, Error},
    kernel::{
        Id,
        ids::{CartId, VariantId},
    },
    stock::{self, Adjustment, Change, Need},
};
use rand::seq::SliceRandom;

use crate::{
    stock::{ACTOR, consume, levels, location, locations, need, put, release, reserve, sums_agree, variant},
    support::{App, eventually, on_both_idle},
};

/// One of each variant in random order.
fn one_of_each(variants: &[VariantId]) -> Vec<Need> {
    let mut needs: Vec<Need> = variants.iter().enumerate().map(|(n, id)| need(n as i32 + 1, *id, 1)).collect();
    needs.shuffle(&mut rand::rng());
    needs
}

#[test]
fn the_last_pieces_are_sold_once_however_many_want_them() {
    on_both_idle(|app| async move {
        // What is allocated is allocated for no order.
        app.makes_things_up();
        let mut variants = Vec::new();
        for code in ["one", "two"] {
            location(&app, code, 1).await;
        }
        for sku in ["A", "B", "C"] {
            variants.push(variant(&app, sku).await);
            put(&app, sku, "one", 3).await;
            put(&app, sku, "two", 4).await;
        }
        let later = app.now().plus_seconds(900);
        let buyers = (0..40).map(|_| {
            let (app, needs) = (app.clone(), one_of_each(&variants));
            tokio::spawn(async move {
                let cart = CartId::new();
                match reserve(&app, cart, &needs, later).await {
                    Ok(_) => consume(&app, cart).await.map(|shares| shares.len()),
                    Err(error) if error.code() == Code::OutOfStock => None,
                    Err(error) => panic!("{error}"),
                }
            })
        });
        let sold = join_all(buyers).await.into_iter().filter(|ended| ended.as_ref().unwrap().is_some()).count();
        assert_eq!(sold, 7);
        for sku in ["A", "B", "C"] {
            let left: Vec<_> = levels(&app, sku).await.into_iter().map(|(_, figures)| figures).collect();
            assert_eq!(left, [[3, 3, 0, 0, 0], [4, 4, 0, 0, 0]]);
        }
        sums_agree(&app).await;
    });
}

#[test]
fn a_due_reservation_is_either_consumed_or_sold_to_another() {
    on_both_idle(|app| async move {
        let (mug, cup) = (variant(&app, "MUG").await, variant(&app, "CUP").await);
        location(&app, "main", 1).await;
        put(&app, "MUG", "main", 1).await;
        put(&app, "CUP", "main", 1).await;
        for round in 1..=6 {
            let holder = CartId::new();
            let needs = [need(1, cup, 1), need(2, mug, 1)];
            reserve(&app, holder, &needs, app.now().plus_seconds(5)).await.unwrap();
            app.clock.advance_seconds(6);
            let later = app.now().plus_seconds(900);
            let wanting = (0..5).map(|_| {
                let app = app.clone();
                tokio::spawn(async move {
                    let cart = CartId::new();
                    reserve(&app, cart, &[need(1, mug, 1), need(2, cup, 1)], later).await.ok().map(|_| cart)
                })
            });
            let holding = tokio::spawn({
                let app = app.clone();
                async move { consume(&app, holder).await }
            });
            let winners: Vec<CartId> = join_all(wanting).await.into_iter().filter_map(|ended| ended.unwrap()).collect();
            let consumed = holding.await.unwrap();
            assert_eq!(winners.len() + usize::from(consumed.is_some()), 1, "round {round}");
            sums_agree(&app).await;
            for cart in winners {
                release(&app, cart).await;
            }
            if let Some(shares) = consumed {
                let now = app.now();
                let write = app.state.db.write(move |tx| stock::deallocate(tx, now, &ACTOR, &shares, "o", now));
                write.await.unwrap();
            }
            assert_eq!(levels(&app, "MUG").await[0].1, [1, 0, 0, 0, 1]);
        }
    });
}

/// Everything that moves counters, at random, one after another.
async fn a_busy_person(app: App, variants: Vec<VariantId>, codes: [&'static str; 3]) {
    for _ in 0..12 {
        let cart = CartId::new();
        let mut needs = one_of_each(&variants);
        needs.truncate(rand::random_range(1..=3));
        needs.iter_mut().for_each(|need| need.quantity = rand::random_range(1..=2));
        let until = app.now().plus_seconds(rand::random_range(1..=8));
        let dice: u32 = rand::random_range(0..10);
        app.clock.advance_seconds(i64::from(dice == 0) * 4);
        match reserve(&app, cart, &needs, until).await {
            Ok(_) if dice < 3 => release(&app, cart).await,
            Ok(_) if dice < 5 => {}
            Ok(_) => ship_or_cancel(&app, cart, dice).await,
            Err(error) => assert_eq!(error.code(), Code::OutOfStock, "{error}"),
        }
        match dice {
            9 => {
                let now = app.now();
                app.state.db.write(move |tx| stock::expire_due(tx, now, 3)).await.unwrap();
            }
            6..=8 => recount(&app, ["A", "B", "C"], codes).await,
            _ => {}
        }
    }
}

async fn ship_or_cancel(app: &App, cart: CartId, dice: u32) {
    let Some(shares) = consume(app, cart).await else { return };
    let (now, shipped) = (app.now(), shares.clone());
    if dice.is_multiple_of(2) {
        match app
            .state
            .db
            .write(move |tx| stock::ship(tx, now, &ACTOR, (&shipped, &[], &stock::lots::Keep::new()), "o", now, &[]))
            .await
        {
            Ok(()) => return,
            // A recount found fewer meanwhile: nothing leaves.
            Err(error) => assert_eq!(error.code(), Code::StockNegative, "{error}"),
        }
    }
    app.state.db.write(move |tx| stock::deallocate(tx, now, &ACTOR, &shares, "o", now)).await.unwrap();
}

/// One piece of each SKU more or fewer, at random places and in random order.
async fn recount(app: &App, mut skus: [&str; 3], mut codes: [&str; 3]) {
    skus.shuffle(&mut rand::rng());
    codes.shuffle(&mut rand::rng());
    let lines = skus.iter().zip(codes).map(|(sku, location)| Adjustment {
        sku: (*sku).to_owned(),
        location: location.to_owned(),
        change: Change::By(if rand::random() { 1 } else { -1 }),
        expected_on_hand: None,
        reason: None,
        pointer: String::new(),
        event: Id::new(),
        lot: None,
        asks: false,
        reported: false,
    });
    let (lines, now, places): (Vec<_>, _, _) = (lines.collect(), app.now(), locations(app).await);
    let write = app.state.db.write(move |tx| stock::adjust(tx, now, &ACTOR, &lines, &places, now).map(|_| ()));
    match write.await {
        Ok(()) => {}
        Err(error) => assert_eq!(error.code(), Code::StockNegative, "{error}"),
    }
}

#[test]
fn the_sums_agree_after_everything_at_once() {
    on_both_idle(|app| async move {
        // Nobody asks here for whom goods are that come while some are owed.
        app.leaves_work();
        let mut variants = Vec::new();
        let codes = ["one", "two", "three"];
        for (priority, code) in codes.iter().enumerate() {
            location(&app, code, priority as i64).await;
        }
        for sku in ["A", "B", "C"] {
            variants.push(variant(&app, sku).await);
            for code in codes {
                put(&app, sku, code, 4).await;
            }
        }
        let people = (0..16).map(|_| tokio::spawn(a_busy_person(app.clone(), variants.clone(), codes)));
        for ended in join_all(people).await {
            ended.unwrap();
        }
        sums_agree(&app).await;
        let now = app.now().plus_seconds(60);
        app.state.db.write(move |tx| stock::expire_due(tx, now, 1000)).await.unwrap();
        for sku in ["A", "B", "C"] {
            assert!(levels(&app, sku).await.iter().all(|(_, figures)| figures[2] == 0), "nothing is withheld");
        }
        sums_agree(&app).await;
    });
}

#[test]
fn a_refused_reservation_leaves_nothing_behind() {
    on_both_idle(|app| async move {
        let (mug, cup) = (variant(&app, "MUG").await, variant(&app, "CUP").await);
        location(&app, "main", 1).await;
        put(&app, "MUG", "main", 5).await;
        let cart = CartId::new();
        let refused = reserve(&app, cart, &[need(1, mug, 1), need(2, cup, 1)], app.now()).await;
        assert!(matches!(refused, Err(Error::Problem(problem)) if problem.pointer.as_deref() == Some("/lines/1")));
        assert_eq!(consume(&app, cart).await, None);
        assert_eq!(levels(&app, "MUG").await[0].1, [5, 0, 0, 0, 5]);
        sums_agree(&app).await;
    });
}

#[test]
fn what_is_booked_in_at_the_very_moment_can_leave() {
    on_both_idle(|app| async move {
        // Nobody looks for what has gone missing here.
        app.leaves_work();
        if !app.is_postgres() {
            // There is one writer: nothing happens at the very moment.
            return;
        }
        let mug = variant(&app, "MUG").await;
        location(&app, "main", 1).await;
        put(&app, "MUG", "main", 1).await;
        let cart = CartId::new();
        reserve(&app, cart, &[need(1, mug, 1)], app.now().plus_seconds(60)).await.unwrap();
        let shares = consume(&app, cart).await.unwrap();
        put(&app, "MUG", "main", -1).await;
        // One piece comes in, but its transaction lasts until the parcel waits for it.
        let (now, places) = (app.now(), locations(&app).await);
        let more = Adjustment {
            sku: "MUG".to_owned(),
            location: "main".to_owned(),
            change: Change::By(1),
            expected_on_hand: None,
            reason: None,
            pointer: String::new(),
            event: Id::new(),
            lot: None,
            asks: false,
            reported: false,
        };
        let (held, is_held) = tokio::sync::oneshot::channel();
        let (go_on, goes_on) = std::sync::mpsc::channel::<()>();
        let (held, goes_on) = (std::sync::Mutex::new(Some(held)), std::sync::Mutex::new(goes_on));
        let db = app.state.db.clone();
        let comes_in = tokio::spawn(async move {
            db.write(move |tx| {
                stock::adjust(tx, now, &ACTOR, std::slice::from_ref(&more), &places, now)?;
                held.lock().unwrap().take().unwrap().send(()).unwrap();
                goes_on.lock().unwrap().recv().unwrap();
                Ok(())
            })
            .await
        });
        is_held.await.unwrap();
        let db = app.state.db.clone();
        let leaves = tokio::spawn(async move {
            db.write(move |tx| stock::ship(tx, now, &ACTOR, (&shares, &[], &stock::lots::Keep::new()), "o", now, &[]))
                .await
        });
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("the parcel waits", || async { app.count(waiting).await > 0 }).await;
        go_on.send(()).unwrap();
        comes_in.await.unwrap().unwrap();
        leaves.await.unwrap().unwrap();
        assert_eq!(levels(&app, "MUG").await[0].1, [0, 0, 0, 0, 0]);
        sums_agree(&app).await;
    });
}
