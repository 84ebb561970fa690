//! The real model, where `worker model pull smollm2` has put it in the cache; a machine without it says so and passes.
#![cfg(feature = "embedded")]

use privacyai_worker::inference::catalogue::{Entry, cache_folder, installed};
use privacyai_worker::inference::embedded::{Embedded, Quant, Settings};
use privacyai_worker::inference::preset::Preset;
use privacyai_worker::inference::{Backend, ChatRequest, Source, Token, Usage};
use tokio_util::sync::CancellationToken;

fn load(preset: &str) -> Option<(Embedded, Preset)> {
    let entry = Entry::find("smollm2").expect("in the catalogue");
    let found = cache_folder().and_then(|cache| installed(entry, &cache, Quant::F16));
    let path = match found {
        Ok(path) => path,
        Err(error) => {
            eprintln!("SKIPPED: {error}");
            return None;
        }
    };
    let preset = Preset::parse(preset).expect("a preset");
    let settings = Settings { path, context: 2_048, system: Some(preset.system.to_owned()) };
    Some((Embedded::load(&settings).expect("the model loads"), preset))
}

async fn ask(backend: &Embedded, preset: Preset, json: &str) -> (String, Usage, Result<String, u16>) {
    let mut request = ChatRequest::parse(json.as_bytes()).expect("a request");
    request.prepend_system(preset.system);
    let (out, mut tokens) = tokio::sync::mpsc::channel(8);
    let infer = backend.infer(request, out, CancellationToken::new());
    let collect = async {
        let (mut text, mut usage) = (String::new(), Usage::default());
        while let Some(token) = tokens.recv().await {
            match token {
                Token::Text(piece) => text.push_str(&piece),
                Token::Usage(counted) => usage = counted,
                Token::Json(_) => panic!("an embedded model sends no JSON"),
            }
        }
        (text, usage)
    };
    let (end, (text, usage)) = tokio::join!(infer, collect);
    (text, usage, end.map_err(|failure| failure.code))
}

#[tokio::test]
async fn greedy_answers_are_golden() {
    let Some((backend, preset)) = load("assistant") else { return };
    let question = r#"{"messages":[{"role":"user","content":"What is the capital of France?"}],"temperature":0}"#;
    let (text, usage, end) = ask(&backend, preset, question).await;
    assert_eq!(text, "The capital of France is Paris.");
    assert_eq!(end.as_deref(), Ok("stop"));
    assert_eq!(usage, Usage { prompt: 27, completion: 7, source: Source::Backend });
}

#[tokio::test]
async fn presets_answer_visibly_differently() {
    let question = r#"{"messages":[{"role":"user","content":"Tell me about rain."}],"temperature":0,"max_tokens":24}"#;
    let mut answers = Vec::new();
    for name in ["assistant", "list"] {
        let Some((backend, preset)) = load(name) else { return };
        let (text, usage, end) = ask(&backend, preset, question).await;
        assert_eq!((usage.completion, end.as_deref()), (24, Ok("length")), "{text}");
        answers.push(text);
    }
    assert!(answers[0].starts_with("Rain is a fundamental element"), "{answers:?}");
    assert!(answers[1].starts_with("1. "), "{answers:?}");
}
