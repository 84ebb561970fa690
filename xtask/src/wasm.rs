//! The tests' wasm module: golden vectors and timings, for Node.

use crate::process::{cargo, run, target_folder};
use crate::{Failure, build, say, setup};
use std::path::PathBuf;
use wasm_bindgen_cli_support::Bindgen;

/// Builds the tests for wasm32 in this profile and gives the module that Node loads.
///
/// # Errors
/// When a step fails.
pub fn tests(profile: &str) -> Result<PathBuf, Failure> {
    setup::wasm_target()?;
    say("Building the tests for wasm32");
    let mut command = cargo();
    command.args(["build", "--package", "privacyai-tests", "--lib", "--target", "wasm32-unknown-unknown"]);
    command.args(["--profile", profile]);
    if profile == "extension" {
        // The extension's own flags, so that both share what is compiled.
        command.env(build::FLAGS, build::release_flags());
    }
    run(&mut command, "building the tests for wasm32", "The compiler's message above says where.")?;
    let target = target_folder()?;
    let folder = if profile == "dev" { "debug" } else { profile };
    let out = target.join(format!("tests-wasm-{folder}"));
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(target.join("wasm32-unknown-unknown").join(folder).join("privacyai_tests.wasm"))
        .nodejs(true)
        .map_err(|error| format!("wasm-bindgen: {error:#}"))?
        .out_name("tests")
        .typescript(false)
        .generate(&out)
        .map_err(|error| format!("wasm-bindgen: {error:#}"))?;
    Ok(out.join("tests.js"))
}
