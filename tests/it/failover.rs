//! Providers that fail, and how little of it the user notices: failover before the first word, hedging of a late one,
//! going on elsewhere in mid-stream.

use crate::network::{FAST_MODEL, accepted_by, add, discovered, ends, expected, machine, offer, question};
use privacyai::{
    client::{Ask, AskId, Choice, Effect, End, Event, Input, Profile},
    effect::Millis,
    identity::ProviderId,
};
use privacyai_tests::memory_network::{Faults, Network, Pace, pieces};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;

/// A model whose first word takes a minute.
const STUCK: Pace = Pace { first_ms: 60_000, token_ms: 5 };
/// A model that speaks slowly enough to be stopped in between.
const CALM: Pace = Pace { first_ms: 50, token_ms: 40 };

/// The first question from `from` on whose answer is long and has no JSON events.
fn plain(from: u64) -> Ask {
    let fits = |ask: &Ask| {
        let pieces = pieces(&ask.content);
        pieces.len() >= 40 && pieces.iter().all(|piece| !piece.starts_with('{'))
    };
    (from..).map(|n| question(n, Choice::Automatic, Profile::Fast)).find(fits).expect("there is one")
}

/// The first question from `from` on, changed, among whose first pieces is a JSON event.
fn early_event(from: u64, change: fn(Ask) -> Ask) -> Ask {
    let fits = |ask: &Ask| {
        let pieces = pieces(&ask.content);
        pieces.len() >= 20 && pieces[..10].iter().any(|piece| piece.starts_with('{'))
    };
    let asks = (from..).map(|n| change(question(n, Choice::Automatic, Profile::Fast)));
    asks.into_iter().find(fits).expect("there is one")
}

fn with_tools(ask: Ask) -> Ask {
    Ask { content: [&ask.content[..], b"\"tools\""].concat(), ..ask }
}

/// A provider whose model goes on from a given beginning.
fn add_continuing(network: &mut Network, name: &str, pace: Pace) -> ProviderId {
    let mut offer = offer("m", 100, 100);
    offer.model.capabilities = 1 << 2;
    let machine = machine(name, vec![offer]);
    let id = machine.id();
    network.add_provider(machine, pace);
    id
}

fn events(network: &Network, ask: AskId) -> Vec<&Event> {
    let of = |event: &&Event| matches!(event, Event::Hedged { ask: it, .. } | Event::Continued { ask: it, .. } | Event::Accepted { ask: it, .. } if *it == ask);
    network.clients[0].events.iter().filter(of).collect()
}

/// Who accepted, in order.
fn accepted(network: &Network, ask: AskId) -> Vec<ProviderId> {
    accepted_by(&network.clients[0].events, ask)
}

fn ended_at(network: &mut Network, ask: AskId) -> Millis {
    assert!(network.run_until(Millis(network.now.0 + 60_000), |network| network.clients[0].end(ask).is_some()));
    network.now
}

fn continued(network: &Network, ask: AskId) -> Vec<bool> {
    let anew = |event: &&Event| if let Event::Continued { anew, .. } = event { Some(*anew) } else { None };
    events(network, ask).iter().filter_map(anew).collect()
}

/// Asks until the client has earned hedges and knows that its providers are quick.
fn warm_up(network: &mut Network, numbers: core::ops::Range<u64>) {
    for n in numbers {
        let ask = question(9_000 + n, Choice::Automatic, Profile::Fast);
        network.ask(0, ask.clone());
        ends(network, 0, &[ask.id]);
    }
}

#[test]
fn a_late_first_word_is_hedged_and_the_first_to_speak_answers_alone() {
    let mut network = Network::new(31, Faults::NONE);
    let one = add(&mut network, "one", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    warm_up(&mut network, 0..12);
    network.providers[0].pace = STUCK;
    let two = add(&mut network, "two", FAST_MODEL);
    discovered(&mut network, client, 2);
    let ask = Ask { last: Some(one), ..question(100, Choice::Automatic, Profile::Fast) };
    let asked = network.now;
    network.ask(client, ask.clone());
    let ended = ended_at(&mut network, ask.id);
    assert_eq!(network.clients[client].end(ask.id), Some(&End::Complete));
    assert_eq!(network.clients[client].text(ask.id), expected(&ask));
    let told = events(&network, ask.id);
    assert!(told.contains(&&Event::Hedged { ask: ask.id, provider: two }), "{told:?}");
    assert_eq!(accepted(&network, ask.id).last(), Some(&two));
    assert!(ended.0 - asked.0 < 3_000, "{} ms", ended.0 - asked.0);
    network.run_for(5_000);
    let cancelled = network.providers[0].notes.iter().any(|note| format!("{note:?}").contains("code: 11"));
    assert!(cancelled, "the loser is stopped");
}

#[test]
fn of_two_that_were_asked_the_one_that_speaks_first_is_named_last() {
    let mut network = Network::new(30, Faults::NONE);
    let one = add(&mut network, "one", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    warm_up(&mut network, 0..12);
    network.providers[0].pace = Pace { first_ms: 3_000, token_ms: 5 };
    let two = add(&mut network, "two", STUCK);
    discovered(&mut network, client, 2);
    let ask = Ask { last: Some(one), ..plain(100) };
    network.ask(client, ask.clone());
    ended_at(&mut network, ask.id);
    assert_eq!(network.clients[client].end(ask.id), Some(&End::Complete));
    let told = events(&network, ask.id);
    let hedged = told.iter().position(|it| matches!(it, Event::Hedged { provider, .. } if *provider == two));
    let behind = &told[hedged.expect("the second was asked")..];
    // With it comes why it was chosen: the edge has heard another reason since.
    let named = |it: &&Event| matches!(it, Event::Accepted { provider, why: Some(_), .. } if *provider == one);
    assert!(behind.iter().any(named) && accepted(&network, ask.id).last() == Some(&one), "{told:?}");
}

#[test]
fn who_can_read_a_question_is_named_before_it_leaves() {
    let mut network = Network::new(29, Faults::NONE);
    add(&mut network, "one", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    let node = &mut network.clients[client];
    let effects = node.client.handle(Input::Ask(plain(1)), network.now, &mut ChaCha8Rng::seed_from_u64(3));
    let at = |find: fn(&Effect) -> bool| effects.iter().position(find).expect("it is there");
    let named = at(|effect| matches!(effect, Effect::Event(Event::Sent { .. })));
    assert!(named < at(|effect| matches!(effect, Effect::Publish { .. })));
}

#[test]
fn a_provider_that_accepts_and_says_nothing_is_left_for_the_next() {
    let mut network = Network::new(38, Faults::NONE);
    let one = add(&mut network, "one", STUCK);
    add(&mut network, "two", STUCK);
    add(&mut network, "three", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 3);
    for (n, profile) in [Profile::Balanced, Profile::High].into_iter().enumerate() {
        let ask = Ask { last: Some(one), profile, ..question(150 + n as u64, Choice::Automatic, Profile::Fast) };
        let asked = network.now;
        network.ask(client, ask.clone());
        let ended = ended_at(&mut network, ask.id);
        assert_eq!(network.clients[client].end(ask.id), Some(&End::Complete));
        assert_eq!(network.clients[client].text(ask.id), expected(&ask));
        assert!(ended.0 - asked.0 < 50_000, "{} ms", ended.0 - asked.0);
    }
}

#[test]
fn hedges_are_at_most_a_tenth_of_the_requests_and_none_for_a_pinned_provider() {
    let mut network = Network::new(32, Faults::NONE);
    let one = add(&mut network, "one", Pace { first_ms: 2_000, token_ms: 1 });
    add(&mut network, "two", Pace { first_ms: 6_000, token_ms: 1 });
    let client = network.add_client();
    discovered(&mut network, client, 2);
    for n in 0..100 {
        let choice = if n % 2 == 0 { Choice::Automatic } else { Choice::Pinned(one) };
        let ask = question(200 + n, choice.clone(), Profile::Fast);
        network.ask(client, ask.clone());
        assert_eq!(ends(&mut network, client, &[ask.id]), [End::Complete]);
        let hedged = events(&network, ask.id).iter().any(|event| matches!(event, Event::Hedged { .. }));
        assert!(!hedged || choice == Choice::Automatic);
    }
    let jobs: u64 = network.providers.iter().map(|provider| provider.jobs).sum();
    assert!((101..=110).contains(&jobs), "{jobs} jobs for 100 questions");
}

#[test]
fn a_restart_gives_no_hedge_and_takes_none() {
    let mut network = Network::new(28, Faults::NONE);
    add(&mut network, "one", FAST_MODEL);
    add(&mut network, "two", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 2);
    for (numbers, allowed) in [(0..5, false), (5..10, true)] {
        let ask = plain(100 * numbers.end);
        warm_up(&mut network, numbers);
        network.restart_client(client);
        discovered(&mut network, client, 2);
        network.providers.iter_mut().for_each(|node| node.pace = Pace { first_ms: 8_000, token_ms: 5 });
        network.ask(client, ask.clone());
        ended_at(&mut network, ask.id);
        network.providers.iter_mut().for_each(|node| node.pace = FAST_MODEL);
        let hedged = events(&network, ask.id).iter().any(|event| matches!(event, Event::Hedged { .. }));
        assert_eq!(hedged, allowed, "question {}", ask.id.0);
    }
}

#[test]
fn an_error_before_the_first_word_goes_to_the_next_provider() {
    let mut network = Network::new(33, Faults::NONE);
    let one = add(&mut network, "one", FAST_MODEL);
    add(&mut network, "two", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 2);
    network.providers[0].fails = Some((10, 0));
    let ask = Ask { last: Some(one), ..plain(300) };
    network.ask(client, ask.clone());
    ended_at(&mut network, ask.id);
    assert_eq!(network.clients[client].end(ask.id), Some(&End::Complete));
    assert_eq!(network.clients[client].text(ask.id), expected(&ask));
    assert_eq!((network.providers[0].jobs, network.providers[1].jobs), (1, 1));
    assert_eq!(continued(&network, ask.id), [] as [bool; 0], "nothing was shown that could break off");
}

#[test]
fn an_answer_that_breaks_off_goes_on_elsewhere_word_for_word() {
    let mut network = Network::new(34, Faults::NONE);
    let one = add_continuing(&mut network, "one", CALM);
    let two = add_continuing(&mut network, "two", CALM);
    let client = network.add_client();
    discovered(&mut network, client, 2);
    let ask = Ask { last: Some(one), ..plain(400) };
    network.ask(client, ask.clone());
    assert!(network.run_until(Millis(network.now.0 + 20_000), |network| network.clients[0].text(ask.id).len() > 60));
    network.stop_provider(0);
    let stopped = network.now;
    let more = network.clients[client].text(ask.id).len();
    assert!(network.run_until(Millis(network.now.0 + 20_000), |network| network.clients[0].text(ask.id).len() > more));
    // Frames that were under way still come; what counts is when the other one speaks.
    ended_at(&mut network, ask.id);
    assert_eq!(network.clients[client].end(ask.id), Some(&End::Complete));
    assert_eq!(network.clients[client].text(ask.id), expected(&ask), "not one word lost or doubled");
    assert_eq!(continued(&network, ask.id), [false]);
    assert!(matches!(events(&network, ask.id).last(), Some(Event::Accepted { provider, .. }) if *provider == two));
    assert!(network.now.0 - stopped.0 < 10_000, "{} ms", network.now.0 - stopped.0);
}

#[test]
fn where_nobody_can_go_on_it_is_asked_anew_below_the_cut() {
    let mut network = Network::new(35, Faults::NONE);
    let one = add(&mut network, "one", CALM);
    add(&mut network, "two", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 2);
    let ask = Ask { last: Some(one), ..plain(500) };
    network.ask(client, ask.clone());
    assert!(network.run_until(Millis(network.now.0 + 20_000), |network| network.clients[0].text(ask.id).len() > 60));
    network.stop_provider(0);
    ended_at(&mut network, ask.id);
    assert_eq!(network.clients[client].end(ask.id), Some(&End::Complete));
    assert_eq!(continued(&network, ask.id), [true]);
    // How it stands after it failed is told with the cut, so that the screen shows it now and not with its next word.
    let told = &network.clients[client].events;
    let cut = told.iter().position(|event| matches!(event, Event::Continued { .. })).expect("it was cut");
    assert!(told[..cut].iter().rev().take(4).any(|event| matches!(event, Event::Provider(seen) if seen.id == one)));
    let text = network.clients[client].text(ask.id);
    let whole = expected(&ask);
    let cut = text.strip_suffix(whole.as_str()).expect("the whole answer stands below the cut");
    assert!(!cut.is_empty() && whole.starts_with(cut), "above it a true beginning");
}

#[test]
fn what_does_not_fit_with_its_question_is_asked_anew() {
    let mut network = Network::new(43, Faults::NONE);
    let one = add_continuing(&mut network, "one", CALM);
    add_continuing(&mut network, "two", CALM);
    let client = network.add_client();
    discovered(&mut network, client, 2);
    // The question fits, and no room is left for the beginning of its answer.
    let long = |n| {
        let ask = question(n, Choice::Automatic, Profile::Fast);
        let spaces = vec![b' '; 147_300 - ask.content.len()];
        Ask { content: [ask.content, spaces].concat(), ..ask }
    };
    let fits = |ask: &Ask| {
        let pieces = pieces(&ask.content);
        pieces.len() >= 40 && pieces.iter().all(|piece| !piece.starts_with('{'))
    };
    let ask = Ask { last: Some(one), ..(0..).map(long).find(fits).expect("there is one") };
    network.ask(client, ask.clone());
    assert!(network.run_until(Millis(network.now.0 + 20_000), |network| network.clients[0].text(ask.id).len() > 60));
    network.stop_provider(0);
    ended_at(&mut network, ask.id);
    assert_eq!(network.clients[client].end(ask.id), Some(&End::Complete));
    assert_eq!(continued(&network, ask.id), [true]);
    assert!(network.clients[client].text(ask.id).ends_with(&expected(&ask)));
}

#[test]
fn a_pinned_provider_is_never_left_without_asking() {
    let mut network = Network::new(36, Faults::NONE);
    let one = add_continuing(&mut network, "one", CALM);
    add_continuing(&mut network, "two", CALM);
    let client = network.add_client();
    discovered(&mut network, client, 2);
    let ask = Ask { choice: Choice::Pinned(one), ..plain(600) };
    network.ask(client, ask.clone());
    assert!(network.run_until(Millis(network.now.0 + 20_000), |network| network.clients[0].text(ask.id).len() > 60));
    network.stop_provider(0);
    ended_at(&mut network, ask.id);
    assert_eq!(network.clients[client].end(ask.id), Some(&End::Truncated));
    assert_eq!(continued(&network, ask.id), [] as [bool; 0]);
    assert!(expected(&ask).starts_with(network.clients[client].text(ask.id)));
}

/// A market of two that continue and are never in a hurry, its client, and the first of them.
fn calm_pair(seed: u64) -> (Network, usize, ProviderId) {
    let mut network = Network::new(seed, Faults::NONE);
    let one = add_continuing(&mut network, "one", CALM);
    add_continuing(&mut network, "two", CALM);
    let client = network.add_client();
    discovered(&mut network, client, 2);
    (network, client, one)
}

#[test]
fn nobody_goes_on_from_a_part_of_a_tool_call() {
    let (mut network, client, one) = calm_pair(39);
    // A JSON event is among the first pieces, and the model breaks off behind it.
    let ask = Ask { last: Some(one), ..early_event(700, with_tools) };
    network.providers[0].fails = Some((10, 12));
    network.ask(client, ask.clone());
    ended_at(&mut network, ask.id);
    assert_eq!(network.clients[client].end(ask.id), Some(&End::Error { code: 10, retry_after: 3 }));
    assert_eq!((network.providers[0].jobs, network.providers[1].jobs), (1, 0));
}

#[test]
fn an_answer_with_a_tool_call_is_repaired_after_a_silence_and_not_cut() {
    let (mut network, client, one) = calm_pair(41);
    let ask = Ask { last: Some(one), ..early_event(700, with_tools) };
    network.ask(client, ask.clone());
    let came = |network: &Network| network.clients[0].events.iter().any(|it| matches!(it, Event::Json { .. }));
    assert!(network.run_until(Millis(network.now.0 + 20_000), came));
    network.faults.loss = 1_000;
    network.run_for(5_000);
    assert!(network.clients[client].events.contains(&Event::Stalled(ask.id)));
    network.faults.loss = 0;
    ended_at(&mut network, ask.id);
    assert_eq!(network.clients[client].end(ask.id), Some(&End::Complete));
    assert_eq!(network.clients[client].text(ask.id), expected(&ask));
    assert_eq!((network.providers[0].jobs, network.providers[1].jobs), (1, 0));
    let flow = |event: &&Event| matches!(event, Event::Stalled(of) | Event::Flows(of) if *of == ask.id);
    let told: Vec<&Event> = network.clients[client].events.iter().filter(flow).collect();
    assert_eq!(told, [&Event::Stalled(ask.id), &Event::Flows(ask.id)]);
}

#[test]
fn who_dies_while_it_thinks_is_replaced() {
    let mut network = Network::new(42, Faults::NONE);
    let one = add(&mut network, "one", CALM);
    let two = add(&mut network, "two", CALM);
    let client = network.add_client();
    discovered(&mut network, client, 2);
    // It thinks before its first word.
    let thinks = |ask: &Ask| {
        let pieces = pieces(&ask.content);
        pieces.len() >= 20 && pieces[..2].iter().all(|piece| piece.starts_with('{'))
    };
    let mut asks = (900..).map(|n| question(n, Choice::Automatic, Profile::Fast));
    let ask = Ask { last: Some(one), ..asks.find(thinks).expect("there is one") };
    network.providers[0].fails = Some((10, 1));
    network.ask(client, ask.clone());
    ended_at(&mut network, ask.id);
    assert_eq!(network.clients[client].end(ask.id), Some(&End::Complete));
    assert_eq!(network.clients[client].text(ask.id), expected(&ask));
    assert_eq!(accepted(&network, ask.id), [one, two]);
    assert_eq!(continued(&network, ask.id), [] as [bool; 0], "no text was shown that could break off");
}

#[test]
fn a_queue_is_left_for_a_free_slot_elsewhere_and_a_pinned_one_is_waited_for() {
    let mut network = Network::new(40, Faults::NONE);
    let slow = Pace { first_ms: 3_000, token_ms: 5 };
    let machine = machine("one", vec![offer("m", 1, 50)]);
    let one = machine.id();
    network.add_provider(machine, slow);
    let two = add(&mut network, "two", FAST_MODEL);
    let (client, other) = (network.add_client(), network.add_client());
    discovered(&mut network, client, 2);
    discovered(&mut network, other, 2);
    // Somebody else takes the only slot in the same moment.
    network.ask(other, question(800, Choice::Pinned(one), Profile::Fast));
    let ask = Ask { last: Some(one), ..plain(810) };
    let pinned = Ask { id: AskId(811), choice: Choice::Pinned(one), ..ask.clone() };
    let asked = network.now;
    network.ask(client, ask.clone());
    network.ask(client, pinned.clone());
    ended_at(&mut network, ask.id);
    assert_eq!(network.clients[client].end(ask.id), Some(&End::Complete));
    assert_eq!(network.clients[client].text(ask.id), expected(&ask));
    assert!(network.now.0 - asked.0 < 2_500, "{} ms", network.now.0 - asked.0);
    assert_eq!((events(&network, ask.id).len(), accepted(&network, ask.id)), (1, vec![two]));
    ended_at(&mut network, pinned.id);
    assert_eq!(network.clients[client].end(pinned.id), Some(&End::Complete));
    assert_eq!((events(&network, pinned.id).len(), accepted(&network, pinned.id)), (1, vec![one]));
}

#[test]
fn with_loss_and_dying_providers_every_answer_is_whole_or_says_so() {
    let mut network = Network::new(37, Faults::gossip(30));
    let names = ["one", "two", "three"];
    for name in names {
        add_continuing(&mut network, name, CALM);
    }
    let client = network.add_client();
    discovered(&mut network, client, 3);
    let mut whole = 0;
    let mut next = 1_000;
    for round in 0..30u64 {
        let ask = plain(next);
        next = ask.id.0 + 1;
        network.ask(client, ask.clone());
        let victim = (round % 3) as usize;
        network.run_for(900);
        if network.providers[victim].provider.is_some() {
            network.stop_provider(victim);
        }
        let end = ends(&mut network, client, &[ask.id]);
        let text = network.clients[client].text(ask.id).to_owned();
        match end.as_slice() {
            [End::Complete] if continued(&network, ask.id).iter().all(|anew| !anew) => {
                assert_eq!(text, expected(&ask), "round {round}");
                whole += 1;
            }
            [End::Complete] => assert!(text.ends_with(&expected(&ask)), "round {round}"),
            _ => assert!(expected(&ask).starts_with(&text), "round {round}"),
        }
        network.start_provider(victim, {
            let mut offer = offer("m", 100, 100);
            offer.model.capabilities = 1 << 2;
            machine(names[victim], vec![offer])
        });
        discovered(&mut network, client, 3);
    }
    assert!(whole >= 28, "{whole} of 30");
}
