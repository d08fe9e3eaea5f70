//! The tables as data, in the order in which they can be filled: parents before children.
//!
//! They are read from the text of `schema.rs`, so that they are written down once; what compares the schema with the
//! database, and what copies whole databases, goes through them.

use std::sync::OnceLock;

use super::dialect::Col;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The columns of its primary key.
    pub key: Vec<&'static str>,
    /// Its columns.
    pub columns: Vec<Column>,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Col,
    /// Whether it may be empty.
    pub nullable: bool,
}

impl Table {
    /// Its columns as lists of rows name them.
    #[must_use]
    pub fn list_columns(&self) -> Vec<(&'static str, Col)> {
        self.columns.iter().map(|column| (column.name, column.kind)).collect()
    }

    /// The place of a column.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// All tables.
#[must_use]
pub fn all() -> &'static [Table] {
    static TABLES: OnceLock<Vec<Table>> = OnceLock::new();
    TABLES.get_or_init(|| parse(include_str!("schema.rs")))
}

fn parse(source: &'static str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let mut renamed = None;
    for line in source.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("#[sql_name = \"").and_then(|rest| rest.strip_suffix("\"]")) {
            renamed = Some(name);
        } else if let Some((name, key)) = line.strip_suffix(") {").and_then(|line| line.split_once(" (")) {
            tables.push(Table { name, key: key.split(", ").collect(), columns: Vec::new() });
        } else if let Some((name, kind)) = line.strip_suffix(',').and_then(|line| line.split_once(" -> ")) {
            let inner = kind.strip_prefix("Nullable<").and_then(|kind| kind.strip_suffix('>'));
            if let (Some(table), Some(kind)) = (tables.last_mut(), kind_of(inner.unwrap_or(kind))) {
                let name = renamed.take().unwrap_or(name);
                table.columns.push(Column { name, kind, nullable: inner.is_some() });
            }
        }
    }
    tables
}

fn kind_of(sql_type: &str) -> Option<Col> {
    Some(match sql_type {
        "UidSql" => Col::Uid,
        "InstantSql" => Col::At,
        "DocSql" => Col::Doc,
        "Text" => Col::Text,
        "BigInt" => Col::Int,
        "Bool" => Col::Bool,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_of_the_schema_is_understood() {
        let source = include_str!("schema.rs");
        let columns: usize = all().iter().map(|table| table.columns.len()).sum();
        assert_eq!(all().len(), source.matches("diesel::table! {").count());
        assert_eq!(columns, source.matches(" -> ").count());
        for table in all() {
            assert!(table.key.iter().all(|key| table.place(key).is_some()), "{}", table.name);
        }
        let events = all().iter().find(|table| table.name == "events").unwrap();
        assert!(events.place("type").is_some() && events.place("kind").is_none());
    }
}
