//! Everything that is kept of a person, record by record (GDPR, Articles 15 and 20).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    amendments, approvals, back_in_stock, carts, customers,
    db::Tx,
    drafts,
    error::{Error, Result},
    events, fulfilment, invoices,
    kernel::{
        Actor, Instant, Scope,
        ids::{BillId, CartId, CustomerId, OrderId, RiskAssessmentId},
        text::Email,
    },
    orders::{self, Person},
    payments, quotes, recurring, returns, risk, stored_value, templates, warranties,
};

crate::words! {
    /// What a record is. More words may come.
    pub enum RecordKind {
        /// The customer: contacts, addresses, consent, sign-in.
        Customer = "customer",
        /// An order, with its lines, addresses, payments.
        Order = "order",
        /// An invoice or credit note.
        Invoice = "invoice",
        /// A cart.
        Cart = "cart",
        /// What rules of risk have found at a checkout.
        Risk = "risk",
        /// Store credit, or a gift card that is theirs.
        Credit = "credit",
        /// A quote that they have asked for.
        Quote = "quote",
        /// A cart that they have asked others of their company to approve.
        ApprovalRequest = "approval_request",
        /// What they have decided about somebody's cart.
        ApprovalDecision = "approval_decision",
        /// What they order again and again.
        RecurringOrder = "recurring_order",
        /// A list of what they order again.
        OrderTemplate = "order_template",
        /// A note on an order of theirs.
        OrderNote = "order_note",
        /// What they have asked to send back.
        ReturnRequest = "return_request",
        /// What has come back.
        Return = "return",
        /// A product that was registered.
        ProductRegistration = "product_registration",
        /// A declaration that they withdraw from an order.
        Withdrawal = "withdrawal",
        /// What they have claimed of an order.
        Claim = "claim",
        /// A change of an order of theirs.
        Amendment = "amendment",
        /// What somebody was asked to pay for an order of theirs, by a link.
        PaymentRequest = "payment_request",
        /// An order that staff have prepared for them.
        Draft = "draft",
        /// What they wait for until it can be had again.
        BackInStock = "back_in_stock",
        /// What has happened to the customer's record.
        Event = "event",
    }
}

impl RecordKind {
    /// Whether an actor may read such records.
    fn is_for(self, actor: &Actor) -> bool {
        match self {
            Self::Customer | Self::Event => true,
            Self::Risk => actor.holds(Scope::RiskRead),
            Self::Order
            | Self::Invoice
            | Self::Cart
            | Self::Credit
            | Self::Quote
            | Self::ApprovalRequest
            | Self::ApprovalDecision
            | Self::RecurringOrder
            | Self::OrderTemplate
            | Self::OrderNote
            | Self::ReturnRequest
            | Self::Return
            | Self::ProductRegistration
            | Self::Withdrawal
            | Self::Claim
            | Self::Amendment
            | Self::PaymentRequest
            | Self::Draft
            | Self::BackInStock => actor.holds(Scope::OrdersRead),
        }
    }
}

/// Something that is kept of a person.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PersonRecord {
    /// What it is.
    pub kind: RecordKind,
    /// Its id.
    pub id: String,
    /// All of it.
    #[schema(value_type = Object)]
    pub document: Value,
}

/// The place of a record: its kind, and its id.
pub(super) type Place = (RecordKind, String);

impl PersonRecord {
    /// Where it stands in an export.
    pub(super) fn place(&self) -> Place {
        (self.kind, self.id.clone())
    }
}

/// Whose.
#[derive(Debug, Clone)]
pub(super) enum Whose {
    Customer(CustomerId),
    Guest(Email),
}

impl Whose {
    fn person(&self) -> Person {
        match self {
            Self::Customer(id) => Person::Customer(*id),
            Self::Guest(email) => Person::Guest(email.folded()),
        }
    }
}

/// So many gift cards and credits of one customer are told of.
const MOST_CREDITS: i64 = 1_000;

fn record(kind: RecordKind, id: impl ToString, document: &impl Serialize) -> Result<PersonRecord> {
    Ok(PersonRecord { kind, id: id.to_string(), document: serde_json::to_value(document)? })
}

/// Up to so many records behind a place, kind by kind.
///
/// # Errors
/// `not_found`.
pub(super) fn page(
    tx: &mut Tx,
    (now, actor, whose): (Instant, &Actor, &Whose),
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<PersonRecord>> {
    if let Whose::Customer(id) = whose {
        customers::require(tx, *id)?;
    }
    let (first, mut behind) = after.map_or((RecordKind::Customer, None), |(kind, id)| (kind, Some(id)));
    let mut records: Vec<PersonRecord> = Vec::new();
    for kind in RecordKind::ALL.iter().filter(|kind| **kind >= first && kind.is_for(actor)) {
        let room = limit.saturating_sub(i64::try_from(records.len()).unwrap_or(limit));
        if room == 0 {
            break;
        }
        records.extend(of_kind(tx, (now, whose), *kind, behind.take().as_deref(), room)?);
    }
    Ok(records)
}

/// Those of ids, in order, that come behind one of them.
fn some<I: Ord + Copy + std::str::FromStr>(mut ids: Vec<I>, behind: Option<&str>, limit: i64) -> Result<Vec<I>> {
    let behind: Option<I> = behind.map(str::parse::<I>).transpose().map_err(|_| wrong())?;
    ids.sort_unstable();
    let room = usize::try_from(limit).unwrap_or_default();
    Ok(ids.into_iter().filter(|id| behind.is_none_or(|behind| *id > behind)).take(room).collect())
}

fn wrong() -> Error {
    Error::problem(crate::error::Code::InvalidCursor, "this cursor was not given by this list").at("cursor")
}

fn orders_of(tx: &mut Tx, whose: &Whose) -> Result<Vec<OrderId>> {
    Ok(orders::of_person(tx, &whose.person())?.into_iter().map(|order| order.id).collect())
}

fn carts_of(tx: &mut Tx, whose: &Whose) -> Result<Vec<CartId>> {
    match whose {
        Whose::Customer(id) => carts::of_customer(tx, *id),
        Whose::Guest(email) => {
            let own = carts::of_guest_after(tx, email, None, 10_000)?;
            carts::with_merged(tx, own)
        }
    }
}

fn of_kind(
    tx: &mut Tx,
    (now, whose): (Instant, &Whose),
    kind: RecordKind,
    behind: Option<&str>,
    limit: i64,
) -> Result<Vec<PersonRecord>> {
    match (kind, whose) {
        (RecordKind::Customer, Whose::Customer(id)) if behind.is_none() => {
            let customer = customers::by_id(tx, *id)?.ok_or_else(|| Error::not_found("customer"))?;
            Ok(vec![record(kind, id, &customer)?])
        }
        (RecordKind::Order, _) => {
            let ids = some(orders_of(tx, whose)?, behind, limit)?;
            orders::by_ids(tx, &ids)?.iter().map(|order| record(kind, order.id, order)).collect()
        }
        (RecordKind::Invoice, _) => {
            let orders = orders_of(tx, whose)?;
            let behind = behind.map(str::parse::<BillId>).transpose().map_err(|_| wrong())?;
            invoices::of_orders(tx, &orders, behind, limit)?.iter().map(|one| record(kind, one.id, one)).collect()
        }
        (RecordKind::Cart, _) => {
            let ids = some(carts_of(tx, whose)?, behind, limit)?;
            let carts = carts::baskets::documents(tx, &ids)?;
            carts.into_iter().map(|(id, document)| record(kind, id, &document)).collect()
        }
        (RecordKind::Risk, _) => {
            let carts = carts_of(tx, whose)?;
            let behind = behind.map(str::parse::<RiskAssessmentId>).transpose().map_err(|_| wrong())?;
            risk::of_carts(tx, &carts, behind, limit)?.iter().map(|one| record(kind, one.id, one)).collect()
        }
        (RecordKind::Credit, Whose::Customer(id)) => {
            let credit = stored_value::of_customer(tx, *id, MOST_CREDITS)?;
            let ids = some(credit.iter().map(|one| one.id).collect(), behind, limit)?;
            let named = ids.iter().filter_map(|id| credit.iter().find(|one| one.id == *id));
            named.map(|one| record(kind, one.id, one)).collect()
        }
        (RecordKind::Event, Whose::Customer(id)) => {
            let behind: i64 = behind.map(str::parse::<i64>).transpose().map_err(|_| wrong())?.unwrap_or_default();
            let told = events::stream(tx, &id.to_string(), behind, limit)?;
            told.iter().map(|event| record(kind, event.position, event)).collect()
        }
        (RecordKind::Draft, _) => {
            let carts = carts_of(tx, whose)?;
            drafts::of_carts(tx, &carts, place(behind)?, limit)?.iter().map(|one| record(kind, one.id, one)).collect()
        }
        (RecordKind::BackInStock, _) => {
            let person = match whose {
                Whose::Customer(id) => (Some(*id), None),
                Whose::Guest(email) => (None, Some(email)),
            };
            let waiting = back_in_stock::of_person(tx, person, place(behind)?, limit)?;
            waiting.iter().map(|one| record(kind, one.id, one)).collect()
        }
        (
            RecordKind::OrderNote
            | RecordKind::ReturnRequest
            | RecordKind::Return
            | RecordKind::ProductRegistration
            | RecordKind::Withdrawal
            | RecordKind::Claim
            | RecordKind::Amendment
            | RecordKind::PaymentRequest,
            _,
        ) => beside_orders(tx, (now, whose), kind, behind, limit),
        (_, Whose::Customer(id)) => of_business(tx, *id, kind, behind, limit),
        _ => Ok(Vec::new()),
    }
}

/// The place behind which a list goes on.
fn place<I: std::str::FromStr>(behind: Option<&str>) -> Result<Option<I>> {
    behind.map(str::parse::<I>).transpose().map_err(|_| wrong())
}

/// What is kept beside somebody's orders: words, and what came back.
fn beside_orders(
    tx: &mut Tx,
    (now, whose): (Instant, &Whose),
    kind: RecordKind,
    behind: Option<&str>,
    limit: i64,
) -> Result<Vec<PersonRecord>> {
    let orders = orders_of(tx, whose)?;
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    match kind {
        RecordKind::OrderNote => {
            let notes = orders::notes::of_orders(tx, &orders, place(behind)?, limit)?;
            notes.iter().map(|one| record(kind, one.id, one)).collect()
        }
        RecordKind::ReturnRequest => {
            let requests = returns::of_orders(tx, &orders, place(behind)?, limit)?;
            // What somebody else has asked for, who was given it, is not theirs to read.
            requests.iter().filter(|one| !one.is_of_gift()).map(|one| record(kind, one.id, one)).collect()
        }
        RecordKind::Return => {
            let back = fulfilment::returns::of_orders(tx, &orders, place(behind)?, limit)?;
            back.iter().map(|one| record(kind, one.id, one)).collect()
        }
        RecordKind::ProductRegistration => {
            let registered = warranties::of_orders(tx, &orders, place(behind)?, limit)?;
            registered.iter().map(|one| record(kind, one.id, one)).collect()
        }
        RecordKind::Withdrawal => {
            let withdrawn = returns::withdrawals::of_orders(tx, &orders, place(behind)?, limit)?;
            withdrawn.iter().map(|one| record(kind, one.id, one)).collect()
        }
        RecordKind::Claim => {
            let claimed = returns::claims::of_orders(tx, &orders, place(behind)?, limit)?;
            claimed.iter().map(|one| record(kind, one.id, one)).collect()
        }
        RecordKind::Amendment => {
            let amended = amendments::of_orders(tx, now, &orders, place(behind)?, limit)?;
            amended.iter().map(|one| record(kind, one.id, one)).collect()
        }
        RecordKind::PaymentRequest => {
            let asked = payments::requests::of_orders(tx, &orders, place(behind)?, limit)?;
            asked.iter().map(|one| record(kind, one.id, one)).collect()
        }
        _ => Ok(Vec::new()),
    }
}

/// What a customer has agreed with the shop and with their company.
fn of_business(
    tx: &mut Tx,
    customer: CustomerId,
    kind: RecordKind,
    behind: Option<&str>,
    limit: i64,
) -> Result<Vec<PersonRecord>> {
    match kind {
        RecordKind::Quote => {
            let quotes = quotes::of_customer(tx, customer, place(behind)?, limit)?;
            quotes.iter().map(|one| record(kind, one.id, one)).collect()
        }
        RecordKind::ApprovalRequest => {
            let requests = approvals::of_customer(tx, customer, place(behind)?, limit)?;
            requests.iter().map(|one| record(kind, one.id, one)).collect()
        }
        RecordKind::ApprovalDecision => {
            let decisions = approvals::decisions_by(tx, customer, place(behind)?, limit)?;
            decisions.iter().map(|(request, one)| record(kind, request, one)).collect()
        }
        RecordKind::RecurringOrder => {
            let recurring = recurring::of_customer(tx, customer, place(behind)?, limit)?;
            recurring.iter().map(|one| record(kind, one.id, one)).collect()
        }
        RecordKind::OrderTemplate => {
            let templates = templates::of_customer(tx, customer, place(behind)?, limit)?;
            templates.iter().map(|one| record(kind, one.id, one)).collect()
        }
        _ => Ok(Vec::new()),
    }
}

/// A page of a guest's records.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ada@example.org"}))]
pub(super) struct GuestExportRequest {
    /// The e-mail address that guests have ordered with; case does not matter.
    pub email: Email,
    /// How many records at most, 1 to 200; 50 where it is left out.
    #[schema(minimum = 1, maximum = 200)]
    pub limit: Option<i64>,
    /// Where to go on: `next_cursor` of the page before.
    pub cursor: Option<String>,
}
