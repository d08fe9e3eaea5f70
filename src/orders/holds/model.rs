//! What an order is held for, and what that keeps from being done. Pure.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::Instant,
    orders::{Command, OrderDocument, OrderState},
};

crate::words! {
    /// What an order, or a line of it, is held for. More words may come.
    pub enum OrderHoldKind {
        /// Its money is looked into, or has to come first: it ends when the order is paid.
        Payment = "payment",
        /// Something is wrong with an address.
        Address = "address",
        /// It may be a fraud.
        Risk = "risk",
        /// Its company owes too much.
        Credit = "credit",
        /// Its goods are looked into.
        Stock = "stock",
        /// It is looked into whether it may be exported.
        ExportControl = "export_control",
        /// Its customer has asked to wait.
        Customer = "customer",
        /// Its goods leave before those come back that they are exchanged for: its money is promised, and not taken until these have come.
        Exchange = "exchange",
        /// Something else.
        Manual = "manual",
    }
}

/// What is not done with an order, or with a line of it, for now. Each has one of a kind at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OrderBlock)]
pub struct Block {
    /// What it is held for.
    pub kind: OrderHoldKind,
    /// The line that is held; absent for all of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_no: Option<i32>,
    /// What is not done until the hold ends. `ship` stands for picking and packing too.
    pub blocks: Vec<Command>,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
}

/// A hold of an order, or of a line of it: what it blocks, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OrderHold {
    /// What it blocks.
    #[serde(flatten)]
    pub block: Block,
    /// Why, in words.
    pub reason: String,
    /// Who looks after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Who has placed it.
    pub placed_by: String,
    /// Since when.
    pub placed_at: Instant,
}

impl Block {
    /// Whether it holds at an instant: one whose time is over does not, though nobody has written that down yet.
    #[must_use]
    pub fn holds_at(&self, now: Instant) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }

    /// That none of those of an order keeps a command from being done with some of its lines: see [`OrderDocument::free_for`].
    ///
    /// # Errors
    /// `state_conflict`, with the holds.
    pub fn free<'a>(
        all: impl Iterator<Item = &'a Self>,
        command: Command,
        lines: &[i32],
        now: Option<Instant>,
    ) -> Result<()> {
        let live = all.filter(|one| now.is_none_or(|now| one.holds_at(now)));
        let names: Vec<String> = live.filter(|one| one.keeps(command, lines)).map(Self::name).collect();
        if names.is_empty() {
            return Ok(());
        }
        let detail = format!("the order is held: {}; `{command}` waits until that is released", names.join(", "));
        Err(Error::conflict(detail).with("holds", names))
    }

    /// Whether it keeps some of these lines from being shipped.
    #[must_use]
    pub fn is_about(&self, lines: impl IntoIterator<Item = i32>) -> bool {
        self.blocks.contains(&Command::Ship)
            && self.line_no.is_none_or(|line_no| lines.into_iter().any(|line| line == line_no))
    }

    /// Whether it keeps a command from being done with some of an order's lines.
    fn keeps(&self, command: Command, lines: &[i32]) -> bool {
        self.blocks.contains(&command) && self.line_no.is_none_or(|line_no| lines.contains(&line_no))
    }

    /// What it is called where somebody is refused: its kind, and its line.
    #[must_use]
    pub fn name(&self) -> String {
        match self.line_no {
            Some(line_no) => format!("{} (line {line_no})", self.kind),
            None => self.kind.to_string(),
        }
    }
}

/// A refusal as shoppers are told it: not what the order is held for, which is nobody's business but the shop's.
#[must_use]
pub fn untold(error: Error) -> Error {
    match error {
        Error::Problem(mut problem) if problem.extra.contains_key("holds") => {
            problem.extra.remove("holds");
            "the order can not be changed at the moment: ask the shop".clone_into(&mut problem.detail);
            Error::Problem(problem)
        }
        other => other,
    }
}

/// Takes out of holds what may name anybody. They go on holding.
pub(in crate::orders) fn forget_words(holds: &mut [OrderHold]) {
    for hold in holds {
        "erased".clone_into(&mut hold.reason);
        hold.owner = None;
    }
}

/// A hold about to be placed.
#[derive(Debug, Clone)]
pub struct NewOrderHold {
    /// What for.
    pub kind: OrderHoldKind,
    /// The line that it is for; all of the order where there is none.
    pub line_no: Option<i32>,
    /// What is not done until it ends; shipping where that is not said.
    pub blocks: Option<Vec<Command>>,
    /// Why, in words.
    pub reason: String,
    /// Who looks after it.
    pub owner: Option<String>,
    /// When it ends by itself.
    pub expires_at: Option<Instant>,
}

/// What a hold can keep from being done. What is only reported, that goods have arrived or money has come in, can not be held, nor that
/// providers are asked again.
pub(super) const HOLDABLE: [Command; 4] = [Command::Ship, Command::Cancel, Command::Return, Command::Refund];

impl NewOrderHold {
    /// The hold that somebody places now on an order.
    ///
    /// # Errors
    /// `line_unknown`; `invalid_value` for a command that can not be held; `state_conflict` where nothing of what it blocks could be
    /// done with the order anyway, and where the order, or the line, is held for that already.
    pub(super) fn placed(&self, order: &OrderDocument, by: String, now: Instant) -> Result<OrderHold> {
        let Self { kind, line_no, blocks, reason, owner, expires_at } = self.clone();
        // Only an exchange keeps money from being taken that is earned.
        let (usual, takes_nothing) = match kind {
            OrderHoldKind::Exchange => (Command::Settle, true),
            _ => (Command::Ship, false),
        };
        let mut blocks = blocks.unwrap_or_else(|| vec![usual]);
        let holdable = |command: &Command| HOLDABLE.contains(command) || takes_nothing && *command == Command::Settle;
        if let Some(place) = blocks.iter().position(|command| !holdable(command)) {
            let known = HOLDABLE.map(Command::as_str).join(", ");
            return Err(Error::invalid(format!("/blocks/{place}"), format!("expected one of {known}")));
        }
        blocks.sort_unstable();
        blocks.dedup();
        if line_no.is_some() && blocks.contains(&Command::Settle) {
            return Err(Error::invalid("/line_no", "money is taken of all of the order, not of one of its lines"));
        }
        if let Some(line_no) = line_no {
            order.line(line_no).map_err(|error| error.at("/line_no"))?;
        }
        if !blocks.iter().any(|command| order.state.apply(*command).is_ok()) {
            let detail = format!("the order is {}: nothing of that is done with it any more", order.state);
            return Err(Error::conflict(detail));
        }
        let block = Block { kind, line_no, blocks, expires_at };
        let mut live = order.holds.iter().map(|hold| &hold.block).filter(|one| one.holds_at(now));
        if live.any(|one| (one.kind, one.line_no) == (kind, line_no)) {
            return Err(Error::conflict(format!("it is held for that already: {}", block.name())));
        }
        Ok(OrderHold { block, reason, owner, placed_by: by, placed_at: now })
    }
}

impl OrderDocument {
    /// That no hold keeps a command from being done with some of its lines; what is for all of the order counts always. Without a
    /// time, holds whose time may be over count too.
    ///
    /// # Errors
    /// `state_conflict`, with the holds.
    pub fn free_for(&self, command: Command, lines: &[i32], now: Option<Instant>) -> Result<()> {
        Block::free(self.holds.iter().map(|hold| &hold.block), command, lines, now)
    }
}

/// Takes off an order what it is held for where nothing of that is done with it any more. Whether there was any.
pub(in crate::orders) fn drop_idle(order: &mut OrderDocument) -> bool {
    let before = order.holds.len();
    if order.state != OrderState::Placed {
        let state = order.state;
        order.holds.retain(|hold| hold.block.blocks.iter().any(|command| state.apply(*command).is_ok()));
    }
    order.holds.len() != before
}
