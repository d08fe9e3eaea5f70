//! Which articles are sold at the price of a sale now, and what that is reduced from.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    history::{self, lists::ListChange},
    prior::{HORIZON_SECONDS, Known, Recorded, Reduction},
    promotions::{Compiled, Described},
    quote::Rules,
    rates::{self, Asking, Audience, ListKind, PriceList, PriceRow},
};
use crate::{
    db::Tx,
    error::Result,
    kernel::{
        Instant, PricePer, Quantity, Rounding,
        ids::{PriceListId, VariantId},
    },
};

/// How far back the beginning of a reduction is looked for at first, with the thirty days before it.
const SHORT_SECONDS: i64 = 90 * 86_400;

/// An article that is shown.
#[derive(Debug, Clone, Copy)]
pub struct Article<'a> {
    /// Which.
    pub variant: VariantId,
    /// Its prices, as [`super::prices`] gave them.
    pub rows: &'a [PriceRow],
    /// Whether it perishes soon.
    pub perishable: bool,
    /// What promotions know of it.
    pub described: Described<'a>,
}

impl Article<'_> {
    /// The runs of promotions that may be for it.
    fn runs<'r>(&self, rules: &'r Rules, asking: Asking<'_>) -> Vec<&'r Compiled> {
        let Described { sku, attributes } = self.described;
        let here = |run: &&Compiled| run.promotion.rule.currency().is_none_or(|own| own == asking.currency);
        rules
            .promotion_runs
            .of(asking.channel)
            .iter()
            .map(Arc::as_ref)
            .filter(here)
            .filter(|run| run.concerns(sku, attributes))
            .collect()
    }
}

/// The reductions that are announced of these articles; one whose price is not a sale's is absent. No statement where no price is
/// a sale's, else one or two for all of them, and as many where their lists have been changed.
///
/// # Errors
/// What the database says.
pub fn reductions(
    tx: &mut Tx,
    rules: &Rules,
    (asking, rounding): (Asking<'_>, Rounding),
    articles: &[Article<'_>],
) -> Result<HashMap<VariantId, Reduction>> {
    let (lists, Asking { channel, currency, at, .. }) = (rules.price_lists.of(asking.channel), asking);
    if !rates::announce_sales(lists) {
        return Ok(HashMap::new());
    }
    let on_sale = |article: &&Article<'_>| {
        let won = rates::winner(lists, article.rows, asking, Quantity::ONE);
        won.is_some_and(|(list, _)| list.kind == ListKind::Sale && list.audience == Audience::All)
    };
    let on_sale: Vec<&Article<'_>> = articles.iter().filter(on_sale).collect();
    if on_sale.is_empty() {
        return Ok(HashMap::new());
    }
    // Many lines may be of one article.
    let on_sale: HashMap<VariantId, &Article<'_>> =
        on_sale.into_iter().map(|article| (article.variant, article)).collect();
    let mut found = HashMap::with_capacity(on_sale.len());
    let mut open: Vec<VariantId> = on_sale.keys().copied().collect();
    // Most sales have begun of late: what lies further back is read of those only whose beginning is not among it.
    for horizon in [SHORT_SECONDS, HORIZON_SECONDS] {
        let since = at.plus_seconds(-horizon);
        let changes = if open.is_empty() { HashMap::new() } else { history::of_single_pieces(tx, &open, since)? };
        let list_changes = list_changes(tx, lists, (&open, &on_sale), &changes, since)?;
        let mut further = Vec::new();
        for variant in open {
            let Some(article) = on_sale.get(&variant) else { continue };
            let changes = changes.get(&variant).map(Vec::as_slice).unwrap_or_default();
            let list_changes = &list_changes;
            let (rows, described, runs) = (article.rows, article.described, article.runs(rules, asking));
            let runs = &runs;
            let known = Known {
                lists,
                rows,
                changes,
                list_changes,
                channel,
                currency,
                variant,
                runs,
                described,
                rounding,
                since,
            };
            let Some(reduction) = known.reduction(at, article.perishable) else { continue };
            let within = reduction.looked_at_from > since;
            if within || horizon == HORIZON_SECONDS {
                found.insert(variant, reduction);
            } else {
                further.push(variant);
            }
        }
        open = further;
    }
    Ok(found)
}

/// What articles cost in the thirty days before promotions began that reduce them: for each its article, since when, and what it costs
/// by it; in the order in which they are asked for. One or two statements for all of them, none where there are none.
///
/// # Errors
/// What the database says.
pub fn before_promotions(
    tx: &mut Tx,
    rules: &Rules,
    (asking, rounding): (Asking<'_>, Rounding),
    reduced: &[(Article<'_>, Instant, PricePer)],
) -> Result<Vec<Reduction>> {
    let Some(first) = reduced.iter().map(|(_, began, _)| *began).min() else { return Ok(Vec::new()) };
    // A day more than is looked at, so that what applied at its beginning is known.
    let (lists, since) = (rules.price_lists.of(asking.channel), first.plus_seconds(-31 * 86_400));
    let articles: HashMap<VariantId, &Article<'_>> =
        reduced.iter().map(|(article, ..)| (article.variant, article)).collect();
    let wanted: Vec<VariantId> = articles.keys().copied().collect();
    let changes = history::of_single_pieces(tx, &wanted, since)?;
    let list_changes = list_changes(tx, lists, (&wanted, &articles), &changes, since)?;
    let Asking { channel, currency, .. } = asking;
    let of = |(article, began, price): &(Article<'_>, Instant, PricePer)| {
        let Article { variant, rows, perishable, described } = *article;
        let changes = changes.get(&variant).map(Vec::as_slice).unwrap_or_default();
        let (list_changes, runs) = (&list_changes, &article.runs(rules, asking));
        let known =
            Known { lists, rows, changes, list_changes, channel, currency, variant, runs, described, rounding, since };
        known.reduced_at(*began, *price, perishable)
    };
    Ok(reduced.iter().map(of).collect())
}

/// The changes of the lists that these articles have or had prices in. No statement where no such list was ever changed.
fn list_changes(
    tx: &mut Tx,
    lists: &[Arc<PriceList>],
    (articles, known): (&[VariantId], &HashMap<VariantId, &Article<'_>>),
    changes: &HashMap<VariantId, Vec<Recorded>>,
    since: Instant,
) -> Result<Vec<ListChange>> {
    let of_rows = articles.iter().filter_map(|variant| known.get(variant)).flat_map(|article| article.rows);
    let of_changes = changes.values().flatten().map(|recorded| recorded.change.key.list);
    let in_question: BTreeSet<PriceListId> = of_rows.map(|row| row.list).chain(of_changes).collect();
    let changed = lists.iter().filter(|list| list.version > 1 && in_question.contains(&list.id));
    let changed: BTreeSet<PriceListId> = changed.map(|list| list.id).collect();
    if changed.is_empty() { Ok(Vec::new()) } else { history::list_changes_since(tx, &changed, since) }
}
