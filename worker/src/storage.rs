//! Rows of the core's tables on disk: one SQLite file a worker, in portable SQL.
//!
//! The core asks for writes by an effect; the serve loop waits for [`Storage::write`] before it carries out what
//! follows. It does not know what the bytes mean.

use crate::state::touch_private;
use async_trait::async_trait;
use privacyai::effect::{Batch, Row, Table};
use sqlx::{
    Row as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Rows under keys, by table.
#[async_trait]
pub trait Storage: Send + Sync {
    /// The value of one row.
    ///
    /// # Errors
    /// When the backend fails.
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;

    /// All rows of a table in the order of their keys.
    ///
    /// # Errors
    /// When the backend fails.
    async fn scan(&self, table: Table) -> Result<Vec<Row>, StorageError>;

    /// Writes all of the batch, in order, or nothing; done means on disk.
    ///
    /// # Errors
    /// When the backend fails.
    async fn write(&self, batch: Batch) -> Result<(), StorageError>;

    /// Deletes every row of every table.
    ///
    /// # Errors
    /// When the backend fails.
    async fn clear(&self) -> Result<(), StorageError>;
}

/// Why rows cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The file cannot be made.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// The database refused.
    #[error("the worker's database failed")]
    Database(#[from] sqlx::Error),
    /// The file was written by a newer worker.
    #[error("{0} was written by a newer worker (form {1})\n  to fix: run that worker, or restore a backup")]
    Newer(PathBuf, i64),
}

/// The form of the database that this worker writes.
const FORM: i64 = 1;
/// How long a write waits for another process that reads the file.
const BUSY: Duration = Duration::from_secs(5);

/// Rows in an SQLite file.
pub struct SqliteStorage {
    pool: SqlitePool,
}

impl SqliteStorage {
    /// Opens the file, and makes it where it is missing.
    ///
    /// # Errors
    /// When it cannot be opened, or a newer worker wrote it.
    pub async fn open(path: &Path) -> Result<Self, StorageError> {
        // SQLite gives its journals the mode of the database.
        touch_private(path).map_err(|error| StorageError::File(path.to_owned(), error))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // "Persist before publish" must survive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY);
        // One connection: writes are serial anyway, and reads are rare.
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        sqlx::query("CREATE TABLE IF NOT EXISTS form (number INTEGER NOT NULL)").execute(&pool).await?;
        sqlx::query(
            "CREATE TABLE IF NOT EXISTS records (kind TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, \
             PRIMARY KEY (kind, key))",
        )
        .execute(&pool)
        .await?;
        let form: Option<i64> = sqlx::query_scalar("SELECT number FROM form").fetch_optional(&pool).await?;
        match form {
            Some(form) if form > FORM => return Err(StorageError::Newer(path.to_owned(), form)),
            Some(_) => {}
            None => {
                sqlx::query("INSERT INTO form (number) VALUES ($1)").bind(FORM).execute(&pool).await?;
            }
        }
        Ok(Self { pool })
    }

    /// Writes everything to the file and closes it.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[async_trait]
impl Storage for SqliteStorage {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(sqlx::query_scalar("SELECT value FROM records WHERE kind = $1 AND key = $2")
            .bind(table.name())
            .bind(key)
            .fetch_optional(&self.pool)
            .await?)
    }

    async fn scan(&self, table: Table) -> Result<Vec<Row>, StorageError> {
        sqlx::query("SELECT key, value FROM records WHERE kind = $1 ORDER BY key")
            .bind(table.name())
            .fetch_all(&self.pool)
            .await?
            .into_iter()
            .map(|row| Ok(Row { table, key: row.try_get(0)?, value: row.try_get(1)? }))
            .collect()
    }

    async fn write(&self, batch: Batch) -> Result<(), StorageError> {
        let mut transaction = self.pool.begin().await?;
        for write in batch {
            match write.value {
                Some(value) => {
                    sqlx::query(
                        "INSERT INTO records (kind, key, value) VALUES ($1, $2, $3) \
                         ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
                    )
                    .bind(write.table.name())
                    .bind(write.key)
                    .bind(value)
                    .execute(&mut *transaction)
                    .await?;
                }
                None => {
                    sqlx::query("DELETE FROM records WHERE kind = $1 AND key = $2")
                        .bind(write.table.name())
                        .bind(write.key)
                        .execute(&mut *transaction)
                        .await?;
                }
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn clear(&self) -> Result<(), StorageError> {
        sqlx::query("DELETE FROM records").execute(&self.pool).await?;
        Ok(())
    }
}

/// Values by table and key.
type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// Rows in memory, for tests.
#[derive(Default)]
pub struct MemoryStorage {
    rows: Mutex<Rows>,
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.lock().get(&(table, key.to_vec())).cloned())
    }

    async fn scan(&self, table: Table) -> Result<Vec<Row>, StorageError> {
        Ok(self
            .lock()
            .iter()
            .filter(|((of, _), _)| *of == table)
            .map(|((_, key), value)| Row { table, key: key.clone(), value: value.clone() })
            .collect())
    }

    async fn write(&self, batch: Batch) -> Result<(), StorageError> {
        let mut rows = self.lock();
        for write in batch {
            match write.value {
                Some(value) => rows.insert((write.table, write.key), value),
                None => rows.remove(&(write.table, write.key)),
            };
        }
        Ok(())
    }

    async fn clear(&self) -> Result<(), StorageError> {
        self.lock().clear();
        Ok(())
    }
}

impl MemoryStorage {
    /// Nothing panics while it holds this lock, so a poisoned one is whole.
    fn lock(&self) -> std::sync::MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use privacyai::store::{Step, conformance};

    /// Plays the core's script; `reopen` gives the store as its next process would find it.
    async fn check<S: Storage>(mut store: S, reopen: impl AsyncFn(S) -> S) {
        for (number, step) in conformance().into_iter().enumerate() {
            match step {
                Step::Write(batch) => store.write(batch).await.unwrap(),
                Step::ExpectGet(table, key, value) => {
                    assert_eq!(store.get(table, &key).await.unwrap(), value, "step {number}");
                }
                Step::ExpectScan(table, rows) => assert_eq!(store.scan(table).await.unwrap(), rows, "step {number}"),
                Step::Reopen => store = reopen(store).await,
                Step::Clear => store.clear().await.unwrap(),
            }
        }
    }

    #[tokio::test]
    async fn memory_conforms() {
        check(MemoryStorage::default(), async |store| store).await;
    }

    #[tokio::test]
    async fn sqlite_conforms_and_is_private() {
        let scratch = Scratch::new();
        let path = scratch.path().join("worker.db");
        check(SqliteStorage::open(&path).await.unwrap(), async |store: SqliteStorage| {
            store.close().await;
            SqliteStorage::open(&path).await.unwrap()
        })
        .await;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            for file in std::fs::read_dir(scratch.path()).unwrap() {
                let file = file.unwrap();
                assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
            }
        }
    }

    #[tokio::test]
    async fn a_newer_database_is_left_alone() {
        let scratch = Scratch::new();
        let path = scratch.path().join("worker.db");
        let store = SqliteStorage::open(&path).await.unwrap();
        sqlx::query("UPDATE form SET number = 2").execute(&store.pool).await.unwrap();
        store.close().await;
        let error = SqliteStorage::open(&path).await.err().unwrap();
        assert!(error.to_string().contains("newer worker"), "{error}");
    }
}
