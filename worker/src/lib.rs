//! The provider's program as a library: what the binary `worker` is made of.

pub mod config;
pub mod inference;
pub mod local;
pub mod state;
pub mod storage;

#[cfg(test)]
mod scratch;
