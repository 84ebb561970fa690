//! The loop that owns the swarm: commands in, events out, bootstrap peers dialled again and again.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU16,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use libp2p::{
    Multiaddr, PeerId, Swarm, TransportError,
    core::{ConnectedPoint, multiaddr::Protocol, transport::ListenerId},
    gossipsub::{self, IdentTopic, PublishError},
    identify,
    identity::Keypair,
    ping,
    swarm::{
        ConnectionId, SwarmEvent,
        dial_opts::{DialOpts, PeerCondition},
    },
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    archive::Archive,
    behaviour::{self, Behaviour, BehaviourEvent},
    delivery::Delivery,
    error::{Error, ErrorKind},
    filter::Filter,
    limits::Rates,
    message,
    metadata::{self, Membership},
    node::{NodeConfig, PeerInfo},
    redial::Redial,
    relay,
    service::{PROTOCOLS, Service},
    sharding::Sharding,
    streams::{self, Opener},
};

/// Publications and dials waiting for the loop: a burst of lightpushes.
const MAX_WAITING_COMMANDS: usize = 1024;
/// How often dials, pings and subscriptions are looked after.
const TICK: Duration = Duration::from_secs(1);
/// How long connections may take to close on shutdown.
const CLOSING: Duration = Duration::from_secs(1);
/// Pings in a row without an answer after which a connection is given up.
const MAX_LOST_PINGS: u32 = 2;
/// How long listeners may take to report their address.
const LISTENING: Duration = Duration::from_secs(10);

/// What the loop is asked to do.
pub(crate) enum Command {
    /// Gossip an encoded message; the answer is the number of peers that take part.
    Publish { pubsub_topic: String, encoded: Vec<u8>, reply: oneshot::Sender<u32> },
    /// Keep a connection to this address.
    Dial(Multiaddr),
    /// Leave a peer of another network.
    Leave(PeerId),
}

/// What the owner reads without asking the loop.
#[derive(Default)]
pub(crate) struct View {
    pub(crate) peers: RwLock<HashMap<PeerId, PeerInfo>>,
    pub(crate) addresses: RwLock<Vec<Multiaddr>>,
}

/// The parts of a running node its owner holds.
pub(crate) struct Handle {
    pub(crate) peer_id: PeerId,
    pub(crate) sharding: Sharding,
    pub(crate) view: Arc<View>,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) archive: Archive,
    pub(crate) commands: mpsc::Sender<Command>,
}

/// The swarm and what it reports to.
pub(crate) struct Network {
    swarm: Swarm<Behaviour>,
    sharding: Sharding,
    commands: mpsc::Receiver<Command>,
    own_commands: mpsc::Sender<Command>,
    view: Arc<View>,
    delivery: Arc<Delivery>,
    filter: Arc<Filter>,
    archive: Archive,
    opener: Opener,
    redial: Redial,
    connections: HashMap<PeerId, Vec<Connection>>,
    asked: HashSet<PeerId>,
}

struct Connection {
    id: ConnectionId,
    lost_pings: u32,
}

impl Network {
    /// Opens the store, listens on both transports and starts the services.
    pub(crate) async fn start(config: NodeConfig) -> Result<(Self, Handle), Error> {
        let shards =
            NonZeroU16::new(config.shards).ok_or_else(|| ErrorKind::Config("shards must be at least 1".into()))?;
        let sharding = Sharding::new(config.cluster, shards);
        let keypair = match config.identity {
            Some(secret) => Keypair::ed25519_from_bytes(secret)
                .map_err(|error| Error::with_source(ErrorKind::Config("identity".into()), error))?,
            None => Keypair::generate_ed25519(),
        };
        let redial = config.bootstrap.iter().map(|text| parse(text)).collect::<Result<Redial, Error>>()?;
        let external = config.external.iter().map(|text| parse(text)).collect::<Result<Vec<_>, Error>>()?;
        let (streams, opener, accepted) = streams::Behaviour::new(&PROTOCOLS);
        let mut swarm = behaviour::swarm(&keypair, sharding, &config.limits, streams)
            .map_err(|error| Error::with_source(ErrorKind::Config("network".into()), error))?;
        let listening = listen(&mut swarm, &config).await?;
        let archive = Archive::open(config.store.as_deref(), config.retention.clone()).await?;
        let peer_id = *swarm.local_peer_id();
        for address in &external {
            swarm.add_external_address(address.clone());
        }
        let view = Arc::new(View::default());
        *write(&view.addresses) = external.into_iter().chain(listening).collect();
        let (own_commands, commands) = mpsc::channel(MAX_WAITING_COMMANDS);
        let filter = Filter::new(sharding, opener.clone(), config.limits.filter_peers);
        let delivery = Arc::new(Delivery::new(sharding, archive.clone(), filter.clone(), own_commands.clone()));
        let rates = Rates::new(config.limits);
        let service =
            Service { sharding, delivery: delivery.clone(), filter: filter.clone(), archive: archive.clone(), rates };
        tokio::spawn(Arc::new(service).run(accepted));
        let handle = Handle {
            peer_id,
            sharding,
            view: view.clone(),
            delivery: delivery.clone(),
            archive: archive.clone(),
            commands: own_commands.clone(),
        };
        let network = Self {
            swarm,
            sharding,
            commands,
            own_commands,
            view,
            delivery,
            filter,
            archive,
            opener,
            redial,
            connections: HashMap::new(),
            asked: HashSet::new(),
        };
        Ok((network, handle))
    }

    /// Runs until asked to stop, then closes every connection and the store.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                event = self.swarm.select_next_some() => self.on_event(event),
                Some(command) = self.commands.recv() => self.on_command(command),
                _ = tick.tick() => self.on_tick(),
            }
        }
        self.delivery.close();
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let _ = tokio::time::timeout(CLOSING, async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        })
        .await;
        self.archive.close().await;
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish { pubsub_topic, encoded, reply } => {
                let _ = reply.send(self.publish(pubsub_topic, encoded));
            }
            Command::Dial(address) => {
                if !self.redial.add(address) {
                    tracing::warn!("too many addresses to dial; one is left out");
                }
                self.dial_due();
            }
            Command::Leave(peer) => {
                tracing::debug!("a peer of another network is left");
                let _ = self.swarm.disconnect_peer_id(peer);
            }
        }
    }

    /// How many peers took part in gossiping the message, now or when it was first published.
    fn publish(&mut self, pubsub_topic: String, encoded: Vec<u8>) -> u32 {
        let topic = IdentTopic::new(pubsub_topic);
        let relay = &mut self.swarm.behaviour_mut().relay;
        match relay.publish(topic.clone(), encoded) {
            Ok(_) | Err(PublishError::Duplicate) => {}
            Err(PublishError::NoPeersSubscribedToTopic) => return 0,
            Err(error) => {
                tracing::warn!(%error, "a message was not relayed");
                return 0;
            }
        }
        let topic = topic.hash();
        let subscribed = relay.all_peers().filter(|(_, topics)| topics.contains(&&topic));
        u32::try_from(subscribed.count()).unwrap_or(u32::MAX)
    }

    fn on_tick(&mut self) {
        self.dial_due();
        self.filter.expire(Instant::now());
    }

    fn dial_due(&mut self) {
        let swarm = &mut self.swarm;
        let own = *swarm.local_peer_id();
        let due = self.redial.due(Instant::now(), |peer| *peer == own || swarm.is_connected(peer));
        for (peer, addresses) in due {
            // A fresh local port: from the listening one, the pair of addresses may still be in TIME_WAIT.
            let options = match peer {
                Some(peer) => DialOpts::peer_id(peer)
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .addresses(addresses)
                    .allocate_new_port()
                    .build(),
                None => {
                    let Some(address) = addresses.into_iter().next() else { continue };
                    DialOpts::unknown_peer_id().address(address).allocate_new_port().build()
                }
            };
            if let Err(error) = swarm.dial(options) {
                tracing::debug!(%error, "an address is not dialled now");
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Relay(event)) => self.on_relay(event),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. })) => {
                self.on_identified(peer_id, info)
            }
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => self.on_ping(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(peer_id, connection_id, &endpoint)
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, .. } => {
                self.on_disconnected(peer_id, connection_id, num_established)
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                let mut addresses = write(&self.view.addresses);
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                write(&self.view.addresses).retain(|known| *known != address);
            }
            SwarmEvent::OutgoingConnectionError { error, .. } => {
                tracing::debug!(%error, "a dial failed");
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "a listener failed");
            }
            _ => {}
        }
    }

    fn on_relay(&mut self, event: gossipsub::Event) {
        let gossipsub::Event::Message { propagation_source, message_id, message } = event else {
            return;
        };
        let (acceptance, kept) = relay::judge(self.sharding, &message, message::now_ns());
        self.swarm.behaviour_mut().relay.report_message_validation_result(&message_id, &propagation_source, acceptance);
        if let Some((shard, message)) = kept {
            self.delivery.deliver(shard, &message);
        }
    }

    fn on_identified(&mut self, peer: PeerId, info: identify::Info) {
        if let Some(known) = write(&self.view.peers).get_mut(&peer) {
            known.agent = info.agent_version;
            known.relay = info.protocols.iter().any(|protocol| protocol.as_ref() == relay::PROTOCOL);
        }
        // A peer without the protocol has no cluster it could name; topics keep it apart.
        if info.protocols.contains(&metadata::PROTOCOL) && self.asked.insert(peer) {
            let (opener, sharding) = (self.opener.clone(), self.sharding);
            let commands = self.own_commands.clone();
            tokio::spawn(async move {
                if metadata::ask(opener, peer, sharding).await == Membership::Foreign {
                    let _ = commands.send(Command::Leave(peer)).await;
                }
            });
        }
    }

    fn on_ping(&mut self, event: ping::Event) {
        let Some(connection) =
            self.connections.get_mut(&event.peer).and_then(|all| all.iter_mut().find(|one| one.id == event.connection))
        else {
            return;
        };
        match event.result {
            Ok(_) => connection.lost_pings = 0,
            Err(ping::Failure::Timeout) => {
                connection.lost_pings = connection.lost_pings.saturating_add(1);
                if connection.lost_pings >= MAX_LOST_PINGS {
                    self.swarm.close_connection(event.connection);
                }
            }
            // js closes a ping stream that is silent for 10 s, and opens the next.
            Err(_) => {}
        }
    }

    fn on_connected(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        // Two nodes that dial each other at once keep both connections: gossipsub tells its subscriptions on the first
        // one only, and sends each message on one of them, so closing either would lose what is on its way.
        self.connections.entry(peer).or_default().push(Connection { id, lost_pings: 0 });
        write(&self.view.peers).entry(peer).or_insert_with(|| PeerInfo {
            peer_id: peer.to_string(),
            address: endpoint.get_remote_address().to_string(),
            agent: String::new(),
            relay: false,
        });
        self.redial.connected(&peer);
    }

    fn on_disconnected(&mut self, peer: PeerId, id: ConnectionId, left: u32) {
        if let Some(connections) = self.connections.get_mut(&peer) {
            connections.retain(|one| one.id != id);
        }
        if left == 0 {
            self.connections.remove(&peer);
            self.asked.remove(&peer);
            self.filter.remove(peer);
            write(&self.view.peers).remove(&peer);
        }
    }
}

/// A multiaddr from its text.
pub(crate) fn parse(text: &str) -> Result<Multiaddr, Error> {
    text.trim().parse().map_err(|error| Error::with_source(ErrorKind::Address(text.to_owned()), error))
}

/// Listens on both ports and waits for the first address of each.
async fn listen(swarm: &mut Swarm<Behaviour>, config: &NodeConfig) -> Result<Vec<Multiaddr>, Error> {
    if config.tcp_port != 0 && config.tcp_port == config.ws_port {
        return Err(ErrorKind::PortInUse(config.ws_port).into());
    }
    let mut waiting: HashSet<ListenerId> = HashSet::new();
    for (port, websocket) in [(config.tcp_port, false), (config.ws_port, true)] {
        probe(config, port)?;
        let mut address = Multiaddr::from(config.listen_ip).with(Protocol::Tcp(port));
        if websocket {
            address.push(Protocol::Ws("/".into()));
        }
        let listener = swarm.listen_on(address).map_err(|error| match error {
            TransportError::Other(error) => Error::listening(port, error),
            error => Error::listening(port, error),
        })?;
        waiting.insert(listener);
    }
    let mut addresses = Vec::new();
    let all = async {
        while !waiting.is_empty() {
            match swarm.select_next_some().await {
                SwarmEvent::NewListenAddr { listener_id, address } => {
                    waiting.remove(&listener_id);
                    addresses.push(address);
                }
                SwarmEvent::ListenerClosed { reason: Err(error), .. } => {
                    return Err(Error::listening(config.tcp_port, error));
                }
                _ => {}
            }
        }
        Ok(())
    };
    tokio::time::timeout(LISTENING, all).await.map_err(|error| Error::with_source(ErrorKind::Listen, error))??;
    addresses.sort_by_key(|address| address.iter().any(|part| matches!(part, Protocol::Ws(_))));
    Ok(addresses)
}

/// libp2p listens with SO_REUSEPORT, which lets a second node of the same user share the port in silence; a plain
/// bind tells.
fn probe(config: &NodeConfig, port: u16) -> Result<(), Error> {
    if port == 0 {
        return Ok(());
    }
    std::net::TcpListener::bind((config.listen_ip, port)).map(drop).map_err(|error| Error::listening(port, error))
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
