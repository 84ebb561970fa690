//! Quantiles of a stream of times or rates, in which the recent weighs more: a histogram of logarithmic buckets (as in
//! DDSketch, Masson et al., VLDB 2019) whose weights halve with age. A value is known to within a sixteenth.

use crate::{cbor, effect::Millis, error::Error, map::Map};
use alloc::vec::Vec;

/// Unless it says otherwise, weights halve in so many ms: an hour, so that this evening's speed is this evening's.
pub const HALF_LIFE_MS: u64 = 3_600_000;

/// The weight of one fresh sample.
pub(crate) const UNIT: u32 = 1 << 10;

/// Below this each value has a bucket of its own; above, each doubling has so many.
const LINEAR: u32 = 16;

/// Most buckets: of [`LINEAR`] and of the 28 doublings from it to 2^32.
const BUCKETS: u64 = 16 + 28 * 8;

/// A stream's recent values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    weights: Map<u8, u32>,
    /// Up to when the weights are aged.
    aged: Millis,
    half_life_ms: u64,
}

impl Default for Sketch {
    fn default() -> Self {
        Self::new(HALF_LIFE_MS)
    }
}

impl Sketch {
    /// Weights halve in so many ms, at least one.
    pub fn new(half_life_ms: u64) -> Self {
        Self { weights: Map::new(), aged: Millis(0), half_life_ms: half_life_ms.max(1) }
    }

    /// Half-lives that passed since the weights were last aged.
    fn halvings(&self, now: Millis) -> u64 {
        now.0.saturating_sub(self.aged.0).checked_div(self.half_life_ms).unwrap_or(0)
    }

    /// Takes a value. Time that goes back ages nothing.
    pub fn add(&mut self, value: u32, now: Millis) {
        let halvings = self.halvings(now);
        if self.weights.is_empty() {
            self.aged = now;
        } else if halvings > 0 {
            self.aged = Millis(self.aged.0.saturating_add(halvings.saturating_mul(self.half_life_ms)));
            for weight in self.weights.values_mut() {
                *weight = halved(*weight, halvings);
            }
            self.weights.retain(|_, weight| *weight > 0);
        }
        let weight = self.weights.get_or_insert_with(bucket(value), || 0);
        *weight = weight.saturating_add(UNIT);
    }

    /// The value that `permille` of the weight does not exceed: 500 is the median. None before the first value.
    pub fn quantile(&self, permille: u32) -> Option<u32> {
        let all = self.all();
        let wanted = (all * u64::from(permille.min(1_000))).div_ceil(1_000).max(1);
        let mut below = 0;
        self.weights.iter().find_map(|(bucket, weight)| {
            below += u64::from(*weight);
            (below >= wanted).then(|| middle(*bucket))
        })
    }

    /// How many fresh values this is worth at `now`, in 1,024ths.
    pub fn worth(&self, now: Millis) -> u64 {
        let halvings = self.halvings(now);
        self.weights.values().map(|weight| u64::from(halved(*weight, halvings))).sum()
    }

    /// The same in whole values; what is worth anything counts at least one.
    pub fn count(&self, now: Millis) -> u32 {
        u32::try_from(self.worth(now).div_ceil(u64::from(UNIT))).unwrap_or(u32::MAX)
    }

    /// Permille of the weight that lies in the bucket of `value`: exactly that value, where it is below 16. None before
    /// the first value.
    pub fn share(&self, value: u32) -> Option<u32> {
        u32::try_from((self.weight(value) * 1_000).checked_div(self.all())?).ok()
    }

    /// The weight that lies in the bucket of `value`.
    pub(crate) fn weight(&self, value: u32) -> u64 {
        self.weights.get(&bucket(value)).copied().map_or(0, u64::from)
    }

    /// The weight of all values.
    pub(crate) fn all(&self) -> u64 {
        self.weights.values().map(|weight| u64::from(*weight)).sum()
    }

    /// As CBOR: {0: aged, 1: bucket u8 and weight u32 of each}.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut flat = Vec::with_capacity(self.weights.len() * 5);
        for (bucket, weight) in &self.weights {
            flat.push(*bucket);
            flat.extend(weight.to_be_bytes());
        }
        let mut map = cbor::Map::new();
        map.uint(0, self.aged.0).bytes(1, &flat);
        map.finish()
    }

    /// Reads what [`Self::encode`] wrote, of a sketch with this half-life.
    pub(crate) fn decode(bytes: &[u8], half_life_ms: u64) -> Result<Self, Error> {
        let (mut aged, mut weights) = (0, Map::new());
        let mut reader = cbor::Reader::new(bytes);
        reader.map(|key, r| {
            match key {
                0 => aged = r.uint()?,
                1 => {
                    for entry in r.bytes(5 * BUCKETS as usize)?.as_chunks::<5>().0 {
                        let [bucket, weight @ ..] = *entry;
                        weights.insert(bucket, u32::from_be_bytes(weight));
                    }
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        reader.finish()?;
        Ok(Self { weights, aged: Millis(aged), ..Self::new(half_life_ms) })
    }
}

fn halved(weight: u32, halvings: u64) -> u32 {
    u32::try_from(halvings).ok().and_then(|halvings| weight.checked_shr(halvings)).unwrap_or(0)
}

fn bucket(value: u32) -> u8 {
    if value < LINEAR {
        return value as u8;
    }
    // The three bits below the highest one.
    let doubling = value.ilog2() - 4;
    let part = (value >> (doubling + 1)) & 7;
    (LINEAR + doubling * 8 + part) as u8
}

/// The middle of a bucket.
fn middle(bucket: u8) -> u32 {
    let bucket = u32::from(bucket);
    if bucket < LINEAR {
        return bucket;
    }
    let (doubling, part) = ((bucket - LINEAR) / 8, (bucket - LINEAR) % 8);
    let width = 1u64 << (doubling + 1);
    let low = u64::from(8 + part) << (doubling + 1);
    u32::try_from(low + width / 2).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_within_a_sixteenth() {
        for value in (0..5_000).chain((0..32).map(|bit| u32::MAX >> bit)) {
            let mut sketch = Sketch::default();
            sketch.add(value, Millis(0));
            let told = sketch.quantile(500).expect("a value was added");
            assert!(told.abs_diff(value) <= value / 16, "{value} came back as {told}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let mut sketch = Sketch::default();
        for n in 1..=1_000u32 {
            sketch.add(n * 7 % 1_001, Millis(0));
        }
        for (permille, value) in [(500, 500u32), (950, 950), (990, 990), (0, 1), (1_000, 1_000)] {
            let told = sketch.quantile(permille).expect("values were added");
            assert!(told.abs_diff(value) <= value / 16 + 1, "{permille}: {told} for {value}");
        }
        assert_eq!(sketch.count(Millis(0)), 1_000);
    }

    #[test]
    fn the_recent_outweighs_the_old() {
        let mut sketch = Sketch::default();
        for _ in 0..100 {
            sketch.add(100, Millis(0));
        }
        let later = Millis(8 * HALF_LIFE_MS);
        assert_eq!((sketch.count(later), sketch.worth(later)), (1, 400), "a little is not nothing");
        assert_eq!(sketch.count(Millis(40 * HALF_LIFE_MS)), 0);
        for _ in 0..10 {
            sketch.add(1_000, later);
        }
        assert!(sketch.quantile(500).is_some_and(|median| median > 900), "{sketch:?}");
        sketch.add(5, Millis(3));
        assert_eq!(Sketch::decode(&sketch.encode(), HALF_LIFE_MS), Ok(sketch));
        assert_eq!(Sketch::default().quantile(500), None);
    }
}
