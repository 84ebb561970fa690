//! `worker doctor`: everything a worker needs, looked at now, each failure with its fix.

mod reach;
mod trial;

use crate::{
    config::{Backend as BackendConfig, BackendKind, Config, Mode, Port},
    fleet,
    inference::Health,
    local, network,
    state::{self, StateFolder},
};
use serde::Serialize;
use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
};
use trial::Subject;

/// Free disk space below which the message store and the database may fail soon.
const FREE_BYTES: u64 = 512 * 1024 * 1024;
/// No clock of a machine that runs this program is before 2026.
const OLDEST_CLOCK: u64 = 1_767_225_600_000;
/// Each connection of a peer and each stream to a backend is a file.
const OPEN_FILES: u64 = 1_024;

/// Whether a worker of this id runs while it is examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Running {
    Yes,
    No,
}

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
    check_files(&mut report);
    let entry_nodes = check_network(&mut report, config);
    reach::check_entry_nodes(&mut report, config, &entry_nodes).await;
    if running == Running::Yes {
        report.add("ports", Grade::Ok, "held by the running worker", "");
    } else {
        check_port(&mut report, config, "tcp_port", config.listen.tcp);
        check_port(&mut report, config, "ws_port", config.listen.ws);
    }
    reach::check_reachability(&mut report, config, running).await;
    for (index, backend) in config.backends.iter().enumerate() {
        check_backend(&mut report, config, index, backend).await;
    }
    report.ok = report.checks.iter().all(|check| check.grade != Grade::Fail);
    report
}

/// Says whether a worker of this id runs.
fn check_state(report: &mut Report, config: &Config, base: &Path) -> Running {
    let path = base.join(&config.provider_id);
    if state::is_in_use(base, &config.provider_id) {
        let others = local::running(base).len().saturating_sub(1);
        report.add("state folder", Grade::Ok, format!("{}: its worker runs", path.display()), "");
        report.add("local workers", Grade::Ok, format!("{others} other(s) on this machine"), "");
        return Running::Yes;
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
    Running::No
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

#[cfg(unix)]
fn check_files(report: &mut Report) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    match limit.filter(|files| *files < OPEN_FILES) {
        Some(files) => report.add(
            "open files",
            Grade::Note,
            format!("{files} may be open at once; many users at once need more"),
            "run `ulimit -n 4096` before it (systemd: LimitNOFILE=4096)",
        ),
        None => {
            let found = limit.map_or_else(|| "any number".to_owned(), |files| files.to_string());
            report.add("open files", Grade::Ok, format!("{found} may be open at once"), "");
        }
    }
}

#[cfg(not(unix))]
fn check_files(_: &mut Report) {}

/// Gives the entry nodes.
fn check_network(report: &mut Report, config: &Config) -> Vec<String> {
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
            network.entry_nodes
        }
        Err(error) => {
            split(report, "network", &error.to_string());
            Vec::new()
        }
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
        Ok(started) => started,
        Err(error) => return split(report, &name("start"), &error.to_string()),
    };
    if started.backend.health().await == Health::Down {
        report.add(name("reachable"), Grade::Fail, "it does not answer", "start the server, or correct url");
        return;
    }
    let found = format!("it answers ({}, {} at once)", started.engine, started.concurrency);
    report.add(name("reachable"), Grade::Ok, found, "");
    let known = started.backend.models().await.unwrap_or_default();
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
        let subject = Subject {
            backend: &started.backend,
            name: &backend.name,
            engine: started.engine,
            concurrency: started.concurrency,
            model,
        };
        subject.check(report).await;
    }
}
