//! A document as a PDF: A4, as many pages as it takes, the text selectable, the letters of Latin, Greek and Cyrillic. Pure.
//!
//! What is where is told in tenths of a point, downwards from the upper left corner.

use std::mem;

use krilla::{
    Document,
    geom::{PathBuilder, Point, Transform},
    metadata::Metadata,
    page::PageSettings,
    paint::Stroke,
    text::{Font, TextDirection},
};
use ttf_parser::Face;

use super::sheet::{Row, Sheet};
use crate::error::{Error, Result};

/// Where texts begin and end.
const LEFT: u16 = 510;
const RIGHT: u16 = 5_440;
const TOP: u16 = 620;
/// Below this a page is full.
const BOTTOM: u16 = 7_800;
/// Where the columns of numbers end; the articles end before the first begins.
const COLUMNS: [u16; 5] = [2_900, 3_700, 4_350, 4_730, RIGHT];
const ARTICLE: u16 = 2_050;
/// The sizes of letters, and how far their lines are apart.
const BODY: u16 = 95;
const SMALL: u16 = 75;
const TITLE: u16 = 180;
const LEAD: u16 = 125;

/// What stands on a page.
#[derive(Debug, PartialEq, Eq)]
enum Mark {
    Text { x: u16, y: u16, size: u16, text: String },
    Rule { from: u16, to: u16, y: u16 },
}

/// Pages that are being filled.
struct Pen<'a> {
    face: Face<'a>,
    full: Vec<Vec<Mark>>,
    page: Vec<Mark>,
    y: u16,
}

impl Pen<'_> {
    /// How wide a text is. What is drawn may be narrower where letters are moved together.
    fn width(&self, text: &str, size: u16) -> u16 {
        let advance = |c| self.face.glyph_index(c).and_then(|glyph| self.face.glyph_hor_advance(glyph)).unwrap_or(0);
        let units = text.chars().map(|c| u64::from(advance(c))).fold(0, u64::saturating_add);
        let em = u64::from(self.face.units_per_em()).max(1);
        u16::try_from(units.saturating_mul(u64::from(size)).checked_div(em).unwrap_or(0)).unwrap_or(u16::MAX)
    }

    /// A text in lines of a width: broken at blanks, and inside words that are wider.
    fn broken(&self, text: &str, size: u16, width: u16) -> Vec<String> {
        let mut lines = vec![String::new()];
        let words = text.split(' ').flat_map(|word| self.pieces(word, size, width));
        for word in words {
            let Some(line) = lines.last_mut() else { continue };
            let longer = if line.is_empty() { word.clone() } else { format!("{line} {word}") };
            if line.is_empty() || self.width(&longer, size) <= width {
                *line = longer;
            } else {
                lines.push(word);
            }
        }
        lines
    }

    fn pieces(&self, word: &str, size: u16, width: u16) -> Vec<String> {
        let mut pieces = vec![String::new()];
        for c in word.chars() {
            let Some(piece) = pieces.last_mut() else { continue };
            piece.push(c);
            if piece.chars().count() > 1 && self.width(piece, size) > width {
                piece.pop();
                pieces.push(c.to_string());
            }
        }
        pieces
    }

    fn text(&mut self, x: u16, y: u16, size: u16, text: String) {
        self.page.push(Mark::Text { x, y, size, text });
    }

    fn right(&mut self, end: u16, y: u16, size: u16, text: &str) {
        let x = end.saturating_sub(self.width(text, size));
        self.text(x, y, size, text.to_owned());
    }

    fn rule(&mut self, from: u16) {
        self.page.push(Mark::Rule { from, to: RIGHT, y: self.y.saturating_sub(LEAD.saturating_sub(35)) });
    }

    fn down(&mut self, by: u16) {
        self.y = self.y.saturating_add(by);
    }

    /// Begins a page where so much does not fit on this one. Whether it has.
    fn make_room(&mut self, height: u16) -> bool {
        let full = self.y.saturating_add(height) > BOTTOM;
        if full {
            self.full.push(mem::take(&mut self.page));
            self.y = TOP;
        }
        full
    }

    /// Lines one below another in a column. Where the next would be.
    fn column(&mut self, x: u16, width: u16, texts: &[String]) -> u16 {
        let mut y = self.y;
        for line in texts.iter().flat_map(|text| self.broken(text, BODY, width)).collect::<Vec<_>>() {
            self.text(x, y, BODY, line);
            y = y.saturating_add(LEAD);
        }
        y
    }

    fn head(&mut self, sheet: &Sheet) {
        self.down(60);
        self.text(LEFT, self.y, TITLE, sheet.title.to_owned());
        self.down(300);
        let columns = [(LEFT, &sheet.buyer), (2_250, &sheet.seller), (3_990, &sheet.facts)];
        let ends = columns.map(|(x, texts)| self.column(x, 1_450, texts));
        self.y = ends.into_iter().max().unwrap_or(self.y).saturating_add(250);
    }

    fn headings(&mut self, sheet: &Sheet) {
        self.text(LEFT, self.y, SMALL, sheet.article.to_owned());
        for (end, heading) in COLUMNS.into_iter().zip(sheet.columns) {
            self.right(end, self.y, SMALL, heading);
        }
        self.down(LEAD);
        self.rule(LEFT);
        self.down(40);
    }

    fn row(&mut self, sheet: &Sheet, row: &Row) {
        let name = self.broken(&row.name, BODY, ARTICLE);
        let sku = if row.sku.is_empty() { Vec::new() } else { self.broken(&row.sku, SMALL, ARTICLE) };
        let lines = u16::try_from(name.len().saturating_add(sku.len())).unwrap_or(u16::MAX);
        if self.make_room(lines.saturating_mul(LEAD)) {
            self.headings(sheet);
        }
        for (end, cell) in COLUMNS.into_iter().zip(&row.cells) {
            self.right(end, self.y, BODY, cell);
        }
        let sized = name.into_iter().map(|text| (BODY, text)).chain(sku.into_iter().map(|text| (SMALL, text)));
        for (size, text) in sized.collect::<Vec<_>>() {
            self.text(LEFT, self.y, size, text);
            self.down(LEAD);
        }
        self.rule(LEFT);
        self.down(40);
    }

    fn sums(&mut self, sheet: &Sheet) {
        self.down(60);
        for (heading, sum) in &sheet.sums {
            self.make_room(LEAD);
            self.right(4_500, self.y, BODY, heading);
            self.right(RIGHT, self.y, BODY, sum);
            self.down(LEAD);
            self.rule(2_250);
            self.down(40);
        }
        self.down(120);
    }

    fn notes(&mut self, sheet: &Sheet) {
        let width = RIGHT.saturating_sub(LEFT);
        for line in sheet.notes.iter().flat_map(|note| self.broken(note, BODY, width)).collect::<Vec<_>>() {
            self.make_room(LEAD);
            self.text(LEFT, self.y, BODY, line);
            self.down(LEAD);
        }
    }

    /// The pages, each with its number at the foot.
    fn pages(mut self, sheet: &Sheet) -> Vec<Vec<Mark>> {
        self.make_room(BOTTOM);
        let mut pages = mem::take(&mut self.full);
        let all = pages.len();
        for (place, page) in pages.iter_mut().enumerate() {
            let text = format!("{} {} · {}/{all}", sheet.title, sheet.number, place.saturating_add(1));
            let x = RIGHT.saturating_sub(self.width(&text, SMALL));
            page.push(Mark::Text { x, y: 8_080, size: SMALL, text });
        }
        pages
    }
}

fn laid_out(sheet: &Sheet, face: Face<'_>) -> Vec<Vec<Mark>> {
    let mut pen = Pen { face, full: Vec::new(), page: Vec::new(), y: TOP };
    pen.head(sheet);
    pen.headings(sheet);
    for row in &sheet.rows {
        pen.row(sheet, row);
    }
    pen.sums(sheet);
    pen.notes(sheet);
    pen.pages(sheet)
}

/// A document as a PDF.
///
/// # Errors
/// An internal error when it can not be drawn.
pub(super) fn pdf(sheet: &Sheet) -> Result<Vec<u8>> {
    let letters = epaint_default_fonts::UBUNTU_LIGHT;
    let face = Face::parse(letters, 0).map_err(|error| Error::internal(format!("the letters: {error}")))?;
    let font = Font::new(letters.into(), 0).ok_or_else(|| Error::internal("the letters can not be read"))?;
    let size = PageSettings::from_wh(595.0, 842.0).ok_or_else(|| Error::internal("the page has no size"))?;
    let mut document = Document::new();
    let title = format!("{} {}", sheet.title, sheet.number);
    document.set_metadata(Metadata::new().title(title).language(sheet.language.to_owned()));
    for page in laid_out(sheet, face) {
        let mut drawn = document.start_page_with(size.clone());
        let mut surface = drawn.surface();
        surface.push_transform(&Transform::from_scale(0.1, 0.1));
        for mark in page {
            match mark {
                Mark::Text { x, y, size, text } => {
                    let start = Point::from_xy(f32::from(x), f32::from(y));
                    surface.draw_text(start, font.clone(), f32::from(size), &text, false, TextDirection::Auto);
                }
                Mark::Rule { from, to, y } => {
                    let mut path = PathBuilder::new();
                    path.move_to(f32::from(from), f32::from(y));
                    path.line_to(f32::from(to), f32::from(y));
                    let path = path.finish().ok_or_else(|| Error::internal("a line has no length"))?;
                    surface.set_stroke(Some(Stroke { width: 4.0, ..Stroke::default() }));
                    surface.draw_path(&path);
                    surface.set_stroke(None);
                }
            }
        }
        surface.pop();
        surface.finish();
        drawn.finish();
    }
    document.finish().map_err(|error| Error::internal(format!("the document can not be drawn: {error:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(rows: usize) -> Sheet {
        let cells = ["2", "16.80", "", "19 %", "33.60 EUR"].map(str::to_owned);
        let row =
            |place| Row { name: format!("Ware {place} Ωμέγα"), sku: format!("SKU-{place}"), cells: cells.clone() };
        Sheet {
            language: "de",
            title: "Rechnung",
            number: "RE-1".to_owned(),
            buyer: vec!["Analytical Engines GmbH".to_owned(), "a".repeat(200)],
            seller: vec!["Kontor".to_owned()],
            facts: vec!["Nummer: RE-1".to_owned()],
            article: "Artikel",
            columns: ["Menge", "Preis", "Rabatt", "USt.", "Betrag"],
            rows: (0..rows).map(row).collect(),
            sums: vec![("Gesamt".to_owned(), "33.60 EUR".to_owned())],
            notes: vec!["Zahlbar innerhalb von 14 Tagen.".to_owned()],
        }
    }

    fn pages(sheet: &Sheet) -> Vec<Vec<Mark>> {
        laid_out(sheet, Face::parse(epaint_default_fonts::UBUNTU_LIGHT, 0).unwrap())
    }

    fn texts(pages: &[Vec<Mark>]) -> Vec<&str> {
        fn text(mark: &Mark) -> Option<&str> {
            match mark {
                Mark::Text { text, .. } => Some(text),
                Mark::Rule { .. } => None,
            }
        }
        pages.iter().flatten().filter_map(text).collect()
    }

    #[test]
    fn every_line_is_on_one_page_and_each_page_has_the_headings_and_its_number() {
        let sheet = sheet(100);
        let pages = pages(&sheet);
        assert!(pages.len() > 2);
        let all = texts(&pages);
        for place in 0..100 {
            assert_eq!(all.iter().filter(|text| **text == format!("SKU-{place}")).count(), 1);
        }
        for (place, page) in pages.iter().enumerate() {
            let here = texts(std::slice::from_ref(page));
            assert!(here.contains(&format!("Rechnung RE-1 · {}/{}", place + 1, pages.len()).as_str()));
            assert!(here.contains(&"Artikel"));
        }
    }

    #[test]
    fn nothing_is_drawn_beyond_the_paper() {
        let sheet = sheet(40);
        let face = Face::parse(epaint_default_fonts::UBUNTU_LIGHT, 0).unwrap();
        let pen = Pen { face, full: Vec::new(), page: Vec::new(), y: TOP };
        for mark in pages(&sheet).iter().flatten() {
            match mark {
                Mark::Text { x, y, size, text } => {
                    assert!(x + pen.width(text, *size) <= RIGHT + 1 && *x >= LEFT, "{text}");
                    assert!(*y <= 8_100, "{text}");
                }
                Mark::Rule { from, to, y } => assert!(from < to && *to <= RIGHT && *y <= BOTTOM),
            }
        }
    }

    #[test]
    fn the_same_document_is_the_same_file() {
        let (first, again) = (pdf(&sheet(3)).unwrap(), pdf(&sheet(3)).unwrap());
        assert!(first.starts_with(b"%PDF-") && first == again);
    }
}
