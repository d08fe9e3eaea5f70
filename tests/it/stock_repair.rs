//! Levels that are not what their movements and reservations say: shown, and repaired when somebody says so.

use futures::future::join_all;
use kontor::{
    db::sql,
    kernel::{Actor, Id},
    stock::{
        LevelKey,
        repair::{self, Difference, Trust},
    },
};
use serde_json::{Value, json};

use crate::{
    stock::{levels, sums_agree},
    support::{App, Shop, on_both, on_both_sites},
};

async fn tamper(app: &App, statement: &'static str) {
    let changed = app.state.db.write(move |tx| sql(statement).execute(tx)).await.unwrap();
    assert_eq!(changed, 1, "{statement}");
}

async fn differences(app: &App) -> Vec<Difference> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (some, next) = app.read(move |tx| repair::differences(tx, after, 1)).await;
        found.extend(some);
        match next {
            Some(next) => after = Some(next),
            None => return found,
        }
    }
}

async fn mend(app: &App, found: &[Difference], trust: Trust) -> Vec<Difference> {
    let (now, keys) = (app.now(), found.iter().map(|one| (one.variant_id, one.location_id)).collect::<Vec<LevelKey>>());
    let fresh: Vec<_> = keys.iter().map(|_| Id::new()).collect();
    let write = app.state.db.write(move |tx| repair::repair(tx, now, &Actor::System("test"), &keys, trust, &fresh));
    write.await.unwrap()
}

async fn newest_movement(app: &App, sku: &str) -> Value {
    let page = app.ops("GET", &format!("/stock/movements?sku={sku}&limit=1"), None).await.expect(200);
    page["items"][0].clone()
}

#[test]
fn a_level_is_set_to_what_its_movements_say_or_the_movements_make_up_for_it() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 10), ("MUG", "9.90", 10)]).await;
        shop.order(&[("TEE", 2), ("MUG", 1)]).await;
        assert_eq!(differences(&app).await, []);
        tamper(&app, "UPDATE stock_levels SET on_hand = 13, reserved = 4 WHERE variant_id = (SELECT id FROM variants WHERE sku = 'TEE')").await;
        tamper(
            &app,
            "UPDATE stock_levels SET on_hand = 7 WHERE variant_id = (SELECT id FROM variants WHERE sku = 'MUG')",
        )
        .await;
        let found = differences(&app).await;
        let seen: Vec<_> = found.iter().map(|one| (one.on_hand, one.allocated, one.reserved)).collect();
        assert_eq!(seen, [((13, 10), (2, 2), (4, 0)), ((7, 10), (1, 1), (0, 0))]);
        assert_eq!(mend(&app, &found[..1], Trust::Ledger).await.len(), 1);
        assert_eq!(levels(&app, "TEE").await[0].1, [10, 2, 0, 0, 8]);
        let told = newest_movement(&app, "TEE").await;
        assert_eq!((&told["kind"], &told["on_hand"]), (&json!("repair"), &json!(0)));
        assert_eq!(told["reason"], "on hand 13, by its movements 10; reserved 4, by its reservations 0");
        assert_eq!(mend(&app, &found[1..], Trust::Level).await.len(), 1);
        assert_eq!(levels(&app, "MUG").await[0].1, [7, 1, 0, 0, 6]);
        let told = newest_movement(&app, "MUG").await;
        assert_eq!((&told["kind"], &told["on_hand"]), (&json!("repair"), &json!(-3)));
        // Nothing is left, and what was repaired already is left alone.
        assert_eq!(differences(&app).await, []);
        assert_eq!(mend(&app, &found, Trust::Ledger).await, []);
        sums_agree(&app).await;
    });
}

/// While a level is sold from and repaired at once, neither gets lost.
#[test]
fn a_repair_beside_sales_takes_nothing_from_them() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("TEE", "19.90", 40)]).await;
        tamper(&app, "UPDATE stock_levels SET on_hand = 45").await;
        let found = differences(&app).await;
        let carts = join_all((0..10).map(|_| shop.cart(&[("TEE", 2)]))).await;
        let buy = join_all(carts.iter().map(|cart| shop.complete(cart, "approve")));
        let repairs = join_all((0..4).map(|_| mend(&app, &found, Trust::Ledger)));
        let (bought, repaired) = tokio::join!(buy, repairs);
        bought.into_iter().for_each(|answer| drop(answer.expect(201)));
        assert_eq!(repaired.iter().map(Vec::len).sum::<usize>(), 1);
        assert_eq!(levels(&app, "TEE").await[0].1, [40, 20, 0, 0, 20]);
        sums_agree(&app).await;
    });
}

#[test]
fn the_command_changes_nothing_unless_it_is_told_to() {
    on_both_sites(|site| async move {
        let server = site.serve(&[]);
        let app = site.app(&server).await;
        Shop::open(&app, &[("TEE", "19.90", 10)]).await;
        let text = |output: std::process::Output| (output.status.success(), String::from_utf8(output.stdout).unwrap());
        assert_eq!(text(site.run(&["stock", "repair"])), (true, "Nothing is to be repaired.\n".to_owned()));
        assert_eq!(site.tamper("UPDATE stock_levels SET on_hand = 13").await, 1);
        let (well, told) = text(site.run(&["stock", "repair"]));
        assert!(!well && told.contains("on hand 13 and by its movements 10"), "{told}");
        assert_eq!(levels(&app, "TEE").await[0].1[0], 13);
        let (well, told) = text(site.run(&["stock", "repair", "--yes"]));
        assert!(well && told.ends_with("1 levels repaired.\n"), "{told}");
        assert_eq!(levels(&app, "TEE").await[0].1[0], 10);
        site.doctor().await;
        server.terminate();
    });
}
