//! Files of other shops, each with what is odd about it.

use super::{super::mapping::Restart, *};

fn mapped(mapping: &str, file: &str) -> Plan {
    let mapping = Mapping::parse(mapping).unwrap_or_else(|error| panic!("{error}"));
    plan(file.as_bytes(), &mapping)
}

/// What a hosted shop exports: a byte order mark, everything in quotes, what belongs to an order on its first row only.
const HOSTED: &str = r##"
channel = "hosted"
currency = "EUR"

[columns]
number = "Name"
status = "Financial Status"
sku = "Lineitem sku"
description = "Lineitem name"
quantity = "Lineitem quantity"
unit_price = "Lineitem price"
line_discount = "Lineitem discount"
order_shipping = "Shipping"
order_discount = "Discount Amount"
date = "Created at"
currency = "Currency"
email = "Email"
customer = "Email"
name = "Billing Name"
street = "Billing Street"
postcode = "Billing Zip"
city = "Billing City"
country = "Billing Country"
phone = "Billing Phone"

[date]
format = "%Y-%m-%d %H:%M:%S %z"
zone = "Europe/Zurich"

[countries]
default = "CH"

[tax]
rate = "8.1"

[status]
cancelled = ["voided"]
open = ["Pending"]
unshipped = ["authorized"]

[[leave_out]]
reason = "draft"
statuses = ["draft"]
"##;

#[test]
fn what_belongs_to_an_order_may_stand_on_its_first_row_only() {
    let heading = "\u{feff}\"Name\",\"Email\",\"Financial Status\",\"Currency\",\"Shipping\",\"Discount Amount\",\"Created at\",\
        \"Lineitem quantity\",\"Lineitem name\",\"Lineitem price\",\"Lineitem discount\",\"Lineitem sku\",\"Billing Name\",\
        \"Billing Street\",\"Billing Zip\",\"Billing City\",\"Billing Country\",\"Billing Phone\"\r\n";
    let rows = "\
\"#1001\",ada@example.org,paid,CHF,4.90,5.00,2024-01-05 10:00:00 +0100,1.000,\"Tea, \"\"green\"\"\r\n500 g\",12.00,0,T-1,Ada Müller,Weg 1,8000,Zürich,CHE,+41 1\r\n\
\"#1002\",bob@example.org,voided,CHF,4.90,,2024-01-06 10:00:00 +0100,1,Tea,12.00,,T-1,Bob,,,,Switzerland,\r\n\
\"#1001\",,,,,,,2,Cup 🍵,3.50,1.00,C-1,,,,,,\r\n\
\"#1003\",cy@example.org,draft,CHF,4.90,,2024-01-07 10:00:00 +0100,1,Tea,12.00,,T-1,,,,,CH,\r\n\
\"#1004\",dan@example.org,pending,CHF,,,2024-01-08 10:00:00 +0100,1,Tea,12.00,,T-1,,,,,Nowhere,\r\n";
    let plan = mapped(HOSTED, &format!("{heading}{rows}"));
    assert_eq!(
        shown(&plan),
        [
            "#1001 1×T-1@12=12.00 2×C-1@3=6.00 1×SHIPPING@4.9=4.90",
            "#1001 !1×DISCOUNT@5=5.00",
            "#1002 1×T-1@12=12.00 1×SHIPPING@4.9=4.90",
            "#1004 1×T-1@12=12.00",
        ]
    );
    assert_eq!(left_out(&plan), [("draft", (1, 2, 2, 1_690))].into());
    assert_eq!((plan.file.rows, plan.notes.order_level), (5, 4));
    let progress: Vec<Progress> = plan
        .documents
        .iter()
        .filter_map(|document| match document {
            Document::Sale(sale) => Some(sale.progress),
            Document::Cancellation(_) => None,
        })
        .collect();
    assert_eq!(progress, [Progress::Done, Progress::Cancelled, Progress::Open]);
    let head = plan.documents[0].head();
    assert_eq!((head.currency.code(), head.country.as_str()), ("CHF", "CH"));
    let person = head.person.as_deref().unwrap();
    assert_eq!((person.name.as_deref(), person.city.as_deref()), (Some("Ada Müller"), Some("Zürich")));
    assert_eq!(plan.variants[&kernel_sku("T-1")].name, "Tea");
    assert_eq!(plan.variants[&kernel_sku("C-1")].name, "Cup 🍵");
    assert_eq!(plan.variants[&kernel_sku("SHIPPING")].kind, Kind::Postage);
    assert_eq!(plan.variants[&kernel_sku("DISCOUNT")].kind, Kind::Discount);
    assert_eq!(plan.notes.unknown_countries.keys().collect::<Vec<_>>(), ["Nowhere"]);
    let told = summary(&plan).join("\n");
    assert!(told.contains("`countries.names` does not know") && told.contains("4 lines more than rows"), "{told}");
}

/// An ERP's journal: numbers begin anew each year, invoices and credit notes are counted on their own, and credit notes name
/// their invoice.
const JOURNAL: &str = r#"
channel = "journal"
currency = "EUR"
numbers_restart = "yearly"
file = { delimiter = ";", decimal_comma = true }
countries = { default = "DE" }
cancellation = { kinds = ["GUTSCHRIFT"], unsigned = true }

[columns]
number = "Nr"
kind = "Art"
date = "Datum"
sku = "Artikel"
quantity = "Menge"
unit_price = "Preis"
line_discount_percent = "Rabatt"
original = "zu Rechnung"
customer = "Kunde"

[date]
format = "%d.%m.%Y"
zone = "Europe/Berlin"
"#;

const JOURNAL_ROWS: &str = "\
Nr;Art;Datum;Artikel;Menge;Preis;Rabatt;zu Rechnung;Kunde
1;Rechnung;05.01.2023;A;2;10,00;;;
1;Rechnung;05.01.2024;A;2;12,00;;;
1;Gutschrift;06.01.2024;A;1;12,00;;1;
2;Gutschrift;07.01.2024;A;3;9,00;;1;K9
3;Gutschrift;07.01.2024;A;1;10,00;;77;
1;Rechnung;05.01.2023;B;2;8,403361345;50 %;;
";

#[test]
fn numbers_that_begin_anew_are_told_apart_and_cancellations_name_their_order() {
    let plan = mapped(JOURNAL, JOURNAL_ROWS);
    assert_eq!(
        shown(&plan),
        [
            "1/2023 2×A@10=20.00 2×B@4.201681=8.40",
            "1/2024 2×A@12=24.00",
            // A credit note with the number of an invoice is another document.
            "1/2024#credit <1/2024.0 1×A@12=12.00",
            // Whoever gave it back, it is of the order that is named, and what that does not have is of none.
            "2/2024 <1/2024.0 1×A@9=9.00 !2×A@9=18.00",
            "3/2024 !1×A@10=10.00",
        ]
    );
    assert_eq!(plan.notes.unknown_originals, 1);
    assert!(summary(&plan).iter().any(|line| line.contains("`columns.original`")));
    let keys: std::collections::BTreeSet<String> = plan.documents.iter().map(Document::key).collect();
    assert_eq!(keys.len(), plan.documents.len());
}

#[test]
fn a_number_used_again_is_noticed_and_the_key_that_helps_is_named() {
    let plan = mapped(&JOURNAL.replace("numbers_restart = \"yearly\"\n", ""), JOURNAL_ROWS);
    assert_eq!(plan.notes.far_apart.0, 1);
    assert!(summary(&plan).iter().any(|line| line.contains("such as 1") && line.contains("numbers_restart")));
    let mut mapping = Mapping::parse(JOURNAL).unwrap();
    for (restart, number) in [(Restart::Monthly, "1/2023-01"), (Restart::Daily, "1/2023-01-05")] {
        mapping.numbers_restart = restart;
        assert_eq!(&**super::plan(JOURNAL_ROWS.as_bytes(), &mapping).documents[0].number(), number);
    }
}

#[test]
fn a_row_without_a_number_belongs_to_the_one_above_where_the_mapping_says_so() {
    let rows = "Nr;Art;Datum;Artikel;Menge;Preis;Rabatt;zu Rechnung;Kunde\n1;Rechnung;05.01.2023;A;2;10,00;;;K\n;;;B;1;5,00;;;\n";
    let filled = JOURNAL.replace("decimal_comma = true", "decimal_comma = true, fill_down = true");
    assert_eq!(shown(&mapped(&filled, rows)), ["1/2023 2×A@10=20.00 1×B@5=5.00"]);
    let plan = mapped(JOURNAL, rows);
    assert_eq!(left_out(&plan).keys().collect::<Vec<_>>(), [&"bad_document_number"]);
    assert!(summary(&plan).iter().any(|line| line.contains("`file.fill_down`")));
}

#[test]
fn tax_goes_by_country_and_class() {
    let rules = "tax = { rate = \"19\", class_rates = { reduced = \"7\" }, country_rates = { CH = \"0\", AT = \"20\" }, \
        country_class_rates = { AT = { reduced = \"10\" } } }";
    let mapping = Mapping::parse(&format!("{rules}\n{JOURNAL}")).unwrap_or_else(|error| panic!("{error}"));
    for (country, class, rate) in [
        ("DE", "standard", "19"),
        ("DE", "reduced", "7"),
        ("CH", "reduced", "0"),
        ("AT", "standard", "20"),
        ("AT", "reduced", "10"),
    ] {
        assert_eq!(mapping.tax.rate_of(country.parse().unwrap(), class).to_string(), rate, "{country} {class}");
    }
    let wrong = Mapping::parse(&format!("{}\n{JOURNAL}", rules.replace("\"10\"", "\"110\""))).unwrap_err().0;
    assert!(wrong.contains("tax.country_class_rates.AT.reduced"), "{wrong}");
}

#[test]
fn a_heading_that_is_not_found_says_what_may_be_wrong() {
    let error = |mapping: &str, heading: &str| {
        let mapping = Mapping::parse(mapping).unwrap();
        Rows::new(heading.as_bytes(), &mapping).err().unwrap_or_else(|| panic!("the heading fits")).0
    };
    let told = error(JOURNAL, "Nr,Art,Datum\n");
    assert!(told.contains("`file.delimiter`") && told.contains("','"), "{told}");
    // The same umlaut as one character and as two, and a heading in capitals.
    let mapping = JOURNAL.replace("\"Kunde\"", "\"Käufer\"");
    let heading = "NR;art;Datum;Artikel;Menge;Preis;Rabatt;zu Rechnung;Ka\u{308}ufer\n";
    assert!(Rows::new(heading.as_bytes(), &Mapping::parse(&mapping).unwrap()).is_ok());
    let told = error(&mapping, "Nr;Art;Datum;Artikel;Menge;Preis;Rabatt;zu Rechnung;Kunde\n");
    assert!(told.contains("columns.customer"), "{told}");
}

#[test]
fn a_status_needs_its_column_and_stands_under_one_key() {
    let error = |from: &str, to: &str| Mapping::parse(&HOSTED.replacen(from, to, 1)).unwrap_err().0;
    let told = error("status = \"Financial Status\"\n", "");
    assert!(told.contains("columns.status"), "{told}");
    let told = error("open = [\"Pending\"]", "open = [\"VOIDED\"]");
    assert!(told.contains("`status`") && told.to_lowercase().contains("voided"), "{told}");
    let told = error("[status]", "[order_level]\nshipping_sku = \" \"\n\n[status]");
    assert!(told.contains("order_level.shipping_sku"), "{told}");
}

#[test]
fn every_defect_names_what_to_look_at() {
    let file_s_own = [super::super::Defect::EmptyRow];
    for defect in super::super::Defect::ALL {
        assert_eq!(defect.keys().is_empty(), file_s_own.contains(defect), "{defect}");
        assert!(!defect.keys().contains('\\'), "{defect}");
    }
}
