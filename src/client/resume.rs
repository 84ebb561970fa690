//! A question under way outlives a killed background (protocol section 6.5): what is mirrored, and how it goes on.

use super::{
    Ask, Choice, Client, Effect, End, Event,
    ask::{Calls, Question},
    exchange::{Claim, Dirty, Exchange, ExchangeId, Phase, Stream},
};
use crate::announcement::MAX_SIGNED;
use crate::cbor;
use crate::effect::Millis;
use crate::envelope::response::ClientSession;
use crate::error::Error;
use crate::message::{MAX_MODEL_ID, MAX_RECORD, RecordReader, RecordsDigest, Usage};
use crate::receipt::Text;
use alloc::{string::String, vec::Vec};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Largest mirrored session and digest state, in bytes: both are a few hundred.
const PART: usize = 1_024;
/// A record that is not whole yet, with its head and the frame that brought its last part.
const REST: usize = MAX_RECORD + 1_024;

impl Client {
    /// Gives the edge what this exchange comes back from.
    pub(super) fn mirror(&mut self, id: ExchangeId, now: Millis, out: &mut Vec<Effect>) {
        let calls = |question: &Question| question.calls == Calls::Begun;
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        if exchange.leaving.is_some() {
            return;
        }
        let Phase::Streaming(stream) = &mut exchange.phase else { return };
        stream.mirrored = now;
        stream.dirty = Dirty::No;
        let session = stream.session.mirror();
        let mut map = cbor::Map::new();
        map.uint(0, 1u8).bytes(1, &session).uint(2, stream.order.next()).bytes(3, &stream.reader.digest().to_bytes());
        map.bytes(4, stream.reader.rest()).uint(5, stream.text_bytes).uint(6, stream.json_events);
        map.uint(7, stream.numbers.reserved()).text(8, &exchange.model);
        let Usage { prompt, completion, finish, source } = &stream.usage;
        map.uint(9, *prompt).uint(10, *completion).text(11, finish).uint(12, *source);
        match &stream.receipt {
            Claim::Awaited => {}
            Claim::Came(wire) => drop(map.bytes(13, wire)),
            // No receipt is empty.
            Claim::Many => drop(map.bytes(13, &[])),
        }
        map.uint(14, stream.asked.parts).uint(15, stream.said.parts).uint(16, stream.said.bytes);
        if self.questions.get(&exchange.ask).is_some_and(calls) {
            map.uint(17, 1u8);
        }
        out.push(Effect::Mirror(exchange.ask, Some(map.finish())));
    }

    /// Goes on from a mirror.
    pub(super) fn resume(
        &mut self,
        asked: Ask,
        bytes: Vec<u8>,
        now: Millis,
        rng: &mut impl CryptoRng,
        out: &mut Vec<Effect>,
    ) {
        let ask = asked.id;
        if self.questions.contains_key(&ask) {
            return;
        }
        let bytes = Zeroizing::new(bytes);
        let Ok((stream, model, calls)) = decode(&bytes, now) else {
            out.push(Effect::Mirror(ask, None));
            return out.push(Effect::Event(Event::Ended { ask, end: End::Truncated }));
        };
        let provider = *stream.session.provider();
        let (text_bytes, json_events, profile) = (stream.text_bytes, stream.json_events, stream.session.profile());
        self.next_exchange += 1;
        let id = ExchangeId(self.next_exchange);
        let choice = match asked.choice {
            Choice::Automatic => Choice::Automatic,
            Choice::Pinned(_) => Choice::Pinned(provider),
        };
        let mut question = Question::new(Ask { choice, profile, ..asked }, now);
        (question.total, question.json_events) = (text_bytes, json_events);
        question.calls = calls;
        question.tried.push(provider);
        question.winner = Some(id);
        self.questions.insert(ask, question);
        let mut exchange = Exchange::resume(ask, model, stream, now);
        exchange.expect(id, &mut self.tags);
        self.exchanges.insert(id, exchange);
        self.listen(provider, out);
        out.push(Effect::Event(Event::Resumed { ask, provider, text_bytes, json_events }));
        self.mirror(id, now, out);
        self.expire_exchange(id, now, rng, out);
    }
}

fn decode(bytes: &[u8], now: Millis) -> Result<(Stream, String, Calls), Error> {
    const WRONG: Error = Error::malformed("mirror");
    let (mut session, mut next, mut digest, mut rest) = (None, None, None, None);
    let (mut text_bytes, mut json_events, mut control, mut model) = (0, 0, None, None);
    let (mut asked, mut said) = (Text::default(), Text::default());
    let (mut receipt, mut calls) = (Claim::Awaited, Calls::None);
    let mut usage = Usage { prompt: 0, completion: 0, finish: String::new(), source: 0 };
    let mut reader = cbor::Reader::new(bytes);
    reader.map(|key, r| {
        match key {
            0 if r.uint()? == 1 => {}
            1 => session = Some(ClientSession::restore(r.bytes(PART)?)?),
            2 => next = Some(r.u32()?),
            3 => digest = Some(RecordsDigest::from_bytes(r.bytes(PART)?)?),
            4 => rest = Some(r.bytes(REST)?),
            5 => text_bytes = r.uint()?,
            6 => json_events = r.uint()?,
            7 => control = Some(r.u32()?),
            8 => model = Some(r.text(MAX_MODEL_ID)?),
            9 => usage.prompt = r.uint()?,
            10 => usage.completion = r.uint()?,
            11 => usage.finish = r.text(MAX_RECORD)?.into(),
            12 => usage.source = r.u8()?,
            13 => {
                receipt = match r.bytes(MAX_SIGNED)? {
                    [] => Claim::Many,
                    wire => Claim::Came(wire.into()),
                }
            }
            14 => asked.parts = r.uint()?,
            15 => said.parts = r.uint()?,
            16 => said.bytes = r.uint()?,
            17 if r.uint()? == 1 => calls = Calls::Begun,
            _ => return Err(WRONG),
        }
        Ok(true)
    })?;
    reader.finish()?;
    let (Some(session), Some(next), Some(digest), Some(rest)) = (session, next, digest, rest) else {
        return Err(WRONG);
    };
    let (Some(control), Some(model)) = (control, model) else { return Err(WRONG) };
    let mut reader = RecordReader::resume(digest);
    reader.push(rest);
    let mut stream = Stream::new(session, next, reader, control, now);
    // Whatever was sent while nobody listened is asked for at once.
    stream.order.ask_now(now);
    (stream.text_bytes, stream.json_events) = (text_bytes, json_events);
    (stream.receipt, stream.usage) = (receipt, usage);
    (stream.asked, stream.said) = (asked, said);
    // Whatever was shown is shown.
    stream.base = 0;
    Ok((stream, model.into(), calls))
}
