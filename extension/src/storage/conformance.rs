//! The storage contract of the core, played by the sealed database in a real browser, and what sealing claims. Exported
//! only under the feature `conformance`; an empty answer means that all of it holds.

use super::{Database, Storage, StorageError};
use js_sys::{Promise, Uint8Array};
use privacyai::effect::{Table, Write};
use privacyai::store::{Step, conformance};
use rexie::{Rexie, TransactionMode};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

const NAME: &str = "privacyai-conformance";

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = ["crypto", "subtle"], js_name = exportKey, catch)]
    fn export_key(format: &str, key: &JsValue) -> Result<Promise, JsValue>;
}

/// Plays everything; the answer lists what failed, one sentence each.
#[wasm_bindgen]
pub async fn storage_conformance() -> Vec<String> {
    let mut failures = Vec::new();
    // What an earlier run left behind would be no empty store.
    let _ = Rexie::delete(NAME).await;
    for result in [script(&mut failures).await, sealing(&mut failures).await] {
        if let Err(error) = result {
            failures.push(error.to_string());
        }
    }
    failures
}

async fn script(failures: &mut Vec<String>) -> Result<(), StorageError> {
    let mut database = Database::open(NAME).await?;
    for (number, step) in conformance().into_iter().enumerate() {
        let holds = match step {
            Step::Write(batch) => database.write(&batch).await.is_ok(),
            Step::ExpectGet(table, key, value) => database.get(table, &key).await? == value,
            Step::ExpectScan(table, rows) => database.scan(table).await? == rows,
            Step::Reopen => {
                database.rexie.close();
                database = Database::open(NAME).await?;
                true
            }
            Step::Clear => database.clear().await.is_ok(),
        };
        if !holds {
            failures.push(format!("step {number} of the script does not hold"));
        }
    }
    database.clear().await?;
    database.rexie.close();
    Ok(())
}

async fn sealing(failures: &mut Vec<String>) -> Result<(), StorageError> {
    let mut claim = |holds: bool, what: &str| {
        if !holds {
            failures.push(format!("not so: {what}"));
        }
    };
    let secret = b"a planted secret of forty-two characters..";
    let database = Database::open(NAME).await?;
    let row = |key: &[u8], value: &[u8]| Write { table: Table::Messages, key: key.into(), value: Some(value.into()) };
    database.write(&[row(secret, b"1"), row(b"k", secret), row(b"whole", b"2")]).await?;

    let store = Table::Messages.name();
    let rows = database.read(store)?.store(store)?.scan(None, None, None, None).await?;
    let bytes = |value: &JsValue| Uint8Array::new(value).to_vec();
    let has = |value: &JsValue| bytes(value).windows(8).any(|window| secret.windows(8).any(|part| part == window));
    claim(!rows.iter().any(|(name, value)| has(name) || has(value)), "no eight bytes of a key or a value are stored");

    // One row is bent, one is moved under another row's name: both are skipped, the third still opens.
    let keys = database.keys();
    let names = [keys.row_name(Table::Messages, secret).await?, keys.row_name(Table::Messages, b"k").await?];
    let transaction = database.rexie.transaction(&[store], TransactionMode::ReadWrite)?;
    let at = |name: &[u8]| -> JsValue { Uint8Array::from(name).into() };
    let sealed = transaction.store(store)?.get(at(&names[0])).await?.unwrap_or_default();
    let mut bent = bytes(&sealed);
    if let Some(last) = bent.last_mut() {
        *last ^= 1;
    }
    transaction.store(store)?.put(&Uint8Array::from(bent.as_slice()), Some(&at(&names[0]))).await?;
    transaction.store(store)?.put(&sealed, Some(&at(&names[1]))).await?;
    transaction.done().await?;
    let left = database.scan(Table::Messages).await?;
    claim(left.len() == 1 && left.iter().all(|row| row.key == b"whole"), "a bent or moved row is skipped alone");
    claim(database.damaged().len() == 2, "skipped rows are counted");
    claim(database.get(Table::Messages, secret).await?.is_none(), "a bent row reads as absent");

    for (key, format) in [(&keys.seal, "raw"), (&keys.name, "raw"), (&keys.seal, "jwk")] {
        let exported = match export_key(format, key) {
            Ok(promise) => JsFuture::from(promise).await.is_ok(),
            Err(_) => false,
        };
        claim(!exported, "no key can be exported");
    }
    database.clear().await?;
    let (renewed, name) = (database.keys(), keys.row_name(Table::Messages, b"k").await?);
    let sealed = keys.seal(Table::Messages, &name, b"k", b"v").await?;
    claim(renewed.open(Table::Messages, &name, &sealed).await.is_none(), "after an erasure old rows open no more");
    database.rexie.close();
    let _ = Rexie::delete(NAME).await;
    Ok(())
}
