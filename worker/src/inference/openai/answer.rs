//! What a server streams, read leniently: chunks in, tokens out, and at the end how it went. No IO, so that every odd
//! server is a unit test.

use crate::inference::{Failure, Source, Token, Usage, code};
use serde::Deserialize;
use serde_json::{Value, json};

/// Calls of one answer.
const MAX_TOOL_CALLS: usize = 128;
/// Bytes of all calls together; they become one record, which holds 1 MiB.
const MAX_TOOL_BYTES: usize = 768 * 1024;
/// No server needs more bytes for a token on average; one that sends more ignores `max_tokens`.
const MAX_BYTES_PER_TOKEN: u64 = 64;

/// An answer under way.
pub struct Answer {
    max_tokens: u64,
    prompt_bytes: u64,
    chunks: u64,
    bytes: u64,
    tools: Vec<ToolCall>,
    reported: Option<Reported>,
    finish: Option<String>,
    /// The server said itself that it broke off.
    broken: bool,
    done: bool,
}

struct ToolCall {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

#[derive(Clone, Copy)]
struct Reported {
    prompt: Option<u64>,
    completion: u64,
}

impl Answer {
    /// An answer to a prompt of so many bytes.
    pub fn new(max_tokens: u32, prompt_bytes: usize) -> Self {
        Self {
            max_tokens: u64::from(max_tokens),
            prompt_bytes: prompt_bytes as u64,
            chunks: 0,
            bytes: 0,
            tools: Vec::new(),
            reported: None,
            finish: None,
            broken: false,
            done: false,
        }
    }

    /// Whether nothing more is to be read.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Reads one `data` of the stream, or a whole JSON answer.
    ///
    /// # Errors
    /// When it is no chunk, or reports an error. What came before stays delivered.
    pub fn push(&mut self, data: &str) -> Result<Vec<Token>, Failure> {
        let data = data.trim();
        let mut tokens = Vec::new();
        if data.is_empty() || self.done {
            return Ok(tokens);
        }
        if data == "[DONE]" {
            self.done = true;
            return Ok(tokens);
        }
        let chunk: Chunk = serde_json::from_str(data).map_err(|_| Failure::new(code::INTERNAL))?;
        if chunk.error.is_some_and(|error| !error.is_null()) {
            return Err(Failure::new(code::INTERNAL));
        }
        self.read_usage(chunk.usage.as_ref());
        if self.finish.is_some() || self.broken {
            return Ok(tokens);
        }
        let Some(choice) = chunk.choices.unwrap_or_default().into_iter().next() else { return Ok(tokens) };
        if let Some(delta) = choice.delta.or(choice.message) {
            self.read_delta(delta, &mut tokens)?;
        }
        match choice.finish_reason.as_deref() {
            None | Some("") => {}
            Some(reason @ ("stop" | "length" | "tool_calls" | "content_filter")) => {
                self.finish = Some(reason.to_owned());
            }
            Some("function_call") => self.finish = Some("tool_calls".to_owned()),
            // vLLM says `abort` where it was stopped; any other word is no whole answer either.
            Some(_) => self.broken = true,
        }
        if self.finish.is_some() && !self.tools.is_empty() {
            if self.finish.as_deref() == Some("stop") {
                self.finish = Some("tool_calls".to_owned());
            }
            tokens.push(self.tool_calls());
        }
        let most = self.max_tokens.saturating_mul(MAX_BYTES_PER_TOKEN).saturating_add(4_096);
        if self.bytes > most || self.chunks > self.max_tokens.saturating_mul(2).saturating_add(64) {
            self.finish.get_or_insert_with(|| "length".to_owned());
            self.done = true;
        }
        Ok(tokens)
    }

    /// How the answer ended, once the stream is over.
    ///
    /// # Errors
    /// When it was cut off: neither a finish reason nor `[DONE]` came.
    pub fn end(&self) -> Result<String, Failure> {
        match &self.finish {
            _ if self.broken => Err(Failure::new(code::INTERNAL)),
            Some(reason) => Ok(reason.clone()),
            None if self.done => Ok("stop".to_owned()),
            None => Err(Failure::new(code::INTERNAL)),
        }
    }

    /// What it cost, if anything was delivered: the server's count where it is plausible, the smaller one where not.
    pub fn usage(&self) -> Option<Usage> {
        if self.chunks == 0 && self.finish.is_none() {
            return None;
        }
        let own = self.chunks.max(self.bytes.div_ceil(4)).min(self.max_tokens);
        let most_prompt = self.prompt_bytes.saturating_add(1_024);
        let own_prompt = self.prompt_bytes.div_ceil(4);
        let Some(reported) = self.reported else {
            return Some(Usage { prompt: own_prompt, completion: own, source: Source::Estimated });
        };
        let prompt = reported.prompt.filter(|prompt| *prompt <= most_prompt).unwrap_or(own_prompt);
        let plausible = reported.completion <= self.max_tokens
            && reported.completion.abs_diff(own) <= own.saturating_div(5).saturating_add(8);
        if plausible {
            let source = if reported.prompt == Some(prompt) { Source::Backend } else { Source::Estimated };
            return Some(Usage { prompt, completion: reported.completion, source });
        }
        Some(Usage { prompt, completion: reported.completion.min(own), source: Source::Counted })
    }

    fn read_usage(&mut self, usage: Option<&Value>) {
        let number = |name: &str| usage.and_then(|usage| usage.get(name)).and_then(Value::as_u64);
        if let Some(completion) = number("completion_tokens") {
            self.reported = Some(Reported { prompt: number("prompt_tokens"), completion });
        }
    }

    fn read_delta(&mut self, delta: Delta, tokens: &mut Vec<Token>) -> Result<(), Failure> {
        for text in [delta.content, delta.refusal].into_iter().flatten().filter(|text| !text.is_empty()) {
            self.count(text.len());
            tokens.push(Token::Text(text));
        }
        let reasoning = delta.reasoning_content.or(delta.reasoning).filter(|text| !text.is_empty());
        if let Some(text) = reasoning {
            self.count(text.len());
            tokens.push(Token::Json(json!({ "reasoning_content": text }).to_string().into_bytes()));
        }
        for call in delta.tool_calls.into_iter().flatten() {
            self.merge(call)?;
        }
        Ok(())
    }

    fn count(&mut self, bytes: usize) {
        self.chunks = self.chunks.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// Joins the pieces of a call. Some servers send no index, or 0 for every call with a new id each (Ollama).
    fn merge(&mut self, piece: ToolDelta) -> Result<(), Failure> {
        let id = piece.id.unwrap_or_default();
        let at = match piece.index {
            None if !id.is_empty() => self.tools.iter().position(|call| call.id == id),
            None => {
                self.tools.len().checked_sub(1).filter(|_| piece.function.as_ref().is_none_or(|f| f.name.is_none()))
            }
            Some(index) => self.tools.iter().rposition(|call| call.index == Some(index)).filter(|at| {
                id.is_empty() || self.tools.get(*at).is_some_and(|call| call.id == id || call.id.is_empty())
            }),
        };
        let at = match at {
            Some(at) => at,
            None if self.tools.len() >= MAX_TOOL_CALLS => return Err(Failure::new(code::INTERNAL)),
            None => {
                self.tools.push(ToolCall {
                    index: piece.index,
                    id: String::new(),
                    name: String::new(),
                    arguments: String::new(),
                });
                self.tools.len() - 1
            }
        };
        let mut bytes = id.len();
        if let Some(call) = self.tools.get_mut(at) {
            if call.id.is_empty() {
                call.id = id;
            }
            if let Some(function) = piece.function {
                let name = function.name.unwrap_or_default();
                let arguments = match function.arguments {
                    None | Some(Value::Null) => String::new(),
                    Some(Value::String(text)) => text,
                    Some(object) => object.to_string(),
                };
                bytes += name.len() + arguments.len();
                call.name.push_str(&name);
                call.arguments.push_str(&arguments);
            }
        }
        self.count(bytes);
        let all: usize = self.tools.iter().map(|call| call.id.len() + call.name.len() + call.arguments.len()).sum();
        if all > MAX_TOOL_BYTES { Err(Failure::new(code::INTERNAL)) } else { Ok(()) }
    }

    fn tool_calls(&self) -> Token {
        let calls: Vec<Value> = self
            .tools
            .iter()
            .map(|call| {
                json!({
                    "id": call.id,
                    "type": "function",
                    "function": { "name": call.name, "arguments": call.arguments },
                })
            })
            .collect();
        Token::Json(json!({ "tool_calls": calls }).to_string().into_bytes())
    }
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<Value>,
    error: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Choice {
    delta: Option<Delta>,
    message: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    tool_calls: Option<Vec<ToolDelta>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ToolDelta {
    index: Option<u64>,
    id: Option<String>,
    function: Option<FunctionDelta>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FunctionDelta {
    name: Option<String>,
    arguments: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: &str) -> String {
        json!({ "choices": [{ "delta": { "content": content }, "finish_reason": null }] }).to_string()
    }

    fn finish(reason: &str) -> String {
        json!({ "choices": [{ "delta": {}, "finish_reason": reason }] }).to_string()
    }

    fn usage(prompt: u64, completion: u64) -> String {
        json!({ "choices": [], "usage": { "prompt_tokens": prompt, "completion_tokens": completion } }).to_string()
    }

    fn check(chunks: &[String], expected: &str, end: Result<&str, u16>, source: Option<(u64, Source)>) {
        let mut answer = Answer::new(100, 40);
        let mut seen = String::new();
        let mut failed = None;
        for chunk in chunks {
            match answer.push(chunk) {
                Ok(tokens) => {
                    for token in tokens {
                        match token {
                            Token::Text(piece) => seen.push_str(&piece),
                            Token::Json(json) => seen.push_str(&String::from_utf8_lossy(&json)),
                            Token::Usage(_) => {}
                        }
                    }
                }
                Err(failure) => {
                    failed = Some(failure);
                    break;
                }
            }
        }
        let ended = failed.map_or_else(|| answer.end(), Err).map_err(|failure| failure.code);
        assert_eq!(seen, expected, "{chunks:?}");
        assert_eq!(ended, end.map(str::to_owned), "{chunks:?}");
        assert_eq!(answer.usage().map(|usage| (usage.completion, usage.source)), source, "{chunks:?}");
    }

    #[test]
    fn ends() {
        let done = || "[DONE]".to_owned();
        check(&[text("a"), finish("stop"), done()], "a", Ok("stop"), Some((1, Source::Estimated)));
        check(&[text("a"), finish("length")], "a", Ok("length"), Some((1, Source::Estimated)));
        check(&[text("a"), done()], "a", Ok("stop"), Some((1, Source::Estimated)));
        check(&[text("a")], "a", Err(10), Some((1, Source::Estimated)));
        check(&[text("a"), finish("abort"), done()], "a", Err(10), Some((1, Source::Estimated)));
        check(&[text("a"), finish(""), text("b"), finish("stop")], "ab", Ok("stop"), Some((2, Source::Estimated)));
        check(&[text("a"), finish("stop"), text("late")], "a", Ok("stop"), Some((1, Source::Estimated)));
        check(&[text("a"), r#"{"error":{"message":"x"}}"#.into()], "a", Err(10), Some((1, Source::Estimated)));
        check(&["{".into()], "", Err(10), None);
        check(&[String::new(), "null".into()], "", Err(10), None);
        check(&[done(), text("late")], "", Ok("stop"), None);
    }

    #[test]
    fn usage_is_believed_where_plausible() {
        let ended = |last: String| [text("one"), text("two"), finish("stop"), last];
        check(&ended(usage(9, 2)), "onetwo", Ok("stop"), Some((2, Source::Backend)));
        check(&ended(usage(9, 99)), "onetwo", Ok("stop"), Some((2, Source::Counted)));
        check(&ended(usage(9, 100_000)), "onetwo", Ok("stop"), Some((2, Source::Counted)));
        check(&ended(usage(1_000_000, 2)), "onetwo", Ok("stop"), Some((2, Source::Estimated)));
        check(&ended(r#"{"usage":{}}"#.into()), "onetwo", Ok("stop"), Some((2, Source::Estimated)));
        check(
            &ended(r#"{"usage":{"completion_tokens":-4}}"#.into()),
            "onetwo",
            Ok("stop"),
            Some((2, Source::Estimated)),
        );
    }

    #[test]
    fn a_server_that_never_stops_is_stopped() {
        let chunks: Vec<String> = (0..1_000).map(|_| text("x")).collect();
        let mut answer = Answer::new(100, 40);
        let read = chunks.iter().take_while(|chunk| answer.push(chunk).is_ok() && !answer.is_done()).count();
        assert!(read < 300);
        assert_eq!(answer.end().ok().as_deref(), Some("length"));
    }

    #[test]
    fn tool_calls_join() {
        let call = |call: Value| json!({ "choices": [{ "delta": { "tool_calls": [call] } }] }).to_string();
        let one = r#"{"tool_calls":[{"function":{"arguments":"{\"a\":1}","name":"f"},"id":"c1","type":"function"}]}"#;
        check(
            &[
                call(json!({ "index": 0, "id": "c1", "function": { "name": "f", "arguments": "{\"a\"" } })),
                call(json!({ "index": 0, "function": { "arguments": ":1}" } })),
                finish("stop"),
            ],
            one,
            Ok("tool_calls"),
            Some((3, Source::Estimated)),
        );
        let two = r#"{"tool_calls":[{"function":{"arguments":"{}","name":"f"},"id":"c1","type":"function"},{"function":{"arguments":"{}","name":"g"},"id":"c2","type":"function"}]}"#;
        for index in [json!(0), Value::Null] {
            check(
                &[
                    call(json!({ "index": index, "id": "c1", "function": { "name": "f", "arguments": {} } })),
                    call(json!({ "index": index, "id": "c2", "function": { "name": "g", "arguments": {} } })),
                    finish("tool_calls"),
                ],
                two,
                Ok("tool_calls"),
                Some((3, Source::Estimated)),
            );
        }
        check(
            &[json!({ "choices": [{ "delta": { "reasoning": "hm" } }] }).to_string(), text("a"), finish("stop")],
            "{\"reasoning_content\":\"hm\"}a",
            Ok("stop"),
            Some((2, Source::Estimated)),
        );
    }
}
