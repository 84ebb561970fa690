//! The provider's program as a library: what the binary `worker` is made of.
//!
//! [`run`] puts it together: [`config`] says what is wanted, [`state`] and [`storage`] keep who the provider is,
//! [`ports`] starts the Waku node, [`fleet`] what runs models, and [`serve`] is the loop between them and the core.
//! [`metrics`], [`tally`] and [`dashboard`] show the operator what is going on. [`chain`] is apart: the contracts, by
//! commands of the operator.

pub mod chain;
pub mod cli;
pub mod config;
pub mod dashboard;
mod discovery;
pub mod doctor;
pub mod dumps;
pub mod fleet;
pub mod inference;
pub mod init;
pub mod local;
pub mod log;
pub mod metrics;
pub mod models;
pub mod network;
pub mod ports;
pub mod publisher;
pub mod run;
pub mod serve;
pub mod state;
pub mod status;
pub mod storage;
pub mod tally;

#[cfg(test)]
mod scratch;
