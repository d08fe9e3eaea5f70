//! What is sent about goods on their way in.

use chrono::NaiveDate;
use serde::{Deserialize, Deserializer};
use utoipa::{IntoParams, ToSchema};

use super::model::{InboundState, PurchaseState};
use crate::{
    error::{Error, Result},
    kernel::{
        Instant, Quantity, gs1,
        ids::PurchaseOrderId,
        text::{Note, Sku, Text},
    },
};

/// How many lines a document has at most.
pub(super) const LINES: usize = 1000;

/// A line of an order to a supplier.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPurchaseLine {
    /// What is ordered.
    #[schema(value_type = String)]
    pub sku: Sku,
    /// How many.
    #[schema(minimum = 1)]
    pub quantity: Quantity,
    /// When, if not with the rest.
    pub expected_at: Option<Instant>,
}

/// An order to a supplier about to be written.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"number": "PO-4711", "supplier": "Mugs & More", "location": "demo-berlin", "expected_at": "2026-12-01T08:00:00Z",
    "lines": [{"sku": "MUG-KONTOR", "quantity": 100}]}))]
pub struct NewPurchaseOrder {
    /// What it is called towards the supplier; unique.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    pub number: Text<100>,
    /// Who delivers.
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    pub supplier: Text<200>,
    /// Where to: a location's code or id.
    #[schema(value_type = String, min_length = 1, max_length = 60)]
    pub location: Text<60>,
    /// When it is expected.
    pub expected_at: Option<Instant>,
    /// What is ordered.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Vec<NewPurchaseLine>,
}

/// What comes in an inbound shipment: pieces of a variant, loose or in a handling unit.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInboundLine {
    /// What comes.
    #[schema(value_type = String)]
    pub sku: Sku,
    /// How many.
    #[schema(minimum = 1)]
    pub quantity: Quantity,
    /// The handling unit that they are in.
    #[schema(value_type = Option<String>, pattern = "^[0-9]{18}$", example = "106141412345678908")]
    pub sscc: Option<Text<18>>,
    /// Their lot.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 20)]
    pub lot: Option<Text<20>>,
    /// Until when they are good.
    pub best_before: Option<NaiveDate>,
    /// The line of the purchase order; the first one of the SKU, unless told.
    #[schema(minimum = 1)]
    pub purchase_order_line: Option<i32>,
}

/// A shipment that is announced.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reference": "DN-88", "supplier": "Mugs & More", "location": "demo-berlin", "expected_at": "2026-12-01T08:00:00Z",
    "lines": [{"sku": "MUG-KONTOR", "quantity": 40, "sscc": "106141412345678908"}, {"sku": "MUG-KONTOR", "quantity": 3}]}))]
pub struct NewInbound {
    /// What the sender calls it.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    pub reference: Option<Text<100>>,
    /// Who sends it; the purchase order's supplier, unless told.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub supplier: Option<Text<200>>,
    /// The order to a supplier that it is of.
    pub purchase_order_id: Option<PurchaseOrderId>,
    /// Where it comes to: a location's code or id. That of the purchase order, unless told.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 60)]
    pub location: Option<Text<60>>,
    /// When it is expected.
    pub expected_at: Instant,
    /// So many per cent more than announced are taken without asking.
    #[serde(default)]
    #[schema(default = 0, minimum = 0, maximum = 100)]
    pub over_tolerance_percent: i64,
    /// What is in it.
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Vec<NewInboundLine>,
}

impl NewInbound {
    /// Checks what it says by itself.
    ///
    /// # Errors
    /// `invalid_value`, with the pointer.
    pub(super) fn check(&self) -> Result<()> {
        check_lines(self.lines.len())?;
        if !(0..=100).contains(&self.over_tolerance_percent) {
            return Err(Error::invalid("/over_tolerance_percent", "expected 0 to 100"));
        }
        for (place, line) in self.lines.iter().enumerate() {
            check_quantity(line.quantity, place)?;
            if let Some(sscc) = line.sscc.as_deref().filter(|sscc| !gs1::is_sscc(sscc)) {
                let detail = format!("`{sscc}` is no SSCC of 18 digits with the right check digit");
                return Err(Error::invalid(format!("/lines/{place}/sscc"), detail));
            }
        }
        Ok(())
    }
}

/// Checks how many lines there are.
pub(super) fn check_lines(count: usize) -> Result<()> {
    match (1..=LINES).contains(&count) {
        true => Ok(()),
        false => Err(Error::invalid("/lines", "expected 1 to 1000 lines")),
    }
}

/// Checks that a line is about something.
pub(super) fn check_quantity(quantity: Quantity, place: usize) -> Result<()> {
    match quantity.is_zero() {
        false => Ok(()),
        true => Err(Error::invalid(format!("/lines/{place}/quantity"), "expected at least 1")),
    }
}

/// Pieces of a line that have come.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LineReceipt {
    /// The line.
    #[schema(minimum = 1)]
    pub line_no: i32,
    /// How many.
    #[schema(minimum = 1)]
    pub quantity: Quantity,
    /// The lot that all of them are of, where it is not the one that was announced.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    pub lot: Option<Text<50>>,
    /// Until when they are good.
    pub best_before: Option<NaiveDate>,
    /// The lots that they are of, where these are several. What is left over is of the lot that was announced.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub lots: Vec<LotReceipt>,
}

/// Pieces of a lot that have come.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LotReceipt {
    /// The lot's number.
    #[schema(value_type = String, min_length = 1, max_length = 50)]
    pub lot: Text<50>,
    /// Until when they are good.
    pub best_before: Option<NaiveDate>,
    /// How many.
    #[schema(minimum = 1)]
    pub quantity: Quantity,
}

/// Pieces of a line with the lot that they are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InLot {
    /// The line.
    pub line_no: i32,
    /// The lot's number.
    pub number: String,
    /// Until when they are good.
    pub best_before: Option<NaiveDate>,
    /// How many.
    pub quantity: i64,
}

impl LineReceipt {
    fn check(&self, place: usize) -> Result<()> {
        let at = format!("/lines/{place}");
        check_quantity(self.quantity, place)?;
        if self.lots.is_empty() {
            return Ok(());
        }
        if self.lot.is_some() || self.best_before.is_some() {
            return Err(Error::invalid(format!("{at}/lots"), "name one lot, or several, not both"));
        }
        if self.lots.len() > 100 {
            return Err(Error::invalid(format!("{at}/lots"), "expected at most 100 lots"));
        }
        if let Some(none) = self.lots.iter().position(|lot| lot.quantity.is_zero()) {
            return Err(Error::invalid(format!("{at}/lots/{none}/quantity"), "expected at least 1"));
        }
        let sum: i64 = self.lots.iter().map(|lot| lot.quantity.get()).sum();
        match sum <= self.quantity.get() {
            true => Ok(()),
            false => Err(Error::invalid(format!("{at}/lots"), "more pieces are of lots than came")),
        }
    }

    /// The lots that it says its pieces are of.
    fn in_lots(&self) -> Vec<InLot> {
        let line_no = self.line_no;
        let whole = self.lot.as_ref().map(ToString::to_string);
        let whole = whole.or_else(|| self.best_before.map(|day| day.to_string()));
        let whole = whole.map(|number| {
            let (best_before, quantity) = (self.best_before, self.quantity.get());
            InLot { line_no, number, best_before, quantity }
        });
        let several = self.lots.iter().map(|one| {
            let (number, best_before, quantity) = (one.lot.to_string(), one.best_before, one.quantity.get());
            InLot { line_no, number, best_before, quantity }
        });
        whole.into_iter().chain(several).collect()
    }
}

/// What has come of an inbound shipment: pieces of lines, whole handling units; all that is left when neither is named.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InboundReceipt)]
#[schema(example = json!({"lines": [{"line_no": 1, "quantity": 3}]}))]
pub struct Receipt {
    /// Pieces of lines.
    #[serde(default, deserialize_with = "some")]
    #[schema(min_items = 1, max_items = 1000)]
    pub lines: Vec<LineReceipt>,
    /// Handling units, each with all that is in it.
    #[serde(default, deserialize_with = "some")]
    #[schema(value_type = Vec<String>, max_items = 1000)]
    pub units: Vec<Text<18>>,
    /// Takes more than the tolerance allows.
    #[serde(default)]
    pub accept_over: bool,
    /// When it came, if that was not now; needs `history:write`.
    pub occurred_at: Option<Instant>,
}

/// A list that is left out where it is empty: none of it would be taken for all.
fn some<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let list = Vec::deserialize(deserializer)?;
    match list.is_empty() {
        true => Err(serde::de::Error::custom("expected at least one; leave it out for all that is left")),
        false => Ok(list),
    }
}

impl Receipt {
    pub(in crate::fulfilment) fn check(&self) -> Result<()> {
        if self.lines.len() > LINES || self.units.len() > LINES {
            return Err(Error::invalid("/lines", "expected at most 1000 lines and units"));
        }
        self.lines.iter().enumerate().try_for_each(|(place, line)| line.check(place))
    }

    /// The lots that it says pieces are of.
    pub(in crate::fulfilment) fn in_lots(&self) -> Vec<InLot> {
        self.lines.iter().flat_map(LineReceipt::in_lots).collect()
    }

    /// Where a line stands in it, as a JSON pointer.
    pub(in crate::fulfilment) fn pointer(&self, line_no: i32) -> String {
        match self.lines.iter().position(|line| line.line_no == line_no) {
            Some(place) => format!("/lines/{place}/lot"),
            None => "/lines".to_owned(),
        }
    }
}

/// Why no more is expected.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InboundClose)]
#[schema(example = json!({"reason": "The supplier has no more of it."}))]
pub struct Close {
    /// In words.
    #[schema(value_type = String, min_length = 1, max_length = 500)]
    pub reason: Note<500>,
}

/// Another time.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InboundReschedule)]
#[schema(example = json!({"expected_at": "2026-12-03T08:00:00Z"}))]
pub struct Reschedule {
    /// When it is expected now.
    pub expected_at: Instant,
}

/// What the list of purchase orders is narrowed to.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PurchaseQuery {
    /// Where they stand.
    #[param(inline)]
    pub state: Option<PurchaseState>,
}

/// What the list of inbound shipments is narrowed to.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct InboundQuery {
    /// Where they stand.
    #[param(inline)]
    pub state: Option<InboundState>,
    /// Of one location, by id or code.
    pub location: Option<String>,
}
