//! What a root key signs for the registry (protocol section 2.3). It is SHA-256 that is signed, over the label, a zero
//! byte and the body, as root keys sign everything.

use alloy_primitives::{Address, B256};

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
