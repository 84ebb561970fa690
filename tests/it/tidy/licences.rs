//! Which licences may be linked: what `deny.toml` allows, checked here too, so that it holds where cargo-deny is not
//! installed. npm packages are tools, but for what the extension bundles.

use super::{Findings, root};
use serde_json::Value;
use std::{fs, process::Command};

/// Permissive licences without a duty beyond keeping the notice.
const ALLOWED: [&str; 14] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "0BSD",
    "ISC",
    "Zlib",
    "BlueOak-1.0.0",
    "Unicode-3.0",
    "Unlicense",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
];

/// Run on a developer's machine, never shipped: file-level copyleft is no matter there.
const ALLOWED_FOR_TOOLS: [&str; 1] = ["MPL-2.0"];

#[test]
fn linked_crates_are_permissive() {
    let mut findings = Findings::default();
    for arguments in [
        ["--exclude", "privacyai-extension", "--workspace"].as_slice(),
        ["--package", "privacyai-extension", "--target", "wasm32-unknown-unknown"].as_slice(),
    ] {
        let listed = crates(arguments);
        assert!(listed.lines().count() > 20, "cargo tree lists the crates: {listed}");
        for line in listed.lines().filter(|line| !line.is_empty()) {
            let (name, licence) = line.split_once('|').unwrap_or((line, ""));
            if !is_allowed(licence, &ALLOWED) {
                findings.add("Cargo.lock", 1, &format!("{name}: licence {licence:?} is not allowed"));
            }
        }
    }
    findings.none_or_panic();
}

fn crates(arguments: &[&str]) -> String {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root())
        .args(["tree", "--locked", "--prefix", "none", "--no-dedupe", "--format", "{p}|{l}"])
        .args(["--edges", "normal,build"])
        .args(arguments)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    lines.join("\n")
}

#[test]
fn npm_packages_are_permissive() {
    let lock = fs::read_to_string(root().join("package-lock.json")).expect("package-lock.json");
    let lock: Value = serde_json::from_str(&lock).expect("JSON");
    let mut findings = Findings::default();
    for (name, package) in lock["packages"].as_object().expect("packages") {
        let licence = package["license"].as_str().unwrap_or("");
        let tool = package["dev"] == true;
        let allowed = is_allowed(licence, &ALLOWED) || tool && is_allowed(licence, &ALLOWED_FOR_TOOLS);
        if !allowed {
            findings.add("package-lock.json", 1, &format!("{name}: licence {licence:?} is not allowed"));
        }
    }
    findings.none_or_panic();
}

/// Whether an SPDX expression can be met by `allowed` alone. `/` is the old way to write OR.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut at = 0;
    let met = any(&words, &mut at, allowed);
    met && at == words.len()
}

fn any(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut met = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all(words, at, allowed);
    }
    met
}

fn all(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let met = any(words, at, allowed);
        *at += 1;
        return met;
    }
    if words.get(*at) == Some(&"WITH") {
        let exception = words.get(*at + 1).copied().unwrap_or_default();
        *at += 2;
        return allowed.contains(&format!("{word} WITH {exception}").as_str());
    }
    allowed.contains(word)
}

#[test]
fn licence_expressions_are_read_as_spdx() {
    for (expression, met) in [
        ("MIT", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0-only OR MIT", true),
        ("GPL-3.0-only AND MIT", false),
        ("(MIT OR GPL-3.0-only) AND Unicode-3.0", true),
        ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true),
        ("Apache-2.0 WITH other", false),
        ("AGPL-3.0", false),
        ("", false),
        ("MIT MIT", false),
    ] {
        assert_eq!(is_allowed(expression, &ALLOWED), met, "{expression:?}");
    }
}
