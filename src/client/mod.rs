//! The user's machine: inputs in, effects out (protocol section 5.5). It knows every seen provider and every question
//! under way; it never waits and never reads a clock.

mod ask;
mod clock;
mod control;
mod discover;
mod exchange;
mod failover;
mod leave;
mod order;
mod probe;
mod receipts;
mod resume;
mod standing;
mod stream;

use crate::map::Map;
use crate::{
    announcement::registry::Registry,
    effect::{Batch, Millis, Publication, Row, Table, Write},
    envelope::frame::Frame,
    health::Health,
    identity::ProviderId,
    quota::{Left, Quota},
    ranking::{Place, Reason},
    receipt::Kept,
    reputation::{Rating, Score},
    topic::Topic,
};
pub use crate::{
    announcement::{
        heartbeat::{Model, Status},
        registry::Seen,
    },
    message::Profile,
};
use alloc::{collections::VecDeque, string::String, vec::Vec};
use ask::Question;
use exchange::{Exchange, ExchangeId, Tags};
use probe::Probes;
pub use probe::Window;
use rand_core::CryptoRng;
use receipts::Receipts;
use standing::Standing;
pub use standing::{Hedging, Wishes};

/// The tables whose rows a client takes back at its start.
pub const KNOWN: [Table; 5] = [Table::Providers, Table::Health, Table::Ratings, Table::Quota, Table::Receipts];

/// The one row of `Table::Quota`.
const QUOTA_KEY: &[u8] = b"free";

/// The edge's own number for one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

impl AskId {
    /// Publications that belong to no question: a probe's. No question may have this number.
    pub const PROBE: Self = Self(u64::MAX);
}

/// Who shall answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The best provider now; another one when it does not accept.
    Automatic,
    /// This one and no other.
    Pinned(ProviderId),
}

/// One question.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The edge's number.
    pub id: AskId,
    /// Who.
    pub choice: Choice,
    /// The model's id; absent takes the provider's first.
    pub model: Option<String>,
    /// OpenAI-style chat request as JSON bytes: `{"messages":[...],"temperature":..,"stop":..,"seed":..,"max_tokens":..}`.
    pub content: Vec<u8>,
    /// Pace and padding.
    pub profile: Profile,
    /// Who answered last in this conversation: it is stayed with while it is well.
    pub last: Option<ProviderId>,
    /// The earlier question whose open unit of the day this one uses, and so whom it may go to.
    pub unit: Option<AskId>,
}

/// Everything that can happen to a client.
#[derive(Debug)]
pub enum Input {
    /// The stored rows of [`KNOWN`], once, first; and the questions that [`Input::Resume`] will bring back.
    Restored(Vec<Row>, Vec<AskId>),
    /// How providers shall be chosen from now on.
    Wishes(Wishes),
    /// The network's free requests a day.
    FreeDaily(u32),
    /// The first window opened or the last one closed.
    Window(Window),
    /// The user's stars for an answer, under the answer's id.
    Rate(Vec<u8>, Rating),
    /// The network is usable (first time or again): subscribe and query anew.
    Connected,
    /// No service node is connected.
    Disconnected,
    /// A message from filter or store.
    Message {
        /// Its content topic.
        content_topic: String,
        /// Its payload, untrusted.
        payload: Vec<u8>,
        /// Peer id of the service node that gave it.
        source: String,
    },
    /// The user asks.
    Ask(Ask),
    /// The user stops a question.
    Cancel(AskId),
    /// No service node took the publication of this question after the edge's retries.
    PublishFailed(AskId),
    /// A killed background comes back with a question and the newest bytes that [`Effect::Mirror`] gave for it. Its
    /// answer comes from where it came before, so of the choice only counts whether it was left open.
    /// [`Event::Resumed`] then says up to where the kept text counts.
    Resume(Ask, Vec<u8>),
    /// The user trusts a provider whose handle was known under another key.
    Trust(ProviderId),
    /// Everything stored is gone, by none of the user's doing here: what is known is stored again.
    StoreLost,
    /// A time that an earlier [`Effect::WakeAt`] named.
    Tick,
}

/// What a client asks of its edge.
#[derive(Debug)]
pub enum Effect {
    /// Write these rows before what follows, together with what the events so far changed of an answer.
    Persist(Batch),
    /// Receive this content topic by filter, from the nodes that the route allows.
    Subscribe {
        /// The topic.
        content_topic: String,
        /// Its shard.
        shard: u16,
        /// The provider whose topic it is, none for discovery.
        provider: Option<ProviderId>,
    },
    /// Receive it no longer.
    Unsubscribe {
        /// The topic.
        content_topic: String,
        /// Its shard.
        shard: u16,
    },
    /// Ask the store for what this topic kept in the last `seconds`; each message comes back as [`Input::Message`].
    Query {
        /// The topic.
        content_topic: String,
        /// Its shard.
        shard: u16,
        /// How far back.
        seconds: u64,
    },
    /// Publish by lightpush, over a node that is not the provider's own if there is one.
    Publish {
        /// The question it belongs to.
        ask: AskId,
        /// Whom it is for.
        provider: ProviderId,
        /// The message.
        message: Publication,
        /// Count of earlier tries: the edge takes another node each time.
        attempt: u8,
    },
    /// Keep this in memory that outlives the background but not the browser, under the question's id, in place of what
    /// was kept before (protocol section 6.5); at most once a second while an answer streams; none erases it.
    Mirror(AskId, Option<Vec<u8>>),
    /// Something to show.
    Event(Event),
    /// Call [`Input::Tick`] at this time; a newer one replaces it.
    WakeAt(Millis),
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// FINAL came: the text is whole. The finish reason and the counts are in [`Event::Usage`].
    Complete,
    /// The stream ended without FINAL: the text is a true prefix.
    Truncated,
    /// The provider refused or failed.
    Error {
        /// Code of protocol section 5.8.
        code: u16,
        /// Seconds until a new try may work, 0 for unknown.
        retry_after: u16,
    },
    /// The user stopped it.
    Cancelled,
    /// No provider accepted in time.
    Silent,
    /// There is nobody to ask: no fresh provider offers it.
    NoProvider,
    /// The day's free requests are used. Nothing was sent.
    Limit,
    /// The pinned provider's key is new under a known handle; trust it first.
    KeyChanged(ProviderId),
}

/// What happened, for the edge to show or keep. No key is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A provider was seen or something about it changed.
    Provider(Seen),
    /// The clock seems wrong: several providers verify except for time. Offset in seconds, ours minus theirs; 0 when
    /// it is right again.
    ClockOff(i64),
    /// The request goes to this provider, which can read it from here on; told before it leaves.
    Sent {
        /// The question.
        ask: AskId,
        /// Whom.
        provider: ProviderId,
        /// The model asked for.
        model: String,
        /// Why this one, where the choice was ours.
        why: Option<Reason>,
    },
    /// The provider accepted; said again when another one takes its place, and of the one of two that spoke first.
    Accepted {
        /// The question.
        ask: AskId,
        /// Who.
        provider: ProviderId,
        /// With which model.
        model: String,
        /// Why this one, where the choice was ours.
        why: Option<Reason>,
    },
    /// The first word is late: this one is asked as well, and the first to speak answers.
    Hedged {
        /// The question.
        ask: AskId,
        /// Who.
        provider: ProviderId,
    },
    /// The answer broke off and another provider takes over, from what was shown so far or, where it cannot go on from
    /// there, anew below the cut.
    Continued {
        /// The question.
        ask: AskId,
        /// Who.
        provider: ProviderId,
        /// It begins anew.
        anew: bool,
    },
    /// What is left of the day's free requests.
    Free(Left),
    /// More text, in order.
    Text {
        /// The question.
        ask: AskId,
        /// The next piece.
        text: String,
    },
    /// A JSON event (reasoning, tool call), in order.
    Json {
        /// The question.
        ask: AskId,
        /// The JSON bytes.
        json: Vec<u8>,
    },
    /// Token counts.
    Usage {
        /// The question.
        ask: AskId,
        /// Prompt tokens.
        prompt: u64,
        /// Completion tokens.
        completion: u64,
        /// Finish reason, as OpenAI names it.
        finish: String,
        /// 0 backend, 1 counted, 2 estimated.
        source: u8,
    },
    /// The receipt that came with the answer.
    Receipt {
        /// The question.
        ask: AskId,
        /// The receipt as it is kept, or none when it is wrong.
        kept: Option<Kept>,
    },
    /// A mirrored question goes on: of the text and the JSON events kept so far only this many count, what follows
    /// comes again. An edge that has kept less of the text than this has a gap and shows the answer as truncated.
    Resumed {
        /// The question.
        ask: AskId,
        /// Who answers.
        provider: ProviderId,
        /// Bytes of UTF-8 text given before the mirror was taken.
        text_bytes: u64,
        /// JSON events given before the mirror was taken.
        json_events: u64,
    },
    /// No frame for a while: the stream stalls.
    Stalled(AskId),
    /// Frames come again, with words or without.
    Flows(AskId),
    /// It ended.
    Ended {
        /// The question.
        ask: AskId,
        /// How.
        end: End,
    },
}

/// The user's machine.
#[derive(Default)]
pub struct Client {
    registry: Registry,
    standing: Standing,
    quota: Quota,
    probes: Probes,
    receipts: Receipts,
    /// A service node is connected.
    online: bool,
    questions: Map<AskId, Question>,
    exchanges: Map<ExchangeId, Exchange>,
    tags: Tags,
    /// Frames of no known tag while an accept is awaited: the network may let them overtake it.
    overtaking: VecDeque<Frame>,
    /// Providers whose responses are received, and until when at least.
    topics: Map<ProviderId, Millis>,
    /// What was last told of the day's free requests.
    told_free: Option<Left>,
    /// The time of the last input, and when the next one was due.
    last: Millis,
    due: Option<Millis>,
    connected: Millis,
    queried: Millis,
    clock_told: Option<i64>,
    next_exchange: u64,
}

impl Client {
    /// A client that knows nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lends this client a table of verified providers in place of its own, or takes it back: in a simulation thousands
    /// of clients share one, and each looks at it only when it acts.
    pub fn swap_registry(&mut self, table: &mut Registry) {
        core::mem::swap(&mut self.registry, table);
    }

    /// Takes one input and gives what the edge must do, in order.
    pub fn handle(&mut self, input: Input, now: Millis, rng: &mut impl CryptoRng) -> Vec<Effect> {
        let mut out = Vec::new();
        self.follow_clock(now, &mut out);
        match input {
            Input::Restored(rows, resumed) => self.restore(&rows, &resumed, now, &mut out),
            Input::Wishes(wishes) => self.standing.wishes = wishes,
            Input::FreeDaily(limit) => self.quota.set_limit(limit),
            Input::Window(window) => self.look(window, now, rng),
            Input::Rate(answer, rating) => out.push(Effect::Persist([self.standing.rate(answer, rating)].into())),
            Input::Connected => self.connect(now, &mut out),
            Input::Disconnected => self.online = false,
            Input::Message { content_topic, payload, source } => match Topic::parse(&content_topic) {
                Some(Topic::Discovery) => self.discover(&payload, &source, now, rng, &mut out),
                Some(Topic::Responses(id)) if self.topics.contains_key(&id) => {
                    self.response(&payload, now, rng, &mut out);
                }
                _ => {}
            },
            Input::Ask(ask) => self.ask(ask, now, rng, &mut out),
            Input::Cancel(id) => self.cancel(id, now, rng, &mut out),
            Input::PublishFailed(AskId::PROBE) => self.forget_probe(),
            Input::PublishFailed(id) => self.unsent(id, now),
            Input::Resume(ask, bytes) => self.resume(ask, bytes, now, rng, &mut out),
            Input::Trust(id) => self.trust(id, now, &mut out),
            Input::StoreLost => self.store_again(&mut out),
            Input::Tick => self.tick(now, rng, &mut out),
        }
        self.tidy_topics(now, &mut out);
        self.tell_free(now, &mut out);
        (self.last, self.due) = (now, self.wake_at(now));
        if let Some(at) = self.due {
            out.push(Effect::WakeAt(at.max(Millis(now.0.saturating_add(1)))));
        }
        out
    }

    /// The places of all providers with this model, or with the first of each, from the best on, and why.
    pub fn places(&self, model: Option<&str>, now: Millis) -> Vec<Place> {
        self.standing.places(&self.registry.all(now), model, |id| self.under_way(id), now)
    }

    /// How a provider served this user with a model.
    pub fn health(&self, provider: &ProviderId, model: &str) -> Option<&Health> {
        self.standing.known(*provider, model)
    }

    /// Until when a failed question's request of the day is open to those who accepted it.
    pub fn open_until(&self, ask: AskId) -> Option<Millis> {
        self.quota.open_until(ask.0)
    }

    /// What this user's stars come to.
    pub fn felt(&self, provider: &ProviderId, now: Millis) -> Option<Score> {
        self.standing.felt(provider, now)
    }

    /// Lets the day's count pass with time, and tells what is left.
    fn tell_free(&mut self, now: Millis, out: &mut Vec<Effect>) {
        self.quota.turn(now);
        self.keep_known(out);
        let left = self.quota.left(now);
        if self.told_free != Some(left) {
            self.told_free = Some(left);
            out.push(Effect::Event(Event::Free(left)));
        }
    }

    /// Stores what changed of the day's free requests and of the providers' records.
    pub(super) fn keep_known(&mut self, out: &mut Vec<Effect>) {
        let mut batch = self.standing.take_batch();
        let row = self.quota.take_row();
        batch.extend(row.map(|row| Write { table: Table::Quota, key: QUOTA_KEY.into(), value: Some(row) }));
        batch.extend(self.receipts.take_batch());
        if !batch.is_empty() {
            out.push(Effect::Persist(batch));
        }
    }

    fn tick(&mut self, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        self.expire_providers(now, out);
        self.expire_questions(now, rng, out);
        let ids: Vec<ExchangeId> = self.exchanges.keys().copied().collect();
        for id in ids {
            self.expire_exchange(id, now, rng, out);
        }
        self.probe(now, rng, out);
    }

    fn wake_at(&self, now: Millis) -> Option<Millis> {
        let questions = self.questions.values().map(Question::wake_at);
        let exchanges = self.exchanges.values().filter_map(Exchange::wake_at);
        let topics = self.topics.values().copied().filter(|held| *held > now);
        let known = self.registry.next_expiry(now).into_iter().chain(self.told_free.map(|_| self.quota.wake_at(now)));
        questions.chain(exchanges).chain(topics).chain(known).chain(self.probes.wake_at()).min()
    }
}
