//! The embedded engine: a small model on the provider's own processor, no server needed. Runs GGUF files of the
//! architecture `llama`; all other architectures are refused, because candle runs some of them wrongly.

mod engine;
mod gguf;
mod prompt;
mod text;

pub use engine::MAX_SEQUENCES;
pub use gguf::{Quant, check_header, convert};

use super::{Backend, ChatRequest, Failure, Health, Message, Role, Token, code};
use async_trait::async_trait;
use candle_core::Device;
use candle_core::quantized::gguf_file::Content;
use candle_transformers::models::quantized_llama::{MAX_SEQ_LEN, ModelWeights};
use engine::{Engine, Snapshot, Start};
use prompt::Prompter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Context without a setting: prompt and answer together, in tokens. The memory of an answer grows with it (46 KB a
/// token for SmolLM2).
pub const DEFAULT_CONTEXT: u32 = 2_048;
/// No token of a real vocabulary stands for more bytes, so a longer prompt is too large before it is tokenised.
const MAX_BYTES_PER_TOKEN: usize = 32;

/// Why a model cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its file.
    #[error("cannot read the model's file: {0}")]
    Io(#[from] std::io::Error),
    /// Its contents.
    #[error("the model cannot be run: {0}")]
    Engine(#[from] candle_core::Error),
    /// Its tokenizer.
    #[error("the model's tokenizer fails: {0}")]
    Encoding(#[from] tokenizers::Error),
    /// Its chat template.
    #[error("the model's chat template fails: {0}")]
    Template(#[from] minijinja::Error),
    /// It is a base model.
    #[error("the file has no chat template: it is a base model, take one tuned for instructions")]
    NoTemplate,
    /// Its architecture.
    #[error(
        "models of the architecture {0:?} are not supported, only \"llama\"; run them in a server and use kind = \"openai\""
    )]
    Architecture(String),
    /// Its pre-tokenizer.
    #[error("the pre-tokenizer {0:?} is not supported; run the model in a server and use kind = \"openai\"")]
    Tokenizer(String),
    /// Some part of it.
    #[error("the model's file is malformed or out of bounds: {0}")]
    Unusable(&'static str),
}

/// What to load.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The GGUF file.
    pub path: PathBuf,
    /// Context in tokens; capped by the file and by the engine's 4,096.
    pub context: u32,
    /// Computed once and shared by all conversations that begin with it: the preset's system prompt.
    pub system: Option<String>,
}

/// A loaded model.
pub struct Embedded {
    prompter: Arc<Prompter>,
    starts: Sender<Start>,
    context: u32,
}

impl Embedded {
    /// Loads a model and starts its thread. Takes about a second of processor time; call it where blocking is allowed.
    ///
    /// # Errors
    /// When the file is missing, malformed, or of a kind that this engine does not run.
    pub fn load(settings: &Settings) -> Result<Self, LoadError> {
        // candle checks less than its files can hold; a damaged one must not end the program.
        catch_unwind(AssertUnwindSafe(|| Self::load_unguarded(settings)))
            .unwrap_or(Err(LoadError::Unusable("the engine cannot read it")))
    }

    fn load_unguarded(settings: &Settings) -> Result<Self, LoadError> {
        let (content, mut file) = gguf::open(&settings.path)?;
        let shape = Shape::read(&content)?;
        let context = settings.context.min(shape.context).min(u32::try_from(MAX_SEQ_LEN).unwrap_or(u32::MAX)).max(2);
        let prompter = Arc::new(Prompter::load(&content)?);
        let pristine = ModelWeights::from_gguf(content, &mut file, &Device::Cpu)?;
        let snapshot = match &settings.system {
            Some(system) => {
                let ids = prompter.encode_beginning(&[Message::text(Role::System, system.as_str())])?;
                if ids.is_empty() || ids.len() >= context as usize / 2 {
                    return Err(LoadError::Unusable("the preset's system prompt does not fit its context"));
                }
                Some(Snapshot::take(&pristine, ids)?)
            }
            None => None,
        };
        let (starts, received) = std::sync::mpsc::channel();
        let engine = Engine { pristine, snapshot, prompter: prompter.clone(), starts: received };
        std::thread::Builder::new().name("inference".to_owned()).spawn(move || engine.run())?;
        Ok(Self { prompter, starts, context })
    }

    /// Context in tokens.
    pub fn context(&self) -> u32 {
        self.context
    }
}

#[async_trait]
impl Backend for Embedded {
    async fn models(&self) -> Result<Vec<String>, Failure> {
        Ok(Vec::new())
    }

    async fn health(&self) -> Health {
        Health::Up
    }

    async fn infer(
        &self,
        request: ChatRequest,
        out: mpsc::Sender<Token>,
        cancel: CancellationToken,
    ) -> Result<String, Failure> {
        let unsupported = ["tools", "response_format", "logprobs", "top_logprobs"];
        let has_images = request.messages.iter().flat_map(|m| &m.parts).any(|p| matches!(p, super::Part::Image(_)));
        let has_tools = request.messages.iter().any(|m| m.role == Role::Tool || m.tool_calls.is_some());
        if has_images || has_tools || unsupported.iter().any(|field| request.asks_for(field)) {
            return Err(Failure::new(code::REFUSED));
        }
        let bytes: usize = request.messages.iter().map(|m| m.joined_text().len()).sum();
        if bytes.saturating_add(request.prefix.len()) > self.context as usize * MAX_BYTES_PER_TOKEN {
            return Err(Failure::new(code::TOO_LARGE));
        }
        let mut prompt = self.prompter.encode(&request.messages).map_err(|_| Failure::new(code::BAD_REQUEST))?;
        prompt.extend(self.prompter.encode_prefix(&request.prefix).map_err(|_| Failure::new(code::BAD_REQUEST))?);
        let room = (self.context as usize).saturating_sub(prompt.len());
        if prompt.is_empty() || room == 0 {
            return Err(Failure::new(code::TOO_LARGE));
        }
        let seed = match request.seed {
            Some(seed) => seed.cast_unsigned(),
            None => getrandom::u64().map_err(|_| Failure::new(code::INTERNAL))?,
        };
        let (done, ended) = oneshot::channel();
        let start = Start {
            prompt,
            max_tokens: request.max_tokens.unwrap_or(u32::MAX).min(u32::try_from(room).unwrap_or(u32::MAX)),
            temperature: request.temperature.unwrap_or(0.2),
            top_p: request.top_p.unwrap_or(0.9),
            seed,
            stop: request.stop,
            out: out.clone(),
            cancel,
            done,
        };
        self.starts.send(start).map_err(|_| Failure::new(code::MODEL_UNAVAILABLE))?;
        let (end, usage) = ended.await.map_err(|_| Failure::new(code::INTERNAL))?;
        // An answer that ended before it began costs nothing.
        if end.is_ok() || usage.completion > 0 {
            // The reader may be gone; then nobody wants the count.
            let _ = out.send(Token::Usage(usage)).await;
        }
        end
    }
}

/// The numbers of a model that candle divides by and allocates from, checked before it sees them.
struct Shape {
    context: u32,
}

impl Shape {
    fn read(content: &Content) -> Result<Self, LoadError> {
        let number = |key: &str| content.metadata.get(key).and_then(|value| value.to_u64().ok());
        let architecture = content.metadata.get("general.architecture").and_then(|v| v.to_string().ok());
        match architecture.map(String::as_str) {
            Some("llama") => {}
            other => return Err(LoadError::Architecture(other.unwrap_or_default().to_owned())),
        }
        let between = |key: &str, most: u64| number(key).filter(|n| (1..=most).contains(n));
        let heads = between("llama.attention.head_count", 1_024);
        let kv_heads = between("llama.attention.head_count_kv", 1_024);
        let layers = between("llama.block_count", 512);
        let width = between("llama.embedding_length", 65_536);
        let rope = between("llama.rope.dimension_count", 65_536);
        let (Some(heads), Some(kv_heads), Some(_), Some(width), Some(rope)) = (heads, kv_heads, layers, width, rope)
        else {
            return Err(LoadError::Unusable("its numbers of heads and layers"));
        };
        if !heads.is_multiple_of(kv_heads) || !width.is_multiple_of(heads) || rope != width / heads {
            return Err(LoadError::Unusable("its numbers of heads and layers"));
        }
        if number("llama.expert_count").unwrap_or(0) > 256 {
            return Err(LoadError::Unusable("its number of experts"));
        }
        let context = number("llama.context_length").unwrap_or(u64::from(DEFAULT_CONTEXT));
        Ok(Self { context: u32::try_from(context).unwrap_or(u32::MAX) })
    }
}

/// Limits candle's threads, which it reads from the environment once. Call it first thing in `main`: it replaces the
/// process by itself with the environment set (`set_var` is unsafe once a thread runs), and returns at once when the
/// environment has it, set by us or by the operator.
///
/// # Errors
/// When the program's own file cannot be run again.
pub fn limit_threads(threads: usize) -> std::io::Result<()> {
    use std::os::unix::process::CommandExt;
    if std::env::var_os("CANDLE_NUM_THREADS").is_some() {
        return Ok(());
    }
    let threads = threads.max(1).to_string();
    let mut arguments = std::env::args_os();
    let mut command = std::process::Command::new(std::env::current_exe()?);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    Err(command
        .args(arguments)
        .env("CANDLE_NUM_THREADS", &threads)
        .env("RAYON_NUM_THREADS", &threads)
        // The pool spins this often before it sleeps; its default burns a core on a busy machine.
        .env("CANDLE_BARRIER_POOL_SPIN_LIMIT", "100")
        .exec())
}

/// The threads of an operator who sets none: all cores but one, which the network gets.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

/// Whether a path holds a sound GGUF header.
///
/// # Errors
/// As [`check_header`].
pub fn check_file(path: &Path) -> Result<(), LoadError> {
    gguf::open(path).map(drop)
}
