//! The permit (ERC-2612) by which an owner of INFERENCE lets a contract take an amount.

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolStruct as _, eip712_domain, sol};

mod signed {
    use super::sol;
    sol! {
        struct Permit { address owner; address spender; uint256 value; uint256 nonce; uint256 deadline; }
    }
}

/// What an owner permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenPermit {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// INFERENCE.
    pub token: Address,
    /// Whose tokens they are.
    pub owner: Address,
    /// Who may take them.
    pub spender: Address,
    /// How many.
    pub value: U256,
    /// `InferenceToken.nonces` of the owner.
    pub nonce: U256,
    /// Until when, in unix seconds.
    pub deadline: U256,
}

impl TokenPermit {
    /// What the owner signs.
    #[must_use]
    pub fn digest(&self) -> B256 {
        let Self { chain_id, token, owner, spender, value, nonce, deadline } = *self;
        let domain = eip712_domain! {
            name: "Inference", version: "1", chain_id: chain_id, verifying_contract: token,
        };
        signed::Permit { owner, spender, value, nonce, deadline }.eip712_signing_hash(&domain)
    }
}

pub(crate) fn vectors() -> Vec<(&'static str, B256)> {
    let permit = TokenPermit {
        chain_id: 31_337,
        token: Address::repeat_byte(0x22),
        owner: Address::repeat_byte(0x33),
        spender: Address::repeat_byte(0x66),
        value: U256::from(3_000_000_000_000_000_000_u64),
        nonce: U256::from(7),
        deadline: U256::from(1_900_000_000_u64),
    };
    vec![("permit", permit.digest())]
}
