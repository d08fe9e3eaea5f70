//! Journal entries, and the numbers of accounts. Pure.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    kernel::{
        Country, Currency, Instant, Money,
        ids::{ChannelId, LegalEntityId, OrderId},
        text::Text,
    },
    payments::Account,
    pricing::TaxTreatment,
};

/// The number that a bookkeeping has for an account of ours; of revenue and tax, for a country and a rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountNumber {
    /// Our account.
    #[schema(value_type = String, example = "revenue")]
    pub account: Account,
    /// For this country alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// For this rate of tax alone, as a fraction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "0.19")]
    pub rate: Option<rust_decimal::Decimal>,
    /// Its number there.
    #[schema(value_type = String, min_length = 1, max_length = 50, example = "4400")]
    pub number: Text<50>,
    /// Its name there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 200)]
    pub name: Option<Text<200>>,
}

/// The numbers that a legal entity's bookkeeping has for our accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"accounts": [
    {"account": "receivable", "number": "1400"}, {"account": "captured", "number": "1360"},
    {"account": "revenue", "country": "DE", "rate": "0.19", "number": "4400"}, {"account": "revenue", "number": "4200"},
    {"account": "tax", "number": "3806"}
]}))]
pub struct JournalAccounts {
    /// Each account, with or without a country and a rate, at most once. Of those that fit the one that says the most holds, a rate going
    /// before a country.
    #[schema(max_items = 500)]
    pub accounts: Vec<AccountNumber>,
}

impl JournalAccounts {
    /// What the schema can not say.
    ///
    /// # Errors
    /// `invalid_value`.
    pub fn check(&self) -> Result<()> {
        if self.accounts.len() > 500 {
            return Err(Error::invalid("/accounts", "expected at most 500"));
        }
        for (place, one) in self.accounts.iter().enumerate() {
            let key = |one: &AccountNumber| (one.account, one.country, one.rate.map(|rate| rate.normalize()));
            if self.accounts.iter().take(place).any(|before| key(before) == key(one)) {
                return Err(Error::invalid(format!("/accounts/{place}"), "it is there twice"));
            }
        }
        Ok(())
    }

    /// The number of an account, for a country and a rate where there are.
    #[must_use]
    pub fn number_of(&self, account: Account, country: Option<Country>, rate: Option<&str>) -> Option<String> {
        let rate = rate.and_then(|text| text.parse::<rust_decimal::Decimal>().ok()).map(|rate| rate.normalize());
        let fits = |one: &&AccountNumber| {
            one.account == account
                && (one.country.is_none() || one.country == country)
                && (one.rate.is_none() || one.rate.map(|own| own.normalize()) == rate)
        };
        let said = |one: &&AccountNumber| (one.rate.is_some(), one.country.is_some());
        self.accounts.iter().filter(fits).max_by_key(said).map(|one| one.number.to_string())
    }
}

/// A row of a journal entry: debit or credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct JournalLine {
    /// Our account.
    #[schema(value_type = String, example = "revenue")]
    pub account: Account,
    /// The number that the legal entity's bookkeeping has for it; null where it has none.
    pub number: Option<String>,
    /// What is debited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debit: Option<Money>,
    /// What is credited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credit: Option<Money>,
    /// The rate of the tax that revenue bears, or that tax is, as a fraction.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "0.19")]
    pub rate: Option<String>,
    /// The country whose tax that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// How it is taxed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub treatment: Option<TaxTreatment>,
}

/// What was booked at once: debits and credits are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct JournalEntry {
    /// Its place in the journal.
    pub position: i64,
    /// What names it, for ever: the order and the posting.
    #[schema(example = "order_01h455vb4pex5vsknk084sn02q/placed")]
    pub id: String,
    /// What was booked: `placed`, `capture:…`, `refund:…`, `return:…`, `cancel:…`, `dispute:…`, `goodwill:…`, `reduction:…`, `unapplied:…`, `released:…`,
    /// `tolerated:…`, `regained:…`, `absorbed:…`, `split:…` (what was taken goes over to another order). More may come.
    pub posting: String,
    /// The order.
    pub order_id: OrderId,
    /// Its number.
    pub order_number: String,
    /// Where it was sold.
    pub channel_id: ChannelId,
    /// By whom.
    pub legal_entity_id: LegalEntityId,
    /// The day in the zone of the legal entity's books.
    #[schema(value_type = String, example = "2026-11-27")]
    pub date: NaiveDate,
    /// When it happened.
    pub occurred_at: Instant,
    /// The currency.
    pub currency: Currency,
    /// Its rows.
    pub lines: Vec<JournalLine>,
}

/// A page of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct JournalPage {
    /// The entries, in order. Those of test channels are left out, so it may be short while there is more.
    pub items: Vec<JournalEntry>,
    /// Send it as `after` for what comes next.
    pub next_cursor: String,
    /// Whether there is more already.
    pub has_more: bool,
}

/// What an account has taken and given in a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct JournalSum {
    /// By whom the orders were sold.
    pub legal_entity_id: LegalEntityId,
    /// Our account.
    #[schema(value_type = String, example = "revenue")]
    pub account: Account,
    /// The number that the legal entity's bookkeeping has for it.
    pub number: Option<String>,
    /// The country whose tax revenue bears.
    pub country: Option<Country>,
    /// At which rate.
    #[schema(example = "0.19")]
    pub rate: Option<String>,
    /// What was debited.
    pub debit: Money,
    /// What was credited.
    pub credit: Money,
    /// Debits less credits.
    pub balance: Money,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_that_says_the_most_holds() {
        let one = |country: Option<&str>, rate: Option<&str>, number: &str| AccountNumber {
            account: Account::Revenue,
            country: country.map(|text| text.parse().unwrap()),
            rate: rate.map(|text| text.parse().unwrap()),
            number: Text::new(number).unwrap(),
            name: None,
        };
        let all = [one(None, None, "4000"), one(Some("DE"), None, "4100"), one(Some("DE"), Some("0.190"), "4400")];
        let accounts = JournalAccounts { accounts: all.to_vec() };
        let of = |country: &str, rate| accounts.number_of(Account::Revenue, country.parse().ok(), rate);
        assert_eq!(of("DE", Some("0.19")).as_deref(), Some("4400"));
        assert_eq!(of("DE", Some("0.07")).as_deref(), Some("4100"));
        assert_eq!(of("AT", Some("0.19")).as_deref(), Some("4000"));
        assert_eq!(accounts.number_of(Account::Tax, None, None), None);
        assert!(accounts.check().is_ok());
        let twice = JournalAccounts { accounts: vec![one(None, Some("0.19"), "1"), one(None, Some("0.190"), "2")] };
        assert!(twice.check().is_err());
    }
}
