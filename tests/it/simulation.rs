//! A small market in virtual time; `cargo xtask simulate` plays large ones.

use privacyai::client::Hedging;
use privacyai_tests::simulation::{Outcome, Scenario, compare, simulate};

const SMALL: Scenario = Scenario {
    providers: 40,
    clients: 100,
    requests: 250,
    seed: 7,
    span_ms: 600_000,
    slots: 2,
    service_ms: 3_000,
    free_daily: 2,
    greedy: 0,
    loss: 10,
    faults: true,
    stragglers: 0,
    hedging: Hedging::Allowed,
};

#[test]
fn questions_reach_whom_they_were_meant_for_within_all_limits() {
    let Outcome { misrouted, answered_ratio, over_limit, over_quota, requests, ends, .. } = simulate(SMALL);
    assert_eq!((misrouted, over_limit, over_quota), (0, 0, 0));
    assert_eq!(requests + ends["limit"], SMALL.requests);
    assert!(ends["limit"] > 0 && answered_ratio >= 0.99, "{answered_ratio} of {requests}: {ends:?}");
}

#[test]
fn at_seventy_percent_waits_are_those_of_a_dispatcher_and_not_of_chance() {
    let full = Scenario {
        requests: 800,
        slots: 1,
        service_ms: 10_000,
        span_ms: 800 * 10_000 * 10 / (7 * 40),
        free_daily: u32::MAX,
        loss: 0,
        faults: false,
        ..SMALL
    };
    let busy = simulate(full);
    let (knows, chance) = compare(full);
    assert!(busy.wait_p95_ms * 2 <= chance, "{} of {chance} ms", busy.wait_p95_ms);
    assert!(busy.wait_p95_ms <= knows * 2, "{} of {knows} ms", busy.wait_p95_ms);
    // Hedges of clients that have asked little must not fill the market.
    assert!(busy.requests_per_question <= 1.1, "{} requests a question", busy.requests_per_question);
}

#[test]
fn hedging_halves_the_latest_first_words_at_a_tenth_more_requests() {
    let late = Scenario {
        clients: 5,
        requests: 1_000,
        span_ms: 3_600_000,
        free_daily: u32::MAX,
        loss: 0,
        faults: false,
        stragglers: 20,
        ..SMALL
    };
    let with = simulate(late);
    let without = simulate(Scenario { hedging: Hedging::Never, ..late });
    assert!(with.first_p99_ms * 2 <= without.first_p99_ms, "{} of {} ms", with.first_p99_ms, without.first_p99_ms);
    let extra = with.requests_per_question / without.requests_per_question;
    assert!(extra <= 1.1, "{extra} times as many requests");
}
