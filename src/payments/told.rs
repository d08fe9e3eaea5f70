//! What the event of a promise carries.

use serde::Serialize;

use super::model::PaymentView;
use crate::kernel::ids::OrderId;

/// The type of the event that money is promised for an order.
pub const AUTHORISED: &str = "payment.authorised.v1";

/// What `payment.authorised.v1` says.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PaymentAuthorised)]
pub struct Authorised<'a> {
    /// The order.
    pub order_id: OrderId,
    /// Its number.
    pub order_number: &'a str,
    /// The payment that promises its money.
    pub payment: PaymentView,
}
