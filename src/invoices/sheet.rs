//! A document as people read it, whatever it is drawn on: its words in the customer's language (German or English), its texts as they are. Pure.

use super::{
    model::{BillKind, Category, Charge, Invoice, InvoiceLine, Party},
    text::{digits, percent, visible},
};
use crate::kernel::Money;

/// The words of a page in a language.
struct Words {
    language: &'static str,
    titles: [&'static str; 3],
    number: &'static str,
    day: &'static str,
    delivered: &'static str,
    due: &'static str,
    order: &'static str,
    contract: &'static str,
    freight: &'static str,
    about: &'static str,
    reason: &'static str,
    article: &'static str,
    quantity: &'static str,
    price: &'static str,
    allowance: &'static str,
    rate: &'static str,
    amount: &'static str,
    net: &'static str,
    tax: &'static str,
    total: &'static str,
    prepaid: &'static str,
    payable: &'static str,
    vat_id: &'static str,
    tax_number: &'static str,
    account: &'static str,
}

const ENGLISH: Words = Words {
    language: "en",
    titles: ["Invoice", "Credit note", "Pro forma invoice"],
    number: "Number",
    day: "Date",
    delivered: "Shipped on",
    due: "Due on",
    order: "Order",
    contract: "Contract",
    freight: "Freight",
    about: "About",
    reason: "Reason",
    article: "Article",
    quantity: "Quantity",
    price: "Net price",
    allowance: "Discount",
    rate: "VAT",
    amount: "Net amount",
    net: "Net",
    tax: "VAT",
    total: "Total",
    prepaid: "Paid",
    payable: "To pay",
    vat_id: "VAT number",
    tax_number: "Tax number",
    account: "Account",
};

const GERMAN: Words = Words {
    language: "de",
    titles: ["Rechnung", "Rechnungskorrektur", "Proforma-Rechnung"],
    number: "Nummer",
    day: "Datum",
    delivered: "Lieferdatum",
    due: "Zahlbar bis",
    order: "Bestellung",
    contract: "Vertrag",
    freight: "Fracht",
    about: "Zu",
    reason: "Grund",
    article: "Artikel",
    quantity: "Menge",
    price: "Einzelpreis netto",
    allowance: "Rabatt",
    rate: "USt.",
    amount: "Betrag netto",
    net: "Netto",
    tax: "USt.",
    total: "Gesamt",
    prepaid: "Bezahlt",
    payable: "Zu zahlen",
    vat_id: "USt-IdNr.",
    tax_number: "Steuernummer",
    account: "Konto",
};

impl Words {
    fn of(locale: Option<&str>) -> &'static Self {
        let language = locale.and_then(|locale| locale.split(['-', '_']).next()).unwrap_or_default();
        if language.eq_ignore_ascii_case("de") { &GERMAN } else { &ENGLISH }
    }

    fn title(&self, kind: BillKind) -> &'static str {
        let [invoice, credit_note, pro_forma] = self.titles;
        match kind {
            BillKind::Invoice => invoice,
            BillKind::CreditNote => credit_note,
            BillKind::ProForma => pro_forma,
        }
    }

    /// Why nothing is taxed, in words that the law asks for.
    fn exemption(&self, category: Category) -> Option<&'static str> {
        let german = self.language == "de";
        match category {
            Category::ReverseCharge if german => Some("Steuerschuldnerschaft des Leistungsempfängers"),
            Category::IntraCommunity if german => Some("Steuerfreie innergemeinschaftliche Lieferung"),
            Category::Export if german => Some("Steuerfreie Ausfuhrlieferung"),
            Category::Exempt if german => Some("Steuerfrei"),
            other => other.exemption().map(|(_, words)| words),
        }
    }
}

/// What a line of the table says in its five columns of numbers.
pub(super) type Cells = [String; 5];

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// What was sold, or is charged.
    pub name: String,
    /// Its SKU; empty where it has none.
    pub sku: String,
    /// Quantity, price, discount, rate, amount.
    pub cells: Cells,
}

/// A document as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sheet {
    /// The language of its words: `de` or `en`.
    pub language: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// Its number; empty where it has none.
    pub number: String,
    /// Who buys, in lines.
    pub buyer: Vec<String>,
    /// Who sells, in lines.
    pub seller: Vec<String>,
    /// Number, days, order and what else it is about, in lines.
    pub facts: Vec<String>,
    /// The heading of the articles.
    pub article: &'static str,
    /// The headings of the columns of numbers.
    pub columns: [&'static str; 5],
    /// What is sold and charged.
    pub rows: Vec<Row>,
    /// What it sums up to: what, how much.
    pub sums: Vec<(String, String)>,
    /// What else has to be said, in lines.
    pub notes: Vec<String>,
}

impl Sheet {
    /// What a document says.
    #[must_use]
    pub(super) fn of(invoice: &Invoice) -> Self {
        let words = Words::of(invoice.locale.as_deref());
        let rows = invoice.lines.iter().map(row_of_line).chain(invoice.charges.iter().map(row_of_charge));
        Self {
            language: words.language,
            title: words.title(invoice.kind),
            number: visible(invoice.number.as_deref().unwrap_or_default()),
            buyer: invoice.buyer.as_ref().map(|buyer| lines_of(buyer, words)).unwrap_or_default(),
            seller: lines_of(&invoice.seller, words),
            facts: facts(invoice, words),
            article: words.article,
            columns: [words.quantity, words.price, words.allowance, words.rate, words.amount],
            rows: rows.collect(),
            sums: sums(invoice, words),
            notes: notes(invoice, words),
        }
    }
}

fn amount(money: Money) -> String {
    format!("{} {}", digits(money), money.currency().code())
}

fn lines_of(party: &Party, words: &Words) -> Vec<String> {
    let place = format!("{} {}", party.postcode, party.city);
    let told = |heading: &str, text: &Option<String>| text.as_ref().map(|text| format!("{heading}: {text}"));
    let texts = [
        Some(party.name.clone()),
        party.contact.clone(),
        Some(party.street1.clone()),
        party.street2.clone(),
        Some(place),
        party.region.clone(),
        Some(party.country.as_str().to_owned()),
        told(words.vat_id, &party.vat_id),
        told(words.tax_number, &party.tax_number),
        party.registration.clone(),
        party.email.clone(),
        party.phone.clone(),
    ];
    texts.into_iter().flatten().map(|text| visible(&text)).collect()
}

fn facts(invoice: &Invoice, words: &Words) -> Vec<String> {
    let about: Vec<&str> = invoice.refers_to.iter().map(|one| one.number.as_str()).collect();
    let contracts: Vec<&str> = invoice.contracts.iter().map(|one| one.number.as_str()).collect();
    let freight: Vec<&str> = invoice.contracts.iter().filter_map(|one| one.freight.as_deref()).collect();
    let is_credit = invoice.kind == BillKind::CreditNote;
    let rows = [
        (words.number, invoice.number.clone()),
        (words.day, Some(invoice.issued_on.to_string())),
        (words.delivered, invoice.delivered_on.map(|day| day.to_string())),
        (words.due, (!is_credit && invoice.payable.minor() > 0).then(|| invoice.due_on.to_string())),
        (words.order, Some(invoice.order_number.clone())),
        (words.contract, (!contracts.is_empty()).then(|| contracts.join(", "))),
        (words.freight, (!freight.is_empty() && !is_credit).then(|| freight.join("; "))),
        (words.about, (!about.is_empty()).then(|| about.join(", "))),
        (words.reason, invoice.reason.clone()),
    ];
    let row = |(heading, text): (&str, Option<String>)| Some(format!("{heading}: {}", visible(&text?)));
    rows.into_iter().filter_map(row).collect()
}

fn row_of_line(line: &InvoiceLine) -> Row {
    let per = if line.price_quantity == 1 { String::new() } else { format!(" / {}", line.price_quantity) };
    let off = if line.allowance.minor() == 0 { String::new() } else { amount(line.allowance) };
    let price = format!("{}{per}", line.price.normalize());
    let rate = format!("{} %", percent(line.rate));
    let cells = [line.quantity.to_string(), price, off, rate, amount(line.net)];
    Row { name: visible(&line.name), sku: visible(&line.sku), cells }
}

fn row_of_charge(charge: &Charge) -> Row {
    let rate = format!("{} %", percent(charge.rate));
    let cells = [String::new(), String::new(), String::new(), rate, amount(charge.net)];
    Row { name: visible(&charge.name), sku: String::new(), cells }
}

fn sums(invoice: &Invoice, words: &Words) -> Vec<(String, String)> {
    let mut rows = vec![(words.net.to_owned(), invoice.net)];
    for tax in &invoice.taxes {
        let heading = format!("{} {} % ({} {})", words.tax, percent(tax.rate), words.net, amount(tax.net));
        rows.push((heading, tax.tax));
    }
    rows.push((words.total.to_owned(), invoice.total));
    if invoice.kind != BillKind::CreditNote {
        rows.push((words.prepaid.to_owned(), invoice.prepaid));
        rows.push((words.payable.to_owned(), invoice.payable));
    }
    rows.into_iter().map(|(heading, sum)| (heading, amount(sum))).collect()
}

fn notes(invoice: &Invoice, words: &Words) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for tax in &invoice.taxes {
        notes.extend(words.exemption(tax.category).map(str::to_owned).filter(|note| !notes.contains(note)));
    }
    notes.extend(invoice.terms.as_ref().map(|text| visible(text)));
    notes.extend(invoice.iban.as_ref().map(|iban| format!("{}: {}", words.account, visible(iban))));
    notes.extend(invoice.note.as_ref().map(|text| visible(text)));
    notes
}
