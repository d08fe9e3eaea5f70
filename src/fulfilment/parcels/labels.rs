//! What is printed on and put into packages, as documents. Pure.

use serde::Serialize;

use super::model::{Dimensions, Package, PackageState, PackedLine};
use crate::{
    customers::Address,
    kernel::{
        Country,
        ids::{FulfilmentOrderId, PackageId},
    },
    orders::OrderDocument,
    stock::Location,
};

/// Where a package comes from.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Sender {
    /// The location's name.
    pub name: String,
    /// Its country.
    pub country: Country,
    /// Its address, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
}

impl Sender {
    pub(in crate::fulfilment) fn of(location: &Location) -> Self {
        Self { name: location.name.clone(), country: location.country, address: location.site.address.clone() }
    }
}

/// What a label of ours says. What a carrier's label says, the carrier gives.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LabelDocument {
    /// The package.
    pub package_id: PackageId,
    /// Its SSCC, for people to read: `(00)` and the digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sscc_text: Option<String>,
    /// The element string of its GS1-128 barcode: application identifier 00 and the SSCC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gs1_128: Option<String>,
    /// The order's number.
    pub order_number: String,
    /// Which package of the fulfilment order this is, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// Where it comes from.
    pub from: Sender,
    /// Where it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Address>,
    /// The shipping method's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipping_method: Option<String>,
    /// What it weighs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_grams: Option<i64>,
    /// How large it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<Dimensions>,
}

/// An SSCC for people to read.
#[must_use]
pub fn sscc_text(sscc: &str) -> String {
    format!("(00){sscc}")
}

/// The label of one of a fulfilment order's packages; `key` is that of the delivery that it is for, where there are several.
pub(super) fn label(
    (order, key): (&OrderDocument, Option<&str>),
    location: &Location,
    all: &[Package],
    package: &Package,
) -> LabelDocument {
    let standing: Vec<&Package> = all.iter().filter(|one| one.state != PackageState::Unpacked).collect();
    let delivery = order.delivery(key);
    LabelDocument {
        package_id: package.id,
        sscc_text: package.sscc.as_deref().map(sscc_text),
        gs1_128: package.sscc.as_deref().map(|sscc| format!("00{sscc}")),
        order_number: order.number.clone(),
        number: standing.iter().position(|one| one.id == package.id).map_or(0, |place| place + 1),
        of: standing.len(),
        from: Sender::of(location),
        to: delivery.and_then(|delivery| delivery.address.clone()),
        shipping_method: delivery.and_then(|delivery| delivery.method.clone()),
        weight_grams: package.weight_grams,
        dimensions: package.dimensions,
    }
}

/// A line of a packing slip.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SlipLine {
    /// What it is called on the order.
    pub name: String,
    /// Pieces in the package.
    #[serde(flatten)]
    pub packed: PackedLine,
}

/// What is put into a package, for whoever opens it. It tells no prices.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PackingSlip {
    /// The package.
    pub package_id: PackageId,
    /// Whose pieces are in it.
    pub fulfilment_order_id: FulfilmentOrderId,
    /// The order's number.
    pub order_number: String,
    /// Which package of the fulfilment order this is, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// The language of the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Where it comes from.
    pub from: Sender,
    /// Where it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Address>,
    /// What is in it.
    pub lines: Vec<SlipLine>,
}

/// The packing slip of one of a fulfilment order's packages.
pub(super) fn slip(
    (order, key): (&OrderDocument, Option<&str>),
    location: &Location,
    all: &[Package],
    package: &Package,
) -> PackingSlip {
    let LabelDocument { order_number, number, of, from, to, .. } = label((order, key), location, all, package);
    let line = |packed: &PackedLine| {
        let known = order.lines.iter().find(|line| line.line_no == packed.line_no);
        SlipLine { name: known.map(|line| line.name.clone()).unwrap_or_default(), packed: packed.clone() }
    };
    PackingSlip {
        package_id: package.id,
        fulfilment_order_id: package.fulfilment_order_id,
        order_number,
        number,
        of,
        locale: order.locale.clone(),
        from,
        to,
        lines: package.lines.iter().map(line).collect(),
    }
}
