//! Vouchers: what a session key signed to owe a payee. A file of them is a JSON list with the names of the Machine
//! Payments Protocol's `evm/session`; whatever holds vouchers while it serves writes the same.

use super::node::shown;
use alloy::primitives::{Address, B256, Bytes, Signature};
use privacyai_contracts::{Channel, Channels, InferenceChannels};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// More than are ever outstanding between two claims.
const MAX_VOUCHERS: usize = 100_000;

/// One voucher with the channel that it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Voucher {
    /// Whose money it is.
    pub payer: Address,
    /// Who earns it.
    pub payee: Address,
    /// The session key.
    pub signer: Address,
    /// Tells channels of the same three apart.
    pub salt: B256,
    /// The channel's id; checked where it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<B256>,
    /// What is owed in all since the channel was opened, in the token's smallest unit.
    #[serde(serialize_with = "decimal", deserialize_with = "number")]
    pub cumulative_amount: u128,
    /// The session key's signature of the EIP-712 voucher: 65 bytes, or 64 as ERC-2098 writes it.
    pub signature: Bytes,
}

/// Rows to claim for one payee: the highest voucher of each channel.
#[derive(Debug)]
pub struct Claims {
    /// Who earns them.
    pub payee: Address,
    /// With their channels' ids.
    pub rows: Vec<(B256, InferenceChannels::Claim)>,
}

/// Reads a file's text, row by row: what is wrong with one holds no other up.
///
/// # Errors
/// When it is no list, an empty one, or one that is too long.
pub fn parse(text: &str) -> Result<Vec<Result<Voucher, String>>, String> {
    let rows: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if rows.is_empty() {
        return Err("there is no voucher in it".to_owned());
    }
    if rows.len() > MAX_VOUCHERS {
        return Err(format!("more than {MAX_VOUCHERS} vouchers"));
    }
    Ok(rows.iter().map(|row| serde_json::from_str(row.get()).map_err(|error| shown(&error.to_string()))).collect())
}

/// Checks every signature and keeps the highest voucher of each channel, payee by payee; beside them what is wrong with
/// the others, counted from 1.
#[must_use]
pub fn claims(vouchers: &[Result<Voucher, String>], channels: &Channels) -> (Vec<Claims>, Vec<String>) {
    let mut payees: BTreeMap<Address, BTreeMap<B256, InferenceChannels::Claim>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (index, voucher) in vouchers.iter().enumerate() {
        let checked = voucher.as_ref().map_err(Clone::clone).and_then(|voucher| row(voucher, channels));
        let (payee, id, row) = match checked {
            Ok(good) => good,
            Err(why) => {
                wrong.push(format!("voucher {}: {why}", index + 1));
                continue;
            }
        };
        let rows = payees.entry(payee).or_default();
        if rows.get(&id).is_none_or(|known| known.cumulative < row.cumulative) {
            rows.insert(id, row);
        }
    }
    (payees.into_iter().map(|(payee, rows)| Claims { payee, rows: rows.into_iter().collect() }).collect(), wrong)
}

fn row(voucher: &Voucher, channels: &Channels) -> Result<(Address, B256, InferenceChannels::Claim), String> {
    let Voucher { payer, payee, signer, salt, .. } = *voucher;
    let id = channels.id(&Channel { payer, payee, signer, salt });
    if let Some(named) = voucher.channel_id
        && named != id
    {
        return Err(format!("its channel is {id} on chain {}, not {named}", channels.chain_id));
    }
    let signature = match voucher.signature.len() {
        64 => Some(Signature::from_erc2098(&voucher.signature)),
        65 => Signature::from_raw(&voucher.signature).ok(),
        _ => None,
    };
    let signature = signature.ok_or("its signature is neither 64 nor 65 bytes long")?.normalized_s();
    let digest = channels.voucher(id, voucher.cumulative_amount);
    if signature.recover_address_from_prehash(&digest).ok() != Some(signer) {
        return Err(format!(
            "it is not signed by {signer}, or for another amount, channel, contract or chain than {}",
            channels.chain_id
        ));
    }
    let compact = signature.as_erc2098();
    let (r, vs) = compact.split_at(32);
    let (r, vs) = (B256::from_slice(r), B256::from_slice(vs));
    Ok((payee, id, InferenceChannels::Claim { payer, signer, salt, cumulative: voucher.cumulative_amount, r, vs }))
}

fn decimal<S: Serializer>(amount: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}

/// A decimal as text, which JSON numbers are too small for; small ones may be numbers.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u64),
        Text(String),
    }
    match Written::deserialize(deserializer)? {
        Written::Number(number) => Ok(number.into()),
        Written::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map_err(|_| de::Error::custom(format!("cumulativeAmount {text:?} is no uint128")))
        }
        Written::Text(text) => Err(de::Error::custom(format!("cumulativeAmount {text:?} is no decimal number"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::signers::{SignerSync as _, local::PrivateKeySigner};

    fn channels() -> Channels {
        Channels { chain_id: 31_337, contract: Address::repeat_byte(0x11), token: Address::repeat_byte(0x22) }
    }

    fn session() -> PrivateKeySigner {
        PrivateKeySigner::from_slice(&[5; 32]).unwrap()
    }

    fn voucher(payee: u8, salt: u8, amount: u128) -> Voucher {
        let (payer, payee) = (Address::repeat_byte(0x33), Address::repeat_byte(payee));
        let (signer, salt) = (session().address(), B256::repeat_byte(salt));
        let id = channels().id(&Channel { payer, payee, signer, salt });
        let signature = session().sign_hash_sync(&channels().voucher(id, amount)).unwrap();
        let signature = signature.as_bytes().into();
        Voucher { payer, payee, signer, salt, channel_id: Some(id), cumulative_amount: amount, signature }
    }

    #[test]
    fn the_highest_voucher_of_each_channel_is_claimed() {
        let vouchers = [voucher(2, 1, 10), voucher(1, 1, 7), voucher(1, 1, 9), voucher(1, 1, 8), voucher(1, 2, 3)];
        let text = serde_json::to_string(&vouchers).unwrap();
        assert!(text.contains(r#""cumulativeAmount":"10""#), "{text}");
        let (claims, wrong) = claims(&parse(&text).unwrap(), &channels());
        assert_eq!(wrong, [] as [String; 0]);
        let amounts: Vec<(Address, Vec<u128>)> = claims
            .iter()
            .map(|claims| {
                let mut amounts: Vec<u128> = claims.rows.iter().map(|(_, row)| row.cumulative).collect();
                amounts.sort_unstable();
                (claims.payee, amounts)
            })
            .collect();
        assert_eq!(amounts, [(Address::repeat_byte(1), vec![3, 9]), (Address::repeat_byte(2), vec![10])]);
    }

    #[test]
    fn both_forms_of_a_signature_are_taken() {
        let long = voucher(1, 1, 7);
        let signature = Signature::from_raw(&long.signature).unwrap();
        let short = Voucher { signature: signature.as_erc2098().to_vec().into(), ..long.clone() };
        let rows = |voucher: &Voucher| row(voucher, &channels()).unwrap().2.abi();
        assert_eq!(rows(&long), rows(&short));
    }

    trait Abi {
        fn abi(&self) -> Vec<u8>;
    }

    impl Abi for InferenceChannels::Claim {
        fn abi(&self) -> Vec<u8> {
            alloy::sol_types::SolValue::abi_encode(self)
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let good = voucher(1, 1, 7);
        let check = |wrong: Voucher, words: &str| {
            let (claims, said) = claims(&[Ok(good.clone()), Ok(wrong)], &channels());
            assert!(said.len() == 1 && said[0].starts_with("voucher 2: ") && said[0].contains(words), "{said:?}");
            assert_eq!(claims.len(), 1, "the good one is claimed all the same");
        };
        check(Voucher { cumulative_amount: 8, ..good.clone() }, "not signed by");
        check(Voucher { channel_id: None, salt: B256::ZERO, ..good.clone() }, "not signed by");
        check(Voucher { channel_id: Some(B256::ZERO), ..good.clone() }, "its channel is");
        check(Voucher { signature: vec![0; 65].into(), ..good.clone() }, "not signed by");
        check(Voucher { signature: vec![0; 64].into(), ..good.clone() }, "not signed by");
        check(Voucher { signature: vec![0xff; 65].into(), ..good.clone() }, "");
        check(Voucher { signature: Bytes::new(), ..good.clone() }, "neither 64 nor 65");
        let other = Channels { chain_id: 1, ..channels() };
        let (none, said) = claims(&[Ok(Voucher { channel_id: None, ..good })], &other);
        assert!(none.is_empty() && said[0].contains("chain"), "{said:?}");
        for (text, words) in [("", "EOF"), ("[]", "no voucher"), ("{}", "invalid type"), ("[{]", "key must be")] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        let text = serde_json::to_string(&voucher(1, 1, 7)).unwrap();
        let nine = format!("{:?}", "9".repeat(60));
        for (wrong, words) in [
            ("7".to_owned(), "invalid type"),
            (r#"{"payer": "0x12"}"#.to_owned(), ""),
            (text.replace("\"7\"", "\"-7\""), "no decimal"),
            (text.replace("\"7\"", &nine), "uint128"),
            (text.replace("\"payee\"", "\"\\u001b[2J\""), "unknown field ` [2J`"),
        ] {
            let (claims, said) = claims(&parse(&format!("[{wrong},{text}]")).unwrap(), &channels());
            assert!(said.len() == 1 && said[0].starts_with("voucher 1: ") && said[0].contains(words), "{said:?}");
            assert_eq!(claims.len(), 1, "the good one is claimed all the same");
        }
        let plain = serde_json::to_string(&[voucher(1, 1, 7)]).unwrap().replace("\"7\"", "7");
        assert_eq!(parse(&plain).unwrap(), [Ok(voucher(1, 1, 7))]);
    }
}
