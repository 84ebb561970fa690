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
    /// Fail when a figure misses what is promised
    #[arg(long)]
    check: bool,
}

impl Options {
    /// The market that the promises speak of.
    pub fn promised() -> Self {
        Self { providers: 1_000, clients: 10_000, requests: 20_000, seed: 7, report: None, check: true }
    }
}

/// Plays it.
///
/// # Errors
/// When the build fails or a number is zero, and where it is to be checked when a figure is missed.
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
        std::fs::write(absolute(file)?, last.clone() + "\n").map_err(|error| format!("{}: {error}", file.display()))?;
    }
    if !options.check {
        return Ok(());
    }
    let report = serde_json::from_str(&last).map_err(|error| format!("the simulation's report: {error}"))?;
    match missed(&report).as_slice() {
        [] => Ok(()),
        missed => Err(format!("missed: {}", missed.join(", "))),
    }
}

/// Which figures of a report are not as promised.
fn missed(report: &serde_json::Value) -> Vec<&'static str> {
    let figure = |path: &str| report.pointer(path).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);
    let wait = figure("/at_70_percent/wait_p95_ms");
    [
        ("misrouted", figure("/misrouted") == 0.0),
        ("over_limit", figure("/over_limit") == 0.0),
        ("over_quota", figure("/over_quota") == 0.0),
        ("answered_ratio", figure("/answered_ratio") >= 0.999),
        ("waits as of a dispatcher", wait <= 2.0 * figure("/at_70_percent/dispatcher_p95_ms")),
        ("waits of chance", wait <= 0.5 * figure("/at_70_percent/random_p95_ms")),
        ("memory", figure("/peak_mib") <= 4_096.0),
        ("time", figure("/seconds") <= 600.0),
    ]
    .into_iter()
    .filter(|(_, kept)| !kept)
    .map(|(name, _)| name)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_is_missed_or_not_there_is_named() {
        let good = serde_json::json!({
            "misrouted": 0, "over_limit": 0, "over_quota": 0, "answered_ratio": 1.0, "peak_mib": 200, "seconds": 9.5,
            "at_70_percent": { "wait_p95_ms": 150, "dispatcher_p95_ms": 144, "random_p95_ms": 60_000 },
        });
        assert_eq!(missed(&good), [] as [&str; 0]);
        let mut bad = good.clone();
        bad["misrouted"] = 1.into();
        bad["at_70_percent"]["wait_p95_ms"] = 300.into();
        bad.as_object_mut().unwrap().remove("peak_mib");
        assert_eq!(missed(&bad), ["misrouted", "waits as of a dispatcher", "memory"]);
    }
}
