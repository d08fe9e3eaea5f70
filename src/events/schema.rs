//! What an event's `data` looks like, for those who read it elsewhere.

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, schema::Schema};

use crate::error::Result;

/// The JSON schema of the `data` of one type of event.
#[derive(Clone)]
pub struct EventSchema {
    /// The type.
    pub kind: &'static str,
    schema: RefOr<Schema>,
    parts: Vec<(String, RefOr<Schema>)>,
}

impl EventSchema {
    /// The schema of an event type whose payload is a `T`.
    #[must_use]
    pub fn of<T: utoipa::ToSchema>(kind: &'static str) -> Self {
        let mut parts = Vec::new();
        T::schemas(&mut parts);
        Self { kind, schema: T::schema(), parts }
    }

    /// The schema as a document of its own (JSON Schema 2020-12).
    ///
    /// # Errors
    /// When it can not be written as JSON, which would be a defect.
    pub fn text(&self) -> Result<String> {
        let mut parts = Map::new();
        for (name, schema) in &self.parts {
            parts.insert(name.clone(), serde_json::to_value(schema)?);
        }
        let mut document = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": self.kind});
        if let (Value::Object(document), Value::Object(schema)) = (&mut document, serde_json::to_value(&self.schema)?) {
            document.extend(schema);
            document.insert("$defs".to_owned(), parts.into());
        }
        let text = serde_json::to_string_pretty(&document)? + "\n";
        Ok(text.replace("#/components/schemas/", "#/$defs/"))
    }
}
