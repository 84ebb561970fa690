//! What the contracts sign and hash: `tests/vectors/contracts.json` and `poseidon.json`, to which Solidity is held too.

use crate::{Check, same};
use privacyai_contracts::{B256, Poseidon, U256};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The checks of this file.
pub const CHECKS: &[Check] =
    &[("ids and digests of the contracts", digests), ("Poseidon as circomlib has it", poseidon)];

/// Vectors there are at least: one is only ever added.
const DIGESTS: usize = 19;
const HASHES: usize = 34;

fn digests() -> Result<(), String> {
    let file = include_str!("../vectors/contracts.json");
    let file: BTreeMap<String, B256> = serde_json::from_str(file).map_err(|error| error.to_string())?;
    let ours = privacyai_contracts::vectors();
    same("names of the vectors", ours.len() == file.len() && ours.len() >= DIGESTS, true)?;
    ours.into_iter().try_for_each(|(name, value)| same(name, file.get(name), Some(&value)))
}

#[derive(Deserialize)]
struct Hashes {
    hashes: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    inputs: Vec<B256>,
    hash: B256,
}

fn poseidon() -> Result<(), String> {
    let file = include_str!("../vectors/poseidon.json");
    let file: Hashes = serde_json::from_str(file).map_err(|error| error.to_string())?;
    same("all rows are there", file.hashes.len() >= HASHES, true)?;
    let made: Vec<Poseidon> = (1..).map_while(Poseidon::new).collect();
    for Row { inputs, hash } in file.hashes {
        let words: Vec<U256> = inputs.iter().map(|input| U256::from_be_bytes(input.0)).collect();
        let found = made.iter().find_map(|poseidon| poseidon.hash(&words));
        same(&format!("hash of {inputs:?}"), found.map(B256::from), Some(hash))?;
    }
    Ok(())
}
