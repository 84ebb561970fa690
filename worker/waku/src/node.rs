//! A running node, as its owner sees it.

use std::{net::IpAddr, path::PathBuf};

use tokio::sync::broadcast;

use crate::{
    error::{Error, ErrorKind},
    message::WakuMessage,
};

/// What a node serves and where. [`NodeConfig::new`] gives loopback, free ports and a fresh identity.
#[derive(Clone)]
pub struct NodeConfig {
    /// The network's own cluster id (16 to 65535; 0 to 15 are reserved).
    pub cluster: u16,
    /// How many static shards the cluster has; all are relayed.
    pub shards: u16,
    /// The address both listeners bind.
    pub listen_ip: IpAddr,
    /// TCP port of the plain transport; 0 for a free one.
    pub tcp_port: u16,
    /// TCP port of the WebSocket transport; 0 for a free one.
    pub ws_port: u16,
    /// Secret of the node's ed25519 identity; none for a fresh one.
    pub identity: Option<[u8; 32]>,
    /// Multiaddrs ending in `/p2p/`, dialled again with growing pauses for as long as the node runs.
    pub bootstrap: Vec<String>,
    /// SQLite file of the message store; none keeps it in memory.
    pub store: Option<PathBuf>,
    /// Multiaddrs under which the world reaches this node, without `/p2p/`.
    pub external: Vec<String>,
}

impl NodeConfig {
    /// A node of this network on loopback, with free ports, a fresh identity and a store in memory.
    pub fn new(cluster: u16, shards: u16) -> Self {
        Self {
            cluster,
            shards,
            listen_ip: IpAddr::from([127, 0, 0, 1]),
            tcp_port: 0,
            ws_port: 0,
            identity: None,
            bootstrap: Vec::new(),
            store: None,
            external: Vec::new(),
        }
    }
}

/// A connected peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// Its peer id.
    pub peer_id: String,
    /// The address of its connection.
    pub address: String,
    /// What it calls itself; empty until identified.
    pub agent: String,
    /// Whether it relays messages, as opposed to a light client.
    pub relay: bool,
}

/// A service node. It runs on its own threads until [`Node::shutdown`] or until dropped.
pub struct Node {}

impl Node {
    /// Starts a node and waits until both transports listen.
    ///
    /// # Errors
    /// [`ErrorKind::PortInUse`] names a taken port; [`ErrorKind::Listen`], [`ErrorKind::Config`] and
    /// [`ErrorKind::Store`] for the rest.
    pub async fn start(_config: NodeConfig) -> Result<Self, Error> {
        Err(ErrorKind::Listen.into())
    }

    /// The node's peer id.
    pub fn peer_id(&self) -> String {
        String::new()
    }

    /// Multiaddrs with `/p2p/`: external ones first, then TCP and WebSocket listeners.
    pub fn addresses(&self) -> Vec<String> {
        Vec::new()
    }

    /// Publishes to a shard: to this node's own store, filter subscribers and subscribers, and to the relay network.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownShard`], [`ErrorKind::TooLarge`], [`ErrorKind::InvalidMessage`] when the message can never
    /// be carried; [`ErrorKind::Busy`] and [`ErrorKind::Closed`] when the node cannot take it now.
    pub async fn publish(&self, _shard: u16, _message: WakuMessage) -> Result<(), Error> {
        Err(ErrorKind::Closed.into())
    }

    /// Every message of a content topic from now on, own publications included.
    pub fn subscribe(&self, _shard: u16, _content_topic: String) -> Messages {
        Messages { receiver: broadcast::channel(1).1, missed: 0 }
    }

    /// Dials a peer and keeps dialling it whenever the connection is lost.
    ///
    /// # Errors
    /// [`ErrorKind::Address`] when the text is no multiaddr.
    pub fn dial(&self, _multiaddr: &str) -> Result<(), Error> {
        Ok(())
    }

    /// The peers connected now.
    pub fn peers(&self) -> Vec<PeerInfo> {
        Vec::new()
    }

    /// Closes every connection, writes the store to disk and frees the ports.
    pub async fn shutdown(self) {}
}

/// Messages of one subscription, oldest first. A reader that falls behind loses the oldest ones; [`Messages::missed`]
/// tells how many.
pub struct Messages {
    receiver: broadcast::Receiver<WakuMessage>,
    missed: u64,
}

impl Messages {
    /// The next message, or none once the node has shut down. Safe to cancel.
    pub async fn next(&mut self) -> Option<WakuMessage> {
        loop {
            match self.receiver.recv().await {
                Ok(message) => return Some(message),
                Err(broadcast::error::RecvError::Lagged(count)) => {
                    self.missed = self.missed.saturating_add(count);
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// How many messages were dropped so far because this reader was too slow.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}
