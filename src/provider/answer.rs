//! What the model says becomes records, and how an answer ends: whole, cut at a limit, failed or cancelled (protocol
//! sections 5.1, 5.4 and 5.6).

use super::{
    Effect, Note, Provider, SessionId,
    stream::{Full, Kind},
};
use crate::effect::Millis;
use crate::error::Code;
use crate::message::{Record, Usage};
use alloc::{string::String, vec::Vec};
use rand_core::CryptoRng;

/// Finish reason of an answer that met a limit, as OpenAI names it.
const LENGTH: &str = "length";
/// Longest finish reason (protocol section 5.1).
const FINISH: usize = 64;
/// Source of counts that nobody counted: bytes over four.
const ESTIMATED: u8 = 2;

impl Provider {
    /// The model gave text.
    pub(super) fn text(
        &mut self,
        id: SessionId,
        text: &str,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if text.is_empty() || session.stream.is_closed() {
            return;
        }
        session.first.get_or_insert(now);
        session.text_bytes = session.text_bytes.saturating_add(text.len() as u64);
        let pushed = session.stream.push_text(text);
        self.pushed(id, pushed, now, rng, out);
    }

    /// The model gave a JSON event.
    pub(super) fn json(
        &mut self,
        id: SessionId,
        json: Vec<u8>,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.stream.is_closed() {
            return;
        }
        session.first.get_or_insert(now);
        let pushed = session.stream.push_json(json);
        self.pushed(id, pushed, now, rng, out);
    }

    fn pushed(
        &mut self,
        id: SessionId,
        pushed: Result<(), Full>,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) {
        if pushed == Err(Full) {
            out.push(Effect::CancelInfer(id));
            return self.finish(id, LENGTH, now, rng, out);
        }
        self.flush(id, now, rng, out);
    }

    /// The answer ends whole, with its counts and its receipt.
    pub(super) fn finish(
        &mut self,
        id: SessionId,
        reason: &str,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.stream.is_closed() {
            return;
        }
        let counted = session.usage.take();
        let mut usage = counted.unwrap_or_else(|| Usage {
            prompt: 0,
            completion: session.text_bytes.div_ceil(4),
            finish: String::new(),
            source: ESTIMATED,
        });
        usage.finish = reason.chars().take(FINISH).filter(char::is_ascii_graphic).collect();
        session.stream.push_record(&Record::Usage(usage.clone()));
        if session.want_receipt
            && let Some(receipt) = self.announcer.receipt(session, &usage, now, rng)
        {
            session.stream.push_record(&Record::Receipt(receipt));
            out.push(Effect::Note(Note::Receipt));
        }
        session.stream.close(Kind::Final);
        self.flush(id, now, rng, out);
    }

    /// The answer ends with an error; the text so far stays true.
    pub(super) fn fail(
        &mut self,
        id: SessionId,
        code: u16,
        retry_after: u16,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.stream.is_closed() {
            return;
        }
        session.error = code;
        session.stream.push_record(&Record::Error { code, retry_after_s: retry_after });
        session.stream.close(Kind::FinalError);
        self.flush(id, now, rng, out);
    }

    /// The client does not want it any more.
    pub(super) fn cancel(&mut self, id: SessionId, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        if self.sessions.get(&id).is_some_and(|session| !session.stream.is_closed()) {
            out.push(Effect::CancelInfer(id));
            self.fail(id, Code::Cancelled.into(), 0, now, rng, out);
        }
    }

    /// The deadline has passed.
    pub(super) fn expire(&mut self, id: SessionId, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let Some(session) = self.sessions.get(&id) else { return };
        if session.stream.is_closed() {
            return;
        }
        let spoke = session.first.is_some();
        out.push(Effect::CancelInfer(id));
        if spoke {
            self.finish(id, LENGTH, now, rng, out);
        } else {
            self.fail(id, Code::Internal.into(), 0, now, rng, out);
        }
    }
}
