//! What can be asked of a carrier, and who is asked for an account. Everything is asked outside any transaction.

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{
    easypost,
    model::{Adapter, Bought, CarrierAccount, LabelDetails, Quote, RateTable, quotes},
    service::{self, Kept},
};
use crate::{
    customers::Address,
    error::{Error, Result},
    fulfilment::{parcels::LabelDocument, tracking::Tracking},
    http::{State, network::Network},
    kernel::{Country, Instant},
};

/// How a question to a carrier ended, where it did not end well.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// It refuses for good.
    #[error("the carrier refuses: {0}")]
    Refused(String),
    /// It gave no answer: ask again.
    #[error("the carrier gave no answer: {0}")]
    NoAnswer(String),
}

/// The answer of a carrier, later.
pub(super) type Answer<'a, T> = BoxFuture<'a, std::result::Result<T, Trouble>>;

/// What is to be carried from where to where.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    /// Where it leaves: the place's name, its country, and its address where that is known.
    pub from: (String, Country, Option<Address>),
    /// Where to.
    pub country: Country,
    /// Its postcode.
    pub postcode: String,
    /// What it weighs.
    pub grams: i64,
}

/// What was heard of a parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heard {
    pub at: Instant,
    pub text: String,
    pub place: Option<String>,
    pub mark: Option<Tracking>,
}

/// A carrier, as an account with it is used.
pub(super) trait Carrier: Send + Sync {
    /// What it takes for a parcel, the cheapest first; nothing for where or what it does not carry.
    fn rates<'a>(&'a self, parcel: &'a Parcel) -> Answer<'a, Vec<Quote>>;

    /// Gets a label under a reference of ours: of the service that is wanted, or the cheapest. Asked again it gives what the first try
    /// got.
    fn label<'a>(
        &'a self,
        reference: &'a str,
        label: &'a LabelDocument,
        service: Option<&'a str>,
    ) -> Answer<'a, Bought>;

    /// Has the label of a reference taken back. Asked again nothing more happens.
    fn cancel<'a>(&'a self, reference: &'a str) -> Answer<'a, ()>;

    /// What is known of the way of a parcel: all of it, the oldest first.
    fn track<'a>(&'a self, tracking_number: &'a str) -> Answer<'a, Vec<Heard>>;
}

/// A carrier that is not asked: people write down what its own program says.
struct Manual {
    carrier: String,
}

impl Carrier for Manual {
    fn rates<'a>(&'a self, _: &'a Parcel) -> Answer<'a, Vec<Quote>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn label<'a>(&'a self, _: &'a str, _: &'a LabelDocument, service: Option<&'a str>) -> Answer<'a, Bought> {
        let details = LabelDetails { service: service.map(str::to_owned), ..LabelDetails::default() };
        let bought = Bought { carrier: self.carrier.clone(), tracking_number: None, details };
        Box::pin(async { Ok(bought) })
    }

    fn cancel<'a>(&'a self, _: &'a str) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn track<'a>(&'a self, _: &'a str) -> Answer<'a, Vec<Heard>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// A carrier whose prices stand in a table here.
struct ByTable {
    carrier: String,
    table: RateTable,
}

impl ByTable {
    fn buy(&self, label: &LabelDocument, service: Option<&str>) -> std::result::Result<Bought, Trouble> {
        let unknown = |what: &str| Trouble::Refused(format!("the package has no {what}: its price is not known"));
        let to = label.to.as_ref().ok_or_else(|| unknown("address"))?;
        let grams = label.weight_grams.ok_or_else(|| unknown("weight"))?;
        let offered = quotes(&self.table, &self.carrier, (to.country, &to.postcode), grams);
        let details = chosen(offered, service).ok_or_else(|| Trouble::Refused(NOTHING_FITS.to_owned()))?;
        Ok(Bought { carrier: self.carrier.clone(), tracking_number: None, details })
    }
}

/// Why a table has no price.
pub(super) const NOTHING_FITS: &str = "the carrier's table has nothing for this weight, place and service";

/// A label of the service that is wanted, or the cheapest of those that are offered.
pub(super) fn chosen(offered: Vec<Quote>, service: Option<&str>) -> Option<LabelDetails> {
    let quote = offered.iter().find(|quote| service.is_none_or(|wanted| quote.service == wanted)).cloned()?;
    let (service, price) = (Some(quote.service), Some(quote.price));
    Some(LabelDetails { service, price, quotes: offered, ..LabelDetails::default() })
}

impl Carrier for ByTable {
    fn rates<'a>(&'a self, parcel: &'a Parcel) -> Answer<'a, Vec<Quote>> {
        let found = quotes(&self.table, &self.carrier, (parcel.country, &parcel.postcode), parcel.grams);
        Box::pin(async { Ok(found) })
    }

    fn label<'a>(&'a self, _: &'a str, label: &'a LabelDocument, service: Option<&'a str>) -> Answer<'a, Bought> {
        let bought = self.buy(label, service);
        Box::pin(async { bought })
    }

    fn cancel<'a>(&'a self, _: &'a str) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn track<'a>(&'a self, _: &'a str) -> Answer<'a, Vec<Heard>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

impl Adapter {
    /// Whether somebody outside is asked: then labels are got in the background.
    pub(super) const fn asks_outside(self) -> bool {
        match self {
            Self::Manual | Self::TableRate => false,
            Self::Easypost => true,
        }
    }
}

/// Who is asked for an account.
///
/// # Errors
/// When its settings or secrets are not what its adapter needs.
pub(super) fn of(state: &State, network: &Network, kept: &Kept) -> Result<Box<dyn Carrier>> {
    let CarrierAccount { adapter, settings, .. } = &kept.account;
    let missing = || Error::internal("an account without what its adapter needs");
    let carrier = || settings.carrier.as_ref().map(ToString::to_string).ok_or_else(missing);
    Ok(match adapter {
        Adapter::Manual => Box::new(Manual { carrier: carrier()? }),
        Adapter::TableRate => {
            Box::new(ByTable { carrier: carrier()?, table: settings.rates.clone().ok_or_else(missing)? })
        }
        Adapter::Easypost => {
            let allow_private = state.settings.webhooks.allow_private;
            let base = easypost::base(settings.base_url.as_deref(), allow_private)?;
            let secrets = service::unseal(&state.secret, kept)?.ok_or_else(missing)?;
            let (network, api_key) = (network.clone(), secrets.api_key.to_string());
            Box::new(easypost::Client { network, base, api_key, allow_private })
        }
    })
}
