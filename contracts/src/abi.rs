//! Calls, events and errors, generated from `abi/*.json`, which `cargo xtask contracts` writes and the tests compare with
//! what the compiler says.
#![allow(missing_docs, clippy::all, clippy::pedantic)]

/// Each stands in a module of its own, beside the Solidity contracts whose structs it takes over (`Funding`).
macro_rules! bind {
    ($module:ident, $name:ident, $file:literal) => {
        pub mod $module {
            alloy_sol_types::sol!(
                #[derive(Debug)]
                $name,
                $file
            );
        }
        pub use $module::$name;
    };
}

bind!(channels, InferenceChannels, "abi/InferenceChannels.json");
bind!(governor, InferenceGovernor, "abi/InferenceGovernor.json");
bind!(token, InferenceToken, "abi/InferenceToken.json");
bind!(params, Params, "abi/Params.json");
bind!(registry, ProviderRegistry, "abi/ProviderRegistry.json");
bind!(court, QualityCourt, "abi/QualityCourt.json");
bind!(members, MembershipRegistry, "abi/MembershipRegistry.json");
bind!(gate, AccessGate, "abi/AccessGate.json");
bind!(splitter, RevenueSplitter, "abi/RevenueSplitter.json");
bind!(votes, VotesAggregator, "abi/VotesAggregator.json");
bind!(timelock, Timelock, "abi/Timelock.json");
