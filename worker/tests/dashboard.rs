//! What the operator sees of a running worker: `worker status`, the page and the metrics, and who is let in.

#[allow(dead_code, reason = "other tests use the rest")]
mod mock;
#[allow(dead_code, reason = "other tests use the rest")]
mod user;

use mock::{Mock, Pace};
use privacyai::client::{Choice, End, Status};
use serde_json::Value;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};
use user::User;

/// Longer than anything takes on a busy machine; reached only by what hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const MODELS: [&str; 3] = ["known:20", "known:2000", "html_200"];
const QUESTION: &str = "the planted secret is xylophone-quartz-8812";

/// A folder of its own, a mock server, and at most one worker.
struct Office {
    folder: PathBuf,
    mock: Mock,
}

impl Office {
    async fn open() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("privacyai-dashboard-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let pace = Pace { first: Duration::from_millis(20), token: Duration::from_millis(10), tokens: 20 };
        Self { folder, mock: Mock::start(0, pace).await.unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        command.env("XDG_STATE_HOME", &self.folder).env("PROVIDER_ID", "a").env("RUST_LOG", "trace");
        for name in ["PROVIDER_NAME", "MARKETPLACE_MODE", "ENABLE_ENCRYPTION", "ENABLE_PAYMENTS"] {
            command.env_remove(name);
        }
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Writes a configuration with these lines about the worker.
    fn config(&self, more: &str) -> String {
        let models: String = MODELS
            .iter()
            .map(|model| format!("[[model]]\nid = \"{model}\"\nbackends = [\"mock\"]\nmax_concurrency = 2\n"))
            .collect();
        let backend =
            format!("[[backend]]\nname = \"mock\"\nkind = \"openai\"\nurl = \"http://{}/v1\"\n", self.mock.address);
        let path = self.folder.join("worker.toml");
        fs::write(&path, format!("[worker]\nprovider_name = \"Brightwater\"\n{more}{backend}{models}")).unwrap();
        path.to_str().unwrap().to_owned()
    }

    async fn worker(&self) -> Worker {
        let (config, ready) = (self.config(""), self.folder.join("ready.json"));
        let log = fs::File::create(self.folder.join("log")).unwrap();
        let mut child = self
            .command(&["run", "--config", &config, "--ready-file", ready.to_str().unwrap()])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        let ready: Value = loop {
            if let Ok(json) = fs::read(&ready) {
                break serde_json::from_slice(&json).unwrap();
            }
            let ended = child.try_wait().unwrap();
            assert_eq!(ended, None, "{}", self.log());
            assert!(Instant::now() < deadline, "it is not ready");
            sleep(Duration::from_millis(20)).await;
        };
        // The address with the token is printed behind the line that it is ready.
        let page = loop {
            if let Some(page) = self.log().lines().find_map(|line| line.strip_prefix("dashboard: ").map(str::to_owned))
            {
                break page;
            }
            assert!(Instant::now() < deadline, "no address is printed");
            sleep(Duration::from_millis(20)).await;
        };
        let (address, token) = page.strip_prefix("http://").unwrap().split_once("/?token=").unwrap();
        Worker { child, ready, address: address.parse().unwrap(), token: token.to_owned(), page }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap()
    }

    async fn said(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = self.command(arguments).env_remove("RUST_LOG").output().await.unwrap();
        (status.code(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

struct Worker {
    child: Child,
    ready: Value,
    page: String,
    address: SocketAddr,
    token: String,
}

impl Worker {
    fn choice(&self) -> Choice {
        Choice::Pinned(self.ready["provider_id"].as_str().unwrap().parse().unwrap())
    }

    async fn user(&self) -> User {
        let mut user = User::join(&[self.ready["addresses"][0].as_str().unwrap().to_owned()]).await;
        user.sees("a", Status::Online).await;
        user
    }

    /// What comes back for this path with the token in its query.
    async fn get(&self, path: &str) -> Reply {
        self.send(&format!("GET {path}?token={} HTTP/1.1\r\nHost: {}\r\n\r\n", self.token, self.address)).await
    }

    async fn send(&self, request: &str) -> Reply {
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).await.unwrap();
            let (head, body) = reply.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{request}: {reply:?}"));
            let code = head.split(' ').nth(1).unwrap().parse().unwrap();
            Reply { code, head: head.to_owned(), body: body.to_owned() }
        };
        timeout(PATIENCE, exchange).await.expect("no answer")
    }

    /// Waits until the status is as wanted: the page may be asked before the serve loop has seen the end of an answer.
    async fn status(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status: Value = serde_json::from_str(&self.get("/status").await.body).unwrap();
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "never: {what}: {status:#}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

struct Reply {
    code: u16,
    head: String,
    body: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_page_and_metrics_tell_what_was_done_and_nothing_of_what_was_said() {
    let office = Office::open().await;
    let mut worker = office.worker().await;
    let before = worker.status("announced", |status| status["state"] != "starting").await;
    assert_eq!((&before["state"], &before["alert"]["command"]), (&"no_peers".into(), &"worker invite".into()));
    let mut user = worker.user().await;
    let mut answers = Vec::new();
    for model in ["known:20", "known:20", "html_200"] {
        answers.push(user.ask(worker.choice(), model, QUESTION).await);
    }
    assert_eq!(answers[0].end, End::Complete);
    assert_eq!(answers[2].end, End::Error { code: 10, retry_after: 0 });

    let status = worker.status("all ended", |status| status["answered"] == 2 && status["failed"] == 1).await;
    assert_eq!((&status["accepted"], &status["refused"], &status["receipts"]), (&3.into(), &0.into(), &2.into()));
    assert_eq!((&status["state"], &status["peers"]), (&"online".into(), &1.into()));
    assert_eq!((&status["name"], &status["completion_tokens"]), (&"Brightwater".into(), &40.into()));
    assert_eq!(status["errors"][0]["name"], "internal");
    assert_eq!(status["latest"].as_array().unwrap().len(), 3);
    assert_eq!(status["latest"][2]["model"], "known:20");
    assert!(status["first_p50_ms"].as_u64().unwrap() >= 16, "{status:#}");
    assert!(status["tokens_per_s"].as_u64().unwrap() > 0, "{status:#}");
    assert!(status["reputation"].as_str().unwrap().contains("Nothing is published yet"));
    assert!(status["earnings"].as_str().unwrap().contains("Payments are not there yet"));

    let (code, lines) = office.said(&["status"]).await;
    assert_eq!(code, Some(0), "{lines}");
    for words in [
        "\"Brightwater\" is online",
        "3 accepted: 2 answered, 0 cancelled, 1 failed; 0 refused",
        "internal (10) 1",
        "2 signed",
        "Nothing is published yet",
        "Payments are not there yet",
        "known:20 up, 0 of 2 running, 0 waiting",
        &worker.page,
    ] {
        assert!(lines.contains(words), "{words:?} is not in: {lines}");
    }
    let (code, json) = office.said(&["status", "--json"]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["answered"], &json["dashboard"]), (Some(0), &2.into(), &worker.page.as_str().into()));

    let metrics = worker.get("/metrics").await;
    assert!(metrics.head.contains("application/openmetrics-text"), "{}", metrics.head);
    for line in [
        "worker_requests_total{model=\"known:20\",outcome=\"complete\"} 2",
        "worker_requests_total{model=\"html_200\",outcome=\"internal\"} 1",
        "gen_ai_server_time_to_first_token_seconds_count{model=\"known:20\"} 2",
        // The mock counts words and calls them tokens, which the worker does not believe.
        "worker_tokens_total{model=\"known:20\",kind=\"output\",source=\"counted\"} 40",
        "worker_usage_mismatch_total{model=\"known:20\"} 2",
        "worker_backend_errors_total{backend=\"mock\",kind=\"internal\"} 1",
        "worker_backend_up{model=\"known:20\",backend=\"mock\"} 1",
        "worker_in_flight{model=\"known:20\"} 0",
        "worker_receipts_total 2",
        "worker_draining 0",
    ] {
        assert!(metrics.body.lines().any(|found| found == line), "{line} is not in: {}", metrics.body);
    }

    let page = worker.get("/").await;
    assert_eq!(page.code, 200);
    for header in ["script-src 'self'", "frame-ancestors 'none'", "referrer-policy: no-referrer", "nosniff"] {
        assert!(page.head.contains(header), "{header} is not in: {}", page.head);
    }
    assert!(!page.head.contains("unsafe-inline"), "{}", page.head);
    for (path, kind) in [("/page.css", "text/css"), ("/page.js", "text/javascript")] {
        assert!(page.body.contains(&format!("{path}?token={}", worker.token)), "{path}");
        let part = worker.get(path).await;
        assert!(part.code == 200 && part.head.contains(kind), "{}", part.head);
    }
    assert_eq!((worker.get("/livez").await.code, worker.get("/readyz").await.code), (200, 200));

    // No word of a question or an answer is in anything that is told.
    let secrets = [QUESTION, &answers[0].text];
    for told in [&status.to_string(), &lines, &metrics.body, &page.body] {
        for gram in secrets.iter().flat_map(|secret| secret.as_bytes().windows(16)) {
            let gram = String::from_utf8_lossy(gram);
            assert!(!told.contains(gram.as_ref()), "{gram:?} is in: {told}");
        }
    }

    // A stopping worker says so until it ends.
    let id = user.begin(worker.choice(), "known:2000", "a long one").await;
    user.first_text(id).await;
    let running = worker.status("one runs", |status| status["latest"][0]["end"] == "running").await;
    assert_eq!(running["models"][2]["running"], 1, "{running:#}");
    let pid = worker.child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    let draining = worker.status("it drains", |status| status["state"] == "draining").await;
    assert_eq!(draining["alert"]["title"], "Stopping.");
    assert_eq!(worker.get("/readyz").await.code, 503);
    user.cancel(id).await;
    assert!(timeout(PATIENCE, worker.child.wait()).await.expect("it does not end").unwrap().success());
    let (code, said) = office.said(&["status", "--json"]).await;
    assert_eq!(code, Some(1), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_let_in_without_the_token_and_nothing_can_be_changed() {
    let office = Office::open().await;
    let worker = office.worker().await;
    let (token, host) = (&worker.token, worker.address);
    assert!(worker.address.ip().is_loopback());
    let file = office.folder.join("privacyai").join("a").join("dashboard.token");
    assert_eq!(fs::read_to_string(&file).unwrap(), *token);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let other = "0".repeat(32);
    let check = async |line: &str, headers: &str, code: u16, words: &str| {
        let reply = worker.send(&format!("{line} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n")).await;
        assert_eq!(reply.code, code, "{line} {headers}: {} {}", reply.head, reply.body);
        assert!(reply.body.contains(words) || reply.head.contains(words), "{line}: {} {}", reply.head, reply.body);
        assert!(reply.code == 200 || !reply.body.contains(token.as_str()), "{line}: {}", reply.body);
    };
    for path in ["/", "/page.js", "/page.css", "/status", "/status.txt", "/metrics", "/livez", "/readyz", "/none"] {
        check(&format!("GET {path}"), "", 401, "`worker status` prints the address").await;
        check(&format!("GET {path}?token="), "", 401, "A token is needed").await;
        check(&format!("GET {path}?token={other}"), "", 401, "www-authenticate: Bearer").await;
    }
    check("GET /metrics", &format!("Authorization: Bearer {other}\r\n"), 401, "A token is needed").await;
    check("GET /metrics", &format!("Authorization: Basic {token}\r\n"), 401, "A token is needed").await;
    check("GET /metrics", &format!("Authorization: Bearer {token}\r\n"), 200, "worker_draining 0").await;
    check(&format!("GET /metrics?token={token}"), "", 200, "worker_draining 0").await;
    check(&format!("GET /none?token={token}"), "", 404, "There are /, /status").await;
    check(&format!("HEAD /?token={token}"), "", 200, "text/html").await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
        check(&format!("{method} /?token={token}"), "Content-Length: 0\r\n", 405, "allow: GET, HEAD").await;
        check(&format!("{method} /status"), "Content-Length: 0\r\n", 405, "use GET").await;
    }
    let foreign = format!("GET /?token={token} HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!(worker.send(&foreign).await.code, 403);
    assert_eq!(worker.send("what is this\r\n\r\n").await.code, 400);

    // A head without end is cut; what comes back of it is chance, since the rest is not read.
    let mut endless = TcpStream::connect(host).await.unwrap();
    let _ = endless.write_all(format!("GET /?token={token} HTTP/1.1\r\nX: {}", "x".repeat(1 << 20)).as_bytes()).await;
    let mut reply = Vec::new();
    let _ = timeout(PATIENCE, endless.read_to_end(&mut reply)).await.expect("an endless head is kept");
    assert!(!String::from_utf8_lossy(&reply).contains(" 200 "));

    // Those who connect and say nothing, or never finish a sentence, are shown out; others are served meanwhile or then.
    let mut silent = Vec::new();
    for n in 0..20 {
        let mut stream = TcpStream::connect(host).await.unwrap();
        if n % 2 == 0 {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: ").await.unwrap();
        }
        silent.push(stream);
    }
    assert_eq!(worker.get("/livez").await.code, 200);
    for mut stream in silent {
        let closed = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await;
        assert!(closed.is_ok(), "a silent client is kept");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_shown_is_said() {
    let office = Office::open().await;
    for arguments in [["status"].as_slice(), &["status", "--json"]] {
        let (code, said) = office.said(arguments).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("no worker with PROVIDER_ID=a runs") && said.contains("worker run"), "{said}");
    }

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = office.config(&format!("metrics = \"127.0.0.1:{port}\"\n"));
    let (code, said) = office.said(&["run", "--config", &config]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("port {port} is in use")) && said.contains("set metrics in [worker]"), "{said}");
    let config = office.config("metrics = \"0.0.0.0:9464\"\n");
    let (code, said) = office.said(&["run", "--config", &config]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("worker.toml:3: ") && said.contains("for this computer alone"), "{said}");

    let ready = office.folder.join("node.json");
    let _node = office
        .command(&["node", "--ready-file", ready.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until_there(&ready).await;
    let (code, said) = office.said(&["status"]).await;
    assert!(code == Some(1) && said.contains("as an entry node"), "{said}");
}

async fn until_there(path: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while !path.exists() {
        assert!(Instant::now() < deadline, "{} never comes", path.display());
        sleep(Duration::from_millis(20)).await;
    }
}
