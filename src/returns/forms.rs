//! What the routes of return requests take.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    advances,
    handling::{Came, Seen, Settling},
    model::{Disposition, RequestOrigin, RequestState, ReturnGrade, ReturnParcel, ReturnReason, ReturnWish},
    service::{NewRequest, Wanted},
};
use crate::{
    checkout::{CompleteRequest, PaymentChoice},
    error::{Code, Error, Result},
    fulfilment::Pieces,
    kernel::{
        Actor, Money, Quantity,
        ids::{LocationId, ReturnRequestId},
        text::{Note, Sku, Text, WebAddress},
    },
    payments::is_by_hand,
    stock::Locations,
};

/// So many lines a request has at most.
const LINES: usize = 1000;

/// What opens an order.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OwnReturnQuery {
    /// The token of a link to the order, as completing the cart and looking the order up give it.
    pub token: Option<String>,
}

/// A line that is to come back.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskForReturnLine {
    /// The order's line.
    pub line_no: i32,
    /// How many.
    pub quantity: Quantity,
    /// Why.
    pub reason: ReturnReason,
}

/// What is to come back of one's order.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"lines": [{"line_no": 1, "quantity": 1, "reason": "too_small"}], "wish": "refund"}))]
pub struct AskForReturn {
    /// Which lines: at least one, unless `bundles` are named.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub lines: Vec<AskForReturnLine>,
    /// Which of the order's `bundles` come back whole, by their `line_no`.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub bundles: Vec<Pieces>,
    /// Why the bundles do; `other` unless told.
    pub reason: Option<ReturnReason>,
    /// What is wanted for it; `refund` unless told.
    pub wish: Option<ReturnWish>,
    /// What else there is to say.
    #[schema(value_type = Option<String>)]
    pub comment: Option<Note<2000>>,
}

impl AskForReturn {
    /// The request that it asks for.
    ///
    /// # Errors
    /// `invalid_value`, `quantity_invalid`.
    pub(super) fn new_request(&self, id: ReturnRequestId, number: String) -> Result<NewRequest> {
        let named = self.lines.len() + self.bundles.len();
        if !(1..=LINES).contains(&named) {
            return Err(Error::invalid("/lines", "expected 1 to 1000 lines"));
        }
        let line = |(place, line): (usize, &AskForReturnLine)| {
            let quantity = pieces(line.quantity, || format!("/lines/{place}/quantity"))?;
            Ok(Wanted { line_no: line.line_no, quantity, reason: line.reason })
        };
        Ok(NewRequest {
            id,
            number,
            origin: RequestOrigin::Customer,
            wish: self.wish.unwrap_or(ReturnWish::Refund),
            lines: self.lines.iter().enumerate().map(line).collect::<Result<_>>()?,
            bundles: self.bundles.clone(),
            bundles_because: self.reason.unwrap_or(ReturnReason::Other),
            comment: self.comment.as_ref().map(ToString::to_string),
            approved: None,
            shipment: None,
            withdrawal: None,
            registration: None,
        })
    }
}

fn pieces(quantity: Quantity, pointer: impl Fn() -> String) -> Result<i64> {
    match quantity.is_zero() {
        true => Err(Error::problem(Code::QuantityInvalid, "expected at least one piece").at(pointer())),
        false => Ok(quantity.get()),
    }
}

/// What is to come back of an order.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"lines": [{"line_no": 1, "quantity": 1, "reason": "defective"}], "approve": true}))]
pub struct AskForReturnByStaff {
    /// Which lines: at least one, unless `bundles` are named.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub lines: Vec<AskForReturnLine>,
    /// Which of the order's `bundles` come back whole, by their `line_no`.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub bundles: Vec<Pieces>,
    /// Why the bundles do; `other` unless told.
    pub reason: Option<ReturnReason>,
    /// What is wanted for it; `refund` unless told.
    pub wish: Option<ReturnWish>,
    /// What else there is to say.
    #[schema(value_type = Option<String>)]
    pub comment: Option<Note<2000>>,
    /// Whether it is approved whatever the policy says.
    #[serde(default)]
    pub approve: bool,
    /// Whether who was given it sends it back: they get a gift card that is nobody's, and the buyer is not told.
    #[serde(default)]
    pub gift: bool,
}

impl AskForReturnByStaff {
    /// The request that it asks for.
    ///
    /// # Errors
    /// As [`AskForReturn::new_request`].
    pub(super) fn new_request(&self, id: ReturnRequestId, number: String) -> Result<NewRequest> {
        let Self { lines, bundles, reason, wish, comment, approve, gift } = self.clone();
        let origin = if gift { RequestOrigin::Gift } else { RequestOrigin::Staff };
        if gift && wish.is_some_and(|wish| wish != ReturnWish::GiftCard) {
            return Err(Error::invalid("/wish", "who was given something gets a gift card for it: leave it out"));
        }
        let wish = if gift { Some(ReturnWish::GiftCard) } else { wish };
        let new = AskForReturn { lines, bundles, reason, wish, comment }.new_request(id, number)?;
        let approved = approve.then(|| "approved by who has asked for it".to_owned());
        Ok(NewRequest { origin, approved, ..new })
    }
}

/// Which return requests are listed.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RequestQuery {
    /// Of one order: its id, its number, or what a foreign system calls it.
    pub order: Option<String>,
    /// In this state.
    #[param(inline)]
    pub state: Option<RequestState>,
}

/// Why it is so decided.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReturnDecisionRequest, example = json!({"reason": "a good customer"}))]
pub struct DecisionRequest {
    /// Why.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
}

/// The parcel that brings a return.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReturnParcelRequest, example = json!({"carrier": "dhl", "tracking_number": "00340434161094015902", "by_shop": true}))]
pub struct ParcelRequest {
    /// Who carries it.
    #[schema(value_type = Option<String>)]
    pub carrier: Option<Text<50>>,
    /// What the carrier calls it.
    #[schema(value_type = String)]
    pub tracking_number: Text<100>,
    /// Where its label is printed from.
    #[schema(value_type = Option<String>)]
    pub label_url: Option<WebAddress>,
    /// Whether the shop pays it.
    #[serde(default)]
    pub by_shop: bool,
}

impl ParcelRequest {
    pub(super) fn parcel(&self) -> ReturnParcel {
        ReturnParcel {
            carrier: self.carrier.as_ref().map(ToString::to_string),
            tracking_number: self.tracking_number.to_string(),
            label_url: self.label_url.as_ref().map(|url| url.to_string()),
            by_shop: self.by_shop,
        }
    }
}

/// A label of the shop's for the way back.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReturnLabelRequest, example = json!({"account": "dhl"}))]
pub struct LabelRequest {
    /// The account with the carrier, by id or code.
    #[schema(value_type = String)]
    pub account: Text<60>,
    /// The service that is wanted; the cheapest, unless told.
    #[schema(value_type = Option<String>)]
    pub service: Option<Text<100>>,
}

/// Goods that have come.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CameLine {
    /// The order's line; or leave it out and name the `sku`.
    pub line_no: Option<i32>,
    /// The SKU that stands on them, of the order or not.
    #[schema(value_type = Option<String>)]
    pub sku: Option<Sku>,
    /// How many.
    pub quantity: Quantity,
    /// What is to be noted of them.
    #[schema(value_type = Option<String>)]
    pub note: Option<Note<500>>,
}

/// What has come of a return.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReturnReceiveRequest, example = json!({"lines": [{"line_no": 1, "quantity": 1}]}))]
pub struct ReceiveRequest {
    /// What.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Vec<CameLine>,
    /// Where, by id or code; where the order's goods have left from, unless told.
    #[schema(value_type = Option<String>)]
    pub location: Option<Text<60>>,
}

fn located(
    reference: Option<&Text<60>>,
    pointer: impl Fn() -> String,
    (actor, locations): (&Actor, &Locations),
) -> Result<Option<LocationId>> {
    let Some(reference) = reference else { return Ok(None) };
    let found = locations.by_ref(reference).map(|location| location.id).filter(|id| actor.sees_location(*id));
    found.map(Some).ok_or_else(|| Error::not_found("location").at(pointer()))
}

fn some<T>(lines: &[T]) -> Result<()> {
    match (1..=LINES).contains(&lines.len()) {
        true => Ok(()),
        false => Err(Error::invalid("/lines", "expected 1 to 1000 lines")),
    }
}

impl ReceiveRequest {
    pub(super) fn came(&self) -> Result<Vec<Came>> {
        some(&self.lines)?;
        let line = |(place, line): (usize, &CameLine)| {
            if line.line_no.is_none() == line.sku.is_none() {
                let error = Error::problem(Code::MissingField, "expected either `line_no` or `sku`");
                return Err(error.at(format!("/lines/{place}")));
            }
            Ok(Came {
                line_no: line.line_no,
                sku: line.sku.as_ref().map(ToString::to_string),
                quantity: pieces(line.quantity, || format!("/lines/{place}/quantity"))?,
                note: line.note.as_ref().map(ToString::to_string),
            })
        };
        self.lines.iter().enumerate().map(line).collect()
    }

    pub(super) fn location(&self, actor: &Actor, locations: &Locations) -> Result<Option<LocationId>> {
        located(self.location.as_ref(), || "/location".to_owned(), (actor, locations))
    }
}

/// Pieces that were looked at.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InspectLine {
    /// The order's line.
    pub line_no: i32,
    /// How many.
    pub quantity: Quantity,
    /// In what shape they are.
    pub grade: ReturnGrade,
    /// What becomes of them.
    pub disposition: Disposition,
    /// Where they are booked in, by id or code. What is restocked is where it was received, unless told; what is refurbished or kept
    /// apart only where one is named; what is thrown away never.
    #[schema(value_type = Option<String>)]
    pub location: Option<Text<60>>,
    /// The number of their lot, as it stands on them.
    #[schema(value_type = Option<String>)]
    pub lot: Option<Text<100>>,
    /// What was seen.
    #[schema(value_type = Option<String>)]
    pub note: Option<Note<500>>,
}

/// What was seen of a return.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReturnInspectRequest, example = json!({"lines": [{"line_no": 1, "quantity": 1, "grade": "a", "disposition": "restock"}]}))]
pub struct InspectRequest {
    /// By pieces of one shape and one fate.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Vec<InspectLine>,
}

impl InspectRequest {
    pub(super) fn seen(&self, actor: &Actor, locations: &Locations) -> Result<Vec<Seen>> {
        some(&self.lines)?;
        let line = |(place, line): (usize, &InspectLine)| {
            let at = || format!("/lines/{place}/location");
            Ok(Seen {
                line_no: line.line_no,
                quantity: pieces(line.quantity, || format!("/lines/{place}/quantity"))?,
                grade: line.grade,
                disposition: line.disposition,
                location: located(line.location.as_ref(), at, (actor, locations))?,
                lot: line.lot.as_ref().map(ToString::to_string),
                note: line.note.as_ref().map(ToString::to_string),
            })
        };
        self.lines.iter().enumerate().map(line).collect()
    }
}

/// Goods that are sent in exchange.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExchangeLineRequest)]
pub struct ExchangeLine {
    /// Their SKU.
    #[schema(value_type = String)]
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
}

/// The order that was placed in exchange; or what is to be ordered in exchange before the goods have come back.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReturnExchangeRequest, example = json!({"order": "1002"}))]
pub struct ExchangeRequest {
    /// Its id, its number, or what a foreign system calls it: of a return that is settled. Or `lines`.
    #[schema(value_type = Option<String>)]
    pub order: Option<Text<200>>,
    /// What is sent in exchange, of a return that is approved and not settled. Or `order`.
    #[schema(max_items = 250)]
    pub lines: Option<Vec<ExchangeLine>>,
    /// With which promise it is paid should the goods not come: any method but one that is paid by hand. Not needed where store credit pays all.
    pub payment: Option<PaymentChoice>,
    /// Whether the customer's store credit is set aside for it first.
    #[serde(default)]
    pub store_credit: bool,
    /// How it is shipped; as the order was unless told.
    #[schema(value_type = Option<String>)]
    pub shipping_method: Option<Text<50>>,
    /// Whether the customer pays for its shipping; the shop does unless told.
    #[serde(default)]
    pub charge_shipping: bool,
    /// What the customer was told that it costs: another total is refused with `total_changed`.
    pub expected_total: Option<Money>,
}

impl ExchangeRequest {
    /// The order that it names; none where goods are to be ordered.
    ///
    /// # Errors
    /// `invalid_value` unless it says one of both.
    pub(super) fn named(&self) -> Result<Option<String>> {
        let lone = self.payment.is_none() && self.shipping_method.is_none() && self.expected_total.is_none();
        match (&self.order, &self.lines) {
            (Some(order), None) if lone && !self.store_credit && !self.charge_shipping => Ok(Some(order.to_string())),
            (Some(_), None) => Err(Error::invalid("/order", "an order that is placed is paid: leave out how it is")),
            (None, Some(_)) => Ok(None),
            _ => Err(Error::invalid("/order", "expected the `order` that was placed, or `lines` to be ordered")),
        }
    }

    /// What is to be ordered, and how it is paid.
    ///
    /// # Errors
    /// `invalid_value`, `quantity_invalid`; `payment_method_unavailable` for a promise that nobody gives.
    pub(super) fn wanted(&self) -> Result<(advances::Wanted, CompleteRequest)> {
        let lines = self.lines.as_deref().unwrap_or_default();
        if !(1..=250).contains(&lines.len()) {
            return Err(Error::invalid("/lines", "expected 1 to 250 lines"));
        }
        if self.payment.as_ref().is_some_and(|chosen| is_by_hand(&chosen.method)) {
            let detail = "nobody promises what is paid by hand: choose a method that does, or store credit";
            return Err(Error::problem(Code::PaymentMethodUnavailable, detail).at("/payment/method"));
        }
        let line = |(place, line): (usize, &ExchangeLine)| {
            pieces(line.quantity, || format!("/lines/{place}/quantity"))?;
            Ok((line.sku.to_string(), line.quantity))
        };
        let wanted = advances::Wanted {
            lines: lines.iter().enumerate().map(line).collect::<Result<_>>()?,
            shipping_method: self.shipping_method.as_ref().map(ToString::to_string),
            store_credit: self.store_credit,
            charge_shipping: self.charge_shipping,
        };
        let (expected_total, payment) = (self.expected_total, self.payment.clone());
        Ok((wanted, CompleteRequest { expected_total, expected_due: None, payment, risk: None }))
    }
}

/// What the customer, or the guest, of an order wants in exchange.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OwnExchangeRequest, example = json!({"lines": [{"sku": "TEE-BLACK-M", "quantity": 1}], "payment": {"method": "sandbox", "instrument": "approve"}}))]
pub struct OwnExchange {
    /// What.
    #[schema(min_items = 1, max_items = 250)]
    pub lines: Vec<ExchangeLine>,
    /// With which promise it is paid should the goods not come: any method but one that is paid by hand.
    pub payment: Option<PaymentChoice>,
    /// How it is shipped; as the order was unless told.
    #[schema(value_type = Option<String>)]
    pub shipping_method: Option<Text<50>>,
    /// What the storefront has told that it costs: another total is refused with `total_changed`.
    pub expected_total: Option<Money>,
}

impl OwnExchange {
    /// The same as staff ask for it, with shipping as on any order.
    pub(super) fn asked(&self) -> ExchangeRequest {
        let Self { lines, payment, shipping_method, expected_total } = self.clone();
        ExchangeRequest {
            order: None,
            lines: Some(lines),
            payment,
            store_credit: false,
            shipping_method,
            charge_shipping: true,
            expected_total,
        }
    }
}

/// What is kept of a line's price.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeductionLine {
    /// The order's line.
    pub line_no: i32,
    /// How much, tax included.
    pub amount: Money,
}

/// How a return is settled.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReturnSettleRequest, example = json!({"waive_fees": true}))]
pub struct SettleRequest {
    /// What the customer gets; what they had asked for, unless told.
    pub wish: Option<ReturnWish>,
    /// Whether all of it is settled, whether it has come or not.
    #[serde(default)]
    pub without_goods: bool,
    /// Whether nothing is kept by the policy.
    #[serde(default)]
    pub waive_fees: bool,
    /// What is kept beside that, for what goods have lost in worth.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub deductions: Vec<DeductionLine>,
    /// Whether it has been paid out already, where it goes back by hand.
    #[serde(default)]
    pub paid_out: bool,
    /// Why, in words.
    #[schema(value_type = Option<String>)]
    pub reason: Option<Note<500>>,
}

impl SettleRequest {
    /// Why, in words.
    pub(super) fn reason(&self) -> Option<String> {
        self.reason.as_ref().map(ToString::to_string)
    }

    pub(super) fn settling(&self) -> Result<Settling> {
        let mut deductions = BTreeMap::new();
        for (place, one) in self.deductions.iter().enumerate() {
            if deductions.insert(one.line_no, one.amount).is_some() {
                return Err(Error::invalid(format!("/deductions/{place}/line_no"), "each line is named once"));
            }
        }
        Ok(Settling {
            wish: self.wish,
            without_goods: self.without_goods,
            waive_fees: self.waive_fees,
            deductions,
            paid_out: self.paid_out,
            reason: self.reason.as_ref().map(ToString::to_string),
        })
    }
}
