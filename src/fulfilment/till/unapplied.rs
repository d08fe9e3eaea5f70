//! What customers have paid too much and is kept for them, where their channel says so: somebody says where it goes.

use super::{
    service::{RefundRequested, in_currency, posting, reread},
    targets::{self, GiveTo},
};
use crate::{
    countersign::{self, Ceilinged, Giving},
    db::Tx,
    error::{Code, Error, Result},
    events::Payload,
    fulfilment::{
        Fresh,
        cancel::within_ceiling,
        money::{self, Settling},
        service::announce,
    },
    kernel::{
        Actor, Instant, Money,
        ids::{OrderId, RefundId, StoredValueId},
    },
    orders::{self, OrderDocument},
    payments::{Account, ledger},
};

/// Gives back what is kept of an order, or a part of it: the way it came, onto a gift card or as store credit.
///
/// # Errors
/// `not_found`; `state_conflict` where nothing is kept; `refund_exceeded`, `ceiling_exceeded`, `invalid_value`, `gift_card_refused`.
pub fn give_back(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    fresh: &Fresh,
    id: OrderId,
    (amount, to, reason): (Option<Money>, &GiveTo, &str),
) -> Result<(OrderDocument, Option<StoredValueId>)> {
    let mut order = orders::lock(tx, id)?;
    order.state.apply(orders::Command::Refund)?;
    order.free_for(orders::Command::Refund, &[], Some(now))?;
    let kept = -money::balance_of(tx, id, Account::Unapplied)?;
    if kept <= 0 {
        return Err(Error::conflict("nothing is kept of what was paid for the order"));
    }
    let amount = amount.map_or(Ok(kept), |amount| in_currency(&order, amount))?;
    if amount > kept {
        let left = Money::from_minor(kept, order.currency);
        let error = Error::problem(Code::RefundExceeded, format!("{left} are kept of what was paid for the order"));
        return Err(error.at("/amount").with("left", serde_json::to_value(left)?));
    }
    within_ceiling(actor, amount).map_err(|error| error.at("/amount"))?;
    let (kind, channel, of) = (Ceilinged::Overpayment, Some(order.channel_id), Some(id.to_string()));
    let amount_of = Money::from_minor(amount, order.currency);
    countersign::pass(tx, (now, actor), &Giving { kind, channel, of, amount: amount_of })?;
    let mut draw = fresh.draw();
    let name: RefundId = draw.next();
    let released = posting(&order, format!("released:{name}"), now, -amount, Account::Unapplied);
    ledger::post(tx, now, vec![released])?;
    orders::save(tx, now, &mut order, &[], 1)?;
    if !to.is_otherwise() {
        money::settle(tx, (now, now), &order, &mut draw, &Settling::because(reason))?;
    }
    reread(tx, &mut order)?;
    let data = RefundRequested {
        order_id: id,
        order_number: &order.number,
        kind: None,
        lines: &[],
        amount: Money::from_minor(amount, order.currency),
        to: to.to,
        reason,
        payments: &order.payments,
    };
    let happened = vec![("payment.refund_requested.v1", Payload::of(&data)?)];
    announce(tx, (now, now), actor, &order, &mut draw, happened)?;
    let onto = match to.is_otherwise() {
        true => targets::give_owed(tx, (now, now), actor, &mut order, &mut draw, (to, reason, amount))?,
        false => None,
    };
    Ok((order, onto))
}
