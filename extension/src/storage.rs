//! What outlives the browser: one IndexedDB database, owned by the background, every row sealed before its transaction
//! begins. A row that does not open is skipped and counted; it never stops the program.

use crate::seal::SealingKeys;
use futures::future::{join_all, try_join_all};
use js_sys::Uint8Array;
use privacyai::effect::{Row, Table, Write};
use privacyai::map::{Set, sort};
use privacyai::store::TABLES;
use rexie::{ObjectStore, Rexie, Transaction, TransactionMode};
use std::cell::RefCell;
use std::fmt;
use wasm_bindgen::prelude::*;

#[cfg(feature = "conformance")]
mod conformance;

/// The database's version; a new object store raises it.
const VERSION: u32 = 2;

/// Object store of the sealing keys.
const KEYS: &str = "keys";

/// A transaction ended without an error of its own. The browser does so when it finds no room at the last moment.
const ABORTED: &str = "it took nothing";

/// The browser's store failed: it is full, private, or damaged.
#[derive(Debug)]
pub struct StorageError(String);

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the browser's store failed: {}", self.0)
    }
}

impl StorageError {
    /// There is no room left: by the name of IndexedDB's own error, or by its words.
    pub fn is_full(&self) -> bool {
        ["QuotaExceeded", "quota", ABORTED].iter().any(|word| self.0.contains(word))
    }
}

impl std::error::Error for StorageError {}

impl From<rexie::Error> for StorageError {
    fn from(error: rexie::Error) -> Self {
        // What the browser says stands in the error below it.
        let said = std::error::Error::source(&error).map(ToString::to_string);
        Self(said.unwrap_or_else(|| error.to_string()))
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
    async fn write(&self, batch: &[Write]) -> Result<(), StorageError>;
    /// Forgets every row and the keys that sealed them.
    async fn clear(&self) -> Result<(), StorageError>;
}

/// What an opened database held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Its keys were there.
    Kept,
    /// Nothing: it is new.
    New,
    /// Rows, but not the keys that sealed them: nobody can open them any more.
    KeysLost,
}

/// The sealed database.
pub struct Database {
    rexie: Rexie,
    keys: RefCell<SealingKeys>,
    origin: Origin,
    /// Names of the rows met so far that did not open.
    damaged: RefCell<Vec<(Table, Vec<u8>)>>,
}

impl Database {
    /// Opens the database of this name and its keys, or makes both.
    pub async fn open(name: &str) -> Result<Self, StorageError> {
        let mut builder = Rexie::builder(name).version(VERSION).add_object_store(ObjectStore::new(KEYS));
        for table in TABLES {
            builder = builder.add_object_store(ObjectStore::new(table.name()));
        }
        let rexie = builder.build().await?;
        match Self::keys_of(&rexie).await {
            Ok((keys, origin)) => Ok(Self { rexie, keys: RefCell::new(keys), origin, damaged: RefCell::default() }),
            Err(error) => {
                // An open one could not be deleted.
                rexie.close();
                Err(error)
            }
        }
    }

    /// The keys of the database, made where there are none, and what it held.
    async fn keys_of(rexie: &Rexie) -> Result<(SealingKeys, Origin), StorageError> {
        let transaction = rexie.transaction(&[KEYS], TransactionMode::ReadOnly)?;
        let kept = transaction.store(KEYS)?.get("pair".into()).await?;
        if let Some(keys) = kept.as_ref().and_then(SealingKeys::from_js) {
            return Ok((keys, Origin::Kept));
        }
        let mut rows = 0;
        for table in TABLES {
            rows += count(rexie, table).await?;
        }
        Ok((renew(rexie).await?, if rows == 0 { Origin::New } else { Origin::KeysLost }))
    }

    /// Deletes a database that cannot be opened, with its keys.
    pub async fn delete(name: &str) -> Result<(), StorageError> {
        Ok(Rexie::delete(name).await?)
    }

    /// What it held when it was opened.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The tables of the rows met so far that did not open, one for each row.
    pub fn damaged(&self) -> Vec<Table> {
        self.damaged.borrow().iter().map(|(table, _)| *table).collect()
    }

    /// Deletes the damaged rows of this table, which nobody can read.
    pub async fn drop_damaged(&self, table: Table) -> Result<(), StorageError> {
        let (gone, left) = self.damaged.take().into_iter().partition::<Vec<_>, _>(|(of, _)| *of == table);
        self.damaged.replace(left);
        let transaction = self.rexie.transaction(&[table.name()], TransactionMode::ReadWrite)?;
        let store = transaction.store(table.name())?;
        for (_, name) in gone {
            store.delete(Uint8Array::from(name.as_slice()).into()).await?;
        }
        transaction.done().await?;
        Ok(())
    }

    /// How many rows a table has.
    pub async fn count(&self, table: Table) -> Result<u32, StorageError> {
        count(&self.rexie, table).await
    }

    /// Rows in the order of these keys, read at once: a long conversation is a thousand of them, and one after the other
    /// each would wait for the browser three times.
    pub async fn get_all(&self, table: Table, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        let sealing = self.keys();
        let names = try_join_all(keys.iter().map(|key| sealing.row_name(table, key))).await?;
        let name = table.name();
        let store = self.read(name)?.store(name)?;
        let kept = try_join_all(names.iter().map(|name| store.get(Uint8Array::from(name.as_slice()).into()))).await?;
        let kept = names.into_iter().zip(kept.iter().map(|kept| kept.as_ref().and_then(bytes))).collect();
        Ok(self.open_all(table, kept).await.into_iter().map(|row| Some(row?.1)).collect())
    }

    /// The keys and values of rows as they are kept, by their names; one that does not open is damaged.
    async fn open_all(&self, table: Table, kept: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Vec<Option<(Vec<u8>, Vec<u8>)>> {
        let keys = self.keys();
        join_all(kept.into_iter().map(async |(name, sealed)| {
            let opened = keys.open(table, &name, &sealed?).await;
            if opened.is_none() {
                self.is_damaged(table, name);
            }
            opened
        }))
        .await
    }

    async fn open_rows(&self, table: Table, kept: Vec<(Vec<u8>, Option<Vec<u8>>)>) -> Vec<Row> {
        let opened = self.open_all(table, kept).await.into_iter().flatten();
        opened.map(|(key, value)| Row { table, key, value }).collect()
    }

    /// All rows of a table, in any order where the browser cannot read them all at once: what it can read is not lost with
    /// the others, which are damaged.
    pub async fn rows(&self, table: Table) -> Vec<Row> {
        if let Ok(rows) = self.scan(table).await {
            return rows;
        }
        let store = table.name();
        let Ok(names) = self.names(store).await else {
            self.is_damaged(table, Vec::new());
            return Vec::new();
        };
        let mut kept = Vec::new();
        for name in names {
            let name = Uint8Array::new(&name).to_vec();
            match self.sealed(store, &name).await {
                Ok(Some(sealed)) => kept.push((name, Some(sealed))),
                _ => self.is_damaged(table, name),
            }
        }
        self.open_rows(table, kept).await
    }

    async fn names(&self, store: &'static str) -> Result<Vec<JsValue>, StorageError> {
        Ok(self.read(store)?.store(store)?.get_all_keys(None, None).await?)
    }

    /// A row as it is kept. One that cannot be read ends its transaction, so each has its own.
    async fn sealed(&self, store: &'static str, name: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let kept = self.read(store)?.store(store)?.get(Uint8Array::from(name).into()).await?;
        Ok(kept.as_ref().and_then(bytes))
    }

    fn keys(&self) -> SealingKeys {
        self.keys.borrow().clone()
    }

    fn read(&self, store: &'static str) -> Result<Transaction, StorageError> {
        Ok(self.rexie.transaction(&[store], TransactionMode::ReadOnly)?)
    }

    fn is_damaged(&self, table: Table, name: Vec<u8>) {
        let mut damaged = self.damaged.borrow_mut();
        if !damaged.iter().any(|(of, known)| *of == table && *known == name) {
            damaged.push((table, name));
        }
    }
}

impl Storage for Database {
    async fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let keys = self.keys();
        let name = keys.row_name(table, key).await?;
        let Some(sealed) = self.sealed(table.name(), &name).await? else { return Ok(None) };
        match keys.open(table, &name, &sealed).await {
            Some((_, value)) => Ok(Some(value)),
            None => {
                self.is_damaged(table, name);
                Ok(None)
            }
        }
    }

    async fn scan(&self, table: Table) -> Result<Vec<Row>, StorageError> {
        let store = table.name();
        let kept = self.read(store)?.store(store)?.scan(None, None, None, None).await?;
        // What are no bytes opens as none.
        let row = |(name, sealed): &(JsValue, JsValue)| {
            (Uint8Array::new(name).to_vec(), Some(bytes(sealed).unwrap_or_default()))
        };
        let mut rows = self.open_rows(table, kept.iter().map(row).collect()).await;
        sort(&mut rows, &|a, b| a.key.cmp(&b.key));
        Ok(rows)
    }

    async fn write(&self, batch: &[Write]) -> Result<(), StorageError> {
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
            Ok::<_, StorageError>((store, write.table, name, value))
        }))
        .await?;
        let stores: Set<&str> = sealed.iter().map(|(store, ..)| (*store, ())).collect();
        let stores: Vec<&str> = stores.keys().copied().collect();
        let transaction = self.rexie.transaction(&stores, TransactionMode::ReadWrite)?;
        for (store, _, name, value) in &sealed {
            let store = transaction.store(store)?;
            let name: JsValue = Uint8Array::from(name.as_slice()).into();
            match value {
                Some(value) => drop(store.put(&Uint8Array::from(value.as_slice()), Some(&name)).await?),
                None => store.delete(name).await?,
            }
        }
        if !transaction.done().await?.is_committed() {
            return Err(StorageError(ABORTED.into()));
        }
        // A damaged row that was written anew is whole.
        self.damaged
            .borrow_mut()
            .retain(|(table, name)| !sealed.iter().any(|(_, of, new, _)| of == table && new == name));
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

async fn count(rexie: &Rexie, table: Table) -> Result<u32, StorageError> {
    let transaction = rexie.transaction(&[table.name()], TransactionMode::ReadOnly)?;
    Ok(transaction.store(table.name())?.count(None).await?)
}

async fn renew(rexie: &Rexie) -> Result<SealingKeys, StorageError> {
    let keys = SealingKeys::generate().await?;
    let transaction = rexie.transaction(&[KEYS], TransactionMode::ReadWrite)?;
    transaction.store(KEYS)?.put(&keys.to_js(), Some(&"pair".into())).await?;
    // Nobody could open after a restart what was sealed by keys that are not kept.
    if !transaction.done().await?.is_committed() {
        return Err(StorageError(ABORTED.into()));
    }
    Ok(keys)
}

fn bytes(value: &JsValue) -> Option<Vec<u8>> {
    value.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
}
