//! The node on libp2p: its transports and the behaviours every connection has.

use std::time::Duration;

use libp2p::{
    PeerId, Swarm, Transport as _, connection_limits,
    core::{
        muxing::StreamMuxerBox,
        transport::Boxed,
        upgrade::{SelectUpgrade, Version},
    },
    dns, gossipsub, identify,
    identity::Keypair,
    noise, ping,
    swarm::{self, NetworkBehaviour},
    tcp, websocket, yamux,
};

use crate::{
    limits::{self, Limits, PerAddress},
    relay,
    sharding::Sharding,
    streams,
};

/// A connection without streams is kept this long. js-waku holds streams open; one whose idle streams timed out should
/// not have to come back.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);
/// Transport, security and multiplexer together.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);
/// The largest WebSocket frame read, in bytes: many noise frames of 64 KiB written at once.
const MAX_WEBSOCKET_FRAME: usize = 4 * 1024 * 1024;
/// Streams of one connection, as many as mplex has by default.
const MAX_STREAMS: usize = 128;
/// Frames mplex buffers for one stream before it stops reading the connection. A frame may have 1 MiB, so few; every
/// stream is read as soon as it is there, so enough.
const MAX_MPLEX_FRAMES: usize = 8;

/// Everything that runs on a connection.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    limits: connection_limits::Behaviour,
    per_address: PerAddress,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(crate) relay: gossipsub::Behaviour,
    streams: streams::Behaviour,
}

/// A swarm that offers all protocols and listens nowhere yet.
pub(crate) fn swarm(
    keypair: &Keypair,
    sharding: Sharding,
    limits: &Limits,
    streams: streams::Behaviour,
) -> Result<Swarm<Behaviour>, Box<dyn std::error::Error + Send + Sync>> {
    let identify = identify::Config::new("ipfs/1.0.0".into(), keypair.public())
        .with_agent_version(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).into());
    let behaviour = Behaviour {
        limits: limits::connection_limits(limits),
        per_address: PerAddress::new(limits),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new()),
        relay: relay::behaviour(sharding)?,
        streams,
    };
    let config = swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE_TIMEOUT);
    let peer_id = keypair.public().to_peer_id();
    Ok(Swarm::new(transport(keypair)?, behaviour, peer_id, config))
}

/// TCP and WebSocket, each with noise, then yamux or what js-waku has, mplex.
fn transport(keypair: &Keypair) -> Result<Boxed<(PeerId, StreamMuxerBox)>, Box<dyn std::error::Error + Send + Sync>> {
    let mut yamux = yamux::Config::default();
    yamux.set_max_num_streams(MAX_STREAMS);
    let mut mplex = libp2p_mplex::Config::new();
    mplex.set_max_num_streams(MAX_STREAMS).set_max_buffer_size(MAX_MPLEX_FRAMES);
    let mut websocket = websocket::Config::new(resolved());
    websocket.set_max_data_size(MAX_WEBSOCKET_FRAME);
    // WebSocket first: TCP would take the start of its addresses for one of its own.
    Ok(websocket
        .or_transport(resolved())
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(SelectUpgrade::new(yamux, mplex))
        .timeout(HANDSHAKE_TIMEOUT)
        .boxed())
}

/// TCP that can look names up: as the machine is set up to, or else in its hosts file only.
fn resolved() -> dns::tokio::Transport<tcp::tokio::Transport> {
    let tcp = || tcp::tokio::Transport::new(tcp::Config::default().nodelay(true));
    dns::tokio::Transport::system(tcp()).unwrap_or_else(|error| {
        tracing::warn!(%error, "the resolver's settings cannot be read; only addresses can be dialled");
        hosts_only(tcp())
    })
}

fn hosts_only(tcp: tcp::tokio::Transport) -> dns::tokio::Transport<tcp::tokio::Transport> {
    dns::tokio::Transport::custom(tcp, dns::ResolverConfig::default(), dns::ResolverOpts::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_machine_without_resolver_settings_has_a_transport() {
        hosts_only(tcp::tokio::Transport::new(tcp::Config::default()));
    }
}
