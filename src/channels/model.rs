//! What a legal entity and a channel are.

use std::{collections::HashMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Error, Result},
    kernel::{
        Country, Currency, Instant,
        ids::{ChannelId, LegalEntityId},
        text::Text,
    },
    pricing::model::RoundingRule,
};

/// An IANA time zone such as `Europe/Berlin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, example = "Europe/Berlin")]
pub struct TimeZone(pub chrono_tz::Tz);

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl FromStr for TimeZone {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self).map_err(|_| Error::internal(format!("no time zone: {text}")))
    }
}

/// Who invoices: a company in one country.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct LegalEntity {
    /// Its id.
    pub id: LegalEntityId,
    /// A short unique name.
    pub code: String,
    /// The company's name.
    pub name: String,
    /// Where it is registered.
    pub country: Country,
    /// Its VAT identification number.
    pub vat_id: Option<String>,
    /// The zone of its books.
    pub time_zone: TimeZone,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
}

/// A legal entity about to be made.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"code": "acme-gmbh", "name": "Acme GmbH", "country": "DE", "vat_id": "DE136695976", "time_zone": "Europe/Berlin"}))]
pub struct NewLegalEntity {
    /// A short unique name.
    pub code: Text<50>,
    /// The company's name.
    pub name: Text<200>,
    /// Where it is registered.
    pub country: Country,
    /// Its VAT identification number.
    pub vat_id: Option<Text<30>>,
    /// The zone of its books.
    pub time_zone: TimeZone,
}

/// How a channel sells. The first currency, locale and country are the defaults.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelSettings {
    /// The currencies it sells in.
    #[schema(min_items = 1)]
    pub currencies: Vec<Currency>,
    /// The locales it speaks (BCP 47).
    #[schema(min_items = 1, value_type = Vec<String>, example = json!(["de-DE", "en"]))]
    pub locales: Vec<Text<35>>,
    /// The countries it delivers to.
    #[schema(min_items = 1)]
    pub countries: Vec<Country>,
    /// The zone of its prices' validity, its abandonment and its local days.
    pub time_zone: TimeZone,
    /// Whether its prices include tax.
    pub prices_include_tax: bool,
    /// Where and how amounts are rounded.
    pub rounding: RoundingRule,
    /// The payment methods it offers: `manual`, `sandbox`.
    #[schema(value_type = Vec<String>, example = json!(["manual", "sandbox"]))]
    pub payment_methods: Vec<Text<50>>,
    /// After so many minutes without activity a cart with lines is abandoned.
    #[serde(default = "default_abandonment")]
    #[schema(minimum = 1, maximum = 43_200)]
    pub abandonment_minutes: i64,
    /// For so many minutes a checkout's reservation holds.
    #[serde(default = "default_reservation")]
    #[schema(minimum = 1, maximum = 1_440)]
    pub reservation_minutes: i64,
    /// After so many days without activity a cart expires.
    #[serde(default = "default_cart_days")]
    #[schema(minimum = 1, maximum = 365)]
    pub cart_days: i64,
    /// After so many hours an order that is not shipped is past due.
    #[serde(default = "default_due_hours")]
    #[schema(minimum = 1, maximum = 8_760)]
    pub due_hours: i64,
    /// The origins of storefronts that may call from a browser (CORS).
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["https://shop.example.org"]))]
    pub cors_origins: Vec<Text<200>>,
}

const fn default_abandonment() -> i64 {
    60
}
const fn default_reservation() -> i64 {
    15
}
const fn default_cart_days() -> i64 {
    30
}
const fn default_due_hours() -> i64 {
    48
}

/// The codes of the payment providers there are. Payments are built on channels and not the other way round, so a test
/// compares this list with the providers.
pub const PAYMENT_METHODS: [&str; 2] = ["manual", "sandbox"];

impl ChannelSettings {
    /// What the schema can not say.
    ///
    /// # Errors
    /// `invalid_value` with the pointer to the field.
    pub fn check(&self) -> Result<()> {
        let empty = |pointer: &str| Error::invalid(pointer, "expected at least one");
        if self.currencies.is_empty() {
            return Err(empty("/currencies"));
        }
        if self.locales.is_empty() {
            return Err(empty("/locales"));
        }
        if self.countries.is_empty() {
            return Err(empty("/countries"));
        }
        if let Some(place) = self.payment_methods.iter().position(|code| !PAYMENT_METHODS.contains(&&**code)) {
            let detail = format!("expected some of {}", PAYMENT_METHODS.join(", "));
            return Err(Error::problem(Code::ProviderUnknown, detail).at(format!("/payment_methods/{place}")));
        }
        let within = |value: i64, most: i64, pointer: &str| match (1..=most).contains(&value) {
            true => Ok(()),
            false => Err(Error::invalid(pointer, format!("expected a number from 1 to {most}"))),
        };
        within(self.abandonment_minutes, 43_200, "/abandonment_minutes")?;
        within(self.reservation_minutes, 1_440, "/reservation_minutes")?;
        within(self.cart_days, 365, "/cart_days")?;
        within(self.due_hours, 8_760, "/due_hours")
    }
}

/// A channel: a brand, a country, a marketplace.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Channel {
    /// Its id.
    pub id: ChannelId,
    /// A short unique name.
    pub code: String,
    /// Its name.
    pub name: String,
    /// Who invoices.
    pub legal_entity_id: LegalEntityId,
    /// Whether it is for trying things out: kept out of feeds and figures.
    pub test: bool,
    /// How it sells.
    #[serde(flatten)]
    pub settings: ChannelSettings,
    /// Its publishable keys, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub publishable_keys: Vec<String>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
}

impl Channel {
    /// The currency, when the channel sells in it; its first where none is asked for.
    ///
    /// # Errors
    /// `currency_not_sold`.
    pub fn currency(&self, asked: Option<Currency>) -> Result<Currency> {
        let sold = &self.settings.currencies;
        match asked {
            None => sold.first().copied().ok_or_else(|| Error::internal("a channel without currencies")),
            Some(currency) if sold.contains(&currency) => Ok(currency),
            Some(currency) => {
                let detail = format!("this channel does not sell in {currency}");
                Err(Error::problem(Code::CurrencyNotSold, detail).at("/currency"))
            }
        }
    }

    /// Its first country, for prices before an address is known.
    ///
    /// # Errors
    /// Never, for a channel has countries.
    pub fn default_country(&self) -> Result<Country> {
        self.settings.countries.first().copied().ok_or_else(|| Error::internal("a channel without countries"))
    }
}

/// A channel about to be made.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "code": "acme-at", "name": "Acme Austria", "legal_entity_id": "le_01h455vb4pex5vsknk084sn02q",
    "settings": {
        "currencies": ["EUR"], "locales": ["de-AT"], "countries": ["AT"], "time_zone": "Europe/Vienna",
        "prices_include_tax": true, "rounding": {"point": "per_line", "strategy": "half_up"}, "payment_methods": ["manual"]
    }
}))]
pub struct NewChannel {
    /// A short unique name.
    pub code: Text<50>,
    /// Its name.
    pub name: Text<200>,
    /// Who invoices.
    pub legal_entity_id: LegalEntityId,
    /// Whether it is for trying things out: kept out of feeds and figures.
    #[serde(default)]
    pub test: bool,
    /// How it sells.
    pub settings: ChannelSettings,
}

/// All channels, in memory.
#[derive(Debug, Default)]
pub struct Directory {
    pub(super) channels: HashMap<ChannelId, Channel>,
}

impl Directory {
    /// A channel.
    ///
    /// # Errors
    /// Not found.
    pub fn get(&self, id: ChannelId) -> Result<&Channel> {
        self.channels.get(&id).ok_or_else(|| Error::not_found("channel"))
    }

    /// A channel by its code.
    #[must_use]
    pub fn by_code(&self, code: &str) -> Option<&Channel> {
        self.channels.values().find(|channel| channel.code == code)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Channel> {
        self.channels.values()
    }

    /// The channels for trying things out, which feeds and figures leave out.
    #[must_use]
    pub fn test_channels(&self) -> std::collections::HashSet<ChannelId> {
        self.iter().filter(|channel| channel.test).map(|channel| channel.id).collect()
    }

    /// Whether a channel is known here; one that was made a moment ago in another process may not be yet.
    #[must_use]
    pub fn knows(&self, id: ChannelId) -> bool {
        self.channels.contains_key(&id)
    }

    /// Whether a browser's origin may call the store surface.
    #[must_use]
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.iter().any(|channel| channel.settings.cors_origins.iter().any(|allowed| &**allowed == origin))
    }
}
