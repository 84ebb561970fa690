//! Content topics and static shards (decision 2 of the protocol).

use crate::identity::ProviderId;
use alloc::{format, string::String};
use core::str::FromStr;
use sha2::{Digest, Sha256};

/// Static shards of the network's own cluster.
pub const SHARDS: u16 = 8;

/// Shard of discovery and all other common topics.
pub const COMMON_SHARD: u16 = 0;

const DISCOVERY: &str = "/marketplace/v1/discovery/providers";

/// A content topic of PAM/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Where providers announce themselves.
    Discovery,
    /// Where a provider's requests and control frames arrive.
    Requests(ProviderId),
    /// Where a provider's frames leave.
    Responses(ProviderId),
}

impl Topic {
    /// Parses a content topic; none when it is not one of ours.
    pub fn parse(content_topic: &str) -> Option<Self> {
        if content_topic == DISCOVERY {
            return Some(Self::Discovery);
        }
        let (id, way) = content_topic.strip_prefix("/marketplace/v1/providers/")?.split_once('/')?;
        let id = ProviderId::from_str(id).ok()?;
        match way {
            "requests" => Some(Self::Requests(id)),
            "responses" => Some(Self::Responses(id)),
            _ => None,
        }
    }

    /// The content topic's text.
    pub fn content_topic(&self) -> String {
        match self {
            Self::Discovery => DISCOVERY.into(),
            Self::Requests(id) => requests(id),
            Self::Responses(id) => responses(id),
        }
    }

    /// The shard that carries it.
    pub fn shard(&self) -> u16 {
        match self {
            Self::Discovery => COMMON_SHARD,
            Self::Requests(id) | Self::Responses(id) => shard_of(id),
        }
    }
}

/// Where providers announce themselves, on [`COMMON_SHARD`].
pub fn discovery() -> &'static str {
    DISCOVERY
}

/// Where a provider's requests and control frames arrive, on [`shard_of`] it.
pub fn requests(id: &ProviderId) -> String {
    format!("/marketplace/v1/providers/{id}/requests")
}

/// Where a provider's frames leave, on [`shard_of`] it.
pub fn responses(id: &ProviderId) -> String {
    format!("/marketplace/v1/providers/{id}/responses")
}

/// A provider's shard: 1 + H mod 7, H = first 8 bytes of SHA-256(providerId), big endian.
pub fn shard_of(id: &ProviderId) -> u16 {
    let hash: [u8; 32] = Sha256::digest(id.0).into();
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    1 + (u64::from_be_bytes(first) % u64::from(SHARDS - 1)) as u16
}

/// SHA-256 of a content topic's text, as `info` binds it (protocol section 5.1).
pub(crate) fn hash(content_topic: &str) -> [u8; 32] {
    Sha256::digest(content_topic.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_parse_back_and_others_do_not() {
        for n in 0..64 {
            let id = ProviderId([n; 32]);
            for topic in [Topic::Discovery, Topic::Requests(id), Topic::Responses(id)] {
                assert_eq!(Topic::parse(&topic.content_topic()), Some(topic));
            }
            assert!((1..SHARDS).contains(&shard_of(&id)));
        }
        let good = requests(&ProviderId([7; 32]));
        for bad in [
            String::new(),
            good.to_uppercase(),
            good.replace("requests", "request"),
            format!("{good}/"),
            good.replace("v1", "v2"),
            "/marketplace/v1/discovery/equivocation".into(),
        ] {
            assert_eq!(Topic::parse(&bad), None, "{bad}");
        }
    }
}
