//! 66/WAKU2-METADATA: peers tell each other their cluster, and leave those of another.

use libp2p::{PeerId, StreamProtocol};
use prost::Message as _;

use crate::{frame, proto, sharding::Sharding, streams::Opener};

pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/vac/waku/metadata/1.0.0");

/// The largest record read, in bytes (nwaku).
pub(crate) const MAX_REQUEST_BYTES: usize = 1024;

/// This node's own record, question and answer alike.
pub(crate) fn record(sharding: Sharding) -> proto::Metadata {
    let shards: Vec<u32> = sharding.shards().map(u32::from).collect();
    proto::Metadata { cluster_id: Some(u32::from(sharding.cluster())), shards: shards.clone(), packed_shards: shards }
}

/// Answers a peer's question; none when it is not one.
pub(crate) fn answer(sharding: Sharding, request: &[u8]) -> Option<proto::Metadata> {
    proto::Metadata::decode(request).ok()?;
    Some(record(sharding))
}

/// What a peer says of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Membership {
    /// It is of our cluster.
    Ours,
    /// It is of another one, or of none.
    Foreign,
    /// It did not answer.
    Unknown,
}

/// Asks a peer for its record.
pub(crate) async fn ask(opener: Opener, peer: PeerId, sharding: Sharding) -> Membership {
    let answer = async {
        let mut stream = opener.open(peer, PROTOCOL).await?;
        frame::write(&mut stream, &frame::encode(&record(sharding))).await?;
        futures::AsyncWriteExt::close(&mut stream).await?;
        let length = frame::read_length(&mut stream).await?.unwrap_or(0);
        frame::read_body(&mut stream, length, MAX_REQUEST_BYTES).await
    };
    match tokio::time::timeout(frame::FRAME_TIMEOUT, answer).await {
        Ok(Ok(body)) => judge(sharding, &body),
        _ => Membership::Unknown,
    }
}

fn judge(sharding: Sharding, answer: &[u8]) -> Membership {
    match proto::Metadata::decode(answer) {
        Ok(metadata) if metadata.cluster_id == Some(u32::from(sharding.cluster())) => Membership::Ours,
        _ => Membership::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;

    fn sharding() -> Sharding {
        Sharding::new(66, NonZeroU16::new(2).unwrap())
    }

    #[test]
    fn shards_are_written_unpacked_and_packed() {
        // cluster 66; shards 0 and 1, each with its own tag; then both again, packed.
        let expected = [0x08, 66, 0x10, 0, 0x10, 1, 0x1a, 2, 0, 1];
        assert_eq!(record(sharding()).encode_to_vec(), expected);
    }

    #[test]
    fn all_forms_of_a_record_are_read() {
        for bytes in [&[0x08, 66, 0x12, 2, 0, 1][..], &[0x08, 66, 0x10, 1], &[0x08, 66]] {
            assert_eq!(judge(sharding(), bytes), Membership::Ours, "{bytes:?}");
        }
        for bytes in [&[0x08, 67][..], &[], &[0xff]] {
            assert_eq!(judge(sharding(), bytes), Membership::Foreign, "{bytes:?}");
        }
        assert!(answer(sharding(), &[0xff]).is_none());
        assert!(answer(sharding(), &[]).is_some());
    }
}
