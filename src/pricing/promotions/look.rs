//! Looking at a promotion before carts get it: the articles that it is for, as they are priced at any time while it goes on, in each
//! channel and currency that it can be for and the actor sees.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use rust_decimal::Decimal;

use super::{
    checks::{self, Article, Dearest},
    compiled::{Compiled, Line},
    forms::{Checks, Warning},
    model::{Gift, Promotion},
};
use crate::{
    catalog::{self, Variant, VariantStatus},
    db::Tx,
    error::{Error, Result},
    kernel::{
        Actor, Currency, Instant, PricePer, Quantity, UnitPrice,
        ids::{ChannelId, CompanyId, PromotionId, VariantId},
    },
    pricing::{
        model::Buyer,
        quote::Rules,
        rates::{self, Asking, ListKind, PriceRow},
    },
    stock,
};

/// So many articles are looked at before a promotion is activated.
const MOST_ARTICLES: usize = 5_000;
/// So many are read at once.
const CHUNK: i64 = 500;
/// At so many instants at which prices change while it goes on these are looked at: those of some hundred articles together.
const MOST_TURNS: usize = 24;

/// A channel, and one of the currencies it may sell in.
type Place = (ChannelId, Currency);

/// What is looked at.
struct Survey<'a> {
    rules: &'a Rules,
    markets: Vec<Place>,
    buyers: Vec<Buyer>,
    /// When the promotion goes on, from now on.
    from: Instant,
    until: Option<Instant>,
}

/// How much was looked at.
#[derive(Default)]
struct Seen {
    articles: usize,
    /// Whether there are more.
    more_articles: bool,
    /// Whether prices change more often.
    more_turns: bool,
}

/// The articles of a part of the catalogue in one market, each with the prices that it has while the promotion goes on.
type Part<'a> = [Vec<Article<'a>>];

impl Survey<'_> {
    /// Goes through the catalogue, a part at a time.
    fn walk(&self, tx: &mut Tx, mut each: impl FnMut(Place, &Part<'_>)) -> Result<Seen> {
        let (mut after, mut seen) = (None::<VariantId>, Seen::default());
        loop {
            let mut variants = catalog::after(tx, after, CHUNK)?;
            let Some(last) = variants.last() else { return Ok(seen) };
            after = Some(last.id);
            if seen.articles >= MOST_ARTICLES {
                seen.more_articles = true;
                return Ok(seen);
            }
            seen.articles += variants.len();
            // What bundles are made of tells what they cost: one statement more where there are any.
            let parts = catalog::with_components(tx, &mut variants)?;
            let ids: BTreeSet<VariantId> = variants.iter().chain(&parts).map(|variant| variant.id).collect();
            let prices = crate::pricing::service::prices(tx, &ids.into_iter().collect::<Vec<_>>())?;
            let by_sku: HashMap<&str, VariantId> =
                variants.iter().chain(&parts).map(|variant| (variant.sku.as_str(), variant.id)).collect();
            for market in &self.markets {
                let (turns, more) = self.turns(*market, prices.values().flatten());
                seen.more_turns |= more;
                let sold = variants.iter().filter(|variant| variant.status == VariantStatus::Active);
                let offered = sold.map(|variant| self.offered(variant, (&prices, &by_sku), (*market, &turns)));
                each(*market, &offered.collect::<Vec<_>>());
            }
        }
    }

    /// When prices may be other ones while the promotion goes on: at its beginning, and where lists and prices begin and end. Whether
    /// there are more of these than are looked at.
    fn turns<'r>(
        &self,
        (channel, currency): Place,
        rows: impl Iterator<Item = &'r PriceRow>,
    ) -> (BTreeSet<Instant>, bool) {
        let here = self
            .rules
            .price_lists
            .iter()
            .filter(|list| list.currency == currency && list.channel.is_none_or(|own| own == channel));
        let lists: HashSet<_> = here.clone().map(|list| list.id).collect();
        let of_lists = here.flat_map(|list| [list.valid_from, list.valid_until]);
        let of_rows = rows.filter(|row| lists.contains(&row.list)).flat_map(|row| [row.valid_from, row.valid_until]);
        let within = |at: &Instant| *at > self.from && self.until.is_none_or(|until| *at < until);
        let later: BTreeSet<Instant> = of_lists.chain(of_rows).flatten().filter(within).collect();
        let more = later.len() > MOST_TURNS;
        (std::iter::once(self.from).chain(later.into_iter().take(MOST_TURNS)).collect(), more)
    }

    /// An article at each of its prices.
    fn offered<'v>(
        &self,
        variant: &'v Variant,
        (prices, by_sku): (&HashMap<VariantId, Vec<PriceRow>>, &HashMap<&str, VariantId>),
        ((channel, currency), turns): (Place, &BTreeSet<Instant>),
    ) -> Vec<Article<'v>> {
        let lists = self.rules.price_lists.of(channel);
        let of = |id: VariantId| prices.get(&id).map(Vec::as_slice).unwrap_or_default();
        let rows = of(variant.id);
        let mut offered = Vec::new();
        for at in turns {
            let asking = |buyer| Asking { channel, currency, buyer, at: *at };
            let own = |rows: &[PriceRow]| rates::cost(lists, rows, asking(Buyer::ANYBODY));
            let cost = own(rows).or_else(|| {
                let part = |part: &catalog::Component| {
                    let cost = own(of(*by_sku.get(&*part.sku)?))?;
                    Some(cost.about(part.quantity))
                };
                bundle_cost(variant.components.iter().map(part), currency)
            });
            for buyer in &self.buyers {
                let Some((list, row)) = rates::winner(lists, rows, asking(buyer), Quantity::ONE) else { continue };
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
                offered.push(Article { line, cost });
            }
        }
        offered
    }
}

/// What a bundle has cost whose components have cost so much each, where that is known of all and there are any.
fn bundle_cost(mut parts: impl Iterator<Item = Option<Decimal>>, currency: Currency) -> Option<PricePer> {
    let first = parts.next()??;
    let sum = parts.try_fold(first, |sum, part| sum.checked_add(part?))?;
    UnitPrice::rounded(sum, currency).map(PricePer::from)
}

/// What is to be known of a promotion before carts get it.
pub(super) fn checked(
    tx: &mut Tx,
    now: Instant,
    (actor, rules): (&Actor, &Rules),
    promotion: &Promotion,
) -> Result<Checks> {
    let ready = Compiled::new(promotion.clone());
    let of_actor = |other: &&Arc<Compiled>| other.promotion.channel.is_none_or(|channel| actor.sees_channel(channel));
    let beside =
        rules.promotions.iter().filter(of_actor).filter(|other| checks::goes_with(promotion, &other.promotion));
    let others: Vec<Compiled> = beside.map(|other| other.as_ref().clone()).collect();
    let from = promotion.valid_from.map_or(now, |from| from.max(now));
    let (markets, until) = (markets(actor, rules, promotion), checks::ends(promotion));
    let survey = Survey { rules, markets, buyers: buyers(promotion), from, until };
    let mut dearest: BTreeMap<(ChannelId, &str), Dearest> = BTreeMap::new();
    let bundles: Vec<&Compiled> = std::iter::once(&ready).chain(&others).filter(|one| !one.items.is_empty()).collect();
    if !bundles.is_empty() {
        survey.walk(tx, |(channel, currency), part| {
            dearest.entry((channel, currency.code())).or_default().note(&bundles, part.iter().flatten());
        })?;
    }
    let (mut found, mut any_goods): (BTreeMap<(String, Option<PromotionId>), Warning>, bool) = (BTreeMap::new(), false);
    let seen = survey.walk(tx, |(channel, currency), part| {
        // Of several prices of an article the lowest is looked at, which falls lowest; of costs beside it the highest.
        let own = part.iter().filter_map(|offered| checks::worst(&ready, offered));
        let own: Vec<&Article<'_>> = own.collect();
        any_goods |= !own.is_empty();
        let dearest = dearest.get(&(channel, currency.code()));
        for warning in checks::warnings((&ready, &others), &own, currency, dearest) {
            merge(&mut found, warning);
        }
    })?;
    let mut warnings: Vec<Warning> = found.into_values().collect();
    match ready.on_shipping {
        true => warnings.extend(checks::shipping_overlaps(&others)),
        false if !any_goods && seen.articles > 0 && !survey.markets.is_empty() => {
            warnings
                .push(checks::plain("no_goods", "none of the articles that were looked at are goods that it is for"));
        }
        false => {}
    }
    if let Gift::Goods { sku, quantity, .. } = &promotion.rule.gift {
        warnings.extend(checks::gift_warnings(&given(tx, rules, (&survey.markets, from), sku)?, *quantity));
    }
    let complete = !(seen.more_articles || seen.more_turns);
    if seen.more_articles {
        let detail = format!("only {} articles were looked at, and there are more", seen.articles);
        warnings.push(checks::plain("incomplete", &detail));
    } else if seen.more_turns {
        let detail =
            format!("prices change more often while it goes on than was looked at: the first {MOST_TURNS} times");
        warnings.push(checks::plain("incomplete", &detail));
    }
    Ok(Checks { warnings, looked_at: i64::try_from(seen.articles).map_err(Error::internal)?, complete })
}

/// What is known of goods that are given: whether they are sold, how many there are, what they cost in each market.
fn given<'a>(
    tx: &mut Tx,
    rules: &Rules,
    (markets, at): (&[(ChannelId, Currency)], Instant),
    sku: &'a str,
) -> Result<checks::Given<'a>> {
    let found = catalog::by_skus(tx, &[sku.to_owned()])?;
    let Some(variant) = found.first().filter(|variant| variant.status == VariantStatus::Active) else {
        return Ok(checks::Given { sku, sold: false, available: None, prices: Vec::new() });
    };
    let rows = crate::pricing::service::prices(tx, &[variant.id])?;
    let rows = rows.get(&variant.id).map(Vec::as_slice).unwrap_or_default();
    let price = |(channel, currency): &(ChannelId, Currency)| {
        let asking = Asking { channel: *channel, currency: *currency, buyer: Buyer::ANYBODY, at };
        let (_, row) = rates::winner(&rules.price_lists, rows, asking, Quantity::ONE)?;
        Some((row.price, rates::cost(&rules.price_lists, rows, asking)))
    };
    let available = match variant.is_limited() {
        true => Some(
            stock::availability(tx, found.iter(), (stock::Selling::default(), stock::Market::EVERYWHERE))?
                .get(&variant.id)
                .copied()
                .unwrap_or_default(),
        ),
        false => None,
    };
    Ok(checks::Given { sku, sold: true, available, prices: markets.iter().filter_map(price).collect() })
}

/// Those whose prices a promotion reduces, as far as these are their own: the customers of the companies or the groups that it is
/// for, else everybody.
fn buyers(promotion: &Promotion) -> Vec<Buyer> {
    let conditions = &promotion.rule.conditions;
    let companies: Vec<Option<CompanyId>> = conditions.companies.iter().copied().map(Some).collect();
    let groups: Vec<Option<String>> = conditions.customer_groups.iter().map(|group| Some(group.to_string())).collect();
    let or_none = |empty: bool| usize::from(empty);
    let companies = companies.iter().copied().chain(std::iter::repeat_n(None, or_none(companies.is_empty())));
    let groups = || groups.iter().cloned().chain(std::iter::repeat_n(None, or_none(groups.is_empty())));
    let of = |company| groups().map(move |group| Buyer { company, group, ..Buyer::default() });
    companies.flat_map(of).collect()
}

/// The channels and currencies that a promotion can be for, as far as there are price lists for them.
fn markets(actor: &Actor, rules: &Rules, promotion: &Promotion) -> Vec<(ChannelId, Currency)> {
    let only = promotion.rule.currency();
    let mut currencies: Vec<Currency> = rules.price_lists.iter().map(|list| list.currency).collect();
    currencies.sort_unstable_by_key(|currency| currency.code());
    currencies.dedup();
    currencies.retain(|currency| only.is_none_or(|only| only == *currency));
    // Where it is for every channel, the lists for all channels tell the prices, and those of their own for each.
    let mut channels: Vec<ChannelId> = match promotion.channel {
        Some(channel) => vec![channel],
        // One that there is not has but the lists for all.
        None => {
            rules.price_lists.iter().filter_map(|list| list.channel).chain([ChannelId::from_bytes([0; 16])]).collect()
        }
    };
    channels.sort_unstable();
    channels.dedup();
    let named = rules.price_lists.iter().filter_map(|list| list.channel).collect::<HashSet<_>>();
    channels.retain(|channel| !named.contains(channel) || actor.sees_channel(*channel));
    channels.into_iter().flat_map(|channel| currencies.iter().map(move |currency| (channel, *currency))).collect()
}

/// One warning of several about the same.
fn merge(found: &mut BTreeMap<(String, Option<PromotionId>), Warning>, warning: Warning) {
    let key = (warning.code.clone(), warning.promotion_id);
    match found.get_mut(&key) {
        None => {
            found.insert(key, warning);
        }
        Some(known) => {
            known.articles += warning.articles;
            known.examples.extend(warning.examples);
            known.examples.sort_by_key(|example| {
                let (price, lowest) = (i128::from(example.price.minor()).max(1), i128::from(example.lowest.minor()));
                lowest * 10_000 / price
            });
            known.examples.truncate(5);
        }
    }
}
