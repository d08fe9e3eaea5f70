//! What completing a cart is asked with and answered by.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::judging::RiskHints;
use crate::{
    kernel::{
        Action as Possible, Money,
        ids::{CartId, OrderId},
        text::{Note, Text, WebAddress},
    },
    orders::OrderDocument,
    payments::{Action, Decline, Payment, PaymentState, PaymentView, Resolution},
};

/// How it is paid.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"method": "sandbox", "instrument": "approve"}))]
pub struct PaymentChoice {
    /// One of the cart's payment-options.
    #[schema(value_type = String)]
    pub method: Text<50>,
    /// What is paid with, as the provider's script in the storefront named it. The sandbox takes `approve`, `decline`,
    /// `redirect` and more: docs/sandbox.md.
    #[schema(value_type = Option<String>)]
    pub instrument: Option<Text<200>>,
    /// Where the customer comes back to after a redirect: a whole http or https address.
    pub return_url: Option<WebAddress>,
}

/// The wish to order a cart.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"payment": {"method": "sandbox", "instrument": "approve"}}))]
pub struct CompleteRequest {
    /// The total that the customer has seen: another one is refused with `total_changed`.
    pub expected_total: Option<Money>,
    /// What is left for the payment method, as the customer has seen it (`due` of the cart): another one is refused with
    /// `total_changed`.
    pub expected_due: Option<Money>,
    /// How what is left is paid; not needed where gift cards and store credit pay all of it.
    pub payment: Option<PaymentChoice>,
    /// What the storefront knows of whoever orders.
    pub risk: Option<RiskHints>,
}

/// The wish to end an attempt to pay of which nobody can find out what became.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"force": false}))]
pub struct GiveUpRequest {
    /// Whether to end it even when the provider can not be told. Look into the provider's own records then: should it
    /// promise the money later, and tell so, the promise is given up.
    #[serde(default)]
    pub force: bool,
}

/// An attempt to pay a cart, whatever came of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PaymentAttempt {
    /// The payment.
    #[serde(flatten)]
    pub payment: PaymentView,
    /// The cart it was for.
    pub cart_id: CartId,
    /// The order that came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Why it failed, when it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Decline>,
    /// What somebody has found out about it since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// What can be done with it now, or why not: `resolve`.
    pub actions: Vec<Possible>,
}

impl From<&Payment> for PaymentAttempt {
    fn from(payment: &Payment) -> Self {
        // The secret is between the shopper's browser and the provider.
        let mut view = PaymentView::from(payment);
        view.action = view.action.map(|action| Action { client_secret: None, ..action });
        Self {
            payment: view,
            cart_id: payment.cart_id,
            order_id: payment.order_id,
            failure: payment.details.decline.clone().filter(|_| payment.state == PaymentState::Failed),
            resolution: payment.details.resolved.clone(),
            actions: vec![Possible::of("resolve", payment.resolvable())],
        }
    }
}

/// What became of a payment that failed.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "the provider has cancelled it, says its office"}))]
pub struct ResolveRequest {
    /// What was found out, and what was done about it; it is kept with the payment.
    #[schema(value_type = String)]
    pub reason: Note<1000>,
}

/// What came of completing a cart. Branch on `result`; more values may come.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum CheckoutResult {
    /// There is an order; everybody who completes this cart gets this one.
    Order {
        /// The order.
        #[schema(value_type = OrderDocument)]
        order: Arc<OrderDocument>,
    },
    /// The customer has to do something, then completing goes on by itself.
    ActionRequired {
        /// The cart.
        cart_id: CartId,
        /// What to do.
        action: Action,
    },
    /// The provider said no; the cart is open again.
    PaymentFailed {
        /// The cart.
        cart_id: CartId,
        /// Why.
        decline: Decline,
    },
    /// The provider has not answered yet. `Location` tells where to look: the cart is `completed` and names its order, or
    /// it is open again and tells why in `last_decline`. Completing goes on by itself.
    Pending {
        /// The cart.
        cart_id: CartId,
    },
}
