//! What a root key signs for the registry (protocol section 2.3). It is SHA-256 that is signed, over the label, a zero
//! byte and the body, as root keys sign everything.

use alloy_primitives::{Address, B256, keccak256};
use sha2::{Digest as _, Sha256};

/// That a root key's answers are paid to `payee`: only a transaction of the payee carries it, so each names the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// The registry's contract.
    pub registry: Address,
    /// Who sends the transaction and is paid.
    pub payee: Address,
    /// SHA-256 of the labelled root key.
    pub provider_id: B256,
    /// `ProviderRegistry.nonceOf` of the provider: every signature is good once.
    pub nonce: u64,
}

impl Binding {
    /// The label.
    pub const LABEL: &str = "pam1 bind";

    /// What is signed.
    #[must_use]
    pub fn hash(&self) -> B256 {
        signed(Self::LABEL, &self.body())
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        [
            self.chain_id.to_be_bytes().as_slice(),
            self.registry.as_slice(),
            self.payee.as_slice(),
            self.provider_id.as_slice(),
            &self.nonce.to_be_bytes(),
        ]
        .concat()
    }
}

/// That a root key's operational keys below a number are good no more: anybody may send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// The registry's contract.
    pub registry: Address,
    /// SHA-256 of the labelled root key.
    pub provider_id: B256,
    /// The lowest number that stays good.
    pub seq: u32,
}

impl Revocation {
    /// The label.
    pub const LABEL: &str = "pam1 revoke below";

    /// What is signed.
    #[must_use]
    pub fn hash(&self) -> B256 {
        signed(Self::LABEL, &self.body())
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        [
            self.chain_id.to_be_bytes().as_slice(),
            self.registry.as_slice(),
            self.provider_id.as_slice(),
            &self.seq.to_be_bytes(),
        ]
        .concat()
    }
}

fn signed(label: &str, body: &[u8]) -> B256 {
    let hash = Sha256::new().chain_update(label).chain_update([0]).chain_update(body);
    B256::from_slice(&hash.finalize())
}

pub(crate) fn vectors() -> Vec<(&'static str, B256)> {
    let (chain_id, registry, provider_id) = (31_337, Address::repeat_byte(0x66), keccak256("provider"));
    let binding = Binding { chain_id, registry, payee: Address::repeat_byte(0x44), provider_id, nonce: 7 };
    let revocation = Revocation { chain_id, registry, provider_id, seq: 7 };
    vec![("binding", binding.hash()), ("revocation", revocation.hash())]
}
