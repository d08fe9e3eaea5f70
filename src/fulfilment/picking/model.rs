//! Waves and their pick lists. Pure.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Error, Result},
    fulfilment::{Command, FulfilmentOrder},
    kernel::{
        Instant,
        ids::{FulfilmentOrderId, LocationId, LotId, OrderId, VariantId, WaveId},
        take_up_to,
    },
    stock::{Bin, Lot},
};

crate::words! {
    /// Where a wave stands.
    pub enum WaveState {
        /// Nothing was picked yet.
        Open = "open",
        /// Somebody walks.
        Picking = "picking",
        /// There is nothing left to pick, or nobody goes on.
        Done = "done",
        /// It was given up before anything was picked.
        Cancelled = "cancelled",
    }
}

crate::words! {
    /// What can be done with a wave.
    pub enum WaveCommand {
        /// Take pieces from the shelf.
        Pick = "pick",
        /// Note that pieces were not found.
        Short = "short",
        /// End it: what is left goes into other waves.
        Finish = "finish",
        /// Give it up before anything was picked.
        Cancel = "cancel",
    }
}

use WaveCommand as C;
use WaveState as S;

/// Every transition of waves there is: from, command, to. A wave of which nothing is left is done.
pub const WAVE_TRANSITIONS: &[(WaveState, WaveCommand, WaveState)] = &[
    (S::Open, C::Pick, S::Picking),
    (S::Open, C::Pick, S::Done),
    (S::Open, C::Short, S::Picking),
    (S::Open, C::Short, S::Done),
    (S::Open, C::Finish, S::Done),
    (S::Open, C::Cancel, S::Cancelled),
    (S::Picking, C::Pick, S::Picking),
    (S::Picking, C::Pick, S::Done),
    (S::Picking, C::Short, S::Picking),
    (S::Picking, C::Short, S::Done),
    (S::Picking, C::Finish, S::Done),
];

/// The transition table of waves as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> open\n");
    for (from, command, to) in WAVE_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

impl WaveState {
    /// The state after a command; `empty` tells whether nothing is left to pick then.
    ///
    /// # Errors
    /// `state_conflict` when the state does not take it.
    pub fn apply(self, command: WaveCommand, empty: bool) -> Result<Self> {
        let mut found = WAVE_TRANSITIONS.iter().filter(|(from, with, _)| (*from, *with) == (self, command));
        let refused = || Error::conflict(format!("the wave is {self}: `{command}` is not possible"));
        let first = found.next().map(|(.., to)| *to).ok_or_else(refused)?;
        let done = empty && found.any(|(.., to)| *to == S::Done);
        Ok(if done { S::Done } else { first })
    }

    /// Whether its work is still to be done in it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, S::Open | S::Picking)
    }
}

/// Work that is picked in one walk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Wave {
    /// Its id.
    pub id: WaveId,
    /// Where.
    pub location_id: LocationId,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of which zone its goods are, where it was made for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Where it stands. More states may come.
    pub state: WaveState,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// What is kept of a wave beside its columns.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct WaveDetails {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub zone: Option<String>,
}

/// Pieces that were not found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Short {
    /// Whose.
    pub fulfilment_order_id: FulfilmentOrderId,
    /// The order's line.
    pub line_no: i32,
    /// How many.
    pub pieces: i64,
    /// How many of them were planned anew since: they leave from elsewhere, or are held.
    pub planned: i64,
    /// Why.
    pub reason: String,
    /// When that was noted.
    pub noted_at: Instant,
}

/// Into which place pieces go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Put {
    /// The place (a tote, a compartment of the trolley), from 1.
    pub put: i64,
    /// Whose pieces they are.
    pub fulfilment_order_id: FulfilmentOrderId,
    /// The order's number.
    pub order_number: String,
    /// The order's line.
    pub line_no: i32,
    /// How many.
    pub quantity: i64,
    /// Of which lots.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<PickLot>,
}

/// Pieces that are taken of a lot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PickLot {
    /// It.
    pub lot_id: LotId,
    /// Its number.
    pub lot: String,
    /// Until when it keeps, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
    /// How many pieces.
    pub quantity: i64,
}

/// What is taken at one place of the walk, for all orders of the wave together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PickLine {
    /// The part of the location; empty where there is none.
    pub zone: String,
    /// The place in it; empty where it is not known.
    pub bin: String,
    /// What.
    pub variant_id: VariantId,
    /// Its SKU.
    pub sku: String,
    /// How many.
    pub quantity: i64,
    /// Of which lots: what ends first in front, each order's as long as it asks for. What is of none is not named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<PickLot>,
    /// Into which places they go.
    pub puts: Vec<Put>,
}

/// What is left to pick of a wave, in the order of the walk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PickList {
    /// By zone, bin and SKU; what has no bin comes last.
    pub lines: Vec<PickLine>,
    /// How many pieces.
    pub pieces: i64,
}

/// A fulfilment order of a wave with its place.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub put: i64,
    pub work: FulfilmentOrder,
}

/// What lies of a lot.
#[derive(Debug, Clone)]
pub(super) struct Lying {
    pub lot: Lot,
    /// How many pieces nobody has taken.
    pub free: i64,
    /// How many were taken of it and have not left.
    pub taken: i64,
}

/// What a location has for the work of a wave.
#[derive(Debug, Default)]
pub(super) struct Shelves {
    /// Where it lies.
    pub bins: HashMap<VariantId, Bin>,
    /// How many pieces of lines are not there.
    pub lacking: HashMap<(FulfilmentOrderId, i32), i64>,
    /// How many pieces of lines stand at the dock for them: they are loaded, not picked.
    pub standing: HashMap<(FulfilmentOrderId, i32), i64>,
    /// What lies there of lots, in the order in which they leave.
    pub lots: Vec<Lying>,
    /// How many pieces of variants are in no lot, of those of which some are.
    pub loose: HashMap<VariantId, i64>,
    /// For how many days what leaves with orders must keep, of those that ask for it.
    pub lives: HashMap<OrderId, i64>,
}

impl Shelves {
    /// Until when what is picked now for an order must keep.
    pub(super) fn keeps_until(&self, now: Instant, order: Option<OrderId>) -> Instant {
        let days = order.and_then(|order| self.lives.get(&order)).copied().unwrap_or_default();
        now.plus_seconds(86_400 * days)
    }
}

/// The pick list of a wave's work: what is left to pick of it without what was not found, is not there or stands at the dock for it, and
/// without what is held.
pub(super) fn pick_list(now: Instant, members: &[Member], shorts: &[Short], shelves: &Shelves) -> PickList {
    let bins = &shelves.bins;
    let missing: HashMap<(FulfilmentOrderId, i32), i64> =
        shorts.iter().map(|short| ((short.fulfilment_order_id, short.line_no), short.pieces - short.planned)).collect();
    let mut walk: BTreeMap<(bool, Option<&Bin>, &str), PickLine> = BTreeMap::new();
    let free = |member: &&Member| {
        let work = &member.work;
        work.state.is_open() && work.free_for(Command::Pick, now).is_ok() && work.order_holds.is_empty()
    };
    for Member { put, work } in members.iter().filter(free) {
        for line in &work.lines {
            // What was not found may be off the level by now: then it lacks as well.
            let short = missing.get(&(work.id, line.line_no)).copied().unwrap_or_default();
            let lacks = shelves.lacking.get(&(work.id, line.line_no)).copied().unwrap_or_default();
            let stands = shelves.standing.get(&(work.id, line.line_no)).copied().unwrap_or_default();
            let quantity = line.counts.left_for(Command::Pick) - stands - short.max(lacks);
            if quantity <= 0 {
                continue;
            }
            let bin = bins.get(&line.variant_id);
            let stop = walk.entry((bin.is_none(), bin, line.sku.as_str())).or_insert_with(|| PickLine {
                zone: bin.map(|bin| bin.zone.clone()).unwrap_or_default(),
                bin: bin.map(|bin| bin.bin.clone()).unwrap_or_default(),
                variant_id: line.variant_id,
                sku: line.sku.clone(),
                quantity: 0,
                lots: Vec::new(),
                puts: Vec::new(),
            });
            let (fulfilment_order_id, order_number, line_no) = (work.id, work.order_number.clone(), line.line_no);
            stop.quantity += quantity;
            stop.puts.push(Put { put: *put, fulfilment_order_id, order_number, line_no, quantity, lots: Vec::new() });
        }
    }
    let mut lines: Vec<PickLine> = walk.into_values().collect();
    for line in &mut lines {
        line.puts.sort_by_key(|put| (put.put, put.line_no));
        name_lots(now, members, shelves, line);
    }
    lines.retain(|line| line.quantity > 0);
    PickList { pieces: lines.iter().map(|line| line.quantity).sum(), lines }
}

/// Says of which lots the pieces of a stop are taken, and takes off what is only there in lots that its order does not take. Who asks for
/// the longest life is served first, with what ends first of what will do: so the others are left what will not.
fn name_lots(now: Instant, members: &[Member], shelves: &Shelves, line: &mut PickLine) {
    let Some(mut loose) = shelves.loose.get(&line.variant_id).copied() else { return };
    let mut left: Vec<Lying> =
        shelves.lots.iter().filter(|one| one.lot.variant_id == line.variant_id).cloned().collect();
    let until = |put: &Put| shelves.keeps_until(now, order_of(members, put.fulfilment_order_id));
    let mut order: Vec<&mut Put> = line.puts.iter_mut().collect();
    order.sort_by_key(|put| std::cmp::Reverse(until(put)));
    let mut all: Vec<PickLot> = Vec::new();
    for put in order {
        let (until, mut missing) = (until(put), put.quantity);
        let fits = |one: &&mut Lying| one.lot.refused(now, Some(until)).is_none();
        for Lying { lot, free, .. } in left.iter_mut().filter(fits) {
            let quantity = take_up_to(free, &mut missing);
            if quantity > 0 {
                let taken = PickLot { lot_id: lot.id, lot: lot.number.clone(), expires_at: lot.expires_at, quantity };
                match all.iter_mut().find(|one| one.lot_id == lot.id) {
                    Some(one) => one.quantity += quantity,
                    None => all.push(taken.clone()),
                }
                put.lots.push(taken);
            }
        }
        take_up_to(&mut loose, &mut missing);
        // Whether what was taken of a lot for somebody was really of it, nobody knows: it is not named, and looked for all the same.
        left.iter_mut().filter(fits).for_each(|one| {
            take_up_to(&mut one.taken, &mut missing);
        });
        put.quantity -= missing;
    }
    all.sort_by_key(|one| (one.expires_at.is_none(), one.expires_at, one.lot_id));
    line.lots = all;
    line.puts.retain(|put| put.quantity > 0);
    line.quantity = line.puts.iter().map(|put| put.quantity).sum();
}

impl PickList {
    /// The stop at which a variant is taken.
    ///
    /// # Errors
    /// `not_found`.
    pub(super) fn stop(&self, variant: VariantId) -> Result<&PickLine> {
        let found = self.lines.iter().find(|line| line.variant_id == variant);
        found.ok_or_else(|| Error::not_found("article left to pick in this wave").at("/scanned"))
    }
}

impl PickLine {
    /// Into which places that fit so many pieces go, all that are left unless told: the first places first; `of` one fulfilment order
    /// where that is named.
    ///
    /// # Errors
    /// `quantity_exceeded` when not so many are left.
    pub(super) fn share(
        &self,
        pieces: Option<i64>,
        of: Option<FulfilmentOrderId>,
        fits: impl Fn(&Put) -> bool,
    ) -> Result<Vec<Put>> {
        self.dealt(self.puts.iter().filter(|put| fits(put)), pieces, of)
    }

    /// The same from the other end: what is missing is missed by those whose turn would come last.
    pub(super) fn share_last(&self, pieces: Option<i64>, of: Option<FulfilmentOrderId>) -> Result<Vec<Put>> {
        self.dealt(self.puts.iter().rev(), pieces, of)
    }

    fn dealt<'a>(
        &'a self,
        puts: impl Iterator<Item = &'a Put>,
        pieces: Option<i64>,
        of: Option<FulfilmentOrderId>,
    ) -> Result<Vec<Put>> {
        let puts: Vec<&Put> = puts.filter(|put| of.is_none_or(|wanted| wanted == put.fulfilment_order_id)).collect();
        let left: i64 = puts.iter().map(|put| put.quantity).sum();
        let pieces = pieces.unwrap_or(left);
        if !(1..=left).contains(&pieces) {
            let detail = format!("only {left} of {} are left to pick in this wave", self.sku);
            return Err(Error::problem(Code::QuantityExceeded, detail).at("/quantity").with("left", left));
        }
        let mut rest = pieces;
        let mut dealt = Vec::new();
        for put in puts {
            let quantity = put.quantity.min(rest);
            if quantity > 0 {
                dealt.push(Put { quantity, lots: first(&put.lots, quantity), ..put.clone() });
                rest -= quantity;
            }
        }
        Ok(dealt)
    }
}

/// The first pieces of lots.
fn first(lots: &[PickLot], pieces: i64) -> Vec<PickLot> {
    let mut rest = pieces;
    let part = |lot: &PickLot| {
        let quantity = lot.quantity.min(rest);
        rest -= quantity;
        (quantity > 0).then(|| PickLot { quantity, ..lot.clone() })
    };
    lots.iter().filter_map(part).collect()
}

/// The order that a fulfilment order of a wave is of.
pub(super) fn order_of(members: &[Member], id: FulfilmentOrderId) -> Option<OrderId> {
    members.iter().find(|member| member.work.id == id).map(|member| member.work.order_id)
}
