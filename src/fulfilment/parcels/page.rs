//! A packing slip as a page to print: one file of HTML without scripts, in the customer's language, with every text escaped. Pure.

use super::labels::{PackingSlip, Sender, SlipLine, sscc_text};
use crate::{customers::Address, kernel::PricePer};

crate::words! {
    /// On what a page is printed.
    pub enum Paper {
        /// 210 × 297 mm.
        A4 = "a4",
        /// 148 × 210 mm.
        A5 = "a5",
    }
}

/// The headings of a slip in a language.
struct Words {
    language: &'static str,
    title: &'static str,
    order: &'static str,
    package: &'static str,
    of: &'static str,
    from: &'static str,
    to: &'static str,
    quantity: &'static str,
    article: &'static str,
    number: &'static str,
    price: &'static str,
    serials: &'static str,
    lots: &'static str,
}

const ENGLISH: Words = Words {
    language: "en",
    title: "Packing slip",
    order: "Order",
    package: "Package",
    of: "of",
    from: "From",
    to: "To",
    quantity: "Quantity",
    article: "Article",
    number: "Article number",
    price: "Unit price",
    serials: "Serial numbers",
    lots: "Lots",
};

const GERMAN: Words = Words {
    language: "de",
    title: "Lieferschein",
    order: "Bestellung",
    package: "Paket",
    of: "von",
    from: "Absender",
    to: "Empfänger",
    quantity: "Menge",
    article: "Artikel",
    number: "Artikelnummer",
    price: "Einzelpreis",
    serials: "Seriennummern",
    lots: "Chargen",
};

impl Words {
    /// Those of the language that a locale begins with; English where there are none of it.
    fn of(locale: Option<&str>) -> &'static Self {
        let language = locale.and_then(|locale| locale.split(['-', '_']).next()).unwrap_or_default();
        if language.eq_ignore_ascii_case("de") { &GERMAN } else { &ENGLISH }
    }
}

/// A text as it stands in HTML, between tags and in attributes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // What turns the direction of writing, or is nothing to print, would make a text look like another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// The lines of an address, each escaped.
fn lines_of(address: &Address) -> Vec<String> {
    let place = format!("{} {}", &*address.postcode, &*address.city);
    let texts = [
        Some(address.name.to_string()),
        address.company.as_ref().map(ToString::to_string),
        Some(address.street1.to_string()),
        address.street2.as_ref().map(ToString::to_string),
        Some(place),
        address.region.as_ref().map(ToString::to_string),
        Some(address.country.as_str().to_owned()),
    ];
    texts.into_iter().flatten().map(|text| escaped(&text)).collect()
}

fn sender(from: &Sender) -> Vec<String> {
    match &from.address {
        Some(address) => lines_of(address),
        None => vec![escaped(&from.name), escaped(from.country.as_str())],
    }
}

fn box_of(heading: &str, lines: &[String]) -> String {
    format!("<section><h2>{heading}</h2><p>{}</p></section>", lines.join("<br>"))
}

/// A row of the table: how many, what, its number, and what one costs where prices are shown.
fn row(words: &Words, line: &SlipLine, price: Option<Option<PricePer>>) -> String {
    let noted = |heading: &str, texts: &[String]| {
        let texts: Vec<String> = texts.iter().map(|text| escaped(text)).collect();
        if texts.is_empty() { String::new() } else { format!("<br><small>{heading}: {}</small>", texts.join(", ")) }
    };
    let packed = &line.packed;
    let numbers: Vec<String> = packed.lots.iter().map(|lot| lot.lot.clone()).collect();
    let (serials, lots) = (noted(words.serials, &packed.serials), noted(words.lots, &numbers));
    let price = price.map_or_else(String::new, |price| {
        format!("<td class=\"n\">{}</td>", price.map(|price| escaped(&price.to_string())).unwrap_or_default())
    });
    format!(
        "<tr><td class=\"n\">{}</td><td>{}{serials}{lots}</td><td>{}</td>{price}</tr>\n",
        packed.quantity,
        escaped(&line.name),
        escaped(&packed.sku)
    )
}

/// The page of a slip. `price` tells what a piece of a line of the order cost, where prices are to be shown.
#[must_use]
pub(super) fn page(
    slip: &PackingSlip,
    sscc: Option<&str>,
    paper: Paper,
    price: Option<&dyn Fn(i32) -> Option<PricePer>>,
) -> String {
    let words = Words::of(slip.locale.as_deref());
    let Words { language, title, order, package, of, quantity, article, number, .. } = words;
    let (size, margin) = match paper {
        Paper::A4 => ("A4", "18mm"),
        Paper::A5 => ("A5", "10mm"),
    };
    let style = format!(
        "@page{{size:{size};margin:{margin}}}body{{font:11pt/1.35 sans-serif;margin:0;color:#000}}\
         header{{display:flex;gap:8mm;flex-wrap:wrap}}section{{flex:1;min-width:50mm}}h1{{font-size:16pt;margin:0 0 4mm}}\
         h2{{font-size:9pt;margin:0;font-weight:normal}}p{{margin:0 0 4mm}}table{{width:100%;border-collapse:collapse}}\
         th,td{{text-align:left;vertical-align:top;padding:1.5mm 2mm;border-bottom:.2mm solid #000}}.n{{text-align:right}}\
         thead{{display:table-header-group}}tr{{break-inside:avoid}}"
    );
    let mut rows = String::new();
    for line in &slip.lines {
        rows.push_str(&row(words, line, price.map(|price| price(line.packed.line_no))));
    }
    let to = slip.to.as_ref().map(|to| box_of(words.to, &lines_of(to))).unwrap_or_default();
    let from = box_of(words.from, &sender(&slip.from));
    let heads = price.map_or_else(String::new, |_| format!("<th class=\"n\">{}</th>", words.price));
    let sscc = sscc.map(|sscc| format!("<br>{}", escaped(&sscc_text(sscc)))).unwrap_or_default();
    let mut page = format!(
        "<!doctype html>\n<html lang=\"{language}\">\n<head><meta charset=\"utf-8\"><title>{title} {}</title>\n<style>{style}</style></head>\n",
        escaped(&slip.order_number)
    );
    page.push_str(&format!(
        "<body>\n<h1>{title}</h1>\n<header>{to}{from}<section><h2>{order}</h2><p>{}</p><h2>{package}</h2><p>{} {of} {}{sscc}</p></section></header>\n\
         <table><thead><tr><th class=\"n\">{quantity}</th><th>{article}</th><th>{number}</th>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table>\n\
         </body>\n</html>\n",
        escaped(&slip.order_number),
        slip.number,
        slip.of
    ));
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_written_becomes_markup() {
        let odd = "<script>alert('1')</script> & \"Söhne\"\u{202e}\n";
        assert_eq!(escaped(odd), "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;Söhne&quot; ");
    }

    #[test]
    fn headings_are_in_the_customers_language() {
        let title = |locale: Option<&str>| Words::of(locale).title;
        assert_eq!([title(Some("de-AT")), title(Some("DE")), title(Some("de_DE"))], ["Lieferschein"; 3]);
        assert_eq!([title(Some("en-GB")), title(Some("fr")), title(None)], ["Packing slip"; 3]);
    }
}
