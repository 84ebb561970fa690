//! What Prometheus reads of a worker: counts, gauges and times by model, backend and outcome. Nothing in it names a user,
//! a question or a key, and labels take values of the operator's configuration and of fixed lists alone.
//!
//! The `gen_ai_*` names are those of OpenTelemetry's semantic conventions for generative AI (status: development).

use crate::inference::{Source, Usage, code};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Metric, Registry},
};
use std::time::Duration;

/// Content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that a worker counts. All of it can be used at once from all threads.
pub struct Metrics {
    registry: Registry,
    names: Vec<&'static str>,
    requests: Family<OfAnswer, Counter>,
    duration: Family<OfModel, Histogram, Buckets>,
    first_token: Family<OfModel, Histogram, Buckets>,
    output_token: Family<OfModel, Histogram, Buckets>,
    usage: Family<OfUsage, Histogram, Buckets>,
    tokens: Family<OfTokens, Counter>,
    usage_mismatch: Family<OfModel, Counter>,
    truncated: Family<OfModel, Counter>,
    in_flight: Family<OfModel, Gauge>,
    queue_depth: Family<OfModel, Gauge>,
    queue_wait: Family<OfModel, Histogram, Buckets>,
    rejected: Family<OfOutcome, Counter>,
    overhead: Family<OfStage, Histogram, Buckets>,
    backend_up: Family<OfBackend, Gauge>,
    backend_errors: Family<OfFailure, Counter>,
    cancelled: Family<OfPhase, Counter>,
    cancel_propagation: Histogram,
    receipts: Counter,
    probes: Counter,
    draining: Gauge,
}

type Buckets = fn() -> Histogram;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfModel {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAnswer {
    model: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfUsage {
    model: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTokens {
    model: String,
    kind: &'static str,
    source: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfStage {
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfBackend {
    model: String,
    backend: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfFailure {
    backend: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPhase {
    phase: &'static str,
}

/// Where a job was when its client cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for a slot.
    Queued,
    /// With the backend, before the first word.
    Prefill,
    /// In the middle of the answer.
    Stream,
}

/// Where the worker itself spends time on one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Opening, admitting, framing and sealing.
    Machine,
    /// Keeping rows and handing over to the network and the models.
    Effects,
}

impl Default for Metrics {
    fn default() -> Self {
        // 5 ms to 160 s, 1 ms to 33 s, 10 us to 10 s, 1 to 16,384 tokens.
        let long = || Histogram::new(exponential_buckets(0.005, 2.0, 16));
        let short = || Histogram::new(exponential_buckets(0.001, 2.0, 16));
        let own = || Histogram::new(exponential_buckets(0.000_01, 4.0, 11));
        let counts = || Histogram::new(exponential_buckets(1.0, 2.0, 15));
        let by = |buckets: Buckets| buckets;
        let mut metrics = Self {
            registry: Registry::default(),
            names: Vec::new(),
            requests: Family::default(),
            duration: Family::new_with_constructor(by(long)),
            first_token: Family::new_with_constructor(by(short)),
            output_token: Family::new_with_constructor(by(short)),
            usage: Family::new_with_constructor(by(counts)),
            tokens: Family::default(),
            usage_mismatch: Family::default(),
            truncated: Family::default(),
            in_flight: Family::default(),
            queue_depth: Family::default(),
            queue_wait: Family::new_with_constructor(by(short)),
            rejected: Family::default(),
            overhead: Family::new_with_constructor(by(own)),
            backend_up: Family::default(),
            backend_errors: Family::default(),
            cancelled: Family::default(),
            cancel_propagation: short(),
            receipts: Counter::default(),
            probes: Counter::default(),
            draining: Gauge::default(),
        };
        metrics.register_all();
        metrics
    }
}

impl Metrics {
    fn register_all(&mut self) {
        self.add("worker_requests_total", "Questions by how their answers ended", self.requests.clone());
        self.add(
            "gen_ai_server_request_duration_seconds",
            "From accepting a question to the end of its answer",
            self.duration.clone(),
        );
        self.add(
            "gen_ai_server_time_to_first_token_seconds",
            "From accepting a question to the first word",
            self.first_token.clone(),
        );
        self.add(
            "gen_ai_server_time_per_output_token_seconds",
            "Between two tokens after the first",
            self.output_token.clone(),
        );
        self.add("gen_ai_client_token_usage", "Tokens of one question or answer", self.usage.clone());
        self.add("worker_tokens_total", "Tokens by who counted them", self.tokens.clone());
        self.add(
            "worker_usage_mismatch_total",
            "Answers whose backend counted implausibly",
            self.usage_mismatch.clone(),
        );
        self.add("worker_truncated_total", "Answers that met a limit of length", self.truncated.clone());
        self.add("worker_in_flight", "Jobs that run", self.in_flight.clone());
        self.add("worker_queue_depth", "Jobs that wait for a slot", self.queue_depth.clone());
        self.add("worker_queue_wait_seconds", "Time that a job waited for a slot", self.queue_wait.clone());
        self.add("worker_rejected_total", "Questions refused before a model saw them", self.rejected.clone());
        self.add("worker_overhead_seconds", "The worker's own time for one event", self.overhead.clone());
        self.add("worker_backend_up", "1 while the backend answers for the model", self.backend_up.clone());
        self.add("worker_backend_errors_total", "Failures of a backend", self.backend_errors.clone());
        self.add("worker_cancelled_total", "Jobs stopped by their clients or at a limit", self.cancelled.clone());
        self.add(
            "worker_cancel_propagation_seconds",
            "From a cancel to the end of its job",
            self.cancel_propagation.clone(),
        );
        self.add("worker_receipts_total", "Receipts signed", self.receipts.clone());
        self.add("worker_probes_total", "Probes answered without a model", self.probes.clone());
        self.add("worker_draining", "1 while no new questions are taken", self.draining.clone());
    }

    /// A counter's name ends in `_total` where it is read; the library adds that.
    fn add(&mut self, name: &'static str, help: &str, metric: impl Metric) {
        self.registry.register(name.strip_suffix("_total").unwrap_or(name), help, metric);
        self.names.push(name);
    }

    /// The name of every metric, as a query reads it; those of histograms without their endings.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// All of it as OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }

    /// A job of this model ended so after so long.
    pub fn ended(&self, model: &str, outcome: &'static str, took: Duration) {
        self.requests.get_or_create(&OfAnswer { model: model.to_owned(), outcome }).inc();
        self.duration.get_or_create(&of_model(model)).observe(took.as_secs_f64());
        if outcome == TRUNCATED {
            self.truncated.get_or_create(&of_model(model)).inc();
        }
    }

    /// The first word came after so long.
    pub fn first_token(&self, model: &str, after: Duration) {
        self.first_token.get_or_create(&of_model(model)).observe(after.as_secs_f64());
    }

    /// An answer's tokens after the first took so long together.
    pub fn streamed(&self, model: &str, tokens: u64, took: Duration) {
        if let Some(gaps) = tokens.checked_sub(1).filter(|gaps| *gaps > 0) {
            self.output_token.get_or_create(&of_model(model)).observe(took.as_secs_f64() / gaps as f64);
        }
    }

    /// What one answer cost.
    pub fn used(&self, model: &str, usage: Usage) {
        let source = match usage.source {
            Source::Backend => "backend",
            Source::Counted => "counted",
            Source::Estimated => "estimated",
        };
        for (kind, tokens) in [("input", usage.prompt), ("output", usage.completion)] {
            self.tokens.get_or_create(&OfTokens { model: model.to_owned(), kind, source }).inc_by(tokens);
            self.usage.get_or_create(&OfUsage { model: model.to_owned(), kind }).observe(tokens as f64);
        }
        if usage.source == Source::Counted {
            self.usage_mismatch.get_or_create(&of_model(model)).inc();
        }
    }

    /// So many jobs of this model run and wait.
    pub fn load(&self, model: &str, running: u32, waiting: u32) {
        self.in_flight.get_or_create(&of_model(model)).set(running.into());
        self.queue_depth.get_or_create(&of_model(model)).set(waiting.into());
    }

    /// A job of this model got its slot after so long.
    pub fn waited(&self, model: &str, waited: Duration) {
        self.queue_wait.get_or_create(&of_model(model)).observe(waited.as_secs_f64());
    }

    /// A question was refused with this code.
    pub fn rejected(&self, code: u16) {
        self.rejected.get_or_create(&OfOutcome { outcome: outcome(code) }).inc();
    }

    /// The worker itself took so long for one event.
    pub fn overhead(&self, stage: Stage, took: Duration) {
        let stage = match stage {
            Stage::Machine => "machine",
            Stage::Effects => "effects",
        };
        self.overhead.get_or_create(&OfStage { stage }).observe(took.as_secs_f64());
    }

    /// Whether this backend answers for this model.
    pub fn backend(&self, model: &str, backend: &str, up: bool) {
        let labels = OfBackend { model: model.to_owned(), backend: backend.to_owned() };
        self.backend_up.get_or_create(&labels).set(up.into());
    }

    /// This backend failed with this code.
    pub fn backend_failed(&self, backend: &str, code: u16) {
        self.backend_errors.get_or_create(&OfFailure { backend: backend.to_owned(), kind: outcome(code) }).inc();
    }

    /// A job was cancelled there.
    pub fn cancelled(&self, phase: Phase) {
        let phase = match phase {
            Phase::Queued => "queued",
            Phase::Prefill => "prefill",
            Phase::Stream => "stream",
        };
        self.cancelled.get_or_create(&OfPhase { phase }).inc();
    }

    /// A cancelled job ended so long after the cancel.
    pub fn cancel_took(&self, took: Duration) {
        self.cancel_propagation.observe(took.as_secs_f64());
    }

    /// A receipt was signed.
    pub fn receipt(&self) {
        self.receipts.inc();
    }

    /// A probe was answered.
    pub fn probe(&self) {
        self.probes.inc();
    }

    /// No new questions are taken from now on.
    pub fn drains(&self) {
        self.draining.set(1);
    }
}

fn of_model(model: &str) -> OfModel {
    OfModel { model: model.to_owned() }
}

/// Outcome of an answer that is whole.
pub const COMPLETE: &str = "complete";
/// Outcome of an answer that met a limit of length.
pub const TRUNCATED: &str = "truncated";

/// An error code of protocol section 5.8 as a label.
pub fn outcome(code: u16) -> &'static str {
    match code {
        code::BAD_REQUEST => "bad_request",
        code::MODEL_UNAVAILABLE => "model_unavailable",
        code::OVERLOADED => "overloaded",
        6 => "payment_required",
        7 => "payment_invalid",
        code::TOO_LARGE => "too_large",
        code::REFUSED => "refused",
        code::INTERNAL => "internal",
        code::CANCELLED => "cancelled",
        12 => "unsupported",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// One of everything.
    fn touched() -> Metrics {
        let metrics = Metrics::default();
        metrics.ended("m", TRUNCATED, Duration::from_millis(400));
        metrics.first_token("m", Duration::from_millis(40));
        metrics.streamed("m", 10, Duration::from_millis(90));
        metrics.used("m", Usage { prompt: 3, completion: 10, source: Source::Counted });
        metrics.load("m", 1, 2);
        metrics.waited("m", Duration::ZERO);
        metrics.rejected(5);
        metrics.overhead(Stage::Machine, Duration::from_micros(80));
        metrics.overhead(Stage::Effects, Duration::from_micros(90));
        metrics.backend("m", "gpu0", true);
        metrics.backend_failed("gpu0", 10);
        metrics.cancelled(Phase::Stream);
        metrics.cancel_took(Duration::from_millis(2));
        metrics.receipt();
        metrics.drains();
        metrics
    }

    #[test]
    fn what_is_counted_is_read_under_its_name() {
        let metrics = touched();
        let text = metrics.encode();
        for line in [
            "worker_requests_total{model=\"m\",outcome=\"truncated\"} 1",
            "worker_truncated_total{model=\"m\"} 1",
            "gen_ai_server_request_duration_seconds_count{model=\"m\"} 1",
            "gen_ai_server_time_per_output_token_seconds_sum{model=\"m\"} 0.01",
            "worker_tokens_total{model=\"m\",kind=\"output\",source=\"counted\"} 10",
            "worker_usage_mismatch_total{model=\"m\"} 1",
            "worker_queue_depth{model=\"m\"} 2",
            "worker_rejected_total{outcome=\"overloaded\"} 1",
            "worker_backend_up{model=\"m\",backend=\"gpu0\"} 1",
            "worker_backend_errors_total{backend=\"gpu0\",kind=\"internal\"} 1",
            "worker_cancelled_total{phase=\"stream\"} 1",
            "worker_draining 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found.starts_with(line)), "{line} is not in:\n{text}");
        }
        for name in metrics.names() {
            let family = name.strip_suffix("_total").unwrap_or(name);
            assert!(text.contains(&format!("# TYPE {family} ")), "{name} is in no line:\n{text}");
        }
    }

    #[test]
    fn the_grafana_dashboard_shows_every_metric_and_no_other() {
        let board: serde_json::Value =
            serde_json::from_str(include_str!("../../assets/grafana/worker.json")).expect("JSON");
        let metrics = Metrics::default();
        let mut shown = BTreeSet::new();
        for panel in board["panels"].as_array().expect("panels") {
            let targets = panel["targets"].as_array().expect("targets");
            assert!(!targets.is_empty(), "{} shows nothing", panel["title"]);
            for target in targets {
                let expression = target["expr"].as_str().expect("an expression");
                let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
                for word in words.filter(|word| word.starts_with("worker_") || word.starts_with("gen_ai_")) {
                    let endings = ["_bucket", "_sum", "_count"];
                    let family = endings.iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word);
                    assert!(metrics.names().contains(&family), "{}: there is no metric {word}", panel["title"]);
                    shown.insert(family);
                }
            }
        }
        let missing: Vec<_> = metrics.names().iter().filter(|name| !shown.contains(*name)).collect();
        assert!(missing.is_empty(), "no panel shows {missing:?}");
    }
}
