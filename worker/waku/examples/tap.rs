//! A peer that takes part in the relay of a network and says what it hears: every message of every shard as
//! `message PUBSUB_TOPIC HEX`, whatever its content topic. It shows what anybody on the network can see.
//!
//!     cargo run -p privacyai-waku --example tap -- CLUSTER SHARDS MULTIADDR...

use futures::StreamExt as _;
use libp2p::{
    Multiaddr, SwarmBuilder,
    gossipsub::{self, IdentTopic, Message, MessageAuthenticity, MessageId, ValidationMode, Version},
    identify, noise,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use sha2::{Digest as _, Sha256};
use std::{error::Error, fmt::Write as _, time::Duration};

/// Waku's largest message and the envelope around it.
const MAX_BYTES: usize = 150 * 1024 + 64 * 1024;

#[derive(NetworkBehaviour)]
struct Behaviour {
    relay: gossipsub::Behaviour,
    identify: identify::Behaviour,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let cluster: u16 = arguments.next().ok_or("CLUSTER is missing")?.parse()?;
    let shards: u16 = arguments.next().ok_or("SHARDS is missing")?.parse()?;
    let nodes: Vec<Multiaddr> = arguments.map(|text| text.parse()).collect::<Result<_, _>>()?;

    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|key| {
            let config = gossipsub::ConfigBuilder::default()
                .protocol_id("/vac/waku/relay/2.0.0", Version::V1_1)
                .validation_mode(ValidationMode::Anonymous)
                .message_id_fn(|message: &Message| MessageId::new(&Sha256::digest(&message.data)))
                .max_transmit_size(MAX_BYTES)
                .heartbeat_interval(Duration::from_secs(1))
                .build()?;
            let mut relay = gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config)?;
            for shard in 0..shards {
                relay.subscribe(&IdentTopic::new(format!("/waku/2/rs/{cluster}/{shard}")))?;
            }
            let identify = identify::Config::new("ipfs/1.0.0".into(), key.public());
            Ok(Behaviour { relay, identify: identify::Behaviour::new(identify) })
        })?
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(3_600)))
        .build();
    for node in nodes {
        swarm.dial(node)?;
    }
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::Behaviour(BehaviourEvent::Relay(gossipsub::Event::Message { message, .. })) => {
                println!("message {} {}", message.topic, hex(&message.data));
            }
            SwarmEvent::Behaviour(BehaviourEvent::Relay(gossipsub::Event::Subscribed { peer_id, topic })) => {
                println!("subscribed {topic} {peer_id}");
            }
            SwarmEvent::OutgoingConnectionError { error, .. } => eprintln!("cannot connect: {error}"),
            SwarmEvent::ConnectionClosed { peer_id, cause, .. } => eprintln!("lost {peer_id}: {cause:?}"),
            _ => {}
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // A String takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
