//! The contracts on a real EVM, driven from Rust as the worker and the extension drive them. `cargo xtask test contracts`
//! starts it with `ANVIL` (the program), `CHAIN_STATE` (a saved state with everything deployed, profile `demo`),
//! `CHAIN_CONTRACTS` (their addresses), `FORGE` (the program) and `WORKER` (the program `worker`).

mod chain;
mod channels;
mod governance;
mod worker;
