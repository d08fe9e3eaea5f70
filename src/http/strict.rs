//! A stricter reading of JSON than serde's own, whatever the type: an object is written as an object, never as an array of its
//! fields; no text holds a NUL character; and what is wrong is said in the words of JSON, not in those of Rust.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, Visitor,
    value::{MapAccessDeserializer, StrDeserializer},
};

/// Reads from another deserializer, strictly, at every depth.
pub(super) struct Strict<D>(pub(super) D);

/// What a value should be.
#[derive(Clone, Copy)]
enum Expected {
    /// What the type itself says.
    Own,
    Text(&'static str),
    OneOf(&'static [&'static str]),
}

/// Hands values on to the type that is read, and readers of inner values strict ones.
struct Guard<V> {
    visitor: V,
    expected: Expected,
}

/// PostgreSQL keeps no NUL in texts, and no document of ours needs one.
fn free_of_nul<E: de::Error>(text: &str) -> Result<(), E> {
    match text.contains('\0') {
        true => Err(E::custom("a NUL character (\\u0000) is not allowed")),
        false => Ok(()),
    }
}

macro_rules! forward {
    ($($method:ident: $expected:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method(Guard { visitor, expected: $expected })
        })*
    };
}

const WHOLE: Expected = Expected::Text("a whole number");

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    forward! {
        deserialize_any: Expected::Own;
        deserialize_bool: Expected::Text("true or false");
        deserialize_i8: WHOLE;
        deserialize_i16: WHOLE;
        deserialize_i32: WHOLE;
        deserialize_i64: WHOLE;
        deserialize_i128: WHOLE;
        deserialize_u8: WHOLE;
        deserialize_u16: WHOLE;
        deserialize_u32: WHOLE;
        deserialize_u64: WHOLE;
        deserialize_u128: WHOLE;
        deserialize_f32: Expected::Text("a number");
        deserialize_f64: Expected::Text("a number");
        deserialize_char: Expected::Own;
        deserialize_str: Expected::Own;
        deserialize_string: Expected::Own;
        deserialize_bytes: Expected::Own;
        deserialize_byte_buf: Expected::Own;
        deserialize_option: Expected::Own;
        deserialize_unit: Expected::Own;
        deserialize_seq: Expected::Text("an array");
        deserialize_map: Expected::Text("an object");
        deserialize_identifier: Expected::Own;
        deserialize_ignored_any: Expected::Own;
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(name, Guard { visitor, expected: Expected::Own })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, Guard { visitor, expected: Expected::Own })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(len, Guard { visitor, expected: Expected::Own })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple_struct(name, len, Guard { visitor, expected: Expected::Own })
    }

    /// A map: what derives `Deserialize` would take an array as well.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Guard { visitor, expected: Expected::Text("an object") })
    }

    /// Anything: of what can be no word of an enum, the reader of JSON itself would say that it is no JSON.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(Choice(Guard { visitor, expected: Expected::OneOf(variants) }))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! plain {
    ($($method:ident: $type:ty;)*) => {
        $(fn $method<E: de::Error>(self, value: $type) -> Result<V::Value, E> { self.visitor.$method(value) })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Guard<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expected {
            Expected::Own => self.visitor.expecting(f),
            Expected::Text(text) => f.write_str(text),
            Expected::OneOf(words) => write!(f, "one of `{}`", words.join("`, `")),
        }
    }

    plain! {
        visit_bool: bool;
        visit_i64: i64;
        visit_i128: i128;
        visit_u64: u64;
        visit_u128: u128;
        visit_f64: f64;
        visit_bytes: &[u8];
        visit_borrowed_bytes: &'de [u8];
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<V::Value, E> {
        free_of_nul(text)?;
        self.visitor.visit_str(text)
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<V::Value, E> {
        free_of_nul(text)?;
        self.visitor.visit_borrowed_str(text)
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<V::Value, E> {
        free_of_nul(&text)?;
        self.visitor.visit_string(text)
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Strict(inner))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Strict(inner))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_seq(Within(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Within(members))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, chosen: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(chosen)
    }
}

/// An enum: its word, or an object whose one member is named by the word.
struct Choice<V>(Guard<V>);

impl<'de, V: Visitor<'de>> Visitor<'de> for Choice<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<V::Value, E> {
        let word: StrDeserializer<'_, E> = word.into_deserializer();
        self.0.visitor.visit_enum(word)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.0.visitor.visit_enum(MapAccessDeserializer::new(Within(members)))
    }
}

/// The inside of an array or an object.
struct Within<A>(A);

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Within<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Seed(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Within<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(Seed(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Seed(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

struct Seed<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Seed<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Strict(deserializer))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(default)]
        inner: Vec<Inner>,
        #[serde(default)]
        only: Option<Inner>,
        #[serde(default)]
        taste: Option<Taste>,
        #[serde(default)]
        pair: Option<(i64, String)>,
        #[serde(default)]
        rest: serde_json::Value,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        count: u8,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Taste {
        Sweet,
        Mixed(Inner),
    }

    fn read(text: &str) -> Result<Outer, String> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = serde_path_to_error::deserialize(Strict(&mut reader));
        read.map_err(|error| format!("{}: {}", error.path(), error.inner()))
    }

    #[test]
    fn objects_are_no_arrays_at_any_depth() {
        for (text, place) in [
            ("[[], null]", "."),
            (r#"{"inner": [{"count": 1}, [2]]}"#, "inner[1]"),
            (r#"{"only": [1]}"#, "only"),
            (r#"{"taste": {"mixed": [1]}}"#, "taste.mixed"),
        ] {
            let wrong = read(text).unwrap_err();
            let said = format!("{place}: invalid type: sequence, expected an object at");
            assert!(wrong.starts_with(&said), "{text}: {wrong}");
        }
        let right = read(r#"{"inner": [{"count": 1}], "pair": [1, "a"], "rest": [[1], {"a": []}]}"#).unwrap();
        assert_eq!((right.inner.len(), right.pair), (1, Some((1, "a".to_owned()))));
        assert_eq!(right.rest, serde_json::json!([[1], {"a": []}]));
    }

    #[test]
    fn words_are_chosen_as_ever_and_what_is_none_is_told_so() {
        assert_eq!(read(r#"{"taste": "sw\u0065et"}"#).unwrap().taste, Some(Taste::Sweet));
        assert_eq!(
            read(r#"{"taste": {"mixed": {"count": 2}}}"#).unwrap().taste,
            Some(Taste::Mixed(Inner { count: 2 }))
        );
        assert!(read(r#"{"taste": 5}"#).unwrap_err().contains("integer `5`, expected one of `sweet`, `mixed`"));
        assert!(read(r#"{"taste": "sour"}"#).unwrap_err().contains("unknown variant `sour`"));
        assert!(read(r#"{"taste": {"sweet": null, "mixed": 1}}"#).is_err());
    }

    #[test]
    fn a_nul_character_is_refused_where_it_stands() {
        assert!(read(r#"{"rest": [{"a": "x\u0000"}]}"#).unwrap_err().starts_with("rest[0].a: a NUL character"));
        assert!(read(r#"{"rest": {"\u0000": 1}}"#).unwrap_err().contains("a NUL character"));
        assert!(read(r#"{"rest": "\\u0000"}"#).is_ok());
    }
}
