//! The configuration file as written: its sections and fields, read by serde. What they mean together is checked in
//! [`super`].

use serde::{Deserialize, Deserializer, de};
use std::{fmt, path::PathBuf, time::Duration};
use toml::Spanned;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub worker: Worker,
    #[serde(default)]
    pub chain: Chain,
    #[serde(default)]
    pub backend: Vec<Spanned<Backend>>,
    #[serde(default)]
    pub model: Vec<Spanned<Model>>,
}

/// `[worker]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Worker {
    pub provider_id: Option<Spanned<String>>,
    pub provider_name: Option<Spanned<String>>,
    pub mode: Option<Spanned<String>>,
    pub network: Option<Spanned<String>>,
    pub listen_ip: Option<Spanned<String>>,
    pub tcp_port: Option<u16>,
    pub ws_port: Option<u16>,
    pub external: Option<Vec<Spanned<String>>>,
    pub metrics: Option<Spanned<String>>,
    pub requests_per_minute: Option<Spanned<u32>>,
}

/// `[chain]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chain {
    pub rpc: Option<Spanned<String>>,
    pub contracts: Option<PathBuf>,
    pub keystore: Option<PathBuf>,
    pub passphrase_file: Option<PathBuf>,
}

/// `[[backend]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Backend {
    pub name: Spanned<String>,
    pub kind: Spanned<String>,
    pub url: Option<Spanned<String>>,
    pub api_key_file: Option<PathBuf>,
    pub model: Option<Spanned<String>>,
    pub model_path: Option<PathBuf>,
    pub quant: Option<Spanned<String>>,
    pub threads: Option<Spanned<usize>>,
    pub max_concurrency: Option<Spanned<Concurrency>>,
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// `[[model]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    pub id: Spanned<String>,
    pub backends: Spanned<Vec<Spanned<String>>>,
    pub upstream_id: Option<String>,
    pub context_length: Option<Spanned<u32>>,
    pub max_output_tokens: Option<Spanned<u32>>,
    pub max_concurrency: Option<Spanned<u32>>,
    pub tokenizer: Option<PathBuf>,
    pub preset: Option<Spanned<String>>,
    pub queue: Option<u32>,
    pub capabilities: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    pub price: Price,
}

/// `price = { .. }`, decimals of the token.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Price {
    pub input_per_mtok: Option<Spanned<String>>,
    pub output_per_mtok: Option<Spanned<String>>,
}

/// `timeouts = { .. }`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Timeouts {
    pub connect: Option<Pause>,
    pub first_token: Option<Pause>,
    pub idle: Option<Pause>,
}

/// A number of jobs or `"auto"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Concurrency {
    Auto,
    At(u32),
}

impl<'de> Deserialize<'de> for Concurrency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Concurrency;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"auto\" or a number of jobs")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Concurrency, E> {
                if text == "auto" {
                    Ok(Concurrency::Auto)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(text), &self))
                }
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Concurrency, E> {
                u32::try_from(number)
                    .map(Concurrency::At)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A time span such as `"250ms"`, `"5s"`, `"2m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause(pub Duration);

impl<'de> Deserialize<'de> for Pause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_pause(&text).map(Self).ok_or_else(|| {
            de::Error::invalid_value(de::Unexpected::Str(&text), &"a time span such as \"250ms\", \"5s\" or \"2m\"")
        })
    }
}

fn parse_pause(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => number,
        "s" => number.checked_mul(1_000)?,
        "m" => number.checked_mul(60_000)?,
        _ => return None,
    };
    // Nothing that a backend does takes longer than a day; zero would fail everything.
    (1..=86_400_000).contains(&millis).then_some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_are_numbers_with_a_unit() {
        let check = |text: &str, millis: Option<u64>| {
            assert_eq!(parse_pause(text), millis.map(Duration::from_millis), "{text}");
        };
        check("250ms", Some(250));
        check("5s", Some(5_000));
        check("2m", Some(120_000));
        check("0s", None);
        check("5", None);
        check("5 s", None);
        check("-5s", None);
        check("1h", None);
        check("99999999999999999999s", None);
        check("2000m", None);
    }
}
