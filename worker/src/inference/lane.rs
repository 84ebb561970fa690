//! One model's queue: who may wait and run, what its jobs taught about its speed, and which of its backends are up.

use super::{
    Failure, Health, code,
    scheduler::{Limits, Model, Route},
};
use crate::metrics::Metrics;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// A job that would wait longer than this for its first token is refused at once, so that its client can go elsewhere.
const MAX_WAIT: Duration = Duration::from_secs(15);
/// Between two looks at a backend that is up; one that is down is looked at every 15 s.
const PROBE_UP: Duration = Duration::from_secs(10);
/// See [`PROBE_UP`].
const PROBE_DOWN: Duration = Duration::from_secs(15);
/// So many probes fail before a backend counts as down.
const PROBES_UNTIL_DOWN: u8 = 3;
/// An answer of fewer tokens does not count for [`Scheduler::tokens_per_second`].
const MIN_TOKENS_FOR_RATE: u64 = 16;

/// One model's queue.
pub(super) struct Lane {
    pub model: Model,
    pub bounds: Mutex<Bounds>,
    pub slots: Arc<Semaphore>,
    pub load: Mutex<Load>,
    pub up: watch::Receiver<Vec<bool>>,
}

pub(super) struct Bounds {
    pub limits: Limits,
    /// Slots in use that are to vanish with the job that holds them.
    pub surplus: u32,
}

#[derive(Default)]
pub(super) struct Load {
    pub live: u32,
    /// Smoothed time that a job holds its slot; none before the first one ended.
    mean: Option<Duration>,
    /// Smoothed tokens per second of one answer; none before the first was counted.
    pub rate: Option<f64>,
}

/// A running job's slot in its lane: given back when dropped, unless there are to be fewer.
pub(super) struct Slot<'a> {
    pub lane: &'a Lane,
    pub permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut bounds = lock(&self.lane.bounds);
        if bounds.surplus > 0
            && let Some(permit) = self.permit.take()
        {
            bounds.surplus -= 1;
            permit.forget();
        }
    }
}

/// A job's place in its lane, given back when dropped.
pub(super) struct Place<'a>(&'a Lane);

impl<'a> Place<'a> {
    pub fn take(lane: &'a Lane) -> Result<Self, Failure> {
        let wait = lane.expected_wait();
        let limits = lane.limits();
        let mut load = lock(&lane.load);
        if load.live >= limits.concurrency.saturating_add(limits.queue) || wait > MAX_WAIT {
            drop(load);
            return Err(lane.overloaded());
        }
        load.live += 1;
        drop(load);
        Ok(Self(lane))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut load = lock(&self.0.load);
        load.live = load.live.saturating_sub(1);
    }
}

impl Lane {
    pub fn limits(&self) -> Limits {
        lock(&self.bounds).limits
    }

    /// How long a new job would wait for a slot, from the jobs ahead and the measured time of a job.
    fn expected_wait(&self) -> Duration {
        let concurrency = self.limits().concurrency;
        let load = lock(&self.load);
        match load.mean {
            Some(mean) if load.live >= concurrency => mean.saturating_mul(load.live - concurrency + 1) / concurrency,
            _ => Duration::ZERO,
        }
    }

    pub fn overloaded(&self) -> Failure {
        let seconds = self.expected_wait().as_secs().saturating_add(1).min(60);
        Failure { code: code::OVERLOADED, retry_after: u16::try_from(seconds).unwrap_or(60) }
    }

    pub fn learn(&self, took: Duration) {
        let mut load = lock(&self.load);
        load.mean = Some(load.mean.map_or(took, |mean| (mean.saturating_mul(7) + took) / 8));
    }

    /// Few tokens say little about the rate, so short answers do not count.
    pub fn learn_rate(&self, tokens: u64, took: Duration) {
        if tokens >= MIN_TOKENS_FOR_RATE && !took.is_zero() {
            let rate = (tokens as f64 / took.as_secs_f64()).min(f64::from(u32::MAX));
            let mut load = lock(&self.load);
            load.rate = Some(load.rate.map_or(rate, |mean| (mean * 7.0 + rate) / 8.0));
        }
    }

    /// Routes that are up before those that are down, then those with more free slots, then the operator's order.
    pub fn route_order(&self) -> Vec<usize> {
        let up = self.up.borrow().clone();
        let mut order: Vec<usize> = (0..self.model.routes.len()).collect();
        order.sort_by_key(|index| {
            let free = self.model.routes.get(*index).map_or(0, |route| route.slots.available_permits());
            (!up.get(*index).copied().unwrap_or(false), std::cmp::Reverse(free))
        });
        order
    }
}

/// Looks at a model's backends for as long as its lane lives, and keeps the list of available models true.
pub(super) async fn probe(
    id: String,
    routes: Vec<Route>,
    up: watch::Sender<Vec<bool>>,
    available: Arc<watch::Sender<Vec<String>>>,
    metrics: Arc<Metrics>,
) {
    // One that is down from the start is found out by the first look.
    let mut failed = vec![PROBES_UNTIL_DOWN - 1; routes.len()];
    loop {
        for (route, failed) in routes.iter().zip(&mut failed) {
            let serves = match route.backend.models().await {
                Ok(models) => models.is_empty() || models.contains(&route.upstream_id),
                Err(_) => route.backend.health().await == Health::Up,
            };
            *failed = if serves { 0 } else { failed.saturating_add(1) };
        }
        let now: Vec<bool> = failed.iter().map(|failed| *failed < PROBES_UNTIL_DOWN).collect();
        for (route, up) in routes.iter().zip(&now) {
            metrics.backend(&id, &route.name, *up);
        }
        let any = now.iter().any(|up| *up);
        if up.send(now).is_err() {
            return;
        }
        available.send_if_modified(|models| {
            let listed = models.iter().position(|model| *model == id);
            match (listed, any) {
                (Some(at), false) => drop(models.remove(at)),
                (None, true) => models.push(id.clone()),
                _ => return false,
            }
            true
        });
        tokio::select! {
            () = tokio::time::sleep(if any { PROBE_UP } else { PROBE_DOWN }) => {}
            () = up.closed() => return,
        }
    }
}

/// A panicking holder leaves these maps whole, so a poisoned lock is taken as it is.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
