//! Changing many prices of a list by per cent: looked at first, then done as it was looked at.

use std::collections::{BTreeSet, HashSet};

use actix_web::post;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    change::{Change, ended, not_zero, whole},
    forms::{MAX_PRICE_ROWS, PriceChange, PriceEntry},
    history::By,
    promotions::{Goods, Set},
    rates::PriceList,
    service::{self, may_change, price_list},
    store::{self, ListedPrice},
};
use crate::{
    catalog,
    db::{Lane, Tx},
    error::{Code, Error, Result},
    http::{Body, Call, Mount, RefPath, Reply, seal::sha256_hex},
    kernel::{
        Actor, Id, Instant, Money, Per, PricePer, Scope, UnitPrice,
        ids::{PriceChangeId, PriceListId},
        text::Sku,
    },
};

/// So many prices are changed at once: more are done part by part.
const MOST: usize = 5_000;
/// So many are shown.
const SHOWN: usize = 100;
/// So many of those that are left out are shown, for each reason.
const SKIPPED_SHOWN: usize = 10;

/// How the new prices are chosen and rounded.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"percent": "-10", "ending": {"amount": "0.99", "currency": "EUR"}}))]
struct Adjustment {
    /// By how many per cent: `-10` is a tenth less.
    #[serde(deserialize_with = "not_zero")]
    percent: Change,
    /// Which articles; left out, all that have a price in the list.
    goods: Option<Goods>,
    /// Only prices of so much and more for a piece.
    min_price: Option<Money>,
    /// Only prices of so much and less for a piece.
    max_price: Option<Money>,
    /// What each new price ends with: `0.99` makes 17.32 be 16.99, the nearest at most that; left out, it is rounded to whole minor
    /// units, or to the digits of a unit price where it has such already.
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
    /// How many units both are for; absent where it is one.
    #[serde(skip_serializing_if = "Per::is_one")]
    per: Per,
}

crate::words! {
    /// Why a price that fits is left as it is. More may come.
    pub enum SkipReason {
        /// It would be nothing, and is something now.
        WouldBeFree = "would_be_free",
        /// By its ending it would move against the per cent: fall where prices rise.
        AgainstThePercent = "against_the_percent",
    }
}

/// Prices that are left as they are.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct SkippedPrices {
    /// Why.
    reason: SkipReason,
    /// How many.
    count: i64,
    /// The SKUs of the first ten.
    skus: Vec<String>,
}

/// What becomes of a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Becomes {
    Price(UnitPrice),
    Skipped(SkipReason),
}

/// A price that fits, with what becomes of it.
type Planned = (ListedPrice, Becomes);

/// What an adjustment does, or would do.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Adjusted {
    /// Whether it was done.
    applied: bool,
    /// How many prices fit, those that are left out included.
    matched: i64,
    /// How many of them become others.
    changed: i64,
    /// The first hundred of these.
    examples: Vec<ChangedPrice>,
    /// What fits and is left as it is, by the reason.
    skipped: Vec<SkippedPrices>,
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

    /// What becomes of a price, per as many units as it is for; `None` where it is too large.
    fn adjusted(&self, price: UnitPrice) -> Option<Becomes> {
        let (currency, was) = (price.currency(), price.decimal());
        let exact = self.percent.of(was)?;
        // A tenth more than 0.0040 is 0.0044: what is told in more digits than the currency has keeps them.
        let small = was.normalize().scale() > currency.exponent();
        let digits = currency.exponent() + UnitPrice::EXTRA_DIGITS;
        let rounded = match small {
            true => exact.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero),
            false => whole(exact, currency),
        };
        let ended = self.ending.map_or(Some(rounded), |ending| ended(whole(exact, currency), ending.decimal()))?;
        // What would fall below nothing has no such ending.
        let to = if ended < Decimal::ZERO { rounded } else { ended };
        if to.is_zero() && !was.is_zero() {
            return Some(Becomes::Skipped(SkipReason::WouldBeFree));
        }
        if if self.percent.value() > Decimal::ZERO { to < was } else { to > was } {
            return Some(Becomes::Skipped(SkipReason::AgainstThePercent));
        }
        UnitPrice::rounded(to, currency).map(Becomes::Price)
    }

    /// Whether what a piece costs is within the range that was asked for.
    fn fits(&self, price: PricePer) -> bool {
        let piece = |bound: Money| UnitPrice::of(bound).map(PricePer::from);
        let (least, most) = (self.min_price.and_then(piece), self.max_price.and_then(piece));
        least.is_none_or(|least| price.by_piece(least).is_ge()) && most.is_none_or(|most| price.by_piece(most).is_le())
    }
}

/// The prices of a list that fit and are valid then, each with what becomes of it.
fn plan(tx: &mut Tx, list: &PriceList, wanted: &Adjustment, now: Instant) -> Result<Vec<Planned>> {
    let at = wanted.valid_from.unwrap_or(now);
    let skus: Vec<String> = wanted.goods.iter().flat_map(|goods| &goods.skus).map(ToString::to_string).collect();
    // What is named by its SKU alone is found by it; what is noted about goods is looked up.
    let goods = wanted.goods.as_ref().filter(|goods| !goods.attributes.is_empty()).map(Set::from);
    let (mut planned, mut open, mut after) = (Vec::new(), None::<ListedPrice>, None);
    loop {
        let page = store::prices_among(tx, list, &skus, after, 1_000)?;
        let Some(last) = page.last() else { break };
        after = Some((last.sku.clone(), last.min_quantity.get(), last.valid_from));
        let held = goods.as_ref().map(|goods| held(tx, goods, &page)).transpose()?;
        for price in page {
            let begun = price.valid_from.is_none_or(|from| from <= at);
            let goes_on = price.valid_until.is_none_or(|until| at < until);
            if !(begun && goes_on && held.as_ref().is_none_or(|held| held.contains(&price.sku))) {
                continue;
            }
            // Of several that are valid the later beginning counts, and comes later: only when the next one is of something else
            // is it known what applies, and whether that is within the range.
            let same = |one: &ListedPrice| (&one.sku, one.min_quantity) == (&price.sku, price.min_quantity);
            if !open.as_ref().is_some_and(same) {
                become_of(&mut planned, open.take(), wanted)?;
            }
            open = Some(price);
        }
    }
    become_of(&mut planned, open, wanted)?;
    Ok(planned)
}

/// The SKUs of a page of prices that are among the goods.
fn held(tx: &mut Tx, goods: &Set, page: &[ListedPrice]) -> Result<HashSet<String>> {
    let skus: BTreeSet<String> = page.iter().map(|price| price.sku.clone()).collect();
    let variants = catalog::by_skus(tx, &skus.into_iter().collect::<Vec<_>>())?;
    let held = variants.into_iter().filter(|variant| goods.holds(&variant.sku, &variant.attributes));
    Ok(held.map(|variant| variant.sku).collect())
}

/// Puts what becomes of a price that applies to the plan, where it fits.
fn become_of(planned: &mut Vec<Planned>, price: Option<ListedPrice>, wanted: &Adjustment) -> Result<()> {
    let Some(price) = price.filter(|price| wanted.fits(price.price)) else { return Ok(()) };
    if planned.len() >= MOST {
        let detail = format!(
            "more than {MOST} prices fit: name some by `goods`, and do it part by part by SKUs or attributes. Parts by the price would \
             meet what was changed before"
        );
        return Err(Error::problem(Code::InvalidValue, detail).at("/goods"));
    }
    let to = wanted.adjusted(price.price.price);
    let to = to.ok_or_else(|| Error::problem(Code::AmountOverflow, "a price becomes too large").at("/percent"))?;
    planned.push((price, to));
    Ok(())
}

/// The prices that become others, each with which.
fn changed(planned: &[Planned]) -> impl Iterator<Item = (&ListedPrice, UnitPrice)> {
    planned.iter().filter_map(|(price, to)| match to {
        Becomes::Price(to) if price.price.price != *to => Some((price, *to)),
        _ => None,
    })
}

fn entries(planned: &[Planned], valid_from: Option<Instant>) -> Vec<PriceEntry> {
    let entry = |(price, to): (&ListedPrice, UnitPrice)| PriceEntry {
        sku: Sku::kept(price.sku.clone()),
        min_quantity: price.min_quantity,
        unit_price: to,
        per: price.price.per,
        valid_from: valid_from.or(price.valid_from),
        valid_until: price.valid_until,
    };
    changed(planned).map(entry).collect()
}

/// What is left as it is, by the reason.
fn skipped(planned: &[Planned]) -> Vec<SkippedPrices> {
    let of = |reason: SkipReason| {
        let these = planned.iter().filter(move |(_, to)| *to == Becomes::Skipped(reason));
        let skus: Vec<String> = these.clone().take(SKIPPED_SHOWN).map(|(price, _)| price.sku.clone()).collect();
        let count = i64::try_from(these.count()).unwrap_or(i64::MAX);
        (count > 0).then_some(SkippedPrices { reason, count, skus })
    };
    SkipReason::ALL.iter().copied().filter_map(of).collect()
}

/// Stands for a plan: what each price is and becomes, from when to when, in which list.
fn digest_of(planned: &[Planned], list: PriceListId, valid_from: Option<Instant>) -> Result<String> {
    let row = |(price, to): (&ListedPrice, UnitPrice)| {
        let (sku, least, from, until) = (&price.sku, price.min_quantity, price.valid_from, price.valid_until);
        serde_json::json!([sku, least, from, until, price.price.price.scaled(), price.price.per, to.scaled()])
    };
    let rows: Vec<serde_json::Value> = changed(planned).map(row).collect();
    Ok(sha256_hex(serde_json::to_string(&(list, valid_from, rows))?.as_bytes()))
}

/// Tells what would change of a list's prices.
fn look(
    tx: &mut Tx,
    actor: &Actor,
    (id, wanted): (PriceListId, &Adjustment),
    now: Instant,
) -> Result<(Vec<Planned>, Adjusted)> {
    let list = price_list(tx, actor, id)?;
    wanted.check(&list, now)?;
    let planned = plan(tx, &list, wanted, now)?;
    let digest = digest_of(&planned, id, wanted.valid_from)?;
    if wanted.expected.as_ref().is_some_and(|expected| *expected != digest) {
        let detail = "the prices are not as they were when this was looked at: look again";
        return Err(Error::problem(Code::CompareFailed, detail).at("/expected").with("digest", digest));
    }
    let example = |(price, to): (&ListedPrice, UnitPrice)| ChangedPrice {
        sku: price.sku.clone(),
        min_quantity: price.min_quantity.get(),
        from: price.price.price,
        to,
        per: price.price.per,
    };
    let examples = changed(&planned).take(SHOWN).map(example).collect();
    let count = |count: usize| i64::try_from(count).map_err(Error::internal);
    let told = Adjusted {
        applied: !wanted.dry_run,
        matched: count(planned.len())?,
        changed: count(changed(&planned).count())?,
        examples,
        skipped: skipped(&planned),
        digest,
    };
    Ok((planned, told))
}

/// Changes the prices of a list. `ids` are as many as prices may change.
fn adjust(
    tx: &mut Tx,
    by: By<'_>,
    (id, wanted): (PriceListId, &Adjustment),
    ids: &[PriceChangeId],
) -> Result<Adjusted> {
    may_change(by.actor, price_list(tx, by.actor, id)?.channel)?;
    // Nobody else changes a price of the list between looking and doing.
    store::lock_lists(tx, &BTreeSet::from([id]))?;
    let (planned, told) = look(tx, by.actor, (id, wanted), by.now)?;
    let rows = entries(&planned, wanted.valid_from);
    for (part, ids) in rows.chunks(MAX_PRICE_ROWS).zip(ids.chunks(MAX_PRICE_ROWS)) {
        let change = PriceChange { rows: part.to_vec(), remove: Vec::new() };
        service::change_prices(tx, by, id, &change, ids)?;
    }
    Ok(told)
}

/// Change prices by per cent
///
/// Of all prices of a list or of some, up to 5,000 at once, now or from an instant on. Nothing is changed as long as `dry_run` is not
/// `false`: the answer says what would be, and its `digest`, sent as `expected`, makes sure that just this is done. What would become
/// nothing, or move against the per cent by its ending, is left as it is and told as `skipped`. What changes is recorded:
/// `GET /v1/ops/price-changes` lists it.
#[utoipa::path(tag = "set up a shop", params(("id" = inline(PriceListId), Path)), request_body = Adjustment,
    security(("token" = ["prices:write"])), responses((status = 200, body = Adjusted)))]
#[post("/price-lists/{id}/adjust")]
async fn adjust_prices(call: Call, path: RefPath<PriceListId>, body: Body<Adjustment>) -> Result<Reply> {
    let actor: Actor = call.allow(Scope::PricesWrite)?.clone();
    let (id, now, wanted, reference) = (path.0, call.now, body.value.clone(), call.request_id());
    if wanted.dry_run {
        // Nothing is written: so nobody who writes waits for it, and a key is not taken. What was done with it is told again.
        let (key, secret) = (call.idempotency_key(&body.fingerprint)?, call.state.secret.clone());
        let looked = call.read(move |tx| {
            let before = key.map_or(Ok(None), |key| key.answered(tx, &secret))?;
            before.map_or_else(|| Reply::ok(&look(tx, &actor, (id, &wanted), now)?.1), Ok)
        });
        return looked.await;
    }
    let ids: Vec<PriceChangeId> = std::iter::repeat_with(Id::new).take(MOST).collect();
    call.command_in(Lane::Bulk, &body.fingerprint, move |tx| {
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
            match wanted.adjusted(UnitPrice::parse(price, "EUR".parse().unwrap()).unwrap()) {
                Some(Becomes::Price(price)) => price.to_string(),
                Some(Becomes::Skipped(reason)) => reason.as_str().to_owned(),
                None => "too large".to_owned(),
            }
        };
        assert_eq!(told("-10", None, "19.99"), "17.99 EUR");
        assert_eq!(told("+2.5", None, "19.99"), "20.49 EUR");
        assert_eq!(told("-10", Some("0.99"), "19.20"), "16.99 EUR");
        assert_eq!(told("-10", Some("0.95"), "20.00"), "17.95 EUR");
        assert_eq!(told("-10", Some("0.99"), "0.90"), "0.81 EUR");
        assert_eq!(told("100", Some("0.00"), "9.99"), "19.00 EUR");
        // What has more digits than the currency keeps them.
        assert_eq!(told("10", None, "0.0040"), "0.0044 EUR");
        assert_eq!(told("-10", None, "12.3456"), "11.11104 EUR");
        assert_eq!(told("-10", Some("0.99"), "12.3456"), "10.99 EUR");
        // Nothing becomes free, and nothing falls where prices rise.
        for (percent, ending, price) in
            [("-10", Some("0.00"), "0.90"), ("-99", None, "0.49"), ("10", Some("0.00"), "0.0040")]
        {
            assert_eq!(told(percent, ending, price), "would_be_free");
        }
        assert_eq!(told("2", Some("0.99"), "10.50"), "against_the_percent");
        assert_eq!((told("-10", None, "0"), told("2", Some("0.99"), "10.99")), ("0.00 EUR".into(), "10.99 EUR".into()));
        // Nor does anything become larger than what could be read again.
        assert_eq!(told("1000", None, "1000000000"), "too large");
        for wrong in [
            "0", "-100", "1000.1", "1.23456", "abc", "--5", "", "+", "1e2", "5_0", "5.", ".5", "+-5", "00010",
            "5.00000", "5.5.5", "٣",
        ] {
            assert!(serde_json::from_value::<Adjustment>(serde_json::json!({"percent": wrong})).is_err(), "{wrong}");
        }
    }
}
