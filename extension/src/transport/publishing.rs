//! Sending: over a node that is not the provider's own if there is one, and when it does not take it over the next.

use super::{Happening, LATE_MS, Owner, Transport, within};
use crate::route;
use privacyai::effect::Publication;
use wasm_bindgen_futures::spawn_local;

/// Publications on their way at once; each question has one and a few control frames, so more is a fault.
const UNDER_WAY: usize = 64;

/// Time for the last node of all to take a publication, in milliseconds.
const SEND_MS: u32 = 5_000;

/// Time for a node that hung lately, in milliseconds: it comes before one that would tell the provider who asks.
const HUNG_MS: u32 = 300;

/// Time given to subscriptions that are being made, in milliseconds: after it the answer's repair has to do.
const BIND_MS: u32 = 1_500;

/// Nodes tried for one publication (protocol section 5.5).
const NODES: usize = 3;

impl Transport {
    /// Publishes for a question; [`Happening::Published`] or [`Happening::PublishFailed`] follows.
    pub fn publish(&self, ask: u64, owner: Owner, message: Publication, attempt: u8) {
        if self.0.borrow().publishing >= UNDER_WAY {
            return self.report(Happening::PublishFailed { ask });
        }
        self.0.borrow_mut().publishing += 1;
        let transport = self.clone();
        spawn_local(async move {
            let out = transport.send(&owner, &message, usize::from(attempt)).await;
            {
                let mut inner = transport.0.borrow_mut();
                inner.publishing = inner.publishing.saturating_sub(1);
            }
            match out {
                Some(out) => {
                    let back = transport.listening_peer(&owner).unwrap_or_default();
                    transport.report(Happening::Published { ask, out_and_back: (out, back) });
                }
                None => transport.report(Happening::PublishFailed { ask }),
            }
        });
    }

    /// The peer id of the node that took it.
    async fn send(&self, owner: &Owner, message: &Publication, attempt: usize) -> Option<String> {
        within(BIND_MS, self.all_bound()).await;
        let back = self.listening_peer(owner);
        let (order, waits) = {
            let inner = self.0.borrow();
            let lights: Vec<_> =
                inner.nodes.iter().filter_map(|node| Some((node.peer.clone(), node.light.clone()?))).collect();
            let peers: Vec<&str> = lights.iter().map(|(peer, _)| peer.as_str()).collect();
            let well: Vec<&str> =
                inner.answering().iter().filter_map(|index| Some(inner.nodes.get(*index)?.peer.as_str())).collect();
            let order = route::order(&peers, &owner.peer_ids, &well, back.as_deref(), attempt);
            let order: Vec<_> = order.iter().take(NODES).filter_map(|index| lights.get(*index).cloned()).collect();
            let waits: Vec<u32> =
                order.iter().map(|(peer, _)| if well.contains(&peer.as_str()) { LATE_MS } else { HUNG_MS }).collect();
            (order, waits)
        };
        let last = order.len().saturating_sub(1);
        for (at, ((peer, light), wait)) in order.iter().zip(waits).enumerate() {
            match within(if at == last { SEND_MS } else { wait }, light.publish(message)).await {
                Some(true) => return Some(peer.clone()),
                Some(false) => {}
                None => self.avoid(std::slice::from_ref(peer)),
            }
        }
        None
    }
}
