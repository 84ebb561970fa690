//! A running node, as its owner sees it.

use std::{fmt, net::IpAddr, path::PathBuf, sync::Arc, sync::PoisonError, thread, time::Duration};

use libp2p::core::multiaddr::Protocol;
use tokio::sync::{broadcast, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    archive::Retention,
    error::{Error, ErrorKind},
    limits::Limits,
    message::WakuMessage,
    network::{self, Command, Handle, Network},
};

/// Threads of the node's own runtime: one for the swarm, one for everything it waits for.
const THREADS: usize = 2;
/// How long tasks may take to end once the network has stopped.
const ENDING: Duration = Duration::from_secs(1);

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
    /// How much the message store keeps.
    pub retention: Retention,
    /// What peers may ask for.
    pub limits: Limits,
}

impl fmt::Debug for NodeConfig {
    /// Without the identity's secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeConfig")
            .field("cluster", &self.cluster)
            .field("shards", &self.shards)
            .field("listen_ip", &self.listen_ip)
            .field("tcp_port", &self.tcp_port)
            .field("ws_port", &self.ws_port)
            .finish_non_exhaustive()
    }
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
            retention: Retention::default(),
            limits: Limits::default(),
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

/// A service node. It runs on threads of its own, so that nothing else in the program can starve it, until
/// [`Node::shutdown`] or until dropped.
pub struct Node {
    handle: Handle,
    stop: CancellationToken,
    stopped: Option<oneshot::Receiver<()>>,
}

impl Node {
    /// Starts a node and waits until both transports listen.
    ///
    /// # Errors
    /// [`ErrorKind::PortInUse`] names a taken port; [`ErrorKind::Listen`], [`ErrorKind::Config`],
    /// [`ErrorKind::Address`] and [`ErrorKind::Store`] for the rest.
    pub async fn start(config: NodeConfig) -> Result<Self, Error> {
        let (reply, started) = oneshot::channel();
        let (end, stopped) = oneshot::channel();
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        thread::Builder::new()
            .name("waku".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(THREADS)
                    .thread_name("waku")
                    .enable_all()
                    .build();
                let runtime = match runtime {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        let error = Error::with_source(ErrorKind::Listen, error);
                        let _ = reply.send(Err(error));
                        return;
                    }
                };
                runtime.block_on(async {
                    match Network::start(config).await {
                        Ok((network, handle)) => {
                            if reply.send(Ok(handle)).is_ok() {
                                // As a task, it runs on the workers and not on this waiting thread.
                                let _ = tokio::spawn(network.run(stopping)).await;
                            }
                        }
                        Err(error) => {
                            let _ = reply.send(Err(error));
                        }
                    }
                });
                runtime.shutdown_timeout(ENDING);
                let _ = end.send(());
            })
            .map_err(|error| Error::with_source(ErrorKind::Listen, error))?;
        let handle = started.await.map_err(|_| Error::from(ErrorKind::Closed))??;
        Ok(Self { handle, stop, stopped: Some(stopped) })
    }

    /// The node's peer id.
    pub fn peer_id(&self) -> String {
        self.handle.peer_id.to_string()
    }

    /// Multiaddrs with `/p2p/`: external ones first, then TCP and WebSocket listeners.
    pub fn addresses(&self) -> Vec<String> {
        let addresses = self.handle.view.addresses.read();
        addresses
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|address| address.clone().with(Protocol::P2p(self.handle.peer_id)))
            .map(|address| address.to_string())
            .collect()
    }

    /// Publishes to a shard: to this node's own store, filter subscribers and subscribers, and to the relay network.
    /// A message without a timestamp gets the present time.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownShard`], [`ErrorKind::TooLarge`], [`ErrorKind::InvalidMessage`] when the message can never
    /// be carried; [`ErrorKind::Closed`] when the node has stopped.
    pub async fn publish(&self, shard: u16, message: WakuMessage) -> Result<(), Error> {
        self.handle.delivery.publish(shard, message).await?;
        Ok(())
    }

    /// Every message of a content topic from now on, own publications included. A shard the network does not have
    /// stays silent.
    pub fn subscribe(&self, shard: u16, content_topic: String) -> Messages {
        Messages { receiver: self.handle.delivery.subscribe(shard, content_topic), missed: 0 }
    }

    /// Dials a peer now and again whenever it is lost; an address without `/p2p/` is dialled once.
    ///
    /// # Errors
    /// [`ErrorKind::Address`] when the text is no multiaddr, [`ErrorKind::Busy`] when too much waits,
    /// [`ErrorKind::Closed`] when the node has stopped.
    pub fn dial(&self, multiaddr: &str) -> Result<(), Error> {
        use tokio::sync::mpsc::error::TrySendError;
        let address = network::parse(multiaddr)?;
        match self.handle.commands.try_send(Command::Dial(address)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(ErrorKind::Busy.into()),
            Err(TrySendError::Closed(_)) => Err(ErrorKind::Closed.into()),
        }
    }

    /// The peers connected now.
    pub fn peers(&self) -> Vec<PeerInfo> {
        let peers = self.handle.view.peers.read();
        peers.unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The newest messages of a content topic in this node's own store, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`ErrorKind::Store`] when it cannot be read.
    pub async fn query(&self, shard: u16, content_topic: String, limit: usize) -> Result<Vec<WakuMessage>, Error> {
        let handle = &self.handle;
        let pubsub_topic = handle.sharding.pubsub_topic(shard);
        handle.archive.newest(pubsub_topic, content_topic, limit).await
    }

    /// Closes every connection, writes the store to disk and frees the ports.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Some(stopped) = self.stopped.take() {
            let _ = stopped.await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Messages of one subscription, oldest first. A reader that falls behind loses the oldest ones; [`Messages::missed`]
/// tells how many.
pub struct Messages {
    receiver: broadcast::Receiver<Arc<WakuMessage>>,
    missed: u64,
}

impl Messages {
    /// The next message, or none once the node has shut down. Safe to cancel.
    pub async fn next(&mut self) -> Option<WakuMessage> {
        loop {
            match self.receiver.recv().await {
                Ok(message) => return Some(Arc::unwrap_or_clone(message)),
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
