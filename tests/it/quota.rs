//! The day's free requests as the client machine counts them: before anything leaves, over restarts, given back where
//! nobody accepted.

use crate::network::{FAST_MODEL, add, discovered, ends, machine, question};
use privacyai::{
    client::{Ask, AskId, Choice, End, Event, Input, Profile},
    quota::{DAY_MS, Left},
};
use privacyai_tests::memory_network::{Faults, Network, Pace};

fn market(seed: u64) -> Network {
    let mut network = Network::new(seed, Faults::NONE);
    add(&mut network, "one", FAST_MODEL);
    let client = network.add_client();
    network.client(client, Input::FreeDaily(3));
    discovered(&mut network, client, 1);
    network
}

fn ask(network: &mut Network, id: u64) -> End {
    let ask = question(id, Choice::Automatic, Profile::Fast);
    network.ask(0, ask.clone());
    ends(network, 0, &[ask.id]).remove(0)
}

fn left(network: &Network) -> Left {
    let told = network.clients[0].events.iter().rev().find_map(|event| match event {
        Event::Free(left) => Some(*left),
        _ => None,
    });
    told.expect("it is always told")
}

#[test]
fn three_questions_a_day_and_the_fourth_leaves_nothing_on_the_wire() {
    let mut network = market(41);
    for (n, free) in [(1, 2), (2, 1), (3, 0)] {
        assert_eq!(ask(&mut network, n), End::Complete);
        assert_eq!(left(&network).free(), free);
    }
    network.capture = true;
    assert_eq!(ask(&mut network, 4), End::Limit);
    let asked = |network: &Network| network.captured.iter().any(|message| message.content_topic.ends_with("/requests"));
    assert!(!asked(&network));
    let wait = left(&network).reset.0 - network.now.0;
    assert!(wait <= DAY_MS);
    network.run_for(wait);
    assert_eq!(left(&network).free(), 3, "a new day is told without being asked");
    discovered(&mut network, 0, 1);
    assert_eq!(ask(&mut network, 5), End::Complete);
}

#[test]
fn two_windows_at_once_cannot_spend_the_same_one() {
    let mut network = market(42);
    for id in 0..5 {
        network.ask(0, question(id, Choice::Automatic, Profile::Fast));
    }
    let all: Vec<AskId> = (0..5).map(AskId).collect();
    let ends = ends(&mut network, 0, &all);
    assert_eq!(ends.iter().filter(|end| **end == End::Limit).count(), 2, "{ends:?}");
}

#[test]
fn a_restart_keeps_the_count() {
    let mut network = market(43);
    assert_eq!(ask(&mut network, 1), End::Complete);
    network.restart_client(0);
    network.client(0, Input::FreeDaily(3));
    assert_eq!(left(&network).free(), 2);
    discovered(&mut network, 0, 1);
    assert_eq!(ask(&mut network, 2), End::Complete);
    assert_eq!(ask(&mut network, 3), End::Complete);
    network.restart_client(0);
    network.client(0, Input::FreeDaily(3));
    assert_eq!(ask(&mut network, 4), End::Limit);
}

#[test]
fn what_nobody_accepted_is_given_back() {
    let mut network = market(44);
    network.stop_provider(0);
    assert_eq!(ask(&mut network, 1), End::Silent);
    assert_eq!(left(&network).free(), 3);
    let none = Ask { model: Some("none".into()), ..question(2, Choice::Automatic, Profile::Fast) };
    network.ask(0, none.clone());
    assert_eq!(ends(&mut network, 0, &[none.id]), [End::NoProvider]);
    assert_eq!(left(&network).free(), 3);
}

#[test]
fn what_was_accepted_and_failed_stays_open_to_the_same_provider_and_then_shows_as_lost() {
    let mut network = market(45);
    network.providers[0].pace = Pace { first_ms: 400, token_ms: 1 };
    network.providers[0].fails = Some((10, 3));
    let failed = |end: &End| matches!(end, End::Error { code: 10, .. });
    assert!(failed(&ask(&mut network, 1)));
    let open = left(&network);
    assert_eq!((open.free(), open.open, open.lost), (2, 1, 0));
    let two = add(&mut network, "two", FAST_MODEL);
    discovered(&mut network, 0, 2);
    let again = |choice| Ask { unit: Some(AskId(1)), choice, ..question(2, Choice::Automatic, Profile::Fast) };
    // Its unit is open to the provider that accepted it and to no other.
    network.ask(0, again(Choice::Pinned(two)));
    let end = ends(&mut network, 0, &[AskId(2)]).remove(0);
    assert_ne!(end, End::Complete);
    assert_eq!(left(&network).free(), 2);
    network.providers[0].fails = None;
    let third = Ask { id: AskId(3), unit: Some(AskId(2)), ..again(Choice::Automatic) };
    network.ask(0, third.clone());
    assert_eq!(ends(&mut network, 0, &[third.id]), [End::Complete]);
    let one = machine("one", Vec::new()).id();
    let answered =
        |event: &Event| matches!(event, Event::Accepted { ask, provider, .. } if *ask == third.id && *provider == one);
    assert!(network.clients[0].events.iter().any(answered));
    assert_eq!((left(&network).free(), left(&network).open), (2, 0));

    network.providers[0].fails = Some((10, 3));
    network.providers[1].fails = Some((10, 3));
    assert!(failed(&ask(&mut network, 5)));
    assert_eq!(left(&network).open, 1);
    network.run_for(4_441_000);
    assert_eq!((left(&network).open, left(&network).lost), (0, 1));
}
