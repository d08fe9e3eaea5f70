//! The planner's promises, for random needs and levels.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::{
    kernel::{Capabilities, Id, Instant},
    stock::{
        available::Available,
        model::{LevelChange, Location, sum_changes},
    },
};

fn variant(number: u8) -> VariantId {
    Id::from_bytes([number; 16])
}

fn place(number: u8) -> LocationId {
    Id::from_bytes([100 + number; 16])
}

fn locations(active: &[bool]) -> Locations {
    let location = |(number, active): (usize, &bool)| Location {
        id: place(number as u8),
        code: format!("l{number}"),
        name: String::new(),
        country: "DE".parse().unwrap(),
        time_zone: "Europe/Berlin".parse().unwrap(),
        priority: number as i64,
        active: *active,
        version: 1,
        site: crate::stock::Site::default(),
        created_at: Instant::from_micros(0),
    };
    Locations::new(active.iter().enumerate().map(location).collect())
}

fn need(line_no: i32, number: u8, quantity: i64) -> Need {
    let (variant, requires) = (variant(number), Capabilities::NONE);
    Need { place: 0, line_no, delivery: 0, variant, quantity, tracked: true, backorder: false, requires }
}

fn levels(rows: &[(u8, u8, i64)]) -> Available {
    rows.iter().map(|(number, at, available)| ((variant(*number), place(*at)), *available)).collect()
}

fn places(planned: &[Planned]) -> Vec<LocationId> {
    planned.iter().map(|planned| planned.share.location).collect()
}

#[test]
fn one_location_for_all_is_better_than_the_first_for_some() {
    let all = locations(&[true, true, true]);
    let rows = levels(&[(1, 0, 9), (1, 1, 9), (2, 1, 9), (1, 2, 9), (2, 2, 9)]);
    let planned = plan(&[need(1, 1, 2), need(2, 2, 2)], &all, &rows).unwrap().planned;
    assert_eq!(places(&planned), [place(1), place(1)]);
}

#[test]
fn a_line_is_divided_only_where_it_is_whole_nowhere() {
    let all = locations(&[true, true]);
    let planned =
        plan(&[need(1, 1, 5), need(2, 2, 2)], &all, &levels(&[(1, 0, 3), (1, 1, 2), (2, 1, 2)])).unwrap().planned;
    let parts: Vec<_> = planned.iter().map(|p| (p.share.line_no, p.share.location, p.share.quantity)).collect();
    assert_eq!(parts, [(1, place(0), 3), (1, place(1), 2), (2, place(1), 2)]);
}

fn told(needs: &[Need], all: &Locations, rows: &[(u8, u8, i64)]) -> Vec<(i32, Vec<(LocationId, i64, i64, Why)>)> {
    let looked_at = |one: &LookedAt| (one.location_id, one.available, one.given, one.why);
    let sourcing = plan(needs, all, &levels(rows)).unwrap().sourcing;
    sourcing.iter().map(|trace| (trace.line_no, trace.looked_at.iter().map(looked_at).collect())).collect()
}

#[test]
fn a_plan_tells_what_was_looked_at_and_why_it_was_chosen_or_passed_over() {
    let all = locations(&[true, true, true]);
    let needs = [need(1, 1, 2), need(2, 2, 2)];
    // Nothing to tell where the first asked has everything.
    assert_eq!(told(&needs, &all, &[(1, 0, 9), (2, 0, 9)]), []);
    assert_eq!(
        told(&needs, &all, &[(1, 0, 9), (2, 0, 1), (1, 1, 3), (2, 1, 4), (1, 2, 9), (2, 2, 9)]),
        [
            (1, vec![(place(0), 9, 0, Why::LacksOthers), (place(1), 3, 2, Why::WholeOrder)]),
            (2, vec![(place(0), 1, 0, Why::LacksLine), (place(1), 4, 2, Why::WholeOrder)]),
        ]
    );
    // The second line goes where the first does as far as it can.
    assert_eq!(
        told(&needs, &all, &[(1, 1, 2), (2, 0, 1), (2, 1, 1)]),
        [
            (1, vec![(place(0), 0, 0, Why::LacksLine), (place(1), 2, 2, Why::WholeLine)]),
            (2, vec![(place(1), 1, 1, Why::Part), (place(0), 1, 1, Why::Part), (place(2), 0, 0, Why::LacksLine)]),
        ]
    );
}

#[test]
fn a_backorder_tells_what_there_was() {
    let late = [Need { backorder: true, ..need(1, 1, 5) }];
    assert_eq!(told(&late, &locations(&[true, false]), &[(1, 0, 3)]), [(1, vec![(place(0), 3, 5, Why::Backordered)])]);
    let both = [late[0].clone(), need(2, 2, 1)];
    let all = locations(&[true, true, true]);
    assert_eq!(
        told(&both, &all, &[(1, 0, 7), (2, 1, 1), (2, 2, 1)]),
        [
            (
                1,
                vec![
                    (place(0), 7, 0, Why::LacksOthers),
                    (place(1), 0, 5, Why::Backordered),
                    (place(2), 0, 0, Why::NotNeeded),
                ]
            ),
            (
                2,
                vec![
                    (place(0), 0, 0, Why::LacksLine),
                    (place(1), 1, 1, Why::AllButBackorders),
                    (place(2), 1, 0, Why::NotNeeded),
                ]
            ),
        ]
    );
}

#[test]
fn a_trace_of_many_lines_among_many_locations_stays_small() {
    let all = locations(&[true; 60]);
    let needs: Vec<Need> = (1..=1000).map(|line| need(line, 1, 1)).collect();
    let rows: Vec<(u8, u8, i64)> = (0..60).map(|at| (1, at, if at == 59 { 5000 } else { 3 })).collect();
    let sourcing = plan(&needs, &all, &levels(&rows)).unwrap().sourcing;
    assert_eq!(sourcing.len(), 1000);
    assert!(sourcing.iter().all(|trace| trace.looked_at.len() <= 2));
    assert!(sourcing.iter().all(|trace| trace.looked_at.last().unwrap().given == 1), "what was chosen is always told");
    let few = plan(&needs[..1], &all, &levels(&[(1, 59, 1)])).unwrap().sourcing;
    assert_eq!(few[0].looked_at.len(), 10);
}

#[test]
fn what_is_short_says_which_line_and_how_many_are_left_for_it() {
    let rows = levels(&[(1, 0, 3), (1, 1, 2)]);
    let needs = [need(7, 1, 4), need(8, 1, 2)];
    let refused = plan(&needs, &locations(&[true, true]), &rows);
    assert_eq!(refused, Err(NoPlan::Short { place: 1, available: 1 }));
    assert_eq!(plan(&needs, &locations(&[true, false]), &rows), Err(NoPlan::Short { place: 0, available: 3 }));
    assert_eq!(plan(&needs, &locations(&[false, false]), &rows), Err(NoPlan::NoLocation));
}

#[test]
fn backorders_and_untracked_lines_go_along_with_the_rest() {
    let all = locations(&[true, true]);
    let needs = [Need { backorder: true, ..need(1, 1, 5) }, Need { tracked: false, ..need(2, 3, 1) }, need(3, 2, 1)];
    let planned = plan(&needs, &all, &levels(&[(2, 1, 1)])).unwrap().planned;
    assert_eq!(places(&planned), [place(1); 3]);
    assert_eq!(planned.iter().map(|planned| planned.guarded).collect::<Vec<_>>(), [false, false, true]);
    let alone = plan(&needs[1..2], &all, &Available::default()).unwrap().planned;
    assert_eq!((places(&alone), alone[0].share.tracked), (vec![place(0)], false));
}

#[test]
fn what_is_given_back_to_a_level_counts_for_what_is_taken_there() {
    let key = (variant(1), place(0));
    let take = LevelChange { reserved: 5, guard: Some(5), ..LevelChange::of(key) };
    let back = LevelChange { reserved: -3, ..LevelChange::of(key) };
    assert_eq!(sum_changes([take, back]), [LevelChange { reserved: 2, guard: Some(2), ..LevelChange::of(key) }]);
    assert_eq!(sum_changes([back, back]), [LevelChange { reserved: -6, ..LevelChange::of(key) }]);
}

prop_compose! {
    fn a_need()(number in 0u8..4, quantity in 1i64..8, tracked in prop::bool::weighted(0.9), backorder in prop::bool::weighted(0.2)) -> Need {
        Need { tracked, backorder, ..need(0, number, quantity) }
    }
}

proptest! {
    #[test]
    fn whole_quantities_within_what_is_available_and_one_location_when_possible(
        mut needs in prop::collection::vec(a_need(), 1..8),
        stock in prop::collection::hash_map((0u8..4, 0u8..4), -3i64..12, 0..16),
        active in prop::collection::vec(any::<bool>(), 4),
    ) {
        needs.iter_mut().enumerate().for_each(|(place, need)| need.line_no = place as i32 + 1);
        let all = locations(&active);
        let rows: Available = stock.iter().map(|((v, l), left)| ((variant(*v), place(*l)), *left)).collect();
        let open: Vec<LocationId> = all.active().map(|location| location.id).collect();
        let has = |v: VariantId, l: LocationId| rows.get(&(v, l)).copied().unwrap_or(0);
        let strict = sums(needs.iter().filter(|need| need.tracked && !need.backorder));
        let total = |v: VariantId| open.iter().map(|l| has(v, *l).max(0)).sum::<i64>();
        match plan(&needs, &all, &rows) {
            Err(NoPlan::NoLocation) => prop_assert!(open.is_empty()),
            // Nothing is required here.
            Err(NoPlan::Incapable { .. }) => prop_assert!(false),
            Err(NoPlan::Short { place, available }) => {
                let short = &needs[place];
                prop_assert!(short.tracked && !short.backorder && available < short.quantity);
                prop_assert!(strict[&short.variant] > total(short.variant));
            }
            Ok(Plan { planned, sourcing, .. }) => {
                prop_assert!(strict.iter().all(|(v, sum)| *sum <= total(*v)));
                let mut per_line: HashMap<i32, i64> = HashMap::new();
                let mut guarded: HashMap<(VariantId, LocationId), i64> = HashMap::new();
                for Planned { share, guarded: is_guarded, .. } in &planned {
                    prop_assert!(share.quantity > 0 && open.contains(&share.location));
                    *per_line.entry(share.line_no).or_default() += share.quantity;
                    if *is_guarded {
                        *guarded.entry((share.variant, share.location)).or_default() += share.quantity;
                    }
                }
                prop_assert!(needs.iter().all(|need| per_line[&need.line_no] == need.quantity));
                prop_assert!(guarded.iter().all(|((v, l), taken)| *taken <= has(*v, *l)));
                // What a trace says was given is what is given, and a trace is missing only where there is nothing to tell.
                for trace in &sourcing {
                    for one in &trace.looked_at {
                        let of = |p: &&Planned| p.share.line_no == trace.line_no && p.share.location == one.location_id;
                        prop_assert_eq!(one.given, planned.iter().filter(of).map(|p| p.share.quantity).sum::<i64>());
                    }
                    let given: i64 = trace.looked_at.iter().map(|one| one.given).sum();
                    prop_assert_eq!(given, per_line[&trace.line_no]);
                }
                let first = open.first().copied();
                let told = |line_no: i32| sourcing.iter().any(|trace| trace.line_no == line_no);
                for Planned { share, .. } in planned.iter().filter(|planned| planned.share.tracked) {
                    let plain = Some(share.location) == first && share.quantity <= has(share.variant, share.location);
                    prop_assert!(plain || told(share.line_no));
                }
                let used: std::collections::HashSet<_> = places(&planned).into_iter().collect();
                let possible = open.iter().any(|l| strict.iter().all(|(v, sum)| *sum <= has(*v, *l)));
                prop_assert!(!possible || used.len() == 1);
            }
        }
    }
}

#[test]
fn what_waits_and_what_is_held_is_that_of_its_delivery_alone() {
    let of = |delivery: i32, why: Why, waits: i64| Sourcing {
        line_no: 1,
        delivery,
        looked_at: vec![LookedAt { waits, ..LookedAt::new(place(0), 1, 1, why) }],
        profile: None,
    };
    let share = |delivery: i32| Share {
        line_no: 1,
        delivery,
        variant: variant(1),
        location: place(0),
        quantity: 1,
        tracked: true,
    };
    let (sourcing, shares) = ([of(0, Why::WholeLine, 0), of(1, Why::Held, 1)], [share(0), share(1)]);
    let second = std::collections::BTreeSet::from([(1, 1, place(0))]);
    assert_eq!(trace::held_lines(&sourcing), second);
    assert_eq!(trace::awaited(&shares, &sourcing), second);
    // What lies there the first takes: what comes has to suffice for the second.
    assert_eq!(trace::waits_at(&shares, &sourcing), [((variant(1), place(0)), 1)]);
}
