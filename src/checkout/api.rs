//! The route that completes a cart, for storefronts and for staff; and what staff do about attempts to pay.

use actix_web::{get, post};

use super::{
    attempts, drive,
    follow_up::{self, Of},
    model::{CheckoutResult, CompleteRequest, GiveUpRequest, PaymentAttempt, ResolveRequest},
};
use crate::{
    error::Result,
    http::{Body, Call, IfMatch, Mount, RefPath, Reply},
    kernel::{
        Scope,
        ids::{CartId, PaymentId},
    },
};

/// The route of the store surface.
pub mod store_routes {
    use super::*;

    /// Complete a cart
    ///
    /// Takes the payment and places the order. However often and however concurrently it is sent, one cart becomes one
    /// order, and every answer is that order: whoever comes while somebody else is completing the cart waits for them, and
    /// is answered 202 when that takes long. `If-Match` is looked at as long as nobody has begun to pay the cart.
    ///
    /// After a redirect, sending it again asks the provider what the customer did.
    ///
    /// A customer who signs in to pay sends their token beside the guest's `Cart-Token`: cart and order are theirs then.
    #[utoipa::path(tag = "check out", params(("id" = inline(CartId), Path), IfMatch), request_body = CompleteRequest, responses(
        (status = 201, description = "The order.", body = CheckoutResult),
        (status = 200, description = "The payment failed; the cart is open again.", body = CheckoutResult),
        (status = 202, description = "The customer has to act, or the provider has not answered yet.", body = CheckoutResult)))]
    #[post("/carts/{id}/complete")]
    async fn complete_cart(call: Call, path: RefPath<CartId>, body: Body<CompleteRequest>) -> Result<Reply> {
        drive::complete(call, path.0, body.value, &body.fingerprint).await
    }

    /// Mounts it.
    pub fn mount(config: &mut Mount<'_>) {
        config.service(complete_cart);
    }
}

/// The routes of the ops surface.
pub mod ops_routes {
    use super::*;

    /// Complete a cart for a customer
    #[utoipa::path(tag = "answer a customer", params(("id" = inline(CartId), Path), IfMatch), request_body = CompleteRequest,
        security(("token" = ["orders:write"])), responses(
        (status = 201, description = "The order.", body = CheckoutResult),
        (status = 200, description = "The payment failed; the cart is open again.", body = CheckoutResult),
        (status = 202, description = "The customer has to act, or the provider has not answered yet.", body = CheckoutResult)))]
    #[post("/carts/{id}/complete")]
    async fn complete_cart(call: Call, path: RefPath<CartId>, body: Body<CompleteRequest>) -> Result<Reply> {
        call.allow(Scope::OrdersWrite)?;
        drive::complete(call, path.0, body.value, &body.fingerprint).await
    }

    /// Give up an attempt to pay that has no answer
    ///
    /// For an attempt in the work list `failed_payments` that stays open because its provider can not be asked, or its
    /// order can not be written. The provider is told first that the attempt is over; then the cart is open again. Where
    /// it does not answer, `state_conflict` says so: it is told again until it does, and no order comes of the attempt any
    /// more. Where it refuses, the attempt stands as it stood and may become an order yet. `force` ends it all the same: the
    /// cart is open again, and the attempt stays in the work list until a provider that does not answer has heard of its end,
    /// or somebody has looked into its records and says what became of it (`/v1/ops/payments/{id}/resolve`).
    #[utoipa::path(tag = "answer a customer", params(("id" = inline(CartId), Path)), request_body = GiveUpRequest,
        security(("token" = ["payments:write"])), responses((status = 200, body = CheckoutResult)))]
    #[post("/carts/{id}/give-up-payment")]
    async fn give_up_cart_payment(call: Call, path: RefPath<CartId>, body: Body<GiveUpRequest>) -> Result<Reply> {
        call.allow(Scope::PaymentsWrite)?;
        follow_up::give_up_attempt(call, Of::Cart(path.0), body.value.force, &body.fingerprint).await
    }

    /// Read a payment
    ///
    /// Any attempt to pay a cart, also one that no order came of. What was done with the money of an order's payments is at
    /// `/v1/ops/orders/{ref}/payments`.
    #[utoipa::path(tag = "answer a customer", params(("id" = inline(PaymentId), Path)),
        security(("token" = ["orders:read"])), responses((status = 200, body = PaymentAttempt)))]
    #[get("/payments/{id}")]
    async fn read_payment(call: Call, path: RefPath<PaymentId>) -> Result<Reply> {
        let (actor, id) = (call.allow(Scope::OrdersRead)?.clone(), path.0);
        let found = call.read(move |tx| attempts::visible(tx, &actor, id)).await?;
        Reply::ok(&PaymentAttempt::from(&found))
    }

    /// Resolve a payment that failed
    ///
    /// For one in the work list `failed_payments` that staff have given up by `force`: somebody has looked into the provider's
    /// records and says what became of it. It leaves the list; reason and name are kept with the payment. No money moves by it:
    /// where the provider holds any, have it given back first. A provider that hears of the end later is no matter.
    #[utoipa::path(tag = "answer a customer", params(("id" = inline(PaymentId), Path)), request_body = ResolveRequest,
        security(("token" = ["payments:write"])), responses((status = 200, body = PaymentAttempt)))]
    #[post("/payments/{id}/resolve")]
    async fn resolve_payment(call: Call, path: RefPath<PaymentId>, body: Body<ResolveRequest>) -> Result<Reply> {
        let (actor, id, now) = (call.allow(Scope::PaymentsWrite)?.clone(), path.0, call.now);
        let reason = body.reason.to_string();
        call.command(&body.fingerprint, move |tx| {
            let resolved = attempts::resolve(tx, now, &actor, id, &reason)?;
            Reply::ok(&PaymentAttempt::from(&resolved))
        })
        .await
    }

    /// Mounts them.
    pub fn mount(config: &mut Mount<'_>) {
        config.service(complete_cart).service(give_up_cart_payment).service(read_payment).service(resolve_payment);
    }
}
