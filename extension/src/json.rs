//! What passes the port and lies in the database, as JSON. Derived readers of serde were an eighth of the wasm, as each
//! type was written out once for each of its sources; these read one tree of values and are a few lines a type.

use serde_json::{Map, Value};

/// A value that can be JSON.
pub trait Json: Sized {
    /// As a tree.
    fn to_json(&self) -> Value;
    /// From a tree; none when it is another kind of value. A field that is missing reads as null.
    fn from_json(value: Value) -> Option<Self>;
}

/// As text.
pub fn encode(value: &impl Json) -> String {
    value.to_json().to_string()
}

/// From text.
pub fn decode<T: Json>(text: &str) -> Option<T> {
    T::from_json(serde_json::from_str(text).ok()?)
}

/// From bytes.
pub fn decode_bytes<T: Json>(bytes: &[u8]) -> Option<T> {
    decode(std::str::from_utf8(bytes).ok()?)
}

/// The fields of an object that is read.
pub struct Fields(Map<String, Value>);

impl Fields {
    /// The fields of a value, when it is an object.
    pub fn of(value: Value) -> Option<Self> {
        if let Value::Object(fields) = value { Some(Self(fields)) } else { None }
    }

    /// The field of this name, taken out; null when it is missing.
    pub fn value(&mut self, name: &str) -> Value {
        self.0.remove(name).unwrap_or_default()
    }

    /// The field of this name, read.
    pub fn take<T: Json>(&mut self, name: &str) -> Option<T> {
        T::from_json(self.value(name))
    }
}

/// An object of these fields.
pub fn object(fields: Vec<(&str, Value)>) -> Value {
    let mut object = Map::new();
    for (name, value) in fields {
        object.insert(name.to_owned(), value);
    }
    Value::Object(object)
}

impl Json for String {
    fn to_json(&self) -> Value {
        Value::String(self.clone())
    }

    fn from_json(value: Value) -> Option<Self> {
        if let Value::String(text) = value { Some(text) } else { None }
    }
}

impl Json for bool {
    fn to_json(&self) -> Value {
        Value::Bool(*self)
    }

    fn from_json(value: Value) -> Option<Self> {
        value.as_bool()
    }
}

macro_rules! whole_numbers {
    ($($kind:ty)*) => {
        $(impl Json for $kind {
            fn to_json(&self) -> Value {
                Value::from(*self)
            }

            fn from_json(value: Value) -> Option<Self> {
                value.as_i64().and_then(|n| n.try_into().ok())
            }
        })*
    };
}

whole_numbers!(u8 u16 u32 u64 i64);

impl<T: Json> Json for Option<T> {
    fn to_json(&self) -> Value {
        self.as_ref().map_or(Value::Null, Json::to_json)
    }

    fn from_json(value: Value) -> Option<Self> {
        if value.is_null() { Some(None) } else { T::from_json(value).map(Some) }
    }
}

impl<T: Json> Json for Vec<T> {
    fn to_json(&self) -> Value {
        Value::Array(self.iter().map(Json::to_json).collect())
    }

    fn from_json(value: Value) -> Option<Self> {
        if let Value::Array(values) = value { values.into_iter().map(T::from_json).collect() } else { None }
    }
}

macro_rules! tuples {
    ($(($($at:tt $kind:ident),*))*) => {
        $(impl<$($kind: Json),*> Json for ($($kind,)*) {
            fn to_json(&self) -> Value {
                Value::Array(vec![$(self.$at.to_json()),*])
            }

            fn from_json(value: Value) -> Option<Self> {
                let Value::Array(values) = value else { return None };
                let mut values = values.into_iter();
                let tuple = ($($kind::from_json(values.next()?)?,)*);
                values.next().is_none().then_some(tuple)
            }
        })*
    };
}

tuples!((0 A, 1 B)(0 A, 1 B, 2 C)(0 A, 1 B, 2 C, 3 D));

/// A struct whose fields are those of an object.
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$doc:meta])* $vis:vis $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        pub struct $name { $($(#[$doc])* $vis $field: $kind,)* }

        impl $crate::json::Json for $name {
            fn to_json(&self) -> serde_json::Value {
                $crate::json::object(vec![$((stringify!($field), self.$field.to_json())),*])
            }

            fn from_json(value: serde_json::Value) -> Option<Self> {
                let mut fields = $crate::json::Fields::of(value)?;
                Some(Self { $($field: fields.take(stringify!($field))?,)* })
            }
        }
    };
}

/// An enum whose variants are objects that name themselves in one field.
macro_rules! tagged {
    ($(#[$meta:meta])* pub enum $name:ident by $tag:literal {
        $($(#[$doc:meta])* $variant:ident = $word:literal $({ $($(#[$about:meta])* $field:ident: $kind:ty,)* })?,)*
    }) => {
        $(#[$meta])*
        pub enum $name { $($(#[$doc])* $variant $({ $($(#[$about])* $field: $kind,)* })?,)* }

        impl $crate::json::Json for $name {
            fn to_json(&self) -> serde_json::Value {
                match self {
                    $(Self::$variant { $($($field,)*)? } => $crate::json::object(vec![
                        ($tag, $word.into()),
                        $($((stringify!($field), $field.to_json()),)*)?
                    ]),)*
                }
            }

            fn from_json(value: serde_json::Value) -> Option<Self> {
                let mut fields = $crate::json::Fields::of(value)?;
                let tag: String = fields.take($tag)?;
                match &*tag {
                    $($word => Some(Self::$variant { $($($field: fields.take(stringify!($field))?,)*)? }),)*
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use {record, tagged};

#[cfg(test)]
mod tests {
    use super::*;

    record! {
        /// A record.
        #[derive(Debug, PartialEq)]
        pub struct Point {
            x: u32,
            name: Option<String>,
            pairs: Vec<(String, bool)>,
        }
    }

    tagged! {
        /// Variants.
        #[derive(Debug, PartialEq)]
        pub enum Word by "do" {
            /// Alone.
            Stop = "stop",
            /// With fields.
            Go = "go_to" {
                /// Where.
                to: Point,
            },
        }
    }

    #[test]
    fn reads_what_it_wrote() {
        let point = Point { x: 7, name: None, pairs: vec![("a\"é🌍".into(), true)] };
        let word = Word::Go { to: point };
        let text = encode(&word);
        assert_eq!(text, r#"{"do":"go_to","to":{"name":null,"pairs":[["a\"é🌍",true]],"x":7}}"#);
        assert_eq!(decode(&text), Some(word));
        assert_eq!(decode(r#"{"do":"stop","more":1}"#), Some(Word::Stop));
        assert_eq!(decode(r#"{"x":1,"pairs":[]}"#), Some(Point { x: 1, name: None, pairs: Vec::new() }));
    }

    #[test]
    fn another_kind_is_none() {
        for text in [
            "",
            "7",
            "[]",
            "{}",
            r#"{"do":"fly"}"#,
            r#"{"do":"go_to"}"#,
            r#"{"do":"go_to","to":{"x":-1,"pairs":[]}}"#,
            r#"{"do":"go_to","to":{"x":1.5,"pairs":[]}}"#,
            r#"{"do":"go_to","to":{"x":1,"pairs":[["a"]]}}"#,
            r#"{"do":"go_to","to":{"x":4294967296,"pairs":[]}}"#,
            r#"{"do":["stop"]}"#,
        ] {
            assert_eq!(decode::<Word>(text), None, "{text}");
        }
        assert_eq!(decode_bytes::<bool>(b"\xff"), None);
    }
}
