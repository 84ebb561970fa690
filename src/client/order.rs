//! Frames of one answer in their order, and which are missing (protocol section 5.5). It opens nothing and knows no
//! key: it decides when a hole is old enough to be asked for and when the stream has stalled.

use crate::effect::Millis;
use crate::map::Map;
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// Tags known ahead of the highest frame seen (protocol section 5.5: W).
pub(super) const WINDOW: u32 = 256;
/// Frames kept behind a hole: 2 MB; a stream that needs more is given up.
const WAITING: usize = 4_096;
/// Rounds of asking for one frame; a provider sends it four times at most, and either side may be lost.
const ROUNDS: u8 = 8;
/// Missing frames that one NACK names (protocol section 5.7).
const NACK_BITS: u32 = 256;
/// Frames asked for when nothing comes (protocol section 5.5).
const BLIND: u32 = 16;
/// A missing frame is asked for again after so long.
const AGAIN_MS: u64 = 1_000;
/// After the first NACK into silence a second one follows that late, and the stream counts as stalled.
const STALL_MS: u64 = 500;
/// Silence that ends a stream.
const GIVE_UP_MS: u64 = 20_000;

/// One opened frame.
#[derive(Debug)]
pub(super) struct Piece {
    /// Its records; empty for an empty frame.
    pub(super) data: Zeroizing<Vec<u8>>,
    /// It ends the answer.
    pub(super) last: bool,
    /// It ends it with an error.
    pub(super) error: bool,
}

/// Where a stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Frames come.
    Flowing,
    /// None came for a while.
    Stalled,
    /// It is given up.
    Dead,
}

#[derive(Debug)]
struct Hole {
    ask_at: Millis,
    rounds: u8,
}

/// The order of one answer's frames.
#[derive(Debug)]
pub(super) struct Order {
    next: u32,
    highest: u32,
    last: Option<u32>,
    waiting: Map<u32, Piece>,
    holes: Map<u32, Hole>,
    /// A hole may be a frame that was overtaken: so long it is waited for.
    grace_ms: u64,
    silence_ms: u64,
    heard: Millis,
    blind_at: Millis,
    blind_rounds: u8,
    blind: u32,
    state: State,
}

impl Order {
    /// Waits for frame `next`. `tick_ms` is the NACK clock, `silence_ms` the time without frames after which it asks.
    pub(super) fn new(next: u32, tick_ms: u64, silence_ms: u64, now: Millis) -> Self {
        Self {
            next,
            highest: next.saturating_sub(1),
            last: None,
            waiting: Map::new(),
            holes: Map::new(),
            grace_ms: tick_ms,
            silence_ms,
            heard: now,
            blind_at: Millis(now.0.saturating_add(silence_ms)),
            blind_rounds: 0,
            blind: BLIND,
            state: State::Flowing,
        }
    }

    /// The first frame not yet taken.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// The highest frame that may come now.
    pub(super) fn horizon(&self) -> u32 {
        self.last.unwrap_or(self.highest.saturating_add(WINDOW))
    }

    /// True when this frame is still wanted.
    pub(super) fn wants(&self, sequence: u32) -> bool {
        sequence >= self.next && sequence <= self.horizon() && !self.waiting.contains_key(&sequence)
    }

    /// The state for the user.
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Nobody listened for a while: ask for all that may have come meanwhile.
    pub(super) fn ask_now(&mut self, now: Millis) {
        self.blind_at = now;
        self.blind = NACK_BITS;
    }

    /// The clock jumped.
    pub(super) fn shift(&mut self, by: i64) {
        (self.heard, self.blind_at) = (self.heard.shifted(by), self.blind_at.shifted(by));
        for hole in self.holes.values_mut() {
            hole.ask_at = hole.ask_at.shifted(by);
        }
    }

    /// Something authentic came from the provider.
    pub(super) fn hear(&mut self, now: Millis) {
        self.heard = now;
        self.blind_at = Millis(now.0.saturating_add(self.silence_ms));
        self.blind_rounds = 0;
        if self.state == State::Stalled {
            self.state = State::Flowing;
        }
    }

    /// Takes an opened frame; false when it was not wanted.
    pub(super) fn insert(&mut self, sequence: u32, piece: Piece, now: Millis) -> bool {
        if !self.wants(sequence) {
            return false;
        }
        self.hear(now);
        self.holes.remove(&sequence);
        if piece.last {
            self.last = Some(sequence);
            self.holes.truncate_from(&sequence);
            self.waiting.truncate_from(&sequence);
        }
        if sequence > self.highest {
            let ask_at = Millis(now.0.saturating_add(self.grace_ms));
            for hole in self.highest.saturating_add(1).max(self.next)..sequence {
                self.holes.get_or_insert_with(hole, || Hole { ask_at, rounds: 0 });
            }
            self.highest = sequence;
        }
        self.waiting.insert(sequence, piece);
        if self.waiting.len() > WAITING {
            self.state = State::Dead;
        }
        true
    }

    /// A copy of this frame could not be opened as often as allowed: ask for the next attempt.
    pub(super) fn spoiled(&mut self, sequence: u32, now: Millis) {
        if self.wants(sequence) {
            self.holes.get_or_insert_with(sequence, || Hole { ask_at: now, rounds: 0 });
        }
    }

    /// The next frame in order, if it is here.
    pub(super) fn take(&mut self) -> Option<Piece> {
        let piece = self.waiting.remove(&self.next)?;
        self.next = self.next.saturating_add(1);
        Some(piece)
    }

    /// The frames to ask for now as a base and its bits, most significant first; none when nothing is due.
    pub(super) fn nack(&mut self, now: Millis) -> Option<(u32, [u8; 32])> {
        if self.state == State::Dead {
            return None;
        }
        let mut bits = [0u8; 32];
        let mut base = None;
        let mut exhausted = false;
        for (&sequence, hole) in &mut self.holes {
            let first = *base.get_or_insert(sequence);
            let offset = sequence - first;
            if offset >= NACK_BITS {
                break;
            }
            if hole.ask_at > now {
                if offset == 0 {
                    base = None;
                }
                continue;
            }
            if hole.rounds >= ROUNDS {
                exhausted = true;
                continue;
            }
            hole.rounds += 1;
            hole.ask_at = Millis(now.0.saturating_add(AGAIN_MS));
            set(&mut bits, offset);
        }
        if exhausted {
            self.state = State::Dead;
            return None;
        }
        if now >= self.blind_at {
            self.next_blind(now);
            if self.state == State::Dead {
                return None;
            }
            let first = *base.get_or_insert(self.next);
            let from = self.highest.saturating_add(1);
            for sequence in from..from.saturating_add(self.blind) {
                match sequence.checked_sub(first) {
                    Some(offset) if offset < NACK_BITS && self.wants(sequence) => set(&mut bits, offset),
                    _ => {}
                }
            }
        }
        match base {
            Some(first) if bits != [0; 32] => Some((first, bits)),
            _ => None,
        }
    }

    /// When [`Self::nack`] may have something new.
    pub(super) fn wake_at(&self) -> Millis {
        self.holes.values().map(|hole| hole.ask_at).fold(self.blind_at, Ord::min)
    }

    fn next_blind(&mut self, now: Millis) {
        if now.0.saturating_sub(self.heard.0) >= GIVE_UP_MS {
            self.state = State::Dead;
            return;
        }
        if self.blind_rounds > 0 {
            self.state = State::Stalled;
        }
        let wait = match self.blind_rounds {
            0 => STALL_MS,
            1..4 => 1_000,
            _ => 2_000,
        };
        self.blind_rounds = self.blind_rounds.saturating_add(1);
        self.blind_at = Millis(now.0.saturating_add(wait));
    }
}

fn set(bits: &mut [u8; 32], offset: u32) {
    if let Some(byte) = bits.get_mut((offset / 8) as usize) {
        *byte |= 0x80 >> (offset % 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(last: bool) -> Piece {
        Piece { data: Zeroizing::default(), last, error: false }
    }

    fn drain(order: &mut Order) -> u32 {
        let mut taken = 0;
        while order.take().is_some() {
            taken += 1;
        }
        taken
    }

    #[test]
    fn holes_are_asked_for_after_their_grace_and_close() {
        let mut order = Order::new(1, 250, 1_000, Millis(0));
        assert!(order.insert(1, piece(false), Millis(10)));
        assert!(order.insert(4, piece(true), Millis(20)));
        assert!(!order.insert(5, piece(false), Millis(20)), "nothing follows the last frame");
        assert_eq!(drain(&mut order), 1);
        assert_eq!(order.nack(Millis(100)), None);
        let (base, bits) = order.nack(Millis(300)).unwrap();
        assert_eq!((base, bits[0]), (2, 0b1100_0000));
        assert_eq!(order.nack(Millis(301)), None);
        assert!(order.insert(3, piece(false), Millis(400)));
        assert!(order.insert(2, piece(false), Millis(400)));
        assert!(!order.insert(2, piece(false), Millis(400)), "a frame counts once");
        assert_eq!(drain(&mut order), 3);
    }

    #[test]
    fn silence_asks_blindly_then_stalls_then_dies() {
        let mut order = Order::new(1, 250, 1_000, Millis(0));
        assert_eq!(order.nack(Millis(999)), None);
        let (base, bits) = order.nack(Millis(1_000)).unwrap();
        assert_eq!((base, bits[0], bits[1], bits[2]), (1, 0xff, 0xff, 0));
        assert_eq!(order.state(), State::Flowing);
        assert!(order.nack(Millis(1_500)).is_some());
        assert_eq!(order.state(), State::Stalled);
        assert!(order.insert(1, piece(false), Millis(1_600)));
        assert_eq!(order.state(), State::Flowing);
        let mut now = Millis(1_600);
        while order.state() != State::Dead {
            now = order.wake_at().max(Millis(now.0 + 1));
            order.nack(now);
        }
        assert!(now.0 >= 1_600 + GIVE_UP_MS && now.0 < 30_000);
    }
}
