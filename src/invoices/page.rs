//! A document as a page to print: one file of HTML without scripts, every text escaped. Pure.

use super::{sheet::Sheet, text::escaped};

const STYLE: &str = "@page{size:A4;margin:18mm}body{font:10.5pt/1.35 sans-serif;margin:0;color:#000}\
    header{display:flex;gap:8mm;flex-wrap:wrap}section{flex:1;min-width:50mm}h1{font-size:16pt;margin:0 0 4mm}p{margin:0 0 4mm}\
    table{width:100%;border-collapse:collapse;margin-bottom:4mm}th,td{text-align:left;vertical-align:top;padding:1.2mm 2mm;\
    border-bottom:.2mm solid #000}.n{text-align:right;white-space:nowrap}thead{display:table-header-group}tr{break-inside:avoid}\
    .sums{width:auto;margin-left:auto}";

fn lines(texts: &[String]) -> String {
    texts.iter().map(|text| escaped(text)).collect::<Vec<_>>().join("<br>")
}

fn table(sheet: &Sheet) -> String {
    let numbers = sheet.columns.map(|heading| format!("<th class=\"n\">{heading}</th>")).concat();
    let mut text = format!("<table><thead><tr><th>{}</th>{numbers}</tr></thead>\n<tbody>\n", sheet.article);
    for row in &sheet.rows {
        let sku = if row.sku.is_empty() { String::new() } else { format!("<br><small>{}</small>", escaped(&row.sku)) };
        let cells: String = row.cells.iter().map(|cell| format!("<td class=\"n\">{}</td>", escaped(cell))).collect();
        text.push_str(&format!("<tr><td>{}{sku}</td>{cells}</tr>\n", escaped(&row.name)));
    }
    text.push_str("</tbody></table>\n");
    text
}

fn sums(sheet: &Sheet) -> String {
    let row = |(heading, sum): &(String, String)| {
        format!("<tr><td>{}</td><td class=\"n\">{}</td></tr>\n", escaped(heading), escaped(sum))
    };
    format!("<table class=\"sums\"><tbody>\n{}</tbody></table>\n", sheet.sums.iter().map(row).collect::<String>())
}

/// A document as a page.
#[must_use]
pub(super) fn page(sheet: &Sheet) -> String {
    let Sheet { language, title, number, .. } = sheet;
    format!(
        "<!doctype html>\n<html lang=\"{language}\">\n<head><meta charset=\"utf-8\"><title>{title} {}</title>\n<style>{STYLE}</style></head>\n\
         <body>\n<h1>{title}</h1>\n<header><section><p>{}</p></section><section><p>{}</p></section><section><p>{}</p></section></header>\n\
         {}{}<p>{}</p>\n</body>\n</html>\n",
        escaped(number),
        lines(&sheet.buyer),
        lines(&sheet.seller),
        lines(&sheet.facts),
        table(sheet),
        sums(sheet),
        lines(&sheet.notes)
    )
}
