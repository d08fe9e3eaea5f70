//! What matching promises, on made-up goods and orders.

use proptest::prelude::*;

use super::*;
use crate::kernel::Id;

const ZONE: Tz = chrono_tz::Europe::Berlin;
const HOUR: i64 = 3600;

fn variant(number: u8) -> VariantId {
    Id::from_bytes([number; 16])
}

fn at(hour: i64) -> Instant {
    Instant::from_micros(1_790_000_000_000_000).plus_seconds(hour * HOUR)
}

fn day(days: i64) -> NaiveDate {
    day_of(ZONE, at(24 * days))
}

fn supply(inbound: u8, line_no: i32, goods: u8, quantity: i64, sscc: Option<&str>, hour: i64) -> Supply {
    Supply {
        inbound: Id::from_bytes([inbound; 16]),
        line_no,
        variant: variant(goods),
        sku: format!("S{goods}"),
        sscc: sscc.map(str::to_owned),
        at: at(hour),
        lot: None,
        best_before: None,
        ends_at: None,
        quantity,
        untouched: true,
    }
}

fn demand(order: u8, line_no: i32, goods: u8, quantity: i64, due: i64) -> Demand {
    Demand {
        fulfilment_order: Id::from_bytes([order; 16]),
        line_no,
        variant: variant(goods),
        quantity,
        priority: 0,
        due_at: at(due),
        created_at: at(0),
        keeps_days: 0,
    }
}

fn rules() -> DockRules {
    DockRules { planned: true, opportunistic: true, lead_minutes: 60, min_shelf_life_days: 0, daily_capacity: None }
}

fn room(a_day: Option<i64>) -> Room {
    Room { a_day, used: BTreeMap::new(), zone: ZONE }
}

fn matched(supplies: &[Supply], demands: &[Demand], rules: &DockRules) -> Vec<(usize, usize, i64, Way, bool)> {
    let all = match_goods(supplies, demands, rules, &room(None));
    all.into_iter().map(|one| (one.supply, one.demand, one.quantity, one.way, one.late)).collect()
}

#[test]
fn a_unit_passes_whole_when_one_order_needs_all_of_it() {
    let pallet = [supply(1, 1, 1, 4, Some("a"), 1), supply(1, 2, 2, 2, Some("a"), 1)];
    let enough = [demand(1, 1, 1, 5, 9), demand(1, 2, 2, 2, 9)];
    assert_eq!(matched(&pallet, &enough, &rules()), [(0, 0, 4, Way::Direct, false), (1, 1, 2, Way::Direct, false)]);
    // One piece too many in it: it is opened.
    let less = [demand(1, 1, 1, 5, 9), demand(1, 2, 2, 1, 9)];
    assert_eq!(matched(&pallet, &less, &rules()), [(0, 0, 4, Way::Indirect, false), (1, 1, 1, Way::Indirect, false)]);
    // So is one of which somebody else has a part already.
    let touched = pallet.map(|supply| Supply { untouched: false, ..supply });
    assert!(matched(&touched, &enough, &rules()).iter().all(|one| one.3 == Way::Indirect));
}

#[test]
fn who_is_first_due_is_served_first_and_in_time() {
    let goods = [supply(1, 1, 1, 4, None, 10), supply(2, 1, 1, 4, None, 2)];
    let orders = [demand(1, 1, 1, 4, 20), demand(2, 1, 1, 4, 5)];
    // What is there soon goes to whom it saves from being late.
    assert_eq!(matched(&goods, &orders, &rules()), [(1, 1, 4, Way::Indirect, false), (0, 0, 4, Way::Indirect, false)]);
    // A priority stands above that, and late is better than never.
    let urgent = [orders[0].clone(), Demand { priority: -1, ..orders[1].clone() }];
    let found = matched(&goods, &urgent, &rules());
    assert_eq!(found, [(1, 0, 4, Way::Indirect, false), (0, 1, 4, Way::Indirect, true)]);
}

#[test]
fn loose_goods_go_before_a_unit_is_opened_and_what_expires_before_what_keeps() {
    let soon = Supply { best_before: Some(day(5)), ..supply(2, 1, 1, 3, None, 1) };
    let goods = [supply(1, 1, 1, 3, Some("a"), 1), supply(3, 1, 1, 3, None, 1), soon];
    let found = matched(&goods, &[demand(1, 1, 1, 2, 9), demand(2, 1, 1, 5, 10)], &rules());
    assert_eq!(found[0], (2, 0, 2, Way::Indirect, false));
    // The pallet fits the second one whole; the rest comes from what is loose.
    assert_eq!(
        found[1..],
        [(0, 1, 3, Way::Direct, false), (2, 1, 1, Way::Indirect, false), (1, 1, 1, Way::Indirect, false)]
    );
}

#[test]
fn what_expires_too_soon_and_what_the_dock_can_not_take_stays() {
    let old = Supply { best_before: Some(day(3)), ..supply(1, 1, 1, 9, None, 1) };
    let strict = DockRules { min_shelf_life_days: 4, ..rules() };
    assert!(matched(std::slice::from_ref(&old), &[demand(1, 1, 1, 9, 9)], &strict).is_empty());
    let goods = [supply(1, 1, 1, 4, Some("a"), 1), supply(1, 2, 1, 4, Some("b"), 1)];
    let crossing = |room: &Room| {
        let found = match_goods(&goods, &[demand(1, 1, 1, 8, 9)], &rules(), room);
        found.into_iter().map(|one| (one.supply, one.quantity, one.way)).collect::<Vec<_>>()
    };
    assert_eq!(crossing(&room(Some(6))), [(0, 4, Way::Direct), (1, 2, Way::Indirect)]);
    let found = crossing(&Room { used: [(day_of(ZONE, at(2)), 5)].into(), ..room(Some(6)) });
    assert_eq!(found.iter().map(|(_, pieces, _)| pieces).sum::<i64>(), 1);
}

#[test]
fn goods_go_to_those_only_for_whom_they_keep_long_enough() {
    let ends = Some(at(24 * 10));
    let pallet = [Supply { ends_at: ends, best_before: Some(day(9)), ..supply(1, 1, 1, 4, Some("a"), 1) }];
    let asks = |keeps_days| [Demand { keeps_days, ..demand(1, 1, 1, 4, 9) }];
    assert_eq!(matched(&pallet, &asks(9), &rules()), [(0, 0, 4, Way::Direct, false)]);
    assert!(matched(&pallet, &asks(10), &rules()).is_empty());
    // They go to who is served later and asks for less.
    let both = [asks(10)[0].clone(), demand(2, 1, 1, 3, 20)];
    assert_eq!(matched(&pallet, &both, &rules()), [(0, 1, 3, Way::Indirect, false)]);
}

fn supplies() -> impl Strategy<Value = Vec<Supply>> {
    let one = (1u8..4, 1u8..4, 1i64..8, prop::option::of(0u8..3), 0i64..60, prop::option::of(0i64..6), any::<bool>());
    prop::collection::vec(one, 0..14).prop_map(|all| {
        let made =
            all.into_iter().enumerate().map(|(place, (inbound, goods, quantity, unit, hour, keeps, untouched))| {
                let sscc = unit.map(|unit| format!("{inbound}-{unit}"));
                let line_no = i32::try_from(place).unwrap() + 1;
                // All of a shipment comes at once.
                let hour = hour - hour % 20 + i64::from(inbound);
                let best_before = keeps.map(day);
                Supply { best_before, untouched, ..supply(inbound, line_no, goods, quantity, sscc.as_deref(), hour) }
            });
        made.collect()
    })
}

fn demands() -> impl Strategy<Value = Vec<Demand>> {
    let one = (1u8..6, 1u8..4, 1i64..9, 0i64..70, 0i64..3);
    prop::collection::vec(one, 0..12).prop_map(|all| {
        let made = all.into_iter().enumerate().map(|(place, (order, goods, quantity, due, priority))| Demand {
            priority,
            ..demand(order, i32::try_from(place).unwrap() + 1, goods, quantity, due)
        });
        made.collect()
    })
}

proptest! {
    #[test]
    fn nothing_is_given_twice_and_nothing_waits_for_what_is_free(supplies in supplies(), demands in demands(),
        capacity in prop::option::of(0i64..30), shelf in 0i64..4)
    {
        let (rules, room) = (DockRules { min_shelf_life_days: shelf, ..rules() }, room(capacity));
        let found = match_goods(&supplies, &demands, &rules, &room);
        prop_assert_eq!(&found, &match_goods(&supplies, &demands, &rules, &room));
        let mut left: Vec<i64> = supplies.iter().map(|one| one.quantity).collect();
        let mut open: Vec<i64> = demands.iter().map(|one| one.quantity).collect();
        let mut days: BTreeMap<NaiveDate, i64> = BTreeMap::new();
        let keeps = |one: &Supply| one.best_before.is_none_or(|until| {
            until >= day_of(ZONE, one.at.plus_seconds(HOUR)) + chrono::Duration::days(shelf)
        });
        for one in &found {
            let (goods, order) = (&supplies[one.supply], &demands[one.demand]);
            prop_assert!(one.quantity > 0 && goods.variant == order.variant && keeps(goods));
            prop_assert_eq!(one.ready_at, goods.at.plus_seconds(HOUR));
            prop_assert_eq!(one.late, one.ready_at > order.due_at);
            prop_assert_eq!(one.sscc.is_some(), one.way == Way::Direct);
            left[one.supply] -= one.quantity;
            open[one.demand] -= one.quantity;
            *days.entry(day_of(ZONE, one.ready_at)).or_default() += one.quantity;
        }
        prop_assert!(left.iter().chain(&open).all(|count| *count >= 0), "{left:?} {open:?}");
        prop_assert!(capacity.is_none_or(|most| days.values().all(|used| *used <= most)));
        // A unit that passes whole goes to one order, with all that is in it.
        for one in found.iter().filter(|one| one.sscc.is_some()) {
            let unit = (supplies[one.supply].inbound, one.sscc.clone());
            for (place, goods) in supplies.iter().enumerate().filter(|(_, goods)| (goods.inbound, goods.sscc.clone()) == unit) {
                prop_assert!(goods.untouched && left[place] == 0);
                let parts = found.iter().filter(|part| part.supply == place);
                prop_assert!(parts.clone().all(|part| part.way == Way::Direct
                    && demands[part.demand].fulfilment_order == demands[one.demand].fulfilment_order));
            }
        }
        if capacity.is_none() {
            for (place, goods) in supplies.iter().enumerate().filter(|(_, goods)| keeps(goods)) {
                let waits = demands.iter().zip(&open).any(|(order, open)| order.variant == goods.variant && *open > 0);
                prop_assert!(left[place] == 0 || !waits, "{place}: {found:?}");
            }
        }
    }
}
