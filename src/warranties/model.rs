//! What a registration is, and until when a warranty lasts. Pure.

use chrono::Months;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Error, Result},
    kernel::{
        Instant,
        ids::{ChannelId, CustomerId, OrderId, RegistrationId, ReturnRequestId, VariantId},
        local, warranty,
    },
};

/// The attribute of variants that says for how many months their warranty lasts.
pub const MONTHS: &str = warranty::ATTRIBUTE;
/// Where nobody says when a parcel arrived, it has after so many seconds.
pub(super) const SURELY_THERE: i64 = 30 * 86_400;

/// What is kept of a registration beside its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RegistrationDetails {
    pub order_number: String,
    pub name: String,
    pub arrived_at: Instant,
    pub months: i64,
    pub by: String,
}

/// A piece of an order's line that somebody has registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ProductRegistration)]
pub struct Registration {
    /// Its id.
    pub id: RegistrationId,
    /// The order.
    pub order_id: OrderId,
    /// The order's number.
    pub order_number: String,
    /// Where it was sold.
    pub channel_id: ChannelId,
    /// The order's line.
    pub line_no: i32,
    /// Which of the line's registrations, from 1.
    pub unit_no: i64,
    /// What it is.
    pub variant_id: VariantId,
    /// Its SKU.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// What stands on it, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "SN-2026-004711")]
    pub serial: Option<String>,
    /// Since when the warranty is counted: when it arrived.
    pub arrived_at: Instant,
    /// For how many months the warranty lasts.
    pub months: i64,
    /// From when on it is over.
    pub ends_at: Instant,
    /// The last return request that was made of its warranty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<ReturnRequestId>,
    /// Who has registered it.
    pub by: String,
    /// Whose it is, where that is known: the order's customer, unless it was corrected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// When it ended: the thing has come back, or staff say so. Its serial number is free from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Instant>,
    /// Why; gone after an erasure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<String>,
    /// Rises with every change.
    pub version: i64,
    /// When it was registered.
    pub registered_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl Registration {
    /// That it has not ended.
    ///
    /// # Errors
    /// `state_conflict`, with when.
    pub fn is_live(&self) -> Result<()> {
        let Some(at) = self.ended_at else { return Ok(()) };
        let detail = format!("the registration ended {at}: who has the thing now registers it by their own order");
        Err(Error::conflict(detail).with("ended_at", serde_json::to_value(at)?))
    }

    /// That its warranty is not over.
    ///
    /// # Errors
    /// `warranty_expired`, with its end.
    pub fn covers(&self, now: Instant) -> Result<()> {
        if self.ends_at > now {
            return Ok(());
        }
        let detail = format!("the warranty of {} ended {}", self.sku, self.ends_at);
        Err(Error::problem(Code::WarrantyExpired, detail).with("ends_at", serde_json::to_value(self.ends_at)?))
    }

    /// The same for whoever shops: nobody of the staff is named, nor what they have written.
    #[must_use]
    pub fn for_shopper(mut self) -> Self {
        (self.customer_id, self.end_reason) = (None, None);
        if self.by != CUSTOMER {
            "shop".clone_into(&mut self.by);
        }
        self
    }
}

/// Who has registered a product where no member of the staff has.
pub(super) const CUSTOMER: &str = "customer";

/// For how many months the warranty of an article lasts: as its attribute says, a number or a text of one, or else as the channel does.
#[must_use]
pub(super) fn months(attribute: Option<&serde_json::Value>, usual: i64) -> i64 {
    let said = attribute.and_then(warranty::months_of);
    said.unwrap_or(usual).clamp(0, warranty::MOST_MONTHS)
}

/// When a warranty is over that is counted from when something arrived: with the day of its last month that has the same number, in the zone of
/// the channel.
#[must_use]
pub(super) fn ends(arrived: Instant, months: i64, zone: Tz) -> Instant {
    let day = local::day_of(zone, arrived);
    let last = u32::try_from(months).ok().and_then(|months| day.checked_add_months(Months::new(months)));
    let after = last.and_then(|last| last.succ_opt());
    match (months, after) {
        (1.., Some(after)) => local::start_of_day(zone, after),
        _ => arrived,
    }
}

/// What is put right about a registration.
#[derive(Debug, Clone, Default)]
pub(super) struct Correction {
    /// What stands on the thing; `Some(None)` where nothing does.
    pub serial: Option<Option<String>>,
    /// When it arrived: the warranty is counted anew from then.
    pub arrived_at: Option<Instant>,
    /// Whose it is; `Some(None)` where nobody knows.
    pub customer: Option<Option<CustomerId>>,
}

/// Which registrations of a line end because pieces of it have come back: those whose own claim was settled with the piece, and of the others
/// as many as are more than pieces are still out, the latest first. `claimed` tells whether a registration's claim was settled so, and
/// whether one is under way: such ends last.
#[must_use]
pub(super) fn over(
    live: &[Registration],
    out: i64,
    claimed: impl Fn(&Registration) -> (bool, bool),
) -> Vec<Registration> {
    let (mut ending, mut left): (Vec<_>, Vec<_>) = live.iter().cloned().partition(|one| claimed(one).0);
    left.sort_by_key(|one| (claimed(one).1, std::cmp::Reverse(one.unit_no)));
    let room = usize::try_from(out.max(0)).unwrap_or(usize::MAX);
    let surplus = left.len().saturating_sub(room);
    ending.extend(left.into_iter().take(surplus));
    ending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_line_that_comes_back_the_claimed_piece_ends_first_and_no_more_than_came() {
        let at: Instant = "2026-01-01T00:00:00Z".parse().unwrap();
        let of = |unit_no: i64| Registration {
            id: RegistrationId::new(),
            order_id: OrderId::new(),
            order_number: String::new(),
            channel_id: ChannelId::new(),
            line_no: 1,
            unit_no,
            variant_id: VariantId::new(),
            sku: String::new(),
            name: String::new(),
            serial: None,
            arrived_at: at,
            months: 24,
            ends_at: at,
            request_id: None,
            by: String::new(),
            customer_id: None,
            ended_at: None,
            end_reason: None,
            version: 1,
            registered_at: at,
            updated_at: at,
        };
        let live = [of(1), of(2), of(3)];
        let units = |out, claimed: fn(&Registration) -> (bool, bool)| -> Vec<i64> {
            over(&live, out, claimed).iter().map(|one| one.unit_no).collect()
        };
        assert_eq!(units(3, |_| (false, false)), [0i64; 0]);
        assert_eq!(units(2, |one| (one.unit_no == 1, false)), [1]);
        assert_eq!(units(1, |one| (one.unit_no == 1, false)), [1, 3]);
        assert_eq!(units(2, |one| (false, one.unit_no == 3)), [2]);
        assert_eq!(units(-1, |_| (false, false)), [3, 2, 1]);
    }

    #[test]
    fn a_warranty_is_over_with_the_day_of_its_last_month() {
        let at = |text: &str| text.parse::<Instant>().unwrap();
        let zone = chrono_tz::Europe::Berlin;
        assert_eq!(ends(at("2024-02-29T12:00:00Z"), 24, zone), at("2026-02-28T23:00:00Z"));
        // By the clock in Berlin it is the next day already.
        assert_eq!(ends(at("2024-06-30T22:30:00Z"), 6, zone), at("2025-01-01T23:00:00Z"));
        assert_eq!(ends(at("2024-06-30T22:30:00Z"), 0, zone), at("2024-06-30T22:30:00Z"));
    }

    #[test]
    fn an_article_says_its_months_as_a_number_or_as_text() {
        assert_eq!(months(Some(&serde_json::json!(36)), 24), 36);
        assert_eq!(months(Some(&serde_json::json!(" 12 ")), 24), 12);
        assert_eq!(months(Some(&serde_json::json!("long")), 24), 24);
        assert_eq!((months(None, 24), months(Some(&serde_json::json!(-3)), 24)), (24, 0));
    }
}
