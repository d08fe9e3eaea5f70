//! Sequences of prices as they happen, each worked out by hand.

use std::collections::BTreeMap;

use super::*;
use crate::kernel::{Id, Per, UnitPrice};
use crate::pricing::{history::lists::PriceListState, rates::Audience};

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
        terms: None,
        version: 1,
    }
}

/// An article's prices, written one after the other.
struct Story {
    lists: Vec<PriceList>,
    there: HashMap<Key, Price>,
    changes: Vec<Recorded>,
    list_changes: Vec<ListChange>,
    runs: Vec<Compiled>,
}

const BASE: u8 = 1;
const SALE: u8 = 2;

impl Story {
    /// With everyday prices, and a sale that is on whenever the article has a price in it.
    fn new() -> Self {
        let lists = vec![list(BASE, ListKind::Base, None, None), list(SALE, ListKind::Sale, None, None)];
        Self { lists, there: HashMap::new(), changes: Vec::new(), list_changes: Vec::new(), runs: Vec::new() }
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
        // "10 per 100" is a price for a hundred.
        let per = price.and_then(|text| text.split_once(" per ")).map_or(1, |(_, pieces)| pieces.parse().unwrap());
        let per = Per::new(per).unwrap();
        let amount = |text: &str| UnitPrice::parse(text.split(' ').next().unwrap(), eur()).unwrap().scaled();
        let to = price.map(|text| Price { amount: amount(text), per, valid_until: None });
        let from = match to {
            Some(price) => self.there.insert(key, price),
            None => self.there.remove(&key),
        };
        self.changes.insert(0, Recorded { change: Difference { key, from, to }, at: day(on) });
    }

    /// On a day a list itself becomes another.
    fn change_list(mut self, on: i64, list: u8, change: impl Fn(&mut PriceList)) -> Self {
        let id = Id::from_bytes([list; 16]);
        let list = self.lists.iter_mut().find(|one| one.id == id).unwrap();
        let was = Some(PriceListState::from(&*list));
        change(list);
        self.list_changes.insert(0, ListChange { list: id, at: day(on), was });
        self
    }

    fn look(&self, on: i64, perishable: bool) -> Option<Reduction> {
        self.look_by(on, perishable, day(on).plus_seconds(-HORIZON_SECONDS))
    }

    /// The same by whom only the changes since an instant are known to.
    fn look_since(&self, on: i64, since: Instant) -> Option<Reduction> {
        self.look_by(on, false, since)
    }

    fn look_by(&self, on: i64, perishable: bool, since: Instant) -> Option<Reduction> {
        let row = |(key, price): (&Key, &Price)| PriceRow {
            list: key.list,
            min_quantity: key.min_quantity,
            price: price.in_currency(eur()),
            valid_from: key.valid_from,
            valid_until: price.valid_until,
        };
        let rows: Vec<PriceRow> = self.there.iter().map(row).collect();
        let known = Known {
            lists: &self.lists.iter().cloned().map(std::sync::Arc::new).collect::<Vec<_>>(),
            rows: &rows,
            changes: &self.changes,
            list_changes: &self.list_changes,
            channel: Id::from_bytes([7; 16]),
            currency: eur(),
            variant: Id::from_bytes([9; 16]),
            runs: &self.runs.iter().collect::<Vec<_>>(),
            described: Described { sku: "TEE", attributes: &BTreeMap::new() },
            rounding: Rounding::HalfUp,
            since,
        };
        known.reduction(day(on), perishable)
    }

    /// From one day to another, or on and on, everybody gets a promotion.
    fn promoted(mut self, from: i64, until: Option<i64>, rule: serde_json::Value) -> Self {
        let number = u8::try_from(self.runs.len() + 50).unwrap();
        let promotion = crate::pricing::promotions::Promotion {
            id: Id::from_bytes([number; 16]),
            code: format!("run-{number}"),
            name: String::new(),
            state: crate::pricing::promotions::PromotionState::Active,
            channel: None,
            priority: 0,
            valid_from: None,
            valid_until: None,
            rule: serde_json::from_value(rule).unwrap(),
            version: 1,
            created_at: day(from),
            updated_at: day(from),
        };
        self.runs.extend(Compiled::as_run(promotion, day(from), until.map(day)));
        self
    }

    /// The price before, and the per cent.
    fn told(&self, on: i64) -> (Option<String>, Option<i64>) {
        told(self.look(on, false).unwrap())
    }
}

fn told(reduction: Reduction) -> (Option<String>, Option<i64>) {
    (reduction.prior.map(|price| price.price.decimal().normalize().to_string()), reduction.percent())
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
    assert_eq!(story.look(31, false).unwrap().last.unwrap().price.decimal().normalize().to_string(), "130");
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
    // 100; 80 from day -5 to day -3; on day 20 it is announced that it will cost 75 from day 30 on. The 30 days before that begin
    // on day -10 and know 80: (80 - 75) / 80 = 6.25 %.
    let mut story = Story::new().set(-60, BASE, Some("100")).set(-5, BASE, Some("80")).set(-3, BASE, Some("100"));
    story = story.set(20, SALE, Some("75"));
    story.lists[1].valid_from = Some(day(30));
    story.lists[1].announced_at = Some(day(20));
    assert_eq!(story.told(30), says("80", 6));
    // Without the announcement they begin on day 0 and know 100 only: 25 %.
    story.lists[1].announced_at = None;
    assert_eq!(story.told(30), says("100", 25));
    assert!(story.look(29, false).is_none());
    // What everybody pays between the announcement and the beginning counts too: 90 from day 25 on, so (90 - 75) / 90 = 16.7 %.
    let mut story = story.set(25, BASE, Some("90"));
    assert_eq!(story.told(30), says("90", 16));
    story.lists[1].announced_at = Some(day(20));
    assert_eq!(story.told(30), says("80", 6));
}

#[test]
fn what_comes_into_a_sale_after_its_announcement_was_not_announced() {
    // The list is announced on day 0 and begins on day 26. 10; 7 from day 4 on, until it is 10 again on day 25; on that day the
    // article comes into the list at 8. The 30 days before day 26 know 7: nothing is reduced.
    let mut story = Story::new().set(-60, BASE, Some("10")).set(4, BASE, Some("7")).set(25, BASE, Some("10"));
    story.lists[1].valid_from = Some(day(26));
    story.lists[1].announced_at = Some(day(0));
    let story = story.set(25, SALE, Some("8"));
    assert_eq!(story.told(26), says("7", None));
    // 6 until day -10 counts for what was announced, whose 30 days begin on day -30; for what came later they begin on day -4.
    let mut told = Vec::new();
    for came in [-1, 25] {
        let mut story = Story::new().set(-60, BASE, Some("6")).set(-10, BASE, Some("10"));
        story.lists[1].valid_from = Some(day(26));
        story.lists[1].announced_at = Some(day(0));
        told.push(story.set(came, SALE, Some("5")).told(26));
    }
    // (6 - 5) / 6 = 16.7 %; (10 - 5) / 10 = 50 %.
    assert_eq!(told, [says("6", 16), says("10", 50)]);
}

#[test]
fn what_is_only_ever_in_a_sale_is_reduced_from_what_it_cost_there() {
    // 12 for 60 days, then 9: 25 %.
    let story = Story::new().set(0, SALE, Some("12")).set(60, SALE, Some("9"));
    assert_eq!((story.told(59), story.told(61)), ((None, None), says("12", 25)));
    assert_eq!(story.look(61, false).unwrap().since, day(60));
    // And 8 after that goes on: (12 - 8) / 12 = 33.3 %.
    assert_eq!(story.set(70, SALE, Some("8")).told(71), says("12", 33));
    // 10 every day; 12 in a sale for 60 days is no reduction; 9 is one from 12, for of the 30 days before it 12 is the lowest.
    let story = Story::new().set(-60, BASE, Some("10")).set(0, SALE, Some("12")).set(60, SALE, Some("9"));
    assert_eq!((story.told(59), story.told(60)), (says("10", None), says("12", 25)));
}

#[test]
fn where_steps_go_back_to_the_beginning_of_what_is_known_more_is_looked_at() {
    // 15; 12 in a sale from day 0 on, 9 from day 100 on: 40 % of 15. Whoever knows 90 days sees 12 from the first, and must look
    // further back to know that it was a step of the same reduction.
    let story = Story::new().set(-60, BASE, Some("15")).set(0, SALE, Some("12")).set(100, SALE, Some("9"));
    let short = story.look_since(110, day(20)).unwrap();
    assert_eq!(told(short), says("12", 25));
    assert!(short.looked_at_from <= day(20));
    assert_eq!(story.told(110), says("15", 40));
}

#[test]
fn less_than_one_per_cent_is_told_as_none() {
    // 10.00 and 9.99: the price before it is shown, and no 0 %.
    let story = Story::new().set(-60, BASE, Some("10.00")).set(30, SALE, Some("9.99"));
    let reduction = story.look(30, false).unwrap();
    assert_eq!((told(reduction), reduction.shown()), (says("10", None), reduction.prior));
    let story = Story::new().set(-60, BASE, Some("10.00")).set(30, SALE, Some("9.90"));
    assert_eq!(story.told(30), says("10", 1));
    // As much or more than before: nothing is shown.
    let story = Story::new().set(-60, BASE, Some("10.00")).set(30, SALE, Some("10.00"));
    assert_eq!(story.look(30, false).unwrap().shown(), None);
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
fn what_a_list_was_counts_and_not_what_it_is_now() {
    // A sale at 70 that ended on day 35, its list used again on day 45 for another at 80: of the 30 days before, 70 is the lowest.
    let story = Story::new().set(-60, BASE, Some("100")).set(30, SALE, Some("70"));
    let story = story.change_list(35, SALE, |list| list.valid_until = Some(day(35)));
    let story = story.change_list(44, SALE, |list| {
        (list.valid_from, list.valid_until) = (Some(day(45)), None);
    });
    let again = story.set(44, SALE, Some("80"));
    assert_eq!((again.told(46), again.look(46, false).unwrap().since), (says("70", None), day(45)));
    // After more than 30 days at the everyday price it is measured by that.
    let story = Story::new().set(-60, BASE, Some("100")).set(30, SALE, Some("70"));
    let story = story.change_list(35, SALE, |list| list.valid_until = Some(day(35)));
    let story = story.change_list(70, SALE, |list| list.valid_until = None);
    assert_eq!((story.told(71), story.look(71, false).unwrap().since), (says("100", 30), day(70)));
    // A list that went last until its priority rose: what it holds was no price before.
    let mut story = Story::new().set(-60, BASE, Some("100"));
    story.lists[1].priority = -1;
    let story = story.set(-50, SALE, Some("60")).change_list(30, SALE, |list| list.priority = 1);
    assert_eq!((story.told(31), story.look(31, false).unwrap().since), (says("100", 40), day(30)));
    // Everyday prices that were valid until day 20 only, and so say since day 25.
    let story = Story::new().set(-60, BASE, Some("100")).set(30, SALE, Some("50"));
    let story = story.change_list(25, BASE, |list| list.valid_until = Some(day(20)));
    assert_eq!(story.told(31), says("100", 50));
}

#[test]
fn prices_for_many_pieces_are_compared_by_the_piece() {
    // 12.50 per 100, written as 0.125 a piece ten days before it becomes 10.00 per 100: a change of nothing, and 20 %.
    let story = Story::new().set(-60, BASE, Some("12.50 per 100")).set(20, BASE, Some("0.125"));
    let story = story.set(30, SALE, Some("10.00 per 100"));
    assert_eq!(story.told(31), says("12.5", 20));
    let reduction = story.look(31, false).unwrap();
    assert_eq!((reduction.raised, reduction.shown().unwrap().to_string()), (None, "12.50 EUR per 100".to_owned()));
    // The sale's price written otherwise goes on with the same reduction; a dearer piece begins another.
    let story = story.set(40, SALE, Some("0.1")).set(41, SALE, Some("100 per 1000"));
    assert_eq!((story.told(42), story.look(42, false).unwrap().since), (says("12.5", 20), day(30)));
    let story = story.set(45, SALE, Some("10.01 per 100"));
    assert_eq!(story.told(46), says("10", None));
    // What was a price for one is shown for as many as the price now is for, where that is exact.
    let story = Story::new().set(-60, BASE, Some("0.125")).set(30, SALE, Some("10.00 per 100"));
    assert_eq!(story.look(31, false).unwrap().shown().unwrap().to_string(), "12.50 EUR per 100");
    // 10 per 3 is more than 3.3333 a piece, by less than a per cent, and less than 3.3334.
    for (sale, is_lower) in [("3.3333", true), ("3.3334", false)] {
        let story = Story::new().set(-60, BASE, Some("10 per 3")).set(30, SALE, Some(sale));
        assert_eq!(story.told(30), says("10", None), "{sale}");
        assert_eq!(story.look(30, false).unwrap().shown().is_some(), is_lower, "{sale}");
    }
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

fn percent_off(percent: &str) -> serde_json::Value {
    serde_json::json!({"gift": {"type": "percentage", "percent": percent, "on": "lines"}})
}

#[test]
fn what_a_promotion_for_everybody_made_of_a_price_is_a_price_that_applied() {
    // 100, and for a week from day 10 on a tenth off; a sale at 85 from day 30 on. 90 was the lowest of the 30 days before:
    // (90 - 85) / 90 = 5.6 %, and not 15 %.
    let story = Story::new().set(-60, BASE, Some("100")).promoted(10, Some(17), percent_off("10"));
    let sale = story.set(30, SALE, Some("85"));
    assert_eq!(sale.told(30), says("90", 5));
    // From day 48 on the 30 days before begin behind the week: (100 - 85) / 100 = 15 %. On day 47 it ended when they begin.
    for (begins, prior, percent) in [(46, "90", 5), (47, "100", 15), (48, "100", 15)] {
        let story = Story::new().set(-60, BASE, Some("100")).promoted(10, Some(17), percent_off("10"));
        assert_eq!(story.set(begins, SALE, Some("85")).told(begins), says(prior, percent), "{begins}");
    }
    // A sale that is no cheaper than the week was is no reduction.
    let story = Story::new().set(-60, BASE, Some("100")).promoted(10, Some(17), percent_off("30"));
    assert_eq!(story.set(30, SALE, Some("80")).told(30), says("70", None));
}

#[test]
fn what_not_everybody_gets_or_what_is_not_for_the_article_is_no_price_that_applied() {
    for (rule, prior) in [
        (serde_json::json!({"conditions": {"coupon": true}}), "100"),
        (serde_json::json!({"conditions": {"customer_groups": ["club"]}}), "100"),
        (serde_json::json!({"conditions": {"min_quantity": 2}}), "100"),
        (serde_json::json!({"conditions": {"min_value": {"amount": "10.00", "currency": "EUR"}}}), "100"),
        (serde_json::json!({"conditions": {"goods": {"exclude": [{"skus": ["TEE"]}]}}}), "100"),
        (serde_json::json!({"conditions": {"goods": {"include": [{"skus": ["MUG"]}]}}}), "100"),
        // What costs at most 50 is not it.
        (
            serde_json::json!({"conditions": {"goods": {"max_unit_price": {"amount": "50.00", "currency": "EUR"}}}}),
            "100",
        ),
        // Of a first day, and wherever it goes.
        (serde_json::json!({"conditions": {"countries": ["AT"], "min_quantity": 1}}), "60"),
    ] {
        let mut rule = rule;
        rule["gift"] = percent_off("40")["gift"].clone();
        let story = Story::new().set(-60, BASE, Some("100")).promoted(10, Some(17), rule.clone());
        assert_eq!(story.set(30, SALE, Some("50")).told(30).0.as_deref(), Some(prior), "{rule}");
    }
}

#[test]
fn a_promotion_that_was_paused_counts_while_it_went_on() {
    // Half off from day 10 to day 12; paused until day 20; then a fifth off until day 25. A sale on day 46 looks back to day 16:
    // 80 is the lowest, (80 - 70) / 80 = 12.5 %. On day 40 it would look back to day 10: 50.
    let story = |begins: i64| {
        let story = Story::new().set(-60, BASE, Some("100")).promoted(10, Some(12), percent_off("50"));
        story.promoted(20, Some(25), percent_off("20")).set(begins, SALE, Some("70"))
    };
    assert_eq!([story(46).told(46), story(40).told(40)], [says("80", 12), says("50", None)]);
}

#[test]
fn a_promotion_within_a_sale_is_a_step_of_it_and_its_end_begins_another() {
    // 100; a sale at 80 from day 30 on; from day 40 to day 47 a tenth of that off everybody: 72. While that lasts the sale is
    // reduced from 100: (100 - 80) / 100 = 20 % beside the price of the list.
    let story = Story::new().set(-60, BASE, Some("100")).set(30, SALE, Some("80"));
    let story = story.promoted(40, Some(47), percent_off("10"));
    assert_eq!((story.told(39), story.told(41)), (says("100", 20), says("100", 20)));
    // Then it rises to 80: another reduction, and of the 30 days before 72 is the lowest.
    assert_eq!((story.told(47), story.look(47, false).unwrap().since), (says("72", None), day(47)));
    // Lower than that once more it is one from 72 again: (72 - 63) / 72 = 12.5 %.
    let story = story.set(50, SALE, Some("63"));
    assert_eq!(story.told(50), says("72", 12));
}

#[test]
fn a_sale_that_goes_on_falling_from_a_promotion_keeps_the_price_before_that() {
    // 100; 90 by a promotion from day 20 to day 27; from that instant on a sale at 85, then 70: 30 % of 100.
    let story = Story::new().set(-60, BASE, Some("100")).promoted(20, Some(27), percent_off("10"));
    let story = story.set(27, SALE, Some("85")).set(33, SALE, Some("70"));
    assert_eq!((story.told(34), story.look(34, false).unwrap().since), (says("100", 30), day(20)));
    // With a day between them it is measured by the promotion: (90 - 70) / 90 = 22.2 %.
    let story = Story::new().set(-60, BASE, Some("100")).promoted(20, Some(27), percent_off("10"));
    assert_eq!(story.set(28, SALE, Some("70")).told(34), says("90", 22));
}

#[test]
fn promotions_reduce_one_after_the_other_as_in_a_cart() {
    // A tenth off 99.99 is 10.00 (9.999 rounded), which leaves 89.99; 5.00 off that leaves 84.99; no less than 80 % of 99.99 (80.00,
    // rounded up) stays where a floor says so, so that of 20.00 more 4.99 come off.
    let five =
        serde_json::json!({"gift": {"type": "amount", "amount": {"amount": "5.00", "currency": "EUR"}, "on": "lines"}});
    let floored = serde_json::json!({"stacking": {"floor": "80"},
        "gift": {"type": "amount_each", "amount": {"amount": "20.00", "currency": "EUR"}}});
    let story = Story::new().set(-60, BASE, Some("99.99")).promoted(10, Some(17), percent_off("10"));
    let story = story.promoted(10, Some(17), five);
    let two = Story { runs: story.runs.clone(), ..Story::new().set(-60, BASE, Some("99.99")) };
    assert_eq!(two.set(30, SALE, Some("50")).told(30).0.as_deref(), Some("84.99"));
    assert_eq!(story.promoted(10, Some(17), floored).set(30, SALE, Some("50")).told(30).0.as_deref(), Some("80"));
    // What costs less than a cent is reckoned by the hundred: 12.50 per 100, a fifth off is 10.00 per 100.
    let story = Story::new().set(-60, BASE, Some("12.50 per 100")).promoted(10, Some(17), percent_off("20"));
    let reduction = story.set(30, SALE, Some("8.00 per 100")).look(30, false).unwrap();
    assert_eq!(
        (reduction.shown().unwrap().to_string(), reduction.percent()),
        ("10.00 EUR per 100".to_owned(), Some(20))
    );
}
