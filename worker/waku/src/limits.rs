//! What one peer, one address and all together may ask of a node.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use libp2p::{
    Multiaddr, PeerId,
    connection_limits::{self, ConnectionLimits},
    core::{Endpoint, multiaddr::Protocol, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
        ToSwarm,
        behaviour::{ConnectionClosed, ConnectionEstablished},
        dummy,
    },
};

/// Bounds on what peers may ask. The defaults suit a public node on a small machine.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections altogether.
    pub connections: u32,
    /// Inbound connections of one address; the machine's own are not counted.
    pub connections_per_address: u32,
    /// Filter requests of one peer a minute.
    pub filter_per_minute: u32,
    /// Lightpush requests of one peer a minute.
    pub lightpush_per_minute: u32,
    /// Store queries of one peer a minute.
    pub store_per_minute: u32,
    /// Peers with filter subscriptions.
    pub filter_peers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 300,
            connections_per_address: 32,
            filter_per_minute: 60,
            lightpush_per_minute: 600,
            store_per_minute: 120,
            filter_peers: 1000,
        }
    }
}

/// Two nodes that dial each other at once have two connections for a moment; no peer needs more than twice that.
const MAX_CONNECTIONS_PER_PEER: u32 = 4;
/// Handshakes at a time, either way: they cost the most.
const MAX_PENDING: u32 = 64;

pub(crate) fn connection_limits(limits: &Limits) -> connection_limits::Behaviour {
    connection_limits::Behaviour::new(
        ConnectionLimits::default()
            .with_max_pending_incoming(Some(MAX_PENDING))
            .with_max_pending_outgoing(Some(MAX_PENDING))
            .with_max_established(Some(limits.connections))
            .with_max_established_per_peer(Some(MAX_CONNECTIONS_PER_PEER)),
    )
}

/// The service protocols that have a rate limit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    Filter,
    Lightpush,
    Store,
    Metadata,
}

/// Metadata requests of one peer a minute: js asks four times at once when it connects.
const METADATA_PER_MINUTE: u32 = 60;
/// Peers whose rates are remembered, connected or not; when full, those that asked least recently are forgotten.
const MAX_RATED_PEERS: usize = 8192;
/// Streams of one peer served at a time: js-waku opens 64 lightpushes at once, and some idle ones.
const MAX_STREAMS_PER_PEER: usize = 96;
/// Bytes of one peer's unfinished requests: 64 of the largest. Requests beyond are refused rather than delayed, because
/// mplex would hold what is not read.
const MAX_BYTES_PER_PEER: usize = 16 * 1024 * 1024;

/// A token bucket for each peer and service, and a count of its open streams. Leaving and coming back resets nothing.
pub(crate) struct Rates {
    limits: Limits,
    buckets: Mutex<HashMap<(PeerId, Service), Bucket>>,
    streams: Streams,
}

type Streams = Arc<Mutex<HashMap<PeerId, Share>>>;

#[derive(Default)]
struct Share {
    streams: usize,
    bytes: usize,
}

struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Rates {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, buckets: Mutex::default(), streams: Arc::default() }
    }

    /// Takes one request from the peer's allowance; false when it is spent.
    pub(crate) fn take(&self, peer: PeerId, service: Service, now: Instant) -> bool {
        let per_minute = match service {
            Service::Filter => self.limits.filter_per_minute,
            Service::Lightpush => self.limits.lightpush_per_minute,
            Service::Store => self.limits.store_per_minute,
            Service::Metadata => METADATA_PER_MINUTE,
        };
        let capacity = f64::from(per_minute);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_RATED_PEERS && !buckets.contains_key(&(peer, service)) {
            // A bucket untouched for a minute is full again and need not be remembered.
            let full = Duration::from_secs(60);
            buckets.retain(|_, bucket| now.saturating_duration_since(bucket.filled) < full);
            if buckets.len() >= MAX_RATED_PEERS {
                return false;
            }
        }
        let bucket = buckets.entry((peer, service)).or_insert(Bucket { tokens: capacity, filled: now });
        let elapsed = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.tokens = (bucket.tokens + elapsed * capacity / 60.0).min(capacity);
        bucket.filled = now;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }

    /// A place for one more stream of this peer, given back when dropped.
    pub(crate) fn stream(&self, peer: PeerId) -> Option<StreamSlot> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let share = streams.entry(peer).or_default();
        if share.streams >= MAX_STREAMS_PER_PEER {
            return None;
        }
        share.streams += 1;
        Some(StreamSlot { peer, bytes: 0, streams: self.streams.clone() })
    }
}

/// A stream being served.
pub(crate) struct StreamSlot {
    peer: PeerId,
    bytes: usize,
    streams: Streams,
}

impl StreamSlot {
    /// Room for a request of this size until the slot is dropped; false when the peer has too much under way.
    pub(crate) fn hold(&mut self, bytes: usize) -> bool {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(share) = streams.get_mut(&self.peer) else {
            return false;
        };
        if share.bytes.saturating_add(bytes) > MAX_BYTES_PER_PEER {
            return false;
        }
        share.bytes += bytes;
        self.bytes += bytes;
        true
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = streams.get_mut(&self.peer) {
            share.streams = share.streams.saturating_sub(1);
            share.bytes = share.bytes.saturating_sub(self.bytes);
            if share.streams == 0 {
                streams.remove(&self.peer);
            }
        }
    }
}

/// Refuses more than a few inbound connections of one address.
pub(crate) struct PerAddress {
    limit: u32,
    inbound: HashMap<ConnectionId, IpAddr>,
    counts: HashMap<IpAddr, u32>,
}

impl PerAddress {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { limit: limits.connections_per_address, inbound: HashMap::new(), counts: HashMap::new() }
    }

    fn allows(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.counts.get(&address).is_none_or(|&count| count < self.limit)
    }
}

/// The IP address at the start of a multiaddr.
pub(crate) fn ip_address(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.to_canonical()),
        _ => None,
    }
}

impl NetworkBehaviour for PerAddress {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = std::convert::Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        match ip_address(remote) {
            Some(address) if !self.allows(address) => {
                Err(ConnectionDenied::new("too many connections of one address".to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { connection_id, endpoint, .. })
                if endpoint.is_listener() =>
            {
                if let Some(address) = ip_address(endpoint.get_remote_address()) {
                    self.inbound.insert(connection_id, address);
                    let count = self.counts.entry(address).or_default();
                    *count = count.saturating_add(1);
                }
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => {
                if let Some(address) = self.inbound.remove(&connection_id)
                    && let Some(count) = self.counts.get_mut(&address)
                {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.counts.remove(&address);
                    }
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_allowance_comes_back_with_time() {
        let rates = Rates::new(Limits { filter_per_minute: 3, ..Limits::default() });
        let (peer, start) = (PeerId::random(), Instant::now());
        for _ in 0..3 {
            assert!(rates.take(peer, Service::Filter, start));
        }
        assert!(!rates.take(peer, Service::Filter, start), "spent");
        assert!(rates.take(peer, Service::Store, start), "another service");
        assert!(rates.take(PeerId::random(), Service::Filter, start));
        let later = start + Duration::from_secs(21);
        assert!(rates.take(peer, Service::Filter, later), "a third is back");
        assert!(!rates.take(peer, Service::Filter, later), "and only that");
    }

    #[test]
    fn rates_of_many_peers_stay_bounded() {
        let rates = Rates::new(Limits::default());
        let start = Instant::now();
        for _ in 0..MAX_RATED_PEERS {
            assert!(rates.take(PeerId::random(), Service::Store, start));
        }
        assert!(!rates.take(PeerId::random(), Service::Store, start));
        let later = start + Duration::from_secs(61);
        assert!(rates.take(PeerId::random(), Service::Store, later));
        assert_eq!(rates.buckets.lock().unwrap().len(), 1);
    }

    #[test]
    fn stream_slots_and_their_bytes_come_back() {
        let rates = Rates::new(Limits::default());
        let peer = PeerId::random();
        let mut slots: Vec<_> = (0..MAX_STREAMS_PER_PEER).map(|_| rates.stream(peer).unwrap()).collect();
        assert!(rates.stream(peer).is_none());
        assert!(slots[0].hold(MAX_BYTES_PER_PEER));
        assert!(!slots[1].hold(1) && !slots[0].hold(usize::MAX));
        assert!(rates.stream(PeerId::random()).unwrap().hold(1), "another peer has its own");
        slots.remove(0);
        assert!(slots[0].hold(1));
        drop(slots);
        assert!(rates.streams.lock().unwrap().is_empty());
    }
}
