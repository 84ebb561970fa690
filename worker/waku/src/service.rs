//! Serves the streams that peers open: reads one request, answers it, closes. A stream that breaks a rule ends; the
//! node and the peer's other streams go on.

use std::{io, sync::Arc, time::Instant};

use futures::AsyncWriteExt as _;
use libp2p::{PeerId, Stream, StreamProtocol};
use prost::Message;
use tokio::sync::mpsc;

use crate::{
    archive::Archive,
    delivery::Delivery,
    filter::{self, Filter},
    frame, lightpush,
    limits::{Rates, Service as Rated, StreamSlot},
    metadata,
    sharding::Sharding,
    store,
    streams::Incoming,
};

/// How much of an unwanted request is read, so that its refusal can be heard; js-waku sends no larger ones.
const MAX_DISCARDED_BYTES: usize = 1024 * 1024;

/// The service protocols of a node, as they are offered to peers.
pub(crate) const PROTOCOLS: [StreamProtocol; 4] =
    [filter::SUBSCRIBE_PROTOCOL, lightpush::PROTOCOL, store::PROTOCOL, metadata::PROTOCOL];

/// What streams are served from.
pub(crate) struct Service {
    pub(crate) sharding: Sharding,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) filter: Arc<Filter>,
    pub(crate) archive: Archive,
    pub(crate) rates: Rates,
}

impl Service {
    /// Serves streams until the network has gone.
    pub(crate) async fn run(self: Arc<Self>, mut accepted: mpsc::Receiver<Incoming>) {
        while let Some(incoming) = accepted.recv().await {
            let Some(mut slot) = self.rates.stream(incoming.peer) else {
                continue;
            };
            let service = self.clone();
            tokio::spawn(async move {
                if let Err(error) = service.serve(incoming, &mut slot).await {
                    tracing::debug!(%error, "a stream ended early");
                }
            });
        }
    }

    async fn serve(&self, incoming: Incoming, slot: &mut StreamSlot) -> io::Result<()> {
        let Incoming { peer, protocol, mut stream } = incoming;
        let (rated, limit) = if protocol == filter::SUBSCRIBE_PROTOCOL {
            (Rated::Filter, filter::MAX_REQUEST_BYTES)
        } else if protocol == lightpush::PROTOCOL {
            (Rated::Lightpush, lightpush::MAX_REQUEST_BYTES)
        } else if protocol == store::PROTOCOL {
            (Rated::Store, store::MAX_REQUEST_BYTES)
        } else {
            (Rated::Metadata, metadata::MAX_REQUEST_BYTES)
        };
        let Some(length) = frame::read_length(&mut stream).await? else {
            return stream.close().await;
        };
        let refusal = if !self.rates.take(peer, rated, Instant::now()) {
            Some(too_many(rated))
        } else if length > limit {
            Some(too_long(rated))
        } else if !slot.hold(length) {
            return Err(io::ErrorKind::QuotaExceeded.into());
        } else {
            None
        };
        let answer = match refusal {
            Some(refusal) => {
                frame::discard(&mut stream, length.min(MAX_DISCARDED_BYTES)).await?;
                refusal
            }
            None => {
                let request = frame::read_body(&mut stream, length, limit).await?;
                self.answer(peer, rated, &request).await
            }
        };
        match answer {
            Some(answer) => finish(&mut stream, &answer).await,
            None => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// The encoded answer to a request; none when the protocol has no words for what is wrong with it.
    async fn answer(&self, peer: PeerId, rated: Rated, request: &[u8]) -> Option<Vec<u8>> {
        match rated {
            Rated::Filter => encoded(&self.filter.answer(peer, request, Instant::now())),
            Rated::Lightpush => encoded(&lightpush::answer(&self.delivery, request).await),
            Rated::Store => encoded(&store::answer(&self.archive, request).await),
            Rated::Metadata => encoded(&metadata::answer(self.sharding, request)?),
        }
    }
}

/// The answer is on its way and our side closed: js-waku reads to the end.
async fn finish(stream: &mut Stream, answer: &[u8]) -> io::Result<()> {
    frame::write(stream, answer).await?;
    tokio::time::timeout(frame::FRAME_TIMEOUT, stream.close())
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn too_many(rated: Rated) -> Option<Vec<u8>> {
    let (id, why) = ("N/A".to_owned(), "too many requests");
    match rated {
        Rated::Filter => encoded(&filter::response(id, filter::TOO_MANY_REQUESTS, why)),
        Rated::Lightpush => encoded(&lightpush::refusal(id, lightpush::TOO_MANY_REQUESTS, why)),
        Rated::Store => encoded(&store::refusal(id, store::TOO_MANY_REQUESTS, why)),
        Rated::Metadata => None,
    }
}

fn too_long(rated: Rated) -> Option<Vec<u8>> {
    let id = "N/A".to_owned();
    match rated {
        Rated::Lightpush => encoded(&lightpush::refusal(id, lightpush::TOO_LARGE, "request is too large")),
        _ => None,
    }
}

fn encoded(message: &impl Message) -> Option<Vec<u8>> {
    Some(frame::encode(message))
}
