//! Scores of users: order and repetition do not matter, they stay between 1 and 5, and age takes weight away.

mod counts;
mod receipts;

use privacyai::{
    effect::Millis,
    identity::ProviderId,
    reputation::{HALF_LIFE_MS, Rating, Ratings, felt, measured},
};
use proptest::prelude::*;

const NOW: Millis = Millis(1_800_000_000_000);

fn rating(stars: u8, age: u64) -> Rating {
    Rating { provider: ProviderId([7; 32]), stars, reasons: 0, at: Millis(NOW.0.saturating_sub(age)) }
}

fn given() -> impl Strategy<Value = Vec<(u8, u64)>> {
    proptest::collection::vec((1u8..=5, 0u64..20 * HALF_LIFE_MS), 0..40)
}

fn ratings<'a>(order: impl Iterator<Item = (usize, &'a (u8, u64))>) -> Ratings {
    let mut ratings = Ratings::default();
    for (answer, (stars, age)) in order {
        ratings.put(vec![answer as u8], rating(*stars, *age));
    }
    ratings
}

#[test]
fn an_old_rating_gives_way_to_a_fresh_one() {
    let both = |old: u8, fresh: u8| felt([rating(old, 3 * HALF_LIFE_MS), rating(fresh, 0)].iter(), NOW).thousandths;
    assert!(both(1, 5) > both(5, 1) + 400, "{} {}", both(1, 5), both(5, 1));
    let alone = |age| felt([rating(5, age)].iter(), NOW);
    assert!(alone(3 * HALF_LIFE_MS).confidence * 4 < alone(0).confidence);
}

#[test]
fn a_provider_that_answers_more_measures_better() {
    let scores: Vec<u32> = (0..=10).map(|share| measured(share * 100, 20).thousandths).collect();
    assert!(scores.windows(2).all(|pair| pair[0] < pair[1]), "{scores:?}");
    assert!(measured(1_000, 1).thousandths < measured(1_000, 50).thousandths, "one request says little");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(privacyai_tests::rounds(256)) })]

    #[test]
    fn order_and_repetition_do_not_matter(given in given()) {
        let forwards = ratings(given.iter().enumerate());
        let backwards = ratings(given.iter().enumerate().rev());
        let twice = ratings(given.iter().enumerate().chain(given.iter().enumerate()));
        let id = ProviderId([7; 32]);
        prop_assert_eq!(forwards.score(&id, NOW), backwards.score(&id, NOW));
        prop_assert_eq!(forwards.score(&id, NOW), twice.score(&id, NOW));
        prop_assert_eq!(forwards.score(&ProviderId([8; 32]), NOW), None);
    }

    #[test]
    fn a_score_lies_between_one_and_five_and_no_further_than_its_ratings(given in given()) {
        let all: Vec<Rating> = given.iter().map(|(stars, age)| rating(*stars, *age)).collect();
        let score = felt(all.iter(), NOW);
        prop_assert!((1_000..=5_000).contains(&score.thousandths));
        prop_assert!(score.confidence <= 1_000);
        prop_assert_eq!(score.count as usize, given.len());
        let stars = || given.iter().map(|(stars, _)| u32::from(*stars) * 1_000).chain([3_500]);
        prop_assert!(score.thousandths >= stars().min().unwrap() && score.thousandths <= stars().max().unwrap());
    }

    #[test]
    fn a_better_rating_never_lowers_a_score(given in given(), stars in 1u8..5, age in 0u64..HALF_LIFE_MS) {
        let score = |stars: u8| {
            let all: Vec<Rating> = given.iter().map(|(s, a)| rating(*s, *a)).chain([rating(stars, age)]).collect();
            felt(all.iter(), NOW).thousandths
        };
        prop_assert!(score(stars) <= score(stars + 1));
    }

    #[test]
    fn age_takes_weight_away(stars in 1u8..=5, age in 0u64..20 * HALF_LIFE_MS, more in 1u64..HALF_LIFE_MS) {
        let score = |age: u64| felt([rating(stars, age)].iter(), NOW);
        let (young, old) = (score(age), score(age + more));
        prop_assert!(old.confidence <= young.confidence);
        let from_prior = |score: u32| score.abs_diff(3_500);
        prop_assert!(from_prior(old.thousandths) <= from_prior(young.thousandths));
    }

    #[test]
    fn a_measured_score_is_on_the_same_scale(permille in 0u32..=1_000, requests in 0u32..10_000) {
        let score = measured(permille, requests);
        prop_assert!((1_000..=5_000).contains(&score.thousandths) && score.count == requests);
    }

    #[test]
    fn stored_ratings_read_back_and_others_are_refused(stars in any::<u8>(), reasons in any::<u8>(), junk in proptest::collection::vec(any::<u8>(), 0..60)) {
        let it = Rating { stars, reasons, ..rating(1, 5) };
        let read = Rating::decode(&it.encode());
        prop_assert_eq!(read.ok(), (1..=5).contains(&stars).then_some(it));
        let _ = Rating::decode(&junk);
    }
}
