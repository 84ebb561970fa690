//! `tests/vectors/poseidon.json`, which Solidity is held to, is what `light-poseidon` computes.

use ark_bn254::Fr;
use ark_ff::{BigInteger as _, PrimeField as _};
use light_poseidon::{Poseidon, PoseidonHasher as _};
use serde_json::Value;

#[test]
fn the_vectors_are_light_poseidons() {
    let file: Value = serde_json::from_str(include_str!("../../tests/vectors/poseidon.json")).unwrap();
    let rows = file["hashes"].as_array().unwrap();
    assert!(rows.len() >= 34, "a vector is only ever added");
    for row in rows {
        let inputs: Vec<Fr> = row["inputs"].as_array().unwrap().iter().map(field).collect();
        let hash = Poseidon::<Fr>::new_circom(inputs.len()).unwrap().hash(&inputs).unwrap();
        assert_eq!(hash, field(&row["hash"]), "{row}");
    }
}

/// 32 bytes, big endian, below the field's order.
fn field(text: &Value) -> Fr {
    let bytes = alloy_primitives::hex::decode(text.as_str().unwrap()).unwrap();
    let element = Fr::from_be_bytes_mod_order(&bytes);
    assert_eq!(element.into_bigint().to_bytes_be(), bytes, "not canonical");
    element
}
