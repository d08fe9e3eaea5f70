//! What was promised and what happened: how many parcels left and arrived in time, of each location and carrier.

use actix_web::get;
use diesel::sql_types::{BigInt, Nullable, Text};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    channels::Directory,
    db::{Bind, Col, Tx, UidSql, dialect, sql},
    error::{Error, Result},
    http::{Call, Mount, Params, Reply},
    kernel::{
        Actor, Instant, Moment, Scope,
        ids::{ChannelId, LocationId},
    },
    stock::Locations,
};

/// Which parcels are counted.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OnTimeQuery {
    /// Those that left since: an instant, or a day; the last 30 days where it is left out.
    #[param(value_type = Option<String>)]
    from: Option<Moment>,
    /// Those that left before: an instant, or the end of a day; until now where it is left out.
    #[param(value_type = Option<String>)]
    to: Option<Moment>,
    /// Of orders of this channel.
    channel: Option<ChannelId>,
}

/// How many parcels of a location by a carrier left and arrived in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
struct OnTime {
    /// The location's code.
    location: String,
    /// The location's id.
    location_id: LocationId,
    /// Who carried them; absent where nobody said.
    #[serde(skip_serializing_if = "Option::is_none")]
    carrier: Option<String>,
    /// Parcels that left.
    shipped: i64,
    /// Those that left before they were due.
    shipped_on_time: i64,
    /// Parcels that have arrived, of orders that were promised a day.
    delivered: i64,
    /// Those that arrived before that day was over.
    delivered_on_time: i64,
    /// Parcels of orders that were promised a day which is over, and that have not arrived.
    overdue: i64,
    /// `shipped_on_time` of `shipped`, in thousandths.
    #[schema(minimum = 0, maximum = 1000)]
    shipped_per_mille: i64,
    /// `delivered_on_time` of `delivered` and `overdue`, in thousandths; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1000)]
    delivered_per_mille: Option<i64>,
    /// Parcels that have arrived, of orders that were told a day when they were placed or later: the day that was told last counts.
    told_delivered: i64,
    /// Those that arrived before that day was over.
    told_on_time: i64,
    /// Parcels of orders whose day that was told last is over, and that have not arrived.
    told_overdue: i64,
    /// `told_on_time` of `told_delivered` and `told_overdue`, in thousandths; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1000)]
    told_per_mille: Option<i64>,
}

/// What was promised and what happened.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct OnTimeReport {
    /// By location, then carrier.
    items: Vec<OnTime>,
}

type Columns = (UidSql, Nullable<Text>, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt);
type Row = (LocationId, Option<String>, i64, i64, [i64; 3], [i64; 3]);

/// Counts the parcels that left within a span, of what the actor sees. One statement.
fn counted(
    tx: &mut Tx,
    actor: &Actor,
    now: Instant,
    (from, to): (Instant, Instant),
    channel: Option<ChannelId>,
) -> Result<Vec<Row>> {
    const COUNT: &str = "CAST(count(CASE WHEN";
    // Of several deliveries each has its own.
    const PROMISED: &str = "coalesce(f.promised_until, p.promised_until)";
    // The same as it was told last. That nobody knows any more is no day: the one told before counts.
    const TOLD: &str = "coalesce(f.told_until, f.promised_until, w.told_until, p.promised_until)";
    let list = dialect::list(tx, &[("seen", Col::Uid)]);
    let mut query = format!(
        "SELECT f.location_id, s.carrier, count(*), {COUNT} s.shipped_at <= f.due_at THEN 1 END) AS BIGINT), \
           {COUNT} s.delivered_at IS NOT NULL AND {PROMISED} IS NOT NULL THEN 1 END) AS BIGINT), \
           {COUNT} s.delivered_at <= {PROMISED} THEN 1 END) AS BIGINT), \
           {COUNT} s.delivered_at IS NULL AND {PROMISED} <= ? THEN 1 END) AS BIGINT), \
           {COUNT} s.delivered_at IS NOT NULL AND {TOLD} IS NOT NULL THEN 1 END) AS BIGINT), \
           {COUNT} s.delivered_at <= {TOLD} THEN 1 END) AS BIGINT), \
           {COUNT} s.delivered_at IS NULL AND {TOLD} <= ? THEN 1 END) AS BIGINT) \
         FROM shipments AS s JOIN fulfilment_orders AS f ON f.id = s.fulfilment_order_id \
         LEFT JOIN delivery_promises AS p ON p.order_id = s.order_id \
         LEFT JOIN delivery_waits AS w ON w.order_id = s.order_id \
         WHERE s.shipped_at >= ? AND s.shipped_at < ? AND s.corrected_at IS NULL"
    );
    let mut binds: Vec<Bind> = vec![now.into(), now.into(), from.into(), to.into()];
    let mut and = |condition: String, bind: Option<Bind>| {
        if let Some(bind) = bind {
            query.push_str(&condition);
            binds.push(bind);
        }
    };
    and(" AND f.channel_id = ?".to_owned(), channel.map(Bind::from));
    let channels = actor.channels().map(|ids| dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect()));
    and(format!(" AND f.channel_id IN (SELECT seen FROM {list})"), channels);
    let locations = actor.locations().map(|ids| dialect::rows(ids.iter().map(|id| json!([id.hex()])).collect()));
    and(format!(" AND f.location_id IN (SELECT seen FROM {list})"), locations);
    query.push_str(" GROUP BY f.location_id, s.carrier");
    type Flat = (LocationId, Option<String>, i64, i64, i64, i64, i64, i64, i64, i64);
    let rows = sql(query).bind_all(binds).load::<Columns, Flat>(tx)?;
    let row = |(place, carrier, shipped, in_time, a, b, c, x, y, z): Flat| {
        (place, carrier, shipped, in_time, [a, b, c], [x, y, z])
    };
    Ok(rows.into_iter().map(row).collect())
}

fn told(row: Row, locations: &Locations) -> OnTime {
    let (location_id, carrier, shipped, shipped_on_time, promised, told) = row;
    let ([delivered, delivered_on_time, overdue], [told_delivered, told_on_time, told_overdue]) = (promised, told);
    let per_mille = |part: i64, all: i64| (part * 1000).checked_div(all);
    // A location that was made a moment ago in another process may not be known here yet.
    let location = locations.get(location_id).map(|one| one.code.clone()).unwrap_or_default();
    OnTime {
        location,
        location_id,
        carrier,
        shipped,
        shipped_on_time,
        delivered,
        delivered_on_time,
        overdue,
        shipped_per_mille: per_mille(shipped_on_time, shipped).unwrap_or_default(),
        delivered_per_mille: per_mille(delivered_on_time, delivered + overdue),
        told_delivered,
        told_on_time,
        told_overdue,
        told_per_mille: per_mille(told_on_time, told_delivered + told_overdue),
    }
}

/// See how much arrived when it was promised
///
/// Of each location and carrier: how many parcels left before they were due, and arrived before the day that was promised with the
/// order was over; and the same of the day that was told last, where the promise was moved; taken back, it counts none the less. Orders
/// whose shipping method says nothing of its days were promised none.
#[utoipa::path(tag = "ship", params(OnTimeQuery), security(("token" = ["fulfilment:read"])),
    responses((status = 200, body = OnTimeReport)))]
#[get("/reports/on-time")]
async fn report_on_time(call: Call, query: Params<OnTimeQuery>) -> Result<Reply> {
    let (actor, now) = (call.allow(Scope::FulfilmentRead)?.clone(), call.now);
    let (wanted, locations) = (query.0.clone(), call.snapshot::<Locations>().await?);
    let directory = call.snapshot::<Directory>().await?;
    if let Some(channel) = wanted.channel
        && !(actor.sees_channel(channel) && directory.knows(channel))
    {
        return Err(Error::not_found("channel").at("channel"));
    }
    let span = directory.span(&actor, wanted.channel, ("from", wanted.from), ("to", wanted.to))?;
    let (from, to) = (span.0.unwrap_or(now.plus_seconds(-30 * 86_400)), span.1.unwrap_or(now));
    let channel = wanted.channel;
    let rows = call.read(move |tx| counted(tx, &actor, now, (from, to), channel)).await?;
    let mut items: Vec<OnTime> = rows.into_iter().map(|row| told(row, &locations)).collect();
    items.sort_by(|a, b| (&a.location, &a.carrier).cmp(&(&b.location, &b.carrier)));
    Reply::ok(&OnTimeReport { items })
}

/// The route of the ops surface.
pub(super) fn ops(config: &mut Mount<'_>) {
    config.service(report_on_time);
}
