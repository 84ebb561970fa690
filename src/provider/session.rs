//! One request being answered: its keys, its record stream and where it stands (protocol section 5.6). It decides which
//! frames leave on a beat; it publishes nothing.

use super::stream::RecordStream;
use crate::effect::Millis;
use crate::envelope::{
    frame::{ATTEMPTS, Frame, MAX_DATA, Tag},
    prompt::Rid,
    response::{Accept, ProviderSession},
};
use crate::message::{Body, Op, Profile, Usage};
use alloc::{collections::BTreeSet, string::String, vec::Vec};
use rand_core::CryptoRng;

/// The provider's clock in ms (decision 1 of the design).
pub(super) const BEAT_MS: u64 = 50;
/// Frames that one session may put into one beat: 70 KB/s in `balanced`, more waits for the next.
const BURST: usize = 16;
/// Age at which a frame of `fast` leaves though it is not full.
const FAST_MS: u64 = 20;
/// A session of `fast` without news sends an empty frame that often.
const FAST_PAD_MS: u64 = 1_000;
/// One control frame in so many ms is heard (protocol section 5.10).
const CONTROL_MS: u64 = 250;
/// So many may come at once, since the network delays and doubles them.
const CONTROL_BURST: u64 = 8;
/// Frames that wait to be sent again; one NACK names 256 at most.
const RESENDS: usize = 512;

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The model runs, or frames of its answer are still to be sent for the first time.
    Live,
    /// The answer has ended; empty frames hide its length up to this count of frames.
    Tail(u32),
    /// All was sent; NACKs are answered.
    Linger,
    /// It was refused: only its accept frame can be sent again.
    Refused,
}

/// Whether a control frame counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It does.
    Yes,
    /// The client says too much.
    TooOften,
}

/// One session.
pub(super) struct Session {
    pub(super) rid: Rid,
    pub(super) profile: Profile,
    pub(super) want_receipt: bool,
    pub(super) op: Op,
    pub(super) keys: ProviderSession,
    pub(super) model: String,
    prices: (u128, u128),
    pub(super) stream: RecordStream,
    pub(super) phase: Phase,
    pub(super) accepted: Millis,
    pub(super) first: Option<Millis>,
    pub(super) usage: Option<Usage>,
    pub(super) text_bytes: u64,
    pub(super) error: u16,
    pub(super) control_tags: Vec<(Tag, u32)>,
    pub(super) controls_from: u32,
    accept: Accept,
    accepts_sent: u8,
    sent_at: Millis,
    waiting_since: Option<Millis>,
    resend: BTreeSet<u32>,
    hears_from: Millis,
}

impl Session {
    /// A session whose accept is still to be sent.
    pub(super) fn new(
        rid: Rid,
        body: &Body,
        prices: (u128, u128),
        keys: ProviderSession,
        accept: Accept,
        now: Millis,
    ) -> Self {
        Self {
            rid,
            profile: body.profile,
            // Nothing is delivered that a receipt could speak of.
            want_receipt: body.want_receipt && body.op == Op::Infer,
            op: body.op,
            keys,
            model: body.model.clone(),
            prices,
            stream: RecordStream::new(body.max_frames),
            phase: Phase::Live,
            accepted: now,
            first: None,
            usage: None,
            text_bytes: 0,
            error: 0,
            control_tags: Vec::new(),
            controls_from: 0,
            accept,
            accepts_sent: 0,
            sent_at: now,
            waiting_since: None,
            resend: BTreeSet::new(),
            hears_from: Millis(0),
        }
    }

    /// Base units for these counts at the prices of the accept: the ceiling of the exact value (protocol section 2.4).
    pub(super) fn price(&self, usage: &Usage) -> u128 {
        let prompt = u128::from(usage.prompt).saturating_mul(self.prices.0);
        let completion = u128::from(usage.completion).saturating_mul(self.prices.1);
        prompt.saturating_add(completion).div_ceil(1_000_000)
    }

    /// The beats between two frames, none where frames do not wait for a beat.
    pub(super) fn period(&self) -> Option<u64> {
        match self.profile {
            Profile::Balanced => Some(2),
            Profile::High => Some(5),
            Profile::Fast => None,
        }
    }

    /// A tick of the profile in ms; `fast` counts one as 100.
    pub(super) fn tick_ms(&self) -> u64 {
        self.period().map_or(100, |beats| beats * BEAT_MS)
    }

    /// True while it counts against the limit of live sessions.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live | Phase::Tail(_))
    }

    /// True when beats bring something for it.
    pub(super) fn follows_beats(&self) -> bool {
        self.period().is_some() && (self.is_live() || !self.resend.is_empty())
    }

    /// When a session of `fast` has something to send by time alone.
    pub(super) fn flush_at(&self) -> Option<Millis> {
        if self.profile != Profile::Fast || self.phase != Phase::Live {
            return None;
        }
        let pad = Millis(self.sent_at.0.saturating_add(FAST_PAD_MS));
        let flush = self.waiting_since.map(|since| Millis(since.0.saturating_add(FAST_MS)));
        Some(flush.map_or(pad, |flush| flush.min(pad)))
    }

    /// Records have come.
    pub(super) fn note_waiting(&mut self, now: Millis) {
        if self.waiting_since.is_none() && self.stream.waiting() > 0 {
            self.waiting_since = Some(now);
        }
    }

    /// The accept frame under its next attempt, as long as there is one.
    pub(super) fn accept_frame(&mut self, rng: &mut impl CryptoRng) -> Option<Frame> {
        let attempt = self.accepts_sent;
        if attempt >= ATTEMPTS {
            return None;
        }
        self.accepts_sent += 1;
        self.keys.seal_accept(attempt, &self.accept, rng).ok()
    }

    /// True when the accept frame was sent just once.
    pub(super) fn accepted_once(&self) -> bool {
        self.accepts_sent == 1
    }

    /// Whether a control frame may be heard now.
    pub(super) fn hears(&mut self, now: Millis) -> Heard {
        let from = self.hears_from.0.max(now.0.saturating_sub(CONTROL_MS * CONTROL_BURST));
        if from > now.0 {
            return Heard::TooOften;
        }
        self.hears_from = Millis(from.saturating_add(CONTROL_MS));
        Heard::Yes
    }

    /// The client misses this frame.
    pub(super) fn missing(&mut self, sequence: u32) {
        if self.resend.len() < RESENDS && sequence > 0 && sequence < self.stream.count() {
            self.resend.insert(sequence);
        }
    }

    /// The frames that leave because a beat of its period came.
    pub(super) fn beat(&mut self, now: Millis, rng: &mut impl CryptoRng) -> Vec<Frame> {
        let mut frames = Vec::new();
        let most = if self.profile == Profile::High { 1 } else { BURST };
        while frames.len() < most {
            let Some(sequence) = self.resend.pop_first() else { break };
            frames.extend(self.seal(sequence, rng));
        }
        while frames.len() < most {
            let Some(sequence) = self.stream.cut() else { break };
            frames.extend(self.seal(sequence, rng));
        }
        let empty = match self.phase {
            Phase::Live => !self.stream.has_final(),
            Phase::Tail(count) => self.stream.count() < count,
            Phase::Linger | Phase::Refused => false,
        };
        if frames.is_empty()
            && empty
            && let Some(sequence) = self.stream.pad()
        {
            frames.extend(self.seal(sequence, rng));
        }
        self.sent(now, &frames);
        frames
    }

    /// The frames that leave outside a beat: the first record in `balanced`, what is full, old or asked for in `fast`.
    pub(super) fn at_once(&mut self, now: Millis, rng: &mut impl CryptoRng) -> Vec<Frame> {
        let mut frames = Vec::new();
        if self.profile == Profile::Fast {
            while let Some(sequence) = self.resend.pop_first() {
                frames.extend(self.seal(sequence, rng));
            }
        }
        let first = self.profile != Profile::High && !self.stream.has_data();
        let old = self.profile == Profile::Fast
            && (self.waiting_since.is_some_and(|since| now.0 >= since.0.saturating_add(FAST_MS))
                || self.stream.is_closed());
        let fast = self.profile == Profile::Fast;
        if self.phase == Phase::Live {
            let mut wanted = usize::from(first);
            while frames.len() < 64 && (wanted > 0 || old || (fast && self.stream.waiting() >= MAX_DATA)) {
                let Some(sequence) = self.stream.cut() else { break };
                frames.extend(self.seal(sequence, rng));
                wanted = wanted.saturating_sub(1);
            }
            let silent = now.0 >= self.sent_at.0.saturating_add(FAST_PAD_MS);
            if self.profile == Profile::Fast
                && silent
                && frames.is_empty()
                && !self.stream.has_final()
                && let Some(sequence) = self.stream.pad()
            {
                frames.extend(self.seal(sequence, rng));
            }
        }
        self.sent(now, &frames);
        frames
    }

    fn sent(&mut self, now: Millis, frames: &[Frame]) {
        if !frames.is_empty() {
            self.sent_at = now;
        }
        if self.stream.waiting() == 0 {
            self.waiting_since = None;
        }
    }

    fn seal(&mut self, sequence: u32, rng: &mut impl CryptoRng) -> Option<Frame> {
        let (attempt, kind, data) = self.stream.take(sequence)?;
        self.keys.seal_frame(sequence, attempt, kind.flags(), data, rng).ok()
    }
}
