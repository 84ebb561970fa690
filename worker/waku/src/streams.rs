//! Streams of the service protocols: a behaviour that hands inbound ones to the service through a bounded channel and
//! opens outbound ones on request.
//!
//! libp2p-stream's own accept drops one of two streams that arrive together; its queue has no slot. Streams opened
//! here never make the node dial: a service node talks to peers it already has.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    future::{Ready, ready},
    io,
    sync::Arc,
    task::{Context, Poll},
    vec,
};

use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{Endpoint, InboundUpgrade, OutboundUpgrade, UpgradeInfo, transport::PortUse},
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
        NotifyHandler, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
        behaviour::{ConnectionClosed, ConnectionEstablished},
        handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use tokio::sync::{mpsc, oneshot};

/// Inbound streams not yet taken by the service: js opens 64 lightpushes at once, several clients may.
const MAX_WAITING_STREAMS: usize = 1024;
/// Requests for outbound streams not yet handed to a connection.
const MAX_WAITING_REQUESTS: usize = 256;
/// Requests waiting on one connection: one push stream and one metadata question are all there should be.
const MAX_WAITING_OPENS: usize = 8;

/// A stream a peer opened.
pub(crate) struct Incoming {
    pub(crate) peer: PeerId,
    pub(crate) protocol: StreamProtocol,
    pub(crate) stream: Stream,
}

/// Opens streams to connected peers.
#[derive(Clone, Debug)]
pub(crate) struct Opener(mpsc::Sender<Request>);

impl Opener {
    /// A stream of this protocol to a connected peer.
    pub(crate) async fn open(&self, peer: PeerId, protocol: StreamProtocol) -> io::Result<Stream> {
        let (reply, stream) = oneshot::channel();
        self.0
            .try_send(Request { peer, open: Open { protocol, reply } })
            .map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?;
        stream.await.map_err(|_| io::ErrorKind::NotConnected.into())
    }
}

#[derive(Debug)]
struct Request {
    peer: PeerId,
    open: Open,
}

/// Dropping the reply tells the asker that there is no stream.
#[derive(Debug)]
pub(crate) struct Open {
    protocol: StreamProtocol,
    reply: oneshot::Sender<Stream>,
}

/// Registers the service protocols with every connection.
pub(crate) struct Behaviour {
    protocols: Arc<[StreamProtocol]>,
    incoming: mpsc::Sender<Incoming>,
    requests: mpsc::Receiver<Request>,
    connections: HashMap<PeerId, u32>,
}

impl Behaviour {
    pub(crate) fn new(protocols: &[StreamProtocol]) -> (Self, Opener, mpsc::Receiver<Incoming>) {
        let (incoming, accepted) = mpsc::channel(MAX_WAITING_STREAMS);
        let (opener, requests) = mpsc::channel(MAX_WAITING_REQUESTS);
        let behaviour = Self { protocols: protocols.into(), incoming, requests, connections: HashMap::new() };
        (behaviour, Opener(opener), accepted)
    }

    fn handler(&self, peer: PeerId) -> Handler {
        Handler { peer, protocols: self.protocols.clone(), incoming: self.incoming.clone(), opens: VecDeque::new() }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished { peer_id, .. }) => {
                let count = self.connections.entry(peer_id).or_default();
                *count = count.saturating_add(1);
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { peer_id, remaining_established: 0, .. }) => {
                self.connections.remove(&peer_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        while let Poll::Ready(Some(Request { peer, open })) = self.requests.poll_recv(cx) {
            if self.connections.contains_key(&peer) {
                return Poll::Ready(ToSwarm::NotifyHandler { peer_id: peer, handler: NotifyHandler::Any, event: open });
            }
        }
        Poll::Pending
    }
}

/// The service protocols on one connection.
pub(crate) struct Handler {
    peer: PeerId,
    protocols: Arc<[StreamProtocol]>,
    incoming: mpsc::Sender<Incoming>,
    opens: VecDeque<Open>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Infallible;
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = oneshot::Sender<Stream>;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        SubstreamProtocol::new(Upgrade(self.protocols.to_vec()), ())
    }

    fn on_behaviour_event(&mut self, open: Open) {
        if self.opens.len() < MAX_WAITING_OPENS {
            self.opens.push_back(open);
        }
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Self::OutboundOpenInfo, Self::ToBehaviour>> {
        match self.opens.pop_front() {
            Some(Open { protocol, reply }) => Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(Upgrade(vec![protocol]), reply),
            }),
            None => Poll::Pending,
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<
            '_,
            Self::InboundProtocol,
            Self::OutboundProtocol,
            Self::InboundOpenInfo,
            Self::OutboundOpenInfo,
        >,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol), ..
            }) => {
                let incoming = Incoming { peer: self.peer, protocol, stream };
                if self.incoming.try_send(incoming).is_err() {
                    tracing::debug!("too many streams wait; one is reset");
                }
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, _),
                info: reply,
            }) => {
                // Whoever asked may have given up.
                let _ = reply.send(stream);
            }
            _ => {}
        }
    }
}

/// Hands the negotiated stream over as it is.
pub(crate) struct Upgrade(Vec<StreamProtocol>);

impl UpgradeInfo for Upgrade {
    type Info = StreamProtocol;
    type InfoIter = vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Upgrade {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

impl OutboundUpgrade<Stream> for Upgrade {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}
