//! Who is around: workers of one machine connect by themselves, each looking every few seconds at who else runs; and the
//! serve loop is told of every relaying peer that joins.

use crate::local;
use privacyai_waku::Node;
use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::watch;

/// Between two looks. A worker that starts is dialled by those that run already after so long at most, and dials them
/// at once.
const RESCAN: Duration = Duration::from_secs(2);
/// Between two looks at the peers.
const PEERS: Duration = Duration::from_millis(500);
/// Addresses dialled so far; enough for every restart of every worker of a machine in a long while.
const MAX_DIALLED: usize = 1_024;

/// Dials the other workers of this machine for as long as it is polled. `own` is this worker's entry.
pub(crate) async fn meet(base: PathBuf, own: local::Entry, node: Arc<Node>) {
    let mut dialled = BTreeSet::new();
    loop {
        let folder = base.clone();
        let running = tokio::task::spawn_blocking(move || local::running(&folder)).await.unwrap_or_default();
        let connected: BTreeSet<String> = node.peers().into_iter().map(|peer| peer.peer_id).collect();
        for entry in running {
            if entry.handle == own.handle || !entry.is_of_same_network(&own) || connected.contains(&entry.peer_id) {
                continue;
            }
            // The plain transport costs less than the WebSocket one.
            let Some(address) = entry.addresses.iter().find(|address| !local::is_websocket(address)) else { continue };
            if !dialled.contains(address) {
                if dialled.len() >= MAX_DIALLED {
                    dialled.clear();
                }
                match node.dial(address) {
                    Ok(()) => {
                        tracing::info!(handle = entry.handle, "found another worker on this machine");
                        dialled.insert(address.clone());
                    }
                    Err(error) => tracing::warn!(handle = entry.handle, %error, "a local worker cannot be dialled"),
                }
            }
        }
        tokio::time::sleep(RESCAN).await;
    }
}

/// Counts the relaying peers that joined, for as long as it is polled.
pub(crate) async fn watch_relays(node: Arc<Node>, joined: watch::Sender<u64>) {
    let mut known = BTreeSet::new();
    loop {
        let relays: BTreeSet<String> =
            node.peers().into_iter().filter(|peer| peer.relay).map(|peer| peer.peer_id).collect();
        let new = relays.difference(&known).count() as u64;
        if new > 0 {
            joined.send_modify(|count| *count = count.saturating_add(new));
        }
        known = relays;
        tokio::time::sleep(PEERS).await;
    }
}
