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
    let known = ["DE", "AT", "CH", "FR", "GB"].into_iter().find(|code| country == Some(code.parse().unwrap()));
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
    // The explanation is kept longer than what is personal: the number does not stand in it.
    let step = sale.taxation().untaxed(&sale).unwrap();
    assert!(
        step.text.starts_with("to a business in FR: it owes the tax") && !step.text.contains("303265045"),
        "{step:?}"
    );
}

#[test]
fn exports_are_untaxed_only_where_the_channel_says_so_and_the_exempt_everywhere() {
    let exporter = TaxPolicy { exports: Exports::Untaxed, ..TaxPolicy::default() };
    assert_eq!(told(&sale("DE", "CH")), ("destination", Some("CH")));
    assert_eq!(told(&Sale { policy: exporter, ..sale("DE", "CH") }), ("export", None));
    assert_eq!(told(&Sale { policy: exporter, ..sale("DE", "AT") }), ("destination", Some("AT")));
    assert_eq!(told(&Sale { exempt: true, ..sale("DE", "DE") }), ("exempt", None));
}

#[test]
fn what_is_not_shipped_is_no_export() {
    let exporter = TaxPolicy { exports: Exports::Untaxed, ..TaxPolicy::default() };
    let sold = |shipped| Sale { policy: policy_for(exporter, shipped), ..sale("DE", "CH") };
    assert_eq!((told(&sold(true)), told(&sold(false))), (("export", None), ("destination", Some("CH"))));
}

#[test]
fn monaco_is_a_part_of_france_and_the_isle_of_man_of_the_united_kingdom() {
    let exporter = TaxPolicy { exports: Exports::Untaxed, ..TaxPolicy::default() };
    assert_eq!(told(&Sale { policy: exporter, ..sale("DE", "MC") }), ("destination", Some("FR")));
    assert_eq!(told(&sale("FR", "MC")), ("domestic", Some("FR")));
    assert_eq!(told(&sale("MC", "FR")), ("domestic", Some("FR")));
    assert_eq!(told(&sale("GB", "IM")), ("domestic", Some("GB")));
    assert_eq!(told(&sale("DE", "IM")), ("destination", Some("GB")));
    assert_eq!(told(&Sale { policy: exporter, ..sale("DE", "IM") }), ("export", None));
    let business = Sale { vat_id: Some("DE136695976".parse().unwrap()), ..sale("MC", "DE") };
    assert_eq!(told(&business), ("intra_community", None));
}

#[test]
fn an_export_says_what_it_leaves() {
    let exporter = TaxPolicy { exports: Exports::Untaxed, ..TaxPolicy::default() };
    let text = |seller: &str, destination: &str| {
        let sale = Sale { policy: exporter, ..sale(seller, destination) };
        sale.taxation().untaxed(&sale).unwrap().text
    };
    assert!(text("DE", "CH").starts_with("leaves the European Union for CH"));
    assert_eq!(text("CH", "FR"), "leaves CH for FR");
}

#[test]
fn numbers_of_earlier_versions_are_taken_out_of_explanations() {
    let old = "to a business in FR, FR40303265045: it owes the tax (Articles 138, 196 of Directive 2006/112/EC)";
    let mut steps = [Step::new("price_list", "list a, b: 1"), Step::new("untaxed", old)];
    assert!(forget_number(&mut steps));
    let now = "to a business in FR: it owes the tax (Articles 138, 196 of Directive 2006/112/EC)";
    assert_eq!((steps[0].text.as_str(), steps[1].text.as_str()), ("list a, b: 1", now));
    assert!(!forget_number(&mut steps));
}
