//! The user's side of the marketplace: one wasm for panel and background.

pub mod platform;
pub mod port;
