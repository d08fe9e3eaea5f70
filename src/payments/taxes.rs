//! Sums of tax: what was sold and taken back in a period, by where and how it is taxed, added up from the ledger.

use std::collections::BTreeMap;

use actix_web::get;
use chrono::{Datelike, NaiveDate};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::service;
use crate::{
    channels::{self, Directory},
    db::Tx,
    error::{Code, Error, Result},
    http::{Call, List, Mount, Page, RefPath, Reply},
    kernel::{
        Country, Currency, Instant, Moment, Money, Scope,
        ids::{ChannelId, LegalEntityId},
        local,
    },
    pricing::tax::TaxTreatment,
};

/// What was sold to a country at a rate, and what of such was taken back.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TaxSum {
    /// The country that it went to; of Monaco and the Isle of Man the one that they are a part of for the tax. Null where it is not known.
    pub country: Option<Country>,
    /// How it was taxed. Null where it is not known, as of what was sold by a process of an older version.
    pub treatment: Option<TaxTreatment>,
    /// The rate as a fraction; null where it is not told apart, as of an order with several from before there were these sums.
    #[schema(value_type = Option<String>, example = "0.19")]
    pub rate: Option<Decimal>,
    /// The currency of the amounts. Nothing is converted.
    pub currency: Currency,
    /// Whether it is to be declared through the one-stop shop (union scheme, Articles 369a to 369k of Directive 2006/112/EC): sold at a
    /// distance from one member state to another, by the rates there.
    pub one_stop_shop: bool,
    /// Sold in the period, without tax.
    pub sold_net: Money,
    /// The tax on it.
    pub sold_tax: Money,
    /// Taken back in the period (cancelled or returned), without tax, whenever it was sold.
    pub taken_back_net: Money,
    /// The tax on it.
    pub taken_back_tax: Money,
    /// The taxable amount: what was sold less what was taken back.
    pub net: Money,
    /// The tax that is due.
    pub tax: Money,
    /// Both.
    pub gross: Money,
}

/// Which sums are asked for.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TaxSumQuery {
    /// A quarter of a year in the zone of the legal entity's books. Or give `from` and `to`; without any of them it is the last quarter that
    /// is over.
    #[param(value_type = Option<String>, example = "2026-Q4", pattern = "^[0-9]{4}-Q[1-4]$")]
    quarter: Option<Quarter>,
    /// From this day or instant on.
    #[param(value_type = Option<String>, example = "2026-10-01")]
    from: Option<Moment>,
    /// Until this day, which is in it, or this instant, which is not.
    #[param(value_type = Option<String>, example = "2026-12-31")]
    to: Option<Moment>,
    /// Only what is to be declared through the one-stop shop, or only the rest.
    one_stop_shop: Option<bool>,
}

/// A quarter of a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quarter {
    year: i32,
    /// From 1 to 4.
    number: u32,
}

impl Quarter {
    fn parse(text: &str) -> Option<Self> {
        let (year, number) = text.split_once("-Q").filter(|(year, number)| year.len() == 4 && number.len() == 1)?;
        let digits = year.bytes().chain(number.bytes()).all(|byte| byte.is_ascii_digit());
        let (year, number) = (year.parse().ok().filter(|_| digits)?, number.parse().ok()?);
        // Its last day has one behind it.
        ((1..=4).contains(&number) && (1900..9999).contains(&year)).then_some(Self { year, number })
    }

    /// The last that is over on a day.
    fn over(day: NaiveDate) -> Self {
        match day.month0() / 3 {
            0 => Self { year: day.year() - 1, number: 4 },
            number => Self { year: day.year(), number },
        }
    }

    /// Its first day, and the first of the next.
    fn days(self) -> Option<(NaiveDate, NaiveDate)> {
        let first = NaiveDate::from_ymd_opt(self.year, self.number * 3 - 2, 1)?;
        Some((first, first.checked_add_months(chrono::Months::new(3))?))
    }
}

impl<'de> Deserialize<'de> for Quarter {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("expected a quarter such as 2026-Q4"))
    }
}

impl TaxSumQuery {
    /// The span in the zone of the books.
    fn span(&self, now: Instant, zone: chrono_tz::Tz) -> Result<(Instant, Instant)> {
        let refused = |name: &str, detail: &str| Err(Error::problem(Code::InvalidQuery, detail).at(name));
        match (self.quarter, self.from, self.to) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => refused("quarter", "give a quarter, or `from` and `to`"),
            (quarter, None, None) => {
                let quarter = quarter.unwrap_or_else(|| Quarter::over(local::day_of(zone, now)));
                let days = quarter.days().ok_or_else(|| Error::problem(Code::InvalidQuery, "no such quarter"))?;
                Ok((Moment::On(days.0).begins(zone), Moment::On(days.1).begins(zone)))
            }
            (None, Some(from), Some(to)) if from.begins(zone) < to.ends(zone) => Ok((from.begins(zone), to.ends(zone))),
            (None, Some(_), Some(_)) => refused("to", "expected an end behind `from`"),
            (None, ..) => refused("from", "give both of `from` and `to`, or a quarter such as 2026-Q4"),
        }
    }
}

/// What tells sums apart.
type Key = (Option<Country>, Option<TaxTreatment>, Option<Decimal>, Currency);

/// Adds rows up that are of one kind. `seller` is the country of the legal entity.
fn added_up(rows: Vec<super::store::SoldSum>, seller: Country) -> Result<Vec<TaxSum>> {
    let mut sums: BTreeMap<(String, String, Option<Decimal>, &'static str), (Key, [i64; 4])> = BTreeMap::new();
    for row in rows {
        // What was booked before there were these sums has the country that it went to.
        let country: Option<Country> = row.country.as_deref().and_then(|text| text.parse().ok()).map(Country::for_vat);
        let treatment: Option<TaxTreatment> = row.treatment.as_deref().and_then(|text| text.parse().ok());
        let rate = row.rate.as_deref().and_then(|text| text.parse::<Decimal>().ok()).map(|rate| rate.normalize());
        let place = country.map(|country| country.as_str().to_owned()).unwrap_or_default();
        let place = (place, row.treatment.unwrap_or_default(), rate, row.currency.code());
        let (_, amounts) = sums.entry(place).or_insert(((country, treatment, rate, row.currency), [0; 4]));
        let [sold_net, sold_tax, back_net, back_tax] = amounts;
        let (net, tax, sign) = if row.placed { (sold_net, sold_tax, 1) } else { (back_net, back_tax, -1) };
        let overflow = || Error::internal("a sum of tax overflows");
        *net = net.checked_add(sign * row.net).ok_or_else(overflow)?;
        *tax = tax.checked_add(sign * row.tax).ok_or_else(overflow)?;
    }
    let sum = |(key, amounts): (Key, [i64; 4])| sum(key, amounts, seller);
    Ok(sums.into_values().map(sum).collect())
}

fn sum(
    (country, treatment, rate, currency): Key,
    [sold_net, sold_tax, back_net, back_tax]: [i64; 4],
    seller: Country,
) -> TaxSum {
    let money = |minor: i64| Money::from_minor(minor, currency);
    let (net, tax) = (sold_net.saturating_sub(back_net), sold_tax.saturating_sub(back_tax));
    let both = seller.for_vat().is_eu() && country.is_some_and(Country::is_eu);
    TaxSum {
        country,
        treatment,
        rate,
        currency,
        one_stop_shop: treatment == Some(TaxTreatment::Destination) && both,
        sold_net: money(sold_net),
        sold_tax: money(sold_tax),
        taken_back_net: money(back_net),
        taken_back_tax: money(back_tax),
        net: money(net),
        tax: money(tax),
        gross: money(net.saturating_add(tax)),
    }
}

/// Sums of tax
///
/// What the channels of a legal entity sold in a period, by country of destination, treatment, rate and currency, less what was
/// cancelled or returned in it, whenever that was sold. Orders count when they were placed. They are added up from the money ledgers of
/// the orders, so that they agree with these to the minor unit. Rows with `one_stop_shop` are what a declaration of the union scheme asks
/// for, by member state and rate. As a table for a spreadsheet with `format=csv`.
#[utoipa::path(tag = "watch the shop", params(("id" = inline(LegalEntityId), Path), TaxSumQuery),
    security(("token" = ["orders:read"])), responses((status = 200, body = Page<TaxSum>)))]
#[get("/legal-entities/{id}/tax-sums")]
async fn list_tax_sums(call: Call, path: RefPath<LegalEntityId>, query: List<TaxSumQuery>) -> Result<Reply> {
    let (actor, wanted) = (call.allow(Scope::OrdersRead)?.clone(), query.filter.clone());
    let (id, now) = (path.0, call.now);
    let directory = call.snapshot::<Directory>().await?;
    let mut own = Vec::new();
    for channel in directory.iter().filter(|one| one.legal_entity_id == id) {
        own.push((channel.id, channel.test, actor.sees_channel(channel.id)));
    }
    // Who is limited to some channels adds these up.
    let seen = actor.channels().is_none() || own.iter().any(|(.., seen)| *seen);
    let missing = || Error::not_found("legal entity");
    if !seen {
        return Err(missing());
    }
    let asked: Vec<ChannelId> = own.into_iter().filter(|(_, test, seen)| *seen && !test).map(|(id, ..)| id).collect();
    let sums = call.read(move |tx: &mut Tx| {
        let entity = channels::entity(tx, id)?.ok_or_else(missing)?;
        let span = wanted.span(now, entity.time_zone.0)?;
        added_up(service::sold(tx, &asked, span)?, entity.country)
    });
    let mut sums = sums.await?;
    sums.retain(|sum| query.filter.one_stop_shop.is_none_or(|wanted| wanted == sum.one_stop_shop));
    sums.sort_by_cached_key(place);
    query.answer_from(&call, sums, place)
}

/// The place of a sum among the others.
fn place(sum: &TaxSum) -> String {
    let country = sum.country.map(|country| country.as_str().to_owned()).unwrap_or_default();
    let treatment = sum.treatment.map_or("", |treatment| treatment.as_str());
    let rate = sum.rate.map(|rate| format!("{rate:.6}")).unwrap_or_default();
    format!("{country}/{treatment}/{rate:0>12}/{}", sum.currency.code())
}

/// The routes of the ops surface.
pub(super) fn ops(config: &mut Mount<'_>) {
    config.service(list_tax_sums);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monaco_counts_as_france_whenever_it_was_sold() {
        let row = |country: &str, net: i64, tax: i64| super::super::store::SoldSum {
            country: Some(country.to_owned()),
            treatment: Some("destination".to_owned()),
            rate: Some("0.20".to_owned()),
            currency: "EUR".parse().unwrap(),
            placed: true,
            net,
            tax,
        };
        let rows = vec![row("MC", 1_000, 200), row("FR", 500, 100), row("IM", 10, 2)];
        let sums = added_up(rows, "DE".parse().unwrap()).unwrap();
        let told: Vec<(String, i64, bool)> = sums
            .iter()
            .map(|sum| (sum.country.unwrap().as_str().to_owned(), sum.net.minor(), sum.one_stop_shop))
            .collect();
        assert_eq!(told, [("FR".to_owned(), 1_500, true), ("GB".to_owned(), 10, false)]);
    }

    #[test]
    fn a_quarter_has_three_months() {
        let days =
            |text: &str| Quarter::parse(text).and_then(Quarter::days).map(|(a, b)| (a.to_string(), b.to_string()));
        assert_eq!(days("2026-Q4"), Some(("2026-10-01".to_owned(), "2027-01-01".to_owned())));
        assert_eq!(days("2026-Q1"), Some(("2026-01-01".to_owned(), "2026-04-01".to_owned())));
        let over = |day: &str| Quarter::over(day.parse().unwrap());
        assert_eq!(over("2026-03-31"), Quarter { year: 2025, number: 4 });
        assert_eq!(over("2026-04-01"), Quarter { year: 2026, number: 1 });
        assert_eq!(over("2026-12-31"), Quarter { year: 2026, number: 3 });
        for wrong in ["2026-Q5", "2026-Q0", "2026Q1", "26-Q1", "2026-q1", "+026-Q1", "2026-Q11", ""] {
            assert_eq!(days(wrong), None, "{wrong}");
        }
    }
}
