//! What the extension's pages may load and ask for, and that its colours come from the tokens.

use super::{Findings, Source, root, sources};
use serde_json::Value;

const PERMISSIONS: [&str; 4] = ["storage", "offscreen", "sidePanel", "alarms"];
const CSP: &str = "script-src 'self' 'wasm-unsafe-eval'; object-src 'none'; base-uri 'none'";
const COLOURS: [&str; 24] = [
    "slate", "gray", "zinc", "neutral", "stone", "red", "orange", "amber", "yellow", "lime", "green", "emerald",
    "teal", "cyan", "sky", "blue", "indigo", "violet", "purple", "fuchsia", "pink", "rose", "white", "black",
];
const COLOURED: [&str; 13] = [
    "bg",
    "text",
    "border",
    "ring",
    "fill",
    "stroke",
    "from",
    "to",
    "via",
    "divide",
    "outline",
    "decoration",
    "accent",
];

#[test]
fn the_manifest_asks_for_no_more_than_it_needs() {
    let manifest: Value = serde_json::from_str(&Source::of("manifest.json").text).expect("manifest.json is JSON");
    for banned in [
        "host_permissions",
        "optional_host_permissions",
        "optional_permissions",
        "content_scripts",
        "externally_connectable",
        "web_accessible_resources",
    ] {
        assert!(manifest.get(banned).is_none(), "manifest.json: {banned}");
    }
    assert_eq!(manifest["permissions"], serde_json::json!(PERMISSIONS));
    assert_eq!(manifest["content_security_policy"], serde_json::json!({ "extension_pages": CSP }));
    assert_eq!(manifest["manifest_version"], 3);
}

#[test]
fn pages_hold_no_script_of_their_own() {
    let mut findings = Findings::default();
    for source in sources("assets/html", &[".html"]) {
        for (index, line) in source.text.lines().enumerate() {
            if line.contains("<script") && !line.contains("src=\"") {
                findings.add(&source.path, index + 1, "inline script");
            }
            if line.contains(" on") && line.split(" on").skip(1).any(is_handler) {
                findings.add(&source.path, index + 1, "inline handler");
            }
            if line.contains("http://") || line.contains("https://") {
                findings.add(&source.path, index + 1, "a page loads from the extension alone");
            }
        }
    }
    findings.none_or_panic();
}

/// `click="..."` of ` onclick="..."`
fn is_handler(rest: &str) -> bool {
    rest.split_once('=').is_some_and(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase()))
}

#[test]
fn views_take_their_colours_from_the_tokens() {
    let mut findings = Findings::default();
    for source in sources("extension/src", &[".rs"]) {
        for line in source.code() {
            for class in line.code.split(|letter: char| letter.is_whitespace() || "\"'`:".contains(letter)) {
                if is_raw_colour(class) {
                    findings.add(&source.path, line.number, &format!("`{class}`: use a token of assets/css"));
                }
            }
        }
    }
    findings.none_or_panic();
}

fn is_raw_colour(class: &str) -> bool {
    let Some((what, rest)) = class.split_once('-') else { return false };
    let colour = rest.split(['-', '/']).next().unwrap_or_default();
    COLOURED.contains(&what) && (COLOURS.contains(&colour) || rest.starts_with("[#"))
}

#[test]
fn no_javascript_evaluates_text() {
    let mut findings = Findings::default();
    for source in sources("extension/js", &[".js"]) {
        for line in source.code() {
            for word in ["eval(", "new Function", "innerHTML", "document.write"] {
                if line.code.contains(word) {
                    findings.add(&source.path, line.number, &format!("`{word}`"));
                }
            }
        }
    }
    for source in sources("extension/src", &[".rs"]) {
        for line in source.code() {
            for word in ["inner_html", "set_inner_html", "inline_js", "dangerously"] {
                if line.code.contains(word) {
                    findings.add(&source.path, line.number, &format!("`{word}`: what a model writes is text"));
                }
            }
        }
    }
    findings.none_or_panic();
}

#[test]
fn manifest_files_exist() {
    let manifest: Value = serde_json::from_str(&Source::of("manifest.json").text).expect("manifest.json is JSON");
    for icon in manifest["icons"].as_object().expect("icons").values() {
        let path = root().join("assets").join(icon.as_str().expect("a path"));
        assert!(path.is_file(), "{}", path.display());
    }
}

#[test]
fn raw_colours_are_told_from_tokens() {
    assert!(is_raw_colour("bg-zinc-50") && is_raw_colour("text-white") && is_raw_colour("bg-[#fff]"));
    assert!(!is_raw_colour("bg-bg2") && !is_raw_colour("text-ink2") && !is_raw_colour("text-sm"));
}
