//! An answer on its way to the user: the accept, frames in order, records, the receipt, the end (protocol sections 5.1,
//! 5.4 and 5.5). What is shown is always a true prefix of what the provider sealed.

use super::{
    AskId, Choice, Client, Effect, End, Event,
    ask::KEEP_MS,
    control::Reserve,
    exchange::{Dirty, Exchange, ExchangeId, Flow, Known, Phase, Stream, Taken, Verdict},
    order::State,
};
use crate::effect::{Millis, Publication};
use crate::envelope::{
    bundle,
    control::Control,
    frame::Frame,
    padding,
    response::{Accept, ClientSession},
};
use crate::message::{Profile, Record, RecordReader, Usage};
use crate::receipt::{Receipt, model_hash};
use crate::topic::Topic;
use alloc::vec::Vec;
use rand_core::CryptoRng;

/// Frames kept that may belong to an answer whose accept has not come.
const OVERTAKING: usize = 64;
/// Progress is mirrored at most this often.
pub(super) const MIRROR_MS: u64 = 1_000;
/// A tick of `high`, which a tail's length is counted in.
const TAIL_TICK_MS: u64 = 250;
/// A tail's last frames travel for a while.
const TAIL_GRACE_MS: u64 = 2_000;
/// Code of an answer that says that it failed but not how.
const FAILED: u16 = 10;

impl Client {
    /// Takes a payload of a provider's responses topic.
    pub(super) fn response(&mut self, payload: &[u8], now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let Ok(frames) = bundle::decode(payload) else { return };
        for frame in frames {
            self.take(frame, now, rng, out);
        }
        // The accept among these frames tells the tags of those that overtook it.
        for frame in core::mem::take(&mut self.overtaking) {
            self.take(frame, now, rng, out);
        }
    }

    /// Gives a frame to its exchange. One that nobody knows is kept while an accept is awaited, the newest few.
    fn take(&mut self, frame: Frame, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        if let Some(known) = self.tags.get(&frame.tag()).copied() {
            self.frame(known, &frame, now, rng, out);
        } else if self.exchanges.values().any(Exchange::is_waiting) {
            if self.overtaking.len() >= OVERTAKING {
                self.overtaking.pop_front();
            }
            self.overtaking.push_back(frame);
        }
    }

    fn frame(&mut self, known: Known, frame: &Frame, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let Some(exchange) = self.exchanges.get_mut(&known.exchange) else { return };
        if let Phase::Waiting(keys) = &exchange.phase {
            match keys.open_accept(known.attempt, frame) {
                Ok((Accept::Accepted { estimate_s }, session)) => {
                    self.accepted(known.exchange, session, estimate_s, now, rng, out);
                }
                Ok((Accept::Refused { code, retry_after_s }, _)) => {
                    self.refused(known.exchange, (code, retry_after_s), now, rng, out);
                }
                Err(_) => exchange.forged(known, frame.tag(), &mut self.tags, now),
            }
            return;
        }
        if exchange.take_frame(known.exchange, known, frame, &mut self.tags, now) == Taken::Frame {
            self.advance_stream(known.exchange, now, rng, out);
        }
    }

    /// The first valid accept wins: its answer is shown, the others are cancelled.
    fn accepted(
        &mut self,
        id: ExchangeId,
        session: ClientSession,
        estimate_s: u16,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let (ask, provider, sent) = (exchange.ask, exchange.provider, exchange.sent);
        exchange.forget(0, &mut self.tags);
        exchange.phase = Phase::Streaming(Stream::new(session, 1, RecordReader::default(), 0, now));
        exchange.payload.clear();
        exchange.resend_at = None;
        exchange.expect(id, &mut self.tags);
        self.measures.accepted(provider, now.0.saturating_sub(sent.0), now);
        if exchange.leaving.is_some() {
            return self.say_cancel(id, now, rng, out);
        }
        let Some(question) = self.questions.get_mut(&ask) else { return };
        question.winner = Some(id);
        question.estimate(estimate_s);
        out.push(Effect::Event(Event::Accepted { ask, provider }));
        self.mirror(id, now, out);
        for rival in self.open(ask) {
            if rival != id {
                self.leave(rival, now, rng, out);
            }
        }
    }

    /// Shows what has become whole, in order.
    fn advance_stream(&mut self, id: ExchangeId, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        loop {
            let Some(exchange) = self.exchanges.get_mut(&id) else { return };
            let Phase::Streaming(stream) = &mut exchange.phase else { return };
            let Some(piece) = stream.order.take() else { break };
            if exchange.leaving.is_some() {
                // Only its end matters: then the provider has heard the CANCEL.
                if piece.last {
                    let until = hold(exchange.profile, stream.order.next(), now);
                    return self.wipe(id, until);
                }
                continue;
            }
            stream.reader.push(&piece.data);
            let read = loop {
                match stream.reader.next_record() {
                    Ok(Some(record)) => records(stream, exchange.ask, &exchange.model, record, out),
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            if read.is_err() || (piece.last && !stream.reader.is_between_records()) {
                return self.broken(id, now, rng, out);
            }
            if piece.last {
                let error = stream.error.or(piece.error.then_some((FAILED, 0)));
                return self.complete(id, error, now, rng, out);
            }
        }
        self.note_first_text(id, now);
        self.mirror_progress(id, now, out);
    }

    fn note_first_text(&mut self, id: ExchangeId, now: Millis) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let Phase::Streaming(stream) = &mut exchange.phase else { return };
        if exchange.sends > 0 && (stream.text_bytes > 0 || stream.json_events > 0) {
            exchange.sends = 0;
            self.measures.first_text(exchange.provider, now.0.saturating_sub(exchange.sent.0), now);
        }
    }

    /// FINAL has come and everything before it.
    fn complete(
        &mut self,
        id: ExchangeId,
        error: Option<(u16, u16)>,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) {
        self.note_first_text(id, now);
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let Phase::Streaming(stream) = &mut exchange.phase else { return };
        let (ask, profile, count) = (exchange.ask, exchange.profile, stream.order.next());
        let end = match error {
            Some((code, retry_after)) => End::Error { code, retry_after },
            None => End::Complete,
        };
        if error.is_none() && stream.receipt == Verdict::Awaited {
            out.push(Effect::Event(Event::Receipt { ask, wire: None }));
        }
        let ok = stream.receipt == Verdict::Good;
        if profile != Profile::High {
            self.say(id, &Control::Done { ok }, now, rng, out);
        }
        self.wipe(id, hold(profile, count, now));
        self.end(ask, end, now, rng, out);
    }

    /// What came cannot be trusted from here on.
    fn broken(&mut self, id: ExchangeId, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let Some(exchange) = self.exchanges.get(&id) else { return };
        let (ask, provider) = (exchange.ask, exchange.provider);
        self.measures.failed(provider, now);
        self.end(ask, End::Truncated, now, rng, out);
    }

    /// What time alone brings to an exchange.
    pub(super) fn expire_exchange(
        &mut self,
        id: ExchangeId,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        if exchange.leaving.is_some() {
            return self.say_cancel(id, now, rng, out);
        }
        if exchange.resend_at.is_some_and(|at| at <= now) {
            return self.impatient(id, now, rng, out);
        }
        let (ask, provider) = (exchange.ask, exchange.provider);
        let Phase::Streaming(stream) = &mut exchange.phase else { return };
        if stream.order.wake_at() > now || stream.numbers.free_at() > now {
            return self.mirror_progress(id, now, out);
        }
        let nack = stream.order.nack(now);
        let state = stream.order.state();
        let told =
            core::mem::replace(&mut stream.stalled, if state == State::Flowing { Flow::Flows } else { Flow::Stalls });
        let silent = stream.text_bytes == 0 && stream.json_events == 0;
        if let Some((base, missing)) = nack {
            let control = Control::Nack { base, missing };
            for sequence in control.missing() {
                if let Some(exchange) = self.exchanges.get_mut(&id) {
                    exchange.expect_again(id, sequence, &mut self.tags);
                }
            }
            self.say(id, &control, now, rng, out);
        }
        if state != State::Flowing && told == Flow::Flows {
            out.push(Effect::Event(Event::Stalled(ask)));
            self.measures.failed(provider, now);
        }
        if state != State::Flowing && silent && self.fail_over(id, ask, now, rng, out) == Over::Moved {
            return;
        }
        match state {
            State::Dead => self.broken(id, now, rng, out),
            State::Flowing | State::Stalled => self.mirror_progress(id, now, out),
        }
    }

    /// A stalled answer of which nothing was shown yet goes to another provider.
    fn fail_over(
        &mut self,
        id: ExchangeId,
        ask: AskId,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) -> Over {
        let Some(question) = self.questions.get_mut(&ask) else { return Over::Stays };
        if question.ask.choice != Choice::Automatic || self.open(ask).len() > 1 {
            return Over::Stays;
        }
        let Some((provider, model)) = self.next_provider(ask, now, rng) else { return Over::Stays };
        if let Some(question) = self.questions.get_mut(&ask) {
            question.winner = None;
        }
        out.push(Effect::Mirror(ask, None));
        self.leave(id, now, rng, out);
        self.send(ask, provider, model, now, rng, out);
        Over::Moved
    }

    /// Seals a control frame of an exchange and publishes it, as far as the rate allows.
    pub(super) fn say(
        &mut self,
        id: ExchangeId,
        control: &Control,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let Phase::Streaming(stream) = &mut exchange.phase else { return };
        let Some((number, reserve)) = stream.numbers.draw(now) else { return };
        let Ok(payload) = stream.session.seal_control(number, control, rng) else { return };
        let (ask, provider) = (exchange.ask, exchange.provider);
        if reserve == Reserve::Renewed {
            self.mirror(id, now, out);
        }
        let message = Publication::new(Topic::Requests(provider), payload, now, rng);
        out.push(Effect::Publish { ask, provider, message, attempt: 0 });
    }

    fn mirror_progress(&mut self, id: ExchangeId, now: Millis, out: &mut Vec<Effect>) {
        let due = self.exchanges.get(&id).is_some_and(|exchange| match &exchange.phase {
            Phase::Streaming(stream) => {
                stream.dirty == Dirty::Yes && now.0 >= stream.mirrored.0.saturating_add(MIRROR_MS)
            }
            Phase::Waiting(_) => false,
        });
        if due {
            self.mirror(id, now, out);
        }
    }
}

/// Whether a question moved to another provider.
#[derive(PartialEq, Eq)]
enum Over {
    Moved,
    Stays,
}

/// Shows one record.
fn records(stream: &mut Stream, ask: AskId, model: &str, record: Record, out: &mut Vec<Effect>) {
    match record {
        Record::Text(text) => {
            stream.text_bytes = stream.text_bytes.saturating_add(text.len() as u64);
            if !text.is_empty() {
                out.push(Effect::Event(Event::Text { ask, text }));
            }
        }
        Record::Json(json) => {
            stream.json_events = stream.json_events.saturating_add(1);
            out.push(Effect::Event(Event::Json { ask, json }));
        }
        Record::Usage(Usage { prompt, completion, finish, source }) => {
            out.push(Effect::Event(Event::Usage { ask, prompt, completion, finish, source }));
        }
        Record::Receipt(wire) => {
            let good = verify(stream, model, &wire);
            stream.receipt = if good { Verdict::Good } else { Verdict::Bad };
            out.push(Effect::Event(Event::Receipt { ask, wire: good.then_some(wire) }));
        }
        Record::Error { code, retry_after_s } => stream.error = Some((code, retry_after_s)),
    }
}

/// Whether a receipt is signed and speaks of this exchange and of exactly these records.
fn verify(stream: &Stream, model: &str, wire: &[u8]) -> bool {
    let session = &stream.session;
    let commitments = session.commit(&stream.reader.digest().finish());
    Receipt::open(wire, session.operational()).is_ok_and(|receipt| {
        receipt.provider == *session.provider()
            && receipt.op_seq == session.op_seq()
            && receipt.cb == *session.channel_binding()
            && receipt.bhash == *session.bhash()
            && receipt.model == model_hash(model)
            && receipt.request_commitment == commitments.request
            && receipt.response_commitment == commitments.response
    })
}

/// In `high` nobody shall see where the tail begins, so the topic is kept at least until the tail is over; 0 is as long
/// as any.
fn hold(profile: Profile, count: u32, now: Millis) -> Millis {
    match profile {
        Profile::High => {
            let tail = u64::from(padding::frame_count(count).saturating_sub(count));
            let tail_ms = tail.saturating_mul(TAIL_TICK_MS).saturating_add(TAIL_GRACE_MS);
            Millis(now.0.saturating_add(tail_ms.max(KEEP_MS)))
        }
        Profile::Balanced | Profile::Fast => Millis(0),
    }
}
