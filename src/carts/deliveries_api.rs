//! Routes of a cart's deliveries.

use actix_web::put;

use super::{api::change, dto::DeliveriesRequest, model::CartView, service::Change};
use crate::{
    error::Result,
    http::{Body, Call, IfMatch, Mount, RefPath, Reply},
    kernel::ids::CartId,
};

async fn replace_deliveries(call: Call, id: CartId, body: Body<DeliveriesRequest>) -> Result<Reply> {
    let deliveries = Some(body.value.deliveries);
    let wanted = Change { deliveries, ..Change::default() };
    change(call, id, body.fingerprint, move |_| Ok(wanted.clone())).await
}

/// The routes of the store surface.
pub mod store_routes {
    use super::*;

    /// Say what goes where
    ///
    /// The whole list of the cart's deliveries: one parcel home and one to pick up, or a line spread over two addresses. The first is
    /// the main one: it has whatever the others do not name, and its address and method are those that changing the cart sets. An
    /// empty list goes back to one delivery. Each is charged its own shipping (`totals.shipping_parts`), and all have to go to one
    /// country.
    #[utoipa::path(tag = "cart", params(("id" = inline(CartId), Path), IfMatch), request_body = DeliveriesRequest,
        responses((status = 200, body = CartView)))]
    #[put("/carts/{id}/deliveries")]
    async fn replace_cart_deliveries(
        call: Call,
        path: RefPath<CartId>,
        body: Body<DeliveriesRequest>,
    ) -> Result<Reply> {
        replace_deliveries(call, path.0, body).await
    }

    /// Mounts it.
    pub fn mount(config: &mut Mount<'_>) {
        config.service(replace_cart_deliveries);
    }
}

/// The routes of the ops surface.
pub mod ops_routes {
    use super::*;

    /// Say what of a cart goes where
    ///
    /// The whole list of its deliveries, the main one first; an empty list goes back to one.
    #[utoipa::path(tag = "answer a customer", params(("id" = inline(CartId), Path), IfMatch),
        request_body = DeliveriesRequest, security(("token" = ["orders:write"])),
        responses((status = 200, body = CartView)))]
    #[put("/carts/{id}/deliveries")]
    async fn replace_cart_deliveries(
        call: Call,
        path: RefPath<CartId>,
        body: Body<DeliveriesRequest>,
    ) -> Result<Reply> {
        replace_deliveries(call, path.0, body).await
    }

    /// Mounts it.
    pub fn mount(config: &mut Mount<'_>) {
        config.service(replace_cart_deliveries);
    }
}
