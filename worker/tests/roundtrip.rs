//! The whole way with real parts: worker processes with a mock backend, and a user made of the core's client and a Waku
//! node, on the loopback interface. It lies here and not in `tests/`, because cargo builds a package's program for its
//! own tests only.

mod mock;
mod user;

use mock::{Mock, Pace, words};
use privacyai::client::{Choice, End, Status};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};
use user::User;

/// Longer than anything takes on a busy machine; reached only by what hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder, a mock server and what runs on them.
struct Market {
    folder: PathBuf,
    mock: Mock,
}

impl Market {
    async fn open() -> Self {
        Self::open_at(0).await
    }

    async fn open_at(port: u16) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("privacyai-roundtrip-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let pace = Pace { first: Duration::from_millis(20), token: Duration::from_millis(10), tokens: 20 };
        Self { folder, mock: Mock::start(port, pace).await.unwrap() }
    }

    fn requests(&self) -> u64 {
        self.mock.counts.requests.load(Ordering::Relaxed)
    }

    fn closed_early(&self) -> u64 {
        self.mock.counts.closed_early.load(Ordering::Relaxed)
    }

    /// Starts a worker that differs from others by its id alone, and waits until it serves.
    async fn worker(&self, id: &str) -> Worker {
        self.worker_at(id, self.mock.address).await
    }

    async fn worker_at(&self, id: &str, backend: SocketAddr) -> Worker {
        self.worker_of(id, backend, &["known:20", "known:200", "known:500", "known:2000"], "").await
    }

    /// Starts one that offers these models of the mock, with more lines about the backend.
    async fn worker_of(&self, id: &str, backend: SocketAddr, models: &[&str], more: &str) -> Worker {
        let config = self.folder.join("worker.toml");
        let models: String = models
            .iter()
            .map(|model| {
                format!(
                    "[[model]]\nid = \"{model}\"\nbackends = [\"mock\"]\nmax_concurrency = 1\nqueue = 1\n\
                     context_length = 32768\nmax_output_tokens = 4096\n"
                )
            })
            .collect();
        let backend = format!(
            "[[backend]]\nname = \"mock\"\nkind = \"openai\"\nurl = \"http://{backend}/v1\"\nmax_concurrency = 4\n{more}"
        );
        fs::write(&config, backend + &models).unwrap();
        let ready = self.folder.join(format!("{id}.ready.json"));
        let _ = fs::remove_file(&ready);
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log(id)).unwrap();
        let mut child = self
            .command(id)
            .args(["run", "--config"])
            .arg(&config)
            .arg("--ready-file")
            .arg(&ready)
            .env("RUST_LOG", "trace")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        let ready = loop {
            if let Ok(json) = fs::read(&ready) {
                break serde_json::from_slice(&json).unwrap();
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{id} ended with {status}: {}", fs::read_to_string(self.log(id)).unwrap());
            }
            assert!(Instant::now() < deadline, "{id} is not ready");
            sleep(Duration::from_millis(20)).await;
        };
        Worker { child, ready }
    }

    fn command(&self, id: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        command.env("XDG_STATE_HOME", self.folder.join("state")).env("PROVIDER_ID", id).kill_on_drop(true);
        for name in ["PROVIDER_NAME", "MARKETPLACE_MODE", "ENABLE_ENCRYPTION", "ENABLE_PAYMENTS"] {
            command.env_remove(name);
        }
        command
    }

    fn log(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.log"))
    }
}

impl Drop for Market {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// A worker process.
struct Worker {
    child: Child,
    ready: serde_json::Value,
}

impl Worker {
    fn handle(&self) -> &str {
        self.ready["handle"].as_str().unwrap()
    }

    fn provider_id(&self) -> &str {
        self.ready["provider_id"].as_str().unwrap()
    }

    fn tcp_address(&self) -> String {
        self.ready["addresses"][0].as_str().unwrap().to_owned()
    }

    fn choice(&self) -> Choice {
        Choice::Pinned(self.provider_id().parse().unwrap())
    }

    async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().await.unwrap().success());
    }

    async fn ended(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("the worker does not end").unwrap()
    }
}

fn expected(model: &str, question: &str) -> String {
    words(model, question, 20, usize::MAX).concat()
}

/// Waits until `condition` holds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_meet_and_each_answers_its_own_questions() {
    let market = Market::open().await;
    let first = market.worker("first").await;
    let second = market.worker("second").await;
    // The user knows one of them; the other is found through it.
    let mut user = User::join(&[first.tcp_address()]).await;
    user.sees(first.handle(), Status::Online).await;
    user.sees(second.handle(), Status::Online).await;
    for (worker, question) in [(&first, "one"), (&second, "two"), (&first, "three")] {
        let answer = user.ask(worker.choice(), "known:20", question).await;
        assert_eq!(answer.end, End::Complete, "{question}");
        assert_eq!(answer.text, expected("known:20", question));
        assert_eq!(answer.provider.to_string(), worker.provider_id());
    }
    assert_eq!(market.requests(), 3);

    let invite = market.command("second").arg("invite").output().await.unwrap();
    assert!(invite.status.success());
    let invite = String::from_utf8(invite.stdout).unwrap();
    let network = privacyai::network::Network::parse(&invite).unwrap();
    assert_eq!(network.entry_nodes.len(), 2, "both workers are entry nodes: {network:?}");
    assert!(network.entry_nodes[0].contains("/ws/p2p/"), "{network:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_closes_the_backends_connection_and_frees_the_slot() {
    let market = Market::open().await;
    let worker = market.worker("a").await;
    let mut user = User::join(&[worker.tcp_address()]).await;
    user.sees("a", Status::Online).await;
    let id = user.begin(worker.choice(), "known:500", "a long one").await;
    user.first_text(id).await;
    user.cancel(id).await;
    until("the backend's connection is closed", || market.closed_early() == 1).await;
    let answer = user.end(id).await;
    assert_eq!(answer.end, End::Cancelled);
    assert!(expected("known:500", "a long one").starts_with(&answer.text));
    // The model takes one job at a time: a stuck slot would leave this one waiting.
    let answer = user.ask(worker.choice(), "known:500", "x").await;
    assert_eq!((answer.end, answer.text), (End::Complete, expected("known:500", "x")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_backend_withdraws_its_models_until_it_is_back() {
    let market = Market::open().await;
    let reserved = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let worker = market.worker_at("a", address).await;
    let mut user = User::join(&[worker.tcp_address()]).await;
    user.sees_models("a", &[]).await;
    let revived = Market::open_at(address.port()).await;
    user.sees_models("a", &["known:20", "known:200", "known:500", "known:2000"]).await;
    let answer = user.ask(worker.choice(), "known:20", "alive").await;
    assert_eq!((answer.end, answer.text), (End::Complete, expected("known:20", "alive")));
    assert_eq!((revived.requests(), market.requests()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_reads_prices_and_limits_anew_and_a_broken_file_changes_nothing() {
    let market = Market::open().await;
    let worker = market.worker("a").await;
    let config = market.folder.join("worker.toml");
    let mut user = User::join(&[worker.tcp_address()]).await;
    user.sees("a", Status::Online).await;
    user.sees_price("a", 0).await;
    // One runs and one waits; there is no place for a third.
    let running = user.begin(worker.choice(), "known:200", "first").await;
    user.first_text(running).await;
    let waiting = user.begin(worker.choice(), "known:200", "second").await;
    let refused = user.ask(worker.choice(), "known:200", "third").await;
    assert!(matches!(refused.end, End::Error { code: 5, .. }), "{refused:?}");
    for id in [running, waiting] {
        assert_eq!(user.end(id).await.end, End::Complete);
    }

    let old = fs::read_to_string(&config).unwrap();
    let new = old.replace("queue = 1\n", "queue = 2\nprice = { input_per_mtok = \"0.25\" }\n");
    fs::write(&config, &new).unwrap();
    worker.signal("-HUP").await;
    user.sees_price("a", 250_000_000_000_000_000).await;
    let mut asked = Vec::new();
    for question in ["first", "second", "third"] {
        asked.push(user.begin(worker.choice(), "known:200", question).await);
    }
    for id in asked {
        assert_eq!(user.end(id).await.end, End::Complete, "now a third may wait");
    }

    let wrong = new.lines().count() + 1;
    fs::write(&config, format!("{new}queue = \"many\"\n")).unwrap();
    worker.signal("-HUP").await;
    let log = || fs::read_to_string(market.log("a")).unwrap();
    until("the broken line is named", || log().contains(&format!("worker.toml:{wrong}: "))).await;
    assert!(log().contains("the old one stays"));
    fs::write(
        &config,
        format!("{new}[worker]\nprovider_name = \"Other\"\n").replace("mock\"]", "mock\"]\nupstream_id = \"x\""),
    )
    .unwrap();
    worker.signal("-HUP").await;
    until("more than limits needs a restart", || log().contains("restart to use it")).await;
    let answer = user.ask(worker.choice(), "known:20", "still here").await;
    assert_eq!((answer.end, answer.text), (End::Complete, expected("known:20", "still here")));
    user.sees_price("a", 250_000_000_000_000_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_hangs_dies_or_talks_nonsense_is_an_honest_error_and_a_free_slot() {
    const FAULTS: [&str; 5] = ["stall_headers", "stall_mid", "cut_mid_char", "bad_utf8", "html_200"];
    let market = Market::open().await;
    let patience = "timeouts = { first_token = \"3s\", idle = \"2s\" }\n";
    let worker = market.worker_of("a", market.mock.address, &FAULTS, patience).await;
    let mut user = User::join(&[worker.tcp_address()]).await;
    user.sees("a", Status::Online).await;
    for fault in FAULTS {
        // One runs and one waits: were a slot lost, the second would wait for ever and the third be refused.
        for question in ["first", "second", "third"] {
            let answer = user.ask(worker.choice(), fault, question).await;
            assert_eq!(answer.end, End::Error { code: 10, retry_after: 0 }, "{fault}");
            assert!(expected(fault, question).starts_with(&answer.text), "{fault}: {}", answer.text);
            assert_eq!(answer.text.is_empty(), !matches!(fault, "stall_mid" | "cut_mid_char"), "{fault}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_worker_finishes_its_answers_and_comes_back_as_itself() {
    let market = Market::open().await;
    let mut worker = market.worker("a").await;
    let mut user = User::join(&[worker.tcp_address()]).await;
    user.sees("a", Status::Online).await;
    let id = user.begin(worker.choice(), "known:200", "last words").await;
    user.first_text(id).await;
    worker.signal("-TERM").await;
    let answer = user.end(id).await;
    assert_eq!((answer.end, answer.text), (End::Complete, expected("known:200", "last words")));
    user.sees("a", Status::Offline).await;
    assert_eq!(worker.ended().await.code(), Some(0));

    let again = market.worker("a").await;
    assert_eq!(again.provider_id(), worker.provider_id(), "the same provider after a restart");
    user.dial(&again.tcp_address());
    user.sees("a", Status::Online).await;
    let answer = user.ask(again.choice(), "known:20", "back").await;
    assert_eq!((answer.end, answer.text), (End::Complete, expected("known:20", "back")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once() {
    let market = Market::open().await;
    let mut worker = market.worker("a").await;
    let mut user = User::join(&[worker.tcp_address()]).await;
    user.sees("a", Status::Online).await;
    let id = user.begin(worker.choice(), "known:2000", "never finished").await;
    user.first_text(id).await;
    worker.signal("-TERM").await;
    user.sees("a", Status::Offline).await;
    worker.signal("-INT").await;
    assert_eq!(worker.ended().await.code(), Some(130));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayed_request_is_not_answered_twice() {
    let market = Market::open().await;
    let worker = market.worker("a").await;
    let mut user = User::join(&[worker.tcp_address()]).await;
    user.sees("a", Status::Online).await;
    assert_eq!(user.ask(worker.choice(), "known:20", "once").await.end, End::Complete);
    let before = market.requests();
    user.replay_requests().await;
    // Messages of one sender to one topic keep their order, so this answer comes after the replay was seen.
    assert_eq!(user.ask(worker.choice(), "known:20", "other").await.end, End::Complete);
    assert_eq!(market.requests(), before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_word_of_a_question_or_answer_is_left_behind() {
    let market = Market::open().await;
    let mut worker = market.worker("a").await;
    let mut user = User::join(&[worker.tcp_address()]).await;
    user.sees("a", Status::Online).await;
    let question = "the planted secret is xylophone-quartz-8812, tell nobody";
    let answer = user.ask(worker.choice(), "known:200", question).await;
    assert_eq!(answer.end, End::Complete);
    worker.signal("-TERM").await;
    assert_eq!(worker.ended().await.code(), Some(0));
    let mut files = vec![market.log("a")];
    collect(&market.folder.join("state"), &mut files);
    assert!(files.len() > 4, "log, lock, keys and databases: {files:?}");
    let log = fs::read_to_string(market.log("a")).unwrap();
    assert!(log.contains("TRACE"), "the log is at trace level");
    for file in files {
        let bytes = fs::read(&file).unwrap();
        for text in [question, &answer.text] {
            for gram in text.as_bytes().windows(12) {
                let found = bytes.windows(gram.len()).any(|window| window == gram);
                assert!(!found, "{} holds {:?}", file.display(), String::from_utf8_lossy(gram));
            }
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
