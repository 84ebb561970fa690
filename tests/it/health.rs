//! Probes: who is there is known before the next question, at next to no cost, and nobody gains by them.

mod clock;

use crate::network::{FAST_MODEL, add, discovered, ends, expected, question};
use privacyai::{
    announcement::registry::Registry,
    client::{Choice, End, Event, Input, Profile, Window},
    effect::Millis,
    envelope::prompt::{Target, seal_request},
    health::Passage,
    identity::ProviderId,
    message::Body,
    provider::Note,
    ranking::Place,
    topic,
};
use privacyai_tests::memory_network::{Captured, Faults, Network};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

const HOUR_MS: u64 = 3_600_000;

/// A market of so many providers, seen by one client.
fn market(seed: u64, providers: usize) -> Network {
    let mut network = Network::new(seed, Faults::NONE);
    network.capture = true;
    for n in 0..providers {
        add(&mut network, &format!("p{n}"), FAST_MODEL);
    }
    let client = network.add_client();
    network.client(client, Input::FreeDaily(3));
    discovered(&mut network, client, providers);
    network
}

/// What was sent to providers so far.
fn requests(network: &Network) -> Vec<&Captured> {
    network.captured.iter().filter(|message| message.content_topic.ends_with("/requests")).collect()
}

fn count(network: &Network, provider: usize, note: &Note) -> usize {
    network.providers[provider].notes.iter().filter(|it| *it == note).count()
}

fn place(network: &Network, id: &ProviderId) -> Place {
    let places = network.clients[0].client.places(None, network.now);
    places.into_iter().find(|place| place.provider == *id).expect("it has a place")
}

fn id_of(network: &Network, provider: usize) -> ProviderId {
    network.providers[provider].provider.as_ref().expect("it runs").id()
}

/// What anybody seals requests to this provider to.
pub(crate) fn target(network: &Network, id: &ProviderId) -> Target {
    let mut registry = Registry::default();
    let announced = network.captured.iter().filter(|message| !message.ephemeral);
    for message in announced {
        let _ = registry.accept(&message.payload, "node", network.now);
    }
    registry.target(id, network.now).expect("it is usable")
}

#[test]
fn a_probe_is_answered_without_a_model_and_costs_no_free_question() {
    let mut network = market(71, 1);
    network.client(0, Input::Window(Window::Open));
    network.run_for(125_000);
    assert_eq!((count(&network, 0, &Note::Probed), network.providers[0].jobs), (1, 0));
    assert_eq!(network.providers[0].notes.iter().filter(|note| matches!(note, Note::Ended { .. })).count(), 0);
    assert_eq!(count(&network, 0, &Note::Receipt), 0, "nothing was delivered");
    let events = &network.clients[0].events;
    let free =
        events.iter().rev().find_map(|event| if let Event::Free(left) = event { Some(left.free()) } else { None });
    assert_eq!(free, Some(3));
    let shown = |event: &Event| matches!(event, Event::Sent { .. } | Event::Accepted { .. } | Event::Ended { .. });
    assert!(!events.iter().any(shown));
    let id = id_of(&network, 0);
    let health = network.clients[0].client.health(&id, "m").expect("it was heard");
    assert!(health.accept_ms(500).is_some_and(|ms| ms < 100));
    assert_eq!((health.requests(network.now), health.success_permille()), (0, None), "a probe is no request");
    // What a provider announces of its own speed is of answers alone.
    assert!(network.clients[0].seen.values().all(|seen| seen.response_ms == 0));
}

#[test]
fn probes_are_few_fresh_and_small_and_none_leaves_while_nobody_looks() {
    let mut network = market(72, 10);
    network.run_for(2 * HOUR_MS);
    assert_eq!(requests(&network).len(), 0, "no window is open");
    network.client(0, Input::Window(Window::Open));
    network.run_for(4 * HOUR_MS);
    let sent = requests(&network);
    assert_eq!(sent.len(), 3, "the first places, once in hours");
    assert!(sent.windows(2).all(|pair| pair[1].at.0 - pair[0].at.0 >= 240_000));
    // The key that a request begins with is a new one each time, and all have the size of the smallest question.
    let key = |message: &Captured| message.payload[10..74].to_vec();
    let keys: std::collections::BTreeSet<Vec<u8>> = sent.iter().map(|message| key(message)).collect();
    assert_eq!(keys.len(), 3);
    let ask = question(1, Choice::Automatic, Profile::Balanced);
    let sizes: std::collections::BTreeSet<usize> = sent.iter().map(|message| message.payload.len()).collect();
    network.captured.clear();
    network.ask(0, ask.clone());
    assert_eq!(ends(&mut network, 0, &[ask.id]), [End::Complete]);
    assert_eq!(sizes, [requests(&network)[0].payload.len()].into());
    // Closing and opening windows earns no more of them.
    network.captured.clear();
    for _ in 0..60 {
        network.client(0, Input::Window(Window::Closed));
        network.run_for(500);
        network.client(0, Input::Window(Window::Open));
        network.run_for(59_500);
    }
    assert!(requests(&network).len() <= 1, "{}", requests(&network).len());
    network.client(0, Input::Window(Window::Closed));
    network.captured.clear();
    network.run_for(8 * HOUR_MS);
    assert_eq!(requests(&network).len(), 0);
}

#[test]
fn who_claims_to_be_online_and_answers_nothing_is_found_out_before_a_question_is_lost_on_it() {
    let mut network = market(73, 2);
    network.providers[0].deaf = true;
    let (deaf, good) = (id_of(&network, 0), id_of(&network, 1));
    network.client(0, Input::Window(Window::Open));
    network.run_for(HOUR_MS);
    assert!(network.clients[0].seen[&deaf].usable, "it still says so");
    assert!(place(&network, &deaf).passage != Passage::Closed);
    assert_eq!(network.clients[0].client.places(None, network.now)[0].provider, good);
    for n in 0..3 {
        let ask = question(10 + n, Choice::Automatic, Profile::Fast);
        let asked = network.now;
        network.ask(0, ask.clone());
        assert_eq!(ends(&mut network, 0, &[ask.id]), [End::Complete]);
        assert_eq!(network.clients[0].text(ask.id), expected(&ask));
        let sent =
            network.clients[0].events.iter().find(|it| matches!(it, Event::Sent { ask: of, .. } if *of == ask.id));
        assert!(matches!(sent, Some(Event::Sent { provider, .. }) if *provider == good));
        assert!(network.now.0 - asked.0 < 5_000);
    }
}

#[test]
fn a_silent_provider_that_is_back_is_chosen_again_without_a_question_spent_on_it() {
    let mut network = market(74, 1);
    let id = id_of(&network, 0);
    network.providers[0].deaf = true;
    let ask = question(1, Choice::Automatic, Profile::Fast);
    network.ask(0, ask.clone());
    assert_eq!(ends(&mut network, 0, &[ask.id]), [End::Silent]);
    network.run_for(20_000);
    assert_eq!(place(&network, &id).passage, Passage::Lost);
    network.providers[0].deaf = false;
    network.client(0, Input::Window(Window::Open));
    network.run_for(125_000);
    assert_eq!((place(&network, &id).passage, network.providers[0].jobs), (Passage::Closed, 0));
}

#[test]
fn a_provider_that_answers_probes_alone_is_no_better_for_it() {
    let mut network = market(75, 1);
    let id = id_of(&network, 0);
    network.client(0, Input::Window(Window::Open));
    let mut pauses = Vec::new();
    for n in 0..4 {
        network.providers[0].deaf = true;
        let ask = question(n, Choice::Pinned(id), Profile::Fast);
        network.ask(0, ask.clone());
        assert_eq!(ends(&mut network, 0, &[ask.id]), [End::Silent]);
        network.providers[0].deaf = false;
        let failed = network.now;
        let back = Millis(failed.0 + HOUR_MS);
        let closed = |network: &Network| place(network, &id).passage != Passage::Open;
        assert!(network.run_until(back, closed));
        pauses.push(network.now.0 - failed.0);
        assert!(network.run_until(back, |network| place(network, &id).passage == Passage::Closed), "a probe finds it");
    }
    assert!(pauses.windows(2).all(|pair| pair[1] > pair[0] + 10_000), "{pauses:?}");
    let health = network.clients[0].client.health(&id, "m").expect("it was asked");
    assert_eq!(health.success_permille(), Some(0));
}

#[test]
fn no_probe_is_counted_that_could_not_leave() {
    let mut network = market(76, 1);
    let id = id_of(&network, 0);
    network.providers[0].deaf = true;
    network.client(0, Input::Window(Window::Open));
    let sent = |network: &Network| !requests(network).is_empty();
    assert!(network.run_until(Millis(network.now.0 + 130_000), sent));
    network.client(0, Input::Disconnected);
    network.run_for(15_000);
    assert_eq!(place(&network, &id).passage, Passage::Closed, "our own network was away");
    network.client(0, Input::Connected);
    network.captured.clear();
    network.run_for(7 * HOUR_MS);
    assert!(sent(&network));
    assert!(place(&network, &id).passage != Passage::Closed);
}

#[test]
fn a_flood_of_probes_runs_no_model_and_makes_nobody_look_silent() {
    let begin = || {
        let mut network = market(77, 1);
        network.client(0, Input::Window(Window::Open));
        network
    };
    let mut quiet = begin();
    let until = Millis(quiet.now.0 + 130_000);
    assert!(quiet.run_until(until, |network| !requests(network).is_empty()));
    // The flood begins before the client's own probe leaves and outlasts it.
    let mut network = begin();
    let id = id_of(&network, 0);
    network.run_for(quiet.now.0 - network.now.0 - 4_000);
    let target = target(&network, &id);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let ask = question(1, Choice::Automatic, Profile::Fast);
    let topic = topic::requests(&id);
    for second in 0..6 {
        if second == 5 {
            network.ask(0, ask.clone());
        }
        for _ in 0..250 {
            let mut probe = Body::probe(network.now, "m".into());
            probe.want_receipt = true;
            let sealed = seal_request(&target, &probe, &mut rng).expect("it fits");
            network.inject(&topic, &sealed.payload);
            network.run_for(4);
        }
    }
    network.run_for(5_000);
    let (probed, refused) = (count(&network, 0, &Note::Probed), count(&network, 0, &Note::Refused(5)));
    assert!((60..=72).contains(&probed), "{probed}");
    assert!((600..=710).contains(&refused), "{refused}");
    assert_eq!(count(&network, 0, &Note::Receipt), 1, "of the question alone, though probes asked for one");
    assert_eq!(network.providers[0].jobs, 1);
    assert_eq!(network.clients[0].end(ask.id), Some(&End::Complete));
    let own = network.clients[0].client.health(&id, "m").and_then(|health| health.accept_ms(500));
    assert!(own.is_some(), "its own probe got a word back");
    assert_eq!(place(&network, &id).passage, Passage::Closed);
    assert!(network.clients[0].seen[&id].usable);
}
