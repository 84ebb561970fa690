//! The free requests of a UTC day, as the client counts them. A unit is taken before the request leaves and given back
//! when no provider accepted it; one that was accepted and failed stays with the providers that accepted it until their
//! prekeys end (proofs paper, section 1), and then counts as used without an answer.

use crate::{cbor, effect::Millis, error::Error, identity::ProviderId, map::Map};
use alloc::vec::Vec;

/// A UTC day in ms.
pub const DAY_MS: u64 = 86_400_000;

/// Providers that one request is open to: the primary and three fallbacks (proofs paper, section 1).
const PROVIDERS: usize = 4;

/// Hedges for a hundred requests at most.
const HEDGES_PERCENT: u32 = 10;

/// Hedges that may be saved up.
const SAVED_HEDGES: u32 = 3;

/// Requests under way or open at once.
const UNITS: usize = 1_024;

/// What became of one request's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// The request is under way; no provider has accepted it yet.
    Taken,
    /// An open one is taken up again, and nobody has accepted it yet; it was open until then.
    Again(Millis),
    /// A provider accepted it.
    Accepted,
    /// All that accepted it failed; they may be asked again for this unit until then.
    Open(Millis),
}

/// What is left, for the user to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Requests a day.
    pub limit: u32,
    /// Used or under way today.
    pub used: u32,
    /// Of those, used without an answer.
    pub lost: u32,
    /// Of those, accepted, failed, and still open to the same providers.
    pub open: u32,
    /// When the next day begins.
    pub reset: Millis,
}

impl Left {
    /// Requests that may still be sent today.
    pub fn free(&self) -> u32 {
        self.limit.saturating_sub(self.used)
    }
}

/// The limit of today is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached;

/// The unit of a request that is not decided yet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    day: u64,
    unit: Unit,
    /// Who accepted the request: only they may be asked again for this unit.
    by: Vec<ProviderId>,
}

/// The count of one extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    limit: u32,
    /// The newest day on which a provider accepted a request, so that its clock agreed: a clock that is set back refills
    /// nothing, and one that was wrong takes no day away.
    day: u64,
    /// Answered on that day.
    answered: u32,
    /// Used without an answer on that day.
    lost: u32,
    /// Requests beside another that may be made, in hundredths; it outlives a restart, else each would give one.
    hedges: u32,
    /// By the request's id.
    units: Map<u64, Entry>,
    changed: bool,
}

impl Default for Quota {
    /// Without a limit, until [`Quota::set_limit`] names the network's.
    fn default() -> Self {
        Self { limit: u32::MAX, day: 0, answered: 0, lost: 0, hedges: 0, units: Map::new(), changed: false }
    }
}

impl Quota {
    /// The network's limit for a day.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// What was stored, under this one's limit.
    pub fn limited_as(&self, stored: Self) -> Self {
        Self { limit: self.limit, ..stored }
    }

    /// A question was asked: it earns a part of a hedge.
    pub fn earn_hedge(&mut self) {
        self.hedges = (self.hedges + HEDGES_PERCENT).min(100 * SAVED_HEDGES);
        self.changed = true;
    }

    /// Whether one more request may be made to hedge another; it is paid for.
    pub fn spend_hedge(&mut self) -> bool {
        let left = self.hedges.checked_sub(100);
        self.hedges = left.unwrap_or(self.hedges);
        self.changed |= left.is_some();
        left.is_some()
    }

    /// Takes a unit for this request.
    ///
    /// # Errors
    /// [`Reached`]: nothing is taken.
    pub fn take(&mut self, request: u64, now: Millis) -> Result<(), Reached> {
        self.turn(now);
        if self.left(now).free() == 0 || self.units.len() >= UNITS {
            return Err(Reached);
        }
        let day = self.today(now);
        self.put(request, Entry { day, unit: Unit::Taken, by: Vec::new() });
        Ok(())
    }

    /// This provider accepted the request.
    pub fn accepted(&mut self, request: u64, provider: ProviderId) {
        let Some(entry) = self.units.get_mut(&request) else { return };
        if !matches!(entry.unit, Unit::Open(_)) {
            entry.unit = Unit::Accepted;
            if entry.by.len() < PROVIDERS && !entry.by.contains(&provider) {
                entry.by.push(provider);
            }
            if entry.day > self.day {
                (self.day, self.answered, self.lost) = (entry.day, 0, 0);
            }
            self.changed = true;
        }
    }

    /// It was answered, in whole or in the part that the user stopped.
    pub fn answered(&mut self, request: u64) {
        if self.units.get(&request).is_none_or(|entry| entry.unit != Unit::Accepted) {
            return;
        }
        if self.units.remove(&request).is_some_and(|entry| entry.day == self.day) {
            self.answered = self.answered.saturating_add(1);
        }
        self.changed = true;
    }

    /// It ended without an answer. Gives the unit back where nobody accepted it; else it stays open until `prekeys_end`.
    pub fn failed(&mut self, request: u64, prekeys_end: Millis) {
        let Some(entry) = self.units.get_mut(&request) else { return };
        match entry.unit {
            Unit::Taken => drop(self.units.remove(&request)),
            // Nobody holds a prekey for longer because nobody accepted.
            Unit::Again(until) => entry.unit = Unit::Open(until),
            Unit::Accepted => entry.unit = Unit::Open(prekeys_end),
            Unit::Open(_) => return,
        }
        self.changed = true;
    }

    /// Whom a failed request's unit is open to: they accepted it before.
    pub fn open_to(&mut self, request: u64, now: Millis) -> Option<Vec<ProviderId>> {
        self.turn(now);
        self.open_until(request)?;
        self.units.get(&request).map(|entry| entry.by.clone())
    }

    /// Takes an open unit up again for a new request.
    pub fn again(&mut self, request: u64, new: u64) {
        let Some(until) = self.open_until(request) else { return };
        if let Some(entry) = self.units.remove(&request) {
            self.put(new, Entry { unit: Unit::Again(until), ..entry });
        }
    }

    /// Until when the providers that accepted this failed request may be asked again for its unit.
    pub fn open_until(&self, request: u64) -> Option<Millis> {
        self.units.get(&request).and_then(|entry| if let Unit::Open(until) = entry.unit { Some(until) } else { None })
    }

    /// What is left at `now`.
    pub fn left(&self, now: Millis) -> Left {
        let day = self.today(now);
        let mut left = Left { limit: self.limit, reset: Millis((day + 1).saturating_mul(DAY_MS)), ..Left::default() };
        if day == self.day {
            left.lost = self.lost;
            left.used = self.answered.saturating_add(self.lost);
        }
        for entry in self.units.values().filter(|entry| entry.day == day) {
            left.used = left.used.saturating_add(1);
            match entry.unit {
                Unit::Open(until) if until > now => left.open += 1,
                Unit::Open(_) => left.lost = left.lost.saturating_add(1),
                Unit::Taken | Unit::Again(_) | Unit::Accepted => {}
            }
        }
        left
    }

    /// When what is left next changes by time alone: the day's end or an open unit's.
    pub fn wake_at(&self, now: Millis) -> Millis {
        let open = self.units.values().filter_map(|entry| match entry.unit {
            Unit::Open(until) if until > now => Some(until),
            _ => None,
        });
        open.chain([self.left(now).reset]).min().unwrap_or(Millis(u64::MAX))
    }

    /// The row has to be stored again.
    pub fn store_again(&mut self) {
        self.changed = true;
    }

    /// The row to store, when it is another than before.
    pub fn take_row(&mut self) -> Option<Vec<u8>> {
        core::mem::take(&mut self.changed).then(|| self.encode())
    }

    /// The day that `now` counts for.
    fn today(&self, now: Millis) -> u64 {
        self.day.max(now.0 / DAY_MS)
    }

    /// Lets time pass: open units end.
    pub fn turn(&mut self, now: Millis) {
        let (day, before) = (self.day, self.units.len());
        let mut lost = 0;
        self.units.retain(|_, entry| {
            let ended = matches!(entry.unit, Unit::Open(until) if until <= now);
            lost += u32::from(ended && entry.day == day);
            !ended
        });
        self.lost = self.lost.saturating_add(lost);
        self.changed |= self.units.len() != before;
    }

    fn put(&mut self, request: u64, entry: Entry) {
        self.units.insert(request, entry);
        self.changed = true;
    }

    fn encode(&self) -> Vec<u8> {
        let entry = |(request, entry): (&u64, &Entry)| {
            let (kind, until) = match entry.unit {
                Unit::Taken => (0u8, 0),
                Unit::Accepted => (1, 0),
                Unit::Open(until) => (2, until.0),
                Unit::Again(until) => (3, until.0),
            };
            let mut map = cbor::Map::new();
            map.uint(0, *request).uint(1, entry.day).uint(2, kind).uint(3, until);
            map.bytes(4, &entry.by.iter().flat_map(|id| id.0).collect::<Vec<_>>());
            map.finish()
        };
        let units: Vec<_> = self.units.iter().map(entry).collect();
        let mut map = cbor::Map::new();
        map.uint(0, 1u8).uint(1, self.day).raw(2, &cbor::array(&units)).uint(3, self.answered).uint(4, self.lost);
        map.uint(5, self.hedges);
        map.finish()
    }

    /// Reads a stored row after a restart. What was under way and not accepted is given back; what was accepted is
    /// `resumed` or stays open until `prekeys_end`.
    ///
    /// # Errors
    /// `Malformed` when it is none.
    pub fn decode(row: &[u8], resumed: &[u64], prekeys_end: Millis) -> Result<Self, Error> {
        const WRONG: Error = Error::malformed("quota");
        let mut quota = Self::default();
        let mut reader = cbor::Reader::new(row);
        reader.map(|key, r| {
            match key {
                0 if r.uint()? == 1 => {}
                1 => quota.day = r.uint()?,
                2 => drop(r.array(UNITS as u64, |_, r| {
                    let (mut request, mut kind, mut until) = (0, 0, Millis(0));
                    let mut entry = Entry { day: 0, unit: Unit::Taken, by: Vec::new() };
                    r.map(|key, r| {
                        match key {
                            0 => request = r.uint()?,
                            1 => entry.day = r.uint()?,
                            2 => kind = r.u8()?,
                            3 => until = Millis(r.uint()?),
                            4 => {
                                let ids = r.bytes(PROVIDERS * 32)?.as_chunks::<32>().0;
                                entry.by = ids.iter().copied().map(ProviderId).collect();
                            }
                            _ => return Ok(false),
                        }
                        Ok(true)
                    })?;
                    entry.unit = match kind {
                        0 | 1 | 3 if resumed.contains(&request) => Unit::Accepted,
                        0 if entry.by.is_empty() => return Ok(()),
                        0 | 1 => Unit::Open(prekeys_end),
                        2 | 3 => Unit::Open(until),
                        _ => return Err(WRONG),
                    };
                    quota.units.insert(request, entry);
                    Ok(())
                })?),
                3 => quota.answered = r.u32()?,
                4 => quota.lost = r.u32()?,
                5 => quota.hedges = r.u32()?.min(100 * SAVED_HEDGES),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        reader.finish()?;
        quota.changed = true;
        Ok(quota)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ProviderId = ProviderId([1; 32]);
    const NOON: Millis = Millis(20_000 * DAY_MS + DAY_MS / 2);

    fn quota() -> Quota {
        let mut quota = Quota::default();
        quota.set_limit(3);
        quota
    }

    fn used(quota: &mut Quota, requests: core::ops::Range<u64>, now: Millis) {
        for request in requests {
            assert_eq!(quota.take(request, now), Ok(()));
            quota.accepted(request, ID);
            quota.answered(request);
        }
    }

    #[test]
    fn three_a_day_and_not_one_more() {
        let mut quota = quota();
        used(&mut quota, 0..3, NOON);
        assert_eq!(quota.take(3, NOON), Err(Reached));
        let left = quota.left(NOON);
        assert_eq!((left.free(), left.used, left.reset), (0, 3, Millis(20_001 * DAY_MS)));
        let midnight = Millis(20_001 * DAY_MS);
        assert_eq!(quota.take(3, Millis(midnight.0 - 1)), Err(Reached));
        assert_eq!(quota.take(3, midnight), Ok(()));
        assert_eq!(quota.left(midnight).free(), 2);
    }

    #[test]
    fn a_day_has_room_for_as_many_as_the_network_allows() {
        let mut quota = Quota::default();
        quota.set_limit(10_000);
        used(&mut quota, 0..10_000, NOON);
        assert_eq!(quota.take(10_000, NOON), Err(Reached));
        let row = quota.take_row().expect("it changed");
        assert!(row.len() < 64, "answered ones are a number: {}", row.len());
        let mut again = Quota::decode(&row, &[], NOON).unwrap();
        again.set_limit(10_000);
        assert_eq!(again.left(NOON).free(), 0);
    }

    #[test]
    fn one_in_ten_is_hedged_however_often_it_starts() {
        let mut quota = quota();
        let mut hedged = 0;
        for _ in 0..100 {
            quota.earn_hedge();
            hedged += u32::from(quota.spend_hedge());
            let row = quota.take_row().expect("it changed");
            quota = Quota::decode(&row, &[], NOON).unwrap();
        }
        assert_eq!(hedged, 10);
        (0..100).for_each(|_| quota.earn_hedge());
        assert_eq!((0..100).filter(|_| quota.spend_hedge()).count(), 3, "few are saved up");
        // The row of a version that kept none.
        let mut old = cbor::Map::new();
        old.uint(0, 1u8).uint(1, 20_000u64).raw(2, &cbor::array(&[])).uint(3, 2u8).uint(4, 0u8);
        let mut old = Quota::decode(&old.finish(), &[], NOON).unwrap();
        assert!(old.left(NOON).used == 2 && !old.spend_hedge());
    }

    #[test]
    fn a_clock_set_back_refills_nothing() {
        let mut quota = quota();
        used(&mut quota, 0..3, NOON);
        let yesterday = Millis(NOON.0 - DAY_MS);
        assert_eq!(quota.left(yesterday).free(), 0);
        assert_eq!(quota.take(3, yesterday), Err(Reached));
        // Set ahead and back again: tomorrow's units are gone, and no others come.
        let tomorrow = Millis(NOON.0 + DAY_MS);
        used(&mut quota, 3..6, tomorrow);
        assert_eq!(quota.take(6, NOON), Err(Reached));
        assert_eq!(quota.take(6, tomorrow), Err(Reached));
    }

    #[test]
    fn a_clock_that_was_wrong_for_a_minute_takes_no_day_away() {
        let mut quota = quota();
        used(&mut quota, 0..2, NOON);
        // No provider accepts a request of another time.
        let wrong = Millis(NOON.0 + 4_000 * DAY_MS);
        assert_eq!(quota.left(wrong).free(), 3);
        quota.take(2, wrong).unwrap();
        quota.failed(2, wrong);
        quota.turn(wrong);
        let left = quota.left(NOON);
        assert_eq!((left.free(), left.reset), (1, Millis(20_001 * DAY_MS)));
        used(&mut quota, 3..4, NOON);
        assert_eq!(quota.take(4, NOON), Err(Reached));
        used(&mut quota, 5..8, Millis(NOON.0 + DAY_MS));
    }

    #[test]
    fn what_nobody_accepted_is_given_back_and_what_failed_stays_open_for_a_while() {
        let mut quota = quota();
        quota.take(1, NOON).unwrap();
        quota.failed(1, NOON);
        assert_eq!(quota.left(NOON).used, 0);
        quota.take(2, NOON).unwrap();
        quota.accepted(2, ID);
        let end = Millis(NOON.0 + 4_440_000);
        quota.failed(2, end);
        let left = quota.left(NOON);
        assert_eq!((left.used, left.open, left.lost), (1, 1, 0));
        assert_eq!(quota.wake_at(NOON), end);
        assert_eq!([1, 2].map(|request| quota.open_until(request)), [None, Some(end)]);
        assert_eq!(quota.open_to(2, NOON), Some([ID].into()), "the same providers may be asked again");
        quota.again(2, 3);
        assert_eq!(quota.open_to(2, NOON), None, "but once at a time");
        assert_eq!(quota.left(NOON).used, 1);
        // Whom nobody accepted is open no longer than before, whatever became of it.
        let row = quota.take_row().expect("it changed");
        assert_eq!(Quota::decode(&row, &[], Millis(end.0 + 1)).unwrap().open_until(3), Some(end));
        quota.failed(3, Millis(end.0 + 1));
        assert_eq!(quota.open_until(3), Some(end));
        let left = quota.left(end);
        assert_eq!((left.used, left.open, left.lost), (1, 0, 1));
        assert_eq!(quota.open_to(3, end), None);
        assert_eq!(quota.open_until(3), None);
        assert_eq!(quota.left(end).used, 1);
    }

    #[test]
    fn a_restart_gives_back_what_was_not_accepted() {
        let mut quota = quota();
        for request in 0..3 {
            quota.take(request, NOON).unwrap();
        }
        quota.accepted(1, ID);
        quota.accepted(2, ID);
        let row = quota.take_row().expect("it changed");
        assert_eq!(quota.take_row(), None);
        let end = Millis(NOON.0 + 1_000);
        let mut again = Quota::decode(&row, &[2], end).unwrap();
        again.set_limit(3);
        let left = again.left(NOON);
        assert_eq!((left.used, left.open), (2, 1));
        again.answered(2);
        assert_eq!(again.left(end).lost, 1);
        assert!(Quota::decode(b"junk", &[], end).is_err());
    }
}
