//! Any server that speaks OpenAI's chat completions: vLLM, llama.cpp, Ollama, LM Studio, hosted ones. Always streams;
//! a cancel drops the connection. Bodies of errors are neither shown nor logged: they may quote the prompt.

mod answer;
mod body;
mod program;

pub use program::Program;

use super::{Backend, ChatRequest, Failure, Health, Token, code};
use answer::Answer;
use async_trait::async_trait;
use body::Dialect;
use futures::{Stream, StreamExt};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use sse_stream::SseByteStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// Bytes of a stream without a blank line, after which it is no event stream.
const MAX_EVENT_BYTES: usize = 1 << 20;
/// Bytes of an error's body that are read, to find out what the server did not like.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// Bytes of a whole answer or list of models.
const MAX_JSON_BYTES: usize = 8 << 20;
/// A server slower than four tokens a second is given up.
const TIME_PER_TOKEN: Duration = Duration::from_millis(250);
/// For the list of models.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Some servers compute on after a cancel.
const LINGER: Duration = Duration::from_secs(2);

/// How to reach a server.
#[derive(Clone)]
pub struct Settings {
    /// Base URL, with `/v1` where the server has it.
    pub url: String,
    /// Sent as a bearer token.
    pub api_key: Option<Zeroizing<String>>,
    /// How long to wait.
    pub timeouts: Timeouts,
}

/// How long to wait for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the first token, from the request on: a server may load its model first.
    pub first_token: Duration,
    /// Between two pieces of a stream.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), first_token: Duration::from_secs(120), idle: Duration::from_secs(30) }
    }
}

/// Why a server cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The URL.
    #[error("{0:?} is no http or https URL")]
    Url(String),
    /// The key.
    #[error("the API key holds characters that no header can carry")]
    Key,
    /// The client.
    #[error("no HTTP client can be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// A server.
pub struct OpenAi {
    client: reqwest::Client,
    chat: Url,
    models: Url,
    timeouts: Timeouts,
    continuous_usage: AtomicBool,
    no_stream_options: AtomicBool,
    completion_limit: AtomicBool,
}

impl OpenAi {
    /// Makes the client; connects to nothing yet.
    ///
    /// # Errors
    /// When the URL or the key is malformed.
    pub fn new(settings: &Settings) -> Result<Self, SetupError> {
        // The first one wins, and all are the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let bad_url = || SetupError::Url(settings.url.clone());
        let base = format!("{}/", settings.url.trim_end_matches('/'));
        let base = Url::parse(&base).map_err(|_| bad_url())?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(bad_url());
        }
        let mut headers = HeaderMap::new();
        if let Some(key) = &settings.api_key {
            let bearer = Zeroizing::new(format!("Bearer {}", key.trim()));
            let mut value = HeaderValue::from_str(&bearer).map_err(|_| SetupError::Key)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut client = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(settings.timeouts.connect)
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .tcp_nodelay(true);
        if is_loopback(&base) {
            client = client.no_proxy();
        }
        Ok(Self {
            client: client.build()?,
            chat: base.join("chat/completions").map_err(|_| bad_url())?,
            models: base.join("models").map_err(|_| bad_url())?,
            timeouts: settings.timeouts,
            continuous_usage: AtomicBool::new(false),
            no_stream_options: AtomicBool::new(false),
            completion_limit: AtomicBool::new(false),
        })
    }

    fn dialect(&self) -> Dialect {
        Dialect {
            no_stream_options: self.no_stream_options.load(Ordering::Relaxed),
            completion_limit: self.completion_limit.load(Ordering::Relaxed),
            continuous_usage: self.continuous_usage.load(Ordering::Relaxed),
        }
    }

    /// The models that it lists; none where it has no list.
    async fn list(&self) -> Result<Option<Vec<ListedModel>>, Failure> {
        let ask = async {
            let response = self.client.get(self.models.clone()).send().await;
            let response = response.map_err(|_| Failure::new(code::MODEL_UNAVAILABLE))?;
            match response.status() {
                status if status.is_success() => read_at_most(response, MAX_JSON_BYTES).await.map(Some),
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(None),
                status => Err(failure_of(status, response.headers())),
            }
        };
        let body = timeout(PROBE_TIMEOUT, ask).await.map_err(|_| Failure::new(code::MODEL_UNAVAILABLE))??;
        let Some(body) = body else { return Ok(None) };
        let list: ModelList = serde_json::from_slice(&body).map_err(|_| Failure::new(code::MODEL_UNAVAILABLE))?;
        Ok(Some(list.data))
    }

    /// Sends the request; tries again at once where a server only dislikes a field that it need not know.
    async fn send(&self, request: &ChatRequest) -> Result<Response, Failure> {
        for _ in 0..3 {
            let dialect = self.dialect();
            let body = body::encode(request, dialect).map_err(|_| Failure::new(code::BAD_REQUEST))?;
            let sent = self
                .client
                .post(self.chat.clone())
                .header(CONTENT_TYPE, "application/json")
                .header(ACCEPT, "text/event-stream")
                .body(body)
                .send()
                .await;
            let response = sent.map_err(|error| {
                let unreachable = error.is_connect() || error.is_timeout();
                tracing::debug!(unreachable, "a backend did not answer");
                Failure::new(if unreachable { code::MODEL_UNAVAILABLE } else { code::INTERNAL })
            })?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            tracing::debug!(status = status.as_u16(), "a backend refused");
            if !matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY) {
                return Err(failure_of(status, response.headers()));
            }
            let body = read_at_most(response, MAX_ERROR_BYTES).await.unwrap_or_default();
            let says = |word: &str| body.windows(word.len()).any(|window| window == word.as_bytes());
            if says("max_completion_tokens") && !dialect.completion_limit {
                self.completion_limit.store(true, Ordering::Relaxed);
            } else if says("stream_options") && !dialect.no_stream_options {
                self.no_stream_options.store(true, Ordering::Relaxed);
            } else if says("context_length") || says("context length") || says("maximum context") {
                return Err(Failure::new(code::TOO_LARGE));
            } else {
                return Err(Failure::new(code::BAD_REQUEST));
            }
        }
        Err(Failure::new(code::BAD_REQUEST))
    }

    /// Reads the answer into `out`. Returns at a finish, an error or a timeout; a cancel drops this future.
    async fn read(
        &self,
        response: Response,
        answer: &mut Answer,
        out: &mpsc::Sender<Token>,
        until: Deadlines,
    ) -> Result<String, Failure> {
        let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if kind.starts_with("text/html") {
            return Err(Failure::new(code::INTERNAL));
        }
        if kind.starts_with("application/json") {
            let body = timeout_at(until.first, read_at_most(response, MAX_JSON_BYTES)).await;
            let body = body.map_err(|_| Failure::new(code::INTERNAL))??;
            let text = std::str::from_utf8(&body).map_err(|_| Failure::new(code::INTERNAL))?;
            deliver(answer.push(text)?, out).await?;
            return answer.end();
        }
        let began = Arc::new(AtomicBool::new(false));
        let bytes = bounded(response, began.clone(), self.timeouts);
        let mut events = std::pin::pin!(SseByteStream::new(bytes));
        while !answer.is_done() {
            let deadline = if began.load(Ordering::Relaxed) { until.end } else { until.first };
            let event = match timeout_at(deadline, events.next()).await {
                // After a finish reason only the count is lost.
                Err(_) | Ok(Some(Err(_))) => return answer.end(),
                Ok(None) => break,
                Ok(Some(Ok(event))) => event,
            };
            if event.event.as_deref() == Some("error") {
                return Err(Failure::new(code::INTERNAL));
            }
            let tokens = answer.push(event.data.as_deref().unwrap_or_default())?;
            if !tokens.is_empty() {
                began.store(true, Ordering::Relaxed);
                deliver(tokens, out).await?;
            }
        }
        answer.end()
    }
}

/// When a request is given up.
#[derive(Clone, Copy)]
struct Deadlines {
    first: Instant,
    end: Instant,
}

#[async_trait]
impl Backend for OpenAi {
    async fn models(&self) -> Result<Vec<String>, Failure> {
        let mut ids = Vec::new();
        for model in self.list().await?.unwrap_or_default() {
            // Ollama adds this tag to names without one.
            if let Some(short) = model.id.strip_suffix(":latest") {
                ids.push(short.to_owned());
            }
            ids.push(model.id);
        }
        Ok(ids)
    }

    async fn health(&self) -> Health {
        if self.models().await.is_ok() { Health::Up } else { Health::Down }
    }

    fn lingers(&self) -> Duration {
        LINGER
    }

    async fn infer(
        &self,
        request: ChatRequest,
        out: mpsc::Sender<Token>,
        cancel: CancellationToken,
    ) -> Result<String, Failure> {
        let max_tokens = request.max_tokens.unwrap_or(u32::MAX);
        let prompt_bytes = request.messages.iter().map(|message| message.joined_text().len()).sum();
        let mut answer = Answer::new(max_tokens, prompt_bytes);
        let first = Instant::now() + self.timeouts.first_token;
        let until = Deadlines { first, end: first + TIME_PER_TOKEN.saturating_mul(max_tokens.min(1 << 20)) };
        let work = async {
            let response = timeout_at(first, self.send(&request)).await;
            let response = response.map_err(|_| Failure::new(code::INTERNAL))??;
            self.read(response, &mut answer, &out, until).await
        };
        let end = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Failure::new(code::CANCELLED)),
            end = work => end,
        };
        if let Some(usage) = answer.usage() {
            // The reader may be gone; then nobody wants the count.
            let _ = out.send(Token::Usage(usage)).await;
        }
        end
    }
}

#[derive(serde::Deserialize)]
struct ModelList {
    data: Vec<ListedModel>,
}

#[derive(serde::Deserialize)]
struct ListedModel {
    id: String,
    owned_by: Option<String>,
}

async fn deliver(tokens: Vec<Token>, out: &mpsc::Sender<Token>) -> Result<(), Failure> {
    for token in tokens {
        out.send(token).await.map_err(|_| Failure::new(code::CANCELLED))?;
    }
    Ok(())
}

fn failure_of(status: StatusCode, headers: &HeaderMap) -> Failure {
    let code = match status.as_u16() {
        400 | 422 => code::BAD_REQUEST,
        413 => code::TOO_LARGE,
        429 => code::OVERLOADED,
        // The operator's to mend (wrong key, wrong model), or passing (a gateway's): another backend may do.
        401..=404 | 502..=504 => code::MODEL_UNAVAILABLE,
        _ => code::INTERNAL,
    };
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    Failure { code, retry_after: if code == code::OVERLOADED { seconds.unwrap_or(0) } else { 0 } }
}

/// A body of limited size.
async fn read_at_most(response: Response, most: usize) -> Result<Vec<u8>, Failure> {
    let mut stream = response.bytes_stream();
    let mut body = Vec::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| Failure::new(code::INTERNAL))?;
        if body.len() + piece.len() > most {
            return Err(Failure::new(code::INTERNAL));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// A stream's bytes; an error when none come for too long or no event ends for 1 MiB. Not polled, it does not tick: a
/// slow reader is no slow server.
fn bounded(
    response: Response,
    began: Arc<AtomicBool>,
    timeouts: Timeouts,
) -> impl Stream<Item = Result<std::io::Cursor<Vec<u8>>, std::io::Error>> {
    let state = (response.bytes_stream(), EventBytes::default(), began);
    futures::stream::try_unfold(state, move |(mut stream, mut event, began)| async move {
        let patience = if began.load(Ordering::Relaxed) { timeouts.idle } else { timeouts.first_token };
        let piece = timeout(patience, stream.next()).await.map_err(|_| std::io::ErrorKind::TimedOut)?;
        let Some(piece) = piece else { return Ok(None) };
        let piece = piece.map_err(std::io::Error::other)?;
        if !event.take(&piece) {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        Ok(Some((std::io::Cursor::new(piece.to_vec()), (stream, event, began))))
    })
}

/// Counts the bytes of the event under way.
#[derive(Default)]
struct EventBytes {
    count: usize,
    /// Nothing stands on the line yet.
    line_is_empty: bool,
    after_cr: bool,
}

impl EventBytes {
    /// False once an event is too long.
    fn take(&mut self, piece: &[u8]) -> bool {
        for byte in piece {
            self.count += 1;
            match byte {
                b'\n' if self.after_cr => {}
                b'\n' | b'\r' => {
                    if self.line_is_empty {
                        self.count = 0;
                    }
                    self.line_is_empty = true;
                }
                _ => self.line_is_empty = false,
            }
            self.after_cr = *byte == b'\r';
            if self.count > MAX_EVENT_BYTES {
                return false;
            }
        }
        true
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Option<&str>) {
        let settings = Settings { url: url.to_owned(), api_key: None, timeouts: Timeouts::default() };
        let chat = OpenAi::new(&settings).ok().map(|server| server.chat.to_string());
        assert_eq!(chat.as_deref(), expected, "{url}");
    }

    #[test]
    fn urls() {
        check("http://127.0.0.1:8000/v1", Some("http://127.0.0.1:8000/v1/chat/completions"));
        check("https://host/api/v1/", Some("https://host/api/v1/chat/completions"));
        check("ftp://host/v1", None);
        check("host:8000", None);
    }

    #[test]
    fn an_event_is_bounded_and_events_are_not() {
        let mut bytes = EventBytes::default();
        for end in ["\n\n", "\r\r", "\r\n\r\n"] {
            for _ in 0..4 {
                assert!(bytes.take(format!("data: {}{end}", "x".repeat(MAX_EVENT_BYTES / 2)).as_bytes()));
            }
        }
        assert!(!bytes.take("x".repeat(MAX_EVENT_BYTES + 1).as_bytes()));
    }

    #[test]
    fn refusals_of_a_server() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("17"));
        let check = |status: u16, expected: (u16, u16)| {
            let failure = failure_of(StatusCode::from_u16(status).expect("a status"), &headers);
            assert_eq!((failure.code, failure.retry_after), expected, "{status}");
        };
        check(429, (5, 17));
        check(503, (4, 0));
        check(404, (4, 0));
        check(500, (10, 0));
        check(302, (10, 0));
    }
}
