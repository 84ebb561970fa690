//! PAM/1, the protocol of the PrivacyAI Marketplace. The full crate documentation follows the data's path.
#![no_std]
extern crate alloc;

pub mod client;
pub mod effect;
pub mod identity;
pub mod provider;
