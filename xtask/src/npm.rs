//! The npm packages that build and drive the extension, as package-lock.json pins them.

use crate::process::{command, on_path, run};
use crate::{Failure, root, say};
use std::path::Path;
use std::process::Command;

/// Installs them where they changed since the last time.
///
/// # Errors
/// When npm is missing or fails.
pub fn install() -> Result<(), Failure> {
    install_in(&root())
}

/// Installs a folder's packages by `npm ci` when its lock file has changed since the last time. No package runs a script
/// of its own.
///
/// # Errors
/// When npm is missing or fails.
pub fn install_in(folder: &Path) -> Result<(), Failure> {
    let lock = folder.join("package-lock.json");
    let wanted = std::fs::read(&lock).map_err(|error| format!("{}: {error}", lock.display()))?;
    let stamp = folder.join("node_modules/.privacyai-lock");
    if std::fs::read(&stamp).is_ok_and(|had| had == wanted) {
        return Ok(());
    }
    if on_path("npm").is_none() {
        return Err("npm is not on the path. Install Node.js 20 or newer, which brings it.".into());
    }
    say("Installing npm packages");
    run(
        command("npm").current_dir(folder).args([
            "ci",
            "--ignore-scripts",
            "--no-fund",
            "--no-audit",
            "--loglevel=error",
        ]),
        "npm ci",
        "Is the npm registry reachable? Then run the command again.",
    )?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

/// A command line program of an npm package.
pub fn program(name: &str) -> Command {
    command(root().join("node_modules/.bin").join(name))
}

/// Node with a script of this repository, which ends when this task does.
pub fn node(script: &str) -> Command {
    let mut node = command("node");
    node.arg(root().join(script)).env("PRIVACYAI_PARENT", "1");
    node
}
