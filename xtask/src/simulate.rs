//! A market of thousands in virtual time. What is played is in `tests/src/simulation.rs`.

use crate::Failure;
use crate::process::{Group, absolute, cargo, run as run_to_end, target_folder};
use clap::Args;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What to play.
#[derive(Args)]
pub struct Options {
    /// Providers
    #[arg(long, default_value_t = 1_000)]
    providers: u32,
    /// Clients
    #[arg(long, default_value_t = 10_000)]
    clients: u32,
    /// Questions of all clients together
    #[arg(long, default_value_t = 20_000)]
    requests: u32,
    /// Seed of all chance
    #[arg(long, default_value_t = 7)]
    seed: u32,
    /// Write the outcome as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Plays it.
///
/// # Errors
/// When the build fails or a number is zero.
pub fn run(options: &Options) -> Result<(), Failure> {
    let numbers = [options.providers, options.clients, options.requests, options.seed];
    if numbers[..3].contains(&0) {
        return Err("--providers, --clients and --requests must be at least 1".into());
    }
    let mut build = cargo();
    build.args(["build", "--release", "--package", "privacyai-tests", "--example", "simulate"]);
    run_to_end(&mut build, "building the simulation", "The compiler's message above says where.")?;
    let mut program = Command::new(target_folder()?.join("release/examples/simulate"));
    program.args(numbers.map(|number| number.to_string())).stdout(Stdio::piped());
    let mut group = Group::start(&mut program, "the simulation")?;
    let mut last = String::new();
    if let Some(stdout) = group.stdout() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // The last line is the report; those before it are for people.
            if !line.starts_with('{') {
                println!("{line}");
            }
            last = line;
        }
    }
    group.wait()?;
    if let Some(file) = &options.report {
        std::fs::write(absolute(file)?, last + "\n").map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}
