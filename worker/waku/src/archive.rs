//! The messages a node keeps, in one SQLite file or in memory. Writing happens in batches on a task of its own, so the
//! network never waits for a disk.

use std::{path::Path, time::Duration};

use prost::Message as _;
use sqlx::{
    QueryBuilder, Row as _, Sqlite, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::MissedTickBehavior,
};

use crate::{
    error::{Error, ErrorKind},
    message::{self, MessageHash, WakuMessage},
    proto,
};

/// How much a node keeps. What exceeds it goes, oldest first.
#[derive(Clone, Debug)]
pub struct Retention {
    /// How long a message is kept.
    pub age: Duration,
    /// How many messages are kept.
    pub messages: u64,
    /// How many bytes of encoded messages are kept.
    pub bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { age: Duration::from_secs(48 * 3600), messages: 100_000, bytes: 1 << 30 }
    }
}

/// Messages waiting for the disk; more come only when it stalls, and are not stored.
const MAX_WAITING_WRITES: usize = 2048;
/// Messages written in one transaction.
const MAX_BATCH: usize = 256;
/// How often old messages are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// Readers of the file besides the writer.
const MAX_CONNECTIONS: u32 = 4;
/// Encoded messages on one page, in bytes: js-waku refuses frames of 4 MiB.
const MAX_PAGE_BYTES: usize = 3 * 1024 * 1024;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS waku_messages (
        hash BLOB NOT NULL PRIMARY KEY,
        timestamp_ns BIGINT NOT NULL,
        pubsub_topic TEXT NOT NULL,
        content_topic TEXT NOT NULL,
        size BIGINT NOT NULL,
        message BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS waku_messages_by_time ON waku_messages (timestamp_ns, hash);
    CREATE INDEX IF NOT EXISTS waku_messages_by_topic
        ON waku_messages (content_topic, timestamp_ns, hash);
";

/// A handle to the stored messages.
#[derive(Clone)]
pub(crate) struct Archive {
    pool: SqlitePool,
    writer: mpsc::Sender<Job>,
}

enum Job {
    Keep(Row),
    Flush(oneshot::Sender<()>),
}

struct Row {
    hash: MessageHash,
    timestamp_ns: i64,
    pubsub_topic: String,
    content_topic: String,
    encoded: Vec<u8>,
}

/// Which messages to read: all criteria hold together, an empty one says nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Criteria {
    pub(crate) pubsub_topic: Option<String>,
    pub(crate) content_topics: Vec<String>,
    /// Inclusive, in nanoseconds since the Unix epoch.
    pub(crate) time_start: Option<i64>,
    /// Exclusive, in nanoseconds since the Unix epoch.
    pub(crate) time_end: Option<i64>,
    pub(crate) hashes: Vec<MessageHash>,
}

/// Which way to read, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

/// Stored messages in the order of their time, whichever way they were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    /// Whether the criteria match more messages in the direction read.
    pub(crate) more: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) hash: MessageHash,
    pub(crate) pubsub_topic: String,
    pub(crate) message: proto::WakuMessage,
}

impl Archive {
    /// Opens the file and starts its writer.
    pub(crate) async fn open(path: Option<&Path>, retention: Retention) -> Result<Self, Error> {
        let options = match path {
            Some(path) => SqliteConnectOptions::new()
                .filename(path)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Normal)
                .busy_timeout(Duration::from_secs(10)),
            None => SqliteConnectOptions::new().in_memory(true),
        };
        // A database in memory is its connection: there is one, and it stays. No `min_connections`: the pool would open
        // two at once, and where both turn a new file to WAL one is told "database is locked" without any wait.
        let connections = if path.is_some() { MAX_CONNECTIONS } else { 1 };
        let pool = SqlitePoolOptions::new()
            .max_connections(connections)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        sqlx::raw_sql(SCHEMA).execute(&pool).await?;
        let total = sqlx::query("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM waku_messages").fetch_one(&pool).await?;
        let keeper = Keeper {
            pool: pool.clone(),
            retention,
            messages: unsigned(total.try_get(0)?),
            bytes: unsigned(total.try_get(1)?),
        };
        let (writer, jobs) = mpsc::channel(MAX_WAITING_WRITES);
        tokio::spawn(keeper.run(jobs));
        Ok(Self { pool, writer })
    }

    /// Hands a message to the writer; false when too many wait.
    pub(crate) fn keep(&self, hash: MessageHash, pubsub_topic: String, message: &WakuMessage) -> bool {
        let row = Row {
            hash,
            timestamp_ns: message.timestamp_ns.unwrap_or(0),
            pubsub_topic,
            content_topic: message.content_topic.clone(),
            encoded: message.encode(),
        };
        let kept = self.writer.try_send(Job::Keep(row)).is_ok();
        if !kept {
            tracing::warn!("the message store does not keep up; a message is not stored");
        }
        kept
    }

    /// Waits until everything handed over before is written.
    pub(crate) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.writer.send(Job::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }

    /// Writes what waits and closes the file.
    pub(crate) async fn close(&self) {
        self.flush().await;
        self.pool.close().await;
    }

    /// At most `limit` messages after or before `cursor`; none when the cursor's message is not stored.
    pub(crate) async fn page(
        &self,
        criteria: &Criteria,
        cursor: Option<MessageHash>,
        direction: Direction,
        limit: usize,
    ) -> Result<Option<Page>, Error> {
        self.flush().await;
        let cursor = match cursor {
            None => None,
            Some(hash) => {
                let row = sqlx::query("SELECT timestamp_ns FROM waku_messages WHERE hash = $1")
                    .bind(hash.0.to_vec())
                    .fetch_optional(&self.pool)
                    .await?;
                match row {
                    None => return Ok(None),
                    Some(row) => Some((row.try_get::<i64, _>(0)?, hash)),
                }
            }
        };
        let mut query = select(criteria, cursor, direction, limit);
        let rows = query.build().fetch_all(&self.pool).await?;
        let mut page = Page { more: rows.len() > limit, ..Page::default() };
        let mut bytes = 0_usize;
        for row in rows.iter().take(limit) {
            let encoded: &[u8] = row.try_get(2)?;
            bytes = bytes.saturating_add(encoded.len());
            if bytes > MAX_PAGE_BYTES && !page.entries.is_empty() {
                page.more = true;
                break;
            }
            let hash: &[u8] = row.try_get(0)?;
            page.entries.push(Entry {
                hash: MessageHash(hash.try_into().map_err(|_| Error::from(ErrorKind::Store))?),
                pubsub_topic: row.try_get(1)?,
                message: proto::WakuMessage::decode(encoded)
                    .map_err(|error| Error::with_source(ErrorKind::Store, error))?,
            });
        }
        if direction == Direction::Backward {
            page.entries.reverse();
        }
        Ok(Some(page))
    }
}

impl Archive {
    /// The newest messages of a content topic, oldest first.
    pub(crate) async fn newest(
        &self,
        pubsub_topic: String,
        content_topic: String,
        limit: usize,
    ) -> Result<Vec<WakuMessage>, Error> {
        let criteria =
            Criteria { pubsub_topic: Some(pubsub_topic), content_topics: vec![content_topic], ..Criteria::default() };
        let page = self.page(&criteria, None, Direction::Backward, limit).await?;
        let entries = page.unwrap_or_default().entries.into_iter();
        Ok(entries.map(|entry| WakuMessage::from(entry.message)).collect())
    }
}

fn select(
    criteria: &Criteria,
    cursor: Option<(i64, MessageHash)>,
    direction: Direction,
    limit: usize,
) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT hash, pubsub_topic, message FROM waku_messages WHERE 1 = 1");
    if let Some(pubsub_topic) = &criteria.pubsub_topic {
        query.push(" AND pubsub_topic = ").push_bind(pubsub_topic.clone());
    }
    if !criteria.content_topics.is_empty() {
        query.push(" AND content_topic IN (");
        let mut list = query.separated(", ");
        for topic in &criteria.content_topics {
            list.push_bind(topic.clone());
        }
        query.push(")");
    }
    if !criteria.hashes.is_empty() {
        query.push(" AND hash IN (");
        let mut list = query.separated(", ");
        for hash in &criteria.hashes {
            list.push_bind(hash.0.to_vec());
        }
        query.push(")");
    }
    if let Some(start) = criteria.time_start {
        query.push(" AND timestamp_ns >= ").push_bind(start);
    }
    if let Some(end) = criteria.time_end {
        query.push(" AND timestamp_ns < ").push_bind(end);
    }
    let (after, order) = match direction {
        Direction::Forward => (">", "ASC"),
        Direction::Backward => ("<", "DESC"),
    };
    if let Some((timestamp, hash)) = cursor {
        query
            .push(format!(" AND (timestamp_ns, hash) {after} ("))
            .push_bind(timestamp)
            .push(", ")
            .push_bind(hash.0.to_vec())
            .push(")");
    }
    // One more than asked for tells whether more is left.
    let rows = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    query.push(format!(" ORDER BY timestamp_ns {order}, hash {order} LIMIT ")).push_bind(rows);
    query
}

/// The one task that writes.
struct Keeper {
    pool: SqlitePool,
    retention: Retention,
    messages: u64,
    bytes: u64,
}

impl Keeper {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(MAX_BATCH);
        loop {
            tokio::select! {
                count = jobs.recv_many(&mut batch, MAX_BATCH) => {
                    if count == 0 {
                        return;
                    }
                    self.take(&mut batch).await;
                }
                _ = sweep.tick() => {
                    if let Err(error) = self.drop_old().await {
                        tracing::warn!(%error, "old messages could not be dropped");
                    }
                }
            }
        }
    }

    async fn take(&mut self, batch: &mut Vec<Job>) {
        let (mut rows, mut waiting) = (Vec::new(), Vec::new());
        for job in batch.drain(..) {
            match job {
                Job::Keep(row) => rows.push(row),
                Job::Flush(done) => waiting.push(done),
            }
        }
        if !rows.is_empty()
            && let Err(error) = self.write(&rows).await
        {
            tracing::error!(%error, "messages could not be stored");
        }
        if self.is_full()
            && let Err(error) = self.drop_excess().await
        {
            tracing::warn!(%error, "excess messages could not be dropped");
        }
        for done in waiting {
            let _ = done.send(());
        }
    }

    async fn write(&mut self, rows: &[Row]) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let (mut messages, mut bytes) = (0_u64, 0_u64);
        for row in rows {
            let size = row.encoded.len();
            let result = sqlx::query(
                "INSERT INTO waku_messages
                 (hash, timestamp_ns, pubsub_topic, content_topic, size, message)
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (hash) DO NOTHING",
            )
            .bind(row.hash.0.to_vec())
            .bind(row.timestamp_ns)
            .bind(&row.pubsub_topic)
            .bind(&row.content_topic)
            .bind(i64::try_from(size).unwrap_or(i64::MAX))
            .bind(&row.encoded)
            .execute(&mut *transaction)
            .await?;
            if result.rows_affected() > 0 {
                messages = messages.saturating_add(1);
                bytes = bytes.saturating_add(size as u64);
            }
        }
        transaction.commit().await?;
        self.messages = self.messages.saturating_add(messages);
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    async fn drop_old(&mut self) -> Result<(), sqlx::Error> {
        let age = i64::try_from(self.retention.age.as_nanos()).unwrap_or(i64::MAX);
        let horizon = message::now_ns().saturating_sub(age);
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM waku_messages WHERE timestamp_ns < $1")
            .bind(horizon)
            .execute(&mut *transaction)
            .await?;
        self.recount(&mut transaction).await?;
        transaction.commit().await
    }

    fn is_full(&self) -> bool {
        self.messages > self.retention.messages || self.bytes > self.retention.bytes
    }

    /// Drops the oldest messages until the rest fits.
    async fn drop_excess(&mut self) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        while self.is_full() {
            let oldest = sqlx::query("SELECT hash, size FROM waku_messages ORDER BY timestamp_ns, hash LIMIT $1")
                .bind(i64::try_from(MAX_BATCH).unwrap_or(i64::MAX))
                .fetch_all(&mut *transaction)
                .await?;
            if oldest.is_empty() {
                break;
            }
            for row in oldest {
                if !self.is_full() {
                    break;
                }
                sqlx::query("DELETE FROM waku_messages WHERE hash = $1")
                    .bind(row.try_get::<Vec<u8>, _>(0)?)
                    .execute(&mut *transaction)
                    .await?;
                self.messages = self.messages.saturating_sub(1);
                self.bytes = self.bytes.saturating_sub(unsigned(row.try_get(1)?));
            }
        }
        transaction.commit().await
    }

    async fn recount(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let total =
            sqlx::query("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM waku_messages").fetch_one(connection).await?;
        self.messages = unsigned(total.try_get(0)?);
        self.bytes = unsigned(total.try_get(1)?);
        Ok(())
    }
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
