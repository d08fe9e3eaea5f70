//! What is looked at before a registry is asked about a cart's VAT number: strangers and repetitions do not reach it.

use super::{model::CartCommand, service};
use crate::{
    db::Tx,
    error::Result,
    http::{Call, Reply, idempotency::Fingerprint, idempotency::Key, seal::Secret},
    kernel::{Actor, VatId, ids::CartId},
    pricing::vat,
};

/// The answer that a request has been given before.
///
/// # Errors
/// The key was used for another body, or its first request is still running.
pub(super) fn answered(tx: &mut Tx, key: Option<&Key>, secret: &Secret) -> Result<Option<Reply>> {
    key.map_or(Ok(None), |key| key.answered(tx, secret))
}

/// What a registry answers is not used up by trying: what a storefront's visitor has it asked is counted by their address.
///
/// # Errors
/// `rate_limited`.
pub(super) fn may_ask(call: &Call, number: &VatId) -> Result<()> {
    match call.actor {
        Actor::Shopper(_) if vat::is_asked(&call.state, number) => call.state.limits.check_vat_id(call.request()),
        _ => Ok(()),
    }
}

/// What is made sure of before a registry is asked, which is done before any transaction: that the request has not been answered
/// already, and that whoever sends it may change the cart as it is. Gives the answer of before.
///
/// # Errors
/// `not_found`, for foreign carts too; `version_stale`, `state_conflict`.
pub(super) async fn answered_before_asking(
    call: &Call,
    id: CartId,
    fingerprint: &Fingerprint,
) -> Result<Option<Reply>> {
    let (key, expected) = (call.idempotency_key(fingerprint)?, call.if_match()?);
    let (actor, secret) = (call.actor.clone(), call.state.secret.clone());
    call.read(move |tx| {
        if let Some(reply) = answered(tx, key.as_ref(), &secret)? {
            return Ok(Some(reply));
        }
        let cart = service::find(tx, &actor, &secret, id)?;
        service::check_version(&cart, expected)?;
        cart.state.apply(CartCommand::Edit).map(|_| None)
    })
    .await
}
