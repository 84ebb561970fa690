//! A whole market in virtual time: real client and provider machines, thousands of each, over a network with loss, churn
//! and a regional outage. Everything by chance follows from one seed. Clients share one table of verified providers and
//! look at it only when they act; each decides for itself.

mod dispatcher;
mod outcome;
mod user;
mod worker;

pub use dispatcher::compare;
pub use outcome::Outcome;

use privacyai::{
    announcement::registry::Registry,
    client::{self, Ask, AskId, Choice, Client, Hedging, Profile, Wishes},
    effect::Millis,
    provider::{self, SessionId},
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, VecDeque},
};
use user::User;
use worker::{Worker, answer};

/// When a simulation begins: a UTC noon, so that an hour of it lies within one day.
const BEGIN: Millis = Millis(20_000 * 86_400_000 + 43_200_000);
/// Providers are up for so long before the first question.
const WARM_UP_MS: u64 = 60_000;
/// Hops take so long, in ms.
const DELAY_MS: (u64, u64) = (30, 150);
/// A model that runs says its first word after so long; how long its answer is varies.
const FIRST_MS: u64 = 400;
/// A straggler's first word comes so much later.
const LATE_MS: u64 = 10_000;
/// A provider stops without a word, and one that stopped comes back, this often.
const CHURN_MS: u64 = 20_000;
/// Every so many providers share a region, which fails for five minutes in the middle.
const REGION: usize = 7;
const OUTAGE_MS: u64 = 300_000;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Providers.
    pub providers: usize,
    /// Clients.
    pub clients: usize,
    /// Questions of all clients together.
    pub requests: usize,
    /// Seed of all chance.
    pub seed: u64,
    /// Virtual time in which the questions are asked, in ms.
    pub span_ms: u64,
    /// Jobs that a provider runs at once.
    pub slots: u32,
    /// Mean time that a job runs, in ms.
    pub service_ms: u64,
    /// Free questions a day.
    pub free_daily: u32,
    /// Questions more, of as many clients, that ask when the day's free ones may be used already.
    pub greedy: usize,
    /// Messages lost, of 1,000.
    pub loss: u32,
    /// Churn and outage.
    pub faults: bool,
    /// Jobs whose first word is late, of 1,000.
    pub stragglers: u32,
    /// Whether clients ask a second provider when a first word is late.
    pub hedging: Hedging,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Ask(usize, AskId),
    ToWorker(usize, String, Vec<u8>),
    ToUser(usize, String, Vec<u8>),
    ToTable(Vec<u8>),
    Wake(usize, u32),
    WakeUser(usize),
    First(usize, u32, SessionId),
    Done(usize, u32, SessionId),
    Churn,
}

/// The market.
struct Market {
    scenario: Scenario,
    now: Millis,
    order: u64,
    happenings: BinaryHeap<Reverse<(Millis, u64, Happening)>>,
    workers: Vec<Worker>,
    users: Vec<User>,
    table: Registry,
    /// The worker of a requests topic.
    by_topic: HashMap<String, usize>,
    /// Who receives a responses topic.
    listeners: HashMap<String, Vec<usize>>,
    stopped: VecDeque<usize>,
    rng: ChaCha8Rng,
    /// Waits until a model began, and until the first word, in ms.
    waits: Vec<u64>,
    firsts: Vec<u64>,
    ends: BTreeMap<String, usize>,
    misrouted: usize,
    over_limit: usize,
    sent: usize,
}

/// Plays a scenario to its end.
pub fn simulate(scenario: Scenario) -> Outcome {
    let mut market = Market::new(scenario);
    market.play();
    market.outcome()
}

impl Market {
    fn new(scenario: Scenario) -> Self {
        let mut market = Self {
            scenario,
            now: BEGIN,
            order: 0,
            happenings: BinaryHeap::new(),
            workers: Vec::new(),
            users: Vec::new(),
            table: Registry::default(),
            by_topic: HashMap::new(),
            listeners: HashMap::new(),
            stopped: VecDeque::new(),
            rng: ChaCha8Rng::seed_from_u64(scenario.seed),
            waits: Vec::new(),
            firsts: Vec::new(),
            ends: BTreeMap::new(),
            misrouted: 0,
            over_limit: 0,
            sent: 0,
        };
        for index in 0..scenario.providers {
            let root_seed = market.rng.next_u64();
            let machine = market.machine(index, root_seed);
            let id = machine.id();
            market.by_topic.insert(privacyai::topic::requests(&id), index);
            market.workers.push(Worker {
                root_seed,
                machine: Some(machine),
                life: 0,
                id,
                wake: None,
                running: BTreeMap::new(),
                waiting: VecDeque::new(),
                jobs: 0,
            });
            market.worker(index, provider::Input::Start(Vec::new()));
        }
        for index in 0..scenario.clients {
            market.users.push(User {
                machine: Client::new(),
                wake: None,
                named: HashMap::new(),
                texts: HashMap::new(),
                begun: HashMap::new(),
                asked: HashMap::new(),
                answered: 0,
                open: 0,
            });
            let wishes = Wishes { hedging: scenario.hedging, ..Wishes::default() };
            market.user(index, client::Input::Wishes(wishes));
            market.user(index, client::Input::FreeDaily(scenario.free_daily));
            market.user(index, client::Input::Connected);
        }
        for n in 0..scenario.requests + scenario.greedy {
            let at = WARM_UP_MS + market.below(scenario.span_ms);
            market.schedule(at, Happening::Ask(n % scenario.clients, AskId(n as u64)));
        }
        if scenario.faults {
            market.schedule(WARM_UP_MS, Happening::Churn);
        }
        market
    }

    fn play(&mut self) {
        let end = Millis(BEGIN.0 + WARM_UP_MS + self.scenario.span_ms + 900_000);
        while let Some(Reverse((at, _, happening))) = self.happenings.pop() {
            let asked = at.0 > BEGIN.0 + WARM_UP_MS + self.scenario.span_ms;
            if at > end || (asked && self.users.iter().all(|user| user.open == 0)) {
                return;
            }
            self.now = at;
            self.happen(happening);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Ask(index, id) => {
                let content = format!("{{\"messages\":[{{\"role\":\"user\",\"content\":\"{}\"}}]}}", id.0);
                let ask = Ask {
                    id,
                    choice: Choice::Automatic,
                    model: Some("m".into()),
                    content: content.into_bytes(),
                    profile: Profile::Fast,
                    last: None,
                    unit: None,
                };
                self.users[index].open += 1;
                self.users[index].begun.insert(id, self.now);
                self.users[index].asked.insert(id, self.now);
                self.user(index, client::Input::Ask(ask));
            }
            Happening::ToWorker(index, content_topic, payload) => {
                self.worker(index, provider::Input::Message { content_topic, payload });
            }
            Happening::ToUser(index, content_topic, payload) => {
                if self.listeners.get(&content_topic).is_some_and(|all| all.contains(&index)) {
                    let source = String::new();
                    self.user(index, client::Input::Message { content_topic, payload, source });
                }
            }
            Happening::ToTable(payload) => {
                // What is old or unknown is dropped, as by any client.
                let _ = self.table.accept(&payload, "node", self.now);
            }
            Happening::Wake(index, life) => {
                let due = self.workers[index].wake.is_some_and(|wake| wake <= self.now);
                if due && self.workers[index].life == life {
                    self.workers[index].wake = None;
                    self.worker(index, provider::Input::Tick);
                }
            }
            Happening::WakeUser(index) => {
                if self.users[index].wake.is_some_and(|wake| wake <= self.now) {
                    self.users[index].wake = None;
                    self.user(index, client::Input::Tick);
                }
            }
            Happening::First(index, life, session) => {
                if let Some(job) = self.running(index, life, session) {
                    let text = answer(index, &job.content);
                    self.worker(index, provider::Input::Text(session, text));
                }
            }
            Happening::Done(index, life, session) => {
                if self.running(index, life, session).is_some() {
                    self.worker(index, provider::Input::Usage { session, prompt: 7, completion: 9, source: 1 });
                    self.worker(index, provider::Input::Finished(session, "stop".into()));
                    self.workers[index].running.remove(&session);
                    self.start_next(index);
                }
            }
            Happening::Churn => {
                let victim = self.below(self.scenario.providers as u64) as usize;
                if self.workers[victim].machine.take().is_some() {
                    let worker = &mut self.workers[victim];
                    worker.life += 1;
                    worker.running.clear();
                    worker.waiting.clear();
                    self.stopped.push_back(victim);
                }
                if self.stopped.len() > 10
                    && let Some(index) = self.stopped.pop_front()
                {
                    let machine = self.machine(index, self.workers[index].root_seed);
                    self.workers[index].machine = Some(machine);
                    self.worker(index, provider::Input::Start(Vec::new()));
                }
                self.schedule(CHURN_MS, Happening::Churn);
            }
        }
    }

    fn spread(&mut self, index: usize, topic: String, payload: Vec<u8>) {
        if !self.passes(index) {
            return;
        }
        let delay = self.delay();
        if topic == privacyai::topic::discovery() {
            return self.schedule(delay, Happening::ToTable(payload));
        }
        for listener in self.listeners.get(&topic).cloned().unwrap_or_default() {
            if !self.is_lost() {
                let delay = self.delay();
                self.schedule(delay, Happening::ToUser(listener, topic.clone(), payload.clone()));
            }
        }
    }

    /// Whether a message from or to this worker is neither lost nor in the outage.
    fn passes(&mut self, index: usize) -> bool {
        let middle = BEGIN.0 + WARM_UP_MS + self.scenario.span_ms / 2;
        let out = self.scenario.faults && index % REGION == 3 && (middle..middle + OUTAGE_MS).contains(&self.now.0);
        !out && !self.is_lost()
    }

    fn is_lost(&mut self) -> bool {
        self.rng.next_u32() % 1_000 < self.scenario.loss
    }

    fn delay(&mut self) -> u64 {
        DELAY_MS.0 + self.below(DELAY_MS.1 - DELAY_MS.0)
    }

    fn service_ms(&mut self) -> u64 {
        exponential(self.scenario.service_ms, &mut self.rng)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.rng.next_u64() % limit.max(1)
    }

    fn schedule(&mut self, ms: u64, happening: Happening) {
        self.order += 1;
        self.happenings.push(Reverse((Millis(self.now.0 + ms), self.order, happening)));
    }
}

fn exponential(mean: u64, rng: &mut ChaCha8Rng) -> u64 {
    let uniform = (f64::from(rng.next_u32()) + 1.0) / (f64::from(u32::MAX) + 2.0);
    ((-uniform.ln() * mean as f64) as u64).clamp(mean / 50 + 1, mean * 8)
}
