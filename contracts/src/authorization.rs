//! The authorization (ERC-3009) by which an owner of INFERENCE lets a contract take an amount in anybody's transaction. Its
//! nonce says what the amount is for: each contract has its own, and the registry's is here.

use alloy_primitives::{Address, B256, U256, aliases::U96, keccak256};
use alloy_sol_types::{SolStruct as _, SolValue as _, eip712_domain, sol};

mod signed {
    use super::sol;
    sol! {
        struct ReceiveWithAuthorization {
            address from; address to; uint256 value; uint256 validAfter; uint256 validBefore; bytes32 nonce;
        }
    }
}

/// What an owner authorizes, from the start on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenAuthorization {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// INFERENCE.
    pub token: Address,
    /// Whose tokens they are.
    pub from: Address,
    /// The contract that takes them, and alone can.
    pub to: Address,
    /// How many.
    pub value: U256,
    /// Until when, in unix seconds.
    pub valid_before: U256,
    /// What they are for.
    pub nonce: B256,
}

impl TokenAuthorization {
    /// What the owner signs.
    #[must_use]
    pub fn digest(&self) -> B256 {
        let Self { chain_id, token, from, to, value, valid_before, nonce } = *self;
        let domain = eip712_domain! {
            name: "Inference", version: "1", chain_id: chain_id, verifying_contract: token,
        };
        let signed = signed::ReceiveWithAuthorization {
            from,
            to,
            value,
            validAfter: U256::ZERO,
            validBefore: valid_before,
            nonce,
        };
        signed.eip712_signing_hash(&domain)
    }
}

/// The nonce under which the owner of a provider's stake signs a stake, sent by a relayer that gets `fee`.
#[must_use]
pub fn staking_nonce(provider_id: B256, fee: U96) -> B256 {
    keccak256(("pam1 stake".to_owned(), provider_id, fee).abi_encode_params())
}

pub(crate) fn vectors() -> Vec<(&'static str, B256)> {
    let nonce = staking_nonce(keccak256("provider"), U96::from(10_000_000_000_000_000_u64));
    let authorization = TokenAuthorization {
        chain_id: 31_337,
        token: Address::repeat_byte(0x22),
        from: Address::repeat_byte(0x33),
        to: Address::repeat_byte(0x66),
        value: U256::from(3_010_000_000_000_000_000_u64),
        valid_before: U256::from(1_900_000_000_u64),
        nonce,
    };
    vec![("stakingNonce", nonce), ("authorization", authorization.digest())]
}
