//! A server that speaks OpenAI's chat completions and, by the name of the model, every fault that servers were seen to
//! have. `known:<n>` answers with n words made from the question, `prose:<n>` with the same in paragraphs, `stamp:<n>` with
//! n send times; all are paced by absolute deadlines, so that a slow reader does not slow the sender's clock.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// Names of models that misbehave.
pub const FAULTS: [&str; 28] = [
    "stall_headers",
    "stall_first",
    "stall_mid",
    "cut_mid_char",
    "cut_after_finish",
    "no_done",
    "no_finish",
    "abort_then_done",
    "wrong_usage",
    "usage_missing",
    "dup_chunk",
    "slow_10x",
    "html_502",
    "html_200",
    "json_200",
    "error_mid",
    "429_retry_after",
    "crlf",
    "cr_only",
    "bom",
    "byte_by_byte",
    "comments_only",
    "huge_line",
    "bad_utf8",
    "tool_index_zero",
    "reasoning",
    "ignore_cancel",
    "refuses_options",
];

/// Names of models that answer, and do one thing in a way that `worker doctor` finds.
pub const HABITS: [&str; 7] = [
    "ignores_stop",
    "ignores_tools",
    "breaks_characters",
    "one_at_a_time",
    "computes_on",
    "cuts_context",
    "starts_over",
];

/// How long `computes_on` keeps its only slot after its client left.
const COMPUTES_ON: Duration = Duration::from_secs(4);
/// What `cuts_context` reads of a prompt, in tokens.
const CUT_CONTEXT: usize = 4_096;

/// A request's head or body is no larger in any test.
const MAX_REQUEST: u64 = 16 << 20;

/// How fast it answers.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From the request to the first token.
    pub first: Duration,
    /// Between two tokens.
    pub token: Duration,
    /// Tokens of an answer whose model names no number.
    pub tokens: usize,
}

/// What clients did.
#[derive(Debug, Default)]
pub struct Counts {
    /// Answers begun.
    pub requests: AtomicU64,
    /// Answers whose client closed before the end.
    pub closed_early: AtomicU64,
}

/// A running server; it stops with the runtime.
#[derive(Debug)]
pub struct Mock {
    /// Where it listens.
    pub address: SocketAddr,
    /// What clients did.
    pub counts: Arc<Counts>,
}

impl Mock {
    /// Listens on the loopback interface; port 0 takes a free one.
    pub async fn start(port: u16, pace: Pace) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let shared = counts.clone();
        let single = Arc::new(Mutex::new(()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (counts, single) = (shared.clone(), single.clone());
                tokio::spawn(async move {
                    // A client that goes away is no error of the server's.
                    let _ = serve(stream, pace, &counts, &single).await;
                });
            }
        });
        Ok(Self { address, counts })
    }
}

/// The words with which `model` answers `question`, if `max_tokens` allows them.
pub fn words(model: &str, question: &str, tokens: usize, max_tokens: usize) -> Vec<String> {
    let wanted = model.split_once(':').and_then(|(_, n)| n.parse().ok()).unwrap_or(tokens);
    let mut words: Vec<String> = (0..wanted.min(max_tokens))
        .map(|n| {
            let digest = Sha256::digest(format!("{n} {question}").as_bytes());
            let mut word: String = digest.iter().take(3).map(|byte| format!("{byte:02x}")).collect();
            // Every answer shows characters of two and four bytes.
            word.push_str(if n % 5 == 1 { " é🌍 " } else { " " });
            if model.starts_with("prose:") && n % 60 == 59 {
                word.push_str("\n\n");
            }
            word
        })
        .collect();
    if model == "dup_chunk" && words.len() > 1 {
        words.insert(1, words[0].clone());
    }
    words
}

async fn serve(stream: TcpStream, pace: Pace, counts: &Counts, single: &Arc<Mutex<()>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut reply = Reply { write, line_end: "\n" };
    loop {
        let Some((path, body)) = read_request(&mut read).await? else { return Ok(()) };
        let started = Instant::now();
        if path.ends_with("/models") {
            reply.whole("200 OK", "application/json", &model_list()).await?;
            continue;
        }
        if !path.ends_with("/chat/completions") {
            reply.whole("404 Not Found", "text/plain", "").await?;
            continue;
        }
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        counts.requests.fetch_add(1, Ordering::Relaxed);
        let slot = match request["model"].as_str() {
            Some("one_at_a_time" | "computes_on") => Some(single.clone().lock_owned().await),
            _ => None,
        };
        let closed = async {
            // Clients send nothing while they read: the only event is their end.
            let _ = read.read_u8().await;
        };
        let answered = tokio::select! {
            answered = answer(&mut reply, &request, pace, started) => answered,
            () = closed => Err(io::ErrorKind::ConnectionReset.into()),
        };
        match answered {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => {
                counts.closed_early.fetch_add(1, Ordering::Relaxed);
                if request["model"] == "ignore_cancel" {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
                if request["model"] == "computes_on" {
                    tokio::time::sleep(COMPUTES_ON).await;
                }
                drop(slot);
                return Err(error);
            }
        }
    }
}

async fn read_request(read: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut path = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if (&mut *read).take(MAX_REQUEST).read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        } else if line.is_empty() {
            break;
        } else if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<u64>().unwrap_or(0).min(MAX_REQUEST);
        }
    }
    let mut body = vec![0; usize::try_from(length).unwrap_or(0)];
    read.read_exact(&mut body).await?;
    Ok(Some((path, body)))
}

fn model_list() -> String {
    let mut ids: Vec<String> = FAULTS.iter().chain(&HABITS).map(|name| (*name).to_owned()).collect();
    ids.push("mock".to_owned());
    for n in [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 12_000] {
        ids.push(format!("known:{n}"));
        ids.push(format!("prose:{n}"));
        ids.push(format!("stamp:{n}"));
    }
    let data: Vec<Value> = ids.into_iter().map(|id| json!({ "id": id, "object": "model" })).collect();
    json!({ "object": "list", "data": data }).to_string()
}

/// Gives one answer. True when the connection can take another request.
async fn answer(reply: &mut Reply, request: &Value, pace: Pace, started: Instant) -> io::Result<bool> {
    let model = request["model"].as_str().unwrap_or_default();
    let question = question_of(request);
    let limit = request["max_tokens"].as_u64().or(request["max_completion_tokens"].as_u64());
    let limit = limit.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let mut words = words(model, &question, pace.tokens, limit);
    let stops: Vec<&str> = request["stop"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let stopped = words.iter().position(|word| model != "ignores_stop" && stops.iter().any(|stop| word.contains(stop)));
    words.truncate(stopped.unwrap_or(words.len()));
    if let Some(begun) = begun_of(request).filter(|_| model != "starts_over") {
        words = behind(words, &begun);
    }
    if model == "breaks_characters" {
        words.iter_mut().for_each(|word| *word = word.replace('🌍', "\u{FFFD}\u{FFFD}"));
    }
    let calls = !request["tools"].is_null() && model != "ignores_tools";
    let token_time = if model == "slow_10x" { pace.token * 10 } else { pace.token };

    match model {
        "stall_headers" => return forever().await,
        "html_502" => {
            return reply.whole("502 Bad Gateway", "text/html", "<html>bad gateway</html>").await.map(|()| true);
        }
        "html_200" => return reply.whole("200 OK", "text/html", "<html>log in first</html>").await.map(|()| true),
        "429_retry_after" => {
            let head = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 20\r\nContent-Length: 0\r\n\r\n";
            return reply.raw(head.as_bytes()).await.map(|()| true);
        }
        "json_200" => {
            let body = json!({
                "choices": [{ "message": { "content": words.concat() }, "finish_reason": "stop" }],
                "usage": { "prompt_tokens": question.len() / 4, "completion_tokens": words.len() },
            });
            return reply.whole("200 OK", "application/json", &body.to_string()).await.map(|()| true);
        }
        "refuses_options" if !request["stream_options"].is_null() => {
            let body = json!({ "error": { "message": "unknown field stream_options" } }).to_string();
            return reply.whole("400 Bad Request", "application/json", &body).await.map(|()| true);
        }
        _ => {}
    }

    reply.line_end = match model {
        "crlf" => "\r\n",
        "cr_only" => "\r",
        _ => "\n",
    };
    reply.raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
    match model {
        "stall_first" => return forever().await,
        "bom" => reply.chunk("\u{FEFF}".as_bytes()).await?,
        "comments_only" => loop {
            reply.chunk(b": still here\n\n").await?;
            tokio::time::sleep(token_time).await;
        },
        "huge_line" => loop {
            reply.chunk(&[b'x'; 16 * 1024]).await?;
        },
        "bad_utf8" => {
            reply.chunk(b"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\xfe\"}}]}\n\n").await?;
            return reply.last().await.map(|()| true);
        }
        _ => {}
    }

    if calls {
        let function = json!({ "name": request["tools"][0]["function"]["name"], "arguments": "{}" });
        let call = json!({ "index": 0, "id": "call", "type": "function", "function": function });
        reply.event(&chunk(&json!({ "tool_calls": [call] }), None)).await?;
        words.clear();
    }
    for (n, word) in words.iter().enumerate() {
        let steps = u32::try_from(n).unwrap_or(u32::MAX);
        sleep_until(started + pace.first + token_time.saturating_mul(steps)).await;
        let half = n == words.len() / 2;
        match model {
            "stall_mid" if half => return forever().await,
            "cut_mid_char" if half => {
                reply.chunk(b"data: {\"choices\":[{\"delta\":{\"content\":\"caf\xc3").await?;
                return Ok(false);
            }
            "error_mid" if half => {
                reply.event(&json!({ "error": { "message": "out of memory", "code": 500 } }).to_string()).await?;
                return reply.last().await.map(|()| true);
            }
            "tool_index_zero" => {
                let call = json!({
                    "index": 0,
                    "id": format!("call{n}"),
                    "function": { "name": format!("tool{n}"), "arguments": "{}" },
                });
                reply.event(&chunk(&json!({ "tool_calls": [call] }), None)).await?;
            }
            "reasoning" if n < words.len() / 2 => {
                reply.event(&chunk(&json!({ "reasoning_content": word }), None)).await?;
            }
            "byte_by_byte" => {
                let event = format!("data: {}\n\n", chunk(&json!({ "content": word }), None));
                for byte in event.as_bytes() {
                    reply.chunk(&[*byte]).await?;
                }
            }
            _ if model.starts_with("stamp:") => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                reply.event(&chunk(&json!({ "content": format!("{} ", now.as_micros()) }), None)).await?;
            }
            _ => reply.event(&chunk(&json!({ "content": word }), None)).await?,
        }
    }
    if model != "no_finish" {
        let reason = match model {
            "abort_then_done" => "abort",
            _ if calls => "tool_calls",
            _ if words.len() >= limit => "length",
            _ => "stop",
        };
        reply.event(&chunk(&json!({}), Some(reason))).await?;
    }
    if model == "cut_after_finish" {
        return Ok(false);
    }
    if model != "usage_missing" && !request["stream_options"].is_null() {
        let completion = if model == "wrong_usage" { 1_000_000 } else { words.len() };
        let read = if model == "cuts_context" { CUT_CONTEXT } else { usize::MAX };
        let prompt = (question.len() / 4).min(read);
        let usage = json!({ "prompt_tokens": prompt, "completion_tokens": completion });
        reply.event(&json!({ "choices": [], "usage": usage }).to_string()).await?;
    }
    if model != "no_done" {
        reply.event("[DONE]").await?;
    }
    reply.last().await.map(|()| true)
}

/// What the user asks last.
pub fn question_of(request: &Value) -> String {
    let messages = request["messages"].as_array().cloned().unwrap_or_default();
    let last = messages.iter().rev().find(|message| message["role"] == "user");
    last.and_then(|message| message["content"].as_str()).unwrap_or_default().to_owned()
}

/// How the answer begins already: a last message of the assistant.
fn begun_of(request: &Value) -> Option<String> {
    let last = request["messages"].as_array()?.last()?;
    (last["role"] == "assistant").then(|| last["content"].as_str().map(str::to_owned)).flatten()
}

/// The words that follow a beginning, which may end within one.
fn behind(words: Vec<String>, begun: &str) -> Vec<String> {
    let mut begun = begun;
    let mut rest = Vec::new();
    for word in words {
        match begun.strip_prefix(word.as_str()) {
            Some(after) => begun = after,
            None => rest.push(word.strip_prefix(std::mem::take(&mut begun)).unwrap_or(&word).to_owned()),
        }
    }
    rest
}

fn chunk(delta: &Value, finish: Option<&str>) -> String {
    json!({ "object": "chat.completion.chunk", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
        .to_string()
}

async fn forever() -> io::Result<bool> {
    std::future::pending().await
}

struct Reply {
    write: OwnedWriteHalf,
    line_end: &'static str,
}

impl Reply {
    async fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write.write_all(bytes).await
    }

    async fn whole(&mut self, status: &str, kind: &str, body: &str) -> io::Result<()> {
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
        self.raw(format!("{head}{body}").as_bytes()).await
    }

    async fn chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
        framed.extend_from_slice(bytes);
        framed.extend_from_slice(b"\r\n");
        self.raw(&framed).await
    }

    async fn event(&mut self, data: &str) -> io::Result<()> {
        let end = self.line_end;
        self.chunk(format!("data: {data}{end}{end}").as_bytes()).await
    }

    async fn last(&mut self) -> io::Result<()> {
        self.raw(b"0\r\n\r\n").await
    }
}
