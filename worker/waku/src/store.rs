//! 13/WAKU2-STORE, version 3, the service side: what may be asked of the archive, and the answer on the wire.

use libp2p::StreamProtocol;
use prost::Message as _;

use crate::{
    archive::{Archive, Criteria, Direction, Page},
    error::{Error, ErrorKind},
    message::{MAX_CONTENT_TOPIC_BYTES, MessageHash},
    proto,
};

pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/vac/waku/store-query/3.0.0");

/// The largest request read, in bytes: some hundred hashes or topics.
pub(crate) const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// Messages on a page when the query does not say (RFC).
const DEFAULT_PAGE: u64 = 20;
/// Messages on a page at most (RFC).
const MAX_PAGE: u64 = 100;
/// Content topics of one query (filter's limit; nwaku has none without a cursor).
const MAX_TOPICS: usize = 100;
/// Content topics of a query with a cursor (nwaku).
const MAX_TOPICS_WITH_CURSOR: usize = 10;
/// Hashes of one query: more than a page is of no use.
const MAX_HASHES: usize = 1000;

const OK: u32 = 200;
const BAD_REQUEST: u32 = 400;
pub(crate) const TOO_MANY_REQUESTS: u32 = 429;
const UNAVAILABLE: u32 = 503;

/// Answers one query.
pub(crate) async fn answer(archive: &Archive, request: &[u8]) -> proto::StoreQueryResponse {
    let Ok(request) = proto::StoreQueryRequest::decode(request) else {
        return refusal("N/A".into(), BAD_REQUEST, "request cannot be decoded");
    };
    match query(archive, &request).await {
        Ok(page) => accept(&request, page),
        Err(error) => {
            let status = match error.kind() {
                ErrorKind::InvalidQuery(_) => BAD_REQUEST,
                _ => UNAVAILABLE,
            };
            let description = match error.kind() {
                ErrorKind::InvalidQuery(rule) => rule.clone(),
                kind => kind.to_string(),
            };
            refusal(request.request_id, status, &description)
        }
    }
}

/// An answer that says why there is no page.
pub(crate) fn refusal(request_id: String, status: u32, description: &str) -> proto::StoreQueryResponse {
    proto::StoreQueryResponse {
        request_id,
        status_code: Some(status),
        status_desc: Some(description.to_owned()),
        ..proto::StoreQueryResponse::default()
    }
}

async fn query(archive: &Archive, request: &proto::StoreQueryRequest) -> Result<Page, Error> {
    let invalid = |rule: &str| Error::from(ErrorKind::InvalidQuery(rule.to_owned()));
    let criteria = criteria(request).map_err(invalid)?;
    let cursor = match request.pagination_cursor.as_deref() {
        None | Some([]) => None,
        Some(bytes) => Some(hash(bytes).ok_or_else(|| invalid("cursor not found"))?),
    };
    if cursor.is_some() && criteria.content_topics.len() > MAX_TOPICS_WITH_CURSOR {
        return Err(invalid("more than 10 content topics with a cursor"));
    }
    let direction = if request.pagination_forward { Direction::Forward } else { Direction::Backward };
    let limit = match request.pagination_limit {
        None | Some(0) => DEFAULT_PAGE,
        Some(limit) => limit.min(MAX_PAGE),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    // The text is looked for by js-waku.
    archive.page(&criteria, cursor, direction, limit).await?.ok_or_else(|| invalid("cursor not found"))
}

fn criteria(request: &proto::StoreQueryRequest) -> Result<Criteria, &'static str> {
    let pubsub_topic = request.pubsub_topic.clone().filter(|topic| !topic.is_empty());
    let by_content = pubsub_topic.is_some() || !request.content_topics.is_empty();
    let by_time = request.time_start.is_some() || request.time_end.is_some();
    if !request.message_hashes.is_empty() {
        if by_content || by_time {
            return Err("message hashes exclude all other criteria");
        }
        if request.message_hashes.len() > MAX_HASHES {
            return Err("too many message hashes");
        }
        let hashes: Option<Vec<MessageHash>> = request.message_hashes.iter().map(|bytes| hash(bytes)).collect();
        return Ok(Criteria { hashes: hashes.ok_or("a message hash has 32 bytes")?, ..Criteria::default() });
    }
    if pubsub_topic.is_some() == request.content_topics.is_empty() {
        return Err("pubsub topic and content topics go together");
    }
    if request.content_topics.len() > MAX_TOPICS {
        return Err("more than 100 content topics");
    }
    let long = |topic: &String| topic.len() > MAX_CONTENT_TOPIC_BYTES;
    if request.content_topics.iter().any(long) || pubsub_topic.as_ref().is_some_and(long) {
        return Err("topic too long");
    }
    Ok(Criteria {
        pubsub_topic,
        content_topics: request.content_topics.clone(),
        // 0 is js-waku's way to say nothing.
        time_start: request.time_start.filter(|&time| time != 0),
        time_end: request.time_end.filter(|&time| time != 0),
        hashes: Vec::new(),
    })
}

fn hash(bytes: &[u8]) -> Option<MessageHash> {
    bytes.try_into().ok().map(MessageHash)
}

fn accept(request: &proto::StoreQueryRequest, page: Page) -> proto::StoreQueryResponse {
    let edge = if request.pagination_forward { page.entries.last() } else { page.entries.first() };
    let cursor = edge.filter(|_| page.more).map(|entry| entry.hash.0.to_vec());
    let entries = page.entries.into_iter().map(|entry| proto::StoreEntry {
        message_hash: Some(entry.hash.0.to_vec()),
        message: request.include_data.then_some(entry.message),
        pubsub_topic: request.include_data.then_some(entry.pubsub_topic),
    });
    proto::StoreQueryResponse {
        request_id: request.request_id.clone(),
        status_code: Some(OK),
        status_desc: Some("OK".into()),
        messages: entries.collect(),
        pagination_cursor: cursor,
    }
}
