//! Who may import whom, and what the core may not touch.

use super::{Findings, Source, has_word, root, sources};
use std::fs;

/// Words that the core may not hold, with the reason.
const BANNED_IN_CORE: [(&str, &str); 22] = [
    ("async ", "the core is not async"),
    (".await", "the core is not async"),
    ("tokio", "the core has no runtime"),
    ("futures", "the core has no runtime"),
    ("libp2p", "the core has no network"),
    ("privacyai_waku", "the core does not know Waku"),
    ("privacyai_worker", "the core does not know its edges"),
    ("web_sys", "the core has no browser"),
    ("js_sys", "the core has no browser"),
    ("wasm_bindgen", "the core has no browser"),
    ("getrandom", "randomness comes in by `rng`"),
    ("thread_rng", "randomness comes in by `rng`"),
    ("OsRng", "randomness comes in by `rng`"),
    ("SystemTime", "time comes in by `now`"),
    ("Instant", "time comes in by `now`"),
    ("cfg(target", "the core is the same everywhere"),
    ("cfg!(target", "the core is the same everywhere"),
    ("std::", "the core is no_std with alloc"),
    ("extern crate std", "the core is no_std with alloc"),
    ("println!", "the core prints nothing"),
    ("tracing", "the core logs nothing"),
    ("static mut", "the core has no globals"),
];

/// Rooms of the core, lowest first: a room may import those of its own level and of lower ones.
const LEVELS: [&[&str]; 5] = [
    &["base", "cbor", "effect", "error", "identity", "map", "message", "network", "store", "topic"],
    &["announcement", "envelope", "quantile", "quota", "receipt", "replay", "reputation"],
    &["health"],
    &["ranking"],
    &["client", "provider"],
];

#[test]
fn the_core_touches_nothing_outside() {
    let mut findings = Findings::default();
    for source in sources("src", &[".rs"]).iter().filter(|source| !is_test_file(source)) {
        for line in source.shipped() {
            for (word, why) in BANNED_IN_CORE {
                if has_word(line.code, word) || (word.starts_with('.') && line.code.contains(word)) {
                    findings.add(&source.path, line.number, &format!("`{}`: {why}", word.trim()));
                }
            }
        }
    }
    findings.none_or_panic();
}

#[test]
fn rooms_of_the_core_look_down() {
    let mut findings = Findings::default();
    for source in sources("src", &[".rs"]).iter().filter(|source| !is_test_file(source)) {
        let Some(room) = room_of(&source.path) else { continue };
        let Some(level) = level_of(room) else {
            if room != "lib" {
                findings.add(&source.path, 1, &format!("`{room}` has no level in tests/it/tidy/arrows.rs"));
            }
            continue;
        };
        for line in source.shipped() {
            for other in imported_rooms(line.code) {
                if other != room && level_of(other).is_some_and(|other_level| other_level > level) {
                    findings.add(&source.path, line.number, &format!("`{room}` may not import `{other}`"));
                }
                if matches!((room, other), ("client", "provider") | ("provider", "client")) {
                    findings.add(&source.path, line.number, "client and provider never import each other");
                }
            }
        }
    }
    findings.none_or_panic();
}

#[test]
fn crates_know_only_whom_they_may() {
    let mut findings = Findings::default();
    let rules: [(&str, &[&str]); 6] = [
        ("Cargo.toml", &[]),
        ("worker/waku/Cargo.toml", &[]),
        ("contracts/Cargo.toml", &[]),
        ("worker/Cargo.toml", &["privacyai", "privacyai-contracts", "privacyai-waku"]),
        ("extension/Cargo.toml", &["privacyai"]),
        ("xtask/Cargo.toml", &[]),
    ];
    for (path, allowed) in rules {
        let source = Source::of(path);
        let mut in_dependencies = false;
        for line in source.text.lines().enumerate().map(|(index, text)| super::Line { number: index + 1, code: text }) {
            if line.code.starts_with('[') {
                in_dependencies = line.code.contains("dependencies") && !line.code.starts_with("[workspace");
            }
            let name = line.code.split(['.', ' ', '=']).next().unwrap_or_default();
            if in_dependencies && name.starts_with("privacyai") && !allowed.contains(&name) {
                findings.add(path, line.number, &format!("may not depend on {name}"));
            }
        }
    }
    findings.none_or_panic();
}

#[test]
fn the_panel_knows_the_port_alone() {
    if !root().join("extension/src/ui").is_dir() {
        return;
    }
    let mut findings = Findings::default();
    for source in sources("extension/src/ui", &[".rs"]) {
        for line in source.code() {
            for other in imported_rooms(line.code) {
                if !["port", "ui"].contains(&other) {
                    findings.add(&source.path, line.number, &format!("ui/ may not import `{other}`"));
                }
            }
            if has_word(line.code, "privacyai::") {
                findings.add(&source.path, line.number, "ui/ may not import the core: no key reaches a panel");
            }
        }
    }
    findings.none_or_panic();
}

#[test]
fn the_core_is_no_std_and_forbids_unsafe_code() {
    let lib = Source::of("src/lib.rs");
    assert!(lib.text.contains("no_std"), "src/lib.rs: the core is no_std");
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    assert!(manifest.contains("unsafe_code = \"forbid\""));
}

fn is_test_file(source: &Source) -> bool {
    source.path.ends_with("/tests.rs") || source.path.contains("/tests/")
}

/// `src/envelope/prompt.rs` -> `envelope`
fn room_of(path: &str) -> Option<&str> {
    path.strip_prefix("src/")?.split(['/', '.']).next()
}

fn level_of(room: &str) -> Option<usize> {
    LEVELS.iter().position(|level| level.contains(&room))
}

/// What stands after `crate::` in `code`, also inside `crate::{a, b::c}`.
fn imported_rooms(code: &str) -> Vec<&str> {
    let mut rooms = Vec::new();
    for part in code.split("crate::").skip(1) {
        if let Some(list) = part.strip_prefix('{') {
            let mut depth = 0;
            for item in list.split(',') {
                if depth == 0 {
                    rooms.push(first_name(item.trim_start()));
                }
                depth += item.matches('{').count();
                depth = depth.saturating_sub(item.matches('}').count());
            }
        } else {
            rooms.push(first_name(part));
        }
    }
    rooms.retain(|room| !room.is_empty() && room.starts_with(|letter: char| letter.is_lowercase()));
    rooms
}

fn first_name(text: &str) -> &str {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default()
}

#[test]
fn imports_are_read_as_rust_reads_them() {
    assert_eq!(imported_rooms("use crate::{envelope::{Seal, Open}, topic, Error};"), ["envelope", "topic"]);
    assert_eq!(imported_rooms("use crate::client::Ask;"), ["client"]);
    assert_eq!(imported_rooms("let x = crate::topic::shard(crate::identity::ID);"), ["topic", "identity"]);
    assert!(has_word("use std::fs;", "std::") && !has_word("use test_std::fs;", "std::"));
}
