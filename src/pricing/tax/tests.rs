use super::*;

fn country(code: &str) -> Country {
    code.parse().unwrap()
}

fn sale(seller: &str, destination: &str) -> Sale {
    let policy = TaxPolicy::default();
    Sale { seller: country(seller), destination: country(destination), vat_id: None, exempt: false, policy }
}

fn told(sale: &Sale) -> (&'static str, Option<&'static str>) {
    let Taxation { treatment, country } = sale.taxation();
    let known = ["DE", "AT", "CH", "FR"].into_iter().find(|code| country == Some(code.parse().unwrap()));
    (treatment.as_str(), known)
}

#[test]
fn consumers_pay_the_tax_of_their_country_or_below_the_threshold_that_of_the_seller() {
    assert_eq!(told(&sale("DE", "DE")), ("domestic", Some("DE")));
    assert_eq!(told(&sale("DE", "AT")), ("destination", Some("AT")));
    let small = TaxPolicy { distance_sales: DistanceSales::Origin, ..TaxPolicy::default() };
    assert_eq!(told(&Sale { policy: small, ..sale("DE", "AT") }), ("origin", Some("DE")));
    // The threshold is one within the Union.
    assert_eq!(told(&Sale { policy: small, ..sale("DE", "CH") }), ("destination", Some("CH")));
    assert_eq!(told(&Sale { policy: small, ..sale("CH", "DE") }), ("destination", Some("DE")));
}

#[test]
fn a_business_in_another_member_state_owes_the_tax_itself() {
    let with = |number: &str, sale: Sale| Sale { vat_id: Some(number.parse().unwrap()), ..sale };
    assert_eq!(told(&with("FR40303265045", sale("DE", "FR"))), ("intra_community", None));
    // Goods that go to a third member state too; but not with a number of the state that they leave, nor at home.
    assert_eq!(told(&with("FR40303265045", sale("DE", "AT"))), ("intra_community", None));
    assert_eq!(told(&with("DE136695976", sale("DE", "AT"))), ("destination", Some("AT")));
    assert_eq!(told(&with("FR40303265045", sale("DE", "DE"))), ("domestic", Some("DE")));
    // What is no number of the Union is none here.
    assert_eq!(told(&with("CHE107787577MWST", sale("DE", "FR"))), ("destination", Some("FR")));
    assert_eq!(told(&with("FR40303265045", sale("CH", "FR"))), ("destination", Some("FR")));
    let sale = with("FR40303265045", sale("DE", "FR"));
    assert!(sale.taxation().untaxed(&sale).unwrap().text.contains("FR40303265045"));
}

#[test]
fn exports_are_untaxed_only_where_the_channel_says_so_and_the_exempt_everywhere() {
    let exporter = TaxPolicy { exports: Exports::Untaxed, ..TaxPolicy::default() };
    assert_eq!(told(&sale("DE", "CH")), ("destination", Some("CH")));
    assert_eq!(told(&Sale { policy: exporter, ..sale("DE", "CH") }), ("export", None));
    assert_eq!(told(&Sale { policy: exporter, ..sale("DE", "AT") }), ("destination", Some("AT")));
    assert_eq!(told(&Sale { exempt: true, ..sale("DE", "DE") }), ("exempt", None));
}
