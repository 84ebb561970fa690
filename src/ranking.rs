//! Who is asked: one pure function of health, price, reputation, load and the user's wishes. It gives the order and the
//! reason, in words.

use crate::{
    announcement::{
        heartbeat::{Model, Status},
        registry::Seen,
    },
    effect::Millis,
    health::{Health, Passage},
    identity::ProviderId,
    map::{self, Map, Set},
    reputation::Score,
};
use alloc::{string::String, vec::Vec};
use core::fmt;
use rand_core::Rng;

/// Twice the best time to the first word costs so many of 1,000: who is a little slower is nearly as good.
const PER_DOUBLING: u32 = 250;

/// Who has not been measured counts as succeeding so often, in permille, which weighs as much as so many requests.
const PRIOR: (u32, u32) = (900, 2);

/// A score of at least this part of the best, in permille, is as good: the load is spread among these.
const NEAR_PERMILLE: u32 = 850;

/// Tokens of the answer by whose time providers are compared.
const TYPICAL_TOKENS: u32 = 50;

/// Times below this are equally quick to a person, in ms.
const INSTANT_MS: u32 = 200;

/// What matters how much to the user, each from 0 to 100. How reliably a provider answers is none of it: that multiplies
/// the whole, whatever the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Time to the first word.
    pub speed: u8,
    /// Price.
    pub price: u8,
    /// The user's stars.
    pub reputation: u8,
    /// Free slots now.
    pub load: u8,
}

/// The user's way of choosing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// A little of everything.
    #[default]
    Balanced,
    /// The quickest first word.
    Fastest,
    /// The lowest price.
    Cheapest,
    /// The best stars.
    Trusted,
}

impl Preset {
    /// Its weights.
    pub const fn weights(self) -> Weights {
        match self {
            Self::Balanced => Weights { speed: 40, price: 20, reputation: 25, load: 15 },
            Self::Fastest => Weights { speed: 85, price: 0, reputation: 5, load: 10 },
            Self::Cheapest => Weights { speed: 10, price: 75, reputation: 10, load: 5 },
            Self::Trusted => Weights { speed: 10, price: 5, reputation: 80, load: 5 },
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Preset::default().weights()
    }
}

/// Whom the user wants asked, and whom not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Only these, unless it is empty.
    pub allowed: Set<ProviderId>,
    /// None of these.
    pub blocked: Set<ProviderId>,
}

impl Lists {
    /// Whether a question may go to this provider.
    pub fn allow(&self, id: &ProviderId) -> bool {
        !self.blocked.contains_key(id) && (self.allowed.is_empty() || self.allowed.contains_key(id))
    }
}

/// A provider with one of its models, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// As announced.
    pub seen: &'a Seen,
    /// The model.
    pub model: &'a Model,
    /// As measured here, if it was asked before.
    pub health: Option<&'a Health>,
    /// As felt here, if it was rated.
    pub felt: Option<Score>,
    /// This user's own requests there that are under way.
    pub under_way: u32,
}

/// A candidate's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Who.
    pub provider: ProviderId,
    /// Which model.
    pub model: String,
    /// 0 to 1,000.
    pub score: u32,
    /// Waiting and running requests for each slot, in permille.
    pub load: u32,
    /// Whether a request may go there: who was silent or failed just now comes after all others.
    pub passage: Passage,
    /// Whether a second node has shown its key: the others come after these.
    pub confirmed: bool,
    /// A slot is free there, as it announces.
    pub free: bool,
    /// Why it stands here.
    pub reason: Reason,
}

/// What speaks most for a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merit {
    /// It is the only one.
    Only,
    /// Quickest first word, measured here.
    Fastest,
    /// Quickest whole answer, measured here.
    Quickest,
    /// Lowest price.
    Cheapest,
    /// Best stars.
    Trusted,
    /// Nothing by itself.
    Overall,
}

/// Why a candidate stands where it does. Its `Display` is one clause in plain words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What speaks most for it.
    pub merit: Merit,
    /// Of so many with this model.
    pub of: u32,
    /// Share of its requests here that failed, in permille, and of how many.
    pub failed: Option<(u32, u32)>,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = self.of;
        match self.merit {
            Merit::Only => f.write_str("the only one with your model")?,
            Merit::Fastest => write!(f, "fastest first word of {of} with your model")?,
            Merit::Quickest => write!(f, "fastest answers of {of} with your model")?,
            Merit::Cheapest => write!(f, "lowest price of {of} with your model")?,
            Merit::Trusted => write!(f, "best stars of {of} with your model")?,
            Merit::Overall => write!(f, "best over all of {of} with your model")?,
        }
        match self.failed {
            Some((0, requests)) => write!(f, ", none of {requests} requests failed"),
            Some((permille, _)) => write!(f, ", {} % of requests failed", permille.div_ceil(10)),
            None => f.write_str(", not asked before"),
        }
    }
}

/// The candidates from the best to the last. Those that were silent, and then those whose breaker is open, come after all
/// others: they are asked only when nobody else is left.
pub fn rank(candidates: &[Candidate<'_>], weights: Weights, now: Millis) -> Vec<Place> {
    let best = Best::of(candidates);
    let mut places: Vec<Place> = candidates.iter().map(|candidate| best.place(candidate, weights, now)).collect();
    let last = |place: &Place| if place.passage.may() { Passage::Closed } else { place.passage };
    let key = |place: &Place| (last(place), !place.confirmed, core::cmp::Reverse(place.score), place.provider);
    map::sort(&mut places, &|a, b| key(a).cmp(&key(b)));
    places
}

/// One of the places that are as good as the first, by the power of two choices: of two drawn at random the one with
/// less load. So clients that see the same market do not all go to the same provider (Mitzenmacher 2001).
pub fn spread<'a>(places: &'a [Place], rng: &mut impl Rng) -> Option<&'a Place> {
    let first = places.first()?;
    let near = |place: &&Place| {
        (place.passage.may(), place.confirmed) == (first.passage.may(), first.confirmed)
            && u64::from(place.score) * 1_000 >= u64::from(first.score) * u64::from(NEAR_PERMILLE)
    };
    let equal = places.iter().take_while(near).count();
    let mut draw = || places.get(rng.next_u32() as usize % equal.max(1));
    let (one, other) = (draw()?, draw()?);
    Some(if other.load < one.load { other } else { one })
}

/// The best of each quality, that the others are measured by.
struct Best {
    of: u32,
    first_ms: u32,
    /// The quickest first word alone.
    first_word_ms: Option<u32>,
    /// Who has neither been measured nor announces a time is taken for as quick as most, so that newcomers are tried.
    usual_ms: u32,
    price: u128,
    stars: Map<ProviderId, u32>,
    top_stars: u32,
}

impl Best {
    fn of(candidates: &[Candidate<'_>]) -> Self {
        let time = |candidate| measured_ms(candidate).or(announced_ms(candidate));
        let mut times: Vec<u32> = candidates.iter().filter_map(time).collect();
        map::sort(&mut times, &Ord::cmp);
        let usual_ms = times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or(0);
        let stars: Map<_, _> = candidates.iter().map(|it| (it.seen.id, stars(it))).collect();
        Self {
            of: u32::try_from(candidates.len()).unwrap_or(u32::MAX),
            first_ms: candidates.iter().filter_map(measured_ms).min().unwrap_or(usual_ms).min(usual_ms),
            usual_ms,
            first_word_ms: candidates.iter().filter_map(|it| it.health?.first_ms(500)).min(),
            price: candidates.iter().map(price).min().unwrap_or(0),
            top_stars: stars.values().copied().max().unwrap_or(0),
            stars,
        }
    }

    fn place(&self, candidate: &Candidate<'_>, weights: Weights, now: Millis) -> Place {
        let Candidate { seen, model, health, .. } = candidate;
        // An announced time is anybody's word: it can make a provider worse than most, not better.
        let first_ms = measured_ms(candidate).or(announced_ms(candidate).map(|ms| ms.max(self.usual_ms)));
        let quick = quickness(self.first_ms, first_ms.unwrap_or(self.usual_ms));
        let cheap = ratio(self.price, price(candidate));
        let stars = self.stars.get(&seen.id).copied().unwrap_or(0);
        let trusted = (stars.saturating_sub(1_000)) / 4;
        let load = load(candidate);
        let free = if seen.status == Status::Busy { 0 } else { 1_000 - load.min(1_000) };
        let terms =
            [(weights.speed, quick), (weights.price, cheap), (weights.reputation, trusted), (weights.load, free)];
        let all: u32 = terms.iter().map(|(weight, _)| u32::from(*weight)).sum();
        let sum: u32 = terms.iter().map(|(weight, term)| u32::from(*weight) * term).sum();
        // Whoever fails is of no use however quick and cheap: success multiplies, twice, since the next one is asked later.
        let success = health.map_or(PRIOR.0, |health| health.expected_permille(PRIOR, now));
        let score = sum.checked_div(all).unwrap_or(0) * success / 1_000 * success / 1_000;
        let first = health.and_then(|health| health.first_ms(500));
        let measured = health.is_some_and(|health| health.first_ms(500).is_some());
        let merit = match () {
            () if self.of == 1 => Merit::Only,
            () if weights.price >= weights.speed && cheap == 1_000 && price(candidate) > 0 => Merit::Cheapest,
            () if weights.reputation > weights.speed && stars == self.top_stars => Merit::Trusted,
            () if quick == 1_000 && measured && first == self.first_word_ms => Merit::Fastest,
            () if quick == 1_000 && measured => Merit::Quickest,
            () => Merit::Overall,
        };
        let failed = health.and_then(|health| Some((1_000 - health.success_permille()?, health.requests(now))));
        Place {
            provider: seen.id,
            model: model.id.clone(),
            score,
            load,
            passage: health.map_or(Passage::Closed, |health| health.passage(now)),
            confirmed: seen.confirmed,
            free: seen.status == Status::Online,
            reason: Reason { merit, of: self.of, failed },
        }
    }
}

/// Permille of `best` over `value`; 1,000 when they are equal, though both be nothing.
fn ratio(best: u128, value: u128) -> u32 {
    match value {
        0 => 1_000,
        _ => u32::try_from(best.saturating_mul(1_000) / value).unwrap_or(1_000).min(1_000),
    }
}

/// 1,000 for the best time, less for each doubling of it; a person does not feel a difference below [`INSTANT_MS`].
fn quickness(best_ms: u32, ms: u32) -> u32 {
    let (best, ms) = (u64::from(best_ms.max(INSTANT_MS)), u64::from(ms.max(INSTANT_MS)));
    // The logarithm to base 2, in thousandths, straight between whole doublings.
    let ratio = (ms * 1_000 / best).max(1_000);
    let doublings = u64::from((ratio / 1_000).ilog2());
    let rest = (ratio >> doublings) - 1_000;
    let lost = (doublings * 1_000 + rest) * u64::from(PER_DOUBLING) / 1_000;
    u32::try_from(1_000u64.saturating_sub(lost)).unwrap_or(0)
}

/// Time to a typical answer as measured here: half of its first words, and its tokens at their rate.
fn measured_ms(candidate: &Candidate<'_>) -> Option<u32> {
    let health = candidate.health?;
    let streamed = TYPICAL_TOKENS.saturating_mul(10_000).checked_div(health.tenth_tokens_per_s().unwrap_or(0));
    Some(health.first_ms(500)?.saturating_add(streamed.unwrap_or(0)))
}

/// The same as it announces.
fn announced_ms(candidate: &Candidate<'_>) -> Option<u32> {
    let streamed = TYPICAL_TOKENS.saturating_mul(1_000).checked_div(candidate.model.tokens_per_s);
    Some(candidate.seen.response_ms).filter(|ms| *ms > 0).map(|ms| ms.saturating_add(streamed.unwrap_or(0)))
}

/// Of a request with three times as many prompt tokens as completion tokens, as chats have.
fn price(candidate: &Candidate<'_>) -> u128 {
    candidate.model.price_in.saturating_mul(3).saturating_add(candidate.model.price_out)
}

/// Thousandths of a star; the prior of an unrated provider.
fn stars(candidate: &Candidate<'_>) -> u32 {
    candidate.felt.map_or(3_500, |score| score.thousandths)
}

/// Requests for each slot, in permille: those it announces as waiting and our own.
fn load(candidate: &Candidate<'_>) -> u32 {
    let slots = u64::from(candidate.seen.max_concurrent.max(1));
    let requests = u64::from(candidate.seen.queue).saturating_add(u64::from(candidate.under_way));
    u32::try_from(requests.saturating_mul(1_000) / slots).unwrap_or(u32::MAX)
}
