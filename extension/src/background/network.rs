//! The way to the network as this background sees it: which network, which entry nodes, how it stands, and how long
//! discovery took.

use super::Background;
use crate::platform;
use crate::port::{NetworkView, Update};
use crate::route;
use crate::settings;
use crate::transport::NodeState;
use privacyai::client::Input;
use privacyai::error::Error;
use privacyai::network::Network;

/// The way's state.
pub struct Way {
    /// Which network.
    pub network: Network,
    /// All nodes failed since the last connection or order to connect.
    is_lost: bool,
    connected: bool,
    clock_off_s: Option<i64>,
    /// Monotonic time of the order to connect.
    ordered: f64,
    discovery_ms: Option<u32>,
}

impl Way {
    /// The stored network, or the one this build is for.
    ///
    /// # Errors
    /// When this build's own network file cannot be read, which a test of the core rules out.
    pub fn restore(json: Option<Vec<u8>>) -> Result<Self, Error> {
        let stored = json.and_then(|json| Network::parse_json(std::str::from_utf8(&json).ok()?).ok());
        Ok(Self {
            network: stored.map_or_else(Network::shipped, Ok)?,
            is_lost: false,
            connected: false,
            clock_off_s: None,
            ordered: platform::monotonic_ms(),
            discovery_ms: None,
        })
    }

    /// An order to connect.
    pub fn order(&mut self) {
        self.is_lost = false;
        self.ordered = platform::monotonic_ms();
        self.discovery_ms = None;
    }

    /// A node is usable.
    pub fn connected(&mut self) {
        self.connected = true;
        self.is_lost = false;
    }

    /// No node is usable any more.
    pub fn lost(&mut self) {
        self.connected = false;
        self.is_lost = true;
    }

    /// Takes the nodes' states; true when the way is lost.
    pub fn look(&mut self, nodes: &[(String, String, NodeState)]) -> bool {
        let failed = |state: &NodeState| matches!(state, NodeState::NoAnswer(_));
        if !self.connected && !nodes.is_empty() && nodes.iter().all(|(.., state)| failed(state)) {
            self.is_lost = true;
        }
        self.is_lost
    }

    /// Whether a node is usable.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether all nodes failed.
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// A provider became usable; true when it is the first since the order.
    pub fn discovered(&mut self) -> bool {
        let first = self.discovery_ms.is_none();
        if first {
            self.discovery_ms = Some((platform::monotonic_ms() - self.ordered) as u32);
        }
        first
    }

    /// The clock is off by these seconds.
    pub fn set_clock_off(&mut self, seconds: i64) {
        self.clock_off_s = (seconds != 0).then_some(seconds);
    }

    /// As the panel shows it.
    pub fn view(&self, nodes: &[(String, String, NodeState)]) -> NetworkView {
        let state = match () {
            () if nodes.is_empty() => "unset",
            () if self.connected => "connected",
            () if self.is_lost => "lost",
            () => "connecting",
        };
        let now = platform::monotonic_ms();
        let next = nodes.iter().filter_map(|(.., state)| match state {
            NodeState::NoAnswer(at) => Some(((at - now).max(0.0) / 1_000.0).ceil() as u32),
            _ => None,
        });
        let word = |state: &NodeState| match state {
            NodeState::Connected => "connected",
            NodeState::Connecting => "connecting",
            NodeState::NoAnswer(_) => "no answer",
        };
        NetworkView {
            state: state.into(),
            next_try_s: (state == "lost").then(|| next.min()).flatten(),
            nodes: nodes.iter().map(|(address, _, state)| (address.clone(), word(state).into())).collect(),
            clock_off_s: self.clock_off_s,
            discovery_ms: self.discovery_ms,
        }
    }
}

impl Background {
    /// Connects to the entry nodes that are set.
    pub(super) fn dial(&mut self) {
        self.way.order();
        self.transport.configure(self.way.network.cluster, &self.settings.entry_nodes);
    }

    /// As [`Background::dial`], after another network or other nodes were set.
    pub(super) async fn dial_anew(&mut self) {
        if self.way.is_connected() {
            self.way.lost();
            self.step(Input::Disconnected).await;
        }
        self.dial();
        self.tell_network();
    }

    /// Takes an invite: another network, other entry nodes.
    pub(super) async fn join(&mut self, text: &str) -> Result<(), String> {
        let network = dialable(text)?;
        let json = network.to_json().map_err(|error| unreadable(&error))?.into_bytes();
        self.settings.entry_nodes = network.entry_nodes.clone();
        self.way.network = network;
        self.write(vec![settings::row(settings::NETWORK, Some(json))]).await;
        self.keep_settings().await;
        self.step(Input::FreeDaily(self.way.network.free_daily)).await;
        self.dial_anew().await;
        Ok(())
    }

    /// What an invite would change, one line each.
    pub(super) fn read_invite(&self, text: &str) -> Update {
        let network = match dialable(text) {
            Ok(network) => network,
            Err(error) => return Update::Invite { changes: Vec::new(), error: Some(error) },
        };
        let ours = Network { entry_nodes: self.settings.entry_nodes.clone(), ..self.way.network.clone() };
        let mut changes = ours.changes(&network);
        if changes.is_empty() {
            changes.push("Nothing: this network is set already".into());
        }
        Update::Invite { changes, error: None }
    }

    pub(super) fn network_view(&self) -> NetworkView {
        self.way.view(&self.transport.nodes())
    }

    pub(super) fn tell_network(&self) {
        self.panels.tell_all(&Update::Network { network: self.network_view() });
    }
}

const NO_NODE: &str = "This invite names no entry node that a browser can dial. Ask for one made by “worker invite”.";

/// The invited network with those of its entry nodes that are used here.
fn dialable(invite: &str) -> Result<Network, String> {
    let mut network = Network::parse_invite(invite).map_err(|error| unreadable(&error))?;
    network.entry_nodes.retain(|node| route::entry_peer(node).is_some());
    network.entry_nodes.truncate(settings::ENTRY_NODES);
    if network.entry_nodes.is_empty() { Err(NO_NODE.into()) } else { Ok(network) }
}

fn unreadable(error: &Error) -> String {
    format!("This invite cannot be read ({error}). Paste it whole, as “worker invite” printed it.")
}
