//! Whole conversations over the network in memory: exact text or an honest end, never wrong text.

mod interruption;

use privacyai::{
    client::{Ask, AskId, Choice, End, Event, Input, Model, Profile, Status},
    effect::Millis,
    identity::{ProviderId, RootKey},
    provider::{self, Config, Note, Offer, Provider},
};
use privacyai_tests::{
    memory_network::{Faults, Network, Pace, pieces},
    rounds,
};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

pub(crate) const FAST_MODEL: Pace = Pace { first_ms: 120, token_ms: 7 };
const SLOW_MODEL: Pace = Pace { first_ms: 700, token_ms: 90 };

pub(crate) fn offer(id: &str, concurrency: u32, queue: u32) -> Offer {
    let model = Model {
        id: id.into(),
        context: 4_096,
        price_in: 0,
        price_out: 0,
        tokens_per_s: 100,
        preset: String::new(),
        quantisation: "q4".into(),
        engine: "test".into(),
        capabilities: 0,
        weights_hash: None,
    };
    Offer { model, concurrency, queue }
}

pub(crate) fn machine(name: &str, offers: Vec<Offer>) -> Provider {
    let seed = name.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let root = RootKey::generate(&mut ChaCha8Rng::seed_from_u64(seed));
    Provider::new(Config { handle: name.into(), name: format!("Provider {name}"), offers, peer_ids: Vec::new() }, root)
}

pub(crate) fn add(network: &mut Network, name: &str, pace: Pace) -> ProviderId {
    let machine = machine(name, vec![offer("m", 100, 100), offer(name, 2, 2)]);
    let id = machine.id();
    network.add_provider(machine, pace);
    id
}

pub(crate) fn question(id: u64, choice: Choice, profile: Profile) -> Ask {
    let content = format!("{{\"messages\":[{{\"role\":\"user\",\"content\":\"the secret question number {id}\"}}]}}");
    Ask {
        id: AskId(id),
        choice,
        model: Some("m".into()),
        content: content.into_bytes(),
        profile,
        last: None,
        unit: None,
    }
}

pub(crate) fn expected(ask: &Ask) -> String {
    pieces(&ask.content).into_iter().filter(|piece| !piece.starts_with('{')).collect()
}

/// Who accepted a question, in order.
pub(crate) fn accepted_by(events: &[Event], ask: AskId) -> Vec<ProviderId> {
    let by = |event: &Event| match event {
        Event::Accepted { ask: of, provider, model, .. } if *of == ask && model == "m" => Some(*provider),
        _ => None,
    };
    events.iter().filter_map(by).collect()
}

fn json_events(network: &Network, client: usize, ask: AskId) -> usize {
    let events = &network.clients[client].events;
    events.iter().filter(|event| matches!(event, Event::Json { ask: of, .. } if *of == ask)).count()
}

pub(crate) fn discovered(network: &mut Network, client: usize, providers: usize) {
    let end = Millis(network.now.0 + 120_000);
    let found = network.run_until(end, |network| {
        network.clients[client].seen.values().filter(|seen| seen.usable).count() == providers
    });
    assert!(found, "{:?}", network.clients[client].seen);
}

/// Runs until these questions ended and gives the ends.
pub(crate) fn ends(network: &mut Network, client: usize, asks: &[AskId]) -> Vec<End> {
    let end = Millis(network.now.0 + 900_000);
    let mut open: Vec<AskId> = asks.to_vec();
    network.run_until(end, |network| {
        open.retain(|ask| network.clients[client].end(*ask).is_none());
        open.is_empty()
    });
    asks.iter().map(|ask| network.clients[client].end(*ask).cloned().expect("every question ends")).collect()
}

#[test]
fn conversations_are_exact_without_faults_in_every_profile() {
    let mut network = Network::new(1, Faults::NONE);
    let id = add(&mut network, "one", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    for (number, profile) in [Profile::Balanced, Profile::Fast, Profile::High].into_iter().enumerate() {
        let ask = question(number as u64, Choice::Automatic, profile);
        network.ask(client, ask.clone());
        assert_eq!(ends(&mut network, client, &[ask.id]), [End::Complete], "{profile:?}");
        assert_eq!(network.clients[client].text(ask.id), expected(&ask), "{profile:?}");
        let json = pieces(&ask.content).iter().filter(|piece| piece.starts_with('{')).count();
        assert_eq!(json_events(&network, client, ask.id), json, "{profile:?}");
        let events = &network.clients[client].events;
        assert!(accepted_by(events, ask.id).contains(&id));
        let usage = Event::Usage { ask: ask.id, prompt: 7, completion: 11, finish: "stop".into(), source: 1 };
        assert!(events.contains(&usage), "{events:?}");
        let receipt = |event: &Event| matches!(event, Event::Receipt { ask: of, kept: Some(_) } if *of == ask.id);
        assert!(events.iter().any(receipt), "{profile:?}");
    }
}

#[test]
fn cold_discovery_works_from_store_alone_and_from_live_messages_alone() {
    let mut network = Network::new(2, Faults::NONE);
    add(&mut network, "one", FAST_MODEL);
    network.run_for(5_000);
    let client = network.add_client();
    network.run_for(100);
    assert_eq!(network.clients[client].seen.values().filter(|seen| seen.usable).count(), 1);

    let mut network = Network::new(3, Faults::NONE);
    let client = network.add_client();
    add(&mut network, "one", FAST_MODEL);
    discovered(&mut network, client, 1);
    let seen = network.clients[client].seen.values().next().cloned().unwrap();
    assert_eq!((seen.handle.as_str(), seen.name.as_str(), seen.status), ("one", "Provider one", Status::Online));
    assert_eq!(seen.models.len(), 2);
}

/// A hundred networks with a hundred conversations each, in two halves so that two cores share them; a thousand in a
/// deep run.
#[test]
fn ten_thousand_conversations_at_five_percent_loss_first_half() {
    converse(0..rounds(50));
}

#[test]
fn ten_thousand_conversations_at_five_percent_loss_second_half() {
    converse(rounds(50)..rounds(100));
}

fn converse(seeds: std::ops::Range<u32>) {
    const BATCH: u64 = 100;
    let (mut complete, mut honest) = (0u32, 0u32);
    for seed in seeds.map(u64::from) {
        let mut network = Network::new(seed, Faults::gossip(50));
        add(&mut network, "one", FAST_MODEL);
        let client = network.add_client();
        discovered(&mut network, client, 1);
        let asks: Vec<Ask> = (0..BATCH)
            .map(|n| {
                let profile = [Profile::Balanced, Profile::Fast, Profile::High][(n % 3) as usize];
                question(seed * BATCH + n, Choice::Automatic, profile)
            })
            .collect();
        for ask in &asks {
            network.ask(client, ask.clone());
            network.run_for(40);
        }
        let ids: Vec<AskId> = asks.iter().map(|ask| ask.id).collect();
        for (ask, end) in asks.iter().zip(ends(&mut network, client, &ids)) {
            let (text, whole) = (network.clients[client].text(ask.id), expected(ask));
            match end {
                End::Complete => {
                    assert_eq!(text, whole, "seed {seed}");
                    complete += 1;
                }
                End::Truncated | End::Error { .. } | End::Silent => {
                    assert!(whole.starts_with(text), "seed {seed}");
                    honest += 1;
                }
                other => panic!("seed {seed}: {other:?}"),
            }
        }
    }
    println!("{complete} complete, {honest} honestly cut");
    assert!(complete * 100 >= (complete + honest) * 98, "{complete} complete, {honest} cut");
}

#[test]
fn a_request_replayed_a_thousand_times_gives_one_inference() {
    let mut network = Network::new(9, Faults::NONE);
    add(&mut network, "one", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    network.capture = true;
    let ask = question(11, Choice::Automatic, Profile::Balanced);
    network.ask(client, ask.clone());
    let request = network.captured.iter().find(|message| message.payload.first() == Some(&1)).unwrap().clone();
    for n in 0..1_000 {
        network.inject(&request.content_topic, &request.payload);
        if n % 100 == 0 {
            network.run_for(400);
        }
    }
    assert_eq!(ends(&mut network, client, &[ask.id]), [End::Complete]);
    for _ in 0..100 {
        network.inject(&request.content_topic, &request.payload);
        network.run_for(2_000);
    }
    assert_eq!(network.providers[0].jobs, 1);
    assert_eq!(network.clients[client].text(ask.id), expected(&ask));
}

#[test]
fn a_forged_copy_of_a_frame_that_comes_first_changes_nothing() {
    let mut network = Network::new(17, Faults { delay_min: 50, delay_max: 50, ..Faults::NONE });
    add(&mut network, "one", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    network.capture = true;
    let ask = question(70, Choice::Automatic, Profile::Balanced);
    network.ask(client, ask.clone());
    let mut done = 0;
    while network.clients[client].end(ask.id).is_none() {
        network.run_for(10);
        // Whoever sees a bundle may deliver a changed copy of it before the true one arrives.
        let fresh: Vec<_> = network.captured[done..].to_vec();
        done = network.captured.len();
        for message in fresh.iter().filter(|message| message.payload.first() == Some(&0x81)) {
            for bit in 0..3 {
                let mut forged = message.payload.clone();
                for frame in forged[1..].chunks_mut(512) {
                    frame[40 + bit] ^= 1;
                }
                network.client(
                    client,
                    Input::Message {
                        content_topic: message.content_topic.clone(),
                        payload: forged,
                        source: "node".into(),
                    },
                );
            }
        }
    }
    assert_eq!(network.clients[client].end(ask.id), Some(&End::Complete));
    assert_eq!(network.clients[client].text(ask.id), expected(&ask));
}

#[test]
fn answers_are_received_for_a_while_after_the_last_so_that_the_next_question_waits_for_nothing() {
    let mut network = Network::new(19, Faults::NONE);
    let ids: Vec<ProviderId> = (0..40).map(|n| add(&mut network, &format!("p{n}"), FAST_MODEL)).collect();
    let client = network.add_client();
    discovered(&mut network, client, ids.len());
    let kept = |network: &Network| {
        let topics = ids.iter().map(privacyai::topic::responses);
        topics.filter(|topic| network.clients[client].receives(topic)).count()
    };
    let ask = question(80, Choice::Pinned(ids[0]), Profile::High);
    network.ask(client, ask.clone());
    assert_eq!(ends(&mut network, client, &[ask.id]), [End::Complete]);
    network.run_for(240_000);
    assert_eq!(kept(&network), 1);
    network.run_for(120_000);
    assert_eq!(kept(&network), 0);
    for (n, id) in ids.iter().enumerate() {
        let ask = question(81 + n as u64, Choice::Pinned(*id), Profile::Fast);
        network.ask(client, ask.clone());
        ends(&mut network, client, &[ask.id]);
    }
    network.run_for(1_000);
    assert_eq!(kept(&network), 32, "as many as are kept, and those are bounded");
}

#[test]
fn frames_that_overtake_their_accept_are_shown_as_soon_as_it_comes() {
    let mut network = Network::new(18, Faults { delay_min: 500, delay_max: 500, ..Faults::NONE });
    add(&mut network, "one", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    network.capture = true;
    let ask = question(71, Choice::Automatic, Profile::Fast);
    network.ask(client, ask.clone());
    let answered = |network: &Network| network.captured.iter().filter(|it| it.payload.first() == Some(&0x81)).count();
    assert!(network.run_until(Millis(network.now.0 + 2_000), |network| answered(network) >= 4));
    let accepted =
        |network: &Network| network.clients[client].events.iter().any(|it| matches!(it, Event::Accepted { .. }));
    assert!(!accepted(&network), "the accept is still under way");
    let frames: Vec<_> = network.captured.iter().filter(|it| it.payload.first() == Some(&0x81)).skip(1).collect();
    let frames: Vec<_> = frames.into_iter().map(|it| (it.content_topic.clone(), it.payload.clone())).collect();
    for (content_topic, payload) in frames {
        network.client(client, Input::Message { content_topic, payload, source: "node".into() });
    }
    assert_eq!(network.clients[client].text(ask.id), "");
    assert!(network.run_until(Millis(network.now.0 + 2_000), accepted));
    assert_ne!(network.clients[client].text(ask.id), "", "what came early is shown with the accept");
    ends(&mut network, client, &[ask.id]);
    assert_eq!(network.clients[client].text(ask.id), expected(&ask));
}

#[test]
fn several_clients_and_three_providers_route_every_question_to_its_provider() {
    let mut network = Network::new(18, Faults::gossip(10));
    let ids: Vec<ProviderId> =
        ["one", "two", "three"].into_iter().map(|name| add(&mut network, name, FAST_MODEL)).collect();
    let clients: Vec<usize> = (0..4).map(|_| network.add_client()).collect();
    for &client in &clients {
        discovered(&mut network, client, 3);
    }
    let mut asked = Vec::new();
    for n in 0..60u64 {
        let (client, provider) = (clients[(n % 4) as usize], ids[(n % 3) as usize]);
        let ask = question(100 + n, Choice::Pinned(provider), Profile::Balanced);
        network.ask(client, ask.clone());
        asked.push((client, provider, ask));
        network.run_for(50);
    }
    for (client, provider, ask) in asked {
        assert_eq!(ends(&mut network, client, &[ask.id]), [End::Complete]);
        assert_eq!(network.clients[client].text(ask.id), expected(&ask));
        assert_eq!(accepted_by(&network.clients[client].events, ask.id), [provider]);
    }
    assert!(network.providers.iter().all(|node| node.jobs == 20));
}

#[test]
fn all_that_questions_publish_is_sealed_and_of_an_allowed_size() {
    let mut network = Network::new(19, Faults::gossip(20));
    add(&mut network, "one", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    network.capture = true;
    let ask = question(200, Choice::Automatic, Profile::Balanced);
    network.ask(client, ask.clone());
    assert_eq!(ends(&mut network, client, &[ask.id]), [End::Complete]);
    let (mut requests, mut bundles) = (0, 0);
    let answer = expected(&ask);
    for message in &network.captured {
        match message.payload.first() {
            Some(0x01) => requests += 1,
            Some(0x03) => assert_eq!(message.payload.len(), 513),
            Some(0x81) => {
                let frames = (message.payload.len() - 1) / 512;
                assert!(message.payload.len() % 512 == 1 && frames.is_power_of_two() && frames <= 64);
                bundles += 1;
            }
            _ => assert!(!message.ephemeral, "only announcements are kept"),
        }
        if message.ephemeral {
            for plain in ask.content.windows(8).chain(answer.as_bytes().windows(8)) {
                assert!(!message.payload.windows(8).any(|window| window == plain));
            }
        }
    }
    assert!(requests >= 1 && bundles >= 3);
}

#[test]
fn questions_work_over_two_hours_of_new_prekeys_and_restarts() {
    let mut network = Network::new(21, Faults::gossip(20));
    add(&mut network, "one", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    let mut anew = 0;
    for n in 0..24 {
        network.run_for(300_000);
        if n % 5 == 4 {
            // The client still believes the old bundle when it asks.
            network.start_provider(0, machine("one", vec![offer("m", 100, 100)]));
        }
        let ask = question(300 + n, Choice::Automatic, Profile::Balanced);
        network.ask(client, ask.clone());
        assert_eq!(ends(&mut network, client, &[ask.id]), [End::Complete], "after {} minutes", 5 * (n + 1));
        assert_eq!(network.clients[client].text(ask.id), expected(&ask));
        // One that is sealed anew is for the same reason.
        let why = |event: &Event| match event {
            Event::Sent { ask: of, why, .. } if *of == ask.id => Some(why.is_some()),
            _ => None,
        };
        let told: Vec<bool> = network.clients[client].events.iter().filter_map(why).collect();
        assert!(!told.contains(&false), "{told:?}");
        anew += usize::from(told.len() > 1);
    }
    let renewed = network.providers[0].notes.iter().filter(|note| **note == Note::Renewed).count();
    assert_eq!(renewed, 1, "the certificate outlives restarts");
    assert!(anew > 0, "some were sealed anew");
}

#[test]
fn a_known_handle_under_another_key_is_asked_only_when_trusted() {
    let mut network = Network::new(22, Faults::NONE);
    let first = add(&mut network, "one", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    network.stop_provider(0);
    let root = RootKey::generate(&mut ChaCha8Rng::seed_from_u64(99));
    let config =
        Config { handle: "one".into(), name: "Again".into(), offers: vec![offer("m", 9, 9)], peer_ids: Vec::new() };
    let other = Provider::new(config, root);
    let id = other.id();
    network.add_provider(other, FAST_MODEL);
    network.run_for(120_000);
    assert_eq!(network.clients[client].seen[&id].key_changed_from, Some(first));
    let automatic = question(220, Choice::Automatic, Profile::Balanced);
    let pinned = question(221, Choice::Pinned(id), Profile::Balanced);
    for ask in [&automatic, &pinned] {
        network.ask(client, ask.clone());
    }
    assert_eq!(ends(&mut network, client, &[automatic.id, pinned.id]), [End::NoProvider, End::KeyChanged(id)]);
    network.client(client, Input::Trust(id));
    let trusted = question(222, Choice::Pinned(id), Profile::Balanced);
    network.ask(client, trusted.clone());
    assert_eq!(ends(&mut network, client, &[trusted.id]), [End::Complete]);
}

#[test]
fn high_sends_one_frame_every_250_ms_from_accept_to_a_coarse_tail() {
    let mut network = Network::new(23, Faults::NONE);
    add(&mut network, "one", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    network.capture = true;
    let ask = question(230, Choice::Automatic, Profile::High);
    network.ask(client, ask.clone());
    assert_eq!(ends(&mut network, client, &[ask.id]), [End::Complete]);
    network.run_for(30_000);
    let bundles = network.captured.iter().filter(|message| message.payload.first() == Some(&0x81));
    let (on_beat, off_beat): (Vec<_>, Vec<_>) = bundles.partition(|message| message.at.0 % 250 == 0);
    assert!(off_beat.len() <= 2, "only the two accepts leave off the beat");
    let accept_on_beat = 2 - off_beat.len();
    let times: Vec<u64> = on_beat.iter().map(|message| message.at.0).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 250), "{times:?}");
    // The accept counts as frame 0.
    let frames = times.len() + 1;
    let coarse = frames.is_power_of_two() || (frames.is_multiple_of(3) && (frames / 3).is_power_of_two());
    assert!(coarse && frames >= 8 && accept_on_beat <= 2, "{frames} frames");
    let controls = network.captured.iter().filter(|message| message.payload.first() == Some(&0x03)).count();
    assert_eq!(controls, 0, "no DONE shows the true end");
}

#[test]
fn a_flood_of_garbage_gets_no_word_back() {
    let mut network = Network::new(24, Faults::NONE);
    let id = add(&mut network, "one", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    network.capture = true;
    let ask = question(240, Choice::Automatic, Profile::Balanced);
    network.ask(client, ask.clone());
    let request = network.captured.iter().find(|message| message.payload.first() == Some(&1)).unwrap().clone();
    // The true request is mangled in every part, and the copies come first.
    for byte in (0..request.payload.len()).step_by(97).chain([0, 1, 2, 10, request.payload.len() - 1]) {
        let mut mangled = request.payload.clone();
        mangled[byte] ^= 1;
        network
            .provider(0, provider::Input::Message { content_topic: request.content_topic.clone(), payload: mangled });
    }
    for garbage in [vec![], vec![1], vec![3; 513], vec![0x81; 513], request.payload[..3_000].to_vec()] {
        network
            .provider(0, provider::Input::Message { content_topic: request.content_topic.clone(), payload: garbage });
    }
    assert!(network.captured.iter().all(|message| message.payload.first() != Some(&0x81)), "not a frame");
    assert_eq!(ends(&mut network, client, &[ask.id]), [End::Complete]);
    assert_eq!(network.clients[client].text(ask.id), expected(&ask));
    assert_eq!(network.providers[0].jobs, 1);
    assert!(network.clients[client].seen.contains_key(&id));
}
