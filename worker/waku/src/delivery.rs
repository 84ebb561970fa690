//! One message's way through the node: judged once, then to the store, the filter subscribers, the node's own
//! subscribers and the relay network. Gossipsub returns no publication to its publisher, so all of it starts here.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{broadcast, mpsc, oneshot};

use crate::{
    archive::Archive,
    error::{Error, ErrorKind},
    filter::Filter,
    message::{self, MessageHash, WakuMessage},
    network::Command,
    sharding::Sharding,
};

/// Messages one local reader may fall behind before it loses the oldest: a provider under a burst of requests.
const MAX_WAITING_MESSAGES: usize = 512;
/// How long a message is known to have been delivered already: gossipsub's seen cache.
const SEEN_FOR: Duration = Duration::from_secs(120);
/// Hashes remembered of each half of that time: 4 MiB.
const MAX_SEEN: usize = 64 * 1024;

/// Where messages go.
pub(crate) struct Delivery {
    sharding: Sharding,
    archive: Archive,
    filter: Arc<Filter>,
    commands: mpsc::Sender<Command>,
    seen: Mutex<Seen>,
    subscriptions: Mutex<HashMap<(u16, String), Readers>>,
}

/// The node's own subscribers of one content topic.
type Readers = broadcast::Sender<Arc<WakuMessage>>;

/// How a publication went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    /// How many relay peers took it.
    pub(crate) relayed: u32,
    /// Whether this node's store or a subscriber of this node has it.
    pub(crate) heard: bool,
}

impl Delivery {
    pub(crate) fn new(
        sharding: Sharding,
        archive: Archive,
        filter: Arc<Filter>,
        commands: mpsc::Sender<Command>,
    ) -> Self {
        Self {
            sharding,
            archive,
            filter,
            commands,
            seen: Mutex::new(Seen::new(Instant::now())),
            subscriptions: Mutex::default(),
        }
    }

    pub(crate) fn sharding(&self) -> Sharding {
        self.sharding
    }

    /// Judges and delivers a message of this node or of a light client. One that was delivered before is a success:
    /// js-waku pushes to two connected nodes and retries.
    pub(crate) async fn publish(&self, shard: u16, mut message: WakuMessage) -> Result<Published, Error> {
        if !self.sharding.contains(shard) {
            return Err(ErrorKind::UnknownShard(shard).into());
        }
        let now_ns = message::now_ns();
        message.timestamp_ns.get_or_insert(now_ns);
        message.check_form()?;
        if !message.is_timely(now_ns) {
            let rule = "timestamp is more than 120 s from the clock of the node";
            return Err(ErrorKind::InvalidMessage(rule.into()).into());
        }
        let heard = self.deliver(shard, &message);
        let (reply, relayed) = oneshot::channel();
        self.commands
            .send(Command::Publish {
                pubsub_topic: self.sharding.pubsub_topic(shard),
                encoded: message.encode(),
                reply,
            })
            .await
            .map_err(|_| Error::from(ErrorKind::Closed))?;
        let relayed = relayed.await.map_err(|_| Error::from(ErrorKind::Closed))?;
        if relayed == 0 && !heard {
            // Nobody has it: a retry is no duplicate.
            let hash = message.derive_hash(&self.sharding.pubsub_topic(shard));
            self.seen().remove(&hash);
        }
        Ok(Published { relayed, heard })
    }

    /// Hands a judged message to the store and all subscribers, once; true when one of them has it, now or before.
    pub(crate) fn deliver(&self, shard: u16, message: &WakuMessage) -> bool {
        let pubsub_topic = self.sharding.pubsub_topic(shard);
        let hash = message.derive_hash(&pubsub_topic);
        let now = Instant::now();
        if !self.seen().insert(hash, now) {
            return true;
        }
        let stored = !message.ephemeral && self.archive.keep(hash, pubsub_topic, message);
        let pushed = self.filter.push(shard, message, now);
        let read = self.tell_own(shard, message);
        stored || pushed || read
    }

    /// Every message of a content topic from now on.
    pub(crate) fn subscribe(&self, shard: u16, content_topic: String) -> broadcast::Receiver<Arc<WakuMessage>> {
        let mut subscriptions = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        // Topics nobody reads any more go when a new one comes: their number is the owner's doing.
        subscriptions.retain(|_, sender| sender.receiver_count() > 0);
        subscriptions
            .entry((shard, content_topic))
            .or_insert_with(|| broadcast::channel(MAX_WAITING_MESSAGES).0)
            .subscribe()
    }

    /// Ends all local subscriptions, so that their readers learn of the shutdown.
    pub(crate) fn close(&self) {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn tell_own(&self, shard: u16, message: &WakuMessage) -> bool {
        let subscriptions = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner);
        subscriptions
            .get(&(shard, message.content_topic.clone()))
            .is_some_and(|sender| sender.send(Arc::new(message.clone())).is_ok())
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The messages of the last minutes, in two halves: the older one goes as a whole.
struct Seen {
    newer: HashSet<MessageHash>,
    older: HashSet<MessageHash>,
    turned: Instant,
}

impl Seen {
    fn new(now: Instant) -> Self {
        Self { newer: HashSet::new(), older: HashSet::new(), turned: now }
    }

    /// Remembers a message; false when it is known.
    fn insert(&mut self, hash: MessageHash, now: Instant) -> bool {
        if now.saturating_duration_since(self.turned) >= SEEN_FOR || self.newer.len() >= MAX_SEEN {
            self.older = mem::take(&mut self.newer);
            self.turned = now;
        }
        !self.older.contains(&hash) && self.newer.insert(hash)
    }

    fn remove(&mut self, hash: &MessageHash) {
        self.newer.remove(hash);
        self.older.remove(hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: usize) -> MessageHash {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        MessageHash(bytes)
    }

    #[test]
    fn a_message_is_new_once_in_two_minutes() {
        let start = Instant::now();
        let mut seen = Seen::new(start);
        assert!(seen.insert(hash(1), start));
        assert!(!seen.insert(hash(1), start + SEEN_FOR - Duration::from_secs(1)));
        assert!(!seen.insert(hash(1), start + SEEN_FOR), "still in the older half");
        assert!(seen.insert(hash(1), start + SEEN_FOR * 2), "forgotten");
    }

    #[test]
    fn a_flood_of_messages_stays_bounded() {
        let start = Instant::now();
        let mut seen = Seen::new(start);
        for number in 0..MAX_SEEN * 3 {
            assert!(seen.insert(hash(number), start));
        }
        assert!(seen.newer.len() <= MAX_SEEN && seen.older.len() <= MAX_SEEN);
    }
}
