//! Rows of a file, NDJSON or CSV, read into a type. A row that can not be read is an error of that row alone.
//!
//! - NDJSON: one JSON object per line; empty lines are skipped. A row's number is its line's.
//! - CSV (RFC 4180): a header with the columns' names, separated by commas or semicolons, in any order. An empty cell is an
//!   absent field. A dotted column (`address.city`) is a field of an inner object. A row's number counts from 1 after the
//!   header.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    error::{Code, Error, Result},
    http::{csv as table, parse_json},
};

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/x-ndjson`.
    Ndjson,
    /// `text/csv`.
    Csv,
}

impl Format {
    /// The format that a media type names.
    ///
    /// # Errors
    /// `media_type_unsupported`.
    pub fn of(media_type: &str) -> Result<Self> {
        match media_type.to_ascii_lowercase().as_str() {
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Self::Ndjson),
            "text/csv" => Ok(Self::Csv),
            _ => Err(Error::problem(Code::MediaTypeUnsupported, "the body must be application/x-ndjson or text/csv")),
        }
    }
}

/// What the cells of a CSV column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// A text, also a decimal or an instant: whatever is a string in JSON.
    Text,
    /// A whole number.
    Int,
    /// `true` or `false`, also `1` or `0`.
    Bool,
    /// Texts with `|` between.
    List,
    /// A JSON value.
    Json,
}

/// A type that rows are read into: `deny_unknown_fields`, absent fields optional.
pub trait Row: DeserializeOwned + Send + Sync + 'static {
    /// The columns that a CSV file may have.
    const COLUMNS: &'static [(&'static str, Cell)];
}

/// A row with its number, or what is wrong with it.
pub type Numbered<T> = (u64, Result<T>);

/// The rows of a file.
///
/// # Errors
/// `unknown_field` for a CSV column that is not known, `body_malformed` for a header that can not be read or names a
/// column twice: then no row is understood.
pub fn read<T: Row>(format: Format, bytes: &[u8]) -> Result<Box<dyn Iterator<Item = Numbered<T>> + '_>> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    Ok(match format {
        Format::Ndjson => Box::new(ndjson(bytes)),
        Format::Csv => Box::new(csv_rows(bytes)?),
    })
}

fn ndjson<T: Row>(bytes: &[u8]) -> impl Iterator<Item = Numbered<T>> + '_ {
    let lines = bytes.split(|byte| *byte == b'\n').zip(1..);
    let lines = lines.filter(|(line, _)| !line.trim_ascii().is_empty());
    lines.map(|(line, number)| (number, parse_json(line.trim_ascii())))
}

type Column = (&'static str, Cell);

fn csv_rows<T: Row>(bytes: &[u8]) -> Result<impl Iterator<Item = Numbered<T>> + '_> {
    let header = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = if header.contains(&b';') && !header.contains(&b',') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(bytes);
    let malformed = |detail: String| Error::problem(Code::BodyMalformed, detail);
    let names = reader.headers().map_err(|error| malformed(format!("the header can not be read: {error}")))?.clone();
    let mut columns: Vec<Column> = Vec::with_capacity(names.len());
    for name in &names {
        let name = name.trim();
        let known = T::COLUMNS.iter().find(|(known, _)| *known == name);
        let unknown = || {
            let known: Vec<&str> = T::COLUMNS.iter().map(|(name, _)| *name).collect();
            let detail = format!("there is no column `{name}`; there are {}", known.join(", "));
            Error::problem(Code::UnknownField, detail).at(name)
        };
        let column = known.ok_or_else(unknown)?;
        if columns.iter().any(|(earlier, _)| *earlier == column.0) {
            return Err(malformed(format!("the column `{name}` is there twice")).at(name));
        }
        columns.push(*column);
    }
    let records = reader.into_byte_records().zip(1..);
    Ok(records.map(move |(record, number)| {
        let record = record.map_err(|error| malformed(error.to_string()));
        (number, record.and_then(|record| from_cells(&columns, &record)))
    }))
}

fn from_cells<T: Row>(columns: &[Column], record: &csv::ByteRecord) -> Result<T> {
    if record.len() != columns.len() {
        let detail = format!("the row has {} cells, the header {}", record.len(), columns.len());
        return Err(Error::problem(Code::ImportRowInvalid, detail));
    }
    let mut object = Map::new();
    for ((name, kind), cell) in columns.iter().zip(record) {
        let cell = std::str::from_utf8(cell).map_err(|_| Error::invalid(pointer(name), "expected UTF-8"))?.trim();
        if !cell.is_empty() {
            put(&mut object, name, value(name, *kind, cell)?);
        }
    }
    // Written and read again: so a row of CSV is judged by the same reader, with the same pointers, as a row of NDJSON.
    parse_json(&serde_json::to_vec(&object)?)
}

fn value(name: &str, kind: Cell, cell: &str) -> Result<Value> {
    let wrong = |detail: &str| Error::invalid(pointer(name), detail);
    match kind {
        Cell::Text | Cell::List if cell.contains('\0') => Err(wrong("expected a text without NUL characters")),
        Cell::Text => Ok(Value::from(table::as_written(cell))),
        Cell::List => Ok(cell.split('|').map(str::trim).collect()),
        Cell::Int => cell.parse::<i64>().map(Value::from).map_err(|_| wrong("expected a whole number")),
        Cell::Bool => match cell.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Value::Bool(true)),
            "false" | "0" => Ok(Value::Bool(false)),
            _ => Err(wrong("expected true or false")),
        },
        Cell::Json => parse_json(cell.as_bytes()).map_err(|_| wrong("expected JSON without NUL characters")),
    }
}

fn pointer(name: &str) -> String {
    format!("/{}", name.replace('.', "/"))
}

/// Puts a value at a dotted name.
fn put(object: &mut Map<String, Value>, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            object.insert(name.to_owned(), value);
        }
        Some((outer, inner)) => {
            let entry = object.entry(outer).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(object) = entry {
                put(object, inner, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        name: String,
        #[serde(default)]
        count: Option<i64>,
        #[serde(default)]
        fine: Option<bool>,
        #[serde(default)]
        place: Option<Place>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Place {
        city: String,
    }

    impl Row for Thing {
        const COLUMNS: &'static [(&'static str, Cell)] =
            &[("name", Cell::Text), ("count", Cell::Int), ("fine", Cell::Bool), ("place.city", Cell::Text)];
    }

    fn all(format: Format, text: &str) -> Vec<Numbered<Thing>> {
        read(format, text.as_bytes()).unwrap().collect()
    }

    fn problem(row: &Numbered<Thing>) -> (u64, &'static str, Option<String>) {
        let Err(Error::Problem(problem)) = &row.1 else { panic!("{row:?}") };
        (row.0, problem.code.as_str(), problem.pointer.clone())
    }

    #[test]
    fn both_formats_give_the_same_rows() {
        let csv = all(Format::Csv, "\u{feff}name;fine;count;place.city\r\n\"a;b\";1;3;Bonn\r\nc;;;\r\n");
        let json = all(
            Format::Ndjson,
            "{\"name\":\"a;b\",\"fine\":true,\"count\":3,\"place\":{\"city\":\"Bonn\"}}\n\n{\"name\":\"c\"}",
        );
        let values = |rows: Vec<Numbered<Thing>>| rows.into_iter().map(|row| row.1.unwrap()).collect::<Vec<_>>();
        assert_eq!(json.iter().map(|row| row.0).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(values(csv), values(json));
    }

    #[test]
    fn a_bad_row_is_an_error_of_its_own() {
        let rows = all(Format::Csv, "name,count\na,x\nb\nc,5\n,7\n");
        assert_eq!(problem(&rows[0]), (1, "invalid_value", Some("/count".into())));
        assert_eq!(problem(&rows[1]), (2, "import_row_invalid", None));
        assert_eq!(rows[2].1.as_ref().unwrap().count, Some(5));
        assert_eq!(problem(&rows[3]), (4, "missing_field", Some("/name".into())));
        let rows =
            all(Format::Ndjson, "nonsense\n{\"name\":\"a\",\"odd\":1}\n{\"name\":\"a\\u0000\"}\n{\"name\":\"b\"}\n");
        assert_eq!(problem(&rows[0]), (1, "body_malformed", None));
        assert_eq!(problem(&rows[1]), (2, "unknown_field", Some("/odd".into())));
        assert_eq!(problem(&rows[2]), (3, "invalid_value", Some("/name".into())));
        assert!(rows[3].1.is_ok());
    }

    #[test]
    fn a_header_that_is_not_understood_refuses_the_file() {
        let refused = |text: &str| read::<Thing>(Format::Csv, text.as_bytes()).err().unwrap().code();
        assert_eq!(refused("name,colour\na,b\n"), Code::UnknownField);
        assert_eq!(refused("name,name\na,b\n"), Code::BodyMalformed);
        assert_eq!(Format::of("application/json").unwrap_err().code(), Code::MediaTypeUnsupported);
        assert_eq!(all(Format::Csv, "").len(), 0);
    }
}
