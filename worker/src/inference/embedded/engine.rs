//! One thread that owns a model and steps its live answers in turn: one chunk of a prompt or one token at a time, so
//! that a cancel takes effect within a step and no long prompt blocks the others.

use super::prompt::Prompter;
use super::text::{Decoder, StopFilter};
use crate::inference::{Failure, Source, Token, Usage, code};
use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};
use candle_transformers::models::quantized_llama::ModelWeights;
use candle_transformers::utils::apply_repeat_penalty;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Tokens of a prompt in one step: 32 keep a cancel within a quarter of a second on a slow core.
const PREFILL_CHUNK: usize = 32;
/// Answers that share the thread; more only make each slower.
pub const MAX_SEQUENCES: usize = 4;
/// Small models repeat themselves without it. Counts generated tokens only, so that quoting the question stays free.
const REPEAT_PENALTY: f32 = 1.05;
/// Sorting all 49,152 tokens of the vocabulary costs more than the model's own step.
const TOP_K: usize = 40;
/// When every live answer waits for its reader.
const BLOCKED_PAUSE: Duration = Duration::from_millis(5);

/// One answer to compute.
pub struct Start {
    /// Token ids, fewer than the context.
    pub prompt: Vec<u32>,
    /// Most tokens of the answer; prompt and answer fit in the context.
    pub max_tokens: u32,
    /// 0 takes the likeliest token.
    pub temperature: f64,
    /// See `TOP_K`.
    pub top_p: f64,
    /// Of the sampler.
    pub seed: u64,
    /// Stop strings.
    pub stop: Vec<String>,
    /// Where tokens go.
    pub out: mpsc::Sender<Token>,
    /// Looked at before each step.
    pub cancel: CancellationToken,
    /// How it ended and what it cost.
    pub done: oneshot::Sender<End>,
}

/// How an answer ended, and its exact count: delivered text is payable whatever the end.
pub type End = (Result<String, Failure>, Usage);

/// A prompt's beginning that many conversations share, already computed. Never holds text of a user.
pub struct Snapshot {
    ids: Vec<u32>,
    weights: ModelWeights,
}

impl Snapshot {
    /// Computes the state after `ids`.
    ///
    /// # Errors
    /// When the model cannot be run.
    pub fn take(pristine: &ModelWeights, ids: Vec<u32>) -> candle_core::Result<Self> {
        let mut weights = pristine.clone();
        let mut at = 0;
        for chunk in ids.chunks(PREFILL_CHUNK) {
            forward(&mut weights, chunk, at)?;
            at += chunk.len();
        }
        Ok(Self { ids, weights })
    }
}

/// The thread's state.
pub struct Engine {
    /// Cloned for each answer: its tensors are shared, and candle's masks and caches never outlive an answer.
    pub pristine: ModelWeights,
    /// Of the preset's system prompt.
    pub snapshot: Option<Snapshot>,
    /// For decoding.
    pub prompter: Arc<Prompter>,
    /// New answers; the thread ends when all senders are gone and the last answer is done.
    pub starts: Receiver<Start>,
}

impl Engine {
    /// Runs until nobody can start an answer any more.
    pub fn run(self) {
        let mut live: VecDeque<Sequence> = VecDeque::new();
        let mut open = true;
        loop {
            while open && live.len() < MAX_SEQUENCES {
                let blocked = !live.is_empty() && live.iter().all(|sequence| sequence.waiting.is_some());
                let start = if live.is_empty() {
                    self.starts.recv().map_err(|_| TryRecvError::Disconnected)
                } else if blocked {
                    self.starts.recv_timeout(BLOCKED_PAUSE).map_err(|error| match error {
                        RecvTimeoutError::Timeout => TryRecvError::Empty,
                        RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
                    })
                } else {
                    self.starts.try_recv()
                };
                match start {
                    Ok(start) => live.push_back(self.begin(start)),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => open = false,
                }
            }
            let Some(mut sequence) = live.pop_front() else { return };
            let step = catch_unwind(AssertUnwindSafe(|| sequence.step(&self.prompter)));
            match step.unwrap_or(Err(Failure::new(code::INTERNAL))) {
                Ok(None) => live.push_back(sequence),
                Ok(Some(reason)) => sequence.end(Ok(reason)),
                Err(failure) => sequence.end(Err(failure)),
            }
            if live.len() == MAX_SEQUENCES && live.iter().all(|sequence| sequence.waiting.is_some()) {
                std::thread::sleep(BLOCKED_PAUSE);
            }
        }
    }

    fn begin(&self, start: Start) -> Sequence {
        let known = self
            .snapshot
            .as_ref()
            .filter(|known| start.prompt.len() > known.ids.len() && start.prompt.starts_with(&known.ids));
        let (weights, fed) = match known {
            Some(known) => (known.weights.clone(), known.ids.len()),
            None => (self.pristine.clone(), 0),
        };
        let sampling = if start.temperature < 1e-4 {
            Sampling::ArgMax
        } else {
            Sampling::TopKThenTopP { k: TOP_K, p: start.top_p, temperature: start.temperature }
        };
        Sequence {
            weights,
            fed,
            sampler: LogitsProcessor::from_sampling(start.seed, sampling),
            generated: Vec::new(),
            decoder: Decoder::default(),
            stops: StopFilter::new(start.stop),
            waiting: None,
            ending: None,
            prompt: start.prompt,
            max_tokens: start.max_tokens.max(1) as usize,
            out: start.out,
            cancel: start.cancel,
            done: start.done,
        }
    }
}

struct Sequence {
    weights: ModelWeights,
    prompt: Vec<u32>,
    /// Tokens of prompt and answer that the model has seen.
    fed: usize,
    max_tokens: usize,
    sampler: LogitsProcessor,
    generated: Vec<u32>,
    decoder: Decoder,
    stops: StopFilter,
    /// A token that its reader had no room for.
    waiting: Option<Token>,
    /// The finish reason, when only `waiting` is left to deliver.
    ending: Option<&'static str>,
    out: mpsc::Sender<Token>,
    cancel: CancellationToken,
    done: oneshot::Sender<End>,
}

impl Sequence {
    /// One step; a finish reason when it was the last.
    fn step(&mut self, prompter: &Prompter) -> Result<Option<String>, Failure> {
        if self.cancel.is_cancelled() || self.out.is_closed() {
            return Err(Failure::new(code::CANCELLED));
        }
        if let Some(token) = self.waiting.take() {
            self.deliver(token);
            if self.waiting.is_some() {
                return Ok(None);
            }
        }
        if let Some(reason) = self.ending {
            return Ok(Some(reason.to_owned()));
        }
        let internal = |_| Failure::new(code::INTERNAL);
        let logits = match self.prompt.get(self.fed..) {
            Some(rest) if !rest.is_empty() => {
                let chunk: Vec<u32> = rest.iter().take(PREFILL_CHUNK).copied().collect();
                let logits = forward(&mut self.weights, &chunk, self.fed).map_err(internal)?;
                self.fed += chunk.len();
                if self.fed < self.prompt.len() {
                    return Ok(None);
                }
                logits
            }
            _ => {
                let last = self.generated.last().copied().ok_or(Failure::new(code::INTERNAL))?;
                let logits = forward(&mut self.weights, &[last], self.fed).map_err(internal)?;
                self.fed += 1;
                logits
            }
        };
        let id = self.sample(&logits).map_err(internal)?;
        if prompter.ends_with(id) {
            let held = self.stops.finish();
            return self.finish(held, "stop");
        }
        self.generated.push(id);
        let piece = self.decoder.push(prompter.tokenizer(), id).map_err(|_| Failure::new(code::INTERNAL))?;
        let (mut text, stopped) = self.stops.push(&piece);
        if stopped {
            return self.finish(text, "stop");
        }
        if self.generated.len() >= self.max_tokens {
            text.push_str(&self.stops.finish());
            return self.finish(text, "length");
        }
        self.deliver(Token::Text(text));
        Ok(None)
    }

    fn sample(&mut self, logits: &Tensor) -> candle_core::Result<u32> {
        let logits = apply_repeat_penalty(&logits.squeeze(0)?, REPEAT_PENALTY, &self.generated)?;
        self.sampler.sample(&logits)
    }

    fn finish(&mut self, text: String, reason: &'static str) -> Result<Option<String>, Failure> {
        self.ending = Some(reason);
        self.deliver(Token::Text(text));
        Ok(None)
    }

    /// Hands a token over, or keeps it until its reader has room: no other token is computed meanwhile.
    fn deliver(&mut self, token: Token) {
        if matches!(&token, Token::Text(text) if text.is_empty()) {
            return;
        }
        if let Err(mpsc::error::TrySendError::Full(token)) = self.out.try_send(token) {
            self.waiting = Some(token);
        }
    }

    fn usage(&self) -> Usage {
        Usage { prompt: self.prompt.len() as u64, completion: self.generated.len() as u64, source: Source::Backend }
    }

    fn end(self, end: Result<String, Failure>) {
        let usage = self.usage();
        // Nobody listens any more when the asker's future was dropped.
        let _ = self.done.send((end, usage));
    }
}

fn forward(weights: &mut ModelWeights, ids: &[u32], at: usize) -> candle_core::Result<Tensor> {
    let input = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
    weights.forward(&input, at)
}
