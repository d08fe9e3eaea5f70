use super::*;
use crate::amendments::plan::Plan;

#[test]
fn what_has_ended_takes_nothing_more() {
    for state in AmendmentState::ALL {
        for command in AmendmentCommand::ALL {
            let taken = state.apply(*command);
            assert_eq!(taken.is_ok(), *state == AmendmentState::Open, "{state} {command}");
        }
    }
    assert!(mermaid().contains("open --> confirmed: confirm"));
}

#[test]
fn later_edits_go_before_earlier_ones() {
    let made = |op: Op| MadeEdit {
        edit: Edit::RemoveLine { line_no: 1 },
        ops: vec![op],
        by: "staff:ada".to_owned(),
        at: Instant::from_micros(0),
    };
    let plan = Plan::of(&[
        made(Op::Cancel { line_no: 1, quantity: 1 }),
        made(Op::Cancel { line_no: 1, quantity: 2 }),
        made(Op::Way { delivery: 0, method: Some("dhl".to_owned()), address: None }),
        made(Op::Way { delivery: 0, method: Some("ups".to_owned()), address: None }),
        made(Op::Drop { line_no: 2 }),
    ]);
    assert_eq!(plan.cancel.get(&1), Some(&3));
    assert_eq!(plan.ways.get(&0), Some(&(Some("ups".to_owned()), None)));
    assert!(plan.add.is_empty() && !plan.is_empty() && Plan::of(&[]).is_empty());
}
