//! The demo: two workers, one browser, two answers.

use crate::process::{Group, command};
use crate::{Failure, build, npm, root, say, setup};
use clap::Args;
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How to show it.
#[derive(Args)]
pub struct Options {
    /// Write what was measured as JSON, and do not stay open
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Where the screenshots go
    #[arg(long, value_name = "FOLDER", default_value = "out/screenshots")]
    screenshots: PathBuf,
}

/// Two providers whose ids pick different presets of the demo model: plain prose, and numbered lists.
const PROVIDERS: [(&str, &str); 2] = [("kestrel", "Kestrel"), ("brightwater", "Brightwater")];
const QUESTIONS: [&str; 2] = ["What is the capital of France?", "Give me three tips for sleeping better."];

/// Runs the demo.
///
/// # Errors
/// When something is missing that it may not install, a build fails or an answer does not come.
pub fn run(options: &Options) -> Result<(), Failure> {
    say("Looking for what the demo needs");
    npm::install()?;
    let chromium = setup::chromium()?;
    let worker = setup::worker()?;
    setup::model(&worker)?;
    let dist = build::pack(&build::Options::default())?;

    let folder = std::env::temp_dir().join(format!("privacyai-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let shown = show(options, &worker, &chromium, &dist, &folder);
    let _ = std::fs::remove_dir_all(&folder);
    shown
}

fn show(options: &Options, worker: &Path, chromium: &Path, dist: &Path, folder: &Path) -> Result<(), Failure> {
    say("Starting two providers");
    let mut workers = Vec::new();
    for (handle, name) in PROVIDERS {
        workers.push(Provider::start(worker, folder, handle, name)?);
    }
    for provider in &mut workers {
        provider.wait_ready()?;
    }
    let invite = crate::process::output(
        command(worker).arg("invite").env("XDG_STATE_HOME", folder).env("PROVIDER_ID", PROVIDERS[0].0),
        "worker invite",
        "The worker's message above says why.",
    )?;
    let headed = options.report.is_none() && std::io::stdin().is_terminal() && std::env::var_os("DISPLAY").is_some();
    let task = json!({
        "invite": invite.trim(),
        "handles": PROVIDERS.map(|(handle, _)| handle),
        "questions": QUESTIONS,
        "screenshots": absolute(&options.screenshots)?,
        "report": options.report.as_deref().map(absolute).transpose()?,
        "headed": headed,
    });
    say("Opening the browser");
    let mut node = command("node");
    node.arg(root().join("tests/browser/demo.mjs")).arg(task.to_string());
    node.env("CHROMIUM", chromium).env("DIST", dist).stdin(Stdio::null());
    Group::start(&mut node, "the browser part of the demo")?.wait()?;
    say(&format!("Screenshots are in {}", options.screenshots.display()));
    Ok(())
}

/// Resolves a path that the user gave against the folder the command was typed in.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A running worker.
pub struct Provider {
    group: Group,
    ready: PathBuf,
    log: PathBuf,
    /// PROVIDER_ID.
    pub handle: String,
}

impl Provider {
    /// Starts one in local mode, with its state under `folder`.
    ///
    /// # Errors
    /// When it cannot start.
    pub fn start(worker: &Path, folder: &Path, handle: &str, name: &str) -> Result<Self, Failure> {
        let ready = folder.join(format!("{handle}.ready.json"));
        let log = folder.join(format!("{handle}.log"));
        let file = std::fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let copy = file.try_clone().map_err(|error| format!("{}: {error}", log.display()))?;
        let mut run = command(worker);
        run.args(["run", "--ready-file"]).arg(&ready);
        run.env("XDG_STATE_HOME", folder).env("PROVIDER_ID", handle).env("PROVIDER_NAME", name);
        run.stdin(Stdio::null()).stdout(copy).stderr(file);
        let group = Group::start(&mut run, &format!("worker {handle}"))?;
        Ok(Self { group, ready, log, handle: handle.to_owned() })
    }

    /// Waits until it announces itself and gives its ready file.
    ///
    /// # Errors
    /// When it ends or is not ready within two minutes.
    pub fn wait_ready(&mut self) -> Result<Value, Failure> {
        let until = Instant::now() + Duration::from_secs(120);
        while Instant::now() < until {
            if let Some(status) = self.group.ended() {
                return Err(format!("worker {} ended ({status}):\n{}", self.handle, self.last_words()));
            }
            if let Some(value) = std::fs::read(&self.ready).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
                return Ok(value);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("worker {} is not ready after two minutes:\n{}", self.handle, self.last_words()))
    }

    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}
