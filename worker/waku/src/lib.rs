//! A Waku v2 service node on rust-libp2p: relay (11), filter (12), lightpush (19), store (13) and metadata (66) of the
//! Waku specifications, over static shards of one cluster, for unmodified js-waku clients.
//!
//! It knows topics and bytes: nothing of what they mean. No RLN, no peer exchange, no discovery.

mod node;

mod network;

mod behaviour;
mod limits;
mod redial;
mod streams;

mod service;

mod frame;
mod proto;

mod delivery;
mod filter;
mod lightpush;
mod metadata;
mod relay;
mod store;

mod archive;
mod message;
mod sharding;

mod error;

pub use archive::Retention;
pub use error::{Error, ErrorKind};
pub use limits::Limits;
pub use message::{
    MAX_CLOCK_SKEW, MAX_CONTENT_TOPIC_BYTES, MAX_MESSAGE_BYTES, MAX_META_BYTES, MessageHash, WakuMessage,
};
pub use node::{Messages, Node, NodeConfig, PeerInfo};
