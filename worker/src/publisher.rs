//! The way out: publications leave in the order the machine gave them, and a busy network never stops the serve loop.

use privacyai::effect::Publication;
use privacyai_waku::{ErrorKind, Node, WakuMessage};
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, task::JoinHandle};

/// Publications on their way: two seconds of a full worker. Frames beyond it are lost, and clients ask for them again.
const QUEUE: usize = 1_024;
/// Tries while the node says that it is busy.
const TRIES: u32 = 4;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(25);
/// The log tells of lost publications once in so many.
const TELL_EVERY: u64 = 256;

/// Hands publications to the node.
pub(crate) struct Publisher {
    queue: mpsc::Sender<(u16, WakuMessage)>,
    task: JoinHandle<()>,
    lost: u64,
}

impl Publisher {
    /// Starts the task that hands over.
    pub fn start(node: Arc<Node>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        Self { queue, task: tokio::spawn(hand_over(node, waiting)), lost: 0 }
    }

    /// Puts one in the queue, or drops it where the queue is full.
    pub fn publish(&mut self, publication: &Publication) {
        if self.queue.try_send((publication.shard(), message(publication))).is_err() {
            if self.lost.is_multiple_of(TELL_EVERY) {
                tracing::warn!(lost = self.lost + 1, "the network takes no more; publications are dropped");
            }
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// Waits until all that waits has left, at most `patience`.
    pub async fn finish(self, patience: Duration) {
        drop(self.queue);
        if tokio::time::timeout(patience, self.task).await.is_err() {
            tracing::warn!("the last publications did not leave in time");
        }
    }
}

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

async fn hand_over(node: Arc<Node>, mut waiting: mpsc::Receiver<(u16, WakuMessage)>) {
    while let Some((shard, message)) = waiting.recv().await {
        for attempt in 1..=TRIES {
            let Err(error) = node.publish(shard, message.clone()).await else { break };
            match error.kind() {
                ErrorKind::Busy if attempt < TRIES => tokio::time::sleep(PAUSE).await,
                ErrorKind::Closed => return,
                _ => {
                    tracing::warn!(%error, "a publication was not taken");
                    break;
                }
            }
        }
    }
}
