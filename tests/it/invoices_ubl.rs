//! Invoices as UBL 2.1: the business rules of EN 16931 over what is sold at home, at a distance, to businesses, out of the Union and to those who
//! are exempt; and one by hand.
//!
//! `KONTOR_UBL_OUT=<folder>` writes the documents there, for the official schemas and Schematron rules (docs/invoices.md).

use std::{collections::BTreeMap, str::FromStr};

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::{
    invoices::{by_hand, have, invoiced, of_order, ship, text},
    promotions::{eur, percent, promote},
    support::{App, Shop, on_both},
    tax::{FRENCH, address, shop},
};

/// An element: its name without prefix, the text in it, and what is within.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: String,
    text: String,
    inner: Vec<Element>,
}

impl Element {
    /// Reads what this slice writes: no comments, no CDATA, no empty elements.
    fn read(xml: &str) -> Self {
        let mut open = vec![Self::default()];
        for part in xml.split('<').skip(2) {
            let (tag, text) = part.split_once('>').unwrap();
            if let Some(name) = tag.strip_prefix('/') {
                let closed = open.pop().unwrap();
                assert_eq!(closed.name, name.rsplit(':').next().unwrap());
                assert!(!closed.inner.is_empty() || !closed.text.trim().is_empty(), "{name} is empty");
                open.last_mut().unwrap().inner.push(closed);
            } else {
                let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
                let name = name.rsplit(':').next().unwrap().to_owned();
                open.push(Self { name, attributes: attributes.to_owned(), text: text.to_owned(), inner: Vec::new() });
            }
        }
        assert_eq!(open.len(), 1, "something is not closed");
        open.pop().unwrap().inner.pop().unwrap()
    }

    fn all(&self, path: &str) -> Vec<&Self> {
        path.split('/').fold(vec![self], |found, name| {
            found.iter().flat_map(|one| one.inner.iter().filter(|inner| inner.name == name)).collect()
        })
    }

    fn said(&self, path: &str) -> Option<&str> {
        self.all(path).first().map(|one| one.text.as_str())
    }

    fn text(&self, path: &str) -> &str {
        self.said(path).unwrap_or_else(|| panic!("no {path} in {self:#?}"))
    }

    fn sum(&self, path: &str) -> Decimal {
        self.all(path).iter().map(|one| Decimal::from_str(&one.text).unwrap()).sum()
    }
}

/// The rules, by the names that EN 16931 gives them.
fn check(root: &Element) {
    let lines = [root.all("InvoiceLine"), root.all("CreditNoteLine")].concat();
    let charges: Vec<&Element> = root.all("AllowanceCharge");
    let total = |name: &str| root.sum(&format!("LegalMonetaryTotal/{name}"));
    let sum = |of: &[&Element], path: &str| of.iter().map(|one| one.sum(path)).sum::<Decimal>();
    assert_eq!(root.text("CustomizationID"), "urn:cen.eu:en16931:2017", "BR-01");
    for needed in [
        "ID",
        "IssueDate",
        "DocumentCurrencyCode",
        "AccountingSupplierParty/Party/PartyLegalEntity/RegistrationName",
        "AccountingCustomerParty/Party/PartyLegalEntity/RegistrationName",
        "AccountingSupplierParty/Party/PostalAddress/Country/IdentificationCode",
        "AccountingCustomerParty/Party/PostalAddress/Country/IdentificationCode",
    ] {
        assert!(!root.text(needed).is_empty(), "BR-02 to BR-11: {needed}");
    }
    assert!(!lines.is_empty(), "BR-16");
    assert_eq!(total("LineExtensionAmount"), sum(&lines, "LineExtensionAmount"), "BR-CO-10");
    assert_eq!(total("ChargeTotalAmount"), sum(&charges, "Amount"), "BR-CO-12");
    assert_eq!(
        total("TaxExclusiveAmount"),
        total("LineExtensionAmount") + total("ChargeTotalAmount") - total("AllowanceTotalAmount"),
        "BR-CO-13"
    );
    assert_eq!(root.sum("TaxTotal/TaxAmount"), root.sum("TaxTotal/TaxSubtotal/TaxAmount"), "BR-CO-14");
    assert_eq!(total("TaxInclusiveAmount"), total("TaxExclusiveAmount") + root.sum("TaxTotal/TaxAmount"), "BR-CO-15");
    assert_eq!(total("PayableAmount"), total("TaxInclusiveAmount") - total("PrepaidAmount"), "BR-CO-16");
    if total("PayableAmount") > Decimal::ZERO && root.name == "Invoice" {
        assert!(root.said("DueDate").is_some(), "BR-CO-25");
    }
    // What bears which category and rate.
    let mut bears: BTreeMap<(String, String), Decimal> = BTreeMap::new();
    for line in &lines {
        let tax = line.all("Item/ClassifiedTaxCategory")[0];
        let key = (tax.text("ID").to_owned(), tax.text("Percent").to_owned());
        *bears.entry(key).or_default() += line.sum("LineExtensionAmount");
        let price = line.sum("Price/PriceAmount") / line.sum("Price/BaseQuantity");
        let quantity = line.sum("InvoicedQuantity") + line.sum("CreditedQuantity");
        let off = line.sum("AllowanceCharge/Amount");
        assert_eq!((price * quantity - off).round_dp(6), line.sum("LineExtensionAmount"), "the price of a line");
        assert!(price >= Decimal::ZERO, "BR-27");
    }
    for charge in &charges {
        let tax = charge.all("TaxCategory")[0];
        let key = (tax.text("ID").to_owned(), tax.text("Percent").to_owned());
        *bears.entry(key).or_default() += charge.sum("Amount");
    }
    let rows = root.all("TaxTotal/TaxSubtotal");
    assert!(!rows.is_empty(), "BR-CO-18");
    assert_eq!(rows.len(), bears.len(), "BR-S-01, BR-AE-01, BR-G-01, BR-E-01, BR-IC-01, BR-Z-01");
    let (seller, buyer) = ("AccountingSupplierParty/Party/", "AccountingCustomerParty/Party/");
    let vat_id = |party: &str| root.said(&format!("{party}PartyTaxScheme/CompanyID")).is_some();
    for row in rows {
        let (category, percent) = (row.text("TaxCategory/ID"), row.text("TaxCategory/Percent"));
        let (net, tax) = (row.sum("TaxableAmount"), row.sum("TaxAmount"));
        assert_eq!(bears[&(category.to_owned(), percent.to_owned())], net, "BR-S-08 and its like");
        let due = net * Decimal::from_str(percent).unwrap() / Decimal::ONE_HUNDRED;
        assert!((due - tax).abs() < Decimal::ONE, "BR-CO-17, BR-S-09: {due} and {tax}");
        let reason = row.said("TaxCategory/TaxExemptionReason").is_some();
        assert!(vat_id(seller), "BR-S-02 and its like");
        match category {
            "S" => assert!(!reason && percent != "0", "BR-S-10, BR-S-05"),
            "Z" => assert!(!reason && tax.is_zero(), "BR-Z-10, BR-Z-09"),
            "AE" | "K" => {
                assert!(reason && tax.is_zero() && percent == "0", "BR-AE-10, BR-IC-10");
                assert!(vat_id(buyer), "BR-AE-02, BR-IC-02");
                if category == "K" {
                    root.text("Delivery/ActualDeliveryDate");
                    root.text("Delivery/DeliveryLocation/Address/Country/IdentificationCode");
                }
            }
            "G" | "E" => assert!(reason && tax.is_zero() && percent == "0", "BR-G-10, BR-E-10"),
            other => panic!("the category {other}"),
        }
    }
}

async fn xml_of(app: &App, summary: &Value) -> String {
    let answer = app.ops("GET", &format!("/invoices/{}/xml", text(&summary["id"])), None).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/xml; charset=utf-8")));
    if let Some(folder) = std::env::var_os("KONTOR_UBL_OUT") {
        let name = format!("{}-{}.xml", text(&summary["number"]), &text(&summary["id"])[20..]);
        std::fs::write(std::path::Path::new(&folder).join(name), &answer.text).unwrap();
    }
    answer.text
}

async fn order(shop: &Shop, body: Value) -> Value {
    let cart = shop.store("POST", "/carts", None, Some(&body)).await.expect(201);
    let (path, token) = (format!("/carts/{}/complete", text(&cart["id"])), text(&cart["token"]));
    let pay = json!({"payment": {"method": "sandbox"}});
    shop.store("POST", &path, Some(&token), Some(&pay)).await.expect(201)["order"].clone()
}

/// Mugs at the standard rate, books at a lower one, a promotion and shipping that bears the rates of the goods.
async fn bookshop(app: &App, mode: &str) -> Shop {
    let shop = shop(app, json!({"exports": "untaxed", "shipping": "split"})).await;
    for (country, rate) in [("DE", "0.07"), ("AT", "0.05"), ("FR", "0.055")] {
        let rate =
            json!({"country": country, "tax_class": "books", "rate": rate, "valid_from": "2020-01-01T00:00:00Z"});
        app.ops("POST", "/tax-rates", Some(&rate)).await.expect(201);
    }
    let book = json!({"sku": "BOOK", "name": "A <book> & more", "tax_class": "books", "weight_grams": 300});
    app.ops("POST", "/variants", Some(&book)).await.expect(201);
    let help = json!({"sku": "HELP", "name": "Help", "tax_class": "standard", "requires_shipping": false,
        "stock_policy": "untracked"});
    app.ops("POST", "/variants", Some(&help)).await.expect(201);
    for (sku, price) in [("BOOK", "21.37"), ("HELP", "49.99")] {
        shop.set_price(sku, price).await;
    }
    shop.stock_up("BOOK", 1_000).await;
    let methods = app.ops("GET", "/shipping-methods", None).await.expect(200);
    let path = format!("/shipping-methods/{}", text(&methods["items"][0]["id"]));
    app.ops("PATCH", &path, Some(&json!({"rates": [{"countries": [], "price": eur("4.99")}]}))).await.expect(200);
    let tax = json!({"exports": "untaxed", "shipping": "split"});
    let entity = crate::invoices::entity(app).await;
    let said = json!({"vat_id": "DE136695976", "invoicing": crate::invoices::settings()});
    app.ops("PATCH", &format!("/legal-entities/{}", text(&entity["id"])), Some(&said)).await.expect(200);
    shop.set(json!({"tax": tax, "invoicing": mode})).await;
    shop
}

fn categories(root: &Element) -> Vec<(String, String)> {
    let rows = root.all("TaxTotal/TaxSubtotal");
    let said = |row: &&Element| (row.text("TaxCategory/ID").to_owned(), row.text("TaxCategory/Percent").to_owned());
    rows.iter().map(said).collect()
}

#[test]
fn documents_of_every_treatment_keep_the_rules_of_the_norm() {
    on_both(|app| async move {
        let shop = bookshop(&app, "at_order").await;
        let lines = json!([{"sku": "MUG", "quantity": 3}, {"sku": "BOOK", "quantity": 7}]);
        let with_help = json!([{"sku": "MUG", "quantity": 3}, {"sku": "HELP", "quantity": 1}]);
        let cases: [(&str, Option<&str>, &Value, &[(&str, &str)]); 6] = [
            ("DE", None, &lines, &[("S", "7"), ("S", "19")]),
            ("FR", None, &lines, &[("S", "5.5"), ("S", "20")]),
            ("AT", None, &lines, &[("S", "5"), ("S", "10")]),
            ("FR", Some(FRENCH), &lines, &[("K", "0")]),
            ("FR", Some(FRENCH), &with_help, &[("AE", "0"), ("K", "0")]),
            ("CH", None, &lines, &[("G", "0")]),
        ];
        for (country, vat_id, lines, wanted) in cases {
            let body = json!({"lines": lines, "email": "ada@example.org", "shipping_method": "standard",
                "shipping_address": address(country), "vat_id": vat_id});
            let order = order(&shop, body).await;
            have(&app, &order, 1).await;
            ship(&app, &order, Some(json!([{"line_no": 1, "quantity": 2}]))).await;
            let back = json!({"order": order["id"], "lines": [{"line_no": 1, "quantity": 1}], "refund": true});
            app.ops("POST", "/returns", Some(&back)).await.expect(201);
            let cancel = json!({"reason": "one less"});
            app.ops("POST", &format!("/orders/{}/cancel", text(&order["id"])), Some(&cancel)).await.expect(200);
            for (place, one) in have(&app, &order, 3).await.iter().enumerate() {
                let root = Element::read(&xml_of(&app, one).await);
                assert_eq!(root.name, if place == 0 { "Invoice" } else { "CreditNote" });
                check(&root);
                let found = categories(&root);
                let wanted: Vec<(String, String)> =
                    wanted.iter().map(|(code, rate)| ((*code).to_owned(), (*rate).to_owned())).collect();
                if place == 0 {
                    assert_eq!(found, wanted, "{country}");
                } else {
                    assert!(found.iter().all(|row| wanted.contains(row)), "{found:?}");
                    assert_eq!(root.all("BillingReference").len(), 1);
                }
            }
        }
    });
}

#[test]
fn discounts_and_shipments_keep_the_rules_of_the_norm() {
    on_both(|app| async move {
        let shop = bookshop(&app, "at_shipment").await;
        promote(&app, "third", json!({"conditions": {}, "gift": percent("33", "order")})).await;
        let body = json!({"lines": [{"sku": "MUG", "quantity": 7}, {"sku": "BOOK", "quantity": 3}, {"sku": "HELP", "quantity": 1}],
            "email": "ada@example.org", "shipping_method": "standard", "shipping_address": address("DE")});
        let order = order(&shop, body).await;
        for quantity in [2, 4, 1] {
            ship(&app, &order, Some(json!([{"line_no": 1, "quantity": quantity}]))).await;
        }
        ship(&app, &order, None).await;
        have(&app, &order, 4).await;
        let mut total = Decimal::ZERO;
        for one in of_order(&app, &order).await {
            let root = Element::read(&xml_of(&app, &one).await);
            check(&root);
            assert!(root.sum("InvoiceLine/AllowanceCharge/Amount") > Decimal::ZERO);
            total += root.sum("LegalMonetaryTotal/TaxInclusiveAmount");
        }
        assert_eq!(total.to_string(), text(&order["total"]["amount"]));
    });
}

/// Three mugs for 11.90 each with 19 %, shipping for 4.90, paid by card: by hand.
#[test]
fn an_invoice_by_hand() {
    on_both(|app| async move {
        let shop = Shop::open(&app, &[("MUG", "11.90", 100)]).await;
        invoiced(&shop, "at_order").await;
        let order = by_hand(&shop, &[("MUG", 3)]).await;
        let issued = have(&app, &order, 1).await;
        let xml = xml_of(&app, &issued[0]).await;
        let root = Element::read(&xml);
        check(&root);
        assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Invoice xmlns=\"urn:oasis:"));
        assert_eq!(root.text("InvoiceTypeCode"), "380");
        assert_eq!(root.text("OrderReference/ID"), text(&order["number"]));
        let line = root.all("InvoiceLine")[0];
        assert_eq!(line.text("InvoicedQuantity"), "3");
        assert_eq!(line.all("InvoicedQuantity")[0].attributes, "unitCode=\"C62\"");
        assert_eq!((line.text("LineExtensionAmount"), line.text("Price/PriceAmount")), ("30.00", "10"));
        assert_eq!(line.text("Price/BaseQuantity"), "1");
        let charge = root.all("AllowanceCharge")[0];
        assert_eq!((charge.text("ChargeIndicator"), charge.text("Amount")), ("true", "4.12"));
        let total = |name: &str| root.text(&format!("LegalMonetaryTotal/{name}"));
        assert_eq!(
            ["LineExtensionAmount", "TaxExclusiveAmount", "TaxInclusiveAmount"].map(total),
            ["30.00", "34.12", "40.60"]
        );
        assert_eq!(root.text("TaxTotal/TaxAmount"), "6.48");
        assert_eq!(root.text("TaxTotal/TaxSubtotal/TaxCategory/Percent"), "19");
        assert_eq!(root.text("PaymentMeans/PayeeFinancialAccount/ID"), "DE89370400440532013000");
        let page = app.ops("GET", &format!("/invoices/{}/html", text(&issued[0]["id"])), None).await;
        assert!(page.text.contains("40.60 EUR") && page.text.contains("RE-"), "{}", page.text);
    });
}
