//! What the operator set: command line over environment over file over the embedded default. Every error names the
//! place and says what to do about it.

mod backends;
mod chain;
mod check;
mod environment;
mod file;
mod models;

pub use chain::Chain;
pub use environment::{DEFAULT_PROVIDER_ID, Environment, MAX_PROVIDER_ID_BYTES, MAX_PROVIDER_NAME_BYTES, Mode};

use crate::inference::openai::Timeouts;
use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

/// A configuration is a page or two; more is not one.
const MAX_FILE_BYTES: u64 = 256 * 1024;
/// Listening port of the plain transport in network mode when the file names none.
pub const DEFAULT_TCP_PORT: u16 = 26_400;
/// Listening port of the WebSocket transport in network mode when the file names none.
pub const DEFAULT_WS_PORT: u16 = 26_401;
/// The catalogue's model that a worker without configuration runs.
pub const DEFAULT_MODEL: &str = "smollm2";
/// Context of the embedded default, in tokens: enough for a demo, small enough for its cache.
const DEFAULT_CONTEXT: u32 = 2_048;
/// Questions a minute when the file names no number: ten a second are more than most machines answer, and few enough
/// that a flood leaves a machine with a large queue time for the others.
pub const DEFAULT_REQUESTS_PER_MINUTE: u32 = 600;
/// Longest answer of the embedded default, in tokens.
const DEFAULT_OUTPUT: u32 = 512;

/// Everything the worker runs by, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where it was read, none for the embedded default.
    pub source: Option<PathBuf>,
    /// PROVIDER_ID: state folder and announced handle.
    pub provider_id: String,
    /// PROVIDER_NAME, shown to users.
    pub provider_name: String,
    /// Which market.
    pub mode: Mode,
    /// A network file's path or an invite; none takes the shipped network file.
    pub network: Option<String>,
    /// Where to listen.
    pub listen: Listen,
    /// Where dashboard and metrics listen, on this computer alone; port 0 takes a free one.
    pub metrics: SocketAddr,
    /// Questions taken a minute for each hour's key, 0 for no limit.
    pub requests_per_minute: u32,
    /// What runs models.
    pub backends: Vec<Backend>,
    /// What is offered.
    pub models: Vec<Model>,
    /// Of `worker chain`.
    pub chain: Chain,
    /// What the operator should know, one line each.
    pub notices: Vec<String>,
}

/// Addresses of the Waku node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Both listeners bind it.
    pub ip: IpAddr,
    /// The plain transport's port.
    pub tcp: Port,
    /// The WebSocket transport's port.
    pub ws: Port,
    /// Multiaddrs under which the world reaches this node.
    pub external: Vec<String>,
}

/// A listening port and what to do when it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Any free one.
    Free,
    /// This one or the next free one after it.
    From(u16),
    /// This one: taken is an error.
    Exactly(u16),
}

/// What runs models.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// The operator's name for it.
    pub name: String,
    /// What it is.
    pub kind: BackendKind,
    /// Jobs at once; none finds out.
    pub max_concurrency: Option<u32>,
}

/// How a backend is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum BackendKind {
    /// In this process.
    Embedded {
        /// What to load.
        weights: Weights,
        /// How to hold it.
        quant: Quant,
        /// Threads of the engine.
        threads: usize,
    },
    /// Any OpenAI-compatible server.
    OpenAi {
        /// Which one, where the operator says so.
        server: Server,
        /// Base, such as `http://127.0.0.1:8000/v1`.
        url: String,
        /// File of the API key, beside the configuration or in `$CREDENTIALS_DIRECTORY`.
        api_key_file: Option<PathBuf>,
        /// Its patience.
        timeouts: Timeouts,
    },
}

/// Which program an OpenAI-compatible server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Whatever it turns out to be.
    Any,
    /// Ollama.
    Ollama,
}

/// Which weights an embedded backend loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weights {
    /// One of the catalogue, fetched by `worker model pull`.
    Catalogue(String),
    /// The operator's own GGUF file.
    Path(PathBuf),
}

/// How an embedded backend holds its weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quant {
    /// 16-bit floats: fastest here.
    #[default]
    F16,
    /// 8-bit blocks: half the memory.
    Q8_0,
    /// As in the file.
    Keep,
}

/// One offered model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// As announced.
    pub id: String,
    /// Indices into [`Config::backends`], preferred first.
    pub backends: Vec<usize>,
    /// The backend's own id for it.
    pub upstream_id: String,
    /// Context in tokens.
    pub context_length: u32,
    /// Longest answer in tokens.
    pub max_output_tokens: u32,
    /// Jobs at once; none takes the sum of its backends'.
    pub max_concurrency: Option<u32>,
    /// Jobs that may wait; none takes twice the concurrency.
    pub queue: Option<u32>,
    /// `tokenizer.json` to count with.
    pub tokenizer: Option<PathBuf>,
    /// System prompt and sampling by name; none for models that bring their own.
    pub preset: Option<String>,
    /// bit 0 tools, 1 vision, 2 continue, 3 logprobs.
    pub capabilities: u32,
    /// Base units of the token per 10^6 prompt tokens.
    pub price_in: u128,
    /// Base units of the token per 10^6 completion tokens.
    pub price_out: u128,
}

/// What the command line says; it stands above everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--network`
    pub network: Option<String>,
}

impl Config {
    /// Reads and checks everything that is set. `state_base` is the folder that holds the state folders: a worker's own
    /// configuration lies in its state folder as `worker.toml`, unless `--config` names another file.
    ///
    /// # Errors
    /// The first thing that is wrong, with file, line and what to do.
    pub fn load(flags: &Flags, environment: &Environment, state_base: &Path) -> Result<Self, ConfigError> {
        let path = match &flags.config {
            Some(path) => Some(path.clone()),
            None => {
                let id = environment.provider_id.as_deref().unwrap_or(DEFAULT_PROVIDER_ID);
                Some(state_base.join(id).join(FILE_NAME)).filter(|path| path.exists())
            }
        };
        let text = path.as_deref().map(read).transpose()?;
        check::check(path.as_deref(), text.as_deref().unwrap_or(""), flags, environment)
    }
}

impl Config {
    /// Threads of the embedded engine, none when no backend is embedded. They are the process's, so the largest wish
    /// counts.
    pub fn embedded_threads(&self) -> Option<usize> {
        self.backends
            .iter()
            .filter_map(|backend| match backend.kind {
                BackendKind::Embedded { threads, .. } => Some(threads),
                BackendKind::OpenAi { .. } => None,
            })
            .max()
    }

    /// What is set, for `worker check-config`.
    pub fn summary(&self) -> String {
        let source = self.source.as_deref().map_or("no file: embedded default".into(), Path::to_string_lossy);
        let mut lines = vec![
            format!("configuration is good ({source})"),
            format!("provider {} ({:?}), {} mode", self.provider_id, self.provider_name, self.mode.as_str()),
        ];
        lines.push(match self.requests_per_minute {
            0 => "admits everybody, without a limit".into(),
            limit => format!("admits everybody, {limit} questions a minute at most"),
        });
        for model in &self.models {
            let names: Vec<&str> = model
                .backends
                .iter()
                .filter_map(|index| self.backends.get(*index))
                .map(|backend| backend.name.as_str())
                .collect();
            let preset = model.preset.as_deref().map_or_else(String::new, |preset| format!(", preset {preset}"));
            lines.push(format!("model {} on {}, context {}{preset}", model.id, names.join(", "), model.context_length));
        }
        lines.extend(self.notices.iter().map(|notice| format!("note: {notice}")));
        lines.join("\n")
    }
}

/// The configuration's name inside the state folder.
pub const FILE_NAME: &str = "worker.toml";

fn read(path: &Path) -> Result<String, ConfigError> {
    use io::Read as _;
    let unreadable = |error: io::Error| ConfigError {
        place: Place::File(path.to_owned(), None),
        what: format!("cannot be read: {error}"),
        fix: "name an existing file with --config, or leave the flag out for the embedded default".to_owned(),
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(ConfigError {
            place: Place::File(path.to_owned(), None),
            what: format!("is larger than {MAX_FILE_BYTES} bytes"),
            fix: "this is no worker configuration; name another file".to_owned(),
        });
    }
    Ok(text)
}

/// What is wrong with what the operator set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    place: Place,
    what: String,
    fix: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Environment,
    CommandLine,
    /// A file and the line in it, counted from 1.
    File(PathBuf, Option<usize>),
}

impl ConfigError {
    pub(crate) fn environment(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { place: Place::Environment, what: what.into(), fix: fix.into() }
    }

    pub(crate) fn command_line(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { place: Place::CommandLine, what: what.into(), fix: fix.into() }
    }

    /// The line of the file that is wrong, counted from 1.
    pub fn line(&self) -> Option<usize> {
        match &self.place {
            Place::File(_, line) => *line,
            Place::Environment | Place::CommandLine => None,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Environment => f.write_str("environment: ")?,
            Place::CommandLine => f.write_str("command line: ")?,
            Place::File(path, Some(line)) => write!(f, "{}:{line}: ", path.display())?,
            Place::File(path, None) => write!(f, "{}: ", path.display())?,
        }
        write!(f, "{}\n  to fix: {}", self.what, self.fix)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named_and_none_at_all_is_the_default() {
        let flags = Flags { config: Some("/nonexistent/worker.toml".into()), network: None };
        let error = Config::load(&flags, &Environment::default(), Path::new("/nonexistent")).unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/worker.toml: cannot be read"), "{error}");

        let config = Config::load(&Flags::default(), &Environment::default(), Path::new("/nonexistent")).unwrap();
        assert_eq!(config.source, None);
        assert_eq!(config.provider_id, "provider");
        assert_eq!(config.models.len(), 1);
    }
}
