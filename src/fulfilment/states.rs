//! Where a fulfilment order stands, what can be done with it, and what that leads to: pure.
//!
//! The quantities of the lines are the truth; the state of a fulfilment order is derived from them, and the transition
//! table says which commands a state takes at all.

use super::model::Counts;
use crate::error::{Error, Result};

crate::words! {
    /// Where a fulfilment order stands.
    pub enum FulfilmentState {
        /// Nothing has been picked.
        Open = "open",
        /// A part has been picked.
        Picking = "picking",
        /// All of it has been picked.
        Picked = "picked",
        /// All of it is packed.
        Packed = "packed",
        /// A part has left.
        PartiallyShipped = "partially_shipped",
        /// All that was not cancelled has left.
        Shipped = "shipped",
        /// All that left has arrived.
        Delivered = "delivered",
        /// All of it was cancelled.
        Cancelled = "cancelled",
    }
}

crate::words! {
    /// What can be done with a fulfilment order.
    pub enum Command {
        /// Take pieces from the shelf.
        Pick = "pick",
        /// Put them into a parcel; picks what is not picked.
        Pack = "pack",
        /// Hand them to the carrier; picks and packs what is not.
        Ship = "ship",
        /// Note that a shipment has arrived.
        Deliver = "deliver",
        /// Cancel pieces that have not left.
        Cancel = "cancel",
        /// Let another location ship what is not picked.
        Move = "move",
        /// Ship some of it on its own.
        Split = "split",
        /// Ship it together with others of the same order.
        Merge = "merge",
        /// Put pieces back on the shelf: the pick was booked wrongly.
        Unpick = "unpick",
        /// Take pieces out of their parcel: the pack was booked wrongly.
        Unpack = "unpack",
        /// Take back that pieces have left.
        Unship = "unship",
        /// Take back that a shipment has arrived.
        Undeliver = "undeliver",
        /// Have another fulfilment order ship again what was lost on its way.
        Reship = "reship",
        /// Keep it from being picked, packed and shipped.
        Hold = "hold",
        /// End a hold.
        Release = "release",
        /// Change its priority or when it is due.
        Reschedule = "reschedule",
        /// Ask the location not to ship it; the location accepts or rejects that.
        RequestCancel = "request_cancel",
        /// Take it on: what a shop has to say before it begins.
        Accept = "accept",
        /// Leave it to other locations.
        Decline = "decline",
    }
}

use Command as C;
use FulfilmentState as S;

/// Every transition there is: from, command, to. Where a state has several for a command, the quantities decide which;
/// a command that has none is refused.
pub const TRANSITIONS: &[(FulfilmentState, Command, FulfilmentState)] = &[
    (S::Open, C::Pick, S::Picking),
    (S::Open, C::Pick, S::Picked),
    (S::Open, C::Pack, S::Picking),
    (S::Open, C::Pack, S::Packed),
    (S::Open, C::Ship, S::PartiallyShipped),
    (S::Open, C::Ship, S::Shipped),
    (S::Open, C::Cancel, S::Open),
    (S::Open, C::Cancel, S::Cancelled),
    (S::Picking, C::Pick, S::Picking),
    (S::Picking, C::Pick, S::Picked),
    (S::Picking, C::Pack, S::Picking),
    (S::Picking, C::Pack, S::Picked),
    (S::Picking, C::Pack, S::Packed),
    (S::Picking, C::Ship, S::PartiallyShipped),
    (S::Picking, C::Ship, S::Shipped),
    (S::Picking, C::Cancel, S::Open),
    (S::Picking, C::Cancel, S::Picking),
    (S::Picking, C::Cancel, S::Picked),
    (S::Picking, C::Cancel, S::Packed),
    (S::Picking, C::Cancel, S::Cancelled),
    (S::Picked, C::Pack, S::Picked),
    (S::Picked, C::Pack, S::Packed),
    (S::Picked, C::Ship, S::PartiallyShipped),
    (S::Picked, C::Ship, S::Shipped),
    (S::Picked, C::Cancel, S::Picked),
    (S::Picked, C::Cancel, S::Packed),
    (S::Picked, C::Cancel, S::Cancelled),
    (S::Packed, C::Ship, S::PartiallyShipped),
    (S::Packed, C::Ship, S::Shipped),
    (S::Packed, C::Cancel, S::Packed),
    (S::Packed, C::Cancel, S::Cancelled),
    (S::PartiallyShipped, C::Pick, S::PartiallyShipped),
    (S::PartiallyShipped, C::Pack, S::PartiallyShipped),
    (S::PartiallyShipped, C::Ship, S::PartiallyShipped),
    (S::PartiallyShipped, C::Ship, S::Shipped),
    (S::PartiallyShipped, C::Deliver, S::PartiallyShipped),
    (S::PartiallyShipped, C::Cancel, S::PartiallyShipped),
    (S::PartiallyShipped, C::Cancel, S::Shipped),
    (S::PartiallyShipped, C::Cancel, S::Delivered),
    (S::Shipped, C::Deliver, S::Shipped),
    (S::Shipped, C::Deliver, S::Delivered),
    (S::Open, C::Move, S::Open),
    (S::Open, C::Move, S::Cancelled),
    (S::Open, C::Split, S::Open),
    (S::Open, C::Merge, S::Cancelled),
    (S::Open, C::Accept, S::Open),
    (S::Open, C::Decline, S::Open),
    (S::Open, C::Decline, S::Cancelled),
    (S::Picking, C::Move, S::Picking),
    (S::Picking, C::Move, S::Picked),
    (S::Picking, C::Move, S::Packed),
    (S::Picking, C::Split, S::Open),
    (S::Picking, C::Split, S::Picking),
    (S::Picking, C::Split, S::Picked),
    (S::Picking, C::Split, S::Packed),
    (S::Picking, C::Merge, S::Cancelled),
    (S::Picking, C::Unpick, S::Open),
    (S::Picking, C::Unpick, S::Picking),
    (S::Picking, C::Unpack, S::Picking),
    (S::Picked, C::Split, S::Picked),
    (S::Picked, C::Split, S::Packed),
    (S::Picked, C::Merge, S::Cancelled),
    (S::Picked, C::Unpick, S::Open),
    (S::Picked, C::Unpick, S::Picking),
    (S::Picked, C::Unpack, S::Picked),
    (S::Packed, C::Split, S::Packed),
    (S::Packed, C::Merge, S::Cancelled),
    (S::Packed, C::Unpick, S::Open),
    (S::Packed, C::Unpick, S::Picking),
    (S::Packed, C::Unpack, S::Picked),
    (S::PartiallyShipped, C::Move, S::PartiallyShipped),
    (S::PartiallyShipped, C::Move, S::Shipped),
    (S::PartiallyShipped, C::Move, S::Delivered),
    (S::PartiallyShipped, C::Split, S::PartiallyShipped),
    (S::PartiallyShipped, C::Split, S::Shipped),
    (S::PartiallyShipped, C::Split, S::Delivered),
    (S::PartiallyShipped, C::Merge, S::Shipped),
    (S::PartiallyShipped, C::Merge, S::Delivered),
    (S::PartiallyShipped, C::Unpick, S::PartiallyShipped),
    (S::PartiallyShipped, C::Unpack, S::PartiallyShipped),
    (S::PartiallyShipped, C::Unship, S::PartiallyShipped),
    (S::PartiallyShipped, C::Unship, S::Picking),
    (S::PartiallyShipped, C::Unship, S::Picked),
    (S::PartiallyShipped, C::Unship, S::Packed),
    (S::PartiallyShipped, C::Undeliver, S::PartiallyShipped),
    (S::PartiallyShipped, C::Reship, S::Open),
    (S::PartiallyShipped, C::Reship, S::Picking),
    (S::PartiallyShipped, C::Reship, S::Picked),
    (S::PartiallyShipped, C::Reship, S::Packed),
    (S::PartiallyShipped, C::Reship, S::PartiallyShipped),
    (S::Shipped, C::Unship, S::PartiallyShipped),
    (S::Shipped, C::Unship, S::Packed),
    (S::Shipped, C::Undeliver, S::Shipped),
    (S::Shipped, C::Reship, S::Shipped),
    (S::Shipped, C::Reship, S::Delivered),
    (S::Shipped, C::Reship, S::Cancelled),
    (S::Delivered, C::Undeliver, S::Shipped),
];

/// What changes no quantity: every state in which something is left to do takes it, and stays.
pub const KEEPING: &[Command] = &[C::Hold, C::Release, C::Reschedule, C::RequestCancel];

impl Command {
    /// Whether holds keep it from being done.
    #[must_use]
    pub const fn is_held(self) -> bool {
        matches!(self, C::Pick | C::Pack | C::Ship)
    }
}

impl FulfilmentState {
    /// The state after a command that leaves these quantities behind, `arrived` telling whether every shipment of the
    /// fulfilment order has arrived.
    ///
    /// # Errors
    /// `state_conflict` when the state does not take the command.
    pub fn apply<'a>(
        self,
        command: Command,
        after: impl IntoIterator<Item = &'a Counts>,
        arrived: bool,
    ) -> Result<Self> {
        self.takes(command)?;
        let to = derive(after, arrived);
        match TRANSITIONS.contains(&(self, command, to)) || self.keeps(command) && to == self {
            true => Ok(to),
            false => Err(Error::conflict(format!("`{command}` does not lead from {self} to {to}"))),
        }
    }

    /// Whether the state takes a command at all.
    ///
    /// # Errors
    /// `state_conflict` when it does not.
    pub fn takes(self, command: Command) -> Result<()> {
        let known = TRANSITIONS.iter().any(|(from, with, _)| (*from, *with) == (self, command));
        match known || self.keeps(command) {
            true => Ok(()),
            false => Err(Error::conflict(format!("the fulfilment order is {self}: `{command}` is not possible"))),
        }
    }

    fn keeps(self, command: Command) -> bool {
        self.is_open() && KEEPING.contains(&command)
    }

    /// Whether the warehouse still has something to do.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Shipped | Self::Delivered | Self::Cancelled)
    }
}

/// The transition table as a Mermaid diagram: one arrow from state to state, with all the commands that lead that way.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> open\n");
    for from in FulfilmentState::ALL {
        for to in FulfilmentState::ALL {
            let leads = |command: &&Command| {
                TRANSITIONS.contains(&(*from, **command, *to)) || from == to && from.keeps(**command)
            };
            let commands: Vec<&str> = Command::ALL.iter().filter(leads).map(|command| command.as_str()).collect();
            if !commands.is_empty() {
                text.push_str(&format!("    {from} --> {to}: {}\n", commands.join(", ")));
            }
        }
    }
    text
}

/// The state that quantities stand for.
#[must_use]
pub fn derive<'a>(lines: impl IntoIterator<Item = &'a Counts>, arrived: bool) -> FulfilmentState {
    let mut sum = Counts::default();
    for line in lines {
        sum.quantity += line.quantity;
        sum.picked += line.picked;
        sum.packed += line.packed;
        sum.shipped += line.shipped;
        sum.cancelled += line.cancelled;
    }
    let wanted = sum.quantity - sum.cancelled;
    match () {
        () if wanted == 0 => S::Cancelled,
        () if sum.shipped == wanted && arrived => S::Delivered,
        () if sum.shipped == wanted => S::Shipped,
        () if sum.shipped > 0 => S::PartiallyShipped,
        () if sum.packed == wanted => S::Packed,
        () if sum.picked == wanted => S::Picked,
        () if sum.picked > 0 => S::Picking,
        () => S::Open,
    }
}
