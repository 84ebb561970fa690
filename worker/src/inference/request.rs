//! What a client asked for, read by allow-list from OpenAI-style JSON. All of it is untrusted and none of it is logged.

use super::{Failure, code};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Messages of one conversation; longer ones are cut by clients long before.
const MAX_MESSAGES: usize = 4_096;
/// OpenAI allows four; some clients send more.
const MAX_STOPS: usize = 16;
/// A stop string holds back as many bytes of the stream, so it stays short.
const MAX_STOP_BYTES: usize = 256;

/// A chat request.
#[derive(Clone, Default)]
pub struct ChatRequest {
    /// The backend's own id of the model.
    pub model: String,
    /// At least one.
    pub messages: Vec<Message>,
    /// 0 to 2.
    pub temperature: Option<f64>,
    /// Above 0, at most 1.
    pub top_p: Option<f64>,
    /// Where to stop; not part of the answer.
    pub stop: Vec<String>,
    /// Same seed, same model, same answer, where the backend can.
    pub seed: Option<i64>,
    /// Most tokens of the answer. The scheduler clamps it to the model's own limit, so that backends always see a number.
    pub max_tokens: Option<u32>,
    /// How the answer begins already; the model goes on from there. Mostly empty.
    pub prefix: String,
    /// Allowed fields that only some servers understand, as they came: names are of [`PASSED_ON`].
    pub passed_on: Vec<(&'static str, Box<RawValue>)>,
}

/// Fields that reach an OpenAI-compatible server untouched. Everything else (`user`, `metadata`, `store`..) is dropped:
/// it could only identify the client.
pub const PASSED_ON: [&str; 9] = [
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
    "top_logprobs",
    "reasoning_effort",
];

/// One message.
#[derive(Clone)]
pub struct Message {
    /// Whose.
    pub role: Role,
    /// Its content, in order.
    pub parts: Vec<Part>,
    /// Calls that the assistant made, as they came.
    pub tool_calls: Option<Box<RawValue>>,
    /// The call that a tool answers.
    pub tool_call_id: Option<String>,
}

impl Message {
    /// A message of text alone.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, parts: vec![Part::Text(text.into())], tool_calls: None, tool_call_id: None }
    }

    /// All its text, parts joined by line breaks.
    pub fn joined_text(&self) -> String {
        let mut joined = String::new();
        for part in &self.parts {
            if let Part::Text(text) = part {
                if !joined.is_empty() {
                    joined.push('\n');
                }
                joined.push_str(text);
            }
        }
        joined
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions; `developer` of newer clients is the same.
    #[serde(alias = "developer")]
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// What a tool gave back.
    Tool,
}

impl Role {
    /// As it stands in JSON and in chat templates.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// A piece of a message.
#[derive(Clone, PartialEq, Eq)]
pub enum Part {
    /// Text.
    Text(String),
    /// An image as a `data:` URL. A remote URL would let the client make the provider's server fetch it.
    Image(String),
}

impl ChatRequest {
    /// Reads a request. Unknown fields are ignored, wrong types are not.
    ///
    /// # Errors
    /// [`code::BAD_REQUEST`] when it is no chat request, [`code::TOO_LARGE`] when it has too many parts,
    /// [`code::REFUSED`] when it asks for what no backend does: several choices, remote images, audio, files.
    pub fn parse(content: &[u8]) -> Result<Self, Failure> {
        let wire: Wire = serde_json::from_slice(content).map_err(|_| Failure::new(code::BAD_REQUEST))?;
        if wire.messages.is_empty() {
            return Err(Failure::new(code::BAD_REQUEST));
        }
        if wire.messages.len() > MAX_MESSAGES {
            return Err(Failure::new(code::TOO_LARGE));
        }
        if wire.n.is_some_and(|n| n != 1) {
            return Err(Failure::new(code::REFUSED));
        }
        let mut messages = Vec::with_capacity(wire.messages.len());
        for message in wire.messages {
            messages.push(message.read()?);
        }
        let stop = match wire.stop {
            None => Vec::new(),
            Some(OneOrMany::One(stop)) => vec![stop],
            Some(OneOrMany::Many(stops)) => stops,
        };
        if stop.len() > MAX_STOPS || stop.iter().any(|s| s.len() > MAX_STOP_BYTES) {
            return Err(Failure::new(code::TOO_LARGE));
        }
        let max_tokens = wire.max_completion_tokens.or(wire.max_tokens);
        if max_tokens == Some(0) || wire.top_p.is_some_and(|p| !(p > 0.0 && p <= 1.0)) {
            return Err(Failure::new(code::BAD_REQUEST));
        }
        if wire.temperature.is_some_and(|t| !(0.0..=2.0).contains(&t)) {
            return Err(Failure::new(code::BAD_REQUEST));
        }
        let values = [
            wire.tools,
            wire.tool_choice,
            wire.parallel_tool_calls,
            wire.response_format,
            wire.frequency_penalty,
            wire.presence_penalty,
            wire.logprobs,
            wire.top_logprobs,
            wire.reasoning_effort,
        ];
        let passed_on =
            PASSED_ON.into_iter().zip(values).filter_map(|(name, value)| value.map(|value| (name, value))).collect();
        Ok(Self {
            model: String::new(),
            messages,
            temperature: wire.temperature,
            top_p: wire.top_p,
            stop: stop.into_iter().filter(|s| !s.is_empty()).collect(),
            seed: wire.seed,
            max_tokens: max_tokens.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
            prefix: String::new(),
            passed_on,
        })
    }

    /// Puts the provider's own instructions in front of the conversation, joined with those of the client if it sent
    /// some: many chat templates allow one system message only.
    pub fn prepend_system(&mut self, system: &str) {
        match self.messages.first_mut() {
            Some(first) if first.role == Role::System => {
                first.parts.insert(0, Part::Text(system.to_owned()));
                let joined = first.joined_text();
                first.parts = vec![Part::Text(joined)];
            }
            _ => self.messages.insert(0, Message::text(Role::System, system)),
        }
    }

    /// Whether this field is among those passed on.
    pub fn asks_for(&self, field: &str) -> bool {
        self.passed_on.iter().any(|(name, _)| *name == field)
    }
}

#[derive(Deserialize)]
struct Wire {
    messages: Vec<WireMessage>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    stop: Option<OneOrMany>,
    seed: Option<i64>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    n: Option<u64>,
    tools: Option<Box<RawValue>>,
    tool_choice: Option<Box<RawValue>>,
    parallel_tool_calls: Option<Box<RawValue>>,
    response_format: Option<Box<RawValue>>,
    frequency_penalty: Option<Box<RawValue>>,
    presence_penalty: Option<Box<RawValue>>,
    logprobs: Option<Box<RawValue>>,
    top_logprobs: Option<Box<RawValue>>,
    reasoning_effort: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct WireMessage {
    role: Role,
    content: Option<WireContent>,
    tool_calls: Option<Box<RawValue>>,
    tool_call_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireContent {
    Text(String),
    Parts(Vec<WirePart>),
}

#[derive(Deserialize)]
struct WirePart {
    r#type: String,
    text: Option<String>,
    image_url: Option<WireImage>,
}

#[derive(Deserialize)]
struct WireImage {
    url: String,
}

impl WireMessage {
    fn read(self) -> Result<Message, Failure> {
        let parts = match self.content {
            None => Vec::new(),
            Some(WireContent::Text(text)) => vec![Part::Text(text)],
            Some(WireContent::Parts(parts)) => parts.into_iter().map(WirePart::read).collect::<Result<_, _>>()?,
        };
        if parts.is_empty() && self.tool_calls.is_none() && self.role != Role::Assistant {
            return Err(Failure::new(code::BAD_REQUEST));
        }
        Ok(Message { role: self.role, parts, tool_calls: self.tool_calls, tool_call_id: self.tool_call_id })
    }
}

impl WirePart {
    fn read(self) -> Result<Part, Failure> {
        match (self.r#type.as_str(), self.text, self.image_url) {
            ("text", Some(text), _) => Ok(Part::Text(text)),
            ("image_url", _, Some(image)) if image.url.starts_with("data:image/") => Ok(Part::Image(image.url)),
            ("text" | "image_url", None, None) => Err(Failure::new(code::BAD_REQUEST)),
            _ => Err(Failure::new(code::REFUSED)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Result<&str, u16>) {
        let read = ChatRequest::parse(json.as_bytes()).map_err(|e| e.code).map(|request| {
            request
                .messages
                .iter()
                .map(|m| format!("{}:{}", m.role.as_str(), m.joined_text()))
                .collect::<Vec<_>>()
                .join("|")
        });
        assert_eq!(read, expected.map(str::to_owned), "{json}");
    }

    #[test]
    fn reads_what_it_knows_and_refuses_what_it_cannot_do() {
        check(r#"{"messages":[{"role":"user","content":"hi"}],"user":"me","metadata":{"a":[1]}}"#, Ok("user:hi"));
        check(
            r#"{"messages":[{"role":"developer","content":"d"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}"#,
            Ok("system:d|user:a\nb"),
        );
        check(r#"{"messages":[{"role":"assistant","content":null,"tool_calls":[]}]}"#, Ok("assistant:"));
        check(r#"{"messages":[]}"#, Err(1));
        check(r#"{"messages":[{"role":"user"}]}"#, Err(1));
        check(r#"{"messages":[{"role":"wizard","content":"x"}]}"#, Err(1));
        check(r#"{"messages":[{"role":"user","content":"x"}],"temperature":"hot"}"#, Err(1));
        check(r#"{"messages":[{"role":"user","content":"x"}],"temperature":3}"#, Err(1));
        check(r#"{"messages":[{"role":"user","content":"x"}],"max_tokens":0}"#, Err(1));
        check(r#"{"messages":[{"role":"user","content":"x"}],"n":2}"#, Err(9));
        check(
            r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://10.0.0.1/a"}}]}]}"#,
            Err(9),
        );
        check(r#"{"messages":[{"role":"user","content":[{"type":"input_audio"}]}]}"#, Err(9));
        check("not json", Err(1));
        check(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)), Err(1));
        let stops = vec!["\"s\""; MAX_STOPS + 1].join(",");
        check(&format!(r#"{{"messages":[{{"role":"user","content":"x"}}],"stop":[{stops}]}}"#), Err(8));
    }

    #[test]
    fn limits_and_passed_on_fields_are_kept() {
        let request = ChatRequest::parse(
            br#"{"messages":[{"role":"user","content":"x"}],"max_tokens":5,"max_completion_tokens":9,"seed":7,
                "stop":"END","tools":[{"type":"function"}],"top_p":0.5,"temperature":0}"#,
        )
        .expect("a request");
        assert_eq!((request.max_tokens, request.seed, request.top_p), (Some(9), Some(7), Some(0.5)));
        assert_eq!(request.stop, ["END"]);
        assert!(request.asks_for("tools") && !request.asks_for("logprobs"));
    }

    #[test]
    fn instructions_of_provider_and_client_join() {
        let mut request = ChatRequest::parse(
            br#"{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"x"}]}"#,
        )
        .expect("a request");
        request.prepend_system("You help.");
        assert_eq!(request.messages.len(), 2);
        assert_eq!(request.messages[0].joined_text(), "You help.\nBe brief.");
    }
}
