//! Every task that a person runs. `cargo xtask --help` lists them.

mod bench;
mod build;
mod chain;
mod contracts;
mod demo;
mod npm;
mod process;
mod setup;
mod simulate;
mod test;
mod wasm;

use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What failed and what to do about it, as one text for a person.
type Failure = String;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, shows, tests and measures the PrivacyAI Marketplace.", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Starts a local market of two providers and asks them through the real extension in a real browser.
    Demo(demo::Options),
    /// Packs the extension into dist/ and says how to load it.
    Build(build::Options),
    /// Runs all tests but the long ones; --deep runs them too.
    Test(test::Options),
    /// Measures what the product promises, with release builds, and prints a table.
    Bench(bench::Options),
    /// Plays a market of thousands in virtual time and prints what came of it.
    Simulate(simulate::Options),
    /// Runs a chain of this machine with the contracts deployed and funded accounts.
    Chain(chain::Options),
    /// Compiles the contracts, and writes their ABIs and gas snapshots.
    Contracts(contracts::Options),
    /// Installs what the other tasks need: npm packages, the wasm target, Chromium and the demo's model.
    Setup,
}

fn main() -> ExitCode {
    let _scratch = process::end_children_with_me().inspect_err(|failure| eprintln!("warning: {failure}"));
    let done = match Arguments::parse().task {
        Task::Demo(options) => demo::run(&options),
        Task::Build(options) => build::run(&options),
        Task::Test(options) => test::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Simulate(options) => simulate::run(&options),
        Task::Chain(options) => chain::run_task(&options),
        Task::Contracts(options) => contracts::run_task(&options),
        Task::Setup => setup::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's root folder: of the checkout whose `cargo xtask` runs, even where several share a target folder.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let package = PathBuf::from(package);
    package.parent().map(Path::to_path_buf).unwrap_or(package)
}

/// Says on stderr what is going on, with the seconds since the task began.
fn say(text: &str) {
    use std::sync::OnceLock;
    use std::time::Instant;
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let began = BEGAN.get_or_init(Instant::now);
    eprintln!("[{:>5.1} s] {text}", began.elapsed().as_secs_f32());
}
