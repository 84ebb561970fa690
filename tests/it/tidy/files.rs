//! Sizes, names and words of files.

use super::{Findings, has_word, sources};

/// A file is one noun; beyond this it is several.
const MAX_LINES: usize = 800;

/// Names that say nothing of the domain.
const EMPTY_NAMES: [&str; 12] =
    ["utils", "util", "helpers", "helper", "common", "types", "manager", "misc", "prelude", "phase", "v2", "legacy"];

const CODE: [&str; 4] = [".rs", ".mjs", ".js", ".css"];

#[test]
fn files_stay_one_noun() {
    let mut findings = Findings::default();
    for source in sources("", &CODE) {
        let lines = source.text.lines().count();
        if lines > MAX_LINES {
            findings.add(&source.path, lines, &format!("more than {MAX_LINES} lines"));
        }
        let stem = source.path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or_default();
        let folder = source.path.rsplit('/').nth(1).unwrap_or_default();
        for name in [stem, folder] {
            if EMPTY_NAMES.contains(&name) {
                findings.add(&source.path, 1, &format!("`{name}` says nothing of what is inside"));
            }
        }
    }
    findings.none_or_panic();
}

#[test]
fn code_keeps_the_house_rules() {
    let mut findings = Findings::default();
    for source in sources("", &[".rs"]) {
        // This folder names what it bans.
        if source.path.starts_with("tests/it/tidy") {
            continue;
        }
        for line in source.code() {
            for (word, why) in [
                ("#[ignore", "a test that does not run shows nothing"),
                ("#[should_panic", "say by value what is expected"),
                ("unsafe {", "no unsafe code"),
                ("unsafe fn", "no unsafe code"),
                ("allow(unsafe_code", "no unsafe code"),
            ] {
                if line.code.contains(word) {
                    findings.add(&source.path, line.number, &format!("`{word}`: {why}"));
                }
            }
        }
        if !source.text.trim_start().starts_with("//!") {
            findings.add(&source.path, 1, "a file begins with `//!` and says what it is");
        }
    }
    findings.none_or_panic();
}

/// What a peer sends reaches the core first: no panic there.
#[test]
fn the_core_does_not_panic_on_input() {
    let mut findings = Findings::default();
    for source in sources("src", &[".rs"]) {
        for line in source.shipped() {
            for word in [".unwrap()", ".expect(\"", "panic!(", "unreachable!("] {
                if line.code.contains(word) {
                    findings.add(&source.path, line.number, &format!("`{word}` in shipped code of the core"));
                }
            }
        }
    }
    findings.none_or_panic();
}

#[test]
fn crates_take_part_in_the_lints() {
    let mut findings = Findings::default();
    for source in sources("", &["Cargo.toml"]) {
        let inherits = source.text.contains("[lints]\nworkspace = true");
        // wasm-bindgen's expansions carry unsafe code, so those crates cannot inherit `forbid`.
        let own = source.text.contains("[lints.rust]") && has_word(&source.text, "unsafe_code = \"deny\"");
        if !inherits && !own {
            findings.add(&source.path, 1, "no lints: add `[lints] workspace = true`");
        }
    }
    findings.none_or_panic();
}
