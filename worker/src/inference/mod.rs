//! Language models behind one trait: an OpenAI-compatible server or the embedded engine, and the [`Scheduler`] that
//! runs the core's jobs on them. Nothing here knows of topics, envelopes or money, and no text of a user is logged.

#[cfg(feature = "embedded")]
pub mod catalogue;
#[cfg(feature = "embedded")]
pub mod embedded;
mod lane;
pub mod openai;
pub mod preset;
mod request;
mod scheduler;

pub use request::{ChatRequest, Message, Part, Role};
pub use scheduler::{Limits, Model, ModelLoad, Route, Scheduler};

use async_trait::async_trait;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Tokens that may wait between a backend and the serve loop, per job. A full channel stops reading upstream, so a slow
/// consumer costs this much memory and no more.
pub const TOKEN_BUFFER: usize = 64;

/// Error codes of protocol section 5.8 that a backend or the scheduler gives.
pub mod code {
    /// The request is malformed.
    pub const BAD_REQUEST: u16 = 1;
    /// No backend serves this model now.
    pub const MODEL_UNAVAILABLE: u16 = 4;
    /// Too much to do; `retry_after` says when to come back.
    pub const OVERLOADED: u16 = 5;
    /// The prompt does not fit.
    pub const TOO_LARGE: u16 = 8;
    /// This backend does not do what was asked (remote images, tools of an embedded model).
    pub const REFUSED: u16 = 9;
    /// The backend failed or its answer was cut off.
    pub const INTERNAL: u16 = 10;
    /// The client cancelled or its deadline passed.
    pub const CANCELLED: u16 = 11;
}

/// Part of an answer, in order. What ends the answer is the return value of [`Backend::infer`].
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// A piece of the answer's text.
    Text(String),
    /// A JSON object: `{"reasoning_content":".."}` or `{"tool_calls":[..]}`.
    Json(Vec<u8>),
    /// What it cost, at most once, after the last text.
    Usage(Usage),
}

/// Token counts of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt, 0 when unknown.
    pub prompt: u64,
    /// Tokens of the answer.
    pub completion: u64,
    /// Who counted.
    pub source: Source,
}

/// Who counted the tokens (protocol record 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The backend.
    #[default]
    Backend = 0,
    /// The worker, with the model's tokenizer.
    Counted = 1,
    /// The worker, from the length of the text.
    Estimated = 2,
}

/// Why there is no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("inference failed with code {code}")]
pub struct Failure {
    /// One of [`code`].
    pub code: u16,
    /// Seconds until a retry may work, 0 unknown.
    pub retry_after: u16,
}

impl Failure {
    /// A failure without advice when to retry.
    pub const fn new(code: u16) -> Self {
        Self { code, retry_after: 0 }
    }
}

/// Whether a backend answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Up,
    /// It does not.
    Down,
}

/// Something that runs models.
#[async_trait]
pub trait Backend: Send + Sync {
    /// The ids by which it knows its models; empty when it cannot say.
    async fn models(&self) -> Result<Vec<String>, Failure>;

    /// Whether it answers now; never longer than its connect timeout and a few seconds.
    async fn health(&self) -> Health;

    /// How long it may go on computing after a cancel; its slot stays taken as long, so that it is not over-filled.
    fn lingers(&self) -> Duration {
        Duration::ZERO
    }

    /// Answers `request` into `out` until the end, and says how it ended: an OpenAI finish reason (`stop`, `length`,
    /// `tool_calls`, `content_filter`), or why it failed. Text already in `out` stays delivered and payable either way.
    /// After `cancel` it returns [`code::CANCELLED`] within one step; dropping the future has the same effect.
    async fn infer(
        &self,
        request: ChatRequest,
        out: mpsc::Sender<Token>,
        cancel: CancellationToken,
    ) -> Result<String, Failure>;
}
