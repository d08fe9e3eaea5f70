//! Waves and their pick lists. Pure.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Error, Result},
    fulfilment::{Command, FulfilmentOrder},
    kernel::{
        Instant,
        ids::{FulfilmentOrderId, LocationId, OrderId, VariantId, WaveId},
    },
    stock::Bin,
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

/// The pick list of a wave's work: what is left to pick of it without what was not found, and without what is
/// held.
pub(super) fn pick_list(
    now: Instant,
    members: &[Member],
    shorts: &[Short],
    bins: &HashMap<VariantId, Bin>,
) -> PickList {
    let missing: HashMap<(FulfilmentOrderId, i32), i64> =
        shorts.iter().map(|short| ((short.fulfilment_order_id, short.line_no), short.pieces)).collect();
    let mut walk: BTreeMap<(bool, Option<&Bin>, &str), PickLine> = BTreeMap::new();
    let free = |member: &&Member| member.work.state.is_open() && member.work.free_for(Command::Pick, now).is_ok();
    for Member { put, work } in members.iter().filter(free) {
        for line in &work.lines {
            let short = missing.get(&(work.id, line.line_no)).copied().unwrap_or_default();
            let quantity = line.counts.left_for(Command::Pick) - short;
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
                puts: Vec::new(),
            });
            let (fulfilment_order_id, order_number, line_no) = (work.id, work.order_number.clone(), line.line_no);
            stop.quantity += quantity;
            stop.puts.push(Put { put: *put, fulfilment_order_id, order_number, line_no, quantity });
        }
    }
    let mut lines: Vec<PickLine> = walk.into_values().collect();
    lines.iter_mut().for_each(|line| line.puts.sort_by_key(|put| (put.put, put.line_no)));
    PickList { pieces: lines.iter().map(|line| line.quantity).sum(), lines }
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
    /// Into which places so many pieces go, all that are left unless told: the first places first; `of` one fulfilment order where
    /// that is named.
    ///
    /// # Errors
    /// `quantity_exceeded` when not so many are left.
    pub(super) fn share(&self, pieces: Option<i64>, of: Option<FulfilmentOrderId>) -> Result<Vec<Put>> {
        self.dealt(self.puts.iter(), pieces, of)
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
                dealt.push(Put { quantity, ..put.clone() });
                rest -= quantity;
            }
        }
        Ok(dealt)
    }
}

/// The order that a fulfilment order of a wave is of.
pub(super) fn order_of(members: &[Member], id: FulfilmentOrderId) -> Option<OrderId> {
    members.iter().find(|member| member.work.id == id).map(|member| member.work.order_id)
}
