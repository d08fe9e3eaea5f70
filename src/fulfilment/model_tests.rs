use proptest::prelude::*;

use super::*;

fn commands() -> impl Strategy<Value = Vec<(Command, usize, i64)>> {
    prop::collection::vec((prop::sample::select(Command::ALL), 0usize..3, 1i64..5), 0..30)
}

fn whole(line: &Counts) -> bool {
    // What the CHECK constraints say.
    0 <= line.shipped
        && line.shipped <= line.packed
        && line.packed <= line.picked
        && line.cancelled >= 0
        && line.picked + line.cancelled <= line.quantity
}

proptest! {
    /// Whatever is done in whatever order, the quantities stay within the constraints and the table knows every step.
    #[test]
    fn the_table_knows_every_step(quantities in prop::collection::vec(1i64..6, 1..4), commands in commands()) {
        let mut lines: Vec<Counts> = quantities.iter().map(|q| Counts { quantity: *q, ..Counts::default() }).collect();
        let (mut state, mut arrived) = (S::Open, 0);
        for (command, place, pieces) in commands {
            let place = place % lines.len();
            let before = lines.clone();
            let Ok(step) = lines[place].step(command, pieces) else { continue };
            lines[place] = lines[place].after(&step);
            let shipped: i64 = lines.iter().map(|line| line.shipped).sum();
            if command == C::Deliver {
                arrived = shipped;
            }
            prop_assert!(lines.iter().all(whole), "{lines:?}");
            match state.apply(command, &lines, arrived == shipped) {
                Ok(next) => state = next,
                Err(error) => {
                    // A refused command was refused by its state, and changes nothing.
                    prop_assert!(state.takes(command).is_err(), "{state} {command}: {error}");
                    lines = before;
                }
            }
            prop_assert_eq!(state, derive(&lines, arrived == lines.iter().map(|line| line.shipped).sum::<i64>()));
        }
    }

    /// What a command is left is exactly what it accepts.
    #[test]
    fn what_is_left_is_taken_and_no_more(quantity in 1i64..9, cancelled in 0i64..9, command in prop::sample::select(Command::ALL)) {
        let line = Counts { quantity, cancelled: cancelled.min(quantity), ..Counts::default() };
        let left = line.left_for(command);
        prop_assert!(line.step(command, left + 1).is_err() && line.step(command, 0).is_err());
        prop_assert_eq!(line.step(command, left).is_ok(), left > 0);
    }
}

#[test]
fn a_finished_fulfilment_order_takes_nothing_more() {
    for (state, command) in
        [(S::Delivered, C::Ship), (S::Cancelled, C::Pick), (S::Shipped, C::Cancel), (S::Open, C::Deliver)]
    {
        assert_eq!(state.takes(command).unwrap_err().code(), crate::error::Code::StateConflict);
    }
}

#[test]
fn the_diagram_shows_every_transition() {
    let diagram = mermaid();
    assert_eq!(diagram.lines().count(), TRANSITIONS.len() + 2);
    assert!(diagram.contains("packed --> shipped: ship"));
}
