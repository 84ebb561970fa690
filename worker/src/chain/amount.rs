//! Amounts of INFERENCE and of ETH, both of 18 decimals, as people write and read them.

use alloy::primitives::{U256, aliases::U96};
use std::{fmt, str::FromStr};

/// Decimals of both.
const DECIMALS: usize = 18;
/// Decimals of a price of gas in gwei.
const GWEI_DECIMALS: usize = 9;

/// An amount of INFERENCE in its smallest unit; at most uint96, as the contracts hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tokens(pub U96);

/// An amount of ETH in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ether(pub U256);

impl FromStr for Tokens {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no amount; write a decimal such as 1000 or 0.25");
        let units = parse(text).ok_or_else(wrong)?;
        if units > U256::from(U96::MAX) {
            return Err(format!("{text} INFERENCE is more than there can be"));
        }
        Ok(Self::of(units))
    }
}

impl FromStr for Ether {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).map(Self).ok_or_else(|| format!("{text:?} is no amount; write a decimal such as 0.25"))
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} INFERENCE", decimal(U256::from(self.0), DECIMALS))
    }
}

impl fmt::Display for Ether {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ETH", decimal(self.0, DECIMALS))
    }
}

impl Tokens {
    /// What a contract says in uint256: no amount of INFERENCE is larger than uint96.
    #[must_use]
    pub fn of(units: U256) -> Self {
        Self(units.saturating_to())
    }
}

/// A price of gas, in gwei.
#[must_use]
pub fn gwei(wei: u128) -> String {
    format!("{} gwei", decimal(U256::from(wei), GWEI_DECIMALS))
}

/// Digits with at most one point between them.
fn parse(text: &str) -> Option<U256> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > DECIMALS {
        return None;
    }
    U256::from_str_radix(&format!("{whole}{fraction:0<DECIMALS$}"), 10).ok()
}

/// Without zeros that say nothing.
fn decimal(units: U256, decimals: usize) -> String {
    let digits = format!("{:0>width$}", units.to_string(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_they_are_shown() {
        let check = |text: &str, shown: Option<&str>| {
            assert_eq!(text.parse::<Tokens>().ok().map(|tokens| tokens.to_string()).as_deref(), shown, "{text}");
        };
        check("1000", Some("1000 INFERENCE"));
        check("0.25", Some("0.25 INFERENCE"));
        check("0.000000000000000001", Some("0.000000000000000001 INFERENCE"));
        check("00.50", Some("0.5 INFERENCE"));
        check("79228162514.264337593543950335", Some("79228162514.264337593543950335 INFERENCE"));
        check("79228162514.264337593543950336", None);
        check(&"9".repeat(90), None);
        for wrong in ["", ".", "1.", ".5", "-1", "1e3", "1,5", "0.0000000000000000001", "0x10", " 1"] {
            check(wrong, None);
        }
        assert_eq!("1.5".parse::<Ether>().unwrap().to_string(), "1.5 ETH");
        assert_eq!(gwei(1_500_000_000), "1.5 gwei");
        assert_eq!(Tokens::of(U256::MAX).0, U96::MAX);
    }
}
