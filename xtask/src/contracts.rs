//! The contracts: their tests, their gas, and the ABIs that Rust reads.

use crate::process::{command, output, run};
use crate::{Failure, npm, root, say};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Contracts whose ABIs Rust reads, from `contracts/abi/`.
const BOUND: [&str; 6] =
    ["InferenceChannels", "InferenceGovernor", "InferenceToken", "Params", "ProviderRegistry", "QualityCourt"];

/// What to do with the contracts.
#[derive(Args)]
pub struct Options {
    /// Only compare: fail where abi/ or snapshots/ are not what the compiler and the tests give
    #[arg(long)]
    check: bool,
}

/// Compiles the contracts, writes their ABIs and their gas snapshots.
///
/// # Errors
/// When they do not compile, or with `--check` differ from what is committed.
pub fn run_task(options: &Options) -> Result<(), Failure> {
    install()?;
    say("Compiling the contracts");
    run(forge().arg("build"), "forge build", "The compiler's message above says where.")?;
    abi(options.check)?;
    say("Measuring gas");
    run(
        &mut gas(options.check),
        "forge test (gas)",
        "Its output above says what changed; `cargo xtask contracts` takes it over.",
    )
}

/// Their own npm packages: nothing that the rest of the project builds with.
///
/// # Errors
/// When npm is missing or fails.
pub fn install() -> Result<(), Failure> {
    npm::install_in(&folder())
}

/// The folder of the contracts.
pub fn folder() -> PathBuf {
    root().join("contracts")
}

/// Foundry's `forge`, in the contracts' folder.
pub fn forge() -> Command {
    program("forge")
}

/// The unit tests, fuzz tests and invariants; many more of the latter two where `deep`.
pub fn tests(deep: bool) -> Command {
    let mut forge = forge();
    forge.args(["test", "--no-match-contract", "GasTest"]);
    if deep {
        forge.env("FOUNDRY_PROFILE", "deep");
    }
    forge
}

/// The gas of whole transactions, of the code that is deployed; compared with the snapshots where `check`.
pub fn gas(check: bool) -> Command {
    let mut forge = forge();
    forge.args(["test", "--match-contract", "GasTest", "-vv"]).env("FOUNDRY_PROFILE", "gas");
    forge.env("FORGE_SNAPSHOT_CHECK", if check { "true" } else { "false" });
    forge
}

/// Writes `abi/*.json` from what the compiler put out; only compares where `check`.
///
/// # Errors
/// When a file cannot be read or written, or differs.
pub fn abi(check: bool) -> Result<(), Failure> {
    for name in BOUND {
        let text = output(
            forge().args(["inspect", name, "abi", "--json"]),
            &format!("forge inspect {name}"),
            "Do the contracts compile?",
        )?;
        let abi: serde_json::Value = serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
        let text = serde_json::to_string_pretty(&abi).map_err(|error| error.to_string())? + "\n";
        let file = folder().join("abi").join(name).with_extension("json");
        if read(&file).is_ok_and(|committed| committed == text) {
            continue;
        }
        if check {
            return Err(format!(
                "contracts/abi/{name}.json is not what the compiler says. Run `cargo xtask contracts`."
            ));
        }
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// Where a program of theirs lies.
pub fn binary(name: &str) -> PathBuf {
    folder().join("node_modules/.bin").join(name)
}

/// A program of theirs, in their folder.
pub fn program(name: &str) -> Command {
    let mut command = command(binary(name));
    command.current_dir(folder());
    command
}
