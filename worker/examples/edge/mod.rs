//! What the examples that speak by themselves carry out for the worker's machine.

use privacyai::effect::{Millis, Publication};
use privacyai_waku::WakuMessage;
use std::time::{SystemTime, UNIX_EPOCH};

/// A publication as the node takes it.
pub fn message(publication: &Publication) -> WakuMessage {
    WakuMessage {
        payload: publication.payload().to_vec(),
        content_topic: publication.content_topic().to_owned(),
        version: 0,
        timestamp_ns: i64::try_from(publication.timestamp_ns()).ok(),
        meta: Vec::new(),
        ephemeral: publication.ephemeral(),
    }
}

/// The wall clock.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
