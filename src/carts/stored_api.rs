//! Routes that put gift cards on a cart, and take them off.

use actix_web::{delete, post};
use serde::Deserialize;

use super::{
    api::{change, tries_coupons},
    model::CartView,
    service::Change,
    stored::StoredChange,
};
use crate::{
    error::Result,
    http::{Body, Call, IfMatch, Mount, RefPath, Reply, idempotency::Fingerprint},
    kernel::{
        Scope,
        ids::{CartId, StoredValueId},
        text::Text,
    },
};

/// A gift card for a cart.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"code": "DEMO-GIFT-CARD-2026-FIFTY"}))]
pub struct GiftCardRequest {
    /// Its code, in any case, with or without dashes.
    #[schema(value_type = String, min_length = 1, max_length = 60)]
    pub code: Text<60>,
}

async fn put_on(call: Call, id: CartId, body: Body<GiftCardRequest>) -> Result<Reply> {
    tries_coupons(&call)?;
    let card = StoredChange::Card(body.value.code.to_string());
    change(call, id, body.fingerprint, move |_| Ok(Change { stored: vec![card.clone()], ..Change::default() })).await
}

async fn take_off(call: Call, id: CartId, card: StoredValueId) -> Result<Reply> {
    let gone = StoredChange::NoCard(card);
    change(call, id, Fingerprint::none(), move |_| Ok(Change { stored: vec![gone.clone()], ..Change::default() })).await
}

/// The routes of the store surface.
pub mod store_routes {
    use super::*;

    /// Pay with a gift card
    ///
    /// As far as it reaches: `paid_with` of the cart tells how far, and `due` what is left for the payment method. Nothing is taken of it
    /// before the cart is completed. An address may bring so many codes only.
    #[utoipa::path(tag = "check out", params(("id" = inline(CartId), Path), IfMatch), request_body = GiftCardRequest,
        responses((status = 200, body = CartView)))]
    #[post("/carts/{id}/gift-cards")]
    async fn use_gift_card(call: Call, path: RefPath<CartId>, body: Body<GiftCardRequest>) -> Result<Reply> {
        put_on(call, path.0, body).await
    }

    /// Take a gift card off
    #[utoipa::path(tag = "check out", params(("id" = inline(CartId), Path),
        ("card_id" = inline(StoredValueId), Path), IfMatch), responses((status = 200, body = CartView)))]
    #[delete("/carts/{id}/gift-cards/{card_id}")]
    async fn take_gift_card_off(call: Call, path: RefPath<(CartId, StoredValueId)>) -> Result<Reply> {
        take_off(call, path.0.0, path.0.1).await
    }

    /// Mounts them.
    pub fn mount(config: &mut Mount<'_>) {
        config.service(use_gift_card).service(take_gift_card_off);
    }
}

/// The routes of the ops surface.
pub mod ops_routes {
    use super::*;

    /// Pay a customer's cart with a gift card
    #[utoipa::path(tag = "answer a customer", params(("id" = inline(CartId), Path), IfMatch), request_body = GiftCardRequest,
        security(("token" = ["orders:write"])), responses((status = 200, body = CartView)))]
    #[post("/carts/{id}/gift-cards")]
    async fn use_gift_card(call: Call, path: RefPath<CartId>, body: Body<GiftCardRequest>) -> Result<Reply> {
        call.allow(Scope::OrdersWrite)?;
        put_on(call, path.0, body).await
    }

    /// Take a gift card off a customer's cart
    #[utoipa::path(tag = "answer a customer", params(("id" = inline(CartId), Path),
        ("card_id" = inline(StoredValueId), Path), IfMatch), security(("token" = ["orders:write"])),
        responses((status = 200, body = CartView)))]
    #[delete("/carts/{id}/gift-cards/{card_id}")]
    async fn take_gift_card_off(call: Call, path: RefPath<(CartId, StoredValueId)>) -> Result<Reply> {
        call.allow(Scope::OrdersWrite)?;
        take_off(call, path.0.0, path.0.1).await
    }

    /// Mounts them.
    pub fn mount(config: &mut Mount<'_>) {
        config.service(use_gift_card).service(take_gift_card_off);
    }
}
