//! How often goods come back, and why.

use std::collections::BTreeMap;

use super::store;
use crate::{
    db::Tx,
    error::Result,
    kernel::{Actor, Instant},
    orders,
};

/// How often an article came back, of requests made in a span.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct ReturnFigures {
    /// The article.
    pub sku: String,
    /// How many were ordered in the span and not cancelled.
    pub sold: i64,
    /// How many of it customers have asked to send back in the span; what was rejected, taken back or never came is left out.
    pub returned: i64,
    /// Of a hundred that were sold so many came back, with two decimals; absent where none was sold in the span.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "12.50")]
    pub rate_percent: Option<String>,
    /// How many for each reason.
    #[schema(value_type = Object)]
    pub reasons: BTreeMap<String, i64>,
}

/// Figures of returns by article, after an instant until another, that one included.
///
/// # Errors
/// What the database says.
pub(super) fn figures(tx: &mut Tx, actor: &Actor, span: (Instant, Instant)) -> Result<Vec<ReturnFigures>> {
    let mut by_sku: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for (sku, reason, pieces) in store::by_reason(tx, actor, span)? {
        *by_sku.entry(sku).or_default().entry(reason.to_string()).or_default() += pieces;
    }
    let skus: Vec<String> = by_sku.keys().cloned().collect();
    let sold = orders::sold(tx, actor, &skus, span)?;
    let figures = by_sku.into_iter().map(|(sku, reasons)| {
        let (sold, returned) = (sold.get(&sku).copied().unwrap_or_default(), reasons.values().sum::<i64>());
        let rate = |sold: i64| {
            let hundredths = (i128::from(returned) * 20_000 + i128::from(sold)) / (2 * i128::from(sold));
            format!("{}.{:02}", hundredths / 100, hundredths % 100)
        };
        ReturnFigures { rate_percent: (sold > 0).then(|| rate(sold)), sku, sold, returned, reasons }
    });
    Ok(figures.collect())
}
