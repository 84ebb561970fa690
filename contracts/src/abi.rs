//! Calls, events and errors, generated from `abi/*.json`, which `cargo xtask contracts` writes and the tests compare with
//! what the compiler says.
#![allow(missing_docs, clippy::all, clippy::pedantic)]

/// With the feature `rpc` a contract's type also calls it.
macro_rules! bind {
    ($name:ident, $file:literal) => {
        #[cfg(feature = "rpc")]
        alloy_sol_types::sol!(
            #[sol(rpc)]
            #[derive(Debug)]
            $name,
            $file
        );
        #[cfg(not(feature = "rpc"))]
        alloy_sol_types::sol!(
            #[derive(Debug)]
            $name,
            $file
        );
    };
}

bind!(InferenceChannels, "abi/InferenceChannels.json");
bind!(InferenceToken, "abi/InferenceToken.json");
bind!(Params, "abi/Params.json");
