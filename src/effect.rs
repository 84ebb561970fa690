//! What both machines ask of their edge. An edge carries these out in the order given: a [`Batch`] is on disk before
//! the publication that follows it leaves.

use crate::topic::Topic;
use alloc::{string::String, vec::Vec};
use rand_core::CryptoRng;

/// Wall clock in milliseconds since the Unix epoch, given by the edge with every input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// So many ms later, or earlier where it is negative.
    pub fn shifted(self, by: i64) -> Self {
        Self(self.0.saturating_add_signed(by))
    }
}

/// A Waku message to publish. Only sealed or signed objects of this crate become one, so no edge can send plaintext by
/// mistake: the fields are readable, the constructor is private to the crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    pub(crate) content_topic: String,
    pub(crate) shard: u16,
    pub(crate) payload: Vec<u8>,
    pub(crate) timestamp_ns: u64,
    pub(crate) ephemeral: bool,
}

impl Publication {
    /// A sealed or signed payload for a topic. Announcements are kept by stores, all else is ephemeral.
    pub(crate) fn new(topic: Topic, payload: Vec<u8>, now: Millis, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        // Uniform nanoseconds hide the clock's own offset; the modulo's bias is below 2^-34.
        let nanos = rng.next_u64() % 1_000_000_000;
        Self {
            content_topic: topic.content_topic(),
            shard: topic.shard(),
            payload,
            timestamp_ns: (now.0 / 1_000).saturating_mul(1_000_000_000).saturating_add(nanos),
            ephemeral: topic != Topic::Discovery,
        }
    }

    /// The Waku content topic.
    pub fn content_topic(&self) -> &str {
        &self.content_topic
    }
    /// The static shard of the network's own cluster.
    pub fn shard(&self) -> u16 {
        self.shard
    }
    /// The sealed or signed bytes, at most 147,456 + 1,179.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
    /// Waku timestamp in nanoseconds: a whole second plus random nanoseconds (protocol section 4).
    pub fn timestamp_ns(&self) -> u64 {
        self.timestamp_ns
    }
    /// True for requests, control frames and answers, which no store keeps.
    pub fn ephemeral(&self) -> bool {
        self.ephemeral
    }
}

/// Rows of one kind, each kept under its own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Seen providers, by providerId (client).
    Providers,
    /// Conversations, by their id (client's edge).
    Conversations,
    /// Messages of conversations, by conversation and order (client's edge).
    Messages,
    /// Settings, by name (both edges).
    Settings,
    /// Receipts, by channel binding (both).
    Receipts,
    /// How providers served this user, by providerId and model (client).
    Health,
    /// Stars, by the answer's id (client).
    Ratings,
    /// The free requests of a day (client).
    Quota,
    /// The provider's sequences and certificate, by name (provider).
    Announcement,
}

impl Table {
    /// Its name in a database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Providers => "providers",
            Self::Conversations => "conversations",
            Self::Messages => "messages",
            Self::Settings => "settings",
            Self::Receipts => "receipts",
            Self::Health => "health",
            Self::Ratings => "ratings",
            Self::Quota => "quota",
            Self::Announcement => "announcement",
        }
    }
}

/// One row to write; `value` absent deletes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Its table.
    pub table: Table,
    /// Its key, at most 256 bytes; rows scan in the order of their keys.
    pub key: Vec<u8>,
    /// Its new value, or none to delete it.
    pub value: Option<Vec<u8>>,
}

/// Writes that take effect together or not at all.
pub type Batch = Vec<Write>;

/// One stored row, as an edge gives it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its table.
    pub table: Table,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}
