//! Which tax shipping bears, worked out by hand for Germany (books 7 %, toys 19 %), and for any cart.

use super::*;
use crate::pricing::model::Carried;

/// A book for 20.00 and a toy for 10.00, each with its tax on top or included, and shipping for 4.90.
fn books_and_toys(included: bool, point: RoundingPoint, tax: ShippingTax) -> Input {
    let (book, toy) = if included { ("21.40", "11.90") } else { ("20", "10") };
    let lines = vec![line(1, 1, book, "EUR", "0.07"), line(2, 1, toy, "EUR", "0.19")];
    let shipping = Some(ShippingInput { tax, ..shipping("4.90", "EUR", "0.19") });
    Input { shipping, ..input("EUR", included, point, lines) }
}

fn row(rate: &str, net: i64, tax: i64, gross: i64) -> (String, i64, i64, i64) {
    (rate.to_owned(), net, tax, gross)
}

/// Rate, net, tax and gross of rows of tax.
fn told(rows: &[TaxTotal]) -> Vec<(String, i64, i64, i64)> {
    let told = |it: &TaxTotal| row(&it.rate.to_string(), it.net.minor(), it.tax.minor(), it.gross.minor());
    rows.iter().map(told).collect()
}

/// Net, tax and rate of the shipping, and how many parts it has.
fn shipped(cart: &Input) -> (i64, i64, String, usize) {
    let shipping = price(cart).unwrap().shipping.unwrap();
    (shipping.net.minor(), shipping.tax.minor(), shipping.tax_rate.to_string(), shipping.parts.len())
}

#[test]
fn shipping_bears_the_tax_of_its_class_or_of_the_main_good() {
    // 4.90 / 1.19 = 4.117… → 4.12; 4.90 / 1.07 = 4.579… → 4.58: books are worth 20.00 and toys 10.00.
    assert_eq!(shipped(&books_and_toys(true, RoundingPoint::PerLine, OwnClass)), (412, 78, "0.19".to_owned(), 0));
    let cart = books_and_toys(true, RoundingPoint::PerLine, MainGood);
    assert_eq!(shipped(&cart), (458, 32, "0.07".to_owned(), 0));
    let main = price(&cart).unwrap();
    assert_eq!(told(&main.taxes), [row("0.07", 2458, 172, 2630), row("0.19", 1000, 190, 1190)]);
    assert_eq!(main.total.minor(), 3820);
    let steps = &main.shipping.as_ref().unwrap().explanation;
    assert!(steps.iter().any(|step| step.code == "shipping_tax" && step.text.ends_with("7 %")), "{steps:?}");
    // On top of prices without tax: 4.90 × 7 % = 0.343 → 0.34.
    assert_eq!(shipped(&books_and_toys(false, RoundingPoint::PerOrder, MainGood)), (490, 34, "0.07".to_owned(), 0));
}

#[test]
fn shipping_is_split_over_the_rates_of_the_goods() {
    // 4.90 over 21.40 : 11.90 is 3.1489… and 1.7510…: 3.15 and 1.75. 3.15 / 1.07 = 2.943…, 1.75 / 1.19 = 1.470….
    for point in [RoundingPoint::PerLine, RoundingPoint::PerOrder] {
        let cart = books_and_toys(true, point, Split);
        assert_eq!(shipped(&cart), (441, 49, "0.07".to_owned(), 2));
        let split = price(&cart).unwrap();
        let parts = told(&split.shipping.as_ref().unwrap().parts);
        assert_eq!(parts, [row("0.07", 294, 21, 315), row("0.19", 147, 28, 175)]);
        assert_eq!(told(&split.taxes), [row("0.07", 2294, 161, 2455), row("0.19", 1147, 218, 1365)]);
        assert_eq!(sums(&split), (3441, 379, 3820));
    }
    // Without tax 4.90 over 20.00 : 10.00 is 3.27 and 1.63; × 7 % = 0.2289, × 19 % = 0.3097.
    let split = price(&books_and_toys(false, RoundingPoint::PerLine, Split)).unwrap();
    let parts = told(&split.shipping.as_ref().unwrap().parts);
    assert_eq!(parts, [row("0.07", 327, 23, 350), row("0.19", 163, 31, 194)]);
    // The goods bear 1.40 and 1.90.
    assert_eq!((sums(&split), split.shipping_total.minor()), ((3490, 384, 3874), 544));
}

#[test]
fn of_goods_that_are_worth_the_same_the_highest_rate_is_the_main_one() {
    let mut cart = books_and_toys(true, RoundingPoint::PerLine, MainGood);
    cart.lines = vec![line(1, 1, "11.90", "EUR", "0.19"), line(2, 1, "10.70", "EUR", "0.07")];
    assert_eq!(shipped(&cart).2, "0.19");
    // A cent more for books, and they are the main good.
    cart.lines = vec![line(1, 1, "11.90", "EUR", "0.19"), line(2, 1, "10.71", "EUR", "0.07")];
    assert_eq!(shipped(&cart).2, "0.07");
}

#[test]
fn what_counts_is_what_is_paid_for_goods_that_are_shipped() {
    let toys_alone = (412, 78, "0.19".to_owned(), 0);
    for tax in [MainGood, Split] {
        // The book is free.
        let mut cart = books_and_toys(true, RoundingPoint::PerLine, tax);
        cart.adjustments = vec![off(AdjustmentTarget::Line { line_no: 1 }, percent("100"))];
        assert_eq!(shipped(&cart), toys_alone);
        // The book is a download.
        let mut cart = books_and_toys(true, RoundingPoint::PerLine, tax);
        cart.lines[0].shipped = false;
        assert_eq!(shipped(&cart), toys_alone);
        // Everything is free: shipping bears the tax of its own class.
        let mut cart = books_and_toys(true, RoundingPoint::PerLine, tax);
        cart.shipping = Some(ShippingInput { tax, ..shipping("4.90", "EUR", "0.16") });
        cart.adjustments = vec![off(AdjustmentTarget::Order, percent("100"))];
        assert_eq!(shipped(&cart).2, "0.16");
        // Shipping is free, or a cent that can not be split.
        let mut cart = books_and_toys(true, RoundingPoint::PerOrder, tax);
        cart.adjustments = vec![off(AdjustmentTarget::Shipping, percent("100"))];
        assert_eq!(shipped(&cart), (0, 0, "0.07".to_owned(), 0));
        cart.adjustments = vec![off(AdjustmentTarget::Shipping, amount("4.89", "EUR"))];
        assert_eq!(shipped(&cart), (1, 0, "0.07".to_owned(), 0));
    }
}

#[test]
fn shipping_of_old_orders_reads_as_it_was() {
    let euros = |amount: &str| serde_json::json!({"amount": amount, "currency": "EUR"});
    let old = serde_json::json!({
        "code": "dhl", "subtotal": euros("4.90"), "discount": euros("0.00"), "net": euros("4.12"), "tax": euros("0.78"),
        "gross": euros("4.90"), "tax_rate": "0.19", "explanation": [],
    });
    let read: ShippingTotals = serde_json::from_value(old).unwrap();
    assert!(read.parts.is_empty());
    let again = serde_json::to_value(&read).unwrap();
    assert_eq!((again.get("parts"), &again["tax_rate"]), (None, &serde_json::json!("0.19")));
}

/// A cart in two deliveries, each at the price of the one: the first has at most so many pieces of each line.
fn in_two(cart: &Input, most: i64) -> Input {
    let Some(one) = &cart.shipping else { return cart.clone() };
    let part = |key: &str, of: fn(i64, i64) -> (i64, i64)| {
        let piece = |line: &LineInput| {
            let of_line = line.quantity.get();
            let (from, to) = of(most.min(of_line), of_line);
            Carried { line_no: line.line_no, from, to, of: of_line }
        };
        let carries = cart.lines.iter().map(piece).filter(|piece| piece.from < piece.to).collect();
        ShippingInput { delivery: Some(key.into()), carries, ..one.clone() }
    };
    let (home, shop) = (part("home", |first, _| (0, first)), part("shop", |first, of| (first, of)));
    Input { shipping: Some(home), further: vec![shop], ..cart.clone() }
}

#[test]
fn each_delivery_bears_the_tax_of_what_it_carries_and_a_discount_is_of_all_together() {
    // The book goes home, the toy to the shop.
    let mut cart = books_and_toys(true, RoundingPoint::PerLine, MainGood);
    let of = |line_no| vec![Carried { line_no, from: 0, to: 1, of: 1 }];
    let one = cart.shipping.clone().unwrap();
    cart.shipping = Some(ShippingInput { delivery: Some("home".into()), carries: of(1), ..one.clone() });
    cart.further = vec![ShippingInput { delivery: Some("shop".into()), carries: of(2), code: "click".into(), ..one }];
    let totals = price(&cart).unwrap();
    let [home, shop] = totals.shipping_parts.as_slice() else { panic!("{totals:?}") };
    // 4.90 / 1.07 = 4.579… → 4.58; 4.90 / 1.19 = 4.117… → 4.12.
    assert_eq!((home.net.minor(), shop.net.minor()), (458, 412));
    let whole = totals.shipping.as_ref().unwrap();
    assert_eq!(told(&whole.parts), [row("0.07", 458, 32, 490), row("0.19", 412, 78, 490)]);
    assert_eq!((whole.gross.minor(), whole.code.as_str(), whole.delivery.as_deref()), (980, "dhl", None));
    cart.adjustments = vec![off(AdjustmentTarget::Shipping, amount("5.01", "EUR"))];
    let totals = price(&cart).unwrap();
    let taken: Vec<i64> = totals.shipping_parts.iter().map(|part| part.discount.minor()).collect();
    assert_eq!((taken, totals.shipping_total.minor()), (vec![251, 250], 479));
}

proptest! {
    #[test]
    fn deliveries_sum_to_the_whole(cart in any_cart(), most in 0i64..8) {
        let totals = price(&in_two(&cart, most)).unwrap();
        let (Some(whole), parts) = (&totals.shipping, &totals.shipping_parts) else { return Ok(()) };
        prop_assert_eq!(parts.len(), 2);
        for of in [
            |it: &ShippingTotals| it.subtotal, |it: &ShippingTotals| it.discount, |it: &ShippingTotals| it.net,
            |it: &ShippingTotals| it.tax, |it: &ShippingTotals| it.gross,
        ] {
            prop_assert_eq!(parts.iter().map(|part| of(part).minor()).sum::<i64>(), of(whole).minor());
        }
        for part in parts {
            prop_assert!(part.discount.minor() <= part.subtotal.minor() && part.net.minor() + part.tax.minor() == part.gross.minor());
        }
        let lines = totals.lines.iter().map(|line| line.gross.minor()).sum::<i64>();
        prop_assert_eq!(lines + whole.gross.minor(), totals.total.minor());
        prop_assert_eq!(totals.taxes.iter().map(|tax| tax.gross.minor()).sum::<i64>(), totals.total.minor());
    }

    #[test]
    fn the_parts_of_shipping_sum_to_it_and_are_fair(cart in any_cart()) {
        let totals = price(&cart).unwrap();
        let Some((asked, found)) = cart.shipping.as_ref().zip(totals.shipping.as_ref()) else { return Ok(()) };
        let left = |line: &LineTotals| line.subtotal.minor() - line.discount.minor();
        let goods: Vec<_> = cart.lines.iter().zip(&totals.lines).filter(|(line, _)| line.shipped).map(|(_, it)| it).collect();
        let worth: i64 = goods.iter().map(|line| left(line)).sum();
        let of_rate = |rate: Decimal| goods.iter().filter(|line| line.tax_rate == rate).map(|line| left(line)).sum::<i64>();
        prop_assert!(found.parts.len() != 1 && found.parts.is_sorted_by(|one, next| one.rate < next.rate));
        if asked.tax == OwnClass || worth == 0 {
            prop_assert_eq!(found.tax_rate, asked.tax_rate);
            prop_assert!(found.parts.is_empty());
            return Ok(());
        }
        // No goods of one rate are worth more than those of its rate.
        let net = |rate: Decimal| net_value(of_rate(rate), rate, cart.prices_include_tax).unwrap();
        prop_assert!(goods.iter().all(|line| net(line.tax_rate) <= net(found.tax_rate)));
        if found.parts.is_empty() {
            return Ok(());
        }
        prop_assert_eq!(asked.tax, Split);
        let sum = |of: fn(&TaxTotal) -> Money| found.parts.iter().map(|part| of(part).minor()).sum::<i64>();
        prop_assert_eq!(
            (sum(|part| part.net), sum(|part| part.tax), sum(|part| part.gross)),
            (found.net.minor(), found.tax.minor(), found.gross.minor())
        );
        for part in &found.parts {
            let exact = i128::from(found.subtotal.minor() - found.discount.minor()) * i128::from(of_rate(part.rate));
            let charged = if cart.prices_include_tax { part.gross.minor() } else { part.net.minor() };
            prop_assert!((i128::from(charged) * i128::from(worth) - exact).abs() < i128::from(worth));
        }
    }
}
