//! What this client knows of providers by its own questions, its user's stars and wishes. The rows survive a restart.

use super::{ProviderId, Seen};
use crate::{
    effect::{Batch, Millis, Row, Table, Write},
    health::{Health, Outcome},
    map::{Map, Set},
    quantile::Sketch,
    ranking::{Candidate, Lists, Place, Weights, rank, spread},
    reputation::{Rating, Ratings, Score},
};
use alloc::{string::String, vec::Vec};
use rand_core::Rng;

/// Records of a provider with a model that are kept; the one used longest ago goes first.
const KNOWN: usize = 512;
/// First words of which the slowest says what is late; the next one is later than the slowest of a few as often as not.
const ENOUGH: u32 = 20;
/// A first word is awaited for so long where none was measured yet, in ms.
const UNKNOWN_FIRST_MS: u32 = 4_000;
/// A conversation leaves its provider only for one that is better by more than this: a score of so many permille of the
/// best is enough to stay, since the provider has the conversation's prompt in its cache.
const STICKY_PERMILLE: u32 = 600;

/// A provider with one of its models.
type Offer = (ProviderId, String);

/// How the user wants providers to be chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// What matters how much.
    pub weights: Weights,
    /// Who may be asked.
    pub lists: Lists,
    /// Whether a second provider may be asked, and so read the question, when the first word is late.
    pub hedging: Hedging,
}

/// See [`Wishes::hedging`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hedging {
    /// One in ten questions at most.
    #[default]
    Allowed,
    /// Never.
    Never,
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) wishes: Wishes,
    /// Times to accept of all providers, in ms.
    accepts: Sketch,
    /// Times to the first word of all providers, in ms.
    firsts: Sketch,
    healths: Map<Offer, Health>,
    ratings: Ratings,
    dirty: Set<Offer>,
}

impl Standing {
    /// Takes the stored rows; one that cannot be read is passed over.
    pub(super) fn restore(&mut self, rows: &[Row]) {
        for row in rows {
            match row.table {
                Table::Health => {
                    let Some((id, model)) = row.key.split_first_chunk::<32>() else { continue };
                    if let (Ok(model), Ok(health)) = (core::str::from_utf8(model), Health::decode(&row.value))
                        && self.healths.len() < KNOWN
                    {
                        self.healths.insert((ProviderId(*id), model.into()), health);
                    }
                }
                Table::Ratings => {
                    if let Ok(rating) = Rating::decode(&row.value) {
                        self.ratings.put(row.key.clone(), rating);
                    }
                }
                _ => {}
            }
        }
    }

    /// A record to change; it is stored with the next batch.
    pub(super) fn health(&mut self, provider: ProviderId, model: &str) -> &mut Health {
        let offer = (provider, String::from(model));
        if self.healths.len() >= KNOWN
            && !self.healths.contains_key(&offer)
            && let Some(oldest) =
                self.healths.iter().min_by_key(|(_, health)| health.used).map(|(offer, _)| offer.clone())
        {
            self.healths.remove(&oldest);
            self.dirty.insert(oldest, ());
        }
        self.dirty.insert(offer.clone(), ());
        self.healths.get_or_insert_with(offer, Health::default)
    }

    /// A record to read.
    pub(super) fn known(&self, provider: ProviderId, model: &str) -> Option<&Health> {
        self.healths.get(&(provider, String::from(model)))
    }

    /// The stars a user gave.
    pub(super) fn felt(&self, provider: &ProviderId, now: Millis) -> Option<Score> {
        self.ratings.score(provider, now)
    }

    /// A user's stars for an answer, and the row to store.
    pub(super) fn rate(&mut self, answer: Vec<u8>, rating: Rating) -> Write {
        let write = Write { table: Table::Ratings, key: answer.clone(), value: Some(rating.encode()) };
        self.ratings.put(answer, rating);
        write
    }

    /// A provider accepted after so many ms.
    pub(super) fn accepted(&mut self, provider: ProviderId, model: &str, ms: u64, now: Millis) {
        self.accepts.add(u32::try_from(ms).unwrap_or(u32::MAX), now);
        self.health(provider, model).accepted(ms, now);
    }

    /// A probe was answered after so many ms.
    pub(super) fn reached(&mut self, provider: ProviderId, model: &str, ms: u64, now: Millis) {
        self.accepts.add(u32::try_from(ms).unwrap_or(u32::MAX), now);
        self.health(provider, model).reached(ms, now);
    }

    /// A request ended.
    pub(super) fn ended(&mut self, provider: ProviderId, model: &str, outcome: Outcome, now: Millis) {
        self.health(provider, model).end(outcome, now);
    }

    /// The 95th percentile of the times from request to accept, over all providers.
    pub(super) fn accept_p95(&self) -> Option<u32> {
        self.accepts.quantile(950)
    }

    /// A first text came so many ms after its request.
    pub(super) fn first_text(&mut self, provider: ProviderId, model: &str, ms: u64, now: Millis) {
        self.firsts.add(u32::try_from(ms).unwrap_or(u32::MAX), now);
        self.health(provider, model).first_text(ms, now);
    }

    /// How long a first word of this offer is awaited before somebody else is asked as well, in ms: as long as 95 of 100
    /// of its own took, but between once and twice as long as all others', since the few times of one offer say little:
    /// a quick one would waste hedges, one straggler prevent them. While few were measured at all it is twice that.
    pub(super) fn first_p95(&self, provider: ProviderId, model: &str, now: Millis) -> u32 {
        let Some(all) = self.firsts.quantile(950) else { return UNKNOWN_FIRST_MS };
        let own = self.known(provider, model).and_then(|health| health.first_ms(950));
        let late = own.unwrap_or(all).clamp(all, all.saturating_mul(2));
        if self.firsts.count(now) < ENOUGH { late.saturating_mul(2) } else { late }
    }

    /// The places of these providers with this model, or with the first of each, from the best on.
    pub(super) fn places(
        &self,
        seen: &[Seen],
        wish: Option<&str>,
        under_way: impl Fn(&ProviderId) -> u32,
        now: Millis,
    ) -> Vec<Place> {
        let candidates: Vec<Candidate<'_>> = seen
            .iter()
            .filter(|seen| {
                let trusted = seen.key_changed_from.is_none() && !seen.equivocated;
                seen.usable && trusted && self.wishes.lists.allow(&seen.id)
            })
            .filter_map(|seen| {
                let model = match wish {
                    Some(id) => seen.models.iter().find(|model| model.id == id)?,
                    None => seen.models.first()?,
                };
                Some(Candidate {
                    seen,
                    model,
                    health: self.known(seen.id, &model.id),
                    felt: self.felt(&seen.id, now),
                    under_way: under_way(&seen.id),
                })
            })
            .collect();
        rank(&candidates, self.wishes.weights, now)
    }

    /// The rows that changed since the last call.
    pub(super) fn take_batch(&mut self) -> Batch {
        let dirty = core::mem::take(&mut self.dirty);
        let row = |(offer, ()): (Offer, ())| {
            let value = self.healths.get(&offer).map(Health::encode);
            Write { table: Table::Health, key: [&offer.0.0, offer.1.as_bytes()].concat(), value }
        };
        dirty.into_iter().map(row).collect()
    }

    /// Everything, to be stored again.
    pub(super) fn store_again(&mut self) -> Batch {
        self.dirty.extend(self.healths.keys().map(|offer| (offer.clone(), ())));
        let rating = |(answer, rating): (&Vec<u8>, &Rating)| Write {
            table: Table::Ratings,
            key: answer.clone(),
            value: Some(rating.encode()),
        };
        let mut batch: Batch = self.ratings.iter().map(rating).collect();
        batch.extend(self.take_batch());
        batch
    }
}

/// Whom to ask of these: the conversation's provider while it is well and not much worse than the best, else one of the
/// best.
pub(super) fn choose<'a>(places: &'a [Place], sticky: Option<ProviderId>, rng: &mut impl Rng) -> Option<&'a Place> {
    let first = places.first()?;
    let stays = places.iter().find(|place| {
        Some(place.provider) == sticky
            && place.passage.may() == first.passage.may()
            && u64::from(place.score) * 1_000 >= u64::from(first.score) * u64::from(STICKY_PERMILLE)
    });
    stays.or_else(|| spread(places, rng))
}

/// The model of `seen` that serves this wish.
pub(super) fn model_of(seen: &Seen, wish: Option<&str>) -> Option<String> {
    match wish {
        Some(id) => seen.models.iter().find(|model| model.id == id).map(|model| model.id.clone()),
        None => seen.models.first().map(|model| model.id.clone()),
    }
}
