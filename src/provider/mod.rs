//! The worker's machine: inputs in, effects out (protocol section 5.6). It announces, opens, admits, frames and
//! repairs; it never waits and never reads a clock.

mod admission;
mod admit;
mod announce;
mod answer;
mod control;
mod load;
mod pace;
mod rate;
mod session;
mod stream;

use crate::announcement::heartbeat::{Model, Status};
use crate::effect::{Batch, Millis, Publication, Row};
use crate::envelope::{
    CONTROL, REQUEST,
    frame::{Frame, Tag},
};
use crate::identity::{ProviderId, RootKey};
use crate::message::Usage;
use crate::topic;
pub use admission::{Admission, Applicant, Denied, Open, Rule};
use admit::Requests;
use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};
use announce::Announcer;
use load::Load;
use pace::Timer;
use rand_core::CryptoRng;
use session::Session;

/// The machine's number for one running request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// A model that this worker offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// As announced.
    pub model: Model,
    /// Jobs that run at once.
    pub concurrency: u32,
    /// Jobs that may wait; more are refused with error 5.
    pub queue: u32,
}

/// What the operator set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// PROVIDER_ID, at most 40 bytes.
    pub handle: String,
    /// PROVIDER_NAME, at most 64 bytes.
    pub name: String,
    /// What it offers, at most 32.
    pub offers: Vec<Offer>,
    /// libp2p peer ids of this worker's node.
    pub peer_ids: Vec<String>,
}

/// Everything that can happen to a provider.
#[derive(Debug)]
pub enum Input {
    /// Begin: renew the certificate where it is due, make prekeys, announce. `rows` are those of
    /// `Table::Announcement`.
    Start(Vec<Row>),
    /// A message of the own requests topic.
    Message {
        /// Its content topic.
        content_topic: String,
        /// Its payload, untrusted.
        payload: Vec<u8>,
    },
    /// The model gave text.
    Text(SessionId, String),
    /// The model gave a JSON event (reasoning, tool call).
    Json(SessionId, Vec<u8>),
    /// Token counts; `source` 0 backend, 1 counted, 2 estimated.
    Usage {
        /// Which.
        session: SessionId,
        /// Prompt tokens.
        prompt: u64,
        /// Completion tokens.
        completion: u64,
        /// As above.
        source: u8,
    },
    /// The model ended, with an OpenAI finish reason. Exactly one of `Finished` and `Failed` ends each `Infer`, also
    /// after a `CancelInfer`.
    Finished(SessionId, String),
    /// The backend failed or refused: code of protocol section 5.8, and seconds until a retry may work (0 unknown).
    Failed(SessionId, u16, u16),
    /// These offers replace the old ones (a backend went down or came up, or the config was read anew).
    Offers(Vec<Offer>),
    /// A relaying peer joined that may never have heard this provider: announce again, at most every 10 s.
    Joined,
    /// Stop taking requests, announce offline; `Effect::Drained` follows when all live sessions are done.
    Drain,
    /// A time that an earlier [`Effect::WakeAt`] named.
    Tick,
}

/// What a provider asks of its edge.
#[derive(Debug)]
pub enum Effect {
    /// Write these rows before what follows.
    Persist(Batch),
    /// Receive this content topic.
    Subscribe {
        /// The topic.
        content_topic: String,
        /// Its shard.
        shard: u16,
    },
    /// Publish.
    Publish(Publication),
    /// Run the model.
    Infer(Job),
    /// Stop it: the client cancelled, or a deadline passed.
    CancelInfer(SessionId),
    /// Call [`Input::Tick`] at this time; a newer one replaces it.
    WakeAt(Millis),
    /// For counters and logs: no content, no key, no topic in it.
    Note(Note),
    /// All live sessions ended after [`Input::Drain`].
    Drained,
}

/// One inference.
#[derive(Clone, PartialEq, Eq)]
pub struct Job {
    /// Its session.
    pub session: SessionId,
    /// The model's id.
    pub model: String,
    /// OpenAI-style chat request, JSON bytes, untrusted, never logged.
    pub content: Vec<u8>,
    /// How the answer begins already: the model goes on from there. Mostly empty.
    pub prefix: String,
    /// The client stops waiting then.
    pub deadline: Millis,
}

impl core::fmt::Debug for Job {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Job").field("session", &self.session).field("model", &self.model).finish_non_exhaustive()
    }
}

/// A fact for counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A request was accepted.
    Accepted,
    /// A probe was answered.
    Probed,
    /// A request was refused with this code.
    Refused(u16),
    /// Something undecodable or unauthentic came and was dropped.
    Dropped,
    /// A request came a second time.
    Replayed,
    /// An answer ended with this code, 0 for a whole one; first-token and total time in ms.
    Ended {
        /// Code or 0.
        code: u16,
        /// ms from accept to the first token.
        first_ms: u32,
        /// ms from accept to the end.
        total_ms: u32,
    },
    /// An answer ended with a signed receipt.
    Receipt,
    /// A bundle or heartbeat was published.
    Announced,
    /// The certificate was renewed.
    Renewed,
}

/// A session ends after so long, whatever the model does (protocol section 5.5).
const DEADLINE_MS: u64 = 600_000;
/// A drained provider waits so long for the last NACKs before it says so.
const DRAIN_MS: u64 = 3_000;

/// The worker's machine.
pub struct Provider {
    config: Config,
    announcer: Announcer,
    admission: Admission,
    requests: Requests,
    load: Load,
    sessions: BTreeMap<SessionId, Session>,
    control_tags: BTreeMap<Tag, (SessionId, u32)>,
    timers: BTreeSet<(Millis, Timer)>,
    beating: BTreeSet<SessionId>,
    lingering: BTreeSet<SessionId>,
    frames: Vec<Frame>,
    last_beat: u64,
    next_session: u64,
    live: usize,
    last_end: Millis,
    status: Status,
    status_until: Option<Millis>,
    started: Started,
    drain: Drain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Started {
    No,
    Yes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drain {
    No,
    Begun,
    Done,
}

impl Provider {
    /// A provider with this root key. It says nothing before [`Input::Start`], which brings back its operational key and
    /// its sequences.
    pub fn new(config: Config, root: RootKey) -> Self {
        Self {
            config,
            announcer: Announcer::new(root),
            admission: Admission::default(),
            requests: Requests::default(),
            load: Load::default(),
            sessions: BTreeMap::new(),
            control_tags: BTreeMap::new(),
            timers: BTreeSet::new(),
            beating: BTreeSet::new(),
            lingering: BTreeSet::new(),
            frames: Vec::new(),
            last_beat: 0,
            next_session: 0,
            live: 0,
            last_end: Millis(0),
            status: Status::Offline,
            status_until: None,
            started: Started::No,
            drain: Drain::No,
        }
    }

    /// Takes requests by this rate and rule, in place of all.
    pub fn with_admission(self, admission: Admission) -> Self {
        Self { admission, ..self }
    }

    /// Who this provider is.
    pub fn id(&self) -> ProviderId {
        self.announcer.id()
    }

    /// Takes one input and gives what the edge must do, in order.
    pub fn handle(&mut self, input: Input, now: Millis, rng: &mut impl CryptoRng) -> Vec<Effect> {
        let mut out = Vec::new();
        // Before anything else: a computer that slept must not open with what should be gone.
        self.erase(now);
        match input {
            Input::Start(rows) => self.start(&rows, now, &mut out),
            Input::Message { content_topic, payload } => {
                if self.started == Started::Yes && content_topic == topic::requests(&self.id()) {
                    match payload.first() {
                        Some(&REQUEST) => self.request(&payload, now, rng, &mut out),
                        Some(&CONTROL) => self.control(&payload, now, rng, &mut out),
                        _ => out.push(Effect::Note(Note::Dropped)),
                    }
                }
            }
            Input::Text(id, text) => self.text(id, &text, now, rng, &mut out),
            Input::Json(id, json) => self.json(id, json, now, rng, &mut out),
            Input::Usage { session, prompt, completion, source } => {
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.usage = Some(Usage { prompt, completion, finish: String::new(), source });
                }
            }
            Input::Finished(id, reason) => {
                self.load.end(id);
                self.finish(id, &reason, now, rng, &mut out);
            }
            Input::Failed(id, code, retry_after) => {
                self.load.end(id);
                self.fail(id, code, retry_after, now, rng, &mut out);
            }
            Input::Offers(offers) => self.offers(offers, now),
            Input::Joined => self.announcer.repeat(now),
            Input::Drain => {
                if self.drain == Drain::No {
                    self.drain = Drain::Begun;
                }
            }
            Input::Tick => {}
        }
        if self.started == Started::Yes {
            self.pace(now, rng, &mut out);
            self.announce(now, rng, &mut out);
            self.finish_drain(now, &mut out);
            if let Some(at) = self.wake_at(now) {
                out.push(Effect::WakeAt(at.max(Millis(now.0.saturating_add(1)))));
            }
        }
        out
    }

    fn start(&mut self, rows: &[Row], now: Millis, out: &mut Vec<Effect>) {
        self.announcer.restore(rows);
        self.last_beat = now.0 / session::BEAT_MS;
        self.started = Started::Yes;
        let id = self.id();
        out.push(Effect::Subscribe { content_topic: topic::requests(&id), shard: topic::shard_of(&id) });
    }
}
