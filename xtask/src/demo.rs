//! The demo: two workers, one browser, two answers. What is driven is in `tests/browser/demo.mjs`.

use crate::process::{Group, absolute};
use crate::{Failure, build, npm, say, setup};
use clap::Args;
use serde_json::json;
use std::io::IsTerminal;
use std::path::PathBuf;

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
const PROVIDERS: [(&str, &str); 2] = [("brightwater", "Brightwater"), ("kestrel", "Kestrel")];
const QUESTIONS: [&str; 2] = ["Tell me about rain.", "Give me three tips for sleeping better."];

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
    let headed = options.report.is_none() && std::io::stdin().is_terminal() && std::env::var_os("DISPLAY").is_some();
    let questions: Vec<_> =
        PROVIDERS.iter().zip(QUESTIONS).map(|((handle, _), text)| json!({ "handle": handle, "text": text })).collect();
    let task = json!({
        "providers": PROVIDERS.map(|(handle, name)| json!({ "handle": handle, "name": name })),
        "questions": questions,
        "screenshots": absolute(&options.screenshots)?,
        "report": options.report.as_deref().map(absolute).transpose()?,
        "headed": headed,
    });
    let mut node = npm::node("tests/browser/demo.mjs");
    node.arg(task.to_string()).env("CHROMIUM", chromium).env("DIST", dist).env("WORKER", worker);
    Group::start(&mut node, "the demo")?.wait()?;
    say(&format!("Screenshots are in {}", absolute(&options.screenshots)?.display()));
    Ok(())
}
