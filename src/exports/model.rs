//! Feeds, consumers, and who is handed what. Pure.

use std::{collections::HashSet, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Error, Result},
    events::Event,
    kernel::{
        Actor, Instant,
        ids::{ChannelId, ConsumerId, EventId, LocationId},
    },
};

crate::words! {
    /// A view of the log by event types.
    pub enum Feed {
        /// Orders with their payments, fulfilments, shipments, returns and invoices.
        Orders = "orders",
        /// Fulfilments and shipments; purchase orders, inbound shipments, transfers, and what crosses a dock.
        Fulfilments = "fulfilments",
        /// Stock: what lies on hand and what is kept back; what orders and carts set aside is in the levels, and no event.
        Stock = "stock",
        /// Carts and their abandonment.
        Carts = "carts",
        /// Customers and companies, and who waits for goods to come back.
        Customers = "customers",
        /// Everything.
        All = "all",
    }
}

impl Feed {
    /// The beginnings of the types it holds; empty is all.
    #[must_use]
    pub const fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::Orders => &[
                "order.",
                "payment.",
                "payment_request.",
                "dispute.",
                "fulfilment_order.",
                "supplier_order.",
                "shipment.",
                "return.",
                "withdrawal.",
                "claim.",
                "invoice.",
                "credit_note.",
                "stored_value.",
                "company_credit.",
                "approval_request.",
                "countersign_request.",
                "quote.",
                "recurring_order.",
                "warranty.",
            ],
            Self::Fulfilments => &[
                "dock_match.",
                "fulfilment_order.",
                "inbound_shipment.",
                "purchase_order.",
                "shipment.",
                "supplier_order.",
                "transfer.",
            ],
            Self::Stock => &["stock."],
            Self::Carts => &["cart."],
            Self::Customers => &["back_in_stock.", "company.", "customer."],
            Self::All => &[],
        }
    }

    /// The beginnings of the types that both the feed and the caller want.
    ///
    /// # Errors
    /// `invalid_query` when one of `types` is no beginning of a type, or the feed holds none of them.
    pub fn types(self, types: Option<&str>) -> Result<Vec<String>> {
        let own = self.prefixes();
        let Some(types) = types else { return Ok(own.iter().map(ToString::to_string).collect()) };
        let odd = |c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_'));
        let mut narrowed = Vec::new();
        for wanted in types.split(',').map(str::trim) {
            if wanted.is_empty() || wanted.len() > 100 || wanted.contains(odd) {
                let detail = "expected beginnings of types with commas between, such as `order.,payment.captured.v1`";
                return Err(Error::problem(Code::InvalidQuery, detail).at("types"));
            }
            if own.iter().any(|prefix| wanted.starts_with(prefix)) || (own.is_empty() && is_of_some_type(wanted)) {
                narrowed.push(wanted.to_owned());
            } else {
                narrowed.extend(own.iter().filter(|prefix| prefix.starts_with(wanted)).map(ToString::to_string));
            }
        }
        narrowed.sort();
        narrowed.dedup();
        if narrowed.is_empty() {
            let detail = format!("the feed `{self}` holds no such types");
            return Err(Error::problem(Code::InvalidQuery, detail).at("types"));
        }
        Ok(narrowed)
    }
}

/// The types of the events that there are.
pub const TYPES: &[&str] = &[
    "approval_request.created.v1",
    "approval_request.updated.v1",
    "back_in_stock.subscribed.v1",
    "back_in_stock.told.v1",
    "cart.abandoned.v1",
    "cart.recovered.v1",
    "claim.opened.v1",
    "claim.partly_settled.v1",
    "claim.rejected.v1",
    "claim.settled.v1",
    "company.created.v1",
    "company.updated.v1",
    "company_credit.booked.v1",
    "countersign_request.created.v1",
    "countersign_request.updated.v1",
    "credit_note.issued.v1",
    "customer.created.v1",
    "customer.erased.v1",
    "customer.linked.v1",
    "customer.updated.v1",
    "dispute.accepted.v1",
    "dispute.evidence_added.v1",
    "dispute.lost.v1",
    "dispute.opened.v1",
    "dispute.won.v1",
    "dock_match.cancelled.v1",
    "dock_match.done.v1",
    "dock_match.planned.v1",
    "dock_match.received.v1",
    "fulfilment_order.accepted.v1",
    "fulfilment_order.cancel_rejected.v1",
    "fulfilment_order.cancel_requested.v1",
    "fulfilment_order.cancelled.v1",
    "fulfilment_order.corrected.v1",
    "fulfilment_order.declined.v1",
    "fulfilment_order.held.v1",
    "fulfilment_order.moved.v1",
    "fulfilment_order.opened.v1",
    "fulfilment_order.packed.v1",
    "fulfilment_order.picked.v1",
    "fulfilment_order.ready_to_collect.v1",
    "fulfilment_order.redirected.v1",
    "fulfilment_order.released.v1",
    "fulfilment_order.rescheduled.v1",
    "inbound_shipment.announced.v1",
    "inbound_shipment.arrived.v1",
    "inbound_shipment.cancelled.v1",
    "inbound_shipment.closed.v1",
    "inbound_shipment.corrected.v1",
    "inbound_shipment.received.v1",
    "inbound_shipment.rescheduled.v1",
    "invoice.issued.v1",
    "invoice.recorded.v1",
    "order.amended.v1",
    "order.cancelled.v1",
    "order.confirmation_requested.v1",
    "order.delivery_changed.v1",
    "order.erased.v1",
    "order.held.v1",
    "order.line_cancelled.v1",
    "order.noted.v1",
    "order.placed.v1",
    "order.promise_changed.v1",
    "order.referenced.v1",
    "order.released.v1",
    "order.split.v1",
    "order.tagged.v1",
    "payment.authorised.v1",
    "payment.captured.v1",
    "payment.operation_failed.v1",
    "payment.refund_requested.v1",
    "payment.refunded.v1",
    "payment.reminder_due.v1",
    "payment.renewal_refused.v1",
    "payment.renewed.v1",
    "payment.voided.v1",
    "payment_request.created.v1",
    "payment_request.updated.v1",
    "purchase_order.cancelled.v1",
    "purchase_order.closed.v1",
    "purchase_order.corrected.v1",
    "purchase_order.ordered.v1",
    "purchase_order.received.v1",
    "quote.requested.v1",
    "quote.updated.v1",
    "recurring_order.failed.v1",
    "recurring_order.ordered.v1",
    "return.approved.v1",
    "return.arrived.v1",
    "return.cancelled.v1",
    "return.exchanged.v1",
    "return.expired.v1",
    "return.in_transit.v1",
    "return.inspected.v1",
    "return.received.v1",
    "return.rejected.v1",
    "return.requested.v1",
    "return.settled.v1",
    "shipment.attempt_failed.v1",
    "shipment.corrected.v1",
    "shipment.delivered.v1",
    "shipment.in_transit.v1",
    "shipment.lost.v1",
    "shipment.out_for_delivery.v1",
    "shipment.returned_to_sender.v1",
    "shipment.scanned.v1",
    "shipment.shipped.v1",
    "stock.adjusted.v1",
    "stock.back.v1",
    "stock.changed.v1",
    "stock.low.v1",
    "stock.reorder.v1",
    "stored_value.booked.v1",
    "stored_value.updated.v1",
    "supplier_order.acknowledged.v1",
    "supplier_order.invoiced.v1",
    "supplier_order.refused.v1",
    "transfer.cancelled.v1",
    "transfer.closed.v1",
    "transfer.corrected.v1",
    "transfer.received.v1",
    "transfer.shipped.v1",
    "warranty.claimed.v1",
    "warranty.corrected.v1",
    "warranty.ended.v1",
    "warranty.registered.v1",
    "withdrawal.carried_out.v1",
    "withdrawal.confirmed.v1",
    "withdrawal.declared.v1",
    "withdrawal.refund_due.v1",
    "withdrawal.refund_overdue.v1",
];

/// Whether a text may be the beginning of some type's name, by what the feeds hold.
#[must_use]
pub fn is_of_some_type(text: &str) -> bool {
    let mut beginnings = Feed::ALL.iter().flat_map(|feed| feed.prefixes());
    beginnings.any(|beginning| text.starts_with(beginning) || beginning.starts_with(text))
}

crate::words! {
    /// Which document an item carries.
    pub enum View {
        /// The event's own: as it was then.
        AtEvent = "at_event",
        /// The thing's newest.
        Current = "current",
    }
}

crate::words! {
    /// Where an item of a consumer stands.
    pub enum ItemState {
        /// Handed out, not acknowledged.
        Leased = "leased",
        /// Waits behind an earlier item of its stream, or to be handed out again.
        Waiting = "waiting",
        /// Set aside: later events of its stream wait.
        Parked = "parked",
        /// Given up with a reason.
        Skipped = "skipped",
    }
}

/// An event in a feed.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct FeedItem {
    /// The event; with `view=current` its `data` is the thing's newest document.
    #[serde(flatten)]
    pub event: Event,
    /// How often it has been handed to the consumer, this time included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
}

/// A page of a feed.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct FeedPage {
    /// The events, in order.
    pub items: Vec<FeedItem>,
    /// Without a consumer: send it as `after` next time, even when there was no item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// With a consumer: send it with `ack` and `nack`. Absent when there was no item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// Until when the items are yours alone; then they are handed out again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Instant>,
    /// Whether there is more to fetch at once.
    pub has_more: bool,
}

/// A place in the log, as cursors carry it: epoch and position.
pub type Place = (String, i64);

/// A consumer as it is kept.
#[derive(Debug, Clone)]
pub struct Consumer {
    /// Its id.
    pub id: ConsumerId,
    /// Its name among those of its principal.
    pub name: String,
    /// What it reads; see [`binding`].
    pub binding: String,
    /// Everything up to here has been handed out or waits among its items.
    pub position: i64,
    /// The log's epoch for which the position holds.
    pub epoch: String,
    /// Rises with everything that happens to it: what was planned on one version is written on that version only.
    pub version: i64,
    /// Since when.
    pub created_at: Instant,
    /// The last poll that brought something, or the last acknowledgement.
    pub updated_at: Instant,
}

/// What a consumer reads, as text: polls that ask for something else under its name would skip events unseen.
#[must_use]
pub fn binding(feed: Feed, types: &[String], include_test: bool) -> String {
    let whole = types.iter().map(String::as_str).eq(feed.prefixes().iter().copied());
    let types = if whole { String::new() } else { format!(" types={}", types.join(",")) };
    format!("{feed}{types}{}", if include_test { " include_test" } else { "" })
}

/// Whether what a consumer reads, as [`binding`] has it, holds events of a type; of test channels, when `test`.
#[must_use]
pub fn holds(binding: &str, kind: &str, test: bool) -> bool {
    let mut words = binding.split(' ');
    let feed: Option<Feed> = words.next().and_then(|feed| feed.parse().ok());
    let Some(feed) = feed else { return false };
    let rest: Vec<&str> = words.collect();
    let narrowed = rest.iter().find_map(|word| word.strip_prefix("types="));
    let of_type = match narrowed {
        Some(types) => types.split(',').any(|prefix| kind.starts_with(prefix)),
        None => feed.prefixes().is_empty() || feed.prefixes().iter().any(|prefix| kind.starts_with(prefix)),
    };
    of_type && (!test || rest.contains(&"include_test"))
}

/// Whether a principal, as [`principal`] has it, is shown the events of a channel.
#[must_use]
pub fn is_shown(principal: &str, channel: ChannelId) -> bool {
    let limit = principal.split(' ').find(|word| word.starts_with("chan_"));
    limit.is_none_or(|channels| channels.split(',').any(|own| own == channel.to_string()))
}

/// Whose consumers these are. Who is limited to channels or locations has others than the same client without the limit,
/// so that no cursor passes by what one of them was not shown.
#[must_use]
pub fn principal(actor: &Actor) -> String {
    let mut name = actor.label();
    let channels = actor.channels().map(|channels| channels.iter().map(ToString::to_string).collect());
    let locations = actor.locations().map(|locations| locations.iter().map(ToString::to_string).collect());
    for limits in [channels, locations].into_iter().flatten() {
        let mut limits: Vec<String> = limits;
        limits.sort();
        name = format!("{name} {}", limits.join(","));
    }
    name
}

/// Whose consumers are meant by a [`principal`]: the client, and what it is limited to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The id of an API key, or the subject of a token.
    pub client: String,
    /// The channels it is limited to; `None` is all.
    pub channels: Option<Vec<ChannelId>>,
    /// The locations it is limited to; `None` is all.
    pub locations: Option<Vec<LocationId>>,
}

impl Owner {
    /// Reads a principal. Limits stand behind the name, each kind in one word.
    #[must_use]
    pub fn of(principal: &str) -> Self {
        fn limits<T: FromStr>(name: &mut &str) -> Option<Vec<T>> {
            let (before, last) = name.rsplit_once(' ')?;
            let ids: Vec<T> = last.split(',').map(str::parse).collect::<std::result::Result<_, _>>().ok()?;
            *name = before;
            Some(ids)
        }
        let mut name = principal;
        let (locations, channels) = (limits(&mut name), limits(&mut name));
        Self { client: name.trim_start_matches("client:").to_owned(), channels, locations }
    }

    /// Whether somebody may see and move what is theirs: who is limited to channels or locations, only what stays within.
    #[must_use]
    pub fn is_visible_to(&self, actor: &Actor) -> bool {
        fn within<T: PartialEq>(own: Option<&[T]>, wanted: Option<&[T]>) -> bool {
            own.is_none_or(|own| wanted.is_some_and(|wanted| wanted.iter().all(|one| own.contains(one))))
        }
        within(actor.channels(), self.channels.as_deref()) && within(actor.locations(), self.locations.as_deref())
    }

    /// Whether both are shown the same events.
    #[must_use]
    pub fn sees_as(&self, other: &Self) -> bool {
        self.channels == other.channels && self.locations == other.locations
    }
}

/// What a consumer reads after a seek, which says of its types and of test channels what is to be another than before.
///
/// # Errors
/// `invalid_query` as [`Feed::types`].
pub fn rebound(binding: &str, feed: Feed, types: Option<Option<&str>>, include_test: Option<bool>) -> Result<String> {
    let before = binding.split(' ').find_map(|word| word.strip_prefix("types="));
    let types = feed.types(types.unwrap_or(before))?;
    Ok(self::binding(
        feed,
        &types,
        include_test.unwrap_or_else(|| binding.split(' ').any(|word| word == "include_test")),
    ))
}

/// An item that may be handed out now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The event's position.
    pub position: i64,
    /// Its stream.
    pub stream: String,
    /// How often it has been handed out.
    pub attempt: i64,
}

/// What becomes of the items that are due again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Triage {
    /// Those that are handed out.
    pub handed: Vec<Due>,
    /// Those that have been handed out too often: they are set aside.
    pub poison: Vec<Due>,
    /// Whether some have to wait for the next poll.
    pub held_back: bool,
}

/// Sorts out what has been handed out `most` times without an answer. From half of that on an item is handed out alone:
/// a consumer that breaks down over one item of a batch must not see the whole batch set aside.
#[must_use]
pub fn triage(due: Vec<Due>, most: i64) -> Triage {
    let suspicious = (most + 1) / 2;
    let mut triage = Triage::default();
    for item in due {
        let follows = triage.poison.iter().any(|poison| poison.stream == item.stream);
        if item.attempt >= most && !follows {
            triage.poison.push(item);
        } else if triage.held_back || follows {
            triage.held_back = true;
        } else if item.attempt < suspicious.max(1) {
            triage.handed.push(item);
        } else {
            triage.held_back = true;
            if triage.handed.is_empty() {
                triage.handed.push(item);
            }
        }
    }
    triage
}

/// An event that the cursor passes for the first time.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// The event.
    pub event: Event,
    /// Handed out now, or to wait behind its stream.
    pub handed: bool,
}

/// What becomes of the events after a consumer's cursor.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Those that are handed out or must wait, in order.
    pub fresh: Vec<Fresh>,
    /// The new cursor.
    pub position: i64,
    /// Whether the room ran out before the events did.
    pub full: bool,
}

/// Plans a step of the cursor over `found`, the events that the consumer wants up to `seen`. Events of `blocked` streams
/// wait: an earlier one is parked or in somebody's hands.
#[must_use]
pub fn plan(found: Vec<Event>, seen: i64, blocked: &HashSet<String>, room: usize) -> Plan {
    let mut plan = Plan { position: seen, ..Plan::default() };
    let mut handed = 0;
    for event in found {
        let waits = blocked.contains(&event.stream);
        if !waits && handed == room {
            plan.full = true;
            plan.position = event.position - 1;
            break;
        }
        handed += usize::from(!waits);
        plan.fresh.push(Fresh { event, handed: !waits });
    }
    plan
}

/// Names an item: its position or its event's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged, expecting = "expected a position or the id of an event")]
pub enum ItemRef {
    /// The position.
    Position(i64),
    /// The event's id.
    Event(EventId),
}

crate::words! {
    /// What came of one item of an acknowledgement.
    pub enum ItemOutcome {
        /// It is done.
        Acked = "acked",
        /// It is set aside; later events of its stream wait.
        Parked = "parked",
        /// It had been done before.
        AlreadyDone = "already_done",
        /// Its lease has passed to somebody else.
        LeaseLost = "lease_lost",
        /// It, or an earlier event of its stream, is set aside or in other hands: it waits and will be handed out again.
        StreamParked = "stream_parked",
        /// It was never handed out.
        Unknown = "unknown",
    }
}

/// One outstanding item, as an acknowledgement finds it.
#[derive(Debug, Clone)]
pub struct Outstanding {
    /// Where it stands.
    pub state: ItemState,
    /// Under which lease.
    pub lease: Option<String>,
}

/// What an acknowledgement under `lease` does to an item; `done` is what it does to those that are in hand.
#[must_use]
pub fn judge(found: Option<&Outstanding>, is_passed: bool, lease: &str, done: ItemOutcome) -> ItemOutcome {
    match found {
        None if is_passed => ItemOutcome::AlreadyDone,
        None => ItemOutcome::Unknown,
        Some(item) => match item.state {
            ItemState::Leased if item.lease.as_deref() == Some(lease) => done,
            ItemState::Leased => ItemOutcome::LeaseLost,
            ItemState::Parked if done == ItemOutcome::Parked => ItemOutcome::Parked,
            ItemState::Parked | ItemState::Waiting => ItemOutcome::StreamParked,
            ItemState::Skipped => ItemOutcome::AlreadyDone,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_narrow_a_feed_and_never_widen_it() {
        assert_eq!(Feed::Orders.types(Some("order.placed.v1,payment.")).unwrap(), ["order.placed.v1", "payment."]);
        assert_eq!(Feed::Fulfilments.types(Some("ship")).unwrap(), ["shipment."]);
        assert_eq!(Feed::All.types(Some("stock.")).unwrap(), ["stock."]);
        assert!(Feed::All.types(None).unwrap().is_empty());
        for wrong in ["stock.", "", "order.,", "Order.", "o%"] {
            assert!(Feed::Orders.types(Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_consumer_reads_is_read_back_from_its_binding() {
        let narrowed = binding(Feed::Orders, &["order.placed".to_owned(), "payment.".to_owned()], false);
        assert!(holds(&narrowed, "payment.captured.v1", false) && !holds(&narrowed, "order.cancelled.v1", false));
        assert!(!holds(&narrowed, "order.placed.v1", true));
        let all = binding(Feed::All, &[], true);
        assert!(holds(&all, "stock.adjusted.v1", true));
        let whole: Vec<String> = Feed::Stock.types(None).unwrap();
        assert!(!holds(&binding(Feed::Stock, &whole, false), "order.placed.v1", false));
        let (own, other) = (ChannelId::new(), ChannelId::new());
        let limited = format!("client:erp {own}");
        assert!(is_shown("client:erp", other) && is_shown(&limited, own) && !is_shown(&limited, other));
    }

    fn event(position: i64, stream: &str) -> Event {
        let at: Instant = "2026-03-02T09:00:00Z".parse().unwrap();
        Event {
            position,
            id: EventId::new(),
            stream: stream.into(),
            aggregate: "order".into(),
            aggregate_id: stream.into(),
            aggregate_version: 1,
            channel_id: None,
            kind: "order.placed.v1".into(),
            occurred_at: at,
            recorded_at: at,
            actor: "guest".into(),
            data: serde_json::Value::Null,
        }
    }

    #[test]
    fn what_is_handed_out_again_and_again_is_handed_out_alone_and_in_the_end_set_aside() {
        let due = |position, stream: &str, attempt| Due { position, stream: stream.into(), attempt };
        let positions = |items: &[Due]| items.iter().map(|item| item.position).collect::<Vec<_>>();
        let sorted = |items: &[Due], most| {
            let Triage { handed, poison, held_back } = triage(items.to_vec(), most);
            (positions(&handed), positions(&poison), held_back)
        };
        let fresh = [due(1, "a", 1), due(2, "b", 0), due(3, "a", 1)];
        assert_eq!(sorted(&fresh, 20), (vec![1, 2, 3], vec![], false));
        let one_bad = [due(1, "a", 1), due(2, "b", 10), due(3, "a", 1)];
        assert_eq!(sorted(&one_bad, 20), (vec![1], vec![], true));
        let alone = [due(2, "b", 10), due(3, "a", 10)];
        assert_eq!(sorted(&alone, 20), (vec![2], vec![], true));
        let too_often = [due(2, "b", 20), due(3, "a", 1), due(4, "b", 20), due(5, "c", 20)];
        assert_eq!(sorted(&too_often, 20), (vec![3], vec![2, 5], true));
        assert_eq!(sorted(&[due(1, "a", 0), due(2, "b", 1)], 1), (vec![1], vec![2], false));
    }

    #[test]
    fn blocked_streams_wait_and_the_cursor_stops_before_what_had_no_room() {
        let blocked = HashSet::from(["b".to_owned()]);
        let found = vec![event(3, "a"), event(5, "b"), event(6, "a"), event(7, "b"), event(9, "c")];
        let all = plan(found.clone(), 12, &blocked, 10);
        let handed: Vec<(i64, bool)> = all.fresh.iter().map(|fresh| (fresh.event.position, fresh.handed)).collect();
        assert_eq!(handed, [(3, true), (5, false), (6, true), (7, false), (9, true)]);
        assert_eq!((all.position, all.full), (12, false));
        let two = plan(found, 12, &blocked, 2);
        assert_eq!((two.fresh.len(), two.position, two.full), (4, 8, true));
    }
}
