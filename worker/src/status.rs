//! What the operator is told of a running worker: as JSON, as lines for a terminal, and `worker status`, which asks for
//! either of them.

use crate::{
    config::Mode,
    dashboard::{self, Token},
    inference::{ModelLoad, Scheduler},
    local,
    tally::{Tally, Told},
};
use privacyai::identity::ProviderId;
use privacyai_waku::Node;
use serde::Serialize;
use std::{
    error::Error,
    fmt::Write as _,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};

/// A worker on this machine answers at once, or it hangs.
const PATIENCE: Duration = Duration::from_secs(5);
/// Said until reputations of others can be proven.
const REPUTATION: &str = "Nothing is published yet: stars stay with the users who gave them";
/// Said until there are payments.
const EARNINGS: &str = "Payments are not there yet: this worker answers without being paid";

/// Where the facts come from.
pub struct Facts {
    /// PROVIDER_ID
    pub handle: String,
    /// PROVIDER_NAME
    pub name: String,
    /// Who it is.
    pub provider_id: ProviderId,
    /// Which market.
    pub mode: Mode,
    /// What the serve loop counted.
    pub tally: Arc<Tally>,
    /// What runs models.
    pub scheduler: Scheduler,
    /// The worker's node, as long as it runs.
    pub node: Weak<Node>,
}

/// The whole of it at one time.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The build.
    pub version: &'static str,
    /// PROVIDER_ID
    pub handle: String,
    /// PROVIDER_NAME
    pub name: String,
    /// The provider's id as text.
    pub provider_id: String,
    /// Its begin, in groups, to compare by eye.
    pub fingerprint: String,
    /// Its picture, row by row.
    pub glyph: [[bool; 5]; 5],
    /// `local` or `network`.
    pub mode: &'static str,
    /// How it is.
    pub state: State,
    /// The gravest thing that the operator should know.
    pub alert: Option<Alert>,
    /// Other nodes connected, light ones too.
    pub peers: usize,
    /// What was counted since the start.
    #[serde(flatten)]
    pub told: Told,
    /// How busy each model is.
    pub models: Vec<ModelLoad>,
    /// What is known of the reputation.
    pub reputation: &'static str,
    /// What was earned.
    pub earnings: &'static str,
}

/// How a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not announced yet.
    Starting,
    /// It answers.
    Online,
    /// No backend answers for any model.
    NoBackend,
    /// Nobody can reach it.
    NoPeers,
    /// It finishes its answers and ends.
    Draining,
}

impl State {
    const fn words(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Online => "online",
            Self::NoBackend => "without a backend",
            Self::NoPeers => "online, nobody connected",
            Self::Draining => "stopping",
        }
    }
}

/// One line that asks for attention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// What is the matter.
    pub title: String,
    /// What to do.
    pub body: &'static str,
    /// The command that helps.
    pub command: Option<&'static str>,
}

impl Facts {
    /// What there is to tell now.
    pub fn status(&self) -> Status {
        let (told, models) = (self.tally.told(), self.scheduler.loads());
        let peers = self.node.upgrade().map_or(0, |node| node.peers().len());
        let state = state(&told, &models, peers);
        Status {
            version: env!("CARGO_PKG_VERSION"),
            handle: self.handle.clone(),
            name: self.name.clone(),
            provider_id: self.provider_id.to_string(),
            fingerprint: self.provider_id.fingerprint(),
            glyph: self.provider_id.glyph(),
            mode: self.mode.as_str(),
            state,
            alert: alert(state, &models),
            peers,
            told,
            models,
            reputation: REPUTATION,
            earnings: EARNINGS,
        }
    }

    /// The metrics as text, with gauges that are true now.
    pub fn metrics(&self) -> String {
        self.scheduler.loads();
        self.scheduler.metrics().encode()
    }

    /// Whether a question would be taken.
    pub fn is_ready(&self) -> bool {
        matches!(self.status().state, State::Online | State::NoPeers)
    }
}

fn state(told: &Told, models: &[ModelLoad], peers: usize) -> State {
    if told.draining {
        State::Draining
    } else if told.announced_ms.is_none() {
        State::Starting
    } else if !models.iter().any(|model| model.up) {
        State::NoBackend
    } else if peers == 0 {
        State::NoPeers
    } else {
        State::Online
    }
}

fn alert(state: State, models: &[ModelLoad]) -> Option<Alert> {
    let alert = |title: &str, body, command| Some(Alert { title: title.to_owned(), body, command });
    match state {
        State::Draining => alert("Stopping.", "No new questions are taken; running answers are finished.", None),
        State::NoBackend => alert(
            "No backend answers.",
            "No model is offered until one is back; this finds out why:",
            Some("worker doctor"),
        ),
        State::NoPeers => {
            alert("Nobody is connected.", "Users connect by the invite that this prints:", Some("worker invite"))
        }
        State::Starting => None,
        State::Online => {
            let down: Vec<&str> = models.iter().filter(|model| !model.up).map(|model| model.model.as_str()).collect();
            let title = format!("No backend answers for {}.", down.join(", "));
            (!down.is_empty()).then_some(Alert {
                title,
                body: "The other models are offered; this finds out why:",
                command: Some("worker doctor"),
            })
        }
    }
}

impl Status {
    /// For a terminal.
    pub fn lines(&self, now_ms: u64) -> String {
        let (told, counts) = (&self.told, &self.told.counts);
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name:<12} {value}");
        };
        let announced = told.announced_ms.map_or_else(
            || "not announced yet".to_owned(),
            |at| format!("announced {} ago", span(now_ms.saturating_sub(at) / 1_000)),
        );
        line(
            &self.handle,
            format!(
                "{:?} is {}, up {}, {announced}, {}",
                self.name,
                self.state.words(),
                span(told.uptime_s),
                many(self.peers as u64, "peer")
            ),
        );
        if let Some(Alert { title, body, command }) = &self.alert {
            line("note", format!("{title} {body} {}", command.unwrap_or_default()).trim_end().to_owned());
        }
        line("fingerprint", self.fingerprint.clone());
        line(
            "requests",
            format!(
                "{} accepted: {} answered, {} cancelled, {} failed; {} refused; since the start",
                grouped(counts.accepted),
                grouped(counts.answered),
                grouped(counts.cancelled),
                grouped(counts.failed),
                grouped(counts.refused)
            ),
        );
        let (running, slots, waiting) =
            self.models.iter().fold((0_u64, 0_u64, 0_u64), |(running, slots, waiting), of| {
                (running + u64::from(of.running), slots + u64::from(of.slots), waiting + u64::from(of.waiting))
            });
        line("queue", format!("{running} of {slots} slots busy, {waiting} waiting"));
        let speed = told.tokens_per_s.map_or_else(|| "-".to_owned(), |rate| grouped(rate.into()));
        line("speed", format!("{speed} tokens/s an answer; {} tokens written", grouped(counts.completion_tokens)));
        let first = |ms: Option<u32>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
        line("first token", format!("p50 {}, p95 {}", first(told.first_p50_ms), first(told.first_p95_ms)));
        let errors: Vec<String> =
            told.errors.iter().map(|of| format!("{} ({}) {}", of.name, of.code, grouped(of.count))).collect();
        line("errors", if errors.is_empty() { "none".to_owned() } else { errors.join(", ") });
        line("receipts", format!("{} signed", grouped(counts.receipts)));
        line("reputation", self.reputation.to_owned());
        line("earnings", self.earnings.to_owned());
        for of in &self.models {
            let up = if of.up { "up" } else { "down" };
            line("model", format!("{} {up}, {} of {} running, {} waiting", of.model, of.running, of.slots, of.waiting));
        }
        text
    }
}

/// 1284 -> 1,284
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn many(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// 273600 -> 3 d 4 h
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, _) => format!("{hours} h {} min", minutes % 60),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}

/// How `worker status` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines for a terminal.
    Lines,
    /// One JSON object.
    Json,
}

/// Asks the running worker of this PROVIDER_ID.
///
/// # Errors
/// When none runs or it does not answer, with what to do.
pub async fn ask(base: &Path, provider_id: &str, format: Format) -> Result<String, Box<dyn Error>> {
    let Some(entry) = local::running(base).into_iter().find(|entry| entry.handle == provider_id) else {
        return Err(format!(
            "no worker with PROVIDER_ID={provider_id} runs\n  to fix: start it with `worker run`, or set PROVIDER_ID to \
             one that runs"
        )
        .into());
    };
    let Some(address) = entry.dashboard else {
        return Err(format!(
            "{provider_id} runs (process {}) as an entry node: it answers no questions, so it has no status",
            entry.pid
        )
        .into());
    };
    let token = Token::of_worker(base, provider_id)?;
    let url = dashboard::url(address, &token);
    let silent = |error: reqwest::Error| -> Box<dyn Error> {
        format!(
            "{provider_id} runs (process {}) but does not answer on {address}: {}\n  to fix: stop it and start it again",
            entry.pid,
            error.without_url()
        )
        .into()
    };
    Ok(match format {
        Format::Lines => {
            let lines = fetch(address, "status.txt", &token).await.map_err(silent)?;
            format!("{lines}{:<12} {url}", "dashboard")
        }
        Format::Json => {
            let json = fetch(address, "status", &token).await.map_err(silent)?;
            let mut status: serde_json::Value = serde_json::from_str(&json)?;
            if let Some(object) = status.as_object_mut() {
                object.insert("dashboard".to_owned(), url.into());
            }
            serde_json::to_string_pretty(&status)?
        }
    })
}

async fn fetch(address: SocketAddr, path: &str, token: &Token) -> Result<String, reqwest::Error> {
    // The client wants a provider of TLS at hand although it uses none here; the first one wins, and all are the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).http1_only().build()?;
    let request = client.get(format!("http://{address}/{path}")).bearer_auth(token.as_str());
    request.send().await?.error_for_status()?.text().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_read_at_a_glance() {
        assert_eq!([0, 999, 1_284, 1_000_000].map(grouped), ["0", "999", "1,284", "1,000,000"]);
        assert_eq!([59, 60, 3_660, 273_600].map(span), ["59 s", "1 min", "1 h 1 min", "3 d 4 h"]);
        assert_eq!([many(1, "peer"), many(2, "peer")], ["1 peer", "2 peers"]);
    }

    #[test]
    fn the_gravest_thing_is_told() {
        let tally = Tally::new(Arc::default());
        let load =
            |model: &str, up| ModelLoad { model: model.into(), up, running: 0, slots: 1, waiting: 0, tokens_per_s: 0 };
        let check = |announced: Option<u64>, draining, up: [bool; 2], peers, expected, words: &str| {
            let told = Told { announced_ms: announced, draining, ..tally.told() };
            let models = [load("a", up[0]), load("b", up[1])];
            let state = state(&told, &models, peers);
            let alert = alert(state, &models).map_or_else(String::new, |alert| alert.title);
            assert_eq!((state, alert.as_str()), (expected, words));
        };
        check(None, false, [true, true], 1, State::Starting, "");
        check(Some(1), false, [true, true], 1, State::Online, "");
        check(Some(1), false, [true, false], 1, State::Online, "No backend answers for b.");
        check(Some(1), false, [false, false], 0, State::NoBackend, "No backend answers.");
        check(Some(1), false, [true, true], 0, State::NoPeers, "Nobody is connected.");
        check(Some(1), true, [false, false], 0, State::Draining, "Stopping.");
    }
}
