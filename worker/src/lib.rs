//! The provider's program as a library: what the binary `worker` is made of.

pub mod inference;
