//! So much of JSON Schema 2020-12 as our own schemas use. A keyword that is not known here fails the test, so that none is passed
//! over; and what a document holds that no schema describes is wrong, though a schema alone would let it pass.

use std::collections::BTreeSet;

use serde_json::Value;

/// Keywords that say nothing about what is allowed.
const NOTES: [&str; 8] = ["$schema", "$defs", "title", "description", "example", "examples", "default", "deprecated"];

/// What is wrong with a document; nothing when it fits the schema and each of its members is described.
pub fn wrong(schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Checker { root: schema }.whole(schema, document, "", &mut found);
    found
}

struct Checker<'a> {
    root: &'a Value,
}

impl Checker<'_> {
    /// A value with all that is below it.
    fn whole(&self, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
        let known = self.check(schema, value, at, found);
        let members = value.as_object().into_iter().flatten();
        let odd =
            members.filter(|(name, _)| !known.contains(*name)).map(|(name, _)| format!("{at}/{name} is not described"));
        found.extend(odd);
    }

    /// Checks a value, and gives the names of its members that the schema describes.
    fn check(&self, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) -> BTreeSet<String> {
        let mut known = BTreeSet::new();
        let keywords = schema.as_object().unwrap_or_else(|| panic!("{at}: no schema: {schema}"));
        for (keyword, rule) in keywords.iter().filter(|(keyword, _)| !NOTES.contains(&keyword.as_str())) {
            let mut fails = |why: String| found.push(format!("{at} {why}: {value}"));
            match keyword.as_str() {
                "$ref" => {
                    let place = rule.as_str().unwrap().strip_prefix('#').unwrap();
                    let part = self.root.pointer(place).unwrap_or_else(|| panic!("{rule} is nowhere"));
                    known.extend(self.check(part, value, at, found));
                }
                "allOf" => {
                    for part in rule.as_array().unwrap() {
                        known.extend(self.check(part, value, at, found));
                    }
                }
                "oneOf" => known.extend(self.one_of(rule, value, at, found)),
                "properties" | "additionalProperties" => {
                    known.extend(self.members(keywords, keyword, value, at, found))
                }
                "items" => {
                    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.whole(rule, item, &format!("{at}/{place}"), found);
                    }
                }
                "required" => {
                    let missing = |name: &&Value| value.is_object() && value.get(name.as_str().unwrap()).is_none();
                    rule.as_array().unwrap().iter().filter(missing).for_each(|name| fails(format!("lacks {name}")));
                }
                _ if !fits(keyword, rule, value) => fails(format!("is not {keyword} {rule}")),
                _ => {}
            }
        }
        known
    }

    fn one_of(&self, parts: &Value, value: &Value, at: &str, found: &mut Vec<String>) -> BTreeSet<String> {
        let (mut fitting, mut why) = (Vec::new(), Vec::new());
        for part in parts.as_array().unwrap() {
            let mut own = Vec::new();
            let known = self.check(part, value, at, &mut own);
            if own.is_empty() { fitting.push(known) } else { why.extend(own) }
        }
        if fitting.len() != 1 {
            found.push(format!("{at} fits {} of several: {value}: {why:?}", fitting.len()));
        }
        fitting.into_iter().flatten().collect()
    }

    fn members(
        &self,
        keywords: &serde_json::Map<String, Value>,
        keyword: &str,
        value: &Value,
        at: &str,
        found: &mut Vec<String>,
    ) -> BTreeSet<String> {
        let named = |name: &String| keywords.get("properties").and_then(|all| all.get(name));
        let mut known = BTreeSet::new();
        for (name, member) in value.as_object().into_iter().flatten() {
            let schema = match (keyword, named(name)) {
                ("properties", Some(schema)) => schema,
                ("additionalProperties", None) => &keywords[keyword],
                _ => continue,
            };
            let place = format!("{at}/{name}");
            match schema {
                Value::Bool(true) => {}
                Value::Bool(false) => found.push(format!("{place} is not allowed")),
                schema => self.whole(schema, member, &place, found),
            }
            known.insert(name.clone());
        }
        known
    }
}

/// Whether a value fits a keyword that regards the value alone.
fn fits(keyword: &str, rule: &Value, value: &Value) -> bool {
    let length = |text: &str| text.chars().count() as u64;
    let text = value.as_str();
    match keyword {
        "type" => match rule.as_array() {
            Some(all) => all.iter().any(|one| is(one, value)),
            None => is(rule, value),
        },
        "enum" => rule.as_array().unwrap().contains(value),
        "pattern" => text.is_none_or(|text| regex::Regex::new(rule.as_str().unwrap()).unwrap().is_match(text)),
        "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
        "minLength" => text.is_none_or(|text| length(text) >= rule.as_u64().unwrap()),
        "maxLength" => text.is_none_or(|text| length(text) <= rule.as_u64().unwrap()),
        "propertyNames" => {
            let mut names = value.as_object().into_iter().flatten().map(|(name, _)| Value::from(name.as_str()));
            names.all(|name| rule.as_object().unwrap().iter().all(|(keyword, rule)| fits(keyword, rule, &name)))
        }
        "format" => match rule.as_str().unwrap() {
            "int32" => value.as_i64().is_none_or(|number| i32::try_from(number).is_ok()),
            "int64" => !value.is_number() || value.as_i64().is_some(),
            "date" => text.is_none_or(|text| text.parse::<chrono::NaiveDate>().is_ok()),
            "date-time" => text.is_none_or(|text| text.parse::<kontor::kernel::Instant>().is_ok()),
            other => panic!("the format {other} is not known here"),
        },
        other => panic!("the keyword {other} is not known here"),
    }
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not known here"),
    }
}
