//! How the far end's documents are written: data, not code. Pure.
//!
//! A mapping has a template for each kind of document, tables of values, and what must hold for what comes out. A template is
//! the document itself, in which a text that begins with `=` is an expression (of the language of Jinja templates) over the
//! event's data. What an expression gives has its own type; what is null is left out.
//!
//! | in a template | gives |
//! |---|---|
//! | `"text"` | the text |
//! | `"=order.number"` | what the expression gives; `"="` alone is itself |
//! | `{"$each": "=order.lines", "$as": "line", "$do": {…}}` | a list: the template once for each item, without those that give null |
//! | `{"$when": "=line.quantity > 0", "$do": {…}}` | the template where the condition holds, else null |
//! | `{"$join": [{"$each": …}, {…}]}` | one list of several and of single documents |

use std::{cell::Cell, collections::BTreeMap};

use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Code, Error, Result};

/// How the far end's documents are written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"tables": {"products": {"TEE-M": "T-1001"}}}))]
pub struct Mapping {
    /// The template of each kind of document.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub documents: BTreeMap<String, Value>,
    /// Tables of values: what is called one thing here is called another there. `*` stands for all that a table does not name.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub tables: BTreeMap<String, BTreeMap<String, Value>>,
    /// What must hold for a document before it is sent.
    #[serde(default)]
    pub checks: Vec<Check>,
}

/// What must hold for a member of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"document": "sale", "path": "/lines/*/description", "required": true, "max_length": 200}))]
pub struct Check {
    /// The kind of document.
    pub document: String,
    /// Where the member is: a JSON pointer in which `*` stands for every item of a list.
    pub path: String,
    /// Whether it must be there, and not be empty.
    #[serde(default)]
    pub required: bool,
    /// How many characters a text may have there. Nothing is ever cut: what is longer is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
}

/// How much work a template may be: steps of its expressions altogether.
const FUEL: u64 = 2_000_000;
/// How many members a document may have, those of its parts included.
const MOST_MEMBERS: usize = 50_000;
/// How deep templates may be nested.
const DEPTH: usize = 32;
/// How large a mapping may be, in bytes of its JSON.
const LARGEST: usize = 256 * 1024;

impl Mapping {
    /// A mapping from the file that comes with an adapter.
    #[must_use]
    pub fn built_in(text: &str) -> Self {
        // A test reads every built-in mapping.
        serde_json::from_str(text).unwrap_or_default()
    }

    /// Whether all of its templates can be read, and each of its checks is about one of them.
    ///
    /// # Errors
    /// `mapping_invalid`, with the pointer of the place.
    pub fn check(&self) -> Result<()> {
        if serde_json::to_vec(self)?.len() > LARGEST {
            return Err(invalid("", "expected at most 256 KiB"));
        }
        let environment = environment(&self.tables);
        for (name, template) in &self.documents {
            readable(&environment, template, &format!("/documents/{}", escaped(name)), 0)?;
        }
        for (place, check) in self.checks.iter().enumerate() {
            if !self.documents.contains_key(&check.document) {
                let known: Vec<&str> = self.documents.keys().map(String::as_str).collect();
                let detail = format!("there is no document `{}`: {}", check.document, known.join(", "));
                return Err(invalid(&format!("/checks/{place}/document"), &detail));
            }
            if !check.path.starts_with('/') {
                return Err(invalid(
                    &format!("/checks/{place}/path"),
                    "expected a JSON pointer such as `/lines/*/sku`",
                ));
            }
        }
        Ok(())
    }

    /// This mapping with whatever it does not name taken from an adapter's own.
    #[must_use]
    pub fn over(&self, own: &Self) -> Self {
        let mut whole = own.clone();
        whole.documents.extend(self.documents.clone());
        whole.tables.extend(self.tables.clone());
        let replaced = |check: &Check| self.documents.contains_key(&check.document);
        whole.checks.retain(|check| !replaced(check));
        whole.checks.extend(self.checks.clone());
        whole
    }

    /// Writes a document of a kind from what is known.
    ///
    /// # Errors
    /// `mapping_failed`: which member can not be written, and why; or what of it does not hold.
    pub fn write(&self, document: &str, known: &Value) -> Result<Value> {
        let template = self.documents.get(document);
        let template = template.ok_or_else(|| failed(document, "", "the mapping has no such document"))?;
        let writer = Writer { environment: environment(&self.tables), document, left: Cell::new(MOST_MEMBERS) };
        let names: Vec<(String, minijinja::Value)> =
            known.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), from_json(value))).collect();
        let written = writer.write(template, &Scope { names: &names }, "")?;
        for check in self.checks.iter().filter(|check| check.document == document) {
            check.holds(&written)?;
        }
        Ok(written)
    }
}

fn invalid(pointer: &str, detail: &str) -> Error {
    Error::problem(Code::MappingInvalid, detail).at(format!("/mapping{pointer}"))
}

fn failed(document: &str, path: &str, detail: &str) -> Error {
    Error::problem(Code::MappingFailed, format!("{document}{path}: {detail}")).with("document", document)
}

/// A name as a part of a JSON pointer (RFC 6901).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

impl Check {
    fn holds(&self, written: &Value) -> Result<()> {
        let steps: Vec<&str> = self.path.split('/').skip(1).collect();
        self.holds_at(Some(written), &steps, "")
    }

    fn holds_at(&self, found: Option<&Value>, steps: &[&str], at: &str) -> Result<()> {
        match steps.split_first() {
            Some((&"*", rest)) => {
                let items = found.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                items.iter().enumerate().try_for_each(|(n, item)| self.holds_at(Some(item), rest, &format!("{at}/{n}")))
            }
            Some((step, rest)) => {
                let name = step.replace("~1", "/").replace("~0", "~");
                self.holds_at(found.and_then(|found| found.get(&name)), rest, &format!("{at}/{step}"))
            }
            None => self.holds_for(found, at),
        }
    }

    fn holds_for(&self, found: Option<&Value>, at: &str) -> Result<()> {
        let is_empty = match found {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => text.trim().is_empty(),
            Some(Value::Array(items)) => items.is_empty(),
            _ => false,
        };
        if self.required && is_empty {
            return Err(failed(&self.document, at, "the far end needs it, and it is not known"));
        }
        let length = found.and_then(Value::as_str).map_or(0, |text| text.chars().count());
        match self.max_length {
            Some(most) if length > most => {
                let detail = format!("the far end takes {most} characters, and it has {length}: shorten or split it");
                Err(failed(&self.document, at, &detail))
            }
            _ => Ok(()),
        }
    }
}

/// What the expressions of a place know: the event's names, and those of the lists around it.
struct Scope<'a> {
    names: &'a [(String, minijinja::Value)],
}

impl Scope<'_> {
    fn context(&self) -> minijinja::Value {
        minijinja::Value::from_pairs(self.names.iter().cloned())
    }
}

fn from_json(value: &Value) -> minijinja::Value {
    minijinja::Value::from(minijinja::value::Serde(value))
}

struct Writer<'a> {
    environment: Environment<'a>,
    document: &'a str,
    /// How many members may still be written.
    left: Cell<usize>,
}

impl Writer<'_> {
    fn write(&self, template: &Value, scope: &Scope<'_>, at: &str) -> Result<Value> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| failed(self.document, at, "the document becomes too large"))?);
        match template {
            Value::String(text) => match expression_of(text) {
                Some(expression) => self.evaluate(expression, scope, at),
                None => Ok(template.clone()),
            },
            Value::Array(items) => {
                let items = items.iter().enumerate().map(|(n, item)| self.write(item, scope, &format!("{at}/{n}")));
                Ok(Value::Array(items.collect::<Result<_>>()?))
            }
            Value::Object(members) => self.write_object(members, scope, at),
            _ => Ok(template.clone()),
        }
    }

    fn write_object(&self, members: &Map<String, Value>, scope: &Scope<'_>, at: &str) -> Result<Value> {
        if let Some(condition) = members.get("$when")
            && !truthy(&self.write(condition, scope, at)?)
        {
            return Ok(Value::Null);
        }
        if let Some(parts) = members.get("$join").and_then(Value::as_array) {
            return self.join(parts, scope, at);
        }
        if let Some(Value::String(list)) = members.get("$each") {
            return self.each(list, members, scope, at);
        }
        if let Some(inner) = members.get("$do") {
            return self.write(inner, scope, at);
        }
        let mut written = Map::new();
        for (name, template) in members.iter().filter(|(name, _)| *name != "$when") {
            let value = self.write(template, scope, &format!("{at}/{}", escaped(name)))?;
            if !value.is_null() {
                written.insert(name.clone(), value);
            }
        }
        Ok(Value::Object(written))
    }

    fn join(&self, parts: &[Value], scope: &Scope<'_>, at: &str) -> Result<Value> {
        let mut joined = Vec::new();
        for part in parts {
            match self.write(part, scope, at)? {
                Value::Null => {}
                Value::Array(items) => joined.extend(items),
                single => joined.push(single),
            }
        }
        Ok(Value::Array(joined))
    }

    fn each(&self, list: &str, members: &Map<String, Value>, scope: &Scope<'_>, at: &str) -> Result<Value> {
        let expression = expression_of(list).unwrap_or(list);
        let items = self.value_of(expression, scope, at)?;
        let name = members.get("$as").and_then(Value::as_str).unwrap_or("item");
        let Some(template) = members.get("$do") else { return Ok(Value::Array(Vec::new())) };
        if items.is_none() || items.is_undefined() {
            return Ok(Value::Array(Vec::new()));
        }
        let items = items.try_iter().map_err(|error| failed(self.document, at, &error.to_string()))?;
        let mut written = Vec::new();
        for (place, item) in items.enumerate() {
            let own = [(name.to_owned(), item), ("index".to_owned(), minijinja::Value::from(place + 1))];
            let names: Vec<(String, minijinja::Value)> = scope.names.iter().cloned().chain(own).collect();
            let inner = Scope { names: &names };
            let value = self.write(template, &inner, &format!("{at}/{place}"))?;
            if !value.is_null() {
                written.push(value);
            }
        }
        Ok(Value::Array(written))
    }

    fn evaluate(&self, expression: &str, scope: &Scope<'_>, at: &str) -> Result<Value> {
        let value = self.value_of(expression, scope, at)?;
        if value.is_undefined() {
            return Ok(Value::Null);
        }
        serde_json::to_value(&value).map_err(|error| failed(self.document, at, &error.to_string()))
    }

    fn value_of(&self, expression: &str, scope: &Scope<'_>, at: &str) -> Result<minijinja::Value> {
        let evaluated = self.environment.compile_expression(expression).and_then(|read| read.eval(scope.context()));
        evaluated.map_err(|error| {
            let detail = format!("`{}`: {error}", expression.trim());
            failed(self.document, at, &detail.chars().take(500).collect::<String>())
        })
    }
}

/// The expression that a text of a template is, if it is one. A single `=` is itself.
fn expression_of(text: &str) -> Option<&str> {
    text.strip_prefix('=').filter(|expression| !expression.is_empty())
}

fn truthy(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_i64() != Some(0),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

/// Whether every expression of a template can be read.
fn readable(environment: &Environment<'_>, template: &Value, at: &str, depth: usize) -> Result<()> {
    if depth > DEPTH {
        return Err(invalid(at, "templates are nested too deep"));
    }
    match template {
        Value::String(text) => match expression_of(text) {
            Some(expression) => {
                let read = environment.compile_expression(expression);
                read.map(|_| ()).map_err(|error| invalid(at, &format!("`{}`: {error}", expression.trim())))
            }
            None => Ok(()),
        },
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(n, item)| readable(environment, item, &format!("{at}/{n}"), depth + 1)),
        Value::Object(members) => {
            for (name, member) in members {
                let at = format!("{at}/{}", escaped(name));
                if name.starts_with('$') && !["$each", "$as", "$do", "$when", "$join"].contains(&name.as_str()) {
                    return Err(invalid(&at, "expected `$each`, `$as`, `$do`, `$when` or `$join`"));
                }
                readable(environment, member, &at, depth + 1)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

type Tables = BTreeMap<String, BTreeMap<String, Value>>;

/// The expressions' language: what comes with it, and what shops need beside that. Members that are not there are undefined,
/// which `default` replaces; to go on with one is an error that names it.
fn environment(tables: &Tables) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_fuel(Some(FUEL));
    let tables = tables.clone();
    environment.add_filter("table", move |key: minijinja::Value, name: String, own: Option<minijinja::Value>| {
        looked_up(&tables, &key, &name, own)
    });
    environment.add_filter("plus", |a: minijinja::Value, b: minijinja::Value| reckon(&a, &b, Decimal::checked_add));
    environment.add_filter("minus", |a: minijinja::Value, b: minijinja::Value| reckon(&a, &b, Decimal::checked_sub));
    environment.add_filter("times", |a: minijinja::Value, b: minijinja::Value| reckon(&a, &b, Decimal::checked_mul));
    environment.add_filter("over", |a: minijinja::Value, b: minijinja::Value| reckon(&a, &b, Decimal::checked_div));
    environment.add_filter("places", |a: minijinja::Value, places: u32| {
        let places = places.min(12);
        decimal(&a).map(|number| format!("{:.*}", places as usize, number.round_dp_with_strategy(places, HALF_UP)))
    });
    environment.add_filter("day", |instant: String| instant.get(..10).unwrap_or_default().to_owned());
    environment.add_filter("part", |text: String, from: usize, count: usize| {
        text.chars().skip(from).take(count).collect::<String>()
    });
    environment
}

const HALF_UP: rust_decimal::RoundingStrategy = rust_decimal::RoundingStrategy::MidpointAwayFromZero;

fn wrong(detail: String) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::InvalidOperation, detail)
}

fn decimal(value: &minijinja::Value) -> Result<Decimal, minijinja::Error> {
    let text = value.to_string();
    text.parse().map_err(|_| wrong(format!("`{text}` is not a decimal number")))
}

fn reckon(
    a: &minijinja::Value,
    b: &minijinja::Value,
    with: fn(Decimal, Decimal) -> Option<Decimal>,
) -> Result<String, minijinja::Error> {
    let outcome = with(decimal(a)?, decimal(b)?);
    outcome.map(|number| number.normalize().to_string()).ok_or_else(|| wrong("it can not be reckoned".to_owned()))
}

fn looked_up(
    tables: &Tables,
    key: &minijinja::Value,
    name: &str,
    own: Option<minijinja::Value>,
) -> Result<minijinja::Value, minijinja::Error> {
    let table = tables.get(name).ok_or_else(|| wrong(format!("there is no table `{name}`")))?;
    let key = if key.is_none() || key.is_undefined() { String::new() } else { key.to_string() };
    match table.get(&key).or_else(|| table.get("*")) {
        Some(value) => Ok(from_json(value)),
        None if own.is_some() => Ok(own.unwrap_or_default()),
        None => Err(wrong(format!("the table `{name}` does not name `{key}`: add it to the connector's mapping"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mapping(document: Value) -> Mapping {
        serde_json::from_value(json!({
            "documents": {"sale": document},
            "tables": {"taxes": {"0.19": 7, "0.07": 8}, "carriers": {"dhl": "DHL", "*": "other"}},
            "checks": [{"document": "sale", "path": "/lines/*/text", "required": true, "max_length": 8}]
        }))
        .unwrap()
    }

    fn order() -> Value {
        json!({"order": {"number": "1001", "email": null, "placed_at": "2026-03-02T09:00:00Z", "method": "dhl", "lines": [
            {"sku": "A", "name": "Tea", "net": "10.00", "quantity": 4, "tax_rate": "0.19"},
            {"sku": "B", "name": "Gone", "net": "0.00", "quantity": 0, "tax_rate": "0.07"}]}})
    }

    #[test]
    fn a_document_is_written_of_texts_expressions_lists_and_conditions() {
        let sale = mapping(json!({
            "reference": "=order.number", "kind": "web", "email": "=order.email", "on": "=order.placed_at | day",
            "carrier": "=order.method | table('carriers')",
            "lines": {"$join": [
                {"$each": "=order.lines", "$as": "line", "$do": {"$when": "=line.quantity > 0", "$do": {
                    "no": "=index", "text": "=line.name", "tax": "=line.tax_rate | table('taxes')",
                    "price": {"decimal": "=line.net | over(line.quantity) | places(4)"}}}},
                {"$when": "=order.shipping is defined", "text": "shipping"}]}
        }));
        sale.check().unwrap();
        let written = sale.write("sale", &order()).unwrap();
        let wanted = json!({"reference": "1001", "kind": "web", "on": "2026-03-02", "carrier": "DHL",
            "lines": [{"no": 1, "text": "Tea", "tax": 7, "price": {"decimal": "2.5000"}}]});
        assert_eq!(written, wanted);
    }

    #[test]
    fn what_can_not_be_written_is_named_with_its_place_and_nothing_is_cut() {
        let said = |document: Value, known: Value| match mapping(document).write("sale", &known) {
            Err(Error::Problem(problem)) => problem.detail.to_string(),
            other => format!("{other:?}"),
        };
        let lines = |text: &str| json!({"lines": {"$each": "=order.lines", "$as": "line", "$do": {"text": text}}});
        assert!(said(lines("=line.name ~ ' and more'"), order()).starts_with("sale/lines/0/text: the far end takes 8"));
        assert!(said(lines("=line.title"), order()).starts_with("sale/lines/0/text: the far end needs it"));
        assert!(said(json!({"a": "=order.customer.name"}), order()).starts_with("sale/a: `order.customer.name`:"));
        assert!(said(json!({"a": "=order.number | table('taxes')"}), order()).contains("does not name `1001`"));
        assert!(said(json!({"a": "=order.number | table('units')"}), order()).contains("no table `units`"));
        assert!(said(json!({"a": "='x' | plus(1)"}), order()).contains("`x` is not a decimal number"));
        assert!(said(json!({"a": "=range(100000000) | list | length"}), order()).starts_with("sale/a:"));
    }

    #[test]
    fn a_mapping_that_can_not_be_read_is_refused_with_the_place() {
        let pointer = |document: Value| match mapping(document).check() {
            Err(Error::Problem(problem)) => problem.pointer.unwrap_or_default(),
            _ => String::new(),
        };
        assert_eq!(pointer(json!({"a/b": ["x", "=1 +"]})), "/mapping/documents/sale/a~1b/1");
        assert_eq!(pointer(json!({"$every": "x"})), "/mapping/documents/sale/$every");
        let mut odd = mapping(json!({}));
        odd.checks.push(Check { document: "party".into(), path: "/a".into(), required: true, max_length: None });
        assert!(
            matches!(odd.check(), Err(Error::Problem(problem)) if problem.pointer.as_deref() == Some("/mapping/checks/1/document"))
        );
    }

    #[test]
    fn a_connector_replaces_what_it_names_and_keeps_the_rest() {
        let own = mapping(json!({"a": 1}));
        let mut changed = Mapping::default();
        changed.tables.insert("carriers".into(), BTreeMap::from([("*".into(), json!("UPS"))]));
        let whole = changed.over(&own);
        assert_eq!((whole.documents.clone(), whole.checks.len()), (own.documents.clone(), 1));
        assert_eq!(whole.tables["carriers"]["*"], "UPS");
        changed.documents.insert("sale".into(), json!({"b": 2}));
        assert_eq!(changed.over(&own).checks, []);
    }
}
