//! Seats of the free daily quota: the digests of what sponsors, the invited and payers sign (EIP-712), and the nonce that a
//! payer's authorization of a deposit has.

use crate::abi::members::MembershipRegistry::Invitation;
use alloy_primitives::{
    Address, B256, U256,
    aliases::{U40, U96},
    keccak256,
};
use alloy_sol_types::{Eip712Domain, SolStruct, SolValue as _, eip712_domain, sol};

mod signed {
    use super::sol;
    sol! {
        struct Accept { bytes32 invitation; uint256 commitment; }
        struct Exit { uint256 commitment; uint96 fee; uint40 deadline; }
    }
}

/// The members' contract on its chain: the domain of everything signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Members {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// The contract.
    pub contract: Address,
}

impl Members {
    /// The EIP-712 domain: "PrivacyAI Membership", version "1".
    #[must_use]
    pub fn domain(&self) -> Eip712Domain {
        eip712_domain! {
            name: "PrivacyAI Membership",
            version: "1",
            chain_id: self.chain_id,
            verifying_contract: self.contract,
        }
    }

    /// What a sponsor signs for whoever holds the invitation's key.
    #[must_use]
    pub fn invitation(&self, invitation: &Invitation) -> B256 {
        self.digest(invitation)
    }

    /// What an invitation's key signs to take the seat for `commitment`, by that invitation and no other.
    #[must_use]
    pub fn accept(&self, invitation: &Invitation, commitment: U256) -> B256 {
        self.digest(&signed::Accept { invitation: self.invitation(invitation), commitment })
    }

    /// What a seat's payer signs to end it by somebody else's transaction.
    #[must_use]
    pub fn exit(&self, commitment: U256, fee: U96, deadline: U40) -> B256 {
        self.digest(&signed::Exit { commitment, fee, deadline })
    }

    /// The ERC-3009 nonce under which a payer signs a deposit for a seat, sent by a relayer that gets `fee`.
    #[must_use]
    pub fn joining_nonce(commitment: U256, tier: u16, fee: U96) -> B256 {
        keccak256(("pam1 join".to_owned(), commitment, tier, fee).abi_encode_params())
    }

    fn digest(&self, signed: &impl SolStruct) -> B256 {
        signed.eip712_signing_hash(&self.domain())
    }
}

pub(crate) fn vectors() -> Vec<(&'static str, B256)> {
    let members = Members { chain_id: 31_337, contract: Address::repeat_byte(0x77) };
    let sponsor = Address::repeat_byte(0x33);
    let commitment = U256::from(123_456_789);
    let (fee, deadline) = (U96::from(10_000_000_000_000_000_u64), U40::from(1_900_000_000_u64));
    let max_cover = U96::from(100_000_000_000_000_000_000_u128);
    let invitation = Invitation {
        sponsor,
        key: Address::repeat_byte(0x55),
        tier: 2,
        validUntil: 20_000,
        maxCover: max_cover,
        fee,
        deadline,
    };
    vec![
        ("invitation", members.invitation(&invitation)),
        ("accept", members.accept(&invitation, commitment)),
        ("exit", members.exit(commitment, fee, deadline)),
        ("joiningNonce", Members::joining_nonce(commitment, 2, fee)),
    ]
}
