//! `worker doctor`: everything a worker needs, looked at now, each failure with its fix.

use crate::{
    config::{Backend as BackendConfig, BackendKind, Config, Mode, Port},
    fleet,
    inference::{Backend, ChatRequest, Health, Source, Token},
    local, network,
    state::{self, StateFolder},
};
use serde::Serialize;
use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long one trial answer may take: models are loaded on demand.
const ANSWER: Duration = Duration::from_secs(120);
/// How long a backend may go on after a cancel.
const IDLE: Duration = Duration::from_secs(3);
/// Ollama's own context where it is not told otherwise, in tokens.
const OLLAMA_CONTEXT: u32 = 4_096;
/// Free disk space below which the message store and the database may fail soon.
const FREE_BYTES: u64 = 512 * 1024 * 1024;
/// No clock of a machine that runs this program is before 2026.
const OLDEST_CLOCK: u64 = 1_767_225_600_000;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// Good.
    Ok,
    /// It works, and the operator should know.
    Note,
    /// It does not.
    Fail,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it went.
    pub grade: Grade,
    /// What was found.
    pub found: String,
    /// What to do, empty when nothing.
    pub fix: String,
}

/// All checks of one run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Whether none failed.
    pub ok: bool,
    /// In the order they were made.
    pub checks: Vec<Check>,
}

impl Report {
    fn add(&mut self, name: impl Into<String>, grade: Grade, found: impl Into<String>, fix: &str) {
        self.checks.push(Check { name: name.into(), grade, found: found.into(), fix: fix.to_owned() });
    }

    /// For people: one line a check, its fix below.
    pub fn print(&self) {
        for check in &self.checks {
            let mark = match check.grade {
                Grade::Ok => "ok  ",
                Grade::Note => "note",
                Grade::Fail => "FAIL",
            };
            println!("{mark} {}: {}", check.name, check.found);
            if !check.fix.is_empty() {
                println!("       to fix: {}", check.fix);
            }
        }
        let failed = self.checks.iter().filter(|check| check.grade == Grade::Fail).count();
        println!("{} checks, {failed} failed", self.checks.len());
    }
}

/// Looks at everything.
pub async fn examine(config: &Config, base: &Path) -> Report {
    let mut report = Report::default();
    match &config.source {
        Some(path) => report.add("configuration", Grade::Ok, path.display().to_string(), ""),
        None => report.add("configuration", Grade::Ok, "none: the embedded default", ""),
    }
    for notice in &config.notices {
        report.add("configuration", Grade::Note, notice.as_str(), "");
    }
    let running = check_state(&mut report, config, base);
    check_clock(&mut report);
    check_disk(&mut report, base);
    check_network(&mut report, config);
    if running {
        report.add("ports", Grade::Ok, "held by the running worker", "");
    } else {
        check_port(&mut report, config, "tcp_port", config.listen.tcp);
        check_port(&mut report, config, "ws_port", config.listen.ws);
    }
    check_reachability(&mut report, config);
    for (index, backend) in config.backends.iter().enumerate() {
        check_backend(&mut report, config, index, backend).await;
    }
    report.ok = report.checks.iter().all(|check| check.grade != Grade::Fail);
    report
}

/// Says whether a worker of this id runs.
fn check_state(report: &mut Report, config: &Config, base: &Path) -> bool {
    let path = base.join(&config.provider_id);
    if state::is_in_use(base, &config.provider_id) {
        let others = local::running(base).len().saturating_sub(1);
        report.add("state folder", Grade::Ok, format!("{}: its worker runs", path.display()), "");
        report.add("local workers", Grade::Ok, format!("{others} other(s) on this machine"), "");
        return true;
    }
    match StateFolder::open(base, &config.provider_id) {
        Ok(folder) => match crate::run::root_key(&folder) {
            Ok(root) => report.add(
                "state folder",
                Grade::Ok,
                format!("{}, provider {}", path.display(), root.provider_id().fingerprint()),
                "",
            ),
            Err(error) => split(report, "state folder", &error.to_string()),
        },
        Err(error) => split(report, "state folder", &error.to_string()),
    }
    false
}

/// An error that brings its own fix.
fn split(report: &mut Report, name: &str, error: &str) {
    let (found, fix) = error.split_once("\n  to fix: ").unwrap_or((error, ""));
    report.add(name, Grade::Fail, found, fix);
}

fn check_clock(report: &mut Report) {
    let now = crate::serve::now().0;
    if now < OLDEST_CLOCK {
        report.add("clock", Grade::Fail, "the machine's clock is years behind", "set it, best by NTP");
    } else {
        report.add(
            "clock",
            Grade::Ok,
            format!(
                "{} s since 1970; clients take announcements 30 s ahead to 90 s behind their own clock",
                now / 1_000
            ),
            "",
        );
    }
}

#[cfg(unix)]
fn check_disk(report: &mut Report, base: &Path) {
    let Some(existing) = base.ancestors().find(|path| path.is_dir()) else { return };
    match rustix::fs::statvfs(existing) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let found = format!("{} MiB free at {}", free / (1024 * 1024), existing.display());
            if free < FREE_BYTES {
                report.add("disk", Grade::Fail, found, "make room, or set XDG_STATE_HOME to another disk");
            } else {
                report.add("disk", Grade::Ok, found, "");
            }
        }
        Err(error) => report.add("disk", Grade::Note, format!("cannot be asked: {error}"), ""),
    }
}

#[cfg(not(unix))]
fn check_disk(_: &mut Report, _: &Path) {}

fn check_network(report: &mut Report, config: &Config) {
    match network::load(config) {
        Ok(network) => {
            let found = format!(
                "{} mode, cluster {}, {} shards, {} entry node(s)",
                config.mode.as_str(),
                network.cluster,
                network.shards,
                network.entry_nodes.len()
            );
            if config.mode == Mode::Network && network.entry_nodes.is_empty() {
                report.add(
                    "network",
                    Grade::Note,
                    format!("{found}: this worker dials nobody, others must dial it"),
                    "join one with --network FILE|INVITE, unless this is the first node",
                );
            } else {
                report.add("network", Grade::Ok, found, "");
            }
        }
        Err(error) => split(report, "network", &error.to_string()),
    }
}

fn check_port(report: &mut Report, config: &Config, field: &str, port: Port) {
    let (wanted, exact) = match port {
        Port::Free => {
            report.add(field, Grade::Ok, "any free one", "");
            return;
        }
        Port::From(port) => (port, false),
        Port::Exactly(port) => (port, true),
    };
    match TcpListener::bind(SocketAddr::new(config.listen.ip, wanted)) {
        Ok(_) => report.add(field, Grade::Ok, format!("{wanted} is free"), ""),
        Err(error) if exact => report.add(
            field,
            Grade::Fail,
            format!("{wanted} cannot be used: {error}"),
            &format!("stop the program that has it, or set {field} in [worker] to a free port"),
        ),
        Err(_) => report.add(field, Grade::Note, format!("{wanted} is taken; the next free one will be used"), ""),
    }
}

fn check_reachability(report: &mut Report, config: &Config) {
    match (config.mode, config.listen.external.is_empty()) {
        (Mode::Local, _) => report.add("reachability", Grade::Ok, "this machine only, as local mode means", ""),
        (Mode::Network, false) => {
            report.add("reachability", Grade::Ok, format!("announced as {}", config.listen.external.join(", ")), "");
        }
        (Mode::Network, true) => report.add(
            "reachability",
            Grade::Note,
            "no external address is set: if this machine cannot be reached from outside, the worker works through the \
             nodes it dials, and users need an invite of one of those",
            "where it can be reached, set external = [\"/dns4/HOST/tcp/443/wss\"] in [worker]",
        ),
    }
}

async fn check_backend(report: &mut Report, config: &Config, index: usize, backend: &BackendConfig) {
    let name = |what: &str| format!("backend {} {what}", backend.name);
    if let BackendKind::Embedded { threads, .. } = backend.kind {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if threads > cores {
            report.add(name("threads"), Grade::Fail, format!("{threads} threads on {cores} cores"), "lower threads");
        } else {
            report.add(name("threads"), Grade::Ok, format!("{threads} of {cores} cores"), "");
        }
    }
    let started = match fleet::start_backend(config, index, backend).await {
        Ok(started) => started.backend,
        Err(error) => return split(report, &name("start"), &error.to_string()),
    };
    if started.health().await == Health::Down {
        report.add(name("reachable"), Grade::Fail, "it does not answer", "start the server, or correct url");
        return;
    }
    report.add(name("reachable"), Grade::Ok, "it answers", "");
    if let BackendKind::OpenAi { url, .. } = &backend.kind {
        let context = config.models.iter().filter(|model| model.backends.contains(&index));
        let longest = context.map(|model| model.context_length).max().unwrap_or(0);
        if longest > OLLAMA_CONTEXT && is_ollama(url).await {
            report.add(
                name("context"),
                Grade::Note,
                format!("this is Ollama, which silently cuts prompts at its own default and not at {longest} tokens"),
                &format!("start it with OLLAMA_CONTEXT_LENGTH={longest}"),
            );
        }
    }
    let known = started.models().await.unwrap_or_default();
    for model in config.models.iter().filter(|model| model.backends.contains(&index)) {
        let name = |what: &str| format!("backend {} model {} {what}", backend.name, model.id);
        if !known.is_empty() && !known.contains(&model.upstream_id) {
            report.add(
                name("present"),
                Grade::Fail,
                format!("the server does not list {:?}", model.upstream_id),
                &format!("load it there, or set upstream_id to one of: {}", known.join(", ")),
            );
            continue;
        }
        check_answer(report, &started, &model.upstream_id, &name).await;
        check_cancel(report, &started, &model.upstream_id, &name).await;
    }
}

/// Ollama answers here, and other servers do not.
async fn is_ollama(url: &str) -> bool {
    let Ok(version) = reqwest::Url::parse(url).and_then(|url| url.join("/api/version")) else { return false };
    let Ok(client) = reqwest::Client::builder().timeout(IDLE).build() else { return false };
    let Ok(answer) = client.get(version).send().await else { return false };
    answer.json::<serde_json::Value>().await.is_ok_and(|json| json.get("version").is_some())
}

fn trial(upstream_id: &str, question: &str, max_tokens: u32) -> Option<ChatRequest> {
    let json = serde_json::json!({
        "messages": [{"role": "user", "content": question}], "max_tokens": max_tokens, "temperature": 0
    });
    let mut request = ChatRequest::parse(json.to_string().as_bytes()).ok()?;
    request.model = upstream_id.to_owned();
    Some(request)
}

async fn check_answer(report: &mut Report, backend: &Arc<dyn Backend>, model: &str, name: &impl Fn(&str) -> String) {
    let Some(request) = trial(model, "Count from one to ten in words.", 48) else { return };
    let (out, mut tokens) = mpsc::channel(crate::inference::TOKEN_BUFFER);
    let began = Instant::now();
    let answer = tokio::time::timeout(ANSWER, backend.infer(request, out, CancellationToken::new()));
    let count = async {
        let (mut pieces, mut first, mut usage) = (0_u32, None, None);
        while let Some(token) = tokens.recv().await {
            match token {
                Token::Text(_) | Token::Json(_) => {
                    first.get_or_insert_with(|| began.elapsed());
                    pieces = pieces.saturating_add(1);
                }
                Token::Usage(counts) => usage = Some(counts),
            }
        }
        (pieces, first, usage)
    };
    let (end, (pieces, first, usage)) = tokio::join!(answer, count);
    match end {
        Err(_) => report.add(
            name("answer"),
            Grade::Fail,
            format!("none within {} s", ANSWER.as_secs()),
            "look at the server's log; a smaller model may help",
        ),
        Ok(Err(failure)) => report.add(
            name("answer"),
            Grade::Fail,
            format!("refused or failed, code {}", failure.code),
            "look at the server's log; is the API key right, the model loaded?",
        ),
        Ok(Ok(_)) => {
            let first = first.unwrap_or_default().as_millis();
            report.add(name("answer"), Grade::Ok, format!("first token after {first} ms"), "");
            if pieces < 3 {
                report.add(
                    name("stream"),
                    Grade::Fail,
                    format!("the answer came in {pieces} piece(s)"),
                    "switch streaming on at the server or at the proxy before it",
                );
            } else {
                report.add(name("stream"), Grade::Ok, format!("{pieces} pieces"), "");
            }
            match usage.map(|usage| usage.source) {
                Some(Source::Backend) => report.add(name("usage"), Grade::Ok, "counted by the backend", ""),
                Some(Source::Counted) => report.add(name("usage"), Grade::Ok, "counted here", ""),
                _ => report.add(
                    name("usage"),
                    Grade::Note,
                    "the backend does not count tokens; they are estimated from the text",
                    "",
                ),
            }
        }
    }
}

async fn check_cancel(report: &mut Report, backend: &Arc<dyn Backend>, model: &str, name: &impl Fn(&str) -> String) {
    let Some(request) = trial(model, "Write a long story about a river.", 512) else { return };
    let (out, mut tokens) = mpsc::channel(crate::inference::TOKEN_BUFFER);
    let cancel = CancellationToken::new();
    let answer = backend.infer(request, out, cancel.clone());
    let stop = async {
        let _ = tokens.recv().await;
        cancel.cancel();
        let cancelled = Instant::now();
        while tokens.recv().await.is_some() {}
        cancelled
    };
    let Ok((_, cancelled)) = tokio::time::timeout(ANSWER, async { tokio::join!(answer, stop) }).await else {
        report.add(name("cancel"), Grade::Fail, "the backend goes on after a cancel", "update the server");
        return;
    };
    let took = cancelled.elapsed();
    if took > IDLE {
        report.add(name("cancel"), Grade::Fail, format!("took {} ms", took.as_millis()), "update the server");
    } else {
        report.add(name("cancel"), Grade::Ok, format!("after {} ms", took.as_millis()), "");
    }
}
