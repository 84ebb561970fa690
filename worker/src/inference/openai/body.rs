//! The request as a server gets it.

use crate::inference::{ChatRequest, Message, Part, Role};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What a server was found not to understand.
#[derive(Clone, Copy, Default)]
pub struct Dialect {
    /// It refuses `stream_options`.
    pub no_stream_options: bool,
    /// It wants `max_completion_tokens`.
    pub completion_limit: bool,
    /// It is vLLM, which counts while it streams, so that a cancelled answer is counted too.
    pub continuous_usage: bool,
}

/// The JSON body.
pub fn encode(request: &ChatRequest, dialect: Dialect) -> serde_json::Result<Vec<u8>> {
    let limit = request.max_tokens;
    let begun = (!request.prefix.is_empty()).then(|| Message::text(Role::Assistant, &*request.prefix));
    serde_json::to_vec(&Body {
        model: &request.model,
        messages: request.messages.iter().chain(&begun).map(WireMessage::from).collect(),
        // vLLM's and SGLang's names; llama.cpp and Ollama go on from a last message of the assistant by themselves.
        add_generation_prompt: begun.is_some().then_some(false),
        continue_final_message: begun.is_some().then_some(true),
        stream: true,
        stream_options: (!dialect.no_stream_options).then_some(StreamOptions {
            include_usage: true,
            continuous_usage_stats: dialect.continuous_usage.then_some(true),
        }),
        max_tokens: limit.filter(|_| !dialect.completion_limit),
        max_completion_tokens: limit.filter(|_| dialect.completion_limit),
        temperature: request.temperature,
        top_p: request.top_p,
        stop: &request.stop,
        seed: request.seed,
        passed_on: request.passed_on.iter().map(|(name, value)| (*name, value.as_ref())).collect(),
    })
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<WireMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    add_generation_prompt: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    continue_final_message: Option<bool>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(flatten)]
    passed_on: BTreeMap<&'static str, &'a RawValue>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    continuous_usage_stats: Option<bool>,
}

#[derive(Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
}

impl<'a> From<&'a Message> for WireMessage<'a> {
    fn from(message: &'a Message) -> Self {
        let content = match message.parts.as_slice() {
            [] => Value::Null,
            [Part::Text(text)] => Value::from(text.as_str()),
            parts => parts
                .iter()
                .map(|part| match part {
                    Part::Text(text) => serde_json::json!({ "type": "text", "text": text }),
                    Part::Image(url) => serde_json::json!({ "type": "image_url", "image_url": { "url": url } }),
                })
                .collect(),
        };
        Self {
            role: message.role.as_str(),
            content,
            tool_calls: message.tool_calls.as_deref(),
            tool_call_id: message.tool_call_id.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_allowed_goes_on() {
        let mut request = ChatRequest::parse(
            br#"{"messages":[{"role":"user","content":"hi","name":"me"}],"user":"u","metadata":{"a":1},
                "tools":[{"type":"function"}],"max_tokens":7,"stop":"x"}"#,
        )
        .expect("a request");
        request.model = "m".to_owned();
        let body = |dialect| String::from_utf8(encode(&request, dialect).expect("encodes")).expect("UTF-8");
        assert_eq!(
            body(Dialect::default()),
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true},"max_tokens":7,"stop":["x"],"tools":[{"type":"function"}]}"#
        );
        assert_eq!(
            body(Dialect { no_stream_options: true, completion_limit: true, continuous_usage: false }),
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"max_completion_tokens":7,"stop":["x"],"tools":[{"type":"function"}]}"#
        );
    }
}
