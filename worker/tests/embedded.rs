//! The embedded engine on a small random model that the test writes itself: everything but the quality of the answers.
#![cfg(feature = "embedded")]

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use privacyai_worker::inference::embedded::{
    Embedded, LoadError, MAX_SEQUENCES, Quant, Settings, check_header, convert,
};
use privacyai_worker::inference::{Backend, ChatRequest, Token, Usage};
use serde_json::json;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const WIDTH: usize = 64;
const LAYERS: usize = 2;
const TEMPLATE: &str = "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// Numbers that look random and are the same in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn tensor(&mut self, rows: usize, columns: usize) -> QTensor {
        let values: Vec<f32> =
            (0..rows * columns).map(|_| ((self.next() >> 40) as f32 / (1 << 24) as f32 - 0.5) * 0.4).collect();
        let tensor = Tensor::from_vec(values, (rows, columns), &Device::Cpu).expect("a tensor");
        QTensor::quantize(&tensor, GgmlDType::Q4_1).expect("quantised")
    }

    fn ones(&self) -> QTensor {
        let tensor = Tensor::ones(WIDTH, candle_core::DType::F32, &Device::Cpu).expect("a tensor");
        QTensor::quantize(&tensor, GgmlDType::F32).expect("kept")
    }
}

/// A two-layer model with a byte-level vocabulary; `change` may spoil its metadata.
fn model(change: impl FnOnce(&mut Vec<(&'static str, Value)>)) -> Vec<u8> {
    let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    let specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
    let mut tokens: Vec<String> = specials.iter().map(|token| (*token).to_owned()).collect();
    tokens.extend(alphabet.iter().map(char::to_string));
    tokens.extend(["th", "he", "in"].map(str::to_owned));
    let vocabulary = tokens.len();
    let kinds = (0..vocabulary).map(|n| Value::I32(if n < specials.len() { 3 } else { 1 })).collect();
    let strings = |list: &[&str]| Value::Array(list.iter().map(|text| Value::String((*text).to_owned())).collect());
    let mut metadata = vec![
        ("general.architecture", Value::String("llama".into())),
        ("llama.block_count", Value::U32(LAYERS as u32)),
        ("llama.embedding_length", Value::U32(WIDTH as u32)),
        ("llama.attention.head_count", Value::U32(4)),
        ("llama.attention.head_count_kv", Value::U32(2)),
        ("llama.rope.dimension_count", Value::U32(WIDTH as u32 / 4)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.context_length", Value::U32(8_192)),
        ("tokenizer.ggml.model", Value::String("gpt2".into())),
        ("tokenizer.ggml.pre", Value::String("smollm".into())),
        ("tokenizer.ggml.tokens", Value::Array(tokens.into_iter().map(Value::String).collect())),
        ("tokenizer.ggml.token_type", Value::Array(kinds)),
        ("tokenizer.ggml.merges", strings(&["t h", "h e", "i n"])),
        ("tokenizer.ggml.eos_token_id", Value::U32(2)),
        ("tokenizer.chat_template", Value::String(TEMPLATE.into())),
    ];
    change(&mut metadata);
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let mut tensors = vec![
        ("token_embd.weight".to_owned(), noise.tensor(vocabulary, WIDTH)),
        ("output_norm.weight".to_owned(), noise.ones()),
    ];
    for layer in 0..LAYERS {
        for (name, rows, columns) in [
            ("attn_q", WIDTH, WIDTH),
            ("attn_k", WIDTH / 2, WIDTH),
            ("attn_v", WIDTH / 2, WIDTH),
            ("attn_output", WIDTH, WIDTH),
            ("ffn_gate", 2 * WIDTH, WIDTH),
            ("ffn_up", 2 * WIDTH, WIDTH),
            ("ffn_down", WIDTH, 2 * WIDTH),
        ] {
            tensors.push((format!("blk.{layer}.{name}.weight"), noise.tensor(rows, columns)));
        }
        for name in ["attn_norm", "ffn_norm"] {
            tensors.push((format!("blk.{layer}.{name}.weight"), noise.ones()));
        }
    }
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut file = Cursor::new(Vec::new());
    gguf_file::write(&mut file, &metadata, &tensors).expect("written");
    file.into_inner()
}

/// A file that goes when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(bytes: &[u8]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("privacyai-{}-{}.gguf", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, bytes).expect("a scratch file");
        Self(path)
    }

    fn load(&self, system: Option<&str>) -> Result<Embedded, LoadError> {
        Embedded::load(&Settings { path: self.0.clone(), context: 512, system: system.map(str::to_owned) })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn request(fields: serde_json::Value) -> ChatRequest {
    ChatRequest::parse(fields.to_string().as_bytes()).expect("a request")
}

fn question(text: &str, max_tokens: u32) -> ChatRequest {
    request(json!({
        "messages": [{ "role": "system", "content": "Help." }, { "role": "user", "content": text }],
        "temperature": 0,
        "max_tokens": max_tokens,
    }))
}

async fn ask(backend: &Embedded, request: ChatRequest) -> (String, Usage, Result<String, u16>) {
    let (out, mut tokens) = mpsc::channel(2);
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
    let (end, (text, usage)) = tokio::join!(backend.infer(request, out, CancellationToken::new()), collect);
    (text, usage, end.map_err(|failure| failure.code))
}

#[tokio::test]
async fn answers_are_repeatable_counted_and_stopped() {
    let file = Scratch::new(&model(|_| {}));
    let backend = file.load(None).expect("loads");
    let (greedy, usage, end) = ask(&backend, question("in the", 40)).await;
    assert_eq!((usage.completion, end.as_deref()), (40, Ok("length")), "{greedy:?}");
    assert!(!greedy.is_empty());

    let with_snapshot = file.load(Some("Help.")).expect("loads");
    let (same, again, _) = ask(&with_snapshot, question("in the", 40)).await;
    assert_eq!((same, again), (greedy.clone(), usage), "a computed beginning changes nothing");

    let seeded = |seed: i64| {
        request(json!({
            "messages": [{ "role": "user", "content": "x" }],
            "temperature": 1.5, "top_p": 1.0, "seed": seed, "max_tokens": 30,
        }))
    };
    let first = ask(&backend, seeded(7)).await;
    assert_eq!(first.0, ask(&backend, seeded(7)).await.0, "the same seed");
    assert_ne!(first.0, ask(&backend, seeded(8)).await.0, "another seed");

    let middle: String = greedy.chars().skip(8).take(2).collect();
    let mut stopped = question("in the", 40);
    stopped.stop = vec![middle.clone()];
    let (text, _, end) = ask(&backend, stopped).await;
    assert_eq!(end.as_deref(), Ok("stop"));
    assert_eq!(Some(text.as_str()), greedy.split_once(&middle).map(|(before, _)| before));
}

#[tokio::test]
async fn text_of_a_user_makes_no_control_token() {
    let backend = Scratch::new(&model(|_| {})).load(None).expect("loads");
    let (_, plain, _) = ask(&backend, question("abcdefghij", 1)).await;
    let (_, control, _) = ask(&backend, question("<|im_end|>", 1)).await;
    assert_eq!(plain.prompt, control.prompt, "ten bytes are ten tokens, whatever they spell");
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let backend = Scratch::new(&model(|_| {})).load(None).expect("loads");
    assert_eq!(ask(&backend, question(&"z".repeat(600), 5)).await.2, Err(8));
    assert_eq!(ask(&backend, question(&"z".repeat(1 << 20), 5)).await.2, Err(8));
    let tools = json!({ "messages": [{ "role": "user", "content": "x" }], "tools": [{}] });
    assert_eq!(ask(&backend, request(tools)).await.2, Err(9));
    let image = json!([{ "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==" } }]);
    let image = json!({ "messages": [{ "role": "user", "content": image }] });
    assert_eq!(ask(&backend, request(image)).await.2, Err(9));
}

#[tokio::test]
async fn a_slow_reader_and_a_cancel_hold_up_nobody() {
    let backend = Scratch::new(&model(|_| {})).load(None).expect("loads");
    let cancel = CancellationToken::new();
    let (senders, readers): (Vec<_>, Vec<_>) = (1..MAX_SEQUENCES).map(|_| mpsc::channel(1)).unzip();
    let slow = futures::future::join_all(
        senders.into_iter().map(|out| backend.infer(question("the", 300), out, cancel.clone())),
    );
    let others = async {
        for _ in 0..3 {
            assert_eq!(ask(&backend, question("in", 20)).await.2.as_deref(), Ok("length"));
        }
        cancel.cancel();
        // The count of a cancelled answer waits for room; a reader that is gone wants none.
        drop(readers);
    };
    let (ends, ()) = tokio::join!(slow, others);
    for end in ends {
        assert_eq!(end.map_err(|failure| failure.code), Err(11));
    }
}

#[test]
fn unfit_files_are_refused() {
    fn check(change: impl FnOnce(&mut Vec<(&'static str, Value)>), expected: &str) {
        match Scratch::new(&model(change)).load(None) {
            Ok(_) => panic!("loaded, expected {expected:?}"),
            Err(error) => assert!(error.to_string().contains(expected), "{error} / {expected}"),
        }
    }
    fn set(metadata: &mut [(&'static str, Value)], key: &str, value: Value) {
        metadata.iter_mut().filter(|(name, _)| *name == key).for_each(|entry| entry.1 = value.clone());
    }
    check(|m| m.retain(|(key, _)| *key != "tokenizer.chat_template"), "base model");
    check(|m| set(m, "general.architecture", Value::String("gemma3".into())), "gemma3");
    check(|m| set(m, "tokenizer.ggml.pre", Value::String("deepseek".into())), "deepseek");
    check(|m| set(m, "llama.attention.head_count", Value::U32(0)), "heads");
    check(|m| set(m, "llama.attention.head_count_kv", Value::U32(3)), "heads");
    check(|m| set(m, "llama.block_count", Value::U32(100_000)), "heads");
    check(|m| m.push(("general.alignment", Value::U32(0))), "alignment");
}

#[test]
fn damaged_files_neither_panic_nor_fill_the_memory() {
    let sound = model(|_| {});
    assert!(check_header(&mut Cursor::new(&sound)).is_ok());
    let header = sound.windows(4).position(|w| w == b"blk.").unwrap_or(0) + 256;
    for length in (0..header).step_by(97) {
        assert!(check_header(&mut Cursor::new(&sound[..length])).is_err(), "cut at {length}");
    }
    let mut noise = Noise(1);
    for _ in 0..300 {
        let mut damaged = sound.clone();
        for _ in 0..3 {
            let at = noise.next() as usize % header;
            damaged[at] = noise.next() as u8;
        }
        // Damage to a text goes unnoticed; what counts is that this returns.
        let _ = check_header(&mut Cursor::new(&damaged));
    }
    for _ in 0..40 {
        let mut damaged = sound.clone();
        let at = noise.next() as usize % header;
        damaged[at] = noise.next() as u8;
        let _ = Scratch::new(&damaged).load(None);
    }
}

#[test]
fn conversion_keeps_the_model() {
    let shipped = Scratch::new(&model(|_| {}));
    for quant in [Quant::F16, Quant::Q8, Quant::Keep] {
        let converted = Scratch::new(b"");
        convert(&shipped.0, &converted.0, quant).expect("converts");
        let bytes = std::fs::read(&converted.0).expect("readable");
        let content = gguf_file::Content::read(&mut Cursor::new(&bytes)).expect("sound");
        let kind = content.tensor_infos["blk.0.attn_q.weight"].ggml_dtype;
        let expected = match quant {
            Quant::F16 => GgmlDType::F16,
            Quant::Q8 => GgmlDType::Q8_0,
            Quant::Keep => GgmlDType::Q4_1,
        };
        assert_eq!(kind, expected);
        assert_eq!(content.tensor_infos["token_embd.weight"].ggml_dtype, GgmlDType::Q4_1);
        assert!(converted.load(None).is_ok());
    }
}
