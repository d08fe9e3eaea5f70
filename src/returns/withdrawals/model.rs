//! What a withdrawal is, until when there can be one, and what the law leaves out. Pure.

use chrono::Days;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::{
    catalog::ExemptGround,
    error::{Error, Result},
    fulfilment::Shipment,
    kernel::{
        Instant,
        ids::{ChannelId, OrderId, ReturnRequestId, WithdrawalId},
        local,
    },
    orders::{OrderDocument, OrderLine},
};

/// The period in days (Article 9).
pub(super) const DAYS: u64 = 14;
/// Within so many seconds of the declaration it can be confirmed, whenever the period ends.
pub(super) const TO_CONFIRM: i64 = 7 * 86_400;
/// The money goes back within so many seconds of the day on which the shop was told (Article 13).
pub(super) const TO_REFUND: i64 = 14 * 86_400;
/// So long before that it is told that it is due.
pub(super) const SOON: i64 = 3 * 86_400;

crate::words! {
    /// Where a withdrawal stands.
    pub enum WithdrawalState {
        /// It was declared, and has to be confirmed.
        Declared = "declared",
        /// It stands. What follows from it is being done.
        Confirmed = "confirmed",
        /// What had not left is cancelled, and what had is coming back.
        CarriedOut = "carried_out",
        /// The money has gone back.
        Settled = "settled",
    }
}

crate::words! {
    /// What can be done with a withdrawal.
    pub enum WithdrawalCommand {
        /// The second step.
        Confirm = "confirm",
        /// What follows is done.
        CarryOut = "carry_out",
        /// The money has gone back.
        Settle = "settle",
    }
}

/// Every transition of withdrawals there is: from, command, to.
pub const WITHDRAWAL_TRANSITIONS: &[(WithdrawalState, WithdrawalCommand, WithdrawalState)] = {
    use WithdrawalCommand as C;
    use WithdrawalState as S;
    &[
        (S::Declared, C::Confirm, S::Confirmed),
        (S::Confirmed, C::CarryOut, S::CarriedOut),
        (S::CarriedOut, C::Settle, S::Settled),
    ]
};

impl WithdrawalState {
    /// The state after a command.
    ///
    /// # Errors
    /// `state_conflict`.
    pub fn apply(self, command: WithdrawalCommand) -> Result<Self> {
        let found = WITHDRAWAL_TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        let refused = || Error::conflict(format!("a withdrawal that is {self} takes no `{command}`"));
        found.map(|(_, _, to)| *to).ok_or_else(refused)
    }
}

/// The transition table of withdrawals as a Mermaid diagram.
#[must_use]
pub fn withdrawals_mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> declared\n");
    for (from, command, to) in WITHDRAWAL_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

/// A line that nobody can withdraw from, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExemptLine {
    /// The order's line.
    pub line_no: i32,
    /// Why.
    pub ground: ExemptGround,
    /// The same, for a person to read.
    pub says: String,
}

impl ExemptLine {
    /// That a line is left out.
    #[must_use]
    pub fn of(line_no: i32, ground: ExemptGround) -> Self {
        Self { line_no, ground, says: ground.says().to_owned() }
    }
}

/// A line that is withdrawn from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WithdrawnLine {
    /// The order's line.
    pub line_no: i32,
    /// Its SKU.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// How many pieces.
    pub quantity: i64,
    /// How many of these were cancelled by it.
    #[serde(default)]
    pub cancelled: i64,
    /// How many of these come back by it.
    #[serde(default)]
    pub coming_back: i64,
}

impl WithdrawnLine {
    /// With how many pieces nothing has been done yet.
    #[must_use]
    pub const fn open(&self) -> i64 {
        self.quantity - self.cancelled - self.coming_back
    }
}

/// What is kept of a withdrawal beside its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WithdrawalDetails {
    pub name: Option<String>,
    pub email: Option<String>,
    pub locale: Option<String>,
    pub lines: Vec<WithdrawnLine>,
    pub whole: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exempt: Vec<ExemptLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<ReturnRequestId>,
}

/// A declaration that somebody withdraws from an order, or from lines of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WithdrawalDocument {
    /// Its id.
    pub id: WithdrawalId,
    /// The number that people use.
    pub number: String,
    /// The order.
    pub order_id: OrderId,
    /// The order's number.
    pub order_number: String,
    /// Where it was sold.
    pub channel_id: ChannelId,
    /// Where it stands. More words may come.
    pub state: WithdrawalState,
    /// Who has declared it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where they are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The language of the acknowledgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// What is withdrawn from.
    pub lines: Vec<WithdrawnLine>,
    /// Whether that is all of the order: its standard shipping goes back too (Article 13).
    pub whole: bool,
    /// What the law leaves out of what was asked for, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exempt: Vec<ExemptLine>,
    /// When the period was over as things stood when it was declared; absent while not all had arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    /// The return requests of what had left.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<ReturnRequestId>,
    /// When it was declared.
    pub declared_at: Instant,
    /// When it was confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Instant>,
    /// Until when the money has to be back; the shop may wait for the goods, or for proof that they were sent. Absent once it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund_due_at: Option<Instant>,
    /// The acknowledgement, word for word as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The SHA-256 of that text in UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Who was told that the money is due.
    #[serde(skip)]
    pub told: i64,
    /// Rises with every change.
    pub version: i64,
    /// When it last changed.
    pub updated_at: Instant,
}

/// When the period for an order is over: with the fourteenth day after that on which the last of its goods came, in the zone of the channel
/// (Article 9 (2); Regulation (EEC, Euratom) No 1182/71, Article 3). Of services, after the day of the order. `None` while goods are still
/// to come.
#[must_use]
pub fn ends(order: &OrderDocument, shipments: &[Shipment], zone: Tz) -> Option<Instant> {
    let mut last = order.placed_at;
    let mut goods = order.lines.iter().filter(|line| line.requires_shipping);
    if goods.any(|line| line.quantities.open() > 0) {
        return None;
    }
    for shipment in shipments.iter().filter(|one| one.corrected_at.is_none()) {
        last = last.max(shipment.delivered_at?);
    }
    let first_after = local::day_of(zone, last).checked_add_days(Days::new(DAYS + 1))?;
    Some(local::start_of_day(zone, first_after))
}

/// How many pieces of a line can be withdrawn from: those that have not left and those that have and are neither back nor claimed. `asked` are
/// those that return requests keep of which nothing is settled: a withdrawal goes before these, decided on or not.
#[must_use]
pub const fn withdrawable(line: &OrderLine, asked: i64) -> i64 {
    let shipped = if line.requires_shipping { line.returnable() } else { 0 };
    line.quantities.open() + shipped + asked
}

/// The acknowledgement: what was declared and confirmed, when, by whom and of what (Article 11a (4)).
#[must_use]
pub(super) fn acknowledgement(one: &WithdrawalDocument, shop: &str, zone: Tz, confirmed_at: Instant) -> String {
    let german = one.locale.as_deref().is_some_and(|locale| locale.starts_with("de"));
    let time = |at: Instant| at.utc().with_timezone(&zone).format("%Y-%m-%d %H:%M:%S %:z").to_string();
    let (name, email) = (one.name.as_deref().unwrap_or("-"), one.email.as_deref().unwrap_or("-"));
    let lines: String =
        one.lines.iter().map(|line| format!("- {} x {} ({})\n", line.quantity, line.name, line.sku)).collect();
    let exempt: String = one.exempt.iter().map(|line| format!("- {}: {}\n", line.line_no, line.says)).collect();
    let rest = |heading: &str| if exempt.is_empty() { String::new() } else { format!("\n{heading}\n{exempt}") };
    let (declared, confirmed) = (time(one.declared_at), time(confirmed_at));
    let (number, order) = (&one.number, &one.order_number);
    if german {
        let rest = rest("Davon ausgenommen (Zeile der Bestellung):");
        return format!(
            "Eingangsbestätigung eines Widerrufs\n\nWiderruf {number}\nShop: {shop}\nBestellung: {order}\nName: {name}\n\
             E-Mail: {email}\nErklärt: {declared}\nBestätigt: {confirmed}\n\nWiderrufen wird der Vertrag über:\n{lines}{rest}"
        );
    }
    let rest = rest("Left out by law (line of the order):");
    format!(
        "Acknowledgement of a withdrawal\n\nWithdrawal {number}\nShop: {shop}\nOrder: {order}\nName: {name}\nE-mail: {email}\n\
         Declared: {declared}\nConfirmed: {confirmed}\n\nThe contract is withdrawn from for:\n{lines}{rest}"
    )
}
