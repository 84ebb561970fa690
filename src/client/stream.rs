//! An answer on its way to the user: the accept, frames in order, records, the receipt, the end (protocol sections 5.1,
//! 5.4 and 5.5). What is shown is always a true prefix of what the provider sealed.

use super::{
    AskId, Client, Effect, End, Event,
    ask::{Calls, Hedge, SILENCE_MS},
    control::Reserve,
    exchange::{Claim, Dirty, Exchange, ExchangeId, Flow, Known, Phase, Stream, Taken},
    failover::Left,
    leave::KEEP_MS,
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
use crate::health::Outcome;
use crate::message::{Profile, Record, RecordReader, Usage};
use crate::receipt::Counts;
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
/// A queue is left that takes so many seconds.
const QUEUED_S: u16 = 2;
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
        if ask == AskId::PROBE {
            return self.reached(id, now, out);
        }
        let (model, why) = (exchange.model.clone(), exchange.why);
        exchange.forget(0, &mut self.tags);
        let mut stream = Stream::new(session, 1, RecordReader::default(), 0, now);
        (stream.base, stream.text_bytes, stream.asked) = (exchange.base, exchange.base, exchange.asked);
        let thought = self.questions.get(&ask).map_or(0, |question| question.json_events);
        (stream.json_base, stream.json_events) = (thought, thought);
        exchange.phase = Phase::Streaming(stream);
        let queued_ms = u64::from(estimate_s).saturating_mul(2_000);
        exchange.first_by = Millis(exchange.first_by.0.saturating_add(queued_ms));
        exchange.payload.clear();
        exchange.resend_at = None;
        exchange.expect(id, &mut self.tags);
        self.standing.accepted(provider, &model, now.0.saturating_sub(sent.0), now);
        if exchange.leaving.is_some() {
            return self.say_cancel(id, now, rng, out);
        }
        if estimate_s >= QUEUED_S && self.leave_queue(ask, id, now, rng, out) == Left::Yes {
            return;
        }
        let Some(question) = self.questions.get_mut(&ask) else { return };
        self.quota.accepted(ask.0, provider);
        question.estimate(estimate_s);
        if question.hedge == Hedge::Yes && question.winner.is_some() {
            return;
        }
        let hedged = question.hedge == Hedge::Yes;
        question.winner = Some(id);
        out.push(Effect::Event(Event::Accepted { ask, provider, model, why }));
        self.mirror(id, now, out);
        if !hedged {
            self.leave_rivals(ask, id, now, rng, out);
        }
    }

    fn leave_rivals(
        &mut self,
        ask: AskId,
        winner: ExchangeId,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) {
        for rival in self.open(ask) {
            if rival != winner {
                self.leave(rival, now, rng, out);
            }
        }
    }

    /// This exchange is the first to speak: its answer is shown, the others are cancelled.
    fn win(&mut self, id: ExchangeId, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let Some(exchange) = self.exchanges.get(&id) else { return };
        let (ask, provider, model, why) = (exchange.ask, exchange.provider, exchange.model.clone(), exchange.why);
        let Some(question) = self.questions.get_mut(&ask) else { return };
        question.hedge_at = None;
        let first = question.winner != Some(id);
        question.winner = Some(id);
        // Of two that were asked the last one named need not be the one that answers.
        if first || question.hedge == Hedge::Yes {
            out.push(Effect::Event(Event::Accepted { ask, provider, model, why }));
        }
        if first {
            self.mirror(id, now, out);
        }
        self.leave_rivals(ask, id, now, rng, out);
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
            let mut records = Vec::new();
            let read = loop {
                match stream.reader.next_record() {
                    Ok(Some(record)) => records.push(record),
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            let broken = read.is_err() || (piece.last && !stream.reader.is_between_records());
            if exchange.first.is_none() && records.iter().any(speaks) {
                exchange.first = Some(now);
                let (provider, ms) = (exchange.provider, now.0.saturating_sub(exchange.sent.0));
                let model = exchange.model.clone();
                self.standing.first_text(provider, &model, ms, now);
                self.win(id, now, rng, out);
            }
            for record in records {
                self.show(id, record, out);
            }
            if broken {
                return self.fell(id, End::Truncated, Outcome::Died, now, rng, out);
            }
            if piece.last {
                let Some(exchange) = self.exchanges.get(&id) else { return };
                let Phase::Streaming(stream) = &exchange.phase else { return };
                let error = stream.error.or(piece.error.then_some((FAILED, 0)));
                return self.complete(id, error, now, rng, out);
            }
        }
        self.mirror_progress(id, now, out);
    }

    /// Shows one record.
    fn show(&mut self, id: ExchangeId, record: Record, out: &mut Vec<Effect>) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let ask = exchange.ask;
        let Phase::Streaming(stream) = &mut exchange.phase else { return };
        match record {
            Record::Text(text) => {
                stream.text_bytes = stream.text_bytes.saturating_add(text.len() as u64);
                stream.said.add(text.as_bytes());
                if let Some(question) = self.questions.get_mut(&ask) {
                    question.total = stream.text_bytes;
                    question.shown.push_str(&text);
                }
                if !text.is_empty() {
                    out.push(Effect::Event(Event::Text { ask, text }));
                }
            }
            Record::Json(json) => {
                stream.json_events = stream.json_events.saturating_add(1);
                stream.said.add(&json);
                if let Some(question) = self.questions.get_mut(&ask) {
                    question.json_events = stream.json_events;
                    if calls(&json) {
                        question.calls = Calls::Begun;
                    }
                }
                out.push(Effect::Event(Event::Json { ask, json }));
            }
            Record::Usage(usage) => {
                stream.usage.clone_from(&usage);
                let Usage { prompt, completion, finish, source } = usage;
                out.push(Effect::Event(Event::Usage { ask, prompt, completion, finish, source }));
            }
            Record::Receipt(wire) => {
                stream.receipt = if stream.receipt == Claim::Awaited { Claim::Came(wire) } else { Claim::Many };
            }
            Record::Error { code, retry_after_s } => stream.error = Some((code, retry_after_s)),
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
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let Phase::Streaming(stream) = &mut exchange.phase else { return };
        let (ask, profile, count) = (exchange.ask, exchange.profile, stream.order.next());
        if let Some((code, retry_after)) = error {
            return self.fell(id, End::Error { code, retry_after }, Outcome::Failed, now, rng, out);
        }
        let (provider, model, usage) = (exchange.provider, exchange.model.clone(), &stream.usage);
        let counts = Counts::judge(&stream.asked, usage.prompt, &stream.said, usage.completion);
        let kept = self.receipts.keep(stream, &model, counts, now);
        let ok = kept.is_some();
        out.push(Effect::Event(Event::Receipt { ask, kept }));
        // Nobody gets questions for a speed that comes from counts of its own making.
        let (first, said) = (exchange.first, stream.said.estimate());
        if let Some(ms) = first.map(|first| now.0.saturating_sub(first.0)) {
            self.standing.health(provider, &model).streamed(said, ms, now);
        }
        let outcome = if ok { Outcome::Answered } else { Outcome::BadReceipt };
        self.judge(provider, &model, outcome, now, out);
        if profile != Profile::High {
            self.say(id, &Control::Done { ok }, now, rng, out);
        }
        self.wipe(id, hold(profile, count, now));
        self.end(ask, End::Complete, now, rng, out);
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
        let ask = exchange.ask;
        if exchange.first.is_none() && exchange.first_by <= now && matches!(exchange.phase, Phase::Streaming(_)) {
            exchange.first_by = Millis(now.0.saturating_add(SILENCE_MS));
            if self.can_move(ask, true, now, rng) {
                return self.fell(id, End::Silent, Outcome::Silent, now, rng, out);
            }
        }
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let Phase::Streaming(stream) = &mut exchange.phase else { return };
        if stream.order.wake_at() > now || stream.numbers.free_at() > now {
            return self.mirror_progress(id, now, out);
        }
        let nack = stream.order.nack(now);
        let state = stream.order.state();
        let told =
            core::mem::replace(&mut stream.stalled, if state == State::Flowing { Flow::Flows } else { Flow::Stalls });
        let silent = stream.is_silent();
        if let Some((base, missing)) = nack {
            let control = Control::Nack { base, missing };
            for sequence in control.missing() {
                if let Some(exchange) = self.exchanges.get_mut(&id) {
                    exchange.expect_again(id, sequence, &mut self.tags);
                }
            }
            self.say(id, &control, now, rng, out);
        }
        match (state, told) {
            (State::Flowing, Flow::Stalls) => out.push(Effect::Event(Event::Flows(ask))),
            (State::Stalled | State::Dead, Flow::Flows) => out.push(Effect::Event(Event::Stalled(ask))),
            _ => {}
        }
        match state {
            State::Dead => self.fell(id, End::Truncated, Outcome::Died, now, rng, out),
            State::Stalled if self.can_move(ask, silent, now, rng) => {
                self.fell(id, End::Truncated, Outcome::Died, now, rng, out);
            }
            State::Flowing | State::Stalled => self.mirror_progress(id, now, out),
        }
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

/// Whether a record is something that a person sees.
fn speaks(record: &Record) -> bool {
    match record {
        Record::Text(text) => !text.is_empty(),
        Record::Json(_) => true,
        Record::Usage(_) | Record::Receipt(_) | Record::Error { .. } => false,
    }
}

/// Whether a JSON event is a part of a tool call. In a text the quotes would be escaped.
fn calls(json: &[u8]) -> bool {
    const NAME: &[u8] = br#""tool_calls""#;
    json.windows(NAME.len()).any(|window| window == NAME)
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
