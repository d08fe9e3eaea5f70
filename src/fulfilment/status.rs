//! "Where is my order?": what it waits for since when, what stands in its way, where its parcels and its money are.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{
    crossdock,
    holds::HoldKind,
    model::{Command, FulfilmentLine, FulfilmentOrder, FulfilmentState, Scan, Shipment, ShipmentState, ShippedLine},
    service,
    store::{self, Claim, Taken},
    tracking::Tracking,
};
use crate::{
    db::Tx,
    error::Result,
    kernel::{
        Actor, Instant, Money,
        ids::{FulfilmentOrderId, OrderId, ShipmentId, VariantId},
    },
    orders::{self, ExternalRef, FulfilmentStatus, OrderDocument, OrderLine, OrderState, PaymentStatus, Quantities},
    payments::{self, is_by_hand},
    stock::{self, Level, LevelKey, Locations},
};

crate::words! {
    /// What an order waits for. More words may come.
    pub enum WaitingFor {
        /// Money that the customer has to send.
        Payment = "payment",
        /// Goods that are not there yet, or that earlier orders wait for.
        Goods = "goods",
        /// That a hold ends.
        Release = "release",
        /// That its location takes it on.
        Acceptance = "acceptance",
        /// The warehouse takes it from the shelf.
        Picking = "picking",
        /// The warehouse packs it.
        Packing = "packing",
        /// The carrier fetches it.
        Dispatch = "dispatch",
        /// The carrier brings it.
        Delivery = "delivery",
        /// Money on its way back to the customer.
        Refund = "refund",
    }
}

/// Something an order waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Waiting {
    /// What.
    pub r#for: WaitingFor,
    /// Since when.
    pub since: Instant,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// How many pieces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pieces: Option<i64>,
    /// When it should have left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Instant>,
    /// Whether that has passed.
    pub overdue: bool,
}

/// Something that stands in an order's way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Blocker {
    /// A stable word: `out_of_stock`, `overdue`, `payment_failed`. More words may come.
    #[schema(example = "out_of_stock")]
    pub code: String,
    /// The same for people.
    pub text: String,
    /// The line it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_no: Option<i32>,
}

/// A parcel on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ParcelStatus {
    /// The shipment.
    pub id: ShipmentId,
    /// Where it stands.
    pub state: ShipmentState,
    /// Where its carrier says that it is.
    pub tracking: Tracking,
    /// Who carries it.
    pub carrier: Option<String>,
    /// What the carrier calls it.
    pub tracking_number: Option<String>,
    /// Where its way can be followed.
    pub tracking_url: Option<String>,
    /// What is in it.
    pub lines: Vec<ShippedLine>,
    /// When it left.
    pub shipped_at: Instant,
    /// When it arrived.
    pub delivered_at: Option<Instant>,
    /// What the carrier said last.
    pub last_scan: Option<Scan>,
}

/// Where the money is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct MoneyStatus {
    /// What the order cost.
    pub total: Money,
    /// What is due of it: all that was not cancelled.
    pub due: Money,
    /// What was captured.
    pub captured: Money,
    /// What was given back.
    pub refunded: Money,
    /// What is being given back.
    pub refund_pending: Money,
}

/// How far somebody who hears of the order is behind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Lag {
    /// A `connector` that events are pushed to, or a `consumer` that polls a feed. More kinds may come.
    #[schema(example = "connector")]
    pub kind: String,
    /// Its name.
    #[schema(example = "ERP")]
    pub name: String,
    /// How many of the order's events have not reached it yet.
    pub events: i64,
    /// Since when the oldest of them has been waiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Instant>,
}

/// How far the pieces of a line have come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LineProgress {
    /// The line.
    pub line_no: i32,
    /// The SKU.
    pub sku: String,
    /// The order's own quantities.
    #[serde(flatten)]
    pub quantities: Quantities,
    /// How many have been picked at the locations that the caller may see, those that have left among them.
    pub picked: i64,
    /// How many have been packed there, those that have left among them.
    pub packed: i64,
    /// What was given back for it.
    pub refunded: Money,
}

impl LineProgress {
    fn of(line: &OrderLine, fulfilments: &[FulfilmentOrder]) -> Self {
        let own = || fulfilments.iter().flat_map(|one| &one.lines).filter(|one| one.line_no == line.line_no);
        Self {
            line_no: line.line_no,
            sku: line.sku.clone(),
            quantities: line.quantities,
            picked: own().map(|one| one.counts.picked).sum(),
            packed: own().map(|one| one.counts.packed).sum(),
            refunded: line.refunded,
        }
    }
}

/// Where an order is.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct OrderProgress {
    /// The order.
    pub order_id: OrderId,
    /// Its number.
    pub number: String,
    /// All of it in one sentence.
    #[schema(
        example = "Order 1001 of 2026-03-02: 2 of 3 pieces have left, 1 waits to be picked at Bremen since 2026-03-02; paid."
    )]
    pub sentence: String,
    /// Whether it still moves.
    pub state: OrderState,
    /// Where the money stands.
    pub payment_state: PaymentStatus,
    /// Where the goods stand.
    pub fulfilment_state: FulfilmentStatus,
    /// How far each line has come.
    pub lines: Vec<LineProgress>,
    /// What it waits for, the longest first; of locations those that the caller may see.
    pub waiting: Vec<Waiting>,
    /// What stands in its way.
    pub blockers: Vec<Blocker>,
    /// Its parcels, from the locations that the caller may see.
    pub parcels: Vec<ParcelStatus>,
    /// Its money.
    pub money: MoneyStatus,
    /// What foreign systems call it, and the documents that they have told of. Tracking numbers stand with `parcels`.
    pub external_refs: Vec<ExternalRef>,
    /// How far those that hear of it are behind.
    pub lag: Vec<Lag>,
}

/// Where an order is, as far as it is at locations that the actor may see: ten statements at most. `lag` is how far those
/// that hear of it are behind, which is asked above.
///
/// # Errors
/// `not_found`.
pub fn progress(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    locations: &Locations,
    order: &OrderDocument,
    lag: Vec<Lag>,
) -> Result<OrderProgress> {
    let id = order.id;
    let failures = payments::failures_of(tx, id)?;
    let (mut fulfilments, mut shipments) = service::of_order(tx, id)?;
    fulfilments.retain(|one| actor.sees_location(one.location_id));
    shipments.retain(|one| actor.sees_location(one.location_id));
    let wanted: Vec<LevelKey> =
        on_shelves(&fulfilments).map(|(one, line)| (line.variant_id, one.location_id)).collect();
    let levels = stock::levels_at(tx, &wanted)?;
    let over = |key: &LevelKey| levels.get(key).is_some_and(|level| level.on_hand < level.allocated);
    let contested = on_shelves(&fulfilments).filter(|(one, line)| over(&(line.variant_id, one.location_id)));
    let contested: Vec<Claim<'_>> = contested.map(|(one, line)| (one, line.variant_id)).collect();
    let mut taken = store::taken_by_others(tx, &contested)?;
    at_docks(tx, &contested, &mut taken)?;
    let known = Known { order, fulfilments: &fulfilments, shipments, levels, taken, failures, lag };
    Ok(describe(now, known, locations))
}

/// Adds what stands at docks for later orders: they have a better claim to that alone. One statement, and three where there is any.
fn at_docks(tx: &mut Tx, contested: &[Claim<'_>], taken: &mut Taken) -> Result<()> {
    let mut keys: Vec<LevelKey> = contested.iter().map(|(one, variant)| (*variant, one.location_id)).collect();
    keys.sort_unstable();
    keys.dedup();
    let standing = crossdock::standing_at(tx, &keys)?;
    let others: Vec<FulfilmentOrderId> = standing.keys().map(|(.., work)| *work).collect();
    let since = if others.is_empty() { Vec::new() } else { store::by_ids(tx, &others)? };
    let since: HashMap<FulfilmentOrderId, Instant> = since.iter().map(|one| (one.id, one.created_at)).collect();
    // A line of several pieces stands in the list once, an order of several lines of an article more often.
    let claims: BTreeMap<(FulfilmentOrderId, VariantId), &FulfilmentOrder> =
        contested.iter().map(|(one, variant)| ((one.id, *variant), *one)).collect();
    for ((id, variant), one) in claims {
        let of = standing.iter().filter(|((goods, place, work), _)| {
            let later = since.get(work).is_some_and(|since| (*since, *work) > (one.created_at, id));
            (*goods, *place) == (variant, one.location_id) && *work != id && later
        });
        *taken.entry((id, variant)).or_default() += of.map(|(_, pieces)| pieces).sum::<i64>();
    }
    Ok(())
}

/// What is known of an order.
struct Known<'a> {
    order: &'a OrderDocument,
    fulfilments: &'a [FulfilmentOrder],
    shipments: Vec<Shipment>,
    levels: HashMap<LevelKey, Level>,
    /// What others have a better claim to, where more is promised than lies there.
    taken: Taken,
    failures: Vec<crate::kernel::Waiting>,
    lag: Vec<Lag>,
}

fn describe(now: Instant, known: Known<'_>, locations: &Locations) -> OrderProgress {
    let Known { order, fulfilments, shipments, levels, taken, failures, lag } = known;
    let short = short(fulfilments, &levels, &taken);
    let money = money(order);
    let mut waiting: Vec<Waiting> = Vec::new();
    waiting.extend(payment(order, &money));
    waiting.extend(fulfilments.iter().filter_map(|one| at_location(now, one, &short, locations)));
    // What has come back is not on its way any more, whether or not somebody saw it arrive.
    let all_back = order.lines.iter().all(|line| line.quantities.returned >= line.quantities.shipped);
    let on_the_way = shipments.iter().filter(|one| one.state == ShipmentState::Shipped && !all_back);
    waiting.extend(on_the_way.map(on_its_way));
    waiting.extend(refund(order, &money));
    waiting.sort_by_key(|one| one.since);
    let blockers = blockers(&failures, &short, &waiting);
    OrderProgress {
        order_id: order.id,
        number: order.number.clone(),
        sentence: sentence(order, &waiting, &blockers, &money, &lag),
        state: order.state,
        payment_state: order.payment_state,
        fulfilment_state: order.fulfilment_state,
        lines: order.lines.iter().map(|line| LineProgress::of(line, fulfilments)).collect(),
        waiting,
        blockers,
        parcels: shipments.iter().filter(|one| one.corrected_at.is_none()).map(parcel).collect(),
        money,
        external_refs: order.external_refs.iter().filter(|one| one.kind != service::TRACKING).cloned().collect(),
        lag,
    }
}

/// The lines of which pieces are still to be taken from a shelf, with whose they are.
fn on_shelves(fulfilments: &[FulfilmentOrder]) -> impl Iterator<Item = (&FulfilmentOrder, &FulfilmentLine)> {
    let open = fulfilments.iter().filter(|one| one.state.is_open());
    let lines = open.flat_map(|one| one.lines.iter().map(move |line| (one, line)));
    lines.filter(|(_, line)| line.tracked && line.counts.left_for(Command::Pick) > 0)
}

/// A line of which not all lies at its location that is not promised to earlier orders or picked for others.
struct Short<'a> {
    line_no: i32,
    fulfilment: FulfilmentOrderId,
    sku: &'a str,
}

/// The lines that lack goods, in their order.
fn short<'a>(fulfilments: &'a [FulfilmentOrder], levels: &HashMap<LevelKey, Level>, taken: &Taken) -> Vec<Short<'a>> {
    let lacks = |one: &FulfilmentOrder, line: &FulfilmentLine| {
        let own = one.lines.iter().filter(|own| own.variant_id == line.variant_id);
        let wanted: i64 = own.map(|own| own.counts.open()).sum();
        let level = levels.get(&(line.variant_id, one.location_id)).filter(|level| level.on_hand < level.allocated);
        let taken = taken.get(&(one.id, line.variant_id)).copied().unwrap_or_default();
        level.is_some_and(|level| level.on_hand - taken < wanted)
    };
    let lacking = on_shelves(fulfilments).filter(|(one, line)| lacks(one, line));
    let short = lacking.map(|(one, line)| Short { line_no: line.line_no, fulfilment: one.id, sku: &line.sku });
    let mut short: Vec<Short<'_>> = short.collect();
    short.sort_by_key(|short| short.line_no);
    short
}

fn payment(order: &OrderDocument, money: &MoneyStatus) -> Option<Waiting> {
    let by_hand = order.payments.iter().any(|payment| is_by_hand(&payment.provider) && payment.capturable.minor() > 0);
    let owed = money.captured.minor() < money.due.minor();
    (by_hand && owed).then(|| waiting(WaitingFor::Payment, order.placed_at))
}

fn refund(order: &OrderDocument, money: &MoneyStatus) -> Option<Waiting> {
    let since = order.payments.iter().map(|payment| payment.updated_at).max().unwrap_or(order.placed_at);
    (money.refund_pending.minor() > 0).then(|| waiting(WaitingFor::Refund, since))
}

const fn waiting(what: WaitingFor, since: Instant) -> Waiting {
    Waiting { r#for: what, since, location: None, pieces: None, due_at: None, overdue: false }
}

/// What a hold lets it wait for, since when.
fn held(one: &FulfilmentOrder, now: Instant) -> Option<(WaitingFor, Instant)> {
    let live = one.holds.iter().filter(|hold| hold.holds_at(now));
    let oldest = live.min_by_key(|hold| (hold.kind != HoldKind::Stock, hold.placed_at))?;
    let what = if oldest.kind == HoldKind::Stock { WaitingFor::Goods } else { WaitingFor::Release };
    Some((what, oldest.placed_at))
}

fn at_location(now: Instant, one: &FulfilmentOrder, short: &[Short<'_>], locations: &Locations) -> Option<Waiting> {
    let pieces: i64 = one.counts().map(super::Counts::open).sum();
    let missing = short.iter().any(|short| short.fulfilment == one.id);
    let left = |command| one.counts().any(|counts| counts.left_for(command) > 0);
    let (what, since) = match (one.state, held(one, now)) {
        (FulfilmentState::Shipped | FulfilmentState::Delivered | FulfilmentState::Cancelled, _) => return None,
        _ if missing => (WaitingFor::Goods, one.created_at),
        (_, Some(held)) => held,
        _ if one.accept_by.is_some() => (WaitingFor::Acceptance, one.created_at),
        // What is not picked has been waiting from the beginning, whatever was picked beside it.
        _ if left(Command::Pick) => (WaitingFor::Picking, one.created_at),
        _ if left(Command::Pack) => (WaitingFor::Packing, one.state_since),
        _ => (WaitingFor::Dispatch, one.state_since),
    };
    let location = locations.get(one.location_id).ok().map(|location| location.name.clone());
    let (due_at, overdue) = (Some(one.due_at), one.due_at < now);
    Some(Waiting { location, pieces: Some(pieces), due_at, overdue, ..waiting(what, since) })
}

fn on_its_way(shipment: &Shipment) -> Waiting {
    let pieces = shipment.lines.iter().map(|line| line.quantity).sum();
    Waiting { pieces: Some(pieces), ..waiting(WaitingFor::Delivery, shipment.shipped_at) }
}

fn blockers(failures: &[crate::kernel::Waiting], short: &[Short<'_>], waiting: &[Waiting]) -> Vec<Blocker> {
    let mut blockers: Vec<Blocker> = Vec::new();
    blockers.extend(short.chunk_by(|one, next| one.line_no == next.line_no).filter_map(<[_]>::first).map(|line| {
        Blocker {
            code: "out_of_stock".to_owned(),
            text: format!("more of {} is promised than lies in stock", line.sku),
            line_no: Some(line.line_no),
        }
    }));
    blockers.extend(waiting.iter().filter(|one| one.overdue).map(|one| Blocker {
        code: "overdue".to_owned(),
        text: format!(
            "it should have left{} by {}",
            one.location.as_deref().map(|name| format!(" {name}")).unwrap_or_default(),
            one.due_at.map(day).unwrap_or_default()
        ),
        line_no: None,
    }));
    blockers.extend(failures.iter().map(|failure| Blocker {
        code: "payment_failed".to_owned(),
        text: failure.subject.clone(),
        line_no: None,
    }));
    blockers
}

fn parcel(shipment: &Shipment) -> ParcelStatus {
    ParcelStatus {
        id: shipment.id,
        state: shipment.state,
        tracking: shipment.tracking,
        carrier: shipment.carrier.clone(),
        tracking_number: shipment.tracking_number.clone(),
        tracking_url: shipment.tracking_url.clone(),
        lines: shipment.lines.clone(),
        shipped_at: shipment.shipped_at,
        delivered_at: shipment.delivered_at,
        last_scan: shipment.scans.last().cloned(),
    }
}

fn money(order: &OrderDocument) -> MoneyStatus {
    let money = |minor| Money::from_minor(minor, order.currency);
    let counts = order.money();
    let refundable: i64 = order.payments.iter().map(|payment| payment.refundable.minor()).sum();
    MoneyStatus {
        total: order.total,
        due: money(counts.due),
        captured: money(counts.captured),
        refunded: money(counts.refunded),
        // Captured and not refundable any more is what is given back or being given back.
        refund_pending: money(counts.captured - counts.refunded - refundable),
    }
}

/// The day of an instant, as people read it.
fn day(at: Instant) -> String {
    at.utc().format("%Y-%m-%d").to_string()
}

/// All of it in one sentence.
fn sentence(
    order: &OrderDocument,
    waiting: &[Waiting],
    blockers: &[Blocker],
    money: &MoneyStatus,
    lag: &[Lag],
) -> String {
    let sum = |count: fn(&orders::OrderLine) -> i64| {
        order.lines.iter().filter(|l| l.requires_shipping).map(count).sum::<i64>()
    };
    let wanted = sum(|line| line.quantities.quantity - line.quantities.cancelled);
    let (shipped, delivered) = (sum(|line| line.quantities.shipped), sum(|line| line.quantities.delivered));
    let returned = sum(|line| line.quantities.returned);
    let mut parts: Vec<String> = Vec::new();
    parts.push(match order.fulfilment_state {
        _ if order.state == OrderState::Cancelled => "it was cancelled".to_owned(),
        FulfilmentStatus::NotRequired => "nothing of it is shipped".to_owned(),
        FulfilmentStatus::Cancelled => "what would have been shipped was cancelled".to_owned(),
        _ if returned > 0 && returned == wanted => "all of it has come back".to_owned(),
        FulfilmentStatus::Delivered if wanted == 1 => "its one piece has arrived".to_owned(),
        FulfilmentStatus::Delivered => format!("all {wanted} pieces have arrived"),
        FulfilmentStatus::Unfulfilled if wanted == 1 => "its one piece has not left yet".to_owned(),
        FulfilmentStatus::Unfulfilled => format!("none of its {wanted} pieces has left yet"),
        _ => format!("{shipped} of {wanted} pieces have left and {delivered} have arrived"),
    });
    if returned > 0 && returned < wanted {
        parts.push(format!("{returned} came back"));
    }
    for one in waiting {
        let since = day(one.since);
        let pieces = one.pieces.unwrap_or_default();
        let place = one.location.as_deref().map(|name| format!(" at {name}")).unwrap_or_default();
        let late = if one.overdue { ", overdue" } else { "" };
        parts.push(match one.r#for {
            WaitingFor::Payment => format!("the payment has been awaited since {since}"),
            WaitingFor::Goods => format!("{pieces} wait for goods{place} since {since}{late}"),
            WaitingFor::Release => format!("{pieces} are held{place} since {since}{late}"),
            WaitingFor::Acceptance => format!("{pieces} wait to be accepted{place} since {since}{late}"),
            WaitingFor::Picking => format!("{pieces} wait to be picked{place} since {since}{late}"),
            WaitingFor::Packing => format!("{pieces} wait to be packed{place} since {since}{late}"),
            WaitingFor::Dispatch => format!("{pieces} wait for the carrier{place} since {since}{late}"),
            WaitingFor::Delivery if pieces == 1 => format!("1 is on its way since {since}"),
            WaitingFor::Delivery => format!("{pieces} are on their way since {since}"),
            WaitingFor::Refund => format!("{} are being given back since {since}", money.refund_pending),
        });
    }
    parts.extend(blockers.iter().filter(|one| one.code == "payment_failed").map(|one| one.text.clone()));
    parts.extend(unheard(lag));
    parts.push(match order.payment_state {
        // Cancelled, and on its way back.
        PaymentStatus::Captured if money.due.minor() == 0 && money.captured.minor() > 0 => {
            "it had been paid".to_owned()
        }
        PaymentStatus::Captured => "it is paid".to_owned(),
        PaymentStatus::PartiallyCaptured => format!("{} of {} are paid", money.captured, money.due),
        PaymentStatus::PartiallyRefunded | PaymentStatus::Refunded => format!("{} were given back", money.refunded),
        PaymentStatus::Authorised => "its money is promised".to_owned(),
        PaymentStatus::Voided => "nothing was taken for it".to_owned(),
        PaymentStatus::Pending => "nothing is paid".to_owned(),
    });
    format!("Order {} of {}: {}.", order.number, day(order.placed_at), parts.join("; "))
}

/// How many of those who are behind are named in the sentence.
const NAMED: usize = 3;

/// Who has not heard of everything: a few of them, each once, whatever it is that is called so.
fn unheard(lag: &[Lag]) -> Vec<String> {
    let mut named: Vec<&Lag> = Vec::new();
    for behind in lag.iter().filter(|behind| behind.events > 0) {
        match named.iter_mut().find(|known| known.name == behind.name) {
            Some(known) if known.events < behind.events => *known = behind,
            Some(_) => {}
            None => named.push(behind),
        }
    }
    let told = |behind: &&Lag| {
        let since = behind.since.map(|since| format!(" since {}", day(since))).unwrap_or_default();
        format!("{} has not heard of {} of its events{since}", behind.name, behind.events)
    };
    let mut parts: Vec<String> = named.iter().take(NAMED).map(told).collect();
    match named.len().saturating_sub(NAMED) {
        0 => {}
        1 => parts.push("1 other is behind too".to_owned()),
        more => parts.push(format!("{more} others are behind too")),
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(name: &str, events: i64) -> Lag {
        Lag { kind: "consumer".to_owned(), name: name.to_owned(), events, since: None }
    }

    #[test]
    fn those_who_are_behind_are_named_once_and_a_few_of_them() {
        let two = [lag("erp", 2), lag("crm", 0), lag("erp", 5)];
        assert_eq!(unheard(&two), ["erp has not heard of 5 of its events"]);
        let many: Vec<Lag> = (1..=9).map(|n| lag(&format!("c{n}"), 1)).collect();
        let told = unheard(&many);
        assert_eq!((told.len(), told.last().map(String::as_str)), (4, Some("6 others are behind too")));
        assert_eq!(unheard(&many[..4]).last().map(String::as_str), Some("1 other is behind too"));
        assert!(unheard(&[]).is_empty());
    }
}
