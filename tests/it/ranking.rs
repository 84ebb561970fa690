//! Whom the ranking prefers, and why it says so.

use privacyai::{
    announcement::{
        heartbeat::{Model, Status},
        registry::Seen,
    },
    effect::Millis,
    health::{Health, Outcome},
    identity::ProviderId,
    map::Set,
    ranking::{Candidate, Lists, Merit, Preset, rank, spread},
    reputation::Score,
};
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;

const NOW: Millis = Millis(1_800_000_000_000);

fn seen(n: u8) -> Seen {
    Seen {
        id: ProviderId([n; 32]),
        handle: format!("provider-{n}"),
        name: String::new(),
        models: vec![model(0)],
        status: Status::Online,
        response_ms: 500,
        max_concurrent: 4,
        queue: 0,
        heard: NOW,
        peer_ids: Vec::new(),
        usable: true,
        key_changed_from: None,
        equivocated: false,
        confirmed: true,
    }
}

fn model(price: u128) -> Model {
    Model {
        id: "m".into(),
        context: 4_096,
        price_in: price,
        price_out: price,
        tokens_per_s: 100,
        preset: String::new(),
        quantisation: String::new(),
        engine: String::new(),
        capabilities: 0,
        weights_hash: None,
    }
}

fn health(first_ms: u64, answered: u32, died: u32) -> Health {
    let mut health = Health::default();
    for _ in 0..died {
        health.end(Outcome::Died, NOW);
    }
    for _ in 0..answered {
        health.first_text(first_ms, NOW);
        health.end(Outcome::Answered, NOW);
    }
    health
}

/// A provider as the tests below describe it.
struct Known {
    seen: Seen,
    model: Model,
    health: Option<Health>,
    stars: Option<u32>,
    under_way: u32,
}

impl Known {
    fn new(n: u8) -> Self {
        Self { seen: seen(n), model: model(0), health: None, stars: None, under_way: 0 }
    }

    fn candidate(&self) -> Candidate<'_> {
        let felt = self.stars.map(|thousandths| Score { thousandths, count: 9, confidence: 750 });
        Candidate {
            seen: &self.seen,
            model: &self.model,
            health: self.health.as_ref(),
            felt,
            under_way: self.under_way,
        }
    }
}

fn order(known: &[Known], preset: Preset) -> Vec<u8> {
    let candidates: Vec<_> = known.iter().map(Known::candidate).collect();
    rank(&candidates, preset.weights(), NOW).iter().map(|place| place.provider.0[0]).collect()
}

#[test]
fn each_preset_prefers_what_it_names() {
    let quick = Known { health: Some(health(250, 10, 0)), model: model(900), stars: Some(2_500), ..Known::new(1) };
    let cheap = Known { health: Some(health(2_000, 10, 0)), model: model(100), stars: Some(3_000), ..Known::new(2) };
    let loved = Known { health: Some(health(1_800, 10, 0)), model: model(800), stars: Some(4_900), ..Known::new(3) };
    let known = [quick, cheap, loved];
    for (preset, best, merit) in [
        (Preset::Fastest, 1, Merit::Fastest),
        (Preset::Cheapest, 2, Merit::Cheapest),
        (Preset::Trusted, 3, Merit::Trusted),
    ] {
        let candidates: Vec<_> = known.iter().map(Known::candidate).collect();
        let places = rank(&candidates, preset.weights(), NOW);
        assert_eq!((places[0].provider.0[0], places[0].reason.merit), (best, merit), "{places:#?}");
    }
}

#[test]
fn whoever_fails_sinks_however_quick_and_one_that_just_died_comes_last() {
    let lying = Known { health: Some(health(100, 3, 7)), ..Known::new(1) };
    let sound = Known { health: Some(health(900, 10, 0)), ..Known::new(2) };
    assert_eq!(order(&[lying, sound], Preset::Fastest), [2, 1]);
    let mut dead = health(100, 50, 0);
    dead.end(Outcome::Died, NOW);
    let dead = || Known { health: Some(dead.clone()), ..Known::new(1) };
    assert_eq!(order(&[dead(), Known::new(2)], Preset::Balanced), [2, 1]);
}

#[test]
fn one_that_failed_once_competes_again_by_its_score_and_one_that_was_silent_waits_to_be_found() {
    let failed = |outcome| {
        let mut health = health(100, 50, 0);
        health.end(outcome, Millis(NOW.0 - 60_000));
        [
            Known { health: Some(health), ..Known::new(1) },
            Known { health: Some(self::health(3_000, 9, 0)), ..Known::new(2) },
        ]
    };
    assert_eq!(order(&failed(Outcome::Died), Preset::Fastest), [1, 2]);
    assert_eq!(order(&failed(Outcome::Silent), Preset::Fastest), [2, 1]);
}

#[test]
fn what_was_measured_here_counts_more_than_what_is_announced() {
    let mut boasts = Known { health: Some(health(4_000, 5, 0)), ..Known::new(1) };
    boasts.seen.response_ms = 1;
    assert_eq!(order(&[boasts, Known::new(2)], Preset::Balanced), [2, 1]);
    // A time that is only announced makes nobody better than who announces none, and who admits a long one worse.
    let announcing = |n, ms| {
        let mut known = Known::new(n);
        known.seen.response_ms = ms;
        known
    };
    let measured = |n, ms| Known { health: Some(health(ms, 9, 0)), ..Known::new(n) };
    let market = [
        measured(1, 250),
        announcing(2, 9_000),
        announcing(3, 0),
        announcing(4, 1),
        measured(5, 2_500),
        measured(6, 2_500),
        measured(7, 2_500),
    ];
    let order = order(&market, Preset::Fastest);
    let at = |n| order.iter().position(|it| *it == n);
    assert_eq!(order[0], 1, "{order:?}");
    assert!(at(3) < at(4) && at(4) < at(2), "{order:?}");
}

#[test]
fn a_key_that_only_one_node_has_shown_comes_after_all_that_two_have() {
    let mut unconfirmed = Known { health: Some(health(250, 50, 0)), stars: Some(5_000), ..Known::new(1) };
    unconfirmed.seen.confirmed = false;
    let slow = || Known { health: Some(health(4_000, 9, 3)), ..Known::new(2) };
    assert_eq!(order(&[unconfirmed, slow()], Preset::Balanced), [2, 1]);
    // One that failed just now comes after both.
    let mut dead = health(250, 50, 0);
    dead.end(Outcome::Died, NOW);
    let mut unconfirmed = Known::new(1);
    unconfirmed.seen.confirmed = false;
    let dead = Known { health: Some(dead), ..Known::new(3) };
    assert_eq!(order(&[dead, unconfirmed, slow()], Preset::Balanced), [2, 1, 3]);
}

#[test]
fn reasons_are_said_in_plain_words() {
    let known = [Known { health: Some(health(250, 97, 3)), ..Known::new(1) }, Known::new(2)];
    let candidates: Vec<_> = known.iter().map(Known::candidate).collect();
    let places = rank(&candidates, Preset::Balanced.weights(), NOW);
    let words: Vec<String> = places.iter().map(|place| place.reason.to_string()).collect();
    assert_eq!(words[0], "fastest first word of 2 with your model, 3 % of requests failed");
    assert_eq!(words[1], "best over all of 2 with your model, not asked before");
    let alone = rank(&candidates[1..], Preset::Balanced.weights(), NOW);
    assert_eq!(alone[0].reason.to_string(), "the only one with your model, not asked before");
}

#[test]
fn equals_share_the_load_and_the_fuller_of_two_is_spared() {
    let mut known: Vec<Known> = (1..=4).map(Known::new).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..400 {
        let candidates: Vec<_> = known.iter().map(Known::candidate).collect();
        let places = rank(&candidates, Preset::Balanced.weights(), NOW);
        let chosen = spread(&places, &mut rng).unwrap().provider;
        known.iter_mut().find(|it| it.seen.id == chosen).unwrap().under_way += 1;
    }
    let shares: BTreeMap<u8, u32> = known.iter().map(|it| (it.seen.id.0[0], it.under_way)).collect();
    assert!(shares.values().all(|share| (90..=110).contains(share)), "{shares:?}");
    let much_worse = Known { health: Some(health(9_000, 20, 0)), ..Known::new(5) };
    let candidates = [known[0].candidate(), much_worse.candidate()];
    let places = rank(&candidates, Preset::Fastest.weights(), NOW);
    assert!((0..50).all(|_| spread(&places, &mut rng).unwrap().provider == known[0].seen.id));
    assert!(spread(&[], &mut rng).is_none());
}

fn set<const N: usize>(ids: [ProviderId; N]) -> Set<ProviderId> {
    ids.into_iter().map(|id| (id, ())).collect()
}

#[test]
fn lists_say_who_may_be_asked() {
    let (a, b) = (ProviderId([1; 32]), ProviderId([2; 32]));
    let open = Lists::default();
    assert!(open.allow(&a) && open.allow(&b));
    let blocked = Lists { blocked: set([a]), ..Lists::default() };
    assert!(!blocked.allow(&a) && blocked.allow(&b));
    let only = Lists { allowed: set([a]), blocked: set([b]) };
    assert!(only.allow(&a) && !only.allow(&b));
    let contrary = Lists { allowed: set([a]), blocked: set([a]) };
    assert!(!contrary.allow(&a), "a block holds in any case");
}
