//! Routes of returns.

use actix_web::{get, post};
use serde::{Deserialize, Serialize};

use super::{
    model::{NewReturn, NewReturnLine, Origin, Return, ReturnCommand},
    second,
    service::{self, Noted},
};
use crate::{
    channels::Directory,
    countersign::{self, CountersignRequest, Passed},
    customers,
    db::Tx,
    error::{Code, Error, Result},
    fulfilment::{
        Fresh, Pieces,
        api::{checked_bundles, checked_time},
        till::{GiveTo, RefundCard, RefundTo},
    },
    http::{Body, Call, List, Mount, Page, RefPath, Reply},
    kernel::{
        Action, Actor, Currency, Id, Instant, Money, Quantity, Scope, UnitPrice,
        ids::{ChannelId, CustomerId, LocationId, ReturnId},
        text::{Note, Sku, Text},
    },
    orders,
    stock::Locations,
};

/// A line that comes back.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReturnLineRequest {
    /// The order's line; needed with `order`.
    pub line_no: Option<i32>,
    /// The SKU; needed without `order`.
    #[schema(value_type = Option<String>)]
    pub sku: Option<Sku>,
    /// How many.
    pub quantity: Quantity,
    /// What one had cost, tax included; needed without `order`.
    pub unit_price: Option<UnitPrice>,
    /// What all of them are taken back for, when that is not their share of what was paid: after a deduction for wear, say.
    /// With tax or without, as the order's prices are. Never more than is left of the line's price.
    pub amount: Option<Money>,
}

/// Goods that came back: of an order (`order` and lines by `line_no`), or of none that is known (`channel_id`,
/// `currency`, and lines by `sku` with `unit_price`).
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"order": "1001", "lines": [{"line_no": 1, "quantity": 1}], "restock": true, "refund": true, "reason": "too small"}))]
pub struct ReturnRequest {
    /// The order: its id, its number, or what a foreign system calls it.
    #[schema(value_type = Option<String>)]
    pub order: Option<Text<200>>,
    /// Where they were sold; without `order`.
    pub channel_id: Option<ChannelId>,
    /// In which currency; without `order`.
    pub currency: Option<Currency>,
    /// To whom; without `order`.
    pub customer_id: Option<CustomerId>,
    /// What came back: at least one, unless `bundles` are named.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub lines: Vec<ReturnLineRequest>,
    /// Which of the order's `bundles` came back whole, by their `line_no`. Parts of one are named by their lines.
    #[schema(min_items = 1, max_items = 1000)]
    pub bundles: Option<Vec<Pieces>>,
    /// Whether it can be sold again and goes back into stock.
    #[serde(default)]
    pub restock: bool,
    /// Where it was received, by id or code; where it had left from, unless told; of several places, to each as many as it sent.
    #[schema(value_type = Option<String>)]
    pub location: Option<Text<60>>,
    /// Whether what was paid for it is given back, or taken off what is owed.
    #[serde(default)]
    pub refund: bool,
    /// Whether it has been paid out already, where it goes back by hand; else it waits in the work list `refunds_to_pay`.
    /// A refund without an order has to be paid out before it is told.
    #[serde(default)]
    pub paid_out: bool,
    /// Where what was paid for it goes, with `refund`; the way it came, unless told. Of a new gift card the answer has `gift_card` with its
    /// code.
    pub refund_to: Option<RefundTo>,
    /// Why it came back.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
    /// The foreign system whose document this is; `ops` unless told.
    #[schema(value_type = Option<String>)]
    pub system: Option<Text<50>>,
    /// What that system calls the document: it is booked once, and asked again it is answered with that return.
    #[schema(value_type = Option<String>)]
    pub reference: Option<Text<200>>,
    /// When it came back, if that was not now; not before the order. Needs the scope `history:write`.
    pub occurred_at: Option<Instant>,
}

impl ReturnRequest {
    fn lines(&self) -> Result<Vec<NewReturnLine>> {
        checked_bundles(self.bundles.as_deref())?;
        if !(1..=1000).contains(&self.lines.len()) && (self.bundles.is_none() || self.lines.len() > 1000) {
            return Err(Error::invalid("/lines", "expected 1 to 1000 lines"));
        }
        if self.bundles.is_some() && self.order.is_none() {
            return Err(Error::problem(Code::MissingField, "bundles are those of an order").at("/order"));
        }
        let line = |(place, line): (usize, &ReturnLineRequest)| {
            if line.quantity.is_zero() {
                let error = Error::problem(Code::QuantityInvalid, "expected at least one piece");
                return Err(error.at(format!("/lines/{place}/quantity")));
            }
            Ok(NewReturnLine {
                line_no: line.line_no,
                sku: line.sku.as_ref().map(ToString::to_string),
                quantity: line.quantity.get(),
                unit_price: line.unit_price,
                amount: line.amount,
                deduct: 0,
            })
        };
        self.lines.iter().enumerate().map(line).collect()
    }

    fn location(&self, actor: &Actor, locations: &Locations) -> Result<Option<LocationId>> {
        let Some(reference) = &self.location else { return Ok(None) };
        let found = locations.by_ref(reference).map(|location| location.id).filter(|id| actor.sees_location(*id));
        found.map(Some).ok_or_else(|| Error::not_found("location").at("/location"))
    }

    fn unreferenced(&self, actor: &Actor, directory: &Directory) -> Result<Origin> {
        let missing = |field: &str| {
            let error = Error::problem(Code::MissingField, format!("without an order, a return needs its {field}"));
            error.at(format!("/{field}"))
        };
        let channel = self.channel_id.ok_or_else(|| missing("channel_id"))?;
        let unknown = || Error::not_found("channel").at("/channel_id");
        let known = directory.get(channel).map_err(|_| unknown())?;
        if !actor.sees_channel(channel) {
            return Err(unknown());
        }
        let currency = self.currency.ok_or_else(|| missing("currency"))?;
        if !known.settings.currencies.contains(&currency) {
            let error = Error::problem(Code::CurrencyNotSold, format!("the channel does not sell in {currency}"));
            return Err(error.at("/currency"));
        }
        Ok(Origin::Unknown { channel, currency, customer: self.customer_id })
    }
}

impl ReturnRequest {
    /// What comes back, by its id, its number and where its money goes.
    ///
    /// # Errors
    /// `not_found`, `invalid_value`, `missing_field`.
    pub(super) fn new_return(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        (locations, directory): (&Locations, &Directory),
        (id, number, give_to): (ReturnId, &str, &GiveTo),
    ) -> Result<NewReturn> {
        let origin = match &self.order {
            Some(order) => Origin::Order(orders::resolve(tx, actor, order).map_err(|error| error.at("/order"))?),
            None => self.unreferenced(actor, directory)?,
        };
        if let Origin::Unknown { customer: Some(customer), .. } = origin {
            customers::named(tx, actor, customer).map_err(|error| error.at("/customer_id"))?;
        }
        let system = || self.system.as_ref().map_or_else(|| "ops".to_owned(), ToString::to_string);
        Ok(NewReturn {
            id,
            number: number.to_owned(),
            origin,
            lines: self.lines()?,
            bundles: self.bundles.clone().unwrap_or_default(),
            restock: self.restock,
            location: self.location(actor, locations)?,
            refund: self.refund,
            paid_out: self.paid_out,
            give_to: Some(give_to.clone()),
            reason: self.reason.as_ref().map(ToString::to_string),
            reference: self.reference.as_ref().map(|reference| (system(), reference.to_string())),
            occurred_at: self.occurred_at,
            settles: None,
        })
    }

    /// The order that it names.
    pub(super) fn order(&self) -> Option<&str> {
        self.order.as_deref()
    }

    /// Of which channel it is where it names no order, and why it came back.
    pub(super) fn told(&self) -> (Option<ChannelId>, Option<String>) {
        (self.channel_id, self.reason.as_ref().map(ToString::to_string))
    }

    /// Where what was paid for it goes.
    pub(super) const fn refund_to(&self) -> Option<RefundTo> {
        self.refund_to
    }
}

/// Take goods back
///
/// Never more than has left and not come back. With `refund`, exactly the pieces' share of what was paid is given back,
/// or taken off what is still owed. Where that is more than one person gives back alone (`second_person` of the channel) nothing is booked
/// yet: the answer is 202 with the request that somebody else approves.
#[utoipa::path(tag = "answer a customer", request_body = ReturnRequest, security(("token" = ["orders:write"])),
    responses((status = 201, body = ReturnAnswer), (status = 202, body = CountersignRequest), (status = 200, description = "Booked before under this reference", body = Return)))]
#[post("/returns")]
async fn create_return(call: Call, body: Body<ReturnRequest>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersWrite)?.clone();
    let request = body.value.clone();
    checked_time(&call, request.occurred_at)?;
    let (locations, directory) = (call.snapshot::<Locations>().await?, call.snapshot::<Directory>().await?);
    // What can be told without the database is told first.
    request.lines()?;
    request.location(&actor, &locations)?;
    if request.order.is_none() {
        request.unreferenced(&actor, &directory)?;
    }
    let (id, fresh, now): (ReturnId, _, _) = (Id::new(), Fresh::new(), call.now);
    let give_to = GiveTo::of(request.refund_to, "/refund_to")?;
    let number = format!("R{}", call.state.db.next_number("returns").await?);
    let ids = (Id::new(), Id::new());
    call.command(&body.fingerprint, move |tx| {
        let knowing = (&*locations, &*directory);
        let made = (id, number.as_str(), &give_to);
        let done = countersign::or_ask(
            tx,
            (now, &actor),
            ids,
            |tx| {
                let new = request.new_return(tx, &actor, knowing, made)?;
                service::receive(tx, now, &actor, &fresh, &locations, &new)
            },
            |tx| second::wanted(tx, &actor, (&request, &give_to)),
        )?;
        let noted = match done {
            Passed::Done(noted) => noted,
            Passed::Waits(asked) => return asked.accepted(),
        };
        match noted {
            Noted::New(made) => {
                let (version, gift_card) = (made.version, give_to.issued_in(tx)?);
                let secret = gift_card.is_some();
                let reply = Reply::created(&ReturnAnswer { made, gift_card })?.version(version);
                let reply = reply.location(format!("/v1/ops/returns/{id}"));
                Ok(if secret { reply.secret() } else { reply })
            }
            Noted::Known(known) => Ok(Reply::ok(&known)?.version(known.version)),
        }
    })
    .await
}

/// A return that was booked.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReturnAnswer {
    /// It.
    #[serde(flatten)]
    pub made: Return,
    /// The gift card that was issued for it, with its code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gift_card: Option<RefundCard>,
}

/// What the list of returns is narrowed to.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReturnQuery {
    /// Of one order: its id, its number, or what a foreign system calls it.
    pub order: Option<String>,
}

/// List the returns
///
/// Newest first.
#[utoipa::path(tag = "answer a customer", params(ReturnQuery), security(("token" = ["orders:read"])),
    responses((status = 200, body = Page<Return>)))]
#[get("/returns")]
async fn list_returns(call: Call, query: List<ReturnQuery>) -> Result<Reply> {
    let (actor, order) = (call.allow(Scope::OrdersRead)?.clone(), query.filter.order.clone());
    let read = move |tx: &mut Tx, after: Option<(i64, ReturnId)>, limit| {
        let order = order.as_deref().map(|order| orders::find(tx, &actor, order)).transpose()?;
        let after = after.map(|(at, id)| (Instant::from_micros(at), id));
        service::page(tx, &actor, order, after, limit)
    };
    query.answer(&call, |one: &Return| (one.occurred_at.micros(), one.id), read).await
}

/// A return, and what can be done with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReturnDetail {
    /// It.
    #[serde(flatten)]
    pub found: Return,
    /// What can be done now, or why not: `refund`, which is done with its order (`/v1/ops/orders/{ref}/settle`, or by
    /// confirming the payment operation that waits).
    pub actions: Vec<Action>,
}

impl From<Return> for ReturnDetail {
    fn from(found: Return) -> Self {
        let action = |command: &ReturnCommand| {
            let refused = || Error::conflict(format!("a return that is {} takes no {command}", found.state));
            Action::of(command.as_str(), found.state.apply(*command).map(|_| ()).ok_or_else(refused))
        };
        let actions = ReturnCommand::ALL.iter().map(action).collect();
        Self { found, actions }
    }
}

/// Read a return
#[utoipa::path(tag = "answer a customer", params(("id" = inline(ReturnId), Path)),
    security(("token" = ["orders:read"])),
    responses((status = 200, body = ReturnDetail)))]
#[get("/returns/{id}")]
async fn read_return(call: Call, path: RefPath<ReturnId>) -> Result<Reply> {
    let actor = call.allow(Scope::OrdersRead)?.clone();
    let id = path.0;
    let found = call.read(move |tx| service::get(tx, id)).await?;
    let found = found.filter(|found| found.is_visible_to(&actor)).ok_or_else(|| Error::not_found("return"))?;
    let version = found.version;
    Ok(Reply::ok(&ReturnDetail::from(found))?.version(version))
}

/// The routes of the ops surface.
pub fn ops(config: &mut Mount<'_>) {
    config.service(create_return).service(list_returns).service(read_return);
}
