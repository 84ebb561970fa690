//! What the product promises in figures, measured with release builds. What is driven is in `tests/browser/bench.mjs`.

use crate::process::{Group, absolute, cargo, run as run_to_end, target_folder};
use crate::{Failure, build, npm, say, setup, wasm};
use clap::Args;
use std::path::PathBuf;

/// What to measure.
#[derive(Args)]
pub struct Options {
    /// Write the table as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Measure the builds of test and demo instead of release builds: quick to build, slower to run
    #[arg(long)]
    dev: bool,
    /// Only these: ciphers, size, discovery, market, failover
    parts: Vec<String>,
}

/// Runs the benchmark.
///
/// # Errors
/// When a build or a measurement fails; a figure that is missed is no failure of the run.
pub fn run(options: &Options) -> Result<(), Failure> {
    const PARTS: [&str; 5] = ["ciphers", "size", "discovery", "market", "failover"];
    if let Some(part) = options.parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
        return Err(format!("there is no part {part:?}; there are {}", PARTS.join(", ")));
    }
    npm::install()?;
    let chromium = setup::chromium()?;
    let dist = build::pack(&build::Options::default())?;
    say("Building workers to measure (a first release build takes many minutes)");
    let mut build = cargo();
    build.args(["build", "--package", "privacyai-worker", "--package", "privacyai-tests", "--bins", "--examples"]);
    if !options.dev {
        build.arg("--release");
    }
    run_to_end(&mut build, "building the worker", "The compiler's message above says where.")?;
    let built = target_folder()?.join(if options.dev { "debug" } else { "release" });
    let mut node = npm::node("tests/browser/bench.mjs");
    node.args(&options.parts).env("CHROMIUM", chromium).env("DIST", dist);
    node.env("WORKER", built.join("worker"));
    for (name, program) in
        [("MOCK_OPENAI", "mock_openai"), ("LOAD", "load"), ("TIMING", "timing"), ("HEDGING", "hedging")]
    {
        node.env(name, built.join("examples").join(program));
    }
    node.env("TIMING_WASM", wasm::tests("extension")?);
    if let Some(report) = &options.report {
        node.env("REPORT", absolute(report)?);
    }
    Group::start(&mut node, "the benchmark")?.wait()
}
