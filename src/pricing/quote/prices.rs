//! What is known of prices while a cart is priced, and what its lines have cost the merchant.

use std::collections::HashMap;

use rust_decimal::Decimal;

use super::{LineRequest, PartRequest, QuoteRequest, Taxed};
use crate::{
    kernel::{Quantity, ids::VariantId},
    pricing::{
        engine,
        rates::{self, PriceList, PriceRow},
    },
};

/// The prices that are known, and the lists that may be asked for them.
#[derive(Clone, Copy)]
pub(super) struct Prices<'a> {
    pub rows: &'a HashMap<VariantId, Vec<PriceRow>>,
    pub lists: &'a [&'a PriceList],
}

impl<'a> Prices<'a> {
    /// Those of an article in whichever lists.
    pub fn of(self, variant: VariantId) -> &'a [PriceRow] {
        self.rows.get(&variant).map(Vec::as_slice).unwrap_or_default()
    }

    /// What a line has cost the merchant, in minor units, with the tax in it that is due: by what a list says of its article; of a
    /// bundle of which none says it, what its components have cost together. `None` where that is not known of all.
    pub fn cost(
        self,
        line: &LineRequest<'_>,
        (taxed, request): (&Taxed<'_>, &QuoteRequest<'_>),
        rate: Decimal,
    ) -> Option<i64> {
        let of = |variant: VariantId, class: &str, quantity: Quantity| {
            let cost = rates::cost(self.lists, self.of(variant), request.asking())?;
            engine::line_amount(taxed.cost(class, cost, rate)?, quantity, request.rounding.strategy).ok()
        };
        let of_part = |part: &PartRequest<'_>| {
            let pieces = line.quantity.get().checked_mul(part.quantity)?;
            of(part.variant_id, part.tax_class, Quantity::new(pieces).ok()?)
        };
        of(line.variant_id, line.tax_class, line.quantity).or_else(|| {
            let mut parts = line.parts.iter().map(of_part).peekable();
            parts.peek()?;
            parts.try_fold(0i64, |sum, cost| sum.checked_add(cost?))
        })
    }
}
