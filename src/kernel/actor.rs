//! Who does something, and what they may do.

use super::{
    Id,
    ids::{Channel, Credential, Location},
};

crate::words! {
    /// A permission. A staff token, an API key or an integration token carries a list of them.
    pub enum Scope {
        /// Read channels, legal entities, locations, prices, taxes, shipping methods.
        SettingsRead = "settings:read",
        /// Change them.
        SettingsWrite = "settings:write",
        /// Create, rotate and revoke API keys and publishable keys.
        KeysWrite = "keys:write",
        /// Read variants.
        CatalogRead = "catalog:read",
        /// Change variants.
        CatalogWrite = "catalog:write",
        /// Read prices.
        PricesRead = "prices:read",
        /// Change prices.
        PricesWrite = "prices:write",
        /// Read customers.
        CustomersRead = "customers:read",
        /// Change customers.
        CustomersWrite = "customers:write",
        /// Erase customers and guests, for good.
        CustomersErase = "customers:erase",
        /// Read stock levels and movements.
        StockRead = "stock:read",
        /// Book stock movements.
        StockWrite = "stock:write",
        /// Read orders.
        OrdersRead = "orders:read",
        /// Change, cancel and create orders.
        OrdersWrite = "orders:write",
        /// Take orders over that were made elsewhere, at the prices that they have there.
        OrdersImport = "orders:import",
        /// Sell at another price than the list's, as a call centre does.
        PriceOverride = "prices:override",
        /// State when something happened in the past, as a take-over of an older system does.
        HistoryWrite = "history:write",
        /// Read fulfilment orders and shipments.
        FulfilmentRead = "fulfilment:read",
        /// Pick, pack, ship, deliver.
        FulfilmentWrite = "fulfilment:write",
        /// Take back what was handed over to a carrier; do without a step of an order's process.
        FulfilmentSupervise = "fulfilment:supervise",
        /// Capture, void and refund payments; script the sandbox provider.
        PaymentsWrite = "payments:write",
        /// Read the rules of risk, its lists, and what was found at checkouts.
        RiskRead = "risk:read",
        /// Change the rules of risk and its lists, and say what became of orders.
        RiskWrite = "risk:write",
        /// Read the figures of abandonment.
        AnalyticsRead = "analytics:read",
        /// Read connectors, dispatches, consumers of feeds and jobs.
        ConnectorsRead = "connectors:read",
        /// Change connectors, replay and skip dispatches and jobs, hand over consumers of feeds.
        ConnectorsWrite = "connectors:write",
        /// Poll the feeds.
        FeedsRead = "feeds:read",
        /// Write back what happened in an ERP, WMS or CRM.
        WritebackWrite = "writeback:write",
        /// Read and claim what waits for a person.
        WorklistsWrite = "worklists:write",
    }
}

/// Whoever a command is done for. Services filter what they read and write by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Kontor itself; the word names the part, such as `jobs`.
    System(&'static str),
    /// Somebody at a storefront.
    Shopper(Shopper),
    /// A member of the operations staff.
    Staff(Principal),
    /// An ERP, CRM, WMS or PIM.
    Client(Principal),
}

/// A storefront's visitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shopper {
    /// The channel whose publishable key was sent.
    pub channel: Id<Channel>,
    /// Who they are, when they are signed in.
    pub identity: Option<Identity>,
    /// The secret that shows a guest's right to a cart or an order.
    pub cart_token: Option<String>,
}

/// A signed-in customer as their token names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The token's issuer.
    pub issuer: String,
    /// The token's subject: with the issuer, it links the customer.
    pub subject: String,
    /// The e-mail address, when the issuer says it is verified.
    pub verified_email: Option<String>,
}

/// A member of staff or a machine client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The token's subject, or the API key's id.
    pub subject: String,
    /// The API key, when it is one.
    pub credential: Option<Id<Credential>>,
    /// What they may do.
    pub scopes: Vec<Scope>,
    /// The channels they are limited to; `None` is all.
    pub channels: Option<Vec<Id<Channel>>>,
    /// The locations they are limited to; `None` is all.
    pub locations: Option<Vec<Id<Location>>>,
    /// Whether a second person has approved what is done for them: nobody else is asked then.
    pub countersigned: bool,
    /// The most they may refund or cancel at once, in minor units of any currency; `None` is no ceiling.
    pub money_ceiling: Option<i64>,
    /// The `Idempotency-Key` of the request, where it has one.
    pub key: Option<String>,
}

impl Actor {
    /// The `Idempotency-Key` of the request in which they do something; nothing of shoppers and of Kontor itself.
    #[must_use]
    pub fn request_key(&self) -> Option<&str> {
        match self {
            Self::System(_) | Self::Shopper(_) => None,
            Self::Staff(principal) | Self::Client(principal) => principal.key.as_deref(),
        }
    }

    /// The same in a request with a key.
    #[must_use]
    pub fn with_request_key(self, key: Option<&str>) -> Self {
        let key = key.map(str::to_owned);
        match self {
            Self::Staff(principal) => Self::Staff(Principal { key, ..principal }),
            Self::Client(principal) => Self::Client(Principal { key, ..principal }),
            other => other,
        }
    }

    /// Whether they hold a scope. Kontor itself holds all; shoppers none.
    #[must_use]
    pub fn holds(&self, scope: Scope) -> bool {
        match self {
            Self::System(_) => true,
            Self::Shopper(_) => false,
            Self::Staff(principal) | Self::Client(principal) => principal.scopes.contains(&scope),
        }
    }

    /// The channels they are limited to; `None` is all.
    #[must_use]
    pub fn channels(&self) -> Option<&[Id<Channel>]> {
        match self {
            Self::System(_) => None,
            Self::Shopper(shopper) => Some(std::slice::from_ref(&shopper.channel)),
            Self::Staff(principal) | Self::Client(principal) => principal.channels.as_deref(),
        }
    }

    /// Whether they may see what belongs to a channel.
    #[must_use]
    pub fn sees_channel(&self, channel: Id<Channel>) -> bool {
        self.channels().is_none_or(|channels| channels.contains(&channel))
    }

    /// The locations they are limited to; `None` is all.
    #[must_use]
    pub fn locations(&self) -> Option<&[Id<Location>]> {
        match self {
            Self::System(_) => None,
            Self::Shopper(_) => Some(&[]),
            Self::Staff(principal) | Self::Client(principal) => principal.locations.as_deref(),
        }
    }

    /// Whether they may see what belongs to a location.
    #[must_use]
    pub fn sees_location(&self, location: Id<Location>) -> bool {
        match self {
            Self::System(_) => true,
            Self::Shopper(_) => false,
            Self::Staff(principal) | Self::Client(principal) => {
                principal.locations.as_ref().is_none_or(|locations| locations.contains(&location))
            }
        }
    }

    /// Whether they are limited to some channels or locations: what belongs to none of them is for others to see.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.channels().is_some() || self.locations().is_some()
    }

    /// Whether they may count and book stock at a location. Stock serves all channels alike: who is limited to channels
    /// keeps it only where they are limited to locations too, and it is one of these.
    #[must_use]
    pub fn keeps_stock_at(&self, location: Id<Location>) -> bool {
        self.sees_location(location) && (self.channels().is_none() || self.locations().is_some())
    }

    /// Whether an amount is within their ceiling.
    #[must_use]
    pub fn within_ceiling(&self, minor: i64) -> bool {
        match self {
            Self::Staff(principal) | Self::Client(principal) => {
                principal.money_ceiling.is_none_or(|ceiling| minor <= ceiling)
            }
            Self::System(_) | Self::Shopper(_) => true,
        }
    }

    /// A short name for logs, events and idempotency: `staff:ada`, `client:erp`, `guest`. Of a customer it does not tell which:
    /// it is kept where erasure does not reach.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::System(part) => format!("system:{part}"),
            Self::Shopper(shopper) => match &shopper.identity {
                Some(_) => "customer".to_owned(),
                None => "guest".to_owned(),
            },
            Self::Staff(principal) => format!("staff:{}", principal.subject),
            Self::Client(principal) => format!("client:{}", principal.subject),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staff(channels: Option<Vec<Id<Channel>>>, locations: Option<Vec<Id<Location>>>) -> Actor {
        let (subject, scopes) = ("ada".to_owned(), Vec::new());
        Actor::Staff(Principal {
            subject,
            credential: None,
            scopes,
            channels,
            locations,
            money_ceiling: None,
            countersigned: false,
            key: None,
        })
    }

    #[test]
    fn stock_is_kept_by_those_whose_it_is() {
        let (channel, here, there) = (Id::new(), Id::new(), Id::new());
        assert!(staff(None, None).keeps_stock_at(here) && !staff(None, None).is_limited());
        assert!(staff(None, Some(vec![here])).keeps_stock_at(here));
        assert!(!staff(None, Some(vec![here])).keeps_stock_at(there));
        assert!(!staff(Some(vec![channel]), None).keeps_stock_at(here));
        assert!(staff(Some(vec![channel]), Some(vec![here])).keeps_stock_at(here));
        assert!(Actor::System("jobs").keeps_stock_at(here) && !Actor::System("jobs").is_limited());
    }
}
