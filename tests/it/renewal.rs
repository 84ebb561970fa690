//! What a provider does by time alone, under a clock of the test: certificates renewed, prekeys erased, jobs ended.

use privacyai::{
    announcement::{
        Kind, Signed,
        bundle::KeyBundle,
        cert::{Cert, LIFETIME_S, OVERLAP_S},
        heartbeat::{Heartbeat, Status},
        registry::Registry,
    },
    client::{Ask, AskId, Choice, End, Event, Model, Profile},
    effect::{Millis, Row, Table},
    envelope::prompt::{PREKEY_ERASE_S, PREKEY_PERIOD_S, seal_request},
    identity::{ProviderId, RootKey},
    message::Body,
    provider::{Config, Effect, Input, Note, Offer, Provider, SessionId},
    topic,
};
use privacyai_tests::memory_network::{BEGIN, Faults, Network, Pace};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;

const HOUR_MS: u64 = 3_600_000;
/// Hours after which a certificate of [`LIFETIME_S`] is renewed.
const RENEWED_AFTER_H: u64 = (LIFETIME_S - OVERLAP_S) / 3_600;
/// Protocol section 5.5: nothing runs longer.
const DEADLINE_MS: u64 = 600_000;

fn machine() -> Provider {
    let model = Model { id: "m".into(), context: 4_096, ..Model::default() };
    let offers = vec![Offer { model, concurrency: 1, queue: 0 }];
    let config = Config { handle: "one".into(), name: "One".into(), offers, peer_ids: Vec::new() };
    Provider::new(config, RootKey::generate(&mut ChaCha8Rng::seed_from_u64(7)))
}

/// A machine and what its edge keeps; the edge checks that nothing is said before it is kept.
struct Worker {
    machine: Provider,
    rows: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    rng: ChaCha8Rng,
    now: Millis,
    wake: Option<Millis>,
    notes: Vec<Note>,
    jobs: Vec<SessionId>,
    stopped: Vec<SessionId>,
    bundle: Option<KeyBundle>,
    heartbeat: Option<Heartbeat>,
    registry: Registry,
}

impl Worker {
    fn start() -> Self {
        let mut worker = Self {
            machine: machine(),
            rows: BTreeMap::new(),
            rng: ChaCha8Rng::seed_from_u64(8),
            now: Millis(BEGIN.0 - 1_000),
            wake: None,
            notes: Vec::new(),
            jobs: Vec::new(),
            stopped: Vec::new(),
            bundle: None,
            heartbeat: None,
            registry: Registry::default(),
        };
        worker.restart();
        worker
    }

    /// A new process with what the old one kept, a second later.
    fn restart(&mut self) {
        self.machine = machine();
        self.now.0 += 1_000;
        let rows = self.rows.iter();
        let rows = rows.map(|((table, key), value)| Row { table: *table, key: key.clone(), value: value.clone() });
        let rows = rows.collect();
        self.step(Input::Start(rows));
    }

    fn id(&self) -> ProviderId {
        self.machine.id()
    }

    fn step(&mut self, input: Input) {
        for effect in self.machine.handle(input, self.now, &mut self.rng) {
            match effect {
                Effect::Persist(batch) => {
                    for write in batch {
                        match write.value {
                            Some(value) => self.rows.insert((write.table, write.key), value),
                            None => self.rows.remove(&(write.table, write.key)),
                        };
                    }
                }
                Effect::Publish(message) if message.content_topic() == topic::discovery() => {
                    self.hear(message.payload());
                }
                Effect::Infer(job) => self.jobs.push(job.session),
                Effect::CancelInfer(session) => self.stopped.push(session),
                Effect::WakeAt(at) => self.wake = Some(at),
                Effect::Note(note) => self.notes.push(note),
                Effect::Publish(_) | Effect::Subscribe { .. } | Effect::Drained => {}
            }
        }
    }

    fn hear(&mut self, payload: &[u8]) {
        self.registry.accept(payload, "node", self.now).expect("a client takes every announcement");
        let signed = Signed::decode(payload).unwrap();
        match signed.kind {
            Kind::KeyBundle => {
                let bundle = KeyBundle::decode(&signed).unwrap();
                assert!(
                    self.rows.values().any(|value| *value == bundle.cert),
                    "a certificate is kept before it is used"
                );
                self.bundle = Some(bundle);
            }
            Kind::Heartbeat => self.heartbeat = Some(Heartbeat::decode(&signed).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    /// Ticks at this time, and as often as the machine asked for until then.
    fn run_until(&mut self, end: Millis) {
        while let Some(at) = self.wake.filter(|at| *at <= end) {
            self.wake = None;
            self.now = at.max(self.now);
            self.step(Input::Tick);
        }
        self.now = end;
    }

    /// One tick at this time, as after a sleep of the machine's computer.
    fn wake_up_at(&mut self, now: Millis) {
        self.now = now;
        self.step(Input::Tick);
    }

    /// A request to the newest bundle, written at `iat`.
    fn sealed(&mut self, iat: Millis) -> Vec<u8> {
        let target = self.registry.target(&self.id(), self.now).expect("usable");
        let body = Body::infer(iat, "m".into(), br#"{"messages":[]}"#.to_vec(), Profile::Balanced);
        seal_request(&target, &body, &mut self.rng).unwrap().payload
    }

    fn message(&mut self, payload: Vec<u8>) {
        let content_topic = topic::requests(&self.id());
        self.step(Input::Message { content_topic, payload });
    }

    fn cert(&self) -> Cert {
        Cert::open(&self.bundle.as_ref().unwrap().cert).unwrap()
    }

    fn renewals(&self) -> usize {
        self.notes.iter().filter(|note| **note == Note::Renewed).count()
    }
}

#[test]
fn a_certificate_is_renewed_a_day_before_its_end_and_kept_over_restarts() {
    let mut worker = Worker::start();
    let first = worker.cert();
    assert_eq!(worker.renewals(), 1);
    let at = |hour: u64| Millis(BEGIN.0 + hour * HOUR_MS);
    for hour in 1..RENEWED_AFTER_H {
        worker.wake_up_at(at(hour));
        assert_eq!(worker.renewals(), 1, "hour {hour}");
        assert!(worker.registry.seen(&worker.id(), worker.now).unwrap().usable, "hour {hour}");
    }
    worker.restart();
    assert_eq!((worker.renewals(), worker.cert()), (1, first.clone()), "a restart renews nothing");

    // Certificates are looked at with each new prekey, and that is an hour after the restart.
    worker.wake_up_at(Millis(at(RENEWED_AFTER_H).0 + 1_000));
    let second = worker.cert();
    assert_eq!(worker.renewals(), 2);
    assert_eq!(second.root, first.root);
    assert!(second.operational != first.operational && second.op_seq > first.op_seq);
    assert_eq!(second.not_after, worker.now.0 / 1_000 + LIFETIME_S);
    let id = worker.id();
    assert!(worker.registry.seen(&id, worker.now).unwrap().usable, "to clients it is the same provider");
    worker.restart();
    assert_eq!((worker.renewals(), worker.cert()), (2, second.clone()), "the new key was kept");

    // Down until long after its end, as is a worker that is switched on once a year.
    worker.now = at(RENEWED_AFTER_H + 365 * 24);
    worker.restart();
    let third = worker.cert();
    assert!(worker.renewals() == 3 && third.op_seq > second.op_seq);
    assert!(worker.registry.seen(&id, worker.now).unwrap().usable);
}

#[test]
fn an_answer_that_spans_the_renewal_is_whole_with_its_receipt() {
    let mut network = Network::new(31, Faults::gossip(20));
    network.add_provider(machine(), Pace { first_ms: 900, token_ms: 90 });
    let client = network.add_client();
    for hour in 1..RENEWED_AFTER_H {
        network.now = Millis(BEGIN.0 + hour * HOUR_MS);
        network.run_for(1_000);
    }
    let renewals = |network: &Network| network.providers[0].notes.iter().filter(|it| **it == Note::Renewed).count();
    network.now = Millis(BEGIN.0 + RENEWED_AFTER_H * HOUR_MS - 31_000);
    network.run_for(30_000);
    assert_eq!(renewals(&network), 1);
    let content = b"{\"messages\":[{\"role\":\"user\",\"content\":\"over the renewal\"}]}".to_vec();
    let ask = Ask {
        id: AskId(1),
        choice: Choice::Automatic,
        model: Some("m".into()),
        content,
        profile: Profile::Balanced,
        last: None,
        unit: None,
    };
    network.ask(client, ask.clone());
    let end = Millis(network.now.0 + 120_000);
    let began = network.now;
    assert!(network.run_until(end, |network| network.clients[client].end(ask.id).is_some()));
    assert_eq!(network.clients[client].end(ask.id), Some(&End::Complete));
    assert!(began.0 < BEGIN.0 + RENEWED_AFTER_H * HOUR_MS && renewals(&network) == 2, "it began under the old one");
    let events = &network.clients[client].events;
    assert!(events.iter().any(|event| matches!(event, Event::Receipt { kept: Some(_), .. })), "the old key signed it");
}

#[test]
fn a_prekey_opens_until_its_time_is_over_and_not_a_moment_longer() {
    let erased = Millis(BEGIN.0 + PREKEY_ERASE_S * 1_000);
    let late = Millis(erased.0 - 1);
    // The computer slept: the message is the first that the machine hears after the start.
    let mut worker = Worker::start();
    let request = worker.sealed(late);
    worker.now = late;
    worker.message(request);
    assert_eq!(worker.jobs.len(), 1, "the last moment");

    let mut worker = Worker::start();
    let request = worker.sealed(erased);
    worker.now = erased;
    worker.message(request);
    assert_eq!((worker.jobs.len(), worker.notes.contains(&Note::Dropped)), (0, true), "too late");

    // What a mangled copy left of the prekey is gone with it.
    let mut worker = Worker::start();
    let request = worker.sealed(late);
    let mut mangled = request.clone();
    *mangled.last_mut().unwrap() ^= 1;
    worker.now = late;
    worker.message(mangled);
    worker.now = erased;
    worker.message(request);
    assert_eq!(worker.jobs.len(), 0);

    // Without any message the machine asks to be woken for it.
    let mut worker = Worker::start();
    let mut woken = false;
    while worker.now < erased {
        let at = worker.wake.expect("it always waits for something");
        worker.run_until(at.min(erased));
        woken |= worker.now == erased && at == erased;
    }
    assert!(woken, "woken when the first prekey ends");
    assert!(worker.bundle.as_ref().unwrap().created >= BEGIN.0 / 1_000 + PREKEY_PERIOD_S, "the next one is in use");
}

#[test]
fn a_job_whose_client_is_gone_is_stopped_at_the_deadline_and_its_slot_is_free() {
    let mut worker = Worker::start();
    let accepted = worker.now;
    let request = worker.sealed(accepted);
    worker.message(request);
    let session = worker.jobs[0];
    worker.step(Input::Text(session, "One word, and then".into()));
    let free = |worker: &Worker| worker.heartbeat.as_ref().map(|it| (it.status, it.free_slots)).unwrap();
    worker.run_until(Millis(accepted.0 + DEADLINE_MS - 1));
    assert!(worker.stopped.is_empty());
    assert_eq!(free(&worker), (Status::Busy, 0));
    worker.run_until(Millis(accepted.0 + DEADLINE_MS));
    assert_eq!(worker.stopped, [session]);
    // The slot is the backend's until it says that it has stopped.
    let request = worker.sealed(worker.now);
    worker.message(request);
    assert_eq!(worker.jobs.len(), 1, "still taken");
    worker.step(Input::Failed(session, 11, 0));
    worker.run_until(Millis(worker.now.0 + 30_000));
    assert_eq!(free(&worker), (Status::Online, 1));
    let request = worker.sealed(worker.now);
    worker.message(request);
    assert_eq!(worker.jobs.len(), 2);
}
