//! What a receipt comes to, and the transition tables.

use super::*;
use crate::{
    fulfilment::inbound::back::Standing,
    kernel::{Id, Quantity},
};

fn shipment(lines: &[(i64, i64, Option<&str>)]) -> InboundShipment {
    let line = |(place, (expected, received, sscc)): (usize, &(i64, i64, Option<&str>))| InboundLine {
        line_no: i32::try_from(place).unwrap() + 1,
        variant_id: Id::new(),
        sku: "A".to_owned(),
        sscc: sscc.map(str::to_owned),
        lot: None,
        best_before: None,
        purchase_order_line: None,
        expected: *expected,
        received: *received,
        surplus: 0,
        short: 0,
        matched: 0,
        docked: 0,
    };
    let unit = |sscc: &str| HandlingUnit {
        sscc: sscc.to_owned(),
        state: UnitState::Expected,
        received_at: None,
        left_at: None,
    };
    let at = Instant::from_micros(0);
    InboundShipment {
        id: Id::new(),
        reference: None,
        supplier: None,
        purchase_order_id: None,
        location_id: Id::new(),
        state: InboundState::Arrived,
        expected_at: at,
        arrived_at: None,
        received_at: None,
        over_tolerance_percent: 10,
        reason: None,
        units: lines.iter().filter_map(|(_, _, sscc)| sscc.map(unit)).take(1).collect(),
        lines: lines.iter().enumerate().map(line).collect(),
        corrections: Vec::new(),
        version: 1,
        created_at: at,
        updated_at: at,
    }
}

fn receipt(lines: &[(i32, i64)], units: &[&str], accept_over: bool) -> Receipt {
    let line = |(line_no, quantity): &(i32, i64)| LineReceipt {
        line_no: *line_no,
        quantity: Quantity::new(*quantity).unwrap(),
        lot: None,
        best_before: None,
        lots: Vec::new(),
    };
    let units = units.iter().map(|sscc| crate::kernel::text::Text::new(sscc).unwrap()).collect();
    Receipt { lines: lines.iter().map(line).collect(), units, accept_over, occurred_at: None }
}

#[test]
fn every_transition_is_reached_and_no_other() {
    for (from, command, to) in INBOUND_TRANSITIONS {
        let reached: Vec<InboundState> = match command {
            InboundCommand::Correct => Standing::ALL.iter().map(|now| from.corrected(*now).unwrap()).collect(),
            _ => [false, true].map(|whole| from.apply(*command, whole).unwrap()).to_vec(),
        };
        assert!(reached.contains(to), "{from} {command} {to}");
        // What was received whole stays so.
        let allowed = |to| INBOUND_TRANSITIONS.contains(&(*from, *command, to));
        assert!(reached.into_iter().all(|to| allowed(to) || *from == InboundState::Received));
    }
    for (from, command, to) in PURCHASE_TRANSITIONS {
        let ends = [(false, false), (false, true), (true, true)];
        let reached: Vec<PurchaseState> = match command {
            PurchaseCommand::Correct => ends.map(|(whole, any)| from.corrected(whole, any).unwrap()).to_vec(),
            _ => [false, true].map(|whole| from.apply(*command, whole).unwrap()).to_vec(),
        };
        assert!(
            reached.contains(to) && reached.iter().all(|to| PURCHASE_TRANSITIONS.contains(&(*from, *command, *to)))
        );
    }
    assert!(InboundState::Closed.takes(InboundCommand::Receive).is_err());
    assert!(PurchaseState::Cancelled.takes(PurchaseCommand::Receive).is_err());
}

#[test]
fn more_than_the_tolerance_is_asked_about() {
    let shipment = shipment(&[(20, 5, None)]);
    let all = shipment.plan(&receipt(&[], &[], false)).unwrap();
    assert_eq!(all, [Taken { line_no: 1, quantity: 15, surplus: 0 }]);
    let within = shipment.plan(&receipt(&[(1, 17)], &[], false)).unwrap();
    assert_eq!(within, [Taken { line_no: 1, quantity: 17, surplus: 2 }]);
    let over = receipt(&[(1, 10), (1, 8)], &[], false);
    assert_eq!(shipment.plan(&over).unwrap_err().code(), Code::QuantityExceeded);
    let accepted = Receipt { accept_over: true, ..over };
    assert_eq!(shipment.plan(&accepted).unwrap(), [Taken { line_no: 1, quantity: 18, surplus: 3 }]);
    // The tolerance is used up once, and not with every receipt.
    let mut after = shipment.clone();
    after.after(&within, &[], Instant::from_micros(1));
    assert!(after.is_whole() && after.plan(&receipt(&[(1, 1)], &[], false)).is_err());
    assert_eq!(shipment.plan(&receipt(&[(2, 1)], &[], false)).unwrap_err().code(), Code::LineUnknown);
}

#[test]
fn a_handling_unit_is_taken_whole_and_once() {
    let (pallet, other) = ("106141412345678908", "106141412345678915");
    let mut shipment = shipment(&[(4, 0, Some(pallet)), (6, 1, Some(pallet)), (2, 0, None)]);
    let whole = shipment.plan(&receipt(&[], &[pallet], false)).unwrap();
    let taken = |line_no, quantity| Taken { line_no, quantity, surplus: 0 };
    assert_eq!(whole, [taken(1, 4), taken(2, 5)]);
    assert_eq!(shipment.plan(&receipt(&[], &[other], false)).unwrap_err().code(), Code::NotFound);
    shipment.after(&whole, &[], Instant::from_micros(1));
    assert_eq!(shipment.units_come(), [pallet]);
    shipment.units.iter_mut().for_each(|unit| unit.state = UnitState::Received);
    assert_eq!(shipment.plan(&receipt(&[], &[pallet], false)).unwrap_err().code(), Code::Duplicate);
    assert_eq!(shipment.plan(&receipt(&[], &[], false)).unwrap(), [taken(3, 2)]);
}
