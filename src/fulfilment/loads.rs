//! How much work locations have taken on today: counted now and then for the sourcing profiles that ask for capacity.

use std::sync::Arc;

use chrono::NaiveDate;
use diesel::sql_types::BigInt;
use serde_json::json;

use crate::{
    db::{Col, Lane, Tx, UidSql, dialect, sql},
    error::Result,
    http::State,
    jobs::Runner,
    kernel::{Id, Instant, ids, ids::LocationId, local},
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

/// The locations that say how many orders they can take, each with its local day and when that began.
fn counted(locations: &Locations, now: Instant) -> Vec<(LocationId, NaiveDate, Instant)> {
    let limited = locations.active().filter(|location| location.site.orders_per_day.is_some());
    let today = limited.map(|location| {
        let zone = location.time_zone.0;
        let day = local::day_of(zone, now);
        (location.id, day, local::start_of_day(zone, day))
    });
    today.collect()
}

/// How many fulfilment orders each location has got since its day began, whatever became of them but cancelled ones.
fn loads(tx: &mut Tx, counted: &[(LocationId, NaiveDate, Instant)]) -> Result<Vec<(LocationId, NaiveDate, i64)>> {
    let list = dialect::list(tx, &[("place", Col::Uid), ("first", Col::Uid)]);
    // Ids begin with the time at which they were made: today's lie at the end of the table.
    let query = format!(
        "SELECT place, (SELECT count(*) FROM fulfilment_orders AS f WHERE f.location_id = place AND f.id >= first \
           AND f.state <> 'cancelled') FROM {list}"
    );
    let row = |(location, _, begins): &(LocationId, NaiveDate, Instant)| {
        json!([location.hex(), Id::<ids::FulfilmentOrder>::first_at(*begins).hex()])
    };
    let rows = sql(query).bind(dialect::rows(counted.iter().map(row).collect()));
    let found = rows.load::<(UidSql, BigInt), (LocationId, i64)>(tx)?;
    let day = |(location, orders)| {
        let (_, day, _) = counted.iter().find(|(id, _, _)| *id == location)?;
        Some((location, *day, orders))
    };
    Ok(found.into_iter().filter_map(day).collect())
}
