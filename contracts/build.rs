//! Fails the build where the ABIs that Rust reads have drifted: from the Solidity, from what the compiler last put out
//! (where it did so here, for these sources), or from what `src/abi.rs` binds.

mod fingerprint;

use serde_json::Value;
use std::{collections::BTreeSet, env, error::Error, fs, path::Path, time::SystemTime};

const FIX: &str = "run `cargo xtask contracts`";

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo names the crate's folder");
    for watched in ["build.rs", "fingerprint.rs", "abi", "src", "package-lock.json"] {
        println!("cargo::rerun-if-changed={root}/{watched}");
    }
    if let Err(error) = check(Path::new(&root)) {
        println!("cargo::error=contracts: {error}");
    }
}

fn check(root: &Path) -> Result<(), Box<dyn Error>> {
    let kept = fs::read_to_string(root.join(fingerprint::FILE)).unwrap_or_default();
    if kept.trim() != fingerprint::fingerprint(root)?.trim() {
        return Err(format!("the Solidity changed, and its ABIs were not written anew: {FIX}").into());
    }
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(root.join("abi"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "json") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    let bound: BTreeSet<String> = fs::read_to_string(root.join("src/abi.rs"))?
        .split("\"abi/")
        .skip(1)
        .filter_map(|rest| rest.split_once(".json\"").map(|(name, _)| name.to_owned()))
        .collect();
    if let Some(name) = names.symmetric_difference(&bound).next() {
        return Err(format!("{name} is only one of abi/{name}.json and a `bind!` in src/abi.rs").into());
    }
    let mut sources = Vec::new();
    fingerprint::gather(&root.join("src"), &mut sources)?;
    let newest = sources.iter().filter_map(|path| written(path)).max();
    for name in names {
        let artefact = root.join(format!("out/{name}.sol/{name}.json"));
        // One from before the last change of the Solidity says nothing.
        if !artefact.exists() || written(&artefact) < newest {
            continue;
        }
        println!("cargo::rerun-if-changed={}", artefact.display());
        let ours: Value = serde_json::from_slice(&fs::read(root.join(format!("abi/{name}.json")))?)?;
        if serde_json::from_slice::<Value>(&fs::read(artefact)?)?["abi"] != ours {
            return Err(format!("abi/{name}.json is not what the compiler put out: {FIX}").into());
        }
    }
    Ok(())
}

fn written(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}
