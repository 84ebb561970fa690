//! What the worker says about itself, on stderr: never prompts, answers, keys or topics, at any level.

use std::{io, panic};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Levels without RUST_LOG: libp2p tells every dropped connection at `warn`, which is daily life for a node.
const DEFAULT_FILTER: &str = "info,libp2p=error,sqlx=warn";

/// Starts logging for the life of the process. `RUST_LOG` overrides the level.
///
/// A panic is logged by its place alone: its message may quote what it was working on.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // A second start in one process, as in a test, keeps the first.
    let _ = match format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |place| format!("{}:{}", place.file(), place.line()));
        tracing::error!(place, "a part of the worker panicked");
    }));
}
