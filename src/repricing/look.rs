//! Looking at the goods of a rule: what is known of each, in a few statements for all of them, and what the rule makes of it.

use std::collections::HashMap;

use chrono_tz::Tz;

use super::{
    decide::{Facts, When, decide, within},
    model::{PriceRule, Proposed, Signal, Terms},
};
use crate::{
    catalog::{self, Variant},
    channels::Directory,
    db::Tx,
    error::{Error, Result},
    kernel::{
        Actor, Instant, Per, PricePer, Quantity, UnitPrice,
        ids::{ChannelId, PriceListId, VariantId},
    },
    orders,
    pricing::{
        self, Set,
        model::{Buyer, Step},
        rates::{self, Asking, PriceList, PriceRow},
    },
    stock,
};

/// So many articles are looked at in one snapshot.
pub(super) const CHUNK: i64 = 300;
/// The part of Kontor that does what rules say.
pub(super) const ACTOR: Actor = Actor::System("price-rules");

/// Which articles are looked at.
#[derive(Debug, Clone)]
pub(super) enum Which {
    /// The next ones of the list that the rule reckons from, in the order of their ids.
    After(Option<VariantId>),
    /// These.
    These(Vec<String>),
}

/// An article that was looked at.
#[derive(Debug, Clone)]
pub(super) struct Article {
    pub variant: VariantId,
    pub sku: String,
    /// What the rule makes of it; `None` where it is not among the rule's goods.
    pub decided: Option<Result<Proposed, Step>>,
}

/// What a look at some articles came to.
#[derive(Debug, Clone)]
pub(super) struct Looked {
    pub rule: PriceRule,
    pub articles: Vec<Article>,
    /// Behind which article the next ones are; `None` when there are none.
    pub last: Option<VariantId>,
}

/// The two lists of a rule, and all others.
pub(super) struct Lists {
    pub all: Vec<PriceList>,
}

impl Lists {
    pub fn read(tx: &mut Tx) -> Result<Self> {
        Ok(Self { all: pricing::price_lists(tx, &ACTOR)? })
    }

    pub fn get(&self, id: PriceListId) -> Result<&PriceList> {
        // Lists are never removed.
        self.all.iter().find(|list| list.id == id).ok_or_else(|| Error::internal("a rule's price list is missing"))
    }

    /// The prices of an article that a rule goes by: in its list, and in the one that it reckons from.
    pub fn seen<'a>(
        &self,
        rule: (PriceListId, PriceListId),
        rows: &'a [PriceRow],
        now: Instant,
    ) -> Result<(Option<&'a PriceRow>, Option<UnitPrice>)> {
        let one = |list: PriceListId| Ok::<_, Error>(rates::in_list(self.get(list)?, rows, Quantity::ONE, now));
        Ok((one(rule.0)?, one(rule.1)?.and_then(|row| by_piece(row.price))))
    }
}

/// Whether an article still costs what it did when a price was proposed, and what that was reckoned from is what it was. A price that
/// is no exact one of a piece is another one.
pub(super) fn is_as_made(row: Option<&PriceRow>, reference: Option<UnitPrice>, proposed: &Proposed) -> bool {
    let price = row.and_then(|row| by_piece(row.price));
    row.is_some() == price.is_some() && price == proposed.from && reference == Some(proposed.explanation.reference)
}

/// Whether a price that was proposed keeps to what its rule asks for now: its guard rails and what the article has cost, and that its
/// list goes on and has no prices for larger quantities.
pub(super) fn keeps(
    rule: &PriceRule,
    lists: &Lists,
    rows: &[PriceRow],
    proposed: &Proposed,
    now: Instant,
) -> Result<bool> {
    let goes_on = lists.get(rule.list)?.valid_until.is_none_or(|until| now < until);
    let cost = rates::cost(&lists.all, rows, asking(rule, now)).and_then(by_piece);
    let (reference, to) = (proposed.explanation.reference, proposed.to);
    let by_quantity = rows.iter().any(|row| is_by_quantity(rule, row, now));
    Ok(goes_on && !by_quantity && within(&rule.terms, (proposed.from, cost), reference, to))
}

/// How prices are asked for on behalf of a rule. A channel that there is not has but the lists for all.
fn asking(rule: &PriceRule, now: Instant) -> Asking<'static> {
    let channel = rule.channel.unwrap_or(ChannelId::from_bytes([0; 16]));
    Asking { channel, currency: rule.terms.currency, buyer: Buyer::ANYBODY, at: now }
}

/// Whether a price of a rule's list is one for larger quantities.
fn is_by_quantity(rule: &PriceRule, row: &PriceRow, now: Instant) -> bool {
    row.list == rule.list && row.min_quantity > Quantity::ONE && row.valid_until.is_none_or(|until| now < until)
}

/// What a piece costs of a price that may be for several, where that is an exact price: rules reckon by the piece.
pub(super) fn by_piece(price: PricePer) -> Option<UnitPrice> {
    price.for_pieces(Per::ONE).map(|one| one.price)
}

/// The zone of a rule's days: its channel's, or UTC.
pub(super) fn zone(directory: &Directory, rule: &PriceRule) -> Tz {
    let channel = rule.channel.and_then(|id| directory.get(id).ok());
    channel.map_or(Tz::UTC, |channel| channel.settings.time_zone.0)
}

/// Looks at some articles. However many there are, it is a few statements.
pub(super) fn look(tx: &mut Tx, rule: PriceRule, which: Which, when: When) -> Result<Looked> {
    let (variants, last) = match which {
        Which::These(skus) => (catalog::by_skus(tx, &skus)?, None),
        Which::After(after) => {
            let ids = pricing::priced_in(tx, rule.reference, after, CHUNK)?;
            let full = i64::try_from(ids.len()).map_err(Error::internal)? == CHUNK;
            (catalog::by_ids(tx, &ids)?, ids.last().copied().filter(|_| full))
        }
    };
    let goods = Chosen::from(&rule.terms);
    let (own, others): (Vec<Variant>, Vec<Variant>) = variants.into_iter().partition(|variant| goods.holds(variant));
    let mut articles = decided(tx, &rule, &own, when)?;
    let passed_by = |variant: Variant| Article { variant: variant.id, sku: variant.sku, decided: None };
    articles.extend(others.into_iter().map(passed_by));
    articles.sort_unstable_by_key(|article| article.variant);
    Ok(Looked { rule, articles, last })
}

/// The goods of a rule, made ready.
struct Chosen {
    include: Vec<Set>,
    exclude: Vec<Set>,
}

impl From<&Terms> for Chosen {
    fn from(terms: &Terms) -> Self {
        let sets = |goods: &[pricing::Goods]| goods.iter().map(Set::from).collect();
        Self { include: sets(&terms.include), exclude: sets(&terms.exclude) }
    }
}

impl Chosen {
    fn holds(&self, variant: &Variant) -> bool {
        let among = |sets: &[Set]| sets.iter().any(|set| set.holds(&variant.sku, &variant.attributes));
        (self.include.is_empty() || among(&self.include)) && !among(&self.exclude)
    }
}

/// What is sold, available and was received of articles, as far as the signal asks for it.
#[derive(Default)]
struct Figures {
    sold: HashMap<String, i64>,
    available: HashMap<VariantId, i64>,
    received: HashMap<VariantId, Instant>,
}

impl Figures {
    fn of(tx: &mut Tx, signal: &Signal, variants: &[Variant], ids: &[VariantId], now: Instant) -> Result<Self> {
        let mut figures = Self::default();
        if let Some(days) = signal.window() {
            let skus: Vec<String> = variants.iter().map(|variant| variant.sku.clone()).collect();
            figures.sold =
                orders::sold(tx, &Actor::System("repricing"), &skus, (now.plus_seconds(-86_400 * days), now))?;
            figures.available =
                stock::availability(tx, variants.iter(), (stock::Selling::default(), stock::Market::EVERYWHERE))?;
        }
        if !matches!(signal, Signal::Expiry { .. }) {
            figures.received = stock::first_received(tx, ids)?;
        }
        Ok(figures)
    }
}

fn decided(tx: &mut Tx, rule: &PriceRule, variants: &[Variant], when: When) -> Result<Vec<Article>> {
    let ids: Vec<VariantId> = variants.iter().map(|variant| variant.id).collect();
    let (lists, prices) = (Lists::read(tx)?, pricing::prices(tx, &ids)?);
    let figures = Figures::of(tx, &rule.terms.signal, variants, &ids, when.now)?;
    let list = lists.get(rule.list)?;
    let over = list.valid_until.is_some_and(|until| until <= when.now);
    let asking = asking(rule, when.now);
    let mut articles = Vec::with_capacity(variants.len());
    for variant in variants {
        let rows = prices.get(&variant.id).map(Vec::as_slice).unwrap_or_default();
        let (current, reference) = lists.seen((rule.list, rule.reference), rows, when.now)?;
        let facts = Facts {
            variant,
            reference,
            current: current.and_then(|row| by_piece(row.price)),
            by_quantity: rows.iter().any(|row| is_by_quantity(rule, row, when.now)),
            cost: rates::cost(&lists.all, rows, asking).and_then(by_piece),
            sold: figures.sold.get(&variant.sku).copied().unwrap_or_default(),
            available: figures.available.get(&variant.id).copied().unwrap_or_default(),
            received: figures.received.get(&variant.id).copied(),
        };
        let base = rates::in_list(lists.get(rule.reference)?, rows, Quantity::ONE, when.now);
        let decided = match current.into_iter().chain(base).find(|row| by_piece(row.price).is_none()) {
            _ if over => Err(Step::new("list_over", format!("the list {} is over", list.code))),
            Some(row) => Err(Step::new("price_per_many", format!("{} is no exact price of a piece", row.price))),
            None => decide(&rule.terms, facts, when),
        };
        articles.push(Article { variant: variant.id, sku: variant.sku.clone(), decided: Some(decided) });
    }
    Ok(articles)
}
