//! What the events of the till carry.

use super::{
    disputes::{self, DisputeChange},
    renewals::{self, RenewalTold},
    requests,
    service::RefundRequested,
    terms::{self, ReminderDue},
};
use crate::events::EventSchema;

/// Their schemas.
pub(in crate::fulfilment) fn event_schemas() -> Vec<EventSchema> {
    let mut all = vec![
        EventSchema::of::<RefundRequested<'_>>("payment.refund_requested.v1"),
        EventSchema::of::<RenewalTold<'_>>(renewals::RENEWED),
        EventSchema::of::<RenewalTold<'_>>(renewals::REFUSED),
        EventSchema::of::<ReminderDue<'_>>(terms::REMINDER_DUE),
        EventSchema::of::<DisputeChange<'_>>(disputes::OPENED),
        EventSchema::of::<DisputeChange<'_>>(disputes::EVIDENCE),
        EventSchema::of::<DisputeChange<'_>>(disputes::WON),
        EventSchema::of::<DisputeChange<'_>>(disputes::LOST),
        EventSchema::of::<DisputeChange<'_>>(disputes::ACCEPTED),
    ];
    all.extend(requests::event_schemas());
    all
}
