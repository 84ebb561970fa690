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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{archive::Retention, message::WakuMessage};

    const SHARD: &str = "/waku/2/rs/66/0";
    const TOPIC: &str = "/test/1/store/proto";
    /// Time of the first message.
    const START: i64 = 1_800_000_000_000_000_000;

    fn message(number: i64) -> WakuMessage {
        WakuMessage {
            payload: number.to_be_bytes().to_vec(),
            content_topic: TOPIC.into(),
            // Two messages share each timestamp: the hash decides between them.
            timestamp_ns: Some(START + number / 2),
            ..WakuMessage::default()
        }
    }

    fn keep(archive: &Archive, message: &WakuMessage) {
        assert!(archive.keep(message.derive_hash(SHARD), SHARD.into(), message));
    }

    async fn archive(retention: Retention) -> Archive {
        Archive::open(None, retention).await.unwrap()
    }

    /// Messages in an archive, and their hashes in the order of the store.
    async fn filled(count: i64) -> (Archive, Vec<Vec<u8>>) {
        let archive = archive(Retention { age: std::time::Duration::MAX, ..Retention::default() }).await;
        let mut order = Vec::new();
        for number in 0..count {
            let message = message(number);
            keep(&archive, &message);
            // Twice is once.
            keep(&archive, &message);
            order.push((message.timestamp_ns, message.derive_hash(SHARD)));
        }
        order.sort();
        (archive, order.into_iter().map(|(_, hash)| hash.0.to_vec()).collect())
    }

    fn request() -> proto::StoreQueryRequest {
        proto::StoreQueryRequest {
            request_id: "id".into(),
            include_data: true,
            pubsub_topic: Some(SHARD.into()),
            content_topics: vec![TOPIC.into()],
            pagination_forward: true,
            ..proto::StoreQueryRequest::default()
        }
    }

    async fn ask(archive: &Archive, request: &proto::StoreQueryRequest) -> proto::StoreQueryResponse {
        let response = answer(archive, &request.encode_to_vec()).await;
        assert_eq!(response.request_id, "id");
        response
    }

    fn hashes(response: &proto::StoreQueryResponse) -> Vec<Vec<u8>> {
        response.messages.iter().map(|entry| entry.message_hash.clone().unwrap()).collect()
    }

    #[tokio::test]
    async fn pages_follow_each_other_both_ways() {
        let (archive, all) = filled(25).await;
        for (forward, pages) in [(true, [0..10, 10..20, 20..25]), (false, [15..25, 5..15, 0..5])] {
            let mut cursor = None;
            for (number, page) in pages.into_iter().enumerate() {
                let response = ask(
                    &archive,
                    &proto::StoreQueryRequest {
                        pagination_cursor: cursor,
                        pagination_forward: forward,
                        pagination_limit: Some(10),
                        ..request()
                    },
                )
                .await;
                assert_eq!(response.status_code, Some(200));
                assert_eq!(hashes(&response), all[page.clone()], "page {number}, forward {forward}");
                let edge = if forward { page.end - 1 } else { page.start };
                let expected = (number < 2).then(|| all[edge].clone());
                assert_eq!(response.pagination_cursor, expected, "page {number}, forward {forward}");
                cursor = Some(all[edge].clone());
            }
            // js-waku goes on from the last page until an empty one.
            let end = proto::StoreQueryRequest { pagination_cursor: cursor, pagination_forward: forward, ..request() };
            let response = ask(&archive, &end).await;
            assert_eq!((response.status_code, response.messages.len()), (Some(200), 0));
            assert_eq!(response.pagination_cursor, None);
        }
    }

    #[tokio::test]
    async fn limits_and_exact_pages() {
        let (archive, all) = filled(120).await;
        for (limit, expected, more) in
            [(None, 20, true), (Some(0), 20, true), (Some(1), 1, true), (Some(u64::MAX), 100, true)]
        {
            let response = ask(&archive, &proto::StoreQueryRequest { pagination_limit: limit, ..request() }).await;
            assert_eq!(response.messages.len(), expected, "{limit:?}");
            assert_eq!(response.pagination_cursor.is_some(), more, "{limit:?}");
        }
        let last = proto::StoreQueryRequest {
            pagination_cursor: Some(all[19].clone()),
            pagination_limit: Some(100),
            ..request()
        };
        let response = ask(&archive, &last).await;
        assert_eq!(response.messages.len(), 100);
        assert_eq!(response.pagination_cursor, None, "a full page may be the last");
    }

    #[tokio::test]
    async fn times_hashes_and_data() {
        let (archive, all) = filled(10).await;
        let times = proto::StoreQueryRequest { time_start: Some(START + 1), time_end: Some(START + 3), ..request() };
        assert_eq!(hashes(&ask(&archive, &times).await), all[2..6], "start inclusive, end exclusive");
        let reversed = proto::StoreQueryRequest { time_start: Some(START + 3), time_end: Some(START), ..request() };
        assert_eq!(ask(&archive, &reversed).await.messages.len(), 0);
        let other = proto::StoreQueryRequest { pubsub_topic: Some("/waku/2/rs/66/1".into()), ..request() };
        assert_eq!(ask(&archive, &other).await.messages.len(), 0, "another shard");
        let by_hash = proto::StoreQueryRequest {
            pubsub_topic: None,
            content_topics: Vec::new(),
            message_hashes: vec![all[7].clone(), vec![0; 32], all[1].clone()],
            include_data: false,
            ..request()
        };
        let response = ask(&archive, &by_hash).await;
        assert_eq!(hashes(&response), [all[1].clone(), all[7].clone()]);
        let bare = |entry: &proto::StoreEntry| entry.message.is_none() && entry.pubsub_topic.is_none();
        assert!(response.messages.iter().all(bare));
        let whole = |entry: &proto::StoreEntry| entry.message.is_some() && entry.pubsub_topic.as_deref() == Some(SHARD);
        assert!(ask(&archive, &request()).await.messages.iter().all(whole));
    }

    #[tokio::test]
    async fn queries_that_break_rules_are_refused() {
        let (archive, all) = filled(2).await;
        let cases = [
            proto::StoreQueryRequest { content_topics: Vec::new(), ..request() },
            proto::StoreQueryRequest { pubsub_topic: None, ..request() },
            proto::StoreQueryRequest { message_hashes: vec![all[0].clone()], ..request() },
            proto::StoreQueryRequest { content_topics: vec![TOPIC.into(); 101], ..request() },
            proto::StoreQueryRequest {
                content_topics: vec![TOPIC.into(); 11],
                pagination_cursor: Some(all[0].clone()),
                ..request()
            },
            proto::StoreQueryRequest {
                pubsub_topic: None,
                content_topics: Vec::new(),
                message_hashes: vec![vec![1; 31]],
                ..request()
            },
        ];
        for case in cases {
            let response = ask(&archive, &case).await;
            assert_eq!((response.status_code, response.messages.len()), (Some(400), 0), "{case:?}");
        }
        for cursor in [vec![0; 32], vec![1; 5]] {
            let case = proto::StoreQueryRequest { pagination_cursor: Some(cursor), ..request() };
            let response = ask(&archive, &case).await;
            assert_eq!(response.status_code, Some(400));
            assert_eq!(response.status_desc.as_deref(), Some("cursor not found"));
        }
        assert_eq!(answer(&archive, &[0xff]).await.status_code, Some(400));
    }

    #[tokio::test]
    async fn what_exceeds_the_retention_goes_oldest_first() {
        let age = std::time::Duration::MAX;
        let few = archive(Retention { age, messages: 5, ..Retention::default() }).await;
        let light = archive(Retention { age, bytes: 300, ..Retention::default() }).await;
        let mut newest = 0;
        for number in 0..40 {
            keep(&few, &message(number * 2));
            keep(&light, &message(number * 2));
            newest = START + number;
        }
        let times = |response: proto::StoreQueryResponse| -> Vec<i64> {
            response.messages.iter().map(|entry| entry.message.as_ref().unwrap().timestamp.unwrap()).collect()
        };
        let left = times(ask(&few, &request()).await);
        assert_eq!(left, (newest - 4..=newest).collect::<Vec<_>>());
        let left = times(ask(&light, &request()).await);
        assert!((1..=10).contains(&left.len()) && left.last() == Some(&newest), "{left:?}");
    }

    #[tokio::test]
    async fn a_page_is_small_enough_for_a_client() {
        let archive = archive(Retention { age: std::time::Duration::MAX, ..Retention::default() }).await;
        for number in 0..40 {
            keep(&archive, &WakuMessage { payload: vec![1; 140_000], ..message(number * 2) });
        }
        let all = proto::StoreQueryRequest { pagination_limit: Some(100), ..request() };
        let response = ask(&archive, &all).await;
        assert!(response.encoded_len() < 4 * 1024 * 1024);
        assert!((10..40).contains(&response.messages.len()));
        assert_eq!(response.pagination_cursor, hashes(&response).last().cloned());
    }
}
