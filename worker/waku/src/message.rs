//! 14/WAKU2-MESSAGE: the message, its rules on this network and its deterministic hash.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use crate::{
    error::{Error, ErrorKind},
    proto,
};

/// The largest encoded message a network carries, in bytes (64/WAKU2-NETWORK).
pub const MAX_MESSAGE_BYTES: usize = 150 * 1024;
/// The longest content topic a node takes, in bytes: names of the format are far shorter, and indices hold them.
pub const MAX_CONTENT_TOPIC_BYTES: usize = 256;
/// The longest `meta`, in bytes (14/WAKU2-MESSAGE).
pub const MAX_META_BYTES: usize = 64;
/// How far a message's timestamp may be from the node's clock: room for badly set clocks, none for replayed history.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(120);

/// One message of the network. What the payload holds is no matter of this crate.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct WakuMessage {
    /// The bytes carried.
    pub payload: Vec<u8>,
    /// What subscribers ask for, at most [`MAX_CONTENT_TOPIC_BYTES`].
    pub content_topic: String,
    /// Version of the payload's encoding; 0 when nothing is said.
    pub version: u32,
    /// Nanoseconds since the Unix epoch; a node fills it in on publication when absent.
    pub timestamp_ns: Option<i64>,
    /// Application data that the hash covers, at most [`MAX_META_BYTES`].
    pub meta: Vec<u8>,
    /// True when no store may keep it.
    pub ephemeral: bool,
}

impl fmt::Debug for WakuMessage {
    /// Neither topic nor payload: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakuMessage")
            .field("payload_bytes", &self.payload.len())
            .field("ephemeral", &self.ephemeral)
            .finish_non_exhaustive()
    }
}

/// The deterministic hash of a message on its pubsub topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageHash(pub [u8; 32]);

impl WakuMessage {
    /// sha256(pubsub topic, payload, content topic, meta, timestamp as 8 bytes big endian) of 14/WAKU2-MESSAGE,
    /// "Deterministic message hashing".
    pub fn derive_hash(&self, pubsub_topic: &str) -> MessageHash {
        let mut hasher = Sha256::new();
        hasher.update(pubsub_topic.as_bytes());
        hasher.update(&self.payload);
        hasher.update(self.content_topic.as_bytes());
        hasher.update(&self.meta);
        hasher.update(self.timestamp_ns.unwrap_or(0).to_be_bytes());
        MessageHash(hasher.finalize().into())
    }

    /// The canonical encoding: default values are left out, so that the same message pushed through two nodes has one
    /// gossip id.
    pub(crate) fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        proto::WakuMessage::decode(bytes).map(Self::from)
    }

    pub(crate) fn to_proto(&self) -> proto::WakuMessage {
        proto::WakuMessage {
            payload: self.payload.clone(),
            content_topic: self.content_topic.clone(),
            version: (self.version != 0).then_some(self.version),
            timestamp: self.timestamp_ns.filter(|&timestamp| timestamp != 0),
            meta: (!self.meta.is_empty()).then(|| self.meta.clone()),
            ephemeral: self.ephemeral.then_some(true),
        }
    }

    /// The rules every message obeys, whoever sends it; the clock is judged apart.
    pub(crate) fn check_form(&self) -> Result<(), Error> {
        let size = self.to_proto().encoded_len();
        if size > MAX_MESSAGE_BYTES {
            return Err(ErrorKind::TooLarge(size).into());
        }
        if self.content_topic.is_empty() {
            return Err(ErrorKind::InvalidMessage("content topic is empty".into()).into());
        }
        if self.content_topic.len() > MAX_CONTENT_TOPIC_BYTES {
            return Err(ErrorKind::InvalidMessage("content topic is too long".into()).into());
        }
        if self.meta.len() > MAX_META_BYTES {
            return Err(ErrorKind::InvalidMessage("meta is longer than 64 bytes".into()).into());
        }
        Ok(())
    }

    /// Whether its timestamp is near enough to `now_ns`.
    pub(crate) fn is_timely(&self, now_ns: i64) -> bool {
        let skew = i64::try_from(MAX_CLOCK_SKEW.as_nanos()).unwrap_or(i64::MAX);
        self.timestamp_ns.is_some_and(|timestamp| timestamp.saturating_sub(now_ns).saturating_abs() <= skew)
    }
}

impl From<proto::WakuMessage> for WakuMessage {
    fn from(message: proto::WakuMessage) -> Self {
        Self {
            payload: message.payload,
            content_topic: message.content_topic,
            version: message.version.unwrap_or(0),
            timestamp_ns: message.timestamp.filter(|&timestamp| timestamp != 0),
            meta: message.meta.unwrap_or_default(),
            ephemeral: message.ephemeral.unwrap_or(false),
        }
    }
}

/// The wall clock in nanoseconds since the Unix epoch.
pub(crate) fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|elapsed| i64::try_from(elapsed.as_nanos()).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of 14/WAKU2-MESSAGE.
    #[test]
    fn hashes_are_those_of_the_specification() {
        let cases: [(&[u8], &[u8], &str); 4] = [
            (PAYLOAD, b"super-secret", "64cce733fed134e83da02b02c6f689814872b1a0ac97ea56b76095c3c72bfe05"),
            (PAYLOAD, &counting(), "7158b6498753313368b9af8f6e0a0a05104f68f972981da42a43bc53fb0c1b27"),
            (PAYLOAD, b"", "a2554498b31f5bcdfcbf7fa58ad1c2d45f0254f3f8110a85588ec3cf10720fd8"),
            (b"", b"super-secret", "483ea950cb63f9b9d6926b262bb36194d3f40a0463ce8446228350bd44e96de4"),
        ];
        for (payload, meta, expected) in cases {
            let message = WakuMessage {
                payload: payload.to_vec(),
                content_topic: "/waku/2/default-content/proto".into(),
                timestamp_ns: Some(0x1757_89bf_a23f_8400),
                meta: meta.to_vec(),
                ..WakuMessage::default()
            };
            let hash = message.derive_hash("/waku/2/default-waku/proto");
            let hex: String = hash.0.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected);
        }
    }

    const PAYLOAD: &[u8] = &[0x01, 0x02, 0x03, 0x04, 0x54, 0x45, 0x53, 0x54, 0x05, 0x06, 0x07, 0x08];

    fn counting() -> [u8; 64] {
        std::array::from_fn(|index| index as u8)
    }

    #[test]
    fn the_encoding_is_canonical_and_survives() {
        let plain = WakuMessage {
            payload: vec![1, 2],
            content_topic: "t".into(),
            timestamp_ns: Some(-1),
            ..WakuMessage::default()
        };
        // Field 1, field 2, field 10 in zigzag; no version, meta or ephemeral.
        assert_eq!(plain.encode(), [0x0a, 2, 1, 2, 0x12, 1, b't', 0x50, 1]);
        // A peer that writes defaults out means the same message, and it gets the same bytes.
        let spelt = [0x0a, 2, 1, 2, 0x12, 1, b't', 0x18, 0, 0x50, 1, 0x5a, 0, 0xf8, 0x01, 0];
        assert_eq!(WakuMessage::decode(&spelt).unwrap().encode(), plain.encode());
        let full = WakuMessage { version: 1, meta: vec![9; 64], ephemeral: true, ..plain };
        assert_eq!(WakuMessage::decode(&full.encode()).unwrap(), full);
    }

    #[test]
    fn a_debug_print_shows_no_content() {
        let message =
            WakuMessage { payload: b"secret".to_vec(), content_topic: "/topic".into(), ..WakuMessage::default() };
        let printed = format!("{message:?}");
        assert!(!printed.contains("topic\"") && !printed.contains("/topic") && printed.contains('6'), "{printed}");
    }
}
