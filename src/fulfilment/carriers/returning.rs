//! Labels with which customers send goods back: the carrier is asked for them as for any, the other way round.

use super::{
    port::{self, Trouble},
    service,
};
use crate::{
    error::{Error, Result},
    fulfilment::parcels::{LabelDocument, Sender},
    http::{State, network::Network},
    kernel::{Id, Money},
    orders::OrderDocument,
    stock::Location,
};

/// A label that a carrier has given for the way back.
#[derive(Debug, Clone)]
pub struct ReturnLabel {
    /// Who carries it.
    pub carrier: String,
    /// What the carrier calls the parcel, where it says.
    pub tracking_number: Option<String>,
    /// Where the label can be fetched to be printed.
    pub label_url: Option<String>,
    /// What it took.
    pub price: Option<Money>,
}

/// That an account with a carrier can be asked.
///
/// # Errors
/// `not_found`; `state_conflict` where it sleeps.
pub fn check_account(tx: &mut crate::db::Tx, account: &str) -> Result<()> {
    match service::by_ref(tx, account)?.account.active {
        true => Ok(()),
        false => Err(Error::conflict("the carrier account is not active").at("/account")),
    }
}

/// Gets a label from where an order went to a location, under a reference of ours: asked again, the carrier gives what the first try got.
/// To be called in a job. The inner error is why the carrier refuses for good.
///
/// # Errors
/// When the carrier gives no answer, or the account is not there any more.
pub async fn return_label(
    state: &State,
    (account, wanted): (String, Option<&str>),
    reference: &str,
    (order, location, grams): (&OrderDocument, &Location, i64),
) -> Result<Result<ReturnLabel, String>> {
    let account = state.db.read(move |tx| service::by_ref(tx, &account)).await?;
    let Some(from) = order.delivery(None).and_then(|delivery| delivery.address.clone()) else {
        return Ok(Err("nobody knows where the goods are: the order has no address".to_owned()));
    };
    let label = LabelDocument {
        // No package of ours.
        package_id: Id::from_bytes([0; 16]),
        sscc_text: None,
        gs1_128: None,
        order_number: order.number.clone(),
        number: 1,
        of: 1,
        from: Sender { name: from.name.to_string(), country: from.country, address: Some(from) },
        to: location.site.address.clone(),
        shipping_method: None,
        weight_grams: Some(grams),
        dimensions: None,
    };
    let network = Network::new(state)?;
    let carrier = port::of(state, &network, &account)?;
    match carrier.label(reference, &label, wanted).await {
        Err(error @ Trouble::NoAnswer(_)) => Err(Error::internal(error)),
        Err(Trouble::Refused(why)) => Ok(Err(why)),
        Ok(given) => Ok(Ok(ReturnLabel {
            carrier: given.carrier,
            tracking_number: given.tracking_number,
            label_url: given.details.label_url,
            price: given.details.price,
        })),
    }
}
