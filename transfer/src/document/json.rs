//! JSON from strangers, within limits and without two meanings.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// An index has five levels.
const MAX_DEPTH: usize = 16;

/// In an array or an object. A tag has an image for each architecture; a thousand are an attack.
const MAX_ENTRIES: usize = 1000;

/// In a whole document: each costs about 100 bytes of memory, whatever it costs to write.
const MAX_VALUES: usize = 50_000;

/// Annotations hold digests, names and at times a small document.
const MAX_STRING: usize = 16 << 10;

/// Reads a document of at most `limit` bytes. A key that occurs twice in an object is an error: programs
/// disagree about which of the two counts.
pub(super) fn parse(bytes: &[u8], limit: usize) -> Result<Value, String> {
    if bytes.len() > limit {
        return Err(format!("it is longer than {limit} bytes"));
    }
    let values = Cell::new(0);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let document = Node { depth: 0, values: &values }.deserialize(&mut json);
    document.and_then(|value| json.end().map(|()| value)).map_err(|cause| cause.to_string())
}

/// One value, and how many are above it and were before it.
#[derive(Clone, Copy)]
struct Node<'c> {
    depth: usize,
    values: &'c Cell<usize>,
}

impl Node<'_> {
    fn below<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom("it is nested too deep"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > MAX_VALUES {
            return Err(D::Error::custom("it has too many values"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is none"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(short(value)?.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut array = Vec::new();
        while let Some(value) = values.next_element_seed(below)? {
            few(array.len())?;
            array.push(value);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let below = self.below()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            few(object.len())?;
            short::<A::Error>(&key)?;
            let value = entries.next_value_seed(below)?;
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("it has {key:?} twice")));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

fn few<E: serde::de::Error>(count: usize) -> Result<(), E> {
    if count < MAX_ENTRIES { Ok(()) } else { Err(E::custom("it has too many entries")) }
}

fn short<E: serde::de::Error>(text: &str) -> Result<&str, E> {
    if text.len() <= MAX_STRING { Ok(text) } else { Err(E::custom("a string is too long")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(text: &str) -> String {
        parse(text.as_bytes(), 1 << 20).unwrap_err()
    }

    #[test]
    fn json_means_what_serde_json_says() {
        let text = r#"{"a":[1,-2,2.5,true,null,"ä\n"],"b":{"c":{}},"n":18446744073709551615}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(parse(text.as_bytes(), text.len()), Ok(value));
    }

    #[test]
    fn limits_are_kept() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let array = |count: usize, of: &str| format!("[{}]", vec![of; count].join(","));
        assert!(parse(nested(MAX_DEPTH).as_bytes(), 99).is_ok());
        assert!(parse(array(MAX_ENTRIES, "1").as_bytes(), 1 << 20).is_ok());
        for (text, expected) in [
            (nested(MAX_DEPTH + 1), "nested too deep"),
            (array(MAX_ENTRIES + 1, "1"), "too many entries"),
            (array(100, &array(600, "1")), "too many values"),
            (format!("\"{}\"", "a".repeat(MAX_STRING + 1)), "string is too long"),
            (format!("{{\"{}\":1}}", "a".repeat(MAX_STRING + 1)), "string is too long"),
            (r#"{"a":1,"b":2,"a":1}"#.to_owned(), "\"a\" twice"),
            (r#"{} {}"#.to_owned(), "trailing"),
            (String::new(), "EOF"),
        ] {
            assert!(cause(&text).contains(expected), "{}", cause(&text));
        }
        assert!(parse(b"[1]", 2).unwrap_err().contains("longer than 2 bytes"));
    }
}
