//! 19/WAKU2-LIGHTPUSH, version 3, the service side: publishes what a light client hands over.

use libp2p::StreamProtocol;
use prost::Message as _;

use crate::{
    delivery::{Delivery, Published},
    error::ErrorKind,
    message::{MAX_MESSAGE_BYTES, WakuMessage},
    proto,
    relay::RPC_OVERHEAD_BYTES,
};

pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/vac/waku/lightpush/3.0.0");

/// The largest request read, in bytes.
pub(crate) const MAX_REQUEST_BYTES: usize = MAX_MESSAGE_BYTES + RPC_OVERHEAD_BYTES;

const OK: u32 = 200;
const BAD_REQUEST: u32 = 400;
pub(crate) const TOO_LARGE: u32 = 413;
const INVALID_MESSAGE: u32 = 420;
const UNSUPPORTED_PUBSUB_TOPIC: u32 = 421;
pub(crate) const TOO_MANY_REQUESTS: u32 = 429;
const UNAVAILABLE: u32 = 503;
const NO_PEERS: u32 = 505;

/// Publishes one request's message and says how it went.
pub(crate) async fn answer(delivery: &Delivery, request: &[u8]) -> proto::LightpushResponse {
    let Ok(request) = proto::LightpushRequest::decode(request) else {
        return refusal("N/A".into(), BAD_REQUEST, "request cannot be decoded");
    };
    let request_id = request.request_id;
    let (Some(pubsub_topic), Some(message)) = (request.pubsub_topic, request.message) else {
        return refusal(request_id, BAD_REQUEST, "pubsub topic and message are required");
    };
    let Some(shard) = delivery.sharding().parse(&pubsub_topic) else {
        return refusal(request_id, UNSUPPORTED_PUBSUB_TOPIC, "unsupported pubsub topic");
    };
    match delivery.publish(shard, WakuMessage::from(message)).await {
        Ok(Published { relayed: 0, heard: false }) => refusal(request_id, NO_PEERS, "nobody to hand the message to"),
        // Alone, a node still serves its own store and subscribers: that is delivery too.
        Ok(Published { relayed, .. }) => {
            proto::LightpushResponse { request_id, status_code: OK, status_desc: None, relay_peer_count: Some(relayed) }
        }
        Err(error) => {
            let status = match error.kind() {
                ErrorKind::TooLarge(_) => TOO_LARGE,
                ErrorKind::InvalidMessage(_) => INVALID_MESSAGE,
                ErrorKind::UnknownShard(_) => UNSUPPORTED_PUBSUB_TOPIC,
                _ => UNAVAILABLE,
            };
            refusal(request_id, status, &error.kind().to_string())
        }
    }
}

/// An answer that says why a message was not published.
pub(crate) fn refusal(request_id: String, status: u32, description: &str) -> proto::LightpushResponse {
    proto::LightpushResponse {
        request_id,
        status_code: status,
        status_desc: Some(description.to_owned()),
        relay_peer_count: None,
    }
}
