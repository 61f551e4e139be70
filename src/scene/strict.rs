//! A JSON value read strictly: a struct is an object, never an array.
//!
//! serde's derived structs also take a sequence for their fields in order, so `[640, 360]` would be a canvas, past the
//! names that unknown fields are held against. This wrapper around a value refuses it wherever a struct is expected, at
//! any depth; it changes nothing else. What serde buffers (untagged enums) is read by serde's own rules.

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Unexpected, Visitor},
    forward_to_deserialize_any,
};
use serde_json::{Error, Value};

/// The wrapper.
#[derive(Debug)]
pub(super) struct Strict(pub(super) Value);

impl<'de> Deserializer<'de> for Strict {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => {
                let len = items.len();
                let mut items = Items(items.into_iter());
                let read = visitor.visit_seq(&mut items)?;
                if items.0.len() == 0 { Ok(read) } else { Err(Error::invalid_length(len, &"fewer elements in array")) }
            }
            Value::Object(fields) => visitor.visit_map(Fields { rest: fields.into_iter(), value: None }),
            plain => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.0 {
            Value::Array(_) => Err(Error::invalid_type(Unexpected::Seq, &"an object")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

struct Items(std::vec::IntoIter<Value>);

impl<'de> SeqAccess<'de> for Items {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.next().map(|item| seed.deserialize(Strict(item))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Fields {
    rest: serde_json::map::IntoIter,
    value: Option<Value>,
}

impl<'de> MapAccess<'de> for Fields {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(Value::String(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let value = self.value.take().ok_or_else(|| Error::custom("a value without a key"))?;
        seed.deserialize(Strict(value))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Point {
        x: f64,
        y: Option<u8>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Line {
        points: Vec<Point>,
        pair: [f64; 2],
        name: Option<String>,
        first: Option<Point>,
    }

    fn read(value: Value) -> Result<Line, Error> {
        Line::deserialize(Strict(value))
    }

    #[test]
    fn what_is_well_formed_reads_as_ever() {
        let value = json!({ "points": [{ "x": 1, "y": 2 }, { "x": 1.5, "y": null }], "pair": [1, 2.5], "name": "a" });
        assert_eq!(read(value.clone()).unwrap(), serde_json::from_value(value).unwrap());
    }

    #[test]
    fn an_array_is_no_struct_at_any_depth() {
        for value in [
            json!([[], [1, 2], "a", null]),
            json!({ "points": [[1, 2]], "pair": [1, 2] }),
            json!({ "points": [], "pair": [1, 2], "first": [1, 2] }),
        ] {
            assert!(serde_json::from_value::<Line>(value.clone()).is_ok(), "serde itself takes {value}");
            let error = read(value).unwrap_err();
            assert_eq!(error.to_string(), "invalid type: sequence, expected an object");
        }
    }

    #[test]
    fn unknown_fields_and_long_tuples_are_refused_as_ever() {
        assert!(read(json!({ "points": [{ "x": 1, "z": 1 }], "pair": [1, 2] })).is_err());
        assert!(read(json!({ "points": [], "pair": [1, 2, 3] })).is_err());
        assert!(read(json!({ "points": [], "pair": [1] })).is_err());
    }
}
