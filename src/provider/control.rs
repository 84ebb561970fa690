//! What clients say while their answers stream: frames to send again, stop, all arrived (protocol section 5.7).

use super::{
    Effect, Note, Provider, SessionId,
    session::{Heard, Phase},
};
use crate::effect::Millis;
use crate::envelope::control::{Control, WINDOW, decode_payload};
use crate::message::Profile;
use alloc::vec::Vec;
use rand_core::CryptoRng;

impl Provider {
    /// Hears a control frame of a running or lingering session; anything else is dropped.
    pub(super) fn control(&mut self, payload: &[u8], now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let heard = decode_payload(payload).and_then(|frame| {
            let (id, sequence) = *self.control_tags.get(&frame.tag())?;
            let session = self.sessions.get_mut(&id)?;
            if session.hears(now) == Heard::TooOften {
                return None;
            }
            let control = session.keys.open_control(sequence, &frame).ok()?;
            Some((id, sequence, control))
        });
        let Some((id, sequence, control)) = heard else {
            return out.push(Effect::Note(Note::Dropped));
        };
        self.expect_controls(id, sequence.saturating_add(1), Some(sequence));
        match control {
            Control::Nack { .. } => self.repair(id, &control, now, rng, out),
            Control::Cancel => self.cancel(id, now, rng, out),
            Control::Done { .. } => {
                if let Some(session) = self.sessions.get(&id)
                    && session.phase == Phase::Linger
                    && session.profile != Profile::High
                {
                    self.wipe(id);
                }
            }
            Control::Keepalive => {}
        }
    }

    /// Knows the control frames of a session from `from` on; `heard` is never heard again.
    pub(super) fn expect_controls(&mut self, id: SessionId, from: u32, heard: Option<u32>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if let Some(sequence) = heard {
            self.control_tags.remove(&session.keys.control_tag(sequence));
            session.control_tags.retain(|(_, kept)| *kept != sequence);
        }
        let until = from.saturating_add(WINDOW);
        for sequence in session.controls_from.max(from)..until {
            let tag = session.keys.control_tag(sequence);
            self.control_tags.insert(tag, (id, sequence));
            session.control_tags.push((tag, sequence));
        }
        session.controls_from = session.controls_from.max(until);
        // Numbers that were skipped stay good for a while, since messages overtake each other.
        let oldest = from.saturating_sub(WINDOW);
        for (tag, _) in session.control_tags.extract_if(.., |(_, sequence)| *sequence < oldest) {
            self.control_tags.remove(&tag);
        }
    }

    fn repair(&mut self, id: SessionId, nack: &Control, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        for sequence in nack.missing() {
            session.missing(sequence);
        }
        self.flush(id, now, rng, out);
    }
}
