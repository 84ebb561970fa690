//! What `worker chain status` tells: rows for people, and the same as one JSON object for programs. There an amount is a
//! decimal text in the smallest unit, and a time is in unix seconds.

use super::amount::Tokens;
use alloy::primitives::U256;
use serde_json::{Map, Value};
use std::fmt;

/// Rows in the order in which they are shown.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<(&'static str, String)>,
    object: Map<String, Value>,
}

impl Report {
    /// Adds a row, and its value under a key.
    pub fn tell(&mut self, name: &'static str, shown: impl ToString, key: &str, value: impl Into<Value>) {
        self.rows.push((name, shown.to_string()));
        self.also(key, value);
    }

    /// Adds a text, which is the same for both.
    pub fn text(&mut self, name: &'static str, key: &str, text: impl ToString) {
        let text = text.to_string();
        self.tell(name, text.clone(), key, text);
    }

    /// Adds an amount of tokens.
    pub fn tokens(&mut self, name: &'static str, key: &str, units: U256) {
        self.tell(name, Tokens::of(units), key, units.to_string());
    }

    /// Adds a value that a row has in its words.
    pub fn also(&mut self, key: &str, value: impl Into<Value>) {
        self.object.insert(key.to_owned(), value.into());
    }

    /// As JSON.
    #[must_use]
    pub fn json(self) -> Value {
        Value::Object(self.object)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows.iter().try_for_each(|(name, shown)| writeln!(f, "{name:<24} {shown}"))
    }
}
