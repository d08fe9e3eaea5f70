//! What an edit does, of an order on which others have been made before it.

use super::{
    model::{Edit, MadeEdit, Op},
    plan::Plan,
    priced::{self, Wanted},
    promoted, service,
};
use crate::{
    carts::Context,
    db::Tx,
    error::{Code, Error, Result},
    fulfilment, invoices,
    kernel::{Actor, PricePer, Quantity, Scope, UnitPrice},
    orders::{OrderDocument, OrderLine},
};

/// What an edit does, of an order on which others have been made before it.
pub(super) struct Making<'a> {
    pub context: &'a Context,
    pub actor: &'a Actor,
    pub order: &'a OrderDocument,
    pub begun: &'a fulfilment::Begun,
    pub made: &'a [MadeEdit],
    /// Whether the edit takes the place of an earlier one.
    pub again: bool,
}

impl Making<'_> {
    /// What it does.
    ///
    /// # Errors
    /// As `service::edit`, with pointers in the edit.
    pub fn ops(&self, tx: &mut Tx, edit: &Edit) -> Result<Vec<Op>> {
        match edit {
            Edit::AddLine { sku, quantity, delivery, unit_price, reason } => {
                let delivery = self.delivery(delivery.as_deref())?;
                let agreed = self.agreed(*unit_price, reason.as_deref())?;
                let wanted = Wanted { sku, quantity: *quantity, agreed, why: reason.as_deref() };
                Ok(vec![self.add(tx, delivery, &wanted)?])
            }
            Edit::RemoveLine { line_no } => match self.is_added(*line_no) {
                true => Ok(vec![Op::Drop { line_no: *line_no }]),
                false => Ok(vec![self.cancel_all(*line_no)?]),
            },
            Edit::SetQuantity { line_no, quantity } => self.set_quantity(tx, *line_no, *quantity),
            Edit::SwapLine { line_no, sku, quantity, unit_price, reason } => {
                let agreed = self.agreed(*unit_price, reason.as_deref())?;
                let wanted =
                    Wanted { sku, quantity: quantity.unwrap_or(Quantity::ZERO), agreed, why: reason.as_deref() };
                self.swap(tx, *line_no, &wanted, quantity.is_some())
            }
            Edit::SetPrice { line_no, unit_price, reason } => self.set_price(tx, *line_no, *unit_price, reason),
            Edit::SetAddress { delivery, address } => {
                let delivery = self.delivery(delivery.as_deref())?;
                Ok(vec![Op::Way { delivery, method: None, address: Some(Box::new(address.clone())) }])
            }
            Edit::SetShippingMethod { delivery, method, keep_price } => {
                let delivery = self.delivery(delivery.as_deref())?;
                self.set_method(tx, delivery, method, *keep_price)
            }
            Edit::ApplyCoupon { code } => promoted::put_on(self.made, code),
            // It was put on by this amendment, and is not any more.
            Edit::RemovePromotion { .. } if self.again => Ok(Vec::new()),
            Edit::RemovePromotion { promotion } => promoted::take_off((self.order, self.made), promotion),
            Edit::Note { .. } => Ok(Vec::new()),
        }
    }

    fn plan(&self) -> Plan {
        Plan::of(self.made)
    }

    fn is_added(&self, line_no: i32) -> bool {
        self.plan().add.iter().any(|line| line.line_no == line_no)
    }

    /// A line of the order that can be edited.
    fn line(&self, line_no: i32) -> Result<&OrderLine> {
        if self.is_added(line_no) {
            let detail = format!("line {line_no} is added by this amendment: remove it and add it anew");
            return Err(Error::conflict(detail).at("/line_no"));
        }
        let line = self.order.line(line_no).map_err(|error| error.at("/line_no"))?;
        match &line.bundle {
            None => Ok(line),
            Some(bundle) => {
                let detail = format!("line {line_no} is a part of the bundle {}: cancel bundles whole", bundle.line_no);
                Err(Error::conflict(detail).at("/line_no"))
            }
        }
    }

    /// How many of a line's pieces are neither cancelled nor would be.
    fn kept(&self, line: &OrderLine) -> i64 {
        let taken = self.plan().cancel.get(&line.line_no).copied().unwrap_or_default();
        line.quantities.quantity - line.quantities.cancelled - taken
    }

    /// The place of a delivery by its key.
    fn delivery(&self, key: Option<&str>) -> Result<usize> {
        let Some(key) = key else { return Ok(0) };
        let found = self.order.deliveries.iter().position(|one| one.key.as_deref() == Some(key));
        found.ok_or_else(|| Error::not_found("delivery of the order").at("/delivery"))
    }

    /// Another article in the place of what of a line nobody has picked: in each delivery as much as is taken off there.
    fn swap(&self, tx: &mut Tx, line_no: i32, wanted: &Wanted<'_>, said: bool) -> Result<Vec<Op>> {
        let cancel = self.cancel_all(line_no)?;
        let Op::Cancel { quantity: taken, .. } = &cancel else { return Ok(Vec::new()) };
        let own = self.begun.by_delivery.iter().filter(|((of, _), left)| *of == line_no && **left > 0);
        let parts: Vec<(usize, i64)> = own.map(|((_, delivery), left)| (*delivery, *left)).collect();
        if parts.len() < 2 {
            let delivery = parts.first().map_or_else(|| self.delivery_of(line_no), |(delivery, _)| *delivery);
            let quantity = if said { wanted.quantity } else { Quantity::new(*taken).map_err(Error::internal)? };
            let add = self.add(tx, delivery, &Wanted { quantity, ..*wanted })?;
            return Ok(vec![cancel, add]);
        }
        if said {
            let detail =
                "the line is of several deliveries: leave it out, and as many are added to each as are taken off";
            return Err(Error::invalid("/quantity", detail));
        }
        if parts.iter().map(|(_, left)| left).sum::<i64>() != *taken {
            let detail = format!(
                "some of line {line_no} is taken off already, and it is of several deliveries: swap it by itself"
            );
            return Err(Error::conflict(detail).at("/line_no"));
        }
        let mut ops = vec![cancel];
        for (further, (delivery, left)) in (0..).zip(parts) {
            let wanted = Wanted { quantity: Quantity::new(left).map_err(Error::internal)?, ..*wanted };
            let line_no = self.next_line_no().saturating_add(further);
            let line = priced::line(tx, self.context, self.order, (line_no, delivery), &wanted)?;
            ops.push(Op::Add { line: Box::new(line) });
        }
        Ok(ops)
    }

    /// The place of the delivery that a line is of.
    fn delivery_of(&self, line_no: i32) -> usize {
        self.order.deliveries.iter().position(|one| one.line_nos.contains(&line_no)).unwrap_or_default()
    }

    /// The number of the next line that is added. A number is not given twice.
    fn next_line_no(&self) -> i32 {
        let lines = self.order.lines.iter().map(|line| line.line_no);
        let bundles = self.order.bundles.iter().map(|bundle| bundle.line_no);
        let added = self.made.iter().flat_map(|made| &made.ops).filter_map(|op| match op {
            Op::Add { line } => Some(line.line_no),
            _ => None,
        });
        lines.chain(bundles).chain(added).max().unwrap_or_default().saturating_add(1)
    }

    /// A price that was agreed.
    fn agreed(&self, price: Option<UnitPrice>, why: Option<&str>) -> Result<Option<PricePer>> {
        let Some(price) = price else { return Ok(None) };
        if !self.actor.holds(Scope::PriceOverride) {
            let detail = format!("the scope {} is needed for another price", Scope::PriceOverride.as_str());
            return Err(Error::problem(Code::ScopeMissing, detail).at("/unit_price"));
        }
        if price.currency() != self.order.currency {
            let detail = format!("the order is in {}", self.order.currency);
            return Err(Error::invalid("/unit_price/currency", detail));
        }
        match why {
            Some(_) => Ok(Some(PricePer { price, per: crate::kernel::Per::ONE })),
            None => Err(Error::problem(Code::MissingField, "say why that price").at("/reason")),
        }
    }

    fn add(&self, tx: &mut Tx, delivery: usize, wanted: &Wanted<'_>) -> Result<Op> {
        let line = priced::line(tx, self.context, self.order, (self.next_line_no(), delivery), wanted)?;
        Ok(Op::Add { line: Box::new(line) })
    }

    /// All of a line that nobody has picked.
    fn cancel_all(&self, line_no: i32) -> Result<Op> {
        let line = self.line(line_no)?;
        let taken = self.plan().cancel.get(&line_no).copied().unwrap_or_default();
        let open = self.begun.unpicked.get(&line_no).copied().unwrap_or_else(|| line.quantities.open());
        match open - taken {
            quantity @ 1.. => Ok(Op::Cancel { line_no, quantity }),
            _ => {
                let detail = format!("nothing of line {line_no} is left that is not picked");
                Err(Error::problem(Code::QuantityExceeded, detail).at("/line_no").with("left", 0))
            }
        }
    }

    fn set_quantity(&self, tx: &mut Tx, line_no: i32, quantity: Quantity) -> Result<Vec<Op>> {
        let line = self.line(line_no)?;
        match quantity.get() - self.kept(line) {
            // As it was: what was said before is taken back.
            0 if self.again => Ok(Vec::new()),
            0 => Err(Error::conflict(format!("line {line_no} has so many pieces already")).at("/quantity")),
            less @ ..0 => Ok(vec![Op::Cancel { line_no, quantity: -less }]),
            more => {
                let quantity = Quantity::new(more).map_err(Error::internal)?;
                let wanted = Wanted { sku: &line.sku, quantity, agreed: None, why: None };
                Ok(vec![self.add(tx, self.delivery_of(line_no), &wanted)?])
            }
        }
    }

    fn set_price(&self, tx: &mut Tx, line_no: i32, price: UnitPrice, why: &str) -> Result<Vec<Op>> {
        let line = self.line(line_no)?;
        let agreed = self.agreed(Some(price), Some(why))?;
        let price = PricePer { price: agreed.map_or(price, |agreed| agreed.price), per: line.per };
        let moved = line.quantities;
        if (moved.shipped, moved.cancelled, moved.returned, line.refunded.minor()) != (0, 0, 0, 0) {
            let detail = format!("something of line {line_no} has moved: its price stays");
            return Err(Error::conflict(detail).at("/line_no"));
        }
        if invoices::invoiced(tx, self.order.id)?.lines.contains(&line_no) {
            return Err(service::invoiced_already(line_no).at("/line_no"));
        }
        let totals = priced::reprice(tx, self.context, self.order, line, (price, why))?;
        Ok(vec![Op::Reprice { totals: Box::new(totals) }])
    }

    fn set_method(&self, tx: &mut Tx, delivery: usize, method: &str, keep_price: bool) -> Result<Vec<Op>> {
        let way = Op::Way { delivery, method: Some(method.to_owned()), address: None };
        let whole =
            self.order.deliveries.len() == 1 && self.order.lines.iter().all(|line| line.quantities.shipped == 0);
        if keep_price || !whole || invoices::invoiced(tx, self.order.id)?.shipping {
            // What it costs more is given away, whether or not somebody has said so.
            let given = priced::kept(tx, self.context, self.order, (&self.plan(), delivery, method))?;
            return Ok(vec![way, Op::Kept { delivery, method: method.to_owned(), given }]);
        }
        let totals = priced::shipping(tx, self.context, self.order, (&self.plan(), method))?;
        Ok(vec![way, Op::Shipping { totals: Box::new(totals) }])
    }
}
