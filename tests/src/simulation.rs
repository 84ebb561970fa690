//! A whole market in virtual time: real client and provider machines, thousands of each, over a network with loss, churn
//! and a regional outage. Everything by chance follows from one seed. Clients share one table of verified providers and
//! look at it only when they act; each decides for itself.

use privacyai::{
    announcement::registry::Registry,
    client::{self, Ask, AskId, Choice, Client, End, Event, Hedging, Model, Profile, Wishes},
    effect::Millis,
    identity::{ProviderId, RootKey},
    provider::{self, Config, Job, Offer, Provider, SessionId},
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde::Serialize;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, VecDeque},
};

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
    /// Messages lost, of 1,000.
    pub loss: u32,
    /// Churn and outage.
    pub faults: bool,
    /// Jobs whose first word is late, of 1,000.
    pub stragglers: u32,
    /// Whether clients ask a second provider when a first word is late.
    pub hedging: Hedging,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Providers.
    pub providers: usize,
    /// Clients.
    pub clients: usize,
    /// Questions asked within the quota.
    pub requests: usize,
    /// Answers by another provider than the one that was named, or of another text.
    pub misrouted: usize,
    /// Share of the questions answered whole.
    pub answered_ratio: f64,
    /// Times a provider held more jobs than it has places for while another had a free slot.
    pub over_limit: usize,
    /// Clients that were answered more often than the quota allows.
    pub over_quota: usize,
    /// Inequality of the providers' jobs, 0 equal to 1 all at one.
    pub gini: f64,
    /// Time from asking until a model began, in ms: 95 of 100 questions waited no longer.
    pub wait_p95_ms: u64,
    /// The same for half of the questions, and for 90 and 99 of 100.
    pub wait_ms: [u64; 3],
    /// How the questions ended.
    pub ends: BTreeMap<String, usize>,
    /// Time from asking to the first word, in ms: 99 of 100 questions waited no longer.
    pub first_p99_ms: u64,
    /// Requests to providers for each question.
    pub requests_per_question: f64,
}

struct Worker {
    root_seed: u64,
    machine: Option<Provider>,
    life: u32,
    id: ProviderId,
    wake: Option<Millis>,
    running: BTreeMap<SessionId, Job>,
    waiting: VecDeque<(SessionId, Job)>,
    jobs: u64,
}

struct User {
    machine: Client,
    wake: Option<Millis>,
    named: HashMap<AskId, ProviderId>,
    texts: HashMap<AskId, String>,
    begun: HashMap<AskId, Millis>,
    asked: HashMap<AskId, Millis>,
    answered: u32,
    open: usize,
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
        for n in 0..scenario.requests {
            let at = WARM_UP_MS + market.below(scenario.span_ms);
            market.schedule(at, Happening::Ask(n % scenario.clients, AskId(n as u64)));
        }
        if scenario.faults {
            market.schedule(WARM_UP_MS, Happening::Churn);
        }
        market
    }

    fn machine(&self, index: usize, root_seed: u64) -> Provider {
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

    fn running(&self, index: usize, life: u32, session: SessionId) -> Option<Job> {
        let worker = &self.workers[index];
        (worker.life == life).then(|| worker.running.get(&session).cloned()).flatten()
    }

    fn worker(&mut self, index: usize, input: provider::Input) {
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

    fn start_next(&mut self, index: usize) {
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

    fn user(&mut self, index: usize, input: client::Input) {
        let now = self.now;
        let mut rng = ChaCha8Rng::seed_from_u64(self.rng.next_u64());
        let user = &mut self.users[index];
        user.machine.swap_registry(&mut self.table);
        let effects = user.machine.handle(input, now, &mut rng);
        user.machine.swap_registry(&mut self.table);
        for effect in effects {
            match effect {
                client::Effect::Subscribe { content_topic, provider: Some(_), .. } => {
                    self.listeners.entry(content_topic).or_default().push(index);
                }
                client::Effect::Unsubscribe { content_topic, .. } => {
                    if let Some(listeners) = self.listeners.get_mut(&content_topic) {
                        listeners.retain(|listener| *listener != index);
                    }
                }
                client::Effect::Publish { message, .. } => {
                    let Some(worker) = self.by_topic.get(message.content_topic()).copied() else {
                        self.misrouted += 1;
                        continue;
                    };
                    self.sent += usize::from(message.payload().len() > 1_000);
                    if self.passes(worker) {
                        let delay = self.delay();
                        let (topic, payload) = (message.content_topic().to_owned(), message.payload().to_vec());
                        self.schedule(delay, Happening::ToWorker(worker, topic, payload));
                    }
                }
                client::Effect::Event(event) => self.heard(index, event),
                client::Effect::WakeAt(at) => self.users[index].wake = Some(at),
                _ => {}
            }
        }
        // A client without a question looks at nothing.
        if let (Some(wake), true) = (self.users[index].wake, self.users[index].open > 0) {
            self.schedule(wake.0.saturating_sub(now.0), Happening::WakeUser(index));
        }
    }

    fn heard(&mut self, index: usize, event: Event) {
        let user = &mut self.users[index];
        match event {
            Event::Accepted { ask, provider, .. } => drop(user.named.insert(ask, provider)),
            Event::Text { ask, text } => {
                if let Some(asked) = user.asked.remove(&ask) {
                    self.firsts.push(self.now.0 - asked.0);
                }
                user.texts.entry(ask).or_default().push_str(&text);
            }
            Event::Ended { ask, end } => {
                user.open -= 1;
                let text = user.texts.remove(&ask).unwrap_or_default();
                let named = user.named.remove(&ask);
                let word = format!("{end:?}").to_lowercase();
                *self.ends.entry(word).or_default() += 1;
                if end == End::Complete {
                    user.answered += 1;
                    let by = self.workers.iter().position(|worker| Some(worker.id) == named);
                    let right = by.is_some_and(|by| text.ends_with(&answer_of(by, ask.0)));
                    self.misrouted += usize::from(!right);
                }
            }
            _ => {}
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

    fn outcome(mut self) -> Outcome {
        let limited = self.ends.get("limit").copied().unwrap_or(0);
        let requests = self.ends.values().sum::<usize>() - limited;
        let complete = self.ends.get("complete").copied().unwrap_or(0);
        let jobs: Vec<u64> = self.workers.iter().map(|worker| worker.jobs).collect();
        let over_quota = self.users.iter().filter(|user| user.answered > self.scenario.free_daily).count();
        Outcome {
            providers: self.scenario.providers,
            clients: self.scenario.clients,
            requests,
            misrouted: self.misrouted,
            answered_ratio: complete as f64 / requests.max(1) as f64,
            over_limit: self.over_limit,
            over_quota,
            gini: gini(jobs),
            first_p99_ms: permille(&mut self.firsts, 990),
            wait_p95_ms: permille(&mut self.waits, 950),
            wait_ms: [500, 900, 990].map(|part| permille(&mut self.waits, part)),
            ends: self.ends,
            requests_per_question: self.sent as f64 / requests.max(1) as f64,
        }
    }
}

/// The same arrivals, services and slots under a dispatcher that knows every queue at each moment, and under blind
/// chance: the 95th percentile of the time from asking until a model begins, in ms, with one way over the network.
pub fn compare(scenario: Scenario) -> (u64, u64) {
    let play = |knows: bool| {
        let mut rng = ChaCha8Rng::seed_from_u64(scenario.seed);
        let mut arrivals: Vec<u64> = (0..scenario.requests).map(|_| rng.next_u64() % scenario.span_ms).collect();
        arrivals.sort_unstable();
        // When each slot of each provider is free again.
        let mut free = vec![vec![0u64; scenario.slots as usize]; scenario.providers];
        let mut waits = Vec::with_capacity(arrivals.len());
        for at in arrivals {
            let there = at + DELAY_MS.0 + rng.next_u64() % (DELAY_MS.1 - DELAY_MS.0);
            let soonest = |slots: &Vec<u64>| slots.iter().copied().min().unwrap_or(0);
            let which = match knows {
                true => (0..free.len()).min_by_key(|index| soonest(&free[*index])).unwrap_or(0),
                false => rng.next_u64() as usize % free.len(),
            };
            let Some(slot) = free[which].iter_mut().min() else { continue };
            let begin = there.max(*slot);
            *slot = begin + exponential(scenario.service_ms, &mut rng);
            waits.push(begin - at);
        }
        permille(&mut waits, 950)
    };
    (play(true), play(false))
}

fn exponential(mean: u64, rng: &mut ChaCha8Rng) -> u64 {
    let uniform = (f64::from(rng.next_u32()) + 1.0) / (f64::from(u32::MAX) + 2.0);
    ((-uniform.ln() * mean as f64) as u64).clamp(mean / 50 + 1, mean * 8)
}

/// The value that so many of 1,000 do not exceed.
fn permille(values: &mut [u64], part: usize) -> u64 {
    values.sort_unstable();
    values.get((values.len() * part).div_ceil(1_000).saturating_sub(1)).copied().unwrap_or(0)
}

/// Gini coefficient of these amounts.
fn gini(mut amounts: Vec<u64>) -> f64 {
    amounts.sort_unstable();
    let sum: u64 = amounts.iter().sum();
    let count = amounts.len() as f64;
    let ranked: f64 = amounts.iter().enumerate().map(|(rank, amount)| (rank as f64 + 1.0) * *amount as f64).sum();
    if sum == 0 { 0.0 } else { 2.0 * ranked / (count * sum as f64) - (count + 1.0) / count }
}

/// The number of a question, from its content.
fn ask_of(content: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(content);
    let number = text.rsplit("\"content\":\"").next().and_then(|rest| rest.split('"').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(u64::MAX)
}

fn answer(index: usize, content: &[u8]) -> String {
    answer_of(index, ask_of(content))
}

fn answer_of(index: usize, ask: u64) -> String {
    format!("provider {index} answers question {ask}.")
}
