//! Whether our own clock is off: several providers' heartbeats verify except for time. The clock is never corrected by
//! others' word; the user is told (protocol section 2.4).

use crate::map::{self, Map};
use crate::{
    effect::Millis,
    identity::{ProviderId, PublicKey},
};
use alloc::vec::Vec;

/// Providers watched at once: two suffice for a verdict, the rest bounds memory.
const MAX_WATCHED: usize = 64;

/// A sample counts this long, in ms: ten heartbeats.
const SAMPLE_MS: u64 = 300_000;

/// A heartbeat in time this recently, in ms, proves the clock right: more than one period.
const GOOD_MS: u64 = 120_000;

/// Two heartbeats of one provider at least this far apart, in ms, whose offsets agree are live ones. A store gives old
/// ones all at once.
const LIVE_GAP_MS: u64 = 10_000;

/// How many providers make a verdict.
const SEVERAL: usize = 2;

#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    last_good: Option<Millis>,
    samples: Map<ProviderId, Sample>,
    /// Operational keys of bundles that verified except for time.
    keys: Map<ProviderId, PublicKey>,
}

#[derive(Debug)]
struct Sample {
    at: Millis,
    offset_ms: i64,
    live: bool,
}

impl ClockWatch {
    /// A heartbeat verified, time included.
    pub(super) fn note_good(&mut self, provider: &ProviderId, now: Millis) {
        self.last_good = Some(now);
        self.samples.remove(provider);
        self.keys.remove(provider);
    }

    /// Whether a heartbeat was in time lately, so that late ones are only late.
    pub(super) fn is_right(&self, now: Millis) -> bool {
        // What was in time by a clock that was set back since proves nothing.
        self.last_good.is_some_and(|good| now.0.checked_sub(good.0).is_some_and(|age| age <= GOOD_MS))
    }

    /// A bundle verified except for time: its key tells genuine heartbeats.
    pub(super) fn note_key(&mut self, provider: ProviderId, operational: PublicKey) {
        if self.keys.len() < MAX_WATCHED || self.keys.contains_key(&provider) {
            self.keys.insert(provider, operational);
        }
    }

    /// The key that a provider's heartbeats are checked with for the clock alone.
    pub(super) fn key(&self, provider: &ProviderId) -> Option<&PublicKey> {
        self.keys.get(provider)
    }

    /// A heartbeat verified except for time.
    pub(super) fn note_off(&mut self, provider: ProviderId, ts: Millis, now: Millis) {
        self.samples.retain(|_, sample| now.0.abs_diff(sample.at.0) <= SAMPLE_MS);
        let offset_ms =
            i64::try_from(now.0).unwrap_or(i64::MAX).saturating_sub(i64::try_from(ts.0).unwrap_or(i64::MAX));
        let previous = self.samples.get(&provider);
        // A heartbeat of the future cannot come from a store's past.
        let live = offset_ms < 0
            || previous.is_some_and(|sample| {
                sample.live
                    || now.0.saturating_sub(sample.at.0) >= LIVE_GAP_MS
                        && sample.offset_ms.abs_diff(offset_ms) <= LIVE_GAP_MS
            });
        if previous.is_some() || self.samples.len() < MAX_WATCHED {
            self.samples.insert(provider, Sample { at: now, offset_ms, live });
        }
    }

    /// The median offset in seconds, ours minus theirs, when several providers agree that we are off.
    pub(super) fn offset(&self, now: Millis) -> Option<i64> {
        if self.is_right(now) {
            return None;
        }
        let mut offsets: Vec<i64> = self
            .samples
            .values()
            .filter(|sample| sample.live && now.0.abs_diff(sample.at.0) <= SAMPLE_MS)
            .map(|sample| sample.offset_ms)
            .collect();
        map::sort(&mut offsets, &Ord::cmp);
        if offsets.len() < SEVERAL { None } else { offsets.get(offsets.len() / 2).map(|ms| ms / 1_000) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_live_providers_make_a_verdict_and_stored_ones_do_not() {
        let id = |n| ProviderId([n; 32]);
        let start = 10_000_000;
        // Behind: every heartbeat is of the future.
        let mut watch = ClockWatch::default();
        watch.note_off(id(1), Millis(start + 600_000), Millis(start));
        assert_eq!(watch.offset(Millis(start)), None);
        watch.note_off(id(2), Millis(start + 600_000), Millis(start));
        assert_eq!(watch.offset(Millis(start)), Some(-600));
        watch.note_good(&id(3), Millis(start));
        assert_eq!(watch.offset(Millis(start)), None);
        // Ahead: old heartbeats of a store come at once, live ones keep their distance.
        let mut watch = ClockWatch::default();
        for n in [1, 2, 3] {
            for age in [900_000, 872_000, 844_000] {
                watch.note_off(id(n), Millis(start - age), Millis(start));
            }
        }
        assert_eq!(watch.offset(Millis(start)), None);
        for n in [1, 2] {
            watch.note_off(id(n), Millis(start - 844_000 + 28_000), Millis(start + 28_000));
        }
        assert_eq!(watch.offset(Millis(start + 28_000)), Some(844));
        assert_eq!(watch.offset(Millis(start + 28_000 + SAMPLE_MS + 1)), None);
    }
}
