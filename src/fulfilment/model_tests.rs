use proptest::prelude::*;

use super::*;
use crate::fulfilment::states::{FulfilmentState as S, KEEPING};

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
        && (0..=line.cancelled).contains(&line.moved)
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
            let nothing_left = lines.iter().all(|line| line.quantity == line.cancelled);
            // Merging takes all there is, splitting leaves something behind: the service sees to both.
            if command == C::Merge && lines.iter().any(|line| line.open() > 0) || command == C::Split && nothing_left {
                lines = before;
                continue;
            }
            let shipped: i64 = lines.iter().map(|line| line.shipped).sum();
            match command {
                C::Deliver => arrived = shipped,
                // What leaves has not arrived yet.
                C::Ship | C::Undeliver => arrived = -1,
                _ => {}
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
    for (from, command, to) in TRANSITIONS {
        let arrow = diagram.lines().find(|line| line.trim().starts_with(&format!("{from} --> {to}: ")));
        let (_, commands) = arrow.unwrap_or_else(|| panic!("{from} {to}")).split_once(": ").unwrap();
        assert!(commands.split(", ").any(|one| one == command.as_str()), "{from} {command} {to}");
    }
    assert!(KEEPING.iter().all(|command| diagram.contains(command.as_str())));
    assert!(diagram.contains("packed --> shipped: ship"));
}

proptest! {
    /// Pieces that are split off, moved and merged are the same pieces: none is lost, none is made, and none is taken
    /// further or back by it.
    #[test]
    fn pieces_that_go_elsewhere_are_the_same_pieces(
        quantity in 1i64..9, steps in prop::collection::vec((prop::sample::select(Command::ALL), 1i64..5), 0..12),
        command in prop::sample::select(vec![C::Move, C::Split, C::Merge]), pieces in 1i64..9,
    ) {
        let mut line = Counts { quantity, ..Counts::default() };
        for (command, pieces) in steps {
            if let Ok(step) = line.step(command, pieces) {
                line = line.after(&step);
            }
        }
        let Ok(step) = line.step(command, pieces) else { return Ok(()) };
        let (left, taken) = (line.after(&step), Counts::default().with_taken(&step));
        prop_assert!(whole(&left) && whole(&taken), "{left:?} {taken:?}");
        let sum = |count: fn(&Counts) -> i64| count(&left) + count(&taken);
        prop_assert_eq!(sum(Counts::open), line.open());
        prop_assert_eq!(sum(|line| line.picked), line.picked);
        prop_assert_eq!(sum(|line| line.packed), line.packed);
        prop_assert_eq!(sum(|line| line.shipped), line.shipped);
        prop_assert_eq!(sum(|line| line.quantity - line.moved), line.quantity - line.moved);
        prop_assert_eq!(sum(|line| line.cancelled - line.moved), line.cancelled - line.moved);
        // What is picked is moved nowhere.
        prop_assert!(command != C::Move || taken.picked == 0);
    }
}
