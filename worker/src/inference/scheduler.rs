//! Runs the core's jobs: a bounded queue and a cap per model, a cap per backend, early refusal, cancel, and exactly one
//! terminal input per job whatever the backend does. Framing and pace are the core's business.

use super::{
    Backend, ChatRequest, Failure, TOKEN_BUFFER, Token, code,
    lane::{Bounds, Lane, Place, Slot, lock, probe},
};
use crate::metrics::{Metrics, Phase};
use futures::FutureExt;
use privacyai::effect::Millis;
use privacyai::provider::{Input, Job, SessionId};
use serde::Serialize;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Inputs on their way to the serve loop, of all jobs together: a few per live job. Full, it stops the jobs, not the loop.
const EVENT_BUFFER: usize = 256;
/// A backend that does not come back after a cancel is dropped then.
const CANCEL_GRACE: Duration = Duration::from_secs(2);
/// Retries of a job that has not begun to answer.
const MAX_RETRIES: usize = 2;
/// Before the next try where the backend names no time.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// A longer `Retry-After`, in seconds, goes to the client instead of being waited for.
const MAX_RETRY_AFTER: u16 = 10;

/// A model that this worker offers, and who runs it.
#[derive(Clone)]
pub struct Model {
    /// As announced.
    pub id: String,
    /// In order of preference; at least one.
    pub routes: Vec<Route>,
    /// Put before every conversation (a preset's system prompt).
    pub system: Option<String>,
    /// Used where the client does not say.
    pub temperature: Option<f64>,
    /// Used where the client does not say.
    pub top_p: Option<f64>,
    /// Jobs that run at once.
    pub concurrency: u32,
    /// Jobs that may wait.
    pub queue: u32,
    /// Most tokens of one answer; also what a client gets that does not say.
    pub max_output_tokens: u32,
}

/// What the operator may change of a model while its jobs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Jobs that run at once.
    pub concurrency: u32,
    /// Jobs that may wait.
    pub queue: u32,
    /// Most tokens of one answer.
    pub max_output_tokens: u32,
}

/// One backend of a model.
#[derive(Clone)]
pub struct Route {
    /// The operator's name for it, for counters.
    pub name: String,
    /// The backend.
    pub backend: Arc<dyn Backend>,
    /// Its own id of the model.
    pub upstream_id: String,
    /// Jobs that run at once on this backend, of all models together.
    pub slots: Arc<Semaphore>,
}

/// Runs jobs. Cheap to clone; none of its functions waits.
#[derive(Clone)]
pub struct Scheduler {
    lanes: Arc<HashMap<String, Arc<Lane>>>,
    live: Arc<Mutex<HashMap<SessionId, Live>>>,
    events: mpsc::Sender<Input>,
    available: watch::Receiver<Vec<String>>,
    metrics: Arc<Metrics>,
}

/// A job that has not ended.
struct Live {
    cancel: CancellationToken,
    cancelled: Option<Instant>,
}

/// How busy a model is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelLoad {
    /// The model's id.
    pub model: String,
    /// Whether a backend answers for it.
    pub up: bool,
    /// Jobs that run.
    pub running: u32,
    /// Jobs that run at once at most.
    pub slots: u32,
    /// Jobs that wait.
    pub waiting: u32,
    /// Tokens per second of one answer, 0 while unknown.
    pub tokens_per_s: u32,
}

impl Scheduler {
    /// Starts the scheduler and the probes of its backends. The receiver gives [`Input::Text`], [`Input::Json`],
    /// [`Input::Usage`], then one of [`Input::Finished`] and [`Input::Failed`] per job. Needs a tokio runtime.
    pub fn start(models: Vec<Model>) -> (Self, mpsc::Receiver<Input>) {
        let (events, received) = mpsc::channel(EVENT_BUFFER);
        let (publish, available) = watch::channel(models.iter().map(|m| m.id.clone()).collect());
        let publish = Arc::new(publish);
        let metrics = Arc::new(Metrics::default());
        let mut lanes = HashMap::new();
        for model in models {
            let (up, seen) = watch::channel(vec![true; model.routes.len()]);
            let id = model.id.clone();
            for route in &model.routes {
                metrics.backend(&id, &route.name, true);
            }
            tokio::spawn(probe(id.clone(), model.routes.clone(), up, publish.clone(), metrics.clone()));
            let limits = Limits {
                concurrency: model.concurrency.max(1),
                queue: model.queue,
                max_output_tokens: model.max_output_tokens,
            };
            let slots = Arc::new(Semaphore::new(limits.concurrency as usize));
            let bounds = Mutex::new(Bounds { limits, surplus: 0 });
            let lane = Lane { model, bounds, slots, load: Mutex::default(), up: seen };
            lanes.insert(id, Arc::new(lane));
        }
        (Self { lanes: Arc::new(lanes), live: Arc::default(), events, available, metrics }, received)
    }

    /// The ids of the models with a backend that is up; changes when one goes down or comes back.
    pub fn available(&self) -> watch::Receiver<Vec<String>> {
        self.available.clone()
    }

    /// Where it counts what it does.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.metrics.clone()
    }

    /// How busy each model is now, by name; the gauges of the metrics are set to the same.
    pub fn loads(&self) -> Vec<ModelLoad> {
        let available = self.available.borrow().clone();
        let mut loads: Vec<ModelLoad> = self
            .lanes
            .values()
            .map(|lane| {
                let slots = lane.limits().concurrency;
                let live = lock(&lane.load).live;
                let model = lane.model.id.clone();
                let tokens_per_s = self.tokens_per_second(&model);
                let up = available.contains(&model);
                ModelLoad {
                    up,
                    running: live.min(slots),
                    slots,
                    waiting: live.saturating_sub(slots),
                    tokens_per_s,
                    model,
                }
            })
            .collect();
        loads.sort_by(|a, b| a.model.cmp(&b.model));
        for load in &loads {
            self.metrics.load(&load.model, load.running, load.waiting);
        }
        loads
    }

    /// Sets a model's limits anew. Running jobs go on: where fewer may run, those that end make no room.
    pub fn limit(&self, model: &str, limits: Limits) {
        let Some(lane) = self.lanes.get(model) else { return };
        let limits = Limits { concurrency: limits.concurrency.max(1), ..limits };
        let mut bounds = lock(&lane.bounds);
        let old = std::mem::replace(&mut bounds.limits, limits);
        let more = limits.concurrency.saturating_sub(old.concurrency);
        let kept = more.min(bounds.surplus);
        bounds.surplus -= kept;
        lane.slots.add_permits((more - kept) as usize);
        let fewer = old.concurrency.saturating_sub(limits.concurrency);
        let free = u32::try_from(lane.slots.forget_permits(fewer as usize)).unwrap_or(fewer);
        bounds.surplus += fewer - free;
    }

    /// Jobs that have not ended.
    pub fn live(&self) -> usize {
        lock(&self.live).len()
    }

    /// Tokens per second of one answer of this model, as measured; 0 before the first answer of some length.
    pub fn tokens_per_second(&self, model: &str) -> u32 {
        let rate = self.lanes.get(model).and_then(|lane| lock(&lane.load).rate);
        // A rate below zero or beyond the type's range does not come out of `learn_rate`.
        rate.map_or(0, |rate| rate.round() as u32)
    }

    /// Starts or queues a job. It ends with exactly one terminal input on the receiver of [`Scheduler::start`]. A job
    /// still queued at its deadline is refused unstarted; a running one is the core's to cancel.
    pub fn submit(&self, job: Job, now: Millis) {
        let cancel = CancellationToken::new();
        let live = Live { cancel: cancel.clone(), cancelled: None };
        if lock(&self.live).insert(job.session, live).is_some() {
            tracing::error!("a session was submitted twice");
        }
        let this = self.clone();
        let expires = Instant::now() + Duration::from_millis(job.deadline.0.saturating_sub(now.0));
        tokio::spawn(async move {
            let session = job.session;
            let end = AssertUnwindSafe(this.run(job, expires, &cancel)).catch_unwind().await;
            let cancelled = lock(&this.live).remove(&session).and_then(|live| live.cancelled);
            if let Some(cancelled) = cancelled {
                this.metrics.cancel_took(cancelled.elapsed());
            }
            let end = end.unwrap_or_else(|_| {
                tracing::error!("a backend panicked");
                Err(Failure::new(code::INTERNAL))
            });
            this.emit(match end {
                Ok(reason) => Input::Finished(session, reason),
                Err(failure) => Input::Failed(session, failure.code, failure.retry_after),
            })
            .await;
        });
    }

    /// Stops a job; it still ends with its terminal input. Unknown sessions are ignored: the job may just have ended.
    pub fn cancel(&self, session: SessionId) {
        if let Some(live) = lock(&self.live).get_mut(&session) {
            live.cancelled.get_or_insert_with(Instant::now);
            live.cancel.cancel();
        }
    }

    /// Stops all jobs.
    pub fn cancel_all(&self) {
        lock(&self.live).values().for_each(|live| live.cancel.cancel());
    }

    /// The serve loop holds the receiver as long as it lives; without it there is nobody to tell.
    async fn emit(&self, input: Input) {
        let _ = self.events.send(input).await;
    }

    async fn run(&self, job: Job, expires: Instant, cancel: &CancellationToken) -> Result<String, Failure> {
        let lane = self.lanes.get(&job.model).ok_or(Failure::new(code::MODEL_UNAVAILABLE))?.clone();
        let mut request = ChatRequest::parse(&job.content)?;
        drop(job.content);
        request.prefix = job.prefix;
        let model = &lane.model;
        if let Some(system) = &model.system {
            request.prepend_system(system);
        }
        request.temperature = request.temperature.or(model.temperature);
        request.top_p = request.top_p.or(model.top_p);
        let most = lane.limits().max_output_tokens;
        request.max_tokens = Some(request.max_tokens.unwrap_or(most).min(most).max(1));

        let _place = Place::take(&lane)?;
        let queued = Instant::now();
        let slot = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(self.cancelled(Phase::Queued)),
            slot = lane.slots.clone().acquire_owned() => slot.map_err(|_| Failure::new(code::INTERNAL))?,
            () = tokio::time::sleep_until(expires) => return Err(lane.overloaded()),
        };
        let slot = Slot { lane: &lane, permit: Some(slot) };
        let started = Instant::now();
        self.metrics.waited(&lane.model.id, started.duration_since(queued));
        let end = self.run_on_routes(&lane, job.session, request, expires, cancel).await;
        drop(slot);
        lane.learn(started.elapsed());
        end
    }

    /// Tries the model's routes, the best first, until one begins to answer.
    async fn run_on_routes(
        &self,
        lane: &Lane,
        session: SessionId,
        request: ChatRequest,
        expires: Instant,
        cancel: &CancellationToken,
    ) -> Result<String, Failure> {
        let order = lane.route_order();
        for (tries, index) in order.iter().cycle().enumerate() {
            let Some(route) = lane.model.routes.get(*index) else { break };
            let slot = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(self.cancelled(Phase::Queued)),
                slot = route.slots.clone().acquire_owned() => slot.map_err(|_| Failure::new(code::INTERNAL))?,
                () = tokio::time::sleep_until(expires) => return Err(lane.overloaded()),
            };
            let mut request = request.clone();
            request.model.clone_from(&route.upstream_id);
            let (end, began) = self.run_on(lane, route, slot, session, request, cancel).await;
            let Err(failure) = end else { return end };
            if cancel.is_cancelled() {
                return Err(self.cancelled(if began { Phase::Stream } else { Phase::Prefill }));
            }
            self.metrics.backend_failed(&route.name, failure.code);
            let pause = match (failure.code, failure.retry_after) {
                _ if began || tries >= MAX_RETRIES => return Err(failure),
                (code::MODEL_UNAVAILABLE, _) => RETRY_PAUSE,
                (code::OVERLOADED, _) if order.len() > 1 => RETRY_PAUSE,
                (code::OVERLOADED, seconds) if seconds <= MAX_RETRY_AFTER => {
                    Duration::from_secs(u64::from(seconds.max(1)))
                }
                _ => return Err(failure),
            };
            tokio::select! {
                () = cancel.cancelled() => return Err(self.cancelled(Phase::Queued)),
                () = tokio::time::sleep(pause) => {}
            }
        }
        Err(Failure::new(code::MODEL_UNAVAILABLE))
    }

    fn cancelled(&self, phase: Phase) -> Failure {
        self.metrics.cancelled(phase);
        Failure::new(code::CANCELLED)
    }

    /// Runs a request on one backend; says also whether any part of an answer came.
    async fn run_on(
        &self,
        lane: &Lane,
        route: &Route,
        slot: OwnedSemaphorePermit,
        session: SessionId,
        request: ChatRequest,
        cancel: &CancellationToken,
    ) -> (Result<String, Failure>, bool) {
        let (out, mut tokens) = mpsc::channel(TOKEN_BUFFER);
        let infer = AssertUnwindSafe(route.backend.infer(request, out, cancel.clone())).catch_unwind();
        let bounded = async {
            tokio::select! {
                end = infer => end.unwrap_or(Err(Failure::new(code::INTERNAL))),
                () = async { cancel.cancelled().await; tokio::time::sleep(CANCEL_GRACE).await } => {
                    Err(Failure::new(code::CANCELLED))
                }
            }
        };
        let forward = async {
            let mut began = None;
            while let Some(token) = tokens.recv().await {
                let first = *began.get_or_insert_with(Instant::now);
                if let Token::Usage(usage) = &token {
                    lane.learn_rate(usage.completion, first.elapsed());
                }
                self.emit(match token {
                    Token::Text(text) => Input::Text(session, text),
                    Token::Json(json) => Input::Json(session, json),
                    Token::Usage(usage) => Input::Usage {
                        session,
                        prompt: usage.prompt,
                        completion: usage.completion,
                        source: usage.source as u8,
                    },
                })
                .await;
            }
            began.is_some()
        };
        let (end, began) = tokio::join!(bounded, forward);
        let linger = route.backend.lingers();
        if cancel.is_cancelled() && !linger.is_zero() {
            tokio::spawn(async move {
                tokio::time::sleep(linger).await;
                drop(slot);
            });
        }
        (end, began)
    }
}
