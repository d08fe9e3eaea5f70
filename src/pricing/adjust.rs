//! Changing many prices of a list by per cent: looked at first, then done as it was looked at.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use actix_web::post;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{
    forms::{MAX_PRICE_ROWS, PriceChange, PriceEntry},
    history::By,
    promotions::{Goods, Set},
    rates::PriceList,
    service::{self, may_change, price_list},
    store::{self, ListedPrice},
};
use crate::{
    catalog::{self, Variant},
    db::Tx,
    error::{Code, Error, Result},
    http::{Body, Call, Mount, RefPath, Reply, seal::sha256_hex},
    kernel::{
        Actor, Id, Instant, Money, Scope, UnitPrice,
        ids::{PriceChangeId, PriceListId},
        text::Sku,
    },
};

/// So many prices are changed at once: more are done part by part.
const MOST: usize = 5_000;
/// So many are shown.
const SHOWN: usize = 100;

/// Per cent with a sign: from -99 to 1000, with at most four digits behind the point; travels as a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change(Decimal);

impl<'de> Deserialize<'de> for Change {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let plain = text.len() <= 10
            && text.strip_prefix(['-', '+']).unwrap_or(&text).starts_with(|c: char| c.is_ascii_digit());
        let value =
            Some(&*text).filter(|_| plain).and_then(|text| Decimal::from_str_exact(text.trim_start_matches('+')).ok());
        let within = |value: &Decimal| {
            *value >= Decimal::from(-99)
                && *value <= Decimal::ONE_THOUSAND
                && !value.is_zero()
                && value.normalize().scale() <= 4
        };
        let expected = "expected per cent such as \"-10\" or \"2.5\": from -99 to 1000, not 0";
        value.filter(within).map(Self).ok_or_else(|| serde::de::Error::custom(expected))
    }
}

/// How the new prices are chosen and rounded.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"percent": "-10", "ending": {"amount": "0.99", "currency": "EUR"}}))]
struct Adjustment {
    /// By how many per cent: `-10` is a tenth less.
    #[schema(value_type = String, pattern = r"^[-+]?[0-9]{1,4}(\.[0-9]{1,4})?$", example = "-10")]
    percent: Change,
    /// Which articles; left out, all that have a price in the list.
    goods: Option<Goods>,
    /// Only prices of so much and more.
    min_price: Option<Money>,
    /// Only prices of so much and less.
    max_price: Option<Money>,
    /// What each new price ends with: `0.99` makes 17.32 be 16.99, the nearest at most that; left out, it is rounded to whole minor
    /// units.
    ending: Option<Money>,
    /// From when on the new prices are valid, in the future: those of now stay until then. Left out, those of now are changed.
    valid_from: Option<Instant>,
    /// Whether nothing is to be changed yet.
    #[serde(default = "yes")]
    #[schema(default = true)]
    dry_run: bool,
    /// The `digest` that a dry run has answered: where the prices are not as they were then, nothing is changed.
    #[schema(value_type = Option<String>, max_length = 64)]
    expected: Option<String>,
}

const fn yes() -> bool {
    true
}

/// A price that changes.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct ChangedPrice {
    /// What is sold.
    sku: String,
    /// The quantity of a line from which on it is valid.
    min_quantity: i64,
    /// What it is.
    from: UnitPrice,
    /// What it becomes.
    to: UnitPrice,
}

/// What an adjustment does, or would do.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Adjusted {
    /// Whether it was done.
    applied: bool,
    /// How many prices fit.
    matched: i64,
    /// How many of them become others.
    changed: i64,
    /// The first hundred of these.
    examples: Vec<ChangedPrice>,
    /// Stands for all of them: send it as `expected` to do just this.
    digest: String,
}

impl Adjustment {
    fn check(&self, list: &PriceList, now: Instant) -> Result<()> {
        for (pointer, money) in
            [("/min_price", self.min_price), ("/max_price", self.max_price), ("/ending", self.ending)]
        {
            if money.is_some_and(|money| money.currency() != list.currency) {
                let detail = format!("expected an amount in {}, the currency of the list", list.currency);
                return Err(Error::invalid(format!("{pointer}/currency"), detail));
            }
        }
        let one = 10i64.pow(list.currency.exponent());
        if self.ending.is_some_and(|ending| !(0..one).contains(&ending.minor())) {
            return Err(Error::invalid("/ending/amount", "expected what stands behind the point, such as 0.99"));
        }
        if self.valid_from.is_some_and(|from| from <= now) {
            return Err(Error::invalid("/valid_from", "expected an instant in the future"));
        }
        if let Some(goods) = &self.goods {
            goods.check("/goods")?;
        }
        Ok(())
    }

    /// What a price becomes.
    fn adjusted(&self, price: UnitPrice) -> Option<UnitPrice> {
        let factor = Decimal::ONE.checked_add(self.percent.0.checked_mul(Decimal::new(1, 2))?)?;
        let exact = price.decimal().checked_mul(factor)?;
        let whole = exact.round_dp_with_strategy(price.currency().exponent(), RoundingStrategy::MidpointAwayFromZero);
        let ended = match self.ending {
            None => whole,
            Some(ending) => {
                let base = whole.floor().checked_add(ending.decimal())?;
                if base > whole { base.checked_sub(Decimal::ONE)? } else { base }
            }
        };
        // What would fall below nothing stays at its exact amount.
        UnitPrice::rounded(if ended < Decimal::ZERO { whole } else { ended }, price.currency())
    }

    fn fits(
        &self,
        price: &ListedPrice,
        list: &PriceList,
        (goods, variants): (Option<&Set>, &HashMap<String, Variant>),
    ) -> bool {
        let amount = UnitPrice::from_scaled(price.amount, list.currency).decimal();
        self.min_price.is_none_or(|least| amount >= least.decimal())
            && self.max_price.is_none_or(|most| amount <= most.decimal())
            && goods.is_none_or(|goods| {
                variants.get(&price.sku).is_some_and(|variant| goods.holds(&variant.sku, &variant.attributes))
            })
    }
}

/// The prices of a list that fit and are valid then, each with what it becomes.
fn plan(tx: &mut Tx, list: &PriceList, wanted: &Adjustment, now: Instant) -> Result<Vec<(ListedPrice, UnitPrice)>> {
    let (at, goods) = (wanted.valid_from.unwrap_or(now), wanted.goods.as_ref().map(Set::from));
    let mut valid: BTreeMap<(String, i64), ListedPrice> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = store::prices_of(tx, list.id, after, 1_000)?;
        let Some(last) = page.last() else { break };
        after = Some((last.sku.clone(), last.min_quantity.get(), last.valid_from));
        let skus: Vec<String> = page.iter().map(|price| price.sku.clone()).collect();
        let variants = if goods.is_some() { catalog::by_skus(tx, &skus)? } else { Vec::new() };
        let variants = variants.into_iter().map(|variant| (variant.sku.clone(), variant)).collect();
        for price in page {
            let begun = price.valid_from.is_none_or(|from| from <= at);
            let goes_on = price.valid_until.is_none_or(|until| at < until);
            if begun && goes_on && wanted.fits(&price, list, (goods.as_ref(), &variants)) {
                // Of several that are valid the later beginning counts, and comes later.
                valid.insert((price.sku.clone(), price.min_quantity.get()), price);
            }
        }
        if valid.len() > MOST {
            let detail =
                format!("more than {MOST} prices fit: narrow it by `goods` or by the price, and do it part by part");
            return Err(Error::problem(Code::InvalidValue, detail).at("/goods"));
        }
    }
    let changed = valid.into_values().map(|price| {
        let to = wanted.adjusted(UnitPrice::from_scaled(price.amount, list.currency));
        let to = to.ok_or_else(|| Error::problem(Code::AmountOverflow, "a price becomes too large").at("/percent"))?;
        Ok((price, to))
    });
    changed.collect()
}

fn entries(planned: &[(ListedPrice, UnitPrice)], valid_from: Option<Instant>) -> Vec<PriceEntry> {
    let changed = planned.iter().filter(|(price, to)| price.amount != to.scaled());
    let entry = |(price, to): &(ListedPrice, UnitPrice)| PriceEntry {
        sku: Sku::kept(price.sku.clone()),
        min_quantity: price.min_quantity,
        unit_price: *to,
        valid_from: valid_from.or(price.valid_from),
        valid_until: price.valid_until,
    };
    changed.map(entry).collect()
}

/// Changes the prices of a list, or tells what would change. `ids` are as many as prices may change.
fn adjust(
    tx: &mut Tx,
    by: By<'_>,
    (id, wanted): (PriceListId, &Adjustment),
    ids: &[PriceChangeId],
) -> Result<Adjusted> {
    let list = price_list(tx, by.actor, id)?;
    wanted.check(&list, by.now)?;
    if !wanted.dry_run {
        may_change(by.actor, list.channel)?;
        // Nobody else changes a price of the list between looking and doing.
        store::lock_lists(tx, &BTreeSet::from([id]))?;
    }
    let planned = plan(tx, &list, wanted, by.now)?;
    let rows = entries(&planned, wanted.valid_from);
    let listed = rows.iter().map(|row| (&row.sku, row.min_quantity, row.valid_from, row.unit_price));
    let digest = sha256_hex(serde_json::to_string(&listed.collect::<Vec<_>>())?.as_bytes());
    if wanted.expected.as_ref().is_some_and(|expected| *expected != digest) {
        let detail = "the prices are not as they were when this was looked at: look again";
        return Err(Error::problem(Code::CompareFailed, detail).at("/expected").with("digest", digest));
    }
    let example = |(price, to): &(ListedPrice, UnitPrice)| ChangedPrice {
        sku: price.sku.clone(),
        min_quantity: price.min_quantity.get(),
        from: UnitPrice::from_scaled(price.amount, list.currency),
        to: *to,
    };
    let changed = planned.iter().filter(|(price, to)| price.amount != to.scaled());
    let examples = changed.take(SHOWN).map(example).collect();
    let count = |count: usize| i64::try_from(count).map_err(Error::internal);
    let told = Adjusted {
        applied: !wanted.dry_run,
        matched: count(planned.len())?,
        changed: count(rows.len())?,
        examples,
        digest,
    };
    if !wanted.dry_run {
        for (part, ids) in rows.chunks(MAX_PRICE_ROWS).zip(ids.chunks(MAX_PRICE_ROWS)) {
            let change = PriceChange { rows: part.to_vec(), remove: Vec::new() };
            service::change_prices(tx, by, id, &change, ids)?;
        }
    }
    Ok(told)
}

/// Change prices by per cent
///
/// Of all prices of a list or of some, up to 5,000 at once, now or from an instant on. Nothing is changed as long as `dry_run` is not
/// `false`: the answer says what would be, and its `digest`, sent as `expected`, makes sure that just this is done. What changes is
/// recorded: `GET /v1/ops/price-changes` lists it.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(PriceListId), Path)), request_body = Adjustment,
    security(("token" = ["prices:write"])), responses((status = 200, body = Adjusted)))]
#[post("/price-lists/{id}/adjust")]
async fn adjust_prices(call: Call, path: RefPath<PriceListId>, body: Body<Adjustment>) -> Result<Reply> {
    let actor: Actor = call.allow(Scope::PricesWrite)?.clone();
    let (id, now, wanted, reference) = (path.0, call.now, body.value.clone(), call.request_id());
    let ids: Vec<PriceChangeId> =
        if wanted.dry_run { Vec::new() } else { std::iter::repeat_with(Id::new).take(MOST).collect() };
    call.command(&body.fingerprint, move |tx| {
        let by = By { now, actor: &actor, reference: reference.as_deref() };
        Reply::ok(&adjust(tx, by, (id, &wanted), &ids)?)
    })
    .await
}

/// The routes of the ops surface.
pub(super) fn ops(config: &mut Mount<'_>) {
    config.service(adjust_prices);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_adjusted_and_rounded_as_they_are_to_end() {
        let told = |percent: &str, ending: Option<&str>, price: &str| {
            let ending = ending.map(|ending| serde_json::json!({"amount": ending, "currency": "EUR"}));
            let form = serde_json::json!({"percent": percent, "ending": ending});
            let wanted: Adjustment = serde_json::from_value(form).unwrap();
            wanted.adjusted(UnitPrice::parse(price, "EUR".parse().unwrap()).unwrap()).unwrap().to_string()
        };
        assert_eq!(told("-10", None, "19.99"), "17.99 EUR");
        assert_eq!(told("+2.5", None, "19.99"), "20.49 EUR");
        assert_eq!(told("-10", Some("0.99"), "19.20"), "16.99 EUR");
        assert_eq!(told("-10", Some("0.95"), "20.00"), "17.95 EUR");
        assert_eq!(told("-10", Some("0.99"), "0.90"), "0.81 EUR");
        assert_eq!(told("100", Some("0.00"), "9.99"), "19.00 EUR");
        for wrong in ["0", "-100", "1000.1", "1.23456", "abc", "--5", "", "+", "1e2"] {
            assert!(serde_json::from_value::<Adjustment>(serde_json::json!({"percent": wrong})).is_err(), "{wrong}");
        }
    }
}
