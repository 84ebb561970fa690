//! Who is asked when the user leaves it open: by status, then by what this client measured itself, then by what the
//! provider announces. It keeps its measurements in memory only.

use super::{Seen, Status};
use crate::effect::Millis;
use crate::identity::ProviderId;
use crate::map::Map;
use alloc::{collections::VecDeque, string::String, vec::Vec};
use rand_core::Rng;

/// Providers whose measurements are kept; the one measured longest ago goes first.
const MEASURED: usize = 256;
/// Samples of one kind kept: enough for a 95th percentile.
const SAMPLES: usize = 32;
/// A provider that did not answer is asked last for that long.
const COOL_DOWN_MS: u64 = 60_000;
/// Providers whose times fall into one step of this many ms count as equally fast; chance decides between them, so that
/// clients spread.
const STEP_MS: u32 = 250;

/// The last measured times, in ms.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(VecDeque<u32>);

impl Samples {
    pub(super) fn push(&mut self, ms: u64) {
        if self.0.len() == SAMPLES {
            self.0.pop_front();
        }
        self.0.push_back(u32::try_from(ms).unwrap_or(u32::MAX));
    }

    /// The value that `permille` of the samples do not exceed.
    pub(super) fn quantile(&self, permille: usize) -> Option<u32> {
        let mut sorted: Vec<u32> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        sorted.get((last * permille).div_ceil(1_000).min(last)).copied()
    }
}

#[derive(Debug, Default)]
struct Measured {
    first_text: Samples,
    cool_until: Millis,
    used: Millis,
}

/// What this client measured.
#[derive(Debug, Default)]
pub(super) struct Measures {
    accepts: Samples,
    providers: Map<ProviderId, Measured>,
}

impl Measures {
    /// The 95th percentile of the times from request to accept, over all providers.
    pub(super) fn accept_p95(&self) -> Option<u32> {
        self.accepts.quantile(950)
    }

    /// A provider accepted after so long.
    pub(super) fn accepted(&mut self, provider: ProviderId, ms: u64, now: Millis) {
        self.accepts.push(ms);
        self.entry(provider, now).cool_until = Millis(0);
    }

    /// The first text came so long after the request.
    pub(super) fn first_text(&mut self, provider: ProviderId, ms: u64, now: Millis) {
        self.entry(provider, now).first_text.push(ms);
    }

    /// It did not answer, or broke off.
    pub(super) fn failed(&mut self, provider: ProviderId, now: Millis) {
        self.entry(provider, now).cool_until = Millis(now.0.saturating_add(COOL_DOWN_MS));
    }

    fn entry(&mut self, provider: ProviderId, now: Millis) -> &mut Measured {
        if self.providers.len() >= MEASURED
            && !self.providers.contains_key(&provider)
            && let Some(oldest) = self.providers.iter().min_by_key(|(_, m)| m.used).map(|(id, _)| *id)
        {
            self.providers.remove(&oldest);
        }
        let entry = self.providers.get_or_insert_with(provider, Measured::default);
        entry.used = now;
        entry
    }

    /// The lower the better. A key that only one node has shown comes after one that another node confirmed.
    fn rank(&self, seen: &Seen, now: Millis) -> (bool, bool, bool, u32) {
        let measured = self.providers.get(&seen.id);
        let cooling = measured.is_some_and(|m| m.cool_until > now);
        let time = measured.and_then(|m| m.first_text.quantile(500)).unwrap_or(seen.response_ms);
        (cooling, seen.status != Status::Online, !seen.confirmed, time / STEP_MS)
    }
}

/// The model of `seen` that serves this wish.
pub(super) fn model_of(seen: &Seen, wish: Option<&str>) -> Option<String> {
    match wish {
        Some(id) => seen.models.iter().find(|model| model.id == id).map(|model| model.id.clone()),
        None => seen.models.first().map(|model| model.id.clone()),
    }
}

/// The best provider for this model now, less those already tried, and the model to ask for.
pub(super) fn choose<'a>(
    providers: impl Iterator<Item = &'a Seen>,
    wish: Option<&str>,
    tried: &[ProviderId],
    measures: &Measures,
    now: Millis,
    rng: &mut impl Rng,
) -> Option<(ProviderId, String)> {
    let ranked = providers.filter_map(|seen| {
        let trusted = seen.key_changed_from.is_none() && !seen.equivocated;
        let takes = seen.usable && matches!(seen.status, Status::Online | Status::Busy);
        if !trusted || !takes || tried.contains(&seen.id) {
            return None;
        }
        Some((measures.rank(seen, now), rng.next_u32(), seen.id, model_of(seen, wish)?))
    });
    ranked.min().map(|(.., id, model)| (id, model))
}
