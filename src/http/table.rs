//! A list's items as a table: the columns are those of their schema, whatever the items at hand hold.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{RefOr, schema::Schema},
};

use super::csv;
use crate::error::Result;

/// So deep objects are told field by field; what is deeper is told as JSON.
const DEPTH: usize = 3;

/// The way to a value: the names of the fields that lead to it.
type Column = Vec<String>;

/// Items as CSV, with a heading or behind others. A field of an object within has a column of its own (`total.amount`); lists and documents
/// without fixed fields are JSON; what an item does not hold is empty.
///
/// # Errors
/// When an item is no JSON, which would be a defect.
pub(super) fn write<T: Serialize + ToSchema>(items: &[T], with_heading: bool) -> Result<String> {
    let columns = columns::<T>();
    let headings: Vec<String> = columns.iter().map(|column| column.join(".")).collect();
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let documents: serde_json::Result<Vec<Value>> = items.iter().map(serde_json::to_value).collect();
    let documents = documents?;
    let rows = documents.iter().map(|document| columns.iter().map(|column| cell(document, column)));
    let bytes = csv::write(with_heading.then_some(headings.as_slice()), rows)?;
    String::from_utf8(bytes).map_err(crate::error::Error::internal)
}

fn cell(document: &Value, column: &Column) -> String {
    match column.iter().try_fold(document, |value, name| value.get(name)) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

fn columns<T: ToSchema>() -> Vec<Column> {
    let mut named = Vec::new();
    T::schemas(&mut named);
    let named: HashMap<String, RefOr<Schema>> = named.into_iter().collect();
    let mut found = Vec::new();
    collect(&T::schema(), &named, &mut Vec::new(), &mut found);
    found
}

/// Adds the columns of what has a schema; `way` leads to it.
fn collect(schema: &RefOr<Schema>, named: &HashMap<String, RefOr<Schema>>, way: &mut Column, found: &mut Vec<Column>) {
    match resolve(schema, named) {
        Some(Schema::Object(object)) if !object.properties.is_empty() && way.len() < DEPTH => {
            for (name, property) in &object.properties {
                way.push(name.clone());
                collect(property, named, way, found);
                way.pop();
            }
        }
        // What is flattened into something stands beside its own fields.
        Some(Schema::AllOf(all)) if way.len() < DEPTH => {
            for item in &all.items {
                collect(item, named, way, found);
            }
        }
        _ if !way.is_empty() && !found.contains(way) => found.push(way.clone()),
        _ => {}
    }
}

/// The schema behind references, and of what may be absent the one of what is there.
fn resolve<'a>(schema: &'a RefOr<Schema>, named: &'a HashMap<String, RefOr<Schema>>) -> Option<&'a Schema> {
    match schema {
        RefOr::Ref(reference) => {
            let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
            named.get(name).and_then(|schema| resolve(schema, named))
        }
        RefOr::T(schema) => match schema {
            Schema::OneOf(one) => match one.items.as_slice() {
                [only @ RefOr::Ref(_), RefOr::T(_)] | [RefOr::T(_), only @ RefOr::Ref(_)] => resolve(only, named),
                _ => Some(schema),
            },
            _ => Some(schema),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Money;

    #[derive(Serialize, ToSchema)]
    struct Inner {
        code: String,
    }

    #[derive(Serialize, ToSchema)]
    struct Beside {
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    }

    #[derive(Serialize, ToSchema)]
    struct Item {
        id: i64,
        price: Money,
        before: Option<Inner>,
        tags: Vec<String>,
        anything: Value,
        #[serde(flatten)]
        beside: Beside,
    }

    #[test]
    fn columns_are_those_of_the_schema_whatever_there_is() {
        let heading = "id,price.amount,price.currency,before.code,tags,anything,note\n";
        assert_eq!(sorted(&write::<Item>(&[], true).unwrap()), sorted(heading));
        let item = |note: Option<&str>, before: Option<&str>| Item {
            id: 1,
            price: Money::from_minor(1250, "EUR".parse().unwrap()),
            before: before.map(|code| Inner { code: code.to_owned() }),
            tags: vec!["a".to_owned()],
            anything: serde_json::json!({"x": 1}),
            beside: Beside { note: note.map(str::to_owned) },
        };
        let table = write(&[item(None, Some("B")), item(Some("=1"), None)], true).unwrap();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].contains("12.50,EUR,B,") && lines[2].contains("12.50,EUR,,"), "{table}");
        assert!(lines[2].contains("'=1") && lines[1].contains(r#""[""a""]""#), "{table}");
    }

    fn sorted(heading: &str) -> Vec<&str> {
        let mut names: Vec<&str> = heading.trim_end().split(',').collect();
        names.sort_unstable();
        names
    }
}
