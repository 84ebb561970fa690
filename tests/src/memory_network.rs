//! A network in memory with a virtual clock: it carries out the effects of client and provider machines and loses,
//! delays, reorders and doubles messages as its seed says. Whole conversations take milliseconds.

mod model;
mod node;

pub use model::{answer, pieces};
pub use node::{ClientNode, ProviderNode, Rows};

use privacyai::{
    client::{self, Ask, Client},
    effect::{Millis, Table},
    provider::{self, Provider, SessionId},
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

/// The virtual time at which every network begins: 2026-01-01T00:00:00Z.
pub const BEGIN: Millis = Millis(1_767_225_600_000);

/// What goes wrong on the way of one message to one receiver.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Messages lost, of 1,000.
    pub loss: u32,
    /// Messages that arrive twice, of 1,000.
    pub doubled: u32,
    /// Shortest way in ms.
    pub delay_min: u64,
    /// Longest way in ms; messages overtake each other within the difference.
    pub delay_max: u64,
}

impl Faults {
    /// A perfect network with a little delay.
    pub const NONE: Self = Self { loss: 0, doubled: 0, delay_min: 20, delay_max: 20 };
    /// Gossip as measured, with this loss (protocol section 5.9).
    pub const fn gossip(loss: u32) -> Self {
        Self { loss, doubled: 20, delay_min: 30, delay_max: 200 }
    }
}

/// How the model of a provider behaves.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Time to the first token in ms.
    pub first_ms: u64,
    /// Time between tokens in ms.
    pub token_ms: u64,
}

/// A message that was published, as everybody on the network sees it.
#[derive(Clone, Debug)]
pub struct Captured {
    /// When.
    pub at: Millis,
    /// Its content topic.
    pub content_topic: String,
    /// Its bytes.
    pub payload: Vec<u8>,
    /// No store keeps it.
    pub ephemeral: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Arrival {
    ToClient(usize, String, Vec<u8>),
    ToProvider(usize, String, Vec<u8>),
    Model(usize, u32, SessionId),
}

/// The network.
pub struct Network {
    /// The virtual time.
    pub now: Millis,
    /// What goes wrong.
    pub faults: Faults,
    /// Its clients.
    pub clients: Vec<ClientNode>,
    /// Its providers.
    pub providers: Vec<ProviderNode>,
    /// Everything published, while [`Self::capture`] is set.
    pub captured: Vec<Captured>,
    /// Keep what is published.
    pub capture: bool,
    store: Vec<(Millis, String, Vec<u8>)>,
    arrivals: BinaryHeap<Reverse<(Millis, u64, Arrival)>>,
    order: u64,
    rng: ChaCha8Rng,
}

impl Network {
    /// An empty network; everything by chance follows from `seed`.
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self {
            now: BEGIN,
            faults,
            clients: Vec::new(),
            providers: Vec::new(),
            captured: Vec::new(),
            capture: false,
            store: Vec::new(),
            arrivals: BinaryHeap::new(),
            order: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Adds a connected client.
    pub fn add_client(&mut self) -> usize {
        let index = self.clients.len();
        self.clients.push(ClientNode {
            client: Client::new(),
            clock: 0,
            events: Vec::new(),
            seen: BTreeMap::new(),
            texts: BTreeMap::new(),
            ends: BTreeMap::new(),
            mirrors: BTreeMap::new(),
            rows: Rows::default(),
            topics: BTreeSet::new(),
            wake: None,
            rng: ChaCha8Rng::seed_from_u64(self.rng.next_u64()),
        });
        self.client(index, client::Input::Restored(Vec::new(), Vec::new()));
        self.client(index, client::Input::Connected);
        index
    }

    /// Replaces a client by a new one that finds the stored rows, as after a killed background.
    pub fn restart_client(&mut self, index: usize) {
        let node = &mut self.clients[index];
        node.client = Client::new();
        node.topics.clear();
        node.wake = None;
        let rows = client::KNOWN.into_iter().flat_map(|table| node.rows.of(table)).collect();
        let resumed = node.mirrors.keys().copied().collect();
        self.client(index, client::Input::Restored(rows, resumed));
        self.client(index, client::Input::Connected);
    }

    /// Adds a started provider.
    pub fn add_provider(&mut self, provider: Provider, pace: Pace) -> usize {
        let index = self.providers.len();
        self.providers.push(ProviderNode {
            provider: None,
            pace,
            jobs: 0,
            notes: Vec::new(),
            rows: Rows::default(),
            drained: false,
            fails: None,
            deaf: false,
            running: BTreeMap::new(),
            topics: BTreeSet::new(),
            wake: None,
            life: 0,
            rng: ChaCha8Rng::seed_from_u64(self.rng.next_u64()),
        });
        self.start_provider(index, provider);
        index
    }

    /// Puts a machine in the place of the one that ran there, as after a crash; only stored rows survive.
    pub fn start_provider(&mut self, index: usize, provider: Provider) {
        self.stop_provider(index);
        self.providers[index].provider = Some(provider);
        let rows = self.providers[index].rows.of(Table::Announcement);
        self.provider(index, provider::Input::Start(rows));
    }

    /// The worker crashes.
    pub fn stop_provider(&mut self, index: usize) {
        let node = &mut self.providers[index];
        node.provider = None;
        node.running.clear();
        node.topics.clear();
        node.wake = None;
        node.life += 1;
    }

    /// Asks.
    pub fn ask(&mut self, index: usize, ask: Ask) {
        self.client(index, client::Input::Ask(ask));
    }

    /// Gives a client an input now.
    pub fn client(&mut self, index: usize, input: client::Input) {
        let node = &mut self.clients[index];
        let effects = node.client.handle(input, self.now.shifted(node.clock), &mut node.rng);
        for effect in effects {
            self.client_effect(index, effect);
        }
    }

    /// Gives a provider an input now.
    pub fn provider(&mut self, index: usize, input: provider::Input) {
        let node = &mut self.providers[index];
        let Some(machine) = node.provider.as_mut() else { return };
        let effects = machine.handle(input, self.now, &mut node.rng);
        for effect in effects {
            self.provider_effect(index, effect);
        }
    }

    /// Puts any message on the network, as any peer may.
    pub fn inject(&mut self, content_topic: &str, payload: &[u8]) {
        self.carry(content_topic, payload, true);
    }

    /// Runs for so many ms.
    pub fn run_for(&mut self, ms: u64) {
        let end = Millis(self.now.0 + ms);
        self.run_until(end, |_| false);
    }

    /// Runs until `done` or the time is over; true when done.
    pub fn run_until(&mut self, end: Millis, mut done: impl FnMut(&Self) -> bool) -> bool {
        loop {
            if done(self) {
                return true;
            }
            match self.next_time() {
                Some(at) if at <= end => self.step(at.max(self.now)),
                _ => {
                    self.now = end;
                    return false;
                }
            }
        }
    }

    fn next_time(&self) -> Option<Millis> {
        let arrival = self.arrivals.peek().map(|Reverse((at, ..))| *at);
        let clients = self.clients.iter().filter_map(|node| node.wake);
        let providers = self.providers.iter().filter_map(|node| node.wake);
        arrival.into_iter().chain(clients).chain(providers).min()
    }

    fn step(&mut self, at: Millis) {
        self.now = at;
        if let Some(Reverse((due, ..))) = self.arrivals.peek()
            && *due <= at
            && let Some(Reverse((.., arrival))) = self.arrivals.pop()
        {
            return self.arrive(arrival);
        }
        for index in 0..self.clients.len() {
            if self.clients[index].wake.is_some_and(|wake| wake <= at) {
                self.clients[index].wake = None;
                self.client(index, client::Input::Tick);
            }
        }
        for index in 0..self.providers.len() {
            if self.providers[index].wake.is_some_and(|wake| wake <= at) {
                self.providers[index].wake = None;
                self.provider(index, provider::Input::Tick);
            }
        }
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::ToClient(index, content_topic, payload) => {
                if self.clients[index].topics.contains(&content_topic) {
                    let source = "node".into();
                    self.client(index, client::Input::Message { content_topic, payload, source });
                }
            }
            Arrival::ToProvider(index, content_topic, payload) => {
                let node = &self.providers[index];
                if node.topics.contains(&content_topic) && !node.deaf {
                    self.provider(index, provider::Input::Message { content_topic, payload });
                }
            }
            Arrival::Model(index, life, session) => {
                let node = &mut self.providers[index];
                if node.life != life {
                    return;
                }
                let pace = node.pace;
                let Some(pieces) = node.running.get_mut(&session) else { return };
                match pieces.pop_front() {
                    Some(piece) => {
                        let input = if piece.starts_with('{') {
                            provider::Input::Json(session, piece.into_bytes())
                        } else {
                            provider::Input::Text(session, piece)
                        };
                        self.provider(index, input);
                        self.schedule(pace.token_ms, Arrival::Model(index, life, session));
                    }
                    None => {
                        node.running.remove(&session);
                        if let Some((code, _)) = node.fails {
                            return self.provider(index, provider::Input::Failed(session, code, 3));
                        }
                        let usage = provider::Input::Usage { session, prompt: 7, completion: 11, source: 1 };
                        self.provider(index, usage);
                        self.provider(index, provider::Input::Finished(session, "stop".into()));
                    }
                }
            }
        }
    }

    fn client_effect(&mut self, index: usize, effect: client::Effect) {
        let node = &mut self.clients[index];
        match effect {
            client::Effect::Persist(batch) => node.rows.apply(batch),
            client::Effect::Subscribe { content_topic, .. } => {
                node.topics.insert(content_topic);
            }
            client::Effect::Unsubscribe { content_topic, .. } => {
                node.topics.remove(&content_topic);
            }
            client::Effect::Query { content_topic, seconds, .. } => self.query(index, &content_topic, seconds),
            client::Effect::Publish { message, .. } => {
                self.publish(message.content_topic(), message.payload(), message.ephemeral());
            }
            client::Effect::Mirror(ask, Some(bytes)) => {
                node.mirrors.insert(ask, bytes);
            }
            client::Effect::Mirror(ask, None) => {
                node.mirrors.remove(&ask);
            }
            client::Effect::Event(event) => node.show(event),
            client::Effect::WakeAt(at) => node.wake = Some(at.shifted(-node.clock)),
        }
    }

    fn provider_effect(&mut self, index: usize, effect: provider::Effect) {
        let node = &mut self.providers[index];
        match effect {
            provider::Effect::Persist(batch) => node.rows.apply(batch),
            provider::Effect::Subscribe { content_topic, .. } => {
                node.topics.insert(content_topic);
            }
            provider::Effect::Publish(message) => {
                self.publish(message.content_topic(), message.payload(), message.ephemeral());
            }
            provider::Effect::Infer(job) => {
                node.jobs += 1;
                let mut pieces = answer(&job);
                pieces.truncate(node.fails.map_or(usize::MAX, |(_, pieces)| pieces));
                node.running.insert(job.session, pieces.into());
                let (life, first) = (node.life, node.pace.first_ms);
                self.schedule(first, Arrival::Model(index, life, job.session));
            }
            provider::Effect::CancelInfer(session) => {
                if node.running.remove(&session).is_some() {
                    self.provider(index, provider::Input::Finished(session, "stop".into()));
                }
            }
            provider::Effect::WakeAt(at) => node.wake = Some(at),
            provider::Effect::Note(note) => node.notes.push(note),
            provider::Effect::Drained => node.drained = true,
        }
    }

    fn publish(&mut self, content_topic: &str, payload: &[u8], ephemeral: bool) {
        if self.capture {
            let (content_topic, payload) = (content_topic.to_owned(), payload.to_vec());
            self.captured.push(Captured { at: self.now, content_topic, payload, ephemeral });
        }
        self.carry(content_topic, payload, ephemeral);
    }

    fn carry(&mut self, content_topic: &str, payload: &[u8], ephemeral: bool) {
        if !ephemeral {
            self.store.push((self.now, content_topic.to_owned(), payload.to_vec()));
            // A store keeps what the longest query may ask for.
            let oldest = self.now.0.saturating_sub(4_200_000);
            if self.store.first().is_some_and(|(at, ..)| at.0 + 600_000 < oldest) {
                self.store.retain(|(at, ..)| at.0 >= oldest);
            }
        }
        for index in 0..self.clients.len() {
            if self.clients[index].topics.contains(content_topic) {
                self.send(|topic, payload| Arrival::ToClient(index, topic, payload), content_topic, payload);
            }
        }
        for index in 0..self.providers.len() {
            if self.providers[index].topics.contains(content_topic) {
                self.send(|topic, payload| Arrival::ToProvider(index, topic, payload), content_topic, payload);
            }
        }
    }

    fn send(&mut self, arrival: impl Fn(String, Vec<u8>) -> Arrival, content_topic: &str, payload: &[u8]) {
        if self.chance(self.faults.loss) {
            return;
        }
        let copies = if self.chance(self.faults.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = self.between(self.faults.delay_min, self.faults.delay_max);
            self.schedule(delay, arrival(content_topic.to_owned(), payload.to_vec()));
        }
    }

    fn query(&mut self, index: usize, content_topic: &str, seconds: u64) {
        let oldest = self.now.0.saturating_sub(seconds * 1_000);
        let kept = self.store.iter().filter(|(at, topic, _)| at.0 >= oldest && topic == content_topic);
        let kept: Vec<Vec<u8>> = kept.map(|(_, _, payload)| payload.clone()).collect();
        for payload in kept {
            let delay = self.between(self.faults.delay_min, self.faults.delay_max);
            self.schedule(delay, Arrival::ToClient(index, content_topic.to_owned(), payload));
        }
    }

    fn schedule(&mut self, ms: u64, arrival: Arrival) {
        self.order += 1;
        self.arrivals.push(Reverse((Millis(self.now.0 + ms), self.order, arrival)));
    }

    fn chance(&mut self, permille: u32) -> bool {
        self.rng.next_u32() % 1_000 < permille
    }

    fn between(&mut self, min: u64, max: u64) -> u64 {
        min + self.rng.next_u64() % (max - min + 1)
    }
}
