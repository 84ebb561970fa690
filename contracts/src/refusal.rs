//! Why a contract refused, in words: what is wrong and what to do about it.

mod words;

use alloy_primitives::{Address, Selector, U256, hex, keccak256};
use alloy_sol_types::SolError as _;
use std::sync::LazyLock;
use words::WORDS;

/// Words for the data that a call of `contract` reverted with, or for the four bytes of a batch's skipped row. Contracts
/// of its own that it called may have refused too.
#[must_use]
pub fn explain_of(contract: &str, data: &[u8]) -> String {
    let Some((selector, arguments)) = data.split_first_chunk() else {
        return "the contract refused without a reason".to_owned();
    };
    let selector = Selector::from(*selector);
    let known = || SELECTORS.iter().zip(WORDS).filter(|(known, _)| **known == selector).map(|(_, row)| row);
    let row = known().find(|(of, ..)| *of == contract || of.is_empty()).or_else(|| known().next());
    if let Some((_, _, words)) = row {
        return fill(words, arguments);
    }
    if let Ok(said) = alloy_sol_types::Revert::abi_decode(data) {
        let plain: String = said.reason.chars().filter(|letter| !letter.is_control()).take(MAX_SAID).collect();
        return format!("the contract says: {plain}");
    }
    if selector == selector_of("Panic(uint256)") {
        return format!("the contract met numbers that it cannot work with (panic {:#x})", word(arguments, 0));
    }
    format!("the contract refused for a reason this version does not know (0x{})", hex::encode(data))
}

/// As [`explain_of`], where nobody knows which contract it was.
#[must_use]
pub fn explain(data: &[u8]) -> String {
    explain_of("", data)
}

/// Of the rows, in their order.
static SELECTORS: LazyLock<Vec<Selector>> =
    LazyLock::new(|| WORDS.iter().map(|(_, signature, _)| selector_of(signature)).collect());

/// Characters of a reason in a contract's own words.
const MAX_SAID: usize = 300;

fn selector_of(signature: &str) -> Selector {
    let hash = keccak256(signature);
    Selector::from([hash[0], hash[1], hash[2], hash[3]])
}

/// The words with the arguments in their places.
fn fill(words: &str, arguments: &[u8]) -> String {
    let mut filled = String::with_capacity(words.len());
    let mut rest = words;
    while let Some((before, after)) = rest.split_once('{') {
        let (place, after) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        let (index, how) = place.split_once(':').unwrap_or((place, ""));
        filled.push_str(&shown(word(arguments, index.parse().unwrap_or(0)), how));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// An argument; zero where the data is cut short, as the four bytes of a skipped row are.
fn word(arguments: &[u8], index: usize) -> U256 {
    arguments.get(index * 32..index * 32 + 32).map_or(U256::ZERO, U256::from_be_slice)
}

fn shown(value: U256, how: &str) -> String {
    match how {
        "a" => Address::from_word(value.into()).to_string(),
        "t" => tokens(value),
        "k" => String::from_utf8_lossy(&value.to_be_bytes::<32>())
            .trim_end_matches('\0')
            .chars()
            .filter(|letter| !letter.is_control())
            .collect(),
        "d" => span(value.saturating_to()),
        "s" => state(value.saturating_to()).to_owned(),
        _ => value.to_string(),
    }
}

fn tokens(units: U256) -> String {
    let digits = format!("{:0>19}", units.to_string());
    let (whole, fraction) = digits.split_at(digits.len() - 18);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{whole} INFERENCE") } else { format!("{whole}.{fraction} INFERENCE") }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// How a proposal stands, by OpenZeppelin's numbers.
fn state(number: u64) -> &'static str {
    match number {
        0 => "waits for its vote",
        1 => "is still voted on",
        2 => "is canceled",
        3 => "was defeated",
        4 => "was voted through and is not queued yet",
        5 => "is queued and has not been executed",
        6 => "has expired",
        7 => "is executed already",
        _ => "is in another state than this needs",
    }
}

#[cfg(test)]
mod tests;
