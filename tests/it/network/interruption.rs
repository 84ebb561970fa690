//! Answers that do not come to their end as they began: cancelled, refused, broken off by a provider or by the client's own
//! end. What was shown stays true, and the next question works.

use super::{FAST_MODEL, SLOW_MODEL, accepted_by, add, discovered, ends, expected, machine, offer, question};
use privacyai::{
    client::{Ask, AskId, Choice, End, Event, Input, Profile, Status},
    effect::Millis,
    provider::{self, Note},
};
use privacyai_tests::memory_network::{Faults, Network};

#[test]
fn cancel_stops_the_model_and_keeps_a_true_prefix() {
    let mut network = Network::new(4, Faults::gossip(50));
    add(&mut network, "one", SLOW_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    let ask = question(4, Choice::Automatic, Profile::Balanced);
    network.ask(client, ask.clone());
    let end = Millis(network.now.0 + 60_000);
    assert!(network.run_until(end, |network| !network.clients[client].text(ask.id).is_empty()));
    network.client(client, Input::Cancel(ask.id));
    assert_eq!(ends(&mut network, client, &[ask.id]), [End::Cancelled]);
    network.run_for(10_000);
    assert!(expected(&ask).starts_with(network.clients[client].text(ask.id)));
    let cancelled = |note: &Note| matches!(note, Note::Ended { code: 11, .. });
    assert!(network.providers[0].notes.iter().any(cancelled), "{:?}", network.providers[0].notes);
}

#[test]
fn cancel_before_the_accept_reaches_the_provider_too() {
    let mut network = Network::new(5, Faults::NONE);
    add(&mut network, "one", SLOW_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    let ask = question(5, Choice::Automatic, Profile::Balanced);
    network.ask(client, ask.clone());
    network.client(client, Input::Cancel(ask.id));
    assert_eq!(ends(&mut network, client, &[ask.id]), [End::Cancelled]);
    network.run_for(10_000);
    let cancelled = |note: &Note| matches!(note, Note::Ended { code: 11, .. });
    assert!(network.providers[0].notes.iter().any(cancelled), "{:?}", network.providers[0].notes);
    assert_eq!(network.clients[client].text(ask.id), "");
}

#[test]
fn a_silent_provider_is_replaced_by_another() {
    let mut network = Network::new(6, Faults::NONE);
    add(&mut network, "one", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    network.stop_provider(0);
    let two = add(&mut network, "two", FAST_MODEL);
    let pinned = question(6, Choice::Pinned(machine("one", Vec::new()).id()), Profile::Balanced);
    network.ask(client, pinned.clone());
    assert_eq!(ends(&mut network, client, &[pinned.id]), [End::Silent]);
    for number in 60..70 {
        let ask = question(number, Choice::Automatic, Profile::Balanced);
        network.ask(client, ask.clone());
        assert_eq!(ends(&mut network, client, &[ask.id]), [End::Complete]);
        assert_eq!(network.clients[client].text(ask.id), expected(&ask));
        assert!(accepted_by(&network.clients[client].events, ask.id).contains(&two));
    }
}

#[test]
fn switch_after_a_cancel_asks_the_other_provider() {
    let mut network = Network::new(7, Faults::gossip(20));
    let one = add(&mut network, "one", SLOW_MODEL);
    let two = add(&mut network, "two", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 2);
    let first = question(7, Choice::Pinned(one), Profile::Fast);
    network.ask(client, first.clone());
    network.run_for(1_500);
    network.client(client, Input::Cancel(first.id));
    let second = Ask { id: AskId(8), choice: Choice::Pinned(two), ..first.clone() };
    network.ask(client, second.clone());
    assert_eq!(ends(&mut network, client, &[first.id, second.id]), [End::Cancelled, End::Complete]);
    assert_eq!(network.clients[client].text(second.id), expected(&second));
    assert!(expected(&first).starts_with(network.clients[client].text(first.id)));
}

#[test]
fn a_provider_restart_in_mid_stream_ends_truncated_and_new_questions_work() {
    let mut network = Network::new(8, Faults::gossip(20));
    add(&mut network, "one", SLOW_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    let ask = question(9, Choice::Automatic, Profile::Balanced);
    network.ask(client, ask.clone());
    let end = Millis(network.now.0 + 60_000);
    assert!(network.run_until(end, |network| !network.clients[client].text(ask.id).is_empty()));
    network.start_provider(0, machine("one", vec![offer("m", 100, 100)]));
    assert_eq!(ends(&mut network, client, &[ask.id]), [End::Truncated]);
    assert!(network.clients[client].events.contains(&Event::Stalled(ask.id)));
    let text = network.clients[client].text(ask.id).to_owned();
    assert!(expected(&ask).starts_with(&text) && expected(&ask) != text);
    let next = question(10, Choice::Automatic, Profile::Balanced);
    network.ask(client, next.clone());
    assert_eq!(ends(&mut network, client, &[next.id]), [End::Complete]);
    assert_eq!(network.clients[client].text(next.id), expected(&next));
}

#[test]
fn a_full_provider_refuses_and_announces_busy() {
    let mut network = Network::new(10, Faults::NONE);
    let one = machine("one", vec![offer("m", 1, 1)]);
    let id = one.id();
    network.add_provider(one, SLOW_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    let asks: Vec<Ask> = (20..23).map(|n| question(n, Choice::Pinned(id), Profile::Balanced)).collect();
    for ask in &asks {
        network.ask(client, ask.clone());
        network.run_for(100);
    }
    let ids: Vec<AskId> = asks.iter().map(|ask| ask.id).collect();
    network.run_for(300);
    assert_eq!(network.clients[client].seen[&id].status, Status::Busy);
    let ends = ends(&mut network, client, &ids);
    assert_eq!(ends[..2], [End::Complete, End::Complete]);
    assert!(matches!(ends[2], End::Error { code: 5, retry_after } if retry_after > 0), "{ends:?}");
    network.run_for(40_000);
    assert_eq!(network.clients[client].seen[&id].status, Status::Online);
}

#[test]
fn an_overloaded_provider_is_replaced_in_automatic_choice() {
    let mut network = Network::new(11, Faults::NONE);
    for name in ["one", "two", "three"] {
        network.add_provider(machine(name, vec![offer("m", 1, 0)]), FAST_MODEL);
    }
    let client = network.add_client();
    discovered(&mut network, client, 3);
    let asks: Vec<Ask> = (30..33).map(|n| question(n, Choice::Automatic, Profile::Balanced)).collect();
    for ask in &asks {
        network.ask(client, ask.clone());
    }
    let ids: Vec<AskId> = asks.iter().map(|ask| ask.id).collect();
    let ends = ends(&mut network, client, &ids);
    assert_eq!(ends, [End::Complete, End::Complete, End::Complete]);
}

#[test]
fn an_unknown_model_is_refused_and_nobody_is_asked_for_one_that_none_offers() {
    let mut network = Network::new(12, Faults::NONE);
    let id = add(&mut network, "one", FAST_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    let gone = Ask { model: Some("one".into()), ..question(40, Choice::Pinned(id), Profile::Balanced) };
    network.provider(0, provider::Input::Offers(vec![offer("m", 1, 1)]));
    network.ask(client, gone.clone());
    let none = Ask { model: Some("none".into()), ..question(41, Choice::Automatic, Profile::Balanced) };
    network.ask(client, none.clone());
    let ends = ends(&mut network, client, &[gone.id, none.id]);
    assert_eq!(ends, [End::Error { code: 4, retry_after: 0 }, End::NoProvider]);
}

#[test]
fn a_draining_provider_ends_its_sessions_and_takes_no_more() {
    let mut network = Network::new(13, Faults::gossip(20));
    let id = add(&mut network, "one", SLOW_MODEL);
    let client = network.add_client();
    discovered(&mut network, client, 1);
    let ask = question(50, Choice::Automatic, Profile::Balanced);
    network.ask(client, ask.clone());
    network.run_for(1_000);
    network.provider(0, provider::Input::Drain);
    assert!(!network.providers[0].drained);
    assert_eq!(ends(&mut network, client, &[ask.id]), [End::Complete]);
    assert_eq!(network.clients[client].text(ask.id), expected(&ask));
    network.run_for(10_000);
    assert!(network.providers[0].drained);
    assert_eq!(network.clients[client].seen[&id].status, Status::Offline);
    let late = question(51, Choice::Automatic, Profile::Balanced);
    network.ask(client, late.clone());
    assert_eq!(ends(&mut network, client, &[late.id]), [End::NoProvider]);
}

#[test]
fn a_killed_client_resumes_from_its_mirror() {
    for (seed, profile) in [(14, Profile::Balanced), (15, Profile::Fast), (16, Profile::High)] {
        let mut network = Network::new(seed, Faults::gossip(20));
        add(&mut network, "one", SLOW_MODEL);
        let client = network.add_client();
        discovered(&mut network, client, 1);
        let ask = question(seed + 1_000, Choice::Automatic, profile);
        network.ask(client, ask.clone());
        let end = Millis(network.now.0 + 60_000);
        assert!(network.run_until(end, |network| !network.clients[client].text(ask.id).is_empty()));
        for _ in 0..2 {
            network.run_for(700);
            let mirror = network.clients[client].mirrors[&ask.id].clone();
            network.restart_client(client);
            network.run_for(1_500);
            network.client(client, Input::Resume(ask.clone(), mirror));
        }
        assert_eq!(ends(&mut network, client, &[ask.id]), [End::Complete], "{profile:?}");
        assert_eq!(network.clients[client].text(ask.id), expected(&ask), "{profile:?}");
        let receipt = |event: &Event| matches!(event, Event::Receipt { kept: Some(_), .. });
        assert!(network.clients[client].events.iter().any(receipt), "{profile:?}");
        assert!(network.clients[client].mirrors.is_empty());
    }
}

#[test]
fn after_a_restart_the_next_provider_answers_where_the_choice_was_open() {
    for (seed, is_open) in [(22, true), (23, false)] {
        let mut network = Network::new(seed, Faults::NONE);
        let one = add(&mut network, "one", SLOW_MODEL);
        let two = add(&mut network, "two", FAST_MODEL);
        let client = network.add_client();
        discovered(&mut network, client, 2);
        let long = (seed..).map(|n| question(n, Choice::Automatic, Profile::Fast));
        let ask =
            Ask { last: Some(one), ..long.into_iter().find(|ask| expected(ask).len() > 300).expect("one is long") };
        network.ask(client, ask.clone());
        let end = Millis(network.now.0 + 60_000);
        assert!(network.run_until(end, |network| network.clients[client].text(ask.id).len() > 60));
        network.run_for(1_500);
        let mirror = network.clients[client].mirrors[&ask.id].clone();
        network.restart_client(client);
        discovered(&mut network, client, 2);
        let choice = if is_open { Choice::Automatic } else { Choice::Pinned(one) };
        network.client(client, Input::Resume(Ask { choice, ..ask.clone() }, mirror));
        network.stop_provider(0);
        let ends = ends(&mut network, client, &[ask.id]);
        let text = network.clients[client].text(ask.id).to_owned();
        let cut = Event::Continued { ask: ask.id, provider: two, anew: true };
        let told = network.clients[client].events.contains(&cut);
        if is_open {
            assert!(ends == [End::Complete] && told && text.ends_with(&expected(&ask)), "{ends:?} {text}");
        } else {
            assert!(ends == [End::Truncated] && !told && expected(&ask).starts_with(&text), "{ends:?} {text}");
        }
    }
}

#[test]
fn a_failed_model_ends_in_an_error_behind_its_true_text() {
    let mut network = Network::new(20, Faults::gossip(20));
    add(&mut network, "one", FAST_MODEL);
    network.providers[0].fails = Some((10, usize::MAX));
    let client = network.add_client();
    discovered(&mut network, client, 1);
    let ask = question(210, Choice::Automatic, Profile::Fast);
    network.ask(client, ask.clone());
    assert_eq!(ends(&mut network, client, &[ask.id]), [End::Error { code: 10, retry_after: 3 }]);
    assert_eq!(network.clients[client].text(ask.id), expected(&ask));
}
