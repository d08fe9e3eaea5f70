//! The planner's promises, for random orders, levels and rules.

use std::{collections::BTreeSet, sync::Arc};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    kernel::{Capabilities, Country, Id, Instant},
    stock::{
        model::Location,
        site::Site,
        sourcing::{document::Weights, model::LineFacts},
    },
};

fn variant(number: u8) -> VariantId {
    Id::from_bytes([number; 16])
}

fn place(number: u8) -> LocationId {
    Id::from_bytes([100 + number; 16])
}

fn locations(count: u8) -> Locations {
    let location = |number: u8| Location {
        id: place(number),
        code: format!("l{number:03}"),
        name: String::new(),
        country: Country::DEFAULT,
        time_zone: "Europe/Berlin".parse().unwrap(),
        priority: i64::from(number),
        active: true,
        version: 1,
        site: Site::default(),
        created_at: Instant::from_micros(0),
    };
    Locations::new((0..count).map(location).collect())
}

fn facts(marks: &[(i32, &str)]) -> Facts {
    let line = |(line_no, mark): &(i32, &str)| {
        let metadata = json!({"set": mark}).as_object().unwrap().clone();
        (*line_no, LineFacts { grams: 100, metadata })
    };
    Facts {
        channel: Id::from_bytes([1; 16]),
        country: Country::DEFAULT,
        postcode: None,
        value: None,
        customer_group: None,
        tags: Vec::new(),
        at: Instant::from_micros(0),
        keeps_until: None,
        lines: Arc::new(marks.iter().map(line).collect()),
        weight_grams: 0,
        only: None,
        further: Vec::new(),
    }
}

fn document(weights: Weights, limits: serde_json::Value) -> ProfileDocument {
    serde_json::from_value(json!({"strategies": [{"name": "one", "weights": weights, "limits": limits}]})).unwrap()
}

fn need(line_no: i32, number: u8, quantity: i64) -> Need {
    let (variant, requires) = (variant(number), Capabilities::NONE);
    Need { place: 0, line_no, delivery: 0, variant, quantity, tracked: true, backorder: false, requires }
}

fn planned(
    document: &ProfileDocument,
    needs: &[Need],
    facts: &Facts,
    places: u8,
    available: &Available,
) -> Result<Plan, NoPlan> {
    plan_by(("p", 1), document, Order { needs, facts, except: &[] }, &locations(places), available)
}

fn used(plan: &Plan) -> BTreeSet<LocationId> {
    plan.planned.iter().map(|planned| planned.share.location).collect()
}

const PARCELS: Weights = Weights { parcels: 100, distance: 0, cost: 0, balance: 0, priority: 0, date: 0, backorder: 0 };

#[test]
fn lines_of_one_mark_come_from_one_location_and_lines_of_their_goods_with_them() {
    let needs = [need(1, 1, 1), need(2, 2, 1), need(3, 1, 1), need(4, 3, 1)];
    let facts = facts(&[(1, "a"), (2, "a"), (4, "b")]);
    // The first location has everything but the second line's goods.
    let rows = [((1, 0), 9), ((3, 0), 9), ((1, 1), 2), ((2, 1), 1)];
    let available: Available = rows.into_iter().map(|((v, l), has)| ((variant(v), place(l)), has)).collect();
    let priority = Weights { parcels: 0, priority: 1, ..PARCELS };
    let apart = planned(&document(priority, json!({})), &needs, &facts, 2, &available).unwrap();
    let at = |plan: &Plan| plan.planned.iter().map(|one| (one.share.line_no, one.share.location)).collect::<Vec<_>>();
    assert_eq!(at(&apart), [(1, place(0)), (2, place(1)), (3, place(0)), (4, place(0))]);
    let kept = planned(&document(priority, json!({"together": "set"})), &needs, &facts, 2, &available).unwrap();
    assert_eq!(at(&kept), [(1, place(1)), (2, place(1)), (3, place(1)), (4, place(0))]);
}

#[test]
fn marks_that_meet_in_the_goods_of_a_line_are_one() {
    let needs = [need(1, 1, 1), need(2, 2, 1), need(3, 3, 1), need(4, 1, 1), need(5, 2, 1)];
    let facts = facts(&[(1, "a"), (3, "b"), (5, "a"), (4, "b")]);
    let bundles = bundles(&needs, &facts, Some("set"));
    assert_eq!(
        bundles.iter().map(|one| (one.needs.clone(), one.kept)).collect::<Vec<_>>(),
        [(vec![0, 1, 2, 3, 4], true)]
    );
    let plain = super::bundles(&needs, &facts, None);
    let plain: Vec<_> = plain.iter().map(|one| (one.needs.clone(), one.kept)).collect();
    assert_eq!(plain, [(vec![0, 3], false), (vec![1, 4], false), (vec![2], false)]);
}

#[test]
fn a_strategy_that_asks_how_long_goods_keep_counts_no_others() {
    let (needs, facts) = ([need(1, 1, 3)], facts(&[]));
    let rows = [((1, 0), 9), ((1, 1), 5), ((1, 2), 2)];
    let mut available: Available = rows.into_iter().map(|((v, l), has)| ((variant(v), place(l)), has)).collect();
    let day = |days: i64| Instant::from_micros(0).plus_seconds(86_400 * days);
    available.note_lot((variant(1), place(0)), day(5), 9);
    available.note_lot((variant(1), place(1)), day(5), 2);
    available.note_lot((variant(1), place(1)), day(50), 1);
    let strict = |days: i64| {
        let rules = json!({"strategies": [{"name": "one", "filters": {"shelf_life_days": days}}], "fallback": {"then": "refuse"}});
        planned(&serde_json::from_value(rules).unwrap(), &needs, &facts, 3, &available)
    };
    let plan = strict(10).unwrap();
    assert_eq!((used(&plan), plan.shelf_life_days), (BTreeSet::from([place(1)]), Some(10)));
    // From the end of the day on.
    assert!(plan.planned.iter().all(|one| one.guarded && one.keeps_until > Some(day(10))));
    let looked_at = plan.sourcing[0].looked_at.iter().map(|one| (one.location_id, one.available, one.why));
    let expected = [(place(1), 3, Why::BestScore), (place(2), 2, Why::LacksLine), (place(0), 0, Why::ShelfLife)];
    assert_eq!(looked_at.collect::<Vec<_>>(), expected);
    assert_eq!(plan.sourcing[0].profile.as_ref().unwrap().shelf_life_days, Some(10));
    assert!(strict(3).is_ok_and(|plan| used(&plan) == BTreeSet::from([place(0)])));
    // What keeps longer lies in two places, less than all of it in each.
    assert!(strict(60).is_ok_and(|plan| used(&plan) == BTreeSet::from([place(1), place(2)])));
}

prop_compose! {
    fn a_need()(number in 0u8..4, quantity in 1i64..8, tracked in prop::bool::weighted(0.9)) -> Need {
        // Goods are kept or not, and may be sold beyond the stock or not, whatever line they stand in.
        Need { tracked: tracked || number > 0, backorder: number == 3, ..need(0, number, quantity) }
    }
}

proptest! {
    #[test]
    fn whole_quantities_within_what_is_available_and_never_more_parcels_than_the_usual_plan(
        mut needs in prop::collection::vec(a_need(), 1..8),
        stock in prop::collection::hash_map((0u8..4, 0u8..14), -3i64..12, 0..40),
        (places, most, divide, backorders) in (1u8..14, 1i64..6, any::<bool>(), any::<bool>()),
    ) {
        needs.iter_mut().enumerate().for_each(|(place, need)| (need.place, need.line_no) = (place, place as i32 + 1));
        let untracked: BTreeSet<VariantId> = needs.iter().filter(|need| !need.tracked).map(|need| need.variant).collect();
        needs.iter_mut().for_each(|need| need.tracked &= !untracked.contains(&need.variant));
        let available: Available = stock.iter().map(|((v, l), has)| ((variant(*v), place(*l)), *has)).collect();
        let limits = json!({"most_parcels": most, "divide_lines": divide, "backorders": backorders});
        let facts = facts(&[]);
        let found = locations(places);
        let order = Order { needs: &needs, facts: &facts, except: &[] };
        let limited = document(PARCELS, limits);
        let by_rules = by_strategy((&limited, &limited.strategies[0]), order, &found, &available);
        if let Some(plan) = &by_rules {
            let mut guarded: HashMap<(VariantId, LocationId), i64> = HashMap::new();
            for need in &needs {
                let own: Vec<&Planned> = plan.planned.iter().filter(|one| one.share.line_no == need.line_no).collect();
                prop_assert_eq!(own.iter().map(|one| one.share.quantity).sum::<i64>(), need.quantity);
                prop_assert!(divide || !need.tracked || own.len() == 1 || needs.iter().filter(|one| one.variant == need.variant).count() > 1);
            }
            for Planned { share, guarded: is_guarded, .. } in &plan.planned {
                prop_assert!(share.quantity > 0 && found.get(share.location).is_ok());
                prop_assert_eq!(*is_guarded, share.tracked && !(share.variant == variant(3) && backorders));
                if *is_guarded {
                    *guarded.entry((share.variant, share.location)).or_default() += share.quantity;
                }
            }
            prop_assert!(guarded.iter().all(|((v, l), taken)| *taken <= has(&available, *v, *l)));
            prop_assert!(used(plan).len() <= most as usize);
            // What a trace says was given is what is given; each tracked line has one.
            for need in needs.iter().filter(|need| need.tracked) {
                let trace = plan.sourcing.iter().find(|one| one.line_no == need.line_no).unwrap();
                prop_assert_eq!(trace.looked_at.iter().map(|one| one.given).sum::<i64>(), need.quantity);
            }
        }
        let free = document(PARCELS, json!({}));
        let usual = plan::plan(&needs, &found, &available);
        let fewest = by_strategy((&free, &free.strategies[0]), order, &found, &available);
        match (usual, fewest) {
            (Ok(usual), Some(fewest)) => prop_assert!(places > 10 || used(&fewest).len() <= used(&usual).len()),
            (Ok(_), None) => prop_assert!(false, "a plan was missed"),
            (Err(_), found) => prop_assert!(found.is_none()),
        }
    }

    #[test]
    fn nothing_is_given_by_a_location_that_can_not_do_what_the_goods_require(
        mut needs in prop::collection::vec(a_need(), 1..6),
        asks in prop::collection::vec(0u8..8, 4),
        can in prop::collection::vec(0u8..8, 1..9),
        stock in prop::collection::hash_map((0u8..4, 0u8..9), 0i64..12, 0..30),
        fallback in 0usize..4,
        profile in any::<bool>(),
    ) {
        let words = |bits: u8| {
            let named = ["bulky", "cold_chain", "hazmat"].into_iter().enumerate().filter(|(at, _)| bits & (1 << at) > 0);
            let named: Vec<crate::kernel::Capability> = named.map(|(_, word)| word.parse().unwrap()).collect();
            Capabilities::try_from(named).unwrap()
        };
        for (place, need) in needs.iter_mut().enumerate() {
            (need.place, need.line_no) = (place, place as i32 + 1);
            let number = usize::from(need.variant.bytes()[0]);
            need.requires = words(asks[number]);
            need.tracked = number > 0;
        }
        let found = locations(can.len() as u8);
        let able = |(location, bits): (&Location, &u8)| {
            Location { site: Site { capabilities: words(*bits), ..Site::default() }, ..location.clone() }
        };
        let all = Locations::new(found.iter().zip(&can).map(able).collect());
        let available: Available = stock.iter().map(|((v, l), has)| ((variant(*v), place(*l)), *has)).collect();
        let then = ["usual", "refuse", "backorder", "drop_ship"][fallback];
        let mut rules = json!({"strategies": [{"name": "one"}], "fallback": {"then": then}});
        if fallback > 1 {
            rules["fallback"]["location"] = json!("l000");
        }
        let facts = facts(&[]);
        let order = Order { needs: &needs, facts: &facts, except: &[] };
        let capable = available.capable(&needs, &all, &[]);
        let plan = match profile {
            true => plan_by(("p", 1), &serde_json::from_value(rules).unwrap(), order, &all, &capable),
            false => plan::plan(&needs, &all, &capable),
        };
        let nobody = |need: &Need| !all.iter().any(|place| need.requires.are_had_by(&place.site.capabilities));
        match plan {
            Ok(plan) => {
                prop_assert!(!needs.iter().any(nobody));
                for Planned { share, .. } in &plan.planned {
                    let need = needs.iter().find(|need| need.line_no == share.line_no).unwrap();
                    let place = all.get(share.location).unwrap();
                    prop_assert!(need.requires.are_had_by(&place.site.capabilities), "{share:?}");
                }
            }
            Err(NoPlan::Incapable { place }) => prop_assert!(nobody(&needs[place])),
            Err(_) => prop_assert!(!needs.iter().any(nobody)),
        }
    }
}
