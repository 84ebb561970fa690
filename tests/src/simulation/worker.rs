//! A provider of a simulated market: the real machine, and a model that is but time.

use super::{FIRST_MS, Happening, LATE_MS, Market};
use privacyai::{
    client::{AskId, Model},
    effect::Millis,
    identity::{ProviderId, RootKey},
    provider::{self, Config, Job, Offer, Provider, SessionId},
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::{BTreeMap, VecDeque};

/// One provider.
pub(super) struct Worker {
    pub(super) root_seed: u64,
    pub(super) machine: Option<Provider>,
    pub(super) life: u32,
    pub(super) id: ProviderId,
    pub(super) wake: Option<Millis>,
    pub(super) running: BTreeMap<SessionId, Job>,
    pub(super) waiting: VecDeque<(SessionId, Job)>,
    pub(super) jobs: u64,
}

impl Market {
    pub(super) fn machine(&self, index: usize, root_seed: u64) -> Provider {
        let model = Model {
            id: "m".into(),
            context: 4_096,
            price_in: 0,
            price_out: 0,
            tokens_per_s: 0,
            preset: String::new(),
            quantisation: String::new(),
            engine: "simulated".into(),
            capabilities: 1 << 2,
            weights_hash: None,
        };
        let offers = vec![Offer { model, concurrency: self.scenario.slots, queue: self.scenario.slots }];
        let root = RootKey::generate(&mut ChaCha8Rng::seed_from_u64(root_seed));
        Provider::new(Config { handle: format!("p{index}"), name: String::new(), offers, peer_ids: Vec::new() }, root)
    }

    pub(super) fn running(&self, index: usize, life: u32, session: SessionId) -> Option<Job> {
        let worker = &self.workers[index];
        (worker.life == life).then(|| worker.running.get(&session).cloned()).flatten()
    }

    pub(super) fn worker(&mut self, index: usize, input: provider::Input) {
        let now = self.now;
        let mut rng = ChaCha8Rng::seed_from_u64(self.rng.next_u64());
        let Some(machine) = &mut self.workers[index].machine else { return };
        for effect in machine.handle(input, now, &mut rng) {
            match effect {
                provider::Effect::Publish(message) => {
                    let (topic, payload) = (message.content_topic().to_owned(), message.payload().to_vec());
                    self.spread(index, topic, payload);
                }
                provider::Effect::Infer(job) => {
                    let id = job.session;
                    self.workers[index].waiting.push_back((id, job));
                    self.check_limit(index);
                    self.start_next(index);
                }
                provider::Effect::CancelInfer(session) => {
                    let worker = &mut self.workers[index];
                    let waited = worker.waiting.len();
                    worker.waiting.retain(|(id, _)| *id != session);
                    if worker.running.remove(&session).is_some() || worker.waiting.len() < waited {
                        self.worker(index, provider::Input::Finished(session, "stop".into()));
                        self.start_next(index);
                    }
                }
                provider::Effect::WakeAt(at) => {
                    self.workers[index].wake = Some(at);
                    let life = self.workers[index].life;
                    self.schedule(at.0.saturating_sub(now.0), Happening::Wake(index, life));
                }
                _ => {}
            }
        }
    }

    pub(super) fn start_next(&mut self, index: usize) {
        while self.workers[index].running.len() < self.scenario.slots as usize {
            let Some((session, job)) = self.workers[index].waiting.pop_front() else { return };
            let service = self.service_ms();
            let worker = &mut self.workers[index];
            worker.jobs += 1;
            let life = worker.life;
            let asked = ask_of(&job.content);
            worker.running.insert(session, job);
            let user = asked as usize % self.scenario.clients;
            // The first model that begins counts: a hedge is there to begin sooner.
            if let Some(begun) = self.users[user].begun.remove(&AskId(asked)) {
                self.waits.push(self.now.0 - begun.0);
            }
            let late = if self.rng.next_u32() % 1_000 < self.scenario.stragglers { LATE_MS } else { 0 };
            self.schedule(late + service.min(FIRST_MS), Happening::First(index, life, session));
            self.schedule(late + service, Happening::Done(index, life, session));
        }
    }

    fn check_limit(&mut self, index: usize) {
        let places = 2 * self.scenario.slots as usize;
        let worker = &self.workers[index];
        if worker.running.len() + worker.waiting.len() > places {
            let free =
                |worker: &Worker| worker.machine.is_some() && worker.running.len() < self.scenario.slots as usize;
            self.over_limit += usize::from(self.workers.iter().any(free));
        }
    }
}

/// The number of a question, from its content.
pub(super) fn ask_of(content: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(content);
    let number = text.rsplit("\"content\":\"").next().and_then(|rest| rest.split('"').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(u64::MAX)
}

/// What a provider answers to a question, from its content.
pub(super) fn answer(index: usize, content: &[u8]) -> String {
    answer_of(index, ask_of(content))
}

/// The same from its number.
pub(super) fn answer_of(index: usize, ask: u64) -> String {
    format!("provider {index} answers question {ask}.")
}
