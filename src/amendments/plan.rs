//! What follows from all edits of an amendment together. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{MadeEdit, Op, PricedLine, Promoted};
use crate::{
    customers::Address,
    error::{Code, Error, Result},
    orders::OrderDocument,
    pricing::{
        Repriced,
        model::{LineTotals, ShippingTotals},
    },
};

/// What follows from all edits together.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Plan {
    /// How many pieces of which lines are cancelled.
    pub cancel: BTreeMap<i32, i64>,
    pub add: Vec<PricedLine>,
    pub reprice: Vec<LineTotals>,
    pub ways: BTreeMap<usize, (Option<String>, Option<Address>)>,
    pub shipping: Option<ShippingTotals>,
    /// What other methods would have cost more, by delivery, in minor units.
    pub kept: BTreeMap<usize, i64>,
    /// Coupons that are put on, and promotions that are taken off.
    pub promoted: Vec<Promoted>,
    /// The lines that cost something else by these: nobody has agreed that.
    pub by_promotions: BTreeSet<i32>,
}

impl Plan {
    /// What follows from edits; later ones go before earlier ones, and promotions behind all others.
    pub fn of(edits: &[MadeEdit]) -> Self {
        let mut plan = Self::unpromoted(edits);
        for op in edits.iter().flat_map(|made| &made.ops) {
            if let Op::Promote { promoted } = op {
                plan.promote(promoted);
            }
        }
        plan
    }

    /// And a coupon that is put on, or a promotion that is taken off.
    pub fn promote(&mut self, promoted: &Promoted) {
        let Repriced { lines, shipping, .. } = match &promoted.repriced {
            Some(repriced) => repriced,
            None => return self.promoted.push(promoted.clone()),
        };
        for totals in lines {
            if let Some(line) = self.add.iter_mut().find(|line| line.line_no == totals.line_no) {
                line.totals = totals.clone();
                continue;
            }
            self.reprice.retain(|one| one.line_no != totals.line_no);
            self.reprice.push(totals.clone());
            self.by_promotions.insert(totals.line_no);
        }
        self.shipping = shipping.clone().or(self.shipping.take());
        self.promoted.push(promoted.clone());
    }

    /// The same without what promotions take off or do not take off any more.
    pub fn unpromoted(edits: &[MadeEdit]) -> Self {
        let mut plan = Self::default();
        for op in edits.iter().flat_map(|made| &made.ops) {
            match op.clone() {
                Op::Cancel { line_no, quantity } => *plan.cancel.entry(line_no).or_default() += quantity,
                Op::Add { line } => plan.add.push(*line),
                Op::Drop { line_no } => plan.add.retain(|line| line.line_no != line_no),
                Op::Reprice { totals } => {
                    plan.reprice.retain(|one| one.line_no != totals.line_no);
                    plan.reprice.push(*totals);
                }
                Op::Way { delivery, method, address } => {
                    if method.is_some() {
                        // What the method before would have cost nobody pays; what this one costs follows, where it is charged.
                        plan.shipping = None;
                        plan.kept.remove(&delivery);
                    }
                    let way = plan.ways.entry(delivery).or_default();
                    way.0 = method.or(way.0.take());
                    way.1 = address.map(|address| *address).or(way.1.take());
                }
                Op::Shipping { totals } => plan.shipping = Some(*totals),
                Op::Kept { delivery, given, .. } => drop(plan.kept.insert(delivery, given)),
                Op::Promote { .. } => {}
            }
        }
        plan
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is given away by prices that were agreed, with tax, in minor units: below the price list for what is added, below what it was
    /// sold at for what was there, and what a dearer method costs more that is taken for the old price. What is charged for something else
    /// beside it makes that no less. What coupons take off is not among it: that is a rule of the shop, with limits of its own.
    pub fn given(&self, order: &OrderDocument) -> i64 {
        let added: i64 = self.add.iter().map(|line| line.given).sum();
        let sold = |line_no: i32| order.line(line_no).map_or(0, |line| line.gross.minor());
        let agreed = self.reprice.iter().filter(|totals| !self.by_promotions.contains(&totals.line_no));
        let repriced = agreed.map(|totals| (sold(totals.line_no) - totals.gross.minor()).max(0));
        added + repriced.sum::<i64>() + self.kept.values().sum::<i64>()
    }

    /// That it can be made on an order of which so many pieces are not picked. `at` is where a refusal points.
    pub fn check(&self, order: &OrderDocument, unpicked: &BTreeMap<i32, i64>) -> Result<()> {
        for (line_no, quantity) in &self.cancel {
            let line = order.line(*line_no)?;
            let left = unpicked.get(line_no).copied().unwrap_or_else(|| line.quantities.open());
            if *quantity > left {
                let detail = format!(
                    "only {left} of line {line_no} are not picked: ask the location to cancel the others \
                     (`request-cancel` of the fulfilment order), or have them put back first"
                );
                return Err(Error::problem(Code::QuantityExceeded, detail)
                    .with("line_no", *line_no)
                    .with("left", left));
            }
        }
        let cancelled = |line_no: i32| self.cancel.get(&line_no).copied().unwrap_or_default();
        let kept = |line: &crate::orders::OrderLine| {
            line.quantities.quantity - line.quantities.cancelled - cancelled(line.line_no)
        };
        if self.add.is_empty() && order.lines.iter().all(|line| kept(line) == 0) {
            return Err(Error::conflict("nothing of the order would be left: cancel it"));
        }
        if let Some(both) = self.reprice.iter().find(|totals| cancelled(totals.line_no) > 0) {
            let detail = format!("line {} is changed in price or in quantity, and not in both at once", both.line_no);
            return Err(Error::conflict(detail).with("line_no", both.line_no));
        }
        Ok(())
    }
}
