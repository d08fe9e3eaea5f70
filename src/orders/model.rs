//! What an order is: its lines' quantities are the truth, its states are derived from them.

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

crate::words! {
    /// Whether an order still moves.
    pub enum OrderState {
        /// Something is left to ship, deliver or pay.
        Placed = "placed",
        /// Everything that was not cancelled has been delivered and paid.
        Completed = "completed",
        /// Every line was cancelled.
        Cancelled = "cancelled",
    }
}

crate::words! {
    /// Where the money of an order stands.
    pub enum PaymentStatus {
        /// Nothing has been authorised or received.
        Pending = "pending",
        /// The money is promised.
        Authorised = "authorised",
        /// A part has been captured.
        PartiallyCaptured = "partially_captured",
        /// All that is due has been captured.
        Captured = "captured",
        /// A part of what was captured has been given back.
        PartiallyRefunded = "partially_refunded",
        /// All that was captured has been given back.
        Refunded = "refunded",
        /// The promise was let go; nothing was captured.
        Voided = "voided",
    }
}

crate::words! {
    /// Where the goods of an order stand.
    pub enum FulfilmentStatus {
        /// Nothing of it is shipped: services only.
        NotRequired = "not_required",
        /// Nothing has left yet.
        Unfulfilled = "unfulfilled",
        /// A part has left.
        PartiallyShipped = "partially_shipped",
        /// All that was not cancelled has left.
        Shipped = "shipped",
        /// All has left and a part has arrived.
        PartiallyDelivered = "partially_delivered",
        /// All has arrived.
        Delivered = "delivered",
        /// Every line that would have been shipped was cancelled.
        Cancelled = "cancelled",
    }
}

crate::words! {
    /// What can be done to an order.
    pub enum Command {
        /// Ship some of it.
        Ship = "ship",
        /// Note that some of it has arrived.
        Deliver = "deliver",
        /// Cancel some or all of what has not left.
        Cancel = "cancel",
        /// Take some of it back.
        Return = "return",
        /// Note money received.
        RecordPayment = "record_payment",
        /// Give money back.
        Refund = "refund",
        /// Ask the payment providers again for what is still to be captured or given back.
        Settle = "settle",
        /// Note that a bank takes money back.
        Dispute = "dispute",
    }
}

impl OrderState {
    /// The transition table: the state after a command, or why it is refused. Which of `placed` and `completed` a
    /// command leads to is derived from the quantities ([`derive`]), so both stand for "still as it was". Money that has
    /// come in can always be recorded: what is too much is given back.
    ///
    /// | | ship | deliver | cancel | return | record_payment | refund | settle | dispute |
    /// |---|---|---|---|---|---|---|---|---|
    /// | placed | placed | placed | placed | placed | placed | placed | placed | placed |
    /// | completed | – | – | – | completed | completed | completed | completed | completed |
    /// | cancelled | – | – | – | – | cancelled | cancelled | cancelled | cancelled |
    ///
    /// # Errors
    /// `state_conflict`, with the reason.
    pub fn apply(self, command: Command) -> Result<Self> {
        use Command as C;
        match (self, command) {
            (Self::Placed, _)
            | (_, C::RecordPayment | C::Refund | C::Settle | C::Dispute)
            | (Self::Completed, C::Return) => Ok(self),
            (Self::Completed | Self::Cancelled, refused) => {
                Err(Error::conflict(format!("the order is {self}: `{refused}` is not possible any more")))
            }
        }
    }
}

/// The transition table as a Mermaid diagram: the commands that a state takes, then what is derived from quantities and
/// money after them.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> placed\n");
    for from in OrderState::ALL {
        for command in Command::ALL {
            if from.apply(*command).is_ok() {
                text.push_str(&format!("    {from} --> {from}: {command}\n"));
            }
        }
    }
    let (placed, completed, cancelled) = (OrderState::Placed, OrderState::Completed, OrderState::Cancelled);
    text.push_str(&format!("    {placed} --> {completed}: (everything not cancelled has arrived and is paid)\n"));
    text.push_str(&format!("    {placed} --> {cancelled}: (every line is cancelled)\n"));
    text
}

/// The quantities of one line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Quantities {
    /// How many were ordered.
    pub quantity: i64,
    /// How many are set aside at a location.
    pub allocated: i64,
    /// How many have left.
    pub shipped: i64,
    /// How many have arrived.
    pub delivered: i64,
    /// How many have come back.
    pub returned: i64,
    /// How many were cancelled.
    pub cancelled: i64,
    /// How many are to come back: asked for with a return request that is not settled.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub coming_back: i64,
    /// How many an open claim is about: lost, damaged, wrong, or never in the parcel.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub claimed: i64,
}

const fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Quantities {
    /// How many are still to be shipped.
    #[must_use]
    pub const fn open(&self) -> i64 {
        self.quantity - self.shipped - self.cancelled
    }

    /// How many the customer has: arrived and not come back; for services, all that was not cancelled.
    #[must_use]
    pub const fn kept(&self) -> i64 {
        self.shipped - self.returned
    }

    /// How many have left that nobody has taken back, asked to take back, or claimed: each of these can be asked for once.
    #[must_use]
    pub const fn returnable(&self) -> i64 {
        self.shipped - self.returned - self.coming_back - self.claimed
    }
}

/// How one line's quantities move; every number is added to what is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineMove {
    /// Which line.
    pub line_no: i32,
    /// Set aside at a location, or given back.
    pub allocated: i64,
    /// Left.
    pub shipped: i64,
    /// Arrived.
    pub delivered: i64,
    /// Come back.
    pub returned: i64,
    /// Cancelled.
    pub cancelled: i64,
    /// Given back in money, in minor units.
    pub refunded: i64,
    /// How much of that was given away beside returns, or, below zero, counts as taken back with one now.
    pub goodwill: i64,
    /// To come back, or not any more.
    pub coming_back: i64,
    /// Claimed, or not any more.
    pub claimed: i64,
}

impl LineMove {
    /// Checks the move and makes it.
    ///
    /// # Errors
    /// `quantity_exceeded` when more would be moved than there is.
    pub fn apply(&self, line: &mut Quantities) -> Result<()> {
        let moved = Quantities {
            quantity: line.quantity,
            allocated: line.allocated + self.allocated,
            shipped: line.shipped + self.shipped,
            delivered: line.delivered + self.delivered,
            returned: line.returned + self.returned,
            cancelled: line.cancelled + self.cancelled,
            coming_back: line.coming_back + self.coming_back,
            claimed: line.claimed + self.claimed,
        };
        let whole = moved.allocated + moved.shipped + moved.cancelled <= moved.quantity
            && moved.delivered <= moved.shipped
            && moved.returnable() >= 0
            && [moved.allocated, moved.shipped, moved.delivered, moved.returned, moved.cancelled]
                .iter()
                .chain(&[moved.coming_back, moved.claimed])
                .all(|n| *n >= 0);
        if !whole {
            let detail = format!("line {} has no such quantity left", self.line_no);
            return Err(Error::problem(Code::QuantityExceeded, detail).with("line_no", self.line_no));
        }
        *line = moved;
        Ok(())
    }
}

/// What the money states are derived from, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MoneyCounts {
    /// What is due for all that was neither cancelled nor taken back.
    pub due: i64,
    /// What is promised and not voided.
    pub authorised: i64,
    /// What has been captured.
    pub captured: i64,
    /// What has been given back.
    pub refunded: i64,
    /// Whether a promise was let go.
    pub voided: bool,
}

/// The three states of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statuses {
    /// Whether it still moves.
    pub state: OrderState,
    /// Where the money stands.
    pub payment: PaymentStatus,
    /// Where the goods stand.
    pub fulfilment: FulfilmentStatus,
}

/// Derives the states from the quantities of the lines (each with whether it is shipped at all) and the money.
#[must_use]
pub fn derive(lines: &[(Quantities, bool)], money: MoneyCounts) -> Statuses {
    let fulfilment = derive_fulfilment(lines);
    let payment = derive_payment(money);
    let all_cancelled = lines.iter().all(|(line, _)| line.cancelled == line.quantity);
    // What came back has been somewhere, whether or not anybody has told that it had arrived.
    let arrived =
        lines.iter().all(|(line, ships)| !ships || line.delivered.max(line.returned) == line.quantity - line.cancelled);
    let paid = money.captured >= money.due;
    let state = match (all_cancelled, arrived && paid) {
        (true, _) => OrderState::Cancelled,
        (false, true) => OrderState::Completed,
        (false, false) => OrderState::Placed,
    };
    Statuses { state, payment, fulfilment }
}

fn derive_fulfilment(lines: &[(Quantities, bool)]) -> FulfilmentStatus {
    let shippable: Vec<&Quantities> = lines.iter().filter(|(_, ships)| *ships).map(|(line, _)| line).collect();
    let sum = |count: fn(&Quantities) -> i64| shippable.iter().map(|line| count(line)).sum::<i64>();
    let (wanted, shipped, delivered) = (sum(|l| l.quantity - l.cancelled), sum(|l| l.shipped), sum(|l| l.delivered));
    match () {
        () if shippable.is_empty() => FulfilmentStatus::NotRequired,
        () if wanted == 0 => FulfilmentStatus::Cancelled,
        () if delivered == wanted => FulfilmentStatus::Delivered,
        () if shipped == 0 => FulfilmentStatus::Unfulfilled,
        () if shipped < wanted => FulfilmentStatus::PartiallyShipped,
        () if delivered > 0 => FulfilmentStatus::PartiallyDelivered,
        () => FulfilmentStatus::Shipped,
    }
}

const fn derive_payment(money: MoneyCounts) -> PaymentStatus {
    let MoneyCounts { due, authorised, captured, refunded, voided } = money;
    if captured > 0 && refunded >= captured {
        PaymentStatus::Refunded
    } else if refunded > 0 {
        PaymentStatus::PartiallyRefunded
    } else if captured > 0 && captured >= due {
        PaymentStatus::Captured
    } else if captured > 0 {
        PaymentStatus::PartiallyCaptured
    } else if authorised > 0 {
        PaymentStatus::Authorised
    } else if voided {
        PaymentStatus::Voided
    } else if due == 0 {
        PaymentStatus::Captured
    } else {
        PaymentStatus::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(quantity: i64, shipped: i64, delivered: i64, cancelled: i64) -> (Quantities, bool) {
        (Quantities { quantity, shipped, delivered, cancelled, ..Quantities::default() }, true)
    }

    fn fulfilment(lines: &[(Quantities, bool)]) -> FulfilmentStatus {
        derive(lines, MoneyCounts::default()).fulfilment
    }

    #[test]
    fn fulfilment_follows_the_quantities() {
        assert_eq!(fulfilment(&[line(2, 0, 0, 0)]), FulfilmentStatus::Unfulfilled);
        assert_eq!(fulfilment(&[line(2, 1, 1, 0)]), FulfilmentStatus::PartiallyShipped);
        assert_eq!(fulfilment(&[line(2, 1, 0, 1)]), FulfilmentStatus::Shipped);
        assert_eq!(fulfilment(&[line(2, 2, 1, 0)]), FulfilmentStatus::PartiallyDelivered);
        assert_eq!(fulfilment(&[line(2, 2, 2, 0)]), FulfilmentStatus::Delivered);
        assert_eq!(fulfilment(&[line(2, 0, 0, 2)]), FulfilmentStatus::Cancelled);
        assert_eq!(
            fulfilment(&[(Quantities { quantity: 1, ..Quantities::default() }, false)]),
            FulfilmentStatus::NotRequired
        );
    }

    #[test]
    fn an_order_is_completed_when_all_has_arrived_and_is_paid() {
        let unpaid = MoneyCounts { due: 100, authorised: 100, ..MoneyCounts::default() };
        let paid = MoneyCounts { captured: 100, ..unpaid };
        assert_eq!(derive(&[line(1, 1, 1, 0)], unpaid).state, OrderState::Placed);
        assert_eq!(derive(&[line(1, 1, 1, 0)], paid).state, OrderState::Completed);
        assert_eq!(derive(&[line(1, 0, 0, 1)], unpaid).state, OrderState::Cancelled);
    }

    proptest! {
        /// No sequence of moves, however odd, brings a line into a state that its CHECK constraints would refuse.
        #[test]
        fn quantities_stay_whole(moves in prop::collection::vec((-3i64..4, -3i64..4, -3i64..4, -3i64..4, -3i64..4), 0..40)) {
            let mut line = Quantities { quantity: 5, ..Quantities::default() };
            for (allocated, shipped, delivered, returned, cancelled) in moves {
                let step = LineMove { line_no: 1, allocated, shipped, delivered, returned, cancelled, ..LineMove::default() };
                let before = line;
                if step.apply(&mut line).is_err() {
                    prop_assert_eq!(before, line);
                }
                prop_assert!(line.allocated + line.shipped + line.cancelled <= line.quantity);
                prop_assert!(line.delivered <= line.shipped && line.returned <= line.shipped);
                prop_assert!(line.open() >= 0 && line.returnable() >= 0);
            }
        }

        #[test]
        fn a_refused_command_changes_nothing(state in 0usize..3, command in 0usize..Command::ALL.len()) {
            let (state, command) = (OrderState::ALL[state], Command::ALL[command]);
            if let Ok(after) = state.apply(command) {
                prop_assert_eq!(after, state);
            }
        }
    }
}
