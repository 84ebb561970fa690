//! One request to one provider, from its sealing until its keys are erased (protocol section 5.5).

use super::{
    AskId,
    control::Numbers,
    order::{Order, Piece},
    stream::MIRROR_MS,
};
use crate::effect::Millis;
use crate::envelope::{
    frame::{ATTEMPTS, ERROR, FINAL, Frame, Tag},
    prompt::ClientKeys,
    response::ClientSession,
};
use crate::identity::ProviderId;
use crate::map::Map;
use crate::message::{Profile, RecordReader, Usage};
use crate::ranking::Reason;
use crate::receipt::Text;
use alloc::{string::String, vec::Vec};

/// Copies with the right tag that may fail to open before the next attempt is asked for (protocol section 5.5).
const FORGERIES: u8 = 16;

/// The client's number for an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ExchangeId(pub(super) u64);

/// Which frame a tag stands for; sequence 0 is the accept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) exchange: ExchangeId,
    pub(super) sequence: u32,
    pub(super) attempt: u8,
}

/// All tags that may come, of all exchanges.
pub(super) type Tags = Map<Tag, Known>;

/// One request and its answer.
pub(super) struct Exchange {
    pub(super) ask: AskId,
    pub(super) provider: ProviderId,
    pub(super) model: String,
    /// Why it was chosen, where the choice was ours.
    pub(super) why: Option<Reason>,
    pub(super) profile: Profile,
    pub(super) bhash: [u8; 32],
    /// The request's bytes, for sending them again; empty once it is accepted.
    pub(super) payload: Vec<u8>,
    pub(super) sent: Millis,
    /// Sends of the request.
    pub(super) sends: u8,
    /// UTF-8 bytes of the answer that others gave before.
    pub(super) base: u64,
    /// What the request asks.
    pub(super) asked: Text,
    /// Without a first text by then, another provider takes over.
    pub(super) first_by: Millis,
    /// When the first text came.
    pub(super) first: Option<Millis>,
    pub(super) resend_at: Option<Millis>,
    pub(super) phase: Phase,
    pub(super) leaving: Option<Leaving>,
    tags: Map<u32, Vec<Tag>>,
    forgeries: Map<Tag, u8>,
    /// The first frame of the stream whose tag is not known yet.
    expected: u32,
}

/// How far it is.
pub(super) enum Phase {
    /// No accept yet.
    Waiting(ClientKeys),
    /// Frames come.
    Streaming(Stream),
}

/// A CANCEL under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    pub(super) next: Millis,
    pub(super) left: u8,
    pub(super) until: Millis,
}

/// An answer that streams.
pub(super) struct Stream {
    pub(super) session: ClientSession,
    pub(super) order: Order,
    pub(super) reader: RecordReader,
    pub(super) numbers: Numbers,
    /// UTF-8 bytes of the answer's text, and those of them that another provider gave before.
    pub(super) text_bytes: u64,
    pub(super) base: u64,
    /// All JSON events that were shown, and those of them that another provider gave before.
    pub(super) json_events: u64,
    pub(super) json_base: u64,
    /// What this provider was asked, and what it has said, thoughts and calls included.
    pub(super) asked: Text,
    pub(super) said: Text,
    /// As the provider counts.
    pub(super) usage: Usage,
    pub(super) error: Option<(u16, u16)>,
    pub(super) receipt: Claim,
    pub(super) stalled: Flow,
    pub(super) mirrored: Millis,
    pub(super) dirty: Dirty,
}

/// What came as the receipt. It is judged when the answer has ended: it must speak of all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nothing yet.
    Awaited,
    /// This.
    Came(Vec<u8>),
    /// More than one, so none.
    Many,
}

/// What the user was told of the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// It flows.
    Flows,
    /// It stalls.
    Stalls,
}

/// Whether the mirror lags behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dirty {
    /// It is up to date.
    No,
    /// There is progress to mirror.
    Yes,
}

impl Stream {
    /// Whether anything came that can be shown.
    pub(super) fn is_silent(&self) -> bool {
        self.text_bytes == self.base && self.json_events == self.json_base
    }

    /// A stream whose first wanted frame is `next`.
    pub(super) fn new(session: ClientSession, next: u32, reader: RecordReader, control: u32, now: Millis) -> Self {
        let (tick_ms, silence_ms) = match session.profile() {
            Profile::Balanced | Profile::High => (250, 1_000),
            Profile::Fast => (1_000, 2_000),
        };
        Self {
            session,
            order: Order::new(next, tick_ms, silence_ms, now),
            reader,
            numbers: Numbers::new(control),
            text_bytes: 0,
            base: 0,
            json_events: 0,
            json_base: 0,
            asked: Text::default(),
            said: Text::default(),
            usage: Usage { prompt: 0, completion: 0, finish: String::new(), source: 0 },
            error: None,
            receipt: Claim::Awaited,
            stalled: Flow::Flows,
            mirrored: now,
            dirty: Dirty::No,
        }
    }
}

impl Exchange {
    /// A sealed request that leaves now.
    pub(super) fn new(
        ask: AskId,
        model: String,
        profile: Profile,
        bhash: [u8; 32],
        payload: Vec<u8>,
        keys: ClientKeys,
        now: Millis,
    ) -> Self {
        Self {
            ask,
            provider: *keys.provider(),
            model,
            why: None,
            profile,
            bhash,
            payload,
            sent: now,
            sends: 1,
            base: 0,
            asked: Text::default(),
            first_by: Millis(u64::MAX),
            first: None,
            resend_at: None,
            phase: Phase::Waiting(keys),
            leaving: None,
            tags: Map::new(),
            forgeries: Map::new(),
            expected: 0,
        }
    }

    /// An exchange that comes back from a mirror.
    pub(super) fn resume(ask: AskId, model: String, stream: Stream, now: Millis) -> Self {
        Self {
            ask,
            provider: *stream.session.provider(),
            model,
            why: None,
            profile: stream.session.profile(),
            bhash: *stream.session.bhash(),
            payload: Vec::new(),
            sent: now,
            sends: 0,
            base: 0,
            asked: Text::default(),
            first_by: Millis(u64::MAX),
            first: Some(now),
            resend_at: None,
            phase: Phase::Streaming(stream),
            leaving: None,
            tags: Map::new(),
            forgeries: Map::new(),
            expected: 0,
        }
    }

    /// The clock jumped.
    pub(super) fn shift(&mut self, by: i64) {
        (self.sent, self.first_by) = (self.sent.shifted(by), self.first_by.shifted(by));
        self.first = self.first.map(|at| at.shifted(by));
        self.resend_at = self.resend_at.map(|at| at.shifted(by));
        if let Some(leaving) = &mut self.leaving {
            (leaving.next, leaving.until) = (leaving.next.shifted(by), leaving.until.shifted(by));
        }
        if let Phase::Streaming(stream) = &mut self.phase {
            stream.order.shift(by);
            stream.numbers.shift(by);
            stream.mirrored = stream.mirrored.shifted(by);
        }
    }

    /// When it next needs the time.
    pub(super) fn wake_at(&self) -> Option<Millis> {
        match (&self.leaving, &self.phase) {
            (Some(leaving), Phase::Streaming(_)) => Some(leaving.next.min(leaving.until)),
            (Some(leaving), Phase::Waiting(_)) => Some(leaving.until),
            (None, Phase::Waiting(_)) => self.resend_at,
            (None, Phase::Streaming(stream)) => {
                let nack = stream.order.wake_at().max(stream.numbers.free_at());
                let mirror = Millis(stream.mirrored.0.saturating_add(MIRROR_MS));
                let next = if stream.dirty == Dirty::Yes { nack.min(mirror) } else { nack };
                Some(if self.first.is_none() { next.min(self.first_by) } else { next })
            }
        }
    }

    /// True while the accept is awaited.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting(_))
    }

    /// Knows the accept by its tags, or the frames that may come next by theirs.
    pub(super) fn expect(&mut self, id: ExchangeId, tags: &mut Tags) {
        match &self.phase {
            Phase::Waiting(keys) => {
                for attempt in 0..ATTEMPTS {
                    let tag = keys.accept_tag(attempt);
                    tags.insert(tag, Known { exchange: id, sequence: 0, attempt });
                    self.tags.get_or_insert_with(0, Vec::new).push(tag);
                }
            }
            Phase::Streaming(stream) => {
                let horizon = stream.order.horizon();
                for sequence in self.expected.max(stream.order.next())..=horizon {
                    let tag = stream.session.tag(sequence, 0);
                    tags.insert(tag, Known { exchange: id, sequence, attempt: 0 });
                    self.tags.insert(sequence, [tag].into());
                }
                self.expected = self.expected.max(horizon.saturating_add(1));
            }
        }
    }

    /// Knows the later attempts of a frame that is asked for.
    pub(super) fn expect_again(&mut self, id: ExchangeId, sequence: u32, tags: &mut Tags) {
        let Phase::Streaming(stream) = &self.phase else { return };
        let known = self.tags.get_or_insert_with(sequence, Vec::new);
        for attempt in known.len().min(usize::from(ATTEMPTS)) as u8..ATTEMPTS {
            let tag = stream.session.tag(sequence, attempt);
            tags.insert(tag, Known { exchange: id, sequence, attempt });
            known.push(tag);
        }
    }

    /// This frame is not wanted any more.
    pub(super) fn forget(&mut self, sequence: u32, tags: &mut Tags) {
        for tag in self.tags.remove(&sequence).unwrap_or_default() {
            tags.remove(&tag);
            self.forgeries.remove(&tag);
        }
    }

    /// No frame is wanted any more.
    pub(super) fn forget_all(&mut self, tags: &mut Tags) {
        for tag in core::mem::take(&mut self.tags).into_iter().flat_map(|(_, tags)| tags) {
            tags.remove(&tag);
        }
        self.forgeries.clear();
    }

    /// A copy with this tag did not open. A forger saw the tag before the true frame came: the tag stays good for a
    /// while.
    pub(super) fn forged(&mut self, known: Known, tag: Tag, tags: &mut Tags, now: Millis) {
        let count = self.forgeries.get_or_insert_with(tag, || 0);
        *count = count.saturating_add(1);
        if *count < FORGERIES {
            return;
        }
        self.forgeries.remove(&tag);
        tags.remove(&tag);
        if let Phase::Streaming(stream) = &mut self.phase {
            stream.order.spoiled(known.sequence, now);
        }
    }

    /// Opens a frame of the stream into its place; true when it was new.
    pub(super) fn take_frame(
        &mut self,
        id: ExchangeId,
        known: Known,
        frame: &Frame,
        tags: &mut Tags,
        now: Millis,
    ) -> Taken {
        let Phase::Streaming(stream) = &mut self.phase else { return Taken::Nothing };
        if !stream.order.wants(known.sequence) {
            return Taken::Nothing;
        }
        match stream.session.open_frame(known.sequence, known.attempt, frame) {
            Ok(opened) => {
                let piece =
                    Piece { last: opened.flags & FINAL != 0, error: opened.flags & ERROR != 0, data: opened.data };
                if known.attempt > 0 {
                    stream.numbers.heard();
                }
                stream.order.insert(known.sequence, piece, now);
                stream.dirty = Dirty::Yes;
                self.forget(known.sequence, tags);
                self.expect(id, tags);
                Taken::Frame
            }
            Err(_) => {
                self.forged(known, frame.tag(), tags, now);
                Taken::Nothing
            }
        }
    }
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It fills a place.
    Frame,
    /// It changes nothing.
    Nothing,
}
