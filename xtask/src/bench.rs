//! What the product promises in figures, measured with release builds. What is driven is in `tests/browser/bench.mjs`.

use crate::process::{Group, absolute, cargo, output, run as run_to_end, target_folder};
use crate::{Failure, build, contracts, npm, say, setup, wasm};
use clap::Args;
use std::path::PathBuf;
use std::process::Command;

/// What to measure.
#[derive(Args)]
pub struct Options {
    /// Write the table as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Measure the builds of test and demo instead of release builds: quick to build, slower to run
    #[arg(long)]
    dev: bool,
    /// Fail when a figure is missed
    #[arg(long)]
    strict: bool,
    /// Only these: ciphers, size, discovery, market, failover, chat, contracts
    parts: Vec<String>,
}

/// Runs the benchmark.
///
/// # Errors
/// When a build or a measurement fails; a figure that is missed fails a strict run only.
pub fn run(options: &Options) -> Result<(), Failure> {
    const PARTS: [&str; 7] = ["ciphers", "size", "discovery", "market", "failover", "chat", "contracts"];
    if let Some(part) = options.parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
        return Err(format!("there is no part {part:?}; there are {}", PARTS.join(", ")));
    }
    npm::install()?;
    let mut node = npm::node("tests/browser/bench.mjs");
    node.args(&options.parts);
    let wanted = |part: &str| options.parts.is_empty() || options.parts.iter().any(|wanted| wanted == part);
    if wanted("contracts") {
        node.env("GAS", gas()?);
    }
    if PARTS.iter().any(|part| *part != "contracts" && wanted(part)) {
        programs(&mut node, options.dev)?;
    }
    if options.strict {
        node.env("STRICT", "1");
    }
    if let Some(report) = &options.report {
        node.env("REPORT", absolute(report)?);
    }
    Group::start(&mut node, "the benchmark")?.wait()
}

/// Measures the contracts' gas, and gives the file of what the tests printed.
fn gas() -> Result<PathBuf, Failure> {
    contracts::install()?;
    say("Measuring the contracts' gas");
    let advice = "A gas test failed: `cargo xtask test contracts` says which.";
    let printed = output(&mut contracts::gas_only(), "forge test (gas)", advice)?;
    let file = target_folder()?.join("gas.txt");
    std::fs::write(&file, printed).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(file)
}

/// Builds what is measured but the contracts, and tells the benchmark where it lies.
fn programs(node: &mut Command, dev: bool) -> Result<(), Failure> {
    let chromium = setup::chromium()?;
    let dist = build::pack(&build::Options::default())?;
    say("Building workers to measure (a first release build takes many minutes)");
    let mut build = cargo();
    build.args(["build", "--package", "privacyai-worker", "--package", "privacyai-tests", "--bins", "--examples"]);
    if !dev {
        build.arg("--release");
    }
    run_to_end(&mut build, "building the worker", "The compiler's message above says where.")?;
    let built = target_folder()?.join(if dev { "debug" } else { "release" });
    node.env("CHROMIUM", chromium).env("DIST", dist);
    node.env("WORKER", built.join("worker"));
    for (name, program) in
        [("MOCK_OPENAI", "mock_openai"), ("LOAD", "load"), ("TIMING", "timing"), ("HEDGING", "hedging")]
    {
        node.env(name, built.join("examples").join(program));
    }
    node.env("TIMING_WASM", wasm::tests("extension")?);
    Ok(())
}
