//! The worker's machine: inputs in, effects out (protocol section 5.6). It announces, opens, admits, frames and
//! repairs; it never waits and never reads a clock.

use crate::announcement::heartbeat::Model;
use crate::effect::{Batch, Millis, Publication, Row};
use alloc::{string::String, vec::Vec};

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
    /// A bundle or heartbeat was published.
    Announced,
    /// The certificate was renewed.
    Renewed,
}
