//! Accounts with carriers, rate tables and labels. Pure.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::{
        Country, Instant, Money,
        ids::{CarrierAccountId, CarrierLabelId, PackageId},
        text::Text,
    },
};

crate::words! {
    /// How a carrier is asked. More words may come.
    pub enum Adapter {
        /// Not at all: people write down what the carrier's own program says.
        Manual = "manual",
        /// By a table of what it takes.
        TableRate = "table_rate",
        /// Through the API of EasyPost, behind which there are many carriers.
        Easypost = "easypost",
    }
}

/// Places that a carrier takes the same for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateZone {
    /// Its name in the table.
    #[schema(value_type = String)]
    pub zone: Text<40>,
    /// Its countries.
    #[schema(min_items = 1, max_items = 300)]
    pub countries: Vec<Country>,
    /// What postcodes begin with that are in it; all of its countries when there is none.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 1000)]
    pub postcodes: Vec<Text<20>>,
}

/// What a carrier takes for a weight in a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateStep {
    /// The service, as labels name it.
    #[schema(value_type = String)]
    pub service: Text<40>,
    /// The zone.
    #[schema(value_type = String)]
    pub zone: Text<40>,
    /// Up to this weight, it included.
    #[schema(minimum = 1, maximum = 100_000_000)]
    pub up_to_grams: i64,
    /// What it takes.
    pub price: Money,
    /// How many working days it takes.
    #[schema(minimum = 0, maximum = 365)]
    pub days: Option<i64>,
}

/// What a carrier takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RateTable {
    /// Where to. The first zone that a postcode is in counts; one that names postcodes goes before one that names none.
    #[schema(min_items = 1, max_items = 200)]
    pub zones: Vec<RateZone>,
    /// For how much. Of each service the lightest step counts that suffices.
    #[schema(min_items = 1, max_items = 5000)]
    pub rates: Vec<RateStep>,
}

impl RateTable {
    /// Checks what the schema says of it.
    ///
    /// # Errors
    /// `invalid_value`.
    pub(super) fn check(&self) -> Result<()> {
        let at = |place: String| format!("/settings/rates{place}");
        if !(1..=200).contains(&self.zones.len()) || !(1..=5000).contains(&self.rates.len()) {
            return Err(Error::invalid(at(String::new()), "expected 1 to 200 zones and 1 to 5000 rates"));
        }
        for (place, zone) in self.zones.iter().enumerate() {
            if !(1..=300).contains(&zone.countries.len()) || zone.postcodes.len() > 1000 {
                return Err(Error::invalid(
                    at(format!("/zones/{place}")),
                    "expected 1 to 300 countries, at most 1000 postcodes",
                ));
            }
        }
        for (place, step) in self.rates.iter().enumerate() {
            let known = self.zones.iter().any(|zone| zone.zone == step.zone);
            let sound = (1..=100_000_000).contains(&step.up_to_grams) && step.price.minor() >= 0;
            if !known || !sound || step.days.is_some_and(|days| !(0..=365).contains(&days)) {
                let detail =
                    "expected a zone of the table, a weight from 1 to 100000000, no price below zero, 0 to 365 days";
                return Err(Error::invalid(at(format!("/rates/{place}")), detail));
            }
        }
        Ok(())
    }
}

/// What a carrier would take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Quote {
    /// Who would carry it.
    pub carrier: String,
    /// The service.
    pub service: String,
    /// What it takes.
    pub price: Money,
    /// How many days it takes, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<i64>,
}

/// What a carrier takes by its table, the cheapest first; nothing for where or what it does not carry.
#[must_use]
pub fn quotes(table: &RateTable, carrier: &str, (country, postcode): (Country, &str), grams: i64) -> Vec<Quote> {
    let bare = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_uppercase();
    let postcode = bare(postcode);
    let there = |zone: &&RateZone| {
        let begins = |begin: &Text<20>| postcode.starts_with(&bare(begin));
        zone.countries.contains(&country) && (zone.postcodes.is_empty() || zone.postcodes.iter().any(begins))
    };
    let mut zones: Vec<&RateZone> = table.zones.iter().filter(there).collect();
    zones.sort_by_key(|zone| zone.postcodes.is_empty());
    let Some(zone) = zones.first() else { return Vec::new() };
    let mut steps: Vec<&RateStep> =
        table.rates.iter().filter(|step| step.zone == zone.zone && grams <= step.up_to_grams).collect();
    steps.sort_by_key(|step| step.up_to_grams);
    let mut quotes: Vec<Quote> = Vec::new();
    for step in steps {
        if !quotes.iter().any(|quote| quote.service == *step.service) {
            let (carrier, service) = (carrier.to_owned(), step.service.to_string());
            quotes.push(Quote { carrier, service, price: step.price, days: step.days });
        }
    }
    quotes.sort_by(|a, b| (a.price.minor(), &a.service).cmp(&(b.price.minor(), &b.service)));
    quotes
}

/// What an account needs to know; which of it depends on its adapter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountSettings {
    /// `manual` and `table_rate`: the carrier, as shipments name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub carrier: Option<Text<50>>,
    /// `table_rate`: what it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<RateTable>,
    /// `easypost`: where its API is, unless it is EasyPost's own (`https://api.easypost.com/v2`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub base_url: Option<Text<500>>,
}

/// The secrets of an account: of `easypost` its API key, and the secret that its webhooks are signed with.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountSecrets {
    /// The API key.
    #[schema(value_type = String)]
    pub api_key: Text<200>,
    /// The secret of the webhook.
    #[schema(value_type = Option<String>)]
    pub webhook_secret: Option<Text<200>>,
}

/// An account with a carrier. Its secrets are never shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CarrierAccount {
    /// Its id.
    pub id: CarrierAccountId,
    /// A short unique name.
    pub code: String,
    /// How the carrier is asked.
    pub adapter: Adapter,
    /// Whether labels are bought with it.
    pub active: bool,
    /// What it needs to know.
    pub settings: AccountSettings,
    /// Whether it has secrets.
    pub has_secrets: bool,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl CarrierAccount {
    /// Checks what its adapter needs to know.
    ///
    /// # Errors
    /// `missing_field`, `invalid_value`.
    pub(super) fn check(&self) -> Result<()> {
        let missing = |field: &str| {
            let detail = format!("an account of the adapter `{}` needs it", self.adapter);
            Error::problem(crate::error::Code::MissingField, detail).at(field.to_owned())
        };
        let settings = &self.settings;
        match self.adapter {
            Adapter::Easypost if !self.has_secrets => Err(missing("/secrets")),
            Adapter::Easypost => Ok(()),
            Adapter::Manual | Adapter::TableRate if settings.carrier.is_none() => Err(missing("/settings/carrier")),
            Adapter::Manual => Ok(()),
            Adapter::TableRate => settings.rates.as_ref().ok_or_else(|| missing("/settings/rates"))?.check(),
        }
    }
}

crate::words! {
    /// Where a label stands.
    pub enum LabelState {
        /// The carrier is asked for it.
        Requested = "requested",
        /// It can be printed.
        Bought = "bought",
        /// The carrier refuses it.
        Failed = "failed",
        /// The carrier is asked to take it back.
        Voiding = "voiding",
        /// It was taken back.
        Voided = "voided",
    }
}

crate::words! {
    /// What happens to a label.
    pub enum LabelCommand {
        /// The carrier gives it.
        Buy = "buy",
        /// The carrier refuses it, or could not be reached.
        Fail = "fail",
        /// Somebody wants it to be taken back.
        Void = "void",
        /// The carrier takes it back.
        Accept = "accept",
        /// The carrier does not take it back.
        Refuse = "refuse",
    }
}

use LabelCommand as C;
use LabelState as S;

/// Every transition of labels there is: from, command, to. What is not here is refused.
pub const LABEL_TRANSITIONS: &[(LabelState, LabelCommand, LabelState)] = &[
    (S::Requested, C::Buy, S::Bought),
    (S::Requested, C::Fail, S::Failed),
    (S::Bought, C::Void, S::Voiding),
    (S::Voiding, C::Accept, S::Voided),
    (S::Voiding, C::Refuse, S::Bought),
];

/// The transition table of labels as a Mermaid diagram.
#[must_use]
pub fn mermaid() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> requested\n");
    for (from, command, to) in LABEL_TRANSITIONS {
        text.push_str(&format!("    {from} --> {to}: {command}\n"));
    }
    text
}

impl LabelState {
    /// The state after a command.
    ///
    /// # Errors
    /// `state_conflict` when the state does not take it.
    pub fn apply(self, command: LabelCommand) -> Result<Self> {
        let found = LABEL_TRANSITIONS.iter().find(|(from, with, _)| (*from, *with) == (self, command));
        let refused = || Error::conflict(format!("the label is {self}: `{command}` is not possible"));
        found.map(|(_, _, to)| *to).ok_or_else(refused)
    }
}

/// A label bought of a carrier for a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Label {
    /// Its id, which is our reference at the carrier.
    pub id: CarrierLabelId,
    /// The package.
    pub package_id: PackageId,
    /// Of whose account it is.
    pub account_id: CarrierAccountId,
    /// Where it stands. More states may come.
    pub state: LabelState,
    /// Who carries the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// What the carrier calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
    /// The rest.
    #[serde(flatten)]
    pub details: LabelDetails,
    /// Rises with every change.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// What is kept of a label beside its columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LabelDetails {
    /// The service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// What it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// Where the label can be fetched to be printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_url: Option<String>,
    /// What else was offered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotes: Vec<Quote>,
    /// Why it failed, or was not taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a carrier gives for a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bought {
    pub carrier: String,
    pub tracking_number: Option<String>,
    pub details: LabelDetails,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_nearest_zone_and_the_lightest_step_count() {
        let price = |amount: &str| json!({"amount": amount, "currency": "EUR"});
        let table: RateTable = serde_json::from_value(json!({
            "zones": [
                {"zone": "de", "countries": ["DE"]},
                {"zone": "islands", "countries": ["DE"], "postcodes": ["25 980", "26579"]},
                {"zone": "eu", "countries": ["AT", "FR"]},
            ],
            "rates": [
                {"service": "parcel", "zone": "de", "up_to_grams": 5000, "price": price("5.90")},
                {"service": "parcel", "zone": "de", "up_to_grams": 1000, "price": price("3.90"), "days": 2},
                {"service": "express", "zone": "de", "up_to_grams": 31500, "price": price("12.00"), "days": 1},
                {"service": "parcel", "zone": "islands", "up_to_grams": 5000, "price": price("15.90")},
            ],
        }))
        .unwrap();
        table.check().unwrap();
        let told = |country: &str, postcode: &str, grams: i64| {
            let found = quotes(&table, "DHL", (country.parse().unwrap(), postcode), grams);
            found.iter().map(|quote| format!("{} {}", quote.service, quote.price.minor())).collect::<Vec<_>>()
        };
        assert_eq!(told("DE", "10115", 1000), ["parcel 390", "express 1200"]);
        assert_eq!(told("DE", "10115", 1001), ["parcel 590", "express 1200"]);
        assert_eq!(told("DE", "25980", 800), ["parcel 1590"]);
        assert_eq!(told("DE", "10115", 32000), Vec::<String>::new());
        assert_eq!(told("AT", "1010", 10), Vec::<String>::new());
        assert_eq!(told("US", "10001", 10), Vec::<String>::new());
        let lost = RateTable { zones: Vec::new(), ..table };
        assert!(lost.check().is_err());
    }
}
