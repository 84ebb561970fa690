//! 11/WAKU2-RELAY: gossipsub as the Waku network speaks it, and the rules a relayed message must obey.

use std::{
    collections::{HashMap, HashSet},
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use libp2p::gossipsub::{
    self, Config, ConfigBuilder, IdentTopic, Message, MessageAcceptance, MessageAuthenticity, MessageId,
    PeerScoreParams, PeerScoreThresholds, TopicScoreParams, ValidationMode, Version,
};
use sha2::{Digest as _, Sha256};

use crate::{
    message::{MAX_MESSAGE_BYTES, WakuMessage},
    sharding::Sharding,
};

pub(crate) const PROTOCOL: &str = "/vac/waku/relay/2.0.0";

/// Room for the envelope and control messages around one message (nwaku).
pub(crate) const RPC_OVERHEAD_BYTES: usize = 64 * 1024;

/// Gossipsub subscribed to every shard of the network.
pub(crate) fn behaviour(sharding: Sharding) -> Result<gossipsub::Behaviour, String> {
    let mut relay = gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config()?)?;
    relay.with_peer_score(score(), thresholds())?;
    for shard in sharding.shards() {
        let topic = IdentTopic::new(sharding.pubsub_topic(shard));
        relay.set_topic_params(topic.clone(), topic_score())?;
        relay.subscribe(&topic).map_err(|error| error.to_string())?;
    }
    Ok(relay)
}

/// What to do with a relayed message, and the message itself when it is to be kept.
pub(crate) fn judge(
    sharding: Sharding,
    message: &Message,
    now_ns: i64,
) -> (MessageAcceptance, Option<(u16, WakuMessage)>) {
    let Some(shard) = sharding.parse(message.topic.as_str()) else {
        return (MessageAcceptance::Reject, None);
    };
    if message.data.len() > MAX_MESSAGE_BYTES {
        return (MessageAcceptance::Reject, None);
    }
    let Ok(decoded) = WakuMessage::decode(&message.data) else {
        return (MessageAcceptance::Reject, None);
    };
    if decoded.check_form().is_err() {
        return (MessageAcceptance::Reject, None);
    }
    if !decoded.is_timely(now_ns) {
        // The peer that brought it may have an honest clock and a slow link.
        return (MessageAcceptance::Ignore, None);
    }
    (MessageAcceptance::Accept, Some((shard, decoded)))
}

fn config() -> Result<Config, String> {
    ConfigBuilder::default()
        .protocol_id(PROTOCOL, Version::V1_1)
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message: &Message| MessageId::new(&Sha256::digest(&message.data)))
        .max_transmit_size(MAX_MESSAGE_BYTES + RPC_OVERHEAD_BYTES)
        .mesh_n(6)
        .mesh_n_low(4)
        .mesh_n_high(8)
        .gossip_lazy(6)
        .mesh_outbound_min(3)
        .heartbeat_interval(Duration::from_secs(1))
        .history_length(6)
        .history_gossip(3)
        .duplicate_cache_time(Duration::from_secs(120))
        .flood_publish(true)
        .build()
        .map_err(|error| error.to_string())
}

/// nwaku's scoring: only what a peer does wrong counts. Peers of this machine are not colocated, they are ours.
fn score() -> PeerScoreParams {
    PeerScoreParams {
        topics: HashMap::new(),
        topic_score_cap: 50.0,
        app_specific_weight: 1.0,
        ip_colocation_factor_weight: -50.0,
        ip_colocation_factor_threshold: 5.0,
        ip_colocation_factor_whitelist: HashSet::from([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]),
        behaviour_penalty_weight: -10.0,
        behaviour_penalty_threshold: 0.0,
        behaviour_penalty_decay: 0.986,
        decay_interval: Duration::from_secs(12),
        decay_to_zero: 0.01,
        retain_score: Duration::from_secs(600),
        ..PeerScoreParams::default()
    }
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: -100.0,
        publish_threshold: -1000.0,
        graylist_threshold: -10_000.0,
        ..PeerScoreThresholds::default()
    }
}

/// Only invalid deliveries count (P4): a quiet shard must not look like a lazy peer.
fn topic_score() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 0.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -100.0,
        invalid_message_deliveries_decay: 0.5,
        ..TopicScoreParams::default()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use libp2p::gossipsub::TopicHash;

    use super::*;

    #[tokio::test]
    async fn only_good_messages_are_accepted() {
        let sharding = Sharding::new(66, NonZeroU16::new(2).unwrap());
        behaviour(sharding).unwrap();
        let now = 1_800_000_000_000_000_000;
        let good = WakuMessage {
            payload: vec![1],
            content_topic: "/a/1/b/proto".into(),
            timestamp_ns: Some(now),
            ..WakuMessage::default()
        };
        let with = |change: &dyn Fn(&mut WakuMessage)| {
            let mut message = good.clone();
            change(&mut message);
            message.encode()
        };
        let second = 1_000_000_000;
        let own = "/waku/2/rs/66/1";
        let cases = [
            ("good", own, good.encode(), "Accept"),
            ("shard", "/waku/2/rs/66/2", good.encode(), "Reject"),
            ("cluster", "/waku/2/rs/1/1", good.encode(), "Reject"),
            ("garbage", own, vec![0xff, 0xff], "Reject"),
            ("empty", own, Vec::new(), "Reject"),
            ("no topic", own, with(&|m| m.content_topic.clear()), "Reject"),
            ("long topic", own, with(&|m| m.content_topic = "x".repeat(257)), "Reject"),
            ("long meta", own, with(&|m| m.meta = vec![0; 65]), "Reject"),
            ("large", own, with(&|m| m.payload = vec![0; MAX_MESSAGE_BYTES]), "Reject"),
            ("undated", own, with(&|m| m.timestamp_ns = None), "Ignore"),
            ("old", own, with(&|m| m.timestamp_ns = Some(now - 121 * second)), "Ignore"),
            ("early", own, with(&|m| m.timestamp_ns = Some(now + 121 * second)), "Ignore"),
            ("never", own, with(&|m| m.timestamp_ns = Some(i64::MIN)), "Ignore"),
            ("slow", own, with(&|m| m.timestamp_ns = Some(now - 119 * second)), "Accept"),
        ];
        for (name, topic, data, expected) in cases {
            let message = Message { source: None, data, sequence_number: None, topic: TopicHash::from_raw(topic) };
            let (acceptance, kept) = judge(sharding, &message, now);
            assert_eq!(format!("{acceptance:?}"), expected, "{name}");
            assert_eq!(kept.is_some(), expected == "Accept", "{name}");
        }
    }
}
