//! The shapes in which the history is asked for and told.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::{
    Instant, Moment, Per, Quantity, UnitPrice,
    ids::{PriceChangeId, PriceListId, VariantId},
};

/// Which changes of prices are listed.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PriceChangeQuery {
    /// Only prices of this SKU.
    #[param(example = "MUG-KONTOR")]
    pub sku: Option<String>,
    /// Only prices of this list.
    #[param(value_type = Option<String>)]
    pub price_list_id: Option<PriceListId>,
    /// Only what they changed, named as the list names them: `staff:ada`, `client:erp`.
    pub actor: Option<String>,
    /// Changed at this time or later; a day such as `2026-03-29` is meant from its beginning. Days are those of the time zone of
    /// the channel that the list in `price_list_id` is for, else of the one that all channels have which you see; where they
    /// have several, a day is refused.
    #[param(value_type = Option<String>)]
    pub from: Option<Moment>,
    /// Changed before this time; a day is meant to its end, so that the same day in both is that day.
    #[param(value_type = Option<String>)]
    pub to: Option<Moment>,
}

/// What a price was, or became.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RecordedPrice {
    /// The price of one unit, or of as many as `per` says, with or without tax as the channel has it.
    pub unit_price: UnitPrice,
    /// How many units the price was for; absent where it is one.
    #[serde(skip_serializing_if = "Per::is_one")]
    pub per: Per,
    /// Until when it was to be valid, exclusive; null is without an end.
    pub valid_until: Option<Instant>,
}

/// A change of a price. SKU, list, `min_quantity` and `valid_from` say which one; its changes are a chain, in which each `from`
/// is the `to` of the change before it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RecordedPriceChange {
    /// Its id.
    pub id: PriceChangeId,
    /// The list.
    pub price_list_id: PriceListId,
    /// The list's code.
    pub price_list: String,
    /// What is sold, by the SKU that it has now.
    pub sku: String,
    /// The variant's id.
    pub variant_id: VariantId,
    /// The quantity of a line from which on the price is valid.
    pub min_quantity: Quantity,
    /// From when on the price is valid; null is always.
    pub valid_from: Option<Instant>,
    /// What it was; null where there was none.
    pub from: Option<RecordedPrice>,
    /// What it became; null where it was removed.
    pub to: Option<RecordedPrice>,
    /// Who changed it.
    pub actor: String,
    /// The `X-Request-Id` of the request that did; the rows of one import have one. Where a price rule did, `price-rule:` and its code.
    pub reference: Option<String>,
    /// When.
    pub changed_at: Instant,
    #[serde(skip)]
    pub(super) seq: i64,
}
