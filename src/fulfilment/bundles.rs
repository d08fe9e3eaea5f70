//! Whole bundles of an order, as the pieces of the lines that they are made of.

use super::model::{Pieces, sum_pieces};
use crate::{
    error::{Error, Result},
    kernel::Quantity,
    orders::{OrderDocument, OrderLine, whole_bundles},
};

/// The pieces of bundles that are named whole, beside `lines` that are named by themselves. `left` tells of how many pieces of a line
/// it can be.
///
/// # Errors
/// `line_unknown`, `quantity_invalid`; `quantity_exceeded` where not all that belongs to them is there; each with its pointer.
pub(super) fn pieces(
    order: &OrderDocument,
    bundles: &[Pieces],
    lines: &[Pieces],
    left: impl Fn(&OrderLine) -> i64,
) -> Result<Vec<Pieces>> {
    if bundles.is_empty() {
        return Ok(Vec::new());
    }
    let named = sum_pieces(lines)?;
    let wanted = bundles.iter().map(|one| (one.line_no, one.quantity.get()));
    let taken = |line_no: i32| named.get(&line_no).copied().unwrap_or_default();
    let whole = whole_bundles((&order.bundles, &order.lines), wanted, left, taken)?;
    let piece = |(line_no, quantity): (i32, i64)| {
        Ok(Pieces { line_no, quantity: Quantity::new(quantity).map_err(Error::internal)? })
    };
    whole.into_iter().map(piece).collect()
}
