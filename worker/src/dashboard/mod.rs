//! The operator's page and metrics on this computer: a small HTTP server that listens on a loopback address, tells who
//! brings the token, and changes nothing.

use crate::{
    metrics, serve,
    state::{StateError, StateFolder, read_secret},
    status::Facts,
};
use getrandom::SysRng;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rand_core::{Rng as _, UnwrapErr};
use sha2::{Digest as _, Sha256};
use std::{convert::Infallible, fmt, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};
use zeroize::Zeroizing;

/// Connections at once; a browser uses six. More wait in the system's own queue.
const CONNECTIONS: usize = 16;
/// A whole exchange takes milliseconds on one machine. What takes longer is closed, so that slow clients cannot pile up.
const EXCHANGE: Duration = Duration::from_secs(3);
/// Longest head of a request; hyper takes no less.
const MAX_HEAD: usize = 8 * 1024;
/// After a failed accept: no file handles are left, and others give some back meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The token's name in the state folder. It is text, so that Prometheus can read it as `credentials_file`.
pub const TOKEN_FILE: &str = "dashboard.token";

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Nothing of others, no inline script or style, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What lets a reader in: 32 hexadecimal digits.
pub struct Token(Zeroizing<String>);

impl Token {
    /// The token of this state folder, made at the first start.
    ///
    /// # Errors
    /// When others can read it, or it is none.
    pub fn of_folder(folder: &StateFolder) -> Result<Self, StateError> {
        let secret = folder.secret(TOKEN_FILE, generate_token)?;
        Self::parse(&secret, &folder.path().join(TOKEN_FILE))
    }

    /// The token of the worker with this PROVIDER_ID.
    ///
    /// # Errors
    /// As [`Self::of_folder`].
    pub fn of_worker(base: &Path, provider_id: &str) -> Result<Self, StateError> {
        let path = base.join(provider_id).join(TOKEN_FILE);
        let secret = read_secret(&path)?;
        Self::parse(&secret, &path)
    }

    fn parse(secret: &[u8; 32], path: &Path) -> Result<Self, StateError> {
        let text = std::str::from_utf8(secret).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let text = text.ok_or_else(|| StateError::Damaged(path.to_owned()))?;
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// As it is typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares digests, so that the time tells nothing of the token.
    fn is(&self, given: &str) -> bool {
        Sha256::digest(given.as_bytes()) == Sha256::digest(self.0.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

fn generate_token() -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 16]);
    UnwrapErr(SysRng).fill_bytes(bytes.as_mut_slice());
    let mut digits = Zeroizing::new([0; 32]);
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    for (digit, half) in digits.iter_mut().zip(halves) {
        *digit = if half < 10 { b'0' + half } else { b'a' + half - 10 };
    }
    digits
}

/// The page's address, with the token in it.
pub fn url(address: SocketAddr, token: &Token) -> String {
    format!("http://{address}/?token={}", token.as_str())
}

/// A dashboard that listens and does not answer yet.
#[derive(Debug)]
pub struct Dashboard {
    listener: TcpListener,
    address: SocketAddr,
    token: Token,
}

impl Dashboard {
    /// Listens; port 0 takes a free one.
    ///
    /// # Errors
    /// [`OpenError`] names a port that another program has.
    pub async fn open(address: SocketAddr, folder: &StateFolder) -> Result<Self, OpenError> {
        let token = Token::of_folder(folder).map_err(OpenError::Token)?;
        let listener = TcpListener::bind(address).await.map_err(|error| OpenError::Address(address, error))?;
        let address = listener.local_addr().map_err(|error| OpenError::Address(address, error))?;
        Ok(Self { listener, address, token })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the operator opens.
    pub fn url(&self) -> String {
        url(self.address, &self.token)
    }

    /// Answers until aborted.
    pub fn serve(self, facts: Facts) -> JoinHandle<()> {
        tokio::spawn(run(self.listener, Arc::new(Desk { token: self.token, facts })))
    }
}

async fn run(listener: TcpListener, desk: Arc<Desk>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // Dropped with this task, so no connection outlives it.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let desk = desk.clone();
        connections.spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let response = desk.answer(&request);
                async move { Ok::<_, Infallible>(response) }
            });
            let exchange = http1::Builder::new()
                .keep_alive(false)
                .header_read_timeout(None)
                .max_buf_size(MAX_HEAD)
                .serve_connection(TokioIo::new(stream), service);
            // Both ends of it are this computer's: a broken exchange is nobody's news.
            let _ = tokio::time::timeout(EXCHANGE, exchange).await;
            drop(place);
        });
    }
}

/// Who answers.
struct Desk {
    token: Token,
    facts: Facts,
}

impl Desk {
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let mut response = self.reply(request);
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // The address holds the token.
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CACHE_CONTROL, "no-store"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }

    fn reply<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        // A page of others whose name was made to point here sends its own name.
        if !is_for_this_computer(request) {
            return said(
                StatusCode::FORBIDDEN,
                "This page is for this computer alone: open it by its 127.0.0.1 address.\n",
            );
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = said(StatusCode::METHOD_NOT_ALLOWED, "Nothing can be changed here: use GET.\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        if !given_tokens(request).any(|given| self.token.is(given)) {
            let text = "A token is needed: `worker status` prints the address that holds it.\n";
            let mut response = said(StatusCode::UNAUTHORIZED, text);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return response;
        }
        match request.uri().path() {
            "/" => found("text/html; charset=utf-8", PAGE.replace("{token}", self.token.as_str())),
            "/page.css" => found("text/css; charset=utf-8", STYLE),
            "/page.js" => found("text/javascript; charset=utf-8", SCRIPT),
            "/status" => match serde_json::to_string(&self.facts.status()) {
                Ok(json) => found("application/json", json),
                Err(_) => said(StatusCode::INTERNAL_SERVER_ERROR, "The status cannot be written down.\n"),
            },
            "/status.txt" => found("text/plain; charset=utf-8", self.facts.status().lines(serve::now().0)),
            "/metrics" => found(metrics::CONTENT_TYPE, self.facts.metrics()),
            "/livez" => said(StatusCode::OK, "alive\n"),
            "/readyz" if self.facts.is_ready() => said(StatusCode::OK, "ready\n"),
            "/readyz" => said(StatusCode::SERVICE_UNAVAILABLE, "no question is taken now\n"),
            _ => said(StatusCode::NOT_FOUND, "There are /, /status, /metrics, /livez and /readyz.\n"),
        }
    }
}

/// Whether it was addressed by a loopback name; without one it was typed by hand.
fn is_for_this_computer<B>(request: &Request<B>) -> bool {
    let Some(host) = request.headers().get(header::HOST) else { return true };
    let host = host.to_str().unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// In the address or as bearer.
fn given_tokens<B>(request: &Request<B>) -> impl Iterator<Item = &str> {
    let query = request.uri().query().unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("token="));
    let bearer = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    query.into_iter().chain(bearer)
}

fn found(kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn said(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = found("text/plain; charset=utf-8", text);
    *response.status_mut() = status;
    response
}

/// Why there is no dashboard.
#[derive(Debug)]
pub enum OpenError {
    /// This address cannot be listened on.
    Address(SocketAddr, io::Error),
    /// The token cannot be had.
    Token(StateError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address, error) if error.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "port {} is in use by another program\n  to fix: stop that program, or set metrics in [worker] to a free \
                 port; leave it out for any",
                address.port()
            ),
            Self::Address(address, error) => {
                write!(f, "metrics {address}: {error}\n  to fix: set it to 127.0.0.1 with a free port, or leave it out")
            }
            Self::Token(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_token_lasts_and_is_its_owners_alone() {
        let scratch = Scratch::new();
        let folder = StateFolder::open(scratch.path(), "a").unwrap();
        let token = Token::of_folder(&folder).unwrap();
        assert_eq!(token.as_str().len(), 32);
        assert_eq!(Token::of_folder(&folder).unwrap().as_str(), token.as_str());
        assert_eq!(Token::of_worker(scratch.path(), "a").unwrap().as_str(), token.as_str());
        assert!(token.is(token.as_str()) && !token.is("") && !token.is(&token.as_str()[1..]));
        assert_eq!(format!("{token:?}"), "Token(..)");
        let path = folder.path().join(TOKEN_FILE);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(&path, [b'"'; 32]).unwrap();
        let error = Token::of_folder(&folder).unwrap_err();
        assert!(matches!(error, StateError::Damaged(_)), "what would break out of the page is refused: {error}");
    }

    #[test]
    fn only_loopback_names_are_answered() {
        let check = |host: &str, expected| {
            let request = Request::builder().header(header::HOST, host).body(()).unwrap();
            assert_eq!(is_for_this_computer(&request), expected, "{host}");
        };
        for host in ["127.0.0.1:9464", "127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:9464", "[::1]"] {
            check(host, true);
        }
        for host in ["evil.example", "evil.example:9464", "127.0.0.1.evil.example:1", "10.0.0.1", "", "localhost:x"] {
            check(host, false);
        }
    }

    #[test]
    fn the_page_holds_no_script_of_its_own() {
        assert_eq!(PAGE.matches("<script").count(), 1);
        assert!(PAGE.contains("<script src=\"/page.js?token={token}\" defer></script>"));
        assert!(PAGE.contains("<link rel=\"stylesheet\" href=\"/page.css?token={token}\">"));
        for inline in [" style=\"", "<style", " onclick", " onload", "http://", "https://"] {
            assert!(!PAGE.contains(inline), "{inline}");
        }
        for unsafe_way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!SCRIPT.contains(unsafe_way), "{unsafe_way}");
        }
    }
}
