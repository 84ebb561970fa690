//! Workers of one machine connect by themselves: each looks every few seconds at who else runs and dials them.

use crate::local;
use privacyai_waku::Node;
use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

/// Between two looks. A worker that starts is dialled by those that run already after so long at most, and dials them
/// at once.
const RESCAN: Duration = Duration::from_secs(2);
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
