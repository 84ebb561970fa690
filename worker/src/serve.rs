//! The event loop: messages, tokens, time and signals become inputs of the provider's machine, and its effects are
//! carried out in order. No rule of the protocol is in here, and nothing that a peer sends ends the loop.

use crate::{
    inference::Scheduler,
    metrics::Stage,
    publisher::Publisher,
    storage::{Storage, StorageError},
    tally::Tally,
};
use getrandom::SysRng;
use privacyai::{
    effect::{Batch, Millis, Table},
    provider::{Effect, Input, Note, Offer, Provider},
};
use privacyai_waku::{Node, WakuMessage};
use rand_core::UnwrapErr;
use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
};

/// Messages between the node and the loop. A flood fills it, then the node's own buffer, which drops the oldest.
const MESSAGES: usize = 256;
/// How long running answers may take after the first signal.
const DRAIN: Duration = Duration::from_secs(60);
/// How long the last publications may take.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// The longest sleep: after it the wall clock is looked at again, because someone may have set it.
const MAX_SLEEP: Duration = Duration::from_secs(5);
/// Between two looks at how fast the models answer; clients read it in the announcement.
const RATES: Duration = Duration::from_secs(60);
/// Tries to write a batch; a full disk may be emptied meanwhile.
const WRITE_TRIES: u32 = 3;
/// Between two of them.
const WRITE_PAUSE: Duration = Duration::from_millis(200);

/// What the loop works with.
pub struct Edge<S> {
    /// The worker's node.
    pub node: Arc<Node>,
    /// Where the machine's rows are kept.
    pub storage: S,
    /// What runs models.
    pub scheduler: Scheduler,
    /// Where jobs run: a busy model must not delay a frame.
    pub runtime: Handle,
    /// What [`Scheduler::start`] gave with it.
    pub inference: mpsc::Receiver<Input>,
    /// Everything that is offered while every backend is up.
    pub offers: Vec<Offer>,
    /// New offers after the configuration was read anew.
    pub reloaded: mpsc::Receiver<Vec<Offer>>,
    /// Counts what happens, for the operator.
    pub tally: Arc<Tally>,
    /// Counts the relaying peers that joined.
    pub joined: watch::Receiver<u64>,
    /// Counts the operator's wishes to stop: the first drains, the second ends at once.
    pub stop: watch::Receiver<u32>,
    /// Told once the machine has announced itself.
    pub ready: oneshot::Sender<()>,
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every answer was finished.
    Drained,
    /// Answers were cut: there was no more time, or a second signal.
    Cut,
}

/// Serves until told to stop.
///
/// # Errors
/// When the machine's rows cannot be read at the start. Later failures are logged and lived with.
pub async fn serve<S: Storage>(mut machine: Provider, edge: Edge<S>) -> Result<End, StorageError> {
    let Edge {
        node,
        storage,
        scheduler,
        runtime,
        mut inference,
        mut offers,
        mut reloaded,
        tally,
        mut joined,
        mut stop,
        ready,
    } = edge;
    let rows = storage.scan(Table::Announcement).await?;
    let (incoming, mut messages) = mpsc::channel(MESSAGES);
    let mut available = scheduler.available();
    let mut hands = Hands {
        publisher: Publisher::start(node.clone()),
        node,
        storage,
        scheduler: scheduler.clone(),
        runtime,
        tally,
        incoming,
        wake: None,
        drained: false,
    };
    hands.step(&mut machine, Input::Start(rows)).await;
    let _ = ready.send(());

    let mut rates = tokio::time::interval(RATES);
    let mut said = hands.offered(&offers, &available.borrow().clone());
    let mut deadline = None;
    let mut signals = 0;
    let end = loop {
        if hands.drained {
            break End::Drained;
        }
        let input = tokio::select! {
            changed = stop.changed() => {
                signals = if changed.is_ok() { *stop.borrow_and_update() } else { signals + 1 };
                if signals > 1 {
                    break End::Cut;
                }
                tracing::info!("stopping: no new questions, running answers have {} s", DRAIN.as_secs());
                deadline = Some(tokio::time::Instant::now() + DRAIN);
                Input::Drain
            }
            () = sleep_until(deadline) => break End::Cut,
            () = tokio::time::sleep(hands.until_wake()) => {
                if hands.is_awake() { Input::Tick } else { continue }
            }
            Some(input) = inference.recv() => input,
            Some(message) = messages.recv() => {
                let WakuMessage { content_topic, payload, .. } = message;
                Input::Message { content_topic, payload }
            }
            Ok(()) = available.changed() => {
                let up = available.borrow_and_update().clone();
                tracing::info!(models = ?up, "the models that answer changed");
                said = hands.offered(&offers, &up);
                Input::Offers(said.clone())
            }
            _ = rates.tick() => {
                let new = hands.offered(&offers, &available.borrow().clone());
                if new == said {
                    continue;
                }
                said = new;
                Input::Offers(said.clone())
            }
            Ok(()) = joined.changed() => Input::Joined,
            Some(new) = reloaded.recv() => {
                offers = new;
                said = hands.offered(&offers, &available.borrow().clone());
                Input::Offers(said.clone())
            }
        };
        hands.step(&mut machine, input).await;
    };
    if end == End::Cut {
        tracing::warn!(answers = scheduler.live(), "running answers are cut");
    }
    scheduler.cancel_all();
    hands.publisher.finish(LAST_WORDS).await;
    Ok(end)
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The wall clock.
pub fn now() -> Millis {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// Carries effects out.
struct Hands<S> {
    node: Arc<Node>,
    storage: S,
    scheduler: Scheduler,
    runtime: Handle,
    tally: Arc<Tally>,
    publisher: Publisher,
    incoming: mpsc::Sender<WakuMessage>,
    wake: Option<Millis>,
    drained: bool,
}

impl<S: Storage> Hands<S> {
    /// One input and all that follows from it.
    async fn step(&mut self, machine: &mut Provider, input: Input) {
        self.tally.input(&input, now());
        let began = Instant::now();
        // The machine does not panic; were it to, one message must not end the service for everybody else.
        let effects =
            std::panic::catch_unwind(AssertUnwindSafe(|| machine.handle(input, now(), &mut UnwrapErr(SysRng))))
                .unwrap_or_default();
        let took = began.elapsed();
        self.tally.overhead(Stage::Machine, took);
        tracing::trace!(effects = effects.len(), ?took, "handled an input");
        let began = Instant::now();
        let mut kept = true;
        for effect in effects {
            match effect {
                Effect::Persist(batch) => kept &= self.persist(batch).await,
                Effect::Publish(publication) if kept => self.publisher.publish(&publication),
                // What could not be kept must not be said: a sequence would be used twice after a restart.
                Effect::Publish(_) => {}
                Effect::Subscribe { content_topic, shard } => self.subscribe(shard, content_topic),
                Effect::Infer(job) => {
                    self.tally.infer(&job, now());
                    let _inside = self.runtime.enter();
                    self.scheduler.submit(job, now());
                }
                Effect::CancelInfer(session) => self.scheduler.cancel(session),
                Effect::WakeAt(at) => self.wake = Some(at),
                Effect::Note(note) => {
                    self.tally.note(&note, now());
                    tell(&note);
                }
                Effect::Drained => self.drained = true,
            }
        }
        self.tally.overhead(Stage::Effects, began.elapsed());
    }

    /// The offers whose model has a backend that is up, with the speed that was measured.
    fn offered(&self, offers: &[Offer], up: &[String]) -> Vec<Offer> {
        let mut offers: Vec<Offer> = offers.iter().filter(|offer| up.contains(&offer.model.id)).cloned().collect();
        for offer in &mut offers {
            offer.model.tokens_per_s = two_digits(self.scheduler.tokens_per_second(&offer.model.id));
        }
        offers
    }

    async fn persist(&self, batch: Batch) -> bool {
        for attempt in 1..=WRITE_TRIES {
            match self.storage.write(batch.clone()).await {
                Ok(()) => return true,
                Err(error) => tracing::error!(%error, attempt, "the worker's state cannot be written"),
            }
            if attempt < WRITE_TRIES {
                tokio::time::sleep(WRITE_PAUSE).await;
            }
        }
        false
    }

    fn subscribe(&self, shard: u16, content_topic: String) {
        let mut messages = self.node.subscribe(shard, content_topic);
        let incoming = self.incoming.clone();
        tokio::spawn(async move {
            let mut missed = 0;
            while let Some(message) = messages.next().await {
                if messages.missed() > missed {
                    tracing::warn!(count = messages.missed() - missed, "messages came faster than they could be read");
                    missed = messages.missed();
                }
                if incoming.send(message).await.is_err() {
                    return;
                }
            }
        });
    }

    fn is_awake(&self) -> bool {
        self.wake.is_some_and(|at| at <= now())
    }

    fn until_wake(&self) -> Duration {
        match self.wake {
            Some(at) => Duration::from_millis(at.0.saturating_sub(now().0)).min(MAX_SLEEP),
            None => MAX_SLEEP,
        }
    }
}

/// A number to two digits: a rate that wavers is no news.
fn two_digits(number: u32) -> u32 {
    let scale = 10_u32.pow(number.checked_ilog10().unwrap_or(0).saturating_sub(1));
    number / scale * scale
}

fn tell(note: &Note) {
    match note {
        Note::Accepted => tracing::info!("a question was accepted"),
        Note::Refused(code) => tracing::info!(code, "a question was refused"),
        Note::Ended { code: 0, first_ms, total_ms } => tracing::info!(first_ms, total_ms, "an answer is complete"),
        Note::Ended { code, first_ms, total_ms } => tracing::info!(code, first_ms, total_ms, "an answer ended early"),
        Note::Renewed => tracing::info!("the certificate was renewed"),
        Note::Dropped | Note::Replayed | Note::Receipt | Note::Announced | Note::Probed => {
            tracing::debug!(?note, "noted")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_told_to_two_digits() {
        let told: Vec<u32> = [0, 7, 19, 99, 101, 1_234, u32::MAX].map(two_digits).into();
        assert_eq!(told, [0, 7, 19, 99, 100, 1_200, 4_200_000_000]);
    }
}
