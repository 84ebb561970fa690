//! Every error of every ABI has its words, and all words have their error.

use super::*;
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

/// Contract, signature, types of the arguments.
fn errors() -> Vec<(String, String, Vec<String>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("abi");
    let mut errors = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let abi: Vec<Value> = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for error in abi.iter().filter(|item| item["type"] == "error") {
            let inputs = error["inputs"].as_array().unwrap();
            let kinds: Vec<String> = inputs.iter().map(|input| input["type"].as_str().unwrap().to_owned()).collect();
            let signature = format!("{}({})", error["name"].as_str().unwrap(), kinds.join(","));
            errors.push((path.file_stem().unwrap().to_str().unwrap().to_owned(), signature, kinds));
        }
    }
    assert!(errors.len() > 150, "{}", errors.len());
    errors
}

#[test]
fn every_error_of_every_contract_is_explained() {
    let mut missing = Vec::new();
    let mut used = BTreeSet::new();
    for (contract, signature, arguments) in errors() {
        match WORDS.iter().find(|(of, known, _)| *known == signature && (*of == contract || of.is_empty())) {
            Some(row) => {
                used.insert(*row);
                for place in row.2.split('{').skip(1) {
                    let index: usize = place[..1].parse().unwrap();
                    let kind = arguments.get(index).unwrap_or_else(|| panic!("{signature} has no argument {index}"));
                    assert_eq!(kind == "address", place[1..].starts_with(":a"), "{signature}: {{{place}");
                }
                let data = [selector_of(&signature).as_slice(), &vec![0; 32 * arguments.len()]].concat();
                let words = explain_of(&contract, &data);
                assert!(!words.contains(['{', '}']) && !words.contains("does not know"), "{signature}: {words}");
                // A skipped row is four bytes alone.
                assert!(!explain_of(&contract, &data[..4]).contains("does not know"));
            }
            None => missing.push(format!("{contract}: {signature}")),
        }
    }
    assert!(missing.is_empty(), "without words in src/refusal/words.rs:\n{}", missing.join("\n"));
    for row in WORDS {
        assert!(used.contains(row), "{} {} is an error of no contract", row.0, row.1);
    }
}

#[test]
fn the_contract_decides_what_an_error_means() {
    let early = selector_of("TooEarly()");
    assert!(explain_of("ProviderRegistry", early.as_slice()).contains("court"));
    assert!(explain_of("InferenceChannels", early.as_slice()).contains("claim"));
    // A contract's call of another one may bring that one's error.
    assert!(explain_of("ProviderRegistry", selector_of("ERC3009InvalidSignature()").as_slice()).contains("payer"));
}

#[test]
fn arguments_are_shown_as_people_write_them() {
    let word = |value: U256| value.to_be_bytes::<32>().to_vec();
    let check = |signature: &str, arguments: &[Vec<u8>], expected: &str| {
        assert_eq!(explain(&[selector_of(signature).as_slice(), &arguments.concat()].concat()), expected);
    };
    let account = Address::repeat_byte(0x11);
    check(
        "ERC20InsufficientBalance(address,uint256,uint256)",
        &[
            word(U256::from_be_slice(account.as_slice())),
            word(U256::ZERO),
            word(U256::from(1_500_000_000_000_000_000_u64)),
        ],
        "the account 0x1111111111111111111111111111111111111111 has 0 INFERENCE and needs 1.5 INFERENCE",
    );
    check("ERC20InvalidReceiver(address)", &[word(U256::ZERO)], &format!("tokens cannot be sent to {}", Address::ZERO));
    let mut key = [0; 32];
    key[..9].copy_from_slice(b"freeDaily");
    check(
        "OutOfBounds(bytes32,uint64,uint64,uint64)",
        &[key.to_vec(), word(U256::from(9)), word(U256::from(1)), word(U256::from(5))],
        "freeDaily may be 1 to 5; 9 is not between",
    );
    check(
        "GovernorUnexpectedProposalState(uint256,uint8,bytes32)",
        &[word(U256::from(7)), word(U256::from(1)), word(U256::ZERO)],
        "the proposal is still voted on",
    );
    check(
        "TimelockInsufficientDelay(uint256,uint256)",
        &[word(U256::from(60)), word(U256::from(172_800))],
        "a delay of 60 s is less than 2 d",
    );
    assert!(explain(&[]).contains("without a reason"));
    assert!(explain(&[1, 2, 3, 4]).contains("0x01020304"));
    check(
        "Panic(uint256)",
        &[word(U256::from(0x11))],
        "the contract met numbers that it cannot work with (panic 0x11)",
    );
}

#[test]
fn no_bytes_of_a_node_make_it_panic() {
    for (_, signature, _) in WORDS {
        for length in [0, 1, 31, 32, 33, 100] {
            let data = [selector_of(signature).as_slice(), &vec![0xff; length]].concat();
            let words = explain(&data);
            assert!(!words.chars().any(char::is_control), "{words:?}");
        }
    }
}
