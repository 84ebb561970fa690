//! PAM/1, the protocol of the PrivacyAI Marketplace: everything both ends must agree on, and nothing else.
//!
//! The crate is pure: an input, the time and randomness go in, [`effect`]s come out. No socket, clock, disk or async is
//! in it, so that native workers and wasm extensions run the very same code. A prompt passes these stations, each one
//! file, once per direction:
//!
//! 1. [`network`]: which network this is; an invite names one.
//! 2. [`identity`]: a provider is the hash of its root key; operational keys sign for it for a month.
//! 3. [`announcement`]: the provider announces itself with a certificate, a key bundle and heartbeats;
//!    [`announcement::registry`] is the client's memory of whom it may believe.
//! 4. [`topic`]: where on the network what is said.
//! 5. [`client`]: the user asks; the machine picks a provider that is fresh and verified.
//! 6. [`message`]: the question as a request body, the answer as records.
//! 7. [`envelope::prompt`]: the body is padded and sealed to the provider's one-hour prekey.
//! 8. [`replay`]: the provider opens each request once.
//! 9. [`provider`]: the machine admits it, runs the model by an effect, and frames what comes back.
//! 10. [`envelope::response`]: an accept binds the answer to the client's one-time key; frames of one size carry the
//!     records, each sealed on its own.
//! 11. [`envelope::bundle`]: frames of many clients leave in one message.
//! 12. [`client`] again: frames are ordered, gaps are asked for, truncation is told.
//! 13. [`receipt`]: what was delivered, signed.
//!
//! [`map`] holds what the machines keep; [`store`] is the contract for the edges' storage; [`error`] says what a caller shall do when something fails.
#![no_std]
extern crate alloc;

mod base;
mod cbor;

pub mod announcement;
pub mod client;
pub mod effect;
pub mod envelope;
pub mod error;
pub mod health;
pub mod identity;
pub mod map;
pub mod message;
pub mod network;
pub mod provider;
pub mod quantile;
pub mod quota;
pub mod ranking;
pub mod receipt;
pub mod replay;
pub mod reputation;
pub mod store;
pub mod topic;
