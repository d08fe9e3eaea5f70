//! How much work locations have taken on today: counted now and then for the sourcing profiles that ask for capacity; and what of it is
//! too much, or can not be done where it is.

use std::{collections::HashMap, sync::Arc};

use chrono::NaiveDate;
use diesel::sql_types::BigInt;
use serde_json::json;

use crate::{
    db::{Col, Lane, Tx, UidSql, dialect, sql},
    error::Result,
    http::State,
    jobs::Runner,
    kernel::{
        Id, Instant, ids,
        ids::{FulfilmentOrderId, LocationId},
        local,
    },
    stock::{Locations, sourcing},
};

/// So often it is counted.
const EVERY_SECONDS: i64 = 30;

/// Registers the schedule.
pub(super) fn register(state: &State, runner: &mut Runner) {
    let db = Arc::new(state.db.clone());
    runner.every("fulfilment.count-loads", EVERY_SECONDS, move |now| {
        let db = db.clone();
        async move {
            let locations = db.snapshot::<Locations>().await?;
            let counted = counted(&locations, now);
            if counted.is_empty() {
                return Ok(());
            }
            db.write_in(Lane::Bulk, move |tx| {
                let loads = loads(tx, &counted)?;
                sourcing::count_loads(tx, now, &loads)
            })
            .await
        }
    });
}

/// The day of a location that says how many orders it can take, by its clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Today {
    pub location: LocationId,
    /// How many orders it can take in a day.
    pub most: Option<i64>,
    day: NaiveDate,
    /// When the day began.
    pub begins: Instant,
    /// When the next one begins.
    pub ends: Instant,
}

/// The active locations that say how many orders they can take, each with its local day.
pub(super) fn counted(locations: &Locations, now: Instant) -> Vec<Today> {
    let limited = locations.active().filter(|location| location.site.orders_per_day.is_some());
    let today = limited.map(|location| {
        let zone = location.time_zone.0;
        let day = local::day_of(zone, now);
        Today {
            location: location.id,
            most: location.site.orders_per_day,
            day,
            begins: local::start_of_day(zone, day),
            ends: local::start_of_day(zone, day.succ_opt().unwrap_or(day)),
        }
    });
    today.collect()
}

/// How many fulfilment orders each location has got since its day began, whatever became of them but cancelled ones.
fn loads(tx: &mut Tx, counted: &[Today]) -> Result<Vec<(LocationId, NaiveDate, i64)>> {
    let list = dialect::list(tx, &[("place", Col::Uid), ("first", Col::Uid)]);
    // Ids begin with the time at which they were made: today's lie at the end of the table.
    let query = format!(
        "SELECT place, (SELECT count(*) FROM fulfilment_orders AS f WHERE f.location_id = place AND f.id >= first \
           AND f.state <> 'cancelled') FROM {list}"
    );
    let row = |one: &Today| json!([one.location.hex(), Id::<ids::FulfilmentOrder>::first_at(one.begins).hex()]);
    let rows = sql(query).bind(dialect::rows(counted.iter().map(row).collect()));
    let found = rows.load::<(UidSql, BigInt), (LocationId, i64)>(tx)?;
    let day = |(location, orders)| {
        let day = counted.iter().find(|one| one.location == location)?.day;
        Some((location, day, orders))
    };
    Ok(found.into_iter().filter_map(day).collect())
}

/// Nothing holds it, nobody has asked to cancel it, and no supplier has answered it.
const FREE: &str = "f.doc->'cancel_request'->>'at' IS NULL AND NOT EXISTS (SELECT 1 FROM fulfilment_holds AS h \
     WHERE h.fulfilment_order_id = f.id AND h.released_at IS NULL) AND NOT EXISTS (SELECT 1 FROM supplier_orders AS said \
     WHERE said.fulfilment_order_id = f.id AND said.state <> 'pending')";

/// Up to so many fulfilment orders at locations of which something is not picked that nothing holds and no supplier has answered, the oldest first.
pub(super) fn unpicked_at(tx: &mut Tx, places: &[LocationId], limit: i64) -> Result<Vec<FulfilmentOrderId>> {
    let list = dialect::list(tx, &[("place", Col::Uid)]);
    let query = format!(
        "SELECT f.id FROM fulfilment_orders AS f WHERE f.location_id IN (SELECT place FROM {list}) \
         AND f.state NOT IN ('shipped', 'delivered', 'cancelled') AND {FREE} AND EXISTS (SELECT 1 FROM fulfilment_lines AS l \
           WHERE l.fulfilment_order_id = f.id AND l.quantity - l.cancelled - l.picked > 0) ORDER BY f.id LIMIT ?"
    );
    let wanted = dialect::rows(places.iter().map(|id| json!([id.hex()])).collect());
    sql(query).bind(wanted).bind(limit).load::<UidSql, FulfilmentOrderId>(tx)
}

/// How many fulfilment orders locations have to do within a day: those that are due by its end and have not left, and those that left
/// since it began.
pub(super) fn due_within(tx: &mut Tx, days: &[(LocationId, Instant, Instant)]) -> Result<HashMap<LocationId, i64>> {
    let list = dialect::list(tx, &[("place", Col::Uid), ("begins", Col::At), ("ends", Col::At)]);
    let query = format!(
        "SELECT place, CAST((SELECT count(*) FROM fulfilment_orders AS f WHERE f.location_id = place AND f.due_at <= ends \
             AND f.state IN ('open', 'picking', 'picked', 'packed', 'partially_shipped')) \
           + (SELECT count(DISTINCT f.id) FROM shipments AS s JOIN fulfilment_orders AS f ON f.id = s.fulfilment_order_id \
             WHERE s.shipped_at >= begins AND f.location_id = place AND f.state IN ('shipped', 'delivered')) AS BIGINT) FROM {list}"
    );
    let row = |(place, begins, ends): &(LocationId, Instant, Instant)| {
        json!([place.hex(), begins.sortable(), ends.sortable()])
    };
    let rows = sql(query).bind(dialect::rows(days.iter().map(row).collect()));
    Ok(rows.load::<(UidSql, BigInt), (LocationId, i64)>(tx)?.into_iter().collect())
}

/// Up to so many fulfilment orders of a location that are due by an instant and of which nothing is picked and that nothing holds: what
/// is least urgent first.
pub(super) fn least_urgent(
    tx: &mut Tx,
    location: LocationId,
    by: Instant,
    limit: i64,
) -> Result<Vec<FulfilmentOrderId>> {
    let query = format!(
        "SELECT f.id FROM fulfilment_orders AS f WHERE f.location_id = ? AND f.state = 'open' AND f.due_at <= ? AND {FREE} \
         ORDER BY f.priority, f.due_at DESC, f.id DESC LIMIT ?"
    );
    sql(query).bind(location).bind(by).bind(limit).load::<UidSql, FulfilmentOrderId>(tx)
}
