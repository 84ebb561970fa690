//! What outlives the browser: one IndexedDB database, owned by the background, every row sealed before its transaction
//! begins. A row that does not open is skipped and counted; it never stops the program.

use crate::seal::SealingKeys;
use futures::future::{join_all, try_join_all};
use js_sys::Uint8Array;
use privacyai::effect::{Batch, Row, Table};
use privacyai::map::{Set, sort};
use privacyai::store::TABLES;
use rexie::{ObjectStore, Rexie, Transaction, TransactionMode};
use std::cell::{Cell, RefCell};
use std::fmt;
use wasm_bindgen::prelude::*;

#[cfg(feature = "conformance")]
mod conformance;

/// The database's version; a new object store raises it.
const VERSION: u32 = 2;

/// Object store of the sealing keys.
const KEYS: &str = "keys";

/// The browser's store failed: it is full, private, or damaged.
#[derive(Debug)]
pub struct StorageError(String);

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the browser's store failed: {}", self.0)
    }
}

impl StorageError {
    /// There is no room left; the name is that of IndexedDB's own error.
    pub fn is_full(&self) -> bool {
        self.0.contains("QuotaExceeded")
    }
}

impl std::error::Error for StorageError {}

impl From<rexie::Error> for StorageError {
    fn from(error: rexie::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<privacyai::error::Error> for StorageError {
    fn from(error: privacyai::error::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<JsValue> for StorageError {
    fn from(error: JsValue) -> Self {
        let said = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
        Self(said.unwrap_or_else(|| "it gave no reason".into()))
    }
}

/// What the background asks of a store.
pub trait Storage {
    /// One row's value.
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;
    /// All rows of a table in the order of their keys.
    async fn scan(&self, table: Table) -> Result<Vec<Row>, StorageError>;
    /// All of these or none.
    async fn write(&self, batch: Batch) -> Result<(), StorageError>;
    /// Forgets every row and the keys that sealed them.
    async fn clear(&self) -> Result<(), StorageError>;
}

/// The sealed database.
pub struct Database {
    rexie: Rexie,
    keys: RefCell<SealingKeys>,
    unreadable: Cell<u32>,
}

impl Database {
    /// Opens the database of this name and its keys, or makes both.
    pub async fn open(name: &str) -> Result<Self, StorageError> {
        let mut builder = Rexie::builder(name).version(VERSION).add_object_store(ObjectStore::new(KEYS));
        for table in TABLES {
            builder = builder.add_object_store(ObjectStore::new(table.name()));
        }
        let rexie = builder.build().await?;
        let transaction = rexie.transaction(&[KEYS], TransactionMode::ReadOnly)?;
        let kept = transaction.store(KEYS)?.get("pair".into()).await?;
        let keys = match kept.as_ref().and_then(SealingKeys::from_js) {
            Some(keys) => keys,
            None => renew(&rexie).await?,
        };
        Ok(Self { rexie, keys: RefCell::new(keys), unreadable: Cell::new(0) })
    }

    /// Rows met so far that did not open.
    pub fn unreadable(&self) -> u32 {
        self.unreadable.get()
    }

    fn keys(&self) -> SealingKeys {
        self.keys.borrow().clone()
    }

    fn read(&self, store: &'static str) -> Result<Transaction, StorageError> {
        Ok(self.rexie.transaction(&[store], TransactionMode::ReadOnly)?)
    }

    fn count_unreadable(&self) {
        self.unreadable.set(self.unreadable.get().saturating_add(1));
    }
}

impl Storage for Database {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let keys = self.keys();
        let name = keys.row_name(table, key).await?;
        let store = table.name();
        let kept = self.read(store)?.store(store)?.get(Uint8Array::from(name.as_slice()).into()).await?;
        let Some(sealed) = kept.as_ref().and_then(bytes) else { return Ok(None) };
        match keys.open(table, &name, &sealed).await {
            Some((_, value)) => Ok(Some(value)),
            None => {
                self.count_unreadable();
                Ok(None)
            }
        }
    }

    async fn scan(&self, table: Table) -> Result<Vec<Row>, StorageError> {
        let store = table.name();
        let kept = self.read(store)?.store(store)?.scan(None, None, None, None).await?;
        let keys = self.keys();
        let opened = join_all(kept.iter().map(async |(name, sealed)| {
            let name = Uint8Array::new(name).to_vec();
            keys.open(table, &name, &bytes(sealed)?).await
        }))
        .await;
        let mut rows = Vec::with_capacity(opened.len());
        for row in opened {
            match row {
                Some((key, value)) => rows.push(Row { table, key, value }),
                None => self.count_unreadable(),
            }
        }
        sort(&mut rows, &|a, b| a.key.cmp(&b.key));
        Ok(rows)
    }

    async fn write(&self, batch: Batch) -> Result<(), StorageError> {
        if batch.is_empty() {
            return Ok(());
        }
        // Everything that waits for WebCrypto happens first: a transaction ends by itself when it waits for another.
        let keys = self.keys();
        let sealed = try_join_all(batch.iter().map(async |write| {
            let store = write.table.name();
            let name = keys.row_name(write.table, &write.key).await?;
            let value = match &write.value {
                Some(value) => Some(keys.seal(write.table, &name, &write.key, value).await?),
                None => None,
            };
            Ok::<_, StorageError>((store, name, value))
        }))
        .await?;
        let stores: Set<&str> = sealed.iter().map(|(store, ..)| (*store, ())).collect();
        let stores: Vec<&str> = stores.keys().copied().collect();
        let transaction = self.rexie.transaction(&stores, TransactionMode::ReadWrite)?;
        for (store, name, value) in sealed {
            let store = transaction.store(store)?;
            let name: JsValue = Uint8Array::from(name.as_slice()).into();
            match value {
                Some(value) => drop(store.put(&Uint8Array::from(value.as_slice()), Some(&name)).await?),
                None => store.delete(name).await?,
            }
        }
        transaction.done().await?;
        Ok(())
    }

    async fn clear(&self) -> Result<(), StorageError> {
        let stores = TABLES.map(Table::name);
        let transaction = self.rexie.transaction(&stores, TransactionMode::ReadWrite)?;
        for store in stores {
            transaction.store(store)?.clear().await?;
        }
        transaction.done().await?;
        // What a file system still holds of the old rows cannot be opened by anyone from here on.
        let keys = renew(&self.rexie).await?;
        *self.keys.borrow_mut() = keys;
        Ok(())
    }
}

async fn renew(rexie: &Rexie) -> Result<SealingKeys, StorageError> {
    let keys = SealingKeys::generate().await?;
    let transaction = rexie.transaction(&[KEYS], TransactionMode::ReadWrite)?;
    transaction.store(KEYS)?.put(&keys.to_js(), Some(&"pair".into())).await?;
    transaction.done().await?;
    Ok(keys)
}

fn bytes(value: &JsValue) -> Option<Vec<u8>> {
    value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
}
