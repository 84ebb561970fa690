//! What users felt, as a score from 1 to 5: a Bayesian average in which the recent weighs more. The order in which
//! ratings come does not matter, and one that comes twice counts once.

use crate::{cbor, effect::Millis, error::Error, identity::ProviderId, map::Map};
use alloc::vec::Vec;

/// A rating weighs half after so many ms: 30 days.
pub const HALF_LIFE_MS: u64 = 30 * 86_400_000;

/// Without a rating a provider has this score, in thousandths of a star, ...
const PRIOR_THOUSANDTHS: u64 = 3_500;

/// ... which weighs as much as so many fresh ratings.
const PRIOR_RATINGS: u64 = 3;

/// The weight of a fresh rating.
const UNIT: u64 = 1 << 16;

/// One answer's rating.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rating {
    /// Whom.
    pub provider: ProviderId,
    /// 1 to 5.
    pub stars: u8,
    /// Reasons given, as bits: 1 wrong, 2 slow, 4 cut off, 8 of great help.
    pub reasons: u8,
    /// When.
    pub at: Millis,
}

impl Rating {
    /// The stored row.
    pub fn encode(&self) -> Vec<u8> {
        let mut map = cbor::Map::new();
        map.uint(0, 1u8).bytes(1, &self.provider.0).uint(2, self.stars).uint(3, self.reasons).uint(4, self.at.0);
        map.finish()
    }

    /// Reads a stored row.
    ///
    /// # Errors
    /// `Malformed` when it is none, or its stars are not 1 to 5.
    pub fn decode(row: &[u8]) -> Result<Self, Error> {
        const WRONG: Error = Error::malformed("rating");
        let (mut provider, mut stars, mut reasons, mut at) = (None, 0, 0, 0);
        let mut reader = cbor::Reader::new(row);
        reader.map(|key, r| {
            match key {
                0 if r.uint()? == 1 => {}
                1 => provider = Some(ProviderId(r.fixed()?)),
                2 => stars = r.u8()?,
                3 => reasons = r.u8()?,
                4 => at = r.uint()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        reader.finish()?;
        if !(1..=5).contains(&stars) {
            return Err(WRONG);
        }
        Ok(Self { provider: provider.ok_or(WRONG)?, stars, reasons, at: Millis(at) })
    }
}

/// A score and how much it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// Thousandths of a star, 1,000 to 5,000.
    pub thousandths: u32,
    /// What it is drawn from.
    pub count: u32,
    /// Permille of the score that is evidence and not the prior.
    pub confidence: u32,
}

/// The score of one provider's ratings at `now`.
pub fn felt<'a>(ratings: impl Iterator<Item = &'a Rating>, now: Millis) -> Score {
    let (mut weights, mut stars, mut count) = (0u64, 0u64, 0u32);
    for rating in ratings {
        let weight = weight(now.0.saturating_sub(rating.at.0));
        weights = weights.saturating_add(weight);
        stars = stars.saturating_add(weight.saturating_mul(u64::from(rating.stars.clamp(1, 5))));
        count = count.saturating_add(1);
    }
    score(stars.saturating_mul(1_000), weights, count)
}

/// The score of one's own requests: the share of successes, `permille`, of so many `requests`, on the same scale.
pub fn measured(permille: u32, requests: u32) -> Score {
    let stars = 1_000 + 4 * u64::from(permille.min(1_000));
    let weights = u64::from(requests) * UNIT;
    score(stars.saturating_mul(weights), weights, requests)
}

/// `sum` is of weight times thousandths of stars.
fn score(sum: u64, weights: u64, count: u32) -> Score {
    let prior = PRIOR_RATINGS * UNIT;
    let all = weights.saturating_add(prior);
    let thousandths = sum.saturating_add(prior * PRIOR_THOUSANDTHS) / all;
    let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    Score {
        thousandths: small(thousandths).clamp(1_000, 5_000),
        count,
        confidence: small(weights.saturating_mul(1_000) / all),
    }
}

/// The weight of a rating of this age in ms: halved for each half-life, straight in between.
fn weight(age: u64) -> u64 {
    let whole = u32::try_from(age / HALF_LIFE_MS).ok().and_then(|halvings| UNIT.checked_shr(halvings)).unwrap_or(0);
    whole - whole * (age % HALF_LIFE_MS) / (2 * HALF_LIFE_MS)
}

/// Ratings, each under the answer's id.
#[derive(Clone, Debug, Default)]
pub struct Ratings(Map<Vec<u8>, Rating>);

impl Ratings {
    /// Takes an answer's rating, in place of an earlier one.
    pub fn put(&mut self, answer: Vec<u8>, rating: Rating) {
        self.0.insert(answer, rating);
    }

    /// The felt score of a provider; none without a rating.
    pub fn score(&self, provider: &ProviderId, now: Millis) -> Option<Score> {
        let of = || self.0.values().filter(|rating| rating.provider == *provider);
        of().next().is_some().then(|| felt(of(), now))
    }

    /// All of them by the answer's id.
    pub fn iter(&self) -> impl Iterator<Item = (&Vec<u8>, &Rating)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_halve_and_never_grow() {
        assert_eq!(weight(0), UNIT);
        assert_eq!(weight(HALF_LIFE_MS), UNIT / 2);
        assert_eq!(weight(3 * HALF_LIFE_MS), UNIT / 8);
        assert_eq!(weight(u64::MAX), 0);
        let weights: Vec<u64> = (0..2_000).map(|step| weight(step * HALF_LIFE_MS / 100)).collect();
        assert!(weights.windows(2).all(|pair| pair[0] >= pair[1]));
    }
}
