//! Which attempts to pay are for requests.

use serde_json::{Value, json};

use super::model::PaymentRequest;
use crate::{
    kernel::ids::{OrderId, PaymentRequestId},
    payments::Payment,
};

impl Payment {
    /// What an attempt to pay a request keeps of it, as what its checkout needs to go on.
    #[must_use]
    pub fn memory_of(request: &PaymentRequest) -> Value {
        json!({"request": request.id, "order": request.order_id})
    }

    /// The request that an attempt is to pay, and its order; `None` for one that pays a cart.
    #[must_use]
    pub fn request(&self) -> Option<(PaymentRequestId, OrderId)> {
        let member = |name: &str| self.details.checkout.get(name).and_then(Value::as_str);
        member("request")?.parse().ok().zip(member("order")?.parse().ok())
    }
}
