//! When frames leave: one beat of 50 ms for all sessions, timers for what does not wait for it, bundles shared by all
//! clients (decision 1 of the design, protocol section 6.2).

use super::{
    DRAIN_MS, Drain, Effect, Note, Provider, SessionId,
    session::{BEAT_MS, Phase},
};
use crate::effect::{Millis, Publication};
use crate::envelope::{bundle, padding};
use crate::message::{Op, Profile};
use crate::topic::Topic;
use alloc::vec::Vec;
use rand_core::CryptoRng;

/// A session answers NACKs for so long after its last frame (protocol section 5.6).
const LINGER_MS: u64 = 60_000;
/// Lingering sessions; the oldest goes first (protocol section 5.10).
const LINGERING: usize = 32_768;

/// What happens to a session by time alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The accept frame leaves a second time.
    Accept(SessionId),
    /// A frame of `fast` is old enough.
    Flush(SessionId),
    /// It has taken too long.
    Deadline(SessionId),
    /// It is forgotten.
    Wipe(SessionId),
}

impl Provider {
    /// Sets a timer of a session.
    pub(super) fn set_timer(&mut self, ms: u64, timer: Timer, now: Millis) {
        self.timers.insert((Millis(now.0.saturating_add(ms)), timer));
    }

    /// Sends what is due now.
    pub(super) fn pace(&mut self, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        while let Some(&(at, timer)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            match timer {
                Timer::Accept(id) => {
                    if let Some(session) = self.sessions.get_mut(&id)
                        && session.accepted_once()
                    {
                        self.frames.extend(session.accept_frame(rng));
                    }
                }
                Timer::Flush(id) => self.flush(id, now, rng, out),
                Timer::Deadline(id) => self.expire(id, now, rng, out),
                Timer::Wipe(id) => self.wipe(id),
            }
        }
        let beat = now.0 / BEAT_MS;
        if beat > self.last_beat {
            let ids: Vec<SessionId> = self.beating.iter().copied().collect();
            for id in ids {
                let Some(session) = self.sessions.get_mut(&id) else { continue };
                let crossed = session.period().is_some_and(|period| beat / period > self.last_beat / period);
                if crossed {
                    self.frames.extend(session.beat(now, rng));
                    self.settle(id, now, out);
                }
            }
            self.last_beat = beat;
        }
        let mut frames = core::mem::take(&mut self.frames);
        while !frames.is_empty() {
            let rest = frames.split_off(frames.len().min(bundle::MAX_FRAMES));
            let Ok(payload) = bundle::encode(frames, rng) else { break };
            frames = rest;
            let topic = Topic::Responses(self.id());
            out.push(Effect::Publish(Publication::new(topic, payload, now, rng)));
        }
    }

    /// Sends what a session has to send outside the beat.
    pub(super) fn flush(&mut self, id: SessionId, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.note_waiting(now);
        self.frames.extend(session.at_once(now, rng));
        self.settle(id, now, out);
    }

    /// Moves a session on after its frames were cut.
    pub(super) fn settle(&mut self, id: SessionId, now: Millis, out: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let before = session.phase;
        if session.phase == Phase::Live && session.stream.has_final() {
            let ms = |at: Millis| u32::try_from(at.0.saturating_sub(session.accepted.0)).unwrap_or(u32::MAX);
            let (first_ms, total_ms) = (session.first.map_or(0, ms), ms(now));
            // A probe ran no model: it says nothing of how long answers take.
            if session.op == Op::Infer {
                if session.error == 0 {
                    self.load.measure(first_ms, total_ms);
                }
                out.push(Effect::Note(Note::Ended { code: session.error, first_ms, total_ms }));
            }
            let count = session.stream.count();
            session.phase = match session.profile {
                Profile::High => Phase::Tail(padding::frame_count(count)),
                Profile::Balanced | Profile::Fast => Phase::Linger,
            };
        }
        if let Phase::Tail(count) = session.phase
            && session.stream.count() >= count
        {
            session.phase = Phase::Linger;
        }
        let (after, follows, flush_at) = (session.phase, session.follows_beats(), session.flush_at());
        if follows {
            self.beating.insert(id);
        } else {
            self.beating.remove(&id);
        }
        if let Some(at) = flush_at {
            self.timers.insert((at.max(Millis(now.0.saturating_add(1))), Timer::Flush(id)));
        }
        if before != after && after == Phase::Linger {
            self.live = self.live.saturating_sub(1);
            self.last_end = now;
            self.linger(id, LINGER_MS, now);
        }
    }

    /// Keeps a session that is done for so long, within the bound for all of them.
    pub(super) fn linger(&mut self, id: SessionId, ms: u64, now: Millis) {
        self.set_timer(ms, Timer::Wipe(id), now);
        self.lingering.insert(id);
        if self.lingering.len() > LINGERING
            && let Some(oldest) = self.lingering.pop_first()
        {
            self.wipe(oldest);
        }
    }

    /// Forgets a session and its keys.
    pub(super) fn wipe(&mut self, id: SessionId) {
        if let Some(mut session) = self.sessions.remove(&id) {
            session.stream.wipe();
            for (tag, _) in &session.control_tags {
                self.control_tags.remove(tag);
            }
            self.requests.done(&session.rid);
            if session.is_live() {
                self.live = self.live.saturating_sub(1);
            }
        }
        self.beating.remove(&id);
        self.lingering.remove(&id);
    }

    /// Says that the provider is drained, once it is.
    pub(super) fn finish_drain(&mut self, now: Millis, out: &mut Vec<Effect>) {
        if self.drain == Drain::Begun && self.drained_at().is_some_and(|at| at <= now) {
            self.drain = Drain::Done;
            out.push(Effect::Drained);
        }
    }

    /// When the next input of time is due.
    pub(super) fn wake_at(&self, now: Millis) -> Option<Millis> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let drained = if self.drain == Drain::Begun { self.drained_at() } else { None };
        [timer, self.next_beat(now), drained, self.announcer.wake_at(), self.status_until].into_iter().flatten().min()
    }

    fn drained_at(&self) -> Option<Millis> {
        let waits = self.live > 0;
        // Whoever has not said DONE may still miss a frame.
        let repairs = if self.lingering.is_empty() { 0 } else { DRAIN_MS };
        (!waits).then(|| Millis(self.last_end.0.saturating_add(repairs)))
    }

    fn next_beat(&self, now: Millis) -> Option<Millis> {
        let mut next: Option<u64> = None;
        for session in self.beating.iter().filter_map(|id| self.sessions.get(id)) {
            let Some(period) = session.period() else { continue };
            let at = (self.last_beat.max(now.0 / BEAT_MS) / period + 1) * period;
            next = Some(next.map_or(at, |next| next.min(at)));
            if at == self.last_beat.max(now.0 / BEAT_MS) + 1 {
                break;
            }
        }
        next.map(|beat| Millis(beat * BEAT_MS))
    }
}
