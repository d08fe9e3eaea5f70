//! What a legal entity and a channel are.

use std::{collections::HashMap, fmt, str::FromStr};

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::{
    invoicing::{InvoiceSettings, Invoicing, in_year},
    links::{self, PageAddress},
    prepayment::Prepayment,
    second_person::SecondPerson,
};
use crate::{
    error::{Code, Error, Result},
    kernel::{
        Actor, Country, Currency, Instant, Moment, RoundingRule, TaxPolicy,
        ids::{ChannelId, LegalEntityId},
        patch::present,
        text::{Text, is_web_address},
    },
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
    /// What its invoices say of it; without it, none are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoicing: Option<InvoiceSettings>,
    /// Series of invoices that are not gone on with, since a backup was restored: their numbers may have been given out after it was made.
    /// While `invoicing` names one of them, nothing is issued in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spent_series: Vec<String>,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
}

impl LegalEntity {
    /// Whether a series, as it stands in the numbers of a year, is not gone on with.
    #[must_use]
    pub fn has_spent(&self, series: &str, year: i32) -> bool {
        self.spent_series.iter().any(|spent| in_year(spent, year) == series)
    }
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
    /// What its invoices say of it; without it, none are written.
    #[serde(default)]
    pub invoicing: Option<InvoiceSettings>,
}

/// What can be changed about a legal entity.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Acme Europe GmbH"}))]
pub struct LegalEntityPatch {
    /// The company's name.
    pub name: Option<Text<200>>,
    /// Where it is registered.
    pub country: Option<Country>,
    /// Its VAT identification number; `null` when it has none any more.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub vat_id: Option<Option<Text<30>>>,
    /// The zone of its books.
    pub time_zone: Option<TimeZone>,
    /// What its invoices say of it, whole. What is issued already stays as it is.
    pub invoicing: Option<InvoiceSettings>,
}

impl LegalEntityPatch {
    /// Lays it over a legal entity.
    pub fn apply(&self, entity: &mut LegalEntity) {
        if let Some(name) = &self.name {
            entity.name = name.to_string();
        }
        if let Some(vat_id) = &self.vat_id {
            entity.vat_id = vat_id.as_ref().map(ToString::to_string);
        }
        entity.country = self.country.unwrap_or(entity.country);
        entity.time_zone = self.time_zone.unwrap_or(entity.time_zone);
        if let Some(invoicing) = &self.invoicing {
            entity.invoicing = Some(invoicing.clone());
        }
    }
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
    /// The zone of its local days: filters that name a day mean one of these.
    pub time_zone: TimeZone,
    /// Whether its prices include tax.
    pub prices_include_tax: bool,
    /// Where and how amounts are rounded.
    pub rounding: RoundingRule,
    /// How it taxes what it sells across borders.
    #[serde(default)]
    pub tax: TaxPolicy,
    /// When invoices of its orders are written, and by whom; nobody writes any where it is left out. It holds for orders placed from
    /// then on. For Kontor to write them the legal entity needs `invoicing`; test channels have none.
    #[serde(default = "Invoicing::off", skip_serializing_if = "is_off")]
    #[schema(default = "off")]
    pub invoicing: Invoicing,
    /// The terms of payments by hand: reminders, cancellation, what is too much or too little. Left out, nobody is reminded, nothing is
    /// cancelled, and what is too much is given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepayment: Option<Prepayment>,
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
    /// After so many hours an order that is not shipped is past due, whatever the hour and wherever it ships from. Left out,
    /// each location's cut-off and handling days say when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 8_760)]
    pub due_hours: Option<i64>,
    /// From how many pieces on few are left: storefronts are told the number then, and never above it. Left out, they are told of none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100)]
    pub low_stock: Option<i64>,
    /// For how long goods of lots must still keep when they are sold here; left out, until they end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_shelf_life: Option<ShelfLife>,
    /// Above which amounts a second person approves what staff and clients do. Left out, nobody has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_person: Option<SecondPerson>,
    /// For so many minutes after they have ordered, customers may take lines off their order and send it elsewhere, until somebody begins to
    /// pick it. Left out, they may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10_080)]
    pub order_changes_minutes: Option<i64>,
    /// The origins of storefronts that may call from a browser (CORS).
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["https://shop.example.org"]))]
    pub cors_origins: Vec<Text<200>>,
    /// The storefront's page that opens an abandoned cart: https, with `{cart}` and `{token}` behind the host. The link in
    /// `cart.abandoned.v1` leads there; the page sends both to `POST /v1/store/carts/{cart}/recover`. Without it the link is
    /// that route's address, which no browser opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 500, example = "https://shop.example.org/recover?cart={cart}&token={token}")]
    pub cart_page: Option<PageAddress>,
    /// The storefront's page that shows an order: https, with `{order}` and `{token}` behind the host. An order's `link` leads
    /// there; the page reads `GET /v1/store/orders/{order}?token={token}`. Without it the link is that route's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 500, example = "https://shop.example.org/orders/{order}?token={token}")]
    pub order_page: Option<PageAddress>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
const fn is_off(invoicing: &Invoicing) -> bool {
    invoicing.is_off()
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

/// The codes of the payment providers there are. Payments are built on channels and not the other way round, so a test
/// compares this list with the providers.
pub const PAYMENT_METHODS: [&str; 6] = ["manual", "sandbox", "gift_card", "store_credit", "on_account", "stripe"];

impl ChannelSettings {
    /// What the schema can not say.
    ///
    /// # Errors
    /// `invalid_value` with the pointer to the field in a body that has them under `settings`.
    pub fn check(&self) -> Result<()> {
        self.check_items()?;
        let empty = |pointer: &str| Error::invalid(pointer, "expected at least one");
        if self.currencies.is_empty() {
            return Err(empty("/settings/currencies"));
        }
        if self.locales.is_empty() {
            return Err(empty("/settings/locales"));
        }
        if self.countries.is_empty() {
            return Err(empty("/settings/countries"));
        }
        if let Some(place) = self.payment_methods.iter().position(|code| !PAYMENT_METHODS.contains(&&**code)) {
            let detail = format!("expected some of {}", PAYMENT_METHODS.join(", "));
            return Err(Error::problem(Code::ProviderUnknown, detail).at(format!("/settings/payment_methods/{place}")));
        }
        let within = |value: i64, most: i64, pointer: &str| match (1..=most).contains(&value) {
            true => Ok(()),
            false => Err(Error::invalid(pointer, format!("expected a number from 1 to {most}"))),
        };
        within(self.abandonment_minutes, 43_200, "/settings/abandonment_minutes")?;
        within(self.reservation_minutes, 1_440, "/settings/reservation_minutes")?;
        within(self.cart_days, 365, "/settings/cart_days")?;
        self.due_hours.map_or(Ok(()), |hours| within(hours, 8_760, "/settings/due_hours"))?;
        self.order_changes_minutes.map_or(Ok(()), |one| within(one, 10_080, "/settings/order_changes_minutes"))?;
        self.low_stock.map_or(Ok(()), |pieces| within(pieces, 100, "/settings/low_stock"))?;
        if let Some(life) = &self.min_shelf_life {
            life.check()?;
        }
        self.prepayment.as_ref().map_or(Ok(()), Prepayment::check)?;
        self.second_person.as_ref().map_or(Ok(()), SecondPerson::check)?;
        self.check_pages()
    }
}

/// For how long goods must still keep when they are sold: those of lots that end before are not sold, nor shipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"days": 14, "groups": [{"group": "hospitals", "days": 180}]}))]
pub struct ShelfLife {
    /// For so many days.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 3650)]
    pub days: i64,
    /// Customers of these groups ask for other numbers of days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub groups: Vec<GroupShelfLife>,
}

/// For how long goods must still keep for customers of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupShelfLife {
    /// The group.
    #[schema(value_type = String, max_length = 100)]
    pub group: Text<100>,
    /// For so many days.
    #[schema(minimum = 0, maximum = 3650)]
    pub days: i64,
}

impl ShelfLife {
    /// For so many days at least, for a customer of a group.
    #[must_use]
    pub fn days_for(&self, group: Option<&str>) -> i64 {
        let own = group.and_then(|group| self.groups.iter().find(|one| *one.group == *group));
        own.map_or(self.days, |one| one.days)
    }

    fn check(&self) -> Result<()> {
        let within = |days: i64, pointer: String| match (0..=3_650).contains(&days) {
            true => Ok(()),
            false => Err(Error::invalid(pointer, "expected a number from 0 to 3650")),
        };
        within(self.days, "/settings/min_shelf_life/days".to_owned())?;
        if self.groups.len() > 100 {
            return Err(Error::invalid("/settings/min_shelf_life/groups", "expected at most 100"));
        }
        for (place, one) in self.groups.iter().enumerate() {
            let pointer = format!("/settings/min_shelf_life/groups/{place}");
            within(one.days, format!("{pointer}/days"))?;
            if self.groups.iter().take(place).any(|before| before.group == one.group) {
                return Err(Error::invalid(format!("{pointer}/group"), "it is there twice"));
            }
        }
        Ok(())
    }
}

impl ChannelSettings {
    /// The pages that links lead to.
    fn check_pages(&self) -> Result<()> {
        let wrong = |page: &Option<PageAddress>, places| page.as_ref().and_then(|page| page.wrong(places));
        if let Some(detail) = wrong(&self.cart_page, links::CART_PAGE) {
            return Err(Error::invalid("/settings/cart_page", detail));
        }
        match wrong(&self.order_page, links::ORDER_PAGE) {
            Some(detail) => Err(Error::invalid("/settings/order_page", detail)),
            None => Ok(()),
        }
    }

    /// The items of the lists: none twice, each of its form.
    fn check_items(&self) -> Result<()> {
        fn doubled<T: PartialEq>(items: &[T]) -> Option<usize> {
            items
                .iter()
                .enumerate()
                .find(|(place, item)| items.iter().take(*place).any(|one| one == *item))
                .map(|it| it.0)
        }
        let wrong =
            |list: &str, place: usize, detail: &str| Err(Error::invalid(format!("/settings/{list}/{place}"), detail));
        let lists = [
            ("currencies", doubled(&self.currencies)),
            ("locales", doubled(&self.locales)),
            ("countries", doubled(&self.countries)),
            ("payment_methods", doubled(&self.payment_methods)),
            ("cors_origins", doubled(&self.cors_origins)),
        ];
        if let Some((list, place)) = lists.into_iter().find_map(|(list, place)| Some((list, place?))) {
            return wrong(list, place, "it is there twice");
        }
        if let Some(place) = self.locales.iter().position(|locale| !is_locale(locale)) {
            return wrong("locales", place, "expected a language tag such as de-DE (BCP 47)");
        }
        match self.cors_origins.iter().position(|origin| !is_origin(origin)) {
            Some(place) => {
                wrong("cors_origins", place, "expected scheme and host alone, such as https://shop.example.org")
            }
            None => Ok(()),
        }
    }
}

/// Whether it has the form of a language tag: a language of two to eight letters, then letters and digits between hyphens.
fn is_locale(text: &str) -> bool {
    let mut parts = text.split('-');
    let is_language = |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_subtag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    parts.next().is_some_and(is_language) && parts.all(is_subtag)
}

/// Whether it is an origin as browsers send it: no path, no standard port, lower case.
fn is_origin(text: &str) -> bool {
    is_web_address(text) && url::Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text)
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

    /// That the channel offers a payment method.
    ///
    /// # Errors
    /// `payment_method_unavailable`.
    pub fn offers_payment(&self, method: &str) -> Result<()> {
        if self.settings.payment_methods.iter().any(|known| **known == *method) {
            return Ok(());
        }
        let detail = format!("this channel does not offer `{method}`");
        Err(Error::problem(Code::PaymentMethodUnavailable, detail))
    }

    /// Its first country, for prices before an address is known.
    ///
    /// # Errors
    /// Never, for a channel has countries.
    pub fn default_country(&self) -> Result<Country> {
        self.settings.countries.first().copied().ok_or_else(|| Error::internal("a channel without countries"))
    }
}

/// A publishable key of a channel.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PublishableKey {
    /// The key, which storefronts send as `Channel-Key`. It is no secret: it names the channel.
    #[schema(example = "pk_5xXbKqFJ0aVtq3n1u2Zy8w4e")]
    pub key: String,
    /// Whose it is.
    pub channel_id: ChannelId,
    /// Since when.
    pub created_at: Instant,
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

/// From when, and before when; open where there is none.
pub type Span = (Option<Instant>, Option<Instant>);

/// All channels, in memory.
#[derive(Debug, Default)]
pub struct Directory {
    pub(super) channels: HashMap<ChannelId, Channel>,
    /// The countries of the legal entities.
    pub(super) sellers: HashMap<LegalEntityId, Country>,
}

impl Directory {
    /// A channel.
    ///
    /// # Errors
    /// Not found.
    pub fn get(&self, id: ChannelId) -> Result<&Channel> {
        self.channels.get(&id).ok_or_else(|| Error::not_found("channel"))
    }

    /// The country of the legal entity that sells in a channel.
    ///
    /// # Errors
    /// Never, for a channel has one.
    pub fn seller_of(&self, channel: &Channel) -> Result<Country> {
        let found = self.sellers.get(&channel.legal_entity_id).copied();
        found.ok_or_else(|| Error::internal("a channel without a legal entity"))
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

    /// The zone of the days that a list's filters name: that of the channel which it is narrowed to, else the one that all
    /// channels have which the actor sees.
    ///
    /// # Errors
    /// `invalid_query` where these have several.
    fn zone_of_days(&self, actor: &Actor, channel: Option<ChannelId>) -> Result<Tz> {
        let asked = |one: &&Channel| channel.is_none_or(|id| id == one.id) && actor.sees_channel(one.id);
        let mut zones = self.iter().filter(asked).map(|one| one.settings.time_zone.0);
        // Where there is no channel, nothing is found on any day.
        let first = zones.next().unwrap_or(Tz::UTC);
        if zones.all(|zone| zone == first) {
            return Ok(first);
        }
        let detail = "the channels are in several time zones: name one, or give instants such as 2026-03-01T12:00:00Z";
        Err(Error::problem(Code::InvalidQuery, detail))
    }

    /// The span of time that a list is narrowed to: from the beginning of the first to the end of the last, where they are
    /// days, which are those of the channel's zone, or of the one that all channels have which the actor sees.
    ///
    /// # Errors
    /// `invalid_query` for a day where these have several.
    pub fn span(
        &self,
        actor: &Actor,
        channel: Option<ChannelId>,
        (from_name, from): (&str, Option<Moment>),
        (to_name, to): (&str, Option<Moment>),
    ) -> Result<Span> {
        let resolve = |name: &str, moment: Option<Moment>, instant: fn(Moment, Tz) -> Instant| match moment {
            None => Ok::<_, Error>(None),
            Some(Moment::At(at)) => Ok(Some(at)),
            Some(day) => {
                let zone = self.zone_of_days(actor, channel).map_err(|error| error.at(name))?;
                Ok(Some(instant(day, zone)))
            }
        };
        Ok((resolve(from_name, from, Moment::begins)?, resolve(to_name, to, Moment::ends)?))
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

    /// Whether a page of an origin may read what the store surface answers to a channel's key: when that channel lists the
    /// origin. Before a channel is known, as when a browser asks beforehand, it is enough that one of them does.
    #[must_use]
    pub fn allows_origin(&self, origin: &str, channel: Option<ChannelId>) -> bool {
        let lists = |one: &Channel| one.settings.cors_origins.iter().any(|allowed| &**allowed == origin);
        match channel {
            Some(id) => self.channels.get(&id).is_some_and(lists),
            None => self.iter().any(lists),
        }
    }
}
