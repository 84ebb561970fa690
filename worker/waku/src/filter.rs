//! 12/WAKU2-FILTER, the service side: who asked for which content topics, and one long-lived push stream for each.
//!
//! js-waku never closes a push stream and takes no more than 100 of them, so a stream for each message would end all
//! pushes after a hundred.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use libp2p::{PeerId, Stream, StreamProtocol};
use prost::Message as _;
use tokio::sync::mpsc;

use crate::{
    frame,
    message::{MAX_CONTENT_TOPIC_BYTES, WakuMessage},
    proto,
    sharding::Sharding,
    streams::Opener,
};

pub(crate) const SUBSCRIBE_PROTOCOL: StreamProtocol = StreamProtocol::new("/vac/waku/filter-subscribe/2.0.0-beta1");
pub(crate) const PUSH_PROTOCOL: StreamProtocol = StreamProtocol::new("/vac/waku/filter-push/2.0.0-beta1");

/// The largest request read, in bytes: a hundred topics of the longest kind, twice over.
pub(crate) const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// A subscription ends this long after its last request or ping (RFC; js pings each minute).
pub(crate) const TIME_TO_LIVE: Duration = Duration::from_secs(300);
/// Content topics in one request (RFC).
const MAX_TOPICS_PER_REQUEST: usize = 100;
/// Topics one peer is subscribed to (nwaku, go-waku).
const MAX_CRITERIA_PER_PEER: usize = 1000;
/// Messages waiting for one subscriber, a few seconds of a streamed answer.
const MAX_WAITING_PUSHES: usize = 2048;
/// Bytes waiting for one subscriber: forty messages of the largest kind.
const MAX_WAITING_BYTES: usize = 6 * 1024 * 1024;
/// Pushes lost in a row before a subscriber is given up: it does not read.
const MAX_LOST_PUSHES: usize = 4096;

const OK: u32 = 200;
const BAD_REQUEST: u32 = 400;
const NOT_FOUND: u32 = 404;
pub(crate) const TOO_MANY_REQUESTS: u32 = 429;
const UNAVAILABLE: u32 = 503;

type Criterion = (u16, String);

/// All filter subscriptions of a node.
pub(crate) struct Filter {
    sharding: Sharding,
    opener: Opener,
    max_peers: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    subscribers: HashMap<PeerId, Subscriber>,
    /// Who is subscribed to a criterion: every message asks.
    interested: HashMap<Criterion, HashSet<PeerId>>,
}

struct Subscriber {
    criteria: HashSet<Criterion>,
    refreshed: Instant,
    queue: mpsc::Sender<Arc<[u8]>>,
    waiting_bytes: Arc<AtomicUsize>,
    lost: usize,
}

impl Filter {
    pub(crate) fn new(sharding: Sharding, opener: Opener, max_peers: usize) -> Arc<Self> {
        Arc::new(Self { sharding, opener, max_peers, state: Mutex::default() })
    }

    /// Carries out one request of a peer and says how it went.
    pub(crate) fn answer(
        self: &Arc<Self>,
        peer: PeerId,
        request: &[u8],
        now: Instant,
    ) -> proto::FilterSubscribeResponse {
        match proto::FilterSubscribeRequest::decode(request) {
            Ok(request) => {
                let (status, description) = self.carry_out(peer, &request, now);
                response(request.request_id, status, description)
            }
            Err(_) => response("N/A".into(), BAD_REQUEST, "request cannot be decoded"),
        }
    }

    fn carry_out(
        self: &Arc<Self>,
        peer: PeerId,
        request: &proto::FilterSubscribeRequest,
        now: Instant,
    ) -> (u32, &'static str) {
        match request.filter_subscribe_type {
            0 => self.state().refresh(peer, now),
            1 => match self.criteria(request) {
                Ok(criteria) => self.subscribe(peer, criteria, now),
                Err(description) => (BAD_REQUEST, description),
            },
            2 => match self.criteria(request) {
                Ok(criteria) => self.state().unsubscribe(peer, &criteria, now),
                Err(description) => (BAD_REQUEST, description),
            },
            3 => {
                if self.state().remove(peer) {
                    (OK, "OK")
                } else {
                    (NOT_FOUND, "peer has no subscriptions")
                }
            }
            _ => (BAD_REQUEST, "unknown kind of request"),
        }
    }

    fn criteria(&self, request: &proto::FilterSubscribeRequest) -> Result<Vec<Criterion>, &'static str> {
        let pubsub_topic = request.pubsub_topic.as_deref().unwrap_or_default();
        if pubsub_topic.is_empty() || request.content_topics.is_empty() {
            return Err("pubsub topic and content topics are required");
        }
        if request.content_topics.len() > MAX_TOPICS_PER_REQUEST {
            return Err("more than 100 content topics");
        }
        let shard = self.sharding.parse(pubsub_topic).ok_or("unsupported pubsub topic")?;
        let fits = |topic: &String| !topic.is_empty() && topic.len() <= MAX_CONTENT_TOPIC_BYTES;
        if !request.content_topics.iter().all(fits) {
            return Err("content topic empty or too long");
        }
        let topics = request.content_topics.iter();
        Ok(topics.map(|topic| (shard, topic.clone())).collect())
    }

    fn subscribe(self: &Arc<Self>, peer: PeerId, criteria: Vec<Criterion>, now: Instant) -> (u32, &'static str) {
        let mut state = self.state();
        let State { subscribers, interested } = &mut *state;
        if !subscribers.contains_key(&peer) && subscribers.len() >= self.max_peers {
            return (UNAVAILABLE, "node has reached its number of subscribers");
        }
        let subscriber = subscribers.entry(peer).or_insert_with(|| {
            let (queue, pushes) = mpsc::channel(MAX_WAITING_PUSHES);
            let waiting_bytes = Arc::new(AtomicUsize::new(0));
            tokio::spawn(push_all(Arc::downgrade(self), self.opener.clone(), peer, pushes, waiting_bytes.clone()));
            Subscriber { criteria: HashSet::new(), refreshed: now, queue, waiting_bytes, lost: 0 }
        });
        subscriber.refreshed = now;
        let new: HashSet<&Criterion> =
            criteria.iter().filter(|criterion| !subscriber.criteria.contains(*criterion)).collect();
        if subscriber.criteria.len() + new.len() > MAX_CRITERIA_PER_PEER {
            return (UNAVAILABLE, "peer has reached its number of topics");
        }
        for criterion in criteria {
            interested.entry(criterion.clone()).or_default().insert(peer);
            subscriber.criteria.insert(criterion);
        }
        (OK, "OK")
    }

    /// Queues a message for every subscriber of its topic; true when there is one.
    pub(crate) fn push(&self, shard: u16, message: &WakuMessage, now: Instant) -> bool {
        let mut state = self.state();
        let State { subscribers, interested } = &mut *state;
        let Some(peers) = interested.get(&(shard, message.content_topic.clone())) else {
            return false;
        };
        let encoded: Arc<[u8]> = frame::encode(&proto::MessagePush {
            waku_message: Some(message.to_proto()),
            pubsub_topic: Some(self.sharding.pubsub_topic(shard)),
        })
        .into();
        let mut pushed = false;
        let mut given_up = Vec::new();
        for peer in peers {
            let Some(subscriber) = subscribers.get_mut(peer) else {
                continue;
            };
            if now.saturating_duration_since(subscriber.refreshed) > TIME_TO_LIVE {
                given_up.push(*peer);
                continue;
            }
            if subscriber.queue(&encoded) {
                pushed = true;
            } else if subscriber.lost >= MAX_LOST_PUSHES {
                given_up.push(*peer);
            }
        }
        for peer in given_up {
            state.remove(peer);
        }
        pushed
    }

    /// Ends all subscriptions of a peer that has left.
    pub(crate) fn remove(&self, peer: PeerId) {
        self.state().remove(peer);
    }

    /// Ends the subscriptions that nobody refreshed in time.
    pub(crate) fn expire(&self, now: Instant) {
        let mut state = self.state();
        let expired: Vec<PeerId> = state
            .subscribers
            .iter()
            .filter(|(_, subscriber)| now.saturating_duration_since(subscriber.refreshed) > TIME_TO_LIVE)
            .map(|(peer, _)| *peer)
            .collect();
        for peer in expired {
            state.remove(peer);
        }
    }

    /// Ends a peer's subscriptions when they are still those of this queue.
    fn remove_queue(&self, peer: PeerId, waiting_bytes: &Arc<AtomicUsize>) {
        let mut state = self.state();
        if state.subscribers.get(&peer).is_some_and(|subscriber| Arc::ptr_eq(&subscriber.waiting_bytes, waiting_bytes))
        {
            state.remove(peer);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn refresh(&mut self, peer: PeerId, now: Instant) -> (u32, &'static str) {
        match self.live(peer, now) {
            Some(subscriber) => {
                subscriber.refreshed = now;
                (OK, "OK")
            }
            None => (NOT_FOUND, "peer has no subscriptions"),
        }
    }

    fn unsubscribe(&mut self, peer: PeerId, criteria: &[Criterion], now: Instant) -> (u32, &'static str) {
        let Some(subscriber) = self.live(peer, now) else {
            return (NOT_FOUND, "peer has no subscriptions");
        };
        subscriber.refreshed = now;
        let mut found = false;
        for criterion in criteria {
            found |= subscriber.criteria.remove(criterion);
        }
        let none_left = subscriber.criteria.is_empty();
        for criterion in criteria {
            self.forget(peer, criterion);
        }
        if none_left {
            self.remove(peer);
        }
        if found { (OK, "OK") } else { (NOT_FOUND, "peer has no such subscription") }
    }

    /// A peer's subscriptions, unless they have expired.
    fn live(&mut self, peer: PeerId, now: Instant) -> Option<&mut Subscriber> {
        let refreshed = self.subscribers.get(&peer)?.refreshed;
        if now.saturating_duration_since(refreshed) > TIME_TO_LIVE {
            self.remove(peer);
            return None;
        }
        self.subscribers.get_mut(&peer)
    }

    fn remove(&mut self, peer: PeerId) -> bool {
        let Some(subscriber) = self.subscribers.remove(&peer) else {
            return false;
        };
        for criterion in &subscriber.criteria {
            self.forget(peer, criterion);
        }
        true
    }

    fn forget(&mut self, peer: PeerId, criterion: &Criterion) {
        if let Some(peers) = self.interested.get_mut(criterion) {
            peers.remove(&peer);
            if peers.is_empty() {
                self.interested.remove(criterion);
            }
        }
    }
}

impl Subscriber {
    /// Queues a push unless too much waits; a lost push is the store's to make good.
    fn queue(&mut self, encoded: &Arc<[u8]>) -> bool {
        let waiting = self.waiting_bytes.load(Ordering::Relaxed);
        let fits = waiting.saturating_add(encoded.len()) <= MAX_WAITING_BYTES;
        if fits && self.queue.try_send(encoded.clone()).is_ok() {
            self.waiting_bytes.fetch_add(encoded.len(), Ordering::Relaxed);
            self.lost = 0;
            true
        } else {
            self.lost = self.lost.saturating_add(1);
            false
        }
    }
}

/// Writes a subscriber's pushes to its one stream until it is removed or does not take them.
async fn push_all(
    filter: Weak<Filter>,
    opener: Opener,
    peer: PeerId,
    mut pushes: mpsc::Receiver<Arc<[u8]>>,
    waiting_bytes: Arc<AtomicUsize>,
) {
    let mut stream: Option<Stream> = None;
    while let Some(encoded) = pushes.recv().await {
        let sent = send(&mut stream, &opener, peer, &encoded).await;
        // Added after the push was queued, so the sum may be one push behind for a moment.
        let _ = waiting_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| Some(waiting.saturating_sub(encoded.len())));
        if !sent {
            if let Some(filter) = filter.upgrade() {
                filter.remove_queue(peer, &waiting_bytes);
            }
            return;
        }
    }
    if let Some(mut stream) = stream {
        let _ = tokio::time::timeout(frame::FRAME_TIMEOUT, futures::AsyncWriteExt::close(&mut stream)).await;
    }
}

/// Sends one push, over a new stream when there is none or the old one has ended.
async fn send(stream: &mut Option<Stream>, opener: &Opener, peer: PeerId, encoded: &[u8]) -> bool {
    if let Some(open) = stream {
        if frame::write(open, encoded).await.is_ok() {
            return true;
        }
        *stream = None;
    }
    let Ok(mut opened) = opener.open(peer, PUSH_PROTOCOL).await else {
        return false;
    };
    let sent = frame::write(&mut opened, encoded).await.is_ok();
    *stream = Some(opened);
    sent
}

/// An answer to a filter request.
pub(crate) fn response(request_id: String, status: u32, description: &str) -> proto::FilterSubscribeResponse {
    proto::FilterSubscribeResponse { request_id, status_code: status, status_desc: Some(description.to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;
    use crate::streams;

    const SHARD: &str = "/waku/2/rs/66/0";

    /// A filter whose pushes find no peer; the behaviour keeps the opener's requests waiting.
    fn filter(max_peers: usize) -> (Arc<Filter>, streams::Behaviour) {
        let sharding = Sharding::new(66, NonZeroU16::new(1).unwrap());
        let (behaviour, opener, _) = streams::Behaviour::new(&[]);
        (Filter::new(sharding, opener, max_peers), behaviour)
    }

    fn ask(filter: &Arc<Filter>, peer: PeerId, kind: i32, topics: &[String], now: Instant) -> u32 {
        let request = proto::FilterSubscribeRequest {
            request_id: "id".into(),
            filter_subscribe_type: kind,
            pubsub_topic: Some(if topics.is_empty() { String::new() } else { SHARD.into() }),
            content_topics: topics.to_vec(),
        };
        let response = filter.answer(peer, &request.encode_to_vec(), now);
        assert_eq!(response.request_id, "id");
        response.status_code
    }

    const PING: i32 = 0;
    const SUBSCRIBE: i32 = 1;
    const UNSUBSCRIBE: i32 = 2;
    const UNSUBSCRIBE_ALL: i32 = 3;

    fn topic(number: usize) -> String {
        format!("/test/1/{number}/proto")
    }

    fn message(number: usize, bytes: usize) -> WakuMessage {
        WakuMessage { payload: vec![0; bytes], content_topic: topic(number), ..WakuMessage::default() }
    }

    #[tokio::test]
    async fn subscriptions_live_while_they_are_refreshed() {
        let (filter, _behaviour) = filter(10);
        let (peer, start) = (PeerId::random(), Instant::now());
        assert_eq!(ask(&filter, peer, PING, &[], start), 404);
        assert_eq!(ask(&filter, peer, SUBSCRIBE, &[topic(1)], start), 200);
        assert!(filter.push(0, &message(1, 1), start));
        assert!(!filter.push(0, &message(2, 1), start), "another topic");
        let later = start + TIME_TO_LIVE;
        assert_eq!(ask(&filter, peer, PING, &[], later), 200, "just in time");
        filter.expire(later + TIME_TO_LIVE);
        assert!(filter.push(0, &message(1, 1), later + TIME_TO_LIVE));
        let late = later + TIME_TO_LIVE + Duration::from_secs(1);
        assert!(!filter.push(0, &message(1, 1), late), "not pushed to after its time, swept or not");
        assert_eq!(ask(&filter, peer, PING, &[], late), 404);
        assert_eq!(ask(&filter, peer, SUBSCRIBE, &[topic(1)], late), 200);
        filter.expire(late + TIME_TO_LIVE + Duration::from_secs(1));
        let state = filter.state();
        assert!(state.subscribers.is_empty() && state.interested.is_empty(), "nothing is left behind");
    }

    #[tokio::test]
    async fn requests_are_answered_by_the_rules() {
        let (filter, _behaviour) = filter(2);
        let (peer, now) = (PeerId::random(), Instant::now());
        let some = |range: std::ops::Range<usize>| range.map(topic).collect::<Vec<_>>();
        assert_eq!(filter.answer(peer, &[0xff], now).status_code, 400);
        assert_eq!(ask(&filter, peer, 9, &[topic(1)], now), 400, "unknown kind");
        assert_eq!(ask(&filter, peer, SUBSCRIBE, &[], now), 400, "no topic");
        assert_eq!(ask(&filter, peer, SUBSCRIBE, &some(0..101), now), 400, "too many topics");
        assert_eq!(ask(&filter, peer, SUBSCRIBE, &["x".repeat(257)], now), 400, "too long a topic");
        assert_eq!(ask(&filter, peer, UNSUBSCRIBE, &[topic(1)], now), 404);
        assert_eq!(ask(&filter, peer, UNSUBSCRIBE_ALL, &[], now), 404);
        for hundred in 0..10 {
            let topics = some(hundred * 100..hundred * 100 + 100);
            assert_eq!(ask(&filter, peer, SUBSCRIBE, &topics, now), 200);
        }
        assert_eq!(ask(&filter, peer, SUBSCRIBE, &some(0..100), now), 200, "known topics take no room");
        assert_eq!(ask(&filter, peer, SUBSCRIBE, &some(1000..1001), now), 503, "too many topics altogether");
        assert_eq!(ask(&filter, peer, UNSUBSCRIBE, &some(0..1), now), 200);
        assert_eq!(ask(&filter, peer, UNSUBSCRIBE, &some(0..1), now), 404, "ended before");
        assert_eq!(ask(&filter, peer, SUBSCRIBE, &some(1000..1001), now), 200);
        assert_eq!(ask(&filter, PeerId::random(), SUBSCRIBE, &some(0..1), now), 200);
        assert_eq!(ask(&filter, PeerId::random(), SUBSCRIBE, &some(0..1), now), 503, "too many peers");
        assert_eq!(ask(&filter, peer, UNSUBSCRIBE_ALL, &[], now), 200);
        assert_eq!(ask(&filter, peer, PING, &[], now), 404);
        assert_eq!(ask(&filter, PeerId::random(), SUBSCRIBE, &some(0..1), now), 200, "there is room again");
    }

    #[tokio::test]
    async fn foreign_pubsub_topics_are_refused() {
        let (filter, _behaviour) = filter(2);
        for pubsub_topic in ["/waku/2/rs/66/1", "/waku/2/rs/1/0", "nonsense"] {
            let request = proto::FilterSubscribeRequest {
                request_id: String::new(),
                filter_subscribe_type: SUBSCRIBE,
                pubsub_topic: Some(pubsub_topic.into()),
                content_topics: vec![topic(1)],
            };
            let response = filter.answer(PeerId::random(), &request.encode_to_vec(), Instant::now());
            assert_eq!(response.status_code, 400, "{pubsub_topic}");
        }
    }

    #[tokio::test]
    async fn a_subscriber_that_does_not_read_holds_little_and_is_given_up() {
        let (filter, _behaviour) = filter(2);
        let (peer, now) = (PeerId::random(), Instant::now());
        assert_eq!(ask(&filter, peer, SUBSCRIBE, &[topic(1)], now), 200);
        let large = message(1, 100 * 1024);
        let taken = (0..1000).filter(|_| filter.push(0, &large, now)).count();
        assert!(taken * 100 * 1024 <= MAX_WAITING_BYTES && taken > 50, "{taken}");
        for _ in 0..MAX_LOST_PUSHES {
            filter.push(0, &large, now);
        }
        assert!(filter.state().subscribers.is_empty());
    }
}
