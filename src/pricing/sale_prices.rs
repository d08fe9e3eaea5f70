//! The prices of running sales, each with whether the history of prices bears out what it seems to be reduced by.

use std::{collections::HashMap, sync::Arc};

use actix_web::get;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Article,
    model::{Buyer, Step},
    prior::{Reduction, whole_percent},
    promotions::{self, Compiled, Described, Line, Promotion},
    quote::Rules,
    rates::{self, Asking, Audience, ListKind, PriceList, PriceRow},
    reductions, service, store,
};
use crate::{
    catalog::{self, Variant},
    channels::{Channel, Directory},
    db::Tx,
    error::{Error, Result},
    http::{Call, List, Mount, Page, Reply},
    kernel::{
        Actor, Currency, Instant, Per, PricePer, Quantity, Rounding, Scope, UnitPrice,
        ids::{ChannelId, PriceListId, PromotionId, VariantId},
    },
};

/// The price of an article in a running sale, and what it is reduced from.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct SalePrice {
    /// The article.
    variant_id: VariantId,
    /// Its SKU.
    sku: String,
    /// Its name.
    name: String,
    /// Where.
    channel_id: ChannelId,
    /// In which currency.
    currency: Currency,
    /// The code of the list that gives the price, or the one that a promotion reduces.
    price_list: String,
    /// The promotion that reduces it, where that is no list: one that is announced to everybody and takes something off goods that it
    /// names.
    #[serde(skip_serializing_if = "Option::is_none")]
    promotion_id: Option<PromotionId>,
    /// Its code.
    #[serde(skip_serializing_if = "Option::is_none")]
    promotion: Option<String>,
    /// The price of a single piece.
    price: UnitPrice,
    /// How many pieces the price is for; absent where it is one.
    #[serde(skip_serializing_if = "Per::is_one")]
    per: Per,
    /// Since when it is reduced.
    since: Option<Instant>,
    /// What it would cost without the sale: what a shop that strikes a price out would strike.
    everyday_price: Option<UnitPrice>,
    /// How many pieces that is for; absent where it is one.
    #[serde(skip_serializing_if = "Per::is_one")]
    everyday_per: Per,
    /// By how many whole per cent it seems to be reduced from that.
    claimed_percent: Option<i64>,
    /// The lowest price of the 30 days before the reduction begins, or since 30 days before it was announced (Directive 98/6/EC,
    /// Article 6a): what storefronts show, in the tax at home.
    prior_price: Option<UnitPrice>,
    /// How many pieces that is for; absent where it is one.
    #[serde(skip_serializing_if = "Per::is_one")]
    prior_per: Per,
    /// By how many whole per cent it is reduced from that.
    honest_percent: Option<i64>,
    /// When the price was last raised in those 30 days.
    raised_at: Option<Instant>,
    /// Whether the history bears the reduction out.
    borne_out: bool,
    /// Why not: `not_sold_before`, `not_lower`, `claim_too_high`, `raised_before`. More may come.
    findings: Vec<Step>,
}

/// What is wrong with a reduction, by the everyday price of now and by the history.
fn findings(price: PricePer, everyday: Option<PricePer>, reduction: Option<&Reduction>) -> Vec<Step> {
    let mut found = Vec::new();
    let Some(prior) = reduction.and_then(|reduction| reduction.prior) else {
        return vec![Step::new(
            "not_sold_before",
            "it was not sold to everybody before: there is nothing that it is reduced from",
        )];
    };
    let honest = whole_percent(prior, price).unwrap_or_default();
    if price.by_piece(prior).is_ge() {
        found.push(Step::new("not_lower", format!("it cost {prior} in the 30 days before, and costs {price}")));
    }
    let claimed = everyday.and_then(|everyday| whole_percent(everyday, price)).unwrap_or_default();
    if claimed > honest {
        let text = format!("it seems to be reduced by {claimed} %, and is by {honest} %");
        found.push(Step::new("claim_too_high", text));
    }
    if let Some(raise) =
        reduction.and_then(|reduction| reduction.raised).filter(|raise| raise.to.by_piece(prior).is_gt())
    {
        let text = format!("it was raised from {} to {} at {}, within 30 days before", raise.from, raise.to, raise.at);
        found.push(Step::new("raised_before", text));
    }
    found
}

/// The place of a row in the report.
type Place = (VariantId, ChannelId, String, Option<PromotionId>);

/// So many articles are looked at for a page: one may be short.
const MOST_LOOKED_AT: usize = 1_000;
/// So many at once.
const CHUNK: i64 = 200;

/// What the report is made of.
struct Report<'a> {
    rules: &'a Rules,
    /// The channels that the actor may see, by their ids, each with its currencies and how it rounds.
    markets: Vec<(ChannelId, Currency, Rounding)>,
    /// The lists that are no sales.
    everyday: Vec<Arc<PriceList>>,
    now: Instant,
}

impl Report<'_> {
    /// The lists whose articles may be reduced for everybody: those of running sales, and where promotions are announced all that are
    /// no costs.
    fn lists(&self) -> Vec<PriceListId> {
        let at_all =
            self.markets.iter().any(|(channel, currency, _)| self.announced((*channel, *currency)).next().is_some());
        let running = |list: &&Arc<PriceList>| {
            let begun = list.valid_from.is_none_or(|from| from <= self.now);
            let on = begun && list.valid_until.is_none_or(|until| self.now < until);
            let kind = list.kind == ListKind::Sale || at_all && list.kind != ListKind::Cost;
            kind && list.audience == Audience::All && on
        };
        self.rules.price_lists.iter().filter(running).map(|list| list.id).collect()
    }

    /// The promotions that are announced in a market.
    fn announced(&self, market: (ChannelId, Currency)) -> impl Iterator<Item = &Compiled> {
        let here = self.rules.promotions.of(market.0).iter().map(Arc::as_ref);
        here.filter(move |ready| ready.is_announced(market, self.now))
    }

    /// Up to so many rows from behind a place, in the order of their places, and the place behind which the next are. What is not
    /// wanted is passed over, as long as that is not too much for one page.
    fn page(
        &self,
        tx: &mut Tx,
        after: Option<&Place>,
        (limit, wanted): (usize, impl Fn(&SalePrice) -> bool),
    ) -> Result<(Vec<SalePrice>, Option<Place>)> {
        let lists = self.lists();
        let (mut rows, mut behind) = (Vec::new(), after.map(|(variant, ..)| *variant));
        // The article of the place may have more rows: it is looked at once more.
        let (mut again, mut looked_at) = (behind, 0);
        loop {
            let more = store::variants_in(tx, &lists, behind, CHUNK)?;
            let ids: Vec<VariantId> = again.take().into_iter().chain(more.iter().copied()).collect();
            let last = i64::try_from(more.len()).is_ok_and(|found| found < CHUNK);
            looked_at += ids.len();
            behind = more.last().copied().or(behind);
            let mut found = self.of(tx, &ids)?;
            found.retain(|row| after.is_none_or(|after| place(row) > *after) && wanted(row));
            rows.extend(found);
            if rows.len() > limit {
                rows.truncate(limit);
                let next = rows.last().map(place);
                return Ok((rows, next));
            }
            if last {
                return Ok((rows, None));
            }
            if looked_at >= MOST_LOOKED_AT {
                return Ok((rows, behind.map(after_all_of)));
            }
        }
    }

    /// The rows of articles.
    fn of(&self, tx: &mut Tx, ids: &[VariantId]) -> Result<Vec<SalePrice>> {
        let mut variants = catalog::by_ids(tx, ids)?;
        variants.sort_unstable_by_key(|variant| variant.id);
        let prices = service::prices(tx, ids)?;
        let article = |place: usize| {
            variants.get(place).map(|variant| Article {
                variant: variant.id,
                rows: prices.get(&variant.id).map(Vec::as_slice).unwrap_or_default(),
                perishable: variant.perishes_soon(),
                described: Described { sku: &variant.sku, attributes: &variant.attributes },
            })
        };
        let mut found = Vec::new();
        for (channel, currency, rounding) in &self.markets {
            let asking = Asking { channel: *channel, currency: *currency, buyer: Buyer::ANYBODY, at: self.now };
            let articles: Vec<Article<'_>> = (0..variants.len()).filter_map(article).collect();
            let reductions = reductions::reductions(tx, self.rules, (asking, *rounding), &articles)?;
            let both = || variants.iter().zip(&articles);
            found.extend(both().filter_map(|(variant, article)| self.row(variant, article.rows, asking, &reductions)));
            let by_promotions: Vec<_> = self
                .announced((*channel, *currency))
                .flat_map(|ready| both().filter_map(move |(variant, article)| self.by(ready, variant, article, asking)))
                .collect();
            let asked: Vec<_> = by_promotions.iter().map(|one| (*one.article, one.began, one.price)).collect();
            let before = reductions::before_promotions(tx, self.rules, (asking, *rounding), &asked)?;
            found.extend(by_promotions.iter().zip(&before).map(|(one, reduction)| one.row(asking, reduction)));
        }
        found.sort_by_key(place);
        Ok(found)
    }

    /// An article whose everyday price a promotion reduces.
    fn by<'p>(
        &'p self,
        ready: &'p Compiled,
        variant: &'p Variant,
        article: &'p Article<'p>,
        asking: Asking<'_>,
    ) -> Option<ByPromotion<'p>> {
        let (list, row) = rates::winner(&self.rules.price_lists, article.rows, asking, Quantity::ONE)?;
        let cost = rates::cost(&self.rules.price_lists, article.rows, asking);
        let line = Line {
            line_no: 1,
            sku: &variant.sku,
            attributes: &variant.attributes,
            price: row.price,
            quantity: 1,
            subtotal: 0,
            cost: cost.map(|_| 0),
            reduced: list.kind == ListKind::Sale,
            agreed: false,
        };
        let price = ready.announces(&line)?;
        // One that a process of an older version has activated has no run.
        let Promotion { id, valid_from, created_at, .. } = &ready.promotion;
        let began = promotions::began(&self.rules.promotion_runs, *id, &line, self.now);
        let began = began.unwrap_or_else(|| valid_from.map_or(*created_at, |from| from.max(*created_at)));
        Some(ByPromotion { ready, variant, article, list, everyday: row.price, price, began })
    }

    fn row(
        &self,
        variant: &Variant,
        rows: &[PriceRow],
        asking: Asking<'_>,
        reductions: &HashMap<VariantId, Reduction>,
    ) -> Option<SalePrice> {
        let (list, row) = rates::winner(&self.rules.price_lists, rows, asking, Quantity::ONE)?;
        if list.kind != ListKind::Sale {
            return None;
        }
        let everyday = rates::winner(&self.everyday, rows, asking, Quantity::ONE).map(|(_, row)| row.price);
        let reduction = reductions.get(&variant.id);
        let findings = findings(row.price, everyday, reduction);
        let prior = reduction.and_then(|reduction| reduction.prior);
        Some(SalePrice {
            variant_id: variant.id,
            sku: variant.sku.clone(),
            name: variant.name.clone(),
            channel_id: asking.channel,
            currency: asking.currency,
            price_list: list.code.clone(),
            promotion_id: None,
            promotion: None,
            price: row.price.price,
            per: row.price.per,
            since: reduction.map(|reduction| reduction.since),
            everyday_price: everyday.map(|everyday| everyday.price),
            everyday_per: everyday.map_or(Per::ONE, |everyday| everyday.per),
            claimed_percent: everyday.and_then(|everyday| whole_percent(everyday, row.price)),
            prior_price: prior.map(|prior| prior.price),
            prior_per: prior.map_or(Per::ONE, |prior| prior.per),
            honest_percent: reduction.and_then(Reduction::percent),
            raised_at: reduction.and_then(|reduction| reduction.raised).map(|raise| raise.at),
            borne_out: findings.is_empty(),
            findings,
        })
    }
}

/// An article that a promotion reduces for everybody.
struct ByPromotion<'a> {
    ready: &'a Compiled,
    variant: &'a Variant,
    article: &'a Article<'a>,
    list: &'a PriceList,
    everyday: PricePer,
    price: PricePer,
    /// Since when it makes it so cheap.
    began: Instant,
}

impl ByPromotion<'_> {
    fn row(&self, asking: Asking<'_>, reduction: &Reduction) -> SalePrice {
        let findings = findings(self.price, Some(self.everyday), Some(reduction));
        let (promotion, prior) = (&self.ready.promotion, reduction.prior);
        SalePrice {
            variant_id: self.variant.id,
            sku: self.variant.sku.clone(),
            name: self.variant.name.clone(),
            channel_id: asking.channel,
            currency: asking.currency,
            price_list: self.list.code.clone(),
            promotion_id: Some(promotion.id),
            promotion: Some(promotion.code.clone()),
            price: self.price.price,
            per: self.price.per,
            since: Some(reduction.since),
            everyday_price: Some(self.everyday.price),
            everyday_per: self.everyday.per,
            claimed_percent: whole_percent(self.everyday, self.price),
            prior_price: prior.map(|prior| prior.price),
            prior_per: prior.map_or(Per::ONE, |prior| prior.per),
            honest_percent: reduction.percent(),
            raised_at: reduction.raised.map(|raise| raise.at),
            borne_out: findings.is_empty(),
            findings,
        }
    }
}

fn place(row: &SalePrice) -> Place {
    (row.variant_id, row.channel_id, row.currency.code().to_owned(), row.promotion_id)
}

/// Behind all rows that an article may have.
fn after_all_of(variant: VariantId) -> Place {
    (variant, ChannelId::from_bytes([u8::MAX; 16]), String::new(), None)
}

/// The channels that an actor may see, each with its currencies and how it rounds, by their ids.
fn markets(directory: &Directory, actor: &Actor) -> Vec<(ChannelId, Currency, Rounding)> {
    let seen = directory.iter().filter(|channel| actor.sees_channel(channel.id));
    let all = |channel: &Channel| {
        let rounding = channel.settings.rounding.strategy;
        channel.settings.currencies.iter().map(|currency| (channel.id, *currency, rounding)).collect::<Vec<_>>()
    };
    let mut markets: Vec<(ChannelId, Currency, Rounding)> = seen.flat_map(all).collect();
    markets.sort_unstable_by_key(|(channel, currency, _)| (*channel, currency.code()));
    markets
}

/// What the prices of sales can be narrowed to.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SalePriceQuery {
    /// Those that the history bears out, or those that it does not.
    borne_out: Option<bool>,
}

/// List the prices of running sales
///
/// Those of price lists, and those of promotions that are announced to everybody and take something off goods that they name. Each with
/// what it is reduced from by law, and what it seems to be reduced from: the everyday price of now. Where the history of
/// prices does not bear that out (`borne_out=false`), `findings` say why: it was raised shortly before, it was not sold before, it is
/// not lower, or the everyday price is higher than the lowest of the 30 days before. A page may be short, or empty, though there is a
/// next one: a thousand articles are looked at for one.
#[utoipa::path(tag = "plan a sale", params(SalePriceQuery), security(("token" = ["prices:read"])),
    responses((status = 200, body = Page<SalePrice>)))]
#[get("/sale-prices")]
async fn list_sale_prices(call: Call, query: List<SalePriceQuery>) -> Result<Reply> {
    let (actor, now, wanted) = (call.allow(Scope::PricesRead)?.clone(), call.now, query.filter.borne_out);
    let (rules, directory) = (call.snapshot::<Rules>().await?, call.snapshot::<Directory>().await?);
    let markets = markets(&directory, &actor);
    let read = move |tx: &mut Tx, after: Option<Place>, limit: i64| {
        let lists = rules.price_lists.iter().filter(|list| list.kind != ListKind::Sale);
        let report = Report { rules: &rules, markets: markets.clone(), everyday: lists.cloned().collect(), now };
        let limit = usize::try_from(limit).map_err(Error::internal)?;
        report.page(tx, after.as_ref(), (limit, |row: &SalePrice| wanted.is_none_or(|wanted| wanted == row.borne_out)))
    };
    query.answer_some(&call, read).await
}

/// The routes of the ops surface.
pub(super) fn ops(config: &mut Mount<'_>) {
    config.service(list_sale_prices);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(amount: &str) -> PricePer {
        UnitPrice::parse(amount, "EUR".parse().unwrap()).unwrap().into()
    }

    fn found(price_now: &str, everyday: &str, prior: &str) -> Vec<String> {
        let at = Instant::from_micros(0);
        let (price_now, prior) = (price(price_now), Some(price(prior)));
        let reduction = Reduction { price: price_now, prior, last: prior, since: at, raised: None, looked_at_from: at };
        findings(price_now, Some(price(everyday)), Some(&reduction)).into_iter().map(|step| step.code).collect()
    }

    #[test]
    fn a_claim_is_too_high_by_whole_per_cent() {
        // 99.00 % and 99.01 %: both are told as 99.
        assert_eq!(found("1.00", "101.00", "100.00"), Vec::<String>::new());
        assert_eq!(found("80.00", "110.00", "100.00"), ["claim_too_high"]);
        assert_eq!(found("80.00", "100.00", "100.00"), Vec::<String>::new());
        assert_eq!(found("100.00", "110.00", "100.00"), ["not_lower", "claim_too_high"]);
    }
}
