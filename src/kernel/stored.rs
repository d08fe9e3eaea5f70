//! Reading documents that were kept, maybe by a newer version of this program.
//!
//! Requests refuse fields that nobody knows. What is kept is another matter: while a release is rolled out, processes of both
//! versions read the same rows, and a field that only the newer one knows must not stop the older one. So what is read here
//! passes over unknown fields, whatever the type says, and a change of settings carries them over. Texts are taken as they
//! are: a rule for what is sent today does not make unreadable what was sent before there was it.

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeOwned, Error as _, IntoDeserializer, Visitor,
        value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::{Error, Result, Value};

use super::text::TEXT;

/// Reads a kept document from its bytes.
///
/// # Errors
/// When it is none of the type's, unknown fields apart.
pub fn from_slice<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    // What was written by the same version, as nearly everything is, is read the fast way.
    serde_json::from_slice(json).or_else(|_| T::deserialize(Lenient(serde_json::from_slice(json)?)))
}

/// Reads a kept document.
///
/// # Errors
/// When it is none of the type's, unknown fields apart.
pub fn from_value<T: DeserializeOwned>(document: &Value) -> Result<T> {
    T::deserialize(document).or_else(|_| T::deserialize(Lenient(document.clone())))
}

/// What is to be kept after a change: the changed document, and of the one before the fields that a `T` does not know.
#[must_use]
pub fn carried_over<T: DeserializeOwned>(before: Value, mut changed: Value) -> Value {
    let known = fields::<T>();
    if let (Value::Object(before), Value::Object(changed)) = (before, &mut changed) {
        let unknown = before.into_iter().filter(|(name, _)| !known.contains(&name.as_str()));
        for (name, value) in unknown {
            changed.entry(name).or_insert(value);
        }
    }
    changed
}

/// Reads the words that this version knows from a list of them.
///
/// # Errors
/// When it is no list of texts.
pub fn known_words<'de, W: std::str::FromStr, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Vec<W>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    Ok(words.iter().filter_map(|word| word.parse().ok()).collect())
}

/// The names of the fields that a type reads.
fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut fields: &'static [&'static str] = &[];
    // It never reads anything: it asks, and is told that there is nothing.
    let _ = T::deserialize(Asking(&mut fields));
    fields
}

/// Notes which fields a type asks for.
struct Asking<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asking<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
        Err(Error::custom("nothing is read here"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Reads from a document and passes over what a type does not know, at every depth, and takes texts as they are.
struct Lenient(Value);

impl IntoDeserializer<'_, Error> for Lenient {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// An object's members, each to be read in the same way.
fn members(object: serde_json::Map<String, Value>) -> impl Iterator<Item = (String, Lenient)> {
    object.into_iter().map(|(name, value)| (name, Lenient(value)))
}

impl<'de> Deserializer<'de> for Lenient {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Lenient))),
            Value::Object(object) => visitor.visit_map(MapDeserializer::new(members(object))),
            plain => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        match self.0 {
            Value::String(text) if name == TEXT => visitor.visit_byte_buf(text.into_bytes()),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let Value::Object(object) = self.0 else { return self.deserialize_any(visitor) };
        let known = members(object).filter(|(name, _)| fields.contains(&name.as_str()));
        visitor.visit_map(MapDeserializer::new(known))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.0 {
            Value::String(word) => visitor.visit_enum(word.into_deserializer()),
            Value::Object(object) => {
                visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::new(members(object))))
            }
            other => Lenient(other).deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use serde_json::json;

    use super::*;
    use crate::kernel::{Scope, text::Text};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        name: Option<String>,
        #[serde(default)]
        inner: Vec<Inner>,
        #[serde(default)]
        taste: Option<Taste>,
        #[serde(default)]
        count: i64,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        pair: (u8, String),
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Taste {
        Sweet,
        Mixed(Inner),
        Told { by: String },
    }

    #[derive(Debug, Deserialize)]
    struct Words {
        #[serde(deserialize_with = "known_words")]
        scopes: Vec<Scope>,
    }

    fn inner() -> Inner {
        Inner { pair: (1, "a".to_owned()) }
    }

    #[test]
    fn what_a_newer_version_has_added_is_passed_over_at_every_depth() {
        let newer = json!({
            "name": "x", "new": [1, {"a": null}], "count": -3,
            "inner": [{"pair": [1, "a"], "new": true}],
            "taste": {"mixed": {"pair": [1, "a"], "new": {}}},
        });
        assert!(Outer::deserialize(&newer).is_err(), "a request is refused");
        let (name, inner, taste) = (Some("x".to_owned()), vec![inner()], Some(Taste::Mixed(inner())));
        let expected = Outer { name, inner, taste, count: -3 };
        assert_eq!(from_value::<Outer>(&newer).unwrap(), expected);
        assert_eq!(from_slice::<Outer>(newer.to_string().as_bytes()).unwrap(), expected);
        let told = from_value::<Outer>(&json!({"taste": {"told": {"by": "y", "new": 1}}, "new": 1})).unwrap();
        assert_eq!((told.name, told.taste), (None, Some(Taste::Told { by: "y".to_owned() })));
        assert_eq!(from_value::<Outer>(&json!({"taste": "sweet", "new": 1})).unwrap().taste, Some(Taste::Sweet));
    }

    #[test]
    fn a_text_is_taken_as_it_was_kept() {
        type Pair = (Text<3>, Option<Text<3>>);
        let before = json!(["a\nb", "abcd"]);
        assert!(Pair::deserialize(&before).is_err(), "a request is refused");
        let kept: Pair = from_value(&before).unwrap();
        assert_eq!((&*kept.0, kept.1.as_deref()), ("a\nb", Some("abcd")));
        assert!(from_value::<Text<3>>(&json!(5)).is_err());
    }

    #[test]
    fn what_is_wrong_stays_wrong() {
        for wrong in [json!({"count": "many"}), json!({"inner": [{}]}), json!({"taste": "sour"}), json!(5), json!([])] {
            assert!(from_value::<Outer>(&wrong).is_err(), "{wrong}");
            assert!(from_slice::<Outer>(wrong.to_string().as_bytes()).is_err(), "{wrong}");
        }
        assert!(from_slice::<Outer>(b"{").is_err());
    }

    #[test]
    fn a_change_keeps_what_it_does_not_know_and_drops_what_it_has_taken_away() {
        let before = json!({"name": "x", "count": 1, "new": [1]});
        let kept = carried_over::<Outer>(before, json!({"count": 2}));
        assert_eq!(kept, json!({"count": 2, "new": [1]}));
    }

    #[test]
    fn words_that_nobody_knows_are_left_out() {
        let words: Words = from_value(&json!({"scopes": ["orders:read", "dreams:read"]})).unwrap();
        assert_eq!(words.scopes, [Scope::OrdersRead]);
    }
}
