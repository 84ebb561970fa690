//! The free requests of a UTC day, as the client counts them. A unit is taken before the request leaves and given back
//! when no provider accepted it; one that was accepted and failed stays with the providers that accepted it until their
//! prekeys end (proofs paper, section 1), and then counts as used without an answer.

use crate::{cbor, effect::Millis, error::Error};
use alloc::{collections::BTreeMap, vec::Vec};

/// A UTC day in ms.
pub const DAY_MS: u64 = 86_400_000;

/// Units kept at once: those of today and those that are open.
const UNITS: usize = 1_024;

/// What became of one request's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// The request is under way; no provider has accepted it yet.
    Taken,
    /// A provider accepted it.
    Accepted,
    /// All that accepted it failed; they may be asked again for this unit until then.
    Open(Millis),
    /// Answered.
    Answered,
    /// Used without an answer.
    Lost,
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

/// The count of one extension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    limit: u32,
    /// The newest day seen: a clock that is set back refills nothing.
    day: u64,
    /// By the request's id: its day and what became of it.
    units: BTreeMap<u64, (u64, Unit)>,
    changed: bool,
}

impl Quota {
    /// The network's limit for a day.
    pub fn set_limit(&mut self, limit: u32) {
        self.changed |= self.limit != limit;
        self.limit = limit;
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
        self.put(request, (self.day, Unit::Taken));
        Ok(())
    }

    /// A provider accepted the request.
    pub fn accepted(&mut self, request: u64) {
        self.step(request, |unit| matches!(unit, Unit::Taken | Unit::Open(_)).then_some(Unit::Accepted));
    }

    /// It was answered, in whole or in the part that the user stopped.
    pub fn answered(&mut self, request: u64) {
        self.step(request, |unit| matches!(unit, Unit::Accepted).then_some(Unit::Answered));
    }

    /// It ended without an answer. Gives the unit back where nobody accepted it; else it stays open until `prekeys_end`.
    pub fn failed(&mut self, request: u64, prekeys_end: Millis) {
        match self.units.get(&request) {
            Some((_, Unit::Taken)) => {
                self.units.remove(&request);
                self.changed = true;
            }
            Some((day, Unit::Accepted)) => self.put(request, (*day, Unit::Open(prekeys_end))),
            _ => {}
        }
    }

    /// Takes an open unit's request up again: it is asked anew of providers that accepted it. False when none is open.
    pub fn again(&mut self, request: u64, now: Millis) -> bool {
        self.turn(now);
        let open = matches!(self.units.get(&request), Some((_, Unit::Open(_))));
        self.accepted(request);
        open
    }

    /// What is left at `now`.
    pub fn left(&self, now: Millis) -> Left {
        let day = self.day.max(now.0 / DAY_MS);
        let mut left = Left { limit: self.limit, reset: Millis((day + 1).saturating_mul(DAY_MS)), ..Left::default() };
        for (_, unit) in self.units.values().filter(|(of, _)| *of == day) {
            left.used += 1;
            match unit {
                Unit::Open(until) if *until > now => left.open += 1,
                Unit::Open(_) | Unit::Lost => left.lost += 1,
                Unit::Taken | Unit::Accepted | Unit::Answered => {}
            }
        }
        left
    }

    /// When what is left next changes by time alone: the day's end or an open unit's.
    pub fn wake_at(&self, now: Millis) -> Millis {
        let open = self.units.values().filter_map(|(_, unit)| match unit {
            Unit::Open(until) if *until > now => Some(*until),
            _ => None,
        });
        open.chain([self.left(now).reset]).min().unwrap_or(Millis(u64::MAX))
    }

    /// The row to store, when it is another than before.
    pub fn take_row(&mut self) -> Option<Vec<u8>> {
        core::mem::take(&mut self.changed).then(|| self.encode())
    }

    /// Lets time pass: a new day begins, open units end.
    pub fn turn(&mut self, now: Millis) {
        let today = now.0 / DAY_MS;
        if today > self.day {
            self.day = today;
            self.changed = true;
        }
        let day = self.day;
        for (_, unit) in self.units.values_mut() {
            if matches!(unit, Unit::Open(until) if *until <= now) {
                *unit = Unit::Lost;
                self.changed = true;
            }
        }
        let before = self.units.len();
        self.units.retain(|_, (of, unit)| *of == day || !matches!(unit, Unit::Answered | Unit::Lost));
        self.changed |= self.units.len() != before;
    }

    fn put(&mut self, request: u64, unit: (u64, Unit)) {
        self.units.insert(request, unit);
        self.changed = true;
    }

    fn step(&mut self, request: u64, to: impl FnOnce(&Unit) -> Option<Unit>) {
        if let Some((_, unit)) = self.units.get_mut(&request)
            && let Some(next) = to(unit)
        {
            *unit = next;
            self.changed = true;
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut flat = Vec::with_capacity(self.units.len() * 25);
        for (request, (day, unit)) in &self.units {
            let (kind, until) = match unit {
                Unit::Taken => (0, 0),
                Unit::Accepted => (1, 0),
                Unit::Open(until) => (2, until.0),
                Unit::Answered => (3, 0),
                Unit::Lost => (4, 0),
            };
            flat.extend(request.to_be_bytes());
            flat.extend(day.to_be_bytes());
            flat.push(kind);
            flat.extend(u64::to_be_bytes(until));
        }
        let mut map = cbor::Map::new();
        map.uint(0, 1u8).uint(1, self.day).bytes(2, &flat);
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
                2 => {
                    for entry in r.bytes(UNITS * 25)?.as_chunks::<25>().0 {
                        let number = |at: usize| {
                            entry[at..at + 8].iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte))
                        };
                        let (request, day) = (number(0), number(8));
                        let unit = match entry[16] {
                            0 if resumed.contains(&request) => Unit::Taken,
                            0 => continue,
                            1 if resumed.contains(&request) => Unit::Accepted,
                            1 => Unit::Open(prekeys_end),
                            2 => Unit::Open(Millis(number(17))),
                            3 => Unit::Answered,
                            4 => Unit::Lost,
                            _ => return Err(WRONG),
                        };
                        quota.units.insert(request, (day, unit));
                    }
                }
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

    const NOON: Millis = Millis(20_000 * DAY_MS + DAY_MS / 2);

    fn quota() -> Quota {
        let mut quota = Quota::default();
        quota.set_limit(3);
        quota
    }

    fn used(quota: &mut Quota, requests: core::ops::Range<u64>, now: Millis) {
        for request in requests {
            assert_eq!(quota.take(request, now), Ok(()));
            quota.accepted(request);
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
    fn what_nobody_accepted_is_given_back_and_what_failed_stays_open_for_a_while() {
        let mut quota = quota();
        quota.take(1, NOON).unwrap();
        quota.failed(1, NOON);
        assert_eq!(quota.left(NOON).used, 0);
        quota.take(2, NOON).unwrap();
        quota.accepted(2);
        let end = Millis(NOON.0 + 4_440_000);
        quota.failed(2, end);
        let left = quota.left(NOON);
        assert_eq!((left.used, left.open, left.lost), (1, 1, 0));
        assert_eq!(quota.wake_at(NOON), end);
        assert!(quota.again(2, NOON), "the same providers may be asked again");
        quota.failed(2, end);
        let left = quota.left(end);
        assert_eq!((left.used, left.open, left.lost), (1, 0, 1));
        assert!(!quota.again(2, end));
        assert_eq!(quota.left(end).used, 1);
    }

    #[test]
    fn a_restart_gives_back_what_was_not_accepted() {
        let mut quota = quota();
        for request in 0..3 {
            quota.take(request, NOON).unwrap();
        }
        quota.accepted(1);
        quota.accepted(2);
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
