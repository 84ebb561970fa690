//! The protobuf messages of the Waku protocols, written by hand from the specifications: field numbers are the wire
//! format, names are the specifications' own.

#![allow(missing_docs)]

/// 14/WAKU2-MESSAGE. The rate limiting proof (field 21) has no use in a network without RLN and is dropped.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WakuMessage {
    #[prost(bytes = "vec", tag = "1")]
    pub payload: Vec<u8>,
    #[prost(string, tag = "2")]
    pub content_topic: String,
    #[prost(uint32, optional, tag = "3")]
    pub version: Option<u32>,
    #[prost(sint64, optional, tag = "10")]
    pub timestamp: Option<i64>,
    #[prost(bytes = "vec", optional, tag = "11")]
    pub meta: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "31")]
    pub ephemeral: Option<bool>,
}

/// 12/WAKU2-FILTER. The kind is read as a plain number, so that an unknown one can be answered.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FilterSubscribeRequest {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(int32, tag = "2")]
    pub filter_subscribe_type: i32,
    #[prost(string, optional, tag = "10")]
    pub pubsub_topic: Option<String>,
    #[prost(string, repeated, tag = "11")]
    pub content_topics: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FilterSubscribeResponse {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(uint32, tag = "10")]
    pub status_code: u32,
    #[prost(string, optional, tag = "11")]
    pub status_desc: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MessagePush {
    #[prost(message, optional, tag = "1")]
    pub waku_message: Option<WakuMessage>,
    #[prost(string, optional, tag = "2")]
    pub pubsub_topic: Option<String>,
}

/// 19/WAKU2-LIGHTPUSH, version 3.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LightpushRequest {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(string, optional, tag = "20")]
    pub pubsub_topic: Option<String>,
    #[prost(message, optional, tag = "21")]
    pub message: Option<WakuMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LightpushResponse {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(uint32, tag = "10")]
    pub status_code: u32,
    #[prost(string, optional, tag = "11")]
    pub status_desc: Option<String>,
    #[prost(uint32, optional, tag = "12")]
    pub relay_peer_count: Option<u32>,
}

/// 13/WAKU2-STORE, version 3.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StoreQueryRequest {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(bool, tag = "2")]
    pub include_data: bool,
    #[prost(string, optional, tag = "10")]
    pub pubsub_topic: Option<String>,
    #[prost(string, repeated, tag = "11")]
    pub content_topics: Vec<String>,
    #[prost(sint64, optional, tag = "12")]
    pub time_start: Option<i64>,
    #[prost(sint64, optional, tag = "13")]
    pub time_end: Option<i64>,
    #[prost(bytes = "vec", repeated, tag = "20")]
    pub message_hashes: Vec<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "51")]
    pub pagination_cursor: Option<Vec<u8>>,
    #[prost(bool, tag = "52")]
    pub pagination_forward: bool,
    #[prost(uint64, optional, tag = "53")]
    pub pagination_limit: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StoreEntry {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub message_hash: Option<Vec<u8>>,
    #[prost(message, optional, tag = "2")]
    pub message: Option<WakuMessage>,
    #[prost(string, optional, tag = "3")]
    pub pubsub_topic: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StoreQueryResponse {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(uint32, optional, tag = "10")]
    pub status_code: Option<u32>,
    #[prost(string, optional, tag = "11")]
    pub status_desc: Option<String>,
    #[prost(message, repeated, tag = "20")]
    pub messages: Vec<StoreEntry>,
    #[prost(bytes = "vec", optional, tag = "51")]
    pub pagination_cursor: Option<Vec<u8>>,
}

/// 66/WAKU2-METADATA, request and response alike. js-waku cannot read packed shards, nwaku writes both forms.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Metadata {
    #[prost(uint32, optional, tag = "1")]
    pub cluster_id: Option<u32>,
    #[prost(uint32, repeated, packed = "false", tag = "2")]
    pub shards: Vec<u32>,
    #[prost(uint32, repeated, tag = "3")]
    pub packed_shards: Vec<u32>,
}
