//! Trials of one model on one backend: what users will ask of it, asked once, each failure with its fix.

use super::{Grade, Report};
use crate::{
    config::Model,
    fleet::EMBEDDED_ENGINE,
    inference::{Backend, ChatRequest, Failure, Source, TOKEN_BUFFER, Token, Usage, code, openai::Program},
};
use privacyai::announcement::heartbeat::CONTINUES;
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

/// How long one trial answer may take: models are loaded on demand.
const ANSWER: Duration = Duration::from_secs(120);
/// How long a backend may go on after a cancel.
const IDLE: Duration = Duration::from_secs(3);
/// The longest prompt that is tried, in tokens: a longer one takes a small server minutes.
const LONGEST_PROMPT: u32 = 16_384;
/// Tokens of a prompt's frame: template, instructions, the trial's own words.
const FRAME: u32 = 96;
/// A question whose answer is long enough and always begins alike.
const COUNT: &str = "Count from one to ten in words.";
/// Characters by which a beginning is known again.
const BEGINNING: usize = 8;
/// The bit of [`Model::capabilities`] that promises tool calls.
const TOOLS: u32 = 1;

/// What is tried.
pub(super) struct Subject<'a> {
    /// Who answers.
    pub backend: &'a Arc<dyn Backend>,
    /// The operator's name for it.
    pub name: &'a str,
    /// The program behind it, as announced.
    pub engine: &'a str,
    /// Jobs that it is given at once.
    pub concurrency: u32,
    /// What is offered.
    pub model: &'a Model,
}

/// An answer as it came.
struct Said {
    text: String,
    events: Vec<Value>,
    pieces: u32,
    /// From the question to the first piece.
    first: Duration,
    /// From the question to the end.
    total: Duration,
    usage: Option<Usage>,
    end: Result<String, Failure>,
}

impl Subject<'_> {
    /// All trials; only the first when the model does not answer at all.
    pub(super) async fn check(&self, report: &mut Report) {
        let Some(said) = self.check_answer(report).await else { return };
        self.check_stop(report, &said.text).await;
        self.check_characters(report).await;
        self.check_cancel(report, said.first).await;
        if self.concurrency > 1 {
            self.check_parallel(report).await;
        }
        if self.model.capabilities & TOOLS != 0 {
            self.check_tools(report).await;
        }
        if self.model.capabilities & CONTINUES != 0 {
            self.check_continue(report, &said.text).await;
        }
        // The engine of this process refuses what is too long; others may cut it in silence.
        if self.engine != EMBEDDED_ENGINE {
            self.check_context(report).await;
        }
    }

    fn add(&self, report: &mut Report, what: &str, grade: Grade, found: impl Into<String>, fix: &str) {
        report.add(format!("backend {} model {} {what}", self.name, self.model.id), grade, found, fix);
    }

    /// Asks and listens to the end; none when that does not come in time.
    async fn ask(&self, request: Value) -> Option<Said> {
        self.ask_behind(request, "").await
    }

    /// The same of an answer that begins with `prefix` already.
    async fn ask_behind(&self, request: Value, prefix: &str) -> Option<Said> {
        let (out, mut tokens) = mpsc::channel(TOKEN_BUFFER);
        let mut said = Said {
            text: String::new(),
            events: Vec::new(),
            pieces: 0,
            first: Duration::ZERO,
            total: Duration::ZERO,
            usage: None,
            end: Err(Failure::new(code::BAD_REQUEST)),
        };
        let Some(mut request) = self.request(request) else { return Some(said) };
        request.prefix = prefix.to_owned();
        let began = Instant::now();
        let listen = async {
            while let Some(token) = tokens.recv().await {
                match token {
                    Token::Text(text) => said.text.push_str(&text),
                    Token::Json(json) => said.events.extend(serde_json::from_slice::<Value>(&json)),
                    Token::Usage(usage) => {
                        said.usage = Some(usage);
                        continue;
                    }
                }
                if said.pieces == 0 {
                    said.first = began.elapsed();
                }
                said.pieces = said.pieces.saturating_add(1);
            }
        };
        let answer = self.backend.infer(request, out, CancellationToken::new());
        let (end, ()) = timeout(ANSWER, async { tokio::join!(answer, listen) }).await.ok()?;
        said.total = began.elapsed();
        said.end = end;
        Some(said)
    }

    fn request(&self, request: Value) -> Option<ChatRequest> {
        let mut request = ChatRequest::parse(request.to_string().as_bytes()).ok()?;
        request.model.clone_from(&self.model.upstream_id);
        Some(request)
    }

    async fn check_answer(&self, report: &mut Report) -> Option<Said> {
        let said = self.ask(question(COUNT, 48)).await;
        let Some(said) = said else {
            let fix = "look at the server's log; a smaller model may help";
            self.add(report, "answer", Grade::Fail, format!("none within {} s", ANSWER.as_secs()), fix);
            return None;
        };
        if let Err(failure) = said.end {
            let fix = "look at the server's log; is the API key right, the model loaded?";
            self.add(report, "answer", Grade::Fail, format!("refused or failed, code {}", failure.code), fix);
            return None;
        }
        self.add(report, "answer", Grade::Ok, format!("first token after {} ms", said.first.as_millis()), "");
        let pieces = format!("the answer came in {} piece(s)", said.pieces);
        if said.pieces < 3 {
            let fix = "switch streaming on at the server or at the proxy before it";
            self.add(report, "stream", Grade::Fail, pieces, fix);
        } else {
            self.add(report, "stream", Grade::Ok, pieces, "");
        }
        match said.usage.map(|usage| usage.source) {
            Some(Source::Backend) => self.add(report, "usage", Grade::Ok, "counted by the backend", ""),
            Some(Source::Counted) => self.add(
                report,
                "usage",
                Grade::Note,
                "the backend's count is far from what its text can have; the smaller number is used",
                "update the server, unless its model has very long or very short tokens",
            ),
            _ => self.add(
                report,
                "usage",
                Grade::Note,
                "the backend does not count tokens; they are estimated from the text",
                "switch usage in streams on at the server (stream_options.include_usage)",
            ),
        }
        Some(said)
    }

    /// The same question again, to be ended by a word of its first answer.
    async fn check_stop(&self, report: &mut Report, text: &str) {
        let Some(word) = middle_word(text) else {
            let found = "the answer has no word to stop at";
            return self.add(report, "stop string", Grade::Note, found, "");
        };
        let mut request = question("Count from one to ten in words.", 48);
        request["stop"] = json!([word]);
        match self.ask(request).await {
            Some(said) if said.end.is_ok() && !said.text.contains(word) => {
                self.add(report, "stop string", Grade::Ok, format!("it stops before {word:?}"), "");
            }
            Some(said) if said.end.is_ok() => {
                let fix = "update the server: answers go on past what clients ask for";
                self.add(report, "stop string", Grade::Fail, format!("it says {word:?}, where it was to stop"), fix);
            }
            _ => {
                self.add(report, "stop string", Grade::Fail, "a question with one is not answered", "update the server")
            }
        }
    }

    /// Characters of several bytes, which some servers cut between two tokens.
    async fn check_characters(&self, report: &mut Report) {
        let name = "emoji";
        match self.ask(question("Repeat this line and nothing else: 🦀 né 👩‍🚀 größer 日本語", 48)).await
        {
            Some(said) if said.text.contains('\u{FFFD}') => {
                let fix = "update the server: it cuts characters of several bytes between two tokens";
                self.add(report, name, Grade::Fail, "characters come in broken pieces", fix);
            }
            Some(said) if said.end.is_err() => {
                self.add(report, name, Grade::Fail, "a question with emoji is not answered", "update the server");
            }
            Some(said) if !said.text.is_ascii() => self.add(report, name, Grade::Ok, "whole", ""),
            Some(_) => {
                self.add(report, name, Grade::Note, "the model answered in ASCII alone, so nothing was seen", "")
            }
            None => self.add(report, name, Grade::Fail, "no answer in time", "look at the server's log"),
        }
    }

    /// Leaves in the middle of a long answer: the next one must come about as soon as the first one did.
    async fn check_cancel(&self, report: &mut Report, before: Duration) {
        let Some(request) = self.request(question("Write a long story about a river.", 512)) else { return };
        let (out, mut tokens) = mpsc::channel(TOKEN_BUFFER);
        let cancel = CancellationToken::new();
        let answer = self.backend.infer(request, out, cancel.clone());
        let leave = async {
            let _ = tokens.recv().await;
            cancel.cancel();
            while tokens.recv().await.is_some() {}
        };
        let fix = "update the server: it computes on for clients that have left, and others wait for it";
        if timeout(ANSWER, async { tokio::join!(answer, leave) }).await.is_err() {
            return self.add(report, "cancel", Grade::Fail, "the backend goes on after a cancel", fix);
        }
        match self.ask(question("Say yes.", 4)).await {
            Some(said) if said.end.is_ok() && said.first <= before.saturating_add(IDLE) => {
                let found = format!("the next answer begins after {} ms", said.first.as_millis());
                self.add(report, "cancel", Grade::Ok, found, "");
            }
            Some(said) if said.end.is_ok() => {
                let found = format!("the next answer begins only after {} ms", said.first.as_millis());
                self.add(report, "cancel", Grade::Fail, found, fix);
            }
            _ => self.add(report, "cancel", Grade::Fail, "the next question is not answered", fix),
        }
    }

    async fn check_parallel(&self, report: &mut Report) {
        let (one, two) = tokio::join!(
            self.ask(question("Count from one to ten in words.", 48)),
            self.ask(question("Name ten animals.", 48)),
        );
        let name = "two at once";
        let (Some(one), Some(two)) = (one, two) else {
            return self.add(report, name, Grade::Fail, "no answers in time", "set max_concurrency = 1");
        };
        if one.end.is_err() || two.end.is_err() {
            return self.add(report, name, Grade::Fail, "one is refused or fails", "set max_concurrency = 1");
        }
        let (early, late) = if one.first <= two.first { (one, two) } else { (two, one) };
        // Before the first one is half done, or it has merely waited for its end.
        if late.first < (early.first + early.total) / 2 {
            return self.add(report, name, Grade::Ok, "both stream together", "");
        }
        self.add(
            report,
            name,
            Grade::Note,
            format!("one waits for the other, though {} are given at once", self.concurrency),
            "set max_concurrency = 1, or let the server run more (Ollama OLLAMA_NUM_PARALLEL, llama.cpp --parallel)",
        );
    }

    async fn check_tools(&self, report: &mut Report) {
        let mut request = question("What is the weather in Paris?", 256);
        request["tools"] = json!([{ "type": "function", "function": {
            "name": "weather",
            "description": "The weather of a city",
            "parameters": { "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] },
        } }]);
        request["tool_choice"] = json!("required");
        let said = self.ask(request).await;
        let calls = |said: &Said| said.events.iter().any(|event| event.get("tool_calls").is_some());
        if said.as_ref().is_some_and(|said| said.end.is_ok() && calls(said)) {
            return self.add(report, "tool call", Grade::Ok, "it calls", "");
        }
        self.add(
            report,
            "tool call",
            Grade::Fail,
            "capabilities promise \"tools\", and it calls none",
            "switch them on at the server (vLLM --enable-auto-tool-choice, llama.cpp --jinja) or take \"tools\" out",
        );
    }

    /// The same question with half of its answer given: a server that does not go on from there says the beginning again.
    async fn check_continue(&self, report: &mut Report, whole: &str) {
        let half = whole.char_indices().nth(whole.chars().count() / 2).map_or(0, |(at, _)| at);
        let (given, _) = whole.split_at(half);
        let beginning: String = whole.trim_start().chars().take(BEGINNING).collect();
        if given.chars().count() < 2 * BEGINNING {
            let found = "its answer was too short to be cut in two";
            return self.add(report, "continue", Grade::Note, found, "ask a longer question of it by hand");
        }
        let said = self.ask_behind(question(COUNT, 48), given).await;
        let goes_on = |said: &Said| said.end.is_ok() && !said.text.trim_start().starts_with(&beginning);
        if said.as_ref().is_some_and(goes_on) {
            return self.add(report, "continue", Grade::Ok, "it goes on from a given beginning", "");
        }
        let found = "capabilities promise \"continue\", and it starts over";
        let fix = "take \"continue\" out: answers that break off elsewhere are then asked of it anew";
        self.add(report, "continue", Grade::Fail, found, fix);
    }

    /// A prompt that nearly fills the promised context: the server's own count says whether it read all of it.
    async fn check_context(&self, report: &mut Report) {
        let words = (self.model.context_length.saturating_sub(FRAME) / 10 * 9).min(LONGEST_PROMPT);
        // The beginning differs each time, or a cache would hold the prompt and some servers would not count it.
        let mark = crate::serve::now().0;
        let prompt = format!("Note {mark}:{} Say yes.", " the".repeat(words as usize));
        let name = "context";
        let longer = match self.engine {
            engine if engine == Program::Ollama.as_str() => {
                format!("start Ollama with OLLAMA_CONTEXT_LENGTH={}", self.model.context_length)
            }
            _ => format!("start the server with a context of {}", self.model.context_length),
        };
        let fix = format!("{longer}, or lower context_length of this model");
        let Some(said) = self.ask(question(&prompt, 1)).await else {
            let found = format!("a prompt of {words} tokens is not answered in time");
            return self.add(report, name, Grade::Note, found, &fix);
        };
        let read = said.usage.filter(|usage| usage.source == Source::Backend).map(|usage| usage.prompt);
        match (&said.end, read) {
            (Err(failure), _) if matches!(failure.code, code::TOO_LARGE | code::BAD_REQUEST) => {
                self.add(report, name, Grade::Fail, format!("it refuses a prompt of {words} tokens"), &fix);
            }
            (Err(failure), _) => {
                let found = format!("a prompt of {words} tokens ends with code {}", failure.code);
                self.add(report, name, Grade::Fail, found, &fix);
            }
            (Ok(_), Some(read)) if read < u64::from(words) / 10 * 9 => {
                let found = format!("it silently cuts prompts: of {words} tokens it read {read}");
                self.add(report, name, Grade::Fail, found, &fix);
            }
            (Ok(_), Some(read)) => self.add(report, name, Grade::Ok, format!("it reads {read} tokens"), ""),
            (Ok(_), None) => {
                let found = "the server does not count prompts, so whether it cuts long ones is not seen";
                self.add(report, name, Grade::Note, found, "");
            }
        }
    }
}

fn question(text: &str, max_tokens: u32) -> Value {
    json!({ "messages": [{ "role": "user", "content": text }], "max_tokens": max_tokens, "temperature": 0 })
}

/// A word of some letters that is not the first: the middle one of those that differ.
fn middle_word(text: &str) -> Option<&str> {
    let mut words: Vec<&str> = Vec::new();
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| (3..=32).contains(&word.len())) {
        if !words.iter().any(|other| other.contains(word)) {
            words.push(word);
        }
    }
    words.get(words.len() / 2).copied().filter(|_| words.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_to_stop_at() {
        let check = |text: &str, word: Option<&str>| assert_eq!(middle_word(text), word, "{text:?}");
        check("One, two, three, four, five, six.", Some("four"));
        check("one one one one", None);
        check("a 🦀 b", None);
        check("", None);
        check("alone", None);
        check("one two one two one two", Some("two"));
    }
}
