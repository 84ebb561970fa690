//! The way to the network: one js-waku light node for each entry node, so that this side chooses which node sees what
//! (protocol section 6.3). It knows topics and bytes; what they mean is the client machine's business.

mod light_node;
mod publishing;
mod subscribing;

pub use light_node::Waku;

use crate::platform;
use crate::route;
use futures::channel::{mpsc, oneshot};
use futures::future::{Either, select};
use light_node::LightNode;
use privacyai::identity::ProviderId;
use privacyai::map::Map;
use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use subscribing::Subscription;
use wasm_bindgen_futures::spawn_local;

/// Happenings that may wait for the background's loop; a message more is dropped and asked for again by NACK.
pub const WAITING_HAPPENINGS: usize = 1_024;

/// Longest payload taken from a node in bytes: the protocol's largest with room for Waku's fields (section 5.10).
pub const LONGEST_PAYLOAD: u32 = 150_000;

/// A node that took longer to answer is passed over for another one, in milliseconds: its machine may hang while its
/// connection stays open.
const LATE_MS: u32 = 1_000;

/// So long, in milliseconds; then it may be well again.
const AVOID_MS: u32 = 30_000;

/// First and longest pause before a node is dialled again, in milliseconds.
const PAUSES_MS: (u32, u32) = (250, 30_000);

/// What the network did.
#[derive(Debug)]
pub enum Happening {
    /// A node's state changed.
    Nodes,
    /// The first node is connected.
    Connected,
    /// The last node is lost.
    Disconnected,
    /// A message came.
    Message {
        /// The topic it was subscribed or queried under.
        content_topic: String,
        /// Its payload, untrusted.
        payload: Vec<u8>,
        /// Peer id of the node that gave it.
        source: String,
    },
    /// A publication was taken by a node.
    Published {
        /// The question.
        ask: u64,
        /// Peer ids of the nodes out and back; the second is empty when no node listens for this provider.
        out_and_back: (String, String),
    },
    /// No node took it.
    PublishFailed {
        /// The question.
        ask: u64,
    },
}

/// How an entry node stands.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeState {
    /// Dialling.
    Connecting,
    /// Usable.
    Connected,
    /// Not reached; the next try begins at this monotonic time in milliseconds.
    NoAnswer(f64),
}

/// The light nodes and what they shall carry. Clones share it.
#[derive(Clone)]
pub struct Transport(Rc<RefCell<Inner>>);

struct Inner {
    waku: Waku,
    happenings: mpsc::Sender<Happening>,
    cluster: u16,
    /// Raised by each new configuration: tasks of an older one end.
    run: u64,
    nodes: Vec<Node>,
    subscriptions: Map<String, Subscription>,
    /// Store queries made since the configuration, so that a node that comes later answers them as well.
    queries: Vec<Query>,
    /// How many subscriptions of a topic are being ended now: the SDK knows one by its topic, so a new one waits for
    /// that.
    leaving: Map<String, usize>,
    /// Subscriptions being made now, and who waits until there is none.
    binding: usize,
    bound: Vec<oneshot::Sender<()>>,
    publishing: usize,
    try_now: Vec<oneshot::Sender<()>>,
}

struct Node {
    address: String,
    peer: String,
    state: NodeState,
    light: Option<LightNode>,
    /// Others are used until then, a monotonic time in milliseconds.
    avoided_until: f64,
}

impl Inner {
    /// The connected nodes that are not avoided, or of all that are those avoided longest ago.
    fn answering(&self) -> Vec<usize> {
        let now = platform::monotonic_ms();
        let until = |node: &Node| if node.avoided_until > now { node.avoided_until } else { 0.0 };
        let connected = || self.nodes.iter().enumerate().filter(|(_, node)| node.light.is_some());
        let least = connected().map(|(_, node)| until(node)).fold(f64::INFINITY, f64::min);
        connected().filter(|(_, node)| until(node) <= least).map(|(index, _)| index).collect()
    }
}

#[derive(Clone, PartialEq)]
struct Query {
    content_topic: String,
    shard: u16,
    seconds: u64,
}

impl Transport {
    /// Without a node; what happens comes out of the receiver that belongs to `happenings`.
    pub fn new(waku: Waku, happenings: mpsc::Sender<Happening>) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            waku,
            happenings,
            cluster: 0,
            run: 0,
            nodes: Vec::new(),
            subscriptions: Map::new(),
            queries: Vec::new(),
            leaving: Map::new(),
            binding: 0,
            bound: Vec::new(),
            publishing: 0,
            try_now: Vec::new(),
        })))
    }

    /// Uses these entry nodes of this cluster from now on and drops all others, with their subscriptions.
    pub fn configure(&self, cluster: u16, entry_nodes: &[String]) {
        let mut inner = self.0.borrow_mut();
        inner.run += 1;
        inner.cluster = cluster;
        inner.subscriptions.clear();
        inner.queries.clear();
        for node in std::mem::take(&mut inner.nodes) {
            if let Some(light) = node.light {
                spawn_local(async move { light.stop().await });
            }
        }
        for sender in std::mem::take(&mut inner.try_now) {
            // A task that has ended already needs no waking.
            let _ = sender.send(());
        }
        for address in entry_nodes {
            if let Some(peer) = route::entry_peer(address) {
                let (address, peer) = (address.clone(), peer.to_owned());
                inner.nodes.push(Node { address, peer, state: NodeState::Connecting, light: None, avoided_until: 0.0 });
            }
        }
        let (run, count) = (inner.run, inner.nodes.len());
        drop(inner);
        for index in 0..count {
            spawn_local(keep_connected(self.clone(), run, index));
        }
    }

    /// Dials every node that does not answer now.
    pub fn try_now(&self) {
        for sender in std::mem::take(&mut self.0.borrow_mut().try_now) {
            let _ = sender.send(());
        }
    }

    /// Each entry node: address, peer id, state.
    pub fn nodes(&self) -> Vec<(String, String, NodeState)> {
        let inner = self.0.borrow();
        inner.nodes.iter().map(|node| (node.address.clone(), node.peer.clone(), node.state.clone())).collect()
    }

    /// Peer ids of all usable nodes.
    pub fn connected_peers(&self) -> Vec<String> {
        let inner = self.0.borrow();
        inner.nodes.iter().filter(|node| node.light.is_some()).map(|node| node.peer.clone()).collect()
    }

    /// Uses other nodes than these for a while, where there are some: they did not answer in time, or their provider fell
    /// silent.
    pub fn avoid(&self, peers: &[String]) {
        for node in self.0.borrow_mut().nodes.iter_mut().filter(|node| peers.contains(&node.peer)) {
            node.avoided_until = after(AVOID_MS);
        }
        self.place_all();
    }

    fn report(&self, happening: Happening) {
        // When the loop is behind by a full queue a lost message is repaired by the protocol; states are read anew.
        let _ = self.0.borrow_mut().happenings.try_send(happening);
    }

    fn runs(&self, run: u64) -> bool {
        self.0.borrow().run == run
    }

    fn light(&self, run: u64, index: usize) -> Option<LightNode> {
        let inner = self.0.borrow();
        (inner.run == run).then(|| inner.nodes.get(index)?.light.clone()).flatten()
    }

    fn set_state(&self, run: u64, index: usize, state: NodeState, light: Option<LightNode>) {
        let mut inner = self.0.borrow_mut();
        if inner.run != run {
            return;
        }
        let before = inner.nodes.iter().any(|node| node.light.is_some());
        if let Some(node) = inner.nodes.get_mut(index) {
            // Who has just come back is well.
            if light.is_some() {
                node.avoided_until = 0.0;
            }
            node.state = state;
            node.light = light;
        }
        let after = inner.nodes.iter().any(|node| node.light.is_some());
        drop(inner);
        match (before, after) {
            (false, true) => self.report(Happening::Connected),
            (true, false) => self.report(Happening::Disconnected),
            _ => self.report(Happening::Nodes),
        }
    }
}

/// One node for as long as the configuration holds: dial, serve, and when it is lost dial again.
async fn keep_connected(transport: Transport, run: u64, index: usize) {
    let mut pause = PAUSES_MS.0;
    while transport.runs(run) {
        let (waku, cluster, address) = {
            let inner = transport.0.borrow();
            let Some(node) = inner.nodes.get(index) else { return };
            (inner.waku.clone(), inner.cluster, node.address.clone())
        };
        match LightNode::connect(&waku, cluster, &address).await {
            Ok((light, lost)) => {
                if !transport.runs(run) {
                    light.stop().await;
                    return;
                }
                pause = PAUSES_MS.0;
                transport.set_state(run, index, NodeState::Connected, Some(light.clone()));
                transport.serve_node(run, index);
                // An error means that the light node is gone as well.
                let _ = lost.await;
                transport.set_state(run, index, NodeState::NoAnswer(after(pause)), None);
                transport.release_node(run, index);
                spawn_local(async move { light.stop().await });
            }
            Err(_) => transport.set_state(run, index, NodeState::NoAnswer(after(pause)), None),
        }
        transport.pause(pause).await;
        pause = (pause * 2).min(PAUSES_MS.1);
        transport.set_state(run, index, NodeState::Connecting, None);
    }
}

/// The monotonic time in `ms`.
fn after(ms: u32) -> f64 {
    platform::monotonic_ms() + f64::from(ms)
}

impl Transport {
    async fn pause(&self, ms: u32) {
        let (sender, receiver) = oneshot::channel();
        self.0.borrow_mut().try_now.push(sender);
        let quarter = u32::from(platform::random::<1>()[0]) * ms / 1_024;
        select(pin!(platform::sleep(ms + quarter)), receiver).await;
        self.0.borrow_mut().try_now.retain(|sender| !sender.is_canceled());
    }
}

/// The result, or nothing when it takes longer than `ms`.
async fn within<T>(ms: u32, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), pin!(platform::sleep(ms))).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}

/// Whose own nodes are to be avoided.
#[derive(Clone, Debug, Default)]
pub struct Owner {
    /// The provider.
    pub provider: Option<ProviderId>,
    /// Its own nodes' peer ids.
    pub peer_ids: Vec<String>,
}
