//! Sequences of prices as they happen, each worked out by hand.

use super::*;
use crate::kernel::Id;
use crate::pricing::rates::Audience;

/// An instant of a day, counted from an autumn's first.
fn day(day: i64) -> Instant {
    let first: Instant = "2026-09-01T00:00:00Z".parse().unwrap();
    first.plus_seconds(day * DAY)
}

fn eur() -> Currency {
    "EUR".parse().unwrap()
}

fn list(number: u8, kind: ListKind, from: Option<Instant>, until: Option<Instant>) -> PriceList {
    PriceList {
        id: Id::from_bytes([number; 16]),
        code: format!("list-{number}"),
        name: String::new(),
        currency: eur(),
        channel: None,
        audience: Audience::All,
        kind,
        announced_at: None,
        priority: 0,
        valid_from: from,
        valid_until: until,
        version: 1,
    }
}

/// An article's prices, written one after the other.
struct Story {
    lists: Vec<PriceList>,
    there: HashMap<Key, Price>,
    changes: Vec<Recorded>,
}

const BASE: u8 = 1;
const SALE: u8 = 2;

impl Story {
    /// With everyday prices, and a sale that is on whenever the article has a price in it.
    fn new() -> Self {
        let lists = vec![list(BASE, ListKind::Base, None, None), list(SALE, ListKind::Sale, None, None)];
        Self { lists, there: HashMap::new(), changes: Vec::new() }
    }

    /// On a day a list's price for a single piece becomes another, or goes.
    fn set(mut self, on: i64, list: u8, price: Option<&str>) -> Self {
        self.write(on, list, 1, price);
        self
    }

    fn write(&mut self, on: i64, list: u8, least: i64, price: Option<&str>) {
        let min_quantity = Quantity::new(least).unwrap();
        let key =
            Key { variant: Id::from_bytes([9; 16]), list: Id::from_bytes([list; 16]), min_quantity, valid_from: None };
        let amount = |text: &str| UnitPrice::parse(text, eur()).unwrap().scaled();
        let to = price.map(|text| Price { amount: amount(text), valid_until: None });
        let from = match to {
            Some(price) => self.there.insert(key, price),
            None => self.there.remove(&key),
        };
        self.changes.insert(0, Recorded { change: Difference { key, from, to }, at: day(on) });
    }

    fn look(&self, on: i64, perishable: bool) -> Option<Reduction> {
        let row = |(key, price): (&Key, &Price)| PriceRow {
            list: key.list,
            min_quantity: key.min_quantity,
            price: UnitPrice::from_scaled(price.amount, eur()),
            valid_from: key.valid_from,
            valid_until: price.valid_until,
        };
        let rows: Vec<PriceRow> = self.there.iter().map(row).collect();
        let known = Known {
            lists: &self.lists,
            rows: &rows,
            changes: &self.changes,
            channel: Id::from_bytes([7; 16]),
            currency: eur(),
            variant: Id::from_bytes([9; 16]),
            since: day(on).plus_seconds(-HORIZON_SECONDS),
        };
        known.reduction(day(on), perishable)
    }

    /// The price before, and the per cent.
    fn told(&self, on: i64) -> (Option<String>, Option<i64>) {
        told(self.look(on, false).unwrap())
    }
}

fn told(reduction: Reduction) -> (Option<String>, Option<i64>) {
    (reduction.prior.map(|price| price.decimal().normalize().to_string()), reduction.percent())
}

fn says(prior: &str, percent: impl Into<Option<i64>>) -> (Option<String>, Option<i64>) {
    (Some(prior.to_owned()), percent.into())
}

#[test]
fn what_cost_the_same_for_months_is_reduced_from_that() {
    // 100 since spring, 80 from the 1st of October on: (100 - 80) / 100 = 20 %.
    let story = Story::new().set(-150, BASE, Some("100")).set(30, SALE, Some("80"));
    assert_eq!(story.told(30), says("100", 20));
    // Two months into the sale the price before it is still that before it.
    assert_eq!(story.told(90), says("100", 20));
    assert_eq!(story.look(90, false).unwrap().since, day(30));
}

#[test]
fn what_was_raised_shortly_before_is_reduced_from_what_it_was() {
    // 100, raised to 130 ten days before it is cut to 90. The lowest of the 30 days before is 100: 10 %, and not 30 %.
    let story = Story::new().set(-60, BASE, Some("100")).set(20, BASE, Some("130")).set(30, SALE, Some("90"));
    assert_eq!(story.told(31), says("100", 10));
    assert_eq!(story.look(31, false).unwrap().last.unwrap().decimal().normalize().to_string(), "130");
    // Raised more than 30 days before, the higher price is the lowest of these days: (130 - 90) / 130 = 30.7 %.
    let story = Story::new().set(-60, BASE, Some("100")).set(-1, BASE, Some("130")).set(30, SALE, Some("90"));
    assert_eq!(story.told(31), says("130", 30));
}

#[test]
fn a_reduction_that_goes_on_falling_keeps_the_price_before_its_first_step() {
    // 100, then 90, 80 and 70, a week apart: 30 % in the third week, and so after two months.
    let story = Story::new().set(-60, BASE, Some("100")).set(30, SALE, Some("90"));
    let story = story.set(37, SALE, Some("80")).set(44, SALE, Some("70"));
    assert_eq!(story.told(45), says("100", 30));
    assert_eq!(story.told(100), says("100", 30));
    // Back to 85 within the sale, it is another reduction, and of the 30 days before it 70 is the lowest.
    let story = story.set(50, SALE, Some("85"));
    assert_eq!(story.told(51), says("70", None));
}

#[test]
fn a_second_sale_soon_after_the_first_is_measured_by_the_first() {
    // 100; 70 for five days; 100 for ten days; 80. Of the 30 days before, 70 is the lowest: nothing is reduced.
    let story = Story::new().set(-60, BASE, Some("100")).set(30, SALE, Some("70")).set(35, SALE, None);
    let story = story.set(45, SALE, Some("80"));
    assert_eq!(story.told(45), says("70", None));
    // After 30 days at 100 it is.
    let story = Story::new().set(-60, BASE, Some("100")).set(30, SALE, Some("70")).set(35, SALE, None);
    let story = story.set(65, SALE, Some("80"));
    assert_eq!(story.told(65), says("100", 20));
}

#[test]
fn new_goods_are_measured_by_the_time_that_they_have_been_sold() {
    // Sold for ten days at 50, then 40: 20 %. Nothing is known of the time before, and nothing need be.
    let story = Story::new().set(20, BASE, Some("50")).set(30, SALE, Some("40"));
    assert_eq!(story.told(30), says("50", 20));
    // What has only ever been sold at the sale's price is not reduced.
    let story = Story::new().set(30, SALE, Some("40"));
    assert_eq!(story.told(31), (None, None));
}

#[test]
fn what_is_announced_early_is_measured_from_its_announcement() {
    // 100; on day 20 it is announced that it will cost 75 from day 30 on; on day 25 everybody pays 90 already. The 30 days
    // before the announcement know 100 only: 25 %.
    let mut story = Story::new().set(-60, BASE, Some("100")).set(20, SALE, Some("75")).set(25, BASE, Some("90"));
    story.lists[1].valid_from = Some(day(30));
    story.lists[1].announced_at = Some(day(20));
    assert_eq!(story.told(30), says("100", 25));
    // Without the announcement 90 is the lowest: (90 - 75) / 90 = 16.7 %.
    story.lists[1].announced_at = None;
    assert_eq!(story.told(30), says("90", 16));
    assert!(story.look(29, false).is_none());
}

#[test]
fn what_comes_into_a_sale_later_is_measured_from_then() {
    // Announced on day 20 and begun on day 30; the article is put into it on day 40, and cost 80 from day 31 to day 37. Measured
    // from the announcement it would be 10 % of 100; measured from when it came, 80 is the lowest and nothing is reduced.
    let mut story = Story::new().set(-60, BASE, Some("100")).set(31, BASE, Some("80")).set(37, BASE, Some("100"));
    story.lists[1].valid_from = Some(day(30));
    story.lists[1].announced_at = Some(day(20));
    let story = story.set(40, SALE, Some("90"));
    assert_eq!(story.told(41), says("80", None));
}

#[test]
fn what_perishes_soon_is_measured_by_its_last_price() {
    // 4.00; 2.50 for a day three weeks ago; 4.00 again; 3.00 on its last day. By the rule the lowest is 2.50; by that for goods
    // that perish it is the last, 4.00: 25 %.
    let story = Story::new().set(-60, BASE, Some("4.00")).set(10, BASE, Some("2.50")).set(11, BASE, Some("4.00"));
    let story = story.set(30, SALE, Some("3.00"));
    assert_eq!(told(story.look(30, true).unwrap()), says("4", 25));
    assert_eq!(story.told(30), says("2.5", None));
}

#[test]
fn what_applied_when_the_thirty_days_began_counts_and_what_ended_before_does_not() {
    // The sale begins on day 60. 80 until day 30 exactly, 100 since: the 30 days before know 100 only.
    let story = Story::new().set(0, BASE, Some("80")).set(30, BASE, Some("100")).set(60, SALE, Some("70"));
    assert_eq!(story.told(60), says("100", 30));
    // A day longer, and 80 applied when they began.
    let story = Story::new().set(0, BASE, Some("80")).set(31, BASE, Some("100")).set(60, SALE, Some("70"));
    assert_eq!(story.told(60), says("80", 12));
}

#[test]
fn neither_tiers_nor_lists_of_others_are_prices_for_everybody() {
    let mut story = Story::new().set(-60, BASE, Some("100"));
    story.write(-10, BASE, 10, Some("60"));
    let mut foreign = list(3, ListKind::Base, None, None);
    foreign.channel = Some(Id::from_bytes([8; 16]));
    story.lists.push(foreign);
    story.write(-10, 3, 1, Some("10"));
    let story = story.set(30, SALE, Some("80"));
    assert_eq!(story.told(30), says("100", 20));
    // An everyday price that is lowered is no reduction that is announced.
    assert!(Story::new().set(-60, BASE, Some("100")).set(20, BASE, Some("90")).look(30, false).is_none());
}
