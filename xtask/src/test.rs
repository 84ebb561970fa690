//! All tests, group by group, with their counts.

use crate::process::{Group, absolute, cargo, on_path, target_folder};
use crate::{Failure, build, chain, contracts, npm, say, setup, simulate, wasm};
use clap::Args;
use serde::Serialize;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use wasm_bindgen_cli_support::Bindgen;

/// What to run.
#[derive(Args)]
pub struct Options {
    /// Run the long tests too
    #[arg(long)]
    deep: bool,
    /// Write the counts as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Only these groups: format, lint, policy, rust, health, failover, quota, reputation, simulation, contracts,
    /// wasm, storage, browser
    groups: Vec<String>,
}

/// One group's counts.
#[derive(Default, Serialize)]
struct Count {
    name: &'static str,
    passed: u64,
    failed: u64,
    skipped: u64,
}

#[derive(Serialize)]
struct Report {
    groups: Vec<Count>,
    passed: u64,
    failed: u64,
    skipped: u64,
}

type Runner = fn(bool) -> Result<Count, Failure>;

const GROUPS: [(&str, Runner); 13] = [
    ("format", format),
    ("lint", lint),
    ("policy", policy),
    ("rust", rust),
    ("health", |_| market(&["health::", "ranking::"])),
    ("failover", |_| market(&["failover::"])),
    ("quota", |_| market(&["quota::"])),
    ("reputation", |_| market(&["reputation::"])),
    ("simulation", simulation),
    ("contracts", contracts),
    ("wasm", vectors),
    ("storage", storage),
    ("browser", browser),
];

/// What only a deep run adds.
const NOT_RUN: &str = "Not run here, but by `cargo xtask test --deep`: 100,000 conversations over a lossy network instead of \
10,000, ten times the random bytes for each decoder, 2,000 routed requests instead of 200, a market of \
10,000 clients instead of 100, 200 questions to five unequal providers instead of 40, a soak of ten minutes with \
dying workers, and of the contracts 10,000 runs of each fuzz test instead of 256, 1,000,000 calls of each invariant \
instead of 10,000, coverage, slither, proofs by halmos, and thousands of mutants.";

/// Runs the groups and ends with `N passed, N failed`.
///
/// # Errors
/// When a test failed or a group could not run.
pub fn run(options: &Options) -> Result<(), Failure> {
    for name in &options.groups {
        if !GROUPS.iter().any(|(group, _)| group == name) {
            let known: Vec<&str> = GROUPS.iter().map(|(group, _)| *group).collect();
            return Err(format!("there is no group {name:?}; there are {}", known.join(", ")));
        }
    }
    let mut report = Report { groups: Vec::new(), passed: 0, failed: 0, skipped: 0 };
    for (name, group) in GROUPS {
        if !options.groups.is_empty() && !options.groups.iter().any(|wanted| wanted == name) {
            continue;
        }
        say(&format!("Group {name}"));
        let mut count = tried(group(options.deep));
        count.name = name;
        say(&format!("Group {name}: {} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped));
        report.passed += count.passed;
        report.failed += count.failed;
        report.skipped += count.skipped;
        report.groups.push(count);
    }
    if let Some(file) = &options.report {
        let text = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
        std::fs::write(absolute(file)?, text + "\n").map_err(|error| format!("{}: {error}", file.display()))?;
    }
    println!();
    for count in &report.groups {
        println!(
            "{:<10} {:>5} passed {:>4} failed {:>4} skipped",
            count.name, count.passed, count.failed, count.skipped
        );
    }
    if !options.deep {
        println!("{NOT_RUN}");
    }
    println!("{} passed, {} failed", report.passed, report.failed);
    if report.failed == 0 { Ok(()) } else { Err("some tests failed; the lines above name them".into()) }
}

fn format(_: bool) -> Result<Count, Failure> {
    Ok(one(cargo().args(["fmt", "--all", "--check"]), "cargo fmt --check"))
}

fn lint(_: bool) -> Result<Count, Failure> {
    setup::wasm_target()?;
    let mut native = cargo();
    native.args(["clippy", "--workspace", "--exclude", "privacyai-extension", "--all-targets", "--", "-D", "warnings"]);
    let mut wasm = cargo();
    wasm.args(["clippy", "--package", "privacyai-extension", "--all-features", "--target", "wasm32-unknown-unknown"]);
    wasm.args(["--", "-D", "warnings"]);
    Ok(sum([one(&mut native, "cargo clippy"), one(&mut wasm, "cargo clippy for wasm32")]))
}

/// Licences, sources and duplicate versions. The licences are checked by the `tidy` tests in any case.
fn policy(_: bool) -> Result<Count, Failure> {
    if on_path("cargo-deny").is_none() {
        say("cargo-deny is not installed: `cargo install cargo-deny` adds this group");
        return Ok(Count { skipped: 1, ..Count::default() });
    }
    Ok(one(cargo().args(["deny", "check", "bans", "licenses", "sources"]), "cargo deny"))
}

/// Unit, property, vector, conversation, adversary and Waku tests.
fn rust(deep: bool) -> Result<Count, Failure> {
    npm::install()?;
    let mut tests = cargo();
    tests.args(["test", "--workspace", "--exclude", "privacyai-contracts", "--no-fail-fast", "--"]);
    for part in MARKET {
        tests.args(["--skip", part]);
    }
    if deep {
        tests.env("PRIVACYAI_DEEP", "1");
    }
    counted(&mut tests, "cargo test", cargo_line)
}

/// Parts of the core and of its tests that have groups of their own.
const MARKET: [&str; 6] = ["health::", "ranking::", "failover::", "quota::", "reputation::", "simulation::"];

/// The rules of the market: tests in these modules.
fn market(modules: &[&str]) -> Result<Count, Failure> {
    let mut tests = cargo();
    tests.args(["test", "--package", "privacyai", "--package", "privacyai-tests", "--lib", "--test", "it"]);
    tests.arg("--no-fail-fast").arg("--").args(modules);
    counted(&mut tests, "cargo test", cargo_line)
}

/// The Solidity: unit tests of every revert, fuzz tests, invariants, gas against its snapshots, ABIs as Rust reads them,
/// and all of it on a chain of this machine, driven from Rust and by the operator's commands.
fn contracts(deep: bool) -> Result<Count, Failure> {
    contracts::install()?;
    let tests = tried(counted(&mut contracts::tests(deep), "forge test", forge_line));
    let gas = tried(counted(&mut contracts::gas(true), "forge test (gas)", forge_line));
    let abi = done(contracts::abi(true));
    let quick = sum([tests, gas, abi, tried(from_rust())]);
    if !deep {
        return Ok(quick);
    }
    let coverage = done(contracts::coverage());
    let slither = tried(contracts::slither().map(|mut command| one(&mut command, "slither")));
    let proofs = tried(contracts::proofs().map(|mut command| one(&mut command, "halmos")));
    let mutants = tried(contracts::mutations().map(|mut command| one(&mut command, "mutation testing")));
    Ok(sum([quick, coverage, slither, proofs, mutants]))
}

/// The contracts on a chain, by their Rust and by the worker.
fn from_rust() -> Result<Count, Failure> {
    let state = chain::saved()?;
    let worker = setup::worker()?;
    let mut chain = cargo();
    chain.args(["test", "--package", "privacyai-contracts", "--features", "chain", "--no-fail-fast"]);
    chain.env("ANVIL", contracts::binary("anvil")).env("CHAIN_STATE", &state.file).env("CHAIN_CONTRACTS", &state.list);
    chain.env("FORGE", contracts::binary("forge")).env("WORKER", worker);
    counted(&mut chain, "the contracts from Rust", cargo_line)
}

/// A market of a hundred clients; of ten thousand in a deep run.
fn simulation(deep: bool) -> Result<Count, Failure> {
    let small = market(&["simulation::"])?;
    if !deep {
        return Ok(small);
    }
    Ok(sum([small, done(simulate::run(&simulate::Options::promised()))]))
}

/// The golden vectors once more, compiled to wasm32 and run in Node.
fn vectors(_: bool) -> Result<Count, Failure> {
    counted(npm::node("tests/wasm.mjs").arg(wasm::tests("dev")?), "the vectors on wasm32", tap_line)
}

/// The extension's sealed database in Chromium, by the contract of the core.
fn storage(_: bool) -> Result<Count, Failure> {
    npm::install()?;
    setup::wasm_target()?;
    let chromium = setup::chromium()?;
    let mut build = cargo();
    build.args(["build", "--package", "privacyai-extension", "--features", "conformance"]);
    build.args(["--target", "wasm32-unknown-unknown"]);
    crate::process::run(&mut build, "building the extension", "The compiler's message above says where.")?;
    let target = target_folder()?;
    let folder = target.join("storage-wasm");
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(target.join("wasm32-unknown-unknown/debug/privacyai_extension.wasm"))
        .web(true)
        .map_err(|error| format!("wasm-bindgen: {error:#}"))?
        .out_name("app")
        .typescript(false)
        .generate(&folder)
        .map_err(|error| format!("wasm-bindgen: {error:#}"))?;
    let mut node = npm::node("tests/browser/storage.mjs");
    counted(node.arg(folder).env("CHROMIUM", chromium), "the storage in Chromium", tap_line)
}

/// The packed extension in Chromium.
fn browser(deep: bool) -> Result<Count, Failure> {
    let chromium = setup::chromium()?;
    let worker = setup::worker()?;
    setup::model(&worker)?;
    let dist = build::pack(&build::Options::default())?;
    let mut node = npm::node("tests/browser/run.mjs");
    node.env("CHROMIUM", chromium).env("DIST", dist);
    for (name, program) in [
        ("WORKER", "worker"),
        ("MOCK_OPENAI", "examples/mock_openai"),
        ("TAP", "examples/tap"),
        ("CROWD", "examples/crowd"),
        ("LIAR", "examples/liar"),
    ] {
        node.env(name, worker.with_file_name("").join(program));
    }
    if deep {
        node.env("PRIVACYAI_DEEP", "1");
    }
    counted(&mut node, "the browser cases", tap_line)
}

fn sum<const N: usize>(counts: [Count; N]) -> Count {
    counts.into_iter().fold(Count::default(), |mut all, count| {
        all.passed += count.passed;
        all.failed += count.failed;
        all.skipped += count.skipped;
        all
    })
}

fn one(command: &mut Command, what: &str) -> Count {
    done(crate::process::run(command, what, "Its output above says why."))
}

/// One step that is no program of its own.
fn done(step: Result<(), Failure>) -> Count {
    tried(step.map(|()| Count { passed: 1, ..Count::default() }))
}

/// A step that could not be taken is one that failed; what others counted stays.
fn tried(step: Result<Count, Failure>) -> Count {
    step.unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        Count { failed: 1, ..Count::default() }
    })
}

/// Runs it, shows its output and counts by `line`. A run that fails without a failed test counts as one.
fn counted(command: &mut Command, what: &str, line: fn(&str, &mut Count)) -> Result<Count, Failure> {
    let mut group = Group::start(command.stdout(Stdio::piped()), what)?;
    let mut count = Count::default();
    if let Some(stdout) = group.stdout() {
        for text in BufReader::new(stdout).lines().map_while(Result::ok) {
            println!("{text}");
            line(&text, &mut count);
        }
    }
    if let Err(failure) = group.wait()
        && count.failed == 0
    {
        eprintln!("error: {failure}");
        count.failed = 1;
    }
    Ok(count)
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; ...`
fn cargo_line(text: &str, count: &mut Count) {
    let Some(result) = text.strip_prefix("test result: ") else { return };
    let number = |word: &str| {
        let before = result.split(word).next().unwrap_or_default().trim_end();
        before.rsplit([' ', ';']).next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0)
    };
    count.passed += number(" passed");
    count.failed += number(" failed");
    count.skipped += number(" ignored");
}

/// `Ran 5 test suites in 704.27ms (1.04s CPU time): 45 tests passed, 0 failed, 0 skipped (45 total tests)`
fn forge_line(text: &str, count: &mut Count) {
    let Some((_, result)) = text.strip_prefix("Ran ").and_then(|rest| rest.split_once("CPU time): ")) else { return };
    let mut numbers = result.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
    count.passed += numbers.next().unwrap_or(0);
    count.failed += numbers.next().unwrap_or(0);
    count.skipped += numbers.next().unwrap_or(0);
}

/// `ok 1 - name`, `not ok 2 - name`, `ok 3 - name # SKIP why`
fn tap_line(text: &str, count: &mut Count) {
    if text.starts_with("not ok ") {
        count.failed += 1;
    } else if text.starts_with("ok ") {
        if text.contains("# SKIP") {
            count.skipped += 1;
        } else {
            count.passed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_the_runners_print() {
        let mut count = Count::default();
        cargo_line("test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out", &mut count);
        assert_eq!((count.passed, count.failed, count.skipped), (12, 3, 1));
        tap_line("ok 1 - a", &mut count);
        tap_line("not ok 2 - b", &mut count);
        tap_line("ok 3 - c # SKIP no display", &mut count);
        assert_eq!((count.passed, count.failed, count.skipped), (13, 4, 2));
        forge_line("Ran 2 tests for test/unit/Token.t.sol:TokenTest", &mut count);
        forge_line(
            "Ran 5 test suites in 704.27ms (1.04s CPU time): 45 tests passed, 1 failed, 2 skipped (48 total tests)",
            &mut count,
        );
        assert_eq!((count.passed, count.failed, count.skipped), (58, 5, 4));
    }
}
