//! Whole-system tests. What is here runs natively and in wasm32 alike: the golden vectors of everything on the wire,
//! and published vectors of what it is built from.
//!
//! Golden bytes are only ever added to: a change of one is a change of the protocol.

pub mod contracts;
pub mod exchange;
pub mod external;
pub mod golden;
#[cfg(not(target_arch = "wasm32"))]
pub mod memory_network;
#[cfg(not(target_arch = "wasm32"))]
pub mod simulation;
pub mod timing;

/// A named check; its error says what differs.
pub type Check = (&'static str, fn() -> Result<(), String>);

/// Every check.
pub fn checks() -> Vec<Check> {
    [external::CHECKS, golden::CHECKS, contracts::CHECKS].concat()
}

/// Runs every check, for the module that is compiled to wasm32: the names of those that passed, a line each.
///
/// # Errors
/// Those that did not, a line each, thrown to JavaScript.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn check_vectors() -> Result<String, String> {
    let results: Vec<_> =
        checks().into_iter().map(|(name, check)| check().map_err(|e| format!("{name}: {e}")).map(|()| name)).collect();
    let wrong: Vec<_> = results.iter().filter_map(|result| result.as_ref().err().cloned()).collect();
    if wrong.is_empty() {
        Ok(results.into_iter().flatten().collect::<Vec<_>>().join("\n"))
    } else {
        Err(wrong.join("\n"))
    }
}

/// How often a long test goes round: `normal` times, and ten times as often in a deep run (`PRIVACYAI_DEEP`, as
/// `cargo xtask test --deep` sets it).
#[cfg(not(target_arch = "wasm32"))]
pub fn rounds(normal: u32) -> u32 {
    if std::env::var_os("PRIVACYAI_DEEP").is_some() { normal.saturating_mul(10) } else { normal }
}

/// Fails with both values when they differ.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: found {found:?}, expected {expected:?}")) }
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(|error| format!("hex: {error}"))
}
