//! Which articles are sold at the price of a sale now, and what that is reduced from.

use std::collections::HashMap;

use super::{
    history,
    prior::{HORIZON_SECONDS, Known, Reduction},
    quote::Rules,
    rates::{self, ListKind, PriceRow},
};
use crate::{
    db::Tx,
    error::Result,
    kernel::{
        Currency, Instant, Quantity,
        ids::{ChannelId, VariantId},
    },
};

/// An article that is shown.
#[derive(Debug, Clone, Copy)]
pub struct Article<'a> {
    /// Which.
    pub variant: VariantId,
    /// Its prices, as [`super::prices`] gave them.
    pub rows: &'a [PriceRow],
    /// Whether it perishes soon.
    pub perishable: bool,
}

/// The reductions that are announced of these articles; one whose price is not a sale's is absent. No statement where no price is
/// a sale's, else one for all of them.
///
/// # Errors
/// What the database says.
pub fn reductions(
    tx: &mut Tx,
    rules: &Rules,
    (channel, currency): (ChannelId, Currency),
    at: Instant,
    articles: &[Article<'_>],
) -> Result<HashMap<VariantId, Reduction>> {
    let lists = &rules.price_lists;
    let on_sale = |article: &&Article<'_>| {
        let won = rates::winner(lists, article.rows, (channel, currency), Quantity::ONE, at);
        won.is_some_and(|(list, _)| list.kind == ListKind::Sale)
    };
    let on_sale: Vec<&Article<'_>> = articles.iter().filter(on_sale).collect();
    if on_sale.is_empty() {
        return Ok(HashMap::new());
    }
    let variants: Vec<VariantId> = on_sale.iter().map(|article| article.variant).collect();
    let changes = history::of_single_pieces(tx, &variants, at.plus_seconds(-HORIZON_SECONDS))?;
    let reduction = |article: &&Article<'_>| {
        let changes = changes.get(&article.variant).map(Vec::as_slice).unwrap_or_default();
        let (rows, variant) = (article.rows, article.variant);
        let known = Known { lists, rows, changes, channel, currency, variant };
        Some((variant, known.reduction(at, article.perishable)?))
    };
    Ok(on_sale.iter().filter_map(reduction).collect())
}
