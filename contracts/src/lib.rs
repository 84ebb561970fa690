//! The contracts as Rust sees them: their calls, events and errors from the committed ABIs, and the ids and digests that
//! people sign. Shared by the worker and the extension; it makes no call itself and holds no key.
//!
//! What is signed is computed here and in Solidity alike; `tests/vectors/contracts.json` holds both to the same values.

mod abi;
mod authorization;
mod binding;
mod channel;
mod membership;
mod permit;
mod poseidon;
mod refusal;

pub use abi::channels::Funding::Authorization;
pub use abi::channels::Ledger::Terms as SessionTerms;
pub use abi::members::MembershipRegistry::Invitation;
pub use abi::registry::Funding::Permit as StakePermit;
pub use abi::splitter::ProviderRegistry::Root as SplitterRoot;
pub use abi::{
    AccessGate, InferenceChannels, InferenceGovernor, InferenceToken, MembershipRegistry, Params, ProviderRegistry,
    QualityCourt, RevenueSplitter, Timelock, VotesAggregator,
};
pub use alloy_primitives::{Address, B256, U256, address, b256};
pub use alloy_sol_types as sol;
pub use authorization::{TokenAuthorization, staking_nonce};
pub use binding::{Binding, Revocation};
pub use channel::{Channel, Channels, Funding, Terms};
pub use membership::Members;
pub use permit::TokenPermit;
pub use poseidon::Poseidon;
pub use refusal::{explain, explain_of};

/// Every vector's name with the value that this crate computes, for the check against the file.
#[doc(hidden)]
#[must_use]
pub fn vectors() -> Vec<(&'static str, B256)> {
    [channel::vectors(), binding::vectors(), permit::vectors(), authorization::vectors(), membership::vectors()]
        .concat()
}
