//! The route that completes a cart, for storefronts and for staff.

use actix_web::post;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{
    drive,
    model::{CheckoutResult, CompleteRequest},
};
use crate::{
    error::Result,
    http::{Body, Call, RefPath, Reply},
    kernel::{Scope, ids::CartId},
};

/// The route of the store surface.
pub mod store_routes {
    use super::*;

    /// Complete a cart
    ///
    /// Takes the payment and places the order. However often and however concurrently it is sent, one cart becomes one
    /// order, and every answer is that order.
    #[utoipa::path(tag = "check out", params(("id" = String, Path)), request_body = CompleteRequest, responses(
        (status = 201, description = "The order.", body = CheckoutResult),
        (status = 200, description = "The payment failed; the cart is open again.", body = CheckoutResult),
        (status = 202, description = "The customer has to act, or the provider has not answered yet.", body = CheckoutResult)))]
    #[post("/carts/{id}/complete")]
    async fn complete_cart(call: Call, path: RefPath<CartId>, body: Body<CompleteRequest>) -> Result<Reply> {
        drive::complete(call, path.0, body.value, &body.fingerprint).await
    }

    /// Mounts it.
    pub fn mount(config: &mut ServiceConfig<'_>) {
        config.service(complete_cart);
    }
}

/// The route of the ops surface.
pub mod ops_routes {
    use super::*;

    /// Complete a cart for a customer
    #[utoipa::path(tag = "answer a customer", params(("id" = String, Path)), request_body = CompleteRequest,
        security(("token" = ["orders:write"])), responses(
        (status = 201, description = "The order.", body = CheckoutResult),
        (status = 200, description = "The payment failed; the cart is open again.", body = CheckoutResult),
        (status = 202, description = "The customer has to act, or the provider has not answered yet.", body = CheckoutResult)))]
    #[post("/carts/{id}/complete")]
    async fn complete_cart(call: Call, path: RefPath<CartId>, body: Body<CompleteRequest>) -> Result<Reply> {
        call.allow(Scope::OrdersWrite)?;
        drive::complete(call, path.0, body.value, &body.fingerprint).await
    }

    /// Mounts it.
    pub fn mount(config: &mut ServiceConfig<'_>) {
        config.service(complete_cart);
    }
}
