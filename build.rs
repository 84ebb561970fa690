//! Fails the build where what is not Rust has drifted from what is: the extension's manifest bears this version.

use std::{env, fs, path::Path};

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo names the crate's folder");
    let version = env::var("CARGO_PKG_VERSION").expect("cargo names the crate's version");
    let manifest = Path::new(&root).join("manifest.json");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", manifest.display());
    let Ok(text) = fs::read_to_string(&manifest) else { return };
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(json) if json["version"] == version.as_str() => {}
        Ok(json) => println!("cargo::error=manifest.json has version {}, Cargo.toml has {version}", json["version"]),
        Err(error) => println!("cargo::error=manifest.json: {error}"),
    }
}
