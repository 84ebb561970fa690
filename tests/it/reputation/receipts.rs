//! Receipts: the right ones are kept with their answer, the wrong ones cost their provider's measured reputation. A
//! provider that can sign anything is played by hand.

use crate::network::{FAST_MODEL, add, discovered, ends, question};
use privacyai::{
    client::{Ask, AskId, Choice, Client, Effect, End, Event, Input, Profile},
    effect::{Batch, Millis, Row, Table, Write},
    envelope::{
        bundle,
        frame::{FINAL, Frame},
        prompt::Request,
        response::{Accept, ProviderSession},
    },
    health::Outcome,
    message::{Record, RecordsDigest, Usage},
    receipt::{Counts, Kept, Receipt, model_hash},
    topic,
};
use privacyai_tests::{
    exchange::{NOW, Provider, rng},
    memory_network::{Faults, Network},
};
use rand_chacha::ChaCha20Rng;

const MODEL: &str = "smollm2-360m";
const DAY_MS: u64 = 86_400_000;

/// A client and the provider that it asks.
struct Scene {
    client: Client,
    provider: Provider,
    rng: ChaCha20Rng,
    now: Millis,
    next: u64,
}

/// A request that the provider has opened, and what it may say.
struct Opened {
    ask: AskId,
    session: ProviderSession,
    records: Vec<Record>,
    receipt: Receipt,
}

impl Scene {
    fn new(rows: Vec<Row>, resumed: Vec<AskId>) -> (Self, Vec<Effect>) {
        let (client, provider) = (Client::new(), Provider::derive(1));
        let mut scene = Self { client, provider, rng: rng(90), now: NOW, next: 0 };
        let mut out = scene.handle(Input::FreeDaily(100));
        out.extend(scene.handle(Input::Restored(rows, resumed)));
        out.extend(scene.handle(Input::Connected));
        let heartbeat = scene.provider.heartbeat(NOW).sign(&scene.provider.operational, &mut scene.rng);
        for payload in [scene.provider.signed_bundle.encode(), heartbeat] {
            scene.hear(topic::discovery().into(), payload);
        }
        (scene, out)
    }

    fn handle(&mut self, input: Input) -> Vec<Effect> {
        self.client.handle(input, self.now, &mut self.rng)
    }

    fn hear(&mut self, content_topic: String, payload: Vec<u8>) -> Vec<Effect> {
        self.handle(Input::Message { content_topic, payload, source: "node".into() })
    }

    /// Asks, and opens the request as its provider does.
    fn ask(&mut self) -> Opened {
        self.ask_counted(12, 7)
    }

    /// The same of a provider that counts so many tokens of the question and of its answer.
    fn ask_counted(&mut self, prompt: u64, completion: u64) -> Opened {
        self.next += 1;
        let ask = Ask {
            choice: Choice::Pinned(self.provider.id),
            model: Some(MODEL.into()),
            ..question(self.next, Choice::Automatic, Profile::Balanced)
        };
        let effects = self.handle(Input::Ask(ask.clone()));
        let payload = effects.iter().find_map(|effect| match effect {
            Effect::Publish { message, .. } => Some(message.payload().to_vec()),
            _ => None,
        });
        let payload = payload.expect("it is asked");
        let request = Request::decode(&payload).expect("it is one");
        let mut context =
            self.provider.prekey.decapsulate(&request, &self.provider.id, &self.provider.bhash()).expect("it is ours");
        let session =
            context.open(&request).expect("it opens").keys.respond(&mut self.rng).expect("it has a reply key");
        let usage = Usage { prompt, completion, finish: "stop".into(), source: 1 };
        let records = vec![Record::Text("It is a key of an hour.".into()), Record::Usage(usage)];
        let commitments = session.commit(&digest(&records));
        let receipt = self.provider.receipt(*session.channel_binding(), commitments.request, commitments.response);
        let receipt = Receipt { prompt, completion, ..receipt };
        Opened { ask: ask.id, session, records, receipt }
    }

    fn sign(&mut self, receipt: &Receipt) -> Record {
        Record::Receipt(receipt.sign(&self.provider.operational, &mut self.rng))
    }

    /// Sends the accept and these records, the last of them final.
    fn answer(&mut self, opened: &Opened, records: &[Record]) -> Vec<Effect> {
        let frames = self.frames(opened, records, FINAL);
        self.send(frames)
    }

    fn frames(&mut self, opened: &Opened, records: &[Record], last: u8) -> Vec<Frame> {
        let bytes: Vec<u8> = records.iter().flat_map(|record| record.encode().expect("it is short")).collect();
        let accept =
            opened.session.seal_accept(0, &Accept::Accepted { estimate_s: 0 }, &mut self.rng).expect("it fits");
        let mut frames = vec![accept];
        let chunks = bytes.chunks(400).count();
        for (at, data) in bytes.chunks(400).enumerate() {
            let flags = if at + 1 == chunks { last } else { 0 };
            frames.push(opened.session.seal_frame(at as u32 + 1, 0, flags, data, &mut self.rng).expect("it fits"));
        }
        frames
    }

    fn send(&mut self, frames: Vec<Frame>) -> Vec<Effect> {
        let payload = bundle::encode(frames, &mut self.rng).expect("they are few");
        self.hear(topic::responses(&self.provider.id), payload)
    }

    fn success(&self) -> Option<u32> {
        self.client.health(&self.provider.id, MODEL).and_then(|health| health.success_permille())
    }
}

fn digest(records: &[Record]) -> [u8; 32] {
    let mut digest = RecordsDigest::default();
    for record in records {
        digest.update(record, &record.encode().expect("it is short"));
    }
    digest.finish()
}

/// The question of a mirror.
fn resumed(ask: AskId) -> Ask {
    question(ask.0, Choice::Automatic, Profile::Fast)
}

/// What is told of the receipt: none when nothing is.
fn told(effects: &[Effect], ask: AskId) -> Option<Option<Vec<u8>>> {
    let mut told = effects.iter().filter_map(|effect| match effect {
        Effect::Event(Event::Receipt { ask: of, kept }) if *of == ask => Some(kept.clone().map(|kept| kept.wire)),
        _ => None,
    });
    let first = told.next();
    assert_eq!(told.next(), None, "it is told once");
    first
}

fn ended(effects: &[Effect], ask: AskId) -> bool {
    let end = Event::Ended { ask, end: End::Complete };
    effects.iter().any(|effect| matches!(effect, Effect::Event(event) if *event == end))
}

/// The writes of the one batch that holds this table.
fn batch_with(effects: &[Effect], table: Table) -> Option<&Batch> {
    effects.iter().find_map(|effect| match effect {
        Effect::Persist(batch) if batch.iter().any(|write| write.table == table) => Some(batch),
        _ => None,
    })
}

#[test]
fn a_right_receipt_is_kept_in_one_batch_with_the_days_count_and_the_providers_record() {
    let (mut scene, _) = Scene::new(Vec::new(), Vec::new());
    let opened = scene.ask();
    let receipt = scene.sign(&opened.receipt);
    let records = [&opened.records[..], std::slice::from_ref(&receipt)].concat();
    let effects = scene.answer(&opened, &records);
    let Record::Receipt(wire) = receipt else { panic!("it is one") };
    assert_eq!((told(&effects, opened.ask), ended(&effects, opened.ask)), (Some(Some(wire.clone())), true));
    assert_eq!(scene.success(), Some(1_000));
    let batch = batch_with(&effects, Table::Receipts).expect("it is kept");
    assert!([Table::Quota, Table::Health].iter().all(|table| batch.iter().any(|write| write.table == *table)));
    let write = batch.iter().find(|write| write.table == Table::Receipts).expect("it is there");
    assert_eq!(write.key, opened.receipt.cb);
    // What is kept is enough to verify it again.
    let kept = Kept::decode(write.value.as_deref().expect("it is written")).expect("it reads back");
    assert_eq!((kept.at, kept.model.as_str(), &kept.wire), (scene.now, MODEL, &wire));
    assert_eq!(kept.counts, Counts::Plausible);
    assert_eq!(Receipt::open(&kept.wire, &kept.operational), Ok(opened.receipt));
    // The answer ended before: an edge that stores both with one batch has either both or none.
    let at = |find: &dyn Fn(&Effect) -> bool| effects.iter().position(find);
    let end = at(&|effect| matches!(effect, Effect::Event(Event::Ended { .. })));
    assert!(
        end < at(
            &|effect| matches!(effect, Effect::Persist(batch) if batch.iter().any(|it| it.table == Table::Receipts))
        )
    );
}

#[test]
fn forged_receipts_are_told_kept_nowhere_and_cost_their_provider() {
    type Forge = fn(&mut Scene, &mut Opened) -> Vec<Record>;
    let forgeries: [(&str, Forge); 15] = [
        ("none at all", |_, _| vec![]),
        ("another's signature", |scene, it| {
            vec![Record::Receipt(it.receipt.sign(&Provider::derive(60).operational, &mut scene.rng))]
        }),
        ("a changed byte", |scene, it| {
            let mut wire = it.receipt.sign(&scene.provider.operational, &mut scene.rng);
            let middle = wire.len() / 2;
            wire[middle] ^= 1;
            vec![Record::Receipt(wire)]
        }),
        ("another exchange", |scene, it| {
            it.receipt.cb = [5; 32];
            vec![scene.sign(&it.receipt)]
        }),
        ("another request", |scene, it| {
            it.receipt.request_commitment[0] ^= 1;
            vec![scene.sign(&it.receipt)]
        }),
        ("another answer", |scene, it| {
            it.receipt.response_commitment[0] ^= 1;
            vec![scene.sign(&it.receipt)]
        }),
        ("another model", |scene, it| {
            it.receipt.model = model_hash("qwen3-8b");
            vec![scene.sign(&it.receipt)]
        }),
        ("another bundle", |scene, it| {
            it.receipt.bhash[0] ^= 1;
            vec![scene.sign(&it.receipt)]
        }),
        ("another key's number", |scene, it| {
            it.receipt.op_seq += 1;
            vec![scene.sign(&it.receipt)]
        }),
        ("another provider", |scene, it| {
            it.receipt.provider = Provider::derive(60).id;
            vec![scene.sign(&it.receipt)]
        }),
        ("more tokens than were told", |scene, it| {
            it.receipt.completion += 1_000;
            vec![scene.sign(&it.receipt)]
        }),
        ("fewer tokens of the question", |scene, it| {
            it.receipt.prompt -= 1;
            vec![scene.sign(&it.receipt)]
        }),
        ("another end", |scene, it| {
            it.receipt.finish = "length".into();
            vec![scene.sign(&it.receipt)]
        }),
        ("words behind it", |scene, it| vec![scene.sign(&it.receipt), Record::Text(" Buy now.".into())]),
        ("two of them", |scene, it| {
            let wrong = Receipt { completion: 1, ..it.receipt.clone() };
            vec![scene.sign(&wrong), scene.sign(&it.receipt)]
        }),
    ];
    for (what, forge) in forgeries {
        let (mut scene, _) = Scene::new(Vec::new(), Vec::new());
        let mut opened = scene.ask();
        let forged = forge(&mut scene, &mut opened);
        let records = [&opened.records[..], &forged].concat();
        let effects = scene.answer(&opened, &records);
        assert_eq!((told(&effects, opened.ask), ended(&effects, opened.ask)), (Some(None), true), "{what}");
        assert!(batch_with(&effects, Table::Receipts).is_none(), "{what}");
        assert_eq!(scene.success(), Some(0), "{what}");
        let health = scene.client.health(&scene.provider.id, MODEL).expect("it was asked");
        assert_eq!(health.share(Outcome::BadReceipt), Some(1_000), "{what}");
    }
}

#[test]
fn a_receipt_replayed_from_another_answer_is_none() {
    let (mut scene, _) = Scene::new(Vec::new(), Vec::new());
    let first = scene.ask();
    let receipt = scene.sign(&first.receipt);
    let effects = scene.answer(&first, &[&first.records[..], std::slice::from_ref(&receipt)].concat());
    assert!(told(&effects, first.ask).flatten().is_some());
    // The same words again, and the receipt that was right for them.
    let second = scene.ask();
    let effects = scene.answer(&second, &[&second.records[..], &[receipt]].concat());
    assert_eq!((told(&effects, second.ask), ended(&effects, second.ask)), (Some(None), true));
    assert_eq!(scene.success(), Some(500));
    // Who gives wrong receipts is chosen after who gives right ones.
    let place = scene.client.places(Some(MODEL), scene.now).remove(0);
    assert_eq!(place.reason.failed, Some((500, 2)));
}

#[test]
fn a_receipt_that_came_before_the_background_was_killed_counts_after_it() {
    let (mut scene, _) = Scene::new(Vec::new(), Vec::new());
    let opened = scene.ask();
    // All but the frame that ends the answer has come.
    let records = [&opened.records[..], &[scene.sign(&opened.receipt)]].concat();
    let frames = scene.frames(&opened, &records, 0);
    let count = frames.len() as u32;
    scene.send(frames);
    scene.now.0 += 1_500;
    let effects = scene.handle(Input::Tick);
    let mirror = effects.iter().rev().find_map(|effect| match effect {
        Effect::Mirror(ask, Some(bytes)) if *ask == opened.ask => Some(bytes.clone()),
        _ => None,
    });
    let mirror = mirror.expect("progress is mirrored");
    let (mut again, _) = Scene::new(Vec::new(), vec![opened.ask]);
    again.now = scene.now;
    again.handle(Input::Resume(resumed(opened.ask), mirror));
    let end = opened.session.seal_frame(count, 0, FINAL, &[], &mut scene.rng).expect("it fits");
    let effects = again.send(vec![end]);
    assert!(told(&effects, opened.ask).flatten().is_some());
    assert!(batch_with(&effects, Table::Receipts).is_some());
}

/// How a receipt is kept, and its provider's share of successes and tokens a second, after an answer counted like this
/// took two seconds.
fn counted(prompt: u64, completion: u64) -> (Option<Counts>, Option<u32>, Option<u32>) {
    let (mut scene, _) = Scene::new(Vec::new(), Vec::new());
    let opened = scene.ask_counted(prompt, completion);
    let records = [&opened.records[..], &[scene.sign(&opened.receipt)]].concat();
    let count = scene.frames(&opened, &records, 0).len() as u32;
    let frames = scene.frames(&opened, &records, 0);
    scene.send(frames);
    scene.now.0 += 2_000;
    let end = opened.session.seal_frame(count, 0, FINAL, &[], &mut scene.rng).expect("it fits");
    let effects = scene.send(vec![end]);
    assert!(ended(&effects, opened.ask));
    let row = batch_with(&effects, Table::Receipts).and_then(|batch| {
        let write = batch.iter().find(|write| write.table == Table::Receipts)?;
        Kept::decode(write.value.as_deref()?).ok()
    });
    let told = effects.iter().find_map(|effect| match effect {
        Effect::Event(Event::Receipt { kept, .. }) => kept.clone(),
        _ => None,
    });
    assert_eq!(row, told, "what is told is what is kept");
    let rate = scene.client.health(&scene.provider.id, MODEL).and_then(|health| health.tenth_tokens_per_s());
    (row.map(|kept| kept.counts), scene.success(), rate)
}

#[test]
fn a_provider_that_counts_too_much_is_flagged_and_no_quicker_for_it() {
    let (counts, success, rate) = counted(12, 7);
    assert_eq!((counts, success), (Some(Counts::Plausible), Some(1_000)));
    assert!(rate.is_some(), "what came within the time is its speed");
    // Signed and of this very answer, so it is kept and no failure; but no such answer has so many tokens.
    for (prompt, completion) in [(12, 5_000), (90_000, 7), (u64::MAX, u64::MAX)] {
        let flagged = (Some(Counts::Implausible), Some(1_000), rate);
        assert_eq!(counted(prompt, completion), flagged, "{prompt} in, {completion} out");
    }
}

#[test]
fn what_was_said_before_the_background_was_killed_is_counted_after_it() {
    for (completion, counts) in [(1_500, Counts::Plausible), (20_000, Counts::Implausible)] {
        let (mut scene, _) = Scene::new(Vec::new(), Vec::new());
        let mut opened = scene.ask_counted(12, completion);
        opened.records.insert(0, Record::Text("Many words came before. ".repeat(200)));
        let commitment = opened.session.commit(&digest(&opened.records)).response;
        opened.receipt.response_commitment = commitment;
        let frames = scene.frames(&opened, &opened.records.clone(), 0);
        let count = frames.len() as u32;
        scene.send(frames);
        scene.now.0 += 1_500;
        let effects = scene.handle(Input::Tick);
        let mirror = effects.iter().rev().find_map(|effect| match effect {
            Effect::Mirror(_, bytes) => bytes.clone(),
            _ => None,
        });
        let (mut again, _) = Scene::new(Vec::new(), vec![opened.ask]);
        again.now = scene.now;
        again.handle(Input::Resume(resumed(opened.ask), mirror.expect("progress is mirrored")));
        let receipt = scene.sign(&opened.receipt).encode().expect("it is short");
        let end = opened.session.seal_frame(count, 0, FINAL, &receipt, &mut scene.rng).expect("it fits");
        let effects = again.send(vec![end]);
        let kept = effects.iter().find_map(|effect| match effect {
            Effect::Event(Event::Receipt { kept, .. }) => kept.clone(),
            _ => None,
        });
        assert_eq!(kept.map(|kept| kept.counts), Some(counts), "{completion}");
    }
}

#[test]
fn receipts_are_kept_for_ninety_days_and_not_without_end() {
    let row = |n: u32, at: u64| {
        let kept = Kept {
            at: Millis(at),
            operational: [2; 33],
            model: MODEL.into(),
            wire: vec![1],
            counts: Counts::Plausible,
        };
        let mut key = [7; 32];
        key[..4].copy_from_slice(&n.to_be_bytes());
        Row { table: Table::Receipts, key: key.into(), value: kept.encode() }
    };
    let deleted = |effects: &[Effect]| {
        let writes = batch_with(effects, Table::Receipts).into_iter().flatten();
        writes
            .filter(|write| write.table == Table::Receipts && write.value.is_none())
            .map(|write| write.key.clone())
            .collect::<Vec<_>>()
    };
    let old = row(1, NOW.0 - 90 * DAY_MS - 1);
    let junk = Row { value: b"junk".into(), ..row(3, NOW.0) };
    let rows = vec![old.clone(), row(2, NOW.0 - 90 * DAY_MS), junk.clone()];
    let mut gone = deleted(&Scene::new(rows, Vec::new()).1);
    gone.sort();
    assert_eq!(gone, [old.key, junk.key]);
    let many: Vec<Row> = (0..2_050).map(|n| row(n, NOW.0 - 2_050 + u64::from(n))).collect();
    assert_eq!(deleted(&Scene::new(many.clone(), Vec::new()).1), [many[0].key.clone(), many[1].key.clone()]);
}

#[test]
fn receipts_go_to_a_store_that_lost_them() {
    let (mut scene, _) = Scene::new(Vec::new(), Vec::new());
    let kept = |effects: &[Effect]| {
        let writes = batch_with(effects, Table::Receipts).into_iter().flatten();
        writes.filter(|write| write.table == Table::Receipts).cloned().collect::<Vec<_>>()
    };
    let answered = |scene: &mut Scene| {
        let opened = scene.ask();
        let records = [&opened.records[..], &[scene.sign(&opened.receipt)]].concat();
        kept(&scene.answer(&opened, &records))
    };
    let one = answered(&mut scene);
    let row = |write: &Write| Row {
        table: write.table,
        key: write.key.clone(),
        value: write.value.clone().expect("it is written"),
    };
    // One from before this start, one of it.
    let (mut scene, _) = Scene::new(one.iter().map(row).collect(), Vec::new());
    scene.rng = rng(91);
    let mut both = [one, answered(&mut scene)].concat();
    both.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!((both.len(), kept(&scene.handle(Input::StoreLost))), (2, both));
}

#[test]
fn every_answer_of_the_network_leaves_a_receipt_that_outlives_a_restart() {
    let mut network = Network::new(61, Faults::gossip(20));
    add(&mut network, "one", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    for (n, profile) in [Profile::Fast, Profile::Balanced, Profile::High, Profile::Fast].into_iter().enumerate() {
        let ask = question(n as u64, Choice::Automatic, profile);
        network.ask(client, ask.clone());
        assert_eq!(ends(&mut network, client, &[ask.id]), [End::Complete]);
        if n == 1 {
            network.restart_client(client);
            discovered(&mut network, client, 1);
        }
    }
    let rows = network.clients[client].rows.of(Table::Receipts);
    assert_eq!(rows.len(), 4);
    for row in rows {
        let kept = Kept::decode(&row.value).expect("it reads back");
        let receipt = Receipt::open(&kept.wire, &kept.operational).expect("it verifies");
        assert_eq!((receipt.cb.to_vec(), receipt.model), (row.key, model_hash(&kept.model)));
    }
}
