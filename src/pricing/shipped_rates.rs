//! The VAT rates of the member states of the European Union and a few other countries, shipped as data with their sources, to begin
//! with: taken over they are tax rates like any others, to be added to and removed.
//!
//! Each begins and ends with a day of its country. Special territories and what goods a class holds in which country are not in it.

use std::sync::LazyLock;

use actix_web::{get, post};
use chrono::NaiveDate;
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    forms::TaxRateView,
    quote::Rules,
    rates::TaxRate,
    service::{self, may_change},
    store,
};
use crate::{
    db::{Tx, bump},
    error::{Code, Error, Result},
    http::{All, Body, Call, List, Mount, Page, Reply},
    kernel::{Actor, Country, Id, Instant, Scope, ids::TaxRateId, local, text::Text},
};

/// A rate that comes with the program.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct ShippedRate {
    /// The country that levies it.
    country: Country,
    /// The class: `standard`, `intermediate` (between that and the reduced ones; Luxembourg and Malta have it), `reduced` (the higher
    /// one where there are two), `reduced_2`, `super_reduced`, `zero`.
    #[schema(example = "standard")]
    tax_class: String,
    /// The rate as a fraction.
    #[schema(value_type = String, example = "0.19")]
    rate: Decimal,
    /// From when on it is valid; null where its beginning was not established.
    valid_from: Option<Instant>,
    /// Until when it is valid, exclusive.
    valid_until: Option<Instant>,
    /// Where it is from.
    source: String,
}

/// A line of the file.
#[derive(Deserialize)]
struct Line {
    country: Country,
    tax_class: String,
    rate: Decimal,
    valid_from: Option<NaiveDate>,
    valid_until: Option<NaiveDate>,
    source: String,
}

static SHIPPED: LazyLock<Vec<ShippedRate>> = LazyLock::new(|| {
    let mut file = csv::Reader::from_reader(include_bytes!("vat_rates.csv").as_slice());
    // A test reads every line.
    file.deserialize::<Line>().filter_map(|line| line.ok().and_then(shipped)).collect()
});

fn shipped(line: Line) -> Option<ShippedRate> {
    let zone = zone(line.country)?;
    let begins = |day: Option<NaiveDate>| day.map(|day| local::start_of_day(zone, day));
    let (valid_from, valid_until) = (begins(line.valid_from), begins(line.valid_until));
    let Line { country, tax_class, rate, source, .. } = line;
    Some(ShippedRate { country, tax_class, rate, valid_from, valid_until, source })
}

/// The zone whose midnight a country's laws mean.
fn zone(country: Country) -> Option<Tz> {
    Some(match country.as_str() {
        "AT" => Tz::Europe__Vienna,
        "BE" => Tz::Europe__Brussels,
        "BG" => Tz::Europe__Sofia,
        "CH" => Tz::Europe__Zurich,
        "CY" => Tz::Asia__Nicosia,
        "CZ" => Tz::Europe__Prague,
        "DE" => Tz::Europe__Berlin,
        "DK" => Tz::Europe__Copenhagen,
        "EE" => Tz::Europe__Tallinn,
        "ES" => Tz::Europe__Madrid,
        "FI" => Tz::Europe__Helsinki,
        "FR" => Tz::Europe__Paris,
        "GB" => Tz::Europe__London,
        "GR" => Tz::Europe__Athens,
        "HR" => Tz::Europe__Zagreb,
        "HU" => Tz::Europe__Budapest,
        "IE" => Tz::Europe__Dublin,
        "IT" => Tz::Europe__Rome,
        "LT" => Tz::Europe__Vilnius,
        "LU" => Tz::Europe__Luxembourg,
        "LV" => Tz::Europe__Riga,
        "MT" => Tz::Europe__Malta,
        "NL" => Tz::Europe__Amsterdam,
        "NO" => Tz::Europe__Oslo,
        "PL" => Tz::Europe__Warsaw,
        "PT" => Tz::Europe__Lisbon,
        "RO" => Tz::Europe__Bucharest,
        "SE" => Tz::Europe__Stockholm,
        "SI" => Tz::Europe__Ljubljana,
        "SK" => Tz::Europe__Bratislava,
        _ => return None,
    })
}

/// Which of the shipped rates are taken over.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"countries": ["NL", "BE"]}))]
struct TakeOver {
    /// The countries.
    #[schema(min_items = 1, max_items = 50)]
    countries: Vec<Country>,
    /// The classes; all where it is left out.
    #[schema(value_type = Option<Vec<String>>, max_items = 10)]
    tax_classes: Option<Vec<Text<50>>>,
}

/// What was taken over.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct TakenOver {
    /// The rates that are new.
    created: Vec<TaxRateView>,
    /// How many were there already: a rate of the country and the class from the same time on.
    known: i64,
}

impl TakeOver {
    fn wanted(&self) -> Result<Vec<&'static ShippedRate>> {
        if !(1..=50).contains(&self.countries.len()) {
            return Err(Error::invalid("/countries", "expected 1 to 50 countries"));
        }
        for (place, country) in self.countries.iter().enumerate() {
            if zone(*country).is_none() {
                let detail = format!("no rates of {country} are shipped: make them with POST /v1/ops/tax-rates");
                return Err(Error::invalid(format!("/countries/{place}"), detail));
            }
        }
        let of_class = |rate: &ShippedRate| {
            self.tax_classes.as_ref().is_none_or(|classes| classes.iter().any(|class| **class == *rate.tax_class))
        };
        let wanted = SHIPPED.iter().filter(|rate| self.countries.contains(&rate.country) && of_class(rate));
        Ok(wanted.collect())
    }
}

/// Makes tax rates of shipped ones; those that are there already are left as they are. `ids` are as many as there are rates.
fn take_over(
    tx: &mut Tx,
    now: Instant,
    actor: &Actor,
    (wanted, ids): (&[&ShippedRate], &[TaxRateId]),
) -> Result<TakenOver> {
    may_change(actor, None)?;
    let there = service::tax_rates(tx)?;
    let mut created = Vec::new();
    for (shipped, id) in wanted.iter().zip(ids) {
        let same = |rate: &TaxRate| {
            (rate.country, rate.valid_from) == (shipped.country, shipped.valid_from)
                && rate.tax_class == shipped.tax_class
        };
        if there.iter().any(same) {
            continue;
        }
        let rate = TaxRate {
            id: *id,
            country: shipped.country,
            tax_class: shipped.tax_class.clone(),
            rate: shipped.rate,
            valid_from: shipped.valid_from,
            valid_until: shipped.valid_until,
        };
        crate::error::on_duplicate(store::insert_tax_rate(tx, now, &rate), || {
            Error::problem(Code::Duplicate, "somebody else has taken these rates over at the same time")
                .at("/countries")
        })?;
        created.push(TaxRateView::from(rate));
    }
    bump::<Rules>(tx)?;
    let known = i64::try_from(wanted.len() - created.len()).map_err(Error::internal)?;
    Ok(TakenOver { created, known })
}

/// List the VAT rates that come with Kontor
///
/// The standard and reduced rates of all member states of the European Union, Norway, Switzerland and the United Kingdom, with their
/// sources, as they were known when this version was made. Check them before you rely on them, and which goods are of which class.
#[utoipa::path(tag = "set up a shop", security(("token" = ["settings:read"])),
    responses((status = 200, body = Page<ShippedRate>)))]
#[get("/tax-rates/shipped")]
async fn list_shipped_rates(call: Call, query: List<All>) -> Result<Reply> {
    call.allow(Scope::SettingsRead)?;
    let numbered: Vec<ShippedRate> = SHIPPED.clone();
    let key = |rate: &ShippedRate| (rate.country.as_str().to_owned(), rate.tax_class.clone(), rate.valid_from);
    let mut sorted = numbered;
    sorted.sort_by_key(key);
    query.answer_from(&call, sorted, key)
}

/// Take VAT rates over
///
/// Makes tax rates of the shipped ones of these countries. Rates that are there already stay as they are; each can be removed again.
#[utoipa::path(tag = "set up a shop", request_body = TakeOver, security(("token" = ["settings:write"])),
    responses((status = 200, body = TakenOver)))]
#[post("/tax-rates/shipped")]
async fn take_over_shipped_rates(call: Call, body: Body<TakeOver>) -> Result<Reply> {
    let actor = call.allow(Scope::SettingsWrite)?.clone();
    let (now, wanted) = (call.now, body.wanted()?);
    let ids: Vec<TaxRateId> = wanted.iter().map(|_| Id::new()).collect();
    call.reference_command(&body.fingerprint, move |tx| Reply::ok(&take_over(tx, now, &actor, (&wanted, &ids))?)).await
}

/// The routes of the ops surface.
pub(super) fn ops(config: &mut Mount<'_>) {
    config.service(list_shipped_rates).service(take_over_shipped_rates);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_line_is_read_and_every_country_has_one_standard_rate_at_a_time() {
        let text = include_str!("vat_rates.csv");
        assert_eq!(SHIPPED.len(), text.lines().count() - 1);
        let mut by_class: BTreeMap<(&str, &str), Vec<&ShippedRate>> = BTreeMap::new();
        for rate in SHIPPED.iter() {
            assert!(rate.rate >= Decimal::ZERO && rate.rate < Decimal::ONE && !rate.source.is_empty(), "{rate:?}");
            by_class.entry((rate.country.as_str(), &rate.tax_class)).or_default().push(rate);
        }
        for ((country, class), rates) in &mut by_class {
            rates.sort_by_key(|rate| rate.valid_from);
            for pair in rates.windows(2) {
                assert!(
                    pair[0].valid_until.is_some_and(|until| Some(until) <= pair[1].valid_from),
                    "{country} {class}"
                );
            }
            let open = rates.iter().filter(|rate| rate.valid_until.is_none()).count();
            assert!(open == 1 || *class != "standard", "{country} {class}");
        }
        assert_eq!(by_class.keys().filter(|(_, class)| *class == "standard").count(), 30);
        let members = SHIPPED.iter().filter(|rate| rate.tax_class == "standard" && rate.country.is_eu());
        assert_eq!(members.map(|rate| rate.country).collect::<std::collections::BTreeSet<_>>().len(), 27);
    }

    #[test]
    fn each_class_is_lower_than_the_one_before_it_at_any_time() {
        const FALLING: [&str; 6] = ["standard", "intermediate", "reduced", "reduced_2", "super_reduced", "zero"];
        let place = |rate: &ShippedRate| FALLING.iter().position(|class| *class == rate.tax_class).unwrap();
        let ends = |rate: &ShippedRate| rate.valid_until.map_or(i64::MAX, Instant::micros);
        let begins = |rate: &ShippedRate| rate.valid_from.map_or(i64::MIN, Instant::micros);
        for one in SHIPPED.iter() {
            for other in SHIPPED.iter().filter(|other| other.country == one.country && place(other) > place(one)) {
                let together = begins(one) < ends(other) && begins(other) < ends(one);
                assert!(!together || one.rate > other.rate, "{one:?} {other:?}");
            }
        }
        let of = |country: &str, class: &str| {
            let found = SHIPPED.iter().filter(|rate| rate.country.as_str() == country && rate.tax_class == class);
            found.filter(|rate| rate.valid_until.is_none()).map(|rate| rate.rate.to_string()).collect::<Vec<_>>()
        };
        assert_eq!((of("CH", "reduced"), of("CH", "reduced_2")), (vec!["0.038".into()], vec!["0.026".into()]));
        assert_eq!((of("LU", "intermediate"), of("MT", "intermediate")), (vec!["0.14".into()], vec!["0.12".into()]));
    }

    #[test]
    fn a_rate_changes_at_the_midnight_of_its_country() {
        let estonia = SHIPPED.iter().filter(|rate| rate.country.as_str() == "EE" && rate.tax_class == "standard");
        let turns: Vec<_> = estonia.map(|rate| (rate.rate.to_string(), rate.valid_from)).collect();
        // Tallinn is three hours ahead in summer.
        let midnight: Instant = "2025-06-30T21:00:00Z".parse().unwrap();
        assert!(turns.contains(&("0.24".to_owned(), Some(midnight))), "{turns:?}");
    }
}
