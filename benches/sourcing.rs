//! What it costs to decide where an order ships from: a simple order, and one of 500 lines among 200 locations, with a profile
//! and without. `cargo bench --bench sourcing` prints the figures; nothing is asserted about time.

#![allow(clippy::expect_used, reason = "a benchmark that can not be set up has nothing to measure")]

use std::{collections::HashMap, sync::Arc};

use divan::{Bencher, black_box};
use kontor::{
    kernel::{Capabilities, Id, Instant, ids},
    stock::{
        Available, Location, Locations, Need, Site,
        sourcing::{Facts, LineFacts, ProfileDocument, ProfileState, Sources, SourcingProfile, try_plan},
    },
};

fn main() {
    divan::main();
}

/// So many locations all over Germany, by the live profile where there is one.
fn locations(count: usize, document: Option<serde_json::Value>) -> Locations {
    let location = |number: usize| Location {
        id: Id::new(),
        code: format!("l{number:03}"),
        name: String::new(),
        country: "DE".parse().expect("a country"),
        time_zone: "Europe/Berlin".parse().expect("a zone"),
        priority: i64::try_from(number % 7).expect("small"),
        active: true,
        version: 1,
        site: serde_json::from_value::<Site>(serde_json::json!({"position": {
            "latitude": format!("{}.{:02}", 47 + number % 8, number % 97), "longitude": format!("{}.5", 6 + number % 9),
        }}))
        .expect("a site"),
        created_at: Instant::from_micros(0),
    };
    let profile = document.map(|document| SourcingProfile {
        id: Id::new(),
        code: "bench".to_owned(),
        version: 1,
        channel_id: None,
        state: ProfileState::Live,
        document: serde_json::from_value::<ProfileDocument>(document).expect("a document"),
        revision: 1,
        activated_at: Some(Instant::from_micros(0)),
        created_at: Instant::from_micros(0),
    });
    Locations::new((0..count).map(location).collect()).with(profile.into_iter().collect(), HashMap::new())
}

/// An order of so many lines, each of which lies at a few of the locations.
fn order(lines: i32, locations: &Locations) -> (Vec<Need>, Facts, Available) {
    let need = |line_no: i32| Need {
        place: 0,
        line_no,
        delivery: 0,
        variant: Id::<ids::Variant>::new(),
        quantity: 1 + i64::from(line_no % 3),
        tracked: true,
        backorder: false,
        requires: Capabilities::NONE,
    };
    let needs: Vec<Need> = (1..=lines).map(need).collect();
    let mut available = Available::default();
    for (row, need) in needs.iter().enumerate() {
        for (column, location) in locations.iter().enumerate() {
            // Scattered, the same every time; one location in eight has much of everything.
            let lies = (row * 31 + column * 17) % 11;
            let has = if column % 8 == 0 || lies < 3 { 2 + i64::try_from(lies).expect("small") } else { 0 };
            available.insert((need.variant, location.id), has);
        }
    }
    let weight = |need: &Need| (need.line_no, LineFacts { grams: 250, ..LineFacts::default() });
    let facts = Facts {
        channel: Id::new(),
        country: "DE".parse().expect("a country"),
        postcode: Some("28195".to_owned()),
        value: None,
        customer_group: None,
        tags: Vec::new(),
        at: Instant::from_micros(0),
        keeps_until: None,
        lines: Arc::new(needs.iter().map(weight).collect()),
        weight_grams: 250 * i64::from(lines),
        only: None,
        further: Vec::new(),
    };
    (needs, facts, available)
}

fn rules() -> serde_json::Value {
    serde_json::json!({
        "strategies": [{"name": "all", "weights": {"parcels": 500, "distance": 2, "priority": 1, "balance": 1}}],
        "destinations": [{"country": "DE", "postcode": "28", "position": {"latitude": "53.07", "longitude": "8.8"}}]
    })
}

const SIZES: [(i32, usize); 4] = [(1, 5), (5, 10), (5, 200), (500, 200)];

#[divan::bench(args = SIZES)]
fn by_a_profile(bencher: Bencher<'_, '_>, (lines, places): (i32, usize)) {
    let locations = locations(places, Some(rules()));
    let (needs, facts, available) = order(lines, &locations);
    bencher.bench(|| try_plan(black_box(&needs), Sources::of(&locations, &facts), &available).expect("a plan"));
}

#[divan::bench(args = SIZES)]
fn the_usual_way(bencher: Bencher<'_, '_>, (lines, places): (i32, usize)) {
    let locations = locations(places, None);
    let (needs, facts, available) = order(lines, &locations);
    bencher.bench(|| try_plan(black_box(&needs), Sources::of(&locations, &facts), &available).expect("a plan"));
}
