//! Static sharding of one cluster (WAKU2-RELAY-SHARDING): shard numbers on our side, pubsub topics on the wire.

use std::num::NonZeroU16;

/// The shards of the network this node serves: `0..shards` of one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sharding {
    cluster: u16,
    shards: NonZeroU16,
}

impl Sharding {
    pub(crate) fn new(cluster: u16, shards: NonZeroU16) -> Self {
        Self { cluster, shards }
    }

    pub(crate) fn cluster(&self) -> u16 {
        self.cluster
    }

    pub(crate) fn contains(&self, shard: u16) -> bool {
        shard < self.shards.get()
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = u16> + use<> {
        0..self.shards.get()
    }

    /// `/waku/2/rs/{cluster}/{shard}`.
    pub(crate) fn pubsub_topic(&self, shard: u16) -> String {
        format!("/waku/2/rs/{}/{shard}", self.cluster)
    }

    /// The shard a pubsub topic names, when it is one of this network's.
    pub(crate) fn parse(&self, pubsub_topic: &str) -> Option<u16> {
        let (cluster, shard) = pubsub_topic.strip_prefix("/waku/2/rs/")?.split_once('/')?;
        let (cluster, shard): (u16, u16) = (cluster.parse().ok()?, shard.parse().ok()?);
        (cluster == self.cluster && self.contains(shard))
            .then_some(shard)
            // "+1" and "01" parse as numbers and are other topics.
            .filter(|&shard| self.pubsub_topic(shard) == pubsub_topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_topics_of_the_network_are_shards() {
        let sharding = Sharding::new(66, NonZeroU16::new(8).unwrap());
        assert_eq!(sharding.parse(&sharding.pubsub_topic(0)), Some(0), "first shard");
        assert_eq!(sharding.parse("/waku/2/rs/66/7"), Some(7), "last shard");
        for other in [
            "/waku/2/rs/66/8",
            "/waku/2/rs/67/1",
            "/waku/2/rs/66/+1",
            "/waku/2/rs/66/01",
            "/waku/2/rs/66/1/",
            "/waku/2/rs/66",
            "/waku/2/default-waku/proto",
            "",
        ] {
            assert_eq!(sharding.parse(other), None, "{other}");
        }
    }
}
