//! A clock that jumps by a day and comes back: no answer is lost, no free question is won, and whoever is there is found
//! again at once.

use crate::network::{FAST_MODEL, add, discovered, ends, expected, question};
use privacyai::{
    client::{Ask, AskId, Choice, End, Event, Input, Profile},
    effect::Millis,
    quota::Left,
};
use privacyai_tests::memory_network::{Faults, Network, Pace, pieces};

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: u64 = 3_600_000;

fn market(seed: u64) -> Network {
    let mut network = Network::new(seed, Faults::NONE);
    for name in ["one", "two"] {
        add(&mut network, name, FAST_MODEL);
    }
    let client = network.add_client();
    network.client(client, Input::FreeDaily(3));
    discovered(&mut network, client, 2);
    network
}

fn set_clock(network: &mut Network, ms: i64) {
    network.clients[0].clock = ms;
}

fn ask(network: &mut Network, id: u64) -> End {
    let ask = question(id, Choice::Automatic, Profile::Fast);
    network.ask(0, ask.clone());
    ends(network, 0, &[ask.id]).remove(0)
}

fn left(network: &Network) -> Left {
    let told = |event: &Event| if let Event::Free(left) = event { Some(*left) } else { None };
    network.clients[0].events.iter().rev().find_map(told).expect("it is always told")
}

fn clock_off(network: &Network) -> Option<i64> {
    let told = |event: &Event| if let Event::ClockOff(seconds) = event { Some(*seconds) } else { None };
    network.clients[0].events.iter().rev().find_map(told)
}

fn usable(network: &Network) -> usize {
    network.clients[0].seen.values().filter(|seen| seen.usable).count()
}

/// A question with a long answer.
fn long(from: u64) -> Ask {
    let fits = |ask: &Ask| pieces(&ask.content).len() >= 45;
    (from..).map(|n| question(n, Choice::Automatic, Profile::Balanced)).find(fits).expect("there is one")
}

#[test]
fn an_answer_under_way_is_whole_though_the_clock_jumps_in_its_middle() {
    for (n, by) in [DAY_MS, -DAY_MS, 400 * DAY_MS, -400 * DAY_MS].into_iter().enumerate() {
        let mut network = market(80 + n as u64);
        for provider in &mut network.providers {
            provider.pace = Pace { first_ms: 300, token_ms: 60 };
        }
        let ask = long(1);
        network.ask(0, ask.clone());
        let until = Millis(network.now.0 + 20_000);
        assert!(network.run_until(until, |network| network.clients[0].text(ask.id).len() > 40));
        set_clock(&mut network, by);
        network.run_for(700);
        assert_eq!(network.clients[0].end(ask.id), None, "{by}");
        set_clock(&mut network, 0);
        assert_eq!(ends(&mut network, 0, &[ask.id]), [End::Complete], "{by}");
        assert_eq!(network.clients[0].text(ask.id), expected(&ask), "{by}");
        let jobs: u64 = network.providers.iter().map(|provider| provider.jobs).sum();
        assert_eq!(jobs, 1, "nobody was asked in vain: {by}");
    }
}

#[test]
fn a_wrong_clock_is_told_and_all_is_well_again_when_it_returns() {
    for (n, by) in [DAY_MS, -DAY_MS].into_iter().enumerate() {
        let mut network = market(90 + n as u64);
        assert_eq!(ask(&mut network, 1), End::Complete);
        set_clock(&mut network, by);
        network.run_for(100_000);
        assert_eq!(usable(&network), 0, "{by}");
        let off = clock_off(&network).expect("it is told");
        assert!(off.abs_diff(by / 1_000) <= 1, "{off} of {by}");
        assert_eq!(ask(&mut network, 2), End::NoProvider, "it says so at once");
        set_clock(&mut network, 0);
        // The heartbeats that were kept are good again, and the next ones prove the clock right.
        network.run_for(35_000);
        assert_eq!((usable(&network), clock_off(&network)), (2, Some(0)), "{by}");
        let asked = network.now;
        assert_eq!(ask(&mut network, 3), End::Complete, "{by}");
        assert!(network.now.0 - asked.0 < 5_000, "{by}");
    }
}

#[test]
fn who_renewed_its_keys_while_the_clock_was_off_is_found_when_it_returns() {
    for (n, by) in [DAY_MS, -DAY_MS].into_iter().enumerate() {
        let mut network = market(100 + n as u64);
        set_clock(&mut network, by);
        network.run_for(3 * HOUR_MS);
        assert_eq!(usable(&network), 0);
        set_clock(&mut network, 0);
        network.run_for(35_000);
        assert_eq!(usable(&network), 2, "{by}");
        assert_eq!(ask(&mut network, 1), End::Complete, "{by}");
    }
}

#[test]
fn no_jump_of_the_clock_wins_a_free_question() {
    let mut network = market(110);
    for id in 0..3 {
        assert_eq!(ask(&mut network, id), End::Complete);
    }
    // Yesterday has no more of them.
    set_clock(&mut network, -DAY_MS);
    network.run_for(60_000);
    assert_eq!((ask(&mut network, 3), left(&network).free()), (End::Limit, 0));
    set_clock(&mut network, 0);
    network.run_for(60_000);
    assert_eq!((ask(&mut network, 4), left(&network).free()), (End::Limit, 0));
    // Nor can tomorrow's be taken today: nobody accepts them, and the day that nobody shared takes none away.
    set_clock(&mut network, DAY_MS);
    network.run_for(60_000);
    assert_eq!((ask(&mut network, 5), left(&network).free()), (End::NoProvider, 3));
    set_clock(&mut network, 0);
    network.run_for(60_000);
    assert_eq!(ask(&mut network, 6), End::Limit);
    network.restart_client(0);
    network.client(0, Input::FreeDaily(3));
    discovered(&mut network, 0, 2);
    assert_eq!(ask(&mut network, 14), End::Limit, "nor a restart");
    network.run_for(24 * HOUR_MS);
    discovered(&mut network, 0, 2);
    for id in 15..18 {
        assert_eq!(ask(&mut network, id), End::Complete);
    }
    assert_eq!(ask(&mut network, 18), End::Limit);
}

#[test]
fn a_question_that_nobody_can_answer_ends_though_the_clock_went_back() {
    let mut network = Network::new(111, Faults::NONE);
    let client = network.add_client();
    set_clock(&mut network, -DAY_MS);
    let asked = network.now;
    assert_eq!(ask(&mut network, 1), End::NoProvider);
    assert!(network.now.0 - asked.0 <= 6_000, "{} ms", network.now.0 - asked.0);
    // A breaker keeps nobody out for longer than its pause, and a trial ends.
    let id = add(&mut network, "one", FAST_MODEL);
    set_clock(&mut network, 0);
    discovered(&mut network, client, 1);
    network.providers[0].deaf = true;
    assert_eq!(ask(&mut network, 2), End::Silent);
    network.run_for(16_000);
    network.ask(client, question(3, Choice::Pinned(id), Profile::Fast));
    network.run_for(1_000);
    network.client(client, Input::Cancel(AskId(3)));
    set_clock(&mut network, -HOUR_MS.cast_signed());
    network.run_for(50_000);
    let now = network.now.shifted(-HOUR_MS.cast_signed());
    let passage = network.clients[client].client.health(&id, "m").map(|health| health.passage(now));
    assert_eq!(passage, Some(privacyai::health::Passage::Lost));
}
