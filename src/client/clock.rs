//! A clock that jumps: it was set, or the computer slept. What the machine waits for is counted in time that passes, so
//! it moves with the clock; what is told by the clock of the world (freshness, days, keys) is judged anew.

use super::{Client, Effect};
use crate::effect::Millis;
use alloc::vec::Vec;

/// A clock that goes back by less only waits a little longer.
const BACK_MS: u64 = 5_000;
/// A timer is late by less, also where a browser puts it off to the next minute.
const LATE_MS: u64 = 90_000;

impl Client {
    /// Looks whether the clock jumped since the last input.
    pub(super) fn follow_clock(&mut self, now: Millis, out: &mut Vec<Effect>) {
        let due = self.due.map_or(Millis(u64::MAX), |due| due.max(self.last));
        let from = match () {
            () if now.0.saturating_add(BACK_MS) < self.last.0 => self.last,
            () if now.0 > due.0.saturating_add(LATE_MS) => due,
            () => return,
        };
        let by = now.0.cast_signed().saturating_sub(from.0.cast_signed());
        for question in self.questions.values_mut() {
            question.shift(by);
        }
        for exchange in self.exchanges.values_mut() {
            exchange.shift(by);
        }
        for held in self.topics.values_mut().filter(|held| **held != Millis(0)) {
            *held = held.shifted(by);
        }
        self.connected = self.connected.shifted(by);
        self.probes.shift(by);
        self.expire_providers(now, out);
        // What was announced meanwhile was refused as of another time.
        if self.online {
            self.query(now, out);
        }
    }
}
