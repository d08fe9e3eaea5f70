//! Declaring a withdrawal, confirming it, and doing what follows from it.

use serde::Serialize;
use sha2::{Digest, Sha256};

// What is asked for as it stands in the tables.
pub(super) use super::store::{due, of_order};
use super::{
    jobs,
    model::{
        self, ExemptLine, SOON, TO_CONFIRM, TO_REFUND, WithdrawalCommand, WithdrawalDocument, WithdrawalState,
        WithdrawnLine, ends, withdrawable,
    },
    store,
};
use crate::{
    catalog::{self, ExemptGround},
    channels::Channel,
    db::{Json, Tx},
    error::{Code, Error, Result},
    events::{self, EventSchema, Payload},
    fulfilment,
    kernel::{
        Actor, Instant, Waiting,
        ids::{EventId, JobId, OrderId, WithdrawalId},
    },
    orders::{self, OrderDocument},
    returns::{
        model::{RequestState, ReturnRequestDocument},
        service::{self as requests, By},
    },
};

const DECLARED: &str = "withdrawal.declared.v1";
const CONFIRMED: &str = "withdrawal.confirmed.v1";
pub(super) const CARRIED_OUT: &str = "withdrawal.carried_out.v1";
const REFUND_DUE: &str = "withdrawal.refund_due.v1";
const REFUND_OVERDUE: &str = "withdrawal.refund_overdue.v1";

/// What the events of withdrawals carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    let kinds = [DECLARED, CONFIRMED, CARRIED_OUT, REFUND_DUE, REFUND_OVERDUE];
    kinds.iter().map(|kind| EventSchema::of::<WithdrawalDocument>(kind)).collect()
}

/// What is personal in them. The acknowledgement names who has declared it.
#[derive(Debug, Serialize)]
struct Personal<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<&'a str>,
}

/// What can be withdrawn from of an order now, and until when.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct WithdrawalOptions {
    /// When the period is over; absent while goods are still to come: it has not begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    /// Whether it is open.
    pub open: bool,
    /// What can be withdrawn from.
    pub lines: Vec<WithdrawnLine>,
    /// What the law leaves out, and why.
    pub exempt: Vec<ExemptLine>,
}

/// Pieces of lines that others are about.
struct Asked {
    /// What return requests ask for that nobody has decided on.
    undecided: Vec<(i32, i64)>,
    /// What return requests keep that were decided on and of which nothing is settled.
    decided: Vec<(i32, i64)>,
    /// With what earlier withdrawals have not dealt yet.
    before: Vec<(i32, i64)>,
}

impl Asked {
    fn of(tx: &mut Tx, order: OrderId, but: Option<WithdrawalId>) -> Result<Self> {
        let known = requests::of_order(tx, order)?;
        let undecided = known.iter().filter(|one| one.state == RequestState::Requested);
        let undecided = undecided.flat_map(ReturnRequestDocument::kept).collect();
        let decided = known.iter().filter(|one| one.is_convertible());
        let decided = decided.flat_map(ReturnRequestDocument::kept).collect();
        let before = store::of_order(tx, order)?;
        let before = before.iter().filter(|one| one.state == WithdrawalState::Confirmed && Some(one.id) != but);
        let before = before.flat_map(|one| one.lines.iter().map(|line| (line.line_no, line.open()))).collect();
        Ok(Self { undecided, decided, before })
    }

    /// All three of a line, in their order.
    fn of_line(&self, line_no: i32) -> (i64, i64, i64) {
        let of = |all: &[(i32, i64)]| -> i64 {
            all.iter().filter(|(own, _)| *own == line_no).map(|(_, pieces)| pieces).sum()
        };
        (of(&self.undecided), of(&self.decided), of(&self.before))
    }

    fn left(&self, line: &orders::OrderLine) -> i64 {
        let (undecided, decided, before) = self.of_line(line.line_no);
        (withdrawable(line, undecided + decided) - before).max(0)
    }
}

/// What can be withdrawn from of an order now.
///
/// # Errors
/// What the database says.
pub(super) fn options(
    tx: &mut Tx,
    now: Instant,
    order: &OrderDocument,
    channel: &Channel,
) -> Result<WithdrawalOptions> {
    options_but(tx, now, order, channel, None)
}

fn options_but(
    tx: &mut Tx,
    now: Instant,
    order: &OrderDocument,
    channel: &Channel,
    but: Option<WithdrawalId>,
) -> Result<WithdrawalOptions> {
    let shipments = fulfilment::shipments(tx, order.id)?;
    let until = ends(order, &shipments, channel.settings.time_zone.0);
    let ids: Vec<_> = order.lines.iter().map(|line| line.variant_id).collect();
    let variants = catalog::by_ids(tx, &ids)?;
    let asked = Asked::of(tx, order.id, but)?;
    let (mut lines, mut exempt) = (Vec::new(), Vec::new());
    for line in &order.lines {
        let quantity = asked.left(line);
        let variant = variants.iter().find(|variant| variant.id == line.variant_id);
        match variant.and_then(ExemptGround::of) {
            _ if quantity == 0 => {}
            Some(ground) => exempt.push(ExemptLine::of(line.line_no, ground)),
            None => lines.push(WithdrawnLine {
                line_no: line.line_no,
                sku: line.sku.clone(),
                name: line.name.clone(),
                quantity,
                cancelled: 0,
                coming_back: 0,
            }),
        }
    }
    let open = until.is_none_or(|until| now < until);
    Ok(WithdrawalOptions { until, open, lines, exempt })
}

/// A withdrawal about to be declared.
#[derive(Debug, Clone)]
pub(super) struct NewWithdrawal {
    pub id: WithdrawalId,
    pub number: String,
    pub name: String,
    pub email: String,
    pub locale: Option<String>,
    /// From which lines, and how many pieces of each; from all of the order when absent.
    pub lines: Option<Vec<(i32, i64)>>,
}

/// Of what is wanted so much can be withdrawn from.
fn wanted(
    options: &WithdrawalOptions,
    order: &OrderDocument,
    lines: Option<&[(i32, i64)]>,
) -> Result<(Vec<WithdrawnLine>, Vec<ExemptLine>)> {
    let Some(named) = lines else { return Ok((options.lines.clone(), options.exempt.clone())) };
    let (mut taken, mut exempt): (Vec<WithdrawnLine>, Vec<ExemptLine>) = (Vec::new(), Vec::new());
    for (place, (line_no, quantity)) in named.iter().enumerate() {
        let at = |field: &str| format!("/lines/{place}/{field}");
        order.line(*line_no).map_err(|error| error.at(at("line_no")))?;
        if let Some(one) = options.exempt.iter().find(|one| one.line_no == *line_no) {
            if !exempt.contains(one) {
                exempt.push(one.clone());
            }
            continue;
        }
        let known = taken.iter().position(|one| one.line_no == *line_no);
        let before = known.and_then(|place| taken.get(place)).map_or(0, |one| one.quantity);
        let found = options.lines.iter().find(|one| one.line_no == *line_no);
        let left = found.map_or(0, |one| one.quantity) - before;
        let Some(line) = found.filter(|_| *quantity <= left) else {
            return Err(exceeded(order.line(*line_no)?, left).at(at("quantity")));
        };
        // Each line once, however often it is named: what is left of it is counted by line.
        match known.and_then(|place| taken.get_mut(place)) {
            Some(known) => known.quantity += quantity,
            None => taken.push(WithdrawnLine { quantity: *quantity, ..line.clone() }),
        }
    }
    Ok((taken, exempt))
}

/// That fewer pieces of a line can be withdrawn from, and whether that is because of a claim.
fn exceeded(line: &orders::OrderLine, left: i64) -> Error {
    let claimed = match line.quantities.claimed {
        0 => String::new(),
        claimed => format!("; {claimed} are claimed: they can be withdrawn from once the claim is rejected"),
    };
    let detail = format!("only {left} of line {} can be withdrawn from{claimed}", line.line_no);
    Error::problem(Code::QuantityExceeded, detail).with("line_no", line.line_no).with("left", left)
}

/// Declares a withdrawal, the first of two steps: whoever may open the order says who they are and from what they withdraw. Nothing follows
/// from it before it is confirmed.
///
/// # Errors
/// `line_unknown`, `quantity_exceeded`, `withdrawal_period_over`, `withdrawal_exempt`.
pub(super) fn declare(
    tx: &mut Tx,
    by: By<'_>,
    event: EventId,
    id: OrderId,
    (new, channel): (&NewWithdrawal, &Channel),
) -> Result<WithdrawalDocument> {
    let mut order = orders::lock(tx, id)?;
    let options = options(tx, by.0, &order, channel)?;
    if !options.open {
        return Err(over(options.until));
    }
    let (lines, exempt) = wanted(&options, &order, new.lines.as_deref())?;
    if lines.is_empty() {
        return Err(match exempt.is_empty() {
            true => match order.lines.iter().find(|line| line.quantities.claimed > 0) {
                Some(claimed) => exceeded(claimed, 0).at("/lines"),
                None => {
                    Error::problem(Code::QuantityExceeded, "nothing is left of the order to withdraw from").at("/lines")
                }
            },
            false => {
                let error = Error::problem(Code::WithdrawalExempt, "the law leaves all of that out").at("/lines");
                error.with("exempt", serde_json::to_value(&exempt)?)
            }
        });
    }
    let made = WithdrawalDocument {
        id: new.id,
        number: new.number.clone(),
        order_id: order.id,
        order_number: order.number.clone(),
        channel_id: order.channel_id,
        state: WithdrawalState::Declared,
        name: Some(new.name.clone()),
        email: Some(new.email.clone()),
        locale: new.locale.clone().or_else(|| order.locale.clone()),
        whole: is_whole(&order, &lines, &Asked::of(tx, id, None)?),
        lines,
        exempt,
        until: options.until,
        requests: Vec::new(),
        declared_at: by.0,
        confirmed_at: None,
        refund_due_at: None,
        document: None,
        sha256: None,
        told: 0,
        version: 1,
        updated_at: by.0,
    };
    orders::save(tx, by.0, &mut order, &[], 1)?;
    store::insert(tx, &made)?;
    tell(tx, by, event, &order, &made, DECLARED)?;
    Ok(made)
}

fn over(until: Option<Instant>) -> Error {
    let until = until.map(|until| until.to_string()).unwrap_or_default();
    Error::problem(Code::WithdrawalPeriodOver, format!("the period was over at {until}")).with("until", until)
}

/// Whether nothing of the order stays with the customer that they have not sent back, withdrawn from or cancelled before: what was withdrawn
/// from piece by piece is withdrawn from wholly with the last.
fn is_whole(order: &OrderDocument, lines: &[WithdrawnLine], asked: &Asked) -> bool {
    let of = |line_no: i32| lines.iter().filter(|one| one.line_no == line_no).map(|one| one.quantity).sum::<i64>();
    let all = |line: &orders::OrderLine| {
        let (undecided, _, before) = asked.of_line(line.line_no);
        // What is not free is taken out of requests that were decided on, and comes back once.
        let converted = (of(line.line_no) + before - withdrawable(line, undecided)).max(0);
        let back = line.quantities.returned + line.quantities.coming_back - undecided - converted;
        of(line.line_no) + before + back + line.quantities.cancelled == line.quantities.quantity
    };
    order.lines.iter().all(all)
}

fn tell(
    tx: &mut Tx,
    (now, actor): By<'_>,
    event: EventId,
    order: &OrderDocument,
    one: &WithdrawalDocument,
    kind: &'static str,
) -> Result<()> {
    let personal =
        Personal { name: one.name.as_deref(), email: one.email.as_deref(), document: one.document.as_deref() };
    let bare = WithdrawalDocument { name: None, email: None, document: None, ..one.clone() };
    let payload = Payload { data: Json::of(&bare)?, personal: Some(Json::of(&personal)?) };
    events::append(tx, actor, now, vec![orders::event(order, (1, 1), event, kind, now, payload)])
}

pub(super) fn save(
    tx: &mut Tx,
    by: By<'_>,
    event: EventId,
    (order, one): (&mut OrderDocument, &WithdrawalDocument),
    kind: &'static str,
) -> Result<()> {
    orders::save(tx, by.0, order, &[], 1)?;
    if !store::update(tx, one)? {
        return Err(Error::overtaken("the withdrawal"));
    }
    tell(tx, by, event, order, one, kind)
}

/// A withdrawal of an order.
///
/// # Errors
/// `not_found`.
pub(super) fn of(tx: &mut Tx, order: OrderId, id: WithdrawalId) -> Result<WithdrawalDocument> {
    store::get(tx, id)?.filter(|one| one.order_id == order).ok_or_else(|| Error::not_found("withdrawal"))
}

/// Confirms a withdrawal, the second step: from then on it stands, is acknowledged with the time, and a job does what follows. Once more, it
/// is answered as it was.
///
/// # Errors
/// `not_found`; `withdrawal_period_over` where it was declared too long ago; `quantity_exceeded` where what it names is back meanwhile, or is
/// claimed: that is not left out without a word.
pub(super) fn confirm(
    tx: &mut Tx,
    by: By<'_>,
    (event, job): (EventId, JobId),
    (order, id): (OrderId, WithdrawalId),
    channel: &Channel,
) -> Result<WithdrawalDocument> {
    let mut order = orders::lock(tx, order)?;
    let mut one = of(tx, order.id, id)?;
    if one.state != WithdrawalState::Declared {
        return Ok(one);
    }
    let options = options_but(tx, by.0, &order, channel, Some(id))?;
    if !options.open && by.0.seconds_since(one.declared_at) > TO_CONFIRM {
        return Err(over(options.until));
    }
    let asked = Asked::of(tx, order.id, Some(id))?;
    // What is back or was cancelled meanwhile needs no withdrawal. What the shop says of goods now does not change what was declared.
    for line in &mut one.lines {
        let sold = order.line(line.line_no)?;
        let left = asked.left(sold);
        if line.quantity > left && sold.quantities.claimed > 0 {
            return Err(exceeded(sold, left));
        }
        line.quantity = line.quantity.min(left);
    }
    one.lines.retain(|line| line.quantity > 0);
    if one.lines.is_empty() {
        return Err(Error::problem(Code::QuantityExceeded, "nothing of that is left to withdraw from"));
    }
    one.whole = is_whole(&order, &one.lines, &asked);
    one.state = one.state.apply(WithdrawalCommand::Confirm)?;
    let text = model::acknowledgement(&one, &channel.name, channel.settings.time_zone.0, by.0);
    one.sha256 = Some(Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect());
    one.document = Some(text);
    (one.confirmed_at, one.refund_due_at) = (Some(by.0), Some(one.declared_at.plus_seconds(TO_REFUND)));
    (one.version, one.updated_at) = (one.version + 1, by.0);
    save(tx, by, event, (&mut order, &one), CONFIRMED)?;
    crate::jobs::enqueue(tx, by.0, vec![jobs::carrying_out(job, by.0, &one)])?;
    Ok(one)
}

/// Tells that the money of a withdrawal is due soon, or was, each once.
pub(super) fn remind(tx: &mut Tx, now: Instant, event: EventId, id: WithdrawalId) -> Result<()> {
    let Some(known) = store::get(tx, id)? else { return Ok(()) };
    let mut order = orders::lock(tx, known.order_id)?;
    let mut one = of(tx, order.id, id)?;
    let Some(due) = one.refund_due_at else { return Ok(()) };
    let stage = if due <= now { 2 } else { 1 };
    if one.told >= stage || due > now.plus_seconds(SOON) {
        return Ok(());
    }
    one.told = stage;
    (one.version, one.updated_at) = (one.version + 1, now);
    let kind = if stage == 2 { REFUND_OVERDUE } else { REFUND_DUE };
    save(tx, (now, &Actor::System("withdrawals")), event, (&mut order, &one), kind)
}

/// Withdrawals whose money has to go back within three days, or should have: the longest due first.
///
/// # Errors
/// What the database says.
pub fn waiting(tx: &mut Tx, actor: &Actor, now: Instant, limit: i64) -> Result<Vec<Waiting>> {
    let found = store::due(tx, actor, now.plus_seconds(SOON), None, limit)?;
    let item = |one: WithdrawalDocument| {
        let due = one.refund_due_at.unwrap_or(one.declared_at);
        let when = if due <= now { "was due" } else { "is due" };
        let link = match one.requests.first() {
            Some(request) => format!("/v1/ops/return-requests/{request}"),
            None => format!("/v1/ops/orders/{}/withdrawals", one.order_number),
        };
        let why = match one.state {
            WithdrawalState::Confirmed => "it is not carried out: mend what its job says, and carry it out again",
            _ => "it may wait for the goods, or for proof that they were sent",
        };
        let subject =
            format!("withdrawal {} of order {}: the money {when} at {due}; {why}", one.number, one.order_number);
        Waiting { id: one.id.to_string(), since: one.declared_at, subject, link }
    };
    Ok(found.into_iter().map(item).collect())
}

/// The withdrawals of orders behind one of them, in the order of their ids: for who gets everything that is kept of them.
///
/// # Errors
/// What the database says.
pub fn of_orders(
    tx: &mut Tx,
    orders: &[OrderId],
    after: Option<WithdrawalId>,
    limit: i64,
) -> Result<Vec<WithdrawalDocument>> {
    store::of_orders(tx, orders, after, limit)
}

/// The withdrawals that somebody may mean with a number or an id, of those that the actor sees.
///
/// # Errors
/// What the database says.
pub fn quoted(tx: &mut Tx, actor: &Actor, text: &str) -> Result<Vec<WithdrawalDocument>> {
    let mut found = store::numbered(tx, text)?;
    if let Ok(id) = text.parse() {
        found.extend(store::get(tx, id)?);
    }
    found.retain(|one| actor.sees_channel(one.channel_id));
    Ok(found)
}

/// Takes out of the withdrawals of orders who has declared them.
///
/// # Errors
/// What the database says.
pub fn erase(tx: &mut Tx, orders: &[OrderId]) -> Result<()> {
    orders.iter().try_for_each(|order| store::erase(tx, *order))
}
