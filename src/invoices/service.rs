//! Issuing invoices and credit notes, and finding them.

use serde::Serialize;

// What is asked for as it stands in the tables.
pub(super) use super::store::{Filter, page};
use super::{
    compose,
    model::{BillKind, Invoice, Party, number_of},
    plan::{CORRECTED, CORRECTION, Draft, Piece, REDUCTION, Standing},
    retention, store,
};
use crate::{
    channels::{self, Directory, Invoicing, LegalEntity},
    credit::{self, ON_ACCOUNT},
    customers::Address,
    db::{Json, Tx},
    error::{Code, Error, Result},
    events::{self, EventSchema, Payload},
    fulfilment::{self, RefundKind, RefundView, Shipment, returns, returns::Return},
    kernel::{
        Actor, Instant,
        ids::{BillId, EventId, FulfilmentOrderId, JobId, OrderId},
        local,
    },
    orders::{self, OrderDocument},
    payments::{self, Account, ledger},
    pricing::engine::TaxedShare,
};

const INVOICE_ISSUED: &str = "invoice.issued.v1";
const CREDIT_NOTE_ISSUED: &str = "credit_note.issued.v1";

/// What the events of this slice carry.
#[must_use]
pub fn event_schemas() -> Vec<EventSchema> {
    vec![EventSchema::of::<Invoice>(INVOICE_ISSUED), EventSchema::of::<Invoice>(CREDIT_NOTE_ISSUED)]
}

/// What is personal in a document.
#[derive(Debug, Serialize)]
struct Personal {
    buyer: Option<Party>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliver_to: Option<Party>,
}

/// Ids of a document, of its event and of the job that looks what follows from it, made outside the transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids {
    pub bill: BillId,
    pub event: EventId,
    pub job: JobId,
}

impl Ids {
    pub(super) fn new() -> Self {
        Self { bill: BillId::new(), event: EventId::new(), job: JobId::new() }
    }
}

/// An order with everything that its invoices follow from.
struct Known {
    order: OrderDocument,
    seller: LegalEntity,
    shipments: Vec<Shipment>,
    /// The fulfilment orders of one of several deliveries, with the place of that.
    places: Vec<(FulfilmentOrderId, usize)>,
    returns: Vec<Return>,
    reductions: Vec<RefundView>,
    issued: Vec<Invoice>,
    /// What is paid for it or promised, in minor units.
    covered: i64,
}

/// Until when an order on account is paid, as it is agreed with its company.
fn agreed_due(tx: &mut Tx, known: &Known) -> Result<Option<chrono::NaiveDate>> {
    let on_account = known.order.payments.iter().find(|payment| payment.provider == ON_ACCOUNT);
    let due = on_account.map_or(Ok(None), |payment| credit::due_of(tx, payment.id))?;
    Ok(due.map(|due| local::day_of(known.seller.time_zone.0, due)))
}

impl Known {
    fn of(tx: &mut Tx, order: OrderDocument, directory: &Directory) -> Result<Self> {
        let missing = || Error::internal("a channel without a legal entity");
        let issued = store::of_order(tx, order.id)?;
        let seller = channels::entity(tx, directory.get(order.channel_id)?.legal_entity_id)?.ok_or_else(missing)?;
        let ((works, shipments), returns) = (fulfilment::of_order(tx, order.id)?, returns::refunded_of(tx, order.id)?);
        let mut reductions = fulfilment::refunds_of(tx, order.id)?;
        reductions.retain(|one| one.kind == RefundKind::PriceReduction);
        let place = |number: i32| usize::try_from(number).ok();
        let places = works.iter().filter_map(|work| Some((work.id, place(work.delivery.as_ref()?.number)?))).collect();
        let balance = ledger::balance(tx, order.id)?;
        // What was given away, and what a bank has taken back and is fought for or lost, is not asked for.
        let is_given = |account: Account| matches!(account, Account::WriteOff | Account::Disputed);
        let written_off = balance.iter().filter(|(account, _)| is_given(*account)).map(|(_, sum)| *sum).sum::<i64>();
        let covered = compose::covered(&payments::of_order(tx, order.id)?, written_off);
        Ok(Self { order, seller, shipments, places, returns, reductions, issued, covered })
    }

    fn standing(&self) -> Standing<'_> {
        let Self { order, shipments, places, returns, reductions, issued, .. } = self;
        Standing { order, shipments, places, returns, reductions, issued, zone: self.seller.time_zone.0 }
    }

    /// Who has bought by the invoice that a draft is about, or else by the last correction.
    fn known_buyer(&self, draft: &Draft) -> Option<Party> {
        let corrected = || self.issued.iter().rev().find(|one| one.cause.starts_with(CORRECTED));
        compose::about(draft, &self.issued).or_else(corrected).and_then(|one| one.buyer.clone())
    }

    /// Whether nobody is found by the order any more: whoever it names was erased.
    fn is_bare(&self) -> bool {
        self.order.email.is_none() && compose::buyer_of(&self.order).is_none()
    }

    fn document(&self, now: Instant, id: BillId, draft: &Draft, buyer: Option<Party>) -> Result<Invoice> {
        let day = local::day_of(self.seller.time_zone.0, now);
        let buyer = buyer.or_else(|| self.known_buyer(draft));
        compose::document(&self.standing(), &self.seller, (id, day), draft, buyer, self.covered)
    }
}

/// Issues the next document that follows from where an order stands. `None` where all are issued. However often, and by however many at once,
/// it is asked: an order has one document for each cause.
///
/// # Errors
/// `invoicing_missing`; what the database says.
pub(super) fn issue_next(
    tx: &mut Tx,
    now: Instant,
    directory: &Directory,
    ids: Ids,
    order: OrderId,
) -> Result<Option<Invoice>> {
    let order = orders::lock(tx, order)?;
    if !order.invoicing.is_some_and(Invoicing::is_own) {
        return Ok(None);
    }
    let mut known = Known::of(tx, order, directory)?;
    let Some(draft) = known.standing().next() else { return Ok(None) };
    let made = known.document(now, ids.bill, &draft, None)?;
    issue(tx, (now, &Actor::System("invoices")), &mut known, ids.event, made).map(Some)
}

/// Gives a document its number and writes it. The order is locked: nobody else writes one of the same cause. The counter comes after all
/// that can be done before it, for whoever invoices at the same time waits for it; should anything fail behind it, it is as if
/// it had not been asked.
fn issue(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    known: &mut Known,
    event: EventId,
    made: Invoice,
) -> Result<Invoice> {
    let settings = compose::settings(&known.seller)?.clone();
    let year = chrono::Datelike::year(&made.issued_on);
    let series = settings.series_of(made.kind == BillKind::CreditNote, year);
    if known.seller.has_spent(&series, year) {
        let detail = format!(
            "a backup was restored, and numbers of `{series}` may have been given out after it was made: give `{}` another `series`              and another `credit_series`",
            known.seller.code
        );
        return Err(Error::problem(Code::InvoicingMissing, detail));
    }
    orders::save(tx, now, &mut known.order, &[], 1)?;
    let (sequence, day) = store::next_number(tx, known.seller.id, &series, made.issued_on)?;
    let mut made = compose::dated(made, &settings, day);
    if let Some(due) = agreed_due(tx, known)?.filter(|_| made.kind == BillKind::Invoice) {
        made.due_on = due.max(day);
    }
    made.number = Some(number_of(&series, sequence));
    store::insert(tx, now, &made, (&series, sequence))?;
    let kind = if made.kind == BillKind::CreditNote { CREDIT_NOTE_ISSUED } else { INVOICE_ISSUED };
    let told = orders::event(&known.order, (1, 1), event, kind, now, payload(&made, known.is_bare())?);
    events::append(tx, actor, now, vec![told])?;
    known.issued.push(made.clone());
    Ok(made)
}

/// What the event of a document carries: of an order that was erased, nothing that is personal, for nobody would erase it a second time.
fn payload(made: &Invoice, erased: bool) -> Result<Payload> {
    let personal = Personal { buyer: made.buyer.clone(), deliver_to: made.deliver_to.clone() };
    let bare = Invoice { buyer: None, deliver_to: None, ..made.clone() };
    let personal = if erased { None } else { Some(Json::of(&personal)?) };
    Ok(Payload { data: Json::of(&bare)?, personal })
}

/// Invoices everything of an order that is not invoiced yet, whatever its channel says; from then on Kontor writes what follows from it.
///
/// # Errors
/// `not_found`, `invoicing_missing`; `state_conflict` where nothing is left, or another system invoices the order.
pub(super) fn issue_now(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    directory: &Directory,
    ids: Ids,
    reference: &str,
) -> Result<Invoice> {
    let id = orders::resolve(tx, actor, reference)?;
    let mut order = orders::lock(tx, id)?;
    if order.invoicing == Some(Invoicing::External) {
        return Err(Error::conflict("another system invoices this order"));
    }
    if order.test {
        let detail = "an order of a test channel is sold to nobody: ask for `pro_forma`";
        return Err(Error::problem(Code::InvoicingMissing, detail));
    }
    if order.invoicing.is_none() {
        orders::set_invoicing(tx, order.id, Invoicing::AtOrder)?;
        order.invoicing = Some(Invoicing::AtOrder);
    }
    let mut known = Known::of(tx, order, directory)?;
    compose::settings(&known.seller)?;
    let cause = match known.order.invoicing {
        Some(Invoicing::AtOrder) if known.issued.is_empty() => "order".to_owned(),
        _ => format!("manual:{}", ids.bill),
    };
    let draft = known.standing().whole(cause);
    let draft = draft.ok_or_else(|| Error::conflict("everything of the order is invoiced"))?;
    let made = known.document(now, ids.bill, &draft, None)?;
    // What has come back before it was invoiced is credited next.
    orders::invoice_later(tx, now, &known.order, ids.job)?;
    issue(tx, (now, actor), &mut known, ids.event, made)
}

/// What an invoice over what is not invoiced of an order would say now. Nothing is written.
///
/// # Errors
/// `not_found`, `invoicing_missing`; `state_conflict` where everything is invoiced.
pub(super) fn pro_forma(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    directory: &Directory,
    id: BillId,
    reference: &str,
) -> Result<Invoice> {
    let order = orders::resolve(tx, actor, reference)?;
    let order = orders::document(tx, order)?.ok_or_else(|| Error::not_found("order"))?;
    let known = Known::of(tx, order, directory)?;
    let draft = known.standing().whole("pro_forma".to_owned());
    let draft = draft.ok_or_else(|| Error::conflict("everything of the order is invoiced"))?;
    let draft = Draft { kind: BillKind::ProForma, ..draft };
    known.document(now, id, &draft, None)
}

/// An invoice that is wrong: what took its place.
#[derive(Debug, Clone)]
pub(super) struct Correction {
    /// Why.
    pub reason: String,
    /// Who has bought, where that was wrong.
    pub buyer: Option<Address>,
}

/// Takes an invoice back with a credit note over all of it, and writes it anew, as the seller's settings and the buyer's address are now.
///
/// # Errors
/// `not_found`; `state_conflict` for what is no invoice, or was taken back, wholly or in part; `invoice_redacted`.
pub(super) fn correct(
    tx: &mut Tx,
    (now, actor): (Instant, &Actor),
    directory: &Directory,
    (credit_ids, invoice_ids): (Ids, Ids),
    wrong: BillId,
    what: &Correction,
) -> Result<(Invoice, Invoice)> {
    let found = visible(tx, actor, wrong)?;
    let order = orders::lock(tx, found.order_id)?;
    let found = retention::unredacted(found)?;
    let mut known = Known::of(tx, order, directory)?;
    // Read under the lock: what is decided on it stays true.
    let about = known.issued.iter().find(|one| one.refers_to.iter().any(|to| to.id == wrong));
    match (found.kind, about) {
        (BillKind::Invoice, None) => {}
        (BillKind::Invoice, Some(about)) => {
            let number = about.number.as_deref().unwrap_or_default();
            return Err(Error::conflict(format!(
                "{number} is about this invoice: only one that stands whole is written anew"
            )));
        }
        _ => return Err(Error::conflict("only invoices are written anew")),
    }
    let draft = |kind, cause: String| Draft {
        kind,
        cause,
        pieces: found.lines.iter().map(piece).collect(),
        shipping: !found.charges.is_empty(),
        delivered_on: found.delivered_on,
        delivery: None,
        reason: Some(what.reason.clone()),
        refers_to: vec![found.reference()],
    };
    let credit = draft(BillKind::CreditNote, format!("{CORRECTION}{wrong}"));
    let mut credit = known.document(now, credit_ids.bill, &credit, found.buyer.clone())?;
    // To whom it was written.
    credit.buyer.clone_from(&found.buyer);
    let buyer = what.buyer.as_ref().map(|address| {
        let vat_id = found.buyer.as_ref().and_then(|buyer| buyer.vat_id.clone());
        Party { vat_id, ..compose::party(address) }
    });
    let anew = draft(BillKind::Invoice, format!("{CORRECTED}{wrong}"));
    let anew = known.document(now, invoice_ids.bill, &anew, buyer.or_else(|| found.buyer.clone()))?;
    // Counters are locked in the order of their keys.
    let settings = compose::settings(&known.seller)?;
    let year = chrono::Datelike::year(&anew.issued_on);
    if settings.series_of(true, year) <= settings.series_of(false, year) {
        let credit = issue(tx, (now, actor), &mut known, credit_ids.event, credit)?;
        Ok((credit, issue(tx, (now, actor), &mut known, invoice_ids.event, anew)?))
    } else {
        let anew = issue(tx, (now, actor), &mut known, invoice_ids.event, anew)?;
        Ok((issue(tx, (now, actor), &mut known, credit_ids.event, credit)?, anew))
    }
}

fn piece(line: &super::model::InvoiceLine) -> Piece {
    let share = TaxedShare { net: line.net.minor(), tax: line.tax.minor(), gross: line.gross.minor() };
    Piece { line_no: line.line_no, quantity: line.quantity, share, lower: false }
}

/// A document that the actor may see.
fn visible(tx: &mut Tx, actor: &Actor, id: BillId) -> Result<Invoice> {
    let found = store::get(tx, id)?.filter(|one| actor.sees_channel(one.channel_id));
    found.ok_or_else(|| Error::not_found("invoice"))
}

/// The document that an id or a number names, among those that the actor may see.
///
/// # Errors
/// `not_found`; `reference_ambiguous` where several legal entities have the number.
pub(super) fn find(tx: &mut Tx, actor: &Actor, reference: &str) -> Result<Invoice> {
    if let Ok(id) = reference.parse::<BillId>() {
        return visible(tx, actor, id);
    }
    let mut found = store::by_number(tx, reference)?;
    found.retain(|one| actor.sees_channel(one.channel_id));
    match (found.len(), found.pop()) {
        (1, Some(one)) => Ok(one),
        (0, _) | (_, None) => Err(Error::not_found("invoice")),
        (_, Some(last)) => {
            let all = found.iter().chain([&last]);
            let candidates: Vec<_> =
                all.map(|one| serde_json::json!({"id": one.id, "legal_entity_id": one.legal_entity_id})).collect();
            let detail = format!("several legal entities have `{reference}`: use the `id` of one of `candidates`");
            Err(Error::problem(Code::ReferenceAmbiguous, detail).with("candidates", candidates))
        }
    }
}

/// What of an order stands in invoices that were not taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invoiced {
    /// The lines of which pieces are.
    pub lines: std::collections::BTreeSet<i32>,
    /// Whether shipping is.
    pub shipping: bool,
}

/// What of an order is invoiced: one statement.
///
/// # Errors
/// What the database says.
pub fn invoiced(tx: &mut Tx, order: OrderId) -> Result<Invoiced> {
    let mut pieces: std::collections::BTreeMap<i32, i64> = std::collections::BTreeMap::new();
    let mut shipping = 0;
    // A lower price leaves invoiced what it is of.
    for one in store::of_order(tx, order)?.iter().filter(|one| !one.cause.starts_with(REDUCTION)) {
        let sign = if one.kind == BillKind::CreditNote { -1 } else { 1 };
        for line in &one.lines {
            *pieces.entry(line.line_no).or_default() += sign * line.quantity;
        }
        shipping += if one.charges.is_empty() { 0 } else { sign };
    }
    let lines = pieces.into_iter().filter(|(_, quantity)| *quantity > 0).map(|(line_no, _)| line_no);
    Ok(Invoiced { lines: lines.collect(), shipping: shipping > 0 })
}

/// Documents after one of them, in the order of their ids.
///
/// # Errors
/// What the database says.
pub fn issued_after(tx: &mut Tx, after: Option<BillId>, limit: i64) -> Result<Vec<Invoice>> {
    store::after(tx, after, limit)
}

/// The documents of orders, behind one of them, in the order of their ids: one statement.
///
/// # Errors
/// What the database says.
pub fn of_orders(tx: &mut Tx, orders: &[OrderId], after: Option<BillId>, limit: i64) -> Result<Vec<Invoice>> {
    store::of_orders(tx, orders, after, limit)
}

/// The documents of a number that an actor sees: several legal entities may have it.
///
/// # Errors
/// What the database says.
pub fn numbered(tx: &mut Tx, actor: &Actor, number: &str) -> Result<Vec<Invoice>> {
    Ok(store::by_number(tx, number)?.into_iter().filter(|one| actor.sees_channel(one.channel_id)).collect())
}

/// An order's documents, whoever asks: whether they may see the order, the caller asks.
///
/// # Errors
/// What the database says.
pub(super) fn of_order(tx: &mut Tx, order: OrderId) -> Result<Vec<Invoice>> {
    store::of_order(tx, order)
}
