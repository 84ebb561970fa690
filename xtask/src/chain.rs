//! A chain of this machine with the contracts on it: anvil with a saved state, so that it starts at once.

use crate::process::{Group, absolute, run, target_folder};
use crate::{Failure, contracts, say};
use clap::Args;
use serde_json::{Value, json};
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

/// Anvil's first account: its key is public, and good for a chain of this machine only.
const MAKER: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

/// How to run the chain.
#[derive(Args)]
pub struct Options {
    /// Port of the chain's RPC on 127.0.0.1
    #[arg(long, default_value_t = 8545)]
    port: u16,
    /// Write chain id, RPC and addresses as JSON once the chain answers
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Runs the chain until it is stopped.
///
/// # Errors
/// When the contracts do not compile, or anvil does not start.
pub fn run_task(options: &Options) -> Result<(), Failure> {
    let state = saved()?;
    let began = Instant::now();
    let (anvil, url) = start(options.port, &["--load-state", &state.file.to_string_lossy()])?;
    say(&format!("The chain answers after {} ms", began.elapsed().as_millis()));
    println!("RPC       {url} (chain id 31337)");
    if let Some(contracts) = state.addresses.as_object() {
        for (name, address) in contracts.iter().filter(|(_, value)| value.is_string()) {
            println!("{name:<9} {}", address.as_str().unwrap_or_default());
        }
    }
    println!(
        "Ten accounts of anvil's own mnemonic hold 10,000 ether and 50,000,000 INFERENCE each. Stop it with Ctrl-C."
    );
    if let Some(file) = &options.report {
        let report = json!({ "rpc": url, "chain": 31_337, "contracts": state.addresses });
        let text = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())? + "\n";
        fs::write(absolute(file)?, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    anvil.wait()
}

/// A saved state of anvil's with everything deployed, and where it lies.
pub struct State {
    /// What `anvil --load-state` takes.
    pub file: PathBuf,
    /// The addresses as JSON.
    pub list: PathBuf,
    /// Address of each contract by name.
    pub addresses: Value,
}

/// The saved state; made anew where the contracts changed.
///
/// # Errors
/// When a step of it fails.
pub fn saved() -> Result<State, Failure> {
    contracts::install()?;
    let folder = target_folder()?.join("chain");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let (file, list, stamp) = (folder.join("state.json"), folder.join("contracts.json"), folder.join("stamp"));
    let wanted = fingerprint()?;
    if !fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) || !file.exists() {
        deploy(&file, &list)?;
        fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    }
    let text = fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
    let addresses = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", list.display()))?;
    Ok(State { file, list, addresses })
}

/// Deploys everything on an empty chain and saves it.
fn deploy(file: &Path, list: &Path) -> Result<(), Failure> {
    let _ = fs::remove_file(file);
    say("Compiling the contracts");
    let mut build = contracts::forge();
    build.args(["build", "script/Deploy.s.sol"]).env("FOUNDRY_PROFILE", "gas").stdout(Stdio::null());
    run(&mut build, "forge build", "The compiler's message above says where.")?;
    say("Deploying the contracts on a chain of this machine");
    let (anvil, url) = start(0, &["--dump-state", &file.to_string_lossy()])?;
    let mut script = contracts::forge();
    script.args(["script", "script/Deploy.s.sol", "--rpc-url", &url, "--broadcast", "--unlocked", "--sender", MAKER]);
    script.env("FOUNDRY_PROFILE", "gas").env("PROFILE", "demo").stdout(Stdio::null());
    run(&mut script, "forge script Deploy", "Its output above says why.")?;
    let written = contracts::folder().join("deployments/31337.json");
    fs::copy(&written, list).map_err(|error| format!("{}: {error}", written.display()))?;
    // It saves when it is asked to end.
    drop(anvil);
    if file.exists() { Ok(()) } else { Err(format!("anvil did not save its state to {}", file.display())) }
}

/// Starts anvil and waits for its word that it listens; the port 0 is any free one.
fn start(port: u16, more: &[&str]) -> Result<(Group, String), Failure> {
    let mut anvil = contracts::program("anvil");
    anvil.args(["--port", &port.to_string()]).args(more).stdout(Stdio::piped());
    let mut group = Group::start(&mut anvil, "anvil")?;
    let mut lines = BufReader::new(group.stdout().ok_or("anvil has no output")?);
    loop {
        let mut line = String::new();
        let read = lines.read_line(&mut line).map_err(|error| format!("anvil: {error}"))?;
        if read == 0 {
            return Err(format!("anvil did not start. Is port {port} taken? `--port` chooses another."));
        }
        if let Some(address) = line.trim().strip_prefix("Listening on ") {
            // What it goes on to say is read away: it must never wait for a reader.
            std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
            return Ok((group, format!("http://{address}")));
        }
    }
}

/// Changes with everything that the deployed code comes from.
fn fingerprint() -> Result<String, Failure> {
    let mut files = vec![contracts::folder().join("foundry.toml"), contracts::folder().join("package-lock.json")];
    for folder in ["src", "script"] {
        gather(&contracts::folder().join(folder), &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        let bytes = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        (file.file_name(), bytes).hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for entry in fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        if path.is_dir() {
            gather(&path, files)?;
        } else if path.extension().is_some_and(|end| end == "sol" || end == "json") {
            files.push(path);
        }
    }
    Ok(())
}
