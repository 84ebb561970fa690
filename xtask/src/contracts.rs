//! The contracts: their tests, their gas, and the ABIs that Rust reads.

use crate::process::{absolute, command, on_path, output, run, target_folder};
use crate::{Failure, npm, root, say};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../../contracts/fingerprint.rs"]
mod fingerprint;

/// Contracts whose ABIs Rust reads, from `contracts/abi/`.
const BOUND: [&str; 11] = [
    "AccessGate",
    "InferenceChannels",
    "InferenceGovernor",
    "InferenceToken",
    "MembershipRegistry",
    "Params",
    "ProviderRegistry",
    "QualityCourt",
    "RevenueSplitter",
    "Timelock",
    "VotesAggregator",
];

/// What to do with the contracts.
#[derive(Args)]
pub struct Options {
    /// Only compare: fail where abi/ or snapshots/ are not what the compiler and the tests give
    #[arg(long)]
    check: bool,
    /// Only the ABIs, not the gas
    #[arg(long)]
    abi: bool,
    /// Count which lines and branches the unit tests reach; fail where they are too few
    #[arg(long, conflicts_with_all = ["check", "mutate", "bundle"])]
    coverage: bool,
    /// Change the contracts of these names, or all, in small ways, and say which changes no test notices (hours for all)
    #[arg(long, value_name = "CONTRACT", num_args = 0.., conflicts_with_all = ["check", "bundle"])]
    mutate: Option<Vec<String>>,
    /// Write what block explorers need to show the sources, each input of the compiler checked by compiling it
    #[arg(long, value_name = "FOLDER", conflicts_with = "check")]
    bundle: Option<PathBuf>,
    /// With --bundle: what `forge script` wrote of the deployment, broadcast/Deploy.s.sol/CHAIN/run-latest.json
    #[arg(long, value_name = "FILE", requires = "bundle")]
    broadcast: Option<PathBuf>,
    /// With --broadcast: a node of its chain, whose code is compared
    #[arg(long, value_name = "URL", requires = "broadcast")]
    rpc: Option<String>,
}

/// Python programs that look for what tests miss, as pip names them.
const PYTHON: [&str; 2] = ["slither-analyzer==0.11.6", "halmos==0.3.3"];

/// Of the lines and of the branches of `src`, how many in a hundred the unit tests reach at least.
const COVERED: [(&str, u64); 2] = [("lines", 95), ("branches", 90)];

/// Compiles the contracts, writes their ABIs and their gas snapshots.
///
/// # Errors
/// When they do not compile, or with `--check` differ from what is committed.
pub fn run_task(options: &Options) -> Result<(), Failure> {
    install()?;
    if let Some(names) = &options.mutate {
        return run(
            mutations()?.args(names),
            "mutation testing",
            "What lives above needs a test, or a row in contracts/mutation.md.",
        );
    }
    if options.coverage {
        return coverage();
    }
    if let Some(folder) = &options.bundle {
        return bundle(folder, options.broadcast.as_deref(), options.rpc.as_deref());
    }
    say("Compiling the contracts");
    run(forge().arg("build"), "forge build", "The compiler's message above says where.")?;
    abi(options.check)?;
    if options.abi {
        return Ok(());
    }
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

/// The same without a look at the snapshots: what it prints is what was measured.
pub fn gas_only() -> Command {
    let mut forge = gas(false);
    forge.env("FORGE_SNAPSHOT_EMIT", "false");
    forge
}

/// Counts the lines and branches of `src` that the unit tests reach, and shows them file by file.
///
/// # Errors
/// When they are fewer than [`COVERED`] says.
pub fn coverage() -> Result<(), Failure> {
    let mut forge = forge();
    forge.args(["coverage", "--no-match-path", "test/{gas,invariant,halmos}/*"]);
    forge.args(["--no-match-coverage", "^(test|script)/"]);
    let table = output(&mut forge, "forge coverage", "Its output above says why.")?;
    println!("{table}");
    let reached = reached(&table).ok_or("forge coverage ended without a table that can be read")?;
    let mut few = Vec::new();
    for ((what, least), (reached, all)) in COVERED.into_iter().zip(reached) {
        say(&format!("Tests reach {reached} of {all} {what} of src/; {least} in a hundred are asked for"));
        if all == 0 || reached * 100 < all * least {
            few.push(what);
        }
    }
    if few.is_empty() { Ok(()) } else { Err(format!("too few {} are reached", few.join(" and "))) }
}

/// Lines and branches of the table's last row: those that are reached, and all.
fn reached(table: &str) -> Option<[(u64, u64); 2]> {
    let row = table.lines().find(|row| row.starts_with("| Total "))?;
    // `| 98.80% (1976/2000) |`; the columns are lines, statements, branches, functions.
    let mut cells = row.split('|').skip(2).map(|cell| {
        let (reached, all) = cell.split_once('(')?.1.split_once(')')?.0.split_once('/')?;
        Some((reached.parse().ok()?, all.parse().ok()?))
    });
    Some([cells.next()??, cells.nth(1)??])
}

/// Mutation testing: small changes of the contracts that a test must notice.
///
/// # Errors
/// When what it needs is missing.
pub fn mutations() -> Result<Command, Failure> {
    let mut python = python("python")?;
    python.arg("tools/mutate.py");
    Ok(python)
}

/// What slither finds; its exclusions and their reasons are in `slither.config.json`.
///
/// # Errors
/// When it is missing and cannot be installed.
pub fn slither() -> Result<Command, Failure> {
    let mut slither = python("slither")?;
    slither.arg(".");
    Ok(slither)
}

/// Proofs over all inputs, of `test/halmos`.
///
/// # Errors
/// When the prover is missing and cannot be installed.
pub fn proofs() -> Result<Command, Failure> {
    let mut halmos = python("halmos")?;
    // It has forge compile with more output than any other task of ours needs.
    halmos.env("FOUNDRY_OUT", "out-proof").env("FOUNDRY_CACHE_PATH", "cache-proof");
    halmos.args(["--contract", "ChannelsProof", "--solver", "z3", "--forge-build-out", "out-proof"]);
    Ok(halmos)
}

/// A program of [`PYTHON`]'s, or Python itself, of an environment of our own; made where it is missing or of other versions.
fn python(name: &str) -> Result<Command, Failure> {
    let folder = target_folder()?.join("contracts-python");
    let (stamp, wanted) = (folder.join("installed"), PYTHON.join(" "));
    if !std::fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
        if on_path("python3").is_none() {
            return Err("Python is not on the path. Install Python 3.10 or newer, with pip and venv.".into());
        }
        say("Installing slither and halmos");
        let advice = "Is Python's venv module there (Debian: `apt-get install python3-venv`)?";
        run(command("python3").args(["-m", "venv", "--clear"]).arg(&folder), "python3 -m venv", advice)?;
        let mut pip = command(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PYTHON);
        run(&mut pip, "pip install", "Is Python's package index reachable? Then run the command again.")?;
        std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    }
    let mut program = command(folder.join("bin").join(name));
    program.current_dir(self::folder());
    // They call forge by its name.
    let forge = binary("forge");
    let mut path = forge.parent().map(Path::as_os_str).unwrap_or_default().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    program.env("PATH", path);
    Ok(program)
}

/// Compiles what is deployed, and writes what explorers need to verify it.
fn bundle(to: &Path, broadcast: Option<&Path>, rpc: Option<&str>) -> Result<(), Failure> {
    say("Compiling the contracts");
    let mut build = forge();
    build.args(["build", "src"]).env("FOUNDRY_PROFILE", "gas");
    run(&mut build, "forge build", "The compiler's message above says where.")?;
    say("Compiling each contract alone");
    let mut node = command("node");
    node.current_dir(folder()).arg("tools/bundle.mjs").arg(absolute(to)?);
    if let Some(file) = broadcast {
        node.arg(absolute(file)?).args(rpc);
    }
    run(&mut node, "tools/bundle.mjs", "Was the deployment made from these sources?")
}

/// Writes `abi/*.json` from what the compiler put out, and of which Solidity they are; only compares where `check`.
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
    let file = folder().join(fingerprint::FILE);
    let sources = fingerprint::fingerprint(&folder()).map_err(|error| format!("the Solidity: {error}"))?;
    if !read(&file).is_ok_and(|committed| committed == sources) {
        if check {
            return Err(format!("contracts/{} is of other Solidity. Run `cargo xtask contracts`.", fingerprint::FILE));
        }
        std::fs::write(&file, sources).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// Where a program of theirs lies. Not npm's own wrapper in `.bin`: it says 0 of a program that failed.
pub fn binary(name: &str) -> PathBuf {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let package = format!("node_modules/@foundry-rs/{name}-{system}-{processor}/bin");
    folder().join(package).join(name).with_extension(std::env::consts::EXE_EXTENSION)
}

/// A program of theirs, in their folder.
pub fn program(name: &str) -> Command {
    let mut command = command(binary(name));
    command.current_dir(folder());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_a_coverage_is_read() {
        let table = "\
| File       | % Lines        | % Statements   | % Branches   | % Funcs       |
| src/A.sol  | 100.00% (3/3)  | 100.00% (4/4)  | 50.00% (1/2) | 100.00% (1/1) |
| Total      | 97.50% (39/40) | 98.00% (49/50) | 90.00% (9/10) | 100.00% (7/7) |";
        assert_eq!(reached(table), Some([(39, 40), (9, 10)]));
        assert_eq!(reached("| Total | lines |"), None);
        assert_eq!(reached(""), None);
    }
}
