//! How far two places are apart on earth. Pure.

use super::super::site::Position;

/// The earth's mean radius in metres (IUGG).
const RADIUS: f64 = 6_371_008.8;

/// The way between two places along the surface of a sphere, in metres (haversine): half a per cent from the true one at most.
///
/// Here alone floating point is reckoned with: angles are no money, and what comes out is rounded to whole metres.
#[expect(
    clippy::float_arithmetic,
    clippy::cast_possible_truncation,
    reason = "trigonometry; the result is whole metres"
)]
#[must_use]
pub fn metres(from: Position, to: Position) -> i64 {
    let radians = |millionths: i64| (millionths as f64 / 1e6).to_radians();
    let (lat_a, lat_b) = (radians(from.latitude.millionths()), radians(to.latitude.millionths()));
    let turn = radians(to.longitude.millionths() - from.longitude.millionths());
    let half = |angle: f64| (angle / 2.0).sin().powi(2);
    let chord = half(lat_b - lat_a) + lat_a.cos() * lat_b.cos() * half(turn);
    (2.0 * RADIUS * chord.sqrt().min(1.0).asin()).round() as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::super::site::Degrees, *};

    fn at(latitude: &str, longitude: &str) -> Position {
        Position { latitude: latitude.parse().unwrap(), longitude: longitude.parse().unwrap() }
    }

    #[test]
    fn distances_are_those_of_an_atlas() {
        let (berlin, bremen) = (at("52.520008", "13.404954"), at("53.0793", "8.8017"));
        // 315 km as the crow flies.
        assert!((314_000..317_000).contains(&metres(berlin, bremen)), "{}", metres(berlin, bremen));
        let sydney = at("-33.8688", "151.2093");
        assert!((16_080_000..16_120_000).contains(&metres(berlin, sydney)), "{}", metres(berlin, sydney));
        // Over the date line it is near.
        assert!(metres(at("0", "179.9"), at("0", "-179.9")) < 23_000);
        // Half way round the world.
        assert!((20_015_000..20_015_200).contains(&metres(at("0", "0"), at("0", "180"))));
    }

    proptest! {
        #[test]
        fn there_is_as_far_as_back_and_nobody_is_far_from_where_they_are(
            a in (-90_000_000i64..=90_000_000, -180_000_000i64..=180_000_000),
            b in (-90_000_000i64..=90_000_000, -180_000_000i64..=180_000_000),
        ) {
            let place = |(latitude, longitude)| Position {
                latitude: Degrees::from_millionths(latitude),
                longitude: Degrees::from_millionths(longitude),
            };
            let (there, back) = (metres(place(a), place(b)), metres(place(b), place(a)));
            prop_assert!((there - back).abs() <= 1 && (0..=20_015_200).contains(&there));
            prop_assert_eq!(metres(place(a), place(a)), 0);
        }
    }
}
