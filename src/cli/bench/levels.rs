//! Filling the stock beside the shop that is measured: many levels, and reservations that carts hold of them.

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{
    cli::seed,
    db::{Col, Json, Lane, Tx, analyse, dialect::insert_list},
    error::{Error, Result},
    kernel::{
        Id, Instant,
        ids::{LocationId, Movement, Reservation, VariantId},
    },
    process::Process,
};

/// How many levels a transaction takes.
const CHUNK: u64 = 5_000;

const VARIANTS: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("sku", Col::Text),
    ("name", Col::Text),
    ("name_folded", Col::Text),
    ("tax_class", Col::Text),
    ("weight_grams", Col::Int),
    ("unit_code", Col::Text),
    ("requires_shipping", Col::Bool),
    ("stock_policy", Col::Text),
    ("backorder_policy", Col::Text),
    ("status", Col::Text),
    ("doc", Col::Doc),
    ("version", Col::Int),
    ("created_at", Col::At),
    ("updated_at", Col::At),
];
const LEVELS: &[(&str, Col)] = &[
    ("variant_id", Col::Uid),
    ("location_id", Col::Uid),
    ("on_hand", Col::Int),
    ("allocated", Col::Int),
    ("reserved", Col::Int),
    ("safety", Col::Int),
    ("version", Col::Int),
    ("updated_at", Col::At),
];
const MOVEMENTS: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("variant_id", Col::Uid),
    ("location_id", Col::Uid),
    ("kind", Col::Text),
    ("on_hand", Col::Int),
    ("allocated", Col::Int),
    ("actor", Col::Text),
    ("occurred_at", Col::At),
    ("recorded_at", Col::At),
];
const RESERVATIONS: &[(&str, Col)] = &[
    ("id", Col::Uid),
    ("cart_id", Col::Uid),
    ("line_no", Col::Int),
    ("variant_id", Col::Uid),
    ("location_id", Col::Uid),
    ("quantity", Col::Int),
    ("tracked", Col::Bool),
    ("state", Col::Text),
    ("expires_at", Col::At),
    ("created_at", Col::At),
];

/// Makes so many levels of as many variants at a location of their own, the first of which each have a live reservation.
pub(super) async fn fill(process: &Process, levels: u64, reservations: u64) -> Result<()> {
    if levels == 0 {
        return Ok(());
    }
    let now = process.state.clock.now();
    let code = format!("bench-filler-{}", now.micros());
    let place =
        json!({"code": code, "name": "Filler", "country": "DE", "time_zone": "Europe/Berlin", "priority": 900_000});
    let place = seed::Api::new(&process.state)?.post("/v1/ops/locations", &place).await?;
    let place = place.get("id").and_then(Value::as_str).ok_or_else(|| Error::internal("a location without an id"))?;
    let place: LocationId = place.parse().map_err(Error::internal)?;
    let bar = ProgressBar::new(levels);
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} levels, {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut from = 0;
    while from < levels {
        let to = (from + CHUNK).min(levels);
        let code = code.clone();
        let write = move |tx: &mut Tx| insert(tx, now, (&code, place), from..to, reservations);
        process.state.db.write_in(Lane::Bulk, write).await?;
        bar.inc(to - from);
        from = to;
    }
    bar.finish_and_clear();
    process.state.db.write_in(Lane::Bulk, analyse).await?;
    println!(
        "stock         {} levels more, {} live reservations",
        super::grouped(levels),
        super::grouped(reservations.min(levels))
    );
    Ok(())
}

fn insert(
    tx: &mut Tx,
    now: Instant,
    (code, place): (&str, LocationId),
    span: std::ops::Range<u64>,
    reservations: u64,
) -> Result<()> {
    let (at, until) = (now.sortable(), now.plus_seconds(7 * 86_400).sortable());
    let made: Vec<(u64, VariantId)> = span.map(|number| (number, Id::new())).collect();
    let variant = |(number, id): &(u64, VariantId)| {
        let sku = format!("{code}-{number}");
        json!([
            id.hex(),
            sku,
            "Filler",
            "filler",
            "standard",
            100,
            "C62",
            true,
            "tracked",
            "deny",
            "active",
            {},
            1,
            at,
            at
        ])
    };
    insert_list(tx, "variants", VARIANTS, Json::of(&made.iter().map(variant).collect::<Vec<_>>())?)?;
    let level = |(number, id): &(u64, VariantId)| {
        json!([id.hex(), place.hex(), 10, 0, u8::from(*number < reservations), 0, 1, at])
    };
    insert_list(tx, "stock_levels", LEVELS, Json::of(&made.iter().map(level).collect::<Vec<_>>())?)?;
    let movement = |(_, id): &(u64, VariantId)| {
        json!([Id::<Movement>::new().hex(), id.hex(), place.hex(), "receipt", 10, 0, "system:bench", at, at])
    };
    insert_list(tx, "stock_movements", MOVEMENTS, Json::of(&made.iter().map(movement).collect::<Vec<_>>())?)?;
    let held = made.iter().filter(|(number, _)| *number < reservations);
    let reservation = |(_, id): &(u64, VariantId)| {
        let (own, cart) = (Id::<Reservation>::new(), Id::<crate::kernel::ids::Cart>::new());
        json!([own.hex(), cart.hex(), 1, id.hex(), place.hex(), 1, true, "live", until, at])
    };
    let held: Vec<Value> = held.map(reservation).collect();
    insert_list(tx, "reservations", RESERVATIONS, Json::of(&held)?)?;
    Ok(())
}
