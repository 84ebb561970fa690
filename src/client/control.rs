//! When the client may say something to the provider under way, and under which number (protocol sections 5.7 and 6.5).

use crate::effect::Millis;

/// Control frames a second in one session (protocol section 5.10).
const RATE: u64 = 4;
/// Numbers reserved at once, so that a killed client goes on with fresh ones.
const RESERVED: u32 = 16;
/// A provider knows 32 tags ahead: unheard frames must not run past them, so the last number is then sealed anew.
const AHEAD: u32 = 30;
/// A CANCEL is said that often at most, a second apart.
pub(super) const CANCELS: u8 = 5;
/// Time between two of them.
pub(super) const CANCEL_MS: u64 = 1_000;

/// Numbers of control frames.
#[derive(Debug)]
pub(super) struct Numbers {
    next: u32,
    reserved: u32,
    /// The provider was last known to hear us when this was next.
    heard: u32,
    free_at: Millis,
}

impl Numbers {
    /// Begins at a number that was never used.
    pub(super) fn new(next: u32) -> Self {
        Self { next, reserved: next.saturating_add(RESERVED), heard: next, free_at: Millis(0) }
    }

    /// The first number that a client which comes back may use.
    pub(super) fn reserved(&self) -> u32 {
        self.reserved
    }

    /// The provider answered what we said.
    pub(super) fn heard(&mut self) {
        self.heard = self.next;
    }

    /// The clock jumped.
    pub(super) fn shift(&mut self, by: i64) {
        self.free_at = self.free_at.shifted(by);
    }

    /// When the next frame may leave.
    pub(super) fn free_at(&self) -> Millis {
        self.free_at
    }

    /// The number for a frame that leaves now, and whether the mirror must be renewed before; none when the rate forbids
    /// it.
    pub(super) fn draw(&mut self, now: Millis) -> Option<(u32, Reserve)> {
        if now < self.free_at {
            return None;
        }
        self.free_at = Millis(now.0.saturating_add(1_000 / RATE));
        if self.next.saturating_sub(self.heard) >= AHEAD {
            return Some((self.next.saturating_sub(1), Reserve::Kept));
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        if number < self.reserved {
            return Some((number, Reserve::Kept));
        }
        self.reserved = self.next.saturating_add(RESERVED);
        Some((number, Reserve::Renewed))
    }
}

/// Whether drawing a number took a new reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reserve {
    /// The number was reserved before.
    Kept,
    /// New numbers were reserved: mirror them before the frame leaves.
    Renewed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_fresh_bounded_and_rate_limited() {
        let mut numbers = Numbers::new(0);
        let mut drawn = alloc::vec::Vec::new();
        for ms in 0..10_000 {
            if let Some((number, _)) = numbers.draw(Millis(ms)) {
                drawn.push(number);
            }
        }
        assert_eq!(drawn.len(), 40);
        assert_eq!(drawn.last(), Some(&(AHEAD - 1)));
        assert!(numbers.reserved() >= AHEAD);
        numbers.heard();
        assert_eq!(numbers.draw(Millis(20_000)).map(|(number, _)| number), Some(AHEAD));
    }
}
