//! The search against all the plans there are, and against what knows one thing alone.

use proptest::prelude::*;

use super::*;

/// Every way to give a quantity from locations that have so many each.
fn ways(quantity: i64, has: &[i64]) -> Vec<Vec<i64>> {
    match has.split_first() {
        None => {
            if quantity == 0 {
                vec![Vec::new()]
            } else {
                Vec::new()
            }
        }
        Some((first, rest)) => {
            let part = |part: i64| {
                ways(quantity - part, rest).into_iter().map(move |mut way| {
                    way.insert(0, part);
                    way
                })
            };
            (0..=quantity.min(*first)).flat_map(part).collect()
        }
    }
}

/// All that can be given to one demand: points, and the pieces of each location.
fn choices(demand: &Demand) -> Vec<(i128, Vec<i64>)> {
    let places = demand.offers.len();
    let whole = demand.offers.iter().enumerate().filter_map(|(place, offer)| {
        let mut given = vec![0; places];
        given[place] = demand.quantity;
        Some((offer.whole?, given))
    });
    let has: Vec<i64> = demand.offers.iter().map(|offer| offer.has).collect();
    let divided = ways(demand.quantity, &has).into_iter().map(|given| {
        let points = given.iter().zip(&demand.offers).map(|(part, offer)| i128::from(*part) * offer.each).sum();
        (points, given)
    });
    // What one location gives whole is among those already.
    whole.chain(divided.filter(|(_, given)| given.iter().filter(|part| **part > 0).count() > 1)).collect()
}

/// The fewest points of all plans: every choice for every demand, a demand divided only where none of the locations that ship
/// has it whole.
fn by_force(puzzle: &Puzzle) -> Option<i128> {
    let choices: Vec<_> = puzzle.demands.iter().map(choices).collect();
    let mut plans: Vec<(i128, Vec<&Vec<i64>>)> = vec![(0, Vec::new())];
    for choices in &choices {
        plans = plans
            .iter()
            .flat_map(|(points, given)| {
                choices.iter().map(move |(more, one)| {
                    let mut given = given.clone();
                    given.push(one);
                    (points + more, given)
                })
            })
            .collect();
    }
    let used = |given: &[&Vec<i64>]| -> Vec<usize> {
        (0..puzzle.fixed.len()).filter(|place| given.iter().any(|one| one[*place] > 0)).collect()
    };
    let fits = |(points, given): (i128, Vec<&Vec<i64>>)| {
        let used = used(&given);
        let divided_for_nothing = given.iter().zip(&puzzle.demands).any(|(given, demand)| {
            given.iter().filter(|part| **part > 0).count() > 1
                && used.iter().any(|place| demand.offers[*place].whole.is_some())
        });
        let fixed: i128 = used.iter().map(|place| puzzle.fixed[*place]).sum();
        (used.len() <= puzzle.most && !divided_for_nothing).then_some(points + fixed)
    };
    plans.into_iter().filter_map(fits).min()
}

/// A demand for pieces of one variant, or one that is not taken apart.
fn a_demand(places: usize) -> impl Strategy<Value = Demand> {
    (1i64..5, prop::collection::vec((0i64..6, 0i128..20), places), any::<bool>()).prop_map(
        |(quantity, rows, divided)| {
            let offer = |(has, each): (i64, i128)| Offer {
                whole: (has >= quantity).then(|| each * i128::from(quantity)),
                has: if divided { has } else { 0 },
                each,
            };
            Demand { quantity, offers: rows.into_iter().map(offer).collect() }
        },
    )
}

fn orders(fixed: &[i128]) -> Vec<Vec<usize>> {
    let mut by_points: Vec<usize> = (0..fixed.len()).collect();
    by_points.sort_by_key(|place| fixed[*place]);
    vec![(0..fixed.len()).collect(), by_points]
}

fn a_puzzle(places: std::ops::Range<usize>, demands: std::ops::Range<usize>) -> impl Strategy<Value = Puzzle> {
    (places, 1usize..6).prop_flat_map(move |(places, most)| {
        let fixed = prop::collection::vec(0i128..60, places);
        (fixed, prop::collection::vec(a_demand(places), demands.clone())).prop_map(move |(fixed, demands)| Puzzle {
            orders: orders(&fixed),
            fixed,
            demands,
            most,
        })
    })
}

/// What a solution costs, reckoned from what it gives; and that it gives everything, of what there is.
fn checked(puzzle: &Puzzle, solution: &Solution) -> i128 {
    let mut used = std::collections::BTreeSet::new();
    let mut points = 0;
    for (demand, given) in puzzle.demands.iter().zip(&solution.given) {
        assert_eq!(given.iter().map(|(_, part)| part).sum::<i64>(), demand.quantity);
        used.extend(given.iter().map(|(place, _)| *place));
        points += match given.as_slice() {
            [(place, _)] if demand.offers[*place].whole.is_some() => demand.offers[*place].whole.unwrap(),
            parts => parts
                .iter()
                .map(|(place, part)| {
                    assert!(*part <= demand.offers[*place].has);
                    i128::from(*part) * demand.offers[*place].each
                })
                .sum(),
        };
    }
    assert!(used.len() <= puzzle.most && puzzle.demands.len() == solution.given.len());
    points + used.iter().map(|place| puzzle.fixed[*place]).sum::<i128>()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn of_few_locations_no_plan_is_better(puzzle in a_puzzle(1..5, 1..4)) {
        let solution = puzzle.solve();
        prop_assert_eq!(solution.as_ref().map(|one| one.points), by_force(&puzzle));
        if let Some(solution) = solution {
            prop_assert!(solution.exact);
            prop_assert_eq!(checked(&puzzle, &solution), solution.points);
        }
    }

    #[test]
    fn of_many_locations_nothing_that_knows_one_thing_alone_is_better(puzzle in a_puzzle(11..30, 1..12)) {
        let single = puzzle.orders.iter().filter_map(|order| puzzle.in_order(order));
        let single = single.filter_map(|set| puzzle.reckon(&set, i128::MAX)).map(|one| one.points);
        let at_one = (0..puzzle.fixed.len()).filter_map(|place| puzzle.reckon(&[place], i128::MAX)).map(|one| one.points);
        let best_single = single.chain(at_one).min();
        let solution = puzzle.solve();
        if let Some(solution) = &solution {
            prop_assert_eq!(checked(&puzzle, solution), solution.points);
        }
        match (best_single, solution) {
            (Some(single), Some(solution)) => prop_assert!(solution.points <= single),
            (Some(_), None) => prop_assert!(false, "a plan was missed"),
            (None, _) => {}
        }
    }
}
